//! From decisions to permits: every obligation of a decision is built into the request that leaves, or there is none.
//!
//! A [`Permit`] holds the upstream's name, the rewritten request and, for answers that reach a client, the redaction plan.
//! It can only be made here, after the decision, and `upstream` sends nothing else: no permit, no upstream call. Pure.

mod blame;
pub mod figures;
mod property;
pub(crate) mod pushdown;
mod query;
mod unread;
mod walk;
pub mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;

use crate::api::template::Segment;
use crate::api::{
    Api, Catalog, FieldId, InexactPaging, Operator, Place, Records, Route, RouteKind, Sent, Shape, Table, TableId,
    Template,
};
use crate::cursor::Cursors;
use crate::dialect::{self, Comparison, Condition, Query, Scope};
use crate::model::{Action, Name, Reason, RequestFacts, RequestId, TenantScope, Trace};
use crate::policy::{Caller, Decided, Decision, PolicySet, Question, Residual};
use crate::redact::{Frame, Plan};
use crate::secret::Secret;
use query::Scoped;
pub use unread::Unread;
pub use walk::{Next, Onward, Walk};

/// Proof that a request may be sent to an upstream, for one purpose.
#[derive(Debug)]
pub struct Permit<Purpose> {
    upstream: Name,
    outgoing: Outgoing,
    purpose: Purpose,
}

/// To fetch records for the client: the answer goes through the plan.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub plan: Arc<Plan>,
    pub asked: Asked,
    /// What to add to a page that is full.
    pub next: Option<Next>,
}

/// What an upstream was asked for, so that other records in its answer are its fault.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// One tenant's records only.
    pub tenant: bool,
    /// Those that the policies let through, and no others.
    pub exact: bool,
    /// Which fields it was asked to compare for the policies, and how: `owner_id in`. Never with what.
    pub pushed: Arc<[String]>,
}

/// To look at one record before a write or as the target of a reference: no byte of the answer reaches the client.
#[derive(Debug)]
pub struct Probe;

/// To change one record. The answer goes through the plan, if the caller may read the table at all.
#[derive(Debug)]
pub struct Write {
    pub plan: Option<Arc<Plan>>,
    /// Whether it is of whatever a filter finds: then its answer holds a list, of that record or of none.
    pub scoped: bool,
}

/// To pass a declared opaque route through.
#[derive(Debug)]
pub struct Opaque {
    pub media_types: Vec<Name>,
}

/// To open a declared WebSocket.
#[derive(Debug)]
pub struct WebSocket;

/// To read who manages whom in one tenant, with the gateway's own credential: no byte of the answer reaches a client.
#[derive(Debug)]
pub struct Hierarchy;

/// A request as it will leave, but for Host and the upstream's credential.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query below the upstream's base path, percent-encoded.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whose credential it bears, where each tenant has its own.
    pub tenant: TenantScope,
    /// Whether its answer is a list in which the record stands that is meant, or nothing.
    pub one: bool,
}

impl<Purpose> Permit<Purpose> {
    pub fn upstream(&self) -> &Name {
        &self.upstream
    }

    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }
}

/// One request's circumstances, as the steps before have established them.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub catalog: &'a Arc<Catalog>,
    pub policies: &'a PolicySet,
    pub principal: &'a Caller<'a>,
    pub tenant: &'a TenantScope,
    pub request: &'a RequestFacts,
    pub request_id: RequestId,
    pub trace: Trace,
    pub now: Timestamp,
    pub masking_key: Option<&'a Secret>,
    pub cursors: &'a Cursors,
    /// By which the client calls a write that it may send again.
    pub idempotency_key: Option<&'a [u8]>,
    /// Nesting of JSON beyond this is refused.
    pub depth: usize,
}

/// A list that is permitted: one of the upstream's pages, or a walk through them.
#[derive(Debug)]
pub enum Listing {
    /// The upstream's own page: as it is, or with fewer records where the API description allows short pages.
    Page(Box<Permit<Fetch>>),
    /// What the records come to, and none of them.
    Aggregate(Box<Permit<figures::Aggregate>>),
    /// Rows may be dropped that the upstream counts: its pages are read, from the first or from where an earlier page ended,
    /// until the client's is full.
    Walk(Box<Walk>),
}

impl<'a> Case<'a> {
    pub fn decide(&self, table: TableId, action: &Action) -> Decision {
        self.decided(table, action).decision
    }

    /// As [`decide`](Self::decide), and whether the decision was remembered.
    pub fn decided(&self, table: TableId, action: &Action) -> Decided {
        self.policies.decided(&Question {
            principal: self.principal,
            tenant: self.tenant,
            request: self.request,
            now: self.now,
            table,
            action,
        })
    }

    fn residual(&self, table: TableId, action: &Action) -> Option<Arc<Residual>> {
        match self.decide(table, action) {
            Decision::Allow(residual) | Decision::Conditional(residual) => Some(residual),
            Decision::Deny(..) => None,
        }
    }

    /// Headers of a request on behalf of the caller's.
    fn headers(&self, api: &Api) -> Option<HeaderMap> {
        let mut headers = headers(api, self.tenant)?;
        if let Ok(id) = HeaderValue::from_str(&self.request_id.to_string()) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if let Ok(trace) = HeaderValue::from_str(&self.trace.to_string()) {
            headers.insert(HeaderName::from_static("traceparent"), trace);
        }
        Some(headers)
    }

    /// The request to a route of an API. `None`: a variable of its path or the tenant can't be printed.
    fn outgoing(&self, api: &Api, route: &Route, variables: &[(Name, String)], query: &str) -> Option<Outgoing> {
        match &route.sent {
            Sent::Filtered(path) if route.method == Method::GET => self.found(api, route, path, variables, query),
            _ => self.outgoing_to(api, &route.method, &route.upstream_path, variables, query),
        }
    }

    /// One record as whatever a filter finds: its key, and its tenant.
    fn found(
        &self,
        api: &Api,
        route: &Route,
        path: &Template,
        variables: &[(Name, String)],
        query: &str,
    ) -> Option<Outgoing> {
        let RouteKind::Table { table, .. } = &route.kind else { return None };
        let table = self.catalog.table(*table);
        let Shape::Plain(kind) = &table.field(table.key).shape else { return None };
        let value = variables.first().map(|(_, key)| key.clone()).filter(|key| dialect::is_spelled(kind, key))?;
        let key = Comparison { through: None, field: table.key, operator: Operator::Equal, value };
        let scope = dialect::of(api).scope(table, &Condition::Is(key), self.tenant)?;
        let Scope::Pairs(pairs) = scope else { return None };
        let query = if query.is_empty() { pairs } else { format!("{query}&{pairs}") };
        let outgoing = self.outgoing_to(api, &route.method, path, &[], &query)?;
        Some(Outgoing { one: true, ..outgoing })
    }

    fn outgoing_to(
        &self,
        api: &Api,
        method: &Method,
        path: &Template,
        variables: &[(Name, String)],
        query: &str,
    ) -> Option<Outgoing> {
        let mut target = path.expand(variables, self.tenant)?;
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        let (method, tenant) = (method.clone(), self.tenant.clone());
        Some(Outgoing { method, target, headers: self.headers(api)?, body: Bytes::new(), tenant, one: false })
    }

    /// How an answer with the records that a client asked for is redacted.
    fn plan(&self, frame: Frame, residual: Arc<Residual>, query: &Query) -> Result<Plan, Reason> {
        let root = query::lens(self, residual, query.fields.as_deref(), &query.expand)?;
        Ok(Plan {
            catalog: Arc::clone(self.catalog),
            frame,
            root,
            tenant: self.tenant.clone(),
            masking_key: self.masking_key.cloned(),
            depth: self.depth,
        })
    }

    /// A list of records, or an export of one: nothing but its records, and none of other tables, for each table's export is
    /// granted apart. `pairs` is the client's query.
    pub fn list(
        &self,
        action: &Action,
        route: &Route,
        variables: &[(Name, String)],
        residual: Arc<Residual>,
        pairs: &[(String, String)],
    ) -> Result<Listing, Reason> {
        let table = self.catalog.table(residual.table());
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        let (cursor, pairs) = walk::named(language, pairs);
        let mut query = language.parse(table, &pairs)?;
        query::every(self, &residual, &mut query)?;
        // Which of two places is meant?
        if cursor.is_some() && (query.offset.is_some() || query.page.is_some()) {
            return Err(Reason::QueryNotAllowed);
        }
        let exports = *action == Action::Export;
        if let Some(figures) = query.figures.clone() {
            // A file is one of records, and so is what a cursor leads to.
            return match exports || cursor.is_some() {
                true => Err(Reason::QueryNotAllowed),
                false => {
                    let permit = self.aggregate(route, variables, &residual, query, &figures)?;
                    Ok(Listing::Aggregate(Box::new(permit)))
                }
            };
        }
        let Scoped { query, added, pushed, tenant, exact } = query::scoped(self, table, &residual, language, query)?;
        query::check(&query, table, Some(&residual), exact)?;
        if exports && !query.expand.is_empty() {
            return Err(Reason::QueryNotAllowed);
        }
        let envelope = language.envelope();
        let beside = |places: &[Place]| if exports { Vec::new() } else { places.to_vec() };
        let frame = match envelope.list {
            Records::Array(records) => Frame::List {
                records: records.clone(),
                totals: beside(envelope.totals),
                keep: beside(envelope.keep),
                echoes: beside(envelope.echoes),
                exact,
            },
            Records::Lines => Frame::Lines,
        };
        let accept = HeaderValue::from_static(frame.media_type());
        let plan = Arc::new(self.plan(frame, Arc::clone(&residual), &query)?);
        let mut sent = query::complete(self, &query, &residual, language)?;
        sent.filter = sent.filter.and(added);
        // Nobody would read it.
        sent.count &= exact && !exports;
        let take = language.paging().limit.map_or(u64::MAX, |limit| query.limit.unwrap_or(limit.default));
        let next = walk::next(language, route, &pairs, query.offset.unwrap_or_default(), take).filter(|_| !exports);
        let printed = language.print(table, &sent, self.tenant, true);
        let mut outgoing = self.outgoing(api, route, variables, &printed).ok_or(Reason::RecordHidden)?;
        outgoing.headers.insert(header::ACCEPT, accept);
        let asked = Asked { tenant, exact, pushed: pushed.into() };
        let permit = Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Fetch { plan, asked, next } };
        if exact || table.inexact_paging == InexactPaging::Short {
            // Of such a list none is ever told.
            return if cursor.is_some() { Err(Reason::CursorExpired) } else { Ok(Listing::Page(Box::new(permit))) };
        }
        let asked = walk::Wanted { action, route, pairs: &pairs, query, take, cursor };
        self.walk(permit, sent, asked).map(|walk| Listing::Walk(Box::new(walk)))
    }

    /// One record, for the client.
    pub fn read(
        &self,
        route: &Route,
        variables: &[(Name, String)],
        residual: Arc<Residual>,
        pairs: &[(String, String)],
    ) -> Result<Permit<Fetch>, Reason> {
        let table = self.catalog.table(residual.table());
        let mut query = dialect::parse_record(dialect::of(self.catalog.api(table.api)), table, pairs)?;
        query::every(self, &residual, &mut query)?;
        self.read_as(route, variables, residual, query)
    }

    /// One record, as far as a query asks for it.
    fn read_as(
        &self,
        route: &Route,
        variables: &[(Name, String)],
        residual: Arc<Residual>,
        query: Query,
    ) -> Result<Permit<Fetch>, Reason> {
        let table = self.catalog.table(residual.table());
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        query::check(&query, table, Some(&residual), false)?;
        let frame = Frame::Record(language.envelope().record.clone());
        let plan = Arc::new(self.plan(frame, Arc::clone(&residual), &query)?);
        let sent = query::complete(self, &query, &residual, language)?;
        // Only now, or what is hidden would be told from what isn't there.
        check_key(table, route, variables)?;
        let printed = language.print(table, &sent, self.tenant, false);
        let outgoing = self.outgoing(api, route, variables, &printed).ok_or(Reason::RecordHidden)?;
        // A record that was named may be of any tenant.
        let purpose = Fetch { plan, asked: Asked::default(), next: None };
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose })
    }

    /// What a caller is told whose action on a visible table is not granted: a query that names fields is refused as such
    /// first, for none of them is readable under this action.
    pub fn check_refused_query(
        &self,
        table: TableId,
        action: &Action,
        pairs: &[(String, String)],
    ) -> Result<(), Reason> {
        // What a write is asked to tell is readable or not, whether it is granted or not.
        if action.writes() {
            return self.representation(table, action, pairs).map(drop);
        }
        let table = self.catalog.table(table);
        let language = dialect::of(self.catalog.api(table.api));
        let (_, pairs) = walk::named(language, pairs);
        query::check(&language.parse(table, &pairs)?, table, None, false)
    }
}

/// In a dialect that has keys of types, what can't be one names no record. Others decide for themselves.
fn check_key(table: &Table, route: &Route, variables: &[(Name, String)]) -> Result<(), Reason> {
    let is_typed = route.path.segments.iter().any(|segment| matches!(segment, Segment::Keyed { .. }));
    let is_spelled = |key: &str| match &table.field(table.key).shape {
        Shape::Plain(kind) => dialect::is_spelled(kind, key),
        Shape::One { .. } | Shape::Many { .. } => false,
    };
    if !is_typed || variables.iter().all(|(_, key)| is_spelled(key)) { Ok(()) } else { Err(Reason::RecordHidden) }
}

/// The route by which a table is listed.
pub fn list_route<'a>(api: &'a Api, table: &Table) -> Option<&'a Route> {
    let lists =
        |route: &&Route| matches!(&route.kind, RouteKind::Table { table: of, action: Action::List } if *of == table.id);
    api.routes.iter().find(lists)
}

/// One page, from 0, of the table that says who manages whom in a tenant. `None`: it can't be asked for.
pub fn hierarchy(
    catalog: &Catalog,
    table: &Table,
    manager: FieldId,
    tenant: &TenantScope,
    page: u64,
) -> Option<Permit<Hierarchy>> {
    let api = catalog.api(table.api);
    let language = dialect::of(api);
    let query = query::people(language, table, manager, page)?;
    let path = list_route(api, table)?.upstream_path.expand(&[], tenant)?;
    let printed = language.print(table, &query, tenant, true);
    let target = if printed.is_empty() { path } else { format!("{path}?{printed}") };
    let (method, headers, tenant) = (Method::GET, headers(api, tenant)?, tenant.clone());
    let outgoing = Outgoing { method, target, headers, body: Bytes::new(), tenant, one: false };
    Some(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Hierarchy })
}

/// Headers that every request to an API bears. `None`: the tenant can't be told in one.
fn headers(api: &Api, tenant: &TenantScope) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("scrim"));
    for (name, dimension) in &api.tenant_headers {
        headers.insert(name.clone(), HeaderValue::from_str(tenant.value(dimension)?).ok()?);
    }
    Some(headers)
}
