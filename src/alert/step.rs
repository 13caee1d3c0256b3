//! Which e-mail an incident deserves, and when: pure decisions.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::Incident;

/// Nothing is told earlier: a deployment of some seconds wakes nobody, and what is given up together is told together.
const GATHER: SignedDuration = SignedDuration::from_secs(10);

/// An only failure is told after this time; usually the second one comes first.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Between two e-mails about deliveries given up.
const GAVE_UP_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Between two e-mails about the same trouble of the daemon.
const TROUBLE_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// A turn of an incident that people are told of: one e-mail to each address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub(super) enum Step {
    /// It had recovered, as was told, and fails again soon after.
    FailsAgain,
    /// Dead letters; the number counts such e-mails.
    GaveUp(u32),
    /// So many wait by now: 1 000 or 100 000.
    Grew(u64),
    /// The destination fails.
    Opened,
    /// It is over.
    Recovered,
    /// It is over after it had failed again: well for so long now that it will stay so.
    RecoveredAgain,
    /// It has failed for so many hours: 4, 12, 24 or 48.
    StillFailing(u32),
}

impl Step {
    /// Whether it says that the trouble is over.
    pub(super) fn is_recovery(self) -> bool {
        matches!(self, Self::Recovered | Self::RecoveredAgain)
    }
}

/// The name in the store: it makes an e-mail unique, so it never changes.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailsAgain => f.write_str("fails-again"),
            Self::GaveUp(nth) => write!(f, "gave-up-{nth}"),
            Self::Grew(waiting) => write!(f, "grew-{waiting}"),
            Self::Opened => f.write_str("opened"),
            Self::Recovered => f.write_str("recovered"),
            Self::RecoveredAgain => f.write_str("recovered-again"),
            Self::StillFailing(hours) => write!(f, "still-failing-{hours}h"),
        }
    }
}

/// Not the name of a step.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no step of an incident")]
pub(super) struct UnknownStep(String);

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(name: &str) -> Result<Self, UnknownStep> {
        let unknown = || UnknownStep(name.to_owned());
        let numbered = |before: &str, after: &str| name.strip_prefix(before)?.strip_suffix(after);
        let step = match name {
            "fails-again" => Some(Self::FailsAgain),
            "opened" => Some(Self::Opened),
            "recovered" => Some(Self::Recovered),
            "recovered-again" => Some(Self::RecoveredAgain),
            _ => {
                let gave_up = numbered("gave-up-", "")
                    .and_then(|nth| nth.parse().ok())
                    .map(Self::GaveUp);
                let grew = || numbered("grew-", "")?.parse().ok().map(Self::Grew);
                let still = || numbered("still-failing-", "h")?.parse().ok().map(Self::StillFailing);
                gave_up.or_else(grew).or_else(still)
            }
        };
        step.ok_or_else(unknown)
    }
}

impl TryFrom<String> for Step {
    type Error = UnknownStep;

    fn try_from(name: String) -> Result<Self, UnknownStep> {
        name.parse()
    }
}

impl From<Step> for String {
    fn from(step: Step) -> Self {
        step.to_string()
    }
}

/// What people were told of an incident; kept beside it in the store.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Told {
    /// In the order of telling.
    steps: Vec<ToldStep>,
    /// Dead letters that were told.
    given_up: u64,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct ToldStep {
    step: Step,
    at: Timestamp,
}

impl Told {
    /// Notes that a step of this incident is told now.
    pub(super) fn add(&mut self, step: Step, incident: &Incident, now: Timestamp) {
        self.steps.push(ToldStep { step, at: now });
        if let Step::GaveUp(_) = step {
            self.given_up = incident.given_up.count;
        }
    }

    /// The first step told, which begins the thread.
    pub(super) fn first(&self) -> Option<Step> {
        self.steps.first().map(|told| told.step)
    }

    fn has(&self, step: Step) -> bool {
        self.steps.iter().any(|told| told.step == step)
    }

    fn gave_up(&self) -> impl DoubleEndedIterator<Item = &ToldStep> {
        self.steps.iter().filter(|told| matches!(told.step, Step::GaveUp(_)))
    }

    fn next_gave_up(&self) -> Step {
        Step::GaveUp(u32::try_from(self.gave_up().count() + 1).unwrap_or(u32::MAX))
    }
}

/// What to do about an incident.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Tell this, and ask again.
    Now(Step),
    /// Nothing before this time, unless the incident changes.
    At(Timestamp),
    /// Nothing until it changes.
    Nothing,
}

/// Returns the next step to tell.
///
/// Dead letters are always told. What was told is also told to be over; what nobody heard of is not.
pub(super) fn due(incident: &Incident, told: &Told, now: Timestamp) -> Due {
    if told.has(Step::Recovered) {
        return Due::Nothing;
    }
    let gave_up = (incident.given_up.count > told.given_up).then(|| (gave_up_at(incident, told), told.next_gave_up()));
    let other = match told.first() {
        Some(_) if incident.is_open() => None,
        Some(_) => Some((now, Step::Recovered)),
        None if incident.is_open() => Some((opened_at(incident), Step::Opened)),
        None => None,
    };
    // Dead letters first: their e-mail says all that the one about the opening would.
    let due = gave_up.into_iter().chain(other).min_by_key(|(at, _)| (*at).max(now));
    match due {
        Some((at, step)) if at <= now => Due::Now(step),
        Some((at, _)) => Due::At(at),
        None => Due::Nothing,
    }
}

/// When the operators are told of troubles of one word, of which the first came at this time.
pub(super) fn trouble_due(first: Timestamp, last_told: Option<Timestamp>) -> Timestamp {
    let gathered = first + GATHER;
    last_told.map_or(gathered, |last| gathered.max(last + TROUBLE_AGAIN))
}

/// When an opening is told that nobody has heard of.
fn opened_at(incident: &Incident) -> Timestamp {
    let failed_enough = incident.failures >= 2 || incident.last_failure.symptom.needs_a_person();
    incident.opened_at + if failed_enough { GATHER } else { PATIENCE }
}

/// When the dead letters are told that nobody has heard of; at once when it is over, for no more will come.
fn gave_up_at(incident: &Incident, told: &Told) -> Timestamp {
    if let Some(over) = incident.recovered_at {
        return over;
    }
    match told.gave_up().next_back() {
        Some(last) => last.at + GAVE_UP_AGAIN,
        None => incident.given_up.first_at.unwrap_or(incident.opened_at) + GATHER,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Attempted, Cause, Kind, NotificationId, Outcome};

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn id() -> NotificationId {
        NotificationId::new(at(0))
    }

    fn fails(incident: Option<Incident>, status: u16, s: i64) -> Incident {
        let outcome = Outcome::Unavailable {
            cause: Cause::Status(status),
            answer: None,
            detail: String::new(),
        };
        observe(incident, &outcome, s).unwrap()
    }

    fn recovers(incident: Incident, s: i64) -> Incident {
        let answer = crate::domain::Answer {
            status: 200,
            excerpt: Vec::new(),
            retry_after: None,
        };
        observe(Some(incident), &Outcome::Delivered { answer, ko: None }, s).unwrap()
    }

    fn observe(incident: Option<Incident>, outcome: &Outcome, s: i64) -> Option<Incident> {
        Incident::observe(
            incident,
            &Attempted {
                notification: id(),
                kind: Kind::TokenCreated,
                outcome,
                gave_up: false,
                still_failing: 0,
                at: at(s),
            },
        )
    }

    fn told(incident: &Incident, step: Step, s: i64) -> Told {
        let mut told = Told::default();
        told.add(step, incident, at(s));
        told
    }

    #[test]
    fn two_failures_open_after_the_gathering() {
        let once = fails(None, 503, 0);
        assert_eq!(due(&once, &Told::default(), at(11)), Due::At(at(300)));
        assert_eq!(due(&once, &Told::default(), at(300)), Due::Now(Step::Opened));
        let twice = fails(Some(once), 503, 2);
        assert_eq!(due(&twice, &Told::default(), at(2)), Due::At(at(10)));
        assert_eq!(due(&twice, &Told::default(), at(10)), Due::Now(Step::Opened));
        assert_eq!(due(&twice, &told(&twice, Step::Opened, 10), at(9_999)), Due::Nothing);
    }

    #[test]
    fn what_does_not_heal_by_itself_does_not_wait_for_the_second_failure() {
        let incident = fails(None, 404, 0);
        assert_eq!(due(&incident, &Told::default(), at(10)), Due::Now(Step::Opened));
    }

    #[test]
    fn what_healed_within_the_gathering_is_never_told() {
        let incident = recovers(fails(Some(fails(None, 503, 0)), 503, 1), 2);
        assert_eq!(due(&incident, &Told::default(), at(2)), Due::Nothing);
        assert_eq!(due(&incident, &Told::default(), at(9_999)), Due::Nothing);
    }

    #[test]
    fn recovery_of_what_was_told_is_told_at_once_and_is_the_last() {
        let incident = fails(Some(fails(None, 503, 0)), 503, 1);
        let mut told = told(&incident, Step::Opened, 10);
        let incident = recovers(incident, 100);
        assert_eq!(due(&incident, &told, at(100)), Due::Now(Step::Recovered));
        told.add(Step::Recovered, &incident, at(100));
        assert_eq!(due(&incident, &told, at(9_999)), Due::Nothing);
    }

    #[test]
    fn dead_letters_of_one_moment_are_one_e_mail() {
        let mut incident = fails(None, 503, 0);
        for _ in 0..50 {
            incident.gave_up(id(), Kind::TokenCreated, at(1));
        }
        assert_eq!(due(&incident, &Told::default(), at(1)), Due::At(at(11)));
        assert_eq!(due(&incident, &Told::default(), at(11)), Due::Now(Step::GaveUp(1)));
        let mut told = told(&incident, Step::GaveUp(1), 11);
        assert_eq!(
            due(&incident, &told, at(9_999)),
            Due::Nothing,
            "it told of the opening too"
        );

        incident.gave_up(id(), Kind::TokenCreated, at(12));
        assert_eq!(due(&incident, &told, at(13)), Due::At(at(3611)));
        assert_eq!(due(&incident, &told, at(3611)), Due::Now(Step::GaveUp(2)));
        told.add(Step::GaveUp(2), &incident, at(3611));
        assert_eq!(due(&incident, &told, at(9_999)), Due::Nothing);
    }

    #[test]
    fn dead_letters_are_told_before_the_recovery() {
        let mut incident = fails(None, 503, 0);
        incident.gave_up(id(), Kind::TokenCreated, at(1));
        let incident = recovers(incident, 2);
        assert_eq!(due(&incident, &Told::default(), at(2)), Due::Now(Step::GaveUp(1)));
        assert_eq!(
            due(&incident, &told(&incident, Step::GaveUp(1), 2), at(2)),
            Due::Now(Step::Recovered)
        );
    }

    #[test]
    fn same_trouble_is_told_once_an_hour() {
        assert_eq!(trouble_due(at(0), None), at(10));
        assert_eq!(trouble_due(at(100), Some(at(10))), at(3610));
        assert_eq!(trouble_due(at(9_000), Some(at(10))), at(9_010));
    }

    #[test]
    fn store_keeps_steps_by_name() {
        let incident = fails(None, 503, 0);
        let mut told = told(&incident, Step::Opened, 0);
        told.add(Step::GaveUp(12), &incident, at(1));
        told.add(Step::Recovered, &incident, at(2));
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(
            json,
            r#"{"steps":[{"step":"opened","at":"2027-01-15T08:00:00Z"},{"step":"gave-up-12","at":"2027-01-15T08:00:01Z"},{"step":"recovered","at":"2027-01-15T08:00:02Z"}],"given_up":0}"#
        );
        assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
        assert!("gave-up-".parse::<Step>().is_err() && "Opened".parse::<Step>().is_err());
    }

    proptest! {
        /// Whatever happens: every dead letter is told, each step once, the recovery last and never without a cause.
        #[test]
        fn every_history_is_told_once_and_to_its_end(
            history in proptest::collection::vec((0u8..3, 0i64..4000), 0..40)
        ) {
            let mut incident = fails(None, 503, 0);
            let mut told = Told::default();
            let mut now = 0;
            for (what, later) in history {
                now += later;
                match what {
                    0 => incident = fails(Some(incident), 503, now),
                    1 => incident.gave_up(id(), Kind::TokenCreated, at(now)),
                    _ => {}
                }
                while let Due::Now(step) = due(&incident, &told, at(now)) {
                    told.add(step, &incident, at(now));
                }
            }
            let opened_late = told.first().is_none() && incident.given_up.count == 0;
            let incident = recovers(incident, now + 1);
            while let Due::Now(step) = due(&incident, &told, at(now + 1)) {
                told.add(step, &incident, at(now + 1));
            }
            prop_assert_eq!(due(&incident, &told, at(now + 99_999)), Due::Nothing);
            prop_assert_eq!(told.given_up, incident.given_up.count);
            let names: Vec<_> = told.steps.iter().map(|told| told.step).collect();
            let unique: std::collections::HashSet<_> = names.iter().collect();
            prop_assert_eq!(unique.len(), names.len());
            prop_assert_eq!(names.last().copied(), (!opened_late).then_some(Step::Recovered));
        }
    }
}
