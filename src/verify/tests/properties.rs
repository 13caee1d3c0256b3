use super::*;

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map("vads_x[a-zA-Z0-9_-]{0,6}", any::<String>(), 1..12)
        .prop_map(|fields| fields.into_iter().collect())
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    fields.push(("vads_hash", "h"));
    fields
}

proptest! {
    #[test]
    fn a_signed_form_verifies_in_any_order(fields in fields(), seed in any::<u64>()) {
        let mut shuffled = borrowed(&fields);
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        prop_assert!(verify(signed_form(&shuffled, TEST_KEY)).is_ok());
    }

    #[test]
    fn one_changed_byte_in_a_value_is_noticed(fields in fields(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), new in "[a-z0-9]") {
        let mut sent = fields.clone();
        let value = &mut which.get_mut(&mut sent[..]).1;
        let at = at.index(value.len() + 1);
        prop_assume!(value.is_char_boundary(at) && value.as_bytes().get(at) != Some(&new.as_bytes()[0]));
        let end = (at + 1).min(value.len());
        prop_assume!(value.is_char_boundary(end));
        value.replace_range(at..end, &new);

        let key = Secret::new(TEST_KEY);
        let common = [("vads_site_id", SHOP), ("vads_ctx_mode", "TEST")];
        let signed = [&common[..], &borrowed(&fields)].concat();
        let signature = signature::form(signed, &key, FormHash::HmacSha256);
        let body = encode(&[&common[..], &borrowed(&sent), &[("signature", &signature)]].concat());
        let noticed = matches!(refusal(body), VerifyError::SignatureMismatch { .. });
        prop_assert!(noticed);
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(test_keyring().verify(body.clone().into()).is_err());
        test_keyring().explain(body.into());
    }

    #[test]
    fn nothing_that_looks_like_a_notification_makes_it_panic(
        body in "((vads_(site_id|ctx_mode|hash|a)|kr-(answer|hash|hash-key)|signature)=(TEST|12345678|password|\\{\"shopId\":[\\[\\]{}\",:a0.\\\\]{0,12}|[ -~é]{0,8})&){0,8}",
    ) {
        prop_assert!(verify(body.clone().into()).is_err());
        test_keyring().explain(body.into());
    }
}

#[test]
fn no_mutation_of_a_vector_makes_it_panic_and_none_of_signed_values_verifies() {
    let mut random = fastrand::Rng::with_seed(7);
    for vector in vectors() {
        let before = signed_values(&Content::decode(&vector.body).unwrap());
        for _ in 0..300 {
            let mut body = vector.body.to_vec();
            match random.u8(0..3) {
                0 => body[random.usize(0..vector.body.len())] = random.u8(..),
                1 => body.truncate(random.usize(0..vector.body.len())),
                _ => {
                    let at = random.usize(0..vector.body.len());
                    let until = random.usize(at..vector.body.len());
                    body.drain(at..until);
                }
            }
            vector.keyring.explain(body.clone().into());
            if let Ok(after) = vector.keyring.verify(body.into()) {
                assert_eq!(signed_values(after.content()), before, "{}", vector.name);
            }
        }
    }
}

/// Values alone: the signature of a form covers the names only by the order that they give.
fn signed_values(content: &Content) -> Vec<String> {
    match content {
        Content::Form(form) => {
            let mut signed: Vec<_> = form.pairs().filter(|(name, _)| name.starts_with("vads_")).collect();
            signed.sort_unstable();
            signed.into_iter().map(|(_, value)| value.to_owned()).collect()
        }
        Content::Rest(rest) => vec![rest.text().replace("\\/", "/")],
    }
}
