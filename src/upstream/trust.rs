//! By what an upstream is trusted, and what the gateway shows of itself: to it for all tenants the same, or each tenant's own.
//!
//! Where tenants have their own, each has a pool of its own, too. The library's pool knows certificates by their serial
//! numbers alone, which two authorities may give out alike, and a session that is resumed bears the certificate that it began
//! with: so tenants share neither connections nor sessions.

use std::collections::BTreeMap;
use std::iter;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;

use super::idle::Retired;
use super::{Unusable, Upstreams, locked};
use crate::config::{ClientCertificate, Limits, OwnCertificate, Shown, Upstream, tenant_name};
use crate::diagnostic::{self, Diagnostic};
use crate::files::{self, Fingerprint, folders_of};
use crate::model::{Name, TenantScope};
use crate::pki::{self, Certified, Named};

/// Of one upstream.
pub(super) struct Trust {
    in_force: ArcSwap<Made>,
    /// The files as they were last looked at, whatever came of it.
    seen: Mutex<Seen>,
    /// By which tenants are told apart that have their own.
    dimensions: Vec<Name>,
}

/// Pools, and the files that they were made of.
pub(super) struct Made {
    pools: Pools,
    of: Seen,
    /// When what the gateway shows of itself ends, by tenant; with an empty name, of all tenants.
    ends: Vec<(String, Timestamp)>,
}

enum Pools {
    One(Arc<Pool>),
    /// By the tenant's name in the names of its files.
    Own(BTreeMap<String, (Fingerprint, Arc<Pool>)>),
}

/// What opens connections, and keeps those that are idle.
pub(super) struct Pool {
    pub(super) connector: Connector,
    /// Connections that it keeps.
    pub(super) most: usize,
    retired: AtomicBool,
}

#[derive(Clone, PartialEq)]
struct Seen {
    /// What is the same for all tenants.
    common: Fingerprint,
    /// With the authorities, by tenant.
    own: BTreeMap<String, Fingerprint>,
}

impl Pool {
    /// `None`: the files do not hold, or no longer.
    fn new(upstream: &Upstream, own: Option<&ClientCertificate>, limits: &Limits) -> Option<Arc<Self>> {
        let mut options = ConnectorOptions::new(limits.upstream_connections);
        let shown = |path: &Path| path.display().to_string();
        options.ca_file = upstream.ca.as_ref().map(|(path, _)| shown(path));
        options.cert_key_file = own.map(|own| (shown(&own.cert), shown(&own.key)));
        // The library panics on files that changed since they were checked.
        let connector = std::panic::catch_unwind(AssertUnwindSafe(|| Connector::new(Some(options)))).ok()?;
        Some(Arc::new(Self { connector, most: limits.upstream_connections, retired: AtomicBool::new(false) }))
    }

    /// Whether connections may be kept: they are trusted for what still is.
    pub(super) fn is_in_force(&self) -> bool {
        !self.retired.load(Ordering::Acquire)
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

impl Trust {
    pub(super) fn new(upstream: &Upstream, limits: &Limits, now: Timestamp) -> Result<Self, Unusable> {
        let made = Made::new(upstream, limits, None, now)?;
        let dimensions = match &upstream.client_certificate {
            Some(Shown::Own(own)) => own.dimensions(),
            Some(Shown::One(_)) | None => Vec::new(),
        };
        let seen = Mutex::new(made.of.clone());
        Ok(Self { in_force: ArcSwap::from_pointee(made), seen, dimensions })
    }

    /// What opens connections for a tenant. `None`: it has no certificate.
    pub(super) fn pool(&self, tenant: &TenantScope) -> Option<Arc<Pool>> {
        match &self.in_force.load().pools {
            Pools::One(pool) => Some(Arc::clone(pool)),
            Pools::Own(pools) => pools.get(&tenant_name(&self.dimensions, tenant)?).map(|(_, pool)| Arc::clone(pool)),
        }
    }

    /// What opens connections for no tenant. `None`: each has its own certificate.
    pub(super) fn common(&self) -> Option<Arc<Pool>> {
        match &self.in_force.load().pools {
            Pools::One(pool) => Some(Arc::clone(pool)),
            Pools::Own(_) => None,
        }
    }

    /// When what the gateway shows of itself ends, by tenant; with an empty name, of all tenants.
    pub(super) fn ends(&self) -> Vec<(String, Timestamp)> {
        self.in_force.load().ends.clone()
    }

    /// What is to be in force, if the files are others than those that what is was made of. They may have been looked at
    /// before, when they did not hold yet.
    pub(super) fn changed(
        &self,
        upstream: &Upstream,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Option<Made>, Unusable> {
        let before = self.in_force.load_full();
        if before.of == Seen::of(upstream, &own(upstream)) {
            return Ok(None);
        }
        Made::new(upstream, limits, Some(&before), now).map(Some)
    }

    /// Comes into force. The pools that are not in force any more.
    pub(super) fn replace(&self, made: Made) -> Vec<Arc<Pool>> {
        locked(&self.seen).clone_from(&made.of);
        let before = self.in_force.swap(Arc::new(made));
        let now = self.in_force.load();
        let gone = before.pools.all().filter(|(tenant, pool)| !now.pools.keeps(*tenant, pool));
        gone.map(|(_, pool)| Arc::clone(pool)).inspect(|pool| pool.retire()).collect()
    }

    /// All of its pools, which are not in force any more.
    pub(super) fn retire(&self) -> Vec<Arc<Pool>> {
        self.in_force.load().pools.all().map(|(_, pool)| Arc::clone(pool)).inspect(|pool| pool.retire()).collect()
    }
}

impl Made {
    /// Of the files as they are, which must hold and stay as they are meanwhile: whatever comes of others is known to be of
    /// none.
    fn new(upstream: &Upstream, limits: &Limits, before: Option<&Self>, now: Timestamp) -> Result<Self, Unusable> {
        let own = own(upstream);
        let seen = Seen::of(upstream, &own);
        if diagnostic::has_errors(&check(upstream, now)) {
            return Err(Unusable::Changing);
        }
        Self::of(upstream, limits, &own, seen, before, now).ok_or(Unusable::Changing)
    }

    /// Of files that hold. `None`: they do no longer, or are others by now.
    fn of(
        upstream: &Upstream,
        limits: &Limits,
        own: &[OwnCertificate],
        seen: Seen,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Option<Self> {
        let pools = Pools::new(upstream, limits, own, &seen, before.map(|before| &before.pools))?;
        let ends = ends(upstream, own, now);
        (Seen::of(upstream, &self::own(upstream)) == seen).then_some(Self { pools, of: seen, ends })
    }
}

impl Pools {
    /// Of all tenants, or each with its tenant's name.
    fn all(&self) -> Box<dyn Iterator<Item = (Option<&str>, &Arc<Pool>)> + '_> {
        match self {
            Self::One(pool) => Box::new(iter::once((None, pool))),
            Self::Own(pools) => Box::new(pools.iter().map(|(tenant, (_, pool))| (Some(&**tenant), pool))),
        }
    }

    /// Whether this very pool is a tenant's.
    fn keeps(&self, tenant: Option<&str>, pool: &Arc<Pool>) -> bool {
        self.all().any(|(known, other)| known == tenant && Arc::ptr_eq(pool, other))
    }

    /// Of a tenant whose files are those of `before` the pool stays. `None`: files do not hold.
    fn new(
        upstream: &Upstream,
        limits: &Limits,
        own: &[OwnCertificate],
        seen: &Seen,
        before: Option<&Self>,
    ) -> Option<Self> {
        match &upstream.client_certificate {
            None => Pool::new(upstream, None, limits).map(Self::One),
            Some(Shown::One(one)) => Pool::new(upstream, Some(one), limits).map(Self::One),
            Some(Shown::Own(_)) => {
                let pool = |of: &OwnCertificate| {
                    let fingerprint = *seen.own.get(&of.tenant)?;
                    let kept = match before {
                        Some(Self::Own(pools)) => pools.get(&of.tenant).filter(|(known, _)| *known == fingerprint),
                        Some(Self::One(_)) | None => None,
                    };
                    let pool = match kept {
                        Some((_, pool)) => Arc::clone(pool),
                        None => Pool::new(upstream, Some(&of.files), limits)?,
                    };
                    Some((of.tenant.clone(), (fingerprint, pool)))
                };
                own.iter().map(pool).collect::<Option<_>>().map(Self::Own)
            }
        }
    }
}

impl Seen {
    fn of(upstream: &Upstream, own: &[OwnCertificate]) -> Self {
        let ca = || upstream.ca.iter().map(|(path, _)| path.as_path());
        let own = own.iter().map(|OwnCertificate { tenant, files }| {
            (tenant.clone(), Fingerprint::of(ca().chain([files.cert.as_path(), files.key.as_path()])))
        });
        let one = match &upstream.client_certificate {
            Some(Shown::One(one)) => Some([one.cert.as_path(), one.key.as_path()]),
            Some(Shown::Own(_)) | None => None,
        };
        Self { common: Fingerprint::of(ca().chain(one.into_iter().flatten())), own: own.collect() }
    }
}

/// Tenants' own certificates that are there. None where they can't be listed, which [`check`] tells.
fn own(upstream: &Upstream) -> Vec<OwnCertificate> {
    match &upstream.client_certificate {
        Some(Shown::Own(own)) => own.list().unwrap_or_default(),
        Some(Shown::One(_)) | None => Vec::new(),
    }
}

fn ends(upstream: &Upstream, own: &[OwnCertificate], now: Timestamp) -> Vec<(String, Timestamp)> {
    let one = match &upstream.client_certificate {
        Some(Shown::One(one)) => Some((String::new(), one)),
        Some(Shown::Own(_)) | None => None,
    };
    let own = own.iter().map(|of| (of.tenant.clone(), &of.files));
    let until = |of: &ClientCertificate| load(of, now).ok().map(|(certified, _)| certified.until);
    one.into_iter().chain(own).filter_map(|(tenant, of)| Some((tenant, until(of)?))).collect()
}

fn load(of: &ClientCertificate, now: Timestamp) -> Result<(Certified, Vec<Diagnostic>), Vec<Diagnostic>> {
    let cert = Named { path: &of.cert, span: &of.cert_span };
    Certified::load(cert, Named { path: &of.key, span: &of.key_span }, now)
}

/// What came of files that had changed.
pub struct Renewed {
    /// Otherwise those that were in force stay.
    pub is_renewed: bool,
    pub found: Vec<Diagnostic>,
    /// To be closed.
    pub retired: Retired,
}

impl Upstreams {
    /// Looks whether the files have changed by which an upstream is trusted and the gateway shows itself to it, and takes them
    /// over for connections from now on, all of them or none. `None`: they have not.
    pub fn renew(&self, upstream: &Upstream, now: Timestamp) -> Option<Renewed> {
        let link = &self.by_name.get(&upstream.name)?.link;
        let trust = &link.trust;
        // Of before they are read: what changes meanwhile is a change.
        let own = own(upstream);
        let looked = Seen::of(upstream, &own);
        if *locked(&trust.seen) == looked {
            return None;
        }
        // They are again what is in force.
        if trust.in_force.load().of == looked {
            *locked(&trust.seen) = looked;
            return None;
        }
        let found = check(upstream, now);
        let holds = !diagnostic::has_errors(&found);
        // What was brought too early is looked at again until it may hold.
        if !found.iter().any(|wrong| wrong.code == "certificate-not-yet-valid") {
            locked(&trust.seen).clone_from(&looked);
        }
        let before = trust.in_force.load_full();
        let made = holds.then(|| Made::of(upstream, &self.limits, &own, looked, Some(&before), now)).flatten();
        let (is_renewed, mut retired) = (made.is_some(), Retired::default());
        if let Some(made) = made {
            retired.add(trust.replace(made), || link.targets(&self.limits));
        }
        Some(Renewed { is_renewed, found, retired })
    }
}

/// The folders of every file by which an upstream is trusted and the gateway shows itself to it.
pub fn folders(upstream: &Upstream) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = upstream.ca.iter().flat_map(|(path, _)| folders_of(path)).collect();
    let mut pair = |of: &ClientCertificate| folders.extend(folders_of(&of.cert).chain(folders_of(&of.key)));
    match &upstream.client_certificate {
        Some(Shown::One(one)) => pair(one),
        Some(Shown::Own(own)) => {
            own.list().unwrap_or_default().iter().for_each(|of| pair(&of.files));
            folders.extend(own.folders());
        }
        None => {}
    }
    folders
}

/// What is wrong with the files by which an upstream is trusted and the gateway shows itself to it.
pub fn check(upstream: &Upstream, now: Timestamp) -> Vec<Diagnostic> {
    let ca = upstream.ca.as_ref().map(|(path, span)| pki::authorities(Named { path, span }, now).map(|found| found.1));
    let pair = |of: &ClientCertificate| load(of, now).map_or_else(|errors| errors, |(_, warnings)| warnings);
    let own = match &upstream.client_certificate {
        None => Vec::new(),
        Some(Shown::One(one)) => pair(one),
        Some(Shown::Own(own)) => match own.list() {
            Ok(all) => all.iter().flat_map(|of| pair(&of.files)).collect(),
            Err(error) => {
                let message = format!("can't list the certificates of tenants: {}", files::reason(&error));
                vec![Diagnostic::error("tls-certificate", own.cert_span.clone(), message)]
            }
        },
    };
    ca.into_iter().flat_map(|found| found.unwrap_or_else(|errors| errors)).chain(own).collect()
}
