use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DiskRoom, Format, Kind, LegalEntityId, Mode, NotificationId, ShopId};

/// The daemon's own trouble: for its operators, not for a shop's on-call.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "trouble")]
pub enum Trouble {
    /// A certificate ends soon, or has ended.
    CertificateEnds { whose: CertificateOwner, until: Timestamp },
    /// The store's disk has come to have so much room.
    Disk {
        room: DiskRoom,
        /// Bytes.
        free: u64,
        /// With fewer bytes free, nothing new is accepted.
        reserve: u64,
    },
    /// A silence that was told is over.
    HeardAgain {
        legal_entity: LegalEntityId,
        mode: Mode,
        silent_since: Timestamp,
    },
    /// Answered 503: the gateway may not send them again by itself.
    NotStored {
        first_at: Timestamp,
        last_at: Timestamp,
        /// Those of which something is known.
        lost: Vec<Lost>,
        /// Rightly signed too, but more than could be remembered.
        more: u64,
        /// Put off unread, because too much was in flight: nothing is known of them.
        unread: u64,
    },
    /// Stored with nowhere to go: the company is disabled, or no shop has a URL for it.
    Parked {
        notification: NotificationId,
        shop: ShopId,
        mode: Mode,
    },
    /// Rightly signed, but perhaps no notification: it waits for an operator's release.
    Quarantined {
        notification: NotificationId,
        shop: ShopId,
        mode: Mode,
    },
    /// A changed configuration was not applied; the one before runs on.
    ReloadRefused {
        /// Who or what wanted it.
        by: String,
        /// Each of several lines, secrets masked.
        why: Vec<String>,
        /// It has no errors, and only wants to be confirmed.
        #[serde(default)]
        is_dangerous: bool,
    },
    /// So many signatures in a row were refused for a shop that has a key: it is another one than the gateway's.
    SignaturesRefused {
        shop: ShopId,
        mode: Mode,
        format: Format,
        refused: u32,
        since: Timestamp,
        /// The most likely cause of the last one; reveals no secret.
        hint: String,
    },
    /// Signatures that were told to be refused are right again.
    SignaturesRight {
        shop: ShopId,
        mode: Mode,
        format: Format,
        refused: u32,
        since: Timestamp,
    },
    /// The gateway did not call for a company for longer than expected.
    Silence {
        legal_entity: LegalEntityId,
        mode: Mode,
        /// When it was last heard, or since when it is expected to call, if that is later.
        since: Timestamp,
        last_heard: Option<Timestamp>,
        expected_every: Duration,
    },
    /// The store has failed and the daemon ends; mailed directly, for nothing can be written any more.
    StoreFailed { why: String },
    /// Refused: no key is configured for this shop in this format and mode.
    UnknownShop {
        /// As the gateway wrote it, if that is 1 to 20 digits: anybody can send this.
        site_id: Option<String>,
        format: Format,
        mode: Mode,
    },
}

/// Whose certificate it is.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateOwner {
    /// The host of shops, as seen when delivering.
    Host(String),
    /// The receiver's own, from this file.
    Receiver(String),
}

/// What may be told of a notification that was not stored: enough to find it in the Back Office, nothing of a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lost {
    pub at: Timestamp,
    pub shop: ShopId,
    pub mode: Mode,
    pub format: Format,
    pub kind: Kind,
    /// The transaction's uuid.
    pub transaction: Option<String>,
    /// The shop's own number of its order; never an e-mail address.
    pub order: Option<String>,
    /// When the transaction was made, as the gateway writes it.
    pub date: Option<String>,
    /// Masked.
    pub token: Option<String>,
}

impl Trouble {
    /// An unknown shop; keeps the site id only if it can be one.
    pub fn unknown_shop(site_id: &str, format: Format, mode: Mode) -> Self {
        let plausible = (1..=20).contains(&site_id.len()) && site_id.bytes().all(|b| b.is_ascii_digit());
        Self::UnknownShop {
            site_id: plausible.then(|| site_id.to_owned()),
            format,
            mode,
        }
    }

    /// What is told together, in one e-mail an hour: the beginning and the end of something stay in order. That nothing is
    /// accepted any more does not wait because it was told before that this was near.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CertificateEnds { .. } => "certificate",
            Self::Disk {
                room: DiskRoom::Full, ..
            } => "disk-full",
            Self::Disk { .. } => "disk",
            Self::NotStored { .. } => "not-stored",
            Self::Parked { .. } => "parked",
            Self::Quarantined { .. } => "quarantined",
            Self::ReloadRefused { .. } => "reload-refused",
            Self::HeardAgain { .. } | Self::Silence { .. } => "silence",
            Self::SignaturesRefused { .. } | Self::SignaturesRight { .. } => "signature",
            Self::StoreFailed { .. } => "store-failed",
            Self::UnknownShop { .. } => "unknown-shop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_of_an_unknown_shop_are_kept() {
        for (written, kept) in [
            ("12345678", true),
            ("1", true),
            ("", false),
            ("123456789012345678901", false),
            ("1234\r\nBcc: x", false),
            ("１２", false),
        ] {
            let Trouble::UnknownShop { site_id, .. } = Trouble::unknown_shop(written, Format::Form, Mode::Test) else {
                panic!("made as such");
            };
            assert_eq!(site_id.as_deref(), kept.then_some(written));
        }
    }

    #[test]
    fn store_gives_back_what_was_written() {
        let shop = "12345678".parse().unwrap();
        let notification = NotificationId::new(Timestamp::UNIX_EPOCH);
        let mode = Mode::Production;
        for trouble in [
            Trouble::Parked {
                notification,
                shop,
                mode,
            },
            Trouble::Quarantined {
                notification,
                shop,
                mode,
            },
            Trouble::unknown_shop("42", Format::Rest, mode),
            Trouble::CertificateEnds {
                whose: CertificateOwner::Host("lyon.acme.example".into()),
                until: Timestamp::UNIX_EPOCH,
            },
            Trouble::Disk {
                room: DiskRoom::Low,
                free: 1,
                reserve: 2,
            },
            Trouble::NotStored {
                first_at: Timestamp::UNIX_EPOCH,
                last_at: Timestamp::UNIX_EPOCH,
                lost: vec![Lost {
                    at: Timestamp::UNIX_EPOCH,
                    shop,
                    mode,
                    format: Format::Form,
                    kind: Kind::TokenUpdated,
                    transaction: None,
                    order: Some("42".into()),
                    date: None,
                    token: None,
                }],
                more: 0,
                unread: 3,
            },
            Trouble::SignaturesRefused {
                shop,
                mode,
                format: Format::Rest,
                refused: 3,
                since: Timestamp::UNIX_EPOCH,
                hint: "another key".into(),
            },
            Trouble::HeardAgain {
                legal_entity: "acme".parse().unwrap(),
                mode,
                silent_since: Timestamp::UNIX_EPOCH,
            },
            Trouble::Silence {
                legal_entity: "acme".parse().unwrap(),
                mode,
                since: Timestamp::UNIX_EPOCH,
                last_heard: None,
                expected_every: Duration::from_hours(1),
            },
        ] {
            let json = serde_json::to_string(&trouble).unwrap();
            assert_eq!(serde_json::from_str::<Trouble>(&json).unwrap(), trouble);
        }
    }
}
