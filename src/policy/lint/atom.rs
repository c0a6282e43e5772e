//! Conditions on one value, `record.stage == 'a'`, and what two of them mean together: that both can't hold, that one of
//! them always does, or that one says nothing beside the other.
//!
//! Invariant: what is claimed here is so for every value. Where it is not sure, nothing is claimed.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::functions::{equal, order};
use super::super::ir::{Expr, Operator};
use super::part::{Part, Shape};
use crate::model::Name;
use crate::model::value::Type;
use crate::policy::value::Value;

#[derive(Clone)]
pub(super) struct Atom<'a> {
    pub(super) part: Part<'a>,
    /// What is tested, spelled out: atoms of one subject speak of the same value.
    pub(super) subject: String,
    pub(super) test: Test,
    /// Whether the value is a whole number.
    whole: bool,
}

#[derive(Clone)]
pub(super) enum Test {
    /// A condition by itself, which is never null.
    Is(Value),
    Equal(Value),
    NotEqual(Value),
    OneOf(Arc<[Value]>),
    NoneOf(Arc<[Value]>),
    /// With whether the bound itself is allowed.
    Below(Value, bool),
    Above(Value, bool),
    Starts(Name),
    Ends(Name),
    Contains(Name),
}

impl<'a> Atom<'a> {
    pub(super) fn of(part: Part<'a>) -> Option<Self> {
        if let Shape::Not(of) = part.shape() {
            let inner = Self::of(of)?;
            return Some(Self { part, test: inner.test.negated()?, ..inner });
        }
        if !matches!(part.shape(), Shape::Leaf) || part.constant().is_some() {
            return None;
        }
        let (value, test) = Self::tested(part);
        let subject = value.map_or_else(|| canonical(part.expr), |value| value.expr.to_string());
        Some(Self { part, subject, test, whole: value.is_some_and(is_whole) })
    }

    /// The value that is tested; `None`: the condition itself, or its opposite.
    fn tested(part: Part<'a>) -> (Option<Part<'a>>, Test) {
        if let Some((function, on, texts)) = part.call()
            && let [(text, _)] = texts.as_slice()
        {
            let text = Name::from(*text);
            match function {
                "startsWith" => return (Some(on), Test::Starts(text)),
                "endsWith" => return (Some(on), Test::Ends(text)),
                "contains" => return (Some(on), Test::Contains(text)),
                _ => {}
            }
        }
        let Expr::Binary(operator, ..) = part.expr else { return (Some(part), Test::Is(true.into())) };
        if let Some((value, test)) = compared(part) {
            return (Some(value), test);
        }
        // `a != b` is the opposite of `a == b`, and `a >= b` that of `a < b`.
        let opposite = matches!(operator, Operator::NotEqual | Operator::GreaterOrEqual | Operator::LessOrEqual);
        (None, Test::Is((!opposite).into()))
    }

    pub(super) fn is_null_test(&self) -> bool {
        matches!(&self.test, Test::Equal(value) | Test::NotEqual(value) if value.is_null())
    }

    /// Whether no value passes both.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        if self.subject != other.subject {
            return false;
        }
        let none_passes = |values: &[Value], test: &Test| values.iter().all(|value| test.holds(value) != Some(true));
        match (self.test.values(), other.test.values()) {
            (Some(values), _) => none_passes(values, &other.test),
            (_, Some(values)) => none_passes(values, &self.test),
            (None, None) => match (&self.test, &other.test) {
                (Test::Above(low, with_low), Test::Below(high, with_high))
                | (Test::Below(high, with_high), Test::Above(low, with_low)) => {
                    is_empty(low, *with_low, high, *with_high, self.whole)
                }
                (Test::Starts(a), Test::Starts(b)) => !a.starts_with(&**b) && !b.starts_with(&**a),
                (Test::Ends(a), Test::Ends(b)) => !a.ends_with(&**b) && !b.ends_with(&**a),
                _ => false,
            },
        }
    }

    /// Whether what passes this passes the other, too.
    pub(super) fn implies(&self, other: &Self) -> bool {
        self.subject == other.subject && self.test.implies(&other.test)
    }

    /// Whether every value passes one of them, null aside.
    pub(super) fn covers_with(&self, other: &Self) -> bool {
        self.subject == other.subject && self.test.negated().is_some_and(|rest| rest.implies(&other.test))
    }
}

/// `a > b` is `b < a`, and both sides of an equality may stand on either side.
fn canonical(expr: &Expr) -> String {
    let Expr::Binary(operator, a, b) = expr else { return expr.to_string() };
    let (a, b) = (a.to_string(), b.to_string());
    match operator {
        Operator::Equal | Operator::NotEqual if a <= b => format!("{a} == {b}"),
        Operator::Equal | Operator::NotEqual => format!("{b} == {a}"),
        Operator::Less | Operator::GreaterOrEqual => format!("{a} < {b}"),
        Operator::Greater | Operator::LessOrEqual => format!("{b} < {a}"),
        _ => expr.to_string(),
    }
}

fn flipped(operator: Operator) -> Option<Operator> {
    Some(match operator {
        Operator::Equal | Operator::NotEqual => operator,
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        _ => return None,
    })
}

/// A comparison with a constant, as a test of what stands on the other side.
pub(super) fn compared(part: Part<'_>) -> Option<(Part<'_>, Test)> {
    let Expr::Binary(operator, ..) = part.expr else { return None };
    let [a, b] = part.sides()?;
    match (a.constant(), b.constant()) {
        (None, Some(constant)) => Some((a, Test::new(*operator, constant)?)),
        (Some(constant), None) => Some((b, Test::new(flipped(*operator)?, constant)?)),
        _ => None,
    }
}

/// Whether it is a whole number by its making.
pub(super) fn is_whole(part: Part<'_>) -> bool {
    match part.expr {
        Expr::Field(field) => field.of == Type::Int,
        Expr::Constant(value) => matches!(value, Value::Int(_)),
        Expr::Call(..) => {
            part.call().is_some_and(|(name, ..)| matches!(name, "size" | "int") || name.starts_with("get"))
        }
        Expr::Negate(_) => part.parts().iter().all(|of| is_whole(*of)),
        Expr::Binary(operator, ..) => {
            operator.is_arithmetic() && part.sides().is_some_and(|sides| sides.into_iter().all(is_whole))
        }
        _ => false,
    }
}

/// Whether nothing lies between two bounds.
fn is_empty(low: &Value, with_low: bool, high: &Value, with_high: bool, whole: bool) -> bool {
    if let (true, Value::Int(low), Value::Int(high)) = (whole, low, high) {
        let low = i128::from(*low) + i128::from(!with_low);
        let high = i128::from(*high) - i128::from(!with_high);
        return low > high;
    }
    match order(low, high) {
        Ok(Some(Ordering::Greater)) => true,
        Ok(Some(Ordering::Equal)) => !(with_low && with_high),
        _ => false,
    }
}

impl Test {
    pub(super) fn new(operator: Operator, value: &Value) -> Option<Self> {
        let value = value.clone();
        Some(match (operator, value) {
            (Operator::Equal, value) => Self::Equal(value),
            (Operator::NotEqual, value) => Self::NotEqual(value),
            (Operator::Less, value) => Self::Below(value, false),
            (Operator::LessOrEqual, value) => Self::Below(value, true),
            (Operator::Greater, value) => Self::Above(value, false),
            (Operator::GreaterOrEqual, value) => Self::Above(value, true),
            (Operator::In, Value::List(values)) => Self::OneOf(values),
            _ => return None,
        })
    }

    fn negated(&self) -> Option<Self> {
        Some(match self.clone() {
            Self::Is(value) => Self::Is((!matches!(value, Value::Bool(true))).into()),
            Self::Equal(value) => Self::NotEqual(value),
            Self::NotEqual(value) => Self::Equal(value),
            Self::OneOf(values) => Self::NoneOf(values),
            Self::NoneOf(values) => Self::OneOf(values),
            Self::Below(value, with) => Self::Above(value, !with),
            Self::Above(value, with) => Self::Below(value, !with),
            Self::Starts(_) | Self::Ends(_) | Self::Contains(_) => return None,
        })
    }

    /// All values that pass, where they are few.
    pub(super) fn values(&self) -> Option<&[Value]> {
        match self {
            Self::Is(value) | Self::Equal(value) => Some(std::slice::from_ref(value)),
            Self::OneOf(values) => Some(values),
            _ => None,
        }
    }

    /// `None`: an error.
    pub(super) fn holds(&self, value: &Value) -> Option<bool> {
        let text = |test: &dyn Fn(&str) -> bool| match value {
            Value::String(text) => Some(test(text)),
            _ => None,
        };
        let ordered = |bound: &Value, wanted: Ordering, with: bool| {
            order(value, bound).ok().map(|found| found == Some(wanted) || with && found == Some(Ordering::Equal))
        };
        match self {
            Self::Is(other) | Self::Equal(other) => Some(equal(value, other)),
            Self::NotEqual(other) => Some(!equal(value, other)),
            Self::OneOf(values) => Some(values.iter().any(|other| equal(value, other))),
            Self::NoneOf(values) => Some(!values.iter().any(|other| equal(value, other))),
            Self::Below(bound, with) => ordered(bound, Ordering::Less, *with),
            Self::Above(bound, with) => ordered(bound, Ordering::Greater, *with),
            Self::Starts(part) => text(&|text| text.starts_with(&**part)),
            Self::Ends(part) => text(&|text| text.ends_with(&**part)),
            Self::Contains(part) => text(&|text| text.contains(&**part)),
        }
    }

    /// Whether every value that passes this passes the other. Null is left out where this is a bound.
    fn implies(&self, other: &Self) -> bool {
        if let Some(values) = self.values() {
            return values.iter().all(|value| other.holds(value) == Some(true));
        }
        // Whether a bound shuts a value out.
        let misses = |value: &Value| !value.is_null() && self.holds(value) == Some(false);
        match (self, other) {
            (Self::Below(a, with_a), Self::Below(b, with_b)) => match order(a, b) {
                Ok(Some(Ordering::Less)) => true,
                Ok(Some(Ordering::Equal)) => *with_b || !with_a,
                _ => false,
            },
            (Self::Above(a, with_a), Self::Above(b, with_b)) => match order(a, b) {
                Ok(Some(Ordering::Greater)) => true,
                Ok(Some(Ordering::Equal)) => *with_b || !with_a,
                _ => false,
            },
            (Self::NotEqual(a), Self::NotEqual(b)) => equal(a, b),
            (Self::NoneOf(values), Self::NotEqual(b)) => values.iter().any(|value| equal(value, b)),
            (Self::NoneOf(a), Self::NoneOf(b)) => b.iter().all(|b| a.iter().any(|a| equal(a, b))),
            (Self::NotEqual(a), Self::NoneOf(b)) => b.iter().all(|b| equal(a, b)),
            (Self::Starts(a), Self::Starts(b)) => a.starts_with(&**b),
            (Self::Ends(a), Self::Ends(b)) => a.ends_with(&**b),
            (Self::Starts(a) | Self::Ends(a) | Self::Contains(a), Self::Contains(b)) => a.contains(&**b),
            (_, Self::NotEqual(value)) => misses(value),
            (_, Self::NoneOf(values)) => values.iter().all(misses),
            _ => false,
        }
    }
}
