use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, Method, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::address;
use super::respond::ReceiveError;
use super::settings::Settings;

/// A request whose head has arrived.
#[derive(Debug)]
pub(super) struct Call<B = Incoming> {
    /// Who called, as far as that can be believed.
    pub(super) client: IpAddr,
    pub(super) request: Request<B>,
}

/// A request that has arrived whole and may be a notification.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) client: IpAddr,
    /// The header lines that are worth keeping.
    pub(super) headers: String,
    pub(super) body: Bytes,
}

/// Reads a request to its end, or refuses it as early as it can: address, method, path, type, size.
pub(super) async fn read_whole<B>(call: Call<B>, settings: &Settings) -> Result<Arrived, ReceiveError>
where
    B: Body<Error: Into<tower::BoxError>>,
{
    let (head, body) = call.request.into_parts();
    if !address::is_allowed(call.client, &settings.allow_from) {
        return Err(ReceiveError::Address);
    }
    if head.method != Method::POST {
        return Err(ReceiveError::Method);
    }
    if head.uri.path() != settings.path {
        return Err(ReceiveError::Path);
    }
    if !is_form(&head.headers) {
        return Err(ReceiveError::Type);
    }
    let limit = settings.max_body;
    // A length that is announced is believed at once, before a byte of the body is asked for.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReceiveError::TooLarge { limit });
    }
    let body = match timeout(settings.body_timeout, Limited::new(body, limit).collect()).await {
        Err(_elapsed) => return Err(ReceiveError::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(ReceiveError::TooLarge { limit }),
        Ok(Err(_)) => return Err(ReceiveError::CutShort),
        // A copy: what hyper gives is a part of its read buffer, which is several times as large, and which the body
        // would keep as long as it is kept itself.
        Ok(Ok(body)) => Bytes::copy_from_slice(&body.to_bytes()),
    };
    Ok(Arrived {
        client: call.client,
        headers: lines_to_keep(&head.headers),
        body,
    })
}

/// Whether the body is a form in UTF-8, not compressed: then its bytes are what was signed.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(one) = one.to_str() else { return false };
    let mut parts = one.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            // Not the registered name, but what some write.
            let name = value.trim().trim_matches('"');
            ["utf-8", "utf8"].iter().any(|utf8| name.eq_ignore_ascii_case(utf8))
        }
        Some(_) | None => true,
    });
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && utf8
        && headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The header lines that are stored with a notification: not what lets somebody in somewhere, and not what belongs to
/// the connection alone.
fn lines_to_keep(headers: &HeaderMap) -> String {
    const LEFT_OUT: [HeaderName; 9] = [
        AUTHORIZATION,
        CONNECTION,
        COOKIE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let of_the_connection: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .chain(["keep-alive".to_owned(), "proxy-connection".to_owned()])
        .collect();
    let kept = headers
        .iter()
        .filter(|(name, _)| !LEFT_OUT.contains(name) && !of_the_connection.iter().any(|other| other == name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    kept.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http::HeaderValue;
    use http_body_util::{Empty, Full};
    use hyper::body::Frame;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            })
    }

    #[test]
    fn only_forms_in_utf8_are_read() {
        for read in [
            FORM,
            "Application/X-WWW-Form-Urlencoded",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=\"utf-8\" ; boundary=x",
            "application/x-www-form-urlencoded; charset=utf8",
        ] {
            assert!(is_form(&headers(&[("content-type", read)])), "{read}");
        }
        for other in [
            "",
            "application/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=ISO-8859-1",
            "application/x-www-form-urlencoded2",
        ] {
            assert!(!is_form(&headers(&[("content-type", other)])), "{other}");
        }
        assert!(!is_form(&HeaderMap::new()));
        assert!(!is_form(&headers(&[("content-type", FORM), ("content-type", FORM)])));
        assert!(!is_form(&headers(&[
            ("content-type", FORM),
            ("content-encoding", "gzip")
        ])));
    }

    #[test]
    fn credentials_and_lines_of_the_connection_are_not_kept() {
        let headers = headers(&[
            ("host", "ipn.example.com"),
            ("authorization", "Basic x"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic y"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.2"),
        ]);
        assert_eq!(
            lines_to_keep(&headers),
            "host: ipn.example.com\nx-forwarded-for: 192.0.2.1\nx-forwarded-for: 192.0.2.2"
        );
    }

    async fn refused<B>(request: Request<B>) -> &'static str
    where
        B: Body<Error: Into<tower::BoxError>>,
    {
        let settings = Settings {
            max_body: 8,
            allow_from: vec!["192.0.2.0/24".parse().unwrap()],
            ..Settings::default()
        };
        let client = match request.headers().contains_key("x-stranger") {
            true => [198, 51, 100, 1],
            false => [192, 0, 2, 1],
        };
        let call = Call {
            client: client.into(),
            request,
        };
        match read_whole(call, &settings).await {
            Ok(_) => "read",
            Err(error) => error.word_and_status().0,
        }
    }

    #[tokio::test]
    async fn the_first_reason_in_order_counts() {
        let request = || Request::post("/ipn?a=b").header("content-type", FORM);
        let full = |length| Full::<Bytes>::from(vec![b'a'; length]);
        assert_eq!(refused(request().body(full(8)).unwrap()).await, "read");
        assert_eq!(refused(request().body(full(9)).unwrap()).await, "KO-too-large");
        assert_eq!(refused(Request::post("/ipn").body(full(9)).unwrap()).await, "KO-type");
        assert_eq!(refused(Request::post("/ipn/").body(full(9)).unwrap()).await, "KO-path");
        let get = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(refused(get).await, "KO-method");
        let get = Request::get("/").header("x-stranger", "1").body(full(9)).unwrap();
        assert_eq!(refused(get).await, "KO-address");
    }

    /// A body of which nothing ever comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let request = Request::post("/ipn").header("content-type", FORM).body(Never).unwrap();
        assert_eq!(refused(request).await, "KO-too-slow");
    }
}
