use jiff::Timestamp;

use super::{Letter, number};
use crate::alert::language::at;
use crate::alert::text::Advice;
use crate::alert::text::causes::send_again;
use crate::domain::{Lost, Trouble};
use crate::outbox::TroubleRow;

/// Notifications to be sent again by hand, each with what to search for.
const LISTED_LOST: usize = 100;

impl Letter<'_> {
    /// Writes of what was answered 503, and what of it to send again by hand; returns the state for the subject.
    pub(super) fn not_stored(&mut self) -> String {
        let refused = Refused::of(self.rows);
        self.what_happened(
            "Notifications of the gateway could not be stored, and were answered 503: the disk is full, the store has \
             failed, or too much came at once.",
            "Des notifications de la plateforme n'ont pas pu être conservées, et ont reçu la réponse 503 : le disque est \
             plein, le stockage a échoué, ou il en est venu trop à la fois.",
        );
        self.refused_facts(&refused);
        self.what_it_means(
            "The gateway may try again for about an hour, but it need not. What it does not send again, no shop of the \
             company knows of.",
            "La plateforme peut réessayer pendant une heure environ, mais rien ne l'y oblige. Ce qu'elle ne renvoie pas, \
             aucune boutique de la société n'en saura rien.",
        );
        self.what_happens_next(
            "Nothing. You are told of more at most once an hour.",
            "Rien. Vous serez prévenu des suivantes une fois par heure au plus.",
        );
        let works = Advice::words(self.say(
            "See that it works again: room on the disk, and nothing else in the router's log.",
            "Voyez si tout fonctionne à nouveau : de la place sur le disque, et rien d'autre dans le journal du routeur.",
        ));
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!(
                "In the Back Office look for each of these. If its notification is shown as failed, have it sent again: \
                 {by}. What has arrived since is recognised, so once too often does no harm."
            ),
            format!(
                "Cherchez chacune de celles-ci dans le Back Office. Si sa notification y est en échec, faites-la \
                 renvoyer : {by}. Ce qui est arrivé depuis est reconnu : une fois de trop ne fait aucun mal."
            ),
        ));
        self.what_you_can_do(vec![works, again]);
        self.list_refused(&refused);
        let number = refused.number();
        self.voice.language.count(
            number,
            ["notification not stored", "notifications not stored"],
            ["notification non conservée", "notifications non conservées"],
        )
    }

    /// Writes of a store that has failed, with what was refused for it; returns the state for the subject.
    pub(super) fn store_failed(&mut self, why: &str) -> String {
        let refused = Refused::of(self.rows);
        self.what_happened(
            "The store has failed, and the router ends: it cannot promise anything any more.",
            "Le stockage a échoué, et le routeur s'arrête : il ne peut plus rien promettre.",
        );
        self.page.quote(why);
        if let Some(row) = self.rows.first() {
            self.fact("At", "Le", &at(row.at));
        }
        self.refused_facts(&refused);
        self.what_it_means(
            "While the router does not run, the gateway's calls fail, and it may not send them again. What was stored \
             before is on the disk and goes out once the router runs again.",
            "Tant que le routeur est arrêté, les appels de la plateforme échouent, et elle ne les renverra peut-être \
             pas. Ce qui était conservé est sur le disque et partira quand le routeur fonctionnera à nouveau.",
        );
        self.what_happens_next(
            "systemd starts it again, if it is set up so. If the fault lasts, it ends again; you are told of it at most \
             once an hour.",
            "systemd le redémarre, s'il est réglé ainsi. Si la panne dure, il s'arrête à nouveau ; vous en serez prévenu \
             une fois par heure au plus.",
        );
        let look = Advice::command(
            self.say(
                "Look at the router's log and the system's, and at the disk:",
                "Regardez le journal du routeur, celui du système, et le disque :",
            ),
            "df -h".into(),
        );
        let opens = Advice::command(
            self.say(
                "See whether the store can be opened:",
                "Voyez si le stockage peut être ouvert :",
            ),
            self.voice.command("check --online"),
        );
        let by = send_again(self.voice.language);
        let again = Advice::words(self.say(
            format!(
                "Once it runs, look in the Back Office for notifications shown as failed since then, and have them sent \
                 again: {by}."
            ),
            format!(
                "Une fois le routeur reparti, cherchez dans le Back Office les notifications en échec depuis lors, et \
                 faites-les renvoyer : {by}."
            ),
        ));
        self.what_you_can_do(vec![look, opens, again]);
        self.list_refused(&refused);
        self.say(
            "the store has failed, the router ends",
            "le stockage a échoué, le routeur s'arrête",
        )
        .to_owned()
    }

    fn refused_facts(&mut self, refused: &Refused<'_>) {
        let Some((first, last)) = refused.between else { return };
        let (first, last) = (at(first), at(last));
        let times = self.say(format!("{first} and {last}"), format!("{first} et {last}"));
        self.fact("Between", "Entre", &times);
        let nouns = ["notification", "notifications"];
        let count = self.voice.language.count(refused.number(), nouns, nouns);
        self.fact("Refused", "Refusées", &count);
        if refused.unread > 0 {
            let unread = refused.unread;
            let words = self.say(
                format!("{unread} of them, because too much came at once: nothing is known of them"),
                format!("{unread} d'entre elles, car il en est venu trop à la fois : on n'en sait rien"),
            );
            self.fact("Unread", "Non lues", &words);
        }
    }

    fn list_refused(&mut self, refused: &Refused<'_>) {
        if refused.lost.is_empty() {
            return;
        }
        self.heading("What to look for", "Ce qu'il faut chercher");
        let shop = self.say("shop", "boutique");
        for lost in refused.lost.iter().take(LISTED_LOST) {
            let first = format!(
                "{}, {shop} {}, {}, {}, {}",
                at(lost.at),
                lost.shop,
                lost.mode,
                lost.format,
                lost.kind
            );
            let second = self.search_terms(lost);
            self.page.item(&first, &second);
        }
        let shown = number(refused.lost.len().min(LISTED_LOST));
        let more = refused.number() - refused.unread - shown;
        if more > 0 {
            let words = self.say(
                format!("And {more} more: each is in the router's log, after \"did not store a notification\"."),
                format!(
                    "Et {more} de plus : chacune est dans le journal du routeur, après « did not store a notification »."
                ),
            );
            self.page.paragraph(&words);
        }
    }

    fn search_terms(&self, lost: &Lost) -> String {
        let terms = [
            ("transaction", &lost.transaction),
            (self.say("order", "commande"), &lost.order),
            ("date", &lost.date),
            (self.say("token", "alias"), &lost.token),
        ];
        let known: Vec<_> = terms
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)))
            .collect();
        if known.is_empty() {
            let nothing = self.say("nothing to search for but the time", "rien à chercher que l'heure");
            nothing.to_owned()
        } else {
            known.join(", ")
        }
    }
}

/// Everything that rows say of what was refused.
struct Refused<'a> {
    between: Option<(Timestamp, Timestamp)>,
    lost: Vec<&'a Lost>,
    more: u64,
    unread: u64,
}

impl<'a> Refused<'a> {
    fn of(rows: &[&'a TroubleRow]) -> Self {
        let mut all = Self {
            between: None,
            lost: Vec::new(),
            more: 0,
            unread: 0,
        };
        for row in rows {
            if let Trouble::NotStored {
                first_at,
                last_at,
                lost,
                more,
                unread,
            } = &row.trouble
            {
                let (first, last) = all.between.unwrap_or((*first_at, *last_at));
                all.between = Some((first.min(*first_at), last.max(*last_at)));
                all.lost.extend(lost);
                all.more += more;
                all.unread += unread;
            }
        }
        all
    }

    fn number(&self) -> u64 {
        number(self.lost.len())
            .saturating_add(self.more)
            .saturating_add(self.unread)
    }
}

#[cfg(test)]
mod tests {
    use super::LISTED_LOST;
    use crate::alert::Settings;
    use crate::alert::text::tests::cases::{at_second, lost};
    use crate::alert::text::trouble_email;
    use crate::domain::{Kind, Trouble};
    use crate::outbox::TroubleRow;

    #[test]
    fn every_lost_notification_is_listed_or_counted() {
        let many = (0..LISTED_LOST + 5)
            .map(|_| lost(0, Kind::TokenUpdated, None))
            .collect();
        let trouble = Trouble::NotStored {
            first_at: at_second(0),
            last_at: at_second(0),
            lost: many,
            more: 10,
            unread: 3,
        };
        let row = TroubleRow {
            id: 1,
            at: at_second(0),
            trouble,
        };
        let text = trouble_email(&[&row], &Settings::default()).text;
        assert_eq!(text.matches("transaction 192ee2d7").count(), LISTED_LOST);
        assert!(text.contains("And 15 more:") && text.contains("118 notifications") && text.contains("3 of them"));
    }
}
