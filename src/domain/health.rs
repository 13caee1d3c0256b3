use std::time::Duration;

use jiff::Timestamp;

use super::{Lane, RetryPolicy};

/// So many failed attempts in a row take a destination down …
const FAILURES: u32 = 10;
/// … if first attempts of so many lanes are among them: one poisonous delivery alone does not.
const LANES: usize = 3;
/// While a destination is down it is tried so often.
pub const PROBE_EVERY: Duration = Duration::from_secs(60);

/// Whether a destination takes deliveries, as far as this process has seen: up or down.
///
/// This is the one place that knows the five sentences of design.md 8:
///
/// 1. A failed delivery is tried again after each of `retry_delays`; its lane waits, other lanes go on.
/// 2. Ten failures in a row, first attempts of three lanes among them, take the destination down; so does a
///    delivery's last retry if nothing has succeeded since its previous attempt. The failure that takes it down, and
///    any that ends after the up-period it began in, does not count.
/// 3. While it is down, one probe a minute is sent; probes do not count.
/// 4. One success and it is up; what waits goes out with a ramp.
/// 5. A last retry that fails while others succeed makes a dead letter. `give_up_after` does so too: while down
///    without another attempt, while up at a failed one.
///
/// Without `automatic_retry` a failure is a dead letter, unless it takes the destination down; so is a failed probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    down_since: Option<Timestamp>,
    /// Counts the changes between up and down: an attempt that ends in another period than it began in is stale.
    period: u64,
    failures_in_a_row: u32,
    /// Lanes whose first attempts are among them.
    fresh_lanes: Vec<Lane>,
    /// Since this process started; not knowing counts as none.
    last_success: Option<Timestamp>,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub lane: Lane,
    /// Whether it was the delivery's first.
    pub first: bool,
    /// The delivery's failures so far that counted.
    pub counted: u32,
    /// [`Health::period`] when the attempt began.
    pub began_in: u64,
    /// When the delivery's previous attempt ended.
    pub previous: Option<Timestamp>,
    /// `give_up_after` counts from here.
    pub since: Timestamp,
    /// The shop's `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// No more attempts; kept for an operator to replay.
    DeadLetter,
    /// Again at this time; `counted` is the new count.
    Retry { at: Timestamp, counted: u32 },
}

impl Health {
    /// A destination that is thought to be up, or known to be down since then.
    pub fn new(down_since: Option<Timestamp>) -> Self {
        Self {
            down_since,
            period: 0,
            failures_in_a_row: 0,
            fresh_lanes: Vec::new(),
            last_success: None,
        }
    }

    /// Since when it is down, if it is.
    pub fn down_since(&self) -> Option<Timestamp> {
        self.down_since
    }

    /// To be remembered when an attempt begins.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// Takes note of a success; returns whether the destination was down until now.
    pub fn succeeded(&mut self, now: Timestamp) -> bool {
        self.last_success = Some(now);
        self.failures_in_a_row = 0;
        self.fresh_lanes.clear();
        let was_down = self.down_since.take().is_some();
        self.period += u64::from(was_down);
        was_down
    }

    /// Takes note of a failure and decides what becomes of the delivery.
    ///
    /// `stretch` in 0..1 spreads retries that would fall together, by up to a tenth of the delay.
    pub fn failed(&mut self, policy: &RetryPolicy, failure: &Failure, now: Timestamp, stretch: f64) -> Decision {
        let old = failure
            .since
            .saturating_add(policy.give_up_after)
            .is_ok_and(|end| end <= now);
        let is_probe = self.down_since.is_some() && failure.began_in == self.period;
        if is_probe || failure.began_in != self.period {
            return if old || (is_probe && !policy.automatic) {
                Decision::DeadLetter
            } else {
                uncounted(policy, failure, now, stretch)
            };
        }
        self.failures_in_a_row += 1;
        if failure.first && self.fresh_lanes.len() < LANES && !self.fresh_lanes.contains(&failure.lane) {
            self.fresh_lanes.push(failure.lane);
        }
        if self.failures_in_a_row >= FAILURES && self.fresh_lanes.len() >= LANES {
            self.go_down(now);
            return uncounted(policy, failure, now, stretch);
        }
        if old || !policy.automatic {
            return Decision::DeadLetter;
        }
        let counted = failure.counted + 1;
        match policy.delays.get(failure.counted as usize) {
            Some(delay) => Decision::Retry {
                at: later(now, *delay, failure.retry_after, stretch),
                counted,
            },
            None if self.succeeded_since(failure.previous) => Decision::DeadLetter,
            None => {
                self.go_down(now);
                uncounted(policy, failure, now, stretch)
            }
        }
    }

    fn succeeded_since(&self, previous: Option<Timestamp>) -> bool {
        self.last_success
            .is_some_and(|success| previous.is_none_or(|previous| success > previous))
    }

    fn go_down(&mut self, now: Timestamp) {
        self.down_since = Some(now);
        self.period += 1;
        self.failures_in_a_row = 0;
        self.fresh_lanes.clear();
    }
}

/// Soon, for the delivery is not at fault: once the destination is up again it does not wait for long.
fn uncounted(policy: &RetryPolicy, failure: &Failure, now: Timestamp, stretch: f64) -> Decision {
    let delay = policy
        .delays
        .first()
        .map_or(PROBE_EVERY, |first| PROBE_EVERY.min(*first));
    Decision::Retry {
        at: later(now, delay, failure.retry_after, stretch),
        counted: failure.counted,
    }
}

fn later(now: Timestamp, delay: Duration, at_least: Option<Duration>, stretch: f64) -> Timestamp {
    let spread = delay.mul_f64(1.0 + stretch.clamp(0.0, 1.0) / 10.0);
    now.saturating_add(at_least.map_or(spread, |asked| asked.max(spread)))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn failure(lane: i64, counted: u32, health: &Health) -> Failure {
        Failure {
            lane: Lane(lane),
            first: counted == 0,
            counted,
            began_in: health.period(),
            previous: None,
            since: at(0),
            retry_after: None,
        }
    }

    fn retry(seconds: i64, counted: u32) -> Decision {
        Decision::Retry {
            at: at(seconds),
            counted,
        }
    }

    #[test]
    fn four_retries_with_growing_delays_then_down_if_nothing_else_succeeds() {
        let (policy, mut health) = (RetryPolicy::default(), Health::new(None));
        let mut now = 0;
        let mut failure = failure(1, 0, &health);
        for (counted, delay) in [(1, 30), (2, 300), (3, 900), (4, 3600)] {
            assert_eq!(
                health.failed(&policy, &failure, at(now), 0.0),
                retry(now + delay, counted)
            );
            failure = Failure {
                first: false,
                counted,
                previous: Some(at(now)),
                ..failure
            };
            now += delay;
        }
        // The fifth attempt has failed, and nothing has succeeded: the destination is at fault.
        assert_eq!(health.failed(&policy, &failure, at(now), 0.0), retry(now + 30, 4));
        assert_eq!(health.down_since(), Some(at(now)));
    }

    #[test]
    fn last_retry_that_fails_while_others_succeed_is_a_dead_letter() {
        let (policy, mut health) = (RetryPolicy::default(), Health::new(None));
        health.succeeded(at(100));
        let failure = Failure {
            previous: Some(at(50)),
            ..failure(1, 4, &health)
        };
        assert_eq!(health.failed(&policy, &failure, at(200), 0.0), Decision::DeadLetter);
        assert_eq!(health.down_since(), None);
        // A success before the previous attempt says nothing.
        let failure = Failure {
            previous: Some(at(150)),
            ..failure
        };
        assert_eq!(health.failed(&policy, &failure, at(200), 0.0), retry(230, 4));
        assert_eq!(health.down_since(), Some(at(200)));
    }

    #[test]
    fn ten_failures_in_a_row_take_it_down_only_with_fresh_ones_of_three_lanes() {
        let policy = RetryPolicy::default();
        let mut poison = Health::new(None);
        for n in 0..30 {
            let failure = failure(n % 2, u32::from(n > 1), &poison);
            poison.failed(&policy, &failure, at(0), 0.0);
        }
        assert_eq!(poison.down_since(), None, "two lanes alone are poison");
        let mut health = Health::new(None);
        for n in 0..9 {
            assert_eq!(
                health.failed(&policy, &failure(n, 0, &health), at(0), 0.0),
                retry(30, 1)
            );
        }
        assert_eq!(health.down_since(), None);
        assert_eq!(
            health.failed(&policy, &failure(9, 0, &health), at(1), 0.0),
            retry(31, 0),
            "does not count"
        );
        assert_eq!(health.down_since(), Some(at(1)));
    }

    #[test]
    fn success_ends_a_row() {
        let (policy, mut health) = (RetryPolicy::default(), Health::new(None));
        for n in 0..100 {
            health.failed(&policy, &failure(n, 0, &health), at(0), 0.0);
            if n % 9 == 8 {
                assert!(!health.succeeded(at(0)));
            }
        }
        assert_eq!(health.down_since(), None);
    }

    #[test]
    fn probes_and_stale_failures_do_not_count() {
        let policy = RetryPolicy::default();
        let mut health = Health::new(Some(at(0)));
        assert_eq!(
            health.failed(&policy, &failure(1, 2, &health), at(60), 0.0),
            retry(90, 2)
        );
        let began_while_down = failure(1, 2, &health);
        assert!(health.succeeded(at(61)), "one success and it is up");
        assert_eq!(health.failed(&policy, &began_while_down, at(62), 0.0), retry(92, 2));
        assert_eq!(
            health.failed(&policy, &failure(1, 2, &health), at(63), 0.0),
            retry(63 + 900, 3)
        );
    }

    #[test]
    fn age_makes_a_dead_letter_at_a_failed_attempt() {
        let (policy, mut health) = (RetryPolicy::default(), Health::new(None));
        let old = 72 * 3600;
        assert_eq!(
            health.failed(&policy, &failure(1, 0, &health), at(old - 1), 0.0),
            retry(old + 29, 1)
        );
        assert_eq!(
            health.failed(&policy, &failure(1, 0, &health), at(old), 0.0),
            Decision::DeadLetter
        );
        let mut down = Health::new(Some(at(0)));
        assert_eq!(
            down.failed(&policy, &failure(1, 0, &down), at(old), 0.0),
            Decision::DeadLetter
        );
    }

    #[test]
    fn without_automatic_retry_a_failure_is_a_dead_letter_unless_it_takes_it_down() {
        let policy = RetryPolicy {
            automatic: false,
            ..RetryPolicy::default()
        };
        let mut health = Health::new(None);
        for n in 0..9 {
            assert_eq!(
                health.failed(&policy, &failure(n, 0, &health), at(0), 0.0),
                Decision::DeadLetter
            );
        }
        assert_eq!(
            health.failed(&policy, &failure(9, 0, &health), at(0), 0.0),
            retry(30, 0)
        );
        assert_eq!(health.down_since(), Some(at(0)));
        assert_eq!(
            health.failed(&policy, &failure(9, 0, &health), at(60), 0.0),
            Decision::DeadLetter,
            "a probe"
        );
    }

    #[test]
    fn retry_after_is_a_minimum_and_jitter_only_adds() {
        let (policy, mut health) = (RetryPolicy::default(), Health::new(None));
        let asked = |seconds| Failure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..failure(1, 0, &Health::new(None))
        };
        assert_eq!(health.failed(&policy, &asked(10), at(0), 0.0), retry(30, 1));
        assert_eq!(health.failed(&policy, &asked(600), at(0), 0.0), retry(600, 1));
        assert_eq!(
            health.failed(&policy, &failure(1, 0, &health), at(0), 1.0),
            retry(33, 1)
        );
    }
}
