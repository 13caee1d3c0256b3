use rusqlite::{Connection, OptionalExtension};

use super::status::ATTEMPT;
use super::{NOTIFICATION_COLUMNS, attempt_line, delivery_line, notification_line, of_delivery, of_notification};
use crate::outbox::tail::{Happened, TailLine};

const NOTIFICATION: &str = concat!("SELECT ", of_notification!(), " FROM notifications n WHERE n.id = ?");
const DELIVERY: &str = concat!(
    "SELECT ",
    of_notification!(),
    ", ",
    of_delivery!(),
    " FROM deliveries d JOIN destinations t ON t.id = d.destination JOIN notifications n ON n.id = d.notification
     WHERE d.destination = ? AND d.seq = ?"
);

#[cfg(test)]
pub(super) const QUESTIONS: [&str; 2] = [NOTIFICATION, DELIVERY];

/// What the rows say; a row that is gone says nothing.
pub(in crate::outbox) fn tail_lines(connection: &Connection, happened: &[Happened]) -> rusqlite::Result<Vec<TailLine>> {
    let lines = happened.iter().map(|happened| line(connection, *happened).optional());
    lines.filter_map(Result::transpose).collect()
}

fn line(connection: &Connection, happened: Happened) -> rusqlite::Result<TailLine> {
    let delivery = |destination: i64, seq: i64| {
        let mut statement = connection.prepare_cached(DELIVERY)?;
        statement.query_row((destination, seq), |row| {
            Ok((notification_line(row)?, delivery_line(row, NOTIFICATION_COLUMNS)?))
        })
    };
    match happened {
        Happened::Attempted {
            destination,
            seq,
            attempt,
        } => {
            let (notification, delivery) = delivery(destination, seq)?;
            let mut statement = connection.prepare_cached(ATTEMPT)?;
            Ok(TailLine::Attempted {
                notification,
                delivery,
                attempt: statement.query_row((destination, seq, attempt), attempt_line)?,
            })
        }
        Happened::Ended { destination, seq } => {
            let (notification, delivery) = delivery(destination, seq)?;
            Ok(TailLine::Ended { notification, delivery })
        }
        Happened::Stored { notification } => {
            let mut statement = connection.prepare_cached(NOTIFICATION)?;
            let notification = statement.query_row([notification], notification_line)?;
            Ok(TailLine::Received { notification })
        }
    }
}
