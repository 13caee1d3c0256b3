use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::act::Lines;
use super::visitor::Visitor;
use super::when::When;
use super::wish::{about, told};
use super::words::{Badge, Tone, counted};
use super::{Frame, Unavailable, refuse, show};
use crate::admin::listener::Inside;
use crate::domain::Audited;
use crate::outbox::{AuditRecord, OutboxError, VerbId, VerbRow, VerbState};

/// The newest of each sort that are shown.
const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "operations.html", config = ".askama.toml")]
struct OperationsPage {
    frame: Frame,
    operations: Vec<Operation>,
}

#[derive(Template)]
#[template(path = "operation.html", config = ".askama.toml")]
struct OperationPage {
    frame: Frame,
    operation: Operation,
    lines: Lines,
    /// Rows that are still to be looked at, if it is not done.
    left: Option<u64>,
}

/// What somebody asked for or did.
struct Operation {
    at: Timestamp,
    when: When,
    who: String,
    what: String,
    /// Its own page, if it has one.
    link: Option<String>,
    /// The page of what it is about.
    about: Option<String>,
    badge: Badge,
}

/// What operators did, the newest first.
pub(super) async fn operations(State(inside): State<Arc<Inside>>, visitor: Visitor) -> Result<Response, Unavailable> {
    let (outbox, now) = (&inside.parts.outbox, inside.parts.clock.now());
    let verbs = outbox.verbs_asked(None, SHOWN).await?;
    let records = outbox.audit(SHOWN).await?;
    let verbs = verbs.iter().map(|row| Operation::of_verb(row, now));
    let records = records.iter().map(|record| Operation::of_record(record, now));
    let mut operations: Vec<_> = verbs.chain(records).collect();
    operations.sort_by_key(|operation| std::cmp::Reverse(operation.at));
    let page = OperationsPage {
        frame: visitor.frame("operations"),
        operations,
    };
    Ok(show(StatusCode::OK, &page))
}

/// How far one has come, and what came of it.
pub(super) async fn operation(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Path(id): Path<i64>,
) -> Result<Response, Unavailable> {
    let frame = visitor.frame("operations");
    let row = match inside.parts.outbox.verb(VerbId(id)).await {
        Err(OutboxError::Unreadable(_)) => {
            return Ok(refuse(
                StatusCode::NOT_FOUND,
                frame,
                format!("There is no operation {id}."),
            ));
        }
        row => row?,
    };
    let page = OperationPage {
        frame,
        operation: Operation::of_verb(&row, inside.parts.clock.now()),
        left: match &row.state {
            VerbState::Asked => Some(0),
            VerbState::Done { .. } => None,
            VerbState::UnderWay(progress) => Some(progress.left()),
        },
        lines: match &row.state {
            VerbState::Asked => Lines::done(&row.verb, &Default::default()),
            VerbState::Done { result, .. } => Lines::done(&row.verb, result),
            VerbState::UnderWay(progress) => Lines::done(&row.verb, &progress.result),
        },
    };
    Ok(show(StatusCode::OK, &page))
}

impl Operation {
    fn of_verb(row: &VerbRow, now: Timestamp) -> Self {
        Self {
            at: row.asked_at,
            when: When::new(row.asked_at, now),
            who: row.asked_by.clone(),
            what: told(&row.verb),
            link: Some(format!("operations/{}", row.id)),
            about: about(&row.verb),
            badge: match &row.state {
                VerbState::Asked => Badge::new(Tone::Warn, "not begun"),
                VerbState::Done { result, .. } if result.failed.is_some() => Badge::new(Tone::Bad, "failed"),
                VerbState::Done { .. } => Badge::new(Tone::Good, "done"),
                VerbState::UnderWay(_) => Badge::new(Tone::Warn, "under way"),
            },
        }
    }

    fn of_record(record: &AuditRecord, now: Timestamp) -> Self {
        let (what, about) = match &record.act {
            Audited::Acknowledged { incident, until } => {
                let until = until.map(|until| until.strftime(" until %Y-%m-%d %H:%M UTC").to_string());
                let what = format!("acknowledge incident {incident}{}", until.unwrap_or_default());
                (what, Some(format!("incidents/{incident}")))
            }
            Audited::PersonalDataExported { person, notifications } => (
                format!("export the data of a person ({person}), in {}", found(*notifications)),
                None,
            ),
            Audited::PersonalDataShown { notification } => (
                format!("show the personal data of notification {notification}"),
                Some(format!("notifications/{notification}")),
            ),
            Audited::PersonForgotten {
                person,
                notifications,
                cancel,
            } => {
                let waiting = if *cancel { ", what waits included" } else { "" };
                let what = format!("forget a person ({person}), in {}{waiting}", found(*notifications));
                (what, None)
            }
        };
        Self {
            at: record.at,
            when: When::new(record.at, now),
            who: record.who.clone(),
            what,
            link: None,
            about,
            badge: Badge::new(Tone::Good, "done"),
        }
    }
}

fn found(notifications: u64) -> String {
    counted(notifications, "notification", "notifications")
}
