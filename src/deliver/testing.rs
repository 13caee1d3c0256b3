//! What the tests of this folder share.

use super::{AnswerCheck, Settings, Signing, Timeouts};
use crate::domain::{DestinationKey, Mode, Rendition, RetryPolicy};

pub(super) const LYON: &str = "23456789";

/// A destination of shop Lyon in TEST, as configured with nothing but its URL.
pub(super) fn settings(rendition: Rendition, url: &str) -> Settings {
    Settings {
        key: DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: LYON.parse().unwrap(),
            mode: Mode::Test,
            rendition,
        },
        shop_name: "ACME Lyon".to_owned(),
        legal_entity_name: "ACME SAS".to_owned(),
        url: url.parse().unwrap(),
        signing: Signing::default(),
        retry: RetryPolicy::default(),
        concurrency: 1.try_into().unwrap(),
        rate: None,
        timeouts: Timeouts::default(),
        answer_check: AnswerCheck::Verdict,
        tells_attempts: false,
        allow_private: false,
        ca: None,
        client_certificate: None,
    }
}
