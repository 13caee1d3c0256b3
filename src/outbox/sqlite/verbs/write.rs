use jiff::Timestamp;
use rusqlite::Connection;

use super::act::{Change, Hand, Repetition, carry_out};
use crate::domain::{DestinationKey, Lane, Verb};
use crate::outbox::News;
use crate::outbox::sqlite::accept::{Holder, holder};
use crate::outbox::sqlite::read::{destination_key, timestamp};
use crate::outbox::sqlite::record::EndState;
use crate::outbox::sqlite::told::Told;
use crate::outbox::sqlite::writer::{AfterCommit, Ledger};
use crate::outbox::verbs::{Batch, Progress, Rerouted, VerbId};
use crate::route::Identity;

impl Ledger {
    /// One step of a verb; returns what is to be told once it is committed.
    pub(in crate::outbox) fn act(
        &mut self,
        id: VerbId,
        verb: &Verb,
        batch: &Batch,
        mut progress: Progress,
        now: Timestamp,
    ) -> rusqlite::Result<(Progress, AfterCommit)> {
        let mut hand = Writing {
            ledger: self,
            now,
            told: Told::default(),
        };
        carry_out(&mut hand, verb, batch, &mut progress.result)?;
        let told = hand.told;
        self.note_progress(id, &progress, now)?;
        Ok((progress, told.after_commit(self)))
    }
}

/// The hand that writes.
struct Writing<'a> {
    ledger: &'a mut Ledger,
    now: Timestamp,
    told: Told,
}

impl Hand for Writing<'_> {
    fn connection(&self) -> &Connection {
        &self.ledger.connection
    }

    fn claim(&mut self, identity: &Identity, of: &Rerouted) -> rusqlite::Result<Option<Holder>> {
        self.ledger.claim(identity, of.key, of.received_at)
    }

    fn change(&mut self, change: Change<'_>) -> rusqlite::Result<()> {
        match change {
            Change::Cancel { destination, seqs } => {
                let rows = self
                    .ledger
                    .end_unattempted(destination, seqs, EndState::Cancelled, self.now)?;
                self.ledger.note_ended(destination, &rows);
                self.told.cancelled(destination, rows);
                Ok(())
            }
            Change::Deliver { to, of } => self.insert(to, of.lane, of.key, None),
            Change::Pause { destination, until } => self.pause(destination, until),
            Change::Release(notification) => self.release(notification),
            Change::Replay(repetition) => self.replay(repetition),
            Change::Resume { destination } => self.resume(destination),
            Change::Route(notification) => self.route(notification),
        }
    }
}

impl Writing<'_> {
    /// At the end of its destination, and so of its lane.
    fn insert(
        &mut self,
        to: &DestinationKey,
        lane: Lane,
        notification: i64,
        repeats: Option<&Repetition>,
    ) -> rusqlite::Result<()> {
        let destination = self.ledger.destination(to, self.now)?;
        destination.last += 1;
        destination.dirty = true;
        let (destination, seq) = (destination.id, destination.last);
        self.ledger
            .connection
            .prepare_cached(
                "INSERT INTO deliveries(destination, seq, lane, notification, since, replay_of, replays, renewed)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                destination,
                seq,
                lane.0,
                notification,
                self.now.as_millisecond(),
                repeats.map(|repetition| repetition.of.seq),
                repeats.map_or(0, |repetition| repetition.replays),
                repeats.map_or(0, |repetition| repetition.renewed),
            ))?;
        self.told.added(destination, seq);
        Ok(())
    }

    fn replay(&mut self, repetition: &Repetition) -> rusqlite::Result<()> {
        let to = self
            .ledger
            .connection
            .prepare_cached("SELECT legal_entity, shop, mode, rendition FROM destinations WHERE id = ?")?
            .query_row([repetition.of.destination], |row| destination_key(row, 0))?;
        self.insert(&to, repetition.lane, repetition.notification, Some(repetition))?;
        self.ledger
            .connection
            .prepare_cached("UPDATE notifications SET standing = 'routed' WHERE id = ? AND standing <> 'routed'")?
            .execute([repetition.notification])?;
        Ok(())
    }

    fn release(&mut self, notification: &Rerouted) -> rusqlite::Result<()> {
        let resend_of = match notification.resend_of {
            Some(hash) => holder(&self.ledger.connection, hash)?,
            None => None,
        };
        self.ledger
            .connection
            .prepare_cached(
                "UPDATE notifications SET standing = 'routed', kind = ?, token = ?, transaction_uuid = ?, lane = ?,
                   event = coalesce(event, ?), resend_of = coalesce(resend_of, ?) WHERE id = ?",
            )?
            .execute((
                notification.kind.name(),
                &notification.token,
                &notification.transaction,
                notification.lane.0,
                notification.event,
                resend_of.map(|first| first.key),
                notification.key,
            ))?;
        self.told.changed(notification.key);
        Ok(())
    }

    fn route(&mut self, notification: &Rerouted) -> rusqlite::Result<()> {
        self.ledger
            .connection
            .prepare_cached("UPDATE notifications SET event = coalesce(event, ?) WHERE id = ?")?
            .execute((notification.event, notification.key))?;
        self.told.changed(notification.key);
        Ok(())
    }

    fn pause(&mut self, destination: i64, until: Option<Timestamp>) -> rusqlite::Result<()> {
        self.ledger
            .connection
            .prepare_cached("UPDATE destinations SET paused = coalesce(paused, ?), paused_until = ? WHERE id = ?")?
            .execute((
                self.now.as_millisecond(),
                until.map(Timestamp::as_millisecond),
                destination,
            ))?;
        self.told.news(destination, News::Paused);
        Ok(())
    }

    /// What has waited because of us is not given up for it.
    fn resume(&mut self, destination: i64) -> rusqlite::Result<()> {
        let give_up_from = self
            .ledger
            .connection
            .prepare_cached(
                "UPDATE destinations SET paused = NULL, paused_until = NULL, give_up_from = max(give_up_from, ?) WHERE id = ?
                 RETURNING give_up_from",
            )?
            .query_row((self.now.as_millisecond(), destination), |row| timestamp(row, 0))?;
        self.told.news(destination, News::Resumed { give_up_from });
        Ok(())
    }
}
