//! The world around the router: a gateway that signs, a company whose shops are servers that do as they are told, and
//! the router itself, in this process or as a child that can be killed. Each cleans up when it is dropped.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod acme;
mod daemon;
mod gateway;
mod home;
mod mail_server;
mod port;
mod router;
mod shop;
mod smtp;
mod terminal;
mod tls;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use acme::{Acme, EVENT_SECRET, LYON, NICE, OTHER_EVENT_SECRET, PARIS, form_key, rest_password};
pub(crate) use daemon::TestDaemon;
pub(crate) use gateway::{Form, Gateway, rest};
pub(crate) use home::Home;
pub(crate) use mail_server::MailServer;
pub(crate) use port::Port;
pub(crate) use router::TestRouter;
pub(crate) use shop::{Answer, Call, FakeShop};
pub(crate) use smtp::{Act, DrivenServer, Taken};
pub(crate) use terminal::Terminal;
pub(crate) use tls::tls_acceptor;

/// Long enough for a slow machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
