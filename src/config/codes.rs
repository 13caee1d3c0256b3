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

pub(super) const SHARED_URL: Code = Code("N001");
pub(super) const NAMED_SHOP_WITHOUT_URL: Code = Code("N002");
pub(super) const NOT_YET: Code = Code("N003");
pub(super) const SAVED_CARDS_WITHHELD: Code = Code("N004");

impl Code {
    /// Whether this says that something is missing, which a broken line may have held.
    pub(super) fn is_absence(self) -> bool {
        [MISSING_KEY, NO_LEGAL_ENTITY, NO_SENDER, HALF_A_LOGIN].contains(&self)
    }
}
