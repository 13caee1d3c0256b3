use sha2::{Digest, Sha256};
use url::Url;

/// What is worth showing of an answer is at most this long, in bytes.
const LIMIT: usize = 300;

/// An answer of this length was cut off by the reader: its last word may be half of something secret.
const CUT_OFF: usize = 512;

/// Returns what of an answer helps a person, safe to store and to mail: at most 300 bytes on one line, without markup,
/// with card numbers, e-mail addresses and secrets masked.
///
/// Masking comes before cutting: half a card number is no long run of digits any more.
pub fn useful_text(answer: &[u8]) -> String {
    let mut text = one_line(&without_markup(&String::from_utf8_lossy(answer)));
    if answer.len() >= CUT_OFF {
        let whole = text
            .trim_end_matches(is_word)
            .trim_end_matches(|c: char| c.is_numeric() || matches!(c, ' ' | '-'));
        text.truncate(whole.len());
        text.push_str(" …");
    }
    cut(&masked(&text), LIMIT)
}

/// The longest start of a text that fits, with an ellipsis if something is missing.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit - '…'.len_utf8());
    format!("{}…", text[..end].trim_end())
}

/// Tags become blanks; scripts, styles and comments vanish; character references become characters.
fn without_markup(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let tag = &rest[at..];
        rest = match after_tag(tag) {
            Some(after) => {
                text.push(' ');
                after
            }
            None => {
                text.push('<');
                &tag[1..]
            }
        };
    }
    text.push_str(rest);
    with_characters(&text)
}

/// What follows the tag that `text` starts with; `None` if the `<` starts none. A tag cut off takes the rest along.
fn after_tag(text: &str) -> Option<&str> {
    if text.starts_with("<!--") {
        return Some(text.find("-->").map_or("", |end| &text[end + 3..]));
    }
    let name = text[1..].trim_start_matches('/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        return None;
    }
    let after = text.find('>').map_or("", |end| &text[end + 1..]);
    for hidden in ["script", "style"] {
        let opens = text
            .get(1..=hidden.len())
            .is_some_and(|tag| tag.eq_ignore_ascii_case(hidden));
        if opens {
            let end = after.to_ascii_lowercase().find(&format!("</{hidden}"));
            return Some(end.map_or("", |end| after_tag(&after[end..]).unwrap_or("")));
        }
    }
    Some(after)
}

/// `&amp;`, `&#64;`, `&#x40;`, … as the characters that they mean.
fn with_characters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        let reference = &rest[at + 1..];
        let end = reference.find(';').filter(|end| *end <= 8);
        match end.and_then(|end| Some((named_character(&reference[..end])?, end))) {
            Some((character, end)) => {
                plain.push(character);
                rest = &reference[end + 1..];
            }
            None => {
                plain.push('&');
                rest = reference;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn named_character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// Returns the text on one line: blanks and line ends become single blanks, characters that steer a terminal or a mail
/// program vanish.
pub fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !steers(*c))
        .collect();
    visible.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, and those of Unicode that hide text or turn its direction.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Part of something that is masked as a whole: a number, an address, a key.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+' | '/' | '=')
}

fn masked(text: &str) -> String {
    masked_numbers(&masked_words(text))
}

/// Masks words that are e-mail addresses, look like keys, or follow a name such as `password`.
fn masked_words(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut after_secret_name = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        if !is_word(first) {
            // A name and its value are joined by punctuation and blanks only: `"password": "…"`, `Bearer …`.
            masked.push_str(piece);
            continue;
        }
        let (name, value) = piece.split_once('=').unwrap_or(("", piece));
        let named = after_secret_name || names_a_secret(name);
        let joined = rest.trim_start_matches(['"', '\'', ' ']).starts_with([':', '=']);
        if is_address(piece) {
            masked.push_str("[address]");
        } else if !name.is_empty() && named {
            masked.push_str(name);
            masked.push_str("=[secret]");
        } else if named && !value.is_empty() && !is_scheme(piece) || looks_like_a_key(piece) {
            masked.push_str("[secret]");
        } else {
            masked.push_str(piece);
        }
        after_secret_name = is_scheme(piece) || names_a_secret(piece) && (joined || piece.ends_with('='));
    }
    masked
}

/// The word before the credentials of an `Authorization` header.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "signature",
        "authorization",
        "api_key",
        "apikey",
        "api-key",
        "private_key",
    ]
    .iter()
    .any(|secret| name.contains(secret))
}

fn is_address(word: &str) -> bool {
    word.split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// Long, and of letters and digits mixed: a token, a hash, a password of the gateway, a signature in base64.
fn looks_like_a_key(word: &str) -> bool {
    let mixed = |part: &str| part.contains(|c: char| c.is_ascii_digit()) && part.contains(|c: char| c.is_alphabetic());
    let both_cases = word.contains(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase());
    ["whsec_", "testpassword_", "prodpassword_"]
        .iter()
        .any(|prefix| word.contains(prefix))
        || word.len() >= 32 && mixed(word) && both_cases
        || word.split(['/', '-', '.']).any(|part| part.len() >= 20 && mixed(part))
}

/// Masks runs of 12 digits and more, also when single blanks or hyphens group them.
fn masked_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_numeric) {
        masked.push_str(&rest[..at]);
        let (number, behind) = rest[at..].split_at(number_length(&rest[at..]));
        if number.chars().filter(|c| c.is_numeric()).count() >= 12 {
            masked.push_str("[digits]");
        } else {
            masked.push_str(number);
        }
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

/// How far the number reaches that `text` starts with, in bytes.
fn number_length(text: &str) -> usize {
    let mut end = 0;
    let mut grouped = false;
    for (at, c) in text.char_indices() {
        if c.is_numeric() {
            end = at + c.len_utf8();
            grouped = false;
        } else if !grouped && matches!(c, ' ' | '-') {
            grouped = true;
        } else {
            break;
        }
    }
    end
}

/// First and last four characters of a token; of a short one, which that would nearly give away, a hash.
pub fn shown_token(token: &str) -> String {
    let characters: Vec<char> = token.chars().collect();
    if characters.len() < 16 {
        return format!("#{}", hex::encode(&Sha256::digest(token.as_bytes())[..4]));
    }
    let [first, last] = [&characters[..4], &characters[characters.len() - 4..]].map(String::from_iter);
    format!("{first}…{last}")
}

/// A URL without what may be secret in it: query, fragment, user and password.
pub fn shown_url(url: &Url) -> String {
    let (origin, path) = (url.origin().ascii_serialization(), url.path());
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{origin}{path}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(answer: &str) -> String {
        useful_text(answer.as_bytes())
    }

    #[test]
    fn page_becomes_its_text() {
        let page = "<!DOCTYPE html><html><head><title>403 Forbidden</title><style>h1 {color: red}</style>\
            <script>alert('x < y')</script></head>\r\n<body>\n<h1>Forbidden</h1><!-- hidden -->\
            <p>Tom &amp; Jerry: 1 &lt; 2</p></body></html>";
        assert_eq!(shown(page), "403 Forbidden Forbidden Tom & Jerry: 1 < 2");
        assert_eq!(shown("a < b and <br"), "a < b and");
    }

    #[test]
    fn card_numbers_are_masked_in_every_grouping() {
        for card in [
            "4970100000000003",
            "4970 1000 0000 0003",
            "4970-1000-0000-0003",
            "497010<b>0000</b>000003",
        ] {
            assert_eq!(
                shown(&format!("card {card} refused")),
                "card [digits] refused",
                "{card}"
            );
        }
        assert_eq!(
            shown("order 12345678901 at 2026-10-17"),
            "order 12345678901 at 2026-10-17"
        );
    }

    #[test]
    fn addresses_are_masked_even_if_the_page_hides_them() {
        assert_eq!(shown("ask joe.doe+x@example.com."), "ask [address]");
        assert_eq!(
            shown("ask joe&#64;example.com or jane&#x40;example.com"),
            "ask [address] or [address]"
        );
    }

    #[test]
    fn secrets_are_masked() {
        for (answer, text) in [
            ("key testpassword_DEMOPRIVATEKEY23G4475zXZQ2UA5x7M", "key [secret]"),
            ("secret whsec_C2FVsBQIhrscChlQIMV", "secret [secret]"),
            (
                r#"{"password": "hunter2", "error": "no"}"#,
                r#"{"password": "[secret]", "error": "no"}"#,
            ),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
            ("GET /ipn?token=abc&x=1", "GET /ipn?token=[secret]&x=1"),
            ("token 9d3a1c0b8e7f4a5d9c2b1e0f3a4b5c6d gone", "token [secret] gone"),
            ("signature mismatch", "signature mismatch"),
            (
                "request 0192a7b4-58c1-7d1e-9f00-aa11bb22cc33",
                "request 0192a7b4-58c1-7d1e-9f00-aa11bb22cc33",
            ),
        ] {
            assert_eq!(shown(answer), text);
        }
    }

    #[test]
    fn number_cut_off_by_the_reader_is_not_shown() {
        let mut answer = format!("<p>{}</p> card ", " ".repeat(488)).into_bytes();
        answer.extend(b"4970100000000003");
        answer.truncate(CUT_OFF);
        assert!(answer.ends_with(b"49701000000"), "shorter than a run that is masked");
        assert_eq!(useful_text(&answer), "card …");
        let grouped = format!("<p>{}</p> card 4970 1000 000", " ".repeat(486));
        assert_eq!(shown(&grouped), "card …");
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_short_line(answer in proptest::collection::vec(any::<u8>(), 0..700)) {
            let text = useful_text(&answer);
            prop_assert!(text.len() <= LIMIT);
            prop_assert!(!text.contains(steers));
        }

        #[test]
        fn no_card_number_passes(
            before in "[ -~]{0,40}", card in "[0-9]{12,19}", after in "[ -~]{0,500}"
        ) {
            let text = shown(&format!("{before} {card} {after}"));
            prop_assert!(!text.contains(&card), "{}", text);
        }

        #[test]
        fn no_address_passes(before in "[ -~]{0,40}", name in "[a-z]{3,9}", after in "[ -~]{0,40}") {
            let address = format!("{name}@example.com");
            let text = shown(&format!("{before} {address} {after}"));
            prop_assert!(!text.contains(&address), "{}", text);
        }
    }

    #[test]
    fn tokens_are_shortened_and_short_ones_hashed() {
        assert_eq!(shown_token("9d3a1c0b8e7f4a5d9c2b1e0f3a4b5c6d"), "9d3a…5c6d");
        assert_eq!(shown_token("0123456789abcdef"), "0123…cdef");
        let short = shown_token("0123456789abcde");
        assert!(short.starts_with('#') && short.len() == 9 && !short.contains("0123"));
    }
}
