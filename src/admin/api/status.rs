use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::show::IncidentLine;
use super::{Parts, Refusal, Refusals, RefusedReload};
use crate::alert::MailState;
use crate::domain::{Circle, DestinationKey, LegalEntityId, Mode};
use crate::outbox::{DestinationLine, DestinationLoad, OutboxError, Space, Totals, space};

/// How everything stands.
pub const STATUS: &str = "/v1/status";

/// How everything stands, on one screen.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub now: Timestamp,
    /// When the daemon started.
    pub since: Timestamp,
    /// The hash of the configuration that runs.
    pub configuration: String,
    /// Parts of the configuration that the next restart changes.
    pub waits_for_restart: Vec<String>,
    /// The last reload, if it was refused.
    pub refused_reload: Option<RefusedReload>,
    /// Where the gateway's calls arrive.
    #[schema(value_type = String)]
    pub listen: SocketAddr,
    /// `None`: it cannot be asked.
    pub space: Option<Space>,
    pub totals: Totals,
    pub mail: MailLine,
    pub destinations: Vec<DestinationStatus>,
    /// Those that are open.
    pub incidents: Vec<IncidentLine>,
    pub heard: Vec<HeardLine>,
}

/// How one destination stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DestinationStatus {
    #[serde(flatten)]
    pub line: DestinationLine,
    /// As configured; none, if it no longer is.
    pub shop_name: Option<String>,
    #[serde(flatten)]
    pub load: DestinationLoad,
}

/// How the sending of e-mails goes; `totals` has how many wait, and how many were given up.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MailLine {
    /// When the mail server last took one, since the start.
    pub last_sent: Option<Timestamp>,
    /// Since when nothing can be sent to anybody.
    pub failing_since: Option<Timestamp>,
    /// The newest refusal of any e-mail.
    pub last_refusal: Option<MailRefusal>,
}

/// An e-mail that the mail server did not take.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MailRefusal {
    pub at: Timestamp,
    /// What the server said, without addresses.
    pub why: String,
}

impl From<MailState> for MailLine {
    fn from(state: MailState) -> Self {
        Self {
            last_sent: state.last_sent,
            failing_since: state.failing_since,
            last_refusal: state.last_error.map(|(at, why)| MailRefusal { at, why }),
        }
    }
}

/// When the gateway was last heard for a company.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HeardLine {
    pub legal_entity: LegalEntityId,
    pub mode: Mode,
    pub at: Timestamp,
}

/// How everything stands.
#[utoipa::path(get, path = "/v1/status", responses((status = OK, body = Status), Refusals))]
pub(super) async fn status(State(parts): State<Arc<Parts>>) -> Result<Json<Status>, Refusal> {
    Ok(Json(look(&parts).await?))
}

/// Looks at everything.
pub(in crate::admin) async fn look(parts: &Parts) -> Result<Status, OutboxError> {
    let outbox = &parts.outbox;
    let mut destinations = Vec::new();
    // One question each: others are answered in between.
    for (id, line) in outbox.destinations().await? {
        let load = outbox.load(id).await?;
        let shop_name = parts.name_of(&line.key);
        destinations.push(DestinationStatus { line, shop_name, load });
    }
    let incidents = outbox.open_incidents().await?.iter().map(IncidentLine::from).collect();
    let heard = outbox.last_heard().await?.into_iter();
    let running = parts.running.borrow().clone();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        now: parts.clock.now(),
        since: running.since,
        configuration: running.configuration,
        waits_for_restart: running.waits_for_restart.into_iter().map(str::to_owned).collect(),
        refused_reload: running.refused,
        listen: running.listen,
        space: space(&parts.store).ok(),
        totals: outbox.totals().await?,
        mail: parts.alert.mail_state().into(),
        destinations,
        incidents,
        heard: heard
            .map(|(legal_entity, mode, at)| HeardLine { legal_entity, mode, at })
            .collect(),
    })
}

impl Parts {
    /// The name of a destination's shop; none, if it is not configured any more.
    pub(in crate::admin) fn name_of(&self, key: &DestinationKey) -> Option<String> {
        let circles = self.circles.borrow();
        let of_it = |circle: &&Arc<Circle>| circle.legal_entity.id == key.legal_entity && circle.mode == key.mode;
        let member = circles.iter().find(of_it)?.member(key.shop)?;
        Some(member.name.clone())
    }
}
