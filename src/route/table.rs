//! Where a happening goes: a pure function of it and the circle.

use super::happening::Happening;
use crate::domain::{Circle, DestinationKey, ForeignOrders, Format, Kind, Member, Rendition, ShopId};

/// Where a notification goes, where it would go, and where it must not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Destinations {
    /// They have a URL; the named shop's first.
    pub reachable: Vec<DestinationKey>,
    /// Events for shops that have no URL for it: an error of the configuration, kept until it is mended.
    pub waiting: Vec<DestinationKey>,
    /// Shops whose gateway-format URL does not get it, for it carries an order or a charge.
    pub withheld: Vec<ShopId>,
}

impl Destinations {
    /// All that get a row.
    pub fn into_keys(self) -> Vec<DestinationKey> {
        let mut keys = self.reachable;
        keys.extend(self.waiting);
        keys
    }
}

/// Returns the destinations of a happening that the gateway told this shop.
///
/// The named shop gets it as received. If its kind is shared, every other shop of the circle learns it: as an event,
/// and in the gateway's format unless that shop's plugin could take it for a payment of its own. Whether a shop or
/// the company is switched off does not matter here: rows are made, and wait.
pub fn destinations(happening: &Happening, kind: Kind, named: ShopId, circle: &Circle) -> Destinations {
    let mut found = Destinations::default();
    let format = happening.format;
    let to = |shop, rendition| DestinationKey {
        legal_entity: circle.legal_entity.id.clone(),
        shop,
        mode: circle.mode,
        rendition,
    };
    if circle.member(named).is_some_and(|m| m.gateway_url(format).is_some()) {
        found.reachable.push(to(named, Rendition::AsReceived(format)));
    }
    if !is_shared(kind, circle) {
        return found;
    }
    for member in circle.members.iter().filter(|member| member.shop != named) {
        let shop = member.shop;
        if member.event_url.is_some() && member.learns_by_event {
            found.reachable.push(to(shop, Rendition::Event));
        }
        if member.gateway_url(format).is_some() && learns_by(member, format) {
            if is_harmless(happening) || member.foreign_orders == ForeignOrders::Send {
                found.reachable.push(to(shop, Rendition::ReSigned(format)));
            } else {
                found.withheld.push(shop);
            }
        }
        if is_unreachable(member, format, circle) {
            found.waiting.push(to(shop, Rendition::Event));
        }
    }
    found
}

/// Whether the whole company learns of this kind.
pub fn is_shared(kind: Kind, circle: &Circle) -> bool {
    circle.legal_entity.share.iter().any(|pattern| pattern.matches(kind))
}

/// Plugins look an order up by its number and compare no amount: they would mark a stranger's order paid, and give
/// its customer the stranger's card.
fn is_harmless(happening: &Happening) -> bool {
    !happening.order && !happening.charge
}

fn learns_by(member: &Member, format: Format) -> bool {
    match format {
        Format::Form => member.learns_by_form,
        Format::Rest => member.learns_by_rest,
    }
}

/// Whether another shop is notified in this format, and this one has no URL that could ever learn of it.
///
/// A shop that has such a URL, but is not sent everything there, misses things by choice; so does one that learns by
/// none (`learns_by = []`).
fn is_unreachable(member: &Member, format: Format, circle: &Circle) -> bool {
    let notified = |other: &Member| match format {
        Format::Form => other.notified_by_form,
        Format::Rest => other.notified_by_rest,
    };
    let another_is_notified = circle
        .members
        .iter()
        .any(|other| other.shop != member.shop && notified(other));
    let learns = member.learns_by_event || member.learns_by_form || member.learns_by_rest;
    another_is_notified && learns && member.event_url.is_none() && member.gateway_url(format).is_none()
}

#[cfg(test)]
mod tests;
