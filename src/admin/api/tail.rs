//! What arrives, line by line, while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::{Parts, Refusal, Refusals};
use crate::outbox::NotificationLine;

/// Lines of JSON, one for each notification that is stored from now on.
pub const TAIL: &str = "/v1/tail";

/// Asking costs a look at the end of an index.
const EVERY: Duration = Duration::from_millis(500);
/// In a flood the rest comes with the next look, which then does not wait.
const AT_ONCE: u32 = 500;
/// Lines that a slow reader may leave unread.
const BEHIND: usize = 16;

/// What is stored from now on: a line of JSON for each notification, and an empty one now and then. It does not end.
#[utoipa::path(get, path = "/v1/tail", responses(
    (status = OK, body = NotificationLine, content_type = "application/x-ndjson"),
    Refusals,
))]
pub(super) async fn tail(State(parts): State<Arc<Parts>>) -> Result<impl IntoResponse, Refusal> {
    let newest = parts.outbox.stored_after(None, 1).await?;
    let from = newest.first().map_or(0, |newest| newest.key);
    let (lines, body) = Channel::<Bytes>::new(BEHIND);
    tokio::spawn(follow(parts, from, lines));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body)))
}

/// Until nobody reads any more, or the daemon stops.
async fn follow(parts: Arc<Parts>, mut last: i64, mut lines: Sender<Bytes>) {
    loop {
        let Ok(found) = parts.outbox.stored_after(Some(last), AT_ONCE).await else {
            return;
        };
        let is_flood = u32::try_from(found.len()).is_ok_and(|found| found == AT_ONCE);
        let mut text = Vec::new();
        for notification in found {
            last = notification.key;
            if serde_json::to_writer(&mut text, &notification).is_ok() {
                text.push(b'\n');
            }
        }
        // An empty line shows that the connection lives, and that a reader who has left is gone.
        if text.is_empty() {
            text.push(b'\n');
        }
        if lines.send_data(Bytes::from(text)).await.is_err() {
            return;
        }
        if !is_flood {
            tokio::select! {
                // Nobody answers questions any more: a stop would wait for us.
                () = parts.questions.closed() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}
