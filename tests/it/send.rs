//! `send` and `verify` as a person runs them, against a daemon that runs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use ipn_router::cli::simulator::{Gateway, Key, Occasion, Occurrence};
use ipn_router::domain::{Clock, Kind, Mode, Secret, SystemClock};
use ipn_router::verify::FormHash;
use serde_json::Value;
use standardwebhooks::Webhook;
use tempfile::TempDir;

const SHOP: &str = "12345678";
const FORM_KEY: &str = "form-key";
const PASSWORD: &str = "testpassword_x";
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A daemon in a folder of its own, where the tests keep their files too.
struct Daemon {
    folder: TempDir,
    url: String,
    process: Child,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, secret: &str| {
            let path = folder.path().join(name);
            fs::write(&path, secret).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        };
        secret("form", &format!("{FORM_KEY}\n"));
        secret("rest", PASSWORD);
        secret("event", SECRET);
        let toml = format!(
            r#"
            [receiver]
            listen = "127.0.0.1:0"
            [store]
            url = "sqlite:outbox.db"
            [legal_entities.acme]
            name = "ACME"
            [shops.{SHOP}]
            name = "Paris"
            legal_entity = "acme"
            allow_private = true
            [shops.{SHOP}.test]
            form_key = {{ file = "form" }}
            rest_password = {{ file = "rest" }}
            form_url = "http://127.0.0.1:9/"
            rest_url = "http://127.0.0.1:9/rest"
            "#
        );
        fs::write(folder.path().join("router.toml"), toml).unwrap();
        let mut process = ipn_router()
            .args(["serve", "--config", "router.toml"])
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it has ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        // A full pipe would stop it.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { folder, url, process }
    }

    /// Runs a command in the daemon's folder; returns its exit code and what it printed.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        run_in(self.folder.path().to_owned(), arguments)
    }

    fn send(&self, arguments: &[&str]) -> (i32, String) {
        self.run(&[&["send", "--config", "router.toml", "--to", &self.url], arguments].concat())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn ipn_router() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
    command.env_remove("RUST_BACKTRACE");
    command
}

fn run_in(folder: PathBuf, arguments: &[&str]) -> (i32, String) {
    let output = ipn_router().args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// The statuses and first words of the answers, in order.
fn answers(text: &str) -> Vec<&str> {
    let is_answer = |word: &&str| word.starts_with("OK-") || word.starts_with("KO-");
    text.split_whitespace().filter(is_answer).collect()
}

#[test]
fn every_kind_is_stored_once_in_both_formats() {
    let daemon = Daemon::start();
    for kind in Kind::ALL {
        for format in ["form", "rest"] {
            let (code, text) = daemon.send(&["--kind", kind.name(), "--format", format, "--duplicates", "1"]);
            if (kind, format) == (Kind::SubscriptionCreated, "rest") {
                assert_eq!(code, 1, "{text}");
                assert!(text.contains("use --format form"), "{text}");
                continue;
            }
            assert_eq!((code, answers(&text)), (0, vec!["OK-stored", "OK-duplicate"]), "{text}");
            assert_eq!(
                text.contains("assumed form"),
                [Kind::TokenCancelled, Kind::TokenOther].contains(&kind),
                "{text}"
            );
        }
    }
}

#[test]
fn a_retry_is_a_duplicate_and_a_resend_is_stored() {
    let daemon = Daemon::start();
    for format in ["form", "rest"] {
        let send = |resend| {
            let (code, text) = daemon.send(&["--format", format, "--token", "my-token", "--resend", resend]);
            assert!(code == 0 && text.contains("my-token"), "{text}");
            text
        };
        assert_eq!(answers(&send("retry")), ["OK-stored", "OK-duplicate"]);
        assert_eq!(answers(&send("bo")), ["OK-stored", "OK-stored"]);
    }
}

#[test]
fn many_are_sent_at_a_rate() {
    let daemon = Daemon::start();
    let (code, text) = daemon.send(&["--count", "30", "--rate", "1000"]);
    assert_eq!((code, answers(&text)), (0, vec!["OK-stored"; 30]), "{text}");
    assert!(
        text.contains("30 notifications, 30 calls: all answered with 2xx"),
        "{text}"
    );
}

#[test]
fn refusals_fail_unless_they_are_asked_for() {
    let daemon = Daemon::start();
    for (arguments, code, words) in [
        (&["--wrong-signature"][..], 0, "403 KO-signature"),
        (&["--wrong-signature", "--format", "rest"], 0, "403 KO-signature"),
        (&["--sha1"], 1, "403 KO-signature is SHA-1"),
        (&["--sha1", "--format", "rest"], 1, "not signed by SHA-1"),
        (&["--mode", "production"], 1, "no form_key for PRODUCTION"),
        (&["--shop", "23456789"], 1, "no form_key of shop 23456789"),
        (&["--shop", "23456789", "--key-file", "form"], 1, "403 KO-unknown-shop"),
        (
            &["--shop", SHOP, "--key-file", "rest", "--format", "rest"],
            0,
            "200 OK-stored",
        ),
        (
            &["--shop", SHOP, "--key-file", "form", "--mode", "production"],
            1,
            "403 KO-mode",
        ),
        (&["--kind", "other", "--token", "t"], 1, "token.other"),
        (&["--count", "0"], 2, "--count"),
    ] {
        let (found, text) = daemon.send(arguments);
        assert!(
            found == code && text.contains(words),
            "{arguments:?}: exit code {found}\n{text}"
        );
    }
    let (code, text) = daemon.run(&["send", "--config", "router.toml", "--to", "http://127.0.0.1:9/"]);
    assert!(code == 1 && text.contains("no answer"), "{text}");
    let (code, _) = daemon.run(&["send", "--config", "none.toml"]);
    assert_eq!(code, 78);
}

/// What a shop's endpoint has received, and what it thinks of it.
type Received = (HeaderMap, Vec<u8>);

/// Answers 200 to events that are signed with [`SECRET`], else 401.
fn shop() -> (String, mpsc::Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token-events", listener.local_addr().unwrap());
    let (received, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some((headers, body)) = request(&mut stream) {
                let verdict = Webhook::new(SECRET).unwrap().verify(&body, &headers);
                let status = if verdict.is_ok() { "200 OK" } else { "401 Unauthorized" };
                write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
                received.send((headers, body)).ok();
            }
        }
    });
    (url, receiver)
}

/// The next request of a connection; `None` after the last.
fn request(stream: &mut impl BufRead) -> Option<Received> {
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some((headers, body))
}

#[test]
fn events_are_sent_to_a_shop_without_any_daemon() {
    let (url, received) = shop();
    let folder = tempfile::tempdir().unwrap();
    let send = |arguments: &[&str]| {
        let to = ["send", "--to", &url, "--secret", SECRET];
        run_in(folder.path().to_owned(), &[&to, arguments].concat())
    };

    let (code, text) = send(&[
        "--kind",
        "token.cancelled",
        "--token",
        "my-token",
        "--duplicates",
        "1",
        "--resend",
        "bo",
    ]);
    assert!(code == 0 && text.contains("assumed form"), "{text}");
    let calls: Vec<_> = received.try_iter().collect();
    let json: Vec<Value> = calls
        .iter()
        .map(|(_, body)| serde_json::from_slice(body).unwrap())
        .collect();
    assert_eq!(calls.len(), 3);
    assert_eq!(
        (&json[0]["type"], &json[0]["data"]["token"]),
        (&"token.cancelled".into(), &"my-token".into())
    );
    assert_eq!(json[0], json[1]);
    assert_eq!(calls[0].0["webhook-id"], calls[1].0["webhook-id"], "the same again");
    assert_ne!(calls[0].0["webhook-id"], calls[2].0["webhook-id"], "asked for anew");
    assert_eq!(
        (&json[0]["data"]["resend"], &json[2]["data"]["resend"]),
        (&false.into(), &true.into())
    );
    assert!(calls[2].0.contains_key("ipn-router-resend-of"));

    let (code, text) = send(&["--wrong-signature"]);
    assert!(code == 0 && text.contains("401"), "{text}");
    let (code, text) = send(&["--kind", "token.saved"]);
    assert!(code == 0 && text.contains("token.saved"), "{text}");
    let saved = received.try_iter().last().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&saved.1).unwrap()["type"],
        "token.saved"
    );
    let (code, text) = send(&["--resend", "retry"]);
    assert!(code == 1 && text.contains("never sees one"), "{text}");
}

#[test]
fn verify_says_whether_the_gateway_has_signed_it_and_if_not_why() {
    let daemon = Daemon::start();
    let verify = |key: &str, ending: &str| {
        let gateway = Gateway {
            shop: SHOP.parse().unwrap(),
            mode: Mode::Test,
            key: Key::Form {
                key: Secret::new(key),
                hash: FormHash::HmacSha256,
            },
        };
        let now = SystemClock.now();
        let occurrence = Occurrence::new(Kind::TokenUpdated, now);
        let body = gateway.tell(&occurrence, Occasion::First, now).unwrap();
        let path = daemon.folder.path().join("body");
        fs::write(path, [&body, ending.as_bytes()].concat()).unwrap();
        daemon.run(&["verify", "--config", "router.toml", "--body", "body"])
    };
    for ending in ["", "\n", "\r\n"] {
        let (code, text) = verify(FORM_KEY, ending);
        assert!(code == 0 && text.contains("The signature is right"), "{text}");
        assert!(text.contains(SHOP) && text.contains("token.updated"), "{text}");
    }
    let (code, text) = verify("another", "");
    assert!(
        code == 1 && text.contains("matches no key configured for this shop"),
        "{text}"
    );
    assert!(text.contains("form_key of [shops.12345678.test]"), "{text}");
    let (code, text) = verify(PASSWORD, "");
    assert_eq!(code, 1, "{text}");
    let (code, text) = daemon.run(&["verify", "--config", "router.toml", "--body", "none"]);
    assert!(code == 1 && text.contains("cannot read none"), "{text}");
}
