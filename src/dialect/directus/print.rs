//! A query in Directus' words: a filter as JSON, and every column by its name.

use super::raw::Node;
use super::{aggregate, filter, value};
use crate::api::{Directus, FieldId, Operator, Parent, Reach, Shape, Table, Tenancy};
use crate::dialect::figures::By;
use crate::dialect::pairs::Pairs;
use crate::dialect::{Comparison, Condition, Expansion, Expansions, Figures, Query};
use crate::model::{Name, TenantScope};

/// `tenant`: for a list.
pub(super) fn query(directus: &Directus, table: &Table, query: &Query, tenant: Option<&TenantScope>) -> String {
    let mut out = Pairs::default();
    if let Some(filter) = tenant.and_then(|tenant| filtered(table, &query.filter, tenant)) {
        out.pair("filter", &filter.to_string());
    }
    if let (Some(_), Some(figures)) = (tenant, &query.figures) {
        grouped(&mut out, directus, table, query, figures);
        return out.0;
    }
    projection(&mut out, table, query);
    if tenant.is_some() {
        // Rows that are alike would change their pages between two requests.
        let key = (!query.sort.iter().any(|(field, _)| *field == table.key)).then_some((table.key, false));
        let by = |(field, down): &(FieldId, bool)| format!("{}{}", if *down { "-" } else { "" }, name(table, *field));
        out.pair("sort", &query.sort.iter().chain(&key).map(by).collect::<Vec<_>>().join(","));
        pages(&mut out, directus, query);
        if query.count {
            out.pair("meta", "filter_count");
        }
    }
    out.0
}

/// One tenant's records that pass a filter.
fn filtered(table: &Table, filter: &Condition, tenant: &TenantScope) -> Option<Node> {
    joined("_and", tenants(table, tenant).into_iter().chain(condition(table, filter)).collect())
}

/// The same as the `query` of a write. `None`: it would be of all records.
pub(super) fn scope(table: &Table, filter: &Condition, tenant: &TenantScope) -> Option<String> {
    condition(table, filter)?;
    let filter = filtered(table, filter, tenant)?;
    Some(Node::Object(vec![("filter".to_owned(), filter)]).to_string())
}

/// What is asked of the records that the filter leaves. Groups have an order, or pages of them would differ between two
/// requests.
fn grouped(out: &mut Pairs, directus: &Directus, table: &Table, query: &Query, figures: &Figures) {
    if let Some(aggregate) = aggregate::print(table, figures) {
        out.pair("aggregate", &aggregate);
    }
    if figures.groups.is_empty() {
        return;
    }
    out.pair("groupBy", &figures.groups.iter().map(|field| name(table, *field)).collect::<Vec<_>>().join(","));
    let by = figures.ordered().filter_map(|(by, down)| match by {
        By::Group(field) => Some(format!("{}{}", if down { "-" } else { "" }, name(table, field))),
        // Invariant: the parser makes none.
        By::Measure(_) => None,
    });
    out.pair("sort", &by.collect::<Vec<_>>().join(","));
    pages(out, directus, query);
}

fn pages(out: &mut Pairs, directus: &Directus, query: &Query) {
    out.pair("limit", &query.limit.unwrap_or(directus.page).min(directus.max_page).to_string());
    if let Some(offset) = query.offset.filter(|offset| *offset > 0) {
        out.pair("offset", &offset.to_string());
    }
    if let Some(page) = query.page {
        out.pair("page", &page.to_string());
    }
}

/// Every column that is to move. A to-one relation comes under its own name beside its column, as rules read them; of a
/// to-many one all records are asked for, or those that are hidden would take places.
fn projection(out: &mut Pairs, table: &Table, query: &Query) {
    let mut fields = Vec::new();
    columns(&mut fields, "", table.reach(), query.fields.as_deref(), &query.expand);
    out.pair("fields", &fields.join(","));
    let aliases = aliases(table.reach(), query).unwrap_or_default();
    let said = |(known, column): (&str, &str)| (known.to_owned(), Node::Text(column.to_owned()));
    let aliases: Vec<(String, Node)> = aliases.into_iter().map(said).collect();
    if !aliases.is_empty() {
        out.pair("alias", &Node::Object(aliases.clone()).to_string());
    }
    let deep = deep(table.reach(), &query.expand, &aliases);
    if !deep.is_empty() {
        out.pair("deep", &Node::Object(deep).to_string());
    }
}

/// The columns of a record, and then those of its related ones. Recursion is bounded by the parser, and by the rules of tables.
fn columns(out: &mut Vec<String>, before: &str, table: Reach<'_>, fields: Option<&[FieldId]>, expand: &Expansions) {
    let mut column = |field: FieldId| {
        let name = table.field(field).filter(|_| table.is_plain(field)).map(|field| &field.name);
        out.extend(name.map(|name| format!("{before}{name}")));
    };
    match fields {
        Some(fields) => fields.iter().copied().for_each(&mut column),
        None => table.plain().for_each(&mut column),
    }
    for one in &expand.named {
        if let Some((field, related)) = table.field(one.relation).zip(table.beyond(one.relation)) {
            columns(out, &format!("{before}{}.", field.name), related, one.fields.as_deref(), &one.below);
        }
    }
}

/// The columns that stand behind the names of to-one relations. Older servers take a name for its column wherever it stands,
/// on whatever level. `None`: one would stand for two columns, or in the place of something else that is asked for.
pub(super) fn aliases<'t>(table: Reach<'t>, query: &Query) -> Option<Vec<(&'t str, &'t str)>> {
    let mut aliases = Vec::new();
    collect(&mut aliases, table, &query.expand)?;
    let is_free = |name: &str| !aliases.iter().any(|(alias, _)| *alias == name);
    are_free(table, query.fields.as_deref(), &query.expand, &is_free).then_some(aliases)
}

fn collect<'t>(aliases: &mut Vec<(&'t str, &'t str)>, table: Reach<'t>, expand: &Expansions) -> Option<()> {
    for one in &expand.named {
        let name = &*table.field(one.relation)?.name;
        if let Some(column) = table.column_of(one.relation) {
            match aliases.iter().find(|(alias, _)| *alias == name) {
                Some((_, known)) if *known != column => return None,
                Some(_) => {}
                None => aliases.push((name, column)),
            }
        }
        if let Some(related) = table.beyond(one.relation) {
            collect(aliases, related, &one.below)?;
        }
    }
    Some(())
}

/// Whether none of these is the name of a column or of a to-many relation that is asked for.
fn are_free(table: Reach<'_>, fields: Option<&[FieldId]>, expand: &Expansions, is_free: &dyn Fn(&str) -> bool) -> bool {
    let is_own = |field: FieldId| table.field(field).is_none_or(|field| is_free(&field.name));
    let mut columns = table.plain().filter(|field| fields.is_none_or(|fields| fields.contains(field)));
    let mut many = expand.relations().filter(|relation| table.column_of(*relation).is_none());
    let below = |one: &Expansion| {
        let related = table.beyond(one.relation);
        related.is_none_or(|related| are_free(related, one.fields.as_deref(), &one.below, is_free))
    };
    columns.all(is_own) && many.all(is_own) && expand.named.iter().all(below)
}

/// That all records of to-many relations are to come, and the aliases once more wherever one is used: newer servers know of an
/// alias only the level that it is said for.
fn deep(table: Reach<'_>, expand: &Expansions, aliases: &[(String, Node)]) -> Vec<(String, Node)> {
    let level = |one: &Expansion| {
        let related = table.beyond(one.relation);
        let mut inside = related.map(|related| deep(related, &one.below, aliases)).unwrap_or_default();
        if related.is_some_and(|related| one.below.relations().any(|below| related.column_of(below).is_some())) {
            inside.insert(0, ("_alias".to_owned(), Node::Object(aliases.to_vec())));
        }
        if table.column_of(one.relation).is_none() {
            inside.insert(0, ("_limit".to_owned(), Node::Number("-1".to_owned())));
        }
        let name = table.field(one.relation).map(|field| field.name.to_string())?;
        (!inside.is_empty()).then_some((name, Node::Object(inside)))
    };
    expand.named.iter().filter_map(level).collect()
}

fn name(table: &Table, field: FieldId) -> &str {
    &table.field(field).name
}

/// One tenant's records, or those whose parents are. What has no parent equals nothing there.
fn tenants(table: &Table, tenant: &TenantScope) -> Vec<Node> {
    let own = |dimension: &Name, column: Option<(Option<FieldId>, FieldId)>| {
        let value = tenant.value(dimension).map_or("", |value| value);
        let sayable = |(through, field)| match &table.reached(through, field)?.shape {
            Shape::Plain(kind) => (!value.is_empty() && value::is_sayable(kind, value)).then_some((through, field)),
            Shape::One { .. } | Shape::Many { .. } => None,
        };
        // A tenant that can't be said owns nothing.
        let Some((through, field)) = column.and_then(sayable) else { return nothing(table) };
        compared(table, &Comparison { through, field, operator: Operator::Equal, value: value.to_owned() }, true)
    };
    match &table.tenant {
        Tenancy::Shared => Vec::new(),
        Tenancy::Columns(columns) => {
            columns.iter().map(|(dimension, column)| own(dimension, Some((None, *column)))).collect()
        }
        Tenancy::Via(Parent { relation, columns }) => {
            columns.iter().map(|of| own(&of.dimension, table.lent(*relation, of))).collect()
        }
    }
}

/// A filter that no record passes: none is without a key.
fn nothing(table: &Table) -> Node {
    test(name(table, table.key), "_null", Node::Bool(true))
}

fn test(column: &str, operator: &str, value: Node) -> Node {
    Node::Object(vec![(column.to_owned(), Node::Object(vec![(operator.to_owned(), value)]))])
}

/// A test of the column that is compared: of a related record, below the column that points to it.
fn tested(table: &Table, comparison: &Comparison, operator: &str, value: Node) -> Node {
    let Some(column) = comparison.read(table) else { return nothing(table) };
    let own = test(&column.name, operator, value);
    match comparison.through.map(|relation| &table.field(relation).shape) {
        None => own,
        Some(Shape::One { by, .. }) => Node::Object(vec![(name(table, *by).to_owned(), own)]),
        Some(_) => nothing(table),
    }
}

fn joined(word: &str, mut parts: Vec<Node>) -> Option<Node> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Node::Object(vec![(word.to_owned(), Node::List(parts))])),
    }
}

/// `None`: it lets everything through. Recursion is bounded by the parser, and by the depth of rules.
pub(super) fn condition(table: &Table, of: &Condition) -> Option<Node> {
    match of {
        Condition::And(parts) => {
            let all = || joined("_and", parts.iter().filter_map(|part| condition(table, part)).collect());
            list(table, parts, Operator::NotEqual, "_nin").or_else(all)
        }
        Condition::Or(parts) => {
            if let Some(list) = list(table, parts, Operator::Equal, "_in") {
                return Some(list);
            }
            // Beside what lets everything through, no other part matters.
            let parts: Vec<Node> = parts.iter().map(|part| condition(table, part)).collect::<Option<_>>()?;
            Some(joined("_or", parts).unwrap_or_else(|| nothing(table)))
        }
        Condition::Not(part) => Some(match &**part {
            Condition::Is(comparison) => compared(table, comparison, false),
            _ => nothing(table),
        }),
        Condition::Is(comparison) => Some(compared(table, comparison, true)),
    }
}

/// Two or more comparisons of one column as a list of values. Of bools the server takes none.
fn list(table: &Table, parts: &[Condition], operator: Operator, word: &str) -> Option<Node> {
    let [Condition::Is(first), _, ..] = parts else { return None };
    let shape = &first.read(table)?.shape;
    let is_same = |one: &Comparison| (one.through, one.field, one.operator) == (first.through, first.field, operator);
    let value = |part: &Condition| match part {
        Condition::Is(one) if is_same(one) => Some(value::node(shape, &one.value)),
        _ => None,
    };
    let values: Vec<Node> = parts.iter().map(value).collect::<Option<_>>()?;
    (!values.iter().any(|value| matches!(value, Node::Bool(_)))).then(|| tested(table, first, word, Node::List(values)))
}

/// What has no words finds nothing.
fn compared(table: &Table, comparison: &Comparison, expected: bool) -> Node {
    let Some(column) = comparison.read(table) else { return nothing(table) };
    let of = value::node(&column.shape, &comparison.value);
    let test = |word: &str, of: Node| tested(table, comparison, word, of);
    let is_empty = comparison.value.is_empty();
    let word = match comparison.operator {
        // Elsewhere than in a list, the server takes no empty text.
        Operator::Equal if expected && is_empty => return test("_in", Node::List(vec![of])),
        Operator::NotEqual if expected && is_empty => return test("_nin", Node::List(vec![of])),
        Operator::Equal if expected => "_eq",
        Operator::NotEqual if expected => "_neq",
        Operator::Less if expected => "_lt",
        Operator::LessOrEqual if expected => "_lte",
        Operator::Greater if expected => "_gt",
        Operator::GreaterOrEqual if expected => "_gte",
        Operator::Null if expected => {
            return test(if comparison.value == "true" { "_null" } else { "_nnull" }, Node::Bool(true));
        }
        pattern => {
            let known = filter::PATTERNS.iter().find(|(operator, ..)| *operator == pattern);
            match known.map(|(_, found, not_found)| if expected { *found } else { *not_found }) {
                Some(word) if !word.is_empty() => word,
                _ => return nothing(table),
            }
        }
    };
    test(word, of)
}
