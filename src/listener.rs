//! Accepts connections: limits, TLS 1.2 and 1.3 by rustls, then pingora's HTTP/1.1 or HTTP/2 by ALPN.
//!
//! The accept loop is our own, so that ports can be chosen by the system, the handshake has a deadline, connections are
//! capped, and draining ends as soon as nothing is in flight. What TLS shows and demands is swapped while it serves; see [`tls`].

mod frames;
mod handshake;
mod messages;
mod newcomers;
mod outgoing;
mod places;
mod proxied;
mod stream;
pub mod tls;
mod trailers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use pingora::apps::ServerApp;
use pingora::protocols::{GetSocketDigest, SocketDigest, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::{self, Limits};
use crate::metrics::Metrics;
pub use frames::ENHANCE_YOUR_CALM;
use handshake::Handshakes;
pub use messages::TooLong;
use newcomers::Newcomer;
use places::Place;
pub use places::Places;
use stream::Followed;
use tls::Tls;

/// A bound socket that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    /// Whose connections begin with who is behind them. `None`: everybody speaks for themselves.
    proxies: Option<Vec<IpNet>>,
    /// Connections at the same time; further ones wait in the backlog.
    most: usize,
    handshake_time: Duration,
    head_time: Duration,
}

/// What is done with each connection.
struct Opening {
    tls: Option<Arc<Tls>>,
    proxies: Option<Vec<IpNet>>,
    places: Arc<Places>,
    handshakes: Handshakes,
    metrics: Metrics,
    time: Duration,
    head_time: Duration,
}

impl Listener {
    /// Errors: those of the system.
    pub fn new(
        socket: TcpListener,
        listener: &config::Listener,
        tls: Option<Arc<Tls>>,
        limits: &Limits,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let proxies = listener.proxy_protocol.clone();
        let (handshake_time, head_time) = (limits.handshake_time, limits.head_time);
        Ok(Self { socket, address, tls, proxies, most: limits.connections, handshake_time, head_time })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop` turns true, then closes the socket and waits until every connection has ended. Those that are left
    /// when `cut` turns true are ended, and have left their traces when this returns. `lingers`: another process serves on the same
    /// socket, so that handshakes are still brought to their end.
    pub async fn serve<App: ServerApp + Send + Sync + 'static>(
        self,
        app: Arc<App>,
        places: Arc<Places>,
        metrics: Metrics,
        mut stop: watch::Receiver<bool>,
        mut cut: watch::Receiver<bool>,
        lingers: Arc<AtomicBool>,
    ) {
        let Self { socket, tls, proxies, most, handshake_time: time, head_time, .. } = self;
        let handshakes = Handshakes::new(&metrics);
        let opening = Arc::new(Opening { tls, proxies, places, handshakes, metrics, time, head_time });
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
            let Some(place) = opening.admit(peer) else { continue };
            let (app, opening, stop) = (Arc::clone(&app), Arc::clone(&opening), stop.clone());
            let lingers = Arc::clone(&lingers);
            let (newcomer, sent_away) = opening.places.newcomers.welcome();
            connections.spawn(async move {
                let served = async {
                    // What a handshake needs is given back before the connection waits for its first request.
                    let opened = tokio::select! {
                        biased;
                        opened = Box::pin(opening.open(connection, peer, place, newcomer)) => opened,
                        // Nothing was asked yet, and nothing would be answered.
                        () = closing(stop.clone(), &lingers) => None,
                    };
                    drop(opening);
                    if let Some((stream, place)) = opened {
                        app.process_new(stream, &stop).await;
                        drop(place);
                    }
                };
                tokio::select! {
                    biased;
                    () = sent_away.wait() => {}
                    () = served => {}
                }
                drop(room);
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

async fn closing(mut stop: watch::Receiver<bool>, lingers: &AtomicBool) {
    stop.wait_for(|stop| *stop).await.ok();
    if lingers.load(Ordering::Acquire) {
        std::future::pending::<()>().await;
    }
}

impl Opening {
    /// `None`: it is not taken. A connection that speaks for another has its place once it is known for whom.
    fn admit(&self, peer: SocketAddr) -> Option<Option<Place>> {
        match &self.proxies {
            None => self.places.take(peer.ip()).map(Some),
            Some(trusted) if config::contains(trusted, peer.ip()) => Some(None),
            Some(_) => {
                self.metrics.proxies_refused.inc();
                None
            }
        }
    }

    /// Makes a connection ready for requests, in the time that there is for it.
    async fn open(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        place: Option<Place>,
        newcomer: Newcomer,
    ) -> Option<(Stream, Place)> {
        let prepared = tokio::time::timeout(self.time, self.prepare(connection, peer, place, newcomer)).await;
        prepared.unwrap_or_else(|_| {
            if self.tls.is_some() {
                self.handshakes.failed(peer, None);
            }
            None
        })
    }

    async fn prepare(
        &self,
        mut connection: TcpStream,
        peer: SocketAddr,
        place: Option<Place>,
        newcomer: Newcomer,
    ) -> Option<(Stream, Place)> {
        use std::os::fd::AsRawFd;
        connection.set_nodelay(true).ok()?;
        let (client, place) = match place {
            Some(place) => (peer, place),
            None => {
                let client = proxied::read(&mut connection, peer).await.inspect_err(|error| {
                    self.metrics.proxies_refused.inc();
                    tracing::debug!(%peer, %error, "a connection of a proxy was refused");
                });
                let client = client.ok()?;
                (client, self.places.take(client.ip())?)
            }
        };
        let digest = SocketDigest::from_raw_fd(connection.as_raw_fd());
        digest.peer_addr.set(Some(client.into())).ok()?;
        let mut l4 = pingora::protocols::l4::stream::Stream::from(connection);
        l4.set_socket_digest(digest);
        let stream: Stream = match self.tls.as_deref().map(Tls::acceptor) {
            None => Box::new(l4),
            Some(acceptor) => {
                let shaken = acceptor.tls_handshake(l4).await;
                Box::new(shaken.inspect_err(|error| self.handshakes.failed(client, Some(&error.to_string()))).ok()?)
            }
        };
        let untaken = if self.places.is_of_many(client.ip()) { frames::UNTAKEN_OF_MANY } else { frames::UNTAKEN };
        let followed = Followed::new(stream, newcomer, self.time, self.head_time, &self.places, untaken, &self.metrics);
        Some((Box::new(followed), place))
    }
}
