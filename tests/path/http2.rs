//! HTTP/2 over TLS: streams side by side, and one that the client resets.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::source::{Ending, Script, Source, shown, shown_of};
use super::tls::Identity;
use super::wire::message;
use super::{CREATION, clean, contact, contact_answers, seen, told, words};
use crate::support::upstream::Then;
use crate::support::world::API;
use crate::support::{Answer, World};

pub(super) type Http2 = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) fn client(identity: &Identity) -> Http2 {
    let config = identity.client(&[&rustls::version::TLS13]);
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http2().build();
    Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

pub(super) fn request(world: &World, method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let address = world.gateway.addresses()[0];
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{address}{path}"))
        .header("authorization", format!("Bearer {token}"));
    let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
    request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")
}

pub(super) async fn ask(client: &Http2, request: Request<Full<Bytes>>) -> (u16, Value) {
    let response = client.request(request).await.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_side_by_side_get_their_own_answers() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    for id in 2..20 {
        world.upstream.on(&format!("GET /contacts/{id}"), [Answer::json(200, contact(id))]);
    }
    let client = client(&identity);
    let mut tasks = tokio::task::JoinSet::new();
    for id in 2..20 {
        let (client, request) = (client.clone(), request(&world, "GET", &format!("/contacts/{id}"), ""));
        tasks.spawn(async move { (id, ask(&client, request).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (id, found) = done.expect("no panic");
        assert_eq!(found, (200, seen(id)));
    }
    assert_eq!(ask(&client, request(&world, "POST", "/contacts", CREATION)).await, (201, seen(9)));
    assert_eq!(ask(&client, request(&world, "GET", "/nothing", "")).await.0, 404);
    clean(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_stream_cancels_its_upstream_request_and_no_other() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    world.upstream.on("GET /contacts/2", [Answer::json(200, contact(2)).then(Then::Stall)]);
    let client = client(&identity);
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    world.upstream.arrival().await;
    let pending = tokio::spawn({
        let (client, request) = (client.clone(), request(&world, "GET", "/contacts/2", ""));
        async move { ask(&client, request).await }
    });
    world.upstream.arrival().await;
    pending.abort();
    world.upstream.abandonment().await;
    assert_eq!(told(&world).await, words(0, "aborted", "client_gone"));
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_on_its_stream_alone() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "request_body: 1KiB".to_owned();
    let world = setup.start().await;
    contact_answers(&world);
    let client = client(&identity);
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(20_000));
    assert_eq!(ask(&client, request(&world, "POST", "/contacts", &long)).await.0, 413);
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_while_the_body_is_still_on_its_way() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "request_body: 1KiB".to_owned();
    let world = setup.start().await;
    let client = client(&identity);
    // More than a stream's first window: the rest is sent only if somebody reads.
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(ask(&client, request(&world, "POST", "/contacts", &long)).await.0, 413);
    assert_eq!(ask(&client, request(&world, "POST", "/nothing", &long)).await.0, 404);
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_has_no_body() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    for (path, status, length) in [("/contacts/1", 200, Some("30")), ("/nothing", 404, Some("87"))] {
        let response = client(&identity).request(request(&world, "HEAD", path, "")).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status);
        let found = response.headers().get("content-length").map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(found.as_deref(), length);
        assert!(response.into_body().collect().await.expect("no stream error").to_bytes().is_empty());
    }
    clean(&world, 2).await;
}

/// All of a body that comes before its end or an error, and whether it has an end.
async fn read(mut body: hyper::body::Incoming) -> (Vec<u8>, bool) {
    let mut received = Vec::new();
    loop {
        match body.frame().await {
            None => return (received, true),
            Some(Err(_)) => return (received, false),
            Some(Ok(frame)) => received.extend_from_slice(&frame.into_data().unwrap_or_default()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_leaves_on_its_stream_and_is_reset_if_it_breaks() {
    let identity = Identity::new();
    for (end, whole) in [(Ending::Whole, true), (Ending::Cut, false), (Ending::Record("\"SECRET\""), false)] {
        let source = Source::start(Script { end, ..Script::default() }).await;
        let mut setup = identity.setup("");
        setup.upstream = Some(source.address);
        let world = setup.start().await;
        let client = client(&identity);
        // A reset overtakes what was still queued, even the head.
        let (received, complete) = match client.request(request(&world, "GET", "/contacts", "")).await {
            Ok(response) => {
                assert_eq!((response.status().as_u16(), response.headers().get("content-length")), (200, None));
                read(response.into_body()).await
            }
            Err(_) => (Vec::new(), false),
        };
        assert_eq!(complete, whole, "{end:?}");
        let text = String::from_utf8(received).expect("text");
        assert!(shown(5_000).starts_with(&text), "{end:?}: {}", text.len());
        assert_eq!(text.len() == shown(5_000).len(), whole, "{end:?}");
        let wanted = if whole { words(200, "allowed", "") } else { words(200, "aborted", "upstream_broken") };
        assert_eq!(told(&world).await, wanted, "{end:?}");
        // The connection serves other streams on.
        assert_eq!(ask(&client, request(&world, "GET", "/nothing", "")).await.0, 404);
        clean(&world, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_read_holds_the_upstream_back() {
    let identity = Identity::new();
    let source = Source::start(Script { records: 60_000, name: 300, ..Script::default() }).await;
    let mut setup = identity.setup("");
    setup.upstream = Some(source.address);
    let world = setup.start().await;
    let client = client(&identity);
    let response = client.request(request(&world, "GET", "/contacts", "")).await.expect("an answer");
    source.held().await;
    assert!(source.sent() < 20 << 20, "{}", source.sent());
    // Another stream of the same connection is not held back with it.
    assert_eq!(ask(&client, request(&world, "GET", "/nothing", "")).await.0, 404);
    let (received, complete) = read(response.into_body()).await;
    assert!(complete && received == shown_of(60_000, 300).into_bytes());
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_in_the_middle_cancels_the_upstream() {
    let identity = Identity::new();
    let source = Source::start(Script { end: Ending::Stall, ..Script::default() }).await;
    let mut setup = identity.setup("");
    setup.upstream = Some(source.address);
    let world = setup.start().await;
    let client = client(&identity);
    let response = client.request(request(&world, "GET", "/contacts", "")).await.expect("an answer");
    let mut body = response.into_body();
    body.frame().await.expect("a frame").expect("no error");
    drop(body);
    source.left().await;
    assert_eq!(told(&world).await, words(200, "aborted", "client_gone"));
    assert_eq!(ask(&client, request(&world, "GET", "/nothing", "")).await.0, 404);
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_on_their_stream_as_they_come_and_websockets_do_not() {
    let far = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.upstream = Some(far.local_addr().expect("bound"));
    let opaque = "opaque:\n  events: { route: GET /events, roles: [rep], stream: sse }\n  \
                  chat: { route: GET /chat, roles: [rep], upgrade: websocket }\n";
    setup.api = API.replace("opaque:\n", opaque);
    let world = setup.start().await;
    let client = client(&identity);
    let serve = async {
        let (mut stream, _) = far.accept().await.expect("a connection");
        message(&mut stream, &mut Vec::new()).await.expect("a request");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    };
    let (response, mut stream) = tokio::join!(client.request(request(&world, "GET", "/events", "")), serve);
    let response = response.expect("an answer");
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let mut body = response.into_body();
    for event in ["data: one\n\n", "data: two\n\n"] {
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.expect("sent");
        let frame = body.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), event, "before the next one is there");
        // Another stream of the same connection goes on beside it.
        assert_eq!(ask(&client, request(&world, "GET", "/chat", "")).await.0, 404);
    }
    drop(body);
    while world.gateway.metrics().live.get() > 0 {
        tokio::task::yield_now().await;
    }
    clean(&world, 3).await;
}

/// Whether the gateway ends a connection on which only these bytes are sent.
async fn is_ended(world: &World, identity: &Identity, bytes: Vec<u8>) -> bool {
    let mut config = identity.client(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = world.gateway.addresses()[0];
    let wait = move || {
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut tls = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("a client");
        let mut socket = std::net::TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        tls.complete_io(&mut socket).expect("a handshake");
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
            return true;
        }
        let timed_out = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        stream.read_to_end(&mut Vec::new()).map_or_else(|error| !timed_out(error.kind()), |_| true)
    };
    tokio::task::spawn_blocking(wait).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_stream_is_closed_after_the_idle_time() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "idle_time: 200ms".to_owned();
    let world = setup.start().await;
    // The preface and an empty SETTINGS frame (RFC 9113, section 3.4).
    let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (world, identity) = (&world, &identity);
    let cases: [(&str, &'static [u8]); 3] =
        [("silent after its greeting", greeting), ("half a greeting", b"PRI * HTTP/2.0\r\n"), ("no greeting", b"")];
    let all = cases.map(|(what, bytes)| async move { (what, is_ended(world, identity, bytes.to_vec()).await) });
    let [a, b, c] = all;
    let ended = tokio::join!(a, b, c);
    assert_eq!(ended, cases.map(|(what, _)| (what, true)).into());
    clean(world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_in_pieces_has_a_time_of_its_own() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "head_time: 200ms".to_owned();
    let world = setup.start().await;
    let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // `:method: GET` and no end of the head, also behind another request.
    let begun = b"\0\0\x01\x01\x01\0\0\0\x03\x82";
    let whole = b"\0\0\x01\x01\x05\0\0\0\x01\x82";
    for sent in [greeting.to_vec(), [&greeting[..], begun].concat(), [&greeting[..], whole, begun].concat()] {
        assert!(is_ended(&world, &identity, sent).await);
    }
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_work_without_end_is_cut_off() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // PING, SETTINGS, PRIORITY of a stream, WINDOW_UPDATE of the connection, and a type that nobody knows.
    let floods: [&[u8]; 5] = [
        b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH",
        b"\0\0\0\x04\0\0\0\0\0",
        b"\0\0\x05\x02\0\0\0\0\x03\0\0\0\0\x10",
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",
        b"\0\0\0\xee\0\0\0\0\0",
    ];
    for flood in floods {
        assert!(is_ended(&world, &identity, [greeting.as_slice(), &flood.repeat(1000)].concat()).await, "{flood:?}");
    }
    assert_eq!(world.metric("scrim_floods_total").await, 5.0);
    contact_answers(&world);
    assert_eq!(ask(&client(&identity), request(&world, "GET", "/contacts/1", "")).await.0, 200);
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_a_drain_cuts_leaves_its_outcome() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "drain_time: 100ms".to_owned();
    let world = setup.start().await;
    world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1)).then(Then::Stall)]);
    let client = client(&identity);
    let pending = tokio::spawn({
        let request = request(&world, "GET", "/contacts/1", "");
        async move { client.request(request).await.map(drop) }
    });
    world.upstream.arrival().await;
    let World { gateway, folder, .. } = world;
    gateway.shutdown().await;
    let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("the audit log");
    let outcomes = log.lines().filter(|line| line.contains(r#""kind":"outcome""#)).count();
    assert_eq!(outcomes, 1, "{log}");
    assert!(pending.await.expect("no panic").is_err());
}
