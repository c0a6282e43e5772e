//! An upstream that answers as scripted and remembers what it saw.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What one path answers. The query is not looked at: like many real services, this one ignores what it does not know.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub then: Then,
}

/// What happens after the head.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    Whole,
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// Nothing is ever answered.
    Stall,
    /// The head and so many bytes of the body come, then nothing more.
    StallAfter(usize),
}

impl Answer {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".into(), "application/json".into()), ("etag".into(), "\"v1\"".into())];
        Self { status, headers, body: Bytes::from(body.into()), then: Then::Whole }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    state: Arc<State>,
}

/// What a request is answered with, if anything.
type Program = Arc<dyn Fn(&Seen) -> Option<Answer> + Send + Sync>;

#[derive(Default)]
struct State {
    program: Mutex<Option<Program>>,
    script: Mutex<BTreeMap<String, Vec<Answer>>>,
    seen: Mutex<Vec<Seen>>,
    /// A request has arrived.
    arrived: Notify,
    /// A stalled answer was given up by its client.
    abandoned: Notify,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| answer(Arc::clone(&state), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, state }
    }

    /// Answers `METHOD /path` so from now on. Several answers to one are given in turn, the last one for ever.
    pub fn on(&self, request: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.script.lock().expect("no panic holds it").insert(request.to_owned(), answers.into_iter().collect());
    }

    /// Answers what this gives from now on; the script answers the rest.
    pub fn answers(&self, program: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static) {
        *self.state.program.lock().expect("no panic holds it") = Some(Arc::new(program));
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("no panic holds it").clone()
    }

    /// `METHOD target` of each request that arrived.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    pub fn forget(&self) {
        self.state.seen.lock().expect("no panic holds it").clear();
    }

    /// Until a request arrives.
    pub async fn arrival(&self) {
        self.state.arrived.notified().await;
    }

    /// Until the gateway gives up a stalled answer.
    pub async fn abandonment(&self) {
        self.state.abandoned.notified().await;
    }
}

struct Abandoned(Arc<State>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abandoned.notify_one();
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, std::io::Error>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let line = format!("{} {}", head.method, head.uri.path());
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen { method: head.method.to_string(), target, headers: head.headers, body };
    state.seen.lock().expect("no panic holds it").push(seen.clone());
    state.arrived.notify_one();
    let program = state.program.lock().expect("no panic holds it").clone();
    let programmed = program.and_then(|program| program(&seen));
    let found = programmed.or_else(|| {
        let mut script = state.script.lock().expect("no panic holds it");
        script.get_mut(&line).map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    });
    let answer = found.unwrap_or_else(|| Answer::json(404, r#"{"error":"SECRET-UPSTREAM-TEXT"}"#));
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).expect("a status"));
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let all = answer.body.clone();
    let body: BoxBody<Bytes, std::io::Error> = match answer.then {
        Then::Whole => Full::new(all).map_err(|never| match never {}).boxed(),
        Then::Cut(after) | Then::StallAfter(after) => {
            let stall = matches!(answer.then, Then::StallAfter(_));
            response = response.header("content-length", all.len());
            let first = all.slice(..after.min(all.len()));
            let guard = Abandoned(Arc::clone(&state));
            BodyExt::boxed(Partial { first: Some(first), stall, _guard: guard })
        }
        Then::Stall => {
            let _guard = Abandoned(Arc::clone(&state));
            std::future::pending::<()>().await;
            unreachable!("pending never ends")
        }
    };
    Ok(response.body(body).expect("a response"))
}

/// A body that sends its first bytes, then either breaks the connection or never goes on.
struct Partial {
    first: Option<Bytes>,
    stall: bool,
    _guard: Abandoned,
}

impl hyper::body::Body for Partial {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None if self.stall => Poll::Pending,
            None => Poll::Ready(Some(Err(std::io::Error::other("cut")))),
        }
    }
}
