use std::collections::BTreeSet;

use super::consequence::{consequences, is_urgent};
use super::incident::Situation;
use super::layout::{Page, subject};
use super::{Advice, Email, answer, causes, runbook};
use crate::alert::language::{Voice, at};
use crate::alert::step::Step;
use crate::domain::{Matter, Mode, Rendition, Section, Symptom, shown_url};

/// As many members are named.
const LISTED: usize = 20;

/// As many shops stand in one sentence.
const NAMED: usize = 4;

/// As many incidents get a command of their own.
const COMMANDS: usize = 5;

/// What the members of a group have in common besides their symptom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::alert) enum Alike<'a> {
    /// These are all the destinations of the company: it is most likely our own network.
    Everything,
    /// Their URLs name this host.
    Host(&'a str),
}

/// Incidents of one company and mode that fail alike, told as one.
#[derive(Clone, Copy, Debug)]
pub(in crate::alert) struct Group<'a> {
    pub(in crate::alert) alike: Alike<'a>,
    /// At least one.
    pub(in crate::alert) members: &'a [Situation<'a>],
}

/// Returns the one e-mail for a step that all of them have taken.
pub(in crate::alert) fn group_email(group: &Group<'_>, step: Step, voice: &Voice) -> Email {
    let letter = Letter { group, step, voice };
    let mut page = Page::default();
    letter.what_failed(&mut page);
    letter.the_answer(&mut page);
    if !letter.is_over() {
        letter.what_it_means(&mut page);
    }
    letter.what_happens_next(&mut page);
    letter.what_you_can_do(&mut page);
    Email {
        subject: letter.subject(),
        text: page.finish(),
    }
}

struct Letter<'a> {
    group: &'a Group<'a>,
    step: Step,
    voice: &'a Voice,
}

impl Letter<'_> {
    fn say<T>(&self, english: T, french: T) -> T {
        self.voice.language.say(english, french)
    }

    fn is_over(&self) -> bool {
        self.step.is_recovery()
    }

    fn sum(&self, of: impl Fn(&Situation<'_>) -> u64) -> u64 {
        self.group.members.iter().map(of).sum()
    }

    fn modes(&self) -> String {
        let modes: BTreeSet<_> = self
            .group
            .members
            .iter()
            .map(|member| member.destination.mode.word())
            .collect();
        modes.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn company(&self) -> &str {
        self.group.members.first().map_or("", |member| member.legal_entity_name)
    }

    /// `10 URLs of lyon.acme.example`, `all 10 URLs`.
    fn who(&self) -> String {
        let number = u64::try_from(self.group.members.len()).unwrap_or(u64::MAX);
        let urls = self.voice.language.count(number, ["URL", "URLs"], ["URL", "URL"]);
        match self.group.alike {
            Alike::Everything => self.say(format!("all {urls}"), format!("toutes les URL ({number})")),
            Alike::Host(host) => self.say(format!("{urls} of {host}"), format!("{urls} sur {host}")),
        }
    }

    fn subject(&self) -> String {
        let who = self.who();
        let waiting = self.sum(|member| member.waiting.count);
        let given_up = self.sum(|member| member.incident.given_up.count);
        let delivered = self.sum(|member| member.incident.delivered);
        let state = match self.step {
            Step::GaveUp(_) => self.say(
                format!("{who} fail, {given_up} given up"),
                format!("{who} en échec, abandonnés : {given_up}"),
            ),
            Step::FailsAgain => self.say(
                format!("{who} fail again, {waiting} waiting"),
                format!("{who} à nouveau en échec, {waiting} en attente"),
            ),
            Step::Grew(_) => self.say(
                format!("{who} still fail, {waiting} waiting"),
                format!("{who} toujours en échec, {waiting} en attente"),
            ),
            Step::Opened => self.say(
                format!("{who} fail alike, {waiting} waiting"),
                format!("{who} en échec, {waiting} en attente"),
            ),
            Step::Recovered | Step::RecoveredAgain => self.say(
                format!("{who} work again, {delivered} delivered, {given_up} given up"),
                format!("{who} rétablies, {delivered} livrés, {given_up} abandonnés"),
            ),
            Step::StillFailing(hours) => self.say(
                format!("{who} have failed for {hours} h, {waiting} waiting"),
                format!("{who} en échec depuis {hours} h, {waiting} en attente"),
            ),
        };
        let is_urgent = !self.is_over()
            && self.group.members.iter().any(|member| {
                member.destination.mode == Mode::Production
                    && is_urgent(&member.matters(), member.destination.rendition)
            });
        let urgent = if is_urgent { "URGENT, " } else { "" };
        subject(
            self.voice.language,
            &self.modes(),
            &[self.company()],
            &format!("{urgent}{state}"),
        )
    }

    fn what_failed(&self, page: &mut Page) {
        let language = self.voice.language;
        page.heading(if self.is_over() {
            self.say(
                "What failed, and works again",
                "Ce qui était en échec, et fonctionne à nouveau",
            )
        } else {
            self.say("What failed", "Ce qui a échoué")
        });
        page.fact(self.say("Company", "Société"), self.company());
        page.fact("Mode", &self.modes());
        if let Alike::Host(host) = self.group.alike {
            page.fact(self.say("Host", "Hôte"), host);
        }
        let attempts = language.count(
            self.sum(|member| member.incident.failures),
            ["attempt", "attempts"],
            ["tentative", "tentatives"],
        );
        let opened = self.group.members.iter().map(|member| member.incident.opened_at).min();
        let since = opened.map_or_else(String::new, at);
        page.fact(
            self.say("Failed", "Échecs"),
            &self.say(
                format!("{attempts} since {since}"),
                format!("{attempts} depuis le {since}"),
            ),
        );
        let over = self.group.members.iter().map(|member| member.incident.recovered_at);
        if let (Some(opened), Some(Some(over))) = (opened, over.max().filter(|_| self.is_over())) {
            let lasting = language.lasting(opened, over);
            let over = at(over);
            page.fact(
                self.say("Recovered", "Rétabli"),
                &self.say(format!("{over}, after {lasting}"), format!("{over}, après {lasting}")),
            );
            page.fact(
                self.say("Delivered", "Livrés"),
                &self.sum(|member| member.incident.delivered).to_string(),
            );
        }
        for member in self.group.members.iter().take(LISTED) {
            self.member(page, member);
        }
        if self.group.members.len() > LISTED {
            let more = self.group.members.len() - LISTED;
            page.paragraph(&self.say(format!("And {more} more."), format!("Et {more} autres.")));
        }
    }

    fn member(&self, page: &mut Page, member: &Situation<'_>) {
        let (url, _) = causes::settings(member.destination.rendition);
        let state = if self.is_over() {
            let given_up = member.incident.given_up.count;
            let delivered = member.incident.delivered;
            self.say(
                format!("{delivered} delivered, {given_up} given up"),
                format!("{delivered} livrés, {given_up} abandonnés"),
            )
        } else {
            let waiting = member.waiting.count;
            self.say(format!("{waiting} waiting"), format!("{waiting} en attente"))
        };
        let gone = self.say("no longer configured", "n'est plus dans la configuration");
        page.item(
            &format!(
                "{} ({}), {url}, incident {}{}{state}",
                member.shop_name,
                member.destination.shop,
                member.number,
                self.say(": ", " : "),
            ),
            &member.url.map_or_else(|| gone.into(), shown_url),
        );
    }

    fn the_answer(&self, page: &mut Page) {
        let newest = self
            .group
            .members
            .iter()
            .max_by_key(|member| member.incident.last_failure.at);
        let Some(newest) = newest else { return };
        page.heading(if self.is_over() {
            self.say("The last answer that was a failure", "La dernière réponse en échec")
        } else {
            self.say("The newest answer", "La réponse la plus récente")
        });
        answer(page, &newest.incident.last_failure, self.voice.language);
    }

    fn what_it_means(&self, page: &mut Page) {
        page.heading(self.say("What it means", "Conséquences"));
        if self.group.alike == Alike::Everything {
            page.paragraph(self.say(
                "Nothing gets out to any shop of the company: the cause is most likely on the router's side.",
                "Plus rien ne parvient à aucune boutique de la société : la cause est sans doute du côté du routeur.",
            ));
        }
        // What is a shop's own is told first: it may be about money.
        for own in [true, false] {
            let is_meant =
                |member: &&Situation<'_>| matches!(member.destination.rendition, Rendition::AsReceived(_)) == own;
            let members: Vec<_> = self.group.members.iter().filter(is_meant).collect();
            let Some(first) = members.first() else { continue };
            let matters: BTreeSet<Matter> = members.iter().flat_map(|member| member.matters()).collect();
            let shops = self.shops(&members);
            for sentence in consequences(&matters, first.destination.rendition, &shops, self.voice.language) {
                page.paragraph(&sentence);
            }
        }
    }

    /// `ACME Lyon, ACME Lille and ACME Nice`; of many only the first.
    fn shops(&self, members: &[&Situation<'_>]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for member in members {
            if !names.contains(&member.shop_name) {
                names.push(member.shop_name);
            }
        }
        let (first, more) = names.split_at(names.len().min(NAMED));
        match (first, more.len()) {
            ([init @ .., last], 0) if !init.is_empty() => {
                let (init, and) = (init.join(", "), self.say("and", "et"));
                format!("{init} {and} {last}")
            }
            (first, 0) => first.concat(),
            (first, more) => {
                let first = first.join(", ");
                self.say(format!("{first} and {more} more"), format!("{first} et {more} autres"))
            }
        }
    }

    fn what_happens_next(&self, page: &mut Page) {
        page.heading(self.say(
            "What happens next by itself",
            "Ce qui se passe ensuite sans intervention",
        ));
        let given_up = self.sum(|member| member.incident.given_up.count);
        if given_up > 0 {
            let given_up = self.voice.language.count(
                given_up,
                ["delivery was", "deliveries were"],
                ["envoi a été abandonné", "envois ont été abandonnés"],
            );
            page.paragraph(&self.say(
                format!("{given_up} given up: kept for a replay, but not tried again."),
                format!("{given_up}, sans nouvel essai ; tout est conservé pour un rejeu."),
            ));
        }
        if self.step == Step::RecoveredAgain {
            page.paragraph(self.say(
                "They had failed again soon after they recovered; so this e-mail waited until all were well for 10 \
                 minutes.",
                "Rétablies, elles avaient échoué à nouveau peu après : cet e-mail a attendu 10 minutes sans échec.",
            ));
        }
        if self.is_over() {
            page.paragraph(self.say(
                "You are told when one fails again.",
                "Vous serez prévenu si l'une d'elles échoue à nouveau.",
            ));
            return;
        }
        page.paragraph(self.say(
            "Each URL is tried again by itself; what waits is sent as soon as it works.",
            "Chaque URL est réessayée d'elle-même ; ce qui attend part dès qu'elle fonctionne.",
        ));
        let gives_up = self.group.members.iter().filter_map(|member| member.gives_up_at).min();
        if let Some(gives_up) = gives_up.map(at) {
            page.paragraph(&self.say(
                format!("If they stay down, deliveries are given up from {gives_up} on."),
                format!("Si elles restent en échec, les envois seront abandonnés à partir du {gives_up}."),
            ));
        }
        if self.step == Step::FailsAgain {
            page.paragraph(self.say(
                "They had recovered, and fail again soon after: it is the same trouble.",
                "Rétablies, elles échouent à nouveau peu après : c'est la même panne.",
            ));
        }
        page.paragraph(if self.group.members.iter().any(|member| member.incident.relapsed) {
            self.say(
                "You get one e-mail when all of them work again, once they have been well for 10 minutes.",
                "Vous recevrez un seul e-mail quand toutes fonctionneront à nouveau, après 10 minutes sans échec.",
            )
        } else {
            self.say(
                "You get one e-mail when all of them work again.",
                "Vous recevrez un seul e-mail quand toutes fonctionneront à nouveau.",
            )
        });
    }

    fn what_you_can_do(&self, page: &mut Page) {
        page.heading(self.say("What you can do now", "Ce que vous pouvez faire maintenant"));
        let mut advice = Vec::new();
        if !self.is_over() {
            advice.push(Advice::words(match self.group.alike {
                Alike::Everything => self.say(
                    "Look at the router's machine first: its network, its DNS, its firewall, its clock.",
                    "Regardez d'abord la machine du routeur : son réseau, son DNS, son pare-feu, son horloge.",
                ),
                Alike::Host(_) => self.say(
                    "Look at this host first: its server, its firewall, its certificate.",
                    "Regardez d'abord cet hôte : son serveur, son pare-feu, son certificat.",
                ),
            }));
            let probe = self
                .group
                .members
                .iter()
                .find_map(|member| super::incident::probe(member.url?));
            if let Some(probe) = probe.filter(|_| self.is_silent()) {
                let words = self.say(
                    "See from the router's machine whether a shop's server answers:",
                    "Voyez, depuis la machine du routeur, si le serveur d'une boutique répond :",
                );
                advice.push(Advice::command(words, probe));
            }
            let see = Advice::command(
                self.say("See all that is wrong:", "Voyez tout ce qui ne va pas :"),
                self.voice.command("status"),
            );
            advice.push(match &self.voice.page {
                Some(page) => see.and(page.to_string()),
                None => see,
            });
        }
        advice.extend(self.replays());
        if !self.is_over() {
            advice.extend(self.acknowledgements());
        }
        if advice.is_empty() {
            page.paragraph(self.say("Nothing: it is over.", "Rien : c'est terminé."));
        }
        Advice::write(page, advice);
        runbook(page, self.section(), self.voice);
    }

    fn section(&self) -> Section {
        let is_lost = match self.step {
            Step::GaveUp(_) => true,
            _ => self.is_over() && self.sum(|member| member.incident.given_up.count) > 0,
        };
        match self.group.members.first() {
            Some(member) => Section::of_failures_alike(member.symptom(), is_lost),
            None => Section::ManyShopsFailAlike,
        }
    }

    /// Whether there was no answer at all.
    fn is_silent(&self) -> bool {
        let members = self.group.members;
        members
            .iter()
            .all(|member| member.incident.last_failure.status.is_none() && member.symptom() != Symptom::KoSignature)
    }

    fn replays(&self) -> Option<Advice> {
        let words = self.say(
            "Once it works, see what was given up, and send it again by the same command without --dry-run; it arrives \
             after newer notifications of the same token:",
            "Une fois tout rétabli, voyez ce qui a été abandonné, puis rejouez-le par la même commande sans --dry-run ; \
             cela arrive après des notifications plus récentes du même alias :",
        );
        let with_losses = self
            .group
            .members
            .iter()
            .filter(|member| member.incident.given_up.count > 0);
        self.for_each(words, with_losses, |number| {
            format!("replay --incident {number} --dry-run")
        })
    }

    fn acknowledgements(&self) -> Option<Advice> {
        let words = self.say(
            "Say that you work on it: no more reminders until it is over.",
            "Signalez que vous vous en occupez : plus de rappels jusqu'à la fin.",
        );
        let members = self.group.members.iter();
        let production = members.filter(|member| member.destination.mode == Mode::Production);
        self.for_each(words, production, |number| format!("ack {number}"))
    }

    /// A command for each of the first of these; `None`, if there are none.
    fn for_each<'s>(
        &self,
        words: &str,
        members: impl Iterator<Item = &'s Situation<'s>>,
        command: impl Fn(i64) -> String,
    ) -> Option<Advice> {
        let commands: Vec<_> = members
            .take(COMMANDS)
            .map(|member| self.voice.command(&command(member.number)))
            .collect();
        let (first, rest) = commands.split_first()?;
        let advice = Advice::command(words, first.clone());
        Some(rest.iter().cloned().fold(advice, Advice::and))
    }
}
