//! Where a token's notifications are, and why a shop has not got them.

#![expect(
    unused_qualifications,
    reason = "utoipa's macros write them for what IntoParams describes"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::show::ShownNotification;
use super::why::Why;
use super::{InQuery, Parts, Refusal, Refusals, ToldDelivery};
use crate::domain::{Circle, NotificationId, ShopId, shown_token};
use crate::outbox::{NotificationLine, OutboxError};
use crate::route::{Decision, Standing, plan, ways};
use crate::verify::Content;

/// Where a token's notifications are.
pub const WHERE: &str = "/v1/where";

/// The newest notifications of a token that are looked at.
const NEWEST: u32 = 20;

/// What is looked for.
#[derive(Clone, Debug, Deserialize, Eq, IntoParams, PartialEq, Serialize)]
#[into_params(parameter_in = Query)]
pub struct WhereQuery {
    pub token: String,
    pub shop: ShopId,
}

/// What a shop has got of a token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Whereabouts {
    /// Masked.
    pub token: String,
    pub shop: ShopId,
    /// The newest first. Empty: nothing about this token was ever received here.
    pub notifications: Vec<FoundNotification>,
}

/// One of its notifications, as far as it concerns the shop.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct FoundNotification {
    #[serde(flatten)]
    pub notification: NotificationLine,
    /// The newest for each of the shop's URLs.
    pub deliveries: Vec<ToldDelivery>,
    /// Why there is none.
    pub why_none: Option<Why>,
}

/// What a shop has got of a token, and why not more.
#[utoipa::path(get, path = "/v1/where", params(WhereQuery), responses((status = OK, body = Whereabouts), Refusals))]
pub(super) async fn find(
    State(parts): State<Arc<Parts>>,
    InQuery(query): InQuery<WhereQuery>,
) -> Result<Json<Whereabouts>, Refusal> {
    let mut notifications = Vec::new();
    for id in parts.outbox.about_token(query.token.clone(), NEWEST).await? {
        notifications.extend(parts.found(id, query.shop).await?);
    }
    Ok(Json(Whereabouts {
        token: shown_token(&query.token),
        shop: query.shop,
        notifications,
    }))
}

impl Parts {
    async fn found(&self, id: NotificationId, shop: ShopId) -> Result<Option<FoundNotification>, OutboxError> {
        let Some(shown) = self.outbox.find(id).await? else {
            return Ok(None);
        };
        let shown = ShownNotification::new(shown, self.clock.now());
        // One that was replayed is told by its replay.
        let newest: BTreeMap<_, _> = shown
            .deliveries
            .into_iter()
            .filter(|told| told.delivery.line.destination.shop == shop)
            .map(|told| (told.delivery.line.destination.clone(), told))
            .collect();
        let why_none = match newest.is_empty() {
            true => Some(self.why_none(&shown.notification, shown.has_body, shop).await),
            false => None,
        };
        Ok(Some(FoundNotification {
            notification: shown.notification,
            deliveries: newest.into_values().collect(),
            why_none,
        }))
    }

    /// Why a shop has no delivery of it, by the configuration of now.
    pub(in crate::admin) async fn why_none(
        &self,
        notification: &NotificationLine,
        has_body: bool,
        shop: ShopId,
    ) -> Why {
        let id = notification.id;
        match notification.standing {
            Standing::Parked | Standing::Quarantined if !has_body => {
                return Why::plain("It waited for a release, and its body was deleted after its time.");
            }
            Standing::Parked => {
                let why = "Parked: no shop that may get it had a URL for it. Once one has:";
                return Why::with(why, format!("ipn-router release {id}"));
            }
            Standing::Quarantined => {
                let why = "In quarantine: it is signed, but perhaps no notification. If it is one:";
                return Why::with(why, format!("ipn-router release {id}"));
            }
            Standing::Routed => {}
        }
        let circles = Arc::clone(&self.circles.borrow());
        let of_it = |circle: &&Arc<Circle>| {
            circle.legal_entity.id == notification.legal_entity && circle.mode == notification.mode
        };
        let Some(circle) = circles.iter().find(of_it) else {
            return Why::plain("Its company is not in the configuration in this mode.");
        };
        if circle.member(shop).is_none() {
            let name = &circle.legal_entity.name;
            return Why::plain(format!(
                "Shop {shop} is no shop of {name} in this mode: a notification never leaves its company."
            ));
        }
        if !has_body {
            return Why::plain("There was no delivery for it, and its body was deleted after its time.");
        }
        let content = match self.outbox.notification(notification.key).await {
            Ok(stored) => Content::decode(&stored.body).ok(),
            Err(_) => None,
        };
        match content {
            Some(content) => by_plan(&content, notification, circle, shop),
            None => Why::plain("There was no delivery for it, and it cannot be read any more."),
        }
    }
}

/// By what would become of it now.
fn by_plan(content: &Content, notification: &NotificationLine, circle: &Circle, shop: ShopId) -> Why {
    let named = notification.named_shop;
    let plan = plan(content, named, circle, notification.received_at, false);
    let ways: Vec<_> = ways(&plan.happening, plan.kind, named, circle).collect();
    let decided = |decision| ways.iter().any(|way| way.shop == shop && way.decision == decision);
    let mode = circle.mode.word().to_ascii_lowercase();
    if decided(Decision::Sent) || decided(Decision::Waits) {
        let why = "The configuration would send it now, but did not when it came, or another notification has told \
                   the same. To see whether it is missing:";
        return Why::with(
            why,
            format!("ipn-router backfill --shop {shop} --mode {mode} --dry-run"),
        );
    }
    if decided(Decision::Withheld) {
        return Why::plain(
            "Withheld: it carries an order or a charge, which the shop's plugin could take for its own. An event_url \
             gets it as an event.",
        );
    }
    if decided(Decision::NotShared) {
        let kind = plan.kind;
        return Why::plain(format!(
            "Not for it: {kind} concerns shop {named} alone, for this kind is not shared."
        ));
    }
    Why::plain("The shop has no URL for it, or its learns_by leaves that way out.")
}
