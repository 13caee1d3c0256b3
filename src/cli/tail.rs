//! `tail`: what arrives, while one looks.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::check::Format;
use super::daemon::Daemon;
use super::list::headline;
use crate::admin::TAIL;
use crate::outbox::NotificationLine;

/// Shows every notification as it is stored, until it is interrupted.
///
/// Exit codes: 0 the daemon has stopped, 1 no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router tail
  ipn-router tail --format json | jq .kind")]
pub(super) struct Options {
    /// With json, one line for each.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    Daemon::of(file)?.follow(TAIL, |line| {
        match options.format {
            Format::Json => {
                out.write_all(line)?;
                writeln!(out)?;
            }
            Format::Text => {
                let notification: NotificationLine =
                    serde_json::from_slice(line).context("the daemon's answer is of another version")?;
                writeln!(out, "{}", headline(&notification))?;
            }
        }
        out.flush()?;
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
