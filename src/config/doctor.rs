//! What was probably meant by a line that is no TOML; the library's own words are for those who wrote it.

use std::ops::Range;

use super::names::closest_key;
use super::source::Source;

/// What is wrong with a line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) span: Range<usize>,
    pub(super) what: String,
    pub(super) label: String,
    pub(super) why: String,
    pub(super) instead: String,
}

impl Finding {
    fn new(span: Range<usize>, what: impl Into<String>) -> Self {
        Self {
            span,
            what: what.into(),
            ..Self::default()
        }
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = instead.into();
        self
    }
}

/// A whole file in another language: every line would be wrong.
pub(super) fn other_language(text: &str) -> Option<Finding> {
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = text.lines().find(is_said)?;
    let start = text.find(first).unwrap_or_default() + first.len() - first.trim_start().len();
    let first = first.trim();
    let has_assignment = || {
        text.lines()
            .filter(is_said)
            .any(|line| line.contains('=') || line.starts_with('['))
    };
    let (what, length) = if first.starts_with('{') {
        ("this looks like JSON, not TOML", 1)
    } else if first.starts_with('<') {
        ("this looks like XML, not TOML", 1)
    } else if (first == "---" || first.contains(':')) && !has_assignment() {
        ("this looks like YAML, not TOML", first.len())
    } else {
        return None;
    };
    Some(
        Finding::new(start..start + length, what)
            .why("nothing of it can be read")
            .instead("a line [receiver], and below it lines such as: listen = \"127.0.0.1:8080\""),
    )
}

/// Says in words for an admin what the library found at `at`.
pub(super) fn examine(source: &Source, line: Range<usize>, at: Range<usize>, message: &str) -> Finding {
    let text = &source.repaired()[line.clone()];
    let is_shown = source.masked()[line.clone()] == source.text()[line.clone()];
    let case = Case {
        line: line.clone(),
        text,
        at: at.start.clamp(line.start, line.end),
        message: message.trim_end_matches(", expected nothing"),
        is_shown,
    };
    case.control_character()
        .or_else(|| case.nesting())
        .or_else(|| case.header())
        .or_else(|| case.no_assignment())
        .or_else(|| case.key())
        .or_else(|| case.backslash())
        .or_else(|| case.open_quote())
        .or_else(|| case.value())
        .unwrap_or_else(|| case.anything())
}

struct Case<'s> {
    line: Range<usize>,
    text: &'s str,
    at: usize,
    message: &'s str,
    /// Whether the line holds nothing that may be secret, so that a message may repeat it.
    is_shown: bool,
}

impl<'s> Case<'s> {
    /// A part of the line, by its place in the line.
    fn span(&self, within: Range<usize>) -> Range<usize> {
        self.line.start + within.start..self.line.start + within.end
    }

    /// The text from its first character to the last that is not blank.
    fn whole(&self) -> Range<usize> {
        let indent = self.text.len() - self.text.trim_start().len();
        self.span(indent..self.text.trim_end().len())
    }

    /// Key and value, and where in the line the value begins.
    fn assignment(&self) -> Option<(&'s str, &'s str, usize)> {
        let (key, value) = self.text.split_once('=')?;
        let trimmed = value.trim_start();
        let start = self.text.len() - trimmed.len();
        Some((key.trim(), trimmed.trim_end(), start))
    }

    fn control_character(&self) -> Option<Finding> {
        let (at, _) = self.text.char_indices().find(|(_, c)| c.is_control() && *c != '\t')?;
        Some(
            Finding::new(
                self.span(at..at + 1),
                "a control character stands here, which nobody can see",
            )
            .why("it comes with text copied from a terminal, or from a damaged file")
            .instead("type the line anew"),
        )
    }

    fn nesting(&self) -> Option<Finding> {
        self.message.contains("recurs").then(|| {
            Finding::new(self.at..self.at + 1, "brackets are nested too deeply here")
                .instead("look for a bracket that is typed too often")
        })
    }

    fn header(&self) -> Option<Finding> {
        let text = self.text.trim();
        if !text.starts_with('[') || text.contains('=') {
            return None;
        }
        let example = "such as [receiver] or [shops.12345678.test]";
        Some(match text.find(']') {
            None => Finding::new(self.whole(), "this table's name is not closed")
                .instead(format!("end it with `]`, {example}")),
            Some(end) if !text[end..].trim_start_matches(']').trim().is_empty() => {
                Finding::new(self.at..self.line.end, "something follows the table's name")
                    .instead("put it on a line of its own, or behind a #")
            }
            Some(_) => Finding::new(self.whole(), "this is no name of a table")
                .why("a name is made of letters without accents, digits, `-` and `_`, and its parts are joined by dots")
                .instead(format!("write a name {example}")),
        })
    }

    fn no_assignment(&self) -> Option<Finding> {
        let text = self.text.trim();
        if text.contains('=') || self.message.starts_with("missing comma") {
            return None;
        }
        let finding = Finding::new(self.whole(), "there is no `=` in this line");
        Some(match text.split_once(':') {
            Some((key, _)) if !key.contains(['"', '\'']) || text.starts_with('"') => finding
                .why("a key and its value are joined by `=`, not by `:` as in YAML or JSON")
                .instead("key = \"value\""),
            _ => finding
                .why("a line is a [table], a `key = value`, or a comment behind #")
                .instead("put # before it if it is a comment"),
        })
    }

    fn key(&self) -> Option<Finding> {
        let (key, ..) = self.assignment()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.\"'".contains(c);
        if self.text[..self.text.find('=')?].contains(['"', '\'', '{', '['])
            || key.chars().all(is_plain) && !key.is_empty()
        {
            return None;
        }
        let start = self.text.len() - self.text.trim_start().len();
        let span = self.span(start..start + key.len());
        if key.is_empty() {
            return Some(Finding::new(
                self.span(start..start + 1),
                "there is no key before this `=`",
            ));
        }
        let finding = Finding::new(span, "this is no key")
            .why("a key is one word of letters without accents, digits, `-` and `_`");
        Some(match closest_key(key) {
            Some(known) => finding.instead(format!("did you mean `{known}`?")),
            None => finding,
        })
    }

    fn backslash(&self) -> Option<Finding> {
        let is_escape = ["escape", "unicode", "hexadecimal"]
            .iter()
            .any(|word| self.message.contains(word));
        if !is_escape {
            return None;
        }
        let at = self.text[..self.at - self.line.start].rfind('\\')?;
        Some(
            Finding::new(
                self.span(at..at + 1),
                "a backslash between double quotes has a meaning of its own",
            )
            .why("\\n is a line end there and \\t a tab, so a path of Windows is cut to pieces")
            .instead("write a path with slashes, or between single quotes"),
        )
    }

    /// A text that does not end in its line, or ends before its end.
    fn open_quote(&self) -> Option<Finding> {
        let (_, value, start) = self.assignment()?;
        let quoted = ["invalid basic string", "invalid literal string", "invalid multi-line"];
        if quoted.iter().any(|words| self.message.contains(words)) {
            let open = open_quote(value)?;
            let quote = &value[open..open + 1];
            return Some(
                Finding::new(
                    self.span(start + open..start + open + 1),
                    "the text that begins here never ends",
                )
                .instead(format!("end it with {quote} in the same line")),
            );
        }
        let ends = self.at - self.line.start;
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
        (self.message.contains("unexpected key or value") && ends > start).then(|| {
            let finding = Finding::new(self.at..self.line.end, "the text has ended before this");
            match quote {
                '\'' => finding
                    .why("it begins with ', so the next ' ends it")
                    .instead("put the whole text between double quotes"),
                _ => finding
                    .why("it begins with \", so the next \" ends it")
                    .instead("leave out what follows; within a text write \\\" or use single quotes around it"),
            }
        })
    }

    fn value(&self) -> Option<Finding> {
        let (key, value, start) = self.assignment()?;
        let value = value.split(" #").next().unwrap_or(value).trim_end();
        let span = self.span(start..start + value.len());
        if value.is_empty() || value.starts_with('#') {
            let equals = self.text.find('=')?;
            return Some(
                Finding::new(self.span(equals..equals + 1), "there is no value after this `=`")
                    .instead("write one, or put # before the line"),
            );
        }
        if value.starts_with(['"', '\'', '[', '{']) {
            return self.brackets();
        }
        if let Some(meant) = boolean(value) {
            return Some(
                Finding::new(span, format!("`{value}` is written {meant} here")).instead(format!("{key} = {meant}")),
            );
        }
        if value.starts_with('0') && value.len() > 1 && value.bytes().all(|c| c.is_ascii_digit()) {
            let number = value.trim_start_matches('0');
            return Some(Finding::new(span, "a number does not begin with 0").instead(format!("{key} = {number}")));
        }
        let instead = if self.is_shown && !value.contains(['"', '\\']) {
            format!("{key} = \"{value}\"")
        } else {
            format!("{key} = \"…\"")
        };
        Some(Finding::new(span, "a text stands between quotes").instead(instead))
    }

    /// Lists and small tables.
    fn brackets(&self) -> Option<Finding> {
        let here = self.at..(self.at + 1).min(self.line.end);
        let places = "{ file = \"/path\" }, { env = \"NAME\" } or { credential = \"name\" }";
        let before = &self.text[..self.at - self.line.start];
        let colon_before = before
            .rfind(':')
            .filter(|colon| !before[*colon..].contains(['"', '\'', ',']));
        let of = |what: &str, instead: &str| Some(Finding::new(here.clone(), what).instead(instead));
        match self.message {
            m if m.starts_with("missing comma") => of("a comma is missing before this", "put `,` between the two"),
            m if m.starts_with("extra comma") => of("there is one comma too many here", "leave it out"),
            m if m.contains("string values must be quoted") => of(
                "a text stands between quotes, within brackets too",
                "[\"one\", \"two\"] or { file = \"/path\" }",
            ),
            _ if colon_before.is_some() => {
                let colon = colon_before?;
                Some(
                    Finding::new(
                        self.span(colon..colon + 1),
                        "within { } a key and its value are joined by `=`",
                    )
                    .instead(places),
                )
            }
            m if m.contains("inline table") || m.contains("key with no value") || m.contains("key-value pair") => {
                of("within { } stands a key, `=` and a value", places)
            }
            m if m.starts_with("unclosed") => of(
                "a bracket is not closed here",
                "close it: `]` for a list, `}` for a table",
            ),
            m if m.contains("unexpected key or value") => of(
                "something follows the value",
                "put it on a line of its own, or behind a #",
            ),
            _ => None,
        }
    }

    fn anything(&self) -> Finding {
        Finding {
            label: self.message.to_owned(),
            ..Finding::new(self.at..(self.at + 1).min(self.line.end), "this is not TOML")
                .instead("look at the quotes, brackets and commas of this line")
        }
    }
}

/// Where the text begins that has no end.
fn open_quote(value: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        match open {
            _ if escaped => escaped = false,
            Some((_, '"')) if c == '\\' => escaped = true,
            Some((_, quote)) if c == quote => open = None,
            None if ['"', '\''].contains(&c) => open = Some((at, c)),
            _ => {}
        }
    }
    open.map(|(at, _)| at)
}

/// What people write for yes and no.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "1" | "ja" | "oui" | "on" | "si" | "sí" | "t" | "true" | "vrai" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "faux" | "n" | "nein" | "no" | "non" | "off" => Some(false),
        _ => None,
    }
}
