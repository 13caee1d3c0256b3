//! The description of this API, made of the routes themselves.

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder, SecurityRequirement};

use super::{Refusals, routes};

/// The title, and that the token of `[admin]` opens everything.
pub(super) fn head() -> OpenApi {
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let mut components = Components::new();
    components.add_security_scheme("token", token);
    OpenApiBuilder::new()
        .info(Info::new("ipn-router", env!("CARGO_PKG_VERSION")))
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", [""; 0])]))
        .build()
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = OK, body = serde_json::Value), Refusals))]
pub(super) async fn describe() -> Json<OpenApi> {
    Json(routes().into_openapi())
}
