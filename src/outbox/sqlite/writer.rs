use std::collections::{HashMap, VecDeque};
use std::ffi::c_int;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Notify, broadcast, watch};

use super::accept::{Accept, Stored};
use super::checkpoint::Checkpointer;
use super::heard::{self, AllHeard};
use super::{AlsoTold, is_about_rows, why};
use crate::domain::DestinationKey;
use crate::metrics::Storing;
use crate::outbox::cache::Cache;
use crate::outbox::tail::Happened;
use crate::outbox::{AttemptRecord, Gone, Inbox, OutboxError};

/// At most so many in one transaction (design.md 7): nobody waits for a group of strangers.
const ACCEPTS: usize = 64;
const RECORDS: usize = 2_048;
/// Below this much free space nothing new is accepted, so that what is there can still be delivered and recorded.
pub(in crate::outbox) const RESERVE: u64 = 256 * 1024 * 1024;

/// A change of the store; returns what to do once it is committed.
pub(crate) type Task = Box<dyn FnOnce(&mut Ledger) -> rusqlite::Result<AfterCommit> + Send>;
pub(super) type AfterCommit = Box<dyn FnOnce() + Send>;

/// What waits for the writer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    path: PathBuf,
    counts: Storing,
}

#[derive(Default)]
struct Waiting {
    accepts: VecDeque<Accept>,
    records: VecDeque<(AttemptRecord, Arc<Inbox>)>,
    tasks: VecDeque<Task>,
    /// How many of the tasks only find out whether the store can be written: nobody's work, and not counted.
    trials: usize,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            path,
            counts: Storing::default(),
        }
    }

    pub(crate) fn accept(&self, accept: Accept) -> Result<(), OutboxError> {
        self.put(|waiting| waiting.accepts.push_back(accept))
    }

    pub(crate) fn record(&self, record: AttemptRecord, inbox: Arc<Inbox>) -> Result<(), OutboxError> {
        self.put(|waiting| waiting.records.push_back((record, inbox)))
    }

    pub(crate) fn task(&self, task: Task) -> Result<(), OutboxError> {
        self.put(|waiting| waiting.tasks.push_back(task))
    }

    /// A task that changes nothing.
    pub(super) fn trial(&self, task: Task) -> Result<(), OutboxError> {
        self.put(|waiting| {
            waiting.tasks.push_back(task);
            waiting.trials += 1;
        })
    }

    /// Counts what is written.
    pub(crate) fn counts(&self) -> &Storing {
        &self.counts
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn put(&self, put: impl FnOnce(&mut Waiting)) -> Result<(), OutboxError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(OutboxError::Failed("the store is closed".into()));
        }
        put(&mut waiting);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that goes into the next transaction; `None` once closed and empty.
    fn next_group(&self) -> Option<Waiting> {
        let mut waiting = self.lock();
        while waiting.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let records = waiting.records.len().min(RECORDS);
        let accepts = waiting.accepts.len().min(ACCEPTS);
        // An owner that gives its destination back has queued its last records before.
        let (tasks, trials) = if records == waiting.records.len() {
            (std::mem::take(&mut waiting.tasks), std::mem::take(&mut waiting.trials))
        } else {
            Default::default()
        };
        Some(Waiting {
            records: waiting.records.drain(..records).collect(),
            tasks,
            trials,
            accepts: waiting.accepts.drain(..accepts).collect(),
            closed: false,
        })
    }

    /// Lets nobody in any more and returns what had waited.
    fn shut(&self) -> Waiting {
        let shut = Waiting {
            closed: true,
            ..Waiting::default()
        };
        std::mem::replace(&mut *self.lock(), shut)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are free for the store.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let disk = rustix::fs::statvfs(folder.unwrap_or_else(|| Path::new("."))).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Whether nothing new is accepted for lack of space.
    pub(crate) fn disk_is_full(&self) -> bool {
        // If it is not known to be full, the commit will tell.
        self.free_bytes().is_some_and(|free| free < RESERVE)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.accepts.is_empty() && self.records.is_empty() && self.tasks.is_empty()
    }

    /// Trials are none.
    fn changes(&self) -> usize {
        self.accepts.len() + self.records.len() + self.tasks.len() - self.trials
    }

    fn refuse(self, why: &OutboxError) {
        for accept in self.accepts {
            accept.answer(Err(why.clone()));
        }
        for (record, inbox) in self.records {
            inbox.refuse(record, why.clone());
        }
        // A task that is dropped tells its caller so.
    }
}

/// The writer's connection, and what it knows of the destinations without asking.
pub(crate) struct Ledger {
    pub(super) connection: Connection,
    pub(super) destinations: HashMap<DestinationKey, Destination>,
    /// By the destination's key in the store.
    pub(super) owners: HashMap<i64, Owner>,
    pub(super) heard: AllHeard,
    /// Who the owners were that this transaction has changed, in the order of the changes.
    former_owners: Vec<(i64, Option<Owner>)>,
    pub(super) next_notification: i64,
    /// Woken when an incident has changed.
    pub(super) alert_changed: Arc<Notify>,
    happenings: broadcast::Sender<Happened>,
    /// Deliveries that this transaction has ended without an attempt, if anybody wants to know.
    ended: Vec<Happened>,
    pub(super) cache: Arc<Cache>,
    _lock: File,
}

/// What is to be told of a committed group.
struct Committed {
    /// In the order of the group's records and accepts; an error: what stands in the rows forbids this one.
    recorded: Vec<rusqlite::Result<AfterCommit>>,
    stored: Vec<rusqlite::Result<Stored>>,
    after: Vec<AfterCommit>,
}

/// How the rows of a group are written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    /// Each in a savepoint, so that one that fails is undone alone: what that costs is paid only when one does.
    Apart,
    Together,
}

/// Who schedules a destination.
pub(super) struct Owner {
    pub(super) epoch: i64,
    pub(super) inbox: Arc<Inbox>,
    /// As in the row, if that is known.
    pub(super) down_since: Option<Option<Timestamp>>,
}

#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub(super) id: i64,
    pub(super) last: i64,
    /// Whether `last` differs from the row.
    pub(super) dirty: bool,
}

impl Ledger {
    pub(super) fn new(
        mut connection: Connection,
        lock: File,
        checkpointer: Checkpointer,
        told: AlsoTold,
        cache: Arc<Cache>,
    ) -> rusqlite::Result<Self> {
        connection.wal_hook(Some(move |wal: &mut Wal, frames: c_int| {
            checkpointer.after_commit(wal, u32::try_from(frames).unwrap_or(0));
            // An error here would be taken for the commit's.
            Ok(())
        }))?;
        let next_notification = next_notification(&connection)?;
        let heard = heard::all(&connection)?;
        Ok(Self {
            connection,
            destinations: HashMap::new(),
            owners: HashMap::new(),
            heard,
            former_owners: Vec::new(),
            next_notification,
            alert_changed: told.alert_changed,
            happenings: told.happenings,
            ended: Vec::new(),
            cache,
            _lock: lock,
        })
    }

    /// One transaction: results first, then what is new, then what operators and e-mail want.
    fn commit(&mut self, group: &mut Waiting) -> rusqlite::Result<Committed> {
        self.begin()?;
        let mut written = self.write(group, Mode::Together);
        if written.as_ref().is_err_and(is_about_rows) {
            // Nobody is refused for another's row. Nothing was done yet that cannot be done again.
            self.roll_back()?;
            self.begin()?;
            written = self.write(group, Mode::Apart);
        }
        let mut written = written?;
        for task in group.tasks.drain(..) {
            // Who has asked for it has heard of an error.
            written.after.extend(self.apart(task)?);
        }
        self.write_last()?;
        self.write_heard()?;
        self.connection.execute_batch("COMMIT")?;
        Ok(written)
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        self.former_owners.clear();
        self.ended.clear();
        self.connection.execute_batch("BEGIN IMMEDIATE")
    }

    fn write(&mut self, group: &Waiting, mode: Mode) -> rusqlite::Result<Committed> {
        let mut written = Committed {
            recorded: Vec::with_capacity(group.records.len()),
            stored: Vec::with_capacity(group.accepts.len()),
            after: Vec::with_capacity(group.tasks.len()),
        };
        for (record, inbox) in &group.records {
            let recorded = self.write_one(mode, |ledger| ledger.record(record, inbox))?;
            written.recorded.push(recorded);
        }
        for accept in &group.accepts {
            let stored = self.write_one(mode, |ledger| {
                let is_heard_again = ledger.hear(&accept.routed)?;
                Ok((ledger.accept(&accept.routed)?, is_heard_again))
            })?;
            if matches!(stored, Ok((_, true))) {
                let alert_changed = Arc::clone(&self.alert_changed);
                written.after.push(Box::new(move || alert_changed.notify_one()));
            }
            written.stored.push(stored.map(|(stored, _)| stored));
        }
        Ok(written)
    }

    fn write_one<T>(
        &mut self,
        mode: Mode,
        write: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<rusqlite::Result<T>> {
        match mode {
            Mode::Apart => self.apart(write),
            Mode::Together => write(self).map(Ok),
        }
    }

    /// Does what may fail for what stands in the rows, and is undone alone then: that is the inner error. The outer one
    /// is the store's, and ends the transaction.
    fn apart<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<rusqlite::Result<T>> {
        // So that what is in memory from before can be read again.
        self.write_last()?;
        self.write_heard()?;
        let owners_before = self.former_owners.len();
        self.connection.execute_batch("SAVEPOINT apart")?;
        match act(self) {
            Ok(done) => {
                self.connection.execute_batch("RELEASE apart")?;
                Ok(Ok(done))
            }
            Err(error) if is_about_rows(&error) => {
                self.connection.execute_batch("ROLLBACK TO apart; RELEASE apart")?;
                self.forget_since(owners_before)?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Changes who schedules a destination, until the transaction is rolled back.
    pub(super) fn set_owner(&mut self, destination: i64, owner: Option<Owner>) {
        let former = match owner {
            Some(owner) => self.owners.insert(destination, owner),
            None => self.owners.remove(&destination),
        };
        self.former_owners.push((destination, former));
    }

    /// What follows the commit.
    fn follow(&mut self, group: Waiting, committed: Committed) {
        let is_watched = self.is_watched();
        for (recorded, (record, inbox)) in committed.recorded.into_iter().zip(group.records) {
            match recorded {
                Ok(then) => {
                    then();
                    if is_watched {
                        self.show(Happened::attempted(&record));
                    }
                }
                Err(error) => inbox.refuse(record, why(&error)),
            }
        }
        for (stored, accept) in committed.stored.into_iter().zip(group.accepts) {
            match stored {
                Ok(stored) => {
                    if is_watched && let Stored::New { id, .. } = stored {
                        self.show(Happened::Stored { notification: id });
                    }
                    self.committed(accept, stored);
                }
                Err(error) => accept.answer(Err(why(&error))),
            }
        }
        committed.after.into_iter().for_each(|then| then());
        for ended in std::mem::take(&mut self.ended) {
            self.show(ended);
        }
    }

    /// Whether anybody looks on.
    fn is_watched(&self) -> bool {
        self.happenings.receiver_count() > 0
    }

    fn show(&self, happened: Happened) {
        // Nobody looks on any more: nothing to tell.
        self.happenings.send(happened).ok();
    }

    /// Remembers deliveries that have ended without an attempt, to be told after the commit.
    pub(super) fn note_ended(&mut self, destination: i64, gone: &[Gone]) {
        if self.is_watched() {
            let seqs = gone.iter().map(|gone| gone.seq);
            self.ended.extend(seqs.map(|seq| Happened::Ended { destination, seq }));
        }
    }

    fn write_last(&mut self) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE destinations SET last = ? WHERE id = ?")?;
        for destination in self.destinations.values_mut().filter(|destination| destination.dirty) {
            statement.execute((destination.last, destination.id))?;
            destination.dirty = false;
        }
        Ok(())
    }

    fn roll_back(&mut self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.forget_since(0)
    }

    /// Forgets what was rolled back: the changes of owners after the first so many, and all that can be read again.
    fn forget_since(&mut self, owners_before: usize) -> rusqlite::Result<()> {
        for (destination, former) in self.former_owners.drain(owners_before..).rev() {
            match former {
                Some(owner) => self.owners.insert(destination, owner),
                None => self.owners.remove(&destination),
            };
        }
        for owner in self.owners.values_mut() {
            owner.down_since = None;
        }
        self.destinations.clear();
        self.heard = heard::all(&self.connection)?;
        self.next_notification = next_notification(&self.connection)?;
        Ok(())
    }
}

fn next_notification(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM notifications", [], |row| {
        row.get(0)
    })
}

/// Ends all writing: after a failed sync nobody knows what is on the disk, and a new start finds out (design.md 7).
#[derive(Clone)]
pub(super) struct GiveUp {
    pub(super) queue: Arc<Queue>,
    pub(super) failed: watch::Sender<Option<String>>,
}

impl GiveUp {
    pub(super) fn because(&self, error: &rusqlite::Error) {
        self.queue.shut().refuse(&OutboxError::Failed(error.to_string()));
        self.failed.send_replace(Some(error.to_string()));
    }
}

/// Writes group after group until the queue is closed and empty, or the store fails.
pub(super) fn run(mut ledger: Ledger, give_up: &GiveUp) {
    let mut looked_at_disk = None::<Instant>;
    let mut full = false;
    let queue = &give_up.queue;
    while let Some(mut group) = queue.next_group() {
        if !group.accepts.is_empty() && looked_at_disk.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            looked_at_disk = Some(Instant::now());
            full = queue.disk_is_full();
        }
        if full {
            for accept in group.accepts.drain(..) {
                accept.answer(Err(OutboxError::Full));
            }
        }
        let (changes, began) = (group.changes(), Instant::now());
        match ledger.commit(&mut group) {
            Ok(committed) => {
                if changes > 0 {
                    queue.counts.committed(changes, began.elapsed());
                }
                ledger.follow(group, committed);
            }
            Err(error) => {
                tracing::error!(%error, "cannot write to the store: {error}");
                group.refuse(&why(&error));
                if is_fatal(&error) || ledger.roll_back().is_err() {
                    give_up.because(&error);
                    return;
                }
            }
        }
    }
}

pub(super) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

#[cfg(test)]
mod tests;
