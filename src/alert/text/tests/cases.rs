//! One e-mail for each step and each kind of trouble, with the name of its file.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::alert::language::{Language, Voice};
use crate::alert::step::Step;
use crate::alert::text::*;
use crate::alert::{Recipients, Settings};
use crate::domain::{
    Answer, Attempted, Cause, CertificateOwner, Charge, DestinationKey, DiskRoom, Format, GivenUp, Incident, Kind,
    Lost, Matter, Mode, NotificationId, Outcome, Rendition, Trouble, Verdict,
};
use crate::outbox::{TroubleRow, Waiting, WaitingNotification};

/// The name of the file, and the e-mail.
pub(in crate::alert::text) type Case = (String, Email);

/// What stands in situations, and may stand in no e-mail.
pub(in crate::alert::text) const SECRETS: [&str; 8] = [
    "secret#",
    "key=",
    "user:",
    "pw@",
    "4970100000000003",
    "joe@",
    "1c0b8e7f",
    "card-7",
];

const URL: &str = "https://user:pw@lyon.acme.example/index.php?wc-api=Gateway&key=secret#top";

/// Seconds after 2026-10-17 14:02:00 UTC.
pub(in crate::alert::text) fn at_second(s: i64) -> Timestamp {
    Timestamp::from_second(1_792_245_720 + s).unwrap()
}

/// What a notification of this kind is mostly about: a payment has succeeded.
fn about(kind: Kind) -> Matter {
    Matter {
        kind,
        charge: (kind == Kind::Payment).then_some(Charge::Succeeded),
    }
}

/// The n-th notification, received n seconds after the start.
pub(in crate::alert::text) fn notification(n: u8) -> NotificationId {
    let millis = u64::try_from(at_second(n.into()).as_millisecond()).unwrap();
    format!(
        "{:08x}-{:04x}-7000-8000-0000000000{n:02x}",
        millis >> 16,
        millis & 0xffff
    )
    .parse()
    .unwrap()
}

pub(in crate::alert::text) fn listed(n: u8, kind: Kind) -> WaitingNotification {
    let has_token = kind.name().starts_with("token.");
    let token = if n.is_multiple_of(2) {
        "9d3a1c0b8e7f4a5d9c2b1e0f3a4b5c6d"
    } else {
        "card-7"
    };
    WaitingNotification {
        id: notification(n),
        matter: about(kind),
        token: has_token.then(|| token.into()),
        transaction: (kind != Kind::TokenCancelled).then(|| format!("5c9bb1e6f8a94d3bb2c0d1e2f3a4b5{n:02x}")),
        received_at: at_second(n.into()),
    }
}

pub(in crate::alert::text) fn destination(shop: &str, mode: Mode, rendition: Rendition) -> DestinationKey {
    DestinationKey {
        legal_entity: "acme".parse().unwrap(),
        shop: shop.parse().unwrap(),
        mode,
        rendition,
    }
}

pub(in crate::alert::text) fn unavailable(cause: Cause, answer: Option<(u16, &str)>, detail: &str) -> Outcome {
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

fn status(status: u16, text: &str) -> Outcome {
    unavailable(
        Cause::Status(status),
        Some((status, text)),
        &format!("HTTP status {status}"),
    )
}

fn page_503() -> Outcome {
    status(
        503,
        "<html><head><title>503</title></head><body><h1>Service Unavailable</h1>\
         Ask joe@acme.example about card 4970100000000003.</body></html>",
    )
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
pub(in crate::alert::text) fn incident(attempts: &[(&Outcome, Kind, i64)]) -> Incident {
    let mut incident = None;
    for (outcome, kind, s) in attempts {
        incident = Incident::observe(
            incident,
            &Attempted {
                notification: notification(0),
                matter: about(*kind),
                outcome,
                gave_up: false,
                at: at_second(*s),
            },
        );
    }
    incident.unwrap()
}

pub(in crate::alert::text) fn waiting(kinds: &[Kind], count: u64) -> Waiting {
    let first = (0..)
        .zip(kinds.iter().cycle())
        .take(usize::try_from(count).unwrap().min(10));
    Waiting {
        count,
        oldest: (count > 0).then(|| at_second(0)),
        next_attempt: (count > 0).then(|| at_second(330)),
        first: first.map(|(n, kind)| listed(n, *kind)).collect(),
        matters: kinds.iter().copied().map(about).collect(),
    }
}

pub(in crate::alert::text) fn voice(language: Language) -> Voice {
    Voice {
        language,
        program: "ipn-router".into(),
        page: Some("https://ipn.acme.example/admin".parse().unwrap()),
    }
}

fn write(
    destination: &DestinationKey,
    incident: &Incident,
    waiting: &Waiting,
    step: Step,
    language: Language,
) -> Email {
    let url = Url::parse(URL).unwrap();
    let given_up = incident.given_up.first.iter().zip(0..);
    let given_up: Vec<_> = given_up.map(|((_, kind), n)| listed(n, *kind)).collect();
    let now = match step {
        Step::StillFailing(hours) => at_second(i64::from(hours) * 3_600),
        Step::Grew(_) => at_second(1_000),
        Step::Recovered => at_second(1_090),
        Step::FailsAgain => at_second(1_310),
        Step::RecoveredAgain => at_second(1_960),
        _ => at_second(60),
    };
    let waiting = &Waiting {
        next_attempt: waiting.next_attempt.map(|_| now + Duration::from_secs(30)),
        ..waiting.clone()
    };
    let situation = Situation {
        number: 7,
        destination,
        legal_entity_name: "ACME SAS",
        shop_name: "ACME Lyon",
        url: Some(&url),
        incident,
        waiting,
        given_up: &given_up,
        gives_up_at: waiting.oldest.map(|oldest| oldest + Duration::from_hours(72)),
        now,
    };
    incident_email(&situation, step, &voice(language))
}

/// Every e-mail of a language.
pub(in crate::alert::text) fn cases(language: Language) -> Vec<Case> {
    let mut all = steps(language);
    all.extend(symptoms(language));
    all.extend(kinds(language));
    all.extend(groups(language));
    all.extend(others(language));
    all.extend(troubles(language));
    all
}

const LYON: &str = "23456789";

fn event() -> DestinationKey {
    destination(LYON, Mode::Production, Rendition::Event)
}

/// The thread of one incident, from its first e-mail to its last.
fn steps(language: Language) -> Vec<Case> {
    use Kind::{Payment, TokenCancelled, TokenCreated, TokenUpdated};
    let (down, fine) = (page_503(), delivered(None));
    let failing = incident(&[(&down, TokenCreated, 2), (&down, TokenUpdated, 32)]);
    let mut long = failing.clone();
    long.failures = 1_443;
    long.last_failure.at = at_second(86_370);
    let mut recovered = incident(&[
        (&down, TokenCreated, 2),
        (&down, TokenUpdated, 32),
        (&fine, TokenUpdated, 1_082),
    ]);
    recovered.delivered = 37;
    recovered.end(at_second(1_082));
    let refused = unavailable(Cause::Connect, None, "connection refused (os error 111)");
    let own_form = destination(LYON, Mode::Production, Rendition::AsReceived(Format::Form));
    let mut gave_up = incident(&[(&refused, Payment, 2), (&refused, Payment, 32)]);
    for n in 0..12 {
        gave_up.gave_up(notification(n), about(Payment), at_second(40));
    }
    assert_eq!(gave_up.given_up.first.len(), GivenUp::LISTED);
    let failed_at = |incident: &Incident, s| {
        let attempted = Attempted {
            notification: notification(0),
            matter: TokenUpdated.into(),
            outcome: &down,
            gave_up: false,
            at: at_second(s),
        };
        Incident::observe(Some(incident.clone()), &attempted).unwrap()
    };
    let relapsed = failed_at(&recovered, 1_300);
    let mut well_again = relapsed.clone();
    well_again.delivered = 39;
    well_again.end(at_second(1_960));
    let mut one_lost = recovered.clone();
    one_lost.gave_up(notification(3), TokenCancelled, at_second(40));

    let tokens = [TokenCreated, TokenUpdated, TokenCancelled];
    let (few, many, none) = (
        waiting(&[TokenCreated, TokenUpdated], 2),
        waiting(&tokens, 37),
        waiting(&[], 0),
    );
    let test = destination(LYON, Mode::Test, Rendition::Event);
    let cases = [
        ("opened", write(&event(), &failing, &many, Step::Opened, language)),
        ("opened-in-test", write(&test, &failing, &few, Step::Opened, language)),
        (
            "grew",
            write(&event(), &long, &waiting(&tokens, 1_000), Step::Grew(1_000), language),
        ),
        (
            "still-failing",
            write(
                &event(),
                &long,
                &waiting(&tokens, 8_640),
                Step::StillFailing(24),
                language,
            ),
        ),
        (
            "fails-again",
            write(&event(), &relapsed, &few, Step::FailsAgain, language),
        ),
        (
            "recovered-again",
            write(&event(), &well_again, &none, Step::RecoveredAgain, language),
        ),
        ("gave-up", write(&own_form, &gave_up, &few, Step::GaveUp(1), language)),
        (
            "recovered",
            write(&event(), &recovered, &none, Step::Recovered, language),
        ),
        (
            "recovered-with-dead-letters",
            write(&event(), &one_lost, &few, Step::Recovered, language),
        ),
    ];
    cases.map(|(name, email)| (name.to_owned(), email)).into()
}

/// The first e-mail for everything that can ail a destination.
fn symptoms(language: Language) -> Vec<Case> {
    let complaint = delivered(Some(Verdict {
        text: "KO-Error while computing signature.".into(),
        about_signature: true,
    }));
    let re_signed = destination(LYON, Mode::Production, Rendition::ReSigned(Format::Rest));
    let own_rest = destination(LYON, Mode::Production, Rendition::AsReceived(Format::Rest));
    let few = waiting(&[Kind::TokenUpdated], 2);
    let silent = |cause, detail| unavailable(cause, None, detail);
    let all = [
        ("blocked", &event(), silent(Cause::Blocked, "10.0.0.7 is private")),
        (
            "connect",
            &event(),
            silent(Cause::Connect, "connection refused (os error 111)"),
        ),
        ("dns", &re_signed, silent(Cause::Dns, "no such name")),
        ("resolver", &re_signed, silent(Cause::Resolver, "try again")),
        (
            "protocol",
            &event(),
            silent(Cause::Protocol, "invalid HTTP version parsed"),
        ),
        ("redirect", &event(), status(302, "")),
        ("render", &re_signed, silent(Cause::Render, "no rest_password")),
        (
            "time-out",
            &own_rest,
            silent(Cause::TimedOut, "no first byte within 35 s"),
        ),
        ("tls", &event(), silent(Cause::Tls, "invalid peer certificate: Expired")),
        ("401", &event(), status(401, "Unauthorized")),
        ("403", &own_rest, status(403, "<h1>Forbidden</h1>")),
        ("404", &re_signed, status(404, "")),
        ("405", &event(), status(405, "")),
        ("410", &event(), status(410, "")),
        ("413", &event(), status(413, "")),
        ("422", &event(), status(422, r#"{"error": "unknown type"}"#)),
        ("429", &event(), status(429, "slow down")),
        (
            "500",
            &event(),
            status(500, "Fatal error: Uncaught Error in ipn.php:12"),
        ),
    ];
    let mut cases: Vec<Case> = all
        .into_iter()
        .map(|(name, key, mut outcome)| {
            if name == "redirect"
                && let Outcome::Unavailable { cause, detail, .. } = &mut outcome
            {
                *cause = Cause::Redirect;
                *detail = "to https://other.example/".into();
            }
            let failed = incident(&[(&outcome, Kind::TokenUpdated, 2)]);
            (
                format!("opened-{name}"),
                write(key, &failed, &few, Step::Opened, language),
            )
        })
        .collect();
    let own_form = destination(LYON, Mode::Production, Rendition::AsReceived(Format::Form));
    let complained = incident(&[(&complaint, Kind::Payment, 2), (&complaint, Kind::TokenCancelled, 3)]);
    let email = write(&own_form, &complained, &waiting(&[], 0), Step::Opened, language);
    cases.push(("opened-ko-signature".into(), email));
    let fine = delivered(None);
    let mut mended = incident(&[(&complaint, Kind::Payment, 2), (&fine, Kind::Payment, 600)]);
    mended.end(at_second(600));
    let email = write(&own_form, &mended, &waiting(&[], 0), Step::Recovered, language);
    cases.push(("recovered-ko-signature".into(), email));
    cases
}

/// What each kind means, to its own shop and to another one.
fn kinds(language: Language) -> Vec<Case> {
    let refused = unavailable(Cause::Connect, None, "connection refused (os error 111)");
    let own_form = destination(LYON, Mode::Production, Rendition::AsReceived(Format::Form));
    let of = |key: &DestinationKey, place: &str, kind: Kind| {
        let failed = incident(&[(&refused, kind, 2)]);
        let email = write(key, &failed, &waiting(&[kind], 1), Step::Opened, language);
        (format!("kind-{kind}-{place}"), email)
    };
    let own = Kind::ALL.map(|kind| of(&own_form, "of-its-own", kind));
    let tokens = Kind::ALL.into_iter().filter(|kind| kind.name().starts_with("token."));
    let with_charge = [
        ("payment-failed", Kind::Payment, Charge::Failed),
        ("token.created-with-a-payment", Kind::TokenCreated, Charge::Succeeded),
    ];
    let with_charge = with_charge.map(|(name, kind, charge)| {
        let matters = BTreeSet::from([Matter {
            kind,
            charge: Some(charge),
        }]);
        let mut failed = incident(&[(&refused, kind, 2)]);
        failed.matters.clone_from(&matters);
        let waiting = Waiting {
            matters,
            ..waiting(&[kind], 1)
        };
        let email = write(&own_form, &failed, &waiting, Step::Opened, language);
        (format!("kind-{name}-of-its-own"), email)
    });
    own.into_iter()
        .chain(with_charge)
        .chain(tokens.map(|kind| of(&event(), "of-another-shop", kind)))
        .collect()
}

fn groups(language: Language) -> Vec<Case> {
    use Kind::{Payment, TokenUpdated};
    let (refused, fine) = (
        unavailable(Cause::Connect, None, "connection refused (os error 111)"),
        delivered(None),
    );
    let failing = incident(&[(&refused, TokenUpdated, 2), (&refused, Payment, 32)]);
    let mut lossy = failing.clone();
    lossy.gave_up(notification(1), TokenUpdated, at_second(40));
    let mut over = incident(&[(&refused, TokenUpdated, 2), (&fine, TokenUpdated, 1_082)]);
    over.delivered = 37;
    over.end(at_second(1_082));
    let attempted = Attempted {
        notification: notification(0),
        matter: TokenUpdated.into(),
        outcome: &refused,
        gave_up: false,
        at: at_second(1_300),
    };
    let relapsed = Incident::observe(Some(over.clone()), &attempted).unwrap();
    let mut well_again = relapsed.clone();
    well_again.end(at_second(1_960));
    let shops = [
        (LYON, "ACME Lyon"),
        ("34567890", "ACME Lille"),
        ("45678901", "ACME Nice"),
    ];
    let urls = shops.map(|(shop, _)| Url::parse(&format!("https://shops.acme.example/{shop}?key=secret#x")).unwrap());
    let waits = waiting(&[TokenUpdated], 37);
    let none = waiting(&[], 0);
    let write = |step: Step, alike: Alike<'_>, own: bool| {
        let rendition = if own {
            Rendition::AsReceived(Format::Form)
        } else {
            Rendition::Event
        };
        let keys = shops.map(|(shop, _)| destination(shop, Mode::Production, rendition));
        let (incident, waiting) = match step {
            Step::Recovered => (&over, &none),
            Step::FailsAgain => (&relapsed, &waits),
            Step::RecoveredAgain => (&well_again, &none),
            Step::GaveUp(_) => (&lossy, &waits),
            _ => (&failing, &waits),
        };
        let members: Vec<_> = (7..)
            .zip(keys.iter().zip(&urls).zip(shops))
            .map(|(number, ((key, url), (_, shop_name)))| Situation {
                number,
                destination: key,
                legal_entity_name: "ACME SAS",
                shop_name,
                url: Some(url),
                incident,
                waiting,
                given_up: &[],
                gives_up_at: waiting.oldest.map(|oldest| oldest + Duration::from_hours(72)),
                now: at_second(60),
            })
            .collect();
        let group = Group {
            alike,
            members: &members,
        };
        group_email(&group, step, &voice(language))
    };
    let host = Alike::Host("shops.acme.example");
    let cases = [
        ("group-opened", write(Step::Opened, host, false)),
        ("group-opened-everything", write(Step::Opened, Alike::Everything, true)),
        ("group-grew", write(Step::Grew(1_000), host, false)),
        ("group-still-failing", write(Step::StillFailing(4), host, false)),
        ("group-gave-up", write(Step::GaveUp(1), host, false)),
        ("group-fails-again", write(Step::FailsAgain, host, false)),
        ("group-recovered", write(Step::Recovered, host, false)),
        ("group-recovered-again", write(Step::RecoveredAgain, host, false)),
    ];
    cases.map(|(name, email)| (name.to_owned(), email)).into()
}

fn others(language: Language) -> Vec<Case> {
    let voice = voice(language);
    let url = Url::parse(URL).unwrap();
    let refused = unavailable(Cause::Connect, None, "connection refused (os error 111)");
    let failing = incident(&[(&page_503(), Kind::TokenUpdated, 2)]);
    let silent = incident(&[(&refused, Kind::Payment, 2)]);
    let attempt = |mode, kind, incident: &Incident, attempt, next| {
        let failed = FailedAttempt {
            destination: &destination(LYON, mode, Rendition::AsReceived(Format::Form)),
            legal_entity_name: "ACME SAS",
            shop_name: "ACME Lyon",
            url: Some(&url),
            notification: &listed(0, kind),
            failure: &incident.last_failure,
            attempt,
            next_attempt: next,
        };
        attempt_email(&failed, &voice)
    };
    let next = Some(at_second(32));
    let ko = KoOfTheDay {
        destination: &destination(LYON, Mode::Production, Rendition::AsReceived(Format::Form)),
        legal_entity_name: "ACME SAS",
        shop_name: "ACME Lyon",
        url: Some(&url),
        notification: &listed(0, Kind::Payment),
        verdict: "KO-Order not found for joe@acme.example",
        at: at_second(2),
    };
    let held = [
        (0, "[PRODUCTION] ACME SAS, ACME Lyon: event_url fails, 37 waiting"),
        (60, "[PRODUCTION] ACME SAS, ACME Lille: event_url fails, 12 waiting"),
    ];
    let held = held.map(|(s, subject)| Held {
        at: at_second(s),
        subject,
    });
    let many = vec![held[0]; 60];
    let told_of = language.say("Failures at ACME SAS", "Les échecs chez ACME SAS");
    let told_of = [told_of.to_owned()];
    let cases = [
        (
            "attempt-first-in-test",
            attempt(Mode::Test, Kind::TokenUpdated, &failing, 1, next),
        ),
        (
            "attempt-second",
            attempt(Mode::Production, Kind::Payment, &silent, 2, next),
        ),
        (
            "attempt-last",
            attempt(Mode::Production, Kind::TokenUpdated, &failing, 5, None),
        ),
        ("ko-of-the-day", verdict_email(&ko, &voice)),
        ("trial", trial_email(&told_of, at_second(0), &voice)),
        ("digest", digest_email(&held, &voice)),
        ("digest-of-many", digest_email(&many, &voice)),
    ];
    cases.map(|(name, email)| (name.to_owned(), email)).into()
}

fn settings(language: Language) -> Settings {
    let companies = [("acme", "ACME SAS"), ("globex", "Globex SA"), ("initech", "Initech")];
    let company = |(key, name): (&str, &str)| {
        let company = Recipients {
            name: name.into(),
            language,
            ..Recipients::default()
        };
        (key.parse().unwrap(), company)
    };
    Settings {
        recipients: companies.into_iter().map(company).collect(),
        ..Settings::default()
    }
}

fn troubles(language: Language) -> Vec<Case> {
    let (shop, mode) = ("12345678".parse().unwrap(), Mode::Production);
    let unknown = |site_id, mode| Trouble::unknown_shop(site_id, Format::Form, mode);
    let parked = |n| Trouble::Parked {
        notification: notification(n),
        shop,
        mode,
    };
    let quarantined = Trouble::Quarantined {
        notification: notification(0),
        shop,
        mode,
    };
    let not_applied = Trouble::ReloadRefused {
        by: "user 0".into(),
        why: vec![
            "/etc/ipn-router/ipn-router.toml:41:13: error[E015]: this is no URL; write https://…".into(),
            "/etc/ipn-router/companies.d/other.toml:7:17: error[E040]: shop 45678901 belongs to no company".into(),
        ],
        is_dangerous: false,
    };
    let not_confirmed = Trouble::ReloadRefused {
        by: "a file that has changed".into(),
        why: vec![
            "shop 23456789 moves from acme to other: from now on the other company's shops learn of its customers' tokens"
                .into(),
        ],
        is_dangerous: true,
    };
    let week = Duration::from_hours(7 * 24);
    let silence = |name: &str, mode, was_heard: bool| {
        let since = at_second(-7 * 86_400 - 3_600);
        Trouble::Silence {
            legal_entity: name.parse().unwrap(),
            mode,
            since,
            last_heard: was_heard.then_some(since),
            expected_every: week,
        }
    };
    let heard = || Trouble::HeardAgain {
        legal_entity: "acme".parse().unwrap(),
        mode,
        silent_since: at_second(-7 * 86_400 - 3_600),
    };
    let all = [
        ("parked", vec![parked(0), parked(1)]),
        ("quarantined", vec![quarantined]),
        ("silence", vec![silence("acme", mode, true)]),
        ("heard-again", vec![heard()]),
        (
            "silence-of-several",
            vec![
                silence("acme", mode, true),
                silence("globex", Mode::Test, false),
                silence("initech", mode, true),
                heard(),
            ],
        ),
        ("reload-refused", vec![not_applied]),
        ("reload-not-confirmed", vec![not_confirmed]),
        (
            "unknown-shop",
            vec![
                unknown("99999999", Mode::Test),
                unknown("99999999", Mode::Test),
                unknown("<b>", mode),
            ],
        ),
    ];
    let all = all.into_iter().chain(of_the_router());
    let settings = settings(language);
    let write = |(name, troubles): (&str, Vec<Trouble>)| {
        let rows: Vec<_> = (0..)
            .zip(troubles)
            .map(|(id, trouble)| TroubleRow {
                id,
                at: at_second(id),
                trouble,
            })
            .collect();
        let rows: Vec<_> = rows.iter().collect();
        (format!("trouble-{name}"), trouble_email(&rows, &settings))
    };
    all.map(write).collect()
}

/// A notification that was not stored.
pub(in crate::alert::text) fn lost(at: i64, kind: Kind, order: Option<&str>) -> Lost {
    Lost {
        at: at_second(at),
        shop: "12345678".parse().unwrap(),
        mode: Mode::Production,
        format: Format::Form,
        kind,
        transaction: Some("192ee2d72bfc4ab3a9b1230a4eb301cf".into()),
        order: order.map(str::to_owned),
        date: Some("20261017140200".into()),
        token: Some("0a1b…e8f9".into()),
    }
}

/// The router's own troubles: its disk, certificates, keys, and what it could not store.
fn of_the_router() -> Vec<(&'static str, Vec<Trouble>)> {
    let disk = |room, free: u64| Trouble::Disk {
        room,
        free: free * 1_000_000,
        reserve: 268_435_456,
    };
    let ends = |whose: CertificateOwner, days: i64| Trouble::CertificateEnds {
        whose,
        until: at_second(days * 86_400),
    };
    let own = CertificateOwner::Receiver("/etc/ipn-router/tls/fullchain.pem".into());
    let host = |host: &str| CertificateOwner::Host(host.to_owned());
    let (mode, format, since) = (Mode::Production, Format::Form, at_second(-45 * 60));
    let refused = |shop: &str, hint: &str| Trouble::SignaturesRefused {
        shop: shop.parse().unwrap(),
        mode,
        format,
        refused: 3,
        since,
        hint: hint.to_owned(),
    };
    let right = Trouble::SignaturesRight {
        shop: "12345678".parse().unwrap(),
        mode,
        format,
        refused: 5,
        since,
    };
    let failed = Trouble::StoreFailed {
        why: "disk I/O error".into(),
    };
    let not_stored = |unread, more| Trouble::NotStored {
        first_at: at_second(0),
        last_at: at_second(120),
        lost: vec![
            lost(0, Kind::TokenUpdated, None),
            lost(60, Kind::Payment, Some("2026-1234")),
            Lost {
                transaction: None,
                date: None,
                token: None,
                format: Format::Rest,
                ..lost(120, Kind::Other, None)
            },
        ],
        more,
        unread,
    };
    let another = "matches no key configured for this shop: another key, or text altered on the way";
    let sha1 = "is SHA-1, this shop expects HMAC-SHA-256";
    vec![
        ("disk-low", vec![disk(DiskRoom::Low, 912)]),
        ("disk-full", vec![disk(DiskRoom::Full, 201)]),
        (
            "disk-enough",
            vec![disk(DiskRoom::Low, 912), disk(DiskRoom::Enough, 4_100)],
        ),
        ("certificate", vec![ends(own, 14)]),
        (
            "certificate-of-shops",
            vec![ends(host("lyon.acme.example"), 1), ends(host("nice.acme.example"), 0)],
        ),
        ("not-stored", vec![not_stored(0, 0)]),
        ("not-stored-in-a-flood", vec![not_stored(7, 210), not_stored(1, 0)]),
        ("signature", vec![refused("12345678", another)]),
        (
            "signature-of-several",
            vec![refused("12345678", sha1), refused("23456789", another)],
        ),
        ("signature-right", vec![refused("12345678", another), right]),
        ("store-failed", vec![failed, not_stored(0, 0)]),
    ]
}

/// An e-mail of each sort, in which every name is this one.
pub(in crate::alert::text) fn of_names(name: &str, answer: Vec<u8>, language: Language) -> Vec<Email> {
    of_each_sort(name, answer, &voice(language))
}

/// An e-mail of each sort, by a program that is called like this, and whose page is there.
pub(in crate::alert::text) fn by_program(program: &str, page: Option<Url>, language: Language) -> Vec<Email> {
    let voice = Voice {
        program: program.into(),
        page,
        language,
    };
    of_each_sort("ACME", b"no".to_vec(), &voice)
}

fn of_each_sort(name: &str, answer: Vec<u8>, voice: &Voice) -> Vec<Email> {
    let language = voice.language;
    let outcome = Outcome::Unavailable {
        cause: Cause::Status(500),
        answer: Some(Answer {
            status: 500,
            excerpt: answer,
            retry_after: None,
        }),
        detail: name.into(),
    };
    let failing = incident(&[(&outcome, Kind::Payment, 0)]);
    let key = event();
    let mut notification = listed(0, Kind::Payment);
    notification.token = Some(name.into());
    notification.transaction = Some(name.into());
    let waits = Waiting {
        count: 1,
        oldest: Some(at_second(0)),
        next_attempt: None,
        first: vec![notification.clone()],
        matters: BTreeSet::from([about(Kind::Payment)]),
    };
    let situation = Situation {
        number: 7,
        destination: &key,
        legal_entity_name: name,
        shop_name: name,
        url: None,
        incident: &failing,
        waiting: &waits,
        given_up: &[],
        gives_up_at: None,
        now: at_second(60),
    };
    let group = Group {
        alike: Alike::Host(name),
        members: &[situation, situation],
    };
    let failed = FailedAttempt {
        destination: &key,
        legal_entity_name: name,
        shop_name: name,
        url: None,
        notification: &notification,
        failure: &failing.last_failure,
        attempt: 1,
        next_attempt: None,
    };
    let ko = KoOfTheDay {
        destination: &key,
        legal_entity_name: name,
        shop_name: name,
        url: None,
        notification: &notification,
        verdict: name,
        at: at_second(0),
    };
    let held = Held {
        at: at_second(0),
        subject: name,
    };
    let mut settings = settings(language);
    for company in settings.recipients.values_mut() {
        company.name = name.into();
    }
    let refused = Trouble::ReloadRefused {
        by: name.into(),
        why: vec![name.into()],
        is_dangerous: false,
    };
    let silence = Trouble::Silence {
        legal_entity: "acme".parse().unwrap(),
        mode: Mode::Test,
        since: at_second(0),
        last_heard: None,
        expected_every: Duration::from_hours(1),
    };
    let mut all = vec![
        incident_email(&situation, Step::Opened, voice),
        group_email(&group, Step::Opened, voice),
        attempt_email(&failed, voice),
        verdict_email(&ko, voice),
        digest_email(&[held], voice),
    ];
    for trouble in [refused, silence] {
        let row = TroubleRow {
            id: 1,
            at: at_second(0),
            trouble,
        };
        all.push(trouble_email(&[&row], &settings));
    }
    all
}
