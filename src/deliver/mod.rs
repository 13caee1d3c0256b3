//! Due delivery to shop.
//!
//! Each destination is served by an owner of its own ([`destination`]): a few slots, each a looping task with its own
//! connection, that share one [`schedule`] in memory. A slot asks the schedule what to do, and does it:
//!
//! ```text
//!   outbox ── hand-over, recorded ──▶ Inbox ─▶ ┌──────────┐ ── attempt ─▶ slot: render ─▶ client ─▶ the shop
//!          ◀─ page, heads, due? ─────────────── │ schedule │                 │
//!          ◀─ record: attempt, state, incident ─┴──────────┘ ◀── outcome ── classify ◀───── answer
//! ```
//!
//! # Invariants
//!
//! - **One shop cannot hurt another.** No connection, queue, limit or lock is shared between destinations.
//! - **One delivery per lane at a time, in the order of acceptance.** The next of a lane is learned from the
//!   transaction that records the one before.
//! - **Nothing but the outbox is relied on.** A hand-over may be missed: gap-free numbers show it, and the rows are
//!   read. After a crash the same delivery is attempted again, with the same `webhook-id`.
//! - **What follows a failure** is decided in one place: [`crate::domain::Health`].
//! - **A record that the store does not take is given again, the attempt is not made again**; until it is taken the
//!   destination rests.
//!
//! What is left out: who gets what (`route`), and who is told of failures (`alert`).

mod classify;
mod client;
mod destination;
mod guard;
mod link;
mod render;
mod schedule;
mod settings;
mod splice;
#[cfg(test)]
mod testing;
mod tls;

pub use classify::classify;
pub use client::{Client, Connection, Rendered};
pub use render::{Nth, RenderError, Renderer};
pub use settings::{AnswerCheck, Settings, SetupError, Signing, Timeouts};
pub use tls::TlsError;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::domain::{Clock, DestinationKey};
use crate::outbox::Outbox;
use destination::{Prepared, Wanted, keep};

/// Delivers to all destinations of the configuration.
#[derive(Debug)]
pub struct Delivery {
    served: Destinations,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    changes: mpsc::Receiver<Change>,
    control: Control,
}

/// Destinations that can be served as configured.
#[derive(Debug)]
pub struct Destinations(Vec<Arc<Prepared>>);

/// Changes, while it runs, what is served and how.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Change>);

#[derive(Debug)]
struct Change {
    served: Destinations,
    done: oneshot::Sender<()>,
}

impl Destinations {
    /// Prepares every destination.
    ///
    /// # Errors
    ///
    /// The first destination that cannot be used as configured, and why.
    pub fn prepare(destinations: Vec<Settings>, clock: &Arc<dyn Clock>) -> Result<Self, (DestinationKey, SetupError)> {
        let prepare = |settings: Settings| {
            let key = settings.key.clone();
            Prepared::new(settings, clock)
                .map(Arc::new)
                .map_err(|error| (key, error))
        };
        destinations
            .into_iter()
            .map(prepare)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn keys(&self) -> HashSet<&DestinationKey> {
        self.0.iter().map(|prepared| prepared.key()).collect()
    }
}

impl Control {
    /// Serves these destinations from now on, by these settings, also what has waited for longer. What waits for any
    /// other is parked: it stays in the store until its destination is served again. Attempts that are running end as
    /// they began.
    pub async fn serve(&self, served: Destinations) {
        let (done, is_done) = oneshot::channel();
        // Nobody is there any more: the daemon ends, and the next start reads the new configuration.
        if self.0.send(Change { served, done }).await.is_ok() {
            is_done.await.ok();
        }
    }
}

impl Delivery {
    /// Will serve these destinations.
    pub fn new(served: Destinations, outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        let (control, changes) = mpsc::channel(1);
        Self {
            served,
            outbox,
            clock,
            changes,
            control: Control(control),
        }
    }

    /// To change what is served.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Delivers until `stop` says true, then lets running attempts end. Returns earlier only after a panic, which the
    /// process should not outlive.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self {
            served,
            outbox,
            clock,
            mut changes,
            control: _,
        } = self;
        let mut keepers = Keepers {
            wanted: HashMap::new(),
            running: JoinSet::new(),
        };
        let keys = served.keys().into_iter().cloned().collect();
        if let Err(error) = outbox.park_others(keys, clock.now()).await {
            // Then `give_up_after` goes on for what is parked, as if it were served.
            tracing::error!(%error, "cannot note which destinations are not served: {error}");
        }
        keepers.serve(&served, &outbox, &clock);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(change) = changes.recv() => {
                    keepers.serve(&change.served, &outbox, &clock);
                    // Whoever asked may have left.
                    change.done.send(()).ok();
                }
                Some(ended) = keepers.running.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "serving a destination has failed, stopping: {error}");
                    return;
                },
            }
        }
        for wanted in keepers.wanted.values() {
            wanted.send_replace(Wanted::Stopped);
        }
        while keepers.running.join_next().await.is_some() {}
    }
}

/// One task for every destination that was ever served since the start.
struct Keepers {
    wanted: HashMap<DestinationKey, watch::Sender<Wanted>>,
    running: JoinSet<()>,
}

impl Keepers {
    fn serve(&mut self, served: &Destinations, outbox: &Outbox, clock: &Arc<dyn Clock>) {
        let keys = served.keys();
        for (key, wanted) in &self.wanted {
            if !keys.contains(key) {
                wanted.send_replace(Wanted::Parked);
            }
        }
        for prepared in &served.0 {
            let now = Wanted::Served(Arc::clone(prepared));
            match self.wanted.get(prepared.key()) {
                Some(wanted) => drop(wanted.send_replace(now)),
                None => {
                    let key = prepared.key().clone();
                    let (wanted, changes) = watch::channel(now);
                    self.running
                        .spawn(keep(key.clone(), outbox.clone(), Arc::clone(clock), changes));
                    self.wanted.insert(key, wanted);
                }
            }
        }
    }
}
