use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cause, Kind, NotificationId, Outcome, useful_text};

/// One destination in trouble, from its first failure to its recovery.
///
/// The owner of the destination keeps at most one that is open, shows it every attempt ([`Incident::observe`]), and
/// stores it with that attempt. Who is told what of it is decided elsewhere, from what stands here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Incident {
    /// The first failure.
    pub opened_at: Timestamp,
    /// Failed attempts so far.
    pub failures: u64,
    pub last_failure: LastFailure,
    /// The kinds of the deliveries whose attempts failed or that were given up: they decide what it means to the shop.
    pub kinds: BTreeSet<Kind>,
    /// Dead letters so far.
    pub given_up: GivenUp,
    /// Deliveries that arrived since it was opened.
    pub delivered: u64,
    /// When it was over; nothing is added afterwards.
    pub recovered_at: Option<Timestamp>,
}

/// The newest failure of an incident.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastFailure {
    pub at: Timestamp,
    pub symptom: Symptom,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, in our words; masked.
    pub detail: String,
    /// What the shop's service answered, as [`useful_text`]; empty without an answer.
    pub answer: String,
}

/// What ails a destination.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symptom {
    /// Attempts fail.
    Failed(Cause),
    /// Attempts arrive, and the shop's plugin says that the signature is wrong: a key here differs from the shop's.
    KoSignature,
}

impl Symptom {
    /// Whether only a person can end it, so that waiting for a second failure helps nobody (design.md 9).
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::KoSignature => true,
            Self::Failed(cause) => match cause {
                Cause::Blocked | Cause::Dns | Cause::Render | Cause::Tls => true,
                Cause::Status(status) => matches!(status, 401 | 403 | 404 | 410),
                Cause::Connect | Cause::Protocol | Cause::Redirect | Cause::TimedOut => false,
            },
        }
    }
}

/// The dead letters of an incident.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct GivenUp {
    pub count: u64,
    pub first_at: Option<Timestamp>,
    /// The first [`GivenUp::LISTED`].
    pub first: Vec<(NotificationId, Kind)>,
}

impl GivenUp {
    /// As many are kept by name, for the e-mail.
    pub const LISTED: usize = 10;
}

/// An attempt that has ended, as an incident sees it.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    pub notification: NotificationId,
    pub kind: Kind,
    pub outcome: &'a Outcome,
    /// Whether this failure makes the delivery a dead letter.
    pub gave_up: bool,
    /// Deliveries of the destination, other than this one, that failed before and wait for another attempt.
    pub still_failing: usize,
    /// When it ended.
    pub at: Timestamp,
}

impl Incident {
    /// Returns the incident after this attempt; `None` if there is nothing to tell of.
    ///
    /// A failure opens one if none is open. A recovered one is returned once, to be stored, and counts as none from
    /// then on.
    pub fn observe(current: Option<Self>, attempted: &Attempted<'_>) -> Option<Self> {
        let open = current.filter(Self::is_open);
        let Some(symptom) = symptom(attempted.outcome) else {
            return open.map(|mut incident| {
                incident.succeeded(attempted.still_failing, attempted.at);
                incident
            });
        };
        let mut incident = open.unwrap_or_else(|| Self::open(symptom, attempted.outcome, attempted.at));
        incident.failed(symptom, attempted.outcome, attempted.kind, attempted.at);
        if attempted.outcome.is_delivered() {
            incident.delivered += 1;
        }
        if attempted.gave_up {
            incident.gave_up(attempted.notification, attempted.kind, attempted.at);
        }
        Some(incident)
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        self.recovered_at.is_none()
    }

    /// Adds a dead letter; also for a delivery that is given up without another attempt.
    pub fn gave_up(&mut self, notification: NotificationId, kind: Kind, at: Timestamp) {
        self.kinds.insert(kind);
        self.given_up.count += 1;
        self.given_up.first_at.get_or_insert(at);
        if self.given_up.first.len() < GivenUp::LISTED {
            self.given_up.first.push((notification, kind));
        }
    }

    fn open(symptom: Symptom, outcome: &Outcome, at: Timestamp) -> Self {
        Self {
            opened_at: at,
            failures: 0,
            last_failure: LastFailure::of(symptom, outcome, at),
            kinds: BTreeSet::new(),
            given_up: GivenUp::default(),
            delivered: 0,
            recovered_at: None,
        }
    }

    fn failed(&mut self, symptom: Symptom, outcome: &Outcome, kind: Kind, at: Timestamp) {
        self.failures += 1;
        self.last_failure = LastFailure::of(symptom, outcome, at);
        self.kinds.insert(kind);
    }

    /// One success is not the end while deliveries that failed still wait: they may be refused again.
    fn succeeded(&mut self, still_failing: usize, at: Timestamp) {
        self.delivered += 1;
        if still_failing == 0 {
            self.recovered_at = Some(at);
        }
    }
}

impl LastFailure {
    fn of(symptom: Symptom, outcome: &Outcome, at: Timestamp) -> Self {
        let detail = match outcome {
            Outcome::Delivered { ko, .. } => ko.as_ref().map_or("", |verdict| &verdict.text),
            Outcome::Rejected { detail, .. } | Outcome::Unavailable { detail, .. } => detail,
        };
        Self {
            at,
            symptom,
            status: outcome.answer().map(|answer| answer.status),
            detail: useful_text(detail.as_bytes()),
            answer: outcome
                .answer()
                .map_or_else(String::new, |answer| useful_text(&answer.excerpt)),
        }
    }
}

/// What the outcome says of the destination's health; `None`: well.
fn symptom(outcome: &Outcome) -> Option<Symptom> {
    match outcome {
        Outcome::Delivered { ko: Some(verdict), .. } if verdict.about_signature => Some(Symptom::KoSignature),
        Outcome::Delivered { .. } => None,
        Outcome::Rejected { cause, .. } | Outcome::Unavailable { cause, .. } => Some(Symptom::Failed(*cause)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Answer, Verdict};

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            excerpt: b"<h1>Not today</h1>".to_vec(),
            retry_after: None,
        }
    }

    fn refused() -> Outcome {
        Outcome::Unavailable {
            cause: Cause::Status(503),
            answer: Some(answer(503)),
            detail: "HTTP status 503".into(),
        }
    }

    fn delivered(ko: Option<Verdict>) -> Outcome {
        Outcome::Delivered {
            answer: answer(200),
            ko,
        }
    }

    fn ko(about_signature: bool) -> Outcome {
        delivered(Some(Verdict {
            text: "KO-wrong signature".into(),
            about_signature,
        }))
    }

    fn attempted(outcome: &Outcome, still_failing: usize, s: i64) -> Attempted<'_> {
        Attempted {
            notification: NotificationId::new(second(0)),
            kind: Kind::TokenUpdated,
            outcome,
            gave_up: false,
            still_failing,
            at: second(s),
        }
    }

    #[test]
    fn success_without_an_incident_is_nothing() {
        assert_eq!(Incident::observe(None, &attempted(&delivered(None), 0, 0)), None);
    }

    #[test]
    fn first_failure_opens_and_the_newest_is_remembered() {
        let incident = Incident::observe(None, &attempted(&refused(), 0, 0));
        let timed_out = Outcome::Unavailable {
            cause: Cause::TimedOut,
            answer: None,
            detail: "no answer within 30 s".into(),
        };
        let incident = Incident::observe(incident, &attempted(&timed_out, 0, 30)).unwrap();
        assert_eq!((incident.opened_at, incident.failures), (second(0), 2));
        assert_eq!(incident.last_failure.symptom, Symptom::Failed(Cause::TimedOut));
        assert_eq!(
            (incident.last_failure.status, incident.last_failure.answer.as_str()),
            (None, "")
        );
        assert_eq!(incident.kinds, BTreeSet::from([Kind::TokenUpdated]));
    }

    #[test]
    fn it_is_over_when_nothing_that_failed_still_waits() {
        let incident = Incident::observe(None, &attempted(&refused(), 0, 0));
        let incident = Incident::observe(incident, &attempted(&delivered(None), 3, 60)).unwrap();
        assert!(incident.is_open());
        let incident = Incident::observe(Some(incident), &attempted(&delivered(None), 0, 61)).unwrap();
        assert_eq!((incident.recovered_at, incident.delivered), (Some(second(61)), 2));
        assert_eq!(incident.last_failure.answer, "Not today");
    }

    #[test]
    fn failure_after_the_end_opens_another() {
        let incident = Incident::observe(None, &attempted(&refused(), 0, 0));
        let over = Incident::observe(incident, &attempted(&delivered(None), 0, 10));
        assert_eq!(
            Incident::observe(over.clone(), &attempted(&delivered(None), 0, 11)),
            None
        );
        let next = Incident::observe(over, &attempted(&refused(), 0, 12)).unwrap();
        assert_eq!((next.opened_at, next.failures, next.delivered), (second(12), 1, 0));
    }

    #[test]
    fn complaint_about_the_signature_opens_although_it_was_delivered() {
        assert_eq!(Incident::observe(None, &attempted(&ko(false), 0, 0)), None);
        let incident = Incident::observe(None, &attempted(&ko(true), 0, 0)).unwrap();
        assert_eq!(incident.last_failure.symptom, Symptom::KoSignature);
        assert!(incident.last_failure.symptom.needs_a_person());
        assert_eq!((incident.failures, incident.delivered), (1, 1));
        let incident = Incident::observe(Some(incident), &attempted(&delivered(None), 0, 5)).unwrap();
        assert!(!incident.is_open());
    }

    #[test]
    fn dead_letters_are_all_counted_and_the_first_ten_named() {
        let mut incident = Incident::observe(
            None,
            &Attempted {
                gave_up: true,
                ..attempted(&refused(), 0, 0)
            },
        )
        .unwrap();
        for s in 1..25 {
            incident.gave_up(NotificationId::new(second(s)), Kind::Payment, second(s));
        }
        assert_eq!((incident.given_up.count, incident.given_up.first.len()), (25, 10));
        assert_eq!(incident.given_up.first_at, Some(second(0)));
        assert!(incident.kinds.contains(&Kind::Payment));
    }

    #[test]
    fn what_a_person_must_mend_is_told_apart() {
        for cause in [401, 403, 404, 410].map(Cause::Status) {
            assert!(Symptom::Failed(cause).needs_a_person(), "{cause}");
        }
        for cause in [Cause::Status(500), Cause::Status(429), Cause::Connect, Cause::TimedOut] {
            assert!(!Symptom::Failed(cause).needs_a_person(), "{cause}");
        }
    }

    proptest! {
        /// Whatever happens to a destination, the store gives the incident back as it was, and its counts add up.
        #[test]
        fn any_history_is_counted_and_survives_the_store(
            history in proptest::collection::vec((0u8..4, any::<bool>(), 0usize..3), 1..60)
        ) {
            let mut current: Option<Incident> = None;
            for (s, (what, gave_up, still_failing)) in history.into_iter().enumerate() {
                let outcome = match what { 0 => delivered(None), 1 => ko(false), 2 => ko(true), _ => refused() };
                let before = current.clone().filter(Incident::is_open);
                let gave_up = gave_up && !outcome.is_delivered();
                let s = i64::try_from(s).unwrap();
                current = Incident::observe(current, &Attempted { gave_up, ..attempted(&outcome, still_failing, s) });
                let failed = u64::from(what >= 2);
                match &current {
                    None => prop_assert!(before.is_none() && failed == 0),
                    Some(now) => {
                        prop_assert_eq!(now.failures, before.as_ref().map_or(0, |b| b.failures) + failed);
                        prop_assert_eq!(now.recovered_at.is_some(), failed == 0 && still_failing == 0);
                        prop_assert!(now.failures >= 1 && now.given_up.count <= now.failures);
                        let json = serde_json::to_string(now).unwrap();
                        prop_assert_eq!(&serde_json::from_str::<Incident>(&json).unwrap(), now);
                    }
                }
            }
        }
    }
}
