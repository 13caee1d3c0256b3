use super::{Card, Happening, Operation, Transaction, is_charge, no_address, says_resent};
use crate::domain::Format;
use crate::route::digest::Digest;
use crate::verify::FormContent;

/// Reads the `vads_` fields.
pub(super) fn read(form: &FormContent) -> Happening {
    let filled = |name: &str| form.filled(name).map(str::to_owned);
    let transaction = transaction(form);
    let page_action = filled("vads_page_action");
    let source = filled("vads_url_check_src");
    let has_reference = transaction.as_ref().is_some_and(Transaction::has_reference);
    Happening {
        format: Format::Form,
        charge: transaction
            .as_ref()
            .is_some_and(|t| is_charge(t.operation, page_action.as_deref())),
        identifier_status: filled("vads_identifier_status"),
        recurrence_status: filled("vads_recurrence_status"),
        recurrence_number: filled("vads_recurrence_number"),
        token: filled("vads_identifier"),
        subscription: filled("vads_subscription"),
        order: form.filled("vads_order_id").is_some(),
        card: Card::new(
            filled("vads_card_brand"),
            form.filled("vads_card_number"),
            form.filled("vads_expiry_year"),
            form.filled("vads_expiry_month"),
        ),
        customer_reference: no_address(filled("vads_cust_id")),
        server_date: None,
        lasting_text: (!has_reference).then(|| signed_fields(form, |name| name != "vads_url_check_src")),
        resent_text: says_resent(source.as_deref()).then(|| signed_fields(form, |_| true)),
        page_action,
        source,
        transaction,
    }
}

fn transaction(form: &FormContent) -> Option<Transaction> {
    let filled = |name: &str| form.filled(name).map(str::to_owned);
    let signs = [
        "vads_trans_uuid",
        "vads_trans_id",
        "vads_trans_status",
        "vads_operation_type",
    ];
    signs
        .iter()
        .any(|name| form.filled(name).is_some())
        .then(|| Transaction {
            uuid: filled("vads_trans_uuid"),
            id_and_date: filled("vads_trans_id").zip(filled("vads_trans_date")),
            operation: form.filled("vads_operation_type").and_then(Operation::from_word),
            status: filled("vads_trans_status"),
            unpaid: false,
            amount: filled("vads_amount"),
            effective_amount: filled("vads_effective_amount"),
            capture_date: filled("vads_presentation_date"),
            new_card: false,
        })
}

/// Of the signed fields, in the order in which they are signed.
fn signed_fields(form: &FormContent, wanted: impl Fn(&str) -> bool) -> [u8; 32] {
    let mut fields: Vec<_> = form
        .fields()
        .iter()
        .filter(|field| field.name.starts_with("vads_") && wanted(&field.name))
        .collect();
    fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    fields
        .iter()
        .fold(Digest::of("form"), |digest, field| {
            digest.part(&field.name).part(&field.value)
        })
        .whole()
}
