//! Sending under everything that a mail server does to those who send: nothing is lost, and nothing doubled beyond the
//! one whose answer was lost.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipn_router::alert::{Alert, Control, MailSecurity, MailSettings, Rules, Settings};
use ipn_router::domain::{Clock, Format, Mode, Secret, TestClock, Trouble};
use ipn_router::outbox::{self, Outbox};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Act, DrivenServer, MailServer, Taken, eventually};

/// A daemon's e-mails, to so many operators.
struct Sender {
    outbox: Outbox,
    clock: TestClock,
    control: Control,
    stop: oneshot::Sender<()>,
    alert: JoinHandle<()>,
    _folder: TempDir,
}

impl Sender {
    async fn start(mail: MailSettings, operators: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = outbox::Settings {
            path: folder.path().join("outbox.db"),
            keep_bodies: Duration::from_secs(3_600),
            keep_records: Duration::from_secs(3_600),
        };
        let outbox = tokio::task::spawn_blocking(move || Outbox::open(&store))
            .await
            .unwrap()
            .unwrap();
        let clock = TestClock::at("2026-10-17T14:02:00Z".parse().unwrap());
        let settings = Settings {
            mail: Some(mail),
            operators: (0..operators).map(|n| address(n).parse().unwrap()).collect(),
            ..Settings::default()
        };
        let rules = Rules::new(settings, HashMap::new()).unwrap();
        let alert = Alert::new(outbox.clone(), Arc::new(clock.clone()), rules);
        let control = alert.control();
        let (stop, stopped) = oneshot::channel();
        let alert = tokio::spawn(alert.run(async { drop(stopped.await) }));
        Self {
            outbox,
            clock,
            control,
            stop,
            alert,
            _folder: folder,
        }
    }

    /// Tells every operator of something, one e-mail each.
    async fn tell(&self) {
        let trouble = Trouble::unknown_shop("99999999", Format::Form, Mode::Test);
        self.outbox.report(trouble, self.clock.now()).await.unwrap();
        self.later(10);
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.outbox.alert_changed().notify_one();
    }

    /// Waits until so many e-mails are not sent yet.
    async fn until_waiting(&self, number: u32) {
        let is_reached = async || (self.outbox.totals().await.unwrap().emails_waiting == number).then_some(());
        eventually("so many e-mails wait", is_reached).await;
    }

    /// Waits until the first try of each e-mail has failed.
    async fn until_put_off(&self) {
        let is_later = async || (self.outbox.next_email().await.unwrap()? > self.clock.now()).then_some(());
        eventually("a later try", is_later).await;
    }

    async fn stop(self) {
        drop(self.stop);
        self.alert.await.unwrap();
    }
}

fn address(number: usize) -> String {
    format!("it{number}@acme.example")
}

fn plain(port: u16) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".into(),
        port,
        security: MailSecurity::Plain,
        username: None,
        password: None,
        from: "IPN router <ipn@router.example>".parse().unwrap(),
        ca: None,
    }
}

fn addresses(taken: &[Taken]) -> BTreeSet<String> {
    taken.iter().map(|taken| taken.to.clone()).collect()
}

#[tokio::test]
async fn server_that_is_down_gets_everything_once_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let sender = Sender::start(plain(place.port()), 3).await;
    sender.tell().await;
    sender.until_waiting(3).await;
    eventually("nothing can be sent", async || {
        sender.control.mail_state().failing_since
    })
    .await;
    sender.until_put_off().await;
    let state = sender.control.mail_state();
    assert!(state.last_error.is_some() && state.last_sent.is_none(), "{state:?}");

    let listener = TcpListener::bind(place).await.unwrap();
    let mut server = DrivenServer::on(listener, |_, _| Act::Usual);
    sender.later(60);
    assert_eq!(addresses(&server.takes(3).await).len(), 3);
    sender.until_waiting(0).await;
    assert_eq!(sender.control.mail_state().failing_since, None);
    assert!(server.has_no_more());
    sender.stop().await;
}

#[tokio::test]
async fn greylisted_addresses_get_theirs_later_and_once() {
    let known = Mutex::new(HashSet::new());
    let mut server = DrivenServer::start(move |_, command| {
        let is_new = command.starts_with("RCPT") && known.lock().unwrap().insert(command.to_owned());
        if is_new {
            Act::Say("450 4.2.0 greylisted, try again")
        } else {
            Act::Usual
        }
    })
    .await;
    let sender = Sender::start(plain(server.port), 3).await;
    sender.tell().await;
    sender.until_waiting(3).await;
    sender.until_put_off().await;
    assert!(server.has_no_more());
    sender.later(60);
    assert_eq!(addresses(&server.takes(3).await).len(), 3);
    sender.until_waiting(0).await;
    assert!(server.has_no_more());
    sender.stop().await;
}

#[tokio::test]
async fn one_refused_recipient_of_three_costs_the_others_nothing() {
    let mut server = DrivenServer::start(|_, command| match command {
        "RCPT TO:<it1@acme.example>" => Act::Say("550 5.1.1 no such mailbox"),
        _ => Act::Usual,
    })
    .await;
    let sender = Sender::start(plain(server.port), 3).await;
    sender.tell().await;
    assert_eq!(
        addresses(&server.takes(2).await),
        BTreeSet::from([address(0), address(2)])
    );
    sender.until_waiting(0).await;
    assert_eq!(
        sender.control.mail_state().failing_since,
        None,
        "the server is all right"
    );
    sender.stop().await;
}

#[tokio::test]
async fn lost_answer_repeats_that_e_mail_only_with_the_same_message_id() {
    let taken = AtomicUsize::new(0);
    let mut server = DrivenServer::start(move |_, command| match command {
        "." if taken.fetch_add(1, Ordering::Relaxed) == 0 => Act::TakeAndHangUp,
        _ => Act::Usual,
    })
    .await;
    let sender = Sender::start(plain(server.port), 3).await;
    sender.tell().await;
    let mut all = server.takes(3).await;
    sender.until_waiting(1).await;
    sender.until_put_off().await;
    sender.later(60);
    all.extend(server.takes(1).await);
    sender.until_waiting(0).await;
    assert!(server.has_no_more());
    assert_eq!(addresses(&all).len(), 3);
    let ids: HashSet<_> = all.iter().map(|taken| &taken.message_id).collect();
    assert_eq!(ids.len(), 3, "one of four has come twice: {all:#?}");
    assert_eq!(all.iter().filter(|taken| taken.to == all[3].to).count(), 2);
    sender.stop().await;
}

#[tokio::test]
async fn connection_that_breaks_before_the_end_of_the_text_doubles_nothing() {
    let begun = AtomicUsize::new(0);
    let mut server = DrivenServer::start(move |_, command| match command {
        "DATA" if begun.fetch_add(1, Ordering::Relaxed) == 0 => Act::HangUp,
        _ => Act::Usual,
    })
    .await;
    let sender = Sender::start(plain(server.port), 1).await;
    sender.tell().await;
    sender.until_waiting(1).await;
    sender.until_put_off().await;
    sender.later(60);
    server.takes(1).await;
    sender.until_waiting(0).await;
    assert!(server.has_no_more());
    sender.stop().await;
}

#[tokio::test]
async fn address_that_the_server_ponders_over_holds_nobody_up() {
    let mut server = DrivenServer::start(|_, command| match command {
        "RCPT TO:<it0@acme.example>" => Act::Hang,
        _ => Act::Usual,
    })
    .await;
    let sender = Sender::start(plain(server.port), 20).await;
    sender.tell().await;
    let taken = server.takes(19).await;
    assert!(!addresses(&taken).contains(&address(0)));
    sender.until_waiting(1).await;
    sender.alert.abort();
}

#[tokio::test]
async fn server_that_wants_login_only_and_another_session_now_and_then_is_served() {
    let in_session = Mutex::new(HashMap::<usize, usize>::new());
    let mut server = DrivenServer::start(move |session, command| {
        if command.starts_with("AUTH PLAIN") {
            return Act::Say("504 unknown");
        }
        let mut in_session = in_session.lock().unwrap();
        let sent = in_session.entry(session).or_default();
        match command {
            // Two e-mails a session.
            _ if command.starts_with("MAIL") && *sent == 2 => Act::Say("421 4.7.0 too many in this session"),
            "." => {
                *sent += 1;
                Act::Usual
            }
            _ => Act::Usual,
        }
    })
    .await;
    let mail = MailSettings {
        username: Some("ipn-router".into()),
        password: Some(Secret::new("s3cret")),
        ..plain(server.port)
    };
    let sender = Sender::start(mail, 10).await;
    sender.tell().await;
    let taken = server.takes(10).await;
    assert_eq!(addresses(&taken).len(), 10);
    sender.until_waiting(0).await;
    assert_eq!(sender.control.mail_state().failing_since, None);
    sender.stop().await;
}

#[tokio::test]
async fn hundred_due_e_mails_share_three_sessions() {
    let mut server = DrivenServer::start(|_, _| Act::Usual).await;
    let sender = Sender::start(plain(server.port), 100).await;
    sender.tell().await;
    let taken = server.takes(100).await;
    sender.until_waiting(0).await;
    assert_eq!(addresses(&taken).len(), 100);
    let sessions: HashSet<_> = taken.iter().map(|taken| taken.session).collect();
    assert!(sessions.len() <= 3, "{} sessions", sessions.len());
    sender.stop().await;
}

#[tokio::test]
async fn hundred_e_mails_reach_a_server_that_nobody_here_wrote() {
    let mut server = MailServer::start(&[]).await;
    let sender = Sender::start(server.settings(), 100).await;
    sender.tell().await;
    let taken = server.takes(100).await;
    sender.until_waiting(0).await;
    let ids: HashSet<_> = taken
        .iter()
        .map(|mail| mail["headers"]["message-id"].to_string())
        .collect();
    assert_eq!(ids.len(), 100);
    assert!(taken.iter().all(|mail| mail["defects"].as_array().unwrap().is_empty()));
    sender.stop().await;
}
