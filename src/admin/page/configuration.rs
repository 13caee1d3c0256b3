use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::visitor::Visitor;
use super::when::When;
use super::{Frame, Unavailable, show};
use crate::admin::api::RefusedReload;
use crate::admin::listener::Inside;
use crate::outbox::KeptConfiguration;

#[derive(Template)]
#[template(path = "configuration.html", config = ".askama.toml")]
struct ConfigurationPage {
    frame: Frame,
    running: Option<KeptConfiguration>,
    applied: Option<When>,
    /// Why the files are not what runs, if somebody has asked for that.
    refused: Option<Refused>,
}

/// A reload that was refused.
pub(super) struct Refused {
    /// What it is refused for stands first.
    pub(super) reload: RefusedReload,
    pub(super) at: When,
    /// What there is to say all the same, in so many words.
    pub(super) warnings: usize,
}

/// What runs, and what was refused.
pub(super) async fn configuration(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
) -> Result<Response, Unavailable> {
    let running = inside.parts.outbox.configuration_of_now().await?;
    let now = inside.parts.clock.now();
    let page = ConfigurationPage {
        frame: visitor.frame("configuration"),
        applied: running.as_ref().map(|running| When::new(running.applied_at, now)),
        running,
        refused: refused(&inside),
    };
    Ok(show(StatusCode::OK, &page))
}

/// The last reload, if it was refused.
pub(super) fn refused(inside: &Inside) -> Option<Refused> {
    let mut reload = inside.parts.running.borrow().refused.clone()?;
    let at = When::new(reload.at, inside.parts.clock.now());
    let problems = &mut reload.verdict.problems;
    problems.sort_by_key(|problem| !problem.is_error);
    let warnings = problems.iter().filter(|problem| !problem.is_error).count();
    Some(Refused { reload, at, warnings })
}
