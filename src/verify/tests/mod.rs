//! Every corner of the decision (design.md 5, protocol.md 2 and 3.2).

mod vectors;
mod form;
mod rest;
mod rest_without_shop_or_mode;
mod properties;

use bytes::Bytes;
use proptest::prelude::*;

use super::signature::{self, FormHash};
use super::testing::*;
use super::{Content, Keyring, Malformed, MismatchHint, VerifiedNotification, VerifyError};
use crate::domain::{Format, Mode, Secret};

const OTHER_SHOP: &str = "23456789";
const REST_TEXT: &str = r#"{"shopId":"12345678","orderDetails":{"mode":"TEST"}}"#;

fn verify(body: Bytes) -> Result<VerifiedNotification, VerifyError> {
    test_keyring().verify(body)
}

fn refusal(body: Bytes) -> VerifyError {
    verify(body).unwrap_err()
}

fn hint(error: VerifyError) -> MismatchHint {
    match error {
        VerifyError::SignatureMismatch { hint, .. } => hint,
        other => panic!("{other:?}"),
    }
}

/// A keyring with shop 12345678 in TEST alone, its keys changed.
fn keyring_with(change: impl FnOnce(&mut super::ShopKeys)) -> Keyring {
    let mut keys = shop_keys(SHOP, Mode::Test, TEST_KEY, TEST_PASSWORD);
    change(&mut keys);
    Keyring::new(vec![keys])
}

#[test]
fn no_refusal_tells_a_secret_or_a_value() {
    let keyring = Keyring::new(vec![
        shop_keys(SHOP, Mode::Test, " s3cret-form ", " s3cret-rest "),
        shop_keys(OTHER_SHOP, Mode::Test, "s3cret-other", "s3cret-other"),
    ]);
    let value = [("vads_cust_name", "Marie")];
    let bodies = [
        signed_form(&value, "s3cret-form"),
        signed_form(&value, "s3cret-other"),
        signed_form(&value, "x"),
        signed_rest(
            &REST_TEXT.replace("{\"mode", "{\"name\":\"Marie\",\"mode"),
            "s3cret-rest",
        ),
        signed_form(&[("vads_site_id", "Marie")], "x"),
    ];
    for body in bodies {
        let error = keyring.verify(body).unwrap_err();
        for told in [error.to_string(), format!("{error:?}")] {
            assert!(!told.contains("s3cret") && !told.contains("Marie"), "{told}");
            assert!(told.is_ascii());
        }
    }
}
