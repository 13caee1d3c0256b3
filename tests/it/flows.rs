//! Outages of hours on a test clock: which e-mails people get of them, from the first failure to the recovery.
//!
//! The store and what tells are the real ones; the owners of the destinations are played here, with the rules by which
//! real ones decide (`domain::Health`, `domain::Incident`). E-mails are taken from the store as a mail server would.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ipn_router::alert::{Alert, Destination, MailSecurity, MailSettings, Recipients, Rules, Settings};
use ipn_router::domain::{
    Answer, Attempted, Cause, Clock, Decision, DestinationKey, Failure, Health, Incident, Kind, Lane, LastFailure,
    Mode, NotificationId, Outcome, PROBE_EVERY, Rendition, RetryPolicy, TestClock,
};
use ipn_router::outbox::{self, AttemptRecord, DueEmail, Inbox, Lease, News, Next, Outbox};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

const HOUR: i64 = 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

#[tokio::test]
async fn shop_that_is_dead_for_a_day_gives_one_thread_of_at_most_ten_e_mails() {
    let mut flow = Flow::new(&["lyon.example"]);
    // Ten a second; more than 100 000 are not told apart.
    flow.shops[0].rows = 300;
    flow.run(0..24 * HOUR, |_| false).await;
    assert_eq!(flow.subjects_of("opened"), 1);
    assert_eq!((flow.subjects_of("grew-1000"), flow.subjects_of("grew-100000")), (1, 1));
    let recovered_before = flow.subjects_of("recovered");
    flow.run(24 * HOUR..25 * HOUR, |_| true).await;
    assert_eq!((recovered_before, flow.subjects_of("recovered")), (0, 1));
    assert!(flow.sent.len() <= 10, "{:?}", flow.steps());
    let root = &flow.sent[0].message_id;
    assert!(
        flow.sent[1..]
            .iter()
            .all(|email| email.in_reply_to.as_ref() == Some(root))
    );
    let (drained, recovered) = (flow.shops[0].drained_at.unwrap(), flow.sent.last().unwrap().created_at);
    assert!(
        recovered < drained + SignedDuration::from_mins(1),
        "{drained} {recovered}"
    );
    assert!(recovered >= drained, "not while something waits");
}

#[tokio::test]
async fn ten_shops_of_one_host_give_one_e_mail_and_one_when_all_are_back() {
    let mut flow = Flow::new(&["shops.example"; 10]);
    for shop in &mut flow.shops {
        shop.every = 600;
    }
    flow.run(0..2 * HOUR, |_| false).await;
    assert_eq!(flow.steps(), ["opened"]);
    let subject = &flow.sent[0].subject;
    assert!(subject.contains("10") && subject.contains("shops.example"), "{subject}");
    flow.run(2 * HOUR..3 * HOUR, |_| true).await;
    assert_eq!(flow.steps(), ["opened", "recovered"]);
    assert_eq!(flow.sent[1].in_reply_to.as_ref(), Some(&flow.sent[0].message_id));
}

#[tokio::test]
async fn shop_that_flaps_every_40_seconds_for_6_hours_gives_at_most_six() {
    for (up, down) in [(40, 40), (35, 5)] {
        let mut flow = Flow::new(&["lyon.example"]);
        flow.shops[0].every = 60;
        flow.run(0..6 * HOUR, |second| second % (up + down) >= down).await;
        flow.run(6 * HOUR..8 * HOUR, |_| true).await;
        assert!(flow.sent.len() <= 6, "{up} {down}: {:?}", flow.steps());
        let told_last = flow.steps().last().cloned().unwrap_or_default();
        assert!(told_last.starts_with("recovered"), "{up} {down}: {:?}", flow.steps());
    }
}

#[tokio::test]
async fn outage_of_two_seconds_gives_none() {
    for rows in [1, 10] {
        let mut flow = Flow::new(&["lyon.example"]);
        flow.shops[0].rows = rows;
        flow.shops[0].every = 1;
        flow.run(0..2, |_| false).await;
        flow.run(2..600, |_| true).await;
        assert_eq!(flow.steps(), [""; 0], "{rows} a second");
    }
}

#[tokio::test]
async fn paused_shop_is_silent_also_after_a_restart() {
    let mut flow = Flow::new(&["lyon.example"]);
    flow.run(0..10, |_| false).await;
    flow.pause().await;
    flow.restart();
    flow.idle(10..30 * HOUR).await;
    assert_eq!(flow.steps(), [""; 0]);
}

#[tokio::test]
async fn acknowledged_incident_is_told_again_when_it_is_over() {
    let mut flow = Flow::new(&["lyon.example"]);
    flow.run(0..600, |_| false).await;
    let noted = flow
        .outbox
        .acknowledge(1, "root".into(), None, flow.clock.now())
        .await
        .unwrap();
    assert_eq!(noted, outbox::Acknowledged::Noted(1));
    flow.run(600..30 * HOUR, |_| false).await;
    flow.run(30 * HOUR..31 * HOUR, |_| true).await;
    assert_eq!(flow.steps(), ["opened", "recovered"]);
}

#[tokio::test]
async fn killed_at_any_step_it_loses_no_e_mail_and_repeats_at_most_the_one_in_flight() {
    let story = async |kill_at: usize| {
        let mut flow = Flow::new(&["lyon.example"]);
        flow.kill_at = kill_at;
        flow.shops[0].policy.give_up_after = Duration::from_secs(3_600);
        flow.shops[0].every = 600;
        flow.run(0..2 * HOUR, |_| false).await;
        flow.run(2 * HOUR..3 * HOUR, |_| true).await;
        (flow.sent, flow.moments)
    };
    let (expected, moments) = story(usize::MAX).await;
    assert!(expected.len() >= 3, "{expected:?}");
    for kill_at in 0..moments {
        let (sent, _) = story(kill_at).await;
        let ids =
            |emails: &[DueEmail]| -> BTreeSet<String> { emails.iter().map(|email| email.message_id.clone()).collect() };
        assert_eq!(ids(&sent), ids(&expected), "killed at {kill_at}");
        assert!(sent.len() <= expected.len() + 1, "killed at {kill_at}");
    }
}

#[tokio::test]
async fn every_attempt_is_told_if_wanted_and_what_is_too_much_by_a_digest() {
    let mut flow = Flow::new(&["lyon.example"]);
    flow.shops[0].tells_attempts = true;
    flow.begin();
    flow.run(0..HOUR, |_| false).await;
    let attempts = flow.shops[0].failures;
    let told = flow.sent.len();
    assert!(attempts > 20 && told <= 21, "{attempts} {told}");
    assert!(flow.sent[0].subject.contains("#1"), "{}", flow.sent[0].subject);
    flow.idle(HOUR..5 * HOUR).await;
    let digests: Vec<_> = flow
        .sent
        .iter()
        .filter(|email| email.message_id.contains("digest"))
        .collect();
    assert!(!digests.is_empty(), "{:?}", flow.steps());
    let stands_for: usize = flow.held_by_digests();
    assert_eq!(
        flow.sent.len() - digests.len() + stands_for,
        attempts,
        "nothing is lost"
    );
}

#[tokio::test]
async fn complaint_is_told_once_a_day() {
    let mut flow = Flow::new(&["lyon.example"]);
    for day in 0..3 {
        for _ in 0..5 {
            flow.complain(at(day * 24 * HOUR)).await;
        }
    }
    assert_eq!(flow.sent.len(), 3, "{:?}", flow.steps());
}

/// A store, what tells, and the owners of some destinations of one company.
struct Flow {
    outbox: Outbox,
    clock: TestClock,
    alert: Alert,
    shops: Vec<Shop>,
    sent: Vec<DueEmail>,
    /// The moments at which a kill is tried, so far.
    moments: usize,
    kill_at: usize,
    folder: TempDir,
}

impl Flow {
    fn new(hosts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (outbox, clock) = (open(&folder), TestClock::at(at(0)));
        let shops: Vec<_> = (0..)
            .zip(hosts)
            .map(|(n, host)| Shop::new(n, host, beside(&folder)))
            .collect();
        let alert = alert(&outbox, &clock, &shops);
        Self {
            outbox,
            clock,
            alert,
            shops,
            sent: Vec::new(),
            moments: 0,
            kill_at: usize::MAX,
            folder,
        }
    }

    /// The settings have changed.
    fn begin(&mut self) {
        self.alert = alert(&self.outbox, &self.clock, &self.shops);
    }

    /// As after a kill: only what is in the store is left.
    fn restart(&mut self) {
        self.outbox.close();
        self.outbox = open(&self.folder);
        self.begin();
        for shop in &mut self.shops {
            shop.lease = None;
        }
    }

    /// Plays these seconds; the shops answer when `well` says so.
    async fn run(&mut self, seconds: std::ops::Range<i64>, well: impl Fn(i64) -> bool) {
        let mut next_tell = seconds.start;
        for second in seconds {
            self.move_to(at(second));
            let mut is_news = false;
            for n in 0..self.shops.len() {
                is_news |= self.shops[n].second(&self.outbox, at(second), well(second)).await;
            }
            if is_news || second >= next_tell {
                let next = self.tell().await;
                // Whoever tells looks again after a minute at the latest.
                next_tell = next
                    .map_or(i64::MAX, |next| next.as_second() - at(0).as_second())
                    .min(second + 60);
            }
        }
    }

    /// These seconds pass, and nobody attempts anything.
    async fn idle(&mut self, seconds: std::ops::Range<i64>) {
        for second in seconds.step_by(60) {
            self.move_to(at(second));
            self.tell().await;
        }
    }

    fn move_to(&self, now: Timestamp) {
        let by = Duration::try_from(now.duration_since(self.clock.now())).unwrap();
        self.clock.advance(by);
    }

    async fn tell(&mut self) -> Option<Timestamp> {
        let next = self.alert.tell().await.unwrap();
        for email in self.outbox.due_emails(self.clock.now(), 100).await.unwrap() {
            // Killed after it was made, between the server's 250 and our record, and after that.
            if self.maybe_die() {
                return Some(self.clock.now());
            }
            self.sent.push(email.clone());
            if self.maybe_die() {
                return Some(self.clock.now());
            }
            self.outbox.email_sent(email.id, self.clock.now()).await.unwrap();
            if self.maybe_die() {
                return Some(self.clock.now());
            }
        }
        next
    }

    fn maybe_die(&mut self) -> bool {
        let dies = self.moments == self.kill_at;
        self.moments += 1;
        if dies {
            self.restart();
        }
        dies
    }

    async fn pause(&mut self) {
        let now = self.clock.now().as_millisecond();
        beside(&self.folder)
            .execute("UPDATE destinations SET paused = ?", [now])
            .unwrap();
    }

    async fn complain(&mut self, now: Timestamp) {
        self.move_to(self.clock.now().max(now));
        let shop = &mut self.shops[0];
        if shop.last == 0 {
            shop.accept(&self.outbox, self.clock.now()).await;
        }
        shop.attempt(&self.outbox, self.clock.now(), &complaint(), None).await;
        self.tell().await;
    }

    /// The steps of the e-mails that were sent, from their ids.
    fn steps(&self) -> Vec<String> {
        self.sent.iter().map(step).collect()
    }

    fn subjects_of(&self, name: &str) -> usize {
        self.sent.iter().filter(|email| step(email) == name).count()
    }

    /// How many e-mails the digests stand for.
    fn held_by_digests(&self) -> usize {
        let count: i64 = beside(&self.folder)
            .query_row("SELECT count(*) FROM emails WHERE state = 4", [], |row| row.get(0))
            .unwrap();
        usize::try_from(count).unwrap()
    }
}

/// `<incident-1-grew-1000-0123456789abcdef@router.example>`: the words between the number and the hash.
fn step(email: &DueEmail) -> String {
    let id = email.message_id.trim_start_matches('<').split('@').next().unwrap();
    let words: Vec<_> = id.split('-').collect();
    words[2..words.len() - 1].join("-")
}

fn beside(folder: &TempDir) -> rusqlite::Connection {
    let beside = rusqlite::Connection::open(folder.path().join("outbox.db")).unwrap();
    beside.busy_timeout(Duration::from_secs(5)).unwrap();
    beside.execute_batch("PRAGMA synchronous = OFF").unwrap();
    beside
}

fn open(folder: &TempDir) -> Outbox {
    Outbox::open(&outbox::Settings {
        path: folder.path().join("outbox.db"),
        keep_bodies: Duration::from_secs(3_600),
        keep_records: Duration::from_secs(3_600),
    })
    .unwrap()
}

fn alert(outbox: &Outbox, clock: &TestClock, shops: &[Shop]) -> Alert {
    let settings = Settings {
        mail: Some(MailSettings {
            host: "localhost".into(),
            port: 1,
            security: MailSecurity::Plain,
            username: None,
            password: None,
            from: "ipn@router.example".parse().unwrap(),
            ca: None,
        }),
        recipients: HashMap::from([(
            "acme".parse().unwrap(),
            Recipients {
                company: vec!["oncall@acme.example".parse().unwrap()],
                ..Recipients::default()
            },
        )]),
        ..Settings::default()
    };
    let mut destinations: HashMap<_, _> = shops.iter().map(|shop| (shop.key.clone(), shop.known())).collect();
    // One that is well, so that the company is not all of it.
    let well = Shop::new(77, "well.example", rusqlite::Connection::open_in_memory().unwrap());
    destinations.insert(well.key.clone(), well.known());
    Alert::new(
        outbox.clone(),
        Arc::new(clock.clone()),
        Rules::new(settings, destinations).unwrap(),
    )
}

/// The owner of a destination, as far as e-mails are concerned; each delivery has a lane of its own.
struct Shop {
    key: DestinationKey,
    host: String,
    policy: RetryPolicy,
    tells_attempts: bool,
    /// Deliveries that come, and after how many seconds the next ones do.
    rows: i64,
    every: i64,
    lease: Option<Lease>,
    inbox: Arc<Inbox>,
    health: Health,
    incident: Option<Incident>,
    /// By seq; more than are attempted wait in the store alone.
    waiting: BTreeMap<i64, Waits>,
    last: i64,
    next_probe: Timestamp,
    failures: usize,
    drained_at: Option<Timestamp>,
    beside: rusqlite::Connection,
}

#[derive(Clone, Copy)]
struct Waits {
    since: Timestamp,
    attempts: u32,
    counted: u32,
    due: Timestamp,
    tried: Option<Timestamp>,
}

/// Deliveries that are played one by one; all beyond are rows that wait for as long as one of these fails.
const PLAYED: usize = 50;
/// More than can be told apart.
const ROWS: i64 = 101_000;

impl Shop {
    fn new(n: u32, host: &str, beside: rusqlite::Connection) -> Self {
        Self {
            key: DestinationKey {
                legal_entity: "acme".parse().unwrap(),
                shop: format!("{:08}", 20_000_000 + n).parse().unwrap(),
                mode: Mode::Production,
                rendition: Rendition::Event,
            },
            host: host.to_owned(),
            policy: RetryPolicy::default(),
            tells_attempts: false,
            rows: 1,
            every: 30,
            lease: None,
            inbox: Arc::default(),
            health: Health::new(None),
            incident: None,
            waiting: BTreeMap::new(),
            last: 0,
            next_probe: at(0),
            failures: 0,
            drained_at: None,
            beside,
        }
    }

    fn known(&self) -> Destination {
        Destination {
            legal_entity_name: "ACME SAS".into(),
            shop_name: format!("ACME {}", self.key.shop),
            url: format!("https://{}/{}", self.host, self.key.shop).parse().unwrap(),
            give_up_after: self.policy.give_up_after,
            tells_attempts: self.tells_attempts,
        }
    }

    /// What an owner does within a second; returns whether the store has changed.
    async fn second(&mut self, outbox: &Outbox, now: Timestamp, is_well: bool) -> bool {
        let second = now.as_second() - at(0).as_second();
        if second % self.every == 0 {
            self.accept(outbox, now).await;
        }
        let mut is_news = false;
        // A failure may take it down, and a success brings it up: looked at anew before each.
        while let Some(seq) = self.next(now) {
            is_news = true;
            self.attempt(outbox, now, &outcome(is_well), Some(seq)).await;
        }
        is_news |= self.give_up(outbox, now).await;
        if self.waiting.is_empty() && self.health.down_since().is_none() {
            is_news |= self.drain(outbox, now).await;
        }
        is_news
    }

    /// The delivery whose turn it is.
    fn next(&mut self, now: Timestamp) -> Option<i64> {
        if self.health.down_since().is_none() {
            let due = self.waiting.iter().find(|(_, waits)| waits.due <= now);
            return due.map(|(seq, _)| *seq);
        }
        if now < self.next_probe {
            return None;
        }
        self.next_probe = now + PROBE_EVERY;
        self.waiting
            .iter()
            .min_by_key(|(seq, waits)| (waits.tried, **seq))
            .map(|(seq, _)| *seq)
    }

    async fn accept(&mut self, outbox: &Outbox, now: Timestamp) {
        let lease = self.lease(outbox, now).await;
        let rows = self.last + 1..=self.last + self.rows;
        self.last = *rows.end();
        for seq in rows.clone().take(PLAYED.saturating_sub(self.waiting.len())) {
            let waits = Waits {
                since: now,
                attempts: 0,
                counted: 0,
                due: now,
                tried: None,
            };
            self.waiting.insert(seq, waits);
        }
        self.store(lease, rows, now);
    }

    /// Rows as `accept` makes them, all of one notification.
    fn store(&mut self, lease: Lease, rows: std::ops::RangeInclusive<i64>, now: Timestamp) {
        if *rows.end() > ROWS {
            return;
        }
        let change = self.beside.transaction().unwrap();
        change
            .execute(
                "INSERT OR IGNORE INTO notifications(id, uuid, received_at, legal_entity, shop, mode, format, kind, standing,
                   lane, headers, body) VALUES (1, ?, ?, 'acme', '12345678', 'PRODUCTION', 'form', 'token.created',
                   'routed', 1, '', x'')",
                (NotificationId::before(at(0)).as_bytes(), now.as_millisecond()),
            )
            .unwrap();
        for seq in rows.clone() {
            change
                .prepare_cached(
                    "INSERT INTO deliveries(destination, seq, lane, notification, since) VALUES (?, ?, ?, 1, ?)",
                )
                .unwrap()
                .execute((lease.destination, seq, seq, now.as_millisecond()))
                .unwrap();
        }
        change
            .execute(
                "UPDATE destinations SET last = ? WHERE id = ?",
                (rows.end(), lease.destination),
            )
            .unwrap();
        change.commit().unwrap();
    }

    async fn attempt(&mut self, outbox: &Outbox, now: Timestamp, outcome: &Outcome, seq: Option<i64>) {
        let lease = self.lease(outbox, now).await;
        let waits = seq.and_then(|seq| self.waiting.get(&seq).copied());
        let (next, counted) = match (outcome.is_delivered(), waits) {
            (true, _) | (_, None) => {
                self.health.succeeded(now);
                (Next::Delivered, 0)
            }
            (false, Some(waits)) => {
                self.failures += 1;
                let failure = Failure {
                    lane: Lane(seq.unwrap()),
                    first: waits.attempts == 0,
                    counted: waits.counted,
                    began_in: self.health.period(),
                    previous: waits.tried,
                    since: waits.since,
                    retry_after: None,
                };
                let was_up = self.health.down_since().is_none();
                let decision = self.health.failed(&self.policy, &failure, now, 0.0);
                if was_up && self.health.down_since().is_some() {
                    self.next_probe = now + PROBE_EVERY;
                }
                match decision {
                    Decision::DeadLetter => (Next::DeadLetter, waits.counted),
                    Decision::Retry { at, counted } => (Next::Due(at), counted),
                }
            }
        };
        let attempt = waits.map_or(1, |waits| waits.attempts + 1);
        if let (Some(seq), Some(waits)) = (seq, waits) {
            match next {
                Next::Due(due) => {
                    let tried = Some(now);
                    let (attempts, since) = (attempt, waits.since);
                    self.waiting.insert(
                        seq,
                        Waits {
                            since,
                            attempts,
                            counted,
                            due,
                            tried,
                        },
                    );
                }
                Next::DeadLetter | Next::Delivered => {
                    self.waiting.remove(&seq);
                }
            }
        }
        let attempted = Attempted {
            notification: NotificationId::new(now),
            matter: Kind::TokenCreated.into(),
            outcome,
            gave_up: next == Next::DeadLetter,
            at: now,
        };
        self.incident = Incident::observe(self.incident.take(), &attempted);
        let complaint = outcome.is_delivered().then(|| outcome.detail().to_owned());
        let record = AttemptRecord {
            lease,
            seq: seq.unwrap_or(1),
            lane: Lane(seq.unwrap_or(1)),
            attempt,
            counted,
            started_at: now,
            took: Duration::ZERO,
            status: outcome.answer().map(|answer| answer.status),
            cause: outcome.cause().map(Cause::word),
            detail: String::new(),
            answer: Vec::new(),
            next,
            incident: self.incident.clone().filter(Incident::is_open),
            told_apart: LastFailure::from_outcome(outcome, now).filter(|_| self.tells_attempts),
            complaint: complaint.filter(|complaint| !complaint.is_empty()),
            down_since: self.health.down_since(),
        };
        outbox.record(record, &self.inbox);
        self.wait_for(|news| matches!(news, News::Recorded { .. })).await;
    }

    /// What waits for too long while it is down.
    async fn give_up(&mut self, outbox: &Outbox, now: Timestamp) -> bool {
        let Some(incident) = &mut self.incident else {
            return false;
        };
        if self.health.down_since().is_none() || now < self.next_probe {
            return false;
        }
        let limit = self.policy.give_up_after;
        let old: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waits)| waits.since + limit <= now)
            .map(|(seq, _)| *seq)
            .collect();
        if old.is_empty() {
            return false;
        }
        for seq in &old {
            self.waiting.remove(seq);
            incident.gave_up(NotificationId::new(now), Kind::TokenCreated, now);
        }
        let incident = incident.clone();
        let lease = self.lease(outbox, now).await;
        outbox.give_up(lease, old, Some(incident), now, &self.inbox).unwrap();
        self.wait_for(|news| matches!(news, News::GaveUp { .. })).await;
        true
    }

    /// Nothing waits any more: the incident is over when it may be.
    async fn drain(&mut self, outbox: &Outbox, now: Timestamp) -> bool {
        let Some(incident) = &mut self.incident else {
            return false;
        };
        if incident.ends_at().is_none_or(|ends| ends > now) {
            return false;
        }
        incident.end(now);
        let incident = incident.clone();
        self.drained_at.get_or_insert(now);
        let lease = self.lease(outbox, now).await;
        // What was not played has arrived, too.
        self.beside
            .execute(
                "UPDATE deliveries SET state = 1 WHERE destination = ? AND state = 0",
                [lease.destination],
            )
            .unwrap();
        outbox.end_incident(lease, incident, &self.inbox).unwrap();
        // Written after what is queued; an answer to another question says that it is there.
        outbox.release(lease, None).await.unwrap();
        self.lease = None;
        true
    }

    /// Takes the destination over, if that is not done, with what the store knows of it.
    async fn lease(&mut self, outbox: &Outbox, now: Timestamp) -> Lease {
        if let Some(lease) = self.lease {
            return lease;
        }
        self.inbox = Arc::default();
        let owned = outbox.own(&self.key, Arc::clone(&self.inbox), now).await.unwrap();
        self.incident = owned.incident;
        self.health = Health::new(owned.down_since);
        self.lease = Some(owned.lease);
        owned.lease
    }

    async fn wait_for(&self, awaited: impl Fn(&News) -> bool) {
        loop {
            if self.inbox.take().0.iter().any(&awaited) {
                return;
            }
            self.inbox.changed().await;
        }
    }
}

fn outcome(is_well: bool) -> Outcome {
    if is_well {
        return delivered(None);
    }
    Outcome::Unavailable {
        cause: Cause::Status(503),
        answer: Some(answer(503)),
        detail: "HTTP status 503".into(),
    }
}

fn complaint() -> Outcome {
    delivered(Some(ipn_router::domain::Verdict {
        text: "KO-Order not found".into(),
        about_signature: false,
    }))
}

fn delivered(ko: Option<ipn_router::domain::Verdict>) -> Outcome {
    Outcome::Delivered {
        answer: answer(200),
        ko,
    }
}

fn answer(status: u16) -> Answer {
    Answer {
        status,
        excerpt: Vec::new(),
        retry_after: None,
    }
}
