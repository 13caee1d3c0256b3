use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use crate::domain::Secret;

/// `[admin]`: where on-call and programs ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `None`: no listener; the socket is always there.
    pub listen: Option<SocketAddr>,
    /// Any of these opens it.
    pub tokens: Vec<Secret>,
    /// Where people find the page; for links in e-mails.
    pub public_url: Option<Url>,
    /// The Unix socket that commands speak through.
    pub socket: PathBuf,
}
