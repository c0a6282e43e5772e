//! What is known of an upstream beside what it is asked: open connections, which of its addresses answer, and whether it does.
//!
//! It goes on over a reload that leaves alone what it rests on, the [`Basis`], and with it go connections that were verified
//! under the same. Where anything of that is another, nothing is taken over: what was learnt of one service says nothing of
//! another one, and a connection is good for what it was verified under. An upstream by another name is another one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pingora::protocols::tls::ALPN;
use pingora::upstreams::peer::HttpPeer;
use prometheus::IntGauge;
use rustls_pki_types::CertificateDer;

use super::breaker::Breaker;
use super::checks::Checks;
use super::endpoints::Endpoints;
use super::idle::Retired;
use super::trust::{Made, Trust};
use super::{STREAMS, Unusable, Upstreams};
use crate::config::{Health, HealthCheck, Limits, Scheme, Shown, Upstream};
use crate::files::Fingerprint;
use crate::metrics::Metrics;

/// Of one upstream.
pub(super) struct Link {
    basis: Basis,
    pub(super) trust: Trust,
    pub(super) endpoints: Endpoints,
    pub(super) breaker: Breaker,
    pub(super) checks: Option<Checks>,
}

/// All that connections and what is learnt by them depend on, but for what lies in files of certificates.
#[derive(PartialEq)]
struct Basis {
    scheme: Scheme,
    host: String,
    server_name: String,
    port: u16,
    ca: Option<PathBuf>,
    /// The system's, where there is no `ca`: connections read them once.
    authorities: Authorities,
    client_certificate: Option<Shown>,
    http2: bool,
    addresses: Vec<SocketAddr>,
    resolve_every: Duration,
    health: Health,
    health_check: Option<HealthCheck>,
    breaker: Health,
    connections: usize,
    connect_time: Duration,
    idle_time: Duration,
}

impl Basis {
    fn of(upstream: &Upstream, limits: &Limits) -> Self {
        // Named one by one, so that whoever adds another has to think of this.
        let Upstream {
            name: _,
            scheme,
            host,
            server_name,
            port,
            base_path: _,
            ca,
            client_certificate,
            http2,
            addresses,
            resolve_every,
            health,
            health_check,
            breaker,
            credential: _,
            accept_encoding: _,
            span: _,
        } = upstream;
        Self {
            scheme: *scheme,
            host: host.clone(),
            server_name: server_name.clone(),
            port: *port,
            ca: ca.as_ref().map(|(path, _)| path.clone()),
            authorities: match (scheme, ca) {
                (Scheme::Https, None) => Authorities::of(rustls_native_certs::load_native_certs()),
                _ => Authorities::None,
            },
            client_certificate: client_certificate.clone(),
            http2: *http2,
            addresses: addresses.clone(),
            resolve_every: *resolve_every,
            health: *health,
            health_check: health_check.clone(),
            breaker: *breaker,
            connections: limits.upstream_connections,
            connect_time: limits.connect_time,
            idle_time: limits.idle_time,
        }
    }
}

/// The system's authorities, as far as anything rests on them.
#[derive(Debug, PartialEq)]
enum Authorities {
    None,
    All(Fingerprint),
    /// Whoever can't tell what they are can't tell that they are the same.
    Unknown,
}

impl Authorities {
    fn of(found: io::Result<Vec<CertificateDer<'_>>>) -> Self {
        let Ok(mut all) = found else { return Self::Unknown };
        // In which order a folder is read means nothing.
        all.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        Self::All(Fingerprint::of_contents(all.into_iter().map(Some)))
    }
}

/// What an upstream is reached by from now on, and what its files have become if they are others.
pub(super) struct Found {
    pub(super) link: Arc<Link>,
    pub(super) renewal: Option<Made>,
}

impl Link {
    /// That of before, if it rests on the same, or a new one. Nothing is changed yet that is in force.
    pub(super) fn find(
        upstream: &Upstream,
        limits: &Limits,
        metrics: &Metrics,
        before: Option<&Arc<Self>>,
        now: Timestamp,
    ) -> Result<Found, Unusable> {
        let basis = Basis::of(upstream, limits);
        let is_same = |link: &&Arc<Self>| link.basis == basis && basis.authorities != Authorities::Unknown;
        if let Some(link) = before.filter(is_same) {
            let renewal = link.trust.changed(upstream, limits, now)?;
            return Ok(Found { link: Arc::clone(link), renewal });
        }
        let ejections = metrics.upstream_ejections.with_label_values(&[&upstream.name]);
        let link = Self {
            trust: Trust::new(upstream, limits, now)?,
            endpoints: Endpoints::new(upstream, limits.connect_time, ejections),
            breaker: Breaker::new(upstream.breaker),
            checks: upstream.health_check.clone().map(Checks::new),
            basis,
        };
        Ok(Found { link: Arc::new(link), renewal: None })
    }

    pub(super) fn target(&self, address: SocketAddr, limits: &Limits, http2: bool) -> HttpPeer {
        let Basis { scheme, server_name, connect_time, idle_time, .. } = &self.basis;
        // Invariant: the name is never empty (see `Upstreams::new`), so certificates are always verified against it.
        let mut peer = HttpPeer::new(address, *scheme == Scheme::Https, server_name.clone());
        peer.options.alpn = if http2 { ALPN::H2H1 } else { ALPN::H1 };
        peer.options.max_h2_streams = STREAMS;
        peer.options.connection_timeout = Some(*connect_time);
        peer.options.total_connection_timeout = Some(*connect_time);
        peer.options.idle_timeout = Some(*idle_time);
        peer.options.read_timeout = Some(limits.upstream_read_time);
        peer.options.write_timeout = Some(limits.upstream_head_time);
        peer
    }

    pub(super) fn speaks_http2(&self) -> bool {
        self.basis.http2
    }

    /// Whether it is out of order is told by this from now on.
    fn show(&self, open: IntGauge) {
        self.breaker.show(open);
    }

    /// Its connections are for nobody who comes from now on, and it tells nothing more of itself.
    fn retire(&self, limits: &Limits, retired: &mut Retired) {
        self.breaker.hide();
        retired.add(self.trust.retire(), || self.targets(limits));
    }

    /// What connections that are idle were opened to.
    pub(super) fn targets(&self, limits: &Limits) -> Vec<HttpPeer> {
        self.endpoints.addresses().into_iter().map(|address| self.target(address, limits, true)).collect()
    }
}

impl Upstreams {
    /// Comes into force in place of those of `before`. What is over of them must be closed once nobody comes to them any more.
    pub fn succeed(&self, before: Option<&Self>) -> Retired {
        let mut retired = Retired::default();
        let gauge = &self.metrics.upstream_circuit_open;
        for (name, old) in before.iter().flat_map(|before| &before.by_name) {
            if !self.by_name.get(name).is_some_and(|peer| Arc::ptr_eq(&peer.link, &old.link)) {
                old.link.retire(&self.limits, &mut retired);
            }
            if !self.by_name.contains_key(name) {
                // There may be none, which is as good.
                gauge.remove_label_values(&[name]).ok();
            }
        }
        for (name, peer) in &self.by_name {
            peer.link.show(gauge.with_label_values(&[name]));
        }
        let renewals = std::mem::take(&mut *super::locked(&self.renewals));
        for (link, made) in renewals {
            retired.add(link.trust.replace(made), || link.targets(&self.limits));
        }
        retired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_authorities_of_the_system_are_another_basis_and_unknown_ones_are_none() {
        let of =
            |all: &[&'static [u8]]| Authorities::of(Ok(all.iter().map(|one| CertificateDer::from(*one)).collect()));
        assert_eq!(of(&[b"one", b"two"]), of(&[b"two", b"one"]));
        let others: [&[&[u8]]; 5] =
            [&[], &[b"one"], &[b"one", b"tw", b"o"], &[b"onet", b"wo"], &[b"one", b"two", b"two"]];
        for other in others {
            assert_ne!(of(&[b"one", b"two"]), of(other));
        }
        let unknown = Authorities::of(Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(unknown, Authorities::Unknown);
    }
}
