//! `[mail]`.

use std::net::IpAddr;
use std::path::PathBuf;

use lettre::message::Mailbox;
use url::Url;

use super::addresses::{mailbox, mailboxes};
use super::codes;
use super::diagnostics::{Problem, Problems};
use super::network::has_user_info;
use super::outside::Outside;
use super::reader::{Given, Table, Value};
use super::receiver::pem_file;
use super::secrets::secret;
use super::source::{At, Spot};
use super::values::text;
use crate::alert::{MailSecurity, MailSettings};
use crate::domain::Secret;

/// `[mail]` as written.
#[derive(Debug)]
pub(super) struct MailTable {
    pub(super) spot: Spot,
    pub(super) server: Option<Server>,
    pub(super) username: Given<String>,
    pub(super) password: Given<Secret>,
    pub(super) from: Given<Mailbox>,
    ca: Option<PathBuf>,
    pub(super) operators: Option<At<Vec<Mailbox>>>,
}

/// What `smtp` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Server {
    host: String,
    port: u16,
    security: MailSecurity,
}

pub(super) fn read(mut table: Table<'_>, outside: &dyn Outside, problems: &mut Problems) -> MailTable {
    let mail = MailTable {
        spot: table.spot.clone(),
        server: table
            .required("smtp", "\"smtps://mail.example.com\"", problems, server)
            .value(),
        username: table.optional("username", problems, text),
        password: table.optional("password", problems, secret(outside)),
        from: table.optional("from", problems, mailbox),
        ca: table
            .optional("ca", problems, |value, problems| pem_file(value, outside, problems))
            .value(),
        operators: table.optional("operators", problems, mailboxes).at(),
    };
    table.refuse_the_rest(problems);
    mail
}

impl MailTable {
    /// The settings, if all that is needed is there.
    pub(super) fn settings(&self) -> Option<MailSettings> {
        let server = self.server.clone()?;
        Some(MailSettings {
            host: server.host,
            port: server.port,
            // Whoever names an authority wants it to be asked.
            security: match (server.security, &self.ca) {
                (MailSecurity::Local, Some(_)) => MailSecurity::StartTls,
                (security, _) => security,
            },
            username: self.username.clone().value(),
            password: self.password.clone().value(),
            from: self.from.clone().value()?,
            ca: self.ca.clone(),
        })
    }
}

fn server(value: &Value<'_>, problems: &mut Problems) -> Option<Server> {
    let read = parse(&text(value, problems)?);
    if let Err(what) = read {
        problems.push(
            Problem::new(codes::BAD_URL, &value.spot, what)
                .instead("\"smtps://mail.example.com\" for TLS, \"smtp://mail.example.com\" for STARTTLS"),
        );
    }
    read.ok()
}

fn parse(text: &str) -> Result<Server, &'static str> {
    let url = Url::parse(text).map_err(|_| "`smtp` must be the address of a mail server")?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or("`smtp` must be the address of a mail server")?;
    if has_user_info(&url) {
        return Err("`smtp` has a user name or password; write `username` and `password` as keys of their own");
    }
    if !["", "/"].contains(&url.path()) {
        return Err("`smtp` has a path, which a mail server does not know");
    }
    let (security, port) = match (url.scheme(), url.query()) {
        ("smtps", None) => (MailSecurity::Tls, 465),
        ("smtp", Some("tls=none")) => (MailSecurity::Plain, 25),
        ("smtp", None) if is_loopback(host) => (MailSecurity::Local, 25),
        ("smtp", None) => (MailSecurity::StartTls, 587),
        ("smtp", Some(_)) => return Err("`smtp` knows no other addition than `?tls=none`"),
        ("smtps", Some(_)) => return Err("`smtps://` always uses TLS and takes no addition"),
        _ => return Err("`smtp` must begin with smtps:// or smtp://"),
    };
    Ok(Server {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(port),
        security,
    })
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_smtp_only_toward_loopback_or_when_asked_for() {
        let of = |text| parse(text).map(|server| (server.security, server.port));
        assert_eq!(of("smtps://mail.example.com"), Ok((MailSecurity::Tls, 465)));
        assert_eq!(of("smtp://mail.example.com"), Ok((MailSecurity::StartTls, 587)));
        assert_eq!(of("smtp://mail.example.com:25"), Ok((MailSecurity::StartTls, 25)));
        assert_eq!(of("smtp://10.0.0.1"), Ok((MailSecurity::StartTls, 587)));
        assert_eq!(of("smtp://mail.example.com?tls=none"), Ok((MailSecurity::Plain, 25)));
        assert_eq!(of("smtp://localhost:2525"), Ok((MailSecurity::Local, 2525)));
        assert_eq!(of("smtp://127.0.0.1"), Ok((MailSecurity::Local, 25)));
        assert_eq!(of("smtp://[::1]/"), Ok((MailSecurity::Local, 25)));
        assert_eq!(parse("smtp://[::1]").unwrap().host, "::1");
        for bad in [
            "mail.example.com",
            "https://a.b",
            "smtp://a?tls=no",
            "smtps://u:p@a",
            "smtps://a?tls=none",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
