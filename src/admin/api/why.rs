//! Why a delivery stands where it stands, for somebody who asks at night.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert::Language;
use crate::outbox::{AttemptLine, DeliveryState, NotificationLine, ShownDelivery};

/// Why, in one or two sentences, and the command that helps, if there is one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Why {
    pub why: String,
    /// What to type.
    pub command: Option<String>,
}

impl Why {
    pub(super) fn plain(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            command: None,
        }
    }

    pub(super) fn with(why: impl Into<String>, command: String) -> Self {
        Self {
            why: why.into(),
            command: Some(command),
        }
    }
}

pub(super) fn why(notification: &NotificationLine, delivery: &ShownDelivery, has_body: bool, now: Timestamp) -> Why {
    let line = &delivery.line;
    let shop = line.destination.shop;
    let tried = line
        .tried
        .map_or_else(String::new, |tried| format!(" {}", ago(tried, now)));
    let ended = match line.state {
        DeliveryState::Waiting => return waiting(delivery, now),
        DeliveryState::Delivered => {
            return Why::plain(match verdict(delivery) {
                Some(ko) => format!("Delivered{tried}, but the shop answered {ko}."),
                None => format!("Delivered{tried}."),
            });
        }
        DeliveryState::Cancelled => format!("Cancelled by an operator{tried}."),
        DeliveryState::GivenUp => {
            let last = last_failure(delivery).map_or_else(String::new, |last| format!("; the last answer: {last}"));
            format!("Given up{tried} after {}{last}.", attempts(line.attempts))
        }
    };
    if has_body {
        let replay = format!("ipn-router replay --notification {} --shop {shop}", notification.id);
        Why::with(format!("{ended} To replay it:"), replay)
    } else {
        Why::plain(format!(
            "{ended} Its body was deleted after its time, so it cannot be replayed."
        ))
    }
}

/// From what stops everything to what only delays this one.
fn waiting(delivery: &ShownDelivery, now: Timestamp) -> Why {
    let line = &delivery.line;
    let key = &line.destination;
    let mode = key.mode.word().to_ascii_lowercase();
    if let Some(since) = line.parked_since {
        return Why::plain(format!(
            "Waits, for its URL is not in the configuration, or its shop or company is switched off, since {}.",
            at(since)
        ));
    }
    if let Some(since) = line.paused_since {
        let why = format!(
            "Waits, for an operator has paused the shop {}. To let it go on:",
            ago(since, now)
        );
        return Why::with(why, format!("ipn-router resume --shop {} --mode {mode}", key.shop));
    }
    let last = last_failure(delivery).map_or_else(String::new, |last| format!(" Its own last attempt: {last}."));
    if let Some(since) = line.down_since {
        return Why::plain(format!(
            "Waits, for the shop's URL is down since {}: one probe a minute, and everything goes out after the first \
             that succeeds.{last}",
            at(since)
        ));
    }
    if let Some(behind) = &delivery.behind {
        let next = match behind.due {
            Some(due) if due > now => format!(", and is tried again at {}", at(due)),
            _ => String::new(),
        };
        let why = format!(
            "Waits behind {} of the same token, which has failed {}{next}. To let this one go first, cancel that one:",
            behind.notification,
            times(behind.attempts),
        );
        let cancel = format!(
            "ipn-router cancel --notification {} --shop {}",
            behind.notification, key.shop
        );
        return Why::with(why, cancel);
    }
    Why::plain(match line.due {
        Some(due) if due > now => {
            format!(
                "Has failed {}; the next attempt is at {}.{last}",
                times(line.attempts),
                at(due)
            )
        }
        _ => format!("Waits for its turn.{last}"),
    })
}

fn last_failure(delivery: &ShownDelivery) -> Option<String> {
    let last = delivery.last_attempts.last()?;
    last.cause.as_ref().map(|cause| match last.status {
        Some(status) => format!("HTTP status {status}"),
        None if last.detail.is_empty() => cause.clone(),
        None => last.detail.clone(),
    })
}

/// What a plugin that answers 200 to everything has said.
fn verdict(delivery: &ShownDelivery) -> Option<&str> {
    let said = |last: &AttemptLine| last.cause.is_none() && !last.detail.is_empty();
    delivery
        .last_attempts
        .last()
        .filter(|last| said(last))
        .map(|last| last.detail.as_str())
}

fn attempts(count: u32) -> String {
    match count {
        0 => "no attempt".into(),
        1 => "1 attempt".into(),
        n => format!("{n} attempts"),
    }
}

fn times(count: u32) -> String {
    match count {
        0 => "never".into(),
        1 => "once".into(),
        n => format!("{n} times"),
    }
}

fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago (at {})", Language::English.lasting(time, now), at(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DestinationKey, Format, Kind, Mode, NotificationId, Rendition};
    use crate::outbox::{Behind, DeliveryLine};
    use crate::route::Standing;

    const NOW: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(NOW + second).unwrap()
    }

    fn notification() -> NotificationLine {
        NotificationLine {
            key: 1,
            id: NotificationId::before(at(0)),
            received_at: at(-100),
            legal_entity: "acme".parse().unwrap(),
            named_shop: "12345678".parse().unwrap(),
            mode: Mode::Production,
            format: Format::Form,
            kind: Kind::TokenCreated,
            standing: Standing::Routed,
            token: None,
            transaction: None,
        }
    }

    fn delivery(state: DeliveryState) -> ShownDelivery {
        ShownDelivery {
            line: DeliveryLine {
                destination: DestinationKey {
                    legal_entity: "acme".parse().unwrap(),
                    shop: "23456789".parse().unwrap(),
                    mode: Mode::Production,
                    rendition: Rendition::Event,
                },
                seq: 4,
                state,
                attempts: 2,
                since: at(-100),
                tried: Some(at(-60)),
                due: None,
                replay_of: None,
                paused_since: None,
                down_since: None,
                parked_since: None,
            },
            behind: None,
            last_attempts: vec![AttemptLine {
                attempt: 2,
                at: at(-61),
                milliseconds: 1_000,
                status: Some(503),
                cause: Some("status".into()),
                detail: String::new(),
                answer: String::new(),
            }],
        }
    }

    #[test]
    fn every_state_says_why_and_what_helps() {
        let waits = || delivery(DeliveryState::Waiting);
        let behind = NotificationId::before(at(-500));
        let delivered = |detail: &str| {
            let mut delivered = delivery(DeliveryState::Delivered);
            delivered.last_attempts[0].cause = None;
            delivered.last_attempts[0].detail = detail.into();
            delivered
        };
        for (delivery, says) in [
            (delivered(""), vec!["Delivered 1 min ago"]),
            (delivered("KO-An error"), vec!["but the shop answered KO-An error"]),
            (
                delivery(DeliveryState::GivenUp),
                vec![
                    "Given up 1 min ago",
                    "2 attempts",
                    "HTTP status 503",
                    "replay --notification",
                    "--shop 23456789",
                ],
            ),
            (
                delivery(DeliveryState::Cancelled),
                vec!["Cancelled by an operator", "replay"],
            ),
            (waits(), vec!["Waits for its turn"]),
            (
                ShownDelivery {
                    line: DeliveryLine {
                        due: Some(at(90)),
                        ..waits().line
                    },
                    ..waits()
                },
                vec!["Has failed 2 times", "the next attempt is at 2027-01-15 08:01:30 UTC"],
            ),
            (
                ShownDelivery {
                    behind: Some(Behind {
                        notification: behind,
                        attempts: 1,
                        due: Some(at(30)),
                    }),
                    ..waits()
                },
                vec![
                    "Waits behind",
                    "failed once",
                    "tried again at",
                    "ipn-router cancel --notification",
                ],
            ),
            (
                ShownDelivery {
                    line: DeliveryLine {
                        down_since: Some(at(-600)),
                        ..waits().line
                    },
                    ..waits()
                },
                vec!["is down since", "one probe a minute"],
            ),
            (
                ShownDelivery {
                    line: DeliveryLine {
                        down_since: Some(at(-600)),
                        paused_since: Some(at(-60)),
                        ..waits().line
                    },
                    ..waits()
                },
                vec![
                    "paused the shop 1 min ago",
                    "ipn-router resume --shop 23456789 --mode production",
                ],
            ),
            (
                ShownDelivery {
                    line: DeliveryLine {
                        parked_since: Some(at(-60)),
                        paused_since: Some(at(-60)),
                        ..waits().line
                    },
                    ..waits()
                },
                vec!["not in the configuration"],
            ),
        ] {
            let why = why(&notification(), &delivery, true, at(0));
            let text = format!("{} {}", why.why, why.command.unwrap_or_default());
            for says in says {
                assert!(text.contains(says), "{says}: {text}");
            }
        }
        let why = why(&notification(), &delivery(DeliveryState::GivenUp), false, at(0));
        assert!(
            why.why.contains("cannot be replayed") && why.command.is_none(),
            "{why:?}"
        );
    }
}
