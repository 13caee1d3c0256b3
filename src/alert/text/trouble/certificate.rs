use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{LISTED, Letter, number};
use crate::alert::language::at;
use crate::alert::text::Advice;
use crate::domain::{CertificateOwner, Trouble};

impl Letter<'_> {
    /// Writes of certificates that end, and returns the state for the subject.
    pub(super) fn certificates(&mut self) -> String {
        let mut newest = BTreeMap::new();
        for row in self.rows {
            if let Trouble::CertificateEnds { whose, until } = &row.trouble {
                newest.insert(whose, (*until, row.at));
            }
        }
        self.what_happened(
            "A certificate ends soon, or has ended, and was not renewed in time:",
            "Un certificat expire bientôt, ou a expiré, sans avoir été renouvelé à temps :",
        );
        for (whose, (until, told)) in newest.iter().take(LISTED) {
            match whose {
                CertificateOwner::Host(host) => self.fact("Shop", "Boutique", host),
                CertificateOwner::Receiver(path) => self.fact("Receiver", "Réception", path),
            }
            let ends = self.ends(*until, *told);
            self.fact("", "", &ends);
        }
        self.and_more(newest.len());
        let has_own = newest
            .keys()
            .any(|whose| matches!(whose, CertificateOwner::Receiver(_)));
        let has_others = newest.keys().any(|whose| matches!(whose, CertificateOwner::Host(_)));
        self.heading("What it means", "Conséquences");
        if has_own {
            self.paragraph(
                "Once the receiver's own certificate has ended, the gateway refuses to call, and nothing arrives here \
                 any more: the shops do not learn of new, replaced and cancelled cards.",
                "Une fois expiré le certificat du routeur lui-même, la plateforme refuse de l'appeler et plus rien \
                 n'arrive ici : les boutiques ignorent les cartes nouvelles, remplacées et résiliées.",
            );
        }
        if has_others {
            self.paragraph(
                "Once a shop's certificate has ended, its notifications wait here until it is renewed.",
                "Une fois expiré le certificat d'une boutique, ses notifications attendent ici qu'il soit renouvelé.",
            );
        }
        self.what_happens_next(
            "You are told again 7 days and 1 day before the end, and when it has come. Once it is renewed, nothing more \
             is said.",
            "Vous serez prévenu encore 7 jours et 1 jour avant la fin, et quand elle sera venue. Une fois le certificat \
             renouvelé, plus rien ne sera dit.",
        );
        let renew = Advice::words(self.say(
            "Renew it, or tell whoever runs the shop's server.",
            "Renouvelez-le, ou prévenez qui gère le serveur de la boutique.",
        ));
        let see = if has_own {
            self.say(
                "Restart the router, so that it shows the new one; see what it will show:",
                "Redémarrez le routeur pour qu'il présente le nouveau ; voyez ce qu'il présentera :",
            )
        } else {
            self.say(
                "See what the shops' servers show now:",
                "Voyez ce que présentent les serveurs des boutiques :",
            )
        };
        let see = Advice::command(see, self.voice.command("check --online"));
        self.what_you_can_do(vec![renew, see]);
        match newest.iter().next() {
            Some((whose, (until, told))) if newest.len() == 1 => self.one_ends(whose, *until, *told),
            _ => {
                let count = number(newest.len());
                self.voice.language.count(
                    count,
                    ["certificate ends", "certificates end"],
                    ["certificat expire", "certificats expirent"],
                )
            }
        }
    }

    fn ends(&self, until: Timestamp, told: Timestamp) -> String {
        let (end, lasting) = (at(until), self.voice.language.lasting(told, until));
        if until <= told {
            self.say(format!("ended at {end}"), format!("a expiré le {end}"))
        } else {
            self.say(
                format!("ends at {end}, in {lasting}"),
                format!("expire le {end}, dans {lasting}"),
            )
        }
    }

    fn one_ends(&self, whose: &CertificateOwner, until: Timestamp, told: Timestamp) -> String {
        let whose = match whose {
            CertificateOwner::Host(host) => self.say(format!("of {host}"), format!("pour {host}")),
            CertificateOwner::Receiver(_) => self.say("of the receiver", "du routeur").to_owned(),
        };
        let lasting = self.voice.language.lasting(told, until);
        if until <= told {
            self.say(
                format!("the certificate {whose} has ended"),
                format!("le certificat {whose} a expiré"),
            )
        } else {
            self.say(
                format!("the certificate {whose} ends in {lasting}"),
                format!("le certificat {whose} expire dans {lasting}"),
            )
        }
    }
}
