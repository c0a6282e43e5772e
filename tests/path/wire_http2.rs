//! The table of HTTP/2 in frames (tests/wire/http2.yaml), made here byte by byte: each head, body and frame that breaks RFC 9113 or
//! could mean another request to an upstream is refused, or an upstream that reads HTTP/1.1 by the letter sees exactly what
//! was authorised.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::Identity;
use super::wire_http1::{answers, own};
use super::{CREATION, every_exchange_is_whole};
use crate::support::strict::{Received, Strict};
use crate::support::{World, bytes_of};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    send: Vec<String>,
    want: String,
    #[serde(default)]
    upstream: Vec<String>,
    /// A request of the connection may have been served before it was closed.
    #[serde(default)]
    upstream_may: bool,
}

/// What becomes of the first stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Status(u16),
    Reset,
    Closed,
    /// Neither answer nor end.
    Silence,
}

const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field as a literal without indexing (RFC 7541, section 6.2.2), uncompressed.
pub(super) fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => out.push(u8::try_from(short).expect("short")),
            long => {
                out.push(127);
                let mut rest = long - 127;
                while rest >= 128 {
                    out.push(u8::try_from(rest % 128 + 128).expect("seven bits"));
                    rest /= 128;
                }
                out.push(u8::try_from(rest).expect("seven bits"));
            }
        }
        out.extend_from_slice(text);
    }
    out
}

/// The status in a head (RFC 7541, appendices A and B): an indexed field, or digits, plain or in Huffman's code.
fn status(block: &[u8]) -> u16 {
    match block {
        // The table has no room, as was asked for.
        [0x20..=0x3f, rest @ ..] => status(rest),
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x08 | 0x18 | 0x48, 3, digits @ ..] => {
            std::str::from_utf8(&digits[..3]).expect("digits").parse().expect("a number")
        }
        [0x08 | 0x18 | 0x48, coded, bits @ ..] if coded & 0x80 != 0 => {
            let padded = bits.iter().copied().chain([0xff; 3]);
            let bits = padded.take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(byte));
            let (mut at, mut found) = (24, 0);
            for _ in 0..3 {
                let (width, digit) = match bits >> (at - 5) & 31 {
                    digit @ 0..3 => (5, digit),
                    _ => (6, (bits >> (at - 6) & 63) - 25 + 3),
                };
                at -= width;
                found = found * 10 + digit;
            }
            u16::try_from(found).expect("a status")
        }
        other => panic!("no status: {other:02x?}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("a digit");
    let text: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn expand(text: &str, token: &str) -> String {
    let padded = [&[3], CREATION.as_bytes(), &[0; 3]].concat();
    let padded: String = frame(DATA, 8 | END_STREAM, 1, &padded).iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, second) = CREATION.split_at(9);
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (word, after) = after.split_once('}').expect("a closing brace");
        let (word, count) =
            word.split_once('*').map_or((word, 1), |(word, count)| (word, count.parse().expect("a count")));
        let expanded = match word {
            "bearer" => format!("Bearer {token}"),
            "creation" => CREATION.to_owned(),
            "length" => CREATION.len().to_string(),
            "first" => first.to_owned(),
            "second" => second.to_owned(),
            "padded" => padded.clone(),
            "zeros" => "00".repeat(16_385),
            "full" => "00".repeat(16_384),
            "x" => "x".repeat(count),
            "fields" => (0..count).map(|index| format!("+x-{index}=1; ")).collect::<String>() + "+x-last=1",
            other => panic!("{{{other}}} stands for nothing"),
        };
        out.push_str(&expanded);
        rest = after;
    }
    out + rest
}

fn fields(text: &str, token: &str) -> Vec<u8> {
    let common = [(":scheme", "https".to_owned()), (":authority", "crm.test".to_owned())];
    let bearer = ("authorization", format!("Bearer {token}"));
    let method = |method: &str, path: &str| {
        let first = [(":method", method.to_owned()), (":path", path.to_owned())];
        [&first[..], &common, std::slice::from_ref(&bearer)].concat()
    };
    let mut all: Vec<(String, String)> = Vec::new();
    for part in text.split("; ").filter(|part| !part.is_empty()) {
        let mut take =
            |list: Vec<(&str, String)>| all = list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        match part {
            "get" => take(method("GET", "/contacts/1")),
            "post" => {
                let body =
                    [("content-type", "application/json".to_owned()), ("content-length", CREATION.len().to_string())];
                take([method("POST", "/contacts"), body.to_vec()].concat());
            }
            _ => {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                if let Some(name) = name.strip_prefix('-') {
                    all.retain(|(known, _)| known != name);
                } else if let Some(name) = name.strip_prefix('+') {
                    // Pseudo-headers stand before the others, unless a case writes all of them itself.
                    let before = name.starts_with(':') && name == name.to_lowercase();
                    let at = if before {
                        all.iter().take_while(|(known, _)| known.starts_with(':')).count()
                    } else {
                        all.len()
                    };
                    all.insert(at, (name.to_owned(), value.to_owned()));
                } else if let Some(known) = all.iter_mut().find(|(known, _)| known == name) {
                    known.1 = value.to_owned();
                } else {
                    all.push((name.to_owned(), value.to_owned()));
                }
            }
        }
    }
    all.iter().flat_map(|(name, value)| literal(&bytes_of(name), &bytes_of(value))).collect()
}

fn frames(text: &str, token: &str) -> Vec<u8> {
    let text = expand(text, token);
    if let Some(raw) = text.strip_prefix("RAW ") {
        return hex(raw);
    }
    let mut words = text.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (kind, stream, flags, payload) = (word(), word(), word(), word());
    let stream = stream.parse().expect("a stream");
    let bits = flags.chars().fold(0, |bits, flag| match flag {
        'e' => bits | END_STREAM,
        'h' => bits | END_HEADERS,
        '-' => bits,
        other => panic!("no flag: {other}"),
    });
    match kind {
        "HEADERS" => frame(HEADERS, bits, stream, &fields(payload, token)),
        "CONTINUATION" => frame(CONTINUATION, bits, stream, &fields(payload, token)),
        "DATA" => frame(DATA, bits, stream, &bytes_of(payload)),
        other => panic!("no kind of frame: {other}"),
    }
}

async fn open(world: &World, identity: &Identity) -> TlsStream<TcpStream> {
    let mut config = identity.client(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(world.gateway.addresses()[0]).await.expect("the gateway listens");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
}

/// Kind, flags, stream and payload of the next frame; `None`: the connection has ended.
async fn next(stream: &mut TlsStream<TcpStream>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [high, middle, low, kind, flags, a, b, c, d] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes([a, b, c, d]), payload))
}

/// Sends the frames and says what becomes of stream 1. One that is answered leaves the connection in use.
async fn converse(world: &World, identity: &Identity, bytes: &[u8]) -> Outcome {
    let mut stream = open(world, identity).await;
    // HEADER_TABLE_SIZE 0: each status stands for itself.
    let greeting = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0])].concat();
    if stream.write_all(&[&greeting, bytes].concat()).await.is_err() || stream.flush().await.is_err() {
        return Outcome::Closed;
    }
    let mut outcome = Outcome::Silence;
    loop {
        let Some((kind, flags, on, payload)) = next(&mut stream).await else { return Outcome::Closed };
        match kind {
            GOAWAY => return Outcome::Closed,
            HEADERS if on == 1 => outcome = Outcome::Status(status(&payload)),
            // After an answer it asks only that the rest be not sent.
            RST_STREAM if on == 1 && outcome == Outcome::Silence => outcome = Outcome::Reset,
            PING if flags & 1 != 0 && payload == b"are you?" => return outcome,
            _ => {}
        }
        let over = on == 1 && (kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0));
        if over && stream.write_all(&frame(PING, 0, 0, b"are you?")).await.is_err() {
            return Outcome::Closed;
        }
    }
}

impl Case {
    fn wants(&self, outcome: Outcome) -> bool {
        self.want.split(" or ").any(|want| match want {
            "reset" => outcome == Outcome::Reset,
            "closed" => outcome == Outcome::Closed,
            status => Ok(outcome) == status.trim_start_matches("status ").parse().map(Outcome::Status),
        })
    }

    async fn run(&self, world: &World, identity: &Identity, strict: &Strict, token: &str) -> Result<(), String> {
        strict.take();
        let bytes: Vec<u8> = self.send.iter().flat_map(|text| frames(text, token)).collect();
        let outcome =
            tokio::time::timeout(PATIENCE, converse(world, identity, &bytes)).await.unwrap_or(Outcome::Silence);
        world.settled().await;
        let heard = strict.take();
        let lines: Vec<String> = heard
            .iter()
            .map(|heard| heard.as_ref().map(Received::line))
            .collect::<Result<_, _>>()
            .map_err(String::clone)?;
        if !self.wants(outcome) || (lines != self.upstream && !self.upstream_may) {
            return Err(format!("{outcome:?}, upstream {lines:?}"));
        }
        heard.iter().flatten().try_for_each(|received| own(received, strict))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_head_and_frame_is_refused_or_seen_as_it_was_authorised() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/http2.yaml");
    let text = std::fs::read_to_string(path).expect("readable");
    let cases: Vec<Case> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    assert!(cases.len() >= 120, "the table shrank to {}", cases.len());
    let strict = Strict::start(answers).await;
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.upstream = Some(strict.address);
    let world = setup.start().await;
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(differs) = case.run(&world, &identity, &strict, &token).await {
            failures.push(format!("{}: wanted {}, found {differs}", case.name, case.want));
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
    let good = frames("HEADERS 1 eh get", &token);
    assert_eq!(converse(&world, &identity, &good).await, Outcome::Status(200), "it serves on");
    every_exchange_is_whole(&world).await;
}

/// A client that reads an answer as slowly as its windows say.
struct Slow(TlsStream<TcpStream>);

impl Slow {
    async fn open(world: &World, identity: &Identity, window: u32) -> Self {
        let mut slow = Self(open(world, identity).await);
        slow.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        slow.window(window).await;
        slow
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    /// What each stream begins with, also of those that there are.
    async fn window(&mut self, bytes: u32) {
        self.send(&frame(SETTINGS, 0, 0, &[&[0, 4][..], &bytes.to_be_bytes()].concat())).await;
    }

    async fn more(&mut self, stream: u32, bytes: u32) {
        self.send(&frame(8, 0, stream, &bytes.to_be_bytes())).await;
    }

    /// The next frame of this kind.
    async fn next(&mut self, kind: u8) -> (u32, Vec<u8>) {
        let found = async {
            loop {
                let (found, _, stream, payload) = next(&mut self.0).await.expect("it goes on");
                if found == kind {
                    return (stream, payload);
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a frame")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_kept_to_the_byte() {
    let strict = Strict::start(answers).await;
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.upstream = Some(strict.address);
    let world = setup.start().await;
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let get = frames("HEADERS 1 eh get", &token);

    let mut slow = Slow::open(&world, &identity, 100).await;
    let (_, settings) = slow.next(SETTINGS).await;
    assert!(
        settings.chunks(6).all(|pair| pair[..2] != [0, 8]),
        "no CONNECT for other protocols (RFC 8441): {settings:?}"
    );
    // Of several values in one frame, the last one holds.
    slow.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9, 0, 4, 0, 0, 0, 1])).await;
    slow.send(&get).await;
    assert_eq!(slow.next(DATA).await.1.len(), 1);
    slow.more(1, 5).await;
    assert_eq!(slow.next(DATA).await.1.len(), 5);

    let mut slow = Slow::open(&world, &identity, 0).await;
    slow.send(&get).await;
    slow.next(HEADERS).await;
    slow.window(1).await;
    assert_eq!(slow.next(DATA).await.1.len(), 1);

    let mut slow = Slow::open(&world, &identity, 3).await;
    slow.send(&get).await;
    assert_eq!(slow.next(DATA).await.1.len(), 3);
    slow.window(2).await;
    slow.more(1, 2).await;
    assert_eq!(slow.next(DATA).await.1.len(), 1, "the window was below nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_preface_ends_the_connection() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (what, bytes) in [
        ("another text", b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()),
        ("one letter of it", b"PRI * HTTP/2.0\r\n\r\nSm\r\n\r\n".to_vec()),
        ("HTTP/1.1", b"GET /contacts/1 HTTP/1.1\r\nhost: crm.test\r\n\r\n".to_vec()),
        ("frames at once", [settings.clone(), settings].concat()),
    ] {
        let mut stream = open(&world, &identity).await;
        stream.write_all(&bytes).await.expect("sent");
        stream.flush().await.expect("sent");
        let ended = async {
            while let Some((kind, ..)) = next(&mut stream).await {
                assert!(matches!(kind, SETTINGS | GOAWAY | 8), "{what}: {kind}");
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{what}: it goes on"));
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_acknowledged_and_reasons_that_nobody_knows_end_nothing_else() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    let mut client = Slow::open(&world, &identity, 65_535).await;
    let (mut acknowledged, mut own) = (0, 0);
    while acknowledged == 0 || own == 0 {
        let (kind, flags, _, payload) = next(&mut client.0).await.expect("it goes on");
        if kind == SETTINGS && flags & 1 == 0 {
            own += 1;
        } else if kind == SETTINGS {
            assert!(payload.is_empty());
            acknowledged += 1;
        }
    }
    client.send(&frame(SETTINGS, 1, 0, &[])).await;
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    client.send(&frames("HEADERS 1 h post", &token)).await;
    client.send(&frame(RST_STREAM, 0, 1, &255_u32.to_be_bytes())).await;
    client.send(&frame(PING, 0, 0, b"are you?")).await;
    assert_eq!(client.next(PING).await.1, b"are you?");
    // A client that says goodbye still has its answers, and may go.
    client.send(&frames("HEADERS 3 eh get", &token)).await;
    client.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    assert_eq!(client.next(HEADERS).await.0, 3);
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_those_that_are_allowed_are_refused_alone() {
    let strict = Strict::start(answers).await;
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.upstream = Some(strict.address);
    let world = setup.start().await;
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let mut client = Slow::open(&world, &identity, 65_535).await;
    let (_, settings) = client.next(SETTINGS).await;
    let allowed = settings.chunks(6).find(|pair| pair[..2] == [0, 3]).expect("a limit")[5];
    let all: Vec<u8> = (0..=u32::from(allowed))
        .flat_map(|number| frames(&format!("HEADERS {} h post", 2 * number + 1), &token))
        .collect();
    client.send(&all).await;
    let (stream, code) = client.next(RST_STREAM).await;
    assert_eq!((stream, code), (2 * u32::from(allowed) + 1, 7_u32.to_be_bytes().to_vec()));
    client.send(&frame(DATA, END_STREAM, 1, CREATION.as_bytes())).await;
    assert_eq!(client.next(HEADERS).await.0, 1, "the others go on");
}

#[test]
fn a_status_is_read_in_every_form() {
    for (block, wanted) in [
        (&[0x88][..], 200),
        (&[0x20, 0x8d], 404),
        (&[0x48, 3, b'4', b'2', b'9'], 429),
        // `201`, `431` and `599` by appendix B of RFC 7541.
        (&[0x48, 0x82, 0b0001_0000, 0b0000_0011], 201),
        (&[0x08, 0x83, 0b0110_1001, 0b1001_0000, 0b1111_1111], 431),
        (&[0x08, 0x83, 0b0110_1101, 0b1111_0111, 0b1111_1111], 599),
    ] {
        assert_eq!(status(block), wanted);
    }
}
