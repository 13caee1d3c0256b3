use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Somebody whose data is kept, as whoever asks about it knows him.
///
/// Neither `Debug` nor `Display` says who it is.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Person {
    /// The shop's own id of its customer, or the e-mail address, as the notifications have it.
    Customer(String),
    /// The whole token of a stored card.
    Token(String),
}

impl Person {
    /// What names the person.
    pub fn name(&self) -> &str {
        match self {
            Self::Customer(name) | Self::Token(name) => name,
        }
    }
}

/// `token #4ad2c0be`: whoever knows the name can tell that it was this person, and nobody can read it from that.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self {
            Self::Customer(_) => "customer",
            Self::Token(_) => "token",
        };
        let hash = hex::encode(&Sha256::digest(self.name())[..4]);
        write!(f, "{noun} #{hash}")
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_does_not_say_who_it_is() {
        let (token, customer) = (Person::Token("ann-1".into()), Person::Customer("ann-1".into()));
        let printed = format!("{token} {token:?} {customer} {customer:?}");
        assert!(!printed.contains("ann"), "{printed}");
        assert!(
            printed.starts_with("token #") && printed.contains("customer #"),
            "{printed}"
        );
        assert_ne!(token.to_string(), Person::Token("ann-2".into()).to_string());
    }

    #[test]
    fn one_key_says_how_the_person_is_known() {
        let json = serde_json::to_string(&Person::Token("ann-1".into())).unwrap();
        assert_eq!(json, r#"{"token":"ann-1"}"#);
        assert!(serde_json::from_str::<Person>(r#"{"name":"ann-1"}"#).is_err());
    }
}
