//! Slips of the keyboard that make a text no TOML, though everyone can see what is meant.
//!
//! Each is told once and read as it was meant, so that the rest of the file is checked too and nothing is said that is
//! only its consequence. A repair replaces bytes by as many others: every place stays where it is.

use std::ops::Range;

/// One slip, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Slip {
    pub(super) span: Range<usize>,
    pub(super) what: &'static str,
    pub(super) why: &'static str,
    pub(super) instead: &'static str,
    /// What is lost by it, and so not judged.
    pub(super) lost: Option<Range<usize>>,
}

/// Returns the text as it was meant, and the slips in it.
pub(super) fn repair(text: &str) -> (String, Vec<Slip>) {
    let mut repair = Repair {
        text,
        repaired: text.as_bytes().to_vec(),
        slips: Vec::new(),
        line_end: 0,
        open: Vec::new(),
        last: None,
    };
    repair.run();
    let repaired = String::from_utf8(repair.repaired).expect("whole characters are replaced by ASCII");
    (repaired, repair.slips)
}

/// What stands in a text and cannot be told from an ordinary blank, or not be seen at all.
pub(super) fn odd_blank(text: &str) -> Option<&'static str> {
    text.chars().find_map(name_of_odd_blank)
}

fn name_of_odd_blank(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => "a no-break space",
        '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => "a blank of unusual width",
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => "an invisible character",
        _ => return None,
    })
}

/// Quotes that belong together.
const QUOTES: [&[char]; 4] = [&['«', '»'], &['‹', '›'], &['‘', '’', '‚'], &['“', '”', '„', '‟', '″']];

const BOOLEANS: [(&str, &str); 4] = [
    ("FALSE", "false"),
    ("False", "false"),
    ("TRUE", "true"),
    ("True", "true"),
];

fn is_odd_quote(c: char) -> bool {
    QUOTES.iter().any(|family| family.contains(&c))
}

struct Repair<'t> {
    text: &'t str,
    repaired: Vec<u8>,
    slips: Vec<Slip>,
    line_end: usize,
    /// Where the brackets are that are open: the value goes on over the line's end.
    open: Vec<usize>,
    /// The last character of this value that is no blank, if there is one.
    last: Option<char>,
}

impl Repair<'_> {
    fn run(&mut self) {
        let (mut at, mut in_header) = (0, false);
        while at < self.text.len() {
            if at == 0 || self.text.as_bytes()[at - 1] == b'\n' {
                let rest = &self.text[at..];
                self.line_end = rest.find('\n').map_or(self.text.len(), |length| at + length);
                if in_header {
                    self.open.clear();
                }
                self.close_what_cannot_go_on(at);
                in_header = self.open.is_empty() && self.line(at);
            }
            at = match self.text[at..].chars().next() {
                _ if self.repaired[at] == b'#' => self.line_end,
                Some(c) => self.character(c, at),
                None => self.text.len(),
            };
        }
        if !in_header {
            self.close_at(self.text.len());
        }
    }

    /// A bracket was left open if the next line is a header or another key.
    fn close_what_cannot_go_on(&mut self, at: usize) {
        let Some(innermost) = self.open.last() else {
            self.last = None;
            return;
        };
        let line = self.text[at..self.line_end].trim();
        let is_header = line
            .strip_prefix('[')
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        let may_be_key = self.repaired[*innermost] == b'{' && [Some(','), Some('{')].contains(&self.last);
        if is_header || (!may_be_key && is_assignment(line)) {
            self.close_at(at);
        }
    }

    /// Makes one closed value of what is open.
    fn close_at(&mut self, at: usize) {
        if let Some(start) = self.open.first().copied() {
            let end = start + self.text[start..at].trim_end().len();
            self.lose(start..end);
        }
        self.open.clear();
        self.last = None;
    }

    fn lose(&mut self, stretch: Range<usize>) {
        let line = self.text[stretch.clone()].find('\n').unwrap_or(stretch.len());
        for at in stretch
            .clone()
            .filter(|at| !b"\r\n".contains(&self.text.as_bytes()[*at]))
        {
            self.repaired[at] = b' ';
        }
        // Some value of this length.
        self.repaired[stretch.start..stretch.start + line].fill(b'0');
        if line > 1 {
            self.repaired[stretch.start] = b'"';
            self.repaired[stretch.start + line - 1] = b'"';
        }
        self.slips.push(Slip {
            span: stretch.start..stretch.start + 1,
            what: "this is opened and never closed",
            why: "",
            instead: "close it: ] for a list, } for a table, three quotes for a text of several lines",
            lost: Some(stretch),
        });
    }

    /// What can only be seen at the beginning of a line; returns whether it is a table's header.
    fn line(&mut self, at: usize) -> bool {
        let whole = &self.text[at..self.line_end];
        let line = whole.trim_start_matches([' ', '\t']);
        let start = at + whole.len() - line.len();
        for sign in ["//", "--", ";"] {
            if line.starts_with(sign) {
                self.repaired[start] = b'#';
                self.tell(
                    start..start + sign.len(),
                    "a comment begins with #",
                    "",
                    "begin the line with #",
                );
            }
        }
        for table in ["[shops", "[legal_entities"] {
            let Some(rest) = line
                .strip_prefix(table)
                .filter(|rest| rest.starts_with([' ', ':', '/', ',']))
            else {
                continue;
            };
            let name = rest[1..].split(']').next().unwrap_or_default();
            if !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) {
                let joint = start + table.len();
                self.repaired[joint] = b'.';
                let instead = "write [shops.12345678] or [legal_entities.acme]";
                self.tell(
                    joint..joint + 1,
                    "the parts of a table's name are joined by dots",
                    "",
                    instead,
                );
            }
        }
        line.starts_with('[')
    }

    /// Handles what stands at a place outside of texts and comments; returns the place after it.
    fn character(&mut self, c: char, at: usize) -> usize {
        let next = at + c.len_utf8();
        match c {
            '"' | '\'' => {
                self.last = Some(c);
                return self.quoted(at);
            }
            '[' | '{' => self.open.push(at),
            ']' | '}' => drop(self.open.pop()),
            ';' | ',' if self.open.is_empty() && self.follows_value() => self.line_end_sign(at),
            '=' => return self.boolean(next),
            _ if is_odd_quote(c) => return self.odd_quotes(c, at),
            _ => {
                if let Some(name) = name_of_odd_blank(c) {
                    self.blank(at..next);
                    self.tell_blank(name, at..next);
                }
            }
        }
        if !c.is_whitespace() {
            self.last = Some(c);
        }
        next
    }

    /// Whether only blanks stand between here and a value's end.
    fn follows_value(&self) -> bool {
        self.last.is_some_and(|last| "\"']}".contains(last))
    }

    /// A text in straight quotes; if only a curly one could end it in its line, that one was meant.
    fn quoted(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        for quotes in ["\"\"\"", "'''"] {
            if let Some(inside) = rest.strip_prefix(quotes) {
                return match inside.find(quotes) {
                    Some(end) => at + end + 2 * quotes.len(),
                    None => {
                        self.lose(at..self.line_end);
                        self.line_end
                    }
                };
            }
        }
        let quote = rest.as_bytes()[0];
        let line = &self.text[at..self.line_end];
        let mut escaped = false;
        for (index, byte) in line.bytes().enumerate().skip(1) {
            if escaped {
                escaped = false;
            } else if byte == b'\\' && quote == b'"' {
                escaped = true;
            } else if byte == quote {
                return at + index + 1;
            }
        }
        let Some((index, curly)) = line.char_indices().rfind(|(_, c)| is_odd_quote(*c)) else {
            return self.line_end;
        };
        let span = at + index..at + index + curly.len_utf8();
        self.blank(span.clone());
        self.repaired[span.start] = quote;
        self.tell_quotes(curly, span.clone());
        span.end
    }

    /// A text in quotes that TOML does not know.
    fn odd_quotes(&mut self, open: char, at: usize) -> usize {
        let inside = at + open.len_utf8();
        let line = &self.text[inside..self.line_end];
        let closes = |c: char| {
            c == '"'
                || QUOTES
                    .iter()
                    .any(|family| family.contains(&open) && family.contains(&c))
        };
        let Some((length, close)) = line.char_indices().find(|(_, c)| closes(*c)) else {
            return inside;
        };
        let mut content = line[..length].trim_end();
        if content.contains('\\') {
            return inside;
        }
        // « ACME » is set with blanks, which are no part of the name.
        content = content.trim_start();
        let end = inside + length + close.len_utf8();
        let start = inside + line.find(content).unwrap_or_default();
        self.blank(at..start);
        self.blank(start + content.len()..end);
        self.repaired[start - 1] = b'"';
        self.repaired[start + content.len()] = b'"';
        self.tell_quotes(open, at..end);
        self.last = Some('"');
        end
    }

    /// `True` after a `=`.
    fn boolean(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        let start = at + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        for (written, meant) in BOOLEANS {
            let after = self.text[start..].strip_prefix(written);
            if after.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')) {
                let span = start..start + written.len();
                self.repaired[span.clone()].copy_from_slice(meant.as_bytes());
                let instead = if meant == "true" { "write true" } else { "write false" };
                self.tell(span.clone(), "true and false are written in small letters", "", instead);
                self.last = Some('"');
                return span.end;
            }
        }
        at
    }

    /// A `;` or `,` that ends a line, as in other languages.
    fn line_end_sign(&mut self, at: usize) {
        let rest = self.text[at + 1..self.line_end].trim();
        if rest.is_empty() || rest.starts_with('#') {
            self.blank(at..at + 1);
            self.tell(at..at + 1, "no such sign ends a line here", "", "leave it out");
        }
    }

    fn blank(&mut self, span: Range<usize>) {
        self.repaired[span].fill(b' ');
    }

    fn tell_blank(&mut self, name: &'static str, span: Range<usize>) {
        let what = match name {
            "a no-break space" => "this is a no-break space, not an ordinary one",
            "an invisible character" => "an invisible character stands here",
            _ => "this is not an ordinary blank",
        };
        match self.slips.last_mut() {
            // A run of them is one slip.
            Some(last) if last.span.end == span.start && last.what == what => last.span.end = span.end,
            _ => {
                let why = "it comes with text copied from a document, or from Shift or AltGr held at the space bar";
                self.tell(span, what, why, "delete it, and type a space if one is wanted");
            }
        }
    }

    fn tell_quotes(&mut self, quote: char, span: Range<usize>) {
        let (what, why) = match quote {
            '«' | '»' | '‹' | '›' => ("« and » are no quotes here", ""),
            _ => (
                "these are curly quotes",
                "word processors and chats make them of the straight ones that are needed",
            ),
        };
        self.tell(span, what, why, "type straight quotes: \"…\"");
    }

    fn tell(&mut self, span: Range<usize>, what: &'static str, why: &'static str, instead: &'static str) {
        self.slips.push(Slip {
            span,
            what,
            why,
            instead,
            lost: None,
        });
    }
}

/// Whether a line begins as `key =` does.
fn is_assignment(line: &str) -> bool {
    let end = line.find('=').unwrap_or_default();
    let key = line[..end].trim();
    !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_read() {
        for (written, meant) in [
            ("name\u{a0}= 1\n", "name  = 1\n"),
            ("name = “ACME” # “x”\n", "name =   \"ACME\"   # “x”\n"),
            ("name = « ACME »", "name =   \"ACME\"  "),
            ("name = \"ACME”", "name = \"ACME\"  "),
            ("on = True\n", "on = true\n"),
            ("on = Truely\n", "on = Truely\n"),
            ("a = \"x\"; # y\n", "a = \"x\"  # y\n"),
            ("a = [\n1,\n]\nb = {},\n", "a = [\n1,\n]\nb = {} \n"),
            ("// “x”\n", "#/ “x”\n"),
            ("[shops 12345678]\n", "[shops.12345678]\n"),
            ("a = [1, 2\nb = 3\n", "a = \"000\"\nb = 3\n"),
            ("a = {\nb = 1 }\n", "a = {\nb = 1 }\n"),
            ("a = { b = 1\n[c]\n", "a = \"00000\"\n[c]\n"),
            ("a = [\n1,\n[c]\n", "a = 0\n  \n[c]\n"),
            ("a = \"\"\"b\nc = 1\n", "a = \"00\"\nc = 1\n"),
            ("[shops:1]\na = \"b\";\n", "[shops.1]\na = \"b\" \n"),
        ] {
            let (repaired, slips) = repair(written);
            assert_eq!(repaired, meant, "{written}");
            assert_eq!(slips.is_empty(), written == meant, "{written}");
        }
    }

    #[test]
    fn what_stands_in_quotes_and_comments_is_left_alone() {
        for text in [
            "name = \"“a\u{a0}b” True;\" # True;\u{a0}«\n",
            "name = '«a»'\n",
            "name = \"\"\"\n// “x”\n\"\"\"\n",
            "name = \"a\\\"“\"\n",
        ] {
            assert_eq!(repair(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_place_stays_where_it_is(text in "(?s)[a=\\[\\]{}\"'#,;:/\\\\ \\n«»“”’\u{a0}é€🦀True-]{0,60}") {
            let (repaired, slips) = repair(&text);
            proptest::prop_assert_eq!(repaired.len(), text.len());
            for slip in slips {
                proptest::prop_assert!(text.get(slip.span).is_some_and(|span| !span.is_empty()));
            }
            for (at, c) in text.char_indices().filter(|(_, c)| *c == '\n') {
                proptest::prop_assert_eq!(char::from(repaired.as_bytes()[at]), c);
            }
        }
    }
}
