//! Bytes to [`VerifiedNotification`]: what a stranger sent, and what the gateway signed, told apart.
//!
//! **The promise.** Whoever holds a [`VerifiedNotification`] holds bytes that the gateway signed for the shop and the
//! mode that they name, with a key that is configured here. Only [`Keyring::verify`] makes one, and nothing after it
//! checks a signature again.
//!
//! **Invariants.**
//! - The bytes that were checked are the bytes that are kept: nothing is trimmed, re-encoded or repaired.
//! - What two readers could read differently is refused before a key is touched: a field or key twice, broken
//!   escapes, text that is not UTF-8.
//! - A key belongs to one shop, one mode and one [`Circle`](crate::domain::Circle), and the notification carries the
//!   circle of the key that matched: what is verified can go nowhere else.
//! - A buyer's browser holds texts signed with the very same form key (requests and returns). Only a notification has
//!   `vads_hash`; without it nothing is delivered, at most kept in quarantine.
//! - Signatures are compared in constant time; no refusal tells a secret or repeats a value.
//!
//! ```text
//!  body ─► content: form or REST, and where its members stand
//!             │
//!             ├─ required fields ─► a mode we know ─► REST: the password's kind of signature ─► a shop with keys
//!             │
//!             ├─ signature, keys of the mode written ── match ─┬─► form with vads_hash, REST with shop and mode: verified
//!             │                                                ├─► form without vads_hash, with a marker field: refused
//!             │                                                └─► otherwise: verified, in quarantine
//!             ├─ keys of the other mode ─────────────── match ───► refused: wrong mode
//!             └─ no match ───────────────────────────────────────► refused, with the most likely cause
//! ```
//!
//! **A shop without a key.** A shop that has no key for the format and the mode written is unknown, whatever other
//! keys it has; the refusal says which is missing. One exception: if its key of the other mode gives this signature,
//! the answer is "wrong mode", because then that is what happened.
//!
//! **Left out.** The signature of a form covers the values in the order of their names, not the names themselves:
//! that is the gateway's rule, and whoever checks it inherits it. The browser-return key of REST is never asked for:
//! what it signs is refused by its `kr-hash-key`. Signatures of form version 1 follow no published rule; they are
//! tried as version 2. Whether the text is a duplicate, and where it goes, are questions for `outbox` and `route`.

mod content;
mod error;
mod explain;
mod keyring;
mod members;
pub mod signature;
mod signed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use content::{Content, Field, FormContent, Malformed, RestContent};
pub use error::{MismatchHint, VerifyError};
pub use explain::Explanation;
pub use keyring::{Keyring, ShopKeys, VerifiedNotification};
pub use members::{Member, Object};
pub use signature::FormHash;
