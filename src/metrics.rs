//! Every metric: its name, its labels and its help text, once.
//!
//! Whoever counts owns the handles ([`Receiving`], [`Storing`], …), which are prepared so that counting is an addition;
//! `app` registers them all in [`Metrics`]. What cannot be counted is read when somebody asks ([`Reading`]). Labels are
//! closed sets, words of the code and names of the configuration, never an id from a notification.

mod reading;

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::{DestinationKey, Outcome};

pub use reading::{DestinationReading, DestinationState, Reading};

/// What [`Metrics::text`] is written in.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; one disk sync is at the lower end, the gateway's patience beyond the upper one.
const ACKNOWLEDGING: [f64; 12] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Seconds; from at once to the last retry and a long outage.
const DELIVERING: [f64; 12] = [
    0.002, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 900.0, 3_600.0, 21_600.0, 86_400.0,
];
/// Rows that one transaction writes, up to the writer's bounds.
const GROUPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1_024.0, 2_112.0];

/// First words of an answer to the gateway.
pub const ANSWERS: [&str; 16] = [
    "KO-address",
    "KO-busy",
    "KO-malformed",
    "KO-method",
    "KO-mode",
    "KO-not-a-notification",
    "KO-not-stored",
    "KO-path",
    "KO-signature",
    "KO-too-large",
    "KO-too-slow",
    "KO-type",
    "KO-unknown-shop",
    "OK-duplicate",
    "OK-parked",
    "OK-stored",
];
/// What becomes of sending an e-mail.
const SENT: &str = "sent";
const PUT_OFF: &str = "put-off";
const GIVEN_UP: &str = "given-up";

type Word = [(&'static str, &'static str); 1];

/// Counts by word, from 0 for each: to Prometheus, a count that first appears as 25 has not risen.
fn by_word(words: &[&'static str]) -> Family<Word, Counter> {
    let counts = Family::default();
    for word in words {
        drop(counts.get_or_create(&[("outcome", *word)]));
    }
    counts
}

/// Everything that is counted, as text.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

/// Counts how the gateway's calls are answered.
#[derive(Clone, Debug)]
pub struct Receiving {
    answered: Family<Word, Counter>,
    acknowledged: Histogram,
}

/// Counts what the store writes, and the e-mails whose sending it records.
#[derive(Clone, Debug)]
pub struct Storing {
    committed: Histogram,
    group: Histogram,
    emails: Family<Word, Counter>,
}

/// Counts what is delivered; each destination takes its handles once.
#[derive(Clone, Debug)]
pub struct Delivering {
    attempts: Family<DestinationAnd, Counter>,
    ended: Family<DestinationAnd, Counter>,
    took: Family<DestinationLabels, Histogram>,
}

/// Counts the deliveries of one destination.
#[derive(Clone, Debug)]
pub struct DeliveringTo {
    answered_ko: Counter,
    delivered: Counter,
    rejected: Counter,
    unavailable: Counter,
    ended_well: Counter,
    dead_letters: Counter,
    took: Histogram,
}

/// Tells whether the configuration that runs is the one that was last asked for.
#[derive(Clone, Debug, Default)]
pub struct Reloading {
    succeeded: Gauge,
    succeeded_at: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DestinationLabels {
    legal_entity: String,
    shop: String,
    mode: &'static str,
    rendition: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DestinationAnd {
    #[prometheus(flatten)]
    destination: DestinationLabels,
    outcome: &'static str,
}

impl Metrics {
    /// Puts together what is counted.
    pub fn new(receiving: &Receiving, storing: &Storing, delivering: &Delivering, reloading: &Reloading) -> Self {
        let mut registry = Registry::with_prefix("ipn_router");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);

        registry.register(
            "notifications",
            "Calls of the gateway, by the first word of the answer; OK-… is on disk",
            receiving.answered.clone(),
        );
        registry.register_with_unit(
            "acknowledge",
            "From a call's head to its answer, for calls answered with OK-… and without waiting for the named shop",
            Unit::Seconds,
            receiving.acknowledged.clone(),
        );

        registry.register_with_unit(
            "commit",
            "One transaction of the store, until it is synced",
            Unit::Seconds,
            storing.committed.clone(),
        );
        registry.register(
            "commit_group",
            "Notifications, attempts and other changes that one transaction wrote",
            storing.group.clone(),
        );
        registry.register(
            "emails",
            "What became of sending e-mails: sent, put-off (tried again later), given-up",
            storing.emails.clone(),
        );

        registry.register(
            "attempts",
            "HTTP calls to shops by outcome: delivered, answered-ko (delivered, with a complaint), rejected, unavailable",
            delivering.attempts.clone(),
        );
        registry.register(
            "deliveries",
            "Deliveries that have ended: delivered, or dead-letter (given up, kept for replay)",
            delivering.ended.clone(),
        );
        registry.register_with_unit(
            "time_to_delivery",
            "From acceptance or replay to the shop's good answer",
            Unit::Seconds,
            delivering.took.clone(),
        );

        registry.register(
            "config_last_reload_successful",
            "1 if the files were applied when that was last asked for; 0: they were refused, the configuration before runs on",
            reloading.succeeded.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the files were last found to be what runs, in Unix time",
            Unit::Seconds,
            reloading.succeeded_at.clone(),
        );
        Self { registry }
    }

    /// What was counted and what was read, as [`CONTENT_TYPE`]. Of what could not be read nothing is told: 0 would be
    /// a lie, and a rise from it an alert.
    pub fn text(&self, reading: Option<&Reading>) -> String {
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.registry)
            .and_then(|()| reading.map_or(Ok(()), |reading| encode_registry(&mut text, &reading.registry())))
            .and_then(|()| encode_eof(&mut text));
        written.expect("a String takes everything");
        text
    }
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            answered: by_word(&ANSWERS),
            acknowledged: Histogram::new(ACKNOWLEDGING),
        }
    }
}

impl Receiving {
    /// A call was answered with this first word, one of [`ANSWERS`].
    pub fn answered(&self, word: &'static str) {
        self.answered.get_or_create(&[("outcome", word)]).inc();
    }

    /// A call was answered 200 as soon as it was on disk, after so long.
    pub fn acknowledged(&self, took: Duration) {
        self.acknowledged.observe(took.as_secs_f64());
    }
}

impl Default for Storing {
    fn default() -> Self {
        Self {
            committed: Histogram::new(ACKNOWLEDGING),
            group: Histogram::new(GROUPS),
            emails: by_word(&[SENT, PUT_OFF, GIVEN_UP]),
        }
    }
}

impl Storing {
    /// A transaction with so many changes was synced.
    pub fn committed(&self, changes: usize, took: Duration) {
        self.committed.observe(took.as_secs_f64());
        self.group.observe(u32::try_from(changes).map_or(f64::MAX, f64::from));
    }

    /// The mail server has taken an e-mail.
    pub fn email_sent(&self) {
        self.emails.get_or_create(&[("outcome", SENT)]).inc();
    }

    /// It has not; `will_retry`: it will be asked again.
    pub fn email_failed(&self, will_retry: bool) {
        let outcome = if will_retry { PUT_OFF } else { GIVEN_UP };
        self.emails.get_or_create(&[("outcome", outcome)]).inc();
    }
}

impl Default for Delivering {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            ended: Family::default(),
            took: Family::new_with_constructor(|| Histogram::new(DELIVERING)),
        }
    }
}

impl Delivering {
    /// The handles of one destination.
    pub fn to(&self, key: &DestinationKey) -> DeliveringTo {
        let destination = DestinationLabels::from(key);
        let with = |outcome| DestinationAnd {
            destination: destination.clone(),
            outcome,
        };
        let attempts = |outcome| self.attempts.get_or_create_owned(&with(outcome));
        let ended = |outcome| self.ended.get_or_create_owned(&with(outcome));
        DeliveringTo {
            answered_ko: attempts("answered-ko"),
            delivered: attempts("delivered"),
            rejected: attempts("rejected"),
            unavailable: attempts("unavailable"),
            ended_well: ended("delivered"),
            dead_letters: ended("dead-letter"),
            took: self.took.get_or_create_owned(&destination),
        }
    }
}

impl DeliveringTo {
    /// An attempt has ended so; `since`: how long ago it was accepted.
    pub fn attempted(&self, outcome: &Outcome, since: Duration) {
        match outcome {
            Outcome::Delivered { ko, .. } => {
                if ko.is_some() {
                    &self.answered_ko
                } else {
                    &self.delivered
                }
                .inc();
                self.ended_well.inc();
                self.took.observe(since.as_secs_f64());
            }
            Outcome::Rejected { .. } => drop(self.rejected.inc()),
            Outcome::Unavailable { .. } => drop(self.unavailable.inc()),
        }
    }

    /// So many deliveries were given up.
    pub fn gave_up(&self, deliveries: usize) {
        self.dead_letters.inc_by(u64::try_from(deliveries).unwrap_or(u64::MAX));
    }
}

impl Reloading {
    /// What runs is what the files say.
    pub fn succeeded(&self, now: Timestamp) {
        self.succeeded.set(1);
        self.succeeded_at.set(now.as_second());
    }

    /// What the files say was refused.
    pub fn refused(&self) {
        self.succeeded.set(0);
    }
}

impl From<&DestinationKey> for DestinationLabels {
    fn from(key: &DestinationKey) -> Self {
        Self {
            legal_entity: key.legal_entity.to_string(),
            shop: key.shop.to_string(),
            mode: key.mode.word(),
            rendition: key.rendition.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Answer, Cause, Format, Mode, Rendition, Verdict};

    fn text(count: impl FnOnce(&Receiving, &Storing, &Delivering, &Reloading)) -> String {
        let (receiving, storing) = (Receiving::default(), Storing::default());
        let (delivering, reloading) = (Delivering::default(), Reloading::default());
        let metrics = Metrics::new(&receiving, &storing, &delivering, &reloading);
        count(&receiving, &storing, &delivering, &reloading);
        metrics.text(Some(&Reading::default()))
    }

    #[track_caller]
    fn assert_has(text: &str, line: &str) {
        assert!(text.lines().any(|one| one == line), "{line}\n\n{text}");
    }

    #[test]
    fn what_is_counted_is_told_by_name_label_and_help() {
        let text = text(|receiving, storing, _, reloading| {
            receiving.answered("OK-stored");
            receiving.acknowledged(Duration::from_millis(1));
            storing.committed(3, Duration::from_millis(3));
            storing.email_failed(true);
            reloading.succeeded(Timestamp::UNIX_EPOCH);
            reloading.refused();
        });
        for line in [
            "ipn_router_notifications_total{outcome=\"OK-stored\"} 1",
            "ipn_router_acknowledge_seconds_bucket{le=\"0.001\"} 1",
            "ipn_router_acknowledge_seconds_bucket{le=\"0.0005\"} 0",
            "ipn_router_commit_seconds_count 1",
            "ipn_router_commit_group_sum 3.0",
            "ipn_router_emails_total{outcome=\"put-off\"} 1",
            // So that the first one is a rise from 0.
            "ipn_router_emails_total{outcome=\"given-up\"} 0",
            "ipn_router_notifications_total{outcome=\"KO-not-stored\"} 0",
            "ipn_router_config_last_reload_successful 0",
            "ipn_router_config_last_reload_success_timestamp_seconds 0",
        ] {
            assert_has(&text, line);
        }
        assert!(text.contains("ipn_router_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let help = line.replacen("TYPE", "HELP", 1);
            let name = help.rsplit_once(' ').unwrap().0;
            assert_eq!(
                text.matches(&format!("{name} ")).count(),
                1,
                "{line} has no help, or more than one"
            );
        }
    }

    #[test]
    fn what_could_not_be_read_is_not_told_as_nothing() {
        let metrics = Metrics::new(
            &Receiving::default(),
            &Storing::default(),
            &Delivering::default(),
            &Reloading::default(),
        );
        let held = "ipn_router_notifications_held";
        assert!(metrics.text(Some(&Reading::default())).contains(held));
        let text = metrics.text(None);
        assert!(
            !text.contains(held) && text.contains("ipn_router_notifications_total"),
            "{text}"
        );
    }

    #[test]
    fn destination_is_counted_from_its_first_attempt_and_named_by_configured_words() {
        let key = DestinationKey {
            legal_entity: "acme".parse().unwrap(),
            shop: "23456789".parse().unwrap(),
            mode: Mode::Test,
            rendition: Rendition::ReSigned(Format::Form),
        };
        let answer = || Answer {
            status: 200,
            excerpt: Vec::new(),
            retry_after: None,
        };
        let text = text(|_, _, delivering, _| {
            let lyon = delivering.to(&key);
            let delivered = |ko| Outcome::Delivered { answer: answer(), ko };
            lyon.attempted(&delivered(None), Duration::from_secs(1));
            let ko = Verdict {
                text: "KO-no".to_owned(),
                about_signature: false,
            };
            lyon.attempted(&delivered(Some(ko)), Duration::from_secs(60));
            let refused = Outcome::Unavailable {
                cause: Cause::Connect,
                answer: None,
                detail: "refused".to_owned(),
            };
            lyon.attempted(&refused, Duration::ZERO);
            lyon.gave_up(2);
        });
        let labels = "legal_entity=\"acme\",shop=\"23456789\",mode=\"TEST\",rendition=\"form-resigned\"";
        for (name, outcome, count) in [
            ("attempts", "delivered", 1),
            ("attempts", "answered-ko", 1),
            ("attempts", "unavailable", 1),
            // So that the first one is a rise from 0.
            ("attempts", "rejected", 0),
            ("deliveries", "delivered", 2),
            ("deliveries", "dead-letter", 2),
        ] {
            let line = format!("ipn_router_{name}_total{{{labels},outcome=\"{outcome}\"}} {count}");
            assert_has(&text, &line);
        }
        assert_has(
            &text,
            &format!("ipn_router_time_to_delivery_seconds_count{{{labels}}} 2"),
        );
    }
}
