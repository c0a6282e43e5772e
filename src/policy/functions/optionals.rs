//! CEL's library of optional values, as far as it needs only values: `optMap` and `optFlatMap` need text, and are not here.
//!
//! An evaluator may leave the second side of `or` and `orValue` unevaluated where the first has a value; what is here
//! takes both.

use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, Made, list};

const T: Sort = Sort::Parameter("T");
const OPTIONAL: Sort = Sort::Optional(&T);
const UNWRAP: &[Overload] = &[Overload::new(&[Sort::List(&OPTIONAL)], Sort::List(&T))];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("optional.of", &[Overload::new(&[T], OPTIONAL)], |of| match of {
        [value] => Ok(Value::Optional(Some(value.clone().into()))),
        _ => Err(Failure::Type),
    }),
    Function::global("optional.none", &[Overload::new(&[], OPTIONAL)], |of| match of {
        [] => Ok(Value::Optional(None)),
        _ => Err(Failure::Type),
    }),
    Function::global("optional.ofNonZeroValue", &[Overload::new(&[T], OPTIONAL)], |of| match of {
        [value] if is_zero(value) => Ok(Value::Optional(None)),
        [value] => Ok(Value::Optional(Some(value.clone().into()))),
        _ => Err(Failure::Type),
    }),
    Function::method("hasValue", &[Overload::new(&[OPTIONAL], Sort::Bool)], |of| match of {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(Failure::Type),
    }),
    Function::method("value", &[Overload::new(&[OPTIONAL], T)], |of| match of {
        [Value::Optional(inner)] => inner.as_deref().cloned().ok_or(Failure::Missing),
        _ => Err(Failure::Type),
    }),
    Function::method("or", &[Overload::new(&[OPTIONAL, OPTIONAL], OPTIONAL)], |of| match of {
        [Value::Optional(first), Value::Optional(second)] => Ok(Value::Optional(first.clone().or(second.clone()))),
        _ => Err(Failure::Type),
    }),
    Function::method("orValue", &[Overload::new(&[OPTIONAL, T], T)], |of| match of {
        [Value::Optional(inner), other] => Ok(inner.as_deref().unwrap_or(other).clone()),
        _ => Err(Failure::Type),
    }),
    Function::global("optional.unwrap", UNWRAP, unwrap),
    Function::method("unwrapOpt", UNWRAP, unwrap),
];

/// The values that are there.
fn unwrap(of: &[Value]) -> Made {
    let [Value::List(items)] = of else { return Err(Failure::Type) };
    let mut made = Vec::new();
    for item in items.iter() {
        match item {
            Value::Optional(inner) => made.extend(inner.as_deref().cloned()),
            _ => return Err(Failure::Type),
        }
    }
    list(made)
}

/// What a value of its kind is that nobody set: of a timestamp, the epoch.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Int(number) => *number == 0,
        Value::Uint(number) => *number == 0,
        Value::Double(number) => *number == 0.0,
        Value::Decimal(number) => number.to_string() == "0",
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Timestamp(at) => at.is_zero(),
        Value::Duration(span) => span.is_zero(),
        Value::List(items) => items.is_empty(),
        Value::Map(members) => members.is_empty(),
        Value::Optional(inner) => inner.is_none(),
        Value::Type(_) | Value::Ip(_) | Value::Cidr(_) => false,
    }
}
