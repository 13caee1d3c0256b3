use rusqlite::{Connection, OptionalExtension};

use super::super::read::{HEAD, timestamp};
use super::{attempt_line, delivery_line, notification_line, of_delivery, of_notification, time_unless_zero};
use crate::domain::{Lane, NotificationId};
use crate::outbox::reads::{
    AttemptLine, Behind, ConfigurationLine, DeliveryState, MOST_SHOWN, NotificationLine, Shown, ShownDelivery,
};

/// The last attempts of a delivery that are shown.
const ATTEMPTS_SHOWN: u32 = 10;

const NOTIFICATION: &str = concat!(
    "SELECT ",
    of_notification!(),
    ", first.uuid, n.has_body, c.hash, c.at, c.applied_by
     FROM notifications n LEFT JOIN notifications first ON first.id = n.resend_of
     LEFT JOIN configurations c ON c.id = n.configuration WHERE n.uuid = ?"
);
const DELIVERIES: &str = concat!(
    "SELECT ",
    of_delivery!(),
    ", d.destination, d.lane
     FROM deliveries d INDEXED BY deliveries_notification JOIN destinations t ON t.id = d.destination
     WHERE d.notification = ? ORDER BY d.destination, d.seq LIMIT ?"
);
const ATTEMPTS: &str = "SELECT n, at, ms, status, cause, detail, answer FROM attempts
  WHERE destination = ? AND seq = ? ORDER BY n DESC LIMIT ?";
const UUID: &str = "SELECT uuid FROM notifications WHERE id = ?";
const TOKEN: &str = "SELECT uuid FROM notifications INDEXED BY notifications_token
  WHERE lane = ? AND token = ? ORDER BY id DESC LIMIT ?";
const NEWEST: &str = concat!(
    "SELECT ",
    of_notification!(),
    " FROM notifications n ORDER BY n.id DESC LIMIT 1"
);

#[cfg(test)]
pub(super) const QUESTIONS: [&str; 5] = [NOTIFICATION, DELIVERIES, ATTEMPTS, UUID, TOKEN];

/// A notification with everything that became of it.
pub(in crate::outbox) fn find(connection: &Connection, id: NotificationId) -> rusqlite::Result<Option<Shown>> {
    let snapshot = connection.unchecked_transaction()?;
    let found = snapshot
        .prepare_cached(NOTIFICATION)?
        .query_row([id.as_bytes()], |row| {
            let hash: Option<String> = row.get(13)?;
            Ok(Shown {
                notification: notification_line(row)?,
                resend_of: row.get::<_, Option<[u8; 16]>>(11)?.map(NotificationId::from_bytes),
                has_body: row.get(12)?,
                configuration: match hash {
                    Some(hash) => Some(ConfigurationLine {
                        hash,
                        applied_at: timestamp(row, 14)?,
                        applied_by: row.get(15)?,
                    }),
                    None => None,
                },
                deliveries: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut found) = found else {
        return Ok(None);
    };
    found.deliveries = snapshot
        .prepare_cached(DELIVERIES)?
        .query_map((found.notification.key, MOST_SHOWN), |row| {
            let line = delivery_line(row, 0)?;
            let (destination, lane): (i64, i64) = (row.get(14)?, row.get(15)?);
            Ok(ShownDelivery {
                behind: match line.state {
                    DeliveryState::Waiting => behind(&snapshot, destination, lane, line.seq)?,
                    DeliveryState::Cancelled | DeliveryState::Delivered | DeliveryState::GivenUp => None,
                },
                last_attempts: attempts(&snapshot, destination, line.seq)?,
                line,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(found))
}

/// The head of a lane, unless it is this delivery.
fn behind(connection: &Connection, destination: i64, lane: i64, seq: i64) -> rusqlite::Result<Option<Behind>> {
    let head = connection
        .prepare_cached(HEAD)?
        .query_row((destination, lane), |row| {
            let (of, notification): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((of, notification, row.get(3)?, time_unless_zero(row, 5)?))
        })
        .optional()?;
    let Some((_, notification, attempts, due)) = head.filter(|head| head.0 != seq) else {
        return Ok(None);
    };
    let uuid = connection
        .prepare_cached(UUID)?
        .query_row([notification], |row| row.get(0))
        .optional()?;
    Ok(uuid.map(|uuid| Behind {
        notification: NotificationId::from_bytes(uuid),
        attempts,
        due,
    }))
}

/// The last ones, the oldest of them first.
fn attempts(connection: &Connection, destination: i64, seq: i64) -> rusqlite::Result<Vec<AttemptLine>> {
    let mut attempts: Vec<_> = connection
        .prepare_cached(ATTEMPTS)?
        .query_map((destination, seq, ATTEMPTS_SHOWN), attempt_line)?
        .collect::<rusqlite::Result<_>>()?;
    attempts.reverse();
    Ok(attempts)
}

/// The newest notifications about a token.
pub(in crate::outbox) fn about_token(
    connection: &Connection,
    token: &str,
    limit: u32,
) -> rusqlite::Result<Vec<NotificationId>> {
    connection
        .prepare_cached(TOKEN)?
        .query_map((Lane::of(token).0, token, limit), |row| {
            row.get(0).map(NotificationId::from_bytes)
        })?
        .collect()
}

/// The one stored last.
pub(in crate::outbox) fn newest(connection: &Connection) -> rusqlite::Result<Option<NotificationLine>> {
    connection
        .prepare_cached(NEWEST)?
        .query_row([], notification_line)
        .optional()
}
