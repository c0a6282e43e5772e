//! `+ - * / %` and negation: checked, never rounded or wrapped, and an error between kinds that CEL does not mix.

use jiff::{SignedDuration, Timestamp};

use super::super::ir::{Failure, Operator};
use super::super::value::Value;
use super::{MAX_LENGTH, Made, list};

/// 0001-01-01T00:00:00Z: CEL's first instant. Its last is that of the calendar.
const FIRST: Timestamp = Timestamp::constant(-62_135_596_800, 0);
/// 10,000 years, in seconds: the longest duration in either direction.
const LONGEST: SignedDuration = SignedDuration::from_secs(315_576_000_000);

pub(in crate::policy) fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Made {
    match (operator, a, b) {
        (_, Value::Int(a), Value::Int(b)) => int(operator, *a, *b),
        (_, Value::Uint(a), Value::Uint(b)) => uint(operator, *a, *b),
        (Operator::Add, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Operator::Subtract, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Operator::Multiply, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Operator::Divide, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (Operator::Add, Value::String(a), Value::String(b)) => {
            fits(a.len(), b.len())?;
            Ok(Value::String([&**a, &**b].concat().into()))
        }
        (Operator::Add, Value::Bytes(a), Value::Bytes(b)) => {
            fits(a.len(), b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Operator::Add, Value::List(a), Value::List(b)) => {
            fits(a.len(), b.len())?;
            list([&**a, &**b].concat())
        }
        _ => times(operator, a, b),
    }
}

pub(in crate::policy) fn negate(value: &Value) -> Made {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Range),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(Failure::Type),
    }
}

fn fits(a: usize, b: usize) -> Result<(), Failure> {
    if a.saturating_add(b) > MAX_LENGTH { Err(Failure::Budget) } else { Ok(()) }
}

fn int(operator: Operator, a: i64, b: i64) -> Made {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err(Failure::Division),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        _ => return Err(Failure::Type),
    };
    result.map(Value::Int).ok_or(Failure::Range)
}

fn uint(operator: Operator, a: u64, b: u64) -> Made {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => return a.checked_div(b).map(Value::Uint).ok_or(Failure::Division),
        Operator::Remainder => return a.checked_rem(b).map(Value::Uint).ok_or(Failure::Division),
        _ => return Err(Failure::Type),
    };
    result.map(Value::Uint).ok_or(Failure::Range)
}

fn times(operator: Operator, a: &Value, b: &Value) -> Made {
    match (operator, a, b) {
        (Operator::Add, Value::Timestamp(at), Value::Duration(by))
        | (Operator::Add, Value::Duration(by), Value::Timestamp(at)) => instant(at.checked_add(*by).ok()),
        (Operator::Subtract, Value::Timestamp(at), Value::Duration(by)) => instant(at.checked_sub(*by).ok()),
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => span(Some(a.duration_since(*b))),
        (Operator::Add, Value::Duration(a), Value::Duration(b)) => span(a.checked_add(*b)),
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => span(a.checked_sub(*b)),
        _ => Err(Failure::Type),
    }
}

/// A timestamp within CEL's range.
pub(super) fn instant(at: Option<Timestamp>) -> Made {
    at.filter(|at| *at >= FIRST).map(Value::Timestamp).ok_or(Failure::Range)
}

/// A duration within CEL's range.
pub(super) fn span(of: Option<SignedDuration>) -> Made {
    of.filter(|of| of.unsigned_abs() <= LONGEST.unsigned_abs()).map(Value::Duration).ok_or(Failure::Range)
}
