use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::words;
use crate::domain::{
    DestinationFilter, DestinationKey, LegalEntityId, Mode, NotificationId, Pause, Rendition, Scope, Selection, ShopId,
    Verb,
};

/// What somebody wants done, as it stands in the links and forms of the page.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Wish {
    pub(super) act: Act,
    pub(super) incident: Option<i64>,
    pub(super) notification: Option<NotificationId>,
    pub(super) legal_entity: Option<LegalEntityId>,
    pub(super) shop: Option<ShopId>,
    pub(super) mode: Option<Mode>,
    pub(super) rendition: Option<Rendition>,
    /// For how long; 0 or nothing: until somebody ends it, or it is over.
    pub(super) hours: Option<u32>,
    /// Of the session, in what a form sends: a link does nothing.
    pub(super) form_key: Option<String>,
}

/// What can be done from the page.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    Acknowledge,
    Cancel,
    Pause,
    Release,
    Replay,
    Resume,
}

/// A wish that says everything it must.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Meant {
    Acknowledge { incident: i64, until: Option<Timestamp> },
    Verb(Verb),
}

/// A wish that nobody could carry out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this link does not say what is meant")]
pub(super) struct Unclear;

/// A link to the page that asks whether it is meant.
#[derive(Clone, Debug)]
pub(super) struct Button {
    pub(super) query: String,
    pub(super) text: &'static str,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Release => "release",
            Self::Replay => "replay",
            Self::Resume => "resume",
        }
    }
}

impl Wish {
    fn new(act: Act) -> Self {
        Self {
            act,
            incident: None,
            notification: None,
            legal_entity: None,
            shop: None,
            mode: None,
            rendition: None,
            hours: None,
            form_key: None,
        }
    }

    pub(super) fn with_incident(act: Act, incident: i64) -> Self {
        let incident = Some(incident);
        Self {
            incident,
            ..Self::new(act)
        }
    }

    pub(super) fn with_notification(act: Act, notification: NotificationId) -> Self {
        let notification = Some(notification);
        Self {
            notification,
            ..Self::new(act)
        }
    }

    pub(super) fn with_destination(act: Act, key: &DestinationKey) -> Self {
        Self::new(act).at(key)
    }

    /// Only at this destination.
    pub(super) fn at(self, key: &DestinationKey) -> Self {
        Self {
            legal_entity: Some(key.legal_entity.clone()),
            shop: Some(key.shop),
            mode: Some(key.mode),
            rendition: Some(key.rendition),
            ..self
        }
    }

    /// What [`Deserialize`] reads, but for the hours and the key: each form has its own.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("act", Some(self.act.word().to_owned())),
            ("incident", self.incident.map(|id| id.to_string())),
            ("notification", self.notification.map(|id| id.to_string())),
            ("legal_entity", self.legal_entity.as_ref().map(ToString::to_string)),
            ("shop", self.shop.map(|shop| shop.to_string())),
            ("mode", self.mode.map(|mode| mode.to_string())),
            ("rendition", self.rendition.map(|rendition| rendition.to_string())),
        ];
        let said = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        said.collect()
    }

    pub(super) fn button(&self, text: &'static str) -> Button {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(self.pairs()).finish();
        Button { query, text }
    }

    /// What is meant by it, now.
    pub(super) fn meant(&self, now: Timestamp) -> Result<Meant, Unclear> {
        let hours = self.hours.filter(|hours| *hours > 0).map(u64::from);
        let until = hours.and_then(|hours| now.checked_add(Duration::from_hours(hours)).ok());
        Ok(Meant::Verb(match self.act {
            Act::Acknowledge => {
                let incident = self.incident.ok_or(Unclear)?;
                return Ok(Meant::Acknowledge { incident, until });
            }
            Act::Cancel => Verb::Cancel(self.selection()?),
            Act::Pause => Verb::Pause(Pause {
                destinations: self.destination()?,
                until,
            }),
            Act::Release => Verb::Release {
                notification: self.notification.ok_or(Unclear)?,
            },
            Act::Replay => Verb::Replay {
                which: self.selection()?,
                ended: None,
                as_new: false,
            },
            Act::Resume => Verb::Resume(self.destination()?),
        }))
    }

    /// The place that tells what became of it, from the first page.
    pub(super) fn back(&self) -> String {
        match (self.incident, self.notification) {
            (Some(incident), _) => format!("incidents/{incident}"),
            (None, Some(notification)) => format!("notifications/{notification}"),
            (None, None) => String::new(),
        }
    }

    fn filter(&self) -> DestinationFilter {
        DestinationFilter {
            legal_entity: self.legal_entity.clone(),
            shop: self.shop,
            mode: self.mode,
            rendition: self.rendition,
        }
    }

    /// One, and not all of them because a word is missing.
    fn destination(&self) -> Result<DestinationFilter, Unclear> {
        let is_one =
            self.legal_entity.is_some() && self.shop.is_some() && self.mode.is_some() && self.rendition.is_some();
        if is_one { Ok(self.filter()) } else { Err(Unclear) }
    }

    fn selection(&self) -> Result<Selection, Unclear> {
        let scope = match (self.incident, self.notification) {
            (Some(incident), None) => Scope::Incident(incident),
            (None, Some(notification)) => Scope::Notification(notification),
            _ => return Err(Unclear),
        };
        Ok(Selection {
            scope,
            destinations: self.filter(),
            kind: None,
        })
    }
}

/// A verb in words, as its record tells it: "replay what incident 7 has given up".
pub(super) fn told(verb: &Verb) -> String {
    match verb {
        Verb::Backfill { shop, mode, received } => format!(
            "backfill shop {shop} in {mode} with what was received from {} until {}",
            minute(received.from),
            minute(received.until)
        ),
        Verb::Cancel(which) => format!("cancel what waits {}", of(which)),
        Verb::Pause(pause) => {
            let until = pause.until.map(|until| format!(" until {}", minute(until)));
            format!("pause {}{}", at(&pause.destinations), until.unwrap_or_default())
        }
        Verb::Release { notification } => format!("release notification {notification}"),
        Verb::Replay { which, as_new, .. } => {
            let as_new = if *as_new { ", as new" } else { "" };
            format!("replay what has ended {}{as_new}", of(which))
        }
        Verb::Resume(destinations) => format!("resume {}", at(destinations)),
    }
}

/// Where the page tells of what a verb is about, if that is one thing.
pub(super) fn about(verb: &Verb) -> Option<String> {
    match verb {
        Verb::Cancel(which) | Verb::Replay { which, .. } => match which.scope {
            Scope::Incident(id) => Some(format!("incidents/{id}")),
            Scope::Notification(id) => Some(format!("notifications/{id}")),
            Scope::Received(_) => None,
        },
        Verb::Release { notification } => Some(format!("notifications/{notification}")),
        Verb::Backfill { .. } | Verb::Pause(_) | Verb::Resume(_) => None,
    }
}

fn of(which: &Selection) -> String {
    let scope = match which.scope {
        Scope::Incident(id) => format!("of incident {id}"),
        Scope::Notification(id) => format!("of notification {id}"),
        Scope::Received(period) => format!("received from {} until {}", minute(period.from), minute(period.until)),
    };
    let kind = which.kind.map(|kind| format!(", kind {kind}"));
    let everywhere = which.destinations == DestinationFilter::default();
    let place = if everywhere {
        String::new()
    } else {
        format!(", for {}", at(&which.destinations))
    };
    format!("{scope}{}{place}", kind.unwrap_or_default())
}

fn at(filter: &DestinationFilter) -> String {
    let parts = [
        filter.shop.map(|shop| format!("shop {shop}")),
        filter.legal_entity.as_ref().map(|id| format!("company {id}")),
        filter.mode.map(|mode| mode.to_string()),
        filter.rendition.map(|rendition| words::gets(rendition).to_owned()),
    ];
    let said: Vec<_> = parts.into_iter().flatten().collect();
    if said.is_empty() {
        "everything".to_owned()
    } else {
        said.join(", ")
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn key() -> DestinationKey {
        DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            rendition: Rendition::Event,
        }
    }

    fn notification() -> NotificationId {
        NotificationId::before(NOW)
    }

    #[test]
    fn pause_and_resume_concern_one_destination_or_nothing() {
        for act in [Act::Pause, Act::Resume] {
            let whole = Wish::with_destination(act, &key());
            assert!(whole.meant(NOW).is_ok());
            for less in [
                Wish {
                    shop: None,
                    ..whole.clone()
                },
                Wish {
                    mode: None,
                    ..whole.clone()
                },
                Wish {
                    rendition: None,
                    ..whole.clone()
                },
                Wish {
                    legal_entity: None,
                    ..whole
                },
            ] {
                assert_eq!(less.meant(NOW), Err(Unclear), "{less:?}");
            }
        }
    }

    #[test]
    fn what_is_replayed_or_cancelled_must_be_named() {
        for act in [Act::Replay, Act::Cancel] {
            assert_eq!(Wish::new(act).at(&key()).meant(NOW), Err(Unclear));
            let both = Wish {
                incident: Some(7),
                ..Wish::with_notification(act, notification())
            };
            assert_eq!(both.meant(NOW), Err(Unclear));
            assert!(Wish::with_incident(act, 7).meant(NOW).is_ok());
        }
        assert_eq!(Wish::new(Act::Release).meant(NOW), Err(Unclear));
        assert_eq!(Wish::new(Act::Acknowledge).meant(NOW), Err(Unclear));
    }

    #[test]
    fn hours_end_a_pause_and_none_do_not() {
        for (hours, expected) in [(None, None), (Some(0), None), (Some(2), Some(7_200))] {
            let wish = Wish {
                hours,
                ..Wish::with_incident(Act::Acknowledge, 7)
            };
            let until = expected.map(|second| Timestamp::from_second(second).unwrap());
            assert_eq!(wish.meant(NOW), Ok(Meant::Acknowledge { incident: 7, until }));
        }
    }

    #[test]
    fn verbs_are_told_in_words() {
        let verb = |wish: Wish| match wish.meant(NOW) {
            Ok(Meant::Verb(verb)) => verb,
            other => panic!("{other:?}"),
        };
        for (wish, words, place) in [
            (
                Wish::with_incident(Act::Replay, 7),
                "replay what has ended of incident 7",
                Some("incidents/7".to_owned()),
            ),
            (
                Wish::with_notification(Act::Cancel, notification()).at(&key()),
                "cancel what waits of notification 00000000-0000-0000-0000-000000000000, for shop 12345678, company \
                 acme, TEST, events",
                Some(format!("notifications/{}", notification())),
            ),
            (
                Wish {
                    hours: Some(2),
                    ..Wish::with_destination(Act::Pause, &key())
                },
                "pause shop 12345678, company acme, TEST, events until 1970-01-01 02:00 UTC",
                None,
            ),
        ] {
            let verb = verb(wish);
            assert_eq!(told(&verb), words);
            assert_eq!(about(&verb), place);
        }
    }
}
