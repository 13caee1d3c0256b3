//! Keys and passwords: where they are kept, and what is odd about them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::outside::{Outside, SecretSource};
use super::reader::{Given, Value};
use super::slips::odd_blank;
use super::source::At;
use super::values::{self, one_or_list, text};
use crate::domain::Secret;

/// Keys that the gateway's documentation and samples publish.
const DEMONSTRATION_KEYS: &[&[u8]] = &[
    b"1122334455667788",
    b"38453613e7f44dc58732bad3dca2bca3",
    b"987654321",
    b"PLtsY7IpnYMBadb5",
    b"testpassword_DEMOPRIVATEKEY23G4475zXZQ2UA5x7M",
];

const HOW: &str = "write { credential = \"name\" }, { file = \"/path\" } or { env = \"NAME\" }";

const CREDENTIALS: &str = "systemd hands credentials to the daemon alone; while it runs, root may check with \
    CREDENTIALS_DIRECTORY=/run/credentials/ipn-router.service ipn-router check";

const ENVIRONMENT: &str =
    "set it where the daemon starts (systemd: Environment= or EnvironmentFile=), and for this command too";

const FILES: &str = "the path is relative to the file that names it; the daemon's user must be allowed to read it";

const BACKSLASHES: &str = "the parts of a path are joined by /, not by \\ as on Windows";

/// Secrets of one key; the first signs.
pub(super) type Secrets = Vec<At<Secret>>;

/// One secret, or a list while it is rotated.
pub(super) fn secrets(outside: &dyn Outside) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Secrets> {
    one_or_list(values::at(secret(outside)))
}

/// One secret.
pub(super) fn secret(outside: &dyn Outside) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Secret> {
    move |value, problems| {
        let bytes = match value.as_str() {
            Some(inline) if is_blank(inline.as_bytes()) => Vec::new(),
            Some(inline) => {
                problems.push(
                    Problem::new(
                        codes::INLINE_SECRET,
                        &value.spot,
                        format!("`{}` stands in the file itself", value.key),
                    )
                    .why("configuration files are copied, mailed and committed")
                    .instead(HOW),
                );
                inline.as_bytes().to_vec()
            }
            None => found(value, outside, problems)?,
        };
        checked(bytes, value, problems)
    }
}

/// Secrets of Standard Webhooks.
pub(super) fn event_secrets(outside: &dyn Outside) -> impl Fn(&Value<'_>, &mut Problems) -> Option<Secrets> {
    let read = secret(outside);
    one_or_list(values::at(move |value, problems| {
        let secret = read(value, problems)?;
        if is_event_secret(secret.expose()) {
            return Some(secret);
        }
        problems.push(
            Problem::new(
                codes::BAD_EVENT_SECRET,
                &value.spot,
                format!("`{}` is no Standard Webhooks secret", value.key),
            )
            .why("it is whsec_ followed by base64 of 24 to 64 random bytes")
            .instead("make one with: echo \"whsec_$(openssl rand -base64 32)\""),
        );
        None
    }))
}

fn is_event_secret(secret: &[u8]) -> bool {
    secret
        .strip_prefix(b"whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

fn found(value: &Value<'_>, outside: &dyn Outside, problems: &mut Problems) -> Option<Vec<u8>> {
    let from = source(value, problems)?;
    let found = match outside.secret(&from) {
        Ok(found) => found,
        Err(reason) => {
            // Without the name of the key: what several keys lack for one reason is told once.
            let what = format!("this secret cannot be read: {reason}");
            let problem = Problem::new(codes::UNREADABLE_SECRET, &value.spot, what);
            problems.push_once(match from {
                SecretSource::Credential(_) => problem.instead(CREDENTIALS),
                SecretSource::Env(_) => problem.instead(ENVIRONMENT),
                SecretSource::File(path) if path.to_string_lossy().contains('\\') => problem.instead(BACKSLASHES),
                SecretSource::File(_) => problem.instead(FILES),
            });
            return None;
        }
    };
    if found.readable_by_everyone {
        let what = format!("every user of this machine can read `{}`", value.key);
        problems.push(
            Problem::new(codes::SECRET_READABLE_BY_EVERYONE, &value.spot, what)
                .why("whoever reads it can sign as the gateway does, or log in as this daemon")
                .instead("chmod 600 the file, with the daemon's user as its owner"),
        );
    }
    Some(found.bytes)
}

fn source(value: &Value<'_>, problems: &mut Problems) -> Option<SecretSource> {
    let Some(table) = value.table() else {
        problems.push(value.wrong_type("a secret").instead(HOW));
        return None;
    };
    let mut table = table;
    let file = table.optional("file", problems, values::path);
    let env = table.optional("env", problems, text);
    let credential = table.optional("credential", problems, credential_name);
    let given = [file.is_meant(), env.is_meant(), credential.is_meant()];
    let given = given.into_iter().filter(|meant| *meant).count();
    let sources = [
        file.value().map(SecretSource::File),
        env.value().map(SecretSource::Env),
        credential.value().map(SecretSource::Credential),
    ];
    if given == 0 && table.is_finished() || given > 1 {
        let what = format!("`{}` must name exactly one place", value.key);
        problems.push(Problem::new(codes::WRONG_TYPE, &value.spot, what).instead(HOW));
        return None;
    }
    table.refuse_the_rest(problems);
    sources.into_iter().flatten().next()
}

fn credential_name(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let name = text(value, problems)?;
    if name.contains('/') || name.starts_with('.') {
        let what = "a credential is named, not given by its path";
        problems.push(Problem::new(codes::BAD_TEXT, &value.spot, what).instead("use { file = \"/path\" } for a path"));
        return None;
    }
    Some(name)
}

fn checked(bytes: Vec<u8>, value: &Value<'_>, problems: &mut Problems) -> Option<Secret> {
    let key = &value.key;
    let mut tell = |code, what: String, why: &str, instead: &str| {
        problems.push(Problem::new(code, &value.spot, what).why(why).instead(instead));
    };
    if is_blank(&bytes) {
        let why = "anyone can sign with an empty key";
        tell(
            codes::EMPTY_SECRET,
            format!("`{key}` is empty"),
            why,
            "put the key there, or leave this line out",
        );
        return None;
    }
    if bytes.contains(&0) {
        let why = "no key holds zero bytes; a file saved as UTF-16 does";
        let what = format!("`{key}` is no text");
        tell(
            codes::UNREADABLE_SECRET,
            what,
            why,
            "save the file as plain text (UTF-8)",
        );
        return None;
    }
    if let Some(padding) = padding(&bytes) {
        let why = "it is used as it is; if that came by accident, no signature will match";
        tell(
            codes::PADDED_SECRET,
            format!("`{key}` {padding}"),
            why,
            "leave nothing in it but the key",
        );
    }
    if DEMONSTRATION_KEYS.contains(&bytes.trim_ascii()) {
        let what = format!("`{key}` is a demonstration key that the gateway publishes");
        let why = "whoever reads the gateway's documentation can sign with it";
        tell(
            codes::DEMONSTRATION_KEY,
            what,
            why,
            "use the shop's own key: Back Office, Settings > Shop > Keys",
        );
    }
    Some(Secret::new(bytes))
}

fn is_blank(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.trim_matches(is_padding).is_empty())
}

fn is_padding(c: char) -> bool {
    c.is_whitespace() || odd_blank(c.encode_utf8(&mut [0; 4])).is_some()
}

/// What stands around the key, or in it, and is no part of a key.
fn padding(bytes: &[u8]) -> Option<&'static str> {
    // What is no UTF-8 has no blanks that anyone typed.
    let text = std::str::from_utf8(bytes).ok()?;
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    Some(if first == '\u{feff}' {
        "begins with a byte order mark, as Windows editors write it"
    } else if ['\n', '\r'].contains(&last) {
        "ends with an empty line"
    } else if text.contains('\n') {
        "has several lines"
    } else if is_padding(first) {
        "begins with a blank"
    } else if is_padding(last) {
        "ends with a blank"
    } else {
        return None;
    })
}

/// The secrets alone.
pub(super) fn plain(secrets: &Given<Secrets>) -> Vec<Secret> {
    let secrets = secrets.as_ref().map_or(&[][..], |given| &given.value);
    secrets.iter().map(|secret| secret.value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_key_stands_in_a_secret() {
        assert_eq!(padding(b"key"), None);
        assert_eq!(padding(b"a key"), None);
        assert_eq!(padding(b"\xff\xfe"), None);
        assert_eq!(padding(" key".as_bytes()), Some("begins with a blank"));
        assert_eq!(padding("key\u{a0}".as_bytes()), Some("ends with a blank"));
        assert_eq!(padding(b"key\n"), Some("ends with an empty line"));
        assert_eq!(padding(b"key\r\nother"), Some("has several lines"));
        assert!(padding("\u{feff}key".as_bytes()).is_some());
        assert!(is_blank(b"") && is_blank("\u{feff}\n \u{a0}".as_bytes()) && !is_blank(b"\xff"));
    }

    #[test]
    fn event_secret_holds_24_to_64_bytes() {
        let of = |length| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for (text, good) in [
            (of(23), false),
            (of(24), true),
            (of(64), true),
            (of(65), false),
            (STANDARD.encode([7; 32]), false),
            ("whsec_not base64 at all, but long enough".to_owned(), false),
        ] {
            assert_eq!(is_event_secret(text.as_bytes()), good, "{text}");
        }
    }
}
