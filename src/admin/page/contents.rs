//! What a notification says, field by field; what may be somebody's is hidden until it is asked for.

use serde_json::Value;

use crate::verify::Content;

/// Fields of a form that are nobody's: what happened, in which shop, when.
const PLAIN_FIELDS: [&str; 26] = [
    "vads_site_id",
    "vads_ctx_mode",
    "vads_url_check_src",
    "vads_page_action",
    "vads_action_mode",
    "vads_operation_type",
    "vads_trans_status",
    "vads_trans_date",
    "vads_trans_id",
    "vads_trans_uuid",
    "vads_identifier_status",
    "vads_recurrence_status",
    "vads_result",
    "vads_auth_result",
    "vads_extra_result",
    "vads_amount",
    "vads_auth_mode",
    "vads_capture_delay",
    "vads_effective_amount",
    "vads_effective_currency",
    "vads_currency",
    "vads_card_brand",
    "vads_payment_config",
    "vads_payment_certificate",
    "vads_version",
    "vads_contract_used",
];

/// Members of a REST text that are nobody's, wherever they stand.
const PLAIN_MEMBERS: [&str; 20] = [
    "shopId",
    "mode",
    "orderCycle",
    "orderStatus",
    "serverDate",
    "uuid",
    "operationType",
    "status",
    "detailedStatus",
    "creationDate",
    "amount",
    "currency",
    "orderTotalAmount",
    "orderEffectiveAmount",
    "orderCurrency",
    "paymentMethodType",
    "effectiveBrand",
    "errorCode",
    "detailedErrorCode",
    "_type",
];

/// Never shown: who has it can tell whether a guess of the key is right.
const SIGNATURES: [&str; 2] = ["signature", "kr-hash"];

/// More fields than anybody reads are left out.
const MOST: usize = 400;

/// One field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) name: String,
    /// `None`: hidden.
    pub(super) value: Option<String>,
    /// Characters of the value.
    pub(super) length: usize,
}

/// Every field that is not empty; personal ones only if that is wanted.
pub(super) fn said(content: &Content, personal_too: bool) -> Vec<Said> {
    let mut fields = Vec::new();
    match content {
        Content::Form(form) => {
            for (name, value) in form.pairs() {
                let is_plain = PLAIN_FIELDS.contains(&name);
                add(&mut fields, name.to_owned(), value, is_plain || personal_too);
            }
        }
        Content::Rest(rest) => {
            for (name, value) in rest.outer().pairs().filter(|(name, _)| *name != "kr-answer") {
                add(&mut fields, name.to_owned(), value, true);
            }
            flatten(&mut fields, "", "", rest.json(), personal_too);
        }
    }
    fields
}

fn add(fields: &mut Vec<Said>, name: String, value: &str, is_shown: bool) {
    if value.is_empty() || fields.len() == MOST {
        return;
    }
    fields.push(Said {
        length: value.chars().count(),
        value: (is_shown && !SIGNATURES.contains(&name.as_str())).then(|| value.to_owned()),
        name,
    });
}

/// `transactions[0].uuid` and so on; what stands in metadata or at a customer is somebody's whatever its name.
fn flatten(fields: &mut Vec<Said>, path: &str, key: &str, value: &Value, personal_too: bool) {
    let inner = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(fields, &inner(key), key, value, personal_too);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                flatten(fields, &format!("{path}[{at}]"), key, value, personal_too);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let is_somebodys = path.contains("customer") || path.contains("metadata");
            let is_plain = PLAIN_MEMBERS.contains(&key) && !is_somebodys;
            add(fields, path.to_owned(), &text, is_plain || personal_too);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(fields: &[(&str, &str)]) -> Content {
        let mut body = form_urlencoded::Serializer::new(String::new());
        Content::decode(body.extend_pairs(fields).finish().as_bytes()).unwrap()
    }

    fn value<'a>(said: &'a [Said], name: &str) -> Option<&'a str> {
        said.iter().find(|one| one.name == name).unwrap().value.as_deref()
    }

    #[test]
    fn names_and_tokens_are_hidden_until_they_are_asked_for() {
        let content = decode(&[
            ("vads_site_id", "12345678"),
            ("vads_identifier", "0a1b2c3d4e5f6071"),
            ("vads_cust_name", "Zoë"),
            ("vads_cust_email", ""),
            ("signature", "abc="),
        ]);
        let hidden = said(&content, false);
        assert_eq!(value(&hidden, "vads_site_id"), Some("12345678"));
        assert_eq!(value(&hidden, "vads_cust_name"), None);
        assert_eq!(value(&hidden, "vads_identifier"), None);
        assert!(!format!("{hidden:?}").contains("Zoë"));
        assert_eq!(
            hidden.iter().find(|one| one.name == "vads_cust_name").unwrap().length,
            3
        );
        let shown = said(&content, true);
        assert_eq!(value(&shown, "vads_cust_name"), Some("Zoë"));
        assert_eq!(value(&shown, "signature"), None);
        assert_eq!(shown.len(), 4, "an empty field says nothing");
    }

    #[test]
    fn a_plain_name_in_a_customers_part_is_hidden_all_the_same() {
        let answer = r#"{"shopId":"12345678","customer":{"status":"PRIVATE","email":"zoe@example.com"},
            "transactions":[{"uuid":"u1","metadata":{"mode":"gift for Zoe"},"paymentMethodToken":"t1","amount":990}]}"#;
        let content = decode(&[("kr-answer", answer), ("kr-hash", "abc"), ("kr-hash-key", "password")]);
        let hidden = said(&content, false);
        assert_eq!(value(&hidden, "shopId"), Some("12345678"));
        assert_eq!(value(&hidden, "transactions[0].uuid"), Some("u1"));
        assert_eq!(value(&hidden, "transactions[0].amount"), Some("990"));
        for name in [
            "customer.status",
            "customer.email",
            "transactions[0].metadata.mode",
            "transactions[0].paymentMethodToken",
            "kr-hash",
        ] {
            assert_eq!(value(&hidden, name), None, "{name}");
        }
        let shown = said(&content, true);
        assert_eq!(value(&shown, "customer.email"), Some("zoe@example.com"));
    }
}
