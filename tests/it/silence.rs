//! The gateway falls silent and is heard again, as the operators are told (design.md 9).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use ipn_router::domain::{Clock, TestClock};

use crate::support::{Acme, Form, Home, PARIS, TestRouter, eventually};

const MAIL: &str = r#"
    [mail]
    smtp = "smtp://127.0.0.1:1?tls=none"
    from = "ipn@router.example"
    operators = "it@acme.example"
"#;

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// A router whose gateway should call in PRODUCTION every week, on a clock that the test moves.
struct Story {
    clock: TestClock,
    toml: String,
    router: TestRouter,
}

impl Story {
    async fn begin(acme: &Acme) -> Self {
        let clock = TestClock::at("2026-10-17T14:02:00Z".parse().unwrap());
        let toml = MAIL.to_owned() + &acme.toml(r#"expect_every = "7d""#);
        let router = TestRouter::start_by(Self::shared(&clock), Home::new(), &toml).await;
        let expected = "SELECT count(*) FROM heard WHERE mode = 'PRODUCTION' AND expected_since IS NOT NULL";
        eventually("the time begins", async || {
            (router.home().number(expected) == 1).then_some(())
        })
        .await;
        Self { clock, toml, router }
    }

    fn shared(clock: &TestClock) -> Arc<dyn Clock> {
        Arc::new(clock.clone())
    }

    async fn restart(self) -> Self {
        let home = self.router.stop().await;
        let router = TestRouter::start_by(Self::shared(&self.clock), home, &self.toml).await;
        Self { router, ..self }
    }

    /// Time passes, and somewhat more than two hours; returns once everything was told that was due before these.
    async fn later(&self, by: Duration) {
        self.clock.advance(by);
        // One turn of the daemon notices a silence, the next one tells of it, and has ended when the third one tells.
        self.tells_what_is_quarantined().await;
        for _ in 0..2 {
            self.clock.advance(HOUR);
            self.tells_what_is_quarantined().await;
        }
    }

    /// Something comes that the operators are told of, but that is not surely the gateway's.
    async fn tells_what_is_quarantined(&self) {
        let told = "SELECT count(*) FROM emails WHERE thread = 'trouble-quarantined'";
        let before = self.router.home().number(told);
        for n in 0..2 {
            let names = ["vads_hash", "vads_page_action", "vads_trans_status", "vads_trans_uuid"];
            let form = self.form(&format!("{before}-{n}")).without("vads_identifier_status");
            let vague = names.into_iter().fold(form, Form::without).signed();
            let reply = self.router.gateway().tries(&vague).await.unwrap();
            assert!(reply.text.starts_with("OK-parked"), "{reply:?}");
            // It is gathered for some seconds; whatever comes then lets the daemon look at it.
            self.clock.advance(Duration::from_secs(10));
        }
        eventually("an e-mail of what is quarantined", async || {
            (self.router.home().number(told) > before).then_some(())
        })
        .await;
    }

    async fn repeats(&self, body: &str) {
        let reply = self.router.gateway().tries(body).await.unwrap();
        assert!(reply.is_duplicate(), "{reply:?}");
    }

    fn form(&self, token: &str) -> Form {
        Form::token_created(PARIS, token).with("vads_ctx_mode", "PRODUCTION")
    }

    /// The e-mails of silences that begin, and of those that end.
    fn told(&self) -> (i64, i64) {
        let count = |subject: &str| {
            let of = format!("SELECT count(*) FROM emails WHERE subject = '[PRODUCTION] ipn-router: {subject}'");
            self.router.home().number(&of)
        };
        (
            count("nothing from the gateway for ACME SAS"),
            count("the gateway is heard again for ACME SAS"),
        )
    }
}

#[tokio::test]
async fn silence_is_told_once_though_the_daemon_restarts_and_so_is_its_end() {
    let acme = Acme::open();
    let story = Story::begin(&acme).await;
    story.later(4 * DAY).await;
    assert_eq!(story.told(), (0, 0));

    let story = story.restart().await;
    // Tests say nothing about PRODUCTION.
    let test = Form::token_created(PARIS, "a").signed();
    story.router.gateway().sends(&test).await;
    story.later(4 * DAY).await;
    assert_eq!(story.told(), (1, 0), "8 days since it was to be heard first");

    let story = story.restart().await;
    story.later(HOUR).await;
    assert_eq!(story.told(), (1, 0));

    let heard = story.form("b").signed();
    story.router.gateway().sends(&heard).await;
    story.repeats(&heard).await;
    story.later(HOUR).await;
    assert_eq!(story.told(), (1, 1));

    // What was seen before is heard as well.
    story.later(6 * DAY).await;
    story.repeats(&heard).await;
    story.later(6 * DAY).await;
    assert_eq!(story.told(), (1, 1));
    story.later(DAY).await;
    assert_eq!(story.told(), (2, 1));
}
