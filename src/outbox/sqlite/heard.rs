//! When the gateway was last heard, for each company and mode; and that it is silent.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use super::read;
use super::writer::Ledger;
use crate::domain::{Expectation, Hearing, LegalEntityId, Mode, SilenceDue, Trouble};
use crate::route::{Routed, Standing};

/// Times closer together than this are not written anew: in a flood nobody asks for more.
const EXACT_TO: Duration = Duration::from_secs(1);

/// The table `heard`, with what is not written yet.
pub(super) type AllHeard = BTreeMap<(LegalEntityId, Mode), Heard>;

#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    now: Hearing,
    /// As in the row.
    written: Hearing,
}

impl Heard {
    fn is_to_be_written(&self) -> bool {
        let is_later = match (self.now.last_heard, self.written.last_heard) {
            (Some(now), Some(written)) => now >= written + EXACT_TO,
            (now, _) => now.is_some(),
        };
        let rest = |hearing: &Hearing| (hearing.expected_since, hearing.told_at);
        is_later || rest(&self.now) != rest(&self.written)
    }
}

/// When a notification last came, for each company and mode for which one did.
pub(in crate::outbox) fn last_heard(
    connection: &Connection,
) -> rusqlite::Result<Vec<(LegalEntityId, Mode, Timestamp)>> {
    connection
        .prepare_cached("SELECT legal_entity, mode, at FROM heard WHERE at IS NOT NULL ORDER BY legal_entity, mode")?
        .query_map([], |row| {
            let (legal_entity, mode) = circle(row)?;
            Ok((legal_entity, mode, read::timestamp(row, 2)?))
        })?
        .collect()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<AllHeard> {
    connection
        .prepare("SELECT legal_entity, mode, at, expected_since, told_at FROM heard")?
        .query_map([], |row| {
            let time = |column| match row.get::<_, Option<i64>>(column)? {
                Some(_) => read::timestamp(row, column).map(Some),
                None => Ok(None),
            };
            let written = Hearing {
                last_heard: time(2)?,
                expected_since: time(3)?,
                told_at: time(4)?,
            };
            Ok((circle(row)?, Heard { now: written, written }))
        })?
        .filter_map(|row| match row {
            // The daemon is to start all the same; the company counts as not heard yet.
            Err(error @ rusqlite::Error::FromSqlConversionFailure(..)) => {
                tracing::error!(%error, "cannot read when the gateway was last heard: {error}");
                None
            }
            row => Some(row),
        })
        .collect()
}

fn circle(row: &Row<'_>) -> rusqlite::Result<(LegalEntityId, Mode)> {
    Ok((read::parsed(row, 0)?, read::word(row, 1, Mode::from_word)?))
}

impl Ledger {
    /// Notes that the gateway has called; returns whether the operators are to be told that it is silent no more.
    pub(super) fn hear(&mut self, routed: &Routed) -> rusqlite::Result<bool> {
        // Whoever sent this may be a buyer.
        if routed.standing == Standing::Quarantined {
            return Ok(false);
        }
        let (legal_entity, mode) = (routed.legal_entity.clone(), routed.mode);
        let heard = self.heard.entry((legal_entity, mode)).or_default();
        let Some(silent_since) = heard.now.heard(routed.received_at) else {
            return Ok(false);
        };
        let trouble = Trouble::HeardAgain {
            legal_entity: routed.legal_entity.clone(),
            mode,
            silent_since,
        };
        self.report(&trouble, routed.received_at)?;
        Ok(true)
    }

    /// Reports every silence that is to be told, and returns when the next will be. What is not expected is not missed.
    pub(crate) fn report_silence(
        &mut self,
        expected: &[Expectation],
        now: Timestamp,
    ) -> rusqlite::Result<Option<Timestamp>> {
        for ((legal_entity, mode), heard) in &mut self.heard {
            let expects = |one: &Expectation| one.legal_entity == *legal_entity && one.mode == *mode;
            heard.now.expect(expected.iter().any(expects), now);
        }
        let mut troubles = Vec::new();
        let mut next = None;
        for Expectation {
            legal_entity,
            mode,
            every,
        } in expected
        {
            let Heard { now: hearing, .. } = self.heard.entry((legal_entity.clone(), *mode)).or_default();
            hearing.expect(true, now);
            if let Some(SilenceDue::Now { since }) = hearing.tell(*every, now) {
                troubles.push(Trouble::Silence {
                    legal_entity: legal_entity.clone(),
                    mode: *mode,
                    since,
                    last_heard: hearing.last_heard,
                    expected_every: *every,
                });
            }
            // Also after it was just told: when it will be told again.
            if let Some(SilenceDue::At(at)) = hearing.tell(*every, now) {
                next = next.into_iter().chain([at]).min();
            }
        }
        for trouble in &troubles {
            self.report(trouble, now)?;
        }
        Ok(next)
    }

    /// Writes what has changed: one row for each company and mode, however many notifications came.
    pub(super) fn write_heard(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO heard(legal_entity, mode, at, expected_since, told_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET at = ?3, expected_since = ?4, told_at = ?5",
        )?;
        for ((legal_entity, mode), heard) in &mut self.heard {
            if heard.is_to_be_written() {
                let millis = |time: Option<Timestamp>| time.map(|time| time.as_millisecond());
                statement.execute((
                    legal_entity.as_str(),
                    mode.word(),
                    millis(heard.now.last_heard),
                    millis(heard.now.expected_since),
                    millis(heard.now.told_at),
                ))?;
                heard.written = heard.now;
            }
        }
        Ok(())
    }
}
