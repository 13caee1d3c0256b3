//! Incident to mailbox: one useful thread of e-mails for each problem, and one e-mail when it is over.
//!
//! ```text
//!   outbox: incidents ──▶ step::due ──▶ text ──▶ e-mail rows ──▶ mailer ──▶ mail server
//!           troubles  ──▶ once an hour ─▶ text ──▶ (outbox)
//!           heard     ──▶ domain::Hearing ──▶ troubles: the gateway is silent
//! ```
//!
//! # Promises
//!
//! - **Each step is told once.** What was told of an incident is remembered in the transaction that makes its e-mails,
//!   and an e-mail is unique by incident, step and address. A restart tells nothing again.
//! - **No e-mail is lost.** It is a row of the outbox until the mail server has taken it, with retries for three days.
//!   It repeats only if a crash falls between the server's 250 and our record, and then with the same `Message-ID`.
//! - **One address cannot hold up another.** Each row is for one address, and succeeds or fails alone.
//! - **Nothing secret leaves.** Answers are masked where incidents are made (`domain::useful_text`), tokens and URLs
//!   where texts are written, and no text from elsewhere can add a header or a section (`text::layout`).
//!
//! # How it works
//!
//! One task looks at the incidents that have changed, decides ([`step::due`], a pure function of the incident and of
//! what was told), writes the texts (pure too), and sends what is due, one e-mail after the other. It is woken by the
//! outbox, and by the time of the next step or retry. Without `[mail]`, the log tells each step instead.
//!
//! # Left out
//!
//! Who fails alike is not told together; an incident that comes back soon after its end is another one.

mod language;
mod mailer;
mod settings;
mod step;
mod tell;
mod text;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

pub use language::Language;
pub use mailer::{MailSession, Mailer, MailerError, SendError};
pub use settings::{Destination, MailSecurity, MailSettings, Recipients, Settings};

use watch::Watch;

use crate::domain::{Clock, DestinationKey};
use crate::outbox::{DueEmail, Outbox, OutboxError};

/// After a wake-up: what is committed in the same moment is looked at together.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest rest, should a wake-up be missed; and the rest after the outbox has failed.
const IDLE: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Turns incidents and troubles into e-mails, and sends them.
#[derive(Debug)]
pub struct Alert {
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    control: Control,
    watch: Watch,
}

/// Who is told, of what, and how: as configured.
#[derive(Debug)]
pub struct Rules {
    settings: Settings,
    destinations: HashMap<DestinationKey, Destination>,
    mailer: Option<Mailer>,
    /// The receiver's own, if it has TLS.
    own_certificate: Option<PathBuf>,
}

impl Rules {
    /// Prepares them.
    ///
    /// # Errors
    ///
    /// [`MailerError`]: what of `[mail]` cannot be used.
    pub fn new(settings: Settings, destinations: HashMap<DestinationKey, Destination>) -> Result<Self, MailerError> {
        let mailer = settings.mail.as_ref().map(Mailer::new).transpose()?;
        Ok(Self {
            settings,
            destinations,
            mailer,
            own_certificate: None,
        })
    }

    /// Looks after the end of the receiver's own certificate, too.
    #[must_use]
    pub fn with_certificate(mut self, file: Option<PathBuf>) -> Self {
        self.own_certificate = file;
        self
    }
}

/// Changes the rules while e-mails are written.
#[derive(Clone, Debug)]
pub struct Control {
    rules: Arc<RwLock<Arc<Rules>>>,
    outbox: Outbox,
}

impl Control {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these count. An e-mail that was written already goes to whom it was written to.
    pub fn replace(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        // What is expected of the gateway counts from now on.
        self.outbox.alert_changed().notify_one();
    }
}

impl Alert {
    /// Will tell by these rules; nothing is sent before [`Alert::run`].
    pub fn new(outbox: Outbox, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Self {
            control: Control {
                rules: Arc::new(RwLock::new(Arc::new(rules))),
                outbox: outbox.clone(),
            },
            outbox,
            clock,
            watch: Watch::default(),
        }
    }

    /// To change the rules.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    fn rules(&self) -> Arc<Rules> {
        self.control.rules()
    }

    /// Works until `stop`; an e-mail that is being sent then is finished.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let rest = match self.turn().await {
                Ok(next) => self.until(next),
                Err(error) => {
                    tracing::error!(%error, "cannot look after the e-mails, trying again soon");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(rest) => {}
                () = self.outbox.alert_changed().notified() => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Tells what is to be told, sends one e-mail, and returns when to come back; `None`: when woken.
    async fn turn(&mut self) -> Result<Option<Timestamp>, OutboxError> {
        let silence = self.report_silence().await?;
        let losses = self.outbox.report_losses(self.clock.now()).await?;
        let looking = self
            .watch
            .look(&self.outbox, &self.control.rules(), self.clock.now())
            .await?;
        let incidents = self.tell_incidents().await?;
        let troubles = self.tell_troubles().await?;
        let emails = self.send_one().await?;
        let next = [silence, losses, Some(looking), incidents, troubles, emails];
        Ok(next.into_iter().flatten().min())
    }

    /// Makes a trouble of every silence that has lasted for too long, and returns when the next one will have.
    async fn report_silence(&self) -> Result<Option<Timestamp>, OutboxError> {
        let expected = self.rules().settings.expected.clone();
        self.outbox.report_silence(expected, self.clock.now()).await
    }

    fn until(&self, next: Option<Timestamp>) -> Duration {
        let Some(next) = next else { return IDLE };
        let wait = next.duration_since(self.clock.now());
        Duration::try_from(wait).unwrap_or(Duration::ZERO).min(IDLE)
    }

    /// Sends the e-mail that is due first, and returns when the next one is.
    async fn send_one(&self) -> Result<Option<Timestamp>, OutboxError> {
        let rules = self.rules();
        let Some(mailer) = &rules.mailer else { return Ok(None) };
        for email in self.outbox.due_emails(self.clock.now(), 1).await? {
            let sent = mailer.send(&email).await;
            self.record(&email, sent).await?;
        }
        self.outbox.next_email().await
    }

    async fn record(&self, email: &DueEmail, sent: Result<(), SendError>) -> Result<(), OutboxError> {
        let now = self.clock.now();
        let (retry_at, detail) = match sent {
            Ok(()) => {
                tracing::info!(email.id, email.message_id, "sent e-mail {}", email.message_id);
                return self.outbox.email_sent(email.id, now).await;
            }
            Err(SendError::Permanent(detail)) => (None, detail),
            Err(SendError::Temporary(detail)) => (mailer::retry_at(email, now), detail),
        };
        match retry_at {
            Some(at) => tracing::warn!(email.id, detail, "e-mail not sent, trying again at {at}: {detail}"),
            None => tracing::error!(email.id, detail, "e-mail given up: {detail}"),
        }
        self.outbox.email_failed(email.id, now, retry_at, detail).await
    }
}
