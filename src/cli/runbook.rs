use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use crate::domain::{RUNBOOK, Section};

/// Prints the runbook, or one section of it: what to do at night.
///
/// Each e-mail and each alert names its section.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ipn-router runbook a-shop-fails
  ipn-router runbook | less")]
pub(super) struct Options {
    /// As an e-mail names it; also a link to it.
    section: Option<String>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let text = match options.section.as_deref().map(str::parse::<Section>) {
        None => RUNBOOK,
        Some(Ok(section)) => section.text(),
        Some(Err(error)) => {
            writeln!(io::stderr().lock(), "{error}; there are\n{}", list())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    writeln!(io::stdout().lock(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// The sections, a line each.
fn list() -> String {
    let lines = Section::ALL.map(|section| format!("  {section:<32} {}", section.title()));
    lines.join("\n")
}
