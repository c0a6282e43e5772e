//! An upstream that answers with lists too long to be held, made as they are sent, and a client that reads as it likes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::contact;
use super::wire::message;

/// Socket buffers of both ends under test's control, so that what the system holds in between is little.
const BUFFER: u32 = 64 * 1024;
/// A write that waits longer is held back.
const HELD: Duration = Duration::from_millis(400);

/// One answer, the same to every request.
#[derive(Clone)]
pub(super) struct Script {
    pub records: usize,
    /// What each is called after its first three letters.
    pub name: usize,
    pub framing: Framing,
    pub end: Ending,
    /// Further header lines, each with its end.
    pub headers: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Length,
    Chunks,
}

/// How the body ends, after its records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// With the connection.
    Cut,
    /// Nothing more comes, and the connection stays.
    Stall,
    /// With these bytes in place of the list's end, framed as they should be.
    Bytes(&'static str),
    /// With a last record that has a lone surrogate, a second owner, or is none.
    Record(&'static str),
}

impl Default for Script {
    fn default() -> Self {
        Self { records: 5_000, name: 0, framing: Framing::Chunks, end: Ending::Whole, headers: "" }
    }
}

pub(super) struct Source {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    sent: AtomicUsize,
    connections: AtomicUsize,
    held: Notify,
    /// The gateway gave up.
    left: Notify,
    /// An answer was sent to its end.
    done: Notify,
}

/// A record as the upstream has it, after a comma where it is not the first.
pub(super) fn record(number: usize) -> String {
    called(number, 0)
}

fn called(number: usize, name: usize) -> String {
    static TEMPLATE: OnceLock<[String; 3]> = OnceLock::new();
    let [first, second, third] = TEMPLATE.get_or_init(|| {
        let whole = contact(0);
        let inner = whole.strip_prefix(r#"{"data":"#).and_then(|rest| rest.strip_suffix('}')).expect("an envelope");
        let (first, rest) = inner.split_once("\"id\":0").expect("an id");
        let (second, third) = rest.split_once("\"Ada\"").expect("a name after it");
        [first, second, third].map(str::to_owned)
    });
    let comma = if number == 0 { "" } else { "," };
    format!("{comma}{first}\"id\":{number}{second}\"Ada{}\"{third}", "a".repeat(name))
}

/// What a rep sees of so many records.
pub(super) fn shown(records: usize) -> String {
    shown_of(records, 0)
}

/// The same, of records that are called this much longer.
pub(super) fn shown_of(records: usize, name: usize) -> String {
    let name = "a".repeat(name);
    let each = |n| format!(r#"{{"id":{n},"name":"Ada{name}"}}"#);
    format!(r#"{{"data":[{}]}}"#, (0..records).map(each).collect::<Vec<_>>().join(","))
}

impl Source {
    pub(super) async fn start(script: Script) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(BUFFER).expect("set");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a loopback port");
        let listener: TcpListener = socket.listen(16).expect("listening");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, script.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// Bytes of bodies that the system has taken.
    pub(super) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::Relaxed)
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Until a write is held back, which must be before all is sent.
    pub(super) async fn held(&self) {
        tokio::select! {
            () = self.state.held.notified() => {}
            () = self.state.done.notified() => panic!("all {} bytes were taken", self.sent()),
        }
    }

    /// Until the gateway closes its connection before the answer's end.
    pub(super) async fn left(&self) {
        self.state.left.notified().await;
    }

    /// Until an answer was sent to its end.
    pub(super) async fn done(&self) {
        self.state.done.notified().await;
    }
}

async fn serve(mut stream: TcpStream, script: Script, state: Arc<State>) {
    let mut input = Vec::new();
    while message(&mut stream, &mut input).await.is_some() {
        if answer(&mut stream, &script, &state).await.is_none() {
            state.left.notify_one();
            return;
        }
        match script.end {
            Ending::Cut => return,
            Ending::Stall => {
                while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {}
                state.left.notify_one();
                return;
            }
            _ => state.done.notify_one(),
        }
    }
}

/// `None` if the gateway closes before.
async fn answer(stream: &mut TcpStream, script: &Script, state: &State) -> Option<()> {
    let tail = match script.end {
        Ending::Whole => "]}".to_owned(),
        Ending::Cut | Ending::Stall => String::new(),
        Ending::Bytes(bytes) => bytes.to_owned(),
        Ending::Record(record) => format!(",{record}]}}"),
    };
    let framing = match script.framing {
        Framing::Chunks => "transfer-encoding: chunked".to_owned(),
        Framing::Length => {
            let records: usize = (0..script.records).map(|n| called(n, script.name).len()).sum();
            // What is cut short announces more than it has.
            let short = matches!(script.end, Ending::Cut | Ending::Stall);
            let more = if short { 100 } else { tail.len() };
            format!("content-length: {}", r#"{"data":["#.len() + records + more)
        }
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}\r\n{}\r\n", script.headers);
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut part = r#"{"data":["#.to_owned();
    for number in 0..script.records {
        part.push_str(&called(number, script.name));
        if part.len() > 30_000 {
            send(stream, script.framing, &part, state).await?;
            part.clear();
        }
    }
    part.push_str(&tail);
    send(stream, script.framing, &part, state).await?;
    if script.framing == Framing::Chunks && !matches!(script.end, Ending::Cut | Ending::Stall) {
        stream.write_all(b"0\r\n\r\n").await.ok()?;
    }
    Some(())
}

async fn send(stream: &mut TcpStream, framing: Framing, part: &str, state: &State) -> Option<()> {
    let bytes = match framing {
        Framing::Length => part.to_owned(),
        Framing::Chunks => format!("{:x}\r\n{part}\r\n", part.len()),
    };
    let mut rest = bytes.as_bytes();
    while !rest.is_empty() {
        let written = match tokio::time::timeout(HELD, stream.write(rest)).await {
            Ok(written) => written.ok()?,
            Err(_) => {
                state.held.notify_one();
                stream.write(rest).await.ok()?
            }
        };
        state.sent.fetch_add(written, Ordering::Relaxed);
        rest = &rest[written..];
    }
    Some(())
}

/// A client that reads its answer a bit at a time.
pub(super) struct Reader {
    stream: TcpStream,
    pub received: Vec<u8>,
}

/// What a client made of all that it got.
#[derive(Debug)]
pub(super) struct Got {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body has come to the end that was announced.
    pub complete: bool,
}

impl Got {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Reader {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(BUFFER).expect("set");
        let stream = socket.connect(address).await.expect("the gateway listens");
        Self { stream, received: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// Reads so many bytes, or fewer at the end.
    pub(super) async fn read(&mut self, bytes: usize) {
        let end = self.received.len() + bytes;
        while self.received.len() < end && self.stream.read_buf(&mut self.received).await.is_ok_and(|read| read > 0) {}
    }

    /// Reads until the answer is complete or the gateway closes.
    pub(super) async fn rest(&mut self) -> Got {
        loop {
            // Looking at all of a long answer each time would take long.
            let chunked = self.received.windows(7).take(1000).any(|window| window == b"chunked");
            let last = !chunked || self.received.len() < 1 << 16 || self.received.ends_with(b"0\r\n\r\n");
            let found = if last { self.got() } else { None };
            match found {
                Some(got) if got.complete => return got,
                _ if !self.more().await => return self.got().expect("an answer's head"),
                _ => {}
            }
        }
    }

    /// `false` at the end.
    async fn more(&mut self) -> bool {
        self.received.reserve(1 << 16);
        self.stream.read_buf(&mut self.received).await.is_ok_and(|read| read > 0)
    }

    /// What has been received, taken apart; `None` before the end of the head.
    pub(super) fn got(&self) -> Option<Got> {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let rest = &self.received[end + 4..];
        let (body, complete) = if head.contains("transfer-encoding: chunked") {
            unchunked(rest)
        } else {
            let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = line.map_or(0, |length| length.trim().parse().expect("a length"));
            (rest[..length.min(rest.len())].to_vec(), rest.len() >= length)
        };
        Some(Got { status, head, body, complete })
    }
}

/// The data of all chunks, and whether the last one has come.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = std::str::from_utf8(&rest[..line]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        rest = &rest[line + 2..];
        if size == 0 {
            assert_eq!(rest, b"\r\n", "nothing follows the last chunk");
            return (body, true);
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            return (body, false);
        }
        rest = &rest[size + 2..];
    }
}
