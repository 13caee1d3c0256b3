//! Arguments in, exit code out.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use ipn_router::cli;

/// As of a process that SIGPIPE has ended.
const NOBODY_READS: u8 = 128 + 13;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        // Whoever read what we print has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(NOBODY_READS),
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
