//! Arguments in, exit code out.

use std::io;
use std::process::ExitCode;

use clap::Parser;

/// As of a process that SIGPIPE has ended.
const NOBODY_READS: u8 = 128 + 13;

fn main() -> anyhow::Result<ExitCode> {
    let ended = ipn_router::cli::run(ipn_router::cli::Arguments::parse());
    match ended {
        // Whoever read what we print has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::from(NOBODY_READS)),
        ended => ended,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
