//! Contents for tests, written in few words.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::domain::{Circle, ForeignOrders, LegalEntity, Member, Mode, ShopId};
use crate::verify::Content;

pub(super) const PARIS: &str = "12345678";
pub(super) const LYON: &str = "23456789";

pub(super) fn shop(id: &str) -> ShopId {
    id.parse().unwrap()
}

pub(super) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A form notification with this source; `fields` are `name=value` pairs, names without `vads_`, values without blanks.
pub(super) fn form(source: &str, fields: &str) -> Content {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("vads_hash", "8f9a").append_pair("vads_site_id", PARIS);
    if !source.is_empty() {
        body.append_pair("vads_url_check_src", source);
    }
    for (name, value) in pairs(fields) {
        body.append_pair(&format!("vads_{name}"), value);
    }
    body.append_pair("signature", "c2lnbmF0dXJl");
    Content::decode(body.finish().as_bytes()).unwrap()
}

/// A REST notification with this source and this text.
pub(super) fn rest(source: &str, answer: &Value) -> Content {
    rest_text(source, &answer.to_string())
}

pub(super) fn rest_text(source: &str, answer: &str) -> Content {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("kr-hash-key", "password")
        .append_pair("kr-hash", "88fb");
    if !source.is_empty() {
        body.append_pair("kr-src", source);
    }
    body.append_pair("kr-answer", answer);
    Content::decode(body.finish().as_bytes()).unwrap()
}

/// A V4/Payment with these transactions and no order.
pub(super) fn payment(transactions: &[Value]) -> Value {
    json!({
        "shopId": PARIS,
        "serverDate": "2026-03-01T10:00:00+00:00",
        "orderDetails": {"mode": "TEST", "orderId": null},
        "transactions": transactions,
    })
}

/// A transaction of V4/Payment from `name=value` pairs; short names for what stands deeper.
pub(super) fn transaction(facts: &str) -> Value {
    let mut made = json!({});
    for (name, value) in pairs(facts) {
        let place = match name {
            "op" => &mut made["operationType"],
            "token" => &mut made["paymentMethodToken"],
            "source" => &mut made["transactionDetails"]["cardDetails"]["paymentMethodSource"],
            "subscription" => &mut made["transactionDetails"]["subscriptionDetails"]["subscriptionId"],
            "brand" => &mut made["transactionDetails"]["cardDetails"]["effectiveBrand"],
            "parent" => &mut made["transactionDetails"]["parentTransactionUuid"],
            _ => &mut made[name],
        };
        *place = json!(value);
    }
    made
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').expect("name=value"))
}

/// A company that shares tokens, with these shops, in TEST.
pub(super) fn circle(members: Vec<Member>) -> Circle {
    Circle {
        legal_entity: Arc::new(LegalEntity {
            id: "acme".parse().unwrap(),
            name: "ACME SAS".to_owned(),
            enabled: true,
            share: vec!["token.*".parse().unwrap()],
            wait_for_named_shop: None,
        }),
        mode: Mode::Test,
        members,
    }
}

/// A shop with the URLs named in `urls` (`form`, `rest`, `event`), which the gateway can notify in both formats.
pub(super) fn member(id: &str, urls: &str) -> Member {
    let url = |which: &str| -> Option<Url> {
        urls.split_whitespace()
            .any(|url| url == which)
            .then(|| format!("https://{id}.example/{which}").parse().unwrap())
    };
    Member {
        shop: shop(id),
        name: format!("ACME {id}"),
        enabled: true,
        form_url: url("form"),
        rest_url: url("rest"),
        event_url: url("event"),
        learns_by_event: true,
        learns_by_form: true,
        learns_by_rest: true,
        foreign_orders: ForeignOrders::Withhold,
        notified_by_form: true,
        notified_by_rest: true,
    }
}
