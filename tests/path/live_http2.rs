//! WebSockets as streams of HTTP/2 (RFC 8441): who may open one is judged as in HTTP/1.1, and other streams go on beside it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Version};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

use super::live::{Far, SOON, over, token};
use super::tls::Identity;
use super::{clean, setup, told, words};
use crate::support::World;

/// A gateway that speaks TLS, in front of `far`.
async fn world(far: &Far, identity: &Identity, limits: &str) -> World {
    let mut setup = far.setup(limits);
    let secured = identity.setup("");
    setup.listener = secured.listener;
    setup.files.extend(secured.files);
    setup.start().await
}

/// A connection on which the gateway has told what it takes.
async fn connect(world: &World, identity: &Identity) -> SendRequest<Bytes> {
    let mut config = identity.client(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { connection.await.ok() });
    // Settings come before the first answer.
    let mut client = client.ready().await.expect("ready");
    let request = Request::get("https://crm.test/nothing").version(Version::HTTP_2).body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 401);
    client.ready().await.expect("ready")
}

struct Opened {
    status: u16,
    headers: HeaderMap,
    said: RecvStream,
    tell: SendStream<Bytes>,
}

/// Errors: the stream was reset.
async fn ask(
    client: &SendRequest<Bytes>,
    method: Method,
    path: &str,
    protocol: Option<&'static str>,
    headers: &[(&'static str, &str)],
) -> Result<Opened, h2::Error> {
    let mut client = client.clone().ready().await?;
    let mut request = Request::builder().method(method).uri(format!("https://crm.test{path}")).version(Version::HTTP_2);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(()).expect("a request");
    request.extensions_mut().extend(
        protocol
            .map(|protocol| {
                let mut extensions = http::Extensions::new();
                extensions.insert(Protocol::from_static(protocol));
                extensions
            })
            .unwrap_or_default(),
    );
    let (answer, tell) = client.send_request(request, false)?;
    let (head, said) = tokio::time::timeout(SOON, answer).await.expect("in time")?.into_parts();
    Ok(Opened { status: head.status.as_u16(), headers: head.headers, said, tell })
}

async fn open(client: &SendRequest<Bytes>, headers: &[(&'static str, &str)]) -> Opened {
    let version = [("sec-websocket-version", "13")];
    let headers: Vec<_> = version
        .into_iter()
        .filter(|(name, _)| headers.iter().all(|(other, _)| other != name))
        .chain(headers.iter().copied())
        .collect();
    ask(client, Method::CONNECT, "/chat", Some("websocket"), &headers).await.expect("an answer")
}

/// A frame as clients send it, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Bytes {
    let length = match payload.len() {
        short @ 0..126 => vec![0x80 | short as u8],
        long => [&[0x80 | 126][..], &u16::try_from(long).expect("short").to_be_bytes()].concat(),
    };
    [&[first], &length[..], &[0; 4], payload].concat().into()
}

impl Opened {
    fn send(&mut self, bytes: Bytes) {
        self.tell.send_data(bytes, false).expect("it takes data");
    }

    /// All bytes up to the end of the stream. Errors: it was reset.
    async fn rest(&mut self) -> Result<Vec<u8>, h2::Error> {
        let mut all = Vec::new();
        while let Some(bytes) = tokio::time::timeout(SOON, self.said.data()).await.expect("in time") {
            let bytes = bytes?;
            self.said.flow_control().release_capacity(bytes.len()).expect("it was taken");
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    async fn some(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            let next = tokio::time::timeout(SOON, self.said.data()).await.expect("in time");
            let bytes = next.expect("it goes on").expect("bytes");
            self.said.flow_control().release_capacity(bytes.len()).expect("it was taken");
            all.extend_from_slice(&bytes);
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_on_a_stream_while_others_are_served_beside_it() {
    let (mut far, identity) = (Far::start().await, Identity::new());
    let world = world(&far, &identity, "").await;
    let client = connect(&world, &identity).await;
    assert!(client.is_extended_connect_protocol_enabled(), "the gateway says so");
    let ann = token(&world, "ann");
    let headers = [
        ("authorization", &*ann),
        ("origin", "https://app.test"),
        ("cookie", "a=SECRET"),
        ("sec-websocket-protocol", "other, feed"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let (mut opened, (mut server, seen)) = tokio::join!(open(&client, &headers), far.websocket());
    assert_eq!(opened.status, 200);
    let header =
        |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(header(&opened.headers, "sec-websocket-protocol").as_deref(), Some("feed"));
    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length", "content-type", "transfer-encoding"]
    {
        assert_eq!(header(&opened.headers, name), None, "{name}");
    }
    assert_eq!((seen.method(), seen.uri().path()), (&Method::GET, "/chat"));
    assert_eq!(header(seen.headers(), "x-organization-id").as_deref(), Some("acme"));
    for name in ["origin", "cookie", "sec-websocket-extensions"] {
        assert_eq!(header(seen.headers(), name), None, "{name}");
    }
    for text in ["hello", &"x".repeat(3000)] {
        opened.send(frame(0x81, text.as_bytes()));
        assert_eq!(server.next().await.expect("one").expect("a message"), Message::text(text));
        server.send(Message::text(text)).await.expect("sent");
        let head = if text.len() < 126 { 2 } else { 4 };
        assert_eq!(&opened.some(head + text.len()).await[head..], text.as_bytes());
    }
    let beside = ask(&client, Method::GET, "/nothing", None, &[("authorization", &*ann)]).await.expect("an answer");
    assert_eq!(beside.status, 404, "other streams go on");
    // The client's farewell, and the end of its stream.
    opened.send(frame(0x88, &1000_u16.to_be_bytes()));
    assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
    drop(server);
    opened.tell.send_data(Bytes::new(), true).ok();
    assert!(opened.rest().await.is_ok(), "the stream is ended, not reset");
    over(&world).await;
    let audit = world.audit().await;
    let intent = audit.iter().find(|line| line["action"] == "opaque:chat").expect("it is on record");
    let of_it = |line: &&Value| line["kind"] == "outcome" && line["request_id"] == intent["request_id"];
    let outcome = audit.iter().find(of_it).expect("its outcome");
    assert_eq!((&intent["method"], &intent["path"]), (&json!("GET"), &json!("/chat")));
    assert_eq!((&outcome["status"], &outcome["result"]), (&json!(200), &json!("allowed")));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_opened_for_whom_a_connection_would_be() {
    let (mut far, identity) = (Far::start().await, Identity::new());
    let world = world(&far, &identity, "").await;
    let client = connect(&world, &identity).await;
    let ann = token(&world, "ann");
    let manager = format!("Bearer {}", world.identities.token("mia", &json!({ "roles": ["manager"] })));
    for (headers, status, reason) in [
        (vec![], 401, "credentials_missing"),
        (vec![("authorization", &*manager)], 404, "table_hidden"),
        (vec![("authorization", &*ann), ("origin", "https://evil.test")], 403, "origin_foreign"),
        (vec![("authorization", &*ann), ("origin", "null")], 403, "origin_foreign"),
        (vec![("authorization", &*ann), ("sec-websocket-version", "8")], 400, "malformed_request"),
        (vec![("authorization", &*ann), ("x-organization-id", "globex")], 400, "ambiguous_header"),
        (vec![("authorization", &*ann), ("x-scrim-tenant", "globex/shop")], 403, "tenant_not_a_member"),
    ] {
        assert_eq!(open(&client, &headers).await.status, status, "{headers:?}");
        assert_eq!(told(&world).await.2, reason, "{headers:?}");
    }
    // Neither what is no WebSocket there, nor a WebSocket elsewhere, nor a tunnel to anywhere.
    let version = ("sec-websocket-version", "13");
    for (method, path, protocol, status) in [
        (Method::GET, "/chat", None, 404),
        (Method::CONNECT, "/contacts/1", Some("websocket"), 404),
        (Method::CONNECT, "/nothing", Some("websocket"), 404),
        (Method::CONNECT, "/chat?x=1", Some("websocket"), 400),
        (Method::CONNECT, "/chat/../chat", Some("websocket"), 400),
        (Method::CONNECT, "/chat", Some("connect-udp"), 400),
        (Method::CONNECT, "/chat", Some("webtransport"), 400),
        (Method::CONNECT, "/chat", Some("h2c"), 400),
    ] {
        let found = ask(&client, method.clone(), path, protocol, &[("authorization", &*ann), version]).await;
        assert_eq!(found.expect("an answer").status, status, "{method} {path} {protocol:?}");
    }
    assert!(far.connections.try_recv().is_err(), "nothing has reached the upstream");
    over(&world).await;

    // Where no route takes one, the gateway doesn't say that it does, and a client that asks all the same is refused.
    let mut without = identity.setup("");
    without.limits = setup("").limits;
    let without = without.start().await;
    let client = connect(&without, &identity).await;
    assert!(!client.is_extended_connect_protocol_enabled());
    let token = token(&without, "ann");
    let refused =
        ask(&client, Method::CONNECT, "/chat", Some("websocket"), &[("authorization", &*token), version]).await;
    let reset = refused.map(|opened| opened.status).expect_err("it is no request");
    assert_eq!(reset.reason(), Some(h2::Reason::PROTOCOL_ERROR), "{reset}");
    let plain = ask(&client, Method::GET, "/nothing", None, &[("authorization", &*token)]).await.expect("an answer");
    assert_eq!(plain.status, 404, "the connection goes on");
    without.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_the_limits_of_connections() {
    let (mut far, identity) = (Far::start().await, Identity::new());
    let quiet = world(&far, &identity, "live_idle_time: 200ms").await;
    let client = connect(&quiet, &identity).await;
    let ann = token(&quiet, "ann");
    let headers = [("authorization", &*ann)];
    let farewell = |code: u16| [&[0x88, 2][..], &code.to_be_bytes()].concat();
    let (mut opened, (_server, _)) = tokio::join!(open(&client, &headers), far.websocket());
    assert_eq!(opened.rest().await.expect("an end"), farewell(1001), "silence ends one");
    over(&quiet).await;
    assert_eq!(told(&quiet).await, words(200, "aborted", "live_timeout"));
    clean(&quiet, 2).await;

    let world = world(&far, &identity, "live_message: 1KiB, live_rate: 5").await;
    let client = connect(&world, &identity).await;
    let ann = token(&world, "ann");
    let headers = [("authorization", &*ann)];
    // Too long, too many, and what is no frame.
    let unmasked: Bytes = Bytes::from_static(&[0x81, 1, b'x']);
    let long = frame(0x81, &[b'x'; 1025]);
    let flood: Bytes = (0..100).flat_map(|_| frame(0x81, b"flood")).collect::<Vec<u8>>().into();
    for sent in [long, flood, unmasked] {
        let (mut opened, (mut server, _)) = tokio::join!(open(&client, &headers), far.websocket());
        assert_eq!(opened.status, 200);
        opened.send(sent);
        assert_eq!(opened.rest().await.expect("an end"), farewell(1008));
        while let Some(Ok(message)) = server.next().await {
            assert!(message.len() <= 5, "{message}");
        }
        over(&world).await;
        assert_eq!(told(&world).await, words(200, "aborted", "live_refused"));
    }
    // An upstream is held to them, too, and one that breaks off ends the stream.
    let (mut opened, (mut server, _)) = tokio::join!(open(&client, &headers), far.websocket());
    server.send(Message::text("x".repeat(2000))).await.expect("sent");
    assert_eq!(opened.rest().await.expect("an end"), farewell(1008));
    over(&world).await;
    let (mut opened, (server, _)) = tokio::join!(open(&client, &headers), far.websocket());
    drop(server);
    assert_eq!(opened.rest().await.expect("an end"), [0_u8; 0]);
    over(&world).await;
    // A client that resets its stream is gone from the upstream, too.
    let (mut opened, (mut server, _)) = tokio::join!(open(&client, &headers), far.websocket());
    opened.tell.send_reset(h2::Reason::CANCEL);
    assert!(!matches!(server.next().await, Some(Ok(_))), "nothing comes through");
    over(&world).await;
    clean(&world, 7).await;
}
