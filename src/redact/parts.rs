//! Documents that hold others: arrays of records, and requests and answers that come several at a time.
//!
//! Whole documents, validated to their end; what is found is raw and not looked into.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Unreadable;
use super::scan::{Scan, Span};
use super::text;

/// One member of an object: its unescaped name and its raw value.
pub type Member<'b> = (Cow<'b, [u8]>, &'b [u8]);

/// The members of a document that is one object. Errors: it is none, or names a member twice.
pub fn members(body: &[u8], depth: usize) -> Result<Vec<Member<'_>>, Unreadable> {
    let mut found = Vec::new();
    walk(body, depth, |name, _, value| found.push((Cow::Owned(name.to_vec()), value.of(body))))?;
    Ok(found)
}

/// The elements of a document that is one array, of which there are `most` at most.
pub fn elements(body: &[u8], most: usize, depth: usize) -> Result<Vec<&[u8]>, Unreadable> {
    let mut scan = Scan::document(body, depth);
    if scan.peek()? != b'[' {
        return Err(Unreadable::Shape);
    }
    scan.enter()?;
    let (mut first, mut found) = (true, Vec::new());
    while scan.element(&mut first)? {
        if found.len() == most {
            return Err(Unreadable::TooLarge);
        }
        found.push(scan.value()?.of(body));
    }
    scan.end()?;
    Ok(found)
}

/// The text of a raw string.
pub fn string(raw: &[u8]) -> Option<String> {
    text::string(raw).map(Cow::into_owned)
}

/// Whether a document begins as an array.
pub fn is_array(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Several values as one array.
pub fn array<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Vec<u8> {
    let mut out = vec![b'['];
    for value in values {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(value);
    }
    out.push(b']');
    out
}

/// Walks the members of a document that is one object: unescaped name, whole member, value. A repeated name is an error.
pub(super) fn walk(body: &[u8], depth: usize, mut visit: impl FnMut(&[u8], Span, Span)) -> Result<(), Unreadable> {
    let mut scan = Scan::document(body, depth);
    if scan.peek()? != b'{' {
        scan.value()?;
        scan.end()?;
        return Err(Unreadable::Shape);
    }
    scan.enter()?;
    let mut names: HashSet<Cow<'_, [u8]>> = HashSet::new();
    let mut first = true;
    while let Some(key) = scan.member(&mut first)? {
        let value = scan.value()?;
        let name = key.name();
        visit(&name, Span { start: key.start, end: value.end }, value);
        if !names.insert(name) {
            return Err(Unreadable::Duplicate);
        }
    }
    scan.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_taken_apart_only_as_a_whole() {
        assert_eq!(elements(br#" [ {"a":[1]}, 2 ,"]" ] "#, 3, 8), Ok(vec![&br#"{"a":[1]}"#[..], b"2", br#""]""#]));
        assert_eq!(elements(b"[]", 3, 8), Ok(Vec::new()));
        let wrong: [(&[u8], Unreadable); 7] = [
            (b"[1,2,3,4]", Unreadable::TooLarge),
            (b"{}", Unreadable::Shape),
            (b"[1] 2", Unreadable::Trailing),
            (b"[1", Unreadable::Incomplete),
            (b"[1,]", Unreadable::Syntax),
            (b"[[[[[[[[[", Unreadable::Depth),
            (b"", Unreadable::Incomplete),
        ];
        for (body, error) in wrong {
            assert_eq!(elements(body, 3, 8), Err(error), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn members_are_named_as_they_mean() {
        let found = members(br#"{"\u0061":1,"b":{"a":2}}"#, 8).expect("an object");
        let found: Vec<_> = found.iter().map(|(name, raw)| (name.as_ref(), *raw)).collect();
        assert_eq!(found, [(&b"a"[..], &b"1"[..]), (b"b", br#"{"a":2}"#)]);
        assert_eq!(members(br#"{"a":1,"\u0061":2}"#, 8), Err(Unreadable::Duplicate));
        assert_eq!(members(b"[]", 8), Err(Unreadable::Shape));
    }

    #[test]
    fn values_are_put_together_as_they_were() {
        assert_eq!(array([&b"{}"[..], b"1"]), b"[{},1]");
        assert_eq!(array([]), b"[]");
        assert!(is_array(b" \n[") && !is_array(b"{[") && !is_array(b""));
    }
}
