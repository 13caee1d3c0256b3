//! `reload = "watch"`: looks at the configuration again whenever one of its files has changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::Control;
use crate::admin::{Reload, Who};

/// After the last change: editors write more than once, and Kubernetes moves whole folders.
const QUIET: Duration = Duration::from_millis(500);
/// Quiet may never come, if something else is written into the same folder all the time.
const LONGEST: Duration = Duration::from_secs(2);

/// Asks for a reload after each change of these files, until `stop`. If one was replaced, the new one is looked at.
pub(super) async fn watch_files(
    mut files: watch::Receiver<BTreeSet<PathBuf>>,
    control: Control,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let changed = Arc::new(Notify::new());
    let mut eyes = match Eyes::open(Arc::clone(&changed)) {
        Ok(eyes) => eyes,
        Err(error) => {
            tracing::error!(%error, "cannot watch the configuration; reload it by command: {error}");
            return stop.await;
        }
    };
    // A file may have changed since it was read and before anybody looked: the first look finds out.
    let mut seen = Vec::new();
    changed.notify_one();
    loop {
        eyes.look_at(&folders(&files.borrow_and_update()));
        tokio::select! {
            biased;
            () = &mut stop => return,
            // Another configuration may come from other files.
            _ = files.changed() => continue,
            () = changed.notified() => {}
        }
        let longest = Instant::now() + LONGEST;
        while timeout_at(longest.min(Instant::now() + QUIET), changed.notified())
            .await
            .is_ok()
        {}
        let now = contents(&files.borrow());
        if now == seen {
            // It was another file of the folder.
            continue;
        }
        seen = now;
        if control.reload(Reload::default(), Who::Watch).await.is_none() {
            return stop.await;
        }
    }
}

struct Eyes {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Eyes {
    fn open(changed: Arc<Notify>) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is an event too, and is what we do ourselves.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                changed.notify_one();
            }
        })?;
        Ok(Self {
            watcher,
            folders: BTreeSet::new(),
        })
    }

    fn look_at(&mut self, folders: &BTreeSet<PathBuf>) {
        // What was deleted is watched no more; to say so would be a warning in the log.
        for gone in self.folders.difference(folders).filter(|gone| gone.is_dir()) {
            self.watcher.unwatch(gone).ok();
        }
        let mut seen = BTreeSet::new();
        for folder in folders {
            let is_new = !self.folders.contains(folder);
            match if is_new {
                self.watcher.watch(folder, RecursiveMode::NonRecursive)
            } else {
                Ok(())
            } {
                Ok(()) => drop(seen.insert(folder.clone())),
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(%error, %folder, "cannot watch {folder}: {error}");
                }
            }
        }
        self.folders = seen;
    }
}

/// The folders that hold the files, and those that hold what symbolic links lead to: a file that is replaced is another
/// file, but in the same folder.
fn folders(files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    files
        .iter()
        .flat_map(|file| [Some(folder(file)), fs::canonicalize(file).ok().as_deref().map(folder)])
        .flatten()
        .filter(|folder| folder.is_dir())
        .collect()
}

/// What distinguishes one state of the files from another; of a pattern, which names there are.
fn contents(files: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut hash = Sha256::new();
    for file in files {
        match fs::read(file) {
            Ok(text) => hash.update(Sha256::digest(text)),
            Err(_) => {
                let names = file.parent().and_then(|folder| fs::read_dir(folder).ok());
                let mut names: Vec<_> = names
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.file_name())
                    .collect();
                names.sort();
                for name in names
                    .iter()
                    .filter(|name| Path::new(name).extension() == file.extension())
                {
                    hash.update(Sha256::digest(name.as_encoded_bytes()));
                }
            }
        }
    }
    hash.finalize().to_vec()
}
