use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::{Body, Parts, Refusal, Refusals, Who};
use crate::admin::{Verdict, VerdictKind};

/// Where a reload is asked for.
pub const RELOAD: &str = "/v1/reload";

/// A wish to have the configuration read again.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Reload {
    /// Also if changes are dangerous.
    #[serde(default)]
    pub confirm: bool,
    /// Only say what would be.
    #[serde(default)]
    pub dry_run: bool,
    /// Say it of this file, beside the configuration's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub instead: Option<PathBuf>,
}

/// A reload that changed nothing, although something was to change.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct RefusedReload {
    pub at: Timestamp,
    /// Who has asked for it.
    pub by: String,
    pub verdict: Verdict,
}

impl RefusedReload {
    /// Whether it only wants a yes.
    pub fn wants_confirmation(&self) -> bool {
        self.verdict.verdict == VerdictKind::NeedsConfirmation
    }
}

/// A question to the daemon.
#[derive(Debug)]
pub enum Asked {
    Reload(Reload, Who, oneshot::Sender<Verdict>),
}

/// Reads the configuration again, or says what would be.
#[utoipa::path(post, path = "/v1/reload", request_body = Reload, responses((status = OK, body = Verdict), Refusals))]
pub(super) async fn reload(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Body(wish): Body<Reload>,
) -> Result<Json<Verdict>, Refusal> {
    let (answer, answered) = oneshot::channel();
    let asked = parts.questions.send(Asked::Reload(wish, who, answer)).await;
    asked.map_err(|_| Refusal::stopping())?;
    answered.await.map(Json).map_err(|_| Refusal::stopping())
}
