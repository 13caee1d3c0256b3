use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use url::Url;

use super::language::{Language, Voice};
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
    /// `[admin] public_url`, for links.
    pub page: Option<Url>,
    /// What the commands in e-mails are given as `--config`; `None`: they find the file by themselves.
    pub config_file: Option<PathBuf>,
}

/// Somebody who is told of something.
pub(super) struct Told {
    pub(super) mailbox: Mailbox,
    /// In words, in its language.
    pub(super) told_of: Vec<String>,
    pub(super) voice: Voice,
}

impl Settings {
    /// How e-mails about a company are written.
    pub(super) fn voice(&self, legal_entity: &LegalEntityId) -> Voice {
        self.voice_in(
            self.recipients
                .get(legal_entity)
                .map_or_else(Language::default, |company| company.language),
        )
    }

    /// How e-mails to the operators are written: in the language that all companies share, else in English.
    pub(super) fn operators_voice(&self) -> Voice {
        let mut languages = self.recipients.values().map(|company| company.language);
        let first = languages.next().unwrap_or_default();
        let is_shared = languages.all(|language| language == first);
        self.voice_in(if is_shared { first } else { Language::default() })
    }

    /// How e-mails are written that tell an address of several companies: as the first of them wants it.
    pub(super) fn voice_for(&self, mailbox: &Mailbox) -> Voice {
        let mut companies: Vec<_> = self.recipients.iter().collect();
        companies.sort_by_key(|(id, _)| *id);
        let is_told = |company: &Recipients| {
            let mut all = company.company.iter().chain(company.shops.values().flatten());
            all.any(|known| known.email == mailbox.email)
        };
        let company = companies.into_iter().find(|(_, company)| is_told(company));
        company.map_or_else(|| self.operators_voice(), |(id, _)| self.voice(id))
    }

    fn voice_in(&self, language: Language) -> Voice {
        Voice {
            language,
            program: program(self.config_file.as_deref()),
            page: self.page.clone(),
        }
    }

    /// The name of a company as configured; its key, if it is configured no more.
    pub(super) fn company_name<'a>(&'a self, legal_entity: &'a LegalEntityId) -> &'a str {
        self.recipients
            .get(legal_entity)
            .map_or(legal_entity.as_str(), |company| &company.name)
    }

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

    /// Each address once, with what it is told of, in the order of the companies.
    pub(super) fn everybody(&self) -> Vec<Told> {
        let mut all: Vec<Told> = Vec::new();
        let operators = self.operators_voice();
        let own = operators.language.say(
            "The router's own trouble (operators)",
            "Les problèmes du routeur (operators)",
        );
        for mailbox in self.operators() {
            add(&mut all, mailbox, &operators, own.to_owned());
        }
        let mut companies: Vec<_> = self.recipients.iter().collect();
        companies.sort_by_key(|(id, _)| *id);
        for (id, company) in companies {
            let voice = self.voice(id);
            let name = &company.name;
            let of = |what: &str| {
                voice
                    .language
                    .say(format!("Failures at {what}"), format!("Les échecs chez {what}"))
            };
            for mailbox in &company.company {
                add(&mut all, mailbox, &voice, of(name));
            }
            let mut shops: Vec<_> = company.shops.iter().collect();
            shops.sort_by_key(|(shop, _)| **shop);
            for (shop, mailboxes) in shops {
                for mailbox in mailboxes {
                    add(&mut all, mailbox, &voice, of(&format!("{name}, {shop}")));
                }
            }
        }
        all
    }

    /// One who is told of nothing.
    pub(super) fn stranger(&self, mailbox: Mailbox) -> Told {
        Told {
            mailbox,
            told_of: Vec::new(),
            voice: self.operators_voice(),
        }
    }

    /// Who is told of the daemon's own trouble.
    pub(super) fn operators(&self) -> Vec<&Mailbox> {
        each_once(&self.operators)
    }
}

fn add(all: &mut Vec<Told>, mailbox: &Mailbox, voice: &Voice, told_of: String) {
    match all.iter_mut().find(|known| known.mailbox.email == mailbox.email) {
        Some(known) => {
            if !known.told_of.contains(&told_of) {
                known.told_of.push(told_of);
            }
        }
        None => all.push(Told {
            mailbox: mailbox.clone(),
            told_of: vec![told_of],
            voice: voice.clone(),
        }),
    }
}

/// Nobody is told twice.
pub(super) fn each_once<'a>(mailboxes: impl IntoIterator<Item = &'a Mailbox>) -> Vec<&'a Mailbox> {
    let mut once: Vec<&Mailbox> = Vec::new();
    for mailbox in mailboxes {
        if !once.iter().any(|known| known.email == mailbox.email) {
            once.push(mailbox);
        }
    }
    once
}

/// How a command begins, as a shell reads it.
fn program(config_file: Option<&Path>) -> String {
    let Some(file) = config_file else {
        return "ipn-router".into();
    };
    let file = file.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if file.chars().all(is_plain) {
        format!("ipn-router --config {file}")
    } else {
        format!("ipn-router --config '{}'", file.replace('\'', r"'\''"))
    }
}

/// What an e-mail tells of a destination's configuration.
#[derive(Clone, Debug)]
pub struct Destination {
    pub legal_entity_name: String,
    pub shop_name: String,
    pub url: Url,
    /// After which time without success its deliveries become dead letters.
    pub give_up_after: Duration,
    /// Each failed attempt is told (`failure_emails_on = "every-attempt"`), instead of what becomes of them.
    pub tells_attempts: bool,
}

/// A company, as those who get its e-mails know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipients {
    pub name: String,
    pub language: Language,
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
                    ..Recipients::default()
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
    #[test]
    fn operators_are_written_to_in_the_language_of_all_companies() {
        use Language::{English, French};
        for (languages, expected) in [
            (&[][..], English),
            (&[French], French),
            (&[French, French], French),
            (&[French, English], English),
            (&[English], English),
        ] {
            let company = |(n, language): (usize, &Language)| {
                let language = *language;
                let company = Recipients {
                    language,
                    ..Recipients::default()
                };
                (format!("company-{n}").parse().unwrap(), company)
            };
            let settings = Settings {
                recipients: languages.iter().enumerate().map(company).collect(),
                ..Settings::default()
            };
            assert_eq!(settings.operators_voice().language, expected, "{languages:?}");
        }
    }

    #[test]
    fn commands_name_the_configuration_unless_they_find_it() {
        assert_eq!(program(None), "ipn-router");
        let with = |file: &str| program(Some(Path::new(file)));
        assert_eq!(with("/srv/ipn.toml"), "ipn-router --config /srv/ipn.toml");
        assert_eq!(
            with("/srv/it's ipn.toml"),
            r"ipn-router --config '/srv/it'\''s ipn.toml'"
        );
    }
}
