use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::configuration::{Refused, refused};
use super::emails::Mail;
use super::incidents::{Incident, open_incidents};
use super::visitor::Visitor;
use super::when::When;
use super::wish::{Act, Button, Wish};
use super::words::{self, Badge, Tone, counted};
use super::{Frame, Unavailable, show};
use crate::admin::api::{self, DestinationStatus, Parts, Status};
use crate::admin::listener::Inside;
use crate::domain::{DestinationKey, LegalEntityId, Mode, ShopId};
use crate::outbox::DestinationLine;

/// The rate is that of these last minutes.
const LATELY: Duration = Duration::from_mins(5);

#[derive(Template)]
#[template(path = "status.html", config = ".askama.toml")]
struct StatusPage {
    frame: Frame,
    headline: Headline,
    refused: Option<Refused>,
    /// Parts of the configuration that only a restart changes, and that differ by now.
    waits_for_restart: Vec<&'static str>,
    mail: Mail,
    incidents: Vec<Incident>,
    companies: Vec<Company>,
    heard: Vec<Heard>,
    since: When,
    status: Status,
}

/// The whole in a sentence.
#[derive(Debug, Eq, PartialEq)]
struct Headline {
    tone: Tone,
    text: String,
}

struct Company {
    name: String,
    destinations: Vec<Destination>,
}

/// One row.
struct Destination {
    shop_name: String,
    shop: ShopId,
    mode: Mode,
    gets: &'static str,
    state: &'static str,
    tone: Tone,
    /// Since when it is in this state, unless it is up.
    since: Option<When>,
    waiting: u32,
    oldest: Option<When>,
    last: Option<LastAnswer>,
    rate: String,
    incident: Option<i64>,
    button: Option<Button>,
}

/// Attempts within [`LATELY`], told by the minute.
struct Rate(u32);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = u64::from(self.0) * 600 / LATELY.as_secs();
        match (tenths / 10, tenths % 10) {
            (0, 0) => f.write_str("–"),
            (whole, 0) => write!(f, "{whole}/min"),
            (whole, tenth) => write!(f, "{whole}.{tenth}/min"),
        }
    }
}

/// What the last attempt came to.
struct LastAnswer {
    at: When,
    badge: Badge,
}

/// When the gateway last called for a company.
struct Heard {
    company: String,
    mode: Mode,
    /// `None`: never.
    at: Option<When>,
}

/// How everything stands.
pub(super) async fn status(State(inside): State<Arc<Inside>>, visitor: Visitor) -> Result<Response, Unavailable> {
    let status = api::look(&inside.parts).await?;
    let rates = rates(&inside.parts, status.now).await?;
    let waits_for_restart = inside.parts.running.borrow().waits_for_restart.clone();
    let page = StatusPage {
        frame: visitor.frame("status"),
        headline: Headline::of(&status),
        refused: refused(&inside),
        waits_for_restart,
        mail: Mail::of(status.mail.clone(), status.now),
        incidents: open_incidents(&inside.parts, status.now).await?,
        companies: companies(&inside.parts, &status, &rates),
        heard: heard(&inside.parts, &status),
        since: When::new(status.since, status.now),
        status,
    };
    Ok(show(StatusCode::OK, &page))
}

impl Headline {
    /// The worst first.
    fn of(status: &Status) -> Self {
        let count = |is: fn(&DestinationStatus) -> bool| status.destinations.iter().filter(|one| is(one)).count();
        let down = count(|one| one.line.down_since.is_some() && one.line.parked_since.is_none());
        let troubled = status.incidents.len();
        let waiting: u32 = status.destinations.iter().map(|one| one.load.waiting).sum();
        let (tone, text) = if down > 0 {
            let text = counted(down, "destination is down", "destinations are down");
            match troubled.saturating_sub(down) {
                0 => (Tone::Bad, text),
                more => (Tone::Bad, format!("{text}, {more} more in trouble")),
            }
        } else if troubled > 0 {
            let text = counted(troubled, "destination is", "destinations are");
            (Tone::Warn, format!("{text} in trouble"))
        } else if status.mail.failing_since.is_some() {
            (
                Tone::Warn,
                "No shop is in trouble, but e-mails do not get out".to_owned(),
            )
        } else if status.totals.quarantined > 0 {
            let text = counted(status.totals.quarantined, "notification waits", "notifications wait");
            (Tone::Warn, format!("{text} to be released"))
        } else if waiting > 0 {
            let text = counted(waiting, "delivery is", "deliveries are");
            (Tone::None, format!("{text} on the way or on hold"))
        } else {
            (Tone::Good, "Nothing waits, and no shop is in trouble".to_owned())
        };
        Self { tone, text }
    }
}

/// Attempts of late, by destination.
type Rates = BTreeMap<DestinationKey, u32>;

async fn rates(parts: &Parts, now: Timestamp) -> Result<Rates, Unavailable> {
    let since = now.saturating_sub(LATELY).unwrap_or(now);
    let mut rates = Rates::new();
    // One question each: others are answered in between.
    for (id, line) in parts.outbox.destinations().await? {
        rates.insert(line.key, parts.outbox.attempts_since(id, since).await?);
    }
    Ok(rates)
}

/// What can be done to a destination.
fn button(line: &DestinationLine) -> Option<Button> {
    match (line.parked_since, line.paused_since) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(Wish::with_destination(Act::Resume, &line.key).button("Resume…")),
        (None, None) => Some(Wish::with_destination(Act::Pause, &line.key).button("Pause…")),
    }
}

/// By company, in the order of their keys; what is in no configuration any more only if something waits for it.
fn companies(parts: &Parts, status: &Status, rates: &Rates) -> Vec<Company> {
    let mut rows = BTreeMap::<&LegalEntityId, Vec<&DestinationStatus>>::new();
    for one in &status.destinations {
        if one.line.parked_since.is_none() || one.load.waiting > 0 {
            rows.entry(&one.line.key.legal_entity).or_default().push(one);
        }
    }
    let circles = Arc::clone(&parts.circles.borrow());
    let name = |id: &LegalEntityId| {
        let found = circles.iter().find(|circle| circle.legal_entity.id == *id);
        found.map_or_else(|| id.to_string(), |circle| circle.legal_entity.name.clone())
    };
    let company = |(id, mut rows): (_, Vec<&DestinationStatus>)| {
        rows.sort_by_key(|one| &one.line.key);
        Company {
            name: name(id),
            destinations: rows
                .into_iter()
                .map(|one| Destination::of(one, rates.get(&one.line.key).copied().unwrap_or(0), status.now))
                .collect(),
        }
    };
    rows.into_iter().map(company).collect()
}

impl Destination {
    fn of(status: &DestinationStatus, rate: u32, now: Timestamp) -> Self {
        let (line, load) = (&status.line, &status.load);
        let (state, tone, since) = match (line.parked_since, line.paused_since, line.down_since) {
            (Some(since), ..) => ("not configured", Tone::Warn, Some(since)),
            (None, Some(since), _) => ("paused", Tone::Warn, Some(since)),
            (None, None, Some(since)) => ("down", Tone::Bad, Some(since)),
            (None, None, None) if load.incident.is_some() => ("failing", Tone::Warn, None),
            (None, None, None) => ("up", Tone::Good, None),
        };
        let when = |at| When::new(at, now);
        Self {
            shop_name: status.shop_name.clone().unwrap_or_default(),
            shop: line.key.shop,
            mode: line.key.mode,
            gets: words::gets(line.key.rendition),
            state,
            tone,
            since: since.map(when),
            waiting: load.waiting,
            oldest: load.oldest.map(when),
            last: load.last_attempt.as_ref().map(|attempt| LastAnswer {
                at: when(attempt.at),
                badge: attempt.into(),
            }),
            rate: Rate(rate).to_string(),
            incident: load.incident,
            button: button(line),
        }
    }
}

/// For each company in each mode in which the gateway can call.
fn heard(parts: &Parts, status: &Status) -> Vec<Heard> {
    let circles = Arc::clone(&parts.circles.borrow());
    let called = circles.iter().filter(|circle| {
        let mut members = circle.members.iter();
        members.any(|member| member.notified_by_form || member.notified_by_rest)
    });
    let heard = called.map(|circle| {
        let of_it = status
            .heard
            .iter()
            .find(|heard| heard.legal_entity == circle.legal_entity.id && heard.mode == circle.mode);
        Heard {
            company: circle.legal_entity.name.clone(),
            mode: circle.mode,
            at: of_it.map(|heard| When::new(heard.at, status.now)),
        }
    });
    heard.collect()
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_told_by_the_minute() {
        for (attempts, told) in [(0, "–"), (1, "0.2/min"), (5, "1/min"), (1_000, "200/min")] {
            assert_eq!(Rate(attempts).to_string(), told);
        }
    }
}
