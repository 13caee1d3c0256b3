//! What operators ask for (design.md 7): replay, cancel, pause and resume. Each verb is foreseen first: the dry run must
//! say what then comes of it.

mod boundaries;
mod reroute;

use ipn_router::deliver::{Circles, Verbs};
use ipn_router::domain::{DestinationFilter, Ended, Incident, Period, Scope, Selection, Verb};
use ipn_router::outbox::{AttemptRecord, Found, LeftOut, Next, VerbId, VerbResult, VerbState};
use tokio::sync::watch;

use super::attempts::{attempt, failed, failed_with, head, incident, record};
use super::*;

/// Carries verbs out, by these circles.
fn verbs(outbox: &Outbox, circles: Circles) -> Verbs {
    Verbs::new(
        outbox.clone(),
        watch::Sender::new(circles).subscribe(),
        Arc::new(SystemClock),
    )
}

/// What comes of a verb that needs no configuration.
async fn done(outbox: &Outbox, verb: Verb) -> VerbResult {
    done_by(outbox, Circles::default(), verb).await
}

async fn done_by(outbox: &Outbox, circles: Circles, verb: Verb) -> VerbResult {
    let verbs = verbs(outbox, circles);
    let foreseen = verbs.foresee(&verb).await.unwrap();
    let id = outbox.ask_for(verb, "root", SystemClock.now()).await.unwrap();
    let result = result_by(verbs, outbox, id).await;
    assert_eq!(result, foreseen, "the dry run said otherwise");
    result
}

async fn result_by(verbs: Verbs, outbox: &Outbox, id: VerbId) -> VerbResult {
    tokio::select! {
        result = outbox.verb_result(id) => result.unwrap(),
        () = verbs.run(std::future::pending()) => unreachable!("it runs until it is stopped"),
    }
}

fn result(done: u64, left_out: &[(LeftOut, u64)]) -> VerbResult {
    VerbResult {
        done,
        left_out: left_out.iter().copied().collect(),
        ..VerbResult::default()
    }
}

fn scope(scope: Scope) -> Selection {
    Selection {
        scope,
        destinations: DestinationFilter::default(),
        kind: None,
    }
}

/// Everything that was ever received.
fn all() -> Selection {
    scope(Scope::Received(Period {
        from: Timestamp::UNIX_EPOCH,
        until: Timestamp::MAX,
    }))
}

fn replay(which: Selection, ended: Option<Ended>) -> Verb {
    Verb::Replay {
        which,
        ended,
        as_new: false,
    }
}

fn replay_one(id: NotificationId) -> Verb {
    replay(scope(Scope::Notification(id)), None)
}

/// How many deliveries have ended in this way, and could be replayed.
async fn count(outbox: &Outbox, ended: Ended) -> u64 {
    let verbs = verbs(outbox, Circles::default());
    verbs.foresee(&replay(all(), Some(ended))).await.unwrap().done
}

/// A store with these tokens' notifications for Paris, whose inbox has nothing new.
async fn with(tokens: &[&str]) -> (TestStore, Outbox, Vec<NotificationId>, Lease, Arc<Inbox>) {
    let store = TestStore::new();
    let outbox = store.open();
    let mut ids = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        let routed = notification(&n.to_string(), token);
        ids.push(routed.id);
        outbox.accept(routed).await.unwrap();
    }
    let (owned, inbox) = own(&outbox, &paris()).await;
    (store, outbox, ids, owned.lease, inbox)
}

async fn give_up(outbox: &Outbox, lease: Lease, inbox: &Arc<Inbox>, seqs: Vec<i64>) {
    let count = seqs.len();
    outbox.give_up(lease, seqs, None, SystemClock.now(), inbox).unwrap();
    match &news(inbox, 1).await[..] {
        [News::GaveUp { rows }] => assert_eq!(rows.len(), count),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replay_is_a_new_delivery_at_the_end_of_its_lane_and_is_not_handed_over() {
    let (_store, outbox, ids, lease, inbox) = with(&["a", "a"]).await;
    give_up(&outbox, lease, &inbox, vec![1]).await;
    let asked_at = SystemClock.now();
    assert_eq!(done(&outbox, replay_one(ids[0])).await, result(1, &[]));
    // The owner hears that there is more, and reads it.
    let (news, last) = inbox.take();
    assert!(news.is_empty() && last == 3, "{news:?} {last}");
    assert_eq!(open_seqs(&outbox, lease).await, [2, 3]);
    let delivered = attempt(lease, 2, "a");
    let replayed = record(&outbox, &inbox, delivered).await.unwrap();
    assert_eq!((replayed.seq, replayed.replays, replayed.renewed), (3, 1, 0));
    assert_eq!((replayed.attempts, replayed.due), (0, None));
    assert!(replayed.since >= asked_at);
    let original = outbox.notification(replayed.notification).await.unwrap();
    assert_eq!(original.id, ids[0]);
}

#[tokio::test]
async fn replay_as_new_has_an_id_of_its_own_which_later_replays_keep() {
    let (_store, outbox, ids, lease, inbox) = with(&["a"]).await;
    let which = scope(Scope::Notification(ids[0]));
    for (seq, as_new, replays, renewed) in [(1, false, 1, 0), (2, true, 2, 2), (3, false, 3, 2)] {
        record(&outbox, &inbox, attempt(lease, seq, "a")).await;
        let verb = Verb::Replay {
            which: which.clone(),
            ended: None,
            as_new,
        };
        assert_eq!(done(&outbox, verb).await, result(1, &[]));
        let head = head(&outbox, lease, "a").await.unwrap();
        assert_eq!((head.seq, head.replays, head.renewed), (seq + 1, replays, renewed));
    }
}

#[tokio::test]
async fn only_what_has_ended_and_was_not_replayed_is_replayed() {
    let (_store, outbox, ids, lease, inbox) = with(&["a", "b"]).await;
    let open = done(&outbox, replay_one(ids[0])).await;
    assert_eq!(open, result(0, &[(LeftOut::StillOpen, 1)]));
    give_up(&outbox, lease, &inbox, vec![1, 2]).await;
    assert_eq!(done(&outbox, replay_one(ids[0])).await.done, 1);
    // The first is on its way; only the other dead letter is left.
    let rest = done(&outbox, replay(all(), None)).await;
    assert_eq!(rest, result(1, &[(LeftOut::AlreadyReplayed, 1)]));
    assert_eq!(open_seqs(&outbox, lease).await, [3, 4]);
    let again = done(&outbox, replay_one(ids[0])).await;
    assert_eq!(again, result(0, &[(LeftOut::StillOpen, 1)]));
    // It ends; then it is its replay that is replayed.
    record(&outbox, &inbox, attempt(lease, 3, "a")).await;
    assert_eq!(done(&outbox, replay_one(ids[0])).await, result(1, &[]));
    assert_eq!(head(&outbox, lease, "a").await.unwrap().replays, 2);
}

#[tokio::test]
async fn what_matches_nothing_says_so() {
    let (_store, outbox, ..) = with(&["a"]).await;
    let stranger = NotificationId::new(SystemClock.now());
    let nowhere = DestinationFilter {
        shop: Some("99999999".parse().unwrap()),
        ..DestinationFilter::default()
    };
    for verb in [
        replay_one(stranger),
        replay(scope(Scope::Incident(7)), None),
        replay(all(), None),
        Verb::Release { notification: stranger },
        Verb::Cancel(scope(Scope::Notification(stranger))),
        Verb::Pause(nowhere.clone().into()),
        Verb::Resume(nowhere),
    ] {
        let result = done(&outbox, verb.clone()).await;
        assert!(result.found_nothing(), "{verb:?}: {result:?}");
        assert_eq!(result.to_string(), "nothing matches");
    }
}

#[tokio::test]
async fn filters_name_shop_rendition_mode_kind_state_and_time() {
    let store = TestStore::new();
    let outbox = store.open();
    let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let production = DestinationKey {
        mode: Mode::Production,
        ..lyon()
    };
    let mut owners = Vec::new();
    for key in [paris(), lyon(), production.clone()] {
        owners.push(own(&outbox, &key).await);
    }
    for (n, kind, mode, destinations) in [
        (0, Kind::TokenCreated, Mode::Test, vec![paris(), lyon()]),
        (1, Kind::Payment, Mode::Test, vec![paris()]),
        (2, Kind::TokenUpdated, Mode::Production, vec![production]),
    ] {
        let received_at = start + SignedDuration::from_mins(n);
        let routed = Routed {
            id: NotificationId::new(received_at),
            received_at,
            kind,
            mode,
            destinations,
            ..notification(&n.to_string(), "a")
        };
        outbox.accept(routed).await.unwrap();
    }
    for ((owned, inbox), ends) in owners.iter().zip([vec![1], vec![1], vec![1]]) {
        inbox.take();
        give_up(&outbox, owned.lease, inbox, ends).await;
    }
    let (of_paris, paris_inbox) = &owners[0];
    record(&outbox, paris_inbox, attempt(of_paris.lease, 2, "a")).await;

    let of_lyon = DestinationFilter {
        shop: Some(lyon().shop),
        ..DestinationFilter::default()
    };
    let minute = |from: i64, until: i64| {
        scope(Scope::Received(Period {
            from: start + SignedDuration::from_mins(from),
            until: start + SignedDuration::from_mins(until),
        }))
    };
    let by_kind = |pattern: &str| Selection {
        kind: Some(pattern.parse().unwrap()),
        ..all()
    };
    let to = |destinations| Selection { destinations, ..all() };
    for (which, ended, expected) in [
        (all(), None, 3),
        (all(), Some(Ended::DeadLetter), 3),
        (all(), Some(Ended::Delivered), 1),
        (all(), Some(Ended::Cancelled), 0),
        (to(of_lyon.clone()), None, 2),
        (
            to(DestinationFilter {
                mode: Some(Mode::Production),
                ..of_lyon
            }),
            None,
            1,
        ),
        (
            to(DestinationFilter {
                rendition: Some(Rendition::Event),
                mode: Some(Mode::Test),
                ..DestinationFilter::default()
            }),
            None,
            1,
        ),
        (
            to(DestinationFilter {
                legal_entity: Some("bravo".parse().unwrap()),
                ..DestinationFilter::default()
            }),
            None,
            0,
        ),
        (by_kind("token.*"), None, 3),
        (by_kind("token.created"), None, 2),
        (by_kind("payment"), None, 0),
        (by_kind("payment"), Some(Ended::Delivered), 1),
        (minute(0, 1), None, 2),
        (minute(1, 2), None, 0),
        (minute(2, 3), None, 1),
    ] {
        let verb = replay(which, ended);
        let foreseen = verbs(&outbox, Circles::default()).foresee(&verb).await.unwrap();
        assert_eq!(foreseen, result(expected, &[]), "{verb:?}");
    }
    // One delivery is a notification with a shop.
    let one = Selection {
        destinations: DestinationFilter {
            shop: Some(lyon().shop),
            ..DestinationFilter::default()
        },
        ..minute(0, 1)
    };
    assert_eq!(done(&outbox, replay(one, None)).await, result(1, &[]));
    assert_eq!(owners[1].1.take().1, 2);
    assert_eq!(owners[0].1.take().1, 2, "Paris got none");
}

#[tokio::test]
async fn replay_of_an_incident_repeats_what_became_a_dead_letter_in_it() {
    let (_store, outbox, _, lease, inbox) = with(&["a", "b", "c", "d"]).await;
    give_up(&outbox, lease, &inbox, vec![2]).await;
    // Times are kept to the millisecond: the incident begins after that.
    let before = SystemClock.now();
    eventually("the next millisecond", async || {
        (SystemClock.now() > before).then_some(())
    })
    .await;
    record(&outbox, &inbox, failed_with(lease, incident(1))).await;
    give_up(&outbox, lease, &inbox, vec![3]).await;
    let given_up = AttemptRecord {
        attempt: 2,
        next: Next::DeadLetter,
        ..failed(attempt(lease, 1, "a"), 0)
    };
    record(&outbox, &inbox, given_up).await;
    let id = outbox.unseen_incidents(1).await.unwrap()[0].id;
    // It is still open; and so it is when it is over.
    let verb = replay(scope(Scope::Incident(id)), None);
    let foreseen = verbs(&outbox, Circles::default()).foresee(&verb).await.unwrap();
    assert_eq!(foreseen, result(2, &[]));
    let over = Incident {
        recovered_at: Some(SystemClock.now()),
        ..incident(1)
    };
    let delivered = AttemptRecord {
        incident: Some(over),
        ..attempt(lease, 4, "d")
    };
    record(&outbox, &inbox, delivered).await;
    let elsewhere = Selection {
        destinations: DestinationFilter {
            shop: Some(lyon().shop),
            ..DestinationFilter::default()
        },
        ..scope(Scope::Incident(id))
    };
    assert!(done(&outbox, replay(elsewhere, None)).await.found_nothing());
    assert_eq!(done(&outbox, verb).await, result(2, &[]));
    assert_eq!(open_seqs(&outbox, lease).await, [5, 6]);
}

#[tokio::test]
async fn body_that_was_deleted_is_not_replayed() {
    let (store, outbox, ids, lease, inbox) = with(&["a"]).await;
    let delivered = AttemptRecord {
        took: Duration::ZERO,
        ..attempt(lease, 1, "a")
    };
    record(&outbox, &inbox, delivered).await;
    let keep = Settings {
        keep_bodies: Duration::ZERO,
        ..store.settings()
    };
    let verbs = verbs(&outbox, Circles::default());
    let deleted = eventually("the body is deleted", async || {
        let foreseen = verbs.foresee(&replay_one(ids[0])).await.unwrap();
        (foreseen.done == 0).then_some(foreseen)
    });
    let cleaned = async { assert_eq!(deleted.await, result(0, &[(LeftOut::BodyDeleted, 1)])) };
    outbox.clean(keep, Arc::new(SystemClock), cleaned).await;
}

#[tokio::test]
async fn cancelled_deliveries_have_ended_and_the_owner_is_told() {
    let (_store, outbox, ids, lease, inbox) = with(&["a", "b", "c", "c"]).await;
    record(&outbox, &inbox, failed(attempt(lease, 1, "a"), 30)).await;
    record(&outbox, &inbox, attempt(lease, 2, "b")).await;
    let one = Verb::Cancel(scope(Scope::Notification(ids[2])));
    assert_eq!(done(&outbox, one.clone()).await, result(1, &[]));
    assert_eq!(done(&outbox, one).await, result(0, &[(LeftOut::Ended, 1)]));
    assert_eq!(done(&outbox, Verb::Cancel(all())).await, result(2, &[]));
    let told: Vec<_> = news(&inbox, 2)
        .await
        .into_iter()
        .flat_map(|news| match news {
            News::Cancelled { rows } => rows,
            other => panic!("{other:?}"),
        })
        .map(|gone| (gone.seq, gone.lane, gone.failed))
        .collect();
    let (a, c) = (Lane::of("a"), Lane::of("c"));
    assert_eq!(told, [(3, c, false), (1, a, true), (4, c, false)]);
    assert_eq!(open_seqs(&outbox, lease).await, [0; 0]);
    assert_eq!(
        (
            count(&outbox, Ended::Cancelled).await,
            count(&outbox, Ended::Delivered).await
        ),
        (3, 1)
    );
}

#[tokio::test]
async fn attempt_at_a_delivery_that_is_cancelled_meanwhile_ends_as_it_ends() {
    for succeeds in [true, false] {
        let (_store, outbox, _, lease, inbox) = with(&["a", "a"]).await;
        assert_eq!(done(&outbox, Verb::Cancel(all())).await.done, 2);
        news(&inbox, 1).await;
        let late = match succeeds {
            true => attempt(lease, 1, "a"),
            false => failed(attempt(lease, 1, "a"), 30),
        };
        assert_eq!(record(&outbox, &inbox, late).await, None, "nothing is open");
        let (delivered, cancelled) = if succeeds { (1, 1) } else { (0, 2) };
        assert_eq!(count(&outbox, Ended::Delivered).await, delivered);
        assert_eq!(count(&outbox, Ended::Cancelled).await, cancelled);
        assert_eq!(count(&outbox, Ended::DeadLetter).await, 0);
    }
}

#[tokio::test]
async fn paused_twice_is_paused_once_and_resume_counts_anew() {
    let (store, outbox, _, _, inbox) = with(&["a"]).await;
    let (_, lyon_inbox) = own(&outbox, &lyon()).await;
    let filter = DestinationFilter {
        shop: Some(paris().shop),
        ..DestinationFilter::default()
    };
    assert_eq!(done(&outbox, Verb::Pause(filter.clone().into())).await, result(1, &[]));
    assert!(matches!(news(&inbox, 1).await[..], [News::Paused]));
    let again = done(&outbox, Verb::Pause(filter.clone().into())).await;
    assert_eq!(again, result(0, &[(LeftOut::AlreadyPaused, 1)]));
    assert!(inbox.take().0.is_empty() && lyon_inbox.take().0.is_empty());

    // It stays so over a restart.
    outbox.close();
    drop(outbox);
    let outbox = store.open();
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert!(owned.paused && !own(&outbox, &lyon()).await.0.paused);
    let before = SystemClock.now();
    let resumed = done(&outbox, Verb::Resume(DestinationFilter::default())).await;
    assert_eq!(resumed, result(1, &[(LeftOut::NotPaused, 1)]));
    match news(&inbox, 1).await[..] {
        [News::Resumed { give_up_from }] => assert!(give_up_from >= before),
        ref other => panic!("{other:?}"),
    }
    let (owned, _inbox) = own(&outbox, &paris()).await;
    assert!(!owned.paused && owned.give_up_from >= before);
}

/// So many notifications for Paris.
async fn with_many(count: i64) -> (TestStore, Outbox) {
    let store = TestStore::new();
    let outbox = store.open();
    let mut accepts = JoinSet::new();
    for n in 0..count {
        let (outbox, name) = (outbox.clone(), n.to_string());
        accepts.spawn(async move { outbox.accept(notification(&name, &name)).await.unwrap() });
    }
    accepts.join_all().await;
    (store, outbox)
}

async fn a_thousand_dead_letters() -> (TestStore, Outbox) {
    let (store, outbox) = with_many(1000).await;
    let (owned, inbox) = own(&outbox, &paris()).await;
    give_up(&outbox, owned.lease, &inbox, (1..=1000).collect()).await;
    (store, outbox)
}

/// Takes so many steps of a verb.
async fn steps(outbox: &Outbox, id: VerbId, count: usize) {
    let row = outbox.verb(id).await.unwrap();
    let mut progress = match row.state {
        VerbState::Asked => outbox.begin_verb(&row.verb, None, SystemClock.now()).await.unwrap(),
        VerbState::UnderWay(progress) => progress,
        VerbState::Done { .. } => panic!("{row:?}"),
    };
    for _ in 0..count {
        let (found, next) = outbox.look(&row.verb, progress).await.unwrap();
        let batch = batch(found);
        progress = outbox.act(id, &row.verb, batch, next, SystemClock.now()).await.unwrap();
    }
    // And one of which only the beginning is seen.
    let (found, next) = outbox.look(&row.verb, progress).await.unwrap();
    give_up_at_once(outbox.act(id, &row.verb, batch(found), next, SystemClock.now())).await;
}

fn batch(found: Found) -> outbox::Batch {
    match found {
        Found::Deliveries(deliveries) => outbox::Batch::Deliveries(deliveries),
        Found::Notifications(kept) => panic!("{kept:?}"),
    }
}

#[tokio::test]
async fn crash_between_the_steps_of_a_replay_repeats_nothing_and_loses_nothing() {
    let (store, mut outbox) = a_thousand_dead_letters().await;
    let id = outbox
        .ask_for(replay(all(), None), "root", SystemClock.now())
        .await
        .unwrap();
    for count in [0, 1, 3] {
        steps(&outbox, id, count).await;
        drop(outbox);
        outbox = store.open();
    }
    let row = outbox.verb(id).await.unwrap();
    assert_eq!(row.asked_by, "root");
    match row.state {
        VerbState::UnderWay(progress) => assert!((1..1000).contains(&progress.result.done), "{progress:?}"),
        other => panic!("{other:?}"),
    }
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert_eq!(
        result_by(verbs(&outbox, Circles::default()), &outbox, id).await,
        result(1000, &[])
    );
    assert_eq!(inbox.take().1, 2000);
    let page = outbox.page(owned.lease, 0, 10_000).await.unwrap();
    assert_eq!(
        page.rows.iter().map(|row| row.seq).collect::<Vec<_>>(),
        (1001..=2000).collect::<Vec<_>>()
    );
    // Each once, in the order in which they came.
    assert!(page.rows.is_sorted_by(|a, b| a.notification < b.notification));
    assert_eq!(outbox.next_verb().await.unwrap(), None);
}

#[tokio::test]
async fn replay_never_meets_its_own_deliveries() {
    let (_store, outbox) = with_many(250).await;
    let (owned, inbox) = own(&outbox, &paris()).await;
    let all_delivered = async || {
        let page = outbox.page(owned.lease, 0, 10_000).await.unwrap();
        for row in &page.rows {
            let lane = row.lane;
            let delivered = AttemptRecord {
                lane,
                ..attempt(owned.lease, row.seq, "")
            };
            outbox.record(delivered, &inbox);
        }
        news(&inbox, page.rows.len()).await;
    };
    all_delivered().await;
    let verb = replay(all(), Some(Ended::Delivered));
    let id = outbox.ask_for(verb, "root", SystemClock.now()).await.unwrap();
    steps(&outbox, id, 1).await;
    // The shop is quick.
    all_delivered().await;
    steps(&outbox, id, 0).await;
    all_delivered().await;
    let result_at_last = result_by(verbs(&outbox, Circles::default()), &outbox, id).await;
    assert_eq!(result_at_last, result(250, &[]));
}

#[tokio::test]
async fn verb_that_was_asked_for_is_carried_out_after_a_restart() {
    let (store, outbox, ids, lease, inbox) = with(&["a"]).await;
    give_up(&outbox, lease, &inbox, vec![1]).await;
    let id = outbox
        .ask_for(replay_one(ids[0]), "root", SystemClock.now())
        .await
        .unwrap();
    drop(outbox);
    let outbox = store.open();
    let result_after = result_by(verbs(&outbox, Circles::default()), &outbox, id).await;
    assert_eq!(result_after, result(1, &[]));
    assert!(matches!(outbox.verb(id).await.unwrap().state, VerbState::Done { .. }));
}

#[tokio::test]
async fn pause_does_not_wait_behind_a_long_replay() {
    let (_store, outbox) = a_thousand_dead_letters().await;
    let long = outbox
        .ask_for(replay(all(), None), "root", SystemClock.now())
        .await
        .unwrap();
    steps(&outbox, long, 1).await;
    let pause = Verb::Pause(DestinationFilter::default().into());
    let quick = outbox.ask_for(pause, "root", SystemClock.now()).await.unwrap();
    assert_eq!(outbox.next_verb().await.unwrap(), Some(quick));

    let carrier = tokio::spawn(verbs(&outbox, Circles::default()).run(std::future::pending()));
    assert_eq!(outbox.verb_result(quick).await.unwrap(), result(1, &[]));
    // Also one that comes in between leaves the long one whole.
    let resume = Verb::Resume(DestinationFilter::default());
    let quick = outbox.ask_for(resume, "root", SystemClock.now()).await.unwrap();
    assert_eq!(outbox.verb_result(quick).await.unwrap(), result(1, &[]));
    assert_eq!(outbox.verb_result(long).await.unwrap(), result(1000, &[]));
    carrier.abort();
}

#[tokio::test]
async fn who_waits_for_a_verb_hears_that_it_is_not_carried_out_any_more() {
    let (_store, outbox, ..) = with(&["a"]).await;
    let id = outbox
        .ask_for(Verb::Cancel(all()), "root", SystemClock.now())
        .await
        .unwrap();
    let carrier = verbs(&outbox, Circles::default());
    // It is stopped before it has begun; who comes later hears the same.
    let (result, ()) = tokio::join!(outbox.verb_result(id), carrier.run(std::future::ready(())));
    assert!(matches!(result, Err(OutboxError::Stopped)), "{result:?}");
    let result = outbox.verb_result(id).await;
    assert!(matches!(result, Err(OutboxError::Stopped)), "{result:?}");
    outbox.close();
    let result = outbox.verb_result(id).await;
    assert!(matches!(result, Err(OutboxError::Failed(_))), "{result:?}");
}
