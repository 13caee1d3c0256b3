//! What operators ask of a daemon that runs (design.md 7): flows; `outbox::verbs` has the rules one by one.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use ipn_router::domain::{DestinationFilter, NotificationId, Period, Scope, Selection, Verb};
use jiff::Timestamp;

use crate::support::{Acme, Answer, Form, LYON, PARIS, TestRouter, eventually};

fn of(shop: &str) -> DestinationFilter {
    DestinationFilter {
        shop: Some(shop.parse().unwrap()),
        ..DestinationFilter::default()
    }
}

fn one(id: NotificationId, shop: &str) -> Selection {
    Selection {
        scope: Scope::Notification(id),
        destinations: of(shop),
        kind: None,
    }
}

fn ever() -> Period {
    Period {
        from: Timestamp::UNIX_EPOCH,
        until: Timestamp::MAX,
    }
}

async fn start(company: &str) -> (Acme, TestRouter) {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml(company)).await;
    (acme, router)
}

#[tokio::test]
async fn paused_shop_is_not_called_even_after_a_restart_until_it_is_resumed() {
    let (acme, router) = start("").await;
    let mut gateway = router.gateway();
    gateway.sends(&Form::token_created(PARIS, "token-0").signed()).await;
    acme.lyon.gets(2).await;
    assert!(router.does(Verb::Pause(of(LYON).into())).await.done >= 2);
    for n in 1..10 {
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    acme.nice.gets(10).await;
    let router = TestRouter::start_at(router.stop().await, &acme.toml("")).await;
    let mut gateway = router.gateway();
    for n in 10..20 {
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    acme.nice.gets(20).await;
    assert_eq!(acme.lyon.calls().len(), 2, "paused");
    router.does(Verb::Resume(of(LYON))).await;
    router.delivers_everything().await;
    assert_eq!(acme.lyon.calls().len(), 40);
}

#[tokio::test]
async fn dead_letter_is_replayed_with_its_id_or_as_new() {
    let (acme, router) = start("automatic_retry = false").await;
    acme.paris.answers_first([Answer::status(404)]);
    let id = router
        .gateway()
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await;
    router.delivers_everything().await;
    for as_new in [false, true] {
        let replay = Verb::Replay {
            which: one(id, PARIS),
            ended: None,
            as_new,
        };
        assert_eq!(router.does(replay).await.done, 1);
        router.delivers_everything().await;
    }
    let calls = acme.paris.gets(3).await;
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.header("webhook-id").to_owned(),
                call.header("ipn-router-replay"),
                call.header("ipn-router-attempt"),
            )
        })
        .collect();
    let first = format!("{id}-{PARIS}-form");
    assert_eq!(
        seen,
        [
            (first.clone(), "", "1"),
            (first.clone(), "1", "1"),
            (format!("{first}-2"), "2", "1")
        ]
    );
    assert!(calls.iter().all(|call| call.body == calls[0].body));
}

#[tokio::test]
async fn cancelled_delivery_lets_its_lane_go_on() {
    let (acme, router) = start(r#"retry_delays = ["1h"]"#).await;
    acme.paris.answers_first([Answer::status(503)]);
    let mut gateway = router.gateway();
    let poison = gateway
        .sends(&Form::payment(PARIS, "token-1", "order-1").signed())
        .await;
    eventually("it has failed", async || {
        (router.home().number("SELECT count(*) FROM attempts") == 1).then_some(())
    })
    .await;
    let next = gateway
        .sends(&Form::payment(PARIS, "token-1", "order-2").signed())
        .await;
    assert_eq!(router.does(Verb::Cancel(one(poison, PARIS))).await.done, 1);
    router.delivers_everything().await;
    let calls = acme.paris.gets(2).await;
    assert!(calls[1].header("webhook-id").starts_with(&next.to_string()));
    let open = "SELECT count(*) FROM incidents WHERE closed_at IS NULL";
    eventually("the incident is over", async || {
        (router.home().number(open) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn quarantined_notification_goes_out_when_it_is_released() {
    let (acme, router) = start("").await;
    // Rightly signed, without vads_hash, and like nothing that a buyer could have: perhaps a cancellation.
    let told_by_none = [
        "vads_hash",
        "vads_trans_status",
        "vads_trans_uuid",
        "vads_identifier_status",
    ];
    let form = told_by_none
        .iter()
        .fold(Form::token_created(PARIS, "token-1"), |form, field| form.without(field));
    let body = form.signed();
    let reply = router.gateway().tries(&body).await.unwrap();
    assert!(reply.text.starts_with("OK-parked "), "{reply:?}");
    assert_eq!(acme.paris.calls().len(), 0);
    let notification = reply.id();
    router.does(Verb::Release { notification }).await;
    router.delivers_everything().await;
    assert_eq!(&acme.paris.gets_one("/test/form").await.body[..], body.as_bytes());
    acme.lyon.gets_one("/test/events").await;
}

#[tokio::test]
async fn shop_that_joins_later_gets_the_past() {
    let acme = Acme::open();
    let with = acme.toml("");
    let (before, after) = (
        with.find("[shops.23456789]").unwrap(),
        with.find("[shops.34567890]").unwrap(),
    );
    let without = with[..before].to_owned() + &with[after..];
    let router = TestRouter::start(&without).await;
    for n in 0..5 {
        router
            .gateway()
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    router.delivers_everything().await;
    router.apply(&with).await;
    let backfill = Verb::Backfill {
        shop: LYON.parse().unwrap(),
        mode: ipn_router::domain::Mode::Test,
        received: ever(),
    };
    assert_eq!(router.does(backfill.clone()).await.done, 10);
    router.delivers_everything().await;
    assert_eq!(
        (
            acme.lyon.calls_to("/test/events").len(),
            acme.lyon.calls_to("/test/form").len()
        ),
        (5, 5)
    );
    assert_eq!(router.does(backfill).await.done, 0, "nothing twice");
}
