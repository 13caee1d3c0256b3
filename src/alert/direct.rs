//! E-mails that go to the mail server at once, past the outbox: a trial, and that the store has failed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::text::{Email, trial_email, trouble_email};
use super::{Control, Mailer, MailerError, SendError, Settings};
use crate::domain::Trouble;
use crate::outbox::{DueEmail, TroubleRow};

/// The daemon ends all the same once this is over.
const BEFORE_THE_END: Duration = Duration::from_secs(20);

/// A daemon that is started again and again by its supervisor tells of it no more often.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What became of a trial e-mail.
#[derive(Clone, Debug)]
pub struct Trial {
    pub to: String,
    /// What this address is told of, in its language.
    pub told_of: Vec<String>,
    /// What the server said.
    pub sent: Result<String, SendError>,
}

/// Sends one e-mail to each address that is configured, or only to this one, and waits for what the server says.
///
/// # Errors
///
/// [`MailerError`] if `[mail]` cannot be used; `None` if there is none.
pub async fn send_trials(
    settings: &Settings,
    only: Option<Mailbox>,
    now: Timestamp,
) -> Result<Option<Vec<Trial>>, MailerError> {
    let Some(mail) = &settings.mail else { return Ok(None) };
    let mailer = Mailer::new(mail)?;
    let all = settings.everybody();
    let chosen = match only {
        Some(only) => {
            let known = all.into_iter().find(|one| one.mailbox.email == only.email);
            vec![known.unwrap_or_else(|| settings.stranger(only))]
        }
        None => all,
    };
    let mut trials = Vec::new();
    // One after the other: a server that greets slowly is asked once.
    for one in chosen {
        let email = trial_email(&one.told_of, now, &one.voice);
        let id = format!("test-{}-{}", now.as_millisecond(), trials.len());
        let sent = mailer
            .send(&addressed(&email, &one.mailbox, &id, mailer.domain(), now))
            .await;
        trials.push(Trial {
            to: one.mailbox.email.to_string(),
            told_of: one.told_of,
            sent,
        });
    }
    mailer.rest().await;
    Ok(Some(trials))
}

impl Control {
    /// Tells the operators that the store has failed, with what could not be stored: best effort, within a bound.
    /// `stamp`: a file that remembers when that was told last.
    pub async fn tell_store_failed(&self, why: &str, stamp: &Path, now: Timestamp) {
        let rules = self.rules();
        if rules.mailer.is_none() || is_fresh(stamp, now) {
            return;
        }
        if let Err(error) = std::fs::write(stamp, "") {
            tracing::warn!(%error, "cannot remember that the failure of the store is told: {error}");
        }
        let failed = Trouble::StoreFailed { why: why.to_owned() };
        let troubles = [Some(failed), self.outbox.take_losses()];
        let rows: Vec<_> = (1..)
            .zip(troubles.into_iter().flatten())
            .map(|(id, trouble)| TroubleRow { id, at: now, trouble })
            .collect();
        let email = trouble_email(&rows.iter().collect::<Vec<_>>(), &rules.settings);
        let mut sending = JoinSet::new();
        for (number, mailbox) in rules.settings.operators().into_iter().cloned().enumerate() {
            let (rules, email) = (std::sync::Arc::clone(&rules), email.clone());
            sending.spawn(async move {
                let Some(mailer) = &rules.mailer else { return };
                let id = format!("store-failed-{}-{number}", now.as_millisecond());
                if let Err(why) = mailer
                    .send(&addressed(&email, &mailbox, &id, mailer.domain(), now))
                    .await
                {
                    tracing::error!(error = %why, "an operator is not told that the store has failed: {why}");
                }
            });
        }
        let all = async { while sending.join_next().await.is_some() {} };
        if timeout(BEFORE_THE_END, all).await.is_err() {
            tracing::error!("the operators are not told in time that the store has failed");
        }
    }
}

fn addressed(email: &Email, to: &Mailbox, id: &str, domain: &str, now: Timestamp) -> DueEmail {
    DueEmail {
        id: 0,
        to: to.to_string(),
        address: to.email.to_string(),
        message_id: format!("<{id}@{domain}>"),
        in_reply_to: None,
        subject: email.subject.clone(),
        text: email.text.clone(),
        created_at: now,
        attempts: 0,
    }
}

fn is_fresh(stamp: &Path, now: Timestamp) -> bool {
    let written = std::fs::metadata(stamp).and_then(|file| file.modified());
    let written = written.ok().and_then(|time: SystemTime| Timestamp::try_from(time).ok());
    written.is_some_and(|at| at <= now && now.duration_since(at) < AGAIN)
}
