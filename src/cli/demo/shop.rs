//! A shop's server.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Seen;
use super::company::City;
use crate::verify::Keyring;

/// What a shop does with the calls that it gets: checks the signature, keeps what is right, refuses what is not.
pub(super) struct Shop {
    pub(super) city: City,
    /// Of its gateway keys.
    pub(super) keyring: Keyring,
    pub(super) event_secret: Option<&'static str>,
    pub(super) is_down: AtomicBool,
    /// Answers 200 to the next call and forgets it: a loss, planted to see whether the demo finds it.
    pub(super) forgets_next: AtomicBool,
    pub(super) seen: mpsc::UnboundedSender<Seen>,
}

/// A call that a shop has answered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) city: City,
    /// `webhook-id`: the same at every attempt.
    pub(super) delivery: String,
    pub(super) attempt: u32,
    pub(super) kind: String,
    pub(super) body: Bytes,
    pub(super) at: Instant,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The signature is right; the shop has it.
    Accepted,
    /// Nothing is at the shop's URL.
    Down,
    /// The signature is wrong.
    Forged,
}

impl Shop {
    /// Answers calls for ever.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let shop = Arc::clone(&self);
            tokio::spawn(async move {
                let answer = |request| {
                    let shop = Arc::clone(&shop);
                    async move { Ok::<_, Infallible>(shop.answer(request).await) }
                };
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
                // A call that breaks off is tried again.
                connection.await.ok();
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return response(StatusCode::BAD_REQUEST, "cut short");
        };
        let body = body.to_bytes();
        let verdict = if self.is_down.load(Ordering::SeqCst) {
            Verdict::Down
        } else if self.is_right(head.uri.path(), &head.headers, &body) {
            Verdict::Accepted
        } else {
            Verdict::Forged
        };
        let forgets = verdict == Verdict::Accepted && self.forgets_next.swap(false, Ordering::SeqCst);
        if !forgets {
            let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
            let call = Call {
                city: self.city,
                delivery: header("webhook-id").unwrap_or_default().to_owned(),
                attempt: header("ipn-router-attempt").and_then(|n| n.parse().ok()).unwrap_or(0),
                kind: header("ipn-router-kind").unwrap_or_default().to_owned(),
                body,
                at: Instant::now(),
                verdict,
            };
            // Nobody listens any more once the demo has ended.
            self.seen.send(Seen::Call(call)).ok();
        }
        match verdict {
            Verdict::Accepted => response(StatusCode::OK, "OK"),
            Verdict::Down => response(StatusCode::NOT_FOUND, "This module is switched off."),
            Verdict::Forged => response(StatusCode::UNAUTHORIZED, "wrong signature"),
        }
    }

    /// Events are checked by Standard Webhooks' own library, the rest as any shop's plugin would.
    fn is_right(&self, path: &str, headers: &HeaderMap, body: &Bytes) -> bool {
        if path == "/token-events" {
            let webhook = self.event_secret.and_then(|secret| Webhook::new(secret).ok());
            return webhook.is_some_and(|webhook| webhook.verify(body, headers).is_ok());
        }
        let verified = self.keyring.verify(body.clone());
        verified.is_ok_and(|verified| verified.named_shop() == self.city.shop())
    }
}

fn response(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
