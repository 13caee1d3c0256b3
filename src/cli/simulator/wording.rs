use crate::domain::{Format, Kind};

/// How a format tells a kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wording {
    /// What the receiver will call it: the kind itself, or the nearest that the format has.
    pub kind: Kind,
    /// What to know about it, if it is not simply so.
    pub remark: Option<&'static str>,
}

/// A format has no words for a kind, nor for one that comes near.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Unsayable {
    reason: &'static str,
}

/// Returns how a format tells a kind.
///
/// # Errors
///
/// [`Unsayable`] if nothing in this format comes near.
pub fn wording(kind: Kind, format: Format) -> Result<Wording, Unsayable> {
    let said_as = |kind, remark| {
        Ok(Wording {
            kind,
            remark: Some(remark),
        })
    };
    match (kind, format) {
        (Kind::SubscriptionCreated, Format::Rest) => Err(Unsayable {
            reason: "nothing in the REST format tells that a subscription was created; use --format form",
        }),
        (Kind::TokenCancelled, Format::Form) => said_as(
            kind,
            "assumed form: no document shows a cancellation; vads_identifier_status is CANCELLED, no transaction",
        ),
        (Kind::TokenCancelled, Format::Rest) => said_as(
            Kind::TokenOther,
            "assumed form: REST has no word for a cancellation; sent as token.other, a token and no transaction",
        ),
        (Kind::TokenCreated | Kind::TokenUpdated, Format::Rest) => said_as(
            Kind::TokenSaved,
            "REST does not tell a created token from an updated one; sent as token.saved",
        ),
        (Kind::TokenOther, _) => said_as(
            kind,
            "assumed form: a token and no transaction; perhaps a cancellation looks so",
        ),
        (Kind::TokenSaved, Format::Form) => said_as(
            Kind::TokenCreated,
            "the form format says whether a token was created or updated; sent as token.created",
        ),
        _ => Ok(Wording { kind, remark: None }),
    }
}
