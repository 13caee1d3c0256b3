//! What a configuration names but does not contain: files and secrets.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env::VarError;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::source::File;

/// Where a secret is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// A file of that name in `$CREDENTIALS_DIRECTORY`, which systemd fills.
    Credential(String),
    /// An environment variable.
    Env(String),
    File(PathBuf),
}

/// A secret as it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundSecret {
    pub bytes: Vec<u8>,
    /// Whether every user of the machine may read it.
    pub readable_by_everyone: bool,
}

/// Everything that reading a configuration needs beside its text; a test needs no disk.
pub trait Outside {
    /// The files that a pattern of `include` names, in the order of their names.
    ///
    /// # Errors
    ///
    /// In words, if a folder or a file cannot be read.
    fn include(&self, pattern: &Path) -> Result<Vec<File>, String>;

    /// A secret, as it is kept.
    ///
    /// # Errors
    ///
    /// In words, if there is none.
    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String>;

    /// Whether a file can be opened.
    ///
    /// # Errors
    ///
    /// In words, if not.
    fn open(&self, path: &Path) -> Result<(), String>;
}

/// The machine's files and environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Outside for Machine {
    fn include(&self, pattern: &Path) -> Result<Vec<File>, String> {
        let paths = matching(pattern).map_err(|error| error.to_string())?;
        paths
            .into_iter()
            .map(|path| match fs::read(&path) {
                Ok(bytes) => Ok(File { path, bytes }),
                Err(error) => Err(format!("{}: {error}", path.display())),
            })
            .collect()
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        match from {
            SecretSource::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or("$CREDENTIALS_DIRECTORY is not set")?;
                read_secret(&Path::new(&folder).join(name))
            }
            SecretSource::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(FoundSecret {
                    bytes: value.into_bytes(),
                    readable_by_everyone: false,
                }),
                Err(VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
                Err(VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8")),
            },
            SecretSource::File(path) => read_secret(path),
        }
    }

    fn open(&self, path: &Path) -> Result<(), String> {
        let told = |error: io::Error| format!("{}: {error}", path.display());
        let file = fs::File::open(path).map_err(told)?;
        if file.metadata().map_err(told)?.is_dir() {
            return Err(format!("{} is a folder", path.display()));
        }
        Ok(())
    }
}

/// The machine, and a list of the files that were asked for.
pub(super) struct Listing(RefCell<BTreeSet<PathBuf>>);

impl Listing {
    pub(super) fn new(main: &Path) -> Self {
        Self(RefCell::new(BTreeSet::from([main.to_owned()])))
    }

    pub(super) fn into_files(self) -> BTreeSet<PathBuf> {
        self.0.into_inner()
    }
}

impl Outside for Listing {
    fn include(&self, pattern: &Path) -> Result<Vec<File>, String> {
        let files = Machine.include(pattern)?;
        self.0.borrow_mut().extend(files.iter().map(|file| file.path.clone()));
        // A file that comes later fits the pattern too.
        self.0.borrow_mut().insert(pattern.to_owned());
        Ok(files)
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        if let SecretSource::File(path) = from {
            self.0.borrow_mut().insert(path.clone());
        }
        Machine.secret(from)
    }

    fn open(&self, path: &Path) -> Result<(), String> {
        self.0.borrow_mut().insert(path.to_owned());
        Machine.open(path)
    }
}

fn read_secret(path: &Path) -> Result<FoundSecret, String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let mut bytes = fs::read(path).map_err(told)?;
    // Editors and `echo` end a file with a line end, which is no part of the secret.
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(FoundSecret {
        bytes,
        readable_by_everyone: is_readable_by_everyone(path).map_err(told)?,
    })
}

#[cfg(unix)]
fn is_readable_by_everyone(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_everyone(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// The files whose path fits a pattern with `*` and `?` in any of its names.
fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = match component {
            Component::Normal(name) => name.to_string_lossy(),
            other => {
                paths.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        if !name.contains(['*', '?']) {
            paths.iter_mut().for_each(|path| path.push(&*name));
            continue;
        }
        let mut found = Vec::new();
        for folder in paths {
            found.extend(
                names_in(&folder)?
                    .into_iter()
                    .filter(|n| fits(&name, n))
                    .map(|n| folder.join(n)),
            );
        }
        paths = found;
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if !listed.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(listed)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Whether a name fits a pattern; a name with a leading dot fits only a pattern with one, as in a shell.
fn fits(pattern: &str, name: &str) -> bool {
    fn rest(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', after)), _) => (0..=name.len()).any(|skipped| rest(after, &name[skipped..])),
            (Some(('?', after)), Some((_, others))) => rest(after, others),
            (Some((wanted, after)), Some((given, others))) => wanted == given && rest(after, others),
            _ => false,
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    name.starts_with('.') <= pattern.starts_with('.') && rest(&chars(pattern), &chars(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        assert!(fits("*.toml", "acme.toml"));
        assert!(fits("a?me*", "acme.toml"));
        assert!(!fits("*.toml", "acme.toml.bak"));
        assert!(!fits("*", ".acme.toml.swp"));
    }

    #[test]
    fn files_are_found_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["d/b.toml", "d/a.toml", "e/c.toml", "d/x.txt"] {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = matching(&folder.path().join("?/*.toml")).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap())
            .collect();
        assert_eq!(
            names,
            [Path::new("d/a.toml"), Path::new("d/b.toml"), Path::new("e/c.toml")]
        );
        assert!(matching(&folder.path().join("none/*.toml")).unwrap().is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn a_secret_file_loses_its_line_end_and_tells_who_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (written, mode, expected, everyone) in [
            (&b"key\n"[..], 0o600, &b"key"[..], false),
            (b"key\r\n", 0o644, b"key", true),
            (b"key\n\n", 0o640, b"key\n", false),
            (b" key", 0o604, b" key", true),
        ] {
            fs::write(&path, written).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = Machine.secret(&SecretSource::File(path.clone())).unwrap();
            assert_eq!(
                (found.bytes.as_slice(), found.readable_by_everyone),
                (expected, everyone)
            );
        }
    }
}
