use std::path::Path;

use super::{Keeping, SetUp, file};
use crate::config::{self, Diagnostic, File, FoundSecret, Outside, SecretSource, Severity};
use crate::domain::Format;

/// What the file will say.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) company: String,
    pub(super) set_up: SetUp,
    pub(super) expect_every: Option<String>,
    pub(super) mail: Option<Mail>,
    pub(super) shop: NotifiedShop,
    pub(super) other: Option<OtherShop>,
    pub(super) listen: String,
    /// Certificate and key.
    pub(super) tls: Option<(String, String)>,
    pub(super) store: String,
    pub(super) secrets: Keeping,
}

/// The shop that the gateway notifies.
#[derive(Clone, Debug)]
pub(super) struct NotifiedShop {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) url: Option<String>,
}

/// A shop that learns of the tokens.
#[derive(Clone, Debug)]
pub(super) struct OtherShop {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) url: String,
}

/// Who is told of failures, and how.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) failure_emails: String,
    pub(super) smtp: String,
    pub(super) username: Option<String>,
    pub(super) from: String,
}

/// A secret that the file names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NamedSecret {
    /// Also the name of its file.
    pub(super) name: String,
    pub(super) what: SecretKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SecretKind {
    /// Of the other shop; nobody has it yet.
    Event,
    /// Of the gateway.
    Gateway(Format),
    /// Of the mail server.
    Smtp,
}

impl Draft {
    /// What is written if nobody says anything else; `file` is where.
    pub(super) fn new(file: &Path) -> Self {
        let store = if is_system_wide(file) {
            "/var/lib/ipn-router/outbox.db"
        } else {
            "outbox.db"
        };
        Self {
            company: "My company".to_owned(),
            set_up: SetUp::A,
            expect_every: None,
            mail: None,
            shop: NotifiedShop {
                id: "12345678".to_owned(),
                name: "My shop".to_owned(),
                format: Format::Form,
                url: None,
            },
            other: None,
            listen: "127.0.0.1:8080".to_owned(),
            tls: None,
            store: store.to_owned(),
            secrets: Keeping::File,
        }
    }

    /// The secrets that TEST needs, in the order in which they are put.
    pub(super) fn secrets(&self) -> Vec<NamedSecret> {
        let mut secrets = vec![NamedSecret {
            name: self.gateway_secret("test"),
            what: SecretKind::Gateway(self.shop.format),
        }];
        secrets.extend(self.other.as_ref().map(|other| NamedSecret {
            name: other.secret("test"),
            what: SecretKind::Event,
        }));
        let has_login = self.mail.as_ref().is_some_and(|mail| mail.username.is_some());
        secrets.extend(has_login.then(|| NamedSecret {
            name: "smtp-password".to_owned(),
            what: SecretKind::Smtp,
        }));
        secrets
    }

    /// The name of the key that the gateway signs with.
    pub(super) fn gateway_secret(&self, mode: &str) -> String {
        let key = match self.shop.format {
            Format::Form => "form-key",
            Format::Rest => "rest-password",
        };
        format!("{}-{mode}-{key}", slug(&self.shop.name))
    }

    /// The key of the company's table.
    pub(super) fn company_key(&self) -> String {
        slug(&self.company)
    }

    /// The first thing that the reader of the configuration finds wrong with it, in words.
    pub(super) fn refusal(&self) -> Option<String> {
        let file = File {
            path: "ipn-router.toml".into(),
            bytes: file::toml(self).into_bytes(),
        };
        let told = config::parse(file, &Complete).err()?;
        let error = told
            .iter()
            .find(|diagnostic| diagnostic.severity() == Severity::Error)?;
        let Diagnostic { what, instead, .. } = error;
        Some(if instead.is_empty() {
            what.clone()
        } else {
            format!("{what}; {instead}")
        })
    }
}

impl OtherShop {
    /// The name of what its events are signed with.
    pub(super) fn secret(&self, mode: &str) -> String {
        format!("{}-{mode}-events", slug(&self.name))
    }
}

/// Whether a file is the machine's, and not somebody's trial.
pub(super) fn is_system_wide(file: &Path) -> bool {
    file.starts_with("/etc")
}

/// A name as a key or the name of a file.
fn slug(name: &str) -> String {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    match slug.get(..40.min(slug.len())) {
        Some(slug) if !slug.is_empty() => slug.trim_end_matches('-').to_owned(),
        _ => "company".to_owned(),
    }
}

/// A machine on which every file and secret is there: they are put after the file is written.
struct Complete;

impl Outside for Complete {
    fn include(&self, _: &Path) -> Result<Vec<File>, String> {
        Ok(Vec::new())
    }

    fn secret(&self, _: &SecretSource) -> Result<FoundSecret, String> {
        Ok(FoundSecret {
            bytes: b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_vec(),
            readable_by_everyone: false,
        })
    }

    fn open(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_keys() {
        for (name, key) in [
            ("ACME SAS", "acme-sas"),
            ("  L'Été & fils ", "l-t-fils"),
            ("株式会社", "company"),
            (
                "A company whose name is much longer than forty characters",
                "a-company-whose-name-is-much-longer-than",
            ),
        ] {
            assert_eq!(slug(name), key);
        }
    }
}
