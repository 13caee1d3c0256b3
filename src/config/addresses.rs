//! E-mail addresses, separated by semicolons as in the gateway's own rules.

use std::ops::Range;

use lettre::Address;
use lettre::address::AddressError;
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
    match parse(text) {
        Ok(mailbox) => Some(mailbox),
        Err(wrong) => {
            let are_several = split(text, ';').len() > 1;
            let why = if are_several { "these are several" } else { wrong.what() };
            let what = format!("`{}` must be one e-mail address: {why}", value.key);
            problems.push(
                Problem::new(codes::BAD_MAIL_ADDRESS, &value.spot, what)
                    .instead(format!("{ONE} or \"ACME on-call <oncall@acme.example>\"")),
            );
            None
        }
    }
}

/// One address as somebody types it, for a command.
///
/// # Errors
///
/// What is wrong with it.
pub fn mail_address(text: &str) -> Result<Mailbox, String> {
    parse(text).map_err(|wrong| wrong.what().to_owned())
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
        let mailbox = match parse(address) {
            Ok(mailbox) => mailbox,
            Err(why) => {
                problems.push(refusal(value, text, part, why));
                wrong = true;
                continue;
            }
        };
        let email = mailbox.email.to_string();
        let same = |known: &Mailbox| known.email.to_string().eq_ignore_ascii_case(&email);
        if !all.iter().any(same) {
            all.push(mailbox);
        }
    }
    (!wrong).then_some(all)
}

fn refusal(value: &Value<'_>, text: &str, part: Range<usize>, why: Wrong) -> Problem {
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
    Problem::new(codes::BAD_MAIL_ADDRESS, &spot, "this is no e-mail address")
        .label(why.what())
        .instead(SEVERAL)
}

/// Why a text is no address that e-mails can be sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    Bracket,
    ControlCharacter,
    Domain,
    Local,
    NoAt,
    NotAscii,
    Shape,
}

impl Wrong {
    fn what(self) -> &'static str {
        match self {
            Self::Bracket => "one of < and > is missing",
            Self::ControlCharacter => "it has a line end or another invisible character",
            Self::Domain => "what stands behind the @ is no domain",
            Self::Local => "what stands before the @ cannot stand there",
            Self::NoAt => "there is no @",
            Self::NotAscii => "letters with accents before the @ are taken by few mail servers, and never arrive",
            Self::Shape => "write name@domain, or a name and then the address between < and >",
        }
    }
}

/// The domain of the address is as mail servers know it: an international one in its ASCII form.
fn parse(text: &str) -> Result<Mailbox, Wrong> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(Wrong::ControlCharacter);
    }
    let (name, address) = match (text.rfind('<'), text.ends_with('>')) {
        (None, false) => (None, text),
        (Some(start), true) => (Some(text[..start].trim()), text[start + 1..text.len() - 1].trim()),
        _ => return Err(Wrong::Bracket),
    };
    let (local, domain) = address.rsplit_once('@').ok_or(Wrong::NoAt)?;
    if !local.is_ascii() {
        return Err(Wrong::NotAscii);
    }
    let ascii;
    let domain = if domain.is_ascii() {
        domain
    } else {
        ascii = url::Host::parse(domain).map_err(|_| Wrong::Domain)?.to_string();
        &ascii
    };
    let address = Address::new(local, domain).map_err(|error| match error {
        AddressError::InvalidDomain | AddressError::Unbalanced => Wrong::Domain,
        _ => Wrong::Local,
    })?;
    match name {
        None => Ok(Mailbox::new(None, address)),
        // lettre knows how a name may be quoted.
        Some(name) => format!("{name} <{address}>").parse().map_err(|_| Wrong::Shape),
    }
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
    fn international_domains_are_written_as_mail_servers_know_them() {
        for (written, meant) in [
            ("oncall@société.example", "oncall@xn--socit-esab.example"),
            (
                "Équipe <oncall@Société.example>",
                "Équipe <oncall@xn--socit-esab.example>",
            ),
            ("oncall@xn--socit-esab.example", "oncall@xn--socit-esab.example"),
            (
                "\"Dupont, Marie\" <m.d+ipn@acme.example>",
                "\"Dupont, Marie\" <m.d+ipn@acme.example>",
            ),
            ("<oncall@acme.example>", "oncall@acme.example"),
        ] {
            let read = parse(written).unwrap();
            let meant: Mailbox = meant.parse().unwrap();
            assert_eq!(
                (read.email.to_string(), read.name),
                (meant.email.to_string(), meant.name),
                "{written}"
            );
            assert!(read.email.to_string().is_ascii());
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told() {
        for (text, wrong) in [
            ("oncall.acme.example", Wrong::NoAt),
            ("on call@acme.example", Wrong::Local),
            ("oncall@acme example", Wrong::Domain),
            ("oncall@", Wrong::Domain),
            ("@acme.example", Wrong::Local),
            ("oncall@acme.example>", Wrong::Bracket),
            ("ACME <oncall@acme.example", Wrong::Bracket),
            ("hélène@acme.example", Wrong::NotAscii),
            ("oncall@acme.example it@acme.example", Wrong::Local),
            ("\"x\r\nBcc: c@d.example\" <a@b.example>", Wrong::ControlCharacter),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn no_address_brings_a_header_of_its_own() {
        assert!(parse("a@b.example").is_ok());
        assert!(parse("\"x\r\nBcc: c@d.example\" <a@b.example>").is_err());
    }
}
