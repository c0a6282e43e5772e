//! Opaque routes: whose tenant their service is told, what of a request and of an answer passes, and what a status becomes.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use scrim::diagnostic::Severity;
use serde_json::json;

use super::http2::{self, Http2};
use super::tls::Identity;
use super::wire::Dialogue;
use super::{clean, request, setup, told, words};
use crate::support::client::Response;
use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

const HEADERS: &str = "tenant_headers: { X-Organization-Id: organization_id, X-App-Id: app_id }\n";

/// A description whose opaque routes are these.
fn with(routes: &str) -> Setup {
    let (before, after) = API.split_once("opaque:\n").expect("it has one");
    let (_, tables) = after.split_once("\n\n").expect("tables follow");
    Setup { api: format!("{before}opaque:\n{routes}\n{tables}"), ..setup("") }
}

const ROUTES: &str = "  \
  hook: { route: POST /hook, roles: [rep], media_types: [application/json], request_headers: [stripe-signature] }
  upload: { route: \"PUT /files/{name}\", roles: [rep], media_types: [application/json], request_headers: [content-encoding, accept-language] }
  file: { route: \"GET /files/{name}\", roles: [rep], media_types: [text/plain], request_headers: [x-page] }
";

/// Clients of HTTP/1.1 and of HTTP/2.
fn clients(identity: &Identity) -> [(&'static str, Http2); 2] {
    let config = identity.client(&[&rustls::version::TLS13]);
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    let http1 = Client::builder(TokioExecutor::new()).build(connector);
    [("HTTP/1.1", http1), ("HTTP/2", http2::client(identity))]
}

async fn world(identity: &Identity, limits: &str) -> World {
    let Setup { api, .. } = with(ROUTES);
    let world = Setup { api, limits: limits.to_owned(), ..identity.setup("") }.start().await;
    for request in ["POST /hook", "PUT /files/a"] {
        world.upstream.on(request, [Answer::json(200, "{}")]);
    }
    world
}

/// What a rep gets who sends this.
async fn send(client: &Http2, world: &World, line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    let (method, path) = line.split_once(' ').expect("METHOD /path");
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://{}{path}", world.gateway.addresses()[0]))
        .header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let (head, body) = client.request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Response { status: head.status.as_u16(), headers: head.headers, body }
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    std::io::Write::write_all(&mut encoder, plain).expect("a vector takes all");
    encoder.finish().expect("finished")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_passes_as_it_is_with_what_it_is_and_the_headers_that_are_declared() {
    let identity = Identity::new();
    let world = world(&identity, "").await;
    let form = "--a b\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\n1\r\n--a b--\r\n";
    let json = ("content-type", "application/json; charset=utf-8");
    let parts = ("content-type", "multipart/form-data; boundary=\"a b\"");
    let signed = ("stripe-signature", "t=1,v1=5257a8");
    let kept = [("cookie", "a=SECRET"), ("x-other", "SECRET"), ("user-agent", "SECRET"), ("tracestate", "a=SECRET")];
    let compressed = gzip(b"flowers");
    let mut count = 0;
    for (protocol, client) in clients(&identity) {
        for (line, headers, body, passing) in [
            ("POST /hook", vec![json], &b"{\"a\":1}"[..], vec![json]),
            ("POST /hook", vec![parts], form.as_bytes(), vec![parts]),
            ("POST /hook", [&[json, signed][..], &kept].concat(), b"{ \"a\" : 1 }", vec![json, signed]),
            ("POST /hook", vec![json, signed], b"", vec![json, signed]),
            ("POST /hook", vec![], b"\0\xff", vec![]),
            ("POST /hook", vec![json, ("content-encoding", "identity")], b"[]", vec![json]),
            (
                "PUT /files/a",
                vec![json, ("content-encoding", "gzip")],
                &compressed,
                vec![json, ("content-encoding", "gzip")],
            ),
            ("PUT /files/a", vec![("accept-language", "de"), signed], b"x", vec![("accept-language", "de")]),
        ] {
            count += 1;
            world.upstream.forget();
            let got = send(&client, &world, line, &headers, body.to_vec()).await;
            assert_eq!((got.status, got.text().as_str()), (200, "{}"), "{protocol} {headers:?}");
            let seen = world.upstream.seen().pop().expect("a request");
            assert_eq!(
                (format!("{} {}", seen.method, seen.target), &seen.body[..]),
                (line.to_owned(), body),
                "{protocol}"
            );
            for name in ["content-type", "content-encoding", "stripe-signature", "accept-language"] {
                let wanted = passing.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
                assert_eq!(value(&seen.headers, name), wanted, "{protocol} {headers:?}");
            }
            assert_eq!(
                (value(&seen.headers, "x-organization-id"), value(&seen.headers, "accept")),
                ("acme", "application/json")
            );
            assert!(!format!("{:?}", seen.headers).contains("SECRET"), "{:?}", seen.headers);
        }
        // What has no body has no type; what is declared passes with it.
        world.upstream.on("GET /files/a", [Answer::json(200, "A").header("content-type", "text/plain")]);
        let got = send(&client, &world, "GET /files/a", &[json, ("x-page", "2")], "").await;
        assert_eq!((got.status, got.text().as_str()), (200, "A"), "{protocol}");
        let seen = world.upstream.seen().pop().expect("a request");
        assert_eq!((value(&seen.headers, "content-type"), value(&seen.headers, "x-page")), ("", "2"), "{protocol}");
        count += 1;
    }
    clean(&world, count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_size_or_kind_is_not_what_it_seems_reaches_nobody() {
    let identity = Identity::new();
    let world = world(&identity, "request_body: 1KiB").await;
    let json = ("content-type", "application/json");
    let long = format!("text/plain; a={}", "x".repeat(300));
    let bomb = gzip(&[0; 500_000]);
    for (protocol, client) in clients(&identity) {
        for (line, headers, body, status, reason) in [
            ("POST /hook", vec![json], vec![b'x'; 1025], 413, "body_too_large"),
            ("PUT /files/a", vec![json, ("content-encoding", "gzip")], gzip(&noise(5000)), 413, "body_too_large"),
            ("POST /hook", vec![json, ("content-encoding", "gzip")], bomb.clone(), 415, "coding_unsupported"),
            ("POST /hook", vec![json, ("content-encoding", "")], vec![b'x'], 415, "coding_unsupported"),
            ("POST /hook", vec![("content-type", &*long)], vec![b'x'], 400, "malformed_request"),
            ("POST /hook", vec![("content-type", "")], vec![b'x'], 400, "malformed_request"),
            ("POST /hook", vec![json, ("stripe-signature", "\u{e9}")], vec![b'x'], 400, "malformed_request"),
            (
                "POST /hook",
                vec![json, ("stripe-signature", "a"), ("stripe-signature", "b")],
                vec![b'x'],
                400,
                "ambiguous_header",
            ),
        ] {
            let got = send(&client, &world, line, &headers, body).await;
            assert_eq!((got.status, told(&world).await.2.as_str()), (status, reason), "{protocol} {headers:?}");
        }
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    clean(&world, 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_means_to_the_client_what_it_says_and_no_other_word_of_the_service_passes() {
    let identity = Identity::new();
    let world = world(&identity, "").await;
    let passes = (0, "", "");
    let failed = (502, "upstream_failed", "upstream_failed");
    let mut count = 0;
    for (protocol, client) in clients(&identity) {
        for (status, (told_as, code, reason)) in [
            (200, passes),
            (201, passes),
            (202, passes),
            (203, failed),
            (206, failed),
            (301, failed),
            (302, failed),
            (307, failed),
            (400, (400, "not_understood", "upstream_misunderstood")),
            (401, failed),
            (402, failed),
            (403, failed),
            (404, (404, "not_found", "record_hidden")),
            (405, failed),
            (407, failed),
            (409, (409, "conflict", "upstream_conflict")),
            (410, (404, "not_found", "record_hidden")),
            (412, failed),
            (413, (413, "body_too_large", "upstream_refused_size")),
            (415, (415, "body_not_supported", "upstream_refused_type")),
            (422, (422, "not_accepted", "upstream_refused")),
            (429, (429, "rate_limited", "upstream_rate_limited")),
            (500, failed),
            (503, failed),
        ] {
            count += 1;
            let text = if code.is_empty() { "{\"a\":1}" } else { "{\"error\":\"SECRET\"}" };
            let answer = Answer::json(status, text).header("location", "/SECRET").header("www-authenticate", "SECRET");
            world.upstream.on("POST /hook", [answer]);
            let got = send(&client, &world, "POST /hook", &[], "{}").await;
            assert!(!got.everything().contains("SECRET"), "{protocol} {status}: {}", got.everything());
            if code.is_empty() {
                assert_eq!((got.status, got.text().as_str()), (status, text), "{protocol}");
            } else {
                assert_eq!((got.status, got.json()["code"].as_str()), (told_as, Some(code)), "{protocol} {status}");
                assert_eq!(value(&got.headers, "content-type"), "application/problem+json");
            }
            assert_eq!(told(&world).await.2, reason, "{protocol} {status}");
        }
        // Without a byte of content nothing has to be of a type.
        for status in [200, 201, 202, 204] {
            count += 1;
            let answer = Answer { headers: Vec::new(), ..Answer::json(status, "") };
            world.upstream.on("POST /hook", [answer]);
            let got = send(&client, &world, "POST /hook", &[], "{}").await;
            let length = if status == 204 { "" } else { "0" };
            assert_eq!((got.status, got.text().as_str()), (status, ""), "{protocol}");
            assert_eq!((value(&got.headers, "content-length"), value(&got.headers, "content-type")), (length, ""));
        }
        for (said, wanted) in
            [("7", "7"), ("0", "1"), ("99999999", "86400"), ("Fri, 27 Nov 2026 06:00:00 GMT", "1"), ("", "1")]
        {
            count += 1;
            world.upstream.on("POST /hook", [Answer::json(429, "{}").header("retry-after", said)]);
            let got = send(&client, &world, "POST /hook", &[], "{}").await;
            assert_eq!((got.status, value(&got.headers, "retry-after")), (429, wanted), "{protocol} {said}");
        }
    }
    clean(&world, count).await;
}

/// Bytes that nothing compresses.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_a_client_calls_its_connections_own_stays() {
    let world = with(ROUTES).start().await;
    world.upstream.on("POST /hook", [Answer::json(200, "{}")]);
    for (connection, wanted) in [("keep-alive", "x"), ("keep-alive, Stripe-Signature", "")] {
        let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
        let headers = format!("connection: {connection}\r\nstripe-signature: x\r\ncontent-length: 0\r\n");
        client.send(request(&world, "POST /hook", &headers, "")).await;
        assert_eq!(client.answer().await.expect("an answer").0, 200);
        let seen = world.upstream.seen().pop().expect("a request");
        assert_eq!(value(&seen.headers, "stripe-signature"), wanted, "{connection}");
    }
    assert_eq!(told(&world).await, words(200, "allowed", ""));
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_service_is_not_told_the_tenant_is_a_mistake_until_it_is_said_to_be_for_all() {
    let route = |path: &str, more: &str| {
        format!(
            "  files: {{ route: \"GET /files/{{name}}\", upstream_path: \"{path}/{{name}}\", roles: [rep], \
             media_types: [text/plain]{more} }}\n"
        )
    };
    let all = "/f/{tenant.organization_id}/{tenant.app_id}";
    let one = "/f/{tenant.organization_id}";
    let header = "tenant_headers: { X-App-Id: app_id }\n";
    let plain = "{ bearer: { secret: token } }";
    let own = r#"{ bearer: { secret: "crm/{organization_id}/{app_id}" } }"#;
    let own_app = r#"{ header: { name: X-Key, secret: "crm/{app_id}" } }"#;
    let or_else = r#"{ bearer: { secret: "crm/{organization_id}/{app_id}", default: token } }"#;
    for (headers, path, more, credential, untold) in [
        ("", "/f", "", plain, "`organization_id` and `app_id`"),
        (HEADERS, "/f", "", plain, ""),
        ("", all, "", plain, ""),
        ("", one, "", plain, "`app_id`"),
        (header, "/f", "", plain, "`organization_id`"),
        (header, one, "", plain, ""),
        ("", "/f", "", own, ""),
        ("", "/f", "", own_app, "`organization_id`"),
        ("", one, "", own_app, ""),
        // A tenant without one is shown as another one without.
        ("", "/f", "", or_else, "`organization_id` and `app_id`"),
        ("", "/f", ", tenant: shared", plain, ""),
    ] {
        let mut setup = with(&route(path, more));
        setup.api = setup.api.replace(HEADERS, headers);
        setup.credential = credential.to_owned();
        let found = match setup.try_start().await {
            Ok(_) => String::new(),
            Err(found) => {
                let errors = found.iter().filter(|found| found.severity == Severity::Error);
                errors.map(|error| error.message.as_str()).collect()
            }
        };
        let wanted = if untold.is_empty() {
            String::new()
        } else {
            format!("the upstream of `files` isn't told the tenant's {untold}")
        };
        assert_eq!(found, wanted, "{headers} {path} {more} {credential}");
    }
}

/// As a credential, so a certificate of each tenant's own; one for all says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_tenants_own_tell_whose_a_request_is() {
    let route = "  files: { route: \"GET /files/{name}\", roles: [rep], media_types: [text/plain] }\n";
    for (name, told) in [("{organization_id}", false), ("tls/{organization_id}/{app_id}", true), ("all", false)] {
        let mut setup = with(route);
        setup.api = setup.api.replace(HEADERS, "");
        setup.upstream_url = Some("https://127.0.0.1:9".to_owned());
        setup.upstream_keys = format!(", client_certificate: {{ cert: \"{name}.pem\", key: \"{name}.key\" }}");
        let codes: Vec<&str> = match setup.try_start().await {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.code).collect(),
        };
        assert!(!codes.contains(&"bad-upstream"), "{name} {codes:?}");
        assert_eq!(!codes.contains(&"tenant-not-told"), told, "{name} {codes:?}");
    }
}
