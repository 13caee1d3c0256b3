use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use crate::outbox::OutboxError;

/// Why something was not answered, or not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
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

    /// The question cannot be read.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: why.into(),
        }
    }

    /// The daemon ends.
    pub(super) fn stopping() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "the daemon stops".into(),
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

macro_rules! as_refusal {
    ($($rejection:ty),+) => {$(
        impl From<$rejection> for Refusal {
            fn from(rejection: $rejection) -> Self {
                Self {
                    // That something cannot be read is one answer, whatever the reason.
                    status: match rejection.status() {
                        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                        status => status,
                    },
                    error: rejection.body_text(),
                }
            }
        }
    )+};
}

as_refusal!(JsonRejection, PathRejection, QueryRejection);

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

/// What any route may answer; each adds what it may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described: the routes answer with a `Refusal`")]
pub(super) enum Refusals {
    /// The question cannot be read.
    #[response(status = BAD_REQUEST)]
    Unreadable(#[to_schema] Refusal),
    /// The admin token is missing, or another one.
    #[response(status = UNAUTHORIZED, content_type = "text/plain; charset=utf-8")]
    NoToken(String),
    /// Too many wrong tokens were shown at once.
    #[response(status = TOO_MANY_REQUESTS, content_type = "text/plain; charset=utf-8")]
    TooManyWrongTokens(String),
    /// The question is larger than any that makes sense.
    #[response(status = PAYLOAD_TOO_LARGE)]
    TooLarge(#[to_schema] Refusal),
    /// The question is no JSON.
    #[response(status = UNSUPPORTED_MEDIA_TYPE)]
    NoJson(#[to_schema] Refusal),
    /// The store has failed.
    #[response(status = INTERNAL_SERVER_ERROR)]
    Failed(#[to_schema] Refusal),
    /// The store is busy or full, or the daemon stops.
    #[response(status = SERVICE_UNAVAILABLE)]
    Unavailable(#[to_schema] Refusal),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
