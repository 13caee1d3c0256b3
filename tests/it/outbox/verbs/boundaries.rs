//! Whatever is asked of one company's deliveries, another company's stay as they are.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::reroute::{circle, member};
use super::*;
use crate::support::NICE;

/// What one company has, as far as anybody can see.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Holdings {
    open: Vec<Vec<i64>>,
    last: Vec<i64>,
    paused: Vec<bool>,
    give_up_from: Vec<Timestamp>,
    /// Dead letters and parked, delivered, cancelled.
    ended: Vec<u64>,
}

/// How a notification stands when the verb is asked for.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Cancelled,
    DeadLetter,
    Delivered,
    Open,
    Parked,
    Quarantined,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Cancelled),
        Just(Fate::DeadLetter),
        Just(Fate::Delivered),
        Just(Fate::Open),
        Just(Fate::Parked),
        Just(Fate::Quarantined),
    ]
}

/// Any verb for the company; notifications are named by their place.
fn any_verb() -> impl Strategy<Value = fn(&[NotificationId]) -> Verb> {
    let verbs: [fn(&[NotificationId]) -> Verb; 9] = [
        |_| replay(of_acme(), None),
        |_| replay(of_acme(), Some(Ended::Delivered)),
        |_| replay(of_acme(), Some(Ended::Cancelled)),
        |_| Verb::Cancel(of_acme()),
        |_| Verb::Pause(of_acme().destinations.into()),
        |_| Verb::Resume(of_acme().destinations),
        |ids| replay_one(ids[0]),
        |ids| Verb::Release { notification: ids[0] },
        |_| Verb::Backfill {
            shop: NICE.parse().unwrap(),
            mode: Mode::Test,
            received: Period {
                from: Timestamp::UNIX_EPOCH,
                until: Timestamp::MAX,
            },
        },
    ];
    prop::sample::select(verbs.to_vec())
}

fn of(legal_entity: &str) -> Selection {
    Selection {
        destinations: DestinationFilter {
            legal_entity: Some(legal_entity.parse().unwrap()),
            ..DestinationFilter::default()
        },
        ..all()
    }
}

fn of_acme() -> Selection {
    of("acme")
}

/// Both companies have shops of the same ids here, which no configuration would: only the company tells them apart.
fn keys(legal_entity: &str) -> [DestinationKey; 3] {
    [paris(), lyon(), destination(NICE, Rendition::Event)].map(|key| DestinationKey {
        legal_entity: legal_entity.parse().unwrap(),
        ..key
    })
}

fn circles() -> Circles {
    let company = |name| {
        let shops = vec![member(PARIS, "form"), member(LYON, "event"), member(NICE, "event")];
        circle(name, "token.*", shops)
    };
    Arc::new(vec![company("acme"), company("bravo")])
}

async fn holdings(outbox: &Outbox, legal_entity: &str) -> Holdings {
    let mut holdings = Holdings {
        open: Vec::new(),
        last: Vec::new(),
        paused: Vec::new(),
        give_up_from: Vec::new(),
        ended: Vec::new(),
    };
    for key in keys(legal_entity) {
        let (owned, _inbox) = own(outbox, &key).await;
        holdings.open.push(open_seqs(outbox, owned.lease).await);
        holdings.last.push(owned.last);
        holdings.paused.push(owned.paused);
        holdings.give_up_from.push(owned.give_up_from);
    }
    for ended in [None, Some(Ended::Delivered), Some(Ended::Cancelled)] {
        let verb = replay(of(legal_entity), ended);
        holdings
            .ended
            .push(verbs(outbox, circles()).foresee(&verb).await.unwrap().done);
    }
    holdings
}

/// A notification of a company, which stands as its fate says.
async fn arrives(outbox: &Outbox, legal_entity: &str, n: usize, fate: Fate) -> NotificationId {
    let keys = keys(legal_entity);
    let standing = match fate {
        Fate::Parked => Standing::Parked,
        Fate::Quarantined => Standing::Quarantined,
        Fate::Cancelled | Fate::DeadLetter | Fate::Delivered | Fate::Open => Standing::Routed,
    };
    let routed = Routed {
        legal_entity: legal_entity.parse().unwrap(),
        standing,
        destinations: if standing == Standing::Routed {
            keys[..2].to_vec()
        } else {
            Vec::new()
        },
        body: format!("vads_identifier=token-{n}&vads_identifier_status=CREATED&vads_trans_uuid={legal_entity}{n}")
            .into(),
        ..notification(&format!("{legal_entity} {n}"), "a")
    };
    let id = routed.id;
    outbox.accept(routed).await.unwrap();
    for key in keys.iter().take(if standing == Standing::Routed { 2 } else { 0 }) {
        let (owned, inbox) = own(outbox, key).await;
        match fate {
            Fate::DeadLetter => give_up(outbox, owned.lease, &inbox, vec![owned.last]).await,
            Fate::Delivered => drop(record(outbox, &inbox, attempt(owned.lease, owned.last, "a")).await),
            Fate::Cancelled | Fate::Open | Fate::Parked | Fate::Quarantined => {}
        }
    }
    if matches!(fate, Fate::Cancelled) {
        done(outbox, Verb::Cancel(scope(Scope::Notification(id)))).await;
    }
    id
}

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]

    #[test]
    fn nothing_of_another_company_is_touched(
        fates in prop::collection::vec((any::<bool>(), any_fate()), 1..10),
        is_paused in any::<bool>(),
        verb in any_verb(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::new();
            let outbox = store.open();
            let mut of_acme = vec![arrives(&outbox, "acme", 0, Fate::Parked).await];
            for (n, (is_acme, fate)) in (1..).zip(fates) {
                if is_acme {
                    of_acme.insert(0, arrives(&outbox, "acme", n, fate).await);
                } else {
                    arrives(&outbox, "bravo", n, fate).await;
                }
            }
            for legal_entity in ["acme", "bravo"] {
                holdings(&outbox, legal_entity).await;
            }
            if is_paused {
                done(&outbox, Verb::Pause(DestinationFilter::default().into())).await;
            }
            let before = holdings(&outbox, "bravo").await;
            let verb = verb(&of_acme);
            let result = done_by(&outbox, circles(), verb.clone()).await;
            prop_assert_eq!(&result.failed, &None);
            prop_assert_eq!(holdings(&outbox, "bravo").await, before, "{:?}: {}", verb, result);
            Ok(())
        })?;
    }
}
