use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Parts, Who};
use crate::admin::{Verdict, VerdictKind};

/// Where a reload is asked for.
pub const RELOAD: &str = "/v1/reload";

/// A wish to have the configuration read again.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reload {
    /// Also if changes are dangerous.
    #[serde(default)]
    pub confirm: bool,
    /// Only say what would be.
    #[serde(default)]
    pub dry_run: bool,
    /// Say it of this file, beside the configuration's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<PathBuf>,
}

/// A reload that changed nothing, although something was to change.
#[derive(Clone, Debug, Eq, PartialEq)]
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

pub(super) async fn reload(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Json(wish): Json<Reload>,
) -> Result<Json<Verdict>, StatusCode> {
    let (answer, answered) = oneshot::channel();
    let asked = parts.questions.send(Asked::Reload(wish, who, answer)).await;
    // The daemon ends.
    asked.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    answered.await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
