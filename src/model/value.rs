//! A typed value as policies see it: of a principal's attribute, a literal, or a record's field.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Name;

/// JSON integers are `Int` whatever their sign; decimals keep their digits and are compared exactly, never through f64.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Decimal(Decimal),
    String(Name),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    List(Arc<[Value]>),
    Map(Arc<BTreeMap<Name, Value>>),
}

impl Value {
    pub fn string(text: impl Into<Name>) -> Self {
        Self::String(text.into())
    }

    pub fn strings<'a>(texts: impl IntoIterator<Item = &'a Name>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::String(Arc::clone(text))).collect())
    }
}

/// The types that an operator can declare for a field or an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    Double,
    Decimal,
    String,
    Bool,
    Timestamp,
    Date,
    Duration,
    List(Box<Type>),
    Map(Box<Type>),
    /// Any JSON.
    Json,
}

impl Type {
    /// Reads `int`, `list(string)`, `map(list(int))` and so on.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let inner = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')').and_then(Self::parse);
        match text {
            "int" => Some(Self::Int),
            "double" => Some(Self::Double),
            "decimal" => Some(Self::Decimal),
            "string" => Some(Self::String),
            "bool" => Some(Self::Bool),
            "timestamp" => Some(Self::Timestamp),
            "date" => Some(Self::Date),
            "duration" => Some(Self::Duration),
            "json" => Some(Self::Json),
            _ => {
                inner("list").map(|t| Self::List(Box::new(t))).or_else(|| inner("map").map(|t| Self::Map(Box::new(t))))
            }
        }
    }

    /// Whether a value has a form outside of JSON: it is neither a list nor an object.
    pub fn is_primitive(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_) | Self::Json)
    }

    /// The words that [`parse`](Self::parse) knows, for hints.
    pub const WORDS: [&'static str; 9] =
        ["int", "double", "decimal", "string", "bool", "timestamp", "date", "duration", "json"];
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Decimal => f.write_str("decimal"),
            Self::String => f.write_str("string"),
            Self::Bool => f.write_str("bool"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Date => f.write_str("date"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map({of})"),
            Self::Json => f.write_str("json"),
        }
    }
}

/// A decimal number of any length: sign, digits without leading zeros, and a power of ten, normalised so that equal
/// numbers are equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: Box<[u8]>,
    /// The value is 0.d1d2d3… × 10^exponent.
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number (RFC 8259, section 6). `None` for other text, or an exponent beyond ±1,000,000.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i64>().ok().filter(|p| p.abs() <= 1_000_000)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.') || fraction.contains('.') {
            return None;
        }
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        let leading = all.iter().take_while(|d| **d == 0).count();
        let trailing = all.iter().rev().take_while(|d| **d == 0).count();
        let digits: Box<[u8]> = all.get(leading..all.len() - trailing.min(all.len() - leading))?.into();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let exponent = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + power;
        Some(Self { negative, digits, exponent })
    }

    /// As a JSON number without a power of ten. `None`: that would take more than so many zeros beside its digits.
    pub fn plain(&self, most: usize) -> Option<String> {
        let zeros = |count: i64| usize::try_from(count.max(0)).ok().filter(|zeros| *zeros <= most);
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let length = i64::try_from(digits.len()).ok()?;
        let sign = if self.negative { "-" } else { "" };
        if digits.is_empty() {
            return Some("0".to_owned());
        }
        Some(match usize::try_from(self.exponent) {
            Ok(point) if point > 0 && self.exponent < length => {
                let (whole, fraction) = digits.split_at_checked(point)?;
                format!("{sign}{whole}.{fraction}")
            }
            Ok(point) if point > 0 => format!("{sign}{digits}{}", "0".repeat(zeros(self.exponent - length)?)),
            _ => format!("{sign}0.{}{digits}", "0".repeat(zeros(-self.exponent)?)),
        })
    }

    /// How many digits it has without zeros at either end.
    pub fn digits(&self) -> usize {
        self.digits.len()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        let sign = |d: &Self| i8::from(!d.digits.is_empty()) * if d.negative { -1 } else { 1 };
        let magnitude = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        match (sign(self), sign(other)) {
            (1, 1) => magnitude(),
            (-1, -1) => magnitude().reverse(),
            (0, 0) => Ordering::Equal,
            (a, b) => a.cmp(&b),
        }
    }
}

/// As a JSON number: plain where that is short, with a power of ten where it is not.
impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        if digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let length = digits.len() as i64;
        match self.exponent {
            0 => write!(f, "0.{digits}"),
            point @ 1.. if point < length => {
                let (whole, fraction) = digits.split_at(point as usize);
                write!(f, "{whole}.{fraction}")
            }
            point if (length..=length + 20).contains(&point) => {
                write!(f, "{digits}{}", "0".repeat((point - length) as usize))
            }
            point => write!(f, "{digits}e{}", point - length),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    #[test]
    fn decimals_compare_by_value_and_never_through_floats() {
        for equal in [("1", "1.00"), ("0", "-0.0"), ("100", "1e2"), ("0.001", "1e-3"), ("10.50", "105e-1")] {
            assert_eq!(decimal(equal.0), decimal(equal.1), "{equal:?}");
        }
        let ascending =
            ["-1e9", "-10.5", "-0.1", "0", "0.1", "0.10000000000000000001", "9", "10", "99999999999999999999999"];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
        for text in ["0", "-1", "10.5", "-0.25", "0.001", "120", "1e300", "-1.5e-300", "99999999999999999999999.25"] {
            assert_eq!(decimal(&decimal(text).to_string()), decimal(text), "{text}");
        }
        for (text, printed) in [("1.00", "1"), ("-0.25", "-0.25"), ("1200", "1200"), ("105e-1", "10.5"), ("-0", "0")] {
            assert_eq!(decimal(text).to_string(), printed);
        }
        for (text, printed) in [
            ("-0.0", "0"),
            ("-12.50", "-12.5"),
            ("1e3", "1000"),
            ("120e-4", "0.012"),
            ("0.1", "0.1"),
            ("1e30", "1000000000000000000000000000000"),
        ] {
            assert_eq!(decimal(text).plain(30).as_deref(), Some(printed), "{text}");
        }
        for long in ["1e31", "-1e1000000", "1e-32", "1e-1000000"] {
            assert_eq!(decimal(long).plain(30), None, "{long}");
        }
        for wrong in ["", "-", ".5", "1.2.3", "abc", "1e9999999", "+1"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn types_read_back_as_they_print() {
        for text in ["int", "list(string)", "map(list(decimal))", "json"] {
            assert_eq!(Type::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Type::parse("list"), None);
        assert_eq!(Type::parse("varchar"), None);
    }
}
