use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::visitor::Visitor;
use super::when::When;
use super::words::{self, Badge, Tone};
use super::{Frame, Unavailable, show};
use crate::admin::listener::Inside;
use crate::domain::{Kind, NotificationId};
use crate::outbox::{Cursor, DeliveryState, Item, ItemPage, Wanted, WantedState};
use crate::route::Standing;

/// Lines of a page.
const SHOWN: usize = 50;

/// States that can be asked for, with the words for them.
const STATES: [(&str, &str); 6] = [
    ("waiting", "waiting"),
    ("given-up", "given up (dead letters)"),
    ("delivered", "delivered"),
    ("cancelled", "cancelled"),
    ("parked", "parked"),
    ("quarantined", "in quarantine"),
];

#[derive(Template)]
#[template(path = "notifications.html", config = ".askama.toml")]
struct NotificationsPage {
    frame: Frame,
    search: Search,
    /// What of the search cannot be read.
    wrong: Vec<String>,
    lines: Vec<Line>,
    /// The query of the next page.
    next: Option<String>,
    states: [(&'static str, &'static str); 6],
    kinds: Vec<&'static str>,
}

/// What the form sends: everything may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    /// An id, a token, or the uuid of a transaction.
    find: String,
    shop: String,
    mode: String,
    kind: String,
    state: String,
    /// UTC, as a browser writes a local time.
    since: String,
    until: String,
    incident: String,
    from: String,
}

/// One row.
struct Line {
    id: String,
    received: When,
    kind: Kind,
    shop: String,
    mode: String,
    /// Token, or transaction.
    about: String,
    to: Option<String>,
    badge: Badge,
    attempts: u32,
}

impl Search {
    /// What is asked for, or what of it cannot be read.
    fn wanted(&self) -> Result<Wanted, Vec<String>> {
        let mut wrong = Vec::new();
        let wanted = Wanted {
            incident: read(&self.incident, "incident", &mut wrong, |text| text.parse().ok()),
            state: read(&self.state, "state", &mut wrong, state),
            shop: read(&self.shop, "shop (8 digits)", &mut wrong, |text| text.parse().ok()),
            mode: read(&self.mode, "mode", &mut wrong, crate::domain::Mode::from_word),
            kind: read(&self.kind, "kind", &mut wrong, |text| text.parse().ok()),
            token: None,
            transaction: None,
            since: read(&self.since, "time", &mut wrong, time),
            until: read(&self.until, "time", &mut wrong, time),
        };
        if wrong.is_empty() { Ok(wanted) } else { Err(wrong) }
    }

    fn find(&self) -> Option<String> {
        Some(self.find.trim().to_owned()).filter(|find| !find.is_empty())
    }

    /// The same search, from another place on.
    fn from(&self, cursor: Cursor) -> String {
        let cursor = cursor.to_string();
        let fields = [
            ("find", &self.find),
            ("shop", &self.shop),
            ("mode", &self.mode),
            ("kind", &self.kind),
            ("state", &self.state),
            ("since", &self.since),
            ("until", &self.until),
            ("incident", &self.incident),
            ("from", &cursor),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }

    /// Whether more than one field is asked for, so that the form stands open.
    fn is_narrow(&self) -> bool {
        let fields = [
            &self.shop,
            &self.mode,
            &self.kind,
            &self.state,
            &self.since,
            &self.until,
        ];
        fields.iter().any(|field| !field.is_empty())
    }
}

fn read<T>(text: &str, what: &str, wrong: &mut Vec<String>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let value = read(text);
    if value.is_none() {
        wrong.push(format!("“{text}” is no {what}."));
    }
    value
}

fn state(word: &str) -> Option<WantedState> {
    Some(match word {
        "cancelled" => WantedState::Cancelled,
        "delivered" => WantedState::Delivered,
        "given-up" => WantedState::GivenUp,
        "parked" => WantedState::Parked,
        "quarantined" => WantedState::Quarantined,
        "waiting" => WantedState::Waiting,
        _ => return None,
    })
}

/// `2026-11-22T14:05`, in UTC; or with a zone.
fn time(text: &str) -> Option<Timestamp> {
    let civil = |text: &str| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| civil(text).map(|zoned| zoned.timestamp()))
}

/// Finds notifications; an id leads straight to its page.
pub(super) async fn notifications(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Query(search): Query<Search>,
) -> Result<Response, Unavailable> {
    let (outbox, now) = (&inside.parts.outbox, inside.parts.clock.now());
    if let Some(id) = search.find().and_then(|find| find.parse::<NotificationId>().ok())
        && outbox.find(id).await?.is_some()
    {
        return Ok(Redirect::to(&format!("./notifications/{id}")).into_response());
    }
    let from = search.from.parse().ok();
    let (found, wrong) = match search.wanted() {
        Ok(wanted) => (look(&inside, wanted, search.find(), from).await?, Vec::new()),
        Err(wrong) => (ItemPage::default(), wrong),
    };
    let page = NotificationsPage {
        frame: visitor.frame("notifications"),
        next: found.next.map(|cursor| search.from(cursor)),
        search,
        wrong,
        lines: found.items.iter().map(|item| Line::of(item, now)).collect(),
        states: STATES,
        kinds: Kind::ALL.map(Kind::name).to_vec(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// A word that nothing is known of is a token, or a transaction.
async fn look(
    inside: &Inside,
    wanted: Wanted,
    find: Option<String>,
    from: Option<Cursor>,
) -> Result<ItemPage, Unavailable> {
    let outbox = &inside.parts.outbox;
    let Some(find) = find else {
        return Ok(outbox.list(wanted, from, SHOWN).await?);
    };
    let by_token = Wanted {
        token: Some(find.clone()),
        ..wanted.clone()
    };
    let found = outbox.list(by_token, from, SHOWN).await?;
    if !found.items.is_empty() || found.next.is_some() {
        return Ok(found);
    }
    let by_transaction = Wanted {
        transaction: Some(find),
        ..wanted
    };
    Ok(outbox.list(by_transaction, from, SHOWN).await?)
}

impl Line {
    fn of(item: &Item, now: Timestamp) -> Self {
        let notification = &item.notification;
        let delivery = item.delivery.as_ref();
        Self {
            id: notification.id.to_string(),
            received: When::new(notification.received_at, now),
            kind: notification.kind,
            shop: notification.named_shop.to_string(),
            mode: notification.mode.to_string(),
            about: match (&notification.token, &notification.transaction) {
                (Some(token), _) => format!("token {token}"),
                (None, Some(transaction)) => format!("transaction {transaction}"),
                (None, None) => String::new(),
            },
            to: delivery.map(|line| {
                let key = &line.destination;
                format!("{}, {}", key.shop, words::gets(key.rendition))
            }),
            badge: match delivery {
                Some(line) if line.state == DeliveryState::Waiting && line.parked_since.is_some() => {
                    Badge::new(Tone::Warn, "waiting, not served")
                }
                Some(line) => line.state.into(),
                None => standing(notification.standing),
            },
            attempts: delivery.map_or(0, |line| line.attempts),
        }
    }
}

/// How a notification without deliveries stands.
pub(super) fn standing(standing: Standing) -> Badge {
    match standing {
        Standing::Parked => Badge::new(Tone::Warn, "parked"),
        Standing::Quarantined => Badge::new(Tone::Warn, "in quarantine"),
        Standing::Routed => Badge::new(Tone::None, "for nobody"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_ask_for_everything() {
        assert_eq!(Search::default().wanted(), Ok(Wanted::default()));
        assert_eq!(Search::default().find(), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_field_by_field() {
        let search = Search {
            shop: "123".into(),
            kind: "token.*".into(),
            since: "yesterday".into(),
            ..Search::default()
        };
        assert_eq!(
            search.wanted(),
            Err(vec![
                "“123” is no shop (8 digits).".to_owned(),
                "“yesterday” is no time.".to_owned()
            ])
        );
    }

    #[test]
    fn times_of_a_browser_are_utc() {
        let expected: Timestamp = "2026-11-22T14:05:00Z".parse().unwrap();
        for text in ["2026-11-22T14:05", "2026-11-22T14:05:00Z", "2026-11-22T15:05+01:00"] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
        assert_eq!(time("14:05"), None);
    }

    #[test]
    fn every_state_of_the_form_can_be_asked_for() {
        for (word, _) in STATES {
            assert!(state(word).is_some(), "{word}");
        }
    }

    #[test]
    fn next_page_asks_for_the_same() {
        let search = Search {
            find: "a&b".into(),
            state: "given-up".into(),
            ..Search::default()
        };
        assert_eq!(search.from(Cursor::Before(7)), "find=a%26b&state=given-up&from=7");
    }
}
