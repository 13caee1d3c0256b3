//! The daemon: everything above, built in order, run, and drained.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alert::{self, Alert, MailerError};
use crate::config::Config;
use crate::deliver::{self, Delivery};
use crate::domain::{Clock, DestinationKey};
use crate::outbox::{self, OpenError, Outbox};
use crate::receive::{self, Intake, Receiver};
use crate::verify::Keyring;

/// How long a stop waits for what is in hand; a kill at any point loses nothing, so this is only courtesy.
const GRACE: Duration = Duration::from_secs(40);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot deliver to {0}")]
    Destination(DestinationKey, #[source] deliver::SetupError),
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
    outbox: Outbox,
    store: outbox::Settings,
    clock: Arc<dyn Clock>,
    receiver: Receiver,
    delivery: Delivery,
    alert: Alert,
}

impl App {
    /// Opens the store and prepares every part; blocks. Nothing is received or sent yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: what of the configuration cannot be used on this machine.
    pub fn build(config: Config, clock: &Arc<dyn Clock>) -> Result<Self, BuildError> {
        let outbox = Outbox::open(&config.store)?;
        let about = config
            .destinations
            .iter()
            .map(|settings| (settings.key.clone(), about(settings)))
            .collect();
        let alert = Alert::new(outbox.clone(), Arc::clone(clock), config.alert, about)?;
        let delivery = Delivery::new(config.destinations, outbox.clone(), Arc::clone(clock))
            .map_err(|(key, error)| BuildError::Destination(key, error))?;
        let intake = Arc::new(Intake::new(
            Keyring::new(config.keys),
            outbox.clone(),
            Arc::clone(clock),
        ));
        let receiver = Receiver::new(config.receiver, &intake)?;
        Ok(Self {
            outbox,
            store: config.store,
            clock: Arc::clone(clock),
            receiver,
            delivery,
            alert,
        })
    }

    /// Receives, delivers and alerts until `shutdown`; then accepts nothing new, lets what is in hand end within a
    /// bound, and closes the store.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it had to end by itself.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let (stop, stopped) = watch::channel(false);
        let mut parts = JoinSet::new();
        parts.spawn(self.delivery.run(stopped.clone()));
        parts.spawn(self.alert.run(until(stopped.clone())));
        parts.spawn(self.receiver.serve(listener, until(stopped.clone())));
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
        let outbox = self.outbox;
        if tokio::task::spawn_blocking(move || outbox.close()).await.is_err() {
            tracing::error!("closing the store has failed");
        }
        ended
    }
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
    }
}
