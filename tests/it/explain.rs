//! `explain` as a person runs it, held against what a running router does.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Acme, Form, Home, LYON, NICE, PARIS, TestRouter, rest, rest_password};

/// Runs the command with the configuration of this home; returns its exit code and what it printed.
fn explain(home: &Home, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .args(["explain", "--config"])
        .arg(home.path("ipn-router.toml"))
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn explain_body(home: &Home, body: &str) -> (i32, Value) {
    let path = home.path("body");
    fs::write(&path, body).unwrap();
    let (code, text) = explain(home, &["--json", "--body", path.to_str().unwrap()]);
    (code, serde_json::from_str(&text).unwrap())
}

/// The URLs that a notification goes to.
fn urls(explained: &Value) -> BTreeSet<String> {
    let ways = explained["ways"].as_array().unwrap();
    ways.iter()
        .filter_map(|way| Some(way["url"].as_str()?.to_owned()))
        .collect()
}

/// What becomes of it on one way.
fn way<'e>(explained: &'e Value, shop: &str, rendition: &str) -> &'e Value {
    let ways = explained["ways"].as_array().unwrap();
    ways.iter()
        .find(|way| way["shop"] == shop && way["rendition"] == rendition)
        .unwrap()
}

fn home(toml: &str) -> Home {
    let home = Home::new();
    home.configure(([127, 0, 0, 1], 8080).into(), "outbox.db", toml);
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_explained_is_what_is_done() {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml("")).await;
    let by_rest = serde_json::json!({
        "shopId": LYON,
        "orderDetails": {"mode": "TEST", "orderId": null},
        "transactions": [{"shopId": LYON, "uuid": "u", "operationType": "VERIFICATION", "paymentMethodToken": "t"}],
    });
    for body in [
        Form::token_created(PARIS, "a").signed(),
        Form::token_created_with_payment(PARIS, "b", "7").signed(),
        Form::payment(NICE, "c", "8").signed(),
        rest(&by_rest, "PAY", &rest_password(LYON, "TEST")),
    ] {
        let shops = [&acme.paris, &acme.lyon, &acme.nice];
        let before = shops.map(|shop| shop.calls().len());
        let (code, explained) = explain_body(router.home(), &body);
        assert_eq!((code, &explained["refusal"]), (0, &Value::Null));
        router.gateway().sends(&body).await;
        router.delivers_everything().await;
        let mut called = BTreeSet::new();
        for (shop, before) in shops.into_iter().zip(before) {
            let calls = shop.calls();
            called.extend(calls[before..].iter().map(|call| shop.url(&call.path)));
        }
        assert_eq!(urls(&explained), called, "{explained:#}");
        assert!(!called.is_empty());
    }
}

#[tokio::test]
async fn every_reason_points_at_its_line() {
    let toml = Acme::open()
        .toml("share = [\"token.*\"]")
        .replacen("name = \"ACME Nice\"", "name = \"ACME Nice\"\nenabled = false", 1)
        .replacen(
            "name = \"ACME Lyon\"",
            "name = \"ACME Lyon\"\nlearns_by = [\"event\"]",
            1,
        );
    let home = home(&toml);
    let arguments = ["--kind", "token.created", "--order", "--shop", PARIS, "--json"];
    let (code, text) = explain(&home, &arguments);
    let explained: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert_eq!(explained["share_lines"][0]["text"], "share = [\"token.*\"]");
    let written = fs::read_to_string(home.path("ipn-router.toml")).unwrap();
    for (shop, rendition, outcome, line) in [
        (PARIS, "form", "goes", "form_url = \"http"),
        (LYON, "event", "goes", "event_url = \"http"),
        (LYON, "form-resigned", "stays", "learns_by = [\"event\"]"),
        (NICE, "event", "stays", "[shops.34567890.test]"),
        (NICE, "form-resigned", "stays", "form_url = \"http"),
    ] {
        let way = way(&explained, shop, rendition);
        assert_eq!(way["outcome"], outcome, "{way:#}");
        let shown = way["lines"][0]["text"].as_str().unwrap();
        assert!(shown.starts_with(line), "{way:#}");
        let number = usize::try_from(way["lines"][0]["line"].as_u64().unwrap()).unwrap();
        assert_eq!(written.lines().nth(number - 1).unwrap().trim(), shown);
    }
    let (_, text) = explain(&home, &["--kind", "token.created", "--shop", PARIS]);
    assert!(
        text.contains("It waits for\n  34567890 ACME Nice, as a form signed for it"),
        "{text}"
    );
    assert!(text.contains(": enabled = false"), "{text}");
    let (_, text) = explain(&home, &["--kind", "payment", "--shop", PARIS]);
    assert!(
        text.contains("not go to the other shops, for its kind is not shared"),
        "{text}"
    );
}

#[tokio::test]
async fn a_body_that_is_not_rightly_signed_is_explained_with_a_warning() {
    let home = home(&Acme::open().toml(""));
    let changed = Form::token_created(PARIS, "t").signed().replace("PAY", "BO");
    let (code, explained) = explain_body(&home, &changed);
    assert_eq!(code, 1);
    assert!(
        explained["refusal"].as_str().unwrap().contains("matches no key"),
        "{explained:#}"
    );
    assert_eq!(way(&explained, PARIS, "form")["outcome"], "goes");
    let path = home.path("body");
    let (_, text) = explain(&home, &["--body", path.to_str().unwrap()]);
    assert!(
        text.contains("The receiver would refuse it, and nobody would get it."),
        "{text}"
    );
}

#[tokio::test]
async fn what_may_be_no_notification_waits_for_its_release() {
    let home = home(&Acme::open().toml(""));
    let token = serde_json::json!({"_type": "V4/Token", "paymentMethodToken": "0123456789abcdef"});
    let body = rest(&token, "MERCH_BO", &rest_password(PARIS, "TEST"));
    let (code, explained) = explain_body(&home, &body);
    assert_eq!(
        (code, &explained["quarantined"]),
        (0, &Value::Bool(true)),
        "{explained:#}"
    );
    assert_eq!(
        (&explained["token"], &explained["identity"]),
        (&"0123…cdef".into(), &Value::Null)
    );
    let path = home.path("body");
    let (_, text) = explain(&home, &["--body", path.to_str().unwrap()]);
    assert!(text.contains("200 OK-parked: kept until it is released"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_explained_says_what_to_do() {
    let home = home(&Acme::open().toml(""));
    for (arguments, says) in [
        (
            &["--kind", "payment"][..],
            "choose --shop 12345678 (ACME Paris) or --shop 23456789",
        ),
        (&["--kind", "payment", "--shop", "99999999"], "no shop 99999999"),
        (
            &["--kind", "subscription.created", "--format", "rest", "--shop", PARIS],
            "use --format form",
        ),
        (&["--kind", "payment", "--body", "x"], "cannot be used with"),
        (&["--body", "/no/such/file"], "cannot read /no/such/file"),
    ] {
        let (code, text) = explain(&home, arguments);
        assert!(code != 0 && text.contains(says), "{text}");
    }
}
