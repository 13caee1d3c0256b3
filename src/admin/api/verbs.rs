use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Body, InPath, Parts, Refusal, Refusals, Who};
use crate::domain::Verb;
use crate::outbox::{VerbId, VerbResult, VerbState};

/// What operators ask for.
pub const VERBS: &str = "/v1/verbs";

/// A wish that something be done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct VerbWish {
    #[serde(flatten)]
    pub verb: Verb,
    /// Only say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// What follows from a wish.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskedVerb {
    /// It is written down, and will be done: ask how far it has come.
    Asked(VerbId),
    /// This would come of it.
    Foreseen(VerbResult),
}

/// A verb, who asked for it, and how far it has come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct VerbStatus {
    pub id: VerbId,
    pub asked_at: Timestamp,
    pub asked_by: String,
    pub asked: Verb,
    pub standing: VerbStanding,
    /// Rows that are still to be looked at.
    pub left: u64,
    /// What came of it so far.
    pub result: VerbResult,
}

/// How far a verb has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerbStanding {
    Asked,
    Done,
    UnderWay,
}

/// Has something done, or says what would come of it.
#[utoipa::path(post, path = "/v1/verbs", request_body = VerbWish, responses((status = OK, body = AskedVerb), Refusals))]
pub(super) async fn ask(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Body(wish): Body<Value>,
) -> Result<Json<AskedVerb>, Refusal> {
    // Serde would take the number of a variant for its name.
    if !wish["verb"].is_string() {
        return Err(Refusal::unreadable("verb: not a word"));
    }
    let wish: VerbWish = serde_json::from_value(wish).map_err(|error| Refusal::unreadable(error.to_string()))?;
    if wish.dry_run {
        return Ok(Json(AskedVerb::Foreseen(parts.verbs.foresee(&wish.verb).await?)));
    }
    let by = who.to_string();
    let id = parts.outbox.ask_for(wish.verb, &by, parts.clock.now()).await?;
    Ok(Json(AskedVerb::Asked(id)))
}

/// How far something has come that was asked for.
#[utoipa::path(get, path = "/v1/verbs/{id}", params(("id" = VerbId, Path)), responses(
    (status = OK, body = VerbStatus),
    (status = NOT_FOUND, description = "There is none.", body = Refusal),
    Refusals,
))]
pub(super) async fn standing(
    State(parts): State<Arc<Parts>>,
    InPath(id): InPath<VerbId>,
) -> Result<Json<VerbStatus>, Refusal> {
    let row = parts.outbox.verb(id).await?;
    let (standing, left, result) = match row.state {
        VerbState::Asked => (VerbStanding::Asked, 0, VerbResult::default()),
        VerbState::UnderWay(progress) => (VerbStanding::UnderWay, progress.left(), progress.result),
        VerbState::Done { result, .. } => (VerbStanding::Done, 0, result),
    };
    Ok(Json(VerbStatus {
        id,
        asked_at: row.asked_at,
        asked_by: row.asked_by,
        asked: row.verb,
        standing,
        left,
        result,
    }))
}
