use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::{Gateway, Occasion, Occurrence};
use crate::deliver::Settings;
use crate::domain::{Circle, KindPattern, LegalEntity, Matter, NotificationId, Secret};
use crate::outbox::StoredNotification;
use crate::route;
use crate::verify::Content;

/// What the daemon would store of a call of the gateway, whatever the company of these settings shares.
///
/// # Errors
///
/// What the gateway cannot say, or the daemon could not read.
pub(in crate::cli) fn stored(
    settings: &Settings,
    gateway: &Gateway,
    occurrence: &Occurrence,
    occasion: Occasion,
    now: Timestamp,
) -> anyhow::Result<StoredNotification> {
    let legal_entity = LegalEntity {
        id: settings.key.legal_entity.clone(),
        name: settings.legal_entity_name.clone(),
        enabled: true,
        share: vec![KindPattern::All],
        wait_for_named_shop: None,
    };
    let circle = Circle {
        legal_entity: Arc::new(legal_entity),
        mode: gateway.mode,
        members: Vec::new(),
    };
    let body = gateway.tell(occurrence, occasion, now)?;
    let content = Content::decode(&body)?;
    let plan = route::plan(&content, gateway.shop, &circle, now, false);
    Ok(StoredNotification {
        id: NotificationId::new(now),
        received_at: now,
        legal_entity: settings.key.legal_entity.clone(),
        shop: gateway.shop,
        mode: gateway.mode,
        format: content.format(),
        matter: Matter {
            kind: plan.kind,
            charge: plan.happening.charge_outcome(),
        },
        event: plan.event,
        resend_of: None,
        headers: String::new(),
        body,
        event_body: OnceLock::new(),
    })
}

/// One that no shop has.
pub(in crate::cli) fn another_secret() -> Secret {
    let key: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    Secret::new(format!("whsec_{}", STANDARD.encode(key)))
}
