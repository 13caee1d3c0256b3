#![expect(
    unused_qualifications,
    reason = "utoipa's macros write them for what IntoParams describes"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{InQuery, Parts, Refusal, Refusals};
use crate::outbox::{Cursor, ItemPage, Wanted};

/// Notifications and their deliveries.
pub const NOTIFICATIONS: &str = "/v1/notifications";

/// Lines of one page, unless fewer are asked for.
const MOST: usize = 200;

/// Which page of the list is wanted; what is to stand in it says [`Wanted`], in the same query string.
#[derive(Clone, Debug, Default, Deserialize, Eq, IntoParams, PartialEq, Serialize)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cursor>,
    /// At most 200 lines come, whatever is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_u32)]
    pub limit: Option<u32>,
}

/// One page of notifications and their deliveries.
#[utoipa::path(get, path = "/v1/notifications", params(Wanted, Paging), responses(
    (status = OK, body = ItemPage),
    Refusals,
))]
pub(super) async fn list(
    State(parts): State<Arc<Parts>>,
    InQuery(wanted): InQuery<Wanted>,
    InQuery(paging): InQuery<Paging>,
) -> Result<Json<ItemPage>, Refusal> {
    let limit = paging.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(MOST).clamp(1, MOST);
    Ok(Json(parts.outbox.list(wanted, paging.from, limit).await?))
}
