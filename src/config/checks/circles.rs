//! Rules about the shops of a company in one mode: who is notified, who can learn of it, and who signs.

use std::collections::BTreeMap;

use crate::config::codes;
use crate::config::diagnostics::{Problem, Problems};
use crate::config::names::closest;
use crate::config::shops::{ModeTable, ShopTable, key_name};
use crate::config::source::Spot;
use crate::config::written::{CircleTables, Written};
use crate::domain::{ForeignOrders, Format, Kind};

const FORMATS: [Format; 2] = [Format::Form, Format::Rest];

type Member<'w> = (&'w ShopTable, &'w ModeTable);

/// Whether the shops of this company tell each other anything.
fn shares(circle: &CircleTables<'_>) -> bool {
    let share = &circle.legal_entity.share;
    share
        .iter()
        .any(|pattern| Kind::ALL.into_iter().any(|kind| pattern.matches(kind)))
}

/// Another shop that the gateway notifies in this format, if what it is told is shared.
fn other_notified<'w>(circle: &CircleTables<'w>, shop: &ShopTable, format: Format) -> Option<Member<'w>> {
    let notified = |member: &&Member<'_>| member.0.id != shop.id && member.1.key(format).is_meant();
    circle.members.iter().find(notified).copied().filter(|_| shares(circle))
}

fn learns_by_event((shop, mode): Member<'_>) -> bool {
    shop.learns_by.event && mode.event_url.is_meant()
}

fn learns_by_gateway_url((shop, mode): Member<'_>, format: Format) -> bool {
    shop.learns_by.format(format) && mode.gateway_url(format).is_meant()
}

/// Whether what this shop is told in this format gets to another shop.
fn is_learnt_from(circle: &CircleTables<'_>, shop: &ShopTable, format: Format) -> bool {
    let learns = |member: &Member<'_>| learns_by_event(*member) || learns_by_gateway_url(*member, format);
    shares(circle)
        && circle
            .members
            .iter()
            .any(|member| member.0.id != shop.id && learns(member))
}

pub(super) fn every_shop_has_a_legal_entity(written: &Written, problems: &mut Problems) {
    let known: Vec<_> = written.legal_entities.keys().map(|id| id.as_str()).collect();
    let mut guesses = BTreeMap::new();
    for shop in written.shops.values() {
        let Some(owner) = &shop.legal_entity else { continue };
        if written.legal_entities.contains_key(&owner.value) {
            continue;
        }
        // Told once, however many shops name it: the mistake may as well be in the header of the company.
        let what = format!("there is no legal entity \"{}\"", owner.value);
        let problem = Problem::new(codes::NO_LEGAL_ENTITY, &owner.spot, what);
        let problem = problem.why("tokens are shared inside a legal entity; without one nobody is told anything");
        let meant = *guesses
            .entry(&owner.value)
            .or_insert_with(|| closest(owner.value.as_str(), &known));
        problems.push_once(match meant {
            Some(meant) => problem.instead(format!("did you mean \"{meant}\"?")),
            None => problem.instead(format!("add a table [legal_entities.{}]", owner.value)),
        });
    }
}

pub(super) fn every_shop_can_be_reached(written: &Written, problems: &mut Problems) {
    for circle in written.circles() {
        for &(shop, mode) in &circle.members {
            let wants = shop.enabled && circle.legal_entity.enabled && !shop.learns_by.is_none();
            if !wants || learns_by_event((shop, mode)) {
                continue;
            }
            let missed = FORMATS
                .into_iter()
                .filter(|format| !learns_by_gateway_url((shop, mode), *format))
                .find_map(|format| Some((format, other_notified(&circle, shop, format)?)));
            let Some((format, (notified, its_mode))) = missed else {
                continue;
            };
            let what = format!(
                "shop {} cannot learn of the company's tokens in {}",
                shop.id, circle.mode
            );
            let excluded = mode.event_url.is_meant() || mode.gateway_url(format).is_meant();
            let why = format!("shop {} is notified by {format} there", notified.id);
            let problem = Problem::new(codes::UNREACHABLE_SHOP, &mode.spot, what).why(if excluded {
                format!("{why}, and `learns_by` leaves out the URL that this one has")
            } else {
                format!("{why}, and this one has neither `event_url` nor `{format}_url`")
            });
            let problem = problem.instead("add `event_url`, or `learns_by = []` if the shop need not know");
            problems.push(match its_mode.key(format).as_ref() {
                Some(key) => problem.also(&key.spot, format!("shop {} is notified with this", notified.id)),
                None => problem,
            });
        }
    }
}

pub(super) fn what_is_resigned_has_a_key(written: &Written, problems: &mut Problems) {
    for circle in written.circles() {
        for &(shop, mode) in &circle.members {
            for format in FORMATS {
                let Some(url) = mode.gateway_url(format).as_ref() else {
                    continue;
                };
                let learns = learns_by_gateway_url((shop, mode), format);
                let Some((notified, _)) = other_notified(&circle, shop, format).filter(|_| learns) else {
                    continue;
                };
                if mode.key(format).is_meant() {
                    continue;
                }
                let key = key_name(format);
                let what = format!(
                    "shop {} has a `{format}_url` but no `{key}` in {}",
                    shop.id, circle.mode
                );
                problems.push(
                    Problem::new(codes::NO_KEY_TO_RESIGN, &url.spot, what)
                        .why(format!(
                            "what shop {} is told must be signed anew for this URL",
                            notified.id
                        ))
                        .instead(format!("add `{key}`, or leave \"{format}\" out of `learns_by`")),
                );
            }
        }
    }
}

pub(super) fn events_are_signed(written: &Written, problems: &mut Problems) {
    for (shop, mode) in written
        .shops
        .values()
        .flat_map(|shop| shop.modes.iter().map(move |mode| (shop, mode)))
    {
        let Some(url) = mode.event_url.as_ref() else { continue };
        if mode.event_secret.is_absent() {
            let what = format!(
                "shop {} has an `event_url` but no `event_secret` in {}",
                shop.id, mode.mode
            );
            problems.push(
                Problem::new(codes::NO_EVENT_SECRET, &url.spot, what)
                    .why("the shop could not tell our events from a stranger's")
                    .instead("add `event_secret`; make one with: echo \"whsec_$(openssl rand -base64 32)\""),
            );
        }
    }
}

pub(super) fn cards_saved_with_a_payment_are_learnt(written: &Written, problems: &mut Problems) {
    for circle in written.circles() {
        for &(shop, mode) in &circle.members {
            let by = FORMATS.into_iter().find(|format| {
                learns_by_gateway_url((shop, mode), *format) && other_notified(&circle, shop, *format).is_some()
            });
            let Some(url) = by.and_then(|format| mode.gateway_url(format).as_ref()) else {
                continue;
            };
            if learns_by_event((shop, mode)) || shop.foreign_orders.value == ForeignOrders::Send {
                continue;
            }
            let what = format!(
                "shop {} never learns of cards saved with a payment in {}",
                shop.id, circle.mode
            );
            problems.push(
                Problem::new(codes::SAVED_CARDS_WITHHELD, &url.spot, what)
                    .why("a notification with another shop's order is not sent to a gateway URL")
                    .instead("add an `event_url` if this shop should offer those cards too"),
            );
        }
    }
}

pub(super) fn keys_are_used(written: &Written, problems: &mut Problems) {
    let mut unused = |spot, what: String, why: &str| {
        let problem = Problem::new(codes::UNUSED, spot, what).why(why);
        problems.push(problem.instead("leave it out"));
    };
    for circle in written.circles() {
        for (shop, mode) in &circle.members {
            for format in FORMATS {
                let Some(key) = mode.key(format).as_ref() else { continue };
                if mode.gateway_url(format).is_absent() && !is_learnt_from(&circle, shop, format) {
                    let why = "a key can do more than verify: a REST password can also charge and refund";
                    let what = format!("nothing uses `{}` of shop {}", key_name(format), shop.id);
                    unused(&key.spot, what, why);
                }
            }
            if let Some(hash) = mode.form_hash.as_ref().filter(|_| mode.form_key.is_absent()) {
                let what = format!("nothing uses `form_hash` of shop {}", shop.id);
                unused(&hash.spot, what, "it says how `form_key` signs, and there is none");
            }
            if let Some(secret) = mode.event_secret.as_ref().filter(|_| mode.urls().next().is_none()) {
                let what = format!("nothing uses `event_secret` of shop {}", shop.id);
                unused(&secret.spot, what, "the shop has no URL in this mode");
            }
        }
    }
}

pub(super) fn urls_are_used(written: &Written, problems: &mut Problems) {
    for circle in written.circles() {
        for &(shop, mode) in &circle.members {
            let learns = |format| other_notified(&circle, shop, format).is_some();
            for format in FORMATS {
                let Some(url) = mode.gateway_url(format).as_ref() else {
                    continue;
                };
                let used = mode.key(format).is_meant() || shop.learns_by.format(format) && learns(format);
                if !used {
                    problems.push(
                        Problem::new(
                            codes::UNUSED,
                            &url.spot,
                            format!("nothing is ever sent to this `{format}_url`"),
                        )
                        .why(format!(
                            "there is no `{}`, and no other shop to learn from",
                            key_name(format)
                        ))
                        .instead("leave it out"),
                    );
                }
            }
            let Some(url) = mode.event_url.as_ref() else { continue };
            if !shop.learns_by.event || !FORMATS.into_iter().any(learns) {
                let why = if shop.learns_by.event {
                    "no other shop of the company has a key in this mode whose kinds are shared"
                } else {
                    "`learns_by` leaves \"event\" out"
                };
                let what = "nothing is ever sent to this `event_url`";
                problems.push(
                    Problem::new(codes::UNUSED, &url.spot, what)
                        .why(why)
                        .instead("leave it out"),
                );
            }
        }
    }
}

pub(super) fn nothing_stands_idle(written: &Written, problems: &mut Problems) {
    for (id, entity) in &written.legal_entities {
        if written.shops_of(id).next().is_none() {
            let what = format!("no shop belongs to \"{id}\"");
            let problem = Problem::new(codes::UNUSED, &entity.spot, what);
            problems.push(problem.instead(format!(
                "give its shops `legal_entity = \"{id}\"`, or leave the table out"
            )));
        }
    }
    for shop in written.shops.values().filter(|shop| shop.modes.is_empty()) {
        let (id, what) = (shop.id, format!("shop {} takes part in no mode", shop.id));
        problems.push(
            Problem::new(codes::UNUSED, &shop.spot, what)
                .why("nothing is received for it, and nothing sent to it")
                .instead(format!("add [shops.{id}.production], [shops.{id}.test], or both")),
        );
    }
}

pub(super) fn what_is_expected_can_come(written: &Written, problems: &mut Problems) {
    for (id, entity) in &written.legal_entities {
        let Some(expected) = entity.expect_every.as_ref() else {
            continue;
        };
        let has_shops = written.shops_of(id).next().is_some();
        if has_shops && written.heard_mode(id).is_none() {
            problems.push(
                Problem::new(
                    codes::UNUSED,
                    &expected.spot,
                    "silence cannot be told from what is never heard",
                )
                .why(format!(
                    "no shop of \"{id}\" has a `form_key` or `rest_password`, so nothing is received"
                ))
                .instead("add the keys of the shop that the gateway notifies, or leave it out"),
            );
        }
    }
}

pub(super) fn there_is_a_shop(written: &Written, problems: &mut Problems) {
    if written.shops.is_empty() {
        problems.push(
            Problem::new(codes::NO_SHOP, &Spot::new(0, 0..0), "no shop is configured")
                .why("every notification would be refused, and the gateway sends it only a few times")
                .instead("add [legal_entities.acme] and [shops.12345678], as in ipn-router.example.toml"),
        );
    }
}

pub(super) fn named_shops_get_their_own(written: &Written, problems: &mut Problems) {
    for circle in written.circles() {
        for (shop, mode) in &circle.members {
            for format in FORMATS {
                let Some(key) = mode.key(format).as_ref() else { continue };
                if mode.gateway_url(format).is_absent() && is_learnt_from(&circle, shop, format) {
                    let what = format!(
                        "shop {} itself is not sent what the gateway tells of it by {format}",
                        shop.id
                    );
                    problems.push(
                        Problem::new(codes::NAMED_SHOP_WITHOUT_URL, &key.spot, what)
                            .why("the company's other shops learn of its tokens, and nobody of its payments")
                            .instead(format!("add `{format}_url` if the gateway notifies the shop only here")),
                    );
                }
            }
        }
    }
}

/// Else an answer would be given up while it waits, and the gateway told that nothing is stored.
pub(super) fn answers_wait_within_their_time(written: &Written, problems: &mut Problems) {
    let limit = written.receiver.answer_timeout;
    for entity in written.legal_entities.values() {
        let Some(wait) = entity.wait_for_named_shop.as_ref().filter(|wait| wait.value >= limit) else {
            continue;
        };
        let what = format!(
            "`wait_for_named_shop` is not shorter than `answer_timeout`, {}s",
            limit.as_secs_f64()
        );
        problems.push(
            Problem::new(codes::TOO_LONG, &wait.spot, what)
                .why("an answer that takes that long becomes a 503, although the notification is stored")
                .instead("\"2s\" is enough for most shops"),
        );
    }
}
