use crate::verify::Content;

/// More of an order's number than a person would type.
const LONGEST: usize = 64;

/// What a notification can be searched for in the Back Office, besides its transaction's uuid.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SearchTerms {
    /// The shop's number of its order; some shops put an e-mail address there, which is left out.
    pub order: Option<String>,
    /// When the transaction was made, as the gateway writes it.
    pub date: Option<String>,
}

impl SearchTerms {
    /// Of any content; what is missing is absent.
    pub fn of(content: &Content) -> Self {
        let (order, date) = match content {
            Content::Form(form) => (form.filled("vads_order_id"), form.filled("vads_trans_date")),
            Content::Rest(rest) => {
                let json = rest.json();
                let newest = json["transactions"].as_array().and_then(|list| list.last());
                let date = newest.and_then(|transaction| transaction["creationDate"].as_str());
                (json["orderDetails"]["orderId"].as_str(), date)
            }
        };
        let shown = |text: &str| {
            let is_fit = !text.is_empty() && !text.contains('@') && !text.chars().any(char::is_control);
            is_fit.then(|| text.chars().take(LONGEST).collect())
        };
        Self {
            order: order.and_then(shown),
            date: date.and_then(shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: &[(&str, &str)]) -> SearchTerms {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish();
        SearchTerms::of(&Content::decode(body.as_bytes()).unwrap())
    }

    fn terms(order: Option<&str>, date: Option<&str>) -> SearchTerms {
        SearchTerms {
            order: order.map(str::to_owned),
            date: date.map(str::to_owned),
        }
    }

    #[test]
    fn order_and_date_are_found_in_both_formats() {
        let form = [
            ("vads_order_id", "2026-17"),
            ("vads_trans_date", "20261122120000"),
            ("signature", "x"),
        ];
        assert_eq!(of(&form), terms(Some("2026-17"), Some("20261122120000")));
        let answer = json!({
            "shopId": "12345678",
            "orderDetails": {"mode": "TEST", "orderId": "2026-17"},
            "transactions": [{"creationDate": "2026-11-22T12:00:00+00:00"}],
        });
        let rest = [("kr-answer", &*answer.to_string()), ("kr-hash", "x")];
        assert_eq!(of(&rest), terms(Some("2026-17"), Some("2026-11-22T12:00:00+00:00")));
        assert_eq!(of(&[("vads_site_id", "12345678")]), SearchTerms::default());
    }

    #[test]
    fn no_address_and_no_line_end_gets_into_an_e_mail() {
        for order in ["marie@example.com", "1\r\nBcc: x", ""] {
            assert_eq!(of(&[("vads_order_id", order)]), SearchTerms::default());
        }
        assert_eq!(of(&[("vads_order_id", &"9".repeat(200))]).order.unwrap().len(), LONGEST);
    }
}
