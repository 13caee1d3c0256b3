use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use super::room::Gauge;
use super::{AttemptRecord, Gone, Head, Named, OutboxError, Owned};
use crate::domain::Lane;

/// New deliveries that are held for an owner; more are left to be read from the store.
const HELD: usize = 1_000;

/// What the writer tells the owner of a destination, in the order of the commits.
#[derive(Debug)]
pub enum News {
    /// These deliveries were cancelled by an operator; one that is being attempted right now ends as it ends.
    Cancelled { rows: Vec<Gone> },
    /// A delivery was committed.
    HandedOver(Named),
    /// An operator has paused the destination.
    Paused,
    /// An attempt was recorded; `next` is the lane's oldest open delivery as of that commit.
    Recorded { seq: i64, lane: Lane, next: Option<Head> },
    /// These deliveries were given up without an attempt; none, if that could not be written.
    GaveUp { rows: Vec<Gone> },
    /// It was not: the owner must give it again.
    Refused {
        record: Box<AttemptRecord>,
        why: OutboxError,
    },
    /// An operator lets the destination go on; `give_up_after` counts from here at the earliest.
    Resumed { give_up_from: Timestamp },
    /// The end of the incident could not be written.
    StillOpen,
}

/// Where the writer leaves the news of one destination.
///
/// Hand-overs may be left out when too many wait: the owner sees from `last` that there is more to read.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    wake: Notify,
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct State {
    news: VecDeque<News>,
    handed_over: usize,
    last: i64,
    paused: bool,
    down: bool,
    /// By seq: who waits for the end of a delivery's first attempt.
    awaited: HashMap<i64, oneshot::Sender<()>>,
}

impl Inbox {
    /// How many new deliveries the owner has queued that are only waiting for us; 0 if the destination is down, or at
    /// its rate limit. While they are many, acknowledgements wait a little.
    pub fn behind_with(&self, count: usize) {
        self.gauge.set(count);
    }

    /// The destination has taken a delivery.
    pub fn succeeded(&self) {
        self.gauge.succeeded();
    }

    pub(super) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// All news since the last call, and the highest seq committed.
    pub fn take(&self) -> (VecDeque<News>, i64) {
        let mut state = self.lock();
        state.handed_over = 0;
        (std::mem::take(&mut state.news), state.last)
    }

    /// Waits until there may be news; also woken by [`Inbox::wake`].
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Lets one waiter look again.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// `first_attempt` is told when that has ended; dropped, if it is not to be expected soon.
    pub(super) fn hand_over(&self, named: Named, first_attempt: Option<oneshot::Sender<()>>) {
        let mut state = self.lock();
        state.last = named.seq;
        if let Some(first_attempt) = first_attempt.filter(|_| !state.paused && !state.down) {
            // Who has waited for long enough has left.
            state.awaited.retain(|_, waits| !waits.is_closed());
            state.awaited.insert(named.seq, first_attempt);
        }
        if state.handed_over < HELD {
            state.handed_over += 1;
            state.news.push_back(News::HandedOver(named));
        }
    }

    /// There is more to read: rows that are never handed over, such as replays.
    pub(super) fn added(&self, last: i64) {
        let mut state = self.lock();
        state.last = state.last.max(last);
    }

    pub(super) fn tell(&self, news: News) {
        let mut state = self.lock();
        match news {
            News::Paused => {
                state.paused = true;
                state.awaited.clear();
            }
            News::Resumed { .. } => state.paused = false,
            _ => {}
        }
        state.news.push_back(news);
    }

    /// An attempt was not recorded.
    pub(super) fn refuse(&self, record: AttemptRecord, why: OutboxError) {
        self.tell(News::Refused {
            record: Box::new(record),
            why,
        });
        self.wake();
    }

    /// An owner begins with this.
    pub(super) fn begin(&self, owned: &Owned) {
        let mut state = self.lock();
        state.paused = owned.paused;
        state.down = owned.down_since.is_some();
    }

    /// An attempt has ended; that it is recorded comes later.
    pub(super) fn attempted(&self, record: &AttemptRecord) {
        let mut state = self.lock();
        state.down = record.down_since.is_some();
        if state.down {
            // Their attempts are not to be expected soon.
            state.awaited.retain(|seq, _| *seq == record.seq);
        }
        if let Some(waits) = state.awaited.remove(&record.seq) {
            // Who has waited for long enough has left.
            waits.send(()).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
