//! Records as a whole, and records that may not be there yet.
//!
//! A client that sends a record as a whole says something of every field: what it leaves out becomes what it is in a new
//! record. That is so for the fields that it might write; others, which it may not even see, stay as they are, and so does
//! the owner. The request that leaves is a change of single fields or a creation, for an upstream that replaces a record may
//! forget what nobody has declared. Where it can do nothing else, it is given back what it has told of the record, byte for
//! byte but for what changes.

use super::{Case, Found, request};
use crate::api::{Field, FieldId, Shape, Table, TableId, Tenancy};
use crate::model::value::Type;
use crate::model::{Action, Reason, Value};
use crate::policy::Residual;
use crate::redact::parts;

impl Case<'_> {
    /// The route that changes single fields of a record, or makes one, and its variables.
    pub fn route_of(&self, table: TableId, action: &Action, key: &str) -> Result<Found<'_>, Reason> {
        self.route(self.catalog.table(table), action, key)
    }

    /// The body with all that it leaves out. Errors: those of [`changes`](Case::changes), and `BodyMalformed` if a field is
    /// left out that can't be.
    pub fn whole(&self, residual: &Residual, body: &[u8]) -> Result<Vec<u8>, Reason> {
        let table = self.catalog.table(residual.table());
        let changes = self.changes(residual, body)?;
        let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
        for change in &changes.fields {
            members.push((&table.field(change.field).name, change.raw.to_vec()));
        }
        for id in table.field_ids() {
            let field = table.field(id);
            let is_named = changes.fields.iter().any(|change| change.field == id);
            if is_named || !is_replaced(table, id) || !residual.may_write(id) {
                continue;
            }
            let value = match &field.default {
                Some(value) => value.clone(),
                None if field.nullable => Value::Null,
                None => return Err(Reason::BodyMalformed),
            };
            members.push((&field.name, request::print(&value)));
        }
        Ok(request::object(super::members(&members)))
    }

    /// The record as the upstream has it, with a change in it. Errors: `UpstreamCannotGuard` if it doesn't tell what it has in
    /// some field, which would be lost.
    pub(super) fn replacing(
        &self,
        table: &Table,
        before: &[u8],
        changes: &[(&str, Vec<u8>)],
    ) -> Result<Vec<u8>, Reason> {
        let members = parts::members(before, self.depth).map_err(|_| Reason::UpstreamBroken)?;
        let mut stored: Vec<(&str, &[u8])> = Vec::with_capacity(members.len());
        for (name, raw) in &members {
            let name = std::str::from_utf8(name).map_err(|_| Reason::UpstreamBroken)?;
            // Records that were asked for to judge this one are no part of it.
            let field = table.field_named(name).map(|field| &table.field(field).shape);
            if !matches!(field, Some(Shape::One { .. } | Shape::Many { .. })) {
                stored.push((name, *raw));
            }
        }
        let is_told = |field: &Field| stored.iter().any(|(name, _)| **name == *field.name);
        let is_stored = |field: &&Field| matches!(field.shape, Shape::Plain(_)) && field.derived_from.is_empty();
        if !table.absent_is_null && !table.fields.iter().filter(is_stored).all(is_told) {
            return Err(Reason::UpstreamCannotGuard);
        }
        let changes: Vec<(&str, &[u8])> = super::members(changes).collect();
        request::merge(&request::object(stored), &changes, self.depth).map_err(|_| Reason::UpstreamBroken)
    }

    /// A body without the key, which may only be the one that its path names. Errors: `BodyMalformed`.
    pub fn keyless(&self, table: TableId, key: &str, body: &[u8]) -> Result<Vec<u8>, Reason> {
        let (raw, rest) = self.keyed(table, body)?;
        let same = raw.is_none_or(|raw| request::text(&raw).as_deref() == Some(key));
        if same { Ok(rest) } else { Err(Reason::BodyMalformed) }
    }

    /// A body with the key that its path names.
    pub fn with_key(&self, table: TableId, key: &str, body: &[u8]) -> Result<Vec<u8>, Reason> {
        let table = self.catalog.table(table);
        let field = table.field(table.key);
        let raw = match &field.shape {
            Shape::Plain(Type::Int | Type::Double | Type::Decimal | Type::Bool) => key.as_bytes().to_vec(),
            _ => request::print(&Value::string(key)),
        };
        if !request::fits(table, table.key, &raw) {
            return Err(Reason::RecordHidden);
        }
        request::merge(body, &[(&field.name, &raw)], self.depth).map_err(|_| Reason::BodyMalformed)
    }
}

/// Whether a record as a whole speaks of a field that it doesn't name.
fn is_replaced(table: &Table, id: FieldId) -> bool {
    let field = table.field(id);
    let is_tenant = match &table.tenant {
        Tenancy::Columns(columns) => columns.iter().any(|(_, column)| *column == id),
        Tenancy::Via(_) | Tenancy::Shared => false,
    };
    let is_fixed = id == table.key || table.owner == Some(id) || is_tenant || !field.derived_from.is_empty();
    matches!(field.shape, Shape::Plain(_)) && !is_fixed
}
