//! Text to a TOML document, and every way in which it is none.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::source::{Source, Spot};

/// Reads as much of the text as is TOML, and tells of each mistake once.
pub(super) fn document<'s>(file: usize, source: &'s Source, problems: &mut Problems) -> DeTable<'s> {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    let swallowed = swallowed(document.get_ref(), source.text(), &errors);
    for stretch in &swallowed {
        let opening = Spot::new(file, stretch.start..stretch.start + 1);
        let problem = Problem::new(codes::SYNTAX, &opening, "this is opened and never closed")
            .label("opened here")
            .instead("close it: `]` for a list, `}` for a table, three quotes for a text of several lines");
        problems.push_broken(Spot::new(file, stretch.clone()), problem);
    }
    let mut last_line = None;
    for (span, error) in errors.iter().map(|error| (error.span().unwrap_or_default(), error)) {
        let line = source.line_of(span.start);
        let is_consequence = swallowed
            .iter()
            .any(|stretch| stretch.start <= span.start && span.start <= stretch.end);
        // What follows on the same line is a consequence too.
        if is_consequence || last_line.replace(line.clone()) == Some(line.clone()) {
            continue;
        }
        problems.push_broken(Spot::new(file, line), problem(file, source, span, error.message()));
    }
    document.into_inner()
}

fn problem(file: usize, source: &Source, span: Range<usize>, message: &str) -> Problem {
    let spot = Spot::new(file, span.clone());
    if message == "duplicate key" {
        let problem = Problem::new(codes::TWICE, &spot, "this stands twice")
            .why("only one of the two would count")
            .instead("keep one of them");
        return match first_of_two(source, span) {
            Some(first) => problem.also(&Spot::new(file, first), "first here"),
            None => problem,
        };
    }
    let message = message.trim_end_matches(", expected nothing");
    let line = source.line_of(span.start);
    let value = source.text()[line.clone()]
        .split_once('=')
        .map_or("", |(_, value)| value.trim_start());
    if value.is_empty() {
        Problem::new(codes::SYNTAX, &spot, "this is not TOML").label(message)
    } else if value.starts_with(['"', '\'', '[', '{']) {
        Problem::new(codes::SYNTAX, &spot, "this is not TOML")
            .label(message)
            .instead("check the quotes and brackets of this line")
    } else {
        let whole = Spot::new(file, line.end - value.len()..line.end);
        Problem::new(codes::SYNTAX, &whole, "this is no value of TOML")
            .label(message)
            .instead("texts stand in quotes: listen = \"127.0.0.1:8080\"")
    }
}

/// Lists, tables and texts that were never closed, and so took in the lines below.
fn swallowed(document: &DeTable<'_>, text: &str, errors: &[Error]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let is_open = |span: &Range<usize>| {
        text[span.clone()].contains('\n')
            && errors.iter().any(|error| {
                error.span().is_some_and(|at| at.start == span.end)
                    && (error.message().starts_with("unclosed") || error.message().contains("multi-line"))
            })
    };
    fn walk(table: &DeTable<'_>, is_open: &impl Fn(&Range<usize>) -> bool, found: &mut Vec<Range<usize>>) {
        for value in table.values() {
            value_within(value, is_open, found);
        }
    }
    fn value_within(
        value: &Spanned<DeValue<'_>>,
        is_open: &impl Fn(&Range<usize>) -> bool,
        found: &mut Vec<Range<usize>>,
    ) {
        if is_open(&value.span()) {
            return found.push(value.span());
        }
        match value.get_ref() {
            DeValue::Table(table) => walk(table, is_open, found),
            DeValue::Array(array) => array.iter().for_each(|element| value_within(element, is_open, found)),
            _ => {}
        }
    }
    walk(document, &is_open, &mut found);
    found
}

/// Where the header or key of this line stands for the first time; the document keeps only one of the two.
fn first_of_two(source: &Source, second: Range<usize>) -> Option<Range<usize>> {
    let text = source.text();
    let line = source.line_of(second.start);
    let is_header = text[line.clone()].trim_start().starts_with('[');
    let word = |line: &str| {
        let end = if is_header { "#" } else { "=" };
        line.split(end).next().unwrap_or(line).replace([' ', '\t', '\r'], "")
    };
    let wanted = word(&text[line.clone()]);
    let mut at = 0;
    let mut first = None;
    for earlier in text[..line.start].split_inclusive('\n') {
        let trimmed = earlier.trim_start();
        if !is_header && trimmed.starts_with('[') {
            first = None;
        } else if first.is_none() && word(trimmed.trim_end()) == wanted {
            let start = at + earlier.len() - trimmed.len();
            let length = if is_header {
                trimmed.trim_end().len()
            } else {
                wanted.len()
            };
            first = Some(start..start + length);
        }
        at += earlier.len();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::super::source::File;
    use super::*;

    fn places(text: &str) -> Vec<(&'static str, usize, usize)> {
        let (source, _) = Source::new(File {
            path: "a.toml".into(),
            bytes: text.into(),
        });
        let mut problems = Problems::default();
        document(0, &source, &mut problems);
        let found = problems.finish(&[source]);
        found.iter().map(|d| (d.code.0, d.place.line, d.place.column)).collect()
    }

    #[test]
    fn each_mistake_is_told_once() {
        assert_eq!(places("a = \nb = truee\r\nc = 1\n"), [("E001", 1, 5), ("E001", 2, 5)]);
        assert_eq!(places("a = [1, 2\nb = 3\n[x]\ny = 1\n"), [("E001", 1, 5)]);
        assert_eq!(places("a = \"\"\"x\nb = 3\n"), [("E001", 1, 5)]);
        assert_eq!(places("a = \"x\nb = \"3\"\n"), [("E001", 1, 7)]);
    }

    #[test]
    fn what_stands_twice_shows_both() {
        let (source, _) = Source::new(File {
            path: "a.toml".into(),
            bytes: b"[x]\na = 1\n[shops.1] # one\na = 1\n[ shops.1 ]\nb = 1\nb = 2\n".into(),
        });
        let mut problems = Problems::default();
        document(0, &source, &mut problems);
        let found = problems.finish(&[source]);
        let lines: Vec<_> = found.iter().map(|d| (d.place.line, d.also[0].0.line)).collect();
        assert_eq!(lines, [(5, 3), (7, 6)]);
    }
}
