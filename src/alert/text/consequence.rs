//! What people notice while notifications do not arrive (design.md 9).

use std::collections::BTreeSet;

use crate::alert::Language;
use crate::domain::{Charge, Kind, Matter, Rendition};

/// What people notice while notifications about these do not arrive, the most urgent first, each once.
pub(super) fn consequences(
    matters: &BTreeSet<Matter>,
    rendition: Rendition,
    shop: &str,
    language: Language,
) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    if is_urgent(matters, rendition) {
        once.push(unpaid_orders(shop, language));
    }
    for kind in BY_URGENCY {
        for matter in matters.iter().filter(|matter| matter.kind == kind) {
            for sentence in of(*matter, rendition, shop, language) {
                if !once.contains(&sentence) {
                    once.push(sentence);
                }
            }
        }
    }
    once
}

/// Whether money has been paid of which the shop does not know. Nobody waits at the counter for an instalment.
pub(super) fn is_urgent(matters: &BTreeSet<Matter>, rendition: Rendition) -> bool {
    let is_paid =
        |matter: &Matter| matter.charge == Some(Charge::Succeeded) && matter.kind != Kind::SubscriptionInstalment;
    matters.iter().any(is_paid) && matches!(rendition, Rendition::AsReceived(_))
}

fn unpaid_orders(shop: &str, language: Language) -> String {
    language.say(
        format!(
            "URGENT: customers have paid, and their orders at {shop} may show unpaid. What they paid is final at the \
             gateway."
        ),
        format!(
            "URGENT : des clients ont payé, et leurs commandes peuvent rester impayées chez {shop}. Ces paiements sont \
             acquis sur la plateforme."
        ),
    )
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
fn of(Matter { kind, charge }: Matter, rendition: Rendition, shop: &str, language: Language) -> Vec<String> {
    let own = matches!(rendition, Rendition::AsReceived(_));
    let not_offered = || {
        let sentence = match own {
            true => language.say(
                format!("Cards saved at {shop} are not offered there yet"),
                format!("Les cartes enregistrées chez {shop} n'y sont pas encore proposées"),
            ),
            false => language.say(
                format!("Cards saved at the company's other shops are not offered at {shop} yet"),
                format!(
                    "Les cartes enregistrées dans les autres boutiques de la société ne sont pas encore proposées chez \
                     {shop}"
                ),
            ),
        };
        // The payment with which a card was saved is told of before.
        match own && charge == Some(Charge::Succeeded) {
            true => format!("{sentence}."),
            false => language.say(
                format!("{sentence}; no payment is affected."),
                format!("{sentence} ; aucun paiement n'est touché."),
            ),
        }
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
        Kind::Payment if own && charge == Some(Charge::Succeeded) => Vec::new(),
        Kind::Payment if own => only(language.say(
            format!("{shop} may not show why a customer's attempt to pay failed."),
            format!("Un client dont le paiement a échoué peut ne pas en voir la raison chez {shop}."),
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

    const OWN: Rendition = Rendition::AsReceived(Format::Form);

    fn every_matter() -> BTreeSet<Matter> {
        let charges = [None, Some(Charge::Failed), Some(Charge::Succeeded)];
        let of = |kind| charges.map(|charge| Matter { kind, charge });
        Kind::ALL.into_iter().flat_map(of).collect()
    }

    #[test]
    fn everything_has_a_consequence_and_none_is_said_twice() {
        for language in Language::ALL {
            for rendition in Rendition::ALL {
                for matter in every_matter() {
                    let said = consequences(&BTreeSet::from([matter]), rendition, "Lyon", language);
                    assert!(!said.is_empty(), "{matter:?} {rendition}");
                }
                let all = consequences(&every_matter(), rendition, "Lyon", language);
                assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            }
        }
    }

    #[test]
    fn unpaid_orders_are_the_most_urgent() {
        for language in Language::ALL {
            let all = consequences(&every_matter(), OWN, "Paris", language);
            assert!(all[0].starts_with("URGENT"));
        }
        assert!(!is_urgent(&every_matter(), Rendition::Event));
    }

    #[test]
    fn failed_payment_is_told_apart_from_one_that_succeeded() {
        let payment = |charge| {
            BTreeSet::from([Matter {
                kind: Kind::Payment,
                charge: Some(charge),
            }])
        };
        assert!(is_urgent(&payment(Charge::Succeeded), OWN));
        assert!(!is_urgent(&payment(Charge::Failed), OWN));
        let said = consequences(&payment(Charge::Failed), OWN, "Paris", Language::English);
        assert_eq!(said, ["Paris may not show why a customer's attempt to pay failed."]);
    }

    #[test]
    fn card_that_was_saved_with_a_payment_is_about_money_too() {
        let saved = Matter {
            kind: Kind::TokenCreated,
            charge: Some(Charge::Succeeded),
        };
        let said = consequences(&BTreeSet::from([saved]), OWN, "Paris", Language::English);
        assert!(
            said[0].starts_with("URGENT") && !said[1].contains("no payment"),
            "{said:?}"
        );
        let learned = consequences(&BTreeSet::from([saved]), Rendition::Event, "Lyon", Language::English);
        assert!(learned[0].ends_with("no payment is affected."), "{learned:?}");
    }
}
