use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use super::address;
use super::request::Call;
use super::respond::too_slow_on_the_wire;
use super::settings::Settings;
use super::stack::Stack;

/// Largest head of a request; the gateway's are far smaller.
const MAX_HEAD: usize = 16 * 1024;
/// For a client to take some of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may go on sending after its answer.
const LINGER: Duration = Duration::from_secs(1);
/// How long a stop waits for the first request of a client that has connected: it may be on its way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// One client's connection, from its first byte to the last.
pub(super) struct Connection {
    pub(super) peer: IpAddr,
    pub(super) settings: Arc<Settings>,
    pub(super) stack: Stack,
    /// Closed when the server stops.
    pub(super) stopping: watch::Receiver<()>,
}

impl Connection {
    /// Answers requests until the client leaves, a time is over, or the server stops.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let Self {
            peer,
            settings,
            stack,
            mut stopping,
        } = self;
        let header_timeout = settings.header_timeout;
        let counts = stack.counts().clone();
        let mut stream = TimeoutStream::new(stream);
        // Whoever asks and does not read the answers would keep them in memory, and a stop waiting.
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let mut stream = pin!(stream);
        let (begin, mut begun) = watch::channel(false);
        let service = service_fn(move |request| {
            begin.send_replace(true);
            let client = address::client(peer, request.headers(), &settings.trusted_proxies);
            let answer = stack.clone().answer(Call { client, request });
            Box::pin(async move { Ok::<_, Infallible>(answer.await) })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream.as_mut()), service);
        let ended = tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
            () = stop(&mut stopping, &mut begun) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|context| connection.poll_without_shutdown(context)).await
            }
        };
        let parts = connection.into_parts();
        // A head that began and does not end gets an answer; a connection that only idles is closed in silence.
        let slow_head = ended.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty();
        let last_words = if slow_head {
            let (word, text) = too_slow_on_the_wire();
            counts.answered(word);
            text
        } else {
            String::new()
        };
        close(parts.io.into_inner(), last_words.as_bytes()).await;
    }
}

/// Waits until the server stops, and then for the first request, a moment: closing between the two would refuse a client
/// that was let in.
async fn stop(stopping: &mut watch::Receiver<()>, begun: &mut watch::Receiver<bool>) {
    stopping.changed().await.ok();
    timeout(FIRST_REQUEST, begun.wait_for(|begun| *begun)).await.ok();
}

/// Ends a connection so that the client can read its answer: bytes that nobody read would make the system reset the
/// connection, and the client might lose the answer for that.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, last_words: &[u8]) {
    let closing = async {
        stream.write_all(last_words).await?;
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    // The client may have gone already: then there is nobody left to tell.
    drop(timeout(LINGER, closing).await);
}
