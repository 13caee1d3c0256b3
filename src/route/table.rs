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

/// One way to a shop, and what is decided about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Way {
    pub shop: ShopId,
    pub rendition: Rendition,
    pub decision: Decision,
}

/// Whether a notification goes one way, and if not, why.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Decision {
    /// The shop has no such URL.
    NoUrl,
    /// The shop's `learns_by` leaves this way out.
    NotLearnt,
    /// The kind concerns the named shop alone.
    NotShared,
    /// It goes.
    Sent,
    /// The shop has no URL that could ever learn of it: an error of the configuration, and kept until it is mended.
    Waits,
    /// It carries an order or a charge, which the shop's plugin could take for its own.
    Withheld,
}

/// Returns the destinations of a happening that the gateway told this shop: the ways that it goes, and no others.
pub fn destinations(happening: &Happening, kind: Kind, named: ShopId, circle: &Circle) -> Destinations {
    let mut found = Destinations::default();
    for way in ways(happening, kind, named, circle) {
        let key = || DestinationKey {
            legal_entity: circle.legal_entity.id.clone(),
            shop: way.shop,
            mode: circle.mode,
            rendition: way.rendition,
        };
        match way.decision {
            Decision::Sent => found.reachable.push(key()),
            Decision::Waits => found.waiting.push(key()),
            Decision::Withheld => found.withheld.push(way.shop),
            Decision::NoUrl | Decision::NotLearnt | Decision::NotShared => {}
        }
    }
    found
}

/// Returns every way that a happening could go, the named shop's first, with what is decided about each.
///
/// The named shop gets it as received. If its kind is shared, every other shop of the circle learns it: as an event,
/// and in the gateway's format unless that shop's plugin could take it for a payment of its own. Whether a shop or
/// the company is switched off does not matter here: rows are made, and wait.
pub fn ways<'c>(
    happening: &Happening,
    kind: Kind,
    named: ShopId,
    circle: &'c Circle,
) -> impl Iterator<Item = Way> + use<'c> {
    let format = happening.format;
    let has_url = circle.member(named).is_some_and(|m| m.gateway_url(format).is_some());
    let own = Way {
        shop: named,
        rendition: Rendition::AsReceived(format),
        decision: if has_url { Decision::Sent } else { Decision::NoUrl },
    };
    let is_shared = is_shared(kind, circle);
    let is_harmless = is_harmless(happening);
    let others = circle.members.iter().filter(move |member| member.shop != named);
    let learnt = others.flat_map(move |member| {
        let by_event = match &member.event_url {
            _ if !is_shared => Decision::NotShared,
            None if is_unreachable(member, format, circle) => Decision::Waits,
            None => Decision::NoUrl,
            Some(_) if !member.learns_by_event => Decision::NotLearnt,
            Some(_) => Decision::Sent,
        };
        let in_its_format = match member.gateway_url(format) {
            _ if !is_shared => Decision::NotShared,
            None => Decision::NoUrl,
            Some(_) if !learns_by(member, format) => Decision::NotLearnt,
            Some(_) if is_harmless || member.foreign_orders == ForeignOrders::Send => Decision::Sent,
            Some(_) => Decision::Withheld,
        };
        let way = |rendition, decision| Way {
            shop: member.shop,
            rendition,
            decision,
        };
        [
            way(Rendition::Event, by_event),
            way(Rendition::ReSigned(format), in_its_format),
        ]
    });
    std::iter::once(own).chain(learnt)
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
