use std::num::NonZeroUsize;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use url::{Position, Url};

use crate::deliver::{AnswerCheck, Rendered, Settings, Signing, Timeouts};
use crate::domain::{DestinationKey, Mode, Rendition, RetryPolicy};

/// How any address is called: as a destination is, by the same client; the names are those of an example.
pub fn settings(to: Url, mode: Mode) -> Settings {
    Settings {
        key: DestinationKey {
            legal_entity: "example".parse().expect("letters"),
            shop: "12345678".parse().expect("8 digits"),
            mode,
            rendition: Rendition::Event,
        },
        shop_name: "Example shop".to_owned(),
        legal_entity_name: "Example company".to_owned(),
        url: to,
        signing: Signing::default(),
        retry: RetryPolicy::default(),
        concurrency: NonZeroUsize::MIN,
        rate: None,
        timeouts: Timeouts::default(),
        // Every answer is shown as it is.
        tells_attempts: false,
        answer_check: AnswerCheck::StatusOnly,
        // Whoever simulates knows where to.
        allow_private: true,
        ca: None,
        client_certificate: None,
    }
}

/// A call of the gateway to this address (protocol.md 1.1).
pub fn call(to: &Url, body: Bytes) -> Rendered {
    let mut headers = HeaderMap::from_iter([
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        ),
        (USER_AGENT, HeaderValue::from_static("ipn-router-simulator")),
    ]);
    let host = HeaderValue::from_str(&to[Position::BeforeHost..Position::AfterPort]);
    headers.extend(host.ok().map(|host| (HOST, host)));
    Rendered { headers, body }
}
