//! E-mail addresses, separated by semicolons as in the gateway's own rules.

use std::ops::Range;

use lettre::message::Mailbox;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::reader::Value;
use super::values::{Expected, any_text};

const ONE: &str = "\"oncall@acme.example\"";
const MAILBOX: Expected = Expected {
    what: "one e-mail address in quotes",
    examples: ONE,
};
const SEVERAL: &str = "\"oncall@acme.example; payments@acme.example\"";

/// One address.
pub(super) fn mailbox(value: &Value<'_>, problems: &mut Problems) -> Option<Mailbox> {
    let text = any_text(value, MAILBOX, problems)?;
    let read = parse(text);
    if read.is_none() {
        let what = format!("`{}` must be one e-mail address", value.key);
        problems.push(
            Problem::new(codes::BAD_MAIL_ADDRESS, &value.spot, what)
                .instead(format!("{ONE} or \"ACME on-call <oncall@acme.example>\"")),
        );
    }
    read
}

/// Addresses in one text, each once; blanks and a semicolon at the end do no harm.
pub(super) fn mailboxes(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<Mailbox>> {
    let Some(text) = value.as_str() else {
        let problem = value.wrong_type("one text, with semicolons between the addresses");
        let listed: Option<Vec<_>> = value.elements().unwrap_or_default().iter().map(Value::as_str).collect();
        problems.push(match listed.filter(|listed| !listed.is_empty()) {
            Some(listed) => problem.instead(format!("{} = \"{}\"", value.key, listed.join("; "))),
            None => problem.instead(SEVERAL),
        });
        return None;
    };
    let mut all: Vec<Mailbox> = Vec::new();
    let mut wrong = false;
    for part in split(text, ';') {
        let address = text[part.clone()].trim();
        if address.is_empty() {
            continue;
        }
        let Some(mailbox) = parse(address) else {
            problems.push(refusal(value, text, part));
            wrong = true;
            continue;
        };
        let email = mailbox.email.to_string();
        let same = |known: &Mailbox| known.email.to_string().eq_ignore_ascii_case(&email);
        if !all.iter().any(same) {
            all.push(mailbox);
        }
    }
    (!wrong).then_some(all)
}

fn refusal(value: &Value<'_>, text: &str, part: Range<usize>) -> Problem {
    if let [first, _, ..] = split(&text[part.clone()], ',').as_slice() {
        let comma = part.start + first.end;
        return Problem::new(
            codes::COMMA_IN_ADDRESSES,
            &value.part(comma..comma + 1),
            "addresses are separated by semicolons, not by commas",
        )
        .label("this comma")
        .why("the gateway's own rules are written so, and a comma may be part of a name")
        .instead(SEVERAL);
    }
    let blanks = text[part.clone()].len() - text[part.clone()].trim_start().len();
    let start = part.start + blanks;
    let spot = value.part(start..start + text[part].trim().len());
    Problem::new(codes::BAD_MAIL_ADDRESS, &spot, "this is no e-mail address").instead(SEVERAL)
}

fn parse(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    text.trim().parse().ok()
}

/// The parts between separators that are outside of quotes.
fn split(text: &str, separator: char) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut in_quotes) = (0, false);
    for (at, c) in text.char_indices() {
        if c == '"' {
            in_quotes = !in_quotes;
        } else if c == separator && !in_quotes {
            parts.push(start..at);
            start = at + separator.len_utf8();
        }
    }
    parts.push(start..text.len());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_in_quotes_separates_nothing() {
        let text = "\"ACME; Inc\" <a@b.example>; c@d.example;";
        let parts: Vec<_> = split(text, ';').into_iter().map(|part| text[part].trim()).collect();
        assert_eq!(parts, ["\"ACME; Inc\" <a@b.example>", "c@d.example", ""]);
    }

    #[test]
    fn no_address_brings_a_header_of_its_own() {
        assert!(parse("a@b.example").is_some());
        assert!(parse("\"x\r\nBcc: c@d.example\" <a@b.example>").is_none());
    }
}
