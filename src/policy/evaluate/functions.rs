//! Functions: checked, bounded, and an error for any kind that they are not defined on.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::super::decode;
use super::super::ir::{Failure, Function, Part};
use crate::policy::value::Value;

pub(super) fn call(function: &Function, arguments: &[Cow<'_, Value>]) -> Result<Value, Failure> {
    let first = arguments.first().map(|value| &**value).ok_or(Failure::Type)?;
    let second = arguments.get(1).map(|value| &**value);
    let text = |value: &Value, f: fn(&str) -> String| match value {
        Value::String(text) => Ok(Value::string(f(text))),
        _ => Err(Failure::Type),
    };
    let test = |f: fn(&str, &str) -> bool| match (first, second) {
        (Value::String(text), Some(Value::String(part))) => Ok(Value::Bool(f(text, part))),
        _ => Err(Failure::Type),
    };
    match function {
        Function::Size => size(first),
        Function::StartsWith => test(|text, part| text.starts_with(part)),
        Function::EndsWith => test(|text, part| text.ends_with(part)),
        Function::Contains => test(|text, part| text.contains(part)),
        Function::Matches(pattern) => match first {
            Value::String(text) => Ok(Value::Bool(pattern.is_match(text))),
            _ => Err(Failure::Type),
        },
        Function::LowerAscii => text(first, str::to_ascii_lowercase),
        Function::UpperAscii => text(first, str::to_ascii_uppercase),
        Function::Timestamp => match first {
            Value::Timestamp(_) => Ok(first.clone()),
            Value::String(text) => decode::timestamp(text).map(Value::Timestamp).ok_or(Failure::Range),
            _ => Err(Failure::Type),
        },
        Function::Duration => match first {
            Value::Duration(_) => Ok(first.clone()),
            Value::String(text) => decode::duration(text).map(Value::Duration).ok_or(Failure::Range),
            _ => Err(Failure::Type),
        },
        Function::Int => int(first),
        Function::Double => match first {
            Value::Double(_) => Ok(first.clone()),
            Value::Int(number) => Ok(Value::Double(*number as f64)),
            Value::String(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Double(number)),
                _ => Err(Failure::Range),
            },
            _ => Err(Failure::Type),
        },
        Function::String => match first {
            Value::String(_) => Ok(first.clone()),
            Value::Int(number) => Ok(Value::string(number.to_string())),
            Value::Double(number) => Ok(Value::string(number.to_string())),
            Value::Bool(truth) => Ok(Value::string(truth.to_string())),
            Value::Timestamp(instant) => Ok(Value::string(instant.to_string())),
            _ => Err(Failure::Type),
        },
        Function::Part(part) => match first {
            Value::Timestamp(instant) => Ok(Value::Int(of_timestamp(*part, *instant))),
            _ => Err(Failure::Type),
        },
    }
}

fn size(value: &Value) -> Result<Value, Failure> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(members) => members.len(),
        _ => return Err(Failure::Type),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| Failure::Range)
}

fn int(value: &Value) -> Result<Value, Failure> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(_) => Ok(value.clone()),
        Value::Double(number) if *number > -LIMIT && *number < LIMIT => Ok(Value::Int(number.trunc() as i64)),
        Value::Double(_) => Err(Failure::Range),
        Value::String(text) => text.parse().map(Value::Int).map_err(|_| Failure::Range),
        Value::Timestamp(instant) => Ok(Value::Int(instant.as_second())),
        _ => Err(Failure::Type),
    }
}

fn of_timestamp(part: Part, instant: jiff::Timestamp) -> i64 {
    let time = instant.to_zoned_datetime(TimeZone::UTC);
    match part {
        Part::FullYear => time.year().into(),
        Part::Month => i64::from(time.month()) - 1,
        Part::Date => time.day().into(),
        Part::DayOfMonth => i64::from(time.day()) - 1,
        Part::DayOfWeek => time.weekday().to_sunday_zero_offset().into(),
        Part::DayOfYear => i64::from(time.day_of_year()) - 1,
        Part::Hours => time.hour().into(),
        Part::Minutes => time.minute().into(),
        Part::Seconds => time.second().into(),
        Part::Milliseconds => time.millisecond().into(),
    }
}
