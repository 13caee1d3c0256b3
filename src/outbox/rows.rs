//! What goes into the outbox and comes out of it.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    DestinationKey, Format, Incident, Lane, LastFailure, LegalEntityId, Matter, Mode, NotificationId, ShopId, Trouble,
};

/// What became of a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// Seen before; nothing was stored.
    Duplicate { first: NotificationId },
    /// On disk, with one delivery per destination.
    Stored,
}

/// A stored notification, as a delivery needs it.
#[derive(Debug)]
pub struct StoredNotification {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub legal_entity: LegalEntityId,
    /// The named shop.
    pub shop: ShopId,
    pub mode: Mode,
    pub format: Format,
    pub matter: Matter,
    /// The identity of the event that the other shops learn.
    pub event: Option<[u8; 16]>,
    /// For a manual resend: the first notification of the same happening.
    pub resend_of: Option<NotificationId>,
    /// The received header lines, `name: value`, one a line.
    pub headers: String,
    pub body: Bytes,
    /// The event's JSON once it was rendered: it is the same for every shop.
    pub event_body: OnceLock<Bytes>,
}

/// A delivery that was just committed, or a row of a page: enough to name its lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Named {
    pub seq: i64,
    pub lane: Lane,
    /// Key of the notification in the store.
    pub notification: i64,
    pub since: Timestamp,
    /// It was accepted just now and carries a charge: a buyer may be waiting for it.
    pub charge: bool,
}

/// The oldest open delivery of a lane: the one that may be attempted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    pub seq: i64,
    pub lane: Lane,
    pub notification: i64,
    pub since: Timestamp,
    /// Attempts made, and those of them whose failure counted.
    pub attempts: u32,
    pub counted: u32,
    /// `None`: never failed.
    pub due: Option<Timestamp>,
    /// End of the last attempt.
    pub tried: Option<Timestamp>,
    /// How many times the delivery was replayed.
    pub replays: u32,
    /// The replay that gave it a `webhook-id` of its own; 0: it has the first one's.
    pub renewed: u32,
}

impl From<Named> for Head {
    fn from(named: Named) -> Self {
        let Named {
            seq,
            lane,
            notification,
            since,
            charge: _,
        } = named;
        Self {
            seq,
            lane,
            notification,
            since,
            attempts: 0,
            counted: 0,
            due: None,
            tried: None,
            replays: 0,
            renewed: 0,
        }
    }
}

/// A delivery that has been open for long.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    pub named: Named,
    pub notification: NotificationId,
    pub matter: Matter,
}

/// A delivery that has ended without an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone {
    pub seq: i64,
    pub lane: Lane,
    /// Whether an attempt had failed before.
    pub failed: bool,
}

/// Open deliveries after a seq, with the highest seq given so far, both of one snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    pub rows: Vec<Named>,
    pub last: i64,
    /// Whether there may be more rows after these.
    pub full: bool,
}

/// The right to schedule a destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Key of the destination in the store.
    pub destination: i64,
    /// A later owner has a higher one; `record` refuses the lower.
    pub epoch: i64,
}

/// What an owner starts from.
#[derive(Debug)]
pub struct Owned {
    pub lease: Lease,
    /// Everything up to here has ended.
    pub read: i64,
    pub last: i64,
    /// An operator has paused it: nothing is attempted.
    pub paused: bool,
    pub give_up_from: Timestamp,
    pub down_since: Option<Timestamp>,
    /// The newest one, if a failure now would be part of it.
    pub incident: Option<Incident>,
    /// Open deliveries that have failed before: the incident ends when none is left.
    pub failing: u64,
}

/// How a delivery stands after an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    DeadLetter,
    Delivered,
    /// Waits for its next attempt.
    Due(Timestamp),
}

/// One attempt and what follows from it, written in one transaction.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    pub lease: Lease,
    pub seq: i64,
    pub lane: Lane,
    /// The first is 1.
    pub attempt: u32,
    /// Failures that counted, this one included.
    pub counted: u32,
    pub started_at: Timestamp,
    pub took: Duration,
    pub status: Option<u16>,
    /// `None`: delivered.
    pub cause: Option<&'static str>,
    pub detail: String,
    pub answer: Vec<u8>,
    pub next: Next,
    /// The destination's incident after this attempt, if it has changed.
    pub incident: Option<Incident>,
    /// The failure, where people want an e-mail of each.
    pub told_apart: Option<LastFailure>,
    /// What the shop's plugin said against what it took, not about the signature.
    pub complaint: Option<String>,
    /// Since when the destination is down, after this attempt; a take-over must not hit a dead shop anew.
    pub down_since: Option<Timestamp>,
}

impl AttemptRecord {
    /// When the attempt ended.
    pub fn ended_at(&self) -> Timestamp {
        self.started_at.saturating_add(self.took).unwrap_or(self.started_at)
    }

    /// The same without what anybody has said about it: that may name a person.
    pub(super) fn without_words(&self) -> Self {
        let without_words = |failure: &LastFailure| LastFailure {
            detail: String::new(),
            answer: String::new(),
            ..failure.clone()
        };
        let incident = self.incident.as_ref().map(|incident| Incident {
            last_failure: without_words(&incident.last_failure),
            ..incident.clone()
        });
        Self {
            detail: String::new(),
            answer: Vec::new(),
            incident,
            told_apart: self.told_apart.as_ref().map(without_words),
            complaint: None,
            ..self.clone()
        }
    }
}

/// An incident that the holder of the lease `alert` looks at: an open one, one that it has not seen in this version, or
/// one that is told together with such a one.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    pub id: i64,
    pub destination: DestinationKey,
    pub version: i64,
    pub incident: Incident,
    /// What was told of it, as `alert` wrote it; empty at first.
    pub told: String,
    /// The incident in whose thread it is told, with others.
    pub told_with: Option<i64>,
    pub acknowledged: Option<Acknowledgement>,
    /// Whether an operator has paused the destination.
    pub is_paused: bool,
    /// When the destination was last resumed, or came back from parking.
    pub tried_from: Timestamp,
}

/// Who looks after an incident.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Acknowledgement {
    pub at: Timestamp,
    pub by: String,
    /// `None`: until it is over.
    pub until: Option<Timestamp>,
}

/// A failed attempt of which people want an e-mail.
#[derive(Clone, Debug)]
pub struct UntoldAttempt {
    pub id: i64,
    pub destination: DestinationKey,
    /// Key of the delivery: that of the destination, and its seq.
    pub delivery: (i64, i64),
    /// The first is 1.
    pub attempt: u32,
    pub failure: LastFailure,
    /// When it is tried again; `None`: it is a dead letter.
    pub next_attempt: Option<Timestamp>,
    pub notification: NotificationId,
}

/// What a shop's plugin said first on a day against what it took.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub id: i64,
    pub destination: DestinationKey,
    /// Key of the destination.
    pub destination_id: i64,
    /// YYYY-MM-DD.
    pub day: String,
    pub at: Timestamp,
    pub verdict: String,
    pub notification: NotificationId,
}

/// An e-mail that was not sent, because its address had too many.
#[derive(Clone, Debug)]
pub struct HeldEmail {
    pub id: i64,
    pub address: String,
    pub subject: String,
    pub at: Timestamp,
}

/// What came of acknowledging an incident.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acknowledged {
    /// So many incidents are told no more: this one, and those that are told together with it.
    Noted(usize),
    /// It is over already.
    NotOpen,
    /// There is no incident with this number.
    Unknown,
}

/// What waits for a destination, as an e-mail shows it.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    pub count: u64,
    /// When the oldest was received.
    pub oldest: Option<Timestamp>,
    /// When a failed one is tried again.
    pub next_attempt: Option<Timestamp>,
    /// The first of them.
    pub first: Vec<WaitingNotification>,
    /// What they are about.
    pub matters: BTreeSet<Matter>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct WaitingNotification {
    pub id: NotificationId,
    pub matter: Matter,
    pub token: Option<String>,
    /// The gateway's uuid of the transaction: the Back Office finds it by that.
    pub transaction: Option<String>,
    pub received_at: Timestamp,
}

/// E-mails of one step of an incident, and what `alert` wants to remember of it.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// The one that leads, if several are told as one.
    pub incident: i64,
    /// The version that was looked at.
    pub version: i64,
    /// Those that are told with it, each with its version.
    pub others: Vec<(i64, i64)>,
    pub told: String,
    pub emails: Vec<NewEmail>,
}

/// An e-mail to one address.
#[derive(Clone, Debug)]
pub struct NewEmail {
    /// `incident-7` or `trouble-3`; with step and address it is unique.
    pub thread: String,
    pub step: String,
    /// With the name of its owner, if there is one.
    pub to: String,
    /// Alone: what is counted for it, and sent to it in order.
    pub address: String,
    pub message_id: String,
    /// Whether it answers the first e-mail of its thread that this address got.
    pub is_follower: bool,
    pub subject: String,
    pub text: String,
}

/// A trouble of the daemon itself, not told yet.
#[derive(Clone, Debug)]
pub struct TroubleRow {
    pub id: i64,
    pub at: Timestamp,
    pub trouble: Trouble,
}

/// An e-mail that wants to be sent now.
#[derive(Clone, Debug)]
pub struct DueEmail {
    pub id: i64,
    pub to: String,
    pub address: String,
    pub message_id: String,
    pub in_reply_to: Option<String>,
    pub subject: String,
    pub text: String,
    pub created_at: Timestamp,
    pub attempts: u32,
}

/// Why the outbox did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("too much is waiting to be written")]
    Busy,
    #[error("the disk is full, or nearly so")]
    Full,
    /// Written or not written: if the gateway sends again, the identity decides.
    #[error("the store failed: {0}")]
    Failed(String),
    #[error("another owner has taken the destination over")]
    LeaseLost,
    #[error("stopping: it is carried out after the next start")]
    Stopped,
    /// The store works, but what was asked for is not there, or not what this version writes.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(String),
}
