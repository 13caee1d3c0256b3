//! What came of each look at a service, and what it means.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::caller::Signature;
use crate::cli::page::lasting;
use crate::deliver::Timeouts;
use crate::domain::{Outcome, Rendition};

/// How far the clock of a service may be from an event's `webhook-timestamp`: the tolerance of Standard Webhooks'
/// libraries.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// Clocks that differ by less are nobody's trouble.
const UNREMARKABLE: SignedDuration = SignedDuration::from_secs(5);
/// A certificate that ends sooner should have been renewed by itself.
const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    /// What came of it, in words.
    pub(super) note: String,
    pub(super) milliseconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Bad,
    Good,
    /// It works, and could be better.
    Weak,
}

impl Finding {
    pub(super) fn new(what: &'static str, verdict: Verdict, note: impl Into<String>) -> Self {
        Self {
            what,
            verdict,
            note: note.into(),
            milliseconds: None,
        }
    }

    pub(super) fn took(mut self, took: Duration) -> Self {
        self.milliseconds = u64::try_from(took.as_millis()).ok();
        self
    }

    /// It was reached, and has shown a certificate that is trusted.
    pub(super) fn certificate(until: Timestamp, now: Timestamp) -> Self {
        let left = lasting(now, until);
        if until.duration_since(now) < SOON {
            Self::new("certificate", Verdict::Weak, format!("ends in {left}: renew it"))
        } else {
            Self::new("certificate", Verdict::Good, format!("ends in {left}"))
        }
    }

    /// How the service's clock and ours agree; it is no trouble of what carries no time of ours.
    pub(super) fn clock(rendition: Rendition, reading: Option<Reading>) -> Self {
        let say = |verdict, note| Self::new("clock", verdict, note);
        let is_event = rendition == Rendition::Event;
        let Some(reading) = reading else {
            let unseen = "its answers have no Date header, so nobody sees whether its clock is right";
            return say(Verdict::Weak, unseen.to_owned());
        };
        let sure = reading.differs_at_least();
        if sure < UNREMARKABLE {
            return say(Verdict::Good, "agrees with the clock here".to_owned());
        }
        let (apart, direction) = reading.in_words();
        let seen = format!("{apart} {direction} the clock here: one of the two is wrong (is NTP running on both?)");
        if !is_event {
            say(Verdict::Weak, seen)
        } else if sure < TOLERANCE {
            let limit = "; from 5 minutes on, a service refuses events for their webhook-timestamp";
            say(Verdict::Weak, seen + limit)
        } else {
            let limit = "; a service that allows webhook-timestamp the usual 5 minutes refuses every event";
            say(Verdict::Bad, seen + limit)
        }
    }
}

/// How far a service's clock is from ours, by one answer's `Date`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    ahead: SignedDuration,
    /// By how much that may be wrong.
    within: SignedDuration,
}

impl Reading {
    /// `Date` was written at some time between these two, and lacks the part after the second.
    pub(super) fn new(date: Timestamp, sent: Timestamp, received: Timestamp) -> Self {
        let half_the_way = received.duration_since(sent) / 2;
        let half_a_second = SignedDuration::from_millis(500);
        Self {
            ahead: date.duration_since(sent) - half_the_way + half_a_second,
            // Servers write the date once a second, and send what they have.
            within: half_the_way + half_a_second * 2,
        }
    }

    /// The one that says more.
    pub(super) fn or_better(self, other: Option<Self>) -> Self {
        other.filter(|other| other.within <= self.within).unwrap_or(self)
    }

    fn differs_at_least(self) -> SignedDuration {
        (self.ahead.abs() - self.within).max(SignedDuration::ZERO)
    }

    fn in_words(self) -> (String, &'static str) {
        let from = Timestamp::UNIX_EPOCH;
        let apart = lasting(from, from.saturating_add(self.ahead.abs()).unwrap_or(from));
        let direction = if self.ahead.is_negative() { "behind" } else { "ahead of" };
        (apart, direction)
    }
}

/// What an answer says of a service. One that is signed rightly must be taken, and taken again; any other refused.
pub(super) fn judged(signature: Signature, outcome: &Outcome, took: Duration, timeouts: Timeouts) -> Finding {
    let answer = match outcome {
        Outcome::Delivered { answer, ko: None } => format!("answered {}", answer.status),
        Outcome::Delivered { answer, ko: Some(ko) } => format!("answered {}, {}", answer.status, ko.text),
        Outcome::Rejected { cause, .. } => format!("refused: {cause}"),
        Outcome::Unavailable { cause, detail, .. } => format!("failed: {cause} {detail}").trim_end().to_owned(),
    };
    let refuses = match outcome {
        Outcome::Delivered { ko, .. } => ko.is_some(),
        Outcome::Rejected { .. } => true,
        Outcome::Unavailable { .. } => false,
    };
    let takes = is_taken(outcome);
    let is_slow = took > timeouts.first_byte / 3;
    let (verdict, advice) = match signature {
        Signature::Again | Signature::Right if takes && is_slow => (
            Verdict::Weak,
            format!("; slow: from {} s on it is a failure", timeouts.first_byte.as_secs()),
        ),
        Signature::Again | Signature::Right if takes => (Verdict::Good, String::new()),
        Signature::Right if refuses => (Verdict::Bad, "; is the key or secret here the one that it has?".into()),
        Signature::Again => (
            Verdict::Bad,
            "; a repetition must be answered like the first time, or it is sent again and again".into(),
        ),
        Signature::Right => (Verdict::Bad, String::new()),
        Signature::Wrong | Signature::Old if refuses => (Verdict::Good, String::new()),
        Signature::Wrong if takes => (
            Verdict::Bad,
            "; anybody could send it what he likes: check the signature".into(),
        ),
        Signature::Old if takes => (
            Verdict::Weak,
            "; an old call could be sent again: check webhook-timestamp".into(),
        ),
        Signature::Wrong | Signature::Old => (Verdict::Weak, "; an error where a refusal was due: answer 401".into()),
    };
    Finding::new(signature.words(), verdict, answer + &advice).took(took)
}

/// Whether the service has it, and does not complain.
pub(super) fn is_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered { ko: None, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{self, Answer, Cause};

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            excerpt: Vec::new(),
            retry_after: None,
        }
    }

    #[test]
    fn right_signature_must_be_taken_and_any_other_refused() {
        let taken = Outcome::Delivered {
            answer: answer(200),
            ko: None,
        };
        let said_ko = Outcome::Delivered {
            answer: answer(200),
            ko: Some(domain::Verdict {
                text: "KO-Authentication failed".into(),
                about_signature: true,
            }),
        };
        let refused = Outcome::Rejected {
            cause: Cause::Status(401),
            answer: Some(answer(401)),
            detail: String::new(),
        };
        let failed = Outcome::Unavailable {
            cause: Cause::Status(500),
            answer: Some(answer(500)),
            detail: String::new(),
        };
        for (signature, outcome, verdict) in [
            (Signature::Right, &taken, Verdict::Good),
            (Signature::Right, &said_ko, Verdict::Bad),
            (Signature::Right, &refused, Verdict::Bad),
            (Signature::Right, &failed, Verdict::Bad),
            (Signature::Again, &taken, Verdict::Good),
            (Signature::Again, &said_ko, Verdict::Bad),
            (Signature::Again, &refused, Verdict::Bad),
            (Signature::Again, &failed, Verdict::Bad),
            (Signature::Wrong, &taken, Verdict::Bad),
            (Signature::Wrong, &said_ko, Verdict::Good),
            (Signature::Wrong, &refused, Verdict::Good),
            (Signature::Wrong, &failed, Verdict::Weak),
            (Signature::Old, &taken, Verdict::Weak),
            (Signature::Old, &refused, Verdict::Good),
        ] {
            let finding = judged(signature, outcome, Duration::ZERO, Timeouts::default());
            assert_eq!(finding.verdict, verdict, "{signature:?} {finding:?}");
        }
        let slow = judged(Signature::Right, &taken, Duration::from_secs(11), Timeouts::default());
        assert!(
            slow.verdict == Verdict::Weak && slow.note.contains("from 30 s on"),
            "{slow:?}"
        );
        assert_eq!(slow.milliseconds, Some(11_000));
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn certificate_that_ends_soon_is_to_be_renewed() {
        let in_days = |days: i64| Finding::certificate(at(days * 86_400_000), at(0));
        assert_eq!(in_days(30).verdict, Verdict::Good);
        let soon = in_days(5);
        assert!(
            soon.verdict == Verdict::Weak && soon.note.contains("5 d 0 h"),
            "{soon:?}"
        );
    }

    #[test]
    fn clocks_that_differ_are_told_before_events_are_refused_for_it() {
        for (seconds, rendition, verdict, words) in [
            (0, Rendition::Event, Verdict::Good, "agrees"),
            (5, Rendition::Event, Verdict::Good, "agrees"),
            (-5, Rendition::Event, Verdict::Good, "agrees"),
            (20, Rendition::Event, Verdict::Weak, "20 s ahead of the clock here"),
            (-250, Rendition::Event, Verdict::Weak, "4 min behind the clock here"),
            (630, Rendition::Event, Verdict::Bad, "10 min ahead"),
            (-630, Rendition::Event, Verdict::Bad, "refuses every event"),
            (
                -600,
                Rendition::AsReceived(domain::Format::Form),
                Verdict::Weak,
                "10 min behind",
            ),
        ] {
            let reading = Reading::new(at(seconds * 1_000), at(400), at(600));
            let finding = Finding::clock(rendition, Some(reading));
            assert!(
                finding.verdict == verdict && finding.note.contains(words),
                "{seconds} {finding:?}"
            );
        }
        let unseen = Finding::clock(Rendition::Event, None);
        assert!(
            unseen.verdict == Verdict::Weak && unseen.note.contains("no Date"),
            "{unseen:?}"
        );
    }

    #[test]
    fn slow_answer_says_less_of_the_clock_than_a_quick_one() {
        // Written at the very end, or at the very beginning, of a call of 20 seconds.
        for date in [0, 20_000] {
            let slow = Reading::new(at(date), at(0), at(20_000));
            assert_eq!(Finding::clock(Rendition::Event, Some(slow)).verdict, Verdict::Good);
            let quick = Reading::new(at(40_000), at(30_000), at(30_100));
            let better = slow.or_better(Some(quick));
            assert_eq!(
                Finding::clock(Rendition::Event, Some(better)).verdict,
                Verdict::Weak,
                "{better:?}"
            );
            assert_eq!(quick.or_better(Some(slow)).within, quick.within);
        }
    }
}
