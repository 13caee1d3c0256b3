//! How the reader's types look in JSON Schema.

use serde_json::{Map, Value, json};

/// A table with these keys and no others.
pub(super) fn table(description: &str, required: &[&str], keys: Vec<(&str, Value)>) -> Value {
    let properties: Map<_, _> = keys.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    let mut table = json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    // Draft 4 knows no empty list here.
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

/// One line with something in it.
pub(super) fn text(description: &str) -> Value {
    text_like(description, r"\S")
}

pub(super) fn text_like(description: &str, pattern: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": pattern})
}

pub(super) fn flag(description: &str) -> Value {
    json!({"description": description, "type": "boolean"})
}

pub(super) fn word(description: &str, words: &[&str]) -> Value {
    json!({"description": description, "type": "string", "enum": words})
}

pub(super) fn list(description: &str, items: &Value) -> Value {
    json!({"description": description, "type": "array", "items": items})
}

/// One such value, or a list of them with something in it.
pub(super) fn one_or_list(one: &Value) -> Value {
    json!({"description": one["description"], "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}

pub(super) fn count(description: &str, most: u32) -> Value {
    json!({"description": description, "type": "integer", "minimum": 1, "maximum": most})
}

/// "30s", "1h 30m"; the words are jiff's.
pub(super) fn duration(description: &str) -> Value {
    const UNIT: &str = "(weeks?|wks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s\
        |milliseconds?|millis?|msecs?|ms|microseconds?|micros?|usecs?|us|µsecs?|µs|nanoseconds?|nanos?|nsecs?|ns)";
    let one = format!("[0-9]+([.,][0-9]+)? *{UNIT}");
    text_like(description, &format!("^(?=.*[1-9]){one}(,? *{one})*$"))
}

pub(super) fn durations(description: &str) -> Value {
    list(description, &duration("A time such as \"30s\", \"5m\" or \"2 h\"."))
}

pub(super) fn size(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            {"type": "string", "pattern": r"^0*[1-9][0-9]*\s*([kKmM]([iI]?[bB])?|[bB])?\s*$"},
            {"type": "integer", "minimum": 1024, "maximum": 64 * 1024 * 1024},
        ],
    })
}

pub(super) fn rate(description: &str) -> Value {
    text_like(description, r"^\s*[0-9]*[.]?[0-9]+([eE][0-9]+)?\s*/\s*(s|m|min|h)\s*$")
}

pub(super) fn url(description: &str) -> Value {
    text_like(description, r"^\s*[hH][tT][tT][pP][sS]?://[^/?#@\s]+([/?][^#]*)?$")
}

/// E-mail addresses, separated by semicolons: a comma may stand within quotes only.
pub(super) fn addresses(description: &str) -> Value {
    const PART: &str = r#"(([^",;@]|"[^"]*")*@[^",;@]+|\s*)"#;
    let description = format!("{description} E-mail addresses, separated by semicolons.");
    text_like(&description, &format!("^{PART}(;{PART})*$"))
}

pub(super) fn certificate_and_key(description: &str) -> Value {
    table(
        description,
        &["certificate", "key"],
        vec![
            ("certificate", text("PEM file with the certificate chain.")),
            ("key", text("PEM file with the private key.")),
        ],
    )
}

/// One secret, by where it is kept.
pub(super) fn secret(description: &str) -> Value {
    let places = table(
        "Where the secret is kept: exactly one of these.",
        &[],
        vec![
            (
                "credential",
                text_like(
                    "The name of a file that systemd hands over (LoadCredential).",
                    "^[^./][^/]*$",
                ),
            ),
            ("env", text("An environment variable.")),
            ("file", text("A file of its own, mode 600, of the daemon's user.")),
        ],
    );
    let mut places = places;
    places["minProperties"] = 1.into();
    places["maxProperties"] = 1.into();
    let inline =
        text("The secret itself, which `check` warns of: configuration files are copied, mailed and committed.");
    json!({"description": description, "anyOf": [places, inline]})
}

/// One secret, or a list while it is changed.
pub(super) fn secrets(description: &str) -> Value {
    let description = format!("{description} A list while it is changed: all are accepted, the first signs.");
    let alternatives = secret("")["anyOf"].clone();
    let mut alternatives = alternatives.as_array().cloned().unwrap_or_default();
    alternatives.push(json!({"type": "array", "items": secret("One of them."), "minItems": 1}));
    json!({"description": description, "anyOf": alternatives})
}

pub(super) fn event_secret() -> Value {
    secrets(
        "What events are signed with, by Standard Webhooks: whsec_ and base64 of 24 to 64 random bytes. Make one with: \
         echo \"whsec_$(openssl rand -base64 32)\".",
    )
}
