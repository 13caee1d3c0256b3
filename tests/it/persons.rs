//! `export` and `forget`: what the data-protection officer asks for, against a daemon that runs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{Acme, Answer, Form, PARIS, TestDaemon, eventually, rest, rest_password};

const TOKEN: &str = "380bc81fea2d5dbba2517abf0968d09f";
/// As she types it.
const ADDRESS: &str = "ann@example.com";

async fn run(daemon: &TestDaemon, words: &str) -> Output {
    daemon.home.command(words).output().await.unwrap()
}

/// How it ended, what it told programs, and what it told people.
async fn ends(daemon: &TestDaemon, words: &str) -> (i32, Value, String) {
    let output = run(daemon, words).await;
    (
        output.status.code().unwrap(),
        serde_json::from_slice(&output.stdout).unwrap_or_default(),
        String::from_utf8_lossy(&output.stdout).replace('\n', " ") + &String::from_utf8_lossy(&output.stderr),
    )
}

/// A card of Ann's.
fn of_ann(token: &str) -> Form {
    Form::token_created(PARIS, token)
        .with("vads_cust_id", "C-42")
        .with("vads_cust_email", "Ann@Example.com")
        .with("vads_cust_name", "Ann Sample")
}

/// What of Ann stands in a file.
fn traces(daemon: &TestDaemon, file: &str) -> Vec<&'static str> {
    let bytes = fs::read(daemon.home.path(file)).unwrap_or_default();
    let stands = |text: &&str| {
        let mut pieces = bytes.windows(text.len());
        pieces.any(|piece| piece.eq_ignore_ascii_case(text.as_bytes()))
    };
    let names = [TOKEN, ADDRESS, "ann%40example.com", "Ann+Sample", "Ann Sample", "C-42"];
    names.into_iter().filter(stands).collect()
}

fn is_in_the_store(daemon: &TestDaemon) -> bool {
    ["outbox.db", "outbox.db-wal"]
        .iter()
        .any(|file| !traces(daemon, file).is_empty())
}

async fn all_ended(daemon: &TestDaemon, rows: i64) {
    eventually("all ended", async || {
        let open = daemon.home.number("SELECT count(*) FROM deliveries WHERE state = 0");
        (open == 0 && daemon.home.number("SELECT count(*) FROM notifications") == rows).then_some(())
    })
    .await;
}

#[tokio::test]
async fn person_is_exported_and_forgotten_and_both_are_audited() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("")).await;
    let (_, _, unknown) = ends(&daemon, &format!("export --customer {ADDRESS}")).await;
    assert!(unknown.contains("Nothing about this customer is kept"), "{unknown}");
    // The shop's plugin says more than it should.
    acme.paris
        .answers(|call| match String::from_utf8_lossy(&call.body).contains(TOKEN) {
            true => Answer::text("KO-Ann Sample has card 380bc81fea2d5dbba2517abf0968d09f"),
            false => Answer::OK,
        });
    let mut gateway = daemon.gateway();
    let form = of_ann(TOKEN).signed();
    gateway.sends(&form).await;
    let answer = serde_json::json!({
        "shopId": PARIS,
        "orderDetails": {"mode": "TEST"},
        "customer": {"reference": "C-42", "email": ADDRESS, "billingDetails": {"lastName": "Ann Sample"}},
        "transactions": [{"uuid": "0a0bdc3bb964761c7cb087349433ac21", "paymentMethodToken": TOKEN,
            "operationType": "VERIFICATION", "detailedStatus": "ACCEPTED"}],
    });
    gateway
        .sends(&rest(&answer, "PAY", &rest_password(PARIS, "TEST")))
        .await;
    // The same card, and no word about whose it is.
    let nameless = of_ann(TOKEN).without("vads_cust_id").without("vads_cust_email");
    gateway.sends(&nameless.signed()).await;
    gateway.sends(&Form::token_created(PARIS, "of-bob").signed()).await;
    all_ended(&daemon, 4).await;
    assert!(is_in_the_store(&daemon));

    let (code, exported, _) = ends(&daemon, &format!("export --customer {ADDRESS}")).await;
    let notifications = exported["notifications"].as_array().unwrap();
    assert_eq!((code, notifications.len()), (0, 3), "{exported:#}");
    assert_eq!(notifications[0]["body"]["vads_cust_name"], "Ann Sample");
    assert_eq!(notifications[1]["body"]["kr-answer"]["customer"]["email"], ADDRESS);
    assert!(
        notifications
            .iter()
            .all(|notification| notification["full_token"] == TOKEN)
    );

    let (code, foreseen, _) = ends(&daemon, "forget --customer C-42 --dry-run --format json").await;
    assert_eq!((code, &foreseen["result"]["erased"]), (0, &3.into()));
    let (code, _, asked) = ends(&daemon, "forget --customer C-42").await;
    assert_eq!(code, 1);
    assert!(
        asked.contains("in 3 notifications?") && asked.contains("nothing was erased"),
        "{asked}"
    );
    assert!(is_in_the_store(&daemon));

    let (code, _, text) = ends(&daemon, "forget --customer C-42 --yes").await;
    assert!(
        text.contains("3 notifications do not tell of this person any more."),
        "{text}"
    );
    assert_eq!(code, 0, "{text}");
    assert!(!is_in_the_store(&daemon), "{:?}", traces(&daemon, "outbox.db"));
    assert_eq!(traces(&daemon, "log"), ["Ann Sample"], "a shop's own words, masked");
    for whose in [format!("--token {TOKEN}"), "--customer C-42".into()] {
        for asked in [format!("export {whose}"), format!("forget {whose} --yes")] {
            let (code, _, text) = ends(&daemon, &asked).await;
            assert_eq!(code, 1, "{text}");
            assert!(text.contains("Nothing about this"), "{text}");
        }
    }

    assert!(gateway.tries(&form).await.unwrap().is_duplicate());
    let acts = "SELECT count(*) FROM audit WHERE who LIKE 'user %' AND act LIKE ?";
    let noted = |act: &str| {
        let count = daemon.home.store().query_row(acts, [act], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    assert_eq!(
        noted(r#"%"personal-data-exported","person":"customer #%","notifications":3%"#),
        1
    );
    assert_eq!(
        noted(r#"%"person-forgotten","person":"customer #%","notifications":3,"cancel":false%"#),
        1
    );
    assert_eq!(
        daemon.home.number("SELECT count(*) FROM notifications WHERE has_body"),
        1,
        "Bob's"
    );
}

#[tokio::test]
async fn what_waits_is_left_unless_it_is_cancelled_and_an_attempt_in_hand_leaves_no_words() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("")).await;
    let held = Arc::new(Notify::new());
    let hold = Arc::clone(&held);
    acme.paris.answers(move |_| Answer::Held(Arc::clone(&hold)));
    daemon.gateway().sends(&of_ann(TOKEN).signed()).await;
    acme.paris.gets(1).await;

    let (code, left, _) = ends(&daemon, &format!("forget --token {TOKEN} --yes --format json")).await;
    assert_eq!(code, 1);
    assert_eq!(
        (&left["result"]["erased"], &left["result"]["waiting"]),
        (&0.into(), &1.into())
    );
    let (_, _, text) = ends(&daemon, &format!("forget --token {TOKEN} --dry-run")).await;
    assert!(
        text.contains("1 notification still would, because something waits") && text.contains("--cancel"),
        "{text}"
    );
    assert!(is_in_the_store(&daemon));

    let (code, _, text) = ends(&daemon, &format!("forget --token {TOKEN} --cancel --yes")).await;
    assert_eq!(code, 0, "{text}");
    assert!(!is_in_the_store(&daemon));
    held.notify_one();
    let delivered = "SELECT count(*) FROM deliveries JOIN destinations ON id = destination
        JOIN attempts USING (destination, seq) WHERE shop = '12345678' AND state = 1 AND answer IS NULL";
    eventually("the attempt in hand has ended", async || {
        (daemon.home.number(delivered) == 1).then_some(())
    })
    .await;
    assert!(!is_in_the_store(&daemon));
}

#[tokio::test]
async fn killed_in_the_middle_it_is_asked_for_again() {
    let acme = Acme::open();
    let mut daemon = TestDaemon::start(&acme.toml("")).await;
    let (rows, mut gateway) = (400, daemon.gateway());
    for _ in 0..rows {
        gateway.sends(&of_ann(TOKEN).signed()).await;
    }
    all_ended(&daemon, rows).await;
    let with_body = "SELECT count(*) FROM notifications WHERE has_body";
    let asked = format!("forget --token {TOKEN} --yes");
    let mut forget = daemon.home.command(&asked).stderr(Stdio::null()).spawn().unwrap();
    eventually("it has begun", async || {
        (daemon.home.number(with_body) < rows).then_some(())
    })
    .await;
    daemon.kill().await;
    assert_eq!(forget.wait().await.unwrap().code(), Some(1));
    let left = daemon.home.number(with_body);
    assert!(left > 0 && left < rows, "{left}: in the middle");
    assert!(is_in_the_store(&daemon));

    daemon.start_again().await;
    let (code, _, text) = ends(&daemon, &asked).await;
    assert!(text.contains(&format!("{left} notifications")), "{text}");
    assert_eq!(code, 0, "{text}");
    assert!(!is_in_the_store(&daemon));
    assert_eq!(daemon.home.number("SELECT count(*) FROM notifications"), rows);
    assert_eq!(daemon.home.number("SELECT count(*) FROM audit"), 2);
}
