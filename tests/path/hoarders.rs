//! Clients that make the gateway hold what they never take: heads without an end, answers that are not read, and streams without
//! a window. Others are served meanwhile, and those clients lose their connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::{ask, client, request as asks};
use super::tls::Identity;
use super::wire::Dialogue;
use super::wire_http2::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, frame, literal};
use super::{clean, contact, contact_answers, request, seen, setup, told, words};
use crate::support::{Answer, World};

/// For what should have come long before.
const PATIENCE: Duration = Duration::from_secs(20);
const WINDOW_UPDATE: u8 = 8;
/// `ENHANCE_YOUR_CALM` (RFC 9113, section 7).
const CALM: [u8; 4] = [0, 0, 0, 11];

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

async fn until(is_so: impl Fn() -> bool) {
    in_time(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// One that speaks TLS and HTTP/2, with these limits.
async fn limited(identity: &Identity, limits: &str) -> World {
    let mut setup = identity.setup("");
    setup.limits = limits.to_owned();
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_refused_long_before_its_end_and_nothing_more_of_it_is_read() {
    let world = setup("").start().await;
    contact_answers(&world);
    // More than a head may have, and less than a parser would hold.
    let long = "a".repeat(60_000);
    let lines = format!("x-a: {}\r\n", "a".repeat(1_000)).repeat(60);
    let whole = request(&world, "GET /contacts/1", "", "");
    let begun = whole.strip_suffix("\r\n").expect("an empty line").to_owned();
    for (sent, before) in [
        (format!("GET /{long}"), 0),
        (format!("{begun}x-a: {long}"), 0),
        (format!("{begun}{long}"), 0),
        (format!("{begun}{lines}"), 0),
        (format!("{whole}{begun}x-a: {long}"), 1),
    ] {
        let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
        client.send(&sent).await;
        for _ in 0..before {
            assert_eq!(client.answer().await.expect("an answer").0, 200);
        }
        let (status, head, body) = in_time(client.answer()).await.expect("an answer, though the head goes on");
        assert_eq!(status, 431, "{body}");
        assert!(head.contains("connection: close") && body.contains("headers_too_large"), "{head}\n{body}");
        assert_eq!(told(&world).await, words(431, "refused", "too_many_headers"));
        assert!(in_time(client.answer()).await.is_none(), "and it is closed");
    }
    assert_eq!(world.upstream.lines().len(), 1);
    clean(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_head_may_be_changes_with_the_configuration() {
    let world = setup("header_bytes: 2KiB").start().await;
    contact_answers(&world);
    let long = format!("x-a: {}\r\n", "a".repeat(50_000));
    let whole = request(&world, "GET /contacts/1", &long, "");
    let address = world.gateway.addresses()[0];
    let mut client = Dialogue::open(address).await;
    client.send(&whole.as_bytes()[..40_000]).await;
    assert_eq!(in_time(client.answer()).await.expect("an answer").0, 431);
    let file = world.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&file).expect("readable").replace("2KiB", "64KiB");
    std::fs::write(&file, text).expect("written");
    world.gateway.reload().await.expect("it loads");
    let mut client = Dialogue::open(address).await;
    client.send(&whole).await;
    assert_eq!(in_time(client.answer()).await.expect("an answer").0, 200);
    clean(&world, 2).await;
}

/// Sends the same requests until the gateway ends the connection, and reads nothing.
async fn never_reads(address: SocketAddr, requests: String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    let mut stream = socket.connect(address).await.expect("it listens");
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_gone_with_its_time() {
    // One that is held without a place among those in flight, and one that is not.
    for length in [12_000, 200_000] {
        let world = setup("client_write_time: 200ms").start().await;
        let long = contact(1).replace("Ada", &"a".repeat(length));
        world.upstream.on("GET /contacts/1", [Answer::json(200, long)]);
        let requests = request(&world, "GET /contacts/1", "", "").repeat(20);
        let clients = [(); 4].map(|()| tokio::spawn(never_reads(world.gateway.addresses()[0], requests.clone())));
        for client in clients {
            in_time(client).await.expect("no panic");
        }
        let metrics = world.gateway.metrics();
        until(|| metrics.connections.get() == 0).await;
        world.settled().await;
        let slow = world.audit().await.iter().filter(|line| line["reason"] == "client_slow").count();
        assert_eq!(slow, 4, "{length}");
        assert_eq!((metrics.in_flight.get(), metrics.delivering.get()), (0, 0));
    }
}

/// A client of HTTP/2 whose streams begin without a window.
struct Windowless(TlsStream<TcpStream>);

impl Windowless {
    async fn open(world: &World, identity: &Identity) -> Self {
        let mut config = identity.client(&[&rustls::version::TLS13]);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        let mut client = Self(stream);
        client.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), window(0)].concat()).await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
        self.0.flush().await.expect("sent");
    }

    /// Asks for contact 1 on so many streams.
    async fn ask(&mut self, streams: u32, token: Option<&str>) {
        let mut head = vec![0x82, 0x87];
        head.extend(literal(b":path", b"/contacts/1"));
        head.extend(literal(b":authority", b"localhost"));
        if let Some(token) = token {
            head.extend(literal(b"authorization", format!("Bearer {token}").as_bytes()));
        }
        let heads = (0..streams).flat_map(|count| frame(HEADERS, END_HEADERS | END_STREAM, 2 * count + 1, &head));
        self.send(&heads.collect::<Vec<_>>()).await;
    }

    /// The bodies of so many answers, none of which is given up.
    async fn answers(&mut self, count: usize) -> String {
        let (mut bodies, mut ended) = (Vec::new(), 0);
        while ended < count {
            let (kind, flags, payload) = in_time(self.frame()).await.expect("a frame");
            assert_ne!(kind, RST_STREAM);
            if kind == DATA {
                bodies.extend(payload);
                ended += usize::from(flags & END_STREAM != 0);
            }
        }
        String::from_utf8(bodies).expect("text")
    }

    /// Kind, flags and payload of the next frame; `None` at the end.
    async fn frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], payload))
    }
}

/// A SETTINGS frame that sets the window of streams, also of those that are there (section 6.9.2).
fn window(size: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 4], &size.to_be_bytes()[..]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_no_refusal_keeps_nobody_from_being_served() {
    let identity = Identity::new();
    let world = limited(&identity, "in_flight: 120, concurrent: 2").await;
    contact_answers(&world);
    let legitimate = client(&identity);
    let mut hoarders = Vec::new();
    for _ in 0..3 {
        let mut hoarder = Windowless::open(&world, &identity).await;
        hoarder.ask(100, None).await;
        hoarders.push(hoarder);
        for _ in 0..10 {
            assert_eq!(ask(&legitimate, asks(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
        }
    }
    for mut hoarder in hoarders {
        let mut given_up = 0;
        while let Some((kind, _, payload)) = in_time(hoarder.frame()).await {
            assert!(kind != DATA, "there is no window for any");
            given_up += usize::from(kind == RST_STREAM && payload == CALM);
        }
        assert!(given_up < 100, "it was cut off before all were given up");
    }
    world.settled().await;
    assert_eq!(world.metric("scrim_floods_total").await, 3.0);
    assert_eq!(world.gateway.metrics().delivering.get(), 0);
    assert_eq!(world.upstream.lines().len(), 30, "those of the others");
    let served = |line: &Value| line["result"] == "allowed";
    assert_eq!(world.audit().await.iter().filter(|line| served(line)).count(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_does_not_take_its_answers_yet_holds_no_turn() {
    let identity = Identity::new();
    let world = limited(&identity, "in_flight: 8, concurrent: 1").await;
    contact_answers(&world);
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut hoarder = Windowless::open(&world, &identity).await;
    hoarder.ask(4, Some(&token)).await;
    let metrics = world.gateway.metrics();
    until(|| metrics.delivering.get() >= 4).await;
    // There is one turn, and it is free.
    assert_eq!(ask(&client(&identity), asks(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    until(|| (metrics.in_flight.get(), metrics.delivering.get()) == (4, 4)).await;
    // Once it has room for them, it has its answers.
    hoarder.send(&window(1000)).await;
    assert_eq!(hoarder.answers(4).await.matches("\"Ada\"").count(), 4);
    clean(&world, 5).await;
    assert_eq!((metrics.delivering.get(), metrics.floods.get()), (0, 0));
    assert!(world.audit().await.iter().all(|line| line["kind"] == "intent" || line["result"] == "allowed"));
}

/// Whom nobody knows is given up after two seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_caller_may_take_its_time_for_a_refusal_that_came_before_its_turn() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.more = format!("{}rates: [{{ per: principal, requests: 1, period: 1h }}]\n", setup.more);
    let world = setup.start().await;
    contact_answers(&world);
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut slow = Windowless::open(&world, &identity).await;
    slow.ask(2, Some(&token)).await;
    let metrics = world.gateway.metrics();
    until(|| metrics.delivering.get() == 2).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    slow.send(&window(1000)).await;
    assert!(slow.answers(2).await.contains("rate_limited"), "one was refused");
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_taken_byte_by_byte_has_an_end() {
    let identity = Identity::new();
    let world = limited(&identity, "client_write_time: 500ms").await;
    contact_answers(&world);
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    for token in [Some(token.as_str()), None] {
        let mut hoarder = Windowless::open(&world, &identity).await;
        hoarder.ask(1, token).await;
        let mut taken = 0;
        let given_up = in_time(async {
            loop {
                // Each byte in time, if it were the only one.
                match tokio::time::timeout(Duration::from_millis(100), hoarder.frame()).await {
                    Err(_) => hoarder.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await,
                    Ok(Some((DATA, _, payload))) => taken += payload.len(),
                    Ok(Some((RST_STREAM, _, payload))) => return payload,
                    Ok(frame) => assert!(frame.is_some(), "one alone is no reason to end the connection"),
                }
            }
        })
        .await;
        assert_eq!(given_up, CALM);
        assert!((1..30).contains(&taken), "{taken}");
        assert_eq!(told(&world).await, words(if token.is_some() { 200 } else { 401 }, "aborted", "client_slow"));
    }
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_framing_holds_of_an_answer_is_short_however_wide_its_window() {
    let identity = Identity::new();
    let world = limited(&identity, "client_write_time: 300ms, in_flight: 400, concurrent: 200").await;
    world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1).replace("Ada", &"a".repeat(600_000)))]);
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut hoarder = Windowless::open(&world, &identity).await;
    hoarder.send(&[window(0x7fff_ffff), frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())].concat()).await;
    hoarder.ask(100, Some(&token)).await;
    until(|| world.upstream.lines().len() >= 20).await;
    // So many are given up that the connection is cut, and the rest with it.
    until(|| world.gateway.metrics().connections.get() == 0).await;
    world.settled().await;
    let lines = world.audit().await;
    let ended =
        |reason: &str| lines.iter().filter(|line| line["kind"] == "outcome" && line["reason"] == reason).count();
    let (asked, slow) = (lines.iter().filter(|line| line["kind"] == "intent").count(), ended("client_slow"));
    let taken = asked - slow - ended("client_gone");
    // What the system's own buffers took was taken.
    assert!(slow >= 20 && taken < 20, "{slow} slow and {taken} taken of {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_a_client_that_says_nothing_any_more() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    let mut silent = Windowless::open(&world, &identity).await;
    silent.send(&window(65_535)).await;
    silent.ask(1, None).await;
    while in_time(silent.frame()).await.expect("an answer").0 != HEADERS {}
    world.settled().await;
    // It never acknowledges the PING of the gateway's farewell.
    in_time(world.gateway.shutdown()).await;
}
