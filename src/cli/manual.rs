//! `completions` and `man`: what a package ships beside the program.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;

const NAME: &str = "ipn-router";

/// Prints what completes the commands in a shell.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router completions bash > /usr/share/bash-completion/completions/ipn-router")]
pub(super) struct CompletionsOptions {
    shell: Shell,
}

/// Prints the manual page, or writes that of every command into a folder.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router man | man -l -
  ipn-router man --to /usr/share/man/man1")]
pub(super) struct ManOptions {
    /// A folder that exists.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub(super) fn completions(options: &CompletionsOptions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), NAME, &mut script);
    written(&script)
}

pub(super) fn man(options: &ManOptions) -> anyhow::Result<ExitCode> {
    let command = Arguments::command().name(NAME);
    if let Some(folder) = &options.to {
        clap_mangen::generate_to(command, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(written(&page))
}

/// A reader such as `head` may have enough of it before the end.
fn written(bytes: &[u8]) -> ExitCode {
    match io::stdout().lock().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
