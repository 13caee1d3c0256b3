//! What makes two notifications the same, and two events.
//!
//! A false duplicate is a loss, a false non-duplicate only a repetition: when in doubt they differ.

use jiff::{SignedDuration, Timestamp};

use super::digest::Digest;
use super::happening::{Happening, Transaction};
use crate::domain::{Kind, LegalEntityId, Mode, ShopId};

/// How long the identity of a notification without a transaction holds: cancel, reactivate, cancel again.
const LAPSES_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// Manual resends of the same bytes within a bucket are one.
const BUCKET_SECONDS: i64 = 60;

/// What makes two notifications the same (design.md 6, Identity).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    pub hash: [u8; 16],
    /// When it lapses, for a notification without a transaction.
    pub until: Option<Timestamp>,
}

/// Where and when a notification came in: what its identity takes from outside its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    pub shop: ShopId,
    pub mode: Mode,
    pub at: Timestamp,
    /// Perhaps it is no notification. Then it must not pass for the first of one that is.
    pub quarantined: bool,
}

/// The identity of a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identified {
    pub identity: Identity,
    /// For a manual resend: the identity without what makes it another notification.
    pub resend_of: Option<[u8; 16]>,
}

/// Returns the identity of a notification.
///
/// The signature, the body, `vads_url_check_src`, `kr-src` and `serverDate` are not part of it, for they change when
/// the gateway sends again. A manual resend is a wish, so it gets an identity of its own.
pub fn identify(happening: &Happening, arrival: &Arrival) -> Identified {
    let original = original(happening, arrival);
    let resent = happening
        .resent_text
        .filter(|_| happening.is_resend(arrival.at))
        .map(|text| {
            // In REST each resend has a `serverDate` of its own; a bucket would let whoever holds one text repeat it.
            let bucket = happening.source_is_signed().then(|| bucket(arrival.at));
            Digest::of("resend").part(original).part(text).optional(bucket).short()
        });
    let until = happening
        .lasting_text
        .and_then(|_| arrival.at.checked_add(LAPSES_AFTER).ok());
    Identified {
        identity: Identity {
            hash: resent.unwrap_or(original),
            until,
        },
        resend_of: resent.map(|_| original),
    }
}

/// Returns the identity of the event that the other shops learn: the same for both formats, and for the later capture
/// of a payment that stored a card.
///
/// Without a uuid the formats share nothing to know each other by, so it is that of the notification, with the time
/// when that lapses: what is told again after that is another event.
pub fn event_identity(
    happening: &Happening,
    kind: Kind,
    legal_entity: &LegalEntityId,
    arrival: &Arrival,
    notification: &Identity,
) -> [u8; 16] {
    let Some(uuid) = happening.transaction_uuid() else {
        let until = notification.until.map(|until| until.as_millisecond().to_be_bytes());
        return Digest::of("event of a notification")
            .part(notification.hash)
            .optional(until)
            .short();
    };
    let status = happening.transaction.as_ref().and_then(|t| t.status.as_deref());
    let digest = Digest::of("event")
        .part(legal_entity.as_str())
        .part(arrival.mode.word())
        .optional(happening.token.as_deref())
        .part(uuid);
    let digest = match kind {
        Kind::TokenCreated | Kind::TokenSaved | Kind::TokenUpdated => digest.part("token stored"),
        Kind::TokenCancelled => digest.part("token cancelled"),
        Kind::TokenOther => digest.part("token other"),
        Kind::Other
        | Kind::Payment
        | Kind::RegistrationFailed
        | Kind::SubscriptionCreated
        | Kind::SubscriptionInstalment => digest.part(kind.name()).optional(status),
    };
    let resent = happening.is_resend(arrival.at).then(|| bucket(arrival.at));
    digest.optional(resent).short()
}

fn original(happening: &Happening, arrival: &Arrival) -> [u8; 16] {
    let digest = Digest::of(if arrival.quarantined {
        "quarantined"
    } else {
        "notification"
    })
    .part(happening.format.word())
    .part(arrival.shop.as_str())
    .part(arrival.mode.word());
    if let Some(text) = happening.lasting_text {
        return digest.part("text").part(text).short();
    }
    let none = Transaction::default();
    let transaction = happening.transaction.as_ref().unwrap_or(&none);
    let digest = match (&transaction.uuid, &transaction.id_and_date) {
        (None, Some((id, date))) => digest.part("id and date").part(id).part(date),
        (uuid, _) => digest.part("uuid").optional(uuid.as_deref()),
    };
    [
        &transaction.status,
        &happening.token,
        &happening.page_action,
        &happening.identifier_status,
        &happening.recurrence_number,
        &transaction.amount,
        &transaction.effective_amount,
        &transaction.capture_date,
    ]
    .into_iter()
    .fold(digest, |digest, part| digest.optional(part.as_deref()))
    .short()
}

fn bucket(at: Timestamp) -> [u8; 8] {
    at.as_second().div_euclid(BUCKET_SECONDS).to_be_bytes()
}

#[cfg(test)]
mod tests;
