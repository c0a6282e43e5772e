//! Closes connections that are kept for nobody.
//!
//! A pool that is not in force any more is asked by nobody, and would keep what is idle, with a file and a task each, until
//! its time is over. The library has no word for that. But it asks whoever wants a connection whether one that it found is
//! the right one, and closes what is not: so here comes one to whom none is right, until there is none left.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::ALPN;
use pingora::upstreams::peer::{HttpPeer, Peer, PeerOptions};
use pingora::{Error, ErrorType};

use super::trust::Pool;

/// Pools that are not in force any more, with what their connections were opened to.
#[derive(Default)]
#[must_use = "its connections stay open until their time is over"]
pub struct Retired(Vec<(Arc<Pool>, Arc<[HttpPeer]>)>);

impl Retired {
    pub(super) fn add(&mut self, pools: Vec<Arc<Pool>>, targets: impl Fn() -> Vec<HttpPeer>) {
        if !pools.is_empty() {
            let targets: Arc<[HttpPeer]> = targets().into();
            self.0.extend(pools.into_iter().map(|pool| (pool, Arc::clone(&targets))));
        }
    }

    /// Closes what is idle. What is in use ends with its exchange.
    pub async fn close(self) {
        for (pool, targets) in self.0 {
            for target in targets.iter() {
                close(&pool, target).await;
            }
        }
    }
}

/// So often nothing is found before there is nothing: the library drops a connection unseen that its own watcher has not
/// quite let go of.
const MISSES: usize = 16;

/// Closes what a pool keeps of one target.
pub(super) async fn close(pool: &Pool, target: &HttpPeer) {
    let mut nobody = Nobody { target: target.clone(), found: Arc::default() };
    // As many as there may be of HTTP/1.1 and of HTTP/2, and those that were in use a moment ago.
    nobody.target.options.alpn = ALPN::H2H1;
    nobody.target.options.custom_l4 = Some(Arc::new(Nowhere));
    let mut misses = 0;
    for _ in 0..=pool.most.saturating_mul(3) {
        nobody.found.store(false, Ordering::Relaxed);
        // Invariant: it finds none that is right, and opens none.
        if pool.connector.get_http_session(&nobody).await.is_ok() || misses >= MISSES {
            break;
        }
        misses = if nobody.found.load(Ordering::Relaxed) { 0 } else { misses + 1 };
    }
}

/// Wants what was opened to a target, and takes nothing.
#[derive(Clone)]
struct Nobody {
    target: HttpPeer,
    /// Whether there was a connection.
    found: Arc<AtomicBool>,
}

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

impl Peer for Nobody {
    fn address(&self) -> &SocketAddr {
        self.target.address()
    }

    fn tls(&self) -> bool {
        self.target.tls()
    }

    fn sni(&self) -> &str {
        self.target.sni()
    }

    fn reuse_hash(&self) -> u64 {
        self.target.reuse_hash()
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        self.target.get_peer_options()
    }

    fn matches_fd<V: std::os::fd::AsRawFd>(&self, _: V) -> bool {
        self.found.store(true, Ordering::Relaxed);
        false
    }
}

/// Where nothing can be opened.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl L4Connect for Nowhere {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        Err(Error::new(ErrorType::ConnectRefused))
    }
}
