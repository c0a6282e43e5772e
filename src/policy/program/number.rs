//! Tests of raw JSON numbers against a known number, by their digits.
//!
//! Numbers of up to 18 digits without an exponent are read here, exactly: as a whole number and a power of ten, or as the
//! double that is nearest, where one division gives it. Longer ones are left to the interpreter.

use std::cmp::Ordering;

use super::text::Content;
use crate::model::value::{Decimal, Type};
use crate::policy::ir::Operator;
use crate::policy::value::Value;

/// Digits that fit into an `i64` whatever they are.
const MAX_DIGITS: usize = 18;
/// Whole numbers up to it are doubles, and compare like them.
const MAX_EXACT: u64 = 1 << 53;
/// Of ten.
const POWERS: [i64; MAX_DIGITS + 1] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
    10_000_000_000_000,
    100_000_000_000_000,
    1_000_000_000_000_000,
    10_000_000_000_000_000,
    100_000_000_000_000_000,
    1_000_000_000_000_000_000,
];

/// What a raw number is read as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Int,
    Double,
    /// May come as a string.
    Decimal,
    /// An integer is an int, any other number a double.
    Json,
}

/// A known number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    /// Finite.
    Double(f64),
    Exact(Plain),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `mantissa` / 10^`scale`, both of at most 18 digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    mantissa: i64,
    scale: usize,
    /// Written without a point.
    whole: bool,
}

impl Kind {
    pub(super) fn of(declared: &Type) -> Option<Self> {
        match declared {
            Type::Int => Some(Self::Int),
            Type::Double => Some(Self::Double),
            Type::Decimal => Some(Self::Decimal),
            Type::Json => Some(Self::Json),
            _ => None,
        }
    }

    /// `None`: not certain, or no number.
    pub(super) fn compare(self, raw: &[u8], number: &Number) -> Option<Ordering> {
        match self {
            Self::Int => Plain::int(whole(raw)?).as_int(number),
            Self::Double => Plain::parse(raw)?.as_double(number),
            Self::Decimal => Plain::parse(Content::Quoted.of(raw).unwrap_or(raw))?.as_decimal(number),
            Self::Json => {
                let read = Plain::parse(raw)?;
                if read.whole { read.as_int(number) } else { read.as_double(number) }
            }
        }
    }
}

impl Number {
    /// A known number beside a field of this kind.
    pub(super) fn new(value: &Value, beside: Kind) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(*number)),
            // As the interpreter does: by the shortest text that is this double, which above this is not all of it.
            Value::Double(number) if matches!(beside, Kind::Decimal) => {
                let exact = number.abs() < MAX_EXACT as f64;
                exact.then(|| Plain::of(&Decimal::parse(&number.to_string())?).map(Self::Exact))?
            }
            Value::Double(number) if number.is_finite() => Some(Self::Double(*number)),
            Value::Decimal(number) => Plain::of(number).map(Self::Exact),
            _ => None,
        }
    }
}

impl Plain {
    fn int(number: i64) -> Self {
        Self { mantissa: number, scale: 0, whole: true }
    }

    fn of(decimal: &Decimal) -> Option<Self> {
        let text = decimal.to_string();
        let (digits, power) = match text.split_once('e') {
            Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let Self { mantissa, scale, .. } = Self::parse(digits.as_bytes())?;
        let up = usize::try_from(power.max(0)).ok()?;
        let mantissa = mantissa.checked_mul(*POWERS.get(up)?).filter(|grown| grown.unsigned_abs() < 10_u64.pow(18))?;
        let scale = scale + usize::try_from(power.min(0).unsigned_abs()).ok()?;
        (scale <= MAX_DIGITS).then_some(Self { mantissa, scale, whole: false })
    }

    /// `-?[0-9]+(\.[0-9]+)?` of up to 18 digits.
    fn parse(raw: &[u8]) -> Option<Self> {
        let (negative, unsigned) = sign(raw);
        let (whole, rest) = digits(unsigned, 0);
        let (mantissa, scale, is_whole) = match rest {
            [] => (whole, 0, true),
            [b'.', fraction @ ..] if !fraction.is_empty() => {
                let (mantissa, rest) = digits(fraction, whole);
                if !rest.is_empty() {
                    return None;
                }
                (mantissa, fraction.len(), false)
            }
            _ => return None,
        };
        let count = unsigned.len() - usize::from(!is_whole);
        let read = count <= MAX_DIGITS && unsigned.len() - rest.len() > 0;
        let mantissa = if negative { mantissa.wrapping_neg() } else { mantissa };
        read.then_some(Self { mantissa, scale, whole: is_whole })
    }

    /// The nearest double: both parts are doubles themselves, and a division rounds once.
    fn double(self) -> Option<f64> {
        let exact = self.mantissa.unsigned_abs() <= MAX_EXACT;
        // Powers of ten up to 10^22 are doubles.
        let power = *POWERS.get(self.scale)? as f64;
        exact.then_some(self.mantissa as f64 / power)
    }

    fn as_int(self, number: &Number) -> Option<Ordering> {
        match number {
            Number::Int(number) => Some(self.mantissa.cmp(number)),
            Number::Double(number) => self.double()?.partial_cmp(number),
            Number::Exact(number) => Some(self.exactly(number)),
        }
    }

    fn as_double(self, number: &Number) -> Option<Ordering> {
        match number {
            Number::Int(number) => self.double()?.partial_cmp(&Self::int(*number).double()?),
            Number::Double(number) => self.double()?.partial_cmp(number),
            Number::Exact(_) => None,
        }
    }

    fn as_decimal(self, number: &Number) -> Option<Ordering> {
        match number {
            Number::Int(number) if number.unsigned_abs() < 10_u64.pow(18) => Some(self.exactly(&Self::int(*number))),
            Number::Int(_) | Number::Double(_) => None,
            Number::Exact(number) => Some(self.exactly(number)),
        }
    }

    fn exactly(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        let scaled = |number: &Self, scale: usize| {
            i128::from(number.mantissa) * i128::from(POWERS.get(scale).copied().unwrap_or_default())
        };
        scaled(self, other.scale).cmp(&scaled(other, self.scale))
    }
}

/// A raw integer of up to 18 digits.
pub(super) fn whole(raw: &[u8]) -> Option<i64> {
    let (negative, unsigned) = sign(raw);
    let (number, rest) = digits(unsigned, 0);
    let read = rest.is_empty() && !unsigned.is_empty() && unsigned.len() <= MAX_DIGITS;
    read.then_some(if negative { number.wrapping_neg() } else { number })
}

fn sign(raw: &[u8]) -> (bool, &[u8]) {
    match raw {
        [b'-', unsigned @ ..] => (true, unsigned),
        unsigned => (false, unsigned),
    }
}

/// The digits at the beginning behind those of `number`, and what follows them. Too many wrap around.
fn digits(mut text: &[u8], mut number: i64) -> (i64, &[u8]) {
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        text = rest;
    }
    (number, text)
}

impl Comparison {
    /// Of a field with something known; the negation of `Equal` for `!=`.
    pub(super) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Equal | Operator::NotEqual => Some(Self::Equal),
            Operator::Less => Some(Self::Less),
            Operator::LessOrEqual => Some(Self::LessOrEqual),
            Operator::Greater => Some(Self::Greater),
            Operator::GreaterOrEqual => Some(Self::GreaterOrEqual),
            _ => None,
        }
    }

    /// With its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    pub(super) fn accepts(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}
