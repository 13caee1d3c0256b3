//! What deploy/ ships, judged by the programs that will read it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that tests/run has got.
fn tool(path: &str) -> PathBuf {
    let tool = root().join("tests/outside").join(path);
    assert!(tool.exists(), "{} is missing: tests/run gets it", tool.display());
    tool
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success(), "{command:?}: {status}\n{told}");
    told
}

/// systemd finds nothing wrong with the units, once the program is where it looks.
#[test]
fn units_are_verified_by_systemd() {
    let folder = tempfile::tempdir().unwrap();
    for unit in ["ipn-router.service", "ipn-router.socket"] {
        let text = fs::read_to_string(root().join("deploy").join(unit)).unwrap();
        let program = format!("={} ", env!("CARGO_BIN_EXE_ipn-router"));
        fs::write(folder.path().join(unit), text.replace("=ipn-router ", &program)).unwrap();
    }
    let told = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(["ipn-router.service", "ipn-router.socket"].map(|unit| folder.path().join(unit))));
    assert_eq!(told, "");
}

/// Of 10; what is left is that a receiver needs the network.
#[test]
fn service_is_exposed_to_little() {
    let told = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(root().join("deploy/ipn-router.service")));
    assert!(told.contains("Overall exposure level"), "{told}");
}

#[test]
fn container_file_follows_the_rules_of_hadolint() {
    let told = run(Command::new(tool(".venv/bin/hadolint"))
        .args(["--failure-threshold", "style"])
        .arg(root().join("deploy/Containerfile")));
    assert_eq!(told, "");
}
