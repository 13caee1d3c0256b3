use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::settings::{MailSecurity, MailSettings};
use crate::domain::{one_line, useful_text};
use crate::outbox::DueEmail;

/// For the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For all of an e-mail, connection included; less than the time that a stop of the daemon waits.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For the farewell, whose answer changes nothing.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// An e-mail that could not be sent for this long is not worth sending any more.
const KEEP_TRYING: SignedDuration = SignedDuration::from_hours(72);

/// Sends e-mails to the mail server of `[mail]`, each in a session of its own.
///
/// lettre's pool is not used: it takes back a session that was cut off by a time-out in the middle of a command, and
/// would read that command's late answer as the next one's.
pub struct Mailer {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
    from: Mailbox,
}

enum Security {
    Offered(TlsParameters),
    Plain,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// A session with the mail server, as it was.
#[derive(Clone, Debug)]
pub struct MailSession {
    /// The server's own, DER.
    pub certificate: Option<Vec<u8>>,
    pub is_encrypted: bool,
    pub is_logged_in: bool,
}

/// Why no mailer could be made.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("cannot use the authority of the mail server ({path})")]
    Ca {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the password of the mail server is not UTF-8")]
    Password,
    #[error("cannot set up TLS toward the mail server")]
    Tls(#[source] SmtpError),
}

/// Why an e-mail was not sent; the text is for the log and the store, without addresses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// This address will not get it, however often it is tried.
    #[error("{0}")]
    Permanent(String),
    /// It may work later: no connection, no log-in, busy, or "try again".
    #[error("{0}")]
    Temporary(String),
}

impl Mailer {
    /// Prepares the sessions; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`MailerError`]: what in the settings cannot be used.
    pub fn new(settings: &MailSettings) -> Result<Self, MailerError> {
        let security = match settings.security {
            MailSecurity::Local => Security::Offered(tls(settings, true)?),
            MailSecurity::Plain => Security::Plain,
            MailSecurity::StartTls => Security::StartTls(tls(settings, false)?),
            MailSecurity::Tls => Security::Tls(tls(settings, false)?),
        };
        let password = settings.password.as_ref().map_or(&[][..], |secret| secret.expose());
        let password = str::from_utf8(password).map_err(|_| MailerError::Password)?;
        let credentials = settings
            .username
            .clone()
            .map(|name| Credentials::new(name, password.to_owned()));
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            security,
            credentials,
            hello: ClientId::Domain(settings.from.email.domain().to_owned()),
            from: settings.from.clone(),
        })
    }

    /// The domain of `from`, which `Message-ID`s end with.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Sends an e-mail to its one address.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the server has not taken it, or the answer got lost on the way.
    pub async fn send(&self, email: &DueEmail) -> Result<(), SendError> {
        let message = message(&self.from, email)?;
        tokio::time::timeout(TIMEOUT, self.deliver(&message))
            .await
            .unwrap_or_else(|_| Err(SendError::Temporary(format!("not sent within {} s", TIMEOUT.as_secs()))))
    }

    /// Goes as far as an e-mail would before it is sent: connects, secures, logs in, and says farewell.
    ///
    /// # Errors
    ///
    /// [`SendError`]: why no e-mail could be sent now.
    pub async fn probe(&self) -> Result<MailSession, SendError> {
        let look = async {
            let mut session = self
                .session()
                .await
                .map_err(|error| SendError::Temporary(told(&error)))?;
            let found = MailSession {
                certificate: session.peer_certificate().ok().filter(|_| session.is_encrypted()),
                is_encrypted: session.is_encrypted(),
                is_logged_in: self.credentials.is_some(),
            };
            tokio::time::timeout(QUIT_TIMEOUT, session.quit()).await.ok();
            Ok(found)
        };
        tokio::time::timeout(TIMEOUT, look).await.unwrap_or_else(|_| {
            Err(SendError::Temporary(format!(
                "no session within {} s",
                TIMEOUT.as_secs()
            )))
        })
    }

    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let mut session = self
            .session()
            .await
            .map_err(|error| SendError::Temporary(told(&error)))?;
        let sent = session.send(message.envelope(), &message.formatted()).await;
        sent.map_err(|error| refused(&error))?;
        // It is sent, whatever the server says now.
        tokio::time::timeout(QUIT_TIMEOUT, session.quit()).await.ok();
        Ok(())
    }

    /// A session that is encrypted and logged in as the settings want it.
    async fn session(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let wrapper = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::Offered(_) | Security::Plain | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut session =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, wrapper, None).await?;
        match &self.security {
            // Fails if the server does not offer it: a man in the middle could hide the offer.
            Security::StartTls(parameters) => session.starttls(parameters.clone(), &self.hello).await?,
            Security::Offered(parameters) if session.can_starttls() => {
                session.starttls(parameters.clone(), &self.hello).await?;
            }
            Security::Offered(_) | Security::Plain | Security::Tls(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            session.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(session)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn tls(settings: &MailSettings, any_certificate: bool) -> Result<TlsParameters, MailerError> {
    let mut parameters = TlsParameters::builder(settings.host.clone()).dangerous_accept_invalid_certs(any_certificate);
    if let Some(path) = &settings.ca {
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| MailerError::Ca {
            path: path.display().to_string(),
            source,
        };
        let pem = std::fs::read(path).map_err(|error| unusable(error.into()))?;
        let ca = Certificate::from_pem(&pem).map_err(|error| unusable(error.into()))?;
        parameters = parameters.add_root_certificate(ca);
    }
    parameters.build().map_err(MailerError::Tls)
}

/// The e-mail as it goes out: the same bytes at each attempt, so that a repeated one is known by its `Message-ID`.
fn message(from: &Mailbox, email: &DueEmail) -> Result<Message, SendError> {
    let unfit =
        |what: &dyn fmt::Display| SendError::Permanent(format!("not an e-mail: {}", one_line(&what.to_string())));
    let to: Mailbox = email
        .to
        .parse()
        .map_err(|error: lettre::address::AddressError| unfit(&error))?;
    let mut builder = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(one_line(&email.subject))
        .date(SystemTime::from(email.created_at))
        .message_id(Some(email.message_id.clone()))
        // So that out-of-office answers and other robots keep silent.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    if let Some(first) = &email.in_reply_to {
        builder = builder.in_reply_to(first.clone()).references(first.clone());
    }
    builder.body(email.text.clone()).map_err(|error| unfit(&error))
}

/// A refusal within a session: of this sender, recipient or text, unless the server only wants a login first.
fn refused(error: &SmtpError) -> SendError {
    let wants_login = error.status().map(u16::from) == Some(530);
    if error.is_permanent() && !wants_login {
        SendError::Permanent(told(error))
    } else {
        SendError::Temporary(told(error))
    }
}

/// For the log and the store: servers like to repeat the address.
fn told(error: &SmtpError) -> String {
    useful_text(error.to_string().as_bytes())
}

/// When an e-mail that was not sent is tried again: after 1, 2, 4 … minutes, at most an hour; `None` after three days.
pub(super) fn retry_at(email: &DueEmail, now: Timestamp) -> Option<Timestamp> {
    let minutes = 1_i64 << email.attempts.min(6);
    let next = now + SignedDuration::from_mins(minutes.min(60));
    (next < email.created_at + KEEP_TRYING).then_some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn email() -> DueEmail {
        DueEmail {
            id: 1,
            to: "On Call <oncall@acme.example>".into(),
            message_id: "<opened.1@router.example>".into(),
            in_reply_to: None,
            subject: "[TEST] ACME: Société fails".into(),
            text: "What failed\n  …\n".into(),
            created_at: Timestamp::from_second(1_800_000_000).unwrap(),
            attempts: 0,
        }
    }

    fn from() -> Mailbox {
        "IPN router <ipn@router.example>".parse().unwrap()
    }

    fn headers(email: &DueEmail) -> Vec<String> {
        let formatted = String::from_utf8(message(&from(), email).unwrap().formatted()).unwrap();
        let (head, _) = formatted.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn headers_make_a_thread_that_robots_leave_alone() {
        let follower = DueEmail {
            in_reply_to: Some("<opened.0@router.example>".into()),
            ..email()
        };
        let headers = headers(&follower);
        for header in [
            "Message-ID: <opened.1@router.example>",
            "In-Reply-To: <opened.0@router.example>",
            "References: <opened.0@router.example>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000",
            "To: \"On Call\" <oncall@acme.example>",
        ] {
            assert!(headers.iter().any(|line| line == header), "{header} in {headers:#?}");
        }
    }

    #[test]
    fn every_attempt_sends_the_same_bytes() {
        let formatted = |email: &DueEmail| message(&from(), email).unwrap().formatted();
        let again = DueEmail { attempts: 3, ..email() };
        assert_eq!(formatted(&email()), formatted(&again));
    }

    #[test]
    fn unreadable_address_is_given_up() {
        let email = DueEmail {
            to: "nobody".into(),
            ..email()
        };
        assert!(matches!(message(&from(), &email), Err(SendError::Permanent(_))));
    }

    #[test]
    fn waits_grow_to_an_hour_and_end_after_three_days() {
        let mut email = email();
        let mut now = email.created_at;
        let mut waits = Vec::new();
        while let Some(next) = retry_at(&email, now) {
            waits.push(next.duration_since(now).as_mins());
            now = next;
            email.attempts += 1;
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!((71..=72).contains(&now.duration_since(email.created_at).as_hours()));
    }

    proptest! {
        #[test]
        fn no_subject_adds_a_header(subject in "(\\PC|[\r\n\t\0]){0,150}") {
            let with = DueEmail { subject, ..email() };
            let names = |email: &DueEmail| -> Vec<String> {
                headers(email).iter().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
            };
            prop_assert_eq!(names(&with), names(&email()));
        }
    }
}
