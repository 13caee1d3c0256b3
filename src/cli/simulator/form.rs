use jiff::Timestamp;

use super::{Occurrence, Transaction};
use crate::domain::{Kind, Mode, ShopId};

/// The fields of a form notification but for its signature, in no order, as the gateway writes them.
///
/// Which ones a notification has is taken from real ones (protocol.md 1.2, 1.6): many are empty, and empty ones are
/// signed too.
pub(super) fn fields(
    occurrence: &Occurrence,
    shop: ShopId,
    mode: Mode,
    source: &'static str,
) -> Vec<(&'static str, String)> {
    let customer = occurrence.customer;
    let mut fields = Vec::new();
    if let Some(transaction) = occurrence.transaction() {
        fields.extend(of_transaction(transaction, occurrence));
    }
    fields.extend(owned([
        ("vads_ctx_mode", mode.word()),
        ("vads_site_id", shop.as_str()),
        ("vads_version", "V2"),
        ("vads_action_mode", "INTERACTIVE"),
        ("vads_payment_config", "SINGLE"),
        ("vads_payment_src", "EC"),
        ("vads_cust_id", customer.reference),
        ("vads_cust_email", &customer.email()),
        ("vads_cust_first_name", customer.first_name),
        ("vads_cust_last_name", customer.last_name),
        ("vads_cust_city", customer.city),
        ("vads_cust_country", "FR"),
        ("vads_cust_phone", ""),
        ("vads_language", "fr"),
        ("vads_hash", &occurrence.hash),
        ("vads_url_check_src", source),
    ]));
    fields.extend(
        of_kind(occurrence)
            .into_iter()
            .map(|(name, value)| (name, value.to_owned())),
    );
    if let Some(token) = &occurrence.token {
        fields.push(("vads_identifier", token.clone()));
    }
    if let Some(order) = &occurrence.order {
        fields.push(("vads_order_id", order.clone()));
    }
    if matches!(
        occurrence.kind,
        Kind::SubscriptionCreated | Kind::SubscriptionInstalment
    ) {
        fields.push(("vads_subscription", occurrence.subscription.clone()));
    }
    fields
}

/// What tells one kind from another.
fn of_kind(occurrence: &Occurrence) -> Vec<(&'static str, &'static str)> {
    let with_order = occurrence.order.is_some();
    match occurrence.kind {
        Kind::Other => vec![("vads_page_action", "REGISTER"), ("vads_identifier_status", "")],
        Kind::Payment => vec![("vads_page_action", "PAYMENT")],
        Kind::RegistrationFailed => vec![
            ("vads_page_action", "REGISTER"),
            ("vads_identifier_status", "NOT_CREATED"),
        ],
        Kind::SubscriptionCreated => vec![
            ("vads_page_action", "SUBSCRIBE"),
            ("vads_recurrence_status", "CREATED"),
            ("vads_sub_amount", "1990"),
            ("vads_sub_currency", "978"),
            ("vads_sub_desc", "RRULE:FREQ=MONTHLY;BYMONTHDAY=1"),
        ],
        Kind::SubscriptionInstalment => vec![
            ("vads_recurrence_number", "2"),
            ("vads_occurrence_type", "RECURRENT_INTERMEDIAIRE"),
        ],
        Kind::TokenCancelled => vec![("vads_identifier_status", "CANCELLED")],
        Kind::TokenCreated | Kind::TokenSaved => vec![
            ("vads_page_action", if with_order { "REGISTER_PAY" } else { "REGISTER" }),
            ("vads_identifier_status", "CREATED"),
            ("vads_identifier_previously_registered", "false"),
        ],
        Kind::TokenOther => Vec::new(),
        Kind::TokenUpdated => vec![
            (
                "vads_page_action",
                if with_order {
                    "REGISTER_UPDATE_PAY"
                } else {
                    "REGISTER_UPDATE"
                },
            ),
            ("vads_identifier_status", "UPDATED"),
        ],
    }
}

fn of_transaction(transaction: Transaction, occurrence: &Occurrence) -> Vec<(&'static str, String)> {
    let at = date(occurrence.at);
    let amount = transaction.amount().to_string();
    let refused = transaction == Transaction::RefusedVerification;
    let result = if refused { "05" } else { "00" };
    owned([
        ("vads_amount", &amount),
        ("vads_auth_mode", if amount == "0" { "MARK" } else { "FULL" }),
        ("vads_auth_number", if refused { "" } else { "3fe85c" }),
        ("vads_auth_result", result),
        ("vads_capture_delay", "0"),
        ("vads_card_brand", "CB"),
        ("vads_card_number", "497010XXXXXX0055"),
        ("vads_card_country", "FR"),
        ("vads_expiry_month", "6"),
        ("vads_expiry_year", "2031"),
        ("vads_bank_label", "Banque de démo et de l'innovation"),
        ("vads_bank_product", "F"),
        ("vads_currency", "978"),
        ("vads_effective_amount", &amount),
        ("vads_effective_currency", "978"),
        ("vads_trans_date", &at),
        ("vads_trans_id", &occurrence.legacy_id),
        ("vads_trans_uuid", &occurrence.uuid),
        ("vads_trans_status", transaction.status()),
        ("vads_operation_type", transaction.operation()),
        ("vads_effective_creation_date", &at),
        ("vads_presentation_date", &at),
        ("vads_validation_mode", "0"),
        ("vads_warranty_result", "NO"),
        ("vads_sequence_number", "1"),
        ("vads_contract_used", "5249685"),
        ("vads_threeds_enrolled", "U"),
        ("vads_threeds_cavv", ""),
        ("vads_threeds_cavvAlgorithm", ""),
        ("vads_threeds_eci", ""),
        ("vads_threeds_xid", ""),
        ("vads_threeds_error_code", ""),
        ("vads_threeds_status", ""),
        ("vads_risk_control", "BIN_FRAUD=OK;CARD_FRAUD=OK;IP_FRAUD=OK"),
        ("vads_result", result),
        ("vads_extra_result", ""),
        (
            "vads_brand_management",
            r#"{"userChoice":false,"brandList":"CB|VISA","brand":"CB"}"#,
        ),
    ])
}

fn owned<const N: usize>(fields: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}

/// `YYYYMMDDhhmmss`, UTC.
fn date(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S").to_string()
}
