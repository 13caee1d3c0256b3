//! What a URL is called with: rightly signed, or not.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::cli::simulator::{self, Gateway, Key, Occasion, Occurrence, another_secret, stored};
use crate::deliver::{Nth, Rendered, Renderer, Settings, Signing};
use crate::domain::{DestinationKey, Format, Rendition, Secret};
use crate::outbox::StoredNotification;
use crate::verify::FormHash;

/// How a call is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signature {
    /// Rightly, for the second time.
    Again,
    /// Rightly, but an hour ago.
    Old,
    Right,
    Wrong,
}

impl Signature {
    /// What the call is, for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Again => "the same again",
            Self::Old => "an hour old",
            Self::Right => "right signature",
            Self::Wrong => "wrong signature",
        }
    }

    fn attempt(self) -> u32 {
        if self == Self::Again { 2 } else { 1 }
    }
}

/// Writes the calls of one URL about one occurrence.
pub(super) enum Caller {
    Event {
        right: Box<Renderer>,
        wrong: Box<Renderer>,
        told: Box<StoredNotification>,
    },
    Gateway {
        settings: Box<Settings>,
        right: Gateway,
        wrong: Gateway,
        occurrence: Box<Occurrence>,
    },
}

impl Caller {
    pub(super) fn new(settings: &Settings, occurrence: &Occurrence, now: Timestamp) -> anyhow::Result<Self> {
        let DestinationKey {
            shop, mode, rendition, ..
        } = settings.key.clone();
        let signing = &settings.signing;
        let gateway = |key| Gateway { shop, mode, key };
        let key = match rendition {
            Rendition::Event => {
                let forms = Key::Form {
                    key: Secret::new("any"),
                    hash: FormHash::HmacSha256,
                };
                let wrong = Signing {
                    event_secrets: vec![another_secret()],
                    ..Signing::default()
                };
                let wrong = Settings {
                    signing: wrong,
                    ..settings.clone()
                };
                return Ok(Self::Event {
                    right: Box::new(Renderer::new(settings)?),
                    wrong: Box::new(Renderer::new(&wrong)?),
                    told: Box::new(stored(settings, &gateway(forms), occurrence, Occasion::First, now)?),
                });
            }
            Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => {
                signing.form_keys.first().map(|key| Key::Form {
                    key: key.clone(),
                    hash: signing.form_hashes.first().copied().unwrap_or(FormHash::HmacSha256),
                })
            }
            Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => {
                signing.rest_passwords.first().map(|password| Key::Rest {
                    password: password.clone(),
                })
            }
        };
        let key = key.with_context(|| format!("nothing can be signed for {}: no key of it is here", settings.url))?;
        Ok(Self::Gateway {
            settings: Box::new(settings.clone()),
            wrong: gateway(key.wrong()),
            right: gateway(key),
            occurrence: Box::new(occurrence.clone()),
        })
    }

    pub(super) fn render(&self, signature: Signature, now: Timestamp) -> anyhow::Result<Rendered> {
        match self {
            Self::Event { right, wrong, told } => {
                let renderer = if signature == Signature::Wrong { wrong } else { right };
                let at = match signature {
                    Signature::Old => now.checked_sub(SignedDuration::from_hours(1))?,
                    Signature::Again | Signature::Right | Signature::Wrong => now,
                };
                let nth = Nth {
                    attempt: signature.attempt(),
                    ..Nth::FIRST
                };
                Ok(renderer.render(told, nth, at)?)
            }
            Self::Gateway {
                settings,
                right,
                wrong,
                occurrence,
            } => {
                let gateway = if signature == Signature::Wrong { wrong } else { right };
                let body = gateway.tell(occurrence, Occasion::First, now)?;
                Ok(simulator::call(&settings.url, body))
            }
        }
    }
}
