use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// How many times a stored notification has changed.
    changes: u64,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    pub(super) fn find(&self, id: i64) -> Option<Arc<StoredNotification>> {
        self.lock().entries.get(&id).cloned()
    }

    /// Keeps one that was just committed.
    pub(super) fn put(&self, id: i64, notification: Arc<StoredNotification>) {
        self.lock().put(id, notification, self.limit);
    }

    /// To be noted before a notification is read from the store.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Keeps one that was read, unless a change of any was committed meanwhile: it may be the one from before.
    pub(super) fn put_read(&self, id: i64, notification: Arc<StoredNotification>, as_of: u64) {
        let mut state = self.lock();
        if state.changes == as_of {
            state.put(id, notification, self.limit);
        }
    }

    /// These have changed in the store.
    pub(super) fn forget(&self, ids: &[i64]) {
        let mut state = self.lock();
        state.changes += 1;
        for id in ids {
            // Its bytes count until its turn comes to leave.
            state.entries.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, id: i64, notification: Arc<StoredNotification>, limit: usize) {
        // The rendered event and the row's small columns are about 1 KiB more.
        let bytes = notification.body.len() + notification.headers.len() + 1024;
        if self.entries.insert(id, notification).is_some() {
            return;
        }
        self.order.push_back((id, bytes));
        self.bytes += bytes;
        while self.bytes > limit {
            let Some((oldest, bytes)) = self.order.pop_front() else {
                break;
            };
            self.entries.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}
