use serde_json::{Value, json};

use super::*;
use crate::route::samples::{at, form, payment, rest, transaction};

fn card_of(content: &Content) -> Option<Card> {
    Happening::read(content).card
}

#[test]
fn both_formats_show_the_same_card() {
    let visa = Card {
        brand: Some("VISA".to_owned()),
        last4: Some("0055".to_owned()),
        expiry: Some("2027-06".to_owned()),
    };
    let fields = "card_brand=VISA card_number=497010XXXXXX0055 expiry_year=2027 expiry_month=6";
    assert_eq!(card_of(&form("PAY", fields)), Some(visa.clone()));
    for (year, month) in [(json!(2027), json!(6)), (json!("2027"), json!("06"))] {
        let details =
            json!({"effectiveBrand": "VISA", "pan": "497010XXXXXX0055", "expiryYear": year, "expiryMonth": month});
        let answer = payment(&[json!({"transactionDetails": {"cardDetails": details}})]);
        assert_eq!(card_of(&rest("PAY", &answer)), Some(visa.clone()));
    }
}

#[test]
fn nothing_but_a_card_gives_four_digits_and_a_month() {
    assert_eq!(card_of(&form("PAY", "page_action=REGISTER")), None);
    assert_eq!(
        card_of(&form("PAY", "card_number=FR7630004000031234567890143")),
        None,
        "an account"
    );
    assert_eq!(card_of(&form("PAY", "card_number=0055")), None);
    assert_eq!(card_of(&form("PAY", "card_number=497010XXXXXXXXXX")), None);
    assert_eq!(card_of(&form("PAY", "card_number=497010XXXX\u{e9}0055")), None);
    assert_eq!(card_of(&form("PAY", "expiry_year=2027 expiry_month=13")), None);
    assert_eq!(card_of(&form("PAY", "expiry_year=27 expiry_month=1")), None);
    assert_eq!(card_of(&form("PAY", "expiry_year=2027")), None);
}

#[test]
fn a_customer_reference_that_is_an_address_is_not_passed_on() {
    let of_form = |id: &str| Happening::read(&form("PAY", &format!("cust_id={id}"))).customer_reference;
    let of_rest = |id: &str| Happening::read(&rest("PAY", &json!({"customer": {"reference": id}}))).customer_reference;
    for reference in [of_form, of_rest] {
        assert_eq!(reference("C-42").as_deref(), Some("C-42"));
        assert_eq!(reference("ann@example.com"), None);
        assert_eq!(reference(""), None);
    }
}

#[test]
fn an_order_is_anything_but_null_or_empty() {
    let order = |id: Value| Happening::read(&rest("PAY", &json!({"orderDetails": {"orderId": id}}))).order;
    assert!(order(json!("77")) && order(json!(77)) && order(json!(" ")) && order(json!({})));
    assert!(!order(Value::Null) && !order(json!("")));
    assert!(!Happening::read(&rest("PAY", &json!({"orderDetails": {}}))).order);
    assert!(Happening::read(&form("PAY", "order_id=77")).order);
    assert!(!Happening::read(&form("PAY", "order_id=")).order);
}

#[test]
fn empty_fields_are_absent() {
    let happening = Happening::read(&form(
        "",
        "identifier= trans_uuid= trans_id= page_action= identifier_status=",
    ));
    assert_eq!((happening.token, happening.page_action), (None, None));
    assert_eq!(happening.transaction, None);
    let happening = Happening::read(&rest("", &payment(&[transaction("token= uuid=")])));
    assert_eq!((happening.token, happening.transaction.unwrap().uuid), (None, None));
}

/// `kr-src` is not signed, so a copy of an old text must not pass for a wish of the Back Office.
#[test]
fn rest_resend_counts_only_while_its_server_date_is_fresh() {
    let written_at_ten = Happening::read(&rest("BO", &payment(&[])));
    for (received_at, counts) in [
        ("2026-03-01T10:00:00Z", true),
        ("2026-03-01T10:10:00Z", true),
        ("2026-03-01T10:10:01Z", false),
        ("2026-03-01T09:50:00Z", true),
        ("2026-03-01T09:49:59Z", false),
    ] {
        assert_eq!(written_at_ten.is_resend(at(received_at)), counts, "{received_at}");
    }
    assert!(!Happening::read(&rest("BO", &json!({}))).is_resend(at("2026-03-01T10:00:00Z")));
    assert!(!Happening::read(&rest("RETRY", &payment(&[]))).is_resend(at("2026-03-01T10:00:00Z")));
    assert!(Happening::read(&form("BO", "")).is_resend(at("2036-03-01T10:00:00Z")));
}
