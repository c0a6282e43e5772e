//! Raw JSON of a slot -> a typed value, by the declared type. A value of another type is an error, never a guess.
//!
//! The scanner has validated the bytes already; what is not understood here fails all the same, and nothing is indexed
//! or recursed into without a limit. JSON integers are `int` whatever their sign, other numbers `double`; decimals keep
//! their digits (a decimal may come as a string, as many APIs send it). A member that occurs twice is an error.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::ir::Failure;
use super::value::{Key, Value};
use crate::model::value::{Decimal, Type};

/// Deeper values are not read.
const MAX_DEPTH: usize = 64;

/// Reads one value as `of`. JSON null is [`Value::Null`] for every type; the caller knows whether it may be.
pub(super) fn value(raw: &[u8], of: &Type) -> Result<Value, Failure> {
    // Scalars are the common case and need no cursor.
    match (of, raw) {
        (_, b"null") => return Ok(Value::Null),
        (Type::Bool, b"true") => return Ok(Value::Bool(true)),
        (Type::Bool, b"false") => return Ok(Value::Bool(false)),
        _ => {}
    }
    let mut cursor = Cursor { bytes: raw, at: 0 };
    let value = cursor.value(of, 0)?;
    cursor.space();
    if cursor.at == raw.len() { Ok(value) } else { Err(Failure::Malformed) }
}

/// Whether a raw JSON string or integer says exactly `text`: how tenant columns are compared.
pub(super) fn is_text(raw: &[u8], text: &str) -> bool {
    match raw.first() {
        Some(b'"') => string(raw).is_some_and(|value| value == text),
        Some(b'-' | b'0'..=b'9') => raw == text.as_bytes() && text.bytes().all(|b| b == b'-' || b.is_ascii_digit()),
        _ => false,
    }
}

/// Whether two raw keys, strings or integers, say the same.
pub(super) fn is_same_key(a: &[u8], b: &[u8]) -> bool {
    match a.first() {
        Some(b'"') => string(a).is_some_and(|text| is_text(b, &text)),
        Some(b'-' | b'0'..=b'9') => std::str::from_utf8(a).is_ok_and(|text| is_text(b, text)),
        _ => false,
    }
}

pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    match text.len() {
        10 => date(text),
        _ => text.parse().ok(),
    }
}

/// A date is the first instant of its day in UTC.
fn date(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    date.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// A CEL duration: `1h30m`, `-2.5s`, `100ms`.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match rest {
        "" => return None,
        "0" => return Some(SignedDuration::ZERO),
        _ => {}
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?)?;
        let (unit, after) = after.split_at_checked(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()))?;
        let nanos: i128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 || whole.len() > 18 {
            return None;
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total = total.checked_add(digits(whole)?.checked_mul(nanos)?)?;
        total = total.checked_add(digits(fraction)?.checked_mul(nanos)? / scale)?;
        rest = after;
    }
    let total = if negative { -total } else { total };
    let seconds = i64::try_from(total / 1_000_000_000).ok()?;
    let nanos = i32::try_from(total % 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, nanos))
}

/// The text of a raw JSON string, unescaped. `None` if it is not one.
pub(super) fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = std::str::from_utf8(raw).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return (!inner.contains('"')).then_some(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' => return None,
            '\\' => out.push(match rest.next()? {
                c @ ('"' | '\\' | '/') => c,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => escaped(&mut rest)?,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    Some(Cow::Owned(out))
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let mut unit = || {
        let digits: String = rest.by_ref().take(4).collect();
        (digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(&digits, 16).ok())
            .flatten()
    };
    let first = unit()?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    if rest.next()? != '\\' || rest.next()? != 'u' {
        return None;
    }
    let digits: String = rest.by_ref().take(4).collect();
    let second = u32::from_str_radix(&digits, 16).ok().filter(|low| (0xDC00..0xE000).contains(low))?;
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The bytes of a string with its quotes, or of a number or word.
    fn token(&mut self) -> Result<&'b [u8], Failure> {
        let start = self.at;
        if self.eat(b'"') {
            loop {
                match self.peek() {
                    Some(b'\\') => self.at += 2,
                    Some(b'"') => break self.at += 1,
                    Some(_) => self.at += 1,
                    None => return Err(Failure::Malformed),
                }
            }
        } else {
            while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E')) {
                self.at += 1;
            }
        }
        self.bytes.get(start..self.at).filter(|token| !token.is_empty()).ok_or(Failure::Malformed)
    }

    fn value(&mut self, of: &Type, depth: usize) -> Result<Value, Failure> {
        if depth == MAX_DEPTH {
            return Err(Failure::Budget);
        }
        self.space();
        match (self.peek(), of) {
            (Some(b'['), Type::List(of)) => self.list(of, depth),
            (Some(b'['), Type::Json) => self.list(of, depth),
            (Some(b'{'), Type::Map(of)) => self.map(of, depth),
            (Some(b'{'), Type::Json) => self.map(of, depth),
            (Some(b'[' | b'{'), _) => Err(Failure::Type),
            _ => scalar(self.token()?, of),
        }
    }

    fn list(&mut self, of: &Type, depth: usize) -> Result<Value, Failure> {
        self.eat(b'[');
        let mut items = Vec::new();
        if !self.eat(b']') {
            loop {
                items.push(self.value(of, depth + 1)?);
                if self.eat(b']') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Failure::Malformed);
                }
            }
        }
        // A null among typed elements is as wrong as a null in a field that is not nullable.
        if *of != Type::Json && items.iter().any(Value::is_null) {
            return Err(Failure::Null);
        }
        Ok(Value::List(items.into()))
    }

    fn map(&mut self, of: &Type, depth: usize) -> Result<Value, Failure> {
        self.eat(b'{');
        let mut members: BTreeMap<Key, Value> = BTreeMap::new();
        if !self.eat(b'}') {
            loop {
                self.space();
                let name = string(self.token()?).ok_or(Failure::Malformed)?;
                if !self.eat(b':') {
                    return Err(Failure::Malformed);
                }
                let value = self.value(of, depth + 1)?;
                if *of != Type::Json && value.is_null() {
                    return Err(Failure::Null);
                }
                if members.insert(Key::String(name.as_ref().into()), value).is_some() {
                    return Err(Failure::Malformed);
                }
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Failure::Malformed);
                }
            }
        }
        Ok(Value::Map(members.into()))
    }
}

fn scalar(token: &[u8], of: &Type) -> Result<Value, Failure> {
    let text = std::str::from_utf8(token).map_err(|_| Failure::Malformed)?;
    let is_string = text.starts_with('"');
    let inner = || string(token).ok_or(Failure::Malformed);
    match (of, text) {
        (_, "null") => Ok(Value::Null),
        (Type::Bool | Type::Json, "true") => Ok(Value::Bool(true)),
        (Type::Bool | Type::Json, "false") => Ok(Value::Bool(false)),
        (Type::String | Type::Json, _) if is_string => Ok(Value::String(inner()?.as_ref().into())),
        (Type::Timestamp, _) if is_string => inner()?.parse().map(Value::Timestamp).map_err(|_| Failure::Type),
        (Type::Date, _) if is_string => date(&inner()?).map(Value::Timestamp).ok_or(Failure::Type),
        (Type::Duration, _) if is_string => duration(&inner()?).map(Value::Duration).ok_or(Failure::Type),
        (Type::Decimal, _) => {
            let text = if is_string { inner()? } else { Cow::Borrowed(text) };
            Decimal::parse(&text).map(Value::Decimal).ok_or(Failure::Type)
        }
        (Type::Int, _) => text.parse().map(Value::Int).map_err(|_| Failure::Type),
        (Type::Double, _) if !is_string => double(text),
        (Type::Json, _) if text.bytes().all(|b| b == b'-' || b.is_ascii_digit()) => {
            text.parse().map(Value::Int).map_err(|_| Failure::Range)
        }
        (Type::Json, _) if !is_string => double(text),
        _ => Err(Failure::Type),
    }
}

fn double(text: &str) -> Result<Value, Failure> {
    let number: f64 = text.parse().map_err(|_| Failure::Type)?;
    let looks_like_one = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if number.is_finite() && looks_like_one { Ok(Value::Double(number)) } else { Err(Failure::Range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_declared_type_or_errors() {
        let read = |raw: &str, of: &str| value(raw.as_bytes(), &Type::parse(of).expect("a type"));
        assert_eq!(read("-5", "int"), Ok(Value::Int(-5)));
        assert_eq!(read("5", "int"), Ok(Value::Int(5)));
        assert_eq!(read("5", "json"), Ok(Value::Int(5)));
        assert_eq!(read("5.0", "json"), Ok(Value::Double(5.0)));
        assert_eq!(read("5.10", "decimal"), Ok(Value::Decimal(Decimal::parse("5.1").expect("a number"))));
        assert_eq!(read("\"5.10\"", "decimal"), Ok(Value::Decimal(Decimal::parse("5.1").expect("a number"))));
        assert_eq!(read(r#""l\u0061tam""#, "string"), Ok(Value::string("latam")));
        assert_eq!(read(r#""\ud83d\ude00""#, "string"), Ok(Value::string("\u{1f600}")));
        assert_eq!(read("[\"a\", \"b\"]", "list(string)"), Ok(Value::strings(&["a".into(), "b".into()])));
        assert_eq!(read("\"2024-02-03\"", "date"), read("\"2024-02-03T00:00:00Z\"", "timestamp"));
        for (raw, of) in [
            ("5.0", "int"),
            ("\"5\"", "int"),
            ("9223372036854775808", "int"),
            ("9223372036854775808", "json"),
            ("5", "string"),
            ("true", "string"),
            ("\"true\"", "bool"),
            ("1", "bool"),
            ("[null]", "list(string)"),
            ("[\"a\"]", "string"),
            ("{\"a\":1,\"a\":2}", "json"),
            ("{\"a\":1,\"\\u0061\":2}", "json"),
            ("\"\\ud83d\"", "string"),
            ("1 2", "json"),
            ("[1", "json"),
            ("nan", "double"),
            ("1e999", "double"),
            ("", "json"),
            ("\"", "string"),
            ("\"2024-02-30\"", "date"),
            ("\"2024-02-03\"", "timestamp"),
        ] {
            assert!(read(raw, of).is_err(), "{raw} as {of}");
        }
        let deep = "[".repeat(5000);
        assert!(read(&deep, "json").is_err());
    }

    #[test]
    fn tenants_are_compared_by_their_text() {
        for (raw, text, same) in [
            ("\"acme\"", "acme", true),
            ("\"\\u0061cme\"", "acme", true),
            ("12", "12", true),
            ("\"12\"", "12", true),
            ("12.0", "12", false),
            ("null", "null", false),
            ("true", "true", false),
            ("\"ACME\"", "acme", false),
            ("[\"acme\"]", "acme", false),
            ("1e2", "1e2", false),
            ("\"acme", "acme", false),
        ] {
            assert_eq!(is_text(raw.as_bytes(), text), same, "{raw} {text}");
        }
    }

    #[test]
    fn durations_read_as_cel_writes_them() {
        assert_eq!(duration("1h30m"), Some(SignedDuration::from_secs(5400)));
        assert_eq!(duration("-2.5s"), Some(SignedDuration::from_millis(-2500)));
        assert_eq!(duration("+1µs"), duration("1us"));
        for wrong in ["", "-", "+", "+-1s", "1", "1y", "s", ".s", "1.0000000001s", "99999999999999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
