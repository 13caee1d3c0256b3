use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Occurrence, Transaction};
use crate::domain::{Kind, Mode, ShopId};

/// The text of `kr-answer`, in the shape of real ones (protocol.md 3.3): every key is there, null when empty.
///
/// The gateway writes the keys in another order, which means nothing in JSON. A retry or resend is written anew:
/// `serverDate` is then that of the retry.
pub(super) fn answer(occurrence: &Occurrence, shop: ShopId, mode: Mode, now: Timestamp) -> String {
    let transaction = occurrence.transaction();
    let amount = transaction.map_or(0, Transaction::amount);
    let refused = transaction == Some(Transaction::RefusedVerification);
    let transactions: Vec<_> = transaction
        .map(|transaction| of_transaction(transaction, occurrence, shop))
        .into_iter()
        .collect();
    let mut answer = json!({
        "shopId": shop.as_str(),
        "orderCycle": "CLOSED",
        "orderStatus": if refused { "UNPAID" } else { "PAID" },
        "serverDate": date(now),
        "orderDetails": {
            "orderTotalAmount": amount,
            "orderEffectiveAmount": amount,
            "orderCurrency": "EUR",
            "mode": mode.word(),
            "orderId": occurrence.order,
            "metadata": null,
            "_type": "V4/OrderDetails",
        },
        "customer": of_customer(occurrence),
        "transactions": transactions,
        "subMerchantDetails": null,
        "_type": "V4/Payment",
    });
    if transaction.is_none() {
        // Without a transaction, the only place left for it (assumed, protocol.md 3.5).
        answer["paymentMethodToken"] = json!(occurrence.token);
    }
    answer.to_string()
}

fn of_customer(occurrence: &Occurrence) -> Value {
    let customer = occurrence.customer;
    json!({
        "billingDetails": {
            "address": null,
            "category": null,
            "cellPhoneNumber": null,
            "city": customer.city,
            "country": "FR",
            "firstName": customer.first_name,
            "language": "FR",
            "lastName": customer.last_name,
            "phoneNumber": null,
            "zipCode": null,
            "_type": "V4/Customer/BillingDetails",
        },
        "email": customer.email(),
        "reference": customer.reference,
        "shippingDetails": {
            "address": null,
            "city": null,
            "country": null,
            "firstName": null,
            "lastName": null,
            "_type": "V4/Customer/ShippingDetails",
        },
        "extraDetails": {
            "browserAccept": null,
            "browserUserAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "fingerPrintId": null,
            "ipAddress": "192.0.2.17",
            "_type": "V4/Customer/ExtraDetails",
        },
        "shoppingCart": {
            "cartItemInfo": null,
            "insuranceAmount": null,
            "shippingAmount": null,
            "taxAmount": null,
            "_type": "V4/Customer/ShoppingCart",
        },
        "_type": "V4/Customer/Customer",
    })
}

fn of_transaction(transaction: Transaction, occurrence: &Occurrence, shop: ShopId) -> Value {
    let at = date(occurrence.at);
    let amount = transaction.amount();
    let refused = transaction == Transaction::RefusedVerification;
    let instalment = occurrence.kind == Kind::SubscriptionInstalment;
    let verification = transaction != Transaction::Debit;
    json!({
        "shopId": shop.as_str(),
        "uuid": occurrence.uuid,
        "amount": amount,
        "currency": "EUR",
        "paymentMethodType": "CARD",
        "paymentMethodToken": occurrence.token,
        "status": if refused { "UNPAID" } else { "PAID" },
        "detailedStatus": transaction.status(),
        "operationType": transaction.operation(),
        "effectiveStrongAuthentication": "DISABLED",
        "creationDate": at,
        "errorCode": refused.then_some("ACQ_001"),
        "errorMessage": refused.then_some("payment refused"),
        "detailedErrorCode": refused.then_some("05"),
        "detailedErrorMessage": null,
        "metadata": null,
        "transactionDetails": {
            "liabilityShift": "NO",
            "effectiveAmount": amount,
            "effectiveCurrency": "EUR",
            "creationContext": if verification { "VERIFICATION" } else { "CHARGE" },
            "cardDetails": of_card(transaction, occurrence),
            "subscriptionDetails": {
                "subscriptionId": instalment.then_some(&occurrence.subscription),
                "_type": "V4/PaymentMethod/Details/SubscriptionDetails",
            },
            "parentTransactionUuid": null,
            "mid": "6969696",
            "sequenceNumber": 1,
            "paymentMethodTokenPreviouslyRegistered": null,
            "occurrenceType": if instalment { "RECURRENT_INTERMEDIAIRE" } else { "UNITAIRE" },
            "userInfo": "JS Client",
            "useCase": null,
            "wallet": null,
            "_type": "V4/TransactionDetails",
        },
        "_type": "V4/PaymentTransaction",
    })
}

fn of_card(transaction: Transaction, occurrence: &Occurrence) -> Value {
    let at = date(occurrence.at);
    let refused = transaction == Transaction::RefusedVerification;
    let verification = transaction != Transaction::Debit;
    // A card that is stored without a payment is said to come from its own token (protocol.md 3.4).
    let from_token = occurrence.token.is_some() && (verification || !occurrence.stores_card());
    json!({
        "paymentSource": "EC",
        "manualValidation": "NO",
        "expectedCaptureDate": (!verification).then_some(&at),
        "effectiveBrand": "CB",
        "pan": "497010XXXXXX0055",
        "expiryMonth": 6,
        "expiryYear": 2031,
        "country": "FR",
        "issuerCode": null,
        "issuerName": "Banque de démo et de l'innovation",
        "effectiveProductCode": "F",
        "legacyTransId": occurrence.legacy_id,
        "legacyTransDate": at,
        "paymentMethodSource": if from_token { "TOKEN" } else { "NEW" },
        "authorizationResponse": {
            "amount": transaction.amount(),
            "currency": "EUR",
            "authorizationDate": at,
            "authorizationNumber": (!refused).then_some("3fe85c"),
            "authorizationResult": if refused { "5" } else { "0" },
            "authorizationMode": if verification { "MARK" } else { "FULL" },
            "_type": "V4/PaymentMethod/Details/Cards/CardAuthorizationResponse",
        },
        "initialIssuerTransactionIdentifier": null,
        "productCategory": "DEBIT",
        "nature": "CONSUMER_CARD",
        "_type": "V4/PaymentMethod/Details/CardDetails",
    })
}

/// As the gateway writes a time: `2026-03-01T10:00:00+00:00`.
fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
