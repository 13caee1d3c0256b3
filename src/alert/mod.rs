//! Incident to mailbox: one useful thread of e-mails for each problem, and one e-mail when it is over.
//!
//! ```text
//!   outbox: incidents ──▶ thread ──▶ step::due ──▶ text ──▶ e-mail rows ──▶ mailer ──▶ mail server
//!           attempts, complaints, what was held back ─▶ text ──▶ (outbox)
//!           troubles  ──▶ once an hour ─▶ text ──▶ (outbox)
//!           heard     ──▶ domain::Hearing ──▶ troubles: the gateway is silent
//! ```
//!
//! # Promises
//!
//! - **Each step is told once.** What was told of an incident is remembered in the transaction that makes its e-mails,
//!   and an e-mail is unique by incident, step and address. A restart tells nothing again.
//! - **No e-mail is lost.** It is a row of the outbox until the mail server has taken it, with retries for five days.
//!   It repeats only if a crash falls between the server's 250 and our record, and then with the same `Message-ID`.
//! - **One address cannot hold up another.** Each row is for one address, and succeeds or fails alone.
//! - **Nothing secret leaves.** Answers are masked where incidents are made (`domain::useful_text`), tokens and URLs
//!   where texts are written, and no text from elsewhere can add a header or a section (`text::layout`).
//!
//! # How it works
//!
//! One task looks at the incidents that have changed, decides ([`step::due`], a pure function of the incident and of
//! what was told), and writes the texts (pure too). It is woken by the outbox, and by the time of the next step. Another one (`post`)
//! sends what is due, a few e-mails at a time, so that a slow mail server holds up no decision. Without `[mail]`, the
//! log tells each step instead.

mod direct;
mod language;
mod mailer;
mod post;
mod session;
mod settings;
mod step;
mod tell;
mod text;
mod thread;
mod watcher;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

pub use direct::{Trial, send_trials};
pub use language::Language;
pub use mailer::{MailSession, Mailer, MailerError, SendError};
pub use post::MailState;
pub use settings::{Destination, MailSecurity, MailSettings, Recipients, Settings};

use post::{Letterbox, Post};
use watcher::Watch;

use crate::domain::{Clock, DestinationKey};
use crate::outbox::{Outbox, OutboxError};

/// After a wake-up: what is committed in the same moment is looked at together.
const PAUSE: Duration = Duration::from_millis(200);

/// From one turn to the next at least so many times what the last one took: with thousands of incidents, each failed
/// attempt would else keep the store's reader from those who deliver.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(10);

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
    letterbox: Letterbox,
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

    /// How sending goes.
    pub fn mail_state(&self) -> MailState {
        self.letterbox.state()
    }
}

impl Alert {
    /// Will tell by these rules; nothing is sent before [`Alert::run`].
    pub fn new(outbox: Outbox, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Self {
            control: Control {
                rules: Arc::new(RwLock::new(Arc::new(rules))),
                outbox: outbox.clone(),
                letterbox: Letterbox::default(),
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

    /// Works until `stop`; e-mails that are being sent then are finished, within a bound.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(());
        let over = |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
        let post = Post::new(self.outbox.clone(), Arc::clone(&self.clock), self.control());
        tokio::join!(self.tell_all(over(stopped.clone())), post.run(over(stopped)), async {
            stop.await;
            drop(stopping);
        });
    }

    async fn tell_all(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let began = Instant::now();
            let turn = self.turn().await;
            let pause = (began.elapsed() * REST).clamp(PAUSE, LONGEST_REST);
            let rest = match turn {
                Ok(next) => until(next, self.clock.now()),
                Err(error) => {
                    tracing::error!(%error, "cannot look after the e-mails, trying again soon: {error}");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(rest) => {}
                () = self.outbox.alert_changed().notified() => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Looks after everything, and returns when to come back; `None`: when woken.
    async fn turn(&mut self) -> Result<Option<Timestamp>, OutboxError> {
        let (rules, now) = (self.rules(), self.clock.now());
        let looked = [
            self.report_silence().await,
            self.outbox.report_losses(now).await,
            self.watch.look(&self.outbox, &rules, now).await.map(Some),
            self.tell().await,
        ];
        self.control.letterbox.wake();
        let next: Vec<_> = looked.into_iter().collect::<Result<_, _>>()?;
        Ok(next.into_iter().flatten().min())
    }

    /// Makes the e-mails that are due now, without sending them, and returns when the next are; [`Alert::run`] does it
    /// by itself.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: what was not made is made the next time.
    pub async fn tell(&self) -> Result<Option<Timestamp>, OutboxError> {
        // What cannot be told holds up nothing else.
        let told = [
            self.tell_incidents().await,
            self.tell_attempts().await,
            self.tell_complaints().await,
            self.tell_troubles().await,
            self.tell_digests().await,
        ];
        let next: Vec<_> = told.into_iter().collect::<Result<_, _>>()?;
        Ok(next.into_iter().flatten().min())
    }

    /// Makes a trouble of every silence that has lasted for too long, and returns when the next one will have.
    async fn report_silence(&self) -> Result<Option<Timestamp>, OutboxError> {
        let expected = self.rules().settings.expected.clone();
        self.outbox.report_silence(expected, self.clock.now()).await
    }
}

fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let Some(next) = next else { return IDLE };
    Duration::try_from(next.duration_since(now))
        .unwrap_or(Duration::ZERO)
        .min(IDLE)
}
