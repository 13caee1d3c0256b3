use std::fmt;

use super::content::Malformed;
use super::signature::FormHash;
use crate::domain::{Format, Mode, ShopId};

/// Why a notification was refused.
///
/// The texts go to whoever called, so they repeat nothing of a secret and nothing received but a shop's digits.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read as a notification, or in more than one way.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Rightly signed, but a payment request or a browser return: a buyer sees those, and so could send them here.
    #[error("vads_hash is missing and {found} is there: a payment request or a browser return")]
    NotANotification {
        shop: ShopId,
        mode: Mode,
        /// The field that a notification without `vads_hash` would not have.
        found: &'static str,
    },
    /// No key gives this signature.
    #[error("{hint}")]
    SignatureMismatch {
        /// `None` if that was not looked at, or not written.
        shop: Option<ShopId>,
        mode: Option<Mode>,
        format: Format,
        hint: MismatchHint,
    },
    /// There is no key here to check it with.
    #[error("{}", what_is_missing(.shop.as_deref(), *.format, *.mode, *.known))]
    UnknownShop {
        /// As written, if that is 1 to 20 digits.
        shop: Option<String>,
        /// `None`: none was written.
        mode: Option<Mode>,
        format: Format,
        /// Whether this shop has keys here for another format or mode.
        known: bool,
    },
    /// The key that matched is of the other mode than the text says.
    #[error("matches the {matched} key, but the notification says {written}")]
    WrongMode {
        /// The shop of the key.
        shop: ShopId,
        format: Format,
        written: Mode,
        matched: Mode,
    },
}

/// The most likely cause of a signature that does not match, in words that reveal no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MismatchHint {
    /// A copied key brought a blank along. Never accepted: only the configuration can put it right.
    BlankInKey,
    /// REST: what the buyer's browser carries back, signed with another key than a notification.
    BrowserReturnKey,
    /// The right shape, and no key that gives it.
    KeyOrText,
    /// REST without shop or mode: no password, so nobody to keep it for.
    NobodysAnswer,
    /// Form: hashed in a way that the shop is not configured for.
    OtherHash { is: FormHash },
    /// REST: `kr-hash-key` is neither `password` nor `sha256_hmac`.
    OtherKeyFamily,
    /// Two shops' keys are mixed up.
    OtherShop,
    /// REST without shop or mode: several shops or modes have this password, so it could be for any of them.
    SeveralShops,
    /// No hash makes signatures that look so.
    Shapeless(Format),
    /// Form version 1: no rule is known for its signature, and that of version 2 does not hold (protocol.md 1.1).
    VersionOne,
}

impl fmt::Display for MismatchHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlankInKey => f.write_str("matches after trimming a blank from the configured key"),
            Self::BrowserReturnKey => f.write_str(
                "signed with the browser-return key (kr-hash-key sha256_hmac), a notification with the password",
            ),
            Self::KeyOrText => {
                f.write_str("matches no key configured for this shop: another key, or text altered on the way")
            }
            Self::NobodysAnswer => f.write_str("matches no password, and the text names no shop or no mode"),
            Self::OtherHash { is } => write!(f, "is {is}, this shop expects {}", is.other()),
            Self::OtherKeyFamily => f.write_str("kr-hash-key is not the word password"),
            Self::OtherShop => f.write_str("matches the key of another shop than the notification names"),
            Self::SeveralShops => {
                f.write_str("matches the password of several shops or modes, and the text does not say which")
            }
            Self::Shapeless(Format::Form) => {
                f.write_str("signature has the form of neither HMAC-SHA-256 in base64 nor SHA-1 in hex")
            }
            Self::Shapeless(Format::Rest) => f.write_str("kr-hash is not 64 lower-case hex digits"),
            Self::VersionOne => f.write_str("does not match, and the signature rule of V1 is unknown"),
        }
    }
}

fn what_is_missing(shop: Option<&str>, format: Format, mode: Option<Mode>, known: bool) -> String {
    let Some(shop) = shop else {
        return "the site id is not a number of 1 to 20 digits".to_owned();
    };
    let key = match format {
        Format::Form => "form_key",
        Format::Rest => "rest_password",
    };
    match (known, mode) {
        (false, _) => format!("{shop} has no keys here"),
        (true, Some(mode)) => format!("{shop} has keys here, but no {key} for {mode}"),
        (true, None) => format!("{shop} has keys here, but no {key}"),
    }
}
