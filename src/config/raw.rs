//! The words of a gateway file as they are written: sizes, durations, URLs, names, claims and paths.
//!
//! Each reader here takes one node, reports what is wrong with it and gives a typed value, or nothing beside an error.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;

use crate::config::{ClaimPath, Scheme};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::model::Name;
use crate::yaml::{Node, Reader, Text, Value};

pub(super) fn text(node: Option<&Node>, what: &'static str, reader: &mut Reader) -> Option<Text> {
    node.and_then(|node| reader.text(node, what))
}

pub(super) fn name(node: Option<&Node>, what: &'static str, reader: &mut Reader) -> Option<Name> {
    text(node, what, reader).map(|text| text.value.as_str().into())
}

/// A path beside the file that names it.
pub(super) fn path(node: Option<&Node>, what: &'static str, folder: &Path, reader: &mut Reader) -> Option<PathBuf> {
    let text = text(node, what, reader)?;
    let path = folder.join(&text.value);
    reader.named.push((path.clone(), text.span));
    Some(path)
}

/// A non-empty list of distinct words, each with its place.
pub(super) fn distinct(node: Option<&Node>, what: &'static str, reader: &mut Reader) -> Vec<Text> {
    let Some(node) = node else { return Vec::new() };
    let texts = reader.texts(node, what);
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.error("empty-list", &node.span, format!("{what} must name at least one"));
    }
    let mut seen = BTreeSet::new();
    for text in &texts {
        if !seen.insert(text.value.as_str()) {
            reader.error("duplicate-name", &text.span, format!("`{}` is listed twice", text.value));
        }
    }
    texts
}

/// A word that a CEL expression can use as a name.
pub(super) fn identifier(text: &Text, reader: &mut Reader) -> Name {
    let fits = text.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fits {
        let message = format!("`{}` must be a name of letters, digits and `_`", text.value);
        reader.error("bad-name", &text.span, message);
    }
    text.value.as_str().into()
}

/// `64KiB`, `8MiB`, or plain bytes.
pub(super) fn size(
    node: &Node,
    what: &'static str,
    range: RangeInclusive<usize>,
    reader: &mut Reader,
) -> Option<usize> {
    let text = reader.text(node, what)?;
    let digits = text.value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.value.strip_prefix(digits).unwrap_or_default();
    let factor: Option<usize> = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor| digits.parse::<usize>().ok()?.checked_mul(factor));
    let Some(bytes) = bytes else {
        reader.error("bad-size", &text.span, format!("{what}: `{}` is not a size", text.value)).help =
            Some("for example 64KiB, 8MiB or 65536".to_owned());
        return None;
    };
    in_range(bytes, range, &text, what, reader)
}

fn in_range(n: usize, range: RangeInclusive<usize>, text: &Text, what: &str, reader: &mut Reader) -> Option<usize> {
    if range.contains(&n) {
        return Some(n);
    }
    let message = format!("{what} must be from {} to {}, not {n}", range.start(), range.end());
    reader.error("out-of-range", &text.span, message);
    None
}

pub(super) fn duration(
    node: &Node,
    what: &'static str,
    range: RangeInclusive<Duration>,
    reader: &mut Reader,
) -> Option<Duration> {
    let text = reader.text(node, what)?;
    let digits = text.value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match text.value.strip_prefix(digits).unwrap_or_default() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let Some(found) = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit)).map(Duration::from_millis)
    else {
        reader.error("bad-duration", &text.span, format!("{what}: `{}` is not a duration", text.value)).help =
            Some("for example 500ms, 30s or 5m".to_owned());
        return None;
    };
    if range.contains(&found) {
        return Some(found);
    }
    let message = format!("{what} must be from {:?} to {:?}, not {}", range.start(), range.end(), text.value);
    reader.error("out-of-range", &text.span, message);
    None
}

/// Headers that HTTP or the gateway itself gives a meaning.
pub(super) const RESERVED: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-http-method-override",
];

pub(super) fn header(text: &Text, also: &[&str], reader: &mut Reader) -> Option<HeaderName> {
    let Ok(name) = HeaderName::try_from(text.value.as_str()) else {
        reader.error("bad-header", &text.span, format!("`{}` is not a header's name", text.value));
        return None;
    };
    if RESERVED.contains(&name.as_str()) || also.contains(&name.as_str()) {
        reader.error("bad-header", &text.span, format!("the header `{}` has a meaning of its own", text.value));
        return None;
    }
    Some(name)
}

pub(super) fn claim_path(text: &Text, reader: &mut Reader) -> Option<ClaimPath> {
    let found = claims(&text.value);
    if found.is_none() {
        let message = format!("`{}` is not a claim", text.value);
        reader.error("bad-claim", &text.span, message).help = Some("for example claims.sub".to_owned());
    }
    found
}

pub(super) fn claims(text: &str) -> Option<ClaimPath> {
    let names: Vec<Name> = text.strip_prefix("claims.")?.split('.').map(Name::from).collect();
    let member = |name: &Name| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    names.iter().all(member).then_some(ClaimPath(names))
}

/// A URL taken apart.
pub(super) struct Url {
    pub(super) scheme: Scheme,
    /// Without brackets around an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// Without a slash at its end.
    pub(super) path: String,
    pub(super) uri: http::Uri,
}

impl Url {
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

/// An absolute http(s) URL of which nothing is dropped in silence: no userinfo, query or fragment.
pub(super) fn url(text: &Text, reader: &mut Reader) -> Option<Url> {
    match parse_url(&text.value) {
        Ok(url) => Some(url),
        Err(reason) => {
            // The text is not repeated: it may hold a password.
            reader.error("bad-url", &text.span, reason).help =
                Some("for example https://crm.internal:8055/base".to_owned());
            None
        }
    }
}

/// Whether a text is an origin as browsers send it: in lower case, with neither a path nor the scheme's own port (RFC 6454,
/// section 6.2).
pub(super) fn is_origin(text: &str) -> bool {
    parse_url(text).is_ok_and(|url| {
        let (scheme, default) = match url.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.to_ascii_lowercase() };
        let port = if url.port == default { String::new() } else { format!(":{}", url.port) };
        text == format!("{scheme}://{host}{port}")
    })
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text.contains('@') {
        return Err("a URL can't hold a user or a password; use `credential`");
    }
    if text.contains(['?', '#']) {
        return Err("a URL can't have a query or a fragment here");
    }
    let uri: http::Uri = text.parse().map_err(|_| "this is not a URL")?;
    let (scheme, default) = match uri.scheme_str() {
        Some("http") => (Scheme::Http, 80),
        Some("https") => (Scheme::Https, 443),
        _ => return Err("a URL must begin with http:// or https://"),
    };
    let authority = uri.authority().ok_or("a URL needs a host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if rustls_pki_types::ServerName::try_from(host.as_str()).is_err() {
        return Err("a URL needs the name or the address of a host");
    }
    let written = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let port = match written.strip_prefix(':') {
        None => default,
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("a port is a number from 1 to 65535")?,
    };
    let path = uri.path().trim_end_matches('/').to_owned();
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:@".contains(&b))
    };
    if !path.split('/').skip(1).all(plain) {
        return Err("the path of this URL can be read in more than one way");
    }
    Ok(Url { scheme, host, port, path, uri })
}

pub(super) fn warn(reader: &mut Reader, code: &'static str, span: &Span, message: String) {
    reader.diagnostics.push(Diagnostic::warning(code, span.clone(), message));
}

pub(super) fn unknown<'a>(
    what: &str,
    code: &'static str,
    word: &Text,
    known: impl Iterator<Item = &'a str>,
    reader: &mut Reader,
) {
    let known: Vec<&str> = known.collect();
    let help = match nearest(&word.value, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("declared: {}", known.join(", "))),
    };
    reader.error(code, &word.span, format!("unknown {what} `{}`", word.value)).help = help;
}
