//! The status page in a real browser: tests/outside/page.py drives headless Chromium.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use ipn_router::domain::{NotificationId, Secret};
use tokio::process::Command;

use crate::support::{Acme, Answer, Form, Home, LYON, PARIS, Port, TestDaemon};

const TOKEN: &str = "admin-token-of-the-test";

/// A daemon in whose past everything has happened that the page can show.
struct Past {
    daemon: TestDaemon,
    acme: Acme,
    admin: Port,
    /// Whose delivery to Lyon's service was given up.
    given_up: Vec<NotificationId>,
}

impl Past {
    async fn with_given_up(count: usize) -> Self {
        let (acme, admin) = (Acme::open(), Port::reserve());
        // One failure is the end of a delivery: nothing has to be waited for.
        let toml = format!(
            "[admin]\nlisten = \"{}\"\ntoken = {{ file = \"admin-token\" }}\n{}",
            admin.address(),
            acme.toml("automatic_retry = false")
        );
        let home = Home::new();
        fs::write(home.path("admin-token"), TOKEN).unwrap();
        let daemon = TestDaemon::start_wrapped(home, "outbox.db", &[], &toml).await;
        acme.lyon.answers(|call| match &*call.path {
            "/test/events" => Answer::Reply {
                status: 500,
                headers: Vec::new(),
                text: "<h1>Maintenance</h1> back at 7",
            },
            _ => Answer::OK,
        });
        let mut gateway = daemon.gateway();
        let mut given_up = Vec::new();
        for n in 0..count {
            let form = Form::token_created(PARIS, &format!("0a1b2c3d4e5f60718293a4b5c6d7e8f{n}"));
            given_up.push(gateway.sends(&form.signed()).await);
        }
        let form = Form::token_created(PARIS, "0a1b2c3d4e5f60718293a4b5c6d7e8aa");
        let refused = gateway.tries(&form.signed_with(&Secret::new("another-key"))).await;
        assert_eq!(refused.unwrap().status, 403);
        daemon.delivers_everything().await;
        acme.lyon.answers(|_| Answer::OK);
        Self {
            daemon,
            acme,
            admin,
            given_up,
        }
    }

    /// Lets a browser find this notification and replay it.
    async fn is_replayed(&self, notification: NotificationId, options: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
        let mut command = Command::new(folder.join(".venv/bin/python"));
        let output = command
            .arg(folder.join("page.py"))
            .args([&format!("http://{}/", self.admin.address()), TOKEN])
            .args([&notification.to_string(), LYON])
            .args(options)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| panic!("tests/run makes tests/outside/.venv: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.daemon.log());
        let id = notification.to_string();
        let calls = self.acme.lyon.calls_to("/test/events");
        let of_it = calls
            .iter()
            .filter(|call| call.header("webhook-id").contains(&id))
            .count();
        assert_eq!(of_it, 2, "once in vain, and once more: {calls:?}");
    }
}

#[tokio::test]
async fn failed_delivery_is_found_and_replayed_with_script_and_without() {
    let past = Past::with_given_up(2).await;
    past.is_replayed(past.given_up[0], &["--without-script"]).await;
    let folder = std::env::var("IPN_ROUTER_SCREENSHOTS");
    match &folder {
        Ok(folder) => past.is_replayed(past.given_up[1], &["--screenshots", folder]).await,
        Err(_) => past.is_replayed(past.given_up[1], &[]).await,
    }
}
