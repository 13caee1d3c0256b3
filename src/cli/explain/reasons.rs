//! Why a notification goes a way or not, in words and with the lines that decide.

use url::Url;

use super::subject::Subject;
use crate::config::{Loaded, Place};
use crate::deliver;
use crate::domain::{DestinationKey, Format, Kind, Member, Rendition, ShopId};
use crate::route::{Decision, Happening, Way, is_shared, ways};

/// One way to a shop, explained.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) shop: ShopId,
    pub(super) shop_name: String,
    pub(super) rendition: Rendition,
    pub(super) outcome: Outcome,
    pub(super) why: String,
    /// Whether this is so for every other shop alike, and so need not be said of each.
    pub(super) is_alike: bool,
    /// What it is signed with; empty if it does not go.
    pub(super) signed: String,
    /// The lines that decide.
    pub(super) lines: Vec<Place>,
}

/// What becomes of a notification on one way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Goes(Url),
    Stays,
    /// It is kept for the shop, and not delivered as things are.
    Waits,
}

impl Outcome {
    /// For programs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Goes(_) => "goes",
            Self::Stays => "stays",
            Self::Waits => "waits",
        }
    }
}

/// Explains every way, the named shop's first.
pub(super) fn explain(subject: &Subject, happening: &Happening, kind: Kind, loaded: &Loaded) -> Vec<Told> {
    let reasons = Reasons {
        subject,
        happening,
        kind,
        loaded,
    };
    ways(happening, kind, subject.shop, &subject.circle)
        .map(|way| reasons.tell(way))
        .collect()
}

/// Whether the company learns of the kind, and the line that says so.
pub(super) fn sharing(subject: &Subject, kind: Kind, loaded: &Loaded) -> (String, Vec<Place>) {
    let company = &subject.circle.legal_entity;
    let path = ["legal_entities", company.id.as_str(), "share"];
    let (line, share) = match loaded.lines.find(&path) {
        Some(line) => (Some(line), "`share`"),
        None => (loaded.lines.find(&path[..2]), "`share` (left out, so [\"token.*\"])"),
    };
    let text = if is_shared(kind, &subject.circle) {
        format!("with every shop of {}, by {share}", company.name)
    } else {
        format!("with no other shop: it is not in {share}")
    };
    (text, line.into_iter().collect())
}

struct Reasons<'a> {
    subject: &'a Subject,
    happening: &'a Happening,
    kind: Kind,
    loaded: &'a Loaded,
}

impl Reasons<'_> {
    fn tell(&self, way: Way) -> Told {
        let member = self.subject.circle.member(way.shop);
        let (outcome, why, lines) = match (way.decision, member) {
            (Decision::Sent, Some(member)) => self.sent(way, member),
            (Decision::Waits, _) => (
                Outcome::Waits,
                "no URL by which it could ever learn; kept as an event until it has one".to_owned(),
                vec![self.mode_table(way.shop)],
            ),
            (Decision::NoUrl, Some(_)) => {
                let why = format!("it has no `{}`", url_key(way.rendition));
                (Outcome::Stays, why, vec![self.mode_table(way.shop)])
            }
            (Decision::NotLearnt, _) => {
                let why = format!("its `learns_by` leaves out \"{}\"", learning_word(way.rendition));
                (Outcome::Stays, why, vec![self.shop_line(way.shop, "learns_by")])
            }
            (Decision::NotShared, _) => (
                Outcome::Stays,
                format!("{} concerns the named shop alone", self.kind),
                Vec::new(),
            ),
            (Decision::Withheld, _) => (
                Outcome::Stays,
                format!(
                    "withheld, for it carries {}: a plugin could mark a stranger's order as paid, and compare no amount",
                    self.burden()
                ),
                vec![
                    self.mode_line(way.shop, url_key(way.rendition)),
                    self.shop_line(way.shop, "foreign_orders"),
                ],
            ),
            (Decision::Sent | Decision::NoUrl, None) => (
                Outcome::Stays,
                "the shop takes no part in this mode".to_owned(),
                vec![self.shop_table(way.shop)],
            ),
        };
        let signed = match outcome {
            Outcome::Goes(_) => self.settings(way).map_or_else(String::new, signed),
            Outcome::Stays | Outcome::Waits => String::new(),
        };
        Told {
            shop: way.shop,
            shop_name: member.map_or_else(String::new, |member| member.name.clone()),
            rendition: way.rendition,
            outcome,
            why,
            is_alike: way.decision == Decision::NotShared,
            signed,
            lines: lines.into_iter().flatten().collect(),
        }
    }

    /// A way that it goes, unless something is switched off.
    fn sent(&self, way: Way, member: &Member) -> (Outcome, String, Vec<Option<Place>>) {
        let company = &self.subject.circle.legal_entity;
        if !company.enabled {
            let line = self
                .loaded
                .lines
                .find(&["legal_entities", company.id.as_str(), "enabled"]);
            let why = format!("{} is switched off: it waits until that is undone", company.name);
            return (Outcome::Waits, why, vec![line]);
        }
        if !member.enabled {
            let why = "the shop is switched off: it waits until that is undone".to_owned();
            return (Outcome::Waits, why, vec![self.shop_line(way.shop, "enabled")]);
        }
        let url_line = self.mode_line(way.shop, url_key(way.rendition));
        let Some(settings) = self.settings(way) else {
            let why = format!(
                "it has no `{}`, without which nothing is sent there",
                key_key(way.rendition)
            );
            return (Outcome::Waits, why, vec![url_line]);
        };
        let (why, second_line) = match way.rendition {
            Rendition::AsReceived(_) => ("the gateway names this shop".to_owned(), None),
            Rendition::Event => (format!("the company learns of {}", self.kind), None),
            Rendition::ReSigned(_) if self.happening.order || self.happening.charge => (
                format!(
                    "the company learns of {}, and `foreign_orders` lets {} through",
                    self.kind,
                    self.burden()
                ),
                self.shop_line(way.shop, "foreign_orders"),
            ),
            Rendition::ReSigned(_) => (
                format!(
                    "the company learns of {}, and it carries no order and no charge",
                    self.kind
                ),
                None,
            ),
        };
        (Outcome::Goes(settings.url.clone()), why, vec![url_line, second_line])
    }

    /// What a plugin could mistake for its own.
    fn burden(&self) -> &'static str {
        match (self.happening.order, self.happening.charge) {
            (true, true) => "an order and a charge",
            (true, false) => "an order",
            (false, _) => "a charge",
        }
    }

    fn settings(&self, way: Way) -> Option<&deliver::Settings> {
        let key = DestinationKey {
            legal_entity: self.subject.circle.legal_entity.id.clone(),
            shop: way.shop,
            mode: self.subject.circle.mode,
            rendition: way.rendition,
        };
        self.loaded
            .config
            .destinations
            .iter()
            .find(|settings| settings.key == key)
    }

    fn shop_table(&self, shop: ShopId) -> Option<Place> {
        self.loaded.lines.find(&["shops", shop.as_str()])
    }

    fn shop_line(&self, shop: ShopId, key: &str) -> Option<Place> {
        self.loaded.lines.find(&["shops", shop.as_str(), key])
    }

    fn mode_table(&self, shop: ShopId) -> Option<Place> {
        self.loaded.lines.find(&["shops", shop.as_str(), &self.mode_word()])
    }

    fn mode_line(&self, shop: ShopId, key: &str) -> Option<Place> {
        self.loaded
            .lines
            .find(&["shops", shop.as_str(), &self.mode_word(), key])
    }

    fn mode_word(&self) -> String {
        self.subject.circle.mode.word().to_lowercase()
    }
}

/// How it is signed, in words.
fn signed(settings: &deliver::Settings) -> String {
    let signing = &settings.signing;
    match settings.key.rendition {
        Rendition::AsReceived(_) => "as the gateway has signed it, byte for byte".to_owned(),
        Rendition::Event => match signing.event_secrets.len() {
            1 => "with its `event_secret`, by Standard Webhooks".to_owned(),
            several => format!("with each of its {several} `event_secret`s, by Standard Webhooks"),
        },
        Rendition::ReSigned(Format::Form) => {
            let hash = signing
                .form_hashes
                .first()
                .map_or_else(String::new, |hash| format!(", by {hash}"));
            format!("with its `form_key`{hash}, as if the gateway had notified it")
        }
        Rendition::ReSigned(Format::Rest) => "with its `rest_password`, as if the gateway had notified it".to_owned(),
    }
}

fn url_key(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => "form_url",
        Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => "rest_url",
        Rendition::Event => "event_url",
    }
}

fn key_key(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => "form_key",
        Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => "rest_password",
        Rendition::Event => "event_secret",
    }
}

/// As in `learns_by`.
fn learning_word(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(format) | Rendition::ReSigned(format) => format.word(),
        Rendition::Event => "event",
    }
}
