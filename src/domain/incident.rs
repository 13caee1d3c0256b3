use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cause, Kind, Matter, NotificationId, Outcome, useful_text};

/// A failure so soon after the end is the same trouble; and once it came back, it is over when it was well for so long.
const SPAN: SignedDuration = SignedDuration::from_mins(10);

/// One destination in trouble, from its first failure to its recovery.
///
/// The owner of the destination shows it every attempt ([`Incident::observe`]), and stores it with that attempt. Who is
/// told what of it is decided elsewhere, from what stands here.
///
/// It may end once an attempt has succeeded and nothing waits of what waited while it failed: at once, for whoever was
/// told of it is glad to hear that. If the destination fails again within ten minutes, it is the same incident, and
/// from then on it ends only after ten minutes without a failure: so a shop that flaps for hours is told to have
/// recovered at most twice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Incident {
    /// The first failure.
    pub opened_at: Timestamp,
    /// Failed attempts so far.
    pub failures: u64,
    pub last_failure: LastFailure,
    /// What the deliveries were about whose attempts failed or that were given up: that decides what it means to the shop.
    pub matters: BTreeSet<Matter>,
    /// Dead letters so far.
    pub given_up: GivenUp,
    /// Deliveries that arrived since it was opened.
    pub delivered: u64,
    /// The first failure, or the first one after it was over.
    pub failing_since: Timestamp,
    /// The first success after the last failure.
    pub well_since: Option<Timestamp>,
    /// Whether it was over before, and came back.
    pub relapsed: bool,
    /// When it was over; it may come back ([`Incident::spans`]).
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
                Cause::Connect | Cause::Protocol | Cause::Redirect | Cause::Resolver | Cause::TimedOut => false,
            },
        }
    }

    /// What ails several destinations alike: the cause, or hundreds of the status (design.md 9).
    pub fn class(self) -> Class {
        match self {
            Self::Failed(Cause::Status(status)) => Class::Status(status / 100),
            Self::Failed(cause) => Class::Failed(cause),
            Self::KoSignature => Class::KoSignature,
        }
    }
}

/// Symptoms that are alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// Without a status.
    Failed(Cause),
    KoSignature,
    /// 4: 400 to 499.
    Status(u16),
}

/// The dead letters of an incident.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct GivenUp {
    pub count: u64,
    /// Those of them that were given up without another attempt.
    pub unattempted: u64,
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
    pub matter: Matter,
    pub outcome: &'a Outcome,
    /// Whether this failure makes the delivery a dead letter.
    pub gave_up: bool,
    /// When it ended.
    pub at: Timestamp,
}

impl Incident {
    /// Returns the incident after this attempt; `None` if there is nothing to tell of.
    ///
    /// A failure opens one if there is none; one that is over it opens again, if that was not long ago.
    pub fn observe(current: Option<Self>, attempted: &Attempted<'_>) -> Option<Self> {
        let current = current.filter(|incident| incident.spans(attempted.at));
        let Some(symptom) = symptom(attempted.outcome) else {
            return current.map(|mut incident| {
                incident.succeeded(attempted.at);
                incident
            });
        };
        let mut incident = current.unwrap_or_else(|| Self::open(symptom, attempted.outcome, attempted.at));
        incident.failed(symptom, attempted.outcome, attempted.matter, attempted.at);
        if attempted.outcome.is_delivered() {
            incident.delivered += 1;
        }
        if attempted.gave_up {
            incident.dead_letter(attempted.notification, attempted.matter, attempted.at);
        }
        Some(incident)
    }

    /// Whether a failure at this time is part of it.
    pub fn spans(&self, at: Timestamp) -> bool {
        // One that came back was well for ten minutes before it ended.
        self.settled_at().is_none_or(|settled| at < settled)
    }

    /// When it is over, if nothing waits of what waited while it failed; `None`: not before something has succeeded.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let well_since = self.well_since.filter(|_| self.is_open())?;
        Some(if self.relapsed { well_since + SPAN } else { well_since })
    }

    /// From when on it cannot come back; `None` while it is open.
    pub fn settled_at(&self) -> Option<Timestamp> {
        let over = self.recovered_at?;
        Some(if self.relapsed { over } else { over + SPAN })
    }

    /// It is over.
    pub fn end(&mut self, at: Timestamp) {
        self.recovered_at = Some(at);
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        self.recovered_at.is_none()
    }

    /// Adds a delivery that is given up without another attempt.
    pub fn gave_up(&mut self, notification: NotificationId, matter: impl Into<Matter>, at: Timestamp) {
        self.given_up.unattempted += 1;
        self.dead_letter(notification, matter.into(), at);
    }

    fn dead_letter(&mut self, notification: NotificationId, matter: Matter, at: Timestamp) {
        self.matters.insert(matter);
        self.given_up.count += 1;
        self.given_up.first_at.get_or_insert(at);
        if self.given_up.first.len() < GivenUp::LISTED {
            self.given_up.first.push((notification, matter.kind));
        }
    }

    fn open(symptom: Symptom, outcome: &Outcome, at: Timestamp) -> Self {
        Self {
            opened_at: at,
            failures: 0,
            last_failure: LastFailure::of(symptom, outcome, at),
            matters: BTreeSet::new(),
            given_up: GivenUp::default(),
            delivered: 0,
            failing_since: at,
            well_since: None,
            relapsed: false,
            recovered_at: None,
        }
    }

    fn failed(&mut self, symptom: Symptom, outcome: &Outcome, matter: Matter, at: Timestamp) {
        if self.recovered_at.take().is_some() {
            self.relapsed = true;
            self.failing_since = at;
        }
        self.well_since = None;
        self.failures += 1;
        self.last_failure = LastFailure::of(symptom, outcome, at);
        self.matters.insert(matter);
    }

    fn succeeded(&mut self, at: Timestamp) {
        if self.is_open() {
            self.delivered += 1;
            self.well_since.get_or_insert(at);
        }
    }
}

impl LastFailure {
    /// The failure that this outcome is, if it is one.
    pub fn from_outcome(outcome: &Outcome, at: Timestamp) -> Option<Self> {
        outcome
            .cause()
            .map(|cause| Self::of(Symptom::Failed(cause), outcome, at))
    }

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

    fn attempted(outcome: &Outcome, s: i64) -> Attempted<'_> {
        Attempted {
            notification: NotificationId::new(second(0)),
            matter: Kind::TokenUpdated.into(),
            outcome,
            gave_up: false,
            at: second(s),
        }
    }

    #[test]
    fn success_without_an_incident_is_nothing() {
        assert_eq!(Incident::observe(None, &attempted(&delivered(None), 0)), None);
    }

    #[test]
    fn first_failure_opens_and_the_newest_is_remembered() {
        let incident = Incident::observe(None, &attempted(&refused(), 0));
        let timed_out = Outcome::Unavailable {
            cause: Cause::TimedOut,
            answer: None,
            detail: "no answer within 30 s".into(),
        };
        let incident = Incident::observe(incident, &attempted(&timed_out, 30)).unwrap();
        assert_eq!((incident.opened_at, incident.failures), (second(0), 2));
        assert_eq!(incident.last_failure.symptom, Symptom::Failed(Cause::TimedOut));
        assert_eq!(
            (incident.last_failure.status, incident.last_failure.answer.as_str()),
            (None, "")
        );
        assert_eq!(incident.matters, BTreeSet::from([Kind::TokenUpdated.into()]));
    }

    #[test]
    fn it_may_end_at_once_after_the_first_success() {
        let incident = Incident::observe(None, &attempted(&refused(), 0)).unwrap();
        assert_eq!(incident.ends_at(), None);
        let incident = Incident::observe(Some(incident), &attempted(&delivered(None), 60)).unwrap();
        let mut incident = Incident::observe(Some(incident), &attempted(&delivered(None), 61)).unwrap();
        assert!(incident.is_open(), "something may still wait");
        assert_eq!((incident.ends_at(), incident.delivered), (Some(second(60)), 2));
        incident.end(second(65));
        assert_eq!((incident.recovered_at, incident.ends_at()), (Some(second(65)), None));
        assert_eq!(incident.last_failure.answer, "Not today");
    }

    #[test]
    fn failure_soon_after_the_end_is_the_same_trouble_and_then_it_must_stay_well() {
        let mut incident = Incident::observe(None, &attempted(&refused(), 0)).unwrap();
        incident = Incident::observe(Some(incident), &attempted(&delivered(None), 10)).unwrap();
        incident.end(second(10));
        let over = incident.clone();
        assert_eq!(
            Incident::observe(Some(over.clone()), &attempted(&delivered(None), 11)),
            Some(over.clone()),
            "nothing is added"
        );
        let again = Incident::observe(Some(over), &attempted(&refused(), 609)).unwrap();
        assert!(again.is_open() && again.relapsed);
        assert_eq!(
            (again.opened_at, again.failing_since, again.failures),
            (second(0), second(609), 2)
        );
        let well = Incident::observe(Some(again), &attempted(&delivered(None), 620)).unwrap();
        assert_eq!(well.ends_at(), Some(second(620 + 600)));
        let fails = Incident::observe(Some(well), &attempted(&refused(), 1_000)).unwrap();
        assert_eq!(fails.ends_at(), None, "it was not well for long enough");
    }

    #[test]
    fn failure_long_after_the_end_opens_another() {
        let mut over = Incident::observe(None, &attempted(&refused(), 0)).unwrap();
        over.end(second(10));
        assert_eq!(
            Incident::observe(Some(over.clone()), &attempted(&delivered(None), 610)),
            None
        );
        let next = Incident::observe(Some(over), &attempted(&refused(), 610)).unwrap();
        assert_eq!((next.opened_at, next.failures, next.relapsed), (second(610), 1, false));
    }

    #[test]
    fn complaint_about_the_signature_opens_although_it_was_delivered() {
        assert_eq!(Incident::observe(None, &attempted(&ko(false), 0)), None);
        let incident = Incident::observe(None, &attempted(&ko(true), 0)).unwrap();
        assert_eq!(incident.last_failure.symptom, Symptom::KoSignature);
        assert!(incident.last_failure.symptom.needs_a_person());
        assert_eq!((incident.failures, incident.delivered), (1, 1));
        let incident = Incident::observe(Some(incident), &attempted(&delivered(None), 5)).unwrap();
        assert_eq!(incident.ends_at(), Some(second(5)));
    }

    #[test]
    fn dead_letters_are_all_counted_and_the_first_ten_named() {
        let mut incident = Incident::observe(
            None,
            &Attempted {
                gave_up: true,
                ..attempted(&refused(), 0)
            },
        )
        .unwrap();
        for s in 1..25 {
            incident.gave_up(NotificationId::new(second(s)), Kind::Payment, second(s));
        }
        assert_eq!((incident.given_up.count, incident.given_up.first.len()), (25, 10));
        assert_eq!(incident.given_up.first_at, Some(second(0)));
        assert!(incident.matters.contains(&Kind::Payment.into()));
    }

    #[test]
    fn what_a_person_must_mend_is_told_apart() {
        for cause in [401, 403, 404, 410].map(Cause::Status) {
            assert!(Symptom::Failed(cause).needs_a_person(), "{cause}");
        }
        assert!(Symptom::Failed(Cause::Dns).needs_a_person());
        let heal_alone = [Cause::Connect, Cause::Resolver, Cause::TimedOut];
        for cause in heal_alone.into_iter().chain([500, 429].map(Cause::Status)) {
            assert!(!Symptom::Failed(cause).needs_a_person(), "{cause}");
        }
    }

    proptest! {
        /// Whatever happens to a destination: its counts add up, the store gives it back as it was, it comes back at most
        /// once, and between two incidents there are ten minutes without a failure.
        #[test]
        fn any_history_is_counted_and_survives_the_store(
            history in proptest::collection::vec((0u8..4, any::<bool>(), any::<bool>(), 0i64..400), 1..80)
        ) {
            let (mut current, mut s, mut last_failure): (Option<Incident>, i64, _) = (None, 0, None);
            for (what, gave_up, drained, later) in history {
                s += later;
                let outcome = match what { 0 => delivered(None), 1 => ko(false), 2 => ko(true), _ => refused() };
                let before = current.clone().filter(|incident| incident.spans(second(s)));
                let (failed, gave_up) = (what >= 2, gave_up && !outcome.is_delivered());
                current = Incident::observe(current, &Attempted { gave_up, ..attempted(&outcome, s) });
                let Some(incident) = &mut current else {
                    prop_assert!(before.is_none() && !failed);
                    continue;
                };
                prop_assert_eq!(incident.failures, before.as_ref().map_or(0, |b| b.failures) + u64::from(failed));
                prop_assert!(incident.failures >= 1 && incident.given_up.count <= incident.failures);
                if before.is_none() {
                    prop_assert!(last_failure.is_none_or(|last| second(s) >= last + SPAN));
                }
                if failed {
                    prop_assert!(incident.is_open() && incident.ends_at().is_none());
                    last_failure = Some(second(s));
                }
                if drained && let Some(at) = incident.ends_at().filter(|at| *at <= second(s)) {
                    prop_assert!(!incident.relapsed || last_failure.is_some_and(|last| at >= last + SPAN));
                    incident.end(second(s));
                }
                let json = serde_json::to_string(incident).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Incident>(&json).unwrap(), &*incident);
            }
        }
    }
}
