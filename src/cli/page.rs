//! Text for a terminal of 80 columns.

use std::io::{self, Write};

use anstyle::Style;

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
    fn text_stays_in_its_column() {
        let mut out = anstream::StripStream::new(Vec::new());
        beside(&mut out, "why", 60, "aaaa bbbb cccc dddd eeee").unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        let blanks = " ".repeat(57);
        assert_eq!(text, format!("why{blanks}aaaa bbbb cccc dddd\n   {blanks}eeee\n"));
    }
}
