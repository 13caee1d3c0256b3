use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::emails::Email;
use super::visitor::Visitor;
use super::when::When;
use super::wish::{Act, Button, Wish};
use super::words::{self, Badge, Tone, counted};
use super::{Frame, Unavailable, refuse, show};
use crate::admin::api::{IncidentLine, Parts};
use crate::admin::listener::Inside;
use crate::domain::{DestinationKey, Section};
use crate::outbox::{Acknowledgement, DestinationLine, DestinationLoad, IncidentRow, IncidentStory};

/// Incidents of a page, but for those that are open.
const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "incidents.html", config = ".askama.toml")]
struct IncidentsPage {
    frame: Frame,
    /// None, if older ones are asked for.
    open: Option<Vec<Incident>>,
    over: Vec<Incident>,
    /// The incident before which the next page begins.
    next: Option<i64>,
}

/// Which page of them.
#[derive(Debug, Deserialize)]
pub(super) struct Older {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "incident.html", config = ".askama.toml")]
struct IncidentPage {
    frame: Frame,
    incident: Incident,
    load: DestinationLoad,
    oldest: Option<When>,
    next_attempt: Option<When>,
    /// Down: nobody can say which delivery is tried when.
    is_probed: bool,
    paused: Option<When>,
    /// Another incident, in whose thread this one is told.
    told_with: Option<i64>,
    emails: Vec<Email>,
    buttons: Vec<Button>,
}

/// One incident in short, as the status page shows it, too.
pub(super) struct Incident {
    pub(super) id: i64,
    pub(super) badge: Badge,
    /// "ACME Lyon fails: time-out"
    pub(super) title: String,
    pub(super) to: String,
    pub(super) failing: String,
    pub(super) detail: String,
    pub(super) answer: String,
    pub(super) since: When,
    pub(super) last_failure: When,
    pub(super) over: Option<When>,
    pub(super) failures: String,
    pub(super) given_up: u64,
    pub(super) delivered: u64,
    /// What the runbook says of it.
    pub(super) runbook: Section,
    pub(super) acknowledged: Option<Acknowledged>,
    /// To acknowledge it, while it is open.
    pub(super) acknowledge: Option<Button>,
}

/// Who looks after it.
pub(super) struct Acknowledged {
    pub(super) by: String,
    pub(super) at: When,
    pub(super) until: Option<String>,
}

impl Incident {
    pub(super) fn of(row: &IncidentRow, parts: &Parts, now: Timestamp) -> Self {
        let line = IncidentLine::from(row);
        let key = &line.destination;
        let shop = parts.name_of(key).unwrap_or_else(|| format!("Shop {}", key.shop));
        Self {
            id: line.incident,
            badge: match line.recovered_at {
                Some(_) => Badge::new(Tone::None, "over"),
                None => Badge::new(Tone::Bad, "open"),
            },
            title: match line.recovered_at {
                Some(_) => format!("{shop} works again"),
                None => format!("{shop} fails: {}", line.failing),
            },
            to: words::destination(key),
            failing: line.failing.clone(),
            // The cause may say it all.
            detail: if line.detail == line.failing {
                String::new()
            } else {
                line.detail.clone()
            },
            answer: line.answer.clone(),
            since: When::new(line.opened_at, now),
            last_failure: When::new(line.last_failure_at, now),
            over: line.recovered_at.map(|at| When::new(at, now)),
            failures: counted(line.failures, "attempt has failed", "attempts have failed"),
            given_up: line.given_up,
            delivered: line.delivered,
            acknowledged: holding(row, now).map(|told| Acknowledged::of(told, now)),
            acknowledge: acknowledge(row, now),
            runbook: Section::of_failure(
                row.incident.last_failure.symptom,
                line.recovered_at.is_some() && line.given_up > 0,
            ),
        }
    }
}

/// Those that are open, the newest first.
pub(super) async fn open_incidents(parts: &Parts, now: Timestamp) -> Result<Vec<Incident>, Unavailable> {
    let mut open = parts.outbox.open_incidents().await?;
    open.sort_by_key(|row| Reverse(row.id));
    Ok(open.iter().map(|row| Incident::of(row, parts, now)).collect())
}

/// Open ones first, then those that are over, the newest first.
pub(super) async fn incidents(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Query(Older { before }): Query<Older>,
) -> Result<Response, Unavailable> {
    let (parts, now) = (&inside.parts, inside.parts.clock.now());
    let rows = parts.outbox.incidents(before, SHOWN).await?;
    let over: Vec<_> = rows.iter().filter(|row| !row.incident.is_open()).collect();
    let open = match before {
        None => Some(open_incidents(parts, now).await?),
        Some(_) => None,
    };
    let told = |row: &IncidentRow| Incident::of(row, parts, now);
    let page = IncidentsPage {
        frame: visitor.frame("incidents"),
        open,
        over: over.into_iter().map(told).collect(),
        next: rows.get(SHOWN as usize - 1).map(|last| last.id),
    };
    Ok(show(StatusCode::OK, &page))
}

/// One of them, with what can be done about it.
pub(super) async fn incident(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Path(id): Path<i64>,
) -> Result<Response, Unavailable> {
    let (parts, now) = (&inside.parts, inside.parts.clock.now());
    let frame = visitor.frame("incidents");
    let Some(story) = parts.outbox.incident_story(id).await? else {
        return Ok(refuse(
            StatusCode::NOT_FOUND,
            frame,
            format!("There is no incident {id}."),
        ));
    };
    let IncidentStory { row, emails } = story;
    let (destination, load) = destination(parts, &row.destination).await?;
    let paused = destination.as_ref().and_then(|line| line.paused_since);
    let when = |at| When::new(at, now);
    let page = IncidentPage {
        frame,
        incident: Incident::of(&row, parts, now),
        buttons: buttons(&row, paused.is_some(), now),
        oldest: load.oldest.map(when),
        next_attempt: load.next_attempt.map(when),
        is_probed: destination
            .as_ref()
            .is_some_and(|line| line.down_since.is_some() && line.parked_since.is_none() && paused.is_none()),
        load,
        paused: paused.map(when),
        told_with: row.told_with.filter(|with| *with != id),
        emails: emails.into_iter().map(|line| Email::of(line, now)).collect(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// How its destination stands.
async fn destination(
    parts: &Parts,
    key: &DestinationKey,
) -> Result<(Option<DestinationLine>, DestinationLoad), Unavailable> {
    let all = parts.outbox.destinations().await?;
    match all.into_iter().find(|(_, line)| line.key == *key) {
        Some((id, line)) => Ok((Some(line), parts.outbox.load(id).await?)),
        None => Ok((None, DestinationLoad::default())),
    }
}

/// What makes sense now.
fn buttons(row: &IncidentRow, is_paused: bool, now: Timestamp) -> Vec<Button> {
    let mut buttons = Vec::from_iter(acknowledge(row, now));
    if row.incident.given_up.count > 0 {
        buttons.push(Wish::with_incident(Act::Replay, row.id).button("Replay what was given up…"));
    }
    if is_paused {
        buttons.push(Wish::with_destination(Act::Resume, &row.destination).button("Resume the destination…"));
    } else if row.incident.is_open() {
        buttons.push(Wish::with_destination(Act::Pause, &row.destination).button("Pause the destination…"));
    }
    buttons
}

/// The acknowledgement, unless its time is over.
fn holding(row: &IncidentRow, now: Timestamp) -> Option<&Acknowledgement> {
    let told = row.acknowledged.as_ref()?;
    told.until.is_none_or(|until| now < until).then_some(told)
}

fn acknowledge(row: &IncidentRow, now: Timestamp) -> Option<Button> {
    let text = match holding(row, now) {
        Some(_) => "Acknowledge again…",
        None => "Acknowledge…",
    };
    let button = || Wish::with_incident(Act::Acknowledge, row.id).button(text);
    row.incident.is_open().then(button)
}

impl Acknowledged {
    fn of(told: &Acknowledgement, now: Timestamp) -> Self {
        Self {
            by: told.by.clone(),
            at: When::new(told.at, now),
            until: told.until.map(|until| until.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::{Cause, GivenUp, LastFailure, Mode, Rendition, Symptom};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn acknowledgement_counts_until_its_time_is_over() {
        let mut row = row(true, 0);
        assert!(holding(&row, NOW).is_none());
        let mut told = Acknowledgement {
            at: NOW,
            by: "root".into(),
            until: None,
        };
        row.acknowledged = Some(told.clone());
        assert!(holding(&row, NOW).is_some());
        told.until = Some(NOW + SignedDuration::from_hours(1));
        row.acknowledged = Some(told);
        assert!(holding(&row, NOW).is_some());
        assert!(holding(&row, NOW + SignedDuration::from_hours(1)).is_none());
    }

    fn row(is_open: bool, given_up: u64) -> IncidentRow {
        let at = Timestamp::UNIX_EPOCH;
        IncidentRow {
            id: 7,
            destination: DestinationKey {
                legal_entity: "acme".parse().unwrap(),
                shop: "12345678".parse().unwrap(),
                mode: Mode::Test,
                rendition: Rendition::Event,
            },
            version: 1,
            incident: crate::domain::Incident {
                opened_at: at,
                failures: 1,
                last_failure: LastFailure {
                    at,
                    symptom: Symptom::Failed(Cause::Dns),
                    status: None,
                    detail: String::new(),
                    answer: String::new(),
                },
                matters: Default::default(),
                given_up: GivenUp {
                    count: given_up,
                    ..GivenUp::default()
                },
                delivered: 0,
                failing_since: at,
                well_since: None,
                relapsed: false,
                recovered_at: (!is_open).then_some(at),
            },
            told: String::new(),
            told_with: None,
            acknowledged: None,
            is_paused: false,
            tried_from: at,
        }
    }

    #[test]
    fn only_what_makes_sense_can_be_done() {
        let texts = |row: &IncidentRow, paused| -> Vec<&str> {
            buttons(row, paused, NOW).iter().map(|button| button.text).collect()
        };
        assert_eq!(texts(&row(true, 0), false), ["Acknowledge…", "Pause the destination…"]);
        assert_eq!(texts(&row(false, 2), false), ["Replay what was given up…"]);
        assert_eq!(texts(&row(false, 0), true), ["Resume the destination…"]);
        assert!(texts(&row(false, 0), false).is_empty());
    }
}
