//! The API's description, judged by software that is not ours: schemathesis asks the daemon whatever the description
//! allows, and much that it does not.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::{Acme, Answer, Form, Home, PARIS, Port, TestDaemon, eventually};

const TOKEN: &str = "admin-token-of-the-test";

/// Examples of each operation; tests/soak asks for more.
const EXAMPLES: &str = "15";

/// Never ends; everything else is asked.
const ENDLESS: &str = "/v1/tail";

/// To a schema 1.0 is an integer, and the format of a time binds nobody: what it allows may still be refused. That what
/// it forbids is refused, and everything else, is asked.
const NOT_ASKED: &str = "positive_data_acceptance";

async fn start() -> (Acme, TestDaemon, Port) {
    let (acme, port) = (Acme::open(), Port::reserve());
    let admin = format!(
        "[admin]\nlisten = \"{}\"\ntoken = {{ file = \"admin-token\" }}\n",
        port.address()
    );
    let toml = format!("{admin}{}", acme.toml("automatic_retry = false"));
    let home = Home::new();
    fs::write(home.path("admin-token"), TOKEN).unwrap();
    let daemon = TestDaemon::start_wrapped(home, "outbox.db", &[], &toml).await;
    (acme, daemon, port)
}

/// What programs get.
async fn described(port: &Port) -> Value {
    let mut stream = TcpStream::connect(port.address()).await.unwrap();
    let request = format!(
        "GET /v1/openapi.json HTTP/1.1\r\nhost: admin.example\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn every_answer_is_as_the_description_says() {
    let (acme, daemon, port) = start().await;
    acme.lyon.answers(|_| Answer::status(500));
    let mut gateway = daemon.gateway();
    for n in 0..5 {
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    eventually("dead letters", async || {
        (daemon.home.number("SELECT count(*) FROM deliveries WHERE state = 2") > 0).then_some(())
    })
    .await;
    assert!(daemon.home.number("SELECT count(*) FROM incidents") > 0);

    let description = described(&port).await;
    let paths: BTreeSet<&str> = description["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(paths.contains(ENDLESS) && paths.len() == 13, "{paths:?}");
    let file = daemon.home.path("openapi.json");
    fs::write(&file, description.to_string()).unwrap();

    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/.venv/bin/schemathesis");
    assert!(tool.exists(), "tests/run makes it from tests/outside/requirements.txt");
    let examples = std::env::var("IPN_ROUTER_API_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let judged = Command::new(tool)
        .current_dir(daemon.home.path(""))
        .arg("run")
        .arg(&file)
        .args(["--url", &format!("http://{}", port.address())])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args([
            "--max-examples",
            &examples,
            "--seed",
            "1",
            "--exclude-path",
            ENDLESS,
            "--exclude-checks",
            NOT_ASKED,
            "--no-color",
        ])
        .output()
        .await
        .unwrap();
    assert!(
        judged.status.success(),
        "{}{}\n{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr),
        daemon.log()
    );
}
