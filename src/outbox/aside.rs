//! What is known beside the rows: the ends of the shops' certificates, and what could not be stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Lost, Trouble};

/// So many refused notifications are remembered one by one while the store does not work; more are counted.
const REMEMBERED: usize = 1_000;

/// What is refused in the same moment is told together.
const GATHER: SignedDuration = SignedDuration::from_secs(10);

/// Notifications that were answered 503, until the store can note them: it is the store that fails.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<Option<Refused>>);

#[derive(Debug)]
struct Refused {
    first_at: Timestamp,
    last_at: Timestamp,
    lost: Vec<Lost>,
    more: u64,
    unread: u64,
}

impl Losses {
    /// One of which this is known; returns whether it is the first that is to be noted.
    pub(super) fn lost(&self, lost: Lost) -> bool {
        self.add(lost.at, |refused| {
            if refused.lost.len() < REMEMBERED {
                refused.lost.push(lost);
            } else {
                refused.more += 1;
            }
        })
    }

    /// One that was put off unread.
    pub(super) fn unread(&self, at: Timestamp) -> bool {
        self.add(at, |refused| refused.unread += 1)
    }

    fn add(&self, at: Timestamp, add: impl FnOnce(&mut Refused)) -> bool {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = refused.is_none();
        let refused = refused.get_or_insert(Refused {
            first_at: at,
            last_at: at,
            lost: Vec::new(),
            more: 0,
            unread: 0,
        });
        refused.last_at = refused.last_at.max(at);
        add(refused);
        is_first
    }

    /// When it is to be noted.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().map(|refused| refused.first_at + GATHER)
    }

    /// All of it; it is remembered no more.
    pub(super) fn take(&self) -> Option<Trouble> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let Refused {
            first_at,
            last_at,
            lost,
            more,
            unread,
        } = refused;
        Some(Trouble::NotStored {
            first_at,
            last_at,
            lost,
            more,
            unread,
        })
    }

    /// What could not be noted is remembered again, with what came meanwhile.
    pub(super) fn put_back(&self, trouble: Trouble) {
        let Trouble::NotStored {
            first_at,
            lost,
            more,
            unread,
            last_at,
        } = trouble
        else {
            return;
        };
        for lost in lost {
            self.lost(lost);
        }
        self.add(last_at, |refused| {
            refused.first_at = refused.first_at.min(first_at);
            refused.more += more;
            refused.unread += unread;
        });
    }
}

/// Until when the certificates are valid that shops have shown, by host.
#[derive(Debug, Default)]
pub(super) struct Certificates(Mutex<BTreeMap<String, Timestamp>>);

impl Certificates {
    pub(super) fn saw(&self, host: &str, until: Timestamp) {
        let mut certificates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if certificates.get(host) != Some(&until) {
            certificates.insert(host.to_owned(), until);
        }
    }

    pub(super) fn all(&self) -> Vec<(String, Timestamp)> {
        let certificates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        certificates
            .iter()
            .map(|(host, until)| (host.clone(), *until))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Format, Kind, Mode};

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn lost(s: i64) -> Lost {
        Lost {
            at: at(s),
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            format: Format::Form,
            kind: Kind::TokenUpdated,
            transaction: None,
            order: None,
            date: None,
            token: None,
        }
    }

    fn numbers(trouble: Option<Trouble>) -> Option<(Timestamp, Timestamp, usize, u64, u64)> {
        match trouble? {
            Trouble::NotStored {
                first_at,
                last_at,
                lost,
                more,
                unread,
            } => Some((first_at, last_at, lost.len(), more, unread)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_is_remembered_up_to_the_bound_and_then_counted() {
        let losses = Losses::default();
        assert_eq!((losses.due(), losses.take()), (None, None));
        assert!(losses.lost(lost(1)), "somebody is to be woken for the first");
        for s in 2..1_501 {
            assert!(!losses.lost(lost(s)));
        }
        losses.unread(at(1_600));
        assert_eq!(losses.due(), Some(at(11)));
        assert_eq!(numbers(losses.take()), Some((at(1), at(1_600), 1_000, 500, 1)));
        assert_eq!(losses.take(), None);
    }

    #[test]
    fn what_could_not_be_noted_is_kept_with_what_came_since() {
        let losses = Losses::default();
        losses.lost(lost(1));
        losses.unread(at(2));
        let taken = losses.take().unwrap();
        losses.lost(lost(3));
        losses.put_back(taken);
        assert_eq!(numbers(losses.take()), Some((at(1), at(3), 2, 0, 1)));
    }
}
