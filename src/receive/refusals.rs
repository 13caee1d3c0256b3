use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Refusals that are remembered.
const REMEMBERED: usize = 100;
/// Fields of a body that are told; nobody needs more to recognise it.
const TOLD_FIELDS: usize = 200;

/// A call that was refused, so that the admin can see why the gateway's calls fail. It holds no value of the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub at: Timestamp,
    pub client: IpAddr,
    /// `KO-signature`, …
    pub cause: &'static str,
    /// The most likely reason.
    pub hint: String,
    /// `None` if the body was not read.
    pub body: Option<BodyShape>,
}

/// What a body looks like, without what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BodyShape {
    /// Lower-case hex; the same body sent again is recognised by it.
    pub sha256: String,
    pub size: usize,
    /// Name and size of each value, as received; a name that is none of the gateway's is left out.
    pub fields: Vec<(Option<String>, usize)>,
}

impl BodyShape {
    /// The shape of these bytes, whatever they are.
    pub(super) fn of(body: &[u8]) -> Self {
        let fields = body
            .split(|&b| b == b'&')
            .filter(|field| !field.is_empty())
            .take(TOLD_FIELDS)
            .map(|field| {
                let equals = field.iter().position(|&b| b == b'=').unwrap_or(field.len());
                (gateway_name(&field[..equals]), field.len().saturating_sub(equals + 1))
            })
            .collect();
        Self {
            sha256: hex::encode(Sha256::digest(body)),
            size: body.len(),
            fields,
        }
    }
}

/// A name as the gateway gives them; anything else could be a value in the wrong place.
fn gateway_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let known = name == "signature" || name.starts_with("vads_") || name.starts_with("kr-");
    (known && name.len() <= 64 && name.bytes().all(plain)).then(|| name.to_owned())
}

/// The last refusals, in memory only: strangers cause them, and they are not worth a disk write.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<VecDeque<Refusal>>);

impl Refusals {
    pub(super) fn note(&self, refusal: Refusal) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back(refusal);
    }

    /// Newest first.
    pub(super) fn last(&self) -> Vec<Refusal> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_are_remembered_newest_first() {
        let refusals = Refusals::default();
        for second in 0..150 {
            refusals.note(Refusal {
                at: Timestamp::from_second(second).unwrap(),
                client: [192, 0, 2, 1].into(),
                cause: "KO-path",
                hint: String::new(),
                body: None,
            });
        }
        let seconds: Vec<_> = refusals.last().iter().map(|refusal| refusal.at.as_second()).collect();
        assert_eq!(seconds, (50..150).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_shape_has_names_and_sizes_but_no_values() {
        let shape =
            BodyShape::of(b"vads_cust_name=Marie&signature=ab%2B&&kr-hash&marie@example.com=1&{\"pan\":\"4970\"}");
        assert_eq!(
            shape.fields,
            [
                (Some("vads_cust_name".to_owned()), 5),
                (Some("signature".to_owned()), 5),
                (Some("kr-hash".to_owned()), 0),
                (None, 1),
                (None, 0),
            ]
        );
        assert!(!format!("{shape:?}").contains("arie"));
        assert_eq!(BodyShape::of(b"").sha256, hex::encode(Sha256::digest(b"")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_shape(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let shape = BodyShape::of(&body);
            proptest::prop_assert_eq!(shape.size, body.len());
            proptest::prop_assert!(shape.fields.iter().map(|(_, size)| size).sum::<usize>() <= body.len());
        }
    }
}
