//! What README.md shows is right.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

use ipn_router::config::{self, File, FoundSecret, Outside, SecretSource};

/// Every file and secret is there.
struct Complete;

impl Outside for Complete {
    fn include(&self, _: &Path) -> Result<Vec<File>, String> {
        Ok(Vec::new())
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        let bytes: &[u8] = match from {
            SecretSource::File(path) if path.ends_with("lyon-events") => b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            _ => b"4kZx81pQ7vRt0aBc",
        };
        Ok(FoundSecret {
            bytes: bytes.to_vec(),
            readable_by_everyone: false,
        })
    }

    fn open(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands in the fences of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    let after = text.split(&*fence).skip(1);
    after.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn the_configuration_shown_has_nothing_to_be_said_about() {
    let readme = read("README.md");
    let shown = blocks(&readme, "toml");
    assert_eq!(shown.len(), 1);
    let file = File {
        path: "/etc/ipn-router/ipn-router.toml".into(),
        bytes: shown[0].into(),
    };
    let loaded = config::parse(file, &Complete).unwrap();
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!((loaded.shops, loaded.config.destinations.len()), (2, 3));
}

#[test]
fn every_key_of_the_example_is_explained() {
    let readme = read("README.md");
    let example = read("config/ipn-router.example.toml");
    let keys = example.lines().filter_map(|line| {
        let (key, _) = line.trim_start_matches('#').split_once(" = ")?;
        key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(key)
    });
    let mut seen = 0;
    for key in keys {
        seen += 1;
        assert!(readme.contains(&format!("`{key}`")), "{key}");
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn the_e_mails_shown_are_those_that_people_get() {
    let readme = read("README.md");
    let shown: Vec<_> = blocks(&readme, "text")
        .into_iter()
        .filter(|block| block.starts_with("Subject: "))
        .collect();
    let agreed =
        ["opened-500", "recovered-with-dead-letters"].map(|name| read(&format!("tests/data/emails/en/{name}.txt")));
    assert_eq!(shown, agreed);
}
