//! `send`: notifications as the gateway sends them, or events as the daemon does.

mod daemon;
mod gateway;
mod options;
mod report;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::check::CONFIGURATION_ERROR;
use super::screen::Screen;
use super::simulator::{self, Occurrence, wording};
use crate::config::Loaded;
use crate::deliver::{Client, Connection, Rendered};
use crate::domain::{Clock, Kind, SystemClock};
use daemon::AsDaemon;
use gateway::AsGateway;
pub(super) use options::Options;
use options::Repeats;
use report::{Answered, Report};

/// Notifications on their way at once when a rate is asked for.
const IN_FLIGHT: u32 = 32;

pub(super) fn run(file: &Path, options: Options) -> anyhow::Result<ExitCode> {
    // Better said before anything is sent.
    let remark = wording(options.kind, options.format())?.remark;
    ensure!(
        options.kind != Kind::Other || options.token.is_none(),
        "with a token it is not of kind other, but token.other"
    );
    let loaded = if options.needs_configuration() {
        match super::load(file)? {
            Some(loaded) => Some(loaded),
            None => return Ok(ExitCode::from(CONFIGURATION_ERROR)),
        }
    } else {
        None
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let round = Arc::new(Round::new(options, loaded.as_ref(), clock)?);
    let mut report = Report::new(Screen::new(anstream::stdout()), round.options.wrong_signature);
    report.line(&round.headline())?;
    if let Some(remark) = remark {
        report.line(&format!("({remark})"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all_was_sent = runtime.block_on(round.send(&mut report))?;
    Ok(ExitCode::from(u8::from(!(all_was_sent && report.is_as_expected()))))
}

/// One call, ready to be made.
struct Call {
    /// Why, in a word.
    occasion: &'static str,
    rendered: Rendered,
}

enum Sender {
    Daemon(Box<AsDaemon>),
    Gateway(AsGateway),
}

impl Sender {
    fn description(&self) -> String {
        match self {
            Self::Daemon(daemon) => daemon.description(),
            Self::Gateway(gateway) => gateway.description(),
        }
    }

    fn calls(&self, occurrence: &Occurrence, repeats: Repeats, now: Timestamp) -> anyhow::Result<Vec<Call>> {
        match self {
            Self::Daemon(daemon) => daemon.calls(occurrence, repeats, now),
            Self::Gateway(gateway) => gateway.calls(occurrence, repeats, now),
        }
    }
}

/// Everything that was asked for, while it is being sent.
struct Round {
    options: Options,
    to: Url,
    sender: Sender,
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    begun: Instant,
    /// Notifications begun.
    count: AtomicU32,
}

impl Round {
    fn new(options: Options, loaded: Option<&Loaded>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let to = match (&options.to, loaded) {
            (Some(to), _) => to.clone(),
            (None, Some(loaded)) => own_receiver(loaded)?,
            (None, None) => bail!("--to is missing"),
        };
        let settings = simulator::settings(to.clone(), options.mode);
        let client = Client::new(&settings, Arc::clone(&clock)).with_context(|| format!("cannot send to {to}"))?;
        let sender = if options.sends_events() {
            Sender::Daemon(Box::new(AsDaemon::new(&options, settings)?))
        } else {
            Sender::Gateway(AsGateway::new(&options, loaded, to.clone())?)
        };
        Ok(Self {
            options,
            to,
            sender,
            client: Arc::new(client),
            clock,
            begun: Instant::now(),
            count: AtomicU32::new(0),
        })
    }

    fn headline(&self) -> String {
        format!("{}: {}, at {}", self.options.kind, self.sender.description(), self.to)
    }

    /// Sends everything and tells of each answer as it comes; returns false if Ctrl-C has ended it early.
    async fn send(self: Arc<Self>, report: &mut Report<impl Write>) -> anyhow::Result<bool> {
        let at_once = self.options.rate.map_or(1, |_| IN_FLIGHT.min(self.options.count));
        let (answers, mut answered) = mpsc::unbounded_channel();
        let mut working = JoinSet::new();
        for _ in 0..at_once {
            working.spawn(Arc::clone(&self).work(answers.clone()));
        }
        drop(answers);
        let all_was_sent = loop {
            tokio::select! {
                next = answered.recv() => match next {
                    Some(answered) => report.add(&answered)?,
                    None => break true,
                },
                _ = tokio::signal::ctrl_c() => break false,
            }
        };
        report.summary(self.begun.elapsed())?;
        while let Some(Ok(worked)) = working.try_join_next() {
            worked?;
        }
        Ok(all_was_sent)
    }

    /// Sends one notification after the other over one connection, until there are no more.
    async fn work(self: Arc<Self>, answers: mpsc::UnboundedSender<Answered>) -> anyhow::Result<()> {
        let mut connection = Connection::new(Arc::clone(&self.client));
        while let Some(number) = self.next().await {
            let now = self.clock.now();
            let occurrence = self.options.occurrence(now);
            for call in self.sender.calls(&occurrence, self.options.repeats(), now)? {
                let begun = Instant::now();
                let outcome = connection.attempt(call.rendered).await;
                let answered = Answered {
                    number,
                    occasion: call.occasion,
                    token: occurrence.token.clone(),
                    outcome,
                    took: begun.elapsed(),
                };
                if answers.send(answered).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The number of the next notification, from 1, once it is its turn; `None` after the last.
    async fn next(&self) -> Option<u32> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before >= self.options.count {
            return None;
        }
        if let Some(rate) = self.options.rate {
            sleep_until(self.begun + Duration::from_secs(1) * before / rate).await;
        }
        Some(before + 1)
    }
}

/// Where the configuration's receiver can be called from this machine.
fn own_receiver(loaded: &Loaded) -> anyhow::Result<Url> {
    let receiver = &loaded.config.receiver;
    let host = match receiver.listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    let address = SocketAddr::new(host, receiver.listen.port());
    let scheme = if receiver.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{address}{}", receiver.path).parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, File, Machine};

    fn receiver(toml: &str) -> String {
        let shop = "shops.12345678 = { name = \"Paris\", legal_entity = \"acme\" }\n\
                    legal_entities.acme = { name = \"ACME\" }\n";
        let file = File {
            path: "ipn-router.toml".into(),
            bytes: format!("{shop}{toml}").into(),
        };
        own_receiver(&config::parse(file, &Machine).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn own_receiver_is_called_on_this_machine() {
        assert_eq!(receiver(""), "http://127.0.0.1:8080/ipn");
        assert_eq!(
            receiver("[receiver]\nlisten = \"0.0.0.0:81\"\npath = \"/x\""),
            "http://127.0.0.1:81/x"
        );
        assert_eq!(receiver("[receiver]\nlisten = \"[::]:81\""), "http://[::1]:81/ipn");
        assert_eq!(
            receiver("[receiver]\nlisten = \"10.1.2.3:81\""),
            "http://10.1.2.3:81/ipn"
        );
    }
}
