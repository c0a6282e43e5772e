//! The table that the gateway file names, found in the API description, and what is looked at in its rows.

use std::sync::Arc;

use super::table::Unread;
use crate::api::{Catalog, FieldId, Parent, Shape, Table, TableId, Tenancy};
use crate::config::HierarchyTable;
use crate::diagnostic::{Diagnostic, nearest};
use crate::dialect::{self, Paging};
use crate::enforcement;
use crate::model::{Name, TenantScope};
use crate::policy::{Layout, Slot, SlotId, Slots};
use crate::redact;

pub(super) struct Columns {
    pub(super) table: TableId,
    pub(super) manager: FieldId,
    layout: Layout,
    id: SlotId,
    managed_by: SlotId,
    /// (dimension, its column, be it the parent's); `None` for a table that belongs to all.
    tenant: Option<Vec<(Name, SlotId)>>,
}

impl Columns {
    /// Errors and warnings are placed where the gateway file names the table and the column.
    pub(super) fn find(named: &HierarchyTable, catalog: &Catalog) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let table = table(named, catalog).map_err(|wrong| vec![wrong])?;
        let manager = manager(named, table).map_err(|wrong| vec![wrong])?;
        let mut layout = Layout::default();
        let id = layout.insert(&[name(table, table.key)]);
        let managed_by = layout.insert(&[name(table, manager)]);
        let tenant = tenant(table, catalog, &mut layout);
        let warnings = doubts(named, table, catalog);
        Ok((Self { table: table.id, manager, layout, id, managed_by, tenant }, warnings))
    }

    /// A person and their manager, where they have one. `None` for a row of another tenant.
    pub(super) fn read(
        &self,
        record: &[u8],
        table: &Table,
        tenant: &TenantScope,
        depth: usize,
    ) -> Result<Option<(Name, Option<Name>)>, Unread> {
        let slots = redact::slots(record, &self.layout, depth).map_err(Unread::Unreadable)?;
        if !self.belongs(&slots, tenant) {
            return Ok(None);
        }
        let id = text(&slots, self.id).filter(|id| !id.is_empty()).ok_or(Unread::Row)?;
        let manager = match slots.get(self.managed_by) {
            Slot::Raw(b"null") => None,
            Slot::Raw(raw) => Some(redact::request::text(raw).ok_or(Unread::Row)?),
            Slot::Missing if table.absent_is_null => None,
            Slot::Missing => return Err(Unread::Row),
        };
        Ok(Some((id.into(), manager.filter(|manager| !manager.is_empty()).map(Name::from))))
    }

    fn belongs(&self, slots: &Slots<'_>, tenant: &TenantScope) -> bool {
        let Some(columns) = &self.tenant else { return true };
        let same = |(dimension, slot): &(Name, SlotId)| {
            tenant.value(dimension).is_some_and(|value| text(slots, *slot).is_some_and(|found| *found == **value))
        };
        !columns.is_empty() && columns.iter().all(same)
    }
}

fn text(slots: &Slots<'_>, slot: SlotId) -> Option<String> {
    match slots.get(slot) {
        Slot::Raw(raw) => redact::request::text(raw),
        Slot::Missing => None,
    }
}

fn name(table: &Table, field: FieldId) -> Name {
    Arc::clone(&table.field(field).name)
}

fn table<'c>(named: &HierarchyTable, catalog: &'c Catalog) -> Result<&'c Table, Diagnostic> {
    let wrong = |message: String| Diagnostic::error("hierarchy-table", named.table_span.clone(), message);
    let Some(table) = catalog.table_named(&named.table) else {
        let near = nearest(&named.table, catalog.tables().map(|table| &*table.name));
        let wrong = wrong(format!("unknown table `{}`", named.table));
        return Err(match near {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong.help("a table of the files that `apis` names"),
        });
    };
    match enforcement::list_route(catalog.api(table.api), table) {
        Some(_) => Ok(table),
        None => Err(wrong(format!("`{}` has no route that lists it, so it can't be read", table.name))),
    }
}

/// A column of the key's own type: as another, no manager would ever be found.
fn manager(named: &HierarchyTable, table: &Table) -> Result<FieldId, Diagnostic> {
    let wrong = |message: String| Diagnostic::error("hierarchy-manager", named.manager_span.clone(), message);
    let Some(manager) = table.field_named(&named.manager) else {
        let wrong = wrong(format!("unknown field `{}` of `{}`", named.manager, table.name));
        return Err(match nearest(&named.manager, table.fields.iter().map(|field| &*field.name)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong.help("the column that names a person's manager"),
        });
    };
    match (&table.field(manager).shape, &table.field(table.key).shape) {
        (Shape::One { by, .. }, _) => {
            let wrong = wrong(format!("`{}` is a relation and no column", named.manager));
            Err(wrong.help(format!("name its column, `{}`", name(table, *by))))
        }
        (Shape::Plain(of), Shape::Plain(key)) if of == key => Ok(manager),
        (Shape::Plain(of), Shape::Plain(key)) => {
            Err(wrong(format!("`{}` is of type {of}, but the key of `{}` is of type {key}", named.manager, table.name)))
        }
        (Shape::Many { .. } | Shape::Plain(_), _) => Err(wrong(format!("`{}` names nobody", named.manager))),
    }
}

/// Where a row says whose it is. Without any column nothing belongs to anybody.
fn tenant(table: &Table, catalog: &Catalog, layout: &mut Layout) -> Option<Vec<(Name, SlotId)>> {
    match &table.tenant {
        Tenancy::Shared => None,
        Tenancy::Columns(columns) => {
            let column =
                |(dimension, column): &(Name, FieldId)| (Arc::clone(dimension), layout.insert(&[name(table, *column)]));
            Some(columns.iter().map(column).collect())
        }
        Tenancy::Via(Parent { relation, .. }) => {
            let Shape::One { table: parent, .. } = table.field(*relation).shape else { return Some(Vec::new()) };
            let parent = catalog.table(parent);
            let Tenancy::Columns(columns) = &parent.tenant else { return Some(Vec::new()) };
            let column = |(dimension, column): &(Name, FieldId)| {
                (Arc::clone(dimension), layout.insert(&[name(table, *relation), name(parent, *column)]))
            };
            Some(columns.iter().map(column).collect())
        }
    }
}

/// What makes reading slow, or impossible for large tenants.
fn doubts(named: &HierarchyTable, table: &Table, catalog: &Catalog) -> Vec<Diagnostic> {
    let language = dialect::of(catalog.api(table.api));
    let warn = |code, message: String| Diagnostic::warning(code, named.table_span.clone(), message);
    let mut doubts = Vec::new();
    if !language.is_tenant_pushed(table) {
        let warning = warn("hierarchy-unfiltered", format!("all rows of `{}` are read for each tenant", table.name));
        doubts.push(warning.help("declare its `tenant_filter`, if the API has one"));
    }
    if let Paging { limit: Some(limit), by: None } = language.paging() {
        let message = format!("without paging, a tenant with {} people or more can't be read", limit.max);
        doubts.push(warn("hierarchy-unpaged", message).help("declare `offset` or `page`, if the API has one"));
    }
    doubts
}
