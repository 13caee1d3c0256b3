//! What holds for whole configurations: the corpus of broken ones, the example, and the example after accidents.

mod corpus;
mod damage;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::domain::{Mode, Rendition};

/// A machine whose secrets are as their names say, unless there is such a file; files that are included are real.
#[derive(Debug)]
struct TestMachine;

impl Outside for TestMachine {
    fn include(&self, pattern: &Path) -> Result<Vec<File>, String> {
        Machine.include(pattern)
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        let name = match from {
            SecretSource::Credential(name) | SecretSource::Env(name) => name.clone(),
            SecretSource::File(path) if path.exists() => {
                // Everybody may read what lies in a repository.
                return Machine.secret(from).map(|found| FoundSecret {
                    readable_by_everyone: false,
                    ..found
                });
            }
            SecretSource::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let bytes = match name.as_str() {
            "blanks" => b"  \t ".to_vec(),
            "empty" => Vec::new(),
            "no-break-space" => "key\u{a0}".into(),
            name if name.to_lowercase().contains("missing") => return Err("no such file or variable".to_owned()),
            name if name.starts_with("padded") => b"key ".to_vec(),
            name if name.contains("event") => b"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_vec(),
            name => name.into(),
        };
        Ok(FoundSecret {
            bytes,
            readable_by_everyone: name.starts_with("open"),
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

/// The example, with every key that it has as commented out.
fn example_with_everything() -> String {
    let text = example();
    let on: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("#include") && !line.starts_with("#:schema"))
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    on.join("\n")
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

#[test]
fn example_is_parsed_without_a_word() {
    let loaded = parsed(example()).unwrap();
    assert_eq!(loaded.diagnostics, []);
    assert_eq!((loaded.legal_entities, loaded.shops), (1, 2));
}

/// What the example shows as commented out can be written.
#[test]
fn example_is_parsed_with_everything_switched_on() {
    let loaded = parsed(example_with_everything()).unwrap();
    let codes: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
    assert_eq!(codes, [""; 0]);
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
    let stored_in = |url| example().replace("sqlite:/var/lib/ipn-router/outbox.db", url);
    let config = parsed(stored_in("sqlite:data/outbox.db")).unwrap().config;
    let folder = root().join("tests/data/config/data");
    assert_eq!(config.store.path, folder.join("outbox.db"));
    assert_eq!(config.admin.socket, folder.join("ipn-router.sock"));
    let config = parsed(stored_in("sqlite:///srv/outbox.db")).unwrap().config;
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
    let found = parsed(b"# \xff\n[receiver]\n".to_vec()).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code.0, found[0].place.line, found[0].place.column),
        ("E002", 1, 3)
    );
    let found = load(Path::new("/no/such/file.toml")).unwrap_err();
    assert_eq!((found[0].code.0, found[0].place.line), ("E002", 1));
    assert!(found[0].to_text(false).contains("/no/such/file.toml"));
}
