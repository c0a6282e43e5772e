//! Equality and order of values: numbers across their kinds and without rounding, everything else within its kind.

use std::cmp::Ordering;

use super::super::ir::Failure;
use crate::model::value::Decimal;
use crate::policy::value::Value;

/// CEL's equality: values of different kinds are not equal, which is no error.
pub(in crate::policy) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && equal(a, b))
        }
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) | (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
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

/// Outer `None`: not two numbers.
fn numbers(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(Some(a.cmp(b))),
        (Value::Double(a), Value::Double(b)) => Some(a.partial_cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(Some(a.cmp(b))),
        (Value::Int(a), Value::Uint(b)) => Some(Some(i128::from(*a).cmp(&i128::from(*b)))),
        (Value::Uint(a), Value::Int(b)) => Some(Some(i128::from(*a).cmp(&i128::from(*b)))),
        (Value::Int(a), Value::Double(b)) => Some(mixed(i128::from(*a), *b)),
        (Value::Double(a), Value::Int(b)) => Some(mixed(i128::from(*b), *a).map(Ordering::reverse)),
        (Value::Uint(a), Value::Double(b)) => Some(mixed(i128::from(*a), *b)),
        (Value::Double(a), Value::Uint(b)) => Some(mixed(i128::from(*b), *a).map(Ordering::reverse)),
        (Value::Decimal(a), Value::Decimal(b)) => Some(Some(a.cmp(b))),
        (Value::Decimal(a), _) => Some(decimal(b)?.map(|b| a.cmp(&b))),
        (_, Value::Decimal(b)) => Some(decimal(a)?.map(|a| a.cmp(b))),
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
    } else if b < -LIMIT {
        Some(Ordering::Greater)
    } else {
        // Within the limits the whole part fits exactly.
        let whole = b.trunc() as i128;
        Some(a.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
    }
}

/// A number's shortest exact text as a decimal. Outer `None`: not a number; inner: not finite.
fn decimal(value: &Value) -> Option<Option<Decimal>> {
    match value {
        Value::Int(number) => Some(Decimal::parse(&number.to_string())),
        Value::Uint(number) => Some(Decimal::parse(&number.to_string())),
        Value::Double(number) => Some(Decimal::parse(&number.to_string())),
        _ => None,
    }
}
