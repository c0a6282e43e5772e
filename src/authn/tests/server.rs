//! An identity provider on a free port that answers as it is told, and remembers what it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// By path: what it answers.
#[derive(Clone, Default)]
pub(in crate::authn) struct Server(Arc<State>);

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<Asked>>,
    /// Held while an answer must wait.
    gate: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
pub(in crate::authn) struct Asked {
    pub(in crate::authn) method: String,
    pub(in crate::authn) authorization: String,
    pub(in crate::authn) body: String,
}

impl Server {
    /// With the URL of its root, without a slash at the end.
    pub(in crate::authn) async fn start() -> (Self, String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self::default();
        let shared = server.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = shared.clone();
                let service = hyper::service::service_fn(move |request: http::Request<_>| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(served.await) });
            }
        });
        (server, url, task)
    }

    async fn answer(&self, request: http::Request<hyper::body::Incoming>) -> http::Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: head.method.to_string(),
            authorization: authorization.unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.0.asked.lock().expect("no panic").push(asked);
        drop(self.0.gate.lock().await);
        let found = self.0.answers.lock().expect("no panic").get(head.uri.path()).cloned();
        let (status, body) = found.unwrap_or((404, String::new()));
        let response = http::Response::builder().status(status).header("location", "/keys");
        response.body(Full::new(Bytes::from(body))).expect("a response")
    }

    pub(in crate::authn) fn answers(&self, path: &str, status: u16, body: impl Into<String>) {
        self.0.answers.lock().expect("no panic").insert(path.to_owned(), (status, body.into()));
    }

    /// How often it was asked.
    pub(in crate::authn) fn asked(&self) -> usize {
        self.0.asked.lock().expect("no panic").len()
    }

    pub(in crate::authn) fn last(&self) -> Asked {
        self.0.asked.lock().expect("no panic").last().cloned().expect("a question")
    }

    /// Until the guard is dropped, questions are taken and not answered.
    pub(in crate::authn) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.gate.lock().await
    }
}
