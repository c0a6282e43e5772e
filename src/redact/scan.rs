//! A validating scanner over JSON bytes (RFC 8259): it moves forward, answers spans, and never builds anything.
//!
//! Strict: strings in UTF-8, escapes that pair their surrogates, numbers by the grammar and otherwise untouched, a limit on
//! nesting, no byte order mark. Values that nobody asks about are skipped without recursion, yet checked like the rest. It
//! knows nothing of tables or rules. It holds no state but its position and the number of open containers, so that a
//! value which was cut is scanned anew once it is there as a whole.

use std::borrow::Cow;

use super::{Unreadable, swar, text};

/// Nesting beyond this is refused whatever a plan says: kinds of open containers lie in one word of 128 bits.
pub(super) const MAX_DEPTH: usize = 96;

/// Bytes `start..end` of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }
}

/// A member's name as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'b> {
    /// Where the opening quote is.
    pub(super) start: usize,
    raw: &'b [u8],
    escaped: bool,
}

impl<'b> Key<'b> {
    /// Unescaped: what the name means, however it is spelled.
    #[inline]
    pub(super) fn name(&self) -> Cow<'b, [u8]> {
        if self.escaped { text::unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

#[derive(Debug)]
pub(super) struct Scan<'b> {
    body: &'b [u8],
    at: usize,
    open: usize,
    depth: usize,
    /// Whether the body's end is a value's end: otherwise a number that reaches it may go on.
    whole: bool,
}

impl<'b> Scan<'b> {
    /// At the start of a document that is there as a whole.
    pub(super) fn document(body: &'b [u8], depth: usize) -> Self {
        Self::at(body, 0, depth)
    }

    /// At a value inside a body that is there as a whole.
    pub(super) fn at(body: &'b [u8], at: usize, depth: usize) -> Self {
        Self { body, at, open: 0, depth: depth.min(MAX_DEPTH), whole: true }
    }

    /// At a value with `open` containers around it, in bytes that may go on unless they are `whole`.
    pub(super) fn part(body: &'b [u8], open: usize, depth: usize, whole: bool) -> Self {
        Self { body, at: 0, open, depth: depth.min(MAX_DEPTH), whole }
    }

    pub(super) fn body(&self) -> &'b [u8] {
        self.body
    }

    #[inline]
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space; stays before it.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Unreadable> {
        match self.body.get(self.at) {
            Some(byte @ 0x21..) => Ok(*byte),
            _ => self.peek_beyond_space(),
        }
    }

    #[inline(never)]
    fn peek_beyond_space(&mut self) -> Result<u8, Unreadable> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Unreadable::Incomplete),
            }
        }
    }

    /// Steps over the byte that [`peek`](Self::peek) has shown.
    #[inline]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Steps over the end of the line, before which nothing but white space may stand; `false` if it isn't there yet.
    pub(super) fn line_end(&mut self) -> Result<bool, Unreadable> {
        loop {
            let byte = self.body.get(self.at);
            self.at += usize::from(byte.is_some());
            match byte {
                Some(b' ' | b'\t' | b'\r') => {}
                Some(b'\n') => return Ok(true),
                Some(_) => return Err(Unreadable::Trailing),
                None => return Ok(false),
            }
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Unreadable> {
        match self.peek() {
            Err(Unreadable::Incomplete) => Ok(()),
            _ => Err(Unreadable::Trailing),
        }
    }

    /// Steps over the `{` or `[` that [`peek`](Self::peek) has shown.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Unreadable> {
        if self.open >= self.depth {
            return Err(Unreadable::Depth);
        }
        self.open += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps over the `}` or `]` that [`peek`](Self::peek) has shown.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
        self.at += 1;
    }

    /// Inside an object: the next member's name, standing before its value; or `None` after the closing brace.
    pub(super) fn member(&mut self, first: &mut bool) -> Result<Option<Key<'b>>, Unreadable> {
        if !self.next(first, b'}')? {
            return Ok(None);
        }
        let key = self.key()?;
        self.colon()?;
        Ok(Some(key))
    }

    /// Inside an array: whether another element follows, standing before it; or after the closing bracket.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, Unreadable> {
        if !self.next(first, b']')? {
            return Ok(false);
        }
        self.peek().map(|_| true)
    }

    /// Inside a container: whether another item follows, standing before it; or after the closing byte.
    #[inline]
    pub(super) fn next(&mut self, first: &mut bool, close: u8) -> Result<bool, Unreadable> {
        let byte = self.peek()?;
        if byte == close {
            self.leave();
            return Ok(false);
        }
        if !std::mem::take(first) {
            if byte != b',' {
                return Err(Unreadable::Syntax);
            }
            self.at += 1;
            self.peek()?;
        }
        Ok(true)
    }

    /// A member's name, standing after it.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Key<'b>, Unreadable> {
        if self.peek()? != b'"' {
            return Err(Unreadable::Syntax);
        }
        let start = self.at;
        let escaped = self.string()?;
        let raw = self.body.get(start + 1..self.at - 1).unwrap_or_default();
        Ok(Key { start, raw, escaped })
    }

    /// Steps over a name that is known to stand here, quotes included.
    #[inline]
    pub(super) fn skip_known(&mut self, quoted: usize) {
        self.at += quoted;
    }

    /// Between a name and its value: the value's first byte, standing before it.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<u8, Unreadable> {
        if self.peek()? != b':' {
            return Err(Unreadable::Syntax);
        }
        self.at += 1;
        self.peek()
    }

    /// Steps over one value of any kind, checking all of it.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Span, Unreadable> {
        let first = self.peek()?;
        self.value_from(first)
    }

    /// The same, standing before the value, of which this is the first byte.
    #[inline]
    pub(super) fn value_from(&mut self, first: u8) -> Result<Span, Unreadable> {
        let start = self.at;
        match first {
            b'{' | b'[' => self.container(first)?,
            _ => self.scalar(first)?,
        }
        Ok(Span { start, end: self.at })
    }

    #[inline(never)]
    fn container(&mut self, first: u8) -> Result<(), Unreadable> {
        let outside = self.open;
        // One bit for each container opened here: 1 for an object. MAX_DEPTH keeps it from running over.
        let mut objects: u128 = 0;
        let mut byte = first;
        loop {
            // At a value.
            match byte {
                b'{' => {
                    self.enter()?;
                    objects = objects << 1 | 1;
                    byte = self.peek()?;
                    if byte != b'}' {
                        byte = self.name_to_value(byte)?;
                        continue;
                    }
                }
                b'[' => {
                    self.enter()?;
                    objects <<= 1;
                    byte = self.peek()?;
                    if byte != b']' {
                        continue;
                    }
                }
                _ => {
                    self.scalar(byte)?;
                    byte = self.peek()?;
                }
            }
            // After a value, or at the end of an empty container.
            loop {
                let in_object = objects & 1 == 1;
                if byte == b',' {
                    self.at += 1;
                    byte = self.peek()?;
                    if in_object {
                        byte = self.name_to_value(byte)?;
                    }
                    break;
                }
                if byte != if in_object { b'}' } else { b']' } {
                    return Err(Unreadable::Syntax);
                }
                self.leave();
                objects >>= 1;
                if self.open == outside {
                    return Ok(());
                }
                byte = self.peek()?;
            }
        }
    }

    /// Steps over a name and its colon; the value's first byte.
    #[inline]
    fn name_to_value(&mut self, first: u8) -> Result<u8, Unreadable> {
        if first != b'"' {
            return Err(Unreadable::Syntax);
        }
        self.string()?;
        self.colon()
    }

    #[inline]
    fn scalar(&mut self, first: u8) -> Result<(), Unreadable> {
        match first {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(self.no_value()),
        }
    }

    /// What is wrong with a byte that begins no value.
    #[cold]
    fn no_value(&self) -> Unreadable {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let rest = self.body.get(self.at..).unwrap_or_default();
        let is_text = rest.utf8_chunks().next().is_some_and(|chunk| !chunk.valid().is_empty());
        if is_text && !rest.starts_with(MARK) { Unreadable::Syntax } else { Unreadable::Encoding }
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Result<(), Unreadable> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    #[inline]
    fn number(&mut self) -> Result<(), Unreadable> {
        let mut at = self.at;
        if self.byte(at) == b'-' {
            at += 1;
        }
        match self.byte(at) {
            b'0' => at += 1,
            _ => at = self.digits(at)?,
        }
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if self.byte(at) | 0x20 == b'e' {
            at += 1;
            if matches!(self.byte(at), b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        if at >= self.body.len() && !self.whole {
            return Err(Unreadable::Incomplete);
        }
        self.at = at;
        Ok(())
    }

    /// The byte there, or one that is part of no number.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or_default()
    }

    /// Where the digits end that begin there; there must be one.
    #[inline]
    fn digits(&self, start: usize) -> Result<usize, Unreadable> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at > start {
            return Ok(at);
        }
        Err(if at >= self.body.len() { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    /// Steps over a string, standing at its opening quote. Whether it holds escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, Unreadable> {
        let start = self.at + 1;
        let mut at = start;
        while let Some(word) = swar::word(self.body, at) {
            let odd = swar::odd(word);
            if odd == 0 {
                at += 8;
                continue;
            }
            at += swar::first(odd);
            if self.byte(at) != b'"' {
                break;
            }
            self.at = at + 1;
            return Ok(false);
        }
        self.string_with_oddities(start, at)
    }

    /// The rest of a string from a byte on that is beyond ASCII, escaped, wrong, or near the body's end.
    #[inline(never)]
    fn string_with_oddities(&mut self, start: usize, mut at: usize) -> Result<bool, Unreadable> {
        let (mut escaped, mut beyond_ascii) = (false, 0);
        loop {
            if let Some(word) = swar::word(self.body, at) {
                let stop = swar::stop(word);
                beyond_ascii |= word & swar::HIGH & swar::before(stop);
                if stop == 0 {
                    at += 8;
                    continue;
                }
                at += swar::first(stop);
            }
            match self.body.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at + 1)?;
                }
                Some(..0x20) => return Err(Unreadable::Syntax),
                Some(byte) => {
                    beyond_ascii |= u64::from(byte & 0x80);
                    at += 1;
                }
                None => return Err(Unreadable::Incomplete),
            }
        }
        let inside = Span { start, end: at }.of(self.body);
        if beyond_ascii != 0 && std::str::from_utf8(inside).is_err() {
            return Err(Unreadable::Encoding);
        }
        self.at = at + 1;
        Ok(escaped)
    }

    /// Where an escape ends whose backslash stands before `at`.
    fn escape(&self, at: usize) -> Result<usize, Unreadable> {
        match self.body.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
            Some(b'u') => match self.unit(at + 1)? {
                0xDC00..=0xDFFF => Err(Unreadable::Encoding),
                0xD800..=0xDBFF => match self.body.get(at + 5..).unwrap_or_default() {
                    [] | [b'\\'] => Err(Unreadable::Incomplete),
                    [b'\\', b'u', ..] => match self.unit(at + 7)? {
                        0xDC00..=0xDFFF => Ok(at + 11),
                        _ => Err(Unreadable::Encoding),
                    },
                    _ => Err(Unreadable::Encoding),
                },
                _ => Ok(at + 5),
            },
            Some(_) => Err(Unreadable::Syntax),
            None => Err(Unreadable::Incomplete),
        }
    }

    /// The code unit of four hex digits.
    fn unit(&self, at: usize) -> Result<u32, Unreadable> {
        let rest = self.body.get(at..).unwrap_or_default();
        let (digits, is_cut) = match rest.first_chunk::<4>() {
            Some(digits) => (&digits[..], false),
            None => (rest, true),
        };
        match text::hex(digits) {
            None => Err(Unreadable::Syntax),
            Some(_) if is_cut => Err(Unreadable::Incomplete),
            Some(unit) => Ok(unit),
        }
    }
}
