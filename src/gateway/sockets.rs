//! Listening sockets that are there before the gateway: from the process that it takes over from, or from a service manager.
//!
//! A socket that is handed over keeps its queue of connections, so that nobody who connects meanwhile is refused.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// Sockets at a time; the system would take 253.
const MOST: usize = 128;
/// Of the text beside them: an address and a line feed for each.
const MAX_TEXT: usize = 8 * 1024;

/// By the address that a configuration asks for, which is another one than they have where it asks for any port.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(SocketAddr, TcpListener)>);

impl Sockets {
    /// Those that a service manager listens on for the gateway (`LISTEN_FDS`, see sd_listen_fds(3)).
    ///
    /// Errors: one is of another kind.
    pub fn activated() -> io::Result<Self> {
        let mut given = listenfd::ListenFd::from_env();
        let mut found = Vec::new();
        for index in 0..given.len() {
            if let Some(socket) = given.take_tcp_listener(index)? {
                found.push((socket.local_addr()?, socket));
            }
        }
        Ok(Self(found))
    }

    /// Those that another process sends. Errors: it sends something else, or is gone.
    pub(super) fn receive(from: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = vec![0; MAX_TEXT];
        // Sent at once, so it is received at once.
        let slices = &mut [IoSliceMut::new(&mut text)];
        let count = rustix::net::recvmsg(from, slices, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights.map(TcpListener::from));
            }
        }
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "these are not the sockets of a gateway");
        let text = text.get(..count).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(malformed)?;
        let addresses: Result<Vec<SocketAddr>, _> = text.lines().map(str::parse).collect();
        let addresses = addresses.map_err(|_| malformed())?;
        if addresses.len() != sockets.len() || addresses.is_empty() {
            return Err(malformed());
        }
        Ok(Self(addresses.into_iter().zip(sockets).collect()))
    }

    pub(super) fn send(&self, to: &UnixStream) -> io::Result<()> {
        let too_many = || io::Error::new(io::ErrorKind::InvalidInput, "there are too many sockets to hand over");
        let text: String = self.0.iter().map(|(address, _)| format!("{address}\n")).collect();
        if self.0.len() > MOST || text.len() > MAX_TEXT {
            return Err(too_many());
        }
        let rights: Vec<BorrowedFd<'_>> = self.0.iter().map(|(_, socket)| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&rights)) {
            return Err(too_many());
        }
        let sent = rustix::net::sendmsg(to, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
        if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// A socket for this address: the one that is there already, or a new one.
    pub(super) async fn bind(&mut self, address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let Some(index) = self.0.iter().position(|(known, _)| *known == address) else {
            return tokio::net::TcpListener::bind(address).await;
        };
        let (_, socket) = self.0.remove(index);
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket)
    }

    /// Keeps another handle of a socket, to hand over later.
    pub(super) fn keep(&mut self, address: SocketAddr, socket: &impl AsFd) -> io::Result<()> {
        let handle: OwnedFd = socket.as_fd().try_clone_to_owned()?;
        self.0.push((address, handle.into()));
        Ok(())
    }

    pub(super) fn copy(&self) -> io::Result<Self> {
        self.0.iter().map(|(address, socket)| Ok((*address, socket.try_clone()?))).collect::<io::Result<_>>().map(Self)
    }

    /// Those that nothing asked for.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(address, _)| *address)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn some() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn a_socket_that_is_handed_over_is_the_same_one() {
        let first = tokio::net::TcpListener::bind(some()).await.expect("bound");
        let address = first.local_addr().expect("bound");
        let mut kept = Sockets::default();
        kept.keep(some(), &first).expect("kept");
        let (here, there) = UnixStream::pair().expect("a pair");
        kept.copy().expect("copied").send(&here).expect("sent");
        drop((first, kept));
        let mut received = Sockets::receive(&there).expect("received");
        let socket = received.bind(some()).await.expect("there");
        assert_eq!(socket.local_addr().expect("bound"), address);
        let (connected, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), socket.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        let another = received.bind(some()).await.expect("a new one");
        assert_ne!(another.local_addr().expect("bound"), address);
    }

    #[test]
    fn what_is_not_a_gateways_is_refused() {
        for text in ["", "127.0.0.1:80\n", "hello", "\u{fffd}\n"] {
            let (mut here, there) = UnixStream::pair().expect("a pair");
            here.write_all(text.as_bytes()).expect("sent");
            drop(here);
            assert!(Sockets::receive(&there).is_err(), "{text}");
        }
        let (here, _there) = UnixStream::pair().expect("a pair");
        let socket = TcpListener::bind(some()).expect("bound");
        let mut many = Sockets::default();
        (0..=MOST).for_each(|_| many.keep(some(), &socket).expect("kept"));
        assert!(many.send(&here).is_err());
    }
}
