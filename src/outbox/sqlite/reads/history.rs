use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::incidents::{incident, of_incident};
use super::super::read::{json, timestamp};
use super::super::verbs::verb_row;
use super::{time_if_any, time_unless_zero};
use crate::domain::one_line;
use crate::outbox::history::{AuditRecord, EmailLine, EmailState, EmailsWanted, IncidentStory};
use crate::outbox::{IncidentRow, VerbRow};

/// Attempts that are looked at to tell how many there were of late, and which was the last.
pub(super) const ATTEMPTS_COUNTED: u32 = 1_000;

/// The columns of [`email_line`].
macro_rules! of_email {
    () => {
        "id, thread, address, subject, created_at, state, due, attempts, ended_at, detail"
    };
}

const INCIDENTS: &str = concat!(
    "SELECT ",
    of_incident!(),
    " FROM incidents i JOIN destinations t ON t.id = i.destination WHERE i.id < ? ORDER BY i.id DESC LIMIT ?"
);
const STORY: &str = concat!(
    "SELECT ",
    of_incident!(),
    " FROM incidents i JOIN destinations t ON t.id = i.destination WHERE i.id = ?"
);
const OF_THREAD: &str = concat!("SELECT ", of_email!(), " FROM emails WHERE thread = ?");
const ALL_EMAILS: &str = concat!(
    "SELECT ",
    of_email!(),
    " FROM emails WHERE id < ? ORDER BY id DESC LIMIT ?"
);
const GIVEN_UP: &str = concat!(
    "SELECT ",
    of_email!(),
    " FROM emails INDEXED BY emails_failed WHERE state=2 AND id < ? ORDER BY id DESC LIMIT ?"
);
const WAITING: &str = concat!(
    "SELECT ",
    of_email!(),
    " FROM emails INDEXED BY emails_due WHERE state=0 AND due > 0 ORDER BY due LIMIT ?"
);
const VERBS: &str = "SELECT at, asked_by, verb, progress, done_at, result, id FROM verbs WHERE id < ?
  ORDER BY id DESC LIMIT ?";
const AUDIT: &str = "SELECT id, at, who, act FROM audit WHERE id > 0 ORDER BY id DESC LIMIT ?";
const ATTEMPTS: &str = "SELECT at FROM attempts WHERE destination = ? ORDER BY seq DESC, n DESC LIMIT ?";

#[cfg(test)]
pub(super) const QUESTIONS: [&str; 9] = [
    INCIDENTS, STORY, OF_THREAD, ALL_EMAILS, GIVEN_UP, WAITING, VERBS, AUDIT, ATTEMPTS,
];

pub(in crate::outbox) fn incidents(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<IncidentRow>> {
    connection
        .prepare_cached(INCIDENTS)?
        .query_map((before.unwrap_or(i64::MAX), limit), incident)?
        .collect()
}

pub(in crate::outbox) fn incident_story(connection: &Connection, id: i64) -> rusqlite::Result<Option<IncidentStory>> {
    let snapshot = connection.unchecked_transaction()?;
    let row = snapshot.prepare_cached(STORY)?.query_row([id], incident).optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut emails: Vec<_> = snapshot
        .prepare_cached(OF_THREAD)?
        .query_map([format!("incident-{id}")], email_line)?
        .collect::<rusqlite::Result<_>>()?;
    // The index of the threads does not know the order.
    emails.sort_by_key(|email| std::cmp::Reverse(email.id));
    Ok(Some(IncidentStory { row, emails }))
}

pub(in crate::outbox) fn emails(
    connection: &Connection,
    wanted: EmailsWanted,
    limit: u32,
) -> rusqlite::Result<Vec<EmailLine>> {
    let mut statement = connection.prepare_cached(match wanted {
        EmailsWanted::All { .. } => ALL_EMAILS,
        EmailsWanted::GivenUp { .. } => GIVEN_UP,
        EmailsWanted::Waiting => WAITING,
    })?;
    let rows = match wanted {
        EmailsWanted::All { before } | EmailsWanted::GivenUp { before } => {
            statement.query_map((before.unwrap_or(i64::MAX), limit), email_line)?
        }
        EmailsWanted::Waiting => statement.query_map([limit], email_line)?,
    };
    rows.collect()
}

fn email_line(row: &Row<'_>) -> rusqlite::Result<EmailLine> {
    Ok(EmailLine {
        id: row.get(0)?,
        thread: row.get(1)?,
        to: row.get(2)?,
        subject: row.get(3)?,
        created_at: timestamp(row, 4)?,
        state: match row.get(5)? {
            0 => EmailState::Waiting {
                due: timestamp(row, 6)?,
            },
            1 => EmailState::Sent,
            2 => EmailState::GivenUp,
            3 | 4 => EmailState::HeldBack,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(5, other)),
        },
        attempts: row.get(7)?,
        ended_at: time_if_any(row, 8)?,
        error: one_line(&row.get::<_, Option<String>>(9)?.unwrap_or_default()),
    })
}

pub(in crate::outbox) fn verbs_asked(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<VerbRow>> {
    connection
        .prepare_cached(VERBS)?
        .query_map((before.unwrap_or(i64::MAX), limit), |row| {
            verb_row(row, crate::outbox::VerbId(row.get(6)?))
        })?
        .collect()
}

pub(in crate::outbox) fn audit(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<AuditRecord>> {
    connection
        .prepare_cached(AUDIT)?
        .query_map([limit], |row| {
            Ok(AuditRecord {
                id: row.get(0)?,
                at: timestamp(row, 1)?,
                who: row.get(2)?,
                act: json(&row.get::<_, String>(3)?)?,
            })
        })?
        .collect()
}

/// Deliveries are attempted nearly in their order: the newest attempts are those of the newest deliveries.
pub(in crate::outbox) fn attempts_since(
    connection: &Connection,
    destination: i64,
    since: Timestamp,
) -> rusqlite::Result<u32> {
    let mut statement = connection.prepare_cached(ATTEMPTS)?;
    let mut rows = statement.query((destination, ATTEMPTS_COUNTED))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if time_unless_zero(row, 0)?.is_some_and(|at| at >= since) {
            count += 1;
        }
    }
    Ok(count)
}
