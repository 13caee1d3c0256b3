use bytes::Bytes;

use super::content::Content;
use super::error::VerifyError;
use super::keyring::{Keyring, VerifiedNotification};
use super::signature::FormHash;
use crate::domain::{Format, Mode, ShopId};

/// What can be said of a body without telling any of its values but shop and mode.
#[derive(Debug)]
pub struct Explanation {
    /// Label and text, in the order in which things are decided.
    pub facts: Vec<(&'static str, String)>,
    /// What the receiver would decide.
    pub verdict: Result<VerifiedNotification, VerifyError>,
}

impl Keyring {
    /// Verifies a body and says what was looked at on the way, for a person who wonders about the verdict.
    pub fn explain(&self, body: Bytes) -> Explanation {
        let mut facts = vec![("body", format!("{} bytes", body.len()))];
        if let Ok(content) = Content::decode(&body) {
            facts.extend(facts_of(&content));
            if let Some(shop) = content.named_shop() {
                facts.push(("keys here", self.inventory(shop, content.format())));
            }
        }
        Explanation {
            facts,
            verdict: self.verify(body),
        }
    }

    fn inventory(&self, shop: ShopId, format: Format) -> String {
        let count = |mode| self.keys(shop, mode).map_or(0, |keys| keys.of(format).len());
        let counts = Mode::ALL.map(|mode| format!("{} for {format} {mode}", count(mode)));
        counts.join(", ")
    }
}

fn facts_of(content: &Content) -> Vec<(&'static str, String)> {
    let shop = content
        .named_shop()
        .map_or("not 8 digits, or not written".to_owned(), |shop| shop.to_string());
    match content {
        Content::Form(form) => vec![
            ("format", Format::Form.to_string()),
            ("shop", shop),
            (
                "mode",
                or_missing(form.value("vads_ctx_mode").and_then(Mode::from_word)),
            ),
            (
                "signed",
                format!(
                    "the values of {} vads_ fields",
                    form.pairs().filter(|(name, _)| name.starts_with("vads_")).count()
                ),
            ),
            (
                "signature",
                match form.value("signature").map(FormHash::of_shape) {
                    None => "missing".to_owned(),
                    Some(None) => "has no known shape".to_owned(),
                    Some(Some(hash)) => format!("has the shape of {hash}"),
                },
            ),
            (
                "vads_hash",
                if form.filled("vads_hash").is_some() {
                    "present"
                } else {
                    "missing"
                }
                .to_owned(),
            ),
        ],
        Content::Rest(rest) => vec![
            ("format", Format::Rest.to_string()),
            ("shop", shop),
            ("mode", or_missing(rest.mode().ok().flatten())),
            ("signed", format!("the {} bytes of kr-answer", rest.text().len())),
            (
                "kr-hash-key",
                match rest.outer().value("kr-hash-key") {
                    Some("password") => "password, as a notification has it",
                    Some("sha256_hmac") => "sha256_hmac, as a browser return has it",
                    Some(_) => "neither password nor sha256_hmac",
                    None => "missing",
                }
                .to_owned(),
            ),
        ],
    }
}

fn or_missing(mode: Option<Mode>) -> String {
    mode.map_or("neither TEST nor PRODUCTION, or not written".to_owned(), |mode| {
        mode.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::testing::{TEST_KEY, signed_form, test_keyring};

    #[test]
    fn explanation_names_shop_and_mode_but_no_other_value() {
        let body = signed_form(
            &[("vads_cust_email", "marie@example.com"), ("vads_hash", "h")],
            TEST_KEY,
        );
        let explanation = test_keyring().explain(body);
        assert!(explanation.verdict.is_ok());
        let told = format!("{:?}", explanation.facts);
        for fact in ["12345678", "TEST", "HMAC-SHA-256", "1 for form TEST", "4 vads_ fields"] {
            assert!(told.contains(fact), "{fact} in {told}");
        }
        assert!(!told.contains("marie") && !told.contains(TEST_KEY));
    }

    #[test]
    fn a_body_that_cannot_be_read_is_explained_too() {
        let explanation = test_keyring().explain(Bytes::from_static(b"hello"));
        assert_eq!(explanation.facts, [("body", "5 bytes".to_owned())]);
        assert!(explanation.verdict.is_err());
    }
}
