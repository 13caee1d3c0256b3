use super::error::MismatchHint;
use super::keyring::ShopKeys;
use super::signature::{self, FormHash, FormText};
use crate::domain::{Format, Secret};

/// A text, and the signature that came with it.
pub(super) enum Signed<'a> {
    Form {
        text: FormText,
        signature: &'a str,
        version_one: bool,
    },
    Rest {
        text: &'a str,
        signature: &'a str,
    },
}

impl Signed<'_> {
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Form { .. } => Format::Form,
            Self::Rest { .. } => Format::Rest,
        }
    }

    /// Whether one of the keys, hashed in a configured way, gives this signature.
    pub(super) fn matches(&self, keys: &ShopKeys) -> bool {
        keys.of(self.format())
            .iter()
            .any(|key| self.matches_key(key, &keys.form_hashes))
    }

    pub(super) fn matches_key(&self, key: &Secret, hashes: &[FormHash]) -> bool {
        match self {
            Self::Form { text, signature, .. } => hashes
                .iter()
                .any(|hash| signature::same(&text.sign(key, *hash), signature)),
            // Relays that write JSON anew escape slashes; the gateway's own clients map them back (protocol.md 3.2).
            Self::Rest { text, signature } => {
                signature::same(&signature::rest(text, key), signature)
                    || text.contains("\\/")
                        && signature::same(&signature::rest(&text.replace("\\/", "/"), key), signature)
            }
        }
    }

    /// What the look of the signature says of a mismatch, if anything.
    pub(super) fn hint_of_shape(&self, expected: &[FormHash]) -> Option<MismatchHint> {
        match self {
            Self::Form { version_one: true, .. } => Some(MismatchHint::VersionOne),
            Self::Form { signature, .. } => match FormHash::of_shape(signature) {
                None => Some(MismatchHint::Shapeless(Format::Form)),
                Some(is) => (!expected.contains(&is)).then_some(MismatchHint::OtherHash { is }),
            },
            Self::Rest { signature, .. } => {
                (!signature::is_hex(signature, 64)).then_some(MismatchHint::Shapeless(Format::Rest))
            }
        }
    }
}
