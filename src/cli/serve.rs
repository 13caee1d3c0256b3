use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::check::{self, CONFIGURATION_ERROR};
use super::systemd;
use crate::admin::{Reload, Who};
use crate::app::{App, Control};
use crate::config;
use crate::domain::{Clock, SystemClock};

/// Runs the daemon in the foreground, until SIGTERM or SIGINT.
///
/// Exit codes: 0 stopped, 1 it could not start or had to end, 78 the configuration has errors.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// How the log is written, on the standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as `info,ipn_router::deliver=debug`.
    #[arg(long, env = "IPN_ROUTER_LOG", default_value = "info")]
    log: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    start_log(options)?;
    // While there is one thread: it changes the environment.
    let passed = systemd::listener().context("cannot use the socket that systemd has passed")?;
    let loaded = match config::load(file) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            check::print(&diagnostics, io::stderr().is_terminal(), &mut io::stderr().lock())?;
            return Ok(ExitCode::from(CONFIGURATION_ERROR));
        }
    };
    for diagnostic in &loaded.diagnostics {
        tracing::warn!(code = diagnostic.code.0, "{}", diagnostic.to_line());
    }
    let listen = loaded.config.receiver.listen;
    let path = loaded.config.receiver.path.clone();
    let scheme = if loaded.config.receiver.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let (shops, destinations) = (loaded.shops, loaded.config.destinations.len());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let app = App::build(file.to_owned(), loaded, &clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let listener = listener(passed, listen).await?;
        let address = listener.local_addr().context("cannot listen")?;
        let shutdown = shutdown_signal()?;
        let listening =
            format!("listening on {scheme}://{address}{path} for {shops} shops with {destinations} destinations");
        tracing::info!(%address, path, shops, destinations, "{listening}");
        if let Some(address) = app.admin_address() {
            tracing::info!(%address, "the admin listener is at http://{address}");
        }
        reload_at_hangup(app.control())?;
        tokio::spawn(systemd::feed_watchdog(app.control()));
        systemd::ready(&listening);
        let shutdown = async {
            shutdown.await;
            systemd::stopping();
        };
        app.run(listener, shutdown).await?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// The socket that systemd holds for us, else one of our own.
async fn listener(passed: Option<std::net::TcpListener>, listen: SocketAddr) -> anyhow::Result<TcpListener> {
    let Some(passed) = passed else {
        return TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"));
    };
    let listener = TcpListener::from_std(passed).context("cannot use the socket that systemd has passed")?;
    let address = listener.local_addr().context("cannot listen")?;
    if address != listen {
        tracing::warn!(%address, "systemd's socket listens on {address}, and counts; `listen` in [receiver] says {listen}");
    }
    Ok(listener)
}

fn start_log(options: &Options) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&options.log).with_context(|| format!("cannot understand --log {}", options.log))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match options.log_format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
    }
    Ok(())
}

/// SIGTERM or SIGINT.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// `systemctl reload` sends SIGHUP.
fn reload_at_hangup(control: Control) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // The log says what came of it.
            drop(control.reload(Reload::default(), Who::Signal).await);
        }
    });
    Ok(())
}
