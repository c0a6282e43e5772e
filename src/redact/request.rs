//! Request bodies: which fields a client wants to write, and the body that goes upstream in its place.
//!
//! A body is one JSON object of declared plain fields. Unknown fields, repeated fields, relations as nested objects
//! (nested writes) and to-many lists are refused. The body that is sent is built from what was understood.

use crate::api::{FieldId, Table};
use crate::model::Value;
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
pub fn read<'b>(_body: &'b [u8], _table: &Table, _depth: usize) -> Result<Changes<'b>, Unreadable> {
    todo!()
}

/// Whether a raw value has the field's declared type (null only where nullable).
pub fn fits(_table: &Table, _field: FieldId, _raw: &[u8]) -> bool {
    todo!()
}

/// Whether a raw value is the same as a value that the gateway would set.
pub fn equals(_raw: &[u8], _value: &Value) -> bool {
    todo!()
}

/// A JSON string's or integer's text, for a key in a path. `None` for other values.
pub fn text(_raw: &[u8]) -> Option<String> {
    todo!()
}

/// The value as JSON text.
pub fn print(_value: &Value) -> Vec<u8> {
    todo!()
}

/// A JSON object of the given members, in order.
pub fn object<'a>(_members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    todo!()
}

/// The record as it would be: the members of `before` with those of `changes` replaced or added.
pub fn merge(_before: &[u8], _changes: &[(&str, &[u8])], _depth: usize) -> Result<Vec<u8>, Unreadable> {
    todo!()
}
