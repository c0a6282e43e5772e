//! Dates and timestamps cut to their month or year, numbers to a multiple below them.
//!
//! What of a value is shown as it stands must look like nothing but what it should be: text behind a date, or in the
//! place of an offset, would leave otherwise. Numbers are cut by their digits, exactly, whatever their length.

use jiff::civil::Date;

use crate::policy::decision::Truncation;
use crate::redact::{kind, text};

/// Writes what is left of a value; `None` if it is not one of the truncation's kind.
pub(super) fn truncate(truncation: &Truncation, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match (truncation, text::string(raw)) {
        (Truncation::Bucket(size), None) => {
            let number = std::str::from_utf8(raw).ok()?;
            if small_bucket(number, *size, out).is_none() {
                out.extend_from_slice(&bucket(number, *size)?);
            }
        }
        // A decimal in a string stays one.
        (Truncation::Bucket(size), Some(text)) => {
            kind::decimal(raw)?;
            let multiple = bucket(&text, *size)?;
            text::escape(std::str::from_utf8(&multiple).ok()?, out);
        }
        (Truncation::Month, Some(text)) => text::escape(&begin(&text, |date| (date.year(), date.month()))?, out),
        (Truncation::Year, Some(text)) => text::escape(&begin(&text, |date| (date.year(), 1))?, out),
        (Truncation::Month | Truncation::Year, None) => return None,
    }
    Some(())
}

/// A date's or timestamp's (RFC 3339) first moment of its month or year, in its own offset and of its own form.
fn begin(text: &str, keep: impl Fn(Date) -> (i16, i8)) -> Option<String> {
    let (date, time) = text.split_at_checked("2024-05-17".len())?;
    let shape = date.bytes().enumerate().all(|(n, b)| if n == 4 || n == 7 { b == b'-' } else { b.is_ascii_digit() });
    let (year, month) = keep(date.parse::<Date>().ok().filter(|_| shape)?);
    if time.is_empty() {
        return Some(format!("{year:04}-{month:02}-01"));
    }
    let (separator, clock) = time.split_at_checked(1).filter(|(s, _)| matches!(*s, "T" | "t" | " "))?;
    let offset = clock.find(['Z', 'z', '+', '-']).map_or("", |at| clock.get(at..).unwrap_or_default());
    let hours = clock.strip_suffix(offset)?;
    if !is_clock(hours) || !is_offset(offset) {
        return None;
    }
    Some(format!("{year:04}-{month:02}-01{separator}00:00:00{offset}"))
}

/// `10:11`, `10:11:12` or `10:11:12.123`.
fn is_clock(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// Nothing, `Z`, `+02`, `+0200` or `+02:00`; shown whole, so no more than that.
fn is_offset(text: &str) -> bool {
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix(['+', '-']) {
        None => matches!(text, "" | "Z" | "z"),
        Some(offset) => match offset.split_at_checked(2) {
            Some((hours, "")) => digits(hours),
            Some((hours, minutes)) => digits(hours) && digits(minutes.strip_prefix(':').unwrap_or(minutes)),
            None => false,
        },
    }
}

/// The same as [`bucket`] for numbers of up to 18 digits before the point and without an exponent; `None` for others.
fn small_bucket(number: &str, size: u64, out: &mut Vec<u8>) -> Option<()> {
    let (negative, magnitude) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    if whole.len() > 18 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let below = whole.checked_rem(size)?;
    let mut multiple = whole - below;
    if negative && (below > 0 || fraction.bytes().any(|digit| digit != b'0')) {
        multiple = multiple.checked_add(size)?;
    }
    if negative && multiple > 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(multiple).as_bytes());
    Some(())
}

/// Numbers with more digits than this before the point are not bucketed.
const MAX_DIGITS: usize = 400;

/// The next lower multiple of `size` of a number, exactly, whatever its length.
fn bucket(number: &str, size: u64) -> Option<Vec<u8>> {
    let size = u128::from(size);
    let (negative, magnitude) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, power) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if size == 0 || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let significant = digits.iter().any(|digit| *digit != b'0');
    // The point stands after this many digits; a zero has it anywhere.
    let point = match power.parse::<i64>() {
        Ok(power) => i64::try_from(whole.len()).ok()?.checked_add(power)?,
        Err(_) if !significant => 1,
        Err(_) => return None,
    };
    let point = if significant { usize::try_from(point.max(0)).ok()? } else { 1 };
    if point > MAX_DIGITS {
        return None;
    }
    let above: Vec<u8> = digits.iter().copied().chain(std::iter::repeat(b'0')).take(point).collect();
    let rest_below = digits.iter().skip(point).any(|digit| *digit != b'0');
    let remainder = above.iter().fold(0u128, |left, digit| (left * 10 + u128::from(digit - b'0')) % size);
    let exact = remainder == 0 && !rest_below;
    let multiple = match (negative, exact) {
        (false, _) => shift(&above, -i128::try_from(remainder).ok()?),
        (true, true) => shift(&above, 0),
        (true, false) => shift(&above, i128::try_from(size - remainder).ok()?),
    };
    let zero = multiple == b"0";
    Some(if negative && !zero { [b"-", &*multiple].concat() } else { multiple })
}

/// Digits plus a number that doesn't take them below zero, without leading zeros.
fn shift(digits: &[u8], by: i128) -> Vec<u8> {
    let mut carry = by;
    let mut sum: Vec<u8> = Vec::with_capacity(digits.len() + 20);
    for digit in digits.iter().rev() {
        let total = i128::from(digit - b'0') + carry;
        sum.push(b'0' + total.rem_euclid(10) as u8);
        carry = total.div_euclid(10);
    }
    while carry > 0 {
        sum.push(b'0' + (carry % 10) as u8);
        carry /= 10;
    }
    while sum.last() == Some(&b'0') {
        sum.pop();
    }
    if sum.is_empty() {
        sum.push(b'0');
    }
    sum.reverse();
    sum
}
