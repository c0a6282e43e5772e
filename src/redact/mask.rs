//! How a value looks when it is shown in part.
//!
//! Masks work on what a value means, not on its spelling: strings are unescaped before and escaped after. Null stays
//! null under every mask but `constant`. Of a list, each element is masked, nulls aside. A value that isn't of its
//! declared kind, or not one that the mask can read, is removed rather than shown, and a list with one such element
//! as a whole. Masks by a key are in `keyed`; `null` and `constant` don't look at the value.

mod keyed;
mod number;
mod truncate;

pub(super) use self::keyed::Keys;
pub use self::keyed::detokenise;
use self::keyed::{Hasher, Tokeniser};
use super::{kind, request, text};
use crate::api::{FieldId, TableId};
use crate::model::value::Type;
use crate::policy::Mask;
use crate::policy::decision::Truncation;

/// A mask made ready for the values of one field.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each masked field of a plan; a key behind a pointer costs each value"
)]
pub(super) enum Masking {
    /// As it is written.
    Constant(Vec<u8>),
    Null,
    Partial,
    Last4,
    Truncate(Truncation),
    /// Without a key nothing can stand for a value.
    Hash(Option<Hasher>),
    Tokenise(Option<Tokeniser>),
}

/// What a mask made of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Masked {
    /// It is as it was: null, or what the mask would have made of it.
    Same,
    Replaced,
    Removed,
}

impl Masking {
    pub(super) fn new(mask: &Mask, keys: &Keys, table: TableId, field: FieldId) -> Self {
        match mask {
            Mask::Constant(value) => Self::Constant(request::print(value)),
            Mask::Null => Self::Null,
            Mask::Partial => Self::Partial,
            Mask::Last4 => Self::Last4,
            Mask::Truncate(truncation) => Self::Truncate(truncation.clone()),
            Mask::Hash => Self::Hash(keys.hasher(table, field)),
            Mask::Tokenise => Self::Tokenise(keys.tokeniser(table, field)),
        }
    }

    /// Masks a raw value of a field of this type, writing what stands for it to `out`, which is empty.
    pub(super) fn apply(&mut self, of: &Type, raw: &[u8], out: &mut Vec<u8>) -> Masked {
        let written = match self {
            Self::Constant(value) => {
                out.extend_from_slice(value);
                Some(())
            }
            _ if raw == b"null" => return Masked::Same,
            Self::Null => {
                out.extend_from_slice(b"null");
                Some(())
            }
            _ if !kind::shows(of, raw) => None,
            _ => match of {
                Type::List(of) => self.elements(of, raw, out),
                _ => self.scalar(of, raw, out),
            },
        };
        match written {
            None => Masked::Removed,
            Some(()) if out == raw => Masked::Same,
            Some(()) => Masked::Replaced,
        }
    }

    fn elements(&mut self, of: &Type, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if matches!(of, Type::List(_) | Type::Map(_) | Type::Json) {
            return None;
        }
        out.push(b'[');
        let mut every = Some(());
        kind::each(raw, b'[', |_, item| {
            if out.len() > 1 {
                out.push(b',');
            }
            if item == b"null" {
                out.extend_from_slice(item);
            } else if self.scalar(of, item, out).is_none() {
                every = None;
            }
        })?;
        out.push(b']');
        every
    }

    fn scalar(&mut self, of: &Type, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if matches!(raw.first(), None | Some(b'{' | b'[')) {
            return None;
        }
        match self {
            Self::Partial => partial(raw, out)?,
            Self::Last4 if number::is_of(of) => last4(number::spelled(raw)?.as_bytes(), out)?,
            Self::Last4 => last4(raw, out)?,
            Self::Truncate(truncation) => truncate::truncate(truncation, raw, out)?,
            Self::Hash(hasher) => hasher.as_ref()?.write(of, raw, out)?,
            Self::Tokenise(tokeniser) => tokeniser.as_mut()?.write(of, raw, out)?,
            Self::Constant(_) | Self::Null => return None,
        }
        Some(())
    }
}

/// What stands for what isn't shown.
const STARS: &[u8] = b"***";

/// `a***@example.com` of an address, else the first letter of each word. What is one letter shows nothing of it: it would be
/// shown whole.
fn partial(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if let Some((first, domain)) = text::plain(raw).and_then(plain_address) {
        // As one part, for each costs a call.
        out.extend_from_slice(&[b'"', first, b'*', b'*', b'*', b'@']);
        out.extend_from_slice(domain);
        out.push(b'"');
        return Some(());
    }
    let text = text::string(raw)?;
    out.push(b'"');
    if let Some((local, domain)) = text.split_once('@')
        && let Some(first) = local.chars().next()
        && !local.contains(char::is_whitespace)
        && is_domain(domain)
    {
        if first != '*' && local.chars().nth(1).is_some() {
            text::escape_char(first, out);
        }
        out.extend_from_slice(STARS);
        out.push(b'@');
        out.extend_from_slice(domain.as_bytes());
    } else {
        let mut words = text.split_whitespace().peekable();
        if words.peek().is_none() {
            out.extend_from_slice(STARS);
        }
        while let Some(word) = words.next() {
            let mut letters = word.chars();
            if let (Some(first), Some(_)) = (letters.next(), letters.next())
                && first.is_alphabetic()
            {
                text::escape_char(first, out);
            }
            out.extend_from_slice(STARS);
            if words.peek().is_some() {
                out.push(b' ');
            }
        }
    }
    out.push(b'"');
    Some(())
}

/// The first letter and the domain of an address, as most are: what this finds, the long way would find too.
fn plain_address(text: &[u8]) -> Option<(u8, &[u8])> {
    let at = memchr::memchr(b'@', text)?;
    let (local, domain) = (text.get(..at)?, text.get(at + 1..)?);
    let (first, more) = local.split_first()?;
    let is_shown = *first != b'*' && !more.is_empty() && first.is_ascii();
    (is_shown && !local.contains(&b' ') && is_ascii_domain(domain)).then_some((*first, domain))
}

/// What follows an `@` is shown whole, so it must look like nothing but a domain.
fn is_domain(text: &str) -> bool {
    is_ascii_domain(text.as_bytes())
        || text.len() <= 253
            && text.contains('.')
            && text.split('.').all(|label| !label.is_empty())
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
}

fn is_ascii_domain(text: &[u8]) -> bool {
    let (mut label, mut dots) = (0, 0);
    for byte in text {
        match byte {
            b'.' if label > 0 => (label, dots) = (0, dots + 1),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => label += 1,
            _ => return false,
        }
    }
    text.len() <= 253 && dots > 0 && label > 0
}

/// The last four characters, of a text or of a number's digits, if there are twice as many.
fn last4(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digits: Vec<u8>;
    let plain = match text::plain(raw) {
        None if kind::is_number(raw) => {
            digits = raw.iter().copied().filter(u8::is_ascii_digit).collect();
            Some(&digits[..])
        }
        plain => plain,
    };
    if let Some(plain) = plain {
        match plain.last_chunk() {
            Some([a, b, c, d]) if plain.len() >= 8 => {
                out.extend_from_slice(&[b'"', b'*', b'*', b'*', *a, *b, *c, *d, b'"']);
            }
            _ => out.extend_from_slice(b"\"***\""),
        }
        return Some(());
    }
    let text = text::string(raw)?;
    out.push(b'"');
    out.extend_from_slice(STARS);
    if text.chars().nth(7).is_some()
        && let Some((last, _)) = text.char_indices().rev().nth(3)
    {
        text.get(last..)?.chars().for_each(|shown| text::escape_char(shown, out));
    }
    out.push(b'"');
    Some(())
}

#[cfg(test)]
mod tests;
