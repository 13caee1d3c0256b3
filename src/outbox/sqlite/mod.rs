//! The outbox in one SQLite file: one writer with group commit, one reader, checkpoints off the commit path.
//!
//! Settings and their reasons are measured in store.md; `synchronous=FULL` is what the promise rests on.

mod accept;
mod backup;
mod checkpoint;
mod configurations;
mod heard;
mod incidents;
mod mail;
mod notices;
mod open;
mod persons;
mod read;
mod reads;
mod record;
mod restore;
mod retention;
#[cfg(test)]
mod testing;
mod told;
mod verbs;
mod writer;

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Notify, broadcast, oneshot, watch};

pub(super) use accept::Accept;
pub use backup::{BackupError, Copy, back_up};
pub(super) use configurations::{configuration, configuration_of_now};
pub(super) use heard::last_heard;
pub(super) use incidents::{EndOfIncident, end_incident, unseen_incidents, waiting_count};
pub(super) use mail::{due_emails, last_told, next_email, troubles_since, unseen_troubles};
pub(super) use notices::{held_emails, last_told_to, untold_attempts, untold_complaints};
pub use open::OpenError;
pub(super) use open::{MIGRATIONS, lock_path};
pub(super) use persons::{bodies, erase, of_token, trace, wait};
pub(super) use read::{due, head, listed_notifications, notification, older_than, page, waiting};
pub(super) use reads::{
    about_token, attempts_since, audit, destinations, emails, find, incident, incident_story, incidents, list, load,
    newest, open_incidents, tail_lines, totals, verbs_asked,
};
pub(super) use record::{GivenUp, give_up};
pub use restore::{Restore, RestoreError};
pub(super) use retention::Pass;
pub(super) use verbs::{begin, foresee, look, next_verb, pauses, verb};
pub(super) use writer::{Queue, RESERVE, Task};

use super::OutboxError;
use super::cache::Cache;
use super::tail::Happened;
use checkpoint::Checkpointer;
use writer::{GiveUp, Ledger};

/// Who hears of a commit, besides those who wait for it.
#[derive(Debug)]
pub(super) struct AlsoTold {
    /// Woken when an incident has changed.
    pub(super) alert_changed: Arc<Notify>,
    pub(super) happenings: broadcast::Sender<Happened>,
}

#[cfg(test)]
impl AlsoTold {
    fn nobody() -> Self {
        Self {
            alert_changed: Arc::new(Notify::new()),
            happenings: super::tail::happenings(),
        }
    }
}

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The threads that own the connections.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) queue: Arc<Queue>,
    questions: Mutex<Option<mpsc::Sender<Question>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the file, brings its tables up to date, truncates the log of the last run, and starts the threads.
    pub(super) fn open(
        path: &Path,
        failed: watch::Sender<Option<String>>,
        told: AlsoTold,
        cache: Arc<Cache>,
    ) -> Result<Self, OpenError> {
        let opened = open::open(path)?;
        let queue = Arc::new(Queue::new(path.to_owned()));
        let (ask, questions) = mpsc::channel::<Question>();
        let give_up = GiveUp {
            queue: Arc::clone(&queue),
            failed,
        };
        let (checkpointer, copying) = Checkpointer::start(opened.checkpointer, give_up.clone())?;
        let ledger = Ledger::new(opened.writer, opened.lock, checkpointer, told, cache)?;
        let writer = std::thread::Builder::new()
            .name("outbox-writer".into())
            .spawn(move || writer::run(ledger, &give_up))?;
        let reader = opened.reader;
        let reader = std::thread::Builder::new()
            .name("outbox-reader".into())
            .spawn(move || questions.iter().for_each(|question| question(&reader)))?;
        Ok(Self {
            queue,
            questions: Mutex::new(Some(ask)),
            threads: Mutex::new(vec![writer, copying, reader]),
        })
    }

    /// Asks on the reader's connection: sees everything committed so far.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Nobody waits any more: nothing to do.
            drop(reply.send(question(connection)));
        });
        let asked = match &*self.questions.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(ask) => ask.send(question).is_ok(),
            None => false,
        };
        if !asked {
            return Err(OutboxError::Failed("the store is closed".into()));
        }
        match answer.await {
            Ok(answer) => answer.map_err(|error| why(&error)),
            Err(_) => Err(OutboxError::Failed("the store is closed".into())),
        }
    }

    /// Does it in the writer's next transaction; `Ok` means committed and synced.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Ledger) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        self.write_and_tell(move |ledger| Ok((act(ledger)?, || ()))).await
    }

    /// The same; then, also if nobody waits for the answer any more, does what is to follow the commit.
    pub(super) async fn write_and_tell<T: Send + 'static, Tell: FnOnce() + Send + 'static>(
        &self,
        act: impl FnOnce(&mut Ledger) -> rusqlite::Result<(T, Tell)> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |ledger| {
            match act(ledger) {
                Ok((done, tell)) => Ok(Box::new(move || {
                    tell();
                    // Nobody waits any more: it is committed all the same.
                    drop(reply.send(Ok(done)));
                })),
                Err(error) => {
                    drop(reply.send(Err(why(&error))));
                    Err(error)
                }
            }
        });
        self.queue.task(task)?;
        answer
            .await
            .unwrap_or_else(|_| Err(OutboxError::Failed("not written".into())))
    }

    /// Goes through the writer and commits, without a change.
    pub(super) async fn try_writing(&self) -> Result<(), OutboxError> {
        let (reply, answer) = oneshot::channel();
        // Nobody waits any more: nothing to do.
        self.queue.trial(Box::new(move |_| {
            Ok(Box::new(move || {
                reply.send(()).ok();
            }))
        }))?;
        answer.await.map_err(|_| OutboxError::Failed("not written".into()))
    }

    /// Copies the log back and empties it, unless somebody reads in it.
    pub(super) async fn empty_log(&self) -> Result<bool, OutboxError> {
        let path = self.queue.path().to_owned();
        match tokio::task::spawn_blocking(move || persons::empty_log(&path)).await {
            Ok(emptied) => emptied.map_err(|error| why(&error)),
            Err(error) => Err(OutboxError::Failed(error.to_string())),
        }
    }

    /// Writes what is queued, then closes the file. Blocks.
    pub(super) fn close(&self) {
        self.queue.close();
        drop(self.questions.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

/// Tells what is wrong with a row from what is wrong with the store.
fn why(error: &rusqlite::Error) -> OutboxError {
    match error {
        rusqlite::Error::QueryReturnedNoRows => OutboxError::Unreadable("there is no such row".into()),
        error if is_about_rows(error) => OutboxError::Unreadable(error.to_string()),
        error if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => OutboxError::Full,
        error => OutboxError::Failed(error.to_string()),
    }
}

/// Whether the store works, and what stands in it, or does not, forbids this change: the same change would fail again,
/// and no other one for it.
fn is_about_rows(error: &rusqlite::Error) -> bool {
    let is_refused = error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
    is_refused || is_unreadable(error) || matches!(error, rusqlite::Error::QueryReturnedNoRows)
}

/// Whether the store works, and a row holds what this version does not write.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}

/// Whoever forgets to close it, or is ended by a panic, leaves no thread behind, and no lock.
impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
