//! Equality and order of values: numbers across their kinds and without rounding, everything else within its kind.

use std::cmp::Ordering;

use super::super::ir::Failure;
use super::super::value::Value;
use crate::model::value::Decimal;

/// CEL's equality: values of different kinds are not equal, which is no error. Takes as long as the smaller side has
/// [`weight`](super::weight), which the caller accounts for.
pub(in crate::policy) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) | (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && equal(a, b))
        }
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => equal(a, b),
            _ => false,
        },
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Cidr(a), Value::Cidr(b)) => a == b,
        _ => numbers(a, b).flatten() == Some(Ordering::Equal),
    }
}

/// `None` if a side is not a number in the sense of IEEE 754. Kinds that have no order are an error.
pub(in crate::policy) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Failure> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        (Value::Timestamp(a), Value::Timestamp(b)) => Ok(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Some(a.cmp(b))),
        _ => numbers(a, b).ok_or(Failure::Type),
    }
}

/// An order of all values, to find equal ones with: what is [`equal`] is beside each other. What is not a number comes
/// after the numbers; such values are beside each other too, and equal to nothing.
pub(super) fn arrange(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) | (Value::Type(a), Value::Type(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Ip(a), Value::Ip(b)) => a.cmp(b),
        (Value::Cidr(a), Value::Cidr(b)) => a.cmp(b),
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => arrange(a, b),
            _ => a.is_some().cmp(&b.is_some()),
        },
        (Value::List(a), Value::List(b)) => {
            let first = a.iter().zip(b.iter()).map(|(a, b)| arrange(a, b)).find(|order| order.is_ne());
            first.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Map(a), Value::Map(b)) => {
            let mut pairs = a.iter().zip(b.iter());
            let first = pairs.find_map(|((ka, a), (kb, b))| {
                Some(ka.cmp(kb).then_with(|| arrange(a, b))).filter(|order| order.is_ne())
            });
            first.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => match numbers(a, b) {
            Some(order) => order.unwrap_or_else(|| is_nan(a).cmp(&is_nan(b))),
            None => kind(a).cmp(&kind(b)),
        },
    }
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Double(number) if number.is_nan())
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Decimal(_) => 2,
        Value::String(_) => 3,
        Value::Bytes(_) => 4,
        Value::Timestamp(_) => 5,
        Value::Duration(_) => 6,
        Value::Type(_) => 7,
        Value::Optional(_) => 8,
        Value::Ip(_) => 9,
        Value::Cidr(_) => 10,
        Value::List(_) => 11,
        Value::Map(_) => 12,
    }
}

/// Outer `None`: not two numbers.
fn numbers(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(Some(a.cmp(b))),
        (Value::Uint(a), Value::Uint(b)) => Some(Some(a.cmp(b))),
        (Value::Double(a), Value::Double(b)) => Some(a.partial_cmp(b)),
        (Value::Decimal(a), Value::Decimal(b)) => Some(Some(a.cmp(b))),
        (Value::Decimal(a), _) => exact(a, b),
        (_, Value::Decimal(b)) => exact(b, a).map(|order| order.map(Ordering::reverse)),
        (Value::Double(a), _) => Some(mixed(whole(b)?, *a).map(Ordering::reverse)),
        (_, Value::Double(b)) => Some(mixed(whole(a)?, *b)),
        _ => Some(Some(whole(a)?.cmp(&whole(b)?))),
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::Uint(number) => Some((*number).into()),
        _ => None,
    }
}

fn mixed(a: i128, b: f64) -> Option<Ordering> {
    // 2^64: beyond every whole number that a value can hold.
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    if b.is_nan() {
        None
    } else if b >= LIMIT {
        Some(Ordering::Less)
    } else if b <= -LIMIT {
        Some(Ordering::Greater)
    } else {
        // Within the limits the whole part fits exactly.
        let whole = b.trunc() as i128;
        Some(a.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
    }
}

/// A decimal beside a number of another kind: a whole one exactly, so that all kinds of numbers have one order; a
/// fraction by its shortest text, so that 0.1 is what people write.
fn exact(a: &Decimal, b: &Value) -> Option<Option<Ordering>> {
    let text = match b {
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) if !number.is_finite() => return Some(0.0.partial_cmp(number)),
        Value::Double(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Value::Double(number) => number.to_string(),
        _ => return None,
    };
    Some(Decimal::parse(&text).map(|b| a.cmp(&b)))
}
