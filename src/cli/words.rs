//! Words of the command line, to what they mean.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::parse_duration;
use crate::domain::{Clock, Format, Kind, KindPattern, Mode, SystemClock};

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

/// A kind, or a family of them such as `token.*`.
pub(super) fn kind_pattern(text: &str) -> Result<KindPattern, String> {
    let names = Kind::ALL.map(Kind::name).join(", ");
    text.parse()
        .map_err(|_| format!("kinds are {names}; or all of a family: token.*"))
}

/// A time, a day in UTC, or how long ago.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Some(ago) = parse_duration(text) {
        return SystemClock.now().checked_sub(ago).map_err(|error| error.to_string());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    // Jiff would take the day of a time without its place, and leave the rest.
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.and_then(|day| day.to_zoned(TimeZone::UTC).ok())
        .map(|midnight| midnight.timestamp())
        .ok_or_else(|| "write 2h (ago), 2026-03-01 (midnight UTC), or 2026-03-01T14:30:00Z".to_owned())
}

/// How long, such as `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number and its unit: 30min, 2h, 1d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_a_moment_a_day_or_how_long_ago() {
        assert_eq!(time("2026-03-01").unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
        assert_eq!(
            time("2026-03-01T14:30:00+01:00").unwrap(),
            "2026-03-01T13:30:00Z".parse().unwrap()
        );
        let ago = SystemClock.now().duration_since(time("2h").unwrap()).as_secs();
        assert!((7_199..=7_260).contains(&ago), "{ago}");
        assert!(time("yesterday").is_err() && time("2026-03-01T14:30:00").is_err());
    }
}
