//! The sentences, in English: pure functions of what happened. Another language is another file like this one.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Cause, Format, Kind, Rendition, Symptom};

/// What a destination is sent.
pub(super) fn rendition(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) => "the gateway's form notifications, as received",
        Rendition::AsReceived(Format::Rest) => "the gateway's REST notifications, as received",
        Rendition::Event => "token events (JSON, Standard Webhooks)",
        Rendition::ReSigned(Format::Form) => "the company's form notifications, signed for this shop",
        Rendition::ReSigned(Format::Rest) => "the company's REST notifications, signed for this shop",
    }
}

/// The keys of the configuration that stand for a destination's URL, and for what signs what it is sent.
pub(super) fn settings(rendition: Rendition) -> (&'static str, &'static str) {
    match rendition {
        Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => ("form_url", "form_key"),
        Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => ("rest_url", "rest_password"),
        Rendition::Event => ("event_url", "event_secret"),
    }
}

/// What went wrong, as a sentence.
pub(super) fn symptom(symptom: Symptom) -> String {
    let cause = match symptom {
        Symptom::KoSignature => {
            return "The shop's plugin took the notification, and answered that its signature is wrong (KO).".into();
        }
        Symptom::Failed(cause) => cause,
    };
    match cause {
        Cause::Blocked => "Not called: the URL's host has a private address, and this shop may not have one.".into(),
        Cause::Connect => "No connection: it was refused or cut off.".into(),
        Cause::Dns => "The host name of the URL has no address.".into(),
        Cause::Protocol => "The answer is no HTTP, or too large.".into(),
        Cause::Redirect => "The answer is a redirect to a place where notifications are not sent.".into(),
        Cause::Render => "Not called: the notification could not be written for this shop.".into(),
        Cause::Status(status) => format!("HTTP status {status}: {}.", status_class(status)),
        Cause::TimedOut => "No answer in time.".into(),
        Cause::Tls => "The TLS handshake failed.".into(),
    }
}

fn status_class(status: u16) -> &'static str {
    match status {
        300..=399 => "the server points elsewhere",
        401 | 407 => "the server asks for a login",
        403 => "the server refuses us",
        404 => "there is nothing at this URL",
        405 => "the server takes no POST at this URL",
        408 | 425 | 429 => "the server asks to come later",
        410 => "the URL is gone for good",
        413 => "the notification is too large for the server",
        400..=499 => "the service rejects the notification",
        502..=504 => "the service behind the web server is unavailable",
        500..=599 => "the service failed",
        _ => "no answer that counts as received",
    }
}

/// What people notice while notifications of these kinds do not arrive, the most urgent first, each once.
pub(super) fn consequences(kinds: &[Kind], rendition: Rendition, shop: &str) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for kind in BY_URGENCY.into_iter().filter(|kind| kinds.contains(kind)) {
        for sentence in consequences_of(kind, rendition, shop) {
            if !once.contains(&sentence) {
                once.push(sentence);
            }
        }
    }
    once
}

const BY_URGENCY: [Kind; 10] = [
    Kind::Payment,
    Kind::TokenCancelled,
    Kind::TokenUpdated,
    Kind::TokenSaved,
    Kind::TokenOther,
    Kind::TokenCreated,
    Kind::SubscriptionInstalment,
    Kind::SubscriptionCreated,
    Kind::RegistrationFailed,
    Kind::Other,
];

fn consequences_of(kind: Kind, rendition: Rendition, shop: &str) -> Vec<String> {
    let own = matches!(rendition, Rendition::AsReceived(_));
    let at = if own { "for it" } else { "at the company's other shops" };
    let not_offered = || format!("Cards saved {at} are not offered at {shop} yet; no payment is affected.");
    let old_card = || format!("{shop} may use the old card of a token and be refused.");
    match kind {
        Kind::Other => vec![format!("{shop} does not know what these notifications tell.")],
        Kind::Payment if own => vec![format!(
            "URGENT: customers may have paid while their orders at {shop} show unpaid. What they paid is final at the \
             gateway."
        )],
        Kind::Payment => vec![format!("{shop} does not know of payments made {at}.")],
        Kind::RegistrationFailed => {
            vec![format!(
                "{shop} may not show why a customer's attempt to save a card failed."
            )]
        }
        Kind::SubscriptionCreated => vec![format!("{shop} may not know of a new subscription.")],
        Kind::SubscriptionInstalment => vec![format!("{shop} may not know of an instalment.")],
        Kind::TokenCancelled => vec![format!("{shop} may still offer a card that no longer works.")],
        Kind::TokenCreated => vec![not_offered()],
        Kind::TokenOther | Kind::TokenSaved => vec![old_card(), not_offered()],
        Kind::TokenUpdated => vec![old_card()],
    }
}

/// What a person can do about it: where to look, and which key of the configuration to mend.
pub(super) fn remedy(symptom: Symptom, rendition: Rendition, table: &str, shop_table: &str, time: Timestamp) -> String {
    let (url, key) = settings(rendition);
    let cause = match symptom {
        Symptom::KoSignature => {
            return format!(
                "Compare `{key}` in [{table}] with the key in the shop's plugin and in the Back Office (Settings > \
                 Shop > Keys), and correct the one that differs."
            );
        }
        Symptom::Failed(cause) => cause,
    };
    match cause {
        Cause::Blocked => format!("Correct `{url}` in [{table}], or write `allow_private = true` in [{shop_table}]."),
        Cause::Connect => "Check that the shop's server runs, and that its firewall lets this machine in.".into(),
        Cause::Dns => format!("Check the host name in `{url}` of [{table}], and its DNS entry."),
        Cause::Protocol => format!("Check that `{url}` in [{table}] names the shop's web server and its port."),
        Cause::Redirect => format!("Write the address where the redirect ends into `{url}` of [{table}]."),
        Cause::Render => format!("Add what is missing to [{table}], most likely `{key}`."),
        Cause::Status(401 | 403 | 407) => {
            "Let POST requests to this URL pass without a login: look at the firewall, the maintenance mode and the \
             security plugins of the shop's server."
                .into()
        }
        Cause::Status(404 | 405 | 410) => format!(
            "Check that the shop's plugin or service is active, and that `{url}` in [{table}] is the URL that it names."
        ),
        Cause::Status(408 | 425 | 429) => "Raise the limit of requests that the shop's server allows.".into(),
        Cause::Status(_) => format!("Look into the error log of the shop's server at {}.", at(time)),
        Cause::TimedOut => format!("Look at the load and the log of the shop's server at {}.", at(time)),
        Cause::Tls => "Check the certificate of the shop's server: its dates, its host name, its whole chain.".into(),
    }
}

/// Whether the mistake may be in our configuration.
pub(super) fn may_be_ours(symptom: Symptom) -> bool {
    match symptom {
        Symptom::KoSignature => true,
        Symptom::Failed(cause) => match cause {
            Cause::Blocked | Cause::Dns | Cause::Protocol | Cause::Redirect | Cause::Render => true,
            Cause::Status(status) => matches!(status, 404 | 405 | 410),
            Cause::Connect | Cause::TimedOut | Cause::Tls => false,
        },
    }
}

/// How to have the gateway notify anew.
pub(super) const SEND_AGAIN: &str = "in its Back Office, right-click the transaction > \"Send the Instant Payment \
                                     Notification\"";

/// A number with its noun, such as `1 delivery`, `2 deliveries`.
pub(super) fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// A time, always UTC.
pub(super) fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long, in the two largest units.
pub(super) fn lasting(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_consequence_and_none_is_said_twice() {
        for rendition in Rendition::ALL {
            for kind in Kind::ALL {
                assert!(
                    !consequences(&[kind], rendition, "Lyon").is_empty(),
                    "{kind} {rendition}"
                );
            }
            let all = consequences(&Kind::ALL, rendition, "Lyon");
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        }
    }

    #[test]
    fn unpaid_orders_are_the_most_urgent() {
        let all = consequences(&Kind::ALL, Rendition::AsReceived(Format::Form), "Paris");
        assert!(all[0].starts_with("URGENT"));
    }

    #[test]
    fn durations_are_written_as_people_say_them() {
        let from = Timestamp::UNIX_EPOCH;
        for (seconds, words) in [
            (-5, "0 s"),
            (59, "59 s"),
            (3_599, "59 min"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(from, from + SignedDuration::from_secs(seconds)), words);
        }
    }
}
