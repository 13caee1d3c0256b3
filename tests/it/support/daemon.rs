use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Gateway, Home, PATIENCE, Port, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ipn-router");

/// The program itself, as a child that can be killed and started again, on the same port and store.
pub(crate) struct TestDaemon {
    pub(crate) home: Home,
    port: Port,
    /// A command that runs the program: its words come before the program's.
    wrapper: Vec<String>,
    child: Option<Child>,
}

impl TestDaemon {
    pub(crate) async fn start(toml: &str) -> Self {
        Self::start_wrapped(Home::new(), "outbox.db", &[], toml).await
    }

    /// Starts it by a command such as `nice -n 5`, with its store somewhere else in its home.
    pub(crate) async fn start_wrapped(home: Home, store: &str, wrapper: &[&str], toml: &str) -> Self {
        let port = Port::reserve();
        home.configure(port.address(), store, toml);
        let wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        let mut daemon = Self {
            home,
            port,
            wrapper,
            child: None,
        };
        daemon.start_again().await;
        daemon
    }

    /// Starts it with its configuration behind a link to a folder.
    pub(crate) async fn start_behind_links(toml: &str) -> Self {
        let home = Home::new();
        let port = Port::reserve();
        let file = home.configure(port.address(), "outbox.db", toml);
        fs::create_dir(home.path("..1")).unwrap();
        fs::rename(&file, home.path("..1").join("ipn-router.toml")).unwrap();
        symlink("..1", home.path("..data")).unwrap();
        symlink("..data/ipn-router.toml", &file).unwrap();
        let mut daemon = Self {
            home,
            port,
            wrapper: Vec::new(),
            child: None,
        };
        daemon.start_again().await;
        daemon
    }

    /// Writes another configuration; nobody reads it yet.
    pub(crate) fn rewrite(&self, toml: &str) {
        self.home.configure(self.port.address(), "outbox.db", toml);
    }

    /// From the next start on it runs as it is.
    pub(crate) fn without_wrapper(&mut self) {
        self.wrapper.clear();
    }

    /// Returns once it listens.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.home.path("log"))
            .unwrap();
        let words = self
            .wrapper
            .iter()
            .map(String::as_str)
            .chain([PROGRAM])
            .collect::<Vec<_>>();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg("serve")
            .arg("--config")
            .arg(self.home.path("ipn-router.toml"))
            .env("IPN_ROUTER_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the daemon listens", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}\n{}", self.log());
            }
            TcpStream::connect(self.port.address()).await.ok()
        })
        .await;
        self.child = Some(child);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn gateway(&self) -> Gateway {
        Gateway::new(self.port.address())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id().unwrap()
    }

    /// Returns once every delivery that was accepted has ended, however many there are.
    pub(crate) async fn delivers_everything(&self) {
        let mut left = self.home.open_deliveries();
        while left > 0 {
            let fewer = async || Some(self.home.open_deliveries()).filter(|now| *now < left);
            match timeout(PATIENCE / 2, eventually("fewer", fewer)).await {
                Ok(now) => left = now,
                // Its log tells more than that it was in vain.
                Err(_) => panic!("{left} deliveries wait\n{}", self.log()),
            }
        }
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let status = self.ends().await;
        assert_eq!(status.code(), None, "{status}\n{}", self.log());
    }

    /// As systemd stops it.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ends().await;
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        timeout(PATIENCE, child.wait()).await.expect("the daemon ends").unwrap()
    }

    /// What it has logged, over all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.process()).unwrap();
        kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
    }
}
