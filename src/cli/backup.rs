//! `backup`: a copy of the store while the daemon runs.

use std::fs;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::check::Format;
use super::page::size;
use super::percent::Percent;
use super::screen;
use crate::config;
use crate::outbox::{BackupError, Copy, back_up};

/// Copies the store into a new file, also while the daemon runs, and checks the copy.
///
/// The copy is one moment of the store, whole. It holds everything personal that the store holds, so only who makes it
/// may read it. Run it as root, or as the user that the daemon runs as.
///
/// `ipn-router restore` puts it back. Of the configuration only the store counts, so that it works from cron too, which has
/// none of the daemon's secrets.
///
/// Exit codes: 0 copied, 1 not.
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
    let store = store_of(file)?;
    let started = Instant::now();
    let copy = watched(&store, &options.file)
        .with_context(|| format!("cannot copy {} to {}", store.display(), options.file.display()))?;
    let took = started.elapsed();
    let mut out = screen::stdout();
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
            "Copied {} in {:.1} s: {}, {} notifications, {} deliveries that wait. The copy was read, and is whole.",
            store.display(),
            took.as_secs_f64(),
            size(copy.bytes),
            copy.notifications,
            copy.waiting
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How often to look how far it is.
const EVERY: Duration = Duration::from_millis(100);

/// Copies, and shows how much of it is there already.
fn watched(store: &Path, to: &Path) -> Result<Copy, BackupError> {
    let length = |file| fs::metadata(file).map_or(0, |metadata| metadata.len());
    thread::scope(|scope| {
        let copying = scope.spawn(|| back_up(store, to));
        let mut percent = Percent::of("copied");
        while !copying.is_finished() {
            percent.show(length(to) * 100 / length(store).max(1));
            thread::sleep(EVERY);
        }
        drop(percent);
        copying.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Where the store is, also if the configuration has mistakes, or secrets that only the daemon can read.
pub(super) fn store_of(file: &Path) -> anyhow::Result<PathBuf> {
    config::store(file).with_context(|| format!("cannot read {}", file.display()))
}
