//! What standard CEL asks of texts, bytes, lists and maps: how large they are, and what is in them.

use regex::{Regex, RegexBuilder};

use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, Made, count};

/// Of a compiled pattern, in bytes.
const MAX_PATTERN: usize = 64 << 10;
/// Steps that a pattern costs which is compiled anew for each call.
const PATTERN_COST: u32 = 500;

const T: Sort = Sort::Parameter("T");
const V: Sort = Sort::Parameter("V");

/// A text and a part of it.
const PART: &[Overload] = &[Overload::new(&[Sort::String, Sort::String], Sort::Bool)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::either(
        "size",
        &[
            Overload::new(&[Sort::String], Sort::Int),
            Overload::new(&[Sort::Bytes], Sort::Int),
            Overload::new(&[Sort::List(&T)], Sort::Int),
            Overload::new(&[Sort::Map(&T, &V)], Sort::Int),
        ],
        size,
    ),
    Function::method("startsWith", PART, |of| test(of, |text, part| text.starts_with(part))),
    Function::method("endsWith", PART, |of| test(of, |text, part| text.ends_with(part))),
    Function::method("contains", PART, |of| test(of, |text, part| text.contains(part))),
    Function::either("matches", PART, matches).costs(PATTERN_COST),
];

/// A regular expression within its limits: linear in time, and bounded in memory.
pub(in crate::policy) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN * 16).build()
}

fn size(of: &[Value]) -> Made {
    match of {
        [Value::String(text)] => count(text.chars().count()),
        [Value::Bytes(bytes)] => count(bytes.len()),
        [Value::List(items)] => count(items.len()),
        [Value::Map(members)] => count(members.len()),
        _ => Err(Failure::Type),
    }
}

fn test(of: &[Value], holds: fn(&str, &str) -> bool) -> Made {
    match of {
        [Value::String(text), Value::String(part)] => Ok(Value::Bool(holds(text, part))),
        _ => Err(Failure::Type),
    }
}

fn matches(of: &[Value]) -> Made {
    match of {
        [Value::String(text), Value::String(source)] => match pattern(source) {
            Ok(pattern) => Ok(Value::Bool(pattern.is_match(text))),
            Err(regex::Error::CompiledTooBig(_)) => Err(Failure::Budget),
            Err(_) => Err(Failure::Range),
        },
        _ => Err(Failure::Type),
    }
}
