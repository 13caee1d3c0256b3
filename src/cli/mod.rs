//! What the program does when it is called: one file for each group of commands.

mod ack;
mod backup;
mod check;
mod daemon;
mod demo;
mod doctor;
mod edit;
mod explain;
mod init;
mod list;
mod mail_test;
mod manual;
mod page;
mod percent;
mod persons;
mod reload;
mod restore;
mod runbook;
mod schema;
mod screen;
mod send;
mod serve;
mod show;
pub mod simulator;
mod status;
mod systemd;
mod tail;
mod verbs;
mod verify;
mod words;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Loaded};

/// Forwards a payment gateway's token notifications to every shop of the company, and loses none.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// The configuration.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = config::DEFAULT_FILE
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ack(ack::Options),
    Backfill(verbs::BackfillOptions),
    Backup(backup::Options),
    Cancel(verbs::CancelOptions),
    Check(check::Options),
    Completions(manual::CompletionsOptions),
    Demo(demo::Options),
    Doctor(doctor::Options),
    Diff(reload::DiffOptions),
    Edit(edit::Options),
    Explain(explain::Options),
    Export(persons::ExportOptions),
    Forget(persons::ForgetOptions),
    Init(init::Options),
    List(list::Options),
    MailTest(mail_test::Options),
    Man(manual::ManOptions),
    Pause(verbs::PauseOptions),
    Release(verbs::ReleaseOptions),
    Reload(reload::ReloadOptions),
    Replay(verbs::ReplayOptions),
    Restore(restore::Options),
    Resume(verbs::ResumeOptions),
    Runbook(runbook::Options),
    Schema(schema::Options),
    Send(send::Options),
    Serve(serve::Options),
    Show(show::ShowOptions),
    Status(status::Options),
    Tail(tail::Options),
    Verify(verify::Options),
    Where(show::WhereOptions),
}

/// Does what was asked for.
///
/// # Errors
///
/// What kept it from doing so, for the standard error.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Ack(options) => ack::run(&arguments.config, &options),
        Command::Backfill(options) => verbs::backfill(&arguments.config, &options),
        Command::Backup(options) => backup::run(&arguments.config, &options),
        Command::Cancel(options) => verbs::cancel(&arguments.config, &options),
        Command::Check(options) => check::run(&arguments.config, &options),
        Command::Completions(options) => Ok(manual::completions(&options)),
        Command::Demo(options) => demo::run(&options),
        Command::Doctor(options) => doctor::run(&arguments.config, &options),
        Command::Diff(options) => reload::diff(&arguments.config, &options),
        Command::Edit(options) => edit::run(&arguments.config, &options),
        Command::Explain(options) => explain::run(&arguments.config, &options),
        Command::Export(options) => persons::export(&arguments.config, &options),
        Command::Forget(options) => persons::forget(&arguments.config, &options),
        Command::Init(options) => init::run(&arguments.config, &options),
        Command::List(options) => list::run(&arguments.config, &options),
        Command::MailTest(options) => mail_test::run(&arguments.config, &options),
        Command::Man(options) => manual::man(&options),
        Command::Pause(options) => verbs::pause(&arguments.config, &options),
        Command::Release(options) => verbs::release(&arguments.config, &options),
        Command::Reload(options) => reload::run(&arguments.config, &options),
        Command::Replay(options) => verbs::replay(&arguments.config, &options),
        Command::Restore(options) => restore::run(&arguments.config, &options),
        Command::Resume(options) => verbs::resume(&arguments.config, &options),
        Command::Runbook(options) => runbook::run(&options),
        Command::Schema(options) => schema::run(&options),
        Command::Send(options) => send::run(&arguments.config, options),
        Command::Serve(options) => serve::run(&arguments.config, &options),
        Command::Show(options) => show::run(&arguments.config, &options),
        Command::Status(options) => status::run(&arguments.config, &options),
        Command::Tail(options) => tail::run(&arguments.config, &options),
        Command::Verify(options) => verify::run(&arguments.config, &options),
        Command::Where(options) => show::find(&arguments.config, &options),
    }
}

/// Says on the standard error what kept a command from doing what it was asked for, on one line whatever the environment
/// says about backtraces: they are no help to whoever has asked for what is not there.
pub fn complain(error: &anyhow::Error) {
    let text = screen::escaped(&format!("Error: {error:#}"));
    // If that cannot be written either, the exit code is all that is left to tell.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Loads the configuration for a command that needs one; if it has errors, they are printed, and there is none.
fn load(file: &Path) -> io::Result<Option<Loaded>> {
    match config::load(file) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(diagnostics) => {
            let coloured = io::stderr().is_terminal();
            check::print(&diagnostics, coloured, &mut io::stderr().lock())?;
            Ok(None)
        }
    }
}

/// A command of ours as it is typed, with what it needs to find this configuration.
fn typed(arguments: &str, file: &Path) -> String {
    if file == Path::new(config::DEFAULT_FILE) {
        format!("ipn-router {arguments}")
    } else {
        format!("ipn-router {arguments} --config {}", shell(file))
    }
}

/// A path as a shell reads it.
fn shell(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}
