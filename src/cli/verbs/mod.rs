//! `pause`, `resume`, `replay`, `cancel`, `release`, `backfill`: what operators ask of the engine.
//!
//! The daemon writes a wish down before anything is done, and does it to its end whether or not anybody waits. The
//! command only looks on.

mod wish;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::check::Format;
use super::words::{duration, kind_pattern, modes, time};
use crate::domain::{
    Clock, DestinationFilter, Ended, KindPattern, Mode, NotificationId, Pause, Period, Scope, Selection, ShopId,
    SystemClock, Verb,
};
use wish::Wish;

/// Which destinations are meant.
#[derive(Args, Clone, Debug)]
struct Which {
    #[arg(long, value_name = "ID")]
    shop: ShopId,
    /// By default both.
    #[arg(long, value_parser = modes())]
    mode: Option<Mode>,
}

impl Which {
    fn filter(&self) -> DestinationFilter {
        DestinationFilter {
            shop: Some(self.shop),
            mode: self.mode,
            ..DestinationFilter::default()
        }
    }
}

/// Sends nothing to a shop until it is resumed. What arrives for it waits.
///
/// Exit codes: 0 done, 1 there is no such shop, or it is paused already, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router pause --shop 23456789 --mode production --for 2h
  ipn-router pause --shop 23456789")]
pub(super) struct PauseOptions {
    #[command(flatten)]
    which: Which,
    /// It goes on by itself after this time.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Lets a shop that was paused go on: everything that waits is sent.
///
/// Exit codes: 0 done, 1 it was not paused, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router resume --shop 23456789 --mode production")]
pub(super) struct ResumeOptions {
    #[command(flatten)]
    which: Which,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Which deliveries are meant.
#[derive(Args, Clone, Debug)]
struct Chosen {
    /// What this incident has made of them.
    #[arg(long, value_name = "N", conflicts_with_all = ["notification", "since", "until"])]
    incident: Option<i64>,
    /// Those of this notification.
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until"])]
    notification: Option<NotificationId>,
    /// To this shop.
    #[arg(long, value_name = "ID")]
    shop: Option<ShopId>,
    #[arg(long, value_parser = modes())]
    mode: Option<Mode>,
    /// A kind, or all of a family: token.*
    #[arg(long, value_parser = kind_pattern)]
    kind: Option<KindPattern>,
    /// Received since: 2h (ago), a day, or a time.
    #[arg(long, value_parser = time, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Received before.
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl Chosen {
    fn selection(&self) -> anyhow::Result<Selection> {
        let scope = match (self.incident, self.notification) {
            (Some(number), _) => Scope::Incident(number),
            (None, Some(id)) => Scope::Notification(id),
            (None, None) if self.shop.is_none() && self.since.is_none() => {
                anyhow::bail!("say which: --incident N, --notification ID, --shop ID, or --since TIME")
            }
            (None, None) => Scope::Received(period(self.since, self.until)),
        };
        Ok(Selection {
            scope,
            destinations: DestinationFilter {
                shop: self.shop,
                mode: self.mode,
                ..DestinationFilter::default()
            },
            kind: self.kind,
        })
    }
}

/// Delivers once more what was given up; or, of one notification or with --state, what has ended in another way.
///
/// A replay goes to the end of its token's queue: what was given up arrives after newer notifications of that token.
///
/// What is replayed of a time, or to a shop, is counted first, and has to be agreed to.
///
/// Exit codes: 0 something is replayed, 1 nothing is, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router replay --incident 7 --dry-run
  ipn-router replay --incident 7
  ipn-router replay --notification 01990a7c-7e5b-7000-8000-0123456789ab --shop 23456789
  ipn-router replay --shop 23456789 --mode production --since 1d")]
pub(super) struct ReplayOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// How it must have ended.
    #[arg(long, value_enum)]
    state: Option<EndedState>,
    /// With a webhook-id of its own, for a shop that would take it for one that it has.
    #[arg(long)]
    as_new: bool,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Asks nothing.
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EndedState {
    Cancelled,
    Delivered,
    GivenUp,
}

/// Gives up waiting deliveries for good, so that what waits behind them goes on. They can be replayed.
///
/// Unless one notification is named, they are counted first, and that has to be agreed to.
///
/// Exit codes: 0 something is cancelled, 1 nothing is, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router cancel --notification 01990a7c-7e5b-7000-8000-0123456789ab --shop 23456789
  ipn-router cancel --shop 23456789 --mode test --since 2h")]
pub(super) struct CancelOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Asks nothing.
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Sends a notification on its way that is in quarantine, or was parked, by the configuration of now.
///
/// Exit codes: 0 done, 1 it is not held, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router list --state quarantined
  ipn-router release 01990a7c-7e5b-7000-8000-0123456789ab")]
pub(super) struct ReleaseOptions {
    id: NotificationId,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Gives a shop that joined later what it would have got, as far back as bodies are kept.
///
/// How much that is is said first, and has to be agreed to.
///
/// Exit codes: 0 something is sent, 1 nothing is, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router backfill --shop 34567890 --mode production --dry-run
  ipn-router backfill --shop 34567890 --mode production --since 2026-03-01")]
pub(super) struct BackfillOptions {
    #[arg(long, value_name = "ID")]
    shop: ShopId,
    #[arg(long, value_parser = modes())]
    mode: Mode,
    /// Received since: 2h (ago), a day, or a time.
    #[arg(long, value_parser = time, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Received before.
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Asks nothing.
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn pause(file: &Path, options: &PauseOptions) -> anyhow::Result<ExitCode> {
    let until = match options.lasts {
        Some(lasts) => Some(SystemClock.now().checked_add(lasts)?),
        None => None,
    };
    let verb = Verb::Pause(Pause {
        destinations: options.which.filter(),
        until,
    });
    Wish::of(verb).carry_out(file, options.format)
}

pub(super) fn resume(file: &Path, options: &ResumeOptions) -> anyhow::Result<ExitCode> {
    Wish::of(Verb::Resume(options.which.filter())).carry_out(file, options.format)
}

pub(super) fn replay(file: &Path, options: &ReplayOptions) -> anyhow::Result<ExitCode> {
    let ended = options.state.map(|state| match state {
        EndedState::Cancelled => Ended::Cancelled,
        EndedState::Delivered => Ended::Delivered,
        EndedState::GivenUp => Ended::DeadLetter,
    });
    let verb = Verb::Replay {
        which: options.chosen.selection()?,
        ended,
        as_new: options.as_new,
    };
    Wish {
        verb,
        dry_run: options.dry_run,
        yes: options.yes,
    }
    .carry_out(file, options.format)
}

pub(super) fn cancel(file: &Path, options: &CancelOptions) -> anyhow::Result<ExitCode> {
    Wish {
        verb: Verb::Cancel(options.chosen.selection()?),
        dry_run: options.dry_run,
        yes: options.yes,
    }
    .carry_out(file, options.format)
}

pub(super) fn release(file: &Path, options: &ReleaseOptions) -> anyhow::Result<ExitCode> {
    let notification = options.id;
    Wish {
        dry_run: options.dry_run,
        ..Wish::of(Verb::Release { notification })
    }
    .carry_out(file, options.format)
}

pub(super) fn backfill(file: &Path, options: &BackfillOptions) -> anyhow::Result<ExitCode> {
    let verb = Verb::Backfill {
        shop: options.shop,
        mode: options.mode,
        received: period(options.since, options.until),
    };
    Wish {
        verb,
        dry_run: options.dry_run,
        yes: options.yes,
    }
    .carry_out(file, options.format)
}

fn period(since: Option<Timestamp>, until: Option<Timestamp>) -> Period {
    Period {
        from: since.unwrap_or(Timestamp::UNIX_EPOCH),
        until: until.unwrap_or(Timestamp::MAX),
    }
}
