//! The receiver over real sockets: each row of the table in design.md 5, and what is on disk afterwards.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipn_router::domain::{
    Circle, Clock, ForeignOrders, Format, LegalEntity, Member, Mode, NotificationId, Secret, TestClock, Trouble,
};
use ipn_router::outbox::{self, Outbox};
use ipn_router::receive::{Intake, Receiver, Settings, TlsFiles};
use ipn_router::verify::{FormHash, Keyring, ShopKeys, signature};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::PATIENCE;

const SHOP: &str = "12345678";
/// Of a company that is switched off.
const SHOP_OF_DISABLED: &str = "23456789";
const KEY: &str = "form-key";
const PRODUCTION_KEY: &str = "production-form-key";
const PASSWORD: &str = "testpassword_a";
const PAYMENT: &[(&str, &str)] = &[
    ("vads_hash", "0a1b"),
    ("vads_trans_uuid", "368ef4d0822448e3a2e7413c4e9f8be8"),
    ("vads_cust_name", "Marie"),
];

/// A receiver on a port of its own, with an outbox in a folder of its own.
struct TestReceiver {
    address: SocketAddr,
    intake: Arc<Intake>,
    outbox: Outbox,
    clock: TestClock,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl TestReceiver {
    async fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&outbox::Settings {
            path: folder.path().join("outbox.db"),
            keep_bodies: Duration::from_secs(3600),
            keep_records: Duration::from_secs(3600),
        })
        .unwrap();
        let clock = TestClock::at("2026-03-01T12:00:00Z".parse().unwrap());
        let intake = Arc::new(Intake::new(keyring(), outbox.clone(), Arc::new(clock.clone())));
        let (address, stop, served) = serve(settings, &intake).await;
        Self {
            address,
            intake,
            outbox,
            clock,
            folder,
            stop,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, request: &str) -> Answer {
        exchange(&mut self.connect().await, request).await
    }

    async fn post(&self, body: &str) -> Answer {
        self.send(&post(body)).await
    }

    /// One column of what is stored, of every notification.
    fn stored(&self, column: &str) -> Vec<String> {
        let connection = self.database();
        let sql = format!("SELECT CAST({column} AS TEXT) FROM notifications ORDER BY id");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Answered so, and nothing is on disk.
    async fn assert_refused(&self, request: &str, status: u16, start: &str) -> Answer {
        let answer = self.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.starts_with(start), "{}", answer.text);
        assert!(answer.text.is_ascii() && answer.text.len() <= 200, "{}", answer.text);
        assert_eq!(self.stored("body"), [""; 0], "{start}");
        answer
    }

    /// What the operators are to be told, once there is so much of it.
    async fn troubles(&self, count: usize) -> Vec<Trouble> {
        loop {
            let rows = self.outbox.unseen_troubles(1000).await.unwrap();
            if rows.len() >= count {
                return rows.into_iter().map(|row| row.trouble).collect();
            }
            self.outbox.alert_changed().notified().await;
        }
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("outbox.db")).unwrap()
    }
}

async fn serve(settings: Settings, intake: &Arc<Intake>) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Receiver::new(settings, intake).unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(receiver.serve(listener, async move {
        stopped.await.ok();
    }));
    (address, stop, served)
}

fn keyring() -> Keyring {
    Keyring::new(vec![
        shop_keys(SHOP, Mode::Test, true, KEY),
        shop_keys(SHOP, Mode::Production, true, PRODUCTION_KEY),
        shop_keys(SHOP_OF_DISABLED, Mode::Test, false, KEY),
    ])
}

fn shop_keys(shop: &str, mode: Mode, enabled: bool, form_key: &str) -> ShopKeys {
    let member = Member {
        shop: shop.parse().unwrap(),
        name: "ACME Paris".to_owned(),
        enabled: true,
        form_url: Some("https://paris.example/ipn".parse().unwrap()),
        rest_url: None,
        event_url: None,
        learns_by_event: true,
        learns_by_form: true,
        learns_by_rest: true,
        foreign_orders: ForeignOrders::Withhold,
        notified_by_form: true,
        notified_by_rest: true,
    };
    let legal_entity = LegalEntity {
        id: "acme".parse().unwrap(),
        name: "ACME SAS".to_owned(),
        enabled,
        share: vec!["token.*".parse().unwrap()],
        wait_for_named_shop: None,
    };
    let circle = Circle {
        legal_entity: Arc::new(legal_entity),
        mode,
        members: vec![member],
    };
    ShopKeys {
        shop: shop.parse().unwrap(),
        circle: Arc::new(circle),
        form_keys: vec![Secret::new(form_key)],
        form_hashes: vec![FormHash::HmacSha256],
        rest_passwords: vec![Secret::new(format!("{PASSWORD}{shop}{mode}"))],
    }
}

/// A form of shop 12345678 in TEST, unless the fields say otherwise.
fn form(fields: &[(&str, &str)], key: &str) -> String {
    let mut all = fields.to_vec();
    for (name, value) in [("vads_site_id", SHOP), ("vads_ctx_mode", "TEST")] {
        if !fields.iter().any(|(given, _)| *given == name) {
            all.push((name, value));
        }
    }
    let signature = signature::form(all.iter().copied(), &Secret::new(key), FormHash::HmacSha256);
    all.push(("signature", &signature));
    encode(&all)
}

fn rest(text: &str, hash_key: &str, password: &str) -> String {
    let hash = signature::rest(text, &Secret::new(password));
    encode(&[("kr-hash", &hash), ("kr-hash-key", hash_key), ("kr-answer", text)])
}

fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

fn post(body: &str) -> String {
    request("POST /ipn", "content-type: application/x-www-form-urlencoded\r\n", body)
}

fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nhost: ipn.example\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    /// The second word of the text.
    fn id(&self) -> NotificationId {
        self.text.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_answer(stream).await
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.split_once("\r\n").unwrap().0.parse().unwrap();
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        text: String::from_utf8(text).unwrap(),
    }
}

#[tokio::test]
async fn verified_notification_is_stored_byte_for_byte_with_its_headers() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let body = form(PAYMENT, KEY);
    let headers = "content-type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Seen: 1\r\n\
        authorization: Basic eDp5\r\ncookie: a=b\r\nconnection: keep-alive, x-hop\r\nx-hop: 2\r\n";
    let answer = receiver.send(&request("POST /ipn?source=x", headers, &body)).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-stored "));
    assert!(answer.head.contains("content-type: text/plain\r\n"), "{}", answer.head);
    assert_eq!(receiver.stored("body"), [body]);
    assert_eq!(
        receiver.stored("lower(hex(uuid))"),
        [answer.id().to_string().replace('-', "")]
    );
    assert_eq!(receiver.stored("standing"), ["routed"]);
    let headers = &receiver.stored("headers")[0];
    assert!(
        headers.contains("host: ipn.example\n") && headers.contains("x-seen: 1"),
        "{headers}"
    );
    for left_out in ["authorization", "cookie", "connection", "x-hop"] {
        assert!(!headers.contains(left_out), "{headers}");
    }
}

#[tokio::test]
async fn repeat_is_answered_with_the_id_of_the_first() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let mut stream = receiver.connect().await;
    let first = exchange(&mut stream, &post(&form(PAYMENT, KEY))).await;
    let retry = form(&[PAYMENT, &[("vads_url_check_src", "RETRY")]].concat(), KEY);
    let second = exchange(&mut stream, &post(&retry)).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.text, format!("OK-duplicate {}", first.id()));
    assert_eq!(receiver.stored("id").len(), 1);
}

#[tokio::test]
async fn notification_of_a_disabled_company_is_parked_and_reported() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let body = form(&[PAYMENT, &[("vads_site_id", SHOP_OF_DISABLED)]].concat(), KEY);
    let answer = receiver.post(&body).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-parked "));
    assert_eq!(
        receiver.stored("standing"),
        ["routed"],
        "it has a delivery, which waits"
    );
    let reported = Trouble::Parked {
        notification: answer.id(),
        shop: SHOP_OF_DISABLED.parse().unwrap(),
        mode: Mode::Test,
    };
    assert_eq!(receiver.troubles(1).await, [reported]);
}

#[tokio::test]
async fn unknown_shop_is_refused_and_each_is_reported_once_an_hour() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let of = |shop: &str| post(&form(&[("vads_site_id", shop), ("vads_hash", "h")], KEY));
    let too_long = "9".repeat(21);
    receiver
        .assert_refused(&of("99999999"), 403, "KO-unknown-shop 99999999 ")
        .await;
    receiver
        .assert_refused(&of("88888888"), 403, "KO-unknown-shop 88888888 ")
        .await;
    let answer = receiver.assert_refused(&of(&too_long), 403, "KO-unknown-shop ").await;
    assert!(!answer.text.contains(&too_long));
    let unknown = |shop: &str| Trouble::unknown_shop(shop, Format::Form, Mode::Test);
    receiver.send(&of("99999999")).await;
    let of_this_hour = ["99999999", "88888888", &too_long];
    assert_eq!(receiver.troubles(3).await, of_this_hour.map(unknown));
    receiver.clock.advance(Duration::from_secs(3600));
    receiver.send(&of("99999999")).await;
    assert_eq!(receiver.troubles(4).await[3], unknown("99999999"));
}

#[tokio::test]
async fn wrong_signatures_are_refused_with_the_likely_cause() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let text = r#"{"shopId":"12345678","orderDetails":{"mode":"TEST"}}"#;
    let password = format!("{PASSWORD}{SHOP}TEST");
    for (body, start) in [
        (form(PAYMENT, "x"), "KO-signature matches no key"),
        (
            form(PAYMENT, KEY).replace("Marie", "Maria"),
            "KO-signature matches no key",
        ),
        (
            rest(text, "sha256_hmac", &password),
            "KO-signature signed with the browser-return key",
        ),
        (rest(text, "password", "x"), "KO-signature matches no key"),
        (rest("{}", "password", "x"), "KO-signature matches no password"),
        (
            form(PAYMENT, PRODUCTION_KEY),
            "KO-mode matches the PRODUCTION key, but the notification says TEST",
        ),
        (
            form(&[("vads_result", "00")], KEY),
            "KO-not-a-notification vads_hash is missing",
        ),
    ] {
        receiver.assert_refused(&post(&body), 403, start).await;
    }
}

#[tokio::test]
async fn third_wrong_signature_in_a_row_is_reported_and_the_first_right_one() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let (wrong, right) = (form(PAYMENT, "x"), form(PAYMENT, KEY));
    for body in [&wrong, &wrong, &right, &wrong, &wrong] {
        receiver.post(body).await;
    }
    // Of a shop without a key here: that is another trouble.
    for _ in 0..5 {
        let text = r#"{"shopId":"99999999","orderDetails":{"mode":"TEST"}}"#;
        receiver.post(&rest(text, "sha256_hmac", "x")).await;
    }
    assert_eq!(receiver.outbox.unseen_troubles(9).await.unwrap().len(), 0);
    for body in [&wrong, &wrong, &right] {
        receiver.post(body).await;
    }
    let (shop, mode, format, since) = (SHOP.parse().unwrap(), Mode::Test, Format::Form, receiver.clock.now());
    let told = receiver.troubles(2).await;
    let hint = "matches no key configured for this shop: another key, or text altered on the way";
    assert!(told.contains(&Trouble::SignaturesRefused {
        shop,
        mode,
        format,
        refused: 3,
        since,
        hint: hint.to_owned(),
    }));
    assert!(told.contains(&Trouble::SignaturesRight {
        shop,
        mode,
        format,
        refused: 4,
        since,
    }));
}

#[tokio::test]
async fn doubtful_texts_are_quarantined_and_reported() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let perhaps_cancelled = form(&[("vads_identifier", "t1"), ("vads_url_check_src", "MERCH_BO")], KEY);
    let answer = receiver.post(&perhaps_cancelled).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-parked "));
    let reported = Trouble::Quarantined {
        notification: answer.id(),
        shop: SHOP.parse().unwrap(),
        mode: Mode::Test,
    };
    assert_eq!(receiver.troubles(1).await, [reported]);
    let other_type = rest(
        r#"{"paymentMethodToken":"t1","_type":"V4/Token"}"#,
        "password",
        &format!("{PASSWORD}{SHOP}PRODUCTION"),
    );
    let answer = receiver.post(&other_type).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-parked "));
    assert_eq!(receiver.stored("standing"), ["quarantined", "quarantined"]);
    assert_eq!(receiver.stored("mode"), ["TEST", "PRODUCTION"]);
}

#[tokio::test]
async fn texts_without_vads_hash_are_bounded_per_hour() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let mut stream = receiver.connect().await;
    let doubtful = |n: usize| post(&form(&[("vads_identifier", &n.to_string())], KEY));
    for n in 0..100 {
        assert_eq!(exchange(&mut stream, &doubtful(n)).await.status, 200);
        // A repeat takes nothing of the bound.
        if n % 10 == 0 {
            assert!(
                exchange(&mut stream, &doubtful(n))
                    .await
                    .text
                    .starts_with("OK-duplicate")
            );
        }
    }
    let answer = exchange(&mut stream, &doubtful(100)).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.head.contains("\r\nretry-after: "), "{}", answer.head);
    assert_eq!(receiver.stored("id").len(), 100);
    receiver.clock.advance(Duration::from_secs(3600));
    assert_eq!(exchange(&mut stream, &doubtful(100)).await.status, 200);
}

#[tokio::test]
async fn what_is_no_notification_is_malformed() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let rest = |text: &str| encode(&[("kr-answer", text), ("kr-hash", "x"), ("kr-hash-key", "password")]);
    for body in [
        String::new(),
        "hello=world".to_owned(),
        "vads_a=1&kr-answer={}".to_owned(),
        "vads_site_id=12345678&vads_ctx_mode=TEST".to_owned(),
        format!("{}&vads_hash=2", form(PAYMENT, KEY)),
        form(&[("vads_ctx_mode", "test")], KEY),
        "vads_a=%C3".to_owned(),
        "vads_a=%4".to_owned(),
        rest("not json"),
        rest(r#"{"shopId":"12345678","shopId":"23456789"}"#),
        rest(r#"{"shopId":"12345678","orderDetails":{"m\u006fde":"TEST"}}"#),
        rest(r#"{"shopId":"12a","orderDetails":{"mode":"TEST"}}"#),
    ] {
        receiver.assert_refused(&post(&body), 400, "KO-malformed ").await;
    }
}

#[tokio::test]
async fn method_path_and_type_are_decided_first() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let body = form(PAYMENT, KEY);
    let form_type = "content-type: application/x-www-form-urlencoded\r\n";
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = receiver
            .assert_refused(&request(&format!("{method} /ipn"), form_type, &body), 405, "KO-method ")
            .await;
        assert!(answer.head.contains("\r\nallow: post\r\n"), "{}", answer.head);
    }
    for path in ["/", "/ipn/", "/IPN", "/other?/ipn"] {
        let elsewhere = request(&format!("POST {path}"), form_type, &body);
        receiver.assert_refused(&elsewhere, 404, "KO-path ").await;
    }
    for other in [
        "",
        "content-type: application/json\r\n",
        "content-type: multipart/form-data; boundary=x\r\n",
        "content-type: application/x-www-form-urlencoded; charset=ISO-8859-1\r\n",
        "content-type: application/x-www-form-urlencoded\r\ncontent-encoding: gzip\r\n",
    ] {
        let answer = receiver
            .assert_refused(&request("POST /ipn", other, &body), 415, "KO-type ")
            .await;
        assert!(!answer.head.contains("location"), "{}", answer.head);
    }
}

#[tokio::test]
async fn too_large_is_refused_with_and_without_a_length() {
    let settings = Settings {
        max_body: 1000,
        ..Settings::default()
    };
    let receiver = TestReceiver::start(settings).await;
    let body = form(&[PAYMENT, &[("vads_pad", &"a".repeat(1000_usize))]].concat(), KEY);
    receiver.assert_refused(&post(&body), 413, "KO-too-large ").await;
    // Announced, and not even sent.
    let announced = "POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
        content-length: 99999999999\r\n\r\n";
    receiver.assert_refused(announced, 413, "KO-too-large ").await;
    let chunked = format!(
        "POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    receiver.assert_refused(&chunked, 413, "KO-too-large ").await;
    let small = form(PAYMENT, KEY);
    let chunked = chunked
        .replace(&body, &small)
        .replace(&format!("{:x}\r\n", body.len()), &format!("{:x}\r\n", small.len()));
    assert_eq!(receiver.send(&chunked).await.status, 200);
    assert_eq!(receiver.stored("body"), [small]);
}

#[tokio::test]
async fn refusal_reaches_a_client_that_goes_on_sending() {
    let settings = Settings {
        max_body: 1000,
        ..Settings::default()
    };
    let receiver = TestReceiver::start(settings).await;
    receiver
        .assert_refused(&post(&"a".repeat(16_000_000)), 413, "KO-too-large ")
        .await;
}

#[tokio::test]
async fn slow_head_and_slow_body_are_given_up() {
    let settings = Settings {
        header_timeout: Duration::from_millis(50),
        body_timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let receiver = TestReceiver::start(settings).await;
    let whole = post(&form(PAYMENT, KEY));
    let (head, _) = whole.split_once("\r\n\r\n").unwrap();
    receiver.assert_refused(head, 408, "KO-too-slow ").await;
    receiver.assert_refused("P", 408, "KO-too-slow ").await;
    receiver
        .assert_refused(&whole[..whole.len() - 1], 408, "KO-too-slow ")
        .await;
    // Who says nothing at all hears nothing.
    let mut silent = receiver.connect().await;
    assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn too_much_in_flight_is_put_off() {
    let settings = Settings {
        max_in_flight: 1.try_into().unwrap(),
        ..Settings::default()
    };
    let receiver = TestReceiver::start(settings).await;
    let whole = post(&form(PAYMENT, KEY)).replacen("\r\nhost", "\r\nexpect: 100-continue\r\nhost", 1);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut first = receiver.connect().await;
    first.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    // The server asks for the body: the first request is in work now.
    let mut go_on = [0; 25];
    first.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let second = receiver.assert_refused(&whole, 503, "KO-busy ").await;
    assert!(second.head.contains("\r\nretry-after: "), "{}", second.head);
    assert_eq!(exchange(&mut first, body).await.status, 200);
    assert_eq!(receiver.stored("id").len(), 1);

    receiver.clock.advance(Duration::from_secs(10));
    receiver.outbox.report_losses(receiver.clock.now()).await.unwrap();
    let at = receiver.clock.now() - Duration::from_secs(10);
    let put_off = Trouble::NotStored {
        first_at: at,
        last_at: at,
        lost: Vec::new(),
        more: 0,
        unread: 1,
    };
    assert_eq!(receiver.troubles(1).await, [put_off]);
}

#[tokio::test]
async fn what_could_not_be_stored_is_remembered_for_who_sends_it_again() {
    let receiver = TestReceiver::start(Settings::default()).await;
    receiver.outbox.close();
    let fields = [
        PAYMENT,
        &[
            ("vads_order_id", "2026-17"),
            ("vads_trans_date", "20260301120000"),
            ("vads_identifier", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
            ("vads_identifier_status", "UPDATED"),
        ],
    ]
    .concat();
    let answer = receiver.post(&form(&fields, KEY)).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    receiver.clock.advance(Duration::from_secs(10));
    let noted = receiver.outbox.report_losses(receiver.clock.now()).await;
    assert!(noted.is_err(), "the store does not work");

    let Some(Trouble::NotStored {
        lost,
        more: 0,
        unread: 0,
        ..
    }) = receiver.outbox.take_losses()
    else {
        panic!("still remembered");
    };
    let [lost] = &lost[..] else { panic!("{lost:?}") };
    let found = [&lost.transaction, &lost.order, &lost.date, &lost.token].map(|found| found.as_deref().unwrap());
    assert_eq!(
        found,
        [
            "368ef4d0822448e3a2e7413c4e9f8be8",
            "2026-17",
            "20260301120000",
            "0a1b…e8f9"
        ]
    );
    let told = format!("{lost:?}");
    assert!(!told.contains("Marie") && !told.contains("2c3d4e5f"), "{told}");
}

#[tokio::test]
async fn failing_store_is_503_and_wants_it_again() {
    let receiver = TestReceiver::start(Settings::default()).await;
    receiver.outbox.close();
    let answer = receiver
        .assert_refused(&post(&form(PAYMENT, KEY)), 503, "KO-not-stored ")
        .await;
    assert!(answer.head.contains("\r\nretry-after: "), "{}", answer.head);
    // A refusal needs no store.
    receiver
        .assert_refused(&post(&form(PAYMENT, "x")), 403, "KO-signature ")
        .await;
}

#[tokio::test]
async fn time_out_is_503_and_the_repeat_is_a_duplicate() {
    let hasty = Settings {
        answer_timeout: Duration::from_millis(20),
        ..Settings::default()
    };
    let receiver = TestReceiver::start(hasty).await;
    let body = form(PAYMENT, KEY);
    let other_writer = receiver.database();
    other_writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = receiver.assert_refused(&post(&body), 503, "KO-not-stored ").await;
    assert!(answer.head.contains("\r\nretry-after: "), "{}", answer.head);
    other_writer.execute_batch("ROLLBACK").unwrap();
    // It was decided, so it is stored all the same, before what comes later.
    let (patient, _stop, _served) = serve(Settings::default(), &receiver.intake).await;
    let mut stream = TcpStream::connect(patient).await.unwrap();
    let repeat = exchange(&mut stream, &post(&body)).await;
    assert!(repeat.text.starts_with("OK-duplicate "), "{}", repeat.text);
    assert_eq!(receiver.stored("id").len(), 1);
}

#[tokio::test]
async fn only_allowed_addresses_may_call_and_only_trusted_proxies_name_them() {
    let gateway_only = |trusted: &str| Settings {
        allow_from: vec!["194.50.38.0/24".parse().unwrap()],
        trusted_proxies: vec![trusted.parse().unwrap()],
        ..Settings::default()
    };
    let from =
        |client: &str| post(&form(PAYMENT, KEY)).replacen("host", &format!("x-forwarded-for: {client}\r\nhost"), 1);
    let behind_proxy = TestReceiver::start(gateway_only("127.0.0.1/32")).await;
    behind_proxy
        .assert_refused(&from("192.0.2.1"), 403, "KO-address ")
        .await;
    behind_proxy
        .assert_refused(&from("194.50.38.7, 192.0.2.1"), 403, "KO-address ")
        .await;
    assert_eq!(behind_proxy.send(&from("192.0.2.1, 194.50.38.7")).await.status, 200);
    let untrusted = TestReceiver::start(gateway_only("10.0.0.1/32")).await;
    untrusted.assert_refused(&from("194.50.38.7"), 403, "KO-address ").await;
}

#[tokio::test]
async fn refusals_are_remembered_without_values() {
    let receiver = TestReceiver::start(Settings::default()).await;
    receiver.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let body = form(PAYMENT, "wrong-key");
    receiver.post(&body).await;
    let refusals = receiver.intake.refusals();
    let causes: Vec<_> = refusals.iter().map(|refusal| refusal.cause).collect();
    assert_eq!(causes, ["KO-signature", "KO-method"]);
    let shape = refusals[0].body.as_ref().unwrap();
    assert_eq!(shape.size, body.len());
    assert!(shape.fields.contains(&(Some("vads_cust_name".to_owned()), 5)));
    assert!(!format!("{refusals:?}").contains("Marie"));
    assert!(refusals[1].body.is_none());
}

#[tokio::test]
async fn replaced_keys_count_from_the_next_request() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let mut stream = receiver.connect().await;
    let body = post(&form(PAYMENT, "new-key"));
    assert_eq!(exchange(&mut stream, &body).await.status, 403);
    receiver
        .intake
        .replace_rules(Keyring::new(vec![shop_keys(SHOP, Mode::Test, true, "new-key")]), 0);
    assert_eq!(exchange(&mut stream, &body).await.status, 200);
}

#[tokio::test]
async fn stop_finishes_requests_in_hand_and_takes_no_new_ones() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let mut idle = receiver.connect().await;
    let whole = post(&form(PAYMENT, KEY)).replacen("\r\nhost", "\r\nexpect: 100-continue\r\nhost", 1);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut in_hand = receiver.connect().await;
    in_hand.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    in_hand.read_exact(&mut go_on).await.unwrap();

    receiver.stop.send(()).unwrap();
    assert_eq!(
        idle.read(&mut [0; 10]).await.unwrap(),
        0,
        "an idle connection is closed"
    );
    let answer = exchange(&mut in_hand, body).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-stored "));
    drop((idle, in_hand));
    receiver.served.await.unwrap();
    assert!(TcpStream::connect(receiver.address).await.is_err());
}

#[tokio::test]
async fn who_does_not_read_the_answers_is_let_go() {
    let receiver = TestReceiver::start(Settings::default()).await;
    // With a small buffer at this end little is answered before nothing more can be written.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(receiver.address).await.unwrap();
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let asks_on = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, asks_on).await.expect("the connection ends");
}

#[tokio::test]
async fn own_tls_is_served_from_pem_files() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let settings = Settings {
        tls: Some(TlsFiles {
            certificate: write("chain.pem", own.cert.pem()),
            key: write("key.pem", own.signing_key.serialize_pem()),
        }),
        ..Settings::default()
    };
    let hasty = Settings {
        header_timeout: Duration::from_millis(50),
        ..settings.clone()
    };
    let receiver = TestReceiver::start(settings).await;
    let mut stream = tls_connect(receiver.connect().await, own.cert.der().clone()).await;
    let answer = exchange(&mut stream, &post(&form(PAYMENT, KEY))).await;
    assert_eq!((answer.status, &answer.text[..10]), (200, "OK-stored "));
    // Who never says hello is not waited for.
    let receiver = TestReceiver::start(hasty).await;
    let mut silent = receiver.connect().await;
    assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
}

async fn tls_connect(
    stream: TcpStream,
    trusted: rustls::pki_types::CertificateDer<'static>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// The signed texts from public sources, with their keys, over the socket.
#[tokio::test]
async fn every_vector_gets_the_status_that_it_expects_and_only_then_is_stored() {
    let receiver = TestReceiver::start(Settings::default()).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/notifications");
    let mut kept = Vec::new();
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 13);
    for entry in files {
        let file = entry.unwrap().path();
        let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let (key, body) = (
            vector["key"].as_str().unwrap(),
            vector["body_urlencoded"].as_str().unwrap(),
        );
        let content = ipn_router::verify::Content::decode(body.as_bytes()).unwrap();
        let shops = content.named_shop().into_iter().flat_map(|shop| {
            Mode::ALL.map(|mode| {
                let mut keys = shop_keys(shop.as_str(), mode, true, key);
                keys.form_hashes.push(FormHash::Sha1);
                keys.rest_passwords = vec![Secret::new(key)];
                keys
            })
        });
        receiver.intake.replace_rules(Keyring::new(shops.collect()), 0);
        let answer = receiver.post(body).await;
        assert_eq!(
            u64::from(answer.status),
            vector["expected_status"].as_u64().unwrap(),
            "{file:?}: {}",
            answer.text
        );
        if answer.status == 200 {
            kept.push(body.to_owned());
        }
        assert_eq!(receiver.stored("body"), kept, "{file:?}");
        assert_eq!(receiver.stored("headers").len(), kept.len());
    }
    assert_eq!(kept.len(), 6);
}
