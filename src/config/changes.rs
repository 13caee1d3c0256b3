//! What differs between two configurations, in an admin's words, and what it does to what waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use url::Url;

use super::Config;
use crate::alert::Recipients;
use crate::deliver;
use crate::domain::{
    Circle, DestinationKey, Format, KindPattern, LegalEntity, LegalEntityId, Member, Mode, Secret, ShopId, shown_url,
};
use crate::verify::ShopKeys;

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    Company(LegalEntityId, CompanyChange),
    Destination(DestinationKey, DestinationChange),
    /// A table that is not about a company, such as `[mail]`: applied with the rest.
    Part(&'static str),
    /// A part that only a restart changes.
    Restart(&'static str),
    Shop(ShopId, ShopChange),
}

/// What is different about a company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CompanyChange {
    Added,
    Addresses,
    Expects,
    Language,
    Removed,
    Renamed(String),
    Shares { now: Vec<String>, before: Vec<String> },
    SwitchedOff,
    SwitchedOn,
    Waits,
}

/// What is different about a destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DestinationChange {
    Added(Url),
    /// The limits, time-outs, retries or checks that differ.
    Limits(Vec<&'static str>),
    Moved {
        from: Url,
        to: Url,
    },
    /// Its shop stays, but has no URL for it any more; or the shop is gone.
    Removed,
    Secrets,
}

/// What is different about a shop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShopChange {
    Added(LegalEntityId),
    /// What the gateway signs with, so what is verified.
    Keys(Mode, Format, KeysChange),
    Learns,
    Moved {
        from: LegalEntityId,
        to: LegalEntityId,
    },
    Removed,
    Renamed(String),
    SwitchedOff,
    SwitchedOn,
}

/// How a shop's keys differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeysChange {
    Added,
    Changed,
    Removed,
}

impl Change {
    /// Why an admin should confirm it, if so; `waiting` deliveries wait for the destination.
    pub fn danger(&self, waiting: u64) -> Option<String> {
        match self {
            Self::Shop(shop, ShopChange::Moved { from, to }) => Some(format!(
                "shop {shop} moves from {from} to {to}: from now on the other company's shops learn of its customers' \
                 tokens"
            )),
            Self::Destination(key, DestinationChange::Removed) if waiting > 0 => Some(format!(
                "{} for {key}, which goes away: they would stay in the store until it comes back",
                deliveries_wait(waiting)
            )),
            _ => None,
        }
    }

    /// What happens to the deliveries that wait for the destination.
    pub fn effect(&self, waiting: u64) -> Option<String> {
        let Self::Destination(_, change) = self else {
            return None;
        };
        if waiting == 0 {
            return None;
        }
        let wait = deliveries_wait(waiting);
        Some(match change {
            DestinationChange::Added(_) => format!("{wait} for it since it was last served: they go out"),
            DestinationChange::Limits(_) => format!("{wait}: by these from now on"),
            DestinationChange::Moved { .. } => format!("{wait}: they go to the new URL"),
            DestinationChange::Removed => format!("{wait}: parked until it comes back"),
            DestinationChange::Secrets => format!("{wait}: signed with the new one"),
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Company(id, change) => write!(f, "company {id}: {change}"),
            Self::Destination(key, change) => write!(f, "{key}: {change}"),
            Self::Part(part) => write!(f, "{part}: changed"),
            Self::Restart(part) => write!(f, "{part}: changed; takes effect at the next restart"),
            Self::Shop(shop, change) => write!(f, "shop {shop}: {change}"),
        }
    }
}

impl fmt::Display for CompanyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("new"),
            Self::Addresses => f.write_str("other addresses for failure e-mails"),
            Self::Language => f.write_str("failure e-mails in another language"),
            Self::Expects => f.write_str("another expect_every"),
            Self::Removed => f.write_str("removed; calls for its shops will be refused"),
            Self::Renamed(name) => write!(f, "now called \"{name}\""),
            Self::Shares { now, before } => {
                write!(f, "shares {} instead of {}", listed(now), listed(before))
            }
            Self::SwitchedOff => f.write_str("switched off: received and kept, delivered once it is on again"),
            Self::SwitchedOn => f.write_str("switched on: what it has missed is delivered"),
            Self::Waits => f.write_str("another wait_for_named_shop"),
        }
    }
}

impl fmt::Display for DestinationChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(url) => write!(f, "new, at {}", shown_url(url)),
            Self::Limits(which) => write!(f, "another {}", which.join(", ")),
            Self::Moved { from, to } if shown_url(from) == shown_url(to) => {
                write!(f, "{} with another query", shown_url(to))
            }
            Self::Moved { from, to } => write!(f, "{} instead of {}", shown_url(to), shown_url(from)),
            Self::Removed => f.write_str("not called any more"),
            Self::Secrets => f.write_str("signed with another secret"),
        }
    }
}

impl fmt::Display for ShopChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(company) => write!(
                f,
                "new, of {company}; it learns what happens from now on (for the past: ipn-router backfill)"
            ),
            Self::Keys(mode, format, change) => {
                let what = match change {
                    KeysChange::Added => "new: its notifications are received from now on",
                    KeysChange::Changed => "changed: what is signed with the old one only is refused from now on",
                    KeysChange::Removed => "removed: its notifications are refused from now on",
                };
                write!(f, "{} key for {mode} {what}", format.word())
            }
            Self::Learns => f.write_str("learns by other URLs, or of other notifications"),
            Self::Moved { from, to } => write!(f, "moves from company {from} to {to}"),
            Self::Removed => f.write_str("removed; calls for it will be refused"),
            Self::Renamed(name) => write!(f, "now called \"{name}\""),
            Self::SwitchedOff => f.write_str("switched off: what is for it is kept until it is on again"),
            Self::SwitchedOn => f.write_str("switched on: what it has missed is delivered"),
        }
    }
}

/// Everything that is different in `new`: companies, shops, destinations, then the rest.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut found = Vec::new();
    companies(old, new, &mut found);
    shops(old, new, &mut found);
    destinations(old, new, &mut found);
    rest(old, new, &mut found);
    found
}

fn companies(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let (before, after) = (companies_of(old), companies_of(new));
    for id in both(&before, &after) {
        let mut add = |change| found.push(Change::Company(id.clone(), change));
        match (before.get(id), after.get(id)) {
            (None, _) => add(CompanyChange::Added),
            (_, None) => add(CompanyChange::Removed),
            (Some(was), Some(is)) => {
                if was.name != is.name {
                    add(CompanyChange::Renamed(is.name.clone()));
                }
                match (was.enabled, is.enabled) {
                    (true, false) => add(CompanyChange::SwitchedOff),
                    (false, true) => add(CompanyChange::SwitchedOn),
                    _ => {}
                }
                if was.share != is.share {
                    let patterns = |share: &[KindPattern]| share.iter().map(KindPattern::to_string).collect();
                    add(CompanyChange::Shares {
                        now: patterns(&is.share),
                        before: patterns(&was.share),
                    });
                }
                if was.wait_for_named_shop != is.wait_for_named_shop {
                    add(CompanyChange::Waits);
                }
                // A company that is switched off has none.
                if was.enabled == is.enabled && expect_every(old, id) != expect_every(new, id) {
                    add(CompanyChange::Expects);
                }
                let [was, is] = [old, new].map(|config| config.alert.recipients.get(id));
                let addresses = |recipients: &Recipients| (recipients.company.clone(), recipients.shops.clone());
                if was.map(addresses) != is.map(addresses) {
                    add(CompanyChange::Addresses);
                }
                if was.map(|is| is.language) != is.map(|is| is.language) {
                    add(CompanyChange::Language);
                }
            }
        }
    }
}

fn shops(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let (before, after) = (shops_of(old), shops_of(new));
    for shop in both(&before, &after) {
        let mut add = |change| found.push(Change::Shop(*shop, change));
        match (before.get(shop), after.get(shop)) {
            (None, Some(is)) => add(ShopChange::Added(is.company.clone())),
            (_, None) => {
                add(ShopChange::Removed);
                continue;
            }
            (Some(was), Some(is)) => {
                if was.company != is.company {
                    add(ShopChange::Moved {
                        from: was.company.clone(),
                        to: is.company.clone(),
                    });
                }
                if was.member.name != is.member.name {
                    add(ShopChange::Renamed(is.member.name.clone()));
                }
                match (was.member.enabled, is.member.enabled) {
                    (true, false) => add(ShopChange::SwitchedOff),
                    (false, true) => add(ShopChange::SwitchedOn),
                    _ => {}
                }
                if learns(was.member) != learns(is.member) {
                    add(ShopChange::Learns);
                }
            }
        }
        for mode in Mode::ALL {
            for format in [Format::Form, Format::Rest] {
                let (was, is) = (keys(old, *shop, mode, format), keys(new, *shop, mode, format));
                if was == is || !before.contains_key(shop) {
                    continue;
                }
                let change = match (was.is_empty(), is.is_empty()) {
                    (true, _) => KeysChange::Added,
                    (_, true) => KeysChange::Removed,
                    _ => KeysChange::Changed,
                };
                add(ShopChange::Keys(mode, format, change));
            }
        }
    }
}

fn destinations(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let (before, after) = (destinations_of(old), destinations_of(new));
    for &key in both(&before, &after) {
        let mut add = |change| found.push(Change::Destination(key.clone(), change));
        match (before.get(key), after.get(key)) {
            (None, Some(is)) => add(DestinationChange::Added(is.url.clone())),
            // Switched off is told of its shop or company, and drops nothing.
            (_, None) if is_switched_off(key, new) => {}
            (_, None) => add(DestinationChange::Removed),
            (Some(was), Some(is)) => {
                if was.url != is.url {
                    add(DestinationChange::Moved {
                        from: was.url.clone(),
                        to: is.url.clone(),
                    });
                }
                if was.signing != is.signing {
                    add(DestinationChange::Secrets);
                }
                let limits = limits(was, is);
                if !limits.is_empty() {
                    add(DestinationChange::Limits(limits));
                }
            }
        }
    }
}

fn limits(was: &deliver::Settings, is: &deliver::Settings) -> Vec<&'static str> {
    [
        ("automatic_retry", was.retry.automatic != is.retry.automatic),
        ("retry_delays", was.retry.delays != is.retry.delays),
        ("give_up_after", was.retry.give_up_after != is.retry.give_up_after),
        ("concurrency", was.concurrency != is.concurrency),
        ("rate", was.rate != is.rate),
        ("timeouts", was.timeouts != is.timeouts),
        ("answer_check", was.answer_check != is.answer_check),
        ("allow_private", was.allow_private != is.allow_private),
        ("ca", was.ca != is.ca),
        ("client_certificate", was.client_certificate != is.client_certificate),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn rest(old: &Config, new: &Config, found: &mut Vec<Change>) {
    if old.alert.mail != new.alert.mail || old.alert.operators != new.alert.operators {
        found.push(Change::Part("[mail]"));
    }
    if old.receiver != new.receiver {
        found.push(Change::Restart("[receiver]"));
    }
    if old.store != new.store {
        found.push(Change::Restart("[store]"));
    }
    if old.admin.tokens != new.admin.tokens {
        found.push(Change::Part("[admin] token"));
    }
    let rest = |config: &Config| {
        let admin = config.admin.clone();
        (admin.listen, admin.public_url, admin.socket)
    };
    if rest(old) != rest(new) {
        found.push(Change::Restart("[admin]"));
    }
}

fn destinations_of(config: &Config) -> BTreeMap<&DestinationKey, &deliver::Settings> {
    config
        .destinations
        .iter()
        .map(|settings| (&settings.key, settings))
        .collect()
}

struct ShopIn<'c> {
    company: &'c LegalEntityId,
    member: &'c Member,
}

fn companies_of(config: &Config) -> BTreeMap<LegalEntityId, &LegalEntity> {
    config
        .circles
        .iter()
        .map(|circle| (circle.legal_entity.id.clone(), &*circle.legal_entity))
        .collect()
}

/// Each once, though it may take part in both modes.
fn shops_of(config: &Config) -> BTreeMap<ShopId, ShopIn<'_>> {
    config.circles.iter().flat_map(|circle| members(circle)).collect()
}

fn members(circle: &Circle) -> impl Iterator<Item = (ShopId, ShopIn<'_>)> {
    circle.members.iter().map(|member| {
        let company = &circle.legal_entity.id;
        (member.shop, ShopIn { company, member })
    })
}

fn is_switched_off(key: &DestinationKey, config: &Config) -> bool {
    config
        .circles
        .iter()
        .filter(|circle| circle.mode == key.mode && circle.legal_entity.id == key.legal_entity)
        .any(|circle| {
            let shop = circle.member(key.shop);
            shop.is_some_and(|shop| !shop.enabled || !circle.legal_entity.enabled)
        })
}

fn expect_every(config: &Config, id: &LegalEntityId) -> Option<Duration> {
    let mut expected = config.alert.expected.iter();
    expected.find(|one| one.legal_entity == *id).map(|one| one.every)
}

fn learns(member: &Member) -> impl PartialEq {
    (
        member.learns_by_event,
        member.learns_by_form,
        member.learns_by_rest,
        member.foreign_orders,
    )
}

fn keys(config: &Config, shop: ShopId, mode: Mode, format: Format) -> Vec<&Secret> {
    let of = |keys: &&ShopKeys| keys.shop == shop && keys.circle.mode == mode;
    config
        .keys
        .iter()
        .filter(of)
        .flat_map(|keys| match format {
            Format::Form => &keys.form_keys,
            Format::Rest => &keys.rest_passwords,
        })
        .collect()
}

fn both<'m, K: Ord, V, W>(before: &'m BTreeMap<K, V>, after: &'m BTreeMap<K, W>) -> BTreeSet<&'m K> {
    before.keys().chain(after.keys()).collect()
}

fn deliveries_wait(count: u64) -> String {
    match count {
        1 => "1 delivery waits".to_owned(),
        _ => format!("{count} deliveries wait"),
    }
}

fn listed(words: &[String]) -> String {
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{File, Machine, parse};

    const BEFORE: &str = r#"
        [legal_entities.acme]
        name = "ACME SAS"
        failure_emails = "oncall@acme.example"
        [legal_entities.other]
        name = "Other SARL"
        failure_emails = "oncall@other.example"
        [shops.12345678]
        name = "Paris"
        legal_entity = "acme"
        [shops.12345678.test]
        form_key = "form-key-1"
        form_url = "https://paris.example/ipn?key=1"
        [shops.23456789]
        name = "Lyon"
        legal_entity = "acme"
        [shops.23456789.test]
        event_url = "https://lyon.example/events"
        event_secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="
    "#;

    fn config(text: &str) -> Config {
        let file = File {
            path: "x.toml".into(),
            bytes: text.into(),
        };
        parse(file, &Machine).unwrap().config
    }

    /// What is different if one text stands for another, in words.
    fn told(replacements: &[(&str, &str)]) -> Vec<String> {
        let mut text = BEFORE.to_owned();
        for (from, to) in replacements {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let changes = changes(&config(BEFORE), &config(&text));
        changes.iter().map(Change::to_string).collect()
    }

    #[test]
    fn same_text_has_no_changes() {
        assert_eq!(told(&[]), Vec::<String>::new());
        assert_eq!(
            told(&[("name = \"Paris\"", "# a comment\nname = \"Paris\"")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_change_is_told_once_and_in_words() {
        for (from, to, expected) in [
            (
                "\"Paris\"",
                "\"Paris 2\"",
                vec!["shop 12345678: now called \"Paris 2\""],
            ),
            (
                "\"ACME SAS\"",
                "\"ACME SA\"",
                vec!["company acme: now called \"ACME SA\""],
            ),
            (
                "name = \"ACME SAS\"",
                "name = \"ACME SAS\"\nshare = [\"token.updated\"]",
                vec!["company acme: shares token.updated instead of token.*"],
            ),
            (
                "name = \"ACME SAS\"",
                "name = \"ACME SAS\"\nexpect_every = \"7d\"",
                vec!["company acme: another expect_every"],
            ),
            (
                "oncall@acme.example",
                "night@acme.example",
                vec!["company acme: other addresses for failure e-mails"],
            ),
            (
                "name = \"ACME SAS\"",
                "name = \"ACME SAS\"\nlanguage = \"fr\"",
                vec!["company acme: failure e-mails in another language"],
            ),
            (
                "https://lyon.example/events",
                "https://lyon.example/new",
                vec!["acme/23456789/TEST/event: https://lyon.example/new instead of https://lyon.example/events"],
            ),
            (
                "?key=1",
                "?key=2",
                vec![
                    "acme/12345678/TEST/form: https://paris.example/ipn?… with another query",
                    "acme/12345678/TEST/form-resigned: https://paris.example/ipn?… with another query",
                ],
            ),
            (
                "whsec_C2FV",
                "whsec_MfKQ",
                vec!["acme/23456789/TEST/event: signed with another secret"],
            ),
            (
                "name = \"Lyon\"",
                "name = \"Lyon\"\nrate = \"5/s\"\nenabled = false",
                vec!["shop 23456789: switched off: what is for it is kept until it is on again"],
            ),
            (
                "name = \"Lyon\"",
                "name = \"Lyon\"\nrate = \"5/s\"\nconcurrency = 2",
                vec!["acme/23456789/TEST/event: another concurrency, rate"],
            ),
        ] {
            assert_eq!(told(&[(from, to)]), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn key_that_changes_is_told_of_the_shop_and_of_what_it_signs() {
        let told = told(&[("form-key-1", "form-key-2")]);
        assert!(
            told[0].starts_with("shop 12345678: form key for TEST changed: what is signed with the old one"),
            "{told:?}"
        );
        assert!(
            told[1..].iter().all(|line| line.contains("signed with another secret")),
            "{told:?}"
        );
    }

    #[test]
    fn shop_that_moves_to_another_company_is_dangerous() {
        let text = BEFORE.replace(
            "name = \"Lyon\"\n        legal_entity = \"acme\"",
            "name = \"Lyon\"\n        legal_entity = \"other\"",
        );
        let found = changes(&config(BEFORE), &config(&text));
        let dangers: Vec<_> = found.iter().filter_map(|change| change.danger(0)).collect();
        assert_eq!(dangers.len(), 1, "{found:?}");
        assert!(dangers[0].contains("moves from acme to other"), "{dangers:?}");
        let removed: Vec<_> = found.iter().filter_map(|change| change.danger(7)).collect();
        assert_eq!(removed.len(), 2, "and its destination, if something waits: {removed:?}");
    }

    #[test]
    fn url_that_goes_away_is_dangerous_only_if_something_waits() {
        let by_form = "form_key = \"form-key-3\"\nform_url = \"https://lyon.example/form\"";
        let text = BEFORE.replace("event_url = \"https://lyon.example/events\"", by_form);
        let found = changes(&config(BEFORE), &config(&text));
        let removed = found
            .iter()
            .find(|change| matches!(change, Change::Destination(_, DestinationChange::Removed)))
            .unwrap();
        assert_eq!(removed.danger(0), None);
        assert!(
            removed
                .danger(1)
                .unwrap()
                .starts_with("1 delivery waits for acme/23456789/TEST/event")
        );
        assert_eq!(
            removed.effect(2).unwrap(),
            "2 deliveries wait: parked until it comes back"
        );
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        for (line, part) in [
            ("receiver = { path = \"/other\" }", "[receiver]"),
            ("store = { url = \"sqlite:/srv/other.db\" }", "[store]"),
            ("admin = { listen = \"127.0.0.1:8081\" }", "[admin]"),
            ("admin = { public_url = \"https://ipn.example/admin\" }", "[admin]"),
            ("admin = { socket = \"/run/other.sock\" }", "[admin]"),
        ] {
            let found = changes(&config(BEFORE), &config(&format!("{line}\n{BEFORE}")));
            assert!(found.contains(&Change::Restart(part)), "{line}: {found:?}");
            assert_eq!(
                found.iter().filter(|change| matches!(change, Change::Part(_))).count(),
                0,
                "{line} takes effect at once too: {found:?}"
            );
        }
    }
}
