use std::collections::BTreeMap;

use super::writer::{AfterCommit, Ledger};
use crate::outbox::{Gone, News};

/// What is to be told of a change once it is committed.
#[derive(Default)]
pub(super) struct Told {
    /// The highest seq of each destination that got deliveries.
    added: BTreeMap<i64, i64>,
    /// To the owners of these destinations.
    news: Vec<(i64, News)>,
    /// Notifications that are not what they were.
    changed: Vec<i64>,
}

impl Told {
    /// A destination has got a delivery that is not handed over.
    pub(super) fn added(&mut self, destination: i64, seq: i64) {
        self.added.insert(destination, seq);
    }

    /// Deliveries of a destination have ended without an attempt.
    pub(super) fn cancelled(&mut self, destination: i64, rows: Vec<Gone>) {
        self.news(destination, News::Cancelled { rows });
    }

    /// A stored notification is not what it was.
    pub(super) fn changed(&mut self, notification: i64) {
        self.changed.push(notification);
    }

    pub(super) fn news(&mut self, destination: i64, news: News) {
        self.news.push((destination, news));
    }

    /// New deliveries are not handed over: the owner sees that there is more to read.
    pub(super) fn after_commit(self, ledger: &Ledger) -> AfterCommit {
        let inbox = |destination| ledger.owners.get(&destination).map(|owner| owner.inbox.clone());
        let added: Vec<_> = self
            .added
            .into_iter()
            .filter_map(|(destination, last)| Some((inbox(destination)?, last)))
            .collect();
        let news: Vec<_> = self
            .news
            .into_iter()
            .filter_map(|(destination, news)| Some((inbox(destination)?, news)))
            .collect();
        let (cache, changed) = (ledger.cache.clone(), self.changed);
        Box::new(move || {
            cache.forget(&changed);
            for (inbox, last) in added {
                inbox.added(last);
                inbox.wake();
            }
            for (inbox, news) in news {
                inbox.tell(news);
                inbox.wake();
            }
        })
    }
}
