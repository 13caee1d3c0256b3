use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{Answer, Attempted, Cause, Kind, NotificationId, Outcome};

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

fn succeeds(incident: Incident, s: i64) -> Incident {
    let answer = Answer {
        status: 200,
        excerpt: Vec::new(),
        retry_after: None,
    };
    observe(Some(incident), &Outcome::Delivered { answer, ko: None }, s).unwrap()
}

fn recovers(incident: Incident, s: i64) -> Incident {
    let mut incident = succeeds(incident, s);
    incident.end(at(s));
    incident
}

fn observe(incident: Option<Incident>, outcome: &Outcome, s: i64) -> Option<Incident> {
    Incident::observe(
        incident,
        &Attempted {
            notification: id(),
            matter: Kind::TokenCreated.into(),
            outcome,
            gave_up: false,
            at: at(s),
        },
    )
}

/// Failures from 0 on, the last one at this second.
fn lasting(s: i64) -> Incident {
    fails(Some(fails(None, 503, 0)), 503, s)
}

fn facts(incident: &Incident, s: i64) -> Facts {
    Facts::of(incident, Mode::Production, 1, at(s))
}

fn due_at(incident: &Incident, told: &Told, s: i64) -> Due {
    due(&facts(incident, s), told, at(s))
}

fn told(incident: &Incident, step: Step, s: i64) -> Told {
    let mut told = Told::default();
    told.add(step, &facts(incident, s), at(s));
    told
}

fn hours(hours: i64) -> i64 {
    hours * 3_600
}

#[test]
fn second_failed_attempt_opens_after_the_gathering_and_the_first_after_minutes() {
    let once = fails(None, 503, 0);
    assert_eq!(due_at(&once, &Told::default(), 61), Due::At(at(300)));
    assert_eq!(due_at(&once, &Told::default(), 300), Due::Now(Step::Opened));
    let twice = lasting(30);
    assert_eq!(due_at(&twice, &Told::default(), 31), Due::At(at(60)));
    assert_eq!(due_at(&twice, &Told::default(), 60), Due::Now(Step::Opened));
}

#[test]
fn what_does_not_heal_by_itself_does_not_wait_for_the_second_failure() {
    let incident = fails(None, 404, 0);
    assert_eq!(due_at(&incident, &Told::default(), 9), Due::At(at(10)));
    assert_eq!(due_at(&incident, &Told::default(), 10), Due::Now(Step::Opened));
}

#[test]
fn outage_of_two_seconds_is_never_told() {
    // It was taken down by ten failures; the probe a minute later arrives, and what waits is drained for long.
    let incident = succeeds(lasting(2), 62);
    for s in [62, 72, 300, 4_000] {
        assert!(!matches!(due_at(&incident, &Told::default(), s), Due::Now(_)), "{s}");
    }
    let incident = recovers(incident, 5_000);
    assert_eq!(due_at(&incident, &Told::default(), 9_999), Due::Nothing);
}

#[test]
fn poison_among_successes_is_told() {
    let incident = succeeds(lasting(30), 31);
    assert_eq!(due_at(&incident, &Told::default(), 60), Due::Now(Step::Opened));
}

#[test]
fn recovery_of_what_was_told_is_told_at_once() {
    let incident = lasting(30);
    let mut told = told(&incident, Step::Opened, 60);
    let incident = recovers(incident, 100);
    assert_eq!(due_at(&incident, &told, 100), Due::Now(Step::Recovered));
    told.add(Step::Recovered, &facts(&incident, 100), at(100));
    assert_eq!(due_at(&incident, &told, 9_999), Due::Nothing);
}

#[test]
fn what_comes_back_is_told_twice_and_no_more() {
    let incident = lasting(30);
    let mut told = told(&incident, Step::Opened, 60);
    let mut incident = recovers(incident, 100);
    told.add(Step::Recovered, &facts(&incident, 100), at(100));
    incident = fails(Some(incident), 503, 140);
    assert_eq!(due_at(&incident, &told, 141), Due::At(at(440)), "perhaps a blip");
    incident = fails(Some(incident), 503, 170);
    assert_eq!(due_at(&incident, &told, 200), Due::Now(Step::FailsAgain));
    told.add(Step::FailsAgain, &facts(&incident, 200), at(200));
    incident = recovers(incident, 900);
    assert_eq!(due_at(&incident, &told, 900), Due::Now(Step::RecoveredAgain));
    told.add(Step::RecoveredAgain, &facts(&incident, 900), at(900));
    assert_eq!(due_at(&incident, &told, 99_999), Due::Nothing);
}

#[test]
fn dead_letters_of_one_moment_are_one_e_mail_and_more_of_them_come_rarely() {
    let mut incident = fails(None, 503, 0);
    for _ in 0..50 {
        incident.gave_up(id(), Kind::TokenCreated, at(1));
    }
    assert_eq!(due_at(&incident, &Told::default(), 1), Due::At(at(10)));
    let mut told = told(&incident, Step::GaveUp(1), 11);
    assert_eq!(due_at(&incident, &told, 12), Due::At(at(hours(4))), "a reminder");

    incident.gave_up(id(), Kind::TokenCreated, at(12));
    incident = fails(Some(incident), 503, hours(4));
    assert_eq!(due_at(&incident, &told, hours(4)), Due::Now(Step::StillFailing(4)));
    told.add(Step::StillFailing(4), &facts(&incident, hours(4)), at(hours(4)));
    assert_eq!(
        due_at(&incident, &told, hours(4)),
        Due::At(at(hours(12))),
        "told with it"
    );
    let late = hours(50);
    told.add(Step::StillFailing(48), &facts(&incident, late), at(late));
    incident.gave_up(id(), Kind::TokenCreated, at(late));
    assert_eq!(due_at(&incident, &told, late), Due::At(at(late + hours(4))));
    assert_eq!(due_at(&incident, &told, late + hours(4)), Due::Now(Step::GaveUp(2)));
}

#[test]
fn dead_letters_nobody_heard_of_are_told_with_the_recovery() {
    let mut incident = fails(None, 503, 0);
    incident.gave_up(id(), Kind::TokenCreated, at(1));
    let incident = recovers(incident, 2);
    assert_eq!(due_at(&incident, &Told::default(), 2), Due::Now(Step::Recovered));
    let told = told(&incident, Step::Recovered, 2);
    assert_eq!(due_at(&incident, &told, 9_999), Due::Nothing);
}

#[test]
fn reminders_come_after_4_12_24_and_48_hours() {
    let mut incident = lasting(30);
    let mut told = told(&incident, Step::Opened, 60);
    for after in [4, 12, 24, 48] {
        assert_eq!(due_at(&incident, &told, 61), Due::At(at(hours(after))));
        let (now, step) = (hours(after), Step::StillFailing(u32::try_from(after).unwrap()));
        incident = fails(Some(incident), 503, now);
        assert_eq!(due_at(&incident, &told, now), Due::Now(step));
        told.add(step, &facts(&incident, now), at(now));
    }
    incident = fails(Some(incident), 503, hours(1_000));
    assert_eq!(due_at(&incident, &told, hours(1_000)), Due::Nothing);
}

#[test]
fn nobody_is_reminded_of_what_was_not_tried_again() {
    // It failed, what waited was cancelled or given up, and nothing came since.
    let incident = lasting(30);
    let told = told(&incident, Step::Opened, 60);
    assert_eq!(due_at(&incident, &told, hours(5)), Due::At(at(hours(12))));
    assert_eq!(due_at(&incident, &told, hours(50)), Due::Nothing);
    let fails_again = fails(Some(incident), 503, hours(50));
    let reminder = due_at(&fails_again, &told, hours(50));
    assert_eq!(reminder, Due::Now(Step::StillFailing(48)), "the last that is due");
}

#[test]
fn growth_is_told_at_1_000_and_100_000() {
    let incident = lasting(30);
    let mut told = told(&incident, Step::Opened, 60);
    let waiting = |waiting| Facts::of(&incident, Mode::Production, waiting, at(70));
    assert_eq!(due(&waiting(999), &told, at(70)), Due::At(at(hours(4))));
    assert_eq!(due(&waiting(1_000), &told, at(70)), Due::Now(Step::Grew(1_000)));
    assert_eq!(due(&waiting(200_000), &told, at(70)), Due::Now(Step::Grew(100_000)));
    told.add(Step::Grew(100_000), &waiting(200_000), at(70));
    assert_eq!(due(&waiting(900_000), &told, at(70)), Due::At(at(hours(4))));
}

#[test]
fn who_looks_after_it_is_not_reminded_and_is_told_that_it_is_over() {
    let incident = lasting(30);
    let opened = told(&incident, Step::Opened, 60);
    let acknowledged = |incident: &Incident, s, until: Option<i64>| Facts {
        acknowledged: Some(Acknowledgement {
            at: at(70),
            until: until.map(at),
        }),
        waiting: 5_000,
        ..facts(incident, s)
    };
    let late = hours(30);
    assert_eq!(
        due(&acknowledged(&incident, late, None), &opened, at(late)),
        Due::Nothing
    );
    let snoozed = acknowledged(&incident, late, Some(late + 5));
    assert_eq!(due(&snoozed, &opened, at(late)), Due::At(at(late + 5)));
    assert!(matches!(due(&snoozed, &opened, at(late + 5)), Due::Now(_)));
    // Not even told that it fails: he knows; but that it is over he must hear.
    assert_eq!(
        due(&acknowledged(&incident, 80, None), &Told::default(), at(80)),
        Due::Nothing
    );
    let over = recovers(incident.clone(), 100);
    let recovered = due(&acknowledged(&over, 100, None), &Told::default(), at(100));
    assert_eq!(recovered, Due::Now(Step::Recovered));
    let mut dead = incident;
    dead.gave_up(id(), Kind::TokenCreated, at(90));
    let gave_up = due(&acknowledged(&dead, 200, None), &opened, at(200));
    assert_eq!(gave_up, Due::Now(Step::GaveUp(1)));
}

#[test]
fn what_is_paused_is_silent() {
    let incident = lasting(30);
    let paused = |s| Facts {
        is_paused: true,
        waiting: 5_000,
        ..facts(&incident, s)
    };
    let opened = told(&incident, Step::Opened, 60);
    for told in [Told::default(), opened] {
        assert_eq!(due(&paused(hours(30)), &told, at(hours(30))), Due::Nothing);
    }
}

#[test]
fn test_mode_is_told_when_it_fails_and_when_it_is_over() {
    let mut incident = lasting(30);
    let test = |incident: &Incident, s| Facts::of(incident, Mode::Test, 5_000, at(s));
    assert_eq!(
        due(&test(&incident, 60), &Told::default(), at(60)),
        Due::Now(Step::Opened)
    );
    let opened = told(&incident, Step::Opened, 60);
    incident.gave_up(id(), Kind::TokenCreated, at(70));
    assert_eq!(due(&test(&incident, hours(99)), &opened, at(hours(99))), Due::Nothing);
    let over = recovers(incident, hours(99));
    assert_eq!(
        due(&test(&over, hours(99)), &opened, at(hours(99))),
        Due::Now(Step::Recovered)
    );
}

#[test]
fn several_fail_when_one_does_and_are_over_when_all_are() {
    let (one, other) = (lasting(30), fails(None, 503, 20));
    let both = facts(&one, 60).and(&facts(&other, 60));
    assert_eq!((both.opened_at, both.waiting), (at(0), 2));
    assert_eq!(due(&both, &Told::default(), at(60)), Due::Now(Step::Opened));
    let half = facts(&recovers(one.clone(), 70), 80).and(&facts(&other, 80));
    assert_eq!(half.recovered_at, None);
    let over = facts(&recovers(one, 70), 90).and(&facts(&recovers(other, 90), 90));
    assert_eq!((over.recovered_at, over.settled_at), (Some(at(90)), Some(at(690))));
}

#[test]
fn same_trouble_is_told_once_an_hour() {
    assert_eq!(trouble_due(at(0), None), at(10));
    assert_eq!(trouble_due(at(100), Some(at(10))), at(3610));
    assert_eq!(trouble_due(at(9_000), Some(at(10))), at(9_010));
}

#[test]
fn store_keeps_steps_by_name() {
    let steps = [
        (Step::FailsAgain, "fails-again"),
        (Step::GaveUp(12), "gave-up-12"),
        (Step::Grew(1_000), "grew-1000"),
        (Step::Opened, "opened"),
        (Step::Recovered, "recovered"),
        (Step::RecoveredAgain, "recovered-again"),
        (Step::StillFailing(4), "still-failing-4h"),
    ];
    for (step, name) in steps {
        assert_eq!((step.to_string().as_str(), name.parse()), (name, Ok(step)));
    }
    for name in ["gave-up-", "Opened", "grew-x", "still-failing-4"] {
        assert!(name.parse::<Step>().is_err(), "{name}");
    }
    let told = told(&fails(None, 503, 0), Step::Opened, 0);
    let json = serde_json::to_string(&told).unwrap();
    assert_eq!(
        json,
        r#"{"steps":[{"step":"opened","at":"2027-01-15T08:00:00Z"}],"given_up":0,"waiting":1}"#
    );
    assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
}

proptest! {
    /// Whatever happens: every dead letter is told, no step twice, and when all is over, what was told is told to be.
    #[test]
    fn every_history_is_told_once_and_to_its_end(
        history in proptest::collection::vec((0u8..5, 0i64..4000), 0..60)
    ) {
        let mut incident = fails(None, 503, 0);
        let mut told = Told::default();
        let mut now = 0;
        let tell = |incident: &Incident, told: &mut Told, now: i64| {
            while let Due::Now(step) = due_at(incident, told, now) {
                told.add(step, &facts(incident, now), at(now));
            }
        };
        for (what, later) in history {
            now += later;
            match what {
                0 | 1 if incident.spans(at(now)) => incident = fails(Some(incident), 503, now),
                2 if incident.is_open() => incident.gave_up(id(), Kind::TokenCreated, at(now)),
                3 if incident.is_open() => incident = succeeds(incident, now),
                4 if incident.ends_at().is_some_and(|ends| ends <= at(now)) => incident.end(at(now)),
                _ => {}
            }
            tell(&incident, &mut told, now);
        }
        if incident.is_open() {
            incident = recovers(incident, now + 700);
        }
        tell(&incident, &mut told, now + 1_400);
        prop_assert_eq!(due_at(&incident, &told, now + 99_999), Due::Nothing);
        prop_assert_eq!(told.given_up, incident.given_up.count);
        let names: Vec<_> = told.steps.iter().map(|told| told.step).collect();
        let unique: HashSet<_> = names.iter().collect();
        prop_assert_eq!(unique.len(), names.len(), "{:?}", names);
        prop_assert!(names.last().is_none_or(|last| last.is_recovery()), "{:?}", names);
    }
}
