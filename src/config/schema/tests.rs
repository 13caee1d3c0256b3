use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::{Diagnostic, File, FoundSecret, Outside, SecretSource, parse};
use crate::domain::KindPattern;

/// No key and no word of the configuration is called so, and none is like it.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzz";

/// Every file and secret is there.
struct Complete;

impl Outside for Complete {
    fn include(&self, _: &Path) -> Result<Vec<File>, String> {
        Ok(Vec::new())
    }

    fn secret(&self, _: &SecretSource) -> Result<FoundSecret, String> {
        Ok(FoundSecret {
            bytes: b"4kZx81pQ7vRt0aBc".to_vec(),
            readable_by_everyone: false,
        })
    }

    fn open(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

fn told(toml: &str) -> Vec<Diagnostic> {
    let file = File {
        path: "ipn-router.toml".into(),
        bytes: toml.into(),
    };
    parse(file, &Complete).map_or_else(|told| told, |loaded| loaded.diagnostics)
}

/// A value of the schema, with where it may be written: `shops.12345678.test`, and whether that is within a list.
struct Node {
    key: String,
    in_list: bool,
    schema: Value,
}

/// Every table and every value, however deep.
fn nodes() -> Vec<Node> {
    let mut open = vec![Node {
        key: String::new(),
        in_list: false,
        schema: schema(),
    }];
    let mut all = Vec::new();
    while let Some(node) = open.pop() {
        let below = |name: &str| match &*node.key {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        };
        let mut push = |key, in_list, schema: &Value| {
            let schema = schema.clone();
            open.push(Node { key, in_list, schema });
        };
        for (name, schema) in node.schema["properties"].as_object().into_iter().flatten() {
            push(below(name), false, schema);
        }
        for (pattern, schema) in node.schema["patternProperties"].as_object().into_iter().flatten() {
            push(
                below(if pattern.contains("{8}") { "12345678" } else { "acme" }),
                false,
                schema,
            );
        }
        for schema in node.schema["anyOf"].as_array().into_iter().flatten() {
            push(node.key.clone(), node.in_list, schema);
        }
        if node.schema["items"].is_object() {
            push(node.key.clone(), true, &node.schema["items"]);
        }
        all.push(node);
    }
    all
}

/// The words of a list that a message ends with.
fn words(list: &str) -> BTreeSet<String> {
    list.split(", ")
        .map(|word| word.trim_matches(['"', '`']).to_owned())
        .collect()
}

/// A key that the reader learns and the schema lacks, or the other way round, ends here.
#[test]
fn every_table_has_the_keys_that_the_reader_knows() {
    let mut seen = 0;
    for node in nodes() {
        let Some(properties) = node.schema["properties"].as_object() else {
            assert!(node.schema["type"] != "object" || node.schema["patternProperties"].is_object());
            continue;
        };
        assert_eq!(node.schema["additionalProperties"], false, "{}", node.key);
        let dot = if node.key.is_empty() { "" } else { "." };
        let toml = if node.in_list {
            format!("{} = [{{ {UNKNOWN} = 1 }}]", node.key)
        } else {
            format!("{}{dot}{UNKNOWN} = 1", node.key)
        };
        let told = told(&toml);
        let unknown = told.iter().find(|diagnostic| diagnostic.what.contains(UNKNOWN));
        let unknown = unknown.unwrap_or_else(|| panic!("{toml}: {told:?}"));
        let known = unknown.instead.strip_prefix("known here: ").unwrap();
        let ours: BTreeSet<_> = properties.keys().cloned().collect();
        assert_eq!(
            words(known),
            ours,
            "the reader's keys, then the schema's, of `{}`",
            node.key
        );
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_word_is_one_that_the_reader_knows() {
    let mut seen = 0;
    for Node { key, in_list, schema } in nodes() {
        let Some(ours) = schema["enum"].as_array() else {
            continue;
        };
        let ours: BTreeSet<_> = ours.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        if key.ends_with(".share") {
            assert!(ours.iter().all(|word| word.parse::<KindPattern>().is_ok()), "{ours:?}");
            continue;
        }
        let value = if in_list {
            format!("[\"{UNKNOWN}\"]")
        } else {
            format!("\"{UNKNOWN}\"")
        };
        let told = told(&format!("{key} = {value}"));
        let known = told
            .iter()
            .find_map(|diagnostic| diagnostic.instead.strip_prefix("one of "));
        let known = known.unwrap_or_else(|| panic!("{key}: {told:?}"));
        assert_eq!(words(known), ours, "the reader's words, then the schema's, of `{key}`");
        seen += 1;
    }
    assert!(seen > 7, "{seen}");
}

#[test]
fn every_key_is_explained() {
    for node in nodes() {
        for (name, schema) in node.schema["properties"].as_object().into_iter().flatten() {
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{}.{name}: {description}", node.key);
        }
    }
}

#[test]
fn the_shipped_file_is_what_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ipn-router.schema.json");
    let shipped = std::fs::read_to_string(path).unwrap();
    assert!(
        shipped == format!("{:#}\n", schema()),
        "ipn-router schema > config/ipn-router.schema.json"
    );
}
