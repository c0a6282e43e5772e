//! Tests of raw JSON strings against known text.
//!
//! Raw bytes are the text itself as long as nothing in them is escaped. An escape is always longer than what it stands
//! for, so a raw string that is no longer than a text and differs from it says something else; where an escape could
//! make the difference, nothing is said.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use memchr::memchr;

use crate::model::Name;

/// A known text that JSON needs no escape for, in quotes.
#[derive(Debug)]
pub(super) struct Text(Box<[u8]>);

impl Text {
    /// `None` for a text that can't stand in JSON as it is.
    pub(super) fn new(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        plain.then(|| Self([b"\"", text.as_bytes(), b"\""].concat().into()))
    }

    /// Without its quotes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.get(1..self.0.len().wrapping_sub(1)).unwrap_or_default()
    }

    pub(super) fn equals(&self, raw: &[u8]) -> Option<bool> {
        if is_same(raw, &self.0) {
            return Some(true);
        }
        let longer = raw.len() > self.0.len();
        (is_string(raw) && !(longer && has_escape(raw))).then_some(false)
    }

    pub(super) fn starts(&self, raw: &[u8]) -> Option<bool> {
        let (_, start) = self.0.split_last()?;
        if raw.starts_with(start) {
            return Some(true);
        }
        // What is escaped further on can't make the beginning another.
        let escaped = has_escape(raw.get(..start.len()).unwrap_or(raw));
        (is_string(raw) && !escaped).then_some(false)
    }

    pub(super) fn ends(&self, raw: &[u8]) -> Option<bool> {
        let (_, end) = self.0.split_first()?;
        (is_string(raw) && !has_escape(raw)).then(|| raw.ends_with(end))
    }
}

/// A valid JSON value with this beginning is a string, and ends as one.
fn is_string(raw: &[u8]) -> bool {
    matches!(raw, [b'"', .., b'"'])
}

/// Equality of what is mostly short and, where it differs, differs at its end: of ids.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let ends = |text: &[u8]| Some((*text.first_chunk::<8>()?, *text.last_chunk::<8>()?));
    match (ends(a), ends(b)) {
        (Some(of_a), Some(of_b)) => a.len() == b.len() && of_a == of_b && (a.len() <= 16 || a == b),
        _ => a == b,
    }
}

/// Whether a backslash is among the bytes: eight at a time, as most texts are short.
fn has_escape(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let in_word = |bytes: &[u8; 8]| {
        let zero_at_escape = u64::from_ne_bytes(*bytes) ^ u64::from_ne_bytes([b'\\'; 8]);
        zero_at_escape.wrapping_sub(ONES) & !zero_at_escape & HIGHS
    };
    match text.last_chunk() {
        Some(last) if text.len() <= 64 => {
            let (words, _) = text.as_chunks();
            words.iter().fold(in_word(last), |found, word| found | in_word(word)) != 0
        }
        Some(_) => memchr(b'\\', text).is_some(),
        None => text.contains(&b'\\'),
    }
}

/// How a raw value spells a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// A string.
    Quoted,
    /// An integer, whose text is its digits.
    Digits,
}

impl Content {
    /// The text of a raw value. `None`: it is of another kind, or escaped.
    pub(super) fn of(self, raw: &[u8]) -> Option<&[u8]> {
        match (self, raw) {
            (Self::Quoted, [b'"', text @ .., b'"']) => (!has_escape(text)).then_some(text),
            (Self::Quoted, _) => None,
            // `-0` is the number 0, whose text is another.
            (Self::Digits, _) => super::number::whole(raw).filter(|_| raw != b"-0").map(|_| raw),
        }
    }
}

/// Known texts of which one may be meant.
#[derive(Debug)]
pub(super) enum Texts {
    /// Compared one by one: lengths first.
    Few(Box<[Name]>),
    Many(HashSet<Bytes, Seed>),
}

impl Texts {
    const FEW: usize = 8;

    /// Texts with an escape in them have no place here: a raw value without one is never equal to them.
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t Name> + Clone) -> Self {
        if texts.clone().nth(Self::FEW).is_none() {
            Self::Few(texts.cloned().collect())
        } else {
            let mut many = HashSet::with_hasher(Seed::new());
            many.extend(texts.cloned().map(Bytes));
            Self::Many(many)
        }
    }

    pub(super) fn hold(&self, content: Content, raw: &[u8]) -> Option<bool> {
        let text = content.of(raw)?;
        Some(match self {
            Self::Few(texts) => texts.iter().any(|known| is_same(known.as_bytes(), text)),
            Self::Many(texts) => texts.contains(text),
        })
    }
}

/// A text that is found by its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bytes(Name);

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a slice of bytes, by which it is looked up, is hashed.
        self.0.as_bytes().hash(state);
    }
}

/// Hashes short texts fast. The texts are a caller's, who can't know what they are hashed with.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    state: u64,
    factor: u64,
}

impl Seed {
    fn new() -> Self {
        let random = RandomState::new();
        Self { state: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        self.clone()
    }
}

impl Seed {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Seed {
    /// Lengths are hashed beside the bytes, so that the last word may overlap the one before it.
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.add(u64::from_ne_bytes(*word)));
        match bytes.last_chunk() {
            Some(_) if rest.is_empty() => {}
            Some(last) => self.add(u64::from_ne_bytes(*last)),
            None => self.add(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.state = self.state.wrapping_add(length as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_found_wherever_it_stands() {
        for length in 0..150 {
            // Neighbours of the backslash in ASCII, and bytes that borrow from each other.
            for fill in [b'a', b'[', b']', b'\\' - 0x40, 0xDC, 0xFF, 0] {
                let mut text = vec![fill; length];
                assert!(!has_escape(&text), "{length} times {fill}");
                for at in 0..length {
                    text[at] = b'\\';
                    assert!(has_escape(&text), "at {at} of {length}");
                    text[at] = fill;
                }
            }
        }
    }

    #[test]
    fn known_texts_are_found_and_no_others() {
        for count in [0, 1, 8, 9, 1000] {
            let known: Vec<Name> = (0..count).map(|n| "x".repeat(n % 20).as_str().into()).collect();
            let known: Vec<Name> = known.into_iter().enumerate().map(|(n, x)| format!("{n}{x}").into()).collect();
            let texts = Texts::new(known.iter());
            for text in &known {
                assert_eq!(texts.hold(Content::Quoted, format!("\"{text}\"").as_bytes()), Some(true), "{text}");
                assert_eq!(texts.hold(Content::Quoted, format!("\"{text}\\u0000\"").as_bytes()), None);
                assert_eq!(texts.hold(Content::Quoted, format!("\"{text}.\"").as_bytes()), Some(false));
            }
            assert_eq!(texts.hold(Content::Quoted, b"\"\""), Some(false));
            assert_eq!(texts.hold(Content::Quoted, b"7"), None);
        }
    }
}
