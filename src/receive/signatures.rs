use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::{Format, Mode, RefusedSignatures, ShopId, Trouble};
use crate::verify::{Keyring, VerifiedNotification, VerifyError};

/// Which key it is about.
type Key = (ShopId, Mode, Format);

/// How the signatures of each key fared; only those that were refused last.
#[derive(Debug, Default)]
pub(super) struct Signatures(Mutex<HashMap<Key, RefusedSignatures>>);

impl Signatures {
    /// How many were refused in a row, for each key that is configured.
    pub(super) fn in_a_row(&self, keyring: &Keyring) -> Vec<(ShopId, Mode, Format, u32)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|((shop, mode, format), _)| keyring.has_keys(*shop, *mode, *format))
            .map(|((shop, mode, format), refused)| (*shop, *mode, *format, refused.count()))
            .collect()
    }

    /// What to tell of a refusal, if it was for the signature and there is a key that it could have had.
    pub(super) fn refused(&self, why: &VerifyError, keyring: &Keyring, now: Timestamp) -> Option<Trouble> {
        let VerifyError::SignatureMismatch {
            shop: Some(shop),
            mode: Some(mode),
            format,
            hint,
        } = *why
        else {
            return None;
        };
        if !keyring.has_keys(shop, mode, format) {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (refused, since) = all.entry((shop, mode, format)).or_default().refused(now)?;
        Some(Trouble::SignaturesRefused {
            shop,
            mode,
            format,
            refused,
            since,
            hint: hint.to_string(),
        })
    }

    /// What to tell of a right signature: that the ones before were wrong, if that was told.
    pub(super) fn verified(&self, verified: &VerifiedNotification) -> Option<Trouble> {
        let (shop, mode, format) = (verified.named_shop(), verified.mode(), verified.format());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (refused, since) = all.remove(&(shop, mode, format))?.verified()?;
        Some(Trouble::SignaturesRight {
            shop,
            mode,
            format,
            refused,
            since,
        })
    }
}
