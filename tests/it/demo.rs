//! The demo, as everybody sees it first; and that it would find a loss.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .arg("demo")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

#[test]
fn demo_ends_well_and_shows_each_turn_of_a_notification() {
    let output = demo(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for shown in [
        "200 OK-stored",
        "form, as received        after",
        "REST, as received        after",
        "form, signed again       after",
        "REST, signed again       after",
        "withheld, for it carries an order",
        "200 OK-duplicate",
        "403 KO-signature",
        "[TEST] ACME SAS, ACME Lyon: event_url fails, 4 waiting",
        "This module is switched off.",
        "[TEST] ACME SAS, ACME Lyon: event_url works again, 4 delivered",
        "5 notifications were acknowledged",
        "ACME Paris            5        5",
        "ACME Lyon             5        5",
        "ACME Nice             9        9",
        "Nothing that was acknowledged was lost.",
    ] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    assert!(!text.contains("has not arrived"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours where there is no terminal");
    // The order in which Lyon hears of one card.
    let (_, back) = text.split_once("Lyon is back.").unwrap();
    let at = |kind: &str| back.find(&format!("Lyon    ✓ {kind}")).unwrap();
    assert!(at("token.updated") < at("token.saved") && at("token.saved") < at("token.cancelled"));
}

#[test]
fn demo_finds_a_loss() {
    let output = demo(&["--plant-loss"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Something is wrong:"), "{text}");
    assert_eq!(text.matches("   lost: ").count(), 1, "{text}");
    assert!(text.contains("ACME Nice             9        8"), "{text}");
    assert!(!text.contains("Nothing that was acknowledged was lost"), "{text}");
}

#[test]
fn demo_shows_its_configuration_and_hides_its_planted_loss() {
    let shown = text(&demo(&["--show-config"]));
    assert!(shown.contains("[shops.12345678.test]"), "{shown}");
    let help = text(&demo(&["--help"]));
    assert!(help.contains("--show-config") && !help.contains("plant"), "{help}");
}
