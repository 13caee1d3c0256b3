use std::collections::BTreeMap;
use std::time::Duration;

use super::{LISTED, Letter, number};
use crate::alert::Settings;
use crate::alert::language::{Language, at};
use crate::alert::text::Advice;
use crate::alert::text::causes::send_again;
use crate::domain::{LegalEntityId, Mode, Trouble};
use crate::outbox::TroubleRow;

/// What is told last of each company, in the mode that counts for it.
type Newest<'a> = BTreeMap<(&'a LegalEntityId, Mode), &'a TroubleRow>;

impl Letter<'_> {
    /// Writes of silences that begin or end, and returns the state for the subject.
    pub(super) fn silence(&mut self, settings: &Settings) -> String {
        let (silent, heard): (Newest<'_>, Newest<'_>) = newest(self.rows)
            .into_iter()
            .partition(|(_, row)| matches!(row.trouble, Trouble::Silence { .. }));
        if silent.is_empty() {
            self.heard_again(&heard, settings);
            let companies = self.companies(&heard, settings);
            return self.say(
                format!("the gateway is heard again for {companies}"),
                format!("la plateforme appelle à nouveau pour {companies}"),
            );
        }
        self.silent(&silent, &heard, settings);
        self.what_to_do_about_silence(&silent);
        let companies = self.companies(&silent, settings);
        self.say(
            format!("nothing from the gateway for {companies}"),
            format!("silence de la plateforme pour {companies}"),
        )
    }
    fn companies(&self, newest: &Newest<'_>, settings: &Settings) -> String {
        match newest.keys().next() {
            Some((legal_entity, _)) if newest.len() == 1 => settings.company_name(legal_entity).to_owned(),
            _ => {
                let count = number(newest.len());
                self.voice
                    .language
                    .count(count, ["company", "companies"], ["société", "sociétés"])
            }
        }
    }

    fn company(&mut self, legal_entity: &LegalEntityId, mode: Mode, settings: &Settings) {
        let name = settings.company_name(legal_entity);
        self.fact("Company", "Société", &format!("{name}, {mode}"));
    }

    fn silent(&mut self, silent: &Newest<'_>, heard: &Newest<'_>, settings: &Settings) {
        let language = self.voice.language;
        self.what_happened(
            "Nothing has come from the gateway for longer than `expect_every` says.",
            "La plateforme n'a rien envoyé depuis plus longtemps que ne le dit `expect_every`.",
        );
        for ((legal_entity, mode), row) in silent.iter().take(LISTED) {
            let Trouble::Silence {
                since,
                last_heard,
                expected_every,
                ..
            } = &row.trouble
            else {
                continue;
            };
            self.company(legal_entity, *mode, settings);
            let heard = match last_heard {
                Some(last) => {
                    let (time, lasting) = (at(*last), language.lasting(*last, row.at));
                    language.say(format!("{time}, {lasting} ago"), format!("{time}, il y a {lasting}"))
                }
                None => language.say("never", "aucun").to_owned(),
            };
            self.fact("Last heard", "Dernier", &heard);
            let every = words(*expected_every, language);
            let every = language.say(format!("at least every {every}"), format!("au moins tous les {every}"));
            let expected = if *last_heard == Some(*since) {
                every
            } else {
                let since = at(*since);
                language.say(format!("{every}, since {since}"), format!("{every}, depuis le {since}"))
            };
            self.fact("Expected", "Attendu", &expected);
        }
        self.and_more(silent.len());
        if !heard.is_empty() {
            self.page
                .paragraph(language.say("Heard again meanwhile:", "Elle appelle à nouveau pour :"));
            self.the_heard(heard, settings);
        }
        self.what_it_means(
            "Perhaps nothing has happened at these shops, or this router was not running. Or the gateway does not call \
             it any more, or cannot: then the shops do not learn of new, replaced and cancelled cards, and nothing else \
             tells you.",
            "Peut-être ne s'est-il rien passé dans ces boutiques, ou ce routeur était arrêté. Ou bien la plateforme ne \
             l'appelle plus, ou n'y parvient plus : alors les boutiques ignorent les cartes nouvelles, remplacées et \
             résiliées, et rien d'autre ne vous le dira.",
        );
        self.what_happens_next(
            "You are told when the gateway is heard again. As long as it is not, you are told again each time that \
             `expect_every` is over, at most once a day.",
            "Vous serez prévenu quand la plateforme appellera à nouveau. D'ici là, vous le serez à chaque fois que \
             `expect_every` s'écoule, une fois par jour au plus.",
        );
    }

    fn what_to_do_about_silence(&mut self, silent: &Newest<'_>) {
        let test = if silent.keys().any(|(_, mode)| *mode == Mode::Test) {
            self.say(" In TEST it counts as heard.", " En TEST, elle compte comme un appel.")
        } else {
            ""
        };
        let this_side = Advice::command(
            self.say(
                format!(
                    "See that this side works: a notification in TEST as the gateway sends it, for the shops of \
                     TEST.{test}"
                ),
                format!(
                    "Voyez si ce côté fonctionne : une notification en TEST comme la plateforme l'envoie, pour les \
                     boutiques de TEST.{test}"
                ),
            ),
            self.voice.command("send"),
        );
        let the_way = Advice::words(self.say(
            "See that the way to it works: the same from a machine outside, with --to and the URL that the gateway \
             calls. If it ends on the way: look at the DNS entry, the certificate, the firewall, the proxy.",
            "Voyez si le chemin jusqu'à lui fonctionne : la même commande depuis une machine extérieure, avec --to et \
             l'URL que la plateforme appelle. Si elle se perd en route : voyez l'entrée DNS, le certificat, le pare-feu, \
             le proxy.",
        ));
        let rules = Advice::words(self.say(
            "In the Back Office of each shop, under Settings > Notification rules: is the rule enabled, and does it \
             name this router's URL for this mode?",
            "Dans le Back Office de chaque boutique, sous Paramétrage > Règles de notifications : la règle est-elle \
             active, et indique-t-elle l'URL de ce routeur pour ce mode ?",
        ));
        let by = send_again(self.voice.language);
        let transactions = Advice::words(self.say(
            format!(
                "Look at the shop's last transactions in the Back Office: is the notification shown as failed? Once it \
                 can arrive, have each sent again: {by}."
            ),
            format!(
                "Regardez les dernières transactions de la boutique dans le Back Office : la notification y est-elle en \
                 échec ? Une fois la voie libre, faites renvoyer chacune : {by}."
            ),
        ));
        let longer = Advice::words(self.say(
            "If it is often so quiet, write a longer `expect_every` for the company.",
            "Si un tel calme est fréquent, écrivez un `expect_every` plus long pour la société.",
        ));
        self.what_you_can_do(vec![this_side, the_way, rules, transactions, longer]);
    }

    fn heard_again(&mut self, heard: &Newest<'_>, settings: &Settings) {
        self.what_happened(
            "The gateway has called again, with a notification that is rightly signed.",
            "La plateforme a rappelé, avec une notification bien signée.",
        );
        self.the_heard(heard, settings);
        self.what_it_means(
            "What it tells arrives again. What it could not deliver in the meantime does not come by itself: it tries \
             for about an hour.",
            "Ce qu'elle dit arrive à nouveau. Ce qu'elle n'a pas pu livrer entre-temps ne viendra pas de lui-même : elle \
             réessaie pendant une heure environ.",
        );
        self.what_happens_next(
            "Nothing more is needed. You are told if it falls silent again.",
            "Plus rien à faire. Vous serez prévenu si elle se tait à nouveau.",
        );
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!(
                "If its calls have failed in this time (the Back Office shows it at each transaction), have them sent \
                 again: {by}."
            ),
            format!(
                "Si ses appels ont échoué pendant ce temps (le Back Office le montre à chaque transaction), faites-les \
                 renvoyer : {by}."
            ),
        ));
        self.what_you_can_do(vec![again]);
    }

    fn the_heard(&mut self, heard: &Newest<'_>, settings: &Settings) {
        let language = self.voice.language;
        for ((legal_entity, mode), row) in heard.iter().take(LISTED) {
            if let Trouble::HeardAgain { silent_since, .. } = row.trouble {
                self.company(legal_entity, *mode, settings);
                let (time, lasting) = (at(row.at), language.lasting(silent_since, row.at));
                let heard = language.say(format!("{time}, after {lasting}"), format!("{time}, après {lasting}"));
                self.fact("Heard", "Appel", &heard);
            }
        }
        self.and_more(heard.len());
    }
}

fn newest<'a>(rows: &[&'a TroubleRow]) -> Newest<'a> {
    let of_company = |row: &&'a TroubleRow| match &row.trouble {
        Trouble::HeardAgain { legal_entity, mode, .. } | Trouble::Silence { legal_entity, mode, .. } => {
            Some(((legal_entity, *mode), *row))
        }
        _ => None,
    };
    rows.iter().filter_map(of_company).collect()
}

/// A time as it was configured.
fn words(duration: Duration, language: Language) -> String {
    let seconds = duration.as_secs();
    let (unit, word) = [(86_400, language.say("d", "j")), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .unwrap_or((1, "s"));
    format!("{} {word}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_were_configured() {
        let words = |duration| words(duration, Language::English);
        for (hours, written) in [(1, "1 h"), (24, "1 d"), (36, "36 h"), (168, "7 d")] {
            assert_eq!(words(Duration::from_hours(hours)), written);
        }
        assert_eq!(words(Duration::from_mins(90)), "90 min");
        assert_eq!(words(Duration::from_secs(3_601)), "3601 s");
    }
}
