use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::told::Told;
use super::writer::{AfterCommit, Ledger};
use crate::domain::{Lane, NotificationId};
use crate::outbox::persons::{Erased, Trace};

/// The lane of a notification that was erased, and of its deliveries: their own was a hash of the token.
pub(super) const ERASED: Lane = Lane(0);

/// While the last pages are copied nobody can write.
const PATIENCE: Duration = Duration::from_millis(50);

const OF_TOKEN: &str = "SELECT id, uuid, token, CASE WHEN has_body=1 THEN body END
  FROM notifications INDEXED BY notifications_token WHERE lane = ? AND token = ? AND id > ? ORDER BY id LIMIT ?";
const BODIES: &str = "SELECT id, uuid, token, body
  FROM notifications INDEXED BY notifications_body WHERE has_body=1 AND id > ? ORDER BY id LIMIT ?";

const ONE: &str = "SELECT id, uuid, token, CASE WHEN has_body=1 THEN body END FROM notifications WHERE id = ?";

/// One that is held back goes out when an operator releases it.
const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_notification
    WHERE notification = ?1 AND state = 0)
  OR EXISTS (SELECT 1 FROM notifications n WHERE n.id = ?1 AND n.has_body=1 AND n.standing <> 'routed'
    AND NOT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_notification WHERE notification = ?1))";

/// Where a row belongs to a delivery of the notification.
macro_rules! of_its_deliveries {
    () => {
        " WHERE (destination, seq) IN
           (SELECT destination, seq FROM deliveries INDEXED BY deliveries_notification WHERE notification = ?1)"
    };
}

/// Incidents in which its attempts have failed; to the second, for times of two clocks are compared.
macro_rules! its_incidents {
    () => {
        " deliveries d INDEXED BY deliveries_notification JOIN attempts a USING (destination, seq)
           JOIN incidents i INDEXED BY incidents_destination ON i.destination = d.destination
             AND a.at + a.ms BETWEEN i.opened_at - 1000 AND coalesce(i.closed_at, a.at + a.ms) + 1000
         WHERE d.notification = ?1"
    };
}

/// What says who it was, besides the body: the token, and what shops have said; also in e-mails that have ended. An
/// incident that is open is its owner's, who would write it again.
const ERASE: [&str; 8] = [
    concat!(
        "UPDATE emails SET body = '' WHERE state IN (1, 2, 4) AND thread IN (
           SELECT 'incident-' || coalesce(i.told_with, i.id) FROM",
        its_incidents!(),
        " UNION SELECT 'attempt-' || destination || '-' || seq FROM deliveries INDEXED BY deliveries_notification
           WHERE notification = ?1)"
    ),
    "UPDATE emails SET body = '' WHERE state IN (1, 2, 4) AND (thread, step) IN (
       SELECT 'complaint-' || destination, day FROM deliveries d INDEXED BY deliveries_notification
         JOIN complaints USING (destination, seq) WHERE d.notification = ?1)",
    concat!(
        "UPDATE incidents SET facts = json_set(facts, '$.last_failure.detail', '', '$.last_failure.answer', '')
         WHERE closed_at IS NOT NULL AND id IN (SELECT i.id FROM",
        its_incidents!(),
        ")"
    ),
    concat!("UPDATE complaints SET verdict = ''", of_its_deliveries!()),
    concat!(
        "UPDATE untold_attempts SET failure = json_set(failure, '$.detail', '', '$.answer', '')",
        of_its_deliveries!()
    ),
    concat!("UPDATE attempts SET detail = NULL, answer = NULL", of_its_deliveries!()),
    concat!("UPDATE deliveries SET lane = 0", of_its_deliveries!()),
    "UPDATE notifications SET token = NULL, lane = 0 WHERE id = ?1",
];

pub(in crate::outbox) fn of_token(
    connection: &Connection,
    token: &str,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Trace>> {
    let mut statement = connection.prepare_cached(OF_TOKEN)?;
    statement
        .query_map((Lane::of(token).0, token, after, limit), read)?
        .collect()
}

pub(in crate::outbox) fn bodies(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<Trace>> {
    let mut statement = connection.prepare_cached(BODIES)?;
    statement.query_map((after, limit), read)?.collect()
}

pub(in crate::outbox) fn trace(connection: &Connection, key: i64) -> rusqlite::Result<Option<Trace>> {
    connection.prepare_cached(ONE)?.query_row([key], read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Trace> {
    Ok(Trace {
        key: row.get(0)?,
        id: NotificationId::from_bytes(row.get(1)?),
        token: row.get(2)?,
        body: row.get::<_, Option<Vec<u8>>>(3)?.map(Into::into),
    })
}

/// Whether something of a notification still waits.
pub(in crate::outbox) fn wait(connection: &Connection, notification: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(WAITS)?
        .query_row([notification], |row| row.get(0))
}

pub(in crate::outbox) fn erase(
    ledger: &mut Ledger,
    notifications: &[i64],
    cancel: bool,
    now: Timestamp,
) -> rusqlite::Result<(Vec<Erased>, AfterCommit)> {
    let mut told = Told::default();
    let mut erased = Vec::with_capacity(notifications.len());
    for id in notifications {
        if !cancel && wait(&ledger.connection, *id)? {
            erased.push(Erased::Waits);
            continue;
        }
        ledger.forget_body(*id, now, &mut told)?;
        for statement in ERASE {
            ledger.connection.prepare_cached(statement)?.execute([id])?;
        }
        erased.push(Erased::Done);
    }
    Ok((erased, told.after_commit(ledger)))
}

/// Empties the log, unless somebody reads in it.
pub(in crate::outbox) fn empty_log(path: &Path) -> rusqlite::Result<bool> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    let checkpoint = |how| connection.query_row(how, [], |row| row.get::<_, bool>(0));
    // Most is copied while others write; only the rest makes them wait.
    checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
    let is_busy = checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(!is_busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::sqlite::testing::plan;

    #[test]
    fn everything_walks_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let opened = super::super::open::open(&folder.path().join("outbox.db")).unwrap();
        for question in [OF_TOKEN, BODIES, ONE, WAITS].into_iter().chain(ERASE) {
            let plan = plan(&opened.writer, question);
            // Rows of attempts that were not told yet are few, and go at once.
            let harmless = |step: &str| step.contains("untold_attempts") || step.contains("CONSTANT ROW");
            let scans = |step: &&String| step.contains("SCAN") && !harmless(step);
            assert_eq!(plan.iter().find(scans), None, "{question}: {plan:#?}");
        }
    }
}
