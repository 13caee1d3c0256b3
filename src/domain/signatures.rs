use std::time::Duration;

use jiff::Timestamp;

/// So many refusals in a row, with nothing verified between, are no stray call any more.
const ENOUGH: u32 = 3;

/// While it goes on, it is told again after this time.
const AGAIN: Duration = Duration::from_hours(24);

/// Signatures that were refused in a row, of one shop in one mode and format.
///
/// Kept in memory: a restart counts anew, and three more calls tell the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RefusedSignatures {
    count: u32,
    since: Option<Timestamp>,
    told_at: Option<Timestamp>,
}

impl RefusedSignatures {
    /// How many in a row.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// One more was refused. Returns how many in a row, and since when, if that is to be told now.
    pub fn refused(&mut self, now: Timestamp) -> Option<(u32, Timestamp)> {
        self.count = self.count.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let is_due = self.count >= ENOUGH && self.told_at.is_none_or(|told_at| now >= told_at + AGAIN);
        is_due.then(|| {
            self.told_at = Some(now);
            (self.count, since)
        })
    }

    /// A signature was right. Returns how many were refused before, and since when, if that was told.
    pub fn verified(&mut self) -> Option<(u32, Timestamp)> {
        let Self { count, since, told_at } = std::mem::take(self);
        told_at.and(since).map(|since| (count, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
    }

    #[test]
    fn third_refusal_in_a_row_is_told_and_then_one_a_day() {
        let mut run = RefusedSignatures::default();
        let told: Vec<_> = (0..60).filter_map(|at| Some((at, run.refused(hour(at))?))).collect();
        assert_eq!(told, [(2, (3, hour(0))), (26, (27, hour(0))), (50, (51, hour(0)))]);
    }

    #[test]
    fn right_signature_between_shows_that_the_key_is_right() {
        let mut run = RefusedSignatures::default();
        for at in 0..100 {
            assert_eq!(run.refused(hour(at)), None);
            if at % 2 == 1 {
                assert_eq!(run.verified(), None, "what was not told is not told to be over");
            }
        }
    }

    #[test]
    fn what_was_told_is_told_to_be_over_once() {
        let mut run = RefusedSignatures::default();
        assert!((0..5).any(|at| run.refused(hour(at)).is_some()));
        run.refused(hour(4));
        run.refused(hour(4));
        assert_eq!(run.verified(), Some((5, hour(0))));
        assert_eq!(run.verified(), None);
        assert_eq!(run.refused(hour(9)), None, "counted anew");
    }
}
