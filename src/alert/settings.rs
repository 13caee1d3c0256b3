use std::collections::HashMap;

use lettre::message::Mailbox;

use crate::domain::{LegalEntityId, Secret, ShopId};

/// Who is told of what, and how e-mail leaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `None`: no `[mail]`; e-mails wait in the outbox.
    pub mail: Option<MailSettings>,
    /// The daemon's own trouble.
    pub operators: Vec<Mailbox>,
    pub recipients: HashMap<LegalEntityId, Recipients>,
}

/// The addresses of a company.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    /// `failure_emails`.
    pub company: Vec<Mailbox>,
    /// `extra_failure_emails` of each shop, added to the company's.
    pub shops: HashMap<ShopId, Vec<Mailbox>>,
}

/// `[mail]`.
#[derive(Clone, Debug)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: Mailbox,
}

/// How the session with the mail server is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailSecurity {
    /// `smtp://` toward loopback, or with `?tls=none`.
    Plain,
    /// `smtp://`: refused without STARTTLS.
    StartTls,
    /// `smtps://`.
    Tls,
}
