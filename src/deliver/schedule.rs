//! Which delivery of a destination goes next: a pure state machine over what the store tells.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Decision, Failure, Health, Lane, PROBE_EVERY, RetryPolicy};
use crate::outbox::{Gone, Head, Named, News, Next, Old, Owned, Page};

/// How much of a destination is held in memory, and how fast it is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Attempts at once.
    pub(super) concurrency: usize,
    /// Attempts a second.
    pub(super) rate: Option<f64>,
    /// Reading stops at so many heads that could be attempted at once.
    pub(super) runnable: usize,
    /// Lanes in memory.
    pub(super) lanes: usize,
    /// Rows of a page, and lanes asked about at once.
    pub(super) page: usize,
    /// Attempts that have ended and are not recorded yet.
    pub(super) unrecorded: usize,
}

impl Limits {
    pub(super) fn new(concurrency: usize, rate: Option<f64>) -> Self {
        Self {
            concurrency,
            rate,
            runnable: 1_000,
            lanes: 10_000,
            page: 500,
            unrecorded: 2_000,
        }
    }

    /// The time from one attempt to the next that the rate asks for.
    fn between_attempts(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(1.0 / self.rate?))
    }
}

/// A clock that goes back by more was set back; less is the ordinary care of a time server.
const SET_BACK: Duration = Duration::from_secs(10);

/// What a slot is to do now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Ask(Question),
    Attempt(Job),
    /// Nothing until there is news, or this time has come.
    Wait(Option<Timestamp>),
}

/// What only the store knows; each kind is asked once at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Question {
    /// Which failed deliveries are due first.
    Due { limit: usize },
    /// The oldest open delivery of these lanes.
    Heads(Vec<Lane>),
    /// Deliveries so old that they are given up while the destination is down.
    Old { limit: usize },
    /// Open deliveries after this seq.
    Page { after: i64, limit: usize },
}

/// A delivery to attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Job {
    pub(super) head: Head,
    period: u64,
}

/// How an attempt has changed things.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ended {
    pub(super) next: Next,
    /// Failures that counted.
    pub(super) counted: u32,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Queue {
    /// Handed over by the writer, with a charge: a buyer may be waiting. Goes before what else is new.
    Charge,
    /// Handed over by the writer.
    New,
    /// Read from the store: backlog, retries, replays.
    Stored,
}

/// A lane in memory. One that is not here is either unread, or outside: its oldest open delivery has failed and is
/// not due.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// The store is being asked, or will be, for its oldest open delivery. `again`: a delivery was named meanwhile,
    /// which the answer may not know of; `stale`: one was cancelled meanwhile, which the answer may still name.
    Opening { queue: Queue, again: bool, stale: bool },
    /// Its head stands in a queue.
    Queued { head: Head },
    /// The attempt of its head has ended; the record is on its way. `failing`: it is counted as such.
    Recording {
        seq: i64,
        failing: bool,
        queue: Queue,
        again: bool,
    },
    /// Its head is being attempted. `cancelled`: its lane goes on whatever comes of it.
    Running { seq: i64, cancelled: bool, queue: Queue },
    /// Its head has failed and waits in memory for its time.
    Waiting { head: Head },
}

/// The schedule of one destination.
///
/// - A lane is opened in one way only: the store is asked for its oldest open delivery, after every earlier result of
///   the lane is recorded (recording answers the question in the same transaction). Whatever named the lane, that
///   row becomes its head.
/// - Only a hand-over right after `read`, with nothing unread and no lane outside, is taken without asking.
#[derive(Debug)]
pub(super) struct Schedule {
    limits: Limits,
    health: Health,
    /// Every open delivery up to here has a lane in memory or outside.
    read: i64,
    /// The highest seq there is.
    last: i64,
    lanes: HashMap<Lane, Entry>,
    to_open: VecDeque<Lane>,
    charges: VecDeque<Lane>,
    new: VecDeque<Lane>,
    stored: VecDeque<Lane>,
    /// Whether what is stored had the last turn.
    stored_had_turn: bool,
    /// An operator wants nothing to be attempted.
    paused: bool,
    waiting: BTreeSet<(Timestamp, Lane)>,
    /// When the first lane outside is due; `None`: none is outside.
    outside: Option<Timestamp>,
    asking: Asking,
    running: usize,
    recording: usize,
    /// Open deliveries that have failed.
    failing: usize,
    /// The highest seq while there was trouble: what waited then is drained first, before that is over.
    troubled: i64,
    /// Attempts at once while it returns: 1, 2, 4, …
    ramp: usize,
    ramp_successes: usize,
    next_probe: Timestamp,
    /// When to look for deliveries to give up, while it is down.
    next_look: Timestamp,
    /// When the rate allows the next attempt.
    next_slot: Timestamp,
    /// The clock when it was looked at last.
    seen: Timestamp,
}

#[derive(Debug, Default)]
struct Asking {
    page: bool,
    heads: bool,
    due: bool,
    /// From the question until the answer is written. Nothing else is under way then: an answer could name what has
    /// just been given up, and what is given up must not be attempted.
    old: bool,
}

impl Schedule {
    /// Starts from what the store says.
    pub(super) fn new(limits: Limits, owned: &Owned, now: Timestamp) -> Self {
        let ramp = if owned.down_since.is_some() {
            1
        } else {
            limits.concurrency
        };
        Self {
            limits,
            health: Health::new(owned.down_since),
            read: owned.read,
            last: owned.last,
            lanes: HashMap::new(),
            to_open: VecDeque::new(),
            charges: VecDeque::new(),
            new: VecDeque::new(),
            stored: VecDeque::new(),
            stored_had_turn: false,
            paused: owned.paused,
            waiting: BTreeSet::new(),
            outside: None,
            asking: Asking::default(),
            running: 0,
            recording: 0,
            failing: usize::try_from(owned.failing).unwrap_or(usize::MAX),
            troubled: owned.last,
            ramp,
            ramp_successes: 0,
            next_probe: now,
            next_look: now,
            next_slot: now,
            seen: now,
        }
    }

    /// Whether it is down, and since when.
    pub(super) fn down_since(&self) -> Option<Timestamp> {
        self.health.down_since()
    }

    /// Other limits from now on. A destination that is down is tried again at once: its URL may be mended.
    pub(super) fn reconfigure(&mut self, limits: Limits, now: Timestamp) {
        if self.ramp >= self.limits.concurrency {
            self.ramp = limits.concurrency;
        }
        self.limits = limits;
        self.next_probe = self.next_probe.min(now);
    }

    /// Takes note of what the writer told.
    pub(super) fn news(&mut self, news: &News, now: Timestamp) {
        match news {
            News::Cancelled { rows } => self.gone(rows),
            News::GaveUp { rows } => {
                self.asking.old = false;
                if rows.is_empty() {
                    // It could not be written: asking again at once would fail again at once.
                    self.next_look = after(now, PROBE_EVERY);
                }
                self.gone(rows);
            }
            News::HandedOver(named) => self.handed_over(*named),
            News::Paused => {
                self.paused = true;
                self.becomes_backlog();
            }
            News::Recorded { lane, next, .. } => self.recorded(*lane, *next, now),
            News::Refused { .. } | News::StillOpen => {}
            News::Resumed { .. } => {
                self.paused = false;
                self.start_ramp();
            }
        }
    }

    /// There is something up to this seq, handed over or not.
    pub(super) fn committed(&mut self, last: i64) {
        self.last = self.last.max(last);
    }

    /// Attempts that have ended and are not recorded yet.
    pub(super) fn unrecorded(&self) -> usize {
        self.recording
    }

    /// What to do now. Questions come first: they are quick, and attempts wait for their answers.
    pub(super) fn next(&mut self, now: Timestamp) -> Step {
        if self.paused {
            return Step::Wait(None);
        }
        self.mind_the_clock(now);
        self.wake(now);
        if let Some(question) = self.question(now) {
            return Step::Ask(question);
        }
        if self.asking.old || self.running >= self.concurrency() || self.recording >= self.limits.unrecorded {
            return Step::Wait(None);
        }
        let down = self.health.down_since().is_some();
        let not_before = if down { self.next_probe } else { self.next_slot };
        if now < not_before {
            let anything = down || self.runnable() > 0;
            return Step::Wait(if anything { Some(not_before) } else { self.next_due(now) });
        }
        let Some((lane, queue)) = (if down {
            self.probe().map(|lane| (lane, Queue::Stored))
        } else {
            self.take()
        }) else {
            return Step::Wait(self.next_due(now));
        };
        let Some(Entry::Queued { head } | Entry::Waiting { head }) = self.lanes.get(&lane).copied() else {
            unreachable!("a lane in a queue has a head");
        };
        let (seq, cancelled) = (head.seq, false);
        self.lanes.insert(lane, Entry::Running { seq, cancelled, queue });
        self.running += 1;
        if down {
            self.next_probe = after(now, PROBE_EVERY);
        }
        if let Some(between) = self.limits.between_attempts() {
            self.next_slot = after(self.next_slot.max(now), between);
        }
        Step::Attempt(Job {
            head,
            period: self.health.period(),
        })
    }

    /// Whether another slot should look too: it would find something to do, or a time to wait for, which nobody else
    /// may be watching while this one's attempt lasts.
    pub(super) fn has_more(&self, now: Timestamp) -> bool {
        let anything = self.runnable() > 0;
        !self.paused
            && self.running < self.concurrency()
            && self.health.down_since().is_none()
            && (anything || self.next_due(now).is_some())
    }

    /// Whether it is up, and nothing waits of what waited while there was trouble.
    pub(super) fn is_drained(&self) -> bool {
        let may_hide_older = |entry: &Entry| match entry {
            Entry::Opening { .. } => true,
            Entry::Queued { head } | Entry::Waiting { head } => head.seq <= self.troubled,
            Entry::Recording { seq, .. } | Entry::Running { seq, .. } => *seq <= self.troubled,
        };
        self.health.down_since().is_none()
            && self.failing == 0
            && self.read >= self.troubled
            && !self.lanes.values().any(may_hide_older)
    }

    /// New deliveries that only wait for us: none while the destination is paused, down or at its rate limit.
    pub(super) fn behind(&self, now: Timestamp) -> usize {
        let at_limit = self.limits.rate.is_some() && now < self.next_slot;
        if self.paused || self.health.down_since().is_some() || at_limit {
            0
        } else {
            self.charges.len() + self.new.len()
        }
    }

    /// The answer to [`Question::Page`].
    pub(super) fn page(&mut self, page: &Page) {
        self.asking.page = false;
        self.last = self.last.max(page.last);
        for named in &page.rows {
            self.name(named.lane, Queue::Stored);
        }
        let end = if page.full {
            page.rows.last().map_or(page.last, |row| row.seq)
        } else {
            page.last
        };
        self.read = self.read.max(end);
    }

    /// The answer to [`Question::Heads`].
    pub(super) fn heads(&mut self, heads: &[(Lane, Option<Head>)], now: Timestamp) {
        self.asking.heads = false;
        for (lane, head) in heads {
            if let Some(Entry::Opening { queue, again, stale }) = self.lanes.get(lane).copied() {
                if stale {
                    self.open(*lane, queue);
                } else {
                    self.opened(*lane, *head, queue, again, now);
                }
            }
        }
    }

    /// The answer to [`Question::Due`]: the first `limit` failed deliveries by their time.
    pub(super) fn due(&mut self, due: &[(Lane, Timestamp)], limit: usize, now: Timestamp) {
        self.asking.due = false;
        for (lane, at) in due {
            if self.lanes.contains_key(lane) {
                continue;
            }
            if *at <= now {
                self.name(*lane, Queue::Stored);
            } else {
                self.outside = Some(self.outside.map_or(*at, |first| first.min(*at)));
            }
        }
        if due.len() >= limit {
            // There are more than were listed.
            let listed = due.last().map_or(now, |(_, at)| *at);
            self.outside = Some(self.outside.map_or(listed, |first| first.min(listed)));
        }
    }

    /// The store did not answer: it is asked again later.
    pub(super) fn unanswered(&mut self, question: Question) {
        match question {
            Question::Due { .. } => {
                self.asking.due = false;
                self.outside = Some(Timestamp::MIN);
            }
            Question::Heads(lanes) => {
                self.asking.heads = false;
                self.to_open.extend(lanes);
            }
            Question::Old { .. } => self.asking.old = false,
            Question::Page { .. } => self.asking.page = false,
        }
    }

    /// The answer to [`Question::Old`]. If there are any, [`News::GaveUp`] ends the question, else it is over now.
    pub(super) fn old(&mut self, rows: &[Old]) {
        self.asking.old = !rows.is_empty();
        if self.asking.old {
            // There may be more.
            self.next_look = Timestamp::MIN;
        }
    }

    /// The attempt could not be made, for the notification could not be read: its turn comes again.
    pub(super) fn put_back(&mut self, job: Job) {
        self.running -= 1;
        let (head, lane) = (job.head, job.head.lane);
        if let Some(Entry::Running { cancelled: true, .. }) = self.lanes.get(&lane) {
            self.open(lane, Queue::Stored);
        } else {
            self.lanes.insert(lane, Entry::Queued { head });
            self.stored.push_back(lane);
        }
    }

    /// An attempt has ended well.
    pub(super) fn succeeded(&mut self, job: Job, now: Timestamp) -> Ended {
        if self.health.succeeded(now) {
            self.troubled = self.last;
            self.start_ramp();
        } else {
            self.climb();
        }
        self.ended(job, Next::Delivered, job.head.counted)
    }

    /// An attempt has failed. `give_up_from`: `give_up_after` counts from here at the earliest.
    pub(super) fn failed(
        &mut self,
        job: Job,
        policy: &RetryPolicy,
        give_up_from: Timestamp,
        retry_after: Option<Duration>,
        now: Timestamp,
        stretch: f64,
    ) -> Ended {
        self.troubled = self.last;
        let was_up = self.health.down_since().is_none();
        let failure = Failure {
            lane: job.head.lane,
            first: job.head.attempts == 0,
            counted: job.head.counted,
            began_in: job.period,
            previous: job.head.tried,
            since: job.head.since.max(give_up_from),
            retry_after,
        };
        let decision = self.health.failed(policy, &failure, now, stretch);
        if was_up && self.health.down_since().is_some() {
            self.next_probe = after(now, PROBE_EVERY);
            self.becomes_backlog();
        }
        match decision {
            Decision::DeadLetter => self.ended(job, Next::DeadLetter, job.head.counted),
            Decision::Retry { at, counted } => self.ended(job, Next::Due(at), counted),
        }
    }

    fn ended(&mut self, job: Job, next: Next, counted: u32) -> Ended {
        self.running -= 1;
        self.recording += 1;
        let Head { seq, lane, due, .. } = job.head;
        let (cancelled, queue) = match self.lanes.get(&lane) {
            Some(Entry::Running { cancelled, queue, .. }) => (*cancelled, *queue),
            _ => (false, Queue::Stored),
        };
        let failed_before = due.is_some() && !cancelled;
        let failing = matches!(next, Next::Due(_)) && !cancelled;
        match (failed_before, failing) {
            (false, true) => self.failing += 1,
            (true, false) => self.failing = self.failing.saturating_sub(1),
            _ => {}
        }
        let queue = match queue {
            _ if due.is_some() || matches!(next, Next::Due(_)) => Queue::Stored,
            // It was this one that somebody was waiting for.
            Queue::Charge => Queue::New,
            Queue::New | Queue::Stored => queue,
        };
        let recording = Entry::Recording {
            seq,
            failing,
            queue,
            again: false,
        };
        self.lanes.insert(lane, recording);
        Ended { next, counted }
    }

    fn handed_over(&mut self, named: Named) {
        if named.seq <= self.read {
            return;
        }
        let next_unread = named.seq == self.read + 1 && !self.asking.page && self.has_room();
        self.last = self.last.max(named.seq);
        let room = self.charges.len() + self.new.len() + self.to_open.len() < self.limits.runnable;
        let is_new = room && self.takes_new();
        let queue = match named.charge {
            _ if !is_new => Queue::Stored,
            true => Queue::Charge,
            false => Queue::New,
        };
        if next_unread {
            self.read = named.seq;
            if self.outside.is_none() && !self.asking.due && !self.lanes.contains_key(&named.lane) {
                // Nothing unread, nothing outside, no entry: the lane has no older open delivery.
                self.lanes.insert(named.lane, Entry::Queued { head: named.into() });
                self.queue(queue).push_back(named.lane);
            } else {
                self.name(named.lane, queue);
            }
            return;
        }
        if is_new {
            // Ahead of what is unread, so that it does not wait behind a backlog.
            self.name(named.lane, queue);
        }
    }

    /// Whether what comes now is tried now; else it is backlog when it is.
    fn takes_new(&self) -> bool {
        !self.paused && self.health.down_since().is_none()
    }

    /// Nothing is new any more: when attempts go on, what is accepted then goes first.
    fn becomes_backlog(&mut self) {
        self.stored.append(&mut self.charges);
        self.stored.append(&mut self.new);
    }

    /// These have ended in the store, without an attempt.
    fn gone(&mut self, rows: &[Gone]) {
        for row in rows {
            let mut failed = row.failed;
            match self.lanes.get_mut(&row.lane) {
                Some(Entry::Opening { stale, .. }) => *stale = true,
                Some(Entry::Queued { head } | Entry::Waiting { head }) if head.seq == row.seq => {
                    let head = *head;
                    self.unqueue(&head);
                    self.open(row.lane, Queue::Stored);
                }
                // Its record comes later, and finds it ended.
                Some(Entry::Recording { seq, failing, .. }) if *seq == row.seq => failed = std::mem::take(failing),
                Some(Entry::Running { seq, cancelled, .. }) if *seq == row.seq => *cancelled = true,
                // It may have been the failed head of a lane outside, which nothing else would bring back.
                None if row.failed => self.open(row.lane, Queue::Stored),
                _ => {}
            }
            self.failing = self.failing.saturating_sub(usize::from(failed));
        }
    }

    /// A delivery of this lane is known to be open.
    fn name(&mut self, lane: Lane, queue: Queue) {
        match self.lanes.get_mut(&lane) {
            Some(Entry::Opening { again, .. } | Entry::Recording { again, .. }) => *again = true,
            Some(Entry::Queued { .. } | Entry::Running { .. } | Entry::Waiting { .. }) => {}
            None => self.open(lane, queue),
        }
    }

    fn open(&mut self, lane: Lane, queue: Queue) {
        let (again, stale) = (false, false);
        self.lanes.insert(lane, Entry::Opening { queue, again, stale });
        self.to_open.push_back(lane);
    }

    fn recorded(&mut self, lane: Lane, next: Option<Head>, now: Timestamp) {
        self.recording -= 1;
        if let Some(Entry::Recording { queue, again, .. }) = self.lanes.get(&lane).copied() {
            self.opened(lane, next, queue, again, now);
        }
    }

    /// The store has named the lane's oldest open delivery.
    fn opened(&mut self, lane: Lane, head: Option<Head>, queue: Queue, again: bool, now: Timestamp) {
        match head {
            None if again => self.open(lane, queue),
            None => {
                self.lanes.remove(&lane);
            }
            Some(head) => match head.due {
                Some(due) if due > now => self.wait(head, due),
                due => {
                    self.lanes.insert(lane, Entry::Queued { head });
                    let queue = if due.is_some() || !self.takes_new() {
                        Queue::Stored
                    } else {
                        queue
                    };
                    self.queue(queue).push_back(lane);
                }
            },
        }
    }

    /// Keeps a head that is not due in memory; if there are too many lanes, the one that is due last leaves.
    fn wait(&mut self, head: Head, due: Timestamp) {
        self.lanes.insert(head.lane, Entry::Waiting { head });
        self.waiting.insert((due, head.lane));
        if self.lanes.len() >= self.limits.lanes {
            // Also when just full: else poison that fills them exactly would end all reading.
            self.evict();
        }
    }

    /// Puts the failed head that is due last outside.
    fn evict(&mut self) {
        let last = match self.waiting.last() {
            Some((_, lane)) => self.lanes.get(lane),
            // While down, all may have come due without being tried again.
            None => self.stored.back().and_then(|lane| self.lanes.get(lane)),
        };
        if let Some(Entry::Queued { head } | Entry::Waiting { head }) = last.copied()
            && let Some(due) = head.due
        {
            self.unqueue(&head);
            self.lanes.remove(&head.lane);
            self.outside = Some(self.outside.map_or(due, |first| first.min(due)));
        }
    }

    /// Heads whose time has come join the stored queue.
    fn wake(&mut self, now: Timestamp) {
        while let Some((due, lane)) = self.waiting.first().copied() {
            if due > now {
                break;
            }
            self.waiting.pop_first();
            if let Some(Entry::Waiting { head }) = self.lanes.get(&lane).copied() {
                self.lanes.insert(lane, Entry::Queued { head });
                self.stored.push_back(lane);
            }
        }
    }

    fn question(&mut self, now: Timestamp) -> Option<Question> {
        if self.asking.old {
            return None;
        }
        let asking = self.asking.heads || self.asking.page || self.asking.due;
        let resting = self.running == 0 && self.recording == 0 && !asking;
        if self.health.down_since().is_some() && now >= self.next_look && resting {
            self.asking.old = true;
            self.next_look = after(now, PROBE_EVERY);
            return Some(Question::Old {
                limit: self.limits.page,
            });
        }
        if !self.asking.heads && !self.to_open.is_empty() {
            self.asking.heads = true;
            let lanes = self.to_open.len().min(self.limits.page);
            return Some(Question::Heads(self.to_open.drain(..lanes).collect()));
        }
        if !self.asking.page && self.read < self.last && self.has_room() {
            self.asking.page = true;
            return Some(Question::Page {
                after: self.read,
                limit: self.limits.page,
            });
        }
        if !self.asking.due && self.outside.is_some_and(|due| due <= now) && self.lanes.len() < self.limits.lanes {
            self.asking.due = true;
            // From now on: who leaves memory before the answer comes, and may be missing from it.
            self.outside = None;
            // Those in memory are listed too.
            return Some(Question::Due {
                limit: self.lanes.len() + self.limits.page,
            });
        }
        None
    }

    /// A clock that was set back must not make anybody wait for longer than the rule says.
    fn mind_the_clock(&mut self, now: Timestamp) {
        self.next_probe = self.next_probe.min(after(now, PROBE_EVERY));
        self.next_look = self.next_look.min(after(now, PROBE_EVERY));
        let between = self.limits.between_attempts().unwrap_or(Duration::ZERO);
        self.next_slot = self.next_slot.min(after(now, between));
        if after(now, SET_BACK) < self.seen {
            // Nobody knows any more how long they have waited: their times come now.
            for (_, lane) in std::mem::take(&mut self.waiting) {
                if let Some(Entry::Waiting { head }) = self.lanes.get(&lane).copied() {
                    self.lanes.insert(lane, Entry::Queued { head });
                    self.stored.push_back(lane);
                }
            }
        }
        self.seen = now;
    }

    fn has_room(&self) -> bool {
        let runnable = self.runnable() < self.limits.runnable || self.health.down_since().is_some();
        runnable && self.lanes.len() < self.limits.lanes
    }

    /// Lanes that have, or may have, something to attempt now.
    fn runnable(&self) -> usize {
        self.charges.len() + self.new.len() + self.stored.len() + self.to_open.len()
    }

    fn concurrency(&self) -> usize {
        if self.health.down_since().is_some() {
            1
        } else {
            self.ramp.min(self.limits.concurrency)
        }
    }

    fn start_ramp(&mut self) {
        self.ramp = 1;
        self.ramp_successes = 0;
    }

    /// After as many successes as attempts were allowed at once, twice as many are.
    fn climb(&mut self) {
        if self.ramp < self.limits.concurrency && self.health.down_since().is_none() {
            self.ramp_successes += 1;
            if self.ramp_successes >= self.ramp {
                self.ramp *= 2;
                self.ramp_successes = 0;
            }
        }
    }

    /// A free slot takes from the queue that did not have the last turn, if it has something; of what is new, charges
    /// go first.
    fn take(&mut self) -> Option<(Lane, Queue)> {
        let new = if self.charges.is_empty() {
            Queue::New
        } else {
            Queue::Charge
        };
        let takes_stored = if self.stored_had_turn {
            self.queue(new).is_empty()
        } else {
            !self.stored.is_empty()
        };
        let queue = if takes_stored { Queue::Stored } else { new };
        let lane = self.queue(queue).pop_front()?;
        self.stored_had_turn = takes_stored;
        Some((lane, queue))
    }

    /// A lane never tried if there is one, else the lane longest not tried.
    fn probe(&mut self) -> Option<Lane> {
        let head = |lane: &Lane| match self.lanes.get(lane) {
            Some(Entry::Queued { head } | Entry::Waiting { head }) => Some(*head),
            _ => None,
        };
        let waiting = self.waiting.iter().map(|(_, lane)| lane);
        let chosen = self
            .charges
            .iter()
            .chain(&self.new)
            .chain(&self.stored)
            .chain(waiting)
            .filter_map(head)
            .min_by_key(|head| (head.tried, head.seq))?;
        self.unqueue(&chosen);
        if chosen.tried.is_some() && self.lanes.len() >= self.limits.lanes {
            // All in memory were tried: one leaves, so that reading goes on toward lanes that never were.
            self.evict();
        }
        Some(chosen.lane)
    }

    fn unqueue(&mut self, head: &Head) {
        self.charges.retain(|lane| *lane != head.lane);
        self.new.retain(|lane| *lane != head.lane);
        self.stored.retain(|lane| *lane != head.lane);
        if let Some(due) = head.due {
            self.waiting.remove(&(due, head.lane));
        }
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<Lane> {
        match queue {
            Queue::Charge => &mut self.charges,
            Queue::New => &mut self.new,
            Queue::Stored => &mut self.stored,
        }
    }

    /// The next time at which something comes due. What is due outside already, and for which there is no room, waits
    /// for room and not for a time.
    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.waiting.first().map(|(due, _)| *due);
        let outside = self.outside.filter(|due| *due > now);
        first.into_iter().chain(outside).min()
    }
}

fn after(from: Timestamp, by: Duration) -> Timestamp {
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
