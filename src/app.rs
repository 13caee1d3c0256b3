//! The daemon: everything above, built in order, run, and drained.

mod files;
mod reload;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::admin::{Admin, Asked, Guard, Inside, Listener, Parts, Reload, Running, SocketError, Verdict, Who};
use crate::alert::{self, Alert, MailerError};
use crate::config::{Config, Loaded, Text};
use crate::deliver::{self, Circles, Delivery, Destinations, Verbs};
use crate::domain::{Circle, Clock, DestinationKey, Secret, Verb};
use crate::metrics::{Metrics, Reloading};
use crate::outbox::{self, OpenError, Outbox, OutboxError, VerbResult};
use crate::receive::{self, Intake, Receiver};
use crate::verify::Keyring;
use files::watch_files;
use reload::Reloader;

/// How long a stop waits for what is in hand; a kill at any point loses nothing, so this is only courtesy.
const GRACE: Duration = Duration::from_secs(40);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot deliver to {0}")]
    Destination(DestinationKey, #[source] deliver::SetupError),
    #[error("cannot answer commands")]
    Admin(#[from] SocketError),
    #[error("cannot listen on {0}, which [admin] asks for")]
    AdminListen(SocketAddr, #[source] io::Error),
    #[error("cannot use [mail]")]
    Mail(#[from] MailerError),
    #[error("cannot use [store]")]
    Store(#[from] OpenError),
    #[error("cannot use [receiver] tls")]
    Tls(#[from] receive::TlsError),
}

/// Why the daemon has ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("a part of the daemon has ended by itself")]
    PartEnded,
    /// Nobody knows what is on the disk after a failed write; the next start finds out.
    #[error("the store has failed, and nothing more can be promised: {0}")]
    Store(String),
}

/// The daemon, ready to run.
pub struct App {
    control: Control,
    outbox: Outbox,
    store: outbox::Settings,
    clock: Arc<dyn Clock>,
    receiver: Receiver,
    delivery: Delivery,
    verbs: Verbs,
    alert: Alert,
    admin: Admin,
    listener: Option<Listener>,
    reloader: Reloader,
    questions: mpsc::Receiver<Asked>,
    files: watch::Receiver<BTreeSet<PathBuf>>,
    is_watched: bool,
    texts: Vec<Text>,
}

/// A configuration that can be switched to.
struct Ready {
    rules: alert::Rules,
    served: Destinations,
    circles: Vec<Arc<Circle>>,
    keyring: Keyring,
    tokens: Vec<Secret>,
}

/// Changes the daemon while it runs.
#[derive(Clone, Debug)]
pub struct Control {
    intake: Arc<Intake>,
    delivery: deliver::Control,
    circles: watch::Sender<Circles>,
    running: watch::Sender<Running>,
    outbox: Outbox,
    verbs: Verbs,
    alert: alert::Control,
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
    questions: mpsc::Sender<Asked>,
}

impl Control {
    /// Reads the configuration again and applies it, all of it or nothing; `None` if the daemon ends.
    pub async fn reload(&self, wish: Reload, who: Who) -> Option<Verdict> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Asked::Reload(wish, who, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Returns once the store has answered, whatever it says.
    pub async fn store_answers(&self) {
        if let Err(error) = self.outbox.write_nothing().await {
            tracing::warn!(%error, "the store does not write: {error}");
        }
    }

    /// Does everything that can fail before a configuration runs; changes nothing yet.
    fn prepare(&self, config: &Config) -> Result<Ready, BuildError> {
        Ok(Ready {
            rules: rules(config)?,
            served: destinations(config.destinations.clone(), &self.clock)?,
            circles: config.circles.clone(),
            keyring: Keyring::new(config.keys.clone()),
            tokens: config.admin.tokens.clone(),
        })
    }

    /// Receives, routes, delivers and tells by this from now on.
    ///
    /// A notification that is being received, and an attempt that is being made, end as they began. What waits is
    /// delivered by the new settings of its destination; it stays in the store while there are none.
    async fn switch(&self, ready: Ready, configuration: i64) {
        // First those who deliver, so that nothing new waits for an owner that is still to come.
        self.delivery.serve(ready.served).await;
        self.alert.replace(ready.rules);
        self.circles.send_replace(Arc::new(ready.circles));
        self.intake.replace_rules(ready.keyring, configuration);
        self.guard.replace_tokens(&ready.tokens);
    }

    /// Does what an operator asks for, and returns what came of it. It is done to its end even if nobody waits for it.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: perhaps not written down, and then not done.
    pub async fn ask_for(&self, verb: Verb, asked_by: &str) -> Result<VerbResult, OutboxError> {
        let id = self.outbox.ask_for(verb, asked_by, self.clock.now()).await?;
        self.outbox.verb_result(id).await
    }

    /// Says what would come of it, and does nothing.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn foresee(&self, verb: &Verb) -> Result<VerbResult, OutboxError> {
        self.verbs.foresee(verb).await
    }
}

impl App {
    /// Opens the store and prepares every part; blocks. Nothing is received or sent yet. `path` is where the
    /// configuration came from, and is read again when that is asked for.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: what of the configuration cannot be used on this machine.
    pub fn build(path: PathBuf, loaded: Loaded, clock: &Arc<dyn Clock>) -> Result<Self, BuildError> {
        let hash = loaded.hash();
        let config = loaded.config;
        let outbox = Outbox::open(&config.store)?;
        let alert = Alert::new(outbox.clone(), Arc::clone(clock), rules(&config)?);
        let served = destinations(config.destinations.clone(), clock)?;
        let delivery = Delivery::new(served, outbox.clone(), Arc::clone(clock));
        let intake = Arc::new(Intake::new(
            Keyring::new(config.keys.clone()),
            outbox.clone(),
            Arc::clone(clock),
        ));
        let receiver = Receiver::new(config.receiver.clone(), &intake)?;
        let (ask, questions) = mpsc::channel(1);
        let (circles, circles_of_now) = watch::channel(Arc::new(config.circles.clone()));
        let verbs = Verbs::new(outbox.clone(), circles_of_now.clone(), Arc::clone(clock));
        let (running, running_now) = watch::channel(Running {
            since: clock.now(),
            listen: config.receiver.listen,
            configuration: hash.clone(),
            waits_for_restart: Vec::new(),
            refused: None,
        });
        let parts = Parts {
            outbox: outbox.clone(),
            intake: Arc::clone(&intake),
            store: config.store.path.clone(),
            verbs: verbs.clone(),
            circles: circles_of_now,
            running: running_now,
            alert: alert.control(),
            clock: Arc::clone(clock),
            questions: ask.clone(),
        };
        let reloading = Reloading::default();
        let metrics = Metrics::new(receiver.counts(), outbox.counts(), delivery.counts(), &reloading);
        let guard = Arc::new(Guard::new(&config.admin.tokens, Arc::clone(clock)));
        let listener = match config.admin.listen {
            Some(address) => {
                let inside = Inside {
                    parts: parts.clone(),
                    guard: Arc::clone(&guard),
                    metrics,
                    public_url: config.admin.public_url.clone(),
                    own_certificate: config.receiver.tls.as_ref().map(|tls| tls.certificate.clone()),
                };
                let bound = Listener::bind(address, inside);
                Some(bound.map_err(|error| BuildError::AdminListen(address, error))?)
            }
            None => None,
        };
        let admin = Admin::bind(&config.admin.socket, parts)?;
        let control = Control {
            intake,
            delivery: delivery.control(),
            circles,
            running,
            outbox: outbox.clone(),
            verbs: verbs.clone(),
            alert: alert.control(),
            guard,
            clock: Arc::clone(clock),
            questions: ask,
        };
        let (files_changed, files) = watch::channel(BTreeSet::from([path.clone()]));
        let store = config.store.clone();
        let reloader = Reloader::new(
            path,
            config,
            hash,
            control.clone(),
            outbox.clone(),
            files_changed,
            reloading,
        );
        Ok(Self {
            control,
            outbox,
            store,
            clock: Arc::clone(clock),
            receiver,
            delivery,
            verbs,
            alert,
            admin,
            listener,
            reloader,
            questions,
            files,
            is_watched: loaded.watch,
            texts: loaded.texts,
        })
    }

    /// Where `[admin] listen` is, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// To change it while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Receives, delivers and alerts until `shutdown`; then accepts nothing new, lets what is in hand end within a
    /// bound, and closes the store.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it had to end by itself.
    pub async fn run(mut self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        if let Ok(address) = listener.local_addr() {
            self.control.running.send_modify(|running| running.listen = address);
        }
        self.reloader.begin(&self.texts).await;
        let (stop, stopped) = watch::channel(false);
        let mut parts = JoinSet::new();
        parts.spawn(self.delivery.run(stopped.clone()));
        parts.spawn(self.verbs.run(until(stopped.clone())));
        let alert = self.alert.control();
        parts.spawn(self.alert.run(until(stopped.clone())));
        parts.spawn(self.receiver.serve(listener, until(stopped.clone())));
        parts.spawn(self.admin.serve(until(stopped.clone())));
        if let Some(listener) = self.listener {
            parts.spawn(listener.serve(until(stopped.clone())));
        }
        parts.spawn(answer(self.reloader, self.questions, until(stopped.clone())));
        if self.is_watched {
            parts.spawn(watch_files(self.files, self.control, until(stopped.clone())));
        }
        let (stamp, now) = (self.store.path.with_extension("failure-told"), Arc::clone(&self.clock));
        let (outbox, store, clock) = (self.outbox.clone(), self.store, self.clock);
        parts.spawn(async move { outbox.clean(store, clock, until(stopped)).await });
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            _ = parts.join_next() => Err(RunError::PartEnded),
            why = self.outbox.failure() => Err(RunError::Store(why)),
        };
        stop.send_replace(true);
        if tokio::time::timeout(GRACE, async { while parts.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!(
                grace_s = GRACE.as_secs(),
                "grace period over, stopping with work in hand"
            );
            parts.shutdown().await;
        }
        if let Err(RunError::Store(why)) = &ended {
            alert.tell_store_failed(why, &stamp, now.now()).await;
        }
        let outbox = self.outbox;
        if tokio::task::spawn_blocking(move || outbox.close()).await.is_err() {
            tracing::error!("closing the store has failed");
        }
        ended
    }
}

/// Answers what is asked of the daemon, one after the other.
async fn answer(mut reloader: Reloader, mut questions: mpsc::Receiver<Asked>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let asked = tokio::select! {
            biased;
            () = &mut stop => return,
            asked = questions.recv() => asked,
        };
        match asked {
            Some(Asked::Reload(wish, who, answer)) => {
                // Who asked may have left; it is done all the same.
                drop(answer.send(reloader.reload(&wish, &who).await));
            }
            None => return,
        }
    }
}

fn destinations(settings: Vec<deliver::Settings>, clock: &Arc<dyn Clock>) -> Result<Destinations, BuildError> {
    Destinations::prepare(settings, clock).map_err(|(key, error)| BuildError::Destination(key, error))
}

fn rules(config: &Config) -> Result<alert::Rules, BuildError> {
    let about = config
        .destinations
        .iter()
        .map(|settings| (settings.key.clone(), about(settings)));
    let own_certificate = config.receiver.tls.as_ref().map(|tls| tls.certificate.clone());
    Ok(alert::Rules::new(config.alert.clone(), about.collect())?.with_certificate(own_certificate))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as `run`.
    stopped.wait_for(|stopped| *stopped).await.ok();
}

fn about(settings: &deliver::Settings) -> alert::Destination {
    alert::Destination {
        legal_entity_name: settings.legal_entity_name.clone(),
        shop_name: settings.shop_name.clone(),
        url: settings.url.clone(),
        give_up_after: settings.retry.give_up_after,
        tells_attempts: settings.tells_attempts,
    }
}
