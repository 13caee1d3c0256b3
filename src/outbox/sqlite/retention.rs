use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::record::EndState;
use super::told::Told;
use super::writer::{AfterCommit, Ledger};
use crate::outbox::Settings;

/// Rows of one step: short enough that no acknowledgement waits for it.
const STEP: u32 = 50;
/// What was never delivered keeps its body for an operator, but not for ever: it is personal data (design.md 4).
const UNRESOLVED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The next ones of which the body, or anything, is left. Without a condition on their age: it would make the last step
/// of a pass look at everything that is younger, while the writer's customers wait.
const WITH_BODY: &str = "SELECT id, received_at, standing FROM notifications INDEXED BY notifications_body
  WHERE has_body=1 AND id > ? ORDER BY id LIMIT ?";
const OLDEST: &str = "SELECT id, received_at, standing FROM notifications WHERE id > ? ORDER BY id LIMIT ?";

/// What else is kept as a record: in each table the next ones, when they came, and when they were over, if they are.
/// What nobody was told of yet is not over.
const RECORDS: [(&str, &str); 7] = [
    (
        "SELECT id, at, done_at FROM verbs WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM verbs WHERE id = ?1 AND id < (SELECT max(id) FROM verbs)",
    ),
    (
        "SELECT id, at, at FROM audit WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM audit WHERE id = ?1 AND id < (SELECT max(id) FROM audit)",
    ),
    (
        "SELECT id, at, told_at FROM troubles WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM troubles WHERE id = ?1 AND id < (SELECT max(id) FROM troubles)",
    ),
    (
        "SELECT id, opened_at, iif(seen = version, closed_at, NULL) FROM incidents WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM incidents WHERE id = ?1 AND id < (SELECT max(id) FROM incidents)",
    ),
    (
        "SELECT id, created_at, iif(state <> 0, ended_at, NULL) FROM emails WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM emails WHERE id = ?1 AND id < (SELECT max(id) FROM emails)",
    ),
    (
        "SELECT id, at, told_at FROM complaints WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM complaints WHERE id = ?1 AND id < (SELECT max(id) FROM complaints)",
    ),
    // A configuration is over when the next one is applied: as long as what it routed last, and no longer.
    (
        "SELECT id, at, (SELECT at FROM configurations later WHERE later.id > one.id ORDER BY later.id LIMIT 1)
         FROM configurations one WHERE id > ? ORDER BY id LIMIT ?",
        "DELETE FROM configurations WHERE id = ?1 AND id < (SELECT max(id) FROM configurations)",
    ),
];

/// How far one pass of cleaning has come.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::outbox) struct Pass {
    stage: Stage,
    /// Rows of this stage up to here were looked at.
    looked_at: i64,
    pub(in crate::outbox) is_over: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Bodies,
    Notifications,
    /// Of the table with this number.
    Records(usize),
}

impl Pass {
    /// Goes on in the same stage, or in the next one if this one has found nothing more.
    fn after(self, last_looked_at: Option<i64>) -> Self {
        match (last_looked_at, self.stage) {
            (Some(looked_at), _) => Self { looked_at, ..self },
            (None, Stage::Bodies) => Self::at(Stage::Notifications),
            (None, Stage::Notifications) => Self::at(Stage::Records(0)),
            (None, Stage::Records(table)) if table + 1 < RECORDS.len() => Self::at(Stage::Records(table + 1)),
            (None, Stage::Records(_)) => Self { is_over: true, ..self },
        }
    }

    fn at(stage: Stage) -> Self {
        Self {
            stage,
            ..Self::default()
        }
    }
}

impl Ledger {
    /// One step of a pass: first bodies, then whole notifications, then what else is kept. Returns what is to be told
    /// once it is committed, too.
    pub(crate) fn clean(
        &mut self,
        keep: &Settings,
        now: Timestamp,
        pass: Pass,
    ) -> rusqlite::Result<(Pass, AfterCommit)> {
        let mut told = Told::default();
        let records_by = before(now, keep.keep_records.max(UNRESOLVED));
        let last_looked_at = match pass.stage {
            Stage::Bodies => {
                let ended_by = before(now, keep.keep_bodies);
                let bodies = older(candidates(&self.connection, WITH_BODY, pass.looked_at)?, ended_by);
                for candidate in &bodies {
                    if self.is_resolved(candidate, ended_by, before(now, UNRESOLVED))? {
                        self.forget_body(candidate.id, now, &mut told)?;
                    }
                }
                bodies.last().map(|body| body.id)
            }
            Stage::Notifications => {
                let notifications = older(candidates(&self.connection, OLDEST, pass.looked_at)?, records_by);
                for candidate in &notifications {
                    self.forget(candidate.id)?;
                    told.changed(candidate.id);
                }
                notifications.last().map(|notification| notification.id)
            }
            Stage::Records(table) => self.forget_records(RECORDS[table], pass.looked_at, records_by)?,
        };
        Ok((pass.after(last_looked_at), told.after_commit(self)))
    }

    /// Whether nobody needs the body any more.
    fn is_resolved(&self, candidate: &Candidate, ended_by: i64, give_up: i64) -> rusqlite::Result<bool> {
        if candidate.received_at <= give_up {
            return Ok(true);
        }
        let (unresolved, last): (i64, i64) = self
            .connection
            .prepare_cached(
                // A dead letter that was replayed is resolved by its replay.
                "SELECT count(*) FILTER (WHERE d.state IN (0, 2) AND NOT EXISTS
                   (SELECT 1 FROM deliveries later INDEXED BY deliveries_notification WHERE
                    later.notification = d.notification AND later.destination = d.destination AND later.seq > d.seq)),
                   coalesce(max(d.tried), 0) FROM deliveries d INDEXED BY deliveries_notification
                 WHERE d.notification = ?",
            )?
            .query_row([candidate.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(candidate.is_routed && unresolved == 0 && last <= ended_by)
    }

    /// Without a body nothing can be delivered: what is still open ends.
    pub(super) fn forget_body(&self, id: i64, now: Timestamp, told: &mut Told) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE notifications SET body = x'', headers = '', has_body = 0 WHERE id = ?")?
            .execute([id])?;
        told.changed(id);
        let open: Vec<(i64, i64)> = self
            .connection
            .prepare_cached(
                "SELECT destination, seq FROM deliveries INDEXED BY deliveries_notification
                 WHERE notification = ? AND state = 0",
            )?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (destination, seq) in open {
            let rows = self.end_unattempted(destination, &[seq], EndState::Cancelled, now)?;
            told.cancelled(destination, rows);
        }
        Ok(())
    }

    /// Deletes what was over by then; returns how far it has looked, if there may be more. The newest row stays in any
    /// case: its id would be given again, and e-mails are named by it.
    fn forget_records(&self, (next, delete): (&str, &str), after: i64, over_by: i64) -> rusqlite::Result<Option<i64>> {
        let rows: Vec<(i64, i64, Option<i64>)> = self
            .connection
            .prepare_cached(next)?
            .query_map((after, STEP), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut looked_at = None;
        for (id, _, over_at) in rows.into_iter().filter(|(_, came_at, _)| *came_at <= over_by) {
            if over_at.is_some_and(|over_at| over_at <= over_by) {
                self.connection.prepare_cached(delete)?.execute([id])?;
            }
            looked_at = Some(id);
        }
        Ok(looked_at)
    }

    fn forget(&self, id: i64) -> rusqlite::Result<()> {
        for statement in [
            "DELETE FROM attempts WHERE (destination, seq) IN
               (SELECT destination, seq FROM deliveries WHERE notification = ?)",
            "DELETE FROM deliveries WHERE notification = ?",
            "DELETE FROM identities WHERE notification = ?",
            "DELETE FROM notifications WHERE id = ?",
        ] {
            self.connection.prepare_cached(statement)?.execute([id])?;
        }
        Ok(())
    }
}

struct Candidate {
    id: i64,
    received_at: i64,
    is_routed: bool,
}

fn candidates(connection: &Connection, query: &str, after: i64) -> rusqlite::Result<Vec<Candidate>> {
    connection
        .prepare_cached(query)?
        .query_map((after, STEP), |row| {
            Ok(Candidate {
                id: row.get(0)?,
                received_at: row.get(1)?,
                is_routed: row.get::<_, String>(2)? == "routed",
            })
        })?
        .collect()
}

/// Those that are old enough. They stand in the order of their commits, which is nearly that of their receipt: where
/// none is, younger ones follow.
fn older(mut candidates: Vec<Candidate>, by: i64) -> Vec<Candidate> {
    candidates.retain(|candidate| candidate.received_at <= by);
    candidates
}

fn before(now: Timestamp, age: Duration) -> i64 {
    now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_millisecond()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::outbox::cache::Cache;
    use crate::outbox::sqlite::testing::routed;
    use crate::outbox::sqlite::{AlsoTold, Store, totals};
    use crate::route::Standing;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Ids of what still has a body, and of what is still there, after all steps of a pass.
    fn after_pass(ledger: &mut Ledger, keep: &Settings, now: Timestamp) -> rusqlite::Result<(Vec<i64>, Vec<i64>)> {
        let mut pass = Pass::default();
        while !pass.is_over {
            (pass, _) = ledger.clean(keep, now, pass)?;
        }
        let ids = |query: &str| -> rusqlite::Result<Vec<i64>> {
            ledger
                .connection
                .prepare(query)?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let bodies = ids("SELECT id FROM notifications WHERE length(body) > 0 ORDER BY id")?;
        Ok((bodies, ids("SELECT id FROM notifications ORDER BY id")?))
    }

    #[tokio::test]
    async fn bodies_go_after_the_last_delivery_and_records_later() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Settings {
            path: folder.path().join("outbox.db"),
            keep_bodies: DAY * 14,
            keep_records: DAY * 400,
        };
        let (failed, _failure) = watch::channel(None);
        let cache = Arc::new(Cache::new(0));
        let store = Store::open(&keep.path, failed, AlsoTold::nobody(), cache).unwrap();
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let on = move |day: u32| start + DAY * day;
        store
            .write(move |ledger| {
                // 1 delivered on day 10, 2 never delivered, 3 a dead letter, 4 parked, 5 delivered by a replay on day 10:
                // all received on day 0.
                for (n, standing) in [
                    (1, Standing::Routed),
                    (2, Standing::Routed),
                    (3, Standing::Routed),
                    (4, Standing::Parked),
                    (5, Standing::Routed),
                ] {
                    ledger.accept(&routed(n, standing, start))?;
                }
                let tried = on(10).as_millisecond();
                ledger
                    .connection
                    .execute("UPDATE deliveries SET state = 1, tried = ? WHERE seq = 1", [tried])?;
                ledger.connection.execute(
                    "UPDATE deliveries SET state = 2, tried = ? WHERE seq IN (3, 4)",
                    [tried],
                )?;
                ledger.connection.execute(
                    "INSERT INTO deliveries(destination, seq, lane, notification, since, state, tried, replay_of)
                     SELECT destination, 100, lane, notification, ?1, 1, ?1, seq FROM deliveries WHERE seq = 4",
                    [tried],
                )?;
                let all = vec![1, 2, 3, 4, 5];
                assert_eq!(after_pass(ledger, &keep, on(15))?, (all.clone(), all.clone()));
                assert_eq!(after_pass(ledger, &keep, on(25))?, (vec![2, 3, 4], all.clone()));
                assert_eq!(totals(&ledger.connection)?.parked, 1);
                assert_eq!(
                    after_pass(ledger, &keep, on(91))?,
                    (vec![], all),
                    "nothing is kept for ever"
                );
                assert_eq!(totals(&ledger.connection)?.parked, 0, "nobody can release it any more");
                let open: i64 =
                    ledger
                        .connection
                        .query_row("SELECT count(*) FROM deliveries WHERE state=0", [], |row| row.get(0))?;
                assert_eq!(open, 0, "what has no body is not waited for");
                ledger.accept(&routed(6, Standing::Routed, on(399)))?;
                assert_eq!(after_pass(ledger, &keep, on(401))?, (vec![6], vec![6]));
                let left: i64 = ledger.connection.query_row(
                    "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM identities)",
                    [],
                    |row| row.get(0),
                )?;
                assert_eq!(left, 2);
                Ok(())
            })
            .await
            .unwrap();
        store.close();
    }

    #[tokio::test]
    async fn records_go_when_they_were_over_for_long_enough_and_what_waits_stays() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Settings {
            path: folder.path().join("outbox.db"),
            keep_bodies: DAY * 14,
            keep_records: DAY * 400,
        };
        let (failed, _failure) = watch::channel(None);
        let cache = Arc::new(Cache::new(0));
        let store = Store::open(&keep.path, failed, AlsoTold::nobody(), cache).unwrap();
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let on = move |day: u32| (start + DAY * day).as_millisecond();
        store
            .write(move |ledger| {
                let connection = &ledger.connection;
                // 1 is over on day 0, 2 is not over, 3 is over on day 10, 4 is over on day 0 and the newest; the incident
                // 5 is closed, but not told of.
                for (id, over_at) in [(1, Some(on(0))), (2, None), (3, Some(on(10))), (4, Some(on(0)))] {
                    let row = (id, on(0), over_at);
                    connection.execute(
                        "INSERT INTO verbs(id, at, asked_by, verb, quick, done_at) VALUES (?, ?, '', '', 0, ?)",
                        row,
                    )?;
                    connection.execute("INSERT INTO troubles(id, at, facts, told_at) VALUES (?, ?, '', ?)", row)?;
                    connection.execute(
                        "INSERT INTO incidents(id, destination, opened_at, closed_at, facts, seen)
                         VALUES (?1, ?1, ?2, ?3, '', 1)",
                        row,
                    )?;
                    connection.execute(
                        "INSERT INTO emails(id, thread, step, address, recipient, message_id, subject, body, created_at, due,
                           ended_at, state)
                         VALUES (?1, '', ?1, '', '', '', '', '', ?2, ?2, ?3, iif(?3 IS NULL, 0, 1 + ?1 % 2))",
                        row,
                    )?;
                }
                connection.execute(
                    "INSERT INTO incidents(id, destination, opened_at, closed_at, facts, seen)
                     VALUES (5, 5, ?1, ?1, '', 0), (6, 6, ?1, NULL, '', 0)",
                    [on(0)],
                )?;
                for day in [0, 10, 20] {
                    connection.execute("INSERT INTO audit(at, who, act) VALUES (?, '', '')", [on(day)])?;
                    connection.execute(
                        "INSERT INTO configurations(at, applied_by, hash, texts) VALUES (?, '', '', '')",
                        [on(day)],
                    )?;
                }
                for (day, verbs, incidents, configurations, audit) in [
                    (
                        399,
                        vec![1, 2, 3, 4],
                        vec![1, 2, 3, 4, 5, 6],
                        vec![1, 2, 3],
                        vec![1, 2, 3],
                    ),
                    (400, vec![2, 3, 4], vec![2, 3, 5, 6], vec![1, 2, 3], vec![2, 3]),
                    (410, vec![2, 4], vec![2, 5, 6], vec![2, 3], vec![3]),
                    (1_000, vec![2, 4], vec![2, 5, 6], vec![3], vec![3]),
                ] {
                    after_pass(ledger, &keep, start + DAY * day)?;
                    for (table, expected) in [
                        ("verbs", &verbs),
                        ("troubles", &verbs),
                        ("emails", &verbs),
                        ("incidents", &incidents),
                        ("configurations", &configurations),
                        ("audit", &audit),
                    ] {
                        let mut ids = ledger
                            .connection
                            .prepare(&format!("SELECT id FROM {table} ORDER BY id"))?;
                        let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                        assert_eq!(&ids, expected, "{table} on day {day}");
                    }
                }
                Ok(())
            })
            .await
            .unwrap();
        store.close();
    }

    #[test]
    fn a_step_looks_at_few_rows_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let opened = super::super::open::open(&folder.path().join("outbox.db")).unwrap();
        opened
            .writer
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO notifications(uuid, received_at, legal_entity, shop, mode, format, kind, standing, lane,
                   headers, body)
                 SELECT CAST(i AS BLOB), 1000, '', '', '', '', '', 'routed', 0, '', x'' FROM n",
            )
            .unwrap();
        opened
            .writer
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO verbs(at, asked_by, verb, quick, done_at) SELECT 1, '', '', 0, 1 FROM n;
                 INSERT INTO configurations(at, applied_by, hash, texts) SELECT 1, '', '', '' FROM verbs;
                 INSERT INTO audit(at, who, act) SELECT 1, '', '' FROM verbs;
                 INSERT INTO troubles(at, facts, told_at) SELECT at, '', done_at FROM verbs;
                 INSERT INTO incidents(destination, opened_at, closed_at, facts, seen) SELECT id, 1, 1, '', 1 FROM verbs;
                 INSERT INTO complaints(destination, day, at, seq, verdict, told_at) SELECT id, '', 1, 1, '', 1 FROM verbs;
                 INSERT INTO emails(thread, step, address, recipient, message_id, subject, body, created_at, state, due, ended_at)
                 SELECT '', id, '', '', '', '', '', 1, 1, 1, 1 FROM verbs",
            )
            .unwrap();
        for query in [WITH_BODY, OLDEST].into_iter().chain(RECORDS.map(|(next, _)| next)) {
            let mut statement = opened.writer.prepare(query).unwrap();
            let rows = statement.query_map((0, STEP), |_| Ok(())).unwrap().count();
            assert_eq!(rows, 50, "{query}");
            let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
            assert!(steps < 2_000, "{steps}: {query}");
        }
    }
}
