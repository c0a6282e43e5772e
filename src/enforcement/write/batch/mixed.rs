//! Batches as older clients of OData write them: requests of HTTP in `multipart/mixed` (OData 4.01, part 1, section 11.7.7;
//! RFC 2046, section 5.1).
//!
//! Lines end with CRLF, a boundary stands nowhere but where it separates, and lengths that are told are right: whatever
//! another reader could take apart elsewhere is refused. Writes stand in one change set, or one stands alone. What a part says
//! beside its request is refused unless it is so anyway. Nothing refers to another part.

use std::collections::HashSet;
use std::fmt::Write;

use memchr::memmem;

use super::{Part, Told, is_idle, is_plain_id, takes_text};
use crate::model::Reason;

pub const MEDIA_TYPE: &str = "multipart/mixed";
/// RFC 2046, section 5.1.1.
const MAX_BOUNDARY: usize = 70;
/// Of one part, and of one request.
const MAX_HEADERS: usize = 16;
/// What the parts of a change set belong to.
const GROUP: &str = "changes";

/// What separates the parts of a body of a multipart type. `None`: it is of another type. Errors: `MediaTypeUnsupported`.
pub fn boundary(content_type: &str, multipart: &str) -> Result<Option<String>, Reason> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case(multipart) {
        return Ok(None);
    }
    let (name, value) = parameters.split_once('=').ok_or(Reason::MediaTypeUnsupported)?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    let is_fine = !value.is_empty() && value.len() <= MAX_BOUNDARY && value.bytes().all(is_plain);
    if !name.trim().eq_ignore_ascii_case("boundary") || !is_fine {
        return Err(Reason::MediaTypeUnsupported);
    }
    Ok(Some(value.to_owned()))
}

/// Takes a client's batch apart. `host`: whom its requests are to. Errors: `BodyTooLarge` for more than `most` requests;
/// `BodyMalformed` for whatever else is no plain list of requests that are done together or not at all.
pub fn read<'b>(body: &'b [u8], boundary: &str, host: &str, most: usize) -> Result<Vec<Part<'b>>, Reason> {
    let mut reading = Reading { host, most, parts: Vec::new() };
    let (mut groups, mut alone) = (0, 0);
    for part in split(body, boundary).ok_or(Reason::BodyMalformed)? {
        let (headers, content) = head(part).ok_or(Reason::BodyMalformed)?;
        let kind = value(&headers, "content-type").ok_or(Reason::BodyMalformed)?;
        match self::boundary(kind, MEDIA_TYPE).map_err(|_| Reason::BodyMalformed)? {
            Some(inner) => {
                // A boundary that begins as another one does may be taken for it.
                let is_apart = !inner.starts_with(boundary) && !boundary.starts_with(&inner);
                let says = |name: &str| matches!(name, "content-type" | "content-length");
                if !is_apart || !fits(&headers, content, &says) {
                    return Err(Reason::BodyMalformed);
                }
                groups += 1;
                for part in split(content, &inner).ok_or(Reason::BodyMalformed)? {
                    reading.part(part, Some(GROUP))?;
                }
            }
            None => alone += usize::from(reading.part(part, None)? != "GET"),
        }
    }
    let mut ids = HashSet::new();
    let told_apart = reading.parts.iter().filter_map(|part| part.id.as_ref()).all(|id| ids.insert(id.clone()));
    let is_whole = groups + alone <= 1 && told_apart && !reading.parts.is_empty();
    if is_whole { Ok(reading.parts) } else { Err(Reason::BodyMalformed) }
}

struct Reading<'b, 'h> {
    host: &'h str,
    most: usize,
    parts: Vec<Part<'b>>,
}

impl<'b> Reading<'b, '_> {
    /// Reads one part that is a request; its method.
    fn part(&mut self, part: &'b [u8], group: Option<&str>) -> Result<String, Reason> {
        if self.parts.len() == self.most {
            return Err(Reason::BodyTooLarge);
        }
        let read = self.request(part, group).ok_or(Reason::BodyMalformed)?;
        let method = read.method.clone();
        self.parts.push(read);
        Ok(method)
    }

    fn request(&self, part: &'b [u8], group: Option<&str>) -> Option<Part<'b>> {
        let (outside, request) = head(part)?;
        let says =
            |name: &str| matches!(name, "content-type" | "content-length" | "content-transfer-encoding" | "content-id");
        let is_http = value(&outside, "content-type").is_some_and(|kind| kind.eq_ignore_ascii_case("application/http"));
        let is_binary =
            value(&outside, "content-transfer-encoding").is_none_or(|how| how.eq_ignore_ascii_case("binary"));
        (is_http && is_binary && fits(&outside, request, &says)).then_some(())?;
        let id = match value(&outside, "content-id") {
            Some(id) => Some(Some(id.to_owned()).filter(|id| is_plain_id(id))?),
            None => None,
        };
        let end = memmem::find(request, b"\r\n")?;
        let line = std::str::from_utf8(request.get(..end)?).ok()?;
        let mut words = line.split(' ');
        let (Some(method), Some(url), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        // Without headers, the empty line follows at once.
        let (headers, body) = head(request.get(end + 2..)?)?;
        let is_known = |(name, value): &(String, &str)| match name.as_str() {
            "host" => value.eq_ignore_ascii_case(self.host),
            "content-length" => true,
            name => is_idle(name, value),
        };
        (headers.iter().all(is_known) && fits(&headers, body, &|_| true)).then_some(())?;
        let reads = method == "GET";
        (!reads || group.is_none()).then_some(())?;
        (body.is_empty() || value(&headers, "content-type").is_some()).then_some(())?;
        let plain = headers.iter().any(|(name, value)| takes_text(name, value));
        Some(Part { id, group: group.map(str::to_owned), method: method.to_owned(), url: url.to_owned(), body, plain })
    }
}

/// What lies between the boundaries. `None`: one stands elsewhere, or something else than parts is there.
fn split<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<&'b [u8]>> {
    let delimiter = format!("--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        let Some(next) = rest.strip_prefix(b"\r\n") else {
            let end = rest.strip_prefix(b"--")?;
            return (!parts.is_empty() && matches!(end, b"" | b"\r\n")).then_some(parts);
        };
        let at = memmem::find(next, delimiter.as_bytes())?;
        let (part, after) = next.split_at_checked(at)?;
        parts.push(part.strip_suffix(b"\r\n")?);
        rest = after.strip_prefix(delimiter.as_bytes())?;
    }
}

/// Headers, and what they are of.
type Head<'b> = (Vec<(String, &'b str)>, &'b [u8]);

/// Headers up to an empty line, and what follows; without one, nothing follows. Names are in lower case, none occurs twice.
fn head(part: &[u8]) -> Option<Head<'_>> {
    let mut headers: Vec<(String, &str)> = Vec::new();
    let mut rest = part;
    loop {
        if let Some(content) = rest.strip_prefix(b"\r\n") {
            return Some((headers, content));
        }
        if rest.is_empty() {
            return Some((headers, rest));
        }
        let end = memmem::find(rest, b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        rest = rest.get(end + 2..)?;
        let (name, value) = line.split_once(':')?;
        let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value = value.trim_matches([' ', '\t']);
        let name = name.to_ascii_lowercase();
        let is_new = headers.len() < MAX_HEADERS && headers.iter().all(|(known, _)| *known != name);
        if !is_token || !is_new || value.chars().any(|c| c.is_control() && c != '\t') {
            return None;
        }
        headers.push((name, value));
    }
}

fn value<'h>(headers: &[(String, &'h str)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// Whether headers say nothing but what they may, and the right length, if any.
fn fits(headers: &[(String, &str)], content: &[u8], may: &dyn Fn(&str) -> bool) -> bool {
    let length = value(headers, "content-length");
    headers.iter().all(|(name, _)| may(name)) && length.is_none_or(|length| length == content.len().to_string())
}

/// The answer to such a batch. No answer holds the boundary: neither JSON nor a number has a line that begins
/// with `--`.
pub fn print(told: &[Told], boundary: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let inner = format!("changes_{boundary}");
    let mut grouped = false;
    for one in told {
        let in_group = one.group.is_some();
        if grouped && !in_group {
            out.extend_from_slice(format!("--{inner}--\r\n").as_bytes());
        }
        if in_group && !grouped {
            out.extend_from_slice(
                format!("--{boundary}\r\nContent-Type: {MEDIA_TYPE}; boundary={inner}\r\n\r\n").as_bytes(),
            );
        }
        grouped = in_group;
        answer(one, if in_group { &inner } else { boundary }, &mut out);
    }
    if grouped {
        out.extend_from_slice(format!("--{inner}--\r\n").as_bytes());
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

fn answer(told: &Told, boundary: &str, out: &mut Vec<u8>) {
    let mut head = format!("--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    // Writing to a text can't fail.
    if let Some(id) = &told.id {
        write!(head, "Content-ID: {id}\r\n").ok();
    }
    let reason = told.status.canonical_reason().unwrap_or_default();
    write!(head, "\r\nHTTP/1.1 {} {reason}\r\nOData-Version: 4.0\r\n", told.status.as_u16()).ok();
    if !told.body.is_empty() {
        write!(head, "Content-Type: {}\r\nContent-Length: {}\r\n", told.media_type(), told.body.len()).ok();
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&told.body);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
