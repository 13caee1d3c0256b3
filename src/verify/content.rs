use std::ops::Range;

use serde_json::Value;

use super::members::{Member, Object, members};
use crate::domain::{Format, Mode, ShopId};

/// A body that reads as a notification; whether it is one, the signature decides.
#[derive(Clone, Debug)]
pub enum Content {
    Form(FormContent),
    Rest(RestContent),
}

/// Why a body is no notification. The texts go into the answer, so none repeats what was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    #[error("both kr-answer and vads_ fields: neither format")]
    BothFormats,
    #[error("a percent escape is cut short")]
    BrokenEscape,
    #[error("kr-answer has the same key twice, or one written with an escape, where it matters")]
    DoubtfulKey,
    #[error("kr-answer is not a JSON object")]
    NotJson,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("neither kr-answer nor vads_ fields: no notification")]
    NoFormat,
    #[error("shopId is not plain digits")]
    ShopNotDigits,
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("the same field twice")]
    RepeatedField,
    #[error("the mode is neither TEST nor PRODUCTION")]
    UnknownMode,
}

impl Content {
    /// Reads a body of `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for what cannot be a notification of either format.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let fields = decode_fields(body)?;
        let rest = fields.iter().any(|field| field.name == "kr-answer");
        let form = fields.iter().any(|field| field.name.starts_with("vads_"));
        let fields = FormContent { fields };
        match (rest, form) {
            (true, true) => Err(Malformed::BothFormats),
            (false, false) => Err(Malformed::NoFormat),
            (false, true) => Ok(Self::Form(fields)),
            (true, false) => RestContent::new(fields).map(Self::Rest),
        }
    }

    /// Which of the two it is.
    pub fn format(&self) -> Format {
        match self {
            Self::Form(_) => Format::Form,
            Self::Rest(_) => Format::Rest,
        }
    }
}

/// One `name=value` of the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    pub name: String,
    /// Decoded.
    pub value: String,
    /// Where the value stands in the body, still encoded.
    pub raw_value: Range<usize>,
}

/// The fields of a body, each name once, in the order received.
#[derive(Clone, Debug)]
pub struct FormContent {
    fields: Vec<Field>,
}

impl FormContent {
    /// All of them, unsigned ones too.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Names and decoded values, as a signature wants them.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (field.name.as_str(), field.value.as_str()))
    }

    /// One of them.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Its decoded value, empty or not.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.field(name).map(|field| field.value.as_str())
    }

    /// Its decoded value unless it is empty: the gateway sends many empty fields.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }
}

/// A REST notification: the outer fields, and the JSON in `kr-answer`.
#[derive(Clone, Debug)]
pub struct RestContent {
    outer: FormContent,
    text: String,
    json: Value,
    members: Vec<Member>,
}

impl RestContent {
    fn new(outer: FormContent) -> Result<Self, Malformed> {
        let text = outer.value("kr-answer").unwrap_or_default().to_owned();
        let json: Value = serde_json::from_str(&text).map_err(|_| Malformed::NotJson)?;
        if !json.is_object() {
            return Err(Malformed::NotJson);
        }
        let members = members(&text).ok_or(Malformed::DoubtfulKey)?;
        Ok(Self {
            outer,
            text,
            json,
            members,
        })
    }

    /// `kr-hash` and the others; only `kr-answer` is signed.
    pub fn outer(&self) -> &FormContent {
        &self.outer
    }

    /// The signed text, as decoded from the body.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signed text, read.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Where the members of `$`, `$.orderDetails` and `$.transactions[*]` stand in the text.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Where the value of a member of `$` stands in the text.
    pub fn top(&self, key: &str) -> Option<Range<usize>> {
        self.members
            .iter()
            .find(|m| m.object == Object::Top && m.key == key)
            .map(|m| m.value.clone())
    }

    /// `$.shopId`, if it is there.
    ///
    /// # Errors
    ///
    /// [`Malformed::ShopNotDigits`] unless it is a string of plain digits; 8 or not is for the keyring to say.
    pub fn shop(&self) -> Result<Option<&str>, Malformed> {
        match &self.json["shopId"] {
            Value::Null => Ok(None),
            Value::String(id) if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(id)),
            _ => Err(Malformed::ShopNotDigits),
        }
    }

    /// `$.orderDetails.mode`, if it is there.
    ///
    /// # Errors
    ///
    /// [`Malformed::UnknownMode`] if it is not one of the two words.
    pub fn mode(&self) -> Result<Option<Mode>, Malformed> {
        match &self.json["orderDetails"]["mode"] {
            Value::Null => Ok(None),
            Value::String(word) => Mode::from_word(word).map(Some).ok_or(Malformed::UnknownMode),
            _ => Err(Malformed::UnknownMode),
        }
    }
}

impl Content {
    /// The id of the shop that it names, as written, if it is one at all.
    pub fn named_shop(&self) -> Option<ShopId> {
        match self {
            Self::Form(form) => form.value("vads_site_id")?.parse().ok(),
            Self::Rest(rest) => rest.shop().ok()??.parse().ok(),
        }
    }
}

fn decode_fields(body: &[u8]) -> Result<Vec<Field>, Malformed> {
    let mut fields = Vec::<Field>::new();
    let mut at = 0;
    for pair in body.split(|&b| b == b'&') {
        let start = at;
        at += pair.len() + 1;
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
        let value_at = (equals + 1).min(pair.len());
        fields.push(Field {
            name: unescape(&pair[..equals])?,
            value: unescape(&pair[value_at..])?,
            raw_value: start + value_at..start + pair.len(),
        });
    }
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Malformed::RepeatedField);
    }
    Ok(fields)
}

/// Strict where most libraries are lenient: what another reader could read otherwise is refused, not guessed.
fn unescape(raw: &[u8]) -> Result<String, Malformed> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|&d| char::from(d).to_digit(16))
                        .ok_or(Malformed::BrokenEscape)
                };
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).expect("two hex digits fit a byte")
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> FormContent {
        match Content::decode(body.as_bytes()) {
            Ok(Content::Form(form)) => form,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_are_decoded_and_their_place_is_kept() {
        let body = "vads_a=d%C3%A9mo+x%2B&&other&vads_b=";
        let form = form(body);
        assert_eq!(form.value("vads_a"), Some("démo x+"));
        assert_eq!(&body[form.field("vads_a").unwrap().raw_value.clone()], "d%C3%A9mo+x%2B");
        assert_eq!(form.value("other"), Some(""));
        assert_eq!((form.value("vads_b"), form.filled("vads_b")), (Some(""), None));
        assert_eq!(form.field("vads_b").unwrap().raw_value, body.len()..body.len());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let why = |body: &[u8]| Content::decode(body).unwrap_err();
        assert_eq!(why(b"vads_a=1&vads%5Fa=2"), Malformed::RepeatedField);
        assert_eq!(why(b"vads_a=%C3"), Malformed::NotUtf8);
        assert_eq!(why(b"vads_a=%4"), Malformed::BrokenEscape);
        assert_eq!(why(b"vads_a=%zz"), Malformed::BrokenEscape);
        assert_eq!(why(b"vads_a=1&kr-answer={}"), Malformed::BothFormats);
        assert_eq!(why(b"a=1"), Malformed::NoFormat);
        assert_eq!(why(b""), Malformed::NoFormat);
        assert_eq!(why(b"kr-answer=[]"), Malformed::NotJson);
        assert_eq!(why(b"kr-answer={"), Malformed::NotJson);
        assert_eq!(
            why(b"kr-answer={\"shopId\":\"1\",\"shopId\":\"2\"}"),
            Malformed::DoubtfulKey
        );
        assert_eq!(why(b"kr-answer={\"\\u0073hopId\":\"1\"}"), Malformed::DoubtfulKey);
    }
}
