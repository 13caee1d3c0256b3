//! Reading what is open, and recording what came of it.

use std::collections::BTreeSet;

use ipn_router::domain::{Attempted, Cause, Incident, Matter, Outcome};
use ipn_router::outbox::{Head, IncidentRow, Next, TailLine};

use super::*;

/// The first attempt of a delivery, delivered, unless it is changed.
pub(super) fn attempt(lease: Lease, seq: i64, token: &str) -> AttemptRecord {
    AttemptRecord {
        lease,
        seq,
        lane: Lane::of(token),
        attempt: 1,
        counted: 0,
        started_at: SystemClock.now(),
        took: Duration::from_millis(120),
        status: Some(200),
        cause: None,
        detail: String::new(),
        answer: b"OK".to_vec(),
        next: Next::Delivered,
        incident: None,
        told_apart: None,
        complaint: None,
        down_since: None,
    }
}

/// The same, failed, to be tried again after so many seconds.
pub(super) fn failed(record: AttemptRecord, retry_in: i64) -> AttemptRecord {
    AttemptRecord {
        counted: record.attempt,
        status: None,
        cause: Some("connect"),
        detail: "connection refused".to_owned(),
        answer: Vec::new(),
        next: Next::Due(record.started_at + SignedDuration::from_secs(retry_in)),
        ..record
    }
}

/// Records it and returns the lane's next head.
pub(super) async fn record(outbox: &Outbox, inbox: &Arc<Inbox>, record: AttemptRecord) -> Option<Head> {
    let of = (record.seq, record.lane);
    outbox.record(record, inbox);
    match &news(inbox, 1).await[..] {
        [News::Recorded { seq, lane, next }] => {
            assert_eq!((*seq, *lane), of);
            *next
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn head(outbox: &Outbox, lease: Lease, token: &str) -> Option<Head> {
    outbox.heads(lease, vec![Lane::of(token)]).await.unwrap()[0].1
}

/// A store with these tokens' notifications, and Paris owned.
async fn with(tokens: &[&str]) -> (TestStore, Outbox, Lease, Arc<Inbox>) {
    let store = TestStore::new();
    let outbox = store.open();
    for (n, token) in tokens.iter().enumerate() {
        outbox.accept(notification(&n.to_string(), token)).await.unwrap();
    }
    let (owned, inbox) = own(&outbox, &paris()).await;
    (store, outbox, owned.lease, inbox)
}

/// A retry may come after the first attempt of a newer delivery.
#[tokio::test]
async fn last_answer_is_the_last_in_time() {
    let (_store, outbox, lease, inbox) = with(&["a", "b"]).await;
    let id = outbox.destinations().await.unwrap().into_iter();
    let (id, _) = id.into_iter().find(|(_, line)| line.key == paris()).unwrap();
    let last = async || outbox.load(id).await.unwrap().last_attempt;
    assert_eq!(last().await, None);
    let first = failed(attempt(lease, 1, "a"), 30);
    let begun = first.started_at;
    record(&outbox, &inbox, first.clone()).await;
    let delivered = AttemptRecord {
        started_at: begun + SignedDuration::from_secs(10),
        ..attempt(lease, 2, "b")
    };
    record(&outbox, &inbox, delivered).await;
    assert_eq!(last().await.unwrap().status, Some(200));
    let retry = AttemptRecord {
        attempt: 2,
        started_at: begun + SignedDuration::from_secs(30),
        ..first
    };
    record(&outbox, &inbox, retry).await;
    let last = last().await.unwrap();
    assert_eq!((last.attempt, last.cause.as_deref()), (2, Some("connect")));
}

/// Nobody waits for those who look on.
#[tokio::test]
async fn who_is_too_slow_for_what_happens_is_told_how_much_he_has_missed() {
    let (_store, outbox, _, _) = with(&["before"]).await;
    let mut tail = outbox.tail();
    outbox.accept(notification("first", "a")).await.unwrap();
    let [TailLine::Received { notification: first }] = &tail.next().await.unwrap()[..] else {
        panic!("what was before is not told");
    };
    assert_eq!(first.named_shop, paris().shop);
    let mut accepting = JoinSet::new();
    for n in 0..1_100 {
        let outbox = outbox.clone();
        accepting.spawn(async move { outbox.accept(notification(&format!("many-{n}"), "a")).await });
    }
    assert!(accepting.join_all().await.iter().all(Result::is_ok));
    let [TailLine::Missed { count }] = tail.next().await.unwrap()[..] else {
        panic!("more was kept than one is to be told");
    };
    let mut told = 0;
    while told + count < 1_100 {
        told += u64::try_from(tail.next().await.unwrap().len()).unwrap();
    }
    assert_eq!(told + count, 1_100);
}

#[tokio::test]
async fn pages_go_through_everything_that_is_open() {
    let (_store, outbox, lease, inbox) = with(&["a", "b", "a", "c", "a"]).await;
    record(&outbox, &inbox, attempt(lease, 2, "b")).await;
    let first = outbox.page(lease, 0, 3).await.unwrap();
    let seqs = |page: &outbox::Page| page.rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!((seqs(&first), first.last, first.full), (vec![1, 3, 4], 5, true));
    let second = outbox.page(lease, 4, 3).await.unwrap();
    assert_eq!((seqs(&second), second.last, second.full), (vec![5], 5, false));
    let behind = outbox.page(lease, 5, 3).await.unwrap();
    assert_eq!((seqs(&behind), behind.last, behind.full), (vec![], 5, false));
    assert_eq!(first.rows[1].lane, Lane::of("a"));
}

#[tokio::test]
async fn head_of_a_lane_is_its_oldest_open_delivery() {
    let (_store, outbox, lease, inbox) = with(&["a", "b", "a"]).await;
    let lanes = ["b", "none", "a"].map(Lane::of);
    let heads = outbox.heads(lease, lanes.to_vec()).await.unwrap();
    assert_eq!(heads.iter().map(|(lane, _)| *lane).collect::<Vec<_>>(), lanes);
    assert_eq!(
        heads
            .iter()
            .map(|(_, head)| head.map(|head| head.seq))
            .collect::<Vec<_>>(),
        [Some(2), None, Some(1)]
    );
    let next = record(&outbox, &inbox, attempt(lease, 1, "a")).await.unwrap();
    assert_eq!((next.seq, next.attempts, next.due), (3, 0, None));
    assert_eq!(head(&outbox, lease, "a").await, Some(next));
    assert_eq!(record(&outbox, &inbox, attempt(lease, 3, "a")).await, None);
}

#[tokio::test]
async fn failed_delivery_stays_the_head_with_its_time_and_counts() {
    let (_store, outbox, lease, inbox) = with(&["a", "a"]).await;
    let first = failed(attempt(lease, 1, "a"), 30);
    let next = record(&outbox, &inbox, first.clone()).await.unwrap();
    let Next::Due(due) = first.next else { unreachable!() };
    assert_eq!((next.seq, next.attempts, next.counted, next.due), (1, 1, 1, Some(due)));
    assert_eq!(next.tried, Some(first.ended_at()));
    // A probe: another attempt that does not count.
    let probe = AttemptRecord {
        counted: 1,
        ..failed(
            AttemptRecord {
                attempt: 2,
                ..attempt(lease, 1, "a")
            },
            60,
        )
    };
    let next = record(&outbox, &inbox, probe).await.unwrap();
    assert_eq!((next.seq, next.attempts, next.counted), (1, 2, 1));
    assert_eq!(open_seqs(&outbox, lease).await, [1, 2]);
}

#[tokio::test]
async fn dead_letter_lets_its_lane_go_on() {
    let (_store, outbox, lease, inbox) = with(&["a", "a"]).await;
    let given_up = AttemptRecord {
        next: Next::DeadLetter,
        ..failed(attempt(lease, 1, "a"), 0)
    };
    assert_eq!(record(&outbox, &inbox, given_up).await.unwrap().seq, 2);
    assert_eq!(open_seqs(&outbox, lease).await, [2]);
}

#[tokio::test]
async fn due_lists_failed_deliveries_by_their_time() {
    let (_store, outbox, lease, inbox) = with(&["a", "b", "c", "d"]).await;
    assert_eq!(outbox.due(lease, 10).await.unwrap(), []);
    let mut times = Vec::new();
    for (seq, token, after) in [(1, "a", 300), (2, "b", 30), (3, "c", 3600)] {
        let record_of = failed(attempt(lease, seq, token), after);
        let Next::Due(due) = record_of.next else { unreachable!() };
        times.push((Lane::of(token), due));
        record(&outbox, &inbox, record_of).await;
    }
    assert_eq!(outbox.due(lease, 10).await.unwrap(), [times[1], times[0], times[2]]);
    assert_eq!(outbox.due(lease, 2).await.unwrap(), [times[1], times[0]]);
    let delivered = AttemptRecord {
        attempt: 2,
        ..attempt(lease, 2, "b")
    };
    record(&outbox, &inbox, delivered).await;
    assert_eq!(outbox.due(lease, 10).await.unwrap(), [times[0], times[2]]);
}

#[tokio::test]
async fn records_are_told_in_the_order_in_which_they_were_given() {
    let tokens: Vec<_> = (0..200).map(|n| format!("token-{n}")).collect();
    let (_store, outbox, lease, inbox) = with(&tokens.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (seq, token) in (1..).zip(&tokens) {
        outbox.record(attempt(lease, seq, token), &inbox);
    }
    let recorded = news(&inbox, tokens.len()).await;
    let seq = |news: &News| match news {
        News::Recorded { seq, .. } => *seq,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        recorded.iter().map(seq).collect::<Vec<_>>(),
        (1..=200).collect::<Vec<_>>()
    );
    assert_eq!(open_seqs(&outbox, lease).await, [0; 0]);
}

#[tokio::test]
async fn record_of_an_earlier_owner_is_refused_and_writes_nothing() {
    let (_store, outbox, old, old_inbox) = with(&["a"]).await;
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert!(owned.lease.epoch > old.epoch && owned.lease.destination == old.destination);
    let late = AttemptRecord {
        incident: Some(incident(1)),
        told_apart: None,
        complaint: None,
        down_since: Some(SystemClock.now()),
        ..attempt(old, 1, "a")
    };
    outbox.record(late, &old_inbox);
    match &news(&old_inbox, 1).await[..] {
        [
            News::Refused {
                record,
                why: OutboxError::LeaseLost,
            },
        ] => assert_eq!((record.seq, record.lease), (1, old)),
        other => panic!("{other:?}"),
    }
    assert_eq!(head(&outbox, owned.lease, "a").await.unwrap().attempts, 0);
    assert_eq!(outbox.unseen_incidents(10).await.unwrap().len(), 0);
    // Hand-overs go to the new owner alone, and releasing what one no longer has changes nothing.
    outbox.release(old, None).await.unwrap();
    outbox.accept(notification("later", "a")).await.unwrap();
    assert_eq!(handed_over(&news(&inbox, 1).await)[0].seq, 2);
    assert_eq!(old_inbox.take().0.len(), 0);
    assert_eq!(
        record(&outbox, &inbox, attempt(owned.lease, 1, "a")).await.unwrap().seq,
        2
    );
    let (after, _inbox) = own(&outbox, &paris()).await;
    assert_eq!(after.down_since, None);
}

#[tokio::test]
async fn nobody_hears_of_a_destination_that_was_given_back() {
    let (_store, outbox, lease, inbox) = with(&[]).await;
    outbox.release(lease, None).await.unwrap();
    outbox.accept(notification("a", "a")).await.unwrap();
    outbox.record(attempt(lease, 1, "a"), &inbox);
    assert!(matches!(
        news(&inbox, 1).await[..],
        [News::Refused {
            why: OutboxError::LeaseLost,
            ..
        }]
    ));
    let (owned, _inbox) = own(&outbox, &paris()).await;
    assert_eq!((owned.read, owned.last), (0, 1));
}

#[tokio::test]
async fn owner_starts_from_the_oldest_open_delivery_also_after_a_restart() {
    let (store, outbox, lease, inbox) = with(&["a", "b", "c", "d"]).await;
    record(&outbox, &inbox, attempt(lease, 1, "a")).await;
    record(&outbox, &inbox, attempt(lease, 3, "c")).await;
    let down_since = SystemClock.now();
    let down = AttemptRecord {
        down_since: Some(down_since),
        incident: Some(incident(7)),
        ..failed(attempt(lease, 2, "b"), 60)
    };
    record(&outbox, &inbox, down).await;
    outbox.close();

    let outbox = store.open();
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert_eq!((owned.read, owned.last, owned.failing), (1, 4, 1));
    assert_eq!(owned.down_since, Some(down_since));
    assert_eq!(owned.incident.unwrap().failures, 7);
    assert!(owned.lease.epoch > lease.epoch);
    assert_eq!(open_seqs(&outbox, owned.lease).await, [2, 4]);
    let head = head(&outbox, owned.lease, "b").await.unwrap();
    assert_eq!((head.attempts, head.counted), (1, 1));
    // What comes now has the next number.
    outbox.accept(notification("next", "e")).await.unwrap();
    assert_eq!(handed_over(&news(&inbox, 1).await)[0].seq, 5);
    let (never_seen, _inbox) = own(&outbox, &lyon()).await;
    assert_eq!((never_seen.read, never_seen.last, never_seen.failing), (0, 0, 0));
    assert!(never_seen.incident.is_none() && never_seen.down_since.is_none());
}

#[tokio::test]
async fn incident_is_written_with_its_attempt_and_one_is_open_at_a_time() {
    let (_store, outbox, lease, inbox) = with(&["a", "b"]).await;
    let seen = async || -> Vec<IncidentRow> { outbox.unseen_incidents(10).await.unwrap() };
    for failures in [1, 2] {
        let record_of = AttemptRecord {
            attempt: failures,
            incident: Some(incident(failures.into())),
            ..failed(attempt(lease, 1, "a"), 30)
        };
        record(&outbox, &inbox, record_of).await;
    }
    let rows = seen().await;
    assert_eq!((rows.len(), rows[0].version, rows[0].incident.failures), (1, 2, 2));
    assert_eq!((&rows[0].destination, rows[0].told.as_str()), (&paris(), ""));
    let over = Incident {
        recovered_at: Some(SystemClock.now()),
        ..incident(2)
    };
    let delivered = AttemptRecord {
        attempt: 3,
        incident: Some(over),
        ..attempt(lease, 1, "a")
    };
    record(&outbox, &inbox, delivered).await;
    let again = AttemptRecord {
        incident: Some(incident(1)),
        ..failed(attempt(lease, 2, "b"), 30)
    };
    record(&outbox, &inbox, again).await;
    let rows = seen().await;
    assert_eq!(rows.len(), 2);
    assert!(!rows[0].incident.is_open() && rows[1].incident.is_open());
    assert_eq!((rows[0].version, rows[1].version), (3, 1));
    let (owned, _inbox) = own(&outbox, &paris()).await;
    assert_eq!(owned.incident, Some(rows[1].incident.clone()));
}

#[tokio::test]
async fn waiting_tells_what_a_destination_still_has_to_get() {
    let (_store, outbox, lease, inbox) = with(&["a", "b", "c"]).await;
    record(&outbox, &inbox, attempt(lease, 1, "a")).await;
    let retry = failed(attempt(lease, 3, "c"), 30);
    record(&outbox, &inbox, retry.clone()).await;
    let paid = Routed {
        charge: Some(Charge::Succeeded),
        ..notification("d", "d")
    };
    outbox.accept(paid).await.unwrap();
    let waiting = outbox.waiting(&paris(), 1).await.unwrap();
    assert_eq!((waiting.count, waiting.first.len()), (3, 1));
    assert_eq!(waiting.first[0].token.as_deref(), Some("b"));
    assert_eq!(waiting.oldest, Some(waiting.first[0].received_at));
    let paid = Matter {
        kind: Kind::TokenUpdated,
        charge: Some(Charge::Succeeded),
    };
    assert_eq!(waiting.matters, BTreeSet::from([Kind::TokenUpdated.into(), paid]));
    assert_eq!(Next::Due(waiting.next_attempt.unwrap()), retry.next);
    assert_eq!(outbox.waiting(&lyon(), 1).await.unwrap().count, 0);
}

/// An open incident after so many failures.
pub(super) fn incident(failures: u64) -> Incident {
    let outcome = Outcome::Unavailable {
        cause: Cause::Connect,
        answer: None,
        detail: "connection refused".to_owned(),
    };
    let attempted = Attempted {
        notification: NotificationId::new(SystemClock.now()),
        matter: Kind::TokenUpdated.into(),
        outcome: &outcome,
        gave_up: false,
        at: SystemClock.now(),
    };
    let opened = Incident::observe(None, &attempted).unwrap();
    Incident { failures, ..opened }
}

/// A failed attempt at the first delivery, with the incident that it opens.
pub(super) fn failed_with(lease: Lease, incident: Incident) -> AttemptRecord {
    AttemptRecord {
        incident: Some(incident),
        ..failed(attempt(lease, 1, "a"), 30)
    }
}

#[tokio::test]
async fn destination_that_returns_from_parking_counts_anew() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(notification("0", "a")).await.unwrap();
    let inbox = || Arc::new(Inbox::default());
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let first = outbox.own(&paris(), inbox(), at(-1)).await.unwrap();
    // Given back at the end of the daemon, taken over at its start: nothing was parked.
    outbox.release(first.lease, None).await.unwrap();
    outbox.park_others(vec![paris()], at(0)).await.unwrap();
    let owned = outbox.own(&paris(), inbox(), at(1)).await.unwrap();
    assert_eq!(owned.give_up_from, first.give_up_from);
    // Switched off while it runs, and on again.
    outbox.release(owned.lease, Some(at(2))).await.unwrap();
    let owned = outbox.own(&paris(), inbox(), at(3)).await.unwrap();
    assert_eq!((owned.give_up_from, owned.read, owned.last), (at(3), 0, 1));
    // Not in the configuration of a later start; what was parked stays so.
    outbox.release(owned.lease, None).await.unwrap();
    outbox.park_others(vec![lyon()], at(4)).await.unwrap();
    outbox.park_others(vec![lyon()], at(5)).await.unwrap();
    outbox.park_others(vec![paris(), lyon()], at(6)).await.unwrap();
    let owned = outbox.own(&paris(), inbox(), at(7)).await.unwrap();
    assert_eq!(owned.give_up_from, at(7));
}

#[tokio::test]
async fn give_up_counts_from_the_first_time_that_a_shop_is_served() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.park_others(Vec::new(), SystemClock.now()).await.unwrap();
    // Switched off since before its first notification.
    outbox.accept(notification("a", "a")).await.unwrap();
    let served_at: Timestamp = "2030-03-01T12:00:00Z".parse().unwrap();
    // The second time is a restart.
    for hours in [0, 1] {
        let now = served_at + SignedDuration::from_hours(hours);
        let owned = outbox.own(&paris(), Arc::default(), now).await.unwrap();
        assert_eq!(owned.give_up_from, served_at);
    }
}

#[tokio::test]
async fn owner_hears_what_retention_has_ended_and_nobody_gets_it_without_its_body() {
    let store = TestStore::new();
    let outbox = store.open();
    let (owned, inbox) = own(&outbox, &paris()).await;
    let received_at = SystemClock.now() - SignedDuration::from_hours(91 * 24);
    for token in ["a", "b"] {
        let routed = Routed {
            received_at,
            ..notification(token, token)
        };
        outbox.accept(routed).await.unwrap();
    }
    let keys: Vec<_> = handed_over(&news(&inbox, 2).await)
        .iter()
        .map(|named| named.notification)
        .collect();
    record(&outbox, &inbox, failed(attempt(owned.lease, 1, "a"), 30)).await;
    assert!(outbox.notification(keys[1]).await.is_ok(), "it is in memory");
    let mut gone = Vec::new();
    let told = eventually("both are ended", async || {
        for news in inbox.take().0 {
            match news {
                News::Cancelled { rows } => gone.extend(rows.iter().map(|row| (row.seq, row.lane, row.failed))),
                other => panic!("{other:?}"),
            }
        }
        (gone.len() == 2).then_some(())
    });
    outbox.clean(store.settings(), Arc::new(SystemClock), told).await;
    assert_eq!(gone, [(1, Lane::of("a"), true), (2, Lane::of("b"), false)]);
    assert_eq!(open_seqs(&outbox, owned.lease).await, [0; 0]);
    for key in keys {
        let read = outbox.notification(key).await;
        assert!(matches!(read, Err(OutboxError::Unreadable(_))), "{read:?}");
    }
}
