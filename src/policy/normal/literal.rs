//! Known values as a column of a declared type holds them, so that an upstream is asked in its own kind.

use jiff::Timestamp;

use crate::model;
use crate::model::filter::Sign;
use crate::model::value::{Decimal, Type};
use crate::policy::value::Value;

/// What a column would have to hold to equal something known.
pub(super) enum Literal {
    Value(model::Value),
    /// Nothing that it can hold.
    Never,
    /// What can't be told in its own kind.
    Unsaid,
}

/// Whole numbers up to it are doubles.
const MAX_EXACT: i64 = 1 << 53;
const NANOS_OF_DAY: i128 = 86_400 * 1_000_000_000;

pub(super) fn of(kind: &Type, value: &Value) -> Literal {
    use model::Value as Own;
    let known = match (kind, value) {
        (Type::String, Value::String(text)) => Some(Own::String(text.clone())),
        (Type::Bool, Value::Bool(truth)) => Some(Own::Bool(*truth)),
        (Type::Int, value) => whole(value).map(Own::Int),
        (Type::Double, Value::Double(number)) if number.is_finite() => Some(Own::Double(positive(*number))),
        (Type::Double, Value::Int(_) | Value::Uint(_)) => match whole(value) {
            Some(number) if number.abs() <= MAX_EXACT => Some(Own::Double(number as f64)),
            _ => return Literal::Unsaid,
        },
        (Type::Double, Value::Decimal(_)) => return Literal::Unsaid,
        (Type::Decimal, value) => decimal(value).map(Own::Decimal),
        (Type::Timestamp, Value::Timestamp(instant)) => Some(Own::Timestamp(*instant)),
        (Type::Date, Value::Timestamp(instant)) if is_midnight(*instant) => Some(Own::Timestamp(*instant)),
        (Type::String | Type::Bool | Type::Double | Type::Timestamp | Type::Date, _) => None,
        (Type::Duration | Type::List(_) | Type::Map(_) | Type::Json, _) => return Literal::Unsaid,
    };
    known.map_or(Literal::Never, Literal::Value)
}

/// The integer whose digits a text is.
pub(super) fn digits(value: &Value) -> Literal {
    let Value::String(text) = value else { return Literal::Never };
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == **text);
    number.map_or(Literal::Never, |number| Literal::Value(model::Value::Int(number)))
}

/// An order beside something known as one beside a value of the column's type. `None`: there is none.
pub(super) fn bound(kind: &Type, sign: Sign, value: &Value) -> Option<(Sign, model::Value)> {
    if let Literal::Value(value) = of(kind, value) {
        return (*kind != Type::Bool).then_some((sign, value));
    }
    let rounded_down = match sign {
        Sign::Less | Sign::LessOrEqual => Sign::LessOrEqual,
        Sign::Greater | Sign::GreaterOrEqual => Sign::Greater,
    };
    match (kind, value) {
        // Between two integers.
        (Type::Int, Value::Double(number)) if number.abs() < MAX_EXACT as f64 => {
            Some((rounded_down, model::Value::Int(number.floor() as i64)))
        }
        // Within a day.
        (Type::Date, Value::Timestamp(instant)) => {
            let nanos = instant.as_nanosecond();
            let midnight = Timestamp::from_nanosecond(nanos - nanos.rem_euclid(NANOS_OF_DAY)).ok()?;
            Some((rounded_down, model::Value::Timestamp(midnight)))
        }
        _ => None,
    }
}

fn is_midnight(instant: Timestamp) -> bool {
    instant.as_nanosecond().rem_euclid(NANOS_OF_DAY) == 0
}

/// Zero has one spelling.
fn positive(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

/// The integer that a number equals.
fn whole(value: &Value) -> Option<i64> {
    // 2^63
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        Value::Double(number) if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(number) => Some(*number as i64),
        Value::Decimal(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// The decimal that a number equals: a fraction by its shortest text, as numbers are compared.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Decimal(number) => Some(number.clone()),
        Value::Int(number) => Decimal::parse(&number.to_string()),
        Value::Uint(number) => Decimal::parse(&number.to_string()),
        Value::Double(number) if number.is_finite() && number.fract() == 0.0 => Decimal::parse(&format!("{number:.0}")),
        Value::Double(number) if number.is_finite() => Decimal::parse(&number.to_string()),
        _ => None,
    }
}
