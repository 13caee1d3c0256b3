use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use tower::BoxError;
use tower::load_shed::error::Overloaded;

use crate::domain::NotificationId;
use crate::outbox::OutboxError;
use crate::verify::VerifyError;

/// For the gateway it is one of its marks, every 15 minutes, or never (protocol.md 5.1); others may come sooner.
const RETRY_AFTER_SECONDS: &str = "60";

/// Where a notification stands that is on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    /// On its way; the answer was held until the named shop had it, or for as long as that may take.
    Awaited(NotificationId),
    /// Since an earlier call.
    Duplicate(NotificationId),
    /// With nowhere to go by itself.
    Parked(NotificationId),
    /// On its way.
    Stored(NotificationId),
}

/// Why a request ended with nothing stored, or perhaps nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("this address may not call")]
    Address,
    #[error("too many requests at once")]
    Busy,
    #[error("the body ended early")]
    CutShort,
    #[error("only POST is answered")]
    Method,
    #[error("no notifications are received at this path")]
    Path,
    /// Signed with a form key, but too many of them: somebody may be trying (design.md 5).
    #[error("too many texts without vads_hash within an hour")]
    QuarantineFull,
    #[error("the notification could not be stored")]
    Store(#[source] OutboxError),
    #[error("storing takes too long")]
    TimedOut,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the request was not complete in time")]
    TooSlow,
    #[error("only application/x-www-form-urlencoded in UTF-8 is read")]
    Type,
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl ReceiveError {
    /// The first word of the answer, and its status.
    pub(super) fn word_and_status(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Address => ("KO-address", StatusCode::FORBIDDEN),
            Self::Busy | Self::QuarantineFull => ("KO-busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::CutShort => ("KO-malformed", StatusCode::BAD_REQUEST),
            Self::Method => ("KO-method", StatusCode::METHOD_NOT_ALLOWED),
            Self::Path => ("KO-path", StatusCode::NOT_FOUND),
            Self::Store(_) | Self::TimedOut => ("KO-not-stored", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooLarge { .. } => ("KO-too-large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::TooSlow => ("KO-too-slow", StatusCode::REQUEST_TIMEOUT),
            Self::Type => ("KO-type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Verify(VerifyError::Malformed(_)) => ("KO-malformed", StatusCode::BAD_REQUEST),
            Self::Verify(VerifyError::NotANotification { .. }) => ("KO-not-a-notification", StatusCode::FORBIDDEN),
            Self::Verify(VerifyError::SignatureMismatch { .. }) => ("KO-signature", StatusCode::FORBIDDEN),
            Self::Verify(VerifyError::UnknownShop { .. }) => ("KO-unknown-shop", StatusCode::FORBIDDEN),
            Self::Verify(VerifyError::WrongMode { .. }) => ("KO-mode", StatusCode::FORBIDDEN),
        }
    }
}

/// The layers of the stack hand their errors on in a box.
impl From<BoxError> for ReceiveError {
    fn from(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => *ours,
            Err(other) if other.is::<Overloaded>() => Self::Busy,
            // What is left is the time-out layer's `Elapsed`.
            Err(_) => Self::TimedOut,
        }
    }
}

/// The only place where an outcome becomes an answer: plain ASCII text, the useful words first, for the gateway shows
/// an operator the first 200 bytes (protocol.md 4). With its first word, to count by.
///
/// Never a redirect, which the gateway takes for success, and 2xx only for what is on disk.
pub(super) fn respond(outcome: &Result<Kept, ReceiveError>) -> (&'static str, Response<Full<Bytes>>) {
    let (word, status, rest) = match outcome {
        Ok(Kept::Duplicate(first)) => ("OK-duplicate", StatusCode::OK, first.to_string()),
        Ok(Kept::Parked(id)) => ("OK-parked", StatusCode::OK, id.to_string()),
        Ok(Kept::Awaited(id) | Kept::Stored(id)) => ("OK-stored", StatusCode::OK, id.to_string()),
        Err(error) => {
            let (word, status) = error.word_and_status();
            (word, status, error.to_string())
        }
    };
    let mut response = Response::new(Full::from(format!("{word} {rest}")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    match status {
        StatusCode::METHOD_NOT_ALLOWED => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        StatusCode::SERVICE_UNAVAILABLE => headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS)),
        _ => None,
    };
    (word, response)
}

/// The answer to a request whose head does not end: the HTTP library gives such a connection up without a word.
pub(super) fn too_slow_on_the_wire() -> (&'static str, String) {
    let error = ReceiveError::TooSlow;
    let (word, status) = error.word_and_status();
    let text = format!("{word} {error}");
    let length = text.len();
    let on_the_wire = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
    (word, on_the_wire)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::domain::{Format, Mode};
    use crate::metrics::ANSWERS;
    use crate::verify::{FormHash, Malformed, MismatchHint};

    /// Status and text.
    async fn answer(outcome: Result<Kept, ReceiveError>) -> (u16, String) {
        let (word, response) = respond(&outcome);
        let status = response.status().as_u16();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain");
        assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        assert_eq!(response.headers().contains_key(ALLOW), status == 405);
        let body = response.into_body().collect().await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        assert!(text.is_ascii() && text.len() <= 200, "{text}");
        assert_eq!(text.split(' ').next(), Some(word));
        assert!(ANSWERS.contains(&word), "{word} is not counted from 0");
        (status, text)
    }

    #[tokio::test]
    async fn what_is_on_disk_is_answered_with_200_and_its_id() {
        let id: NotificationId = "019a1b2c-0000-7000-8000-000000000000".parse().unwrap();
        for (kept, text) in [
            (Kept::Awaited(id), "OK-stored 019a1b2c-0000-7000-8000-000000000000"),
            (Kept::Stored(id), "OK-stored 019a1b2c-0000-7000-8000-000000000000"),
            (Kept::Duplicate(id), "OK-duplicate 019a1b2c-0000-7000-8000-000000000000"),
            (Kept::Parked(id), "OK-parked 019a1b2c-0000-7000-8000-000000000000"),
        ] {
            assert_eq!(answer(Ok(kept)).await, (200, text.to_owned()));
        }
    }

    #[tokio::test]
    async fn each_error_has_its_status_and_its_word_first() {
        let shop = "12345678".parse().unwrap();
        let (mode, format) = (Mode::Test, Format::Form);
        let store = |why| ReceiveError::Store(why);
        let mismatch = |hint| VerifyError::SignatureMismatch {
            shop: Some(shop),
            mode: Some(mode),
            format,
            hint,
        };
        let errors: Vec<(ReceiveError, u16, &str)> = vec![
            (ReceiveError::Address, 403, "KO-address this"),
            (ReceiveError::Busy, 503, "KO-busy too many"),
            (ReceiveError::CutShort, 400, "KO-malformed the body"),
            (ReceiveError::Method, 405, "KO-method only POST"),
            (ReceiveError::Path, 404, "KO-path no"),
            (
                ReceiveError::QuarantineFull,
                503,
                "KO-busy too many texts without vads_hash",
            ),
            (store(OutboxError::Busy), 503, "KO-not-stored"),
            (store(OutboxError::Full), 503, "KO-not-stored"),
            (
                store(OutboxError::Failed("/var/lib secret".into())),
                503,
                "KO-not-stored the notification",
            ),
            (ReceiveError::TimedOut, 503, "KO-not-stored storing"),
            (
                ReceiveError::TooLarge { limit: 9 },
                413,
                "KO-too-large the body is larger than 9 bytes",
            ),
            (ReceiveError::TooSlow, 408, "KO-too-slow the request"),
            (
                ReceiveError::Type,
                415,
                "KO-type only application/x-www-form-urlencoded",
            ),
            (
                VerifyError::from(Malformed::RepeatedField).into(),
                400,
                "KO-malformed the same field twice",
            ),
            (
                VerifyError::NotANotification {
                    shop,
                    mode,
                    found: "vads_result",
                }
                .into(),
                403,
                "KO-not-a-notification vads_hash is missing",
            ),
            (
                mismatch(MismatchHint::OtherHash { is: FormHash::Sha1 }).into(),
                403,
                "KO-signature is SHA-1, this shop expects HMAC-SHA-256",
            ),
            (
                VerifyError::UnknownShop {
                    shop: Some("99".into()),
                    mode: Some(mode),
                    format,
                    known: false,
                }
                .into(),
                403,
                "KO-unknown-shop 99 ",
            ),
            (
                VerifyError::WrongMode {
                    shop,
                    format,
                    written: mode,
                    matched: mode.other(),
                }
                .into(),
                403,
                "KO-mode matches the PRODUCTION key, but the notification says TEST",
            ),
        ];
        for (error, status, start) in errors {
            let (got, text) = answer(Err(error)).await;
            assert_eq!(got, status, "{text}");
            assert!(text.starts_with(start), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn errors_of_the_layers_are_read_back() {
        let read = |error: BoxError| ReceiveError::from(error).word_and_status().0;
        assert_eq!(read(Box::new(ReceiveError::Path)), "KO-path");
        assert_eq!(read(Box::new(Overloaded::new())), "KO-busy");
        assert_eq!(read(Box::new(tower::timeout::error::Elapsed::new())), "KO-not-stored");
    }
}
