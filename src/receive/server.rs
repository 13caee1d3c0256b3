use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::handler::Intake;
use super::settings::Settings;
use super::stack::Stack;
use super::tls::{self, TlsError};
use crate::metrics::Receiving;

/// When no connection can be accepted (mostly: too many open files), the next try waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The server that the gateway calls.
pub struct Receiver {
    settings: Arc<Settings>,
    stack: Stack,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Sets up everything that can fail, before anything is listened to.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the files of its TLS cannot be used.
    pub fn new(settings: Settings, intake: &Arc<Intake>) -> Result<Self, TlsError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let settings = Arc::new(settings);
        Ok(Self {
            stack: Stack::new(&settings, intake),
            settings,
            tls,
        })
    }

    /// Counts how requests are answered.
    pub fn counts(&self) -> &Receiving {
        self.stack.counts()
    }

    /// Answers until `shutdown` ends; then takes no new connection, finishes the requests in hand, and returns.
    ///
    /// That is bounded: what is still open after the time that one request may take is dropped.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        connections.spawn(self.connect(stream, peer.ip(), stopping.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection: {error}");
                        sleep(ACCEPT_AGAIN).await;
                    }
                },
                // Only to forget those that have ended.
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        drop(stop);
        let in_hand = connections.len();
        let bound = self.settings.header_timeout + self.settings.body_timeout + self.settings.answer_timeout;
        if timeout(bound, async { while connections.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!(connections = connections.len(), "stops receiving with requests in hand");
        } else {
            tracing::info!(connections = in_hand, "has stopped receiving");
        }
    }

    fn connect(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        stopping: watch::Receiver<()>,
    ) -> impl Future<Output = ()> + use<> {
        let connection = Connection {
            peer,
            settings: Arc::clone(&self.settings),
            stack: self.stack.clone(),
            stopping,
        };
        let tls = self.tls.clone();
        async move {
            // An answer is one small packet: it should not wait for a second one.
            drop(stream.set_nodelay(true));
            let Some(tls) = tls else {
                return connection.serve(stream).await;
            };
            let limit = connection.settings.header_timeout;
            match timeout(limit, tls.accept(stream)).await {
                Ok(Ok(stream)) => connection.serve(stream).await,
                Ok(Err(error)) => {
                    tracing::debug!(client.address = %peer, %error, "TLS handshake with {peer} failed: {error}")
                }
                Err(_elapsed) => tracing::debug!(client.address = %peer, "TLS handshake with {peer} took too long"),
            }
        }
    }
}
