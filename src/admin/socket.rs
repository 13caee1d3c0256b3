use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::api::{Parts, Who, router};

/// Its owner and its group.
const MODE: u32 = 0o660;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("something else than a socket is at {0}")]
    Occupied(PathBuf),
    #[error("another daemon listens at {0}")]
    Taken(PathBuf),
    #[error("{0}")]
    Unusable(PathBuf, #[source] io::Error),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    user: u32,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // Without credentials it is nobody that the log could name.
        let user = stream.io().peer_cred().map_or(u32::MAX, |peer| peer.uid());
        Self { user }
    }
}

async fn say_who(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request) -> Request {
    request.extensions_mut().insert(Who::Command { user: peer.user });
    request
}

/// Answers commands.
#[derive(Debug)]
pub struct Admin {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
    parts: Parts,
}

impl Admin {
    /// Makes the socket; what a daemon that was killed has left there is replaced.
    ///
    /// # Errors
    ///
    /// [`SocketError`]: somebody else has it, or it cannot be made.
    pub fn bind(path: &Path, parts: Parts) -> Result<Self, SocketError> {
        let unusable = |error| SocketError::Unusable(path.to_owned(), error);
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(SocketError::Occupied(path.to_owned())),
            Ok(_) if Probe::connect(path).is_ok() => return Err(SocketError::Taken(path.to_owned())),
            Ok(_) => fs::remove_file(path).map_err(unusable)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(unusable)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            parts,
        })
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let app = router(self.parts)
            .layer(map_request(say_who))
            .into_make_service_with_connect_info::<Peer>();
        let served = match UnixListener::from_std(self.listener) {
            Ok(listener) => axum::serve(listener, app).with_graceful_shutdown(stop).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::error!(%error, "commands are not answered any more: {error}");
        }
        // So that a command finds nobody instead of nothing.
        fs::remove_file(&self.path).ok();
    }
}
