//! `status`: how everything stands, on one screen.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::check::Format;
use super::daemon::Daemon;
use super::page::{at, beside, columns, lasting, size};
use super::screen;
use super::verify::{BAD, GOOD};
use crate::admin::{DestinationStatus, IncidentLine, MailLine, RefusedReload, STATUS, Status};
use crate::outbox::{AttemptLine, MOST_COUNTED};

/// Says how the running daemon stands: destinations, what waits, what fails.
///
/// Exit codes: 0 it answers, 1 no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router status
  ipn-router status --format json | jq '.destinations[] | select(.down_since)'")]
pub(super) struct Options {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let status: Status = Daemon::of(file)?.look(STATUS)?;
    let mut out = screen::stdout();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&status)?)?,
        Format::Text => print(&status, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

const COLUMN: usize = 13;

fn print(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let now = status.now;
    let running = format!(
        "{}, since {} ({})",
        status.version,
        at(status.since),
        lasting(status.since, now)
    );
    beside(out, "ipn-router", COLUMN, &running)?;
    let configuration: String = status.configuration.chars().take(12).collect();
    beside(out, "config", COLUMN, &configuration)?;
    if !status.waits_for_restart.is_empty() {
        let parts = status.waits_for_restart.join(", ");
        beside(out, "", COLUMN, &format!("changed, and waits for a restart: {parts}"))?;
    }
    if let Some(refused) = &status.refused_reload {
        print_refused(refused, now, out)?;
    }
    beside(out, "receiver", COLUMN, &status.listen.to_string())?;
    if let Some(space) = status.space {
        let text = format!("{}, {} free", size(space.used), size(space.free));
        beside(out, "store", COLUMN, &text)?;
    }
    let heard = status.heard.iter().map(|heard| {
        let ago = lasting(heard.at, now);
        format!("{} {} {ago} ago", heard.legal_entity, heard.mode)
    });
    let heard = Some(heard.collect::<Vec<_>>().join(", ")).filter(|heard| !heard.is_empty());
    beside(out, "gateway", COLUMN, heard.as_deref().unwrap_or("never heard"))?;
    if let Some(text) = mail(&status.mail, now) {
        beside(out, "mail", COLUMN, &text)?;
    }
    let totals = &status.totals;
    for (label, count, command) in [
        ("parked", totals.parked, "ipn-router list --state parked"),
        ("quarantined", totals.quarantined, "ipn-router list --state quarantined"),
        ("e-mails", totals.emails_waiting, "to be sent"),
        ("not mailed", totals.emails_failed, "given up; the log says why"),
        ("asked for", totals.verbs_waiting, "by operators, and under way"),
    ] {
        if count > 0 {
            beside(out, label, COLUMN, format!("{}   {command}", counted(count)).trim_end())?;
        }
    }
    writeln!(out)?;
    let told: Vec<_> = status
        .destinations
        .iter()
        .filter(|destination| is_worth_a_line(destination))
        .collect();
    if told.is_empty() {
        writeln!(out, "No destination has had a delivery yet.")?;
    } else {
        let mut rows = vec![
            ["DESTINATION", "STATE", "WAITING", "OLDEST", "LAST ANSWER"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(told.iter().map(|destination| row(destination, now)));
        columns(out, &rows)?;
    }
    for incident in &status.incidents {
        writeln!(out)?;
        print_incident(incident, now, out)?;
    }
    Ok(())
}

/// Why the files are not what runs.
fn print_refused(refused: &RefusedReload, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let ago = lasting(refused.at, now);
    let (what, reasons): (_, Vec<_>) = if refused.wants_confirmation() {
        let dangers = refused
            .verdict
            .changes
            .iter()
            .filter_map(|change| change.danger.as_ref());
        ("needs `ipn-router reload --confirm`", dangers.collect())
    } else {
        let errors = refused.verdict.problems.iter().filter(|problem| problem.is_error);
        ("was refused", errors.map(|problem| &problem.line).collect())
    };
    let text = format!("the reload {ago} ago by {} {what}; this one runs on", refused.by);
    beside(out, "", COLUMN, &text)?;
    for reason in reasons {
        beside(out, "", COLUMN, reason)?;
    }
    Ok(())
}

/// How the mail server takes what it is given; `None`: it was given nothing yet.
fn mail(mail: &MailLine, now: Timestamp) -> Option<String> {
    let why = mail.last_refusal.as_ref().map_or("", |refusal| &refusal.why);
    match (mail.failing_since, mail.last_sent, &mail.last_refusal) {
        (Some(since), ..) => Some(format!(
            "{BAD}the mail server has refused since {}{BAD:#} ({}): {why}",
            at(since),
            lasting(since, now)
        )),
        // One address may be refused while the others get theirs.
        (None, sent, Some(refusal)) if sent.is_none_or(|sent| sent < refusal.at) => Some(format!(
            "the last e-mail was refused {} ago: {why}",
            lasting(refusal.at, now)
        )),
        (None, Some(sent), _) => Some(format!("last sent {} ago", lasting(sent, now))),
        (None, None, _) => None,
    }
}

/// Whether it was ever used, or somebody has to know something.
fn is_worth_a_line(destination: &DestinationStatus) -> bool {
    let DestinationStatus { line, load, .. } = destination;
    load.last_attempt.is_some() || load.waiting > 0 || line.paused_since.is_some() || line.down_since.is_some()
}

fn row(destination: &DestinationStatus, now: Timestamp) -> Vec<String> {
    let load = &destination.load;
    let state = match &destination.line {
        line if line.parked_since.is_some() => "not served",
        line if line.paused_since.is_some() => "paused",
        line if line.down_since.is_some() => "down",
        _ if load.incident.is_some() => "failing",
        _ => "up",
    };
    vec![
        destination.line.key.to_string(),
        state.into(),
        counted(load.waiting),
        load.oldest.map_or_else(|| "-".into(), |oldest| lasting(oldest, now)),
        load.last_attempt.as_ref().map_or_else(|| "-".into(), answer),
    ]
}

/// What came of an attempt, in a word or two.
pub(super) fn answer(attempt: &AttemptLine) -> String {
    match (attempt.status, &attempt.cause) {
        (Some(status), None) if attempt.detail.is_empty() => status.to_string(),
        (Some(status), None) => format!("{status} KO"),
        (Some(status), Some(_)) => format!("{status} failed"),
        (None, Some(cause)) => cause.clone(),
        (None, None) => "-".into(),
    }
}

/// A number that was counted up to a limit.
pub(super) fn counted(count: u32) -> String {
    match count {
        MOST_COUNTED.. => "over 100,000".into(),
        count => count.to_string(),
    }
}

/// One incident, for people.
pub(super) fn print_incident(incident: &IncidentLine, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let IncidentLine {
        incident: number,
        destination,
        ..
    } = incident;
    let open = match incident.recovered_at {
        None => format!("{BAD}open for {}{BAD:#}", lasting(incident.opened_at, now)),
        Some(over) => format!("{GOOD}over after {}{GOOD:#}", lasting(incident.opened_at, over)),
    };
    writeln!(out, "incident {number}: {destination}, {open}")?;
    let failures = format!(
        "{} failed, {} delivered, {} given up",
        incident.failures, incident.delivered, incident.given_up
    );
    beside(out, "  attempts", COLUMN, &failures)?;
    let last = format!("{}: {}", at(incident.last_failure_at), incident.failing);
    beside(out, "  last", COLUMN, &last)?;
    if let Some(acknowledged) = &incident.acknowledged {
        let by = format!("{} at {}", acknowledged.by, at(acknowledged.at));
        let text = match acknowledged.until {
            Some(until) if until <= now => format!("{by}; that held until {}", at(until)),
            Some(until) => format!("{by}, until {}", at(until)),
            None => format!("{by}, until it is over"),
        };
        beside(out, "  taken by", COLUMN, &text)?;
    }
    if !incident.detail.is_empty() && !incident.failing.contains(&incident.detail) {
        beside(out, "", COLUMN, &incident.detail)?;
    }
    if !incident.answer.is_empty() {
        beside(out, "  answer", COLUMN, &incident.answer)?;
    }
    beside(out, "  see", COLUMN, &format!("ipn-router list --incident {number}"))
}
