//! What only SQLite has: one file and its log, on a disk that can be full or broken.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use ipn_router::deliver::{Circles, Verbs};
use ipn_router::outbox::VerbId;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};

use super::*;
use crate::support::{Acme, Answer, FakeShop, Form, Home, TestDaemon};

#[tokio::test]
async fn log_is_copied_back_while_commits_go_on_and_the_file_stays_whole() {
    const BODY: usize = 60 * 1024;
    const COUNT: usize = 5_000;
    let store = TestStore::new();
    let outbox = store.open();
    let body = Bytes::from(vec![b'a'; BODY]);
    let mut accepts = JoinSet::new();
    for task in 0..16 {
        let (outbox, body) = (outbox.clone(), body.clone());
        accepts.spawn(async move {
            for n in 0..COUNT / 16 {
                let name = format!("{task}-{n}");
                let routed = Routed {
                    body: body.clone(),
                    ..notification(&name, &name)
                };
                assert_eq!(outbox.accept(routed).await.unwrap(), Accepted::Stored);
            }
        });
    }
    accepts.join_all().await;
    // Nobody has shortened it: this is the longest that it ever was.
    let log = fs::metadata(store.folder.path().join("outbox.db-wal")).unwrap().len();
    assert!(log < (BODY * COUNT * 2 / 3) as u64, "the log has {log} bytes");
    outbox.close();
    assert_eq!(integrity(&Connection::open(store.settings().path).unwrap()), "ok");
}

#[tokio::test]
async fn nearly_full_disk_refuses_newcomers_and_everything_else_goes_on() {
    let (acme, daemon) = on_a_small_disk().await;
    let disk = Disk::of(&daemon);
    let mut gateway = daemon.gateway();
    let release = holds_its_first_answer(&acme.paris);
    gateway.sends(&payment("early")).await;
    acme.paris.gets(1).await;

    let filler = disk.fill(100 * 1024 * 1024);
    let late = payment("late");
    let refusal = eventually("the disk is full", async || {
        let reply = gateway.tries(&late).await.unwrap();
        (reply.status == 503).then_some(reply)
    })
    .await;
    assert!(refusal.text.starts_with("KO-not-stored "), "{}", refusal.text);
    release.notify_one();
    eventually("what was accepted is delivered", async || {
        let delivered = "SELECT count(*) FROM deliveries JOIN notifications ON id = notification
            WHERE state = 1 AND token = 'early'";
        (disk.number(delivered) == 1).then_some(())
    })
    .await;

    fs::remove_file(filler).unwrap();
    let next = payment("next");
    eventually("there is room again", async || {
        gateway.tries(&next).await.unwrap().is_stored().then_some(())
    })
    .await;
    eventually("it is delivered", async || {
        (disk.number("SELECT count(*) FROM deliveries WHERE state = 0") == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn result_that_finds_no_room_is_recorded_later_and_the_shop_is_not_called_again() {
    let (acme, daemon) = on_a_small_disk().await;
    let disk = Disk::of(&daemon);
    let release = holds_its_first_answer(&acme.paris);
    daemon.gateway().sends(&payment("token-1")).await;
    acme.paris.gets(1).await;
    let filler = disk.fill(u64::MAX);
    release.notify_one();
    eventually("the result finds no room", async || {
        daemon.log().contains("cannot record an attempt").then_some(())
    })
    .await;
    assert_eq!(disk.number("SELECT count(*) FROM deliveries WHERE state = 0"), 1);

    fs::remove_file(filler).unwrap();
    eventually("it is recorded", async || {
        (disk.number("SELECT count(*) FROM deliveries WHERE state = 1") == 1).then_some(())
    })
    .await;
    assert_eq!(acme.paris.calls().len(), 1);
    assert_eq!(integrity(&disk.store().1), "ok");
}

/// The shop takes everything, the first call only when it is told to.
fn holds_its_first_answer(shop: &FakeShop) -> Arc<Notify> {
    let release = Arc::new(Notify::new());
    shop.answers_first([Answer::Held(Arc::clone(&release))]);
    release
}

#[tokio::test]
async fn daemon_ends_when_a_commit_fails_and_the_next_start_finds_what_holds() {
    let log = until_files_are_too_long(2 * 1024, 0).await;
    assert!(log.contains("cannot write to the store"), "{log}");
}

#[tokio::test]
async fn daemon_ends_when_copying_the_log_back_fails() {
    // The log starts anew each time that it is copied back, at 16 MiB; the file grows.
    let log = until_files_are_too_long(32 * 1024, 50_000).await;
    assert!(log.contains("cannot copy the store's log back"), "{log}");
}

/// Writes beyond this length of a file fail, as on a broken disk. Sends bodies of about this length until the daemon
/// ends, starts it without the limit, and finds everything that was acknowledged; returns what it logged.
async fn until_files_are_too_long(kib: u32, body: usize) -> String {
    let acme = Acme::open();
    let limit = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    let wrapper = ["bash", "-c", &limit, "bash"];
    let mut daemon = TestDaemon::start_wrapped(Home::new(), "outbox.db", &wrapper, &acme.toml("")).await;
    let mut gateway = daemon.gateway();
    let padding = "a".repeat(body);
    let mut acknowledged = 0;
    let unanswered = loop {
        let payment = Form::payment(PARIS, &format!("token-{acknowledged}"), "order-1");
        let body = payment.with("vads_ext_info_padding", &padding).signed();
        match gateway.tries(&body).await {
            Ok(reply) if reply.is_stored() => acknowledged += 1,
            Ok(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
            Err(_) => break body,
        }
    };
    assert_eq!(daemon.ends().await.code(), Some(1), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("the store has failed"), "{log}");
    assert!(acknowledged > 10);

    daemon.without_wrapper();
    daemon.start_again().await;
    let reply = daemon.gateway().tries(&unanswered).await.unwrap();
    assert!(reply.is_stored() || reply.is_duplicate(), "{reply:?}");
    daemon.delivers_everything().await;
    let home = &daemon.home;
    assert!(home.number("SELECT count(*) FROM deliveries WHERE state = 1") > acknowledged);
    assert_eq!(integrity(&home.store()), "ok");
    log
}

/// The daemon with its store on a disk of 320 MiB, of which it wants to keep 256 MiB free.
async fn on_a_small_disk() -> (Acme, TestDaemon) {
    // A namespace of its own: the mount ends with the daemon.
    let namespace: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["unshare", "--mount"],
        false => &["unshare", "--mount", "--map-root-user"],
    };
    let mount = "mount -t tmpfs -o size=320m small-disk \"$1\" && shift && exec \"$@\"";
    let possible = Command::new(namespace[0]).args(&namespace[1..]).arg("true").status();
    assert!(
        possible.is_ok_and(|status| status.success()),
        "this test mounts a small disk: run it as root, or where user namespaces are allowed"
    );
    let acme = Acme::open();
    let home = Home::new();
    let disk = home.path("disk");
    fs::create_dir(&disk).unwrap();
    let wrapper = [namespace, &["sh", "-c", mount, "sh", disk.to_str().unwrap()]].concat();
    let daemon = TestDaemon::start_wrapped(home, "disk/outbox.db", &wrapper, &acme.toml("")).await;
    (acme, daemon)
}

/// The daemon's disk, seen from here.
struct Disk {
    root: PathBuf,
}

impl Disk {
    fn of(daemon: &TestDaemon) -> Self {
        let inside = daemon.home.path("disk");
        let root = PathBuf::from(format!("/proc/{}/root", daemon.process()));
        Self {
            root: root.join(inside.strip_prefix("/").unwrap()),
        }
    }

    /// Writes a file of so many bytes, or until nothing more fits.
    fn fill(&self, bytes: u64) -> PathBuf {
        let path = self.root.join("filler");
        let mut file = File::create(&path).unwrap();
        let zeros = vec![0; 4096];
        let mut written = 0;
        while written < bytes && file.write_all(&zeros).is_ok() {
            written += 4096;
        }
        path
    }

    /// The store as it is now: a copy, for SQLite would look for the file on our side of the mount.
    fn store(&self) -> (TempDir, Connection) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["outbox.db", "outbox.db-wal"] {
            fs::copy(self.root.join(name), copy.path().join(name)).unwrap();
        }
        let store = Connection::open(copy.path().join("outbox.db")).unwrap();
        (copy, store)
    }

    fn number(&self, sql: &str) -> i64 {
        self.store().1.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Concerns Paris alone.
fn payment(token: &str) -> String {
    Form::payment(PARIS, token, "order-1").signed()
}

fn integrity(store: &Connection) -> String {
    store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn row_that_this_version_does_not_know_is_told_from_a_store_that_fails() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(notification("a", "token-1")).await.unwrap();
    assert!(matches!(outbox.notification(99).await, Err(OutboxError::Unreadable(_))));
    drop(outbox);
    let newer = Connection::open(store.settings().path).unwrap();
    newer
        .execute("UPDATE notifications SET kind = 'token.frozen'", [])
        .unwrap();
    let outbox = store.open();
    assert!(matches!(outbox.notification(1).await, Err(OutboxError::Unreadable(_))));
    outbox.close();
    assert!(matches!(outbox.notification(1).await, Err(OutboxError::Failed(_))));
}

#[tokio::test]
async fn incident_that_cannot_be_read_is_closed_and_its_shop_is_served() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(notification("a", "token-1")).await.unwrap();
    Connection::open(store.settings().path)
        .unwrap()
        .execute_batch(
            r#"INSERT INTO incidents(destination, opened_at, facts) VALUES (1, 1, '{"of":"a newer version"}')"#,
        )
        .unwrap();
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert_eq!(owned.incident, None);
    assert!(outbox.unseen_incidents(10).await.unwrap().is_empty());
    // The next failure opens one.
    let failed = attempts::failed_with(owned.lease, attempts::incident(1));
    attempts::record(&outbox, &inbox, failed).await;
    assert_eq!(outbox.unseen_incidents(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn verb_that_cannot_be_carried_out_is_ended_and_hurts_nobody_else() {
    let store = TestStore::new();
    let outbox = store.open();
    for name in ["a", "b"] {
        outbox.accept(notification(name, name)).await.unwrap();
    }
    let (owned, inbox) = own(&outbox, &paris()).await;
    outbox
        .give_up(owned.lease, vec![1, 2], None, SystemClock.now(), &inbox)
        .unwrap();
    news(&inbox, 1).await;
    let other = Connection::open(store.settings().path).unwrap();
    // The second row of the step is refused, when the first is written.
    let refusal = "CREATE TRIGGER refuse BEFORE INSERT ON deliveries WHEN NEW.replay_of = 2
        BEGIN SELECT RAISE(ABORT, 'no second'); END";
    other.execute_batch(refusal).unwrap();
    let replay = r#"{"verb":"replay","which":{"scope":{"received":
        {"from":"2020-01-01T00:00:00Z","until":"2100-01-01T00:00:00Z"}}}}"#;
    let verb = serde_json::from_str(replay).unwrap();
    let refused = outbox.ask_for(verb, "root", SystemClock.now()).await.unwrap();
    let unknown = {
        let sql = r#"INSERT INTO verbs(at, asked_by, verb, quick) VALUES (0, 'root', '{"verb":"freeze"}', 0)"#;
        other.execute(sql, []).unwrap();
        VerbId(other.last_insert_rowid())
    };
    let verbs = Verbs::new(
        outbox.clone(),
        watch::Sender::new(Circles::default()).subscribe(),
        Arc::new(SystemClock),
    );
    let carrier = tokio::spawn(verbs.run(std::future::pending()));
    let result = outbox.verb_result(refused).await.unwrap();
    assert_eq!(result.done, 0);
    assert!(result.failed.unwrap().contains("no second"));
    eventually("the unknown verb is ended", async || {
        let ended = "SELECT count(*) FROM verbs WHERE id = ? AND done_at > 0 AND result LIKE '%freeze%'";
        let count: i64 = other.query_row(ended, [unknown.0], |row| row.get(0)).unwrap();
        (count == 1).then_some(())
    })
    .await;
    carrier.abort();
    // What was undone has left no gap.
    outbox.accept(notification("c", "c")).await.unwrap();
    assert_eq!(handed_over(&news(&inbox, 1).await)[0].seq, 3);
}
