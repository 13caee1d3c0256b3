use super::samples::{LYON, PARIS, at, circle, member, shop};
use super::*;
use crate::verify::Keyring;
use crate::verify::testing::{TEST_KEY, TEST_PASSWORD, shop_keys, signed_form, signed_rest, vectors};

fn routed(body: Bytes, circle: Circle) -> Routed {
    let mut keys = shop_keys(PARIS, Mode::Test, TEST_KEY, TEST_PASSWORD);
    keys.circle = circle.into();
    let verified = Keyring::new(vec![keys]).verify(body).unwrap();
    let received_at = at("2026-03-01T10:00:00Z");
    route(
        &verified,
        NotificationId::new(received_at),
        received_at,
        "host: ipn.example\n".to_owned(),
    )
}

fn paris_and_lyon() -> Circle {
    circle(vec![member(PARIS, "form"), member(LYON, "event")])
}

fn created() -> Bytes {
    let fields = [
        ("vads_hash", "8f9a"),
        ("vads_page_action", "REGISTER"),
        ("vads_identifier", "t"),
        ("vads_identifier_status", "CREATED"),
        ("vads_operation_type", "VERIFICATION"),
        ("vads_trans_uuid", "u"),
    ];
    signed_form(&fields, TEST_KEY)
}

#[test]
fn token_reaches_the_named_shop_and_the_company() {
    let routed = routed(created(), paris_and_lyon());
    assert_eq!(
        (routed.kind, routed.standing, routed.charge),
        (Kind::TokenCreated, Standing::Routed, None)
    );
    assert_eq!(routed.destinations.len(), 2);
    assert_eq!(
        (routed.token.as_deref(), routed.transaction.as_deref()),
        (Some("t"), Some("u"))
    );
    assert_eq!(routed.lane, Lane::of("t"));
    assert_eq!((routed.shop, routed.body), (shop(PARIS), created()));
    assert!(routed.event.is_some());
}

#[test]
fn lane_is_the_token_else_the_transaction_else_the_notification() {
    let id = NotificationId::new(at("2026-03-01T10:00:00Z"));
    let lane_of = |fields| lane(&Happening::read(&samples::form("PAY", fields)), id);
    assert_eq!(lane_of("identifier=t trans_uuid=u"), Lane::of("t"));
    assert_eq!(lane_of("trans_uuid=u"), Lane::of("u"));
    assert_eq!(lane_of("trans_id=9c20f0"), Lane::of(&id.to_string()));
}

#[test]
fn payment_makes_no_event() {
    let fields = [
        ("vads_hash", "8f9a"),
        ("vads_operation_type", "DEBIT"),
        ("vads_trans_uuid", "u"),
    ];
    let routed = routed(signed_form(&fields, TEST_KEY), paris_and_lyon());
    assert_eq!(
        (routed.kind, routed.event, routed.charge),
        (Kind::Payment, None, Some(Charge::Succeeded))
    );
}

#[test]
fn charge_of_which_nothing_came_has_failed() {
    let charge_of = |fields| Happening::read(&samples::form("PAY", fields)).charge_outcome();
    assert_eq!(
        charge_of("operation_type=DEBIT trans_status=REFUSED"),
        Some(Charge::Failed)
    );
    assert_eq!(
        charge_of("operation_type=DEBIT trans_status=AUTHORISED"),
        Some(Charge::Succeeded)
    );
    assert_eq!(charge_of("operation_type=VERIFICATION trans_status=REFUSED"), None);
}

#[test]
fn disabled_company_or_no_url_is_parked() {
    let mut disabled = paris_and_lyon();
    let mut company = (*disabled.legal_entity).clone();
    company.enabled = false;
    disabled.legal_entity = company.into();
    let parked = routed(created(), disabled);
    assert_eq!((parked.standing, parked.destinations.len()), (Standing::Parked, 2));

    let nowhere = routed(created(), circle(vec![member(PARIS, "rest"), member(LYON, "rest")]));
    assert_eq!(nowhere.standing, Standing::Parked);
    assert_eq!(nowhere.destinations.len(), 1, "the event that Lyon misses waits for it");
    assert!(nowhere.event.is_some());
}

#[test]
fn quarantine_goes_nowhere() {
    let form = signed_form(&[("vads_identifier", "t")], TEST_KEY);
    let rest = signed_rest(r#"{"_type":"V4/Token","paymentMethodToken":"t"}"#, TEST_PASSWORD);
    for body in [form, rest] {
        let routed = routed(body, paris_and_lyon());
        assert_eq!(
            (routed.standing, routed.kind),
            (Standing::Quarantined, Kind::TokenOther)
        );
        assert_eq!((routed.destinations, routed.event), (vec![], None));
    }
}

#[test]
fn real_notifications_are_what_their_authors_say() {
    let kinds: Vec<_> = vectors()
        .into_iter()
        .filter_map(|vector| {
            let verified = vector.keyring.verify(vector.body).ok()?;
            let happening = Happening::read(verified.content());
            Some((vector.name, kind(&happening), happening.order, happening.charge))
        })
        .collect();
    let expected = [
        ("form-accents-and-empty-values", Kind::Payment, false, true),
        ("rest-payment", Kind::Payment, true, true),
        ("rest-payment-by-token", Kind::Payment, true, true),
        ("rest-payment-that-saves-card", Kind::TokenSaved, true, true),
        ("rest-token-without-order", Kind::TokenSaved, false, false),
        ("rest-verification-without-token", Kind::Other, true, false),
    ];
    let expected = expected.map(|(name, kind, order, charge)| (name.to_owned(), kind, order, charge));
    assert_eq!(kinds, expected);
}
