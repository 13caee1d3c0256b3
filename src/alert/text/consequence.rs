//! What people notice while notifications do not arrive (design.md 9).

use crate::alert::Language;
use crate::domain::{Kind, Rendition};

/// What people notice while notifications of these kinds do not arrive, the most urgent first, each once.
pub(super) fn consequences(kinds: &[Kind], rendition: Rendition, shop: &str, language: Language) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for kind in BY_URGENCY.into_iter().filter(|kind| kinds.contains(kind)) {
        for sentence in of(kind, rendition, shop, language) {
            if !once.contains(&sentence) {
                once.push(sentence);
            }
        }
    }
    once
}

/// Whether money may have been paid of which the shop does not know.
pub(super) fn is_urgent(kinds: &[Kind], rendition: Rendition) -> bool {
    kinds.contains(&Kind::Payment) && matches!(rendition, Rendition::AsReceived(_))
}

const BY_URGENCY: [Kind; 10] = [
    Kind::Payment,
    Kind::TokenCancelled,
    Kind::TokenUpdated,
    Kind::TokenSaved,
    Kind::TokenOther,
    Kind::TokenCreated,
    Kind::SubscriptionInstalment,
    Kind::SubscriptionCreated,
    Kind::RegistrationFailed,
    Kind::Other,
];

fn of(kind: Kind, rendition: Rendition, shop: &str, language: Language) -> Vec<String> {
    let own = matches!(rendition, Rendition::AsReceived(_));
    let at = if own {
        language.say("for it", "pour elle")
    } else {
        language.say(
            "at the company's other shops",
            "dans les autres boutiques de la société",
        )
    };
    let not_offered = || {
        language.say(
            format!("Cards saved {at} are not offered at {shop} yet; no payment is affected."),
            format!(
                "Les cartes enregistrées {at} ne sont pas encore proposées par {shop} ; aucun paiement n'est touché."
            ),
        )
    };
    let old_card = || {
        language.say(
            format!("{shop} may use the old card of a token and be refused."),
            format!("{shop} peut débiter l'ancienne carte d'un alias et essuyer un refus."),
        )
    };
    let only = |sentence| vec![sentence];
    match kind {
        Kind::Other => only(language.say(
            format!("{shop} does not know what these notifications tell."),
            format!("{shop} ignore ce que disent ces notifications."),
        )),
        Kind::Payment if own => only(language.say(
            format!(
                "URGENT: customers may have paid while their orders at {shop} show unpaid. What they paid is final at \
                 the gateway."
            ),
            format!(
                "URGENT : des clients ont peut-être payé alors que leurs commandes restent impayées chez {shop}. Ces \
                 paiements sont acquis sur la plateforme."
            ),
        )),
        Kind::Payment => only(language.say(
            format!("{shop} does not know of payments made {at}."),
            format!("{shop} ignore des paiements faits {at}."),
        )),
        Kind::RegistrationFailed => only(language.say(
            format!("{shop} may not show why a customer's attempt to save a card failed."),
            format!("{shop} ne peut pas dire à un client pourquoi sa carte n'a pas été enregistrée."),
        )),
        Kind::SubscriptionCreated => only(language.say(
            format!("{shop} may not know of a new subscription."),
            format!("{shop} peut ignorer un nouvel abonnement."),
        )),
        Kind::SubscriptionInstalment => only(language.say(
            format!("{shop} may not know of an instalment."),
            format!("{shop} peut ignorer une échéance d'abonnement."),
        )),
        Kind::TokenCancelled => only(language.say(
            format!("{shop} may still offer a card that no longer works."),
            format!("{shop} peut encore proposer une carte qui ne fonctionne plus."),
        )),
        Kind::TokenCreated => only(not_offered()),
        Kind::TokenOther | Kind::TokenSaved => vec![old_card(), not_offered()],
        Kind::TokenUpdated => only(old_card()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::Format;

    #[test]
    fn every_kind_has_a_consequence_and_none_is_said_twice() {
        for language in Language::ALL {
            for rendition in Rendition::ALL {
                for kind in Kind::ALL {
                    let said = consequences(&[kind], rendition, "Lyon", language);
                    assert!(!said.is_empty(), "{kind} {rendition}");
                }
                let all = consequences(&Kind::ALL, rendition, "Lyon", language);
                assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            }
        }
    }

    #[test]
    fn unpaid_orders_are_the_most_urgent() {
        for language in Language::ALL {
            let all = consequences(&Kind::ALL, Rendition::AsReceived(Format::Form), "Paris", language);
            assert!(all[0].starts_with("URGENT"));
        }
        assert!(!is_urgent(&Kind::ALL, Rendition::Event));
    }
}
