//! Permits for writes: what a client wants to write, what the gateway sets, and the record as it would be.
//!
//! `rows` judge the record as it stands, `check` the record as it would be. A write that changes the tenant, leaves it, or
//! touches a field that may not be written is refused whole. The body that leaves is built from what was understood.

mod answer;
pub mod batch;
mod cascade;
mod many;
pub mod once;
mod scoped;
mod tenant;
mod whole;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::{Case, Outgoing, Permit, Probe, Write, query};
use crate::api::{FieldId, Form, Otherwise, Race, Route, RouteKind, Sent, Shape, Table, TableId, Tenancy};
use crate::dialect::{self, Query};
use crate::model::value::Type;
use crate::model::{Action, Name, Reason};
use crate::policy::{Read, Residual, Verdict};
use crate::redact::request::{self, Change, Changes};
use crate::redact::{self, Frame, Plan, Unreadable, parts};
pub use answer::Representation;
pub use many::Element;
use scoped::Ground;

/// A declared route, and the values of its path's variables.
pub type Found<'r> = (&'r Route, Vec<(Name, String)>);

/// Why a write was refused, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub rule: Option<Name>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, rule: None }
    }
}

/// A write that may be sent, and the grants that allow it.
#[derive(Debug)]
pub struct Permitted {
    pub permit: Permit<Write>,
    pub rules: Vec<Name>,
}

/// The way that a write takes: its route, and what is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Way<'w> {
    pub route: &'w Route,
    pub variables: &'w [(Name, String)],
    pub answer: &'w Representation,
}

/// A record that a write would point to; it must be in scope and readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `None`: the column holds keys, and no relation leads there.
    pub relation: Option<FieldId>,
    pub table: TableId,
    pub key: String,
}

/// A referenced record as the upstream has it.
#[derive(Clone, Debug)]
pub struct Referenced {
    pub relation: FieldId,
    pub record: Bytes,
}

/// A record as it stands before a write.
#[derive(Clone, Debug)]
pub struct Before {
    pub record: Bytes,
    pub etag: Option<HeaderValue>,
}

impl Case<'_> {
    /// To look at one record with everything that the rules of its table read. Errors: `UpstreamCannotGuard` if the API
    /// description declares no way to read one.
    pub fn probe(&self, table: TableId, key: &str) -> Result<Permit<Probe>, Reason> {
        let table = self.catalog.table(table);
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        let (route, variables) = self.route(table, &Action::Read, key)?;
        super::check_key(table, route, &variables)?;
        let sent = query::before_write(self, table, language);
        let printed = language.print(table, &sent, self.tenant, false);
        let outgoing = self.outgoing(api, route, &variables, &printed).ok_or(Reason::RecordHidden)?;
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Probe })
    }

    /// The route by which an action is done with one record of a table, or without one, and its variables. Errors:
    /// `UpstreamCannotGuard` if none is declared.
    fn route(&self, table: &Table, action: &Action, key: &str) -> Result<Found<'_>, Reason> {
        let mut routes = self.catalog.api(table.api).routes.iter();
        let is_it = |route: &&Route| {
            let kind = matches!(&route.kind, RouteKind::Table { table: of, action: does } if *of == table.id && does == action);
            let alone = *action == Action::Create || route.path.variables().next().is_some();
            // An upsert that is sent as a change of single fields is one where there is a record.
            let changes = route.form == Form::Upsert && route.method == Method::PATCH;
            kind && alone && (changes || matches!(route.form, Form::Fields | Form::Many(_)))
        };
        let route = routes.find(is_it).ok_or(Reason::UpstreamCannotGuard)?;
        let variables = route.path.variables().map(|name| (Arc::clone(name), key.to_owned())).collect();
        Ok((route, variables))
    }

    /// Whether the caller may read this record of a table.
    pub fn may_read(&self, table: TableId, record: &[u8]) -> Result<bool, Reason> {
        let Some(residual) = self.residual(table, &Action::Read) else { return Ok(false) };
        let slots = redact::slots(record, residual.layout(), self.depth).map_err(|_| Reason::UpstreamBroken)?;
        Ok(matches!(residual.judge(&slots).verdict, Verdict::Visible(_)))
    }

    /// How one record of a table is shown that was not asked for with a query. `None`: the caller may read none.
    pub fn shown(&self, table: TableId) -> Result<Option<Arc<Plan>>, Reason> {
        let Some(residual) = self.residual(table, &Action::Read) else { return Ok(None) };
        let language = dialect::of(self.catalog.api(self.catalog.table(table).api));
        let frame = Frame::Record(language.envelope().record.clone());
        self.plan(frame, residual, &Query::default()).map(|plan| Some(Arc::new(plan)))
    }

    /// What a client wants to write. All of it is declared, some grant may let the caller write it, and it is of the
    /// declared types: no reference is followed for a body that will be refused anyway, and a field that may not be
    /// written is refused as an unknown one is, whatever its value. Errors: `BodyMalformed`, and those of a field that
    /// may not be written.
    pub fn changes<'b>(&self, residual: &Residual, body: &'b [u8]) -> Result<Changes<'b>, Reason> {
        let table = self.catalog.table(residual.table());
        let changes = request::read(body, table, self.depth).map_err(|_| Reason::BodyMalformed)?;
        if changes.undeclared {
            let is_tenants = self.names_tenant(table, body);
            return Err(if is_tenants { Reason::TenantNotWritable } else { Reason::FieldNotWritable });
        }
        let mine = self.own_changes(table, &changes)?;
        if let Some(change) = mine.iter().find(|change| !residual.may_write(change.field)) {
            let owner = table.owner == Some(change.field) && residual.creations().is_empty();
            return Err(if owner { Reason::OwnerNotTransferable } else { Reason::FieldNotWritable });
        }
        self.check_types(table, &mine)?;
        Ok(changes)
    }

    /// The records that the changed foreign keys point to. Errors: `BodyMalformed` for a key that could mean another path,
    /// `BodyTooLarge` for more than may be looked at.
    pub fn references(&self, table: TableId, changes: &Changes<'_>) -> Result<Vec<Reference>, Reason> {
        let declared = self.catalog.table(table);
        let mut references = Vec::new();
        for relation in declared.field_ids() {
            let Shape::One { table, by } = declared.field(relation).shape else { continue };
            for change in changes.fields.iter().filter(|change| change.field == by && !is_null(declared, change.raw)) {
                let key = request::text(change.raw).filter(|key| is_key(key)).ok_or(Reason::BodyMalformed)?;
                references.push(Reference { relation: Some(relation), table, key });
            }
        }
        for change in changes.fields.iter().filter(|change| !is_null(declared, change.raw)) {
            let Some(table) = declared.field(change.field).keys_of else { continue };
            let raw = match declared.field(change.field).shape {
                Shape::Plain(Type::List(_)) => {
                    parts::elements(change.raw, MAX_KEYS, self.depth).map_err(|unreadable| match unreadable {
                        Unreadable::TooLarge => Reason::BodyTooLarge,
                        _ => Reason::BodyMalformed,
                    })?
                }
                _ => vec![change.raw],
            };
            for raw in raw {
                let key = request::text(raw).filter(|key| is_key(key)).ok_or(Reason::BodyMalformed)?;
                references.push(Reference { relation: None, table, key });
            }
        }
        Ok(references)
    }

    /// A new record. The first grant in the order of the policy file that allows all of it is taken.
    pub fn create(
        &self,
        way: Way<'_>,
        residual: &Arc<Residual>,
        changes: &Changes<'_>,
        referenced: &[Referenced],
    ) -> Result<Permitted, Refusal> {
        let table = self.catalog.table(residual.table());
        let mine = self.own_changes(table, changes)?;
        let mut refusal = Refusal::from(Reason::ActionNotGranted);
        for creation in residual.creations() {
            let preset = |field: FieldId| creation.presets.iter().find(|(of, _)| *of == field).map(|(_, value)| value);
            let allowed = |change: &&Change<'_>| match preset(change.field) {
                Some(value) => request::equals(change.raw, value),
                None => creation.writable.contains(&change.field),
            };
            if !mine.iter().all(allowed) {
                // A check that failed says more than another grant's missing field.
                if refusal.reason == Reason::ActionNotGranted {
                    refusal = Reason::FieldNotWritable.into();
                }
                continue;
            }
            let mut body: Vec<(&str, Vec<u8>)> = Vec::new();
            for change in mine.iter().filter(|change| preset(change.field).is_none()) {
                body.push((&table.field(change.field).name, change.raw.to_vec()));
            }
            for (field, value) in &creation.presets {
                body.push((&table.field(*field).name, request::print(value)));
            }
            if let Tenancy::Columns(columns) = &table.tenant {
                for (dimension, column) in columns {
                    let value = self.tenant.value(dimension).ok_or(Reason::TenantMissing)?;
                    body.push((&table.field(*column).name, tenant::printed(table, dimension, value)));
                }
            }
            let after = self.record_after(table, None, &body, referenced)?;
            let slots = redact::slots(&after, residual.layout(), self.depth).map_err(|_| Reason::BodyMalformed)?;
            match residual.judge_creation(creation, &slots).outcome {
                Ok(rules) => {
                    let permit = self.write(way, table, Some(self.sent(table, &body)?), None)?;
                    return Ok(Permitted { permit, rules });
                }
                Err((reason, rule)) => refusal = Refusal { reason, rule },
            }
        }
        Err(refusal)
    }

    /// A change of a record, or a custom action on it (with or without changes).
    pub fn change(
        &self,
        way: Way<'_>,
        residual: &Arc<Residual>,
        before: &Before,
        changes: Option<&Changes<'_>>,
        referenced: &[Referenced],
    ) -> Result<Permitted, Refusal> {
        let table = self.catalog.table(residual.table());
        let mine = changes.map_or_else(|| Ok(Vec::new()), |changes| self.own_changes(table, changes))?;
        let mut body: Vec<(&str, Vec<u8>)> =
            mine.iter().map(|change| (&*table.field(change.field).name, change.raw.to_vec())).collect();
        let after = self.record_after(table, Some(&before.record), &body, referenced)?;
        let layout = residual.layout();
        let was = redact::slots(&before.record, layout, self.depth).map_err(|_| Reason::UpstreamBroken)?;
        let becomes = redact::slots(&after, layout, self.depth).map_err(|_| Reason::UpstreamBroken)?;
        let changed: Vec<FieldId> = mine.iter().map(|change| change.field).collect();
        let rules = residual
            .judge_change(&was, &becomes, &changed)
            .outcome
            .map_err(|(reason, rule)| Refusal { reason, rule })?;
        let body = match (&way.route.sent, changes) {
            (Sent::Whole, _) => {
                body.extend(self.told(table)?);
                Some(self.replacing(table, &before.record, &body)?)
            }
            (_, Some(_)) => Some(self.sent(table, &body)?),
            (_, None) => None,
        };
        // What the change says is known, and so is the record that it points to.
        let is_written = |read: &Read| {
            let own = read.path.first().and_then(|name| table.field_named(name));
            own.is_some_and(|field| changed.contains(&field)) || read.by.is_some_and(|by| changed.contains(&by))
        };
        let premises = match (&way.route.sent, table.race) {
            (Sent::Filtered(_), Race::Filter(_)) => residual.premises_of_change(&rules, &changed, &is_written),
            _ => Vec::new(),
        };
        let ground = Ground { before, key: key_of(way.variables), premises };
        let permit = self.write(way, table, body, Some(&ground))?;
        Ok(Permitted { permit, rules })
    }

    /// The removal of a record.
    pub fn remove(&self, way: Way<'_>, residual: &Arc<Residual>, before: &Before) -> Result<Permitted, Refusal> {
        let table = self.catalog.table(residual.table());
        let slots = redact::slots(&before.record, residual.layout(), self.depth).map_err(|_| Reason::UpstreamBroken)?;
        let rules = match residual.judge(&slots).verdict {
            Verdict::Visible(plan) => plan.grants.clone(),
            Verdict::Denied(rule) => return Err(Refusal { reason: Reason::Denied, rule: Some(rule) }),
            Verdict::Unmatched => return Err(Reason::ActionNotGranted.into()),
            Verdict::Foreign => return Err(Reason::RecordForeign.into()),
        };
        let ground = Ground { before, key: key_of(way.variables), premises: residual.premises(&rules) };
        let permit = self.write(way, table, None, Some(&ground))?;
        Ok(Permitted { permit, rules })
    }

    /// The client's changes without the tenant columns, each of which may only repeat the caller's own tenant.
    fn own_changes<'c, 'b>(&self, table: &Table, changes: &'c Changes<'b>) -> Result<Vec<&'c Change<'b>>, Reason> {
        let columns: &[(Name, FieldId)] = match &table.tenant {
            Tenancy::Columns(columns) => columns,
            Tenancy::Via(_) => &[],
            Tenancy::Shared => return Err(Reason::FieldNotWritable),
        };
        let mut mine = Vec::new();
        for change in &changes.fields {
            match columns.iter().find(|(_, column)| *column == change.field) {
                None => mine.push(change),
                Some((dimension, _)) => {
                    let value = self.tenant.value(dimension).ok_or(Reason::TenantMissing)?;
                    if request::text(change.raw).as_deref() != Some(value) {
                        return Err(Reason::TenantNotWritable);
                    }
                }
            }
        }
        Ok(mine)
    }

    fn check_types(&self, table: &Table, changes: &[&Change<'_>]) -> Result<(), Reason> {
        if changes.iter().all(|change| request::fits(table, change.field, change.raw)) {
            Ok(())
        } else {
            Err(Reason::BodyMalformed)
        }
    }

    /// The record as it would be: as it was (or with declared defaults, if it is new), with the body's members and the
    /// records that it points to.
    fn record_after(
        &self,
        table: &Table,
        before: Option<&[u8]>,
        body: &[(&str, Vec<u8>)],
        referenced: &[Referenced],
    ) -> Result<Vec<u8>, Reason> {
        let mut changes: Vec<(&str, &[u8])> = members(body).collect();
        for Referenced { relation, record } in referenced {
            changes.push((&table.field(*relation).name, record));
        }
        // A foreign key that is set to null leaves no related record behind.
        for relation in table.field_ids() {
            let Shape::One { by, .. } = table.field(relation).shape else { continue };
            let key = &*table.field(by).name;
            if body.iter().any(|(name, raw)| *name == key && is_null(table, raw)) {
                changes.push((&table.field(relation).name, b"null"));
            }
        }
        let start = match before {
            Some(record) => record.to_vec(),
            None => {
                let defaults: Vec<(&str, Vec<u8>)> = table
                    .fields
                    .iter()
                    .filter_map(|field| field.default.as_ref().map(|value| (&*field.name, request::print(value))))
                    .collect();
                request::object(members(&defaults))
            }
        };
        request::merge(&start, &changes, self.depth).map_err(|_| Reason::UpstreamBroken)
    }

    fn write(
        &self,
        way: Way<'_>,
        table: &Table,
        body: Option<Vec<u8>>,
        ground: Option<&Ground<'_>>,
    ) -> Result<Permit<Write>, Refusal> {
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        let Way { route, variables, answer } = way;
        let plan = answer.plan.clone();
        let printed = language.print(table, &answer.sent, self.tenant, false);
        let method = if route.sent == Sent::Whole { &Method::PUT } else { &route.method };
        let mut outgoing: Outgoing =
            self.outgoing_to(api, method, &route.upstream_path, variables, &printed).ok_or(Reason::RecordHidden)?;
        if let Some(body) = body {
            outgoing.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            outgoing.body = body.into();
        }
        self.once(api, &mut outgoing);
        if let (Some(ground), Race::Filter(_)) = (ground, table.race)
            && let Some(outgoing) = self.scoped(api, route, table, &outgoing, ground, &printed)
        {
            let purpose = Write { plan, scoped: true };
            return Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose });
        }
        if let Some(Ground { before, .. }) = ground {
            match (table.race, &before.etag) {
                (Race::IfMatch | Race::Filter(Otherwise::IfMatch), Some(etag)) => {
                    outgoing.headers.insert(header::IF_MATCH, etag.clone());
                }
                // A whole record that is out of date undoes more than was asked for.
                (_, Some(etag)) if route.sent == Sent::Whole => {
                    outgoing.headers.insert(header::IF_MATCH, etag.clone());
                }
                (race, _) if race.is_accepted() => {}
                _ => return Err(Reason::UpstreamCannotGuard.into()),
            }
        }
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Write { plan, scoped: false } })
    }
}

/// The key that a route's path names.
fn key_of(variables: &[(Name, String)]) -> &str {
    variables.first().map_or("", |(_, key)| key)
}

/// Whether a foreign key points to nothing.
fn is_null(table: &Table, raw: &[u8]) -> bool {
    raw == b"null" || table.empty_is_null && raw == b"\"\""
}

/// Longer keys are no keys of any table.
const MAX_KEY: usize = 256;
/// Records that one column may point to.
const MAX_KEYS: usize = 50;

/// A key that a client could have named in a path: one segment to whoever decodes it twice, too.
fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.chars().count() <= MAX_KEY
        && !key.ends_with('.')
        && !key.contains(|c: char| matches!(c, '/' | '\\' | ';' | '%') || c.is_control())
}

fn members<'m>(members: &'m [(&'m str, Vec<u8>)]) -> impl Iterator<Item = (&'m str, &'m [u8])> {
    members.iter().map(|(name, raw)| (*name, raw.as_slice()))
}
