//! A hierarchy that the API knows: a table whose key names a person, with a column that names that person's manager.
//!
//! The people of a tenant are read with the gateway's own credential when somebody of that tenant first comes in, and
//! again in the background for as long as somebody does. They are read for one tenant only, and a row of another is dropped.
//! A read that can't be finished counts for nothing: half a hierarchy would take reports from managers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::columns::Columns;
use super::edges::{Edges, Faults};
use crate::api::{Catalog, Records, Table};
use crate::config::{Config, HierarchyTable};
use crate::diagnostic::Diagnostic;
use crate::dialect;
use crate::enforcement;
use crate::metrics::Metrics;
use crate::model::{Name, TenantScope};
use crate::redact::{self, Unreadable};
use crate::upstream::{Failure, Upstreams};

/// People of one tenant; more are refused whole.
const MAX_PEOPLE: usize = 50_000;
/// People of all tenants that are kept; beyond that, tenants that are asked for rarely are read anew.
const KEPT_PEOPLE: u64 = 1_000_000;
/// As how many people a tenant counts besides, since each is read again and again.
const TENANT_WEIGHT: usize = 100;
/// Pages that are read at most for one tenant.
const MAX_PAGES: u64 = 1_000;
/// Tenants that are read at the same time in the background.
const AT_ONCE: usize = 4;
/// Rounds of the background without anybody asking, after which a tenant is forgotten.
const FORGET_AFTER: u32 = 12;
/// After a read that failed, while others wait for the same.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Ids that a log line names.
const SHOWN: usize = 10;

/// Why the people of a tenant could not be read. Never says what was in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("the hierarchy's table: {0}")]
    Upstream(Failure),
    #[error("the hierarchy's table was answered with {0}")]
    Status(StatusCode),
    #[error("the hierarchy's table is unreadable: {0}")]
    Unreadable(Unreadable),
    #[error("a row of the hierarchy's table lacks its key or the column that names the manager")]
    Row,
    #[error("the hierarchy's table has no end")]
    Endless,
    #[error("the hierarchy has more than {MAX_PEOPLE} people")]
    TooMany,
    #[error("the hierarchy's table can't be asked for this tenant")]
    Request,
    #[error("the hierarchy's table took too long to read")]
    Timeout,
    #[error("the hierarchy's table could not be read a moment ago")]
    Again,
}

/// The people of one tenant, as they were last read.
pub(super) struct Known {
    pub(super) generation: u64,
    pub(super) edges: Edges,
    faults: Faults,
    people: usize,
    /// Rounds of the background since anybody asked.
    unused: AtomicU32,
    /// The last attempt to read them again failed.
    stale: AtomicBool,
}

/// Where people are found, and those that were.
pub(super) struct People {
    catalog: Arc<Catalog>,
    columns: Columns,
    interval: Duration,
    /// For all pages of a tenant together.
    time: Duration,
    depth: usize,
    /// What must be the same for old rows to mean the same.
    source: String,
    known: Cache<TenantScope, Arc<Known>>,
    /// One read of a tenant at a time; holds when the last one failed.
    turns: Cache<TenantScope, Arc<Mutex<Option<Instant>>>>,
}

impl People {
    /// Errors and warnings are placed where the gateway file names the table and the column.
    pub(super) fn find(
        named: &HierarchyTable,
        config: &Config,
        catalog: &Arc<Catalog>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (columns, warnings) = Columns::find(named, catalog)?;
        let table = catalog.table(columns.table);
        let api = catalog.api(table.api);
        let upstream = config.upstreams.get(&api.upstream);
        let place = upstream.map(|it| (it.scheme, it.host.as_str(), it.port, it.base_path.as_str()));
        let column = |field| &*table.field(field).name;
        let source = format!(
            "{place:?} {:?} {:?} {} {} {:?} {:?}",
            enforcement::list_route(api, table).map(|route| &route.upstream_path),
            dialect::of(api).envelope().list,
            column(table.key),
            column(columns.manager),
            table.tenant,
            table.tenant_filter
        );
        let weight = |_: &_, known: &Arc<Known>| u32::try_from(known.people + TENANT_WEIGHT).unwrap_or(u32::MAX);
        let people = Self {
            catalog: Arc::clone(catalog),
            columns,
            interval: named.refresh,
            time: config.limits.exchange_time,
            depth: config.limits.json_depth,
            source,
            known: Cache::builder().weigher(weight).max_capacity(KEPT_PEOPLE).build(),
            turns: Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_secs(60)).build(),
        };
        Ok((people, warnings))
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn inherit(&self, old: &Self) {
        if self.source == old.source {
            for (tenant, known) in &old.known {
                self.known.insert(TenantScope::clone(&tenant), known);
            }
        }
    }

    /// The people of a tenant, however old. Waits for them only if they were never read.
    pub(super) async fn of(
        &self,
        tenant: &TenantScope,
        upstreams: &Upstreams,
        metrics: &Metrics,
    ) -> Result<Arc<Known>, Unread> {
        let looked_up = |outcome| metrics.cache.with_label_values(&["hierarchy", outcome]).inc();
        if let Some(known) = self.known.get(tenant) {
            known.unused.store(0, Ordering::Relaxed);
            looked_up("hit");
            return Ok(known);
        }
        looked_up("miss");
        let turn = self.turns.get_with(tenant.clone(), Arc::default);
        let mut failed = turn.lock().await;
        if let Some(known) = self.known.get(tenant) {
            return Ok(known);
        }
        if failed.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(Unread::Again);
        }
        let read = self.read(tenant, upstreams, metrics).await;
        *failed = read.is_err().then(Instant::now);
        let known = Arc::new(read?);
        self.known.insert(tenant.clone(), Arc::clone(&known));
        self.publish(metrics);
        Ok(known)
    }

    pub(super) async fn refresh(self: &Arc<Self>, upstreams: &Arc<Upstreams>, metrics: &Metrics) {
        let mut reads = JoinSet::new();
        for (tenant, known) in &self.known {
            if known.unused.fetch_add(1, Ordering::Relaxed) >= FORGET_AFTER {
                self.known.invalidate(&*tenant);
                continue;
            }
            if reads.len() >= AT_ONCE {
                reads.join_next().await;
            }
            let (this, upstreams, metrics) = (Arc::clone(self), Arc::clone(upstreams), metrics.clone());
            reads.spawn(async move { this.read_again(&tenant, &upstreams, &metrics).await });
        }
        while reads.join_next().await.is_some() {}
        self.publish(metrics);
    }

    async fn read_again(&self, tenant: &TenantScope, upstreams: &Upstreams, metrics: &Metrics) {
        let turn = self.turns.get_with(tenant.clone(), Arc::default);
        // An older read that ends later must not replace a newer one.
        let _alone = turn.lock().await;
        let read = self.read(tenant, upstreams, metrics).await;
        let Some(known) = self.known.get(tenant) else { return };
        known.stale.store(read.is_err(), Ordering::Relaxed);
        if let Ok(new) = read
            && (new.edges != known.edges || new.faults != known.faults)
        {
            new.unused.store(known.unused.load(Ordering::Relaxed), Ordering::Relaxed);
            self.known.insert(tenant.clone(), Arc::new(new));
        }
    }

    /// Reads one tenant's people to the end, counts it, and says in the log what failed or is odd.
    async fn read(&self, tenant: &TenantScope, upstreams: &Upstreams, metrics: &Metrics) -> Result<Known, Unread> {
        let pages = tokio::time::timeout(self.time, self.pages(tenant, upstreams, metrics));
        let read = pages.await.unwrap_or(Err(Unread::Timeout));
        metrics.hierarchy_reads.with_label_values(&[if read.is_ok() { "ok" } else { "failed" }]).inc();
        let table = &*self.table().name;
        let people = read.inspect_err(|error| {
            tracing::warn!(table, %tenant, %error, "the hierarchy could not be read; the last one, if any, stays in use");
        })?;
        let (edges, faults) = Edges::of_people(&people);
        let known = self.known.get(tenant);
        if !faults.is_empty() && known.is_none_or(|known| known.faults != faults) {
            let some = |ids: &[Name]| ids.iter().take(SHOWN).map(|id| &**id).collect::<Vec<_>>().join(" ");
            let (loops, selves, orphans) = (some(&faults.loops), some(&faults.selves), some(&faults.orphans));
            tracing::warn!(
                table,
                %tenant,
                loops,
                selves,
                orphans,
                "the hierarchy has loops, people who manage themselves, or managers who are nobody"
            );
        }
        Ok(Known {
            generation: super::generation(),
            edges,
            faults,
            people: people.len(),
            unused: AtomicU32::new(0),
            stale: AtomicBool::new(false),
        })
    }

    async fn pages(
        &self,
        tenant: &TenantScope,
        upstreams: &Upstreams,
        metrics: &Metrics,
    ) -> Result<BTreeMap<Name, Option<Name>>, Unread> {
        let table = self.table();
        let language = dialect::of(self.catalog.api(table.api));
        let list = language.envelope().list;
        let full = language.paging().limit.map_or(u64::MAX, |limit| limit.max);
        let mut people = BTreeMap::new();
        let mut before = Bytes::new();
        let mut last = full;
        for page in 0..MAX_PAGES {
            let Some(permit) = enforcement::hierarchy(&self.catalog, table, self.columns.manager, tenant, page) else {
                // There is no way to ask for more: only a page with room left was the last.
                return match page {
                    0 => Err(Unread::Request),
                    _ if last < full => Ok(people),
                    _ => Err(Unread::Endless),
                };
            };
            let answer = upstreams.send(&permit).await.map_err(Unread::Upstream)?;
            let answer = answer.whole().await.map_err(Unread::Upstream)?;
            if answer.status != StatusCode::OK {
                return Err(Unread::Status(answer.status));
            }
            // Only the framing tells whether the last line was the last.
            if *list == Records::Lines && !answer.framed {
                return Err(Unread::Upstream(Failure::Broken));
            }
            // An upstream that does not page answers the same for ever.
            if page > 0 && answer.body == before {
                return Err(Unread::Endless);
            }
            before = answer.body;
            let records = redact::records(&before, list, self.depth).map_err(Unread::Unreadable)?;
            if records.is_empty() {
                return Ok(people);
            }
            last = records.len() as u64;
            self.add(&records, tenant, &mut people, metrics)?;
        }
        Err(Unread::Endless)
    }

    /// Takes the rows of one page that are the tenant's own. A person who moved to this page while it was read counts as
    /// they are now.
    fn add(
        &self,
        records: &[&[u8]],
        tenant: &TenantScope,
        people: &mut BTreeMap<Name, Option<Name>>,
        metrics: &Metrics,
    ) -> Result<(), Unread> {
        let table = self.table();
        let is_pushed = dialect::of(self.catalog.api(table.api)).is_tenant_pushed(table);
        for record in records {
            let Some((key, manager)) = self.columns.read(record, table, tenant, self.depth)? else {
                if is_pushed {
                    metrics.tenant_violations.inc();
                }
                continue;
            };
            people.insert(key, manager);
            if people.len() > MAX_PEOPLE {
                return Err(Unread::TooMany);
            }
        }
        Ok(())
    }

    /// Sums over the tenants that are known.
    fn publish(&self, metrics: &Metrics) {
        let (mut loops, mut selves, mut orphans, mut stale) = (0, 0, 0, 0);
        for (_, known) in &self.known {
            loops += known.faults.loops.len() as i64;
            selves += known.faults.selves.len() as i64;
            orphans += known.faults.orphans.len() as i64;
            stale += i64::from(known.stale.load(Ordering::Relaxed));
        }
        for (kind, count) in [("loop", loops), ("self", selves), ("orphan", orphans)] {
            metrics.hierarchy_faults.with_label_values(&[kind]).set(count);
        }
        metrics.hierarchy_stale.set(stale);
    }

    fn table(&self) -> &Table {
        self.catalog.table(self.columns.table)
    }
}
