//! Hides secrets in the lines that messages quote.
//!
//! It works on the text alone, because the lines that matter most are those that are no TOML: an unclosed quote, a
//! misspelt key. So it is the other way round: only values of keys known to be harmless are left legible.

/// Keys whose values may be shown. Not `key` of TLS: who misspells `form_key` may write just that.
pub(super) const SHOWN: &[&str] = &[
    "allow_from",
    "allow_private",
    "answer_check",
    "answer_timeout",
    "automatic_retry",
    "body_timeout",
    "ca",
    "certificate",
    "client_certificate",
    "concurrency",
    "connect",
    "credential",
    "enabled",
    "env",
    "event_url",
    "expect_every",
    "extra_failure_emails",
    "failure_emails",
    "failure_emails_on",
    "file",
    "first_byte",
    "foreign_orders",
    "form_hash",
    "form_url",
    "from",
    "give_up_after",
    "header_timeout",
    "include",
    "keep_bodies",
    "keep_records",
    "language",
    "learns_by",
    "legal_entity",
    "listen",
    "max_body",
    "max_in_flight",
    "name",
    "operators",
    "path",
    "public_url",
    "rate",
    "reload",
    "rest_url",
    "retry_delays",
    "share",
    "smtp",
    "socket",
    "timeouts",
    "tls",
    "trusted_proxies",
    "url",
    "username",
    "wait_for_named_shop",
    "whole",
];

/// Returns the text with everything that may be secret replaced, each character by one of as many bytes, so that every
/// place stays where it is.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut state = State::default();
    for line in text.split_inclusive('\n') {
        state.line(line, &mut masked);
    }
    hide_user_info(&masked)
}

/// What a line inherits from the lines above.
#[derive(Default)]
struct State {
    /// Per open bracket, whether what it holds may be shown; the first is the value of the line's own key.
    open: Vec<bool>,
    /// Inside `"""` or `'''`, and whether it may be shown.
    text: Option<(&'static str, bool)>,
}

impl State {
    fn line(&mut self, line: &str, masked: &mut String) {
        let mut rest = line;
        if let Some((quotes, shown)) = self.text {
            let Some(end) = line.find(quotes) else {
                return push(line, shown, masked);
            };
            let (inside, after) = line.split_at(end + quotes.len());
            push(inside, shown, masked);
            self.text = None;
            rest = after;
        } else if self.open.is_empty() {
            let start = line.trim_start();
            if start.starts_with('[') {
                return push(line, true, masked);
            }
            let Some((key, shown, value)) = key_of(line) else {
                return push(line, false, masked);
            };
            masked.push_str(key);
            self.value(value, shown, masked);
            return;
        }
        let shown = self.open.last().copied().unwrap_or(false);
        self.value(rest, shown, masked);
    }

    /// Walks what follows a `=`, or continues it.
    fn value(&mut self, value: &str, mut shown: bool, masked: &mut String) {
        let mut rest = value;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '[' => {
                    self.open.push(shown);
                    1
                }
                '{' => {
                    self.open.push(shown);
                    if let Some((key, of_key, _)) = key_of(&rest[1..]) {
                        masked.push('{');
                        masked.push_str(key);
                        rest = &rest[1 + key.len()..];
                        shown = of_key;
                        continue;
                    }
                    1
                }
                ']' | '}' => {
                    shown = self.open.pop().unwrap_or(shown);
                    1
                }
                ',' => match key_of(&rest[1..]) {
                    Some((key, of_key, _)) if !self.open.is_empty() => {
                        masked.push(',');
                        masked.push_str(key);
                        rest = &rest[1 + key.len()..];
                        shown = of_key;
                        continue;
                    }
                    _ => 1,
                },
                '#' => rest.len(),
                '"' | '\'' => match self.quoted(rest, shown) {
                    Some(length) => length,
                    None => return push(rest, shown, masked),
                },
                other => other.len_utf8(),
            };
            let (this, after) = rest.split_at(length);
            push(this, shown, masked);
            rest = after;
        }
    }

    /// The length of the string that begins here; `None` if it does not end in this line.
    fn quoted(&mut self, rest: &str, shown: bool) -> Option<usize> {
        for quotes in ["\"\"\"", "'''"] {
            if let Some(inside) = rest.strip_prefix(quotes) {
                let end = inside.find(quotes);
                if end.is_none() {
                    self.text = Some((quotes, shown));
                }
                return end.map(|end| end + 2 * quotes.len());
            }
        }
        let quote = rest.chars().next()?;
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' && quote == '"' {
                escaped = true;
            } else if c == quote {
                return Some(at + 1);
            }
        }
        None
    }
}

/// Splits `key = value`; whether the value may be shown. `None` if this is no key.
fn key_of(text: &str) -> Option<(&str, bool, &str)> {
    let equals = text.find('=')?;
    let key = text[..equals].trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    if key.is_empty() || !key.chars().all(plain) {
        return None;
    }
    let last = key.rsplit('.').next().unwrap_or(key).trim_matches(['"', '\'']);
    let (key, value) = text.split_at(equals + 1);
    Some((key, SHOWN.contains(&last), value))
}

fn push(text: &str, shown: bool, masked: &mut String) {
    if shown {
        masked.push_str(text);
        return;
    }
    masked.extend(text.chars().map(|c| match c.len_utf8() {
        1 if c.is_whitespace() || "\"'[]{},=".contains(c) => c,
        1 => '*',
        2 => '·',
        3 => '•',
        _ => '🞄',
    }));
}

/// Hides `user:password@` in addresses: it is refused there, and the refusal quotes the line.
fn hide_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        shown.push_str(before);
        let end = after.find(['"', '\'', '\n']).unwrap_or(after.len());
        let user_info = after[..end].rfind('@').unwrap_or(0);
        push(&after[..user_info], false, &mut shown);
        rest = &after[user_info..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_where_they_are() {
        let text = "form_key = \"aé€🦀\" # b\nname = \"é\"\n";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.chars().count(), text.chars().count());
        assert_eq!(masked, "form_key = \"*·•🞄\" * *\nname = \"é\"\n");
    }

    #[test]
    fn references_and_harmless_values_stay_legible() {
        for text in [
            "form_key = { file = \"/a/b\" }\n",
            "form_key = [{ credential = \"x\" }, { env = 'Y' }]\n",
            "[shops.12345678.test]\n",
            "timeouts = { connect = \"5s\", whole = \"9s\" }\n",
            "allow_from = [\n  \"10.0.0.0/8\", # office\n]\n",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn no_way_of_writing_a_secret_shows_it() {
        for text in [
            "form_key = \"SECRET\"",
            "form_key = SECRET",
            "form_key = \"SECRET\n",
            "form_key \"SECRET\"",
            "form_key: \"SECRET\" # a = b",
            "form_kye = 'SECRET'",
            "\"form_key\" = 'SECRET' # SECRET",
            "production.form_key = \"a\\\"SECRET\"",
            "form_key = [\n \"SECRET\",\n 'SECRET'\n]\n",
            "form_key = [{ file = \"x\" }, \"SECRET\"]",
            "form_key = [{ file = \"x\" },\n \"SECRET\"]",
            "event_secret = \"\"\"\nSECRET\n\"\"\"",
            "x = { name = \"a\", form_key = \"SECRET\", url = \"b\" }",
            "test = { form_key = \"SECRET\" }",
            "SECRET",
            "url = \"postgres://ipn:SECRET@db/ipn\"",
            "form_url = 'https://SECRET:SECRET@shop.example/'",
        ] {
            assert!(!mask(text).contains("SECRET"), "{text} became {}", mask(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_places(text in "(?s)[a-z=\\[\\]{}\"'#,.:/@é€🦀 \\n\\\\]{0,80}") {
            let masked = mask(&text);
            proptest::prop_assert_eq!(masked.len(), text.len());
            for (a, b) in masked.char_indices().zip(text.char_indices()) {
                proptest::prop_assert_eq!(a.0, b.0);
                proptest::prop_assert_eq!(a.1 == '\n', b.1 == '\n');
            }
        }
    }
}
