use serde::{Deserialize, Serialize};

/// There is room enough while so many times the reserve is free: a warning comes days before the end, not minutes.
const ENOUGH: u64 = 4;

/// How much room the store's disk has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskRoom {
    Enough,
    /// Nothing new is accepted.
    Full,
    /// It will soon be full.
    Low,
}

impl DiskRoom {
    /// What it is now, after it was told to be `self`: a quarter more must be free for it to be better again, so that a
    /// file that comes and goes does not make an e-mail each time.
    pub fn now(self, free: u64, reserve: u64) -> Self {
        let is_below = |limit: u64, since_before: bool| free < if since_before { limit + limit / 4 } else { limit };
        if is_below(reserve, self == Self::Full) {
            Self::Full
        } else if is_below(reserve.saturating_mul(ENOUGH), self != Self::Enough) {
            Self::Low
        } else {
            Self::Enough
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RESERVE: u64 = 256;

    #[test]
    fn disk_that_fills_is_told_early_and_again_when_nothing_is_accepted() {
        let mut told = DiskRoom::Enough;
        let mut said = Vec::new();
        for free in [
            9_000, 1_024, 1_023, 700, 256, 255, 0, 256, 319, 320, 1_024, 1_279, 1_280, 1_024, 1_023,
        ] {
            let now = told.now(free, RESERVE);
            if now != told {
                said.push((free, now));
                told = now;
            }
        }
        assert_eq!(
            said,
            [
                (1_023, DiskRoom::Low),
                (255, DiskRoom::Full),
                (320, DiskRoom::Low),
                (1_280, DiskRoom::Enough),
                (1_023, DiskRoom::Low),
            ]
        );
    }

    proptest! {
        #[test]
        fn full_disk_is_never_called_anything_else(told in 0..3_usize, free in any::<u64>(), reserve in 1..u64::MAX / 8) {
            let told = [DiskRoom::Enough, DiskRoom::Low, DiskRoom::Full][told];
            let now = told.now(free, reserve);
            prop_assert!(free >= reserve || now == DiskRoom::Full);
            prop_assert_eq!(now.now(free, reserve), now, "the same room is told once");
        }
    }
}
