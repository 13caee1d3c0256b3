//! Who gets what of a notification, from the gateway's request to the shops' servers (design.md 6 and 8).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use ipn_router::domain::{Clock, NotificationId, Secret, SystemClock};
use ipn_router::verify::{FormHash, signature};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::{
    Acme, Call, EVENT_SECRET, FakeShop, Form, LYON, NICE, PARIS, TestRouter, form_key, rest, rest_password,
};

#[tokio::test]
async fn token_created_reaches_the_named_shop_as_it_came_and_the_others_in_their_own_way() {
    let (acme, router) = start().await;
    let form = Form::token_created(PARIS, "token-1");
    let body = form.signed();
    let id = router.gateway().sends(&body).await;
    router.delivers_everything().await;

    let at_paris = acme.paris.gets_one("/test/form").await;
    assert_eq!(at_paris.body, body);
    assert_eq!(
        at_paris.header("content-type"),
        "application/x-www-form-urlencoded; charset=UTF-8"
    );
    assert_headers(&at_paris, &format!("{id}-{PARIS}-form"));

    let at_lyon = acme.lyon.gets_one("/test/events").await;
    assert_eq!(at_lyon.header("content-type"), "application/json");
    assert_headers(&at_lyon, &format!("{id}-{LYON}-event"));
    Webhook::new(EVENT_SECRET)
        .unwrap()
        .verify(&at_lyon.body, &at_lyon.headers)
        .unwrap();
    let mut event = at_lyon.json();
    assert_eq!(event["timestamp"].take(), id.received_at().to_string());
    assert!(event["id"].take().as_str().unwrap().starts_with("evt_"));
    let expected = json!({
        "type": "token.created",
        "id": null,
        "timestamp": null,
        "data": {
            "legal_entity": "acme",
            "named_shop": PARIS,
            "mode": "TEST",
            "token": "token-1",
            "subscription": null,
            "card": { "brand": "VISA", "last4": "0055", "expiry": "2031-06" },
            "customer_reference": "4711",
            "gateway_transaction": form.value("vads_trans_uuid"),
            "resend": false,
        },
    });
    assert_eq!(event, expected);

    let at_nice = acme.nice.gets_one("/test/form").await;
    assert_headers(&at_nice, &format!("{id}-{NICE}-form-resigned"));
    assert_re_signed_form(&at_nice, &body, NICE);
    assert_re_signed_form(&acme.lyon.gets_one("/test/form").await, &body, LYON);
    assert_eq!(
        [&acme.paris, &acme.lyon, &acme.nice].map(|shop| shop.calls().len()),
        [1, 2, 1]
    );
}

#[tokio::test]
async fn payment_of_an_order_never_reaches_another_shops_plugin() {
    let (acme, router) = start().await;
    let by_form = Form::token_created_with_payment(PARIS, "token-1", "order-7").signed();
    let mut order = registration("token-2", "ab01");
    order["orderDetails"]["orderId"] = json!("order-8");
    order["transactions"][0]["operationType"] = json!("DEBIT");
    order["transactions"][0]["transactionDetails"]["cardDetails"]["paymentMethodSource"] = json!("NEW");
    let by_rest = rest(&order, "PAY", &rest_password(PARIS, "TEST"));
    let mut gateway = router.gateway();
    gateway.sends(&by_form).await;
    gateway.sends(&by_rest).await;
    router.delivers_everything().await;

    assert_eq!(acme.paris.gets_one("/test/form").await.body, by_form);
    assert_eq!(acme.paris.gets_one("/test/rest").await.body, by_rest);
    let mut events: Vec<_> = acme.lyon.gets(2).await.iter().map(kind_and_token).collect();
    events.sort();
    let expected = [("token.created", "token-1"), ("token.saved", "token-2")];
    assert_eq!(
        events,
        expected.map(|(kind, token)| (kind.to_owned(), token.to_owned()))
    );
    assert_eq!(acme.lyon.calls_to("/test/events").len(), 2, "and nothing else");
    assert_eq!(acme.nice.calls().len(), 0, "it has no URL for events");
}

#[tokio::test]
async fn payment_by_token_stays_with_its_shop() {
    let (acme, router) = start().await;
    let payment = Form::payment(PARIS, "token-1", "order-7");
    router.gateway().sends(&payment.signed()).await;
    router.delivers_everything().await;
    assert_eq!(acme.paris.gets_one("/test/form").await.body, payment.signed());
    assert_eq!((acme.lyon.calls().len(), acme.nice.calls().len()), (0, 0));
}

#[tokio::test]
async fn test_and_production_never_mix() {
    let (acme, router) = start().await;
    let test = Form::token_created(PARIS, "token-1");
    let production = Form::token_created(PARIS, "token-2").with("vads_ctx_mode", "PRODUCTION");
    let mut gateway = router.gateway();
    gateway.sends(&test.signed()).await;
    gateway.sends(&production.signed()).await;
    router.delivers_everything().await;

    for (shop, count) in [(&acme.paris, 2), (&acme.lyon, 4), (&acme.nice, 2)] {
        let calls = shop.calls();
        assert_eq!(calls.len(), count);
        for call in calls {
            let (folder, mode) = match call.token().as_str() {
                "token-1" => ("/test/", "TEST"),
                _ => ("/production/", "PRODUCTION"),
            };
            assert!(call.path.starts_with(folder), "{call:?}");
            if call.path.ends_with("events") {
                assert_eq!(call.json()["data"]["mode"], mode);
            } else {
                assert_eq!(call.field("vads_ctx_mode").unwrap(), mode);
            }
        }
    }
    // A TEST notification that is signed with the PRODUCTION key goes nowhere at all.
    let key = Secret::new(form_key(PARIS, "PRODUCTION"));
    let reply = gateway
        .tries(&Form::token_created(PARIS, "token-3").signed_with(&key))
        .await
        .unwrap();
    assert!(reply.status == 403 && reply.text.starts_with("KO-mode "), "{reply:?}");
}

#[tokio::test]
async fn both_formats_of_one_happening_make_one_event() {
    let (acme, router) = start().await;
    let form = Form::token_created(PARIS, "token-1");
    let by_form = form.signed();
    let by_rest = rest(
        &registration("token-1", form.value("vads_trans_uuid")),
        "PAY",
        &rest_password(PARIS, "TEST"),
    );
    let mut gateway = router.gateway();
    gateway.sends(&by_form).await;
    let id = gateway.sends(&by_rest).await;
    router.delivers_everything().await;

    assert_eq!(acme.paris.gets_one("/test/form").await.body, by_form);
    assert_eq!(acme.paris.gets_one("/test/rest").await.body, by_rest);
    acme.lyon.gets_one("/test/events").await;
    acme.lyon.gets_one("/test/form").await;
    let re_signed = acme.lyon.gets_one("/test/rest").await;
    assert_headers(&re_signed, &format!("{id}-{LYON}-rest-resigned"));
    let text = re_signed.field("kr-answer").unwrap();
    let hash = signature::rest(&text, &Secret::new(rest_password(LYON, "TEST")));
    assert_eq!(re_signed.field("kr-hash").unwrap(), hash);
    let text: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&text["shopId"], &text["transactions"][0]["shopId"]),
        (&json!(LYON), &json!(LYON))
    );
}

#[tokio::test]
async fn automatic_retry_is_a_duplicate_and_a_manual_resend_is_delivered_again() {
    let (acme, router) = start().await;
    let form = Form::token_created(PARIS, "token-1");
    let mut gateway = router.gateway();
    let first = gateway.sends(&form.signed()).await;
    let retried = gateway
        .tries(&form.clone().with("vads_url_check_src", "RETRY").signed())
        .await
        .unwrap();
    assert!(retried.is_duplicate() && retried.id() == first, "{retried:?}");
    let resend = form.with("vads_url_check_src", "BO").signed();
    let second = gateway.sends(&resend).await;
    router.delivers_everything().await;

    assert_eq!(
        [&acme.paris, &acme.lyon, &acme.nice].map(|shop| shop.calls().len()),
        [2, 4, 2]
    );
    let of_resend = |shop: &FakeShop, path: &str| resent(shop, path, second);
    assert_eq!(of_resend(&acme.paris, "/test/form").body, resend);
    assert_re_signed_form(&of_resend(&acme.nice, "/test/form"), &resend, NICE);
    assert_eq!(of_resend(&acme.lyon, "/test/events").json()["data"]["resend"], true);
    for call in [
        of_resend(&acme.paris, "/test/form"),
        of_resend(&acme.lyon, "/test/events"),
    ] {
        assert_eq!(call.header("ipn-router-resend-of"), first.to_string());
    }
}

#[tokio::test]
async fn what_names_no_shop_of_ours_goes_nowhere() {
    let (acme, router) = start().await;
    let mut gateway = router.gateway();
    let unknown = gateway
        .tries(&Form::token_created("99999999", "token-1").signed())
        .await
        .unwrap();
    assert_eq!(unknown.status, 403);
    let forged = Form::token_created(PARIS, "token-1").signed_with(&Secret::new("guessed"));
    assert_eq!(gateway.tries(&forged).await.unwrap().status, 403);
    assert_eq!(router.home().number("SELECT count(*) FROM notifications"), 0);
    assert_eq!(
        [&acme.paris, &acme.lyon, &acme.nice].map(|shop| shop.calls().len()),
        [0, 0, 0]
    );
}

async fn start() -> (Acme, TestRouter) {
    let acme = Acme::open();
    let router = TestRouter::start(&acme.toml("")).await;
    (acme, router)
}

/// A token created with a verification, as the REST format tells it.
fn registration(token: &str, uuid: &str) -> Value {
    json!({
        "shopId": PARIS,
        "orderCycle": "CLOSED",
        "orderStatus": "PAID",
        "serverDate": SystemClock.now().to_string(),
        "orderDetails": { "mode": "TEST", "orderId": null, "orderTotalAmount": 0 },
        "customer": { "reference": "4711", "billingDetails": { "lastName": "d'Orléans" } },
        "transactions": [{
            "shopId": PARIS,
            "uuid": uuid,
            "operationType": "VERIFICATION",
            "status": "PAID",
            "detailedStatus": "ACCEPTED",
            "creationDate": "2026-03-01T10:00:00+00:00",
            "paymentMethodToken": token,
            "transactionDetails": {
                "cardDetails": { "paymentMethodSource": "TOKEN", "effectiveBrand": "VISA", "pan": "497010XXXXXX0055" },
            },
        }],
    })
}

/// The headers that come with every attempt, at the first.
fn assert_headers(call: &Call, webhook_id: &str) {
    assert_eq!(call.header("webhook-id"), webhook_id);
    assert_eq!(call.header("ipn-router-attempt"), "1");
    assert_eq!(call.header("ipn-router-named-shop"), PARIS);
    assert_eq!(call.header("ipn-router-legal-entity"), "acme");
    assert!(call.header("ipn-router-kind").starts_with("token."));
    assert_eq!(call.header("ipn-router-resend-of"), "");
    assert!(call.header("user-agent").starts_with("ipn-router/"));
}

/// The shop's plugin finds its own id and a signature by its own key; everything else is as the gateway wrote it.
fn assert_re_signed_form(call: &Call, original: &str, shop: &str) {
    let fields = |body: &[u8]| form_urlencoded::parse(body).into_owned().collect::<Vec<_>>();
    let (received, original) = (fields(&call.body), fields(original.as_bytes()));
    let pairs = received.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signature = signature::form(pairs, &Secret::new(form_key(shop, "TEST")), FormHash::HmacSha256);
    let expected: Vec<_> = original
        .into_iter()
        .map(|(name, value)| match name.as_str() {
            "vads_site_id" => (name, shop.to_owned()),
            "signature" => (name, signature.clone()),
            _ => (name, value),
        })
        .collect();
    assert_eq!(received, expected);
}

/// The call of a notification at this path.
fn resent(shop: &FakeShop, path: &str, id: NotificationId) -> Call {
    let mut calls = shop.calls_to(path);
    calls.retain(|call| call.header("webhook-id").starts_with(&id.to_string()));
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

fn kind_and_token(event: &Call) -> (String, String) {
    let event = event.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&event["type"]), text(&event["data"]["token"]))
}
