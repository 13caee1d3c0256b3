//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> anyhow::Result<ExitCode> {
    ipn_router::cli::run(ipn_router::cli::Arguments::parse())
}
