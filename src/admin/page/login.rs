use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::visitor::{COOKIE, Visitor, cookie};
use super::{Frame, show};
use crate::admin::auth::SESSION;
use crate::admin::listener::{Inside, TooMany, caller, refuse_wrong_token};
use crate::domain::Secret;

/// Strangers may post here, and slowly.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "login.html", config = ".askama.toml")]
struct LoginPage<'a> {
    frame: Frame,
    /// Whether there is a token that could be shown.
    has_token: bool,
    /// Why they are not in yet.
    why: Option<&'a str>,
    /// Where they wanted to go.
    to: &'a str,
}

#[derive(Deserialize)]
pub(super) struct LogIn {
    token: String,
    #[serde(default)]
    to: String,
}

#[derive(Deserialize)]
pub(super) struct LogOut {
    form_key: String,
}

/// The log-in, in the place of the page that somebody wanted to see.
pub(super) fn ask(inside: &Inside, method: &Method, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // A form that was sent is not sent again: what it asked for has to be looked at anew.
    let to = if method == Method::GET {
        path.trim_start_matches('/')
    } else {
        ""
    };
    page(inside, uri, None, to)
}

fn page(inside: &Inside, uri: &Uri, why: Option<&str>, to: &str) -> Response {
    let page = LoginPage {
        frame: Frame::new(uri, "login", None),
        has_token: inside.guard.opens_to_somebody(),
        why,
        to: if is_inside(to) { to } else { "" },
    };
    let mut response = show(StatusCode::UNAUTHORIZED, &page);
    // Not one that a browser would open a window of its own for.
    let challenge = HeaderValue::from_static("Bearer");
    response.headers_mut().insert("www-authenticate", challenge);
    response
}

pub(super) async fn log_in(State(inside): State<Arc<Inside>>, request: Request) -> Response {
    let (caller, uri) = (caller(&request), request.uri().clone());
    let form = match timeout(FORM_TIMEOUT, Form::<LogIn>::from_request(request, &())).await {
        Ok(Ok(Form(form))) => form,
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // Wiped when it is dropped. People paste line ends along.
    let token = Secret::new(form.token.trim());
    match inside.guard.log_in(token.expose()) {
        Ok(Some(cookie)) => {
            tracing::info!(client.address = %caller.origin(), "somebody has logged in from {caller}");
            let to = if is_inside(&form.to) { &*form.to } else { "" };
            let cookie = set_cookie(&inside, &cookie, SESSION);
            ([(SET_COOKIE, cookie)], Redirect::to(&format!("./{to}"))).into_response()
        }
        Ok(None) => match refuse_wrong_token(&inside.guard, caller).await {
            Ok(()) => page(&inside, &uri, Some("This token opens nothing."), &form.to),
            Err(TooMany) => TooMany.into_response(),
        },
        Err(error) => {
            tracing::error!(%error, "nobody can log in: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(super) async fn log_out(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<LogOut>,
) -> Response {
    if !visitor.session.made(&form.form_key) {
        return (StatusCode::FORBIDDEN, "this form is not of your session\n").into_response();
    }
    if let Some(cookie) = cookie(&headers) {
        inside.guard.log_out(cookie);
    }
    let gone = set_cookie(&inside, "", Duration::ZERO);
    ([(SET_COOKIE, gone)], Redirect::to("./")).into_response()
}

/// Without a path it is for where the page lies, also behind a proxy.
fn set_cookie(inside: &Inside, value: &str, lasts: Duration) -> String {
    let is_https = inside.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let secure = if is_https { "; Secure" } else { "" };
    let seconds = lasts.as_secs();
    format!("{COOKIE}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether it is a place on this page, relative to the first one, that can stand in a header and leads nowhere else.
fn is_inside(to: &str) -> bool {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~?=&%+".contains(&byte);
    to.bytes().all(is_harmless) && !to.starts_with('/') && !to.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_in_leads_only_to_places_on_this_page() {
        for inside in ["", "configuration", "incidents/7?tab=all&x=%20"] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in [
            "//evil.example",
            "/",
            "https://evil.example",
            "javascript:alert(1)",
            "../x",
            "a\r\nset-cookie: x",
            "\\evil.example",
        ] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
