//! What happens, line by line, while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::{Parts, Refusals};
use crate::outbox::{Tail, TailLine};

/// Lines of JSON, one for each thing that happens from now on.
pub const TAIL: &str = "/v1/tail";

/// An empty line shows that the connection lives, and that a reader who has left is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Pieces that a slow reader may leave unread; then he misses what happens.
const UNREAD: usize = 16;

/// What happens from now on, a line of JSON each: notifications that are stored, attempts that end, deliveries that are
/// given up or cancelled; and an empty one now and then. It does not end.
#[utoipa::path(get, path = "/v1/tail", responses(
    (status = OK, body = TailLine, content_type = "application/x-ndjson"),
    Refusals,
))]
pub(super) async fn tail(State(parts): State<Arc<Parts>>) -> impl IntoResponse {
    let (lines, body) = Channel::<Bytes>::new(UNREAD);
    tokio::spawn(follow(parts.outbox.tail(), parts, lines));
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body))
}

/// Until nobody reads any more, or the daemon stops.
async fn follow(mut tail: Tail, parts: Arc<Parts>, mut lines: Sender<Bytes>) {
    // So that whoever looks on knows that he does.
    let mut text = vec![b'\n'];
    loop {
        tokio::select! {
            // Nobody answers questions any more: a stop would wait for us.
            () = parts.questions.closed() => return,
            sent = lines.send_data(Bytes::from(text)) => if sent.is_err() {
                return;
            },
        }
        let happened = tokio::select! {
            () = parts.questions.closed() => return,
            () = tokio::time::sleep(SIGN_OF_LIFE) => Vec::new(),
            happened = tail.next() => match happened {
                Ok(happened) => happened,
                Err(_) => return,
            },
        };
        text = Vec::new();
        for line in &happened {
            if serde_json::to_writer(&mut text, line).is_ok() {
                text.push(b'\n');
            }
        }
        if text.is_empty() {
            text.push(b'\n');
        }
    }
}
