use super::*;

#[test]
fn a_signed_notification_is_kept_byte_for_byte_with_shop_mode_and_circle() {
    let body = signed_form(&[("vads_hash", "h"), ("vads_a", "")], TEST_KEY);
    let verified = verify(body.clone()).unwrap();
    assert_eq!(verified.named_shop().as_str(), SHOP);
    assert_eq!((verified.mode(), verified.format()), (Mode::Test, Format::Form));
    assert_eq!(verified.circle().mode, Mode::Test);
    assert_eq!(*verified.body(), body);
    assert!(!verified.is_quarantined());
}

#[test]
fn unsigned_fields_change_nothing() {
    let mut body = signed_form(&[("vads_hash", "h")], TEST_KEY).to_vec();
    body.extend_from_slice(b"&VADS_x=1&utm=2&x_vads_y=3");
    assert!(verify(body.into()).is_ok());
}

#[test]
fn an_added_empty_vads_field_breaks_the_signature() {
    let mut body = signed_form(&[("vads_hash", "h")], TEST_KEY).to_vec();
    body.extend_from_slice(b"&vads_zzz=");
    assert_eq!(hint(refusal(body.into())), MismatchHint::KeyOrText);
}

#[test]
fn the_three_required_fields_are_missed_by_name() {
    for missing in ["vads_site_id", "vads_ctx_mode", "signature"] {
        let all = [("vads_site_id", SHOP), ("vads_ctx_mode", "TEST"), ("signature", "s")];
        let left: Vec<_> = all.into_iter().filter(|(name, _)| *name != missing).collect();
        let error = refusal(encode(&left));
        assert_eq!(error, VerifyError::Malformed(Malformed::Missing(missing)));
    }
}

#[test]
fn only_the_two_words_are_modes() {
    for word in ["", "test", "TEST ", "PROD"] {
        let body = signed_form(&[("vads_ctx_mode", word), ("vads_hash", "h")], TEST_KEY);
        assert_eq!(refusal(body), VerifyError::Malformed(Malformed::UnknownMode), "{word}");
    }
}

#[test]
fn a_key_of_the_other_mode_is_told() {
    let error = refusal(signed_form(&[("vads_hash", "h")], PRODUCTION_KEY));
    assert_eq!(
        error.to_string(),
        "matches the PRODUCTION key, but the notification says TEST"
    );
}

#[test]
fn the_mode_written_wins_if_both_have_the_same_key() {
    let keyring = Keyring::new(Mode::ALL.map(|mode| shop_keys(SHOP, mode, "same", "same")).into());
    for mode in Mode::ALL {
        let body = signed_form(&[("vads_ctx_mode", mode.word()), ("vads_hash", "h")], "same");
        assert_eq!(keyring.verify(body).unwrap().mode(), mode);
        let text = REST_TEXT.replace("TEST", mode.word());
        assert_eq!(keyring.verify(signed_rest(&text, "same")).unwrap().mode(), mode);
    }
}

#[test]
fn any_of_several_keys_opens_while_one_is_rotated() {
    let keyring = keyring_with(|keys| keys.form_keys = vec![Secret::new("new"), Secret::new("old")]);
    for key in ["new", "old"] {
        assert!(keyring.verify(signed_form(&[("vads_hash", "h")], key)).is_ok(), "{key}");
    }
    assert!(keyring.verify(signed_form(&[("vads_hash", "h")], "older")).is_err());
}

#[test]
fn only_configured_hashes_are_accepted_and_the_other_is_named() {
    let sha1 = form_signed_by(&[("vads_hash", "h")], TEST_KEY, FormHash::Sha1);
    let error = refusal(sha1.clone());
    assert_eq!(error.to_string(), "is SHA-1, this shop expects HMAC-SHA-256");
    let legacy = keyring_with(|keys| keys.form_hashes = vec![FormHash::Sha1]);
    assert!(legacy.verify(sha1.clone()).is_ok());
    let error = legacy.verify(signed_form(&[("vads_hash", "h")], TEST_KEY)).unwrap_err();
    assert_eq!(error.to_string(), "is HMAC-SHA-256, this shop expects SHA-1");
    let both = keyring_with(|keys| keys.form_hashes.push(FormHash::Sha1));
    assert!(both.verify(sha1).is_ok());
}

#[test]
fn sha1_in_capitals_is_not_accepted() {
    let fields = [("vads_site_id", SHOP), ("vads_ctx_mode", "TEST"), ("vads_hash", "h")];
    let signature = signature::form(fields, &Secret::new(TEST_KEY), FormHash::Sha1).to_uppercase();
    let body = encode(&[&fields[..], &[("signature", &signature)]].concat());
    let legacy = keyring_with(|keys| keys.form_hashes = vec![FormHash::Sha1]);
    assert_eq!(
        hint(legacy.verify(body).unwrap_err()),
        MismatchHint::Shapeless(Format::Form)
    );
}

#[test]
fn a_blank_around_the_configured_key_is_told_but_not_forgiven() {
    for padded in [" k", "k\n", "\tk "] {
        let keyring = keyring_with(|keys| keys.form_keys = vec![Secret::new(padded)]);
        let error = keyring.verify(signed_form(&[("vads_hash", "h")], "k")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "matches after trimming a blank from the configured key"
        );
    }
}

#[test]
fn an_empty_key_opens_nothing() {
    for empty in ["", "  "] {
        let keyring = keyring_with(|keys| keys.form_keys = vec![Secret::new(empty)]);
        let error = keyring.verify(signed_form(&[("vads_hash", "h")], empty)).unwrap_err();
        assert!(
            matches!(error, VerifyError::UnknownShop { known: true, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn mixed_up_keys_of_two_shops_are_told() {
    let keyring = Keyring::new(vec![
        shop_keys(SHOP, Mode::Test, "a", "pa"),
        shop_keys(OTHER_SHOP, Mode::Test, "b", "pb"),
    ]);
    let error = keyring.verify(signed_form(&[("vads_hash", "h")], "b")).unwrap_err();
    assert_eq!(hint(error), MismatchHint::OtherShop);
}

#[test]
fn version_one_is_not_guessed_about() {
    let body = signed_form(&[("vads_hash", "h"), ("vads_version", "V1")], "unknown");
    assert_eq!(hint(refusal(body)), MismatchHint::VersionOne);
}

#[test]
fn a_shop_without_key_for_format_and_mode_is_unknown() {
    let unknown = |keyring: &Keyring, fields: &[(&str, &str)]| match keyring.verify(signed_form(fields, "x")) {
        Err(VerifyError::UnknownShop { shop, known, .. }) => (shop, known),
        other => panic!("{other:?}"),
    };
    let production_only = Keyring::new(vec![shop_keys(SHOP, Mode::Production, PRODUCTION_KEY, "p")]);
    assert_eq!(unknown(&production_only, &[]), (Some(SHOP.to_owned()), true));
    let rest_only = keyring_with(|keys| keys.form_keys.clear());
    assert_eq!(unknown(&rest_only, &[]), (Some(SHOP.to_owned()), true));
    let shop = |id: &str| unknown(&test_keyring(), &[("vads_site_id", id)]);
    assert_eq!(shop("99999999"), (Some("99999999".to_owned()), false));
    assert_eq!(shop(&"9".repeat(20)), (Some("9".repeat(20)), false));
    for not_echoed in ["", &"9".repeat(21), "1234567a", "<script>", "１２３４５６７８"] {
        assert_eq!(shop(not_echoed), (None, false), "{not_echoed}");
    }
    // What happened is better known than what is missing: its key of the other mode matches.
    let error = production_only.verify(signed_form(&[("vads_hash", "h")], PRODUCTION_KEY));
    assert!(matches!(error, Err(VerifyError::WrongMode { .. })), "{error:?}");
}

#[test]
fn only_a_notification_has_vads_hash() {
    let markers = [
        "vads_action_mode",
        "vads_payment_config",
        "vads_return_mode",
        "vads_trans_status",
        "vads_trans_uuid",
        "vads_result",
        "vads_auth_result",
        "vads_identifier_status",
        "vads_recurrence_status",
    ];
    for marker in markers {
        for hash in [&[][..], &[("vads_hash", "")]] {
            let error = refusal(signed_form(&[hash, &[(marker, "")]].concat(), TEST_KEY));
            assert!(
                matches!(error, VerifyError::NotANotification { found, .. } if found == marker),
                "{marker}: {error:?}"
            );
        }
        assert!(verify(signed_form(&[("vads_hash", "h"), (marker, "x")], TEST_KEY)).is_ok());
    }
    let perhaps_a_cancellation = signed_form(
        &[("vads_identifier", "t"), ("vads_url_check_src", "MERCH_BO")],
        TEST_KEY,
    );
    assert!(verify(perhaps_a_cancellation).unwrap().is_quarantined());
}

#[test]
fn without_vads_hash_a_wrong_signature_is_still_a_wrong_signature() {
    assert_eq!(
        hint(refusal(signed_form(&[("vads_result", "00")], "x"))),
        MismatchHint::KeyOrText
    );
}
