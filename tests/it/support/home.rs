use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::process::Command;

use super::acme;

/// Where a router lives: its configuration, its secrets and its store, in a folder that goes with it.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, secret) in acme::secrets() {
            let path = folder.path().join(name);
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
            file.write_all(secret.as_bytes()).unwrap();
        }
        Self { folder }
    }

    /// The program with these words and the configuration that was written here, where nobody sits.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
        command
            .args(words.split(' '))
            .arg("--config")
            .arg(self.path("ipn-router.toml"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: where it listens and stores, and `toml`, which may begin with keys of the top level.
    pub(crate) fn configure(&self, listen: SocketAddr, store: &str, toml: &str) -> PathBuf {
        let path = self.path("ipn-router.toml");
        let head = format!("[receiver]\nlisten = \"{listen}\"\n[store]\nurl = \"sqlite:{store}\"\n");
        let (top, rest) = toml.split_at(toml.find('[').unwrap_or(0));
        fs::write(&path, format!("{top}{head}{rest}")).unwrap();
        path
    }

    /// The store, to look at.
    pub(crate) fn store(&self) -> Connection {
        Connection::open(self.path("outbox.db")).unwrap()
    }

    /// One number of the store.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn open_deliveries(&self) -> i64 {
        self.number("SELECT count(*) FROM deliveries WHERE state = 0")
    }
}
