//! `'%s is %d'.format([…])`: clauses of a text replaced by values, as CEL's library of strings writes them.
//!
//! `%s` is any value, `%d` a whole number, `%b`, `%o`, `%x` and `%X` one in another base (`%b` a bool too, `%x` texts and
//! bytes too), `%f` and `%e` any number, with `.3` for the digits after the point, and `%%` a percent sign.

use std::fmt::{self, Write};

use super::super::ir::Failure;
use super::super::value::{Key, Value};
use super::conversions::double_text;
use super::times::span_text;
use super::{MAX_LENGTH, Made, text};

/// Digits after the point.
const MAX_PRECISION: usize = 1000;
const DEFAULT_PRECISION: usize = 6;

pub(super) fn format(clauses: &str, items: &[Value]) -> Made {
    let mut made = Bounded(String::new());
    let mut items = items.iter();
    let mut rest = clauses;
    while let Some((before, after)) = rest.split_once('%') {
        made.push(before)?;
        if let Some(after) = after.strip_prefix('%') {
            made.push("%")?;
            rest = after;
            continue;
        }
        let (precision, after) = precision(after)?;
        let mut letters = after.chars();
        let clause = letters.next().ok_or(Failure::Range)?;
        if !matches!(clause, 's' | 'd' | 'b' | 'o' | 'x' | 'X' | 'f' | 'e') {
            return Err(Failure::Range);
        }
        let item = items.next().ok_or(Failure::Range)?;
        match clause {
            's' => made.value(item)?,
            'd' => made.whole(item)?,
            'f' | 'e' => made.push(&number(item, clause == 'e', precision.unwrap_or(DEFAULT_PRECISION))?)?,
            base => made.based(item, base)?,
        }
        rest = letters.as_str();
    }
    made.push(rest)?;
    text(made.0)
}

/// `.3` before a clause.
fn precision(rest: &str) -> Result<(Option<usize>, &str), Failure> {
    let Some(rest) = rest.strip_prefix('.') else { return Ok((None, rest)) };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.strip_suffix(after).ok_or(Failure::Range)?;
    match digits.parse() {
        Ok(precision) if precision <= MAX_PRECISION => Ok((Some(precision), after)),
        _ => Err(Failure::Range),
    }
}

/// Rounded half to even; an exponent has a sign and at least two digits.
fn number(item: &Value, is_scientific: bool, precision: usize) -> Result<String, Failure> {
    let number = match item {
        Value::Double(number) => *number,
        Value::Int(number) => *number as f64,
        Value::Uint(number) => *number as f64,
        _ => return Err(Failure::Type),
    };
    if !number.is_finite() {
        return Ok(double_text(number));
    }
    if !is_scientific {
        return Ok(format!("{number:.precision$}"));
    }
    let written = format!("{number:.precision$e}");
    let (digits, power) = written.split_once('e').ok_or(Failure::Range)?;
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    Ok(format!("{digits}e{sign}{power:0>2}"))
}

/// A text that fails where it grows too long.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > MAX_LENGTH {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

impl Bounded {
    fn push(&mut self, part: &str) -> Result<(), Failure> {
        self.write_str(part).map_err(|_| Failure::Budget)
    }

    fn print(&mut self, part: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.write_fmt(part).map_err(|_| Failure::Budget)
    }

    fn whole(&mut self, item: &Value) -> Result<(), Failure> {
        match item {
            Value::Int(number) => self.print(format_args!("{number}")),
            Value::Uint(number) => self.print(format_args!("{number}")),
            Value::Double(number) if !number.is_finite() => self.push(&double_text(*number)),
            _ => Err(Failure::Type),
        }
    }

    fn based(&mut self, item: &Value, base: char) -> Result<(), Failure> {
        let (sign, number) = match item {
            Value::Int(number) => (if *number < 0 { "-" } else { "" }, number.unsigned_abs()),
            Value::Uint(number) => ("", *number),
            Value::Bool(truth) if base == 'b' => ("", u64::from(*truth)),
            Value::String(text) => return self.hex(text.as_bytes(), base),
            Value::Bytes(bytes) => return self.hex(bytes, base),
            _ => return Err(Failure::Type),
        };
        match base {
            'b' => self.print(format_args!("{sign}{number:b}")),
            'o' => self.print(format_args!("{sign}{number:o}")),
            'x' => self.print(format_args!("{sign}{number:x}")),
            _ => self.print(format_args!("{sign}{number:X}")),
        }
    }

    fn hex(&mut self, bytes: &[u8], base: char) -> Result<(), Failure> {
        bytes.iter().try_for_each(|byte| match base {
            'x' => self.print(format_args!("{byte:02x}")),
            'X' => self.print(format_args!("{byte:02X}")),
            _ => Err(Failure::Type),
        })
    }

    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::Null => self.push("null"),
            Value::Bool(truth) => self.print(format_args!("{truth}")),
            Value::Int(number) => self.print(format_args!("{number}")),
            Value::Uint(number) => self.print(format_args!("{number}")),
            Value::Double(number) => self.push(&double_text(*number)),
            Value::Decimal(number) => self.print(format_args!("{number}")),
            Value::String(text) | Value::Type(text) => self.push(text),
            Value::Bytes(bytes) => self.push(std::str::from_utf8(bytes).map_err(|_| Failure::Range)?),
            Value::Timestamp(at) => self.print(format_args!("{at}")),
            Value::Duration(span) => self.push(&span_text(*span)),
            Value::Ip(address) => self.print(format_args!("{address}")),
            Value::Cidr(net) => self.print(format_args!("{net}")),
            Value::List(items) => {
                self.push("[")?;
                for (at, item) in items.iter().enumerate() {
                    self.push(if at == 0 { "" } else { ", " })?;
                    self.value(item)?;
                }
                self.push("]")
            }
            Value::Map(members) => {
                let mut members: Vec<_> = members.iter().map(|(key, member)| (key_text(key), member)).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                self.push("{")?;
                for (at, (key, member)) in members.into_iter().enumerate() {
                    self.print(format_args!("{}{key}: ", if at == 0 { "" } else { ", " }))?;
                    self.value(member)?;
                }
                self.push("}")
            }
            Value::Optional(_) => Err(Failure::Type),
        }
    }
}

fn key_text(key: &Key) -> String {
    match key {
        Key::Bool(key) => key.to_string(),
        Key::Int(key) => key.to_string(),
        Key::Uint(key) => key.to_string(),
        Key::String(key) => key.to_string(),
    }
}
