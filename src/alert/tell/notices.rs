//! What is told besides incidents and troubles: single attempts, complaints, and what was held back.

use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;

use super::super::Alert;
use super::super::step::earlier;
use super::super::text::{FailedAttempt, Held, KoOfTheDay, attempt_email, digest_email, verdict_email};
use super::{Place, message_id};
use crate::domain::NotificationId;
use crate::outbox::{Complaint, HeldEmail, NewEmail, OutboxError, UntoldAttempt, WaitingNotification};

/// Looked at in one go.
const NOTICES: u32 = 200;

/// What is held back for an address is gathered for so long, and then told by one e-mail; the next one comes an hour
/// later.
const DIGEST_AFTER: SignedDuration = SignedDuration::from_mins(5);
const DIGEST_AGAIN: SignedDuration = SignedDuration::from_hours(1);

impl Alert {
    /// Tells of failed attempts where people want each; returns when to come back if there are more.
    pub(in crate::alert) async fn tell_attempts(&self) -> Result<Option<Timestamp>, OutboxError> {
        let now = self.clock.now();
        let attempts = self.outbox.untold_attempts(NOTICES).await?;
        let Some(last) = attempts.last() else {
            return Ok(None);
        };
        let (up_to, are_more) = (last.id, attempts.len() == NOTICES as usize);
        let mut emails = Vec::new();
        for attempt in &attempts {
            emails.extend(self.attempt_emails(attempt).await?);
        }
        self.outbox.tell_attempts(up_to, emails, now).await?;
        Ok(are_more.then_some(now))
    }

    async fn attempt_emails(&self, attempt: &UntoldAttempt) -> Result<Vec<NewEmail>, OutboxError> {
        let key = &attempt.destination;
        let rules = self.rules();
        let Some(notification) = self.notification(attempt.notification).await? else {
            return Ok(Vec::new());
        };
        let known = rules.destinations.get(key);
        let shop = key.shop.to_string();
        let email = attempt_email(
            &FailedAttempt {
                destination: key,
                legal_entity_name: known.map_or(key.legal_entity.as_str(), |known| &known.legal_entity_name),
                shop_name: known.map_or(&shop, |known| &known.shop_name),
                url: known.map(|known| &known.url),
                notification: &notification,
                failure: &attempt.failure,
                attempt: attempt.attempt,
                next_attempt: attempt.next_attempt,
            },
            &rules.settings.voice(&key.legal_entity),
        );
        let (destination, seq) = attempt.delivery;
        // The attempts of a delivery are a thread.
        let (thread, step) = (format!("attempt-{destination}-{seq}"), attempt.attempt.to_string());
        let salt = attempt.notification.to_string();
        let to = rules.settings.on_call(&key.legal_entity, key.shop);
        Ok(self.addressed(&email, &to, |mailbox| Place {
            id: message_id(&thread, &step, &salt, mailbox),
            is_follower: true,
            thread: thread.clone(),
            step: step.clone(),
        }))
    }

    /// Tells what shops' plugins complain of, once for each destination and day.
    pub(in crate::alert) async fn tell_complaints(&self) -> Result<Option<Timestamp>, OutboxError> {
        let now = self.clock.now();
        let complaints = self.outbox.untold_complaints(NOTICES).await?;
        if complaints.is_empty() {
            return Ok(None);
        }
        let mut emails = Vec::new();
        for complaint in &complaints {
            emails.extend(self.complaint_emails(complaint).await?);
        }
        let ids = complaints.iter().map(|complaint| complaint.id).collect();
        self.outbox.tell_complaints(ids, emails, now).await?;
        Ok((complaints.len() == NOTICES as usize).then_some(now))
    }

    async fn complaint_emails(&self, complaint: &Complaint) -> Result<Vec<NewEmail>, OutboxError> {
        let key = &complaint.destination;
        let rules = self.rules();
        let Some(notification) = self.notification(complaint.notification).await? else {
            return Ok(Vec::new());
        };
        let known = rules.destinations.get(key);
        let shop = key.shop.to_string();
        let email = verdict_email(
            &KoOfTheDay {
                destination: key,
                legal_entity_name: known.map_or(key.legal_entity.as_str(), |known| &known.legal_entity_name),
                shop_name: known.map_or(&shop, |known| &known.shop_name),
                url: known.map(|known| &known.url),
                notification: &notification,
                verdict: &complaint.verdict,
                at: complaint.at,
            },
            &rules.settings.voice(&key.legal_entity),
        );
        let thread = format!("complaint-{}", complaint.destination_id);
        let (step, salt) = (&complaint.day, complaint.at.to_string());
        let to = rules.settings.on_call(&key.legal_entity, key.shop);
        Ok(self.addressed(&email, &to, |mailbox| Place {
            id: message_id(&thread, step, &salt, mailbox),
            is_follower: false,
            thread: thread.clone(),
            step: step.clone(),
        }))
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<WaitingNotification>, OutboxError> {
        Ok(self.outbox.listed(vec![id]).await?.pop())
    }

    /// Tells each address that had too many e-mails what was held back, and returns when the next digest is due.
    pub(in crate::alert) async fn tell_digests(&self) -> Result<Option<Timestamp>, OutboxError> {
        let held = self.outbox.held_emails().await?;
        let mut next = None;
        for of_address in held.chunk_by(|one, other| one.address == other.address) {
            next = earlier(next, self.tell_digest(of_address).await?);
        }
        Ok(next)
    }

    async fn tell_digest(&self, held: &[HeldEmail]) -> Result<Option<Timestamp>, OutboxError> {
        let (Some(first), Some(last)) = (held.first(), held.last()) else {
            return Ok(None);
        };
        let (now, rules) = (self.clock.now(), self.rules());
        let before = self.outbox.last_told_to("digest", &first.address).await?;
        let due = before.map_or(first.at + DIGEST_AFTER, |before| {
            (first.at + DIGEST_AFTER).max(before + DIGEST_AGAIN)
        });
        if due > now {
            return Ok(Some(due));
        }
        let Ok(mailbox) = first.address.parse::<Mailbox>() else {
            tracing::error!(email.id = first.id, "an address that e-mails were written to is none");
            return Ok(None);
        };
        let lines: Vec<_> = held
            .iter()
            .map(|held| Held {
                at: held.at,
                subject: &held.subject,
            })
            .collect();
        let email = digest_email(&lines, &rules.settings.voice_for(&mailbox));
        let (step, salt) = (last.id.to_string(), last.at.to_string());
        let emails = self.addressed(&email, &[&mailbox], |mailbox| Place {
            id: message_id("digest", &step, &salt, mailbox),
            is_follower: false,
            thread: "digest".into(),
            step: step.clone(),
        });
        for email in emails {
            self.outbox.tell_digest(last.id, email, now).await?;
        }
        Ok(None)
    }
}
