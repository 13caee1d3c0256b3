//! Which configurations were applied.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::read;
use super::writer::Ledger;
use crate::outbox::KeptConfiguration;

/// The one that was applied last.
pub(in crate::outbox) fn configuration_of_now(connection: &Connection) -> rusqlite::Result<Option<KeptConfiguration>> {
    connection
        .prepare_cached("SELECT hash, at, applied_by, texts FROM configurations ORDER BY id DESC LIMIT 1")?
        .query_row([], kept)
        .optional()
}

/// The newest of those with this hash: the same text may have been applied again.
pub(in crate::outbox) fn configuration(
    connection: &Connection,
    hash: &str,
) -> rusqlite::Result<Option<KeptConfiguration>> {
    connection
        .prepare_cached(
            "SELECT hash, at, applied_by, texts FROM configurations INDEXED BY configurations_hash
             WHERE hash = ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row([hash], kept)
        .optional()
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptConfiguration> {
    Ok(KeptConfiguration {
        hash: row.get(0)?,
        applied_at: read::timestamp(row, 1)?,
        applied_by: row.get(2)?,
        texts: read::json(&row.get::<_, String>(3)?)?,
    })
}

impl Ledger {
    /// Keeps a configuration, unless it is the newest already.
    pub(crate) fn configured(&mut self, hash: &str, texts: &str, by: &str, now: Timestamp) -> rusqlite::Result<i64> {
        let newest: Option<(i64, String)> = self
            .connection
            .query_row(
                "SELECT id, hash FROM configurations ORDER BY id DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((id, _)) = newest.filter(|(_, of_newest)| of_newest == hash) {
            return Ok(id);
        }
        self.connection.execute(
            "INSERT INTO configurations(at, applied_by, hash, texts) VALUES (?, ?, ?, ?)",
            (now.as_millisecond(), by, hash, texts),
        )?;
        Ok(self.connection.last_insert_rowid())
    }
}
