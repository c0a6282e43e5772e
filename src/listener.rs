//! Accepts connections: limits, TLS 1.2 and 1.3 by rustls, then pingora's HTTP/1.1 or HTTP/2 by ALPN.
//!
//! The accept loop is our own, so that ports can be chosen by the system, the handshake has a deadline, connections are
//! capped, and draining ends as soon as nothing is in flight. What TLS shows and demands is swapped while it serves; see [`tls`].

mod frames;
mod places;
mod stream;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::{GetSocketDigest, SocketDigest, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::Limits;
use crate::metrics::Metrics;
pub use places::Places;
use tls::Tls;

/// A handshake that takes longer is cut, and so is an HTTP/2 client's preface after it.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// A bound socket that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    /// Connections at the same time; further ones wait in the backlog.
    most: usize,
}

impl Listener {
    /// Errors: those of the system.
    pub async fn bind(address: SocketAddr, tls: Option<Arc<Tls>>, limits: &Limits) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls, most: limits.connections })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop` turns true, then closes the socket and waits until every connection has ended. Those that are left
    /// when `cut` turns true are ended, and have left their traces when this returns.
    pub async fn serve<App: ServerApp + Send + Sync + 'static>(
        self,
        app: Arc<App>,
        places: Arc<Places>,
        metrics: Metrics,
        mut stop: watch::Receiver<bool>,
        mut cut: watch::Receiver<bool>,
    ) {
        let Self { socket, tls, most, .. } = self;
        let room = Arc::new(Semaphore::new(most));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = async {
                    let room = Arc::clone(&room).acquire_owned().await;
                    (room, socket.accept().await)
                } => accepted,
            };
            let (Ok(room), Ok((connection, peer))) = accepted else {
                // Out of file descriptors, most likely: let others end before the next try.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            // Closed without a word: an answer is what a flood is for.
            let Some(place) = places.take(peer.ip()) else { continue };
            let metrics = metrics.clone();
            let (app, acceptor, stop) = (Arc::clone(&app), tls.as_deref().map(Tls::acceptor), stop.clone());
            connections.spawn(async move {
                if let Some(stream) = open(connection, peer, acceptor.as_deref(), &metrics).await {
                    app.process_new(stream, &stop).await;
                }
                drop((place, room));
            });
        }
        drop(socket);
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => return,
            _ = cut.wait_for(|cut| *cut) => {}
        }
        connections.shutdown().await;
    }
}

async fn open(
    connection: TcpStream,
    peer: SocketAddr,
    acceptor: Option<&Acceptor>,
    metrics: &Metrics,
) -> Option<Stream> {
    use std::os::fd::AsRawFd;
    connection.set_nodelay(true).ok()?;
    let digest = SocketDigest::from_raw_fd(connection.as_raw_fd());
    digest.peer_addr.set(Some(peer.into())).ok()?;
    let mut l4 = pingora::protocols::l4::stream::Stream::from(connection);
    l4.set_socket_digest(digest);
    let stream: Stream = match acceptor {
        None => Box::new(l4),
        Some(acceptor) => Box::new(tokio::time::timeout(HANDSHAKE_TIME, acceptor.tls_handshake(l4)).await.ok()?.ok()?),
    };
    Some(Box::new(stream::Buffered::new(stream, HANDSHAKE_TIME, metrics)))
}
