//! `show` and `where`: one notification or incident, and what became of a token at a shop.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::check::Format;
use super::daemon::{Daemon, with_query};
use super::list::headline;
use super::page::{at, beside};
use super::screen;
use super::status::{answer, counted, print_incident};
use crate::admin::{
    INCIDENTS, NOTIFICATIONS, ShownIncident, ShownNotification, ToldDelivery, WHERE, WhereQuery, Whereabouts, Why,
};
use crate::domain::{Clock, NotificationId, ShopId, SystemClock};

/// Shows one notification with its deliveries and attempts, or one incident.
///
/// Exit codes: 0 shown, 1 there is none, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router show 01990a7c-7e5b-7000-8000-0123456789ab
  ipn-router show incident 7")]
pub(super) struct ShowOptions {
    /// The id of a notification, or `incident` and its number.
    #[arg(required = true, num_args = 1..=2, value_names = ["ID | incident", "N"])]
    what: Vec<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Says where the notifications about a token are, and why a shop has not got them.
///
/// Exit codes: 0 something about the token was received, 1 nothing was, so that nothing is known, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router where --token 1a2b3c4d5e6f --shop 23456789")]
pub(super) struct WhereOptions {
    #[arg(long)]
    token: String,
    /// The shop that misses it.
    #[arg(long, value_name = "ID")]
    shop: ShopId,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &ShowOptions) -> anyhow::Result<ExitCode> {
    let what: Vec<&str> = options.what.iter().map(String::as_str).collect();
    let daemon = Daemon::of(file)?;
    let mut out = screen::stdout();
    match what[..] {
        ["incident", number] => {
            let number: i64 = number
                .parse()
                .map_err(|_| anyhow::anyhow!("incidents have numbers: {number} is none"))?;
            let shown: ShownIncident = daemon.look(&format!("{INCIDENTS}/{number}"))?;
            match options.format {
                Format::Json => writeln!(out, "{:#}", serde_json::to_value(&shown)?)?,
                Format::Text => {
                    print_incident(&shown.line, SystemClock.now(), &mut out)?;
                    beside(&mut out, "  waiting", COLUMN, &waiting(&shown))?;
                }
            }
        }
        [id] => {
            let id: NotificationId = id.parse()?;
            let shown: ShownNotification = daemon.look(&format!("{NOTIFICATIONS}/{id}"))?;
            match options.format {
                Format::Json => writeln!(out, "{:#}", serde_json::to_value(&shown)?)?,
                Format::Text => print(&shown, &mut out)?,
            }
        }
        _ => anyhow::bail!("say the id of a notification, or: incident N"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn find(file: &Path, options: &WhereOptions) -> anyhow::Result<ExitCode> {
    let question = WhereQuery {
        token: options.token.clone(),
        shop: options.shop,
    };
    let found: Whereabouts = Daemon::of(file)?.look(&with_query(WHERE, &question)?)?;
    let mut out = screen::stdout();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&found)?)?,
        Format::Text => print_where(&found, &mut out)?,
    }
    Ok(match found.notifications.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

const COLUMN: usize = 13;

/// How many wait for the destination of an incident, and until when.
fn waiting(shown: &ShownIncident) -> String {
    let count = counted(shown.load.waiting);
    match (
        shown.parked_since,
        shown.paused_since,
        shown.down_since,
        shown.load.next_attempt,
    ) {
        (Some(_), ..) => format!("{count}; the destination is not served"),
        (None, Some(_), ..) => format!("{count}; the destination is paused"),
        (None, None, Some(_), _) => format!("{count}; down: one probe a minute"),
        (None, None, None, Some(next)) => format!("{count}; the next attempt {}", at(next)),
        (None, None, None, None) => count,
    }
}

fn print(shown: &ShownNotification, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", headline(&shown.notification))?;
    let notification = &shown.notification;
    beside(out, "company", COLUMN, notification.legal_entity.as_str())?;
    beside(out, "format", COLUMN, notification.format.word())?;
    if let Some(transaction) = &notification.transaction {
        beside(out, "transaction", COLUMN, transaction)?;
    }
    if let Some(first) = shown.resend_of {
        beside(out, "resend of", COLUMN, &first.to_string())?;
    }
    if let Some(configuration) = &shown.configuration {
        let hash: String = configuration.hash.chars().take(12).collect();
        let text = format!(
            "{hash}, applied {} by {}",
            at(configuration.applied_at),
            configuration.applied_by
        );
        beside(out, "routed by", COLUMN, &text)?;
    }
    beside(out, "standing", COLUMN, notification.standing.word())?;
    if !shown.has_body {
        beside(out, "body", COLUMN, "deleted after its time")?;
    }
    if shown.deliveries.is_empty() {
        writeln!(out, "\nNo delivery.")?;
    }
    for told in &shown.deliveries {
        writeln!(out)?;
        print_delivery(told, out)?;
        for attempt in &told.delivery.last_attempts {
            let text = format!("{} in {} ms: {}", at(attempt.at), attempt.milliseconds, answer(attempt));
            beside(out, &format!("  attempt {}", attempt.attempt), COLUMN, &text)?;
            for said in [&attempt.detail, &attempt.answer] {
                if !said.is_empty() {
                    beside(out, "", COLUMN, said)?;
                }
            }
        }
    }
    Ok(())
}

fn print_delivery(told: &ToldDelivery, out: &mut impl Write) -> io::Result<()> {
    let line = &told.delivery.line;
    let replayed = line.replay_of.map_or("", |_| ", a replay");
    writeln!(out, "{}: {}{replayed}", line.destination, line.state)?;
    print_why(&told.why, out)
}

/// With the command on a line of its own, to be copied.
fn print_why(why: &Why, out: &mut impl Write) -> io::Result<()> {
    beside(out, "", 2, &why.why)?;
    match &why.command {
        Some(command) => writeln!(out, "    {command}"),
        None => Ok(()),
    }
}

fn print_where(found: &Whereabouts, out: &mut impl Write) -> io::Result<()> {
    let Whereabouts {
        token,
        shop,
        notifications,
    } = found;
    if notifications.is_empty() {
        let text = format!(
            "Nothing about token {token} was ever received here, or it was deleted after its time. What a shop's \
             server does by web service is not notified by the gateway at all."
        );
        return beside(out, "", 0, &text);
    }
    writeln!(out, "Token {token}, for shop {shop}, the newest first:")?;
    for found in notifications {
        writeln!(out, "\n{}", headline(&found.notification))?;
        for told in &found.deliveries {
            print_delivery(told, out)?;
        }
        if let Some(why) = &found.why_none {
            print_why(why, out)?;
        }
    }
    Ok(())
}
