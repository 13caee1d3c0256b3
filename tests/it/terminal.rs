//! What somebody sees and is asked who sits before a terminal of 80 columns.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::convert::Infallible;
use std::path::Path;
use std::process::Output;

use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixListener;

use crate::support::{Acme, Form, Home, LYON, PARIS, Terminal, TestDaemon, eventually};

/// Runs it where nobody sits.
async fn run(home: &Home, words: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = home.command(words).output().await.unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Runs it on a terminal, and answers what it asks.
async fn answers(home: &Home, words: &str, question: &str, answer: &str) -> (Option<i32>, String) {
    let mut terminal = Terminal::run(home.command(words));
    terminal.shows(question).await;
    terminal.types(answer);
    let status = terminal.ends().await;
    let shown = anstream::adapter::strip_str(&terminal.written()).to_string();
    (status.code(), shown)
}

#[tokio::test]
async fn wide_verbs_are_counted_and_done_only_if_somebody_agrees() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("")).await;
    let home = &daemon.home;
    run(home, &format!("pause --shop {LYON}")).await;
    let mut gateway = daemon.gateway();
    for token in ["token-1", "token-2"] {
        gateway.sends(&Form::token_created(PARIS, token).signed()).await;
    }
    eventually("the others have theirs", async || {
        (home.open_deliveries() == 4).then_some(())
    })
    .await;

    let cancel = format!("cancel --shop {LYON} --mode test");
    let (code, text) = run(home, &cancel).await;
    assert!(
        code == Some(1) && text.contains("4 done") && text.contains("--yes"),
        "{text}"
    );
    for no in ["n\n", "\n", "\u{4}", "yonder\n"] {
        let (code, text) = answers(home, &cancel, "Give them up for good? [y/N] ", no).await;
        assert!(code == Some(1) && text.contains("Nothing was done"), "{no:?} {text}");
        assert!(text.contains("This would come of it: 4 done"), "{text}");
    }
    assert_eq!(home.open_deliveries(), 4);
    let (code, text) = answers(home, &cancel, "[y/N]", "y\n").await;
    assert!(code == Some(0) && text.contains("4 done."), "{text}");
    assert_eq!(home.open_deliveries(), 0);
    let (code, text) = run(home, &cancel).await;
    assert!(
        code == Some(1) && text.contains("othing matches"),
        "nothing to agree to: {text}"
    );

    let replay = format!("replay --shop {LYON} --since 1h --state cancelled");
    let (code, text) = run(home, &replay).await;
    assert!(code == Some(1) && text.contains("--yes"), "{text}");
    let (code, text) = run(home, &format!("{replay} --dry-run")).await;
    assert!(code == Some(0) && text.contains("Nothing was done"), "{text}");
    let (code, text) = run(home, &format!("{replay} --yes")).await;
    assert!(code == Some(0) && text.contains("4 done"), "{text}");
    run(home, &format!("resume --shop {LYON}")).await;
    daemon.delivers_everything().await;
    assert_eq!(acme.lyon.calls().len(), 4);
}

/// Answers at a socket as a daemon does that has much to do.
async fn busy_daemon(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut left = 1_000_000;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            left -= 1_000;
            let answer = move |request: Request<Incoming>| async move {
                let answer = if *request.method() == Method::POST {
                    json!({ "asked": 7 })
                } else {
                    json!({
                        "id": 7, "asked_at": "2026-03-01T12:00:00Z", "asked_by": "user root",
                        "asked": { "verb": "resume" }, "standing": "under-way", "left": left,
                        "result": { "done": 1_000_000 - left },
                    })
                };
                let body = Full::new(Bytes::from(answer.to_string()));
                Ok::<_, Infallible>(Response::new(body))
            };
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await
                .ok();
        }
    });
}

#[tokio::test]
async fn who_leaves_a_long_verb_is_told_that_it_goes_on_and_where_to_look() {
    let home = Home::new();
    let toml = "[admin]\nsocket = \"busy.sock\"\n";
    home.configure(([127, 0, 0, 1], 8080).into(), "outbox.db", toml);
    busy_daemon(&home.path("busy.sock")).await;
    let mut terminal = Terminal::run(home.command("replay --incident 7"));
    terminal.shows("2000 done").await;
    terminal.interrupts();
    assert_eq!(terminal.ends().await.code(), Some(130));
    let text = terminal.written();
    assert!(
        text.contains("The daemon goes on with it") && text.contains("(number 7)"),
        "{text}"
    );
    // What a bar draws over comes after a return; a line that is longer than the terminal it could not draw over.
    let shown = anstream::adapter::strip_str(&text).to_string();
    let lines: Vec<_> = shown.split(['\r', '\n']).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains('%')), "{lines:#?}");
}

#[tokio::test]
async fn backup_shows_how_much_is_copied_and_takes_it_away_again() {
    let daemon = TestDaemon::start(&Acme::open().toml("")).await;
    let copy = daemon.home.path("copy.db");
    let mut terminal = Terminal::run(daemon.home.command(&format!("backup {}", copy.display())));
    assert!(terminal.ends().await.success(), "{}", terminal.written());
    let shown = anstream::adapter::strip_str(&terminal.written()).to_string();
    let (bar, said) = shown.split_once("Copied ").unwrap();
    assert!(bar.contains("% copied") && said.contains("is whole."), "{shown}");
}

#[tokio::test]
async fn who_has_seen_enough_of_tail_leaves_it_without_a_word() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("")).await;
    let mut gateway = daemon.gateway();
    let mut terminal = Terminal::run(daemon.home.command("tail"));
    // Nobody is told when it has begun.
    eventually("it shows a delivery", async || {
        gateway.sends(&Form::payment(PARIS, "token", "order").signed()).await;
        terminal.written().contains("delivered").then_some(())
    })
    .await;
    terminal.interrupts();
    assert_eq!(terminal.ends().await.code(), Some(130));
    let shown = anstream::adapter::strip_str(&terminal.written()).to_string();
    assert!(
        shown.contains("payment delivered to acme/12345678/TEST/form: 200 in "),
        "{shown}"
    );
    assert!(!shown.contains("rror") && !shown.contains("stopped"), "{shown}");
}

#[tokio::test]
async fn what_strangers_have_written_is_shown_and_does_nothing() {
    let acme = Acme::open();
    let daemon = TestDaemon::start(&acme.toml("")).await;
    let form = Form::token_created(PARIS, "\u{1b}]0;token\u{7}").with("vads_trans_uuid", "\u{1b}]0;owned\u{7}\u{9b}2J");
    let id = daemon.gateway().sends(&form.signed()).await;
    daemon.delivers_everything().await;
    for words in [
        format!("show {id}"),
        format!("show {id} --format json"),
        "list".into(),
        format!("where --token \u{1b}]0;token\u{7} --shop {PARIS}"),
        "show \u{1b}]0;id\u{7}".into(),
    ] {
        let mut terminal = Terminal::run(daemon.home.command(&words));
        terminal.ends().await;
        let written = terminal.written();
        assert!(
            !written.contains(['\u{7}', '\u{9b}']) && !written.contains("\u{1b}]"),
            "{written:?}"
        );
        let shown = anstream::adapter::strip_str(&written).to_string();
        assert!(
            shown.contains(&id.to_string()) || shown.starts_with("Error: "),
            "{written:?}"
        );
        assert!(
            !words.starts_with("show 0") || shown.contains(r"\u001b]0;owned\u0007\u009b2J"),
            "{written:?}"
        );
    }
}
