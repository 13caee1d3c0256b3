//! A verified notification to its destinations: pure functions of (happening, circle).

mod digest;
mod happening;
mod kind;

#[cfg(test)]
mod samples;

pub use happening::{Card, Happening, Operation, Transaction};
pub use kind::{Basis, OTHERWISE, RULES, Rule, kind, rule};

use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::{DestinationKey, Format, Kind, Lane, LegalEntityId, Mode, NotificationId, ShopId};

/// What makes two notifications the same (design.md 6, Identity).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    pub hash: [u8; 16],
    /// When it lapses, for a notification without a transaction.
    pub until: Option<Timestamp>,
}

/// Whether a stored notification goes anywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Kept, with nowhere to go: the entity is disabled, or no shop has a URL for it.
    Parked,
    /// Rightly signed, but perhaps no notification: waits for an operator's release.
    Quarantined,
    /// On its way.
    Routed,
}

/// A notification with everything that is stored of it in one transaction.
#[derive(Clone, Debug)]
pub struct Routed {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub legal_entity: LegalEntityId,
    pub shop: ShopId,
    pub mode: Mode,
    pub format: Format,
    pub kind: Kind,
    pub token: Option<String>,
    pub transaction: Option<String>,
    pub standing: Standing,
    pub identity: Identity,
    /// For a manual resend: the identity of what is sent again.
    pub resend_of: Option<[u8; 16]>,
    /// The identity of the event that the other shops learn; `None` in quarantine.
    pub event: Option<[u8; 16]>,
    pub lane: Lane,
    /// Whether a buyer's result page waits for the named shop: it carries a charge.
    pub charge: bool,
    pub destinations: Vec<DestinationKey>,
    /// Shops whose gateway-format URL does not get it, for it carries an order or a charge.
    pub withheld: Vec<ShopId>,
    /// The received header lines, `name: value`, one a line.
    pub headers: String,
    pub body: Bytes,
}
