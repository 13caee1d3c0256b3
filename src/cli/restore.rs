//! `restore`: a copy of the store takes its place.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::backup::store_of;
use super::check::Format;
use super::page::{size, wrapped};
use super::screen;
use super::typed;
use crate::domain::{Clock, SystemClock};
use crate::outbox::Restore;

/// Puts a copy that `backup` made into the store's place; the store is moved aside, and nothing is deleted.
///
/// No daemon may run: stop it, and ipn-router.socket, which would start it again. The copy is checked first, and stays
/// where it is. If this is killed, at whatever moment, no daemon starts with half of it: ask for it again.
///
/// What waited when the copy was made is delivered again, with the same webhook-id. What the gateway was answered 200 for
/// since then is not in the copy: have it sent again from the Back Office. Run it as root, or as the user that the daemon
/// runs as.
///
/// Exit codes: 0 restored, 1 not.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  systemctl stop ipn-router.socket ipn-router.service
  ipn-router restore /var/backups/ipn-router-2026-03-01.db
  systemctl start ipn-router.socket ipn-router.service")]
pub(super) struct Options {
    /// The copy.
    file: PathBuf,
    /// Without asking.
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let store = store_of(file)?;
    let cannot = || format!("cannot restore {} to {}", options.file.display(), store.display());
    let restore = Restore::prepare(&options.file, &store).with_context(cannot)?;
    let holds = restore.holds();
    if !options.yes {
        write!(
            io::stderr(),
            "The copy is whole: {}, {} notifications, {} deliveries that wait.\n\
             It takes the place of {}, which is moved aside. Go on? [y]es, [n]o ",
            size(holds.bytes),
            holds.notifications,
            holds.waiting,
            store.display()
        )?;
        if !is_yes()? {
            restore.leave()?;
            writeln!(io::stderr(), "The store is as it was.")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let aside = restore.carry_out(SystemClock.now()).with_context(cannot)?;
    let mut out = screen::stdout();
    match options.format {
        Format::Json => {
            let json = json!({
                "store": store,
                "moved_to": aside,
                "bytes": holds.bytes,
                "notifications": holds.notifications,
                "waiting": holds.waiting,
            });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => {
            let (store, aside) = (store.display(), aside.display());
            writeln!(
                out,
                "Restored: {store}, {} notifications, {} deliveries that wait.\nWhat was there is in {aside}.\n",
                holds.notifications, holds.waiting,
            )?;
            for line in [
                "- Start the daemon: systemctl start ipn-router.socket ipn-router.service (the socket if it is enabled).",
                "- What waited when the copy was made is delivered again by itself, with the same webhook-id.",
                "- What the gateway was answered 200 for since then is not in it: have it sent again from the Back Office.",
                &format!(
                    "- {aside} holds personal data, which `{}` does not reach: delete it once nobody needs it.",
                    typed("forget", file)
                ),
            ] {
                writeln!(out, "{}", wrapped(line, 118).join("\n  "))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody there to answer means no.
fn is_yes() -> io::Result<bool> {
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
