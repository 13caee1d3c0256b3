use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::{Format, Kind, LegalEntityId, Lost, Mode, NotificationId, ShopId, shown_token};
use crate::route::{Routed, SearchTerms};
use crate::verify::Content;

/// What may be said of a notification in a log: enough to find it in the Back Office, nothing of a person.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) id: NotificationId,
    legal_entity: LegalEntityId,
    shop: ShopId,
    mode: Mode,
    format: Format,
    kind: Kind,
    transaction: Option<String>,
    /// Masked.
    token: Option<String>,
    at: Timestamp,
    body: Bytes,
}

impl Facts {
    pub(super) fn of(routed: &Routed) -> Self {
        Self {
            id: routed.id,
            legal_entity: routed.legal_entity.clone(),
            shop: routed.shop,
            mode: routed.mode,
            format: routed.format,
            kind: routed.kind,
            transaction: routed.transaction.clone(),
            token: routed.token.as_deref().map(shown_token),
            at: routed.received_at,
            body: routed.body.clone(),
        }
    }

    pub(super) fn log_kept(&self, seen: &'static str) {
        let Self {
            id, shop, kind, mode, ..
        } = self;
        tracing::info!(notification.id = %id, shop.id = %shop, %kind, %mode, seen, "keeps notification {id} of shop {shop}");
    }

    /// The gateway may not come back (protocol.md 5.1), so a person needs to know what to send again by hand.
    pub(super) fn log_not_stored(&self, why: &str) {
        let Self {
            shop,
            mode,
            format,
            kind,
            legal_entity,
            ..
        } = self;
        tracing::error!(
            shop.id = %shop, %legal_entity, %mode, %format, %kind, transaction.uuid = self.transaction, error = why,
            "did not store a notification of shop {shop}, which the gateway may not send again: {why}"
        );
    }

    /// What the operators are told of it, if it was not stored.
    pub(super) fn lost(self) -> Lost {
        let terms =
            Content::decode(&self.body).map_or_else(|_| SearchTerms::default(), |content| SearchTerms::of(&content));
        Lost {
            at: self.at,
            shop: self.shop,
            mode: self.mode,
            format: self.format,
            kind: self.kind,
            transaction: self.transaction,
            order: terms.order,
            date: terms.date,
            token: self.token,
        }
    }
}

/// A notification whose answer somebody waits for; says so if nobody does any more.
pub(super) struct Awaited {
    facts: Facts,
    pub(super) answered: bool,
}

impl Awaited {
    pub(super) fn new(routed: &Routed) -> Self {
        Self {
            facts: Facts::of(routed),
            answered: false,
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.answered {
            let why = "the time was over or the client left before it was known to be stored";
            self.facts.log_not_stored(why);
        }
    }
}
