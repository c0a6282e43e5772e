//! `scrim health`: one plain HTTP request to the admin listener, for images that hold no other client.

use std::io::{Error, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::Health;

/// For the whole request.
const TIME: Duration = Duration::from_secs(3);
/// `HTTP/1.1 200`: no more of the answer is needed.
const STATUS_LINE: usize = 12;

/// Whether the gateway says that it is ready. Errors: it can't be asked.
pub fn run(arguments: &Health) -> std::io::Result<bool> {
    let uri = &arguments.url;
    let invalid = || Error::new(std::io::ErrorKind::InvalidInput, "the address must be like http://host:port/path");
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(invalid)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let deadline = Instant::now() + TIME;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let address = (name, uri.port_u16().unwrap_or(80)).to_socket_addrs()?.next().ok_or_else(invalid)?;
    let mut stream = TcpStream::connect_timeout(&address, TIME)
        .map_err(|error| Error::new(error.kind(), format!("{uri}: {error}")))?;
    stream.set_write_timeout(Some(TIME))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut buffer = [0; STATUS_LINE];
    while head.len() < STATUS_LINE {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 || deadline <= Instant::now() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let status = head.get(9..STATUS_LINE).map(String::from_utf8_lossy).unwrap_or_default();
    let ready = head.starts_with(b"HTTP/1.1 200");
    if !ready {
        let hint = if status == "503" { "not ready" } else { "is this the address of /readyz?" };
        writeln!(std::io::stderr(), "{uri} answered {status}: {hint}")?;
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_an_ok_is_ready() {
        for (answer, ready) in
            [("HTTP/1.1 200 OK\r\n\r\n", Some(true)), ("HTTP/1.1 503 No\r\n\r\n", Some(false)), ("", None)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/readyz", listener.local_addr().unwrap()).parse().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let count = stream.read(&mut request).unwrap();
                assert!(request[..count].starts_with(b"GET /readyz HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(run(&Health { url }).ok(), ready);
            server.join().unwrap();
        }
    }

    #[test]
    fn an_address_that_is_not_plain_http_is_an_error() {
        for url in ["https://127.0.0.1/readyz", "/readyz"] {
            assert!(run(&Health { url: url.parse().unwrap() }).is_err(), "{url}");
        }
    }
}
