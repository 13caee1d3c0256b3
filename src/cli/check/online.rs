//! `check --online`: whether everything that the configuration names can be reached from here. Nothing is sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::alert::{MailSettings, Mailer};
use crate::config::Config;
use crate::deliver::{self, ProbeError, probe};
use crate::domain::{Cause, Circle, Format, Rendition, valid_until};
use crate::outbox::{self, StoreState, look};

/// Connections at once.
const AT_ONCE: usize = 32;

/// A certificate that ends sooner is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// "23456789 test event_url".
    pub(super) what: String,
    /// Where it is: an address, a host, a path.
    pub(super) at: String,
    /// The version of TLS; empty if there is none, or it is not known.
    pub(super) tls: String,
    /// The end of the certificate.
    pub(super) until: Option<Timestamp>,
    pub(super) verdict: Verdict,
    /// What there is to say.
    pub(super) notes: Vec<String>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Verdict {
    /// Not tried: it is switched off.
    Off,
    Good,
    Warning,
    Fails,
}

impl Finding {
    fn good(what: impl Into<String>, at: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: at.into(),
            tls: String::new(),
            until: None,
            verdict: Verdict::Good,
            notes: Vec::new(),
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn worse(mut self, verdict: Verdict, note: impl Into<String>) -> Self {
        self.verdict = self.verdict.max(verdict);
        self.note(note)
    }

    /// With a certificate, and a warning if it ends soon.
    fn certificate(mut self, certificate: &[u8], now: Timestamp) -> Self {
        self.until = valid_until(certificate);
        match self.until {
            Some(until) if until <= now => self.worse(Verdict::Warning, "the certificate has ended"),
            Some(until) if until < now.saturating_add(SOON).unwrap_or(Timestamp::MAX) => {
                let days = days_until(until, now);
                let unit = if days == 1 { "day" } else { "days" };
                self.worse(
                    Verdict::Warning,
                    format!("the certificate ends in {days} {unit}: renew it"),
                )
            }
            _ => self,
        }
    }
}

/// Whole days until then.
pub(super) fn days_until(until: Timestamp, now: Timestamp) -> i64 {
    until.duration_since(now).as_hours() / 24
}

/// Looks at everything, side by side.
pub(super) async fn look_at(config: &Config, now: Timestamp) -> Vec<Finding> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut looking = JoinSet::new();
    for (number, (what, settings)) in each_url_once(&config.destinations).into_iter().enumerate() {
        let at_once = Arc::clone(&at_once);
        looking.spawn(async move {
            let _one_of_them = at_once.acquire().await;
            (number, destination(what, &settings, now).await)
        });
    }
    if let Some(mail) = config.alert.mail.clone() {
        looking.spawn(async move { (usize::MAX, mail_server(&mail, now).await) });
    }
    let mut found: Vec<_> = looking.join_all().await;
    found.sort_by_key(|(number, _)| *number);
    let mut found: Vec<_> = found.into_iter().map(|(_, finding)| finding).collect();
    found.extend(
        config
            .receiver
            .tls
            .as_ref()
            .map(|tls| own_certificate(&tls.certificate, now)),
    );
    found.push(store(&config.store));
    found.extend(switched_off(&config.circles));
    found
}

/// Nothing is delivered to these, so nothing is tried; but whoever looks for them is to see why they are not there.
fn switched_off(circles: &[Arc<Circle>]) -> Vec<Finding> {
    let mut found = Vec::new();
    for circle in circles {
        let company = &circle.legal_entity;
        for member in &circle.members {
            let why = match (company.enabled, member.enabled) {
                (true, true) => continue,
                (false, _) => format!("not tried: [legal_entities.{}] has `enabled = false`", company.id),
                (true, false) => format!("not tried: [shops.{}] has `enabled = false`", member.shop),
            };
            for (name, url) in [
                ("form_url", &member.form_url),
                ("rest_url", &member.rest_url),
                ("event_url", &member.event_url),
            ] {
                if let Some(url) = url {
                    let what = format!("{} {} {name}", member.shop, circle.mode.word().to_lowercase());
                    let finding = Finding::good(what, url.host_str().unwrap_or_default());
                    found.push(Finding {
                        verdict: Verdict::Off,
                        ..finding.note(why.clone())
                    });
                }
            }
        }
    }
    found
}

/// What the renditions of one URL share is looked at once.
fn each_url_once(destinations: &[deliver::Settings]) -> Vec<(String, deliver::Settings)> {
    let mut once = BTreeMap::new();
    for settings in destinations {
        let key = &settings.key;
        let (url, number) = match key.rendition {
            Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => ("form_url", 0),
            Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => ("rest_url", 1),
            Rendition::Event => ("event_url", 2),
        };
        let what = format!("{} {} {url}", key.shop, key.mode.word().to_lowercase());
        once.entry((key.shop, key.mode, number))
            .or_insert((what, settings.clone()));
    }
    once.into_values().collect()
}

async fn destination(what: String, settings: &deliver::Settings, now: Timestamp) -> Finding {
    let host = settings.url.host_str().unwrap_or_default();
    match probe(settings).await {
        Ok(reached) => {
            let mut finding = Finding::good(what, reached.address.to_string());
            if let Some(tls) = reached.tls {
                finding.tls = tls.version.to_owned();
                finding = finding.certificate(&tls.certificate, now);
            }
            finding
        }
        Err(error) => {
            let finding = Finding::good(what, host).worse(Verdict::Fails, error.to_string());
            match advice(&error, settings) {
                Some(advice) => finding.note(advice),
                None => finding,
            }
        }
    }
}

/// What to do about it, where the error alone does not say.
fn advice(error: &ProbeError, settings: &deliver::Settings) -> Option<String> {
    let ProbeError::Failed { cause, detail } = error else {
        return None;
    };
    let shop = settings.key.shop;
    match cause {
        Cause::Blocked => Some(format!(
            "nothing is sent to a private address; if it is meant, add `allow_private = true` to [shops.{shop}]"
        )),
        Cause::Tls if detail.contains("UnknownIssuer") => Some(format!(
            "if the shop has an authority of its own, name it with `ca` in [shops.{shop}]"
        )),
        Cause::Tls if detail.contains("CaUsedAsEndEntity") => Some(
            "the server shows the certificate of an authority as its own, as `openssl req -x509` makes them; it needs one \
             that an authority has issued for its name"
                .to_owned(),
        ),
        Cause::Tls if detail.contains("InvalidContentType") => {
            Some("it answers, but not by TLS: perhaps this is the port of http://, or of another service".to_owned())
        }
        Cause::Tls if detail.contains("expired") => Some("the shop has to renew its certificate".to_owned()),
        Cause::Tls if detail.contains("CertificateRequired") => Some(format!(
            "the server wants a certificate of ours: `client_certificate` in [shops.{shop}]"
        )),
        _ => None,
    }
}

async fn mail_server(settings: &MailSettings, now: Timestamp) -> Finding {
    let finding = Finding::good("mail server", format!("{}:{}", settings.host, settings.port));
    let mailer = match Mailer::new(settings) {
        Ok(mailer) => mailer,
        Err(error) => return finding.worse(Verdict::Fails, format!("{:#}", anyhow::Error::new(error))),
    };
    match mailer.probe().await {
        Ok(session) => {
            let mut finding = finding;
            if session.is_encrypted {
                finding.tls = "yes".to_owned();
            }
            if session.is_logged_in {
                finding = finding.note("the login is right");
            }
            match session.certificate {
                Some(certificate) => finding.certificate(&certificate, now),
                None => finding,
            }
        }
        Err(error) => finding.worse(Verdict::Fails, error.to_string()),
    }
}

/// What we show to the gateway.
fn own_certificate(path: &Path, now: Timestamp) -> Finding {
    let finding = Finding::good("our certificate", path.display().to_string());
    match CertificateDer::from_pem_file(path) {
        Ok(certificate) => finding.certificate(&certificate, now),
        Err(error) => finding.worse(Verdict::Fails, format!("it cannot be read: {error}")),
    }
}

fn store(settings: &outbox::Settings) -> Finding {
    let finding = Finding::good("store", settings.path.display().to_string());
    let found = match look(settings) {
        Ok(found) => found,
        Err(error) => return finding.worse(Verdict::Fails, format!("{:#}", anyhow::Error::new(error))),
    };
    let state = match found.state {
        StoreState::InUse => "in use by a running daemon",
        StoreState::New => "not there yet; it can be made",
        StoreState::Ready => "can be opened",
    };
    let free = format!("{state}; {} MB free", found.free / 1_000_000);
    if found.free < found.reserve {
        finding.worse(Verdict::Fails, format!("{free}, with which nothing new is accepted"))
    } else if found.free < 4 * found.reserve {
        finding.worse(
            Verdict::Warning,
            format!("{free}; at {} MB nothing new is accepted", found.reserve / 1_000_000),
        )
    } else {
        finding.note(free)
    }
}
