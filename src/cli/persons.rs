//! `export` and `forget`: for who answers for the company's personal data.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::check::Format;
use super::daemon::{Daemon, HUNG_UP};
use super::page::beside;
use super::percent::Percent;
use super::screen;
use crate::admin::{EXPORT, ExportWish, ExportedNotification, FORGET, ForgetWish, Forgotten, PersonLine};
use crate::domain::Person;

/// Whose data.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Of the holder of this stored card: the whole token.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Of this customer: the shop's own id of it, or the e-mail address, as the notifications have it.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
}

impl Whose {
    fn person(&self) -> anyhow::Result<Person> {
        match (&self.token, &self.customer) {
            (Some(token), _) if !token.is_empty() => Ok(Person::Token(token.clone())),
            (_, Some(customer)) if !customer.is_empty() => Ok(Person::Customer(customer.clone())),
            _ => bail!("say whose: --token TOKEN or --customer ID"),
        }
    }

    /// That nothing was found, and why that may be.
    fn nothing(&self) -> &'static str {
        match self.token {
            Some(_) => "Nothing about this token is kept.",
            None => {
                "Nothing about this customer is kept that could be found: only notifications that have their bodies say \
                 whom they are about ([store] keep_bodies). What is older is found by the token."
            }
        }
    }
}

/// Writes everything that is kept about a person: notifications with what the gateway has sent, deliveries, attempts,
/// what shops have answered (masked).
///
/// A customer is found as long as the bodies are kept (`keep_bodies`), and with the customer everything about the
/// tokens that stand there; by the token everything is found. Who has asked is kept, but not for whom.
///
/// Exit codes: 0 written, 1 nothing is kept, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router export --customer C-42 > C-42.json
  ipn-router export --token 0a1b2c3d4e5f60718293a4b5c6d7e8f9")]
pub(super) struct ExportOptions {
    #[command(flatten)]
    whose: Whose,
    /// There is no other.
    #[arg(long, value_parser = ["json"], default_value = "json")]
    format: String,
}

/// Erases what says who a person is: bodies, tokens, what shops have answered. Ids, times, kinds and states stay, so that
/// a repeated notification is still known.
///
/// What still waits for a shop, or for a release, is left as it is, unless --cancel is given. A customer is found as
/// long as the bodies are kept; export says more about that. Who has asked is kept, but not for whom. Backups, the
/// mailboxes of on-call and the shops themselves have it all still.
///
/// Exit codes: 0 erased, 1 something is left, or nothing is kept, or no daemon answers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router forget --customer C-42 --dry-run
  ipn-router forget --customer ann@example.com --yes
  ipn-router forget --token 0a1b2c3d4e5f60718293a4b5c6d7e8f9 --cancel")]
pub(super) struct ForgetOptions {
    #[command(flatten)]
    whose: Whose,
    /// Also what still waits: no shop gets it any more.
    #[arg(long)]
    cancel: bool,
    /// Only says what would be erased.
    #[arg(long)]
    dry_run: bool,
    /// Without a question.
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn export(file: &Path, options: &ExportOptions) -> anyhow::Result<ExitCode> {
    let person = options.whose.person()?;
    let mut notifications: Vec<Box<ExportedNotification>> = Vec::new();
    let keep = |notification| notifications.push(notification);
    let PersonLine::Exported(found) = ask(&Daemon::of(file)?, EXPORT, &ExportWish { person }, keep)? else {
        bail!(OTHER_VERSION);
    };
    writeln!(screen::stdout(), "{:#}", json!({ "notifications": notifications }))?;
    if found > 0 {
        return Ok(ExitCode::SUCCESS);
    }
    beside(&mut io::stderr(), "", 0, options.whose.nothing())?;
    Ok(ExitCode::FAILURE)
}

pub(super) fn forget(file: &Path, options: &ForgetOptions) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::of(file)?;
    let person = options.whose.person()?;
    let ask_to_forget = |dry_run| {
        let (person, cancel) = (person.clone(), options.cancel);
        let wish = ForgetWish {
            person,
            cancel,
            dry_run,
        };
        match ask(&daemon, FORGET, &wish, drop)? {
            PersonLine::Forgotten(forgotten) => Ok(forgotten),
            _ => bail!(OTHER_VERSION),
        }
    };
    if !options.dry_run && !options.yes {
        let foreseen = ask_to_forget(true)?;
        if foreseen.erased > 0 && !is_wanted(foreseen)? {
            bail!("nothing was erased: it wants a yes, or --yes");
        }
    }
    let forgotten = ask_to_forget(options.dry_run)?;
    let mut out = screen::stdout();
    match options.format {
        Format::Json => {
            let json = json!({ "dry_run": options.dry_run, "result": forgotten });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => print(forgotten, options, &mut out)?,
    }
    let is_whole = forgotten.waiting == 0 && (forgotten.log_emptied || options.dry_run);
    Ok(match forgotten.erased > 0 && is_whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn is_wanted(foreseen: Forgotten) -> io::Result<bool> {
    let of = notifications(foreseen.erased);
    write!(
        io::stderr(),
        "Erase what is said about this person in {of}? It cannot be undone. [y/N] "
    )?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn print(forgotten: Forgotten, options: &ForgetOptions, out: &mut impl Write) -> io::Result<()> {
    let Forgotten {
        erased,
        waiting,
        log_emptied,
    } = forgotten;
    if erased + waiting == 0 {
        return beside(out, "", 0, options.whose.nothing());
    }
    let verb = |count, one, many| match (options.dry_run, count) {
        (true, _) => "would",
        (false, 1) => one,
        (false, _) => many,
    };
    let says = verb(erased, "does", "do");
    let mut text = format!("{} {says} not tell of this person any more.", notifications(erased));
    if waiting > 0 {
        let says = verb(waiting, "does", "do");
        text += &format!(
            " {} still {says}, because something waits for a shop or for a release: ask again later, or with \
             --cancel.",
            notifications(waiting)
        );
    }
    if !log_emptied && !options.dry_run {
        text += " Somebody reads in the store (a backup?), so that its log could not be emptied, where copies may stand: \
                 ask again later.";
    }
    beside(out, "", 0, &text)
}

fn notifications(count: u64) -> String {
    let noun = if count == 1 { "notification" } else { "notifications" };
    format!("{count} {noun}")
}

const OTHER_VERSION: &str = "the daemon's answer is of another version";

/// Asks, and shows how far the daemon has come; returns the last line, which is none of its failure.
fn ask(
    daemon: &Daemon,
    path: &str,
    wish: &impl Serialize,
    mut keep: impl FnMut(Box<ExportedNotification>),
) -> anyhow::Result<PersonLine> {
    let mut looking = Percent::of("looked at");
    let mut end = None;
    daemon.ask_and_follow(path, wish, |line| {
        match serde_json::from_slice(line).context(OTHER_VERSION)? {
            PersonLine::Failed(why) => bail!(why),
            PersonLine::Looking(percent) => looking.show(percent.into()),
            PersonLine::Notification(notification) => keep(notification),
            last @ (PersonLine::Exported(_) | PersonLine::Forgotten(_)) => end = Some(last),
        }
        Ok(())
    })?;
    end.context(HUNG_UP)
}
