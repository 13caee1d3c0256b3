use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use super::incident::probe;
use super::layout::{Page, subject_as_the_gateway};
use super::lists::item;
use super::{Advice, Email, answer, causes, runbook};
use crate::alert::language::{Voice, at};
use crate::domain::{DestinationKey, LastFailure, Mode, Section, shown_token, shown_url};
use crate::outbox::WaitingNotification;

/// An attempt that failed, for those who want an e-mail of each (`failure_emails_on = "every-attempt"`).
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct FailedAttempt<'a> {
    pub(in crate::alert) destination: &'a DestinationKey,
    pub(in crate::alert) legal_entity_name: &'a str,
    pub(in crate::alert) shop_name: &'a str,
    /// `None` if the configuration has it no more.
    pub(in crate::alert) url: Option<&'a Url>,
    pub(in crate::alert) notification: &'a WaitingNotification,
    pub(in crate::alert) failure: &'a LastFailure,
    /// Counts from 1.
    pub(in crate::alert) attempt: u32,
    /// When it is tried again; `None`: that was the last one.
    pub(in crate::alert) next_attempt: Option<Timestamp>,
}

/// Returns the e-mail that the gateway itself would send: one for each attempt, with its subject (design.md 9,
/// protocol.md 5.2; its French one is known to us from no source).
pub(in crate::alert) fn attempt_email(failed: &FailedAttempt<'_>, voice: &Voice) -> Email {
    let FailedAttempt {
        destination,
        notification,
        failure,
        ..
    } = failed;
    let language = voice.language;
    let mut page = Page::default();
    page.heading(language.say("What failed", "Ce qui a échoué"));
    let shop = format!("{} ({})", failed.shop_name, destination.shop);
    page.fact(language.say("Shop", "Boutique"), &shop);
    page.fact(language.say("Company", "Société"), failed.legal_entity_name);
    page.fact("Mode", destination.mode.word());
    page.fact(
        language.say("Sent", "Contenu"),
        causes::rendition(destination.rendition, language),
    );
    let gone = language.say("no longer configured", "n'est plus dans la configuration");
    page.fact("URL", &failed.url.map_or_else(|| gone.into(), shown_url));
    page.fact(language.say("Attempt", "Tentative"), &failed.attempt.to_string());

    page.heading(language.say("The answer received", "La réponse reçue"));
    answer(&mut page, failure, language);

    page.heading(language.say("What it means", "Conséquences"));
    let matters = BTreeSet::from([notification.matter]);
    for sentence in super::consequence::consequences(&matters, destination.rendition, failed.shop_name, language) {
        page.paragraph(&sentence);
    }

    page.heading(language.say(
        "What happens next by itself",
        "Ce qui se passe ensuite sans intervention",
    ));
    match failed.next_attempt.map(at) {
        Some(next) => page.paragraph(&language.say(
            format!("It is tried again, at {next} or a little later."),
            format!("Nouvelle tentative le {next}, ou un peu plus tard."),
        )),
        None => page.paragraph(language.say(
            "Nothing: this was the last attempt. The notification is kept for a replay.",
            "Rien : c'était la dernière tentative. La notification est conservée pour être rejouée.",
        )),
    }

    page.heading(language.say("What you can do now", "Ce que vous pouvez faire maintenant"));
    Advice::write(&mut page, what_to_do(failed, voice));
    let is_lost = failed.next_attempt.is_none();
    runbook(&mut page, Section::of_failure(failure.symptom, is_lost), voice);

    page.heading(language.say("The notification", "La notification"));
    item(&mut page, notification, language);
    Email {
        subject: subject_of(failed, voice),
        text: page.finish(),
    }
}

fn subject_of(failed: &FailedAttempt<'_>, voice: &Voice) -> String {
    let language = voice.language;
    let mode = match failed.destination.mode {
        Mode::Production => "",
        Mode::Test => "[MODE TEST] ",
    };
    let notification = failed.notification;
    let what = match (&notification.token, &notification.transaction) {
        (Some(token), _) => format!("{} {}", language.say("Token", "Alias"), shown_token(token)),
        (None, Some(transaction)) => format!("{} {}", language.say("Tr. ref.", "Réf. tr."), shown_token(transaction)),
        (None, None) => notification.matter.kind.to_string(),
    };
    let attempt = match failed.next_attempt {
        Some(_) => failed.attempt.to_string(),
        None => language.say("last", "dernière").into(),
    };
    let state = language.say(
        format!("{what} / FAILURE during the call to your IPN URL [unsuccessful attempt #{attempt}]"),
        format!("{what} / ÉCHEC lors de l'appel de votre URL IPN [tentative infructueuse #{attempt}]"),
    );
    subject_as_the_gateway(mode, failed.shop_name, &state)
}

fn what_to_do(failed: &FailedAttempt<'_>, voice: &Voice) -> Vec<Advice> {
    let FailedAttempt {
        destination,
        notification,
        failure,
        ..
    } = failed;
    let language = voice.language;
    let shop_table = format!("shops.{}", destination.shop);
    let table = format!("{shop_table}.{}", destination.mode.word().to_ascii_lowercase());
    let remedy = causes::remedy(
        failure.symptom,
        destination.rendition,
        &table,
        &shop_table,
        failure.at,
        language,
    );
    let mut advice = vec![Advice::words(remedy)];
    if failure.status.is_none()
        && let Some(probe) = failed.url.and_then(probe)
    {
        let words = language.say(
            "See from the router's machine whether the shop's server answers:",
            "Voyez, depuis la machine du routeur, si le serveur de la boutique répond :",
        );
        advice.push(Advice::command(words, probe));
    }
    advice.push(Advice::command(
        language.say("See all of its attempts:", "Voyez toutes ses tentatives :"),
        voice.command(&format!("show {}", notification.id)),
    ));
    if failed.next_attempt.is_none() {
        let words = language.say(
            "Once the URL works, send it again:",
            "Une fois l'URL rétablie, rejouez-la :",
        );
        let replay = format!("replay --notification {} --shop {}", notification.id, destination.shop);
        let note = language.say(
            "It arrives after newer notifications of the same token.",
            "Elle arrive après des notifications plus récentes du même alias.",
        );
        advice.push(Advice::command(words, voice.command(&replay)).note(note));
    }
    advice
}
