//! What is kept about a person, and its erasure.

use std::fs;

use ipn_router::domain::{Answer, Attempted, Cause, Incident, LastFailure, Outcome};
use ipn_router::outbox::{Erased, NewEmail, Next, Telling};

use jiff::tz::TimeZone;

use super::attempts::{attempt, head, record};
use super::*;

const TOKEN: &str = "380bc81fea2d5dbba2517abf0968d09f";
const ADDRESS: &str = "ann%40example.com";
/// What nobody masks.
const NAME: &str = "Ann Sample";

/// Everything that a person can be known by.
const ALL: [&str; 3] = [TOKEN, ADDRESS, NAME];

/// A notification about Ann.
fn about_ann(name: &str) -> Routed {
    Routed {
        body: format!("vads_identifier={TOKEN}&vads_cust_email={ADDRESS}&vads_cust_name={NAME}").into(),
        headers: format!("x-customer: {NAME}\n"),
        ..notification(name, TOKEN)
    }
}

/// A failed attempt that the shop has answered with everything that it knows of Ann.
fn with_words(lease: Lease, seq: i64, next: Next) -> AttemptRecord {
    let words = format!("card {TOKEN} of {NAME} ({ADDRESS}) is not ours");
    let outcome = Outcome::Rejected {
        cause: Cause::Status(500),
        answer: Some(Answer {
            status: 500,
            excerpt: words.clone().into(),
            retry_after: None,
        }),
        detail: words.clone(),
    };
    let record = attempt(lease, seq, TOKEN);
    let incident = Incident::observe(
        None,
        &Attempted {
            notification: NotificationId::new(record.started_at),
            matter: Kind::TokenUpdated.into(),
            outcome: &outcome,
            gave_up: false,
            at: record.ended_at(),
        },
    );
    AttemptRecord {
        cause: Some("500"),
        next,
        detail: words.clone(),
        answer: words.clone().into(),
        told_apart: LastFailure::from_outcome(&outcome, record.ended_at()),
        complaint: Some(words),
        incident,
        ..record
    }
}

/// How many times each of these stands in the store's files, in whatever state they are.
fn copies<const N: usize>(store: &TestStore, texts: [&str; N]) -> [usize; N] {
    let path = store.settings().path;
    let log = path.with_extension("db-wal");
    let files = [path, log].map(|path| fs::read(path).unwrap_or_default());
    texts.map(|text| {
        let hits = |file: &Vec<u8>| {
            let pieces = file.windows(text.len());
            pieces.filter(|piece| *piece == text.as_bytes()).count()
        };
        files.iter().map(hits).sum()
    })
}

/// Keys of what is about Ann.
async fn keys(outbox: &Outbox) -> Vec<i64> {
    let found = outbox.of_token(TOKEN.into(), 0, 100).await.unwrap();
    found.iter().map(|trace| trace.key).collect()
}

async fn erase(outbox: &Outbox, cancel: bool) -> Vec<Erased> {
    let keys = keys(outbox).await;
    outbox.erase(keys, cancel, SystemClock.now()).await.unwrap()
}

#[tokio::test]
async fn nothing_in_the_files_says_who_it_was_and_a_repeat_is_still_a_duplicate() {
    let store = TestStore::new();
    let outbox = store.open();
    let first = about_ann("a");
    for routed in [first.clone(), notification("b", "token-of-bob")] {
        outbox.accept(routed).await.unwrap();
    }
    let (owned, inbox) = own(&outbox, &paris()).await;
    let attempted = with_words(owned.lease, 1, Next::DeadLetter);
    let mut incident = attempted.incident.clone().unwrap();
    let day = attempted.ended_at().to_zoned(TimeZone::UTC).date().to_string();
    record(&outbox, &inbox, attempted).await;
    let mails =
        [("incident-1", "opened"), ("attempt-1-1", "1"), ("complaint-1", &day)].map(|(thread, step)| NewEmail {
            thread: thread.into(),
            step: step.into(),
            to: "oncall@acme.example".into(),
            address: "oncall@acme.example".into(),
            message_id: thread.into(),
            is_follower: false,
            subject: "fails".into(),
            text: format!("{NAME} {TOKEN}"),
        });
    let telling = Telling {
        incident: 1,
        emails: mails.into(),
        ..Telling::default()
    };
    outbox.tell(telling, SystemClock.now()).await.unwrap();
    for email in outbox.due_emails(SystemClock.now(), 10).await.unwrap() {
        outbox.email_sent(email.id, SystemClock.now()).await.unwrap();
    }
    incident.end(SystemClock.now());
    outbox.end_incident(owned.lease, incident, &inbox).unwrap();
    outbox.write_nothing().await.unwrap();
    assert!(copies(&store, ALL).iter().all(|copies| *copies > 0));

    assert_eq!(erase(&outbox, false).await, [Erased::Done]);
    assert!(outbox.empty_log().await.unwrap());
    assert_eq!(copies(&store, ALL), [0, 0, 0]);

    let repeated = outbox.accept(about_ann("a")).await.unwrap();
    assert_eq!(repeated, Accepted::Duplicate { first: first.id });
    let skeleton = outbox.find(first.id).await.unwrap().unwrap();
    assert_eq!((skeleton.notification.kind, skeleton.has_body), (first.kind, false));
    assert_eq!(skeleton.deliveries[0].last_attempts.len(), 1);
    assert!(copies(&store, ["token-of-bob"])[0] > 0, "somebody else");
}

#[tokio::test]
async fn what_waits_is_left_as_it_is_unless_it_is_cancelled() {
    let store = TestStore::new();
    let outbox = store.open();
    for name in ["a", "b"] {
        outbox.accept(about_ann(name)).await.unwrap();
    }
    let parked = Routed {
        standing: Standing::Parked,
        destinations: Vec::new(),
        ..about_ann("c")
    };
    outbox.accept(parked).await.unwrap();
    let (owned, inbox) = own(&outbox, &paris()).await;
    record(&outbox, &inbox, attempt(owned.lease, 1, TOKEN)).await;
    let all = keys(&outbox).await;
    assert_eq!(outbox.wait(all.clone()).await.unwrap(), [false, true, true]);
    assert_eq!(
        erase(&outbox, false).await,
        [Erased::Done, Erased::Waits, Erased::Waits]
    );
    assert_eq!(keys(&outbox).await, all[1..]);
    let waits = head(&outbox, owned.lease, TOKEN).await.unwrap();
    assert_eq!(waits.seq, 2, "in the lane that it was in");
    assert!(outbox.notification(waits.notification).await.is_ok());

    assert_eq!(erase(&outbox, true).await, [Erased::Done, Erased::Done]);
    match &news(&inbox, 1).await[..] {
        [News::Cancelled { rows }] => assert_eq!((rows[0].seq, rows[0].lane), (2, Lane::of(TOKEN))),
        other => panic!("{other:?}"),
    }
    assert_eq!(head(&outbox, owned.lease, TOKEN).await, None);
    assert_eq!(keys(&outbox).await, [0; 0]);
    let read = outbox.notification(waits.notification).await;
    assert!(matches!(read, Err(OutboxError::Unreadable(_))), "{read:?}");
}

#[tokio::test]
async fn attempt_that_ends_after_the_erasure_leaves_no_words_and_its_lane_goes_on() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(about_ann("a")).await.unwrap();
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert_eq!(erase(&outbox, true).await, [Erased::Done]);
    news(&inbox, 1).await;
    let next = notification("b", TOKEN);
    outbox.accept(next.clone()).await.unwrap();
    news(&inbox, 1).await;

    let retry_at = Next::Due(SystemClock.now());
    let head = record(&outbox, &inbox, with_words(owned.lease, 1, retry_at)).await;
    assert_eq!(head.unwrap().seq, 2, "the next notification about the token");
    assert_eq!(erase(&outbox, true).await, [Erased::Done]);
    assert!(outbox.empty_log().await.unwrap());
    assert_eq!(copies(&store, ALL), [0, 0, 0]);
    let one = |sql: &str| store.beside().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM attempts"), 1, "that it was made is kept");
    assert_eq!(one("SELECT count(*) FROM deliveries WHERE state = 3"), 2);
}

#[tokio::test]
async fn log_is_emptied_as_soon_as_nobody_reads_in_it() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(about_ann("a")).await.unwrap();
    let reader = store.beside();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM notifications")
        .unwrap();
    assert_eq!(erase(&outbox, true).await, [Erased::Done]);
    let log = store.settings().path.with_extension("db-wal");
    let (emptied, ()) = tokio::join!(outbox.empty_log(), async {
        // Others write in between.
        outbox.accept(notification("b", "token-of-bob")).await.unwrap();
        assert!(fs::metadata(&log).unwrap().len() > 0);
        reader.execute_batch("COMMIT").unwrap();
    });
    assert!(emptied.unwrap());
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(copies(&store, ALL), [0, 0, 0]);
}
