use rusqlite::{Connection, OptionalExtension};

use super::super::incidents::{self, of_incident};
use super::super::read::{destination_key, timestamp};
use super::history::ATTEMPTS_COUNTED;
use super::{attempt_line, time_if_any};
use crate::outbox::IncidentRow;
use crate::outbox::reads::{AttemptLine, DestinationLine, DestinationLoad, MOST_COUNTED, Totals};

const DESTINATIONS: &str = "SELECT t.id, t.legal_entity, t.shop, t.mode, t.rendition, t.paused, t.down, t.parked
  FROM destinations t ORDER BY t.id";
const WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_open
  WHERE destination = ? AND state=0 LIMIT ?)";
const OLDEST: &str = "SELECT since FROM deliveries INDEXED BY deliveries_open
  WHERE destination = ? AND state=0 ORDER BY seq LIMIT 1";
const NEXT: &str = "SELECT due FROM destinations t JOIN deliveries d INDEXED BY deliveries_due ON d.destination = t.id
  WHERE t.id = ? AND t.down IS NULL AND t.paused IS NULL AND t.parked IS NULL AND d.state=0 AND d.due>0
  ORDER BY d.due LIMIT 1";
const NEWEST: &str = "SELECT seq, n, at FROM attempts WHERE destination = ? ORDER BY seq DESC, n DESC LIMIT ?";
pub(super) const ATTEMPT: &str = "SELECT n, at, ms, status, cause, detail, answer FROM attempts
  WHERE destination = ? AND seq = ? AND n = ?";
const OPEN: &str = "SELECT id FROM incidents INDEXED BY incidents_open WHERE destination = ? AND closed_at IS NULL";
const ALL_OPEN: &str = concat!(
    "SELECT ",
    of_incident!(),
    " FROM destinations t JOIN incidents i INDEXED BY incidents_open ON i.destination = t.id AND i.closed_at IS NULL
  ORDER BY t.id"
);
const INCIDENT: &str = concat!(
    "SELECT ",
    of_incident!(),
    " FROM incidents i JOIN destinations t ON t.id = i.destination WHERE i.id = ?"
);
const KEPT: &str = "SELECT count(*) FROM (SELECT 1 FROM notifications INDEXED BY notifications_kept
  WHERE standing <> 'routed' AND has_body=1 AND standing = ? LIMIT ?)";
const EMAILS: &str = "SELECT count(*) FROM (SELECT 1 FROM emails INDEXED BY emails_due WHERE state=0 LIMIT ?)";
const FAILED_EMAILS: &str =
    "SELECT count(*) FROM (SELECT 1 FROM emails INDEXED BY emails_failed WHERE state=2 LIMIT ?)";
const VERBS: &str = "SELECT count(*) FROM (SELECT 1 FROM verbs INDEXED BY verbs_waiting WHERE done_at IS NULL LIMIT ?)";

#[cfg(test)]
pub(super) const QUESTIONS: [&str; 13] = [
    DESTINATIONS,
    WAITING,
    OLDEST,
    NEXT,
    NEWEST,
    ATTEMPT,
    OPEN,
    ALL_OPEN,
    INCIDENT,
    KEPT,
    EMAILS,
    FAILED_EMAILS,
    VERBS,
];

pub(in crate::outbox) fn destinations(connection: &Connection) -> rusqlite::Result<Vec<(i64, DestinationLine)>> {
    connection
        .prepare_cached(DESTINATIONS)?
        .query_map([], |row| {
            let line = DestinationLine {
                key: destination_key(row, 1)?,
                paused_since: time_if_any(row, 5)?,
                down_since: time_if_any(row, 6)?,
                parked_since: time_if_any(row, 7)?,
            };
            Ok((row.get(0)?, line))
        })?
        .collect()
}

pub(in crate::outbox) fn load(connection: &Connection, destination: i64) -> rusqlite::Result<DestinationLoad> {
    let snapshot = connection.unchecked_transaction()?;
    let time = |question| {
        let mut statement = snapshot.prepare_cached(question)?;
        statement.query_row([destination], |row| timestamp(row, 0)).optional()
    };
    Ok(DestinationLoad {
        waiting: snapshot
            .prepare_cached(WAITING)?
            .query_row((destination, MOST_COUNTED), |row| row.get(0))?,
        oldest: time(OLDEST)?,
        next_attempt: time(NEXT)?,
        last_attempt: last_attempt(&snapshot, destination)?,
        incident: snapshot
            .prepare_cached(OPEN)?
            .query_row([destination], |row| row.get(0))
            .optional()?,
    })
}

/// The last one in time. It may be a retry of an older delivery, or a probe; but deliveries are attempted nearly in their
/// order, so it is one of the newest.
fn last_attempt(connection: &Connection, destination: i64) -> rusqlite::Result<Option<AttemptLine>> {
    let mut newest = connection.prepare_cached(NEWEST)?;
    let mut rows = newest.query((destination, ATTEMPTS_COUNTED))?;
    let mut last: Option<(i64, i64, i64)> = None;
    while let Some(row) = rows.next()? {
        let (seq, n, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if last.is_none_or(|(.., latest)| at > latest) {
            last = Some((seq, n, at));
        }
    }
    let Some((seq, n, _)) = last else {
        return Ok(None);
    };
    let mut attempt = connection.prepare_cached(ATTEMPT)?;
    attempt.query_row((destination, seq, n), attempt_line).optional()
}

pub(in crate::outbox) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let kept = |standing: &str| {
        let mut statement = connection.prepare_cached(KEPT)?;
        statement.query_row((standing, MOST_COUNTED), |row| row.get(0))
    };
    let count = |question| {
        let mut statement = connection.prepare_cached(question)?;
        statement.query_row([MOST_COUNTED], |row| row.get(0))
    };
    Ok(Totals {
        parked: kept("parked")?,
        quarantined: kept("quarantined")?,
        emails_waiting: count(EMAILS)?,
        emails_failed: count(FAILED_EMAILS)?,
        verbs_waiting: count(VERBS)?,
    })
}

pub(in crate::outbox) fn open_incidents(connection: &Connection) -> rusqlite::Result<Vec<IncidentRow>> {
    connection
        .prepare_cached(ALL_OPEN)?
        .query_map([], incidents::incident)?
        .collect()
}

pub(in crate::outbox) fn incident(connection: &Connection, id: i64) -> rusqlite::Result<IncidentRow> {
    connection
        .prepare_cached(INCIDENT)?
        .query_row([id], incidents::incident)
}
