//! What holds for every content and every circle.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::samples::{PARIS, at, circle, form, member, payment, rest, rest_text, shop};
use super::*;
use crate::domain::{ForeignOrders, KindPattern, Member, Rendition};

const SHOPS: [&str; 4] = [PARIS, "23456789", "34567890", "45678901"];

/// Names and words that some rule knows, and some that none does.
const FIELDS: [&str; 17] = [
    "amount",
    "card_number",
    "cust_id",
    "expiry_month",
    "expiry_year",
    "identifier",
    "identifier_status",
    "operation_type",
    "order_id",
    "page_action",
    "recurrence_number",
    "recurrence_status",
    "subscription",
    "trans_date",
    "trans_id",
    "trans_status",
    "trans_uuid",
];
const KEYS: [&str; 20] = [
    "amount",
    "cardDetails",
    "creationDate",
    "customer",
    "detailedStatus",
    "expiryMonth",
    "expiryYear",
    "operationType",
    "orderDetails",
    "orderId",
    "pan",
    "paymentMethodSource",
    "paymentMethodToken",
    "reference",
    "serverDate",
    "status",
    "subscriptionDetails",
    "transactionDetails",
    "transactions",
    "uuid",
];
const WORDS: [&str; 16] = [
    "",
    "12",
    "2026-03-01T10:00:00+00:00",
    "497010XXXXXX0055",
    "ACCEPTED",
    "CANCELLED",
    "CREATED",
    "CREDIT",
    "DEBIT",
    "NEW",
    "NOT_CREATED",
    "PAYMENT",
    "REGISTER",
    "TERMINATED",
    "VERIFICATION",
    "a",
];
const SOURCES: [&str; 7] = ["", "BATCH", "BO", "MERCH_BO", "PAY", "REC", "RETRY"];

fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&WORDS[..]).prop_map(str::to_owned), 1 => "\\PC{0,20}"]
}

fn any_form_fields() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    btree_map(select(&FIELDS[..]), select(&WORDS[..]), 0..FIELDS.len())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => any_word().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => any_object(inner),
        ]
    })
}

fn any_object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    btree_map(select(&KEYS[..]).prop_map(str::to_owned), value, 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Often a payment with transactions, sometimes any object at all.
fn any_answer() -> impl Strategy<Value = Value> {
    prop_oneof![
        (vec(any_object(any_json()), 0..3), any_json()).prop_map(|(transactions, order)| {
            let mut answer = payment(&transactions);
            answer["orderDetails"]["orderId"] = order;
            answer
        }),
        any_object(any_json()),
    ]
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        (select(&SOURCES[..]), any_form_fields()).prop_map(|(source, fields)| form(source, &written(&fields))),
        (select(&SOURCES[..]), any_answer()).prop_map(|(source, answer)| rest(source, &answer)),
    ]
}

fn written(fields: &BTreeMap<&str, &str>) -> String {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

fn any_member(id: &'static str) -> impl Strategy<Value = Member> {
    let urls = subsequence(vec!["event", "form", "rest"], 0..=3);
    (urls, any::<[bool; 7]>()).prop_map(move |(urls, flags)| Member {
        enabled: flags[0],
        learns_by_event: flags[1],
        learns_by_form: flags[2],
        learns_by_rest: flags[3],
        foreign_orders: if flags[4] {
            ForeignOrders::Send
        } else {
            ForeignOrders::Withhold
        },
        notified_by_form: flags[5],
        notified_by_rest: flags[6],
        ..member(id, &urls.join(" "))
    })
}

fn any_circle() -> impl Strategy<Value = Circle> {
    let members = SHOPS.map(any_member);
    let share = select(vec!["token.*", "*", "payment", "token.created"]);
    (members, 1..=SHOPS.len(), share, select(&Mode::ALL[..]), any::<bool>()).prop_map(
        |(members, count, share, mode, enabled)| {
            let mut circle = circle(members.into_iter().take(count).collect());
            let mut company = (*circle.legal_entity).clone();
            company.share = vec![share.parse::<KindPattern>().unwrap()];
            company.enabled = enabled;
            circle.legal_entity = company.into();
            circle.mode = mode;
            circle
        },
    )
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0..20 * 60i64).prop_map(|seconds| at("2026-03-01T09:50:00Z") + SignedDuration::from_secs(seconds))
}

proptest! {
    /// Nothing leaves its legal entity or its mode, nobody gets a thing twice, and only who may gets what.
    #[test]
    fn nothing_leaves_its_circle(content in any_content(), circle in any_circle(), now in any_time()) {
        let plan = plan(&content, shop(PARIS), &circle, now, false);
        let reachable = plan.destinations.reachable.clone();
        let withheld = plan.destinations.withheld.clone();
        let keys = plan.destinations.into_keys();
        prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        for key in &keys {
            prop_assert_eq!(&key.legal_entity, &circle.legal_entity.id);
            prop_assert_eq!(key.mode, circle.mode);
            let member = circle.member(key.shop).unwrap();
            let is_named = key.shop == shop(PARIS);
            prop_assert!(is_named || is_shared(plan.kind, &circle));
            let url = match key.rendition {
                Rendition::AsReceived(format) => {
                    prop_assert!(is_named && format == content.format());
                    member.gateway_url(format)
                }
                Rendition::Event => {
                    prop_assert!(!is_named);
                    member.event_url.as_ref()
                }
                Rendition::ReSigned(format) => {
                    prop_assert!(!is_named && format == content.format());
                    prop_assert!(!withheld.contains(&key.shop));
                    member.gateway_url(format)
                }
            };
            prop_assert_eq!(url.is_some(), reachable.contains(key), "it waits exactly if it has no URL");
        }
    }

    /// A stranger's order or charge reaches a plugin only if its shop asks for it.
    #[test]
    fn order_or_charge_never_reaches_another_shops_plugin(content in any_content(), circle in any_circle()) {
        let happening = Happening::read(&content);
        let carries = match &content {
            Content::Form(form) => {
                form.filled("vads_order_id").is_some()
                    || matches!(form.value("vads_operation_type"), Some("DEBIT" | "CREDIT"))
            }
            Content::Rest(rest) => {
                let transactions = rest.json()["transactions"].as_array().cloned().unwrap_or_default();
                let charged = |t: &Value| t["operationType"] == "DEBIT" || t["operationType"] == "CREDIT";
                !matches!(&rest.json()["orderDetails"]["orderId"], Value::Null)
                    && rest.json()["orderDetails"]["orderId"] != ""
                    || transactions.iter().any(charged)
            }
        };
        let found = destinations(&happening, kind(&happening), shop(PARIS), &circle);
        for key in found.into_keys() {
            if let Rendition::ReSigned(_) = key.rendition {
                let sends = circle.member(key.shop).unwrap().foreign_orders == ForeignOrders::Send;
                prop_assert!(sends || !carries);
            }
        }
    }

    /// Everything waits for an operator, whatever it says, and does not pass for the first of a notification.
    #[test]
    fn quarantine_lets_nothing_out(content in any_content(), circle in any_circle(), now in any_time()) {
        let quarantined = plan(&content, shop(PARIS), &circle, now, true);
        prop_assert_eq!(quarantined.standing, Standing::Quarantined);
        prop_assert_eq!(&quarantined.destinations, &Destinations::default());
        prop_assert_eq!(quarantined.event, None);
        let released = plan(&content, shop(PARIS), &circle, now, false);
        prop_assert_ne!(quarantined.identified.identity.hash, released.identified.identity.hash);
    }

    /// What the gateway changes when it sends again by itself makes no other notification.
    #[test]
    fn identity_ignores_what_changes_when_the_gateway_sends_again(
        fields in any_form_fields(),
        answer in any_answer(),
        (first, again) in (any_time(), any_time()),
    ) {
        let identity = |content: &Content, now| {
            let plan = plan(content, shop(PARIS), &circle(Vec::new()), now, false);
            prop_assert_eq!(plan.identified.resend_of, None);
            Ok(plan.identified.identity.hash)
        };
        let fields = written(&fields);
        prop_assert_eq!(identity(&form("PAY", &fields), first)?, identity(&form("RETRY", &fields), again)?);
        let mut later = answer.clone();
        if later.get("serverDate").is_some() {
            later["serverDate"] = json!("2026-03-01T10:15:00+00:00");
        }
        prop_assert_eq!(identity(&rest("PAY", &answer), first)?, identity(&rest("RETRY", &later), again)?);
    }

    /// A manual resend is made again; the same bytes within one bucket are one.
    #[test]
    fn manual_resend_is_made_again(fields in any_form_fields(), answer in any_answer(), second in 0..60i64) {
        let minute = at("2026-03-01T10:00:00Z");
        let identified = |content: &Content, now| plan(content, shop(PARIS), &circle(Vec::new()), now, false).identified;
        let mut answer = answer;
        answer["serverDate"] = json!("2026-03-01T10:00:30+00:00");
        let fields = written(&fields);
        for (original, resent) in [
            (form("PAY", &fields), form("BO", &fields)),
            (rest("PAY", &answer), rest("BO", &answer)),
        ] {
            let first = identified(&resent, minute);
            prop_assert_eq!(first.resend_of, Some(identified(&original, minute).identity.hash));
            prop_assert_ne!(first.resend_of, Some(first.identity.hash));
            let again = identified(&resent, minute + SignedDuration::from_secs(second));
            prop_assert_eq!(again.identity.hash, first.identity.hash);
        }
    }

    /// Form and REST about the same happening make one event, and tell the same in it.
    #[test]
    fn both_formats_of_one_happening_make_one_event(facts in any_facts(), source in select(vec!["PAY", "BO", "RETRY"])) {
        let now = at("2026-03-01T10:00:20Z");
        let mut circle = circle(Vec::new());
        let mut company = (*circle.legal_entity).clone();
        company.share = vec![KindPattern::All];
        circle.legal_entity = company.into();
        let by_form = plan(&facts.as_form(source), shop(PARIS), &circle, now, false);
        let by_rest = plan(&facts.as_rest(source), shop(PARIS), &circle, now, false);
        prop_assert!(by_form.event.is_some());
        prop_assert_eq!(by_form.event, by_rest.event, "{:?} {:?}", by_form.kind, by_rest.kind);
        prop_assert_ne!(by_form.identified.identity, by_rest.identified.identity);
        let id = NotificationId::new(now);
        prop_assert_eq!(lane(&by_form.happening, id), lane(&by_rest.happening, id));
        let data = |plan: &Plan| {
            let body = event_body(&plan.happening, &EventFacts {
                kind: plan.kind,
                identity: plan.event.unwrap(),
                received_at: now,
                legal_entity: &circle.legal_entity.id,
                named_shop: shop(PARIS),
                mode: circle.mode,
                resend: plan.identified.resend_of.is_some(),
            });
            serde_json::from_slice::<Value>(&body).unwrap()["data"].clone()
        };
        prop_assert_eq!(data(&by_form), data(&by_rest));
    }

    /// No text makes reading fail; long characters and escapes around what is cut out do not either.
    #[test]
    fn any_text_is_read(value in "\\PC{0,20}", date in any_json()) {
        let texts = [
            json!({"a": value.clone(), "serverDate": date.clone(), "z": value.clone()}).to_string(),
            format!(" {{ \"é\" : {} , \"serverDate\" : {date} }} ", json!(value)),
        ];
        for text in texts {
            let happening = Happening::read(&rest_text("BO", &text));
            prop_assert!(happening.lasting_text.is_some() && happening.resent_text.is_some());
        }
    }
}

/// One happening, as both formats would tell it (protocol.md 1.6, 3.4).
#[derive(Clone, Debug)]
struct Facts {
    what: What,
    done: bool,
    token: String,
    uuid: String,
    customer: String,
    month: u8,
}

#[derive(Clone, Copy, Debug)]
enum What {
    PaymentByToken,
    PaymentThatSavesCard,
    Refund,
    TokenSaved,
    TokenUpdated,
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let what = select(vec![
        What::PaymentByToken,
        What::PaymentThatSavesCard,
        What::Refund,
        What::TokenSaved,
        What::TokenUpdated,
    ]);
    let customer = prop_oneof![Just("C-42".to_owned()), Just("ann@example.com".to_owned())];
    (what, any::<bool>(), "[0-9a-f]{32}", "[0-9a-f]{32}", customer, 1..=12u8).prop_map(
        |(what, done, token, uuid, customer, month)| Facts {
            what,
            done,
            token,
            uuid,
            customer,
            month,
        },
    )
}

impl Facts {
    fn operation(&self) -> &'static str {
        match self.what {
            What::PaymentByToken | What::PaymentThatSavesCard => "DEBIT",
            What::Refund => "CREDIT",
            What::TokenSaved | What::TokenUpdated => "VERIFICATION",
        }
    }

    fn status(&self) -> &'static str {
        match (self.done, self.operation()) {
            (false, _) => "REFUSED",
            (true, "VERIFICATION") => "ACCEPTED",
            (true, _) => "AUTHORISED",
        }
    }

    /// A token that was to be made, and was not, has no id.
    fn token(&self) -> &str {
        match self.what {
            What::PaymentThatSavesCard | What::TokenSaved if !self.done => "",
            _ => &self.token,
        }
    }

    fn as_form(&self, source: &str) -> Content {
        let (action, made) = match self.what {
            What::PaymentByToken => ("PAYMENT", ""),
            What::PaymentThatSavesCard => ("REGISTER_PAY", "CREATED"),
            What::Refund => ("", ""),
            What::TokenSaved => ("REGISTER", "CREATED"),
            What::TokenUpdated => ("REGISTER_UPDATE", "UPDATED"),
        };
        let not = if self.done || made.is_empty() { "" } else { "NOT_" };
        let fields = format!(
            "page_action={action} identifier_status={not}{made} identifier={} operation_type={} trans_status={} \
             trans_uuid={} cust_id={} card_brand=CB card_number=497010XXXXXX0055 expiry_year=2027 expiry_month={}",
            self.token(),
            self.operation(),
            self.status(),
            self.uuid,
            self.customer,
            self.month
        );
        form(source, &fields)
    }

    fn as_rest(&self, source: &str) -> Content {
        let new = matches!(self.what, What::PaymentThatSavesCard);
        let token = Some(self.token()).filter(|token| !token.is_empty());
        let mut answer = payment(&[json!({
            "uuid": self.uuid,
            "operationType": self.operation(),
            "paymentMethodToken": token,
            "status": if self.done { "PAID" } else { "UNPAID" },
            "detailedStatus": self.status(),
            "transactionDetails": {"cardDetails": {
                "effectiveBrand": "CB", "pan": "497010XXXXXX0055", "expiryYear": 2027, "expiryMonth": self.month,
                "paymentMethodSource": if new { "NEW" } else { "TOKEN" },
            }},
        })]);
        answer["customer"] = json!({"reference": self.customer});
        rest(source, &answer)
    }
}
