use super::*;
use crate::route::kind;
use crate::route::samples::{LYON, PARIS, circle, form, member, payment, rest, shop, transaction};
use crate::verify::Content;

const NICE: &str = "34567890";

fn created() -> Content {
    form(
        "PAY",
        "page_action=REGISTER operation_type=VERIFICATION trans_uuid=u identifier=t identifier_status=CREATED",
    )
}

fn created_with_payment() -> Content {
    form(
        "PAY",
        "page_action=REGISTER_PAY operation_type=DEBIT trans_uuid=u identifier=t identifier_status=CREATED order_id=7",
    )
}

fn routed(content: &Content, circle: &Circle) -> Destinations {
    let happening = Happening::read(content);
    destinations(&happening, kind(&happening), shop(PARIS), circle)
}

/// Shops with the word of their rendition.
fn words(keys: &[DestinationKey]) -> Vec<(&str, &str)> {
    keys.iter()
        .map(|key| (key.shop.as_str(), key.rendition.word()))
        .collect()
}

#[test]
fn named_shop_gets_its_own_and_the_others_learn_by_all_their_urls() {
    let circle = circle(vec![
        member(LYON, "event form rest"),
        member(PARIS, "form rest event"),
        member(NICE, "form"),
    ]);
    let found = routed(&created(), &circle);
    assert_eq!(
        words(&found.reachable),
        [
            (PARIS, "form"),
            (LYON, "event"),
            (LYON, "form-resigned"),
            (NICE, "form-resigned")
        ]
    );
    assert_eq!((found.waiting, found.withheld), (vec![], vec![]));
}

#[test]
fn rest_goes_to_rest_urls() {
    let circle = circle(vec![member(PARIS, "form rest"), member(LYON, "event form rest")]);
    let saved = rest("PAY", &payment(&[transaction("uuid=u op=VERIFICATION token=t")]));
    assert_eq!(
        words(&routed(&saved, &circle).reachable),
        [(PARIS, "rest"), (LYON, "event"), (LYON, "rest-resigned")]
    );
}

#[test]
fn named_shop_without_a_url_of_that_format_gets_nothing_and_the_others_do() {
    let circle = circle(vec![member(PARIS, "rest event"), member(LYON, "event")]);
    assert_eq!(words(&routed(&created(), &circle).reachable), [(LYON, "event")]);
}

#[test]
fn payment_goes_to_the_named_shop_only() {
    let circle = circle(vec![
        member(PARIS, "form"),
        member(LYON, "event form"),
        member(NICE, ""),
    ]);
    let found = routed(&form("PAY", "operation_type=DEBIT trans_uuid=u identifier=t"), &circle);
    assert_eq!(words(&found.reachable), [(PARIS, "form")]);
    assert_eq!((found.waiting, found.withheld), (vec![], vec![]));
}

#[test]
fn order_or_charge_is_withheld_from_another_shops_plugin() {
    let order_only = form(
        "PAY",
        "page_action=REGISTER operation_type=VERIFICATION identifier=t identifier_status=CREATED order_id=7",
    );
    let charge_only = form(
        "PAY",
        "page_action=REGISTER_PAY operation_type=DEBIT identifier=t identifier_status=CREATED",
    );
    let members = vec![member(PARIS, "form"), member(LYON, "event form"), member(NICE, "form")];
    for content in [order_only, charge_only, created_with_payment()] {
        let found = routed(&content, &circle(members.clone()));
        assert_eq!(words(&found.reachable), [(PARIS, "form"), (LYON, "event")]);
        assert_eq!(found.withheld, [shop(LYON), shop(NICE)]);
        assert_eq!(found.waiting, [], "withheld, not parked: it has the URL");
    }
}

#[test]
fn foreign_orders_are_sent_to_who_asks_for_them() {
    let lyon = Member {
        foreign_orders: ForeignOrders::Send,
        ..member(LYON, "form")
    };
    let found = routed(
        &created_with_payment(),
        &circle(vec![member(PARIS, "form"), lyon, member(NICE, "form")]),
    );
    assert_eq!(words(&found.reachable), [(PARIS, "form"), (LYON, "form-resigned")]);
    assert_eq!(found.withheld, [shop(NICE)]);
}

#[test]
fn learns_by_chooses_among_the_urls() {
    let lyon = Member {
        learns_by_event: false,
        ..member(LYON, "event form")
    };
    let nice = Member {
        learns_by_form: false,
        ..member(NICE, "event form")
    };
    let circle = circle(vec![member(PARIS, "form"), lyon, nice]);
    let expected = [(PARIS, "form"), (LYON, "form-resigned"), (NICE, "event")];
    assert_eq!(words(&routed(&created(), &circle).reachable), expected);
    let found = routed(&created_with_payment(), &circle);
    assert_eq!(
        found.withheld,
        [shop(LYON)],
        "what is not learned by form is not withheld there"
    );
}

#[test]
fn what_an_unreachable_shop_misses_waits_for_it() {
    let found = routed(
        &created(),
        &circle(vec![member(PARIS, "form"), member(LYON, "rest"), member(NICE, "event")]),
    );
    assert_eq!(words(&found.reachable), [(PARIS, "form"), (NICE, "event")]);
    assert_eq!(words(&found.waiting), [(LYON, "event")]);
    assert_eq!(
        words(&found.into_keys()),
        [(PARIS, "form"), (NICE, "event"), (LYON, "event")]
    );
}

#[test]
fn nothing_waits_for_a_shop_that_wants_to_learn_nothing() {
    let lyon = Member {
        learns_by_event: false,
        learns_by_form: false,
        learns_by_rest: false,
        ..member(LYON, "rest")
    };
    let found = routed(&created(), &circle(vec![member(PARIS, "form"), lyon]));
    assert_eq!(words(&found.into_keys()), [(PARIS, "form")]);
}

#[test]
fn shop_is_unreachable_only_if_another_is_notified() {
    let quiet = |id, urls| Member {
        notified_by_form: false,
        ..member(id, urls)
    };
    let nobody_else = circle(vec![quiet(PARIS, "form"), member(LYON, "")]);
    assert_eq!(routed(&created(), &nobody_else).waiting, []);
    let another = circle(vec![member(PARIS, "form"), quiet(LYON, "")]);
    assert_eq!(words(&routed(&created(), &another).waiting), [(LYON, "event")]);
}

#[test]
fn disabled_shop_and_company_get_their_rows() {
    let mut lyon = member(LYON, "event");
    lyon.enabled = false;
    let mut circle = circle(vec![member(PARIS, "form"), lyon]);
    let mut company = (*circle.legal_entity).clone();
    company.enabled = false;
    circle.legal_entity = company.into();
    assert_eq!(
        words(&routed(&created(), &circle).reachable),
        [(PARIS, "form"), (LYON, "event")]
    );
}

/// Shops with the word of each way's rendition, and what is decided about it.
fn decisions(content: &Content, circle: &Circle) -> Vec<(ShopId, &'static str, Decision)> {
    let happening = Happening::read(content);
    ways(&happening, kind(&happening), shop(PARIS), circle)
        .map(|way| (way.shop, way.rendition.word(), way.decision))
        .collect()
}

#[test]
fn every_way_has_its_reason() {
    let by_events_only = Member {
        learns_by_form: false,
        ..member(LYON, "event form")
    };
    let circle = circle(vec![member(PARIS, "rest"), by_events_only, member(NICE, "form")]);
    let [paris, lyon, nice] = [PARIS, LYON, NICE].map(shop);
    assert_eq!(
        decisions(&created_with_payment(), &circle),
        [
            (paris, "form", Decision::NoUrl),
            (lyon, "event", Decision::Sent),
            (lyon, "form-resigned", Decision::NotLearnt),
            (nice, "event", Decision::NoUrl),
            (nice, "form-resigned", Decision::Withheld),
        ]
    );
    let payment = form("PAY", "operation_type=DEBIT trans_uuid=u identifier=t");
    let not_shared = decisions(&payment, &circle);
    assert!(
        not_shared[1..]
            .iter()
            .all(|(_, _, decision)| *decision == Decision::NotShared)
    );
    assert_eq!(not_shared.len(), 5);
}

#[test]
fn what_waits_is_an_event_that_has_no_way() {
    let circle = circle(vec![member(PARIS, "form"), member(LYON, "rest")]);
    let lyon = shop(LYON);
    assert_eq!(
        decisions(&created(), &circle)[1..],
        [
            (lyon, "event", Decision::Waits),
            (lyon, "form-resigned", Decision::NoUrl)
        ]
    );
}
