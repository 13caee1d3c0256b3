use serde::{Deserialize, Serialize};

use super::{Format, Mode, NotificationId, ShopId};

/// The daemon's own trouble: for its operators, not for a shop's on-call.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "trouble")]
pub enum Trouble {
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

    /// The word in the store; one e-mail an hour is sent for each.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Parked { .. } => "parked",
            Self::Quarantined { .. } => "quarantined",
            Self::ReloadRefused { .. } => "reload-refused",
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
        let notification = NotificationId::new(jiff::Timestamp::UNIX_EPOCH);
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
        ] {
            let json = serde_json::to_string(&trouble).unwrap();
            assert!(
                json.starts_with(&format!(r#"{{"trouble":"{}""#, trouble.word())),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<Trouble>(&json).unwrap(), trouble);
        }
    }
}
