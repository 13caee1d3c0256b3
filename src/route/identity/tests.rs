use serde_json::json;

use super::*;
use crate::route::kind;
use crate::route::samples::{LYON, PARIS, at, form, payment, rest, rest_text, shop, transaction};
use crate::verify::Content;

const SAVED: &str = "page_action=REGISTER operation_type=VERIFICATION trans_uuid=u trans_status=ACCEPTED identifier=t identifier_status=CREATED";
const CANCELLED: &str = "identifier=t identifier_status=TERMINATED";

fn arrival(time: &str) -> Arrival {
    Arrival {
        shop: shop(PARIS),
        mode: Mode::Test,
        at: at(time),
        quarantined: false,
    }
}

fn identified(content: &Content, time: &str) -> Identified {
    identify(&Happening::read(content), &arrival(time))
}

fn hash(content: &Content) -> [u8; 16] {
    identified(content, "2026-03-01T10:00:00Z").identity.hash
}

fn event(content: &Content, time: &str) -> [u8; 16] {
    let happening = Happening::read(content);
    let arrival = arrival(time);
    let identity = identify(&happening, &arrival).identity;
    event_identity(
        &happening,
        kind(&happening),
        &"acme".parse().unwrap(),
        &arrival,
        &identity,
    )
}

#[test]
fn automatic_retry_is_a_duplicate_at_any_time() {
    let first = identified(&form("PAY", SAVED), "2026-03-01T10:00:00Z");
    assert_eq!(identified(&form("RETRY", SAVED), "2026-03-03T10:00:00Z"), first);
    assert_eq!((first.identity.until, first.resend_of), (None, None));
}

#[test]
fn every_fact_of_the_list_counts() {
    let first = hash(&form("PAY", SAVED));
    for (was, is) in [
        ("trans_uuid=u", "trans_uuid=v"),
        ("ACCEPTED", "REFUSED"),
        ("identifier=t", "identifier=s"),
        ("page_action=REGISTER", "page_action=REGISTER_PAY"),
        ("identifier_status=CREATED", "identifier_status=UPDATED"),
    ] {
        assert_ne!(hash(&form("PAY", &SAVED.replace(was, is))), first, "{is}");
    }
    for more in [
        "recurrence_number=2",
        "amount=1",
        "effective_amount=1",
        "presentation_date=20260302100000",
    ] {
        assert_ne!(hash(&form("PAY", &format!("{SAVED} {more}"))), first, "{more}");
    }
    assert_eq!(hash(&form("PAY", &format!("{SAVED} language=fr"))), first);
}

#[test]
fn shops_modes_formats_and_the_quarantine_never_meet() {
    let happening = Happening::read(&form("PAY", SAVED));
    let here = arrival("2026-03-01T10:00:00Z");
    let first = identify(&happening, &here).identity;
    for elsewhere in [
        Arrival {
            shop: shop(LYON),
            ..here
        },
        Arrival {
            mode: Mode::Production,
            ..here
        },
        Arrival {
            quarantined: true,
            ..here
        },
    ] {
        assert_ne!(identify(&happening, &elsewhere).identity, first, "{elsewhere:?}");
    }
    let facts = "trans_uuid=u trans_status=ACCEPTED identifier=t";
    let same_in_rest = payment(&[transaction("uuid=u detailedStatus=ACCEPTED token=t")]);
    assert_ne!(hash(&form("PAY", facts)), hash(&rest("PAY", &same_in_rest)));
}

#[test]
fn transaction_id_counts_only_with_its_date() {
    let with = |fields: &str| identified(&form("PAY", fields), "2026-03-01T10:00:00Z").identity;
    let dated = with("trans_id=9c20f0 trans_date=20260301100000 trans_status=ACCEPTED");
    assert_eq!(dated.until, None);
    assert_ne!(
        dated.hash,
        with("trans_id=9c20f0 trans_date=20260302100000 trans_status=ACCEPTED").hash
    );
    // The same id comes again tomorrow: it must not be a duplicate then.
    assert!(with("trans_id=9c20f0 trans_status=ACCEPTED").until.is_some());
}

#[test]
fn without_a_transaction_the_signed_fields_decide_for_two_hours() {
    let first = identified(&form("MERCH_BO", CANCELLED), "2026-03-01T10:00:00Z");
    assert_eq!(first.identity.until, Some(at("2026-03-01T12:00:00Z")));
    assert_eq!(hash(&form("RETRY", CANCELLED)), first.identity.hash);
    assert_eq!(
        hash(&form("MERCH_BO", "identifier_status=TERMINATED identifier=t")),
        first.identity.hash,
        "order"
    );
    assert_ne!(
        hash(&form("MERCH_BO", "identifier=t2 identifier_status=TERMINATED")),
        first.identity.hash
    );
    assert_ne!(
        hash(&form("MERCH_BO", &format!("{CANCELLED} ext_info_x="))),
        first.identity.hash
    );
}

#[test]
fn without_a_transaction_the_rest_text_less_its_server_date_decides() {
    let with = |date: &str, token: &str| {
        let text =
            format!(r#"{{"serverDate": {date}, "customer": {{"serverDate": 1}}, "paymentMethodToken": "{token}"}}"#);
        identified(&rest_text("MERCH_BO", &text), "2026-03-01T10:00:00Z").identity
    };
    let first = with(r#""2026-03-01T10:00:00+00:00""#, "t");
    assert!(first.until.is_some());
    assert_eq!(with("null", "t"), first);
    assert_ne!(with("null", "s"), first);
    assert!(
        identified(&rest("PAY", &json!({})), "2026-03-01T10:00:00Z")
            .identity
            .until
            .is_some()
    );
}

#[test]
fn manual_resend_is_a_wish_and_the_same_bytes_in_a_minute_are_one() {
    for fields in [SAVED, CANCELLED] {
        let resent = |time| identified(&form("BO", fields), time);
        let first = resent("2026-03-01T10:00:00Z");
        assert_eq!(first.resend_of, Some(hash(&form("PAY", fields))));
        assert_ne!(Some(first.identity.hash), first.resend_of);
        assert_eq!(resent("2026-03-01T10:00:59Z").identity.hash, first.identity.hash);
        assert_ne!(resent("2026-03-01T10:01:00Z").identity.hash, first.identity.hash);
        let other_bytes = form("BO", &format!("{fields} language=fr"));
        assert_ne!(hash(&other_bytes), first.identity.hash);
    }
}

#[test]
fn rest_resend_is_another_by_its_text_alone() {
    let written = |date: &str| {
        let mut answer = payment(&[transaction("uuid=u op=VERIFICATION token=t detailedStatus=ACCEPTED")]);
        answer["serverDate"] = json!(date);
        rest("BO", &answer)
    };
    let original = hash(&rest(
        "PAY",
        &payment(&[transaction("uuid=u op=VERIFICATION token=t detailedStatus=ACCEPTED")]),
    ));
    let first = identified(&written("2026-03-01T10:00:00+00:00"), "2026-03-01T10:00:01Z");
    assert_eq!(first.resend_of, Some(original));
    // Whoever holds one text cannot have it delivered again, minute by minute.
    assert_eq!(
        identified(&written("2026-03-01T10:00:00+00:00"), "2026-03-01T10:05:00Z"),
        first
    );
    assert_ne!(
        identified(&written("2026-03-01T10:01:00+00:00"), "2026-03-01T10:01:01Z"),
        first
    );
    // Too old to be believed: a duplicate of the first.
    let stale = identified(&written("2026-03-01T10:00:00+00:00"), "2026-03-01T11:00:00Z");
    assert_eq!((stale.identity.hash, stale.resend_of), (original, None));
}

#[test]
fn events_of_one_stored_card_are_one() {
    let time = "2026-03-01T10:00:00Z";
    let by_form = form(
        "PAY",
        "page_action=REGISTER_PAY operation_type=DEBIT trans_uuid=u trans_status=AUTHORISED identifier=t identifier_status=CREATED",
    );
    let by_rest = |status| {
        let facts = format!("uuid=u op=DEBIT source=NEW token=t detailedStatus={status}");
        rest("PAY", &payment(&[transaction(&facts)]))
    };
    assert_eq!(event(&by_form, time), event(&by_rest("AUTHORISED"), time));
    assert_eq!(
        event(&by_form, time),
        event(&by_rest("CAPTURED"), time),
        "the later capture"
    );
}

#[test]
fn companies_and_modes_never_share_an_event() {
    let happening = Happening::read(&form("PAY", SAVED));
    let event_of = |company: &str, mode| {
        let arrival = Arrival {
            mode,
            ..arrival("2026-03-01T10:00:00Z")
        };
        let identity = identify(&happening, &arrival).identity;
        event_identity(
            &happening,
            kind(&happening),
            &company.parse().unwrap(),
            &arrival,
            &identity,
        )
    };
    let first = event_of("acme", Mode::Test);
    assert_ne!(first, event_of("acme", Mode::Production));
    assert_ne!(first, event_of("other", Mode::Test));
}

#[test]
fn classes_of_events_and_states_of_payments_differ() {
    let time = "2026-03-01T10:00:00Z";
    let facts = [
        "trans_uuid=u operation_type=VERIFICATION identifier=t identifier_status=CREATED",
        "trans_uuid=u operation_type=VERIFICATION identifier=t identifier_status=TERMINATED",
        "trans_uuid=u operation_type=VERIFICATION identifier=t",
        "trans_uuid=u operation_type=DEBIT identifier=t trans_status=AUTHORISED",
        "trans_uuid=u operation_type=DEBIT identifier=t trans_status=CAPTURED",
        "trans_uuid=u operation_type=DEBIT identifier=t2 trans_status=CAPTURED",
        "trans_uuid=u operation_type=DEBIT identifier=t trans_status=CAPTURED recurrence_number=1",
    ];
    let events: std::collections::BTreeSet<_> = facts.map(|facts| event(&form("PAY", facts), time)).into();
    assert_eq!(events.len(), facts.len());
}

#[test]
fn resent_event_is_another_and_both_formats_of_it_are_one() {
    let by_rest = |source| {
        let facts = "uuid=u op=VERIFICATION token=t detailedStatus=ACCEPTED";
        rest(source, &payment(&[transaction(facts)]))
    };
    let first = event(&form("BO", SAVED), "2026-03-01T10:00:00Z");
    assert_ne!(first, event(&form("PAY", SAVED), "2026-03-01T10:00:00Z"));
    assert_eq!(first, event(&by_rest("BO"), "2026-03-01T10:00:59Z"));
    assert_ne!(first, event(&form("BO", SAVED), "2026-03-01T10:01:00Z"));
}

/// A shop drops an event whose id it knows: the second cancellation must not have the id of the first.
#[test]
fn event_without_a_uuid_is_another_once_its_notification_is() {
    let cancelled = form("MERCH_BO", CANCELLED);
    let first = event(&cancelled, "2026-03-01T10:00:00Z");
    assert_ne!(first, hash(&cancelled), "both stand in one table");
    assert_ne!(first, event(&cancelled, "2026-03-01T12:00:00Z"));
    let dated = form(
        "PAY",
        "trans_id=9c20f0 trans_date=20260301100000 operation_type=VERIFICATION identifier=t",
    );
    assert_eq!(
        event(&dated, "2026-03-01T10:00:00Z"),
        event(&dated, "2026-03-01T12:00:00Z")
    );
}
