use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::configuration::{Refused, refused};
use super::visitor::Visitor;
use super::when::When;
use super::{Frame, Unavailable, show};
use crate::admin::listener::Inside;
use crate::domain::Mode;

#[derive(Template)]
#[template(path = "status.html", config = ".askama.toml")]
struct StatusPage {
    frame: Frame,
    since: When,
    configuration: String,
    refused: Option<Refused>,
    heard: Vec<Heard>,
}

/// When the gateway last called for a company.
struct Heard {
    company: String,
    mode: Mode,
    /// `None`: never.
    at: Option<When>,
}

/// How everything stands.
pub(super) async fn status(State(inside): State<Arc<Inside>>, visitor: Visitor) -> Result<Response, Unavailable> {
    let running = inside.parts.running.borrow().clone();
    let page = StatusPage {
        frame: visitor.frame("status"),
        since: When::new(running.since, inside.parts.clock.now()),
        configuration: running.configuration,
        refused: refused(&inside),
        heard: heard(&inside).await?,
    };
    Ok(show(StatusCode::OK, &page))
}

/// For each company in each mode in which the gateway can call.
async fn heard(inside: &Inside) -> Result<Vec<Heard>, Unavailable> {
    let last = inside.parts.outbox.last_heard().await?;
    let now = inside.parts.clock.now();
    let circles = Arc::clone(&inside.parts.circles.borrow());
    let called = circles.iter().filter(|circle| {
        let mut members = circle.members.iter();
        members.any(|member| member.notified_by_form || member.notified_by_rest)
    });
    let heard = called.map(|circle| {
        let of_it = last
            .iter()
            .find(|(id, mode, _)| *id == circle.legal_entity.id && *mode == circle.mode);
        Heard {
            company: circle.legal_entity.name.clone(),
            mode: circle.mode,
            at: of_it.map(|(_, _, at)| When::new(*at, now)),
        }
    });
    Ok(heard.collect())
}
