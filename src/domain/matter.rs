use serde::{Deserialize, Serialize};

use super::Kind;

/// What a notification is about, as far as it matters to those who miss it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Matter {
    pub kind: Kind,
    /// What became of the charge that it carries, if it carries one.
    pub charge: Option<Charge>,
}

/// What became of money that was to be taken or given back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    Failed,
    Succeeded,
}

impl Charge {
    /// The word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }

    /// The charge with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Failed, Self::Succeeded]
            .into_iter()
            .find(|charge| charge.word() == word)
    }
}

/// Without a charge.
impl From<Kind> for Matter {
    fn from(kind: Kind) -> Self {
        Self { kind, charge: None }
    }
}
