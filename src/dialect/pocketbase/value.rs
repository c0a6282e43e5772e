//! Which literals a field is compared with: of its declared type, and spelled as the server stores them.

use super::grammar::{self, Literal};
use crate::api::Shape;
use crate::model::value::Type;

/// Bytes of one value.
const MAX_VALUE: usize = 1024;

/// Whether a field holds single values that the server compares and orders.
pub(super) fn is_scalar(kind: &Type) -> bool {
    is_text(kind) || is_number(kind) || *kind == Type::Bool
}

/// Whether the server holds its values as texts: instants and dates, too.
pub(super) fn is_text(kind: &Type) -> bool {
    matches!(kind, Type::String | Type::Timestamp | Type::Date)
}

fn is_number(kind: &Type) -> bool {
    matches!(kind, Type::Int | Type::Double | Type::Decimal)
}

/// A client's literal as a comparison's value. `None`: it is of another type. Any text may be compared with an instant: it
/// is one to the server, and a year is the beginning of many.
pub(super) fn of(kind: &Type, literal: &Literal) -> Option<String> {
    match literal {
        Literal::Text(text) if is_text(kind) && text.len() <= MAX_VALUE => Some(text.clone()),
        Literal::Number(number) if is_number(kind) => Some(number.clone()),
        Literal::Bool(truth) if *kind == Type::Bool => Some(truth.to_string()),
        _ => None,
    }
}

/// A comparison's value as the literal that it was.
pub(super) fn literal(shape: &Shape, value: &str) -> Literal {
    match shape {
        Shape::Plain(Type::Bool) => Literal::Bool(value == "true"),
        Shape::Plain(kind) if is_number(kind) && grammar::is_number(value) => Literal::Number(value.to_owned()),
        Shape::Plain(_) | Shape::One { .. } | Shape::Many { .. } => Literal::Text(value.to_owned()),
    }
}
