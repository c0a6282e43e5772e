//! From an expression to a program: which parts a test answers, and which stay expressions.
//!
//! A test must mean what the interpreter would say of the same expression for every value that it is certain of; where
//! that is in doubt, the part stays an expression.

use std::sync::Arc;

use super::instant::{Format, Known, Moment};
use super::number::{self, Comparison, Number};
use super::text::{Content, Text, Texts};
use super::{Leaf, Node, Test};
use crate::model::value::Type;
use crate::policy::ir::{Expr, Failure, Field, Function, Operator};
use crate::policy::value::Value;

/// Recursion is bounded by the depth of an expression.
pub(super) fn node(expr: &Expr) -> Node {
    match expr {
        Expr::Constant(Value::Bool(truth)) => Node::Known(Ok(*truth)),
        Expr::Constant(_) => Node::Known(Err(Failure::Type)),
        Expr::Fails(failure) => Node::Known(Err(*failure)),
        Expr::And(..) | Expr::Or(..) => {
            let all = matches!(expr, Expr::And(..));
            let mut parts = Vec::new();
            flatten(expr, all, &mut parts);
            if all { Node::All(parts.into()) } else { Node::Any(parts.into()) }
        }
        Expr::Not(of) => negated(node(of)),
        Expr::Choice(parts) => {
            let [condition, yes, no] = &**parts;
            Node::Choice(Box::new([node(condition), node(yes), node(no)]))
        }
        Expr::HasField { field, parent } => {
            Node::Has { subject: field.subject, member: field.slot, parent: *parent, expected: true }
        }
        _ => leaf(expr).map_or_else(|| Node::Tree(Box::new(expr.clone())), Node::Leaf),
    }
}

fn flatten(expr: &Expr, all: bool, parts: &mut Vec<Node>) {
    match expr {
        Expr::And(a, b) if all => [a, b].into_iter().for_each(|part| flatten(part, all, parts)),
        Expr::Or(a, b) if !all => [a, b].into_iter().for_each(|part| flatten(part, all, parts)),
        part => parts.push(node(part)),
    }
}

fn negated(node: Node) -> Node {
    match node {
        Node::Known(outcome) => Node::Known(outcome.map(|truth| !truth)),
        Node::Leaf(leaf) => Node::Leaf(Leaf {
            expected: !leaf.expected,
            null: leaf.null.map(|truth| !truth),
            absent: leaf.absent.map(|truth| !truth),
            otherwise: Expr::Not(leaf.otherwise).into(),
            ..leaf
        }),
        Node::Has { subject, member, parent, expected } => Node::Has { subject, member, parent, expected: !expected },
        Node::Not(part) => *part,
        node => Node::Not(node.into()),
    }
}

/// A test of a field; null and a missing field are left to the interpreter.
fn of(field: &Field, test: Test, expr: &Expr) -> Leaf {
    let otherwise = expr.clone().into();
    Leaf { subject: field.subject, slot: field.slot, expected: true, null: None, absent: None, test, otherwise }
}

/// As [`of`], for a comparison in which null is a value like others: `truth` is what it gives.
fn with_null(field: &Field, test: Test, expr: &Expr, expected: bool, truth: bool) -> Leaf {
    let null = field.nullable.then_some(truth);
    let absent = null.filter(|_| field.absent_is_null);
    Leaf { expected, null, absent, ..of(field, test, expr) }
}

fn leaf(expr: &Expr) -> Option<Leaf> {
    match expr {
        Expr::Field(field) if field.of == Type::Bool => Some(of(field, Test::True, expr)),
        Expr::Condition(part) => match &**part {
            Expr::Field(field) if matches!(field.of, Type::Bool | Type::Json) => Some(of(field, Test::True, expr)),
            _ => None,
        },
        Expr::Call(function, arguments) => call(function, arguments, expr),
        Expr::Binary(Operator::In, a, b) => match (&**a, &**b) {
            (part, Expr::Constant(Value::List(items))) => member(part, items, expr),
            _ => None,
        },
        Expr::Binary(operator, a, b) => {
            let comparison = Comparison::of(*operator)?;
            let expected = *operator != Operator::NotEqual;
            match (&**a, &**b) {
                (part, Expr::Constant(value)) => compared(part, comparison, value, expected, expr),
                (Expr::Constant(value), part) => compared(part, comparison.mirrored(), value, expected, expr),
                _ => None,
            }
        }
        _ => None,
    }
}

fn call(function: &Function, arguments: &[Expr], expr: &Expr) -> Option<Leaf> {
    let Some(Expr::Field(field)) = arguments.first() else { return None };
    if !matches!(field.of, Type::String | Type::Json) {
        return None;
    }
    let test = match (function, arguments) {
        (Function::Matches(pattern), [_]) => Test::Matches(Arc::clone(pattern)),
        (function, [_, Expr::Constant(Value::String(part))]) => {
            let text = Text::new(part)?;
            match function.name() {
                "startsWith" => Test::StartsWith(text),
                "endsWith" => Test::EndsWith(text),
                "contains" => Test::Contains(Box::new(memchr::memmem::Finder::new(part.as_bytes()).into_owned())),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(of(field, test, expr))
}

/// Something of a field in a list that is known.
fn member(part: &Expr, items: &[Value], expr: &Expr) -> Option<Leaf> {
    let texts = items.iter().filter_map(|item| match item {
        Value::String(text) => Some(text),
        _ => None,
    });
    if let Some(field) = digits(part) {
        return Some(of(field, Test::OneOf(Content::Digits, Texts::new(texts)), expr));
    }
    let Expr::Field(field) = part else { return None };
    let null = items.iter().any(Value::is_null);
    let test = match field.of {
        // A string equals strings only; what else a JSON member may be is left to the interpreter.
        Type::String | Type::Json => Test::OneOf(Content::Quoted, Texts::new(texts)),
        Type::Int => {
            let number = |item: &Value| match item {
                Value::Int(number) => Some(*number),
                _ => None,
            };
            let mut numbers: Vec<i64> = items.iter().map(number).collect::<Option<_>>()?;
            numbers.sort_unstable();
            Test::OneOfNumbers(numbers.into())
        }
        _ => return None,
    };
    Some(with_null(field, test, expr, true, null))
}

/// Something of a field beside a value that is known, on its left.
fn compared(part: &Expr, comparison: Comparison, value: &Value, expected: bool, expr: &Expr) -> Option<Leaf> {
    if let Some((field, format, comparison, moment)) = moment(part, comparison, value) {
        let leaf = of(field, Test::Moment(format, comparison, Box::new(Known::new(moment)?)), expr);
        return Some(Leaf { expected, ..leaf });
    }
    if let (Some(field), Value::String(text), Comparison::Equal) = (digits(part), value, comparison) {
        let leaf = of(field, Test::Equals(Content::Digits, Text::new(text)?), expr);
        return Some(Leaf { expected, ..leaf });
    }
    let Expr::Field(field) = part else { return None };
    let equality = comparison == Comparison::Equal;
    match (value, &field.of) {
        (Value::Null, _) if equality && field.nullable => Some(with_null(field, Test::Null, expr, expected, expected)),
        (Value::Bool(truth), Type::Bool | Type::Json) if equality => {
            Some(with_null(field, Test::True, expr, *truth == expected, !expected))
        }
        (Value::String(text), Type::String | Type::Json) if equality => {
            let test = Test::Equals(Content::Quoted, Text::new(text)?);
            Some(with_null(field, test, expr, expected, !expected))
        }
        (Value::Int(_) | Value::Double(_) | Value::Decimal(_), declared) => {
            let kind = number::Kind::of(declared)?;
            let leaf = of(field, Test::Number(kind, comparison, Number::new(value, kind)?), expr);
            // Null has no order, but is unequal to every number.
            let null = (equality && field.nullable).then_some(!expected);
            Some(Leaf { expected, null, absent: null.filter(|_| field.absent_is_null), ..leaf })
        }
        _ => None,
    }
}

/// `string(x)` of an integer.
fn digits(part: &Expr) -> Option<&Field> {
    match part {
        Expr::Call(function, arguments) if function.name() == "string" => match &**arguments {
            [Expr::Field(field)] if field.of == Type::Int => Some(field),
            _ => None,
        },
        _ => None,
    }
}

/// A comparison that is one of a field's instant with another, with what is added or subtracted brought to the other side.
fn moment<'e>(
    part: &'e Expr,
    comparison: Comparison,
    value: &Value,
) -> Option<(&'e Field, Format, Comparison, Moment)> {
    if let (Some((field, format)), Value::Timestamp(known)) = (instant(part), value) {
        return Some((field, format, comparison, Moment::new(*known)?));
    }
    let Expr::Binary(operator, a, b) = part else { return None };
    match (operator, &**a, &**b, value) {
        // `now - x > d` is `x < now - d`.
        (Operator::Subtract, Expr::Constant(Value::Timestamp(known)), x, Value::Duration(distance)) => {
            let (field, format) = instant(x)?;
            let moment = Moment::new(*known)?.plus(distance.checked_neg()?)?;
            Some((field, format, comparison.mirrored(), moment))
        }
        (Operator::Subtract, x, Expr::Constant(Value::Timestamp(known)), Value::Duration(distance)) => {
            let (field, format) = instant(x)?;
            Some((field, format, comparison, Moment::new(*known)?.plus(*distance)?))
        }
        (Operator::Subtract, x, Expr::Constant(Value::Duration(distance)), Value::Timestamp(known)) => {
            let (field, format) = instant(x)?;
            Some((field, format, comparison, Moment::new(*known)?.plus(*distance)?))
        }
        (Operator::Add, x, Expr::Constant(Value::Duration(distance)), Value::Timestamp(known))
        | (Operator::Add, Expr::Constant(Value::Duration(distance)), x, Value::Timestamp(known)) => {
            let (field, format) = instant(x)?;
            Some((field, format, comparison, Moment::new(*known)?.plus(distance.checked_neg()?)?))
        }
        _ => None,
    }
}

/// A field that is an instant, or text that is read as one.
fn instant(part: &Expr) -> Option<(&Field, Format)> {
    match part {
        Expr::Field(field) => match field.of {
            Type::Timestamp => Some((field, Format::Timestamp)),
            Type::Date => Some((field, Format::Date)),
            _ => None,
        },
        Expr::Call(function, arguments) if function.name() == "timestamp" => match &**arguments {
            [Expr::Field(field)] if field.of == Type::String => Some((field, Format::Either)),
            [part @ Expr::Field(_)] => instant(part),
            _ => None,
        },
        _ => None,
    }
}
