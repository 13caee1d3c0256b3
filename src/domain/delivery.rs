use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Format, LegalEntityId, Mode, ShopId};

/// What a destination is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rendition {
    /// The gateway's bytes, for the shop that it named.
    AsReceived(Format),
    /// Our own JSON, signed by Standard Webhooks.
    Event,
    /// In the gateway's format, signed as if the gateway had notified this shop.
    ReSigned(Format),
}

impl Rendition {
    /// All, for loops.
    pub const ALL: [Self; 5] = [
        Self::AsReceived(Format::Form),
        Self::AsReceived(Format::Rest),
        Self::Event,
        Self::ReSigned(Format::Form),
        Self::ReSigned(Format::Rest),
    ];

    /// The word in logs, in the store and in `webhook-id`.
    pub fn word(self) -> &'static str {
        match self {
            Self::AsReceived(Format::Form) => "form",
            Self::AsReceived(Format::Rest) => "rest",
            Self::Event => "event",
            Self::ReSigned(Format::Form) => "form-resigned",
            Self::ReSigned(Format::Rest) => "rest-resigned",
        }
    }

    /// The rendition with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rendition| rendition.word() == word)
    }
}

impl fmt::Display for Rendition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Names a destination: one shop's URL for one mode and one rendition.
///
/// The URL itself is not part of it, so what waits follows the shop to a new URL; the legal entity is, so a shop that
/// changes its company is another destination.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
pub struct DestinationKey {
    pub legal_entity: LegalEntityId,
    pub shop: ShopId,
    pub mode: Mode,
    pub rendition: Rendition,
}

impl fmt::Display for DestinationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}/{}",
            self.legal_entity, self.shop, self.mode, self.rendition
        )
    }
}

/// The deliveries of one destination that must stay in order: those of one token.
///
/// A hash of 64 bits; two tokens that share it only wait for each other.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lane(pub i64);

impl Lane {
    /// The lane of a token, else of a transaction, else of the notification alone: `text` is that id.
    pub fn of(text: &str) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        Self(i64::from_be_bytes(hash[..8].try_into().expect("8 of 32 bytes")))
    }
}
