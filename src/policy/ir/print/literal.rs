//! Values and names as CEL writes them, so that they read back as the same value, or the same member.

use std::fmt::{self, Display, Formatter, Write};

use jiff::SignedDuration;

use crate::model::value::Decimal;
use crate::policy::value::{Key, Value};

pub(super) fn value(of: &Value, f: &mut Formatter<'_>) -> fmt::Result {
    match of {
        Value::Null => f.write_str("null"),
        Value::Bool(truth) => truth.fmt(f),
        Value::Int(number) => number.fmt(f),
        Value::Uint(number) => write!(f, "{number}u"),
        Value::Double(number) if number.is_finite() => write!(f, "{number:?}"),
        Value::Double(number) if number.is_nan() => f.write_str("double(\"NaN\")"),
        Value::Double(number) => write!(f, "double(\"{}Infinity\")", if *number < 0.0 { "-" } else { "" }),
        Value::Decimal(number) => decimal(number, f),
        Value::String(content) => text(content, f),
        Value::Bytes(bytes) => {
            f.write_str("b\"")?;
            bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
            f.write_str("\"")
        }
        Value::Timestamp(at) => write!(f, "timestamp(\"{at}\")"),
        Value::Duration(span) => duration(*span, f),
        Value::List(items) => {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                value(item, f)?;
            }
            f.write_str("]")
        }
        Value::Map(members) => {
            f.write_str("{")?;
            for (index, (key, member)) in members.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                self::key(key, f)?;
                f.write_str(": ")?;
                value(member, f)?;
            }
            f.write_str("}")
        }
        Value::Type(name) => f.write_str(name),
        Value::Optional(None) => f.write_str("optional.none()"),
        Value::Optional(Some(inner)) => {
            f.write_str("optional.of(")?;
            value(inner, f)?;
            f.write_str(")")
        }
        Value::Ip(address) => write!(f, "ip(\"{address}\")"),
        Value::Cidr(net) => write!(f, "cidr(\"{net}\")"),
    }
}

fn key(of: &Key, f: &mut Formatter<'_>) -> fmt::Result {
    match of {
        Key::Bool(key) => key.fmt(f),
        Key::Int(key) => key.fmt(f),
        Key::Uint(key) => write!(f, "{key}u"),
        Key::String(key) => text(key, f),
    }
}

/// Beside a decimal a number is one too. What no int holds gets a point, as its digits are read as a double's.
fn decimal(number: &Decimal, f: &mut Formatter<'_>) -> fmt::Result {
    let digits = number.to_string();
    let is_int = digits.contains(['.', 'e']) || digits.parse::<i64>().is_ok();
    write!(f, "{digits}{}", if is_int { "" } else { ".0" })
}

fn duration(span: SignedDuration, f: &mut Formatter<'_>) -> fmt::Result {
    let (seconds, nanos) = (span.as_secs(), span.subsec_nanos().unsigned_abs());
    let sign = if seconds == 0 && span.is_negative() { "-" } else { "" };
    write!(f, "duration(\"{sign}{seconds}")?;
    if nanos != 0 {
        write!(f, "{}", format!(".{nanos:09}").trim_end_matches('0'))?;
    }
    f.write_str("s\")")
}

/// Between quotes; what can't be seen is escaped.
pub(super) fn text(content: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in content.chars() {
        match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            // What a debug print escapes has no sign of its own.
            c if c.is_ascii() && !c.is_ascii_control() => f.write_char(c),
            c if c.escape_debug().len() == 1 => f.write_char(c),
            c if u32::from(c) <= 0xffff => write!(f, "\\u{:04x}", u32::from(c)),
            c => write!(f, "\\U{:08x}", u32::from(c)),
        }?;
    }
    f.write_str("\"")
}

/// A member by its name, or by its text where the name is no word.
pub(super) fn member(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if is_word(name) {
        return write!(f, ".{name}");
    }
    f.write_str("[")?;
    text(name, f)?;
    f.write_str("]")
}

/// As `has` needs it.
pub(super) fn selected(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if is_word(name) { write!(f, ".{name}") } else { write!(f, ".`{name}`") }
}

/// Reserved words are none: not all of them may stand behind a point.
pub(super) fn is_word(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    first && rest && !matches!(name, "in" | "true" | "false" | "null")
}
