//! A property of one record, asked for by a path of its own (OData 4.01, part 1, section 11.2.4): no more of it than a read of
//! the record would show.
//!
//! The upstream is asked for the record, never for the property: its own answer to such a path says nothing of whose the
//! record is, and nothing of who may see it. What is not declared, may not be shown, or leads to records that the caller may
//! not read is one and the same, before anything is asked.

use std::sync::Arc;

use super::{Case, Fetch, Permit};
use crate::api::{FieldId, Route, Shape, Table};
use crate::dialect::{Expansions, Query};
use crate::model::{Action, Name, Reason};
use crate::policy::Residual;

impl Case<'_> {
    /// The property that a path calls so. `raw`: its value alone. Errors: `RecordHidden`, where there is no such property for
    /// this caller.
    pub fn property(&self, residual: &Residual, name: &str, raw: bool) -> Result<FieldId, Reason> {
        let table = self.catalog.table(residual.table());
        let field = table.field_named(name).filter(|field| residual.may_show(*field)).ok_or(Reason::RecordHidden)?;
        let is_there = match &table.field(field).shape {
            Shape::Plain(of) => !raw || of.is_primitive(),
            Shape::One { table, .. } => !raw && self.residual(*table, &Action::Read).is_some(),
            // A list of its own, which has filters and pages.
            Shape::Many { .. } => false,
        };
        if is_there { Ok(field) } else { Err(Reason::RecordHidden) }
    }

    /// The record, for a property of it. Errors: `QueryNotAllowed`, for nothing can be asked of a property.
    pub fn read_property(
        &self,
        route: &Route,
        variables: &[(Name, String)],
        residual: Arc<Residual>,
        property: FieldId,
        pairs: &[(String, String)],
    ) -> Result<Permit<Fetch>, Reason> {
        if !pairs.is_empty() {
            return Err(Reason::QueryNotAllowed);
        }
        let table = self.catalog.table(residual.table());
        self.read_as(route, variables, residual, query(table, property))
    }
}

fn query(table: &Table, property: FieldId) -> Query {
    match table.field(property).shape {
        Shape::Plain(_) => Query { fields: Some(vec![property]), ..Query::default() },
        Shape::One { .. } | Shape::Many { .. } => {
            Query { fields: Some(Vec::new()), expand: Expansions::from_iter([property]), ..Query::default() }
        }
    }
}
