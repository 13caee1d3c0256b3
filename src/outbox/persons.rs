//! What is kept about one person: found, and erased (design.md 7, end).
//!
//! Erased is what says who it was: the body with its headers, the token with the lane that is its hash, and what shops
//! have said in answer. What stays is the skeleton (ids, identities, times, kinds, states, the transaction's uuid), so
//! that what the gateway repeats is still a duplicate, and what is counted stays right. The store overwrites what it
//! deletes (`secure_delete`), and [`Outbox::empty_log`] empties its log, where the pages of before still stand.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{Outbox, OutboxError, sqlite};
use crate::domain::NotificationId;

/// Whoever reads in the log keeps it from being emptied: so often it is tried, with pauses in which others write.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A stored notification, as far as somebody's data may be in it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its key in the store.
    pub key: i64,
    pub id: NotificationId,
    pub token: Option<String>,
    /// `None`: deleted.
    pub body: Option<Bytes>,
}

/// What came of erasing one notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Erased {
    Done,
    /// Nothing was: something of it still waits for a shop, or for an operator's release.
    Waits,
}

impl Outbox {
    /// The next notifications about a token, after one by its key, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read; so for all that only looks.
    pub async fn of_token(&self, token: String, after: i64, limit: u32) -> Result<Vec<Trace>, OutboxError> {
        let ask = move |connection: &_| sqlite::of_token(connection, &token, after, limit);
        self.shared.store.ask(ask).await
    }

    /// The next notifications that have their bodies, whomever they are about.
    ///
    /// # Errors
    ///
    /// As [`Outbox::of_token`].
    pub async fn bodies(&self, after: i64, limit: u32) -> Result<Vec<Trace>, OutboxError> {
        let ask = move |connection: &_| sqlite::bodies(connection, after, limit);
        self.shared.store.ask(ask).await
    }

    /// One of them, if it is still there.
    ///
    /// # Errors
    ///
    /// As [`Outbox::of_token`].
    pub async fn trace(&self, key: i64) -> Result<Option<Trace>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::trace(connection, key))
            .await
    }

    /// Whether something of each of these still waits.
    ///
    /// # Errors
    ///
    /// As [`Outbox::of_token`].
    pub async fn wait(&self, notifications: Vec<i64>) -> Result<Vec<bool>, OutboxError> {
        let ask = move |connection: &_| notifications.iter().map(|id| sqlite::wait(connection, *id)).collect();
        self.shared.store.ask(ask).await
    }

    /// Erases what these notifications say about a person: a few of them, for it is one transaction. What waits is left
    /// as it is, unless it is to be cancelled.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: none of them is erased.
    pub async fn erase(
        &self,
        notifications: Vec<i64>,
        cancel: bool,
        now: Timestamp,
    ) -> Result<Vec<Erased>, OutboxError> {
        self.shared
            .store
            .write_and_tell(move |ledger| sqlite::erase(ledger, &notifications, cancel, now))
            .await
    }

    /// Copies the store's log back and empties it, so that nothing that was erased stands there. Returns whether that
    /// worked: somebody may have looked into it all the time.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: it cannot be copied.
    pub async fn empty_log(&self) -> Result<bool, OutboxError> {
        for _ in 0..TRIES {
            if self.shared.store.empty_log().await? {
                return Ok(true);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Ok(false)
    }
}
