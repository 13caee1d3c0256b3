//! The description of this API, made of the routes themselves.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder, RefOr, SecurityRequirement};

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

/// Of these the one key says which it is: with another beside it they cannot be read, which `utoipa` does not say.
const ONE_KEY: [&str; 4] = ["AskedVerb", "Person", "PersonLine", "Scope"];

/// The description of every route.
fn description() -> OpenApi {
    let mut described = routes().into_openapi();
    let schemas = described
        .components
        .iter_mut()
        .flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| ONE_KEY.contains(&name.as_str())) {
        let RefOr::T(Schema::OneOf(one_of)) = schema else {
            continue;
        };
        for variant in &mut one_of.items {
            if let RefOr::T(Schema::Object(object)) = variant {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
    described
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = OK, body = serde_json::Value), Refusals))]
pub(super) async fn describe() -> impl IntoResponse {
    // Made once: it cannot change while this program runs.
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let text = serde_json::to_vec(&description());
        text.expect("all its keys are strings").into()
    });
    ([(CONTENT_TYPE, "application/json")], TEXT.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_description() {
        // `routes!` takes no handler without a description, and no description without a handler.
        let source = include_str!("mod.rs");
        assert!(
            !source.contains(".route("),
            "a route that the description does not know"
        );
        let paths = description().paths.paths;
        assert_eq!(
            paths.len(),
            source.matches(".routes(routes!(").count(),
            "{:?}",
            paths.keys()
        );
        for path in [
            crate::admin::EXPORT,
            crate::admin::FORGET,
            crate::admin::INCIDENTS,
            crate::admin::NOTIFICATIONS,
            crate::admin::RELOAD,
            crate::admin::STATUS,
            crate::admin::TAIL,
            crate::admin::VERBS,
            crate::admin::WHERE,
        ] {
            assert!(paths.keys().any(|described| described.starts_with(path)), "{path}");
        }
    }

    #[test]
    fn what_one_key_names_has_no_other() {
        let json = serde_json::to_value(description()).unwrap();
        for name in ONE_KEY {
            for variant in json["components"]["schemas"][name]["oneOf"].as_array().unwrap() {
                assert_eq!(variant["additionalProperties"], false, "{name}: {variant}");
            }
        }
    }
}
