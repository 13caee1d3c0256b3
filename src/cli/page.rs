//! Text for a terminal of 80 columns.

use std::io::{self, Write};

use anstyle::Style;
use jiff::Timestamp;

use crate::alert::Language;

/// Columns of the terminal that everybody has.
pub(super) const WIDTH: usize = 80;

pub(super) const FAINT: Style = Style::new().dimmed();

/// Writes a faint label with a text beside it; what does not fit goes on below, in the same column.
pub(super) fn beside(out: &mut impl Write, label: &str, column: usize, text: &str) -> io::Result<()> {
    for (number, line) in wrapped(text, WIDTH - column).into_iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        writeln!(out, "{FAINT}{label:<column$}{FAINT:#}{line}")?;
    }
    Ok(())
}

/// Writes rows in columns, as wide as the widest cell of each, two blanks apart.
pub(super) fn columns(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A time, in UTC as the log has it.
pub(super) fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How long it is since a time, in its two largest units.
pub(super) fn lasting(from: Timestamp, to: Timestamp) -> String {
    Language::English.lasting(from, to)
}

/// A number of bytes as people say it.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let bytes = bytes as f64;
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", bytes / size),
        None => format!("{bytes} bytes"),
    }
}

/// The lines of a text, none longer than this unless a word is.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(
            wrapped("a https://long.example/ b", 5),
            ["a", "https://long.example/", "b"]
        );
        assert_eq!(wrapped("", 5), [""; 0]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        columns(&mut out, &[row(["a", "bcd", "e"]), row(["aé", "b", ""])]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a   bcd  e\naé  b\n");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1_000, "1.0 kB"),
            (12_340_000, "12.3 MB"),
            (2_000_000_000, "2.0 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn text_stays_in_its_column() {
        let mut out = anstream::StripStream::new(Vec::new());
        beside(&mut out, "why", 60, "aaaa bbbb cccc dddd eeee").unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        let blanks = " ".repeat(57);
        assert_eq!(text, format!("why{blanks}aaaa bbbb cccc dddd\n   {blanks}eeee\n"));
    }
}
