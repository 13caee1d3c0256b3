use std::num::NonZeroUsize;

use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::deliver::testing::settings;
use crate::domain::{Format, Lane, Rendition, SystemClock};
use crate::metrics::Delivering;
use crate::outbox;
use crate::route::{Identity, Routed, Standing};

#[tokio::test]
async fn a_store_that_fails_at_the_start_is_asked_again() {
    let (_folder, path, outbox) = store();
    // As a full disk would do it: the first write of an owner fails.
    let beside = Connection::open(&path).unwrap();
    beside
        .execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE OF owner ON destinations BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
    let (prepared, key) = prepared("http://127.0.0.1:1/");
    let counts = Delivering::default().to(&key);
    let (wanted, told) = watch::channel(Wanted::Served(prepared));
    let mut served = tokio::spawn(keep(key, outbox.clone(), Arc::new(SystemClock), counts, told));
    let gave_up = timeout(Duration::from_millis(200), &mut served).await;
    assert!(gave_up.is_err(), "{gave_up:?}");

    beside.execute_batch("DROP TRIGGER full").unwrap();
    let owned = async {
        while beside
            .query_row("SELECT count(owner) FROM destinations", [], |row| row.get(0))
            .unwrap_or(0)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), owned).await.unwrap();
    wanted.send_replace(Wanted::Stopped);
    served.await.unwrap();
}

#[tokio::test]
async fn what_is_not_recorded_yet_keeps_a_parked_destination_until_it_is() {
    let (_folder, path, outbox) = store();
    let shop = Shop::open().await;
    let (prepared, key) = prepared(&shop.url);
    let counts = Delivering::default().to(&key);
    let (wanted, told) = watch::channel(Wanted::Served(Arc::clone(&prepared)));
    let served = tokio::spawn(keep(key.clone(), outbox.clone(), Arc::new(SystemClock), counts, told));
    let beside = Connection::open(&path).unwrap();
    beside
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    outbox.accept(routed(&key)).await.unwrap();
    shop.called(1).await;
    wanted.send_replace(Wanted::Parked);
    let number = |sql: &str| beside.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    for _ in 0..30 {
        assert_eq!(
            number("SELECT count(owner) FROM destinations"),
            1,
            "given back with a record in hand"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    beside.execute_batch("DROP TRIGGER full").unwrap();
    until(|| number("SELECT count(parked) FROM destinations") == 1).await;
    wanted.send_replace(Wanted::Served(prepared));
    until(|| number("SELECT count(owner) FROM destinations") == 1).await;
    assert_eq!(number("SELECT count(*) FROM deliveries WHERE state = 0"), 0);
    wanted.send_replace(Wanted::Stopped);
    served.await.unwrap();
    shop.called(1).await;
}

#[tokio::test]
async fn owner_whose_lease_is_lost_stops_serving() {
    let (_folder, path, outbox) = store();
    let shop = Shop::open().await;
    let (prepared, key) = prepared(&shop.url);
    let (_wanted, mut told) = watch::channel(Wanted::Served(Arc::clone(&prepared)));
    let counts = Delivering::default().to(&key);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (by, now) = (outbox.clone(), Arc::clone(&clock));
    let serving = tokio::spawn(async move { serve(&prepared, &by, &now, &counts, &mut told).await });
    let beside = Connection::open(&path).unwrap();
    beside
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    outbox.accept(routed(&key)).await.unwrap();
    shop.called(1).await;
    // While the record waits for the store, another one takes the destination over.
    outbox.own(&key, Arc::new(Inbox::default()), clock.now()).await.unwrap();
    beside.execute_batch("DROP TRIGGER full").unwrap();
    let ended = timeout(Duration::from_secs(20), serving).await;
    ended.expect("it serves no more").unwrap().unwrap();
}

/// A shop that takes everything, one call a connection.
struct Shop {
    url: String,
    calls: watch::Receiver<usize>,
}

impl Shop {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (called, calls) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut call = [0; 8192];
                if stream.read(&mut call).await.unwrap() > 0 {
                    called.send_modify(|calls| *calls += 1);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        Self { url, calls }
    }

    /// Waits for this call, which is the last one so far.
    async fn called(&self, count: usize) {
        let mut calls = self.calls.clone();
        let calls = timeout(Duration::from_secs(20), calls.wait_for(|calls| *calls >= count)).await;
        assert_eq!(*calls.unwrap().unwrap(), count);
    }
}

async fn until(there: impl Fn() -> bool) {
    let wait = async {
        while !there() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap();
}

fn store() -> (tempfile::TempDir, std::path::PathBuf, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&outbox::Settings {
        path: path.clone(),
        keep_bodies: Duration::from_secs(3600),
        keep_records: Duration::from_secs(3600),
    })
    .unwrap();
    (folder, path, outbox)
}

fn prepared(url: &str) -> (Arc<Prepared>, DestinationKey) {
    let mut settings = settings(Rendition::AsReceived(Format::Form), url);
    settings.allow_private = true;
    settings.concurrency = NonZeroUsize::new(4).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let prepared = Prepared::new(settings, &clock).unwrap();
    let key = prepared.key().clone();
    (Arc::new(prepared), key)
}

fn routed(key: &DestinationKey) -> Routed {
    let received_at = SystemClock.now();
    Routed {
        id: NotificationId::new(received_at),
        received_at,
        legal_entity: key.legal_entity.clone(),
        shop: key.shop,
        mode: key.mode,
        format: Format::Form,
        kind: Kind::TokenCreated,
        token: None,
        transaction: None,
        standing: Standing::Routed,
        identity: Identity {
            hash: [1; 16],
            until: None,
        },
        resend_of: None,
        event: None,
        lane: Lane(1),
        charge: None,
        destinations: vec![key.clone()],
        withheld: Vec::new(),
        configuration: 0,
        headers: String::new(),
        body: "vads_site_id=12345678".into(),
    }
}
