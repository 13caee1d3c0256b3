use std::time::Duration;

/// When a failed delivery is tried again (design.md 8, sentences 1 and 5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    /// `automatic_retry`.
    pub automatic: bool,
    /// `retry_delays`: before the second, third, … attempt; they grow.
    pub delays: Vec<Duration>,
    /// `give_up_after`.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            automatic: true,
            delays: [30, 5 * 60, 15 * 60, 60 * 60].map(Duration::from_secs).to_vec(),
            give_up_after: Duration::from_secs(72 * 60 * 60),
        }
    }
}
