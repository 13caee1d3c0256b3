//! Incidents become e-mails in a real mail server (aiosmtpd, `tests/outside/smtp_server.py`), over STARTTLS with a
//! login, as Python reads them.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipn_router::alert::{
    Alert, Destination, MailSecurity, MailSettings, Mailer, Recipients, Rules, SendError, Settings,
};
use ipn_router::domain::{
    Answer, Attempted, Cause, Clock, DestinationKey, Format, Incident, Kind, Lane, Mode, NotificationId, Outcome,
    Rendition, Secret, TestClock, Trouble,
};
use ipn_router::outbox::{self, Accepted, AttemptRecord, DueEmail, Inbox, Lease, News, Next, Outbox};
use ipn_router::route::{Identity, Routed, Standing};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::MailServer;

/// Long enough for a slow machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const ON_CALL: &str = "oncall@acme.example";
const LYON: &str = "lyon-it@acme.example";
const OPERATOR: &str = "it@acme.example";

#[tokio::test]
async fn outage_is_one_thread_from_the_opening_to_the_recovery() {
    let mut server = MailServer::start(&[]).await;
    let story = Story::begin(&server, &[ON_CALL], &[LYON]).await;
    let alert = story.alert();

    let mut shop = story.shop().await;
    shop.is_down(&story).await;
    let opened = server.takes(2).await;
    assert_eq!(recipients(&opened), [LYON, ON_CALL]);
    shop.fails(&story, true).await;
    story.later(60);
    let gave_up = server.takes(2).await;
    shop.recovers(&story).await;
    story.later(0);
    let recovered = server.takes(2).await;

    for (mails, state) in [
        (&opened, "event_url fails, 1 waiting"),
        (&gave_up, "event_url: 1 delivery given up"),
        (&recovered, "event_url works again, 1 delivered, 1 given up"),
    ] {
        assert_eq!(recipients(mails), [LYON, ON_CALL]);
        for mail in mails {
            assert_eq!(
                header(mail, "subject"),
                format!("[PRODUCTION] ACME Société, Lyon Bellecour: {state}")
            );
            assert_eq!(header(mail, "auto-submitted"), "auto-generated");
            assert!(mail["tls"] == true && mail["login"] == true, "{mail}");
            assert_sound(mail);
        }
    }
    for (first, followers) in opened.iter().zip(gave_up.iter().zip(&recovered)) {
        let root = header(first, "message-id");
        assert!(root.ends_with("@router.example>"), "{root}");
        assert!(!names(first).contains(&"in-reply-to"));
        for follower in [followers.0, followers.1] {
            assert_eq!(first["to"], follower["to"]);
            assert_eq!(
                [header(follower, "in-reply-to"), header(follower, "references")],
                [root, root]
            );
            assert_ne!(header(follower, "message-id"), root);
        }
    }
    assert!(
        opened[0]["text"]
            .as_str()
            .unwrap()
            .contains("\n  > Maintenance, Révision n° 7\n"),
        "{}",
        opened[0]
    );
    alert.stop().await;
}

#[tokio::test]
async fn restart_tells_nothing_again() {
    let mut server = MailServer::start(&[]).await;
    let story = Story::begin(&server, &[ON_CALL], &[]).await;
    let alert = story.alert();
    let mut shop = story.shop().await;
    shop.is_down(&story).await;
    let opened = server.takes(1).await;
    alert.stop().await;

    let alert = story.alert();
    shop.recovers(&story).await;
    story.later(0);
    let next = server.takes(1).await;
    assert_eq!(header(&next[0], "in-reply-to"), header(&opened[0], "message-id"));
    alert.stop().await;
}

#[tokio::test]
async fn what_heals_within_seconds_wakes_nobody() {
    let mut server = MailServer::start(&[]).await;
    let story = Story::begin(&server, &[ON_CALL], &[]).await;
    let alert = story.alert();
    let mut shop = story.shop().await;
    shop.fails(&story, false).await;
    shop.fails(&story, false).await;
    shop.recovers(&story).await;
    story.later(600);
    // The next outage is told, and it is the first that is.
    shop.is_down(&story).await;
    let told = server.takes(1).await;
    assert!(header(&told[0], "subject").contains("fails"), "{}", told[0]);
    assert!(!names(&told[0]).contains(&"in-reply-to"));
    alert.stop().await;
}

#[tokio::test]
async fn busy_mail_server_gets_it_later_and_a_refused_address_holds_nobody_up() {
    let mut server = MailServer::start(&["--refuse", LYON, "--busy", "1"]).await;
    let story = Story::begin(&server, &[LYON, ON_CALL], &[]).await;
    let alert = story.alert();
    let mut shop = story.shop().await;
    shop.is_down(&story).await;
    story
        .until(async || story.outbox.next_email().await.unwrap() == Some(story.clock.now() + Duration::from_secs(60)))
        .await;
    story.later(60);
    let told = server.takes(1).await;
    assert_eq!(recipients(&told), [ON_CALL]);
    story
        .until(async || story.outbox.next_email().await.unwrap().is_none())
        .await;
    alert.stop().await;
}

#[tokio::test]
async fn operators_hear_of_a_trouble_at_most_once_an_hour() {
    let mut server = MailServer::start(&[]).await;
    let story = Story::begin(&server, &[], &[]).await;
    let alert = story.alert();
    let unknown = |site_id| Trouble::unknown_shop(site_id, Format::Form, Mode::Test);
    story
        .outbox
        .report(unknown("99999999"), story.clock.now())
        .await
        .unwrap();
    story.later(10);
    let first = server.takes(1).await;
    assert_eq!(recipients(&first), [OPERATOR]);
    assert_eq!(
        header(&first[0], "subject"),
        "[TEST] ipn-router: notifications of 1 unknown shop refused"
    );

    story
        .outbox
        .report(unknown("88888888"), story.clock.now())
        .await
        .unwrap();
    story.later(1_800);
    story
        .outbox
        .report(unknown("77777777"), story.clock.now())
        .await
        .unwrap();
    story.later(1_800);
    let second = server.takes(1).await;
    assert_eq!(
        header(&second[0], "subject"),
        "[TEST] ipn-router: notifications of 2 unknown shops refused"
    );
    assert_sound(&second[0]);
    alert.stop().await;
}

#[tokio::test]
async fn without_a_mail_server_nothing_is_kept_for_later() {
    let server = MailServer::start(&[]).await;
    let mut story = Story::begin(&server, &[ON_CALL], &[]).await;
    story.settings.mail = None;
    let alert = story.alert();
    let mut shop = story.shop().await;
    shop.is_down(&story).await;
    story
        .until(async || {
            !story
                .outbox
                .unseen_incidents(1)
                .await
                .unwrap()
                .iter()
                .any(|row| row.told.is_empty())
        })
        .await;
    assert_eq!(story.outbox.next_email().await.unwrap(), None);
    alert.stop().await;
}

#[tokio::test]
async fn session_without_starttls_is_refused() {
    let server = MailServer::start(&["--tls", "none"]).await;
    let refused = Mailer::new(&server.settings()).unwrap().send(&an_email()).await;
    assert!(
        matches!(&refused, Err(SendError::Unavailable(why)) if why.contains("STARTTLS")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tls_from_the_first_byte_works_too() {
    let mut server = MailServer::start(&["--tls", "wrapper"]).await;
    let settings = MailSettings {
        security: MailSecurity::Tls,
        ..server.settings()
    };
    Mailer::new(&settings).unwrap().send(&an_email()).await.unwrap();
    assert_sound(&server.takes(1).await[0]);
}

#[tokio::test]
async fn wrong_password_and_unknown_authority_are_worth_another_try() {
    let server = MailServer::start(&[]).await;
    for (wrong, says) in [
        (
            MailSettings {
                password: Some(Secret::new("wrong")),
                ..server.settings()
            },
            "535",
        ),
        (
            MailSettings {
                ca: None,
                ..server.settings()
            },
            "UnknownIssuer",
        ),
    ] {
        let refused = Mailer::new(&wrong).unwrap().send(&an_email()).await;
        assert!(
            matches!(&refused, Err(SendError::Unavailable(why)) if why.contains(says)),
            "{refused:?}"
        );
    }
}

fn recipients(mails: &[Value]) -> Vec<&str> {
    mails.iter().map(|mail| mail["to"][0].as_str().unwrap()).collect()
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    mail["headers"][name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {mail}"))
}

fn names(mail: &Value) -> Vec<&str> {
    mail["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect()
}

/// Nothing for a mail program to stumble over.
fn assert_sound(mail: &Value) {
    assert_eq!(mail["defects"], Value::Array(Vec::new()), "{mail}");
    assert_eq!(mail["bare_line_ends"], 0);
    assert_eq!(header(mail, "mime-version"), "1.0");
    assert!(mail["longest_header_line"].as_u64().unwrap() <= 78, "{mail}");
    for line in mail["text"].as_str().unwrap().lines() {
        assert!(line.chars().count() <= 78, "{line}");
    }
    let mut once = names(mail);
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names(mail).len(), "a header twice in {mail}");
}

fn an_email() -> DueEmail {
    DueEmail {
        id: 1,
        to: ON_CALL.into(),
        address: ON_CALL.into(),
        message_id: "<1@router.example>".into(),
        in_reply_to: None,
        subject: "[TEST] ACME Société: é".into(),
        text: "What failed\n".into(),
        created_at: start(),
        attempts: 0,
    }
}

fn start() -> jiff::Timestamp {
    "2026-10-17T14:02:00Z".parse().unwrap()
}

/// An outbox, a clock that the test moves, and a company that wants to hear of one destination.
struct Story {
    outbox: Outbox,
    clock: TestClock,
    settings: Settings,
    key: DestinationKey,
    _folder: TempDir,
}

impl Story {
    async fn begin(server: &MailServer, company: &[&str], shop: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = outbox::Settings {
            path: folder.path().join("outbox.db"),
            keep_bodies: Duration::from_secs(3_600),
            keep_records: Duration::from_secs(3_600),
        };
        let outbox = tokio::task::spawn_blocking(move || Outbox::open(&store))
            .await
            .unwrap()
            .unwrap();
        let key = DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "23456789".parse().unwrap(),
            mode: Mode::Production,
            rendition: Rendition::Event,
        };
        let addresses = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        let settings = Settings {
            mail: Some(server.settings()),
            operators: addresses(&[OPERATOR]),
            recipients: HashMap::from([(
                key.legal_entity.clone(),
                Recipients {
                    company: addresses(company),
                    shops: HashMap::from([(key.shop, addresses(shop))]),
                    ..Recipients::default()
                },
            )]),
            ..Settings::default()
        };
        Self {
            outbox,
            clock: TestClock::at(start()),
            settings,
            key,
            _folder: folder,
        }
    }

    fn alert(&self) -> Running {
        let destination = Destination {
            legal_entity_name: "ACME Société".into(),
            shop_name: "Lyon Bellecour".into(),
            url: "https://lyon.acme.example/token-events".parse().unwrap(),
            give_up_after: Duration::from_secs(72 * 3_600),
            tells_attempts: false,
        };
        let destinations = HashMap::from([(self.key.clone(), destination)]);
        let clock = Arc::new(self.clock.clone());
        let rules = Rules::new(self.settings.clone(), destinations).unwrap();
        let alert = Alert::new(self.outbox.clone(), clock, rules);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(alert.run(async move {
            stopped.await.ok();
        }));
        Running { stop, task }
    }

    /// Time passes.
    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.outbox.alert_changed().notify_one();
    }

    /// Waits until the store shows it.
    async fn until(&self, shown: impl AsyncFn() -> bool) {
        let wait = async {
            while !shown().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the store shows it in time");
    }

    /// Stores a notification for the destination, and takes the destination over.
    async fn shop(&self) -> Shop {
        let now = self.clock.now();
        let id = NotificationId::new(now);
        let routed = Routed {
            id,
            received_at: now,
            legal_entity: self.key.legal_entity.clone(),
            shop: "12345678".parse().unwrap(),
            mode: self.key.mode,
            format: Format::Form,
            kind: Kind::TokenCreated,
            token: Some("9d3a1c0b8e7f4a5d9c2b1e0f3a4b5c6d".into()),
            transaction: None,
            standing: Standing::Routed,
            identity: Identity {
                hash: [1; 16],
                until: None,
            },
            resend_of: None,
            event: Some([2; 16]),
            lane: Lane::of("token"),
            charge: None,
            destinations: vec![self.key.clone()],
            withheld: Vec::new(),
            configuration: 0,
            headers: String::new(),
            body: Bytes::from_static(b"vads_site_id=12345678"),
        };
        assert!(matches!(self.outbox.accept(routed).await, Ok(Accepted::Stored)));
        let inbox = Arc::new(Inbox::default());
        let owned = self
            .outbox
            .own(&self.key, Arc::clone(&inbox), self.clock.now())
            .await
            .unwrap();
        Shop {
            id,
            lease: owned.lease,
            inbox,
            incident: None,
            attempts: 0,
        }
    }
}

/// The task of the alert part.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).expect("it runs until it is stopped");
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("it stops in time")
            .unwrap();
    }
}

/// What the owner of the destination does: attempts, and their records.
struct Shop {
    id: NotificationId,
    lease: Lease,
    inbox: Arc<Inbox>,
    incident: Option<Incident>,
    attempts: u32,
}

impl Shop {
    async fn fails(&mut self, story: &Story, gave_up: bool) {
        let outcome = Outcome::Unavailable {
            cause: Cause::Status(503),
            answer: Some(Answer {
                status: 503,
                excerpt: "<p>Maintenance, R\u{e9}vision n° 7</p>".into(),
                retry_after: None,
            }),
            detail: String::new(),
        };
        self.attempt(story, &outcome, gave_up).await;
    }

    /// Fails for a minute, which people are told of.
    async fn is_down(&mut self, story: &Story) {
        self.fails(story, false).await;
        story.later(30);
        self.fails(story, false).await;
        story.later(30);
    }

    async fn recovers(&mut self, story: &Story) {
        let answer = Answer {
            status: 200,
            excerpt: Vec::new(),
            retry_after: None,
        };
        self.attempt(story, &Outcome::Delivered { answer, ko: None }, false)
            .await;
    }

    async fn attempt(&mut self, story: &Story, outcome: &Outcome, gave_up: bool) {
        let now = story.clock.now();
        self.attempts += 1;
        let attempted = Attempted {
            notification: self.id,
            matter: Kind::TokenCreated.into(),
            outcome,
            gave_up,
            at: now,
        };
        self.incident = Incident::observe(self.incident.take(), &attempted);
        if let Some(incident) = &mut self.incident
            && incident.ends_at().is_some_and(|at| at <= now)
        {
            incident.end(now);
        }
        let record = AttemptRecord {
            lease: self.lease,
            seq: 1,
            lane: Lane::of("token"),
            attempt: self.attempts,
            counted: self.attempts,
            started_at: now,
            took: Duration::from_millis(5),
            status: outcome.answer().map(|answer| answer.status),
            cause: outcome.cause().map(Cause::word),
            detail: String::new(),
            answer: Vec::new(),
            next: match (outcome.is_delivered(), gave_up) {
                (true, _) => Next::Delivered,
                (false, true) => Next::DeadLetter,
                (false, false) => Next::Due(now + Duration::from_secs(30)),
            },
            incident: self.incident.clone(),
            told_apart: None,
            complaint: None,
            down_since: None,
        };
        story.outbox.record(record, &self.inbox);
        loop {
            let (news, _) = self.inbox.take();
            if news.iter().any(|news| matches!(news, News::Recorded { .. })) {
                return;
            }
            self.inbox.changed().await;
        }
    }
}
