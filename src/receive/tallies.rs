use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// How many requests were answered how, since the start.
#[derive(Debug, Default)]
pub struct Tallies {
    kept: AtomicU64,
    refused: AtomicU64,
    put_off: AtomicU64,
}

impl Tallies {
    /// Answered 200: on disk.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Answered 4xx: not stored, and not to be sent again like this.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Answered 503: perhaps not stored, and wanted again.
    pub fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, status: StatusCode) {
        let tally = match status {
            _ if status.is_success() => &self.kept,
            _ if status.is_server_error() => &self.put_off,
            _ => &self.refused,
        };
        tally.fetch_add(1, Ordering::Relaxed);
    }
}
