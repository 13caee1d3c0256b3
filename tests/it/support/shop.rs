use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::{Port, eventually};

/// A shop's server on this machine: answers as it is told, and remembers every call.
pub(crate) struct FakeShop {
    port: Port,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

type Rule = Box<dyn FnMut(&Call) -> Answer + Send>;

struct State {
    calls: Vec<Call>,
    rule: Rule,
}

/// What the shop does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Never answers; the caller has to lose patience.
    Hang,
    /// Takes it once it is told to.
    Held(Arc<Notify>),
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        text: &'static str,
    },
}

impl Answer {
    pub(crate) const OK: Self = Self::status(200);

    pub(crate) const fn status(status: u16) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            text: "",
        }
    }

    pub(crate) const fn text(text: &'static str) -> Self {
        Self::Reply {
            status: 200,
            headers: Vec::new(),
            text,
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Call {
    /// A header's text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A form field's value.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body)
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The token that a form notification, or an event, is about.
    pub(crate) fn token(&self) -> String {
        match self.field("vads_identifier") {
            Some(token) => token,
            None => self.json()["data"]["token"].as_str().unwrap().to_owned(),
        }
    }
}

impl FakeShop {
    /// A shop that takes everything.
    pub(crate) fn open() -> Self {
        let state = State {
            calls: Vec::new(),
            rule: Box::new(|_| Answer::OK),
        };
        let mut shop = Self {
            port: Port::reserve(),
            state: Arc::new(Mutex::new(state)),
            serving: None,
        };
        shop.up();
        shop
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.port.address())
    }

    /// Decides about each call from now on.
    pub(crate) fn answers(&self, rule: impl FnMut(&Call) -> Answer + Send + 'static) {
        self.lock().rule = Box::new(rule);
    }

    /// The next answers; after them everything is taken.
    pub(crate) fn answers_first(&self, script: impl IntoIterator<Item = Answer>) {
        let mut script: VecDeque<_> = script.into_iter().collect();
        self.answers(move |_| script.pop_front().unwrap_or(Answer::OK));
    }

    /// Refuses connections, and cuts those that are open.
    pub(crate) async fn down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            assert!(serving.await.unwrap_err().is_cancelled());
        }
    }

    pub(crate) fn up(&mut self) {
        let listener = self.port.listen();
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.state))));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// All calls to one path.
    pub(crate) fn calls_to(&self, path: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.path == path).collect()
    }

    /// All calls, once there are so many.
    pub(crate) async fn gets(&self, count: usize) -> Vec<Call> {
        let what = format!("{count} calls of {}", self.port.address());
        eventually(&what, async || {
            let state = self.lock();
            (state.calls.len() >= count).then(|| state.calls.clone())
        })
        .await
    }

    /// The one call to this path.
    pub(crate) async fn gets_one(&self, path: &str) -> Call {
        let mut calls = eventually(path, async || {
            Some(self.calls_to(path)).filter(|calls| !calls.is_empty())
        })
        .await;
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for FakeShop {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Dropping it closes the connections too.
async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        // Its clock is what the test says.
        let mut http = http1::Builder::new();
        let connection = http
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    assert_eq!(request.method(), "POST");
    let (head, body) = request.into_parts();
    let call = Call {
        path: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
        at: Instant::now(),
    };
    let answer = {
        let mut state = state.lock().unwrap();
        let answer = (state.rule)(&call);
        state.calls.push(call);
        answer
    };
    match answer {
        Answer::Hang => match std::future::pending::<Infallible>().await {},
        Answer::Held(release) => {
            release.notified().await;
            Ok(Response::default())
        }
        Answer::Reply { status, headers, text } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::from(text)).unwrap())
        }
    }
}
