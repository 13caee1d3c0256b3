//! `check --online` as a person runs it, against servers that are well and servers that are not.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::support::{FakeShop, Home, LYON, MailServer, NICE, PARIS, Port, TestRouter, tls_acceptor};

/// An authority that the shops of the configuration name as their `ca`.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, path: &Path) {
        fs::write(path, self.0.pem()).unwrap();
    }
}

/// A TLS server that counts what it is sent after the handshake.
struct TlsServer {
    address: SocketAddr,
    bytes: Arc<AtomicUsize>,
    handshakes: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl TlsServer {
    /// With a certificate that ends in so many days.
    async fn open(authority: &Authority, days: i64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH + unix_time();
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        params.not_before = (now - 100 * day).into();
        let length = day * u32::try_from(days.abs()).unwrap() + day / 2;
        params.not_after = if days < 0 { now - length } else { now + length }.into();
        let certificate = params.signed_by(&key, &authority.0).unwrap();
        let acceptor = tls_acceptor(&certificate, &key);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (bytes, handshakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, shaken) = (Arc::clone(&bytes), Arc::clone(&handshakes));
        let serving = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                // Who does not like our certificate leaves.
                let Ok(mut secured) = acceptor.accept(tcp).await else {
                    continue;
                };
                shaken.fetch_add(1, Ordering::SeqCst);
                let mut text = Vec::new();
                secured.read_to_end(&mut text).await.ok();
                counted.fetch_add(text.len(), Ordering::SeqCst);
            }
        });
        Self {
            address,
            bytes,
            handshakes,
            serving,
        }
    }

    fn url(&self) -> String {
        format!("https://{}/events", self.address)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn unix_time() -> std::time::Duration {
    use ipn_router::domain::{Clock, SystemClock};
    SystemClock.now().as_duration().try_into().unwrap()
}

/// A company of three: the first is notified, and sent what concerns it at `form_url`.
fn company(form_url: &str, events: [&str; 2]) -> String {
    let mut toml = format!(
        "[legal_entities.acme]\nname = \"ACME SAS\"\ntimeouts = {{ connect = \"3s\" }}\n\
         [shops.{PARIS}]\nname = \"ACME Paris\"\nlegal_entity = \"acme\"\nallow_private = true\n\
         [shops.{PARIS}.test]\nform_key = {{ file = \"{PARIS}-TEST-form\" }}\nform_url = \"{form_url}\"\n"
    );
    for (shop, url) in [LYON, NICE].into_iter().zip(events) {
        toml += &format!(
            "[shops.{shop}]\nname = \"ACME {shop}\"\nlegal_entity = \"acme\"\nallow_private = true\nca = \"ca.pem\"\n\
             [shops.{shop}.test]\nevent_url = \"{url}\"\nevent_secret = {{ file = \"TEST-events\" }}\n"
        );
    }
    toml
}

fn home(authority: &Authority, toml: &str) -> Home {
    let home = Home::new();
    authority.write(&home.path("ca.pem"));
    home.configure(([127, 0, 0, 1], 8080).into(), "outbox.db", toml);
    home
}

async fn check(home: &Home, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-router"))
        .args(["check", "--online", "--config"])
        .arg(home.path("ipn-router.toml"))
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn findings(home: &Home) -> (i32, Vec<Value>) {
    let (code, text) = check(home, &["--format", "json"]).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    (
        code,
        json["online"].as_array().unwrap_or_else(|| panic!("{text}")).clone(),
    )
}

fn of<'f>(found: &'f [Value], what: &str) -> &'f Value {
    let finding = found.iter().find(|finding| finding["what"] == what);
    finding.unwrap_or_else(|| panic!("{what} in {found:#?}"))
}

fn is(finding: &Value, verdict: &str, note: &str) {
    assert_eq!(finding["verdict"], verdict, "{finding:#}");
    assert!(finding["notes"].to_string().contains(note), "{note} in {finding:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_reached_is_looked_at_and_nothing_is_sent() {
    let authority = Authority::new("ACME");
    let (paris, lyon, nice) = (
        FakeShop::open(),
        TlsServer::open(&authority, 54).await,
        TlsServer::open(&authority, 9).await,
    );
    let home = home(&authority, &company(&paris.url("/ipn"), [&lyon.url(), &nice.url()]));
    let (code, found) = findings(&home).await;
    assert_eq!((code, found.len()), (0, 4), "{found:#?}");
    let plain = of(&found, "12345678 test form_url");
    is(plain, "ok", "");
    assert_eq!(plain["tls"], "");
    let secured = of(&found, "23456789 test event_url");
    is(secured, "ok", "");
    assert_eq!(
        (&secured["tls"], &secured["certificate_days"]),
        (&"1.3".into(), &54.into())
    );
    assert_eq!(secured["where"], lyon.address.to_string());
    is(
        of(&found, "34567890 test event_url"),
        "warning",
        "the certificate ends in 9 days",
    );
    is(of(&found, "store"), "ok", "not there yet");
    assert_eq!(check(&home, &["--deny-warnings"]).await.0, 1);
    for server in [&lyon, &nice] {
        assert_eq!(server.handshakes.load(Ordering::SeqCst), 2);
        assert_eq!(server.bytes.load(Ordering::SeqCst), 0);
    }
    assert_eq!(paris.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_says_why_and_fails() {
    let authority = Authority::new("ACME");
    let stranger = Authority::new("a stranger");
    let (expired, unknown) = (
        TlsServer::open(&authority, -3).await,
        TlsServer::open(&stranger, 54).await,
    );
    let nobody = Port::reserve();
    let refused = format!("http://{}/ipn", nobody.address());
    let home = home(&authority, &company(&refused, [&expired.url(), &unknown.url()]));
    let (code, found) = findings(&home).await;
    assert_eq!(code, 1);
    is(of(&found, "12345678 test form_url"), "fails", "refused");
    is(of(&found, "23456789 test event_url"), "fails", "expired");
    is(of(&found, "34567890 test event_url"), "fails", "UnknownIssuer");
    is(
        of(&found, "34567890 test event_url"),
        "fails",
        "name it with `ca` in [shops.34567890]",
    );
    let (code, text) = check(&home, &[]).await;
    assert_eq!(code, 1);
    assert!(text.contains("\nFAILS 23456789 test event_url"), "{text}");
    assert!(
        text.contains("4 things looked at, 3 failures, 0 warnings; nothing was sent"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_speaks_no_tls_is_told_in_words() {
    let authority = Authority::new("ACME");
    let (paris, lyon) = (FakeShop::open(), FakeShop::open());
    let without_tls = lyon.url("/events").replace("http://", "https://");
    let home = home(
        &authority,
        &company(&paris.url("/ipn"), [&without_tls, "https://no-one.invalid/events"]),
    );
    let (_, found) = findings(&home).await;
    is(
        of(&found, "23456789 test event_url"),
        "fails",
        "answers, but not by TLS",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_fails() {
    let authority = Authority::new("ACME");
    let paris = FakeShop::open();
    let events = ["https://nobody.invalid/events", "https://no-one.invalid/events"];
    let home = home(&authority, &company(&paris.url("/ipn"), events));
    let (code, found) = findings(&home).await;
    assert_eq!(code, 1);
    let finding = of(&found, "23456789 test event_url");
    is(finding, "fails", "");
    assert_eq!(finding["where"], "nobody.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_server_is_logged_in_to_and_sent_nothing() {
    let authority = Authority::new("ACME");
    let server = MailServer::start(&[]).await;
    let (paris, lyon) = (FakeShop::open(), TlsServer::open(&authority, 54).await);
    let shops = company(&paris.url("/ipn"), [&lyon.url(), &lyon.url()]);
    let mail = |host: &str| {
        format!(
            "[mail]\nsmtp = \"smtp://{host}:{}\"\nusername = \"ipn-router\"\npassword = {{ file = \"smtp\" }}\n\
             from = \"ipn@router.example\"\nca = \"mail.pem\"\n{shops}",
            server.port
        )
    };
    let home = home(&authority, &mail("localhost"));
    fs::copy(server.folder.path().join("certificate.pem"), home.path("mail.pem")).unwrap();
    fs::write(home.path("smtp"), "s3cret").unwrap();
    let (code, found) = findings(&home).await;
    let finding = of(&found, "mail server");
    is(finding, "ok", "the login is right");
    assert_eq!((code, &finding["tls"]), (0, &"yes".into()), "{finding:#}");
    assert!(finding["certificate_until"].is_string());

    fs::write(home.path("smtp"), "another").unwrap();
    let (code, found) = findings(&home).await;
    assert_eq!(code, 1);
    is(of(&found, "mail server"), "fails", "535");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_a_daemon_uses_is_well() {
    let authority = Authority::new("ACME");
    let (paris, lyon) = (FakeShop::open(), TlsServer::open(&authority, 54).await);
    let home = Home::new();
    authority.write(&home.path("ca.pem"));
    let router = TestRouter::start_at(home, &company(&paris.url("/ipn"), [&lyon.url(), &lyon.url()])).await;
    let (code, found) = findings(router.home()).await;
    assert_eq!(code, 0);
    is(of(&found, "store"), "ok", "in use by a running daemon");
    let home = router.stop().await;
    let (_, found) = findings(&home).await;
    is(of(&found, "store"), "ok", "can be opened");
    fs::write(home.path("outbox.db"), "not a store").unwrap();
    let (code, found) = findings(&home).await;
    assert_eq!(code, 1);
    is(of(&found, "store"), "fails", "no SQLite file");
}

#[tokio::test]
async fn errors_of_the_file_come_first() {
    let home = home(&Authority::new("ACME"), "[shops.1]\n");
    let (code, text) = check(&home, &[]).await;
    assert_eq!(code, 78);
    assert!(!text.contains("nothing was sent"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_not_tried_and_is_named() {
    let authority = Authority::new("ACME");
    let (paris, lyon) = (FakeShop::open(), TlsServer::open(&authority, 54).await);
    let off = format!("[shops.{LYON}]");
    let toml =
        company(&paris.url("/ipn"), [&lyon.url(), &lyon.url()]).replace(&off, &format!("{off}\nenabled = false"));
    let (code, text) = check(&home(&authority, &toml), &[]).await;
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("off   23456789 test event_url") && text.contains("not tried: [shops.23456789] has"),
        "{text}"
    );
    assert!(
        text.contains("3 things looked at, 1 switched off, 0 failures"),
        "{text}"
    );
    assert_eq!(lyon.handshakes.load(Ordering::SeqCst), 1, "Nice's, at the same place");
}

/// `ipn-router explain … | head -1`: head has seen enough, and that is no failure worth a word.
#[tokio::test]
async fn who_stops_reading_ends_a_command_without_a_word() {
    let home = home(
        &Authority::new("ACME"),
        &company("http://127.0.0.1:1/", ["https://127.0.0.1:1/", "https://127.0.0.1:1/"]),
    );
    for words in [
        &["check"][..],
        &["check", "--format", "json"],
        &["explain", "--kind", "token.created", "--shop", PARIS, "--mode", "test"],
        &["schema"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
        command.args(words).arg("--config").arg(home.path("ipn-router.toml"));
        let output = command.stdout(writer).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "", "{words:?}");
        assert!(
            matches!(output.status.code(), Some(0 | 141)),
            "{words:?}: {}",
            output.status
        );
    }
}
