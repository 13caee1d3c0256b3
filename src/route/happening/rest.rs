use std::str::FromStr as _;

use jiff::Timestamp;
use serde_json::Value;

use super::{Card, Happening, Operation, Transaction, is_charge, no_address, says_resent};
use crate::domain::Format;
use crate::route::digest::Digest;
use crate::verify::RestContent;

/// Reads `kr-answer`.
pub(super) fn read(rest: &RestContent) -> Happening {
    let json = rest.json();
    let transactions = transactions(json);
    let deciding = deciding(&transactions);
    let details = deciding.map_or(&Value::Null, |t| &t["transactionDetails"]);
    let card = &details["cardDetails"];
    let transaction = deciding.map(read_transaction);
    let source = rest.outer().filled("kr-src").map(str::to_owned);
    let has_reference = transaction.as_ref().is_some_and(Transaction::has_reference);
    Happening {
        format: Format::Rest,
        page_action: None,
        identifier_status: None,
        recurrence_status: None,
        recurrence_number: None,
        // V4/Token, should it ever arrive, has its token at the top (protocol.md 3.5).
        token: deciding
            .and_then(|t| text(&t["paymentMethodToken"]))
            .or_else(|| text(&json["paymentMethodToken"])),
        subscription: text(&details["subscriptionDetails"]["subscriptionId"]),
        // An earlier attempt is shown to the receiver too, so any of them counts, not only the deciding one.
        charge: transactions.iter().any(|t| is_charge(operation(t), None)),
        order: is_order(&json["orderDetails"]["orderId"]),
        card: Card::new(
            text(&card["effectiveBrand"]),
            card["pan"].as_str(),
            plain(&card["expiryYear"]).as_deref(),
            plain(&card["expiryMonth"]).as_deref(),
        ),
        customer_reference: no_address(text(&json["customer"]["reference"])),
        server_date: json["serverDate"].as_str().and_then(|at| Timestamp::from_str(at).ok()),
        lasting_text: (!has_reference).then(|| text_without_server_date(rest)),
        resent_text: says_resent(source.as_deref()).then(|| Digest::of("rest").part(rest.text()).whole()),
        source,
        transaction,
    }
}

/// The transactions of V4/Payment. Another answer type may be one transaction itself (assumed, protocol.md 3.5).
fn transactions(json: &Value) -> Vec<&Value> {
    match &json["transactions"] {
        Value::Array(list) => list.iter().filter(|t| t.is_object()).collect(),
        _ if json["uuid"].is_string() || json["operationType"].is_string() => vec![json],
        _ => Vec::new(),
    }
}

/// The newest by `creationDate`; the last if one has no date, or among equals.
fn deciding<'a>(transactions: &[&'a Value]) -> Option<&'a Value> {
    let created = |t: &Value| t["creationDate"].as_str().and_then(|at| Timestamp::from_str(at).ok());
    if transactions.iter().all(|t| created(t).is_some()) {
        transactions.iter().max_by_key(|t| created(t)).copied()
    } else {
        transactions.last().copied()
    }
}

fn read_transaction(transaction: &Value) -> Transaction {
    let details = &transaction["transactionDetails"];
    let card = &details["cardDetails"];
    Transaction {
        uuid: text(&transaction["uuid"]),
        id_and_date: None,
        operation: operation(transaction),
        status: text(&transaction["detailedStatus"]).or_else(|| text(&transaction["status"])),
        unpaid: transaction["status"] == "UNPAID",
        amount: plain(&transaction["amount"]),
        effective_amount: plain(&details["effectiveAmount"]),
        capture_date: text(&card["expectedCaptureDate"]),
        new_card: card["paymentMethodSource"] == "NEW",
    }
}

fn operation(transaction: &Value) -> Option<Operation> {
    transaction["operationType"].as_str().and_then(Operation::from_word)
}

/// A number would do as well as a text: when in doubt it is an order, and is not sent to a stranger's plugin.
fn is_order(order_id: &Value) -> bool {
    !order_id.is_null() && *order_id != ""
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The samples write numbers; the same digits as a text would mean the same.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        other => text(other),
    }
}

fn text_without_server_date(rest: &RestContent) -> [u8; 32] {
    let text = rest.text();
    let date = rest.top("serverDate").unwrap_or(text.len()..text.len());
    Digest::of("rest")
        .part(&text[..date.start])
        .part(&text[date.end..])
        .whole()
}
