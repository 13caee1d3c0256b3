use jiff::Timestamp;

use super::layout::{Page, subject};
use super::{Advice, Email, runbook};
use crate::alert::language::{Voice, at};
use crate::domain::Section;

/// As many are listed.
const LISTED: usize = 50;

/// An e-mail that was not sent, because its address had too many.
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct Held<'a> {
    pub(in crate::alert) at: Timestamp,
    pub(in crate::alert) subject: &'a str,
}

/// Returns the one e-mail that stands for all of these, oldest first.
pub(in crate::alert) fn digest_email(held: &[Held<'_>], voice: &Voice) -> Email {
    let language = voice.language;
    let number = u64::try_from(held.len()).unwrap_or(u64::MAX);
    let mut page = Page::default();
    page.heading(language.say("What happened", "Ce qui s'est passé"));
    let many = language.count(
        number,
        ["e-mail stands", "e-mails stand"],
        ["e-mail figure", "e-mails figurent"],
    );
    page.paragraph(&language.say(
        format!(
            "This address had as many e-mails as are sent to one within an hour. {many} here instead of being sent; \
             nothing else was held back."
        ),
        format!(
            "Cette adresse a reçu autant d'e-mails qu'il en part vers une même adresse en une heure. {many} ici au lieu \
             d'être envoyés ; rien d'autre n'a été retenu."
        ),
    ));
    if let [first, .., last] = held {
        page.fact(language.say("From", "Du"), &at(first.at));
        page.fact(language.say("To", "Au"), &at(last.at));
    }

    page.heading(language.say("What they would have said", "Ce qu'ils auraient dit"));
    for Held { at: time, subject } in held.iter().take(LISTED) {
        page.item(&at(*time), subject);
    }
    if held.len() > LISTED {
        let more = held.len() - LISTED;
        page.paragraph(&language.say(format!("And {more} more."), format!("Et {more} autres.")));
    }

    page.heading(language.say(
        "What happens next by itself",
        "Ce qui se passe ensuite sans intervention",
    ));
    page.paragraph(language.say(
        "New e-mails are sent again as before, up to the same number an hour. What these told of is not told again.",
        "Les nouveaux e-mails partent comme avant, jusqu'au même nombre par heure. Ce que disaient ceux-ci n'est pas \
         répété.",
    ));

    page.heading(language.say("What you can do now", "Ce que vous pouvez faire maintenant"));
    let see = Advice::command(
        language.say(
            "See what is wrong at this moment:",
            "Voyez ce qui ne va pas en ce moment :",
        ),
        voice.command("status"),
    );
    let see = match &voice.page {
        Some(page) => see.and(page.to_string()),
        None => see,
    };
    Advice::write(&mut page, vec![see]);
    runbook(&mut page, Section::FirstLook, voice);
    let state = language.count(
        number,
        ["e-mail held back", "e-mails held back"],
        ["e-mail retenu", "e-mails retenus"],
    );
    Email {
        subject: subject(language, "", &["ipn-router"], &state),
        text: page.finish(),
    }
}
