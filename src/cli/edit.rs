//! `edit`: a copy of the configuration in an editor; it takes the file's place once it is good and confirmed.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Args;

use super::check;
use super::daemon::{Daemon, NotRunning};
use super::reload::print;
use crate::admin::{RELOAD, Reload, Verdict, VerdictKind};
use crate::config;

/// Opens a copy of the configuration in $VISUAL or $EDITOR, checks it, shows what it would change, and asks before it
/// replaces the file and reloads the daemon. The file itself is never half-written, and never wrong.
///
/// Included files are edited by hand; `ipn-router diff` and `ipn-router reload` then do the rest.
#[derive(Args, Debug)]
pub(super) struct Options {}

/// What somebody wants.
enum Choice {
    Apply,
    EditAgain,
    Leave,
}

pub(super) fn run(file: &Path, _: &Options) -> anyhow::Result<ExitCode> {
    let original = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    // Beside the file, so that what is named relative to it is found.
    let copy = Copy::of(file, &original)?;
    loop {
        open_editor(&copy.path)?;
        if fs::read(&copy.path)? == original {
            say("Nothing has changed.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let choice = match config::load(&copy.path) {
            Ok(_) => copy.apply_if_wanted(file)?,
            Err(diagnostics) => {
                check::print(&diagnostics, io::stdout().is_terminal(), &mut io::stdout().lock())?;
                ask(
                    "It cannot be used like this. [e]dit again, or [q]uit without changing anything?",
                    false,
                )?
            }
        };
        match choice {
            Choice::Apply => return Ok(ExitCode::SUCCESS),
            Choice::EditAgain => {}
            Choice::Leave => {
                say(&format!("{} is as it was.", file.display()))?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}

/// Deleted when it is dropped.
struct Copy {
    path: PathBuf,
}

impl Copy {
    /// With the rights of the original: it may hold secrets.
    fn of(file: &Path, text: &[u8]) -> anyhow::Result<Self> {
        let name = file
            .file_name()
            .context("the configuration has no name")?
            .to_string_lossy();
        let path = file.with_file_name(format!(".{name}.edit-{}.toml", std::process::id()));
        let copy = Self { path };
        let told = || format!("cannot write {}", copy.path.display());
        fs::write(&copy.path, []).with_context(told)?;
        let rights = fs::metadata(file)?;
        fs::set_permissions(&copy.path, rights.permissions()).with_context(told)?;
        // Only root can give a file away; others own theirs.
        chown(&copy.path, Some(rights.uid()), Some(rights.gid())).ok();
        fs::write(&copy.path, text).with_context(told)?;
        Ok(copy)
    }

    /// Shows what it would do to the daemon, and does it if that is wanted.
    fn apply_if_wanted(&self, file: &Path) -> anyhow::Result<Choice> {
        let daemon = Daemon::of(file)?;
        let wish = Reload {
            dry_run: true,
            instead: Some(fs::canonicalize(&self.path)?),
            ..Reload::default()
        };
        let verdict: Verdict = match daemon.ask(RELOAD, &wish) {
            Ok(verdict) => verdict,
            Err(error) if error.is::<NotRunning>() => return self.install_if_wanted(file),
            Err(error) => return Err(error),
        };
        print(&verdict, file, &mut io::stdout().lock())?;
        let (question, can_apply) = match verdict.verdict {
            VerdictKind::Refused => ("[e]dit again, or [q]uit without changing anything?", false),
            VerdictKind::NeedsConfirmation => ("Apply it ALTHOUGH IT IS DANGEROUS? [y]es, [e]dit again, [q]uit", true),
            _ => ("Apply it? [y]es, [e]dit again, [q]uit without changing anything", true),
        };
        let choice = ask(question, can_apply)?;
        if matches!(choice, Choice::Apply) {
            self.take_the_place_of(file)?;
            let wish = Reload {
                confirm: verdict.verdict == VerdictKind::NeedsConfirmation,
                ..Reload::default()
            };
            let verdict: Verdict = daemon.ask(RELOAD, &wish)?;
            if matches!(verdict.verdict, VerdictKind::Applied | VerdictKind::Unchanged) {
                say(&format!("Applied: configuration {} runs.", verdict.running))?;
            } else {
                print(&verdict, file, &mut io::stdout().lock())?;
                bail!("{} was replaced, but the daemon does not run by it", file.display());
            }
        }
        Ok(choice)
    }

    /// A link to the file stays one.
    fn take_the_place_of(&self, file: &Path) -> anyhow::Result<()> {
        let replaced = fs::canonicalize(file).and_then(|file| fs::rename(&self.path, file));
        replaced.with_context(|| format!("cannot replace {}", file.display()))
    }

    fn install_if_wanted(&self, file: &Path) -> anyhow::Result<Choice> {
        say("It has no errors. No daemon answers, so nothing will change before its next start.")?;
        let choice = ask("Keep it? [y]es, [e]dit again, [q]uit without changing anything", true)?;
        if matches!(choice, Choice::Apply) {
            self.take_the_place_of(file)?;
        }
        Ok(choice)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It is gone if it took the file's place.
        fs::remove_file(&self.path).ok();
    }
}

fn open_editor(path: &Path) -> anyhow::Result<()> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // As git does: it may have arguments.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .with_context(|| format!("cannot run {editor}"))?;
    if !status.success() {
        bail!("{editor} has failed ({status}); nothing was changed");
    }
    Ok(())
}

fn ask(question: &str, can_apply: bool) -> anyhow::Result<Choice> {
    loop {
        write!(io::stdout(), "{question} ")?;
        io::stdout().flush()?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer)? == 0 {
            return Ok(Choice::Leave);
        }
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" if can_apply => return Ok(Choice::Apply),
            "e" | "edit" => return Ok(Choice::EditAgain),
            "q" | "quit" | "n" | "no" => return Ok(Choice::Leave),
            _ => {}
        }
    }
}

fn say(words: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{words}")
}
