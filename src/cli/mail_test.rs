//! `mail-test`: whether e-mails arrive.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use clap::Args;
use lettre::message::Mailbox;

use super::check::CONFIGURATION_ERROR;
use super::load;
use super::page::beside;
use super::screen;
use crate::alert::{SendError, Trial, send_trials};
use crate::config::mail_address;
use crate::domain::{Clock, SystemClock};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The column in which what the server said stands.
const SAID: usize = 6;

/// Sends one test e-mail to each configured address, and tells what the mail server said of each.
///
/// No daemon needs to run. That a server takes an e-mail is no promise that it arrives: look into the mailbox, and where
/// the junk goes.
///
/// Exit codes: 0 the server took them all; 1 not all, or no `[mail]` is configured; 78 the configuration has errors.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Only to this address; it need not be in the configuration.
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    to: Option<Mailbox>,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let settings = loaded.config.alert;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let now = SystemClock.now();
    let trials = runtime.block_on(send_trials(&settings, options.to.clone(), now))?;
    let trials = trials.context("there is no [mail] in the configuration: nobody would be told of anything")?;
    if trials.is_empty() {
        anyhow::bail!("there is no address in the configuration: give one with --to");
    }
    print(&trials, &mut screen::stdout())?;
    let all_taken = trials.iter().all(|trial| trial.sent.is_ok());
    Ok(if all_taken {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(trials: &[Trial], out: &mut impl Write) -> io::Result<()> {
    for trial in trials {
        let (style, word, said) = match &trial.sent {
            Ok(said) => (GOOD, "taken", said.clone()),
            Err(SendError::Permanent(why)) => (BAD, "FAILS", format!("refused for good: {why}")),
            Err(SendError::Temporary(why)) => (
                BAD,
                "later",
                format!("not taken now, the daemon would try again: {why}"),
            ),
            Err(SendError::Unavailable(why)) => (BAD, "FAILS", format!("the mail server cannot be used: {why}")),
        };
        writeln!(out, "{style}{word:<5}{style:#} {}", trial.to)?;
        beside(out, "", SAID, &said)?;
        for one in &trial.told_of {
            beside(out, "", SAID, one)?;
        }
    }
    let taken = trials.iter().filter(|trial| trial.sent.is_ok()).count();
    writeln!(out, "the mail server took {taken} of {}", trials.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_verdict_and_what_the_server_said() {
        let trial = |to: &str, told_of: &[&str], sent| Trial {
            to: to.to_owned(),
            told_of: told_of.iter().map(|one| (*one).to_owned()).collect(),
            sent,
        };
        let trials = [
            trial(
                "oncall@acme.example",
                &["Failures at ACME SAS"],
                Ok("2.0.0 Ok: queued as 4F2A".to_owned()),
            ),
            trial(
                "gone@acme.example",
                &[],
                Err(SendError::Permanent("550 no such mailbox".to_owned())),
            ),
            trial(
                "slow@acme.example",
                &[],
                Err(SendError::Temporary("450 greylisted".to_owned())),
            ),
        ];
        let mut out = anstream::StripStream::new(Vec::new());
        print(&trials, &mut out).unwrap();
        let expected = "taken oncall@acme.example
      2.0.0 Ok: queued as 4F2A
      Failures at ACME SAS
FAILS gone@acme.example
      refused for good: 550 no such mailbox
later slow@acme.example
      not taken now, the daemon would try again: 450 greylisted
the mail server took 1 of 3
";
        assert_eq!(String::from_utf8(out.into_inner()).unwrap(), expected);
    }
}
