//! The status page in a real browser: tests/outside/page.py drives headless Chromium.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use ipn_router::domain::{NotificationId, Secret, Section};
use tokio::process::Command;

use crate::listener::Admin;
use crate::support::{Acme, Answer, FakeShop, Form, Home, LYON, PARIS, Port, TestDaemon, eventually, form_key};

const TOKEN: &str = "admin-token-of-the-test";

/// A second company, which is switched off: what is for it is parked.
const OTHER_COMPANY: &str = r#"
[legal_entities.forets]
name = "Société d'exploitation forestière des Vosges du Nord et du Piémont"
enabled = false
failure_emails = "oncall@forets.example"
[shops.45678901]
name = "Forêts"
legal_entity = "forets"
[shops.45678901.test]
form_key = { file = "12345678-TEST-form" }
form_url = "https://forets.example/ipn"
"#;

/// A daemon in whose past everything has happened that the page can show.
struct Past {
    daemon: TestDaemon,
    acme: Acme,
    admin: Port,
    toml: String,
    seen: Vec<Seen>,
}

/// What one browser works with.
struct Seen {
    /// Whose delivery to Lyon's service was given up.
    given_up: NotificationId,
    /// It waits for its next attempt at Nice, which is down.
    waiting: NotificationId,
    /// Perhaps no notification.
    doubtful: NotificationId,
}

impl Past {
    async fn for_browsers(count: usize) -> Self {
        let (acme, admin) = (Acme::open(), Port::reserve());
        // One failure is the end of a delivery: nothing has to be waited for. In Nice deliveries wait for hours.
        let company = acme
            .toml("automatic_retry = false")
            .replace("\"ACME Nice\"", "\"Établissements de Nice, promenade des Anglais\"")
            .replace(
                "[shops.34567890.test]",
                "automatic_retry = true\nretry_delays = [\"9h\"]\n[shops.34567890.test]",
            );
        let toml = format!(
            "[admin]\nlisten = \"{}\"\ntoken = {{ file = \"admin-token\" }}\n[mail]\nsmtp = \
             \"smtp://127.0.0.1:1\"\nfrom = \"router@acme.example\"\noperators = \
             \"it@acme.example\"\n{company}{OTHER_COMPANY}",
            admin.address(),
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
        acme.nice.answers(|call| match &*call.path {
            "/production/form" => Answer::Reply {
                status: 503,
                headers: Vec::new(),
                text: "<title>Indisponible</title>Site momentanément fermé",
            },
            _ => Answer::OK,
        });
        let mut gateway = daemon.gateway();
        let mut seen = Vec::new();
        for n in 0..count {
            let token = |letter: &str| format!("0a1b2c3d4e5f60718293a4b5c6d7e{letter}{n}");
            let waiting = Form::token_created(PARIS, &token("cc")).with("vads_ctx_mode", "PRODUCTION");
            seen.push(Seen {
                given_up: gateway.sends(&Form::token_created(PARIS, &token("f8")).signed()).await,
                waiting: gateway.sends(&waiting.signed()).await,
                doubtful: gateway.tries(&doubtful(&token("dd")).signed()).await.unwrap().id(),
            });
        }
        let stranger = Form::token_created("45678901", "0a1b2c3d4e5f60718293a4b5c6d7e8ab");
        let parked = stranger.signed_with(&Secret::new(form_key(PARIS, "TEST")));
        assert_eq!(gateway.tries(&parked).await.unwrap().status, 200);
        let form = Form::token_created(PARIS, "0a1b2c3d4e5f60718293a4b5c6d7e8aa");
        for refused in [
            form.signed_with(&Secret::new("another-key")),
            Form::token_created("99999999", "token").signed_with(&Secret::new("a key")),
            "vads_site_id=12345678&vads_site_id=12345678".to_owned(),
        ] {
            assert!(gateway.tries(&refused).await.unwrap().status >= 400);
        }
        // One is for the company that is switched off.
        let waits = i64::try_from(count).unwrap() + 1;
        eventually("only what waits is left", async || {
            (daemon.home.open_deliveries() == waits).then_some(())
        })
        .await;
        acme.lyon.answers(|_| Answer::OK);
        Self {
            daemon,
            acme,
            admin,
            toml,
            seen,
        }
    }

    /// More than one page of what is over: an hour between one and the next.
    fn grows_old(&self) {
        let store = self.daemon.home.store();
        let many = "WITH RECURSIVE n(i, at) AS (SELECT 1, unixepoch() * 1000 - 7200000
            UNION ALL SELECT i + 1, at - 3600000 FROM n WHERE i < 240)";
        let emails = "INSERT INTO emails(thread, step, address, recipient, message_id, subject, body, created_at, state,
              due, ended_at, detail)
            SELECT 'incident-1', 'old-' || i, 'oncall@acme.example', 'oncall@acme.example', '<' || i || '@acme.example>',
              '[PRODUCTION] ACME SAS, ACME Lyon: event_url fails, ' || i || ' waiting', '', at, 1 + i % 2, at, at + 1000,
              iif(i % 2, '550 5.1.1 no such user', NULL) FROM n";
        let incidents = "INSERT INTO incidents(destination, opened_at, closed_at, version, seen, facts)
            SELECT destination, at, at + 60000, 1, 1, json_set(facts, '$.recovered_at', '2026-11-22T12:00:00Z')
              FROM incidents, n WHERE id = 1";
        for insert in [emails, incidents] {
            assert_eq!(store.execute(&format!("{many} {insert}"), []).unwrap(), 240);
        }
    }

    /// The files say something that needs a restart, then something that is wrong.
    async fn is_reloaded_in_vain(&self) {
        let slow = self
            .toml
            .replace("[mail]", "public_url = \"https://ipn.acme.example/admin\"\n[mail]");
        for (toml, works) in [(&slow, true), (&slow.replace("smtp://", "gopher://"), false)] {
            self.daemon.rewrite(toml);
            let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
            let config = self.daemon.home.path("ipn-router.toml");
            let output = command
                .arg("reload")
                .arg("--config")
                .arg(config)
                .output()
                .await
                .unwrap();
            assert_eq!(output.status.success(), works, "{output:?}");
        }
    }

    /// Lets a browser find what was given up and replay it, and everything else that can be done from the page.
    async fn is_worked_on(&self, seen: &Seen, options: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
        let mut command = Command::new(folder.join(".venv/bin/python"));
        let output = command
            .arg(folder.join("page.py"))
            .args([&format!("http://{}/", self.admin.address()), TOKEN, LYON])
            .args([seen.given_up, seen.waiting, seen.doubtful].map(|id| id.to_string()))
            .args(options)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| panic!("tests/run makes tests/outside/.venv: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.daemon.log());
        let attempts = |shop: &FakeShop, path: &str, id: NotificationId| {
            let calls = shop.calls_to(path);
            let id = id.to_string();
            calls
                .iter()
                .filter(|call| call.header("webhook-id").contains(&id))
                .count()
        };
        let replayed = attempts(&self.acme.lyon, "/test/events", seen.given_up);
        assert_eq!(replayed, 2, "once in vain, and once more");
        assert_eq!(
            attempts(&self.acme.nice, "/production/form", seen.waiting),
            1,
            "cancelled"
        );
        assert_eq!(attempts(&self.acme.nice, "/test/form", seen.doubtful), 1, "released");
    }
}

/// Rightly signed, but not as the gateway documents a notification.
fn doubtful(token: &str) -> Form {
    let marks = [
        "vads_hash",
        "vads_trans_status",
        "vads_trans_uuid",
        "vads_identifier_status",
    ];
    let form = Form::token_created(PARIS, token);
    marks.iter().fold(form, |form, field| form.without(field))
}

#[tokio::test]
async fn everything_that_the_page_offers_is_done_with_script_and_without() {
    let past = Past::for_browsers(2).await;
    past.is_worked_on(&past.seen[0], &["--without-script"]).await;
    past.grows_old();
    past.is_reloaded_in_vain().await;
    let folder = std::env::var("IPN_ROUTER_SCREENSHOTS");
    match &folder {
        Ok(folder) => past.is_worked_on(&past.seen[1], &["--screenshots", folder]).await,
        Err(_) => past.is_worked_on(&past.seen[1], &[]).await,
    }
}

/// The key that the forms of a page carry.
async fn session_key(admin: &Admin, cookie: &str) -> String {
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

    let key = session_key(&admin, &cookie).await;
    let of_nobody = "/notifications/01990a7c-7e5b-7000-8000-0123456789ab/personal";
    let nothing = admin.posts(of_nobody, &[&cookie], &format!("form_key={key}")).await;
    assert_eq!(nothing.status, 404);
    let looked = || {
        let noted = "SELECT count(*) FROM audit WHERE act LIKE '%personal-data-shown%'";
        admin.daemon.home.number(noted)
    };
    assert_eq!(looked(), 0, "nobody has seen anything");
    let shown = admin.posts(&personal, &[&cookie], &format!("form_key={key}")).await;
    assert!(shown.body.contains("Orléans"), "{}", shown.body);
    assert_eq!(looked(), 1);
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
    let key = session_key(&admin, &cookie).await;
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
