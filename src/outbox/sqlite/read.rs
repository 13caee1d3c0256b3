//! Questions to the store. Each that walks an index names it: the planner would take the primary key and scan
//! everything that was ever delivered (store.md 9). The tests hold the plans.

use std::sync::OnceLock;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::de::DeserializeOwned;

use crate::domain::{Charge, DestinationKey, Format, Lane, Matter, Mode, NotificationId, Rendition};
use crate::outbox::{Head, Named, Old, Page, StoredNotification, Waiting, WaitingNotification};

pub(super) const HEAD: &str = "SELECT seq, notification, since, attempts, retries, due, replays, tried, renewed
  FROM deliveries INDEXED BY deliveries_lane WHERE destination = ? AND lane = ? AND state=0 ORDER BY seq LIMIT 1";

const PAGE: &str = "SELECT seq, lane, notification, since
  FROM deliveries INDEXED BY deliveries_open WHERE destination = ? AND state=0 AND seq > ? ORDER BY seq LIMIT ?";

const DUE: &str = "SELECT lane, due FROM deliveries INDEXED BY deliveries_due
  WHERE destination = ? AND state=0 AND due>0 ORDER BY due, seq LIMIT ?";

/// The oldest open delivery of a lane.
pub(in crate::outbox) fn head(connection: &Connection, destination: i64, lane: Lane) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached(HEAD)?
        .query_row((destination, lane.0), |row| {
            let time = |column| match row.get::<_, i64>(column)? {
                0 => Ok(None),
                _ => timestamp(row, column).map(Some),
            };
            Ok(Head {
                seq: row.get(0)?,
                lane,
                notification: row.get(1)?,
                since: timestamp(row, 2)?,
                attempts: row.get(3)?,
                counted: row.get(4)?,
                due: time(5)?,
                tried: time(7)?,
                replays: row.get(6)?,
                renewed: row.get(8)?,
            })
        })
        .optional()
}

/// Open deliveries after a seq, and the highest seq, in one snapshot: a `last` read later would skip what was
/// committed in between.
pub(in crate::outbox) fn page(
    connection: &Connection,
    destination: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Page> {
    let snapshot = connection.unchecked_transaction()?;
    let last = snapshot
        .prepare_cached("SELECT last FROM destinations WHERE id = ?")?
        .query_row([destination], |row| row.get(0))?;
    let rows = snapshot
        .prepare_cached(PAGE)?
        .query_map((destination, after, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
            Ok(Named {
                seq: row.get(0)?,
                lane: Lane(row.get(1)?),
                notification: row.get(2)?,
                since: timestamp(row, 3)?,
                charge: false,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let full = rows.len() == limit;
    Ok(Page { rows, last, full })
}

/// The lanes of the failed deliveries that are due first, with their times.
pub(in crate::outbox) fn due(
    connection: &Connection,
    destination: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(Lane, Timestamp)>> {
    connection
        .prepare_cached(DUE)?
        .query_map((destination, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
            Ok((Lane(row.get(0)?), timestamp(row, 1)?))
        })?
        .collect()
}

/// The oldest open deliveries, as far as they were accepted by then: seqs are given in the order of acceptance.
pub(in crate::outbox) fn older_than(
    connection: &Connection,
    destination: i64,
    accepted_by: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Old>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.seq, d.lane, d.notification, d.since, n.uuid, n.kind, n.charge FROM deliveries d INDEXED BY deliveries_open
         JOIN notifications n ON n.id = d.notification WHERE d.destination = ? AND d.state=0 ORDER BY d.seq LIMIT ?",
    )?;
    let rows = statement.query_map((destination, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
        Ok(Old {
            named: Named {
                seq: row.get(0)?,
                lane: Lane(row.get(1)?),
                notification: row.get(2)?,
                since: timestamp(row, 3)?,
                charge: false,
            },
            notification: NotificationId::from_bytes(row.get(4)?),
            matter: matter(row, 5)?,
        })
    })?;
    let old = |row: &rusqlite::Result<Old>| row.as_ref().map_or(true, |row| row.named.since <= accepted_by);
    rows.take_while(old).collect()
}

/// A notification, as a delivery needs it.
pub(in crate::outbox) fn notification(connection: &Connection, id: i64) -> rusqlite::Result<StoredNotification> {
    connection
        .prepare_cached(
            "SELECT n.uuid, n.received_at, n.legal_entity, n.shop, n.mode, n.format, n.kind, n.charge, n.event, first.uuid,
               n.headers, n.body, n.has_body
             FROM notifications n LEFT JOIN notifications first ON first.id = n.resend_of WHERE n.id = ?",
        )?
        .query_row([id], |row| {
            if !row.get::<_, bool>(12)? {
                return Err(unreadable(
                    12,
                    std::io::Error::other("its body was deleted after its time"),
                ));
            }
            Ok(StoredNotification {
                id: NotificationId::from_bytes(row.get(0)?),
                received_at: timestamp(row, 1)?,
                legal_entity: parsed(row, 2)?,
                shop: parsed(row, 3)?,
                mode: word(row, 4, Mode::from_word)?,
                format: word(row, 5, Format::from_word)?,
                matter: matter(row, 6)?,
                event: row.get(8)?,
                resend_of: row.get::<_, Option<[u8; 16]>>(9)?.map(NotificationId::from_bytes),
                headers: row.get(10)?,
                body: row.get::<_, Vec<u8>>(11)?.into(),
                event_body: OnceLock::new(),
            })
        })
}

/// What waits for a destination, for an e-mail; counting stops at 100,001.
pub(in crate::outbox) fn waiting(
    connection: &Connection,
    key: &DestinationKey,
    first: usize,
) -> rusqlite::Result<Waiting> {
    let snapshot = connection.unchecked_transaction()?;
    let destination: Option<i64> = snapshot
        .prepare_cached(
            "SELECT id FROM destinations WHERE legal_entity = ? AND shop = ? AND mode = ? AND rendition = ?",
        )?
        .query_row(
            (
                key.legal_entity.as_str(),
                key.shop.as_str(),
                key.mode.word(),
                key.rendition.word(),
            ),
            |row| row.get(0),
        )
        .optional()?;
    let Some(destination) = destination else {
        return Ok(Waiting::default());
    };
    let count: i64 = snapshot
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_open
             WHERE destination = ? AND state=0 LIMIT 100001)",
        )?
        .query_row([destination], |row| row.get(0))?;
    let rows = snapshot
        .prepare_cached(
            "SELECT n.uuid, n.kind, n.charge, n.token, n.transaction_uuid, n.received_at FROM deliveries d INDEXED BY deliveries_open
             JOIN notifications n ON n.id = d.notification
             WHERE d.destination = ? AND d.state=0 ORDER BY d.seq LIMIT ?",
        )?
        .query_map((destination, 1_000), listed)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let next_attempt = due(&snapshot, destination, 1)?.first().map(|(_, at)| *at);
    Ok(Waiting {
        count: u64::try_from(count).unwrap_or(0),
        oldest: rows.first().map(|row| row.received_at),
        next_attempt,
        matters: rows.iter().map(|row| row.matter).collect(),
        first: rows.into_iter().take(first).collect(),
    })
}

/// These notifications, in this order, as an e-mail lists them; those that are gone are left out.
pub(in crate::outbox) fn listed_notifications(
    connection: &Connection,
    ids: &[NotificationId],
) -> rusqlite::Result<Vec<WaitingNotification>> {
    let mut statement = connection.prepare_cached(
        "SELECT uuid, kind, charge, token, transaction_uuid, received_at FROM notifications WHERE uuid = ?",
    )?;
    let found = ids
        .iter()
        .map(|id| statement.query_row([id.as_bytes()], listed).optional());
    found.filter_map(Result::transpose).collect()
}

fn listed(row: &Row<'_>) -> rusqlite::Result<WaitingNotification> {
    Ok(WaitingNotification {
        id: NotificationId::from_bytes(row.get(0)?),
        matter: matter(row, 1)?,
        token: row.get(3)?,
        transaction: row.get(4)?,
        received_at: timestamp(row, 5)?,
    })
}

/// A column of milliseconds since 1970.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

/// The same, where there may be none.
pub(super) fn optional_timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let is_there = row.get_ref(column)? != rusqlite::types::ValueRef::Null;
    is_there.then(|| timestamp(row, column)).transpose()
}

/// A column that a type reads from text.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?
        .parse()
        .map_err(|error| unreadable(column, error))
}

pub(super) fn word<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unreadable(column, std::io::Error::other("a word that this version does not know")))
}

/// The columns `kind` and `charge`.
fn matter(row: &Row<'_>, at: usize) -> rusqlite::Result<Matter> {
    let has_charge = row.get_ref(at + 1)? != rusqlite::types::ValueRef::Null;
    Ok(Matter {
        kind: parsed(row, at)?,
        charge: has_charge.then(|| word(row, at + 1, Charge::from_word)).transpose()?,
    })
}

/// Four columns that name a destination.
pub(super) fn destination_key(row: &Row<'_>, at: usize) -> rusqlite::Result<DestinationKey> {
    Ok(DestinationKey {
        legal_entity: parsed(row, at)?,
        shop: parsed(row, at + 1)?,
        mode: word(row, at + 2, Mode::from_word)?,
        rendition: word(row, at + 3, Rendition::from_word)?,
    })
}

/// A column of JSON.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(0, error))
}

pub(super) fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

pub(super) fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::sqlite::testing::plan;

    #[test]
    fn every_question_walks_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let opened = super::super::open::open(&folder.path().join("outbox.db")).unwrap();
        for (question, index) in [
            (HEAD, "deliveries_lane"),
            (PAGE, "deliveries_open"),
            (DUE, "deliveries_due"),
        ] {
            let plan = plan(&opened.reader, question);
            assert_eq!(plan.len(), 1, "{question}: {plan:?}");
            assert!(
                plan[0].starts_with("SEARCH") && plan[0].contains(index),
                "{question}: {plan:?}"
            );
        }
    }

    #[test]
    fn no_question_is_compiled_anew_for_other_values() {
        let folder = tempfile::tempdir().unwrap();
        let opened = super::super::open::open(&folder.path().join("outbox.db")).unwrap();
        for question in [HEAD, PAGE, DUE] {
            let mut statement = opened.reader.prepare(question).unwrap();
            for value in 1..4_i64 {
                let parameters = vec![value; statement.parameter_count()];
                assert!(!statement.exists(rusqlite::params_from_iter(parameters)).unwrap());
            }
            assert_eq!(
                statement.get_status(rusqlite::StatementStatus::RePrepare),
                0,
                "{question}"
            );
        }
    }
}
