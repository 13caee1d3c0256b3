//! Deliveries to shops that are down, slow, rude or switched off (design.md 8). Real sockets and real time, hence short
//! delays; that the rules hold over days is the business of the simulations beside the code.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;
use std::time::Duration;

use crate::support::{Acme, Answer, Call, FakeShop, Form, Gateway, PARIS, TestRouter, eventually};

#[tokio::test]
async fn shop_that_is_down_gets_it_once_it_is_up() {
    let (mut acme, router) = start(r#"retry_delays = ["100ms", "2s"]"#).await;
    acme.paris.down().await;
    let body = payment("token-1");
    let id = router.gateway().sends(&body).await;
    attempts(&router, 2).await;
    assert_eq!(
        router
            .home()
            .number("SELECT count(*) FROM incidents WHERE closed_at IS NULL"),
        1
    );
    acme.paris.up();
    router.delivers_everything().await;

    let call = acme.paris.gets_one("/test/form").await;
    assert_eq!(
        (call.header("ipn-router-attempt"), &call.body[..]),
        ("3", body.as_bytes())
    );
    assert_eq!(call.header("webhook-id"), format!("{id}-{PARIS}-form"));
    assert_eq!(
        column(&router, "coalesce(cause, 'delivered') FROM attempts"),
        ["connect", "connect", "delivered"]
    );
    // Its end is written once the owner has heard of the success.
    let open = "SELECT count(*) FROM incidents WHERE closed_at IS NULL";
    eventually("the incident is over", async || {
        (router.home().number(open) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn lane_waits_in_order_while_others_go_on() {
    let (acme, router) = start(r#"retry_delays = ["2s", "3s"]"#).await;
    acme.paris.answers_first([Answer::status(503)]);
    let mut gateway = router.gateway();
    let mut sent = vec![gateway.sends(&payment("token-1")).await.to_string()];
    acme.paris.gets(1).await;
    for token in ["token-1", "token-1", "token-2", "token-2"] {
        sent.push(gateway.sends(&payment(token)).await.to_string());
    }
    let calls = acme.paris.gets(6).await;
    let ids: Vec<_> = calls.iter().map(notification).collect();
    let [first, second, third, of_other, next_of_other] = &sent[..] else {
        unreachable!()
    };
    assert_eq!(
        ids,
        [first, of_other, next_of_other, first, second, third].map(String::as_str)
    );
    assert_eq!(calls[0].header("webhook-id"), calls[3].header("webhook-id"));
}

#[tokio::test]
async fn shop_that_hangs_does_not_delay_the_others() {
    let (acme, router) = start("").await;
    acme.lyon.answers(|_| Answer::Hang);
    let mut gateway = router.gateway();
    for n in 0..50 {
        gateway.sends(&token_created(&format!("token-{n}"))).await;
    }
    acme.paris.gets(50).await;
    acme.nice.gets(50).await;
    // Eight slots each for its form and its event URL, all of them still at their first call.
    assert_eq!(acme.lyon.gets(16).await.len(), 16);
    let waiting = async || (router.home().open_deliveries() == 100).then_some(());
    eventually("what the others got is recorded", waiting).await;
}

#[tokio::test]
async fn shop_that_hangs_is_tried_again_after_the_time_out() {
    let (acme, router) = start(
        r#"retry_delays = ["100ms"]
        timeouts = { first_byte = "300ms" }"#,
    )
    .await;
    acme.paris.answers_first([Answer::Hang]);
    router.gateway().sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(acme.paris.calls().len(), 2);
    assert_eq!(
        column(&router, "coalesce(cause, 'delivered') FROM attempts"),
        ["time-out", "delivered"]
    );
}

#[tokio::test]
async fn retry_after_is_a_minimum() {
    let (acme, router) = start(r#"retry_delays = ["50ms", "1500ms"]"#).await;
    let busy = Answer::status(429).with_header("retry-after", "1");
    acme.paris.answers_first([busy.clone(), busy]);
    router.gateway().sends(&payment("token-1")).await;
    let calls = acme.paris.gets(3).await;
    let waited = |n: usize| calls[n + 1].at - calls[n].at;
    assert!(waited(0) >= Duration::from_millis(1000), "the shop's wish");
    assert!(waited(1) >= Duration::from_millis(1500), "longer than the shop's wish");
}

#[tokio::test]
async fn redirect_within_the_host_is_followed_with_the_same_request() {
    let (acme, router) = start("").await;
    acme.paris.answers(|call| match call.path.as_str() {
        "/test/form" => Answer::status(307).with_header("location", "/moved?x=1"),
        _ => Answer::OK,
    });
    let body = payment("token-1");
    router.gateway().sends(&body).await;
    router.delivers_everything().await;
    let moved = acme.paris.gets_one("/moved?x=1").await;
    assert_eq!(moved.body, body);
    assert_eq!(
        moved.header("webhook-id"),
        acme.paris.gets_one("/test/form").await.header("webhook-id")
    );
    assert_eq!(column(&router, "n FROM attempts"), ["1"]);
}

#[tokio::test]
async fn redirect_to_another_host_is_not_followed() {
    let (acme, router) = start("automatic_retry = false").await;
    let elsewhere = acme.nice.url("/test/form").replace("127.0.0.1", "localhost");
    acme.paris
        .answers(move |_| Answer::status(307).with_header("location", elsewhere.clone()));
    router.gateway().sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(acme.nice.calls().len(), 0);
    assert_eq!(column(&router, "cause FROM attempts"), ["redirect"]);
    assert_eq!(dead_letters(&router), 1);
}

#[tokio::test]
async fn complaint_of_a_plugin_counts_as_delivered() {
    let (acme, router) = start("").await;
    let text = "<span style=\"display:none\">KO-Le paiement est introuvable.=\n</span>";
    acme.paris.answers_first([Answer::text(text)]);
    router.gateway().sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(acme.paris.calls().len(), 1);
    assert_eq!(column(&router, "state FROM deliveries"), ["1"]);
    assert_eq!(column(&router, "cause IS NULL FROM attempts"), ["1"]);
    let told = &column(&router, "detail FROM attempts")[0];
    assert!(told.starts_with("KO-Le paiement est introuvable"), "{told}");
}

#[tokio::test]
async fn complaint_about_the_signature_opens_an_incident() {
    let (acme, router) = start("").await;
    acme.paris
        .answers_first([Answer::text("KO-An error occurred while computing the signature.")]);
    router.gateway().sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(acme.paris.calls().len(), 1);
    assert_eq!(
        router
            .home()
            .number("SELECT count(*) FROM incidents WHERE closed_at IS NULL"),
        1
    );
}

#[tokio::test]
async fn last_retry_that_fails_while_others_succeed_is_a_dead_letter_and_the_lane_goes_on() {
    let (acme, router) = start(r#"retry_delays = ["200ms", "1s"]"#).await;
    let mut gateway = router.gateway();
    let poison = payment("poison");
    let refused = poison.clone();
    acme.paris.answers(move |call| {
        if call.body == refused {
            Answer::status(500)
        } else {
            Answer::OK
        }
    });
    gateway.sends(&poison).await;
    let behind = payment("poison");
    gateway.sends(&behind).await;
    let mut n = 0;
    eventually("it is given up", async || {
        n += 1;
        gateway.sends(&payment(&format!("token-{n}"))).await;
        (dead_letters(&router) == 1).then_some(())
    })
    .await;
    router.delivers_everything().await;

    let of_lane: Vec<_> = acme
        .paris
        .calls()
        .into_iter()
        .filter(|call| call.token() == "poison")
        .collect();
    assert_eq!(
        of_lane.iter().map(|call| call.body == poison).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    assert_eq!(of_lane[3].body, behind);
    assert_eq!(of_lane[2].header("ipn-router-attempt"), "3");
}

#[tokio::test]
async fn without_automatic_retry_a_failure_is_a_dead_letter() {
    let (acme, router) = start("automatic_retry = false").await;
    acme.paris.answers_first([Answer::status(500)]);
    let mut gateway = router.gateway();
    gateway.sends(&payment("token-1")).await;
    gateway.sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(acme.paris.calls().len(), 2);
    assert_eq!(column(&router, "state FROM deliveries ORDER BY seq"), ["2", "1"]);
}

#[tokio::test]
async fn notification_that_cannot_be_read_becomes_a_dead_letter_and_its_lane_goes_on() {
    let (mut acme, router) = start("").await;
    acme.paris.down().await;
    router.gateway().sends(&payment("token-1")).await;
    attempts(&router, 1).await;
    let home = router.crash();
    home.store()
        .execute_batch("UPDATE notifications SET kind = 'of another version'; UPDATE deliveries SET due = 1")
        .unwrap();
    acme.paris.up();
    let router = TestRouter::start_at(home, &acme.toml("automatic_retry = false")).await;
    let id = router.gateway().sends(&payment("token-1")).await;
    router.delivers_everything().await;
    assert_eq!(notification(&acme.paris.gets_one("/test/form").await), id.to_string());
    assert_eq!(dead_letters(&router), 1);
    let told = column(&router, "facts FROM incidents");
    assert!(told[0].contains("the stored notification cannot be read"), "{told:?}");
}

#[tokio::test]
async fn disabled_shop_gets_what_it_missed_once_it_is_enabled() {
    let acme = Acme::open();
    let enabled = acme.toml("");
    let disabled = enabled.replace(r#"name = "ACME Lyon""#, "name = \"ACME Lyon\"\nenabled = false");
    let router = TestRouter::start(&disabled).await;
    send(&mut router.gateway(), 20).await;
    acme.paris.gets(20).await;
    acme.nice.gets(20).await;
    let home = router.stop().await;
    assert_eq!((acme.lyon.calls().len(), home.open_deliveries()), (0, 40));

    let router = TestRouter::start_at(home, &enabled).await;
    router.delivers_everything().await;
    assert_in_order(&acme.lyon, "/test/form", 20);
    assert_in_order(&acme.lyon, "/test/events", 20);
    assert_eq!(
        (acme.paris.calls().len(), acme.nice.calls().len()),
        (20, 20),
        "and nobody twice"
    );
}

#[tokio::test]
async fn disabled_company_gets_what_it_missed_once_it_is_enabled() {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml("enabled = false")).await;
    let reply = router.gateway().tries(&token_created("token-1")).await.unwrap();
    assert!(reply.status == 200 && reply.text.starts_with("OK-parked "), "{reply:?}");
    let home = router.stop().await;
    assert_eq!((acme.paris.calls().len(), home.open_deliveries()), (0, 4));

    let router = TestRouter::start_at(home, &acme.toml("")).await;
    router.delivers_everything().await;
    assert_eq!(
        [&acme.paris, &acme.lyon, &acme.nice].map(|shop| shop.calls().len()),
        [1, 2, 1]
    );
}

#[tokio::test]
async fn everything_is_taken_up_again_at_start() {
    let (mut acme, router) = start(r#"retry_delays = ["100ms", "200ms", "300ms", "10m"]"#).await;
    acme.paris.down().await;
    acme.lyon.answers(|_| Answer::Hang);
    send(&mut router.gateway(), 60).await;
    acme.nice.gets(60).await;
    // Attempted, failed, in the middle of an attempt, and never tried: some of each.
    attempts(&router, 60 + 10).await;
    acme.lyon.gets(5 + 5).await;
    let home = router.crash();
    acme.paris.up();
    acme.lyon.answers(|_| Answer::OK);

    let router = TestRouter::start_at(home, &acme.toml("")).await;
    router.delivers_everything().await;
    assert_in_order(&acme.paris, "/test/form", 60);
    assert_in_order(&acme.lyon, "/test/form", 60);
    assert_in_order(&acme.lyon, "/test/events", 60);
    assert_eq!(acme.nice.calls().len(), 60, "what was delivered is not delivered again");
}

async fn start(company: &str) -> (Acme, TestRouter) {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml(company)).await;
    (acme, router)
}

/// Concerns Paris alone.
fn payment(token: &str) -> String {
    Form::payment(PARIS, token, "order-1").signed()
}

/// Concerns every shop.
fn token_created(token: &str) -> String {
    Form::token_created(PARIS, token).signed()
}

/// As many notifications of five tokens; each says which one of its token it is.
async fn send(gateway: &mut Gateway, count: usize) {
    for n in 0..count {
        let form = Form::token_created(PARIS, &format!("token-{}", n % 5));
        gateway.sends(&form.with("vads_cust_id", &n.to_string()).signed()).await;
    }
}

/// Each notification has arrived here, those of one token in the order of their acceptance.
fn assert_in_order(shop: &FakeShop, path: &str, count: usize) {
    let mut seen: HashMap<String, Vec<usize>> = HashMap::new();
    for call in shop.calls_to(path) {
        let number = match call.field("vads_cust_id") {
            Some(number) => number,
            None => call.json()["data"]["customer_reference"].as_str().unwrap().to_owned(),
        };
        let of_token = seen.entry(call.token()).or_default();
        let number = number.parse().unwrap();
        // The attempt before the crash and the one after it.
        if of_token.last() != Some(&number) {
            of_token.push(number);
        }
    }
    for (token, numbers) in &seen {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{path} {token}: {numbers:?}");
    }
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), count, "{path}");
}

/// Waits for as many attempts to be recorded.
async fn attempts(router: &TestRouter, count: i64) {
    eventually("attempts", async || {
        (router.home().number("SELECT count(*) FROM attempts") >= count).then_some(())
    })
    .await;
}

fn dead_letters(router: &TestRouter) -> i64 {
    router.home().number("SELECT count(*) FROM deliveries WHERE state = 2")
}

/// One column as text.
fn column(router: &TestRouter, rest: &str) -> Vec<String> {
    let store = router.home().store();
    let (column, from) = rest.split_once(" FROM ").unwrap();
    let mut statement = store
        .prepare(&format!("SELECT CAST({column} AS TEXT) FROM {from}"))
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The id of the notification that a call is about.
fn notification(call: &Call) -> &str {
    &call.header("webhook-id")[..36]
}
