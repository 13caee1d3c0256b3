use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// So many times an hour, in all.
#[derive(Debug)]
pub(super) struct Hourly {
    bound: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Timestamp>,
    taken: u32,
}

impl Hourly {
    pub(super) fn new(bound: u32) -> Self {
        Self {
            bound,
            state: Mutex::default(),
        }
    }

    /// Takes one, if one is left of the hour that began with the first that was taken.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |since| now.duration_since(since) >= SignedDuration::from_hours(1);
        if state.since.is_none_or(over) {
            *state = State {
                since: Some(now),
                taken: 0,
            };
        }
        let left = state.taken < self.bound;
        if left {
            state.taken += 1;
        }
        left
    }

    /// Puts back one that was taken for nothing.
    pub(super) fn put_back(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.taken = state.taken.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_for_an_hour_and_then_anew() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let hourly = Hourly::new(2);
        let taken = [0, 10, 20, 59, 60, 61, 62].map(|minute| hourly.take(at(minute)));
        assert_eq!(taken, [true, true, false, false, true, true, false]);
        hourly.put_back();
        assert!(hourly.take(at(63)) && !hourly.take(at(64)));
    }
}
