//! Answers that have no end of their own: events of a server, and WebSockets.
//!
//! Whoever was let in is looked at again every second: an expired or revoked credential, another configuration or the end of
//! the gateway ends it. So do silence, its time, and more than it may carry. That a client leaves is its ordinary end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::tls::SslDigest;
use pingora::server::ShutdownWatch;

use super::delivery::Times;
use super::extras::Extras;
use super::flow::Flow;
use super::records::{essence, failed, passed};
use super::reply::{Content, Reply};
use super::websocket::{self, Frames, Wrong};
use super::{Proxy, client, until_client_leaves};
use crate::authn::Presented;
use crate::canonical::Canonical;
use crate::config::Limits;
use crate::enforcement::{Case, Opaque, Permit, Unread, WebSocket};
use crate::exchange::Exchange;
use crate::model::{Principal, Reason};
use crate::snapshot::Snapshot;
use crate::upstream::Answer;
use crate::upstream::upgrade::{Upgrade, Upgraded};

/// How often whoever was let in is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a server's side is told of a WebSocket that the gateway ends (RFC 6455, section 7.4.1): it goes away, or somebody
/// did what they must not.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// What is passed on for as long as it lasts.
pub(super) enum Live<'u> {
    Events(Box<Flow<'u>>),
    Tunnel(Box<Upgraded<'u>>),
}

/// Who was let in, and by what.
pub(super) struct Admitted {
    headers: HeaderMap,
    request: Canonical,
    principal: Arc<Principal>,
    over_tls: bool,
    tls: Option<Arc<SslDigest>>,
    since: i64,
}

impl Admitted {
    pub(super) fn new(
        session: &ServerSession,
        request: &Canonical,
        principal: &Arc<Principal>,
        exchange: &Exchange,
    ) -> Self {
        Self {
            headers: session.req_header().headers.clone(),
            request: request.clone(),
            principal: Arc::clone(principal),
            over_tls: client::is_tls(session),
            tls: session.digest().and_then(|digest| digest.ssl_digest.clone()),
            since: exchange.now.as_second(),
        }
    }

    /// Whether it would be let in now, as the same.
    async fn holds(&self, snapshot: &Snapshot, proxy: &Proxy) -> bool {
        let Ok(peer) = client::peer_of(self.tls.as_ref(), proxy.clock.now()) else { return false };
        let (headers, request) = (&self.headers, &self.request);
        let since = Some(self.since);
        let presented = Presented { headers, request, peer: peer.as_deref(), over_tls: self.over_tls, since };
        let found = snapshot.authenticator.authenticate(&presented).await;
        found.is_ok_and(|found| *found.principal == *self.principal)
    }
}

/// What is asked of an upstream, permitted.
pub(super) enum Asking {
    Events(Permit<Opaque>),
    /// With what proves to the client that its handshake was read; in HTTP/2 nothing has to.
    Tunnel(Permit<WebSocket>, Option<String>),
}

impl Asking {
    /// Of a request to a route of this kind, before anything is sent. Errors: nobody may ask so.
    pub(super) fn new(
        case: &Case<'_>,
        asked: &Unread<'_>,
        request: &Canonical,
        snapshot: &Snapshot,
        session: &ServerSession,
    ) -> Result<Self, Reason> {
        if !asked.route.kind.is_websocket() {
            let permit = case.events(asked)?;
            // What has no end has no head that could be told apart.
            return if request.method == Method::GET { Ok(Self::Events(permit)) } else { Err(Reason::RouteUnknown) };
        }
        // First, for others it is not there.
        case.websocket(asked, &[])?;
        let (over_tls, cors) = (client::is_tls(session), snapshot.config.cors.as_ref());
        let shaken = websocket::asked(asked.headers, request, over_tls, session.is_http2(), cors)?;
        Ok(Self::Tunnel(case.websocket(asked, &shaken.protocols)?, shaken.accept))
    }

    pub(super) async fn ask<'u>(self, snapshot: &'u Snapshot, exchange: &mut Exchange) -> Result<Reply<'u>, Reason> {
        exchange.sent_upstream();
        match self {
            Self::Events(permit) => {
                let answer = snapshot.upstreams.send(&permit).await.map_err(|failure| failed(failure, exchange))?;
                let Answer { status, headers, mut body } = answer;
                passed(status, &headers, exchange)?;
                let declared = headers.get(header::CONTENT_TYPE).and_then(essence);
                let is_stream = declared.is_some_and(|essence| essence.eq_ignore_ascii_case("text/event-stream"));
                if status != StatusCode::OK || !is_stream {
                    return Err(Reason::UpstreamMediaType);
                }
                body.lives(snapshot.config.limits.live_idle_time);
                Ok(Reply::events(Flow::opaque(body, Bytes::new())))
            }
            Self::Tunnel(permit, accept) => {
                match snapshot.upstreams.upgrade(&permit).await.map_err(|failure| failed(failure, exchange))? {
                    Upgrade::Agreed(upgraded) => Ok(Reply::tunnel(upgraded, accept)),
                    Upgrade::Refused(status, headers) => {
                        passed(status, &headers, exchange).and(Err(Reason::UpstreamFailed))
                    }
                }
            }
        }
    }
}

/// Passes it on until it ends. Errors: what ended it, but for either side's own wish.
#[expect(clippy::too_many_arguments, reason = "what an exchange is made of, once")]
pub(super) async fn deliver(
    proxy: &Proxy,
    snapshot: &Snapshot,
    session: &mut ServerSession,
    reply: Reply<'_>,
    extras: &Extras,
    times: &Times,
    shutdown: &ShutdownWatch,
    exchange: &mut Exchange,
) -> Result<(), Reason> {
    let mut head = reply.head(exchange, false).map_err(|_| Reason::Internal)?;
    extras.add(&mut head).map_err(|_| Reason::Internal)?;
    exchange.answers(reply.status.as_u16());
    let Content::Live(live, admitted) = reply.content else { return Err(Reason::Internal) };
    session.set_keepalive(None);
    session.set_read_timeout(None);
    session.set_write_timeout(Some(times.write));
    let watch = Watch { proxy, snapshot, admitted: admitted.as_deref(), shutdown };
    match live {
        Live::Events(flow) => pass_events(session, head, *flow, &watch, times, exchange).await,
        Live::Tunnel(upgraded) => pass_both(session, head, *upgraded, &watch, times, exchange).await,
    }
}

/// What ends a live exchange from without.
struct Watch<'w> {
    proxy: &'w Proxy,
    snapshot: &'w Snapshot,
    admitted: Option<&'w Admitted>,
    shutdown: &'w ShutdownWatch,
}

impl Watch<'_> {
    fn limits(&self) -> &Limits {
        &self.snapshot.config.limits
    }

    /// Until it must end.
    async fn ended(&self) -> Reason {
        let mut stopping = self.shutdown.clone();
        let looked = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(now) = self.proxy.in_force.load_full() else { return };
                let same = now.config.hash == self.snapshot.config.hash
                    && now.policies.hash() == self.snapshot.policies.hash()
                    && now.catalog.hash() == self.snapshot.catalog.hash();
                let holds = match self.admitted {
                    Some(admitted) => same && admitted.holds(&now, self.proxy).await,
                    None => false,
                };
                if !holds {
                    return;
                }
            }
        };
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = looked => {}
            () = tokio::time::sleep(self.limits().live_time) => return Reason::LiveTimeout,
        }
        Reason::LiveWithdrawn
    }
}

async fn pass_events(
    session: &mut ServerSession,
    head: ResponseHeader,
    mut flow: Flow<'_>,
    watch: &Watch<'_>,
    times: &Times,
    exchange: &mut Exchange,
) -> Result<(), Reason> {
    client::write_head(session, head, times.write).await?;
    // What was begun to be written and is not whole can't be followed by an end.
    let writes = AtomicBool::new(false);
    let idle = watch.limits().live_idle_time;
    let ended = {
        let passing = async {
            loop {
                let next = async { flow.next().await.map_err(|cut| cut.told(exchange)) };
                let next = tokio::time::timeout(idle, until_client_leaves(session, pin!(next))).await;
                let Some(bytes) = next.unwrap_or(Err(Reason::LiveTimeout))? else { return Ok(()) };
                let length = bytes.len();
                writes.store(true, Ordering::Relaxed);
                client::write(session, bytes, false).await?;
                writes.store(false, Ordering::Relaxed);
                exchange.passes(length);
            }
        };
        tokio::select! {
            biased;
            reason = watch.ended() => Err(reason),
            passed = passing => passed,
        }
    };
    match ended {
        Err(Reason::ClientGone) => Ok(()),
        Ok(()) | Err(Reason::LiveTimeout | Reason::LiveWithdrawn) if !writes.load(Ordering::Relaxed) => {
            client::finish(session, times.write).await.and(ended)
        }
        ended => ended,
    }
}

async fn pass_both(
    session: &mut ServerSession,
    head: ResponseHeader,
    mut far: Upgraded<'_>,
    watch: &Watch<'_>,
    times: &Times,
    exchange: &mut Exchange,
) -> Result<(), Reason> {
    client::write_head(session, head, times.write).await?;
    let limits = watch.limits();
    let mut from_client = Frames::of_client(limits.live_message, limits.live_rate, Instant::now());
    let mut from_server = Frames::of_server(limits.live_message);
    // Whether a frame was begun to be written to the client that is not whole.
    let within = AtomicBool::new(false);
    let ended = {
        let passing = async {
            loop {
                tokio::select! {
                    sent = session.read_request_body() => match sent {
                        Ok(Some(bytes)) => {
                            from_client.take(&bytes, Instant::now()).map_err(|wrong| told(exchange, wrong, "client"))?;
                            let failure = far.write(bytes).await.err();
                            failure.map_or(Ok(()), |failure| Err(failed(failure, exchange)))?;
                        }
                        // It has left, or broken off.
                        Ok(None) | Err(_) => return Ok(()),
                    },
                    said = far.read() => match said.map_err(|failure| failed(failure, exchange))? {
                        Some(bytes) => {
                            from_server.take(&bytes, Instant::now()).map_err(|wrong| told(exchange, wrong, "upstream"))?;
                            let length = bytes.len();
                            within.store(true, Ordering::Relaxed);
                            client::write(session, bytes, false).await?;
                            within.store(!from_server.is_between(), Ordering::Relaxed);
                            exchange.passes(length);
                        }
                        None => return Ok(()),
                    },
                    () = tokio::time::sleep(limits.live_idle_time) => return Err(Reason::LiveTimeout),
                }
            }
        };
        tokio::select! {
            biased;
            reason = watch.ended() => Err(reason),
            passed = passing => passed,
        }
    };
    if let Err(reason) = ended
        && !within.load(Ordering::Relaxed)
    {
        let [high, low] = if reason == Reason::LiveRefused { POLICY } else { GOING_AWAY }.to_be_bytes();
        // Who is gone reads no farewell; who is still sending may lose it if the connection ends before that was taken. Of
        // HTTP/2, a stream that was not ended is reset, and what it was to bring is lost.
        let last = session.is_http2();
        if client::write(session, Bytes::copy_from_slice(&[0x88, 2, high, low]), last).await.is_ok() {
            far.close().await;
            client::discard_rest(session).await;
            return ended;
        }
    }
    if ended.is_ok() && session.is_http2() && !within.load(Ordering::Relaxed) {
        // Whoever has reset the stream waits for no end.
        client::finish(session, times.write).await.ok();
    }
    far.close().await;
    ended
}

fn told(exchange: &mut Exchange, wrong: Wrong, whose: &str) -> Reason {
    exchange.detail(format_args!("{whose}: {wrong}"));
    Reason::LiveRefused
}
