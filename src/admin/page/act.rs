use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::time::timeout;

use super::visitor::Visitor;
use super::wish::{Act, Meant, Wish};
use super::{Frame, Unavailable, refuse, show, words};
use crate::admin::listener::Inside;
use crate::domain::Verb;
use crate::outbox::{Acknowledged, VerbResult};

/// Counting beforehand must not keep anybody waiting for long.
const FORESEE_WITHIN: Duration = Duration::from_secs(5);
/// Most of it is done by then, so that the next page can say what came of it.
const DONE_WITHIN: Duration = Duration::from_secs(3);

/// Asks whether it is meant, and says what would come of it.
#[derive(Template)]
#[template(path = "act.html", config = ".askama.toml")]
struct ActPage {
    frame: Frame,
    asked: Asked,
    pairs: Vec<(&'static str, String)>,
    foreseen: Foreseen,
    back: String,
}

/// The question, in words.
struct Asked {
    title: String,
    will: &'static str,
    /// On the button.
    yes: &'static str,
    /// For how long, if that is to be said.
    lasts: Option<Lasts>,
}

struct Lasts {
    label: &'static str,
    /// What no number of hours means.
    for_ever: &'static str,
}

/// What a dry run has found.
enum Foreseen {
    Counted(Lines),
    /// There is nothing to count.
    Nothing,
    TooMuch,
}

/// What comes of a verb, line by line.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Lines {
    pub(super) done: String,
    pub(super) left_out: Vec<String>,
    pub(super) arrived_as: Option<String>,
    pub(super) failed: Option<String>,
}

/// The page that asks.
pub(super) async fn ask(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Query(wish): Query<Wish>,
) -> Result<Response, Unavailable> {
    let frame = visitor.frame("");
    let meant = match wish.meant(inside.parts.clock.now()) {
        Ok(meant) => meant,
        Err(unclear) => return Ok(refuse(StatusCode::BAD_REQUEST, frame, unclear.to_string())),
    };
    let foreseen = match &meant {
        Meant::Acknowledge { .. } => Foreseen::Nothing,
        Meant::Verb(verb) => match timeout(FORESEE_WITHIN, inside.parts.verbs.foresee(verb)).await {
            Ok(result) => Foreseen::Counted(Lines::foreseen(verb, &result?)),
            Err(_) => Foreseen::TooMuch,
        },
    };
    let page = ActPage {
        frame,
        asked: Asked::about(&wish),
        pairs: wish.pairs(),
        foreseen,
        back: wish.back(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// Does it, and leads to where one sees what came of it.
pub(super) async fn act(
    State(inside): State<Arc<Inside>>,
    visitor: Visitor,
    Form(wish): Form<Wish>,
) -> Result<Response, Unavailable> {
    let frame = visitor.frame("");
    if !visitor.may_post(wish.form_key.as_deref()) {
        return Ok(refuse(
            StatusCode::FORBIDDEN,
            frame,
            "This form is not of your session.",
        ));
    }
    let (outbox, now) = (&inside.parts.outbox, inside.parts.clock.now());
    let who = visitor.who().to_string();
    let to = match wish.meant(now) {
        Err(unclear) => return Ok(refuse(StatusCode::BAD_REQUEST, frame, unclear.to_string())),
        Ok(Meant::Acknowledge { incident, until }) => {
            match outbox.acknowledge(incident, who, until, now).await? {
                Acknowledged::Noted(_) | Acknowledged::NotOpen => {}
                Acknowledged::Unknown => {
                    return Ok(refuse(
                        StatusCode::NOT_FOUND,
                        frame,
                        format!("There is no incident {incident}."),
                    ));
                }
            }
            wish.back()
        }
        Ok(Meant::Verb(verb)) => {
            let id = outbox.ask_for(verb, &who, now).await?;
            // What takes longer goes on: the page says how far it has come.
            timeout(DONE_WITHIN, outbox.verb_result(id)).await.ok();
            format!("operations/{id}")
        }
    };
    Ok(Redirect::to(&format!("./{to}")).into_response())
}

impl Asked {
    fn about(wish: &Wish) -> Self {
        let which = match (wish.incident, wish.notification, wish.shop) {
            (Some(incident), ..) if wish.act == Act::Replay => format!("the dead letters of incident {incident}"),
            (Some(incident), ..) => format!("incident {incident}"),
            (None, Some(notification), None) => format!("notification {notification}"),
            (None, Some(notification), Some(shop)) => format!("notification {notification} to shop {shop}"),
            (None, None, _) => match (wish.shop, wish.mode, wish.rendition) {
                (Some(shop), Some(mode), Some(rendition)) => {
                    format!("shop {shop} in {mode} ({})", words::gets(rendition))
                }
                _ => String::new(),
            },
        };
        let (title, will, yes, lasts) = match wish.act {
            Act::Acknowledge => (
                format!("Look after {which}"),
                "You say that you look after it: nobody is reminded of it by e-mail meanwhile. That it is over is told \
                 all the same.",
                "Acknowledge",
                Some(("No reminders", "until it is over")),
            ),
            Act::Cancel => (
                format!("Cancel the delivery of {which}"),
                "It is not attempted any more, and what waits behind it goes first. It can be replayed later.",
                "Cancel the delivery",
                None,
            ),
            Act::Pause => (
                format!("Pause {which}"),
                "Nothing is sent there. What arrives for it is kept, and goes out when it is resumed.",
                "Pause",
                Some(("Pause", "until somebody resumes it")),
            ),
            Act::Release => (
                format!("Release {which}"),
                "It is routed by the configuration of now, and delivered like any other notification. Release it only \
                 if you know what it is: what was put in quarantine may have been written by a buyer.",
                "Release",
                None,
            ),
            Act::Replay => (
                format!("Replay {which}"),
                "What was given up is delivered once more. A shop that has it already recognises it by its webhook-id. \
                 It arrives after what is newer of the same token.",
                "Replay",
                None,
            ),
            Act::Resume => (
                format!("Resume {which}"),
                "What waits goes out, slowly at first, then as fast as the shop takes it.",
                "Resume",
                None,
            ),
        };
        let lasts = lasts.map(|(label, for_ever)| Lasts { label, for_ever });
        Self {
            title,
            will,
            yes,
            lasts,
        }
    }
}

impl Lines {
    /// What will come of it.
    pub(super) fn foreseen(verb: &Verb, result: &VerbResult) -> Self {
        Self::told(result, nouns(verb), infinitive(verb))
    }

    /// What has come of it.
    pub(super) fn done(verb: &Verb, result: &VerbResult) -> Self {
        Self::told(result, nouns(verb), participle(verb))
    }

    fn told(result: &VerbResult, (one, many): (&str, &str), what: &str) -> Self {
        let left_out = result.left_out.iter().map(|(why, count)| format!("{count}: {why}"));
        Self {
            done: format!("{} {what}", words::counted(result.done, one, many)),
            left_out: left_out.collect(),
            arrived_as: result.arrived_as.map(|id| id.to_string()),
            failed: result.failed.clone(),
        }
    }
}

/// What a verb counts.
fn nouns(verb: &Verb) -> (&'static str, &'static str) {
    match verb {
        Verb::Backfill { .. } | Verb::Cancel(_) | Verb::Release { .. } | Verb::Replay { .. } => {
            ("delivery", "deliveries")
        }
        Verb::Pause(_) | Verb::Resume(_) => ("destination", "destinations"),
    }
}

fn infinitive(verb: &Verb) -> &'static str {
    match verb {
        Verb::Backfill { .. } | Verb::Release { .. } | Verb::Replay { .. } => "to make",
        Verb::Cancel(_) => "to cancel",
        Verb::Pause(_) => "to pause",
        Verb::Resume(_) => "to resume",
    }
}

fn participle(verb: &Verb) -> &'static str {
    match verb {
        Verb::Backfill { .. } | Verb::Release { .. } | Verb::Replay { .. } => "made",
        Verb::Cancel(_) => "cancelled",
        Verb::Pause(_) => "paused",
        Verb::Resume(_) => "resumed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NotificationId;
    use crate::outbox::LeftOut;

    #[test]
    fn what_is_left_out_is_told_with_its_reason() {
        let verb = Verb::Release {
            notification: NotificationId::before(jiff::Timestamp::UNIX_EPOCH),
        };
        let mut result = VerbResult {
            done: 1,
            ..VerbResult::default()
        };
        result.leave_out(LeftOut::StillOpen);
        let lines = Lines::foreseen(&verb, &result);
        assert_eq!(lines.done, "1 delivery to make");
        assert_eq!(Lines::done(&verb, &result).done, "1 delivery made");
        assert_eq!(lines.left_out, ["1: still open"]);
    }

    #[test]
    fn every_question_says_what_it_is_about() {
        let id = NotificationId::before(jiff::Timestamp::UNIX_EPOCH);
        for act in [Act::Cancel, Act::Release, Act::Replay] {
            let asked = Asked::about(&Wish::with_notification(act, id));
            assert!(asked.title.ends_with(&format!("notification {id}")), "{}", asked.title);
            assert!(asked.lasts.is_none());
        }
        let asked = Asked::about(&Wish::with_incident(Act::Acknowledge, 7));
        assert_eq!(asked.title, "Look after incident 7");
        assert!(asked.lasts.is_some());
        let asked = Asked::about(&Wish::with_incident(Act::Replay, 7));
        assert_eq!(asked.title, "Replay the dead letters of incident 7");
        assert!(asked.lasts.is_none());
    }
}
