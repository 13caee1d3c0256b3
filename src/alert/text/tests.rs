//! Golden e-mails: each text in `tests/data/emails`, as people get it. `REWRITE_EMAILS=1 cargo test golden` writes them
//! anew.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::{Answer, Attempted, Cause, Format, GivenUp, Mode, Outcome, Rendition, Trouble, Verdict};
use crate::outbox::TroubleRow;

/// Seconds after 2026-10-17 14:02:00 UTC.
fn at_second(s: i64) -> Timestamp {
    Timestamp::from_second(1_792_245_720 + s).unwrap()
}

/// The n-th notification, received n seconds after the start.
fn notification(n: u8) -> NotificationId {
    let millis = u64::try_from(at_second(n.into()).as_millisecond()).unwrap();
    format!(
        "{:08x}-{:04x}-7000-8000-0000000000{n:02x}",
        millis >> 16,
        millis & 0xffff
    )
    .parse()
    .unwrap()
}

fn destination(mode: Mode, rendition: Rendition) -> DestinationKey {
    DestinationKey {
        legal_entity: "acme".parse().unwrap(),
        shop: "23456789".parse().unwrap(),
        mode,
        rendition,
    }
}

fn unavailable(cause: Cause, answer: Option<(u16, &str)>, detail: &str) -> Outcome {
    Outcome::Unavailable {
        cause,
        answer: answer.map(|(status, text)| Answer {
            status,
            excerpt: text.as_bytes().to_vec(),
            retry_after: None,
        }),
        detail: detail.into(),
    }
}

fn page_503() -> Outcome {
    let page = "<html><head><title>503</title></head><body><h1>Service Unavailable</h1>\
        Ask joe@acme.example about card 4970100000000003.</body></html>";
    unavailable(Cause::Status(503), Some((503, page)), "")
}

fn delivered(ko: Option<Verdict>) -> Outcome {
    let excerpt = ko.as_ref().map_or("OK-received", |verdict| &verdict.text).into();
    Outcome::Delivered {
        answer: Answer {
            status: 200,
            excerpt,
            retry_after: None,
        },
        ko,
    }
}

/// The incident after these attempts, each with its kind and the second when it ended.
fn incident(attempts: &[(&Outcome, Kind, i64)]) -> Incident {
    let mut incident = None;
    for (outcome, kind, s) in attempts {
        incident = Incident::observe(
            incident,
            &Attempted {
                notification: notification(0),
                kind: *kind,
                outcome,
                gave_up: false,
                still_failing: 0,
                at: at_second(*s),
            },
        );
    }
    incident.unwrap()
}

fn waiting(kinds: &[Kind], count: u64) -> Waiting {
    let first = (0..)
        .zip(kinds.iter().cycle())
        .take(usize::try_from(count).unwrap().min(10));
    Waiting {
        count,
        oldest: (count > 0).then(|| at_second(0)),
        next_attempt: (count > 0).then(|| at_second(330)),
        first: first
            .map(|(n, kind)| WaitingNotification {
                id: notification(n),
                kind: *kind,
                token: Some(if n % 2 == 0 {
                    "9d3a1c0b8e7f4a5d9c2b1e0f3a4b5c6d".into()
                } else {
                    "card-7".into()
                }),
                received_at: at_second(n.into()),
            })
            .collect(),
        kinds: kinds.to_vec(),
    }
}

fn write(destination: &DestinationKey, incident: &Incident, waiting: &Waiting, step: Step) -> Email {
    let url = Url::parse("https://user:pw@lyon.acme.example/index.php?wc-api=Gateway&key=secret#top").unwrap();
    let situation = Situation {
        destination,
        legal_entity_name: "ACME SAS",
        shop_name: "ACME Lyon",
        url: Some(&url),
        incident,
        waiting,
        gives_up_at: waiting.oldest.map(|oldest| oldest + Duration::from_secs(72 * 3_600)),
        now: at_second(60),
    };
    incident_email(&situation, step)
}

fn emails() -> Vec<(&'static str, Email)> {
    use Kind::{Payment, TokenCancelled, TokenCreated, TokenUpdated};

    let event = destination(Mode::Production, Rendition::Event);
    let own_form = destination(Mode::Production, Rendition::AsReceived(Format::Form));
    let re_signed = destination(Mode::Test, Rendition::ReSigned(Format::Rest));
    let (down, fine) = (page_503(), delivered(None));
    let refused = unavailable(Cause::Connect, None, "connection refused (os error 111)");
    let gone = unavailable(Cause::Status(404), Some((404, "")), "");
    let complaint = delivered(Some(Verdict {
        text: "KO-Error while computing signature.".into(),
        about_signature: true,
    }));

    let failing = incident(&[(&down, TokenCreated, 2), (&down, TokenUpdated, 32)]);
    let recovered = incident(&[
        (&down, TokenCreated, 2),
        (&down, TokenUpdated, 32),
        (&fine, TokenUpdated, 1_082),
    ]);
    let mut gave_up = incident(&[(&refused, Payment, 2), (&refused, Payment, 32)]);
    for n in 0..12 {
        gave_up.gave_up(notification(n), Payment, at_second(40));
    }
    assert_eq!(gave_up.given_up.first.len(), GivenUp::LISTED);
    let mut recovered_with_loss = recovered.clone();
    recovered_with_loss.gave_up(notification(3), TokenCancelled, at_second(40));

    let few = waiting(&[TokenCreated, TokenUpdated], 2);
    let many = waiting(&[TokenCreated, TokenUpdated, TokenCancelled], 37);
    let none = waiting(&[], 0);
    let trouble = |id: i64, trouble: Trouble| TroubleRow {
        id,
        at: at_second(id),
        trouble,
    };
    let (shop, mode) = ("12345678".parse().unwrap(), Mode::Production);
    let unknown: Vec<_> = [("99999999", Mode::Test), ("99999999", Mode::Test), ("<b>", mode)]
        .into_iter()
        .zip(0..)
        .map(|((site_id, mode), id)| trouble(id, Trouble::unknown_shop(site_id, Format::Form, mode)))
        .collect();
    let parked = [0, 1].map(|n| {
        trouble(
            n,
            Trouble::Parked {
                notification: notification(u8::try_from(n).unwrap()),
                shop,
                mode,
            },
        )
    });
    let not_applied = [trouble(
        0,
        Trouble::ReloadRefused {
            by: "user 0".into(),
            why: vec![
                "/etc/ipn-router/ipn-router.toml:41:13: error[E015]: this is no URL; write https://…".into(),
                "/etc/ipn-router/companies.d/other.toml:7:17: error[E040]: shop 45678901 belongs to no company".into(),
            ],
        },
    )];
    let of = |name: &str, of_mode, after: i64, silence: bool| {
        let (legal_entity, mode) = (name.parse().unwrap(), of_mode);
        let silent_since = at_second(after - 7 * 86_400 - 3_600);
        trouble(
            after,
            if silence {
                Trouble::Silence {
                    legal_entity,
                    mode,
                    since: silent_since,
                    last_heard: (name != "globex").then_some(silent_since),
                    expected_every: Duration::from_hours(7 * 24),
                }
            } else {
                Trouble::HeardAgain {
                    legal_entity,
                    mode,
                    silent_since,
                }
            },
        )
    };
    let silent = [of("acme", mode, 0, true)];
    let heard = [of("acme", mode, 0, false)];
    let silent_and_heard = [
        of("acme", mode, 0, true),
        of("globex", Mode::Test, 1, true),
        of("initech", mode, 2, true),
        of("acme", mode, 600, false),
    ];
    let quarantined = [trouble(
        0,
        Trouble::Quarantined {
            notification: notification(0),
            shop,
            mode,
        },
    )];

    let emails = vec![
        ("opened-503", write(&event, &failing, &many, Step::Opened)),
        (
            "opened-404",
            write(&re_signed, &incident(&[(&gone, TokenCreated, 2)]), &few, Step::Opened),
        ),
        (
            "opened-refused",
            write(&own_form, &incident(&[(&refused, Payment, 2)]), &few, Step::Opened),
        ),
        (
            "opened-ko-signature",
            write(&own_form, &incident(&[(&complaint, Payment, 2)]), &none, Step::Opened),
        ),
        ("gave-up", write(&own_form, &gave_up, &few, Step::GaveUp(1))),
        ("recovered", write(&event, &recovered, &none, Step::Recovered)),
        (
            "recovered-with-dead-letters",
            write(&event, &recovered_with_loss, &few, Step::Recovered),
        ),
        ("trouble-parked", trouble_email(&parked.iter().collect::<Vec<_>>())),
        (
            "trouble-quarantined",
            trouble_email(&quarantined.iter().collect::<Vec<_>>()),
        ),
        ("trouble-silence", trouble_email(&silent.iter().collect::<Vec<_>>())),
        ("trouble-heard-again", trouble_email(&heard.iter().collect::<Vec<_>>())),
        (
            "trouble-silence-of-several",
            trouble_email(&silent_and_heard.iter().collect::<Vec<_>>()),
        ),
        (
            "trouble-reload-refused",
            trouble_email(&not_applied.iter().collect::<Vec<_>>()),
        ),
        (
            "trouble-unknown-shop",
            trouble_email(&unknown.iter().collect::<Vec<_>>()),
        ),
    ];
    emails.into_iter().chain(own::tests::emails()).collect()
}

#[test]
fn golden_e_mails_read_as_agreed() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "emails"].iter().collect();
    let rewrite = std::env::var_os("REWRITE_EMAILS").is_some();
    for (name, email) in emails() {
        let file = folder.join(format!("{name}.txt"));
        let written = format!("Subject: {}\n\n{}", email.subject, email.text);
        if rewrite {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &written).unwrap();
        }
        let agreed = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            written, agreed,
            "{name}: if the new text is right, see the head of this file"
        );
    }
}

#[test]
fn no_line_is_wider_than_78_columns_and_no_subject_than_120() {
    for (name, email) in emails() {
        assert!(email.subject.chars().count() <= layout::SUBJECT, "{name}");
        for line in email.text.lines() {
            assert!(line.chars().count() <= layout::COLUMNS, "{name}: {line}");
        }
    }
}

#[test]
fn nothing_secret_is_in_any_e_mail() {
    for (name, Email { subject, text }) in emails() {
        for secret in [
            "secret#",
            "key=",
            "user:",
            "pw@",
            "4970100000000003",
            "joe@",
            "1c0b8e7f",
            "card-7",
        ] {
            assert!(
                !subject.contains(secret) && !text.contains(secret),
                "{name} shows {secret}"
            );
        }
    }
}

#[test]
fn command_is_printed_only_if_the_shell_cannot_misread_it() {
    let probe_of = |url: &str| probe(&Url::parse(url).unwrap());
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

proptest! {
    /// Names come from the configuration and answers from anybody: neither begins a line, a header or a section.
    #[test]
    fn names_and_answers_inject_nothing(name in any::<String>(), answer in any::<Vec<u8>>()) {
        let outcome = Outcome::Unavailable {
            cause: Cause::Status(500),
            answer: Some(Answer { status: 500, excerpt: answer, retry_after: None }),
            detail: name.clone(),
        };
        let situation = Situation {
            destination: &destination(Mode::Production, Rendition::Event),
            legal_entity_name: &name,
            shop_name: &name,
            url: None,
            incident: &incident(&[(&outcome, Kind::Payment, 0)]),
            waiting: &waiting(&[Kind::Payment], 1),
            gives_up_at: None,
            now: at_second(60),
        };
        let email = incident_email(&situation, Step::Opened);
        prop_assert!(!email.subject.contains(char::is_control));
        prop_assert!(email.subject.chars().count() <= layout::SUBJECT);
        let sections = ["What failed", "The answer received", "What it means", "What happens next by itself",
            "What you can do now", "The 1 notification waiting"];
        let headings: Vec<_> = email.text.lines().filter(|line| !line.is_empty() && !line.starts_with("  ")).collect();
        prop_assert_eq!(headings, sections);
        prop_assert!(!email.text.contains(|c: char| c.is_control() && c != '\n'));
    }
}
