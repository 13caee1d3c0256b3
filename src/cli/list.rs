//! `list`: notifications and their deliveries, as many as were asked for.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::check::Format;
use super::daemon::{Daemon, with_query};
use super::page::{FAINT, at};
use super::screen;
use super::words::{kind_pattern, modes, time};
use crate::admin::{NOTIFICATIONS, Paging};
use crate::domain::{KindPattern, Mode, ShopId};
use crate::outbox::{DeliveryLine, DeliveryState, Item, ItemPage, NotificationLine, Wanted, WantedState};

/// Lists notifications and their deliveries: the newest first; what waits or was given up, the oldest first.
///
/// Exit codes: 0 listed, also if nothing matches, 1 no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router list --state waiting --shop 23456789
  ipn-router list --state given-up --since 1d
  ipn-router list --incident 7
  ipn-router list --transaction 6f5bfb7a0f6d4b59a5b1c7d7a4f0e9c2
  ipn-router list --token 1a2b3c --format json")]
pub(super) struct Options {
    /// What an incident has left: what waits, and what was given up.
    #[arg(long, value_name = "N")]
    incident: Option<i64>,
    #[arg(long, value_enum)]
    state: Option<State>,
    /// The shop that is to get it.
    #[arg(long, value_name = "ID")]
    shop: Option<ShopId>,
    #[arg(long, value_parser = modes())]
    mode: Option<Mode>,
    /// A kind, or all of a family: token.*
    #[arg(long, value_parser = kind_pattern)]
    kind: Option<KindPattern>,
    /// About this token.
    #[arg(long)]
    token: Option<String>,
    /// About the transaction with this uuid: the Back Office and our e-mails name it.
    #[arg(long, value_name = "UUID")]
    transaction: Option<String>,
    /// Received since: 2h (ago), a day, or a time.
    #[arg(long, value_parser = time, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Received before.
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Option<Timestamp>,
    /// No more lines than this.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Cancelled,
    Delivered,
    /// Dead letters: kept, and not tried again.
    GivenUp,
    /// With nowhere to go; what waits for a shop that is not served is waiting.
    Parked,
    /// Waits for a release.
    Quarantined,
    Waiting,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::of(file)?;
    let wanted = options.wanted();
    let mut paging = Paging {
        from: None,
        limit: u32::try_from(options.limit).ok(),
    };
    let mut items: Vec<Item> = Vec::new();
    loop {
        let question = Question {
            wanted: &wanted,
            paging: &paging,
        };
        let page: ItemPage = daemon.look(&with_query(NOTIFICATIONS, &question)?)?;
        items.extend(page.items);
        paging.from = page.next;
        if items.len() >= options.limit || paging.from.is_none() {
            break;
        }
    }
    let is_more = paging.from.is_some() || items.len() > options.limit;
    items.truncate(options.limit);
    let mut out = screen::stdout();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&items)?)?,
        Format::Text => print(&items, is_more, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Question<'a> {
    #[serde(flatten)]
    wanted: &'a Wanted,
    #[serde(flatten)]
    paging: &'a Paging,
}

impl Options {
    fn wanted(&self) -> Wanted {
        Wanted {
            incident: self.incident,
            state: self.state.map(|state| match state {
                State::Cancelled => WantedState::Cancelled,
                State::Delivered => WantedState::Delivered,
                State::GivenUp => WantedState::GivenUp,
                State::Parked => WantedState::Parked,
                State::Quarantined => WantedState::Quarantined,
                State::Waiting => WantedState::Waiting,
            }),
            shop: self.shop,
            mode: self.mode,
            kind: self.kind,
            token: self.token.clone(),
            transaction: self.transaction.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

fn print(items: &[Item], is_more: bool, out: &mut impl Write) -> io::Result<()> {
    let mut last = None;
    for item in items {
        let id = item.notification.id;
        if last != Some(id) {
            writeln!(out, "{}", headline(&item.notification))?;
            last = Some(id);
        }
        match &item.delivery {
            Some(delivery) => {
                let to = &delivery.destination;
                let attempts = match delivery.attempts {
                    1 => "1 attempt".into(),
                    n => format!("{n} attempts"),
                };
                writeln!(
                    out,
                    "    {} to {} {}, {attempts}{}",
                    delivery.state,
                    to.shop,
                    to.rendition,
                    next(delivery)
                )?;
            }
            None => writeln!(out, "    {}, no delivery", item.notification.standing.word())?,
        }
    }
    match (items.len(), is_more) {
        (0, _) => writeln!(out, "Nothing matches."),
        (_, true) => writeln!(out, "{FAINT}There is more: --limit{FAINT:#}"),
        (_, false) => Ok(()),
    }
}

/// When it is tried next, or what keeps it from that.
fn next(delivery: &DeliveryLine) -> String {
    match delivery {
        line if line.state != DeliveryState::Waiting => String::new(),
        line if line.parked_since.is_some() => ", not served".into(),
        line if line.paused_since.is_some() => ", paused".into(),
        line if line.down_since.is_some() => ", down: one probe a minute".into(),
        line => line.due.map_or_else(String::new, |due| format!(", next {}", at(due))),
    }
}

/// A notification on one line or two.
pub(super) fn headline(notification: &NotificationLine) -> String {
    let token = notification
        .token
        .as_ref()
        .map_or_else(String::new, |token| format!(" token {token}"));
    format!(
        "{} {}\n    {} of {} {}{token}",
        at(notification.received_at),
        notification.id,
        notification.kind,
        notification.named_shop,
        notification.mode,
    )
}
