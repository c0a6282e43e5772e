//! Heads of HTTP/2, in which the connection has no say, and a CONNECT may open a WebSocket.

use super::*;

#[test]
fn an_http2_head_that_speaks_of_another_connection_is_refused() {
    type Case = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)], Reason);
    let cases: &[Case] = &[
        ("GET", None, &[], MalformedRequest),
        ("GET", None, &[("host", "a")], MalformedRequest),
        ("GET", Some(""), &[], MalformedRequest),
        ("GET", Some("user@a"), &[], MalformedRequest),
        ("GET", Some("a"), &[("host", "b")], AmbiguousHeader),
        ("GET", Some("a"), &[("host", "a"), ("host", "a")], AmbiguousHeader),
        ("POST", Some("a"), &[("transfer-encoding", "chunked")], AmbiguousFraming),
        ("POST", Some("a"), &[("content-length", "1"), ("content-length", "1")], AmbiguousFraming),
        ("GET", Some("a"), &[("connection", "close")], MalformedRequest),
        ("GET", Some("a"), &[("keep-alive", "1")], MalformedRequest),
        ("GET", Some("a"), &[("te", "gzip")], MalformedRequest),
        ("GET", Some("a"), &[("upgrade", "h2c")], UpgradeNotDeclared),
        ("GET", Some("a"), &[("x_app_id", "1")], AmbiguousHeader),
        ("GET", Some("a"), &[("content-length", "1")], BodyExpected),
        ("CONNECT", Some("a"), &[], UpgradeNotDeclared),
        ("HEAD", Some("a"), &[("content-length", "1")], BodyExpected),
        ("OPTIONS", Some("a"), &[("content-length", "1")], BodyExpected),
    ];
    for (method, authority, lines, reason) in cases {
        assert_eq!(http2(method, "/c", *authority, lines), Err(*reason), "{method} {authority:?} {lines:?}");
    }
    type Body<'b> = (&'b str, &'b [(&'b str, &'b str)], bool);
    let bodies: [Body<'_>; 4] = [
        ("GET", &[("host", "A")], false),
        ("POST", &[("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")], true),
        ("POST", &[("content-length", "0")], false),
        ("PATCH", &[("content-length", "7")], true),
    ];
    for (method, lines, has_body) in bodies {
        assert_eq!(http2(method, "/c", Some("a"), lines).map(|c| c.has_body), Ok(has_body), "{method} {lines:?}");
    }
}

#[test]
fn an_http2_connect_is_a_websocket_where_there_are_some_and_nothing_else() {
    let ask = |method, target, lines, protocol, websockets| {
        let read = extended(method, target, Some("crm.example"), lines, protocol, websockets);
        read.map(|canonical| (canonical.method.to_string(), canonical.path(), canonical.has_body, canonical.websocket))
    };
    let opened = Ok(("GET".to_owned(), "/chat".to_owned(), false, true));
    assert_eq!(ask("CONNECT", "/chat", &[], Some("websocket"), true), opened);
    assert_eq!(ask("CONNECT", "/%63hat", &[], Some("WebSocket"), true), opened);
    type Lines = &'static [(&'static str, &'static str)];
    type Case = (&'static str, &'static str, Lines, Option<&'static str>, bool, Reason);
    let cases: [Case; 17] = [
        ("CONNECT", "/chat", &[], Some("websocket"), false, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], None, true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some("connect-udp"), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some("connect-tcp"), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some("webtransport"), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some(""), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some("websocket "), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[], Some("websocket,h2c"), true, UpgradeNotDeclared),
        ("GET", "/chat", &[], Some("websocket"), true, UpgradeNotDeclared),
        ("POST", "/chat", &[], Some("websocket"), true, UpgradeNotDeclared),
        ("GET", "/chat", &[("upgrade", "websocket")], None, true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[("upgrade", "websocket")], Some("websocket"), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[("connection", "upgrade")], Some("websocket"), true, MalformedRequest),
        ("CONNECT", "/chat", &[("content-length", "0")], Some("websocket"), true, UpgradeNotDeclared),
        ("CONNECT", "/chat", &[("x_app_id", "1")], Some("websocket"), true, AmbiguousHeader),
        ("CONNECT", "/chat/../x", &[], Some("websocket"), true, AmbiguousPath),
        ("CONNECT", "*", &[], Some("websocket"), true, MalformedRequest),
    ];
    for (method, target, lines, protocol, websockets, reason) in cases {
        assert_eq!(ask(method, target, lines, protocol, websockets), Err(reason), "{method} {lines:?} {protocol:?}");
    }
    let elsewhere = extended("CONNECT", "/chat", None, &[], Some("websocket"), true);
    assert_eq!(elsewhere, Err(MalformedRequest), "of no host");
}

fn http2(
    method: &str,
    target: &str,
    authority: Option<&str>,
    lines: &[(&'static str, &'static str)],
) -> Result<Canonical, Reason> {
    extended(method, target, authority, lines, None, false)
}

fn extended(
    method: &str,
    target: &str,
    authority: Option<&str>,
    lines: &[(&'static str, &'static str)],
    protocol: Option<&str>,
    websockets: bool,
) -> Result<Canonical, Reason> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let method = Method::from_bytes(method.as_bytes()).expect("a token");
    let target = target.as_bytes();
    let head = Head {
        method: &method,
        target,
        version: Version::HTTP_2,
        headers: &headers,
        raw: None,
        authority,
        scheme: Some("https"),
        protocol,
        client: CLIENT,
        websockets,
    };
    canonicalise(&head, &identity(), &limits())
}
