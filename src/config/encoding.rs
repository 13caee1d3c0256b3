//! Bytes to text, also when they are not the UTF-8 that they should be.

/// Why a file is not written as TOML must be, and the byte of its text where that shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Misread {
    pub(super) at: usize,
    pub(super) what: &'static str,
    pub(super) instead: &'static str,
}

/// Reads a text as it was probably meant: what is wrong with it is told once, and all the rest can still be checked.
pub(super) fn decode(bytes: Vec<u8>) -> (String, Option<Misread>) {
    let text = match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        // Of a text in ASCII, every second byte is 0.
        [a, 0, b, 0, ..] if *a > 0 && *b > 0 => return utf16(&bytes, u16::from_le_bytes),
        [0, a, 0, b, ..] if *a > 0 && *b > 0 => return utf16(&bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes),
    };
    match text {
        Ok(text) => unix_lines(without_mark(text)),
        Err(error) => {
            let text = latin1(error.as_bytes());
            let mark = text.len() - without_mark(text.clone()).len();
            let misread = Misread {
                at: error.utf8_error().valid_up_to() - mark,
                what: "from here on, this is not UTF-8",
                instead: "save the file as UTF-8: it is probably Latin-1 or Windows-1252, where é and ç are other bytes",
            };
            (without_mark(text), Some(misread))
        }
    }
}

/// Windows editors begin UTF-8 with a mark, which is no part of the text and counted by no column.
fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<Misread>) {
    let units: Vec<_> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    let misread = Misread {
        at: 0,
        what: "this file is UTF-16, not UTF-8",
        instead: "save it as UTF-8; in the Windows Notepad: Save as, Encoding: UTF-8",
    };
    (String::from_utf16_lossy(&units), Some(misread))
}

/// Lines that end as on old Macs, with a carriage return alone.
fn unix_lines(text: String) -> (String, Option<Misread>) {
    match text.find('\r') {
        Some(at) if !text.contains('\n') => {
            let misread = Misread {
                at,
                what: "the lines of this file end as on old Macs",
                instead: "save it with the line ends of Unix (LF) or Windows (CRLF)",
            };
            (text.replace('\r', "\n"), Some(misread))
        }
        _ => (text, None),
    }
}

/// Takes each byte that is no UTF-8 for a character of Latin-1.
fn latin1(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_read_and_only_utf8_is_right() {
        let utf16 = |unit: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        for (bytes, text, misread_at) in [
            (b"\xef\xbb\xbfa = 1\r\n".to_vec(), "a = 1\r\n", None),
            ("é".into(), "é", None),
            (utf16(u16::to_le_bytes, "\u{feff}a = \"é\""), "a = \"é\"", Some(0)),
            (utf16(u16::to_be_bytes, "\u{feff}a = 1"), "a = 1", Some(0)),
            (utf16(u16::to_le_bytes, "a = 1"), "a = 1", Some(0)),
            (utf16(u16::to_be_bytes, "a = 1"), "a = 1", Some(0)),
            (b"a = \"caf\xe9\"".to_vec(), "a = \"café\"", Some(8)),
            (b"\xef\xbb\xbfa = \"\xe9\"".to_vec(), "a = \"é\"", Some(5)),
            (b"a = 1\rb = 2\r".to_vec(), "a = 1\nb = 2\n", Some(5)),
        ] {
            let (read, misread) = decode(bytes);
            assert_eq!((read.as_str(), misread.map(|misread| misread.at)), (text, misread_at));
        }
    }
}
