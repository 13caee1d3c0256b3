use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::StoredNotification;

/// Stored notifications that were used last, up to a number of bytes: every destination of one reads it here.
#[derive(Debug)]
pub(super) struct Cache {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<i64, Arc<StoredNotification>>,
    /// In the order they came.
    order: VecDeque<(i64, usize)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    pub(super) fn find(&self, id: i64) -> Option<Arc<StoredNotification>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .get(&id)
            .cloned()
    }

    pub(super) fn put(&self, id: i64, notification: Arc<StoredNotification>) {
        // The rendered event and the row's small columns are about 1 KiB more.
        let bytes = notification.body.len() + notification.headers.len() + 1024;
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        if state.entries.insert(id, notification).is_some() {
            return;
        }
        state.order.push_back((id, bytes));
        state.bytes += bytes;
        while state.bytes > self.limit {
            let Some((oldest, bytes)) = state.order.pop_front() else {
                break;
            };
            state.entries.remove(&oldest);
            state.bytes -= bytes;
        }
    }
}
