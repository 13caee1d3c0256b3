//! What an e-mail says: pure functions from a situation to a subject and a text.
//!
//! The order is the one that these people know from the gateway's own e-mails: what failed, the answer received, what
//! it means, what happens next by itself, what you can do now, the first notifications.
//!
//! Every sentence stands here in every language ([`Language::say`]); what is laid out, and where, is the same for all
//! ([`layout`]). `tests/data/emails` has each e-mail as people get it.

mod attempt;
mod causes;
mod consequence;

mod digest;

mod group;
mod incident;
mod layout;
mod lists;
mod trial;
mod trouble;

mod verdict;

use self::layout::Page;
use super::language::{Language, Voice, at};
use crate::domain::{LastFailure, Section};

pub(super) use attempt::{FailedAttempt, attempt_email};

pub(super) use digest::{Held, digest_email};

pub(super) use group::{Alike, Group, group_email};
pub(super) use incident::{Situation, incident_email};
pub(super) use trial::trial_email;
pub(super) use trouble::trouble_email;

pub(super) use verdict::{KoOfTheDay, verdict_email};

/// An e-mail before it has an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Email {
    /// At most 120 characters, without control characters.
    pub(super) subject: String,
    /// Lines of at most 78 columns.
    pub(super) text: String,
}

/// Something that a person can do: words, what to copy, and what is to be known of that.
struct Advice {
    words: String,
    commands: Vec<String>,
    note: Option<String>,
}

impl Advice {
    fn words(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            commands: Vec::new(),
            note: None,
        }
    }

    fn command(words: impl Into<String>, command: String) -> Self {
        Self {
            commands: vec![command],
            ..Self::words(words)
        }
    }

    /// Another command, or address, on a line of its own.
    fn and(mut self, command: String) -> Self {
        self.commands.push(command);
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Numbers them.
    fn write(page: &mut Page, advice: Vec<Self>) {
        for (number, Self { words, commands, note }) in (1..).zip(advice) {
            page.step(number, &words);
            for command in commands {
                page.command(&command);
            }
            if let Some(note) = note {
                page.note(&note);
            }
        }
    }
}

/// Where the runbook goes on: every e-mail says so, after what you can do.
fn runbook(page: &mut Page, section: Section, voice: &Voice) {
    let title = section.title();
    page.paragraph(&voice.language.say(
        format!("More in the runbook, \"{title}\":"),
        format!("Voir aussi le guide d'astreinte (en anglais), « {title} » :"),
    ));
    let link = voice.runbook_page(section).filter(|link| Page::has_room_for(link));
    page.command(&link.unwrap_or_else(|| voice.command(&format!("runbook {section}"))));
}

/// What a destination answered, in words and as it came.
fn answer(page: &mut Page, last: &LastFailure, language: Language) {
    let time = at(last.at);
    page.paragraph(&language.say(format!("At {time}:"), format!("Le {time} :")));
    let symptom = causes::symptom(last.symptom, language);
    page.paragraph(&symptom);
    let said = [&symptom, &last.answer];
    // The status is in our own words already.
    let is_status = last
        .status
        .is_some_and(|status| last.detail == format!("HTTP status {status}"));
    if !is_status && !last.detail.is_empty() && !said.iter().any(|said| said.contains(&last.detail)) {
        let detail = &last.detail;
        page.paragraph(&language.say(format!("In detail: {detail}"), format!("Détail : {detail}")));
    }
    match (last.status, last.answer.is_empty()) {
        (None, _) => page.paragraph(language.say("There was no answer.", "Aucune réponse.")),
        (Some(_), true) => page.paragraph(language.say("The answer had no text.", "La réponse était vide.")),
        (Some(_), false) => page.quote(&last.answer),
    }
}

#[cfg(test)]
mod tests;
