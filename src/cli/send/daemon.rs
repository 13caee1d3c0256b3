//! What the daemon would send to a shop: events.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;

use super::Call;
use super::options::{Options, Repeats};
use crate::cli::simulator::{Gateway, Key, Occasion, Occurrence};
use crate::config::{Machine, Outside, SecretSource};
use crate::deliver::{Nth, Renderer, Settings, Signing};
use crate::domain::{Circle, Format, KindPattern, LegalEntity, Matter, NotificationId, Secret};
use crate::outbox::StoredNotification;
use crate::route;
use crate::verify::{Content, FormHash};

/// Renders events, by the very code that the daemon renders them with.
pub(super) struct AsDaemon {
    renderer: Renderer,
    /// Notifies the daemon that is simulated.
    gateway: Gateway,
    circle: Circle,
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
        let legal_entity = LegalEntity {
            id: settings.key.legal_entity.clone(),
            name: settings.legal_entity_name.clone(),
            enabled: true,
            // Whatever the shop's company shares.
            share: vec![KindPattern::All],
            wait_for_named_shop: None,
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
        Ok(Self {
            renderer: Renderer::new(&Settings { signing, ..settings }).context("the secret is of no use")?,
            gateway,
            circle: Circle {
                legal_entity: Arc::new(legal_entity),
                mode: options.mode,
                members: Vec::new(),
            },
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
        let told = |occasion| self.gateway.tell(occurrence, occasion, now);
        let first = self.stored(told(Occasion::First)?, None, now)?;
        let mut calls = vec![call("event", &first, 1)?];
        for n in 0..repeats.duplicates {
            calls.push(call("again", &first, n + 2)?);
        }
        if let Some(occasion) = repeats.occasion {
            let resent = self.stored(told(occasion)?, Some(first.id), now)?;
            calls.push(call("resend", &resent, 1)?);
        }
        Ok(calls)
    }

    /// What the daemon would have stored of a notification.
    fn stored(
        &self,
        body: Bytes,
        resend_of: Option<NotificationId>,
        now: Timestamp,
    ) -> anyhow::Result<StoredNotification> {
        let content = Content::decode(&body)?;
        let plan = route::plan(&content, self.gateway.shop, &self.circle, now, false);
        Ok(StoredNotification {
            id: NotificationId::new(now),
            received_at: now,
            legal_entity: self.circle.legal_entity.id.clone(),
            shop: self.gateway.shop,
            mode: self.circle.mode,
            format: content.format(),
            matter: Matter {
                kind: plan.kind,
                charge: plan.happening.charge_outcome(),
            },
            event: plan.event,
            resend_of,
            headers: String::new(),
            body,
            event_body: OnceLock::new(),
        })
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

/// One that no shop has.
fn another_secret() -> Secret {
    let key: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    Secret::new(format!("whsec_{}", STANDARD.encode(key)))
}
