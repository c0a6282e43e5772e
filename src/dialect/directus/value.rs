//! Which values a field is compared with: of its declared type, and read by the server as what they are.

use super::raw::Node;
use crate::api::{Operator, Shape};
use crate::dialect::value;
use crate::model::value::Type;

/// Whole numbers beyond it are other ones to the server.
const MAX_WHOLE: i64 = (1 << 53) - 1;

/// Whether the server takes a text for itself: these words are a bool or null to it wherever they stand, and what begins
/// with `$` may name the time, a user or a role.
pub(super) fn is_literal(text: &str) -> bool {
    !text.starts_with('$') && !matches!(text, "true" | "false" | "null" | "NULL")
}

/// Whether a value can be said, and is read as itself.
pub(super) fn is_sayable(kind: &Type, text: &str) -> bool {
    value::is_spelled(kind, text)
        && match kind {
            Type::String => is_literal(text),
            Type::Int => text.parse().is_ok_and(|number: i64| number.unsigned_abs() <= MAX_WHOLE.unsigned_abs()),
            _ => true,
        }
}

/// A client's value for a comparison. `None`: it is of another type, or would be read as something else.
pub(super) fn of(kind: &Type, operator: Operator, node: &Node) -> Option<String> {
    let text = match node {
        Node::Text(text) => text,
        Node::Number(number) if is_number(kind) => number,
        Node::Bool(true) if *kind == Type::Bool => "true",
        Node::Bool(false) if *kind == Type::Bool => "false",
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Object(_) => return None,
    };
    (is_sayable(kind, text) && value::fits(kind, operator, text)).then(|| text.to_owned())
}

/// A comparison's value as JSON.
pub(super) fn node(shape: &Shape, text: &str) -> Node {
    match shape {
        Shape::Plain(Type::Bool) => Node::Bool(text == "true"),
        // Invariant: it is spelled as its type is, which JSON's numbers are.
        Shape::Plain(kind) if is_number(kind) && value::is_spelled(kind, text) => Node::Number(text.to_owned()),
        Shape::Plain(_) | Shape::One { .. } | Shape::Many { .. } => Node::Text(text.to_owned()),
    }
}

pub(super) fn is_number(kind: &Type) -> bool {
    matches!(kind, Type::Int | Type::Double | Type::Decimal)
}

/// Whether the server orders values of a type. Texts it does not.
pub(super) fn is_ordered(kind: &Type) -> bool {
    is_number(kind) || matches!(kind, Type::Timestamp | Type::Date)
}
