//! Whether a destination can be reached: everything that an attempt does before it sends anything.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::link::{Failure, Origin, Secured, Wired};
use super::{Settings, SetupError, tls};
use crate::domain::Cause;

/// How long the other side may take to say farewell; whoever is silent is content.
const FAREWELL: Duration = Duration::from_secs(1);

/// What answered at a destination's URL.
#[derive(Clone, Debug)]
pub struct Reached {
    pub address: SocketAddr,
    /// `None`: the URL is `http://`.
    pub tls: Option<TlsSession>,
}

/// How a connection was secured.
#[derive(Clone, Debug)]
pub struct TlsSession {
    /// "1.3".
    pub version: &'static str,
    /// The server's own certificate, DER.
    pub certificate: Vec<u8>,
}

/// Why a destination cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{detail}")]
    Failed { cause: Cause, detail: String },
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl From<Failure> for ProbeError {
    fn from(Failure { cause, detail }: Failure) -> Self {
        Self::Failed { cause, detail }
    }
}

/// Resolves, judges the addresses, connects, and completes TLS, within the destination's time-out for connecting; then
/// hangs up. No request is sent.
///
/// # Errors
///
/// [`ProbeError`]: what an attempt would fail with before its request.
pub async fn probe(settings: &Settings) -> Result<Reached, ProbeError> {
    let origin = Origin::of(&settings.url).ok_or(SetupError::BadUrl)?;
    let config = tls::client_config(settings).map_err(SetupError::Tls)?;
    let deadline = Instant::now() + settings.timeouts.connect;
    let Wired { address, stream } = Wired::open(&origin, &config, settings.allow_private, deadline).await?;
    let tls = match stream {
        Secured::Plain(_) => None,
        Secured::Tls(stream) => Some(farewell(*stream).await?),
    };
    Ok(Reached { address, tls })
}

/// Ends a session. By TLS 1.3 a server that wants a certificate of ours complains only after the handshake.
async fn farewell(mut stream: TlsStream<TcpStream>) -> Result<TlsSession, Failure> {
    let session = session(&stream);
    stream.shutdown().await.ok();
    match timeout(FAREWELL, stream.read(&mut [0; 1])).await {
        Ok(Err(error)) if is_complaint(&error) => Err(Failure::new(Cause::Tls, error.to_string())),
        _ => Ok(session),
    }
}

fn session(stream: &TlsStream<TcpStream>) -> TlsSession {
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default();
    TlsSession {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "?",
        },
        certificate: chain.first().map_or_else(Vec::new, |own| own.to_vec()),
    }
}

/// Whether TLS has something to say, and not only the connection come to an end.
fn is_complaint(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
