//! What was written, to the settings of every part.

use std::sync::Arc;

use super::Config;
use super::admin;
use super::reader::Given;
use super::secrets::plain;
use super::shops::{ModeTable, ShopTable};
use super::written::{CircleTables, Written};
use crate::alert::{self, Recipients};
use crate::deliver::{self, Signing};
use crate::domain::{Circle, DestinationKey, Expectation, Format, LegalEntity, LegalEntityId, Member, Rendition};
use crate::verify::{FormHash, ShopKeys};

/// Builds the settings; what was written must be without error.
pub(super) fn config(written: &Written) -> Config {
    let mut circles = Vec::new();
    let mut keys = Vec::new();
    let mut destinations = Vec::new();
    for tables in written.circles() {
        let circle = Arc::new(circle(&tables));
        for (shop, mode) in &tables.members {
            keys.extend(shop_keys(shop, mode, &circle));
            if tables.legal_entity.enabled && shop.enabled {
                destinations.extend(destinations_of(&tables, shop, mode));
            }
        }
        circles.push(circle);
    }
    Config {
        receiver: written.receiver.clone(),
        store: written.store.clone(),
        admin: admin::settings(written.admin.as_ref(), &written.store.path),
        circles,
        keys,
        destinations,
        alert: alert_settings(written),
    }
}

fn circle(tables: &CircleTables<'_>) -> Circle {
    Circle {
        legal_entity: Arc::new(LegalEntity {
            id: tables.id.clone(),
            name: tables.legal_entity.name.clone(),
            enabled: tables.legal_entity.enabled,
            share: tables.legal_entity.share.clone(),
            wait_for_named_shop: tables.legal_entity.wait_for_named_shop.as_ref().map(|at| at.value),
        }),
        mode: tables.mode,
        members: tables.members.iter().map(|(shop, mode)| member(shop, mode)).collect(),
    }
}

fn member(shop: &ShopTable, mode: &ModeTable) -> Member {
    Member {
        shop: shop.id,
        name: shop.name.clone(),
        enabled: shop.enabled,
        form_url: mode.form_url.clone().value(),
        rest_url: mode.rest_url.clone().value(),
        event_url: mode.event_url.clone().value(),
        learns_by_event: shop.learns_by.event,
        learns_by_form: shop.learns_by.form,
        learns_by_rest: shop.learns_by.rest,
        foreign_orders: shop.foreign_orders.value,
        notified_by_form: mode.form_key.is_meant(),
        notified_by_rest: mode.rest_password.is_meant(),
    }
}

/// The keys of a shop, also of one that is switched off: its notifications are still verified, and kept.
fn shop_keys(shop: &ShopTable, mode: &ModeTable, circle: &Arc<Circle>) -> Option<ShopKeys> {
    let signing = signing(mode);
    let has_keys = !signing.form_keys.is_empty() || !signing.rest_passwords.is_empty();
    has_keys.then(|| ShopKeys {
        shop: shop.id,
        circle: circle.clone(),
        form_keys: signing.form_keys,
        form_hashes: signing.form_hashes,
        rest_passwords: signing.rest_passwords,
    })
}

fn signing(mode: &ModeTable) -> Signing {
    Signing {
        form_keys: plain(&mode.form_key),
        form_hashes: mode.form_hash.clone().or(vec![FormHash::HmacSha256]),
        rest_passwords: plain(&mode.rest_password),
        event_secrets: plain(&mode.event_secret),
    }
}

fn destinations_of(tables: &CircleTables<'_>, shop: &ShopTable, mode: &ModeTable) -> Vec<deliver::Settings> {
    let company = &tables.legal_entity.delivery;
    Rendition::ALL
        .into_iter()
        .filter_map(|rendition| {
            let url = match rendition {
                Rendition::Event => mode.event_url.clone(),
                Rendition::AsReceived(format) => gateway_url(mode, format),
                Rendition::ReSigned(format) if shop.learns_by.format(format) => gateway_url(mode, format),
                Rendition::ReSigned(_) => Given::Absent,
            };
            Some(deliver::Settings {
                key: DestinationKey {
                    legal_entity: tables.id.clone(),
                    shop: shop.id,
                    mode: tables.mode,
                    rendition,
                },
                shop_name: shop.name.clone(),
                legal_entity_name: tables.legal_entity.name.clone(),
                url: url.value()?,
                signing: signing(mode),
                retry: company.retry(&shop.delivery),
                concurrency: company.concurrency(&shop.delivery),
                rate: company.rate(&shop.delivery),
                timeouts: company.timeouts(&shop.delivery),
                answer_check: shop.answer_check,
                tells_attempts: company.tells_attempts(&shop.delivery),
                allow_private: shop.allow_private,
                ca: shop.ca.clone(),
                client_certificate: shop.client_certificate.clone(),
            })
        })
        .collect()
}

/// Its URL for a format, if the shop's key of that format is here: without it, nothing is received for the shop or
/// signed for it.
fn gateway_url(mode: &ModeTable, format: Format) -> Given<url::Url> {
    if mode.key(format).is_meant() {
        mode.gateway_url(format).clone()
    } else {
        Given::Absent
    }
}

fn alert_settings(written: &Written) -> alert::Settings {
    let mail = written.mail.as_ref();
    alert::Settings {
        mail: mail.and_then(|mail| mail.settings()),
        operators: mail
            .and_then(|mail| mail.operators.clone())
            .map_or_else(Vec::new, |operators| operators.value),
        recipients: written
            .legal_entities
            .keys()
            .map(|id| (id.clone(), recipients(written, id)))
            .collect(),
        expected: written
            .legal_entities
            .keys()
            .filter_map(|id| expectation(written, id))
            .collect(),
        page: admin::settings(written.admin.as_ref(), &written.store.path).public_url,
        config_file: None,
    }
}

/// Of a company that is switched off nothing is expected.
fn expectation(written: &Written, id: &LegalEntityId) -> Option<Expectation> {
    let legal_entity = &written.legal_entities[id];
    let every = legal_entity.expect_every.clone().value()?;
    let mode = written.heard_mode(id).filter(|_| legal_entity.enabled)?;
    Some(Expectation {
        legal_entity: id.clone(),
        mode,
        every,
    })
}

fn recipients(written: &Written, id: &LegalEntityId) -> Recipients {
    Recipients {
        name: written.legal_entities[id].name.clone(),
        language: written.legal_entities[id].language,
        company: written.legal_entities[id].failure_emails.clone().or(Vec::new()),
        shops: written
            .shops_of(id)
            .filter_map(|shop| Some((shop.id, shop.extra_failure_emails.clone().value()?)))
            .collect(),
    }
}
