use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::domain::{Ended, Kind, LegalEntityId, Mode, NotificationId, Scope, Selection, Verb};
use crate::outbox::sqlite::is_unreadable;
use crate::outbox::sqlite::read::{destination_key, parsed, timestamp, word};
use crate::outbox::verbs::{DeliveryRef, Found, Kept, LeftOut, Progress, Span, Stretch, VerbResult};
use crate::route::Standing;

/// Rows looked at in one question: nobody else is answered meanwhile.
const LOOKED_AT: i64 = 500;
/// What is found in one step is written in one transaction: short enough that no acknowledgement waits for it. A
/// notification is read with its body; a parked one goes to all its destinations.
const DELIVERIES: usize = 100;
const PARKED: i64 = 10;
const RECEIVED: usize = 50;

/// Milliseconds: the end of an attempt is a time of day and a stopwatch's time, that of an incident a time of day.
const SLACK: i64 = 1_000;

// Deliveries of a stretch.
pub(super) const DEAD: &str = "SELECT d.seq, d.state, d.tried, d.since, n.received_at, n.kind
  FROM deliveries d INDEXED BY deliveries_dead JOIN notifications n ON n.id = d.notification
  WHERE d.destination = ? AND d.state=2 AND d.seq > ? AND d.seq <= ? ORDER BY d.seq LIMIT ?";
pub(super) const OPEN: &str = "SELECT d.seq, d.state, d.tried, d.since, n.received_at, n.kind
  FROM deliveries d INDEXED BY deliveries_open JOIN notifications n ON n.id = d.notification
  WHERE d.destination = ? AND d.state=0 AND d.seq > ? AND d.seq <= ? ORDER BY d.seq LIMIT ?";
pub(super) const ALL: &str = "SELECT d.seq, d.state, d.tried, d.since, n.received_at, n.kind
  FROM deliveries d JOIN notifications n ON n.id = d.notification
  WHERE d.destination = ? AND d.seq > ? AND d.seq <= ? ORDER BY d.seq LIMIT ?";

// Notifications of a span.
pub(super) const PARKED_ONES: &str = "SELECT n.id FROM notifications n INDEXED BY notifications_kept
  WHERE n.standing <> 'routed' AND n.has_body=1 AND n.standing = 'parked' AND n.id > ? AND n.id <= ? ORDER BY n.id LIMIT ?";
pub(super) const RECEIVED_ONES: &str = "SELECT id, uuid, legal_entity = ?, mode = ? FROM notifications
  WHERE uuid > ? AND uuid < ? ORDER BY uuid LIMIT ?";
pub(super) const KEPT: &str =
    "SELECT n.uuid, n.received_at, n.kind, n.legal_entity, n.shop, n.mode, n.standing, n.event,
    CASE WHEN n.has_body=1 THEN n.body END,
    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_notification WHERE d.notification = n.id)
  FROM notifications n WHERE n.id = ?";

/// The newest delivery of a notification for each destination: an older one was replayed by it.
pub(super) const NEWEST: &str = "SELECT d.id, newest.seq - 1, newest.seq, d.legal_entity, d.shop, d.mode, d.rendition
  FROM (SELECT destination, max(seq) AS seq FROM deliveries INDEXED BY deliveries_notification
    WHERE notification = ? GROUP BY destination) newest
  JOIN destinations d ON d.id = newest.destination";
const OF_INCIDENT: &str = "SELECT d.id, 0, d.last, d.legal_entity, d.shop, d.mode, d.rendition
  FROM incidents i JOIN destinations d ON d.id = i.destination WHERE i.id = ?";
/// There are few: one for each URL.
const OF_ALL: &str =
    "SELECT id, 0, last, legal_entity, shop, mode, rendition FROM destinations WHERE last >= ? ORDER BY id";

/// Where a verb begins, and where it ends: what comes later is not meant, and its own rows come later.
pub(in crate::outbox) fn begin(
    connection: &Connection,
    verb: &Verb,
    legal_entity: Option<LegalEntityId>,
    now: Timestamp,
) -> rusqlite::Result<Progress> {
    let snapshot = connection.unchecked_transaction()?;
    let (deliveries, notifications) = match verb {
        Verb::Backfill { mode, received, .. } => {
            let until = received.until.min(now + SignedDuration::from_millis(1));
            let span = legal_entity.map(|legal_entity| Span::Received {
                legal_entity,
                mode: *mode,
                after: NotificationId::before(received.from),
                until: NotificationId::before(until),
            });
            (VecDeque::new(), span)
        }
        Verb::Cancel(which) => (stretches(&snapshot, which)?, None),
        Verb::Pause(_) | Verb::Resume(_) => (VecDeque::new(), None),
        Verb::Release { notification } => (VecDeque::new(), Some(Span::One(*notification))),
        Verb::Replay { which, ended, .. } => {
            let span = match ended {
                None => without_deliveries(&snapshot, which)?,
                Some(_) => None,
            };
            (stretches(&snapshot, which)?, span)
        }
    };
    Ok(Progress {
        deliveries,
        notifications,
        result: VerbResult::default(),
    })
}

fn stretches(connection: &Connection, which: &Selection) -> rusqlite::Result<VecDeque<Stretch>> {
    let (question, of) = match which.scope {
        Scope::Incident(id) => (OF_INCIDENT, id),
        Scope::Notification(id) => match key_of(connection, id)? {
            Some(key) => (NEWEST, key),
            None => return Ok(VecDeque::new()),
        },
        Scope::Received(_) => (OF_ALL, 1),
    };
    let mut statement = connection.prepare_cached(question)?;
    let rows = statement.query_map([of], |row| {
        let stretch = Stretch {
            destination: row.get(0)?,
            after: row.get(1)?,
            last: row.get(2)?,
        };
        // One that this version does not know is none of those that are meant.
        Ok((stretch, destination_key(row, 3).ok()))
    })?;
    let mut meant = VecDeque::new();
    for row in rows {
        let (stretch, key) = row?;
        if key.is_some_and(|key| which.destinations.matches(&key)) {
            meant.push_back(stretch);
        }
    }
    Ok(meant)
}

/// What is parked has no deliveries to replay: it is routed anew.
fn without_deliveries(connection: &Connection, which: &Selection) -> rusqlite::Result<Option<Span>> {
    if which.destinations.names_deliveries() {
        return Ok(None);
    }
    match which.scope {
        Scope::Incident(_) => Ok(None),
        Scope::Notification(id) => {
            let Some(key) = key_of(connection, id)? else {
                return Ok(None);
            };
            let has_deliveries = connection.prepare_cached(NEWEST)?.exists([key])?;
            Ok((!has_deliveries).then_some(Span::One(id)))
        }
        Scope::Received(_) => {
            let last = connection.query_row("SELECT coalesce(max(id), 0) FROM notifications", [], |row| row.get(0))?;
            Ok(Some(Span::Parked { after: 0, last }))
        }
    }
}

fn key_of(connection: &Connection, id: NotificationId) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM notifications WHERE uuid = ?")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()
}

/// Finds what comes next.
pub(in crate::outbox) fn look(
    connection: &Connection,
    verb: &Verb,
    mut progress: Progress,
) -> rusqlite::Result<(Found, Progress)> {
    let snapshot = connection.unchecked_transaction()?;
    let meant = Meant::by(&snapshot, verb)?;
    let found = if progress.deliveries.is_empty() {
        let span = progress.notifications.take();
        let mut kept = Vec::new();
        if let Some(span) = span {
            progress.notifications = notifications(&snapshot, span, &meant, &mut kept, &mut progress.result)?;
        }
        Found::Notifications(kept)
    } else {
        Found::Deliveries(deliveries(&snapshot, &meant, &mut progress.deliveries)?)
    };
    Ok((found, progress))
}

/// Which rows of a stretch or span are meant.
struct Meant<'a> {
    /// The question that asks for them.
    deliveries: &'static str,
    /// As in `deliveries.state`; `None`: any, and what cannot be dealt with is counted.
    state: Option<i64>,
    which: Option<&'a Selection>,
    /// The times at which the incident, if one is meant, was open.
    open: Option<(i64, i64)>,
}

impl<'a> Meant<'a> {
    fn by(connection: &Connection, verb: &'a Verb) -> rusqlite::Result<Self> {
        let (which, ended) = match verb {
            Verb::Backfill { .. } | Verb::Pause(_) | Verb::Release { .. } | Verb::Resume(_) => (None, None),
            Verb::Cancel(which) => (Some(which), None),
            Verb::Replay { which, ended, .. } => (Some(which), *ended),
        };
        let is_cancel = matches!(verb, Verb::Cancel(_));
        let one = which.is_some_and(|which| matches!(which.scope, Scope::Notification(_)));
        let (deliveries, state) = match ended {
            Some(Ended::Cancelled) => (ALL, Some(3)),
            Some(Ended::DeadLetter) => (DEAD, Some(2)),
            Some(Ended::Delivered) => (ALL, Some(1)),
            None if one => (ALL, None),
            None if is_cancel => (OPEN, Some(0)),
            None => (DEAD, Some(2)),
        };
        let open = match which.map(|which| which.scope) {
            Some(Scope::Incident(id)) => connection
                .prepare_cached("SELECT opened_at, coalesce(closed_at + ?2, ?3) FROM incidents WHERE id = ?1")?
                .query_row((id, SLACK, i64::MAX), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
            _ => None,
        };
        Ok(Self {
            deliveries,
            state,
            which,
            open,
        })
    }

    fn delivery(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let (state, tried, since): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let in_time = self.open.is_none_or(|(opened, closed)| match state {
            // What waits was there before it was over; what has ended, ended while it was open.
            0 => since <= closed,
            _ => (opened..=closed).contains(&tried),
        });
        Ok(self.state.is_none_or(|wanted| wanted == state) && in_time && self.notification(row, 4)?)
    }

    /// `received_at` and `kind` stand in this column and the next.
    fn notification(&self, row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
        let Some(which) = self.which else {
            return Ok(true);
        };
        let in_time = match which.scope {
            Scope::Received(period) => period.contains(timestamp(row, column)?),
            Scope::Incident(_) | Scope::Notification(_) => true,
        };
        let kind = match which.kind {
            // A kind that this version does not know is none of those that were named.
            Some(pattern) => parsed::<Kind>(row, column + 1).is_ok_and(|kind| pattern.matches(kind)),
            None => true,
        };
        Ok(in_time && kind)
    }

    fn circle(&self, legal_entity: &LegalEntityId, mode: Mode) -> bool {
        self.which
            .is_none_or(|which| which.destinations.matches_circle(legal_entity, mode))
    }
}

fn deliveries(
    connection: &Connection,
    meant: &Meant<'_>,
    stretches: &mut VecDeque<Stretch>,
) -> rusqlite::Result<Vec<DeliveryRef>> {
    let mut statement = connection.prepare_cached(meant.deliveries)?;
    let mut found = Vec::new();
    let mut left = LOOKED_AT;
    while let Some(stretch) = stretches.front_mut() {
        let Stretch {
            destination,
            after,
            last,
        } = *stretch;
        let mut rows = statement.query((destination, after, last, left))?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            stretch.after = seq;
            left -= 1;
            if meant.delivery(row)? {
                found.push(DeliveryRef { destination, seq });
                if found.len() == DELIVERIES {
                    return Ok(found);
                }
            }
        }
        if left == 0 {
            return Ok(found);
        }
        stretches.pop_front();
    }
    Ok(found)
}

/// Adds what is found of a span, and returns what is left of it.
fn notifications(
    connection: &Connection,
    span: Span,
    meant: &Meant<'_>,
    found: &mut Vec<Kept>,
    result: &mut VerbResult,
) -> rusqlite::Result<Option<Span>> {
    let mut find = |key, parked_only| match kept(connection, key, meant, parked_only) {
        Ok(kept) => {
            found.extend(kept);
            Ok(found.len())
        }
        Err(error) if is_unreadable(&error) => {
            result.leave_out(LeftOut::Unreadable);
            Ok(found.len())
        }
        Err(error) => Err(error),
    };
    match span {
        Span::One(id) => {
            if let Some(key) = key_of(connection, id)? {
                find(key, false)?;
            }
            Ok(None)
        }
        Span::Parked { after, last } => {
            let mut statement = connection.prepare_cached(PARKED_ONES)?;
            let mut rows = statement.query((after, last, PARKED))?;
            let (mut count, mut after) = (0, after);
            while let Some(row) = rows.next()? {
                after = row.get(0)?;
                count += 1;
                find(after, true)?;
            }
            Ok((count == PARKED).then_some(Span::Parked { after, last }))
        }
        Span::Received {
            legal_entity,
            mode,
            mut after,
            until,
        } => {
            let mut statement = connection.prepare_cached(RECEIVED_ONES)?;
            let mut rows = statement.query((
                legal_entity.as_str(),
                mode.word(),
                after.as_bytes(),
                until.as_bytes(),
                LOOKED_AT,
            ))?;
            let (mut looked_at, mut is_full) = (0, false);
            while let Some(row) = rows.next()? {
                after = NotificationId::from_bytes(row.get(1)?);
                looked_at += 1;
                let of_the_circle = row.get::<_, bool>(2)? && row.get::<_, bool>(3)?;
                if of_the_circle && find(row.get(0)?, false)? == RECEIVED {
                    is_full = true;
                    break;
                }
            }
            Ok((is_full || looked_at == LOOKED_AT).then_some(Span::Received {
                legal_entity,
                mode,
                after,
                until,
            }))
        }
    }
}

/// A notification, if it is meant.
fn kept(connection: &Connection, key: i64, meant: &Meant<'_>, parked_only: bool) -> rusqlite::Result<Option<Kept>> {
    let row = connection.prepare_cached(KEPT)?.query_row([key], |row| {
        let (legal_entity, mode): (LegalEntityId, _) = (parsed(row, 3)?, word(row, 5, Mode::from_word)?);
        let is_meant = meant.circle(&legal_entity, mode) && meant.notification(row, 1)?;
        if !is_meant || parked_only && row.get::<_, bool>(9)? {
            return Ok(None);
        }
        Ok(Some(Kept {
            key,
            id: NotificationId::from_bytes(row.get(0)?),
            received_at: timestamp(row, 1)?,
            legal_entity,
            shop: parsed(row, 4)?,
            mode,
            standing: word(row, 6, Standing::from_word)?,
            event: row.get(7)?,
            body: row.get::<_, Option<Vec<u8>>>(8)?.map(Into::into),
        }))
    });
    row.optional().map(Option::flatten)
}
