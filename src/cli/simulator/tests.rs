use std::sync::Arc;

use super::*;
use crate::domain::{Circle, LegalEntity};
use crate::route::{Plan, plan};
use crate::verify::{Keyring, ShopKeys, VerifiedNotification};

const FORMATS: [Format; 2] = [Format::Form, Format::Rest];

fn now() -> Timestamp {
    "2026-03-01T10:00:00.250Z".parse().unwrap()
}

fn gateway(format: Format) -> Gateway {
    let secret = Secret::new("a key with a blank");
    Gateway {
        shop: "01234567".parse().unwrap(),
        mode: Mode::Production,
        key: match format {
            Format::Form => Key::Form {
                key: secret,
                hash: FormHash::HmacSha256,
            },
            Format::Rest => Key::Rest { password: secret },
        },
    }
}

/// What the daemon makes of a body.
fn received(gateway: &Gateway, body: Bytes, at: Timestamp) -> (VerifiedNotification, Plan) {
    let (form_keys, form_hashes, rest_passwords) = match gateway.key.clone() {
        Key::Form { key, hash } => (vec![key], vec![hash], Vec::new()),
        Key::Rest { password } => (Vec::new(), Vec::new(), vec![password]),
    };
    let legal_entity = LegalEntity {
        id: "acme".parse().unwrap(),
        name: "ACME".to_owned(),
        enabled: true,
        share: Vec::new(),
        wait_for_named_shop: None,
    };
    let circle = Arc::new(Circle {
        legal_entity: Arc::new(legal_entity),
        mode: gateway.mode,
        members: Vec::new(),
    });
    let keys = ShopKeys {
        shop: gateway.shop,
        circle: Arc::clone(&circle),
        form_keys,
        form_hashes,
        rest_passwords,
    };
    let verified = Keyring::new(vec![keys]).verify(body).unwrap();
    let plan = plan(verified.content(), gateway.shop, &circle, at, verified.is_quarantined());
    (verified, plan)
}

fn told(gateway: &Gateway, occurrence: &Occurrence) -> (VerifiedNotification, Plan) {
    received(
        gateway,
        gateway.tell(occurrence, Occasion::First, now()).unwrap(),
        now(),
    )
}

/// Every kind in every format that has words for it, with a token and an order and without.
fn everything() -> impl Iterator<Item = (Gateway, Occurrence, Kind)> {
    FORMATS.into_iter().flat_map(|format| {
        Kind::ALL.into_iter().flat_map(move |kind| {
            let Ok(Wording { kind: said, .. }) = wording(kind, format) else {
                return Vec::new();
            };
            let plain = Occurrence::new(kind, now());
            let ordered = Occurrence {
                order: Some("CMD-7".to_owned()),
                ..Occurrence::new(kind, now())
            };
            vec![(gateway(format), plain, said), (gateway(format), ordered, said)]
        })
    })
}

#[test]
fn every_notification_is_verified_and_of_the_kind_that_was_asked_for() {
    let mut count = 0;
    for (gateway, occurrence, said) in everything() {
        let (verified, plan) = told(&gateway, &occurrence);
        assert_eq!(plan.kind, said, "{occurrence:?}");
        assert!(!verified.is_quarantined());
        assert_eq!((verified.named_shop(), verified.mode()), (gateway.shop, gateway.mode));
        assert_eq!(plan.happening.token, occurrence.token);
        assert_eq!(plan.happening.order, occurrence.order.is_some());
        count += 1;
    }
    assert_eq!(count, 2 * (10 + 9), "only subscription.created cannot be told by REST");
}

#[test]
fn a_card_stored_with_an_order_is_stored_by_its_payment() {
    for (gateway, occurrence, said) in everything() {
        let by_payment = occurrence.stores_card() && occurrence.order.is_some();
        let charges = by_payment || matches!(said, Kind::Payment | Kind::SubscriptionInstalment);
        assert_eq!(
            told(&gateway, &occurrence).1.happening.charge,
            charges,
            "{occurrence:?}"
        );
    }
}

#[test]
fn a_payment_by_a_stored_card_stays_a_payment() {
    for format in FORMATS {
        let occurrence = Occurrence {
            token: Some("my-token".to_owned()),
            ..Occurrence::new(Kind::Payment, now())
        };
        let (_, plan) = told(&gateway(format), &occurrence);
        assert_eq!(
            (plan.kind, plan.happening.token.as_deref()),
            (Kind::Payment, Some("my-token"))
        );
    }
}

#[test]
fn a_retry_is_a_duplicate_and_a_resend_is_not() {
    for (gateway, occurrence, _) in everything() {
        let first = gateway.tell(&occurrence, Occasion::First, now()).unwrap();
        let later: Timestamp = "2026-03-01T10:15:00Z".parse().unwrap();
        let identified = |body| received(&gateway, body, later).1.identified;
        let again = |occasion| gateway.tell(&occurrence, occasion, later).unwrap();
        let original = identified(first.clone()).identity;

        let retry = again(Occasion::Retry);
        assert_ne!(retry, first, "the source has changed");
        assert_eq!(identified(retry).identity, original, "{occurrence:?}");

        let resend = identified(again(Occasion::Resend));
        assert_ne!(resend.identity, original);
        assert_eq!(resend.resend_of, Some(original.hash), "{occurrence:?}");
    }
}

#[test]
fn two_occurrences_are_never_the_same() {
    for (gateway, occurrence, _) in everything() {
        let other = Occurrence {
            order: occurrence.order.clone(),
            ..Occurrence::new(occurrence.kind, now())
        };
        let identity = |occurrence| told(&gateway, occurrence).1.identified.identity;
        assert_ne!(identity(&occurrence), identity(&other), "{occurrence:?}");
    }
}

/// The shapes of protocol.md 1.2 and 3.3 that trip receivers up.
#[test]
fn fields_look_like_the_gateways() {
    let occurrence = Occurrence::new(Kind::TokenCreated, now());
    let (verified, _) = told(&gateway(Format::Form), &occurrence);
    let crate::verify::Content::Form(form) = verified.content() else {
        panic!("not a form")
    };
    assert_eq!(form.value("vads_bank_label"), Some("Banque de démo et de l'innovation"));
    assert_eq!(form.value("vads_threeds_cavv"), Some(""), "empty fields are sent");
    assert_eq!(form.value("vads_trans_date"), Some("20260301100000"));
    let hash = form.value("vads_hash").unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    let names: Vec<_> = form.pairs().map(|(name, _)| name).collect();
    assert!(
        !names.is_sorted(),
        "the order in the body is not the order of the signature"
    );

    let (verified, _) = told(&gateway(Format::Rest), &occurrence);
    let crate::verify::Content::Rest(rest) = verified.content() else {
        panic!("not REST")
    };
    assert_eq!(rest.json()["serverDate"], "2026-03-01T10:00:00+00:00");
    assert_eq!(rest.json()["transactions"][0]["shopId"], "01234567");
    assert_eq!(rest.outer().value("kr-answer-type"), Some("V4/Payment"));
    assert!(rest.json()["orderDetails"]["orderId"].is_null());
}

#[test]
fn a_wrong_key_has_the_right_shape_and_does_not_match() {
    for format in FORMATS {
        let right = gateway(format);
        let wrong = Gateway {
            key: right.key.wrong(),
            ..right.clone()
        };
        let occurrence = Occurrence::new(Kind::Payment, now());
        let bodies = [&right, &wrong].map(|g| g.tell(&occurrence, Occasion::First, now()).unwrap());
        assert_ne!(bodies[0], bodies[1]);
        assert_eq!(
            bodies[0].len() / 100,
            bodies[1].len() / 100,
            "only the signature differs"
        );
    }
}

#[test]
fn what_a_format_cannot_say_is_said_to_be_so() {
    for format in FORMATS {
        for asked in Kind::ALL {
            match wording(asked, format) {
                Ok(wording) => assert!(wording.kind == asked || wording.remark.is_some()),
                Err(unsayable) => assert!(unsayable.to_string().contains("--format")),
            }
        }
    }
    let error = gateway(Format::Rest).tell(
        &Occurrence::new(Kind::SubscriptionCreated, now()),
        Occasion::First,
        now(),
    );
    assert!(error.is_err());
}
