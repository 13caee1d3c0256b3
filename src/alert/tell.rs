//! What is to be told becomes e-mails in the outbox.

mod incidents;
mod notices;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lettre::message::Mailbox;
use sha2::{Digest, Sha256};

use super::Alert;
use super::step::{earlier, trouble_due};
use super::text::{Email, trouble_email};
use crate::outbox::{NewEmail, OutboxError, TroubleRow};

/// Looked at in one go.
const TROUBLES: u32 = 1_000;

/// Of troubles of one kind that wait for the end of the hour, when there are more than can be looked at.
const KEPT: usize = 100;

impl Alert {
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
                is_follower: false,
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
                is_follower,
                thread,
                step,
            } = place(mailbox);
            NewEmail {
                thread,
                step,
                to: mailbox.to_string(),
                address: address(mailbox),
                message_id: format!("<{id}@{domain}>"),
                is_follower,
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
    /// Whether it answers what began the thread.
    is_follower: bool,
}

/// What stands for a mailbox: no server that is alive tells one from another by the case alone.
fn address(mailbox: &Mailbox) -> String {
    mailbox.email.to_string().to_lowercase()
}

/// The part of a `Message-ID` before the `@`: the same whenever it is asked for.
fn message_id(thread: &str, step: &str, salt: &str, mailbox: &Mailbox) -> String {
    let hash = Sha256::digest(format!("{thread}\n{step}\n{salt}\n{}", mailbox.email));
    format!("{thread}-{step}-{}", hex::encode(&hash[..8]))
}
