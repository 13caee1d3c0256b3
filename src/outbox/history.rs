//! What has happened, for people who look back: incidents and their e-mails, what operators asked for and did.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentRow, Outbox, OutboxError, VerbRow, sqlite};
use crate::domain::Audited;

/// An incident, with what was told of it.
#[derive(Clone, Debug)]
pub struct IncidentStory {
    pub row: IncidentRow,
    /// The newest first.
    pub emails: Vec<EmailLine>,
}

/// An e-mail, without its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EmailLine {
    pub id: i64,
    /// `incident-7` and so on.
    pub thread: String,
    pub to: String,
    pub subject: String,
    pub created_at: Timestamp,
    pub state: EmailState,
    pub attempts: u32,
    /// When it was sent or given up.
    pub ended_at: Option<Timestamp>,
    /// The last error; empty without one.
    pub error: String,
}

/// How an e-mail stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmailState {
    GivenUp,
    /// There were too many: a digest tells of it, or will.
    HeldBack,
    Sent,
    /// Tried next at this time.
    Waiting {
        due: Timestamp,
    },
}

/// Which e-mails are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EmailsWanted {
    /// Whatever became of them, the newest first: those before one.
    All { before: Option<i64> },
    /// The newest first: those before one.
    GivenUp { before: Option<i64> },
    /// The next one first.
    Waiting,
}

/// What somebody did that is no verb.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    pub id: i64,
    pub at: Timestamp,
    pub who: String,
    pub act: Audited,
}

impl Outbox {
    /// Incidents, open or not, the newest first: those before one, by their numbers.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read; so for all of these.
    pub async fn incidents(&self, before: Option<i64>, limit: u32) -> Result<Vec<IncidentRow>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::incidents(connection, before, limit))
            .await
    }

    /// An incident with everything around it, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Outbox::incidents`].
    pub async fn incident_story(&self, id: i64) -> Result<Option<IncidentStory>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::incident_story(connection, id))
            .await
    }

    /// Some e-mails.
    ///
    /// # Errors
    ///
    /// As [`Outbox::incidents`].
    pub async fn emails(&self, wanted: EmailsWanted, limit: u32) -> Result<Vec<EmailLine>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::emails(connection, wanted, limit))
            .await
    }

    /// What operators asked for, the newest first: those before one.
    ///
    /// # Errors
    ///
    /// As [`Outbox::incidents`].
    pub async fn verbs_asked(&self, before: Option<i64>, limit: u32) -> Result<Vec<VerbRow>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::verbs_asked(connection, before, limit))
            .await
    }

    /// What people did that is no verb, the newest first.
    ///
    /// # Errors
    ///
    /// As [`Outbox::incidents`].
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditRecord>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::audit(connection, limit))
            .await
    }

    /// Keeps a record of what somebody does. When this returns `Ok`, it is written: what is audited is done afterwards.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: perhaps not written, and then not to be done.
    pub async fn note(&self, act: Audited, who: String, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.note(&act, &who, now))
            .await
    }

    /// Attempts of a destination since a time: among its newest, counted up to 1,000.
    ///
    /// # Errors
    ///
    /// As [`Outbox::incidents`].
    pub async fn attempts_since(&self, destination: i64, since: Timestamp) -> Result<u32, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::attempts_since(connection, destination, since))
            .await
    }
}
