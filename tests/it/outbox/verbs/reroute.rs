//! What is routed anew by the configuration of now: release, replay of what is parked, backfill.

use ipn_router::domain::{Circle, ForeignOrders, LegalEntity, Member, Secret, ShopId};
use ipn_router::route::route;
use ipn_router::verify::{FormHash, Keyring, ShopKeys};
use serde_json::json;

use super::*;
use crate::support::{Form, NICE, form_key, rest, rest_password};

/// A shop with the URLs named (`form`, `rest`, `event`).
pub(super) fn member(shop: &str, urls: &str) -> Member {
    let url = |name: &str| {
        let url = format!("https://{shop}.example/{name}");
        urls.split(' ').any(|url| url == name).then(|| url.parse().unwrap())
    };
    Member {
        shop: shop.parse().unwrap(),
        name: format!("ACME {shop}"),
        enabled: true,
        form_url: url("form"),
        rest_url: url("rest"),
        event_url: url("event"),
        learns_by_event: true,
        learns_by_form: true,
        learns_by_rest: true,
        foreign_orders: ForeignOrders::Withhold,
        notified_by_form: shop == PARIS,
        notified_by_rest: shop == PARIS,
    }
}

/// A company in TEST that shares these kinds.
pub(super) fn circle(legal_entity: &str, share: &str, members: Vec<Member>) -> Arc<Circle> {
    let legal_entity = LegalEntity {
        id: legal_entity.parse().unwrap(),
        name: legal_entity.to_uppercase(),
        enabled: true,
        share: vec![share.parse().unwrap()],
        wait_for_named_shop: None,
    };
    Arc::new(Circle {
        legal_entity: Arc::new(legal_entity),
        mode: Mode::Test,
        members,
    })
}

/// What the configuration makes of this body, received now.
fn routed(circle: &Arc<Circle>, body: &str) -> Routed {
    let keys = ShopKeys {
        shop: PARIS.parse().unwrap(),
        circle: Arc::clone(circle),
        form_keys: vec![Secret::new(form_key(PARIS, "TEST"))],
        form_hashes: vec![FormHash::HmacSha256],
        rest_passwords: vec![Secret::new(rest_password(PARIS, "TEST"))],
    };
    let verified = Keyring::new(vec![keys]).verify(body.to_owned().into()).unwrap();
    let received_at = SystemClock.now();
    route(&verified, NotificationId::new(received_at), received_at, String::new())
}

/// Accepts what is new; returns its id and its standing.
async fn arrives(outbox: &Outbox, circle: &Arc<Circle>, body: &str) -> (NotificationId, Standing) {
    let routed = routed(circle, body);
    let arrived = (routed.id, routed.standing);
    assert_eq!(outbox.accept(routed).await.unwrap(), Accepted::Stored);
    arrived
}

/// A registration without order or payment, told in both formats.
fn both_formats(token: &str) -> [String; 2] {
    let form = Form::token_created(PARIS, token);
    let text = json!({
        "shopId": PARIS,
        "orderStatus": "PAID",
        "serverDate": "2026-03-01T10:00:00+00:00",
        "orderDetails": { "mode": "TEST", "orderId": null },
        "transactions": [{
            "uuid": form.value("vads_trans_uuid"),
            "operationType": "VERIFICATION",
            "detailedStatus": "ACCEPTED",
            "paymentMethodToken": token,
            "creationDate": "2026-03-01T10:00:00+00:00",
        }],
    });
    [form.signed(), rest(&text, "PAY", &rest_password(PARIS, "TEST"))]
}

/// Rightly signed, without `vads_hash` and without anything that tells what it is: perhaps a cancellation.
fn doubtful(token: &str) -> String {
    let mut form = Form::token_created(PARIS, token).without("vads_hash");
    for marker in ["vads_trans_status", "vads_trans_uuid", "vads_identifier_status"] {
        form = form.without(marker);
    }
    form.without("vads_page_action").signed()
}

async fn stored(outbox: &Outbox, key: &DestinationKey) -> Vec<Arc<outbox::StoredNotification>> {
    let (owned, _inbox) = own(outbox, key).await;
    let mut all = Vec::new();
    for row in outbox.page(owned.lease, 0, 10_000).await.unwrap().rows {
        all.push(outbox.notification(row.notification).await.unwrap());
    }
    all
}

fn to(shop: &str, rendition: Rendition) -> DestinationKey {
    destination(shop, rendition)
}

fn backfill(shop: &str) -> Verb {
    Verb::Backfill {
        shop: shop.parse().unwrap(),
        mode: Mode::Test,
        received: Period {
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::MAX,
        },
    }
}

const FORM: Rendition = Rendition::AsReceived(Format::Form);
const RE_SIGNED: Rendition = Rendition::ReSigned(Format::Form);

#[tokio::test]
async fn released_notification_is_what_it_would_have_been() {
    let store = TestStore::new();
    let outbox = store.open();
    let circle = circle("acme", "token.*", vec![member(PARIS, "form"), member(LYON, "event")]);
    let (id, standing) = arrives(&outbox, &circle, &doubtful("token-1")).await;
    assert_eq!(standing, Standing::Quarantined);
    let circles: Circles = Arc::new(vec![circle]);
    let (of_paris, inbox) = own(&outbox, &paris()).await;

    // A replay does not let out what is in quarantine.
    let replayed = done_by(&outbox, circles.clone(), replay_one(id)).await;
    assert_eq!(replayed, result(0, &[(LeftOut::Quarantined, 1)]));
    let release = Verb::Release { notification: id };
    assert_eq!(done_by(&outbox, circles.clone(), release.clone()).await, result(2, &[]));
    let (handed_over, last) = inbox.take();
    assert!(handed_over.is_empty() && last == 1);
    let head = head(&outbox, of_paris.lease, "token-1").await.unwrap();
    assert_eq!((head.seq, head.replays), (1, 0));
    for key in [paris(), lyon()] {
        let stored = &stored(&outbox, &key).await[0];
        assert_eq!((stored.id, stored.matter.kind), (id, Kind::TokenOther));
        assert!(stored.event.is_some());
    }
    let again = done_by(&outbox, circles, release).await;
    assert_eq!(again, result(0, &[(LeftOut::NotHeld, 1)]));
}

#[tokio::test]
async fn nothing_is_released_while_nobody_can_get_it_or_it_has_arrived_meanwhile() {
    let store = TestStore::new();
    let outbox = store.open();
    let members = |urls| vec![member(PARIS, urls)];
    let circle_now = circle("acme", "token.*", members("form"));
    let text = json!({
        "orderStatus": "PAID",
        "serverDate": "2026-03-01T10:00:00+00:00",
        "orderDetails": { "orderId": null },
        "transactions": [{ "uuid": "ab01", "operationType": "VERIFICATION", "paymentMethodToken": "token-1" }],
    });
    let password = rest_password(PARIS, "TEST");
    let (id, standing) = arrives(&outbox, &circle_now, &rest(&text, "PAY", &password)).await;
    assert_eq!(standing, Standing::Quarantined);
    let release = Verb::Release { notification: id };
    let without_url = Arc::new(vec![Arc::clone(&circle_now)]);
    assert_eq!(
        done_by(&outbox, without_url, release.clone()).await,
        result(0, &[(LeftOut::NothingReachable, 1)])
    );
    assert_eq!(
        done_by(&outbox, Circles::default(), release.clone()).await,
        result(0, &[(LeftOut::NotConfigured, 1)])
    );

    let with_url = circle("acme", "token.*", members("rest"));
    let mut whole = text;
    whole["shopId"] = json!(PARIS);
    whole["orderDetails"]["mode"] = json!("TEST");
    let (arrived_as, standing) = arrives(&outbox, &with_url, &rest(&whole, "PAY", &password)).await;
    assert_eq!(standing, Standing::Routed);
    let refused = done_by(&outbox, Arc::new(vec![with_url]), release).await;
    assert_eq!(refused.left_out, [(LeftOut::AlreadyArrived, 1)].into());
    assert_eq!((refused.done, refused.arrived_as), (0, Some(arrived_as)));
    assert_eq!(
        stored(&outbox, &to(PARIS, Rendition::AsReceived(Format::Rest)))
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_parked_is_routed_anew_when_it_is_replayed() {
    let store = TestStore::new();
    let outbox = store.open();
    let nowhere = circle("acme", "token.*", vec![member(PARIS, "")]);
    let mut ids = Vec::new();
    for n in 0..25 {
        let body = Form::token_created(PARIS, &format!("token-{n}")).signed();
        let (id, standing) = arrives(&outbox, &nowhere, &body).await;
        assert_eq!(standing, Standing::Parked);
        ids.push(id);
    }
    let still_nowhere = done_by(&outbox, Arc::new(vec![nowhere]), replay_one(ids[0])).await;
    assert_eq!(still_nowhere, result(0, &[(LeftOut::NothingReachable, 1)]));
    let circles: Circles = Arc::new(vec![circle(
        "acme",
        "token.*",
        vec![member(PARIS, "form"), member(LYON, "event")],
    )]);
    // Who names a shop means deliveries, and there are none.
    let of_paris = Selection {
        destinations: DestinationFilter {
            shop: Some(paris().shop),
            ..DestinationFilter::default()
        },
        ..all()
    };
    assert!(
        done_by(&outbox, circles.clone(), replay(of_paris, None))
            .await
            .found_nothing()
    );
    assert_eq!(
        done_by(&outbox, circles.clone(), replay_one(ids[0])).await,
        result(2, &[])
    );
    assert_eq!(
        done_by(&outbox, circles.clone(), replay(all(), None)).await,
        result(48, &[])
    );
    assert!(done_by(&outbox, circles, replay(all(), None)).await.found_nothing());
    for key in [paris(), lyon()] {
        let got: Vec<_> = stored(&outbox, &key).await.iter().map(|stored| stored.id).collect();
        assert_eq!(got, ids, "{key}");
    }
}

#[tokio::test]
async fn backfill_gives_a_shop_that_joined_later_each_happening_once() {
    let store = TestStore::new();
    let outbox = store.open();
    let alone = circle("acme", "token.*", vec![member(PARIS, "form rest")]);
    let mut tokens = Vec::new();
    for n in 0..120 {
        tokens.push(format!("token-{n}"));
        for body in both_formats(&tokens[n]) {
            arrives(&outbox, &alone, &body).await;
        }
    }
    // Payments were not shared, and are not; what is in quarantine stays there.
    arrives(&outbox, &alone, &Form::payment(PARIS, "token-0", "order-1").signed()).await;
    arrives(&outbox, &alone, &doubtful("token-0")).await;
    let joined = circle(
        "acme",
        "token.*",
        vec![member(PARIS, "form rest"), member(LYON, "event form")],
    );
    let circles: Circles = Arc::new(vec![joined]);
    let (_, inbox) = own(&outbox, &lyon()).await;
    let filled = done_by(&outbox, circles.clone(), backfill(LYON)).await;
    let left_out = [(LeftOut::EventOfAnother, 120), (LeftOut::Quarantined, 1)];
    assert_eq!(filled, result(240, &left_out));
    let (handed_over, last) = inbox.take();
    assert!(handed_over.is_empty() && last == 120);
    let events = stored(&outbox, &lyon()).await;
    assert!(events.iter().all(|stored| stored.event.is_some()));
    assert!(events.is_sorted_by(|a, b| a.received_at <= b.received_at));
    assert_eq!(stored(&outbox, &to(LYON, RE_SIGNED)).await.len(), 120);
    // What is there is not made again, and nobody else got anything.
    let again = done_by(&outbox, circles, backfill(LYON)).await;
    let left_out = [
        (LeftOut::AlreadyThere, 240),
        (LeftOut::EventOfAnother, 120),
        (LeftOut::Quarantined, 1),
    ];
    assert_eq!(again, result(0, &left_out));
    assert_eq!(own(&outbox, &paris()).await.0.last, 121);
}

#[tokio::test]
async fn what_was_not_shared_at_its_time_gets_an_event_by_backfill_and_both_formats_one() {
    let store = TestStore::new();
    let outbox = store.open();
    let before = circle(
        "acme",
        "payment",
        vec![member(PARIS, "form rest"), member(LYON, "event")],
    );
    let [by_form, by_rest] = both_formats("token-1");
    let (first, _) = arrives(&outbox, &before, &by_form).await;
    arrives(&outbox, &before, &by_rest).await;
    // It is in memory, as it was.
    assert_eq!(stored(&outbox, &paris()).await[0].event, None);
    let circles: Circles = Arc::new(vec![circle(
        "acme",
        "token.*",
        vec![member(PARIS, "form rest"), member(LYON, "event"), member(NICE, "event")],
    )]);
    let one_event = result(1, &[(LeftOut::EventOfAnother, 1)]);
    assert_eq!(done_by(&outbox, circles.clone(), backfill(LYON)).await, one_event);
    let events = stored(&outbox, &lyon()).await;
    assert_eq!((events.len(), events[0].id), (1, first));
    let event = events[0].event;
    assert!(event.is_some());
    // Another shop's event has the same identity.
    assert_eq!(done_by(&outbox, circles, backfill(NICE)).await, one_event);
    assert_eq!(stored(&outbox, &to(NICE, Rendition::Event)).await[0].event, event);
}

#[tokio::test]
async fn backfill_of_one_shop_takes_what_is_parked_from_nobody() {
    let store = TestStore::new();
    let outbox = store.open();
    let nowhere = circle("acme", "token.*", vec![member(PARIS, "")]);
    let body = Form::token_created(PARIS, "token-1").signed();
    let (_, standing) = arrives(&outbox, &nowhere, &body).await;
    assert_eq!(standing, Standing::Parked);
    let nice = Member {
        learns_by_event: false,
        learns_by_form: false,
        ..member(NICE, "event form")
    };
    let shops = vec![member(PARIS, "form"), member(LYON, "event"), nice];
    let circles: Circles = Arc::new(vec![circle("acme", "token.*", shops)]);
    let filled = done_by(&outbox, circles.clone(), backfill(LYON)).await;
    assert_eq!(filled, result(0, &[(LeftOut::Parked, 1)]));
    assert_eq!(filled.to_string(), "0 done, left out: 1 (parked: replay it)");
    // It is none of Nice's.
    let none = done_by(&outbox, circles.clone(), backfill(NICE)).await;
    assert!(none.found_nothing(), "{none}");
    assert_eq!(done_by(&outbox, circles, replay(all(), None)).await, result(2, &[]));
    assert_eq!(stored(&outbox, &paris()).await.len(), 1);
    assert_eq!(stored(&outbox, &lyon()).await.len(), 1);
}

#[tokio::test]
async fn backfill_withholds_what_routing_withholds_and_fills_the_named_shop_too() {
    let store = TestStore::new();
    let outbox = store.open();
    let before = circle("acme", "token.*", vec![member(PARIS, "rest"), member(LYON, "event")]);
    let body = Form::token_created_with_payment(PARIS, "token-1", "order-1").signed();
    arrives(&outbox, &before, &body).await;
    let circles: Circles = Arc::new(vec![circle(
        "acme",
        "token.*",
        vec![member(PARIS, "form"), member(LYON, "event form")],
    )]);
    assert_eq!(
        done_by(&outbox, circles.clone(), backfill(LYON)).await,
        result(0, &[(LeftOut::AlreadyThere, 1), (LeftOut::Withheld, 1)])
    );
    assert_eq!(done_by(&outbox, circles.clone(), backfill(PARIS)).await, result(1, &[]));
    assert_eq!(stored(&outbox, &to(PARIS, FORM)).await.len(), 1);
    let nobody: ShopId = "99999999".parse().unwrap();
    let refused = done_by(&outbox, circles, backfill(nobody.as_str())).await;
    assert!(refused.failed.unwrap().contains("99999999"));
}
