use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::why::{Why, why};
use super::{InPath, Parts, Refusal, Refusals};
use crate::domain::{DestinationKey, NotificationId, Symptom};
use crate::outbox::{
    Acknowledgement, ConfigurationLine, DestinationLine, DestinationLoad, IncidentRow, NotificationLine, Shown,
    ShownDelivery,
};

/// Incidents, by their numbers.
pub const INCIDENTS: &str = "/v1/incidents";

/// One notification, with everything that became of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ShownNotification {
    #[serde(flatten)]
    pub notification: NotificationLine,
    /// The first notification of the same happening, if this is a manual resend.
    pub resend_of: Option<NotificationId>,
    /// Without a body it cannot be delivered again.
    pub has_body: bool,
    pub configuration: Option<ConfigurationLine>,
    pub deliveries: Vec<ToldDelivery>,
}

/// A delivery, and in words why it stands where it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ToldDelivery {
    #[serde(flatten)]
    pub delivery: ShownDelivery,
    #[serde(flatten)]
    pub why: Why,
}

impl ShownNotification {
    pub(in crate::admin) fn new(shown: Shown, now: Timestamp) -> Self {
        let Shown {
            notification,
            resend_of,
            has_body,
            configuration,
            deliveries,
        } = shown;
        let told = deliveries.into_iter().map(|delivery| ToldDelivery {
            why: why(&notification, &delivery, has_body, now),
            delivery,
        });
        Self {
            deliveries: told.collect(),
            notification,
            resend_of,
            has_body,
            configuration,
        }
    }
}

/// An incident, without what its e-mails remember.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct IncidentLine {
    pub incident: i64,
    #[serde(flatten)]
    pub destination: DestinationKey,
    pub opened_at: Timestamp,
    pub recovered_at: Option<Timestamp>,
    pub failures: u64,
    pub given_up: u64,
    pub delivered: u64,
    pub last_failure_at: Timestamp,
    /// In words.
    pub failing: String,
    pub detail: String,
    /// The beginning of the last answer that was a failure, masked.
    pub answer: String,
    /// Who looks after it, if anybody has said so.
    pub acknowledged: Option<Acknowledgement>,
}

impl From<&IncidentRow> for IncidentLine {
    fn from(row: &IncidentRow) -> Self {
        let incident = &row.incident;
        let last = &incident.last_failure;
        Self {
            incident: row.id,
            destination: row.destination.clone(),
            opened_at: incident.opened_at,
            recovered_at: incident.recovered_at,
            failures: incident.failures,
            given_up: incident.given_up.count,
            delivered: incident.delivered,
            last_failure_at: last.at,
            failing: match last.symptom {
                Symptom::Failed(cause) => cause.to_string(),
                Symptom::KoSignature => "the shop's plugin refuses the signature".into(),
            },
            detail: last.detail.clone(),
            answer: last.answer.clone(),
            acknowledged: row.acknowledged.clone(),
        }
    }
}

/// One incident, with what waits for its destination.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ShownIncident {
    #[serde(flatten)]
    pub line: IncidentLine,
    /// Since when its destination is; while it is down, one delivery is tried once a minute.
    pub paused_since: Option<Timestamp>,
    pub down_since: Option<Timestamp>,
    pub parked_since: Option<Timestamp>,
    pub load: DestinationLoad,
}

/// One notification, with everything that became of it.
#[utoipa::path(get, path = "/v1/notifications/{id}", params(("id" = NotificationId, Path)), responses(
    (status = OK, body = ShownNotification),
    (status = NOT_FOUND, description = "There is none.", body = Refusal),
    Refusals,
))]
pub(super) async fn notification(
    State(parts): State<Arc<Parts>>,
    InPath(id): InPath<NotificationId>,
) -> Result<Json<ShownNotification>, Refusal> {
    match parts.outbox.find(id).await? {
        Some(shown) => Ok(Json(ShownNotification::new(shown, parts.clock.now()))),
        None => Err(Refusal::not_found(format!("there is no notification {id}"))),
    }
}

/// One incident, with what waits for its destination.
#[utoipa::path(get, path = "/v1/incidents/{id}", params(
    ("id" = i64, Path, description = "The incident's number.", minimum = -9_223_372_036_854_775_808_i64, maximum = 9_223_372_036_854_775_807_i64),
), responses(
    (status = OK, body = ShownIncident),
    (status = NOT_FOUND, description = "There is none.", body = Refusal),
    Refusals,
))]
pub(super) async fn incident(
    State(parts): State<Arc<Parts>>,
    InPath(id): InPath<i64>,
) -> Result<Json<ShownIncident>, Refusal> {
    let row = parts.outbox.incident(id).await;
    let row = row.map_err(|_| Refusal::not_found(format!("there is no incident {id}")))?;
    let of_all = parts.outbox.destinations().await?;
    let destination = of_all.iter().find(|(_, line)| line.key == row.destination);
    let load = match destination {
        Some((id, _)) => parts.outbox.load(*id).await?,
        None => DestinationLoad::default(),
    };
    let since = |read: fn(&DestinationLine) -> Option<Timestamp>| destination.and_then(|(_, line)| read(line));
    Ok(Json(ShownIncident {
        line: IncidentLine::from(&row),
        paused_since: since(|line| line.paused_since),
        down_since: since(|line| line.down_since),
        parked_since: since(|line| line.parked_since),
        load,
    }))
}
