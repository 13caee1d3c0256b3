use std::sync::mpsc;
use std::time::Duration;

use rusqlite::ffi;
use tempfile::TempDir;

use super::*;
use crate::domain::{DestinationFilter, Format, Lane, Mode, Trouble, Verb};
use crate::metrics::{Metrics, Reading};
use crate::outbox::sqlite::testing::routed;
use crate::outbox::{Accepted, Lease, News, Next, Outbox, Settings};
use crate::route::{Routed, Standing};

fn open() -> (TempDir, PathBuf, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&Settings {
        path: path.clone(),
        keep_bodies: Duration::from_secs(3600),
        keep_records: Duration::from_secs(3600),
    });
    (folder, path, outbox.unwrap())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

fn delivery(n: u8) -> Routed {
    routed(n, Standing::Routed, at(i64::from(n)))
}

fn delivered(lease: Lease, seq: i64) -> AttemptRecord {
    AttemptRecord {
        lease,
        seq,
        lane: Lane(seq),
        attempt: 1,
        counted: 0,
        started_at: at(1_000),
        took: Duration::ZERO,
        status: Some(200),
        cause: None,
        detail: String::new(),
        answer: Vec::new(),
        next: Next::Delivered,
        incident: None,
        told_apart: None,
        complaint: None,
        down_since: None,
    }
}

fn trouble() -> Trouble {
    Trouble::unknown_shop("1", Format::Form, Mode::Test)
}

/// Keeps the writer busy until something is sent: what is queued meanwhile is one group.
fn hold(outbox: &Outbox) -> mpsc::Sender<()> {
    let (begun, begins) = mpsc::channel();
    let (release, held) = mpsc::channel();
    let busy = move |_: &mut Ledger| -> rusqlite::Result<AfterCommit> {
        begun.send(()).unwrap();
        held.recv().unwrap();
        Ok(Box::new(|| ()))
    };
    outbox.shared.store.queue.task(Box::new(busy)).unwrap();
    begins.recv().unwrap();
    release
}

async fn own(outbox: &Outbox) -> (Lease, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    let key = &delivery(1).destinations[0];
    let owned = outbox.own(key, Arc::clone(&inbox), at(0)).await.unwrap();
    (owned.lease, inbox)
}

/// Everything that was committed so far was told, too: another group has begun.
fn settle(outbox: &Outbox) {
    hold(outbox).send(()).unwrap();
}

fn handed_over(outbox: &Outbox, inbox: &Inbox) -> Vec<i64> {
    settle(outbox);
    let seq = |news| match news {
        News::HandedOver(named) => named.seq,
        other => panic!("{other:?}"),
    };
    inbox.take().0.into_iter().map(seq).collect()
}

#[tokio::test]
async fn what_a_row_forbids_one_of_a_group_is_forbidden_to_nobody_else() {
    let (_folder, path, outbox) = open();
    let (lease, inbox) = own(&outbox).await;
    for n in 1..=2 {
        outbox.accept(delivery(n)).await.unwrap();
    }
    assert_eq!(handed_over(&outbox, &inbox), [1, 2]);
    let refuse = "CREATE TRIGGER first BEFORE INSERT ON attempts WHEN NEW.seq = 1
          BEGIN SELECT RAISE(ABORT, 'not this attempt'); END;
        CREATE TRIGGER fourth BEFORE INSERT ON deliveries WHEN NEW.lane = 4
          BEGIN SELECT RAISE(ABORT, 'not this delivery'); END;
        CREATE TRIGGER trouble BEFORE INSERT ON troubles
          BEGIN SELECT RAISE(ABORT, 'not this trouble'); END";
    Connection::open(path).unwrap().execute_batch(refuse).unwrap();

    let release = hold(&outbox);
    outbox.record(delivered(lease, 1), &inbox);
    outbox.record(delivered(lease, 2), &inbox);
    let (third, fourth, fifth, reported, asked, ()) = tokio::join!(
        outbox.accept(delivery(3)),
        outbox.accept(delivery(4)),
        outbox.accept(delivery(5)),
        outbox.report(trouble(), at(0)),
        outbox.ask_for(Verb::Pause(DestinationFilter::default().into()), "root", at(0)),
        async { release.send(()).unwrap() },
    );
    assert_eq!((third.unwrap(), fifth.unwrap()), (Accepted::Stored, Accepted::Stored));
    assert!(asked.is_ok());
    let said = |error: OutboxError, what: &str| {
        assert!(
            matches!(&error, OutboxError::Unreadable(why) if why.contains(what)),
            "{error}"
        );
    };
    said(fourth.unwrap_err(), "not this delivery");
    said(reported.unwrap_err(), "not this trouble");
    settle(&outbox);
    let news: Vec<_> = inbox.take().0.into();
    match &news[..] {
        [
            News::Refused { record, why },
            News::Recorded { seq: 2, .. },
            News::HandedOver(third),
            News::HandedOver(fifth),
        ] => {
            assert_eq!(record.seq, 1);
            said(why.clone(), "not this attempt");
            assert_eq!((third.seq, fifth.seq), (3, 4), "what was undone leaves no gap");
            let fifth = outbox.notification(fifth.notification).await.unwrap();
            assert_eq!(fifth.received_at, at(5));
        }
        other => panic!("{other:?}"),
    }
    let page = outbox.page(lease, 0, 10).await.unwrap();
    let seqs: Vec<_> = page.rows.iter().map(|row| row.seq).collect();
    assert_eq!((&seqs[..], page.last), (&[1, 3, 4][..], 4));
}

#[tokio::test]
async fn release_waits_for_the_records_that_were_queued_before() {
    let (_folder, _path, outbox) = open();
    let (lease, inbox) = own(&outbox).await;
    let count = RECORDS + 1;
    let release = hold(&outbox);
    for seq in (1..).take(count) {
        outbox.record(delivered(lease, seq), &inbox);
    }
    let (released, ()) = tokio::join!(outbox.release(lease, None), async { release.send(()).unwrap() });
    released.unwrap();
    let (news, _) = inbox.take();
    assert_eq!(news.len(), count);
    let other = news.iter().find(|news| !matches!(news, News::Recorded { .. }));
    assert!(other.is_none(), "{other:?}");
}

#[tokio::test]
async fn group_that_fails_leaves_the_owners_as_they_were() {
    let (_folder, _path, outbox) = open();
    let (lease, inbox) = own(&outbox).await;
    let key = &delivery(1).destinations[0];
    let queue = &outbox.shared.store.queue;
    // Not what stands in a row: the store does not work.
    let fails = || queue.task(Box::new(|_| Err(rusqlite::Error::InvalidQuery))).unwrap();

    let release = hold(&outbox);
    let (owned, ..) = tokio::join!(
        outbox.own(key, Arc::new(Inbox::default()), at(0)),
        async { fails() },
        async { release.send(()).unwrap() },
    );
    assert!(matches!(owned, Err(OutboxError::Failed(_))), "{owned:?}");
    let release = hold(&outbox);
    let (released, ..) = tokio::join!(outbox.release(lease, None), async { fails() }, async {
        release.send(()).unwrap()
    },);
    assert!(matches!(released, Err(OutboxError::Failed(_))), "{released:?}");

    outbox.accept(delivery(1)).await.unwrap();
    assert_eq!(handed_over(&outbox, &inbox), [1]);
}

#[tokio::test]
async fn who_waits_for_a_verb_hears_that_the_store_has_failed() {
    let (_folder, _path, outbox) = open();
    let pause = Verb::Pause(DestinationFilter::default().into());
    let id = outbox.ask_for(pause, "root", at(0)).await.unwrap();
    let broken = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), None);
    let (result, ()) = tokio::join!(outbox.verb_result(id), async {
        outbox.shared.store.queue.task(Box::new(|_| Err(broken))).unwrap();
    });
    assert!(matches!(result, Err(OutboxError::Failed(_))), "{result:?}");
}

#[tokio::test]
async fn finding_out_whether_it_can_be_written_is_counted_as_no_commit() {
    let (_folder, _path, outbox) = open();
    let (receiving, delivering, reloading) = Default::default();
    let metrics = Metrics::new(&receiving, outbox.counts(), &delivering, &reloading);
    let counted = |commits: u32| {
        let text = metrics.text(Some(&Reading::default()));
        let line = format!("ipn_router_commit_seconds_count {commits}");
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    };
    for _ in 0..3 {
        outbox.try_writing().await.unwrap();
    }
    counted(0);
    outbox.accept(delivery(1)).await.unwrap();
    counted(1);
}
