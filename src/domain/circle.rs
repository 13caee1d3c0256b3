use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{Format, KindPattern, LegalEntityId, Mode, ShopId};

/// A company, as far as routing needs to know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegalEntity {
    pub id: LegalEntityId,
    pub name: String,
    pub enabled: bool,
    /// Kinds that every shop of the company learns.
    pub share: Vec<KindPattern>,
    /// How long the answer to a notification with a charge is held back until the named shop has it: the buyer's result
    /// page waits for the shop (design.md 5). `None`: not at all.
    pub wait_for_named_shop: Option<Duration>,
}

/// Whether a shop's gateway-format URLs may get another shop's orders and charges (design.md 6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForeignOrders {
    /// For a service written for it.
    Send,
    /// A plugin would mark a stranger's order paid.
    #[default]
    Withhold,
}

/// One shop of a circle, with its addresses in the circle's mode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    pub shop: ShopId,
    pub name: String,
    /// A shop that is switched off still gets its rows; they wait.
    pub enabled: bool,
    pub form_url: Option<Url>,
    pub rest_url: Option<Url>,
    pub event_url: Option<Url>,
    /// `learns_by`: which of its addresses learn of the other shops' tokens.
    pub learns_by_event: bool,
    pub learns_by_form: bool,
    pub learns_by_rest: bool,
    pub foreign_orders: ForeignOrders,
    /// Whether the gateway can notify this shop here: a key of that format is configured for this mode.
    pub notified_by_form: bool,
    pub notified_by_rest: bool,
}

impl Member {
    /// Its own address for the gateway's notifications of that format.
    pub fn gateway_url(&self, format: Format) -> Option<&Url> {
        match format {
            Format::Form => self.form_url.as_ref(),
            Format::Rest => self.rest_url.as_ref(),
        }
    }

    /// All its addresses.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        [&self.event_url, &self.form_url, &self.rest_url].into_iter().flatten()
    }

    /// Whether the gateway can notify it at all.
    pub fn is_notified(&self) -> bool {
        self.notified_by_form || self.notified_by_rest
    }
}

/// One legal entity in one mode, with its shops: the most that a notification can ever reach.
///
/// A key belongs to a circle, a verified notification carries the circle of the key that matched, and routing sees
/// only that: so no notification leaves its legal entity or its mode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Circle {
    pub legal_entity: Arc<LegalEntity>,
    pub mode: Mode,
    /// In the order of their ids.
    pub members: Vec<Member>,
}

impl Circle {
    /// The member with this id.
    pub fn member(&self, shop: ShopId) -> Option<&Member> {
        self.members.iter().find(|member| member.shop == shop)
    }
}
