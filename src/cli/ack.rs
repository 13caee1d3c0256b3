//! `ack`: somebody looks after an incident.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::check::Format;
use super::daemon::Daemon;
use super::page::at;
use super::screen;
use super::words::duration;
use crate::admin::{ACKNOWLEDGE, AcknowledgeWish, Acknowledged, INCIDENTS};
use crate::domain::{Clock, SystemClock};

/// Says that somebody looks after an incident: no reminders until it is over, or for some time.
///
/// Exit codes: 0 noted, 1 there is no such incident, or it is over, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router ack 7
  ipn-router ack 7 --for 4h")]
pub(super) struct Options {
    /// The number of the incident.
    #[arg(value_name = "N")]
    incident: i64,
    /// Remind again after this time.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let until = match options.lasts {
        Some(lasts) => Some(SystemClock.now().checked_add(lasts)?),
        None => None,
    };
    let path = format!("{INCIDENTS}/{}/{ACKNOWLEDGE}", options.incident);
    let noted: Acknowledged = Daemon::of(file)?.ask(&path, &AcknowledgeWish { until })?;
    let mut out = screen::stdout();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(noted)?)?,
        Format::Text => {
            let until = until.map_or_else(|| "it is over".into(), at);
            writeln!(out, "Noted: no reminders of incident {} until {until}.", noted.incident)?;
            if noted.incidents > 1 {
                writeln!(
                    out,
                    "So it is for {} that are told together with it.",
                    noted.incidents - 1
                )?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
