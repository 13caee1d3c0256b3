//! Real sockets on loopback, and shops that behave as shops do.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::deliver::{ProbeError, probe, testing};
use crate::domain::{Format, Rendition, SystemClock};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A shop that does with its n-th connection what the test says.
struct Shop {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Shop {
    async fn open<F>(tls: Option<ServerConfig>, behave: impl Fn(usize, Box<dyn Stream>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let n = counter.fetch_add(1, Ordering::SeqCst);
                let stream: Box<dyn Stream> = match &tls {
                    None => Box::new(tcp),
                    Some(acceptor) => match acceptor.accept(tcp).await {
                        Ok(secured) => Box::new(secured),
                        Err(_) => continue,
                    },
                };
                tokio::spawn(behave(n, stream));
            }
        });
        Self { port, connections }
    }

    /// Gives each request the next of these answers, over connections that stay open.
    async fn answering(answers: &[&str]) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let answers: Arc<[String]> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        Self::open(None, move |_, mut stream| {
            let (given, answers) = (Arc::clone(&given), Arc::clone(&answers));
            async move {
                while request(&mut stream).await.is_some() {
                    let answer = &answers[given.fetch_add(1, Ordering::SeqCst) % answers.len()];
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ipn?x=1", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The next request, head and body; `None` at the end.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = String::new();
    loop {
        text.push(char::from(stream.read_u8().await.ok()?));
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() == length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";

fn settings(url: &str) -> Settings {
    let mut settings = testing::settings(Rendition::AsReceived(Format::Form), url);
    settings.allow_private = true;
    settings.timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(5),
        whole: Duration::from_secs(5),
    };
    settings
}

fn connection(settings: &Settings) -> Connection {
    Connection::new(Arc::new(Client::new(settings, Arc::new(SystemClock)).unwrap()))
}

fn rendered(settings: &Settings) -> Rendered {
    Rendered {
        headers: HeaderMap::from_iter([(HOST, host_header(&settings.url).unwrap())]),
        body: Bytes::from_static(b"vads_a=1"),
    }
}

/// One attempt over a connection of its own.
async fn attempt(settings: &Settings) -> Outcome {
    connection(settings).attempt(rendered(settings)).await
}

fn cause(outcome: &Outcome) -> Cause {
    outcome.cause().unwrap_or_else(|| panic!("{outcome:?}"))
}

#[tokio::test]
async fn a_notification_is_posted_as_rendered() {
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let shop = Shop::open(None, move |_, mut stream| {
        let seen = seen.clone();
        async move {
            while let Some(request) = request(&mut stream).await {
                seen.send(request).unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let outcome = attempt(&settings(&shop.url())).await;
    assert!(
        matches!(&outcome, Outcome::Delivered { answer, ko: None } if answer.excerpt == b"OK"),
        "{outcome:?}"
    );
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /ipn?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains(&format!("host: 127.0.0.1:{}\r\n", shop.port)),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\nvads_a=1"), "{request}");
}

#[tokio::test]
async fn a_connection_is_kept_between_attempts() {
    let shop = Shop::answering(&[
        OK,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ])
    .await;
    let settings = settings(&shop.url());
    let mut connection = connection(&settings);
    for n in 0..12 {
        let outcome = connection.attempt(rendered(&settings)).await;
        assert_eq!(outcome.is_delivered(), n % 4 != 2, "{n}: {outcome:?}");
    }
    assert_eq!(shop.connections(), 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_attempt() {
    for answer in [
        OK, // closed without a word
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nOK",
        "HTTP/1.0 200 OK\r\n\r\nOK", // ends with the connection
    ] {
        let shop = Shop::open(None, move |_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let settings = settings(&shop.url());
        let mut connection = connection(&settings);
        for n in 1..=3 {
            let outcome = connection.attempt(rendered(&settings)).await;
            assert!(outcome.is_delivered(), "{answer}: {outcome:?}");
            assert_eq!(shop.connections(), n, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_ends_at_the_request_is_replaced_once() {
    let shop = Shop::open(None, |n, mut stream| async move {
        if n == 0 {
            request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
        // The first connection ends at its second request, all others at their first.
        request(&mut stream).await;
    })
    .await;
    let settings = settings(&shop.url());
    let mut connection = connection(&settings);
    assert!(connection.attempt(rendered(&settings)).await.is_delivered());
    let outcome = connection.attempt(rendered(&settings)).await;
    assert!(
        matches!(
            outcome,
            Outcome::Unavailable {
                cause: Cause::Connect,
                answer: None,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(shop.connections(), 2);
}

#[tokio::test]
async fn an_attempt_dropped_half_way_leaves_nothing_behind() {
    let shop = Shop::open(None, |n, mut stream| async move {
        if n > 0 {
            request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
        std::future::pending().await
    })
    .await;
    let settings = settings(&shop.url());
    let mut connection = connection(&settings);
    let half_way = connection.attempt(rendered(&settings));
    assert!(tokio::time::timeout(Duration::from_millis(50), half_way).await.is_err());
    assert!(connection.attempt(rendered(&settings)).await.is_delivered());
}

#[tokio::test]
async fn a_shop_that_hangs_costs_the_time_out() {
    let shop = Shop::open(None, |_, stream| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let mut settings = settings(&shop.url());
    settings.timeouts.first_byte = Duration::from_millis(50);
    let outcome = attempt(&settings).await;
    assert!(
        matches!(
            outcome,
            Outcome::Unavailable {
                cause: Cause::TimedOut,
                answer: None,
                ..
            }
        ),
        "{outcome:?}"
    );

    settings.timeouts.connect = Duration::from_millis(50);
    settings.url.set_scheme("https").unwrap();
    assert_eq!(cause(&attempt(&settings).await), Cause::TimedOut);
}

#[tokio::test]
async fn an_answer_that_does_not_end_counts_as_far_as_the_gateway_would_read_it() {
    let shop = |sent: usize| {
        Shop::open(None, move |_, mut stream| async move {
            request(&mut stream).await;
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{}", "x".repeat(sent));
            stream.write_all(text.as_bytes()).await.unwrap();
            std::future::pending().await
        })
    };
    for (sent, expected) in [(511, Some(Cause::TimedOut)), (512, None)] {
        let shop = shop(sent).await;
        let mut settings = settings(&shop.url());
        settings.timeouts.whole = Duration::from_millis(80);
        let outcome = attempt(&settings).await;
        assert_eq!(outcome.cause(), expected, "{outcome:?}");
        assert_eq!(outcome.answer().unwrap().excerpt.len(), sent);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_none() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nOK", Cause::Connect),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nOK\r\n",
            Cause::Connect,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-le", Cause::Connect),
        ("", Cause::Connect),
        // What failed anyway fails by its status.
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 9999\r\n\r\nOops",
            Cause::Status(500),
        ),
    ] {
        let shop = Shop::open(None, move |_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let outcome = attempt(&settings(&shop.url())).await;
        assert!(
            matches!(outcome, Outcome::Unavailable { cause, .. } if cause == expected),
            "{answer}: {outcome:?}"
        );
    }
}

/// Writes as long as anybody reads.
async fn forever(mut stream: Box<dyn Stream>, head: &str, piece: &str) {
    request(&mut stream).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    while stream.write_all(piece.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn a_shop_that_talks_endlessly_is_cut_short() {
    let shop = Shop::open(None, |_, stream| {
        forever(stream, "HTTP/1.1 200 OK\r\n\r\nOK-", "0123456789")
    })
    .await;
    let outcome = attempt(&settings(&shop.url())).await;
    assert!(outcome.is_delivered(), "{outcome:?}");
    assert_eq!(outcome.answer().unwrap().excerpt.len(), EXCERPT);

    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "bbbbbbbb"),
    ] {
        let shop = Shop::open(None, move |_, stream| forever(stream, head, piece)).await;
        let outcome = attempt(&settings(&shop.url())).await;
        assert!(
            matches!(
                outcome,
                Outcome::Rejected {
                    cause: Cause::Protocol,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_http_is_rejected() {
    let shop = Shop::answering(&["220 mail.example.com ESMTP\r\n"]).await;
    let outcome = attempt(&settings(&shop.url())).await;
    assert!(
        matches!(
            outcome,
            Outcome::Rejected {
                cause: Cause::Protocol,
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = attempt(&settings(&format!("http://127.0.0.1:{port}/"))).await;
    assert!(
        matches!(
            refused,
            Outcome::Unavailable {
                cause: Cause::Connect,
                ..
            }
        ),
        "{refused:?}"
    );
    let unknown = attempt(&settings("http://shop.invalid/")).await;
    assert!(
        matches!(unknown, Outcome::Unavailable { cause: Cause::Dns, .. }),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn private_addresses_are_not_called_unless_allowed() {
    let shop = Shop::answering(&[OK]).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "2130706433",
    ] {
        let mut settings = settings(&format!("http://{host}:{}/", shop.port));
        settings.allow_private = false;
        let outcome = attempt(&settings).await;
        assert!(
            matches!(
                outcome,
                Outcome::Unavailable {
                    cause: Cause::Blocked,
                    ..
                }
            ),
            "{host}: {outcome:?}"
        );
    }
    assert_eq!(shop.connections(), 0);
    assert!(
        attempt(&settings(&format!("http://localhost:{}/", shop.port)))
            .await
            .is_delivered()
    );
}

#[tokio::test]
async fn redirects_within_the_host_are_posted_again_three_times_at_most() {
    let moved = "HTTP/1.1 307 Moved\r\nlocation: /new?y=2\r\ncontent-length: 0\r\n\r\n";
    let shop = Shop::answering(&[
        "HTTP/1.1 301 Moved\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n",
        moved,
        moved,
        OK,
    ])
    .await;
    assert!(attempt(&settings(&shop.url())).await.is_delivered());
    assert_eq!(shop.connections(), 1);

    let shop = Shop::answering(&[moved]).await;
    let outcome = attempt(&settings(&shop.url())).await;
    assert!(
        matches!(
            outcome,
            Outcome::Rejected {
                cause: Cause::Redirect,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(outcome.answer().unwrap().status, 307);
}

#[test]
fn where_a_redirect_may_lead() {
    let next = |from: &str, status: u16, to: &str| {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        redirect(&from.parse().unwrap(), StatusCode::from_u16(status).unwrap(), &headers)
            .map(|followed| followed.map(|place| place.url.to_string()))
    };
    for status in [301, 302, 307, 308] {
        let to = |from, to| next(from, status, to).unwrap().ok();
        assert_eq!(
            to("https://a.example/x?y", "/z").as_deref(),
            Some("https://a.example/z")
        );
        assert_eq!(
            to("https://a.example/x", "https://A.example/z").as_deref(),
            Some("https://a.example/z")
        );
        assert_eq!(
            to("http://a.example/x", "https://a.example/x").as_deref(),
            Some("https://a.example/x")
        );
        assert_eq!(
            to("https://a.example/x", "//a.example/z").as_deref(),
            Some("https://a.example/z")
        );
        for (from, elsewhere) in [
            ("https://a.example/x", "http://a.example/x"),
            ("https://a.example/x", "https://www.a.example/x"),
            ("https://a.example/x", "https://a.example.evil.example/x"),
            ("https://a.example/x", "https://a.example@evil.example/x"),
            ("https://a.example/x", "//evil.example/x"),
            ("http://a.example/x", "http://127.0.0.1/x"),
            ("http://a.example/x", "file:///etc/passwd"),
            ("http://a.example/x", "ftp://a.example/x"),
            ("http://a.example/x", "http://"),
        ] {
            assert_eq!(to(from, elsewhere), None, "{elsewhere}");
        }
        let nowhere = redirect(
            &"https://a.example/x".parse().unwrap(),
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
        );
        assert!(matches!(nowhere, Some(Err(_))));
    }
    for status in [200, 201, 300, 303, 304, 305, 500] {
        assert!(next("https://a.example/x", status, "/z").is_none(), "{status}");
    }
}

#[tokio::test]
async fn other_redirects_are_judged_not_followed() {
    let see_other =
        Shop::answering(&["HTTP/1.1 303 See Other\r\nlocation: /thanks\r\ncontent-length: 0\r\n\r\n"]).await;
    assert!(attempt(&settings(&see_other.url())).await.is_delivered());
    for answer in [
        "HTTP/1.1 302 Found\r\nlocation: http://shop.invalid/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        let shop = Shop::open(None, move |_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let outcome = attempt(&settings(&shop.url())).await;
        assert!(
            matches!(
                outcome,
                Outcome::Rejected {
                    cause: Cause::Redirect,
                    ..
                }
            ),
            "{outcome:?}"
        );
        assert_eq!(shop.connections(), 1);
    }
}

/// An authority, a certificate for 127.0.0.1 and one for a client, in files.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn issue() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: String| std::fs::write(folder.path().join(name), pem).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        write("ca.pem", authority.pem());
        for (name, subject) in [
            ("shop", "127.0.0.1"),
            ("other", "other.example"),
            ("client", "router.example"),
        ] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([subject.to_owned()]).unwrap();
            write(
                &format!("{name}.pem"),
                params.signed_by(&key, &authority).unwrap().pem(),
            );
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self, name: &str, asks_client: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_client {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
        builder.with_single_cert(chain, key).unwrap()
    }
}

async fn secured_shop(config: ServerConfig) -> Shop {
    Shop::open(Some(config), |_, mut stream| async move {
        while request(&mut stream).await.is_some() {
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_shop_proves_itself_by_the_given_authority() {
    let certificates = Certificates::issue();
    let shop = secured_shop(certificates.server("shop", false)).await;
    let mut settings = settings(&format!("https://127.0.0.1:{}/ipn", shop.port));
    let unknown = attempt(&settings).await;
    assert!(
        matches!(unknown, Outcome::Unavailable { cause: Cause::Tls, .. }),
        "{unknown:?}"
    );

    settings.ca = Some(certificates.file("ca.pem"));
    let mut connection = connection(&settings);
    for _ in 0..3 {
        let outcome = connection.attempt(rendered(&settings)).await;
        assert!(outcome.is_delivered(), "{outcome:?}");
    }
    assert_eq!(shop.connections(), 2);
    let (host, until) = connection.take_certificate().unwrap();
    assert!(host == "127.0.0.1" && until > SystemClock.now(), "{host} {until}");
    assert_eq!(connection.take_certificate(), None, "told once");

    let stranger = secured_shop(certificates.server("other", false)).await;
    settings.url.set_port(Some(stranger.port)).unwrap();
    assert_eq!(cause(&attempt(&settings).await), Cause::Tls);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_shop_that_asks() {
    let certificates = Certificates::issue();
    let shop = secured_shop(certificates.server("shop", true)).await;
    let mut settings = settings(&format!("https://127.0.0.1:{}/ipn", shop.port));
    settings.ca = Some(certificates.file("ca.pem"));
    assert_eq!(cause(&attempt(&settings).await), Cause::Tls);
    settings.client_certificate = Some((certificates.file("client.pem"), certificates.file("client.key")));
    let outcome = attempt(&settings).await;
    assert!(outcome.is_delivered(), "{outcome:?}");
}

#[tokio::test]
async fn http_is_followed_to_https_of_the_host() {
    let certificates = Certificates::issue();
    let secured = secured_shop(certificates.server("shop", false)).await;
    let to = format!(
        "HTTP/1.1 308 Moved\r\nlocation: https://127.0.0.1:{}/ipn\r\ncontent-length: 0\r\n\r\n",
        secured.port
    );
    let shop = Shop::answering(&[&to]).await;
    let mut settings = settings(&shop.url());
    settings.ca = Some(certificates.file("ca.pem"));
    let mut connection = connection(&settings);
    for n in 1..=2 {
        let outcome = connection.attempt(rendered(&settings)).await;
        assert!(outcome.is_delivered(), "{outcome:?}");
        assert_eq!((shop.connections(), secured.connections()), (n, n));
    }
}

#[test]
fn tls_files_that_cannot_be_used_are_told_at_load() {
    let certificates = Certificates::issue();
    std::fs::write(certificates.file("empty.pem"), "").unwrap();
    let setup = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings("https://shop.example/");
        change(&mut settings);
        Client::new(&settings, Arc::new(SystemClock)).map(drop)
    };
    let file = |name| certificates.file(name);
    assert!(setup(&|s| s.ca = Some(file("ca.pem"))).is_ok());
    for name in ["missing.pem", "empty.pem", "shop.key"] {
        let refused = setup(&|s| s.ca = Some(file(name)));
        assert!(matches!(refused, Err(SetupError::Tls(_))), "{name}");
    }
    let mixed_up = setup(&|s| s.client_certificate = Some((file("client.pem"), file("shop.key"))));
    assert!(matches!(mixed_up, Err(SetupError::Tls(tls::TlsError::Refused { .. }))));
    assert!(matches!(
        setup(&|s| s.url = "mailto:a@b".parse().unwrap()),
        Err(SetupError::BadUrl)
    ));
}

/// What [`probe`] cannot get through fails as an attempt would.
#[tokio::test]
async fn a_probe_goes_as_far_as_an_attempt_before_its_request() {
    let certificates = Certificates::issue();
    let shop = secured_shop(certificates.server("shop", true)).await;
    let mut settings = settings(&format!("https://127.0.0.1:{}/ipn", shop.port));
    settings.ca = Some(certificates.file("ca.pem"));
    let failure = async |settings: &Settings| match probe(settings).await {
        Err(ProbeError::Failed { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(&settings).await, Cause::Tls, "it wants a certificate of ours");
    settings.client_certificate = Some((certificates.file("client.pem"), certificates.file("client.key")));
    let reached = probe(&settings).await.unwrap();
    assert_eq!(
        (reached.address.port(), reached.tls.unwrap().version),
        (shop.port, "1.3")
    );
    settings.allow_private = false;
    assert_eq!(failure(&settings).await, Cause::Blocked);
}
