use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Format, LegalEntityId, Mode, NotificationId, ShopId};

/// The daemon's own trouble: for its operators, not for a shop's on-call.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "trouble")]
pub enum Trouble {
    /// A silence that was told is over.
    HeardAgain {
        legal_entity: LegalEntityId,
        mode: Mode,
        silent_since: Timestamp,
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
    /// Refused: no key is configured for this shop in this format and mode.
    UnknownShop {
        /// As the gateway wrote it, if that is 1 to 20 digits: anybody can send this.
        site_id: Option<String>,
        format: Format,
        mode: Mode,
    },
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

    /// What is told together, in one e-mail an hour: the beginning and the end of a silence stay in order.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Parked { .. } => "parked",
            Self::Quarantined { .. } => "quarantined",
            Self::ReloadRefused { .. } => "reload-refused",
            Self::HeardAgain { .. } | Self::Silence { .. } => "silence",
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
