use std::collections::HashSet;
use std::hash::Hash;
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
        if state.since.is_none_or(|since| is_over(since, now)) {
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

/// Each thing once an hour, and so many things in all.
#[derive(Debug)]
pub(super) struct OnceAnHour<T> {
    bound: usize,
    state: Mutex<Seen<T>>,
}

#[derive(Debug)]
struct Seen<T> {
    since: Option<Timestamp>,
    things: HashSet<T>,
}

impl<T: Eq + Hash> OnceAnHour<T> {
    pub(super) fn new(bound: usize) -> Self {
        let seen = Seen {
            since: None,
            things: HashSet::new(),
        };
        Self {
            bound,
            state: Mutex::new(seen),
        }
    }

    /// Whether this is the first time in the hour that began with the first thing seen.
    pub(super) fn is_new(&self, thing: T, now: Timestamp) -> bool {
        let mut seen = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.since.is_none_or(|since| is_over(since, now)) {
            seen.since = Some(now);
            seen.things.clear();
        }
        seen.things.len() < self.bound && seen.things.insert(thing)
    }
}

fn is_over(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) >= SignedDuration::from_hours(1)
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

    #[test]
    fn each_thing_is_new_once_an_hour_and_few_are() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let shops = OnceAnHour::new(2);
        let told = [
            ("a", 0),
            ("a", 1),
            ("b", 2),
            ("c", 3),
            ("c", 60),
            ("a", 61),
            ("a", 62),
            ("b", 63),
        ];
        let new = told.map(|(shop, minute)| shops.is_new(shop, at(minute)));
        assert_eq!(new, [true, false, true, false, true, true, false, false]);
    }
}
