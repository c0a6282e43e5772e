//! The services behind the gateway: peers, pooled connections, deadlines, credentials.
//!
//! Only a [`Permit`]'s request is ever sent. Names are resolved here, because the pool's own resolver blocks and panics. An
//! empty server name would turn certificate verification off in the TLS stack, so it can't be configured. An answer comes
//! as its reader asks for it; see [`answer`].

pub mod answer;
mod decode;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;

use crate::config::{Coding, Credential, Limits, Scheme, Upstream};
use crate::enforcement::{Outgoing, Permit};
use crate::metrics::Metrics;
use crate::model::{Name, Reason};
use answer::InUse;
pub use answer::{Answer, Body, Held, Whole};

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
    #[error("the answer is compressed in a way that is not known, or in several")]
    UnknownCoding,
    #[error("the answer is not compressed as it says, or was cut short")]
    Undecodable,
    #[error("the answer expands further than the limit")]
    Expanded,
}

impl Failure {
    pub fn reason(self) -> Reason {
        match self {
            Self::Unknown | Self::Unresolved | Self::Unreachable => Reason::UpstreamUnreachable,
            Self::Timeout => Reason::UpstreamTimeout,
            Self::Broken | Self::Undecodable => Reason::UpstreamBroken,
            Self::TooLarge | Self::Expanded => Reason::UpstreamTooLarge,
            Self::UnknownCoding => Reason::UpstreamMediaType,
        }
    }

    fn label(self) -> &'static str {
        self.reason().label()
    }
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
    accept_encoding: HeaderValue,
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

    /// Sends a permitted request and reads the head of its answer. One retry: on a reused connection that turned out to be
    /// dead, with an idempotent method (RFC 9110, section 9.2.2). Dropping the future closes the connection.
    pub async fn send<Purpose>(&self, permit: &Permit<Purpose>) -> Result<Answer<'_>, Failure> {
        let sent = match self.by_name.get(permit.upstream()) {
            Some(peer) => self.exchange(peer, permit.outgoing()).await,
            None => Err(Failure::Unknown),
        };
        // An answer counts itself once it is known how it ended.
        sent.inspect_err(|failure| self.metrics.upstream_requests.with_label_values(&[failure.label()]).inc())
    }

    async fn exchange<'u>(&'u self, peer: &'u Peer, outgoing: &Outgoing) -> Result<Answer<'u>, Failure> {
        let timer = self.metrics.upstream_seconds.start_timer();
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
            match self.ask(&mut session, &head, &outgoing.body).await {
                Ok(()) => return Answer::new(session, peer, target, self, timer),
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

    /// Sends the request and reads the head of the answer to it.
    async fn ask(&self, session: &mut InUse<'_>, head: &RequestHeader, body: &Bytes) -> Result<(), Broken> {
        let limits = &self.limits;
        let Some(session) = session.session.as_mut() else { return Err(Broken::before(Failure::Broken)) };
        session.set_write_timeout(Some(limits.upstream_head_time));
        session.set_read_timeout(Some(limits.upstream_read_time));
        let sent = async {
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
            Err(_) => Err(Broken::before(Failure::Timeout)),
            Ok(Err(error)) => Err(Broken::before(failure_of(&error, Failure::Broken))),
            Ok(Ok(false)) => Err(Broken::after(Failure::Broken)),
            Ok(Ok(true)) => Ok(()),
        }
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
            accept_encoding: accept_encoding(&upstream.accept_encoding)?,
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
            RequestHeader::build(outgoing.method.clone(), path.as_bytes(), Some(outgoing.headers.len() + 4)).ok()?;
        head.insert_header(header::HOST, self.host_header.clone()).ok()?;
        head.insert_header(header::ACCEPT_ENCODING, self.accept_encoding.clone()).ok()?;
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

/// What an upstream is asked to answer in: without a wish it may choose (RFC 9110, section 12.5.3), so there is always one.
fn accept_encoding(codings: &[Coding]) -> Option<HeaderValue> {
    let names: Vec<&str> = codings.iter().map(|coding| coding.name()).collect();
    if names.is_empty() {
        Some(HeaderValue::from_static("identity"))
    } else {
        HeaderValue::from_str(&names.join(", ")).ok()
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
