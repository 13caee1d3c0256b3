//! What a notification tells, in one word: a table of rules of which the first that holds decides.

use super::happening::{Happening, Operation};
use crate::domain::{Format, Kind};

/// One row: what must hold, and who says so.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub kind: Kind,
    /// What must hold, in words.
    pub when: &'static str,
    /// Where that comes from.
    pub source: &'static str,
    pub basis: Basis,
    holds: fn(&Happening) -> bool,
}

/// How well a rule is founded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// No source shows it; the best guess.
    Assumed,
    /// A public document or public code says so.
    Documented,
    /// Follows from samples and documents that do not say it in so many words.
    Inferred,
}

/// All rules but the last, which always holds, in order (design.md 6).
pub const RULES: [Rule; 10] = [
    Rule {
        kind: Kind::TokenCreated,
        when: "identifier status CREATED, and not a batch that repeats it",
        source: "protocol.md 1.4, 1.5, 1.6",
        basis: Basis::Documented,
        holds: |h| is(&h.identifier_status, &["CREATED"]) && !is_batch(h),
    },
    Rule {
        kind: Kind::TokenUpdated,
        when: "identifier status UPDATED, and not a batch that repeats it",
        source: "protocol.md 1.4, 1.5, 1.6",
        basis: Basis::Documented,
        holds: |h| is(&h.identifier_status, &["UPDATED"]) && !is_batch(h),
    },
    Rule {
        kind: Kind::TokenSaved,
        when: "REST: a token, not failed, by a verification or by a payment with a new card",
        source: "protocol.md 3.4",
        basis: Basis::Inferred,
        holds: |h| h.format == Format::Rest && h.token.is_some() && !h.failed() && stores_a_card(h),
    },
    Rule {
        kind: Kind::SubscriptionInstalment,
        when: "an instalment's number",
        source: "protocol.md 1.2, 1.6",
        basis: Basis::Documented,
        holds: |h| h.recurrence_number.is_some(),
    },
    Rule {
        kind: Kind::SubscriptionInstalment,
        when: "REST: a subscription's id with a charge",
        source: "protocol.md 3.4",
        basis: Basis::Inferred,
        holds: |h| h.format == Format::Rest && h.subscription.is_some() && h.charge,
    },
    Rule {
        kind: Kind::SubscriptionCreated,
        when: "recurrence status CREATED, not failed",
        source: "protocol.md 1.2, 1.6",
        basis: Basis::Documented,
        holds: |h| is(&h.recurrence_status, &["CREATED"]) && !h.failed(),
    },
    Rule {
        kind: Kind::Payment,
        when: "a charge, whatever became of it",
        source: "protocol.md 1.2, 1.3, 3.4",
        basis: Basis::Documented,
        holds: |h| h.charge,
    },
    Rule {
        kind: Kind::RegistrationFailed,
        when: "failed, or an identifier or recurrence status that says so",
        source: "protocol.md 1.2, 1.4",
        basis: Basis::Documented,
        holds: |h| {
            let not_made = ["ABANDONED", "NOT_CREATED", "NOT_UPDATED"];
            h.failed() || is(&h.identifier_status, &not_made) || is(&h.recurrence_status, &not_made)
        },
    },
    Rule {
        kind: Kind::TokenCancelled,
        when: "a token, and an undocumented identifier status or page action that speaks of an end",
        source: "protocol.md 0.7, 1.6",
        basis: Basis::Assumed,
        holds: |h| h.token.is_some() && (speaks_of_an_end(&h.identifier_status) || speaks_of_an_end(&h.page_action)),
    },
    Rule {
        kind: Kind::TokenOther,
        when: "a token, and nothing known about it: a cancellation may look like this",
        source: "protocol.md 0.7, 9.1",
        basis: Basis::Assumed,
        holds: |h| h.token.is_some(),
    },
];

/// Holds when nothing else does.
pub const OTHERWISE: Rule = Rule {
    kind: Kind::Other,
    when: "none of the other rules",
    source: "design.md 6",
    basis: Basis::Documented,
    holds: |_| true,
};

/// Returns the rule that decides the kind of a happening.
pub fn rule(happening: &Happening) -> &'static Rule {
    RULES.iter().find(|rule| (rule.holds)(happening)).unwrap_or(&OTHERWISE)
}

/// Returns the kind of a happening.
pub fn kind(happening: &Happening) -> Kind {
    rule(happening).kind
}

fn is(status: &Option<String>, words: &[&str]) -> bool {
    status.as_deref().is_some_and(|status| words.contains(&status))
}

/// A batch moves a payment on, and repeats what was said of its token when it was made.
fn is_batch(happening: &Happening) -> bool {
    is(&happening.source, &["BATCH", "BATCH_AUTO"])
}

fn stores_a_card(happening: &Happening) -> bool {
    match happening.operation() {
        Some(Operation::Verification) => true,
        Some(Operation::Debit) => happening.transaction.as_ref().is_some_and(|t| t.new_card),
        Some(Operation::Credit) | None => false,
    }
}

/// No documented word contains one of these (protocol.md 1.3, 1.4), so finding one is finding an undocumented word.
fn speaks_of_an_end(word: &Option<String>) -> bool {
    word.as_deref()
        .map(str::to_ascii_uppercase)
        .is_some_and(|word| ["CANCEL", "TERMINAT", "DELET"].iter().any(|end| word.contains(end)))
}

#[cfg(test)]
mod tests;
