use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::visitor::Visitor;
use super::when::When;
use super::{Frame, show};
use crate::admin::listener::Inside;
use crate::receive::BodyShape;

#[derive(Template)]
#[template(path = "refusals.html", config = ".askama.toml")]
struct RefusalsPage {
    frame: Frame,
    refusals: Vec<Refused>,
}

struct Refused {
    when: When,
    client: String,
    cause: &'static str,
    hint: String,
    body: Option<Body>,
}

/// What a body looked like; nobody keeps what it said.
struct Body {
    size: usize,
    sha256: String,
    fields: Vec<String>,
}

impl From<BodyShape> for Body {
    fn from(shape: BodyShape) -> Self {
        let fields = shape.fields.into_iter().map(|(name, size)| {
            let name = name.unwrap_or_else(|| "a field that is not the gateway's".to_owned());
            format!("{name}: {size} bytes")
        });
        Self {
            size: shape.size,
            sha256: shape.sha256,
            fields: fields.collect(),
        }
    }
}

/// Why calls to the receiver were refused, the newest first.
pub(super) async fn refusals(State(inside): State<Arc<Inside>>, visitor: Visitor) -> Response {
    let now = inside.parts.clock.now();
    let refusals = inside.parts.intake.refusals().into_iter().map(|refusal| Refused {
        when: When::new(refusal.at, now),
        client: refusal.client.to_string(),
        cause: refusal.cause,
        hint: refusal.hint,
        body: refusal.body.map(Body::from),
    });
    let page = RefusalsPage {
        frame: visitor.frame("refusals"),
        refusals: refusals.collect(),
    };
    show(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_tells_sizes_and_hides_names_that_are_none() {
        let body = Body::from(BodyShape {
            sha256: "ab".into(),
            size: 20,
            fields: vec![(Some("vads_hash".into()), 6), (None, 3)],
        });
        assert_eq!(
            body.fields,
            ["vads_hash: 6 bytes", "a field that is not the gateway's: 3 bytes"]
        );
    }
}
