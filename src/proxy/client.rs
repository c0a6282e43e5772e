//! The client's side of an exchange: its head and body as pingora read them, and what is written to it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::tls::SslDigest;
use tokio::time::Instant;

use crate::canonical::{Canonical, Head, canonicalise};
use crate::config::Limits;
use crate::enforcement::write::once;
use crate::listener::tls::{Connection, Withdrawn};
use crate::model::Reason;
use crate::pki::Peer;
use crate::snapshot::Snapshot;

/// For a connection's first head while no configuration is in force.
pub(super) const FIRST_HEAD: Duration = Duration::from_secs(10);
/// Of a body that nobody asked for.
const DISCARDED: usize = 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);

pub(super) fn address(session: &ServerSession) -> IpAddr {
    session
        .client_addr()
        .and_then(|address| address.as_inet())
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical())
}

/// Whether the gateway itself ended TLS.
pub(super) fn is_tls(session: &ServerSession) -> bool {
    session.digest().is_some_and(|digest| digest.ssl_digest.is_some())
}

/// The verified certificate of the client's connection, as it holds now.
pub(super) fn peer(session: &ServerSession, now: Timestamp) -> Result<Option<Arc<Peer>>, Withdrawn> {
    peer_of(session.digest().and_then(|digest| digest.ssl_digest.as_ref()), now)
}

/// The same, of a connection's TLS.
pub(super) fn peer_of(digest: Option<&Arc<SslDigest>>, now: Timestamp) -> Result<Option<Arc<Peer>>, Withdrawn> {
    digest.and_then(|digest| digest.extension.get::<Connection>()).map_or(Ok(None), |connection| connection.peer(now))
}

pub(super) fn set_deadlines(session: &mut ServerSession, limits: &Limits) {
    session.set_read_timeout(Some(limits.request_body_time));
    session.set_write_timeout(Some(limits.client_write_time));
    session.set_total_drain_timeout(Some(limits.request_body_time));
    session.set_keepalive(Some(limits.idle_time.as_secs()));
}

/// The request's one meaning. Over HTTP/1, the connection ends with the refusal of one that has several: what follows it there
/// may be its body to whoever sent it.
pub(super) fn canonical(
    session: &mut ServerSession,
    snapshot: &Snapshot,
    client: Result<IpAddr, Reason>,
) -> Result<Canonical, Reason> {
    let head = session.req_header();
    // As they arrived (HTTP/1 only).
    let raw = session.as_http1().map(|session| session.get_headers_raw_bytes());
    let uri = Some(&head.uri).filter(|_| session.is_http2());
    let request = client.and_then(|client| {
        let head = Head {
            method: &head.method,
            target: head.raw_path(),
            version: head.version,
            headers: &head.headers,
            raw: raw.as_deref(),
            authority: uri.and_then(|uri| uri.authority()).map(|authority| authority.as_str()),
            scheme: uri.and_then(|uri| uri.scheme_str()),
            protocol: head.extensions.get::<h2::ext::Protocol>().map(h2::ext::Protocol::as_str),
            client,
            websockets: snapshot.catalog.takes_websockets(),
        };
        canonicalise(&head, &snapshot.identity_headers, &snapshot.config.limits)
    });
    if request.as_ref().map_or(true, |request| request.websocket) {
        session.set_keepalive(None);
    }
    request
}

/// Of an `Idempotency-Key`.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// By which a client calls a write that it may send again. Errors: `MalformedRequest` for one that is too long.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<HeaderValue>, Reason> {
    match headers.get(once::HEADER).cloned() {
        Some(key) if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY => Err(Reason::MalformedRequest),
        key => Ok(key),
    }
}

/// Only JSON is read where records are meant, and only as it is.
pub(super) fn check_content_type(headers: &HeaderMap, request: &Canonical) -> Result<(), Reason> {
    if !request.has_body {
        return Ok(());
    }
    let declared =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or(Reason::MediaTypeUnsupported)?;
    let (kind, parameters) = declared.split_once(';').unwrap_or((declared, "charset=utf-8"));
    let utf8 = parameters.trim().eq_ignore_ascii_case("charset=utf-8");
    if kind.trim().eq_ignore_ascii_case("application/json") && utf8 && !headers.contains_key(header::CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(Reason::MediaTypeUnsupported)
    }
}

/// The request's body, whole: within its size and time limits or not at all.
pub(super) async fn body(session: &mut ServerSession, request: &Canonical, limits: &Limits) -> Result<Bytes, Reason> {
    if !request.has_body {
        return if session.is_body_empty() { Ok(Bytes::new()) } else { Err(Reason::BodyExpected) };
    }
    let headers = &session.req_header().headers;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.request_body) {
        return Err(Reason::BodyTooLarge);
    }
    let waits = headers.contains_key(header::EXPECT);
    let read = async {
        if waits {
            session.write_continue_response().await.map_err(|_| Reason::ClientGone)?;
        }
        let mut body = BytesMut::new();
        let begun = Instant::now();
        loop {
            // What was read buys time for what is still to come.
            let chunk = tokio::time::timeout_at(begun + time_for(body.len(), limits), session.read_request_body());
            let chunk = chunk.await.map_err(|_| Reason::BodyTimeout)?.map_err(|error| unread(&error))?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > limits.request_body {
                return Err(Reason::BodyTooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    let read = tokio::time::timeout(limits.request_body_time, read).await.unwrap_or(Err(Reason::BodyTimeout));
    if read.is_err() {
        // The parser may hold it to be at its end: where the next request begins is no longer known.
        session.set_keepalive(None);
    }
    read
}

/// How long a body may have taken of which so many bytes have come.
fn time_for(bytes: usize, limits: &Limits) -> Duration {
    let earned = Duration::from_millis((bytes as u64).saturating_mul(1000) / (limits.request_body_rate as u64).max(1));
    limits.request_body_slack.saturating_add(earned).min(limits.request_body_time)
}

/// Why a body could not be read to its end.
fn unread(error: &pingora::Error) -> Reason {
    use pingora::ErrorType;
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    match error.etype() {
        ErrorType::ReadTimedout => Reason::BodyTimeout,
        // The listener's, of what can be read in two ways.
        _ if io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) => Reason::BodyMalformed,
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => Reason::ClientGone,
        _ => Reason::BodyMalformed,
    }
}

/// The connection ends with this answer if the request's body was not read to its end, so that its rest is never taken for
/// another request. Only for a request whose head was read: pingora panics otherwise.
pub(super) fn close_unless_read(session: &mut ServerSession) {
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
}

/// Reads and drops what little of a refused request's body is still on its way: whoever is still sending when the stream or
/// the connection ends may lose the answer. A client that sends more, or more slowly, does.
pub(super) async fn discard_rest(session: &mut ServerSession) {
    // Who waits for leave to send will send nothing after a refusal.
    if session.is_body_done() || session.req_header().headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut left = DISCARDED;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            left = match left.checked_sub(chunk.len()) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // Whether it came to its end makes no difference: the answer was sent before.
    tokio::time::timeout(DISCARD_TIME, read).await.ok();
}

/// Sends a head. Errors: the client is gone or reads too slowly, as for all that is written.
pub(super) async fn write_head(
    session: &mut ServerSession,
    head: ResponseHeader,
    limit: Duration,
) -> Result<(), Reason> {
    // Of a head alone, pingora's own deadline for writing knows nothing.
    match tokio::time::timeout(limit, session.write_response_header(Box::new(head))).await {
        Ok(written) => written.map_err(|error| unwritten(&error)),
        Err(_) => Err(Reason::ClientSlow),
    }
}

/// Sends bytes of a body, the last ones or not.
pub(super) async fn write(session: &mut ServerSession, bytes: Bytes, last: bool) -> Result<(), Reason> {
    session.write_response_body(bytes, last).await.map_err(|error| unwritten(&error))
}

/// Bytes of each HTTP/2 answer that may wait for their client, though they count as written.
pub(super) const QUEUED: usize = 32 * 1024;

/// Sends a body that is there as a whole, and its end. Of what pingora holds back until then it knows no deadline for HTTP/1.
pub(super) async fn write_whole(session: &mut ServerSession, body: Bytes, limit: Duration) -> Result<(), Reason> {
    if session.is_http2() {
        // The last that waits there would keep all of the body in memory.
        let (first, last) = body.split_at_checked(body.len().saturating_sub(QUEUED)).unwrap_or((&body, &[]));
        let last = Bytes::copy_from_slice(last);
        if !first.is_empty() {
            write(session, body.slice_ref(first), false).await?;
        }
        return write(session, last, true).await;
    }
    write(session, body, false).await?;
    finish(session, limit).await
}

/// Sends what says that the answer is complete.
pub(super) async fn finish(session: &mut ServerSession, limit: Duration) -> Result<(), Reason> {
    match tokio::time::timeout(limit, session.finish_body()).await {
        Ok(finished) => finished.map_err(|error| unwritten(&error)),
        Err(_) => Err(Reason::ClientSlow),
    }
}

fn unwritten(error: &pingora::Error) -> Reason {
    match error.etype() {
        pingora::ErrorType::WriteTimedout => Reason::ClientSlow,
        _ => Reason::ClientGone,
    }
}
