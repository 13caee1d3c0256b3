//! The program as a service of systemd: it says when it is ready and that it is alive, and its socket outlives it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ipn_router::domain::NotificationId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{Acme, Form, Gateway, Home, PARIS, PATIENCE};

/// The sockets that were passed begin at 3, and name the process that they are for.
const PASS_THE_SOCKET: &str = r#"exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;
const UPGRADES: usize = 5;
const CLIENTS: usize = 4;

/// The part of systemd that a unit with a socket and a watchdog sees.
struct Systemd {
    home: Home,
    socket: std::net::TcpListener,
    notices: UnixDatagram,
    service: Option<Child>,
}

impl Systemd {
    fn new(toml: &str) -> Self {
        let home = Home::new();
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        home.configure(socket.local_addr().unwrap(), "outbox.db", toml);
        let notices = UnixDatagram::bind(home.path("notify")).unwrap();
        Self {
            home,
            socket,
            notices,
            service: None,
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Returns once it says that it is ready.
    async fn start(&mut self) {
        let socket = OwnedFd::from(self.socket.try_clone().unwrap());
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.home.path("log"))
            .unwrap();
        let service = Command::new("sh")
            .args([
                "-c",
                PASS_THE_SOCKET,
                env!("CARGO_BIN_EXE_ipn-router"),
                "serve",
                "--config",
            ])
            .arg(self.home.path("ipn-router.toml"))
            .env("NOTIFY_SOCKET", self.home.path("notify"))
            .env("WATCHDOG_USEC", "200000")
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.service = Some(service);
        let ready = self.notice("READY=1").await;
        assert!(
            ready.contains(&format!("listening on http://{}/ipn", self.address())),
            "{ready}"
        );
    }

    async fn stop(&mut self) {
        let mut service = self.service.take().unwrap();
        let id = i32::try_from(service.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        self.notice("STOPPING=1").await;
        let status = timeout(PATIENCE, service.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Waits for a notice of this service that says this, and returns all of it.
    async fn notice(&self, what: &str) -> String {
        let look = async {
            loop {
                let mut text = [0; 4096];
                let length = self.notices.recv(&mut text).await.unwrap();
                let notice = String::from_utf8(text[..length].to_vec()).unwrap();
                if notice.lines().any(|line| line == what) {
                    return notice;
                }
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(notice) => notice,
            Err(_) => panic!("no {what}\n{}", self.log()),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("log")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_refuses_no_connection() {
    let acme = Acme::open();
    let mut systemd = Systemd::new(&acme.toml(""));
    systemd.start().await;
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<Vec<NotificationId>>> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (address, over, acknowledged) = (systemd.address(), Arc::clone(&over), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut n = 0;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    let body = Form::token_created(PARIS, &format!("token-{client}-{n}")).signed();
                    // A connection of its own: that a kept one is closed between two requests, clients have to know.
                    let id = Gateway::new(address).sends(&body).await;
                    acknowledged.lock().unwrap().push(id);
                }
            })
        })
        .collect();
    for _ in 0..UPGRADES {
        let before = acknowledged.lock().unwrap().len();
        systemd.notice("WATCHDOG=1").await;
        systemd.stop().await;
        systemd.start().await;
        crate::support::eventually("more is acknowledged", async || {
            (acknowledged.lock().unwrap().len() > before + CLIENTS).then_some(())
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    systemd.stop().await;
    let acknowledged = i64::try_from(acknowledged.lock().unwrap().len()).unwrap();
    assert_eq!(systemd.home.number("SELECT count(*) FROM notifications"), acknowledged);
}

#[tokio::test]
async fn watchdog_is_fed_as_long_as_the_store_answers() {
    let acme = Acme::open();
    let mut systemd = Systemd::new(&acme.toml(""));
    systemd.start().await;
    for _ in 0..3 {
        systemd.notice("WATCHDOG=1").await;
    }
    systemd.stop().await;
}

#[tokio::test]
async fn socket_elsewhere_than_configured_counts_and_is_told() {
    let acme = Acme::open();
    let mut systemd = Systemd::new(&acme.toml(""));
    systemd
        .home
        .configure(([127, 0, 0, 1], 9).into(), "outbox.db", &acme.toml(""));
    systemd.start().await;
    let body = Form::token_created(PARIS, "token").signed();
    Gateway::new(systemd.address()).sends(&body).await;
    let warning = format!(
        "systemd's socket listens on {}, and counts; `listen` in [receiver] says 127.0.0.1:9",
        systemd.address()
    );
    assert!(systemd.log().contains(&warning), "{}", systemd.log());
    systemd.stop().await;
}
