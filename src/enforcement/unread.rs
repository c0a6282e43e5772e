//! Requests whose answers nobody reads: declared opaque routes, streams of events and WebSockets.
//!
//! For whoever holds one of the route's roles; for all others they are not there. Of the client's headers those leave that the
//! route declares, and what a body is. None of them can be one that the gateway sends itself, or means something by.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{Case, Opaque, Outgoing, Permit, WebSocket};
use crate::api::{Api, Live, Route, RouteKind};
use crate::model::{Name, Reason};

/// Of what a client calls the last event that it has seen.
const MAX_EVENT_ID: usize = 256;
/// Of what a client says that a body is. The boundary of its parts has up to 70 signs (RFC 2046, section 5.1.1).
const MAX_CONTENT_TYPE: usize = 256;

/// A request to such a route.
#[derive(Clone, Copy)]
pub struct Unread<'a> {
    pub api: &'a Api,
    pub route: &'a Route,
    pub variables: &'a [(Name, String)],
    pub pairs: &'a [(String, String)],
    /// The client's.
    pub headers: &'a HeaderMap,
}

impl Permit<Opaque> {
    /// The same, with what the client sends.
    pub fn carrying(mut self, body: Bytes) -> Self {
        self.outgoing.body = body;
        self
    }
}

impl Case<'_> {
    /// A declared opaque route, without a body yet.
    pub fn opaque(&self, asked: &Unread<'_>) -> Result<Permit<Opaque>, Reason> {
        let RouteKind::Opaque { media_types, .. } = &asked.route.kind else { return Err(Reason::RouteUnknown) };
        let mut outgoing = self.unread(asked)?;
        let only = if let [only] = &media_types[..] { HeaderValue::from_str(only).ok() } else { None };
        outgoing.headers.insert(header::ACCEPT, only.unwrap_or(HeaderValue::from_static("*/*")));
        describe_body(asked, &mut outgoing)?;
        let purpose = Opaque { media_types: media_types.clone() };
        Ok(Permit { upstream: Name::clone(&asked.api.upstream), outgoing, purpose })
    }

    /// A declared stream of events, from behind the last one that the client has seen.
    pub fn events(&self, asked: &Unread<'_>) -> Result<Permit<Opaque>, Reason> {
        let mut outgoing = self.unread(asked)?;
        outgoing.headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let name = HeaderName::from_static("last-event-id");
        if let Some(last) = asked.headers.get(&name) {
            if last.len() > MAX_EVENT_ID {
                return Err(Reason::MalformedRequest);
            }
            outgoing.headers.insert(name, text(last)?);
        }
        let purpose = Opaque { media_types: Vec::new() };
        Ok(Permit { upstream: Name::clone(&asked.api.upstream), outgoing, purpose })
    }

    /// A declared WebSocket. `offered`: the protocols that the client speaks; what is not declared of them is not passed on.
    pub fn websocket(&self, asked: &Unread<'_>, offered: &[&str]) -> Result<Permit<WebSocket>, Reason> {
        let RouteKind::Opaque { live: Some(Live::WebSocket { protocols }), .. } = &asked.route.kind else {
            return Err(Reason::RouteUnknown);
        };
        let mut outgoing = self.unread(asked)?;
        let headers = &mut outgoing.headers;
        headers.remove(header::ACCEPT);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let spoken: Vec<&str> =
            protocols.iter().map(|known| &**known).filter(|known| offered.contains(known)).collect();
        if !spoken.is_empty() {
            let spoken = HeaderValue::from_str(&spoken.join(", ")).map_err(|_| Reason::MalformedRequest)?;
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, spoken);
        }
        Ok(Permit { upstream: Name::clone(&asked.api.upstream), outgoing, purpose: WebSocket })
    }

    /// The request, for whoever holds one of the route's roles; it is hidden from credentials cut down to tables.
    fn unread(&self, asked: &Unread<'_>) -> Result<Outgoing, Reason> {
        let RouteKind::Opaque { roles, request_headers, .. } = &asked.route.kind else {
            return Err(Reason::RouteUnknown);
        };
        if !roles.iter().any(|role| self.principal.has_role(role)) || self.principal.scopes.is_some() {
            return Err(Reason::TableHidden);
        }
        if !asked.pairs.is_empty() {
            return Err(Reason::QueryNotAllowed);
        }
        let outgoing = self.outgoing(asked.api, asked.route, asked.variables, "");
        let mut outgoing = outgoing.ok_or(Reason::RouteUnknown)?;
        for name in request_headers {
            // Invariant: the gateway sends none of these itself; those that it sends can't be declared.
            for value in asked.headers.get_all(name).iter().filter(|_| !is_nominated(asked.headers, name)) {
                outgoing.headers.append(name, text(value)?);
            }
        }
        Ok(outgoing)
    }
}

/// Says what the body is, as the client does.
fn describe_body(asked: &Unread<'_>, outgoing: &mut Outgoing) -> Result<(), Reason> {
    if !matches!(asked.route.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(());
    }
    if let Some(kind) = asked.headers.get(header::CONTENT_TYPE) {
        if kind.is_empty() || kind.len() > MAX_CONTENT_TYPE {
            return Err(Reason::MalformedRequest);
        }
        outgoing.headers.insert(header::CONTENT_TYPE, text(kind)?);
    }
    // A limit counts the bytes that come: of a compressed body the service would be given more. Whoever declares the header
    // leaves that to the service.
    let coding = asked.headers.get(header::CONTENT_ENCODING);
    let is_coded = coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_coded && !outgoing.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Reason::CodingUnsupported);
    }
    Ok(())
}

/// A value that every server reads alike.
fn text(value: &HeaderValue) -> Result<HeaderValue, Reason> {
    value.to_str().map(|_| value.clone()).map_err(|_| Reason::MalformedRequest)
}

/// Whether a header is about this connection alone (RFC 9110, section 7.6.1).
fn is_nominated(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|option| option.trim().eq_ignore_ascii_case(name.as_str()))
}
