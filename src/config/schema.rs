//! The JSON Schema of the configuration: what an editor needs to complete keys, explain them and underline mistakes.
//!
//! It is written by hand beside the reader, because the reader is code, not types; a test asks the reader for the keys
//! and words that it knows, and they must be the same. Where the two cannot be alike the schema is the more patient
//! one: what it refuses, the reader refuses too. Draft 4, without references, is what taplo understands.

mod types;

use serde_json::{Value, json};

use self::types::{
    addresses, certificate_and_key, count, duration, durations, event_secret, flag, list, one_or_list, rate, secret,
    secrets, size, table, text, text_like, url, word,
};
use crate::domain::Kind;

/// Returns the schema of the configuration.
pub fn schema() -> Value {
    let mut schema = table(
        "The configuration of ipn-router.",
        &[],
        vec![
            (
                "include",
                list(
                    "More files, with [legal_entities.…] and [shops.…] only; paths are relative to this file, `*` and `?` \
                     stand for characters of one name.",
                    &text("A path, such as \"companies.d/*.toml\"."),
                ),
            ),
            (
                "reload",
                word(
                    "When a change takes effect: by command (systemctl reload), or as soon as the file changes.",
                    &["command", "watch"],
                ),
            ),
            ("receiver", receiver()),
            ("store", store()),
            ("mail", mail()),
            ("admin", admin()),
            (
                "legal_entities",
                by_id(
                    "Companies, each under a key of your choice: [legal_entities.acme]. Tokens are shared between the \
                     shops of one company, and never leave it.",
                    "^[A-Za-z0-9_-]{1,64}$",
                    &legal_entity(),
                ),
            ),
            (
                "shops",
                by_id(
                    "Shops, each under its id of the Back Office, 8 digits: [shops.12345678].",
                    "^[0-9]{8}$",
                    &shop(),
                ),
            ),
        ],
    );
    schema["$schema"] = "http://json-schema.org/draft-04/schema#".into();
    schema["title"] = "ipn-router".into();
    schema
}

fn receiver() -> Value {
    let networks = |description| {
        let one = text_like(
            "An IP address or a network, such as \"127.0.0.1\" or \"194.50.38.0/24\".",
            r"^\s*[0-9A-Fa-f:.]+(/[0-9]{1,3})?\s*$",
        );
        list(description, &one)
    };
    table(
        "Where the gateway calls.",
        &[],
        vec![
            (
                "listen",
                listen("Address and port to listen on. Default: \"127.0.0.1:8080\"."),
            ),
            (
                "tls",
                certificate_and_key("Certificate chain and key, if TLS does not end at a proxy in front."),
            ),
            (
                "path",
                text_like(
                    "The path that the gateway calls. Default: \"/ipn\".",
                    r"^\s*/[^?#%\s]*\s*$",
                ),
            ),
            (
                "trusted_proxies",
                networks("Proxies in front, whose X-Forwarded-For is believed. Default: none."),
            ),
            (
                "allow_from",
                networks("Networks that may call. Default: everyone, for the signature is the real check."),
            ),
            (
                "max_in_flight",
                count(
                    "Requests in work at once; more are told to come back. Default: 1024.",
                    100_000,
                ),
            ),
            ("max_body", size("The largest body that is taken. Default: \"64 KiB\".")),
            (
                "header_timeout",
                duration("How long a caller may take for the head of a request. Default: \"10s\"."),
            ),
            (
                "body_timeout",
                duration("How long a caller may take for the body. Default: \"10s\"."),
            ),
            (
                "answer_timeout",
                duration("How long our answer may take, then it is 503. Default: \"8s\"."),
            ),
        ],
    )
}

fn store() -> Value {
    table(
        "Where notifications are kept.",
        &[],
        vec![
            (
                "url",
                text_like(
                    "The SQLite file. Default: \"sqlite:/var/lib/ipn-router/outbox.db\".",
                    r"^\s*sqlite:.*[^:/\s]\s*$",
                ),
            ),
            ("password", secret("SQLite has none: leave it out.")),
            (
                "keep_bodies",
                duration(
                    "How long a body is kept after its last delivery; it holds personal data. What was not delivered: 90 \
                     days. Default: \"14d\".",
                ),
            ),
            (
                "keep_records",
                duration("How long everything else about a notification is kept; at least 90 days. Default: \"400d\"."),
            ),
        ],
    )
}

fn mail() -> Value {
    let mut mail = table(
        "How e-mail leaves.",
        &["smtp", "from"],
        vec![
            (
                "smtp",
                text_like(
                    "The mail server. smtps:// is TLS; smtp:// insists on STARTTLS, except toward this machine or with \
                     ?tls=none.",
                    r"^\s*[sS][mM][tT][pP][sS]?://[^/?#@\s]+/?(\?tls=none)?\s*$",
                ),
            ),
            ("username", text("For the login at the mail server, with `password`.")),
            ("password", secret("For the login at the mail server, with `username`.")),
            (
                "from",
                text_like(
                    "The sender, such as \"IPN router <ipn-router@example.com>\".",
                    r#"^([^",;@]|"[^"]*")*@[^",;@]+$"#,
                ),
            ),
            (
                "ca",
                text("PEM file with an authority to trust for the mail server, besides the system's."),
            ),
            ("operators", addresses("Who hears of the daemon's own trouble.")),
        ],
    );
    mail["dependencies"] = json!({"username": ["password"], "password": ["username"]});
    mail
}

fn admin() -> Value {
    table(
        "Where on-call looks.",
        &[],
        vec![
            (
                "listen",
                listen("Address and port of the status page, metrics and API. Default: none."),
            ),
            (
                "token",
                secrets("Opens the status page, the metrics and the API; without one they are closed."),
            ),
            (
                "public_url",
                url("How people reach the status page, behind a proxy; for links in e-mails."),
            ),
            (
                "socket",
                text("Unix socket that commands speak to the daemon through. Default: beside the store."),
            ),
        ],
    )
}

fn legal_entity() -> Value {
    let kinds = Kind::ALL.map(Kind::name);
    let families = ["*", "registration.*", "subscription.*", "token.*"];
    let mut keys = vec![
        ("name", text("The company's name, for people.")),
        (
            "enabled",
            flag("false: notifications are received and stored, and not delivered. Default: true."),
        ),
        (
            "failure_emails",
            addresses("On-call: who is told when a shop cannot be reached."),
        ),
        ("language", word("Of the e-mails. Default: \"en\".", &["en", "fr"])),
        (
            "share",
            list(
                "Kinds that every shop of the company learns; everything else goes to the named shop only. Default: \
                 [\"token.*\"].",
                &word("A kind, or several.", &[&kinds[..], &families[..]].concat()),
            ),
        ),
        (
            "expect_every",
            duration("Tells the operators if the gateway is silent for longer. Default: off."),
        ),
        (
            "wait_for_named_shop",
            duration(
                "Holds the answer to a notification with a charge until the named shop has it, at most so long: \"2s\" if \
                 the rule for the end of a payment names this daemon. Default: off.",
            ),
        ),
    ];
    keys.extend(delivery());
    table("A company, whose shops share tokens.", &["name"], keys)
}

fn shop() -> Value {
    let ways = ["event", "form", "rest"];
    let mut keys = vec![
        ("name", text("The shop's name, for people.")),
        (
            "legal_entity",
            text_like(
                "The company that it belongs to: the X of [legal_entities.X].",
                r"^\s*[A-Za-z0-9_-]{1,64}\s*$",
            ),
        ),
        ("enabled", flag("false: what is for it waits. Default: true.")),
        (
            "allow_private",
            flag("Whether its URLs may have addresses of a private network. Default: false."),
        ),
        (
            "extra_failure_emails",
            addresses("Who is told besides the company's `failure_emails` when this shop cannot be reached."),
        ),
        (
            "learns_by",
            list(
                "Which of its URLs learn of the other shops' tokens. Default: all that it has; [] for none.",
                &word("A way to learn.", &ways),
            ),
        ),
        (
            "foreign_orders",
            word(
                "Whether form_url and rest_url get other shops' orders and charges too: only for a service written for \
                 it, for a plugin would mark a stranger's order as paid. Default: \"withhold\".",
                &["send", "withhold"],
            ),
        ),
        (
            "answer_check",
            word(
                "Whether KO-… in an answer of 200, as plugins write it, is a complaint. Default: \"verdict\".",
                &["status-only", "verdict"],
            ),
        ),
        (
            "ca",
            text("PEM file with the only authorities to trust for its URLs. Default: the system's."),
        ),
        (
            "client_certificate",
            certificate_and_key("What proves us to the shop's server. Default: none."),
        ),
        (
            "test",
            mode("The shop in TEST; without this table it takes no part in it."),
        ),
        (
            "production",
            mode("The shop in PRODUCTION; without this table it takes no part in it."),
        ),
    ];
    keys.extend(delivery());
    table("A shop.", &["name", "legal_entity"], keys)
}

fn mode(description: &str) -> Value {
    let hash = word(
        "How forms are signed: Back Office, Settings > Shop > Keys; \"sha-1\" for old shops. Default: \"hmac-sha-256\".",
        &["hmac-sha-256", "sha-1"],
    );
    let mut mode = table(
        description,
        &[],
        vec![
            (
                "form_key",
                secrets("The key that the gateway signs forms with: Back Office, Settings > Shop > Keys."),
            ),
            ("form_hash", one_or_list(&hash)),
            (
                "form_url",
                url("Where its form notifications go, such as its plugin's URL."),
            ),
            (
                "rest_password",
                secrets(
                    "The password that the gateway signs REST notifications with: Back Office, Settings > Shop > REST API \
                     keys. It can also charge and refund: leave it out if nothing needs it.",
                ),
            ),
            ("rest_url", url("Where its REST notifications go.")),
            ("event_secret", event_secret()),
            (
                "event_url",
                url("Where it learns of the other shops' tokens, as events."),
            ),
        ],
    );
    mode["dependencies"] = json!({"event_url": ["event_secret"]});
    mode
}

/// What a company and a shop may both have; the shop's word counts.
fn delivery() -> Vec<(&'static str, Value)> {
    let timeouts = table(
        "How long a call to a shop may take.",
        &[],
        vec![
            ("connect", duration("Until it is connected. Default: \"5s\".")),
            ("first_byte", duration("Until the answer begins. Default: \"30s\".")),
            ("whole", duration("All of it. Default: \"35s\".")),
        ],
    );
    vec![
        (
            "automatic_retry",
            flag("Whether a failed delivery is tried again. Default: true."),
        ),
        (
            "retry_delays",
            durations("When a failed delivery is tried again; growing. Default: [\"30s\", \"5m\", \"15m\", \"1h\"]."),
        ),
        (
            "give_up_after",
            duration("When a delivery that waits is given up, and kept for a replay. Default: \"72h\"."),
        ),
        ("concurrency", count("Calls to one URL at once. Default: 8.", 1000)),
        (
            "rate",
            rate("Calls to one URL, such as \"10/s\" or \"600/min\". Default: no limit."),
        ),
        ("timeouts", timeouts),
        (
            "failure_emails_on",
            word(
                "One thread of e-mails for each trouble, or one e-mail for each failed call, as the gateway does. \
                 Default: \"incident\".",
                &["every-attempt", "incident"],
            ),
        ),
    ]
}

fn listen(description: &str) -> Value {
    text_like(description, r"^\s*([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}\s*$")
}

fn by_id(description: &str, pattern: &str, each: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "patternProperties": {pattern: each},
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests;
