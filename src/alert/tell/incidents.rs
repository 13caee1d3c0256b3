use std::collections::HashSet;
use std::ops::Range;

use jiff::Timestamp;
use lettre::message::Mailbox;

use super::super::language::Voice;
use super::super::settings::each_once;
use super::super::step::{Due, Step, due, earlier};
use super::super::text::{Alike, Group, Situation, group_email, incident_email};
use super::super::thread::{Seen, Thread, remembered, threads};
use super::super::{Alert, Rules};
use super::{Place, message_id};
use crate::domain::Mode;
use crate::outbox::{IncidentRow, NewEmail, OutboxError, Telling, Waiting, WaitingNotification};

/// Looked at in one go; open incidents are at most as many as destinations.
const INCIDENTS: u32 = 10_000;

/// Notifications that an e-mail names.
const LISTED: usize = 10;

/// Fewer waiting deliveries need not be counted, and more are not told apart.
const COUNTED: Range<u64> = 1_000..100_000;

impl Alert {
    /// Tells of every incident what is due, and returns when the next step is.
    pub(in crate::alert) async fn tell_incidents(&self) -> Result<Option<Timestamp>, OutboxError> {
        let (now, rules) = (self.clock.now(), self.rules());
        let rows = self.outbox.unseen_incidents(INCIDENTS).await?;
        let may_grow: HashSet<i64> = rows.iter().filter(|row| may_grow(row)).map(|row| row.id).collect();
        let mut seen = Vec::new();
        for row in rows {
            let is_counted = may_grow.contains(&row.told_with.unwrap_or(row.id));
            seen.push(self.look(row, is_counted, &rules, now).await?);
        }
        let mut next = None;
        let configured: Vec<_> = rules.destinations.keys().collect();
        let mut failed = Ok(());
        for thread in threads(seen, &configured, now) {
            match self.tell_thread(&thread, &rules, now).await {
                Ok(later) => next = earlier(next, later),
                // A row that cannot be read, perhaps: the other incidents are told all the same.
                Err(error) => failed = Err(error),
            }
        }
        failed.map(|()| next)
    }

    async fn look(
        &self,
        row: IncidentRow,
        is_counted: bool,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Seen, OutboxError> {
        let known = rules.destinations.get(&row.destination);
        let host = known.and_then(|known| known.url.host_str()).map(str::to_owned);
        let tells_attempts = known.is_some_and(|known| known.tells_attempts);
        let waiting = match is_counted {
            true => self.outbox.waiting_count(&row.destination, COUNTED).await?,
            false => 0,
        };
        Ok(Seen::new(row, waiting, host, tells_attempts, now))
    }

    /// Tells every step that is due, and returns when the next one is.
    async fn tell_thread(
        &self,
        thread: &Thread,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OutboxError> {
        let (facts, mut told) = (thread.facts(), thread.told());
        let mut steps = Vec::new();
        let later = loop {
            match due(&facts, &told, now) {
                Due::Now(step) => {
                    told.add(step, &facts, now);
                    steps.push(step);
                }
                Due::At(later) => break Some(later),
                Due::Nothing => break None,
            }
        };
        // With nothing to tell it stays unseen as long as there is something to come: looking at it again costs less
        // than a write.
        let is_over = facts.recovered_at.is_some() && later.is_none();
        if steps.is_empty() && !thread.has_new && !is_over {
            return Ok(later);
        }
        let emails = if steps.is_empty() {
            Vec::new()
        } else {
            self.thread_emails(thread, &steps, rules, now).await?
        };
        // No version is 0.
        let version = |seen: &Seen| if later.is_some() { 0 } else { seen.row.version };
        let versions = thread.members.iter().map(|member| (member.row.id, version(member)));
        let (leads, others): (Vec<_>, Vec<_>) = versions.partition(|(id, _)| *id == thread.leader);
        let telling = Telling {
            incident: thread.leader,
            version: leads.first().map_or(0, |(_, version)| *version),
            others,
            told: serde_json::to_string(&told).map_err(|error| OutboxError::Failed(error.to_string()))?,
            emails,
        };
        self.outbox.tell(telling, now).await?;
        Ok(later)
    }

    /// The e-mails of these steps, to everybody on call.
    async fn thread_emails(
        &self,
        thread: &Thread,
        steps: &[Step],
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Vec<NewEmail>, OutboxError> {
        let Some(first) = thread.members.first() else {
            return Ok(Vec::new());
        };
        let mut stored = Vec::new();
        let spoken_of = thread.spoken_of();
        for member in &spoken_of {
            let incident = &member.row.incident;
            let waiting = self.outbox.waiting(&member.row.destination, LISTED).await?;
            let given_up = incident.given_up.first.iter().map(|(id, _)| *id).collect();
            let (given_up, shop) = (
                self.outbox.listed(given_up).await?,
                member.row.destination.shop.to_string(),
            );
            stored.push((waiting, given_up, shop));
        }
        let situations: Vec<_> = spoken_of
            .iter()
            .zip(&stored)
            .map(|(member, (waiting, given_up, shop))| situation(&member.row, rules, (waiting, given_up, shop), now))
            .collect();
        let voice = rules.settings.voice(&first.row.destination.legal_entity);
        let to = on_call(thread, rules);
        let name = format!("incident-{}", thread.leader);
        // What makes the thread unlike that of any other outbox, too.
        let leader = thread
            .members
            .iter()
            .find(|member| member.row.id == thread.leader)
            .unwrap_or(first);
        let salt = format!("{} {}", leader.row.destination, leader.row.incident.opened_at);
        let mut emails = Vec::new();
        for step in steps {
            let email = write(thread, &situations, *step, &voice);
            emails.extend(self.addressed(&email, &to, |mailbox| Place {
                id: message_id(&name, &step.to_string(), &salt, mailbox),
                is_follower: true,
                thread: name.clone(),
                step: step.to_string(),
            }));
        }
        Ok(emails)
    }
}

/// Whether a larger number of waiting deliveries is worth an e-mail in the thread that this one leads.
fn may_grow(row: &IncidentRow) -> bool {
    let is_told = row.destination.mode == Mode::Production && !row.is_paused;
    is_told && row.incident.is_open() && remembered(row).may_grow()
}

fn situation<'a>(
    row: &'a IncidentRow,
    rules: &'a Rules,
    (waiting, given_up, shop): (&'a Waiting, &'a [WaitingNotification], &'a str),
    now: Timestamp,
) -> Situation<'a> {
    let key = &row.destination;
    let known = rules.destinations.get(key);
    Situation {
        number: row.id,
        destination: key,
        legal_entity_name: known.map_or(key.legal_entity.as_str(), |known| &known.legal_entity_name),
        shop_name: known.map_or(shop, |known| &known.shop_name),
        url: known.map(|known| &known.url),
        incident: &row.incident,
        waiting,
        given_up,
        gives_up_at: known.and_then(|known| Some(waiting.oldest? + known.give_up_after)),
        now,
    }
}

fn write(thread: &Thread, situations: &[Situation<'_>], step: Step, voice: &Voice) -> super::Email {
    match situations {
        [one] => incident_email(one, step, voice),
        members => {
            let alike = thread.host().map_or(Alike::Everything, Alike::Host);
            group_email(&Group { alike, members }, step, voice)
        }
    }
}

/// Everybody who is told of one of them; all are of one company.
fn on_call<'a>(thread: &'a Thread, rules: &'a Rules) -> Vec<&'a Mailbox> {
    each_once(thread.members.iter().flat_map(|member| {
        let key = &member.row.destination;
        rules.settings.on_call(&key.legal_entity, key.shop)
    }))
}
