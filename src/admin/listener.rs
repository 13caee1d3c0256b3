use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts as Head;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use url::Url;

use super::api::{self, Parts, Who};
use super::auth::Guard;
use super::{gauges, page};
use crate::metrics::{CONTENT_TYPE as OPEN_METRICS, Metrics};

/// Connections at once; the next ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// For the head of a request, and for the pause before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a head.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes of a body.
const MAX_BODY: usize = 64 * 1024;
/// The store must answer within this time to be called ready.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// For a client to take some of its answer: whoever asks and does not read would keep a place for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a wrong token, so that guessing takes its time.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(250);
/// When no connection can be accepted (mostly: too many open files), the next try waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long a stop waits for answers.
const GRACE: Duration = Duration::from_secs(5);

/// Answers by TCP, apart from the gateway's calls: health, metrics, the API, and the page for people.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    listener: std::net::TcpListener,
    inside: Arc<Inside>,
}

/// What the routes of this listener look at.
#[derive(Debug)]
pub struct Inside {
    pub parts: Parts,
    pub guard: Arc<Guard>,
    pub metrics: Metrics,
    /// Where people find the page, if that is not where we listen.
    pub public_url: Option<Url>,
    /// The file of the receiver's own certificate, if it has one.
    pub own_certificate: Option<PathBuf>,
}

/// Who has connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// What a proxy on this machine says of whom it asks for.
    pub(super) forwarded_for: Option<IpAddr>,
}

impl Listener {
    /// Opens the port; nothing is answered yet.
    ///
    /// # Errors
    ///
    /// The address is taken, or not ours.
    pub fn bind(address: SocketAddr, inside: Inside) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            inside: Arc::new(inside),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then lets what is in hand end, but not for long.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "nothing is answered at [admin] listen: {error}");
                return stop.await;
            }
        };
        let prefix = self.inside.prefix();
        let router = router(self.inside);
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let open = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, (stream, peer)) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => match accepted {
                    (place, Ok(accepted)) => (place, accepted),
                    (_, Err(error)) => {
                        tracing::warn!(%error, "cannot accept a connection at [admin] listen: {error}");
                        sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                },
            };
            let (router, prefix) = (router.clone(), prefix.clone());
            let service = service_fn(move |request| answer(router.clone(), prefix.clone(), peer.ip(), request));
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(WRITE_TIMEOUT));
            let connection = open.watch(server.serve_connection(TokioIo::new(Box::pin(stream)), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(client.address = %peer, %error, "a connection to [admin] listen has ended: {error}");
                }
                drop(place);
            });
        }
        drop(listener);
        timeout(GRACE, open.shutdown()).await.ok();
    }
}

impl Inside {
    /// The path of the public URL, without the slash at its end: a proxy may pass it on.
    fn prefix(&self) -> Arc<str> {
        let path = self.public_url.as_ref().map(Url::path);
        path.unwrap_or_default().trim_end_matches('/').into()
    }
}

/// Links are relative, so it does not matter whether the public URL's path arrives here or a proxy has cut it off.
async fn answer(
    router: Router,
    prefix: Arc<str>,
    caller: IpAddr,
    request: Request<hyper::body::Incoming>,
) -> Result<Response, Infallible> {
    let (mut head, body) = request.into_parts();
    if !prefix.is_empty() && head.uri.path() == &*prefix {
        // Or links would lead beside it.
        return Ok(Redirect::permanent(&format!("{prefix}/")).into_response());
    }
    cut_off(&mut head, &prefix);
    let forwarded_for = forwarded_for(&head.headers).filter(|_| caller.is_loopback());
    head.extensions.insert(Caller {
        address: caller,
        forwarded_for,
    });
    router.oneshot(Request::from_parts(head, Body::new(body))).await
}

fn cut_off(head: &mut Head, prefix: &str) {
    let whole = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let inner = whole.strip_prefix(prefix).filter(|inner| inner.starts_with('/'));
    if let Some(Ok(inner)) = inner.map(str::parse) {
        head.uri = inner;
    }
}

fn router(inside: Arc<Inside>) -> Router {
    let with_token = Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&inside))
        .merge(api::router(inside.parts.clone()))
        .route_layer(from_fn_with_state(Arc::clone(&inside), only_with_token));
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .with_state(Arc::clone(&inside))
        .merge(with_token)
        .merge(page::router(inside))
        .fallback(async || (StatusCode::NOT_FOUND, "nothing is here\n"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(guard_headers))
}

/// What is shown here is for the one who asked, and is what we say it is.
async fn guard_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Programs show the token with each request; a cookie does not count here, so nobody's browser can be sent here.
async fn only_with_token(State(inside): State<Arc<Inside>>, mut request: Request, next: Next) -> Response {
    let caller = caller(&request);
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    match shown {
        Some(token) if inside.guard.knows(token) => {
            let address = caller.address;
            request.extensions_mut().insert(Who::Remote { address });
            next.run(request).await
        }
        Some(_) => match refuse_wrong_token(&inside.guard, caller).await {
            Ok(()) => please_show_a_token("this token opens nothing\n"),
            Err(TooMany) => TooMany.into_response(),
        },
        None if inside.guard.opens_to_somebody() => {
            please_show_a_token("show the token of [admin]: Authorization: Bearer …\n")
        }
        None => please_show_a_token("[admin] has no token, so this is closed to everybody\n"),
    }
}

/// Too many wrong tokens are being tried just now.
#[derive(Debug)]
pub(super) struct TooMany;

impl IntoResponse for TooMany {
    fn into_response(self) -> Response {
        let why = "too many wrong tokens at once; try again in a moment\n";
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], why).into_response()
    }
}

/// Says so in the log, and takes its time. A right token never comes here, so it opens at any time.
pub(super) async fn refuse_wrong_token(guard: &Guard, caller: Caller) -> Result<(), TooMany> {
    let _place = guard.wrong_tokens().try_acquire().map_err(|_| TooMany)?;
    tracing::warn!(client.address = %caller.origin(), "refused a wrong admin token from {caller}");
    sleep(WRONG_TOKEN_PAUSE).await;
    Ok(())
}

fn please_show_a_token(why: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], why).into_response()
}

/// Whoever has connected; `answer` says so of every request.
pub(super) fn caller(request: &Request) -> Caller {
    Caller::of(request.extensions())
}

impl Caller {
    pub(super) fn of(extensions: &Extensions) -> Self {
        let unknown = Self {
            address: IpAddr::from([0, 0, 0, 0]),
            forwarded_for: None,
        };
        extensions.get().copied().unwrap_or(unknown)
    }

    /// Where it comes from, as far as that is known.
    pub(super) fn origin(&self) -> IpAddr {
        self.forwarded_for.unwrap_or(self.address)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.forwarded_for {
            Some(origin) => write!(f, "{origin} (by a proxy at {})", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// The last one of `X-Forwarded-For`: what stands before it may be anybody's.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

/// Whether a notification could be stored now. Mail is no part of it: nothing is lost while that is down.
async fn readiness(State(inside): State<Arc<Inside>>) -> (StatusCode, String) {
    match timeout(READY_WITHIN, inside.parts.outbox.try_writing()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("the store: {error}\n")),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n".to_owned(),
        ),
    }
}

/// What was counted is told even if the store cannot be asked how things stand.
async fn metrics(State(inside): State<Arc<Inside>>) -> impl IntoResponse {
    let reading = match gauges::read(&inside).await {
        Ok(reading) => Some(reading),
        Err(error) => {
            tracing::error!(%error, "cannot read the store for /metrics: {error}");
            None
        }
    };
    ([(CONTENT_TYPE, OPEN_METRICS)], inside.metrics.text(reading.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_the_public_url_is_cut_off_and_nothing_else() {
        let cut = |uri: &str, prefix: &str| {
            let (mut head, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
            cut_off(&mut head, prefix);
            head.uri.to_string()
        };
        assert_eq!(cut("/admin/", "/admin"), "/");
        assert_eq!(cut("/admin/incidents/7?x=1", "/admin"), "/incidents/7?x=1");
        assert_eq!(cut("/administration", "/admin"), "/administration");
        assert_eq!(cut("/livez", "/admin"), "/livez");
        assert_eq!(cut("/v1/reload", ""), "/v1/reload");
        assert_eq!(cut("/admin//elsewhere", "/admin"), "//elsewhere");
    }

    #[test]
    fn only_the_last_proxy_is_believed() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            forwarded_for(&headers).map(|address| address.to_string())
        };
        assert_eq!(of(&["192.0.2.1, 203.0.113.9"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(of(&["192.0.2.1", "2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(of(&["somebody"]), None);
        assert_eq!(of(&[]), None);
    }
}
