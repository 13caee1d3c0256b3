//! What operators ask for: a row each, carried out in small steps.
//!
//! The row is the record of who asked for what, and of what came of it. A verb that takes long is carried out by
//! whoever calls, step by step: [`Outbox::begin_verb`] says where it begins and ends, [`Outbox::look`] finds what comes
//! next, and [`Outbox::act`] writes it. How far it has come is written in the transaction of each step, so that a kill
//! at any point repeats nothing; where it ends is fixed at the beginning, so that it never meets its own rows.
//! [`Outbox::foresee`] takes a step without writing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Outbox, OutboxError, sqlite};
use crate::domain::{DestinationKey, Kind, Lane, LegalEntityId, Mode, NotificationId, ShopId, Verb};
use crate::route::{Identity, Standing};

/// Names a verb that was asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(transparent)]
pub struct VerbId(pub i64);

impl fmt::Display for VerbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A verb as the store keeps it.
#[derive(Clone, Debug)]
pub struct VerbRow {
    pub id: VerbId,
    pub asked_at: Timestamp,
    pub asked_by: String,
    pub verb: Verb,
    pub state: VerbState,
}

/// How far a verb has come.
#[derive(Clone, Debug)]
pub enum VerbState {
    /// Nothing was written yet.
    Asked,
    Done {
        at: Timestamp,
        result: VerbResult,
    },
    UnderWay(Progress),
}

/// What came of a verb, for people to read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct VerbResult {
    /// Deliveries made or cancelled, destinations paused or resumed.
    pub done: u64,
    /// What was meant too, and was left as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<LeftOut, u64>,
    /// The notification as which one to be released has arrived already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived_as: Option<NotificationId>,
    /// Why it could not be carried out, or not to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Why a delivery, notification or destination was left as it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, thiserror::Error, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    #[error("arrived as another notification")]
    AlreadyArrived,
    #[error("paused already")]
    AlreadyPaused,
    #[error("replayed already")]
    AlreadyReplayed,
    #[error("delivery exists already")]
    AlreadyThere,
    #[error("body deleted after its time")]
    BodyDeleted,
    #[error("ended already")]
    Ended,
    #[error("event told by another notification")]
    EventOfAnother,
    #[error("company or mode not in the configuration")]
    NotConfigured,
    #[error("not held: ipn-router show says where its deliveries stand")]
    NotHeld,
    #[error("not paused")]
    NotPaused,
    #[error("no shop that may get it has a URL for it")]
    NothingReachable,
    #[error("parked: replay it")]
    Parked,
    #[error("in quarantine")]
    Quarantined,
    #[error("still open")]
    StillOpen,
    #[error("stored in a form that this version cannot read")]
    Unreadable,
    #[error("withheld: it carries an order or a charge")]
    Withheld,
}

impl VerbResult {
    /// One that could not be carried out.
    pub fn failed(why: impl Into<String>) -> Self {
        Self {
            failed: Some(why.into()),
            ..Self::default()
        }
    }

    /// Counts one more that was left as it is.
    pub fn leave_out(&mut self, why: LeftOut) {
        *self.left_out.entry(why).or_default() += 1;
    }

    /// Whether nothing was meant by it at all.
    pub fn found_nothing(&self) -> bool {
        self.done == 0 && self.left_out.is_empty() && self.failed.is_none()
    }
}

impl fmt::Display for VerbResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found_nothing() {
            return f.write_str("nothing matches");
        }
        write!(f, "{} done", self.done)?;
        let mut before = ", left out: ";
        for (why, count) in &self.left_out {
            write!(f, "{before}{count} ({why})")?;
            before = ", ";
        }
        if let Some(id) = self.arrived_as {
            write!(f, "; it has arrived as {id}")?;
        }
        match &self.failed {
            Some(why) => write!(f, "; failed: {why}"),
            None => Ok(()),
        }
    }
}

/// How far a verb has come: what it has still to look at, and what came of it so far.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    pub(super) deliveries: VecDeque<Stretch>,
    /// After the deliveries.
    pub(super) notifications: Option<Span>,
    pub result: VerbResult,
}

impl Progress {
    /// Whether everything was looked at.
    pub fn is_over(&self) -> bool {
        self.deliveries.is_empty() && self.notifications.is_none()
    }

    /// Deliveries that are still to be looked at, at most; how many notifications are is not known beforehand.
    pub fn left(&self) -> u64 {
        let rows = self.deliveries.iter().map(|stretch| stretch.last - stretch.after);
        rows.map(|rows| u64::try_from(rows).unwrap_or(0)).sum()
    }
}

/// Deliveries of one destination, by seq: those after one, up to another.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Stretch {
    pub(super) destination: i64,
    pub(super) after: i64,
    pub(super) last: i64,
}

/// Notifications to be routed anew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Span {
    One(NotificationId),
    /// Parked ones, by their keys.
    Parked {
        after: i64,
        last: i64,
    },
    /// One company's in one mode, by their ids: these begin with the time of receipt.
    Received {
        legal_entity: LegalEntityId,
        mode: Mode,
        after: NotificationId,
        until: NotificationId,
    },
}

/// What a verb is to deal with next; each is checked again when it is written.
#[derive(Clone, Debug)]
pub enum Found {
    Deliveries(Vec<DeliveryRef>),
    /// To be routed anew, by the configuration of now.
    Notifications(Vec<Kept>),
}

/// Names a delivery in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeliveryRef {
    pub(super) destination: i64,
    pub(super) seq: i64,
}

/// A stored notification, as far as routing it anew needs it.
#[derive(Clone, Debug)]
pub struct Kept {
    pub key: i64,
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub legal_entity: LegalEntityId,
    pub shop: ShopId,
    pub mode: Mode,
    pub standing: Standing,
    pub event: Option<[u8; 16]>,
    /// `None`: deleted, for it was kept for as long as it may be.
    pub body: Option<Bytes>,
}

/// What follows for a stored notification from the configuration of now.
#[derive(Clone, Debug)]
pub struct Rerouted {
    pub key: i64,
    pub received_at: Timestamp,
    pub kind: Kind,
    pub token: Option<String>,
    pub transaction: Option<String>,
    pub identity: Identity,
    pub resend_of: Option<[u8; 16]>,
    pub event: Option<[u8; 16]>,
    pub lane: Lane,
    pub destinations: Vec<DestinationKey>,
}

/// What one step writes.
#[derive(Clone, Debug)]
pub enum Batch {
    Deliveries(Vec<DeliveryRef>),
    Notifications(Vec<Rerouted>),
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Deliveries(deliveries) => deliveries.is_empty(),
            Self::Notifications(notifications) => notifications.is_empty(),
        }
    }
}

/// What a dry run would have written so far, as far as it matters to what comes after.
#[derive(Clone, Debug, Default)]
pub struct Foreseen {
    /// Identities that nobody has, by the notification that would claim them.
    pub(super) claimed: HashMap<[u8; 16], i64>,
}

impl Outbox {
    /// Writes down what an operator wants. When this returns `Ok`, it will be done.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: perhaps not written.
    pub async fn ask_for(&self, verb: Verb, asked_by: &str, now: Timestamp) -> Result<VerbId, OutboxError> {
        let asked_by = asked_by.to_owned();
        let id = self
            .shared
            .store
            .write(move |ledger| ledger.ask_for(&verb, &asked_by, now))
            .await?;
        self.shared.verb_asked.notify_one();
        Ok(id)
    }

    /// Woken when there may be a verb to carry out.
    pub fn verb_asked(&self) -> &tokio::sync::Notify {
        &self.shared.verb_asked
    }

    /// What is to be carried out next: quick ones first, else in the order in which they were asked for.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn next_verb(&self) -> Result<Option<VerbId>, OutboxError> {
        self.shared.store.ask(sqlite::next_verb).await
    }

    /// The paused destinations that are to go on by themselves, and when.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn pauses(&self) -> Result<Vec<(DestinationKey, Timestamp)>, OutboxError> {
        self.shared.store.ask(sqlite::pauses).await
    }

    /// A verb, as it stands.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Unreadable`] if there is none with this id, or this version does not know it.
    pub async fn verb(&self, id: VerbId) -> Result<VerbRow, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::verb(connection, id))
            .await
    }

    /// Waits until a verb is done, and returns what came of it.
    ///
    /// # Errors
    ///
    /// As [`Outbox::verb`]; [`OutboxError::Stopped`] if nobody carries verbs out any more.
    pub async fn verb_result(&self, id: VerbId) -> Result<VerbResult, OutboxError> {
        let mut ended = self.shared.verb_ended.subscribe();
        loop {
            // Before the look, so that one that ends meanwhile is not missed.
            let is_stopped = *ended.borrow_and_update();
            if let VerbState::Done { result, .. } = self.verb(id).await?.state {
                return Ok(result);
            }
            if is_stopped {
                return Err(OutboxError::Stopped);
            }
            tokio::select! {
                // The sender lives as long as `self`.
                _ = ended.changed() => {}
                why = self.failure() => return Err(OutboxError::Failed(why)),
            }
        }
    }

    /// Where a verb begins, and where it ends. A backfill concerns this legal entity alone.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn begin_verb(
        &self,
        verb: &Verb,
        legal_entity: Option<LegalEntityId>,
        now: Timestamp,
    ) -> Result<Progress, OutboxError> {
        let verb = verb.clone();
        self.shared
            .store
            .ask(move |connection| sqlite::begin(connection, &verb, legal_entity, now))
            .await
    }

    /// What comes next, and how far the verb will have come when that is dealt with. Looks at a bounded number of rows,
    /// so it may find nothing although there is more.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn look(&self, verb: &Verb, progress: Progress) -> Result<(Found, Progress), OutboxError> {
        let verb = verb.clone();
        self.shared
            .store
            .ask(move |connection| sqlite::look(connection, &verb, progress))
            .await
    }

    /// Writes one step of a verb: rows, progress, and the result if it was the last one. The owners of the destinations
    /// hear of it after the commit.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not written; the verb stands where it stood. [`OutboxError::Unreadable`]: nor would it be at
    /// another try, for what is stored does not allow it.
    pub async fn act(
        &self,
        id: VerbId,
        verb: &Verb,
        batch: Batch,
        progress: Progress,
        now: Timestamp,
    ) -> Result<Progress, OutboxError> {
        let verb = verb.clone();
        let ended = self.shared.verb_ended.clone();
        self.shared
            .store
            .write_and_tell(move |ledger| {
                let (progress, tell) = ledger.act(id, &verb, &batch, progress, now)?;
                let is_over = progress.is_over();
                let after = move || {
                    tell();
                    if is_over {
                        ended.send_modify(|_| {});
                    }
                };
                Ok((progress, after))
            })
            .await
    }

    /// Counts what [`Outbox::act`] would do, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn foresee(
        &self,
        verb: &Verb,
        batch: Batch,
        progress: Progress,
        foreseen: Foreseen,
    ) -> Result<(Progress, Foreseen), OutboxError> {
        let verb = verb.clone();
        self.shared
            .store
            .ask(move |connection| sqlite::foresee(connection, &verb, &batch, progress, foreseen))
            .await
    }

    /// Ends a verb that cannot be carried out, so that it is not tried for ever.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not written.
    pub async fn end_verb(&self, id: VerbId, result: VerbResult, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.end_verb(id, &result, now))
            .await?;
        self.shared.verb_ended.send_modify(|_| {});
        Ok(())
    }

    /// No verb is carried out any more: whoever waits for the result of one hears so.
    pub fn stop_verbs(&self) {
        self.shared.verb_ended.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_reads_as_a_sentence_and_survives_the_store() {
        let mut result = VerbResult::default();
        assert_eq!(result.to_string(), "nothing matches");
        result.done = 12;
        result.leave_out(LeftOut::StillOpen);
        result.leave_out(LeftOut::StillOpen);
        result.leave_out(LeftOut::BodyDeleted);
        assert_eq!(
            result.to_string(),
            "12 done, left out: 1 (body deleted after its time), 2 (still open)"
        );
        result.failed = Some("the row is not there".into());
        assert!(result.to_string().ends_with("; failed: the row is not there"));
        let json = serde_json::to_string(&result).unwrap();
        assert!(
            json.contains(r#""left_out":{"body-deleted":1,"still-open":2}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<VerbResult>(&json).unwrap(), result);
    }

    #[test]
    fn progress_survives_the_store() {
        let id = NotificationId::before(Timestamp::UNIX_EPOCH);
        for notifications in [
            None,
            Some(Span::One(id)),
            Some(Span::Parked { after: 1, last: 2 }),
            Some(Span::Received {
                legal_entity: "acme".parse().unwrap(),
                mode: Mode::Test,
                after: id,
                until: id,
            }),
        ] {
            let (destination, after, last) = (1, 2, 3);
            let progress = Progress {
                deliveries: [Stretch {
                    destination,
                    after,
                    last,
                }]
                .into(),
                notifications,
                result: VerbResult::failed("why"),
            };
            let json = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress);
            assert!(!progress.is_over());
        }
    }
}
