use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use crate::config;

/// Prints the JSON Schema of the configuration, for editors.
///
/// Put it beside the configuration; the first line `#:schema ./ipn-router.schema.json` leads an editor with taplo (Even
/// Better TOML) there, which then completes keys, explains them and underlines mistakes.
#[derive(Args, Debug)]
pub(super) struct Options {}

pub(super) fn run(_: &Options) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout().lock(), "{:#}", config::schema())?;
    Ok(ExitCode::SUCCESS)
}
