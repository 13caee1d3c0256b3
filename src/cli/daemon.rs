//! Speaks to the daemon that runs, through its socket.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::admin::Refusal;
use crate::config;

/// The daemon of one configuration.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

/// How it has ended to look at what has no end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Followed {
    /// By Ctrl-C.
    Interrupted,
    /// The daemon has said all that it will say.
    ToItsEnd,
}

/// As a shell says it of a program that SIGINT has ended.
pub(super) const INTERRUPTED: u8 = 130;

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
        runtime()?.block_on(self.answer(post(path, question)?))
    }

    /// Looks at something of it.
    pub(super) fn look<A: DeserializeOwned>(&self, path: &str) -> anyhow::Result<A> {
        runtime()?.block_on(self.look_on(path))
    }

    /// The same, for who looks more than once.
    pub(super) async fn look_on<A: DeserializeOwned>(&self, path: &str) -> anyhow::Result<A> {
        self.answer(Request::get(path).body(Full::default())?).await
    }

    async fn answer<A: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> anyhow::Result<A> {
        let answer = self.send(request).await?.into_body().collect().await;
        let answer = answer.context(HUNG_UP)?.to_bytes();
        serde_json::from_slice(&answer).context("the daemon's answer is of another version")
    }

    /// Looks at something that has no end, and hands over every line that is not empty.
    pub(super) fn follow(&self, path: &str, line: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<Followed> {
        let request = Request::get(path).body(Full::default())?;
        runtime()?.block_on(async {
            tokio::select! {
                read = self.lines(request, line) => read.map(|()| Followed::ToItsEnd),
                _ = tokio::signal::ctrl_c() => Ok(Followed::Interrupted),
            }
        })
    }

    /// Asks it for something that is answered line by line, and hands over every line.
    pub(super) fn ask_and_follow(
        &self,
        path: &str,
        question: &impl Serialize,
        line: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        runtime()?.block_on(self.lines(post(path, question)?, line))
    }

    async fn lines(
        &self,
        request: Request<Full<Bytes>>,
        mut line: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut body = self.send(request).await?.into_body();
        let mut begun = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context(HUNG_UP)?.into_data() else {
                continue;
            };
            for piece in data.split_inclusive(|byte| *byte == b'\n') {
                begun.extend_from_slice(piece);
                if let Some(whole) = begun.strip_suffix(b"\n") {
                    if !whole.is_empty() {
                        line(whole)?;
                    }
                    begun.clear();
                }
            }
        }
        Ok(())
    }

    /// Returns what it answers, if it does what is asked for.
    async fn send(&self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let socket = self.socket.display();
        let stream = match UnixStream::connect(&self.socket).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let group = group_of(&self.socket).map_or_else(String::new, |group| format!(" {group}"));
                bail!("{socket} is for root, the user that the daemon runs as, and the group{group}: try sudo")
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Err(NotRunning(self.socket.clone()).into());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot connect to {socket}")),
        };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("ipn-router"));
        let response = sender.send_request(request).await.context(HUNG_UP)?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let answer = response.into_body().collect().await.context(HUNG_UP)?.to_bytes();
        match serde_json::from_slice::<Refusal>(&answer) {
            Ok(refusal) => bail!("{}", refusal.error),
            Err(_) => bail!("the daemon refuses: {status} {}", String::from_utf8_lossy(&answer)),
        }
    }
}

fn post(path: &str, question: &impl Serialize) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::post(path).header("content-type", "application/json");
    Ok(request.body(Full::from(serde_json::to_vec(question)?))?)
}

pub(super) const HUNG_UP: &str = "the daemon has hung up";

/// The group that a file belongs to: its name, else its number.
fn group_of(file: &Path) -> Option<String> {
    let number = fs::metadata(file).ok()?.gid();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    Some(group_name(&groups, number).unwrap_or_else(|| number.to_string()))
}

/// As group(5) has it. What another directory of users knows is a number here.
fn group_name(groups: &str, number: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

/// For one question, or a few.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A path with a query string: what a question says, field by field.
pub(super) fn with_query(path: &str, question: &impl Serialize) -> anyhow::Result<String> {
    let question = serde_json::to_value(question)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in question.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(text) => drop(query.append_pair(name, text)),
            other => drop(query.append_pair(name, &other.to_string())),
        }
    }
    Ok(format!("{path}?{}", query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_has_the_name_that_belongs_to_its_number() {
        let groups = "root:x:0:\nbroken\nadm:x:4:syslog,ubuntu\nipn-router:x:40:\n";
        assert_eq!(group_name(groups, 40).as_deref(), Some("ipn-router"));
        assert_eq!(group_name(groups, 4).as_deref(), Some("adm"));
        assert_eq!(group_name(groups, 44), None);
    }
}
