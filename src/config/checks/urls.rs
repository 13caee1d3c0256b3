//! Rules about where notifications are sent.

use std::collections::BTreeMap;

use url::Url;

use crate::config::codes;
use crate::config::diagnostics::{Problem, Problems};
use crate::config::network::is_private_host;
use crate::config::shops::ShopTable;
use crate::config::source::At;
use crate::config::written::Written;
use crate::domain::{ForeignOrders, LegalEntityId};

/// Paths that the gateway's own plugins listen on, under all of its brands.
const BRANDS: &[&str] = &[
    "clicandpay",
    "innopay",
    "lyra",
    "micuentaweb",
    "mipspay",
    "osb",
    "payzen",
    "scellius",
    "sogecommerce",
    "systempay",
];

/// Where a URL is used: whose, by which shop, and where that is written.
type Use<'w> = (&'w LegalEntityId, &'w ShopTable, &'w At<Url>);

fn all_urls(written: &Written) -> impl Iterator<Item = (&ShopTable, &At<Url>)> {
    let shops = written.shops.values();
    shops.flat_map(|shop| {
        shop.modes
            .iter()
            .flat_map(|mode| mode.urls())
            .map(move |url| (shop, url))
    })
}

pub(super) fn each_stays_in_one_legal_entity(written: &Written, problems: &mut Problems) {
    let mut by_url: BTreeMap<&str, Vec<Use<'_>>> = BTreeMap::new();
    for (shop, url) in all_urls(written) {
        if let Some(owner) = &shop.legal_entity {
            by_url
                .entry(url.value.as_str())
                .or_default()
                .push((&owner.value, shop, url));
        }
    }
    for uses in by_url.values() {
        let (owner, shop, first) = uses[0];
        if let Some((other, _, second)) = uses.iter().find(|(other, ..)| *other != owner) {
            let what = format!("this URL is used by two legal entities, \"{owner}\" and \"{other}\"");
            problems.push(
                Problem::new(codes::URL_IN_TWO_LEGAL_ENTITIES, &second.spot, what)
                    .also(&first.spot, format!("also here, of \"{owner}\""))
                    .why("tokens of one company would reach the other")
                    .instead("give each company a URL of its own"),
            );
        } else if let Some((_, second_shop, second)) = uses.iter().find(|(_, other, _)| other.id != shop.id) {
            let what = format!("shops {} and {} share this URL", shop.id, second_shop.id);
            problems.push(
                Problem::new(codes::SHARED_URL, &second.spot, what)
                    .also(&first.spot, "also here")
                    .why("it gets each shared notification once for each of these shops")
                    .instead("nothing, if one service answers for both"),
            );
        }
    }
}

pub(super) fn private_ones_are_allowed(written: &Written, problems: &mut Problems) {
    for (shop, url) in all_urls(written) {
        if is_private_host(&url.value) && !shop.allow_private {
            problems.push(
                Problem::new(
                    codes::PRIVATE_ADDRESS,
                    &url.spot,
                    "this is an address of a private network",
                )
                .why("nothing is sent to such an address unless it is allowed")
                .instead(format!(
                    "if it is meant, add `allow_private = true` to [shops.{}]",
                    shop.id
                )),
            );
        }
    }
}

pub(super) fn foreign_ones_use_tls(written: &Written, problems: &mut Problems) {
    for (_, url) in all_urls(written) {
        if url.value.scheme() == "http" && !is_private_host(&url.value) {
            problems.push(
                Problem::new(
                    codes::PLAIN_HTTP,
                    &url.spot,
                    "notifications travel unencrypted to this URL",
                )
                .why("they hold customer data and tokens")
                .instead("use https://"),
            );
        }
    }
}

pub(super) fn plugins_get_no_foreign_orders(written: &Written, problems: &mut Problems) {
    let shops = written.shops.values();
    for shop in shops.filter(|shop| shop.foreign_orders.value == ForeignOrders::Send) {
        let gateway_urls = shop
            .modes
            .iter()
            .flat_map(|mode| {
                [
                    (&mode.form_url, shop.learns_by.form),
                    (&mode.rest_url, shop.learns_by.rest),
                ]
            })
            .filter_map(|(url, learns)| url.as_ref().filter(|_| learns));
        for url in gateway_urls.filter(|url| is_of_a_plugin(&url.value)) {
            problems.push(
                Problem::new(
                    codes::FOREIGN_ORDERS_TO_PLUGIN,
                    &url.spot,
                    "this looks like the URL of a shop's plugin",
                )
                .also(&shop.foreign_orders.spot, "and this sends it the orders of other shops")
                .why("plugins look an order up by its number, and would mark a stranger's order as paid")
                .instead("leave `foreign_orders` out; it is for services written for it"),
            );
        }
    }
}

fn is_of_a_plugin(url: &Url) -> bool {
    let woocommerce = url.query_pairs().any(|(name, _)| name == "wc-api");
    let path = url.path().to_ascii_lowercase();
    woocommerce || path.split('/').any(|part| BRANDS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_plugins_are_known() {
        for (url, plugin) in [
            ("https://a.example/?wc-api=WC_Gateway_Payzen", true),
            ("https://a.example/module/payzen/validation", true),
            ("https://a.example/systempay/payment/check", true),
            ("https://payzen.a.example/ipn", false),
            ("https://a.example/token-service", false),
        ] {
            assert_eq!(is_of_a_plugin(&Url::parse(url).unwrap()), plugin, "{url}");
        }
    }
}
