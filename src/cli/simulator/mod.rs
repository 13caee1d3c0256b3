//! The gateway, simulated: notifications as it would write and sign them (protocol.md 1 to 3).
//!
//! An [`Occurrence`] is what has happened; a [`Gateway`] tells it, in the format of its key, as often as it is asked
//! to: the same bytes again, or anew as the gateway does on a retry or a resend.
//!
//! What the formats cannot say is not invented: [`wording()`] has the nearest that they can, and says so. Where the
//! gateway's own form is documented nowhere, the form sent is an assumption, and that is said too.

mod calling;
mod form;
mod rest;
mod storing;
mod wording;

use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::{Format, Kind, Mode, Secret, ShopId};
use crate::verify::{FormHash, signature};

pub use calling::{call, settings};
pub(in crate::cli) use storing::{another_secret, stored};
pub use wording::{Unsayable, Wording, wording};

/// What the gateway signs with, which also says in which format it writes.
#[derive(Clone, Debug)]
pub enum Key {
    Form { key: Secret, hash: FormHash },
    Rest { password: Secret },
}

impl Key {
    /// A key of the same format that is not this one.
    pub fn wrong(&self) -> Self {
        let wrong = |secret: &Secret| Secret::new([secret.expose(), b"-wrong"].concat());
        match self {
            Self::Form { key, hash } => Self::Form {
                key: wrong(key),
                hash: *hash,
            },
            Self::Rest { password } => Self::Rest {
                password: wrong(password),
            },
        }
    }
}

/// Why a notification is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occasion {
    /// It has just happened.
    First,
    /// Somebody clicked on "Send the Instant Payment Notification".
    Resend,
    /// The first call was not answered well.
    Retry,
}

impl Occasion {
    /// `vads_url_check_src`, `kr-src` (protocol.md 1.5).
    pub fn source(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Resend, _) => "BO",
            (Self::Retry, _) => "RETRY",
            (Self::First, Kind::SubscriptionInstalment) => "REC",
            (Self::First, Kind::TokenCancelled | Kind::TokenOther | Kind::TokenUpdated) => "MERCH_BO",
            (Self::First, _) => "PAY",
        }
    }
}

/// Something that has happened at the gateway.
#[derive(Clone, Debug)]
pub struct Occurrence {
    pub kind: Kind,
    /// The stored card; with a payment, it was paid by it.
    pub token: Option<String>,
    /// The shop's order; a card that is stored with one is stored by its payment.
    pub order: Option<String>,
    at: Timestamp,
    uuid: String,
    /// `vads_trans_id`, unique for a day.
    legacy_id: String,
    /// `vads_hash`, which is tied to the transaction: each time that it is told, it is the same.
    hash: String,
    subscription: String,
    customer: &'static Customer,
}

impl Occurrence {
    /// Something of this kind that happens now, to a card and a customer at random.
    pub fn new(kind: Kind, now: Timestamp) -> Self {
        let has_token = !matches!(kind, Kind::Other | Kind::Payment | Kind::RegistrationFailed);
        let order = (kind == Kind::Payment).then(|| format!("CMD-{:06}", fastrand::u32(..1_000_000)));
        Self {
            kind,
            token: has_token.then(|| hex_digits(32)),
            order,
            at: now,
            uuid: hex_digits(32),
            legacy_id: hex_digits(6),
            hash: hex_digits(64),
            subscription: hex_digits(32),
            customer: &CUSTOMERS[fastrand::usize(..CUSTOMERS.len())],
        }
    }

    /// The transaction behind it; what has none is not known by one.
    fn transaction(&self) -> Option<Transaction> {
        match self.kind {
            Kind::Payment | Kind::SubscriptionInstalment => Some(Transaction::Debit),
            Kind::TokenCreated | Kind::TokenSaved | Kind::TokenUpdated if self.order.is_some() => {
                Some(Transaction::Debit)
            }
            Kind::Other | Kind::TokenCreated | Kind::TokenSaved | Kind::TokenUpdated => Some(Transaction::Verification),
            Kind::RegistrationFailed => Some(Transaction::RefusedVerification),
            Kind::SubscriptionCreated | Kind::TokenCancelled | Kind::TokenOther => None,
        }
    }

    /// Whether it is the payment, or the like, by which a card is stored, and not one by a stored card.
    fn stores_card(&self) -> bool {
        matches!(self.kind, Kind::TokenCreated | Kind::TokenSaved | Kind::TokenUpdated)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transaction {
    Debit,
    RefusedVerification,
    Verification,
}

impl Transaction {
    fn operation(self) -> &'static str {
        match self {
            Self::Debit => "DEBIT",
            Self::RefusedVerification | Self::Verification => "VERIFICATION",
        }
    }

    /// `vads_trans_status`, `detailedStatus`.
    fn status(self) -> &'static str {
        match self {
            Self::Debit => "AUTHORISED",
            Self::RefusedVerification => "REFUSED",
            Self::Verification => "ACCEPTED",
        }
    }

    /// In cents: a card is stored for nothing.
    fn amount(self) -> u32 {
        match self {
            Self::Debit => 4990,
            Self::RefusedVerification | Self::Verification => 0,
        }
    }
}

#[derive(Debug)]
struct Customer {
    reference: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    city: &'static str,
}

impl Customer {
    fn email(&self) -> String {
        format!("{}@example.com", self.reference.to_lowercase())
    }
}

/// Accents, an apostrophe and a hyphen: what breaks signatures that are computed carelessly.
const CUSTOMERS: [Customer; 4] = [
    Customer {
        reference: "C-1042",
        first_name: "Amélie",
        last_name: "Lefèvre",
        city: "Besançon",
    },
    Customer {
        reference: "C-1043",
        first_name: "Jean-Noël",
        last_name: "D'Aubigné",
        city: "L'Haÿ-les-Roses",
    },
    Customer {
        reference: "C-1044",
        first_name: "Zoë",
        last_name: "Müller",
        city: "Sélestat",
    },
    Customer {
        reference: "C-1045",
        first_name: "François",
        last_name: "O'Brien & fils",
        city: "Nîmes",
    },
];

/// The gateway as one shop knows it in one mode.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub shop: ShopId,
    pub mode: Mode,
    pub key: Key,
}

impl Gateway {
    /// How it writes.
    pub fn format(&self) -> Format {
        match self.key {
            Key::Form { .. } => Format::Form,
            Key::Rest { .. } => Format::Rest,
        }
    }

    /// Writes and signs the body of a notification that is sent now.
    ///
    /// # Errors
    ///
    /// [`Unsayable`] if nothing in this format comes near.
    pub fn tell(&self, occurrence: &Occurrence, occasion: Occasion, now: Timestamp) -> Result<Bytes, Unsayable> {
        let occurrence = Occurrence {
            kind: wording(occurrence.kind, self.format())?.kind,
            ..occurrence.clone()
        };
        let source = occasion.source(occurrence.kind);
        let mut body = form_urlencoded::Serializer::new(String::new());
        match &self.key {
            Key::Form { key, hash } => {
                let fields = form::fields(&occurrence, self.shop, self.mode, source);
                let pairs = || fields.iter().map(|(name, value)| (*name, value.as_str()));
                let signature = signature::form(pairs(), key, *hash);
                body.extend_pairs(pairs()).append_pair("signature", &signature);
            }
            Key::Rest { password } => {
                let answer = rest::answer(&occurrence, self.shop, self.mode, now);
                body.append_pair("kr-hash-key", "password")
                    .append_pair("kr-hash-algorithm", "sha256_hmac")
                    .append_pair("kr-answer", &answer)
                    .append_pair("kr-answer-type", "V4/Payment")
                    .append_pair("kr-hash", &signature::rest(&answer, password))
                    .append_pair("kr-src", source);
            }
        }
        Ok(body.finish().into())
    }
}

fn hex_digits(count: usize) -> String {
    std::iter::repeat_with(|| fastrand::digit(16)).take(count).collect()
}

#[cfg(test)]
mod tests;
