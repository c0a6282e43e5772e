//! What a client says of a record that it has read, and of what it would write: `If-Match` and `If-None-Match` (RFC 9110,
//! section 13.1), and the tags that they speak of.
//!
//! A tag is made of what its reader was shown, and of who that is: what is hidden from them changes nothing in it, and
//! nobody can compare it with another's. The order of a record's members is no part of it, for services change that at will.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, header};

use crate::config::Coding;
use crate::enforcement::Case;
use crate::model::Reason;
use crate::redact::parts;

/// What stands between a tag and the coding of the bytes that it is of.
const CODED: char = '+';

#[derive(Debug, Default)]
pub(super) struct Conditions {
    matches: Option<Tags>,
    none_matches: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Tag>),
    Malformed,
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    /// In its quotes.
    opaque: String,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let tags = |name: HeaderName| {
            let lines = || headers.get_all(&name).iter();
            let text: Option<Vec<&str>> = lines().map(|line| line.to_str().ok()).collect();
            lines().next().map(|_| text.and_then(|lines| read(&lines.join(","))).unwrap_or(Tags::Malformed))
        };
        Self { matches: tags(header::IF_MATCH), none_matches: tags(header::IF_NONE_MATCH) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.matches.is_none() && self.none_matches.is_none()
    }

    /// Whether a record may be written that is there, under the tag that its reader knows; `None`: they can't read it. Errors:
    /// `PreconditionFailed`, and `MalformedRequest`.
    pub(super) fn check(&self, tag: Option<&str>) -> Result<(), Reason> {
        if self.is_malformed() {
            return Err(Reason::MalformedRequest);
        }
        let is = |known: &Tag| tag.is_some_and(|tag| known.is(tag));
        let matches = match &self.matches {
            None | Some(Tags::Any) => true,
            // A weak tag never proves that nothing has changed.
            Some(Tags::These(tags)) => tags.iter().any(|known| !known.weak && is(known)),
            Some(Tags::Malformed) => false,
        };
        let differs = match &self.none_matches {
            None => true,
            Some(Tags::These(tags)) => !tags.iter().any(is),
            Some(Tags::Any | Tags::Malformed) => false,
        };
        if matches && differs { Ok(()) } else { Err(Reason::PreconditionFailed) }
    }

    /// The same where there is no record that the client could know: nothing matches.
    pub(super) fn check_absent(&self) -> Result<(), Reason> {
        match self.matches {
            _ if self.is_malformed() => Err(Reason::MalformedRequest),
            Some(_) => Err(Reason::PreconditionFailed),
            None => Ok(()),
        }
    }

    /// The tag under which the client has what it asks for already, in the coding that it knows. What can't be read is not
    /// known.
    pub(super) fn known(&self, tag: &str) -> Option<String> {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        match self.none_matches.as_ref()? {
            Tags::Any => Some(tag.to_owned()),
            Tags::These(tags) => {
                let known = tags.iter().find(|known| known.is(opaque))?;
                Some(if known.opaque == opaque { tag.to_owned() } else { known.opaque.clone() })
            }
            Tags::Malformed => None,
        }
    }

    fn is_malformed(&self) -> bool {
        [&self.matches, &self.none_matches].into_iter().any(|tags| *tags == Some(Tags::Malformed))
    }
}

impl Tag {
    /// Whether it is that one, whatever the coding of its bytes.
    fn is(&self, tag: &str) -> bool {
        let plain = self.opaque.strip_suffix('"').and_then(|opaque| opaque.rsplit_once(CODED));
        self.opaque == tag || plain.is_some_and(|(plain, _)| tag.strip_suffix('"') == Some(plain))
    }
}

/// `*`, or a list of tags (RFC 9110, section 8.8.3). `None`: it is neither.
fn read(text: &str) -> Option<Tags> {
    let blank = |c: char| matches!(c, ' ' | '\t');
    let mut rest = text.trim_matches(blank);
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c| blank(c) || c == ',');
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(Tags::These(tags));
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        rest = after.trim_start_matches(blank);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        tags.push(Tag { weak, opaque: format!("\"{opaque}\"") });
    }
}

/// The tag of a record as a caller is shown it. `None`: it is no record.
pub(super) fn tag(case: &Case<'_>, table: &str, shown: &[u8]) -> Option<String> {
    if !shown.starts_with(b"{") {
        return None;
    }
    let mut ordered = Vec::with_capacity(shown.len());
    order(shown, case.depth, &mut ordered)?;
    // Without a key of the gateway's own, it is still a tag; who knows what it is of could make it then.
    let key = case.masking_key.map_or(&b""[..], |key| key.expose());
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let who =
        [&b"the tag of a record"[..], case.principal.issuer.as_bytes(), case.principal.id.as_bytes(), table.as_bytes()];
    let tenant = case.tenant.dimensions().map(|(_, value)| value.as_bytes());
    for part in who.into_iter().chain(tenant).chain([&*ordered]) {
        // Each with its length: no two lists of parts are the same bytes.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Some(format!("\"{}\"", URL_SAFE_NO_PAD.encode(mac.sign())))
}

/// Writes a value with the members of its objects in one order, and all that it is made of with its length. Recursion is bounded
/// by the depth that was allowed when it was read.
fn order(value: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let part = |bytes: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    match value.first() {
        Some(b'{') => {
            let mut members = parts::members(value, depth).ok()?;
            members.sort_unstable();
            out.push(b'{');
            for (name, value) in members {
                part(&name, out);
                order(value, depth, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            out.push(b'[');
            for element in parts::elements(value, usize::MAX, depth).ok()? {
                order(element, depth, out)?;
            }
            out.push(b']');
        }
        _ => {
            out.push(b'=');
            part(value, out);
        }
    }
    Some(())
}

/// The tag of the same in a coding: a strong one is of bytes.
pub(super) fn coded(tag: &str, coding: Coding) -> Option<String> {
    if tag.starts_with("W/") {
        return None;
    }
    Some(format!("{}{CODED}{}\"", tag.strip_suffix('"')?, coding.name()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn conditions(name: HeaderName, values: &[&'static str]) -> Conditions {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        Conditions::of(&headers)
    }

    #[test]
    fn a_write_is_done_to_what_its_writer_has_read() {
        let failed = Err(Reason::PreconditionFailed);
        for (values, found) in [
            (&["\"a\""][..], Ok(())),
            (&["*"], Ok(())),
            (&["\"b\", \"a\""], Ok(())),
            (&["\"b,\",,\"a\" ,"], Ok(())),
            (&["\"b\"", "\"a\""], Ok(())),
            (&["\"a+gzip\""], Ok(())),
            (&["W/\"a\""], failed),
            (&["\"b\""], failed),
            (&["\"A\""], failed),
            (&["\"\""], failed),
            (&["\"+a\""], failed),
            (&["\"a+gzip+gzip\""], failed),
            (&["a"], Err(Reason::MalformedRequest)),
            (&[""], Err(Reason::MalformedRequest)),
            (&[","], Err(Reason::MalformedRequest)),
            (&["\"a"], Err(Reason::MalformedRequest)),
            (&["\"a\" \"b\""], Err(Reason::MalformedRequest)),
            (&["*, \"a\""], Err(Reason::MalformedRequest)),
            (&["w/\"a\""], Err(Reason::MalformedRequest)),
            (&["\"a b\""], Err(Reason::MalformedRequest)),
        ] {
            let conditions = conditions(header::IF_MATCH, values);
            assert_eq!(conditions.check(Some("\"a\"")), found, "{values:?}");
            let absent = if found == Err(Reason::MalformedRequest) { found } else { failed };
            assert_eq!(conditions.check_absent(), absent, "{values:?}");
            // Whoever can't read it knows no tag of it.
            let unread = if values == ["*"] { Ok(()) } else { absent };
            assert_eq!(conditions.check(None), unread, "{values:?}");
        }
        assert_eq!(Conditions::default().check(None), Ok(()));
        assert_eq!(Conditions::default().check_absent(), Ok(()));
    }

    #[test]
    fn the_order_of_members_is_no_part_of_a_tag_on_any_level_and_all_else_is() {
        let ordered = |text: &str| {
            let mut out = Vec::new();
            order(text.as_bytes(), 96, &mut out).map(|()| out).expect("JSON")
        };
        let one = ordered(r#"{"a":1,"b":{"x":[{"c":1,"d":"e"},2],"y":null}}"#);
        assert_eq!(ordered(r#"{ "b":{"y":null, "x":[{"d":"e","c":1},2]},"a":1}"#), one);
        for other in [
            r#"{"a":1,"b":{"x":[2,{"c":1,"d":"e"}],"y":null}}"#,
            r#"{"a":1,"b":{"x":[{"c":1,"d":"e"},2]},"y":null}"#,
            r#"{"a":1,"b":{"x":[{"c":1,"d":"e"}],"y":null}}"#,
            r#"{"a":1,"b":{"x":[{"c":1},{"d":"e"},2],"y":null}}"#,
            r#"{"a":1,"b":{"x":[{"c":1,"d":"e"},2],"y":"null"}}"#,
            r#"{"a":1,"b":"{\"x\":[{\"c\":1,\"d\":\"e\"},2],\"y\":null}"}"#,
        ] {
            assert_ne!(ordered(other), one, "{other}");
        }
        assert_ne!(ordered(r#"[[],[]]"#), ordered(r#"[[[]]]"#));
        assert_ne!(ordered(r#"["a","b"]"#), ordered(r#"["a\",\"b"]"#));
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        for (value, known) in [
            ("\"a\"", Some("\"a\"")),
            ("W/\"a\"", Some("\"a\"")),
            ("\"b\", \"a+br\"", Some("\"a+br\"")),
            ("*", Some("\"a\"")),
            ("\"b\"", None),
            ("a", None),
        ] {
            let conditions = conditions(header::IF_NONE_MATCH, &[value]);
            assert_eq!(conditions.known("\"a\"").as_deref(), known, "{value}");
            let written = match value {
                "a" => Err(Reason::MalformedRequest),
                _ if known.is_some() => Err(Reason::PreconditionFailed),
                _ => Ok(()),
            };
            assert_eq!(conditions.check(Some("\"a\"")), written, "{value}");
        }
        assert_eq!(conditions(header::IF_NONE_MATCH, &["*"]).check_absent(), Ok(()));
        assert_eq!(coded("\"a\"", Coding::Gzip).as_deref(), Some("\"a+gzip\""));
        assert_eq!(coded("W/\"a\"", Coding::Gzip), None);
    }
}
