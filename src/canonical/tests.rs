//! Attacks on a head, each with its exact refusal, what must pass, and properties over arbitrary bytes and corpora.

mod http2;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use proptest::prelude::*;

use super::{Canonical, Head, canonicalise};
use crate::config::Limits;
use crate::model::Reason::{self, *};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn limits() -> Limits {
    Limits { target: 2048, headers: 40, header_bytes: 8192, json_depth: 96, ..Limits::default() }
}

fn identity() -> [HeaderName; 2] {
    [HeaderName::from_static("x-organization-id"), HeaderName::from_static("x-app-id")]
}

/// What a forgiving parser makes of a head: it splits wherever it can, and drops a length beside an encoding.
fn forgiving(raw: &[u8]) -> (Method, Vec<u8>, Version, HeaderMap) {
    let mut lines = raw.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(|b| *b == b' ');
    let method = Method::from_bytes(words.next().unwrap_or_default()).unwrap_or(Method::GET);
    let target = words.next().unwrap_or_default().to_vec();
    let version = if first.ends_with(b"HTTP/1.0") { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if headers.contains_key("transfer-encoding") {
        headers.remove("content-length");
    }
    (method, target, version, headers)
}

fn http1(raw: &[u8]) -> Result<Canonical, Reason> {
    let (method, target, version, headers) = forgiving(raw);
    let head = Head {
        method: &method,
        target: &target,
        version,
        headers: &headers,
        raw: Some(raw),
        authority: None,
        scheme: None,
        protocol: None,
        client: CLIENT,
        websockets: false,
    };
    canonicalise(&head, &identity(), &limits())
}

fn target(target: &[u8]) -> Result<Canonical, Reason> {
    http1(&[b"GET ", target, b" HTTP/1.1\r\nHost: crm.example\r\n\r\n"].concat())
}

#[test]
fn a_target_with_two_readings_is_refused() {
    let cases: &[(&[u8], Reason)] = &[
        (b"*", MalformedRequest),
        (b"https://evil.example/contacts", AmbiguousHeader),
        (b"crm.example:443", MalformedRequest),
        (b"contacts", MalformedRequest),
        (b"", MalformedRequest),
        (b"/a b", MalformedRequest),
        (b"/a\tb", MalformedRequest),
        (b"/a\x0bb", MalformedRequest),
        (b"/a\0b", MalformedRequest),
        (b"/a\x7fb", MalformedRequest),
        (b"/a\rb", MalformedRequest),
        (b"/caf\xc3\xa9", MalformedRequest),
        (b"/\xff", MalformedRequest),
        (b"/contacts#x", MalformedRequest),
        (b"/contacts?a=1#x", MalformedRequest),
        (b"//", AmbiguousPath),
        (b"//evil.example/contacts", AmbiguousPath),
        (b"/v1//contacts", AmbiguousPath),
        (b"/contacts/", AmbiguousPath),
        (b"/contacts//", AmbiguousPath),
        (b"/.", AmbiguousPath),
        (b"/..", AmbiguousPath),
        (b"/./contacts", AmbiguousPath),
        (b"/v1/../users", AmbiguousPath),
        (b"/v1/contacts/..", AmbiguousPath),
        (b"/%2e/contacts", AmbiguousPath),
        (b"/v1/%2e%2e/users", AmbiguousPath),
        (b"/v1/%2E%2E/users", AmbiguousPath),
        (b"/v1/.%2e/users", AmbiguousPath),
        (b"/v1/%2e./users", AmbiguousPath),
        (b"/v1/.../users", AmbiguousPath),
        (b"/v1%2fcontacts", AmbiguousPath),
        (b"/v1%2Fcontacts", AmbiguousPath),
        (b"/v1/..%2fusers", AmbiguousPath),
        (b"/v1%5cusers", AmbiguousPath),
        (b"/v1/..%5Cusers", AmbiguousPath),
        (b"/v1\\users", AmbiguousPath),
        (b"/v1/..\\users", AmbiguousPath),
        (b"/contacts;x=1", AmbiguousPath),
        (b"/contacts/..;/users", AmbiguousPath),
        (b"/contacts%3bx", AmbiguousPath),
        (b"/contacts%3B/1", AmbiguousPath),
        (b"/contacts%252f1", AmbiguousPath),
        (b"/contacts/%252e%252e/users", AmbiguousPath),
        (b"/contacts%25", AmbiguousPath),
        (b"/contacts%00", AmbiguousPath),
        (b"/contacts%0a", AmbiguousPath),
        (b"/contacts%0d%0aX-App-Id:%201", AmbiguousPath),
        (b"/contacts/1%20HTTP", AmbiguousPath),
        (b"/contacts%7f", AmbiguousPath),
        (b"/contacts%c2%85", AmbiguousPath),
        (b"/%c0%ae%c0%ae/users", AmbiguousPath),
        (b"/v1%c0%afusers", AmbiguousPath),
        (b"/%e0%80%af", AmbiguousPath),
        (b"/%ed%a0%80", AmbiguousPath),
        (b"/%ff", AmbiguousPath),
        (b"/contacts%", AmbiguousPath),
        (b"/contacts%2", AmbiguousPath),
        (b"/contacts%zz", AmbiguousPath),
        (b"/contacts%u002e", AmbiguousPath),
        (b"/contacts%+2", AmbiguousPath),
        (b"/contacts.", AmbiguousPath),
        (b"/contacts%2e", AmbiguousPath),
        (b"/contacts./1", AmbiguousPath),
        (b"/con\"tacts", AmbiguousPath),
        (b"/<contacts>", AmbiguousPath),
        (b"/contacts^", AmbiguousPath),
        (b"/contacts`", AmbiguousPath),
        (b"/{contacts}", AmbiguousPath),
        (b"/contacts|users", AmbiguousPath),
        (b"/c?a=1&a=2", AmbiguousQuery),
        (b"/c?a=1&%61=2", AmbiguousQuery),
        (b"/c?$select=a&%24select=b", AmbiguousQuery),
        (b"/c?limit=1&Limit=2", AmbiguousQuery),
        (b"/c?a[]=1&a%5B%5D=2", AmbiguousQuery),
        (b"/c?a+b=1&a%20b=2", AmbiguousQuery),
        (b"/c?a=1;b=2", AmbiguousQuery),
        (b"/c?a=(1;b=2)", AmbiguousQuery),
        (b"/c?$expand=a;b=2", AmbiguousQuery),
        (b"/c?$expand=a($select=b);c=2", AmbiguousQuery),
        (b"/c?$expand=a($select=b;c=2", AmbiguousQuery),
        (b"/c?$expand=a);b=(2", AmbiguousQuery),
        (b"/c?$expand=a(b;c))", AmbiguousQuery),
        (b"/c?$expand=a(b;c)&d=1;e=2", AmbiguousQuery),
        (b"/c?;$expand=a(b;c)", AmbiguousQuery),
        (b"/c?%24expand=a(b;c)", AmbiguousQuery),
        (b"/c?$expand=a%28b;c%29", AmbiguousQuery),
        (b"/c?$filter=f(a;b)", AmbiguousQuery),
        (b"/c?a=1\\b", AmbiguousQuery),
        (b"/c?a", AmbiguousQuery),
        (b"/c?=1", AmbiguousQuery),
        (b"/c?a=1&", AmbiguousQuery),
        (b"/c?&a=1", AmbiguousQuery),
        (b"/c?a=1&&b=2", AmbiguousQuery),
        (b"/c?a=%", AmbiguousQuery),
        (b"/c?a=%4", AmbiguousQuery),
        (b"/c?a=%zz", AmbiguousQuery),
        (b"/c?a=%ff", AmbiguousQuery),
        (b"/c?a=%c0%af", AmbiguousQuery),
        (b"/c?a=x%0ay", AmbiguousQuery),
        (b"/c?a=x%0d%0ay", AmbiguousQuery),
        (b"/c?a=%00", AmbiguousQuery),
        (b"/c?a%00=1", AmbiguousQuery),
        (b"/c?%2524select=a", AmbiguousQuery),
        (b"/c?_method=DELETE", MethodNotSupported),
        (b"/c?_METHOD=DELETE", MethodNotSupported),
        (b"/c?%5fmethod=DELETE", MethodNotSupported),
    ];
    for (text, reason) in cases {
        assert_eq!(target(text), Err(*reason), "{}", text.escape_ascii());
    }
    assert!(cases.len() >= 90);
}

#[test]
fn a_header_that_can_mislead_is_refused() {
    let cases: &[(&str, Reason)] = &[
        ("X-Organization-Id: globex", AmbiguousHeader),
        ("x-app-id: desk", AmbiguousHeader),
        ("X_Organization_Id: globex", AmbiguousHeader),
        ("X-Organization_Id: globex", AmbiguousHeader),
        ("X.App.Id: desk", AmbiguousHeader),
        ("X_Api_Key: k", AmbiguousHeader),
        ("Transfer_Encoding: chunked", AmbiguousHeader),
        ("Content_Length: 5", AmbiguousHeader),
        ("Proxy_Authorization: x", AmbiguousHeader),
        ("Authorization: a\r\nAuthorization: b", AmbiguousHeader),
        ("Authorization: a\r\nauthorization: a", AmbiguousHeader),
        ("X-Api-Key: a\r\nX-Api-Key: b", AmbiguousHeader),
        ("X-Scrim-Tenant: acme/shop\r\nX-Scrim-Tenant: globex/shop", AmbiguousHeader),
        ("Content-Type: application/json\r\nContent-Type: text/csv", AmbiguousHeader),
        ("Cookie: a=1\r\nCookie: a=2", AmbiguousHeader),
        ("If-Match: \"a\"\r\nIf-Match: \"b\"", AmbiguousHeader),
        ("Host: other.example", AmbiguousHeader),
        ("Connection: X-Organization-Id", AmbiguousHeader),
        ("Connection: close, Authorization", AmbiguousHeader),
        ("Connection: X_App_Id", AmbiguousHeader),
        ("Connection: host", AmbiguousHeader),
        ("Connection: a b", AmbiguousHeader),
        ("Connection: upgrade", UpgradeNotDeclared),
        ("Upgrade: websocket", UpgradeNotDeclared),
        ("Upgrade: foo", UpgradeNotDeclared),
        ("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk", UpgradeNotDeclared),
        ("HTTP2-Settings: AAMAAABk", UpgradeNotDeclared),
        ("X-HTTP-Method-Override: DELETE", MethodNotSupported),
        ("X-HTTP-Method: DELETE", MethodNotSupported),
        ("X-Method-Override: DELETE", MethodNotSupported),
        ("X_HTTP_Method_Override: DELETE", MethodNotSupported),
        ("X-Original-URL: /users", AmbiguousPath),
        ("X-Rewrite-URL: /users", AmbiguousPath),
        ("X-Forwarded-Prefix: /users", AmbiguousPath),
        ("Expect: 200-ok", MalformedRequest),
        ("Content-Length: 5\r\nContent-Length: 5", AmbiguousFraming),
        ("Content-Length: 5\r\nContent-Length: 6", AmbiguousFraming),
        ("Content-Length: 5, 5", AmbiguousFraming),
        ("Content-Length: +5", AmbiguousFraming),
        ("Content-Length: -5", AmbiguousFraming),
        ("Content-Length: 5 5", AmbiguousFraming),
        ("Content-Length: 0x5", AmbiguousFraming),
        ("Content-Length: 010", AmbiguousFraming),
        ("Content-Length: ", AmbiguousFraming),
        ("Content-Length: 99999999999999999999", AmbiguousFraming),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", AmbiguousFraming),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", AmbiguousFraming),
        ("Transfer-Encoding: gzip, chunked", AmbiguousFraming),
        ("Transfer-Encoding: chunked, chunked", AmbiguousFraming),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", AmbiguousFraming),
        ("Transfer-Encoding: identity", AmbiguousFraming),
        ("Transfer-Encoding: xchunked", AmbiguousFraming),
        ("Transfer-Encoding: \"chunked\"", AmbiguousFraming),
        ("Transfer-Encoding: \x0bchunked", AmbiguousFraming),
        ("Transfer-Encoding:", AmbiguousFraming),
        ("Content-Length: 5", BodyExpected),
        ("Transfer-Encoding: Chunked", BodyExpected),
        ("Transfer-Encoding : chunked", MalformedRequest),
        ("Transfer-Encoding\t: chunked", MalformedRequest),
        ("X-A: 1\r\n folded", MalformedRequest),
        ("X-A: 1\r\n\tfolded", MalformedRequest),
        (" X-A: 1", MalformedRequest),
        ("X-A", MalformedRequest),
        (": 1", MalformedRequest),
        ("X A: 1", MalformedRequest),
        ("X-A: 1\nX-App-Id: 1", MalformedRequest),
        ("X-A: 1\rX-App-Id: 1", MalformedRequest),
        ("X-A: a\0b", MalformedRequest),
        ("X-A: a\x08b", MalformedRequest),
        ("X-A: a\x7fb", MalformedRequest),
        ("X(A): 1", MalformedRequest),
    ];
    for (lines, reason) in cases {
        let raw = format!("GET /contacts HTTP/1.1\r\nHost: crm.example\r\n{lines}\r\n\r\n");
        assert_eq!(http1(raw.as_bytes()), Err(*reason), "{lines:?}");
    }
}

#[test]
fn a_head_that_parsers_forgive_is_refused() {
    let cases: &[(&str, Reason)] = &[
        ("GET /c HTTP/1.1\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost:\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a, b\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a b\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a/b\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: user@a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a:port\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a:\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a:0\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a:65536\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a..b\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: [::1\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: [x]\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.0\r\nHost: a\r\n\r\n", VersionNotSupported),
        ("GET /c HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", VersionNotSupported),
        ("GET /c http/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.2\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/01.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET  /c HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c  HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET\t/c HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1 \r\nHost: a\r\n\r\n", MalformedRequest),
        (" GET /c HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\nHost: a\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\nHost: a\n\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a\r\n\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a\r\n\r\nX-A: 1\r\n\r\n", MalformedRequest),
        ("GET /c HTTP/1.1\r\nHost: a\r\n", MalformedRequest),
        ("", MalformedRequest),
        ("\r\n\r\n", MalformedRequest),
        ("get /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("HEAD /c HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", BodyExpected),
        ("HEAD /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", BodyExpected),
        ("head /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("OPTIONS /c HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", BodyExpected),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequest),
        ("TRACE /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("SEARCH /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("QUERY /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("PROPFIND /c HTTP/1.1\r\nHost: a\r\n\r\n", MethodUnknown),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", UpgradeNotDeclared),
        ("DELETE /c/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", BodyExpected),
        ("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", AmbiguousFraming),
    ];
    for (raw, reason) in cases {
        assert_eq!(http1(raw.as_bytes()), Err(*reason), "{raw:?}");
    }
}

/// What a parser makes of a target in absolute form: the path.
fn absolute(target: &str, path: &str, host: &str) -> Result<Canonical, Reason> {
    let raw = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_str(host).expect("a value"))]);
    let head = Head {
        method: &Method::GET,
        target: path.as_bytes(),
        version: Version::HTTP_11,
        headers: &headers,
        raw: Some(raw.as_bytes()),
        authority: None,
        scheme: None,
        protocol: None,
        client: CLIENT,
        websockets: false,
    };
    canonicalise(&head, &identity(), &limits())
}

#[test]
fn a_target_in_absolute_form_names_the_host_that_the_header_names() {
    let plain = target(b"/contacts?a=1").expect("a request");
    for target in ["http://crm.example/contacts?a=1", "HTTPS://CRM.example/contacts?a=1"] {
        for parsed in ["/contacts?a=1", target] {
            assert_eq!(absolute(target, parsed, "crm.example"), Ok(plain.clone()), "{target}");
        }
    }
    for (target, path, reason) in [
        ("http://evil.example/contacts", "/contacts", AmbiguousHeader),
        ("http://crm.example:80/contacts", "/contacts", AmbiguousHeader),
        ("http://ann@crm.example/contacts", "/contacts", AmbiguousHeader),
        ("http://crm.example@evil.example/contacts", "/contacts", AmbiguousHeader),
        ("http:///contacts", "/contacts", AmbiguousHeader),
        ("http://crm.example?/contacts", "/contacts", AmbiguousHeader),
        // Not what the parser made of it.
        ("http://crm.example/contacts", "/users", MalformedRequest),
        ("http://crm.example/contacts", "//crm.example/contacts", MalformedRequest),
        ("http://crm.example", "/", MalformedRequest),
        ("ftp://crm.example/contacts", "/contacts", MalformedRequest),
        ("http:/contacts", "/contacts", MalformedRequest),
        ("http://crm.example/v1/../contacts", "/v1/../contacts", AmbiguousPath),
    ] {
        assert_eq!(absolute(target, path, "crm.example"), Err(reason), "{target}");
    }
}

#[test]
fn a_plain_request_passes_with_its_one_meaning() {
    let cases = [
        ("/", "/", ""),
        ("/contacts", "/contacts", ""),
        ("/contacts?", "/contacts", ""),
        ("/v1/contacts/42", "/v1/contacts/42", ""),
        ("/v1/%63ontacts", "/v1/contacts", ""),
        ("/a%2Bb", "/a%2Bb", ""),
        ("/a+b", "/a%2Bb", ""),
        ("/caf%c3%a9", "/caf%C3%A9", ""),
        ("/.well-known", "/.well-known", ""),
        ("/a..b", "/a..b", ""),
        ("/contacts(1)", "/contacts%281%29", ""),
        ("/a:b@c", "/a%3Ab%40c", ""),
        ("/a%3f%23", "/a%3F%23", ""),
        ("/c?a=1&b=2", "/c", "a=1&b=2"),
        ("/c?a+b=c+d", "/c", "a%20b=c%20d"),
        ("/c?a=", "/c", "a="),
        ("/c?a=b=c", "/c", "a=b%3Dc"),
        ("/c?a=100%25", "/c", "a=100%25"),
        ("/c?%24select=id", "/c", "%24select=id"),
        ("/c?amount[gt]=1&amount[lt]=5&amount=3", "/c", "amount%5Bgt%5D=1&amount%5Blt%5D=5&amount=3"),
        ("/c?a=1%3Bb", "/c", "a=1%3Bb"),
        (
            "/c?$expand=a($select=b;$expand=c(d;e)),f",
            "/c",
            "%24expand=a%28%24select%3Db%3B%24expand%3Dc%28d%3Be%29%29%2Cf",
        ),
    ];
    for (text, path, query) in cases {
        let read = target(text.as_bytes()).unwrap_or_else(|reason| panic!("{text}: {reason:?}"));
        assert_eq!((read.path().as_str(), read.query_text().as_str()), (path, query), "{text}");
        assert_eq!((read.host.as_str(), read.has_body), ("crm.example", false));
    }
}

#[test]
fn ordinary_headers_pass() {
    let cases = [
        ("POST", "Content-Length: 2", true),
        ("POST", "Content-Length: 0", false),
        ("PUT", "Transfer-Encoding: chunked\r\nExpect: 100-continue", true),
        ("POST", "", false),
        ("GET", "Content-Length: 0\r\nAccept: a\r\nAccept: b", false),
        ("GET", "Connection: keep-alive, TE\r\nTE: trailers", false),
        ("GET", "Connection: X-Whatever\r\nX_Underscore: 1", false),
        ("GET", "Authorization: Bearer x\r\nX-Scrim-Tenant: acme/shop\r\nCookie: a=1", false),
        ("GET", "X-Name:\tJos\u{e9} \t", false),
    ];
    for (method, lines, has_body) in cases {
        let end = if lines.is_empty() { "" } else { "\r\n" };
        for host in ["crm.example", "CRM.example:8443", "[::1]:80", "127.0.0.1"] {
            let raw = format!("{method} /c HTTP/1.1\r\nHost: {host}\r\n{lines}{end}\r\n");
            let read = http1(raw.as_bytes()).unwrap_or_else(|reason| panic!("{raw:?}: {reason:?}"));
            assert_eq!((read.has_body, read.host), (has_body, host.to_lowercase()), "{raw:?}");
        }
    }
}

#[test]
fn what_exceeds_a_limit_is_refused_whole() {
    assert_eq!(target(format!("/{}", "a".repeat(2048)).as_bytes()), Err(TargetTooLong));
    assert_eq!(target("/a".repeat(33).as_bytes()), Err(TargetTooLong));
    assert!(target("/a".repeat(32).as_bytes()).is_ok());
    let query = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
    assert_eq!(target(format!("/c?{}", query(65)).as_bytes()), Err(TargetTooLong));
    assert!(target(format!("/c?{}", query(64)).as_bytes()).is_ok());
    let with = |lines: &str| http1(format!("GET /c HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
    assert_eq!(with(&"X-A: 1\r\n".repeat(40)), Err(TooManyHeaders));
    assert_eq!(with(&format!("X-A: {}\r\n", "a".repeat(8192))), Err(TooManyHeaders));
    assert_eq!(with(&format!("X-A: {}\r\n", "a".repeat(100_000))), Err(TooManyHeaders));
}

#[test]
fn an_http1_head_is_judged_by_its_bytes_and_must_agree_with_the_parser() {
    let raw: &[u8] = b"GET /c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n";
    let (method, _, version, headers) = forgiving(raw);
    let mut other = headers.clone();
    other.insert("x-a", HeaderValue::from_static("2"));
    let mut fewer = headers.clone();
    fewer.remove("x-a");
    let read = |target: &[u8], headers: &HeaderMap, raw| {
        let head = Head {
            method: &method,
            target,
            version,
            headers,
            raw,
            authority: None,
            scheme: None,
            protocol: None,
            client: CLIENT,
            websockets: false,
        };
        canonicalise(&head, &identity(), &limits()).map(|c| c.path())
    };
    assert_eq!(read(b"/c", &headers, Some(raw)), Ok("/c".to_owned()));
    for (target, headers, raw) in
        [(b"/c", &headers, None), (b"/c", &other, Some(raw)), (b"/c", &fewer, Some(raw)), (b"/d", &headers, Some(raw))]
    {
        assert_eq!(read(target, headers, raw), Err(MalformedRequest));
    }
}

/// Reading what was printed gives the same again, and no segment could be split or dropped by the next reader.
fn stands(read: &Canonical) {
    let text = match read.query_text() {
        query if query.is_empty() => read.path(),
        query => format!("{}?{query}", read.path()),
    };
    for segment in &read.segments {
        assert!(!segment.is_empty() && !segment.ends_with('.'), "{text}");
        assert!(!segment.contains(['/', '\\', ';', '%']) && !segment.contains(char::is_control), "{text}");
    }
    if text.len() <= limits().target {
        assert_eq!(target(text.as_bytes()).as_ref(), Ok(read), "{text}");
    }
}

fn corpus(name: &str) -> Option<serde_json::Value> {
    let root = std::env::var_os("SCRIM_CORPORA").map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join(name)) else {
        eprintln!("skipped: no corpus {name} (set SCRIM_CORPORA)");
        return None;
    };
    Some(serde_json::from_str(&text).expect("a corpus is JSON"))
}

#[test]
fn targets_of_the_url_corpus_are_refused_or_stand() {
    let Some(corpus) = corpus("url/urltestdata.json") else { return };
    let texts = corpus.as_array().expect("a list").iter().flat_map(|case| {
        ["input", "pathname", "search"].into_iter().filter_map(|key| Some((key, case.get(key)?.as_str()?)))
    });
    let (mut passed, mut refused) = (0, 0);
    for (key, text) in texts {
        let text = if key == "search" { format!("/c{text}") } else { text.to_owned() };
        match target(text.as_bytes()) {
            Ok(read) => {
                passed += 1;
                stands(&read);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(passed > 100 && refused > 100, "{passed} passed, {refused} refused");
}

#[test]
fn naughty_strings_round_trip_as_values_or_are_refused() {
    let Some(corpus) = corpus("strings/blns.json") else { return };
    for text in corpus.as_array().expect("a list").iter().filter_map(|text| text.as_str()) {
        let query = super::target::print_query([("q", text)].into_iter());
        match target(format!("/c?{query}").as_bytes()) {
            Ok(read) => assert_eq!(read.query, [("q".to_owned(), text.to_owned())]),
            Err(TargetTooLong) => assert!(query.len() > 2000, "{text:?}"),
            Err(reason) => {
                assert_eq!(reason, AmbiguousQuery);
                assert!(text.contains(char::is_control), "{text:?}");
            }
        }
        target(format!("/{text}").as_bytes()).map(|read| stands(&read)).ok();
    }
}

/// Bytes that make trouble, more often than chance would have it.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b"/.%25eEfFcC0;\\?&=+[]#ab \r\n\t\0:,_-".to_vec();
    prop::collection::vec(prop_oneof![6 => prop::sample::select(bytes), 1 => any::<u8>()], 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_target_is_refused_or_stands(mut bytes in hostile()) {
        bytes.insert(0, b'/');
        if let Ok(read) = target(&bytes) {
            stands(&read);
        }
    }

    #[test]
    fn any_head_is_refused_or_stands(start in hostile(), bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        drop(http1(&bytes));
        drop(http1(&[b"GET /c HTTP/1.1\r\nHost: a\r\n".as_slice(), &start, b"\r\n\r\n"].concat()));
        if let Ok(read) = http1(&[b"POST /", start.as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()) {
            let _ = read.path();
        }
    }

    #[test]
    fn however_a_path_is_escaped_it_has_one_meaning(segments in prop::collection::vec("[a-z0-9._~é:@-]{1,8}", 1..5), escape in any::<u64>()) {
        let mut text = String::new();
        let mut at = 0;
        for segment in &segments {
            text.push('/');
            for byte in segment.bytes() {
                at += 1;
                if !byte.is_ascii_graphic() || escape >> (at % 64) & 1 == 1 {
                    text.push_str(&format!("%{byte:02x}"));
                } else {
                    text.push(char::from(byte));
                }
            }
        }
        match target(text.as_bytes()) {
            Ok(read) => prop_assert_eq!(read.segments, segments),
            Err(reason) => {
                prop_assert_eq!(reason, AmbiguousPath);
                prop_assert!(segments.iter().any(|segment| segment.ends_with('.')));
            }
        }
    }
}
