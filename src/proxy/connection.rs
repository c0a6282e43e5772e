//! A client's connection: one request after the other, and between them next to nothing that is held.
//!
//! pingora's own loop makes a session, with its buffers, before a request has come. Here a connection waits for the first byte
//! of one without, so that those that are idle cost little more than their TLS. HTTP/2 is pingora's from there on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use http::HeaderMap;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::server::ReusableHttpStream;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::tls::ALPN;
use pingora::server::ShutdownWatch;

use super::delivery::{Times, deliver};
use super::extras::Extras;
use super::reply::Reply;
use super::{Proxy, client};
use crate::exchange::Exchange;
use crate::listener::{ENHANCE_YOUR_CALM, TooLong};
use crate::model::Reason;
use crate::rejection::Rejection;

/// What becomes of a connection, or a stream of HTTP/2, after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    End,
    /// Its client does not read, and would not read an end of it either.
    GiveUp,
}

impl Then {
    async fn end(self, mut session: ServerSession) {
        if self != Self::GiveUp {
            session.shutdown().await;
        } else if session.is_http2() {
            // The listener counts these.
            session.shutdown_with_reason(ENHANCE_YOUR_CALM.into());
        }
    }
}

/// What listeners hand their connections to.
pub struct Connections(pub Arc<Proxy>);

#[async_trait]
impl ServerApp for Connections {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let proxy = &self.0;
        let mut kept: Option<HttpPersistentSettings> = None;
        let mut prefix = None;
        loop {
            if prefix.is_none() && !proxy.is_asked(&mut stream, shutdown).await {
                return None;
            }
            if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
                return proxy.process_new(stream, shutdown).await;
            }
            let mut session = ServerSession::new_http1(stream);
            if let Some(kept) = kept {
                kept.apply_to_session(&mut session);
            }
            if let Some(prefix) = prefix {
                session.set_pipelined_prefix(prefix);
            }
            let (reusable, settings) = Box::pin(proxy.request(session, shutdown)).await?;
            (stream, prefix) = reusable.into_parts();
            prefix = prefix.filter(|prefix| !prefix.is_empty());
            kept = Some(settings);
        }
    }
}

impl Proxy {
    /// Until a client begins to say something. `false`: it does not, or the gateway drains.
    async fn is_asked(&self, stream: &mut Stream, shutdown: &ShutdownWatch) -> bool {
        let idle = self.in_force.load().as_ref().map(|snapshot| snapshot.config.limits.idle_time);
        let mut first = [0];
        tokio::select! {
            biased;
            said = tokio::time::timeout(idle.unwrap_or(client::FIRST_HEAD), stream.try_peek(&mut first)) => {
                matches!(said, Ok(Ok(true)))
            }
            // An idle connection is closed at once when the gateway drains and nobody takes over.
            () = self.closing(shutdown) => false,
        }
    }

    async fn closing(&self, shutdown: &ShutdownWatch) {
        // Whoever holds the other end is not gone before this.
        shutdown.clone().wait_for(|stop| *stop).await.ok();
        if self.lingers.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }

    /// Reads one request and serves it. `None`: the connection ends.
    pub(super) async fn request(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<(ReusableHttpStream, HttpPersistentSettings)> {
        // A request sent before the last one was answered waits its turn (RFC 9112, section 9.3.2).
        session.set_pipelining_enabled(true);
        let idle = self.in_force.load().as_ref().map(|snapshot| snapshot.config.limits.idle_time);
        let read = tokio::select! {
            biased;
            // The whole head must arrive within the idle time, however slowly it trickles.
            read = tokio::time::timeout(idle.unwrap_or(client::FIRST_HEAD), session.read_request()) => read,
            () = self.closing(shutdown) => return None,
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return None,
            Ok(Err(error)) => {
                // A head that came too slowly: whoever sends it waits for no answer.
                let io = error.root_cause().downcast_ref::<std::io::Error>();
                if io.is_none_or(|io| io.kind() != std::io::ErrorKind::TimedOut) {
                    let is_too_long = io.is_some_and(TooLong::is);
                    let reason = if is_too_long { Reason::TooManyHeaders } else { Reason::MalformedRequest };
                    Box::pin(self.refuse_unread(session, reason)).await;
                }
                return None;
            }
        }
        // Whoever sends no more than a head holds no room for the rest.
        let then = Box::pin(self.exchange(&mut session, shutdown)).await;
        if then != Then::GoOn {
            then.end(session).await;
            return None;
        }
        // Who was told that the connection stays open may be about to use it.
        if *shutdown.borrow() && !self.lingers.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let settings = HttpPersistentSettings::for_session(&session);
        Some((session.finish().await.ok().flatten()?, settings))
    }

    /// Of a head that can't be read.
    async fn refuse_unread(&self, mut session: ServerSession, reason: Reason) {
        let mut exchange = Exchange::begin(self.clock.now(), client::address(&session), None, &self.log, &self.metrics);
        session.set_keepalive(None);
        let reason = exchange.announce().await.err().unwrap_or(reason);
        let rejection = Rejection::from(reason);
        // It can't be told what it asks for: the refusal has a body.
        let in_force = self.in_force.load_full();
        let times = Times::new(in_force.as_deref());
        let is_by_tls = client::is_tls(&session);
        let extras = in_force.as_deref().map(|snapshot| Extras::new(&snapshot.config, &HeaderMap::new(), is_by_tls));
        let (reply, extras) = (Reply::refused(&rejection), extras.unwrap_or_default());
        match deliver(&mut session, reply, &extras, false, &times, &mut exchange).await {
            Ok(()) => {
                exchange.end(rejection.status.as_u16(), Some(reason)).await;
                session.shutdown().await;
            }
            Err(reason) => exchange.cut(reason).await,
        }
    }
}

/// For the streams of HTTP/2.
#[async_trait]
impl HttpServerApp for Proxy {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let (reusable, settings) = self.request(session, shutdown).await?;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }

    /// Whether it says that WebSockets may be opened on it (RFC 8441, section 3): clients open them by HTTP/1.1 where it doesn't.
    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        // What the framing holds is out of the exchange's hands, and of its deadlines.
        options.max_send_buffer_size(client::QUEUED);
        if self.in_force.load().as_ref().is_some_and(|snapshot| snapshot.catalog.takes_websockets()) {
            options.enable_connect_protocol();
        }
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwapOption;

    use super::*;
    use crate::audit::Log;
    use crate::clock::Clock;
    use crate::config::{Audit, Fsync};
    use crate::metrics::Metrics;

    /// What a connection costs that waits for a request, for the rest of a head, or for a refusal to be taken, beside its buffers
    /// and its TLS.
    #[tokio::test]
    async fn a_connection_that_waits_holds_no_room_for_what_is_yet_to_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl");
        let log =
            Log::open(&Audit { file, fsync: Fsync::Never, serve_without: false }, Clock::system()).expect("a log");
        let proxy = Arc::new(Proxy::new(Arc::new(ArcSwapOption::empty()), Clock::system(), log, Metrics::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let open = async || {
            let address = listener.local_addr().expect("bound");
            let stream = tokio::net::TcpStream::connect(address).await.expect("connected");
            Box::new(pingora::protocols::l4::stream::Stream::from(stream))
        };
        let (_stop, stopping) = tokio::sync::watch::channel(false);
        let idle = Arc::new(Connections(Arc::clone(&proxy)));
        let (first, second, third) = (open().await, open().await, open().await);
        let idle = std::mem::size_of_val(&*idle.process_new(first, &stopping));
        let reads = std::mem::size_of_val(&proxy.request(ServerSession::new_http1(second), &stopping));
        let mut asked = ServerSession::new_http1(third);
        let serves = std::mem::size_of_val(&proxy.exchange(&mut asked, &stopping));
        assert!(idle < 3 * 1024 && reads < 8 * 1024 && serves < 6 * 1024, "{idle}, {reads} and {serves} bytes");
    }
}
