use crate::verify::Content;

/// Whether a notification is about this customer: by the shop's own id of it, or by the e-mail address, as the gateway
/// writes them. The case of an address does not count: buyers type it anew each time.
pub fn is_about_customer(content: &Content, customer: &str) -> bool {
    let (reference, address) = match content {
        Content::Form(form) => (form.filled("vads_cust_id"), form.filled("vads_cust_email")),
        Content::Rest(rest) => {
            let of_it = &rest.json()["customer"];
            (of_it["reference"].as_str(), of_it["email"].as_str())
        }
    };
    !customer.is_empty()
        && (reference == Some(customer) || address.is_some_and(|address| address.eq_ignore_ascii_case(customer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(fields: &[(&str, &str)]) -> Content {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Content::decode(body.as_bytes()).unwrap()
    }

    #[test]
    fn customer_is_found_by_id_and_by_address_in_both_formats() {
        let form = content(&[("vads_cust_id", "C-42"), ("vads_cust_email", "Ann@example.com")]);
        let answer = json!({"customer": {"reference": "C-42", "email": "Ann@example.com"}}).to_string();
        let rest = content(&[("kr-answer", &answer)]);
        for content in [form, rest] {
            for (customer, is_meant) in [
                ("C-42", true),
                ("ann@EXAMPLE.com", true),
                ("c-42", false),
                ("C-4", false),
                ("ann", false),
                ("", false),
            ] {
                assert_eq!(is_about_customer(&content, customer), is_meant, "{customer}");
            }
        }
        assert!(!is_about_customer(&content(&[("vads_cust_id", "")]), ""));
    }
}
