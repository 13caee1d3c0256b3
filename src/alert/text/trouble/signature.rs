use std::collections::BTreeMap;

use super::{LISTED, Letter, number};
use crate::alert::language::at;
use crate::alert::text::Advice;
use crate::alert::text::causes::send_again;
use crate::domain::{Format, Mode, ShopId, Trouble};
use crate::outbox::TroubleRow;

/// What is told last of each key.
type Newest<'a> = BTreeMap<(ShopId, Mode, Format), &'a TroubleRow>;

impl Letter<'_> {
    /// Writes of signatures that are refused one after the other, or are right again; returns the state for the
    /// subject.
    pub(super) fn signatures(&mut self) -> String {
        let (refused, right) = newest(self.rows);
        if refused.is_empty() {
            self.signatures_right(&right)
        } else {
            self.signatures_refused(&refused, &right)
        }
    }

    fn signatures_refused(&mut self, refused: &Newest<'_>, right: &Newest<'_>) -> String {
        self.what_happened(
            "The signatures of several notifications in a row were wrong, and they were refused (403). No right one \
             came between.",
            "Les signatures de plusieurs notifications de suite étaient fausses : elles ont été refusées (403), sans \
             qu'il en vienne une bonne entre-temps.",
        );
        for row in refused.values().chain(right.values()).take(LISTED) {
            self.signature_facts(row);
        }
        self.and_more(refused.len() + right.len());
        self.what_it_means(
            "Most likely the key here is not the one of the Back Office: then every notification of this shop is \
             refused, and the company's shops do not learn of its cards. Or somebody else calls this URL.",
            "Sans doute la clé d'ici n'est-elle pas celle du Back Office : alors chaque notification de cette boutique \
             est refusée, et les boutiques de la société ignorent ses cartes. Ou bien quelqu'un d'autre appelle cette \
             URL.",
        );
        self.what_happens_next(
            "Nothing. You are told when a signature is right again, and once a day until then.",
            "Rien. Vous serez prévenu quand une signature sera bonne à nouveau, et une fois par jour d'ici là.",
        );
        let compare = self.check_and_reload(self.say(
            "Compare the key with the Back Office, Settings > Shop > Keys: `form_key` for form, `rest_password` for \
             rest, of this mode. Put it right, check it, and have the router read it again:",
            "Comparez la clé avec celle du Back Office, Paramétrage > Boutique > Clés : `form_key` pour form, \
             `rest_password` pour rest, de ce mode. Corrigez-la, vérifiez la configuration et faites-la relire par le \
             routeur :",
        ));
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!("Have the gateway send again what was refused: {by}."),
            format!("Faites renvoyer par la plateforme ce qui a été refusé : {by}."),
        ));
        let somebody = Advice::words(self.say(
            "If the key is right, somebody else calls: the address is in the router's log, after \"refused a call \
             from\".",
            "Si la clé est bonne, quelqu'un d'autre appelle : l'adresse est dans le journal du routeur, après « refused \
             a call from ».",
        ));
        self.what_you_can_do(vec![compare, again, somebody]);
        let shops = self.of_shops(refused);
        self.say(
            format!("signatures {shops} are wrong"),
            format!("signatures fausses, {shops}"),
        )
    }

    fn signatures_right(&mut self, right: &Newest<'_>) -> String {
        self.heading("What happened", "Ce qui s'est passé");
        for row in right.values().take(LISTED) {
            self.signature_facts(row);
        }
        self.and_more(right.len());
        self.what_it_means(
            "A right one has come: the key here is the gateway's.",
            "Une bonne signature est venue : la clé d'ici est celle de la plateforme.",
        );
        self.what_happens_next(
            "What the gateway tells from now on arrives. It tries refused calls again for about an hour.",
            "Ce que la plateforme dit désormais arrive. Elle réessaie les appels refusés pendant une heure environ.",
        );
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!("What was refused and does not come again, have sent again: {by}."),
            format!("Ce qui a été refusé et ne revient pas, faites-le renvoyer : {by}."),
        ));
        self.what_you_can_do(vec![again]);
        let shops = self.of_shops(right);
        self.say(
            format!("signatures {shops} are right again"),
            format!("signatures de nouveau bonnes, {shops}"),
        )
    }

    fn signature_facts(&mut self, row: &TroubleRow) {
        let (Trouble::SignaturesRefused {
            shop,
            mode,
            format,
            refused,
            since,
            ..
        }
        | Trouble::SignaturesRight {
            shop,
            mode,
            format,
            refused,
            since,
        }) = &row.trouble
        else {
            return;
        };
        self.fact("Shop", "Boutique", &format!("{shop}, {format}, {mode}"));
        let since = at(*since);
        let refused = self.say(
            format!("{refused} in a row, since {since}"),
            format!("{refused} de suite, depuis le {since}"),
        );
        self.fact("Refused", "Refusées", &refused);
        match &row.trouble {
            Trouble::SignaturesRefused { hint, .. } => {
                // In the words that the gateway got, too: its Back Office shows them.
                self.paragraph("They were answered:", "Réponse donnée :");
                self.page.quote(hint);
            }
            _ => self.fact("Right", "Bonne", &at(row.at)),
        }
    }

    fn of_shops(&self, keys: &Newest<'_>) -> String {
        match keys.keys().next() {
            Some((shop, ..)) if keys.len() == 1 => self.say(format!("of shop {shop}"), format!("boutique {shop}")),
            _ => {
                let keys = self
                    .voice
                    .language
                    .count(number(keys.len()), ["key", "keys"], ["clé", "clés"]);
                self.say(format!("of {keys}"), keys)
            }
        }
    }
}

/// Those that are refused, and those that are right again.
fn newest<'a>(rows: &[&'a TroubleRow]) -> (Newest<'a>, Newest<'a>) {
    let mut newest = Newest::new();
    for row in rows {
        if let Trouble::SignaturesRefused { shop, mode, format, .. }
        | Trouble::SignaturesRight { shop, mode, format, .. } = &row.trouble
        {
            newest.insert((*shop, *mode, *format), *row);
        }
    }
    let is_refused = |row: &TroubleRow| matches!(row.trouble, Trouble::SignaturesRefused { .. });
    newest.into_iter().partition(|(_, row)| is_refused(row))
}
