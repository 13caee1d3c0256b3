use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use super::{Frame, Unavailable, show};
use crate::admin::api::MailLine;
use crate::admin::listener::Inside;
use crate::outbox::{EmailLine, EmailState, EmailsWanted};

/// On a page of older ones, and of those that wait.
const SHOWN: u32 = 100;
/// Where other things stand on the page, too.
const NEWEST: u32 = 20;

#[derive(Template)]
#[template(path = "emails.html", config = ".askama.toml")]
struct EmailsPage {
    frame: Frame,
    mail: Mail,
    /// How many wait in all.
    all_waiting: u32,
    waiting: Vec<Email>,
    given_up: Older,
    newest: Older,
}

#[derive(Template)]
#[template(path = "emails-older.html", config = ".askama.toml")]
struct OlderPage {
    frame: Frame,
    is_given_up: bool,
    older: Older,
}

/// One page of many, the newest first.
struct Older {
    emails: Vec<Email>,
    /// The e-mail before which the next page begins.
    next: Option<i64>,
}

/// Which page of which of them; nothing: how everything stands.
#[derive(Debug, Deserialize)]
pub(super) struct Search {
    state: Option<Sort>,
    before: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Sort {
    GivenUp,
}

/// How the sending goes.
pub(super) struct Mail {
    pub(super) failing_since: Option<When>,
    pub(super) last_sent: Option<When>,
    /// When the server last took one not, and what it said.
    pub(super) last_refusal: Option<(When, String)>,
}

impl Mail {
    pub(super) fn of(line: MailLine, now: Timestamp) -> Self {
        let when = |at| When::new(at, now);
        Self {
            failing_since: line.failing_since.map(when),
            last_sent: line.last_sent.map(when),
            last_refusal: line.last_refusal.map(|refusal| (when(refusal.at), refusal.why)),
        }
    }
}

/// One row.
pub(super) struct Email {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) badge: Badge,
    pub(super) created: When,
    pub(super) ended: Option<When>,
    pub(super) due: Option<When>,
    pub(super) attempts: u32,
    pub(super) error: String,
    /// The incident that it tells of.
    pub(super) incident: Option<i64>,
}

impl Email {
    pub(super) fn of(line: EmailLine, now: Timestamp) -> Self {
        let when = |at| When::new(at, now);
        Self {
            incident: incident(&line.thread),
            to: line.to,
            subject: line.subject,
            badge: line.state.into(),
            created: when(line.created_at),
            ended: line.ended_at.map(when),
            due: match line.state {
                EmailState::Waiting { due } if line.attempts > 0 => Some(when(due)),
                _ => None,
            },
            attempts: line.attempts,
            error: line.error,
        }
    }
}

/// The number in the name of a thread.
fn incident(thread: &str) -> Option<i64> {
    thread.strip_prefix("incident-")?.parse().ok()
}

impl Older {
    /// `limit`: as many were asked for.
    fn of(lines: Vec<EmailLine>, limit: u32, now: Timestamp) -> Self {
        Self {
            next: lines.get(limit as usize - 1).map(|last| last.id),
            emails: told(lines, now),
        }
    }
}

fn told(lines: Vec<EmailLine>, now: Timestamp) -> Vec<Email> {
    lines.into_iter().map(|line| Email::of(line, now)).collect()
}

/// What waits first, then what was given up, then the newest of all; or a page of older ones.
pub(super) async fn emails(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Query(Search { state, before }): Query<Search>,
) -> Result<Response, Unavailable> {
    let (outbox, now) = (&inside.parts.outbox, inside.parts.clock.now());
    let frame = visitor.frame("emails");
    let is_given_up = state == Some(Sort::GivenUp);
    if is_given_up || before.is_some() {
        let wanted = match is_given_up {
            true => EmailsWanted::GivenUp { before },
            false => EmailsWanted::All { before },
        };
        let older = Older::of(outbox.emails(wanted, SHOWN).await?, SHOWN, now);
        let page = OlderPage {
            frame,
            is_given_up,
            older,
        };
        return Ok(show(StatusCode::OK, &page));
    }
    let given_up = outbox.emails(EmailsWanted::GivenUp { before: None }, NEWEST).await?;
    let newest = outbox.emails(EmailsWanted::All { before: None }, NEWEST).await?;
    let page = EmailsPage {
        frame,
        mail: Mail::of(inside.parts.alert.mail_state().into(), now),
        all_waiting: outbox.totals().await?.emails_waiting,
        waiting: told(outbox.emails(EmailsWanted::Waiting, SHOWN).await?, now),
        given_up: Older::of(given_up, NEWEST, now),
        newest: Older::of(newest, NEWEST, now),
    };
    Ok(show(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_names_its_incident() {
        assert_eq!(incident("incident-7"), Some(7));
        assert_eq!(incident("trouble-3"), None);
        assert_eq!(incident("incident-x"), None);
    }
}
