//! What has no end of its own: events of a server, and WebSockets. What passes on them, who may have them, and what ends them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::wire::{Dialogue, message};
use super::{POLICY, clean, contact, request, setup, told, words};
use crate::support::World;
use crate::support::world::{API, Setup};

pub(super) const SOON: Duration = Duration::from_secs(20);

/// An upstream whose connections the test itself serves.
pub(super) struct Far {
    address: SocketAddr,
    pub(super) connections: mpsc::UnboundedReceiver<TcpStream>,
}

impl Far {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let (give, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if give.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, connections }
    }

    pub(super) fn setup(&self, limits: &str) -> Setup {
        let opaque = "opaque:\n  events: { route: GET /events, upstream_path: \"/feeds/{tenant.organization_id}/all\", roles: [rep], stream: sse }\n  \
                      chat: { route: GET /chat, roles: [rep], upgrade: websocket, protocols: [chat, feed] }\n";
        let mut setup = Setup { upstream: Some(self.address), ..setup(limits) };
        setup.api = API.replace("opaque:\n", opaque);
        setup.authn = "  revocations: { file: revoked.yaml }\n".to_owned();
        setup.files.insert("revoked.yaml".to_owned(), "revoked: []\n".to_owned());
        setup.more = "cors: { origins: [\"https://app.test\"] }\n".to_owned();
        setup
    }

    async fn world(&self, limits: &str) -> World {
        self.setup(limits).start().await
    }

    async fn next(&mut self) -> TcpStream {
        tokio::time::timeout(SOON, self.connections.recv()).await.expect("in time").expect("a connection")
    }

    /// The other end of a WebSocket, with the request that opened it.
    #[expect(clippy::result_large_err, reason = "what the library lets a handshake be refused with")]
    pub(super) async fn websocket(&mut self) -> (WebSocketStream<TcpStream>, Request) {
        let stream = self.next().await;
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let answer = move |request: &Request, mut response: Response| {
            if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                let first = offered.to_str().expect("text").split(',').next().expect("one").parse().expect("a value");
                response.headers_mut().insert("sec-websocket-protocol", first);
            }
            *noted.lock().expect("no panic holds it") = Some(request.clone());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, answer).await.expect("a handshake");
        let request = seen.lock().expect("no panic holds it").take().expect("noted");
        (socket, request)
    }
}

pub(super) fn token(world: &World, id: &str) -> String {
    format!("Bearer {}", world.identities.token(id, &json!({ "roles": ["rep"] })))
}

/// A client's WebSocket. Errors: the status that it was refused with.
async fn open(world: &World, headers: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, u16> {
    let mut request = "ws://crm.test/chat".into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    let stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("neither opened nor refused: {error}"),
    }
}

/// Both ends of one.
async fn opened(world: &World, far: &mut Far) -> (WebSocketStream<TcpStream>, WebSocketStream<TcpStream>) {
    let token = token(world, "ann");
    let headers = [("authorization", &*token)];
    let (client, server) = tokio::join!(open(world, &headers), far.websocket());
    (client.expect("opened"), server.0)
}

/// The code with which it is closed, if it is closed by a word.
async fn closed(socket: &mut WebSocketStream<TcpStream>) -> Option<u16> {
    loop {
        match tokio::time::timeout(SOON, socket.next()).await.expect("in time") {
            Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

pub(super) async fn over(world: &World) {
    let metrics = world.gateway.metrics();
    while metrics.live.get() > 0 {
        tokio::task::yield_now().await;
    }
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_both_ways_and_nothing_else_of_the_client_does() {
    let mut far = Far::start().await;
    let world = far.world("").await;
    let token = token(&world, "ann");
    let headers = [
        ("authorization", &*token),
        ("origin", "https://app.test"),
        ("cookie", "a=SECRET"),
        ("x-forwarded-for", "198.51.100.7"),
        ("sec-websocket-protocol", "other, feed"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let (client, (mut server, seen)) = tokio::join!(open(&world, &headers), far.websocket());
    let mut client = client.expect("opened");
    let header = |name: &str| seen.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(seen.uri().path(), "/chat");
    assert_eq!(header("authorization").as_deref(), Some("Bearer token-0123456789abcdef0123456789abcdef"));
    assert_eq!((header("x-organization-id").as_deref(), header("x-app-id").as_deref()), (Some("acme"), Some("shop")));
    assert_eq!(header("sec-websocket-protocol").as_deref(), Some("feed"));
    for name in ["origin", "cookie", "x-forwarded-for", "sec-websocket-extensions", "accept"] {
        assert_eq!(header(name), None, "{name}");
    }
    assert_eq!((world.gateway.metrics().live.get(), world.gateway.metrics().in_flight.get()), (1, 0));
    for text in ["hello", "again", &"x".repeat(60_000)] {
        client.send(Message::text(text)).await.expect("sent");
        assert_eq!(server.next().await.expect("one").expect("a message"), Message::text(text));
        server.send(Message::binary(text.as_bytes().to_vec())).await.expect("sent");
        assert_eq!(client.next().await.expect("one").expect("a message"), Message::binary(text.as_bytes().to_vec()));
    }
    client.close(None).await.expect("closed");
    assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
    drop((client, server));
    over(&world).await;
    let (intent, outcome) = world.last_audit().await;
    assert_eq!((&intent["action"], &intent["tenant"]), (&json!("opaque:chat"), &json!("acme/shop")));
    assert_eq!(outcome["opaque"], true);
    assert!(outcome["bytes_sent"].as_u64().is_some_and(|bytes| bytes > 60_000), "{outcome}");
    assert_eq!(told(&world).await, words(101, "allowed", ""));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_opens_one_and_from_pages_that_may() {
    let mut far = Far::start().await;
    let world = far.world("").await;
    let ann = token(&world, "ann");
    let manager = format!("Bearer {}", world.identities.token("mia", &json!({ "roles": ["manager"] })));
    for (headers, status, reason) in [
        (vec![], 401, "credentials_missing"),
        (vec![("authorization", &*manager)], 404, "table_hidden"),
        (vec![("authorization", &*manager), ("origin", "https://evil.test")], 404, "table_hidden"),
        (vec![("authorization", &*ann), ("origin", "https://evil.test")], 403, "origin_foreign"),
        (vec![("authorization", &*ann), ("origin", "null")], 403, "origin_foreign"),
        (vec![("authorization", &*ann), ("origin", "https://crm.test.evil.test")], 403, "origin_foreign"),
        (vec![("authorization", &*ann), ("sec-websocket-version", "8")], 400, "malformed_request"),
    ] {
        assert_eq!(open(&world, &headers).await.err(), Some(status), "{headers:?}");
        assert_eq!(told(&world).await.2, reason);
    }
    // Neither what is no WebSocket there, nor a WebSocket elsewhere, nor another upgrade.
    let socket = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                  sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (line, headers, status) in [
        ("GET /chat", "".to_owned(), 404),
        ("GET /contacts/1", socket.to_owned(), 404),
        ("GET /nothing", socket.to_owned(), 404),
        ("GET /chat?x=1", socket.to_owned(), 400),
        ("POST /chat", socket.to_owned(), 400),
        ("GET /chat", socket.replace("websocket\r\n", "h2c\r\n"), 400),
        ("GET /chat", socket.replace("connection: Upgrade\r\n", ""), 400),
        ("GET /chat", socket.replace("upgrade: websocket\r\n", ""), 400),
        ("GET /chat", socket.replace("upgrade: websocket\r\n", "upgrade: websocket\r\nupgrade: websocket\r\n"), 400),
        ("GET /chat", format!("{socket}http2-settings: AAMAAABk\r\n"), 400),
    ] {
        let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
        client.send(request(&world, line, &headers, "")).await;
        assert_eq!(client.answer().await.expect("an answer").0, status, "{line} {headers}");
    }
    assert!(far.connections.try_recv().is_err(), "nothing has reached the upstream");
    // Where no route takes one, none is asked for.
    let without = setup("").start().await;
    let mut client = Dialogue::open(without.gateway.addresses()[0]).await;
    client.send(request(&without, "GET /nothing", socket, "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_agree_is_no_websocket() {
    let mut far = Far::start().await;
    let world = far.world("").await;
    let token = token(&world, "ann");
    let unproven = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nSECRET";
    for (answer, status) in [
        (unproven, 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\nSECRET", 404),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 6\r\n\r\nSECRET", 400),
        ("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 6\r\n\r\nSECRET", 429),
    ] {
        let served = async {
            let mut stream = far.next().await;
            message(&mut stream, &mut Vec::new()).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("sent");
            stream
        };
        let headers = [("authorization", &*token)];
        let (refused, _stream) = tokio::join!(open(&world, &headers), served);
        assert_eq!(refused.err(), Some(status), "{answer}");
    }
    over(&world).await;
    clean(&world, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_have_a_length_and_a_rate() {
    let mut far = Far::start().await;
    let world = far.world("live_message: 1KiB, live_rate: 5").await;
    let (mut client, mut server) = opened(&world, &mut far).await;
    client.send(Message::text("x".repeat(1024))).await.expect("sent");
    assert_eq!(server.next().await.expect("one").expect("a message").len(), 1024);
    // It may break before all of it is sent.
    client.send(Message::text("x".repeat(1025))).await.ok();
    assert_eq!(closed(&mut client).await, Some(1008));
    assert_eq!(closed(&mut server).await, None, "nothing of it has come through");
    over(&world).await;
    assert_eq!(told(&world).await, words(101, "aborted", "live_refused"));

    let (mut client, mut server) = opened(&world, &mut far).await;
    for _ in 0..100 {
        if client.send(Message::text("flood")).await.is_err() {
            break;
        }
    }
    assert_eq!(closed(&mut client).await, Some(1008));
    let mut passed = 0;
    while let Some(Ok(_)) = server.next().await {
        passed += 1;
    }
    assert!(passed < 50, "{passed} messages came through");
    over(&world).await;

    // An upstream is held to its limits, too.
    let (mut client, mut server) = opened(&world, &mut far).await;
    server.send(Message::text("x".repeat(2000))).await.expect("sent");
    assert_eq!(closed(&mut client).await, Some(1008));
    over(&world).await;
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_one() {
    let mut far = Far::start().await;
    let world = far.world("live_idle_time: 200ms").await;
    let (mut client, mut server) = opened(&world, &mut far).await;
    client.send(Message::text("hello")).await.expect("sent");
    assert!(matches!(server.next().await, Some(Ok(Message::Text(_)))));
    assert_eq!(closed(&mut client).await, Some(1001));
    over(&world).await;
    assert_eq!(told(&world).await, words(101, "aborted", "live_timeout"));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_in_is_looked_at_again() {
    let mut far = Far::start().await;
    let world = far.world("").await;
    let ends = async |far: &mut Far, change: &dyn Fn()| {
        let (mut client, _server) = opened(&world, far).await;
        change();
        world.gateway.reload().await.expect("it loads");
        assert_eq!(closed(&mut client).await, Some(1001));
        over(&world).await;
        assert_eq!(told(&world).await, words(101, "aborted", "live_withdrawn"));
    };
    let write = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    // A reload that changes nothing ends nothing, and a policy that was changed may have taken it from them.
    ends(&mut far, &|| write("policies/contacts.yaml", &POLICY.replace("[id, name]", "[id]"))).await;
    ends(&mut far, &|| write("revoked.yaml", "revoked: [{ sub: ann, issued_before: 2027-01-15T08:00:00Z }]\n")).await;
    write("revoked.yaml", "revoked: []\n");
    world.gateway.refresh().await;
    // So may the description have, which says whose roles a route is for.
    let described = std::fs::read_to_string(world.folder.path().join("api.yaml")).expect("written before");
    let closed_to_reps = described.replacen("GET /chat, roles: [rep]", "GET /chat, roles: [manager]", 1);
    assert_ne!(closed_to_reps, described);
    ends(&mut far, &|| write("api.yaml", &closed_to_reps)).await;
    write("api.yaml", &described);
    world.gateway.reload().await.expect("it loads");
    let (mut client, mut server) = opened(&world, &mut far).await;
    world.gateway.reload().await.expect("it loads");
    client.send(Message::text("still")).await.expect("sent");
    assert!(matches!(server.next().await, Some(Ok(Message::Text(_)))));
    // And so is the end of the token.
    world.clock.set(crate::support::identities::NOW + 2 * 3600);
    assert_eq!(closed(&mut client).await, Some(1001));
    over(&world).await;
    clean(&world, 4).await;
}

/// What follows an upgrade is not followed as HTTP any more, so nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_an_upgrade_that_is_refused() {
    let far = Far::start().await;
    let world = far.world("").await;
    let mut stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
    let upgrade = "GET /chat HTTP/1.1\r\nhost: crm.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream
        .write_all(format!("{upgrade}{}", request(&world, "GET /contacts/1", "", "")).as_bytes())
        .await
        .expect("sent");
    let mut read = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut read)).await.expect("it ends").expect("text");
    assert!(read.starts_with("HTTP/1.1 401") && read.matches("HTTP/1.1").count() == 1, "{read}");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_keep_no_place_from_others_and_have_a_number_of_their_own() {
    let mut far = Far::start().await;
    let world = far.world("in_flight: 1, concurrent: 1, live_connections: 1").await;
    let (mut client, _server) = opened(&world, &mut far).await;
    let token = token(&world, "ann");
    let served = async {
        let mut stream = far.next().await;
        message(&mut stream, &mut Vec::new()).await.expect("a request");
        stream.write_all(super::answer(&contact(1)).as_bytes()).await.expect("sent");
    };
    let ann = world.person("ann", &json!({ "roles": ["rep"] }));
    let (answer, ()) = tokio::join!(ann.get("/contacts/1"), served);
    assert_eq!(answer.status, 200);
    world.settled().await;
    assert_eq!(open(&world, &[("authorization", &*token)]).await.err(), Some(503));
    assert_eq!(told(&world).await.2, "overloaded");
    // A drain ends it at once.
    let World { gateway, folder: _folder, .. } = world;
    let (code, drained) = tokio::join!(closed(&mut client), tokio::time::timeout(SOON, gateway.shutdown()));
    assert_eq!((code, drained.is_ok()), (Some(1001), true));
}

/// A client's stream of events, read as it comes.
struct Events {
    stream: TcpStream,
    read: String,
}

impl Events {
    async fn ask(world: &World, headers: &str) -> Self {
        let mut stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
        stream.write_all(request(world, "GET /events", headers, "").as_bytes()).await.expect("sent");
        Self { stream, read: String::new() }
    }

    /// Until this was read, or the connection has ended: whether it was read.
    async fn until(&mut self, text: &str) -> bool {
        while !self.read.contains(text) {
            let mut buffer = [0; 1024];
            let read = tokio::time::timeout(SOON, self.stream.read(&mut buffer)).await.expect("in time").unwrap_or(0);
            if read == 0 {
                return false;
            }
            self.read.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        true
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// The upstream's end of a stream that has begun, and the head of the request for it.
async fn begun(far: &mut Far) -> (TcpStream, String) {
    let mut stream = far.next().await;
    let (head, _) = message(&mut stream, &mut Vec::new()).await.expect("a request");
    stream.write_all(STREAM.as_bytes()).await.expect("sent");
    (stream, head.to_ascii_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_as_they_come() {
    let mut far = Far::start().await;
    let world = far.world("concurrent: 1").await;
    let mut client = Events::ask(&world, "last-event-id: 41\r\naccept: text/event-stream\r\n").await;
    let (mut server, head) = begun(&mut far).await;
    assert!(head.starts_with("get /feeds/acme/all http/1.1"), "{head}");
    for line in ["accept: text/event-stream", "last-event-id: 41", "authorization: bearer token-", "x-app-id: shop"] {
        assert!(head.contains(line), "{line}: {head}");
    }
    for count in 0..5 {
        let event = format!("id: {count}\ndata: hello\n\n");
        server.write_all(chunk(&event).as_bytes()).await.expect("sent");
        assert!(client.until(&event).await, "{}", client.read);
    }
    assert!(client.read.starts_with("HTTP/1.1 200"), "{}", client.read);
    assert!(client.read.to_ascii_lowercase().contains("cache-control: private, no-store"), "{}", client.read);
    server.write_all(b"0\r\n\r\n").await.expect("sent");
    assert!(client.until("\r\n0\r\n\r\n").await, "{}", client.read);
    over(&world).await;
    assert_eq!(told(&world).await, words(200, "allowed", ""));
    assert_eq!(world.last_audit().await.0["action"], "opaque:events");

    // A client that leaves has had what it wanted, and the upstream is let go.
    drop(server);
    let mut client = Events::ask(&world, "").await;
    let (mut server, _) = begun(&mut far).await;
    server.write_all(chunk("data: a\n\n").as_bytes()).await.expect("sent");
    assert!(client.until("data: a").await);
    drop(client);
    assert_eq!(server.read(&mut [0; 16]).await.unwrap_or(0), 0);
    over(&world).await;
    assert_eq!(told(&world).await, words(200, "allowed", ""));
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_with_what_let_them_in_and_never_look_whole_if_they_broke() {
    let mut far = Far::start().await;
    let world = far.world("live_idle_time: 3s").await;
    // Broken off by the upstream.
    let mut client = Events::ask(&world, "").await;
    let (mut server, _) = begun(&mut far).await;
    server.write_all(b"ff\r\ndata: half").await.expect("sent");
    assert!(client.until("data: half").await);
    drop(server);
    assert!(!client.until("\r\n0\r\n\r\n").await, "{}", client.read);
    over(&world).await;
    assert_eq!(told(&world).await, words(200, "aborted", "upstream_broken"));
    // Revoked.
    let mut client = Events::ask(&world, "").await;
    let (mut server, _) = begun(&mut far).await;
    server.write_all(chunk("data: a\n\n").as_bytes()).await.expect("sent");
    assert!(client.until("data: a").await);
    std::fs::write(world.folder.path().join("revoked.yaml"), "revoked: [{ sub: ann }]\n").expect("written");
    world.gateway.refresh().await;
    assert!(client.until("\r\n0\r\n\r\n").await, "{}", client.read);
    over(&world).await;
    assert_eq!(told(&world).await, words(200, "aborted", "live_withdrawn"));
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream_of_events_is_refused() {
    let mut far = Far::start().await;
    let world = far.world("").await;
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 500 Oops\r\ncontent-type: text/event-stream\r\ncontent-length: 6\r\n\r\nSECRET", 502),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\nSECRET", 404),
    ] {
        let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
        client.send(request(&world, "GET /events", "", "")).await;
        let mut server = far.next().await;
        message(&mut server, &mut Vec::new()).await.expect("a request");
        server.write_all(answer.as_bytes()).await.expect("sent");
        let (found, _, body) = client.answer().await.expect("an answer");
        assert_eq!((found, body.contains("SECRET")), (status, false), "{answer}");
    }
    for (line, headers) in [("GET /events", "last-event-id: \u{1}\r\n"), ("GET /events?a=1", "")] {
        let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
        client.send(request(&world, line, headers, "")).await;
        assert!(client.answer().await.is_some_and(|(status, ..)| status >= 400), "{line}");
    }
    assert_eq!(world.person("ann", &json!({ "roles": ["rep"] })).send("HEAD", "/events", None).await.status, 404);
    let long = format!("last-event-id: {}\r\n", "x".repeat(300));
    let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
    client.send(request(&world, "GET /events", &long, "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 400);
    assert!(far.connections.try_recv().is_err());
    let values: Vec<Value> = world.audit().await;
    assert!(values.iter().all(|line| !line.to_string().contains("SECRET")));
}
