use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DestinationKey, KindPattern, LegalEntityId, Mode, NotificationId, Rendition, ShopId};

/// What an operator asks of the engine.
///
/// The store keeps it as JSON; that row is also the record of who asked for what.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "verb")]
pub enum Verb {
    /// Makes the deliveries that a shop would have got, had it been configured as it is now: for one that joined later.
    Backfill {
        shop: ShopId,
        mode: Mode,
        received: Period,
    },
    /// Ends deliveries that are open.
    Cancel(Selection),
    /// Lets nothing be attempted.
    Pause(Pause),
    /// Routes a notification out of quarantine.
    Release {
        notification: NotificationId,
    },
    /// Delivers once more what has ended.
    Replay {
        which: Selection,
        /// How it must have ended; `None`: as a dead letter, or in any way if one notification is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<Ended>,
        /// With a `webhook-id` of its own, for a shop that would take it for one that it has.
        #[serde(default)]
        as_new: bool,
    },
    Resume(DestinationFilter),
}

impl Verb {
    /// Whether it is done at one stroke, and need not wait for verbs that take long.
    pub fn is_quick(&self) -> bool {
        match self {
            Self::Pause(_) | Self::Release { .. } | Self::Resume(_) => true,
            Self::Cancel(which) | Self::Replay { which, .. } => matches!(which.scope, Scope::Notification(_)),
            Self::Backfill { .. } => false,
        }
    }
}

/// Which destinations are paused, and for how long.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Pause {
    #[serde(flatten)]
    pub destinations: DestinationFilter,
    /// They go on by themselves then; `None`: when they are resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl From<DestinationFilter> for Pause {
    fn from(destinations: DestinationFilter) -> Self {
        Self {
            destinations,
            until: None,
        }
    }
}

/// Which deliveries are meant: those of the scope that pass the filters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Selection {
    pub scope: Scope,
    #[serde(flatten)]
    pub destinations: DestinationFilter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindPattern>,
}

/// Where a selection begins.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// What an incident has made of its destination's deliveries, by the incident's key in the store.
    Incident(i64),
    /// The deliveries of one notification; with a shop and a rendition, one delivery.
    Notification(NotificationId),
    /// The deliveries of the notifications received in this time.
    Received(Period),
}

/// From a time until before another.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Period {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Period {
    /// Whether this time lies within, to the millisecond, as everything stored.
    pub fn contains(&self, at: Timestamp) -> bool {
        (self.from.as_millisecond()..self.until.as_millisecond()).contains(&at.as_millisecond())
    }
}

/// Which destinations are meant; what is not said matches all.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct DestinationFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_entity: Option<LegalEntityId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<ShopId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<Rendition>,
}

impl DestinationFilter {
    /// Whether this destination is meant.
    pub fn matches(&self, key: &DestinationKey) -> bool {
        self.matches_circle(&key.legal_entity, key.mode)
            && self.shop.is_none_or(|shop| shop == key.shop)
            && self.rendition.is_none_or(|rendition| rendition == key.rendition)
    }

    /// Whether destinations of this company in this mode can be meant.
    pub fn matches_circle(&self, legal_entity: &LegalEntityId, mode: Mode) -> bool {
        self.legal_entity.as_ref().is_none_or(|wanted| wanted == legal_entity)
            && self.mode.is_none_or(|wanted| wanted == mode)
    }

    /// Whether it says which shop or rendition: then what has no delivery yet is not meant.
    pub fn names_deliveries(&self) -> bool {
        self.shop.is_some() || self.rendition.is_some()
    }
}

/// How a delivery has ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    Cancelled,
    DeadLetter,
    Delivered,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn period(from: i64, until: i64) -> Period {
        Period {
            from: at(from),
            until: at(until),
        }
    }

    #[test]
    fn store_gives_back_every_verb() {
        let shop = "12345678".parse().unwrap();
        let notification = NotificationId::new(at(0));
        let filter = DestinationFilter {
            legal_entity: Some("acme".parse().unwrap()),
            shop: Some(shop),
            mode: Some(Mode::Test),
            rendition: Some(Rendition::Event),
        };
        let which = |scope| Selection {
            scope,
            destinations: filter.clone(),
            kind: Some("token.*".parse().unwrap()),
        };
        for (verb, word) in [
            (
                Verb::Backfill {
                    shop,
                    mode: Mode::Production,
                    received: period(0, 1),
                },
                "backfill",
            ),
            (Verb::Cancel(which(Scope::Received(period(0, 1)))), "cancel"),
            (Verb::Pause(Pause::default()), "pause"),
            (
                Verb::Pause(Pause {
                    destinations: filter.clone(),
                    until: Some(at(5)),
                }),
                "pause",
            ),
            (Verb::Release { notification }, "release"),
            (
                Verb::Replay {
                    which: which(Scope::Notification(notification)),
                    ended: Some(Ended::DeadLetter),
                    as_new: true,
                },
                "replay",
            ),
            (
                Verb::Replay {
                    which: which(Scope::Incident(7)),
                    ended: None,
                    as_new: false,
                },
                "replay",
            ),
            (Verb::Resume(filter.clone()), "resume"),
        ] {
            let json = serde_json::to_string(&verb).unwrap();
            assert!(json.starts_with(&format!(r#"{{"verb":"{word}""#)), "{json}");
            assert_eq!(serde_json::from_str::<Verb>(&json).unwrap(), verb, "{json}");
        }
    }

    #[test]
    fn only_what_may_concern_many_notifications_takes_long() {
        let one = Scope::Notification(NotificationId::new(at(0)));
        let which = |scope| Selection {
            scope,
            destinations: DestinationFilter::default(),
            kind: None,
        };
        let cancel = |scope| Verb::Cancel(which(scope));
        let replay = |scope| Verb::Replay {
            which: which(scope),
            ended: None,
            as_new: true,
        };
        for (scope, is_quick) in [
            (one, true),
            (Scope::Incident(7), false),
            (Scope::Received(period(0, 1)), false),
        ] {
            assert_eq!(cancel(scope).is_quick(), is_quick, "{scope:?}");
            assert_eq!(replay(scope).is_quick(), is_quick, "{scope:?}");
        }
        let notification = NotificationId::new(at(0));
        assert!(Verb::Release { notification }.is_quick());
        assert!(Verb::Pause(Pause::default()).is_quick());
        let backfill = Verb::Backfill {
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            received: period(0, 1),
        };
        assert!(!backfill.is_quick());
    }

    #[test]
    fn period_ends_before_its_end() {
        let period = period(0, 10);
        assert!(period.contains(at(0)) && period.contains(at(9)));
        assert!(!period.contains(at(10)) && !period.contains(at(-1)));
    }

    #[test]
    fn what_a_filter_does_not_say_matches_all() {
        let key = DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            rendition: Rendition::Event,
        };
        let all = DestinationFilter::default();
        assert!(all.matches(&key));
        let same = DestinationFilter {
            legal_entity: Some(key.legal_entity.clone()),
            shop: Some(key.shop),
            mode: Some(key.mode),
            rendition: Some(key.rendition),
        };
        assert!(same.matches(&key));
        for other in [
            DestinationFilter {
                legal_entity: Some("bravo".parse().unwrap()),
                ..all.clone()
            },
            DestinationFilter {
                shop: Some("23456789".parse().unwrap()),
                ..all.clone()
            },
            DestinationFilter {
                mode: Some(Mode::Production),
                ..all.clone()
            },
            DestinationFilter {
                rendition: Some(Rendition::AsReceived(crate::domain::Format::Form)),
                ..all.clone()
            },
        ] {
            assert!(!other.matches(&key), "{other:?}");
        }
    }
}
