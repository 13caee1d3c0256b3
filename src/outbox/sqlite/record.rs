use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::persons::ERASED;
use super::read;
use super::writer::{AfterCommit, Ledger, Owner};
use crate::domain::{DestinationKey, Incident, Lane};
use crate::outbox::{AttemptRecord, Gone, Inbox, Lease, News, Next, OutboxError, Owned};

/// How a delivery ends that is not attempted any more; the numbers are `deliveries.state`'s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EndState {
    Cancelled = 3,
    DeadLetter = 2,
}

impl Ledger {
    /// Makes the caller the owner: from the end of this transaction on, the inbox gets what is committed.
    pub(crate) fn own(
        &mut self,
        key: &DestinationKey,
        node: &str,
        inbox: Arc<Inbox>,
        now: Timestamp,
    ) -> rusqlite::Result<Owned> {
        let destination = *self.destination(key, now)?;
        let id = destination.id;
        // What came before it was served for the first time has waited because of us, too.
        let (epoch, give_up_from, down_since, paused) = self.connection.query_row(
            "UPDATE destinations SET owner = ?, epoch = epoch + 1, parked = NULL,
               give_up_from = CASE WHEN parked IS NULL THEN give_up_from ELSE max(give_up_from, ?) END
             WHERE id = ? RETURNING epoch, give_up_from, down, paused IS NOT NULL",
            (node, now.as_millisecond(), id),
            |row| {
                let down = row
                    .get::<_, Option<i64>>(2)?
                    .map(|_| read::timestamp(row, 2))
                    .transpose()?;
                Ok((row.get(0)?, read::timestamp(row, 1)?, down, row.get(3)?))
            },
        )?;
        let oldest: Option<i64> = self
            .connection
            .query_row(
                "SELECT seq FROM deliveries INDEXED BY deliveries_open WHERE destination = ? AND state=0
                 ORDER BY seq LIMIT 1",
                [id],
                |row| row.get(0),
            )
            .optional()?;
        let incident = self.newest_incident(id, key, now)?;
        let failing: i64 = self.connection.query_row(
            "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_due
             WHERE destination = ? AND state=0 AND due>0 LIMIT 100000)",
            [id],
            |row| row.get(0),
        )?;
        let owned = Owned {
            lease: Lease { destination: id, epoch },
            read: oldest.map_or(destination.last, |seq| seq - 1),
            last: destination.last,
            paused,
            give_up_from,
            down_since,
            incident,
            failing: u64::try_from(failing).unwrap_or(0),
        };
        inbox.begin(&owned);
        let owner = Owner {
            epoch,
            inbox,
            down_since: Some(down_since),
        };
        self.set_owner(id, Some(owner));
        Ok(owned)
    }

    /// Gives it back.
    pub(crate) fn release(&mut self, lease: Lease, parked_at: Option<Timestamp>) -> rusqlite::Result<()> {
        if self
            .owners
            .get(&lease.destination)
            .is_some_and(|owner| owner.epoch == lease.epoch)
        {
            self.set_owner(lease.destination, None);
            self.connection.execute(
                "UPDATE destinations SET owner = NULL, parked = ? WHERE id = ?",
                (parked_at.map(|at| at.as_millisecond()), lease.destination),
            )?;
        }
        Ok(())
    }

    /// Notes which destinations nobody serves from now on: all but these.
    pub(crate) fn park_others(&mut self, served: &[DestinationKey], now: Timestamp) -> rusqlite::Result<()> {
        let mut served_ids = HashSet::new();
        for key in served {
            served_ids.insert(self.destination(key, now)?.id);
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM destinations WHERE parked IS NULL")?;
        let unparked: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for id in unparked.iter().filter(|id| !served_ids.contains(id)) {
            self.connection
                .prepare_cached("UPDATE destinations SET parked = ? WHERE id = ?")?
                .execute((now.as_millisecond(), id))?;
        }
        Ok(())
    }

    pub(super) fn record(&mut self, record: &AttemptRecord, inbox: &Arc<Inbox>) -> rusqlite::Result<AfterCommit> {
        let inbox = Arc::clone(inbox);
        let lease = record.lease;
        let owner = self
            .owners
            .get_mut(&lease.destination)
            .filter(|owner| owner.epoch == lease.epoch);
        let Some(owner) = owner else {
            let record = record.clone();
            return Ok(Box::new(move || inbox.refuse(record, OutboxError::LeaseLost)));
        };
        if owner.down_since != Some(record.down_since) {
            owner.down_since = Some(record.down_since);
            self.connection
                .prepare_cached("UPDATE destinations SET down = ? WHERE id = ?")?
                .execute((record.down_since.map(|since| since.as_millisecond()), lease.destination))?;
        }
        let (state, due) = match record.next {
            Next::Due(at) => (0, at.as_millisecond().max(1)),
            Next::Delivered => (1, 0),
            Next::DeadLetter => (2, 0),
        };
        let mut update = self.connection.prepare_cached(
            "UPDATE deliveries SET attempts = ?2, retries = ?3, tried = ?5,
               state = CASE WHEN state=0 OR ?1=1 THEN ?1 ELSE state END,
               due = CASE WHEN state=0 THEN ?4 ELSE 0 END
             WHERE destination = ?6 AND seq = ?7 AND lane = ?8",
        )?;
        let mut written_in = |lane: Lane| {
            update.execute((
                state,
                record.attempt,
                record.counted,
                due,
                record.ended_at().as_millisecond(),
                lease.destination,
                record.seq,
                lane.0,
            ))
        };
        let erased;
        let record = if written_in(record.lane)? == 1 {
            record
        } else {
            // Erased while it was attempted: that it was, and how it ended, is all that is kept.
            written_in(ERASED)?;
            erased = record.without_words();
            &erased
        };
        drop(update);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO attempts(destination, seq, n, at, ms, status, cause, detail, answer)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                lease.destination,
                record.seq,
                record.attempt,
                record.started_at.as_millisecond(),
                i64::try_from(record.took.as_millis()).unwrap_or(i64::MAX),
                record.status,
                record.cause,
                Some(&record.detail).filter(|detail| !detail.is_empty()),
                Some(&record.answer).filter(|answer| !answer.is_empty()),
            ))?;
        if let Some(incident) = &record.incident {
            self.incident(lease.destination, incident, record.started_at)?;
        }
        self.notices(record)?;
        let next = read::head(&self.connection, lease.destination, record.lane)?;
        let (seq, lane) = (record.seq, record.lane);
        let has_news = record.incident.is_some() || record.told_apart.is_some() || record.complaint.is_some();
        let alert = has_news.then(|| Arc::clone(&self.alert_changed));
        Ok(Box::new(move || {
            inbox.tell(News::Recorded { seq, lane, next });
            inbox.wake();
            if let Some(alert) = alert {
                alert.notify_one();
            }
        }))
    }

    /// Ends deliveries that are still open, and returns them. One that is being attempted right now is among them: its
    /// record will say how the attempt went, and only a success changes the state again.
    pub(super) fn end_unattempted(
        &self,
        destination: i64,
        seqs: &[i64],
        state: EndState,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<Gone>> {
        let mut open = self
            .connection
            .prepare_cached("SELECT lane, due > 0 FROM deliveries WHERE destination = ? AND seq = ? AND state=0")?;
        let mut end = self
            .connection
            .prepare_cached("UPDATE deliveries SET state = ?, due = 0, tried = ? WHERE destination = ? AND seq = ?")?;
        let mut gone = Vec::new();
        for &seq in seqs {
            let found = open.query_row((destination, seq), |row| {
                Ok(Gone {
                    seq,
                    lane: Lane(row.get(0)?),
                    failed: row.get(1)?,
                })
            });
            if let Some(row) = found.optional()? {
                end.execute((state as i64, now.as_millisecond(), destination, seq))?;
                gone.push(row);
            }
        }
        Ok(gone)
    }
}

/// Ends deliveries as dead letters; for an owner whose lease is lost, nothing.
pub(in crate::outbox) fn give_up(
    ledger: &mut Ledger,
    lease: Lease,
    incident: Option<&Incident>,
    now: Timestamp,
    mut given_up: GivenUp,
) -> rusqlite::Result<AfterCommit> {
    if ledger
        .owners
        .get(&lease.destination)
        .is_none_or(|owner| owner.epoch != lease.epoch)
    {
        return Ok(Box::new(|| {}));
    }
    given_up.rows = ledger.end_unattempted(lease.destination, &given_up.asked, EndState::DeadLetter, now)?;
    ledger.note_ended(lease.destination, &given_up.rows);
    if let Some(incident) = incident {
        ledger.incident(lease.destination, incident, now)?;
    }
    let alert = Arc::clone(&ledger.alert_changed);
    Ok(Box::new(move || {
        given_up.committed = true;
        drop(given_up);
        alert.notify_one();
    }))
}

/// Tells the owner what was given up; nothing, if it is dropped before the commit.
pub(in crate::outbox) struct GivenUp {
    inbox: Arc<Inbox>,
    asked: Vec<i64>,
    rows: Vec<Gone>,
    committed: bool,
}

impl GivenUp {
    pub(in crate::outbox) fn new(seqs: Vec<i64>, inbox: &Arc<Inbox>) -> Self {
        Self {
            inbox: Arc::clone(inbox),
            asked: seqs,
            rows: Vec::new(),
            committed: false,
        }
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        let rows = if self.committed {
            std::mem::take(&mut self.rows)
        } else {
            Vec::new()
        };
        self.inbox.tell(News::GaveUp { rows });
        self.inbox.wake();
    }
}
