//! The text of the file.

use std::fmt::Write;

use url::Url;

use super::draft::Draft;
use super::{Keeping, SetUp};
use crate::config::is_private_host;
use crate::domain::Format;

/// Returns the configuration, with comments for whoever reads it next.
pub(super) fn toml(draft: &Draft) -> String {
    let mut text = format!(
        "\
#:schema ./ipn-router.schema.json
#
# ipn-router for {company}. It was written by `ipn-router init`, and is yours now.
#
#   ipn-router check      tells every mistake, before it can hurt
#   ipn-router explain    says where a notification would go, and why

",
        company = one_line(&draft.company)
    );
    for part in [
        receiver(draft),
        store(draft),
        mail(draft),
        company(draft),
        notified_shop(draft),
        other_shop(draft),
    ] {
        text.push_str(&part);
    }
    text
}

fn receiver(draft: &Draft) -> String {
    let listen = quoted(&draft.listen);
    let tls = match &draft.tls {
        Some((certificate, key)) => {
            let (certificate, key) = (quoted(certificate), quoted(key));
            format!("tls = {{ certificate = {certificate}, key = {key} }}\n")
        }
        None => "\
# A proxy in front (nginx, Caddy) ends TLS; its X-Forwarded-For is believed.
trusted_proxies = [\"127.0.0.1\"]
"
        .to_owned(),
    };
    format!(
        "# Where the gateway calls: https://<public name of this machine>/ipn\n[receiver]\nlisten = {listen}\n{tls}\n"
    )
}

fn store(draft: &Draft) -> String {
    let url = quoted(&format!("sqlite:{}", draft.store));
    format!("# Where notifications are kept. It holds personal data.\n[store]\nurl = {url}\n\n")
}

fn mail(draft: &Draft) -> String {
    let Some(mail) = &draft.mail else {
        return "\
# Nobody is told of failures yet. Remove the `#` here and at failure_emails below.
#[mail]
#smtp = \"smtp://127.0.0.1\"
#from = \"IPN router <ipn-router@acme.example>\"
#operators = \"it@acme.example\"

"
        .to_owned();
    };
    let mut text = format!(
        "# How e-mail leaves, and who hears of the daemon's own trouble.\n[mail]\nsmtp = {}\n",
        quoted(&mail.smtp)
    );
    if let Some(username) = &mail.username {
        line(&mut text, "username", &quoted(username));
        line(&mut text, "password", &secret(draft, "smtp-password"));
    }
    line(&mut text, "from", &quoted(&mail.from));
    line(&mut text, "operators", &quoted(&mail.failure_emails));
    text + "\n"
}

fn company(draft: &Draft) -> String {
    let mut text = format!(
        "# Tokens are shared between the shops of this company, and never leave it.\n[legal_entities.{}]\n",
        draft.company_key()
    );
    line(&mut text, "name", &quoted(&draft.company));
    match &draft.mail {
        Some(mail) => line(&mut text, "failure_emails", &quoted(&mail.failure_emails)),
        None => line(
            &mut text,
            "#failure_emails",
            "\"oncall@acme.example; payments@acme.example\"",
        ),
    }
    text.push_str("# What every shop learns; everything else goes to the shop that the gateway names.\n");
    line(&mut text, "share", "[\"token.*\"]");
    text.push_str(match draft.set_up {
        SetUp::A => {
            "\
# Set-up A: only the rule \"on an operation coming from the Back Office\" names this
# daemon. Before the rule \"at the end of the payment\" does so too (set-up B), remove
# this `#`: a buyer's result page waits for the shop.
#wait_for_named_shop = \"2s\"
"
        }
        SetUp::B => {
            "\
# Set-up B: payments pass here too. A buyer's result page waits for the shop, at most
# so long.
wait_for_named_shop = \"2s\"
"
        }
    });
    text.push_str("# Tell the operators if the gateway is silent for longer.\n");
    match &draft.expect_every {
        Some(time) => line(&mut text, "expect_every", &quoted(time)),
        None => line(&mut text, "#expect_every", "\"7d\""),
    }
    text + "\n"
}

fn notified_shop(draft: &Draft) -> String {
    let shop = &draft.shop;
    let (key, url_key) = match shop.format {
        Format::Form => ("form_key", "form_url"),
        Format::Rest => ("rest_password", "rest_url"),
    };
    let id = &shop.id;
    let mut text = format!("# The gateway notifies this shop.\n[shops.{id}]\n");
    line(&mut text, "name", &quoted(&shop.name));
    line(&mut text, "legal_entity", &quoted(&draft.company_key()));
    allow_private(&mut text, shop.url.as_deref());
    _ = write!(
        text,
        "[shops.{id}.test]\n{key} = {}\n",
        secret(draft, &draft.gateway_secret("test"))
    );
    match &shop.url {
        Some(url) => line(&mut text, url_key, &quoted(url)),
        None => line(
            &mut text,
            &format!("#{url_key}"),
            "\"https://…\"   # where its plugin takes notifications",
        ),
    }
    let production = secret(draft, &draft.gateway_secret("production"));
    _ = write!(
        text,
        "# Once TEST works: put this secret, write the URL, and remove each `#`.\n#[shops.{id}.production]\n#{key} = {production}\n\
         #{url_key} = \"https://…\"\n\n"
    );
    text
}

fn other_shop(draft: &Draft) -> String {
    let Some(shop) = &draft.other else {
        return "\
# A shop that learns of the tokens: remove each `#`, with the shop's own number, name and URL.
#[shops.23456789]
#name = \"My other shop\"
#legal_entity = \"COMPANY\"
#[shops.23456789.test]
#event_url = \"https://…\"
#event_secret = SECRET
"
        .replace("COMPANY", &draft.company_key())
        .replace("SECRET", &secret(draft, "my-other-shop-test-events"));
    };
    let id = &shop.id;
    let mut text =
        format!("# This shop learns of the company's tokens. More shops: such tables for each.\n[shops.{id}]\n");
    line(&mut text, "name", &quoted(&shop.name));
    line(&mut text, "legal_entity", &quoted(&draft.company_key()));
    allow_private(&mut text, Some(&shop.url));
    _ = write!(
        text,
        "[shops.{id}.test]\nevent_url = {}\nevent_secret = {}\n",
        quoted(&shop.url),
        secret(draft, &shop.secret("test"))
    );
    _ = write!(
        text,
        "#[shops.{id}.production]\n#event_url = \"https://…\"\n#event_secret = {}\n",
        secret(draft, &shop.secret("production"))
    );
    text
}

/// Nothing is sent to a private address unless that is allowed.
fn allow_private(text: &mut String, url: Option<&str>) {
    let url = url.and_then(|url| Url::parse(url.trim()).ok());
    if url.is_some_and(|url| is_private_host(&url)) {
        text.push_str("# Its URL has an address of a private network.\n");
        line(text, "allow_private", "true");
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    _ = writeln!(text, "{key} = {value}");
}

fn secret(draft: &Draft, name: &str) -> String {
    match draft.secrets {
        Keeping::Credential => format!("{{ credential = {} }}", quoted(name)),
        Keeping::File => format!("{{ file = {} }}", quoted(&format!("secrets/{name}"))),
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let text = text.trim();
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// For a comment.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
