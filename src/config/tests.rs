//! The corpus of broken configurations, and what holds for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::domain::{Mode, Rendition};

/// A machine whose secrets tell by their names how they are; files that are included are real.
#[derive(Debug)]
struct TestMachine;

impl Outside for TestMachine {
    fn include(&self, pattern: &Path) -> Result<Vec<File>, String> {
        Machine.include(pattern)
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        let name = match from {
            SecretSource::Credential(name) | SecretSource::Env(name) => name.clone(),
            SecretSource::File(path) => path.display().to_string(),
        };
        let bytes = match name.as_str() {
            "empty" => Vec::new(),
            name if name.contains("missing") => return Err("no such file".to_owned()),
            name if name.starts_with("padded") => b"key ".to_vec(),
            name if name.contains("event") => b"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_vec(),
            name => name.into(),
        };
        Ok(FoundSecret {
            bytes,
            readable_by_everyone: name.contains("/open/"),
        })
    }

    fn open(&self, path: &Path) -> Result<(), String> {
        match path.to_string_lossy().contains("missing") {
            true => Err("no such file".to_owned()),
            false => Ok(()),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn example() -> String {
    fs::read_to_string(root().join("config/ipn-router.example.toml")).unwrap()
}

fn parsed(text: impl Into<Vec<u8>>) -> Result<Loaded, Vec<Diagnostic>> {
    let file = File {
        path: root().join("tests/data/config/main.toml"),
        bytes: text.into(),
    };
    parse(file, &TestMachine)
}

fn all(result: Result<Loaded, Vec<Diagnostic>>) -> Vec<Diagnostic> {
    result.map_or_else(|diagnostics| diagnostics, |loaded| loaded.diagnostics)
}

/// As in the first line of a file of the corpus: `E012 7:9`, or `E041 other.toml:7:9`.
fn expectation(diagnostic: &Diagnostic, main: &Path) -> String {
    let Place { file, line, column, .. } = &diagnostic.place;
    let folder = main.parent().unwrap();
    let file = match Path::new(&**file) {
        file if file == main => String::new(),
        file => format!("{}:", file.strip_prefix(folder).unwrap().display()),
    };
    format!("{} {file}{line}:{column}", diagnostic.code.0)
}

#[test]
fn every_file_of_the_corpus_is_told_exactly_what_it_expects() {
    let mut seen = 0;
    let mut failures = Vec::new();
    for entry in fs::read_dir(root().join("tests/data/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        seen += 1;
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# expect: ").unwrap();
        let file = File {
            path: path.clone(),
            bytes,
        };
        let found = all(parse(file, &TestMachine));
        let told: Vec<_> = found.iter().map(|diagnostic| expectation(diagnostic, &path)).collect();
        let told = if told.is_empty() {
            "nothing".to_owned()
        } else {
            told.join(", ")
        };
        let shown: String = found
            .iter()
            .map(|diagnostic| diagnostic.to_text(false) + "\n\n")
            .collect();
        if told != expected {
            failures.push(format!("{}: expected {expected}, told {told}\n{shown}", path.display()));
        }
        let json: String = found
            .iter()
            .map(|diagnostic| diagnostic.to_json().to_string())
            .collect();
        assert!(!shown.contains("SECRET") && !json.contains("SECRET"), "{shown}{json}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen > 80, "only {seen} files");
}

/// A code that no file of the corpus shows is one that nobody has seen work.
#[test]
fn every_code_has_a_file_in_the_corpus() {
    let codes = include_str!("codes.rs");
    let corpus: String = fs::read_dir(root().join("tests/data/config"))
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .filter_map(|text| text.lines().next().map(str::to_owned))
        .collect();
    for code in codes.split("Code(\"").skip(1).map(|rest| &rest[..4]) {
        // A file that cannot be read, or is not UTF-8, is no file of the corpus.
        assert!(corpus.contains(code) || code == "E002", "{code}");
    }
}

#[test]
fn example_is_parsed_without_a_word() {
    let loaded = parsed(example()).unwrap();
    assert_eq!(loaded.diagnostics, []);
    assert_eq!((loaded.legal_entities, loaded.shops), (1, 2));
}

/// What the example shows as commented out can be written.
#[test]
fn example_is_parsed_with_everything_switched_on() {
    let text = example();
    let on: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("#include") && !line.starts_with("#:schema"))
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    let loaded = parsed(on.join("\n")).unwrap();
    let codes: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
    assert_eq!(
        codes,
        ["N003", "N003"],
        "expect_every and wait_for_named_shop have no effect yet"
    );
}

#[test]
fn destinations_are_one_per_url_and_rendition() {
    let config = parsed(example()).unwrap().config;
    let of = |mode, shop: &str| -> Vec<_> {
        let of = |d: &&deliver::Settings| d.key.mode == mode && d.key.shop.as_str() == shop;
        config
            .destinations
            .iter()
            .filter(of)
            .map(|d| d.key.rendition.word())
            .collect()
    };
    assert_eq!(of(Mode::Test, "12345678"), ["form", "form-resigned"]);
    assert_eq!(
        of(Mode::Production, "12345678"),
        ["form", "rest", "form-resigned", "rest-resigned"]
    );
    assert_eq!(of(Mode::Production, "23456789"), ["event"]);
    assert_eq!(of(Mode::Test, "23456789"), [""; 0]);
    let circles: Vec<_> = config.circles.iter().map(|c| (c.mode, c.members.len())).collect();
    assert_eq!(circles, [(Mode::Production, 2), (Mode::Test, 1)]);
}

#[test]
fn switched_off_shops_keep_their_keys_and_lose_their_destinations() {
    for (line, enabled_off) in [
        ("name = \"ACME Paris\"", "name = \"ACME Paris\"\nenabled = false"),
        ("enabled = true\nfailure", "enabled = false\nfailure"),
    ] {
        let text = example();
        assert!(text.contains(line));
        let on = parsed(text.clone()).unwrap().config;
        let off = parsed(text.replace(line, enabled_off)).unwrap().config;
        assert_eq!(off.keys.len(), on.keys.len());
        assert!(off.destinations.iter().all(|d| d.key.shop.as_str() != "12345678"));
    }
}

#[test]
fn the_shop_wins_over_its_legal_entity() {
    let text = example()
        .replace(
            "automatic_retry = true",
            "automatic_retry = false\nrate = \"10/s\"\ntimeouts = { connect = \"1s\" }",
        )
        .replace(
            "allow_private = false",
            "automatic_retry = true\ntimeouts = { whole = \"9s\" }",
        );
    let config = parsed(text).unwrap().config;
    let paris = config
        .destinations
        .iter()
        .find(|d| d.key.rendition != Rendition::Event)
        .unwrap();
    let lyon = config
        .destinations
        .iter()
        .find(|d| d.key.shop.as_str() == "23456789")
        .unwrap();
    assert_eq!((paris.retry.automatic, lyon.retry.automatic), (false, true));
    assert_eq!((paris.rate, lyon.rate), (Some(10.0), Some(10.0)));
    assert_eq!(lyon.timeouts.connect.as_secs(), 1);
    assert_eq!(lyon.timeouts.whole.as_secs(), 9);
    assert_eq!(lyon.timeouts.first_byte, deliver::Timeouts::default().first_byte);
}

#[test]
fn a_key_without_url_makes_no_destination_and_a_url_without_key_none_either() {
    let text = example().replace("form_key = { credential = \"paris-form-test\" }", "");
    let config = parsed(text).unwrap().config;
    assert!(config.destinations.iter().all(|d| d.key.mode == Mode::Production));
    assert_eq!(config.keys.len(), 1);
}

#[test]
fn paths_are_relative_to_the_file_and_the_socket_is_beside_the_store() {
    let config = parsed("[store]\nurl = \"sqlite:data/outbox.db\"").unwrap().config;
    let folder = root().join("tests/data/config/data");
    assert_eq!(config.store.path, folder.join("outbox.db"));
    assert_eq!(config.admin.socket, folder.join("ipn-router.sock"));
    let config = parsed("[store]\nurl = \"sqlite:///srv/outbox.db\"").unwrap().config;
    assert_eq!(config.store.path, Path::new("/srv/outbox.db"));
}

#[test]
fn places_are_right_with_a_byte_order_mark_and_line_ends_of_windows() {
    let text = "[receiver]\npath = \"ipn\"\nmax_body = \"é€🦀\" # x\n";
    let plain: Vec<_> = all(parsed(text))
        .iter()
        .map(|d| (d.place.line, d.place.column))
        .collect();
    assert_eq!(plain, [(2, 8), (3, 12)]);
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let found = all(parsed(windows));
    let places: Vec<_> = found.iter().map(|d| (d.place.line, d.place.column)).collect();
    assert_eq!(places, plain);
    assert!(found.iter().all(|d| !d.to_text(false).contains('\r')));
}

#[test]
fn a_file_that_is_not_utf8_or_not_there_has_its_place() {
    let found = parsed(b"[receiver]\npath = \"/\xff\"\n".to_vec()).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code.0, found[0].place.line, found[0].place.column),
        ("E002", 2, 10)
    );
    let found = load(Path::new("/no/such/file.toml")).unwrap_err();
    assert_eq!((found[0].code.0, found[0].place.line), ("E002", 1));
    assert!(found[0].to_text(false).contains("/no/such/file.toml"));
}

/// A text that differs from the example by one accident.
fn damaged() -> impl Strategy<Value = String> {
    let text = example();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = lines.len();
    let chars = text.chars().count();
    let cut = (0..chars, 0..40usize, "[\\[\\]{}=\"'#.,a0\\n é]{0,4}").prop_map(move |(at, length, new)| {
        let kept = text
            .chars()
            .take(at)
            .chain(new.chars())
            .chain(text.chars().skip(at + length));
        kept.collect::<String>()
    });
    let moved = (0..count, 0..count).prop_map(move |(from, to)| {
        let mut lines = lines.clone();
        let line = lines.remove(from);
        lines.insert(to.min(lines.len()), line);
        lines.join("\n")
    });
    prop_oneof![cut, moved]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_to_the_example_every_diagnostic_has_its_place(text in damaged()) {
        for diagnostic in all(parsed(text.clone())) {
            let Place { line, column, text: shown, caret, .. } = &diagnostic.place;
            let written = text.split('\n').nth(line - 1).unwrap_or_default();
            prop_assert!(*column >= 1 && *column <= written.chars().count() + 1);
            prop_assert!(shown.get(caret.clone()).is_some());
            prop_assert!(!diagnostic.what.is_empty());
            prop_assert!(diagnostic.to_text(false).contains(&format!(":{line}:{column}\n")), "{}", diagnostic.to_text(false));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for diagnostic in all(parsed(bytes)) {
            prop_assert!(diagnostic.place.line >= 1);
            diagnostic.to_text(true);
        }
    }
}
