use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use ipn_router::admin::{Reload, VerdictKind, Who};
use ipn_router::app::{App, Control};
use ipn_router::config::{self, Loaded};
use ipn_router::domain::{Clock, SystemClock, Verb};
use ipn_router::outbox::VerbResult;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{Gateway, Home, eventually};

/// The router in this process, on a thread and a port of its own. Dropped, it crashes.
pub(crate) struct TestRouter {
    home: Option<Home>,
    address: SocketAddr,
    control: Control,
    /// Asks it to stop.
    stop: Option<oneshot::Sender<()>>,
    /// Dropped, it ends at once.
    life: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestRouter {
    pub(crate) async fn start(toml: &str) -> Self {
        Self::start_at(Home::new(), toml).await
    }

    /// Starts where another one has lived.
    pub(crate) async fn start_at(home: Home, toml: &str) -> Self {
        Self::start_by(Arc::new(SystemClock), home, toml).await
    }

    /// The same, by another clock.
    pub(crate) async fn start_by(clock: Arc<dyn Clock>, home: Home, toml: &str) -> Self {
        let path = home.configure(([127, 0, 0, 1], 0).into(), "outbox.db", toml);
        let loaded = load(&path);
        let (tell_address, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (life, mut death) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(loaded.config.receiver.listen).await.unwrap();
                let app = App::build(path, loaded, &clock).unwrap();
                let started = (listener.local_addr().unwrap(), app.control());
                tell_address
                    .send(started)
                    .unwrap_or_else(|_| panic!("the test has gone"));
                tokio::select! {
                    ended = app.run(listener, async { stopped.await.unwrap() }) => ended.unwrap(),
                    _ = &mut death => {}
                }
            });
        });
        let (address, control) = address.await.unwrap();
        Self {
            home: Some(home),
            address,
            control,
            stop: Some(stop),
            life: Some(life),
            thread: Some(thread),
        }
    }

    /// Does what an operator asks for.
    pub(crate) async fn does(&self, verb: Verb) -> VerbResult {
        self.control.ask_for(verb, "a test").await.unwrap()
    }

    /// Has it read this text instead of its configuration.
    pub(crate) async fn reads(&self, text: &str) -> VerdictKind {
        std::fs::write(self.home().path("ipn-router.toml"), text).unwrap();
        let verdict = self.control.reload(Reload::default(), Who::Signal).await.unwrap();
        verdict.verdict
    }

    /// Lets it go on by another configuration, whatever it does to what waits.
    pub(crate) async fn apply(&self, toml: &str) {
        self.home().configure(([127, 0, 0, 1], 0).into(), "outbox.db", toml);
        let confirm = true;
        let wish = Reload {
            confirm,
            ..Reload::default()
        };
        let verdict = self.control.reload(wish, Who::Signal).await.unwrap();
        assert_eq!(verdict.verdict, VerdictKind::Applied, "{verdict:#?}");
    }

    pub(crate) fn gateway(&self) -> Gateway {
        Gateway::new(self.address)
    }

    pub(crate) fn home(&self) -> &Home {
        self.home.as_ref().unwrap()
    }

    /// Returns once every delivery that was accepted has ended.
    pub(crate) async fn delivers_everything(&self) {
        eventually("everything is delivered", async || {
            (self.home().open_deliveries() == 0).then_some(())
        })
        .await;
    }

    /// Stops it as an admin would.
    pub(crate) async fn stop(mut self) -> Home {
        self.stop.take().unwrap().send(()).unwrap();
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
        self.home.take().unwrap()
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn crash(mut self) -> Home {
        self.end();
        self.home.take().unwrap()
    }

    fn end(&mut self) {
        drop(self.life.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the router has failed");
        }
    }
}

impl Drop for TestRouter {
    fn drop(&mut self) {
        self.end();
    }
}

fn load(path: &Path) -> Loaded {
    config::load(path).unwrap_or_else(|diagnostics| {
        let lines: Vec<_> = diagnostics.iter().map(config::Diagnostic::to_line).collect();
        panic!("{lines:#?}");
    })
}
