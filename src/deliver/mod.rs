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
pub use render::{RenderError, Renderer};
pub use settings::{AnswerCheck, Settings, SetupError, Signing, Timeouts};
pub use tls::TlsError;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::domain::{Clock, DestinationKey};
use crate::outbox::Outbox;
use destination::Prepared;

/// All destinations of the configuration, ready to be served.
#[derive(Debug)]
pub struct Delivery {
    destinations: Vec<Prepared>,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
}

impl Delivery {
    /// Prepares every destination.
    ///
    /// # Errors
    ///
    /// The first destination that cannot be used as configured, and why.
    pub fn new(
        destinations: Vec<Settings>,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, (DestinationKey, SetupError)> {
        let prepare = |settings: Settings| {
            let key = settings.key.clone();
            Prepared::new(settings, &clock).map_err(|error| (key, error))
        };
        let destinations = destinations.into_iter().map(prepare).collect::<Result<_, _>>()?;
        Ok(Self {
            destinations,
            outbox,
            clock,
        })
    }

    /// Delivers until `stop` says true, then lets running attempts end. Returns earlier only after a panic, which the
    /// process should not outlive.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut served = JoinSet::new();
        for destination in self.destinations {
            served.spawn(destination.serve(self.outbox.clone(), Arc::clone(&self.clock), stop.clone()));
        }
        while let Some(ended) = served.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a destination is not served: {error}"),
                Err(error) => {
                    tracing::error!(%error, "serving a destination has failed, stopping: {error}");
                    return;
                }
            }
        }
        // With every shop switched off there is nothing to serve, and that is no reason to end.
        stop.wait_for(|stop| *stop).await.ok();
    }
}
