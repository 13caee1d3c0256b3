//! Words of the command line, to what they mean.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::domain::{Format, Kind, Mode};

/// The name of a kind.
pub(super) fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|name| name.parse::<Kind>())
}

/// `form` or `rest`.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new([Format::Form, Format::Rest].map(Format::word))
        .map(|word| Format::from_word(&word).expect("one of the possible values"))
}

/// `test` or `production`.
pub(super) fn modes() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["test", "production"])
        .map(|word| Mode::from_word(&word.to_uppercase()).expect("one of the possible values"))
}
