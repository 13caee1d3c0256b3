//! What was acknowledged, against what the shops have received: whether anything was lost.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::company::City;
use crate::domain::{NotificationId, Rendition};

/// Every delivery that an acknowledged notification must lead to, and every one that a shop has accepted, both by
/// their `webhook-id`.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    owed: BTreeMap<String, Owed>,
    received: BTreeMap<String, Received>,
}

#[derive(Debug)]
struct Owed {
    city: City,
    /// The bytes that must arrive, where they must be the gateway's own.
    exactly: Option<Bytes>,
}

#[derive(Debug)]
struct Received {
    city: City,
    body: Bytes,
}

impl Ledger {
    /// Notes that a notification was acknowledged from which a shop must hear; returns the delivery's id.
    pub(super) fn owe(
        &mut self,
        notification: NotificationId,
        city: City,
        rendition: Rendition,
        sent: &Bytes,
    ) -> String {
        let delivery = format!("{notification}-{}-{rendition}", city.shop());
        let exactly = matches!(rendition, Rendition::AsReceived(_)).then(|| sent.clone());
        self.owed.insert(delivery.clone(), Owed { city, exactly });
        delivery
    }

    /// Notes that a shop has accepted a delivery; it may do so more than once.
    pub(super) fn receive(&mut self, city: City, delivery: &str, body: &Bytes) {
        let received = || Received {
            city,
            body: body.clone(),
        };
        self.received.entry(delivery.to_owned()).or_insert_with(received);
    }

    /// Whether a delivery has arrived, where it should and as it should.
    pub(super) fn has_arrived(&self, delivery: &str) -> bool {
        let owed = self.owed.get(delivery);
        owed.zip(self.received.get(delivery)).is_some_and(|(owed, received)| {
            owed.city == received.city && owed.exactly.as_ref().is_none_or(|exactly| *exactly == received.body)
        })
    }

    /// Deliveries that were owed and have not arrived.
    pub(super) fn lost(&self) -> Vec<&str> {
        let owed = self.owed.keys().map(String::as_str);
        owed.filter(|delivery| !self.has_arrived(delivery)).collect()
    }

    /// Deliveries that nobody owed: of a forged notification, or a repeated one.
    pub(super) fn uncalled_for(&self) -> Vec<&str> {
        let received = self.received.keys().map(String::as_str);
        received.filter(|delivery| !self.owed.contains_key(*delivery)).collect()
    }

    /// How many deliveries a shop was owed, and how many of them have arrived.
    pub(super) fn count(&self, city: City) -> (usize, usize) {
        let owed: Vec<_> = self.owed.iter().filter(|(_, owed)| owed.city == city).collect();
        let arrived = owed.iter().filter(|(delivery, _)| self.has_arrived(delivery)).count();
        (owed.len(), arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Format;

    const FORM: Rendition = Rendition::AsReceived(Format::Form);

    fn id() -> NotificationId {
        "019a1b2c-0000-7000-8000-000000000000".parse().unwrap()
    }

    #[test]
    fn what_did_not_arrive_is_lost() {
        let (mut ledger, body) = (Ledger::default(), Bytes::from_static(b"a=1"));
        let paris = ledger.owe(id(), City::Paris, FORM, &body);
        let lyon = ledger.owe(id(), City::Lyon, Rendition::Event, &body);
        assert_eq!(paris, "019a1b2c-0000-7000-8000-000000000000-12345678-form");
        assert_eq!(ledger.lost(), [paris.as_str(), lyon.as_str()]);
        ledger.receive(City::Paris, &paris, &body);
        assert_eq!(ledger.lost(), [lyon.as_str()]);
        // An event has a body of its own, and may come twice.
        ledger.receive(City::Lyon, &lyon, &Bytes::from_static(b"{}"));
        ledger.receive(City::Lyon, &lyon, &Bytes::from_static(b"{}"));
        assert!(ledger.lost().is_empty() && ledger.uncalled_for().is_empty());
        assert_eq!(
            [City::Paris, City::Nice].map(|city| ledger.count(city)),
            [(1, 1), (0, 0)]
        );
    }

    #[test]
    fn other_bytes_or_another_shop_are_a_loss_too() {
        let (mut ledger, body) = (Ledger::default(), Bytes::from_static(b"a=1"));
        let paris = ledger.owe(id(), City::Paris, FORM, &body);
        ledger.receive(City::Paris, &paris, &Bytes::from_static(b"a=2"));
        assert_eq!(ledger.lost(), [paris.as_str()]);

        let lyon = ledger.owe(id(), City::Lyon, Rendition::Event, &body);
        ledger.receive(City::Nice, &lyon, &body);
        assert_eq!(ledger.lost().len(), 2);
    }

    #[test]
    fn what_nobody_owes_is_told() {
        let mut ledger = Ledger::default();
        ledger.receive(City::Nice, "x", &Bytes::new());
        assert_eq!(ledger.uncalled_for(), ["x"]);
    }
}
