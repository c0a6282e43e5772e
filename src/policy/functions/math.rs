//! CEL's library of mathematics: on ints, uints and doubles, each within its own kind.

use std::cmp::Ordering;

use super::super::ir::Failure;
use super::super::value::Value;
use super::compare::order;
use super::signature::{Overload, Sort};
use super::{Function, Made};

/// One kind in the result where all arguments are of it.
const EXTREME: &[Overload] = &[
    Overload::repeating(&[Sort::Int], Sort::Int),
    Overload::repeating(&[Sort::Uint], Sort::Uint),
    Overload::repeating(&[Sort::Double], Sort::Double),
    Overload::repeating(&[Sort::Decimal], Sort::Decimal),
    Overload::new(&[Sort::List(&Sort::Int)], Sort::Int),
    Overload::new(&[Sort::List(&Sort::Uint)], Sort::Uint),
    Overload::new(&[Sort::List(&Sort::Double)], Sort::Double),
    Overload::new(&[Sort::List(&Sort::Decimal)], Sort::Decimal),
    Overload::new(&[Sort::List(&Sort::Dyn)], Sort::Dyn),
    Overload::repeating(&[Sort::Dyn], Sort::Dyn),
];
const ROUND: &[Overload] = &[Overload::new(&[Sort::Double], Sort::Double)];
const TEST: &[Overload] = &[Overload::new(&[Sort::Double], Sort::Bool)];
const SAME: &[Overload] = &[
    Overload::new(&[Sort::Int], Sort::Int),
    Overload::new(&[Sort::Uint], Sort::Uint),
    Overload::new(&[Sort::Double], Sort::Double),
];
const ROOT: &[Overload] = &[
    Overload::new(&[Sort::Double], Sort::Double),
    Overload::new(&[Sort::Int], Sort::Double),
    Overload::new(&[Sort::Uint], Sort::Double),
];
const BITS: &[Overload] =
    &[Overload::new(&[Sort::Int, Sort::Int], Sort::Int), Overload::new(&[Sort::Uint, Sort::Uint], Sort::Uint)];
const BITS_OF_ONE: &[Overload] = &[Overload::new(&[Sort::Int], Sort::Int), Overload::new(&[Sort::Uint], Sort::Uint)];
const SHIFT: &[Overload] =
    &[Overload::new(&[Sort::Int, Sort::Int], Sort::Int), Overload::new(&[Sort::Uint, Sort::Int], Sort::Uint)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("math.greatest", EXTREME, |of| extreme(of, Ordering::Greater)),
    Function::global("math.least", EXTREME, |of| extreme(of, Ordering::Less)),
    Function::global("math.ceil", ROUND, |of| round(of, f64::ceil)),
    Function::global("math.floor", ROUND, |of| round(of, f64::floor)),
    // Half away from zero.
    Function::global("math.round", ROUND, |of| round(of, f64::round)),
    Function::global("math.trunc", ROUND, |of| round(of, f64::trunc)),
    Function::global("math.abs", SAME, |of| match of {
        [Value::Int(number)] => number.checked_abs().map(Value::Int).ok_or(Failure::Range),
        [Value::Uint(number)] => Ok(Value::Uint(*number)),
        [Value::Double(number)] => Ok(Value::Double(number.abs())),
        _ => Err(Failure::Type),
    }),
    Function::global("math.sign", SAME, |of| match of {
        [Value::Int(number)] => Ok(Value::Int(number.signum())),
        [Value::Uint(number)] => Ok(Value::Uint((*number).min(1))),
        // Zero and NaN are their own.
        [Value::Double(number)] if *number == 0.0 => Ok(Value::Double(0.0)),
        [Value::Double(number)] => Ok(Value::Double(number.signum())),
        _ => Err(Failure::Type),
    }),
    Function::global("math.isNaN", TEST, |of| test(of, f64::is_nan)),
    Function::global("math.isInf", TEST, |of| test(of, f64::is_infinite)),
    Function::global("math.isFinite", TEST, |of| test(of, f64::is_finite)),
    Function::global("math.sqrt", ROOT, |of| match of {
        [Value::Double(number)] => Ok(Value::Double(number.sqrt())),
        [Value::Int(number)] => Ok(Value::Double((*number as f64).sqrt())),
        [Value::Uint(number)] => Ok(Value::Double((*number as f64).sqrt())),
        _ => Err(Failure::Type),
    }),
    Function::global("math.bitAnd", BITS, |of| bits(of, |a, b| a & b)),
    Function::global("math.bitOr", BITS, |of| bits(of, |a, b| a | b)),
    Function::global("math.bitXor", BITS, |of| bits(of, |a, b| a ^ b)),
    Function::global("math.bitNot", BITS_OF_ONE, |of| match of {
        [Value::Int(number)] => Ok(Value::Int(!number)),
        [Value::Uint(number)] => Ok(Value::Uint(!number)),
        _ => Err(Failure::Type),
    }),
    Function::global("math.bitShiftLeft", SHIFT, |of| shift(of, u64::checked_shl)),
    // The bits of an int are shifted as they are: its sign does not come after.
    Function::global("math.bitShiftRight", SHIFT, |of| shift(of, u64::checked_shr)),
];

/// The first of those that are greatest or least. NaN has no place among numbers.
fn extreme(of: &[Value], wanted: Ordering) -> Made {
    let numbers = match of {
        [] => return Err(Failure::Type),
        [Value::List(items)] => items,
        _ => of,
    };
    let (first, rest) = numbers.split_first().ok_or(Failure::Range)?;
    let mut best = number(first)?;
    for other in rest {
        if order(number(other)?, best)?.ok_or(Failure::Range)? == wanted {
            best = other;
        }
    }
    Ok(best.clone())
}

fn number(value: &Value) -> Result<&Value, Failure> {
    match value {
        Value::Double(number) if number.is_nan() => Err(Failure::Range),
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Decimal(_) => Ok(value),
        _ => Err(Failure::Type),
    }
}

fn round(of: &[Value], to: fn(f64) -> f64) -> Made {
    match of {
        [Value::Double(number)] => Ok(Value::Double(to(*number))),
        _ => Err(Failure::Type),
    }
}

fn test(of: &[Value], holds: fn(f64) -> bool) -> Made {
    match of {
        [Value::Double(number)] => Ok(Value::Bool(holds(*number))),
        _ => Err(Failure::Type),
    }
}

/// The bits of an int, and an int of those bits.
fn bits(of: &[Value], join: fn(u64, u64) -> u64) -> Made {
    match of {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(join(*a as u64, *b as u64) as i64)),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(join(*a, *b))),
        _ => Err(Failure::Type),
    }
}

/// By 64 and more, nothing is left; by less than none is an error.
fn shift(of: &[Value], by: fn(u64, u32) -> Option<u64>) -> Made {
    let [number, Value::Int(places)] = of else { return Err(Failure::Type) };
    let places = if *places < 0 { None } else { Some(u32::try_from(*places).unwrap_or(u32::MAX)) };
    let shifted = |number: u64| places.map(|places| by(number, places).unwrap_or(0)).ok_or(Failure::Range);
    match number {
        Value::Int(number) => Ok(Value::Int(shifted(*number as u64)? as i64)),
        Value::Uint(number) => Ok(Value::Uint(shifted(*number)?)),
        _ => Err(Failure::Type),
    }
}
