//! An HTTP/1 head as its bytes came, read strictly (RFC 9112, sections 2.2, 3 and 5).
//!
//! Parsers forgive bare line feeds, folded lines and white space before colons, and pingora's drops a Content-Length
//! beside a Transfer-Encoding. So the lines are read again here, judged by these bytes, and must agree with what the
//! parser made of them.

use http::HeaderMap;

use super::Head;
use crate::config::Limits;
use crate::model::Reason;

/// A header's name in lower case, and its value without white space around it.
pub(super) type Line<'a> = (String, &'a [u8]);

/// The authority and the path of a target in absolute form.
pub(super) type Absolute<'a> = (&'a [u8], &'a [u8]);

/// What of the target is in absolute form, if it is, and the lines of the headers.
pub(super) type Lines<'a> = (Option<Absolute<'a>>, Vec<Line<'a>>);

pub(super) fn lines<'a>(head: &Head<'a>, limits: &Limits) -> Result<Lines<'a>, Reason> {
    let raw = head.raw.ok_or(Reason::MalformedRequest)?;
    if raw.len() > limits.head() {
        return Err(Reason::TooManyHeaders);
    }
    let mut rest = raw.strip_suffix(b"\r\n\r\n").ok_or(Reason::MalformedRequest)?;
    let mut lines = Vec::new();
    let (mut first, mut named) = (true, None);
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or(rest.len());
        let (line, after) = rest.split_at_checked(end).ok_or(Reason::MalformedRequest)?;
        rest = match after.strip_prefix(b"\r\n") {
            // Only a line before the last can be followed by nothing: an empty line ends a head.
            Some([]) => return Err(Reason::MalformedRequest),
            Some(next) => next,
            None => &[],
        };
        if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(Reason::MalformedRequest);
        }
        if std::mem::take(&mut first) {
            named = request_line(line, head)?;
        } else {
            if lines.len() == limits.headers {
                return Err(Reason::TooManyHeaders);
            }
            lines.push(header(line)?);
        }
    }
    if first { Err(Reason::MalformedRequest) } else { Ok((named, lines)) }
}

/// One space between the parts, the version exactly `HTTP/1.1`, and method and target as the parser gave them.
fn request_line<'a>(line: &'a [u8], head: &Head<'_>) -> Result<Option<Absolute<'a>>, Reason> {
    let mut parts = line.split(|b| *b == b' ');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(b"HTTP/1.1"), None) = parts else { return Err(Reason::MalformedRequest) };
    if method != head.method.as_str().as_bytes() {
        return Err(Reason::MalformedRequest);
    }
    // A parser gives the path of one in absolute form, or all of it.
    let found = absolute(target);
    let agrees = target == head.target || found.is_some_and(|(_, path)| path == head.target);
    if agrees { Ok(found) } else { Err(Reason::MalformedRequest) }
}

/// The authority, and the path with its query, of a target in absolute form (RFC 9112, section 3.2.2). Without a path it is not
/// looked into what that means.
fn absolute(target: &[u8]) -> Option<Absolute<'_>> {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes())))?;
    let rest = target.get(scheme.len()..)?;
    rest.split_at_checked(rest.iter().position(|byte| *byte == b'/')?)
}

fn header(line: &[u8]) -> Result<Line<'_>, Reason> {
    let colon = line.iter().position(|b| *b == b':').ok_or(Reason::MalformedRequest)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Reason::MalformedRequest)?;
    // A folded line and a space before the colon both show as a byte that is no token.
    if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
        return Err(Reason::MalformedRequest);
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Ok((name, trim(value.strip_prefix(b":").unwrap_or_default())))
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Without spaces and tabs around it; other white space is part of the value.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether the parser understood the same headers.
pub(super) fn agrees(lines: &[Line<'_>], parsed: &HeaderMap) -> bool {
    let same = |name: &http::HeaderName| {
        let ours = lines.iter().filter(|(known, _)| known == name.as_str()).map(|(_, value)| *value);
        ours.eq(parsed.get_all(name).iter().map(|value| trim(value.as_bytes())))
    };
    lines.len() == parsed.len() && parsed.keys().all(same)
}
