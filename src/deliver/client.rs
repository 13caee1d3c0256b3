//! One attempt: a POST to the shop, and what came of it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{DATE, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::classify::{EXCERPT, classify, http_date};
use super::link::{End, Failure, Link, Origin, failure_of};
use super::{AnswerCheck, Settings, SetupError, Timeouts, tls};
use crate::domain::{Cause, Clock, DestinationKey, Outcome, shown_url};

/// How often an attempt lets itself be sent on.
const REDIRECTS: usize = 3;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the connections of one destination share.
#[derive(Debug)]
pub struct Client {
    key: DestinationKey,
    place: Place,
    tls: Arc<ClientConfig>,
    allow_private: bool,
    timeouts: Timeouts,
    answer_check: AnswerCheck,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Prepares what is the same for every attempt.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if the URL or the TLS files cannot be used.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        Ok(Self {
            key: settings.key.clone(),
            place: Place::new(settings.url.clone()).ok_or(SetupError::BadUrl)?,
            tls: tls::client_config(settings)?,
            allow_private: settings.allow_private,
            timeouts: settings.timeouts,
            answer_check: settings.answer_check,
            clock,
        })
    }
}

/// The connection of one slot: opened when it is needed, kept from one attempt to the next.
pub struct Connection {
    client: Arc<Client>,
    /// Of the newest connection, until somebody takes note of it.
    certificate: Option<(String, Timestamp)>,
    /// Of the newest answer, until somebody reads it.
    date: Option<HeaderValue>,
    /// Not there during an attempt, so that one that is dropped half-way leaves nothing half-read behind.
    link: Option<Link>,
}

impl Connection {
    /// Starts without a connection.
    pub fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            certificate: None,
            date: None,
            link: None,
        }
    }

    /// The host that has shown a certificate since this was last asked, and until when it is valid.
    pub fn take_certificate(&mut self) -> Option<(String, Timestamp)> {
        self.certificate.take()
    }

    /// When the newest answer was written, by the clock of the server that wrote it (RFC 9110, 6.6.1).
    pub fn take_date(&mut self) -> Option<Timestamp> {
        let date = self.date.take()?;
        http_date(date.to_str().ok()?)
    }

    /// Posts a notification and judges the answer; never takes much longer than the time-outs allow.
    ///
    /// A kept connection that the shop has closed in the meantime is replaced, and the request sent once more: that is
    /// one attempt.
    pub async fn attempt(&mut self, rendered: Rendered) -> Outcome {
        match self.follow(rendered).await {
            Ok(outcome) => outcome,
            // An answer it was, but none that HTTP knows.
            Err(Failure {
                cause: cause @ Cause::Protocol,
                detail,
            }) => Outcome::Rejected {
                cause,
                answer: None,
                detail,
            },
            Err(Failure { cause, detail }) => Outcome::Unavailable {
                cause,
                answer: None,
                detail,
            },
        }
    }

    /// Posts, and posts again where an answer sends us, within design.md 8's limits.
    async fn follow(&mut self, mut rendered: Rendered) -> Result<Outcome, Failure> {
        let client = Arc::clone(&self.client);
        let deadline = Instant::now() + client.timeouts.whole;
        let mut moved: Option<Place> = None;
        let mut redirects = 0;
        loop {
            let place = moved.as_ref().unwrap_or(&client.place);
            let received = self.exchange(place, &rendered, deadline).await?;
            match redirect(&place.url, received.status, &received.headers) {
                None => return Ok(self.judge(received)),
                Some(Ok(next)) if redirects < REDIRECTS => {
                    let (destination, to) = (&client.key, shown_url(&next.url));
                    tracing::warn!(
                        %destination, status = received.status.as_u16(), to,
                        "{destination} sends us on to {to}: the URL in the configuration should be the last one"
                    );
                    rendered.headers.insert(HOST, next.host.clone());
                    moved = Some(next);
                    redirects += 1;
                }
                Some(Ok(_)) => return Ok(self.refuse(received, "sent on more than 3 times")),
                Some(Err(reason)) => return Ok(self.refuse(received, reason)),
            }
        }
    }

    /// Gets an answer from one place, over the kept connection if that still leads there.
    async fn exchange(&mut self, place: &Place, rendered: &Rendered, deadline: Instant) -> Result<Received, Failure> {
        let client = Arc::clone(&self.client);
        if let Some(mut kept) = self.link.take()
            && kept.serves(&place.origin, client.allow_private, deadline).await
        {
            match self.ask(kept, place.request(rendered), deadline).await {
                // The shop closed it, most likely before it saw the request.
                Err(Unanswered { hung_up: true, .. }) => (),
                answered => return answered.map_err(|unanswered| unanswered.failure),
            }
        }
        let connect_by = deadline.min(Instant::now() + client.timeouts.connect);
        let fresh = Link::open(&place.origin, &client.tls, client.allow_private, connect_by).await?;
        self.certificate = fresh.certificate();
        self.ask(fresh, place.request(rendered), deadline)
            .await
            .map_err(|unanswered| unanswered.failure)
    }

    /// Sends a request over a connection, and keeps the connection if it is good for another.
    async fn ask(
        &mut self,
        mut link: Link,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Received, Unanswered> {
        let head_by = deadline.min(Instant::now() + self.client.timeouts.first_byte);
        let response = timeout_at(head_by, link.send(request))
            .await
            .map_err(|_| Unanswered {
                hung_up: false,
                failure: Failure::new(Cause::TimedOut, "no answer in time"),
            })?
            .map_err(|error| Unanswered {
                hung_up: !error.is_parse(),
                failure: failure_of(&error),
            })?;
        let (mut head, body) = response.into_parts();
        self.date = head.headers.remove(DATE);
        let (text, end) = link.read(body, deadline).await;
        if matches!(end, End::Complete) && link.is_open().await {
            self.link = Some(link);
        }
        Ok(Received {
            status: head.status,
            headers: head.headers,
            text,
            end,
        })
    }

    fn judge(&self, received: Received) -> Outcome {
        let Received {
            status,
            headers,
            text,
            end,
        } = received;
        let outcome = classify(
            status,
            &headers,
            &text,
            self.client.answer_check,
            self.client.clock.now(),
        );
        match (outcome, end) {
            // Shorter than what the gateway would read, and there was more to come: this is not the answer.
            (Outcome::Delivered { answer, .. }, End::Broken(failure)) if text.len() < EXCERPT => Outcome::Unavailable {
                cause: failure.cause,
                answer: Some(answer),
                detail: failure.detail,
            },
            (outcome, _) => outcome,
        }
    }

    /// A redirect that is not followed.
    fn refuse(&self, received: Received, reason: &str) -> Outcome {
        match self.judge(received) {
            Outcome::Rejected { cause, answer, .. } => Outcome::Rejected {
                cause,
                answer,
                detail: reason.to_owned(),
            },
            other => other,
        }
    }
}

/// Why a request got no answer.
struct Unanswered {
    failure: Failure,
    /// The connection ended before there was an answer.
    hung_up: bool,
}

struct Received {
    status: StatusCode,
    headers: HeaderMap,
    text: Vec<u8>,
    end: End,
}

/// A URL, taken apart for requests.
#[derive(Debug)]
struct Place {
    url: Url,
    origin: Origin,
    /// Path and query.
    uri: Uri,
    host: HeaderValue,
}

impl Place {
    fn new(url: Url) -> Option<Self> {
        Some(Self {
            origin: Origin::of(&url)?,
            uri: url[url::Position::BeforePath..url::Position::AfterQuery].parse().ok()?,
            host: host_header(&url)?,
            url,
        })
    }

    fn request(&self, rendered: &Rendered) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(rendered.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = rendered.headers.clone();
        request
    }
}

/// The `host` header of requests to a URL.
pub(super) fn host_header(url: &Url) -> Option<HeaderValue> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    HeaderValue::from_str(host).ok().filter(|host| !host.is_empty())
}

/// Where an answer sends us, if it is a redirect that asks for the same request again; or why we do not go there.
///
/// The gateway does the same (protocol.md 4), but knows no reason not to go.
fn redirect(from: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Result<Place, &'static str>> {
    if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(url) = location.and_then(|place| from.join(place).ok()) else {
        return Some(Err("sent on, but not told where"));
    };
    Some(if url.host() != from.host() {
        Err("sent on to another host")
    } else if url.scheme() != from.scheme() && (from.scheme(), url.scheme()) != ("http", "https") {
        Err("sent on to a place without TLS")
    } else {
        Place::new(url).ok_or("sent on to a place that is no URL")
    })
}

#[cfg(test)]
mod tests;
