//! Any HTTP/1 head is refused, or has one meaning that reads back from its own print.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;
use scrim::canonical::{Canonical, Head, canonicalise};
use scrim::config::Limits;
use scrim_fuzz::bounded;

/// Headers as a forgiving parser has them.
fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let mut parts = line.splitn(2, |b| *b == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.trim_ascii()), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    headers
}

fn read(head: &[u8]) -> Option<Canonical> {
    let lines: Vec<&[u8]> = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    let (first, rest) = lines.split_first()?;
    let mut words = first.split(|b| *b == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = words.next()?;
    let headers = headers(rest);
    let identity = [HeaderName::from_static("x-organization-id")];
    let head = Head {
        method: &method,
        target,
        version: Version::HTTP_11,
        headers: &headers,
        raw: Some(head),
        authority: None,
        scheme: None,
        protocol: None,
        client: [127, 0, 0, 1].into(),
        websockets: false,
    };
    canonicalise(&head, &identity, &Limits::default()).ok()
}

fuzz_target!(|data: &[u8]| bounded(|| hold(data)));

fn hold(data: &[u8]) {
    // The bytes are a whole head, or the target of a plain one.
    let plain = [b"GET ", data, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    for head in [data, &plain] {
        let Some(request) = read(head) else { continue };
        for segment in &request.segments {
            assert!(!segment.is_empty() && !segment.contains(['/', '\\', ';', '%', '\0']) && !segment.ends_with('.'));
        }
        let query = request.query_text();
        let mark = if query.is_empty() { "" } else { "?" };
        let printed = format!("GET {}{mark}{query} HTTP/1.1\r\nHost: a\r\n\r\n", request.path());
        if printed.len() < 2048 {
            let again = read(printed.as_bytes()).expect("what is printed is canonical");
            assert_eq!((again.segments, again.query), (request.segments, request.query));
        }
    }
}
