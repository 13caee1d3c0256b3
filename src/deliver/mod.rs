//! Due delivery to shop: once a notification is in the outbox, this folder brings it to everybody who is to have it.
//!
//! # One delivery, from the commit to the record
//!
//! 1. The outbox has committed it, and **hands it over** to the [`Inbox`](crate::outbox::Inbox) of its destination, if
//!    somebody serves that. The hand-over is only a hint: numbers without gaps (`seq`) show what was missed, and the
//!    rows are read.
//! 2. The destination's **owner** ([`destination`]) serves it by a few **slots**, each a looping task with a connection
//!    of its own. A slot that is free asks the **schedule** ([`schedule`]), a pure state machine that the slots share,
//!    what to do: ask the store something, attempt this delivery, or wait until then.
//! 3. To attempt it, the slot fetches the notification, **renders** it as the destination wants it ([`render`]), signed
//!    now, with the secrets of now; its **client** posts it to an address that was looked up and judged ([`link`],
//!    [`guard`]); what comes back is **classified** ([`classify`](mod@classify)): delivered, unavailable, or rejected.
//! 4. [`Health`](crate::domain::Health) decides what follows: nothing more, a retry at some time, a dead letter; and
//!    whether the destination is up or down. It is the one place that knows the five sentences of design.md 8.
//! 5. The slot queues a **record** of the attempt, with the state that follows and the destination's incident, to be
//!    written in one transaction. The transaction answers with the lane's next delivery, and tells it to the inbox.
//!
//! ```text
//!   outbox ── hand-over, recorded ──▶ Inbox ─▶ ┌──────────┐ ── attempt ─▶ slot: render ─▶ client ─▶ the shop
//!          ◀─ page, heads, due? ─────────────── │ schedule │                 │
//!          ◀─ record: attempt, state, incident ─┴──────────┘ ◀── outcome ── classify ◀───── answer
//! ```
//!
//! # What the schedule remembers
//!
//! The deliveries of one token make a **lane**; a lane has one attempt at a time, in the order of acceptance, and lanes
//! do not wait for each other. In memory a lane is only its *head*, the oldest open delivery: a number and a few times,
//! no body. So a million may wait, and only some thousand lanes are here; the rest is *unread* (behind `read`), or
//! *outside* (its head has failed and is due much later), and comes back by asking the store.
//!
//! What can be attempted stands in two queues: what was just accepted, and what comes from the store (backlog, retries,
//! replays). They take turns, so a backlog cannot delay what is new, nor the other way round. What carries a charge goes
//! before what else is new, for a buyer may be waiting.
//!
//! # When a shop is in trouble
//!
//! Up: a failed delivery waits for its retry, and its lane with it. Down: one probe a minute, of a lane never tried if
//! there is one, so that a poisonous notification cannot keep a healthy shop down. Back again: a ramp of 1, 2, 4 …
//! attempts at once, within its rate. An operator may pause it, and a configuration may change or drop it while it is
//! served: [`Control`] tells its keeper, who swaps the settings, or lets what is under way end and gives the destination
//! back. What waits then stays in the store, **parked**, until somebody serves the destination again.
//!
//! # Invariants
//!
//! - **One shop cannot hurt another.** No connection, queue, limit or lock is shared between destinations; what one
//!   costs in memory is bounded.
//! - **One delivery per lane at a time, in the order of acceptance.** The next of a lane is learned from the
//!   transaction that records the one before.
//! - **Nothing but the outbox is relied on.** After a crash the same delivery is attempted again, with the same
//!   `webhook-id`.
//! - **A record that the store does not take is given again, the attempt is not made again**; until it is taken the
//!   destination rests, and says so. A store that has failed for good ends the daemon.
//! - **A test plays it through** in any order: `schedule/simulation.rs`.
//!
//! What is left out: who gets what (`route`), and who is told of failures (`alert`).

mod classify;
mod client;
mod destination;
mod guard;
mod link;
mod probe;
mod render;
mod schedule;
mod settings;
mod splice;
#[cfg(test)]
mod testing;
mod tls;
mod verbs;

pub use classify::classify;
pub use client::{Client, Connection, Rendered};
pub use probe::{ProbeError, Reached, TlsSession, probe};
pub use render::{Nth, RenderError, Renderer};
pub use settings::{AnswerCheck, Settings, SetupError, Signing, Timeouts};
pub use tls::TlsError;
pub use verbs::{Circles, Verbs};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::domain::{Clock, DestinationKey};
use crate::metrics::Delivering;
use crate::outbox::Outbox;
use destination::{Prepared, Wanted, keep};

/// Delivers to all destinations of the configuration.
#[derive(Debug)]
pub struct Delivery {
    served: Destinations,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    counts: Delivering,
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
            counts: Delivering::default(),
            changes,
            control: Control(control),
        }
    }

    /// Counts what is delivered.
    pub fn counts(&self) -> &Delivering {
        &self.counts
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
            counts,
            mut changes,
            control: _,
        } = self;
        let mut keepers = Keepers {
            wanted: HashMap::new(),
            running: JoinSet::new(),
            counts,
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
    counts: Delivering,
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
                    let counts = self.counts.to(&key);
                    self.running
                        .spawn(keep(key.clone(), outbox.clone(), Arc::clone(clock), counts, changes));
                    self.wanted.insert(key, wanted);
                }
            }
        }
    }
}
