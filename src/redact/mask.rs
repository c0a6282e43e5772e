//! How a value looks when it is shown in part.
//!
//! Masks work on what a value means, not on its spelling: strings are unescaped before and escaped after. Null stays
//! null under every mask but `constant`. A value that isn't of its declared kind, or not one that the mask can read, is
//! removed rather than shown.
//!
//! Hashes and tokens are HMAC-SHA-256 under keys derived for tenant, table and field, so that equal values can't be
//! told across them. Within one field they are the same for the same value: whoever can guess a value and see its
//! mask beside a known one learns that they are equal. A token can't be turned back into its value.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::civil::Date;

use super::{kind, request, text};
use crate::api::{Catalog, TableId};
use crate::model::TenantScope;
use crate::model::value::Type;
use crate::policy::Mask;
use crate::policy::decision::Truncation;
use crate::secret::Secret;

/// What a derived key is for; both masks of one field must not be comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Hash,
    Token,
}

/// Derives the keys of an answer's fields.
#[derive(Debug)]
pub(super) struct Keys {
    catalog: Arc<Catalog>,
    tenant: TenantScope,
    secret: Option<Secret>,
}

impl Keys {
    pub(super) fn new(catalog: Arc<Catalog>, tenant: TenantScope, secret: Option<Secret>) -> Self {
        Self { catalog, tenant, secret }
    }

    /// One step of HKDF-Expand (RFC 5869, section 2.3): the secret is a uniform key, the info names what for.
    pub(super) fn derive(&self, purpose: Purpose, table: TableId, field: &str) -> Option<hmac::Key> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_ref()?.expose());
        let purpose = match purpose {
            Purpose::Hash => "scrim mask hash v1",
            Purpose::Token => "scrim mask token v1",
        };
        let table = &*self.catalog.table(table).name;
        let tenant = self.tenant.dimensions().flat_map(|(name, value)| [&**name, &**value]);
        let mut info = Vec::new();
        for part in [purpose, table, field].into_iter().chain(tenant) {
            // Lengths go before the parts, so that no two lists of parts read the same.
            info.extend_from_slice(&(part.len() as u64).to_be_bytes());
            info.extend_from_slice(part.as_bytes());
        }
        info.push(1);
        Some(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, &info).as_ref()))
    }
}

/// What a mask made of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Masked {
    /// It is as it was: null, or what the mask would have made of it.
    Same,
    Replaced,
    Removed,
}

/// Masks a raw value of a field of this type, writing what stands for it to `out`, which is empty.
pub(super) fn apply<'k>(
    mask: &Mask,
    of: &Type,
    raw: &[u8],
    key: &dyn Fn(Purpose) -> Option<&'k hmac::Key>,
    out: &mut Vec<u8>,
) -> Masked {
    let written = match mask {
        Mask::Constant(value) => {
            out.extend_from_slice(&request::print(value));
            Some(())
        }
        _ if raw == b"null" => return Masked::Same,
        Mask::Null => {
            out.extend_from_slice(b"null");
            Some(())
        }
        _ if matches!(raw.first(), None | Some(b'{' | b'[')) || !kind::shows(of, raw) => None,
        Mask::Partial => partial(raw).map(|masked| text::escape(&masked, out)),
        Mask::Last4 => last4(raw).map(|masked| text::escape(&masked, out)),
        Mask::Truncate(truncation) => truncate(truncation, raw, out),
        Mask::Hash => key(Purpose::Hash).map(|key| keyed(key, "", raw, out)),
        Mask::Tokenise => key(Purpose::Token).map(|key| keyed(key, "tok_", raw, out)),
    };
    match written {
        None => Masked::Removed,
        Some(()) if out == raw => Masked::Same,
        Some(()) => Masked::Replaced,
    }
}

/// `a***@example.com` of an address, else the first letter of each word. Words of one letter show nothing: a text of
/// such words would be shown whole.
fn partial(raw: &[u8]) -> Option<String> {
    let text = text::string(raw)?;
    if let Some((local, domain)) = text.split_once('@')
        && let Some(first) = local.chars().next()
        && !local.contains(char::is_whitespace)
        && is_domain(domain)
    {
        return Some(format!("{first}***@{domain}"));
    }
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| {
            let mut letters = word.chars();
            match (letters.next(), letters.next()) {
                (Some(first), Some(_)) if first.is_alphabetic() => format!("{first}***"),
                _ => "***".to_owned(),
            }
        })
        .collect();
    Some(if words.is_empty() { "***".to_owned() } else { words.join(" ") })
}

/// What follows an `@` is shown whole, so it must look like nothing but a domain.
fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(|label| !label.is_empty())
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
}

/// The last four characters, of a text or of a number's digits.
fn last4(raw: &[u8]) -> Option<String> {
    let number = || std::str::from_utf8(raw).ok().filter(|_| kind::is_number(raw));
    let text = match text::string(raw) {
        Some(text) => text,
        None => number()?.into(),
    };
    let count = text.chars().count();
    if count < 8 {
        return Some("***".to_owned());
    }
    Some("***".chars().chain(text.chars().skip(count - 4)).collect())
}

/// Lower-case hex. The kind goes in, so that 1 and "1" differ; numbers go in as they are spelled.
fn keyed(key: &hmac::Key, prefix: &str, raw: &[u8], out: &mut Vec<u8>) {
    let mut context = hmac::Context::with_key(key);
    match text::string(raw) {
        Some(text) => {
            context.update(b"s");
            context.update(text.as_bytes());
        }
        None => {
            context.update(b"n");
            context.update(raw);
        }
    }
    let tag: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    text::escape(&format!("{prefix}{tag}"), out);
}

fn truncate(truncation: &Truncation, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match (truncation, text::string(raw)) {
        (Truncation::Bucket(size), None) => out.extend_from_slice(&bucket(std::str::from_utf8(raw).ok()?, *size)?),
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

#[cfg(test)]
mod tests;
