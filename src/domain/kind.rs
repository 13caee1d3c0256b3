use std::fmt;
use std::str::FromStr;

/// What a notification tells; `route::kind` has the rules that find it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Other,
    Payment,
    RegistrationFailed,
    SubscriptionCreated,
    SubscriptionInstalment,
    TokenCancelled,
    TokenCreated,
    TokenOther,
    TokenSaved,
    TokenUpdated,
}

impl Kind {
    /// Every kind, in alphabetical order of the variants.
    pub const ALL: [Self; 10] = [
        Self::Other,
        Self::Payment,
        Self::RegistrationFailed,
        Self::SubscriptionCreated,
        Self::SubscriptionInstalment,
        Self::TokenCancelled,
        Self::TokenCreated,
        Self::TokenOther,
        Self::TokenSaved,
        Self::TokenUpdated,
    ];

    /// The name in events, the configuration's `share` and e-mails.
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Payment => "payment",
            Self::RegistrationFailed => "registration.failed",
            Self::SubscriptionCreated => "subscription.created",
            Self::SubscriptionInstalment => "subscription.instalment",
            Self::TokenCancelled => "token.cancelled",
            Self::TokenCreated => "token.created",
            Self::TokenOther => "token.other",
            Self::TokenSaved => "token.saved",
            Self::TokenUpdated => "token.updated",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not the name of a kind, nor a pattern of names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a kind of notification")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(UnknownKind)
    }
}

/// An entry of `share`: a kind's name, a family (`token.*`), or `*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KindPattern {
    All,
    /// `token.*`, `subscription.*` or `registration.*`, named by one of its kinds' first word.
    Family(&'static str),
    One(Kind),
}

impl KindPattern {
    /// Whether a kind is meant.
    pub fn matches(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Family(family) => kind.name().split_once('.').is_some_and(|(first, _)| first == family),
            Self::One(one) => one == kind,
        }
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Family(family) => write!(f, "{family}.*"),
            Self::One(kind) => kind.fmt(f),
        }
    }
}

impl FromStr for KindPattern {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        if text == "*" {
            return Ok(Self::All);
        }
        match text.strip_suffix(".*") {
            Some(family) => Kind::ALL
                .into_iter()
                .filter_map(|kind| kind.name().split_once('.'))
                .find_map(|(first, _)| (first == family).then_some(Self::Family(first)))
                .ok_or(UnknownKind),
            None => text.parse().map(Self::One),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("token".parse::<Kind>(), Err(UnknownKind));
        for pattern in ["*", "token.*", "subscription.*", "payment"] {
            assert_eq!(pattern.parse::<KindPattern>().unwrap().to_string(), pattern);
        }
    }

    #[test]
    fn token_family_is_the_five_token_kinds() {
        let family: KindPattern = "token.*".parse().unwrap();
        assert_eq!(Kind::ALL.into_iter().filter(|k| family.matches(*k)).count(), 5);
        assert!(!family.matches(Kind::Payment));
        assert_eq!("tok.*".parse::<KindPattern>(), Err(UnknownKind));
        assert_eq!("payment.*".parse::<KindPattern>(), Err(UnknownKind));
    }
}
