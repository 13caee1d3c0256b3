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

/// The shop is the subject of no verb that it would conjugate: it may be several.
fn of(kind: Kind, rendition: Rendition, shop: &str, language: Language) -> Vec<String> {
    let own = matches!(rendition, Rendition::AsReceived(_));
    let not_offered = || {
        if own {
            return language.say(
                format!("Cards saved at {shop} are not offered there yet; no payment is affected."),
                format!(
                    "Les cartes enregistrées chez {shop} n'y sont pas encore proposées ; aucun paiement n'est touché."
                ),
            );
        }
        language.say(
            format!("Cards saved at the company's other shops are not offered at {shop} yet; no payment is affected."),
            format!(
                "Les cartes enregistrées dans les autres boutiques de la société ne sont pas encore proposées chez \
                 {shop} ; aucun paiement n'est touché."
            ),
        )
    };
    let old_card = || {
        language.say(
            format!("{shop} may use the old card of a token and be refused."),
            format!("L'ancienne carte d'un alias peut être débitée par {shop}, et refusée."),
        )
    };
    let only = |sentence| vec![sentence];
    match kind {
        Kind::Other => only(language.say(
            format!("What these notifications tell is not known at {shop}."),
            format!("Ce que disent ces notifications n'est pas connu chez {shop}."),
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
            format!("Payments made at the company's other shops are not known at {shop}."),
            format!("Des paiements faits dans les autres boutiques de la société ne sont pas connus chez {shop}."),
        )),
        Kind::RegistrationFailed => only(language.say(
            format!("{shop} may not show why a customer's attempt to save a card failed."),
            format!("Un client dont la carte n'a pas été enregistrée peut ne pas en voir la raison chez {shop}."),
        )),
        Kind::SubscriptionCreated => only(language.say(
            format!("{shop} may not know of a new subscription."),
            format!("Un nouvel abonnement peut rester inconnu chez {shop}."),
        )),
        Kind::SubscriptionInstalment => only(language.say(
            format!("{shop} may not know of an instalment."),
            format!("Une échéance d'abonnement peut rester inconnue chez {shop}."),
        )),
        Kind::TokenCancelled => only(language.say(
            format!("{shop} may still offer a card that no longer works."),
            format!("Une carte qui ne fonctionne plus peut encore être proposée chez {shop}."),
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
