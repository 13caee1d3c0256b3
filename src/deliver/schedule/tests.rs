//! Corners of the schedule that random runs meet too seldom, or do not look at: its memory, and who watches the clock.

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
