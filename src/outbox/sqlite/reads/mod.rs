//! Questions of people. As in [`read`](super::read), each that walks an index names it where the planner would not.

mod find;
mod history;
mod list;
mod status;
mod tail;

pub(in crate::outbox) use find::{about_token, find, newest};
pub(in crate::outbox) use history::{attempts_since, audit, emails, incident_story, incidents, verbs_asked};
pub(in crate::outbox) use list::list;
pub(in crate::outbox) use status::{destinations, incident, load, open_incidents, totals};
pub(in crate::outbox) use tail::tail_lines;

use jiff::Timestamp;
use rusqlite::Row;

use super::read::{destination_key, parsed, timestamp, unreadable, word};
use crate::domain::{Format, Mode, NotificationId, shown_token, useful_text};
use crate::outbox::reads::{AttemptLine, DeliveryLine, DeliveryState, NotificationLine};
use crate::route::Standing;

/// The columns of [`notification_line`], of `notifications n`.
macro_rules! of_notification {
    () => {
        "n.id, n.uuid, n.received_at, n.legal_entity, n.shop, n.mode, n.format, n.kind, n.standing, n.token,
         n.transaction_uuid"
    };
}

/// The columns of [`delivery_line`], of `deliveries d` and `destinations t`.
macro_rules! of_delivery {
    () => {
        "t.legal_entity, t.shop, t.mode, t.rendition, d.seq, d.state, d.attempts, d.since, d.tried, d.due, d.replay_of,
         t.paused, t.down, t.parked"
    };
}

pub(super) use {of_delivery, of_notification};

/// Number of columns of [`of_notification`].
const NOTIFICATION_COLUMNS: usize = 11;

fn notification_line(row: &Row<'_>) -> rusqlite::Result<NotificationLine> {
    Ok(NotificationLine {
        key: row.get(0)?,
        id: NotificationId::from_bytes(row.get(1)?),
        received_at: timestamp(row, 2)?,
        legal_entity: parsed(row, 3)?,
        named_shop: parsed(row, 4)?,
        mode: word(row, 5, Mode::from_word)?,
        format: word(row, 6, Format::from_word)?,
        kind: parsed(row, 7)?,
        standing: word(row, 8, Standing::from_word)?,
        token: row.get::<_, Option<String>>(9)?.as_deref().map(shown_token),
        transaction: row.get(10)?,
    })
}

fn delivery_line(row: &Row<'_>, at: usize) -> rusqlite::Result<DeliveryLine> {
    let state = match row.get(at + 5)? {
        0 => DeliveryState::Waiting,
        1 => DeliveryState::Delivered,
        2 => DeliveryState::GivenUp,
        3 => DeliveryState::Cancelled,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(at + 5, other)),
    };
    let (paused_since, down_since) = (time_if_any(row, at + 11)?, time_if_any(row, at + 12)?);
    let parked_since = time_if_any(row, at + 13)?;
    let is_served = paused_since.is_none() && down_since.is_none() && parked_since.is_none();
    Ok(DeliveryLine {
        destination: destination_key(row, at)?,
        seq: row.get(at + 4)?,
        state,
        attempts: row.get(at + 6)?,
        since: timestamp(row, at + 7)?,
        tried: time_unless_zero(row, at + 8)?,
        due: time_unless_zero(row, at + 9)?.filter(|_| state == DeliveryState::Waiting && is_served),
        replay_of: row.get(at + 10)?,
        paused_since,
        down_since,
        parked_since,
    })
}

/// Columns `n, at, ms, status, cause, detail, answer`.
fn attempt_line(row: &Row<'_>) -> rusqlite::Result<AttemptLine> {
    let answer: Option<Vec<u8>> = row.get(6)?;
    Ok(AttemptLine {
        attempt: row.get(0)?,
        at: timestamp(row, 1)?,
        milliseconds: u64::try_from(row.get::<_, i64>(2)?).map_err(|error| unreadable(2, error))?,
        status: row.get(3)?,
        cause: row.get(4)?,
        detail: useful_text(row.get::<_, Option<String>>(5)?.unwrap_or_default().as_bytes()),
        answer: answer.map_or_else(String::new, |answer| useful_text(&answer)),
    })
}

fn time_unless_zero(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get(column)? {
        0_i64 => Ok(None),
        _ => timestamp(row, column).map(Some),
    }
}

fn time_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get(column)? {
        None::<i64> => Ok(None),
        Some(_) => timestamp(row, column).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::open;
    use super::{find, history, list, status, tail};
    use crate::outbox::sqlite::testing::plan;

    #[test]
    fn every_question_walks_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&folder.path().join("outbox.db")).unwrap();
        for question in list::QUESTIONS
            .into_iter()
            .chain(find::QUESTIONS)
            .chain(status::QUESTIONS)
            .chain(history::QUESTIONS)
            .chain(tail::QUESTIONS)
        {
            let plan = plan(&opened.reader, question);
            for step in &plan {
                // There are few destinations, and what is counted is counted up to a limit in a partial index.
                let is_small = [
                    "SCAN t",
                    "COVERING INDEX",
                    "emails_failed",
                    "verbs_waiting",
                    "(subquery",
                ];
                let walks = step.starts_with("SEARCH") || is_small.iter().any(|small| step.contains(small));
                let nothing_is_sorted = !step.contains("TEMP B-TREE");
                let is_step = step.starts_with("SEARCH") || step.starts_with("SCAN") || step.contains("B-TREE");
                assert!(!is_step || (walks && nothing_is_sorted), "{question}: {plan:#?}");
            }
        }
    }
}
