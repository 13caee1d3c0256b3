use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Semaphore;

use crate::domain::{Clock, Secret};

/// How long a log-in lasts: a working day.
pub(super) const SESSION: Duration = Duration::from_hours(12);
/// The oldest ends when there are more.
const SESSIONS: usize = 256;
/// Wrong tokens that are dealt with at once, of all the world together; what is more is turned away.
const WRONG_TOKENS: usize = 4;

/// SHA-256 of a secret: all have one length, and a look-up by it tells nothing of the secret.
type Fingerprint = [u8; 32];

/// Knows who may in: whoever shows a token, or the cookie of a session that a token has opened.
///
/// A session is a random number that lives in memory, so it ends with the process, by a log-out, after its time, or when
/// the token that opened it is not configured any more. The cookie says nothing of the token.
#[derive(Debug)]
pub struct Guard {
    state: Mutex<State>,
    wrong_tokens: Semaphore,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Fingerprint>,
    /// By the fingerprint of the cookie.
    sessions: HashMap<Fingerprint, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    session: Session,
    token: Fingerprint,
    ends: Timestamp,
}

/// Somebody who has logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Session {
    /// Goes into every form: a page of somebody else cannot know it.
    pub(super) form_key: String,
}

impl Guard {
    /// Opens to whoever shows one of these.
    pub fn new(tokens: &[Secret], clock: Arc<dyn Clock>) -> Self {
        let guard = Self {
            state: Mutex::default(),
            wrong_tokens: Semaphore::new(WRONG_TOKENS),
            clock,
        };
        guard.replace_tokens(tokens);
        guard
    }

    /// Only these open from now on. Sessions of the others end.
    pub fn replace_tokens(&self, tokens: &[Secret]) {
        let tokens: Vec<_> = tokens.iter().map(|token| fingerprint(token.expose())).collect();
        let mut state = self.lock();
        state.sessions.retain(|_, kept| tokens.contains(&kept.token));
        state.tokens = tokens;
    }

    /// Places for those who are told that their token is wrong: guessing goes no faster than they get free.
    pub(super) fn wrong_tokens(&self) -> &Semaphore {
        &self.wrong_tokens
    }

    /// Whether there is any token at all.
    pub(super) fn opens_to_somebody(&self) -> bool {
        !self.lock().tokens.is_empty()
    }

    /// Whether it is one of the tokens.
    pub(super) fn knows(&self, token: &[u8]) -> bool {
        self.lock().find(token).is_some()
    }

    /// Opens a session for whoever shows a token; returns its cookie, or nothing if the token is wrong.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub(super) fn log_in(&self, token: &[u8]) -> io::Result<Option<String>> {
        let cookie = random()?;
        let session = Session { form_key: random()? };
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(token) = state.find(token) else {
            return Ok(None);
        };
        state.sessions.retain(|_, kept| kept.ends > now);
        if state.sessions.len() >= SESSIONS
            && let Some(oldest) = state.oldest()
        {
            state.sessions.remove(&oldest);
        }
        let kept = Kept {
            session,
            token,
            ends: now + SESSION,
        };
        state.sessions.insert(fingerprint(cookie.as_bytes()), kept);
        Ok(Some(cookie))
    }

    /// The session of a cookie, if there is one still.
    pub(super) fn session(&self, cookie: &str) -> Option<Session> {
        let now = self.clock.now();
        let state = self.lock();
        let kept = state.sessions.get(&fingerprint(cookie.as_bytes()))?;
        (kept.ends > now).then(|| kept.session.clone())
    }

    /// Ends a session.
    pub(super) fn log_out(&self, cookie: &str) {
        self.lock().sessions.remove(&fingerprint(cookie.as_bytes()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The fingerprint of a token, if it is one; takes as long whatever is shown.
    fn find(&self, shown: &[u8]) -> Option<Fingerprint> {
        let shown = fingerprint(shown);
        let is_one = self
            .tokens
            .iter()
            .fold(Choice::from(0), |found, token| found | token.ct_eq(&shown));
        bool::from(is_one).then_some(shown)
    }

    fn oldest(&self) -> Option<Fingerprint> {
        let first = self.sessions.iter().min_by_key(|(_, kept)| kept.ends);
        first.map(|(cookie, _)| *cookie)
    }
}

impl Session {
    /// Whether a form was made for this session.
    pub(super) fn made(&self, form_key: &str) -> bool {
        self.form_key.as_bytes().ct_eq(form_key.as_bytes()).into()
    }
}

fn fingerprint(secret: &[u8]) -> Fingerprint {
    Sha256::digest(secret).into()
}

/// 256 bits that nobody can guess.
fn random() -> io::Result<String> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TestClock;

    fn guard(tokens: &[&str]) -> (Guard, TestClock) {
        let clock = TestClock::at(Timestamp::UNIX_EPOCH);
        (Guard::new(&secrets(tokens), Arc::new(clock.clone())), clock)
    }

    fn secrets(tokens: &[&str]) -> Vec<Secret> {
        tokens.iter().map(|token| Secret::new(*token)).collect()
    }

    #[test]
    fn each_configured_token_opens_and_nothing_else() {
        let (guard, _) = guard(&["old", "new"]);
        assert!(guard.knows(b"old") && guard.knows(b"new"));
        for wrong in ["", "ol", "oldx", "NEW"] {
            assert!(!guard.knows(wrong.as_bytes()), "{wrong}");
            assert_eq!(guard.log_in(wrong.as_bytes()).unwrap(), None, "{wrong}");
        }
        let nobody = Guard::new(&[], Arc::new(TestClock::at(Timestamp::UNIX_EPOCH)));
        assert!(!nobody.knows(b"") && !nobody.opens_to_somebody());
    }

    #[test]
    fn session_ends_by_log_out_by_time_and_with_its_token() {
        let (guard, clock) = guard(&["old", "new"]);
        let log_in = |token: &str| guard.log_in(token.as_bytes()).unwrap().unwrap();
        let (first, second, third) = (log_in("old"), log_in("new"), log_in("new"));
        assert!(!first.contains("old"));
        guard.log_out(&second);
        assert_eq!(guard.session(&second), None);
        guard.replace_tokens(&secrets(&["new", "newer"]));
        assert_eq!(guard.session(&first), None, "its token is gone");
        assert!(guard.session(&third).is_some());
        clock.advance(SESSION);
        assert_eq!(guard.session(&third), None);
    }

    #[test]
    fn form_of_another_session_is_not_taken() {
        let (guard, _) = guard(&["token"]);
        let session = || {
            let cookie = guard.log_in(b"token").unwrap().unwrap();
            guard.session(&cookie).unwrap()
        };
        let (one, other) = (session(), session());
        assert!(one.made(&one.form_key));
        assert!(!one.made(&other.form_key) && !one.made(""));
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_makes_room() {
        let (guard, clock) = guard(&["token"]);
        let log_in = || guard.log_in(b"token").unwrap().unwrap();
        let first = log_in();
        clock.advance(Duration::from_secs(1));
        let others: Vec<_> = (0..SESSIONS).map(|_| log_in()).collect();
        assert_eq!(guard.session(&first), None);
        assert!(others.iter().all(|cookie| guard.session(cookie).is_some()));
    }
}
