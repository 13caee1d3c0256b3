//! What happens, told to those who look on while it happens.
//!
//! The writer says after each commit which rows it concerns, if anybody looks on; what the rows say is read for whoever
//! does. Who is too slow is told how much he has missed: nobody waits for him.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, Receiver, Sender};
use utoipa::ToSchema;

use super::reads::{AttemptLine, DeliveryLine, NotificationLine};
use super::{AttemptRecord, Outbox, OutboxError, sqlite};

/// What may be untold to somebody.
const BEHIND: usize = 1_024;
/// What is read in one question: deliveries ask the same reader.
const AT_ONCE: usize = 50;

/// A row of which there is something to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happened {
    Attempted { destination: i64, seq: i64, attempt: u32 },
    Ended { destination: i64, seq: i64 },
    Stored { notification: i64 },
}

impl Happened {
    pub(super) fn attempted(record: &AttemptRecord) -> Self {
        Self::Attempted {
            destination: record.lease.destination,
            seq: record.seq,
            attempt: record.attempt,
        }
    }
}

/// Where the writer says it.
pub(super) fn happenings() -> Sender<Happened> {
    broadcast::channel(BEHIND).0
}

/// Something that has just happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum TailLine {
    /// An attempt has ended; the delivery stands as it does now.
    Attempted {
        notification: NotificationLine,
        delivery: DeliveryLine,
        attempt: AttemptLine,
    },
    /// A delivery has ended without another attempt: cancelled, or given up.
    Ended {
        notification: NotificationLine,
        delivery: DeliveryLine,
    },
    /// The reader was too slow for so much.
    Missed { count: u64 },
    /// A notification was stored.
    Received { notification: NotificationLine },
}

/// What happens from now on.
#[derive(Debug)]
pub struct Tail {
    outbox: Outbox,
    happenings: Receiver<Happened>,
}

impl Outbox {
    /// Begins to look on.
    pub fn tail(&self) -> Tail {
        Tail {
            outbox: self.clone(),
            happenings: self.shared.happenings.subscribe(),
        }
    }
}

impl Tail {
    /// Waits for something to happen, and tells it with what else has happened meanwhile. Dropping the future loses
    /// nothing as long as it waits.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn next(&mut self) -> Result<Vec<TailLine>, OutboxError> {
        let mut happened = match self.happenings.recv().await {
            Ok(happened) => vec![happened],
            Err(broadcast::error::RecvError::Lagged(count)) => return Ok(vec![TailLine::Missed { count }]),
            // It cannot be while our own outbox has the other end.
            Err(broadcast::error::RecvError::Closed) => return Err(OutboxError::Failed("the store is closed".into())),
        };
        while happened.len() < AT_ONCE
            && let Ok(more) = self.happenings.try_recv()
        {
            happened.push(more);
        }
        let ask = move |connection: &_| sqlite::tail_lines(connection, &happened);
        self.outbox.shared.store.ask(ask).await
    }
}
