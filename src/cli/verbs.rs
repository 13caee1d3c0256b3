//! `pause`, `resume`, `replay`, `cancel`, `release`, `backfill`: what operators ask of the engine.
//!
//! The daemon writes a wish down before anything is done, and does it to its end whether or not anybody waits. The
//! command only looks on.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::check::Format;
use super::daemon::{Daemon, runtime};
use super::page::beside;
use super::words::{duration, kind_pattern, modes, time};
use crate::admin::{AskedVerb, VERBS, VerbStanding, VerbStatus, VerbWish};
use crate::domain::{
    Clock, DestinationFilter, Ended, KindPattern, Mode, NotificationId, Pause, Period, Scope, Selection, ShopId,
    SystemClock, Verb,
};
use crate::outbox::{VerbId, VerbResult};

/// How often it looks how far the daemon has come.
const EVERY: Duration = Duration::from_millis(200);
/// As a shell says it of a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

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
/// Exit codes: 0 something is cancelled, 1 nothing is, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router cancel --notification 01990a7c-7e5b-7000-8000-0123456789ab --shop 23456789")]
pub(super) struct CancelOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
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
    do_it(file, verb, false, options.format)
}

pub(super) fn resume(file: &Path, options: &ResumeOptions) -> anyhow::Result<ExitCode> {
    do_it(file, Verb::Resume(options.which.filter()), false, options.format)
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
    do_it(file, verb, options.dry_run, options.format)
}

pub(super) fn cancel(file: &Path, options: &CancelOptions) -> anyhow::Result<ExitCode> {
    do_it(
        file,
        Verb::Cancel(options.chosen.selection()?),
        options.dry_run,
        options.format,
    )
}

pub(super) fn release(file: &Path, options: &ReleaseOptions) -> anyhow::Result<ExitCode> {
    let notification = options.id;
    do_it(file, Verb::Release { notification }, options.dry_run, options.format)
}

pub(super) fn backfill(file: &Path, options: &BackfillOptions) -> anyhow::Result<ExitCode> {
    let verb = Verb::Backfill {
        shop: options.shop,
        mode: options.mode,
        received: period(options.since, options.until),
    };
    do_it(file, verb, options.dry_run, options.format)
}

fn period(since: Option<Timestamp>, until: Option<Timestamp>) -> Period {
    Period {
        from: since.unwrap_or(Timestamp::UNIX_EPOCH),
        until: until.unwrap_or(Timestamp::MAX),
    }
}

fn do_it(file: &Path, verb: Verb, dry_run: bool, format: Format) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::of(file)?;
    let replays = matches!(verb, Verb::Replay { .. });
    let asked: AskedVerb = daemon.ask(VERBS, &VerbWish { verb, dry_run })?;
    let (id, result) = match asked {
        AskedVerb::Foreseen(result) => (None, Some(result)),
        AskedVerb::Asked(id) => (Some(id), wait_for(&daemon, id)?),
    };
    let Some(result) = result else {
        eprint_interrupted(id)?;
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => {
            let json = json!({ "verb": id, "dry_run": dry_run, "result": result });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => print(&result, dry_run, replays, &mut out)?,
    }
    let is_done = result.done > 0 && result.failed.is_none();
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn eprint_interrupted(id: Option<VerbId>) -> io::Result<()> {
    let number = id.map_or_else(String::new, |id| format!(" (number {id})"));
    writeln!(
        io::stderr(),
        "The daemon carries it out all the same{number}; ipn-router status says whether something is still to be done."
    )
}

fn print(result: &VerbResult, dry_run: bool, replays: bool, out: &mut impl Write) -> io::Result<()> {
    if dry_run {
        writeln!(out, "This would come of it: {result}. Nothing was done.")?;
    } else {
        writeln!(out, "{}.", capitalized(&result.to_string()))?;
    }
    if replays && result.done > 0 {
        let text = "What is replayed goes to the end of its token's queue: it arrives after newer notifications of \
                    that token.";
        beside(out, "", 0, text)?;
    }
    Ok(())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Until it is done; `None` if whoever waits does not want to any more.
fn wait_for(daemon: &Daemon, id: VerbId) -> anyhow::Result<Option<VerbResult>> {
    let path = format!("{VERBS}/{id}");
    runtime()?.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        let mut progress = Progress::default();
        loop {
            let status: VerbStatus = daemon.look_on(&path).await?;
            if status.standing == VerbStanding::Done {
                progress.end();
                return Ok(Some(status.result));
            }
            progress.show(&status);
            tokio::select! {
                _ = &mut interrupted => {
                    progress.end();
                    return Ok(None);
                }
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    })
}

/// How far it has come, on a terminal only.
#[derive(Default)]
struct Progress {
    bar: Option<ProgressBar>,
    most_left: u64,
}

impl Progress {
    fn show(&mut self, status: &VerbStatus) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.most_left = self.most_left.max(status.left);
        let bar = self.bar.get_or_insert_with(ProgressBar::no_length);
        // A backfill does not know how much there is to look at.
        if self.most_left > 0 {
            bar.set_length(self.most_left);
            bar.set_position(self.most_left - status.left);
        }
        let template = if self.most_left > 0 {
            "[{bar:30}] {percent}% {msg}"
        } else {
            "{spinner} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{} done", status.result.done));
        bar.tick();
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
