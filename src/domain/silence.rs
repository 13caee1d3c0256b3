use std::time::Duration;

use jiff::Timestamp;

use super::{LegalEntityId, Mode};

/// Of one silence the operators are told at most so often.
const AGAIN: Duration = Duration::from_hours(24);

/// How often the gateway is expected to call for a company (`expect_every`), in the mode that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expectation {
    pub legal_entity: LegalEntityId,
    pub mode: Mode,
    pub every: Duration,
}

/// What is remembered of the gateway's calls for one company in one mode.
///
/// All of it is kept in the store: a restart neither begins the time anew nor tells twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hearing {
    /// The newest notification that verified, also one seen before.
    pub last_heard: Option<Timestamp>,
    /// Since when calls are expected: what was before that is nobody's fault. `None`: they are not.
    pub expected_since: Option<Timestamp>,
    /// When the operators were last told of the silence that lasts. `None`: it does not, or they were not.
    pub told_at: Option<Timestamp>,
}

/// Whether a silence is to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SilenceDue {
    /// Not before this time, unless something is heard.
    At(Timestamp),
    /// Now: it began at this time.
    Now { since: Timestamp },
}

impl Hearing {
    /// The gateway has called. Returns when the silence began that this ends, if it was told.
    pub fn heard(&mut self, at: Timestamp) -> Option<Timestamp> {
        let told = self.told_at.take().and(self.silent_since());
        self.last_heard = self.last_heard.max(Some(at));
        told
    }

    /// From now on calls are expected, or not any more; nothing happens if that was so before.
    pub fn expect(&mut self, is_expected: bool, now: Timestamp) {
        if !is_expected {
            (self.expected_since, self.told_at) = (None, None);
        } else if self.expected_since.is_none() {
            self.expected_since = Some(now);
        }
    }

    /// Whether the silence is to be told, if calls are expected; that it is told now is remembered.
    pub fn tell(&mut self, every: Duration, now: Timestamp) -> Option<SilenceDue> {
        let since = self.silent_since()?;
        let due = match self.told_at {
            Some(told_at) => told_at + every.max(AGAIN),
            None => since + every,
        };
        if due > now {
            return Some(SilenceDue::At(due));
        }
        self.told_at = Some(now);
        Some(SilenceDue::Now { since })
    }

    fn silent_since(&self) -> Option<Timestamp> {
        self.expected_since
            .map(|since| self.last_heard.map_or(since, |heard| heard.max(since)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const WEEK: Duration = Duration::from_hours(7 * 24);

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(1_792_245_720 + hour * 3_600).unwrap()
    }

    fn expected_at(start: i64) -> Hearing {
        let mut hearing = Hearing::default();
        hearing.expect(true, hour(start));
        hearing
    }

    #[test]
    fn silence_is_told_once_its_time_is_over_and_then_each_time_again() {
        let mut hearing = expected_at(0);
        hearing.heard(hour(5));
        let due = SilenceDue::At(hour(5) + WEEK);
        assert_eq!(hearing.tell(WEEK, hour(6)), Some(due));
        assert_eq!(hearing.tell(WEEK, hour(5 + 7 * 24 - 1)), Some(due));
        let told = SilenceDue::Now { since: hour(5) };
        assert_eq!(hearing.tell(WEEK, hour(5 + 7 * 24)), Some(told));
        assert_eq!(
            hearing.tell(WEEK, hour(6 + 7 * 24)),
            Some(SilenceDue::At(hour(5 + 14 * 24)))
        );
        assert_eq!(hearing.tell(WEEK, hour(5 + 14 * 24)), Some(told), "of the same silence");
    }

    #[test]
    fn short_times_are_told_again_only_the_next_day() {
        let mut hearing = expected_at(0);
        assert_eq!(hearing.tell(HOUR, hour(1)), Some(SilenceDue::Now { since: hour(0) }));
        assert_eq!(hearing.tell(HOUR, hour(2)), Some(SilenceDue::At(hour(25))));
    }

    #[test]
    fn first_notification_that_never_comes_is_missed_from_when_it_was_expected() {
        let mut hearing = expected_at(3);
        // Every start and reload says it again.
        hearing.expect(true, hour(100));
        assert_eq!(
            hearing.tell(WEEK, hour(3 + 7 * 24)),
            Some(SilenceDue::Now { since: hour(3) })
        );
    }

    #[test]
    fn what_was_not_heard_before_it_was_expected_is_not_missed() {
        let mut hearing = Hearing::default();
        hearing.heard(hour(0));
        assert_eq!(hearing.tell(HOUR, hour(1_000)), None);
        hearing.expect(true, hour(1_000));
        assert_eq!(
            hearing.tell(WEEK, hour(1_000)),
            Some(SilenceDue::At(hour(1_000) + WEEK))
        );
    }

    #[test]
    fn only_a_silence_that_was_told_is_told_to_be_over_and_once() {
        let mut hearing = expected_at(0);
        assert_eq!(hearing.heard(hour(1)), None);
        hearing.tell(HOUR, hour(9));
        assert_eq!(hearing.heard(hour(10)), Some(hour(1)));
        assert_eq!(hearing.heard(hour(11)), None);
        assert_eq!(hearing.tell(HOUR, hour(11)), Some(SilenceDue::At(hour(12))));
    }

    #[test]
    fn nobody_is_told_once_nothing_is_expected_any_more() {
        let mut hearing = expected_at(0);
        hearing.tell(HOUR, hour(1));
        hearing.expect(false, hour(2));
        assert_eq!(hearing.heard(hour(3)), None);
        assert_eq!(hearing.tell(HOUR, hour(1_000)), None);
    }

    proptest! {
        /// Whatever happens in whatever order: nobody is told too early, and each end follows a silence that was told.
        #[test]
        fn told_silences_lasted_long_enough(
            steps in proptest::collection::vec((0..4_u8, 0..40_i64), 1..200),
            every in 1..60_i64,
        ) {
            let every = Duration::from_hours(every.unsigned_abs());
            let (mut hearing, mut now) = (expected_at(0), 0);
            let (mut last_heard, mut told) = (hour(0), None::<Timestamp>);
            for (step, later) in steps {
                now += later;
                match step {
                    0 => {
                        prop_assert_eq!(hearing.heard(hour(now)).is_some(), told.is_some());
                        (last_heard, told) = (hour(now), None);
                    }
                    1 => hearing.expect(true, hour(now)),
                    _ => match hearing.tell(every, hour(now)).unwrap() {
                        SilenceDue::At(at) => prop_assert!(at > hour(now)),
                        SilenceDue::Now { since } => {
                            prop_assert_eq!(since, last_heard);
                            prop_assert!(hour(now) >= since + every);
                            prop_assert!(told.is_none_or(|told| hour(now) >= told + AGAIN));
                            told = Some(hour(now));
                        }
                    },
                }
            }
        }
    }
}
