//! The status page in a real browser: tests/outside/page.py drives headless Chromium.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use ipn_router::domain::{NotificationId, Secret, Section};
use tokio::process::Command;

use crate::listener::Admin;
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

/// The key that the forms of a page carry.
async fn form_key(admin: &Admin, cookie: &str) -> String {
    let page = admin.gets("/", &[cookie]).await;
    let (_, rest) = page.body.split_once("name=\"form_key\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_is_done_without_a_form_of_the_session() {
    let admin = Admin::start().await;
    let cookie = admin.logs_in().await;
    let form = Form::token_created(PARIS, "token-1").signed();
    let id = admin.daemon.gateway().sends(&form).await;
    admin.daemon.delivers_everything().await;
    let wish = format!("act=replay&notification={id}");
    // To look is not to do; and the same as a form of another site, or of nobody.
    let asked = admin.gets(&format!("/act?{wish}"), &[&cookie]).await;
    asked.assert_shows("4 deliveries to make");
    for wish in [wish.clone(), format!("{wish}&form_key=guessed")] {
        assert_eq!(admin.posts("/act", &[&cookie], &wish).await.status, 403);
    }
    let personal = format!("/notifications/{id}/personal");
    let refused = admin.posts(&personal, &[&cookie], "form_key=guessed").await;
    assert_eq!(refused.status, 403);
    assert!(!refused.body.contains("Orléans"), "{}", refused.body);
    admin
        .gets("/operations", &[&cookie])
        .await
        .assert_shows("Nobody has asked for anything yet.");
    assert_eq!(admin.posts("/act", &[], &wish).await.status, 401);

    let key = form_key(&admin, &cookie).await;
    let proxied = [&*cookie, "x-forwarded-for: 192.0.2.1, 203.0.113.9"];
    let done = admin.posts("/act", &proxied, &format!("{wish}&form_key={key}")).await;
    assert_eq!((done.status, done.header("location")), (303, Some("./operations/1")));
    let page = admin.gets("/operations/1", &[&cookie]).await;
    page.assert_shows("4 deliveries made");
    page.assert_shows("the page, from 203.0.113.9 by the proxy at 127.0.0.1");
    admin.daemon.delivers_everything().await;
}

#[tokio::test]
async fn what_was_paused_parked_or_asked_for_wrongly_is_told() {
    let admin = Admin::start().await;
    let cookie = admin.logs_in().await;
    let key = form_key(&admin, &cookie).await;
    let destination = format!("legal_entity=acme&shop={LYON}&mode=TEST&rendition=event");
    let pause = format!("act=pause&{destination}&hours=2&form_key={key}");
    assert_eq!(admin.posts("/act", &[&cookie], &pause).await.status, 303);
    let id = admin
        .daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "0a1b2c3d4e5f6071").signed())
        .await;
    let page = admin.gets(&format!("/notifications/{id}"), &[&cookie]).await;
    page.assert_shows("an operator has paused the shop");
    page.assert_shows("Resume the destination…");
    page.assert_shows("0a1b…6071");
    assert!(!page.body.contains("0a1b2c3d4e5f6071"), "{}", page.body);
    let found = admin.gets("/notifications?find=0a1b2c3d4e5f6071", &[&cookie]).await;
    found.assert_shows(&id.to_string());
    let straight = admin.gets(&format!("/notifications?find={id}"), &[&cookie]).await;
    let place = format!("./notifications/{id}");
    assert_eq!((straight.status, straight.header("location")), (303, Some(&*place)));
    let resume = format!("act=resume&{destination}&form_key={key}");
    assert_eq!(admin.posts("/act", &[&cookie], &resume).await.status, 303);
    admin.daemon.delivers_everything().await;

    for (path, status, says) in [
        ("/act?act=replay", 400, "does not say what is meant"),
        ("/incidents/99", 404, "There is no incident 99."),
        ("/notifications/nonsense", 404, "There is no notification nonsense."),
        ("/operations/99", 404, "There is no operation 99."),
        ("/configurations/99", 404, "is not kept, or never ran"),
        ("/notifications?shop=12", 200, "is no shop"),
        ("/notifications?from=12&kind=%3Cb%3E", 200, "“&#60;b&#62;” is no kind"),
    ] {
        let page = admin.gets(path, &[&cookie]).await;
        assert_eq!(page.status, status, "{path}");
        page.assert_shows(says);
    }
}

#[tokio::test]
async fn runbook_is_shown_with_a_place_for_each_section() {
    let admin = Admin::start().await;
    assert_eq!(admin.gets("/runbook", &[]).await.status, 401);
    let cookie = admin.logs_in().await;
    let page = admin.gets("/runbook", &[&cookie]).await;
    for section in Section::ALL {
        page.assert_shows(&format!("id=\"{section}\""));
        page.assert_shows(section.title());
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
}
