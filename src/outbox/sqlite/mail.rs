use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::read;
use super::writer::Ledger;
use crate::domain::{Audited, Trouble};
use crate::outbox::{DueEmail, NewEmail, Telling, TroubleRow};

/// More e-mails than this within an hour are too many for an address.
const AN_HOUR: i64 = 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Troubles that were not told yet, and the ids of those that this version cannot read.
pub(in crate::outbox) fn unseen_troubles(
    connection: &Connection,
    limit: u32,
) -> rusqlite::Result<(Vec<TroubleRow>, Vec<i64>)> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, facts FROM troubles INDEXED BY troubles_untold WHERE told_at IS NULL ORDER BY id LIMIT ?",
    )?;
    let mut rows = statement.query([limit])?;
    let (mut troubles, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let at = read::timestamp(row, 1)?;
        match read::json(&row.get::<_, String>(2)?) {
            Ok(trouble) => troubles.push(TroubleRow { id, at, trouble }),
            Err(_) => unreadable.push(id),
        }
    }
    Ok((troubles, unreadable))
}

pub(in crate::outbox) fn troubles_since(
    connection: &Connection,
    since: Timestamp,
) -> rusqlite::Result<Vec<TroubleRow>> {
    connection
        .prepare_cached("SELECT id, at, facts FROM troubles WHERE at >= ? ORDER BY id")?
        .query_map([since.as_millisecond()], |row| {
            let (id, at) = (row.get(0)?, read::timestamp(row, 1)?);
            // What another version has told does not matter to this one.
            let trouble = read::json(&row.get::<_, String>(2)?).ok();
            Ok(trouble.map(|trouble| TroubleRow { id, at, trouble }))
        })?
        .filter_map(Result::transpose)
        .collect()
}

pub(in crate::outbox) fn due_emails(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<DueEmail>> {
    connection
        .prepare_cached(
            "SELECT id, recipient, message_id, in_reply_to, subject, body, created_at, attempts, address
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
                address: row.get(8)?,
            })
        })?
        .collect()
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

    /// Keeps a record of what somebody did.
    pub(crate) fn note(&self, act: &Audited, who: &str, now: Timestamp) -> rusqlite::Result<()> {
        let act = serde_json::to_string(act).map_err(read::unwritable)?;
        self.connection
            .prepare_cached("INSERT INTO audit(at, who, act) VALUES (?, ?, ?)")?
            .execute((now.as_millisecond(), who, act))?;
        Ok(())
    }

    pub(crate) fn tell(&self, telling: &Telling, now: Timestamp) -> rusqlite::Result<()> {
        self.emails(&telling.emails, now)?;
        self.connection
            .prepare_cached("UPDATE incidents SET told = ?, seen = ? WHERE id = ?")?
            .execute((&telling.told, telling.version, telling.incident))?;
        if telling.others.is_empty() {
            return Ok(());
        }
        let mut together = self
            .connection
            .prepare_cached("UPDATE incidents SET told_with = ?, seen = ? WHERE id = ?")?;
        for (id, version) in telling.others.iter().chain([&(telling.incident, telling.version)]) {
            together.execute((telling.incident, version, id))?;
        }
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

    /// Each step is decided once: what is there already stays as it is. For an address that has had too many, e-mails are
    /// held back, without their texts, until one stands for them.
    pub(super) fn emails(&self, emails: &[NewEmail], now: Timestamp) -> rusqlite::Result<()> {
        for email in emails {
            let is_held = self.has_enough(&email.address, now)?;
            self.insert_email(email, now, is_held)?;
        }
        Ok(())
    }

    fn has_enough(&self, address: &str, now: Timestamp) -> rusqlite::Result<bool> {
        let has_held: bool = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM emails INDEXED BY emails_held WHERE state=3 AND address = ?)",
            )?
            .query_row([address], |row| row.get(0))?;
        if has_held {
            return Ok(true);
        }
        let hour_ago = now - HOUR;
        let number: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM emails INDEXED BY emails_address
                 WHERE address = ? AND created_at > ? AND state NOT IN (3, 4)",
            )?
            .query_row((address, hour_ago.as_millisecond()), |row| row.get(0))?;
        Ok(number >= AN_HOUR)
    }

    pub(super) fn insert_email(&self, email: &NewEmail, now: Timestamp, is_held: bool) -> rusqlite::Result<()> {
        let (state, text) = if is_held { (3, "") } else { (0, email.text.as_str()) };
        self.connection
            .prepare_cached(
                // Who was added later, or had too many, has not got the thread's first: programs for mail hang what
                // answers an unknown e-mail nowhere. By `+` the thread is looked up, not the address.
                "INSERT INTO emails(thread, step, address, recipient, message_id, in_reply_to, subject, body, state,
                   created_at, due)
                 VALUES (?1, ?2, ?3, ?10, ?4, iif(?5, (SELECT message_id FROM emails first WHERE first.thread = ?1
                   AND +first.address = ?3 AND +first.state IN (0, 1) ORDER BY first.id LIMIT 1), NULL), ?6, ?7, ?8,
                   ?9, ?9)
                 ON CONFLICT(thread, step, address) DO NOTHING",
            )?
            .execute((
                &email.thread,
                &email.step,
                &email.address,
                &email.message_id,
                email.is_follower,
                &email.subject,
                text,
                state,
                now.as_millisecond(),
                &email.to,
            ))?;
        Ok(())
    }
}
