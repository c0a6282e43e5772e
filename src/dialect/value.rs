//! Which values a client may compare a field with: one spelling for each, of the field's declared type.
//!
//! A text that upstreams read in several ways (`+5`, `007`, `TRUE`, a timestamp without a zone) is no value.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::api::{Operator, Shape};
use crate::model::Value;
use crate::model::filter::{Part, Sign};
use crate::model::value::{Decimal, Type};

/// Bytes of one value.
pub(crate) const MAX_VALUE: usize = 1024;
const MAX_LIST: usize = 100;

impl From<Sign> for Operator {
    fn from(sign: Sign) -> Self {
        match sign {
            Sign::Less => Self::Less,
            Sign::LessOrEqual => Self::LessOrEqual,
            Sign::Greater => Self::Greater,
            Sign::GreaterOrEqual => Self::GreaterOrEqual,
        }
    }
}

impl From<Part> for Operator {
    fn from(part: Part) -> Self {
        match part {
            Part::Start => Self::StartsWith,
            Part::End => Self::EndsWith,
            Part::Anywhere => Self::Contains,
        }
    }
}

/// Whether a field holds single values that can be compared and ordered.
pub(crate) fn is_scalar(shape: &Shape) -> bool {
    match shape {
        Shape::Plain(kind) => matches!(
            kind,
            Type::Int | Type::Double | Type::Decimal | Type::String | Type::Bool | Type::Timestamp | Type::Date
        ),
        Shape::One { .. } | Shape::Many { .. } => false,
    }
}

pub(crate) fn fits(kind: &Type, operator: Operator, text: &str) -> bool {
    match operator {
        Operator::Null => matches!(text, "true" | "false"),
        Operator::StartsWith
        | Operator::EndsWith
        | Operator::Contains
        | Operator::StartsWithAnyCase
        | Operator::EndsWithAnyCase
        | Operator::ContainsAnyCase => *kind == Type::String && !text.is_empty() && is_spelled(kind, text),
        Operator::Each => false,
        Operator::In | Operator::NotIn => {
            let item = |item: &str| !item.is_empty() && is_spelled(kind, item);
            text.split(',').count() <= MAX_LIST && text.split(',').all(item)
        }
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => is_spelled(kind, text),
    }
}

/// Whether a text is the one spelling of a value of a type.
pub(crate) fn is_spelled(kind: &Type, text: &str) -> bool {
    text.len() <= MAX_VALUE
        && !text.chars().any(char::is_control)
        && match kind {
            Type::String => true,
            Type::Int => text.parse::<i64>().is_ok_and(|number| number.to_string() == text),
            Type::Bool => matches!(text, "true" | "false"),
            Type::Decimal => is_number(text) && Decimal::parse(text).is_some(),
            Type::Double => is_number(text) && text.parse::<f64>().is_ok_and(f64::is_finite),
            Type::Timestamp => is_rfc3339(text) && text.parse::<Timestamp>().is_ok(),
            Type::Date => matches_shape(text, "dddd-dd-dd") && text.parse::<Date>().is_ok(),
            Type::Duration | Type::List(_) | Type::Map(_) | Type::Json => false,
        }
}

/// A value of a field's type as its one spelling. `None`: it has none that every server understands the same.
pub(crate) fn spelled(kind: &Type, value: &Value) -> Option<String> {
    let text = match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::String(text) => text.to_string(),
        Value::Timestamp(instant) if *kind == Type::Date => {
            jiff::tz::TimeZone::UTC.to_datetime(*instant).date().to_string()
        }
        Value::Timestamp(instant) => instant.to_string(),
        Value::Null | Value::Duration(_) | Value::List(_) | Value::Map(_) => return None,
    };
    is_spelled(kind, &text).then_some(text)
}

/// A JSON number (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let (mantissa, power) = text.split_once(['e', 'E']).map_or((text, None), |(m, p)| (m, Some(p)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && power.is_none_or(|power| digits(power.strip_prefix(['+', '-']).unwrap_or(power)))
}

/// RFC 3339, section 5.6, with `T` and `Z` in upper case.
fn is_rfc3339(text: &str) -> bool {
    let Some((start, rest)) = text.split_at_checked("dddd-dd-ddTdd:dd:dd".len()) else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    matches_shape(start, "dddd-dd-ddTdd:dd:dd")
        && (rest == "Z" || matches_shape(rest, "+dd:dd") || matches_shape(rest, "-dd:dd"))
}

/// `d` is a digit, all else itself.
fn matches_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(b, s)| if s == b'd' { b.is_ascii_digit() } else { b == s })
}
