//! The configuration's JSON Schema, judged by software that is not ours: Python's jsonschema, and taplo, which editors
//! use.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Mistakes that a schema can see: unknown keys, types, shop ids, times, numbers, words, commas between addresses.
const VISIBLE: [&str; 7] = ["E003", "E005", "E010", "E012", "E013", "E016", "E018"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(name: &str) -> PathBuf {
    let tool = root().join("tests/outside/.venv/bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing: tests/run makes it from tests/outside/requirements.txt",
        tool.display()
    );
    tool
}

/// What is wrong with each file by its schema; `None` for what is not TOML.
fn judged(files: &[PathBuf]) -> Vec<Option<Vec<String>>> {
    let mut input = tempfile::tempfile().unwrap();
    for file in files {
        writeln!(input, "{}", file.display()).unwrap();
    }
    input.rewind().unwrap();
    let output = Command::new(tool("python"))
        .arg(root().join("tests/outside/schema.py"))
        .arg(root().join("config/ipn-router.schema.json"))
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let lines = String::from_utf8(output.stdout).unwrap();
    let judged: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(judged.len(), files.len());
    judged
}

/// Every case of the corpus, with what it expects: its first line, or a file beside it.
fn corpus() -> Vec<(PathBuf, String)> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut cases = Vec::new();
    for folder in entries(&root().join("tests/data/config")) {
        for case in entries(&folder) {
            let main = if case.is_dir() { case.join("main.toml") } else { case };
            if main.extension().is_some_and(|extension| extension == "toml") && main.exists() {
                let expected = fs::read(main.with_extension("expected"))
                    .or_else(|_| fs::read(&main))
                    .unwrap();
                let expected = String::from_utf8_lossy(&expected).into_owned();
                cases.push((main, expected.lines().next().unwrap_or_default().to_owned()));
            }
        }
    }
    cases
}

#[test]
fn what_the_reader_takes_the_schema_takes_and_what_it_can_see_it_refuses() {
    let (mut taken, mut refused) = (0, 0);
    let corpus = corpus();
    let files: Vec<_> = corpus.iter().map(|(path, _)| path.clone()).collect();
    for ((path, codes), judged) in corpus.iter().zip(judged(&files)) {
        let Some(faults) = judged else { continue };
        let path = path.display();
        let has_error = codes
            .split([' ', ','])
            .any(|word| word.len() == 4 && word.starts_with('E'));
        if !has_error {
            assert!(faults.is_empty(), "{path} is right, and yet: {faults:?}");
            taken += 1;
        }
        if VISIBLE.iter().any(|code| codes.contains(code)) {
            assert!(
                !faults.is_empty(),
                "{path} has a mistake that the schema does not see: {codes}"
            );
            refused += 1;
        }
    }
    assert!(taken > 20 && refused > 15, "{taken} right files, {refused} wrong ones");
}

/// Everything in the example, also what is commented out, is allowed.
#[test]
fn the_example_is_taken_with_everything_switched_on() {
    let example = fs::read_to_string(root().join("config/ipn-router.example.toml")).unwrap();
    let on: Vec<_> = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("on.toml");
    fs::write(&path, on.join("\n")).unwrap();
    assert_eq!(judged(&[path]), [Some(Vec::new())]);
}

/// As people write values; the reader takes all of them, as its own tests show.
#[test]
fn values_are_taken_as_people_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let good = [
        "store.keep_bodies = \"1h 30m\"",
        "store.keep_bodies = \"5 minutes\"",
        "store.keep_bodies = \"2 h\"",
        "receiver.max_body = \"64kB\"",
        "receiver.max_body = 65536",
        "receiver.listen = \"[::]:8080\"",
        "receiver.allow_from = [\"2001:db8::/32\", \"127.0.0.1\"]",
        "legal_entities.a = { name = \"A\", rate = \"600 / min\" }",
        "legal_entities.a = { name = \"A\", failure_emails = ' \"ACME, Inc\" <a@b.example>;; c@d.example; ' }",
        "mail = { smtp = \"smtp://127.0.0.1?tls=none\", from = \"IPN <a@b.example>\" }",
    ];
    let bad = [
        "store.keep_bodies = \"1 month\"",
        "store.keep_bodies = \"-1s\"",
        "receiver.max_body = \"1 XB\"",
        "legal_entities.a = { name = \"A\", rate = \"10\" }",
        "legal_entities.a = { name = \"A\", failure_emails = [\"a@b.example\"] }",
        "legal_entities.a = { name = \"A\", share = \"token.*\" }",
        "shops.12345678 = { name = \"A\", legal_entity = \"a\", test = { form_url = \"https://u:p@a.example/\" } }",
        "shops.12345678 = { name = \"A\", legal_entity = \"a\", test = { form_key = [] } }",
        "shops.12345678 = { name = \"A\", legal_entity = \"a\", test = { form_key = { file = \"a\", env = \"B\" } } }",
        "shops.12345678 = { name = \"A\", legal_entity = \"a\", test = { event_url = \"https://a.example/\" } }",
    ];
    let write = |(number, text): (usize, &&str)| {
        let path = folder.path().join(format!("{number}.toml"));
        fs::write(&path, text).unwrap();
        path
    };
    let files: Vec<_> = good.iter().chain(&bad).enumerate().map(write).collect();
    let verdicts: Vec<_> = judged(&files)
        .into_iter()
        .map(|faults| faults.unwrap().is_empty())
        .collect();
    for (number, (text, taken)) in good.iter().chain(&bad).zip(verdicts).enumerate() {
        assert_eq!(taken, number < good.len(), "{text}");
    }
}

#[test]
fn the_command_prints_the_file_that_is_shipped() {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .arg("schema")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout == fs::read(root().join("config/ipn-router.schema.json")).unwrap());
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
}

/// There is no ready-made taplo for other machines among Python's packages.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn taplo_takes_the_example_and_finds_a_slip_by_the_schema_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| fs::copy(root().join("config").join(name), folder.path().join(name)).unwrap();
    copy("ipn-router.schema.json");
    copy("ipn-router.example.toml");
    let lint = || -> Output {
        Command::new(tool("taplo"))
            .args(["lint", "ipn-router.example.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    assert!(lint().status.success(), "{:?}", lint());
    let path = folder.path().join("ipn-router.example.toml");
    let slip = fs::read_to_string(&path).unwrap().replace("form_url", "form_ulr");
    fs::write(&path, slip).unwrap();
    let output = lint();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("form_ulr"),
        "{output:?}"
    );
}
