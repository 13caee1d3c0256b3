use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a shop's service answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The first 512 bytes, which is what the gateway reads too (protocol.md 4).
    pub excerpt: Vec<u8>,
    /// From `Retry-After`; a minimum for the next attempt.
    pub retry_after: Option<Duration>,
}

/// Why an attempt got no answer, or none that counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The address is private, and the shop may not have one.
    Blocked,
    /// The connection was refused, reset or cut off.
    Connect,
    /// The host name has no address.
    Dns,
    /// The answer is no HTTP, or larger than we read.
    Protocol,
    /// An answer that asks to go elsewhere, where we do not go.
    Redirect,
    /// The notification could not be rendered for this destination: a key is missing here.
    Render,
    /// The host name could not be looked up just now.
    Resolver,
    /// An answer with this HTTP status.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// The TLS handshake failed.
    Tls,
}

impl Cause {
    /// One word for logs and the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::Render => "render",
            Self::Resolver => "resolver",
            Self::Status(_) => "status",
            Self::TimedOut => "time-out",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP status {status}"),
            other => f.write_str(other.word()),
        }
    }
}

/// What a plugin of the gateway says in the text of a 200 answer (`OK-…`, `KO-…`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// `KO-…` as the shop wrote it, without tags, at most 200 characters.
    pub text: String,
    /// Whether it complains of the signature: then a key here differs from the shop's.
    pub about_signature: bool,
}

/// How an attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The shop has it. `ko` is its complaint, if any: delivered all the same (design.md 8).
    Delivered { answer: Answer, ko: Option<Verdict> },
    /// The shop answered, and does not want it.
    Rejected {
        cause: Cause,
        answer: Option<Answer>,
        detail: String,
    },
    /// The shop could not be reached or is not able now.
    Unavailable {
        cause: Cause,
        answer: Option<Answer>,
        detail: String,
    },
}

impl Outcome {
    /// Whether the delivery has ended well.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// Why it failed, if it did.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Delivered { .. } => None,
            Self::Rejected { cause, .. } | Self::Unavailable { cause, .. } => Some(*cause),
        }
    }

    /// What went wrong, in words; empty if nothing did.
    pub fn detail(&self) -> &str {
        match self {
            Self::Delivered { ko, .. } => ko.as_ref().map_or("", |verdict| &verdict.text),
            Self::Rejected { detail, .. } | Self::Unavailable { detail, .. } => detail,
        }
    }

    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Delivered { answer, .. } => Some(answer),
            Self::Rejected { answer, .. } | Self::Unavailable { answer, .. } => answer.as_ref(),
        }
    }
}
