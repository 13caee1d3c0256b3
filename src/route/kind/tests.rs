use serde_json::json;

use super::*;
use crate::route::samples::{form, payment, rest, transaction};
use crate::verify::Content;

/// One REST notification with one transaction.
fn one(source: &str, facts: &str) -> Content {
    rest(source, &payment(&[transaction(facts)]))
}

fn assert_kinds(rows: Vec<(&str, Kind, Content)>) {
    for (what, expected, content) in rows {
        assert_eq!(kind(&Happening::read(&content)), expected, "{what}");
    }
}

#[test]
fn form_tokens_are_told_by_their_identifier_status() {
    let register = "page_action=REGISTER operation_type=VERIFICATION trans_uuid=u trans_status=ACCEPTED identifier=t";
    let with = |source, more: &str| form(source, &format!("{register} {more}"));
    let simple = |fields| form("PAY", fields);
    assert_kinds(vec![
        ("REGISTER", Kind::TokenCreated, with("PAY", "identifier_status=CREATED")),
        (
            "its automatic retry",
            Kind::TokenCreated,
            with("RETRY", "identifier_status=CREATED"),
        ),
        (
            "its manual resend",
            Kind::TokenCreated,
            with("BO", "identifier_status=CREATED"),
        ),
        (
            "made in the Back Office",
            Kind::TokenCreated,
            with("MERCH_BO", "identifier_status=CREATED"),
        ),
        (
            "made by a collection form",
            Kind::TokenCreated,
            with("DCF", "identifier_status=CREATED"),
        ),
        (
            "no source at all",
            Kind::TokenCreated,
            with("", "identifier_status=CREATED"),
        ),
        (
            "a source nobody has seen",
            Kind::TokenCreated,
            with("MOON", "identifier_status=CREATED"),
        ),
        (
            "REGISTER_UPDATE",
            Kind::TokenUpdated,
            simple("page_action=REGISTER_UPDATE operation_type=VERIFICATION identifier=t identifier_status=UPDATED"),
        ),
        (
            "updated in the Back Office",
            Kind::TokenUpdated,
            form(
                "MERCH_BO",
                "operation_type=VERIFICATION identifier=t identifier_status=UPDATED",
            ),
        ),
        (
            "REGISTER_UPDATE_PAY",
            Kind::TokenUpdated,
            simple(
                "page_action=REGISTER_UPDATE_PAY operation_type=DEBIT trans_uuid=u identifier=t identifier_status=UPDATED",
            ),
        ),
        (
            "REGISTER_UPDATE_PAY whose card was refused",
            Kind::Payment,
            simple(
                "page_action=REGISTER_UPDATE_PAY operation_type=DEBIT trans_status=REFUSED identifier=t identifier_status=NOT_UPDATED",
            ),
        ),
        (
            "REGISTER_PAY",
            Kind::TokenCreated,
            simple("page_action=REGISTER_PAY operation_type=DEBIT trans_uuid=u identifier=t identifier_status=CREATED"),
        ),
        (
            "ASK_REGISTER_PAY, and the buyer said no",
            Kind::Payment,
            simple("page_action=ASK_REGISTER_PAY operation_type=DEBIT trans_uuid=u trans_status=AUTHORISED"),
        ),
        (
            "REGISTER_PAY_SUBSCRIBE",
            Kind::TokenCreated,
            simple(
                "page_action=REGISTER_PAY_SUBSCRIBE operation_type=DEBIT identifier=t identifier_status=CREATED recurrence_status=CREATED subscription=s",
            ),
        ),
        (
            "REGISTER_PAY_SUBSCRIBE, told again by its first instalment's number",
            Kind::TokenCreated,
            simple(
                "page_action=REGISTER_PAY_SUBSCRIBE operation_type=DEBIT identifier=t identifier_status=CREATED recurrence_number=1",
            ),
        ),
        (
            "capture of a payment that stored a card",
            Kind::Payment,
            form(
                "BATCH",
                "page_action=REGISTER_PAY operation_type=DEBIT trans_status=CAPTURED identifier=t identifier_status=CREATED",
            ),
        ),
        (
            "capture of a payment that replaced a card",
            Kind::Payment,
            form(
                "BATCH",
                "page_action=REGISTER_UPDATE_PAY operation_type=DEBIT identifier=t identifier_status=UPDATED",
            ),
        ),
        (
            "authorisation of a deferred payment that stored a card",
            Kind::Payment,
            form(
                "BATCH_AUTO",
                "page_action=REGISTER_PAY operation_type=DEBIT trans_status=AUTHORISED identifier=t identifier_status=CREATED",
            ),
        ),
    ]);
}

#[test]
fn payments_by_token_are_payments_whatever_becomes_of_them() {
    let by_token = |source, more: &str| {
        form(
            source,
            &format!("page_action=PAYMENT operation_type=DEBIT trans_uuid=u identifier=t {more}"),
        )
    };
    assert_kinds(vec![
        ("authorised", Kind::Payment, by_token("PAY", "trans_status=AUTHORISED")),
        (
            "captured by batch",
            Kind::Payment,
            by_token("BATCH", "trans_status=CAPTURED"),
        ),
        (
            "automatic retry",
            Kind::Payment,
            by_token("RETRY", "trans_status=AUTHORISED"),
        ),
        (
            "cancelled",
            Kind::Payment,
            by_token("MERCH_BO", "trans_status=CANCELLED"),
        ),
        ("refused", Kind::Payment, by_token("PAY", "trans_status=REFUSED")),
        ("abandoned", Kind::Payment, by_token("PAY", "trans_status=ABANDONED")),
        (
            "by a payment link",
            Kind::Payment,
            by_token("PAYMENT_ORDER", "trans_status=AUTHORISED"),
        ),
        (
            "refunded in the Back Office",
            Kind::Payment,
            form(
                "MERCH_BO",
                "operation_type=CREDIT trans_uuid=v trans_status=AUTHORISED identifier=t",
            ),
        ),
        (
            "no operation type",
            Kind::Payment,
            form(
                "PAY",
                "page_action=PAYMENT trans_uuid=u trans_status=AUTHORISED identifier=t",
            ),
        ),
        (
            "neither operation type nor page action",
            Kind::Payment,
            form("BO", "trans_uuid=u trans_status=AUTHORISED identifier=t"),
        ),
        (
            "an operation type nobody has seen",
            Kind::Payment,
            form("MERCH_BO", "operation_type=REVERSAL trans_uuid=u identifier=t"),
        ),
        (
            "an abandoned payment page",
            Kind::Payment,
            form(
                "PAY",
                "page_action=PAYMENT trans_id=9c20f0 trans_date=20260301100000 trans_status=ABANDONED",
            ),
        ),
    ]);
}

#[test]
fn subscriptions_are_told_apart() {
    assert_kinds(vec![
        (
            "instalment",
            Kind::SubscriptionInstalment,
            form(
                "REC",
                "operation_type=DEBIT trans_status=AUTHORISED identifier=t subscription=s recurrence_number=3",
            ),
        ),
        (
            "instalment without vads_subscription",
            Kind::SubscriptionInstalment,
            form(
                "RETRY",
                "operation_type=DEBIT trans_status=AUTHORISED identifier=t recurrence_number=3",
            ),
        ),
        (
            "refused instalment",
            Kind::SubscriptionInstalment,
            form(
                "REC",
                "operation_type=DEBIT trans_status=REFUSED identifier=t subscription=s recurrence_number=3",
            ),
        ),
        (
            "SUBSCRIBE on a known token",
            Kind::SubscriptionCreated,
            form(
                "PAY",
                "page_action=SUBSCRIBE identifier=t subscription=s recurrence_status=CREATED",
            ),
        ),
        (
            "SUBSCRIBE with its verification",
            Kind::SubscriptionCreated,
            form(
                "PAY",
                "page_action=SUBSCRIBE operation_type=VERIFICATION trans_status=ACCEPTED identifier=t recurrence_status=CREATED",
            ),
        ),
        (
            "SUBSCRIBE that failed",
            Kind::RegistrationFailed,
            form(
                "PAY",
                "page_action=SUBSCRIBE trans_status=REFUSED identifier=t recurrence_status=NOT_CREATED",
            ),
        ),
        (
            "a status CREATED beside a failed transaction",
            Kind::RegistrationFailed,
            form(
                "PAY",
                "page_action=SUBSCRIBE trans_status=NOT_CREATED identifier=t recurrence_status=CREATED",
            ),
        ),
        (
            "SUBSCRIBE that was abandoned",
            Kind::RegistrationFailed,
            form("PAY", "page_action=SUBSCRIBE identifier=t recurrence_status=ABANDONED"),
        ),
        (
            "REST instalment",
            Kind::SubscriptionInstalment,
            one(
                "REC",
                "op=DEBIT source=TOKEN token=t subscription=s detailedStatus=AUTHORISED",
            ),
        ),
        (
            "a form with a subscription's id is no instalment without its number",
            Kind::Payment,
            form(
                "PAY",
                "page_action=REGISTER_PAY_SUBSCRIBE operation_type=DEBIT trans_status=REFUSED subscription=s",
            ),
        ),
        (
            "REST subscription without a charge",
            Kind::Other,
            one("PAY", "op=VERIFICATION subscription=s detailedStatus=ACCEPTED"),
        ),
        (
            "REST card saved for a subscription",
            Kind::TokenSaved,
            one("PAY", "op=VERIFICATION token=t subscription=s detailedStatus=ACCEPTED"),
        ),
    ]);
}

#[test]
fn registrations_fail_and_tokens_end_in_words_of_their_own() {
    assert_kinds(vec![
        (
            "REGISTER refused",
            Kind::RegistrationFailed,
            form(
                "PAY",
                "page_action=REGISTER operation_type=VERIFICATION trans_status=REFUSED identifier_status=NOT_CREATED",
            ),
        ),
        (
            "REGISTER abandoned without a transaction",
            Kind::RegistrationFailed,
            form("PAY", "page_action=REGISTER identifier_status=ABANDONED"),
        ),
        (
            "REGISTER_UPDATE refused, the token still there",
            Kind::RegistrationFailed,
            form(
                "PAY",
                "page_action=REGISTER_UPDATE operation_type=VERIFICATION identifier=t identifier_status=NOT_UPDATED",
            ),
        ),
        (
            "assumed cancellation: identifier status TERMINATED",
            Kind::TokenCancelled,
            form("MERCH_BO", "identifier=t identifier_status=TERMINATED"),
        ),
        (
            "assumed cancellation: identifier status CANCELLED",
            Kind::TokenCancelled,
            form("MERCH_BO", "identifier=t identifier_status=CANCELLED"),
        ),
        (
            "assumed cancellation: page action",
            Kind::TokenCancelled,
            form("MERCH_BO", "page_action=TOKEN_DELETE identifier=t"),
        ),
        (
            "the same without a token",
            Kind::Other,
            form("MERCH_BO", "page_action=TOKEN_DELETE"),
        ),
        (
            "a cancelled verification is no cancelled token",
            Kind::RegistrationFailed,
            form(
                "MERCH_BO",
                "operation_type=VERIFICATION trans_status=CANCELLED identifier=t",
            ),
        ),
        (
            "Back Office verification without page action or identifier status",
            Kind::TokenOther,
            form(
                "MERCH_BO",
                "operation_type=VERIFICATION trans_uuid=u trans_status=ACCEPTED identifier=t",
            ),
        ),
        (
            "a token and nothing else: perhaps a cancellation",
            Kind::TokenOther,
            form("MERCH_BO", "identifier=t"),
        ),
        (
            "an identifier status nobody has seen",
            Kind::TokenOther,
            form("MERCH_BO", "identifier=t identifier_status=REACTIVATED"),
        ),
        ("nothing known at all", Kind::Other, form("MERCH_BO", "cust_id=42")),
    ]);
}

#[test]
fn rest_saves_a_card_by_a_verification_or_a_new_card() {
    let older = |facts: &str| transaction(&format!("creationDate=2026-03-01T09:00:00+00:00 {facts}"));
    let seems_newer = |facts: &str| transaction(&format!("creationDate=2026-03-01T11:00:00+02:30 {facts}"));
    let newest = |facts: &str| transaction(&format!("creationDate=2026-03-01T10:00:00Z {facts}"));
    let saved = "op=DEBIT source=NEW token=t status=PAID detailedStatus=AUTHORISED";
    assert_kinds(vec![
        (
            "without payment",
            Kind::TokenSaved,
            one(
                "PAY",
                "op=VERIFICATION source=TOKEN token=t status=PAID detailedStatus=ACCEPTED",
            ),
        ),
        ("with payment", Kind::TokenSaved, one("PAY", saved)),
        (
            "with payment, captured: one event with the first",
            Kind::TokenSaved,
            one("BATCH", "op=DEBIT source=NEW token=t detailedStatus=CAPTURED"),
        ),
        (
            "with payment, under a status nobody has seen",
            Kind::TokenSaved,
            one("PAY", "op=DEBIT source=NEW token=t detailedStatus=DREAMING"),
        ),
        (
            "in the Back Office",
            Kind::TokenSaved,
            one("MERCH_BO", "op=VERIFICATION token=t detailedStatus=ACCEPTED"),
        ),
        (
            "refused verification",
            Kind::RegistrationFailed,
            one("PAY", "op=VERIFICATION token=t detailedStatus=REFUSED"),
        ),
        (
            "unpaid verification",
            Kind::RegistrationFailed,
            one("PAY", "op=VERIFICATION token=t status=UNPAID"),
        ),
        (
            "verification without token",
            Kind::Other,
            one("PAY", "op=VERIFICATION status=PAID detailedStatus=ACCEPTED"),
        ),
        (
            "payment by token",
            Kind::Payment,
            one("PAY", "op=DEBIT source=TOKEN token=t detailedStatus=AUTHORISED"),
        ),
        (
            "payment without token",
            Kind::Payment,
            one("PAY", "op=DEBIT source=NEW detailedStatus=AUTHORISED"),
        ),
        (
            "refused payment with a new card",
            Kind::Payment,
            one(
                "PAY",
                "op=DEBIT source=NEW token=t status=UNPAID detailedStatus=REFUSED",
            ),
        ),
        (
            "refund of a payment that stored a card",
            Kind::Payment,
            one(
                "MERCH_BO",
                "op=CREDIT source=NEW token=t parent=u detailedStatus=AUTHORISED",
            ),
        ),
        (
            "without transactionDetails: not known to be new",
            Kind::Payment,
            one("PAY", "op=DEBIT token=t detailedStatus=AUTHORISED"),
        ),
        (
            "verification without transactionDetails",
            Kind::TokenSaved,
            one("PAY", "op=VERIFICATION token=t"),
        ),
        (
            "without operation type",
            Kind::Payment,
            one("PAY", "token=t detailedStatus=AUTHORISED"),
        ),
        (
            "a refund beside the payment: the newest decides, wherever it stands",
            Kind::Payment,
            rest(
                "MERCH_BO",
                &payment(&[
                    newest("op=CREDIT source=NEW token=t detailedStatus=AUTHORISED"),
                    older(saved),
                ]),
            ),
        ),
        (
            "a second attempt that succeeded; the offset of the date counts",
            Kind::TokenSaved,
            rest(
                "PAY",
                &payment(&[newest(saved), seems_newer("op=DEBIT source=NEW detailedStatus=REFUSED")]),
            ),
        ),
        (
            "no creationDate: the last decides",
            Kind::TokenSaved,
            rest(
                "PAY",
                &payment(&[
                    transaction("op=DEBIT source=NEW detailedStatus=REFUSED"),
                    transaction(saved),
                ]),
            ),
        ),
        (
            "one creationDate missing: the last decides",
            Kind::TokenSaved,
            rest(
                "PAY",
                &payment(&[newest("op=DEBIT source=NEW detailedStatus=REFUSED"), transaction(saved)]),
            ),
        ),
        (
            "equal dates: the last decides",
            Kind::TokenSaved,
            rest(
                "PAY",
                &payment(&[newest("op=DEBIT source=NEW detailedStatus=REFUSED"), newest(saved)]),
            ),
        ),
        (
            "an abandoned session without transaction",
            Kind::Other,
            rest(
                "PAY",
                &json!({"orderStatus": "ABANDONED", "orderCycle": "CLOSED", "transactions": []}),
            ),
        ),
        (
            "no transactions at all",
            Kind::Other,
            rest("PAY", &json!({"orderStatus": "ABANDONED"})),
        ),
        (
            "another answer type with a token",
            Kind::TokenOther,
            rest("MERCH_BO", &json!({"_type": "V4/Token", "paymentMethodToken": "t"})),
        ),
        (
            "another answer type that is one transaction",
            Kind::Payment,
            rest(
                "MERCH_BO",
                &json!({"_type": "V4/Transaction", "uuid": "u", "operationType": "DEBIT", "paymentMethodToken": "t"}),
            ),
        ),
        (
            "wrong types everywhere",
            Kind::Other,
            rest(
                "PAY",
                &json!({"transactions": [1, null, "x"], "orderDetails": 3, "customer": []}),
            ),
        ),
        (
            "wrong types in a transaction: still a charge",
            Kind::Payment,
            rest(
                "PAY",
                &json!({"transactions": [{"operationType": 1, "paymentMethodToken": 5, "transactionDetails": "x", "creationDate": {}}]}),
            ),
        ),
    ]);
}

/// An earlier attempt is in the text too: a plugin could find it.
#[test]
fn a_charge_among_several_transactions_is_a_charge() {
    let content = rest(
        "PAY",
        &payment(&[
            transaction("op=DEBIT detailedStatus=REFUSED"),
            transaction("op=VERIFICATION token=t"),
        ]),
    );
    let happening = Happening::read(&content);
    assert!(happening.charge);
    assert_eq!(kind(&happening), Kind::TokenSaved);
}

#[test]
fn no_documented_word_speaks_of_an_end() {
    let page_actions = [
        "ASK_REGISTER_PAY",
        "PAYMENT",
        "REGISTER",
        "REGISTER_PAY",
        "REGISTER_PAY_SUBSCRIBE",
        "REGISTER_SUBSCRIBE",
        "REGISTER_UPDATE",
        "REGISTER_UPDATE_PAY",
        "SUBSCRIBE",
    ];
    let statuses = ["ABANDONED", "CREATED", "NOT_CREATED", "NOT_UPDATED", "UPDATED"];
    for word in page_actions.iter().chain(&statuses) {
        assert!(!speaks_of_an_end(&Some((*word).to_owned())), "{word}");
    }
}

#[test]
fn only_the_guesses_are_marked_as_guesses() {
    let assumed: Vec<_> = RULES
        .iter()
        .filter(|rule| rule.basis == Basis::Assumed)
        .map(|rule| rule.kind)
        .collect();
    assert_eq!(assumed, [Kind::TokenCancelled, Kind::TokenOther]);
}
