//! `reload` and `diff`: the file, and what runs.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::check::{CONFIGURATION_ERROR, Format};
use super::daemon::Daemon;
use super::typed;
use crate::admin::{RELOAD, Reload, Verdict, VerdictKind};

/// Has the running daemon read its configuration again: all of it is applied, or nothing.
///
/// Exit codes: 0 it runs, or nothing has changed; 1 it is dangerous and wants --confirm, or no daemon answers; 78 it
/// has errors.
#[derive(Args, Debug)]
pub(super) struct ReloadOptions {
    /// Apply it also if it moves a shop to another company, or drops a destination that deliveries wait for.
    #[arg(long)]
    confirm: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Says what a reload would change in the running daemon, and what it does to what waits. Changes nothing.
///
/// Exit codes: 0 it could be applied, or nothing differs; 1 no daemon answers; 78 it has errors.
#[derive(Args, Debug)]
pub(super) struct DiffOptions {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(file: &Path, options: &ReloadOptions) -> anyhow::Result<ExitCode> {
    let wish = Reload {
        confirm: options.confirm,
        ..Reload::default()
    };
    let verdict: Verdict = Daemon::of(file)?.ask(RELOAD, &wish)?;
    tell(&verdict, file, options.format)?;
    Ok(match verdict.verdict {
        VerdictKind::Applied | VerdictKind::Unchanged | VerdictKind::WouldApply => ExitCode::SUCCESS,
        VerdictKind::NeedsConfirmation => ExitCode::FAILURE,
        VerdictKind::Refused => ExitCode::from(CONFIGURATION_ERROR),
    })
}

pub(super) fn diff(file: &Path, options: &DiffOptions) -> anyhow::Result<ExitCode> {
    let wish = Reload {
        dry_run: true,
        ..Reload::default()
    };
    let verdict: Verdict = Daemon::of(file)?.ask(RELOAD, &wish)?;
    tell(&verdict, file, options.format)?;
    Ok(match verdict.verdict {
        VerdictKind::Refused => ExitCode::from(CONFIGURATION_ERROR),
        _ => ExitCode::SUCCESS,
    })
}

fn tell(verdict: &Verdict, file: &Path, format: Format) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(verdict)?)?,
        Format::Text => print(verdict, file, &mut out)?,
    }
    Ok(())
}

/// The verdict, for people: what is to be said of the file, what changes, and in the last line what became of it.
pub(super) fn print(verdict: &Verdict, file: &Path, out: &mut impl Write) -> io::Result<()> {
    for problem in &verdict.problems {
        writeln!(out, "{}\n", problem.text.trim_end())?;
    }
    for change in &verdict.changes {
        writeln!(out, "- {}", change.what)?;
        if let Some(effect) = &change.effect {
            writeln!(out, "    {effect}")?;
        }
        if let Some(danger) = &change.danger {
            writeln!(out, "    DANGER: {danger}")?;
        }
    }
    if !verdict.changes.is_empty() {
        writeln!(out)?;
    }
    let running = &verdict.running;
    match verdict.verdict {
        VerdictKind::Applied => writeln!(out, "Applied: configuration {running} runs."),
        VerdictKind::NeedsConfirmation => writeln!(
            out,
            "Not applied: this is dangerous. If you mean it: {}\n\
             Configuration {running} runs on.",
            typed("reload --confirm", file)
        ),
        VerdictKind::Refused => writeln!(out, "Not applied. Configuration {running} runs on, unchanged."),
        VerdictKind::Unchanged => writeln!(out, "Nothing has changed: configuration {running} runs."),
        VerdictKind::WouldApply => writeln!(out, "This would be applied by: {}", typed("reload", file)),
    }
}
