//! The demo's CRM: a small, honest REST API as many companies have one, and which cannot be changed.
//!
//! It trusts its caller: a bearer token opens everything. It answers with all columns, ignores parameters that it does
//! not know, does not look at tenant headers, and its errors and a debug route tell more than they should. Nothing here
//! enforces anything; that is the gateway's work.

mod query;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::data::{Row, Store, Stored, is_key};

const REQUEST_BODY: usize = 1 << 20;
const HEADS_KEPT: usize = 256;

/// A running CRM. It stops when it is dropped.
pub struct Crm {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    token: String,
    state: Mutex<State>,
}

struct State {
    store: Store,
    requests: u64,
    heads: VecDeque<Head>,
}

/// The head of a request as it came.
#[derive(Clone, Debug)]
pub struct Head {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
}

/// What the CRM has seen of its callers.
#[derive(Clone, Debug)]
pub struct Seen {
    pub requests: u64,
    /// The latest last, at most 256.
    pub heads: Vec<Head>,
}

/// Starts on a free port of the loopback address. Callers must show `token` as a bearer token.
pub async fn start(token: String) -> io::Result<Crm> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let state = State { store: Store::seeded(), requests: 0, heads: VecDeque::new() };
    let shared = Arc::new(Shared { token, state: Mutex::new(state) });
    let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
    Ok(Crm { address, shared, server })
}

impl Crm {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn seen(&self) -> Seen {
        let state = self.shared.lock();
        Seen { requests: state.requests, heads: state.heads.iter().cloned().collect() }
    }

    /// Stops and waits until every connection is closed.
    pub async fn shutdown(mut self) {
        self.server.abort();
        // Aborted, so the only outcome is the cancellation asked for.
        drop((&mut self.server).await);
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns its connections: they end with it.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&shared), request));
                    // A connection that breaks is the caller's business.
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    let head = Head { method: head.method, target, headers: head.headers };
    {
        let mut state = shared.lock();
        state.requests += 1;
        if state.heads.len() == HEADS_KEPT {
            state.heads.pop_front();
        }
        state.heads.push_back(head.clone());
    }
    let Ok(body) = Limited::new(body, REQUEST_BODY).collect().await else {
        return Ok(Answer::error(StatusCode::BAD_REQUEST, "the body could not be read").into_response());
    };
    let bearer = format!("Bearer {}", shared.token);
    if head.headers.get(header::AUTHORIZATION).is_none_or(|shown| shown.as_bytes() != bearer.as_bytes()) {
        return Ok(Answer::error(StatusCode::UNAUTHORIZED, "token rejected by table api_tokens").into_response());
    }
    let answer = route(&mut shared.lock().store, &head, &body.to_bytes());
    Ok(answer.into_response())
}

struct Answer {
    status: StatusCode,
    body: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), headers: Vec::new() }
    }

    /// As talkative as errors of a real API are.
    fn error(status: StatusCode, detail: &str) -> Self {
        let body = json!({ "error": { "detail": detail, "trace": "SECRET-TRACE crm/db.go:112" } });
        Self { status, body: Some(body), headers: Vec::new() }
    }

    fn missing(table: &str, key: &str) -> Self {
        Self::error(
            StatusCode::NOT_FOUND,
            &format!("SELECT id, password_hash, ssn, margin FROM {table} WHERE id = '{key}': no rows"),
        )
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let body = self.body.map(|body| body.to_string()).unwrap_or_default();
        let json = !body.is_empty();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if json {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert("x-debug-sql", HeaderValue::from_static("SECRET-SQL select * from everything"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn route(store: &mut Store, head: &Head, body: &[u8]) -> Answer {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let query = query::pairs(query);
    let segments: Vec<String> = path.split('/').skip(1).map(query::decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if segments == ["v1", "debug", "db"] && head.method == Method::GET {
        return Answer::ok(dump(store));
    }
    let (name, rest) = match segments.as_slice() {
        ["v1", table, rest @ ..] => (*table, rest),
        _ => return Answer::error(StatusCode::NOT_FOUND, "no such route; try /v1/debug/db"),
    };
    let Some((&table, _)) = store.tables.get_key_value(name) else {
        return Answer::error(StatusCode::NOT_FOUND, &format!("relation \"{name}\" does not exist"));
    };
    let patch = || match serde_json::from_slice(body) {
        Ok(Value::Object(row)) => Ok(row),
        _ => Err(Answer::error(StatusCode::BAD_REQUEST, "the body must be an object of columns")),
    };
    match (&head.method, rest) {
        (&Method::GET, []) => Answer::ok(query::list(store, table, &query)),
        (&Method::GET, [key]) => read(store, table, key, &query),
        (&Method::POST, []) => patch().map_or_else(|error| error, |row| create(store, table, row, &query)),
        (&Method::PATCH, [key]) => {
            patch().map_or_else(|error| error, |row| update(store, table, key, row, &head.headers, &query))
        }
        (&Method::DELETE, [key]) => delete(store, table, key, &head.headers),
        (&Method::POST, [key, "close"]) if table == "deals" => {
            let stage = if body.is_empty() { Ok(Row::new()) } else { patch() };
            match stage {
                Ok(mut row) => {
                    row.entry("stage").or_insert_with(|| json!("won"));
                    update(store, table, key, row, &head.headers, &query)
                }
                Err(error) => error,
            }
        }
        _ => Answer::error(StatusCode::METHOD_NOT_ALLOWED, &format!("{} is not possible on {table}", head.method)),
    }
}

/// The side door that nobody remembers.
fn dump(store: &Store) -> Value {
    let tables: BTreeMap<&str, Vec<&Row>> =
        store.tables.keys().map(|table| (*table, store.rows(table).collect())).collect();
    json!(tables)
}

fn etag(table: &str, stored: &Stored) -> String {
    let key = stored.row.get("id").map(ToString::to_string).unwrap_or_default();
    format!("\"{table}-{}-{}\"", key.trim_matches('"'), stored.version)
}

fn record(store: &Store, table: &str, stored: &Stored, query: &[(String, String)]) -> Answer {
    let body = json!({ "data": query::project(store, &stored.row, query), "debug": "SECRET-DEBUG" });
    Answer::ok(body).with(header::ETAG, etag(table, stored))
}

fn read(store: &Store, table: &str, key: &str, query: &[(String, String)]) -> Answer {
    store.find(table, key).map_or_else(|| Answer::missing(table, key), |stored| record(store, table, stored, query))
}

fn create(store: &mut Store, table: &'static str, sent: Row, query: &[(String, String)]) -> Answer {
    let rows = store.tables.entry(table).or_default();
    let key = match sent.get("id") {
        Some(Value::String(id)) if table == "users" => json!(id),
        _ => json!(1 + rows.iter().filter_map(|stored| stored.row.get("id")?.as_u64()).max().unwrap_or_default()),
    };
    let (mut row, required) = template(table);
    let missing: Vec<&str> = required.iter().copied().filter(|column| !sent.contains_key(*column)).collect();
    if !missing.is_empty() {
        let detail = format!("null value in column {missing:?} of relation \"{table}\" violates not-null constraint");
        return Answer::error(StatusCode::UNPROCESSABLE_ENTITY, &detail);
    }
    row.extend(sent);
    row.insert("id".to_owned(), key.clone());
    let stored = Stored { version: 1, row };
    rows.push(stored.clone());
    let place = format!("/v1/{table}/{}", key.to_string().trim_matches('"'));
    let mut answer = record(store, table, &stored, query).with(header::LOCATION, place);
    answer.status = StatusCode::CREATED;
    answer
}

/// The columns that a new record gets by itself, and those that must be sent.
fn template(table: &str) -> (Row, &'static [&'static str]) {
    let created = "2026-01-15T09:00:00Z";
    let (row, required): (Value, &[&str]) = match table {
        "accounts" => (
            json!({ "annual_revenue": 0.01, "credit_score": super::data::CREDIT_SCORE, "custom": null, "created_at": created,
                "industry": "retail", "internal_note": "SECRET-NOTE-NEW", "region": "EMEA", "team": null }),
            &["organization_id", "app_id", "owner_id", "name"],
        ),
        "contacts" => (
            json!({ "account_id": null, "phone": null, "birthday": null, "region": "EMEA", "stage": "lead", "amount": null,
                "legal_hold": false, "ssn": null, "created_at": created }),
            &["organization_id", "app_id", "owner_id", "name", "email"],
        ),
        "deals" => (
            json!({ "stage": "open", "margin": 9_100_000.37, "region": "EMEA", "close_date": null }),
            &["organization_id", "app_id", "owner_id", "account_id", "title", "amount"],
        ),
        "activities" => (
            json!({ "body": "", "private": false, "happened_at": created }),
            &["owner_id", "account_id", "kind", "subject"],
        ),
        "reports" => (
            json!({ "folder": "personal", "query": "", "contact_count": 0, "created_at": created }),
            &["organization_id", "app_id", "owner_id", "title"],
        ),
        _ => (
            json!({ "manager_id": null, "password_hash": "SECRET-HASH-NEW", "region": "EMEA", "role": "sales_rep" }),
            &["id", "organization_id", "app_id", "name", "email"],
        ),
    };
    let mut row = match row {
        Value::Object(row) => row,
        _ => Row::new(),
    };
    row.insert("legacy_notes".to_owned(), json!("SECRET-LEGACY-NEW"));
    (row, required)
}

/// Whether the condition that the caller set on the version, if any, is met.
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(header::IF_MATCH).is_none_or(|wanted| {
        wanted.to_str().is_ok_and(|wanted| wanted.split(',').any(|one| one.trim() == etag || one.trim() == "*"))
    })
}

fn update(
    store: &mut Store,
    table: &'static str,
    key: &str,
    sent: Row,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Answer {
    let Some(stored) = store.tables.get_mut(table).and_then(|rows| rows.iter_mut().find(|s| is_key(&s.row, key)))
    else {
        return Answer::missing(table, key);
    };
    if !matches(headers, &etag(table, stored)) {
        let detail = format!("version of {table} {key} is {}", etag(table, stored));
        return Answer::error(StatusCode::PRECONDITION_FAILED, &detail);
    }
    stored.version += 1;
    stored.row.extend(sent.into_iter().filter(|(column, _)| column != "id"));
    let stored = stored.clone();
    record(store, table, &stored, query)
}

fn delete(store: &mut Store, table: &'static str, key: &str, headers: &HeaderMap) -> Answer {
    let rows = store.tables.entry(table).or_default();
    let Some(place) = rows.iter().position(|stored| is_key(&stored.row, key)) else {
        return Answer::missing(table, key);
    };
    if rows.get(place).is_some_and(|stored| !matches(headers, &etag(table, stored))) {
        return Answer::error(StatusCode::PRECONDITION_FAILED, &format!("version of {table} {key} differs"));
    }
    rows.remove(place);
    Answer { status: StatusCode::NO_CONTENT, body: None, headers: Vec::new() }
}

#[cfg(test)]
mod tests;
