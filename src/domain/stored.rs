//! Ids and words as JSON writes them: the text that `Display` prints and `FromStr` reads.
//!
//! What the outbox keeps as JSON (incidents, troubles, verbs) and what the API tells needs this; the API's description
//! says which texts there are.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{Format, Kind, KindPattern, LegalEntityId, Mode, NotificationId, Rendition, ShopId};

macro_rules! as_text {
    ($($noun:ty, $read:expr);+ $(;)?) => {$(
        impl Serialize for $noun {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $noun {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                let read: fn(&str) -> Option<Self> = $read;
                read(&text).ok_or_else(|| D::Error::custom(concat!("not a ", stringify!($noun))))
            }
        }
    )+};
}

as_text! {
    Format, |word| [Self::Form, Self::Rest].into_iter().find(|format| format.word() == word);
    Kind, |name| name.parse().ok();
    KindPattern, |pattern| pattern.parse().ok();
    LegalEntityId, |key| key.parse().ok();
    Mode, Self::from_word;
    NotificationId, |id| id.parse().ok();
    Rendition, Self::from_word;
    ShopId, |digits| digits.parse().ok();
}

macro_rules! described {
    ($($noun:ty, $schema:expr);+ $(;)?) => {$(
        impl PartialSchema for $noun {
            fn schema() -> RefOr<Schema> {
                let schema: ObjectBuilder = $schema;
                schema.schema_type(Type::String).into()
            }
        }

        impl ToSchema for $noun {}
    )+};
}

described! {
    Format, ObjectBuilder::new().enum_values(Some([Self::Form, Self::Rest].map(Self::word)));
    Kind, ObjectBuilder::new().enum_values(Some(Self::ALL.map(Self::name)));
    KindPattern, ObjectBuilder::new().enum_values(Some(
        Kind::ALL.map(Kind::name).into_iter().chain(["*", "registration.*", "subscription.*", "token.*"]),
    ));
    LegalEntityId, ObjectBuilder::new().pattern(Some("^[A-Za-z0-9_-]{1,64}$"));
    Mode, ObjectBuilder::new().enum_values(Some(Self::ALL.map(Self::word)));
    NotificationId, ObjectBuilder::new()
        .pattern(Some("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"));
    Rendition, ObjectBuilder::new().enum_values(Some(Self::ALL.map(Self::word)));
    ShopId, ObjectBuilder::new().pattern(Some("^[0-9]{8}$"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_gives_back_what_was_written() {
        let shop: ShopId = "01234567".parse().unwrap();
        let json = serde_json::to_string(&(shop, Mode::Test, Format::Rest, Kind::TokenCreated)).unwrap();
        assert_eq!(json, r#"["01234567","TEST","rest","token.created"]"#);
        assert_eq!(
            serde_json::from_str::<(ShopId, Mode, Format, Kind)>(&json).unwrap(),
            (shop, Mode::Test, Format::Rest, Kind::TokenCreated)
        );
        assert!(serde_json::from_str::<Mode>(r#""test""#).is_err());
    }
}
