use std::fmt;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

/// Who asks for something, for the log and for the record of what was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// A user of this machine, by number.
    Command { user: u32 },
    /// Somebody who has logged in to the page.
    Page {
        address: IpAddr,
        /// If that is a proxy on this machine: for whom it says that it asks.
        forwarded_for: Option<IpAddr>,
    },
    /// Somebody with the admin token.
    Remote { address: IpAddr },
    /// `SIGHUP`, as `systemctl reload` sends it.
    Signal,
    /// `reload = "watch"`: a file has changed.
    Watch,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { user } => write!(f, "user {user}"),
            Self::Page {
                address,
                forwarded_for: Some(client),
            } => write!(f, "the page, from {client} by the proxy at {address}"),
            Self::Page { address, .. } => write!(f, "the page, from {address}"),
            Self::Remote { address } => write!(f, "the admin token, from {address}"),
            Self::Signal => f.write_str("SIGHUP"),
            Self::Watch => f.write_str("a file that has changed"),
        }
    }
}

/// Each listener knows its callers in its own way, and puts them into the request's extensions.
impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        // Nothing is done for nobody: a listener that forgets to say who it is answers nothing.
        parts.extensions.get().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}
