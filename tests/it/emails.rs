//! What e-mails tell people to type (design.md 9): every command runs as it is printed.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Parser;
use ipn_router::cli::Arguments;
use tokio::process::Command;

use crate::support::{Acme, Answer, Form, NICE, PARIS, TestDaemon, eventually};

const INDENT: &str = "       ";

/// The commands of an e-mail as they are printed: they stand indented, and may go on after a backslash.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match commands.last_mut() {
            Some(command) if goes_on => {
                command.push('\n');
                command.push_str(line);
            }
            _ => match line.strip_prefix(INDENT) {
                Some(command) if !command.starts_with(' ') && !command.starts_with("http") => {
                    commands.push(command.to_owned());
                }
                _ => continue,
            },
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

/// The words of a command, as the shell takes them apart; no word here has a blank in it.
fn words(command: &str) -> Vec<String> {
    let words = command.replace("\\\n", "");
    words.split_whitespace().map(str::to_owned).collect()
}

fn agreed() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/emails");
    let files = ["en", "fr"].map(|language| std::fs::read_dir(folder.join(language)).unwrap());
    files.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_command_of_every_agreed_e_mail_is_one_that_there_is() {
    let mut seen = BTreeSet::new();
    for file in agreed() {
        for command in commands(&std::fs::read_to_string(&file).unwrap()) {
            let words = words(&command);
            match words[0].as_str() {
                "ipn-router" => {
                    let parsed = Arguments::try_parse_from(&words);
                    assert!(parsed.is_ok(), "{}: {command}\n{}", file.display(), parsed.unwrap_err());
                    seen.insert(words[1].clone());
                }
                "curl" | "df" => {}
                other => panic!("{}: what is {other}?", file.display()),
            }
        }
    }
    for known in [
        "ack", "check", "pause", "reload", "release", "replay", "send", "show", "status",
    ] {
        assert!(seen.contains(known), "{known} is in no e-mail, or not found in it");
    }
}

/// Runs a command as a person's shell would, and returns what it said.
async fn run(command: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_ipn-router")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PATH", path).current_dir("/");
    let output = shell.stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {}\n{said}", output.status);
    said.into_owned()
}

/// The subjects and texts that the daemon has written so far; nobody takes them from it.
fn written(daemon: &TestDaemon) -> Vec<(String, String)> {
    let store = daemon.home.store();
    let mut rows = store.prepare("SELECT subject, body FROM emails ORDER BY id").unwrap();
    let emails = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    emails.map(Result::unwrap).collect()
}

/// A company in every sort of trouble that is told within seconds: a key that differs, a URL that is gone, and the same
/// for people who want an e-mail of each attempt; and something that may be the cancellation of a token.
async fn commands_run_as_printed(language: &str, heading: &str) {
    let acme = Acme::open();
    acme.paris
        .answers(|_| Answer::text("KO-Error while computing signature."));
    for shop in [&acme.lyon, &acme.nice] {
        shop.answers(|_| Answer::status(404));
    }
    let company = format!("language = \"{language}\"\nautomatic_retry = false");
    let each_attempt = "failure_emails_on = \"every-attempt\"\n[shops.34567890.test]";
    let mail =
        "[mail]\nsmtp = \"smtp://127.0.0.1:1\"\nfrom = \"router@acme.example\"\noperators = \"it@acme.example\"\n";
    let toml = mail.to_owned() + &acme.toml(&company).replace("[shops.34567890.test]", each_attempt);
    let daemon = TestDaemon::start(&toml).await;
    let mut gateway = daemon.gateway();
    let token = Form::token_created(PARIS, "token-1").with("vads_ctx_mode", "PRODUCTION");
    gateway.sends(&token.signed()).await;
    let marks = [
        "vads_hash",
        "vads_trans_status",
        "vads_trans_uuid",
        "vads_identifier_status",
    ];
    let doubtful = marks
        .iter()
        .fold(Form::token_created(PARIS, "token-2"), |form, field| form.without(field));
    assert_eq!(gateway.tries(&doubtful.signed()).await.unwrap().status, 200);

    let wanted = [
        "replay --incident",
        "--state delivered",
        "replay --notification",
        "release",
        "ack",
        "pause",
    ];
    let emails = eventually("e-mails of all these troubles", async || {
        let emails = written(&daemon);
        let commands: Vec<_> = emails.iter().flat_map(|(_, text)| commands(text)).collect();
        let all: Vec<_> = commands.iter().map(|command| words(command).join(" ")).collect();
        let is_there = |wanted: &&str| all.iter().any(|command| command.contains(*wanted));
        wanted.iter().all(is_there).then_some(emails)
    })
    .await;

    let mut done = BTreeSet::new();
    for (subject, text) in &emails {
        assert!(text.contains(heading), "{subject}\n{text}");
        for command in commands(text)
            .into_iter()
            .filter(|command| command.starts_with("ipn-router"))
        {
            // Two e-mails may say the same; the third time it would be no news to the daemon.
            if !done.insert(command.clone()) {
                continue;
            }
            run(&command).await;
            // What a person does next: the plugin refused it, and gets it again.
            if command.contains("--state delivered") {
                let before = acme.paris.calls().len();
                run(&command.replace("--dry-run", "--yes")).await;
                eventually("the plugin is sent it again", async || {
                    (acme.paris.calls().len() > before).then_some(())
                })
                .await;
            }
        }
    }
    assert!(done.len() >= 6, "{done:#?}");
    assert!(emails.iter().any(|(_, text)| text.contains(NICE)), "{emails:#?}");
}

#[tokio::test]
async fn commands_run_as_printed_in_the_e_mails_that_a_daemon_writes() {
    tokio::join!(
        commands_run_as_printed("en", "What you can do"),
        commands_run_as_printed("fr", "Ce que vous pouvez faire"),
    );
}
