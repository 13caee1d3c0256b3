//! A notification through the web servers that stand in front, by the files of deploy/.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use crate::support::{Acme, Form, PARIS, Port, TestDaemon, eventually};

/// The name in the files of deploy/.
const NAME: &str = "ipn.acme.example";

/// Where calls come from; the web server itself calls the daemon from another address.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A web server with its configuration, which ends with the test.
struct Proxy {
    folder: TempDir,
    certificate: CertificateDer<'static>,
    port: Port,
    server: Option<Child>,
}

impl Proxy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        fs::write(folder.path().join("fullchain.pem"), own.cert.pem()).unwrap();
        fs::write(folder.path().join("privkey.pem"), own.signing_key.serialize_pem()).unwrap();
        Self {
            certificate: own.cert.der().clone(),
            folder,
            port: Port::reserve(),
            server: None,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A shipped file, made fit for this machine; each of the places has to be there.
    fn shipped(&self, file: &str, changes: &[(&str, &str)]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
        let mut text = fs::read_to_string(path).unwrap();
        for (place, here) in changes {
            assert!(text.contains(place), "{file} has no `{place}`");
            text = text.replace(place, here);
        }
        text
    }

    /// Runs a command to its end, which has to be good.
    async fn run(&self, program: &Path, arguments: &[&str]) {
        let ran = self.command(program, arguments).output().await.unwrap();
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && !told.contains("[warn]"), "{told}");
    }

    /// Returns once it listens.
    async fn start(&mut self, program: &Path, arguments: &[&str]) {
        let mut server = self.command(program, arguments).spawn().unwrap();
        eventually("the web server listens", async || {
            if let Some(status) = server.try_wait().unwrap() {
                panic!("{status}\n{}", self.log());
            }
            TcpStream::connect(self.port.address()).await.ok()
        })
        .await;
        self.server = Some(server);
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// What is answered to a call by HTTPS; a client writes whatever it likes into the header.
    async fn answers(&self, path: &str, forwarded_for: &str, body: &str) -> String {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((CLIENT, 0).into()).unwrap();
        let stream = socket.connect(self.port.address()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(NAME.try_into().unwrap(), stream).await.unwrap();
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: {forwarded_for}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// A program of Debian's, which tests/run has unpacked.
fn debian(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/outside/.debian")
        .join(program);
    assert!(path.exists(), "{} is missing: tests/run gets it", path.display());
    path
}

/// The daemon, which believes the proxy, and takes calls of one client alone.
async fn daemon(acme: &Acme, admin: &Port) -> TestDaemon {
    let mut daemon = TestDaemon::start(&acme.toml("")).await;
    daemon.terminate().await;
    let file = daemon.home.path("ipn-router.toml");
    let receiver = format!("[receiver]\ntrusted_proxies = [\"127.0.0.1\"]\nallow_from = [\"{CLIENT}/32\"]\n");
    fs::write(daemon.home.path("admin-token"), "token-of-the-test\n").unwrap();
    let admin = format!(
        "[admin]\nlisten = \"{}\"\ntoken = {{ file = \"admin-token\" }}\npublic_url = \"https://{NAME}/admin\"\n",
        admin.address()
    );
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("[receiver]\n", &(admin + &receiver));
    fs::write(&file, text).unwrap();
    daemon.start_again().await;
    daemon
}

/// The page is below /admin/, wherever one comes in, and the form of its log-in leads there too.
async fn passes_the_page_on(proxy: &Proxy) {
    let bare = proxy.answers("/admin", "", "").await;
    assert!(bare.starts_with("HTTP/1.1 302 "), "{bare}");
    let place = bare.lines().find_map(|line| line.split_once("ocation: ")).unwrap().1;
    assert!(place.trim().ends_with("/admin/"), "{place}");
    let page = proxy.answers("/admin/", "", "").await;
    assert!(
        page.contains("<h1>Log in</h1>") && page.contains(r#"action="./login""#),
        "{page}"
    );
    let logged_in = proxy.answers("/admin/login", "", "token=token-of-the-test").await;
    assert!(logged_in.starts_with("HTTP/1.1 303 "), "{logged_in}");
    let elsewhere = proxy.answers("/adminer", "", "").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
}

/// The proxy passes notifications on, byte for byte and with the caller's address (not the one that he invents), and
/// nothing else.
async fn passes_notifications_on(proxy: &Proxy, acme: &Acme) {
    let body = Form::token_created(PARIS, "token").signed();
    let answer = proxy.answers("/ipn", "198.51.100.1", &body).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("OK-stored "),
        "{answer}"
    );
    assert_eq!(acme.paris.gets_one("/test/form").await.body, body.as_bytes());
    let answer = proxy.answers("/", "198.51.100.1", &body).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // The daemon's own words arrive.
    let answer = proxy.answers("/ipn", "198.51.100.1", "vads_site_id=1").await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("KO-malformed"),
        "{answer}"
    );
}

#[tokio::test]
async fn nginx_passes_notifications_on() {
    let acme = Acme::open();
    let admin = Port::reserve();
    let daemon = daemon(&acme, &admin).await;
    let mut proxy = Proxy::new();
    let site = proxy.shipped(
        "nginx.conf",
        &[
            ("listen [::]:443 ssl;", ""),
            ("listen 443 ssl;", &format!("listen {} ssl;", proxy.port.address())),
            ("server 127.0.0.1:8080;", &format!("server {};", daemon.address())),
            ("http://127.0.0.1:8081/", &format!("http://{}/", admin.address())),
            ("/etc/letsencrypt/live/ipn.acme.example", &proxy.path("")),
        ],
    );
    fs::write(proxy.path("site.conf"), site).unwrap();
    let folder = proxy.path("");
    let main = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr info; events {{}}\n\
         http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; \
         uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/site.conf; }}\n"
    );
    fs::write(proxy.path("nginx.conf"), main).unwrap();
    let (nginx, conf) = (debian("usr/sbin/nginx"), proxy.path("nginx.conf"));
    proxy.run(&nginx, &["-t", "-e", "stderr", "-c", &conf]).await;
    proxy.start(&nginx, &["-e", "stderr", "-c", &conf]).await;
    passes_notifications_on(&proxy, &acme).await;
    passes_the_page_on(&proxy).await;
}

#[tokio::test]
async fn caddy_passes_notifications_on() {
    let acme = Acme::open();
    let admin = Port::reserve();
    let daemon = daemon(&acme, &admin).await;
    let mut proxy = Proxy::new();
    let (certificate, key) = (proxy.path("fullchain.pem"), proxy.path("privkey.pem"));
    let site = proxy.shipped(
        "Caddyfile",
        &[
            (
                "ipn.acme.example {",
                &format!(
                    "{{\nadmin off\nauto_https disable_redirects\n}}\n{NAME}:{} {{\ntls {certificate} {key}",
                    proxy.port.address().port()
                ),
            ),
            (
                "reverse_proxy 127.0.0.1:8080",
                &format!("reverse_proxy {}", daemon.address()),
            ),
            (
                "reverse_proxy 127.0.0.1:8081",
                &format!("reverse_proxy {}", admin.address()),
            ),
        ],
    );
    fs::write(proxy.path("Caddyfile"), site).unwrap();
    let (caddy, conf) = (debian("usr/bin/caddy"), proxy.path("Caddyfile"));
    proxy
        .run(&caddy, &["validate", "--adapter", "caddyfile", "--config", &conf])
        .await;
    proxy
        .start(&caddy, &["run", "--adapter", "caddyfile", "--config", &conf])
        .await;
    passes_notifications_on(&proxy, &acme).await;
    passes_the_page_on(&proxy).await;
}
