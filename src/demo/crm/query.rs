//! Queries of the demo CRM: filters, sorting, pages, projection and expansion, as config/apis/demo-crm.yaml spells them.
//!
//! Like many real APIs it ignores what it does not know, and compares as SQL does: null is neither equal nor unequal.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::demo::data::{Row, Store};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Name and value pairs of a query string, decoded, in order.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding; what is not one stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%');
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The value given last, as most frameworks take it.
fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

pub(super) fn list(store: &Store, table: &str, query: &[(String, String)]) -> Value {
    let mut rows: Vec<&Row> =
        store.rows(table).filter(|row| query.iter().all(|(name, value)| passes(row, name, value))).collect();
    for key in parameter(query, "sort").unwrap_or("id").split(',').rev() {
        let (column, descending) = key.strip_prefix('-').map_or((key, false), |column| (column, true));
        rows.sort_by(|a, b| {
            let (a, b) = (a.get(column).unwrap_or(&Value::Null), b.get(column).unwrap_or(&Value::Null));
            if descending { order(b, a) } else { order(a, b) }
        });
    }
    let number = |name: &str| parameter(query, name).and_then(|value| value.parse::<usize>().ok());
    let limit = number("limit").unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let offset = number("offset").unwrap_or_default();
    let page: Vec<Value> = rows.iter().skip(offset).take(limit).map(|row| project(store, row, query)).collect();
    json!({
        "data": page,
        "meta": { "total": rows.len(), "limit": limit, "offset": offset, "debug": "SECRET-DEBUG" },
    })
}

/// Whether a row passes one parameter. One that is no filter on a column passes everything.
fn passes(row: &Row, name: &str, wanted: &str) -> bool {
    let (column, operator) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((column, operator)) => (column, operator),
        None => (name, "eq"),
    };
    let Some(value) = row.get(column) else { return true };
    match operator {
        "eq" => compare(value, wanted) == Some(Ordering::Equal),
        "ne" => compare(value, wanted).is_some_and(Ordering::is_ne),
        "lt" => compare(value, wanted).is_some_and(Ordering::is_lt),
        "le" => compare(value, wanted).is_some_and(Ordering::is_le),
        "gt" => compare(value, wanted).is_some_and(Ordering::is_gt),
        "ge" => compare(value, wanted).is_some_and(Ordering::is_ge),
        "in" => wanted.split(',').any(|one| compare(value, one) == Some(Ordering::Equal)),
        _ => true,
    }
}

/// `None` where SQL says unknown.
fn compare(value: &Value, wanted: &str) -> Option<Ordering> {
    match value {
        Value::String(text) => Some(text.as_str().cmp(wanted)),
        Value::Number(number) => number.as_f64()?.partial_cmp(&wanted.parse::<f64>().ok()?),
        Value::Bool(flag) => Some(flag.cmp(&wanted.parse::<bool>().ok()?)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// For sorting; null comes last.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => a.is_null().cmp(&b.is_null()),
    }
}

/// A row as it is sent: the named columns or all, and the related records asked for, whole.
pub(super) fn project(store: &Store, row: &Row, query: &[(String, String)]) -> Value {
    let mut out = match parameter(query, "fields") {
        Some(fields) => fields.split(',').filter_map(|f| Some((f.to_owned(), row.get(f)?.clone()))).collect(),
        None => row.clone(),
    };
    for relation in parameter(query, "expand").unwrap_or_default().split(',') {
        let (table, by) = match relation {
            "account" => ("accounts", "account_id"),
            "owner" => ("users", "owner_id"),
            _ => continue,
        };
        let Some(key) = row.get(by) else { continue };
        let related = store.find(table, key.to_string().trim_matches('"'));
        out.insert(relation.to_owned(), related.map_or(Value::Null, |related| Value::Object(related.row.clone())));
    }
    Value::Object(out)
}
