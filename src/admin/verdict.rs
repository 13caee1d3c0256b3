use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a configuration that was to be applied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Verdict {
    pub verdict: VerdictKind,
    /// The configuration that runs now: the hash of its texts.
    pub running: String,
    /// What differs from what ran before.
    pub changes: Vec<Told>,
    /// Errors, if it is refused; and what is to be said about it all the same.
    pub problems: Vec<Problem>,
}

/// Something to be said about a configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Why it is refused, and not only worth a word.
    pub is_error: bool,
    /// On one line.
    pub line: String,
    /// With the place and what to write instead, on several lines.
    pub text: String,
}

impl From<String> for Problem {
    fn from(line: String) -> Self {
        Self {
            is_error: true,
            text: line.clone(),
            line,
        }
    }
}

/// In one word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// It runs now.
    Applied,
    /// It has dangerous changes, which nobody has confirmed: the one before runs on.
    NeedsConfirmation,
    /// It cannot be used: the one before runs on.
    Refused,
    /// It says the same as what runs.
    Unchanged,
    /// It would be applied; nobody asked for that.
    WouldApply,
}

/// A change, in words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Told {
    pub what: String,
    /// On the deliveries that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// Why it wants to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub danger: Option<String>,
}
