use super::*;

#[test]
fn every_vector_gets_the_answer_that_it_expects() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        match (vector.expected_status, vector.keyring.verify(vector.body.clone())) {
            (200, Ok(verified)) => {
                assert!(!verified.is_quarantined(), "{}", vector.name);
                assert_eq!(*verified.body(), vector.body, "{}", vector.name);
            }
            (403, Err(VerifyError::Malformed(why))) => panic!("{}: {why}", vector.name),
            (403, Err(_)) => {}
            (_, outcome) => panic!("{}: {outcome:?}", vector.name),
        }
    }
}

#[test]
fn refused_vectors_are_refused_for_what_is_odd_in_them() {
    let why = |name: &str| {
        let vector = vector_named(name);
        vector.keyring.verify(vector.body).unwrap_err()
    };
    let markers = [
        "form-sha1-browser-return",
        "form-payment-request",
        "form-sha1-payment-request",
    ];
    for name in markers {
        assert!(
            matches!(
                why(name),
                VerifyError::NotANotification {
                    found: "vads_action_mode" | "vads_auth_result",
                    ..
                }
            ),
            "{name}"
        );
    }
    for name in ["rest-browser-return", "rest-escaped-slashes-browser-return"] {
        assert_eq!(hint(why(name)), MismatchHint::BrowserReturnKey, "{name}");
    }
    assert_eq!(hint(why("form-tampered-amount")), MismatchHint::KeyOrText);
    assert!(matches!(
        why("form-nine-digit-site-id"),
        VerifyError::UnknownShop { shop: Some(digits), known: false, .. } if digits == "000000000"
    ));
}

#[test]
fn escaped_slashes_are_mapped_back_before_giving_up() {
    let vector = vector_named("rest-escaped-slashes-browser-return");
    let body = String::from_utf8(vector.body.to_vec()).unwrap();
    let as_notification = body.replace("kr-hash-key=sha256_hmac", "kr-hash-key=password");
    let verified = vector.keyring.verify(as_notification.into()).unwrap();
    assert_eq!(verified.format(), Format::Rest);
}
