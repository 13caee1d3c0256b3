//! What shops get, judged by software that is not ours: tests/outside/verify.py asks eopayment, Standard Webhooks' own
//! library and the rule of the gateway's libraries.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead, BufReader, Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ipn_router::deliver::{self, AnswerCheck, Nth, Renderer, Signing, Timeouts};
use ipn_router::domain::{
    Circle, Clock, DestinationKey, ForeignOrders, Format, KindPattern, LegalEntity, Member, Mode, NotificationId,
    Rendition, RetryPolicy, Secret, ShopId, SystemClock,
};
use ipn_router::outbox::StoredNotification;
use ipn_router::route::{Happening, destinations, kind};
use ipn_router::verify::{Content, FormHash, signature};
use serde_json::{Value, json};

const PARIS: &str = "12345678";
const LYON: &str = "23456789";
const SECRETS: [&str; 2] = [
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
];

/// What a bank, a buyer or a shop may write into a field; among it the id of the named shop.
const TEXTS: [&str; 9] = [
    "",
    PARIS,
    "Banque de démo et de l'innovation",
    "1/2",
    "C:\\/dir\\",
    "1+1=2 & 100 %",
    "\"<é>\" \u{1f600}",
    "https://paris.acme.example/?a=b#c",
    "two\nlines\t",
];

/// Orders: none, and one whose number is the id of the named shop.
const ORDERS: [&str; 2] = ["", PARIS];

fn form_key(shop: &str) -> String {
    format!("form-key-of-{shop}")
}

fn rest_password(shop: &str) -> String {
    format!("testpassword_{shop}")
}

fn encode(fields: &[(&str, &str)]) -> Bytes {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields).finish().into()
}

/// A token updated at Paris, as the gateway would tell it by form.
fn form(text: &str, order: &str, hash: FormHash) -> Bytes {
    let mut fields = vec![
        ("vads_site_id", PARIS),
        ("vads_ctx_mode", "TEST"),
        ("vads_page_action", "REGISTER_UPDATE"),
        ("vads_identifier", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
        ("vads_identifier_status", "UPDATED"),
        ("vads_operation_type", "VERIFICATION"),
        ("vads_trans_status", "ACCEPTED"),
        ("vads_result", "00"),
        ("vads_auth_result", "00"),
        ("vads_trans_id", "9c20f0"),
        ("vads_trans_date", "20261122120000"),
        ("vads_trans_uuid", "192ee2d72bfc4ab3a9b1230a4eb301cf"),
        ("vads_hash", "f1c2"),
        ("vads_amount", PARIS),
        ("vads_cust_phone", PARIS),
        ("vads_ext_info_note", text),
        ("vads_bank_label", text),
        ("vads_threeds_cavv", ""),
        ("not_signed", PARIS),
    ];
    if !order.is_empty() {
        fields.push(("vads_order_id", order));
    }
    let signature = signature::form(fields.iter().copied(), &Secret::new(form_key(PARIS)), hash);
    fields.insert(3, ("signature", &signature));
    encode(&fields)
}

/// The same by REST; `escaped` as relays and some languages write JSON, with `\/`.
fn rest(text: &str, order: &str, escaped: bool) -> Bytes {
    let answer = json!({
        "shopId": PARIS,
        "orderDetails": {
            "mode": "TEST",
            "orderId": if order.is_empty() { Value::Null } else { json!(order) },
            "metadata": {"shopId": PARIS, "note": text},
        },
        "customer": {"reference": text, "billingDetails": {"phoneNumber": PARIS, "shopId": PARIS}},
        "transactions": [{
            "shopId": PARIS,
            "uuid": "192ee2d72bfc4ab3a9b1230a4eb301cf",
            "amount": 12345678,
            "operationType": "VERIFICATION",
            "paymentMethodToken": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "status": "PAID",
            "metadata": {"shopId": PARIS, "note": text},
            "_type": "V4/PaymentTransaction",
        }],
        "_type": "V4/Payment",
    });
    let plain = answer.to_string();
    let answer = if escaped { plain.replace('/', "\\/") } else { plain };
    let hash = signature::rest(&answer, &Secret::new(rest_password(PARIS)));
    encode(&[
        ("kr-hash", &hash),
        ("kr-hash-algorithm", "sha256_hmac"),
        ("kr-hash-key", "password"),
        ("kr-answer-type", "V4/Payment"),
        ("kr-answer", &answer),
        ("kr-src", "MERCH_BO"),
    ])
}

/// Paris and Lyon, which learns of everything by every way that there is.
fn circle() -> Circle {
    let member = |id: &str| {
        let url = |path: &str| Some(format!("https://{id}.example/{path}").parse().unwrap());
        Member {
            shop: id.parse().unwrap(),
            name: id.to_owned(),
            enabled: true,
            form_url: url("form"),
            rest_url: url("rest"),
            event_url: url("events"),
            learns_by_event: true,
            learns_by_form: true,
            learns_by_rest: true,
            foreign_orders: ForeignOrders::Send,
            notified_by_form: true,
            notified_by_rest: true,
        }
    };
    Circle {
        legal_entity: Arc::new(LegalEntity {
            id: "acme".parse().unwrap(),
            name: "ACME SAS".to_owned(),
            enabled: true,
            share: vec![KindPattern::All],
            wait_for_named_shop: None,
        }),
        mode: Mode::Test,
        members: vec![member(PARIS), member(LYON)],
    }
}

fn settings(key: DestinationKey, hash: FormHash) -> deliver::Settings {
    let shop = key.shop;
    deliver::Settings {
        key,
        tells_attempts: false,
        shop_name: "a shop".to_owned(),
        legal_entity_name: "ACME SAS".to_owned(),
        url: format!("https://{shop}.example/").parse().unwrap(),
        signing: Signing {
            form_keys: vec![Secret::new(form_key(shop.as_str())), Secret::new("an old one")],
            form_hashes: vec![hash],
            rest_passwords: vec![Secret::new(rest_password(shop.as_str())), Secret::new("an old one")],
            event_secrets: SECRETS.map(Secret::new).to_vec(),
        },
        retry: RetryPolicy::default(),
        concurrency: 1.try_into().unwrap(),
        rate: None,
        timeouts: Timeouts::default(),
        answer_check: AnswerCheck::Verdict,
        allow_private: false,
        ca: None,
        client_certificate: None,
    }
}

/// What every destination of a notification is sent, with what its shop checks it with.
fn sent(body: &Bytes, hash: FormHash) -> Vec<Value> {
    // The outside libraries look at the real clock.
    let now = SystemClock.now();
    let content = Content::decode(body).unwrap();
    let happening = Happening::read(&content);
    let named: ShopId = PARIS.parse().unwrap();
    let stored = StoredNotification {
        id: NotificationId::new(now),
        received_at: now,
        legal_entity: "acme".parse().unwrap(),
        shop: named,
        mode: Mode::Test,
        format: content.format(),
        matter: kind(&happening).into(),
        event: Some([7; 16]),
        resend_of: None,
        headers: String::new(),
        body: body.clone(),
        event_body: OnceLock::new(),
    };
    let keys = destinations(&happening, stored.matter.kind, named, &circle()).into_keys();
    assert_eq!(keys.len(), 3, "as received, as an event, re-signed: {keys:?}");
    let case = |key: DestinationKey| {
        let renderer = Renderer::new(&settings(key.clone(), hash)).unwrap();
        let rendered = renderer.render(&stored, Nth::FIRST, now).unwrap();
        let headers: serde_json::Map<_, _> = rendered
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        json!({
            "rendition": key.rendition.word(),
            "shop": key.shop.as_str(),
            "headers": headers,
            "body": std::str::from_utf8(&rendered.body).unwrap(),
            "key": match stored.format {
                Format::Form => form_key(key.shop.as_str()),
                Format::Rest => rest_password(key.shop.as_str()),
            },
            "hash": hash.to_string(),
            "event_secrets": SECRETS,
        })
    };
    keys.into_iter().map(case).collect()
}

/// Every text in every format, with and without an order, in every spelling.
fn everything() -> Vec<Value> {
    let mut cases = Vec::new();
    for text in TEXTS {
        for order in ORDERS {
            for hash in [FormHash::HmacSha256, FormHash::Sha1] {
                cases.extend(sent(&form(text, order, hash), hash));
            }
            for escaped in [false, true] {
                cases.extend(sent(&rest(text, order, escaped), FormHash::HmacSha256));
            }
        }
    }
    cases
}

/// Asks the outside verifiers; one verdict for each case.
fn verdicts(cases: &[Value]) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
    let python = folder.join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: tests/run makes it from tests/outside/requirements.txt",
        python.display()
    );
    let mut input = tempfile::tempfile().unwrap();
    for case in cases {
        writeln!(input, "{case}").unwrap();
    }
    input.rewind().unwrap();
    let output = Command::new(python)
        .arg(folder.join("verify.py"))
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let lines = BufReader::new(&*output.stdout).lines();
    let verdicts: Vec<_> = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(verdicts.len(), cases.len());
    verdicts
}

#[test]
fn what_shops_get_is_accepted_by_their_own_software() {
    let cases = everything();
    for rendition in Rendition::ALL {
        assert!(
            cases.iter().any(|case| case["rendition"] == rendition.word()),
            "{rendition}"
        );
    }
    for (case, verdict) in cases.iter().zip(verdicts(&cases)) {
        assert_eq!(verdict["accepted"], true, "{verdict} of {case:#}");
    }
}

/// The judges can say no: whatever a stranger or a mistake of ours would change is noticed.
#[test]
fn what_was_changed_on_the_way_is_refused() {
    let mut cases = Vec::new();
    for case in everything() {
        let mut change = |name: &str, from: &str, to: &str| {
            let text = case[name].as_str().unwrap();
            assert!(text.contains(from), "{from} in {text}");
            let mut changed = case.clone();
            changed[name] = json!(text.replacen(from, to, 1));
            // Only the gateway's signature is asked, except for events, which have none.
            if changed["rendition"] != "event" {
                changed["event_secrets"] = json!([]);
            }
            cases.push(changed);
        };
        let rendition = case["rendition"].as_str().unwrap();
        change("body", "0a1b2c3d", "ffffffff");
        if rendition == "event" {
            change("body", PARIS, LYON);
        } else {
            let shop = case["shop"].as_str().unwrap();
            change("body", shop, "34567890");
            change("key", shop, "34567890");
        }
        let mut replayed = case.clone();
        replayed["headers"]["webhook-id"] = json!("another");
        cases.push(replayed);
    }
    for (case, verdict) in cases.iter().zip(verdicts(&cases)) {
        assert_eq!(verdict["accepted"], false, "{case:#}");
    }
}
