//! Which e-mail an incident deserves, and when: pure decisions.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::{Incident, Mode};

/// What fails together within this time is told together; also what does not heal by itself waits for it.
const MOMENT: SignedDuration = SignedDuration::from_secs(10);

/// What may heal by itself is told after this time, if it has not: a restart of a shop wakes nobody, and a destination
/// that was taken down by it is probed again by then.
const GATHER: SignedDuration = SignedDuration::from_secs(60);

/// Failures within this time are one blip; a later one is the second failed attempt. Successes for this time mean that
/// it is well.
const BLIP: SignedDuration = SignedDuration::from_secs(10);

/// A blip is told after this time, unless it was one.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The numbers of waiting deliveries that are told.
const GROWTH: [u64; 2] = [1_000, 100_000];

/// The hours after which people are told that it still fails.
const REMINDERS: [u32; 4] = [4, 12, 24, 48];

/// From an e-mail to one about more deliveries given up: after none about that, one, two, and any number of them. What
/// was given up meanwhile is also told by every other e-mail.
const GAVE_UP_AGAIN: [SignedDuration; 4] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_hours(4),
    SignedDuration::from_hours(12),
    SignedDuration::from_hours(24),
];

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

/// What people were told in a thread; kept beside its incident in the store.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Told {
    /// In the order of telling.
    steps: Vec<ToldStep>,
    /// Dead letters that were told.
    given_up: u64,
    /// The most waiting deliveries that were told.
    waiting: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct ToldStep {
    step: Step,
    at: Timestamp,
}

impl Told {
    /// Notes that a step is told now, with everything that its e-mail says.
    pub(super) fn add(&mut self, step: Step, facts: &Facts, now: Timestamp) {
        self.steps.push(ToldStep { step, at: now });
        self.given_up = facts.given_up;
        self.waiting = self.waiting.max(facts.waiting);
    }

    /// Whether nobody has heard of it.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a larger number of waiting deliveries would be told.
    pub(super) fn may_grow(&self) -> bool {
        GROWTH.last().is_some_and(|most| self.waiting < *most)
    }

    fn has(&self, step: Step) -> bool {
        self.steps.iter().any(|told| told.step == step)
    }

    fn gave_up(&self) -> usize {
        let gave_up = |told: &&ToldStep| matches!(told.step, Step::GaveUp(_));
        self.steps.iter().filter(gave_up).count()
    }
}

/// Somebody looks after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Acknowledgement {
    pub(super) at: Timestamp,
    /// No reminders before this; `None`: none until it is over.
    pub(super) until: Option<Timestamp>,
}

/// What is decided upon: an incident, or several that are told as one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) opened_at: Timestamp,
    /// When an attempt last failed.
    pub(super) failed_at: Timestamp,
    /// Dead letters that no e-mail of their own tells of.
    pub(super) given_up: u64,
    pub(super) given_up_first_at: Option<Timestamp>,
    /// Deliveries that wait; the next number worth telling may stand for more.
    pub(super) waiting: u64,
    /// When to tell that it fails, as things stand.
    pub(super) fails_from: Option<Timestamp>,
    /// The same for a failure after it was over.
    pub(super) fails_again_from: Option<Timestamp>,
    pub(super) recovered_at: Option<Timestamp>,
    /// From when on it is over for good.
    pub(super) settled_at: Option<Timestamp>,
    pub(super) acknowledged: Option<Acknowledgement>,
    /// An operator has paused it.
    pub(super) is_paused: bool,
    /// TEST: told when it fails and when it is over.
    pub(super) is_test: bool,
    /// Each failed attempt is told by an e-mail of its own, and that it fails is not.
    pub(super) tells_attempts: bool,
}

impl Facts {
    /// What an incident says by itself, with what waits for its destination.
    pub(super) fn of(incident: &Incident, mode: Mode, waiting: u64, now: Timestamp) -> Self {
        Self {
            opened_at: incident.opened_at,
            failed_at: incident.last_failure.at,
            given_up: incident.given_up.count,
            given_up_first_at: incident.given_up.first_at,
            waiting,
            fails_from: fails_from(incident, incident.opened_at, now),
            fails_again_from: fails_from(incident, incident.failing_since, now),
            recovered_at: incident.recovered_at,
            settled_at: incident.settled_at(),
            acknowledged: None,
            is_paused: false,
            is_test: mode == Mode::Test,
            tells_attempts: false,
        }
    }

    /// Several as one: it fails as soon as one of them does, and is over when all are.
    pub(super) fn and(self, other: &Self) -> Self {
        let last = |one: Option<Timestamp>, two: Option<Timestamp>| Some(one?.max(two?));
        let (one, two) = (&self, other);
        // What is over says nothing about who looks after the rest.
        let open: Vec<_> = [one, two]
            .into_iter()
            .filter(|facts| facts.recovered_at.is_none())
            .collect();
        let acknowledged = open.iter().map(|facts| facts.acknowledged).collect::<Option<Vec<_>>>();
        let is_paused = !open.is_empty() && open.iter().all(|facts| facts.is_paused);
        Self {
            opened_at: one.opened_at.min(two.opened_at),
            failed_at: one.failed_at.max(two.failed_at),
            given_up: one.given_up + two.given_up,
            given_up_first_at: earlier(one.given_up_first_at, two.given_up_first_at),
            waiting: one.waiting + two.waiting,
            fails_from: earlier(one.fails_from, two.fails_from),
            fails_again_from: earlier(one.fails_again_from, two.fails_again_from),
            recovered_at: last(one.recovered_at, two.recovered_at),
            settled_at: last(one.settled_at, two.settled_at),
            acknowledged: acknowledged
                .and_then(|all| all.into_iter().min_by_key(|one| one.until.unwrap_or(Timestamp::MAX))),
            is_paused,
            is_test: one.is_test && two.is_test,
            tells_attempts: one.tells_attempts && two.tells_attempts,
        }
    }
}

/// When it is to be told that it fails, counted from the first failure at `from`.
fn fails_from(incident: &Incident, from: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let has_lasted = incident.last_failure.at >= from + BLIP;
    let is_well = incident.well_since.is_some_and(|well| well + BLIP <= now);
    if !incident.is_open() || (is_well && (incident.relapsed || !has_lasted)) {
        return None;
    }
    let needs_a_person = incident.last_failure.symptom.needs_a_person() || incident.given_up.count > 0;
    Some(
        from + match (needs_a_person, has_lasted) {
            (true, _) => MOMENT,
            (false, true) => GATHER,
            (false, false) => PATIENCE,
        },
    )
}

/// What to do about a thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Tell this, and ask again.
    Now(Step),
    /// Nothing before this time, unless something changes.
    At(Timestamp),
    /// Nothing until something changes.
    Nothing,
}

/// Returns the next step to tell.
///
/// Dead letters are always told, if only by the e-mail that says that it is over. What was told is also told to be
/// over; what nobody heard of is not.
pub(super) fn due(facts: &Facts, told: &Told, now: Timestamp) -> Due {
    let next = if facts.recovered_at.is_some() {
        recovery(facts, told).map(|(at, step)| (at.max(now), step))
    } else {
        // Of what is due now the first: its e-mail says all that the others would.
        let steps = [
            gave_up(facts, told),
            opening(facts, told),
            growth(facts, told),
            reminder(facts, told, now),
        ];
        let due = steps.into_iter().flatten().map(|(at, step)| (at.max(now), step));
        due.min_by_key(|(at, _)| *at)
    };
    match next {
        Some((at, step)) if at <= now => Due::Now(step),
        Some((at, _)) => Due::At(at),
        None => Due::Nothing,
    }
}

type Planned = Option<(Timestamp, Step)>;

fn recovery(facts: &Facts, told: &Told) -> Planned {
    let is_news = facts.given_up > told.given_up;
    let is_known = match told.steps.last() {
        None => facts.acknowledged.is_some(),
        Some(last) => !last.step.is_recovery(),
    };
    if told.has(Step::RecoveredAgain) || !(is_known || is_news) {
        return None;
    }
    if told.has(Step::Recovered) {
        Some((facts.settled_at?, Step::RecoveredAgain))
    } else {
        Some((facts.recovered_at?, Step::Recovered))
    }
}

fn opening(facts: &Facts, told: &Told) -> Planned {
    match told.steps.last() {
        None if facts.tells_attempts => None,
        None => Some((unless_quiet(facts, told, facts.fails_from?)?, Step::Opened)),
        // Who acknowledged it was told since that it is over.
        Some(last) if last.step == Step::Recovered && !facts.is_paused => {
            Some((facts.fails_again_from?, Step::FailsAgain))
        }
        Some(_) => None,
    }
}

fn gave_up(facts: &Facts, told: &Told) -> Planned {
    if facts.is_test || facts.given_up <= told.given_up {
        return None;
    }
    let times = told.gave_up();
    let at = match told.steps.last() {
        Some(last) => last.at + GAVE_UP_AGAIN[times.min(GAVE_UP_AGAIN.len() - 1)],
        None => facts.given_up_first_at.unwrap_or(facts.opened_at) + MOMENT,
    };
    Some((at, Step::GaveUp(u32::try_from(times + 1).unwrap_or(u32::MAX))))
}

fn growth(facts: &Facts, told: &Told) -> Planned {
    let last = reminded(facts, told)?;
    // The largest number, if several were passed at once.
    let number = GROWTH
        .into_iter()
        .rfind(|number| (told.waiting + 1..=facts.waiting).contains(number))?;
    Some((unless_quiet(facts, told, last.at)?, Step::Grew(number)))
}

fn reminder(facts: &Facts, told: &Told, now: Timestamp) -> Planned {
    let last = reminded(facts, told)?;
    let times = REMINDERS.map(|hours| (facts.opened_at + SignedDuration::from_hours(hours.into()), hours));
    // Every e-mail that says that it fails is as good; of those missed while it was quiet, only the last is told. That it
    // still fails is known by a failure: where nothing was tried any more, there is nothing to remind of.
    let missed = times
        .into_iter()
        .rfind(|(at, _)| *at > last.at && *at <= facts.failed_at);
    let (at, hours) = missed.or_else(|| times.into_iter().find(|(at, _)| *at > last.at.max(now)))?;
    Some((unless_quiet(facts, told, at)?, Step::StillFailing(hours)))
}

/// The last e-mail, if people may be reminded of what it says.
fn reminded(facts: &Facts, told: &Told) -> Option<ToldStep> {
    let last = *told.steps.last()?;
    let says_that_it_fails = !last.step.is_recovery();
    (says_that_it_fails && !facts.is_test && !facts.tells_attempts).then_some(last)
}

/// When something is told that is due at this time: not while it is paused, and not to those who look after it.
fn unless_quiet(facts: &Facts, told: &Told, at: Timestamp) -> Option<Timestamp> {
    if facts.is_paused {
        return None;
    }
    let recovered = told.steps.iter().rfind(|told| told.step.is_recovery());
    let counts = |acknowledged: &Acknowledgement| recovered.is_none_or(|told| told.at < acknowledged.at);
    match facts.acknowledged.filter(counts) {
        None => Some(at),
        Some(Acknowledgement { until, .. }) => until.map(|until| until.max(at)),
    }
}

/// When the operators are told of troubles of one word, of which the first came at this time.
pub(super) fn trouble_due(first: Timestamp, last_told: Option<Timestamp>) -> Timestamp {
    let gathered = first + MOMENT;
    last_told.map_or(gathered, |last| gathered.max(last + TROUBLE_AGAIN))
}

/// The earlier of two times, if there is one.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
