use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::restore::unfinished;

/// The first release without a corruption race between a writer and a checkpointer of its own (store.md 6).
const OLDEST_SQLITE: i32 = 3_051_003;

/// Each brings `PRAGMA user_version` up by one.
pub(in crate::outbox) const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite-0001.sql")];

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("a restore of {0} was broken off; nothing is lost: ask for it again, by `ipn-router restore FILE`")]
    HalfRestored(PathBuf),
    #[error("another ipn-router uses {0}")]
    InUse(PathBuf),
    #[error("cannot use {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0} was written by a newer ipn-router (its tables have version {1})")]
    Newer(PathBuf, usize),
    #[error("{0} is no SQLite file")]
    NotSqlite(PathBuf),
    #[error("this SQLite is {0}; 3.51.3 or newer is needed, for earlier ones can corrupt the file")]
    OldSqlite(&'static str),
    #[error("cannot start a thread for the store")]
    Thread(#[from] io::Error),
    #[error("cannot open the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("SQLite does not take the setting {0}, on which the promise rests")]
    Unsafe(&'static str),
}

pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) checkpointer: Connection,
    pub(super) reader: Connection,
    /// Held as long as the writer lives: keeps a second daemon out.
    pub(super) lock: File,
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    let lock = lock(path)?;
    // What is there may belong to two stores.
    if unfinished(path).exists() {
        return Err(OpenError::HalfRestored(path.to_owned()));
    }
    create(path)?;
    let mut writer = Connection::open(path)?;
    // Both count only before the first table.
    writer.pragma_update(None, "page_size", 8192)?;
    writer.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    configure(&writer)?;
    migrate(&mut writer, path)?;
    // What the last run left in the log is copied back before anybody waits for us.
    writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let checkpointer = Connection::open(path)?;
    configure(&checkpointer)?;
    let reader = Connection::open(path)?;
    configure(&reader)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok(Opened {
        writer,
        checkpointer,
        reader,
        lock,
    })
}

/// Keeps a daemon out, or [`OpenError::InUse`]: one runs.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = lock_path(path);
    let io = |source| OpenError::Io {
        path: beside.clone(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Makes the store, if there is none, for its user alone: it holds personal data, and who shall see them asks the daemon,
/// which keeps who it was. SQLite gives the files beside it the same rights.
fn create(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The file beside the store that a running daemon has locked.
pub(in crate::outbox) fn lock_path(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    beside.into()
}

fn configure(connection: &Connection) -> Result<(), OpenError> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "busy_timeout", 5000)?;
    connection.pragma_update(None, "journal_size_limit", 256 * 1024 * 1024)?;
    // What is deleted is overwritten: it is somebody's data.
    connection.pragma_update(None, "secure_delete", "ON")?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if synchronous != 2 {
        return Err(OpenError::Unsafe("synchronous=FULL"));
    }
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        return Err(OpenError::Unsafe("journal_mode=WAL"));
    }
    // Without it every statement that could use a partial index is compiled anew at each use, for the values bound to
    // it could make the index fit: a third of the writer's time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer(path.to_owned(), version));
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", i64::try_from(done + 1).expect("few migrations"))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn store_is_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let opened = open(&path).unwrap();
        opened.writer.execute_batch("CREATE TABLE t(x)").unwrap();
        for file in ["outbox.db", "outbox.db-wal", "outbox.db-shm"] {
            let rights = folder.path().join(file).metadata().unwrap().permissions().mode();
            assert_eq!(rights & 0o777, 0o600, "{file}: {rights:o}");
        }
    }

    #[test]
    fn a_second_daemon_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let first = open(&path).unwrap();
        assert!(matches!(open(&path), Err(OpenError::InUse(_))));
        drop(first);
        open(&path).unwrap();
    }

    #[test]
    fn tables_of_a_newer_version_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        open(&path)
            .unwrap()
            .writer
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(open(&path), Err(OpenError::Newer(_, 99))));
    }
}
