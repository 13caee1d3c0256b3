//! The gateway's two signatures: how they are computed, and how they are compared.
//!
//! Checking, re-signing and simulating the gateway all use these, so that the rule stands once (protocol.md 2 and 3.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::domain::Secret;

/// How form notifications are signed (`form_hash`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FormHash {
    /// base64 of HMAC-SHA-256; today's default.
    HmacSha256,
    /// Lower-case hex of SHA-1; legacy.
    Sha1,
}

impl FormHash {
    /// The hash that makes signatures of this shape: the two differ in length and alphabet.
    pub fn of_shape(signature: &str) -> Option<Self> {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        if is_hex(signature, 40) {
            Some(Self::Sha1)
        } else if signature.len() == 44 && signature.strip_suffix('=').is_some_and(|s| s.bytes().all(base64)) {
            Some(Self::HmacSha256)
        } else {
            None
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::HmacSha256 => Self::Sha1,
            Self::Sha1 => Self::HmacSha256,
        }
    }
}

impl fmt::Display for FormHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HmacSha256 => "HMAC-SHA-256",
            Self::Sha1 => "SHA-1",
        })
    }
}

/// Signs the fields of a form, given as (name, decoded value), as the gateway would: the value of its `signature`.
///
/// Fields whose name does not start with `vads_` are not covered and may be passed all the same.
pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>, key: &Secret, hash: FormHash) -> String {
    FormText::of(fields).sign(key, hash)
}

/// Signs the text of a `kr-answer` as the gateway would: the value of `kr-hash`.
pub fn rest(text: &str, password: &Secret) -> String {
    let mut mac = keyed(password);
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Compares two signatures in a time that does not tell where they differ.
pub fn same(computed: &str, received: &str) -> bool {
    computed.as_bytes().ct_eq(received.as_bytes()).into()
}

/// What the signature of a form covers, up to the key: put together once, then tried with several keys.
pub(super) struct FormText(String);

impl FormText {
    pub(super) fn of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut signed: Vec<_> = fields
            .into_iter()
            .filter(|(name, _)| name.starts_with("vads_"))
            .collect();
        // Text compares by byte value, which is the gateway's order too.
        signed.sort_unstable();
        let mut text = String::new();
        for (_, value) in signed {
            text.push_str(value);
            text.push('+');
        }
        Self(text)
    }

    /// The key is the last part of the text, and for HMAC its key as well.
    pub(super) fn sign(&self, key: &Secret, hash: FormHash) -> String {
        match hash {
            FormHash::HmacSha256 => {
                let mut mac = keyed(key);
                mac.update(self.0.as_bytes());
                mac.update(key.expose());
                STANDARD.encode(mac.finalize().into_bytes())
            }
            FormHash::Sha1 => hex::encode(Sha1::new().chain_update(&self.0).chain_update(key.expose()).finalize()),
        }
    }
}

/// Whether a text is so many lower-case hex digits.
pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn keyed(secret: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose()).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed<'a>(fields: &[(&'a str, &'a str)]) -> String {
        FormText::of(fields.iter().copied()).0
    }

    #[test]
    fn values_stand_in_byte_order_of_their_names_and_empty_ones_count() {
        let names = [
            "vads_cavv_x",
            "vads_info2",
            "vads_cavvA",
            "vads_info10",
            "vads_cavv",
            "vads_Z",
        ];
        let fields: Vec<_> = names.iter().map(|name| (*name, &name[5..])).collect();
        assert_eq!(signed(&fields), "Z+cavv+cavvA+cavv_x+info10+info2+");
        assert_eq!(signed(&[("vads_a", ""), ("vads_b", "a+b"), ("vads_c", "")]), "+a+b++");
    }

    #[test]
    fn only_fields_with_the_prefix_in_lower_case_are_covered() {
        assert_eq!(
            signed(&[("signature", "s"), ("VADS_a", "x"), ("vads_b", "y"), ("xvads_c", "z")]),
            "y+"
        );
    }

    #[test]
    fn the_guides_example_is_signed_as_printed() {
        let fields = [
            ("vads_action_mode", "INTERACTIVE"),
            ("vads_amount", "5124"),
            ("vads_ctx_mode", "TEST"),
            ("vads_currency", "978"),
            ("vads_page_action", "PAYMENT"),
            ("vads_payment_config", "SINGLE"),
            ("vads_site_id", "12345678"),
            ("vads_trans_date", "20170129130025"),
            ("vads_trans_id", "123456"),
            ("vads_version", "V2"),
        ];
        let key = Secret::new("1122334455667788");
        assert_eq!(
            form(fields, &key, FormHash::HmacSha256),
            "ycA5Do5tNvsnKdc/eP1bj2xa19z9q3iWPy9/rpesfS0="
        );
        assert_eq!(
            form(fields, &key, FormHash::Sha1),
            "59c96b34c74b9375c332b0b6a32e6deeec87de2b"
        );
    }

    #[test]
    fn the_shape_tells_the_hash() {
        let key = Secret::new("k");
        for hash in [FormHash::HmacSha256, FormHash::Sha1] {
            assert_eq!(FormHash::of_shape(&form([], &key, hash)), Some(hash));
        }
        for neither in [
            "",
            "abc",
            &"A".repeat(44),
            &"g".repeat(40),
            &"AB".repeat(20),
            &"é".repeat(22),
        ] {
            assert_eq!(FormHash::of_shape(neither), None, "{neither}");
        }
    }
}
