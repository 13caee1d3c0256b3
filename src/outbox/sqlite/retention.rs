use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::writer::Ledger;
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

/// How far one pass of cleaning has come.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::outbox) struct Pass {
    /// Bodies up to this notification were looked at.
    looked_at: i64,
    pub(in crate::outbox) is_over: bool,
}

impl Ledger {
    /// One step of a pass: first bodies, then whole records.
    pub(crate) fn clean(&mut self, keep: &Settings, now: Timestamp, pass: Pass) -> rusqlite::Result<Pass> {
        let ended_by = before(now, keep.keep_bodies);
        let bodies = older(candidates(&self.connection, WITH_BODY, pass.looked_at)?, ended_by);
        for candidate in &bodies {
            if self.is_resolved(candidate, ended_by, before(now, UNRESOLVED))? {
                self.forget_body(candidate.id)?;
            }
        }
        if let Some(last) = bodies.last() {
            return Ok(Pass {
                looked_at: last.id,
                is_over: false,
            });
        }
        let records = older(
            candidates(&self.connection, OLDEST, 0)?,
            before(now, keep.keep_records.max(UNRESOLVED)),
        );
        for candidate in &records {
            self.forget(candidate.id)?;
        }
        Ok(Pass {
            is_over: records.is_empty(),
            ..pass
        })
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

    fn forget_body(&self, id: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE notifications SET body = x'', headers = '', has_body = 0 WHERE id = ?")?
            .execute([id])?;
        // Without a body nothing can be delivered; this is what has waited for longer than it may.
        self.connection
            .prepare_cached("UPDATE deliveries SET state = 3, due = 0 WHERE notification = ? AND state = 0")?
            .execute([id])?;
        Ok(())
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

    use bytes::Bytes;
    use tokio::sync::{Notify, watch};

    use super::*;
    use crate::domain::{DestinationKey, Format, Kind, Lane, Mode, NotificationId, Rendition};
    use crate::outbox::cache::Cache;
    use crate::outbox::sqlite::Store;
    use crate::route::{Identity, Routed, Standing};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn routed(n: u8, standing: Standing, received_at: Timestamp) -> Routed {
        let key = DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            rendition: Rendition::Event,
        };
        Routed {
            id: NotificationId::new(received_at),
            received_at,
            legal_entity: key.legal_entity.clone(),
            shop: key.shop,
            mode: Mode::Test,
            format: Format::Form,
            kind: Kind::TokenCreated,
            token: None,
            transaction: None,
            standing,
            identity: Identity {
                hash: [n; 16],
                until: None,
            },
            resend_of: None,
            event: None,
            lane: Lane(i64::from(n)),
            charge: false,
            destinations: if standing == Standing::Routed {
                vec![key]
            } else {
                Vec::new()
            },
            withheld: Vec::new(),
            configuration: 0,
            headers: "user-agent: gateway".into(),
            body: Bytes::from_static(b"vads_site_id=12345678"),
        }
    }

    /// Ids of what still has a body, and of what is still there, after all steps of a pass.
    fn after_pass(ledger: &mut Ledger, keep: &Settings, now: Timestamp) -> rusqlite::Result<(Vec<i64>, Vec<i64>)> {
        let mut pass = Pass::default();
        while !pass.is_over {
            pass = ledger.clean(keep, now, pass)?;
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
        let store = Store::open(&keep.path, failed, Arc::new(Notify::new()), cache).unwrap();
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
                assert_eq!(
                    after_pass(ledger, &keep, on(91))?,
                    (vec![], all),
                    "nothing is kept for ever"
                );
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
        for query in [WITH_BODY, OLDEST] {
            let mut statement = opened.writer.prepare(query).unwrap();
            let rows = statement.query_map((0, STEP), |_| Ok(())).unwrap().count();
            assert_eq!(rows, 50);
            let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
            assert!(steps < 2_000, "{steps}: {query}");
        }
    }
}
