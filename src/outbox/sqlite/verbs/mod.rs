//! The rows of the operators' verbs. [`select`] finds what a verb means, on the reader; [`act`] decides about each row
//! that was found, and [`write`](mod@write) changes it.

mod act;
mod select;
mod write;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

pub(in crate::outbox) use act::foresee;
pub(in crate::outbox) use select::{begin, look};

use super::read;
use super::writer::Ledger;
use crate::domain::{DestinationKey, Verb};
use crate::outbox::verbs::{Progress, VerbId, VerbResult, VerbRow, VerbState};

const NEXT: &str =
    "SELECT id FROM verbs INDEXED BY verbs_waiting WHERE done_at IS NULL ORDER BY quick DESC, id LIMIT 1";

/// The paused destinations that go on by themselves, and when.
pub(in crate::outbox) fn pauses(connection: &Connection) -> rusqlite::Result<Vec<(DestinationKey, Timestamp)>> {
    connection
        .prepare_cached(
            "SELECT legal_entity, shop, mode, rendition, paused_until FROM destinations
             WHERE paused IS NOT NULL AND paused_until IS NOT NULL",
        )?
        .query_map([], |row| Ok((read::destination_key(row, 0)?, read::timestamp(row, 4)?)))?
        .collect()
}

/// The verb to be carried out next.
pub(in crate::outbox) fn next_verb(connection: &Connection) -> rusqlite::Result<Option<VerbId>> {
    connection
        .prepare_cached(NEXT)?
        .query_row([], |row| row.get(0).map(VerbId))
        .optional()
}

pub(in crate::outbox) fn verb(connection: &Connection, id: VerbId) -> rusqlite::Result<VerbRow> {
    connection
        .prepare_cached("SELECT at, asked_by, verb, progress, done_at, result FROM verbs WHERE id = ?")?
        .query_row([id.0], |row| verb_row(row, id))
}

/// Columns `at, asked_by, verb, progress, done_at, result`.
pub(super) fn verb_row(row: &Row<'_>, id: VerbId) -> rusqlite::Result<VerbRow> {
    let (progress, done_at): (Option<String>, Option<i64>) = (row.get(3)?, row.get(4)?);
    Ok(VerbRow {
        id,
        asked_at: read::timestamp(row, 0)?,
        asked_by: row.get(1)?,
        verb: read::json(&row.get::<_, String>(2)?)?,
        state: match (progress, done_at) {
            (None, None) => VerbState::Asked,
            (Some(progress), None) => VerbState::UnderWay(read::json(&progress)?),
            (_, Some(_)) => VerbState::Done {
                at: read::timestamp(row, 4)?,
                result: read::json(&row.get::<_, String>(5)?)?,
            },
        },
    })
}

impl Ledger {
    pub(in crate::outbox) fn ask_for(
        &mut self,
        verb: &Verb,
        asked_by: &str,
        now: Timestamp,
    ) -> rusqlite::Result<VerbId> {
        let json = serde_json::to_string(verb).map_err(read::unwritable)?;
        self.connection
            .prepare_cached("INSERT INTO verbs(at, asked_by, verb, quick) VALUES (?, ?, ?, ?)")?
            .execute((now.as_millisecond(), asked_by, json, verb.is_quick()))?;
        Ok(VerbId(self.connection.last_insert_rowid()))
    }

    pub(in crate::outbox) fn end_verb(
        &mut self,
        id: VerbId,
        result: &VerbResult,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let json = serde_json::to_string(result).map_err(read::unwritable)?;
        self.connection
            .prepare_cached("UPDATE verbs SET progress = NULL, done_at = ?, result = ? WHERE id = ?")?
            .execute((now.as_millisecond(), json, id.0))?;
        Ok(())
    }

    /// How far it has come: in the transaction of what it has come by.
    fn note_progress(&mut self, id: VerbId, progress: &Progress, now: Timestamp) -> rusqlite::Result<()> {
        if progress.is_over() {
            return self.end_verb(id, &progress.result, now);
        }
        let json = serde_json::to_string(progress).map_err(read::unwritable)?;
        self.connection
            .prepare_cached("UPDATE verbs SET progress = ? WHERE id = ?")?
            .execute((json, id.0))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::open;
    use super::{NEXT, act, select};
    use crate::outbox::sqlite::testing::plan;

    #[test]
    fn every_question_walks_its_indexes() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&folder.path().join("outbox.db")).unwrap();
        let deliveries = "d USING PRIMARY KEY (destination=? AND seq>? AND seq<?)";
        let notification = "n USING INTEGER PRIMARY KEY (rowid=?)";
        let of_notification = "INDEX deliveries_notification (notification=?";
        for (question, walks) in [
            (NEXT, vec!["SCAN verbs USING INDEX verbs_waiting"]),
            (
                select::DEAD,
                vec![
                    "d USING INDEX deliveries_dead (destination=? AND seq>? AND seq<?)",
                    notification,
                ],
            ),
            (
                select::OPEN,
                vec![
                    "d USING INDEX deliveries_open (destination=? AND seq>? AND seq<?)",
                    notification,
                ],
            ),
            (select::ALL, vec![deliveries, notification]),
            (
                select::PARKED_ONES,
                vec!["n USING COVERING INDEX notifications_kept (standing=? AND id>? AND id<?)"],
            ),
            (
                select::RECEIVED_ONES,
                vec!["notifications USING INDEX sqlite_autoindex_notifications_1 (uuid>? AND uuid<?)"],
            ),
            (select::KEPT, vec![notification, "CORRELATED", of_notification]),
            (
                select::NEWEST,
                vec![
                    "newest",
                    of_notification,
                    "newest",
                    "d USING INTEGER PRIMARY KEY (rowid=?)",
                ],
            ),
            (
                act::DELIVERY,
                vec![
                    "d USING PRIMARY KEY (destination=? AND seq=?)",
                    notification,
                    "CORRELATED",
                    of_notification,
                ],
            ),
            (act::HELD, vec![notification, "CORRELATED", of_notification]),
            (
                act::EXISTING,
                vec![
                    "INDEX deliveries_notification (notification=? AND destination=?)",
                    "SCALAR SUBQUERY",
                    "destinations USING COVERING INDEX",
                ],
            ),
        ] {
            let plan = plan(&opened.reader, question);
            assert_eq!(plan.len(), walks.len(), "{question}: {plan:#?}");
            for (step, walk) in plan.iter().zip(walks) {
                assert!(step.contains(walk), "{question}: {plan:#?}");
                // What is sorted, or looked at from end to end, grows with the store.
                assert!(!step.contains("TEMP B-TREE"), "{question}: {plan:#?}");
            }
        }
    }
}
