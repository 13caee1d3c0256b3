//! Whether what was written fits together: one function for each rule.

mod circles;
mod people;
mod secrets;
mod urls;

use super::diagnostics::Problems;
use super::written::Written;

/// A rule: it tells of every place that breaks it.
type Check = fn(&Written, &mut Problems);

/// Rules that one mistake elsewhere does not upset.
const ALWAYS: &[Check] = &[
    circles::every_shop_has_a_legal_entity,
    circles::every_shop_can_be_reached,
    circles::what_is_resigned_has_a_key,
    circles::events_are_signed,
    circles::answers_wait_within_their_time,
    people::mail_has_a_sender,
    people::mail_has_a_whole_login,
    people::addresses_have_a_mail_server,
    people::every_company_has_a_failure_address,
    people::admin_listener_is_guarded,
    people::admin_token_is_not_overheard,
    secrets::admin_tokens_cannot_be_guessed,
    secrets::modes_have_secrets_of_their_own,
    secrets::passwords_are_of_their_mode,
    urls::each_stays_in_one_legal_entity,
    urls::private_ones_are_allowed,
    urls::foreign_ones_use_tls,
    urls::plugins_get_no_foreign_orders,
];

/// Rules about what has no use, or not all that one might expect: a mistake elsewhere may be the reason, so they wait
/// until there is none.
const ONCE_ALL_IS_RIGHT: &[Check] = &[
    circles::cards_saved_with_a_payment_are_learnt,
    circles::keys_are_used,
    circles::urls_are_used,
    circles::named_shops_get_their_own,
    circles::nothing_stands_idle,
    circles::there_is_a_shop,
    circles::what_is_expected_can_come,
    people::admin_table_opens_what_it_names,
    people::silence_is_told_to_somebody,
];

/// Tells of everything that does not fit.
pub(super) fn run(written: &Written, problems: &mut Problems) {
    // Half a text lacks many things.
    if problems.is_incomplete() {
        return;
    }
    ALWAYS.iter().for_each(|check| check(written, problems));
    if !problems.has_errors() {
        ONCE_ALL_IS_RIGHT.iter().for_each(|check| check(written, problems));
    }
}
