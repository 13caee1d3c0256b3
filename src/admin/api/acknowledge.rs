use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, InPath, Parts, Refusal, Refusals, Who};
use crate::outbox;

/// After an incident's address: somebody looks after it.
pub const ACKNOWLEDGE: &str = "acknowledge";

/// For how long nobody is to be reminded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct AcknowledgeWish {
    /// `None`: until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// That it is noted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Acknowledged {
    pub incident: i64,
    /// This one, and those that are told together with it.
    pub incidents: usize,
    pub until: Option<Timestamp>,
}

/// Says that somebody looks after an incident: nobody is reminded.
#[utoipa::path(post, path = "/v1/incidents/{id}/acknowledge", params(
    ("id" = i64, Path, description = "The incident's number.", minimum = -9_223_372_036_854_775_808_i64, maximum = 9_223_372_036_854_775_807_i64),
), request_body = AcknowledgeWish, responses(
    (status = OK, body = Acknowledged),
    (status = CONFLICT, description = "It is over already.", body = Refusal),
    (status = NOT_FOUND, description = "There is none.", body = Refusal),
    Refusals,
))]
pub(super) async fn acknowledge(
    State(parts): State<Arc<Parts>>,
    who: Who,
    InPath(incident): InPath<i64>,
    Body(wish): Body<AcknowledgeWish>,
) -> Result<Json<Acknowledged>, Refusal> {
    let (by, until) = (who.to_string(), wish.until);
    let noted = parts.outbox.acknowledge(incident, by, until, parts.clock.now()).await?;
    match noted {
        outbox::Acknowledged::Noted(incidents) => {
            tracing::info!(incident.id = incident, "{who}: incident {incident} is acknowledged");
            Ok(Json(Acknowledged {
                incident,
                incidents,
                until,
            }))
        }
        outbox::Acknowledged::NotOpen => Err(Refusal::conflict(format!("incident {incident} is over already"))),
        outbox::Acknowledged::Unknown => Err(Refusal::not_found(format!("there is no incident {incident}"))),
    }
}
