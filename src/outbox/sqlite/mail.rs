use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::read;
use super::writer::Ledger;
use crate::domain::Trouble;
use crate::outbox::{Acknowledged, DueEmail, IncidentRow, NewEmail, Telling, TroubleRow};

pub(in crate::outbox) fn unseen_incidents(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<IncidentRow>> {
    connection
        .prepare_cached(
            "SELECT i.id, d.legal_entity, d.shop, d.mode, d.rendition, i.version, i.facts, i.told
             FROM incidents i INDEXED BY incidents_unseen JOIN destinations d ON d.id = i.destination
             WHERE i.seen <> i.version ORDER BY i.id LIMIT ?",
        )?
        .query_map([limit], |row| {
            Ok(IncidentRow {
                id: row.get(0)?,
                destination: read::destination_key(row, 1)?,
                version: row.get(5)?,
                incident: read::json(&row.get::<_, String>(6)?)?,
                told: row.get(7)?,
            })
        })?
        .collect()
}

pub(in crate::outbox) fn unseen_troubles(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<TroubleRow>> {
    connection
        .prepare_cached(
            "SELECT id, at, facts FROM troubles INDEXED BY troubles_untold WHERE told_at IS NULL ORDER BY id LIMIT ?",
        )?
        .query_map([limit], |row| {
            Ok(TroubleRow {
                id: row.get(0)?,
                at: read::timestamp(row, 1)?,
                trouble: read::json(&row.get::<_, String>(2)?)?,
            })
        })?
        .collect()
}

pub(in crate::outbox) fn troubles_since(
    connection: &Connection,
    since: Timestamp,
) -> rusqlite::Result<Vec<TroubleRow>> {
    connection
        .prepare_cached("SELECT id, at, facts FROM troubles WHERE at >= ? ORDER BY id")?
        .query_map([since.as_millisecond()], |row| {
            Ok(TroubleRow {
                id: row.get(0)?,
                at: read::timestamp(row, 1)?,
                trouble: read::json(&row.get::<_, String>(2)?)?,
            })
        })?
        .collect()
}

pub(in crate::outbox) fn due_emails(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<DueEmail>> {
    connection
        .prepare_cached(
            "SELECT id, address, message_id, in_reply_to, subject, body, created_at, attempts
             FROM emails INDEXED BY emails_due WHERE state=0 AND due <= ? ORDER BY due, id LIMIT ?",
        )?
        .query_map((now.as_millisecond(), limit), |row| {
            Ok(DueEmail {
                id: row.get(0)?,
                to: row.get(1)?,
                message_id: row.get(2)?,
                in_reply_to: row.get(3)?,
                subject: row.get(4)?,
                text: row.get(5)?,
                created_at: read::timestamp(row, 6)?,
                attempts: row.get(7)?,
            })
        })?
        .collect()
}

pub(in crate::outbox) fn waiting_emails(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM emails INDEXED BY emails_due WHERE state=0")?
        .query_row([], |row| row.get(0))
}

/// When the next e-mail wants to be sent.
pub(in crate::outbox) fn next_email(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT due FROM emails INDEXED BY emails_due WHERE state=0 ORDER BY due LIMIT 1")?
        .query_row([], |row| read::timestamp(row, 0))
        .optional()
}

/// When the newest e-mail of a thread was made.
pub(in crate::outbox) fn last_told(connection: &Connection, thread: &str) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT created_at FROM emails WHERE thread = ? ORDER BY created_at DESC LIMIT 1")?
        .query_row([thread], |row| read::timestamp(row, 0))
        .optional()
}

impl Ledger {
    pub(crate) fn report(&self, trouble: &Trouble, now: Timestamp) -> rusqlite::Result<()> {
        let facts = serde_json::to_string(trouble).map_err(read::unwritable)?;
        self.connection.execute(
            "INSERT INTO troubles(at, facts) VALUES (?, ?)",
            (now.as_millisecond(), facts),
        )?;
        Ok(())
    }

    /// Who is told of several incidents in one thread acknowledges them all.
    pub(crate) fn acknowledge(
        &self,
        incident: i64,
        by: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> rusqlite::Result<Acknowledged> {
        let known = self
            .connection
            .prepare_cached("SELECT closed_at IS NULL, coalesce(told_with, 0) FROM incidents WHERE id = ?")?
            .query_row([incident], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((is_open, told_with)) = known else {
            return Ok(Acknowledged::Unknown);
        };
        if !is_open {
            return Ok(Acknowledged::NotOpen);
        }
        let noted = self
            .connection
            .prepare_cached(
                "UPDATE incidents SET acknowledged_at = ?, acknowledged_by = ?, acknowledged_until = ?
                 WHERE closed_at IS NULL AND (id = ? OR told_with = ?)",
            )?
            .execute((
                now.as_millisecond(),
                by,
                until.map(|until| until.as_millisecond()),
                incident,
                told_with,
            ))?;
        Ok(Acknowledged::Noted(noted))
    }

    pub(crate) fn tell(&self, telling: &Telling, now: Timestamp) -> rusqlite::Result<()> {
        self.emails(&telling.emails, now)?;
        self.connection
            .prepare_cached("UPDATE incidents SET told = ?, seen = ? WHERE id = ?")?
            .execute((&telling.told, telling.version, telling.incident))?;
        Ok(())
    }

    pub(crate) fn tell_troubles(&self, ids: &[i64], emails: &[NewEmail], now: Timestamp) -> rusqlite::Result<()> {
        self.emails(emails, now)?;
        let mut statement = self
            .connection
            .prepare_cached("UPDATE troubles SET told_at = ? WHERE id = ?")?;
        for id in ids {
            statement.execute((now.as_millisecond(), id))?;
        }
        Ok(())
    }

    pub(crate) fn email_sent(&self, id: i64, now: Timestamp) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE emails SET state = 1, attempts = attempts + 1, ended_at = ? WHERE id = ?")?
            .execute((now.as_millisecond(), id))?;
        Ok(())
    }

    /// `retry_at`: `None` if it failed for good.
    pub(crate) fn email_failed(
        &self,
        id: i64,
        now: Timestamp,
        retry_at: Option<Timestamp>,
        detail: &str,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE emails SET state = ?, due = ?, attempts = attempts + 1, ended_at = ?, detail = ? WHERE id = ?",
        )?;
        match retry_at {
            Some(at) => statement.execute((0, at.as_millisecond(), None::<i64>, detail, id))?,
            None => statement.execute((2, now.as_millisecond(), Some(now.as_millisecond()), detail, id))?,
        };
        Ok(())
    }

    /// Each step is decided once: what is there already stays as it is.
    fn emails(&self, emails: &[NewEmail], now: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO emails(thread, step, address, message_id, in_reply_to, subject, body, created_at, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT(thread, step, address) DO NOTHING",
        )?;
        for email in emails {
            statement.execute((
                &email.thread,
                &email.step,
                &email.to,
                &email.message_id,
                &email.in_reply_to,
                &email.subject,
                &email.text,
                now.as_millisecond(),
            ))?;
        }
        Ok(())
    }
}
