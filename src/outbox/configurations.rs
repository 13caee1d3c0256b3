use jiff::Timestamp;
use serde::Deserialize;

use super::{Outbox, OutboxError, sqlite};

/// A configuration that was applied, secrets masked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptConfiguration {
    pub hash: String,
    pub applied_at: Timestamp,
    pub applied_by: String,
    pub texts: Vec<KeptText>,
}

/// One file of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct KeptText {
    pub file: String,
    pub masked: String,
}

impl Outbox {
    /// The configuration that was applied last.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the store cannot be read.
    pub async fn configuration_of_now(&self) -> Result<Option<KeptConfiguration>, OutboxError> {
        self.shared.store.ask(sqlite::configuration_of_now).await
    }

    /// The configuration with this hash, if one was applied and is kept still.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the store cannot be read.
    pub async fn configuration(&self, hash: String) -> Result<Option<KeptConfiguration>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::configuration(connection, &hash))
            .await
    }
}
