use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::*;
use crate::deliver::Signing;
use crate::deliver::testing::{self, LYON};
use crate::domain::{Kind, Mode, NotificationId};
use crate::verify::signature;

const PARIS: &str = "12345678";
const SECRETS: [&str; 2] = [
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
];

fn settings(rendition: Rendition) -> Settings {
    let mut settings = testing::settings(rendition, "https://lyon.acme.example:8443/ipn?x=1");
    settings.signing = Signing {
        form_keys: vec![Secret::new("lyon-key"), Secret::new("lyon-old-key")],
        form_hashes: vec![FormHash::HmacSha256, FormHash::Sha1],
        rest_passwords: vec![Secret::new("testpassword_lyon"), Secret::new("testpassword_old")],
        event_secrets: SECRETS.map(Secret::new).to_vec(),
    };
    settings
}

fn stored(format: Format, body: impl Into<Bytes>) -> StoredNotification {
    let received_at = "2026-11-22T12:00:00Z".parse().unwrap();
    StoredNotification {
        id: NotificationId::new(received_at),
        received_at,
        legal_entity: "acme".parse().unwrap(),
        shop: PARIS.parse().unwrap(),
        mode: Mode::Test,
        format,
        matter: Kind::TokenUpdated.into(),
        event: Some([7; 16]),
        resend_of: None,
        headers: "host: ipn.acme.example\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\n".to_owned(),
        body: body.into(),
        event_body: OnceLock::new(),
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:07.9Z".parse().unwrap()
}

fn render(rendition: Rendition, stored: &StoredNotification) -> Rendered {
    let renderer = Renderer::new(&settings(rendition)).unwrap();
    renderer.render(stored, Nth::FIRST, now()).unwrap()
}

fn re_signed(format: Format, body: &str) -> String {
    let body = render(Rendition::ReSigned(format), &stored(format, body.to_owned())).body;
    String::from_utf8(body.to_vec()).unwrap()
}

/// A form of shop Paris as the gateway writes it, with Paris's id wherever a value may hold it.
fn form_body() -> String {
    "vads_ctx_mode=TEST&vads_site_id=12345678&vads_order_id=12345678&vads_amount=12345678&vads_cust_phone=12345678\
     &vads_ext_info_12345678=12345678&signature=abc%2Bd%3D&vads_hash=12345678&unsigned=12345678&x&\
     vads_bank_label=Banque+de+d%C3%A9mo+et+de+l%27innovation&vads_empty="
        .to_owned()
}

fn rest_body(answer: &str) -> String {
    form_urlencoded::Serializer::new("kr-hash-key=password&kr-hash=0ff0&kr-hash-algorithm=sha256_hmac".to_owned())
        .append_pair("kr-answer", answer)
        .append_pair("kr-answer-type", "V4/Payment")
        .finish()
}

fn answer_of(body: &str) -> String {
    field(body, "kr-answer")
}

fn field(body: &str, name: &str) -> String {
    let found = form_urlencoded::parse(body.as_bytes()).find(|(field, _)| field == name);
    found.unwrap().1.into_owned()
}

#[test]
fn the_named_shop_gets_every_byte_as_received() {
    for body in [form_body().into_bytes(), b"vads_a=\xc3%A9&signature=".to_vec()] {
        let rendered = render(Rendition::AsReceived(Format::Form), &stored(Format::Form, body.clone()));
        assert_eq!(rendered.body, body);
        assert_eq!(
            rendered.headers[CONTENT_TYPE],
            "application/x-www-form-urlencoded; charset=UTF-8"
        );
    }
    let mut bare = stored(Format::Form, form_body());
    bare.headers.clear();
    assert_eq!(
        render(Rendition::AsReceived(Format::Form), &bare).headers[CONTENT_TYPE],
        FORM
    );
}

#[test]
fn headers_say_what_comes_why_and_how_often() {
    let renderer = Renderer::new(&settings(Rendition::ReSigned(Format::Form))).unwrap();
    let mut stored = stored(Format::Form, form_body());
    let first = renderer.render(&stored, Nth::FIRST, now()).unwrap().headers;
    let expected = [
        (
            "content-type",
            "application/x-www-form-urlencoded; charset=UTF-8".to_owned(),
        ),
        ("host", "lyon.acme.example:8443".to_owned()),
        ("ipn-router-attempt", "1".to_owned()),
        ("ipn-router-kind", "token.updated".to_owned()),
        ("ipn-router-legal-entity", "acme".to_owned()),
        ("ipn-router-named-shop", PARIS.to_owned()),
        ("user-agent", format!("ipn-router/{}", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", format!("{}-{LYON}-form-resigned", stored.id)),
        ("webhook-timestamp", "1795348807".to_owned()),
    ];
    let mut found: Vec<_> = first
        .iter()
        .filter(|(name, _)| **name != WEBHOOK_SIGNATURE)
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap().to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, expected);

    stored.resend_of = Some(NotificationId::new(stored.received_at));
    let later = renderer
        .render(
            &stored,
            Nth {
                attempt: 5,
                replays: 2,
                renewed: 0,
            },
            now(),
        )
        .unwrap()
        .headers;
    assert_eq!(later[WEBHOOK_ID], first[WEBHOOK_ID]);
    assert_eq!(later[ATTEMPT], "5");
    assert_eq!(later[REPLAY], "2");
    assert_eq!(later[RESEND_OF], stored.resend_of.unwrap().to_string());

    let as_new = Nth {
        replays: 2,
        renewed: 2,
        ..Nth::FIRST
    };
    let as_new = renderer.render(&stored, as_new, now()).unwrap().headers;
    assert_eq!(as_new[WEBHOOK_ID], format!("{}-{LYON}-form-resigned-2", stored.id));
}

/// Whether Standard Webhooks' own crate would have written this signature.
fn is_signed_by(rendered: &Rendered, secrets: &[&str]) -> bool {
    let header = |name| rendered.headers[name].to_str().unwrap();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let sign = |secret: &&str| {
        let webhook = Webhook::new(secret).unwrap();
        webhook.sign(header("webhook-id"), timestamp, &rendered.body).unwrap()
    };
    let all: Vec<String> = secrets.iter().map(sign).collect();
    header("webhook-signature") == all.join(" ")
}

#[test]
fn every_rendition_is_signed_with_every_event_secret() {
    for rendition in [
        Rendition::AsReceived(Format::Form),
        Rendition::Event,
        Rendition::ReSigned(Format::Form),
    ] {
        let rendered = render(rendition, &stored(Format::Form, form_body()));
        assert!(is_signed_by(&rendered, &SECRETS), "{rendition}");
        assert!(!is_signed_by(&rendered, &SECRETS[..1]), "{rendition}");
    }
    let mut settings = settings(Rendition::AsReceived(Format::Form));
    settings.signing.event_secrets.clear();
    let unsigned = Renderer::new(&settings)
        .unwrap()
        .render(&stored(Format::Form, form_body()), Nth::FIRST, now());
    assert!(!unsigned.unwrap().headers.contains_key(WEBHOOK_SIGNATURE));
}

#[test]
fn an_event_tells_of_the_token_and_nothing_else() {
    let body = "vads_hash=1&vads_site_id=12345678&vads_ctx_mode=TEST&vads_identifier=tok1&vads_cust_email=a%40b.example\
                &vads_order_id=77001&vads_amount=4200&signature=x";
    let stored = stored(Format::Form, body);
    let rendered = render(Rendition::Event, &stored);
    assert_eq!(rendered.headers[CONTENT_TYPE], "application/json");
    let event: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(event["type"], "token.updated");
    assert_eq!(event["data"]["token"], "tok1");
    assert_eq!(event["data"]["named_shop"], PARIS);
    assert_eq!(event["data"]["legal_entity"], "acme");
    for private in ["b.example", "77001", "4200"] {
        assert!(!event.to_string().contains(private), "{private}");
    }
    assert_eq!(stored.event_body.get(), Some(&rendered.body));
}

#[test]
fn re_signing_a_form_touches_two_values() {
    let body = form_body();
    let sent = re_signed(Format::Form, &body);
    let signature = field(&sent, "signature");
    let encoded: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    let expected = body
        .replace("vads_site_id=12345678", "vads_site_id=23456789")
        .replace("signature=abc%2Bd%3D", &format!("signature={encoded}"));
    assert_eq!(sent, expected);

    let fields: Vec<_> = form_urlencoded::parse(sent.as_bytes()).collect();
    let pairs = fields.iter().map(|(name, value)| (&**name, &**value));
    assert_eq!(
        signature,
        signature::form(pairs, &Secret::new("lyon-key"), FormHash::HmacSha256)
    );
}

#[test]
fn the_first_hash_signs() {
    let mut settings = settings(Rendition::ReSigned(Format::Form));
    settings.signing.form_hashes = vec![FormHash::Sha1, FormHash::HmacSha256];
    let renderer = Renderer::new(&settings).unwrap();
    let sent = renderer
        .render(&stored(Format::Form, form_body()), Nth::FIRST, now())
        .unwrap();
    let signature = field(std::str::from_utf8(&sent.body).unwrap(), "signature");
    assert_eq!(FormHash::of_shape(&signature), Some(FormHash::Sha1));
}

#[test]
fn re_signing_rest_touches_shop_ids_by_their_place() {
    let answer = |shop: &str| {
        json!({
            "shopId": shop,
            "orderDetails": {"mode": "TEST", "orderId": PARIS, "metadata": {"shopId": PARIS, PARIS: PARIS}, "shopId": PARIS},
            "customer": {"reference": PARIS, "shopId": PARIS, "billingDetails": {"phoneNumber": PARIS}},
            "transactions": [
                {"shopId": shop, "amount": 12345678, "metadata": {"shopId": PARIS}, "parent": {"shopId": PARIS}},
                {"shopId": "99999999", "uuid": PARIS},
                {"shopId": 12345678},
                {"shopId": null},
            ],
        })
    };
    let body = rest_body(&answer(PARIS).to_string());
    let sent = re_signed(Format::Rest, &body);
    let text = answer_of(&sent);
    assert_eq!(text, answer(LYON).to_string());
    let hash = signature::rest(&text, &Secret::new("testpassword_lyon"));
    assert_eq!(field(&sent, "kr-hash"), hash);
    assert_eq!(
        sent,
        rest_body(&text).replace("kr-hash=0ff0", &format!("kr-hash={hash}"))
    );
}

#[test]
fn slashes_are_written_so_that_both_kinds_of_verifiers_agree() {
    for (received, sent) in [
        (r#"{"a":"V4\/Payment"}"#, r#"{"a":"V4/Payment"}"#),
        (r#"{"a":"http:\/\/x"}"#, r#"{"a":"http://x"}"#),
        (r#"{"a":"C:\\/x"}"#, r#"{"a":"C:\\\u002fx"}"#),
        (r#"{"a":"C:\\\/x"}"#, r#"{"a":"C:\\\u002fx"}"#),
        (r#"{"a":"\\\\/"}"#, r#"{"a":"\\\\\u002f"}"#),
        (r#"{"a":"\\n/\n\/"}"#, r#"{"a":"\\n/\n/"}"#),
        (r#"{"a":"\"\/\u00e9\/"}"#, r#"{"a":"\"/\u00e9/"}"#),
        (r#"{"a":"\\","b":"/"}"#, r#"{"a":"\\","b":"/"}"#),
        (r#"{"x":{"a\/b":"é/"}}"#, r#"{"x":{"a/b":"é/"}}"#),
    ] {
        assert_eq!(answer_of(&re_signed(Format::Rest, &rest_body(received))), sent);
    }
}

#[test]
fn what_cannot_be_rendered_is_said() {
    let why = |rendition, stored: &StoredNotification| {
        let mut settings = settings(rendition);
        settings.signing = Signing::default();
        Renderer::new(&settings)
            .unwrap()
            .render(stored, Nth::FIRST, now())
            .unwrap_err()
    };
    let form = stored(Format::Form, form_body());
    let rest = stored(Format::Rest, rest_body("{}"));
    assert_eq!(
        why(Rendition::ReSigned(Format::Form), &form),
        RenderError::NoKey(Format::Form)
    );
    assert_eq!(
        why(Rendition::ReSigned(Format::Rest), &rest),
        RenderError::NoKey(Format::Rest)
    );
    assert_eq!(why(Rendition::ReSigned(Format::Rest), &form), RenderError::OtherFormat);
    let mut without_event = stored(Format::Form, form_body());
    without_event.event = None;
    assert_eq!(why(Rendition::Event, &without_event), RenderError::NoEvent);
    let damaged = stored(Format::Form, "vads_a=1&vads_a=2");
    for rendition in Rendition::ALL {
        assert_eq!(why(rendition, &stored(Format::Form, "")), RenderError::BodyDeleted);
    }

    let unreadable = RenderError::Unreadable(Malformed::RepeatedField);
    assert_eq!(why(Rendition::ReSigned(Format::Form), &damaged), unreadable);
}

#[test]
fn event_secrets_that_are_none_are_told_at_load() {
    for secret in ["", "whsec_", "whsec_not base64"] {
        let mut settings = settings(Rendition::Event);
        settings.signing.event_secrets = vec![Secret::new(secret)];
        assert!(
            matches!(Renderer::new(&settings), Err(SetupError::BadEventSecret)),
            "{secret}"
        );
    }
}

#[test]
fn a_renderer_shows_no_key() {
    let shown = format!("{:?}", Renderer::new(&settings(Rendition::Event)).unwrap());
    for secret in ["lyon-key", "testpassword", "C2FVsBQI", "MfKQ9r8G"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// JSON texts as people and machines write them: with escapes, slashes, and the shop's id everywhere.
fn json_text() -> impl Strategy<Value = String> {
    let string = || {
        prop_oneof![
            Just(format!("\"{PARIS}\"")),
            proptest::collection::vec(
                prop_oneof![
                    Just("\\/"),
                    Just("/"),
                    Just("\\\\"),
                    Just("\\\""),
                    Just("\\u002F"),
                    Just("\\n"),
                    Just("é"),
                    Just(PARIS),
                    Just("shopId"),
                    Just("{"),
                    Just(","),
                ],
                0..6,
            )
            .prop_map(|parts| format!("\"{}\"", parts.concat())),
        ]
    };
    let leaf = prop_oneof![string(), Just("12345678".to_owned()), Just("null".to_owned())];
    let value = leaf.prop_recursive(3, 16, 3, move |inner| {
        let entry = (string(), inner.clone()).prop_map(|(key, value)| format!("{key} : {value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            proptest::collection::vec(entry, 0..3).prop_map(|entries| format!("{{{}}}", entries.join(","))),
        ]
    });
    let transaction = value
        .clone()
        .prop_map(|other| format!("{{\"x\": {other}, \"shopId\" :\"{PARIS}\"}}"));
    (value, proptest::collection::vec(transaction, 0..3)).prop_map(|(other, transactions)| {
        format!(
            "{{\"other\":{other}, \"shopId\": \"{PARIS}\",\"transactions\" : [{}]}}",
            transactions.join(",")
        )
    })
}

proptest! {
    #[test]
    fn re_signed_rest_says_the_same_but_for_the_shop(text in json_text()) {
        let sent = answer_of(&re_signed(Format::Rest, &rest_body(&text)));
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        expected["shopId"] = json!(LYON);
        for transaction in expected["transactions"].as_array_mut().unwrap() {
            transaction["shopId"] = json!(LYON);
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), expected);
        prop_assert!(!sent.contains("\\/"), "{}", sent);
        // Nothing to do a second time.
        let mut again = stored(Format::Rest, rest_body(&sent));
        again.shop = LYON.parse().unwrap();
        let again = render(Rendition::ReSigned(Format::Rest), &again).body;
        prop_assert_eq!(answer_of(std::str::from_utf8(&again).unwrap()), sent);
    }

    #[test]
    fn re_signed_form_differs_in_two_values(
        before in proptest::collection::vec(("[a-z]{1,8}", "[0-9A-Za-z%./ é+]{0,9}|12345678"), 0..5),
        after in proptest::collection::vec(("[A-Z]{1,8}", "[0-9A-Za-z%./ é+]{0,9}|12345678"), 0..5),
        signature_first: bool,
    ) {
        let encode = |fields: &[(String, String)], prefix: &str| {
            let mut unique: Vec<_> = fields.iter().map(|(n, v)| (format!("{prefix}{n}"), v.clone())).collect();
            unique.sort();
            unique.dedup_by(|a, b| a.0 == b.0);
            form_urlencoded::Serializer::new(String::new()).extend_pairs(unique).finish()
        };
        let (before, after) = (encode(&before, "vads_x"), encode(&after, "vads_Y"));
        let body = |shop: &str, signature: &str| {
            let (first, second) = (format!("vads_site_id={shop}"), format!("signature={signature}"));
            let (first, second) = if signature_first { (second, first) } else { (first, second) };
            format!("{before}&{first}&{after}&{second}")
        };
        let sent = re_signed(Format::Form, &body(PARIS, "any"));
        let signature: String = form_urlencoded::byte_serialize(field(&sent, "signature").as_bytes()).collect();
        prop_assert_eq!(sent, body(LYON, &signature));
    }
}
