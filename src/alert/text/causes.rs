//! What went wrong, and what a person can do about it.

use jiff::Timestamp;

use crate::alert::Language;
use crate::alert::language::at;
use crate::domain::{Cause, Format, Rendition, Symptom};

/// The keys of the configuration that stand for a destination's URL, and for what signs what it is sent.
pub(super) fn settings(rendition: Rendition) -> (&'static str, &'static str) {
    match rendition {
        Rendition::AsReceived(Format::Form) | Rendition::ReSigned(Format::Form) => ("form_url", "form_key"),
        Rendition::AsReceived(Format::Rest) | Rendition::ReSigned(Format::Rest) => ("rest_url", "rest_password"),
        Rendition::Event => ("event_url", "event_secret"),
    }
}

/// What a destination is sent.
pub(super) fn rendition(rendition: Rendition, language: Language) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) => language.say(
            "the gateway's form notifications, as received",
            "les notifications formulaire de la plateforme, telles quelles",
        ),
        Rendition::AsReceived(Format::Rest) => language.say(
            "the gateway's REST notifications, as received",
            "les notifications REST de la plateforme, telles quelles",
        ),
        Rendition::Event => language.say(
            "token events (JSON, Standard Webhooks)",
            "les événements d'alias (JSON, Standard Webhooks)",
        ),
        Rendition::ReSigned(Format::Form) => language.say(
            "the company's form notifications, signed for this shop",
            "les notifications formulaire de la société, signées pour cette boutique",
        ),
        Rendition::ReSigned(Format::Rest) => language.say(
            "the company's REST notifications, signed for this shop",
            "les notifications REST de la société, signées pour cette boutique",
        ),
    }
}

/// What went wrong, as a sentence.
pub(super) fn symptom(symptom: Symptom, language: Language) -> String {
    let cause = match symptom {
        Symptom::KoSignature => {
            let words = language.say(
                "The shop's plugin took the notification, and answered that its signature is wrong (KO).",
                "Le module de la boutique a pris la notification, et répond que sa signature est fausse (KO).",
            );
            return words.into();
        }
        Symptom::Failed(cause) => cause,
    };
    let words = match cause {
        Cause::Blocked => language.say(
            "Not called: the URL's host has a private address, and this shop may not have one.",
            "Pas d'appel : l'hôte de l'URL a une adresse privée, ce qui n'est pas permis à cette boutique.",
        ),
        Cause::Connect => language.say(
            "No connection: it was refused or cut off.",
            "Pas de connexion : elle a été refusée ou coupée.",
        ),
        Cause::Dns => language.say(
            "The host name of the URL has no address.",
            "Le nom d'hôte de l'URL n'a pas d'adresse.",
        ),
        Cause::Protocol => language.say(
            "The answer is no HTTP, or too large.",
            "La réponse n'est pas du HTTP, ou elle est trop longue.",
        ),
        Cause::Redirect => language.say(
            "The answer is a redirect to a place where notifications are not sent.",
            "La réponse est une redirection que le routeur ne suit pas.",
        ),
        Cause::Render => language.say(
            "Not called: the notification could not be written for this shop.",
            "Pas d'appel : la notification n'a pas pu être rédigée pour cette boutique.",
        ),
        Cause::Resolver => language.say(
            "The host name of the URL could not be looked up: the router's DNS did not answer.",
            "Le nom d'hôte de l'URL n'a pas pu être résolu : le DNS du routeur n'a pas répondu.",
        ),
        Cause::Status(status) => {
            return language.say(
                format!("HTTP status {status}: {}.", status_class(status, language)),
                format!("Statut HTTP {status} : {}.", status_class(status, language)),
            );
        }
        Cause::TimedOut => language.say("No answer in time.", "Pas de réponse dans le délai."),
        Cause::Tls => language.say("The TLS handshake failed.", "La négociation TLS a échoué."),
    };
    words.into()
}

fn status_class(status: u16, language: Language) -> &'static str {
    match status {
        300..=399 => language.say("the server points elsewhere", "le serveur renvoie ailleurs"),
        401 | 407 => language.say("the server asks for a login", "le serveur demande une authentification"),
        403 => language.say("the server refuses us", "le serveur nous refuse l'accès"),
        404 => language.say("there is nothing at this URL", "il n'y a rien à cette URL"),
        405 => language.say(
            "the server takes no POST at this URL",
            "le serveur n'accepte pas de POST à cette URL",
        ),
        408 | 425 | 429 => language.say(
            "the server asks to come later",
            "le serveur demande de revenir plus tard",
        ),
        410 => language.say("the URL is gone for good", "cette URL n'existe plus"),
        413 => language.say(
            "the notification is too large for the server",
            "la notification est trop longue pour le serveur",
        ),
        400..=499 => language.say(
            "the service rejects the notification",
            "le service rejette la notification",
        ),
        502..=504 => language.say(
            "the service behind the web server is unavailable",
            "le service derrière le serveur web est indisponible",
        ),
        500..=599 => language.say("the service failed", "erreur interne du service"),
        _ => language.say(
            "no answer that counts as received",
            "cette réponse ne vaut pas accusé de réception",
        ),
    }
}

/// What a person can do about it: where to look, and which key of the configuration to mend.
pub(super) fn remedy(
    symptom: Symptom,
    rendition: Rendition,
    table: &str,
    shop_table: &str,
    time: Timestamp,
    language: Language,
) -> String {
    let (url, key) = settings(rendition);
    let time = at(time);
    let cause = match symptom {
        Symptom::KoSignature => {
            return language.say(
                format!(
                    "Compare `{key}` in [{table}] with the key in the shop's plugin and in the Back Office (Settings > \
                     Shop > Keys), and correct the one that differs."
                ),
                format!(
                    "Comparez `{key}` dans [{table}] avec la clé du module de la boutique et celle du Back Office \
                     (Paramétrage > Boutique > Clés), et corrigez celle qui diffère."
                ),
            );
        }
        Symptom::Failed(cause) => cause,
    };
    match cause {
        Cause::Blocked => language.say(
            format!("Correct `{url}` in [{table}], or write `allow_private = true` in [{shop_table}]."),
            format!("Corrigez `{url}` dans [{table}], ou écrivez `allow_private = true` dans [{shop_table}]."),
        ),
        Cause::Connect => language
            .say(
                "Check that the shop's server runs, and that its firewall lets this machine in.",
                "Vérifiez que le serveur de la boutique fonctionne et que son pare-feu laisse entrer le routeur.",
            )
            .into(),
        Cause::Dns => language.say(
            format!("Check the host name in `{url}` of [{table}], and its DNS entry."),
            format!("Vérifiez le nom d'hôte dans `{url}` de [{table}], et son entrée DNS."),
        ),
        Cause::Protocol => language.say(
            format!("Check that `{url}` in [{table}] names the shop's web server and its port."),
            format!("Vérifiez que `{url}` dans [{table}] désigne le serveur web de la boutique et son port."),
        ),
        Cause::Redirect => language.say(
            format!("Write the address where the redirect ends into `{url}` of [{table}]."),
            format!("Écrivez l'adresse où mène la redirection dans `{url}` de [{table}]."),
        ),
        Cause::Render => language.say(
            format!("Add what is missing to [{table}], most likely `{key}`."),
            format!("Ajoutez ce qui manque dans [{table}], sans doute `{key}`."),
        ),
        Cause::Resolver => language
            .say(
                "Check the DNS of the router's machine: /etc/resolv.conf, and the servers that it names.",
                "Vérifiez le DNS de la machine du routeur : /etc/resolv.conf et les serveurs qui y figurent.",
            )
            .into(),
        Cause::Status(401 | 403 | 407) => language
            .say(
                "Let POST requests to this URL pass without a login: look at the firewall, the maintenance mode and \
                 the security plugins of the shop's server.",
                "Laissez passer les requêtes POST vers cette URL sans authentification : voyez le pare-feu, le mode \
                 maintenance et les modules de sécurité du serveur de la boutique.",
            )
            .into(),
        Cause::Status(404 | 405 | 410) => language.say(
            format!(
                "Check that the shop's plugin or service is active, and that `{url}` in [{table}] is the URL that it \
                 names."
            ),
            format!(
                "Vérifiez que le module ou le service de la boutique est actif, et que `{url}` dans [{table}] est bien \
                 l'URL qu'il indique."
            ),
        ),
        Cause::Status(408 | 425 | 429) => language
            .say(
                "Raise the limit of requests that the shop's server allows.",
                "Relevez le nombre de requêtes que le serveur de la boutique autorise.",
            )
            .into(),
        Cause::Status(_) => language.say(
            format!("Look into the error log of the shop's server at {time}."),
            format!("Regardez le journal d'erreurs du serveur de la boutique à cette heure : {time}."),
        ),
        Cause::TimedOut => language.say(
            format!("Look at the load and the log of the shop's server at {time}."),
            format!("Regardez la charge et le journal du serveur de la boutique à cette heure : {time}."),
        ),
        Cause::Tls => language
            .say(
                "Check the certificate of the shop's server: its dates, its host name, its whole chain.",
                "Vérifiez le certificat du serveur de la boutique : ses dates, son nom d'hôte, toute sa chaîne.",
            )
            .into(),
    }
}

/// Whether the mistake may be in our configuration.
pub(super) fn may_be_ours(symptom: Symptom) -> bool {
    match symptom {
        Symptom::KoSignature => true,
        Symptom::Failed(cause) => match cause {
            Cause::Blocked | Cause::Dns | Cause::Protocol | Cause::Redirect | Cause::Render => true,
            Cause::Status(status) => matches!(status, 404 | 405 | 410),
            Cause::Connect | Cause::Resolver | Cause::TimedOut | Cause::Tls => false,
        },
    }
}

/// How to have the gateway notify anew, in the words of its Back Office.
pub(super) fn send_again(language: Language) -> &'static str {
    language.say(
        "in its Back Office, right-click the transaction > \"Send the Instant Payment Notification\"",
        "dans le Back Office, clic droit sur la transaction > « Exécuter l'URL de notification »",
    )
}
