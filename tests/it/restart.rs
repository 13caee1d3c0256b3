//! The promise, kept by the program itself: what was acknowledged is delivered, at whatever moment the process is killed
//! (design.md 3 and 12).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipn_router::domain::NotificationId;
use tokio::task::JoinSet;

use crate::support::{Acme, Answer, FakeShop, Form, Gateway, LYON, NICE, PARIS, TestDaemon};

/// Kills; `IPN_ROUTER_KILL_ROUNDS` makes it a longer soak.
const ROUNDS: usize = 20;
/// That one falls between a commit and its answer is a matter of luck: it may take so many times as many.
const AT_MOST: usize = 5;
const CONNECTIONS: usize = 16;
/// Each shop refuses one call in so many, so that there are retries to remember.
const REFUSES_EVERY: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    reason = "shown if the test fails, and to whoever asks for a longer run"
)]
async fn what_was_acknowledged_is_delivered_whenever_it_is_killed() {
    let rounds = std::env::var("IPN_ROUTER_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let acme = Acme::open();
    for shop in [&acme.paris, &acme.lyon, &acme.nice] {
        refuses_some(shop);
    }
    let delays = r#"retry_delays = ["50ms", "100ms", "200ms", "400ms"]"#;
    let mut daemon = TestDaemon::start(&acme.toml(delays)).await;

    let mut books = Books::default();
    let mut kills = 0;
    while kills < rounds || (books.answered_late == 0 && kills < AT_MOST * rounds) {
        let load = Load::begin(&daemon, std::mem::take(&mut books.owed));
        tokio::time::sleep(Duration::from_millis(random.u64(200..800))).await;
        daemon.kill().await;
        kills += 1;
        books.add(load.end().await);
        daemon.start_again().await;
    }
    let owed = Arc::new(Mutex::new(std::mem::take(&mut books.owed)));
    books.add(send(daemon.gateway(), || owed.lock().unwrap().pop()).await);
    let acknowledged = books.acknowledged.len();
    println!(
        "{kills} kills, {acknowledged} acknowledged, {} of them stored before a kill and answered after it",
        books.answered_late
    );
    assert!(books.owed.is_empty());
    assert!(books.answered_late > 0, "no kill fell between a commit and its answer");
    assert!(acknowledged > 10 * rounds, "that is no load");

    daemon.delivers_everything().await;
    daemon.terminate().await;
    let home = &daemon.home;
    for (shop, path, destination) in [
        (&acme.paris, "/test/form", format!("{PARIS}-form")),
        (&acme.lyon, "/test/events", format!("{LYON}-event")),
        (&acme.lyon, "/test/form", format!("{LYON}-form-resigned")),
        (&acme.nice, "/test/form", format!("{NICE}-form-resigned")),
    ] {
        assert_got_everything(shop, path, &destination, &books.acknowledged);
    }
    let integrity: String = home
        .store()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    assert_eq!(home.number("SELECT count(*) FROM deliveries WHERE state <> 1"), 0);
    let gaps = "SELECT count(*) FROM destinations WHERE last <>
        (SELECT count(*) FROM deliveries WHERE destination = destinations.id AND seq BETWEEN 1 AND last)";
    assert_eq!(home.number(gaps), 0);
}

/// Now and then, and nobody more than twice, so that no delivery runs out of retries.
fn refuses_some(shop: &FakeShop) {
    let mut calls = 0;
    shop.answers(move |call| {
        calls += 1;
        let may = ["1", "2"].contains(&call.header("ipn-router-attempt"));
        Answer::status(if may && calls % REFUSES_EVERY == 0 { 503 } else { 200 })
    });
}

/// A notification that wants an answer.
#[derive(Debug)]
struct Owed {
    token: String,
    body: String,
    /// Sent in vain before: it may be stored.
    again: bool,
}

impl Owed {
    /// One that was never sent.
    fn fresh() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let token = format!("token-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = Form::token_created(PARIS, &token).signed();
        Self {
            token,
            body,
            again: false,
        }
    }
}

/// What became of notifications.
#[derive(Default)]
struct Books {
    /// By token.
    acknowledged: HashMap<String, NotificationId>,
    owed: Vec<Owed>,
    /// Those that a kill found between their commit and their answer.
    answered_late: usize,
}

impl Books {
    fn add(&mut self, other: Self) {
        for (token, id) in other.acknowledged {
            assert_eq!(self.acknowledged.insert(token, id), None);
        }
        self.owed.extend(other.owed);
        self.answered_late += other.answered_late;
    }
}

/// Connections that send one notification after the other until the daemon is killed: first what is owed, then new
/// ones.
struct Load {
    owed: Arc<Mutex<Vec<Owed>>>,
    connections: JoinSet<Books>,
}

impl Load {
    fn begin(daemon: &TestDaemon, owed: Vec<Owed>) -> Self {
        let owed = Arc::new(Mutex::new(owed));
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let owed = Arc::clone(&owed);
            let next = move || Some(owed.lock().unwrap().pop().unwrap_or_else(Owed::fresh));
            connections.spawn(send(daemon.gateway(), next));
        }
        Self { owed, connections }
    }

    async fn end(self) -> Books {
        let mut books = Books::default();
        for of_connection in self.connections.join_all().await {
            books.add(of_connection);
        }
        // What was owed before and has not had its turn.
        books.owed.append(&mut self.owed.lock().unwrap());
        books
    }
}

/// Sends until there is nothing more, or no answer.
async fn send(mut gateway: Gateway, mut next: impl FnMut() -> Option<Owed>) -> Books {
    let mut books = Books::default();
    while let Some(notification) = next() {
        let Ok(reply) = gateway.tries(&notification.body).await else {
            books.owed.push(Owed {
                again: true,
                ..notification
            });
            break;
        };
        assert!(reply.is_stored() || reply.is_duplicate(), "{reply:?}");
        if reply.is_duplicate() {
            assert!(notification.again, "it was never sent before: {reply:?}");
            books.answered_late += 1;
        }
        books.acknowledged.insert(notification.token, reply.id());
    }
    books
}

/// Each of these, and nothing else, each under one `webhook-id` however often it came.
fn assert_got_everything(
    shop: &FakeShop,
    path: &str,
    destination: &str,
    acknowledged: &HashMap<String, NotificationId>,
) {
    let mut got: HashMap<String, HashSet<String>> = HashMap::new();
    for call in shop.calls_to(path) {
        let id = call.header("webhook-id").to_owned();
        got.entry(call.token()).or_default().insert(id);
    }
    for (token, id) in acknowledged {
        let ids = got.remove(token).unwrap_or_default();
        assert_eq!(
            ids,
            HashSet::from([format!("{id}-{destination}")]),
            "{token} at {destination}"
        );
    }
    assert!(got.is_empty(), "never acknowledged: {got:?}");
}
