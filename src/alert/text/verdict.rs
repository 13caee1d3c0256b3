use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use super::layout::{Page, subject};
use super::lists::item;
use super::{Advice, Email, causes, runbook};
use crate::alert::language::{Voice, at};
use crate::domain::{DestinationKey, Section, shown_url, useful_text};
use crate::outbox::WaitingNotification;

/// The first answer of a day with which a shop's plugin refuses what it took, not because of its signature.
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct KoOfTheDay<'a> {
    pub(in crate::alert) destination: &'a DestinationKey,
    pub(in crate::alert) legal_entity_name: &'a str,
    pub(in crate::alert) shop_name: &'a str,
    /// `None` if the configuration has it no more.
    pub(in crate::alert) url: Option<&'a Url>,
    pub(in crate::alert) notification: &'a WaitingNotification,
    /// What the plugin wrote.
    pub(in crate::alert) verdict: &'a str,
    pub(in crate::alert) at: Timestamp,
}

/// Returns the e-mail about it.
pub(in crate::alert) fn verdict_email(ko: &KoOfTheDay<'_>, voice: &Voice) -> Email {
    let KoOfTheDay {
        destination,
        notification,
        ..
    } = ko;
    let language = voice.language;
    let mut page = Page::default();
    page.heading(language.say("What was refused", "Ce qui a été refusé"));
    let shop = format!("{} ({})", ko.shop_name, destination.shop);
    page.fact(language.say("Shop", "Boutique"), &shop);
    page.fact(language.say("Company", "Société"), ko.legal_entity_name);
    page.fact("Mode", destination.mode.word());
    page.fact(
        language.say("Sent", "Contenu"),
        causes::rendition(destination.rendition, language),
    );
    let gone = language.say("no longer configured", "n'est plus dans la configuration");
    page.fact("URL", &ko.url.map_or_else(|| gone.into(), shown_url));

    page.heading(language.say("The answer received", "La réponse reçue"));
    let time = at(ko.at);
    page.paragraph(&language.say(format!("At {time}:"), format!("Le {time} :")));
    page.paragraph(language.say(
        "The shop's plugin took the notification (200), and answered that it does not want it (KO).",
        "Le module de la boutique a pris la notification (200), et répond qu'il n'en veut pas (KO).",
    ));
    page.quote(&useful_text(ko.verdict.as_bytes()));

    page.heading(language.say("What it means", "Conséquences"));
    page.paragraph(language.say(
        "The plugin has probably not done what the notification tells:",
        "Le module n'a sans doute pas tenu compte de la notification :",
    ));
    let matters = BTreeSet::from([notification.matter]);
    for sentence in super::consequence::consequences(&matters, destination.rendition, ko.shop_name, language) {
        page.paragraph(&sentence);
    }

    page.heading(language.say(
        "What happens next by itself",
        "Ce qui se passe ensuite sans intervention",
    ));
    page.paragraph(language.say(
        "Nothing: to the gateway, and here, such an answer counts as delivered. You are told of more at most once a \
         day.",
        "Rien : pour la plateforme, et ici, une telle réponse vaut livraison. Vous serez prévenu des suivantes une \
         fois par jour au plus.",
    ));

    page.heading(language.say("What you can do now", "Ce que vous pouvez faire maintenant"));
    let look = language.say(
        format!("Look into the log of the shop's plugin at {time}: it knows why."),
        format!("Regardez le journal du module de la boutique à cette heure : {time}. Il en connaît la raison."),
    );
    let see = language.say(
        "See what was sent, and every answer:",
        "Voyez ce qui a été envoyé, et chaque réponse :",
    );
    let again = language.say(
        "Once it is mended, send it again:",
        "Une fois la cause corrigée, rejouez-la :",
    );
    let id = notification.id;
    let advice = vec![
        Advice::words(look),
        Advice::command(see, voice.command(&format!("show {id}"))),
        Advice::command(
            again,
            voice.command(&format!("replay --notification {id} --shop {}", destination.shop)),
        ),
    ];
    Advice::write(&mut page, advice);
    runbook(&mut page, Section::AShopAnswersKo, voice);

    page.heading(language.say("The notification", "La notification"));
    item(&mut page, notification, language);
    let (url, _) = causes::settings(destination.rendition);
    Email {
        subject: subject(
            language,
            destination.mode.word(),
            &[ko.legal_entity_name, ko.shop_name],
            &language.say(format!("{url} answers KO"), format!("{url} répond KO")),
        ),
        text: page.finish(),
    }
}
