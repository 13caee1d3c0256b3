//! One session with the mail server: opened, secured, logged in, and used for as many e-mails as are due together.
//!
//! It is dropped at any error. lettre's pool is not used: it takes back a session that was cut off in the middle of a
//! command, and would read that command's late answer as the next one's; nor does lettre bound a command's time.

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use super::mailer::SendError;
use crate::domain::useful_text;

/// For the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// From the connection to the login: some servers let strangers wait for their greeting.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// For one command. RFC 5321 (4.5.3.2) would wait for minutes, but before the end of the text a repeat costs nothing.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// For the answer to the whole text, as RFC 5321 asks: whoever hangs up earlier sends twice what was taken.
const TEXT_TIMEOUT: Duration = Duration::from_secs(600);

/// For the farewell, whose answer changes nothing.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the mail server is, and how it is spoken to.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello: ClientId,
}

pub(super) enum Security {
    Offered(TlsParameters),
    Plain,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// A session that is ready for an e-mail.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
}

/// Why an e-mail was not taken.
pub(super) struct Refused {
    pub(super) error: SendError,
    /// The server had hung up, or wanted to, before it heard of the e-mail: another session may do.
    pub(super) is_stale: bool,
}

/// How far an e-mail has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Sender,
    Recipient,
    Data,
    Text,
}

impl Server {
    /// Opens a session that is encrypted and logged in as the settings want it.
    pub(super) async fn open(&self) -> Result<Session, SendError> {
        match timeout(OPEN_TIMEOUT, self.connect()).await {
            Ok(Ok(connection)) => Ok(Session { connection }),
            Ok(Err(error)) => Err(SendError::Unavailable(told(&error))),
            Err(_) => Err(SendError::Unavailable(format!(
                "no session within {} s",
                OPEN_TIMEOUT.as_secs()
            ))),
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let wrapper = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::Offered(_) | Security::Plain | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, wrapper, None).await?;
        match &self.security {
            // Fails if the server does not offer it: a man in the middle could hide the offer.
            Security::StartTls(parameters) => connection.starttls(parameters.clone(), &self.hello).await?,
            Security::Offered(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            Security::Offered(_) | Security::Plain | Security::Tls(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await?;
        }
        Ok(connection)
    }
}

impl Session {
    /// Sends one e-mail to one address, and returns what the server said. After an error the session is of no more use.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, text: &[u8]) -> Result<String, Refused> {
        let eight_bits = MailParameter::Body(MailBodyParameter::EightBitMime);
        let parameters = if text.is_ascii() { Vec::new() } else { vec![eight_bits] };
        let connection = &mut self.connection;
        let sender = Mail::new(Some(from.clone()), parameters);
        answer(Stage::Sender, COMMAND_TIMEOUT, connection.command(sender)).await?;
        let recipient = Rcpt::new(to.clone(), Vec::new());
        answer(Stage::Recipient, COMMAND_TIMEOUT, connection.command(recipient)).await?;
        answer(Stage::Data, COMMAND_TIMEOUT, connection.command(Data)).await?;
        let response = answer(Stage::Text, TEXT_TIMEOUT, connection.message(text)).await?;
        Ok(useful_text(response.message().collect::<Vec<_>>().join(" ").as_bytes()))
    }

    /// The server's own certificate, DER.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        self.is_encrypted().then(|| self.connection.peer_certificate().ok())?
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.connection.is_encrypted()
    }

    /// Says farewell.
    pub(super) async fn close(mut self) {
        timeout(QUIT_TIMEOUT, self.connection.quit()).await.ok();
    }
}

async fn answer(
    stage: Stage,
    patience: Duration,
    awaited: impl Future<Output = Result<Response, SmtpError>>,
) -> Result<Response, Refused> {
    match timeout(patience, awaited).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            let code = error.status().map(u16::from);
            Err(Refused {
                error: judge(stage, code, told(&error)),
                is_stale: stage == Stage::Sender && matches!(code, None | Some(421)),
            })
        }
        Err(_) => Err(Refused {
            error: judge(stage, None, format!("no answer within {} s", patience.as_secs())),
            is_stale: false,
        }),
    }
}

/// What an answer means, or that none came, by how far the e-mail had come (RFC 5321, 4.2.1).
fn judge(stage: Stage, code: Option<u16>, said: String) -> SendError {
    match (code, stage) {
        // The server is leaving; or it does not want us or our sender, which is nothing about the recipient.
        (Some(421), _) | (Some(500..), Stage::Sender) | (Some(530 | 535 | 538), _) => SendError::Unavailable(said),
        // "Relaying denied": it would take it from who is logged in.
        (Some(550 | 553 | 554), Stage::Recipient) if said.contains("5.7.") => SendError::Temporary(said),
        (Some(500..), _) => SendError::Permanent(said),
        (Some(_), _) => SendError::Temporary(said),
        (None, Stage::Text) => SendError::Temporary(format!(
            "the server may have taken it, its answer is lost, so it is sent again with the same Message-ID: {said}"
        )),
        (None, _) => SendError::Unavailable(said),
    }
}

/// For the log and the store: servers like to repeat the address.
fn told(error: &SmtpError) -> String {
    useful_text(error.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_what_they_are_about() {
        let judged = |stage, code, said: &str| match judge(stage, code, said.to_owned()) {
            SendError::Permanent(_) => "permanent",
            SendError::Temporary(_) => "temporary",
            SendError::Unavailable(_) => "unavailable",
        };
        for (stage, code, said, expected) in [
            (Stage::Recipient, Some(550), "5.1.1 no such mailbox", "permanent"),
            (Stage::Recipient, Some(553), "no such user", "permanent"),
            (Stage::Recipient, Some(450), "4.2.0 greylisted", "temporary"),
            (Stage::Recipient, Some(452), "too many recipients", "temporary"),
            (Stage::Recipient, Some(554), "5.7.1 relay access denied", "temporary"),
            (Stage::Text, Some(554), "5.7.1 spam", "permanent"),
            (Stage::Text, Some(552), "too large", "permanent"),
            (Stage::Text, Some(451), "try again", "temporary"),
            (Stage::Text, None, "incomplete response", "temporary"),
            (Stage::Data, None, "incomplete response", "unavailable"),
            (
                Stage::Sender,
                Some(553),
                "5.7.1 sender not owned by user",
                "unavailable",
            ),
            (Stage::Sender, Some(530), "log in first", "unavailable"),
            (Stage::Recipient, Some(530), "log in first", "unavailable"),
            (Stage::Recipient, Some(421), "shutting down", "unavailable"),
            (Stage::Sender, Some(451), "busy", "temporary"),
        ] {
            assert_eq!(judged(stage, code, said), expected, "{stage:?} {code:?} {said}");
        }
    }
}
