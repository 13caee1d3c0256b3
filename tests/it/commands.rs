//! The operators' commands, each against a daemon that runs (design.md 10).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Output, Stdio};

use ipn_router::domain::NotificationId;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::support::{Acme, Answer, Form, LYON, NICE, PARIS, PATIENCE, TestDaemon, eventually};

async fn start(company: &str) -> (Acme, TestDaemon) {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml(company)).await;
    (acme, daemon)
}

/// Runs a command, and returns how it ended.
async fn run(daemon: &TestDaemon, words: &str) -> Output {
    daemon.home.command(words).output().await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a command says that does what it is asked for.
async fn says(daemon: &TestDaemon, words: &str) -> String {
    let output = run(daemon, words).await;
    let text = said(&output);
    assert!(output.status.success(), "{words}: {}\n{text}", output.status);
    text
}

/// The same for programs.
async fn tells(daemon: &TestDaemon, words: &str) -> Value {
    let output = run(daemon, &format!("{words} --format json")).await;
    assert!(output.status.success(), "{words}: {}\n{}", output.status, said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A command that finds nothing, or cannot do it.
async fn fails(daemon: &TestDaemon, words: &str) -> String {
    let output = run(daemon, words).await;
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", said(&output));
    said(&output)
}

/// Wherever its lines end.
fn has(text: &str, parts: &[&str]) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn what_waits_for_a_paused_shop_is_found_explained_and_sent() {
    let (acme, daemon) = start("").await;
    let mut gateway = daemon.gateway();
    gateway.sends(&Form::token_created(PARIS, "token-0").signed()).await;
    daemon.delivers_everything().await;
    has(
        &says(&daemon, "status").await,
        &[
            env!("CARGO_PKG_VERSION"),
            "receiver",
            "acme TEST",
            "acme/23456789/TEST/event",
            "up",
            "200",
        ],
    );

    has(
        &says(&daemon, &format!("pause --shop {LYON} --mode test")).await,
        &["5 done"],
    );
    has(
        &fails(&daemon, &format!("pause --shop {LYON} --mode test")).await,
        &["paused already"],
    );
    let id = gateway
        .sends(&Form::token_created(PARIS, "token-that-is-long-1").signed())
        .await;
    acme.nice.gets(2).await;
    let status = tells(&daemon, "status").await;
    let lyon = status["destinations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["shop"] == LYON && line["mode"] == "TEST" && line["rendition"] == "event");
    assert!(lyon.unwrap()["paused_since"].is_string(), "{status:#}");
    assert_eq!(lyon.unwrap()["waiting"], 1, "{status:#}");
    assert_eq!(lyon.unwrap()["shop_name"], "ACME Lyon");

    let waiting = format!("list --state waiting --shop {LYON}");
    let text = says(&daemon, &waiting).await;
    has(&text, &[&id.to_string(), "token.created", "waiting to 23456789 event"]);
    assert!(!text.contains("token-that-is-long-1"), "tokens are masked: {text}");
    let list = tells(&daemon, &waiting).await;
    assert_eq!(list.as_array().unwrap().len(), 2, "{list:#}");
    assert_eq!(
        tells(&daemon, &format!("{waiting} --limit 1"))
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let why = format!("ipn-router resume --shop {LYON} --mode test");
    let shown = says(&daemon, &format!("show {id}")).await;
    has(
        &shown,
        &["routed by", "delivered", &why.replace("ipn-router resume", "resume")],
    );
    let found = tells(&daemon, &format!("where --token token-that-is-long-1 --shop {LYON}")).await;
    assert_eq!(found["notifications"][0]["deliveries"][0]["command"], why, "{found:#}");

    says(&daemon, &format!("resume --shop {LYON} --mode test")).await;
    daemon.delivers_everything().await;
    assert_eq!(acme.lyon.calls().len(), 4);
    assert_eq!(says(&daemon, &waiting).await, "Nothing matches.\n");
    assert_eq!(tells(&daemon, &waiting).await, Value::Array(Vec::new()));
    let by = "SELECT count(*) FROM verbs WHERE asked_by LIKE 'user %' AND done_at IS NOT NULL";
    assert_eq!(daemon.home.number(by), 3, "who asked for what is kept");
}

#[tokio::test]
async fn what_of_the_configuration_does_not_run_yet_is_told() {
    let (acme, daemon) = start("").await;
    let status = tells(&daemon, "status").await;
    assert!(status["refused_reload"].is_null(), "{status:#}");
    assert_eq!(status["waits_for_restart"], serde_json::json!([]), "{status:#}");

    let toml = acme.toml("");
    daemon.rewrite(&(toml.clone() + "[mial]\n"));
    run(&daemon, "reload").await;
    has(
        &says(&daemon, "status").await,
        &["by user", "was refused; this one runs on", "mial", "config "],
    );
    let refused = &tells(&daemon, "status").await["refused_reload"];
    assert_eq!(refused["verdict"]["verdict"], "refused", "{refused:#}");

    says(&daemon, &format!("pause --shop {LYON}")).await;
    daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "token-1").signed())
        .await;
    daemon.rewrite(
        &toml
            .replace("event_url", "# event_url")
            .replace("event_secret", "# event_secret"),
    );
    run(&daemon, "reload").await;
    has(&says(&daemon, "status").await, &["needs `ipn-router reload --confirm`"]);

    daemon.rewrite(&(toml.clone() + "[admin]\npublic_url = \"https://ipn.acme.example/\"\n"));
    says(&daemon, "reload").await;
    let status = says(&daemon, "status").await;
    has(&status, &["changed, and waits for a restart: [admin]"]);
    assert!(
        !status.contains("this one runs on"),
        "the last one was applied: {status}"
    );
    daemon.rewrite(&toml);
    says(&daemon, "reload").await;
    assert!(
        !says(&daemon, "status").await.contains("restart"),
        "as it was at the start"
    );
}

/// The socket's mode is what keeps others out.
#[tokio::test]
async fn who_may_not_ask_is_told_whom_the_socket_is_for() {
    let (_acme, daemon) = start("").await;
    let home = daemon.home.path("");
    let socket = daemon.home.path("ipn-router.sock");
    let group = std::fs::metadata(&socket).unwrap().gid();
    let mut status = daemon.home.command("status");
    if rustix::process::getuid().is_root() {
        // Root may everything: another user tries it, with a program and a configuration that he can read.
        std::fs::set_permissions(&home, Permissions::from_mode(0o755)).unwrap();
        let program = home.join("program");
        std::fs::copy(env!("CARGO_BIN_EXE_ipn-router"), &program).unwrap();
        status = Command::new(program);
        status
            .args(["status", "--config"])
            .arg(daemon.home.path("ipn-router.toml"));
        status.uid(65_534).gid(65_534);
    } else {
        std::fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    }
    let output = status.output().await.unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    has(&text, &["ipn-router.sock is for root, the user", "try sudo"]);
    if group == 0 {
        has(&text, &["and the group root: try sudo"]);
    }
}

#[tokio::test]
async fn pause_for_some_time_ends_by_itself() {
    let (acme, daemon) = start("").await;
    says(&daemon, &format!("pause --shop {LYON} --for 1s")).await;
    daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "token-1").signed())
        .await;
    acme.nice.gets(1).await;
    assert_eq!(acme.lyon.calls().len(), 0);
    daemon.delivers_everything().await;
    let resumed = "SELECT count(*) FROM verbs WHERE verb LIKE '%resume%' AND asked_by LIKE 'the pause until %'";
    assert!(daemon.home.number(resumed) > 0);
}

#[tokio::test]
async fn what_was_given_up_is_found_and_replayed() {
    let (acme, daemon) = start("automatic_retry = false").await;
    acme.paris.answers_first([Answer::status(404)]);
    let id = daemon
        .gateway()
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await;
    daemon.delivers_everything().await;
    let incident = daemon.home.number("SELECT max(id) FROM incidents");
    has(
        &says(&daemon, &format!("show incident {incident}")).await,
        &["HTTP status 404", "1 given up"],
    );
    for list in [
        format!("list --incident {incident}"),
        "list --state given-up --since 1h".into(),
    ] {
        has(
            &says(&daemon, &list).await,
            &[&id.to_string(), "given-up to 12345678 form, 1 attempt"],
        );
    }
    let replay = format!("ipn-router replay --notification {id} --shop {PARIS}");
    let found = tells(&daemon, &format!("where --token token-1 --shop {PARIS}")).await;
    let delivery = &found["notifications"][0]["deliveries"][0];
    has(delivery["why"].as_str().unwrap(), &["Given up", "404"]);
    assert_eq!(delivery["command"], replay);
    let not_shared = says(&daemon, &format!("where --token token-1 --shop {LYON}")).await;
    has(&not_shared, &["Not for it", "not shared"]);

    has(
        &says(&daemon, &format!("ack {incident} --for 4h")).await,
        &["Noted: no reminders"],
    );
    has(
        &says(&daemon, "status").await,
        &[&format!("incident {incident}"), "taken by user", ", until 2"],
    );
    assert_eq!(tells(&daemon, &format!("ack {incident}")).await["incidents"], 1);
    has(
        &says(&daemon, &format!("show incident {incident}")).await,
        &["until it is over"],
    );
    let acknowledged = &tells(&daemon, "status").await["incidents"][0]["acknowledged"];
    assert!(
        acknowledged["by"].is_string() && acknowledged["until"].is_null(),
        "{acknowledged}"
    );
    let foreseen = tells(&daemon, &format!("replay --incident {incident} --dry-run")).await;
    assert_eq!(
        (&foreseen["result"]["done"], &foreseen["dry_run"]),
        (&1.into(), &true.into()),
        "{foreseen:#}"
    );
    assert_eq!(acme.paris.calls().len(), 1, "a dry run does nothing");
    let text = says(&daemon, &format!("replay --incident {incident}")).await;
    has(&text, &["1 done", "after newer notifications"]);
    acme.paris.gets(2).await;
    daemon.delivers_everything().await;
    let shown = tells(&daemon, &format!("show {id}")).await;
    let states: Vec<_> = shown["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["state"])
        .collect();
    assert_eq!(states, ["given-up", "delivered"], "{shown:#}");
    has(&fails(&daemon, &format!("ack {incident}")).await, &["over already"]);
    has(
        &fails(&daemon, &format!("replay --incident {incident}")).await,
        &["replayed already"],
    );
    has(&fails(&daemon, "replay --dry-run").await, &["say which"]);
}

#[tokio::test]
async fn what_is_held_is_listed_and_released_and_what_blocks_is_cancelled() {
    let (acme, daemon) = start(r#"retry_delays = ["1h"]"#).await;
    let mut gateway = daemon.gateway();
    let body = [
        "vads_hash",
        "vads_trans_status",
        "vads_trans_uuid",
        "vads_identifier_status",
    ]
    .iter()
    .fold(Form::token_created(PARIS, "token-9"), |form, field| form.without(field))
    .signed();
    let held = gateway.tries(&body).await.unwrap().id();
    has(&says(&daemon, "status").await, &["quarantined", "1"]);
    has(
        &says(&daemon, "list --state quarantined").await,
        &[&held.to_string(), "quarantined, no delivery"],
    );
    let why = says(&daemon, &format!("where --token token-9 --shop {LYON}")).await;
    has(&why, &["In quarantine"]);
    says(&daemon, &format!("release {held} --dry-run")).await;
    says(&daemon, &format!("release {held}")).await;
    acme.lyon.gets_one("/test/events").await;
    fails(&daemon, &format!("release {held}")).await;

    acme.paris.answers_first([Answer::status(503)]);
    let poison = gateway
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await;
    eventually("it has failed", async || {
        (daemon
            .home
            .number("SELECT count(*) FROM attempts WHERE cause IS NOT NULL")
            == 1)
            .then_some(())
    })
    .await;
    let behind = gateway
        .sends(&Form::payment(PARIS, "token-1", "order-2").signed())
        .await;
    let cancel = format!("cancel --notification {poison} --shop {PARIS}");
    let shown = tells(&daemon, &format!("show {behind}")).await;
    let delivery = &shown["deliveries"][0];
    has(delivery["why"].as_str().unwrap(), &["Waits behind", "failed once"]);
    assert_eq!(delivery["command"], format!("ipn-router {cancel}"));
    says(&daemon, &cancel).await;
    daemon.delivers_everything().await;
    has(&says(&daemon, "list --state cancelled").await, &[&poison.to_string()]);
    let nothing = fails(&daemon, &format!("backfill --shop {NICE} --mode test --dry-run")).await;
    has(&nothing, &["0 done", "exists already"]);
}

#[tokio::test]
async fn what_waits_for_a_company_that_is_off_is_told_as_not_served_until_it_has_gone_out() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("enabled = false")).await;
    let body = Form::token_created(PARIS, "token-1").signed();
    let reply = daemon.gateway().tries(&body).await.unwrap();
    assert!(reply.text.starts_with("OK-parked "), "{reply:?}");
    let served = async || -> Vec<(Value, Value)> {
        let status = tells(&daemon, "status").await;
        assert_eq!(status["totals"]["parked"], 0, "it has somewhere to go: {status:#}");
        assert_eq!(run(&daemon, "list --state parked --format json").await.stdout, b"[]\n");
        let lines = status["destinations"].as_array().unwrap().iter();
        let of_test = lines.filter(|line| line["mode"] == "TEST");
        of_test
            .map(|line| (line["parked_since"].is_null().into(), line["waiting"].clone()))
            .collect()
    };
    let no_one_serves_them = vec![(false.into(), 1.into()); 4];
    assert_eq!(served().await, no_one_serves_them);
    has(
        &says(&daemon, "list --state waiting").await,
        &["waiting to 12345678 form, 0 attempts, not served"],
    );
    has(&says(&daemon, &format!("show {}", reply.id())).await, &["switched off"]);
    has(
        &fails(&daemon, &format!("release {}", reply.id())).await,
        &["not held: ipn-router show says where its deliveries stand"],
    );

    daemon.rewrite(&acme.toml(""));
    says(&daemon, "reload").await;
    daemon.delivers_everything().await;
    assert_eq!(served().await[..4], vec![(true.into(), 0.into()); 4]);
    let delivered = tells(&daemon, "list --state delivered").await;
    assert_eq!(delivered.as_array().unwrap().len(), 4, "{delivered:#}");
}

#[tokio::test]
async fn nobody_says_when_a_delivery_is_tried_next_whose_destination_is_down() {
    let (acme, daemon) = start(r#"retry_delays = ["50ms"]"#).await;
    acme.paris.answers(|_| Answer::status(503));
    daemon
        .gateway()
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await;
    eventually("it is down", async || {
        (daemon.home.number("SELECT count(down) FROM destinations") == 1).then_some(())
    })
    .await;
    let waiting = "list --state waiting";
    has(&says(&daemon, waiting).await, &["attempts, down: one probe a minute"]);
    let list = tells(&daemon, waiting).await;
    let delivery = &list[0]["delivery"];
    assert!(
        delivery["due"].is_null() && delivery["down_since"].is_string(),
        "{list:#}"
    );
    let incident = daemon.home.number("SELECT max(id) FROM incidents");
    let show = format!("show incident {incident}");
    has(&says(&daemon, &show).await, &["1; down: one probe a minute"]);
    let shown = tells(&daemon, &show).await;
    assert!(
        shown["load"]["next_attempt"].is_null() && shown["down_since"].is_string(),
        "{shown:#}"
    );
}

#[tokio::test]
async fn list_goes_through_all_pages_and_keeps_to_its_filters() {
    let (_acme, daemon) = start("").await;
    let mut gateway = daemon.gateway();
    let mut ids: Vec<NotificationId> = Vec::new();
    for n in 0..230 {
        let form = match n % 2 {
            0 => Form::token_created(PARIS, &format!("token-{n}")),
            _ => Form::payment(PARIS, &format!("token-{n}"), "order"),
        };
        ids.push(gateway.sends(&form.signed()).await);
    }
    daemon.delivers_everything().await;
    let listed = async |words: &str| -> Vec<String> {
        let list = tells(&daemon, words).await;
        let ids = list.as_array().unwrap().iter();
        ids.map(|item| item["notification"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut newest_first: Vec<_> = ids.iter().rev().map(ToString::to_string).collect();
    assert_eq!(listed(&format!("list --shop {PARIS} --limit 1000")).await, newest_first);
    let payments = listed(&format!(
        "list --shop {PARIS} --kind payment --state delivered --limit 1000"
    ))
    .await;
    newest_first = newest_first.into_iter().step_by(2).collect();
    assert_eq!(payments, newest_first);
    assert_eq!(
        listed("list --token token-4").await.len(),
        4,
        "Paris, Nice, and both of Lyon"
    );
    assert_eq!(listed("list --since 1h --limit 7").await.len(), 7);
    for nothing in ["list --until 1h", "list --mode production"] {
        assert_eq!(says(&daemon, nothing).await, "Nothing matches.\n");
    }
    let transaction = "SELECT transaction_uuid FROM notifications WHERE token = 'token-4'";
    let transaction: String = daemon
        .home
        .store()
        .query_row(transaction, [], |row| row.get(0))
        .unwrap();
    let about = listed(&format!("list --transaction {transaction}")).await;
    assert!(about.contains(&ids[4].to_string()), "{transaction}: {about:?}");
}

/// Reads what happens until something is as wanted.
async fn until(lines: &mut Lines<BufReader<ChildStdout>>, is_wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap();
        let line: Value = serde_json::from_str(&line.expect("it goes on")).unwrap();
        if is_wanted(&line) {
            return line;
        }
    }
}

#[tokio::test]
async fn tail_shows_what_arrives_and_what_becomes_of_it_and_ends_with_the_daemon() {
    let (acme, mut daemon) = start(r#"retry_delays = ["1s"]"#).await;
    let mut gateway = daemon.gateway();
    gateway.sends(&Form::token_created(PARIS, "token-0").signed()).await;
    let mut tail = daemon
        .home
        .command("tail --format json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // It shows what happens from when it has begun on, which nobody is told.
    let mut sent = Vec::new();
    let line = loop {
        let form = Form::token_created(PARIS, &format!("token-{}", sent.len()));
        sent.push(gateway.sends(&form.signed()).await);
        let wait = std::time::Duration::from_millis(300);
        if let Ok(line) = tokio::time::timeout(wait, lines.next_line()).await {
            break serde_json::from_str::<Value>(&line.unwrap().unwrap()).unwrap();
        }
    };
    let id: NotificationId = line["notification"]["id"].as_str().unwrap().parse().unwrap();
    assert!(sent.contains(&id), "{line}");
    assert_eq!(line["notification"]["kind"], "token.created");

    daemon.delivers_everything().await;
    acme.paris.answers_first([Answer::status(503)]);
    let id = gateway
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await
        .to_string();
    let of_it = |event: &'static str| {
        let id = id.clone();
        move |line: &Value| line["event"] == event && line["notification"]["id"] == id
    };
    until(&mut lines, of_it("received")).await;
    let failed = until(&mut lines, of_it("attempted")).await;
    assert_eq!(
        (
            &failed["attempt"]["status"],
            &failed["attempt"]["cause"],
            &failed["delivery"]["shop"]
        ),
        (&503.into(), &"status".into(), &PARIS.into()),
        "{failed:#}"
    );
    let delivered = until(&mut lines, of_it("attempted")).await;
    assert_eq!(delivered["delivery"]["state"], "delivered", "{delivered:#}");
    assert_eq!(delivered["attempt"]["attempt"], 2, "{delivered:#}");

    says(&daemon, &format!("pause --shop {PARIS}")).await;
    let id = gateway
        .sends(&Form::payment(PARIS, "token-2", "order-2").signed())
        .await;
    says(&daemon, &format!("cancel --notification {id}")).await;
    let ended = until(&mut lines, |line| line["event"] == "ended").await;
    assert_eq!(
        (&ended["delivery"]["state"], &ended["notification"]["id"]),
        (&"cancelled".into(), &id.to_string().into()),
        "{ended:#}"
    );

    let stopped = std::time::Instant::now();
    daemon.terminate().await;
    assert!(
        stopped.elapsed().as_secs() < 10,
        "a stop does not wait for those who look on"
    );
    let output = tail.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", output.status);
    has(&said(&output), &["The daemon has stopped."]);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let (_acme, mut daemon) = start("").await;
    let nobody = "01990a7c-7e5b-7000-8000-0123456789ab";
    has(
        &fails(&daemon, &format!("show {nobody}")).await,
        &["there is no notification"],
    );
    for words in ["show incident 77", "ack 77"] {
        let output = daemon
            .home
            .command(words)
            .env("RUST_BACKTRACE", "1")
            .output()
            .await
            .unwrap();
        let ended = (output.status.code(), said(&output));
        assert_eq!(
            ended,
            (Some(1), "Error: there is no incident 77\n".to_owned()),
            "{words}"
        );
    }
    has(
        &fails(&daemon, &format!("where --token t --shop {LYON}")).await,
        &["ever received here"],
    );
    has(&fails(&daemon, &format!("release {nobody}")).await, &["othing matches"]);
    has(&fails(&daemon, "pause --shop 99999999").await, &["othing matches"]);
    daemon.terminate().await;
    has(
        &fails(&daemon, "status").await,
        &["no daemon answers at", "is it running?"],
    );
    for command in [
        "list", "show", "where", "replay", "cancel", "release", "backfill", "pause", "resume", "tail", "ack", "backup",
        "restore",
    ] {
        has(
            &says(&daemon, &format!("{command} --help")).await,
            &["Example", "Exit codes"],
        );
    }
}

#[tokio::test]
async fn completions_and_manual_pages_name_every_command() {
    let program = env!("CARGO_BIN_EXE_ipn-router");
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(program)
            .args(["completions", shell])
            .output()
            .await
            .unwrap();
        assert!(output.status.success());
        has(&said(&output), &["ipn-router", "backfill", "dry-run"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let output = Command::new(program).args(["man", "--to", to]).output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for page in ["ipn-router.1", "ipn-router-replay.1", "ipn-router-serve.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
}
