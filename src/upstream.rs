//! The services behind the gateway: peers, pooled connections, deadlines, credentials.
//!
//! Only a [`Permit`]'s request is ever sent. Names are resolved here, because the pool's own resolver blocks and panics. An
//! empty server name would turn certificate verification off in the TLS stack, so it can't be configured. Which address is
//! asked is for `endpoints` to say, whether any is for `breaker`; an answer comes as its reader asks for it, see [`answer`].

pub mod answer;
mod breaker;
mod checks;
mod credentials;
mod decode;
mod endpoints;
mod idle;
mod link;
mod trust;
pub mod upgrade;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;

use crate::config::{Coding, Keyring, Limits, Scheme, Upstream};
use crate::enforcement::{Outgoing, Permit};
use crate::metrics::Metrics;
use crate::model::{Name, Reason};
use answer::InUse;
pub use answer::{Answer, Body, Held, Whole};
use credentials::Credentials;
use endpoints::{Lease, States};
pub use idle::Retired;
use link::{Found, Link};
use trust::{Made, Pool};
pub use trust::{Renewed, check, folders};

/// Requests at a time on one connection of HTTP/2.
const STREAMS: usize = 100;

/// Why an upstream gave no answer that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("unknown upstream")]
    Unknown,
    #[error("there is no credential of this tenant")]
    NoCredential,
    #[error("it failed too often and is left alone for a while")]
    Open,
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
            Self::NoCredential => Reason::UpstreamCredentialMissing,
            Self::Open => Reason::UpstreamCircuitOpen,
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
    /// What files have become of those that go on as they were, until it comes into force.
    renewals: Mutex<Vec<(Arc<Link>, Made)>>,
    secrets: credentials::Kept,
    limits: Limits,
    metrics: Metrics,
}

/// Why an upstream can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("has a host or a credential that cannot be sent in a header")]
    Unsendable,
    #[error("has certificates that were exchanged while they were read")]
    Changing,
}

struct Peer {
    link: Arc<Link>,
    base_path: String,
    host_header: HeaderValue,
    accept_encoding: HeaderValue,
    credentials: Option<Credentials>,
}

impl Upstreams {
    /// Those that go on as they were share what they have with `before`, which stays as it is until
    /// [`succeed`](Self::succeed). Errors: one that can't be used.
    pub fn new<'c>(
        upstreams: impl IntoIterator<Item = &'c Upstream>,
        keyring: &Arc<Keyring>,
        limits: &Limits,
        metrics: &Metrics,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, (Name, Unusable)> {
        let (mut by_name, mut renewals) = (BTreeMap::new(), Vec::new());
        for upstream in upstreams {
            let name = &upstream.name;
            let wrong = |unusable| (Arc::clone(name), unusable);
            let known = before.and_then(|before| before.by_name.get(name)).map(|peer| &peer.link);
            if upstream.server_name.is_empty() {
                return Err(wrong(Unusable::Unsendable));
            }
            let Found { link, renewal } = Link::find(upstream, limits, metrics, known, now).map_err(wrong)?;
            renewals.extend(renewal.map(|made| (Arc::clone(&link), made)));
            let peer = Peer::new(upstream, keyring, link).ok_or_else(|| wrong(Unusable::Unsendable))?;
            by_name.insert(Arc::clone(name), peer);
        }
        let secrets = credentials::Kept::new(keyring);
        let renewals = Mutex::new(renewals);
        Ok(Self { by_name, renewals, secrets, limits: limits.clone(), metrics: metrics.clone() })
    }

    /// How addresses do and when certificates end, for whoever scrapes.
    pub fn show(&self) {
        let (gauge, expiry) = (&self.metrics.upstream_addresses, &self.metrics.upstream_certificate_expiry);
        // Those of what is gone.
        gauge.reset();
        expiry.reset();
        let now = Instant::now();
        for (name, peer) in &self.by_name {
            let States { serving, ejected, unhealthy } = peer.link.endpoints.states(now);
            for (state, count) in [("serving", serving), ("ejected", ejected), ("unhealthy", unhealthy)] {
                gauge.with_label_values(&[name, state]).set(count.try_into().unwrap_or(i64::MAX));
            }
            for (tenant, until) in peer.link.trust.ends() {
                expiry.with_label_values(&[&**name, &tenant]).set(until.as_second());
            }
        }
    }

    /// Sends a permitted request and reads the head of its answer. One retry: on a reused connection that turned out to be
    /// dead, with an idempotent method (RFC 9110, section 9.2.2). An address that can't be connected to has seen nothing of
    /// the request, so another one is tried, once. Dropping the future closes the connection.
    pub async fn send<Purpose>(&self, permit: &Permit<Purpose>) -> Result<Answer<'_>, Failure> {
        let sent = match self.by_name.get(permit.upstream()) {
            Some(peer) => self.exchange(peer, permit.outgoing()).await,
            None => Err(Failure::Unknown),
        };
        // An answer counts itself once it is known how it ended.
        sent.inspect_err(|failure| self.metrics.upstream_requests.with_label_values(&[failure.label()]).inc())
    }

    async fn exchange<'u>(&'u self, peer: &'u Peer, outgoing: &Outgoing) -> Result<Answer<'u>, Failure> {
        // Before anything is asked of it: a tenant that it does not know says nothing of how it is.
        let head = peer.head(outgoing)?;
        let pool = peer.link.trust.pool(&outgoing.tenant).ok_or(Failure::NoCredential)?;
        let pass = peer.link.breaker.admit(Instant::now()).ok_or(Failure::Open)?;
        let timer = self.metrics.upstream_seconds.start_timer();
        match self.attempt(peer, pool, &head, outgoing).await {
            Ok((session, lease, target)) => {
                let answer = Answer::new(session, peer, lease, target, self, timer)?;
                // These say that nobody is there; all others come from the service itself.
                if matches!(answer.status.as_u16(), 502..=504) {
                    answer.body.endpoint_failed();
                    pass.failed(Instant::now());
                } else {
                    answer.body.endpoint_answered();
                    pass.succeeded();
                }
                Ok(answer)
            }
            Err(failure) => {
                pass.failed(Instant::now());
                Err(failure)
            }
        }
    }

    async fn attempt<'u>(
        &'u self,
        peer: &'u Peer,
        pool: Arc<Pool>,
        head: &RequestHeader,
        outgoing: &Outgoing,
    ) -> Result<(InUse<'u>, Lease, HttpPeer), Failure> {
        // Of HTTP/1.1 alone.
        let link = &peer.link;
        let http2 = link.speaks_http2() && !head.headers.contains_key(header::UPGRADE);
        let mut lease = link.endpoints.choose(None).await?;
        let mut target = link.target(lease.address(), &self.limits, http2);
        let (mut retried, mut moved) = (false, false);
        loop {
            let (session, reused) = match pool.connector.get_http_session(&target).await {
                Ok(found) => found,
                Err(error) => {
                    link.endpoints.failed(&lease);
                    if !moved && link.endpoints.has_other(lease.address()) {
                        moved = true;
                        lease = link.endpoints.choose(Some(lease.address())).await?;
                        target = link.target(lease.address(), &self.limits, http2);
                        continue;
                    }
                    return Err(failure_of(&error, Failure::Unreachable));
                }
            };
            let mut session = InUse::new(session, Arc::clone(&pool), &self.metrics);
            match self.ask(&mut session, head, &outgoing.body).await {
                Ok(()) => return Ok((session, lease, target)),
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
                    link.endpoints.failed(&lease);
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
                    Some(answer) if answer.status == StatusCode::SWITCHING_PROTOCOLS => {
                        return Ok::<_, Box<pingora::Error>>(head.headers.contains_key(header::UPGRADE));
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
    /// `None`: something of it can't be sent.
    fn new(upstream: &Upstream, keyring: &Keyring, link: Arc<Link>) -> Option<Self> {
        let default_port = match upstream.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let bracketed =
            if upstream.host.contains(':') { format!("[{}]", upstream.host) } else { upstream.host.clone() };
        let authority =
            if upstream.port == default_port { bracketed } else { format!("{bracketed}:{}", upstream.port) };
        let credentials = match &upstream.credential {
            None => None,
            Some(credential) => Some(Credentials::new(credential, keyring).ok()?),
        };
        Some(Self {
            link,
            base_path: upstream.base_path.clone(),
            host_header: HeaderValue::from_str(&authority).ok()?,
            accept_encoding: accept_encoding(&upstream.accept_encoding)?,
            credentials,
        })
    }

    /// Of a question that is for no tenant. `None`: it can't be sent.
    fn check_head(&self, path: &str) -> Option<RequestHeader> {
        let mut head = RequestHeader::build_no_case(http::Method::GET, path.as_bytes(), Some(3)).ok()?;
        head.insert_header(header::HOST, self.host_header.clone()).ok()?;
        head.insert_header(header::ACCEPT_ENCODING, "identity").ok()?;
        head.insert_header(header::USER_AGENT, "scrim").ok()?;
        Some(head)
    }

    /// Errors: the tenant has no credential, or something can't be sent.
    fn head(&self, outgoing: &Outgoing) -> Result<RequestHeader, Failure> {
        let credential = match &self.credentials {
            None => None,
            Some(credentials) => Some(credentials.of(&outgoing.tenant).ok_or(Failure::NoCredential)?),
        };
        self.head_with(outgoing, credential).ok_or(Failure::Broken)
    }

    fn head_with(&self, outgoing: &Outgoing, credential: Option<(HeaderName, HeaderValue)>) -> Option<RequestHeader> {
        let path = format!("{}{}", self.base_path, outgoing.target);
        let mut head =
            RequestHeader::build_no_case(outgoing.method.clone(), path.as_bytes(), Some(outgoing.headers.len() + 4))
                .ok()?;
        head.insert_header(header::HOST, self.host_header.clone()).ok()?;
        head.insert_header(header::ACCEPT_ENCODING, self.accept_encoding.clone()).ok()?;
        for (name, value) in &outgoing.headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        if let Some((name, value)) = credential {
            head.insert_header(name, value).ok()?;
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

/// What it guards is whole whenever it is released.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
