use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::super::read::destination_key;
use super::{NOTIFICATION_COLUMNS, delivery_line, notification_line, of_delivery, of_notification};
use crate::domain::{Lane, NotificationId};
use crate::outbox::reads::{
    Cursor, DeliveryLine, DeliveryState, Item, ItemPage, NotificationLine, Wanted, WantedState,
};
use crate::route::Standing;

/// Rows looked at in one question: nobody else is answered meanwhile.
const LOOKED_AT: i64 = 500;
/// Notifications are stored in the order of receipt, but for those that wait for the same commit, or for a slow client.
const OUT_OF_ORDER: SignedDuration = SignedDuration::from_mins(2);
/// Milliseconds: as for `replay`, which takes the same deliveries for an incident's.
const SLACK: i64 = 1_000;

const WAITING: i64 = 0;
const GIVEN_UP: i64 = 2;

const OPEN: &str = concat!(
    "SELECT ",
    of_notification!(),
    ", ",
    of_delivery!(),
    " FROM deliveries d INDEXED BY deliveries_open JOIN notifications n ON n.id = d.notification
     JOIN destinations t ON t.id = d.destination
     WHERE d.destination = ? AND d.state=0 AND d.seq > ? ORDER BY d.seq LIMIT ?"
);
const DEAD: &str = concat!(
    "SELECT ",
    of_notification!(),
    ", ",
    of_delivery!(),
    " FROM deliveries d INDEXED BY deliveries_dead JOIN notifications n ON n.id = d.notification
     JOIN destinations t ON t.id = d.destination
     WHERE d.destination = ? AND d.state=2 AND d.seq > ? ORDER BY d.seq LIMIT ?"
);
const BY_TIME: &str = concat!(
    "SELECT ",
    of_notification!(),
    " FROM notifications n WHERE n.id < ? ORDER BY n.id DESC LIMIT ?"
);
const BY_TOKEN: &str = concat!(
    "SELECT ",
    of_notification!(),
    " FROM notifications n INDEXED BY notifications_token
     WHERE n.id < ? AND n.token = ?3 AND n.lane = ?4 ORDER BY n.id DESC LIMIT ?2"
);
const BY_TRANSACTION: &str = concat!(
    "SELECT ",
    of_notification!(),
    " FROM notifications n INDEXED BY notifications_transaction
     WHERE n.id < ? AND n.transaction_uuid = ?3 ORDER BY n.id DESC LIMIT ?2"
);
const BY_STANDING: &str = concat!(
    "SELECT ",
    of_notification!(),
    " FROM notifications n INDEXED BY notifications_kept
     WHERE n.id < ? AND n.standing <> 'routed' AND n.has_body=1 AND n.standing = ?3 ORDER BY n.id DESC LIMIT ?2"
);
const DELIVERIES: &str = concat!(
    "SELECT ",
    of_delivery!(),
    " FROM deliveries d INDEXED BY deliveries_notification JOIN destinations t ON t.id = d.destination
     WHERE d.notification = ? ORDER BY d.destination, d.seq"
);
const LAST_BEFORE: &str = "SELECT id FROM notifications WHERE uuid < ? ORDER BY uuid DESC LIMIT 1";

#[cfg(test)]
pub(super) const QUESTIONS: [&str; 8] = [
    OPEN,
    DEAD,
    BY_TIME,
    BY_TOKEN,
    BY_TRANSACTION,
    BY_STANDING,
    DELIVERIES,
    LAST_BEFORE,
];

/// Some lines: what waits or was given up by destination, the oldest first; everything else the newest first.
pub(in crate::outbox) fn list(
    connection: &Connection,
    wanted: &Wanted,
    from: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<ItemPage> {
    let snapshot = connection.unchecked_transaction()?;
    let states: &[i64] = match (wanted.incident, wanted.state) {
        (_, Some(WantedState::Waiting)) => &[WAITING],
        (_, Some(WantedState::GivenUp)) => &[GIVEN_UP],
        (Some(_), None) => &[WAITING, GIVEN_UP],
        // An incident leaves nothing else behind that could be told from what others leave.
        (Some(_), Some(_)) => &[],
        (None, _) => return notifications(&snapshot, wanted, from, limit),
    };
    // A token or a transaction has few notifications; a destination may have many deliveries.
    if (wanted.token.is_some() || wanted.transaction.is_some()) && wanted.incident.is_none() {
        return notifications(&snapshot, wanted, from, limit);
    }
    deliveries(&snapshot, wanted, states, from, limit)
}

fn deliveries(
    connection: &Connection,
    wanted: &Wanted,
    states: &[i64],
    from: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<ItemPage> {
    let start = match from {
        Some(Cursor::After {
            state,
            destination,
            seq,
        }) => (state, destination, seq),
        _ => (0, 0, 0),
    };
    let incident = match wanted.incident {
        Some(id) => match incident(connection, id)? {
            Some(found) => Some(found),
            None => return Ok(ItemPage::default()),
        },
        None => None,
    };
    let meant = meant(connection, wanted, incident)?;
    let mut page = ItemPage::default();
    let mut left = LOOKED_AT;
    for &state in states {
        let mut statement = connection.prepare_cached(if state == WAITING { OPEN } else { DEAD })?;
        for &destination in &meant {
            if (state, destination) < (start.0, start.1) {
                continue;
            }
            let after = if (state, destination) == (start.0, start.1) {
                start.2
            } else {
                0
            };
            let mut rows = statement.query((destination, after, left))?;
            while let Some(row) = rows.next()? {
                left -= 1;
                let (notification, delivery) = (notification_line(row)?, delivery_line(row, NOTIFICATION_COLUMNS)?);
                let seq = delivery.seq;
                if is_meant(wanted, &notification) && incident.is_none_or(|incident| incident.made(&delivery)) {
                    let delivery = Some(delivery);
                    page.items.push(Item { notification, delivery });
                }
                if page.items.len() == limit || left == 0 {
                    page.next = Some(Cursor::After {
                        state,
                        destination,
                        seq,
                    });
                    return Ok(page);
                }
            }
        }
    }
    Ok(page)
}

/// The keys of the destinations that can be meant.
fn meant(connection: &Connection, wanted: &Wanted, incident: Option<Incident>) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT id, legal_entity, shop, mode, rendition FROM destinations ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut meant = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, key) = (row.get(0)?, destination_key(row, 1)?);
        let is_meant = wanted.shop.is_none_or(|shop| shop == key.shop)
            && wanted.mode.is_none_or(|mode| mode == key.mode)
            && incident.is_none_or(|incident| incident.destination == id);
        if is_meant {
            meant.push(id);
        }
    }
    Ok(meant)
}

/// As far as it tells which deliveries are its own.
#[derive(Clone, Copy)]
struct Incident {
    destination: i64,
    /// Milliseconds.
    opened: i64,
    closed: i64,
}

impl Incident {
    fn made(&self, delivery: &DeliveryLine) -> bool {
        let tried = delivery.tried.map_or(0, Timestamp::as_millisecond);
        match delivery.state {
            DeliveryState::Waiting => delivery.since.as_millisecond() <= self.closed,
            _ => (self.opened..=self.closed).contains(&tried),
        }
    }
}

fn incident(connection: &Connection, id: i64) -> rusqlite::Result<Option<Incident>> {
    connection
        .prepare_cached("SELECT destination, opened_at, coalesce(closed_at + ?2, ?3) FROM incidents WHERE id = ?1")?
        .query_row((id, SLACK, i64::MAX), |row| {
            Ok(Incident {
                destination: row.get(0)?,
                opened: row.get(1)?,
                closed: row.get(2)?,
            })
        })
        .optional()
}

fn notifications(
    connection: &Connection,
    wanted: &Wanted,
    from: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<ItemPage> {
    let before = match from {
        Some(Cursor::Before(key)) => key,
        _ => first_before(connection, wanted.until)?,
    };
    let standing = match wanted.state {
        Some(WantedState::Parked) => Some(Standing::Parked),
        Some(WantedState::Quarantined) => Some(Standing::Quarantined),
        _ => None,
    };
    let (question, value) = match (&wanted.token, &wanted.transaction, standing) {
        (Some(token), _, _) => (BY_TOKEN, Some(token.as_str())),
        (None, Some(transaction), _) => (BY_TRANSACTION, Some(transaction.as_str())),
        (None, None, Some(standing)) => (BY_STANDING, Some(standing.word())),
        (None, None, None) => (BY_TIME, None),
    };
    let mut statement = connection.prepare_cached(question)?;
    statement.raw_bind_parameter(1, before)?;
    statement.raw_bind_parameter(2, LOOKED_AT)?;
    if let Some(value) = value {
        statement.raw_bind_parameter(3, value)?;
    }
    if let Some(token) = &wanted.token {
        statement.raw_bind_parameter(4, Lane::of(token).0)?;
    }
    let oldest = wanted
        .since
        .map(|since| since.saturating_sub(OUT_OF_ORDER).unwrap_or(since));
    let mut page = ItemPage::default();
    let mut looked_at = 0;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let notification = notification_line(row)?;
        if oldest.is_some_and(|oldest| notification.received_at < oldest) {
            return Ok(page);
        }
        looked_at += 1;
        let key = notification.key;
        if is_meant(wanted, &notification) && standing.is_none_or(|standing| standing == notification.standing) {
            add(connection, wanted, &notification, &mut page.items)?;
        }
        if page.items.len() >= limit || looked_at == LOOKED_AT {
            page.next = Some(Cursor::Before(key));
            return Ok(page);
        }
    }
    Ok(page)
}

/// The key that is above those of all notifications received before a time.
fn first_before(connection: &Connection, until: Option<Timestamp>) -> rusqlite::Result<i64> {
    let Some(until) = until.and_then(|until| until.checked_add(OUT_OF_ORDER).ok()) else {
        return Ok(i64::MAX);
    };
    let last: Option<i64> = connection
        .prepare_cached(LAST_BEFORE)?
        .query_row([NotificationId::before(until).as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}

/// Its deliveries, as far as they are wanted; or itself, if it has none.
fn add(
    connection: &Connection,
    wanted: &Wanted,
    notification: &NotificationLine,
    items: &mut Vec<Item>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(DELIVERIES)?;
    let mut rows = statement.query([notification.key])?;
    let mut has_none = true;
    while let Some(row) = rows.next()? {
        has_none = false;
        let delivery = delivery_line(row, 0)?;
        let is_wanted = wanted.shop.is_none_or(|shop| shop == delivery.destination.shop)
            && wanted.state.is_none_or(|state| is_in(state, delivery.state));
        if is_wanted {
            items.push(Item {
                notification: notification.clone(),
                delivery: Some(delivery),
            });
        }
    }
    let fits = match wanted.state {
        None | Some(WantedState::Parked | WantedState::Quarantined) => true,
        Some(_) => false,
    };
    if has_none && fits && wanted.shop.is_none_or(|shop| shop == notification.named_shop) {
        items.push(Item {
            notification: notification.clone(),
            delivery: None,
        });
    }
    Ok(())
}

fn is_in(wanted: WantedState, state: DeliveryState) -> bool {
    match wanted {
        WantedState::Cancelled => state == DeliveryState::Cancelled,
        WantedState::Delivered => state == DeliveryState::Delivered,
        WantedState::GivenUp => state == DeliveryState::GivenUp,
        // It has none.
        WantedState::Parked | WantedState::Quarantined => false,
        WantedState::Waiting => state == DeliveryState::Waiting,
    }
}

fn is_meant(wanted: &Wanted, notification: &NotificationLine) -> bool {
    let has_transaction = |wanted: &String| notification.transaction.as_ref() == Some(wanted);
    wanted.mode.is_none_or(|mode| mode == notification.mode)
        && wanted.transaction.as_ref().is_none_or(has_transaction)
        && wanted.kind.is_none_or(|kind| kind.matches(notification.kind))
        && wanted.since.is_none_or(|since| notification.received_at >= since)
        && wanted.until.is_none_or(|until| notification.received_at < until)
}
