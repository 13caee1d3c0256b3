//! What an e-mail says: pure functions from a situation to a subject and a text.
//!
//! The order is the one that these people know from the gateway's own e-mails: what failed, the answer received, what
//! it means, what happens next by itself, what you can do now, the first notifications.

mod layout;
mod own;
mod silence;
mod trouble;
mod words;

use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use self::layout::{Page, subject};
use self::words::{at, count, lasting};
use super::step::Step;
use crate::domain::{DestinationKey, Incident, Kind, NotificationId, Symptom, shown_token, shown_url};
use crate::outbox::{Waiting, WaitingNotification};

pub(super) use trouble::trouble_email;

/// An e-mail before it has an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Email {
    /// At most 120 characters, without control characters.
    pub(super) subject: String,
    /// Lines of at most 78 columns.
    pub(super) text: String,
}

/// Everything that an e-mail about an incident tells of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    pub(super) destination: &'a DestinationKey,
    pub(super) legal_entity_name: &'a str,
    pub(super) shop_name: &'a str,
    /// `None` if the configuration has it no more.
    pub(super) url: Option<&'a Url>,
    pub(super) incident: &'a Incident,
    pub(super) waiting: &'a Waiting,
    /// When the oldest that waits becomes a dead letter, if it does not arrive.
    pub(super) gives_up_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Returns the e-mail for a step of an incident.
pub(super) fn incident_email(situation: &Situation<'_>, step: Step) -> Email {
    let mut page = Page::default();
    situation.what_failed(&mut page, step);
    situation.the_answer(&mut page, step);
    if !step.is_recovery() {
        situation.what_it_means(&mut page);
    }
    situation.what_happens_next(&mut page, step);
    situation.what_you_can_do(&mut page, step);
    situation.the_notifications(&mut page, step);
    Email {
        subject: situation.subject(step),
        text: page.finish(),
    }
}

impl Situation<'_> {
    fn subject(&self, step: Step) -> String {
        let (url, _) = words::settings(self.destination.rendition);
        let given_up = self.incident.given_up.count;
        let state = match step {
            Step::GaveUp(_) => format!("{url}: {} given up", count(given_up, "delivery", "deliveries")),
            // It does answer: a subject that said "fails" would send on-call to the wrong place.
            Step::Opened if self.incident.last_failure.symptom == Symptom::KoSignature => {
                format!("{url} says that the signature is wrong")
            }
            Step::Opened => format!("{url} fails, {} waiting", self.waiting.count),
            Step::FailsAgain => format!("{url} fails again, {} waiting", self.waiting.count),
            Step::Grew(_) => format!("{url} fails, {} waiting by now", self.waiting.count),
            Step::StillFailing(hours) => format!("{url} fails since {hours} h, {} waiting", self.waiting.count),
            Step::Recovered | Step::RecoveredAgain if given_up > 0 => {
                format!(
                    "{url} works again, {} delivered, {given_up} given up",
                    self.incident.delivered
                )
            }
            Step::Recovered | Step::RecoveredAgain => {
                format!("{url} works again, {} delivered", self.incident.delivered)
            }
        };
        subject(
            self.destination.mode.word(),
            &[self.legal_entity_name, self.shop_name],
            &state,
        )
    }

    fn what_failed(&self, page: &mut Page, step: Step) {
        let Self {
            destination, incident, ..
        } = self;
        page.heading(if step.is_recovery() {
            "What failed, and works again"
        } else {
            "What failed"
        });
        page.fact("Shop", &format!("{} ({})", self.shop_name, destination.shop));
        page.fact("Company", self.legal_entity_name);
        page.fact("Mode", destination.mode.word());
        page.fact("Sent", words::rendition(destination.rendition));
        page.fact(
            "URL",
            &self.url.map_or_else(|| "no longer configured".into(), shown_url),
        );
        let attempts = count(incident.failures, "attempt", "attempts");
        page.fact("Failed", &format!("{attempts} since {}", at(incident.opened_at)));
        if let Some(over) = incident.recovered_at {
            page.fact(
                "Recovered",
                &format!("{}, after {}", at(over), lasting(incident.opened_at, over)),
            );
        }
    }

    fn the_answer(&self, page: &mut Page, step: Step) {
        let last = &self.incident.last_failure;
        page.heading(if step.is_recovery() {
            "The last answer that was a failure"
        } else {
            "The answer received"
        });
        page.paragraph(&format!("At {}:", at(last.at)));
        let symptom = words::symptom(last.symptom);
        page.paragraph(&symptom);
        if !symptom.contains(&last.detail) && !last.answer.contains(&last.detail) {
            page.paragraph(&format!("In detail: {}", last.detail));
        }
        match (last.status, last.answer.is_empty()) {
            (None, _) => page.paragraph("There was no answer."),
            (Some(_), true) => page.paragraph("The answer had no text."),
            (Some(_), false) => page.quote(&last.answer),
        }
    }

    fn what_it_means(&self, page: &mut Page) {
        let kinds: BTreeSet<Kind> = self.incident.kinds.iter().chain(&self.waiting.kinds).copied().collect();
        let kinds: Vec<Kind> = kinds.into_iter().collect();
        page.heading("What it means");
        for sentence in words::consequences(&kinds, self.destination.rendition, self.shop_name) {
            page.paragraph(&sentence);
        }
    }

    fn what_happens_next(&self, page: &mut Page, step: Step) {
        let Self { waiting, incident, .. } = self;
        page.heading("What happens next by itself");
        if incident.given_up.count > 0 {
            let given_up = count(incident.given_up.count, "delivery was", "deliveries were");
            page.paragraph(&format!("{given_up} given up: kept, but not tried again."));
        }
        if incident.last_failure.symptom == Symptom::KoSignature && !step.is_recovery() {
            page.paragraph("What the plugin refused counts as delivered: it is not sent again.");
        }
        if waiting.count == 0 {
            page.paragraph("Nothing waits for this URL.");
        } else {
            let number = count(waiting.count, "delivery waits", "deliveries wait");
            let oldest = waiting.oldest.map_or_else(String::new, |oldest| {
                format!(", the oldest for {}", lasting(oldest, self.now))
            });
            page.paragraph(&format!(
                "{number}{oldest}. They are sent as soon as the URL takes them."
            ));
        }
        if step.is_recovery() {
            page.paragraph("You are told when it fails again.");
            return;
        }
        if let Some(next) = waiting.next_attempt.filter(|next| *next > self.now) {
            page.paragraph(&format!("The next attempt is due at {}.", at(next)));
        }
        if let Some(gives_up) = self.gives_up_at.filter(|gives_up| *gives_up > self.now) {
            page.paragraph(&format!(
                "If the URL stays down, deliveries are given up from {} on.",
                at(gives_up)
            ));
        }
        page.paragraph("You are told when it works again.");
    }

    fn what_you_can_do(&self, page: &mut Page, step: Step) {
        page.heading("What you can do now");
        let mut advice = if step.is_recovery() {
            Vec::new()
        } else {
            self.how_to_mend()
        };
        let refused = self.incident.last_failure.symptom == Symptom::KoSignature;
        if self.incident.given_up.count > 0 || refused {
            let when = if step.is_recovery() {
                "Have"
            } else {
                "Once it works, have"
            };
            let what = if refused { "refused" } else { "given up" };
            let again = format!(
                "{when} the gateway send again what was {what}: {}. Every shop that was sent it before gets it anew.",
                words::SEND_AGAIN
            );
            advice.push((again, None));
            if self.incident.kinds.contains(&Kind::TokenCancelled) {
                let by_hand = format!(
                    "For a cancelled token there is no transaction to click: take its card out of {} by hand.",
                    self.shop_name
                );
                advice.push((by_hand, None));
            }
        }
        if advice.is_empty() {
            page.paragraph("Nothing: it is over.");
        }
        for (number, (words, command)) in (1..).zip(advice) {
            page.step(number, &words);
            if let Some(command) = command {
                page.command(&command);
            }
        }
    }

    /// Steps, some with a command to copy.
    fn how_to_mend(&self) -> Vec<(String, Option<String>)> {
        let DestinationKey {
            shop, mode, rendition, ..
        } = self.destination;
        let shop_table = format!("shops.{shop}");
        let table = format!("{shop_table}.{}", mode.word().to_ascii_lowercase());
        let last = &self.incident.last_failure;
        let mut advice = vec![(
            words::remedy(last.symptom, *rendition, &table, &shop_table, last.at),
            None,
        )];
        if last.status.is_none()
            && let Some(probe) = self.url.and_then(probe)
        {
            advice.push((
                "See from the router's machine whether the shop's server answers:".into(),
                Some(probe),
            ));
        }
        if words::may_be_ours(last.symptom) {
            advice.push((
                "After a change of the configuration, check it, and have the router read it again:".into(),
                Some("ipn-router check && ipn-router reload".into()),
            ));
        }
        advice
    }

    fn the_notifications(&self, page: &mut Page, step: Step) {
        let given_up = &self.incident.given_up;
        if given_up.count > 0 {
            page.heading(&first_of(given_up.count, given_up.first.len(), "given up"));
            for (id, kind) in &given_up.first {
                page.item(&format!("{}, {kind}", at(id.received_at())), &format!("id {id}"));
            }
        }
        if self.waiting.count > 0 && !step.is_recovery() {
            page.heading(&first_of(self.waiting.count, self.waiting.first.len(), "waiting"));
            for notification in &self.waiting.first {
                let (first, id) = listed(notification);
                page.item(&first, &format!("id {id}"));
            }
        }
    }
}

fn first_of(all: u64, shown: usize, state: &str) -> String {
    if u64::try_from(shown).is_ok_and(|shown| shown < all) {
        format!("The first {shown} of {all} notifications {state}")
    } else {
        format!("The {} {state}", count(all, "notification", "notifications"))
    }
}

fn listed(notification: &WaitingNotification) -> (String, NotificationId) {
    let token = notification
        .token
        .as_deref()
        .map_or_else(String::new, |token| format!(", token {}", shown_token(token)));
    let first = format!("{}, {}{token}", at(notification.received_at), notification.kind);
    (first, notification.id)
}

/// A command that shows whether the host answers; only of characters that no shell reads in its own way.
fn probe(url: &Url) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-');
    origin
        .chars()
        .all(plain)
        .then(|| format!("curl -sSv -o /dev/null {origin}/"))
}

#[cfg(test)]
mod tests;
