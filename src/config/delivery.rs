//! The keys of delivery that a legal entity and a shop may have; the shop wins (design.md 4).

use std::num::NonZeroUsize;
use std::time::Duration;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::reader::{Table, Value};
use super::values::{count, duration, duration_within, flag, list, rate, word};
use crate::deliver::Timeouts;
use crate::domain::RetryPolicy;

/// What is said about delivery at one level; `None` leaves it to the level above.
#[derive(Clone, Debug, Default)]
pub(super) struct DeliveryKeys {
    automatic_retry: Option<bool>,
    retry_delays: Option<Vec<Duration>>,
    give_up_after: Option<Duration>,
    concurrency: Option<NonZeroUsize>,
    rate: Option<f64>,
    timeouts: TimeoutKeys,
    tells_attempts: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct TimeoutKeys {
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    whole: Option<Duration>,
}

impl DeliveryKeys {
    pub(super) fn take(table: &mut Table<'_>, problems: &mut Problems) -> Self {
        let each = table.optional(
            "failure_emails_on",
            problems,
            word(&[("incident", false), ("every-attempt", true)]),
        );
        Self {
            automatic_retry: table.optional("automatic_retry", problems, flag).value(),
            retry_delays: table.optional("retry_delays", problems, growing).value(),
            give_up_after: table.optional("give_up_after", problems, give_up_after).value(),
            concurrency: table.optional("concurrency", problems, count(1000)).value(),
            rate: table.optional("rate", problems, rate).value(),
            timeouts: table
                .optional("timeouts", problems, timeouts)
                .or(TimeoutKeys::default()),
            tells_attempts: each.value(),
        }
    }

    /// When a delivery of a shop is tried again.
    pub(super) fn retry(&self, shop: &Self) -> RetryPolicy {
        let default = RetryPolicy::default();
        RetryPolicy {
            automatic: shop
                .automatic_retry
                .or(self.automatic_retry)
                .unwrap_or(default.automatic),
            delays: shop
                .retry_delays
                .clone()
                .or_else(|| self.retry_delays.clone())
                .unwrap_or(default.delays),
            give_up_after: shop
                .give_up_after
                .or(self.give_up_after)
                .unwrap_or(default.give_up_after),
        }
    }

    /// Attempts at once.
    pub(super) fn concurrency(&self, shop: &Self) -> NonZeroUsize {
        const DEFAULT: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
        shop.concurrency.or(self.concurrency).unwrap_or(DEFAULT)
    }

    /// Attempts a second.
    pub(super) fn rate(&self, shop: &Self) -> Option<f64> {
        shop.rate.or(self.rate)
    }

    /// Whether each failed attempt is an e-mail.
    pub(super) fn tells_attempts(&self, shop: &Self) -> bool {
        shop.tells_attempts.or(self.tells_attempts).unwrap_or(false)
    }

    /// How long an attempt may take.
    pub(super) fn timeouts(&self, shop: &Self) -> Timeouts {
        let (ours, default) = (&self.timeouts, Timeouts::default());
        let shop = &shop.timeouts;
        Timeouts {
            connect: shop.connect.or(ours.connect).unwrap_or(default.connect),
            first_byte: shop.first_byte.or(ours.first_byte).unwrap_or(default.first_byte),
            whole: shop.whole.or(ours.whole).unwrap_or(default.whole),
        }
    }
}

/// Bodies that wait, parked or for a replay, are kept for so long (design.md 4).
const BODIES_WAIT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

fn give_up_after(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let why = "what waits is kept for 90 days; after that there is nothing left to deliver";
    duration_within(BODIES_WAIT, "90d", why)(value, problems)
}

fn growing(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<Duration>> {
    let delays = list(duration)(value, problems)?;
    if delays.is_sorted_by(|a, b| a < b) {
        return Some(delays);
    }
    problems.push(
        Problem::new(
            codes::DELAYS_DO_NOT_GROW,
            &value.spot,
            format!("`{}` must grow from one to the next", value.key),
        )
        .why("a shop in trouble needs more time after each failure, not less")
        .instead("[\"30s\", \"5m\", \"15m\", \"1h\"]"),
    );
    None
}

fn timeouts(value: &Value<'_>, problems: &mut Problems) -> Option<TimeoutKeys> {
    let Some(mut table) = value.table() else {
        let problem = value.wrong_type("a table in braces");
        problems.push(problem.instead("{ connect = \"5s\", first_byte = \"30s\", whole = \"35s\" }"));
        return None;
    };
    let keys = TimeoutKeys {
        connect: table.optional("connect", problems, duration).value(),
        first_byte: table.optional("first_byte", problems, duration).value(),
        whole: table.optional("whole", problems, duration).value(),
    };
    table.refuse_the_rest(problems);
    Some(keys)
}
