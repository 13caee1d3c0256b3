//! Corners of the schedule that random runs meet too seldom, or do not look at: its memory, and who watches the clock.

use std::collections::HashMap;

use super::*;
use crate::outbox::Lease;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn limits() -> Limits {
    Limits {
        concurrency: 2,
        rate: None,
        runnable: 3,
        lanes: 3,
        page: 2,
        unrecorded: 10,
    }
}

fn schedule(limits: Limits, last: i64) -> Schedule {
    Schedule::new(limits, &owned(0, last), at(0))
}

/// What an owner starts from that has read so far.
pub(super) fn owned(read: i64, last: i64) -> Owned {
    Owned {
        lease: Lease {
            destination: 1,
            epoch: 1,
        },
        read,
        last,
        paused: false,
        give_up_from: Timestamp::UNIX_EPOCH,
        down_since: None,
        incident: None,
        failing: 0,
    }
}

fn handed_over(seq: i64, lane: i64) -> News {
    News::HandedOver(Named {
        seq,
        lane: Lane(lane),
        notification: seq,
        since: at(0),
        charge: false,
    })
}

/// A head as the store gives it.
fn head(seq: i64, lane: i64, due: Option<Timestamp>) -> Head {
    Head {
        seq,
        lane: Lane(lane),
        notification: seq,
        since: at(0),
        attempts: u32::from(due.is_some()),
        counted: u32::from(due.is_some()),
        due,
        tried: due.map(|_| at(0)),
        replays: 0,
        renewed: 0,
    }
}

fn attempt(schedule: &mut Schedule, now: Timestamp) -> Job {
    match schedule.next(now) {
        Step::Attempt(job) => job,
        other => panic!("{other:?}"),
    }
}

/// The attempt fails, is recorded, and the lane waits for `due`.
fn fails(schedule: &mut Schedule, job: Job, due: Timestamp) {
    let policy = RetryPolicy::default();
    schedule.failed(job, &policy, Timestamp::UNIX_EPOCH, None, at(0), 0.0);
    let next = Some(head(job.head.seq, job.head.lane.0, Some(due)));
    let recorded = News::Recorded {
        seq: job.head.seq,
        lane: job.head.lane,
        next,
    };
    schedule.news(&recorded, at(0));
}

#[test]
fn what_is_handed_over_while_nothing_leaves_does_not_fill_the_memory() {
    let bounds = Limits { lanes: 6, ..limits() };
    for down_since in [None, Some(at(0))] {
        let mut schedule = Schedule::new(
            bounds,
            &Owned {
                down_since,
                ..owned(0, 0)
            },
            at(0),
        );
        for n in 1..1_000 {
            schedule.news(&handed_over(n, n), at(0));
        }
        assert!(
            schedule.lanes.len() <= bounds.lanes,
            "{} lanes in memory, down since {down_since:?}",
            schedule.lanes.len()
        );
        assert!(schedule.read < schedule.last, "the rest is left to be read");
    }
}

#[test]
fn another_slot_watches_the_clock_while_the_rate_holds_back_what_is_queued() {
    let mut schedule = schedule(
        Limits {
            rate: Some(1.0),
            lanes: 9,
            ..limits()
        },
        0,
    );
    schedule.news(&handed_over(1, 1), at(0));
    schedule.news(&handed_over(2, 2), at(0));
    attempt(&mut schedule, at(0));
    assert!(schedule.has_more(at(0)), "the first attempt may hang");
    assert_eq!(schedule.next(at(0)), Step::Wait(Some(at(1))));
    assert_eq!(attempt(&mut schedule, at(1)).head.seq, 2);
}

#[test]
fn another_slot_watches_the_clock_while_a_retry_waits() {
    let mut schedule = schedule(Limits { lanes: 9, ..limits() }, 0);
    schedule.news(&handed_over(1, 1), at(0));
    let job = attempt(&mut schedule, at(0));
    fails(&mut schedule, job, at(30));
    schedule.news(&handed_over(2, 2), at(1));
    attempt(&mut schedule, at(1));
    assert!(schedule.has_more(at(1)), "the second attempt may hang");
    assert_eq!(schedule.next(at(1)), Step::Wait(Some(at(30))));
}

#[test]
fn lane_that_leaves_memory_while_the_store_is_asked_is_not_forgotten() {
    let mut schedule = schedule(limits(), 0);
    schedule.news(&handed_over(1, 1), at(0));
    let job = attempt(&mut schedule, at(0));
    // Another lane is outside, and due: the store is asked, and knows nothing of the first lane's failure yet.
    schedule.outside = Some(at(0));
    let Step::Ask(Question::Due { limit }) = schedule.next(at(0)) else {
        panic!("a lane is due");
    };
    fails(&mut schedule, job, at(300));
    // Two more lanes come in from the store: one too many, and the one that is due last leaves.
    for (seq, lane) in [(2, 2), (3, 3)] {
        schedule.open(Lane(lane), Queue::Stored);
        schedule.opened(
            Lane(lane),
            Some(head(seq, lane, Some(at(30)))),
            Queue::Stored,
            false,
            at(0),
        );
    }
    assert!(!schedule.lanes.contains_key(&Lane(1)));
    schedule.due(&[(Lane(2), at(30)), (Lane(3), at(30))], limit, at(0));
    assert_eq!(schedule.outside, Some(at(300)), "it will be asked for");
}

#[test]
fn nobody_waits_for_a_time_that_has_passed() {
    let mut schedule = schedule(limits(), 0);
    for lane in [1, 2] {
        schedule.open(Lane(lane), Queue::Stored);
        schedule.opened(
            Lane(lane),
            Some(head(lane, lane, Some(at(300)))),
            Queue::Stored,
            false,
            at(0),
        );
    }
    schedule.to_open.clear();
    schedule.news(&handed_over(1, 3), at(0));
    attempt(&mut schedule, at(0));
    // A lane outside is due, and there is no room for it.
    schedule.outside = Some(at(10));
    assert_eq!(schedule.next(at(20)), Step::Wait(Some(at(300))));
}

/// What the store has: the open deliveries of each lane.
struct Rows {
    lanes: HashMap<Lane, VecDeque<i64>>,
    /// By seq, from 1; `None`: ended.
    all: Vec<Option<Lane>>,
}

impl Rows {
    /// So many deliveries, one after the other of so many lanes.
    fn waiting(count: i64, lanes: i64) -> Self {
        let mut rows = Self {
            lanes: HashMap::new(),
            all: Vec::new(),
        };
        for n in 0..count {
            rows.add(Lane(n % lanes));
        }
        rows
    }

    fn add(&mut self, lane: Lane) -> i64 {
        self.all.push(Some(lane));
        let seq = i64::try_from(self.all.len()).unwrap();
        self.lanes.entry(lane).or_default().push_back(seq);
        seq
    }

    fn head(&self, lane: Lane) -> Option<Head> {
        self.lanes[&lane].front().map(|seq| head(*seq, lane.0, None))
    }

    /// Answers questions and takes every attempt well until there is nothing to do at this time; returns the seqs.
    fn serve(&mut self, schedule: &mut Schedule, now: Timestamp) -> Vec<i64> {
        let mut taken = Vec::new();
        loop {
            match schedule.next(now) {
                Step::Ask(Question::Page { after, limit }) => {
                    let open = (1..)
                        .zip(&self.all)
                        .filter(|(seq, lane)| *seq > after && lane.is_some());
                    let named = |(seq, lane): (i64, &Option<Lane>)| Named {
                        seq,
                        lane: lane.unwrap(),
                        notification: seq,
                        since: at(0),
                        charge: false,
                    };
                    let rows: Vec<_> = open.take(limit).map(named).collect();
                    let last = i64::try_from(self.all.len()).unwrap();
                    schedule.page(&Page {
                        full: rows.len() == limit,
                        rows,
                        last,
                    });
                }
                Step::Ask(Question::Heads(lanes)) => {
                    let heads: Vec<_> = lanes.into_iter().map(|lane| (lane, self.head(lane))).collect();
                    schedule.heads(&heads, now);
                }
                Step::Attempt(job) => {
                    let Head { seq, lane, .. } = job.head;
                    schedule.succeeded(job, now);
                    self.all[usize::try_from(seq).unwrap() - 1] = None;
                    self.lanes.get_mut(&lane).unwrap().pop_front();
                    let next = self.head(lane);
                    schedule.news(&News::Recorded { seq, lane, next }, now);
                    taken.push(seq);
                }
                _ => return taken,
            }
        }
    }
}

#[test]
fn new_lanes_do_not_wait_behind_the_backlog_of_a_shop_that_is_back() {
    let (waiting, lanes) = (100_000, 20_000);
    let mut rows = Rows::waiting(waiting, lanes);
    let mut schedule = schedule(Limits::new(8, Some(100.0)), waiting);
    let mut accepted = HashMap::new();
    let mut slowest = Duration::ZERO;
    // 40 s at 100 a second: each fifth of a second a lane that was never seen.
    for tick in 0..4_000 {
        let now = after(at(0), Duration::from_millis(10) * tick);
        if tick % 20 == 0 && tick < 3_800 {
            let lane = Lane(i64::from(1_000_000 + tick));
            let seq = rows.add(lane);
            accepted.insert(seq, now);
            schedule.news(&handed_over(seq, lane.0), now);
        }
        for seq in rows.serve(&mut schedule, now) {
            if let Some(since) = accepted.remove(&seq) {
                slowest = slowest.max(Duration::try_from(now.duration_since(since)).unwrap());
            }
        }
        assert_eq!(schedule.behind(now), 0, "the gateway is not to wait for the backlog");
    }
    assert!(accepted.is_empty(), "{} of 190 have not arrived", accepted.len());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn what_came_while_it_was_down_or_paused_is_backlog_when_it_is_back() {
    let down = Owned {
        down_since: Some(at(0)),
        ..owned(0, 0)
    };
    let paused = Owned {
        paused: true,
        ..owned(0, 0)
    };
    for from in [down, paused] {
        let mut rows = Rows::waiting(20_000, 20_000);
        let mut schedule = Schedule::new(Limits::new(8, Some(1.0)), &from, at(0));
        for seq in 1..=20_000 {
            schedule.news(&handed_over(seq, seq - 1), at(0));
        }
        schedule.next(at(0));
        schedule.old(&[]);
        schedule.news(&News::Resumed { give_up_from: at(0) }, at(0));
        assert!(!rows.serve(&mut schedule, at(1)).is_empty());
        assert_eq!((schedule.down_since(), schedule.behind(at(60))), (None, 0));
        let seq = rows.add(Lane(77_777));
        schedule.news(&handed_over(seq, 77_777), at(60));
        let soon: Vec<_> = (60..66)
            .flat_map(|second| rows.serve(&mut schedule, at(second)))
            .collect();
        assert!(soon.contains(&seq), "{soon:?}");
    }
}

#[test]
fn what_was_new_when_it_goes_down_is_backlog() {
    let mut schedule = schedule(Limits::new(1, None), 0);
    for seq in 1..=50 {
        schedule.news(&handed_over(seq, seq), at(0));
    }
    assert_eq!(schedule.behind(at(0)), 50);
    for _ in 0..10 {
        let job = attempt(&mut schedule, at(0));
        fails(&mut schedule, job, at(30));
    }
    assert_eq!(schedule.down_since(), Some(at(0)));
    assert_eq!((schedule.new.len(), schedule.stored.len()), (0, 40));
}

#[test]
fn giving_up_that_could_not_be_written_is_not_tried_again_at_once() {
    let down = Owned {
        down_since: Some(at(0)),
        ..owned(0, 1)
    };
    let mut schedule = Schedule::new(limits(), &down, at(0));
    let old = Old {
        named: Named {
            seq: 1,
            lane: Lane(1),
            notification: 1,
            since: at(0),
            charge: false,
        },
        notification: crate::domain::NotificationId::new(at(0)),
        matter: crate::domain::Kind::TokenCreated.into(),
    };
    assert!(matches!(schedule.next(at(0)), Step::Ask(Question::Old { .. })));
    schedule.old(&[old]);
    schedule.news(&News::GaveUp { rows: Vec::new() }, at(0));
    assert!(!matches!(schedule.next(at(1)), Step::Ask(Question::Old { .. })));
}

#[test]
fn clock_that_is_set_back_makes_nobody_wait_for_longer() {
    let mut schedule = schedule(Limits::new(1, Some(1.0)), 0);
    schedule.news(&handed_over(1, 1), at(86_400));
    let job = attempt(&mut schedule, at(86_400));
    fails(&mut schedule, job, at(86_430));
    assert_eq!(schedule.next(at(86_401)), Step::Wait(Some(at(86_430))));
    assert_eq!(
        schedule.next(at(0)),
        Step::Wait(Some(at(1))),
        "its time is not known any more, the rate counts"
    );
    assert_eq!(attempt(&mut schedule, at(1)).head.seq, 1);
}

#[test]
fn charge_goes_before_what_else_is_new_and_what_comes_after_it_does_not() {
    let mut schedule = schedule(Limits::new(1, None), 0);
    for (seq, charge) in [(1, false), (2, false), (3, true), (4, false)] {
        let News::HandedOver(named) = handed_over(seq, seq) else {
            unreachable!("it is one");
        };
        schedule.news(&News::HandedOver(Named { charge, ..named }), at(0));
    }
    let mut taken = Vec::new();
    for _ in 0..5 {
        let job = attempt(&mut schedule, at(0));
        let Head { seq, lane, .. } = job.head;
        taken.push(seq);
        schedule.succeeded(job, at(0));
        // Another delivery of the charge's token, without a charge, came meanwhile.
        let next = (seq == 3).then(|| head(5, lane.0, None));
        schedule.news(&News::Recorded { seq, lane, next }, at(0));
    }
    assert_eq!(taken, [3, 1, 2, 4, 5]);
}
