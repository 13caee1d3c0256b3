//! A backup made under load, and put back, whoever calls meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use ipn_router::domain::NotificationId;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Acme, Form, LYON, PARIS, TestDaemon};

async fn run(daemon: &TestDaemon, words: &[&str], answer: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .args(words)
        .arg("--config")
        .arg(daemon.home.path("ipn-router.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who asks nothing may have ended.
    child.stdin.take().unwrap().write_all(answer.as_bytes()).await.ok();
    child.wait_with_output().await.unwrap()
}

async fn succeeds(daemon: &TestDaemon, words: &[&str]) -> String {
    let output = run(daemon, words, "").await;
    assert!(output.status.success(), "{words:?}\n{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

async fn fails(daemon: &TestDaemon, words: &[&str]) -> String {
    let output = run(daemon, words, "").await;
    assert_eq!(output.status.code(), Some(1), "{words:?}\n{}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn send(daemon: &TestDaemon, tokens: std::ops::Range<u32>) -> Vec<NotificationId> {
    let mut gateway = daemon.gateway();
    let mut ids = Vec::new();
    for n in tokens {
        ids.push(
            gateway
                .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
                .await,
        );
    }
    ids
}

fn is_stored(daemon: &TestDaemon, id: NotificationId) -> bool {
    daemon.home.number(&format!(
        "SELECT count(*) FROM notifications WHERE hex(uuid) = upper(replace('{id}', '-', ''))"
    )) == 1
}

#[tokio::test]
async fn backup_under_load_is_restored_and_what_waited_in_it_is_delivered() {
    let acme = Acme::open();
    let mut daemon = TestDaemon::start(&acme.toml("")).await;
    succeeds(&daemon, &["pause", "--shop", LYON]).await;
    let before = send(&daemon, 0..50).await;
    let copy = daemon.home.path("copy.db");
    let copy = copy.to_str().unwrap();
    let words = ["backup", copy, "--format", "json"];
    let (copied, mut since) = tokio::join!(succeeds(&daemon, &words), send(&daemon, 50..150));
    let copied: Value = serde_json::from_str(&copied).unwrap();
    assert!(copied["notifications"].as_i64().unwrap() >= 50, "{copied:#}");
    assert!(copied["waiting"].as_i64().unwrap() >= 100, "{copied:#}");
    let rights = fs::metadata(copy).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o600, "it holds personal data");
    let again = fails(&daemon, &words).await;
    assert!(again.contains("cannot copy") && again.contains("exists"), "{again}");
    since.extend(send(&daemon, 150..160).await);

    let refused = fails(&daemon, &["restore", copy, "--yes"]).await;
    assert!(refused.contains("a daemon runs with"), "{refused}");
    daemon.terminate().await;
    // A call comes before the copy is in its place: the socket starts the daemon, which is killed in its turn.
    daemon.start_again().await;
    let refused = fails(&daemon, &["restore", copy, "--yes"]).await;
    assert!(
        refused.contains("and the socket that would start it again"),
        "{refused}"
    );
    since.extend(send(&daemon, 160..165).await);
    daemon.kill().await;

    let output = run(&daemon, &["restore", copy], "no\n").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("The store is as it was."), "{}", said(&output));
    assert!(since.iter().all(|id| is_stored(&daemon, *id)));

    let output = run(&daemon, &["restore", copy, "--format", "json"], "y\n").await;
    assert!(output.status.success(), "{}", said(&output));
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(restored["notifications"], copied["notifications"], "{restored:#}");
    let rights = fs::metadata(daemon.home.path("outbox.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(rights & 0o777, 0o600);
    // What came since is in the folder, with what only the log of the killed daemon held.
    let aside = std::path::Path::new(restored["moved_to"].as_str().unwrap()).join("outbox.db");
    let aside = rusqlite::Connection::open(aside).unwrap();
    let kept: i64 = aside
        .query_row("SELECT count(*) FROM notifications", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, i64::try_from(before.len() + since.len()).unwrap());

    daemon.start_again().await;
    assert!(!is_stored(&daemon, *since.last().unwrap()));
    succeeds(&daemon, &["resume", "--shop", LYON]).await;
    daemon.delivers_everything().await;
    let calls = acme.lyon.calls_to("/test/events");
    for id in before {
        let delivered = |call: &crate::support::Call| call.header("webhook-id").starts_with(&id.to_string());
        assert!(calls.iter().any(delivered), "{id}");
    }
}

#[tokio::test]
async fn damaged_copy_is_refused_and_the_store_stays() {
    let acme = Acme::open();
    let mut daemon = TestDaemon::start(&acme.toml("")).await;
    let ids = send(&daemon, 0..20).await;
    let copy = daemon.home.path("copy.db");
    let words = ["restore", copy.to_str().unwrap(), "--yes"];
    succeeds(&daemon, &["backup", words[1]]).await;
    daemon.terminate().await;
    let whole = fs::read(&copy).unwrap();
    fs::write(&copy, &whole[..whole.len() - 8192 * 3]).unwrap();
    let refused = fails(&daemon, &words).await;
    assert!(
        refused.contains("cannot restore") && refused.contains("the copy is damaged"),
        "{refused}"
    );
    daemon.start_again().await;
    assert!(ids.iter().all(|id| is_stored(&daemon, *id)));
}

/// As from cron: with none of the daemon's secrets, and also while the configuration has mistakes.
#[tokio::test]
async fn only_the_place_of_the_store_has_to_be_known() {
    let acme = Acme::open();
    let mut daemon = TestDaemon::start(&acme.toml("")).await;
    send(&daemon, 0..1).await;
    let toml = acme.toml("").replace("{ file = ", "{ credential = ") + "\nno_such_key = 1\n";
    daemon.rewrite(&toml);
    let copy = daemon.home.path("copy.db");
    let told = succeeds(&daemon, &["backup", copy.to_str().unwrap()]).await;
    assert!(
        told.contains("outbox.db in ") && told.contains("1 notifications"),
        "{told}"
    );
    daemon.terminate().await;
    succeeds(&daemon, &["restore", copy.to_str().unwrap(), "--yes"]).await;

    let file = daemon.home.path("ipn-router.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("sqlite:", "sqlit:")).unwrap();
    let refused = fails(&daemon, &["restore", copy.to_str().unwrap(), "--yes"]).await;
    assert!(refused.contains("does not say clearly where the store is"), "{refused}");
}
