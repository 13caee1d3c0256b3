//! `doctor` against services that do what services do (design.md 10).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderMap;
use ipn_router::domain::{Clock, SystemClock};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::{Acme, Answer, Call, EVENT_SECRET, FakeShop, Home, LYON, OTHER_EVENT_SECRET, PARIS, tls_acceptor};

/// Runs `doctor` for one shop; returns its exit code and what it says.
async fn doctor(toml: &str, shop: &str, arguments: &[&str]) -> (i32, String) {
    let home = Home::new();
    let file = home.configure(([127, 0, 0, 1], 8080).into(), "outbox.db", toml);
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .args(["doctor", "--shop", shop, "--mode", "test", "--config"])
        .arg(file)
        .args(arguments)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// A company whose only shop has an `event_url`; `more` has keys of the shop.
fn learns_at(url: &str, more: &str) -> String {
    format!(
        "[legal_entities.acme]\nname = \"ACME SAS\"\n\
         [shops.{LYON}]\nname = \"ACME Lyon\"\nlegal_entity = \"acme\"\nallow_private = true\n{more}\n\
         [shops.{LYON}.test]\nevent_url = \"{url}\"\nevent_secret = {{ file = \"TEST-events\" }}\n"
    )
}

/// What is found at the service of this shop: each finding's name, verdict and note.
async fn findings(shop: &FakeShop, code: i32) -> Vec<(String, String, String)> {
    let toml = learns_at(&shop.url("/events"), "timeouts = { first_byte = \"1s\" }");
    let (found, text) = doctor(&toml, LYON, &["--format", "json"]).await;
    assert_eq!(found, code, "{text}");
    let examined: Value = serde_json::from_str(&text).unwrap();
    let findings = examined[0]["findings"].as_array().unwrap().iter();
    let word = |finding: &Value, name| finding[name].as_str().unwrap().to_owned();
    findings
        .map(|finding| (word(finding, "what"), word(finding, "verdict"), word(finding, "note")))
        .collect()
}

fn verdicts(findings: &[(String, String, String)]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|(what, verdict, _)| (what.as_str(), verdict.as_str()))
        .collect()
}

/// An answer by a clock that is so many seconds ahead.
fn dated(answer: Answer, ahead: i64) -> Answer {
    let time = SystemClock.now() + SignedDuration::from_secs(ahead);
    let mut date = String::new();
    DateTimePrinter::new()
        .print_timestamp_rfc9110(&time, &mut date)
        .unwrap();
    answer.with_header("date", date)
}

/// Whether Standard Webhooks' own library takes it, by a clock that is right.
fn is_right(call: &Call, secret: &str) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        headers.insert(name, value.clone());
    }
    Webhook::new(secret).unwrap().verify(&call.body, &headers).is_ok()
}

/// Takes what is signed with this secret.
fn careful(secret: &'static str) -> impl FnMut(&Call) -> Answer + Send + 'static {
    move |call| match is_right(call, secret) {
        true => dated(Answer::OK, 0),
        false => dated(Answer::status(401), 0),
    }
}

const ALL_GOOD: [(&str, &str); 5] = [
    ("right signature", "good"),
    ("the same again", "good"),
    ("wrong signature", "good"),
    ("an hour old", "good"),
    ("clock", "good"),
];

#[tokio::test]
async fn nothing_is_said_against_a_good_service() {
    let shop = FakeShop::open();
    shop.answers(careful(EVENT_SECRET));
    let found = findings(&shop, 0).await;
    assert_eq!(verdicts(&found), ALL_GOOD, "{found:#?}");
    let calls = shop.calls();
    let ids: Vec<_> = calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!(ids[0], ids[1], "the same again");
    assert_eq!(BTreeSet::from_iter(&ids).len(), 3, "then others: {ids:?}");
    let attempts: Vec<_> = calls.iter().map(|call| call.header("ipn-router-attempt")).collect();
    assert_eq!(attempts, ["1", "2", "1", "1"]);
    assert!(calls[0].token().starts_with("ipn-router-doctor-"));

    // It knows what it has taken, and answers that without a look at the signature.
    let mut known = BTreeSet::new();
    let mut careful = careful(EVENT_SECRET);
    shop.answers(move |call| match known.insert(call.header("webhook-id").to_owned()) {
        true => careful(call),
        false => dated(Answer::text("OK, known"), 0),
    });
    assert_eq!(verdicts(&findings(&shop, 0).await), ALL_GOOD);
}

#[tokio::test]
async fn service_with_another_secret_is_told_at_the_first_call() {
    let shop = FakeShop::open();
    shop.answers(careful(OTHER_EVENT_SECRET));
    let found = findings(&shop, 1).await;
    assert_eq!(
        verdicts(&found),
        [("right signature", "bad"), ("clock", "good")],
        "{found:#?}"
    );
    assert!(
        found[0].2.contains("401") && found[0].2.contains("secret here"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn service_that_does_not_know_what_it_has_taken_is_told() {
    let shop = FakeShop::open();
    let mut known = BTreeSet::new();
    let mut careful = careful(EVENT_SECRET);
    shop.answers(move |call| match known.insert(call.header("webhook-id").to_owned()) {
        true => careful(call),
        false => dated(Answer::status(500), 0),
    });
    let found = findings(&shop, 1).await;
    assert_eq!(verdicts(&found)[1], ("the same again", "bad"), "{found:#?}");
    assert!(found[1].2.contains("answered like the first time"), "{found:#?}");
}

#[tokio::test]
async fn service_that_does_not_answer_in_time_is_told() {
    let shop = FakeShop::open();
    shop.answers(|_| Answer::Hang);
    let found = findings(&shop, 1).await;
    assert_eq!(
        verdicts(&found),
        [("right signature", "bad"), ("clock", "weak")],
        "{found:#?}"
    );
    assert!(found[0].2.contains("no answer in time"), "{found:#?}");
}

#[tokio::test]
async fn clock_that_is_wrong_or_not_shown_is_told() {
    let shop = FakeShop::open();
    for (ahead, code, verdict, words) in [
        (-630, 1, "bad", "10 min behind the clock here"),
        (600, 1, "bad", "refuses every event"),
        (-150, 0, "weak", "2 min behind"),
        (2, 0, "good", "agrees"),
    ] {
        let mut careful = careful(EVENT_SECRET);
        shop.answers(move |call| match careful(call) {
            Answer::Reply { status, .. } => dated(Answer::status(status), ahead),
            other => other,
        });
        let found = findings(&shop, code).await;
        let (what, is, note) = found.last().unwrap();
        assert!(
            what == "clock" && is == verdict && note.contains(words),
            "{ahead}: {found:#?}"
        );
    }
    shop.answers(|call| match is_right(call, EVENT_SECRET) {
        true => Answer::OK,
        false => Answer::status(401),
    });
    let found = findings(&shop, 0).await;
    assert!(
        found[4].1 == "weak" && found[4].2.contains("no Date header"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn careless_services_and_plugins_that_complain_are_told() {
    let acme = Acme::open();
    let toml = acme.toml("");
    // It takes everything, whoever has signed it.
    let (code, text) = doctor(&toml, LYON, &["--format", "json"]).await;
    assert_eq!(code, 1, "{text}");
    let examined: Value = serde_json::from_str(&text).unwrap();
    let of = |rendition: &str| {
        let mut all = examined.as_array().unwrap().iter();
        let one = all
            .find(|one| one["rendition"] == rendition)
            .unwrap_or_else(|| panic!("{text}"));
        let findings = one["findings"].as_array().unwrap().iter();
        let verdicts = findings.map(|finding| finding["verdict"].as_str().unwrap());
        verdicts.collect::<Vec<_>>()
    };
    assert_eq!(of("event"), ["good", "good", "bad", "weak", "weak"], "{text}");
    assert_eq!(of("form"), ["good", "good", "bad", "weak"], "{text}");
    assert_eq!(of("rest"), ["good", "good", "bad", "weak"], "{text}");

    let hidden = "<span style=\"display:none\">KO-Error while computing signature.\n</span>";
    acme.paris.answers(move |call| match &*call.path {
        "/test/form" => Answer::text(hidden),
        _ => Answer::OK,
    });
    let (code, text) = doctor(&toml, PARIS, &[]).await;
    assert_eq!(code, 1, "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "BAD right signature answered 200, KO-Error while computing signature.; is the key or secret";
    assert!(words.contains(told), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let (code, text) = doctor(&toml, "99999999", &[]).await;
    assert!(code == 1 && text.contains("has no URL in TEST"), "{text}");
}

/// Completes TLS with a certificate of its own that ends then.
async fn secured(until: Timestamp) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = std::time::SystemTime::from(until).into();
    let certificate = params.self_signed(&key).unwrap();
    let acceptor = tls_acceptor(&certificate, &key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/events", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            acceptor.accept(stream).await.ok();
        }
    });
    url
}

#[tokio::test]
async fn certificate_that_is_expired_or_nobodys_is_told() {
    let hour = Duration::from_secs(3_600);
    let now = SystemClock.now();
    for (until, words) in [(now - hour, "certificate expired"), (now + hour, "UnknownIssuer")] {
        let (code, text) = doctor(&learns_at(&secured(until).await, ""), LYON, &[]).await;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            code == 1 && text.contains("BAD connection") && text.contains(words),
            "{text}"
        );
    }
}

#[tokio::test]
async fn service_that_is_not_there_is_told() {
    let mut shop = FakeShop::open();
    shop.down().await;
    let found = findings(&shop, 1).await;
    assert_eq!(verdicts(&found), [("connection", "bad")], "{found:#?}");
}
