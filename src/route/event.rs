//! The event: what the other shops learn, in JSON of our own.
//!
//! It holds no name, address, e-mail, IP, order or amount: a shop learns which card changed, not who bought what.

use jiff::Timestamp;
use serde::Serialize;

use super::happening::{Card, Happening};
use crate::domain::{Kind, LegalEntityId, Mode, ShopId};

/// What an event tells besides the happening itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventFacts<'a> {
    pub kind: Kind,
    /// The event's identity, the same for all shops.
    pub identity: [u8; 16],
    pub received_at: Timestamp,
    pub legal_entity: &'a LegalEntityId,
    pub named_shop: ShopId,
    pub mode: Mode,
    /// Whether somebody at the Back Office asked for it to be sent again; [`Happening::is_resend`] knows.
    pub resend: bool,
}

/// Returns the body of an event: the same bytes for every shop and at every attempt.
pub fn event_body(happening: &Happening, facts: &EventFacts<'_>) -> Vec<u8> {
    let event = Event {
        kind: facts.kind.name(),
        id: event_id(&facts.identity),
        timestamp: facts.received_at.to_string(),
        data: Data {
            legal_entity: facts.legal_entity.as_str(),
            named_shop: facts.named_shop.as_str(),
            mode: facts.mode.word(),
            token: happening.token.as_deref(),
            subscription: happening.subscription.as_deref(),
            card: happening.card.as_ref(),
            customer_reference: happening.customer_reference.as_deref(),
            gateway_transaction: happening.transaction_uuid(),
            resend: facts.resend,
        },
    };
    serde_json::to_vec(&event).expect("texts and a truth value are JSON")
}

/// Returns the id that an event shows to the shops.
pub fn event_id(identity: &[u8; 16]) -> String {
    format!("evt_{}", hex::encode(identity))
}

/// The fields stand in the order in which they are written.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    legal_entity: &'a str,
    named_shop: &'a str,
    mode: &'a str,
    token: Option<&'a str>,
    subscription: Option<&'a str>,
    card: Option<&'a Card>,
    customer_reference: Option<&'a str>,
    gateway_transaction: Option<&'a str>,
    resend: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::samples::{PARIS, at, form, shop};

    fn body(fields: &str) -> String {
        let happening = Happening::read(&form("BO", fields));
        let facts = EventFacts {
            kind: Kind::TokenUpdated,
            identity: [0xab; 16],
            received_at: at("2026-03-01T11:00:00.250+01:00"),
            legal_entity: &"acme".parse().unwrap(),
            named_shop: shop(PARIS),
            mode: Mode::Production,
            resend: true,
        };
        String::from_utf8(event_body(&happening, &facts)).unwrap()
    }

    #[test]
    fn event_is_exactly_this() {
        let fields = "identifier=t subscription=s card_brand=VISA card_number=497010XXXXXX0055 expiry_year=2027 \
            expiry_month=6 cust_id=C-42 trans_uuid=u cust_email=ann@example.com cust_name=Ann order_id=77 amount=990";
        assert_eq!(
            body(fields),
            concat!(
                r#"{"type":"token.updated","id":"evt_abababababababababababababababab","#,
                r#""timestamp":"2026-03-01T10:00:00.25Z","data":{"legal_entity":"acme","named_shop":"12345678","#,
                r#""mode":"PRODUCTION","token":"t","subscription":"s","#,
                r#""card":{"brand":"VISA","last4":"0055","expiry":"2027-06"},"customer_reference":"C-42","#,
                r#""gateway_transaction":"u","resend":true}}"#
            )
        );
    }

    #[test]
    fn what_is_absent_is_null() {
        let body: serde_json::Value = serde_json::from_str(&body("identifier=t")).unwrap();
        for name in ["subscription", "card", "customer_reference", "gateway_transaction"] {
            assert!(body["data"].as_object().unwrap()[name].is_null(), "{name}");
        }
    }
}
