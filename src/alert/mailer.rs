use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::session::{Refused, Security, Server, Session};
use super::settings::{MailSecurity, MailSettings};
use crate::domain::one_line;
use crate::outbox::DueEmail;

/// An e-mail that could not be sent for this long is not worth sending any more: as long as mail servers try (RFC 5321,
/// 4.5.4.1), and longer than a mail server that fails on the eve of a long weekend.
const KEEP_TRYING: SignedDuration = SignedDuration::from_hours(5 * 24);

/// Sends e-mails to the mail server of `[mail]`; those that are due together go through the same sessions.
pub struct Mailer {
    server: Server,
    from: Mailbox,
    /// Open, and waiting for the next e-mail.
    idle: Mutex<Vec<Session>>,
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
    /// It may work later: busy, greylisted, or the answer was lost.
    #[error("{0}")]
    Temporary(String),
    /// Nobody would get anything now: no connection, no log-in, or our sender is refused.
    #[error("{0}")]
    Unavailable(String),
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
            server: Server {
                host: settings.host.clone(),
                port: settings.port,
                security,
                credentials,
                hello: ClientId::Domain(settings.from.email.domain().to_owned()),
            },
            from: settings.from.clone(),
            idle: Mutex::default(),
        })
    }

    /// The domain of `from`, which `Message-ID`s end with.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Sends an e-mail to its one address, and returns what the server said. The session stays open for the next one;
    /// [`Mailer::rest`] ends it.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the server has not taken it, or the answer got lost on the way.
    pub async fn send(&self, email: &DueEmail) -> Result<String, SendError> {
        let to: Mailbox = email.to.parse().map_err(|error| unfit(&error))?;
        let text = message(&self.from, to.clone(), email)?.formatted();
        let kept = self.idle().pop();
        if let Some(kept) = kept {
            match self.send_by(kept, &to, &text).await {
                Err(Refused { is_stale: true, .. }) => {}
                sent => return sent.map_err(|refused| refused.error),
            }
        }
        let fresh = self.server.open().await?;
        self.send_by(fresh, &to, &text).await.map_err(|refused| refused.error)
    }

    /// Goes as far as an e-mail would before it is sent: connects, secures, logs in, and says farewell.
    ///
    /// # Errors
    ///
    /// [`SendError`]: why no e-mail could be sent now.
    pub async fn probe(&self) -> Result<MailSession, SendError> {
        let session = self.server.open().await?;
        let found = MailSession {
            certificate: session.certificate(),
            is_encrypted: session.is_encrypted(),
            is_logged_in: self.server.credentials.is_some(),
        };
        session.close().await;
        Ok(found)
    }

    /// Ends the sessions that nobody uses.
    pub async fn rest(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for session in idle {
            session.close().await;
        }
    }

    /// A session that has failed is dropped with whatever the server may still say.
    async fn send_by(&self, mut session: Session, to: &Mailbox, text: &[u8]) -> Result<String, Refused> {
        let said = session.send(&self.from.email, &to.email, text).await?;
        self.idle().push(session);
        Ok(said)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("host", &self.server.host)
            .field("port", &self.server.port)
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
fn message(from: &Mailbox, to: Mailbox, email: &DueEmail) -> Result<Message, SendError> {
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

fn unfit(what: &dyn fmt::Display) -> SendError {
    SendError::Permanent(format!("not an e-mail: {}", one_line(&what.to_string())))
}

/// When an e-mail that was not sent is tried again: after 1, 2, 4 … minutes, at most an hour; `None` after five days.
pub(super) fn retry_at(email: &DueEmail, now: Timestamp) -> Option<Timestamp> {
    let minutes = 1_i64 << email.attempts.min(6);
    before_its_end(email, now + SignedDuration::from_mins(minutes.min(60)))
}

/// This time, if the e-mail is worth sending then.
pub(super) fn before_its_end(email: &DueEmail, next: Timestamp) -> Option<Timestamp> {
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
            address: "oncall@acme.example".into(),
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

    fn written(email: &DueEmail) -> Vec<u8> {
        message(&from(), email.to.parse().unwrap(), email).unwrap().formatted()
    }

    fn headers(email: &DueEmail) -> Vec<String> {
        let formatted = String::from_utf8(written(email)).unwrap();
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
        let again = DueEmail { attempts: 3, ..email() };
        assert_eq!(written(&email()), written(&again));
    }

    #[test]
    fn waits_grow_to_an_hour_and_end_after_five_days() {
        let mut email = email();
        let mut now = email.created_at;
        let mut waits = Vec::new();
        while let Some(next) = retry_at(&email, now) {
            waits.push(next.duration_since(now).as_mins());
            now = next;
            email.attempts += 1;
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!((119..=120).contains(&now.duration_since(email.created_at).as_hours()));
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
