//! The admin listener: who may in, what programs get, and the page as a browser without script sees it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Acme, FakeShop, Form, PARIS, Port, TestDaemon, eventually};

pub(crate) const TOKEN: &str = "admin-token-of-the-test";

pub(crate) struct Admin {
    pub(crate) daemon: TestDaemon,
    pub(crate) acme: Acme,
    /// What `[admin]` and everything below it say.
    toml: String,
    port: Port,
}

/// An answer, as it came.
pub(crate) struct Page {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Admin {
    pub(crate) async fn start() -> Self {
        Self::start_at("").await
    }

    /// `more`: other keys of `[admin]`.
    pub(crate) async fn start_at(more: &str) -> Self {
        let (acme, port) = (Acme::open(), Port::reserve());
        let token = "token = { file = \"admin-token\" }";
        let toml = format!(
            "[admin]\nlisten = \"{}\"\n{token}\n{more}\n{}",
            port.address(),
            acme.toml("")
        );
        let home = crate::support::Home::new();
        fs::write(home.path("admin-token"), TOKEN).unwrap();
        let daemon = TestDaemon::start_wrapped(home, "outbox.db", &[], &toml).await;
        Self {
            daemon,
            acme,
            toml,
            port,
        }
    }

    /// Sends a request: its first line, and more lines of its head.
    async fn asks(&self, line: &str, head: &[&str], body: &str) -> Page {
        ask(self.port.address(), line, head, body).await
    }

    pub(crate) async fn gets(&self, path: &str, head: &[&str]) -> Page {
        self.asks(&format!("GET {path}"), head, "").await
    }

    async fn gets_with_token(&self, path: &str) -> Page {
        self.gets(path, &[&bearer(TOKEN)]).await
    }

    async fn reloads(&self, wish: &str) -> serde_json::Value {
        let head = [&*bearer(TOKEN), "content-type: application/json"];
        let page = self.asks("POST /v1/reload", &head, wish).await;
        assert_eq!(page.status, 200, "{}", page.body);
        serde_json::from_str(&page.body).unwrap()
    }

    /// A metric without labels.
    async fn metric(&self, name: &str) -> f64 {
        let text = self.gets_with_token("/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}\n{text}")).parse().unwrap()
    }

    pub(crate) async fn posts(&self, path: &str, head: &[&str], form: &str) -> Page {
        let head = [head, &["content-type: application/x-www-form-urlencoded"]].concat();
        self.asks(&format!("POST {path}"), &head, form).await
    }

    /// The line that shows the cookie.
    pub(crate) async fn logs_in(&self) -> String {
        let page = self.posts("/login", &[], &format!("token={TOKEN}")).await;
        assert_eq!(page.status, 303, "{}", page.body);
        let cookie = page.header("set-cookie").unwrap();
        format!("cookie: {}", cookie.split(';').next().unwrap())
    }
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find_map(|(one, value)| one.eq_ignore_ascii_case(name).then_some(value))
    }

    #[track_caller]
    pub(crate) fn assert_shows(&self, text: &str) {
        assert!(self.body.contains(text), "{text} is not in\n{}", self.body);
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

async fn ask(address: SocketAddr, line: &str, head: &[&str], body: &str) -> Page {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: admin.example\r\nconnection: close\r\ncontent-length: {}\r\n{lines}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Page {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn health_is_for_everybody_and_the_rest_for_the_token() {
    let admin = Admin::start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(admin.gets(path, &[]).await.status, 200, "{path}");
    }
    for (line, wrong) in [
        ("GET /metrics", 401),
        ("POST /v1/reload", 401),
        ("GET /v1/nothing", 404),
    ] {
        for head in [vec![], vec![bearer("admin-token-of-the-tes")], vec![bearer("")]] {
            let head: Vec<_> = head.iter().map(String::as_str).collect();
            let page = admin.asks(line, &head, "{}").await;
            assert_eq!(page.status, wrong, "{line}");
            assert!(!page.body.contains("ipn_router"), "{}", page.body);
        }
    }
    let metrics = admin.gets_with_token("/metrics").await;
    assert_eq!(metrics.status, 200);
    let kind = metrics.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    // A cookie is for the page: nobody's browser can be sent to the API.
    let cookie = admin.logs_in().await;
    assert_eq!(admin.asks("POST /v1/reload", &[&cookie], "{}").await.status, 401);
}

#[tokio::test]
async fn what_is_received_and_delivered_is_counted() {
    let admin = Admin::start().await;
    let form = Form::token_created(PARIS, "token-1").signed();
    admin.daemon.gateway().sends(&form).await;
    admin.daemon.delivers_everything().await;
    let text = admin.gets_with_token("/metrics").await.body;
    for line in [
        "ipn_router_notifications_total{outcome=\"OK-stored\"} 1",
        "ipn_router_acknowledge_seconds_count 1",
        "ipn_router_attempts_total{legal_entity=\"acme\",shop=\"12345678\",mode=\"TEST\",rendition=\"form\",\
         outcome=\"delivered\"} 1",
        "ipn_router_deliveries_total{legal_entity=\"acme\",shop=\"23456789\",mode=\"TEST\",rendition=\"event\",\
         outcome=\"delivered\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn reload_by_the_api_is_applied_or_refused_and_the_metric_and_the_page_say_so() {
    let admin = Admin::start().await;
    let cookie = admin.logs_in().await;
    assert_eq!(admin.metric("ipn_router_config_last_reload_successful").await, 1.0);
    let good_at = admin
        .metric("ipn_router_config_last_reload_success_timestamp_seconds")
        .await;

    let url = admin.acme.paris.url("/test/form");
    admin.daemon.rewrite(&admin.toml.replace(&url, "not <b>a URL"));
    let verdict = admin.reloads("{}").await;
    assert_eq!(verdict["verdict"], "refused");
    assert!(
        verdict["problems"].to_string().contains("`form_url` has a blank in it"),
        "{verdict}"
    );
    assert_eq!(admin.metric("ipn_router_config_last_reload_successful").await, 0.0);
    let still = admin
        .metric("ipn_router_config_last_reload_success_timestamp_seconds")
        .await;
    assert_eq!(still, good_at);
    for path in ["/", "/configuration"] {
        let page = admin.gets(path, &[&cookie]).await;
        page.assert_shows("The last reload changed nothing");
        page.assert_shows("the admin token, from 127.0.0.1");
        page.assert_shows("form_url");
        assert!(!page.body.contains("<b>a"), "{}", page.body);
    }

    let elsewhere = admin
        .toml
        .replace("[admin]", "[admin]\npublic_url = \"https://ipn.acme.example/admin\"");
    let waits = "waits for a restart";
    for (toml, is_told) in [(&elsewhere, true), (&admin.toml, false)] {
        admin.daemon.rewrite(toml);
        let verdict = admin.reloads("{}").await;
        assert_eq!(verdict["verdict"], "applied", "{verdict}");
        for path in ["/", "/configuration"] {
            let page = admin.gets(path, &[&cookie]).await;
            assert_eq!(page.body.contains(waits), is_told, "{}", page.body);
        }
    }
    admin.daemon.rewrite(&admin.toml.replace(&url, "not <b>a URL"));
    assert_eq!(admin.reloads("{}").await["verdict"], "refused");

    let moved = FakeShop::open();
    admin
        .daemon
        .rewrite(&admin.toml.replace(&url, &moved.url("/test/form")));
    let verdict = admin.reloads("{\"dry_run\": true}").await;
    assert_eq!(verdict["verdict"], "would-apply");
    assert_eq!(
        admin.metric("ipn_router_config_last_reload_successful").await,
        0.0,
        "nothing was applied"
    );
    let verdict = admin.reloads("{}").await;
    assert_eq!(verdict["verdict"], "applied", "{verdict}");
    assert_eq!(admin.metric("ipn_router_config_last_reload_successful").await, 1.0);
    let page = admin.gets("/", &[&cookie]).await;
    assert!(!page.body.contains("changed nothing"), "{}", page.body);
    page.assert_shows(verdict["running"].as_str().unwrap());
    admin
        .daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "token").signed())
        .await;
    eventually("it goes to the new place", async || {
        (!moved.calls().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn page_is_for_those_who_have_logged_in_and_not_longer() {
    let admin = Admin::start().await;
    let stranger = admin.gets("/configuration", &[]).await;
    assert_eq!(stranger.status, 401);
    stranger.assert_shows("<label for=\"token\">");
    stranger.assert_shows("name=\"to\" value=\"configuration\"");
    assert!(!stranger.body.contains("ACME"), "{}", stranger.body);
    assert_eq!(stranger.header("cache-control"), Some("no-store"));
    let policy = stranger.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );

    let wrong = admin.posts("/login", &[], "token=guessed&to=%2F%2Fevil.example").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    wrong.assert_shows("This token opens nothing.");
    assert!(!wrong.body.contains("evil"), "{}", wrong.body);

    let right = admin
        .posts("/login", &[], &format!("token=+{TOKEN}%0A&to=configuration"))
        .await;
    assert_eq!((right.status, right.header("location")), (303, Some("./configuration")));
    let cookie = right.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN),
        "{cookie}"
    );
    let cookie = format!("cookie: {}", cookie.split(';').next().unwrap());
    let page = admin.gets("/configuration", &[&cookie]).await;
    assert_eq!(page.status, 200);
    page.assert_shows("ACME Paris");

    assert_eq!(admin.posts("/logout", &[&cookie], "form_key=guessed").await.status, 403);
    assert_eq!(
        admin.gets("/", &[&cookie]).await.status,
        200,
        "another site has logged nobody out"
    );
    let (_, form_key) = page.body.split_once("name=\"form_key\" value=\"").unwrap();
    let form = format!("form_key={}", form_key.split('"').next().unwrap());
    assert_eq!(admin.posts("/logout", &[&cookie], &form).await.status, 303);
    assert_eq!(admin.gets("/", &[&cookie]).await.status, 401);
}

#[tokio::test]
async fn token_that_was_changed_opens_nothing_after_a_reload() {
    let admin = Admin::start().await;
    let cookie = admin.logs_in().await;
    fs::write(admin.daemon.home.path("admin-token"), "another-admin-token").unwrap();
    let verdict = admin.reloads("{}").await;
    assert_eq!(verdict["verdict"], "applied", "{verdict}");
    assert_eq!(admin.gets_with_token("/metrics").await.status, 401);
    assert_eq!(admin.gets("/", &[&cookie]).await.status, 401);
    assert_eq!(
        admin.gets("/metrics", &[&bearer("another-admin-token")]).await.status,
        200
    );
}

#[tokio::test]
async fn wrong_tokens_wait_for_each_other_and_the_right_one_for_none() {
    let admin = Admin::start().await;
    let mut guesses = JoinSet::new();
    for n in 0..40 {
        let address = admin.port.address();
        let wrong = [bearer(&format!("guess-{n}")), "x-forwarded-for: 203.0.113.9".to_owned()];
        guesses.spawn(async move {
            let head: Vec<_> = wrong.iter().map(String::as_str).collect();
            ask(address, "GET /metrics", &head, "").await.status
        });
    }
    assert_eq!(admin.gets_with_token("/metrics").await.status, 200);
    let answers = guesses.join_all().await;
    assert!(answers.contains(&401) && answers.contains(&429), "{answers:?}");
    assert!(answers.iter().all(|status| [401, 429].contains(status)), "{answers:?}");
    let log = admin.daemon.log();
    let told = "refused a wrong admin token from 203.0.113.9 (by a proxy at 127.0.0.1)";
    assert_eq!(
        log.matches(told).count(),
        answers.iter().filter(|status| **status == 401).count(),
        "{log}"
    );
    assert!(!log.contains("guess-"), "{log}");
}

/// Each of them keeps one of the places until its time to read is over.
#[tokio::test]
async fn those_who_do_not_read_their_answers_make_room_for_others() {
    let admin = Admin::start().await;
    let token = bearer(TOKEN);
    let request = format!("GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n{token}\r\n\r\n");
    let mut silent = Vec::new();
    for _ in 0..64 {
        // With a small buffer at this end little is answered before nothing more can be written.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(admin.port.address()).await.unwrap();
        stream.write_all(request.repeat(200).as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let health = timeout(Duration::from_secs(60), admin.gets("/livez", &[])).await;
    assert_eq!(health.unwrap().status, 200);
    drop(silent);
}

#[tokio::test]
async fn form_of_somebody_who_has_to_log_in_first_leads_to_the_first_page() {
    let admin = Admin::start().await;
    for (asks, to) in [
        ("GET /incidents?x=1", "incidents?x=1"),
        ("POST /act", ""),
        ("POST /logout", ""),
    ] {
        let page = admin
            .asks(asks, &["content-type: application/x-www-form-urlencoded"], "")
            .await;
        assert_eq!(page.status, 401, "{asks}");
        page.assert_shows(&format!("name=\"to\" value=\"{to}\""));
    }
}

#[tokio::test]
async fn page_shows_what_runs_and_no_secret() {
    let admin = Admin::start_at("public_url = \"https://ipn.acme.example/admin\"").await;
    let right = admin.posts("/admin/login", &[], &format!("token={TOKEN}")).await;
    let cookie = right.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let cookie = format!("cookie: {}", cookie.split(';').next().unwrap());
    // The proxy passes its path on, or it does not.
    assert_eq!(admin.gets("/admin", &[]).await.header("location"), Some("/admin/"));
    for path in ["/admin/configuration", "/configuration"] {
        let page = admin.gets(path, &[&cookie]).await;
        page.assert_shows("[shops.12345678.test]");
        page.assert_shows("ipn-router.toml");
        page.assert_shows("start");
        for secret in [TOKEN, "form-key-of", "testpassword_", "whsec_"] {
            assert!(!page.body.contains(secret), "{secret}");
        }
    }
    let page = admin.gets("/", &[&cookie]).await;
    page.assert_shows("ACME SAS");
    page.assert_shows("never");
    admin
        .daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "token").signed())
        .await;
    admin.gets("/", &[&cookie]).await.assert_shows("just now");
    let style = page
        .body
        .split("href=\"./style-")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let style = admin.gets(&format!("/style-{style}"), &[]).await;
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
}

#[tokio::test]
async fn shop_in_trouble_is_on_the_page_and_in_the_metrics() {
    let mut admin = Admin::start().await;
    let cookie = admin.logs_in().await;
    let quiet = admin.gets("/", &[&cookie]).await;
    quiet.assert_shows("Nothing waits, and no shop is in trouble");
    admin.acme.lyon.down().await;
    let form = Form::token_created(PARIS, "token-1").signed();
    admin.daemon.gateway().sends(&form).await;
    eventually("it has failed", async || {
        let page = admin.gets("/", &[&cookie]).await;
        let trouble = page.body.contains("in trouble") && page.body.contains(">failing</a>");
        trouble.then_some(())
    })
    .await;
    let text = admin.gets_with_token("/metrics").await.body;
    let lyon = "legal_entity=\"acme\",shop=\"23456789\",mode=\"TEST\",rendition=\"event\"";
    for line in [
        format!("ipn_router_destination_waiting{{{lyon}}} 1"),
        format!("ipn_router_destination_state{{{lyon},state=\"up\"}} 1"),
        format!("ipn_router_attempts_total{{{lyon},outcome=\"unavailable\"}} 1"),
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let silence = "ipn_router_gateway_silence_seconds{legal_entity=\"acme\",mode=\"TEST\"} ";
    assert!(text.lines().any(|one| one.starts_with(silence)), "{text}");
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    let admin = Admin::start().await;
    let form = format!("token={}", "x".repeat(100_000));
    assert_eq!(admin.posts("/login", &[], &form).await.status, 413);
    let long = format!("x-long: {}", "x".repeat(20_000));
    assert_eq!(admin.gets("/livez", &[&long]).await.status, 431);
}

#[tokio::test]
async fn taken_port_is_told_when_the_daemon_starts() {
    let (acme, taken, free) = (Acme::open(), Port::reserve(), Port::reserve());
    let _other = std::net::TcpListener::bind(taken.address()).unwrap();
    let home = crate::support::Home::new();
    let toml = format!("[admin]\nlisten = \"{}\"\n{}", taken.address(), acme.toml(""));
    let file = home.configure(free.address(), "outbox.db", &toml);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
    let output = command.arg("serve").arg("--config").arg(file).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("cannot listen on {}, which [admin] asks for", taken.address());
    assert!(
        said.contains(&expected) && said.contains("Address already in use"),
        "{said}"
    );
}
