//! Which incidents are told as one: pure decisions.
//!
//! What fails together has one cause, and on-call is told of it once. Incidents of one company and mode become one
//! thread when an e-mail about one of them is due and others, of which nobody was told, fail alike: all destinations
//! of the company, or those of one host. Whoever fails alike later joins it without an e-mail of its own, as long as it
//! is open. The oldest incident leads: its number names the thread, and what was told stands in its row.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::step::{Acknowledgement, Due, Facts, Told, due};
use crate::domain::{Class, DestinationKey, LegalEntityId, Mode};
use crate::outbox::IncidentRow;

/// An incident with what is known of its destination.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) row: IncidentRow,
    pub(super) facts: Facts,
    /// What was told in the thread that it leads.
    pub(super) told: Told,
    /// Of the destination's URL; `None`: it is configured no more.
    pub(super) host: Option<String>,
}

impl Seen {
    pub(super) fn new(
        row: IncidentRow,
        waiting: u64,
        host: Option<String>,
        tells_attempts: bool,
        now: Timestamp,
    ) -> Self {
        let told = remembered(&row);
        let acknowledged = row.acknowledged.as_ref().map(|told| Acknowledgement {
            at: told.at,
            until: told.until,
        });
        // Nobody has tried it since it was resumed, or is served again: whether it still fails will be seen.
        let is_stale = row.incident.last_failure.at < row.tried_from && row.tried_from <= now;
        let facts = Facts {
            acknowledged,
            is_paused: row.is_paused || host.is_none() || is_stale,
            tells_attempts,
            // A failed attempt was told by an e-mail of its own.
            given_up: if tells_attempts {
                row.incident.given_up.unattempted
            } else {
                row.incident.given_up.count
            },
            ..Facts::of(&row.incident, row.destination.mode, waiting, now)
        };
        Self { row, facts, told, host }
    }

    /// Those who may hear of each other.
    fn circle(&self) -> (&LegalEntityId, Mode) {
        (&self.row.destination.legal_entity, self.row.destination.mode)
    }

    fn class(&self) -> Class {
        self.row.incident.last_failure.symptom.class()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.circle() == other.circle() && self.class() == other.class()
    }

    fn shares_host(&self, other: &Self) -> bool {
        self.host.is_some() && self.host == other.host
    }

    fn is_open(&self) -> bool {
        self.row.incident.is_open()
    }

    /// Whether nobody was told of it, and somebody is to be.
    fn may_join(&self) -> bool {
        let facts = &self.facts;
        let is_quiet = facts.is_paused || facts.acknowledged.is_some() || facts.tells_attempts;
        self.is_open() && self.told.is_empty() && !is_quiet && facts.fails_from.is_some()
    }
}

/// Incidents that are told as one; most are alone.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    /// The number that names it.
    pub(super) leader: i64,
    /// By number; at least one.
    pub(super) members: Vec<Seen>,
    /// Whether the store does not know all of them as members.
    pub(super) has_new: bool,
}

impl Thread {
    fn alone(seen: Seen) -> Self {
        Self {
            leader: seen.row.id,
            members: vec![seen],
            has_new: false,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let all = together(&self.members).expect("a thread has members");
        Facts {
            given_up: all.given_up,
            given_up_first_at: all.given_up_first_at,
            ..together(self.spoken_of()).unwrap_or(all)
        }
    }

    /// The members that an e-mail is about. The others are paused or served no more: they keep nobody waiting for the
    /// news that the rest works again. If all are, all.
    pub(super) fn spoken_of(&self) -> Vec<&Seen> {
        let is_meant = |member: &&Seen| !member.is_open() || !member.facts.is_paused;
        let meant: Vec<_> = self.members.iter().filter(is_meant).collect();
        if meant.is_empty() {
            self.members.iter().collect()
        } else {
            meant
        }
    }

    /// What was told in it.
    pub(super) fn told(&self) -> Told {
        let leader = self.members.iter().find(|member| member.row.id == self.leader);
        leader.map_or_else(Told::default, |leader| leader.told.clone())
    }

    /// The one host of all of them, if they are several and there is one.
    pub(super) fn host(&self) -> Option<&str> {
        // Who is served no more has none, and changes nothing.
        let mut hosts = self.members.iter().filter_map(|member| member.host.as_deref());
        let first = hosts.next()?;
        hosts.all(|host| host == first).then_some(first)
    }

    fn takes(&self, candidate: &Seen) -> bool {
        let mut alike = self
            .members
            .iter()
            .filter(|member| member.is_open() && member.is_like(candidate));
        self.members.len() > 1 && alike.any(|member| self.host().is_none() || member.shares_host(candidate))
    }

    fn add(&mut self, members: Vec<Seen>) {
        self.members.extend(members);
        self.members.sort_by_key(|member| member.row.id);
        self.has_new = true;
    }
}

/// Puts incidents that fail alike together; `configured` are the destinations that are served.
pub(super) fn threads(mut seen: Vec<Seen>, configured: &[&DestinationKey], now: Timestamp) -> Vec<Thread> {
    seen.sort_by_key(|seen| seen.row.id);
    let mut groups: BTreeMap<i64, Thread> = BTreeMap::new();
    let mut single = Vec::new();
    for seen in seen {
        let Some(leader) = seen.row.told_with else {
            single.push(seen);
            continue;
        };
        let group = groups.entry(leader).or_insert_with(|| Thread {
            leader,
            members: Vec::new(),
            has_new: false,
        });
        group.members.push(seen);
    }
    let is_due = |seen: &Seen| seen.may_join() && matches!(due(&seen.facts, &seen.told, now), Due::Now(_));
    while let Some(at) = single.iter().position(is_due) {
        let candidate = single[at].clone();
        if let Some(group) = groups.values_mut().find(|group| group.takes(&candidate)) {
            group.add(vec![single.remove(at)]);
            continue;
        }
        let everywhere = fails_everywhere(&candidate, single.iter().chain(members(&groups)), configured);
        let joins = |other: &Seen| {
            other.may_join() && other.is_like(&candidate) && (everywhere || other.shares_host(&candidate))
        };
        let is_alone = |seen: &Seen| seen.row.id == candidate.row.id;
        let (mut alike, others): (Vec<_>, Vec<_>) =
            single.into_iter().partition(|other| is_alone(other) || joins(other));
        single = others;
        let leader = alike[0].row.id;
        let mut group = Thread::alone(alike.remove(0));
        if !alike.is_empty() {
            group.add(alike);
        }
        groups.insert(leader, group);
    }
    groups
        .into_values()
        .chain(single.into_iter().map(Thread::alone))
        .collect()
}

/// What is decided upon for all of these; `None`: there are none.
fn together<'a>(members: impl IntoIterator<Item = &'a Seen>) -> Option<Facts> {
    let facts = members.into_iter().map(|member| member.facts.clone());
    facts.reduce(|one, other| one.and(&other))
}

fn members(groups: &BTreeMap<i64, Thread>) -> impl Iterator<Item = &Seen> {
    groups.values().flat_map(|group| &group.members)
}

/// Whether all destinations of the candidate's company and mode fail like it, and not because of one host.
fn fails_everywhere<'a>(
    candidate: &Seen,
    seen: impl Iterator<Item = &'a Seen>,
    configured: &[&DestinationKey],
) -> bool {
    let alike: Vec<_> = seen
        .filter(|other| other.is_open() && other.is_like(candidate))
        .collect();
    let failing: HashSet<_> = alike.iter().map(|other| &other.row.destination).collect();
    let hosts: HashSet<_> = alike.iter().map(|other| &other.host).collect();
    let mut of_circle = configured
        .iter()
        .filter(|key| (&key.legal_entity, key.mode) == candidate.circle());
    hosts.len() > 1 && of_circle.all(|key| failing.contains(*key))
}

/// What was told of an incident.
pub(super) fn remembered(row: &IncidentRow) -> Told {
    if row.told.is_empty() {
        return Told::default();
    }
    serde_json::from_str(&row.told).unwrap_or_else(|error| {
        // The rows of e-mails are unique: what is told again by mistake is not sent again.
        tracing::error!(incident.id = row.id, %error, "cannot read what was told of incident {}, starting anew: {error}", row.id);
        Told::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::step::Step;
    use crate::domain::{Attempted, Cause, Incident, Kind, NotificationId, Outcome, Rendition};

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn key(company: &str, shop: u32) -> DestinationKey {
        DestinationKey {
            legal_entity: company.parse().unwrap(),
            shop: format!("{shop:08}").parse().unwrap(),
            mode: Mode::Production,
            rendition: Rendition::Event,
        }
    }

    /// An incident that is due at 60.
    fn failing(id: i64, key: DestinationKey, host: &str, status: u16) -> Seen {
        let outcome = Outcome::Unavailable {
            cause: Cause::Status(status),
            answer: None,
            detail: String::new(),
        };
        let mut incident = None;
        for s in [0, 30] {
            let attempted = Attempted {
                notification: NotificationId::new(at(0)),
                matter: Kind::TokenCreated.into(),
                outcome: &outcome,
                gave_up: false,
                at: at(s),
            };
            incident = Incident::observe(incident, &attempted);
        }
        let row = IncidentRow {
            id,
            destination: key,
            version: 1,
            incident: incident.unwrap(),
            told: String::new(),
            told_with: None,
            acknowledged: None,
            is_paused: false,
            tried_from: at(0),
        };
        Seen::new(row, 1, Some(host.to_owned()), false, at(60))
    }

    fn together(seen: &[Seen], configured: &[DestinationKey]) -> Vec<Vec<i64>> {
        let configured: Vec<_> = configured.iter().collect();
        let threads = threads(seen.to_vec(), &configured, at(60));
        let mut ids: Vec<Vec<i64>> = threads
            .iter()
            .map(|thread| thread.members.iter().map(|member| member.row.id).collect())
            .collect();
        ids.sort();
        ids
    }

    /// One of several that were told to fail.
    fn of_group(id: i64, shop: u32) -> Seen {
        let mut seen = failing(id, key("acme", shop), "shops.example", 503);
        seen.row.told_with = Some(1);
        seen.told.add(Step::Opened, &seen.facts.clone(), at(60));
        seen
    }

    /// What is known of it by now, after a restart of what tells.
    fn again(seen: Seen, host: Option<&str>, now: Timestamp) -> Seen {
        let told = seen.told;
        let again = Seen::new(seen.row, 1, host.map(str::to_owned), false, now);
        Seen { told, ..again }
    }

    /// Nobody fails everywhere while this one works.
    fn works(company: &str) -> DestinationKey {
        key(company, 99)
    }

    #[test]
    fn destinations_of_one_host_that_fail_alike_are_one_thread() {
        let seen: Vec<_> = (1..=10)
            .map(|n| failing(n.into(), key("acme", n), "shops.example", 503))
            .collect();
        let threads = threads(seen, &[&works("acme")], at(60));
        assert_eq!(threads.len(), 1);
        assert_eq!((threads[0].leader, threads[0].members.len()), (1, 10));
        assert_eq!((threads[0].host(), threads[0].has_new), (Some("shops.example"), true));
        assert_eq!(threads[0].facts().waiting, 10);
    }

    #[test]
    fn who_differs_is_told_alone() {
        let seen = [
            failing(1, key("acme", 1), "shops.example", 503),
            failing(2, key("acme", 2), "elsewhere.example", 503),
            failing(3, key("acme", 3), "shops.example", 404),
            failing(4, key("bravo", 4), "shops.example", 503),
            failing(5, key("acme", 5), "shops.example", 500),
        ];
        let configured = [works("acme"), works("bravo")];
        assert_eq!(together(&seen, &configured), [vec![1, 5], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn all_destinations_of_a_company_are_one_thread_although_the_hosts_differ() {
        let all = [key("acme", 1), key("acme", 2), key("acme", 3)];
        let hosts = ["a.example", "b.example", "b.example"];
        let seen: Vec<_> = (1..)
            .zip(all.iter().zip(hosts))
            .map(|(id, (key, host))| failing(id, key.clone(), host, 503))
            .collect();
        assert_eq!(together(&seen, &all), [[1, 2, 3]]);
        let and_one_works = [&all[..], &[works("acme")]].concat();
        assert_eq!(together(&seen, &and_one_works), [vec![1], vec![2, 3]]);
    }

    #[test]
    fn who_comes_later_joins_a_thread_that_is_open_and_nobody_else() {
        let late = failing(9, key("acme", 9), "shops.example", 503);
        let configured = [works("acme")];
        let seen = [of_group(1, 1), of_group(2, 2), late.clone()];
        assert_eq!(together(&seen, &configured), [[1, 2, 9]]);
        let over = seen.map(|mut seen| {
            if seen.row.id != 9 {
                seen.row.incident.end(at(50));
            }
            seen
        });
        assert_eq!(together(&over, &configured), [vec![1, 2], vec![9]]);
        // Who was told of alone stays alone.
        let mut alone = failing(1, key("acme", 1), "shops.example", 503);
        alone.told.add(Step::Opened, &alone.facts.clone(), at(60));
        assert_eq!(together(&[alone, late], &configured), [[1], [9]]);
    }

    #[test]
    fn who_is_paused_or_served_no_more_does_not_keep_the_others_from_being_told_well() {
        let over = |mut seen: Seen| {
            seen.row.incident.end(at(70));
            again(seen, Some("shops.example"), at(70))
        };
        let mut paused = of_group(3, 3);
        paused.row.is_paused = true;
        let gone = again(of_group(4, 4), None, at(70));
        let fails = of_group(5, 5);
        let paused = again(paused, Some("shops.example"), at(70));
        let thread = |of: Vec<Seen>| threads(of, &[&works("acme")], at(70)).remove(0);
        let well = thread(vec![
            over(of_group(1, 1)),
            over(of_group(2, 2)),
            paused.clone(),
            gone.clone(),
        ]);
        assert_eq!(due(&well.facts(), &well.told(), at(70)), Due::Now(Step::Recovered));
        assert_eq!((well.spoken_of().len(), well.host()), (2, Some("shops.example")));
        let not_all = thread(vec![over(of_group(1, 1)), fails, paused.clone(), gone.clone()]);
        assert_eq!(not_all.facts().recovered_at, None);
        let silent = thread(vec![paused, gone]);
        assert_eq!(due(&silent.facts(), &silent.told(), at(90_000)), Due::Nothing);
    }

    #[test]
    fn what_is_resumed_is_silent_until_it_fails_again() {
        let mut seen = failing(1, key("acme", 1), "lyon.example", 503);
        seen.row.tried_from = at(90_000);
        let resumed = again(seen.clone(), Some("lyon.example"), at(90_000));
        assert_eq!(due(&resumed.facts, &Told::default(), at(90_000)), Due::Nothing);
        // A clock that was set back since must not silence it for as long.
        let set_back = again(seen.clone(), Some("lyon.example"), at(100));
        assert_eq!(due(&set_back.facts, &Told::default(), at(100)), Due::Now(Step::Opened));
        seen.row.incident.last_failure.at = at(90_010);
        let fails = again(seen, Some("lyon.example"), at(90_010));
        assert_eq!(due(&fails.facts, &Told::default(), at(90_010)), Due::Now(Step::Opened));
    }

    #[test]
    fn who_is_paused_or_looked_after_joins_nothing() {
        let one = failing(1, key("acme", 1), "shops.example", 503);
        let mut paused = failing(2, key("acme", 2), "shops.example", 503);
        paused.facts.is_paused = true;
        let mut known = failing(3, key("acme", 3), "shops.example", 503);
        known.facts.acknowledged = Some(Acknowledgement {
            at: at(40),
            until: None,
        });
        assert_eq!(together(&[one, paused, known], &[works("acme")]), [[1], [2], [3]]);
    }
}
