//! The stable codes of all that can be said about a configuration; the words stand where each is found.
//!
//! A code is never given a second meaning: people search for it.

/// Names one mistake in the configuration: `E` errors, `W` warnings, `N` notes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Code(pub &'static str);

// How the file is written.
pub(super) const SYNTAX: Code = Code("E001");
pub(super) const UNREADABLE_FILE: Code = Code("E002");
pub(super) const UNKNOWN_KEY: Code = Code("E003");
pub(super) const MISSING_KEY: Code = Code("E004");
pub(super) const WRONG_TYPE: Code = Code("E005");
pub(super) const TWICE: Code = Code("E006");
pub(super) const INCLUDE_MATCHES_NOTHING: Code = Code("E007");
pub(super) const NOT_IN_INCLUDED_FILE: Code = Code("E008");

// What single values say.
pub(super) const BAD_SHOP_ID: Code = Code("E010");
pub(super) const BAD_LEGAL_ENTITY_ID: Code = Code("E011");
pub(super) const BAD_DURATION: Code = Code("E012");
pub(super) const BAD_NUMBER: Code = Code("E013");
pub(super) const BAD_NETWORK_ADDRESS: Code = Code("E014");
pub(super) const BAD_URL: Code = Code("E015");
pub(super) const UNKNOWN_WORD: Code = Code("E016");
pub(super) const BAD_MAIL_ADDRESS: Code = Code("E017");
pub(super) const COMMA_IN_ADDRESSES: Code = Code("E018");
pub(super) const DELAYS_DO_NOT_GROW: Code = Code("E019");
pub(super) const UNSUPPORTED_STORE: Code = Code("E020");
pub(super) const PRIVATE_ADDRESS: Code = Code("E021");
pub(super) const BAD_TEXT: Code = Code("E022");
pub(super) const TOO_LONG: Code = Code("E023");
pub(super) const TOO_SHORT: Code = Code("E024");

// Secrets and files beside the configuration.
pub(super) const EMPTY_SECRET: Code = Code("E030");
pub(super) const UNREADABLE_SECRET: Code = Code("E031");
pub(super) const BAD_EVENT_SECRET: Code = Code("E032");
pub(super) const UNREADABLE_PEM: Code = Code("E033");

// How things fit together.
pub(super) const NO_LEGAL_ENTITY: Code = Code("E040");
pub(super) const SHOP_TWICE: Code = Code("E041");
pub(super) const URL_IN_TWO_LEGAL_ENTITIES: Code = Code("E042");
pub(super) const UNREACHABLE_SHOP: Code = Code("E043");
pub(super) const NO_KEY_TO_RESIGN: Code = Code("E044");
pub(super) const NO_EVENT_SECRET: Code = Code("E045");
pub(super) const NO_SENDER: Code = Code("E046");
pub(super) const ADMIN_WITHOUT_TOKEN: Code = Code("E047");
pub(super) const HALF_A_LOGIN: Code = Code("E048");
pub(super) const NO_SHOP: Code = Code("E049");

pub(super) const NO_MAIL: Code = Code("W001");
pub(super) const NO_FAILURE_ADDRESS: Code = Code("W002");
pub(super) const PLAIN_HTTP: Code = Code("W003");
pub(super) const SAME_SECRET_IN_BOTH_MODES: Code = Code("W004");
pub(super) const SECRET_OF_THE_OTHER_MODE: Code = Code("W005");
pub(super) const DEMONSTRATION_KEY: Code = Code("W006");
pub(super) const SECRET_READABLE_BY_EVERYONE: Code = Code("W007");
pub(super) const INLINE_SECRET: Code = Code("W008");
pub(super) const UNUSED: Code = Code("W009");
pub(super) const FOREIGN_ORDERS_TO_PLUGIN: Code = Code("W010");
pub(super) const PADDED_SECRET: Code = Code("W011");
pub(super) const GUESSABLE_TOKEN: Code = Code("W012");

pub(super) const SHARED_URL: Code = Code("N001");
pub(super) const NAMED_SHOP_WITHOUT_URL: Code = Code("N002");
pub(super) const SAVED_CARDS_WITHHELD: Code = Code("N004");
pub(super) const ONLY_HEALTH: Code = Code("N005");

impl Code {
    /// Whether this says that something is missing, which a broken line may have held.
    pub(super) fn is_absence(self) -> bool {
        ABSENCES.contains(&self)
    }

    /// Why it matters, usually.
    pub(super) fn usual_reason(self) -> &'static str {
        REASONS
            .iter()
            .find(|(code, _)| *code == self)
            .map_or("", |(_, reason)| reason)
    }
}

/// Why a mistake matters, where the place of the mistake has no better reason.
const REASONS: &[(Code, &str)] = &[
    (BAD_DURATION, "how long that is would have to be guessed"),
    (BAD_MAIL_ADDRESS, "nobody would be told of trouble at this address"),
    (
        BAD_NETWORK_ADDRESS,
        "names and ranges are not looked up, so it must say exactly which machine is meant",
    ),
    (
        BAD_NUMBER,
        "how many are meant would have to be guessed, or the daemon could not work with it",
    ),
    (
        BAD_TEXT,
        "there would be nothing to use, or something that breaks e-mails, logs and paths",
    ),
    (BAD_URL, "nothing could be sent there, or received"),
    (
        HALF_A_LOGIN,
        "the mail server would refuse the login, and nobody would get an e-mail",
    ),
    (MISSING_KEY, "the rest of its table is of no use without it"),
    (SHOP_TWICE, "only one of the two would count"),
    (SYNTAX, "a file that cannot be read whole is not applied"),
    (TWICE, "only one of the two would count"),
    (UNKNOWN_KEY, "it would have no effect, and nobody would notice"),
    (UNKNOWN_WORD, "what it should do would have to be guessed"),
    (UNREADABLE_PEM, "no TLS connection could be made with it"),
    (
        UNREADABLE_SECRET,
        "what it signs, checks or opens cannot work without it",
    ),
    (
        UNSUPPORTED_STORE,
        "a notification is acknowledged only once it is safe in a file of SQLite",
    ),
    (UNUSED, "it has no effect; perhaps something else is missing"),
    (WRONG_TYPE, "what is meant would have to be guessed"),
];

const ABSENCES: &[Code] = &[
    HALF_A_LOGIN,
    MISSING_KEY,
    NO_EVENT_SECRET,
    NO_FAILURE_ADDRESS,
    NO_KEY_TO_RESIGN,
    NO_LEGAL_ENTITY,
    NO_MAIL,
    NO_SENDER,
    NO_SHOP,
    UNREACHABLE_SHOP,
    UNUSED,
];
