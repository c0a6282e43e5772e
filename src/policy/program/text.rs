//! Tests of raw JSON strings against known text.
//!
//! Raw bytes are the text itself as long as nothing in them is escaped. An escape is always longer than what it stands
//! for, so a raw string that is no longer than a text and differs from it says something else; where an escape could
//! make the difference, nothing is said.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

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
        if *raw == *self.0 {
            return Some(true);
        }
        let longer = raw.len() > self.0.len();
        (is_string(raw) && !(longer && memchr(b'\\', raw).is_some())).then_some(false)
    }

    pub(super) fn starts(&self, raw: &[u8]) -> Option<bool> {
        let (_, start) = self.0.split_last()?;
        if raw.starts_with(start) {
            return Some(true);
        }
        // What is escaped further on can't make the beginning another.
        let escaped = memchr(b'\\', raw.get(..start.len()).unwrap_or(raw)).is_some();
        (is_string(raw) && !escaped).then_some(false)
    }

    pub(super) fn ends(&self, raw: &[u8]) -> Option<bool> {
        let (_, end) = self.0.split_first()?;
        (is_string(raw) && memchr(b'\\', raw).is_none()).then(|| raw.ends_with(end))
    }
}

/// A valid JSON value with this beginning is a string, and ends as one.
fn is_string(raw: &[u8]) -> bool {
    matches!(raw, [b'"', .., b'"'])
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
            (Self::Quoted, [b'"', text @ .., b'"']) => memchr(b'\\', text).is_none().then_some(text),
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
    Many(HashSet<Bytes>),
}

impl Texts {
    const FEW: usize = 8;

    /// Texts with an escape in them have no place here: a raw value without one is never equal to them.
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t Name> + Clone) -> Self {
        if texts.clone().nth(Self::FEW).is_none() {
            Self::Few(texts.cloned().collect())
        } else {
            Self::Many(texts.cloned().map(Bytes).collect())
        }
    }

    pub(super) fn hold(&self, content: Content, raw: &[u8]) -> Option<bool> {
        let text = content.of(raw)?;
        Some(match self {
            Self::Few(texts) => texts.iter().any(|known| known.as_bytes() == text),
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
        self.0.as_bytes().hash(state);
    }
}
