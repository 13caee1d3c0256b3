//! The demo's company: its configuration, as an admin would write it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::anyhow;

use crate::config::{self, File, FoundSecret, Loaded, Outside, SecretSource};
use crate::domain::ShopId;

/// A shop of the demo, named by its city.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum City {
    /// The one that the gateway notifies.
    Paris,
    /// Wants events only.
    Lyon,
    /// Wants events, and the gateway's formats re-signed.
    Nice,
}

impl City {
    pub(super) const ALL: [Self; 3] = [Self::Paris, Self::Lyon, Self::Nice];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Paris => "Paris",
            Self::Lyon => "Lyon",
            Self::Nice => "Nice",
        }
    }

    pub(super) fn shop(self) -> ShopId {
        let digits = match self {
            Self::Paris => "12345678",
            Self::Lyon => "23456789",
            Self::Nice => "34567890",
        };
        digits.parse().expect("8 digits")
    }
}

/// Where everybody listens.
pub(super) struct Addresses {
    pub(super) router: SocketAddr,
    pub(super) mail: SocketAddr,
    pub(super) paris: SocketAddr,
    pub(super) lyon: SocketAddr,
    pub(super) nice: SocketAddr,
}

impl Addresses {
    /// For a configuration that is only shown.
    pub(super) fn example() -> Self {
        let port = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            router: port(8080),
            mail: port(2525),
            paris: port(9001),
            lyon: port(9002),
            nice: port(9003),
        }
    }
}

/// Secrets of nobody: they protect what happens on this machine while the demo runs.
const SECRETS: [(&str, &str); 6] = [
    ("paris-form-test", "7QtBdkW2c1vYx9Lp"),
    ("paris-rest-test", "testpassword_3uTgHq8sVn2xWcZ1"),
    ("lyon-events", LYON_EVENTS),
    ("nice-form-test", "Jd83mNqLsPz04kXe"),
    ("nice-rest-test", "testpassword_f6RbYk1mEo7sQaD9"),
    ("nice-events", NICE_EVENTS),
];

pub(super) const LYON_EVENTS: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(super) const NICE_EVENTS: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The configuration, with the store in this folder.
pub(super) fn toml(addresses: &Addresses, folder: &Path) -> String {
    let Addresses {
        router,
        mail,
        paris,
        lyon,
        nice,
    } = addresses;
    let store = folder.join("outbox.db");
    let store = store.display();
    format!(
        r#"# The configuration of `ipn-router demo`: one company with three shops, in TEST.

[receiver]
listen = "{router}"
path = "/ipn"

[store]
url = "sqlite:{store}"

[mail]
smtp = "smtp://{mail}"
from = "IPN router <ipn-router@example.com>"
operators = "it@acme.example"

[legal_entities.acme]
name = "ACME SAS"
failure_emails = "oncall@acme.example"
# Far too impatient for real life, where the default is "30s", "5m", "15m", "1h".
retry_delays = [
  "500ms", "1s", "1500ms", "1800ms", "1900ms", "2s", "2100ms", "2200ms", "2300ms", "2400ms", "2500ms", "2600ms",
]

# The shop that the gateway notifies. Its plugin goes on working as before.
[shops.12345678]
name = "ACME Paris"
legal_entity = "acme"
allow_private = true                  # the demo's shops are on this machine
learns_by = []                        # the gateway notifies no other shop, so there is nothing to learn
[shops.12345678.test]
form_key = {{ credential = "paris-form-test" }}
form_url = "http://{paris}/form"
rest_password = {{ credential = "paris-rest-test" }}
rest_url = "http://{paris}/rest"

# Learns of the company's cards by events: JSON, signed by Standard Webhooks.
[shops.23456789]
name = "ACME Lyon"
legal_entity = "acme"
allow_private = true
[shops.23456789.test]
event_url = "http://{lyon}/token-events"
event_secret = {{ credential = "lyon-events" }}

# Learns by events too, and by the gateway's own formats, signed again with its own keys.
[shops.34567890]
name = "ACME Nice"
legal_entity = "acme"
allow_private = true
[shops.34567890.test]
event_url = "http://{nice}/token-events"
event_secret = {{ credential = "nice-events" }}
form_key = {{ credential = "nice-form-test" }}
form_url = "http://{nice}/form"
rest_password = {{ credential = "nice-rest-test" }}
rest_url = "http://{nice}/rest"
"#
    )
}

/// Reads it as the daemon would.
pub(super) fn configuration(toml: String) -> anyhow::Result<Loaded> {
    let file = File {
        path: "demo.toml".into(),
        bytes: toml.into(),
    };
    match config::parse(file, &Credentials) {
        Ok(loaded) => Ok(loaded),
        Err(diagnostics) => {
            let lines: Vec<_> = diagnostics.iter().map(config::Diagnostic::to_line).collect();
            Err(anyhow!("the demo's configuration has mistakes:\n{}", lines.join("\n")))
        }
    }
}

/// Stands for systemd, which hands secrets over by name.
struct Credentials;

impl Outside for Credentials {
    fn include(&self, _: &Path) -> Result<Vec<File>, String> {
        Ok(Vec::new())
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        let SecretSource::Credential(wanted) = from else {
            return Err("the demo has credentials only".to_owned());
        };
        let found = SECRETS.iter().find(|(name, _)| name == wanted);
        let (_, secret) = found.ok_or_else(|| format!("the demo has no credential {wanted}"))?;
        Ok(FoundSecret {
            bytes: secret.as_bytes().to_vec(),
            readable_by_everyone: false,
        })
    }

    fn open(&self, _: &Path) -> Result<(), String> {
        Err("the demo has no files".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_one_that_check_has_nothing_to_say_about() {
        let file = File {
            path: "demo.toml".into(),
            bytes: toml(&Addresses::example(), Path::new("/var/lib/ipn-router")).into(),
        };
        let loaded = config::parse(file, &Credentials).unwrap();
        let said: Vec<_> = loaded.diagnostics.iter().map(|d| d.to_text(false)).collect();
        assert_eq!(said, [""; 0]);
        assert_eq!(loaded.shops, City::ALL.len());
        let of = |city: City| {
            let destinations = loaded.config.destinations.iter();
            destinations.filter(|settings| settings.key.shop == city.shop()).count()
        };
        assert_eq!(City::ALL.map(of), [2, 1, 5]);
    }
}
