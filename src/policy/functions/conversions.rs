//! From one type into another, with CEL's ranges: what does not fit is an error, never cut or wrapped.

use super::super::decode;
use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::times::{read_timestamp, span_text};
use super::{Function, Made, arithmetic, text};
use crate::model::value::Decimal;

/// 2^63 and 2^64.
const INT_LIMIT: f64 = 9_223_372_036_854_775_808.0;
const UINT_LIMIT: f64 = 18_446_744_073_709_551_616.0;

const T: Sort = Sort::Parameter("T");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global(
        "int",
        &[
            Overload::new(&[Sort::Int], Sort::Int),
            Overload::new(&[Sort::Uint], Sort::Int),
            Overload::new(&[Sort::Double], Sort::Int),
            Overload::new(&[Sort::Decimal], Sort::Int),
            Overload::new(&[Sort::String], Sort::Int),
            Overload::new(&[Sort::Timestamp], Sort::Int),
        ],
        int,
    ),
    Function::global(
        "uint",
        &[
            Overload::new(&[Sort::Uint], Sort::Uint),
            Overload::new(&[Sort::Int], Sort::Uint),
            Overload::new(&[Sort::Double], Sort::Uint),
            Overload::new(&[Sort::Decimal], Sort::Uint),
            Overload::new(&[Sort::String], Sort::Uint),
        ],
        uint,
    ),
    Function::global(
        "double",
        &[
            Overload::new(&[Sort::Double], Sort::Double),
            Overload::new(&[Sort::Int], Sort::Double),
            Overload::new(&[Sort::Uint], Sort::Double),
            Overload::new(&[Sort::Decimal], Sort::Double),
            Overload::new(&[Sort::String], Sort::Double),
        ],
        double,
    ),
    Function::global(
        "string",
        &[
            Overload::new(&[Sort::String], Sort::String),
            Overload::new(&[Sort::Bool], Sort::String),
            Overload::new(&[Sort::Int], Sort::String),
            Overload::new(&[Sort::Uint], Sort::String),
            Overload::new(&[Sort::Double], Sort::String),
            Overload::new(&[Sort::Decimal], Sort::String),
            Overload::new(&[Sort::Bytes], Sort::String),
            Overload::new(&[Sort::Timestamp], Sort::String),
            Overload::new(&[Sort::Duration], Sort::String),
            Overload::new(&[Sort::Ip], Sort::String),
            Overload::new(&[Sort::Cidr], Sort::String),
        ],
        string,
    ),
    Function::global(
        "bytes",
        &[Overload::new(&[Sort::Bytes], Sort::Bytes), Overload::new(&[Sort::String], Sort::Bytes)],
        bytes,
    ),
    Function::global(
        "bool",
        &[Overload::new(&[Sort::Bool], Sort::Bool), Overload::new(&[Sort::String], Sort::Bool)],
        bool,
    ),
    Function::global(
        "timestamp",
        &[
            Overload::new(&[Sort::Timestamp], Sort::Timestamp),
            Overload::new(&[Sort::String], Sort::Timestamp),
            Overload::new(&[Sort::Int], Sort::Timestamp),
        ],
        timestamp,
    ),
    Function::global(
        "duration",
        &[Overload::new(&[Sort::Duration], Sort::Duration), Overload::new(&[Sort::String], Sort::Duration)],
        duration,
    ),
    Function::global("dyn", &[Overload::new(&[T], Sort::Dyn)], |of| match of {
        [value] => Ok(value.clone()),
        _ => Err(Failure::Type),
    }),
    Function::global("type", &[Overload::new(&[T], Sort::Type)], |of| match of {
        [value] => Ok(Value::Type(type_name(value).into())),
        _ => Err(Failure::Type),
    }),
];

/// As `type(x)` says it, and as a policy compares it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null_type",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint",
        Value::Double(_) => "double",
        Value::Decimal(_) => "decimal",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Duration(_) => "google.protobuf.Duration",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Type(_) => "type",
        Value::Optional(_) => "optional_type",
        Value::Ip(_) => "net.IP",
        Value::Cidr(_) => "net.CIDR",
    }
}

fn int(of: &[Value]) -> Made {
    match of {
        [Value::Int(number)] => Ok(Value::Int(*number)),
        [Value::Uint(number)] => i64::try_from(*number).map(Value::Int).map_err(|_| Failure::Range),
        // Both ends are out: what a double says there may have been rounded.
        [Value::Double(number)] if *number > -INT_LIMIT && *number < INT_LIMIT => Ok(Value::Int(number.trunc() as i64)),
        [Value::Double(_)] => Err(Failure::Range),
        [Value::Decimal(number)] => whole(number).parse().map(Value::Int).map_err(|_| Failure::Range),
        [Value::String(text)] => text.parse().map(Value::Int).map_err(|_| Failure::Range),
        // The second that it lies in, before the epoch too.
        [Value::Timestamp(at)] => Ok(Value::Int(at.as_second() - i64::from(at.subsec_nanosecond() < 0))),
        _ => Err(Failure::Type),
    }
}

fn uint(of: &[Value]) -> Made {
    match of {
        [Value::Uint(number)] => Ok(Value::Uint(*number)),
        [Value::Int(number)] => u64::try_from(*number).map(Value::Uint).map_err(|_| Failure::Range),
        [Value::Double(number)] if *number >= 0.0 && *number < UINT_LIMIT => Ok(Value::Uint(number.trunc() as u64)),
        [Value::Double(_)] => Err(Failure::Range),
        [Value::Decimal(number)] => whole(number).parse().map(Value::Uint).map_err(|_| Failure::Range),
        [Value::String(text)] if text.starts_with('+') => Err(Failure::Range),
        [Value::String(text)] => text.parse().map(Value::Uint).map_err(|_| Failure::Range),
        _ => Err(Failure::Type),
    }
}

/// The digits before the point, with their sign; no number at all where there are too many.
fn whole(number: &Decimal) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        Some((digits, power)) if power.starts_with('-') => if digits.starts_with('-') { "-0" } else { "0" }.to_owned(),
        Some(_) => String::new(),
        None => text.split('.').next().unwrap_or_default().to_owned(),
    }
}

fn double(of: &[Value]) -> Made {
    match of {
        [Value::Double(number)] => Ok(Value::Double(*number)),
        [Value::Int(number)] => Ok(Value::Double(*number as f64)),
        [Value::Uint(number)] => Ok(Value::Double(*number as f64)),
        [Value::Decimal(number)] => read_double(&number.to_string()),
        [Value::String(text)] => read_double(text),
        _ => Err(Failure::Type),
    }
}

/// What is not finite is only so where the text says it in words, and in these.
fn read_double(text: &str) -> Made {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() || matches!(text, "NaN" | "Infinity" | "-Infinity") => {
            Ok(Value::Double(number))
        }
        _ => Err(Failure::Range),
    }
}

/// As it reads back: by the shortest digits that are this number and no other.
pub(super) fn double_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    number.to_string()
}

fn string(of: &[Value]) -> Made {
    match of {
        [Value::String(text)] => Ok(Value::String(text.clone())),
        [Value::Bool(truth)] => text(truth.to_string()),
        [Value::Int(number)] => text(number.to_string()),
        [Value::Uint(number)] => text(number.to_string()),
        [Value::Double(number)] => text(double_text(*number)),
        [Value::Decimal(number)] => text(number.to_string()),
        [Value::Bytes(bytes)] => text(std::str::from_utf8(bytes).map_err(|_| Failure::Range)?),
        [Value::Timestamp(at)] => text(at.to_string()),
        [Value::Duration(span)] => text(span_text(*span)),
        [Value::Ip(address)] => text(address.to_string()),
        [Value::Cidr(net)] => text(net.to_string()),
        _ => Err(Failure::Type),
    }
}

fn bytes(of: &[Value]) -> Made {
    match of {
        [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
        [Value::String(text)] => super::bytes(text.as_bytes()),
        _ => Err(Failure::Type),
    }
}

fn bool(of: &[Value]) -> Made {
    match of {
        [Value::Bool(truth)] => Ok(Value::Bool(*truth)),
        [Value::String(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(Failure::Range),
        },
        _ => Err(Failure::Type),
    }
}

fn timestamp(of: &[Value]) -> Made {
    match of {
        [Value::Timestamp(at)] => Ok(Value::Timestamp(*at)),
        [Value::String(text)] => arithmetic::instant(read_timestamp(text)),
        [Value::Int(second)] => arithmetic::instant(jiff::Timestamp::from_second(*second).ok()),
        _ => Err(Failure::Type),
    }
}

fn duration(of: &[Value]) -> Made {
    match of {
        [Value::Duration(span)] => Ok(Value::Duration(*span)),
        [Value::String(text)] => arithmetic::span(decode::duration(text)),
        _ => Err(Failure::Type),
    }
}
