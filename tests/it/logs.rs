//! What the log says of a shop in trouble (style.md 9): an event is one line, that reads alone and can be
//! queried, and says nothing of customers.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::Value;

use crate::support::{Acme, Answer, Form, Home, PARIS, TestDaemon, eventually, form_key};

const TOKEN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// What no log may hold: of a customer, of a card, of a key.
const SECRETS: [&str; 5] = [TOKEN, "jean.dupont", "Dupont", "4970101122334455", "order-of-a-person"];

/// A daemon that has seen a shop fail, complain, recover and go down, and its log.
async fn log_of_trouble(format: &str) -> String {
    let acme = Acme::open();
    let company = "retry_delays = [\"1s\"]";
    let mail = "[mail]\nsmtp = \"smtp://127.0.0.1:1\"\nfrom = \"router@acme.example\"\n";
    let toml = mail.to_owned() + &acme.toml(company);
    let words = format!("exec \"$@\" --log debug --log-format {format}");
    let mut daemon = TestDaemon::start_wrapped(Home::new(), "outbox.db", &["sh", "-c", &words, "sh"], &toml).await;
    let mut gateway = daemon.gateway();
    let about = |order: &str| {
        Form::payment(PARIS, TOKEN, order)
            .with("vads_cust_email", "jean.dupont@example.com")
            .with("vads_cust_last_name", "Dupont")
    };
    let complaint = "KO-no order of\njean.dupont@example.com, card 4970101122334455";
    acme.paris.answers_first([Answer::status(503), Answer::text(complaint)]);
    for order in ["order-of-a-person-1", "order-of-a-person-2"] {
        gateway.sends(&about(order).signed()).await;
        daemon.delivers_everything().await;
    }
    gateway.tries("no notification at all").await.unwrap();
    // A first attempt and its only retry fail, and nothing succeeds meanwhile.
    acme.paris.answers(|_| Answer::status(503));
    gateway.sends(&about("order-of-a-person-3").signed()).await;
    eventually("it is down", async || daemon.log().contains("is down").then_some(())).await;
    daemon.terminate().await;
    let log = daemon.log();
    for secret in SECRETS.into_iter().chain([&*form_key(PARIS, "TEST")]) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    for words in [
        "listening on",
        "keeps notification",
        "to acme/12345678/TEST/form failed: HTTP status 503",
        "acme/12345678/TEST/form is down",
        "which answered KO-no order of",
        "refused a call from 127.0.0.1",
        "stopped",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    log
}

#[tokio::test]
async fn each_line_of_text_is_an_event() {
    let log = log_of_trouble("text").await;
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let time = words.next().unwrap_or_default();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}\n{log}");
        let level = words.next().unwrap_or_default();
        assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&level), "{line}\n{log}");
    }
}

#[tokio::test]
async fn each_line_of_json_reads_alone_and_names_its_fields_alike() {
    let log = log_of_trouble("json").await;
    let ours = |line: &Value| line["target"].as_str().unwrap().starts_with("ipn_router");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    for line in lines.filter(ours) {
        let fields = line["fields"].as_object().unwrap();
        let message = fields["message"].as_str().unwrap();
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match name.as_str() {
                // What it is about stands in the sentence.
                "notification.id" | "shop.id" | "destination" | "error" | "client.address" | "email.message_id" => {
                    assert!(message.contains(&text), "{name} {text}: {line}");
                }
                "address" | "addresses" | "attempt" | "cause" | "changes" | "code" | "configuration"
                | "connections" | "destinations" | "duration_ms" | "email.id" | "kind" | "message" | "mode"
                | "path" | "seen" | "shops" | "since" | "subject" => {}
                other => panic!("{other} is called something else elsewhere: {line}"),
            }
        }
        let per_delivery = message.starts_with("delivered notification") && !message.contains("which answered");
        assert!(
            !per_delivery || line["level"] == "DEBUG",
            "there may be thousands a second: {line}"
        );
    }
}
