//! A look at the store from outside, that changes nothing and keeps nobody out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::sqlite::{MIGRATIONS, RESERVE, lock_path};
use super::{OpenError, Settings};

/// What can be said of a store without opening it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreLook {
    pub state: StoreState,
    /// Bytes that are free for it.
    pub free: u64,
    /// With fewer free nothing new is accepted.
    pub reserve: u64,
}

/// Whether a store could be opened now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreState {
    /// A running daemon has it.
    InUse,
    /// There is none yet, and it can be made.
    New,
    /// It can be opened.
    Ready,
}

/// Looks at a store. The file is not opened as a database: that would leave files of whoever looks beside it, which the
/// daemon's user could not write.
///
/// # Errors
///
/// [`OpenError`]: what would keep the daemon, run by the user who looks, from opening it.
pub fn look(settings: &Settings) -> Result<StoreLook, OpenError> {
    let path = &settings.path;
    let failed = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| OpenError::Io {
        path: folder.to_owned(),
        source: error.into(),
    })?;
    let disk = statvfs(folder).map_err(|error| failed(error.into()))?;
    let state = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) if is_locked(path).map_err(failed)? => StoreState::InUse,
        Ok(file) => {
            judge_header(file, path)?;
            StoreState::Ready
        }
        Err(error) if error.kind() == ErrorKind::NotFound => StoreState::New,
        Err(error) => return Err(failed(error)),
    };
    Ok(StoreLook {
        state,
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        reserve: RESERVE,
    })
}

/// Whether a daemon holds the lock beside the file.
fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(lock_path(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads the first bytes of the file, as <https://www.sqlite.org/fileformat.html> has them.
fn judge_header(mut file: File, path: &Path) -> Result<(), OpenError> {
    let mut header = [0; 100];
    match file.read_exact(&mut header) {
        Ok(()) => {}
        // Made a moment ago, or by `touch`.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && file.metadata().is_ok_and(|file| file.len() == 0) => {
            return Ok(());
        }
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(OpenError::NotSqlite(path.to_owned())),
        Err(source) => {
            return Err(OpenError::Io {
                path: path.to_owned(),
                source,
            });
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotSqlite(path.to_owned()));
    }
    let version = u32::from_be_bytes(header[60..64].try_into().expect("4 bytes"));
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer(path.to_owned(), version));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::outbox::Outbox;

    fn settings(path: &Path) -> Settings {
        Settings {
            path: path.to_owned(),
            keep_bodies: Duration::from_secs(1),
            keep_records: Duration::from_secs(1),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_look_tells_new_in_use_and_ready_apart_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder.path().join("outbox.db"));
        let state = || look(&settings).unwrap().state;
        assert_eq!(state(), StoreState::New);
        assert_eq!(names(folder.path()), [""; 0]);

        let outbox = Outbox::open(&settings).unwrap();
        assert_eq!(state(), StoreState::InUse);
        outbox.close();
        drop(outbox);
        let before = names(folder.path());
        assert_eq!(state(), StoreState::Ready);
        assert_eq!(names(folder.path()), before);
        Outbox::open(&settings).unwrap().close();
    }

    #[test]
    fn what_cannot_be_opened_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let looked = || look(&settings(&path));
        fs::write(&path, "notes\n".repeat(100)).unwrap();
        assert!(matches!(looked(), Err(OpenError::NotSqlite(_))));
        fs::write(&path, "notes").unwrap();
        assert!(matches!(looked(), Err(OpenError::NotSqlite(_))));
        fs::write(&path, "").unwrap();
        assert_eq!(looked().unwrap().state, StoreState::Ready);
        let mut newer = b"SQLite format 3\0".to_vec();
        newer.resize(100, 0xff);
        fs::write(&path, newer).unwrap();
        assert!(matches!(looked(), Err(OpenError::Newer(..))));
        let nowhere = settings(&folder.path().join("no/such/folder/outbox.db"));
        assert!(matches!(look(&nowhere), Err(OpenError::Io { .. })));
    }
}
