//! What deploy/ ships, judged by the programs that will read it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Parser;
use ipn_router::cli::Arguments;
use ipn_router::domain::{RUNBOOK, Secret, Section};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Acme, Form, Home, PARIS, Port, TestDaemon, eventually};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that tests/run has got.
fn tool(path: &str) -> PathBuf {
    let tool = root().join("tests/outside").join(path);
    assert!(tool.exists(), "{} is missing: tests/run gets it", tool.display());
    tool
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success(), "{command:?}: {status}\n{told}");
    told
}

/// systemd finds nothing wrong with the units, once the program is where it looks.
#[test]
fn units_are_verified_by_systemd() {
    let folder = tempfile::tempdir().unwrap();
    for unit in ["ipn-router.service", "ipn-router.socket"] {
        let text = fs::read_to_string(root().join("deploy").join(unit)).unwrap();
        let program = format!("={} ", env!("CARGO_BIN_EXE_ipn-router"));
        fs::write(folder.path().join(unit), text.replace("=ipn-router ", &program)).unwrap();
    }
    let told = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(["ipn-router.service", "ipn-router.socket"].map(|unit| folder.path().join(unit))));
    assert_eq!(told, "");
}

/// Of 10; what is left is that a receiver needs the network.
#[test]
fn service_is_exposed_to_little() {
    let told = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(root().join("deploy/ipn-router.service")));
    assert!(told.contains("Overall exposure level"), "{told}");
}

/// In a name space of its own everybody but root is user 65534 to it, and whoever asks through its socket is nobody.
#[test]
fn service_sees_who_asks() {
    let unit = fs::read_to_string(root().join("deploy/ipn-router.service")).unwrap();
    assert!(!unit.lines().any(|line| line.starts_with("PrivateUsers=")));
}

#[test]
fn container_file_follows_the_rules_of_hadolint() {
    let told = run(Command::new(tool(".venv/bin/hadolint"))
        .args(["--failure-threshold", "style"])
        .arg(root().join("deploy/Containerfile")));
    assert_eq!(told, "");
}

/// promtool looks for the rules beside their tests.
#[test]
fn every_alert_fires_and_is_silent_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [
        ("deploy/prometheus.rules.yml", "prometheus.rules.yml"),
        ("tests/data/prometheus.rules.test.yml", "test.yml"),
    ] {
        fs::copy(root().join(file), folder.path().join(name)).unwrap();
    }
    let promtool = tool(".debian/usr/bin/promtool");
    run(Command::new(&promtool)
        .args(["check", "rules"])
        .arg(folder.path().join("prometheus.rules.yml")));
    run(Command::new(&promtool)
        .args(["test", "rules"])
        .arg(folder.path().join("test.yml")));
}

#[test]
fn every_alert_is_tested_and_has_its_section_in_the_runbook() {
    let rules = fs::read_to_string(root().join("deploy/prometheus.rules.yml")).unwrap();
    let tests = fs::read_to_string(root().join("tests/data/prometheus.rules.test.yml")).unwrap();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let (name, rule) = alert.split_once('\n').unwrap();
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} is not tested");
        let runbook = rule.split_once("          runbook: \"ipn-router runbook ").unwrap().1;
        let section: Section = runbook.split('"').next().unwrap().parse().unwrap();
        assert!(
            section.text().contains(&format!("`{name}`")),
            "{name} is not named in {section}"
        );
    }
}

/// The command in the head of the rules, for those who have a page.
#[test]
fn every_runbook_of_an_alert_can_be_made_a_link() {
    let rules = fs::read_to_string(root().join("deploy/prometheus.rules.yml")).unwrap();
    let (_, command) = rules.split_once("#   sed -i ").unwrap();
    let (command, _) = command.split_once('\n').unwrap();
    let linked = run(Command::new("sh")
        .arg("-c")
        .arg(format!(
            "sed {}",
            command.replace("prometheus.rules.yml", "deploy/prometheus.rules.yml")
        ))
        .current_dir(root()));
    let links: Vec<&str> = after(&linked, "runbook_url: \"https://ipn.acme.example/admin/runbook#")
        .skip(1)
        .collect();
    assert_eq!(links.len(), rules.matches("- alert: ").count());
    for section in links {
        assert!(section.trim_end_matches('"').parse::<Section>().is_ok(), "{section}");
    }
}

/// The commands of a text, in its lines and in its sentences; what stands for something else is replaced.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text
        .replace("$(date +%F)", "today")
        .replace(" ID", " 01a14a2b-63c0-7000-8000-000000000000");
    let begins = |at: usize| ["`", "\n", "&& "].iter().any(|before| text[..at].ends_with(before));
    let found = text.match_indices("ipn-router ").filter(|(at, _)| begins(*at));
    let whole = found.map(|(at, _)| text[at..].split(['`', '#', '&']).next().unwrap());
    whole
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_of_the_runbook_is_one_that_there_is() {
    let commands = commands(RUNBOOK);
    assert!(commands.len() > 30, "{commands:#?}");
    for words in commands {
        let parsed = Arguments::try_parse_from(&words);
        assert!(parsed.is_ok(), "{words:?}\n{}", parsed.unwrap_err());
    }
}

#[test]
fn runbook_is_printed_whole_or_by_the_section() {
    let print = |section: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
        command.arg("runbook").args(section).output().unwrap()
    };
    assert_eq!(print(&[]).stdout, RUNBOOK.as_bytes());
    for name in ["a-shop-fails", "#a-shop-fails", "A shop fails"] {
        let said = String::from_utf8(print(&[name]).stdout).unwrap();
        assert!(said.starts_with("## A shop fails\n"), "{said}");
        assert!(said.ends_with('\n') && !said.contains("## Many shops"), "{said}");
    }
    let unknown = print(&["a-shop"]);
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("no section a-shop in") && said.contains("\n  a-shop-fails "),
        "{said}"
    );
}

/// What follows a word on its line, wherever it stands.
fn after<'t>(text: &'t str, word: &'static str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| Some(line.split_once(word)?.1))
}

/// Prometheus itself reads the daemon's metrics, and what the alerts ask for is among them.
#[tokio::test]
async fn prometheus_scrapes_what_the_alerts_ask_for() {
    let (acme, admin, prometheus) = (Acme::open(), Port::reserve(), Port::reserve());
    let home = Home::new();
    fs::write(home.path("admin-token"), "token-of-the-test\n").unwrap();
    let listen = format!(
        "[admin]\nlisten = \"{}\"\ntoken = {{ file = \"admin-token\" }}\n",
        admin.address()
    );
    let daemon = TestDaemon::start_wrapped(home, "outbox.db", &[], &format!("{listen}{}", acme.toml(""))).await;
    let mut gateway = daemon.gateway();
    gateway.sends(&Form::token_created(PARIS, "token").signed()).await;
    daemon.delivers_everything().await;
    let wrong = Form::token_created(PARIS, "token").signed_with(&Secret::new("the key before"));
    assert!(!gateway.tries(&wrong).await.unwrap().is_stored());

    let folder = tempfile::tempdir().unwrap();
    let scrape = format!(
        "global: {{ scrape_interval: 100ms, scrape_timeout: 100ms }}\nscrape_configs:\n  - job_name: ipn-router\n    \
         authorization: {{ credentials_file: {} }}\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
        daemon.home.path("admin-token").display(),
        admin.address()
    );
    fs::write(folder.path().join("prometheus.yml"), scrape).unwrap();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let _server = tokio::process::Command::new(tool(".debian/usr/bin/prometheus"))
        .arg(format!(
            "--config.file={}",
            folder.path().join("prometheus.yml").display()
        ))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={}", prometheus.address()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let rules = fs::read_to_string(root().join("deploy/prometheus.rules.yml")).unwrap();
    let mut asked: BTreeSet<&str> = rules
        .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .filter(|word| word.starts_with("ipn_router_"))
        .collect();
    assert!(asked.len() > 8, "{asked:?}");
    // No shop has shown a certificate.
    asked.remove("ipn_router_certificate_days_left");
    // Prometheus knows a name before it has read all of an answer.
    eventually("Prometheus has scraped it all", async || {
        let seen = names(&prometheus).await?;
        asked.iter().all(|name| seen.contains(*name)).then_some(())
    })
    .await;
}

/// The names of the metrics that this Prometheus knows.
async fn names(prometheus: &Port) -> Option<BTreeSet<String>> {
    let mut stream = TcpStream::connect(prometheus.address()).await.ok()?;
    let request = "GET /api/v1/label/__name__/values HTTP/1.0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    let names = answer["data"].as_array()?.iter();
    Some(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
}
