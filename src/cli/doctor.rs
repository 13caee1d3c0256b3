//! `doctor`: does a shop's service do with our calls what it must?

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::check::{CONFIGURATION_ERROR, Format};
use super::load;
use super::page::{beside, lasting};
use super::simulator::{self, Gateway, Key, Occasion, Occurrence};
use super::verify::{BAD, GOOD};
use super::words::modes;
use crate::deliver::{Client, Connection, Nth, Rendered, Renderer, Settings, Signing, probe};
use crate::domain::{
    self, Circle, Clock, Kind, KindPattern, LegalEntity, Matter, Mode, NotificationId, Outcome, Rendition, Secret,
    ShopId, SystemClock, shown_url, valid_until,
};
use crate::outbox::StoredNotification;
use crate::route;
use crate::verify::{Content, FormHash};

/// Calls a shop's URLs as the daemon would, about a card that does not exist, and says what they do wrong.
///
/// Each URL is called with a right signature, then once more as a repetition, with a wrong signature, and, as an event,
/// with a timestamp of an hour ago. The token begins with ipn-router-doctor; a shop that stores what it is told stores
/// it too. The daemon need not run.
///
/// Exit codes: 0 nothing is wrong, 1 something is, 78 the configuration has errors.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ipn-router doctor --shop 23456789 --mode test")]
pub(super) struct Options {
    #[arg(long, value_name = "ID")]
    shop: ShopId,
    #[arg(long, value_parser = modes())]
    mode: Mode,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What was found at one URL.
#[derive(Debug, Serialize)]
struct Examined {
    rendition: Rendition,
    url: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    /// What came of it, in words.
    note: String,
    milliseconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Bad,
    Good,
    /// It works, and could be better.
    Weak,
}

/// How a call is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signature {
    /// Rightly, but an hour ago.
    Old,
    Right,
    Wrong,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let mut urls: Vec<&Settings> = Vec::new();
    for settings in &loaded.config.destinations {
        let is_meant = settings.key.shop == options.shop && settings.key.mode == options.mode;
        // What is re-signed goes to the URL of that format, and looks there as if the gateway had sent it.
        if is_meant && urls.iter().all(|other| other.url != settings.url) {
            urls.push(settings);
        }
    }
    if urls.is_empty() {
        bail!(
            "shop {} has no URL in {} in this configuration",
            options.shop,
            options.mode
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut examined = Vec::new();
    for settings in urls {
        examined.push(runtime.block_on(examine(settings, &clock))?);
    }
    let mut out = anstream::stdout().lock();
    match options.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&examined)?)?,
        Format::Text => print(&examined, &mut out)?,
    }
    let mut findings = examined.iter().flat_map(|examined| &examined.findings);
    Ok(match findings.any(|finding| finding.verdict == Verdict::Bad) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

async fn examine(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Examined> {
    let rendition = settings.key.rendition;
    let mut examined = Examined {
        rendition,
        url: shown_url(&settings.url),
        findings: Vec::new(),
    };
    match probe(settings).await {
        Ok(reached) => {
            let certificate = reached.tls.and_then(|tls| valid_until(&tls.certificate));
            examined
                .findings
                .extend(certificate.map(|until| certificate_finding(until, clock.now())));
        }
        Err(error) => {
            examined
                .findings
                .push(Finding::new("connection", Verdict::Bad, error.to_string()));
            return Ok(examined);
        }
    }
    let client = Client::new(settings, Arc::clone(clock)).context("this URL cannot be called")?;
    let mut connection = Connection::new(Arc::new(client));
    let mut occurrence = Occurrence::new(Kind::TokenCreated, clock.now());
    occurrence.token = Some(format!("ipn-router-doctor-{:08x}", fastrand::u32(..)));
    let caller = Caller::new(settings, &occurrence, clock.now())?;
    let mut calls = vec![
        ("right signature", Signature::Right, 1),
        ("the same again", Signature::Right, 2),
    ];
    calls.push(("wrong signature", Signature::Wrong, 1));
    if rendition == Rendition::Event {
        calls.push(("an hour old", Signature::Old, 1));
    }
    for (what, signature, attempt) in calls {
        let rendered = caller.render(signature, attempt, clock.now())?;
        let started = Instant::now();
        let outcome = connection.attempt(rendered).await;
        examined
            .findings
            .push(judged(what, signature, &outcome, started.elapsed()));
    }
    Ok(examined)
}

impl Finding {
    fn new(what: &'static str, verdict: Verdict, note: impl Into<String>) -> Self {
        Self {
            what,
            verdict,
            note: note.into(),
            milliseconds: None,
        }
    }
}

fn certificate_finding(until: Timestamp, now: Timestamp) -> Finding {
    const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);
    let left = until.duration_since(now);
    let verdict = if left < SOON { Verdict::Weak } else { Verdict::Good };
    Finding::new("certificate", verdict, format!("ends in {}", lasting(now, until)))
}

/// What an answer says of a service. One that is signed rightly must be taken, and taken again; any other refused.
fn judged(what: &'static str, signature: Signature, outcome: &Outcome, took: Duration) -> Finding {
    let answer = match outcome {
        Outcome::Delivered { answer, ko: None } => format!("answered {}", answer.status),
        Outcome::Delivered { answer, ko: Some(ko) } => format!("answered {}, {}", answer.status, ko.text),
        Outcome::Rejected { cause, .. } => format!("refused: {cause}"),
        Outcome::Unavailable { cause, detail, .. } => format!("failed: {cause} {detail}").trim_end().to_owned(),
    };
    let refuses = match outcome {
        Outcome::Delivered { ko, .. } => ko.is_some(),
        Outcome::Rejected { .. } => true,
        Outcome::Unavailable { .. } => false,
    };
    let takes = matches!(outcome, Outcome::Delivered { ko: None, .. });
    let (verdict, advice) = match signature {
        Signature::Right if takes => (Verdict::Good, ""),
        Signature::Right if refuses => (Verdict::Bad, "; is the key or secret here the one that it has?"),
        Signature::Right => (Verdict::Bad, ""),
        Signature::Wrong | Signature::Old if refuses => (Verdict::Good, ""),
        Signature::Wrong if takes => (
            Verdict::Bad,
            "; anybody could send it what he likes: check the signature",
        ),
        Signature::Old if takes => (
            Verdict::Weak,
            "; an old call could be sent again: check webhook-timestamp",
        ),
        Signature::Wrong | Signature::Old => (Verdict::Weak, "; an error where a refusal was due: answer 401"),
    };
    Finding {
        milliseconds: u64::try_from(took.as_millis()).ok(),
        ..Finding::new(what, verdict, answer + advice)
    }
}

/// Writes the calls of one URL.
enum Caller {
    Event {
        right: Box<Renderer>,
        wrong: Box<Renderer>,
        told: Box<StoredNotification>,
    },
    Gateway {
        settings: Box<Settings>,
        right: Gateway,
        wrong: Gateway,
        occurrence: Box<Occurrence>,
    },
}

impl Caller {
    fn new(settings: &Settings, occurrence: &Occurrence, now: Timestamp) -> anyhow::Result<Self> {
        let domain::DestinationKey {
            shop, mode, rendition, ..
        } = settings.key.clone();
        let signing = &settings.signing;
        let gateway = |key| Gateway { shop, mode, key };
        let key = match rendition {
            Rendition::Event => {
                let forms = Key::Form {
                    key: Secret::new("any"),
                    hash: FormHash::HmacSha256,
                };
                let wrong = Signing {
                    event_secrets: vec![another_secret()],
                    ..Signing::default()
                };
                let wrong = Settings {
                    signing: wrong,
                    ..settings.clone()
                };
                return Ok(Self::Event {
                    right: Box::new(Renderer::new(settings)?),
                    wrong: Box::new(Renderer::new(&wrong)?),
                    told: Box::new(stored(&gateway(forms), settings, occurrence, now)?),
                });
            }
            Rendition::AsReceived(domain::Format::Form) | Rendition::ReSigned(domain::Format::Form) => {
                signing.form_keys.first().map(|key| Key::Form {
                    key: key.clone(),
                    hash: signing.form_hashes.first().copied().unwrap_or(FormHash::HmacSha256),
                })
            }
            Rendition::AsReceived(domain::Format::Rest) | Rendition::ReSigned(domain::Format::Rest) => {
                signing.rest_passwords.first().map(|password| Key::Rest {
                    password: password.clone(),
                })
            }
        };
        let key = key.with_context(|| format!("nothing can be signed for {}: no key of it is here", settings.url))?;
        Ok(Self::Gateway {
            settings: Box::new(settings.clone()),
            wrong: gateway(key.wrong()),
            right: gateway(key),
            occurrence: Box::new(occurrence.clone()),
        })
    }

    fn render(&self, signature: Signature, attempt: u32, now: Timestamp) -> anyhow::Result<Rendered> {
        match self {
            Self::Event { right, wrong, told } => {
                let renderer = if signature == Signature::Wrong { wrong } else { right };
                let at = match signature {
                    Signature::Old => now.checked_sub(SignedDuration::from_hours(1))?,
                    Signature::Right | Signature::Wrong => now,
                };
                Ok(renderer.render(told, Nth { attempt, ..Nth::FIRST }, at)?)
            }
            Self::Gateway {
                settings,
                right,
                wrong,
                occurrence,
            } => {
                let gateway = if signature == Signature::Wrong { wrong } else { right };
                let body = gateway.tell(occurrence, Occasion::First, now)?;
                Ok(simulator::call(&settings.url, body))
            }
        }
    }
}

/// What the daemon would have stored of it, whatever the company shares.
fn stored(
    gateway: &Gateway,
    settings: &Settings,
    occurrence: &Occurrence,
    now: Timestamp,
) -> anyhow::Result<StoredNotification> {
    let legal_entity = LegalEntity {
        id: settings.key.legal_entity.clone(),
        name: settings.legal_entity_name.clone(),
        enabled: true,
        share: vec![KindPattern::All],
        wait_for_named_shop: None,
    };
    let circle = Circle {
        legal_entity: Arc::new(legal_entity),
        mode: gateway.mode,
        members: Vec::new(),
    };
    let body = gateway.tell(occurrence, Occasion::First, now)?;
    let content = Content::decode(&body)?;
    let plan = route::plan(&content, gateway.shop, &circle, now, false);
    Ok(StoredNotification {
        id: NotificationId::new(now),
        received_at: now,
        legal_entity: settings.key.legal_entity.clone(),
        shop: gateway.shop,
        mode: gateway.mode,
        format: content.format(),
        matter: Matter {
            kind: plan.kind,
            charge: plan.happening.charge_outcome(),
        },
        event: plan.event,
        resend_of: None,
        headers: String::new(),
        body,
        event_body: OnceLock::new(),
    })
}

/// One that no shop has.
fn another_secret() -> Secret {
    let key: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    Secret::new(format!("whsec_{}", STANDARD.encode(key)))
}

fn print(examined: &[Examined], out: &mut impl Write) -> io::Result<()> {
    for (
        number,
        Examined {
            rendition,
            url,
            findings,
        },
    ) in examined.iter().enumerate()
    {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{rendition} {url}")?;
        for finding in findings {
            let mark = match finding.verdict {
                Verdict::Bad => format!("{BAD}BAD{BAD:#}  "),
                Verdict::Good => format!("{GOOD}good{GOOD:#} "),
                Verdict::Weak => "weak ".into(),
            };
            let took = finding
                .milliseconds
                .map_or_else(String::new, |took| format!(" ({took} ms)"));
            write!(out, "  {mark}")?;
            beside(out, finding.what, 17, &format!("{}{took}", finding.note))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Answer, Cause};

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            excerpt: Vec::new(),
            retry_after: None,
        }
    }

    #[test]
    fn right_signature_must_be_taken_and_any_other_refused() {
        let taken = Outcome::Delivered {
            answer: answer(200),
            ko: None,
        };
        let said_ko = Outcome::Delivered {
            answer: answer(200),
            ko: Some(domain::Verdict {
                text: "KO-Authentication failed".into(),
                about_signature: true,
            }),
        };
        let refused = Outcome::Rejected {
            cause: Cause::Status(401),
            answer: Some(answer(401)),
            detail: String::new(),
        };
        let failed = Outcome::Unavailable {
            cause: Cause::Status(500),
            answer: Some(answer(500)),
            detail: String::new(),
        };
        for (signature, outcome, verdict) in [
            (Signature::Right, &taken, Verdict::Good),
            (Signature::Right, &said_ko, Verdict::Bad),
            (Signature::Right, &refused, Verdict::Bad),
            (Signature::Right, &failed, Verdict::Bad),
            (Signature::Wrong, &taken, Verdict::Bad),
            (Signature::Wrong, &said_ko, Verdict::Good),
            (Signature::Wrong, &refused, Verdict::Good),
            (Signature::Wrong, &failed, Verdict::Weak),
            (Signature::Old, &taken, Verdict::Weak),
            (Signature::Old, &refused, Verdict::Good),
        ] {
            let finding = judged("a call", signature, outcome, Duration::ZERO);
            assert_eq!(finding.verdict, verdict, "{signature:?} {finding:?}");
        }
    }
}
