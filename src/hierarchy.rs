//! Who manages whom, tenant by tenant: from the credential, from a file, or from a table of the API.
//!
//! Ownership is handed down along it, so an id of one tenant never manages an id of another. It comes after the tenant is
//! known and is part of the principal from then on. Nobody is served with fewer reports than they have, because a rule may
//! be a denial: a tenant whose people could not be read yet is refused, and one that could keeps the last that were read.

mod columns;
mod edges;
mod file;
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::api::Catalog;
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::metrics::Metrics;
use crate::model::{Name, Principal, TenantScope};
use crate::upstream::Upstreams;

pub use table::Unread;

/// Names in all remembered lists of reports together.
const REMEMBERED_NAMES: u64 = 1_000_000;

pub struct Hierarchy {
    origin: Origin,
    /// All reports of a manager. The key holds the generation of the edges that they come from, so that a change makes
    /// what was worked out before it unreachable.
    reports: Cache<(u64, Name), Arc<[Name]>>,
}

enum Origin {
    /// The credential says it, or nobody manages anybody.
    Credential,
    File(file::Tenants),
    Table(Arc<table::People>),
}

impl Hierarchy {
    /// Reads a file, or finds the table that will be read. `organizations`: those for whom somebody can come in. Without
    /// them or the catalog, which have mistakes of their own then, less is looked at.
    ///
    /// Errors and warnings are placed in the file or where the gateway file names the table.
    pub fn load(
        config: &Config,
        catalog: Option<&Arc<Catalog>>,
        organizations: Option<&BTreeSet<Name>>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (origin, warnings) = match &config.hierarchy {
            config::Hierarchy::None | config::Hierarchy::Claim(_) => (Origin::Credential, Vec::new()),
            config::Hierarchy::File(path) => Self::file(path, config, organizations)?,
            config::Hierarchy::Table(named) => {
                let catalog = catalog.ok_or_else(Vec::new)?;
                let (people, warnings) = table::People::find(named, config, catalog)?;
                (Origin::Table(Arc::new(people)), warnings)
            }
        };
        let weight = |_: &_, reports: &Arc<[Name]>| u32::try_from(reports.len() + 1).unwrap_or(u32::MAX);
        let reports = Cache::builder().weigher(weight).max_capacity(REMEMBERED_NAMES).build();
        Ok((Self { origin, reports }, warnings))
    }

    fn file(
        path: &Path,
        config: &Config,
        organizations: Option<&BTreeSet<Name>>,
    ) -> Result<(Origin, Vec<Diagnostic>), Vec<Diagnostic>> {
        let known = file::Known { dimensions: config.tenancy.dimensions.len(), organizations };
        file::load(path, known).map(|(tenants, warnings)| (Origin::File(tenants), warnings))
    }

    /// Takes over what `old`, which this one replaces, has read of the same table.
    pub fn inherit(&self, old: &Self) {
        if let (Origin::Table(people), Origin::Table(before)) = (&self.origin, &old.origin) {
            people.inherit(before);
        }
    }

    /// The principal as it is in one tenant: with its reports there. Reads the tenant's people if nobody has yet.
    pub async fn in_tenant(
        &self,
        principal: Arc<Principal>,
        tenant: &TenantScope,
        upstreams: &Upstreams,
        metrics: &Metrics,
    ) -> Result<Arc<Principal>, Unread> {
        let known;
        let (generation, edges) = match &self.origin {
            Origin::Credential => return Ok(principal),
            Origin::File(tenants) => match tenants.of(tenant) {
                Some((generation, edges)) => (*generation, edges),
                None => return Ok(principal),
            },
            Origin::Table(people) => {
                known = Box::pin(people.of(tenant, upstreams, metrics)).await?;
                (known.generation, &known.edges)
            }
        };
        let reports = self.reports.get_with((generation, Arc::clone(&principal.id)), || edges.reports(&principal.id));
        if reports.is_empty() {
            return Ok(principal);
        }
        Ok(Arc::new(Principal { reports, ..Principal::clone(&principal) }))
    }

    /// Reads the people of every tenant again that was asked for lately. What can't be read stays as it was.
    pub async fn refresh(&self, upstreams: &Arc<Upstreams>, metrics: &Metrics) {
        if let Origin::Table(people) = &self.origin {
            people.refresh(upstreams, metrics).await;
        }
    }

    /// How often [`refresh`](Self::refresh) wants to be called; `None` if nothing is read from a table.
    pub fn refresh_interval(&self) -> Option<Duration> {
        match &self.origin {
            Origin::Table(people) => Some(people.interval()),
            Origin::Credential | Origin::File(_) => None,
        }
    }
}

/// A number that no other edges of this process have.
fn generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
