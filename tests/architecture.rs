//! Who may import whom: each part of the crate only what stands right of it in the flow (see lib.rs).
//!
//! ```text
//! main > cli > app > config > admin > receive, deliver, alert > outbox > route > verify > domain
//! ```

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every part, left to right. Parts of one line do not know each other: they meet in the outbox. None of those right of
/// `config` knows it: each has settings of its own, and `config` builds them.
const ORDER: [&[&str]; 10] = [
    &["main"],
    &["cli"],
    &["app"],
    &["config"],
    &["admin"],
    &["receive", "deliver", "alert"],
    &["outbox"],
    &["route"],
    &["verify"],
    &["domain"],
];

/// Any part from `verify` up may count; the metrics themselves know only `domain`.
const METRICS: &str = "metrics";

fn may_import(part: &str, other: &str) -> bool {
    let place = |name| ORDER.iter().position(|line| line.contains(&name));
    match (place(part), place(other)) {
        _ if part == other => true,
        (Some(left), Some(right)) => left < right,
        (Some(_), None) => other == METRICS && part != "domain",
        (None, _) => part == METRICS && other == "domain",
    }
}

/// One file of the crate.
struct Source {
    /// Such as `deliver/schedule.rs`.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The folder of src, or the file's own name if it lies directly in src.
    fn part(&self) -> String {
        let first = Path::new(self.path.iter().next().unwrap());
        first.file_stem().unwrap().to_str().unwrap().to_owned()
    }

    /// How many `super::` lead from here to the crate's root.
    fn depth(&self) -> usize {
        self.path.iter().count() - usize::from(self.path.ends_with("mod.rs"))
    }

    /// Everything that is wrong here, in words.
    fn faults(&self) -> Vec<String> {
        let part = self.part();
        let code = without_comments(&self.text);
        let mut imported = imported_parts(&code);
        imported.extend(parts_climbed_to(&code, self.depth()));
        imported
            .into_iter()
            .filter(|other| !may_import(&part, other))
            .map(|other| format!("{}: {part} may not import {other}", self.path.display()))
            .collect()
    }
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// What follows `crate::`, alone or in braces.
fn imported_parts(code: &str) -> BTreeSet<&str> {
    code.match_indices("crate::")
        // Not `other_crate::`.
        .filter(|(at, _)| !code[..*at].ends_with(is_of_a_name))
        .flat_map(|(at, root)| match code[at + root.len()..].strip_prefix('{') {
            Some(list) => names_at_top(list),
            None => vec![first_name(&code[at + root.len()..])],
        })
        .collect()
}

/// `deliver` and `domain` of `deliver, domain::{Clock, Mode}};`.
fn names_at_top(list: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(list[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(path: &str) -> &str {
    path.split(|c| !is_of_a_name(c)).next().unwrap_or_default()
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What is imported by enough `super::` to reach the crate's root. Inside `mod tests` one leads less far, so only names
/// of parts count.
fn parts_climbed_to(code: &str, depth: usize) -> BTreeSet<&str> {
    let root = "super::".repeat(depth);
    code.match_indices(&root)
        .map(|(at, root)| first_name(&code[at + root.len()..]))
        .filter(|name| *name == METRICS || ORDER.concat().contains(name))
        .collect()
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(folder).unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found
}

#[test]
fn each_part_imports_only_what_stands_right_of_it() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.iter().any(|source| source.part() == "outbox"));
    let faults: Vec<_> = sources.iter().flat_map(Source::faults).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// A part that has no place yet could import everything, or be imported by everything.
#[test]
fn each_part_has_a_place() {
    let known: BTreeSet<_> = ORDER.concat().into_iter().chain([METRICS, "lib"]).collect();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        assert!(known.contains(&*source.part()), "{} has no place", source.part());
    }
}

#[test]
fn a_forbidden_import_is_found_wherever_it_stands() {
    let faults = |path: &str, text: &str| {
        let source = Source {
            path: path.into(),
            text: text.to_owned(),
        };
        source.faults()
    };
    for (path, text) in [
        ("receive/handler.rs", "use crate::deliver::Delivery;"),
        ("receive/handler.rs", "use crate::config;"),
        ("domain/mode.rs", "use crate::verify::{Keyring};"),
        ("domain/mode.rs", "use crate::metrics;"),
        ("metrics.rs", "use crate::verify;"),
        ("app.rs", "use crate::domain::Clock;\nfn f() { crate::cli::run() }"),
        (
            "verify/mod.rs",
            "use crate::{\n    domain::{Mode, ShopId},\n    route,\n};",
        ),
        ("verify/mod.rs", "use crate::{domain, outbox::{Outbox, Routed}};"),
        ("alert/text/mod.rs", "use super::super::deliver;"),
        ("alert/mod.rs", "pub use super::deliver::Delivery;"),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("receive/handler.rs", "use crate::receive::Settings;"),
        (
            "receive/handler.rs",
            "// use crate::deliver;\nuse other_crate::deliver;",
        ),
        (
            "receive/handler.rs",
            "use crate::{domain::{Clock, Mode}, metrics, outbox};",
        ),
        ("config/build.rs", "use crate::{alert, deliver, outbox, receive};"),
        ("cli/send.rs", "use crate::config;\nuse super::{check, serve};"),
        ("alert/text/mod.rs", "use super::step;"),
        ("metrics.rs", "use crate::domain::Mode;"),
    ] {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
