use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use url::Url;

use crate::domain::{Expectation, LegalEntityId, Secret, ShopId};

/// Who is told of what, and how e-mail leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `None`: no `[mail]`; then the log is all that tells.
    pub mail: Option<MailSettings>,
    /// The daemon's own trouble.
    pub operators: Vec<Mailbox>,
    pub recipients: HashMap<LegalEntityId, Recipients>,
    /// The operators are told when the gateway is silent for longer.
    pub expected: Vec<Expectation>,
}

impl Settings {
    /// Who is told of a shop's incidents: the company's addresses, then those of the shop, each once.
    pub(super) fn on_call(&self, legal_entity: &LegalEntityId, shop: ShopId) -> Vec<&Mailbox> {
        let Some(recipients) = self.recipients.get(legal_entity) else {
            return Vec::new();
        };
        each_once(
            recipients
                .company
                .iter()
                .chain(recipients.shops.get(&shop).into_iter().flatten()),
        )
    }

    /// Who is told of the daemon's own trouble.
    pub(super) fn operators(&self) -> Vec<&Mailbox> {
        each_once(&self.operators)
    }
}

fn each_once<'a>(mailboxes: impl IntoIterator<Item = &'a Mailbox>) -> Vec<&'a Mailbox> {
    let mut once: Vec<&Mailbox> = Vec::new();
    for mailbox in mailboxes {
        if !once.iter().any(|known| known.email == mailbox.email) {
            once.push(mailbox);
        }
    }
    once
}

/// What an e-mail tells of a destination's configuration.
#[derive(Clone, Debug)]
pub struct Destination {
    pub legal_entity_name: String,
    pub shop_name: String,
    pub url: Url,
    /// After which time without success its deliveries become dead letters.
    pub give_up_after: Duration,
}

/// The addresses of a company.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipients {
    /// `failure_emails`.
    pub company: Vec<Mailbox>,
    /// `extra_failure_emails` of each shop, added to the company's.
    pub shops: HashMap<ShopId, Vec<Mailbox>>,
}

/// `[mail]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: Mailbox,
    /// PEM file with an authority to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// How the session with the mail server is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailSecurity {
    /// `smtp://` toward loopback: STARTTLS if the server offers it, with whatever certificate it has; nobody stands
    /// between.
    Local,
    /// `smtp://` with `?tls=none`.
    Plain,
    /// `smtp://`: refused without STARTTLS.
    StartTls,
    /// `smtps://`.
    Tls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shop_addresses_are_added_to_the_company_s_and_each_is_told_once() {
        let [oncall, lyon]: [Mailbox; 2] =
            ["On Call <oncall@acme.example>", "lyon@acme.example"].map(|a| a.parse().unwrap());
        let (acme, shop): (LegalEntityId, ShopId) = ("acme".parse().unwrap(), "23456789".parse().unwrap());
        let again = "oncall@acme.example".parse().unwrap();
        let settings = Settings {
            recipients: HashMap::from([(
                acme.clone(),
                Recipients {
                    company: vec![oncall.clone()],
                    shops: HashMap::from([(shop, vec![lyon.clone(), again])]),
                },
            )]),
            ..Settings::default()
        };
        assert_eq!(settings.on_call(&acme, shop), [&oncall, &lyon]);
        assert_eq!(settings.on_call(&acme, "12345678".parse().unwrap()), [&oncall]);
        assert_eq!(
            settings.on_call(&"other".parse().unwrap(), shop),
            Vec::<&Mailbox>::new()
        );
    }
}
