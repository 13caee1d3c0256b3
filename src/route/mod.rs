//! A verified notification to its destinations: pure functions of (happening, circle).
//!
//! **The promise.** A notification goes to the shop that it names and, if its kind is shared, to the other shops of
//! the same company in the same mode; to nobody else. A shop never gets an order or a charge of another shop in a
//! form that its plugin could take for its own, unless its `foreign_orders` asks for it.
//!
//! **Invariants.**
//! - Routing sees one [`Circle`] only, the one of the key that matched: no rule here could reach another company or
//!   the other mode.
//! - Both formats are read into one [`Happening`], and everything else reads only that: a form and a REST text about
//!   the same happening are treated alike, and make one event.
//! - The same inputs give the same answer: the time of receipt is a parameter, and nothing is looked up.
//! - No content makes it fail. What cannot be classified still reaches the named shop, and with a token the others.
//! - Two notifications are the same only if everything that matters of them is ([`Identity`]): a false duplicate is a
//!   loss, a false non-duplicate only a repetition.
//!
//! ```text
//! VerifiedNotification ─► Happening ─┬─► kind ──────► destinations ◄── circle
//!                                    ├─► identity ──► is it new? (the outbox asks its constraint)
//!                                    ├─► lane ──────► what must wait for what
//!                                    └─► event ─────► JSON for the other shops, at each attempt
//! ```
//!
//! **Left out.** Whether a destination is switched on, paused or down: rows are made all the same, and wait. Whether a
//! notification was seen before: that is a constraint of the outbox. Signing: `deliver` does it at the attempt.

mod customer;
mod digest;
mod event;
mod happening;
mod identity;
mod kind;
mod search;
mod table;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Charge, Circle, DestinationKey, Format, Kind, Lane, LegalEntityId, Mode, NotificationId, ShopId};
use crate::verify::{Content, VerifiedNotification};

pub use customer::is_about_customer;
pub use event::{EventFacts, event_body, event_id};
pub use happening::{Card, Happening, Operation, Transaction};
pub use identity::{Arrival, Identified, Identity, event_identity, identify};
pub use kind::{Basis, OTHERWISE, RULES, Rule, kind, rule};
pub use search::SearchTerms;
pub use table::{Decision, Destinations, Way, destinations, is_shared, ways};

/// Whether a stored notification goes anywhere.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Kept, with nowhere to go: the entity is disabled, or no shop has a URL for it.
    Parked,
    /// Rightly signed, but perhaps no notification: waits for an operator's release.
    Quarantined,
    /// On its way.
    Routed,
}

impl Standing {
    /// The word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Quarantined => "quarantined",
            Self::Routed => "routed",
        }
    }

    /// The standing with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Parked, Self::Quarantined, Self::Routed]
            .into_iter()
            .find(|standing| standing.word() == word)
    }
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
    /// The deciding transaction's uuid.
    pub transaction: Option<String>,
    pub standing: Standing,
    pub identity: Identity,
    /// For a manual resend: the identity of what is sent again.
    pub resend_of: Option<[u8; 16]>,
    /// The identity of the event that the other shops learn; `None` in quarantine, and if its kind is not shared: it
    /// must not stand in the way of the same happening told as a kind that is.
    pub event: Option<[u8; 16]>,
    pub lane: Lane,
    /// What became of the charge that it carries; if it carries one, a buyer's result page waits for the named shop.
    pub charge: Option<Charge>,
    pub destinations: Vec<DestinationKey>,
    /// Shops whose gateway-format URL does not get it, for it carries an order or a charge.
    pub withheld: Vec<ShopId>,
    /// Key in the store of the configuration that it was routed by; 0: not known.
    pub configuration: i64,
    /// The received header lines, `name: value`, one a line.
    pub headers: String,
    pub body: Bytes,
}

/// Everything that is decided about a content, before it gets an id and is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub happening: Happening,
    pub kind: Kind,
    pub identified: Identified,
    /// See [`Routed::event`].
    pub event: Option<[u8; 16]>,
    pub destinations: Destinations,
    pub standing: Standing,
}

/// Decides about a content that arrived for a shop of this circle.
///
/// An operator's release is this with `quarantined` false: what the notification would have been.
pub fn plan(content: &Content, shop: ShopId, circle: &Circle, received_at: Timestamp, quarantined: bool) -> Plan {
    let happening = Happening::read(content);
    let kind = kind(&happening);
    let arrival = Arrival {
        shop,
        mode: circle.mode,
        at: received_at,
        quarantined,
    };
    let identified = identify(&happening, &arrival);
    let event = (!quarantined && is_shared(kind, circle)).then(|| {
        event_identity(
            &happening,
            kind,
            &circle.legal_entity.id,
            &arrival,
            &identified.identity,
        )
    });
    let destinations = if quarantined {
        Destinations::default()
    } else {
        destinations(&happening, kind, shop, circle)
    };
    let standing = if quarantined {
        Standing::Quarantined
    } else if !circle.legal_entity.enabled || destinations.reachable.is_empty() {
        Standing::Parked
    } else {
        Standing::Routed
    };
    Plan {
        happening,
        kind,
        identified,
        event,
        destinations,
        standing,
    }
}

/// Returns what is stored of a verified notification, deliveries included.
pub fn route(verified: &VerifiedNotification, id: NotificationId, received_at: Timestamp, headers: String) -> Routed {
    let circle = verified.circle();
    let plan = plan(
        verified.content(),
        verified.named_shop(),
        circle,
        received_at,
        verified.is_quarantined(),
    );
    let transaction = plan.happening.transaction_uuid().map(str::to_owned);
    Routed {
        id,
        received_at,
        legal_entity: circle.legal_entity.id.clone(),
        shop: verified.named_shop(),
        mode: circle.mode,
        format: verified.format(),
        kind: plan.kind,
        standing: plan.standing,
        identity: plan.identified.identity,
        resend_of: plan.identified.resend_of,
        event: plan.event,
        lane: lane(&plan.happening, id),
        charge: plan.happening.charge_outcome(),
        withheld: plan.destinations.withheld.clone(),
        configuration: 0,
        destinations: plan.destinations.into_keys(),
        token: plan.happening.token,
        transaction,
        headers,
        body: verified.body().clone(),
    }
}

/// Returns the lane of a notification.
pub fn lane(happening: &Happening, id: NotificationId) -> Lane {
    match in_order_with(happening) {
        Some(text) => Lane::of(text),
        None => Lane::of(&id.to_string()),
    }
}

/// Returns what a notification must stay in order with: its token, else its transaction, else nothing but itself.
pub fn in_order_with(happening: &Happening) -> Option<&str> {
    happening.token.as_deref().or(happening.transaction_uuid())
}
