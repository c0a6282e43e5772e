//! Comparisons of fields that are not clear on every record: each holds, and fails, only where its field is clear.
//!
//! What stands for a comparison in a filter is the comparison and its guard, which is a condition that lets through exactly
//! the records on which the field is clear. Its negation is the negated comparison and the same guard, so a filter is first
//! brought to a form in which only comparisons are negated: a record on which the guard doesn't hold then passes or not
//! whatever the hidden value is, also where that is null. What the upstream can't say exactly is refused. Pure.

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::{FieldId, Shape, Table, Tenancy};
use crate::dialect::{Added, Comparison, Condition, Language, Query, is_spelled};
use crate::enforcement::{Case, pushdown};
use crate::model::filter::{Filter, Leaf, Sieve, Test};
use crate::model::value::Type;
use crate::model::{Action, Name, Reason, Value};
use crate::policy::Residual;

/// A client's filter as it may be sent.
#[derive(Debug, Default, PartialEq)]
pub(in crate::enforcement) struct Guarded {
    pub filter: Condition,
    /// Which fields its guards compare, and how.
    pub names: Vec<String>,
    /// Whether it lets through nothing but records that the policies show.
    pub is_visible: bool,
}

/// Fields that are clear on every record are compared as they are; the others get their guards.
pub(in crate::enforcement) fn guarded(
    case: &Case<'_>,
    table: &Table,
    residual: &Residual,
    language: &dyn Language,
    query: &Query,
) -> Result<Guarded, Reason> {
    let comparisons = query.filter.comparisons();
    if comparisons.is_empty() {
        return Ok(Guarded { filter: query.filter.clone(), ..Guarded::default() });
    }
    let mut guards = Guards { case, table, residual, language, sent: query.clone(), made: Vec::new() };
    let mut of: HashMap<Column, Option<usize>> = HashMap::new();
    for comparison in comparisons {
        let column = (comparison.through, comparison.field);
        if let Entry::Vacant(unknown) = of.entry(column) {
            unknown.insert(guards.of(column).ok_or(Reason::QueryNotAllowed)?);
        }
    }
    let conditions: Vec<&Condition> = guards.made.iter().map(|guard| &guard.condition).collect();
    if conditions.is_empty() {
        return Ok(Guarded { filter: query.filter.clone(), ..Guarded::default() });
    }
    let rewriting = Rewriting { of: &of, conditions: &conditions };
    let whole = rewriting.part(&query.filter, true);
    let is_visible = whole.under.iter().filter_map(|guard| guards.made.get(*guard)).any(|guard| guard.is_visible);
    let filter = rewriting.closed(whole);
    // Where the tenant is not asked for, the records of all tenants would be compared.
    let is_of_tenant = language.is_tenant_pushed(table) && table.tells_tenants_apart();
    if !is_of_tenant || !language.takes(table, &filter) {
        return Err(Reason::QueryNotAllowed);
    }
    let all = conditions.into_iter().fold(Condition::default(), |all, guard| all.and(guard.clone()));
    Ok(Guarded { filter, names: Added { condition: all, exact: true }.names(table), is_visible })
}

/// A to-one relation, where there is one, and a field behind it.
type Column = (Option<FieldId>, FieldId);

struct Guards<'a> {
    case: &'a Case<'a>,
    table: &'a Table,
    residual: &'a Residual,
    language: &'a dyn Language,
    /// The client's query with what was put into it, beside which the next guard must have words.
    sent: Query,
    made: Vec<Guard>,
}

struct Guard {
    sieve: Sieve,
    condition: Condition,
    /// Whether it lets through nothing but records that the policies show.
    is_visible: bool,
}

impl Guards<'_> {
    /// The number of a field's guard, if it needs one. `None`: it may not be compared.
    fn of(&mut self, (through, field): Column) -> Option<Option<usize>> {
        let own = through.unwrap_or(field);
        let shown = match self.residual.is_clear_everywhere(own) {
            true => Sieve::exact(Filter::All),
            false => pushdown::narrow(&self.residual.clear_where(own)?, self.table),
        };
        let is_visible = shown.filter != Filter::All;
        let sieve = match through {
            None => shown,
            Some(relation) => Sieve::all(vec![shown, self.related(relation, field)?]),
        };
        if !sieve.exact {
            return None;
        }
        if sieve.filter == Filter::All {
            return Some(None);
        }
        if let Some(known) = self.made.iter().position(|guard| guard.sieve == sieve) {
            return Some(Some(known));
        }
        let Added { condition, exact } = self.language.add(self.table, &sieve, &self.sent);
        if !exact {
            return None;
        }
        self.sent.filter = std::mem::take(&mut self.sent.filter).and(condition.clone());
        self.made.push(Guard { sieve, condition, is_visible });
        Some(Some(self.made.len() - 1))
    }

    /// The records whose related record is there, of the tenant, and shows the field in clear.
    fn related(&self, relation: FieldId, field: FieldId) -> Option<Sieve> {
        let Shape::One { table: related, .. } = self.table.field(relation).shape else { return None };
        let residual = self.case.residual(related, &Action::Read)?;
        let table = self.case.catalog.table(related);
        let leaf = |field: FieldId, test| Filter::leaf(&[Name::clone(&table.field(field).name)].into(), test);
        let mut parts = Vec::new();
        match &table.tenant {
            Tenancy::Columns(columns) => {
                for (dimension, column) in columns {
                    let value = self.case.tenant.value(dimension)?;
                    let value = held(&table.field(*column).shape, value)?;
                    parts.push(leaf(*column, Test::OneOf([value].into())));
                }
            }
            // Any tenant's, as long as it is there.
            Tenancy::Shared => parts.push(leaf(table.key, Test::NotNull)),
            Tenancy::Via(_) => return None,
        }
        let there = Sieve::exact(Filter::all(parts));
        let clear = residual.clear_where(field)?;
        let whole = Sieve::all(vec![there, clear]);
        let behind = behind(&whole.filter, &self.table.field(relation).name);
        Some(pushdown::narrow(&Sieve { filter: behind, ..whole }, self.table))
    }
}

/// A tenant's name as a column holds it.
fn held(shape: &Shape, value: &Name) -> Option<Value> {
    match shape {
        Shape::Plain(Type::String) => Some(Value::String(Name::clone(value))),
        Shape::Plain(Type::Int) if is_spelled(&Type::Int, value) => value.parse().ok().map(Value::Int),
        Shape::Plain(_) | Shape::One { .. } | Shape::Many { .. } => None,
    }
}

/// A filter of related records as one of the records that lead to them.
fn behind(filter: &Filter, relation: &Name) -> Filter {
    match filter {
        Filter::All | Filter::None => filter.clone(),
        Filter::And(parts) => Filter::And(parts.iter().map(|part| behind(part, relation)).collect()),
        Filter::Or(parts) => Filter::Or(parts.iter().map(|part| behind(part, relation)).collect()),
        Filter::Leaf(Leaf { column, test }) => {
            let column: Arc<[Name]> = std::iter::once(relation).chain(column.iter()).cloned().collect();
            Filter::Leaf(Leaf { column, test: test.clone() })
        }
    }
}

struct Rewriting<'a> {
    of: &'a HashMap<Column, Option<usize>>,
    conditions: &'a [&'a Condition],
}

/// A condition that holds where it does and all of these guards do.
struct Part {
    condition: Condition,
    under: BTreeSet<usize>,
}

impl Rewriting<'_> {
    /// What holds where a condition is true, or where it is false. Recursion is bounded by the parsers.
    fn part(&self, of: &Condition, truth: bool) -> Part {
        if !self.is_guarded(of) {
            let condition = if truth { of.clone() } else { Condition::Not(Box::new(of.clone())) };
            return Part { condition, under: BTreeSet::new() };
        }
        match of {
            Condition::Not(part) => self.part(part, !truth),
            Condition::And(parts) | Condition::Or(parts) => {
                let parts: Vec<Part> = parts.iter().map(|part| self.part(part, truth)).collect();
                if matches!(of, Condition::And(_)) == truth { all(parts) } else { self.any(parts) }
            }
            Condition::Is(comparison) => {
                let condition = if truth { of.clone() } else { Condition::Not(Box::new(of.clone())) };
                Part { condition, under: self.guard(comparison).into_iter().collect() }
            }
        }
    }

    fn guard(&self, comparison: &Comparison) -> Option<usize> {
        self.of.get(&(comparison.through, comparison.field)).copied().flatten()
    }

    fn is_guarded(&self, of: &Condition) -> bool {
        of.comparisons().into_iter().any(|comparison| self.guard(comparison).is_some())
    }

    /// What all of them have over them need not be said for each.
    fn any(&self, mut parts: Vec<Part>) -> Part {
        let first = parts.first().map(|part| part.under.clone()).unwrap_or_default();
        let shared = parts.iter().fold(first, |shared, part| &shared & &part.under);
        for part in &mut parts {
            part.under = &part.under - &shared;
        }
        Part { condition: Condition::Or(parts.into_iter().map(|part| self.closed(part)).collect()), under: shared }
    }

    fn closed(&self, Part { condition, under }: Part) -> Condition {
        if under.is_empty() {
            return condition;
        }
        let guards = under.into_iter().filter_map(|guard| self.conditions.get(guard));
        // Side by side, without parentheses within each other.
        let own = if let Condition::And(_) = condition { condition } else { Condition::And(vec![condition]) };
        guards.fold(own, |all, guard| all.and((*guard).clone()))
    }
}

fn all(parts: Vec<Part>) -> Part {
    let under = parts.iter().flat_map(|part| part.under.iter().copied()).collect();
    Part { condition: Condition::And(parts.into_iter().map(|part| part.condition).collect()), under }
}
