//! When the gateway was last heard is written with what it said; a silence is reported once, and so is its end.

use ipn_router::domain::{Expectation, Trouble};

use super::*;

/// So many hours after the test's time.
fn hour(hours: i64) -> Timestamp {
    Timestamp::from_second(1_792_245_720 + hours * 3_600).unwrap()
}

fn at(name: &str, hours: i64) -> Routed {
    Routed {
        received_at: hour(hours),
        ..notification(name, name)
    }
}

fn every(hours: u64) -> Vec<Expectation> {
    vec![Expectation {
        legal_entity: "acme".parse().unwrap(),
        mode: Mode::Test,
        every: Duration::from_hours(hours),
    }]
}

async fn heard(outbox: &Outbox) -> Vec<(Mode, Timestamp)> {
    let all = outbox.last_heard().await.unwrap().into_iter();
    all.map(|(legal_entity, mode, at)| {
        assert_eq!(legal_entity.as_str(), "acme");
        (mode, at)
    })
    .collect()
}

/// All troubles so far, as (what, since).
async fn troubles(outbox: &Outbox) -> Vec<(&'static str, Timestamp)> {
    let rows = outbox.unseen_troubles(100).await.unwrap();
    rows.into_iter()
        .map(|row| match row.trouble {
            Trouble::HeardAgain { silent_since, .. } => ("heard again", silent_since),
            Trouble::Silence { since, .. } => ("silence", since),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn what_was_seen_before_is_heard_too_and_each_mode_alone() {
    let store = TestStore::new();
    let outbox = store.open();
    assert_eq!(heard(&outbox).await, []);
    outbox.accept(at("a", 1)).await.unwrap();
    assert_eq!(heard(&outbox).await, [(Mode::Test, hour(1))]);
    let again = outbox.accept(at("a", 2)).await.unwrap();
    assert!(matches!(again, Accepted::Duplicate { .. }));
    assert_eq!(heard(&outbox).await, [(Mode::Test, hour(2))]);
    let production = Routed {
        mode: Mode::Production,
        ..at("b", 3)
    };
    outbox.accept(production).await.unwrap();
    // A clock that was set back does not unhear anything.
    outbox.accept(at("c", 0)).await.unwrap();
    let both = [(Mode::Production, hour(3)), (Mode::Test, hour(2))];
    assert_eq!(heard(&outbox).await, both);
    outbox.close();
    assert_eq!(heard(&store.open()).await, both);
}

#[tokio::test]
async fn what_may_be_a_buyer_s_is_not_the_gateway_s_voice() {
    let store = TestStore::new();
    let outbox = store.open();
    let quarantined = Routed {
        standing: Standing::Quarantined,
        destinations: Vec::new(),
        ..at("a", 1)
    };
    outbox.accept(quarantined).await.unwrap();
    assert_eq!(heard(&outbox).await, []);
}

#[tokio::test]
async fn silence_is_reported_once_over_restarts_and_so_is_its_end() {
    let store = TestStore::new();
    let outbox = store.open();
    assert_eq!(outbox.report_silence(every(48), hour(0)).await.unwrap(), Some(hour(48)));
    outbox.accept(at("a", 5)).await.unwrap();
    outbox.close();
    let outbox = store.open();
    assert_eq!(outbox.report_silence(every(48), hour(6)).await.unwrap(), Some(hour(53)));
    assert_eq!(troubles(&outbox).await, []);
    for late in [53, 54] {
        let next = outbox.report_silence(every(48), hour(late)).await.unwrap();
        assert_eq!(next, Some(hour(53 + 48)), "told again after the same time");
        assert_eq!(troubles(&outbox).await, [("silence", hour(5))]);
    }
    outbox.close();
    let outbox = store.open();
    outbox.report_silence(every(48), hour(55)).await.unwrap();
    assert_eq!(troubles(&outbox).await, [("silence", hour(5))]);
    for (name, late) in [("a", 60), ("b", 61)] {
        outbox.accept(at(name, late)).await.unwrap();
        let both = [("silence", hour(5)), ("heard again", hour(5))];
        assert_eq!(troubles(&outbox).await, both);
    }
    assert_eq!(
        outbox.report_silence(every(48), hour(61)).await.unwrap(),
        Some(hour(61 + 48))
    );
}

#[tokio::test]
async fn first_notification_that_never_comes_is_missed_over_restarts() {
    let store = TestStore::new();
    for start in [0, 30, 47] {
        let outbox = store.open();
        assert_eq!(
            outbox.report_silence(every(48), hour(start)).await.unwrap(),
            Some(hour(48))
        );
        outbox.close();
    }
    let outbox = store.open();
    outbox.report_silence(every(48), hour(48)).await.unwrap();
    assert_eq!(troubles(&outbox).await, [("silence", hour(0))]);
}

#[tokio::test]
async fn what_is_expected_no_more_is_not_missed_and_begins_anew() {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.report_silence(every(1), hour(0)).await.unwrap();
    assert_eq!(outbox.report_silence(Vec::new(), hour(1)).await.unwrap(), None);
    outbox.close();
    let outbox = store.open();
    assert_eq!(outbox.report_silence(every(1), hour(9)).await.unwrap(), Some(hour(10)));
    assert_eq!(troubles(&outbox).await, []);
}
