//! Both formats read into one struct: kind, routing, identity, event and e-mail read only this.

mod form;
mod rest;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Charge, Format};
use crate::verify::Content;

/// What became of a transaction when nothing came of it; a status that is not listed has not failed (design.md 6).
const FAILED: [&str; 7] = [
    "ABANDONED",
    "CANCELLED",
    "CAPTURE_FAILED",
    "EXPIRED",
    "NOT_CREATED",
    "REFUSED",
    "SUSPENDED",
];

/// Page actions that move no money; with any other, a transaction without an operation type counts as a charge.
const NO_CHARGE: [&str; 4] = ["REGISTER", "REGISTER_SUBSCRIBE", "REGISTER_UPDATE", "SUBSCRIBE"];

/// How far `serverDate` may be from the receipt of a REST notification that says it was resent by hand.
const RESEND_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// What a notification tells, whichever format it came in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happening {
    pub format: Format,
    /// Why the gateway sent it (`vads_url_check_src`, `kr-src`). In REST it is not signed: see [`Self::is_resend`].
    pub source: Option<String>,
    /// Form only, like the next three.
    pub page_action: Option<String>,
    pub identifier_status: Option<String>,
    pub recurrence_status: Option<String>,
    /// The number of the instalment.
    pub recurrence_number: Option<String>,
    pub token: Option<String>,
    pub subscription: Option<String>,
    /// The deciding one: REST may list several attempts.
    pub transaction: Option<Transaction>,
    /// Whether it carries a charge: money that was, or would have been, taken or given back.
    pub charge: bool,
    /// Whether it carries the number of an order of the named shop.
    pub order: bool,
    pub card: Option<Card>,
    /// The shop's own id of its customer; never an e-mail address.
    pub customer_reference: Option<String>,
    /// REST: when the gateway wrote it, which is signed.
    server_date: Option<Timestamp>,
    /// Of the signed text less what changes when the gateway sends it again; only without a transaction's reference.
    pub(super) lasting_text: Option<[u8; 32]>,
    /// Of the signed text; only if it says that it was resent by hand.
    pub(super) resent_text: Option<[u8; 32]>,
}

/// A transaction, as far as anything here depends on it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transaction {
    pub uuid: Option<String>,
    /// Form only: `vads_trans_id` and `vads_trans_date`; the id alone comes again every day (protocol.md 1.2).
    pub id_and_date: Option<(String, String)>,
    pub operation: Option<Operation>,
    /// `vads_trans_status`, `detailedStatus`.
    pub status: Option<String>,
    /// REST: the rough `status` is UNPAID.
    pub unpaid: bool,
    pub amount: Option<String>,
    pub effective_amount: Option<String>,
    /// `vads_presentation_date`, `expectedCaptureDate`.
    pub capture_date: Option<String>,
    /// REST: the card was typed in, not taken from a token (`paymentMethodSource` is NEW).
    pub new_card: bool,
}

/// `vads_operation_type`, `operationType`. A word that is not listed tells as little as none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    Credit,
    Debit,
    Verification,
}

/// The card behind a token, as much as a customer may be shown.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Card {
    pub brand: Option<String>,
    pub last4: Option<String>,
    /// `YYYY-MM`.
    pub expiry: Option<String>,
}

impl Happening {
    /// Reads any content: what is missing or has another type than expected is absent.
    pub fn read(content: &Content) -> Self {
        match content {
            Content::Form(form) => form::read(form),
            Content::Rest(rest) => rest::read(rest),
        }
    }

    /// Whether nothing came of the transaction.
    pub fn failed(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|t| t.unpaid || t.status.as_deref().is_some_and(|status| FAILED.contains(&status)))
    }

    /// What became of its charge, if it carries one.
    pub fn charge_outcome(&self) -> Option<Charge> {
        self.charge.then(|| match self.failed() {
            true => Charge::Failed,
            false => Charge::Succeeded,
        })
    }

    /// What the deciding transaction did or tried.
    pub fn operation(&self) -> Option<Operation> {
        self.transaction.as_ref()?.operation
    }

    /// The deciding transaction's uuid, which both formats share.
    pub fn transaction_uuid(&self) -> Option<&str> {
        self.transaction.as_ref()?.uuid.as_deref()
    }

    /// Whether somebody at the Back Office asked for this to be sent again: a wish, not a repetition.
    ///
    /// In REST the source is not signed, so that anyone may have written it: there the signed `serverDate` must be
    /// close to the time of receipt too.
    pub fn is_resend(&self, received_at: Timestamp) -> bool {
        let just_written = |at: Timestamp| at.duration_since(received_at).abs() <= RESEND_WINDOW;
        says_resent(self.source.as_deref()) && (self.source_is_signed() || self.server_date.is_some_and(just_written))
    }

    /// Whether the source is the gateway's word: `kr-src` stands outside what is signed (protocol.md 0.5).
    pub fn source_is_signed(&self) -> bool {
        self.format == Format::Form
    }
}

impl Transaction {
    /// Whether it can be told from every other one of its shop.
    fn has_reference(&self) -> bool {
        self.uuid.is_some() || self.id_and_date.is_some()
    }
}

impl Operation {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "CREDIT" => Some(Self::Credit),
            "DEBIT" => Some(Self::Debit),
            "VERIFICATION" => Some(Self::Verification),
            _ => None,
        }
    }
}

impl Card {
    fn new(brand: Option<String>, number: Option<&str>, year: Option<&str>, month: Option<&str>) -> Option<Self> {
        let card = Self {
            brand,
            last4: number.and_then(last4),
            expiry: year.zip(month).and_then(|(year, month)| expiry(year, month)),
        };
        (card != Self::default()).then_some(card)
    }
}

/// The last digits of a masked card number (`497010XXXXXX0055`); of an account number, nothing.
fn last4(number: &str) -> Option<String> {
    let masked = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'X' | b'x');
    if !(12..=19).contains(&number.len()) || !number.bytes().all(masked) {
        return None;
    }
    let last = number.get(number.len() - 4..)?;
    last.bytes().all(|b| b.is_ascii_digit()).then(|| last.to_owned())
}

fn expiry(year: &str, month: &str) -> Option<String> {
    let year: u16 = year.parse().ok()?;
    let month: u16 = month.parse().ok()?;
    ((1000..=9999).contains(&year) && (1..=12).contains(&month)).then(|| format!("{year}-{month:02}"))
}

/// Some shops use the e-mail address as their customer's id; that is not passed on.
fn no_address(reference: Option<String>) -> Option<String> {
    reference.filter(|reference| !reference.contains('@'))
}

/// `BO`: "Send the Instant Payment Notification" was clicked on a transaction (protocol.md 1.5).
fn says_resent(source: Option<&str>) -> bool {
    source == Some("BO")
}

/// Whether a transaction takes or gives back money, whatever became of it.
fn is_charge(operation: Option<Operation>, page_action: Option<&str>) -> bool {
    match operation {
        Some(Operation::Credit | Operation::Debit) => true,
        Some(Operation::Verification) => false,
        None => !page_action.is_some_and(|action| NO_CHARGE.contains(&action)),
    }
}

#[cfg(test)]
mod tests;
