//! PostgREST's words for a condition and an order: every name is a declared column's, every value is quoted that holds more than
//! letters and digits.

use crate::api::{FieldId, Operator, Table};
use crate::dialect::{Comparison, Condition, Query};

fn name(table: &Table, field: FieldId) -> &str {
    &table.field(field).name
}

/// One part of a tree. Recursion is bounded by the parser, and by the depth of rules.
pub(super) fn condition(table: &Table, of: &Condition) -> String {
    let joined = |word: &str, parts: &[Condition]| {
        let parts: Vec<String> = parts.iter().map(|part| condition(table, part)).collect();
        format!("{word}({})", parts.join(","))
    };
    match of {
        // No record is without a key.
        Condition::And(parts) if parts.is_empty() => format!("{}.not.is.null", name(table, table.key)),
        Condition::Or(parts) if parts.is_empty() => nothing(table),
        Condition::And(parts) | Condition::Or(parts) if parts.len() == 1 => {
            parts.iter().map(|part| condition(table, part)).collect()
        }
        Condition::And(parts) => {
            list(table, parts, Operator::NotEqual, "not.in").unwrap_or_else(|| joined("and", parts))
        }
        Condition::Or(parts) => list(table, parts, Operator::Equal, "in").unwrap_or_else(|| joined("or", parts)),
        Condition::Not(part) => match &**part {
            Condition::Is(comparison) => compared(table, comparison, "not."),
            // Invariant: neither the parser nor a guard negates more than a test.
            _ => nothing(table),
        },
        Condition::Is(comparison) => compared(table, comparison, ""),
    }
}

/// A test that no record passes.
fn nothing(table: &Table) -> String {
    format!("{}.is.null", name(table, table.key))
}

/// Comparisons of one column as a list of values.
fn list(table: &Table, parts: &[Condition], operator: Operator, word: &str) -> Option<String> {
    let Some(Condition::Is(first)) = parts.first() else { return None };
    let value = |part: &Condition| match part {
        Condition::Is(one) if (one.through, one.field, one.operator) == (None, first.field, operator) => {
            Some(quoted(&one.value))
        }
        _ => None,
    };
    let values: Vec<String> = parts.iter().map(value).collect::<Option<_>>()?;
    Some(format!("{}.{word}.({})", name(table, first.field), values.join(",")))
}

fn compared(table: &Table, comparison: &Comparison, not: &str) -> String {
    if comparison.through.is_some() {
        return nothing(table);
    }
    let name = name(table, comparison.field);
    let with = |word: &str, value: &str| format!("{name}.{not}{word}.{}", quoted(value));
    let value = &comparison.value;
    match comparison.operator {
        Operator::Equal => with("eq", value),
        Operator::NotEqual => with("neq", value),
        Operator::Less => with("lt", value),
        Operator::LessOrEqual => with("lte", value),
        Operator::Greater => with("gt", value),
        Operator::GreaterOrEqual => with("gte", value),
        Operator::Null => {
            let not = if (value == "true") == not.is_empty() { "" } else { "not." };
            format!("{name}.{not}is.null")
        }
        Operator::StartsWith => with("like", &format!("{value}*")),
        Operator::EndsWith => with("like", &format!("*{value}")),
        Operator::Contains => with("like", &format!("*{value}*")),
        Operator::StartsWithAnyCase => with("ilike", &format!("{value}*")),
        Operator::EndsWithAnyCase => with("ilike", &format!("*{value}")),
        Operator::ContainsAnyCase => with("ilike", &format!("*{value}*")),
        // Invariant: neither the parser nor `add` makes lists of one comparison. Nothing is wider than nothing.
        Operator::In | Operator::NotIn | Operator::Each => nothing(table),
    }
}

/// A value in a tree.
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// With the key at the end: rows that are alike would change their pages between two requests.
pub(super) fn order(table: &Table, query: &Query) -> String {
    let key = (!query.sort.iter().any(|(field, _)| *field == table.key)).then_some((table.key, false));
    let by = |(field, down): &(FieldId, bool)| {
        let direction = if *down { "desc" } else { "asc" };
        let nulls = match (query.nulls.contains(field), down) {
            (false, _) => "",
            (true, true) => ".nullslast",
            (true, false) => ".nullsfirst",
        };
        format!("{}.{direction}{nulls}", name(table, *field))
    };
    query.sort.iter().chain(&key).map(by).collect::<Vec<_>>().join(",")
}
