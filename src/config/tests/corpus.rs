//! The corpus: `tests/data/config`, a folder for each code.
//!
//! A case is a file, or a folder with a `main.toml` and what it includes. It says what it expects in its first line:
//! `# expect: E012 7:9, E041 other.toml:7:9`, code and place of every diagnostic and no others, or `nothing`. Where
//! that cannot be written in it, a `.expected` beside it says so. `told.txt` of each folder has the words that an
//! admin reads; after a change of words, run the test with `UPDATE_TOLD=1` and read what changed.

use std::collections::BTreeMap;

use super::*;

/// Folders that show no code of their own.
const OTHERS: [&str; 3] = ["as-people-make-them", "nothing-to-say", "several-mistakes"];

/// A configuration of the corpus.
struct Case {
    name: String,
    main: PathBuf,
    /// As written: `E012 7:9`.
    expected: Vec<String>,
}

impl Case {
    fn read(entry: &Path) -> Option<Self> {
        let main = if entry.is_dir() {
            entry.join("main.toml")
        } else {
            entry.to_owned()
        };
        if main.extension()? != "toml" {
            return None;
        }
        let bytes = fs::read(&main).unwrap();
        let beside = fs::read_to_string(main.with_extension("expected")).ok();
        let expected = beside.unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&bytes);
            let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
            let expected = first.strip_prefix("# expect: ");
            expected
                .unwrap_or_else(|| panic!("{} does not say what it expects", main.display()))
                .to_owned()
        });
        let expected = expected.trim().split(", ").map(str::to_owned);
        Some(Self {
            name: entry.file_stem()?.to_string_lossy().into_owned(),
            expected: expected.filter(|one| one != "nothing").collect(),
            main,
        })
    }

    fn told(&self) -> Vec<Diagnostic> {
        let file = File {
            path: self.main.clone(),
            bytes: fs::read(&self.main).unwrap(),
        };
        all(parse(file, &TestMachine))
    }

    /// A diagnostic as an expectation.
    fn expectation(&self, diagnostic: &Diagnostic) -> String {
        let Place { file, line, column, .. } = &diagnostic.place;
        let file = match Path::new(&**file) {
            file if file == self.main => String::new(),
            file => format!("{}:", file.strip_prefix(self.main.parent().unwrap()).unwrap().display()),
        };
        format!("{} {file}{line}:{column}", diagnostic.code.0)
    }
}

fn corpus() -> PathBuf {
    root().join("tests/data/config")
}

/// Every case by its folder.
fn cases() -> BTreeMap<String, Vec<Case>> {
    let mut cases = BTreeMap::new();
    for folder in fs::read_dir(corpus()).unwrap() {
        let folder = folder.unwrap();
        let mut entries: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        let name = folder.file_name().to_string_lossy().into_owned();
        cases.insert(
            name,
            entries.iter().filter_map(|entry| Case::read(entry)).collect::<Vec<_>>(),
        );
    }
    cases
}

/// Every code as its folder is called: `E018-comma-in-addresses`.
fn codes() -> Vec<String> {
    let constants = include_str!("../codes.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub(super) const "));
    constants
        .map(|constant| {
            let (name, code) = constant.split_once(": Code = Code(\"").unwrap();
            format!("{}-{}", &code[..4], name.to_lowercase().replace('_', "-"))
        })
        .collect()
}

#[test]
fn every_case_is_told_exactly_what_it_expects() {
    let mut failures = Vec::new();
    for case in cases().values().flatten() {
        let found = case.told();
        let told: Vec<_> = found.iter().map(|diagnostic| case.expectation(diagnostic)).collect();
        if told != case.expected {
            let shown: String = found
                .iter()
                .map(|diagnostic| diagnostic.to_text(false) + "\n\n")
                .collect();
            let (main, expected, told) = (case.main.display(), case.expected.join(", "), told.join(", "));
            failures.push(format!("{main}\nexpected: {expected}\nand told: {told}\n{shown}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A code that fewer show is one that nobody has seen in all of its ways.
#[test]
fn every_code_has_three_cases_that_show_it() {
    let cases = cases();
    let codes = codes();
    for code in &codes {
        let cases = cases.get(code).map_or(&[][..], Vec::as_slice);
        assert!(cases.len() >= 3, "{code} has {} cases", cases.len());
        for case in cases {
            let shows = case.expected.iter().any(|expected| expected.starts_with(&code[..4]));
            assert!(shows, "{} does not show {code}", case.main.display());
        }
    }
    for folder in cases.keys() {
        assert!(
            codes.contains(folder) || OTHERS.contains(&folder.as_str()),
            "{folder} is no code"
        );
    }
}

#[test]
fn every_diagnostic_says_what_is_wrong_why_it_matters_and_what_to_write() {
    for case in cases().values().flatten() {
        for Diagnostic { what, why, instead, .. } in case.told() {
            let is_whole = [&what, &why, &instead].iter().all(|words| !words.is_empty());
            assert!(is_whole, "{}: {what} / {why} / {instead}", case.main.display());
        }
    }
}

/// Every case has `SECRET` wherever its author put something that must not be shown.
#[test]
fn no_diagnostic_shows_a_secret() {
    for case in cases().values().flatten() {
        for diagnostic in case.told() {
            let shown = format!("{}{}{diagnostic:?}", diagnostic.to_text(false), diagnostic.to_json());
            assert!(!shown.contains("SECRET"), "{}\n{shown}", case.main.display());
        }
    }
}

#[test]
fn the_words_are_those_that_were_read_over() {
    let update = std::env::var_os("UPDATE_TOLD").is_some();
    for (folder, cases) in cases() {
        let mut told = String::new();
        for case in &cases {
            told += &format!("=== {}\n\n", case.name);
            for diagnostic in case.told() {
                let folder = format!("{}/", case.main.parent().unwrap().display());
                told += &format!("{}\n\n", diagnostic.to_text(false).replace(&folder, ""));
            }
        }
        let golden = corpus().join(&folder).join("told.txt");
        if update {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            told == expected,
            "{folder}: other words than told.txt has; see the top of this file\n{told}"
        );
    }
}
