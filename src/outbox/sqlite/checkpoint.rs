use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::writer::{GiveUp, is_fatal};

/// Frames of 8 KiB in the log at which copying back starts.
const DUE: u32 = 2_000;
/// A log that long is to start anew: SQLite does so only when a commit finds nothing left to copy.
const LONG: u32 = 16_000;
/// So few frames the writer copies itself, between two commits, to get there.
const FEW: u32 = 1_500;
/// Copying cannot keep up: the writer waits for it once.
const TOO_LONG: u32 = 100_000;

/// Tells the thread that copies the log back into the file, while commits go on, that there is work.
#[derive(Clone)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    left: Arc<AtomicU32>,
    give_up: GiveUp,
}

impl Checkpointer {
    /// Starts the thread; it ends with the last clone.
    pub(super) fn start(connection: Connection, give_up: GiveUp) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (wake, woken) = sync_channel(1);
        let left = Arc::new(AtomicU32::new(u32::MAX));
        let thread = std::thread::Builder::new().name("outbox-checkpointer".into()).spawn({
            let (left, give_up) = (Arc::clone(&left), give_up.clone());
            move || run(&connection, &woken, &left, &give_up)
        })?;
        Ok((Self { wake, left, give_up }, thread))
    }

    /// Called by the writer after each commit, with the length of the log.
    pub(super) fn after_commit(&self, wal: &mut Wal, frames: u32) {
        let copied = if frames > TOO_LONG {
            wal.checkpoint_v2(CheckpointMode::RESTART)
        } else if frames > LONG && self.left.swap(u32::MAX, Ordering::Relaxed) < FEW {
            wal.checkpoint_v2(CheckpointMode::PASSIVE)
        } else {
            if frames > DUE {
                // It is awake already: one message is enough.
                self.wake.try_send(()).ok();
            }
            return;
        };
        if let Err(error) = copied {
            not_copied(&error, &self.give_up);
        }
    }
}

/// What was committed is in the log and stays there, so this is not the commit's failure; unless nobody knows any more
/// what is on the disk.
fn not_copied(error: &rusqlite::Error, give_up: &GiveUp) {
    // The other connection is at it.
    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
        return;
    }
    tracing::error!(%error, "cannot copy the store's log back: {error}");
    if is_fatal(error) {
        give_up.because(error);
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, left: &AtomicU32, give_up: &GiveUp) {
    for () in woken {
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
        });
        match copied {
            Ok(rest) => left.store(u32::try_from(rest).unwrap_or(u32::MAX), Ordering::Relaxed),
            Err(error) => not_copied(&error, give_up),
        }
    }
}
