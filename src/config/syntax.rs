//! Text to a TOML document, and every way in which it is none.

use toml::de::{DeTable, DeValue};

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::doctor;
use super::duplicates::Duplicates;
use super::source::{Flaws, Source, Spot};

/// Tells what is wrong with a text before it is even TOML.
pub(super) fn flaws(file: usize, (misread, slips): Flaws, problems: &mut Problems) {
    if let Some(misread) = misread {
        let spot = Spot::new(file, misread.at..misread.at + 1);
        problems.push(
            Problem::new(codes::UNREADABLE_FILE, &spot, misread.what)
                .why("TOML is written in UTF-8, with the line ends of Unix or Windows")
                .instead(misread.instead),
        );
    }
    for slip in slips {
        let problem = Problem::new(codes::SYNTAX, &Spot::new(file, slip.span), slip.what);
        let problem = problem.why(slip.why).instead(slip.instead);
        match slip.lost {
            Some(stretch) => problems.push_broken(Spot::new(file, stretch), problem, false),
            None => problems.push(problem),
        }
    }
}

/// Reads as much of the text as is TOML, and tells of each mistake once.
pub(super) fn document<'s>(file: usize, source: &'s Source, problems: &mut Problems) -> DeTable<'s> {
    if let Some(other) = doctor::other_language(source.repaired()) {
        let problem = Problem::new(codes::SYNTAX, &Spot::new(file, other.span), other.what);
        let whole = Spot::new(file, 0..source.text().len());
        problems.push_broken(whole, problem.why(other.why).instead(other.instead), true);
        return DeTable::new();
    }
    let (document, errors) = DeTable::parse_recoverable(source.repaired());
    let mut keys = Vec::new();
    keys_of(document.get_ref(), &mut keys);
    keys.sort_unstable();
    let mut duplicates = Duplicates::of(source);
    let mut last_line = None;
    for (span, message) in errors
        .iter()
        .map(|error| (error.span().unwrap_or_default(), error.message()))
    {
        let line = source.line_of(span.start);
        // What follows on the same line is a consequence.
        if last_line.replace(line.clone()) == Some(line.clone()) {
            continue;
        }
        if message == "duplicate key" {
            if let Some(problem) = duplicates.problem(file, span) {
                problems.push_broken(Spot::new(file, line), problem, false);
            }
            continue;
        }
        let is_header = source.text()[line.clone()].trim_start().starts_with('[');
        let stretch = if is_header {
            line.start..table_end(source, line.end)
        } else {
            line.clone()
        };
        let first_key = keys.partition_point(|key| *key < line.start);
        let keeps_its_key = keys.get(first_key).is_some_and(|key| *key < line.end);
        let finding = doctor::examine(source, line, span, message);
        let problem = Problem::new(codes::SYNTAX, &Spot::new(file, finding.span), finding.what)
            .label(finding.label)
            .why(finding.why)
            .instead(finding.instead);
        problems.push_broken(Spot::new(file, stretch), problem, is_header || !keeps_its_key);
    }
    document.into_inner()
}

/// Where the table ends whose header ends here: keys below a broken header may have come into a wrong table.
fn table_end(source: &Source, header_end: usize) -> usize {
    let text = source.text();
    let next = text[header_end..].find("\n[").map(|length| header_end + length);
    next.unwrap_or(text.len())
}

/// Where every key begins.
fn keys_of(table: &DeTable<'_>, found: &mut Vec<usize>) {
    fn within(value: &DeValue<'_>, found: &mut Vec<usize>) {
        match value {
            DeValue::Array(array) => array.iter().for_each(|element| within(element.get_ref(), found)),
            DeValue::Table(table) => keys_of(table, found),
            _ => {}
        }
    }
    for (key, value) in table {
        found.push(key.span().start);
        within(value.get_ref(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::File;
    use super::*;

    fn places(text: &str) -> Vec<(&'static str, usize, usize)> {
        let (source, flaws_found) = Source::new(File {
            path: "a.toml".into(),
            bytes: text.into(),
        });
        let mut problems = Problems::default();
        flaws(0, flaws_found, &mut problems);
        document(0, &source, &mut problems);
        let found = problems.finish(&[source]);
        found.iter().map(|d| (d.code.0, d.place.line, d.place.column)).collect()
    }

    #[test]
    fn each_mistake_is_told_once() {
        assert_eq!(places("a = \nb = truee\r\nc = 1\n"), [("E001", 1, 3), ("E001", 2, 5)]);
        assert_eq!(places("a = [1, 2\nb = 3\n[x]\ny = 1\n"), [("E001", 1, 5)]);
        assert_eq!(places("a = \"\"\"x\nb = 3\n"), [("E001", 1, 5)]);
        assert_eq!(places("a = \"x\nb = \"3\"\n"), [("E001", 1, 5)]);
        assert_eq!(places("a = { x = 1\nb = 3\n[x]\ny = { z = 1 }\n"), [("E001", 1, 5)]);
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
