//! A query in OData's words: every name declared, every literal of its property's type, every alternative in parentheses.

use super::{apply, expand};
use crate::api::{FieldId, Lent, Odata, Operator, Shape, Table, Tenancy};
use crate::dialect::pairs::Pairs;
use crate::dialect::{Comparison, Condition, Query, value};
use crate::model::TenantScope;
use crate::model::value::Type;

/// `of`: the service and the tenant, for a list.
pub(super) fn query(table: &Table, query: &Query, of: Option<(&Odata, &TenantScope)>) -> String {
    let mut out = Pairs::default();
    if let (Some((_, tenant)), Some(figures)) = (of, &query.figures) {
        out.pair("$apply", &apply::print(table, figures, &conditions(table, query, tenant)));
        let is_paged = query.limit.is_some() || query.offset.is_some();
        if is_paged || !figures.sort.is_empty() {
            out.pair("$orderby", &apply::print_sort(table, figures));
        }
        if let Some(limit) = query.limit {
            out.pair("$top", &limit.to_string());
        }
        if let Some(offset) = query.offset.filter(|offset| *offset > 0) {
            out.pair("$skip", &offset.to_string());
        }
        return out.0;
    }
    if let Some((_, tenant)) = of {
        found(&mut out, table, query, tenant);
        if !query.sort.is_empty() {
            let by = |(field, down): &(FieldId, bool)| {
                format!("{}{}", name(table, *field), if *down { " desc" } else { "" })
            };
            out.pair("$orderby", &query.sort.iter().map(by).collect::<Vec<_>>().join(","));
        }
    }
    if let Some(fields) = &query.fields {
        out.pair("$select", &expand::selected(table.reach(), fields));
    }
    if !query.expand.named.is_empty() {
        out.pair("$expand", &expand::print(table.reach(), &query.expand));
    }
    if let Some((odata, _)) = of {
        out.pair("$top", &query.limit.unwrap_or(odata.default).min(odata.max).to_string());
        if let Some(offset) = query.offset.filter(|offset| *offset > 0) {
            out.pair("$skip", &offset.to_string());
        }
        if query.count {
            out.pair("$count", "true");
        }
    }
    out.0
}

/// For how many records there are.
pub(super) fn count(table: &Table, query: &Query, tenant: &TenantScope) -> String {
    let mut out = Pairs::default();
    found(&mut out, table, query, tenant);
    out.0
}

/// Which records it is about.
fn found(out: &mut Pairs, table: &Table, query: &Query, tenant: &TenantScope) {
    let conditions = conditions(table, query, tenant);
    if !conditions.is_empty() {
        out.pair("$filter", &conditions);
    }
    if let Some(search) = &query.search {
        out.pair("$search", search);
    }
}

/// The tenant's and all others, side by side.
fn conditions(table: &Table, query: &Query, tenant: &TenantScope) -> String {
    let mut all: Vec<String> = tenant_filter(table, tenant);
    match &query.filter {
        // Without parentheses of their own.
        Condition::And(parts) => all.extend(parts.iter().map(|part| condition(table, part))),
        other => all.push(condition(table, other)),
    }
    all.join(" and ")
}

fn tenant_filter(table: &Table, tenant: &TenantScope) -> Vec<String> {
    let columns = match &table.tenant {
        Tenancy::Columns(columns) => columns,
        Tenancy::Via(parent) => {
            return parent.columns.iter().map(|of| parents(table, parent.relation, of, tenant)).collect();
        }
        Tenancy::Shared => return Vec::new(),
    };
    let own = |field: FieldId, value: &str| {
        let comparison = Comparison { through: None, field, operator: Operator::Equal, value: value.to_owned() };
        match &table.field(field).shape {
            Shape::Plain(kind) if value::is_spelled(kind, value) => compared(table, &comparison),
            // A tenant that the column can't hold owns nothing: no key is null.
            _ => format!("{} eq null", name(table, table.key)),
        }
    };
    let value = |dimension: &str| tenant.value(dimension).map_or("", |value| value);
    columns.iter().map(|(dimension, column)| own(*column, value(dimension))).collect()
}

/// One tenant's in a column of the parent, which a record without a parent does not equal (OData 4.01, part 2, section
/// 5.1.1.1.1).
fn parents(table: &Table, relation: FieldId, lent: &Lent, tenant: &TenantScope) -> String {
    match tenant.value(&lent.dimension).filter(|value| value::is_spelled(&lent.of, value)) {
        Some(value) => format!("{}/{} eq {}", name(table, relation), lent.column, quoted(&lent.of, value)),
        None => format!("{} eq null", name(table, table.key)),
    }
}

fn name(table: &Table, field: FieldId) -> &str {
    &table.field(field).name
}

/// A property's name, behind that of the navigation property that leads to it.
fn path(table: &Table, comparison: &Comparison) -> String {
    let property = comparison.read(table).map_or("", |field| &field.name);
    match comparison.through {
        Some(relation) => format!("{}/{property}", name(table, relation)),
        None => property.to_owned(),
    }
}

/// One that needs no parentheses beside `and`. Recursion is bounded by the parser, and by the depth of rules.
pub(super) fn condition(table: &Table, of: &Condition) -> String {
    let joined = |parts: &[Condition], word: &str| {
        parts.iter().map(|part| condition(table, part)).collect::<Vec<_>>().join(word)
    };
    match of {
        Condition::And(parts) if parts.is_empty() => "true".to_owned(),
        Condition::Or(parts) if parts.is_empty() => "false".to_owned(),
        Condition::And(parts) => format!("({})", joined(parts, " and ")),
        Condition::Or(parts) => list(table, parts).unwrap_or_else(|| format!("({})", joined(parts, " or "))),
        Condition::Not(part) => format!("not ({})", condition(table, part)),
        Condition::Is(comparison) => compared(table, comparison),
    }
}

/// Alternatives that are values of one property.
fn list(table: &Table, parts: &[Condition]) -> Option<String> {
    let Some(Condition::Is(first)) = parts.first() else { return None };
    let literal = |part: &Condition| match part {
        Condition::Is(one) if (one.through, one.field) == (first.through, first.field) => {
            (one.operator == Operator::Equal).then(|| literal(table, one))
        }
        _ => None,
    };
    let literals: Vec<String> = parts.iter().map(literal).collect::<Option<_>>()?;
    Some(format!("{} in ({})", path(table, first), literals.join(",")))
}

fn compared(table: &Table, comparison: &Comparison) -> String {
    let name = path(table, comparison);
    let with = |word: &str| format!("{name} {word} {}", literal(table, comparison));
    let function = |word: &str| format!("{word}({name},{})", literal(table, comparison));
    match comparison.operator {
        Operator::Equal | Operator::Each => with("eq"),
        Operator::NotEqual => with("ne"),
        Operator::Less => with("lt"),
        Operator::LessOrEqual => with("le"),
        Operator::Greater => with("gt"),
        Operator::GreaterOrEqual => with("ge"),
        Operator::Contains => function("contains"),
        Operator::StartsWith => function("startswith"),
        Operator::EndsWith => function("endswith"),
        Operator::Null if comparison.value == "true" => format!("{name} eq null"),
        Operator::Null => format!("{name} ne null"),
        // Only a search is made so. The service folds both sides in its own way.
        Operator::ContainsAnyCase => format!("contains(tolower({name}),tolower({}))", literal(table, comparison)),
        // Invariant: neither the parser nor `add` makes lists of one comparison, or others that fold letters. Nothing is
        // wider than nothing.
        Operator::In | Operator::NotIn | Operator::StartsWithAnyCase | Operator::EndsWithAnyCase => "false".to_owned(),
    }
}

/// Invariant: a value is spelled as its type is, so that what isn't a text has no quote.
fn quoted(of: &Type, value: &str) -> String {
    match of {
        Type::String => format!("'{}'", value.replace('\'', "''")),
        _ => value.to_owned(),
    }
}

/// Invariant: a value is spelled as its property's type is, so that what isn't a text has no quote.
fn literal(table: &Table, comparison: &Comparison) -> String {
    match comparison.read(table).map(|field| &field.shape) {
        Some(Shape::Plain(kind)) if *kind != Type::String => comparison.value.clone(),
        _ => format!("'{}'", comparison.value.replace('\'', "''")),
    }
}
