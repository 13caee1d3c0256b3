//! What the program does when it is called: one file for each group of commands.

mod check;
mod serve;
pub mod simulator;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Forwards a payment gateway's token notifications to every shop of the company, and loses none.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// The configuration.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/ipn-router/ipn-router.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Options),
    Serve(serve::Options),
}

/// Does what was asked for.
///
/// # Errors
///
/// What kept it from doing so, for the standard error.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Check(options) => check::run(&arguments.config, &options),
        Command::Serve(options) => serve::run(&arguments.config, &options),
    }
}
