//! A copy takes the store's place.
//!
//! A daemon may be started at any moment, by the socket that systemd holds or by its restart, and SQLite joins what it
//! finds beside the file to the file: a log that belongs to another file destroys both. So the lock is held throughout,
//! and while the old files are being moved their folder ([`unfinished`]) stands beside the store: no daemon opens it
//! then, also if this process was killed and the lock is free. Each step can be asked for again.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::backup::{BackupError, Copy, back_up, folder_of};
use super::open::{MIGRATIONS, OpenError, lock};

/// What SQLite keeps of one store.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Why the copy did not take the store's place.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    #[error("a daemon runs with {0}; stop it, and the socket that would start it again")]
    InUse(PathBuf),
    #[error("cannot use {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the copy was written by a newer ipn-router (its tables have version {0})")]
    Newer(i64),
    #[error("this is the store itself, or what an earlier restore has left beside it: move it elsewhere first")]
    NoCopy,
    #[error("this is no store of ipn-router")]
    NotAStore,
    #[error("cannot lock the store")]
    Open(#[source] OpenError),
    #[error("cannot bring the copy to the store: {0}")]
    Staging(BackupError),
}

/// A whole copy beside a store that nobody uses, ready to take its place.
#[derive(Debug)]
pub struct Restore {
    store: PathBuf,
    holds: Copy,
    /// Keeps every daemon out.
    _lock: File,
}

impl Restore {
    /// Locks the store, checks the copy, and brings it beside the store. The store is as it was.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]: a daemon runs, or this is no whole copy that this version can read.
    pub fn prepare(copy: &Path, store: &Path) -> Result<Self, RestoreError> {
        let lock = lock(store).map_err(|error| match error {
            OpenError::InUse(path) => RestoreError::InUse(path),
            error => RestoreError::Open(error),
        })?;
        // A link to the store stays one.
        let store = real(store);
        give_to_owner(&lock, &store)?;
        judge(copy, &store)?;
        let staged = beside(&store, ".new");
        remove(&staged)?;
        // With what stands in a log beside the copy.
        let holds = back_up(copy, &staged).map_err(RestoreError::Staging)?;
        let file = File::open(&staged).map_err(about(&staged))?;
        give_to_owner(&file, &store)?;
        file.sync_all().map_err(about(&staged))?;
        Ok(Self {
            store,
            holds,
            _lock: lock,
        })
    }

    /// What the copy holds.
    pub fn holds(&self) -> Copy {
        self.holds
    }

    /// Gives it up: the store is as it was.
    ///
    /// # Errors
    ///
    /// What was brought beside the store is still there, and does no harm.
    pub fn leave(self) -> Result<(), RestoreError> {
        remove(&beside(&self.store, ".new"))
    }

    /// Moves the store aside, puts the copy into its place, and returns the folder where the store is now.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Io`]: nothing is lost, and it can be asked for again.
    pub fn carry_out(self, now: Timestamp) -> Result<PathBuf, RestoreError> {
        let (steps, aside) = steps(&self.store, now);
        steps.iter().try_for_each(|step| step.carry_out(&self.store))?;
        Ok(aside)
    }
}

/// The folder beside a store that is there while its files are being moved aside.
pub(super) fn unfinished(store: &Path) -> PathBuf {
    beside(&real(store), ".moving")
}

/// Where a link leads to, also while there is nothing.
fn real(store: &Path) -> PathBuf {
    fs::canonicalize(store).unwrap_or_else(|_| match fs::read_link(store) {
        Ok(target) => folder_of(store).join(target),
        Err(_) => store.to_owned(),
    })
}

/// What is done in this order, each after the one before is on the disk.
#[derive(Debug)]
enum Step {
    MakeFolder(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// What is left to do, also after it was broken off at any of these steps; and the folder where the store will be.
fn steps(store: &Path, now: Timestamp) -> (Vec<Step>, PathBuf) {
    let moving = unfinished(store);
    let moved = |part: &str| moving.join(name_of(&beside(store, part)));
    let mut steps = Vec::new();
    if moving.exists() && store.exists() && moved("").exists() {
        // Broken off after the last file: what is in the store's place is the copy of that time, and no daemon has
        // opened it.
        steps.push(Step::Rename(moving.clone(), dated(store, now, ".1")));
        steps.push(Step::MakeFolder(moving.clone()));
    } else if !moving.exists() {
        steps.push(Step::MakeFolder(moving.clone()));
    }
    for part in PARTS {
        let file = beside(store, part);
        if file.exists() {
            steps.push(Step::Rename(file, moved(part)));
        }
    }
    let aside = dated(store, now, "");
    steps.push(Step::Rename(beside(store, ".new"), store.to_owned()));
    steps.push(Step::Rename(moving, aside.clone()));
    (steps, aside)
}

impl Step {
    fn carry_out(&self, store: &Path) -> Result<(), RestoreError> {
        match self {
            Self::MakeFolder(path) => {
                DirBuilder::new().mode(0o700).create(path).map_err(about(path))?;
                give_to_owner(&File::open(path).map_err(about(path))?, store)?;
            }
            Self::Rename(from, to) => {
                fs::rename(from, to).map_err(about(from))?;
                sync_folder_of(to)?;
            }
        }
        sync_folder_of(store)
    }
}

/// Whether this is a copy that this version can read, whole.
fn judge(copy: &Path, store: &Path) -> Result<(), RestoreError> {
    let same = |other: &Path| fs::canonicalize(copy).is_ok_and(|copy| fs::canonicalize(other).is_ok_and(|o| o == copy));
    if same(store) || same(&beside(store, ".new")) {
        return Err(RestoreError::NoCopy);
    }
    File::open(copy).map_err(about(copy))?;
    let read = || -> rusqlite::Result<(i64, String)> {
        let reader = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let version = reader.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let health = reader.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((version, health))
    };
    let (version, health) = read().map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => RestoreError::NotAStore,
        _ => RestoreError::Damaged(error.to_string()),
    })?;
    let newest = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match version {
        _ if health != "ok" => Err(RestoreError::Damaged(health)),
        ..1 => Err(RestoreError::NotAStore),
        version if version > newest => Err(RestoreError::Newer(version)),
        _ => Ok(()),
    }
}

/// A file that root has made belongs to whom the store's folder belongs to.
fn give_to_owner(file: &File, store: &Path) -> Result<(), RestoreError> {
    let folder = folder_of(store);
    let owner = fs::metadata(folder).map_err(about(folder))?;
    let given = match file.metadata() {
        Ok(file) if file.uid() == owner.uid() => Ok(()),
        Ok(_) => fchown(file, Some(owner.uid()), Some(owner.gid())),
        Err(error) => Err(error),
    };
    given.map_err(about(folder))
}

fn dated(store: &Path, now: Timestamp, again: &str) -> PathBuf {
    beside(store, &format!(".before-{}{again}", now.strftime("%Y%m%dT%H%M%S%.fZ")))
}

/// A name that begins like the store's.
fn beside(store: &Path, end: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(about(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder_of(path: &Path) -> Result<(), RestoreError> {
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(about(folder))
}

fn about(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::open::open;
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// A store that holds this word, closed, or as a kill leaves it: with a log that holds it.
    fn store_with(path: &Path, word: &str, killed: bool) {
        let opened = open(path).unwrap();
        let say = format!("CREATE TABLE said(word); INSERT INTO said VALUES('{word}')");
        opened.writer.execute_batch(&say).unwrap();
        if killed {
            let folder = path.parent().unwrap();
            let kept = tempfile::tempdir_in(folder).unwrap();
            for part in ["", "-wal", "-shm"] {
                let file = beside(path, part);
                fs::copy(&file, kept.path().join(name_of(&file))).unwrap();
            }
            drop(opened);
            for part in ["", "-wal", "-shm"] {
                let file = beside(path, part);
                fs::rename(kept.path().join(name_of(&file)), file).unwrap();
            }
        }
    }

    fn word_in(path: &Path) -> rusqlite::Result<String> {
        let reader = Connection::open(path)?;
        let health: String = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(health, "ok");
        reader.query_row("SELECT word FROM said", [], |row| row.get(0))
    }

    /// Every folder to which a store was moved, and the word in it.
    fn words_aside(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut asides: Vec<_> = entries
            .filter(|path| path.to_string_lossy().contains(".before-"))
            .collect();
        asides.sort();
        asides
            .iter()
            .filter_map(|aside| word_in(&aside.join("outbox.db")).ok())
            .collect()
    }

    #[test]
    fn broken_off_at_any_step_it_loses_nothing_and_can_be_asked_for_again() {
        for killed in [false, true] {
            for done in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let (store, copy) = (folder.path().join("outbox.db"), folder.path().join("copy.db"));
                store_with(&copy, "then", false);
                store_with(&store, "now", killed);

                let begun = Restore::prepare(&copy, &store).unwrap();
                let (steps, _) = steps(&begun.store, NOW);
                if done > steps.len() {
                    assert!(done > 4);
                    break;
                }
                steps
                    .iter()
                    .take(done)
                    .for_each(|step| step.carry_out(&begun.store).unwrap());
                drop(begun);

                // A daemon that is started now finds the one store or the other, whole, or refuses.
                match open(&store) {
                    Ok(opened) => {
                        drop(opened);
                        let expected = if done == 0 { "now" } else { "then" };
                        assert!(done == 0 || done == steps.len(), "{done} of {steps:?}");
                        assert_eq!(word_in(&store).unwrap(), expected);
                    }
                    Err(error) => assert!(matches!(error, OpenError::HalfRestored(_)), "{error}"),
                }
                let again = Restore::prepare(&copy, &store).unwrap();
                let later = NOW + jiff::SignedDuration::from_secs(1);
                let aside = again.carry_out(later).unwrap();
                assert!(aside.is_dir());
                drop(open(&store).unwrap());
                assert_eq!(word_in(&store).unwrap(), "then");
                let kept = words_aside(folder.path());
                assert!(kept.contains(&"now".to_owned()), "{done} of {steps:?}: {kept:?}");
                assert!(!unfinished(&store).exists());
                let rights = store.metadata().unwrap().permissions().mode();
                assert_eq!(rights & 0o777, 0o600);
            }
        }
    }

    #[test]
    fn store_that_runs_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (store, copy) = (folder.path().join("outbox.db"), folder.path().join("copy.db"));
        store_with(&copy, "then", false);
        let running = open(&store).unwrap();
        assert!(matches!(Restore::prepare(&copy, &store), Err(RestoreError::InUse(_))));
        drop(running);
        let prepared = Restore::prepare(&copy, &store).unwrap();
        assert!(matches!(open(&store), Err(OpenError::InUse(_))));
        prepared.leave().unwrap();
        assert!(!beside(&store, ".new").exists());
        open(&store).unwrap();
    }

    #[test]
    fn what_is_no_whole_copy_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let store = path("outbox.db");
        store_with(&store, "now", false);
        let refused = |name: &str| Restore::prepare(&path(name), &store).unwrap_err();
        assert!(matches!(refused("none.db"), RestoreError::Io { .. }));
        assert!(matches!(refused("outbox.db"), RestoreError::NoCopy));
        store_with(&path("outbox.db.new"), "then", false);
        assert!(matches!(refused("outbox.db.new"), RestoreError::NoCopy));
        fs::remove_file(path("outbox.db.new")).unwrap();
        fs::write(path("notes.db"), "notes\n".repeat(1000)).unwrap();
        assert!(matches!(refused("notes.db"), RestoreError::NotAStore));
        fs::write(path("empty.db"), "").unwrap();
        assert!(matches!(refused("empty.db"), RestoreError::NotAStore));
        store_with(&path("newer.db"), "then", false);
        let newer = Connection::open(path("newer.db")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        assert!(matches!(refused("newer.db"), RestoreError::Newer(99)));
        store_with(&path("cut.db"), "then", false);
        let cut = fs::read(path("cut.db")).unwrap();
        fs::write(path("cut.db"), &cut[..cut.len() / 2]).unwrap();
        assert!(matches!(refused("cut.db"), RestoreError::Damaged(_)));
        assert_eq!(word_in(&store).unwrap(), "now");
        assert!(!beside(&store, ".new").exists());
    }
}
