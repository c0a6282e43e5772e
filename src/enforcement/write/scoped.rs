//! Writes of one record as writes of whatever a filter finds: its key, its tenant, and all by which it was judged.
//!
//! Between the look at a record and the write, somebody may change it. What is written so is written only where the judgement
//! still stands; nothing is where the upstream finds no record any more. Whatever a filter can't say exactly is said by the
//! columns that it reads: they must hold what they held. What other records hold, to which this one points, was read when it
//! was judged, and is not asked for again.

use http::{HeaderName, HeaderValue, header};

use super::super::{Outgoing, pushdown};
use super::{Before, Case, request};
use crate::api::{Api, FieldId, Route, Sent, Shape, Table, Tenancy};
use crate::dialect::{self, Condition, Query, Scope};
use crate::model::filter::{Filter, Sieve, Test};
use crate::model::value::Type;
use crate::model::{Name, Value};
use crate::policy::{self, Premise, Read};
use crate::redact::parts;

/// What a write rests on: the record as it was seen, and what was true of it then.
pub(super) struct Ground<'b> {
    pub(super) before: &'b Before,
    pub(super) key: &'b str,
    pub(super) premises: Vec<Premise>,
}

impl Case<'_> {
    /// A write that is done only where its ground still holds, made of the one of a record by its key. It keeps the name by
    /// which that is done once: what the filter says may differ when it is sent again. `None`: the upstream can't be asked so.
    pub(super) fn scoped(
        &self,
        api: &Api,
        route: &Route,
        table: &Table,
        of_key: &Outgoing,
        ground: &Ground<'_>,
        printed: &str,
    ) -> Option<Outgoing> {
        let Sent::Filtered(path) = &route.sent else { return None };
        let filter = self.filter(api, table, ground)?;
        let scope = dialect::of(api).scope(table, &filter, self.tenant)?;
        let mut outgoing = of_key.clone();
        outgoing.target = path.expand(&[], self.tenant)?;
        if !printed.is_empty() {
            outgoing.target.push('?');
            outgoing.target.push_str(printed);
        }
        match scope {
            Scope::Pairs(pairs) => {
                outgoing.target.push(if printed.is_empty() { '?' } else { '&' });
                outgoing.target.push_str(&pairs);
                // The records that were changed tell which they were, and whether there was one (RFC 7240, section 4.2).
                let prefer = HeaderValue::from_static("return=representation");
                outgoing.headers.insert(HeaderName::from_static("prefer"), prefer);
            }
            Scope::Body(query) => {
                let data = Some(&of_key.body[..]).filter(|data| !data.is_empty()).map(|data| ("data", data));
                let members = [("query", query.as_bytes())].into_iter().chain(data);
                outgoing.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                outgoing.body = request::object(members).into();
            }
        }
        Some(outgoing)
    }

    /// `None`: what must be asked for can't be said exactly.
    fn filter(&self, api: &Api, table: &Table, ground: &Ground<'_>) -> Option<Condition> {
        let language = dialect::of(api);
        let mut held: Vec<FieldId> = Vec::new();
        match &table.tenant {
            Tenancy::Columns(_) => language.is_tenant_pushed(table).then_some(())?,
            // Whose it is follows from the parent, as long as that is the same.
            Tenancy::Via(parent) => match table.field(parent.relation).shape {
                Shape::One { by, .. } => held.push(by),
                Shape::Plain(_) | Shape::Many { .. } => return None,
            },
            Tenancy::Shared => return None,
        }
        let leaf = |field: FieldId, test| Filter::leaf(&[Name::clone(&table.field(field).name)].into(), test);
        let key = of_key(&table.field(table.key).shape, ground.key)?;
        let mut parts = vec![Sieve::exact(leaf(table.key, Test::OneOf([key].into())))];
        let said = |parts: Vec<Sieve>| {
            let sieve = pushdown::narrow(&Sieve::all(parts), table);
            let added = language.add(table, &sieve, &Query::default());
            // What is nothing for certain has no words everywhere.
            (added.exact && sieve.filter != Filter::None).then_some(added.condition)
        };
        for Premise { sieve, reads } in &ground.premises {
            let with = |sieve: &Sieve| parts.iter().chain([sieve]).cloned().collect::<Vec<_>>();
            if sieve.exact && said(with(sieve)).is_some() {
                parts.push(sieve.clone());
                continue;
            }
            for Read { path, by } in reads {
                let column = match (by, &**path) {
                    (Some(by), _) => *by,
                    (None, [name]) => table.field_named(name)?,
                    (None, _) => return None,
                };
                if !held.contains(&column) {
                    held.push(column);
                }
            }
        }
        let members = parts::members(&ground.before.record, self.depth).ok()?;
        for column in held {
            let field = table.field(column);
            let Shape::Plain(kind) = &field.shape else { return None };
            let raw = members.iter().find(|(name, _)| name.as_ref() == field.name.as_bytes()).map(|(_, raw)| *raw);
            let test = match raw {
                None if table.absent_is_null => Test::Null,
                None => return None,
                Some(raw) => match policy::read(raw, kind)? {
                    Value::Null => Test::Null,
                    value => Test::OneOf([value].into()),
                },
            };
            parts.push(Sieve::exact(leaf(column, test)));
        }
        said(parts)
    }
}

/// A key of a path as its column holds it.
fn of_key(shape: &Shape, key: &str) -> Option<Value> {
    match shape {
        Shape::Plain(Type::String) => Some(Value::string(key)),
        Shape::Plain(Type::Int) if dialect::is_spelled(&Type::Int, key) => key.parse().ok().map(Value::Int),
        Shape::Plain(_) | Shape::One { .. } | Shape::Many { .. } => None,
    }
}
