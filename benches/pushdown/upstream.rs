//! A service that holds its records in memory, filters and pages as it is asked, and counts the bytes of its answers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) const RECORDS: usize = 100_000;
/// One in a hundred.
pub(crate) const VISIBLE: usize = RECORDS / OWNERS;
const OWNERS: usize = 100;
/// Whose records the caller may see.
pub(crate) const CALLER: &str = "owner-7";

struct Record {
    id: usize,
    owner: String,
    json: String,
}

impl Record {
    fn new(id: usize) -> Self {
        // The factor has no divisor in common with the number of records: each owner has as many as the next, here and there.
        let owner = format!("owner-{}", id * 7_919 % RECORDS / VISIBLE);
        let json = format!(
            r#"{{"id":{id},"organization_id":"acme","app_id":"shop","owner_id":"{owner}","name":"Contact number {id}","email":"contact.{id}@example.com","phone":"+49 30 {:07}","region":"emea","stage":"lead","amount":{}.50,"notes":"Met at the fair, wants to hear about the offer in spring.","created_at":"2026-03-0{}T09:30:00Z"}}"#,
            id * 31 % 10_000_000,
            id * 17 % 9_000,
            id % 9 + 1,
        );
        Self { id, owner, json }
    }
}

struct State {
    records: Vec<Record>,
    bytes: AtomicU64,
    requests: AtomicU64,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Upstream {
    pub(crate) async fn start() -> io::Result<Self> {
        let records = (1..=RECORDS).map(Record::new).collect();
        let state = Arc::new(State { records, bytes: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let answer = state.answer(request.uri());
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(async move {
                    let served =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // The gateway keeps it open until it ends itself.
                    served.await.unwrap_or_default();
                });
            }
        });
        Ok(Self { address, state })
    }

    /// Of all bodies so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// The ids of one page of what the caller may see, from the records themselves.
    pub(crate) fn visible(&self, offset: usize, limit: usize) -> Vec<u64> {
        let own = self.state.records.iter().filter(|record| record.owner == CALLER);
        own.skip(offset).take(limit).map(|record| record.id as u64).collect()
    }
}

impl State {
    /// Of `owner_id=…`, `limit` and `offset`; the tenant is everybody's. What it does not know is an error, and never nothing.
    fn answer(&self, uri: &http::Uri) -> Response<Full<Bytes>> {
        let (mut owner, mut limit, mut offset, mut wrong) = (None, RECORDS, 0, uri.path() != "/contacts");
        for (name, value) in uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "owner_id" => owner = Some(value),
                "limit" => limit = value.parse().unwrap_or(0),
                "offset" => offset = value.parse().unwrap_or(RECORDS),
                "organization_id" => wrong |= value != "acme",
                "app_id" => wrong |= value != "shop",
                _ => wrong = true,
            }
        }
        let own = self.records.iter().filter(|record| owner.is_none_or(|owner| record.owner == owner));
        let page: Vec<&str> = own.skip(offset).take(limit).map(|record| record.json.as_str()).collect();
        let body = format!(r#"{{"data":[{}]}}"#, page.join(","));
        self.bytes.fetch_add(body.len() as u64, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = if wrong { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer
    }
}
