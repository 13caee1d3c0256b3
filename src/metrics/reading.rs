use std::sync::atomic::AtomicU64;

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{DestinationLabels, Word};
use crate::domain::{DestinationKey, Format, LegalEntityId, Mode, ShopId};

/// How things stand, as far as that can only be read: from the store, from files. Nothing in it outlives what it is about.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub destinations: Vec<DestinationReading>,
    /// How long the gateway was not heard.
    pub silences: Vec<(LegalEntityId, Mode, SignedDuration)>,
    /// How many signatures were refused in a row, by the key that they should have had.
    pub signatures: Vec<(ShopId, Mode, Format, u32)>,
    /// Whose certificate is valid for how long: a host, or `receiver`.
    pub certificates: Vec<(String, SignedDuration)>,
    /// Those that are open.
    pub incidents: usize,
    /// Notifications.
    pub parked: u32,
    pub quarantined: u32,
    pub emails_waiting: u32,
    pub emails_failed: u32,
    /// Bytes used, and free beside them.
    pub store: Option<(u64, u64)>,
}

/// How one destination stands.
#[derive(Clone, Debug)]
pub struct DestinationReading {
    pub key: DestinationKey,
    pub state: DestinationState,
    pub waiting: u32,
    /// How long the oldest of them has waited.
    pub oldest: SignedDuration,
    /// How long ago the next retry should have been.
    pub overdue: SignedDuration,
}

/// What a destination does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DestinationState {
    /// It failed too often, and is only probed.
    Down,
    /// It is in no configuration, or switched off.
    Parked,
    /// By an operator.
    Paused,
    Up,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DestinationIn {
    #[prometheus(flatten)]
    destination: DestinationLabels,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Circle {
    legal_entity: String,
    mode: &'static str,
}

impl DestinationState {
    const ALL: [Self; 4] = [Self::Down, Self::Parked, Self::Paused, Self::Up];

    fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Parked => "parked",
            Self::Paused => "paused",
            Self::Up => "up",
        }
    }
}

impl Reading {
    /// Made anew for each answer, so that nothing is told of what is gone.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("ipn_router");
        self.register_destinations(&mut registry);
        self.register_the_rest(&mut registry);
        registry
    }

    fn register_destinations(&self, registry: &mut Registry) {
        let states = Family::<DestinationIn, Gauge>::default();
        let waiting = Family::<DestinationLabels, Gauge>::default();
        let oldest = Family::<DestinationLabels, Gauge<f64, AtomicU64>>::default();
        let overdue = Family::<DestinationLabels, Gauge<f64, AtomicU64>>::default();
        for reading in &self.destinations {
            let destination = DestinationLabels::from(&reading.key);
            for state in DestinationState::ALL {
                let labels = DestinationIn {
                    destination: destination.clone(),
                    state: state.word(),
                };
                states.get_or_create(&labels).set((state == reading.state).into());
            }
            waiting.get_or_create(&destination).set(reading.waiting.into());
            oldest.get_or_create(&destination).set(reading.oldest.as_secs_f64());
            overdue.get_or_create(&destination).set(reading.overdue.as_secs_f64());
        }
        registry.register(
            "destination_state",
            "1 for the state that a destination is in: up, down (only probed), paused (by an operator) or parked (not configured)",
            states,
        );
        registry.register(
            "destination_waiting",
            "Deliveries that wait; counting stops at 100001",
            waiting,
        );
        registry.register_with_unit(
            "destination_oldest",
            "How long the oldest delivery that waits was accepted or replayed ago",
            Unit::Seconds,
            oldest,
        );
        registry.register_with_unit(
            "destination_overdue",
            "How long ago a failed delivery should have been tried again; 0 while the destination is down, paused or parked",
            Unit::Seconds,
            overdue,
        );
    }

    fn register_the_rest(&self, registry: &mut Registry) {
        let silences = Family::<Circle, Gauge<f64, AtomicU64>>::default();
        for (legal_entity, mode, silence) in &self.silences {
            let circle = Circle {
                legal_entity: legal_entity.to_string(),
                mode: mode.word(),
            };
            silences.get_or_create(&circle).set(silence.as_secs_f64());
        }
        registry.register_with_unit(
            "gateway_silence",
            "How long ago the gateway was last heard, by a notification that verified; never: since the daemon's start",
            Unit::Seconds,
            silences,
        );
        let signatures = Family::<Vec<(&'static str, String)>, Gauge>::default();
        for (shop, mode, format, refused) in &self.signatures {
            let key = vec![
                ("shop", shop.to_string()),
                ("mode", mode.word().to_owned()),
                ("format", format.word().to_owned()),
            ];
            signatures.get_or_create(&key).set((*refused).into());
        }
        registry.register(
            "signatures_refused_in_a_row",
            "Calls for a configured key whose signature was wrong, since the last one that was right",
            signatures,
        );
        let certificates = Family::<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>::default();
        for (whose, left) in &self.certificates {
            let days = left.as_secs_f64() / 86_400.0;
            certificates.get_or_create(&vec![("whose", whose.clone())]).set(days);
        }
        registry.register(
            "certificate_days_left",
            "Until a certificate ends: the receiver's own, or the one that a shop's host has shown since the start",
            certificates,
        );
        let held = Family::<Word, Gauge>::default();
        held.get_or_create(&[("standing", "parked")]).set(self.parked.into());
        held.get_or_create(&[("standing", "quarantined")])
            .set(self.quarantined.into());
        registry.register(
            "notifications_held",
            "Notifications that are kept with nowhere to go (parked), or until somebody releases them (quarantined)",
            held,
        );
        let incidents = u32::try_from(self.incidents).unwrap_or(u32::MAX);
        registry.register("incidents_open", "Destinations in trouble", gauge(incidents));
        registry.register(
            "emails_waiting",
            "E-mails that the mail server has not taken yet",
            gauge(self.emails_waiting),
        );
        registry.register(
            "emails_failed",
            "E-mails that were given up, among those that are kept",
            gauge(self.emails_failed),
        );
        if let Some((used, free)) = self.store {
            let bytes = |bytes: u64| gauge(i64::try_from(bytes).unwrap_or(i64::MAX));
            registry.register_with_unit("store", "Size of the store", Unit::Bytes, bytes(used));
            registry.register_with_unit(
                "store_free",
                "Free space beside the store; with less than 256 MB nothing new is accepted",
                Unit::Bytes,
                bytes(free),
            );
        }
    }
}

fn gauge(value: impl Into<i64>) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value.into());
    gauge
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn destination_is_in_one_state_and_what_is_gone_is_not_told() {
        let text = |reading: &Reading| {
            let mut text = String::new();
            encode(&mut text, &reading.registry()).unwrap();
            text
        };
        let destination = DestinationReading {
            key: DestinationKey {
                legal_entity: "acme".parse().unwrap(),
                shop: "23456789".parse().unwrap(),
                mode: Mode::Production,
                rendition: crate::domain::Rendition::Event,
            },
            state: DestinationState::Down,
            waiting: 7,
            oldest: SignedDuration::from_secs(90),
            overdue: SignedDuration::ZERO,
        };
        let reading = Reading {
            destinations: vec![destination],
            certificates: vec![("receiver".to_owned(), SignedDuration::from_hours(36))],
            store: Some((1_000, 2_000)),
            ..Reading::default()
        };
        let told = text(&reading);
        let labels = "legal_entity=\"acme\",shop=\"23456789\",mode=\"PRODUCTION\",rendition=\"event\"";
        for line in [
            &*format!("ipn_router_destination_state{{{labels},state=\"down\"}} 1"),
            &format!("ipn_router_destination_state{{{labels},state=\"up\"}} 0"),
            &format!("ipn_router_destination_waiting{{{labels}}} 7"),
            &format!("ipn_router_destination_oldest_seconds{{{labels}}} 90.0"),
            "ipn_router_certificate_days_left{whose=\"receiver\"} 1.5",
            "ipn_router_store_bytes 1000",
            "ipn_router_store_free_bytes 2000",
            "ipn_router_emails_waiting 0",
        ] {
            assert!(told.lines().any(|one| one == line), "{line}\n\n{told}");
        }
        assert!(!text(&Reading::default()).contains("acme"));
    }
}
