//! Texts as people write them, to runtime types.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

use super::codes::{self, Code};
use super::diagnostics::Problems;
use super::doctor::boolean;
use super::names::closest;
use super::reader::Value;
use super::source::At;

/// What a value must be, in words and by examples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) what: &'static str,
    pub(super) examples: &'static str,
}

const TEXT: Expected = Expected {
    what: "a text in quotes",
    examples: "put quotes around it",
};

/// Any text with something in it.
pub(super) fn text(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = any_text(value, TEXT, problems)?;
    let problem = |what: &str| value.problem(codes::BAD_TEXT, format!("`{}` {what}", value.key));
    if text.trim().is_empty() {
        problems.push(problem("is empty").instead("write something between the quotes, or leave the key out"));
        return None;
    }
    if text.chars().any(char::is_control) {
        problems.push(
            problem("holds a tab, a line end or another control character")
                .why("between double quotes, \\n is a line end and \\t a tab")
                .instead("one line; a path with \\ in it stands between single quotes"),
        );
        return None;
    }
    Some(text.trim().to_owned())
}

/// `true` or `false`.
pub(super) fn flag(value: &Value<'_>, problems: &mut Problems) -> Option<bool> {
    let flag = value.as_bool();
    if flag.is_none() {
        let written = value.as_str().map(str::to_owned);
        let written = written.or_else(|| value.as_integer().map(|number| number.to_string()));
        let problem = value.wrong_type("true or false, without quotes");
        problems.push(match written.as_deref().and_then(boolean) {
            Some(meant) => problem.instead(format!("{} = {meant}", value.key)),
            None => problem.instead("true or false"),
        });
    }
    flag
}

/// One of some words.
pub(super) fn word<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<T> + Copy {
    move |value, problems| {
        let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let Some(text) = value.as_str() else {
            let problem = value.wrong_type("a word in quotes");
            problems.push(problem.instead(format!("one of {}", quoted(&all))));
            return None;
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let what = format!("`{}` knows no such word", value.key);
            let problem = value.problem(codes::UNKNOWN_WORD, what);
            problems.push(match meant_word(text, &all) {
                Some(meant) => problem.instead(format!("did you mean \"{meant}\"?")),
                None => problem.instead(format!("one of {}", quoted(&all))),
            });
        }
        found.map(|(_, meaning)| *meaning)
    }
}

/// "sha256" is "hmac-sha-256", and "french" is "fr".
fn meant_word<'w>(text: &str, known: &[&'w str]) -> Option<&'w str> {
    let plain = |word: &str| word.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    let text = plain(text);
    let related = |known: &&&str| {
        let known = plain(known);
        text.len() > 2 && (known.contains(&text) || text.starts_with(&known))
    };
    closest(&text, known).or_else(|| known.iter().find(related).copied())
}

/// A list of such values; every wrong one is told.
pub(super) fn list<T>(
    read: impl Fn(&Value<'_>, &mut Problems) -> Option<T>,
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Vec<T>> {
    move |value, problems| {
        let Some(elements) = value.elements() else {
            let problem = value.wrong_type("a list in brackets");
            problems.push(problem.instead(format!(
                "{} = [\"…\", \"…\"], in brackets even if it is only one",
                value.key
            )));
            return None;
        };
        let read: Vec<_> = elements.iter().map(|element| read(element, problems)).collect();
        read.into_iter().collect()
    }
}

/// One such value or a list of them.
pub(super) fn one_or_list<T>(
    read: impl Fn(&Value<'_>, &mut Problems) -> Option<T>,
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Vec<T>> {
    move |value, problems| match value.elements() {
        Some(elements) if elements.is_empty() => {
            let what = format!("`{}` is an empty list", value.key);
            problems.push(value.problem(codes::BAD_TEXT, what).instead("leave the key out"));
            None
        }
        Some(_) => list(&read)(value, problems),
        None => read(value, problems).map(|one| vec![one]),
    }
}

/// The value with its place.
pub(super) fn at<T>(
    read: impl Fn(&Value<'_>, &mut Problems) -> Option<T>,
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<At<T>> {
    move |value, problems| {
        let spot = value.spot.clone();
        read(value, problems).map(|value| At { value, spot })
    }
}

/// Longer is a slip, and would reach past the calendar when added to a date.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// "30s", "2 h", "14d".
pub(super) fn duration(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let Some(text) = value.as_str() else {
        let number = value
            .as_integer()
            .filter(|number| *number > 0)
            .map(|number| number.to_string());
        problems.push(
            value
                .wrong_type("a time in quotes, with its unit")
                .instead(times(number.as_deref())),
        );
        return None;
    };
    let read = parse_duration(text);
    if read.is_none() {
        let number = text.trim();
        let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) && number != "0";
        let what = format!("`{}` must be a time with its unit", value.key);
        let problem = value.problem(codes::BAD_DURATION, what);
        problems.push(problem.instead(times(is_number.then_some(number))));
    }
    read
}

/// Such a time that must not be longer than another; `most` is that one in words.
pub(super) fn duration_within(
    longest: Duration,
    most: &'static str,
    why: &'static str,
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Duration> {
    move |value, problems| {
        let read = duration(value, problems)?;
        if read <= longest {
            return Some(read);
        }
        let what = format!("`{}` is longer than {most}", value.key);
        let problem = value.problem(codes::TOO_LONG, what);
        problems.push(problem.why(why).instead(format!("\"{most}\" or less")));
        None
    }
}

/// Such a time that must not be shorter than another; `least` is that one in words.
pub(super) fn duration_from(
    shortest: Duration,
    least: &'static str,
    why: &'static str,
) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Duration> {
    move |value, problems| {
        let read = duration(value, problems)?;
        if read >= shortest {
            return Some(read);
        }
        let what = format!("`{}` is shorter than {least}", value.key);
        let problem = value.problem(codes::TOO_SHORT, what);
        problems.push(problem.why(why).instead(format!("\"{least}\" or more")));
        None
    }
}

/// Examples; if a number stands alone, with that one.
fn times(number: Option<&str>) -> String {
    match number {
        Some(n) => format!("\"{n}s\" for seconds, \"{n}m\" minutes, \"{n}h\" hours, \"{n}d\" days"),
        None => "\"500ms\", \"30s\", \"5m\", \"2h\", \"14d\"; a year is \"365d\"".to_owned(),
    }
}

/// A time as people write it in the configuration: `90s`, `2h`, `14d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    // Jiff's "P14D" and "00:30" are not what people write.
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(':') {
        return None;
    }
    let span = SpanParser::new().parse_span(text).ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration)
        .ok()
        .filter(|read| !read.is_zero() && *read <= LONGEST)
}

/// "64 KiB", "1 MB", or bytes as a number.
pub(super) fn size(value: &Value<'_>, problems: &mut Problems) -> Option<usize> {
    let bytes = match value.as_integer() {
        Some(bytes) => usize::try_from(bytes).ok(),
        None => parse_size(any_text(value, SIZE, problems)?),
    };
    let read = bytes.filter(|bytes| (1024..=64 * 1024 * 1024).contains(bytes));
    if read.is_none() {
        let what = format!("`{}` must be {}", value.key, SIZE.what);
        problems.push(value.problem(codes::BAD_NUMBER, what).instead(SIZE.examples));
    }
    read
}

const SIZE: Expected = Expected {
    what: "a size from 1 KiB to 64 MiB",
    examples: "\"64 KiB\", \"1 MiB\"",
};

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1024,
        "m" | "mb" => 1000 * 1000,
        "mib" => 1024 * 1024,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

/// "10/s", "600/min".
pub(super) fn rate(value: &Value<'_>, problems: &mut Problems) -> Option<f64> {
    let expected = Expected {
        what: "a number of calls in a second, minute or hour",
        examples: "\"10/s\", \"600/min\", \"1000/h\"",
    };
    parsed(value, expected, codes::BAD_NUMBER, problems, parse_rate)
}

fn parse_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Some(number / seconds).filter(|rate| rate.is_finite() && *rate > 0.0)
}

/// A count from 1 to some bound.
pub(super) fn count(most: usize) -> impl Fn(&Value<'_>, &mut Problems) -> Option<NonZeroUsize> {
    move |value, problems| {
        let Some(number) = value.as_integer() else {
            let problem = value.wrong_type("a whole number, without quotes");
            problems.push(match value.as_str().and_then(|text| text.trim().parse::<u32>().ok()) {
                Some(number) => problem.instead(format!("{} = {number}", value.key)),
                None => problem.instead(format!("from 1 to {most}")),
            });
            return None;
        };
        let read = usize::try_from(number)
            .ok()
            .filter(|number| *number <= most)
            .and_then(NonZeroUsize::new);
        if read.is_none() {
            let what = format!("`{}` must be from 1 to {most}", value.key);
            problems.push(
                value
                    .problem(codes::BAD_NUMBER, what)
                    .instead("a number within these bounds"),
            );
        }
        read
    }
}

/// A path, relative to the file that it is written in.
pub(super) fn path(value: &Value<'_>, problems: &mut Problems) -> Option<PathBuf> {
    text(value, problems).map(|text| value.folder().join(text))
}

pub(super) fn any_text<'d>(value: &Value<'d>, expected: Expected, problems: &mut Problems) -> Option<&'d str> {
    let text = value.as_str();
    if text.is_none() {
        problems.push(value.wrong_type(expected.what).instead(expected.examples));
    }
    text
}

/// A text that some other type's parser reads.
pub(super) fn parsed<T>(
    value: &Value<'_>,
    expected: Expected,
    code: Code,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let read = parse(any_text(value, expected, problems)?.trim());
    if read.is_none() {
        let what = format!("`{}` must be {}", value.key, expected.what);
        problems.push(value.problem(code, what).instead(expected.examples));
    }
    read
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("14d", 14.0 * 86_400.0),
            ("30s", 30.0),
            ("2 h", 7_200.0),
            ("500ms", 0.5),
            ("1h 30m", 5_400.0),
            ("5 minutes", 300.0),
            ("1 week", 604_800.0),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_secs_f64()), Some(seconds), "{text}");
        }
        for text in [
            "", "30", "0s", "-1s", "1 month", "P1D", "00:30", "s", "1x", "1s ago", "11 years", "4000d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_and_rates_are_read_as_people_write_them() {
        assert_eq!(parse_size("64 KiB"), Some(65_536));
        assert_eq!(parse_size("64kB"), Some(64_000));
        assert_eq!(parse_size("1MiB"), Some(1_048_576));
        assert_eq!(parse_size("1 XB"), None);
        assert_eq!(parse_size("99999999999999999999"), None);
        assert_eq!(parse_rate("10/s"), Some(10.0));
        assert_eq!(parse_rate("600 / min"), Some(10.0));
        for bad in ["10", "0/s", "-1/s", "NaN/s", "inf/s", "10/d"] {
            assert_eq!(parse_rate(bad), None, "{bad}");
        }
    }
}
