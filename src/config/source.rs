//! The files' texts, and where in them something stands.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::encoding::{self, Misread};
use super::slips::{self, Slip};
use super::{Text, mask};

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct File {
    /// As people call it; messages repeat it.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// Bytes of one of the files that were read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Spot {
    /// Its number among the files read.
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Spot {
    pub(super) fn new(file: usize, span: Range<usize>) -> Self {
        Self {
            file,
            start: span.start,
            end: span.end,
        }
    }
}

/// A value, and where it is written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

/// A place as people count: the first line and the first character of a line are 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
    /// The line, secrets masked; of a very long one, what is around the caret.
    pub text: String,
    /// The bytes of `text` that are meant.
    pub caret: Range<usize>,
}

/// A text with its name.
#[derive(Debug)]
pub(super) struct Source {
    name: Arc<str>,
    path: PathBuf,
    text: String,
    /// The text as it was meant, each place where it is in `text`.
    repaired: String,
    masked: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// What is wrong with a text before it is even TOML.
pub(super) type Flaws = (Option<Misread>, Vec<Slip>);

impl Source {
    pub(super) fn new(file: File) -> (Self, Flaws) {
        let (text, misread) = encoding::decode(file.bytes);
        let (repaired, slips) = slips::repair(&text);
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let source = Self {
            name: file.path.display().to_string().into(),
            path: file.path,
            lines: [0].into_iter().chain(newlines).collect(),
            masked: mask::mask(&text),
            repaired,
            text,
        };
        (source, (misread, slips))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text to be read as TOML.
    pub(super) fn repaired(&self) -> &str {
        &self.repaired
    }

    /// The text without what may be secret, each place where it is in `text`.
    pub(super) fn masked(&self) -> &str {
        &self.masked
    }

    pub(super) fn masked_text(&self) -> Text {
        Text {
            file: self.name.to_string(),
            masked: self.masked.clone(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What relative paths in this file are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The number of the line that holds this byte; the first is 0.
    fn line_number(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The line that holds this byte, without its end.
    pub(super) fn line_of(&self, offset: usize) -> Range<usize> {
        let number = self.line_number(offset);
        let start = self.lines[number];
        let end = self.lines.get(number + 1).map_or(self.text.len(), |next| next - 1);
        let line = self.text[start..end].trim_end_matches('\r');
        start..start + line.len()
    }

    pub(super) fn place(&self, spot: &Spot) -> Place {
        let line = self.line_of(spot.start);
        let start = self.text.floor_char_boundary(spot.start).min(line.end);
        let end = self.text.floor_char_boundary(spot.end).clamp(start, line.end);
        let (text, before) = excerpt(&self.masked, line.clone(), start);
        Place {
            file: self.name.clone(),
            line: self.line_number(line.start) + 1,
            column: self.text[line.start..start].chars().count() + 1,
            caret: before..(before + end - start).min(text.len()),
            text,
        }
    }
}

/// More of a line would be of no use around a caret, and a file may have one line of a megabyte.
const LONGEST_EXCERPT: usize = 400;

/// What is shown of a line, and where in it the caret begins.
fn excerpt(text: &str, line: Range<usize>, caret: usize) -> (String, usize) {
    if line.len() <= 2 * LONGEST_EXCERPT {
        return (text[line.clone()].to_owned(), caret - line.start);
    }
    let from = text
        .floor_char_boundary(caret.saturating_sub(LONGEST_EXCERPT))
        .max(line.start);
    let to = text.floor_char_boundary(caret + LONGEST_EXCERPT).min(line.end);
    let (before, after) = (cut(from > line.start), cut(to < line.end));
    (
        format!("{before}{}{after}", &text[from..to]),
        before.len() + caret - from,
    )
}

fn cut(is_cut: bool) -> &'static str {
    if is_cut { "…" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let file = File {
            path: "x.toml".into(),
            bytes: text.into(),
        };
        Source::new(file).0
    }

    fn place_of(text: &str, needle: &str) -> Place {
        let source = source(text);
        let start = source.text().find(needle).unwrap();
        let place = source.place(&Spot::new(0, start..start + needle.len()));
        assert_eq!(&place.text[place.caret.clone()], needle);
        place
    }

    #[test]
    fn columns_are_characters_and_count_neither_mark_nor_line_end() {
        for (text, line, column) in [
            ("\u{feff}path = 5\r\n", 1, 8),
            ("a = 1\r\npath = 5\r\n", 2, 8),
            ("name = \"é€🦀\" , 5", 1, 16),
        ] {
            let place = place_of(text, "5");
            assert_eq!((place.line, place.column), (line, column), "{text}");
            assert!(!place.text.ends_with('\r'));
        }
    }

    #[test]
    fn a_place_behind_the_end_is_at_the_end() {
        let source = source("a = 1\n");
        let place = source.place(&Spot::new(0, 99..120));
        assert_eq!((place.line, place.column, place.caret), (2, 1, 0..0));
    }

    #[test]
    fn of_a_very_long_line_only_what_is_around_the_caret_is_shown() {
        for (before, after) in [(0, 5000), (5000, 0), (5000, 5000)] {
            let text = format!("name = \"{}X{}\"\n", "é".repeat(before), "é".repeat(after));
            let place = place_of(&text, "X");
            assert!(place.text.len() < 1000);
            assert_eq!(place.column, before + 9);
        }
    }
}
