//! One meaning for each request, or a refusal.
//!
//! Whatever two parsers could read differently is refused with 400 before anything looks at it: encoded slashes, dot
//! segments, double encoding, repeated security headers, ambiguous framing, method overrides, undeclared upgrades. What
//! passes is taken apart once into decoded segments and query pairs; only these are matched, and only what is printed
//! from them is forwarded. Second step on the path; pure.

mod headers;
mod origin;
mod raw;
mod target;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Version};

use crate::config::Limits;
use crate::model::Reason;
pub use origin::origin;

/// A request's head as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a Method,
    /// The request target's bytes as received: path and query (or, in HTTP/2, `:path`).
    pub target: &'a [u8],
    pub version: Version,
    pub headers: &'a HeaderMap,
    /// HTTP/1 only: the whole head as received, to see what a parser forgives (bare LF, obs-fold, a dropped
    /// Content-Length). An HTTP/1 head without it can't be judged and is refused.
    pub raw: Option<&'a [u8]>,
    /// HTTP/2 only: `:authority`.
    pub authority: Option<&'a str>,
    /// HTTP/2 only: `:scheme`.
    pub scheme: Option<&'a str>,
    /// HTTP/2 only: `:protocol`, of a CONNECT that goes on as something else (RFC 8441, section 4).
    pub protocol: Option<&'a str>,
    pub client: IpAddr,
    /// Whether any route takes WebSockets: else no upgrade is asked for.
    pub websockets: bool,
}

/// A request with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    pub method: Method,
    /// In lower case, with the port if one was named.
    pub host: String,
    /// Decoded path segments: no empty, dot or slash-bearing ones.
    pub segments: Vec<String>,
    /// Decoded pairs in the order given; no name occurs twice, whatever its case.
    pub query: Vec<(String, String)>,
    /// Whether a body follows. HTTP/1: a Content-Length above 0, or chunked. HTTP/2 frames the body apart from the head,
    /// so here it says that one may follow: POST, PATCH or PUT without `Content-Length: 0`. A GET or DELETE over HTTP/2
    /// whose stream does not end with its head is for the reader of the stream to refuse.
    pub has_body: bool,
    /// Whether it asks to go on as a WebSocket.
    pub websocket: bool,
}

/// Reads a head. `identity` names headers that carry tenant or identity upstream: a client that sends one, or a
/// look-alike (`X_Org_Id`), is refused.
pub fn canonicalise(head: &Head<'_>, identity: &[HeaderName], limits: &Limits) -> Result<Canonical, Reason> {
    if head.target.len() > limits.target {
        return Err(Reason::TargetTooLong);
    }
    let http1 = match head.version {
        Version::HTTP_11 => true,
        Version::HTTP_2 => false,
        _ => return Err(Reason::VersionNotSupported),
    };
    let (named, lines) = if http1 {
        raw::lines(head, limits)?
    } else {
        (None, head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes())).collect())
    };
    // HTTP/2 comes by TLS alone. Whoever asks for another scheme asks a proxy for something that is elsewhere.
    if !http1 && head.scheme != Some("https") {
        return Err(Reason::MalformedRequest);
    }
    let extended = is_extended(head)?;
    if !extended {
        method(head.method)?;
    }
    let facts = headers::read(&lines, identity, http1, head.websockets && http1, limits)?;
    if http1 && !raw::agrees(&lines, head.headers) {
        return Err(Reason::MalformedRequest);
    }
    let host = match (http1, head.authority, facts.host) {
        (true, None, Some(host)) | (false, Some(host), None) => headers::host(host.as_bytes())?,
        (false, Some(authority), Some(host)) => {
            let authority = headers::host(authority.as_bytes())?;
            if headers::host(host.as_bytes())? != authority {
                return Err(Reason::AmbiguousHeader);
            }
            authority
        }
        _ => return Err(Reason::MalformedRequest),
    };
    // The authority of a target in absolute form goes before the `Host` (RFC 9112, section 3.2.2), so both must be the same.
    if named.is_some_and(|(named, _)| headers::host(named).ok().as_ref() != Some(&host)) {
        return Err(Reason::AmbiguousHeader);
    }
    let writes = matches!(*head.method, Method::POST | Method::PATCH | Method::PUT);
    let announced = facts.chunked || facts.length.is_some_and(|length| length > 0);
    if announced && !writes {
        return Err(Reason::BodyExpected);
    }
    let has_body = if http1 { announced } else { writes && facts.length != Some(0) };
    if facts.websocket && (*head.method != Method::GET || announced) || extended && facts.length.is_some() {
        return Err(Reason::UpgradeNotDeclared);
    }
    let (segments, query) = target::read(named.map_or(head.target, |(_, path)| path))?;
    let (method, websocket) = (if extended { Method::GET } else { head.method.clone() }, facts.websocket || extended);
    Ok(Canonical { method, host, segments, query, has_body, websocket })
}

/// Whether a CONNECT of HTTP/2 asks for a WebSocket, as a GET of HTTP/1.1 does with `Upgrade` (RFC 8441, section 5). Errors: it
/// asks for something else, or where there are none.
fn is_extended(head: &Head<'_>) -> Result<bool, Reason> {
    match head.protocol {
        None => Ok(false),
        Some(protocol) if head.websockets && head.version == Version::HTTP_2 && *head.method == Method::CONNECT => {
            if protocol.eq_ignore_ascii_case("websocket") {
                Ok(true)
            } else {
                Err(Reason::UpgradeNotDeclared)
            }
        }
        Some(_) => Err(Reason::UpgradeNotDeclared),
    }
}

/// A request within another one's body, by the rules of its own head; it has none but these.
pub fn part(
    outer: &Canonical,
    method: &str,
    target: &str,
    has_body: bool,
    limits: &Limits,
) -> Result<Canonical, Reason> {
    if target.len() > limits.target {
        return Err(Reason::TargetTooLong);
    }
    let method = match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        "PUT" => Method::PUT,
        "DELETE" => Method::DELETE,
        _ => return Err(Reason::MethodNotSupported),
    };
    if has_body && !matches!(method, Method::POST | Method::PATCH | Method::PUT) {
        return Err(Reason::BodyExpected);
    }
    let (segments, query) = target::read(target.as_bytes())?;
    Ok(Canonical { method, host: outer.host.clone(), segments, query, has_body, websocket: false })
}

/// A path as a request for it would be understood, printed again. `None`: such a request is refused.
pub fn path(text: &str) -> Option<String> {
    target::read(text.as_bytes()).ok().map(|(segments, _)| target::print_path(&segments))
}

impl Canonical {
    /// The method whose route and rules apply: a HEAD is a GET whose answer's body is kept back (RFC 9110, section 9.3.2).
    pub fn judged_as(&self) -> &Method {
        if self.method == Method::HEAD { &Method::GET } else { &self.method }
    }

    /// For logs of the audit: the path as it was understood, percent-encoded again.
    pub fn path(&self) -> String {
        target::print_path(&self.segments)
    }

    /// The query as it was understood, percent-encoded again, without a leading `?`.
    pub fn query_text(&self) -> String {
        target::print_query(self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

fn method(method: &Method) -> Result<(), Reason> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PATCH | Method::PUT | Method::DELETE => Ok(()),
        // Has one meaning, and is for the next to answer: no route is declared for it.
        Method::OPTIONS => Ok(()),
        Method::CONNECT => Err(Reason::UpgradeNotDeclared),
        _ => Err(Reason::MethodUnknown),
    }
}
