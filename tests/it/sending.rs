//! E-mails past the outbox: a trial by `mail-test`, and that the store has failed; and every agreed text as a mail server
//! that nobody here wrote takes it, and Python reads it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use ipn_router::alert::Mailer;
use ipn_router::outbox::DueEmail;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{Acme, Form, Home, MailServer, PARIS, TestDaemon};

/// A home where the password of the mail server is, and the configuration of a company that is told by this server.
fn told_by(server: &MailServer, acme: &Acme) -> (Home, String) {
    let home = Home::new();
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let mut file = file.open(home.path("smtp-password")).unwrap();
    file.write_all(b"s3cret").unwrap();
    let port = server.port;
    let mail = format!(
        "[mail]\nsmtp = \"smtp://127.0.0.1:{port}?tls=none\"\nusername = \"ipn-router\"\n\
         password = {{ file = \"smtp-password\" }}\nfrom = \"ipn@router.example\"\noperators = \"it@acme.example\"\n"
    );
    (home, mail + &acme.toml(""))
}

async fn mail_test(home: &Home) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
    command
        .args(["mail-test", "--config"])
        .arg(home.path("ipn-router.toml"));
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

#[tokio::test]
async fn mail_test_reaches_every_address_of_the_configuration() {
    let mut server = MailServer::start(&["--tls", "none"]).await;
    let (home, toml) = told_by(&server, &Acme::open());
    home.configure(([127, 0, 0, 1], 0).into(), "outbox.db", &toml);
    let (output, said) = mail_test(&home).await;
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("the mail server took 2 of 2"), "{said}");
    let mails = server.takes(2).await;
    let to: Vec<_> = mails.iter().map(|mail| mail["to"][0].as_str().unwrap()).collect();
    assert_eq!(to, ["it@acme.example", "oncall@acme.example"]);
    for mail in &mails {
        assert_sound(mail);
    }
}

#[tokio::test]
async fn mail_test_says_whom_the_server_refuses_and_tells_the_others() {
    let mut server = MailServer::start(&["--tls", "none", "--refuse", "it@acme.example"]).await;
    let (home, toml) = told_by(&server, &Acme::open());
    home.configure(([127, 0, 0, 1], 0).into(), "outbox.db", &toml);
    let (output, said) = mail_test(&home).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILS it@acme.example") && said.contains("550"), "{said}");
    assert_eq!(server.takes(1).await[0]["to"][0], "oncall@acme.example");
}

#[tokio::test]
async fn mail_test_sends_nothing_by_a_configuration_with_errors() {
    let server = MailServer::start(&["--tls", "none"]).await;
    let (home, toml) = told_by(&server, &Acme::open());
    let toml = toml.replace("ipn@router.example", "nobody");
    home.configure(([127, 0, 0, 1], 0).into(), "outbox.db", &toml);
    let (output, said) = mail_test(&home).await;
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("from"), "{said}");
}

#[tokio::test]
async fn operators_are_told_by_a_daemon_whose_store_fails() {
    let mut server = MailServer::start(&["--tls", "none"]).await;
    let acme = Acme::open();
    let (home, toml) = told_by(&server, &acme);
    // Writes beyond 2 MiB of a file fail, as on a broken disk.
    let wrapper = ["bash", "-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "bash"];
    let mut daemon = TestDaemon::start_wrapped(home, "outbox.db", &wrapper, &toml).await;
    let mut gateway = daemon.gateway();
    let payment = |n: u32| Form::payment(PARIS, &format!("token-{n}"), "order-1").signed();
    let mut sent = 0;
    while gateway.tries(&payment(sent)).await.is_ok() {
        sent += 1;
    }
    let told = server.takes(1).await.remove(0);
    assert_eq!(daemon.ends().await.code(), Some(1), "{}", daemon.log());
    assert_eq!(told["to"][0], "it@acme.example");
    let subject = told["headers"]["subject"].as_str().unwrap();
    assert!(subject.contains("the store has failed"), "{subject}");
    assert!(told["text"].as_str().unwrap().contains("the router ends"), "{told}");
    assert_sound(&told);
}

#[tokio::test]
async fn every_agreed_e_mail_is_read_as_it_was_written() {
    let mut server = MailServer::start(&[]).await;
    let mailer = Mailer::new(&server.settings()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/emails");
    let files = ["en", "fr"].map(|language| fs::read_dir(folder.join(language)).unwrap());
    let files: Vec<_> = files.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 100, "{}", files.len());
    for (id, file) in (1..).zip(&files) {
        let agreed = fs::read_to_string(file).unwrap();
        let (head, text) = agreed.split_once("\n\n").unwrap();
        let subject = head.strip_prefix("Subject: ").unwrap();
        let email = DueEmail {
            id,
            to: "oncall@acme.example".into(),
            address: "oncall@acme.example".into(),
            message_id: format!("<{id}@router.example>"),
            in_reply_to: Some("<0@router.example>".into()),
            subject: subject.into(),
            text: text.into(),
            created_at: "2026-10-17T14:02:00Z".parse().unwrap(),
            attempts: 0,
        };
        mailer.send(&email).await.unwrap();
        let read = server.takes(1).await.remove(0);
        assert_sound(&read);
        let headers = &read["headers"];
        // Python takes a blank that does not break for any blank.
        let plain = subject.replace('\u{a0}', " ");
        assert_eq!(headers["subject"], plain, "{}", file.display());
        assert_eq!(headers["in-reply-to"], "<0@router.example>");
        assert_eq!(headers["references"], "<0@router.example>");
        assert_eq!(headers["message-id"], email.message_id);
        let read = read["text"].as_str().unwrap();
        assert_eq!(read.trim_end(), text.trim_end(), "{}", file.display());
    }
    mailer.rest().await;
}

/// Nothing for a mail program to stumble over (issue 5).
fn assert_sound(mail: &Value) {
    assert_eq!(mail["defects"], Value::Array(Vec::new()), "{mail}");
    assert_eq!(mail["bare_line_ends"], 0, "{mail}");
    assert!(mail["longest_header_line"].as_u64().unwrap() <= 78, "{mail}");
    let subject = mail["headers"]["subject"].as_str().unwrap();
    assert!(subject.chars().count() <= 120, "{subject}");
    for line in mail["text"].as_str().unwrap().lines() {
        assert!(line.chars().count() <= 78, "{line}");
    }
}
