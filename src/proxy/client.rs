//! The client's side of an exchange: its head and body as pingora read them, and the answer to it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use super::Reply;
use crate::canonical::{Canonical, Head};
use crate::config::Limits;
use crate::model::{Reason, RequestId};

/// For a connection's first head while no configuration is in force.
pub(super) const FIRST_HEAD: Duration = Duration::from_secs(10);

pub(super) fn address(session: &ServerSession) -> IpAddr {
    session
        .client_addr()
        .and_then(|address| address.as_inet())
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

pub(super) fn set_deadlines(session: &mut ServerSession, limits: &Limits) {
    session.set_read_timeout(Some(limits.request_body_time));
    session.set_write_timeout(Some(limits.client_write_time));
    session.set_total_drain_timeout(Some(limits.request_body_time));
    session.set_keepalive(Some(limits.idle_time.as_secs()));
}

/// The head's bytes as they arrived (HTTP/1 only).
pub(super) fn raw_head(session: &ServerSession) -> Option<Bytes> {
    session.as_http1().map(|session| session.get_headers_raw_bytes())
}

pub(super) fn head<'s>(session: &'s ServerSession, raw: Option<&'s [u8]>, client: IpAddr) -> Head<'s> {
    let head = session.req_header();
    let authority = if session.is_http2() { head.uri.authority().map(|authority| authority.as_str()) } else { None };
    Head {
        method: &head.method,
        target: head.raw_path(),
        version: head.version,
        headers: &head.headers,
        raw,
        authority,
        client,
    }
}

/// Only JSON is read and only JSON is answered where records are meant.
pub(super) fn check_media_types(session: &ServerSession, request: &Canonical) -> Result<(), Reason> {
    let headers = &session.req_header().headers;
    if request.has_body {
        let declared = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .ok_or(Reason::MediaTypeUnsupported)?;
        let (kind, parameters) = declared.split_once(';').unwrap_or((declared, "charset=utf-8"));
        let utf8 = parameters.trim().eq_ignore_ascii_case("charset=utf-8");
        if !kind.trim().eq_ignore_ascii_case("application/json")
            || !utf8
            || headers.contains_key(header::CONTENT_ENCODING)
        {
            return Err(Reason::MediaTypeUnsupported);
        }
    }
    let mut accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    if accepted.peek().is_none() {
        return Ok(());
    }
    let json = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && ["*/*", "application/*", "application/json"].iter().any(|known| kind.eq_ignore_ascii_case(known))
    };
    if accepted.any(json) { Ok(()) } else { Err(Reason::NotAcceptable) }
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
        while let Some(chunk) = session.read_request_body().await.map_err(|error| unread(&error))? {
            if body.len() + chunk.len() > limits.request_body {
                return Err(Reason::BodyTooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(limits.request_body_time, read).await.unwrap_or(Err(Reason::BodyTimeout))
}

/// Why a body could not be read to its end.
fn unread(error: &pingora::Error) -> Reason {
    use pingora::ErrorType;
    match error.etype() {
        ErrorType::ReadTimedout => Reason::BodyTimeout,
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

/// Sends the answer.
pub(super) async fn write(session: &mut ServerSession, reply: &Reply, id: RequestId) -> pingora::Result<()> {
    let mut head = ResponseHeader::build(reply.status, Some(8))?;
    if reply.status != StatusCode::NO_CONTENT {
        head.insert_header(header::CONTENT_TYPE, reply.content_type.clone())?;
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()))?;
    }
    head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"))?;
    head.insert_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))?;
    if reply.status == StatusCode::UNAUTHORIZED {
        head.insert_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))?;
    }
    if reply.status == StatusCode::SERVICE_UNAVAILABLE {
        head.insert_header(header::RETRY_AFTER, HeaderValue::from_static("1"))?;
    }
    head.insert_header("x-request-id", id.to_string())?;
    session.write_response_header(Box::new(head)).await?;
    if reply.status == StatusCode::NO_CONTENT {
        session.finish_body().await
    } else {
        session.write_response_body(reply.body.clone(), true).await
    }
}
