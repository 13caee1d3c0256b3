use jiff::Timestamp;

use super::layout::{Page, subject};
use super::{Email, runbook};
use crate::alert::language::{Voice, at};
use crate::domain::Section;

/// Returns the e-mail that shows that e-mails arrive. `told_of`: what this address is told of.
pub(in crate::alert) fn trial_email(told_of: &[String], now: Timestamp, voice: &Voice) -> Email {
    let language = voice.language;
    let mut page = Page::default();
    page.heading(language.say("What this is", "De quoi il s'agit"));
    page.paragraph(language.say(
        "A test, sent by hand: e-mails of ipn-router reach this address.",
        "Un essai, envoyé à la main : les e-mails d'ipn-router arrivent à cette adresse.",
    ));
    page.fact(language.say("Sent", "Envoyé"), &at(now));
    if !told_of.is_empty() {
        page.heading(language.say("What this address is told of", "Ce dont cette adresse est informée"));
        for one in told_of {
            page.paragraph(one);
        }
    }
    page.heading(language.say("What you can do now", "Ce que vous pouvez faire"));
    page.paragraph(language.say("Nothing. There is no trouble.", "Rien. Il n'y a pas de problème."));
    runbook(&mut page, Section::FirstLook, voice);
    Email {
        subject: subject(
            language,
            "",
            &["ipn-router"],
            language.say("test e-mail", "e-mail d'essai"),
        ),
        text: page.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Language;

    #[test]
    fn trial_says_in_either_language_what_the_address_is_told_of() {
        for language in Language::ALL {
            let voice = Voice {
                language,
                program: "ipn-router".to_owned(),
                page: None,
            };
            let told_of = format!("Failures at {}", "Société Générale d'Exploitation ".repeat(9));
            let email = trial_email(&[told_of], Timestamp::UNIX_EPOCH, &voice);
            assert!(email.text.contains("d'Exploitation") && email.text.contains("1970-01-01 00:00:00 UTC"));
            assert!(
                email.text.lines().all(|line| line.chars().count() <= 78),
                "{}",
                email.text
            );
            assert!(email.subject.starts_with("ipn-router"), "{}", email.subject);
        }
    }
}
