//! An upstream that reads HTTP/1.1 by the letter (RFC 9112) and shares no code with the gateway: what it can't read in exactly
//! one way, it notes as a violation. It takes bytes as they come, so that nothing between two requests is passed over.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request, of which each part was there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What this answers to a request: status and JSON.
type Program = Arc<dyn Fn(&Received) -> (u16, String) + Send + Sync>;

pub struct Strict {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Result<Received, String>>>>,
}

impl Strict {
    pub async fn start(program: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::default();
        let (shared, program): (_, Program) = (Arc::clone(&heard), Arc::new(program));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&program)));
            }
        });
        Self { address, heard }
    }

    /// Everything that was heard since this was last asked, in order.
    pub fn take(&self) -> Vec<Result<Received, String>> {
        std::mem::take(&mut self.heard.lock().expect("no panic holds it"))
    }
}

async fn serve(mut stream: TcpStream, heard: Arc<Mutex<Vec<Result<Received, String>>>>, program: Program) {
    let note = |what| heard.lock().expect("no panic holds it").push(what);
    let mut input = Vec::new();
    loop {
        match read(&input) {
            Ok(Some((received, used))) => {
                input.drain(..used);
                // A client that sends before it has its answer pipelines, which a gateway has no reason to do.
                if !input.is_empty() {
                    note(Err(format!("{} bytes behind a request", input.len())));
                }
                let (status, body) = program(&received);
                note(Ok(received));
                let answer = format!(
                    "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\netag: \"v1\"\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Ok(None) => match stream.read_buf(&mut input).await {
                Ok(1..) => {}
                _ if input.is_empty() => return,
                _ => return note(Err(format!("it ends in a request: {}", input.escape_ascii()))),
            },
            Err(violation) => return note(Err(format!("{violation}: {}", input.escape_ascii()))),
        }
    }
}

/// A request at the beginning of these bytes, and how many are its own. `None`: there is more to come.
pub fn read(input: &[u8]) -> Result<Option<(Received, usize)>, &'static str> {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if input.len() > 65_536 { Err("a head without an end") } else { Ok(None) };
    };
    let head = std::str::from_utf8(&input[..end]).map_err(|_| "a head that is no text")?;
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Err("no request line") };
    if !["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"].contains(&method) {
        return Err("an unknown method");
    }
    if !target.starts_with('/')
        || !target.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte))
    {
        return Err("a target that is none");
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("a header's name that is none");
        }
        if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err("a control character in a value");
        }
        let name = name.to_ascii_lowercase();
        if headers.iter().any(|(known, _)| *known == name) {
            return Err("a header twice");
        }
        headers.push((name, value.trim_matches([' ', '\t']).to_owned()));
    }
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if value("host").is_none_or(str::is_empty) {
        return Err("no host");
    }
    if value("transfer-encoding").is_some() {
        return Err("an encoding, of which a gateway that holds bodies has no need");
    }
    let length = match value("content-length") {
        None => 0,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map_err(|_| "no length")?,
        Some(_) => return Err("no length"),
    };
    let Some(body) = input.get(end + 4..end + 4 + length) else { return Ok(None) };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some((Received { method, target, body: body.to_vec(), headers }, end + 4 + length)))
}

#[test]
fn the_strict_reader_reads_in_one_way_or_not_at_all() {
    let good = b"POST /a?b=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok";
    let (received, used) = read(good).expect("well-formed").expect("whole");
    assert_eq!(
        (received.line().as_str(), received.body.as_slice(), used),
        ("POST /a?b=1", b"ok".as_slice(), good.len())
    );
    assert_eq!(read(&good[..good.len() - 1]), Ok(None));
    for bad in [
        "GET /a HTTP/1.1\nhost: a\r\n\r\n",
        "GET /a HTTP/1.0\r\nhost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET //[ HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: a\r\nx-a: 1\n2\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: a\r\nx-a : 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n",
    ] {
        assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
