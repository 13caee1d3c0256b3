use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// Its name says what is in it.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const FOR_A_DAY: &str = "private, max-age=86400";

static STYLE_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::digest(STYLE);
    format!("style-{}.css", hex::encode(&hash[..4]))
});

pub(super) fn style_name() -> &'static str {
    &STYLE_NAME
}

pub(super) async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, FOR_EVER)];
    (headers, STYLE)
}

pub(super) async fn icon() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, FOR_A_DAY)];
    (headers, ICON)
}
