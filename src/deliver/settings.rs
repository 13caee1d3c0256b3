use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::TlsError;
use crate::domain::{DestinationKey, RetryPolicy, Secret};
use crate::verify::FormHash;

/// Everything that delivering to one destination needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub key: DestinationKey,
    /// For logs and e-mails.
    pub shop_name: String,
    pub legal_entity_name: String,
    pub url: Url,
    pub signing: Signing,
    pub retry: RetryPolicy,
    /// Attempts at once.
    pub concurrency: NonZeroUsize,
    /// Attempts a second; `None`: no limit.
    pub rate: Option<f64>,
    pub timeouts: Timeouts,
    pub answer_check: AnswerCheck,
    /// Whether people want an e-mail of each failed attempt (`failure_emails_on = "every-attempt"`).
    pub tells_attempts: bool,
    /// Whether its host may have a private, loopback or link-local address.
    pub allow_private: bool,
    /// PEM file with the only authorities to trust; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// PEM files that prove us to the shop: certificate chain and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// What a shop's renditions are signed with; the first of each list signs what the gateway would have signed, and
/// every event secret signs events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signing {
    pub form_keys: Vec<Secret>,
    pub form_hashes: Vec<FormHash>,
    pub rest_passwords: Vec<Secret>,
    pub event_secrets: Vec<Secret>,
}

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request to the answer's head.
    pub first_byte: Duration,
    /// All of it.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            whole: Duration::from_secs(35),
        }
    }
}

/// `answer_check`: whether the text of an answer is looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AnswerCheck {
    StatusOnly,
    /// `KO-…` in a plugin's answer is a complaint.
    #[default]
    Verdict,
}

/// Why a destination cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("an event secret is not base64 after `whsec_`")]
    BadEventSecret,
    #[error("the URL is neither http nor https, or has no host")]
    BadUrl,
    #[error(transparent)]
    Tls(#[from] TlsError),
}
