//! Golden e-mails: each text in `tests/data/emails`, in each language, as people get it. `REWRITE_EMAILS=1 cargo test
//! golden` writes them anew.

pub(super) mod cases;

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use url::Url;

use self::cases::{Case, cases};
use super::layout::{COLUMNS, SUBJECT};
use super::*;

fn folder(language: Language) -> PathBuf {
    let word = language.say("en", "fr");
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "emails", word]
        .iter()
        .collect()
}

fn every_email() -> impl Iterator<Item = (Language, Case)> {
    Language::ALL
        .into_iter()
        .flat_map(|language| cases(language).into_iter().map(move |case| (language, case)))
}

#[test]
fn golden_e_mails_read_as_agreed() {
    let rewrite = std::env::var_os("REWRITE_EMAILS").is_some();
    let mut differ = Vec::new();
    for (language, (name, email)) in every_email() {
        let file = folder(language).join(format!("{name}.txt"));
        let written = format!("Subject: {}\n\n{}", email.subject, email.text);
        if rewrite {
            std::fs::create_dir_all(folder(language)).unwrap();
            std::fs::write(&file, &written).unwrap();
        }
        if std::fs::read_to_string(&file).ok() != Some(written) {
            differ.push(file);
        }
    }
    assert!(
        differ.is_empty(),
        "if the new texts are right, see the head of this file: {differ:#?}"
    );
}

#[test]
fn each_golden_e_mail_is_still_written() {
    for language in Language::ALL {
        let written: BTreeSet<String> = cases(language)
            .into_iter()
            .map(|(name, _)| format!("{name}.txt"))
            .collect();
        let agreed: BTreeSet<String> = std::fs::read_dir(folder(language))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(written, agreed);
    }
}

#[test]
fn no_line_is_wider_than_78_columns_and_no_subject_than_120() {
    for (_, (name, email)) in every_email() {
        assert!(email.subject.chars().count() <= SUBJECT, "{name}");
        for line in email.text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
        }
    }
}

#[test]
fn nothing_secret_is_in_any_e_mail() {
    for (_, (name, Email { subject, text })) in every_email() {
        for secret in cases::SECRETS {
            assert!(
                !subject.contains(secret) && !text.contains(secret),
                "{name} shows {secret}"
            );
        }
    }
}

/// A sentence that was copied instead of translated would be the same in both.
#[test]
fn french_is_not_english() {
    for ((name, english), (_, french)) in cases(Language::English).into_iter().zip(cases(Language::French)) {
        let sentences = |email: &Email| -> BTreeSet<String> {
            let lines = email.text.lines().map(str::trim);
            let is_prose = |line: &&str| {
                let is_ours = !["> ", "- ", "ipn-router ", "curl "]
                    .iter()
                    .any(|start| line.starts_with(start));
                is_ours && line.split(' ').count() >= 4
            };
            lines.filter(is_prose).map(str::to_owned).collect()
        };
        let same: Vec<_> = sentences(&english).intersection(&sentences(&french)).cloned().collect();
        let common = ["Incident ", "Mode ", "URL ", "[PRODUCTION] "];
        let allowed = |line: &String| common.iter().any(|start| line.starts_with(start));
        assert!(same.iter().all(allowed), "{name}: {same:#?}");
        assert_ne!(english.subject, french.subject, "{name}");
    }
}

#[test]
fn command_is_printed_only_if_the_shell_cannot_misread_it() {
    let probe_of = |url: &str| incident::probe(&Url::parse(url).unwrap());
    assert_eq!(
        probe_of("https://lyon.acme.example:8443/x?y").as_deref(),
        Some("curl -sSv -o /dev/null https://lyon.acme.example:8443/")
    );
    assert_eq!(probe_of("http://[::1]:80/"), None);
    assert_eq!(
        probe_of("https://a$(reboot).example/").filter(|command| command.contains('$')),
        None
    );
}

/// What a step announces is there, also for a configuration file at a place of its own.
#[test]
fn step_that_ends_with_a_colon_has_its_command() {
    for (language, (name, email)) in every_email() {
        assert_eq!(announced_in_vain(&email), None::<&str>, "{name}, {language:?}");
    }
    for language in Language::ALL {
        for file in ["/etc/acme/payments/ipn-router.toml", "'/srv/my --routers/ipn.toml'"] {
            for email in cases::by_program(&format!("ipn-router --config {file}"), None, language) {
                assert_eq!(announced_in_vain(&email), None, "{file}\n{}", email.text);
            }
        }
    }
}

/// The sections that an e-mail leads to, by a link or by a command.
fn sections(email: &Email) -> Vec<Section> {
    let names = ["/runbook#", " runbook "].map(|mark| email.text.split(mark).skip(1).collect::<Vec<_>>());
    let names = names.into_iter().flatten().filter_map(|rest| rest.lines().next());
    names.filter_map(|name| name.parse().ok()).collect()
}

#[test]
fn every_e_mail_leads_to_one_section_of_the_runbook() {
    for (language, (name, email)) in every_email() {
        assert_eq!(sections(&email).len(), 1, "{name}, {language:?}");
    }
    for language in Language::ALL {
        let program = "ipn-router --config /srv/ipn.toml";
        // A link that does not fit is half a link.
        let long: Url = format!("https://ipn.acme.example/{}", "x".repeat(60)).parse().unwrap();
        for page in [None, Some(long)] {
            for email in cases::by_program(program, page, language) {
                let named = sections(&email);
                assert_eq!(named.len(), 1, "{}", email.text);
                assert!(
                    email.text.contains(&format!(" runbook {}\n", named[0])),
                    "{}",
                    email.text
                );
            }
        }
    }
}

/// What the runbook says of its e-mails: words that stand in their subjects or texts.
fn announced(section: Section) -> Vec<&'static str> {
    let Some((_, told)) = section.text().split_once("*E-mail") else {
        return Vec::new();
    };
    let told = told.split(['*', ';']).next().unwrap();
    told.split('"').skip(1).step_by(2).collect()
}

#[test]
fn runbook_says_of_each_section_which_e_mails_lead_to_it() {
    let mut emails: Vec<(Section, String)> = Vec::new();
    for (name, email) in cases(Language::English) {
        let section = sections(&email)[0];
        let text = format!("{} {}", email.subject, email.text);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = announced(section);
        assert!(
            words.iter().any(|words| text.contains(words)),
            "{name} is not announced: {words:?}"
        );
        emails.push((section, text));
    }
    for section in Section::ALL {
        for words in announced(section) {
            let is_true = emails.iter().any(|(of, text)| *of == section && text.contains(words));
            assert!(is_true, "no e-mail that leads to {section} says {words:?}");
        }
    }
}

fn announced_in_vain(email: &Email) -> Option<&str> {
    let (_, steps) = email.text.split_once("\n  1. ")?;
    let lines: Vec<_> = steps.lines().collect();
    // Words may go on after a colon; a command, and an address, stand further to the right.
    let is_in_vain = |two: &&[&str]| two[0].ends_with(':') && !two[1].starts_with("     ");
    lines.windows(2).find(is_in_vain).map(|two| two[0])
}

/// Names that try to be more than a name.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z \u{e9}]{100,400}",
        Just("ACME\r\nBcc: eve@example.com\r\n\r\nWhat it means".to_owned()),
        Just("=?utf-8?Q?=0D=0ABcc:_eve@example.com?=".to_owned()),
        Just("\u{202e}SAS EMCA\u{2066}\u{200b}".to_owned()),
        Just("🏪👩\u{200d}🚀 ".repeat(60)),
        Just("\u{2028}\u{85}\u{b}\u{c}\u{0}\u{1b}[2J".to_owned()),
    ]
}

proptest! {
    /// Names come from the configuration and answers from anybody: neither begins a line, a header or a section.
    #[test]
    fn names_and_answers_inject_nothing(name in hostile(), answer in any::<Vec<u8>>(), french in any::<bool>()) {
        let language = if french { Language::French } else { Language::English };
        let harmless = cases::of_names("ACME", b"no".to_vec(), language);
        for (email, harmless) in cases::of_names(&name, answer, language).iter().zip(&harmless) {
            prop_assert!(!email.subject.contains(char::is_control));
            prop_assert!(!email.subject.contains("=?"));
            prop_assert!(email.subject.chars().count() <= SUBJECT);
            let headings = |email: &Email| -> Vec<String> {
                let lines = email.text.lines();
                lines.filter(|line| !line.is_empty() && !line.starts_with("  ")).map(str::to_owned).collect()
            };
            prop_assert_eq!(headings(email), headings(harmless));
            prop_assert!(!email.text.contains(|c: char| c.is_control() && c != '\n'));
            prop_assert!(email.text.lines().all(|line| line.chars().count() <= COLUMNS));
        }
    }
}
