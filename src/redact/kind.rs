//! Whether a raw JSON value is of a declared type.
//!
//! Three questions: what may leave ([`shows`]: the JSON kind, so that an object never hides behind a scalar's name), what
//! may be written ([`fits`]: everybody must read the value alike), and what can be read at all ([`reads`]). Null is the caller's affair in both. For most
//! types the first byte of a value answers the first ([`Kinds`]).

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::scan::{MAX_DEPTH, Scan, Text};
use super::{Unreadable, text};
use crate::model::value::{Decimal, Type};

/// A set of JSON kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOL: Self = Self(1 << 1);
    pub(super) const NUMBER: Self = Self(1 << 2);
    pub(super) const STRING: Self = Self(1 << 3);
    pub(super) const ARRAY: Self = Self(1 << 4);
    pub(super) const OBJECT: Self = Self(1 << 5);
    /// All but containers.
    pub(super) const SCALAR: Self = Self(0xF);
    pub(super) const ALL: Self = Self(0x3F);

    /// The kind of a valid value that begins with this byte.
    #[inline(always)]
    pub(super) fn of(first: u8) -> Self {
        #[expect(clippy::indexing_slicing, reason = "computed when it is compiled, where a wrong place is an error")]
        const BY_BYTE: [Kinds; 256] = {
            let mut kinds = [Kinds::NONE; 256];
            let mut digit = b'0';
            while digit <= b'9' {
                kinds[digit as usize] = Kinds::NUMBER;
                digit += 1;
            }
            kinds[b'-' as usize] = Kinds::NUMBER;
            kinds[b'"' as usize] = Kinds::STRING;
            kinds[b'n' as usize] = Kinds::NULL;
            kinds[b't' as usize] = Kinds::BOOL;
            kinds[b'f' as usize] = Kinds::BOOL;
            kinds[b'{' as usize] = Kinds::OBJECT;
            kinds[b'[' as usize] = Kinds::ARRAY;
            kinds
        };
        BY_BYTE.get(usize::from(first)).copied().unwrap_or_default()
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) const fn in_both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline]
    pub(super) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// The kinds that show as this type whatever stands in the value. Others may still, if [`shows`] says so.
    fn showing(kind: &Type) -> Self {
        match kind {
            Type::Json => Self::ALL,
            Type::Int | Type::Double | Type::Decimal => Self::NUMBER,
            Type::Bool => Self::BOOL,
            Type::String | Type::Timestamp | Type::Date | Type::Duration => Self::STRING,
            Type::List(_) | Type::Map(_) => Self::NONE,
        }
    }
}

/// What of a field stays as it is, whatever stands in its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) kinds: Kinds,
    /// Of arrays, those whose elements are all of these kinds. Not of containers.
    pub(super) elements: Kinds,
}

impl Keep {
    /// What shows as this type, null included. More may, if [`shows`] says so.
    pub(super) fn showing(kind: &Type) -> Self {
        let elements = match kind {
            Type::List(of) => Kinds::showing(of).and(Kinds::NULL).in_both(Kinds::SCALAR),
            _ => Kinds::NONE,
        };
        Self { kinds: Kinds::showing(kind).and(Kinds::NULL), elements }
    }

    pub(super) fn in_both(self, other: Self) -> Self {
        Self { kinds: self.kinds.in_both(other.kinds), elements: self.elements.in_both(other.elements) }
    }
}

/// Whether the value has the JSON kind that answers of this type have. Null inside of lists and maps passes.
pub(super) fn shows(kind: &Type, raw: &[u8]) -> bool {
    match kind {
        Type::Json => true,
        Type::Int | Type::Double => is_number(raw),
        Type::Decimal => is_number(raw) || decimal(raw).is_some(),
        Type::Bool => matches!(raw, b"true" | b"false"),
        Type::String | Type::Timestamp | Type::Date | Type::Duration => raw.first() == Some(&b'"'),
        Type::List(of) => all(raw, b'[', |item| item == b"null" || shows(of, item)),
        Type::Map(of) => all(raw, b'{', |item| item == b"null" || shows(of, item)),
    }
}

/// Whether the value can be read as its type, however it is spelled.
pub(super) fn reads(kind: &Type, raw: &[u8]) -> bool {
    match kind {
        Type::Timestamp => text::string(raw).is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        Type::List(of) => all(raw, b'[', |item| reads(of, item)),
        Type::Map(of) => all(raw, b'{', |item| reads(of, item)),
        kind => fits(kind, raw),
    }
}

/// Whether the value can be read as its type, in a spelling that every reader takes for the same.
pub(super) fn fits(kind: &Type, raw: &[u8]) -> bool {
    let text = || text::string(raw);
    match kind {
        Type::Json => true,
        Type::Int => is_number(raw) && std::str::from_utf8(raw).is_ok_and(|digits| digits.parse::<i64>().is_ok()),
        Type::Double => is_number(raw) && double(raw).is_some(),
        Type::Decimal => decimal(raw).is_some(),
        Type::Bool | Type::String => shows(kind, raw),
        Type::Timestamp => text().is_some_and(|text| is_timestamp(&text)),
        Type::Date => text().is_some_and(|text| matches_shape(text.as_bytes(), DATE) && text.parse::<Date>().is_ok()),
        Type::Duration => text().is_some_and(|text| text.parse::<SignedDuration>().is_ok()),
        Type::List(of) => all(raw, b'[', |item| fits(of, item)),
        Type::Map(of) => all(raw, b'{', |item| fits(of, item)),
    }
}

/// Digits for zeros, all else as it stands.
const DATE: &[u8] = b"0000-00-00";

/// Whether a text is a point in time as RFC 3339, section 5.6, spells it, in capitals; a space may stand for the `T`, and an
/// offset be without its colon, as some APIs print it. There are other spellings, which some upstreams read as another time, or
/// as none: PocketBase takes a small `t` or `z` for no time at all. Of a leap second there is more than one reading.
fn is_timestamp(text: &str) -> bool {
    let well_formed = || {
        let (date, rest) = text.as_bytes().split_at_checked(DATE.len())?;
        let (separator, rest) = rest.split_first()?;
        let (time, rest) = rest.split_at_checked("00:00:00".len())?;
        let fraction = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let offset = match rest {
            [b'.', rest @ ..] => rest.get(fraction(rest)..).filter(|_| (1..=9).contains(&fraction(rest)))?,
            rest => rest,
        };
        let is_offset = match offset {
            [b'Z'] => true,
            [b'+' | b'-', offset @ ..] => matches_shape(offset, b"00:00") || matches_shape(offset, b"0000"),
            _ => false,
        };
        let is_leap = time.ends_with(b":60");
        let is_time = matches!(separator, b'T' | b' ') && matches_shape(time, b"00:00:00") && !is_leap;
        (matches_shape(date, DATE) && is_time && is_offset).then_some(())
    };
    well_formed().is_some() && text.parse::<Timestamp>().is_ok()
}

fn matches_shape(text: &[u8], shape: &[u8]) -> bool {
    let matches = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    text.len() == shape.len() && text.iter().zip(shape).all(matches)
}

/// Whether a number, or one in a string, stays what it is where it is held as a 64-bit float.
pub(super) fn is_kept_by_double(raw: &[u8]) -> bool {
    let held = written(raw).and_then(|text| text.parse::<f64>().ok());
    held.is_some_and(|held| Decimal::parse(&held.to_string()) == decimal(raw))
}

/// Whether a time says nothing finer than an upstream holds, in digits behind the second's point. Zeros say nothing.
pub(super) fn is_kept_by_digits(raw: &[u8], digits: usize) -> bool {
    let fraction = raw.iter().skip_while(|byte| **byte != b'.').skip(1).take_while(|byte| byte.is_ascii_digit());
    fraction.skip(digits).all(|digit| *digit == b'0')
}

/// Whether PocketBase may hold another value than a text: where a column takes one of several words, a file or a key, a text
/// that is an array in JSON is its last element to it.
pub(super) fn is_list_in_text(raw: &[u8]) -> bool {
    let is_space = |c| matches!(c, ' ' | '\t' | '\n' | '\r');
    let inner = |text: &str| {
        let inner = text.trim_matches(is_space).strip_prefix('[')?.strip_suffix(']')?.trim_start_matches(is_space);
        Some(inner.is_empty() || inner.starts_with(['"', 'n']))
    };
    text::string(raw).is_some_and(|text| inner(&text).unwrap_or_default())
}

/// Whether it may hold another JSON value than a text: one that is JSON itself.
pub(super) fn is_json_in_text(raw: &[u8]) -> bool {
    let Some(text) = text::string(raw) else { return false };
    let is_word = matches!(&*text, "null" | "true" | "false");
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '"' | '[' | '{'));
    let mut scan = Scan::document(text.as_bytes(), MAX_DEPTH);
    let read = scan.value().and_then(|_| scan.end());
    // What is JSON beyond what this scanner takes may be JSON to others.
    let is_none = matches!(read, Err(Unreadable::Syntax | Unreadable::Incomplete | Unreadable::Trailing));
    is_word || begins && !is_none
}

/// Whether a list of texts can be told from one text with commas between them.
pub(super) fn is_list_of_words(raw: &[u8]) -> bool {
    all(raw, b'[', |item| text::string(item).is_some_and(|text| !text.is_empty() && !text.contains(',')))
}

/// Whether PocketBase holds an array as it is: of texts, it drops what is empty or was there before.
pub(super) fn is_set(raw: &[u8]) -> bool {
    let (mut seen, mut is_set) = (HashSet::new(), true);
    let walked = each(raw, b'[', |_, item| {
        let text = text::string(item).unwrap_or_default().into_owned();
        is_set &= !text.is_empty() && seen.insert(text);
    });
    walked.is_some() && is_set
}

/// A JSON string's or number's text. `None` for other values.
pub(super) fn written(raw: &[u8]) -> Option<Cow<'_, str>> {
    if is_number(raw) { std::str::from_utf8(raw).ok().map(Cow::Borrowed) } else { text::string(raw) }
}

pub(super) fn is_number(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b'-' | b'0'..=b'9'))
}

/// A finite double.
pub(super) fn double(raw: &[u8]) -> Option<f64> {
    std::str::from_utf8(raw).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A number, or a number in a string, as many APIs spell decimals.
pub(super) fn decimal(raw: &[u8]) -> Option<Decimal> {
    Decimal::parse(&written(raw)?)
}

/// Whether every item of a container passes. Recursion is bounded by the declared type.
fn all(raw: &[u8], open: u8, passes: impl Fn(&[u8]) -> bool) -> bool {
    if open == b'[' {
        return raw.starts_with(b"[") && every_element(raw, passes).unwrap_or(false);
    }
    let mut every = true;
    let walked = each(raw, open, |_, item| every &= passes(item));
    walked.is_some() && every
}

/// The same of a valid array.
fn every_element(raw: &[u8], passes: impl Fn(&[u8]) -> bool) -> Result<bool, Unreadable> {
    let text = Scan::document(raw, MAX_DEPTH).text();
    let (mut at, mut byte) = text.look(1)?;
    while byte != b']' {
        let start = at;
        at = text.value(at, byte, MAX_DEPTH)?;
        if !passes(raw.get(start..at).unwrap_or_default()) {
            return Ok(false);
        }
        (at, byte) = text.look(at)?;
        if byte == b',' {
            (at, byte) = text.look(at + 1)?;
        }
    }
    Ok(true)
}

/// Where an array ends that begins there, if its elements are all of these kinds, none of which is a container. `None`: it
/// is another one, or wrong, or cut.
#[inline(never)]
pub(super) fn list_of(kinds: Kinds, text: Text<'_>, at: usize) -> Option<usize> {
    let (mut at, mut byte) = text.look(at + 1).ok()?;
    if byte == b']' {
        return Some(at + 1);
    }
    while kinds.has(Kinds::of(byte)) {
        (at, byte) = text.look(text.value(at, byte, 0).ok()?).ok()?;
        match byte {
            b',' => (at, byte) = text.look(at + 1).ok()?,
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
    None
}

/// Calls with the unescaped names (empty in arrays) and raw values of a valid container; `None` if it is no such one.
pub(super) fn each<'b>(raw: &'b [u8], open: u8, mut visit: impl FnMut(&[u8], &'b [u8])) -> Option<()> {
    let mut scan = Scan::document(raw, MAX_DEPTH);
    if scan.peek().ok()? != open {
        return None;
    }
    scan.enter().ok()?;
    let mut first = true;
    if open == b'{' {
        while let Some(key) = scan.member(&mut first).ok()? {
            let item = scan.value().ok()?;
            visit(&key.name(), item.of(raw));
        }
    } else {
        while scan.element(&mut first).ok()? {
            let item = scan.value().ok()?;
            visit(&[], item.of(raw));
        }
    }
    Some(())
}
