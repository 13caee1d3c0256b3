//! `backup`: a copy of the store while the daemon runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::check::{CONFIGURATION_ERROR, Format};
use super::load;
use super::page::size;
use crate::outbox::back_up;

/// Copies the store into a new file, also while the daemon runs, and checks the copy.
///
/// The copy is one moment of the store, whole. It holds everything personal that the store holds, so only who makes it
/// may read it. Run it as root, or as the user that the daemon runs as.
///
/// To restore: stop the daemon, move the store aside with its -wal and -shm files, put the copy in its place, give it to
/// the daemon's user, and start the daemon. What was delivered after the copy was made is delivered again, with the same
/// webhook-id.
///
/// Exit codes: 0 copied, 1 not, 78 the configuration has errors.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router backup /var/backups/ipn-router-$(date +%F).db")]
pub(super) struct Options {
    /// The copy; it must not exist yet.
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let started = Instant::now();
    let store = &loaded.config.store.path;
    let copy = back_up(store, &options.file)
        .with_context(|| format!("cannot copy {} to {}", store.display(), options.file.display()))?;
    let took = started.elapsed();
    let mut out = anstream::stdout().lock();
    match options.format {
        Format::Json => {
            let json = json!({
                "file": options.file,
                "bytes": copy.bytes,
                "notifications": copy.notifications,
                "waiting": copy.waiting,
                "milliseconds": u64::try_from(took.as_millis())?,
            });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => writeln!(
            out,
            "Copied in {:.1} s: {}, {} notifications, {} deliveries that wait. The copy was read, and is whole.",
            took.as_secs_f64(),
            size(copy.bytes),
            copy.notifications,
            copy.waiting
        )?,
    }
    Ok(ExitCode::SUCCESS)
}
