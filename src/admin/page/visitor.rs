use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;

use super::{Frame, login};
use crate::admin::api::Who;
use crate::admin::auth::Session;
use crate::admin::listener::{Caller, Inside};

/// The name of the cookie.
pub(super) const COOKIE: &str = "ipn-router";

/// Somebody who has logged in; whoever has not gets the log-in instead of the page.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) uri: Uri,
    caller: Caller,
}

impl Visitor {
    /// For the log, and for the record of what was asked for.
    pub(super) fn who(&self) -> Who {
        Who::Page {
            address: self.caller.address,
            forwarded_for: self.caller.forwarded_for,
        }
    }

    /// Whether a form that was sent is one of ours.
    pub(super) fn may_post(&self, form_key: Option<&str>) -> bool {
        form_key.is_some_and(|form_key| self.session.made(form_key))
    }

    /// What is around a page for them.
    pub(super) fn frame(&self, here: &'static str) -> Frame {
        Frame::new(&self.uri, here, Some(self.session.form_key.clone()))
    }
}

impl FromRequestParts<Arc<Inside>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, inside: &Arc<Inside>) -> Result<Self, Response> {
        let session = cookie(&parts.headers).and_then(|cookie| inside.guard.session(cookie));
        match session {
            Some(session) => Ok(Self {
                session,
                uri: parts.uri.clone(),
                caller: Caller::of(&parts.extensions),
            }),
            None => Err(login::ask(inside, &parts.method, &parts.uri)),
        }
    }
}

/// The value of our cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_found_among_those_of_others() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            cookie(&headers).map(str::to_owned)
        };
        assert_eq!(of(&["ipn-router=abc"]).as_deref(), Some("abc"));
        assert_eq!(of(&["a=b; ipn-router=abc;c=d"]).as_deref(), Some("abc"));
        assert_eq!(of(&["a=b", "ipn-router=abc"]).as_deref(), Some("abc"));
        assert_eq!(of(&["not-ipn-router=abc; ipn-router"]), None);
        assert_eq!(of(&[]), None);
    }
}
