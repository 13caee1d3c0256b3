//! The files' texts, and where in them something stands.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mask;

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
    /// The line, secrets masked.
    pub text: String,
    /// The bytes of `text` that are meant.
    pub caret: Range<usize>,
}

/// A text with its name.
#[derive(Debug)]
pub(super) struct Source {
    name: Arc<str>,
    path: PathBuf,
    /// Without a byte order mark, so that no column counts it.
    text: String,
    masked: String,
}

impl Source {
    /// Takes a file in; the second value is where it stops being UTF-8, if it does.
    pub(super) fn new(file: File) -> (Self, Option<usize>) {
        let (text, broken_at) = match String::from_utf8(file.bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
            }
        };
        let (text, mark) = match text.strip_prefix('\u{feff}') {
            Some(rest) => (rest.to_owned(), text.len() - rest.len()),
            None => (text, 0),
        };
        let source = Self {
            name: file.path.display().to_string().into(),
            path: file.path,
            masked: mask::mask(&text),
            text,
        };
        (source, broken_at.map(|at| at - mark))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What relative paths in this file are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The line that holds this byte, without its end.
    pub(super) fn line_of(&self, offset: usize) -> Range<usize> {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |n| offset + n);
        let line = self.text[start..end].trim_end_matches('\r');
        start..start + line.len()
    }

    pub(super) fn place(&self, spot: &Spot) -> Place {
        let line = self.line_of(spot.start);
        let start = self.text.floor_char_boundary(spot.start).min(line.end);
        let end = self.text.floor_char_boundary(spot.end).clamp(start, line.end);
        Place {
            file: self.name.clone(),
            line: self.text[..line.start].matches('\n').count() + 1,
            column: self.text[line.start..start].chars().count() + 1,
            text: self.masked[line.clone()].to_owned(),
            caret: start - line.start..end - line.start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let (source, broken_at) = Source::new(File {
            path: "x.toml".into(),
            bytes: text.into(),
        });
        assert_eq!(broken_at, None);
        source
    }

    fn place_of(text: &str, needle: &str) -> (usize, usize, String) {
        let source = source(text);
        let start = source.text().find(needle).unwrap();
        let place = source.place(&Spot::new(0, start..start + needle.len()));
        assert_eq!(&place.text[place.caret.clone()], needle);
        (place.line, place.column, place.text)
    }

    #[test]
    fn columns_are_characters_and_count_neither_mark_nor_line_end() {
        assert_eq!(place_of("\u{feff}path = 5\r\n", "5"), (1, 8, "path = 5".to_owned()));
        assert_eq!(place_of("a = 1\r\npath = 5\r\n", "5"), (2, 8, "path = 5".to_owned()));
        assert_eq!(place_of("name = \"é€🦀\" # x", "# x").1, 14);
    }

    #[test]
    fn a_place_behind_the_end_is_at_the_end() {
        let source = source("a = 1\n");
        let place = source.place(&Spot::new(0, 99..120));
        assert_eq!((place.line, place.column, place.caret), (2, 1, 0..0));
    }

    #[test]
    fn a_file_that_is_not_utf8_tells_where() {
        let bytes = b"\xef\xbb\xbfname = \"caf\xe9\"\n".to_vec();
        let (source, broken_at) = Source::new(File {
            path: "x".into(),
            bytes,
        });
        let place = source.place(&Spot::new(0, broken_at.unwrap()..broken_at.unwrap() + 1));
        assert_eq!((place.line, place.column), (1, 12));
    }
}
