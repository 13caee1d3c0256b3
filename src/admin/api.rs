use std::path::PathBuf;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::Verdict;
use super::socket::Peer;

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

/// Who asks for something, for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// A user of this machine, by number.
    Command { user: u32 },
    /// `SIGHUP`, as `systemctl reload` sends it.
    Signal,
    /// `reload = "watch"`: a file has changed.
    Watch,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command { user } => write!(f, "user {user}"),
            Self::Signal => f.write_str("SIGHUP"),
            Self::Watch => f.write_str("a file that has changed"),
        }
    }
}

/// A question to the daemon.
#[derive(Debug)]
pub enum Asked {
    Reload(Reload, Who, oneshot::Sender<Verdict>),
}

pub(super) fn router(questions: mpsc::Sender<Asked>) -> Router {
    Router::new().route(RELOAD, post(reload)).with_state(questions)
}

async fn reload(
    State(questions): State<mpsc::Sender<Asked>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wish): Json<Reload>,
) -> Result<Json<Verdict>, StatusCode> {
    let (answer, answered) = oneshot::channel();
    let who = Who::Command { user: peer.user };
    let asked = questions.send(Asked::Reload(wish, who, answer)).await;
    // The daemon ends.
    asked.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    answered.await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
