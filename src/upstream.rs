//! The services behind the gateway: peers, pooled connections, deadlines, credentials.
//!
//! Only a [`Permit`]'s request is ever sent. Names are resolved here, because the pool's own resolver blocks and panics. An
//! empty server name would turn certificate verification off in the TLS stack, so it can't be configured. An answer that is
//! not read to its end closes its connection; one that is goes back to the pool before it is transformed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;

use crate::config::{Credential, Limits, Scheme, Upstream};
use crate::enforcement::{Outgoing, Permit};
use crate::metrics::Metrics;
use crate::model::{Name, Reason};

/// How long a resolved name is used before it is looked up again.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// Why an upstream gave no answer that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("unknown upstream")]
    Unknown,
    #[error("its name does not resolve")]
    Unresolved,
    #[error("cannot connect")]
    Unreachable,
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke or the answer was malformed")]
    Broken,
    #[error("the answer is larger than the limit")]
    TooLarge,
}

impl Failure {
    pub fn reason(self) -> Reason {
        match self {
            Self::Unknown | Self::Unresolved | Self::Unreachable => Reason::UpstreamUnreachable,
            Self::Timeout => Reason::UpstreamTimeout,
            Self::Broken => Reason::UpstreamBroken,
            Self::TooLarge => Reason::UpstreamTooLarge,
        }
    }

    fn label(self) -> &'static str {
        self.reason().label()
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Every upstream of one configuration, each with a pool of its own, so that no connection crosses trust domains.
pub struct Upstreams {
    by_name: BTreeMap<Name, Peer>,
    limits: Limits,
    metrics: Metrics,
}

struct Peer {
    connector: Connector,
    address: ArcSwapOption<(SocketAddr, Instant)>,
    scheme: Scheme,
    host: String,
    port: u16,
    base_path: String,
    host_header: HeaderValue,
    credential: Option<(header::HeaderName, HeaderValue)>,
}

impl Upstreams {
    /// Errors: the name of an upstream whose host or credential can't be sent in a header.
    pub fn new<'c>(
        upstreams: impl IntoIterator<Item = &'c Upstream>,
        limits: &Limits,
        metrics: &Metrics,
    ) -> Result<Self, Name> {
        let peer = |upstream: &Upstream| Peer::new(upstream, limits).ok_or_else(|| Arc::clone(&upstream.name));
        let by_name =
            upstreams.into_iter().map(|u| peer(u).map(|peer| (Arc::clone(&u.name), peer))).collect::<Result<_, _>>()?;
        Ok(Self { by_name, limits: limits.clone(), metrics: metrics.clone() })
    }

    /// Sends a permitted request and reads its answer. One retry: on a reused connection that turned out to be dead, with an
    /// idempotent method (RFC 9110, section 9.2.2). Dropping the future closes the connection.
    pub async fn send<Purpose>(&self, permit: &Permit<Purpose>) -> Result<Answer, Failure> {
        let timer = self.metrics.upstream_seconds.start_timer();
        let result = match self.by_name.get(permit.upstream()) {
            Some(peer) => self.exchange(peer, permit.outgoing()).await,
            None => Err(Failure::Unknown),
        };
        timer.observe_duration();
        let outcome = result.as_ref().map_or_else(|failure| failure.label(), |_| "answered");
        self.metrics.upstream_requests.with_label_values(&[outcome]).inc();
        result
    }

    async fn exchange(&self, peer: &Peer, outgoing: &Outgoing) -> Result<Answer, Failure> {
        let address = peer.resolve().await?;
        let target = peer.target(address, &self.limits);
        let head = peer.head(outgoing).ok_or(Failure::Broken)?;
        let mut retried = false;
        loop {
            let (session, reused) = peer
                .connector
                .get_http_session(&target)
                .await
                .map_err(|error| failure_of(&error, Failure::Unreachable))?;
            let mut session = InUse::new(session, &self.metrics);
            match self.answer(&mut session, &head, &outgoing.body).await {
                Ok(answer) => {
                    if let Some(session) = session.take() {
                        peer.connector.release_http_session(session, &target, Some(self.limits.idle_time)).await;
                    }
                    return Ok(answer);
                }
                Err(Broken { failure, nothing_read }) => {
                    session.close().await;
                    if reused
                        && nothing_read
                        && failure == Failure::Broken
                        && !retried
                        && outgoing.method.is_idempotent()
                    {
                        retried = true;
                        continue;
                    }
                    return Err(failure);
                }
            }
        }
    }

    async fn answer(&self, session: &mut InUse, head: &RequestHeader, body: &Bytes) -> Result<Answer, Broken> {
        let limits = &self.limits;
        let Some(session) = session.session.as_mut() else { return Err(Broken::before(Failure::Broken)) };
        session.set_write_timeout(Some(limits.upstream_head_time));
        session.set_read_timeout(Some(limits.upstream_read_time));
        let sent = async {
            let session = &mut *session;
            session.write_request_header(Box::new(head.clone())).await?;
            if !body.is_empty() {
                session.write_request_body(body.clone(), true).await?;
            }
            session.finish_request_body().await?;
            loop {
                session.read_response_header().await?;
                // Interim answers are dropped; an unsolicited upgrade is none that was asked for.
                match session.response_header() {
                    Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                        return Ok::<_, Box<pingora::Error>>(false);
                    }
                    Some(head) if head.status.is_informational() => {}
                    Some(_) => return Ok(true),
                    None => return Ok(false),
                }
            }
        };
        match tokio::time::timeout(limits.upstream_head_time, sent).await {
            Err(_) => return Err(Broken::before(Failure::Timeout)),
            Ok(Err(error)) => return Err(Broken::before(failure_of(&error, Failure::Broken))),
            Ok(Ok(false)) => return Err(Broken::after(Failure::Broken)),
            Ok(Ok(true)) => {}
        }
        let Some(head) = session.response_header() else { return Err(Broken::after(Failure::Broken)) };
        let (status, headers) = (head.status, head.headers.clone());
        let expected =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
        if expected.is_some_and(|length| length > limits.response_body) {
            return Err(Broken::after(Failure::TooLarge));
        }
        let mut body: Option<Bytes> = None;
        let mut joined = BytesMut::new();
        while let Some(chunk) =
            session.read_response_body().await.map_err(|error| Broken::after(failure_of(&error, Failure::Broken)))?
        {
            let length = body.as_ref().map_or(0, Bytes::len) + joined.len() + chunk.len();
            if length > limits.response_body {
                return Err(Broken::after(Failure::TooLarge));
            }
            if body.is_none() && joined.is_empty() {
                body = Some(chunk);
                continue;
            }
            if let Some(first) = body.take() {
                joined.reserve(expected.unwrap_or(length));
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.unwrap_or_else(|| joined.freeze()) })
    }
}

impl Peer {
    fn new(upstream: &Upstream, limits: &Limits) -> Option<Self> {
        let default_port = match upstream.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let bracketed =
            if upstream.host.contains(':') { format!("[{}]", upstream.host) } else { upstream.host.clone() };
        let authority =
            if upstream.port == default_port { bracketed } else { format!("{bracketed}:{}", upstream.port) };
        let sensitive = |text: &[u8]| {
            HeaderValue::from_bytes(text).ok().map(|mut value| {
                value.set_sensitive(true);
                value
            })
        };
        let credential = match &upstream.credential {
            None => None,
            Some(Credential::Bearer(secret)) => {
                Some((header::AUTHORIZATION, sensitive(&[b"Bearer ", secret.expose()].concat())?))
            }
            Some(Credential::Header { name, value }) => Some((name.clone(), sensitive(value.expose())?)),
        };
        let mut options = ConnectorOptions::new(limits.upstream_connections);
        options.ca_file = upstream.ca.as_ref().map(|path| path.display().to_string());
        (!upstream.host.is_empty()).then_some(())?;
        Some(Self {
            connector: Connector::new(Some(options)),
            address: ArcSwapOption::empty(),
            scheme: upstream.scheme,
            host: upstream.host.clone(),
            port: upstream.port,
            base_path: upstream.base_path.clone(),
            host_header: HeaderValue::from_str(&authority).ok()?,
            credential,
        })
    }

    async fn resolve(&self) -> Result<SocketAddr, Failure> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, self.port));
        }
        let known = self.address.load_full();
        if let Some(known) = &known
            && known.1.elapsed() < RESOLVED_FOR
        {
            return Ok(known.0);
        }
        let found =
            tokio::net::lookup_host((self.host.as_str(), self.port)).await.ok().and_then(|mut found| found.next());
        match (found, known) {
            (Some(address), _) => {
                self.address.store(Some(Arc::new((address, Instant::now()))));
                Ok(address)
            }
            // A resolver that fails for a while must not take down what still answers.
            (None, Some(known)) => Ok(known.0),
            (None, None) => Err(Failure::Unresolved),
        }
    }

    fn target(&self, address: SocketAddr, limits: &Limits) -> HttpPeer {
        // Invariant: the host is never empty (see `new`), so certificates are always verified against it.
        let mut peer = HttpPeer::new(address, self.scheme == Scheme::Https, self.host.clone());
        peer.options.connection_timeout = Some(limits.connect_time);
        peer.options.total_connection_timeout = Some(limits.connect_time);
        peer.options.idle_timeout = Some(limits.idle_time);
        peer.options.read_timeout = Some(limits.upstream_read_time);
        peer.options.write_timeout = Some(limits.upstream_head_time);
        peer
    }

    fn head(&self, outgoing: &Outgoing) -> Option<RequestHeader> {
        let path = format!("{}{}", self.base_path, outgoing.target);
        let mut head =
            RequestHeader::build(outgoing.method.clone(), path.as_bytes(), Some(outgoing.headers.len() + 3)).ok()?;
        head.insert_header(header::HOST, self.host_header.clone()).ok()?;
        for (name, value) in &outgoing.headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        if let Some((name, value)) = &self.credential {
            head.insert_header(name.clone(), value.clone()).ok()?;
        }
        let has_body = matches!(outgoing.method, http::Method::POST | http::Method::PUT | http::Method::PATCH);
        if has_body || !outgoing.body.is_empty() {
            head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(outgoing.body.len())).ok()?;
        }
        Some(head)
    }
}

struct Broken {
    failure: Failure,
    nothing_read: bool,
}

impl Broken {
    fn before(failure: Failure) -> Self {
        Self { failure, nothing_read: true }
    }

    fn after(failure: Failure) -> Self {
        Self { failure, nothing_read: false }
    }
}

fn failure_of(error: &pingora::Error, otherwise: Failure) -> Failure {
    use pingora::ErrorType;
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout
        | ErrorType::TLSHandshakeTimedout => Failure::Timeout,
        _ => otherwise,
    }
}

/// A session that counts as in use until it is given back or closed; a dropped one closes its connection.
struct InUse {
    session: Option<HttpSession>,
    metrics: Metrics,
}

impl InUse {
    fn new(session: HttpSession, metrics: &Metrics) -> Self {
        metrics.upstream_in_use.inc();
        Self { session: Some(session), metrics: metrics.clone() }
    }

    fn take(&mut self) -> Option<HttpSession> {
        self.session.take()
    }

    async fn close(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.shutdown().await;
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.metrics.upstream_in_use.dec();
    }
}
