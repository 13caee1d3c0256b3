//! `doctor`: does a shop's service do with our calls what it must?

mod caller;
mod finding;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::Style;
use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::check::{CONFIGURATION_ERROR, Format};
use super::load;
use super::page::{FAINT, WIDTH, wrapped};
use super::screen;
use super::simulator::Occurrence;
use super::verify::{BAD, GOOD};
use super::words::modes;
use crate::deliver::{Client, Connection, Settings, probe};
use crate::domain::{Clock, Kind, Mode, Rendition, ShopId, SystemClock, shown_url, valid_until};
use caller::{Caller, Signature};
use finding::{Finding, Reading, Verdict, is_taken, judged};

/// Calls a shop's URLs as the daemon would, about a card that does not exist, and says what they do wrong.
///
/// Each URL is called with a right signature, then once more as a repetition, with a wrong signature, and, as an event,
/// with a timestamp of an hour ago; its answers show how quick it is, and its clock. The token begins with
/// ipn-router-doctor; a shop that stores what it is told stores it too. The daemon need not run.
///
/// Exit codes: 0 nothing is wrong, 1 something is, 78 the configuration has errors.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router doctor --shop 23456789 --mode test")]
pub(super) struct Options {
    #[arg(long, value_name = "ID")]
    shop: ShopId,
    #[arg(long, value_parser = modes())]
    mode: Mode,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The column of a finding's note: after its verdict and its name.
const NOTES: usize = 24;

/// What was found at one URL.
#[derive(Debug, Serialize)]
struct Examined {
    rendition: Rendition,
    url: String,
    findings: Vec<Finding>,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let mut urls: Vec<&Settings> = Vec::new();
    for settings in &loaded.config.destinations {
        let is_meant = settings.key.shop == options.shop && settings.key.mode == options.mode;
        // What is re-signed goes to the URL of that format, and looks there as if the gateway had sent it.
        if is_meant && urls.iter().all(|other| other.url != settings.url) {
            urls.push(settings);
        }
    }
    if urls.is_empty() {
        bail!(
            "shop {} has no URL in {} in this configuration",
            options.shop,
            options.mode
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut examined = Vec::new();
    for settings in urls {
        examined.push(runtime.block_on(examine(settings, &clock))?);
    }
    let mut out = screen::stdout();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&examined)?)?,
        Format::Text => print(&examined, &mut out)?,
    }
    let mut findings = examined.iter().flat_map(|examined| &examined.findings);
    Ok(match findings.any(|finding| finding.verdict == Verdict::Bad) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

async fn examine(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Examined> {
    let mut findings = Vec::new();
    match probe(settings).await {
        Ok(reached) => {
            let until = reached.tls.and_then(|tls| valid_until(&tls.certificate));
            findings.extend(until.map(|until| Finding::certificate(until, clock.now())));
            findings.extend(call(settings, clock).await?);
        }
        Err(error) => findings.push(Finding::new("connection", Verdict::Bad, error.to_string())),
    }
    Ok(Examined {
        rendition: settings.key.rendition,
        url: shown_url(&settings.url),
        findings,
    })
}

/// Calls it rightly and wrongly, and reads its clock from the answers.
async fn call(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Finding>> {
    let rendition = settings.key.rendition;
    let client = Client::new(settings, Arc::clone(clock)).context("this URL cannot be called")?;
    let mut connection = Connection::new(Arc::new(client));
    let mut caller = Caller::new(settings, &occurrence(clock.now()), clock.now())?;
    let mut signatures = vec![Signature::Right, Signature::Again, Signature::Wrong];
    if rendition == Rendition::Event {
        signatures.push(Signature::Old);
    }
    let mut findings = Vec::new();
    let mut reading = None;
    for signature in signatures {
        // A service that knows what it has taken might answer without a look at the signature.
        if matches!(signature, Signature::Old | Signature::Wrong) {
            caller = Caller::new(settings, &occurrence(clock.now()), clock.now())?;
        }
        let sent = clock.now();
        let outcome = connection.attempt(caller.render(signature, sent)?).await;
        let received = clock.now();
        let took = received.duration_since(sent).try_into().unwrap_or_default();
        findings.push(judged(signature, &outcome, took, settings.timeouts));
        if let Some(date) = connection.take_date() {
            reading = Some(Reading::new(date, sent, received).or_better(reading));
        }
        // Where nothing is taken, it says nothing that the rest is refused.
        if signature == Signature::Right && !is_taken(&outcome) {
            break;
        }
    }
    findings.push(Finding::clock(rendition, reading));
    Ok(findings)
}

/// A card that does not exist was stored.
fn occurrence(now: Timestamp) -> Occurrence {
    let mut occurrence = Occurrence::new(Kind::TokenCreated, now);
    occurrence.token = Some(format!("ipn-router-doctor-{:08x}", fastrand::u32(..)));
    occurrence
}

fn print(examined: &[Examined], out: &mut impl Write) -> io::Result<()> {
    for (number, one) in examined.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{} {}", one.rendition, one.url)?;
        for finding in &one.findings {
            let (style, mark) = match finding.verdict {
                Verdict::Bad => (BAD, "BAD"),
                Verdict::Good => (GOOD, "good"),
                Verdict::Weak => (Style::new(), "weak"),
            };
            let took = finding
                .milliseconds
                .map_or_else(String::new, |took| format!(" ({took} ms)"));
            let text = format!("{}{took}", finding.note);
            for (line, part) in wrapped(&text, WIDTH - NOTES).into_iter().enumerate() {
                let (mark, what) = if line == 0 { (mark, finding.what) } else { ("", "") };
                writeln!(out, "  {style}{mark:<5}{style:#}{FAINT}{what:<17}{FAINT:#}{part}")?;
            }
        }
    }
    Ok(())
}
