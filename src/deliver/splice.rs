//! Re-signing: the smallest change to the gateway's own bytes that makes another shop's verifier accept them.
//!
//! Values are replaced where the reader of the notification found them, never by searching for them: order ids,
//! telephone numbers and metadata may hold the same digits as a shop id.

use std::ops::Range;

use bytes::Bytes;

use super::RenderError;
use crate::domain::{Secret, ShopId};
use crate::verify::{Field, FormContent, FormHash, Malformed, Object, RestContent, signature};

/// The form in `body` as if the gateway had notified `shop`.
///
/// Only the values of `vads_site_id` and `signature` change; `vads_hash`, which ties the notification to its
/// transaction, stays.
pub(super) fn form(
    body: &[u8],
    content: &FormContent,
    shop: ShopId,
    key: &Secret,
    hash: FormHash,
) -> Result<Bytes, RenderError> {
    let fields = content.fields().iter().map(|field| match field.name.as_str() {
        "vads_site_id" => ("vads_site_id", shop.as_str()),
        name => (name, field.value.as_str()),
    });
    let signature = signature::form(fields, key, hash);
    Ok(replace(
        body,
        [
            (field(content, "vads_site_id")?, shop.as_str()),
            (field(content, "signature")?, &signature),
        ],
    ))
}

/// The REST notification in `body` as if the gateway had notified `shop` instead of `origin`.
///
/// Within the signed text only the shop ids and the spelling of slashes change; around it only the signature.
pub(super) fn rest(
    body: &[u8],
    content: &RestContent,
    origin: ShopId,
    shop: ShopId,
    password: &Secret,
) -> Result<Bytes, RenderError> {
    let text = answer_for(content, origin, shop);
    let signature = signature::rest(&text, password);
    Ok(replace(
        body,
        [
            (field(content.outer(), "kr-answer")?, &text),
            (field(content.outer(), "kr-hash")?, &signature),
        ],
    ))
}

fn field<'a>(content: &'a FormContent, name: &'static str) -> Result<&'a Field, RenderError> {
    content
        .field(name)
        .ok_or(RenderError::Unreadable(Malformed::Missing(name)))
}

/// Writes two values into a body, encoded; every other byte stays.
fn replace(body: &[u8], mut values: [(&Field, &str); 2]) -> Bytes {
    values.sort_unstable_by_key(|(field, _)| field.raw_value.start);
    let mut spliced = Vec::with_capacity(body.len() + 64);
    let mut done = 0;
    for (field, value) in values {
        let Range { start, end } = field.raw_value;
        spliced.extend_from_slice(&body[done..start]);
        for piece in form_urlencoded::byte_serialize(value.as_bytes()) {
            spliced.extend_from_slice(piece.as_bytes());
        }
        done = end;
    }
    spliced.extend_from_slice(&body[done..]);
    spliced.into()
}

/// The text of a `kr-answer` with `shop` at `$.shopId` and `$.transactions[*].shopId`, where `origin` stood.
fn answer_for(content: &RestContent, origin: ShopId, shop: ShopId) -> String {
    let text = content.text();
    let names_origin = |value: &Range<usize>| {
        serde_json::from_str::<String>(&text[value.clone()]).is_ok_and(|id| id == origin.as_str())
    };
    let mut places: Vec<_> = content
        .members()
        .iter()
        .filter(|m| m.key == "shopId" && matches!(m.object, Object::Top | Object::Transaction(_)))
        .map(|m| m.value.clone())
        .filter(names_origin)
        .collect();
    places.sort_unstable_by_key(|value| value.start);

    let mut spliced = String::with_capacity(text.len());
    let mut done = 0;
    for Range { start, end } in places {
        push_with_plain_slashes(&mut spliced, &text[done..start]);
        spliced.extend(["\"", shop.as_str(), "\""]);
        done = end;
    }
    push_with_plain_slashes(&mut spliced, &text[done..]);
    spliced
}

/// Appends JSON so that `\/` is nowhere in it, without changing what it says.
///
/// The gateway's libraries turn `\/` into `/` before they check a signature, others do not (protocol.md 3.2). A text
/// without it is the same to both. A slash after an escaped backslash looks like `\/` too, hence `\u002f`.
fn push_with_plain_slashes(out: &mut String, json: &str) {
    let mut rest = json;
    while let Some((before, from_escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
        out.push_str(before);
        if let Some(after) = from_escape.strip_prefix("\\/") {
            out.push('/');
            rest = after;
        } else if let Some(after) = from_escape.strip_prefix("\\\\") {
            out.push_str("\\\\");
            rest = after;
            if let Some(after) = rest.strip_prefix('/').or_else(|| rest.strip_prefix("\\/")) {
                out.push_str("\\u002f");
                rest = after;
            }
        } else {
            // The other escapes are a backslash and a letter.
            out.push('\\');
            rest = &from_escape[1..];
        }
    }
    out.push_str(rest);
}
