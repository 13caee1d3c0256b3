//! What the tests of this folder share: one shop with keys, bodies signed as the gateway would, real vectors.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::signature::{self, FormHash};
use super::{Content, Keyring, ShopKeys};
use crate::domain::{Circle, LegalEntity, Mode, Secret};

pub(crate) const SHOP: &str = "12345678";
pub(crate) const TEST_KEY: &str = "test-form-key";
pub(crate) const PRODUCTION_KEY: &str = "production-form-key";
pub(crate) const TEST_PASSWORD: &str = "testpassword_a";
pub(crate) const PRODUCTION_PASSWORD: &str = "prodpassword_a";

pub(crate) fn shop_keys(shop: &str, mode: Mode, form_key: &str, rest_password: &str) -> ShopKeys {
    let legal_entity = LegalEntity {
        id: "acme".parse().unwrap(),
        name: "ACME SAS".to_owned(),
        enabled: true,
        share: Vec::new(),
        wait_for_named_shop: None,
    };
    let circle = Circle {
        legal_entity: Arc::new(legal_entity),
        mode,
        members: Vec::new(),
    };
    ShopKeys {
        shop: shop.parse().unwrap(),
        circle: Arc::new(circle),
        form_keys: vec![Secret::new(form_key)],
        form_hashes: vec![FormHash::HmacSha256],
        rest_passwords: vec![Secret::new(rest_password)],
    }
}

/// Shop 12345678 with a key of each kind.
pub(crate) fn test_keyring() -> Keyring {
    Keyring::new(vec![
        shop_keys(SHOP, Mode::Test, TEST_KEY, TEST_PASSWORD),
        shop_keys(SHOP, Mode::Production, PRODUCTION_KEY, PRODUCTION_PASSWORD),
    ])
}

/// A form of shop 12345678 in TEST, unless the fields say otherwise.
pub(crate) fn signed_form(fields: &[(&str, &str)], key: &str) -> Bytes {
    form_signed_by(fields, key, FormHash::HmacSha256)
}

pub(crate) fn form_signed_by(fields: &[(&str, &str)], key: &str, hash: FormHash) -> Bytes {
    let mut all = fields.to_vec();
    for (name, value) in [("vads_site_id", SHOP), ("vads_ctx_mode", "TEST")] {
        if !fields.iter().any(|(given, _)| *given == name) {
            all.push((name, value));
        }
    }
    let signature = signature::form(all.iter().copied(), &Secret::new(key), hash);
    all.push(("signature", &signature));
    encode(&all)
}

pub(crate) fn signed_rest(text: &str, password: &str) -> Bytes {
    rest_with(text, "password", &signature::rest(text, &Secret::new(password)))
}

pub(crate) fn rest_with(text: &str, hash_key: &str, hash: &str) -> Bytes {
    encode(&[("kr-hash", hash), ("kr-hash-key", hash_key), ("kr-answer", text)])
}

pub(crate) fn encode(fields: &[(&str, &str)]) -> Bytes {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
        .into()
}

/// A signed text from a public source, with the key that signed it.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) body: Bytes,
    pub(crate) expected_status: u64,
    /// Knows the key that signed, for the shop and mode that the text names if it names one of 8 digits.
    pub(crate) keyring: Keyring,
}

/// All of tests/data/notifications.
pub(crate) fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/notifications");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut vectors: Vec<_> = files.map(|file| vector(&file)).collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

pub(crate) fn vector_named(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap()
}

fn vector(file: &Path) -> Vector {
    let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let text = |field: &str| json[field].as_str().unwrap().to_owned();
    let body = Bytes::from(text("body_urlencoded"));
    let content = Content::decode(&body).unwrap();
    let mode = match &content {
        Content::Form(form) => Mode::from_word(form.value("vads_ctx_mode").unwrap()).unwrap(),
        Content::Rest(rest) => rest.mode().unwrap().unwrap(),
    };
    let keys = content.named_shop().map(|shop| {
        let mut keys = shop_keys(shop.as_str(), mode, &text("key"), &text("key"));
        keys.form_hashes = vec![FormHash::HmacSha256, FormHash::Sha1];
        keys
    });
    Vector {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        body,
        expected_status: json["expected_status"].as_u64().unwrap(),
        keyring: Keyring::new(keys.into_iter().collect()),
    }
}
