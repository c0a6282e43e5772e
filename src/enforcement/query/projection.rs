//! What is asked for by name where an upstream can be asked so everywhere: also of what is looked at before a write, and
//! nothing at all where something would not come as it is stored once it is asked for by name.

use super::super::Case;
use super::expand::helpers;
use crate::api::{Catalog, FieldId, Shape, Table, TableId};
use crate::dialect::expand::add;
use crate::dialect::{Expansions, Language, Query, Selects};
use crate::model::Action;
use crate::policy::Residual;

/// Plain fields that some record may show.
pub(super) fn shown(table: &Table, residual: &Residual) -> impl Iterator<Item = FieldId> {
    table.reach().plain().filter(|field| residual.may_show(*field))
}

/// A query for what the rules of a table read of its records, and nothing else.
pub(in crate::enforcement) fn read_by_rules(case: &Case<'_>, table: &Table, language: &dyn Language) -> Query {
    looked_at(case, table, language, &[])
}

/// A query for whatever is read of a record that is looked at before a write, as itself or because another is to lead to it:
/// by the rules of its table, and by the tag under which the caller knows it. No rule reads a record through a relation that
/// a write changes.
pub(in crate::enforcement) fn before_write(case: &Case<'_>, table: &Table, language: &dyn Language) -> Query {
    let residual = case.residual(table.id, &Action::Read);
    let fields: Vec<FieldId> = residual.iter().flat_map(|residual| shown(table, residual)).collect();
    looked_at(case, table, language, &fields)
}

fn looked_at(case: &Case<'_>, table: &Table, language: &dyn Language, more: &[FieldId]) -> Query {
    let layout = case.policies.layout(table.id);
    let query = helpers(table, layout, language, language.selects() != Selects::Nothing);
    if language.selects() != Selects::Everywhere {
        return query;
    }
    let read = layout.fields().filter_map(|name| table.field_named(name));
    let mut fields = Vec::new();
    add(&mut fields, read.chain([table.key]).chain(more.iter().copied()));
    let query = Query { fields: Some(fields), ..query };
    if keeps(case.catalog, table.id, language, &query) { query } else { helpers(table, layout, language, false) }
}

/// Whether all that a query names comes as it is stored.
pub(super) fn keeps(catalog: &Catalog, table: TableId, language: &dyn Language, query: &Query) -> bool {
    keeps_all(catalog, table, language, query.fields.as_deref(), &query.expand)
}

/// Recursion is bounded by what is expanded.
fn keeps_all(
    catalog: &Catalog,
    table: TableId,
    language: &dyn Language,
    fields: Option<&[FieldId]>,
    expand: &Expansions,
) -> bool {
    let table = catalog.table(table);
    let keeps = |field: FieldId| match &table.field(field).shape {
        Shape::Plain(of) => language.keeps(of),
        Shape::One { .. } | Shape::Many { .. } => true,
    };
    let own = match fields {
        Some(fields) => fields.iter().all(|field| keeps(*field)),
        None => table.field_ids().all(keeps),
    };
    own && expand.named.iter().all(|one| match table.field(one.relation).shape {
        Shape::One { table, .. } | Shape::Many { table } => {
            keeps_all(catalog, table, language, one.fields.as_deref(), &one.below)
        }
        Shape::Plain(_) => true,
    })
}
