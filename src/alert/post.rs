//! E-mail rows to the mail server: a few at a time, apart from those who write them.
//!
//! At most one e-mail of an address is in hand, so that a thread stays in order and an address that makes the server
//! slow takes up one session only. What the server has taken is recorded before anything else of that address is sent;
//! if the store fails just then, it is remembered here and recorded later, not sent again.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::mailer::{before_its_end, retry_at};
use super::{AFTER_FAILURE, Control, SendError, until};
use crate::domain::Clock;
use crate::outbox::{DueEmail, Outbox, OutboxError};

/// Sessions at once; some providers allow three for a login.
const AT_ONCE: usize = 3;

/// E-mails looked at to find those of other addresses.
const LOOKED_AT: u32 = 100;

/// While something is in hand: what becomes due meanwhile need not wait for it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// When the daemon ends, so long may the server take for what is in hand; less than the daemon's own grace.
const FINISH: Duration = Duration::from_secs(30);

/// The longest wait for a server that cannot be used.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

type Sending = JoinSet<(DueEmail, Result<String, SendError>)>;

/// How sending goes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MailState {
    /// When the mail server last took one.
    pub last_sent: Option<Timestamp>,
    /// Since when nothing can be sent to anybody; `None`: it can, as far as is known.
    pub failing_since: Option<Timestamp>,
    /// The newest failure of any e-mail: when, and what the server said, without addresses.
    pub last_error: Option<(Timestamp, String)>,
}

/// What sending shares with the rest of the daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Letterbox {
    state: Arc<Mutex<MailState>>,
    filled: Arc<Notify>,
}

impl Letterbox {
    /// There may be something to send.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    pub(super) fn state(&self) -> MailState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A mail server that cannot be used is left alone for a while, with all that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Outage {
    since: Timestamp,
    until: Timestamp,
    asked: u32,
}

impl Outage {
    /// After 1, 2, 4 minutes, and then every 5: once the server is back, everything goes out soon.
    fn after(before: Option<Self>, now: Timestamp) -> Self {
        let Some(before) = before else {
            return Self {
                since: now,
                until: now + SignedDuration::from_mins(1),
                asked: 1,
            };
        };
        // Of several sessions that failed in the same moment, one counts.
        if now < before.until {
            return before;
        }
        let wait = SignedDuration::from_mins(1 << before.asked.min(3)).min(ASK_AGAIN);
        Self {
            since: before.since,
            until: now + wait,
            asked: before.asked.saturating_add(1),
        }
    }
}

/// Sends what is due.
pub(super) struct Post {
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    control: Control,
    outage: Option<Outage>,
    /// By id: the address of what is being sent, or was, and is not recorded yet.
    in_hand: HashMap<i64, String>,
    unrecorded: Vec<(DueEmail, Result<String, SendError>)>,
}

impl Post {
    pub(super) fn new(outbox: Outbox, clock: Arc<dyn Clock>, control: Control) -> Self {
        Self {
            outbox,
            clock,
            control,
            outage: None,
            in_hand: HashMap::new(),
            unrecorded: Vec::new(),
        }
    }

    /// Sends until `stop`; what is in hand then is finished, within a bound.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let filled = Arc::clone(&self.control.letterbox.filled);
        let mut sending = Sending::new();
        loop {
            let rest = match self.turn(&mut sending).await {
                Ok(next) => until(next, self.clock.now()),
                Err(error) => {
                    tracing::error!(%error, "cannot look after the e-mails to send, trying again soon: {error}");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = sending.join_next() => self.ended(ended).await,
                () = filled.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        let end = Instant::now() + FINISH;
        while let Ok(Some(ended)) = timeout_at(end, sending.join_next()).await {
            self.ended(ended).await;
        }
    }

    /// Begins to send what may be sent now, and returns when there is more to do.
    async fn turn(&mut self, sending: &mut Sending) -> Result<Option<Timestamp>, OutboxError> {
        for (email, sent) in std::mem::take(&mut self.unrecorded) {
            self.record(email, sent).await;
        }
        let rules = self.control.rules();
        if rules.mailer.is_none() {
            return Ok(None);
        }
        let now = self.clock.now();
        if let Some(outage) = self.outage.filter(|outage| outage.until > now) {
            return Ok(Some(outage.until));
        }
        // One is enough to see whether the server is back.
        let at_once = if self.outage.is_some() { 1 } else { AT_ONCE };
        let due = self.outbox.due_emails(now, LOOKED_AT).await?;
        for email in due {
            if self.in_hand.len() >= at_once {
                return Ok(None);
            }
            if self.in_hand.values().any(|address| *address == email.address) {
                continue;
            }
            self.in_hand.insert(email.id, email.address.clone());
            let rules = Arc::clone(&rules);
            sending.spawn(async move {
                let sent = match &rules.mailer {
                    Some(mailer) => mailer.send(&email).await,
                    None => Err(SendError::Unavailable("there is no [mail]".to_owned())),
                };
                (email, sent)
            });
        }
        if !self.in_hand.is_empty() {
            return Ok(Some(now + LOOK_AGAIN));
        }
        if let Some(mailer) = &rules.mailer {
            mailer.rest().await;
        }
        self.outbox.next_email().await
    }

    async fn ended(&mut self, ended: Result<(DueEmail, Result<String, SendError>), JoinError>) {
        match ended.map_err(JoinError::try_into_panic) {
            Ok((email, sent)) => {
                self.note(&email, &sent);
                self.record(email, sent).await;
            }
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime ends.
            Err(Err(_)) => {}
        }
    }

    /// What it says of the server, and what the log tells.
    fn note(&mut self, email: &DueEmail, sent: &Result<String, SendError>) {
        let now = self.clock.now();
        let mut state = self
            .control
            .letterbox
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match sent {
            Ok(_) => {
                tracing::info!(email.id, email.message_id, "sent e-mail {}", email.message_id);
                state.last_sent = Some(now);
            }
            Err(why) => state.last_error = Some((now, why.to_string())),
        }
        let is_unavailable = matches!(sent, Err(SendError::Unavailable(_)));
        match (is_unavailable, self.outage) {
            (true, before) => {
                if before.is_none() {
                    tracing::error!("cannot send any e-mail, the mail server is of no use; they wait");
                }
                self.outage = Some(Outage::after(before, now));
            }
            (false, Some(outage)) => {
                tracing::info!(since = %outage.since, "the mail server works again");
                self.outage = None;
            }
            (false, None) => {}
        }
        state.failing_since = self.outage.map(|outage| outage.since);
    }

    /// Writes what became of an e-mail; until that is done, it stays in hand.
    async fn record(&mut self, email: DueEmail, sent: Result<String, SendError>) {
        let now = self.clock.now();
        let recorded = match &sent {
            Ok(_) => self.outbox.email_sent(email.id, now).await,
            Err(why) => {
                let next = match why {
                    SendError::Permanent(_) => None,
                    SendError::Temporary(_) => retry_at(&email, now),
                    SendError::Unavailable(_) => {
                        let until = self.outage.map_or(now, |outage| outage.until);
                        before_its_end(&email, until)
                    }
                };
                match next {
                    Some(at) => tracing::warn!(email.id, error = %why, "e-mail not sent, trying again at {at}: {why}"),
                    None => tracing::error!(email.id, error = %why, "e-mail given up: {why}"),
                }
                self.outbox.email_failed(email.id, now, next, why.to_string()).await
            }
        };
        match recorded {
            Ok(()) => drop(self.in_hand.remove(&email.id)),
            Err(error) => {
                tracing::error!(email.id, %error, "cannot record what became of an e-mail, trying again soon: {error}");
                self.unrecorded.push((email, sent));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_is_down_is_asked_seldom_but_never_long_after_it_is_back() {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let mut outage = Outage::after(None, start);
        let mut waits = vec![outage.until.duration_since(start).as_mins()];
        for _ in 0..5 {
            let now = outage.until;
            outage = Outage::after(Some(outage), now);
            waits.push(outage.until.duration_since(now).as_mins());
            assert_eq!(
                Outage::after(Some(outage), now),
                outage,
                "a second session that failed with it"
            );
        }
        assert_eq!(waits, [1, 2, 4, 5, 5, 5]);
        assert_eq!(outage.since, start);
    }
}
