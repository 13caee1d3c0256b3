//! Shops whose servers behave as servers should not: what they cost the daemon, and the other shops (design.md 8).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Acme, EVENT_SECRET, Form, PARIS, TestDaemon, eventually};

/// What a shop does to a call.
#[derive(Clone, Copy, Debug)]
enum Manners {
    ByteASecond,
    EndlessBody,
    EndlessHead,
    Hangs,
    Resets,
}

const ALL: [Manners; 5] = [
    Manners::ByteASecond,
    Manners::EndlessBody,
    Manners::EndlessHead,
    Manners::Hangs,
    Manners::Resets,
];

/// design.md 8: what any one of them may cost.
const MEMORY: u64 = 8 * 1024 * 1024;

#[tokio::test]
async fn rude_shops_cost_little_memory_and_the_others_nothing() {
    let acme = Acme::open();
    let mut toml = acme.toml("");
    let mut shops = Vec::new();
    for (place, manners) in (0..).zip(ALL) {
        let shop = RudeShop::open(manners).await;
        toml += &format!(
            r#"
            [shops.4567890{place}]
            name = "{manners:?}"
            legal_entity = "acme"
            allow_private = true
            [shops.4567890{place}.test]
            event_url = "{}"
            event_secret = "{EVENT_SECRET}"
            "#,
            shop.url
        );
        shops.push(shop);
    }
    let daemon = TestDaemon::start(&toml).await;
    let before = memory(&daemon, "VmRSS");
    let mut gateway = daemon.gateway();
    for n in 0..300 {
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{n}")).signed())
            .await;
    }
    acme.paris.gets(300).await;
    acme.lyon.gets(600).await;
    acme.nice.gets(300).await;
    for shop in &shops {
        let what = format!("{:?} is called", shop.manners);
        eventually(&what, async || (shop.calls.load(Ordering::SeqCst) >= 8).then_some(())).await;
    }
    let grown = memory(&daemon, "VmHWM") - before;
    let allowed = MEMORY * ALL.len() as u64;
    assert!(grown < allowed, "{grown} bytes more, of {allowed}");
}

struct RudeShop {
    manners: Manners,
    url: String,
    calls: Arc<AtomicUsize>,
    /// Ends with it.
    _serving: JoinSet<()>,
}

impl RudeShop {
    async fn open(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, manners, Arc::clone(&calls)));
        Self {
            manners,
            url,
            calls,
            _serving: serving,
        }
    }
}

async fn serve(listener: TcpListener, manners: Manners, calls: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        calls.fetch_add(1, Ordering::SeqCst);
        connections.spawn(treat(stream, manners));
        while connections.try_join_next().is_some() {}
    }
}

async fn treat(mut stream: TcpStream, manners: Manners) {
    // The call fits into this, and is there at once.
    let mut call = [0; 16 * 1024];
    if stream.read(&mut call).await.is_err() {
        return;
    }
    match manners {
        Manners::ByteASecond => {
            let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
                .iter()
                .chain([b'O'; 1000].iter());
            for byte in slow {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Manners::EndlessBody => endlessly(stream, "HTTP/1.1 200 OK\r\n\r\n").await,
        Manners::EndlessHead => endlessly(stream, "HTTP/1.1 200 OK\r\nx: ").await,
        Manners::Hangs => std::future::pending().await,
        Manners::Resets => {
            stream.set_zero_linger().unwrap();
        }
    }
}

async fn endlessly(mut stream: TcpStream, head: &str) {
    let piece = [b'a'; 64 * 1024];
    if stream.write_all(head.as_bytes()).await.is_ok() {
        while stream.write_all(&piece).await.is_ok() {}
    }
}

/// A line of the process's status, bytes.
fn memory(daemon: &TestDaemon, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
