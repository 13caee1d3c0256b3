//! The rules of the verbs: what becomes of each row that is meant.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::domain::{DestinationFilter, DestinationKey, Lane, Pause, Rendition, Verb};
use crate::outbox::sqlite::accept::{Holder, holder};
use crate::outbox::sqlite::read::destination_key;
use crate::outbox::verbs::{Batch, DeliveryRef, Foreseen, LeftOut, Progress, Rerouted, VerbResult};
use crate::route::{Identity, Standing};

/// A delivery, and whether a later one repeats it.
pub(super) const DELIVERY: &str = "SELECT d.lane, d.notification, d.state, d.replays, d.renewed, n.has_body,
    EXISTS (SELECT 1 FROM deliveries later INDEXED BY deliveries_notification
      WHERE later.notification = d.notification AND later.destination = d.destination AND later.seq > d.seq)
  FROM deliveries d JOIN notifications n ON n.id = d.notification WHERE d.destination = ? AND d.seq = ?";
pub(super) const HELD: &str = "SELECT n.standing, n.has_body,
    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_notification WHERE d.notification = n.id)
  FROM notifications n WHERE n.id = ?";
pub(super) const EXISTING: &str = "SELECT 1 FROM deliveries d INDEXED BY deliveries_notification
  WHERE d.notification = ? AND d.destination =
    (SELECT id FROM destinations WHERE legal_entity = ? AND shop = ? AND mode = ? AND rendition = ?)";

/// What a step of the writer would do.
pub(in crate::outbox) fn foresee(
    connection: &Connection,
    verb: &Verb,
    batch: &Batch,
    mut progress: Progress,
    foreseen: Foreseen,
) -> rusqlite::Result<(Progress, Foreseen)> {
    let snapshot = connection.unchecked_transaction()?;
    let mut hand = Counting {
        connection: &snapshot,
        foreseen,
    };
    carry_out(&mut hand, verb, batch, &mut progress.result)?;
    Ok((progress, hand.foreseen))
}

/// What the rules below decide is done by a hand: by one that writes, or one that only counts.
pub(super) trait Hand {
    fn connection(&self) -> &Connection;

    /// Makes the identity this notification's; returns the one that has it already, which may be the same.
    fn claim(&mut self, identity: &Identity, of: &Rerouted) -> rusqlite::Result<Option<Holder>>;

    fn change(&mut self, change: Change<'_>) -> rusqlite::Result<()>;
}

/// What a verb changes.
pub(super) enum Change<'a> {
    Cancel {
        destination: i64,
        seqs: &'a [i64],
    },
    Deliver {
        to: &'a DestinationKey,
        of: &'a Rerouted,
    },
    Pause {
        destination: i64,
        until: Option<Timestamp>,
    },
    /// It becomes what the configuration of now makes of it.
    Release(&'a Rerouted),
    Replay(&'a Repetition),
    Resume {
        destination: i64,
    },
    /// It goes to one shop more; its kind may not have been shared before, so that it had no event.
    Route(&'a Rerouted),
}

/// A delivery that repeats another.
pub(super) struct Repetition {
    pub(super) of: DeliveryRef,
    pub(super) lane: Lane,
    pub(super) notification: i64,
    pub(super) replays: u32,
    pub(super) renewed: u32,
}

/// Decides about each row of a batch.
pub(super) fn carry_out(
    hand: &mut impl Hand,
    verb: &Verb,
    batch: &Batch,
    result: &mut VerbResult,
) -> rusqlite::Result<()> {
    match (verb, batch) {
        (Verb::Pause(wanted), _) => pause(hand, wanted, result),
        (Verb::Resume(filter), _) => resume(hand, filter, result),
        (Verb::Cancel(_), Batch::Deliveries(deliveries)) => cancel(hand, deliveries, result),
        (Verb::Replay { as_new, .. }, Batch::Deliveries(deliveries)) => deliveries
            .iter()
            .try_for_each(|delivery| replay(hand, *delivery, *as_new, result)),
        (Verb::Release { .. } | Verb::Replay { .. }, Batch::Notifications(notifications)) => notifications
            .iter()
            .try_for_each(|notification| release(hand, notification, result)),
        (Verb::Backfill { .. }, Batch::Notifications(notifications)) => notifications
            .iter()
            .try_for_each(|notification| backfill(hand, notification, result)),
        // Nothing of that sort is ever found for them.
        (Verb::Backfill { .. } | Verb::Release { .. }, Batch::Deliveries(_))
        | (Verb::Cancel(_), Batch::Notifications(_)) => Ok(()),
    }
}

/// Since when one that is paused already is, and what counts from there, does not change; until when may.
fn pause(hand: &mut impl Hand, wanted: &Pause, result: &mut VerbResult) -> rusqlite::Result<()> {
    let until = wanted.until;
    for one in pausable(hand, &wanted.destinations)? {
        let destination = one.id;
        if one.is_paused && one.until == until.map(Timestamp::as_millisecond) {
            result.leave_out(LeftOut::AlreadyPaused);
        } else {
            hand.change(Change::Pause { destination, until })?;
            result.done += 1;
        }
    }
    Ok(())
}

fn resume(hand: &mut impl Hand, filter: &DestinationFilter, result: &mut VerbResult) -> rusqlite::Result<()> {
    for one in pausable(hand, filter)? {
        let destination = one.id;
        if one.is_paused {
            hand.change(Change::Resume { destination })?;
            result.done += 1;
        } else {
            result.leave_out(LeftOut::NotPaused);
        }
    }
    Ok(())
}

/// A destination, as far as pausing it is concerned.
struct Pausable {
    id: i64,
    is_paused: bool,
    /// Milliseconds.
    until: Option<i64>,
}

/// Those that are meant.
fn pausable(hand: &impl Hand, filter: &DestinationFilter) -> rusqlite::Result<Vec<Pausable>> {
    let mut statement = hand.connection().prepare_cached(
        "SELECT id, paused IS NOT NULL, paused_until, legal_entity, shop, mode, rendition FROM destinations",
    )?;
    let mut rows = statement.query([])?;
    let mut meant = Vec::new();
    while let Some(row) = rows.next()? {
        // One that this version does not know is none of those that are meant.
        if destination_key(row, 3).is_ok_and(|key| filter.matches(&key)) {
            meant.push(Pausable {
                id: row.get(0)?,
                is_paused: row.get(1)?,
                until: row.get(2)?,
            });
        }
    }
    Ok(meant)
}

fn cancel(hand: &mut impl Hand, deliveries: &[DeliveryRef], result: &mut VerbResult) -> rusqlite::Result<()> {
    for of_one in deliveries.chunk_by(|a, b| a.destination == b.destination) {
        let mut open = Vec::new();
        for delivery in of_one {
            let is_open = hand
                .connection()
                .prepare_cached("SELECT 1 FROM deliveries WHERE destination = ? AND seq = ? AND state=0")?
                .exists((delivery.destination, delivery.seq))?;
            if is_open {
                open.push(delivery.seq);
                result.done += 1;
            } else {
                result.leave_out(LeftOut::Ended);
            }
        }
        if let [first, ..] = of_one
            && !open.is_empty()
        {
            let destination = first.destination;
            hand.change(Change::Cancel {
                destination,
                seqs: &open,
            })?;
        }
    }
    Ok(())
}

/// A new delivery at the end of its lane, for one that has ended and was not replayed yet.
fn replay(hand: &mut impl Hand, old: DeliveryRef, as_new: bool, result: &mut VerbResult) -> rusqlite::Result<()> {
    let repetition = hand
        .connection()
        .prepare_cached(DELIVERY)?
        .query_row((old.destination, old.seq), |row| {
            let (is_open, has_body, is_replayed) = (row.get::<_, i64>(2)? == 0, row.get(5)?, row.get(6)?);
            let replays = row.get::<_, u32>(3)? + 1;
            let repetition = Repetition {
                of: old,
                lane: Lane(row.get(0)?),
                notification: row.get(1)?,
                replays,
                renewed: if as_new { replays } else { row.get(4)? },
            };
            Ok(match (is_replayed, is_open, has_body) {
                (true, _, _) => Err(LeftOut::AlreadyReplayed),
                (false, true, _) => Err(LeftOut::StillOpen),
                (false, false, false) => Err(LeftOut::BodyDeleted),
                (false, false, true) => Ok(repetition),
            })
        })
        .optional()?
        .unwrap_or(Err(LeftOut::BodyDeleted));
    match repetition {
        Ok(repetition) => {
            hand.change(Change::Replay(&repetition))?;
            result.done += 1;
        }
        Err(why) => result.leave_out(why),
    }
    Ok(())
}

/// A notification that has waited without deliveries becomes what it would be had it come now; but it came then, so a
/// later one that told the same stands in its way.
fn release(hand: &mut impl Hand, notification: &Rerouted, result: &mut VerbResult) -> rusqlite::Result<()> {
    let held: Option<(String, bool, bool)> = hand
        .connection()
        .prepare_cached(HELD)?
        .query_row([notification.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let standing = |word: &str| Standing::from_word(word);
    let refused = match held {
        None | Some((_, false, _)) => Some(LeftOut::BodyDeleted),
        Some((word, true, has_deliveries)) => match (standing(&word), has_deliveries) {
            (Some(Standing::Parked | Standing::Quarantined), false) => None,
            _ => Some(LeftOut::NotHeld),
        },
    };
    if let Some(why) = refused {
        result.leave_out(why);
        return Ok(());
    }
    let other = hand
        .claim(&notification.identity, notification)?
        .filter(|holder| holder.key != notification.key);
    if let Some(other) = other {
        result.leave_out(LeftOut::AlreadyArrived);
        result.arrived_as = other.id;
        return Ok(());
    }
    hand.change(Change::Release(notification))?;
    deliver(hand, notification, result)?;
    Ok(())
}

fn backfill(hand: &mut impl Hand, notification: &Rerouted, result: &mut VerbResult) -> rusqlite::Result<()> {
    let has_body = hand
        .connection()
        .prepare_cached("SELECT 1 FROM notifications WHERE id = ? AND has_body=1")?
        .exists([notification.key])?;
    if !has_body {
        result.leave_out(LeftOut::BodyDeleted);
    } else if deliver(hand, notification, result)? > 0 {
        hand.change(Change::Route(notification))?;
    }
    Ok(())
}

/// Makes the deliveries that do not exist. The event is told by the notification that has its identity alone, so that
/// both formats of one happening make one event.
fn deliver(hand: &mut impl Hand, notification: &Rerouted, result: &mut VerbResult) -> rusqlite::Result<u64> {
    let mut made = 0;
    let mut tells_event = None;
    for key in &notification.destinations {
        let named = (
            notification.key,
            key.legal_entity.as_str(),
            key.shop.as_str(),
            key.mode.word(),
            key.rendition.word(),
        );
        if hand.connection().prepare_cached(EXISTING)?.exists(named)? {
            result.leave_out(LeftOut::AlreadyThere);
            continue;
        }
        if key.rendition == Rendition::Event {
            let tells = match tells_event {
                Some(tells) => tells,
                None => *tells_event.insert(claim_event(hand, notification)?),
            };
            if !tells {
                result.leave_out(LeftOut::EventOfAnother);
                continue;
            }
        }
        let (to, of) = (key, notification);
        hand.change(Change::Deliver { to, of })?;
        made += 1;
    }
    result.done += made;
    Ok(made)
}

fn claim_event(hand: &mut impl Hand, notification: &Rerouted) -> rusqlite::Result<bool> {
    let Some(hash) = notification.event else {
        return Ok(false);
    };
    let until = notification.identity.until;
    let other = hand.claim(&Identity { hash, until }, notification)?;
    Ok(other.is_none_or(|holder| holder.key == notification.key))
}

/// The hand of a dry run.
struct Counting<'a> {
    connection: &'a Connection,
    foreseen: Foreseen,
}

impl Hand for Counting<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }

    fn claim(&mut self, identity: &Identity, of: &Rerouted) -> rusqlite::Result<Option<Holder>> {
        let stored = holder(self.connection, identity.hash)?
            .filter(|holder| holder.until.is_none_or(|until| until > of.received_at));
        if stored.is_some() {
            return Ok(stored);
        }
        let key = *self.foreseen.claimed.entry(identity.hash).or_insert(of.key);
        let (id, until) = (None, identity.until);
        Ok(Some(Holder { key, id, until }))
    }

    fn change(&mut self, _: Change<'_>) -> rusqlite::Result<()> {
        Ok(())
    }
}
