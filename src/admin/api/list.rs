use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::{Parts, Refusal};
use crate::outbox::{Cursor, ItemPage, Wanted};

/// Notifications and their deliveries.
pub const NOTIFICATIONS: &str = "/v1/notifications";

/// Lines of one page, unless fewer are asked for.
const MOST: usize = 200;

/// Which page of the list is wanted; what is to stand in it says [`Wanted`], in the same query string.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Paging {
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cursor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

pub(super) async fn list(
    State(parts): State<Arc<Parts>>,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<ItemPage>, Refusal> {
    let limit = paging.limit.unwrap_or(MOST).clamp(1, MOST);
    Ok(Json(parts.outbox.list(wanted, paging.from, limit).await?))
}
