use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Inbox;

/// So many deliveries may be on their way to shops that take them, before an acknowledgement waits.
const BEHIND: usize = 1_000;
/// It never waits longer.
const PATIENCE: Duration = Duration::from_millis(100);
/// A destination counts only if it took something within this time.
const RECENT: Duration = Duration::from_secs(1);

/// Makes accepting wait for delivering, where that helps: in a flood accepting outruns delivering on the same cores,
/// and then memory and the time to delivery grow without end.
///
/// What counts is only what this process is behind with: new deliveries handed over to destinations that take them.
/// Backlog, retries, replays, and destinations that are down, paused, slow to answer or at their rate limit never make
/// the gateway wait.
#[derive(Debug, Default)]
pub(super) struct Room {
    destinations: Mutex<Vec<Weak<Inbox>>>,
    emptier: Arc<Notify>,
}

/// How far behind one destination is, as its owner reports it.
#[derive(Debug)]
pub(super) struct Gauge {
    started: Instant,
    behind: AtomicUsize,
    /// Milliseconds after `started`; -1: never.
    succeeded: AtomicI64,
    /// Of the room that counts it.
    emptier: OnceLock<Arc<Notify>>,
}

impl Room {
    /// Counts this inbox as long as it lives.
    pub(super) fn add(&self, inbox: &Arc<Inbox>) {
        inbox.gauge().emptier.get_or_init(|| Arc::clone(&self.emptier));
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        destinations.retain(|inbox| inbox.strong_count() > 0);
        destinations.push(Arc::downgrade(inbox));
    }

    /// Waits until there is room, but not for long.
    pub(super) async fn wait(&self) {
        let patience = Instant::now() + PATIENCE;
        while self.behind() > BEHIND {
            let emptier = self.emptier.notified();
            if tokio::time::timeout_at(patience, emptier).await.is_err() {
                return;
            }
        }
    }

    fn behind(&self) -> usize {
        let destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        destinations
            .iter()
            .filter_map(Weak::upgrade)
            .map(|inbox| inbox.gauge().behind())
            .sum()
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            behind: AtomicUsize::new(0),
            succeeded: AtomicI64::new(-1),
            emptier: OnceLock::new(),
        }
    }
}

impl Gauge {
    /// The owner has so many new deliveries queued; 0 if they are not to count.
    pub(super) fn set(&self, behind: usize) {
        if self.behind.swap(behind, Ordering::Relaxed) > behind
            && let Some(emptier) = self.emptier.get()
        {
            emptier.notify_waiters();
        }
    }

    /// The destination has taken a delivery.
    pub(super) fn succeeded(&self) {
        self.succeeded.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }

    fn behind(&self) -> usize {
        let succeeded = self.succeeded.load(Ordering::Relaxed);
        let recently = succeeded >= 0 && millis(self.started.elapsed()) - succeeded < millis(RECENT);
        if recently {
            self.behind.load(Ordering::Relaxed)
        } else {
            0
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind_with(room: &Room, count: usize) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::default());
        room.add(&inbox);
        inbox.gauge().succeeded();
        inbox.gauge().set(count);
        inbox
    }

    async fn waited(room: &Room) -> Duration {
        let start = Instant::now();
        room.wait().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_only_while_healthy_destinations_are_behind_and_never_long() {
        let room = Room::default();
        assert_eq!(waited(&room).await, Duration::ZERO);
        let first = behind_with(&room, 600);
        assert_eq!(waited(&room).await, Duration::ZERO);
        let _second = behind_with(&room, 600);
        assert_eq!(waited(&room).await, PATIENCE);
        first.gauge().set(400);
        assert_eq!(waited(&room).await, Duration::ZERO);
        first.gauge().set(900);
        drop(first);
        assert_eq!(waited(&room).await, Duration::ZERO, "its owner is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn destination_that_takes_nothing_keeps_nobody_waiting() {
        let room = Room::default();
        let _hangs = behind_with(&room, 5_000);
        assert_eq!(waited(&room).await, PATIENCE);
        tokio::time::advance(RECENT).await;
        assert_eq!(waited(&room).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_as_soon_as_there_is_room() {
        let room = Arc::new(Room::default());
        let inbox = behind_with(&room, 2_000);
        let waiting = tokio::spawn({
            let room = Arc::clone(&room);
            async move { waited(&room).await }
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        inbox.gauge().set(1_500);
        tokio::time::sleep(Duration::from_millis(10)).await;
        inbox.gauge().set(1_000);
        assert_eq!(waiting.await.unwrap(), Duration::from_millis(40));
    }
}
