//! What is told besides incidents: single attempts, what plugins complain of, and the e-mails that were held back.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use super::writer::Ledger;
use super::{is_unreadable, read};
use crate::domain::NotificationId;
use crate::outbox::{AttemptRecord, Complaint, HeldEmail, NewEmail, Next, UntoldAttempt};

/// Held e-mails that are looked at in one go.
const HELD: u32 = 10_000;

/// One that this version cannot read is left out, and forgotten with those after it.
pub(in crate::outbox) fn untold_attempts(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<UntoldAttempt>> {
    connection
        .prepare_cached(
            "SELECT u.id, d.legal_entity, d.shop, d.mode, d.rendition, u.destination, u.seq, u.n, u.failure, u.due, n.uuid
             FROM untold_attempts u JOIN destinations d ON d.id = u.destination
             JOIN deliveries v ON v.destination = u.destination AND v.seq = u.seq
             JOIN notifications n ON n.id = v.notification ORDER BY u.id LIMIT ?",
        )?
        .query_map([limit], |row| {
            Ok(UntoldAttempt {
                id: row.get(0)?,
                destination: read::destination_key(row, 1)?,
                delivery: (row.get(5)?, row.get(6)?),
                attempt: row.get(7)?,
                failure: read::json(&row.get::<_, String>(8)?)?,
                next_attempt: read::optional_timestamp(row, 9)?,
                notification: NotificationId::from_bytes(row.get(10)?),
            })
        })?
        .filter(|attempt| !attempt.as_ref().is_err_and(is_unreadable))
        .collect()
}

pub(in crate::outbox) fn untold_complaints(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<Complaint>> {
    connection
        .prepare_cached(
            "SELECT c.id, d.legal_entity, d.shop, d.mode, d.rendition, c.destination, c.day, c.at, c.verdict, n.uuid
             FROM complaints c INDEXED BY complaints_untold JOIN destinations d ON d.id = c.destination
             JOIN deliveries v ON v.destination = c.destination AND v.seq = c.seq
             JOIN notifications n ON n.id = v.notification WHERE c.told_at IS NULL ORDER BY c.id LIMIT ?",
        )?
        .query_map([limit], |row| {
            Ok(Complaint {
                id: row.get(0)?,
                destination: read::destination_key(row, 1)?,
                destination_id: row.get(5)?,
                day: row.get(6)?,
                at: read::timestamp(row, 7)?,
                verdict: row.get(8)?,
                notification: NotificationId::from_bytes(row.get(9)?),
            })
        })?
        .collect()
}

pub(in crate::outbox) fn held_emails(connection: &Connection) -> rusqlite::Result<Vec<HeldEmail>> {
    connection
        .prepare_cached(
            "SELECT id, address, subject, created_at FROM emails INDEXED BY emails_held WHERE state=3
             ORDER BY address, id LIMIT ?",
        )?
        .query_map([HELD], |row| {
            Ok(HeldEmail {
                id: row.get(0)?,
                address: row.get(1)?,
                subject: row.get(2)?,
                at: read::timestamp(row, 3)?,
            })
        })?
        .collect()
}

/// When the newest e-mail of a thread was made for an address.
pub(in crate::outbox) fn last_told_to(
    connection: &Connection,
    thread: &str,
    to: &str,
) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached(
            "SELECT created_at FROM emails INDEXED BY emails_address WHERE address = ? AND thread = ?
             ORDER BY created_at DESC LIMIT 1",
        )?
        .query_row((to, thread), |row| read::timestamp(row, 0))
        .optional()
}

impl Ledger {
    /// What of an attempt is to be told by itself.
    pub(super) fn notices(&self, record: &AttemptRecord) -> rusqlite::Result<()> {
        let destination = record.lease.destination;
        if let Some(failure) = &record.told_apart {
            let due = match record.next {
                Next::Due(at) => Some(at.as_millisecond()),
                Next::DeadLetter | Next::Delivered => None,
            };
            let failure = serde_json::to_string(failure).map_err(read::unwritable)?;
            self.connection
                .prepare_cached(
                    "INSERT INTO untold_attempts(destination, seq, n, failure, due) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute((destination, record.seq, record.attempt, failure, due))?;
        }
        if let Some(verdict) = &record.complaint {
            let at = record.ended_at();
            let day = at.to_zoned(TimeZone::UTC).date().to_string();
            self.connection
                .prepare_cached(
                    "INSERT INTO complaints(destination, day, at, seq, verdict) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT(destination, day) DO NOTHING",
                )?
                .execute((destination, day, at.as_millisecond(), record.seq, verdict))?;
        }
        Ok(())
    }

    pub(crate) fn tell_attempts(&self, up_to: i64, emails: &[NewEmail], now: Timestamp) -> rusqlite::Result<()> {
        self.emails(emails, now)?;
        self.connection
            .prepare_cached("DELETE FROM untold_attempts WHERE id <= ?")?
            .execute([up_to])?;
        Ok(())
    }

    pub(crate) fn tell_complaints(&self, ids: &[i64], emails: &[NewEmail], now: Timestamp) -> rusqlite::Result<()> {
        self.emails(emails, now)?;
        let mut statement = self
            .connection
            .prepare_cached("UPDATE complaints SET told_at = ? WHERE id = ?")?;
        for id in ids {
            statement.execute((now.as_millisecond(), id))?;
        }
        Ok(())
    }

    pub(crate) fn tell_digest(&self, up_to: i64, email: &NewEmail, now: Timestamp) -> rusqlite::Result<()> {
        self.insert_email(email, now, false)?;
        self.connection
            .prepare_cached("UPDATE emails SET state = 4, ended_at = ? WHERE state=3 AND address = ? AND id <= ?")?
            .execute((now.as_millisecond(), &email.address, up_to))?;
        Ok(())
    }
}
