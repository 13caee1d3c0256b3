//! Bytes to [`VerifiedNotification`].

mod content;
mod members;

use std::sync::Arc;

use crate::domain::{Circle, Secret, ShopId};

pub use content::{Content, Field, FormContent, Malformed, RestContent};
pub use members::{Member, Object};

/// How form notifications are signed (`form_hash`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FormHash {
    /// base64 of HMAC-SHA-256; today's default.
    HmacSha256,
    /// Lower-case hex of SHA-1; legacy.
    Sha1,
}

/// What the gateway signs with for one shop in one mode.
#[derive(Clone, Debug)]
pub struct ShopKeys {
    pub shop: ShopId,
    /// Where a notification signed with these keys may go.
    pub circle: Arc<Circle>,
    /// Shop keys of the form format; several while one is rotated; the first signs.
    pub form_keys: Vec<Secret>,
    /// Accepted signatures of the form format; the first signs.
    pub form_hashes: Vec<FormHash>,
    /// REST passwords; several while one is rotated; the first signs.
    pub rest_passwords: Vec<Secret>,
}
