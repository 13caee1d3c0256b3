use std::fmt;

/// Test and production never mix: keys and addresses are looked up by mode too.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mode {
    Production,
    Test,
}

impl Mode {
    /// Both, for loops.
    pub const ALL: [Self; 2] = [Self::Production, Self::Test];

    /// The mode that the gateway writes with this word (`vads_ctx_mode`, `orderDetails.mode`); no other spelling counts.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "PRODUCTION" => Some(Self::Production),
            "TEST" => Some(Self::Test),
            _ => None,
        }
    }

    /// The gateway's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Production => "PRODUCTION",
            Self::Test => "TEST",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Production => Self::Test,
            Self::Test => Self::Production,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How the gateway wrote a notification.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Format {
    /// API form V1, V2: `vads_` fields.
    Form,
    /// REST API: JSON in `kr-answer`.
    Rest,
}

impl Format {
    /// As in the names of the configuration's keys (`form_url`, `rest_url`).
    pub fn word(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Rest => "rest",
        }
    }

    /// The format with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Form, Self::Rest]
            .into_iter()
            .find(|format| format.word() == word)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
