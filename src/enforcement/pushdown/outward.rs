//! Values a little below and above a known one, so that what an upstream rounds or cuts on the way is not lost.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::api::Push;
use crate::model::Value;
use crate::model::value::Decimal;

/// Decimals of so many digits are told apart by the floats that are nearest to them.
const SHORT: usize = 15;
/// Whole numbers up to it are floats.
const MAX_EXACT: i64 = 1 << 53;

/// Whether a number is no other one as a 64-bit float, so that floats compare with it as the number does.
pub(super) fn is_short(value: &Value) -> bool {
    match value {
        Value::Int(number) => number.unsigned_abs() < MAX_EXACT.unsigned_abs(),
        Value::Double(_) => true,
        Value::Decimal(number) => {
            let float = number.to_string().parse::<f64>().unwrap_or(f64::NAN);
            // Beyond the normal floats, fewer digits are told apart.
            number.digits() <= SHORT && (float == 0.0 || float.is_normal())
        }
        _ => false,
    }
}

/// Bounds between which a value is found however its upstream rounds it. `None`: there are none of its kind.
pub(super) fn around(value: &Value, push: Push) -> Option<(Value, Value)> {
    let unit: i128 = match push {
        Push::Seconds => 1_000_000_000,
        Push::Milliseconds => 1_000_000,
        Push::Microseconds => 1_000,
        Push::Exact | Push::Ordered | Push::Loose | Push::Double | Push::Rounded => 0,
    };
    match value {
        Value::Timestamp(instant) if unit > 0 => {
            let nanos = instant.as_nanosecond();
            let below = nanos - nanos.rem_euclid(unit) - unit;
            let bound = |nanos| Timestamp::from_nanosecond(nanos).ok().map(Value::Timestamp);
            Some((bound(below)?, bound(below + 3 * unit)?))
        }
        // Beyond the limits a cast stays at the limit, which is as far as a column goes.
        Value::Int(number) => {
            let float = *number as f64;
            let (low, high) = (float.next_down().floor() as i64, float.next_up().ceil() as i64);
            Some((Value::Int(low.min(number.saturating_sub(1))), Value::Int(high.max(number.saturating_add(1)))))
        }
        Value::Double(number) => {
            let finite = |number: f64| number.is_finite().then_some(Value::Double(number));
            Some((finite(number.next_down())?, finite(number.next_up())?))
        }
        Value::Decimal(number) => {
            let float = number.to_string().parse::<f64>().ok()?;
            let bound = |number: f64| {
                number.is_finite().then(|| Decimal::parse(&number.to_string())).flatten().map(Value::Decimal)
            };
            Some((bound(float.next_down())?, bound(float.next_up())?))
        }
        _ => None,
    }
}

/// The lowest and the highest of all bounds.
pub(super) fn hull(bounds: Vec<(Value, Value)>) -> Option<(Value, Value)> {
    let mut bounds = bounds.into_iter();
    let first = bounds.next()?;
    bounds.try_fold(first, |(low, high), (a, b)| {
        let low = if order(&a, &low)? == Ordering::Less { a } else { low };
        let high = if order(&b, &high)? == Ordering::Greater { b } else { high };
        Some((low, high))
    })
}

/// `None`: they are of two kinds, or of one without an order.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
