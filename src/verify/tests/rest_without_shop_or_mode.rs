use super::*;

fn two_shops() -> Keyring {
    Keyring::new(vec![
        shop_keys(SHOP, Mode::Test, "a", "pa-test"),
        shop_keys(SHOP, Mode::Production, "b", "pa-production"),
        shop_keys(OTHER_SHOP, Mode::Test, "c", "pb-test"),
        shop_keys("34567890", Mode::Test, "d", "shared"),
        shop_keys("45678901", Mode::Test, "e", "shared"),
    ])
}

fn kept_for(text: &str, password: &str) -> (String, Mode) {
    let verified = two_shops().verify(signed_rest(text, password)).unwrap();
    assert!(verified.is_quarantined());
    (verified.named_shop().to_string(), verified.mode())
}

fn refused(text: &str, password: &str) -> VerifyError {
    two_shops().verify(signed_rest(text, password)).unwrap_err()
}

#[test]
fn the_only_password_that_matches_says_whose_it_is() {
    let nothing = r#"{"paymentMethodToken":"t","_type":"V4/Token"}"#;
    assert_eq!(kept_for(nothing, "pb-test"), (OTHER_SHOP.to_owned(), Mode::Test));
    assert_eq!(kept_for(nothing, "pa-production"), (SHOP.to_owned(), Mode::Production));
    let only_shop = r#"{"shopId":"12345678","orderDetails":null}"#;
    assert_eq!(kept_for(only_shop, "pa-test"), (SHOP.to_owned(), Mode::Test));
    let only_mode = r#"{"shopId":null,"orderDetails":{"mode":"PRODUCTION"}}"#;
    assert_eq!(
        kept_for(only_mode, "pa-production"),
        (SHOP.to_owned(), Mode::Production)
    );
    let shared = r#"{"shopId":"34567890"}"#;
    assert_eq!(kept_for(shared, "shared"), ("34567890".to_owned(), Mode::Test));
}

#[test]
fn no_password_or_several_is_a_refusal() {
    assert_eq!(hint(refused("{}", "x")), MismatchHint::NobodysAnswer);
    assert_eq!(hint(refused("{}", "shared")), MismatchHint::SeveralShops);
}

#[test]
fn what_is_written_must_agree_with_the_password() {
    let shop = |id: &str| format!(r#"{{"shopId":"{id}"}}"#);
    assert_eq!(hint(refused(&shop(OTHER_SHOP), "pa-test")), MismatchHint::NobodysAnswer);
    assert!(matches!(
        refused(&shop("99999999"), "pa-test"),
        VerifyError::UnknownShop { .. }
    ));
    assert!(matches!(
        refused(r#"{"orderDetails":{"mode":"TEST"}}"#, "pa-production"),
        VerifyError::WrongMode {
            written: Mode::Test,
            matched: Mode::Production,
            ..
        }
    ));
}
