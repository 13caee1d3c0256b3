//! The schedule against a model of the store: any order of acceptance, attempt, success, failure, delay, crash, change
//! of the configuration, parking, and of what operators ask for: pause, resume, cancel, replay, release.
//!
//! What holds in every run: a lane has one attempt at a time, of its oldest open delivery; no more attempts at once
//! than allowed; none while paused, and none of what has ended; and once the shop answers, everything that was accepted
//! and not cancelled arrives, each lane in its order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::tests::owned;
use super::*;
use crate::domain::{Kind, NotificationId};

#[derive(Clone, Copy, Debug)]
struct Row {
    lane: Lane,
    open: bool,
    /// It was cancelled; if it was being attempted, it may arrive all the same.
    cancelled: bool,
    /// Another row repeats it.
    replayed: bool,
    attempts: u32,
    counted: u32,
    due: Option<Timestamp>,
    tried: Option<Timestamp>,
    since: Timestamp,
}

/// An answer that is on its way to the schedule.
#[derive(Debug)]
enum Answer {
    Old(Vec<Old>),
    Due(Vec<(Lane, Timestamp)>, usize),
    Heads(Vec<(Lane, Option<Head>)>),
    Page(Page),
}

struct World {
    rng: Rng,
    limits: Limits,
    lanes: i64,
    /// How often the inbox has room, of 256.
    handed_over: u8,
    now: Timestamp,
    /// `seq` is the place, counted from 1.
    rows: Vec<Row>,
    schedule: Schedule,
    /// What the writer has told and the schedule has not heard yet, in the order of the commits.
    news: VecDeque<News>,
    answers: Vec<Answer>,
    running: Vec<Job>,
    /// Ended attempts whose records wait for their commit.
    unrecorded: VecDeque<(Job, Ended, Timestamp)>,
    /// Rows that wait for the commit that gives them up.
    given_up: VecDeque<Vec<Named>>,
    dead: usize,
    delivered: Vec<i64>,
    paused: bool,
    policy: RetryPolicy,
}

/// Small, so that every bound is met; others in every run.
fn limits(rng: &mut Rng) -> Limits {
    Limits {
        concurrency: rng.usize(1..4),
        rate: [None, Some(0.5), Some(100.0)][rng.usize(..3)],
        runnable: rng.usize(1..6),
        lanes: rng.usize(3..9),
        page: rng.usize(1..5),
        unrecorded: rng.usize(1..6),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut rng = Rng::with_seed(seed);
        let limits = limits(&mut rng);
        let give_up_after = Duration::from_secs([3_000, 1_000_000_000][rng.usize(..2)]);
        Self {
            lanes: rng.i64(1..30),
            handed_over: [255, 255, 230, 100][rng.usize(..4)],
            limits,
            rng,
            now,
            rows: Vec::new(),
            schedule: Schedule::new(limits, &owned(0, 0), now),
            news: VecDeque::new(),
            answers: Vec::new(),
            running: Vec::new(),
            unrecorded: VecDeque::new(),
            given_up: VecDeque::new(),
            dead: 0,
            delivered: Vec::new(),
            paused: false,
            policy: RetryPolicy {
                give_up_after,
                ..RetryPolicy::default()
            },
        }
    }

    fn head(&self, lane: Lane) -> Option<Head> {
        let (at, row) = self
            .rows
            .iter()
            .enumerate()
            .find(|(_, row)| row.open && row.lane == lane)?;
        Some(Head {
            seq: i64::try_from(at).unwrap() + 1,
            lane,
            notification: 0,
            since: row.since,
            attempts: row.attempts,
            counted: row.counted,
            due: row.due,
            tried: row.tried,
            replays: 0,
            renewed: 0,
        })
    }

    fn accept(&mut self) {
        let lane = Lane(self.rng.i64(0..self.lanes));
        let seq = self.add(lane);
        // Now and then the inbox is full, and only `last` tells of it.
        if self.rng.u8(..) <= self.handed_over {
            self.news.push_back(News::HandedOver(Named {
                seq,
                lane,
                notification: 0,
                since: Timestamp::UNIX_EPOCH,
                charge: self.rng.bool(),
            }));
        }
    }

    /// A new row, which is its number.
    fn add(&mut self, lane: Lane) -> i64 {
        self.rows.push(Row {
            lane,
            open: true,
            cancelled: false,
            replayed: false,
            attempts: 0,
            counted: 0,
            due: None,
            tried: None,
            since: self.now,
        });
        i64::try_from(self.rows.len()).unwrap()
    }

    /// What an operator asks for.
    fn operate(&mut self) {
        match self.rng.u32(..6) {
            0 => self.pause(),
            1 => self.resume(),
            2 => self.cancel(),
            3 => self.replay(),
            4 => self.release(),
            _ => self.reconfigure(),
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        self.news.push_back(News::Paused);
    }

    fn resume(&mut self) {
        self.paused = false;
        self.news.push_back(News::Resumed { give_up_from: self.now });
    }

    fn cancel(&mut self) {
        let mut rows = Vec::new();
        for (seq, row) in (1..).zip(&mut self.rows).filter(|(_, row)| row.open) {
            if self.rng.u8(..) < 30 {
                row.open = false;
                row.cancelled = true;
                rows.push(Gone {
                    seq,
                    lane: row.lane,
                    failed: row.due.take().is_some(),
                });
            }
        }
        self.news.push_back(News::Cancelled { rows });
    }

    /// New rows at the end of their lanes, of which only `last` tells.
    fn replay(&mut self) {
        for at in 0..self.rows.len() {
            let row = &mut self.rows[at];
            if !row.open && !row.replayed && self.rng.u8(..) < 20 {
                row.replayed = true;
                let lane = row.lane;
                self.add(lane);
            }
        }
    }

    /// From quarantine: rows of which only `last` tells.
    fn release(&mut self) {
        for _ in 0..self.rng.usize(..4) {
            let lane = Lane(self.rng.i64(0..self.lanes));
            self.add(lane);
        }
    }

    fn reconfigure(&mut self) {
        self.limits = limits(&mut self.rng);
        self.schedule.reconfigure(self.limits, self.now);
    }

    /// Nobody serves the destination for a while.
    fn park(&mut self) {
        while !self.running.is_empty() {
            let succeeds = self.rng.bool();
            self.end(succeeds);
        }
        while !self.unrecorded.is_empty() || !self.given_up.is_empty() {
            self.record();
        }
        for _ in 0..self.rng.usize(..5) {
            self.accept();
        }
        self.pass(1_000);
        self.start_anew();
    }

    fn hear(&mut self) {
        for news in std::mem::take(&mut self.news) {
            self.schedule.news(&news, self.now);
        }
        self.schedule.committed(i64::try_from(self.rows.len()).unwrap());
    }

    /// A slot looks what is to be done; returns whether there was something.
    fn turn(&mut self) -> bool {
        self.hear();
        self.assert_drained_if_it_says_so();
        match self.schedule.next(self.now) {
            Step::Ask(Question::Due { limit }) => {
                let mut due: Vec<_> = self
                    .rows
                    .iter()
                    .filter(|r| r.open)
                    .filter_map(|r| Some((r.lane, r.due?)))
                    .collect();
                due.sort_by_key(|(_, at)| *at);
                due.truncate(limit);
                self.answers.push(Answer::Due(due, limit));
            }
            Step::Ask(Question::Heads(lanes)) => {
                let heads = lanes.into_iter().map(|lane| (lane, self.head(lane))).collect();
                self.answers.push(Answer::Heads(heads));
            }
            Step::Ask(Question::Old { limit }) => {
                let old = (1..)
                    .zip(&self.rows)
                    .filter(|(_, row)| row.open && self.expires(row))
                    .take(limit);
                let named = |(seq, row): (i64, &Row)| Old {
                    named: Named {
                        seq,
                        lane: row.lane,
                        notification: 0,
                        since: row.since,
                        charge: false,
                    },
                    notification: NotificationId::new(row.since),
                    matter: Kind::TokenCreated.into(),
                };
                self.answers.push(Answer::Old(old.map(named).collect()));
            }
            Step::Ask(Question::Page { after, limit }) => {
                let rows: Vec<_> = (1..)
                    .zip(&self.rows)
                    .filter(|(seq, row)| *seq > after && row.open)
                    .take(limit)
                    .map(|(seq, row)| Named {
                        seq,
                        lane: row.lane,
                        notification: 0,
                        since: Timestamp::UNIX_EPOCH,
                        charge: false,
                    })
                    .collect();
                let full = rows.len() == limit;
                self.answers.push(Answer::Page(Page {
                    rows,
                    last: i64::try_from(self.rows.len()).unwrap(),
                    full,
                }));
            }
            Step::Attempt(job) => {
                assert!(!self.paused, "an attempt while paused");
                assert!(
                    self.running.len() < self.limits.concurrency,
                    "more attempts at once than allowed"
                );
                assert!(
                    self.running.iter().all(|other| other.head.lane != job.head.lane),
                    "a lane has two attempts"
                );
                let oldest = self.head(job.head.lane).expect("an attempt of what has ended");
                assert_eq!(
                    oldest.seq, job.head.seq,
                    "an attempt of what is not the oldest of its lane"
                );
                assert!(
                    self.unrecorded
                        .iter()
                        .all(|(other, ..)| other.head.lane != job.head.lane),
                    "an attempt before the lane's last one is recorded"
                );
                self.running.push(job);
            }
            Step::Wait(_) => return false,
        }
        true
    }

    fn answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let chosen = self.rng.usize(..self.answers.len());
        // What was committed before the question was asked may be heard before or after the answer.
        match self.answers.swap_remove(chosen) {
            Answer::Old(old) => {
                self.schedule.old(&old);
                if !old.is_empty() {
                    self.given_up.push_back(old.into_iter().map(|old| old.named).collect());
                }
            }
            Answer::Due(due, limit) => self.schedule.due(&due, limit, self.now),
            Answer::Heads(heads) => self.schedule.heads(&heads, self.now),
            Answer::Page(page) => self.schedule.page(&page),
        }
    }

    fn end(&mut self, succeeds: bool) {
        if self.running.is_empty() {
            return;
        }
        let job = self.running.swap_remove(self.rng.usize(..self.running.len()));
        let ended = if succeeds {
            self.schedule.succeeded(job, self.now)
        } else {
            self.schedule
                .failed(job, &self.policy, Timestamp::UNIX_EPOCH, None, self.now, 0.0)
        };
        self.unrecorded.push_back((job, ended, self.now));
    }

    fn expires(&self, row: &Row) -> bool {
        row.since
            .saturating_add(self.policy.give_up_after)
            .is_ok_and(|end| end <= self.now)
    }

    fn record(&mut self) {
        if self.rng.bool()
            && let Some(rows) = self.given_up.pop_front()
        {
            let mut gone = Vec::new();
            for named in &rows {
                let row = &mut self.rows[usize::try_from(named.seq).unwrap() - 1];
                // It may have been cancelled since it was asked for.
                if std::mem::take(&mut row.open) {
                    self.dead += 1;
                    gone.push(Gone {
                        seq: named.seq,
                        lane: named.lane,
                        failed: row.due.take().is_some(),
                    });
                }
            }
            self.news.push_back(News::GaveUp { rows: gone });
        }
        let Some((job, ended, at)) = self.unrecorded.pop_front() else {
            return;
        };
        let row = &mut self.rows[usize::try_from(job.head.seq).unwrap() - 1];
        row.attempts += 1;
        row.counted = ended.counted;
        row.tried = Some(at);
        match ended.next {
            Next::Delivered => {
                row.open = false;
                row.cancelled = false;
                row.due = None;
                self.delivered.push(job.head.seq);
            }
            // What has ended meanwhile stays ended.
            _ if !row.open => {}
            Next::Due(due) => row.due = Some(due),
            Next::DeadLetter => {
                row.open = false;
                row.due = None;
                self.dead += 1;
            }
        }
        let next = self.head(job.head.lane);
        self.news.push_back(News::Recorded {
            seq: job.head.seq,
            lane: job.head.lane,
            next,
        });
    }

    /// Everything in memory is gone; what was not recorded will be attempted again.
    fn crash(&mut self) {
        self.running.clear();
        self.unrecorded.clear();
        self.given_up.clear();
        self.start_anew();
    }

    /// From what the store knows.
    fn start_anew(&mut self) {
        self.news.clear();
        self.answers.clear();
        let last = i64::try_from(self.rows.len()).unwrap();
        let read = (1..)
            .zip(&self.rows)
            .find(|(_, row)| row.open)
            .map_or(last, |(seq, _)| seq - 1);
        let failing = self.rows.iter().filter(|row| row.open && row.due.is_some()).count();
        let owned = Owned {
            down_since: self.schedule.down_since(),
            failing: u64::try_from(failing).unwrap(),
            paused: self.paused,
            ..owned(read, last)
        };
        self.schedule = Schedule::new(self.limits, &owned, self.now);
    }

    fn pass(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
    }

    /// The shop answers from now on, and nothing new comes.
    fn settle(&mut self) {
        self.resume();
        for _ in 0..20_000 {
            loop {
                while !self.running.is_empty() {
                    self.end(true);
                }
                while !self.unrecorded.is_empty() || !self.given_up.is_empty() {
                    self.record();
                }
                while !self.answers.is_empty() {
                    self.answer();
                }
                if !self.turn() && self.given_up.is_empty() {
                    break;
                }
            }
            self.pass(60);
            if self.rows.iter().all(|row| !row.open) {
                self.hear();
                assert_eq!(self.schedule.failing, 0, "an incident would never end");
                let is_down = self.schedule.down_since().is_some();
                assert!(is_down || self.schedule.is_drained(), "an incident would never end");
                return;
            }
        }
        let lost: Vec<_> = (1..).zip(&self.rows).filter(|(_, row)| row.open).collect();
        panic!("never attempted again: {lost:?}\n{:?}", self.schedule);
    }

    /// It does not say so while anything waits of what waited during the trouble.
    fn assert_drained_if_it_says_so(&self) {
        if self.schedule.is_drained() {
            let waits = (1..).zip(&self.rows).find(|(_, row)| row.open);
            assert!(
                waits.is_none_or(|(seq, _)| seq > self.schedule.troubled),
                "{waits:?} still waits"
            );
        }
    }

    fn assert_order(&self) {
        let mut newest = HashMap::new();
        for seq in &self.delivered {
            let lane = self.rows[usize::try_from(*seq).unwrap() - 1].lane;
            let before = newest.insert(lane, *seq).unwrap_or(0);
            assert!(before < *seq, "{seq} arrived after {before} in {lane:?}");
        }
        let cancelled = self.rows.iter().filter(|row| row.cancelled).count();
        assert_eq!(
            self.delivered.len() + self.dead + cancelled,
            self.rows.len(),
            "something arrived twice, or never"
        );
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    // How the shop behaves in this run, and how busy everybody is.
    let failures = [0, 10, 60, 128, 200][world.rng.usize(..5)];
    let weights: [u32; 6] = std::array::from_fn(|_| [1, 4, 12][world.rng.usize(..3)]);
    let crashes = [0, 1, 10][world.rng.usize(..3)];
    let (parkings, verbs) = ([0, 1, 5][world.rng.usize(..3)], [0, 5, 100][world.rng.usize(..3)]);
    let pauses = [1, 1, 31, 400][world.rng.usize(..4)];
    for _ in 0..3_000 {
        if world.rng.u32(..1_000) < crashes {
            world.crash();
        }
        if world.rng.u32(..1_000) < parkings {
            world.park();
        }
        if world.rng.u32(..1_000) < verbs {
            world.operate();
        }
        let mut choice = world.rng.u32(..weights.iter().sum::<u32>());
        let act = weights.iter().position(|weight| {
            let found = choice < *weight;
            choice = choice.saturating_sub(*weight);
            found
        });
        match act.expect("below the sum of the weights") {
            0 if world.rows.iter().filter(|row| row.open).count() < 60 => world.accept(),
            0 | 1 => {
                world.turn();
            }
            2 => world.answer(),
            3 => {
                let succeeds = world.rng.u8(..) >= failures;
                world.end(succeeds);
            }
            4 => world.record(),
            _ => world.pass(pauses),
        }
    }
    world.settle();
    world.assert_order();
}

/// Runs of other seeds each time; `IPN_ROUTER_SIMULATIONS` makes it a longer soak.
const RUNS: u64 = 700;

#[test]
fn nothing_is_lost_or_overtaken_in_any_run() {
    let runs = std::env::var("IPN_ROUTER_SIMULATIONS").map_or(RUNS, |runs| runs.parse().unwrap());
    let first: u64 = fastrand::u64(..);
    for seed in (0..300).chain((0..runs).map(|n| first.wrapping_add(n))) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
