//! The page for people: HTML that is whole without script.
//!
//! ```text
//!   browser ─▶ login ── token ─▶ Guard ── cookie ─▶ Visitor ─▶ status, configuration, …
//!                                                      │       with links (Wish) that do nothing
//!                                                      └─▶ act: asks first, with numbers; a form then does it ─▶ outbox
//! ```
//!
//! - Each page is a file here with the struct that its template shows, and the template in `templates/`. A page takes a
//!   [`visitor::Visitor`], so nobody sees it without a log-in, and hands it to [`show`].
//! - Links are relative to [`Frame::root`], because a proxy may put the page under a path of its own.
//! - What changes something is a form that is posted with the session's key ([`Session::made`](super::auth::Session::made)); the cookie is strict,
//!   too, so that no other site can post it.
//! - No script, no style and no image but our own: the content security policy says so to the browser.

mod act;
mod assets;
mod configuration;
mod contents;
mod emails;
mod incidents;
mod login;
mod notification;
mod notifications;
mod operations;
mod refusals;
mod runbook;
mod status;
mod visitor;
mod when;
mod wish;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::listener::Inside;

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Every page. They need no token of a program, but a log-in.
pub(super) fn router(inside: Arc<Inside>) -> Router {
    Router::new()
        .route("/", get(status::status))
        .route("/incidents", get(incidents::incidents))
        .route("/incidents/{id}", get(incidents::incident))
        .route("/notifications", get(notifications::notifications))
        .route("/notifications/{id}", get(notification::notification))
        .route("/notifications/{id}/personal", post(notification::personal))
        .route("/refusals", get(refusals::refusals))
        .route("/emails", get(emails::emails))
        .route("/act", get(act::ask).post(act::act))
        .route("/operations", get(operations::operations))
        .route("/operations/{id}", get(operations::operation))
        .route("/configuration", get(configuration::configuration))
        .route("/configurations/{hash}", get(configuration::earlier))
        .route("/runbook", get(runbook::runbook))
        .route("/login", post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/icon.svg", get(assets::icon))
        .route(&format!("/{}", assets::style_name()), get(assets::style))
        .with_state(inside)
}

/// What is around each page.
#[derive(Clone, Debug)]
struct Frame {
    /// From here to the first page: `./`, `../` and so on.
    root: String,
    /// The page that is shown, as in the links.
    here: &'static str,
    /// For forms; none while nobody has logged in.
    form_key: Option<String>,
}

impl Frame {
    fn new(uri: &Uri, here: &'static str, form_key: Option<String>) -> Self {
        let depth = uri.path().matches('/').count().saturating_sub(1);
        let root = if depth == 0 {
            "./".to_owned()
        } else {
            "../".repeat(depth)
        };
        Self { root, here, form_key }
    }

    /// The file of the style: its name changes with its text.
    #[expect(clippy::unused_self, reason = "templates reach functions through what they show")]
    fn style(&self) -> &'static str {
        assets::style_name()
    }
}

#[derive(Template)]
#[template(path = "message.html", config = ".askama.toml")]
struct MessagePage {
    frame: Frame,
    text: String,
}

/// A page that only says why there is no other.
fn refuse(status: StatusCode, frame: Frame, text: impl Into<String>) -> Response {
    let text = text.into();
    show(status, &MessagePage { frame, text })
}

/// A page as an answer.
fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CONTENT_SECURITY_POLICY, POLICY),
                // Ids in a link are nobody else's business.
                (REFERRER_POLICY, "same-origin"),
            ];
            (status, headers, html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot show a page: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What is needed for a page cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be read: {0}")]
struct Unavailable(#[from] crate::outbox::OutboxError);

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "cannot show a page: {self}");
        (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_first_page_from_everywhere() {
        let root = |path: &str| Frame::new(&path.parse().unwrap(), "", None).root;
        assert_eq!(root("/"), "./");
        assert_eq!(root("/configuration?x=/y/z"), "./");
        assert_eq!(root("/incidents/7"), "../");
        assert_eq!(root("/a/b/c"), "../../");
    }
}
