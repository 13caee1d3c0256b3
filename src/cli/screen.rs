//! The standard output as commands write to it: what shops and strangers have said cannot steer a terminal.

use std::io::{self, StdoutLock, Write};

use anstream::AutoStream;

/// Where commands write what they have found out.
pub(super) fn stdout() -> Screen<AutoStream<StdoutLock<'static>>> {
    Screen::new(anstream::stdout().lock())
}

/// Passes lines on with their control characters escaped, but for our own colours.
///
/// Here, and not where a text comes from: the same texts go to programs, unchanged. The escape is one that JSON knows.
#[derive(Debug)]
pub(super) struct Screen<W: Write> {
    out: W,
    /// A line that is not whole yet: a character or a colour may come in pieces.
    begun: Vec<u8>,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }

    fn pass_on(&mut self, count: usize) -> io::Result<()> {
        let whole: Vec<u8> = self.begun.drain(..count).collect();
        self.out.write_all(escaped(&String::from_utf8_lossy(&whole)).as_bytes())
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
            self.pass_on(end + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on(self.begun.len())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // As of the standard output, an error at the end is nobody's any more.
        self.flush().ok();
    }
}

/// A text without anything that a terminal obeys, but for lines, tabs and colours.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = colour(rest).unwrap_or(c.len_utf8());
        let (piece, left) = rest.split_at(taken);
        if taken == c.len_utf8() && is_obeyed(c) {
            escaped += &format!("\\u{:04x}", u32::from(c));
        } else {
            escaped += piece;
        }
        rest = left;
    }
    escaped
}

/// The length of a sequence that changes only how text looks, and does not hide it, if the text begins with one.
fn colour(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\x1b[")?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let is_visible = codes[..end].split(';').all(|code| code.parse() != Ok(8_u32));
    (codes[end..].starts_with('m') && is_visible).then_some("\x1b[".len() + end + "m".len())
}

/// Control characters, and those that turn the direction of what follows.
fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use anstyle::{AnsiColor, Style};
    use proptest::prelude::*;

    use super::*;

    fn shown(pieces: &[&str]) -> String {
        let mut out = Vec::new();
        {
            let mut screen = Screen::new(&mut out);
            for piece in pieces {
                screen.write_all(piece.as_bytes()).unwrap();
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (text, expected) in [
            ("\x1b]0;x\x07", r"\u001b]0;x\u0007"),
            ("a\x1b[2Jb\r\u{9b}31m\x7f", r"a\u001b[2Jb\u000d\u009b31m\u007f"),
            ("\x1b[8mhidden\x1b[m", "\\u001b[8mhidden\x1b[m"),
            ("\x1b[31", r"\u001b[31"),
            ("abc\u{202e}fdp.exe", r"abc\u202efdp.exe"),
            ("é ✓\tline\n", "é ✓\tline\n"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn our_colours_pass_in_however_many_pieces() {
        let bad = AnsiColor::Red.on_default().bold();
        let text = format!("{bad}down{bad:#} {0}é{0:#}\nno end", Style::new().dimmed());
        let pieces: Vec<_> = text.split_inclusive(|_| true).collect();
        assert_eq!(shown(&pieces), text);
    }

    proptest! {
        #[test]
        fn json_stays_the_same_json(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let written = shown(&[json.as_str(), "\n"]);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }

        #[test]
        fn nothing_but_colours_is_left_to_be_obeyed(text in any::<String>()) {
            let without_colours = anstream::adapter::strip_str(&escaped(&text)).to_string();
            prop_assert!(!without_colours.contains(is_obeyed), "{:?}", without_colours);
        }
    }
}
