use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use super::{Frame, Unavailable, show};
use crate::admin::listener::Inside;
use crate::outbox::{EmailLine, EmailState, EmailsWanted};

/// Of each sort.
const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "emails.html", config = ".askama.toml")]
struct EmailsPage {
    frame: Frame,
    waiting: Vec<Email>,
    given_up: Vec<Email>,
    newest: Vec<Email>,
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

/// What waits first, then what was given up, then the newest of all.
pub(super) async fn emails(State(inside): State<Arc<Inside>>, visitor: Visitor) -> Result<Response, Unavailable> {
    let (outbox, now) = (&inside.parts.outbox, inside.parts.clock.now());
    let told = |lines: Vec<EmailLine>| lines.into_iter().map(|line| Email::of(line, now)).collect();
    let page = EmailsPage {
        frame: visitor.frame("emails"),
        waiting: told(outbox.emails(EmailsWanted::Waiting, SHOWN).await?),
        given_up: told(outbox.emails(EmailsWanted::GivenUp, SHOWN).await?),
        newest: told(outbox.emails(EmailsWanted::All, SHOWN).await?),
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
