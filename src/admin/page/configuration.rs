use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::visitor::Visitor;
use super::when::When;
use super::{Frame, Unavailable, refuse, show};
use crate::admin::api::RefusedReload;
use crate::admin::listener::Inside;
use crate::outbox::KeptConfiguration;

#[derive(Template)]
#[template(path = "configuration.html", config = ".askama.toml")]
struct ConfigurationPage {
    frame: Frame,
    /// Whether it is the one that runs.
    is_running: bool,
    running: Option<KeptConfiguration>,
    applied: Option<When>,
    /// Why the files are not what runs, if somebody has asked for that.
    refused: Option<Refused>,
    /// Parts that only a restart changes, and that differ by now.
    waits_for_restart: Vec<&'static str>,
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
        is_running: true,
        applied: running.as_ref().map(|running| When::new(running.applied_at, now)),
        running,
        refused: refused(&inside),
        waits_for_restart: inside.parts.running.borrow().waits_for_restart.clone(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// One that ran once, and has routed what is kept still.
pub(super) async fn earlier(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Path(hash): Path<String>,
) -> Result<Response, Unavailable> {
    let frame = visitor.frame("configuration");
    let Some(kept) = inside.parts.outbox.configuration(hash).await? else {
        let why = "This configuration is not kept, or never ran.";
        return Ok(refuse(StatusCode::NOT_FOUND, frame, why));
    };
    let page = ConfigurationPage {
        frame,
        is_running: inside.parts.running.borrow().configuration == kept.hash,
        applied: Some(When::new(kept.applied_at, inside.parts.clock.now())),
        running: Some(kept),
        refused: None,
        waits_for_restart: Vec::new(),
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
