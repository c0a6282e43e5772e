//! The head of a connection that a proxy took in before the gateway: whom it took it from (PROXY protocol, version 2).
//!
//! Not a byte beyond it is read, for what follows is the client's. A head that names no address of a client is refused, except
//! that a proxy which asks for itself (`LOCAL`) is known by its own.

use std::net::{IpAddr, SocketAddr};

use ppp::v2::{Addresses, Command, Header, ParseError, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Up to the length of the rest.
const FIXED: usize = 16;
/// Of the rest: the longest addresses are 216 bytes, and what proxies add to them is not more.
const MOST: usize = 2048;

#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the connection ended: {0}")]
    Ended(#[from] std::io::Error),
    #[error("this is no header of the PROXY protocol: {0}")]
    Malformed(ParseError),
    #[error("its header is too long")]
    TooLong,
    #[error("its header names no address of a client")]
    Nameless,
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

/// Reads the head. Gives the address of the client, as the proxy that connected from `peer` says it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), peer: SocketAddr) -> Result<SocketAddr, Refused> {
    let mut head = vec![0; FIXED];
    stream.read_exact(&mut head).await?;
    let rest = match (Header::try_from(&*head), head.last_chunk()) {
        // There is nothing more.
        (Ok(_), _) => 0,
        // Until all is there, this much of it holds.
        (Err(ParseError::Partial(..)), Some(length)) => usize::from(u16::from_be_bytes(*length)),
        (Err(error), _) => return Err(error.into()),
    };
    if rest > MOST {
        return Err(Refused::TooLong);
    }
    head.resize(FIXED + rest, 0);
    stream.read_exact(head.get_mut(FIXED..).unwrap_or_default()).await?;
    let header = Header::try_from(&*head)?;
    let client = match (header.command, header.protocol, header.addresses) {
        (Command::Local, ..) => return Ok(peer),
        (Command::Proxy, Protocol::Stream, Addresses::IPv4(named)) => {
            SocketAddr::new(named.source_address.into(), named.source_port)
        }
        (Command::Proxy, Protocol::Stream, Addresses::IPv6(named)) => {
            SocketAddr::new(IpAddr::from(named.source_address).to_canonical(), named.source_port)
        }
        (Command::Proxy, ..) => return Err(Refused::Nameless),
    };
    Ok(client)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const PEER: &str = "10.0.0.1:5000";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    /// The address, and what is left for the client.
    fn taken(bytes: &[u8]) -> Option<(String, usize)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut stream = bytes;
        let found = runtime.block_on(read(&mut stream, PEER.parse().expect("an address")));
        found.ok().map(|address| (address.to_string(), stream.len()))
    }

    fn four(source: [u8; 4]) -> Vec<u8> {
        [&source[..], &[10, 0, 0, 2], &4711_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
    }

    #[test]
    fn the_client_is_who_the_proxy_says() {
        let six =
            [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0; 16], &[18, 103, 1, 187]].concat();
        let mapped = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 7][..], &[0; 20]].concat();
        let four = four([198, 51, 100, 7]);
        let with_more = [&four[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (bytes, wanted) in [
            (header(0x21, 0x11, &four), Some("198.51.100.7:4711")),
            (header(0x21, 0x11, &with_more), Some("198.51.100.7:4711")),
            (header(0x21, 0x21, &six), Some("[2001:db8::7]:4711")),
            (header(0x21, 0x21, &mapped), Some("198.51.100.7:0")),
            // The proxy asks for itself, whatever else it says.
            (header(0x20, 0x00, &[]), Some(PEER)),
            (header(0x20, 0x11, &four), Some(PEER)),
            (header(0x20, 0x00, &[4, 0, 3, 1, 2, 3]), Some(PEER)),
            // No address of a client: unknown, a path, or datagrams.
            (header(0x21, 0x00, &[]), None),
            (header(0x21, 0x00, &four), None),
            (header(0x21, 0x31, &[1; 216]), None),
            (header(0x21, 0x12, &four), None),
            (header(0x21, 0x10, &four), None),
            // What can't be read.
            (header(0x11, 0x11, &four), None),
            (header(0x22, 0x11, &four), None),
            (header(0x21, 0x41, &four), None),
            (header(0x21, 0x13, &four), None),
            (header(0x21, 0x11, &four[..11]), None),
            (header(0x21, 0x21, &four), None),
            (b"PROXY TCP4 198.51.100.7 10.0.0.2 4711 443\r\n".to_vec(), None),
            (b"GET / HTTP/1.1\r\nhost: crm.test\r\n\r\n".to_vec(), None),
        ] {
            let mut all = bytes.clone();
            all.extend(b"GET");
            let wanted = wanted.map(|wanted| (wanted.to_owned(), 3));
            assert_eq!(taken(&all), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_header_has_an_end() {
        let long = |length: usize| [four([198, 51, 100, 7]), vec![0; length - 12]].concat();
        assert!(taken(&header(0x21, 0x11, &long(MOST))).is_some());
        assert!(taken(&header(0x21, 0x11, &long(MOST + 1))).is_none());
        let whole = header(0x21, 0x11, &long(40));
        assert!((0..whole.len()).all(|end| taken(&whole[..end]).is_none()), "a part of it is none");
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(command: u8, family: u8, rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = header(command, family, &rest);
            prop_assert!(taken(&bytes).is_none_or(|(_, left)| left == 0));
            taken(&rest);
        }
    }
}
