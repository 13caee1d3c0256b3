//! Keys and passwords: where they are kept, and what is odd about them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::outside::{Outside, SecretSource};
use super::reader::{Given, Value};
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
                SecretSource::Env(_) | SecretSource::File(_) => problem,
            });
            return None;
        }
    };
    if found.readable_by_everyone {
        let what = format!("every user of this machine can read `{}`", value.key);
        problems.push(
            Problem::new(codes::SECRET_READABLE_BY_EVERYONE, &value.spot, what)
                .why("with this key anyone can write notifications that shops believe")
                .instead("chmod 640 the file, with the daemon's group"),
        );
    }
    Some(found.bytes)
}

fn source(value: &Value<'_>, problems: &mut Problems) -> Option<SecretSource> {
    let Some(table) = value.table() else {
        value.wrong_type(&format!("a secret: {HOW}"), problems);
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
    if bytes.trim_ascii().is_empty() {
        let why = "anyone can sign with an empty key";
        tell(
            codes::EMPTY_SECRET,
            format!("`{key}` is empty"),
            why,
            "leave the key out, or fill it",
        );
        return None;
    }
    if bytes.trim_ascii().len() != bytes.len() {
        let what = format!("`{key}` begins or ends with a blank or a line end");
        let why = "it is used as it is, and signatures will differ if the blank was pasted by accident";
        tell(codes::PADDED_SECRET, what, why, "remove the blank");
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

/// The secrets alone.
pub(super) fn plain(secrets: &Given<Secrets>) -> Vec<Secret> {
    let secrets = secrets.as_ref().map_or(&[][..], |given| &given.value);
    secrets.iter().map(|secret| secret.value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
