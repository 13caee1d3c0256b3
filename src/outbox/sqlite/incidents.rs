//! Incidents: written by the owners of their destinations, read by whoever tells of them.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::read;
use super::writer::{AfterCommit, Ledger};
use crate::domain::{Audited, DestinationKey, Incident};
use crate::outbox::{Acknowledged, Acknowledgement, Inbox, IncidentRow, Lease, News};

const NEWEST_INCIDENT: &str = "SELECT id, facts, closed_at IS NULL FROM incidents INDEXED BY incidents_destination
  WHERE destination = ? ORDER BY id DESC LIMIT 1";

/// The columns of [`incident`].
macro_rules! of_incident {
    () => {
        "i.id, t.legal_entity, t.shop, t.mode, t.rendition, i.version, i.facts, i.told, i.told_with,
         i.acknowledged_at, i.acknowledged_by, i.acknowledged_until, t.paused IS NOT NULL, t.give_up_from"
    };
}
pub(super) use of_incident;

/// Open ones, those that were not seen as they are, and those that are told together with them.
const TO_TELL: &str = concat!(
    "WITH changed(id, told_with) AS (
    SELECT id, told_with FROM incidents INDEXED BY incidents_open WHERE closed_at IS NULL
    UNION SELECT id, told_with FROM incidents INDEXED BY incidents_unseen WHERE seen <> version)
  SELECT ",
    of_incident!(),
    " FROM incidents i JOIN destinations t ON t.id = i.destination
  WHERE i.id IN (SELECT id FROM changed
    UNION SELECT id FROM incidents INDEXED BY incidents_told_with WHERE told_with IN (SELECT told_with FROM changed))
  ORDER BY i.id LIMIT ?"
);

pub(in crate::outbox) fn unseen_incidents(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<IncidentRow>> {
    let mut statement = connection.prepare_cached(TO_TELL)?;
    let mut rows = statement.query([limit])?;
    let mut incidents = Vec::new();
    while let Some(row) = rows.next()? {
        match incident(row) {
            Ok(incident) => incidents.push(incident),
            // Its owner closes it at the next start; the others are told meanwhile.
            Err(error) => tracing::error!(%error, "cannot read an incident, nobody is told of it: {error}"),
        }
    }
    Ok(incidents)
}

pub(super) fn incident(row: &Row<'_>) -> rusqlite::Result<IncidentRow> {
    let acknowledged = match (read::optional_timestamp(row, 9)?, row.get(10)?) {
        (Some(at), Some(by)) => Some(Acknowledgement {
            at,
            by,
            until: read::optional_timestamp(row, 11)?,
        }),
        _ => None,
    };
    Ok(IncidentRow {
        id: row.get(0)?,
        destination: read::destination_key(row, 1)?,
        version: row.get(5)?,
        incident: read::json(&row.get::<_, String>(6)?)?,
        told: row.get(7)?,
        told_with: row.get(8)?,
        acknowledged,
        is_paused: row.get(12)?,
        tried_from: read::timestamp(row, 13)?,
    })
}

/// What was given since the oldest open delivery.
const AT_MOST: &str = "SELECT d.id, coalesce(d.last + 1 - (SELECT seq FROM deliveries INDEXED BY deliveries_open
    WHERE destination = d.id AND state=0 ORDER BY seq LIMIT 1), 0)
  FROM destinations d WHERE d.legal_entity = ? AND d.shop = ? AND d.mode = ? AND d.rendition = ?";

/// Counting is for those who have many.
pub(in crate::outbox) fn waiting_count(
    connection: &Connection,
    key: &DestinationKey,
    counted: &Range<u64>,
) -> rusqlite::Result<u64> {
    let at_most = connection
        .prepare_cached(AT_MOST)?
        .query_row(
            (
                key.legal_entity.as_str(),
                key.shop.as_str(),
                key.mode.word(),
                key.rendition.word(),
            ),
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional()?;
    let (destination, at_most) = at_most.unwrap_or((0, 0));
    let at_most = u64::try_from(at_most).unwrap_or(0);
    if at_most < counted.start {
        return Ok(at_most);
    }
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_open
             WHERE destination = ? AND state=0 LIMIT ?)",
        )?
        .query_row((destination, i64::try_from(counted.end).unwrap_or(i64::MAX)), |row| {
            row.get(0)
        })?;
    Ok(u64::try_from(count).unwrap_or(0))
}

impl Ledger {
    /// The incident that is open, or may still come back. One that this version cannot read is closed untold: neither
    /// the shop nor the other incidents are to wait for whoever can.
    pub(super) fn newest_incident(
        &self,
        destination: i64,
        key: &DestinationKey,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Incident>> {
        let newest = self
            .connection
            .prepare_cached(NEWEST_INCIDENT)?
            .query_row([destination], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((id, facts)) = newest else { return Ok(None) };
        match read::json::<Incident>(&facts) {
            Ok(incident) => Ok(Some(incident).filter(|incident| incident.spans(now))),
            Err(error) => {
                tracing::error!(%error, destination = %key, "cannot read the incident of {key}, closing it: {error}");
                self.connection
                    .prepare_cached(
                        "UPDATE incidents SET closed_at = coalesce(closed_at, ?), seen = version WHERE id = ?",
                    )?
                    .execute((now.as_millisecond(), id))?;
                Ok(None)
            }
        }
    }

    /// Writes an incident over the newest row of the destination if that is open, or the same that was over and is open
    /// again; else it is a new one.
    pub(super) fn incident(&self, destination: i64, incident: &Incident, now: Timestamp) -> rusqlite::Result<()> {
        let facts = serde_json::to_string(incident).map_err(read::unwritable)?;
        let closed_at = incident.recovered_at.map(|at| at.as_millisecond());
        let newest = self
            .connection
            .prepare_cached(NEWEST_INCIDENT)?
            .query_row([destination], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
            })
            .optional()?;
        let is_same = |facts: &str| read::json::<Incident>(facts).is_ok_and(|old| old.opened_at == incident.opened_at);
        match newest.filter(|(_, facts, is_open)| *is_open || is_same(facts)) {
            Some((id, ..)) => self
                .connection
                .prepare_cached("UPDATE incidents SET facts = ?, closed_at = ?, version = version + 1 WHERE id = ?")?
                .execute((&facts, closed_at, id))?,
            // One that has ended before it could be written is not worth telling of.
            None if closed_at.is_some() => 0,
            None => self
                .connection
                .prepare_cached("INSERT INTO incidents(destination, opened_at, facts) VALUES (?, ?, ?)")?
                .execute((destination, now.as_millisecond(), &facts))?,
        };
        Ok(())
    }

    /// Who is told of several incidents in one thread acknowledges them all.
    pub(crate) fn acknowledge(
        &self,
        incident: i64,
        by: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> rusqlite::Result<Acknowledged> {
        let known = self
            .connection
            .prepare_cached("SELECT closed_at IS NULL, coalesce(told_with, 0) FROM incidents WHERE id = ?")?
            .query_row([incident], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((is_open, told_with)) = known else {
            return Ok(Acknowledged::Unknown);
        };
        if !is_open {
            return Ok(Acknowledged::NotOpen);
        }
        self.note(&Audited::Acknowledged { incident, until }, by, now)?;
        let noted = self
            .connection
            .prepare_cached(
                "UPDATE incidents SET acknowledged_at = ?, acknowledged_by = ?, acknowledged_until = ?
                 WHERE closed_at IS NULL AND (id = ? OR told_with = ?)",
            )?
            .execute((
                now.as_millisecond(),
                by,
                until.map(|until| until.as_millisecond()),
                incident,
                told_with,
            ))?;
        Ok(Acknowledged::Noted(noted))
    }
}

/// Writes that an incident is over; nothing for an owner whose lease is lost, or if the store knows of a later failure.
pub(in crate::outbox) fn end_incident(ledger: &mut Ledger, mut end: EndOfIncident) -> rusqlite::Result<AfterCommit> {
    let lease = end.lease;
    if ledger
        .owners
        .get(&lease.destination)
        .is_some_and(|owner| owner.epoch == lease.epoch)
    {
        let incident = &end.incident;
        let facts = serde_json::to_string(incident).map_err(read::unwritable)?;
        ledger
            .connection
            .prepare_cached(
                "UPDATE incidents SET facts = ?1, closed_at = ?2, version = version + 1
                 WHERE destination = ?3 AND closed_at IS NULL
                   AND json_extract(facts, '$.failures') = ?4 AND json_extract(facts, '$.opened_at') = ?5",
            )?
            .execute((
                &facts,
                incident.recovered_at.map(|at| at.as_millisecond()),
                lease.destination,
                i64::try_from(incident.failures).unwrap_or(i64::MAX),
                incident.opened_at.to_string(),
            ))?;
    }
    let alert = Arc::clone(&ledger.alert_changed);
    Ok(Box::new(move || {
        end.committed = true;
        drop(end);
        alert.notify_one();
    }))
}

/// The end of an incident on its way; tells the owner if it is dropped before the commit.
pub(in crate::outbox) struct EndOfIncident {
    lease: Lease,
    incident: Incident,
    inbox: Arc<Inbox>,
    committed: bool,
}

impl EndOfIncident {
    pub(in crate::outbox) fn new(lease: Lease, incident: Incident, inbox: &Arc<Inbox>) -> Self {
        Self {
            lease,
            incident,
            inbox: Arc::clone(inbox),
            committed: false,
        }
    }
}

impl Drop for EndOfIncident {
    fn drop(&mut self) {
        if !self.committed {
            self.inbox.tell(News::StillOpen);
            self.inbox.wake();
        }
    }
}
