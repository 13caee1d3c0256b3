//! The answer to a notification with a charge waits for the named shop (design.md 5).

use super::attempts::{attempt, failed};
use super::*;

/// Nobody waits for so long: who does has waited in vain.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

fn payment(name: &str) -> Routed {
    Routed {
        charge: Some(Charge::Succeeded),
        destinations: vec![paris(), lyon()],
        ..notification(name, name)
    }
}

#[tokio::test]
async fn acceptance_waits_for_the_end_of_the_first_attempt_at_the_named_shop() {
    let store = TestStore::new();
    let outbox = store.open();
    let (paris, inbox) = own(&outbox, &paris()).await;
    let (lyon, others_inbox) = own(&outbox, &lyon()).await;
    let (a, b) = (outbox.clone(), outbox.clone());
    let first = tokio::spawn(async move { a.accept_and_wait(payment("a"), FOR_EVER).await.unwrap() });
    let second = tokio::spawn(async move { b.accept_and_wait(payment("b"), FOR_EVER).await.unwrap() });
    let named = handed_over(&news(&inbox, 2).await);
    assert!(named.iter().all(|named| named.charge));
    let token = |seq: i64| {
        if named[0].lane == Lane::of("a") {
            ["a", "b"][seq as usize - 1]
        } else {
            ["b", "a"][seq as usize - 1]
        }
    };
    // The other shop's attempts, and a failed one, which is an end too.
    outbox.record(attempt(lyon.lease, 1, token(1)), &others_inbox);
    outbox.record(attempt(lyon.lease, 2, token(2)), &others_inbox);
    news(&others_inbox, 2 + 2).await;
    assert!(!first.is_finished() && !second.is_finished());
    outbox.record(failed(attempt(paris.lease, 1, token(1)), 30), &inbox);
    let (ended, waits) = if token(1) == "a" {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(ended.await.unwrap(), Accepted::Stored);
    assert!(!waits.is_finished());
    outbox.record(attempt(paris.lease, 2, token(2)), &inbox);
    assert_eq!(waits.await.unwrap(), Accepted::Stored);
}

#[tokio::test]
async fn acceptance_does_not_wait_for_what_nobody_will_attempt_now() {
    let store = TestStore::new();
    let outbox = store.open();
    let accept = async |name| {
        let accepted = tokio::time::timeout(PATIENCE, outbox.accept_and_wait(payment(name), FOR_EVER)).await;
        accepted.expect("nobody attempts it").unwrap()
    };
    assert_eq!(accept("nobody serves the shop").await, Accepted::Stored);
    assert!(matches!(
        accept("nobody serves the shop").await,
        Accepted::Duplicate { .. }
    ));

    let (owned, inbox) = own(&outbox, &paris()).await;
    let down = AttemptRecord {
        down_since: Some(SystemClock.now()),
        ..failed(attempt(owned.lease, 1, "nobody serves the shop"), 30)
    };
    outbox.record(down, &inbox);
    assert_eq!(accept("the shop is down").await, Accepted::Stored);
    news(&inbox, 2).await;
    let (_owned, _inbox) = own(&outbox, &paris()).await;
    assert_eq!(accept("it was down before").await, Accepted::Stored);
}

#[tokio::test]
async fn patience_ends() {
    let store = TestStore::new();
    let outbox = store.open();
    let (_owned, _inbox) = own(&outbox, &paris()).await;
    let patience = Duration::from_millis(50);
    assert_eq!(
        outbox.accept_and_wait(payment("a"), patience).await.unwrap(),
        Accepted::Stored
    );
}
