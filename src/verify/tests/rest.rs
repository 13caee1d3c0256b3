use super::*;

#[test]
fn the_signature_covers_the_decoded_text_byte_for_byte() {
    let text = "{ \"shopId\" :\"12345678\",\n\"orderDetails\":{\"mode\":\"TEST\"}, \"n\": \"d\u{e9}mo + \\u00e9\" }";
    let body = signed_rest(text, TEST_PASSWORD);
    let verified = verify(body.clone()).unwrap();
    assert_eq!((verified.mode(), verified.format()), (Mode::Test, Format::Rest));
    assert_eq!((verified.body(), verified.is_quarantined()), (&body, false));
    let hash = signature::rest(text, &Secret::new(TEST_PASSWORD));
    let error = refusal(rest_with(&text.replace(" :", ":"), "password", &hash));
    assert_eq!(hint(error), MismatchHint::KeyOrText);
}

#[test]
fn the_exact_text_counts_before_slashes_are_mapped() {
    let escaped = r#"{"shopId":"12345678","orderDetails":{"mode":"TEST"},"u":"a\/b"}"#;
    let plain = escaped.replace("\\/", "/");
    assert!(verify(signed_rest(escaped, TEST_PASSWORD)).is_ok());
    let hash = signature::rest(&plain, &Secret::new(TEST_PASSWORD));
    assert!(verify(rest_with(escaped, "password", &hash)).is_ok());
    // The other way round nobody maps.
    let hash = signature::rest(escaped, &Secret::new(TEST_PASSWORD));
    assert!(verify(rest_with(&plain, "password", &hash)).is_err());
}

#[test]
fn only_kr_hash_key_password_is_a_notification() {
    let hash = signature::rest(REST_TEXT, &Secret::new(TEST_PASSWORD));
    let hint_for = |key| hint(refusal(rest_with(REST_TEXT, key, &hash)));
    assert_eq!(hint_for("sha256_hmac"), MismatchHint::BrowserReturnKey);
    for other in ["", "PASSWORD", "password ", "sd"] {
        assert_eq!(hint_for(other), MismatchHint::OtherKeyFamily, "{other}");
    }
    let without = encode(&[("kr-hash", &hash), ("kr-answer", REST_TEXT)]);
    assert_eq!(hint(refusal(without)), MismatchHint::OtherKeyFamily);
}

#[test]
fn it_is_decided_in_order() {
    let body = |text: &str, key| rest_with(text, key, "x");
    // required fields, mode, kr-hash-key, shop, signature: the earlier reason wins.
    let missing = encode(&[("kr-answer", REST_TEXT), ("kr-hash-key", "sha256_hmac")]);
    assert_eq!(refusal(missing), VerifyError::Malformed(Malformed::Missing("kr-hash")));
    let text = r#"{"shopId":"99999999","orderDetails":{"mode":"X"}}"#;
    assert_eq!(
        refusal(body(text, "sha256_hmac")),
        VerifyError::Malformed(Malformed::UnknownMode)
    );
    let text = r#"{"shopId":"99999999","orderDetails":{"mode":"TEST"}}"#;
    assert_eq!(hint(refusal(body(text, "sha256_hmac"))), MismatchHint::BrowserReturnKey);
    assert!(matches!(
        refusal(body(text, "password")),
        VerifyError::UnknownShop { .. }
    ));
    assert_eq!(
        hint(refusal(body(REST_TEXT, "password"))),
        MismatchHint::Shapeless(Format::Rest)
    );
}

#[test]
fn a_shop_id_is_plain_digits_and_an_unknown_one_is_echoed_up_to_twenty() {
    for bad in [
        "\"\"",
        "12345678",
        "\"1234567a\"",
        "\" 12345678\"",
        "[]",
        "\"\\u0031\\u00e9\"",
    ] {
        let text = REST_TEXT.replace("\"12345678\"", bad);
        assert_eq!(
            refusal(signed_rest(&text, TEST_PASSWORD)),
            VerifyError::Malformed(Malformed::ShopNotDigits),
            "{bad}"
        );
    }
    for (id, echoed) in [("1", true), (&*"7".repeat(20), true), (&*"7".repeat(21), false)] {
        let text = REST_TEXT.replace("12345678", id);
        match refusal(signed_rest(&text, TEST_PASSWORD)) {
            VerifyError::UnknownShop { shop, .. } => assert_eq!(shop.as_deref(), echoed.then_some(id)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn kr_hash_in_capitals_is_not_accepted() {
    let hash = signature::rest(REST_TEXT, &Secret::new(TEST_PASSWORD)).to_uppercase();
    let error = refusal(rest_with(REST_TEXT, "password", &hash));
    assert_eq!(hint(error), MismatchHint::Shapeless(Format::Rest));
}

#[test]
fn a_password_of_the_other_mode_is_told() {
    let error = refusal(signed_rest(REST_TEXT, PRODUCTION_PASSWORD));
    assert_eq!(
        error.to_string(),
        "matches the PRODUCTION key, but the notification says TEST"
    );
}

#[test]
fn a_blank_around_the_configured_password_is_told() {
    let keyring = keyring_with(|keys| keys.rest_passwords = vec![Secret::new("p ")]);
    assert_eq!(
        hint(keyring.verify(signed_rest(REST_TEXT, "p")).unwrap_err()),
        MismatchHint::BlankInKey
    );
}
