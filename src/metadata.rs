//! Documents about an API's tables, made from its description and cut to what one caller may see.
//!
//! Nothing of the upstream's own documents is in them, so nothing of these can leak: what the caller has no grant on is
//! never written. A table is there if the caller may do something on it, a field if some grant may show or write it, a
//! relation if both of its sides are there. What is hidden and what does not exist make the same bytes. Pure.

mod csdl;
mod openapi;

use std::sync::Arc;

use crate::api::{Api, ApiId, Document, FieldId, Route, RouteKind, Shape, Table, TableId};
use crate::enforcement::Case;
use crate::model::value::Type;
use crate::model::{Action, TenantScope};
use crate::policy::{Decision, Mask, Residual, Visibility};

/// What one caller may see of an API.
pub struct Seen<'a> {
    api: &'a Api,
    tenant: &'a TenantScope,
    tables: Vec<SeenTable<'a>>,
}

struct SeenTable<'a> {
    table: &'a Table,
    /// With the routes that there are, of those whose action is granted.
    operations: Vec<(&'a Route, &'a Action, Arc<Residual>)>,
    /// In declared order.
    fields: Vec<SeenField<'a>>,
    /// Whether it may be asked how many records there are, and what they come to.
    figures: bool,
}

struct SeenField<'a> {
    id: FieldId,
    name: &'a str,
    kind: SeenKind,
    /// Whether it can be read at all; others can only be written.
    read: bool,
    /// Whether it shows masked on some records: then it tells no records apart and leads to none.
    masked: bool,
    /// Whether a mask makes it null on some records, whatever it is.
    nulled: bool,
}

enum SeenKind {
    Plain(Kind),
    One { table: TableId, by: FieldId },
    Many { table: TableId },
}

/// What values of a field look like to this caller.
#[derive(Clone, PartialEq)]
enum Kind {
    /// As declared, or what stands for it on every record.
    Of(Type),
    /// The one or the other, from record to record.
    Mixed,
}

/// A document as it leaves.
pub struct Written {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

impl<'a> Seen<'a> {
    /// `None`: there is nothing for this caller, not even the document.
    pub fn of(case: &Case<'a>, id: ApiId) -> Option<Self> {
        let api = case.catalog.api(id);
        let tables: Vec<&Table> = case.catalog.tables().filter(|table| table.api == id).collect();
        let mut seen: Vec<SeenTable<'a>> = tables
            .into_iter()
            .map(|table| SeenTable::of(case, api, table))
            .filter(|seen| !seen.operations.is_empty())
            .collect();
        // A relation is there only if what it leads to is, in the way in which it would be judged.
        let readable: Vec<(TableId, bool, bool)> = seen
            .iter()
            .map(|seen| (seen.table.id, seen.residual(case, &Action::Read), seen.residual(case, &Action::List)))
            .collect();
        for table in &mut seen {
            table.fields.retain(|field| match field.kind {
                SeenKind::Plain(_) => true,
                SeenKind::One { table, .. } => readable.iter().any(|(id, read, _)| *id == table && *read),
                SeenKind::Many { table } => readable.iter().any(|(id, _, list)| *id == table && *list),
            });
        }
        (!seen.is_empty()).then_some(Self { api, tenant: case.tenant, tables: seen })
    }

    /// `json`: where there is a choice. `route`: by which the document is asked for.
    pub fn write(&self, document: Document, route: &Route, json: bool) -> Written {
        match document {
            Document::Openapi => Written { media_type: "application/json", bytes: openapi::write(self) },
            Document::Service => csdl::service(self, &route.path.segments),
            Document::Csdl => {
                let root = route.path.segments.split_last().map_or(&[][..], |(_, root)| root);
                csdl::write(self, root, json)
            }
        }
    }

    fn table(&self, id: TableId) -> Option<&SeenTable<'a>> {
        self.tables.iter().find(|seen| seen.table.id == id)
    }
}

impl<'a> SeenTable<'a> {
    fn of(case: &Case<'a>, api: &'a Api, table: &'a Table) -> Self {
        let routes = api.routes.iter().filter_map(|route| match &route.kind {
            RouteKind::Table { table: of, action } if *of == table.id => Some((route, action)),
            _ => None,
        });
        let decided = |action: &Action| match case.decide(table.id, action) {
            Decision::Allow(residual) | Decision::Conditional(residual) => Some(residual),
            Decision::Deny(..) => None,
        };
        let operations: Vec<(&Route, &Action, Arc<Residual>)> =
            routes.filter_map(|(route, action)| Some((route, action, decided(action)?))).collect();
        let reading: Vec<&Residual> = operations
            .iter()
            .filter(|(_, action, _)| matches!(action, Action::List | Action::Read))
            .map(|(_, _, residual)| &**residual)
            .collect();
        let fields = table.field_ids().filter_map(|id| {
            let field = table.field(id);
            let showing: Vec<&Residual> = reading.iter().copied().filter(|residual| residual.may_show(id)).collect();
            let writable = operations.iter().any(|(_, action, residual)| action.writes() && residual.may_write(id));
            let kind = match &field.shape {
                Shape::Plain(of) => SeenKind::Plain(kind(of, &showing, id)),
                Shape::One { table, by } => SeenKind::One { table: *table, by: *by },
                Shape::Many { table } => SeenKind::Many { table: *table },
            };
            let read = !showing.is_empty();
            let forms = || showing.iter().flat_map(|residual| residual.forms(id));
            let masked = forms().any(|form| matches!(form, Visibility::Masked(_)));
            let nulled = forms().any(|form| *form == Visibility::Masked(Mask::Null));
            (read || writable).then_some(SeenField { id, name: &field.name, kind, read, masked, nulled })
        });
        let fields = fields.collect();
        let listing = operations.iter().find(|(_, action, _)| **action == Action::List);
        let figures = listing.is_some_and(|(_, _, residual)| case.tells_figures(residual));
        Self { table, operations, fields, figures }
    }

    fn residual(&self, case: &Case<'_>, action: &Action) -> bool {
        matches!(case.decide(self.table.id, action), Decision::Allow(_) | Decision::Conditional(_))
    }

    fn operation(&self, wanted: &Action) -> Option<&(&'a Route, &'a Action, Arc<Residual>)> {
        self.operations.iter().find(|(_, action, _)| *action == wanted)
    }

    /// A field that can be read, in clear on each record that shows it.
    fn clear(&self, id: FieldId) -> Option<&SeenField<'a>> {
        self.readable(id).filter(|field| !field.masked)
    }

    /// A field that can be read.
    fn readable(&self, id: FieldId) -> Option<&SeenField<'a>> {
        self.fields.iter().find(|field| field.id == id && field.read)
    }
}

/// What only can be written is as declared, and null, which any value may be, is of no other type.
fn kind(of: &Type, showing: &[&Residual], field: FieldId) -> Kind {
    let forms = showing.iter().flat_map(|residual| residual.forms(field));
    let mut kinds = forms.filter_map(|form| match form {
        Visibility::Masked(Mask::Null) => None,
        Visibility::Masked(mask) => Some(masked(of, mask)),
        Visibility::Clear | Visibility::Removed => Some(of.clone()),
    });
    let first = kinds.next().unwrap_or_else(|| of.clone());
    if kinds.all(|kind| kind == first) { Kind::Of(first) } else { Kind::Mixed }
}

/// What a mask makes of values of a type. Of a list, each element is masked.
fn masked(of: &Type, mask: &Mask) -> Type {
    match (mask, of) {
        (Mask::Truncate(_) | Mask::Constant(_) | Mask::Null, _) => of.clone(),
        (Mask::Partial | Mask::Last4 | Mask::Tokenise | Mask::Hash, Type::List(_)) => {
            Type::List(Box::new(Type::String))
        }
        (Mask::Partial | Mask::Last4 | Mask::Tokenise | Mask::Hash, _) => Type::String,
    }
}
