//! TOML to the settings of every part.
//!
//! ```text
//! files ─ source ─ syntax ─ reader ─ receiver, store, mail, admin, legal_entities, shops ─ checks ─ build ─ Config
//! ```
//!
//! - `source` takes in what people's editors make of a text ([`encoding`], [`slips`]) and reads it as it was meant;
//! - `syntax` tells what is no TOML, in words of [`doctor`] and [`duplicates`];
//! - `reader` takes key by key, with what [`names`] knows about misspelt and misplaced ones.
//!
//! Every mistake is told in one run: each key is taken with its place and turned into its runtime type, and what is
//! wrong is collected in [`diagnostics`], not returned. A mistake is told once: what is only its consequence is not.
//! Serde's derive is not used, because it stops at the first mistake and forgets where the others are.
//!
//! So that the rest is checked in the same run, what is told is read on as it was meant wherever that is clear: a curly
//! quote, `True`, `[shop.12345678]`, a file in UTF-16. Where a key may be lost, nothing is said to be missing.
//!
//! `tests/data/config` has three cases for every code, and the words for each; `tests/corpus.rs` says how to add one.
//!
//! No secret is ever quoted: [`mask`] hides in a line everything that is not known to be harmless.

mod addresses;
mod admin;
mod build;
mod changes;
mod checks;
mod codes;
mod delivery;
mod diagnostics;
mod doctor;
mod duplicates;
mod encoding;
mod legal_entities;
mod lines;
mod mail;
mod mask;
mod names;
mod network;
mod outside;
mod reader;
mod receiver;
mod render;
mod schema;
mod secrets;
mod shops;
mod slips;
mod source;
mod store;
mod syntax;
mod values;
mod written;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::Circle;
use crate::verify::ShopKeys;
use crate::{alert, deliver, outbox, receive};

pub use addresses::mail_address;
pub use changes::{Change, changes};
pub use codes::Code;
pub use diagnostics::{Diagnostic, Severity};
pub use lines::Lines;
pub(crate) use network::is_private_host;
pub use outside::{FoundSecret, Machine, Outside, SecretSource};
pub use schema::schema;
pub use source::{File, Place};
pub use values::parse_duration;

use outside::Listing;
use source::Source;

/// Where the configuration is unless `--config` says otherwise.
pub const DEFAULT_FILE: &str = "/etc/ipn-router/ipn-router.toml";

/// The whole configuration, checked: nothing after this checks again.
#[derive(Clone, Debug)]
pub struct Config {
    pub receiver: receive::Settings,
    pub store: outbox::Settings,
    pub admin: crate::admin::Settings,
    pub circles: Vec<Arc<Circle>>,
    /// For every shop and mode that has a key.
    pub keys: Vec<ShopKeys>,
    /// For every URL of every enabled shop of an enabled company, once per rendition.
    pub destinations: Vec<deliver::Settings>,
    pub alert: alert::Settings,
}

/// A configuration without error, and what is to be said about it all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Warnings and notes, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// How many legal entities there are, also switched off.
    pub legal_entities: usize,
    /// How many shops there are, also switched off.
    pub shops: usize,
    /// To point at what is written.
    pub lines: Lines,
    /// The main file and those that it includes.
    pub texts: Vec<Text>,
    /// `reload = "watch"`: to be applied whenever a file changes.
    pub watch: bool,
}

/// A file of the configuration, to be kept and shown.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Text {
    pub file: String,
    /// Secrets masked.
    pub masked: String,
}

impl Loaded {
    /// Names the texts: 12 hexadecimal digits of a hash over what was written, secrets masked. A secret that is kept
    /// elsewhere is no part of it.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update(text.masked.len().to_be_bytes());
            hash.update(&text.masked);
        }
        hex::encode(&hash.finalize()[..6])
    }
}

/// Reads a configuration from this machine's files and environment.
///
/// # Errors
///
/// Everything that is to be said, if at least one thing is an error; in the order of the text.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    load_by(path, &Machine)
}

/// The same, and every file that was read for it, or would have been: the configuration's own, and those of secrets.
pub fn load_and_list(path: &Path) -> (Result<Loaded, Vec<Diagnostic>>, BTreeSet<PathBuf>) {
    let listing = Listing::new(path);
    let loaded = load_by(path, &listing);
    (loaded, listing.into_files())
}

/// Where the daemon of this configuration answers commands; known also if the file has mistakes.
///
/// # Errors
///
/// The file cannot be read at all.
pub fn socket(path: &Path) -> io::Result<PathBuf> {
    let written = written_with_mistakes(path, &mut diagnostics::Problems::default())?;
    Ok(admin::settings(written.admin.as_ref(), &written.store.path).socket)
}

/// Where the store of this configuration is; known also if the file has mistakes elsewhere.
///
/// # Errors
///
/// The file cannot be read at all, or not where it says that.
pub fn store(path: &Path) -> io::Result<PathBuf> {
    let mut problems = diagnostics::Problems::default();
    let written = written_with_mistakes(path, &mut problems)?;
    let may_be_meant = problems.is_incomplete() || problems.has(&[codes::UNSUPPORTED_STORE, codes::WRONG_TYPE]);
    if may_be_meant && written.store.path == Path::new(store::DEFAULT_PATH) {
        return Err(io::Error::other(
            "it does not say clearly where the store is, see `ipn-router check`",
        ));
    }
    Ok(written.store.path)
}

fn written_with_mistakes(path: &Path, problems: &mut diagnostics::Problems) -> io::Result<written::Written> {
    let main = File {
        path: path.into(),
        bytes: std::fs::read(path)?,
    };
    Ok(written::read_alone(main, &Machine, problems))
}

fn load_by(path: &Path, outside: &dyn Outside) -> Result<Loaded, Vec<Diagnostic>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let main = File {
                path: path.into(),
                bytes,
            };
            let mut loaded = parse(main, outside)?;
            loaded.config.alert.config_file = named_in_commands(path);
            Ok(loaded)
        }
        Err(error) => Err(vec![unreadable(path, &error)]),
    }
}

/// How commands name this file from any folder; `None`: it is where they look by themselves.
fn named_in_commands(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    (path != Path::new(DEFAULT_FILE)).then_some(path)
}

/// Reads a configuration; whatever it needs beside its text comes from `outside`.
///
/// # Errors
///
/// Everything that is to be said, if at least one thing is an error; in the order of the text.
pub fn parse(main: File, outside: &dyn Outside) -> Result<Loaded, Vec<Diagnostic>> {
    let mut problems = diagnostics::Problems::default();
    let (written, sources) = written::read(main, outside, &mut problems);
    checks::run(&written, &mut problems);
    let is_refused = problems.has_errors();
    let diagnostics = problems.finish(&sources);
    if is_refused {
        return Err(diagnostics);
    }
    Ok(Loaded {
        config: build::config(&written),
        diagnostics,
        legal_entities: written.legal_entities.len(),
        shops: written.shops.len(),
        texts: sources.iter().map(Source::masked_text).collect(),
        watch: written.watch,
        lines: Lines::new(sources),
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let file = path.display().to_string();
    Diagnostic {
        code: codes::UNREADABLE_FILE,
        what: format!("{file} cannot be read: {error}"),
        label: String::new(),
        why: "without it nothing is known about any shop".to_owned(),
        instead: "name another file with --config".to_owned(),
        also: Vec::new(),
        place: Place {
            file: file.into(),
            line: 1,
            column: 1,
            text: String::new(),
            caret: 0..0,
        },
    }
}
