//! Health checks: every address of an upstream is asked now and then whether it serves, so that no caller has to find out.
//!
//! A check shows nothing of any tenant, no credential, and reads nothing of the answer but its status. It comes over the same
//! kind of connection as requests do, and is verified alike: what can't prove its name does not pass. How checks end says
//! nothing to the breaker or of ejections, which are about requests.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use pingora::upstreams::peer::HttpPeer;
use tokio::task::JoinSet;

use super::answer::InUse;
use super::endpoints::Endpoint;
use super::{Broken, Failure, Peer, Upstreams, failure_of, locked};
use crate::config::HealthCheck;
use crate::model::Name;

/// Of one upstream.
pub(super) struct Checks {
    wanted: HealthCheck,
    /// When all are asked next; `None` while they are.
    next: Mutex<Option<Instant>>,
}

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
enum Unhealthy {
    #[error(transparent)]
    Silent(Failure),
    #[error("it answered {0}")]
    Status(StatusCode),
}

impl Checks {
    /// The first is due at once.
    pub(super) fn new(wanted: HealthCheck) -> Self {
        Self { wanted, next: Mutex::new(Some(Instant::now())) }
    }

    fn next(&self) -> Option<Instant> {
        *locked(&self.next)
    }

    /// Whether they are due, and then whoever asks has to make them.
    fn take(&self, now: Instant) -> bool {
        locked(&self.next).take_if(|next| *next <= now).is_some()
    }
}

/// However a round ends, there is another one.
struct Again<'c> {
    checks: &'c Checks,
    at: Instant,
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        *locked(&self.checks.next) = Some(self.at);
    }
}

impl Upstreams {
    /// When checks are due next. `None`: none are, or all that there are have begun.
    pub fn next_checks(&self) -> Option<Instant> {
        self.by_name.values().filter_map(|peer| peer.link.checks.as_ref()?.next()).min()
    }

    /// The upstreams whose checks are due by now. Each must be [checked](Self::check).
    pub fn due_checks(&self, now: Instant) -> Vec<Name> {
        let due = |peer: &Peer| peer.link.checks.as_ref().is_some_and(|checks| checks.take(now));
        self.by_name.iter().filter(|(_, peer)| due(peer)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Asks all addresses of an upstream side by side.
    pub async fn check(self: &Arc<Self>, name: &Name) {
        let Some(peer) = self.by_name.get(name) else { return };
        let Some(checks) = &peer.link.checks else { return };
        let _again = Again { checks, at: Instant::now() + checks.wanted.every };
        let mut asked = JoinSet::new();
        for endpoint in peer.link.endpoints.each().await {
            let (upstreams, name) = (Arc::clone(self), Arc::clone(name));
            asked.spawn(async move { upstreams.check_one(&name, &endpoint).await });
        }
        while asked.join_next().await.is_some() {}
    }

    async fn check_one(&self, name: &Name, endpoint: &Endpoint) {
        let Some(peer) = self.by_name.get(name) else { return };
        let Some(Checks { wanted, .. }) = &peer.link.checks else { return };
        let target = peer.link.target(endpoint.address, &self.limits, peer.link.speaks_http2());
        let asked = tokio::time::timeout(wanted.time, self.ask_whether_it_serves(peer, wanted, &target));
        let mut found = asked.await.unwrap_or(Err(Failure::Timeout));
        let status = found.as_ref().ok().and_then(|session| session.session.as_ref()?.response_header());
        let why = match (&found, status.map(|head| head.status)) {
            (Err(failure), _) => Some(Unhealthy::Silent(*failure)),
            (Ok(_), None) => Some(Unhealthy::Silent(Failure::Broken)),
            (Ok(_), Some(status)) => (!status.is_success()).then_some(Unhealthy::Status(status)),
        };
        let outcome = if why.is_none() { "passed" } else { "failed" };
        self.metrics.upstream_checks.with_label_values(&[name, outcome]).inc();
        if peer.link.endpoints.checked(endpoint, why.is_none()) {
            let address = endpoint.address;
            match why {
                None => tracing::info!(upstream = %name, %address, "an address passes its health checks again"),
                Some(why) => {
                    tracing::warn!(upstream = %name, %address, %why, "an address fails its health checks and is not asked");
                }
            }
        }
        if let Ok(session) = &mut found {
            session.discard(&target, self.limits.idle_time).await;
        }
    }

    /// The session, with the head of the answer.
    async fn ask_whether_it_serves(
        &self,
        peer: &Peer,
        wanted: &HealthCheck,
        target: &HttpPeer,
    ) -> Result<InUse<'_>, Failure> {
        let head = peer.check_head(&wanted.path).ok_or(Failure::Broken)?;
        let pool = peer.link.trust.common().ok_or(Failure::NoCredential)?;
        loop {
            let found = pool.connector.get_http_session(target).await;
            let (session, reused) = found.map_err(|error| failure_of(&error, Failure::Unreachable))?;
            let mut session = InUse::new(session, Arc::clone(&pool), &self.metrics);
            let Err(Broken { failure, nothing_read }) = self.ask(&mut session, &head, &Bytes::new()).await else {
                return Ok(session);
            };
            session.close().await;
            // A kept connection may have died of its age, which says nothing of the service.
            if !(reused && nothing_read && failure == Failure::Broken) {
                return Err(failure);
            }
        }
    }
}
