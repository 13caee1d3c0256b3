//! Speaks to the daemon that runs, through its socket.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::config;

/// The daemon of one configuration.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

/// Nobody answers at the socket.
#[derive(Debug, thiserror::Error)]
#[error("no daemon answers at {0}; is it running? (systemctl status ipn-router)")]
pub(super) struct NotRunning(PathBuf);

impl Daemon {
    /// Finds out where it answers, also if the file has mistakes: then all the more somebody wants to ask it.
    pub(super) fn of(file: &Path) -> anyhow::Result<Self> {
        let socket = config::socket(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { socket })
    }

    /// Asks it for something; [`NotRunning`] if there is none.
    pub(super) fn ask<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> anyhow::Result<A> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(self.post(path, serde_json::to_vec(question)?))?;
        serde_json::from_slice(&answer).context("the daemon's answer is of another version")
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let socket = self.socket.display();
        let stream = match UnixStream::connect(&self.socket).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                bail!("{socket} is for root, and for the user and the group that the daemon runs as (try sudo)")
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Err(NotRunning(self.socket.clone()).into());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot connect to {socket}")),
        };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::post(path)
            .header("host", "ipn-router")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.context("the daemon has hung up")?;
        let status = response.status();
        let answer = response
            .into_body()
            .collect()
            .await
            .context("the daemon has hung up")?
            .to_bytes();
        if status != StatusCode::OK {
            bail!("the daemon refuses: {status} {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }
}
