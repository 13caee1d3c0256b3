use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::outbox::OutboxError;

/// Why something was not answered, or not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    /// In words.
    pub error: String,
}

impl Refusal {
    /// As it stands, that cannot be done.
    pub(super) fn conflict(why: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            error: why.into(),
        }
    }

    /// There is no such thing.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            error: what.into(),
        }
    }
}

impl From<OutboxError> for Refusal {
    fn from(error: OutboxError) -> Self {
        let status = match error {
            OutboxError::Busy | OutboxError::Full | OutboxError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            OutboxError::Unreadable(_) => StatusCode::NOT_FOUND,
            OutboxError::Failed(_) | OutboxError::LeaseLost => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            error: error.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
