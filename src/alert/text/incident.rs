use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use super::causes;
use super::consequence::{consequences, is_urgent};
use super::layout::{Page, subject};
use super::lists::{Listed, the_first};
use super::{Advice, Email, runbook};
use crate::alert::Language;
use crate::alert::language::{Voice, at};
use crate::alert::step::Step;
use crate::domain::{DestinationKey, Incident, Matter, Mode, Section, Symptom, shown_url};
use crate::outbox::{Waiting, WaitingNotification};

/// Everything that an e-mail about an incident tells of.
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct Situation<'a> {
    /// As commands name the incident.
    pub(in crate::alert) number: i64,
    pub(in crate::alert) destination: &'a DestinationKey,
    pub(in crate::alert) legal_entity_name: &'a str,
    pub(in crate::alert) shop_name: &'a str,
    /// `None` if the configuration has it no more.
    pub(in crate::alert) url: Option<&'a Url>,
    pub(in crate::alert) incident: &'a Incident,
    pub(in crate::alert) waiting: &'a Waiting,
    /// The first dead letters ([`Incident::given_up`]).
    pub(in crate::alert) given_up: &'a [WaitingNotification],
    /// When the oldest that waits becomes a dead letter, if it does not arrive.
    pub(in crate::alert) gives_up_at: Option<Timestamp>,
    pub(in crate::alert) now: Timestamp,
}

/// Returns the e-mail for a step of an incident.
pub(in crate::alert) fn incident_email(situation: &Situation<'_>, step: Step, voice: &Voice) -> Email {
    let letter = Letter { situation, step, voice };
    let mut page = Page::default();
    letter.what_failed(&mut page);
    letter.the_answer(&mut page);
    if !letter.is_over() {
        letter.what_it_means(&mut page);
    }
    letter.what_happens_next(&mut page);
    letter.what_you_can_do(&mut page);
    letter.the_notifications(&mut page);
    Email {
        subject: letter.subject(),
        text: page.finish(),
    }
}

/// An e-mail about a step of an incident while it is written.
struct Letter<'a> {
    situation: &'a Situation<'a>,
    step: Step,
    voice: &'a Voice,
}

impl Situation<'_> {
    /// What everything is about that failed, waits or was given up.
    pub(super) fn matters(&self) -> BTreeSet<Matter> {
        self.incident.matters.union(&self.waiting.matters).copied().collect()
    }

    pub(super) fn symptom(&self) -> Symptom {
        self.incident.last_failure.symptom
    }

    /// `37 deliveries wait, the oldest for 4 min.`
    pub(super) fn how_many_wait(&self, language: Language) -> String {
        let waiting = self.waiting;
        let number = language.count(
            waiting.count,
            ["delivery waits", "deliveries wait"],
            ["envoi attend", "envois attendent"],
        );
        let oldest = waiting.oldest.map_or_else(String::new, |oldest| {
            let lasting = language.lasting(oldest, self.now);
            language.say(
                format!(", the oldest for {lasting}"),
                format!(", le plus ancien depuis {lasting}"),
            )
        });
        format!("{number}{oldest}.")
    }
}

impl Letter<'_> {
    fn say<T>(&self, english: T, french: T) -> T {
        self.voice.language.say(english, french)
    }

    fn is_over(&self) -> bool {
        self.step.is_recovery()
    }

    fn subject(&self) -> String {
        let Situation {
            incident,
            waiting,
            destination,
            ..
        } = self.situation;
        let (url, _) = causes::settings(destination.rendition);
        let given_up = incident.given_up.count;
        let (delivered, waiting) = (incident.delivered, waiting.count);
        let state = match self.step {
            Step::GaveUp(_) => {
                let count = self.voice.language.count(
                    given_up,
                    ["delivery", "deliveries"],
                    ["envoi abandonné", "envois abandonnés"],
                );
                self.say(format!("{url}: {count} given up"), format!("{url} : {count}"))
            }
            // It does answer: a subject that said "fails" would send on-call to the wrong place.
            Step::FailsAgain | Step::Opened | Step::StillFailing(_)
                if self.situation.symptom() == Symptom::KoSignature =>
            {
                self.say(
                    format!("{url} says that the signature is wrong"),
                    format!("{url} répond que la signature est fausse"),
                )
            }
            Step::FailsAgain => self.say(
                format!("{url} fails again, {waiting} waiting"),
                format!("{url} à nouveau en échec, {waiting} en attente"),
            ),
            Step::Grew(_) => self.say(
                format!("{url} still fails, {waiting} waiting"),
                format!("{url} toujours en échec, {waiting} en attente"),
            ),
            Step::Opened => self.say(
                format!("{url} fails, {waiting} waiting"),
                format!("{url} en échec, {waiting} en attente"),
            ),
            Step::Recovered | Step::RecoveredAgain if given_up > 0 => self.say(
                format!("{url} works again, {delivered} delivered, {given_up} given up"),
                format!("{url} rétabli, {delivered} livrés, {given_up} abandonnés"),
            ),
            Step::Recovered | Step::RecoveredAgain => self.say(
                format!("{url} works again, {delivered} delivered"),
                format!("{url} rétabli, {delivered} livrés"),
            ),
            Step::StillFailing(hours) => self.say(
                format!("{url} has failed for {hours} h, {waiting} waiting"),
                format!("{url} en échec depuis {hours} h, {waiting} en attente"),
            ),
        };
        let is_urgent = !self.is_over()
            && destination.mode == Mode::Production
            && is_urgent(&self.situation.matters(), destination.rendition);
        let urgent = if is_urgent { "URGENT, " } else { "" };
        subject(
            self.voice.language,
            destination.mode.word(),
            &[self.situation.legal_entity_name, self.situation.shop_name],
            &format!("{urgent}{state}"),
        )
    }

    fn what_failed(&self, page: &mut Page) {
        let Situation {
            number,
            destination,
            legal_entity_name,
            shop_name,
            url,
            incident,
            ..
        } = self.situation;
        let language = self.voice.language;
        page.heading(if self.is_over() {
            self.say(
                "What failed, and works again",
                "Ce qui était en échec, et fonctionne à nouveau",
            )
        } else {
            self.say("What failed", "Ce qui a échoué")
        });
        page.fact(
            self.say("Shop", "Boutique"),
            &format!("{shop_name} ({})", destination.shop),
        );
        page.fact(self.say("Company", "Société"), legal_entity_name);
        page.fact("Mode", destination.mode.word());
        page.fact(
            self.say("Sent", "Contenu"),
            causes::rendition(destination.rendition, language),
        );
        let gone = self.say("no longer configured", "n'est plus dans la configuration");
        page.fact("URL", &url.map_or_else(|| gone.into(), shown_url));
        let attempts = language.count(incident.failures, ["attempt", "attempts"], ["tentative", "tentatives"]);
        let since = at(incident.opened_at);
        page.fact(
            self.say("Failed", "Échecs"),
            &self.say(
                format!("{attempts} since {since}"),
                format!("{attempts} depuis le {since}"),
            ),
        );
        if let Some(over) = incident.recovered_at {
            let (over, lasting) = (at(over), language.lasting(incident.opened_at, over));
            page.fact(
                self.say("Recovered", "Rétabli"),
                &self.say(format!("{over}, after {lasting}"), format!("{over}, après {lasting}")),
            );
            page.fact(self.say("Delivered", "Livrés"), &incident.delivered.to_string());
            page.fact(self.say("Given up", "Abandonnés"), &incident.given_up.count.to_string());
        }
        page.fact("Incident", &number.to_string());
    }

    fn the_answer(&self, page: &mut Page) {
        let last = &self.situation.incident.last_failure;
        page.heading(if self.is_over() {
            self.say("The last answer that was a failure", "La dernière réponse en échec")
        } else {
            self.say("The answer received", "La réponse reçue")
        });
        super::answer(page, last, self.voice.language);
    }

    fn what_it_means(&self, page: &mut Page) {
        page.heading(self.say("What it means", "Conséquences"));
        let Situation {
            destination, shop_name, ..
        } = self.situation;
        for sentence in consequences(
            &self.situation.matters(),
            destination.rendition,
            shop_name,
            self.voice.language,
        ) {
            page.paragraph(&sentence);
        }
    }

    fn what_happens_next(&self, page: &mut Page) {
        let Situation {
            waiting, incident, now, ..
        } = self.situation;
        let language = self.voice.language;
        page.heading(self.say(
            "What happens next by itself",
            "Ce qui se passe ensuite sans intervention",
        ));
        if incident.given_up.count > 0 {
            let given_up = language.count(
                incident.given_up.count,
                ["delivery was", "deliveries were"],
                ["envoi a été abandonné", "envois ont été abandonnés"],
            );
            page.paragraph(&self.say(
                format!("{given_up} given up: kept for a replay, but not tried again."),
                format!("{given_up}, sans nouvel essai ; tout est conservé pour un rejeu."),
            ));
        }
        if self.situation.symptom() == Symptom::KoSignature && !self.is_over() {
            page.paragraph(self.say(
                "What the plugin refused counts as delivered: it is not sent again.",
                "Ce que le module a refusé compte comme livré : rien n'est renvoyé.",
            ));
        }
        if waiting.count == 0 {
            page.paragraph(self.say("Nothing waits for this URL.", "Rien n'attend pour cette URL."));
        } else {
            let waits = self.situation.how_many_wait(language);
            page.paragraph(&self.say(
                format!("{waits} Everything is sent as soon as the URL takes it."),
                format!("{waits} Tout part dès que l'URL l'accepte."),
            ));
        }
        if self.step == Step::RecoveredAgain {
            page.paragraph(self.say(
                "It had failed again soon after it recovered; so this e-mail waited until it was well for 10 minutes.",
                "L'URL, rétablie, avait échoué à nouveau peu après : cet e-mail a attendu 10 minutes sans échec.",
            ));
        }
        if self.is_over() {
            page.paragraph(self.say(
                "You are told when it fails again.",
                "Vous serez prévenu si les échecs reprennent.",
            ));
            return;
        }
        if let Some(next) = waiting.next_attempt.filter(|next| next > now) {
            let next = at(next);
            page.paragraph(&self.say(
                format!("The next attempt is due at {next}."),
                format!("Prochaine tentative : {next}."),
            ));
        }
        if let Some(gives_up) = self.situation.gives_up_at.filter(|gives_up| gives_up > now) {
            let gives_up = at(gives_up);
            page.paragraph(&self.say(
                format!("If the URL stays down, deliveries are given up from {gives_up} on."),
                format!("Si l'URL reste en échec, les envois seront abandonnés à partir du {gives_up}."),
            ));
        }
        if self.step == Step::FailsAgain {
            let since = at(incident.failing_since);
            page.paragraph(&self.say(
                format!("It had recovered, and fails again since {since}: it is the same incident."),
                format!("L'URL, rétablie, échoue à nouveau depuis le {since} : c'est le même incident."),
            ));
        }
        page.paragraph(if incident.relapsed {
            self.say(
                "You are told when it works again, once it has been well for 10 minutes.",
                "Vous serez prévenu quand tout fonctionnera à nouveau, après 10 minutes sans échec.",
            )
        } else {
            self.say(
                "You are told when it works again.",
                "Vous serez prévenu quand tout fonctionnera à nouveau.",
            )
        });
    }

    fn what_you_can_do(&self, page: &mut Page) {
        page.heading(self.say("What you can do now", "Ce que vous pouvez faire maintenant"));
        let mut advice = Vec::new();
        if !self.is_over() {
            advice.extend(self.how_to_mend());
        }
        advice.extend(self.how_to_repeat());
        if !self.is_over() {
            advice.extend(self.how_to_have_peace());
        }
        if advice.is_empty() {
            page.paragraph(self.say("Nothing: it is over.", "Rien : l'incident est clos."));
        }
        Advice::write(page, advice);
        let is_lost = match self.step {
            Step::GaveUp(_) => true,
            _ => self.is_over() && self.situation.incident.given_up.count > 0,
        };
        runbook(page, Section::of_failure(self.situation.symptom(), is_lost), self.voice);
    }

    fn how_to_mend(&self) -> Vec<Advice> {
        let DestinationKey {
            shop, mode, rendition, ..
        } = self.situation.destination;
        let shop_table = format!("shops.{shop}");
        let table = format!("{shop_table}.{}", mode.word().to_ascii_lowercase());
        let last = &self.situation.incident.last_failure;
        let remedy = causes::remedy(
            last.symptom,
            *rendition,
            &table,
            &shop_table,
            last.at,
            self.voice.language,
        );
        let mut advice = vec![Advice::words(remedy)];
        if last.status.is_none()
            && let Some(probe) = self.situation.url.and_then(probe)
        {
            let words = self.say(
                "See from the router's machine whether the shop's server answers:",
                "Voyez, depuis la machine du routeur, si le serveur de la boutique répond :",
            );
            advice.push(Advice::command(words, probe));
        }
        if causes::may_be_ours(last.symptom) {
            let words = self.say(
                "After a change of the configuration, check it, and have the router read it again:",
                "Après un changement de la configuration, vérifiez-la et faites-la relire par le routeur :",
            );
            advice.push(Advice::command(words, self.voice.command("check")).and(self.voice.command("reload")));
        }
        advice
    }

    /// For what will not arrive by itself.
    fn how_to_repeat(&self) -> Vec<Advice> {
        let Situation { number, incident, .. } = self.situation;
        let words = |english: &str, french: &str| match self.is_over() {
            true => self.say(
                format!("See what was {english}, and send it again by the same command without --dry-run:"),
                format!("Voyez ce qui a été {french}, puis rejouez-le par la même commande sans --dry-run :"),
            ),
            false => self.say(
                format!(
                    "Once it works, see what was {english}, and send it again by the same command without --dry-run:"
                ),
                format!(
                    "Une fois l'URL rétablie, voyez ce qui a été {french}, puis rejouez-le par la même commande sans \
                     --dry-run :"
                ),
            ),
        };
        let later = self.say(
            "What is sent again arrives after newer notifications of the same token.",
            "Ce qui est rejoué arrive après des notifications plus récentes du même alias.",
        );
        let mut advice = Vec::new();
        if incident.given_up.count > 0 {
            let replay = self.voice.command(&format!("replay --incident {number} --dry-run"));
            advice.push(Advice::command(words("given up", "abandonné"), replay).note(later));
        }
        if self.situation.symptom() == Symptom::KoSignature {
            // It has ended as delivered: only by this name a replay finds it.
            let replay = format!("replay --incident {number} --state delivered --dry-run");
            let note = self.say(
                "That is all that this URL was sent meanwhile, also what it took.",
                "C'est tout ce que cette URL a reçu entre-temps, y compris ce qu'elle a accepté.",
            );
            let advised = Advice::command(words("refused", "refusé"), self.voice.command(&replay));
            advice.push(advised.note(format!("{note} {later}")));
        }
        advice
    }

    fn how_to_have_peace(&self) -> Vec<Advice> {
        let Situation {
            number, destination, ..
        } = self.situation;
        let show = Advice::command(
            self.say("See all of it:", "Voyez tous les détails :"),
            self.voice.command(&format!("show incident {number}")),
        );
        let show = match self.voice.incident_page(*number) {
            Some(page) => show.and(page),
            None => show,
        };
        let ack = Advice::command(
            self.say(
                "Say that you work on it: no more reminders until it is over.",
                "Signalez que vous vous en occupez : plus de rappels jusqu'à la fin de l'incident.",
            ),
            self.voice.command(&format!("ack {number}")),
        );
        let mode = destination.mode.word().to_ascii_lowercase();
        let pause = Advice::command(
            self.say(
                "Or let the shop's server rest while it is mended; everything is kept:",
                "Ou laissez le serveur de la boutique en paix pendant la réparation ; tout est conservé :",
            ),
            self.voice
                .command(&format!("pause --shop {} --mode {mode} --for 2h", destination.shop)),
        );
        match destination.mode {
            Mode::Production => vec![show, ack, pause],
            // There nobody is reminded.
            Mode::Test => vec![show, pause],
        }
    }

    fn the_notifications(&self, page: &mut Page) {
        let Situation {
            incident,
            waiting,
            given_up,
            ..
        } = self.situation;
        the_first(
            page,
            incident.given_up.count,
            given_up,
            Listed::GivenUp,
            self.voice.language,
        );
        if !self.is_over() {
            the_first(
                page,
                waiting.count,
                &waiting.first,
                Listed::Waiting,
                self.voice.language,
            );
        }
    }
}

/// A command that shows whether the host answers; only of characters that no shell reads in its own way.
pub(super) fn probe(url: &Url) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-');
    origin
        .chars()
        .all(plain)
        .then(|| format!("curl -sSv -o /dev/null {origin}/"))
}
