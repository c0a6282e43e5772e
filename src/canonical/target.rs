//! The request target, taken apart into decoded segments and query pairs (RFC 3986; WHATWG URL, form-urlencoded).
//!
//! Only origin-form. A path is decoded once, and refused if decoding it again, splitting it elsewhere, dropping an empty
//! segment or a trailing dot would give another path. A query is read as a form: `+` is a space, `;` separates no pairs.

use std::collections::HashSet;

use crate::model::Reason;
use crate::model::percent::encode;

/// No described route is near this deep.
const MAX_SEGMENTS: usize = 32;
const MAX_PAIRS: usize = 64;

type Target = (Vec<String>, Vec<(String, String)>);

pub(super) fn read(target: &[u8]) -> Result<Target, Reason> {
    let target = std::str::from_utf8(target).map_err(|_| Reason::MalformedRequest)?;
    if !target.starts_with('/') || target.bytes().any(|b| !b.is_ascii_graphic() || b == b'#') {
        return Err(Reason::MalformedRequest);
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let segments = segments(path)?;
    let pairs = query.filter(|query| !query.is_empty()).map_or(Ok(Vec::new()), pairs)?;
    Ok((segments, pairs))
}

fn segments(path: &str) -> Result<Vec<String>, Reason> {
    if path == "/" {
        return Ok(Vec::new());
    }
    let path = path.strip_prefix('/').ok_or(Reason::MalformedRequest)?;
    let mut segments = Vec::new();
    for raw in path.split('/') {
        if segments.len() == MAX_SEGMENTS {
            return Err(Reason::TargetTooLong);
        }
        if raw.contains(['\\', ';', '"', '<', '>', '^', '`', '{', '|', '}']) {
            return Err(Reason::AmbiguousPath);
        }
        let segment = decode(raw, false).ok_or(Reason::AmbiguousPath)?;
        // A dot at the end covers `.` and `..` too. The parser underneath escapes a raw space, which other parsers take for
        // the end of the target, so that it can't be told from an escaped one.
        if segment.is_empty() || segment.ends_with('.') || segment.contains(['/', '\\', ';', '%', ' ']) {
            return Err(Reason::AmbiguousPath);
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Reason> {
    if query.contains('\\') {
        return Err(Reason::AmbiguousQuery);
    }
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    for raw in query.split('&') {
        if pairs.len() == MAX_PAIRS {
            return Err(Reason::TargetTooLong);
        }
        let (name, value) = raw.split_once('=').filter(|_| !separates(raw)).ok_or(Reason::AmbiguousQuery)?;
        let name = decode(name, true).ok_or(Reason::AmbiguousQuery)?;
        let value = decode(value, true).ok_or(Reason::AmbiguousQuery)?;
        // A name that still holds `%` means another one to whoever decodes twice.
        if name.is_empty() || name.contains('%') {
            return Err(Reason::AmbiguousQuery);
        }
        // Some upstreams ignore the case of names, so names that differ only in it are the same.
        let folded = name.to_lowercase();
        if folded == "_method" {
            return Err(Reason::MethodNotSupported);
        }
        if !seen.insert(folded) {
            return Err(Reason::AmbiguousQuery);
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Whether a pair holds a `;` that some take for the end of it. Of an `$expand` one may stand in each pair of parentheses,
/// between its two options, as OData's clients send it (OData 4.01, part 2, section 5.1.3): who splits there has parts of which none
/// is whole.
fn separates(raw: &str) -> bool {
    if !raw.contains(';') {
        return false;
    }
    let Some(value) = raw.strip_prefix("$expand=") else { return true };
    // Whether each of the open parentheses has had its one.
    let mut open: Vec<bool> = Vec::new();
    for byte in value.bytes() {
        match byte {
            b'(' => open.push(false),
            b')' if open.pop().is_none() => return true,
            b';' if open.last_mut().is_none_or(|had| std::mem::replace(had, true)) => return true,
            _ => {}
        }
    }
    !open.is_empty()
}

/// Percent-decodes once. `None`: a broken escape, invalid UTF-8 (overlong forms are) or a control character.
fn decode(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if form => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

pub(super) fn print_path(segments: &[String]) -> String {
    if segments.is_empty() {
        return "/".to_owned();
    }
    segments.iter().fold(String::new(), |mut out, segment| {
        out.push('/');
        encode(segment, &mut out);
        out
    })
}

pub(super) fn print_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.fold(String::new(), |mut out, (name, value)| {
        if !out.is_empty() {
            out.push('&');
        }
        encode(name, &mut out);
        out.push('=');
        encode(value, &mut out);
        out
    })
}
