//! What every store must do (design.md 7), told through `Outbox` alone; `sqlite` has what only that one promises.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod attempts;
mod emails;
mod first_attempt;
mod heard;
mod persons;
mod sqlite;
mod verbs;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipn_router::domain::{
    Charge, Clock, DestinationKey, Format, Kind, Lane, Matter, Mode, NotificationId, Rendition, SystemClock,
};
use ipn_router::outbox::{
    self, Accepted, AttemptRecord, Inbox, Lease, Named, News, OpenError, Outbox, OutboxError, Owned, Settings,
};
use ipn_router::route::{Identity, Routed, Standing};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{LYON, PARIS, PATIENCE, eventually};

/// A store in a folder of its own.
struct TestStore {
    folder: TempDir,
}

impl TestStore {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            path: self.folder.path().join("outbox.db"),
            keep_bodies: Duration::from_secs(3600),
            keep_records: Duration::from_secs(3600),
        }
    }

    fn try_open(&self) -> Result<Outbox, OpenError> {
        Outbox::open(&self.settings())
    }

    fn open(&self) -> Outbox {
        self.try_open().unwrap()
    }

    /// Another connection, which does as another version would.
    fn beside(&self) -> rusqlite::Connection {
        let beside = rusqlite::Connection::open(self.settings().path).unwrap();
        beside.busy_timeout(Duration::from_secs(5)).unwrap();
        beside
    }
}

fn destination(shop: &str, rendition: Rendition) -> DestinationKey {
    DestinationKey {
        legal_entity: "acme".parse().unwrap(),
        shop: shop.parse().unwrap(),
        mode: Mode::Test,
        rendition,
    }
}

fn paris() -> DestinationKey {
    destination(PARIS, Rendition::AsReceived(Format::Form))
}

fn lyon() -> DestinationKey {
    destination(LYON, Rendition::Event)
}

fn hash(text: &str) -> [u8; 16] {
    let (front, back) = (Lane::of(text), Lane::of(&format!("{text}.")));
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&front.0.to_be_bytes());
    hash[8..].copy_from_slice(&back.0.to_be_bytes());
    hash
}

/// A notification for Paris, in the lane of `token`; `name` is its identity.
fn notification(name: &str, token: &str) -> Routed {
    let received_at = SystemClock.now();
    Routed {
        id: NotificationId::new(received_at),
        received_at,
        legal_entity: "acme".parse().unwrap(),
        shop: PARIS.parse().unwrap(),
        mode: Mode::Test,
        format: Format::Form,
        kind: Kind::TokenUpdated,
        token: Some(token.to_owned()),
        transaction: Some(name.to_owned()),
        standing: Standing::Routed,
        identity: Identity {
            hash: hash(name),
            until: None,
        },
        resend_of: None,
        event: None,
        lane: Lane::of(token),
        charge: None,
        destinations: vec![paris()],
        withheld: Vec::new(),
        configuration: 0,
        headers: "content-type: application/x-www-form-urlencoded\n".to_owned(),
        body: format!("vads_identifier={token}").into(),
    }
}

/// Takes the destination over.
async fn own(outbox: &Outbox, key: &DestinationKey) -> (Owned, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    (
        outbox.own(key, Arc::clone(&inbox), SystemClock.now()).await.unwrap(),
        inbox,
    )
}

/// The next so many news.
async fn news(inbox: &Inbox, count: usize) -> Vec<News> {
    let mut all = Vec::new();
    eventually("news", async || {
        all.extend(inbox.take().0);
        (all.len() >= count).then_some(())
    })
    .await;
    assert_eq!(all.len(), count, "{all:?}");
    all
}

fn handed_over(news: &[News]) -> Vec<Named> {
    let named = |news: &News| match news {
        News::HandedOver(named) => *named,
        other => panic!("{other:?}"),
    };
    news.iter().map(named).collect()
}

/// The seqs of everything that is open.
async fn open_seqs(outbox: &Outbox, lease: Lease) -> Vec<i64> {
    let page = outbox.page(lease, 0, 10_000).await.unwrap();
    page.rows.iter().map(|row| row.seq).collect()
}

#[tokio::test]
async fn accepted_notification_is_stored_with_one_delivery_per_destination() {
    let store = TestStore::new();
    let outbox = store.open();
    let routed = Routed {
        destinations: vec![paris(), lyon()],
        event: Some(hash("event")),
        charge: Some(Charge::Failed),
        ..notification("a", "token-1")
    };
    assert_eq!(outbox.accept(routed.clone()).await.unwrap(), Accepted::Stored);
    for key in [paris(), lyon()] {
        let (owned, _inbox) = own(&outbox, &key).await;
        assert_eq!((owned.read, owned.last), (0, 1));
        let page = outbox.page(owned.lease, 0, 10).await.unwrap();
        assert_eq!((page.rows.len(), page.last, page.full), (1, 1, false));
        let row = page.rows[0];
        assert_eq!((row.seq, row.lane, row.since), (1, routed.lane, routed.received_at));
        let stored = outbox.notification(row.notification).await.unwrap();
        assert_eq!((stored.id, stored.received_at), (routed.id, routed.received_at));
        assert_eq!(
            (stored.shop, stored.mode, stored.format),
            (routed.shop, routed.mode, routed.format)
        );
        let (kind, charge) = (routed.kind, routed.charge);
        assert_eq!(stored.matter, Matter { kind, charge });
        assert_eq!((&stored.body, &stored.headers), (&routed.body, &routed.headers));
        assert_eq!(
            (&stored.legal_entity, stored.event),
            (&routed.legal_entity, routed.event)
        );
    }
}

#[tokio::test]
async fn duplicate_stores_nothing_and_is_answered_with_the_first_id() {
    let store = TestStore::new();
    let outbox = store.open();
    let first = notification("a", "token-1");
    assert_eq!(outbox.accept(first.clone()).await.unwrap(), Accepted::Stored);
    let second = outbox.accept(notification("a", "token-1")).await.unwrap();
    assert_eq!(second, Accepted::Duplicate { first: first.id });
    let (owned, _inbox) = own(&outbox, &paris()).await;
    assert_eq!(owned.last, 1);
    outbox.close();
    let reopened = store.open();
    let third = reopened.accept(notification("a", "token-1")).await.unwrap();
    assert_eq!(third, Accepted::Duplicate { first: first.id });
}

#[tokio::test]
async fn equal_ones_at_the_same_time_are_one() {
    let store = TestStore::new();
    let outbox = store.open();
    // While the first are written the others gather in one group.
    let mut accepts = JoinSet::new();
    for n in 0..100 {
        for _ in 0..3 {
            let (outbox, routed) = (outbox.clone(), notification(&n.to_string(), "token-1"));
            accepts.spawn(async move { (n, routed.id, outbox.accept(routed).await.unwrap()) });
        }
    }
    let answers = accepts.join_all().await;
    for n in 0..100 {
        let of_this: Vec<_> = answers.iter().filter(|(of, ..)| *of == n).collect();
        let stored: Vec<_> = of_this
            .iter()
            .filter(|(.., accepted)| *accepted == Accepted::Stored)
            .collect();
        assert_eq!(stored.len(), 1);
        let first = stored[0].1;
        let duplicates = of_this
            .iter()
            .filter(|(.., accepted)| *accepted == Accepted::Duplicate { first });
        assert_eq!(duplicates.count(), 2);
    }
    let (owned, _inbox) = own(&outbox, &paris()).await;
    assert_eq!(open_seqs(&outbox, owned.lease).await, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn known_event_is_not_told_twice_and_the_other_deliveries_are_made() {
    let store = TestStore::new();
    let outbox = store.open();
    let rest = destination(PARIS, Rendition::AsReceived(Format::Rest));
    for (name, key) in [("by form", paris()), ("by rest", rest.clone())] {
        let routed = Routed {
            event: Some(hash("event")),
            destinations: vec![key, lyon()],
            ..notification(name, "token-1")
        };
        assert_eq!(outbox.accept(routed).await.unwrap(), Accepted::Stored);
    }
    for (key, count) in [(paris(), 1), (rest, 1), (lyon(), 1)] {
        let (owned, _inbox) = own(&outbox, &key).await;
        assert_eq!(owned.last, count, "{key}");
    }
}

#[tokio::test]
async fn identity_that_has_lapsed_may_be_used_again() {
    let store = TestStore::new();
    let outbox = store.open();
    let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let cancelled = |after: SignedDuration| {
        let received_at = start + after;
        Routed {
            id: NotificationId::new(received_at),
            received_at,
            identity: Identity {
                hash: hash("cancelled"),
                until: Some(received_at + SignedDuration::from_hours(2)),
            },
            ..notification("", "token-1")
        }
    };
    let minutes = SignedDuration::from_mins;
    let (first, second) = (cancelled(minutes(0)), cancelled(minutes(120)));
    let (first_id, second_id) = (first.id, second.id);
    assert_eq!(outbox.accept(first).await.unwrap(), Accepted::Stored);
    let soon = outbox.accept(cancelled(minutes(119))).await.unwrap();
    assert_eq!(soon, Accepted::Duplicate { first: first_id });
    assert_eq!(outbox.accept(second).await.unwrap(), Accepted::Stored);
    let soon = outbox.accept(cancelled(minutes(130))).await.unwrap();
    assert_eq!(soon, Accepted::Duplicate { first: second_id });
}

#[tokio::test]
async fn resend_remembers_what_it_repeats() {
    let store = TestStore::new();
    let outbox = store.open();
    let original = notification("a", "token-1");
    outbox.accept(original.clone()).await.unwrap();
    let resend = Routed {
        resend_of: Some(original.identity.hash),
        ..notification("a again", "token-1")
    };
    let of_unknown = Routed {
        resend_of: Some(hash("never seen")),
        ..notification("b again", "token-1")
    };
    outbox.accept(resend).await.unwrap();
    outbox.accept(of_unknown).await.unwrap();
    let (owned, _inbox) = own(&outbox, &paris()).await;
    let page = outbox.page(owned.lease, 0, 10).await.unwrap();
    let mut repeats = Vec::new();
    for row in page.rows {
        repeats.push(outbox.notification(row.notification).await.unwrap().resend_of);
    }
    assert_eq!(repeats, [None, Some(original.id), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn seq_is_gap_free_and_handed_over_in_its_order_after_the_commit() {
    let store = TestStore::new();
    let outbox = store.open();
    let (of_paris, paris_inbox) = own(&outbox, &paris()).await;
    let (of_lyon, lyon_inbox) = own(&outbox, &lyon()).await;
    let mut accepts = JoinSet::new();
    for task in 0..10 {
        let outbox = outbox.clone();
        accepts.spawn(async move {
            for n in 0..40 {
                let name = format!("{task}-{n}");
                let routed = Routed {
                    event: Some(hash(&format!("event {name}"))),
                    // Every other one concerns Paris alone, so that the two count differently.
                    destinations: if n % 2 == 0 {
                        vec![paris()]
                    } else {
                        vec![lyon(), paris()]
                    },
                    ..notification(&name, &name)
                };
                assert_eq!(outbox.accept(routed).await.unwrap(), Accepted::Stored);
            }
        });
    }
    for (owned, inbox, count) in [(of_paris, paris_inbox, 400), (of_lyon, lyon_inbox, 200)] {
        let mut seqs = Vec::new();
        while seqs.len() < count {
            inbox.changed().await;
            let (news, last) = inbox.take();
            let handed_over = handed_over(&Vec::from(news));
            if let Some(newest) = handed_over.last() {
                assert_eq!(newest.seq, last);
                // It was committed before it was handed over: the reader sees it.
                let page = outbox
                    .page(owned.lease, seqs.len() as i64, handed_over.len())
                    .await
                    .unwrap();
                assert_eq!(page.rows, handed_over);
            }
            seqs.extend(handed_over.iter().map(|named| named.seq));
        }
        assert_eq!(seqs, (1..=count as i64).collect::<Vec<_>>());
    }
    accepts.join_all().await;
}

#[tokio::test]
async fn accept_that_nobody_waits_for_is_stored_and_handed_over_all_the_same() {
    let store = TestStore::new();
    let outbox = store.open();
    let (_owned, inbox) = own(&outbox, &paris()).await;
    let routed = notification("a", "token-1");
    give_up_at_once(outbox.accept(routed.clone())).await;
    let named = handed_over(&news(&inbox, 1).await)[0];
    assert_eq!(
        (named.seq, named.lane, named.since),
        (1, routed.lane, routed.received_at)
    );
    let repeated = outbox.accept(notification("a", "token-1")).await.unwrap();
    assert_eq!(repeated, Accepted::Duplicate { first: routed.id });
}

/// Lets the future begin, and drops it, as the server does when a client leaves.
async fn give_up_at_once<T>(future: impl Future<Output = T>) {
    tokio::select! {
        biased;
        _ = future => {}
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn more_than_may_wait_is_busy_and_then_there_is_room_again() {
    let store = TestStore::new();
    let outbox = store.open();
    let large = |name: &str| Routed {
        body: vec![b'a'; 7 * 1024 * 1024].into(),
        ..notification(name, "token-1")
    };
    let (a, b, c) = (large("a"), large("b"), large("c"));
    let (a, b, c) = tokio::join!(outbox.accept(a), outbox.accept(b), outbox.accept(c));
    assert_eq!((a.unwrap(), b.unwrap()), (Accepted::Stored, Accepted::Stored));
    assert!(matches!(c, Err(OutboxError::Busy)), "{c:?}");
    assert_eq!(outbox.accept(large("c")).await.unwrap(), Accepted::Stored);
}

#[tokio::test]
async fn close_writes_what_is_queued_and_refuses_the_rest() {
    let store = TestStore::new();
    let outbox = store.open();
    for n in 0..300 {
        give_up_at_once(outbox.accept(notification(&n.to_string(), "token-1"))).await;
    }
    outbox.close();
    let late = outbox.accept(notification("late", "token-1")).await;
    assert!(matches!(late, Err(OutboxError::Failed(_))), "{late:?}");
    assert!(matches!(outbox.next_email().await, Err(OutboxError::Failed(_))));

    let (owned, _inbox) = own(&store.open(), &paris()).await;
    assert_eq!((owned.read, owned.last), (0, 300));
}

#[tokio::test]
async fn second_daemon_is_kept_out_until_the_first_has_ended() {
    let store = TestStore::new();
    let first = store.open();
    assert!(matches!(store.try_open(), Err(OpenError::InUse(_))));
    first.accept(notification("a", "token-1")).await.unwrap();
    first.close();
    let second = store.open();
    assert!(matches!(store.try_open(), Err(OpenError::InUse(_))));
    let clone = second.clone();
    drop(second);
    assert!(matches!(store.try_open(), Err(OpenError::InUse(_))), "a clone is open");
    drop(clone);
    store.open();
}
