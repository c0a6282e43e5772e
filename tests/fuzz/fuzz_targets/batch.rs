//! Any bytes are refused as a batch in parts, or are requests that read back from what is put together of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::enforcement::write::batch::{Part, mixed};
use scrim_fuzz::bounded;

/// What separates the parts of a seed.
const SEPARATOR: &str = "b1";
const OUTER: &str = "outer-of-what-was-read";
const INNER: &str = "inner-of-what-was-read";
const MOST: usize = 8;

fuzz_target!(|bytes: &[u8]| bounded(|| hold(bytes)));

fn hold(bytes: &[u8]) {
    let Ok(parts) = mixed::read(bytes, SEPARATOR, "crm.test", MOST) else { return };
    assert!((1..=MOST).contains(&parts.len()));
    let inside: usize = parts.iter().map(|part| part.body.len()).sum();
    assert!(inside <= bytes.len(), "more than was sent");
    let says = |word: &str| String::from_utf8_lossy(bytes).contains(word);
    if says(OUTER) || says(INNER) {
        return;
    }
    let again = together(&parts);
    let read = mixed::read(&again, OUTER, "crm.test", MOST).expect("what is put together can be read");
    let shown = |parts: &[Part<'_>]| -> Vec<_> {
        let one = |part: &Part<'_>| {
            (part.id.clone(), part.group.is_some(), part.method.clone(), part.url.clone(), part.body.to_vec())
        };
        parts.iter().map(one).collect()
    };
    assert_eq!(shown(&read), shown(&parts), "{}", String::from_utf8_lossy(&again));
}

fn together(parts: &[Part<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut grouped = false;
    for part in parts {
        if grouped && part.group.is_none() {
            out.extend_from_slice(format!("--{INNER}--\r\n").as_bytes());
        }
        if !grouped && part.group.is_some() {
            let head = format!("--{OUTER}\r\nContent-Type: multipart/mixed; boundary={INNER}\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
        }
        grouped = part.group.is_some();
        let boundary = if grouped { INNER } else { OUTER };
        let id = part.id.as_ref().map(|id| format!("Content-ID: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "--{boundary}\r\nContent-Type: application/http\r\n{id}\r\n{} {} HTTP/1.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            part.method,
            part.url,
            part.body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(part.body);
        out.extend_from_slice(b"\r\n");
    }
    if grouped {
        out.extend_from_slice(format!("--{INNER}--\r\n").as_bytes());
    }
    out.extend_from_slice(format!("--{OUTER}--").as_bytes());
    out
}
