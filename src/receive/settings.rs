use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// `[receiver]`: where and how the gateway is listened to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Certificate chain and key, PEM; `None` behind a proxy that ends TLS.
    pub tls: Option<TlsFiles>,
    /// The one path, such as `/ipn`.
    pub path: String,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may call; empty: everyone (the signature is the real check).
    pub allow_from: Vec<IpNet>,
    /// Requests in work at once; more are answered 503.
    pub max_in_flight: NonZeroUsize,
    /// Largest body, bytes.
    pub max_body: usize,
    /// For the request's head.
    pub header_timeout: Duration,
    /// For the request's body.
    pub body_timeout: Duration,
    /// From the whole request to its answer.
    pub answer_timeout: Duration,
}

/// PEM files of the receiver's own TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            path: "/ipn".to_owned(),
            trusted_proxies: Vec::new(),
            allow_from: Vec::new(),
            max_in_flight: NonZeroUsize::new(1024).expect("1024 is not 0"),
            max_body: 64 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(8),
        }
    }
}
