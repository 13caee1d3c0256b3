use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// A copy of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copy {
    pub bytes: u64,
    pub notifications: u64,
    /// Deliveries that are still to be made.
    pub waiting: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    #[error("cannot write the copy: {0}")]
    Io(#[from] io::Error),
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// As long as a checkpoint may take on a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies a store into a file that does not exist yet, as it is at one moment, and reads the copy. Nobody is kept from
/// writing; but until it is done the log is not cut off, and grows with what is written.
///
/// # Errors
///
/// [`BackupError`]: then there is no file.
pub fn back_up(store: &Path, to: &Path) -> Result<Copy, BackupError> {
    let reader = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    reader.busy_timeout(PATIENCE)?;
    // SQLite writes into a file that is empty; made by us, nobody else can read it at any time.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = copy(&reader, &file, to);
    if copied.is_err() {
        fs::remove_file(to).ok();
    }
    copied
}

fn copy(reader: &Connection, file: &File, to: &Path) -> Result<Copy, BackupError> {
    let name = to.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
    reader.execute("VACUUM INTO ?", [name])?;
    file.sync_all()?;
    File::open(folder_of(to))?.sync_all()?;
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let health: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health != "ok" {
        return Err(BackupError::Damaged(health));
    }
    let count = |question| copy.query_row(question, [], |row| row.get::<_, i64>(0));
    Ok(Copy {
        bytes: fs::metadata(to)?.len(),
        notifications: u64::try_from(count("SELECT count(*) FROM notifications")?).unwrap_or(0),
        waiting: u64::try_from(count(
            "SELECT count(*) FROM deliveries INDEXED BY deliveries_open WHERE state=0",
        )?)
        .unwrap_or(0),
    })
}

/// The folder that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}
