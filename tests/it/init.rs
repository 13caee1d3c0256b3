//! `init` as a person runs it, and the way from there to the first forwarded notification, by what it prints alone.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{FakeShop, LYON, PARIS, Port, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ipn-router");

/// A shell in a folder, in which `ipn-router` is the program.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&self, command: &str) -> Child {
        let programs = Path::new(PROGRAM).parent().unwrap().display().to_string();
        Command::new("sh")
            .args(["-c", command])
            .current_dir(self.folder.path())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Runs a command, types this, and returns the exit code and what was printed.
    async fn run(&self, command: &str, typed: &str) -> (i32, String) {
        let mut child = self.start(command);
        let mut input = child.stdin.take().unwrap();
        // A command that reads nothing may have ended.
        input.write_all(typed.as_bytes()).await.ok();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    async fn succeeds(&self, command: &str, typed: &str) -> String {
        let (code, text) = self.run(command, typed).await;
        assert_eq!(code, 0, "{command}\n{text}");
        text
    }
}

/// The commands that it prints, in order.
fn commands(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("      ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints_leads_to_the_first_forwarded_notification() {
    for secrets in ["file", "credential"] {
        let (paris, lyon, port, shell) = (FakeShop::open(), FakeShop::open(), Port::reserve(), Shell::new());
        let printed = shell
            .succeeds(
                &format!(
                    "ipn-router init --yes --config 'my router.toml' --legal-entity 'ACME SAS' --shop {PARIS} \
                     --name 'ACME Paris' --shop-url {} --other-shop {LYON} --other-name 'ACME Lyon' --other-url {} \
                     --expect-every 7d --listen {} --secrets {secrets} --store 'the data/outbox.db'",
                    paris.url("/ipn"),
                    lyon.url("/token-events"),
                    port.address(),
                ),
                "",
            )
            .await;
        let mut daemon = None;
        let mut ran = Vec::new();
        for command in commands(&printed) {
            if command.contains("ipn-router serve") {
                let command = command.replacen("ipn-router serve", "exec ipn-router serve", 1);
                daemon = Some(shell.start(&command));
                eventually("the daemon listens", async || {
                    TcpStream::connect(port.address()).await.ok()
                })
                .await;
            } else {
                shell.succeeds(command, "4kZx81pQ7vRt0aBc\n").await;
            }
            ran.push(command);
        }
        assert!(ran.last().unwrap().contains("ipn-router send"), "{ran:#?}");
        assert!(ran.iter().any(|command| command.contains("check")), "{ran:#?}");
        lyon.gets_one("/token-events").await;
        paris.gets_one("/ipn").await;
        daemon.unwrap().kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_there_is_never_overwritten() {
    let shell = Shell::new();
    let file = shell.folder.path().join("ipn-router.toml");
    fs::write(&file, "# mine\n").unwrap();
    let (code, text) = shell
        .run(
            "ipn-router init --yes --config ipn-router.toml --legal-entity A --shop 12345678",
            "",
        )
        .await;
    assert_eq!(code, 1);
    assert!(text.contains("is there already"), "{text}");
    assert_eq!(fs::read_to_string(file).unwrap(), "# mine\n");
}

#[tokio::test]
async fn a_wrong_flag_is_named_and_nothing_is_written() {
    let shell = Shell::new();
    for (flags, says) in [
        ("--legal-entity A --shop 1234", "--shop: a shop id has 8 digits"),
        (
            "--legal-entity A --shop 12345678 --expect-every weekly",
            "--expect-every: ",
        ),
        (
            "--legal-entity A --shop 12345678 --failure-emails 'a@b.example, c@d.example'",
            "not by commas",
        ),
        ("--legal-entity A", "needed: --shop"),
        (
            "--legal-entity A --shop 12345678 --smtp smtp://localhost",
            "--failure-emails",
        ),
    ] {
        let (code, text) = shell
            .run(&format!("ipn-router init --yes --config a.toml {flags}"), "")
            .await;
        assert!(code == 1 && text.contains(says), "{code} {text}");
    }
    assert_eq!(fs::read_dir(shell.folder.path()).unwrap().count(), 0);
}
