//! Request bodies: which fields a client wants to write, and the body that goes upstream in its place.
//!
//! A body is one JSON object of declared plain fields. Unknown fields, repeated fields, relations as nested objects
//! (nested writes) and to-many lists are refused. The body that is sent is built from what was understood.

use std::borrow::Cow;
use std::collections::HashSet;

use super::parts::walk;
use super::scan::{Scan, Span};
use super::{kind, text};
use crate::api::{Field, FieldId, Push, Shape, Table};
use crate::model::Value;
use crate::model::value::Type;
use crate::redact::Unreadable;

/// One field of a request body with its raw JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'b> {
    pub field: FieldId,
    pub raw: &'b [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<'b> {
    pub fields: Vec<Change<'b>>,
    /// The body names a member that is not declared, or writes a related object.
    pub undeclared: bool,
}

/// Reads a request body. Errors: not one valid JSON object, or a repeated member.
pub fn read<'b>(body: &'b [u8], table: &Table, depth: usize) -> Result<Changes<'b>, Unreadable> {
    let mut changes = Changes { fields: Vec::new(), undeclared: false };
    walk(body, depth, |name, _, value| {
        let field = std::str::from_utf8(name).ok().and_then(|name| table.field_named(name));
        match field.map(|field| (field, &table.field(field).shape)) {
            Some((field, Shape::Plain(_))) => changes.fields.push(Change { field, raw: value.of(body) }),
            Some((_, Shape::One { .. } | Shape::Many { .. })) | None => changes.undeclared = true,
        }
    })?;
    Ok(changes)
}

/// Whether a raw value has the field's declared type (null only where nullable), and the upstream would hold this very value.
pub fn fits(table: &Table, field: FieldId, raw: &[u8]) -> bool {
    let field = table.field(field);
    match &field.shape {
        Shape::Plain(_) if raw == b"null" => field.nullable,
        // Of any other type an empty text is no value.
        Shape::Plain(of) if raw == b"\"\"" && table.empty_is_null && *of != Type::Json => {
            field.nullable || *of == Type::String
        }
        // What was judged would not be what is held.
        Shape::Plain(of) => kind::fits(of, raw) && is_held(table, field, of, raw),
        Shape::One { .. } | Shape::Many { .. } => false,
    }
}

/// Whether an upstream holds a value that fits as what it is.
fn is_held(table: &Table, field: &Field, of: &Type, raw: &[u8]) -> bool {
    // PocketBase, which alone knows no null, may take a text for a list of them, and of a list what is there twice once.
    let reads_texts = table.empty_is_null;
    match (of, field.push) {
        (Type::Int | Type::Decimal, Some(Push::Double)) => kind::is_kept_by_double(raw),
        (Type::Timestamp, Some(Push::Seconds)) => kind::is_kept_by_digits(raw, 0),
        (Type::Timestamp, Some(Push::Milliseconds)) => kind::is_kept_by_digits(raw, 3),
        (Type::Timestamp, Some(Push::Microseconds)) => kind::is_kept_by_digits(raw, 6),
        (Type::Timestamp, _) if reads_texts => kind::is_kept_by_digits(raw, 3),
        (Type::String, _) if reads_texts => !kind::is_list_in_text(raw),
        (Type::Json, _) if reads_texts => !kind::is_json_in_text(raw),
        (Type::List(of), _) if reads_texts && **of == Type::String => kind::is_set(raw),
        // Directus may hold them as one text, with commas between (its type csv).
        (Type::List(of), _) if table.in_place && **of == Type::String => kind::is_list_of_words(raw),
        _ => true,
    }
}

/// Whether a raw value is the same as a value that the gateway would set.
pub fn equals(raw: &[u8], value: &Value) -> bool {
    let number = || kind::is_number(raw).then(|| kind::decimal(raw)).flatten();
    match value {
        Value::Null => raw == b"null",
        Value::Bool(value) => raw == if *value { &b"true"[..] } else { b"false" },
        Value::Int(value) => number().is_some_and(|given| Some(given) == kind::decimal(value.to_string().as_bytes())),
        Value::Double(value) => kind::is_number(raw) && kind::double(raw) == Some(*value),
        Value::Decimal(value) => kind::decimal(raw).as_ref() == Some(value),
        Value::String(value) => text::string(raw).is_some_and(|given| given == **value),
        Value::Timestamp(value) => text::string(raw).and_then(|given| given.parse().ok()) == Some(*value),
        Value::Duration(value) => text::string(raw).and_then(|given| given.parse().ok()) == Some(*value),
        Value::List(values) => {
            let mut expected = values.iter();
            let mut same = true;
            let walked = kind::each(raw, b'[', |_, item| {
                same &= expected.next().is_some_and(|value| equals(item, value));
            });
            walked.is_some() && same && expected.next().is_none()
        }
        Value::Map(values) => {
            let mut seen = HashSet::new();
            let mut same = true;
            let walked = kind::each(raw, b'{', |name, item| {
                let expected = std::str::from_utf8(name).ok().and_then(|name| values.get(name));
                same &= seen.insert(name.to_vec()) && expected.is_some_and(|value| equals(item, value));
            });
            walked.is_some() && same && seen.len() == values.len()
        }
    }
}

/// A JSON string's or number's text, for a key. `None` for other values.
pub fn text(raw: &[u8]) -> Option<String> {
    kind::written(raw).map(Cow::into_owned)
}

/// The value as JSON text.
pub fn print(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    print_to(value, &mut out);
    out
}

fn print_to(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        // JSON has no word for the others.
        Value::Double(value) if !value.is_finite() => out.extend_from_slice(b"null"),
        Value::Double(value) => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Value::Decimal(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::String(value) => text::escape(value, out),
        Value::Timestamp(value) => text::escape(&value.to_string(), out),
        Value::Duration(value) => text::escape(&value.to_string(), out),
        Value::List(values) => {
            out.push(b'[');
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                print_to(value, out);
            }
            out.push(b']');
        }
        Value::Map(values) => {
            out.push(b'{');
            for (number, (name, value)) in values.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                text::escape(name, out);
                out.push(b':');
                print_to(value, out);
            }
            out.push(b'}');
        }
    }
}

/// A JSON object of the given members, in order.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, raw) in members {
        put(&mut out, name, raw);
    }
    out.push(b'}');
    out
}

/// Adds a member to an object that is being written.
fn put(out: &mut Vec<u8>, name: &str, raw: &[u8]) {
    if out.len() > 1 {
        out.push(b',');
    }
    text::escape(name, out);
    out.push(b':');
    out.extend_from_slice(raw);
}

/// The record as it would be: the members of `before` with those of `changes` replaced or added.
///
/// Errors: `before` is not one valid JSON object, a change is not valid JSON, or either names a member twice.
pub fn merge(before: &[u8], changes: &[(&str, &[u8])], depth: usize) -> Result<Vec<u8>, Unreadable> {
    for (number, (name, raw)) in changes.iter().enumerate() {
        if changes.iter().take(number).any(|(earlier, _)| earlier == name) {
            return Err(Unreadable::Duplicate);
        }
        let mut scan = Scan::document(raw, depth.saturating_sub(1));
        scan.value()?;
        scan.end()?;
    }
    let mut written = vec![false; changes.len()];
    let mut out = vec![b'{'];
    walk(before, depth, |name, member, value| {
        if out.len() > 1 {
            out.push(b',');
        }
        match changes.iter().position(|(changed, _)| changed.as_bytes() == name) {
            Some(number) => {
                if let (Some(done), Some((_, raw))) = (written.get_mut(number), changes.get(number)) {
                    *done = true;
                    // From the name to the value's start as it stands, so that the name keeps its spelling.
                    out.extend_from_slice(Span { start: member.start, end: value.start }.of(before));
                    out.extend_from_slice(raw);
                }
            }
            None => out.extend_from_slice(member.of(before)),
        }
    })?;
    for ((name, raw), done) in changes.iter().zip(written) {
        if !done {
            put(&mut out, name, raw);
        }
    }
    out.push(b'}');
    Ok(out)
}

/// A record with the relations in its container as members of its own, as rules name them.
///
/// Errors: it is not one valid JSON object, or names a member or a relation twice.
pub fn lift(record: &[u8], table: &Table, depth: usize) -> Result<Vec<u8>, Unreadable> {
    let mut lifted: Vec<(&str, &[u8])> = Vec::new();
    let mut plain: Vec<(Vec<u8>, &[u8])> = Vec::new();
    let mut failed = None;
    walk(record, depth, |name, _, value| {
        let raw = value.of(record);
        if table.container.as_ref().is_some_and(|container| container.as_bytes() == name) {
            let inside = walk(raw, depth, |name, _, value| {
                let relation = std::str::from_utf8(name).ok().and_then(|name| table.relation_by(name));
                lifted.extend(relation.map(|field| (&*table.field(field).name, value.of(raw))));
            });
            failed = failed.or(inside.err());
        } else {
            plain.push((name.to_vec(), raw));
        }
    })?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    let mut out = vec![b'{'];
    for (name, raw) in &plain {
        put(&mut out, std::str::from_utf8(name).map_err(|_| Unreadable::Encoding)?, raw);
    }
    for (name, raw) in lifted {
        if plain.iter().any(|(known, _)| known == name.as_bytes()) {
            return Err(Unreadable::Duplicate);
        }
        put(&mut out, name, raw);
    }
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests;
