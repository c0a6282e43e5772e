//! What a client may say in headers: nothing twice, nothing that can be mistaken for identity, one framing.
//!
//! A header is judged by its name as lax servers see it, where every character but letters and digits is the same
//! (CGI turns `X-Org-Id`, `X_Org_Id` and `X.Org.Id` into one variable). Only headers that are lists may be repeated.

use http::HeaderName;

use super::raw::{Line, is_token, trim};
use crate::config::Limits;
use crate::model::Reason;

pub(super) struct Facts<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) websocket: bool,
}

/// Headers that decide who asks, where the request goes or where it ends.
const SENSITIVE: [&str; 14] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "expect",
    "host",
    "if-match",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "x-api-key",
];

const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

const PATH_OVERRIDES: [&str; 5] =
    ["x-forwarded-prefix", "x-forwarded-uri", "x-original-uri", "x-original-url", "x-rewrite-url"];

const UPGRADES: [&str; 2] = ["http2-settings", "upgrade"];

/// Defined as lists, so that two lines mean the same as one. All else may come once, the header that chooses a tenant
/// among it.
const LISTS: [&str; 18] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "baggage",
    "cache-control",
    "connection",
    "forwarded",
    "if-none-match",
    "pragma",
    "prefer",
    "te",
    "trailer",
    "tracestate",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Of one connection; HTTP/2 has none of them (RFC 9113, section 8.2.2).
const HTTP1_ONLY: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding"];

pub(super) fn read<'a>(
    lines: &[Line<'a>],
    identity: &[HeaderName],
    http1: bool,
    websockets: bool,
    limits: &Limits,
) -> Result<Facts<'a>, Reason> {
    // 4: the colon, the space and the line's end.
    let bytes = lines.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    if lines.len() > limits.headers || bytes > limits.header_bytes {
        return Err(Reason::TooManyHeaders);
    }
    let mut facts = Facts { host: None, length: None, chunked: false, websocket: false };
    // Framing is looked at first: with two framings, nothing else in the head can be believed.
    for (name, value) in lines {
        match name.as_str() {
            "content-length" if facts.length.is_some() => return Err(Reason::AmbiguousFraming),
            "content-length" => facts.length = Some(length(value)?),
            "transfer-encoding" if !http1 => return Err(Reason::AmbiguousFraming),
            "transfer-encoding" if facts.chunked || !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(Reason::AmbiguousFraming);
            }
            "transfer-encoding" => facts.chunked = true,
            _ => {}
        }
    }
    if facts.chunked && facts.length.is_some() {
        return Err(Reason::AmbiguousFraming);
    }
    let identity: Vec<String> = identity.iter().map(|name| lax(name.as_str().as_bytes())).collect();
    let guarded = |name: &str| SENSITIVE.contains(&name) || identity.iter().any(|known| known == name);
    // Both must say it (RFC 6455, section 4.1).
    let mut upgrades = (false, false);
    let mut seen: Vec<&str> = Vec::with_capacity(lines.len());
    for (name, value) in lines {
        if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(Reason::MalformedRequest);
        }
        let read_as = lax(name.as_bytes());
        if websockets && name == "upgrade" && value.eq_ignore_ascii_case(b"websocket") {
            upgrades.0 = true;
        } else {
            one(name, &read_as)?;
        }
        if identity.contains(&read_as) || (*name != read_as && guarded(&read_as)) {
            return Err(Reason::AmbiguousHeader);
        }
        if !http1 && HTTP1_ONLY.contains(&name.as_str()) {
            return Err(Reason::MalformedRequest);
        }
        // HTTP/2 may split cookies over lines (RFC 9113, section 8.2.3).
        let list = LISTS.contains(&name.as_str()) || (!http1 && name == "cookie");
        if !list && seen.contains(&name.as_str()) {
            return Err(Reason::AmbiguousHeader);
        }
        seen.push(name);
        match name.as_str() {
            "host" => facts.host = Some(std::str::from_utf8(value).map_err(|_| Reason::MalformedRequest)?),
            "expect" if !value.eq_ignore_ascii_case(b"100-continue") => return Err(Reason::MalformedRequest),
            "te" if !http1 && !value.eq_ignore_ascii_case(b"trailers") => return Err(Reason::MalformedRequest),
            "connection" => upgrades.1 = connection(value, websockets, &guarded)?,
            _ => {}
        }
    }
    if upgrades.0 != upgrades.1 {
        return Err(Reason::UpgradeNotDeclared);
    }
    facts.websocket = upgrades.0;
    Ok(facts)
}

/// Headers that are refused for what they ask.
fn one(name: &str, read_as: &str) -> Result<(), Reason> {
    if METHOD_OVERRIDES.contains(&read_as) {
        Err(Reason::MethodNotSupported)
    } else if PATH_OVERRIDES.contains(&read_as) {
        Err(Reason::AmbiguousPath)
    } else if UPGRADES.contains(&read_as) {
        Err(Reason::UpgradeNotDeclared)
    } else if name.bytes().all(is_token) {
        Ok(())
    } else {
        Err(Reason::MalformedRequest)
    }
}

/// A nominated header would be removed on the way: harmless, unless it is one that matters. Whether `upgrade` is among them,
/// where it may be.
fn connection(value: &[u8], websockets: bool, guarded: &impl Fn(&str) -> bool) -> Result<bool, Reason> {
    let mut upgrades = false;
    for option in value.split(|b| *b == b',').map(trim) {
        // Says nothing (RFC 9110, section 5.6.1.2).
        if option.is_empty() {
            continue;
        }
        if !option.iter().all(|b| is_token(*b)) {
            return Err(Reason::AmbiguousHeader);
        }
        let option = lax(option);
        if websockets && option == "upgrade" {
            upgrades = true;
            continue;
        }
        if UPGRADES.contains(&option.as_str()) {
            return Err(Reason::UpgradeNotDeclared);
        }
        if option != "te" && guarded(&option) {
            return Err(Reason::AmbiguousHeader);
        }
    }
    Ok(upgrades)
}

/// Digits alone. Not `+5`, `0x5`, `5, 5`, nor `010`, which some read as octal.
fn length(value: &[u8]) -> Result<u64, Reason> {
    let text = std::str::from_utf8(value).map_err(|_| Reason::AmbiguousFraming)?;
    if !text.bytes().all(|b| b.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return Err(Reason::AmbiguousFraming);
    }
    text.parse().map_err(|_| Reason::AmbiguousFraming)
}

/// A name as a server sees it that does not tell `-` from `_` or `.`.
fn lax(name: &[u8]) -> String {
    let fold = |b: &u8| if b.is_ascii_alphanumeric() { char::from(b.to_ascii_lowercase()) } else { '-' };
    name.iter().map(fold).collect()
}

/// `host`, `host:port` or `[address]:port`, in lower case. No user, path, list, white space or empty label.
pub(super) fn host(value: &[u8]) -> Result<String, Reason> {
    let text = std::str::from_utf8(value).map_err(|_| Reason::MalformedRequest)?;
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(Reason::MalformedRequest)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| Reason::MalformedRequest)?;
            (None, port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at_checked(end).ok_or(Reason::MalformedRequest)?;
            (Some(name), port)
        }
    };
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|number| number > 0)
        });
    if name.is_none_or(|name| name.len() <= 253 && name.split('.').all(label)) && port_fits {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Reason::MalformedRequest)
    }
}
