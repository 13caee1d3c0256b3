use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadId {
    #[error("a legal entity's key is 1 to 64 letters, digits, `-` or `_`")]
    LegalEntity,
    #[error("a notification's id is a UUID")]
    Notification,
    #[error("a shop id is exactly 8 digits")]
    Shop,
}

/// The gateway's 8-digit site id of a shop; text, for a leading zero counts (protocol.md 1.2).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShopId([u8; 8]);

impl ShopId {
    /// The eight digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a shop id is ASCII digits")
    }
}

impl FromStr for ShopId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits: [u8; 8] = text.as_bytes().try_into().map_err(|_| BadId::Shop)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(BadId::Shop)
        }
    }
}

impl fmt::Display for ShopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ShopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key under which the configuration names a company: `[legal_entities.acme]`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LegalEntityId(Arc<str>);

impl LegalEntityId {
    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LegalEntityId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(BadId::LegalEntity)
        }
    }
}

impl Borrow<str> for LegalEntityId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LegalEntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LegalEntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id that we give a notification when it arrives; UUID version 7, so ids sort by time of receipt.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NotificationId(Uuid);

impl NotificationId {
    /// A fresh id for a notification received at this time.
    pub fn new(received_at: jiff::Timestamp) -> Self {
        let millis = u64::try_from(received_at.as_millisecond()).unwrap_or(0);
        let random = fastrand::u128(..).to_be_bytes();
        let tail: [u8; 10] = random[..10].try_into().expect("10 of 16 bytes");
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// An id below those of everything received at this time or later, and above those of everything before.
    pub fn before(received_at: jiff::Timestamp) -> Self {
        let millis = u128::try_from(received_at.as_millisecond()).unwrap_or(0);
        Self(Uuid::from_u128(millis << 80))
    }

    /// The 16 bytes, as the store keeps them.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The time of receipt, which the id begins with.
    pub fn received_at(&self) -> jiff::Timestamp {
        let millis = self.0.as_u128() >> 80;
        let millis = i64::try_from(millis).expect("48 of 128 bits");
        jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
    }

    /// The id whose bytes the store kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl FromStr for NotificationId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Self).map_err(|_| BadId::Notification)
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shop_id_is_exactly_eight_ascii_digits() {
        assert_eq!("01234567".parse::<ShopId>().unwrap().as_str(), "01234567");
        for bad in ["", "1234567", "123456789", "1234567a", "１２３４５６７８", " 1234567"] {
            assert_eq!(bad.parse::<ShopId>(), Err(BadId::Shop), "{bad}");
        }
    }

    #[test]
    fn notification_ids_sort_by_time_of_receipt() {
        let at = |ms| NotificationId::new(jiff::Timestamp::from_millisecond(ms).unwrap());
        assert!(at(1_700_000_000_000) < at(1_700_000_000_001));
        let id = at(1_700_000_000_000);
        assert_eq!(id.to_string().parse::<NotificationId>(), Ok(id));
        assert_eq!(NotificationId::from_bytes(*id.as_bytes()), id);
        assert_eq!(id.received_at().as_millisecond(), 1_700_000_000_000);
        let before = NotificationId::before(id.received_at());
        assert!(at(1_699_999_999_999) < before && before < id);
    }
}
