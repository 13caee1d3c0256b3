//! `tail`: what happens, while one looks.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::check::Format;
use super::daemon::{Daemon, Followed, INTERRUPTED};
use super::list::headline;
use super::page::at;
use super::screen;
use super::status::answer;
use super::verify::{BAD, GOOD};
use crate::admin::TAIL;
use crate::outbox::{AttemptLine, DeliveryLine, DeliveryState, NotificationLine, TailLine};

/// Shows every notification as it is stored, and what becomes of its deliveries, until it is interrupted.
///
/// Exit codes: 0 the daemon has stopped, 1 no daemon answers, 130 interrupted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router tail
  ipn-router tail --format json | jq 'select(.event == \"attempted\").attempt'")]
pub(super) struct Options {
    /// With json, one line for each.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = screen::stdout();
    let followed = Daemon::of(file)?.follow(TAIL, |line| {
        match options.format {
            Format::Json => {
                out.write_all(line)?;
                writeln!(out)?;
            }
            Format::Text => {
                let line: TailLine =
                    serde_json::from_slice(line).context("the daemon's answer is of another version")?;
                print(&line, &mut out)?;
            }
        }
        out.flush()?;
        Ok(())
    })?;
    match followed {
        Followed::Interrupted => Ok(ExitCode::from(INTERRUPTED)),
        Followed::ToItsEnd => {
            writeln!(io::stderr(), "The daemon has stopped.")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One thing that has happened: what it is about, and below it what became of it.
fn print(line: &TailLine, out: &mut impl Write) -> io::Result<()> {
    match line {
        TailLine::Attempted {
            notification,
            delivery,
            attempt,
        } => {
            writeln!(out, "{} {}", at(attempt.at), notification.id)?;
            writeln!(out, "    {}", attempted(notification, delivery, attempt))
        }
        TailLine::Ended { notification, delivery } => {
            let when = delivery.tried.unwrap_or(delivery.since);
            let what = match delivery.state {
                DeliveryState::Cancelled => "cancelled",
                _ => "given up",
            };
            writeln!(out, "{} {}", at(when), notification.id)?;
            writeln!(
                out,
                "    {} {BAD}{what}{BAD:#} for {}",
                notification.kind, delivery.destination
            )
        }
        TailLine::Missed { count } => writeln!(
            out,
            "{BAD}{count} more, missed: they came faster than they were read{BAD:#}"
        ),
        TailLine::Received { notification } => writeln!(out, "{}", headline(notification)),
    }
}

fn attempted(notification: &NotificationLine, delivery: &DeliveryLine, attempt: &AttemptLine) -> String {
    let (kind, to, took) = (notification.kind, &delivery.destination, attempt.milliseconds);
    let said = answer(attempt);
    if attempt.cause.is_none() {
        let ko = &attempt.detail;
        return format!("{kind} {GOOD}delivered{GOOD:#} to {to}: {said} in {took} ms {ko}")
            .trim_end()
            .to_owned();
    }
    let next = match (delivery.state, delivery.due) {
        // It is newer than the attempt.
        (DeliveryState::Delivered, _) => String::new(),
        (DeliveryState::Waiting, Some(due)) => format!("; again at {}", at(due)),
        (DeliveryState::Waiting, None) => "; it waits".to_owned(),
        (DeliveryState::Cancelled, _) => "; cancelled".to_owned(),
        (DeliveryState::GivenUp, _) => format!("; {BAD}given up{BAD:#}"),
    };
    // The cause may say it all.
    let detail = match &attempt.detail {
        detail if detail.is_empty() || attempt.status.is_some() => String::new(),
        detail => format!(" ({detail})"),
    };
    format!(
        "{kind} {BAD}failed{BAD:#} at {to}, attempt {}: {}{detail} in {took} ms{next}",
        attempt.attempt,
        said.trim_end_matches(" failed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DestinationKey, Format as Written, Kind, Mode, NotificationId, Rendition};
    use crate::route::Standing;

    fn second(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn line(state: DeliveryState, status: Option<u16>, cause: Option<&str>, detail: &str) -> TailLine {
        TailLine::Attempted {
            notification: NotificationLine {
                key: 1,
                id: NotificationId::before(second(0)),
                received_at: second(0),
                legal_entity: "acme".parse().unwrap(),
                named_shop: "12345678".parse().unwrap(),
                mode: Mode::Test,
                format: Written::Form,
                kind: Kind::TokenCreated,
                standing: Standing::Routed,
                token: None,
                transaction: None,
            },
            delivery: DeliveryLine {
                destination: DestinationKey {
                    legal_entity: "acme".parse().unwrap(),
                    shop: "23456789".parse().unwrap(),
                    mode: Mode::Test,
                    rendition: Rendition::Event,
                },
                seq: 4,
                state,
                attempts: 2,
                since: second(0),
                tried: Some(second(1)),
                due: (state == DeliveryState::Waiting).then(|| second(60)),
                replay_of: None,
                paused_since: None,
                down_since: None,
                parked_since: None,
            },
            attempt: AttemptLine {
                attempt: 2,
                at: second(1),
                milliseconds: 12,
                status,
                cause: cause.map(str::to_owned),
                detail: detail.into(),
                answer: String::new(),
            },
        }
    }

    #[test]
    fn what_became_of_a_delivery_is_said_on_one_line() {
        use DeliveryState::{Delivered, GivenUp, Waiting};
        let to = "acme/23456789/TEST/event";
        for (line, says) in [
            (
                line(Delivered, Some(200), None, ""),
                format!("token.created delivered to {to}: 200 in 12 ms"),
            ),
            (
                line(Delivered, Some(200), None, "KO-no"),
                format!("token.created delivered to {to}: 200 KO in 12 ms KO-no"),
            ),
            (
                line(Waiting, Some(503), Some("status"), "HTTP status 503"),
                format!("token.created failed at {to}, attempt 2: 503 in 12 ms; again at 2027-01-15 08:01:00Z"),
            ),
            (
                line(GivenUp, None, Some("connect"), "connection refused"),
                format!("token.created failed at {to}, attempt 2: connect (connection refused) in 12 ms; given up"),
            ),
            (
                line(Delivered, None, Some("time-out"), ""),
                format!("token.created failed at {to}, attempt 2: time-out in 12 ms"),
            ),
        ] {
            let mut out = anstream::StripStream::new(Vec::new());
            print(&line, &mut out).unwrap();
            let text = String::from_utf8(out.into_inner()).unwrap();
            assert!(text.ends_with(&format!("\n    {says}\n")), "{says}\n{text}");
        }
    }
}
