use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::contents::{Said, said};
use super::notifications::standing;
use super::visitor::Visitor;
use super::when::When;
use super::wish::{Act, Button, Wish};
use super::words::{self, Badge};
use super::{Frame, Unavailable, refuse, show};
use crate::admin::api::{Parts, ShownNotification, ToldDelivery};
use crate::admin::listener::Inside;
use crate::domain::{Audited, DestinationKey, NotificationId};
use crate::outbox::{AttemptLine, ConfigurationLine, DeliveryState, NotificationLine};
use crate::route::Standing;
use crate::verify::Content;

#[derive(Template)]
#[template(path = "notification.html", config = ".askama.toml")]
struct NotificationPage {
    frame: Frame,
    notification: NotificationLine,
    received: When,
    badge: Badge,
    /// Why it has no delivery, if it has none.
    why_none: Option<String>,
    resend_of: Option<NotificationId>,
    configuration: Option<(ConfigurationLine, When)>,
    deliveries: Vec<Delivery>,
    buttons: Vec<Button>,
    /// `None`: deleted after its time, or not readable.
    contents: Option<Vec<Said>>,
    is_personal_shown: bool,
}

struct Delivery {
    to: String,
    shop_name: String,
    badge: Badge,
    seq: i64,
    replay_of: Option<i64>,
    since: When,
    why: String,
    attempts: Vec<Attempt>,
    button: Option<Button>,
}

struct Attempt {
    number: u32,
    at: When,
    took: String,
    badge: Badge,
    detail: String,
    answer: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    form_key: String,
}

/// One notification, with everything that became of it.
pub(super) async fn notification(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Unavailable> {
    page(&inside, &visitor, &id, false).await
}

/// The same with what is personal in it; that somebody has looked is written down before it is shown.
pub(super) async fn personal(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(asked): Form<Asked>,
) -> Result<Response, Unavailable> {
    if !visitor.may_post(Some(&asked.form_key)) {
        let frame = visitor.frame("notifications");
        return Ok(refuse(
            StatusCode::FORBIDDEN,
            frame,
            "This form is not of your session.",
        ));
    }
    page(&inside, &visitor, &id, true).await
}

async fn page(inside: &Inside, visitor: &Visitor, id: &str, personal_too: bool) -> Result<Response, Unavailable> {
    let (parts, now) = (&inside.parts, inside.parts.clock.now());
    let frame = visitor.frame("notifications");
    let found = match id.parse() {
        Ok(id) => parts.outbox.find(id).await?,
        Err(_) => None,
    };
    let Some(found) = found else {
        return Ok(refuse(
            StatusCode::NOT_FOUND,
            frame,
            format!("There is no notification {id}."),
        ));
    };
    let shown = ShownNotification::new(found, now);
    let line = &shown.notification;
    let why_none = match shown.deliveries.is_empty() {
        true => Some(parts.why_none(line, shown.has_body, line.named_shop).await.why),
        false => None,
    };
    let contents = contents(parts, &shown, personal_too).await?;
    if personal_too && contents.is_some() {
        let act = Audited::PersonalDataShown { notification: line.id };
        parts.outbox.note(act, visitor.who().to_string(), now).await?;
    }
    let page = NotificationPage {
        frame,
        received: When::new(line.received_at, now),
        badge: badge(&shown),
        why_none,
        resend_of: shown.resend_of,
        buttons: buttons(line),
        contents,
        configuration: shown.configuration.map(|line| {
            let at = When::new(line.applied_at, now);
            (line, at)
        }),
        deliveries: shown
            .deliveries
            .iter()
            .map(|told| Delivery::of(told, line, shown.has_body, parts, now))
            .collect(),
        notification: shown.notification.clone(),
        is_personal_shown: personal_too,
    };
    Ok(show(StatusCode::OK, &page))
}

async fn contents(
    parts: &Parts,
    shown: &ShownNotification,
    personal_too: bool,
) -> Result<Option<Vec<Said>>, Unavailable> {
    if !shown.has_body {
        return Ok(None);
    }
    let stored = parts.outbox.notification(shown.notification.key).await?;
    let content = Content::decode(&stored.body).ok();
    Ok(content.map(|content| said(&content, personal_too)))
}

/// The worst of its deliveries that were not replayed since, or how it stands without any.
fn badge(shown: &ShownNotification) -> Badge {
    let lines: Vec<_> = shown.deliveries.iter().map(|told| &told.delivery.line).collect();
    let is_replayed = |seq: i64, key: &DestinationKey| {
        lines
            .iter()
            .any(|line| line.replay_of == Some(seq) && line.destination == *key)
    };
    let newest = lines.iter().filter(|line| !is_replayed(line.seq, &line.destination));
    let severity = |state: &DeliveryState| match state {
        DeliveryState::GivenUp => 3,
        DeliveryState::Waiting => 2,
        DeliveryState::Cancelled => 1,
        DeliveryState::Delivered => 0,
    };
    match newest.map(|line| line.state).max_by_key(severity) {
        Some(state) => state.into(),
        None => standing(shown.notification.standing),
    }
}

fn buttons(line: &NotificationLine) -> Vec<Button> {
    match line.standing {
        Standing::Parked | Standing::Quarantined => {
            vec![Wish::with_notification(Act::Release, line.id).button("Release…")]
        }
        Standing::Routed => Vec::new(),
    }
}

impl Delivery {
    fn of(told: &ToldDelivery, notification: &NotificationLine, has_body: bool, parts: &Parts, now: Timestamp) -> Self {
        let line = &told.delivery.line;
        let key = &line.destination;
        Self {
            to: words::destination(key),
            shop_name: parts.name_of(key).unwrap_or_else(|| format!("Shop {}", key.shop)),
            badge: line.state.into(),
            seq: line.seq,
            replay_of: line.replay_of,
            since: When::new(line.since, now),
            why: told.why.why.clone(),
            attempts: told
                .delivery
                .last_attempts
                .iter()
                .map(|attempt| Attempt::of(attempt, now))
                .collect(),
            button: button(told, notification, has_body),
        }
    }
}

/// What helps this delivery.
fn button(told: &ToldDelivery, notification: &NotificationLine, has_body: bool) -> Option<Button> {
    let key = &told.delivery.line.destination;
    let wish = |act| Wish::with_notification(act, notification.id).at(key);
    match told.delivery.line.state {
        DeliveryState::Waiting if told.delivery.line.paused_since.is_some() => {
            Some(Wish::with_destination(Act::Resume, key).button("Resume the destination…"))
        }
        DeliveryState::Waiting => match &told.delivery.behind {
            Some(behind) => {
                let first = Wish::with_notification(Act::Cancel, behind.notification).at(key);
                Some(first.button("Cancel the one before…"))
            }
            None => Some(wish(Act::Cancel).button("Cancel…")),
        },
        _ if !has_body => None,
        DeliveryState::GivenUp | DeliveryState::Cancelled => Some(wish(Act::Replay).button("Replay…")),
        DeliveryState::Delivered => Some(wish(Act::Replay).button("Deliver it again…")),
    }
}

impl Attempt {
    fn of(line: &AttemptLine, now: Timestamp) -> Self {
        Self {
            number: line.attempt,
            at: When::new(line.at, now),
            took: format!("{} ms", line.milliseconds),
            badge: line.into(),
            detail: line.detail.clone(),
            answer: line.answer.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::Why;
    use crate::domain::{Format, Mode, Rendition};
    use crate::outbox::{DeliveryLine, ShownDelivery};

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn delivery(seq: i64, state: DeliveryState, replay_of: Option<i64>) -> ToldDelivery {
        let destination = DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "23456789".parse().unwrap(),
            mode: Mode::Test,
            rendition: Rendition::Event,
        };
        ToldDelivery {
            delivery: ShownDelivery {
                line: DeliveryLine {
                    destination,
                    seq,
                    state,
                    attempts: 1,
                    since: AT,
                    tried: None,
                    due: None,
                    replay_of,
                    paused_since: None,
                    down_since: None,
                    parked_since: None,
                },
                behind: None,
                last_attempts: Vec::new(),
            },
            why: Why {
                why: String::new(),
                command: None,
            },
        }
    }

    fn shown(deliveries: Vec<ToldDelivery>) -> ShownNotification {
        ShownNotification {
            notification: NotificationLine {
                key: 1,
                id: NotificationId::before(AT),
                received_at: AT,
                legal_entity: "acme".parse().unwrap(),
                named_shop: "12345678".parse().unwrap(),
                mode: Mode::Test,
                format: Format::Form,
                kind: crate::domain::Kind::TokenCreated,
                standing: Standing::Routed,
                token: None,
                transaction: None,
            },
            resend_of: None,
            has_body: true,
            configuration: None,
            deliveries,
        }
    }

    #[test]
    fn a_replay_stands_for_what_it_repeats() {
        use DeliveryState::{Delivered, GivenUp, Waiting};
        let given_up = || delivery(1, GivenUp, None);
        for (deliveries, expected) in [
            (vec![given_up(), delivery(2, Delivered, None)], "given up"),
            (vec![given_up(), delivery(2, Delivered, Some(1))], "delivered"),
            (vec![given_up(), delivery(2, Waiting, Some(1))], "waiting"),
            (vec![], "for nobody"),
        ] {
            assert_eq!(badge(&shown(deliveries)).text, expected);
        }
    }

    #[test]
    fn a_delivery_can_be_replayed_only_while_there_is_a_body() {
        let text = |state, has_body| {
            let told = delivery(1, state, None);
            button(&told, &shown(vec![]).notification, has_body).map(|button| button.text)
        };
        assert_eq!(text(DeliveryState::GivenUp, true), Some("Replay…"));
        assert_eq!(text(DeliveryState::GivenUp, false), None);
        assert_eq!(text(DeliveryState::Waiting, false), Some("Cancel…"));
    }
}
