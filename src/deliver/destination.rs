//! The owner of one destination: a few slots that share a schedule, each with a connection of its own.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::schedule::{Ended, Job, Limits, Question, Schedule, Step};
use super::{Client, Connection, Renderer, Settings, SetupError};
use crate::domain::{
    Attempted, Cause, Clock, DestinationKey, Incident, Kind, LastFailure, Matter, NotificationId, Outcome, useful_text,
};
use crate::metrics::DeliveringTo;
use crate::outbox::{AttemptRecord, Inbox, Lease, News, Next, Outbox, OutboxError};

/// How long a store that does not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Successes during an incident that are written with it together.
const SUCCESSES_AT_ONCE: u64 = 1_000;

/// What a destination is to do, as its keeper is told.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// It is in no configuration any more, or switched off: what waits for it stays in the store.
    Parked,
    Served(Arc<Prepared>),
    /// The daemon ends.
    Stopped,
}

/// What the slots of one destination share.
#[derive(Debug)]
struct Destination {
    key: DestinationKey,
    outbox: Outbox,
    inbox: Arc<Inbox>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    counts: DeliveringTo,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    /// Whose limits the schedule has.
    configured_by: Arc<Prepared>,
    give_up_from: Timestamp,
    incident: Option<Incident>,
    /// Records that the store did not take; nothing is attempted until it does, lest a shop is called again and again
    /// for what cannot be noted.
    refused: Vec<AttemptRecord>,
    retry_refused_at: Option<Instant>,
    /// The incident as it will be, once deliveries are given up.
    giving_up: Option<Incident>,
    /// The store did not take the end of the incident; not again before this.
    retry_end_at: Option<Timestamp>,
    lost: bool,
}

/// What a slot does next.
enum Turn {
    Ask(Question),
    Attempt(Job),
    /// Nothing before this, whatever happens.
    Rest(Instant),
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

    pub(super) fn key(&self) -> &DestinationKey {
        &self.settings.key
    }

    fn limits(&self) -> Limits {
        Limits::new(self.settings.concurrency.get(), self.settings.rate)
    }
}

/// Serves a destination whenever that is wanted, until it is stopped.
pub(super) async fn keep(
    key: DestinationKey,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    counts: DeliveringTo,
    mut wanted: watch::Receiver<Wanted>,
) {
    loop {
        let now = wanted.borrow_and_update().clone();
        match now {
            Wanted::Parked => {
                if wanted.changed().await.is_err() {
                    return;
                }
            }
            Wanted::Served(prepared) => {
                if let Err(error) = serve(&prepared, &outbox, &clock, &counts, &mut wanted).await {
                    // A full disk, perhaps: what is received meanwhile must not wait for the next start.
                    tracing::error!(%error, destination = %key, "cannot serve {key}, trying again: {error}");
                    tokio::time::timeout(STORE_PAUSE, wanted.changed()).await.ok();
                }
            }
            Wanted::Stopped => return,
        }
    }
}

/// Takes the destination over and serves it as long as that is wanted, by whatever settings; then lets running
/// attempts end, and gives it back.
async fn serve(
    prepared: &Arc<Prepared>,
    outbox: &Outbox,
    clock: &Arc<dyn Clock>,
    counts: &DeliveringTo,
    wanted: &mut watch::Receiver<Wanted>,
) -> Result<(), OutboxError> {
    let key = prepared.key();
    let inbox = Arc::new(Inbox::default());
    let owned = outbox.own(key, Arc::clone(&inbox), clock.now()).await?;
    let state = State {
        schedule: Schedule::new(prepared.limits(), &owned, clock.now()),
        configured_by: Arc::clone(prepared),
        give_up_from: owned.give_up_from,
        incident: owned.incident,
        refused: Vec::new(),
        retry_refused_at: None,
        giving_up: None,
        retry_end_at: None,
        lost: false,
    };
    let destination = Arc::new(Destination {
        key: key.clone(),
        outbox: outbox.clone(),
        inbox,
        clock: Arc::clone(clock),
        lease: owned.lease,
        counts: counts.clone(),
        state: Mutex::new(state),
    });
    Arc::clone(&destination).run_slots(wanted).await;
    destination.finish_records(wanted).await;
    loop {
        let parked_at = matches!(*wanted.borrow(), Wanted::Parked).then(|| clock.now());
        match outbox.release(destination.lease, parked_at).await {
            // That it is parked has to be noted, or `give_up_after` goes on.
            Err(error) if parked_at.is_some() => {
                tracing::error!(%error, destination = %key, "cannot give {key} back, trying again: {error}");
                tokio::time::timeout(STORE_PAUSE, wanted.changed()).await.ok();
            }
            released => return released,
        }
    }
}

impl Destination {
    /// Keeps as many slots as the settings ask for, until it is not to be served any more and all have ended.
    async fn run_slots(self: Arc<Self>, wanted: &mut watch::Receiver<Wanted>) {
        let mut slots = JoinSet::new();
        let mut running = HashSet::new();
        loop {
            let now = wanted.borrow_and_update().clone();
            if let Wanted::Served(prepared) = now
                && !self.lock().lost
            {
                for place in 0..prepared.settings.concurrency.get() {
                    if running.insert(place) {
                        slots.spawn(Arc::clone(&self).slot(place, wanted.clone()));
                    }
                }
            }
            tokio::select! {
                ended = slots.join_next() => match ended {
                    None => return,
                    Some(Ok(place)) => {
                        running.remove(&place);
                        // Another owner has it: to be taken over anew, if at all.
                        if self.lock().lost && running.is_empty() {
                            return;
                        }
                    }
                    Some(Err(error)) => match error.try_into_panic() {
                        // What it held of the schedule is lost; a new start knows everything from the store.
                        Ok(panic) => resume_unwind(panic),
                        // The runtime ends.
                        Err(_) => return,
                    },
                },
                _ = wanted.changed() => {}
            }
        }
    }

    /// One after the other: looks what is to be done, does it, as long as its place is wanted. Returns the place.
    async fn slot(self: Arc<Self>, place: usize, mut wanted: watch::Receiver<Wanted>) -> usize {
        let mut served_by: Option<(Arc<Prepared>, Connection)> = None;
        loop {
            let Some((prepared, turn)) = self.turn(place, &mut wanted) else {
                break;
            };
            let (prepared, connection) = match &mut served_by {
                Some(same) if Arc::ptr_eq(&same.0, &prepared) => same,
                other => {
                    let connection = Connection::new(Arc::clone(&prepared.client));
                    other.insert((prepared, connection))
                }
            };
            match turn {
                Turn::Ask(question) => self.ask(question, &prepared.settings).await,
                Turn::Attempt(job) => self.attempt(job, prepared, connection).await,
                Turn::Rest(until) => {
                    tokio::time::timeout_at(until, wanted.changed()).await.ok();
                }
                Turn::Wait(until) => tokio::select! {
                    biased;
                    _ = wanted.changed() => {}
                    () = self.inbox.changed() => {}
                    () = self.sleep_until(until) => {}
                },
            }
        }
        // The others wait on the same inbox.
        self.inbox.wake();
        place
    }

    /// What is to be done now, and by which settings; nothing, if the place is not wanted any more.
    fn turn(&self, place: usize, wanted: &mut watch::Receiver<Wanted>) -> Option<(Arc<Prepared>, Turn)> {
        let mut state = self.lock();
        // Under the lock, so that nobody goes back to older settings.
        let Wanted::Served(prepared) = wanted.borrow_and_update().clone() else {
            return None;
        };
        let now = self.clock.now();
        if !Arc::ptr_eq(&state.configured_by, &prepared) {
            state.schedule.reconfigure(prepared.limits(), now);
            state.configured_by = Arc::clone(&prepared);
        }
        if place >= prepared.settings.concurrency.get() {
            return None;
        }
        let turn = self.next_turn(&mut state, now)?;
        Some((prepared, turn))
    }

    fn next_turn(&self, state: &mut State, now: Timestamp) -> Option<Turn> {
        self.hear(state, now);
        if state.lost {
            return None;
        }
        if let Some(at) = state.retry_refused_at {
            if Instant::now() < at {
                return Some(Turn::Rest(at));
            }
            self.record_again(state);
        }
        let ends_at = self.end_incident(state, now);
        let step = state.schedule.next(now);
        self.inbox.behind_with(state.schedule.behind(now));
        Some(match step {
            Step::Ask(question) => Turn::Ask(question),
            Step::Attempt(job) => {
                if state.schedule.has_more(now) {
                    self.inbox.wake();
                }
                Turn::Attempt(job)
            }
            Step::Wait(until) => Turn::Wait(until.into_iter().chain(ends_at).min()),
        })
    }

    /// Ends the incident if it is over; if that only takes time, returns when.
    fn end_incident(&self, state: &mut State, now: Timestamp) -> Option<Timestamp> {
        let incident = state.incident.as_mut()?;
        let ends_at = incident.ends_at()?;
        if !state.schedule.is_drained() {
            return None;
        }
        let at = state.retry_end_at.map_or(ends_at, |retry| retry.max(ends_at));
        if at > now {
            return Some(at);
        }
        incident.end(now);
        state.retry_end_at = None;
        if let Err(error) = self.outbox.end_incident(self.lease, incident.clone(), &self.inbox) {
            tracing::error!(%error, destination = %self.key, "cannot note that {} works again: {error}", self.key);
        }
        None
    }

    /// Takes note of everything that the writer has told.
    fn hear(&self, state: &mut State, now: Timestamp) {
        let (news, last) = self.inbox.take();
        for news in news {
            state.schedule.news(&news, now);
            match news {
                News::GaveUp { rows } => {
                    self.counts.gave_up(rows.len());
                    let told = state.giving_up.take().filter(|_| !rows.is_empty());
                    state.incident = told.or(state.incident.take());
                }
                News::Refused { record, why } => self.refused(state, *record, &why),
                News::Resumed { give_up_from } => state.give_up_from = give_up_from,
                News::StillOpen => {
                    state.retry_end_at = Some(now.saturating_add(STORE_PAUSE).unwrap_or(now));
                    if let Some(incident) = &mut state.incident {
                        incident.recovered_at = None;
                    }
                }
                _ => {}
            }
        }
        state.schedule.committed(last);
    }

    /// Gives what was refused to the store again; under the lock, so that records keep their order.
    fn record_again(&self, state: &mut State) {
        state.retry_refused_at = None;
        for mut record in std::mem::take(&mut state.refused) {
            // Later records may have been written meanwhile: what they said of the destination must stay.
            if record.incident.is_some() {
                record.incident = state.incident.clone();
            }
            record.down_since = state.schedule.down_since();
            self.outbox.record(record, &self.inbox);
        }
    }

    /// Waits until every attempt that was made is recorded, so that none is made again; at the end of the daemon only
    /// as long as the store takes them.
    async fn finish_records(&self, wanted: &watch::Receiver<Wanted>) {
        loop {
            let refused = {
                let mut state = self.lock();
                self.hear(&mut state, self.clock.now());
                if state.lost || state.schedule.unrecorded() == 0 {
                    return;
                }
                !state.refused.is_empty()
            };
            if !refused {
                self.inbox.changed().await;
            } else if matches!(*wanted.borrow(), Wanted::Stopped) {
                return;
            } else {
                tokio::time::sleep(STORE_PAUSE).await;
                self.record_again(&mut self.lock());
            }
        }
    }

    fn refused(&self, state: &mut State, record: AttemptRecord, why: &OutboxError) {
        let destination = &self.key;
        if matches!(why, OutboxError::LeaseLost) {
            tracing::warn!(%destination, "another owner has taken {destination} over");
            state.lost = true;
            return;
        }
        tracing::error!(%destination, error = %why, "cannot record an attempt, delivering to {destination} pauses: {why}");
        state.refused.push(record);
        state.retry_refused_at = Some(Instant::now() + STORE_PAUSE);
    }

    async fn ask(&self, question: Question, settings: &Settings) {
        let answered = match &question {
            Question::Due { limit } => self.outbox.due(self.lease, *limit).await.map(|due| {
                let now = self.clock.now();
                self.lock().schedule.due(&due, *limit, now);
            }),
            Question::Heads(lanes) => self.outbox.heads(self.lease, lanes.clone()).await.map(|heads| {
                let now = self.clock.now();
                self.lock().schedule.heads(&heads, now);
            }),
            Question::Old { limit } => self.give_up_old(*limit, settings).await,
            Question::Page { after, limit } => self
                .outbox
                .page(self.lease, *after, *limit)
                .await
                .map(|page| self.lock().schedule.page(&page)),
        };
        if let Err(error) = answered {
            tracing::error!(%error, destination = %self.key, "cannot read from the store for {}: {error}", self.key);
            tokio::time::sleep(STORE_PAUSE).await;
            self.lock().schedule.unanswered(question);
        }
    }

    /// While the destination is down: what has waited for `give_up_after` becomes a dead letter without an attempt.
    async fn give_up_old(&self, limit: usize, settings: &Settings) -> Result<(), OutboxError> {
        let now = self.clock.now();
        let by = now
            .saturating_sub(settings.retry.give_up_after)
            .unwrap_or(Timestamp::MIN);
        let may_give_up = by >= self.lock().give_up_from;
        let old = match may_give_up {
            true => self.outbox.older_than(self.lease, by, limit).await?,
            false => Vec::new(),
        };
        let mut state = self.lock();
        state.schedule.old(&old);
        if old.is_empty() {
            return Ok(());
        }
        // It counts once it is written; until then nothing is attempted, and nobody else changes it.
        state.giving_up = state.incident.clone().map(|mut incident| {
            for old in &old {
                incident.gave_up(old.notification, old.matter, now);
            }
            incident
        });
        let seqs = old.iter().map(|old| old.named.seq).collect();
        self.outbox
            .give_up(self.lease, seqs, state.giving_up.clone(), now, &self.inbox)
    }

    async fn attempt(&self, job: Job, prepared: &Prepared, connection: &mut Connection) {
        let Prepared { settings, renderer, .. } = prepared;
        let fetched = self.outbox.notification(job.head.notification).await;
        let started_at = self.clock.now();
        let started = Instant::now();
        let attempt = job.head.attempts + 1;
        let (about, outcome) = match fetched {
            Ok(notification) => {
                let outcome = match renderer.render(&notification, job.head.into(), started_at) {
                    Ok(rendered) => connection.attempt(rendered).await,
                    Err(error) => unrenderable(error.to_string()),
                };
                ((notification.id, notification.matter), outcome)
            }
            // Nobody can say which one it was; on-call must know all the same, and its lane must go on in the end.
            Err(OutboxError::Unreadable(why)) => {
                let what = format!("the stored notification cannot be read: {why}");
                (
                    (NotificationId::before(job.head.since), Kind::Other.into()),
                    unrenderable(what),
                )
            }
            Err(error) => {
                tracing::error!(%error, destination = %self.key, "cannot read a notification for {}: {error}", self.key);
                tokio::time::sleep(STORE_PAUSE).await;
                self.lock().schedule.put_back(job);
                return;
            }
        };
        let took = started.elapsed();
        if let Some((host, until)) = connection.take_certificate() {
            self.outbox.saw_certificate(&host, until);
        }
        let now = self.clock.now();
        let waited = Duration::try_from(now.duration_since(job.head.since)).unwrap_or_default();
        self.counts.attempted(&outcome, waited);
        let mut locked = self.lock();
        let state = &mut *locked;
        let was_down = state.schedule.down_since();
        let ended = match &outcome {
            Outcome::Delivered { .. } => {
                self.inbox.succeeded();
                state.schedule.succeeded(job, now)
            }
            Outcome::Rejected { .. } | Outcome::Unavailable { .. } => {
                let retry_after = outcome.answer().and_then(|answer| answer.retry_after);
                let policy = &settings.retry;
                state
                    .schedule
                    .failed(job, policy, state.give_up_from, retry_after, now, fastrand::f64())
            }
        };
        if ended.next == Next::DeadLetter {
            self.counts.gave_up(1);
        }
        let incident = Self::observe(state, about, &outcome, &ended, now);
        let record = AttemptRecord {
            lease: self.lease,
            seq: job.head.seq,
            lane: job.head.lane,
            attempt,
            counted: ended.counted,
            started_at,
            took,
            status: outcome.answer().map(|answer| answer.status),
            cause: outcome.cause().map(|cause| cause.word()),
            detail: outcome.detail().to_owned(),
            answer: outcome
                .answer()
                .map(|answer| answer.excerpt.clone())
                .unwrap_or_default(),
            next: ended.next,
            incident,
            told_apart: LastFailure::from_outcome(&outcome, now).filter(|_| settings.tells_attempts),
            complaint: complaint(&outcome),
            down_since: state.schedule.down_since(),
        };
        // Still under the lock, so that the records of the destination, with its incident, keep their order.
        self.outbox.record(record, &self.inbox);
        let is_down = state.schedule.down_since();
        drop(locked);
        self.log(about.0, attempt, &outcome, took, ended.next);
        self.log_turn(was_down, is_down);
    }

    /// The destination's incident after this attempt, if there is one.
    fn observe(
        state: &mut State,
        (notification, matter): (NotificationId, Matter),
        outcome: &Outcome,
        ended: &Ended,
        now: Timestamp,
    ) -> Option<Incident> {
        let attempted = Attempted {
            notification,
            matter,
            outcome,
            gave_up: ended.next == Next::DeadLetter,
            at: now,
        };
        state.incident = Incident::observe(state.incident.take(), &attempted);
        let worth_writing = |incident: &&Incident| {
            incident.is_open()
                && (incident.last_failure.at == now
                    || incident.well_since == Some(now)
                    // The other successes are written with what comes next; a restart may forget so many.
                    || incident.delivered.is_multiple_of(SUCCESSES_AT_ONCE))
        };
        state.incident.as_ref().filter(worth_writing).cloned()
    }

    /// A delivery that went well is nothing to log at length: there may be thousands a second.
    fn log(&self, id: NotificationId, attempt: u32, outcome: &Outcome, took: Duration, next: Next) {
        let destination = &self.key;
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Delivered { ko: Some(verdict), .. } => {
                let ko = useful_text(verdict.text.as_bytes());
                tracing::warn!(notification.id = %id, %destination, attempt, duration_ms,
                    "delivered notification {id} to {destination}, which answered {ko}");
            }
            Outcome::Delivered { .. } => {
                tracing::debug!(notification.id = %id, %destination, attempt, duration_ms,
                    "delivered notification {id} to {destination}");
            }
            Outcome::Rejected { detail, .. } | Outcome::Unavailable { detail, .. } => {
                let then = if next == Next::DeadLetter {
                    ", and it is given up"
                } else {
                    ""
                };
                tracing::warn!(notification.id = %id, %destination, attempt, duration_ms, error = detail,
                    "attempt {attempt} to deliver notification {id} to {destination} failed{then}: {detail}");
            }
        }
    }

    fn log_turn(&self, was_down: Option<Timestamp>, is_down: Option<Timestamp>) {
        let destination = &self.key;
        match (was_down, is_down) {
            (None, Some(_)) => {
                tracing::warn!(%destination, "{destination} is down: one probe a minute, until one is answered well");
            }
            (Some(since), None) => {
                tracing::info!(%destination, %since, "{destination} is up again: what waits goes out")
            }
            (None, None) | (Some(_), Some(_)) => {}
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

/// What the shop's plugin says against what it took; about the signature it is an incident.
fn complaint(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Delivered { ko: Some(verdict), .. } if !verdict.about_signature => Some(verdict.text.clone()),
        _ => None,
    }
}

/// Nothing can be sent as long as the configuration is what it is: the shop is not to blame, and on-call must know.
fn unrenderable(detail: String) -> Outcome {
    Outcome::Rejected {
        cause: Cause::Render,
        answer: None,
        detail,
    }
}

#[cfg(test)]
mod tests;
