//! What the daemon would send to a shop: events.

use anyhow::{Context, anyhow, ensure};
use jiff::Timestamp;

use super::Call;
use super::options::{Options, Repeats};
use crate::cli::simulator::{Gateway, Key, Occasion, Occurrence, another_secret, stored};
use crate::config::{Machine, Outside, SecretSource};
use crate::deliver::{Nth, Renderer, Settings, Signing};
use crate::domain::{Format, Secret};
use crate::outbox::StoredNotification;
use crate::verify::FormHash;

/// Renders events, by the very code that the daemon renders them with.
pub(super) struct AsDaemon {
    renderer: Renderer,
    /// Notifies the daemon that is simulated.
    gateway: Gateway,
    settings: Settings,
}

impl AsDaemon {
    /// Takes the secret from where the options say; `settings` name the shop and where it is.
    pub(super) fn new(options: &Options, settings: Settings) -> anyhow::Result<Self> {
        ensure!(
            options.repeats().occasion != Some(Occasion::Retry),
            "the daemon answers the gateway's retries itself: a shop never sees one"
        );
        let secret = if options.wrong_signature {
            another_secret()
        } else {
            secret(options)?
        };
        let signing = Signing {
            event_secrets: vec![secret],
            ..Signing::default()
        };
        // Nobody checks its signature here.
        let key = Secret::new("any");
        let gateway = Gateway {
            shop: options.shop.unwrap_or(settings.key.shop),
            mode: options.mode,
            key: match options.format() {
                Format::Form => Key::Form {
                    key,
                    hash: FormHash::HmacSha256,
                },
                Format::Rest => Key::Rest { password: key },
            },
        };
        let settings = Settings { signing, ..settings };
        Ok(Self {
            renderer: Renderer::new(&settings).context("the secret is of no use")?,
            gateway,
            settings,
        })
    }

    /// Who is simulated, in words.
    pub(super) fn description(&self) -> String {
        let Gateway { shop, mode, .. } = self.gateway;
        format!("ipn-router tells a shop in {mode} what shop {shop} was notified of")
    }

    /// Renders every call about one occurrence, in order.
    pub(super) fn calls(&self, occurrence: &Occurrence, repeats: Repeats, now: Timestamp) -> anyhow::Result<Vec<Call>> {
        let call = |occasion, stored: &StoredNotification, attempt| {
            let rendered = self.renderer.render(stored, Nth { attempt, ..Nth::FIRST }, now)?;
            Ok::<_, anyhow::Error>(Call { occasion, rendered })
        };
        let told = |occasion| stored(&self.settings, &self.gateway, occurrence, occasion, now);
        let first = told(Occasion::First)?;
        let mut calls = vec![call("event", &first, 1)?];
        for n in 0..repeats.duplicates {
            calls.push(call("again", &first, n + 2)?);
        }
        if let Some(occasion) = repeats.occasion {
            let resent = StoredNotification {
                resend_of: Some(first.id),
                ..told(occasion)?
            };
            calls.push(call("resend", &resent, 1)?);
        }
        Ok(calls)
    }
}

fn secret(options: &Options) -> anyhow::Result<Secret> {
    match (&options.secret, &options.secret_file) {
        (Some(secret), _) => Ok(Secret::new(secret.as_str())),
        (None, Some(file)) => {
            let found = Machine.secret(&SecretSource::File(file.clone()));
            Ok(Secret::new(found.map_err(|reason| anyhow!(reason))?.bytes))
        }
        (None, None) => Err(anyhow!("no secret is given")),
    }
}
