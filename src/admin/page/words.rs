//! Small words and marks that several pages use.

use crate::domain::{DestinationKey, Format, Rendition};
use crate::outbox::{AttemptLine, DeliveryState, EmailState};

/// How something is to be taken; the word is a class of the style.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Bad,
    Good,
    None,
    Warn,
}

impl Tone {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::None => "none",
            Self::Warn => "warn",
        }
    }
}

/// A word with its colour: never the colour alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Badge {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { tone, text }
    }
}

impl From<DeliveryState> for Badge {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Cancelled => Self::new(Tone::None, "cancelled"),
            DeliveryState::Delivered => Self::new(Tone::Good, "delivered"),
            DeliveryState::GivenUp => Self::new(Tone::Bad, "given up"),
            DeliveryState::Waiting => Self::new(Tone::Warn, "waiting"),
        }
    }
}

impl From<EmailState> for Badge {
    fn from(state: EmailState) -> Self {
        match state {
            EmailState::GivenUp => Self::new(Tone::Bad, "given up"),
            EmailState::HeldBack => Self::new(Tone::None, "in a digest"),
            EmailState::Sent => Self::new(Tone::Good, "sent"),
            EmailState::Waiting { .. } => Self::new(Tone::Warn, "waiting"),
        }
    }
}

/// What an attempt came to.
impl From<&AttemptLine> for Badge {
    fn from(attempt: &AttemptLine) -> Self {
        let tone = if attempt.cause.is_none() { Tone::Good } else { Tone::Bad };
        match (attempt.status, &attempt.cause) {
            (Some(status), _) => Self::new(tone, status.to_string()),
            (None, Some(cause)) => Self::new(tone, cause.clone()),
            (None, None) => Self::new(tone, "delivered"),
        }
    }
}

/// What is sent there, in words.
pub(super) fn gets(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) => "its own, by form",
        Rendition::AsReceived(Format::Rest) => "its own, by REST",
        Rendition::Event => "events",
        Rendition::ReSigned(Format::Form) => "others', re-signed form",
        Rendition::ReSigned(Format::Rest) => "others', re-signed REST",
    }
}

/// A destination in a sentence.
pub(super) fn destination(key: &DestinationKey) -> String {
    format!("shop {} in {} ({})", key.shop, key.mode, gets(key.rendition))
}

/// A number with its noun.
pub(super) fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1_u32, "e-mail", "e-mails"), "1 e-mail");
        assert_eq!(counted(0_u32, "e-mail", "e-mails"), "0 e-mails");
    }

    #[test]
    fn every_rendition_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> = Rendition::ALL.into_iter().map(gets).collect();
        assert_eq!(words.len(), Rendition::ALL.len());
    }
}
