//! What a shop is sent: a stored notification as one destination wants it. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

use super::client::host_header;
use super::{Rendered, Settings, SetupError, splice};
use crate::domain::{Format, Rendition, Secret, ShopId};
use crate::outbox::{Head, StoredNotification};
use crate::route::{EventFacts, Happening, event_body};
use crate::verify::{Content, FormHash, Malformed};

// What comes with every attempt, so that a shop can tell repetitions apart and knows what it is looking at.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const ATTEMPT: HeaderName = HeaderName::from_static("ipn-router-attempt");
const KIND: HeaderName = HeaderName::from_static("ipn-router-kind");
const LEGAL_ENTITY: HeaderName = HeaderName::from_static("ipn-router-legal-entity");
const NAMED_SHOP: HeaderName = HeaderName::from_static("ipn-router-named-shop");
const REPLAY: HeaderName = HeaderName::from_static("ipn-router-replay");
const RESEND_OF: HeaderName = HeaderName::from_static("ipn-router-resend-of");

/// What the gateway sends; also assumed if a notification came without saying (protocol.md 1.1).
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("ipn-router/", env!("CARGO_PKG_VERSION")));

/// Which attempt of a delivery it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nth {
    /// From 1.
    pub attempt: u32,
    /// How many times the delivery was replayed.
    pub replays: u32,
    /// See [`Head::renewed`].
    pub renewed: u32,
}

impl Nth {
    /// The first attempt of what was never replayed.
    pub const FIRST: Self = Self {
        attempt: 1,
        replays: 0,
        renewed: 0,
    };
}

impl From<Head> for Nth {
    fn from(head: Head) -> Self {
        Self {
            attempt: head.attempts + 1,
            replays: head.replays,
            renewed: head.renewed,
        }
    }
}

/// Why a notification cannot be sent to a destination; trying again does not help.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RenderError {
    #[error("the body was kept for as long as it may be, and is deleted")]
    BodyDeleted,
    #[error("no {0} key of this shop is configured here, so nothing can be signed for it")]
    NoKey(Format),
    #[error("the notification has no event")]
    NoEvent,
    #[error("the notification came in the other format")]
    OtherFormat,
    #[error("the stored body no longer reads as a notification")]
    Unreadable(#[source] Malformed),
}

/// Renders for one destination; what is the same for all its deliveries is prepared once.
#[derive(Clone, Debug)]
pub struct Renderer {
    shop: ShopId,
    rendition: Rendition,
    form_key: Option<(Secret, FormHash)>,
    rest_password: Option<Secret>,
    events: Vec<EventKey>,
    fixed: HeaderMap,
}

impl Renderer {
    /// Prepares what does not depend on the notification.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if an event secret or the URL is of no use.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let signing = &settings.signing;
        let legal_entity = HeaderValue::from_str(settings.key.legal_entity.as_str());
        let fixed = [
            (HOST, host_header(&settings.url).ok_or(SetupError::BadUrl)?),
            (USER_AGENT, OURSELVES),
            (LEGAL_ENTITY, legal_entity.expect("a legal entity's key is ASCII")),
        ];
        let form_key = signing.form_keys.first().zip(signing.form_hashes.first());
        Ok(Self {
            shop: settings.key.shop,
            rendition: settings.key.rendition,
            form_key: form_key.map(|(key, hash)| (key.clone(), *hash)),
            rest_password: signing.rest_passwords.first().cloned(),
            events: signing
                .event_secrets
                .iter()
                .map(EventKey::new)
                .collect::<Result<_, _>>()?,
            fixed: HeaderMap::from_iter(fixed),
        })
    }

    /// Returns the request of one attempt.
    ///
    /// # Errors
    ///
    /// [`RenderError`] if this notification cannot be sent to this destination.
    pub fn render(&self, stored: &StoredNotification, nth: Nth, now: Timestamp) -> Result<Rendered, RenderError> {
        let body = self.body(stored)?;
        let mut headers = self.fixed.clone();
        // The same at every attempt and every replay, so that a shop can tell what it has already; unless an operator
        // wanted it to be taken for a new one.
        let mut id = format!("{}-{}-{}", stored.id, self.shop, self.rendition);
        if nth.renewed > 0 {
            id = format!("{id}-{}", nth.renewed);
        }
        let timestamp = now.as_second();
        if let Some(signature) = self.signature(&id, timestamp, &body) {
            headers.insert(WEBHOOK_SIGNATURE, ascii(signature));
        }
        headers.insert(WEBHOOK_ID, ascii(id));
        headers.insert(WEBHOOK_TIMESTAMP, timestamp.into());
        headers.insert(ATTEMPT, nth.attempt.into());
        headers.insert(KIND, HeaderValue::from_static(stored.matter.kind.name()));
        headers.insert(NAMED_SHOP, ascii(stored.shop.to_string()));
        if nth.replays > 0 {
            headers.insert(REPLAY, nth.replays.into());
        }
        if let Some(first) = stored.resend_of {
            headers.insert(RESEND_OF, ascii(first.to_string()));
        }
        headers.insert(
            CONTENT_TYPE,
            match self.rendition {
                Rendition::Event => JSON,
                Rendition::AsReceived(_) | Rendition::ReSigned(_) => content_type(&stored.headers),
            },
        );
        Ok(Rendered { headers, body })
    }

    fn body(&self, stored: &StoredNotification) -> Result<Bytes, RenderError> {
        // What was verified was not empty; a shop must not get what is left of it.
        if stored.body.is_empty() {
            return Err(RenderError::BodyDeleted);
        }
        match self.rendition {
            Rendition::AsReceived(_) => Ok(stored.body.clone()),
            Rendition::Event => event(stored),
            Rendition::ReSigned(format) => self.re_signed(stored, format),
        }
    }

    fn re_signed(&self, stored: &StoredNotification, format: Format) -> Result<Bytes, RenderError> {
        match (format, read(stored)?) {
            (Format::Form, Content::Form(content)) => {
                let (key, hash) = self.form_key.as_ref().ok_or(RenderError::NoKey(format))?;
                splice::form(&stored.body, &content, self.shop, key, *hash)
            }
            (Format::Rest, Content::Rest(content)) => {
                let password = self.rest_password.as_ref().ok_or(RenderError::NoKey(format))?;
                splice::rest(&stored.body, &content, stored.shop, self.shop, password)
            }
            _ => Err(RenderError::OtherFormat),
        }
    }

    /// One signature per secret, so that a shop can change its secret without missing an event.
    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let sign = |key: &EventKey| key.sign(id, timestamp, body);
        self.events.iter().map(sign).reduce(|all, next| all + " " + &next)
    }
}

/// An event secret, ready to sign by Standard Webhooks.
///
/// Signing here instead of by that project's crate takes a tenth of the time, which is part of every delivery; the
/// tests check each signature with the crate.
#[derive(Clone, Debug)]
struct EventKey(Hmac<Sha256>);

impl EventKey {
    fn new(secret: &Secret) -> Result<Self, SetupError> {
        let text = secret.expose();
        let encoded = text.strip_prefix(b"whsec_").unwrap_or(text);
        let key = STANDARD.decode(encoded).map_err(|_| SetupError::BadEventSecret)?;
        if key.is_empty() {
            return Err(SetupError::BadEventSecret);
        }
        Ok(Self(
            Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"),
        ))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The event's JSON, made by whichever delivery needs it first.
fn event(stored: &StoredNotification) -> Result<Bytes, RenderError> {
    if let Some(made) = stored.event_body.get() {
        return Ok(made.clone());
    }
    let happening = Happening::read(&read(stored)?);
    let facts = EventFacts {
        kind: stored.matter.kind,
        identity: stored.event.ok_or(RenderError::NoEvent)?,
        received_at: stored.received_at,
        legal_entity: &stored.legal_entity,
        named_shop: stored.shop,
        mode: stored.mode,
        resend: happening.is_resend(stored.received_at),
    };
    let made = event_body(&happening, &facts).into();
    Ok(stored.event_body.get_or_init(|| made).clone())
}

fn read(stored: &StoredNotification) -> Result<Content, RenderError> {
    Content::decode(&stored.body).map_err(RenderError::Unreadable)
}

/// The content type that the gateway gave.
fn content_type(headers: &str) -> HeaderValue {
    headers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .and_then(|(_, value)| HeaderValue::from_str(value.trim()).ok())
        .unwrap_or(FORM)
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids and signatures are ASCII")
}

#[cfg(test)]
mod tests;
