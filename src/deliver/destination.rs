//! The owner of one destination: a few slots that share a schedule, each with a connection of its own.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::schedule::{Ended, Job, Limits, Question, Schedule, Step};
use super::{Client, Connection, RenderError, Renderer, Settings, SetupError};
use crate::domain::{Attempted, Cause, Clock, Health, Incident, Outcome};
use crate::outbox::{AttemptRecord, Inbox, Lease, News, Next, Outbox, OutboxError, StoredNotification};

/// How long a store that does not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What the slots of one destination share.
#[derive(Debug)]
struct Destination {
    settings: Settings,
    renderer: Renderer,
    client: Arc<Client>,
    outbox: Outbox,
    inbox: Arc<Inbox>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    give_up_from: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    incident: Option<Incident>,
    /// Records that the store did not take; nothing is attempted until it does, lest a shop is called again and again
    /// for what cannot be noted.
    refused: Vec<AttemptRecord>,
    retry_refused_at: Option<Timestamp>,
    lost: bool,
}

/// What a slot does next.
enum Turn {
    Ask(Question),
    Attempt(Job),
    Leave,
    Record(Vec<AttemptRecord>),
    Wait(Option<Timestamp>),
}

/// A destination that can be served: its URL, certificates and secrets are in order.
#[derive(Debug)]
pub(super) struct Prepared {
    settings: Settings,
    renderer: Renderer,
    client: Arc<Client>,
}

impl Prepared {
    pub(super) fn new(settings: Settings, clock: &Arc<dyn Clock>) -> Result<Self, SetupError> {
        let client = Arc::new(Client::new(&settings, Arc::clone(clock))?);
        let renderer = Renderer::new(&settings)?;
        Ok(Self {
            settings,
            renderer,
            client,
        })
    }

    /// Takes the destination over and serves it until `stop`; then lets running attempts end, and gives it back.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the store has not given it until `stop`.
    pub(super) async fn serve(
        self,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), OutboxError> {
        let Self {
            settings,
            renderer,
            client,
        } = self;
        let inbox = Arc::new(Inbox::default());
        let owned = loop {
            match outbox.own(&settings.key, Arc::clone(&inbox)).await {
                Ok(owned) => break owned,
                Err(error) if *stop.borrow() => return Err(error),
                // A full disk, perhaps: what is received meanwhile must not wait for the next start.
                Err(error) => {
                    let destination = &settings.key;
                    tracing::error!(%error, %destination, "cannot serve {destination}, trying again: {error}");
                    tokio::time::timeout(STORE_PAUSE, stop.changed()).await.ok();
                }
            }
        };
        let limits = Limits::new(settings.concurrency.get(), settings.rate);
        let health = Health::new(owned.down_since);
        let failing = usize::try_from(owned.failing).unwrap_or(usize::MAX);
        let state = State {
            schedule: Schedule::new(limits, health, owned.read, owned.last, failing, clock.now()),
            incident: owned.incident,
            refused: Vec::new(),
            retry_refused_at: None,
            lost: false,
        };
        let slots = settings.concurrency.get();
        let destination = Arc::new(Destination {
            settings,
            renderer,
            client,
            outbox,
            inbox,
            clock,
            lease: owned.lease,
            give_up_from: owned.give_up_from,
            state: Mutex::new(state),
        });
        let mut running = JoinSet::new();
        for _ in 0..slots {
            running.spawn(Arc::clone(&destination).slot(stop.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(panic) = ended.map_err(JoinError::into_panic) {
                // What it held of the schedule is lost; a new start knows everything from the store.
                resume_unwind(panic);
            }
        }
        if let Err(error) = destination.outbox.release(destination.lease).await {
            // The next owner takes it over all the same.
            tracing::debug!(%error, destination = %destination.settings.key, "not given back: {error}");
        }
        Ok(())
    }
}

impl Destination {
    /// One after the other: looks what is to be done, does it, until told to stop.
    async fn slot(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut connection = Connection::new(Arc::clone(&self.client));
        while !*stop.borrow() {
            match self.turn() {
                Turn::Ask(question) => self.ask(question).await,
                Turn::Attempt(job) => self.attempt(job, &mut connection).await,
                Turn::Leave => break,
                Turn::Record(records) => {
                    for record in records {
                        self.outbox.record(record, &self.inbox);
                    }
                }
                Turn::Wait(until) => tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    () = self.inbox.changed() => {}
                    () = self.sleep_until(until) => {}
                },
            }
        }
        // The others wait on the same inbox.
        self.inbox.wake();
    }

    fn turn(&self) -> Turn {
        let now = self.clock.now();
        let mut state = self.lock();
        let (news, last) = self.inbox.take();
        for news in news {
            state.schedule.news(&news, now);
            if let News::Refused { record, why } = news {
                self.refused(&mut state, *record, &why, now);
            }
        }
        state.schedule.committed(last);
        if state.lost {
            return Turn::Leave;
        }
        if let Some(at) = state.retry_refused_at {
            if now < at {
                return Turn::Wait(Some(at));
            }
            state.retry_refused_at = None;
            let mut refused = std::mem::take(&mut state.refused);
            for record in &mut refused {
                // Later records may have been written meanwhile: what they said of the destination must stay.
                if record.incident.is_some() {
                    record.incident = state.incident.clone();
                }
                record.down_since = state.schedule.down_since();
            }
            return Turn::Record(refused);
        }
        let step = state.schedule.next(now);
        self.inbox.behind_with(state.schedule.behind(now));
        match step {
            Step::Ask(question) => Turn::Ask(question),
            Step::Attempt(job) => {
                if state.schedule.has_more(now) {
                    self.inbox.wake();
                }
                Turn::Attempt(job)
            }
            Step::Wait(until) => Turn::Wait(until),
        }
    }

    fn refused(&self, state: &mut State, record: AttemptRecord, why: &OutboxError, now: Timestamp) {
        let destination = &self.settings.key;
        if matches!(why, OutboxError::LeaseLost) {
            tracing::warn!(%destination, "another owner has taken {destination} over");
            state.lost = true;
            return;
        }
        tracing::error!(%destination, %why, "cannot record an attempt, delivering to {destination} pauses: {why}");
        state.refused.push(record);
        state.retry_refused_at = now.saturating_add(STORE_PAUSE).ok();
    }

    async fn ask(&self, question: Question) {
        let answered = match &question {
            Question::Due { limit } => self.outbox.due(self.lease, *limit).await.map(|due| {
                let now = self.clock.now();
                self.lock().schedule.due(&due, *limit, now);
            }),
            Question::Heads(lanes) => self.outbox.heads(self.lease, lanes.clone()).await.map(|heads| {
                let now = self.clock.now();
                self.lock().schedule.heads(&heads, now);
            }),
            Question::Old { limit } => self.give_up_old(*limit).await,
            Question::Page { after, limit } => self
                .outbox
                .page(self.lease, *after, *limit)
                .await
                .map(|page| self.lock().schedule.page(&page)),
        };
        if let Err(error) = answered {
            tracing::error!(%error, destination = %self.settings.key, "cannot read from the store: {error}");
            tokio::time::sleep(STORE_PAUSE).await;
            self.lock().schedule.unanswered(question);
        }
    }

    /// While the destination is down: what has waited for `give_up_after` becomes a dead letter without an attempt.
    async fn give_up_old(&self, limit: usize) -> Result<(), OutboxError> {
        let now = self.clock.now();
        let by = now
            .saturating_sub(self.settings.retry.give_up_after)
            .unwrap_or(Timestamp::MIN);
        let old = match by >= self.give_up_from {
            true => self.outbox.older_than(self.lease, by, limit).await?,
            false => Vec::new(),
        };
        let mut state = self.lock();
        state.schedule.old(&old);
        if old.is_empty() {
            return Ok(());
        }
        if let Some(incident) = &mut state.incident {
            for old in &old {
                incident.gave_up(old.notification, old.kind, now);
            }
        }
        let rows = old.iter().map(|old| old.named).collect();
        // Still under the lock, so that the incident is not written in an older version later.
        self.outbox
            .give_up(self.lease, rows, state.incident.clone(), now, &self.inbox)
    }

    async fn attempt(&self, job: Job, connection: &mut Connection) {
        let notification = match self.outbox.notification(job.head.notification).await {
            Ok(notification) => notification,
            Err(error) => {
                tracing::error!(%error, destination = %self.settings.key, "cannot read a notification: {error}");
                tokio::time::sleep(STORE_PAUSE).await;
                self.lock().schedule.put_back(job);
                return;
            }
        };
        let started_at = self.clock.now();
        let started = Instant::now();
        let attempt = job.head.attempts + 1;
        let outcome = match self
            .renderer
            .render(&notification, attempt, job.head.replays, started_at)
        {
            Ok(rendered) => connection.attempt(rendered).await,
            Err(error) => unrenderable(error),
        };
        self.log(&notification, attempt, &outcome, started.elapsed());
        let now = self.clock.now();
        let mut state = self.lock();
        let state = &mut *state;
        let ended = match &outcome {
            Outcome::Delivered { .. } => {
                self.inbox.succeeded();
                state.schedule.succeeded(job, now)
            }
            Outcome::Rejected { .. } | Outcome::Unavailable { .. } => {
                let retry_after = outcome.answer().and_then(|answer| answer.retry_after);
                let policy = &self.settings.retry;
                state
                    .schedule
                    .failed(job, policy, self.give_up_from, retry_after, now, fastrand::f64())
            }
        };
        let incident = Self::observe(state, &notification, &outcome, &ended, now);
        let record = AttemptRecord {
            lease: self.lease,
            seq: job.head.seq,
            lane: job.head.lane,
            attempt,
            counted: ended.counted,
            started_at,
            took: started.elapsed(),
            status: outcome.answer().map(|answer| answer.status),
            cause: outcome.cause().map(|cause| cause.word()),
            detail: outcome.detail().to_owned(),
            answer: outcome
                .answer()
                .map(|answer| answer.excerpt.clone())
                .unwrap_or_default(),
            next: ended.next,
            incident,
            down_since: state.schedule.down_since(),
        };
        // Still under the lock, so that the records of the destination, with its incident, keep their order.
        self.outbox.record(record, &self.inbox);
    }

    /// The destination's incident after this attempt, if there is one.
    fn observe(
        state: &mut State,
        notification: &StoredNotification,
        outcome: &Outcome,
        ended: &Ended,
        now: Timestamp,
    ) -> Option<Incident> {
        let attempted = Attempted {
            notification: notification.id,
            kind: notification.kind,
            outcome,
            gave_up: ended.next == Next::DeadLetter,
            still_failing: ended.still_failing,
            at: now,
        };
        state.incident = Incident::observe(state.incident.take(), &attempted);
        // A success that does not end it is written with the next failure, or with the end.
        let worth_writing = |incident: &Incident| incident.last_failure.at == now || !incident.is_open();
        state.incident.clone().filter(worth_writing)
    }

    fn log(&self, notification: &StoredNotification, attempt: u32, outcome: &Outcome, took: Duration) {
        let destination = &self.settings.key;
        let (id, duration_ms) = (notification.id, took.as_millis());
        match outcome {
            Outcome::Delivered { ko: Some(verdict), .. } => {
                let ko = &verdict.text;
                tracing::warn!(notification.id = %id, %destination, attempt, duration_ms,
                    "delivered notification {id} to {destination}, which answered {ko}");
            }
            Outcome::Delivered { .. } => {
                tracing::debug!(notification.id = %id, %destination, attempt, duration_ms,
                    "delivered notification {id} to {destination}");
            }
            Outcome::Rejected { detail, .. } | Outcome::Unavailable { detail, .. } => {
                tracing::warn!(notification.id = %id, %destination, attempt, duration_ms,
                    "attempt {attempt} to deliver notification {id} to {destination} failed: {detail}");
            }
        }
    }

    async fn sleep_until(&self, until: Option<Timestamp>) {
        match until {
            Some(until) => {
                let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or(Duration::ZERO);
                tokio::time::sleep(wait).await;
            }
            None => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing can be sent as long as the configuration is what it is: the shop is not to blame, and on-call must know.
fn unrenderable(error: RenderError) -> Outcome {
    Outcome::Rejected {
        cause: Cause::Render,
        answer: None,
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
