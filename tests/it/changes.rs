//! Configurations that change while deliveries wait and run (design.md 7, 8).

use std::sync::Arc;

use tokio::sync::Notify;

use crate::support::{Acme, Answer, FakeShop, Form, PARIS, TestRouter, eventually};

#[tokio::test]
async fn what_waits_goes_to_the_new_url_by_the_new_secret() {
    let mut acme = Acme::open();
    let router = TestRouter::start(&acme.toml(r#"retry_delays = ["200ms"]"#)).await;
    acme.lyon.down().await;
    let mut gateway = router.gateway();
    for n in 0..20 {
        let form = Form::token_created(PARIS, &format!("token-{}", n % 2));
        gateway.sends(&form.with("vads_cust_id", &n.to_string()).signed()).await;
    }
    eventually("a failed attempt", async || {
        (router.home().number("SELECT count(*) FROM incidents") > 0).then_some(())
    })
    .await;
    let moved = FakeShop::open();
    let toml = acme
        .toml("")
        .replace(&acme.lyon.url(""), &moved.url(""))
        .replace("TEST-events", "PRODUCTION-events");
    router.apply(&toml).await;
    router.delivers_everything().await;

    let events = moved.calls_to("/test/events");
    assert_eq!(events.len(), 20);
    let webhook = standardwebhooks::Webhook::new(crate::support::OTHER_EVENT_SECRET).unwrap();
    for token in ["token-0", "token-1"] {
        let of_token = events.iter().filter(|call| call.token() == token);
        let numbers: Vec<u32> = of_token
            .map(|call| {
                call.json()["data"]["customer_reference"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert!(numbers.len() == 10 && numbers.is_sorted(), "{token}: {numbers:?}");
    }
    for call in events {
        webhook.verify(&call.body, &call.headers).unwrap();
    }
}

#[tokio::test]
async fn shop_that_is_switched_off_is_not_called_and_loses_nothing() {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml("")).await;
    let release = Arc::new(Notify::new());
    acme.lyon
        .answers_first([Answer::Held(Arc::clone(&release)), Answer::Held(Arc::clone(&release))]);
    let mut gateway = router.gateway();
    gateway.sends(&Form::token_created(PARIS, "token-1").signed()).await;
    // One call to its form URL and one to its event URL are under way while it is switched off.
    acme.lyon.gets(2).await;
    let off = acme
        .toml("")
        .replace("[shops.23456789]", "[shops.23456789]\nenabled = false");
    router.apply(&off).await;
    for n in 2..20 {
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    acme.nice.gets(19).await;
    assert_eq!(acme.lyon.calls().len(), 2, "switched off");
    release.notify_waiters();
    let recorded = "SELECT count(*) FROM attempts JOIN destinations ON id = destination WHERE shop = '23456789'";
    eventually("what was under way is recorded", async || {
        (router.home().number(recorded) == 2).then_some(())
    })
    .await;
    let parked = "SELECT count(*) FROM destinations WHERE shop = '23456789' AND parked IS NOT NULL AND mode = 'TEST'";
    eventually("parked", async || (router.home().number(parked) >= 2).then_some(())).await;

    router.apply(&acme.toml("")).await;
    router.delivers_everything().await;
    assert_eq!(
        (
            acme.lyon.calls_to("/test/events").len(),
            acme.lyon.calls_to("/test/form").len()
        ),
        (19, 19),
        "each once"
    );
    assert_eq!(router.home().number(parked), 0);
}

#[tokio::test]
async fn shop_that_left_the_configuration_finds_everything_when_it_comes_back() {
    let acme = Acme::open();
    let with = acme.toml(r#"retry_delays = ["100ms"]"#);
    let (before, after) = (
        with.find("[shops.23456789]").unwrap(),
        with.find("[shops.34567890]").unwrap(),
    );
    let without = with[..before].to_owned() + &with[after..];
    let router = TestRouter::start(&with).await;
    acme.lyon.answers(|_| Answer::status(503));
    router
        .gateway()
        .sends(&Form::token_created(PARIS, "token-1").signed())
        .await;
    acme.lyon.gets(2).await;
    router.apply(&without).await;
    router
        .gateway()
        .sends(&Form::token_created(PARIS, "token-2").signed())
        .await;
    acme.nice.gets(2).await;
    let home = router.stop().await;
    assert_eq!(home.open_deliveries(), 2, "of the first one; the second was not Lyon's");

    acme.lyon.answers(|_| Answer::OK);
    let calls = acme.lyon.calls().len();
    let router = TestRouter::start_at(home, &without).await;
    router
        .gateway()
        .sends(&Form::token_created(PARIS, "token-3").signed())
        .await;
    acme.nice.gets(3).await;
    assert_eq!(acme.lyon.calls().len(), calls);
    router.apply(&with).await;
    router.delivers_everything().await;
    assert_eq!(acme.lyon.calls().len(), calls + 2, "each once");
}

#[tokio::test]
async fn concurrency_changes_while_calls_are_under_way() {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml("concurrency = 1")).await;
    let release = Arc::new(Notify::new());
    acme.paris.answers({
        let release = Arc::clone(&release);
        move |_| Answer::Held(Arc::clone(&release))
    });
    let mut gateway = router.gateway();
    for n in 0..12 {
        gateway
            .sends(&Form::payment(PARIS, &format!("token-{n}"), "order-1").signed())
            .await;
    }
    assert_eq!(acme.paris.gets(1).await.len(), 1);
    router.apply(&acme.toml("concurrency = 4")).await;
    assert_eq!(acme.paris.gets(4).await.len(), 4);
    router.apply(&acme.toml("concurrency = 2")).await;
    for ended in 1..=2 {
        release.notify_one();
        eventually("recorded", async || {
            (router.home().open_deliveries() == 12 - ended).then_some(())
        })
        .await;
    }
    assert_eq!(
        acme.paris.calls().len(),
        4,
        "two are still under way, and two places are left"
    );
    release.notify_one();
    acme.paris.gets(5).await;
    acme.paris.answers(|_| Answer::OK);
    release.notify_waiters();
    router.delivers_everything().await;
    assert_eq!(acme.paris.calls().len(), 12, "each once");
}

#[tokio::test]
async fn answer_to_a_payment_waits_for_the_named_shop() {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml(r#"wait_for_named_shop = "7s""#)).await;
    let mut gateway = router.gateway();
    // Once this has arrived the shop is known to be served.
    gateway.sends(&Form::token_created(PARIS, "token-1").signed()).await;
    acme.paris.gets(1).await;
    let release = Arc::new(Notify::new());
    acme.paris.answers_first([Answer::Held(Arc::clone(&release))]);
    let waits = tokio::spawn(async move {
        gateway
            .sends(&Form::payment(PARIS, "token-2", "order-1").signed())
            .await
    });
    acme.paris.gets(2).await;
    let mut others = router.gateway();
    others.sends(&Form::token_created(PARIS, "token-3").signed()).await;
    assert!(!waits.is_finished());
    release.notify_one();
    waits.await.unwrap();
    router.delivers_everything().await;
}
