//! The daemon's own troubles, told to its operators.

mod certificate;
mod disk;
mod lost;
mod signature;
mod silence;

use std::collections::BTreeSet;

use super::causes::send_again;
use super::layout::{Page, subject};
use super::{Advice, Email, runbook};
use crate::alert::Settings;
use crate::alert::language::{Voice, at};
use crate::domain::{Format, Mode, NotificationId, Section, ShopId, Trouble};
use crate::outbox::TroubleRow;

/// As many are named in an e-mail.
const LISTED: usize = 10;

/// Returns the e-mail to the operators about troubles of one word ([`Trouble::word`]), oldest first.
pub(in crate::alert) fn trouble_email(rows: &[&TroubleRow], settings: &Settings) -> Email {
    let voice = settings.operators_voice();
    let language = voice.language;
    let mut letter = Letter {
        page: Page::default(),
        voice: &voice,
        rows,
    };
    let notifications = || {
        let nouns = ["notification", "notifications"];
        language.count(number(rows.len()), nouns, nouns)
    };
    let state = match rows.first().map(|row| &row.trouble) {
        Some(Trouble::CertificateEnds { .. }) => letter.certificates(),
        Some(Trouble::Disk { .. }) => letter.disk(),
        Some(Trouble::NotStored { .. }) => letter.not_stored(),
        Some(Trouble::SignaturesRefused { .. } | Trouble::SignaturesRight { .. }) => letter.signatures(),
        Some(Trouble::StoreFailed { why }) => letter.store_failed(why),
        Some(Trouble::Parked { .. }) => {
            letter.parked();
            let notifications = notifications();
            language.say(
                format!("{notifications} with nowhere to go"),
                format!("{notifications} sans destinataire"),
            )
        }
        Some(Trouble::Quarantined { .. }) => {
            letter.quarantined();
            let notifications = notifications();
            language.say(
                format!("{notifications} quarantined"),
                format!("{notifications} en quarantaine"),
            )
        }
        Some(Trouble::ReloadRefused { .. }) => {
            letter.reload_refused();
            let state = language.say(
                "the changed configuration is not applied",
                "la nouvelle configuration n'est pas appliquée",
            );
            state.to_owned()
        }
        Some(Trouble::HeardAgain { .. } | Trouble::Silence { .. }) => letter.silence(settings),
        Some(Trouble::UnknownShop { .. }) | None => {
            letter.unknown_shop();
            let shops = number(unknown_shops(rows).len());
            let shops = language.count(
                shops,
                ["unknown shop", "unknown shops"],
                ["boutique inconnue", "boutiques inconnues"],
            );
            language.say(
                format!("notifications of {shops} refused"),
                format!("notifications refusées, {shops}"),
            )
        }
    };
    letter.the_notifications();
    let modes: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| mode(&row.trouble))
        .map(Mode::word)
        .collect();
    let modes: Vec<&str> = modes.into_iter().collect();
    Email {
        subject: subject(language, &modes.join(", "), &["ipn-router"], &state),
        text: letter.page.finish(),
    }
}

fn number(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn mode(trouble: &Trouble) -> Option<Mode> {
    match trouble {
        Trouble::HeardAgain { mode, .. }
        | Trouble::Parked { mode, .. }
        | Trouble::Quarantined { mode, .. }
        | Trouble::SignaturesRefused { mode, .. }
        | Trouble::SignaturesRight { mode, .. }
        | Trouble::Silence { mode, .. }
        | Trouble::UnknownShop { mode, .. } => Some(*mode),
        Trouble::CertificateEnds { .. }
        | Trouble::Disk { .. }
        | Trouble::NotStored { .. }
        | Trouble::ReloadRefused { .. }
        | Trouble::StoreFailed { .. } => None,
    }
}

/// An e-mail about a trouble while it is written.
struct Letter<'a> {
    page: Page,
    voice: &'a Voice,
    rows: &'a [&'a TroubleRow],
}

impl Letter<'_> {
    fn say<T>(&self, english: T, french: T) -> T {
        self.voice.language.say(english, french)
    }

    fn heading(&mut self, english: &str, french: &str) {
        self.page.heading(self.voice.language.say(english, french));
    }

    fn paragraph(&mut self, english: &str, french: &str) {
        self.page.paragraph(self.voice.language.say(english, french));
    }

    fn fact(&mut self, english: &str, french: &str, value: &str) {
        self.page.fact(self.voice.language.say(english, french), value);
    }

    /// `And 3 more.`, if there are more than are named.
    fn and_more(&mut self, all: usize) {
        if let Some(more @ 1..) = all.checked_sub(LISTED) {
            let words = self.say(format!("And {more} more."), format!("Et {more} de plus."));
            self.page.paragraph(&words);
        }
    }

    fn what_happened(&mut self, english: &str, french: &str) {
        self.heading("What happened", "Ce qui s'est passé");
        self.paragraph(english, french);
    }

    fn what_it_means(&mut self, english: &str, french: &str) {
        self.heading("What it means", "Conséquences");
        self.paragraph(english, french);
    }

    fn what_happens_next(&mut self, english: &str, french: &str) {
        self.heading(
            "What happens next by itself",
            "Ce qui se passe ensuite sans intervention",
        );
        self.paragraph(english, french);
    }

    fn what_you_can_do(&mut self, advice: Vec<Advice>) {
        self.heading("What you can do now", "Ce que vous pouvez faire maintenant");
        Advice::write(&mut self.page, advice);
        let section = self.rows.first().map(|row| Section::of_trouble(&row.trouble));
        runbook(&mut self.page, section.unwrap_or(Section::FirstLook), self.voice);
    }

    /// After a change of the configuration.
    fn check_and_reload(&self, words: &str) -> Advice {
        Advice::command(words, self.voice.command("check")).and(self.voice.command("reload"))
    }

    fn parked(&mut self) {
        self.what_happened(
            "The gateway sent notifications that nobody can be given: the company is disabled, or none of its shops \
             has a URL for them. They were verified and stored, and the gateway was told so.",
            "La plateforme a envoyé des notifications sans destinataire : la société est désactivée, ou aucune de ses \
             boutiques n'a d'URL pour elles. Elles sont vérifiées et conservées, et la plateforme en a été avertie.",
        );
        self.what_it_means(
            "The shops do not know what these notifications tell.",
            "Les boutiques ignorent ce que disent ces notifications.",
        );
        self.what_happens_next(
            "Nothing, until the configuration is changed. What waits for a disabled company goes out once it is \
             enabled. You are told of more at most once an hour.",
            "Rien, tant que la configuration ne change pas. Ce qui attend une société désactivée part dès qu'elle est \
             activée. Vous serez prévenu des suivantes une fois par heure au plus.",
        );
        let enable = self.check_and_reload(self.say(
            "Enable the company, or give its shops the URLs that they lack; check it, and have the router read it \
             again:",
            "Activez la société, ou donnez à ses boutiques les URL qui leur manquent ; vérifiez la configuration et \
             faites-la relire par le routeur :",
        ));
        let release = Advice::command(
            self.say(
                "Then deliver each that no shop had a URL for, by its id, such as:",
                "Puis livrez chacune de celles qui n'avaient pas d'URL, par son id, par exemple :",
            ),
            self.release(),
        );
        self.what_you_can_do(vec![enable, release]);
    }

    /// Releases the first of them.
    fn release(&self) -> String {
        let first = self.rows.iter().find_map(|row| stored(&row.trouble));
        let id = first.map_or_else(String::new, |(id, ..)| id.to_string());
        self.voice.command(&format!("release {id}"))
    }

    fn quarantined(&mut self) {
        self.what_happened(
            "Something arrived that is signed with the right key, but does not look like a notification as the gateway \
             documents it. It may be the cancellation of a token, whose form is undocumented. It was stored, and is \
             given to no shop.",
            "Un message signé avec la bonne clé est arrivé, mais il ne ressemble pas à une notification telle que la \
             plateforme la documente. C'est peut-être la résiliation d'un alias, dont la forme n'est pas documentée. Il \
             est conservé, et n'est transmis à aucune boutique.",
        );
        self.what_it_means(
            "If it was a cancellation, the company's shops may still offer a card that no longer works.",
            "Si c'est une résiliation, les boutiques de la société peuvent encore proposer une carte qui ne fonctionne \
             plus.",
        );
        self.what_happens_next(
            "Nothing. You are told of more at most once an hour.",
            "Rien. Vous serez prévenu des suivants une fois par heure au plus.",
        );
        let look = Advice::words(self.say(
            "Look in the Back Office whether a token of this shop was cancelled at that time.",
            "Regardez dans le Back Office si un alias de cette boutique a été résilié à cette heure-là.",
        ));
        let release = Advice::command(
            self.say(
                "If so, see what would be sent where, and let it go to the shops:",
                "Si oui, laissez le message partir vers les boutiques :",
            ),
            self.release(),
        );
        let nobody = Advice::words(self.say(
            "If nobody did anything at that time, somebody may be trying out a buyer's request: look into the access \
             log, and leave it where it is.",
            "Si personne n'a rien fait à cette heure-là, quelqu'un essaie peut-être la requête d'un acheteur : regardez \
             le journal d'accès, et laissez le message où il est.",
        ));
        self.what_you_can_do(vec![look, release, nobody]);
    }

    fn reload_refused(&mut self) {
        let last = self.rows.last().map(|row| (row.at, &row.trouble));
        let Some((when, Trouble::ReloadRefused { by, why, is_dangerous })) = last else {
            return;
        };
        if *is_dangerous {
            self.what_happened(
                "The configuration was to be read again. It has no errors, but what it changes is dangerous, and nobody \
                 has confirmed that it is meant.",
                "La configuration devait être relue. Elle ne comporte pas d'erreur, mais ce qu'elle change est dangereux, \
                 et personne n'a confirmé que c'est voulu.",
            );
        } else {
            self.what_happened(
                "The configuration was to be read again, and cannot be used as it is written now.",
                "La configuration devait être relue, et ne peut pas servir telle qu'elle est écrite.",
            );
        }
        self.fact("At", "Le", &at(when));
        self.fact("Asked by", "Demandé par", by);
        for problem in why.iter().take(LISTED) {
            self.page.quote(problem);
        }
        self.and_more(why.len());
        self.what_it_means(
            "The configuration before it runs on, unchanged: nothing is lost, and nothing that was meant to change has \
             changed.",
            "La configuration précédente reste en vigueur : rien n'est perdu, et rien de ce qui devait changer n'a \
             changé.",
        );
        if *is_dangerous {
            self.dangerous_file_stays();
        } else {
            self.broken_file_stays();
        }
    }

    fn broken_file_stays(&mut self) {
        self.what_happens_next(
            "Nothing. At the next restart the router would not start with this file. You are told of more at most once \
             an hour.",
            "Rien. Au prochain redémarrage, le routeur refuserait de démarrer avec ce fichier. Vous serez prévenu des \
             refus suivants une fois par heure au plus.",
        );
        let check = Advice::command(
            self.say(
                "See everything that is wrong, with what to write instead; mend it:",
                "Voyez tout ce qui ne va pas, avec ce qu'il faut écrire à la place ; corrigez :",
            ),
            self.voice.command("check"),
        );
        let reload = Advice::command(
            self.say("Have it read again:", "Faites-la relire :"),
            self.voice.command("reload"),
        );
        self.what_you_can_do(vec![check, reload]);
    }

    fn dangerous_file_stays(&mut self) {
        self.what_happens_next(
            "Nothing, until the router is restarted: then it starts with this file, and asks nobody. You are told of \
             more at most once an hour.",
            "Rien, jusqu'au prochain redémarrage : le routeur démarrera alors avec ce fichier, sans rien demander. Vous \
             serez prévenu des refus suivants une fois par heure au plus.",
        );
        let diff = Advice::command(
            self.say(
                "See all that it changes. If that is not meant, mend the file before a restart:",
                "Voyez tout ce qu'elle change. Si ce n'est pas voulu, corrigez le fichier avant un redémarrage :",
            ),
            self.voice.command("diff"),
        );
        let confirm = Advice::command(
            self.say("If it is meant:", "Si c'est bien voulu :"),
            self.voice.command("reload --confirm"),
        );
        self.what_you_can_do(vec![diff, confirm]);
    }

    fn unknown_shop(&mut self) {
        self.what_happened(
            "Notifications were refused (403), because no key is configured for their shop in their format and mode. \
             They may come from the gateway or from a stranger: without a key nobody can tell.",
            "Des notifications ont été refusées (403), faute de clé configurée pour leur boutique dans leur format et \
             leur mode. Elles viennent peut-être de la plateforme, peut-être d'un inconnu : sans clé, nul ne peut le \
             dire.",
        );
        let shops = unknown_shops(self.rows);
        let none = self.say("no shop id", "sans identifiant");
        for (site_id, format, mode) in shops.iter().take(LISTED) {
            let site_id = site_id.unwrap_or(none);
            self.fact("Shop", "Boutique", &format!("{site_id}, {format}, {mode}"));
        }
        self.and_more(shops.len());
        if let [first, .., last] = self.rows {
            let (first, last) = (at(first.at), at(last.at));
            let times = self.say(format!("{first} and {last}"), format!("{first} et {last}"));
            self.fact("Between", "Entre", &times);
        } else if let [only] = self.rows {
            self.fact("At", "Le", &at(only.at));
        }
        self.what_it_means(
            "If they are the gateway's, no shop of the company knows what they tell. Nothing was stored.",
            "Si elles viennent de la plateforme, aucune boutique de la société ne sait ce qu'elles disent. Rien n'a été \
             conservé.",
        );
        self.what_happens_next(
            "The gateway may try again for about an hour. You are told of more at most once an hour.",
            "La plateforme peut réessayer pendant une heure environ. Vous serez prévenu des suivantes une fois par heure \
             au plus.",
        );
        let add = self.check_and_reload(self.say(
            "If the shop is yours, add its key from the Back Office (Settings > Shop > Keys), `form_key` for form, \
             `rest_password` for rest; check it, and have the router read it again:",
            "Si la boutique est à vous, ajoutez sa clé prise dans le Back Office (Paramétrage > Boutique > Clés), \
             `form_key` pour form, `rest_password` pour rest ; vérifiez la configuration et faites-la relire par le \
             routeur :",
        ));
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!("Have the gateway send again what was refused: {by}."),
            format!("Faites renvoyer par la plateforme ce qui a été refusé : {by}."),
        ));
        let stranger = Advice::words(self.say(
            "If the shop is not yours, find out who calls: the address is in the router's log, after \"refused a call \
             from\".",
            "Si elle n'est pas à vous, cherchez qui appelle : l'adresse est dans le journal du routeur, après « refused \
             a call from ».",
        ));
        self.what_you_can_do(vec![add, again, stranger]);
    }

    fn the_notifications(&mut self) {
        let stored: Vec<_> = self.rows.iter().filter_map(|row| stored(&row.trouble)).collect();
        if stored.is_empty() {
            return;
        }
        let language = self.voice.language;
        self.page
            .heading(language.say("The first notifications", "Les premières notifications"));
        let word = language.say("shop", "boutique");
        for (id, shop, mode) in stored.into_iter().take(LISTED) {
            let first = format!("{}, {word} {shop}, {mode}", at(id.received_at()));
            self.page.item(&first, &format!("id {id}"));
        }
    }
}

/// Each once: they are reported once an hour, however many notifications come.
fn unknown_shops<'a>(rows: &[&'a TroubleRow]) -> BTreeSet<(Option<&'a str>, Format, Mode)> {
    let shop = |row: &&'a TroubleRow| match &row.trouble {
        Trouble::UnknownShop { site_id, format, mode } => Some((site_id.as_deref(), *format, *mode)),
        _ => None,
    };
    rows.iter().filter_map(shop).collect()
}

fn stored(trouble: &Trouble) -> Option<(NotificationId, ShopId, Mode)> {
    match trouble {
        Trouble::Parked {
            notification,
            shop,
            mode,
        }
        | Trouble::Quarantined {
            notification,
            shop,
            mode,
        } => Some((*notification, *shop, *mode)),
        _ => None,
    }
}
