//! What of a request was refused, for the audit log alone: by a name that is declared, or as unknown.
//!
//! A client is told the same of whatever it may not name. The operator, who wonders why somebody's query fails, is told what it
//! was, but never in the client's own words.

use super::{Case, query, walk};
use crate::api::{FieldId, Shape, Table, Tenancy};
use crate::dialect::{self, Expansions, Query};
use crate::model::{Action, Reason};
use crate::policy::Residual;
use crate::redact::parts;

/// What nobody has declared.
const UNKNOWN: &str = "unknown";
/// Of an array, the records that are looked at.
const MAX_ELEMENTS: usize = 1000;

impl Case<'_> {
    /// The field for which a request was refused: the first of those that it names in its query or in its body; or what the
    /// parameter is for whose value was refused as a whole. `None`: it was refused for something else.
    pub fn blamed(
        &self,
        reason: Reason,
        action: &Action,
        residual: &Residual,
        pairs: &[(String, String)],
        body: &[u8],
    ) -> Option<String> {
        let table = self.catalog.table(residual.table());
        match reason {
            Reason::QueryNotAllowed if action.writes() => {
                let reads = self.residual(table.id, &Action::Read);
                // What is understood may still choose nothing of a write.
                let language = dialect::of(self.catalog.api(table.api));
                let chooses = |name: &str| *action != Action::Delete && language.chooses(name);
                let unfit = || pairs.iter().find(|(name, _)| !chooses(name));
                self.in_query(table, reads.as_deref(), pairs)
                    .or_else(|| unfit().map(|(name, _)| self.kind(table, name)))
            }
            Reason::QueryNotAllowed => self.in_query(table, Some(residual), pairs),
            Reason::FieldNotWritable | Reason::TenantNotWritable | Reason::OwnerNotTransferable => {
                self.in_body(reason, table, residual, body)
            }
            _ => None,
        }
    }

    fn in_query(&self, table: &Table, residual: Option<&Residual>, pairs: &[(String, String)]) -> Option<String> {
        let language = dialect::of(self.catalog.api(table.api));
        let (_, pairs) = walk::named(language, pairs);
        let hidden = |query: &Query| {
            hidden(table, residual, query).or_else(|| self.hidden_behind(table, residual, &query.expand))
        };
        if let Ok(query) = language.parse(table, &pairs) {
            return hidden(&query);
        }
        pairs.iter().find_map(|pair| match language.parse(table, std::slice::from_ref(pair)) {
            Ok(query) => hidden(&query),
            Err(_) => {
                let words = pair.0.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let declared = words.filter(|word| table.field_named(word).is_some()).map(str::to_owned).next();
                Some(declared.unwrap_or_else(|| self.kind(table, &pair.0)))
            }
        })
    }

    /// The first field or relation that may not show of related records, behind the relations that lead to it. Recursion is
    /// bounded by the parsers.
    fn hidden_behind(&self, table: &Table, residual: Option<&Residual>, expand: &Expansions) -> Option<String> {
        expand.named.iter().find_map(|one| {
            let name = &table.field(one.relation).name;
            residual.filter(|residual| residual.may_show(one.relation))?;
            let (of, action) = query::related(table, one.relation)?;
            let (table, residual) = (self.catalog.table(of), self.residual(of, &action));
            let Some(residual) = residual else { return Some(name.to_string()) };
            let mut shown = one.fields.iter().flatten().copied().chain(one.below.relations());
            let own = shown.find(|field| !residual.may_show(*field)).map(|field| table.field(field).name.to_string());
            let hidden = own.or_else(|| self.hidden_behind(table, Some(&residual), &one.below))?;
            Some(format!("{name}.{hidden}"))
        })
    }

    /// What a parameter is for.
    fn kind(&self, table: &Table, parameter: &str) -> String {
        dialect::kind(self.catalog.api(table.api), parameter).unwrap_or(UNKNOWN).to_owned()
    }

    fn in_body(&self, reason: Reason, table: &Table, residual: &Residual, body: &[u8]) -> Option<String> {
        let bodies =
            if parts::is_array(body) { parts::elements(body, MAX_ELEMENTS, self.depth).ok()? } else { vec![body] };
        let is_tenants = |field: FieldId| match &table.tenant {
            Tenancy::Columns(columns) => columns.iter().any(|(_, column)| *column == field),
            Tenancy::Via(_) | Tenancy::Shared => false,
        };
        let blamed = |name: &[u8]| {
            let name = std::str::from_utf8(name).unwrap_or_default();
            let told = table.tenant_body.iter().any(|(place, _)| place.0.first().is_some_and(|first| **first == *name));
            let field = table.field_named(name);
            match (reason, field) {
                (Reason::TenantNotWritable, field) => (told || field.is_some_and(is_tenants)).then(|| name.to_owned()),
                (Reason::OwnerNotTransferable, field) => {
                    (field.is_some() && field == table.owner).then(|| name.to_owned())
                }
                (_, None) => Some(UNKNOWN.to_owned()),
                // It only names the record.
                (_, Some(field)) if field == table.key || is_tenants(field) => None,
                (_, Some(field)) => {
                    let plain = matches!(table.field(field).shape, Shape::Plain(_));
                    (!plain || !residual.may_write(field)).then(|| name.to_owned())
                }
            }
        };
        bodies.into_iter().find_map(|body| {
            let members = parts::members(body, self.depth).ok()?;
            members.iter().find_map(|(name, _)| blamed(name))
        })
    }
}

/// The first field of a query that may not be used so; under no residual, none may.
fn hidden(table: &Table, residual: Option<&Residual>, query: &Query) -> Option<String> {
    let is_clear = |field: FieldId| residual.is_some_and(|residual| residual.is_clear_everywhere(field));
    let may_show = |field: FieldId| residual.is_some_and(|residual| residual.may_show(field));
    let compared = query.filter.comparisons().into_iter().find_map(|comparison| {
        let own = comparison.through.unwrap_or(comparison.field);
        if is_clear(own) && comparison.through.is_none() {
            return None;
        }
        let name = &comparison.read(table)?.name;
        Some(match comparison.through {
            Some(relation) => format!("{}.{name}", table.field(relation).name),
            None => name.to_string(),
        })
    });
    let figures = query.figures.iter();
    let figures = figures.flat_map(|of| of.groups.iter().chain(of.measures.iter().filter_map(|one| one.of.as_ref())));
    let sorted = query.sort.iter().map(|(field, _)| field).chain(&query.searched).chain(figures).copied();
    let sorted = sorted.into_iter().find(|field| !is_clear(*field));
    let shown = query.fields.iter().flatten().copied().chain(query.expand.relations());
    let other = sorted.or_else(|| shown.into_iter().find(|field| !may_show(*field)));
    compared.or_else(|| other.map(|field| table.field(field).name.to_string()))
}
