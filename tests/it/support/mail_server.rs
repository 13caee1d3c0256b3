use std::path::PathBuf;
use std::process::Stdio;

use ipn_router::alert::{MailSecurity, MailSettings};
use ipn_router::domain::Secret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::PATIENCE;

/// `smtp_server.py` with a certificate of its own; ends when this is dropped.
pub(crate) struct MailServer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl MailServer {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let outside: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "outside"].iter().collect();
        let python = outside.join(".venv/bin/python");
        let mut process = Command::new(&python)
            .arg(outside.join("smtp_server.py"))
            .args(["--certificate", "certificate.pem", "--key", "key.pem"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; tests/run prepares it", python.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("it starts")
            .unwrap();
        let said: Value = serde_json::from_str(&said.expect("it says its port")).unwrap();
        let port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
        Self {
            process,
            lines,
            port,
            folder,
        }
    }

    pub(crate) fn settings(&self) -> MailSettings {
        MailSettings {
            host: "localhost".into(),
            port: self.port,
            security: MailSecurity::StartTls,
            username: Some("ipn-router".into()),
            password: Some(Secret::new("s3cret")),
            from: "IPN router <ipn@router.example>".parse().unwrap(),
            ca: Some(self.folder.path().join("certificate.pem")),
        }
    }

    /// The next messages, in the order of their recipients.
    pub(crate) async fn takes(&mut self, number: usize) -> Vec<Value> {
        let mut mails: Vec<Value> = Vec::new();
        while mails.len() < number {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
                .await
                .expect("an e-mail comes")
                .unwrap();
            mails.push(serde_json::from_str(&line.expect("the server runs")).unwrap());
        }
        mails.sort_by_key(|mail| mail["to"].to_string());
        mails
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Ends by itself when its input ends; this only makes sure.
        drop(self.process.stdin.take());
    }
}
