//! Health, readiness and metrics, on an address of their own and never on a public listener.
//!
//! It answers three paths and says nothing of any request or record. What the gateway knows comes through [`Source`],
//! so that nothing here reaches into the path. Headers have a deadline and connections a limit.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const MAX_CONNECTIONS: usize = 64;
/// Also how long an idle connection is kept: the time runs from the end of the last answer.
const HEADER_TIME: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(300);
const LAST_ANSWERS: Duration = Duration::from_millis(500);
const MAX_HEADERS: usize = 64;
const MAX_BUFFER: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the endpoints tell.
pub trait Source: Send + Sync + 'static {
    /// Errors: why not, in fixed words such as `audit_unwritable` or `draining`.
    fn ready(&self) -> Result<(), Vec<&'static str>>;

    /// In the text exposition format of Prometheus.
    fn metrics(&self) -> String;
}

/// The bound listener.
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener }
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then gives whoever has come by then a moment for their answers, and cuts what is still open.
    pub async fn serve(self, source: impl Source, shutdown: impl Future<Output = ()>) {
        let source = Arc::new(source);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                (permit, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let source = Arc::clone(&source);
                        connections.spawn(async move {
                            let _permit = permit;
                            // A peer that breaks off or dawdles is no concern of ours.
                            tokio::time::timeout(CONNECTION_TIME, connection(stream, source)).await.ok();
                        });
                    }
                    // Out of file descriptors, most likely: going on at once would spin.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop(self.listener);
        let answered = async { while connections.join_next().await.is_some() {} };
        tokio::time::timeout(LAST_ANSWERS, answered).await.ok();
    }
}

async fn connection(stream: TcpStream, source: Arc<impl Source>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &*source);
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

fn answer(method: &Method, path: &str, source: &impl Source) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return respond(StatusCode::NOT_FOUND, TEXT, "not found\n");
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => respond(StatusCode::OK, "text/plain; version=0.0.4", source.metrics()),
        "/readyz" => match source.ready() {
            Ok(()) => respond(StatusCode::OK, "application/json", r#"{"ready":true}"#),
            Err(reasons) => {
                let body = serde_json::json!({ "ready": false, "reasons": reasons }).to_string();
                respond(StatusCode::SERVICE_UNAVAILABLE, "application/json", body)
            }
        },
        _ => respond(StatusCode::OK, TEXT, "ok"),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    struct Fixed(Vec<&'static str>);

    impl Source for Fixed {
        fn ready(&self) -> Result<(), Vec<&'static str>> {
            if self.0.is_empty() { Ok(()) } else { Err(self.0.clone()) }
        }

        fn metrics(&self) -> String {
            "scrim_in_flight 0\n".to_owned()
        }
    }

    async fn ask(source: Fixed, request: &str) -> String {
        let admin = Admin::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = admin.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(admin.serve(source, async { stopped.await.unwrap_or_default() }));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        stop.send(()).unwrap();
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn three_paths_are_answered_and_no_other() {
        for (method, path, status, body) in [
            ("GET", "/healthz", "200 OK", "ok"),
            ("GET", "/readyz", "200 OK", r#"{"ready":true}"#),
            ("GET", "/metrics", "200 OK", "scrim_in_flight 0\n"),
            ("GET", "/", "404 Not Found", "not found\n"),
            ("GET", "/secret-path", "404 Not Found", "not found\n"),
            ("POST", "/metrics", "405 Method Not Allowed", "method not allowed\n"),
            ("DELETE", "/readyz", "405 Method Not Allowed", "method not allowed\n"),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let answer = ask(Fixed(vec![]), &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{method} {path}: {answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{method} {path}: {answer}");
            assert!(!answer.contains("secret-path"));
        }
    }

    #[tokio::test]
    async fn not_ready_says_why_and_metrics_name_their_format() {
        let close = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = ask(Fixed(vec!["audit_unwritable", "draining"]), &format!("GET /readyz {close}")).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with(r#"{"ready":false,"reasons":["audit_unwritable","draining"]}"#), "{answer}");
        let answer = ask(Fixed(vec![]), &format!("GET /metrics {close}")).await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_flood_of_headers_is_refused() {
        let headers = "X: y\r\n".repeat(MAX_HEADERS + 1);
        let answer = ask(Fixed(vec![]), &format!("GET /healthz HTTP/1.1\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
