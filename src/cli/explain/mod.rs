//! `explain`: where a notification goes, where not, and which lines of the configuration decide.
//!
//! Nothing is decided here: a hypothetical notification is written by the simulator, a recorded one is read from a
//! file, and both take the very way that a received one takes: `verify`, `route::plan`, `route::ways`.

mod reasons;
mod report;
mod subject;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::check::CONFIGURATION_ERROR;
use super::screen;
use super::verify::read;
use super::words::{formats, kinds, modes};
use crate::domain::{Clock, Format, Kind, Mode, ShopId, SystemClock};
use report::Report;
use subject::Subject;

/// Says where a notification would go and where not, why, and which lines of the configuration decide.
///
/// Of a kind of notification, or of a recorded one (--body). Nothing is stored or sent. Exit codes: 0 explained, 1 the
/// receiver would refuse it (that is said, and its way explained all the same), 78 the configuration has errors.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What has happened.
    #[arg(long, value_parser = kinds(), required_unless_present = "body")]
    kind: Option<Kind>,
    /// The shop that it names; by default the only one whose key is in the configuration.
    #[arg(long, value_name = "ID")]
    shop: Option<ShopId>,
    #[arg(long, value_parser = modes(), default_value = "test")]
    mode: Mode,
    /// How the gateway writes it; by default `form`, but `rest` for `token.saved`.
    #[arg(long, value_parser = formats())]
    format: Option<Format>,
    /// The card was stored by the payment of an order: it carries an order and a charge.
    #[arg(long)]
    order: bool,
    /// A recorded one instead: a file with the body of the request, as it was received; `-` reads the standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "shop", "mode", "format", "order"])]
    body: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  Who learns that a card was replaced?
    ipn-router explain --kind token.updated
  And of one that was stored while an order was paid?
    ipn-router explain --kind token.created --order --shop 12345678 --mode production
  What was this, and where did it go?
    ipn-router explain --body recorded.txt";

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = super::load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let now = SystemClock.now();
    let subject = match (&options.body, options.kind) {
        (Some(body), _) => {
            let body = read(body).with_context(|| format!("cannot read {}", body.display()))?;
            Subject::recorded(body, &loaded)?
        }
        (None, Some(kind)) => Subject::imagined(kind, options, &loaded, now)?,
        (None, None) => anyhow::bail!("--kind or --body is missing"),
    };
    let report = Report::new(&subject, &loaded, now);
    let mut out = screen::stdout();
    if options.json {
        writeln!(out, "{:#}", report.to_json())?;
    } else {
        report.write(&mut out)?;
    }
    Ok(ExitCode::from(u8::from(subject.refusal.is_some())))
}
