//! What is to be told becomes e-mails in the outbox.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lettre::message::Mailbox;
use sha2::{Digest, Sha256};

use super::Alert;
use super::step::{Due, Step, Told, due, trouble_due};
use super::text::{Email, Situation, incident_email, trouble_email};
use crate::outbox::{IncidentRow, NewEmail, OutboxError, Telling, TroubleRow};

/// Looked at in one go; open incidents are at most as many as destinations.
const INCIDENTS: u32 = 10_000;
const TROUBLES: u32 = 1_000;

/// Of troubles of one kind that wait for the end of the hour, when there are more than can be looked at.
const KEPT: usize = 100;

/// Notifications that an e-mail names.
const LISTED: usize = 10;

impl Alert {
    /// Tells of every incident what is due, and returns when the next step is.
    pub(super) async fn tell_incidents(&self) -> Result<Option<Timestamp>, OutboxError> {
        let mut next = None;
        for row in self.outbox.unseen_incidents(INCIDENTS).await? {
            next = earlier(next, self.tell_incident(&row).await?);
        }
        Ok(next)
    }

    /// Tells every step that is due, and returns when the next one is.
    async fn tell_incident(&self, row: &IncidentRow) -> Result<Option<Timestamp>, OutboxError> {
        let now = self.clock.now();
        let mut told = remembered(row);
        let mut steps = Vec::new();
        let later = loop {
            match due(&row.incident, &told, now) {
                Due::Now(step) => {
                    steps.push((step, told.first()));
                    told.add(step, &row.incident, now);
                }
                Due::At(later) => break Some(later),
                Due::Nothing => break None,
            }
        };
        // An open incident with nothing to tell stays unseen: looking at it again costs less than a write.
        if steps.is_empty() && (later.is_some() || row.incident.is_open()) {
            return Ok(later);
        }
        let emails = self.incident_emails(row, &steps, now).await?;
        let telling = Telling {
            incident: row.id,
            // Unseen as long as there is something to come: no version is 0.
            version: if later.is_some() { 0 } else { row.version },
            told: serde_json::to_string(&told).map_err(|error| OutboxError::Failed(error.to_string()))?,
            emails,
        };
        self.outbox.tell(telling, now).await?;
        Ok(later)
    }

    /// The e-mails of these steps, each with the step that began the thread, to everybody on call.
    async fn incident_emails(
        &self,
        row: &IncidentRow,
        steps: &[(Step, Option<Step>)],
        now: Timestamp,
    ) -> Result<Vec<NewEmail>, OutboxError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let key = &row.destination;
        let rules = self.rules();
        let to = rules.settings.on_call(&key.legal_entity, key.shop);
        let waiting = self.outbox.waiting(key, LISTED).await?;
        let given_up = row.incident.given_up.first.iter().map(|(id, _)| *id);
        let given_up = self.outbox.listed(given_up.collect()).await?;
        let known = rules.destinations.get(key);
        let shop = key.shop.to_string();
        let voice = rules.settings.voice(&key.legal_entity);
        let situation = Situation {
            number: row.id,
            destination: key,
            legal_entity_name: known.map_or(key.legal_entity.as_str(), |known| &known.legal_entity_name),
            shop_name: known.map_or(&shop, |known| &known.shop_name),
            url: known.map(|known| &known.url),
            incident: &row.incident,
            waiting: &waiting,
            given_up: &given_up,
            gives_up_at: known.and_then(|known| Some(waiting.oldest? + known.give_up_after)),
            now,
        };
        let mut emails = Vec::new();
        for (step, first) in steps {
            let email = incident_email(&situation, *step, &voice);
            let thread = format!("incident-{}", row.id);
            // What makes the thread unlike that of any other outbox, too.
            let salt = format!("{key} {}", row.incident.opened_at);
            emails.extend(self.addressed(&email, &to, |mailbox| Place {
                id: message_id(&thread, &step.to_string(), &salt, mailbox),
                first: first.map(|first| message_id(&thread, &first.to_string(), &salt, mailbox)),
                thread: thread.clone(),
                step: step.to_string(),
            }));
        }
        Ok(emails)
    }

    /// Tells the operators of troubles, and returns when the next may be told.
    pub(super) async fn tell_troubles(&self) -> Result<Option<Timestamp>, OutboxError> {
        let rows = self.outbox.unseen_troubles(TROUBLES).await?;
        let mut by_word: BTreeMap<&str, Vec<&TroubleRow>> = BTreeMap::new();
        for row in &rows {
            by_word.entry(row.trouble.word()).or_default().push(row);
        }
        let mut next = None;
        for (word, of_word) in by_word {
            let later = self.tell_trouble(word, &of_word).await?;
            if later.is_some() && rows.len() == TROUBLES as usize {
                self.thin_out(word, &of_word).await?;
            }
            next = earlier(next, later);
        }
        Ok(next)
    }

    /// Forgets all but the first of a flood: anybody can ask for unknown shops, and must not hide what else is wrong.
    async fn thin_out(&self, word: &str, rows: &[&TroubleRow]) -> Result<(), OutboxError> {
        let ids: Vec<i64> = rows.iter().skip(KEPT).map(|row| row.id).collect();
        tracing::warn!(
            trouble = word,
            number = ids.len(),
            "too many troubles of one kind, keeping the first"
        );
        self.outbox.tell_troubles(ids, Vec::new(), self.clock.now()).await
    }

    /// Tells troubles of one kind, if that was not done within the hour; else returns when it may be.
    async fn tell_trouble(&self, word: &str, rows: &[&TroubleRow]) -> Result<Option<Timestamp>, OutboxError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let thread = format!("trouble-{word}");
        let at = trouble_due(first.at, self.outbox.last_told(&thread).await?);
        if at > now {
            return Ok(Some(at));
        }
        let (step, salt) = (last.id.to_string(), last.at.to_string());
        let rules = self.rules();
        let emails = self.addressed(
            &trouble_email(rows, &rules.settings),
            &rules.settings.operators(),
            |mailbox| Place {
                id: message_id(&thread, &step, &salt, mailbox),
                first: None,
                thread: thread.clone(),
                step: step.clone(),
            },
        );
        let ids = rows.iter().map(|row| row.id).collect();
        self.outbox.tell_troubles(ids, emails, now).await?;
        Ok(None)
    }

    /// The e-mail once for each address; none without `[mail]`, or without addresses: then only the log tells.
    fn addressed(&self, email: &Email, to: &[&Mailbox], place: impl Fn(&Mailbox) -> Place) -> Vec<NewEmail> {
        let rules = self.rules();
        let Some(mailer) = &rules.mailer else {
            tracing::error!(
                subject = email.subject,
                "nobody is told, there is no [mail]: {}",
                email.subject
            );
            return Vec::new();
        };
        if to.is_empty() {
            tracing::error!(
                subject = email.subject,
                "nobody is told, there is no address: {}",
                email.subject
            );
        } else {
            tracing::warn!(
                subject = email.subject,
                addresses = to.len(),
                "telling by e-mail: {}",
                email.subject
            );
        }
        let domain = mailer.domain();
        let addressed = to.iter().map(|mailbox| {
            let Place {
                id,
                first,
                thread,
                step,
            } = place(mailbox);
            NewEmail {
                thread,
                step,
                to: mailbox.to_string(),
                message_id: format!("<{id}@{domain}>"),
                in_reply_to: first.map(|first| format!("<{first}@{domain}>")),
                subject: email.subject.clone(),
                text: email.text.clone(),
            }
        });
        addressed.collect()
    }
}

/// Where an e-mail stands: its thread and step, which make it unique with the address, and the ids of that.
struct Place {
    thread: String,
    step: String,
    id: String,
    /// The e-mail that began the thread, if this one did not.
    first: Option<String>,
}

/// What was told of an incident.
fn remembered(row: &IncidentRow) -> Told {
    if row.told.is_empty() {
        return Told::default();
    }
    serde_json::from_str(&row.told).unwrap_or_else(|error| {
        // The rows of e-mails are unique: what is told again by mistake is not sent again.
        tracing::error!(incident = row.id, %error, "what was told of an incident is unreadable, starting anew");
        Told::default()
    })
}

/// The part of a `Message-ID` before the `@`: the same whenever it is asked for.
fn message_id(thread: &str, step: &str, salt: &str, mailbox: &Mailbox) -> String {
    let hash = Sha256::digest(format!("{thread}\n{step}\n{salt}\n{}", mailbox.email));
    format!("{thread}-{step}-{}", hex::encode(&hash[..8]))
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
