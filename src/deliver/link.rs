//! One open connection to a shop: to an address that was judged, secured, and driven by whoever uses it.
//!
//! No task runs for it: the connection moves while an attempt waits for it, which saves a hand-over between two tasks
//! per request. Between attempts nothing moves; that the shop has closed it is seen when the next attempt begins.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::guard;
use crate::domain::{Cause, valid_until};

/// More of an answer is not read; nobody looks at it.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The longest head of an answer, bytes; busy shops set many cookies.
const LONGEST_HEAD: usize = 32 * 1024;

/// How long a kept connection may go without asking where its host is now.
const JUDGEMENT_LASTS: Duration = Duration::from_secs(60);

/// Why no answer came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// One line for on-call.
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }
}

/// Where a connection leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Origin {
    tls: bool,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// Of an `http` or `https` URL.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            tls,
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// The addresses that it has now and that we may connect to.
    async fn addresses(&self, allow_private: bool) -> Result<Vec<SocketAddr>, Failure> {
        let found: Vec<SocketAddr> = match &self.host {
            Host::Ipv4(v4) => vec![(*v4, self.port).into()],
            Host::Ipv6(v6) => vec![(*v6, self.port).into()],
            Host::Domain(name) => lookup_host((name.as_str(), self.port))
                .await
                .map_err(|error| Failure::new(not_found(&error), format!("{name}: {error}")))?
                .collect(),
        };
        if found.is_empty() {
            return Err(Failure::new(Cause::Dns, format!("{}: no address", self.host)));
        }
        let allowed = |address: &SocketAddr| allow_private || guard::is_public(address.ip());
        let (allowed, blocked): (Vec<_>, Vec<_>) = found.into_iter().partition(allowed);
        match blocked.first() {
            Some(address) if allowed.is_empty() => {
                let detail = format!(
                    "{} is at {}, which is not public (allow_private)",
                    self.host,
                    address.ip()
                );
                Err(Failure::new(Cause::Blocked, detail))
            }
            _ => Ok(allowed),
        }
    }
}

/// Bytes both ways, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Wire = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// An open connection.
pub(super) struct Link {
    origin: Origin,
    address: IpAddr,
    judged_at: Instant,
    /// The end of the certificate.
    valid_until: Option<Timestamp>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    wire: Option<Wire>,
}

/// How the reading of an answer's body ended.
pub(super) enum End {
    /// Cut off, or too slow: there would have been more.
    Broken(Failure),
    /// All of it was read, and the connection can be used again.
    Complete,
    /// There is more than we care to read.
    TooLong,
}

/// A connection to an address that was judged, with TLS if its origin has that; nothing was sent over it yet.
pub(super) struct Wired {
    pub(super) address: SocketAddr,
    pub(super) stream: Secured,
}

/// With TLS or without.
pub(super) enum Secured {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wired {
    /// Connects to the first address that lets us.
    pub(super) async fn open(
        origin: &Origin,
        tls: &Arc<ClientConfig>,
        allow_private: bool,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let too_slow = |what: &str| Failure::new(Cause::TimedOut, format!("{what} took too long"));
        let addresses = timeout_at(deadline, origin.addresses(allow_private))
            .await
            .map_err(|_| too_slow("resolving the host name"))??;
        let mut failure = too_slow("connecting");
        for (tried, address) in addresses.iter().enumerate() {
            // An address that swallows everything leaves the others their share of the time.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = Instant::now() + deadline.saturating_duration_since(Instant::now()) / left;
            match timeout_at(share, Self::open_at(origin, *address, tls)).await {
                Ok(Ok(wired)) => return Ok(wired),
                Ok(Err(refused)) => failure = refused,
                Err(_) => failure = too_slow("connecting"),
            }
        }
        Err(failure)
    }

    async fn open_at(origin: &Origin, address: SocketAddr, tls: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let not_connected = |error| Failure::new(Cause::Connect, format!("{}: {error}", address.ip()));
        let tcp = TcpStream::connect(address).await.map_err(not_connected)?;
        tcp.set_nodelay(true).map_err(not_connected)?;
        let stream = if origin.tls {
            let secured = TlsConnector::from(Arc::clone(tls))
                .connect(server_name(&origin.host)?, tcp)
                .await
                .map_err(|error| Failure::new(Cause::Tls, format!("{}: {error}", origin.host)))?;
            Secured::Tls(Box::new(secured))
        } else {
            Secured::Plain(tcp)
        };
        Ok(Self { address, stream })
    }
}

impl Link {
    /// Connects to the first address that lets us.
    pub(super) async fn open(
        origin: &Origin,
        tls: &Arc<ClientConfig>,
        allow_private: bool,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let wired = Wired::open(origin, tls, allow_private, deadline).await?;
        let (stream, valid_until): (Box<dyn Stream>, _) = match wired.stream {
            Secured::Plain(tcp) => (Box::new(tcp), None),
            Secured::Tls(secured) => {
                let shown = secured.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let valid_until = shown.and_then(|certificate| valid_until(certificate));
                (secured, valid_until)
            }
        };
        let (sender, wire) = http1::Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure_of(&error))?;
        Ok(Self {
            origin: origin.clone(),
            address: wired.address.ip(),
            judged_at: Instant::now(),
            valid_until,
            sender,
            wire: Some(wire),
        })
    }

    /// The host, and until when the certificate is valid that it has shown.
    pub(super) fn certificate(&self) -> Option<(String, Timestamp)> {
        Some((self.origin.host.to_string(), self.valid_until?))
    }

    /// Whether the next request to this origin may use it: it is open, and still where the host is.
    pub(super) async fn serves(&mut self, origin: &Origin, allow_private: bool, deadline: Instant) -> bool {
        if self.origin != *origin || !self.is_open().await {
            return false;
        }
        if matches!(origin.host, Host::Domain(_)) && self.judged_at.elapsed() >= JUDGEMENT_LASTS {
            let found = timeout_at(deadline, origin.addresses(allow_private)).await;
            // Names that cannot be resolved just now are no reason to give up a connection that works.
            if let Ok(Ok(addresses)) = found {
                if !addresses.iter().any(|address| address.ip() == self.address) {
                    return false;
                }
                self.judged_at = Instant::now();
            }
        }
        true
    }

    /// Whether it can take a request at once.
    pub(super) async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            // First, so that it learns of a shop that has hung up.
            if let Some(wire) = &mut self.wire
                && Pin::new(wire).poll(cx).is_ready()
            {
                self.wire = None;
            }
            let ready = self.sender.poll_ready(cx);
            Poll::Ready(self.wire.is_some() && matches!(ready, Poll::Ready(Ok(()))))
        })
        .await
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        let answer = self.sender.send_request(request);
        drive(&mut self.wire, answer).await
    }

    /// Reads the body of an answer, as far as anybody is interested.
    pub(super) async fn read(&mut self, mut body: Incoming, deadline: Instant) -> (Vec<u8>, End) {
        let mut text = Vec::new();
        while !body.is_end_stream() {
            match timeout_at(deadline, drive(&mut self.wire, body.frame())).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = LONGEST_ANSWER - text.len();
                    text.extend_from_slice(&data[..data.len().min(room)]);
                    if data.len() > room {
                        return (text, End::TooLong);
                    }
                }
                Ok(Some(Err(error))) => return (text, End::Broken(failure_of(&error))),
                Err(_) => {
                    let failure = Failure::new(Cause::TimedOut, "the answer took too long to end");
                    return (text, End::Broken(failure));
                }
            }
        }
        (text, End::Complete)
    }
}

/// Waits for something that only comes if the connection moves.
async fn drive<T>(wire: &mut Option<Wire>, awaited: impl Future<Output = T>) -> T {
    let mut awaited = pin!(awaited);
    poll_fn(|cx| {
        if let Some(running) = wire
            && Pin::new(running).poll(cx).is_ready()
        {
            // Dropped, so that what is awaited learns that nothing will come; why, it was told by the connection.
            *wire = None;
        }
        awaited.as_mut().poll(cx)
    })
    .await
}

/// What an error of the connection means to the delivery.
pub(super) fn failure_of(error: &hyper::Error) -> Failure {
    let mut cause = if error.is_parse() {
        Cause::Protocol
    } else {
        Cause::Connect
    };
    let mut detail = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        // A shop that wants a certificate of ours says so only after the handshake.
        let io = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is::<rustls::Error>() || io.is_some_and(|inner| inner.is::<rustls::Error>()) {
            cause = Cause::Tls;
        }
        detail = format!("{detail}: {inner}");
        source = inner.source();
    }
    Failure::new(cause, detail)
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|_| Failure::new(Cause::Tls, format!("{name}: no name that a certificate could prove"))),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    }
}

/// Whether nobody has such a name, or the resolver could not say. The system's answer comes as a text alone: that of
/// glibc or musl for EAI_NONAME and EAI_NODATA. Whatever else it says may be over in two seconds.
fn not_found(error: &io::Error) -> Cause {
    let text = error.to_string();
    let unknown = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
    ];
    if unknown.iter().any(|words| text.contains(words)) {
        Cause::Dns
    } else {
        Cause::Resolver
    }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::crypto::ring;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn resolver_that_does_not_answer_is_no_unknown_host() {
        let said = |words| {
            not_found(&io::Error::other(format!(
                "failed to lookup address information: {words}"
            )))
        };
        assert_eq!(said("Name or service not known"), Cause::Dns);
        assert_eq!(said("Name does not resolve"), Cause::Dns);
        assert_eq!(said("Temporary failure in name resolution"), Cause::Resolver);
        assert_eq!(said("Try again"), Cause::Resolver);
    }

    #[tokio::test]
    async fn a_host_that_moved_is_noticed_after_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = Origin::of(&format!("http://localhost:{port}/").parse().unwrap()).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let deadline = || Instant::now() + Duration::from_secs(5);
        let mut link = Link::open(&origin, &Arc::new(tls), true, deadline()).await.unwrap();
        let minute = async || {
            tokio::time::pause();
            tokio::time::advance(JUDGEMENT_LASTS).await;
            tokio::time::resume();
        };
        assert!(link.serves(&origin, true, deadline()).await);
        minute().await;
        assert!(link.serves(&origin, true, deadline()).await);

        link.address = "192.0.2.1".parse().unwrap();
        assert!(link.serves(&origin, true, deadline()).await, "judged a moment ago");
        minute().await;
        assert!(!link.serves(&origin, true, deadline()).await);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |url: &str| Origin::of(&url.parse().unwrap());
        assert_eq!(of("https://a.example/x"), of("https://A.example:443/y?z"));
        assert_ne!(of("https://a.example/"), of("http://a.example:443/"));
        assert_ne!(of("http://a.example/"), of("http://a.example:8080/"));
        assert_ne!(of("http://a.example/"), of("http://b.example/"));
        assert_eq!(of("ftp://a.example/"), None);
    }
}
