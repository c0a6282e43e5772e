//! PostgREST's spelling of queries, for upstreams whose parameters bear operators in their values: `age=gte.18`,
//! `or=(stage.eq.won,amount.gt.5)`, `order=age.desc.nullslast`, `select=id,name`.
//!
//! What a client writes is parsed (`tree`) and printed anew (`print`): all conditions in one `and`, so that no two parameters
//! of one column meet, with every value in quotes that could be read as something else. Whatever reaches beyond the columns of
//! the table is refused as an unknown column is: embedded resources, paths into JSON, casts, aliases, aggregates, and
//! operators that aren't told here.

mod print;
#[cfg(test)]
mod tests;
mod tree;

use crate::api::{FieldId, Operator, Rest, Shape, Table};
use crate::dialect::pairs::{Pairs, number};
use crate::dialect::{Added, Comparison, Condition, Query, Scope, sieve, value};
use crate::model::filter::{Leaf, Sieve, Test};
use crate::model::value::Type;
use crate::model::{TenantScope, Value, percent};

/// Bytes of a client's filter, and of what is added to it, as they are sent: many servers take URLs of 8 KiB.
const MAX_FILTER: usize = 3 * 1024;

/// `None`: something in it can't be judged, or is nothing that is declared.
pub(super) fn parse(rest: &Rest, table: &Table, pairs: &[(String, String)]) -> Option<Query> {
    let (mut query, mut parts) = (Query::default(), Vec::new());
    let mut reading = tree::Reading::new(table);
    for (number_of, (name, text)) in pairs.iter().enumerate() {
        // Invariant of `Canonical`, held here too: the server takes both of two, or one of them.
        if pairs.iter().take(number_of).any(|(earlier, _)| earlier == name) {
            return None;
        }
        match name.as_str() {
            "select" => query.fields = chosen(table, text)?,
            "order" => ordered(table, text, &mut query)?,
            "limit" => {
                let most = rest.parameters.limit.as_ref()?.max;
                query.limit = Some(number(text).filter(|n| (1..=most).contains(n))?);
            }
            "offset" => query.offset = Some(number(text).filter(|n| *n <= super::MAX_SKIP)?),
            "and" | "or" | "not.and" | "not.or" => parts.push(reading.group(name, text)?),
            name => parts.push(reading.parameter(table.field_named(name)?, text)?),
        }
    }
    query.filter = Condition::And(parts);
    takes(table, &query.filter).then_some(query)
}

/// Columns by name, or all of them. Whatever has a sign in it renames, casts, sums, or reaches into another record.
fn chosen(table: &Table, text: &str) -> Option<Option<Vec<FieldId>>> {
    if text == "*" {
        return Some(None);
    }
    let mut fields = Vec::new();
    for name in text.split(',') {
        let field = table.field_named(name).filter(|id| matches!(table.field(*id).shape, Shape::Plain(_)))?;
        if fields.contains(&field) {
            return None;
        }
        fields.push(field);
    }
    Some(Some(fields))
}

/// `column`, `column.desc`, `column.nullsfirst`, `column.asc.nullslast`.
fn ordered(table: &Table, text: &str, query: &mut Query) -> Option<()> {
    for item in text.split(',') {
        let mut words = item.split('.');
        let field = table.field_named(words.next()?)?;
        let column = table.field(field);
        if !value::is_scalar(&column.shape) || query.sort.iter().any(|(known, _)| *known == field) {
            return None;
        }
        let mut word = words.next();
        let descending = word == Some("desc");
        if matches!(word, Some("asc" | "desc")) {
            word = words.next();
        }
        // In an ascending order null comes last.
        let is_usual = match word {
            None => true,
            Some("nullsfirst") => descending,
            Some("nullslast") => !descending,
            Some(_) => return None,
        };
        if words.next().is_some() {
            return None;
        }
        if !is_usual && column.nullable {
            query.nulls.push(field);
        }
        query.sort.push((field, descending));
    }
    Some(())
}

pub(super) fn takes(table: &Table, filter: &Condition) -> bool {
    length(table, filter) <= MAX_FILTER
}

fn length(table: &Table, filter: &Condition) -> usize {
    let mut sent = String::new();
    percent::encode(&print::condition(table, filter), &mut sent);
    sent.len()
}

/// Prints a query with the tenant filter of the table; see [`super::print`].
pub(super) fn query(rest: &Rest, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
    let mut out = Pairs::default();
    if list {
        filtered(&mut out, table, &query.filter, tenant);
    }
    if let Some(fields) = &query.fields {
        let plain = |field: &&FieldId| matches!(table.field(**field).shape, Shape::Plain(_));
        let names: Vec<&str> = fields.iter().filter(plain).map(|field| &*table.field(*field).name).collect();
        out.pair("select", &names.join(","));
    }
    if list {
        out.pair("order", &print::order(table, query));
        if let Some(limit) = &rest.parameters.limit {
            out.pair("limit", &query.limit.unwrap_or(limit.default).min(limit.max).to_string());
        }
        if let Some(offset) = query.offset.filter(|offset| *offset > 0) {
            out.pair("offset", &offset.to_string());
        }
    }
    out.0
}

/// How a write is said to be of those records. `None`: it would be of all.
pub(super) fn scope(table: &Table, filter: &Condition, tenant: &TenantScope) -> Option<Scope> {
    let mut out = Pairs::default();
    filtered(&mut out, table, filter, tenant);
    (!filter.comparisons().is_empty()).then_some(Scope::Pairs(out.0))
}

/// One tenant's records that pass a filter.
fn filtered(out: &mut Pairs, table: &Table, filter: &Condition, tenant: &TenantScope) {
    let mut all: Vec<String> = Vec::new();
    for (column, dimension) in &table.tenant_filter {
        match tenant.value(dimension) {
            Some(value) => all.push(format!("{column}.eq.{}", print::quoted(value))),
            // A tenant without the dimension owns nothing.
            None => all.extend([format!("{column}.is.null"), format!("{column}.not.is.null")]),
        }
    }
    match filter {
        Condition::And(parts) => all.extend(parts.iter().map(|part| print::condition(table, part))),
        other => all.push(print::condition(table, other)),
    }
    if !all.is_empty() {
        out.pair("and", &format!("({})", all.join(",")));
    }
}

/// A sieve in PostgREST's words.
pub(super) fn add(rest: &Rest, table: &Table, of: &Sieve) -> Added {
    let list = rest.parameters.list;
    sieve::add(of, &|of| leaf(table, of, list), MAX_FILTER, &|said| length(table, said))
}

/// Exactly what the test means, in a language in which nothing compares with null. `None`: it has no words.
fn leaf(table: &Table, leaf: &Leaf, list: usize) -> Option<Condition> {
    let [name] = &*leaf.column else { return None };
    let field = table.field_named(name)?;
    let Shape::Plain(kind) = &table.field(field).shape else { return None };
    let spelled = |value: &Value| value::spelled(kind, value);
    let is = |operator, value: String| Condition::Is(Comparison { through: None, field, operator, value });
    Some(match &leaf.test {
        Test::Null | Test::NotNull => is(Operator::Null, (leaf.test == Test::Null).to_string()),
        Test::OneOf(values) | Test::NoneOf(values) if values.len() > list => return None,
        Test::OneOf(values) => {
            let one = |value: &Value| Some(is(Operator::Equal, spelled(value)?));
            Condition::Or(values.iter().map(one).collect::<Option<_>>()?)
        }
        Test::NoneOf(values) => {
            let other = |value: &Value| Some(is(Operator::NotEqual, spelled(value)?));
            Condition::And(values.iter().map(other).collect::<Option<_>>()?)
        }
        Test::Order(sign, value) => is((*sign).into(), spelled(value)?),
        Test::Text { part, text, expected } => {
            let operator = Operator::from(*part);
            let plain = tree::is_plain(text) && value::is_spelled(&Type::String, text);
            let said = is(operator, Some(text.to_string()).filter(|_| plain)?);
            if *expected { said } else { Condition::Not(Box::new(said)) }
        }
    })
}
