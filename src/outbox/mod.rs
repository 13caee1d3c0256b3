//! Notifications and their deliveries, kept across restarts.
//!
//! # The promise
//!
//! When [`Outbox::accept`] returns `Ok`, the notification, its raw body and one delivery per destination are on disk,
//! in one transaction that was synced: they survive a power cut. Everything that this program owes anybody is a row
//! here, and nothing is owed that is not one. Receiving and delivering meet only in this folder.
//!
//! ```text
//!   receive ── accept ──▶ ┌────────┐ ── commit ──▶ outbox.db
//!   deliver ── record ──▶ │ writer │ ── hand-over, recorded ──▶ Inbox of each destination ──▶ deliver
//!   alert ──── tell ────▶ └────────┘
//!   deliver, alert ─ pages, heads, bodies, e-mails ─▶ reader
//! ```
//!
//! # Invariants
//!
//! - **One writer.** Everything that waits is written in one transaction (group commit), synced, and only then
//!   answered: results first, then new notifications, then the rest. While one group syncs the next one fills; nothing is
//!   delayed. What the rows forbid one of them is undone alone, and he alone hears of it.
//! - **The future may be dropped.** An item in the writer's queue owns what it needs; it is written, handed over and
//!   counted even if the client that waited for it has left. The gateway's repeat is then a duplicate.
//! - **Identity by constraint.** A second notification with the same identity stores nothing; two at once are decided
//!   by the primary key, not by a look-up.
//! - **Gap-free numbers.** A destination numbers its deliveries (`seq`) inside the accepting transaction, so seq order
//!   is commit order, and whoever has read up to `seq` has missed nothing below it.
//! - **Ownership.** One owner per destination schedules it; its [`Lease`] carries an epoch, and a record of an earlier
//!   epoch is refused. The owner hears of everything through one [`Inbox`], in the order of the commits.
//! - **What operators ask for is a row as well** ([`VerbRow`]), carried out in small steps beside the traffic; how far it
//!   has come is written with the rows of each step, so that a kill at any point repeats none and forgets none.
//! - **A failed write is not repeated here.** No space: the newcomers are refused, nothing else changes. A failed sync
//!   or a damaged file: [`Outbox::failure`] says so and nothing is written any more; a new start finds out what holds.
//!
//! What is left out: when a delivery is due, and to whom: that is `deliver`'s. Times are parameters here.

mod aside;
mod cache;
mod configurations;
mod history;
mod inbox;
mod look;
mod persons;
mod reads;
mod room;
mod rows;
mod sqlite;
mod tail;
mod verbs;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, broadcast, oneshot, watch};

use crate::domain::{
    Clock, DestinationKey, Expectation, Incident, Lane, LegalEntityId, Lost, Mode, NotificationId, Trouble,
};
use crate::metrics::Storing;
use crate::route::Routed;
use aside::{Certificates, Losses};
use cache::Cache;
use room::Room;
use tail::Happened;

pub use configurations::{KeptConfiguration, KeptText};
pub use history::{AuditRecord, EmailLine, EmailState, EmailsWanted, IncidentStory};
pub use inbox::{Inbox, News};
pub use look::{StoreLook, StoreState, look};
pub use persons::{Erased, Trace};
pub use reads::{
    AttemptLine, Behind, ConfigurationLine, Cursor, DeliveryLine, DeliveryState, DestinationLine, DestinationLoad,
    Item, ItemPage, MOST_COUNTED, NotificationLine, Shown, ShownDelivery, Space, Totals, Wanted, WantedState, space,
};
pub use rows::{
    Accepted, Acknowledged, Acknowledgement, AttemptRecord, Complaint, DueEmail, Gone, Head, HeldEmail, IncidentRow,
    Lease, Named, NewEmail, Next, Old, OutboxError, Owned, Page, StoredNotification, Telling, TroubleRow,
    UntoldAttempt, Waiting, WaitingNotification,
};
pub use sqlite::{BackupError, Copy, OpenError, Restore, RestoreError, back_up};
pub use tail::{Tail, TailLine};
pub use verbs::{Batch, Foreseen, Found, Kept, LeftOut, Progress, Rerouted, VerbId, VerbResult, VerbRow, VerbState};

/// Bytes of notifications that may wait for the writer; more are refused as [`OutboxError::Busy`].
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of notifications kept in memory for the deliveries that follow.
const CACHED_BYTES: usize = 8 * 1024 * 1024;

/// Old bodies and records are looked for once an hour, and deleted in steps with pauses, beside the traffic.
const BETWEEN_PASSES: Duration = Duration::from_secs(60 * 60);
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// `[store]`: where notifications are kept, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The SQLite file (`url = "sqlite:/…"`).
    pub path: PathBuf,
    /// Bodies, after the last delivery.
    pub keep_bodies: Duration,
    /// Everything else.
    pub keep_records: Duration,
}

/// The durable store; clones share it.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: sqlite::Store,
    cache: Arc<Cache>,
    /// Bytes that may wait for the writer.
    bytes: Arc<Semaphore>,
    room: Room,
    losses: Losses,
    certificates: Certificates,
    alert_changed: Arc<Notify>,
    happenings: broadcast::Sender<Happened>,
    verb_asked: Notify,
    /// For those who wait for what comes of a verb; whether none is carried out any more.
    verb_ended: watch::Sender<bool>,
    failure: watch::Receiver<Option<String>>,
}

impl Outbox {
    /// Opens the store and makes it ready; blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: in use, not readable, written by a newer version, or not safe on this machine.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let (failed, failure) = watch::channel(None);
        let alert_changed = Arc::new(Notify::new());
        let cache = Arc::new(Cache::new(CACHED_BYTES));
        let told = sqlite::AlsoTold {
            alert_changed: Arc::clone(&alert_changed),
            happenings: tail::happenings(),
        };
        let happenings = told.happenings.clone();
        let store = sqlite::Store::open(&settings.path, failed, told, Arc::clone(&cache))?;
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                cache,
                bytes: Arc::new(Semaphore::new(WAITING_BYTES)),
                room: Room::default(),
                losses: Losses::default(),
                certificates: Certificates::default(),
                alert_changed,
                happenings,
                verb_asked: Notify::new(),
                verb_ended: watch::Sender::new(false),
                failure,
            }),
        })
    }

    /// Writes what is queued and closes the file; blocks. Every other call fails from then on.
    pub fn close(&self) {
        self.shared.store.close();
        self.stop_verbs();
    }

    /// Finds out whether something could be stored now; stores nothing.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: what a notification would be refused for.
    pub async fn try_writing(&self) -> Result<(), OutboxError> {
        if self.shared.store.queue.disk_is_full() {
            return Err(OutboxError::Full);
        }
        self.shared.store.try_writing().await
    }

    /// Counts what is written.
    pub fn counts(&self) -> &Storing {
        self.shared.store.queue.counts()
    }

    /// Waits until the store has failed for good, and says why. The process should end then.
    pub async fn failure(&self) -> String {
        let mut failure = self.shared.failure.clone();
        let why = failure.wait_for(Option::is_some).await.ok().map(|why| why.clone());
        match why {
            Some(why) => why.unwrap_or_default(),
            // The writer has ended because the store was closed: it did not fail.
            None => std::future::pending().await,
        }
    }

    /// Stores a notification and one delivery per destination, all or nothing.
    ///
    /// When this returns `Ok`, the data survives a power cut. A known identity stores nothing and returns
    /// [`Accepted::Duplicate`]. Dropping the future does not undo the write. In a flood it waits, at most 100 ms, for
    /// deliveries to keep up.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Busy`] and [`OutboxError::Full`]: not stored. [`OutboxError::Failed`] may mean stored or not
    /// stored; if the gateway sends again, the identity decides.
    pub async fn accept(&self, routed: Routed) -> Result<Accepted, OutboxError> {
        self.accept_and_tell(routed, None).await
    }

    /// Like [`Outbox::accept`]; then it waits, no longer than `patience`, until the first attempt to deliver it to the
    /// named shop has ended. If nobody will make one now (no URL, paused, down), it does not wait.
    ///
    /// # Errors
    ///
    /// As for `accept`. How the attempt went makes no difference.
    pub async fn accept_and_wait(&self, routed: Routed, patience: Duration) -> Result<Accepted, OutboxError> {
        let (ended, first_attempt) = oneshot::channel();
        let accepted = self.accept_and_tell(routed, Some(ended)).await?;
        // An error says that nobody will tell.
        tokio::time::timeout(patience, first_attempt).await.ok();
        Ok(accepted)
    }

    async fn accept_and_tell(
        &self,
        routed: Routed,
        first_attempt: Option<oneshot::Sender<()>>,
    ) -> Result<Accepted, OutboxError> {
        let bytes = u32::try_from(routed.body.len() + routed.headers.len()).map_err(|_| OutboxError::Busy)?;
        let share = Arc::clone(&self.shared.bytes)
            .try_acquire_many_owned(bytes)
            .map_err(|_| OutboxError::Busy)?;
        let (reply, answer) = oneshot::channel();
        self.shared.store.queue.accept(sqlite::Accept {
            routed: Box::new(routed),
            reply,
            first_attempt,
            _bytes: share,
        })?;
        let accepted = answer
            .await
            .unwrap_or_else(|_| Err(OutboxError::Failed("the store is closed".into())))?;
        self.shared.room.wait().await;
        Ok(accepted)
    }

    /// Takes a destination over: from now on `inbox` hears of what is committed for it.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`]: not taken over.
    pub async fn own(&self, key: &DestinationKey, inbox: Arc<Inbox>, now: Timestamp) -> Result<Owned, OutboxError> {
        let key = key.clone();
        self.shared.room.add(&inbox);
        let node = format!("pid {}", std::process::id());
        self.shared
            .store
            .write(move |ledger| ledger.own(&key, &node, inbox, now))
            .await
    }

    /// Notes that only these destinations are served from now on; what waits for the others is parked, and
    /// `give_up_after` will count anew for it once somebody takes it over.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not noted.
    pub async fn park_others(&self, served: Vec<DestinationKey>, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.park_others(&served, now))
            .await
    }

    /// Gives a destination back; `parked_at`: nobody is to take it over until it is configured again.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`]: the next owner takes it over all the same.
    pub async fn release(&self, lease: Lease, parked_at: Option<Timestamp>) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.release(lease, parked_at))
            .await
    }

    /// Queues an attempt with the state that follows and the incident's, to be written together; the inbox tells when
    /// it is ([`News::Recorded`]), or that it was refused ([`News::Refused`]). Records of one destination are written
    /// in the order of the calls.
    pub fn record(&self, record: AttemptRecord, inbox: &Arc<Inbox>) {
        inbox.attempted(&record);
        let kept = record.clone();
        if let Err(why) = self.shared.store.queue.record(record, Arc::clone(inbox)) {
            inbox.refuse(kept, why);
        }
    }

    /// The oldest open deliveries that were accepted by then, with what an e-mail says of them, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn older_than(
        &self,
        lease: Lease,
        accepted_by: Timestamp,
        limit: usize,
    ) -> Result<Vec<Old>, OutboxError> {
        let ask = move |connection: &_| sqlite::older_than(connection, lease.destination, accepted_by, limit);
        self.shared.store.ask(ask).await
    }

    /// Makes dead letters of deliveries without attempting them, together with the incident that tells of it; the
    /// inbox tells which ([`News::GaveUp`]): all of them, or none if it could not be written.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`]: the store is closed.
    pub fn give_up(
        &self,
        lease: Lease,
        seqs: Vec<i64>,
        incident: Option<Incident>,
        now: Timestamp,
        inbox: &Arc<Inbox>,
    ) -> Result<(), OutboxError> {
        let given_up = sqlite::GivenUp::new(seqs, inbox);
        let task = move |ledger: &mut _| {
            sqlite::give_up(ledger, lease, incident.as_ref(), now, given_up)
                .inspect_err(|error| tracing::error!(%error, "cannot give deliveries up: {error}"))
        };
        self.shared.store.queue.task(Box::new(task))
    }

    /// Writes that an incident is over, unless it has failed again meanwhile; if it could not be written, the inbox tells
    /// ([`News::StillOpen`]).
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`]: the store is closed.
    pub fn end_incident(&self, lease: Lease, incident: Incident, inbox: &Arc<Inbox>) -> Result<(), OutboxError> {
        let end = sqlite::EndOfIncident::new(lease, incident, inbox);
        let task = move |ledger: &mut _| {
            sqlite::end_incident(ledger, end)
                .inspect_err(|error| tracing::error!(%error, "cannot note the end of an incident: {error}"))
        };
        self.shared.store.queue.task(Box::new(task))
    }

    /// Open deliveries after a seq, at most `limit`, with the highest seq of the same moment.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn page(&self, lease: Lease, after: i64, limit: usize) -> Result<Page, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::page(connection, lease.destination, after, limit))
            .await
    }

    /// The oldest open delivery of each lane.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn heads(&self, lease: Lease, lanes: Vec<Lane>) -> Result<Vec<(Lane, Option<Head>)>, OutboxError> {
        let ask = move |connection: &_| {
            lanes
                .into_iter()
                .map(|lane| Ok((lane, sqlite::head(connection, lease.destination, lane)?)))
                .collect()
        };
        self.shared.store.ask(ask).await
    }

    /// The lanes of the failed deliveries that are due first, with their times, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn due(&self, lease: Lease, limit: usize) -> Result<Vec<(Lane, Timestamp)>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::due(connection, lease.destination, limit))
            .await
    }

    /// A stored notification, by its key in the store; the ones used last are in memory.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Unreadable`] if its row is not there, or says what this version does not know;
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn notification(&self, id: i64) -> Result<Arc<StoredNotification>, OutboxError> {
        if let Some(found) = self.shared.cache.find(id) {
            return Ok(found);
        }
        let as_of = self.shared.cache.changes();
        let read = Arc::new(
            self.shared
                .store
                .ask(move |connection| sqlite::notification(connection, id))
                .await?,
        );
        self.shared.cache.put_read(id, Arc::clone(&read), as_of);
        Ok(read)
    }

    /// Keeps a configuration that is applied now, and returns its key, which notifications that it routes name
    /// ([`Routed::configuration`]). `texts` is JSON. One that ran last, too, keeps its key.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not kept.
    pub async fn configured(
        &self,
        hash: String,
        texts: String,
        applied_by: String,
        now: Timestamp,
    ) -> Result<i64, OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.configured(&hash, &texts, &applied_by, now))
            .await
    }

    /// Waits for its turn to write, and writes nothing: shows that the store works.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: what is to be written now would not be.
    pub async fn write_nothing(&self) -> Result<(), OutboxError> {
        self.shared.store.try_writing().await
    }

    /// Notes a trouble of the daemon itself, for the operators.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if it could not be written.
    pub async fn report(&self, trouble: Trouble, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.report(&trouble, now))
            .await?;
        self.shared.alert_changed.notify_one();
        Ok(())
    }

    /// A notification was answered 503, and this is known of it. Remembered until the store can note it, for the
    /// operators.
    pub fn not_stored(&self, lost: Lost) {
        if self.shared.losses.lost(lost) {
            self.shared.alert_changed.notify_one();
        }
    }

    /// One was put off unread, because too much was in flight.
    pub fn put_off(&self, at: Timestamp) {
        if self.shared.losses.unread(at) {
            self.shared.alert_changed.notify_one();
        }
    }

    /// Notes what was not stored, once it is gathered; returns when that will be.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not noted, but still remembered.
    pub async fn report_losses(&self, now: Timestamp) -> Result<Option<Timestamp>, OutboxError> {
        let losses = &self.shared.losses;
        match losses.due() {
            Some(due) if due <= now => {}
            later => return Ok(later),
        }
        let Some(trouble) = losses.take() else {
            return Ok(None);
        };
        let noted = self.report(trouble.clone(), now).await;
        if noted.is_err() {
            losses.put_back(trouble);
        }
        noted.map(|()| None)
    }

    /// What was not stored and could not be noted: only for who can tell it without the store.
    pub fn take_losses(&self) -> Option<Trouble> {
        self.shared.losses.take()
    }

    /// A shop has shown a certificate that is valid until then.
    pub fn saw_certificate(&self, host: &str, until: Timestamp) {
        self.shared.certificates.saw(host, until);
    }

    /// The certificates that shops have shown since the start: host, and end.
    pub fn certificates(&self) -> Vec<(String, Timestamp)> {
        self.shared.certificates.all()
    }

    /// Bytes free for the store, and with how few nothing new is accepted; `None` if that cannot be found out.
    pub fn disk(&self) -> Option<(u64, u64)> {
        self.shared.store.queue.free_bytes().map(|free| (free, sqlite::RESERVE))
    }

    /// The troubles of these words ([`Trouble::word`]) that came after this time, oldest first.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn troubles_since(&self, since: Timestamp, words: &[&str]) -> Result<Vec<TroubleRow>, OutboxError> {
        let mut rows = self
            .shared
            .store
            .ask(move |connection| sqlite::troubles_since(connection, since))
            .await?;
        rows.retain(|row| words.contains(&row.trouble.word()));
        Ok(rows)
    }

    /// Reports of which companies nothing came for longer than expected ([`Trouble::Silence`]), each once until it is time
    /// to say it again; returns when that will be for the next. From now on this is expected, and nothing else.
    ///
    /// That the gateway is heard again is reported by [`Outbox::accept`], with the notification.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: nothing was written.
    pub async fn report_silence(
        &self,
        expected: Vec<Expectation>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.report_silence(&expected, now))
            .await
    }

    /// When the gateway was last heard, to the second: for each company and mode, by a notification that verified, also
    /// one seen before.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn last_heard(&self) -> Result<Vec<(LegalEntityId, Mode, Timestamp)>, OutboxError> {
        self.shared.store.ask(sqlite::last_heard).await
    }

    /// Woken when there may be incidents, troubles or e-mails to look at.
    pub fn alert_changed(&self) -> &Notify {
        &self.shared.alert_changed
    }

    /// Incidents that are open, or have changed since they were last told of, with those that are told together with
    /// them. One that cannot be read is left out.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn unseen_incidents(&self, limit: u32) -> Result<Vec<IncidentRow>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::unseen_incidents(connection, limit))
            .await
    }

    /// Somebody looks after an incident: no reminders until it is over, or until this time.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not noted.
    pub async fn acknowledge(
        &self,
        incident: i64,
        by: String,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Acknowledged, OutboxError> {
        let noted = self
            .shared
            .store
            .write(move |ledger| ledger.acknowledge(incident, &by, until, now))
            .await?;
        self.shared.alert_changed.notify_one();
        Ok(noted)
    }

    /// Troubles that were not told yet.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn unseen_troubles(&self, limit: u32) -> Result<Vec<TroubleRow>, OutboxError> {
        let (troubles, unreadable) = self
            .shared
            .store
            .ask(move |connection| sqlite::unseen_troubles(connection, limit))
            .await?;
        if !unreadable.is_empty() {
            tracing::error!(?unreadable, "cannot read some troubles, leaving them untold");
            self.tell_troubles(unreadable, Vec::new(), Timestamp::UNIX_EPOCH)
                .await?;
        }
        Ok(troubles)
    }

    /// How many deliveries wait for a destination: exact within `counted`, at most so many below it.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn waiting_count(&self, key: &DestinationKey, counted: Range<u64>) -> Result<u64, OutboxError> {
        let key = key.clone();
        let ask = move |connection: &_| sqlite::waiting_count(connection, &key, &counted);
        self.shared.store.ask(ask).await
    }

    /// Failed attempts of which people want an e-mail, in the order of their records.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn untold_attempts(&self, limit: u32) -> Result<Vec<UntoldAttempt>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::untold_attempts(connection, limit))
            .await
    }

    /// Makes the e-mails of failed attempts up to this one, and forgets that they were untold, in one transaction.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: neither was written.
    pub async fn tell_attempts(&self, up_to: i64, emails: Vec<NewEmail>, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.tell_attempts(up_to, &emails, now))
            .await
    }

    /// What shops' plugins have said against what they took, the first of each destination and day, that was not told.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn untold_complaints(&self, limit: u32) -> Result<Vec<Complaint>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::untold_complaints(connection, limit))
            .await
    }

    /// Makes the e-mails of these, and remembers that they were told, in one transaction.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: neither was written.
    pub async fn tell_complaints(
        &self,
        ids: Vec<i64>,
        emails: Vec<NewEmail>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.tell_complaints(&ids, &emails, now))
            .await
    }

    /// The e-mails that are held back, by address.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn held_emails(&self) -> Result<Vec<HeldEmail>, OutboxError> {
        self.shared.store.ask(sqlite::held_emails).await
    }

    /// Makes one e-mail that stands for those that are held back for its address, up to this one.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: nothing was written.
    pub async fn tell_digest(&self, up_to: i64, email: NewEmail, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.tell_digest(up_to, &email, now))
            .await
    }

    /// When the newest e-mail of a thread was made for an address.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn last_told_to(&self, thread: &str, to: &str) -> Result<Option<Timestamp>, OutboxError> {
        let (thread, to) = (thread.to_owned(), to.to_owned());
        self.shared
            .store
            .ask(move |connection| sqlite::last_told_to(connection, &thread, &to))
            .await
    }

    /// What waits for a destination, with the first few.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn waiting(&self, key: &DestinationKey, first: usize) -> Result<Waiting, OutboxError> {
        let key = key.clone();
        self.shared
            .store
            .ask(move |connection| sqlite::waiting(connection, &key, first))
            .await
    }

    /// These notifications as an e-mail lists them; those that are gone are left out.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn listed(&self, ids: Vec<NotificationId>) -> Result<Vec<WaitingNotification>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::listed_notifications(connection, &ids))
            .await
    }

    /// Makes the e-mails of a step of an incident, and remembers what was told: in one transaction, so each step is
    /// decided once.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: neither was written.
    pub async fn tell(&self, telling: Telling, now: Timestamp) -> Result<(), OutboxError> {
        self.shared.store.write(move |ledger| ledger.tell(&telling, now)).await
    }

    /// The same for troubles.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: neither was written.
    pub async fn tell_troubles(&self, ids: Vec<i64>, emails: Vec<NewEmail>, now: Timestamp) -> Result<(), OutboxError> {
        self.shared
            .store
            .write(move |ledger| ledger.tell_troubles(&ids, &emails, now))
            .await
    }

    /// When the newest e-mail of a thread was made ([`NewEmail::thread`]).
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn last_told(&self, thread: &str) -> Result<Option<Timestamp>, OutboxError> {
        let thread = thread.to_owned();
        self.shared
            .store
            .ask(move |connection| sqlite::last_told(connection, &thread))
            .await
    }

    /// E-mails that want to be sent now.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn due_emails(&self, now: Timestamp, limit: u32) -> Result<Vec<DueEmail>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::due_emails(connection, now, limit))
            .await
    }

    /// When the next e-mail wants to be sent.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn next_email(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.shared.store.ask(sqlite::next_email).await
    }

    /// The mail server has taken it.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not recorded; it will be sent again, with the same `Message-ID`.
    pub async fn email_sent(&self, id: i64, now: Timestamp) -> Result<(), OutboxError> {
        self.counts().email_sent();
        self.shared.store.write(move |ledger| ledger.email_sent(id, now)).await
    }

    /// The mail server has not taken it; without `retry_at` it failed for good.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: not recorded; it is due as before.
    pub async fn email_failed(
        &self,
        id: i64,
        now: Timestamp,
        retry_at: Option<Timestamp>,
        detail: String,
    ) -> Result<(), OutboxError> {
        self.counts().email_failed(retry_at.is_some());
        self.shared
            .store
            .write(move |ledger| ledger.email_failed(id, now, retry_at, &detail))
            .await
    }

    /// Deletes bodies and records that were kept for as long as the settings say, in small steps, until `stop`.
    pub async fn clean(&self, keep: Settings, clock: Arc<dyn Clock>, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut pass = sqlite::Pass::default();
        loop {
            let (keep, now) = (keep.clone(), clock.now());
            match self
                .shared
                .store
                .write_and_tell(move |ledger| ledger.clean(&keep, now, pass))
                .await
            {
                Ok(next) => pass = next,
                Err(error) => {
                    tracing::error!(%error, "cannot delete what was kept for long enough, trying again later: {error}");
                    pass.is_over = true;
                }
            }
            let rest = if pass.is_over { BETWEEN_PASSES } else { BETWEEN_STEPS };
            if pass.is_over {
                pass = sqlite::Pass::default();
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}
