//! Peers that speak in bytes: an upstream that answers what no HTTP library would, and a client that reads answer by answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What an upstream does on one connection: an answer to each request, in turn.
#[derive(Clone)]
pub(super) struct Connection {
    pub answers: Vec<Vec<u8>>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// Closes after the last answer.
    Close,
    /// Reads one more request and closes without an answer.
    CloseAtNext,
    /// Says nothing more and waits until the gateway closes.
    Hold,
}

impl Connection {
    pub(super) fn new<A: AsRef<[u8]>>(answers: impl IntoIterator<Item = A>, end: End) -> Self {
        Self { answers: answers.into_iter().map(|answer| answer.as_ref().to_vec()).collect(), end }
    }
}

/// An upstream that follows a script, connection by connection; the last one is repeated.
pub(super) struct Wire {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// `METHOD target` of each request.
    seen: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    /// A held connection was closed by the gateway.
    left: Notify,
}

impl Wire {
    pub(super) async fn start(connections: Vec<Connection>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            for count in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let script = connections.get(count).or(connections.last()).expect("a script").clone();
                *shared.connections.lock().expect("no panic holds it") += 1;
                tokio::spawn(follow(stream, script, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.state.seen.lock().expect("no panic holds it").clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.state.connections.lock().expect("no panic holds it")
    }

    /// Until the gateway closes a held connection.
    pub(super) async fn left(&self) {
        self.state.left.notified().await;
    }
}

async fn follow(mut stream: TcpStream, script: Connection, state: Arc<State>) {
    let mut input = Vec::new();
    for answer in &script.answers {
        let Some((head, _)) = message(&mut stream, &mut input).await else { return };
        note(&state, &head);
        // The gateway may well have had enough before all is written.
        let _ = stream.write_all(answer).await;
    }
    match script.end {
        End::Close => {}
        End::CloseAtNext => {
            if let Some((head, _)) = message(&mut stream, &mut input).await {
                note(&state, &head);
            }
        }
        End::Hold => {
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {}
            state.left.notify_one();
        }
    }
}

fn note(state: &State, head: &str) {
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    state.seen.lock().expect("no panic holds it").push(line);
}

/// One message with a Content-Length or no body; `None` at the end of the stream. What follows it stays in `input`.
pub(super) async fn message(stream: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
                .next()
                .unwrap_or(0);
            if input.len() >= end + 4 + length {
                let rest = input.split_off(end + 4 + length);
                let body = std::mem::replace(input, rest).split_off(end + 4);
                return Some((head, body));
            }
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

/// A client's connection.
pub(super) struct Dialogue {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Dialogue {
    pub(super) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("the gateway listens"), input: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// Status, head and body of the next answer; `None` if the gateway closed instead.
    pub(super) async fn answer(&mut self) -> Option<(u16, String, String)> {
        let (head, body) = message(&mut self.stream, &mut self.input).await?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        Some((status, head.to_ascii_lowercase(), String::from_utf8(body).expect("text")))
    }
}

/// An upstream that answers only when it is told to.
pub(super) struct Gate {
    pub address: SocketAddr,
    doors: Arc<Doors>,
}

#[derive(Default)]
struct Doors {
    arrived: Notify,
    opened: Notify,
}

impl Gate {
    /// Every request gets these bytes.
    pub(super) async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let doors = Arc::new(Doors::default());
        let shared = Arc::clone(&doors);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (doors, answer) = (Arc::clone(&shared), answer.clone());
                tokio::spawn(async move {
                    let mut input = Vec::new();
                    while message(&mut stream, &mut input).await.is_some() {
                        doors.arrived.notify_one();
                        doors.opened.notified().await;
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Self { address, doors }
    }

    /// Until a request arrives.
    pub(super) async fn arrival(&self) {
        self.doors.arrived.notified().await;
    }

    /// Lets one request be answered.
    pub(super) fn open(&self) {
        self.doors.opened.notify_one();
    }
}
