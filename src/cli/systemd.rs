//! What systemd gives a service and is told by it (sd_listen_fds(3), sd_notify(3)); nothing, if somebody else has
//! started the program.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::app::Control;

/// The receiver's socket, if a socket unit holds it: it outlives this process, so that an upgrade refuses no connection.
///
/// # Errors
///
/// What was passed is no TCP socket that listens, or more than one.
pub(super) fn listener() -> io::Result<Option<TcpListener>> {
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        return Err(io::Error::other(format!(
            "{} sockets were passed; the receiver has one",
            passed.len()
        )));
    }
    let listener = passed.take_tcp_listener(0)?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true)?;
    }
    Ok(listener)
}

/// Everything is built and listened to.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What is in hand ends.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Reports twice in each period of the unit's watchdog that the daemon does its work: that the store takes writes.
///
/// A store that refuses them says so itself, and a restart heals nothing; one that never answers is what a restart may
/// heal.
pub(super) async fn feed_watchdog(control: Control) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        control.store_answers().await;
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(period / 2).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell systemd: {error}");
    }
}
