use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Parts, Refusal, Who};
use crate::outbox;

/// After an incident's address: somebody looks after it.
pub const ACKNOWLEDGE: &str = "acknowledge";

/// For how long nobody is to be reminded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AcknowledgeWish {
    /// `None`: until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// That it is noted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Acknowledged {
    pub incident: i64,
    /// This one, and those that are told together with it.
    pub incidents: usize,
    pub until: Option<Timestamp>,
}

pub(super) async fn acknowledge(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Path(incident): Path<i64>,
    Json(wish): Json<AcknowledgeWish>,
) -> Result<Json<Acknowledged>, Refusal> {
    let (by, until) = (who.to_string(), wish.until);
    let noted = parts.outbox.acknowledge(incident, by, until, parts.clock.now()).await?;
    match noted {
        outbox::Acknowledged::Noted(incidents) => {
            tracing::info!(incident, "{who}: incident {incident} is acknowledged");
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
