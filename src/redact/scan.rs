//! A validating scanner over JSON bytes (RFC 8259): it moves forward, answers spans, and never builds anything.
//!
//! Strict: UTF-8 without a byte order mark, escapes that pair their surrogates, numbers by the grammar and otherwise
//! untouched, a limit on nesting. Values that nobody asks about are skipped without recursion, yet checked like the rest.
//! It knows nothing of tables or rules. It holds no state but its position and the number of open containers.

use std::borrow::Cow;

use super::Unreadable;
use super::text;

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
}

impl<'b> Scan<'b> {
    /// At the start of a document, the encoding of which has been checked as a whole.
    pub(super) fn document(body: &'b [u8], depth: usize) -> Result<Self, Unreadable> {
        if body.starts_with(b"\xEF\xBB\xBF") || std::str::from_utf8(body).is_err() {
            return Err(Unreadable::Encoding);
        }
        Ok(Self::at(body, 0, depth))
    }

    /// At a value inside a body whose encoding was checked before.
    pub(super) fn at(body: &'b [u8], at: usize, depth: usize) -> Self {
        Self { body, at, open: 0, depth: depth.min(MAX_DEPTH) }
    }

    pub(super) fn body(&self) -> &'b [u8] {
        self.body
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space; stays before it.
    pub(super) fn peek(&mut self) -> Result<u8, Unreadable> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Unreadable::Incomplete),
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
    pub(super) fn enter(&mut self) -> Result<(), Unreadable> {
        if self.open >= self.depth {
            return Err(Unreadable::Depth);
        }
        self.open += 1;
        self.at += 1;
        Ok(())
    }

    /// Inside an object: the next member's name, standing before its value; or `None` after the closing brace.
    pub(super) fn member(&mut self, first: &mut bool) -> Result<Option<Key<'b>>, Unreadable> {
        if !self.next(first, b'}')? {
            return Ok(None);
        }
        self.key().map(Some)
    }

    /// Inside an array: whether another element follows, standing before it; or after the closing bracket.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, Unreadable> {
        if !self.next(first, b']')? {
            return Ok(false);
        }
        self.peek().map(|_| true)
    }

    fn next(&mut self, first: &mut bool, close: u8) -> Result<bool, Unreadable> {
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
        }
        Ok(true)
    }

    fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
        self.at += 1;
    }

    fn key(&mut self) -> Result<Key<'b>, Unreadable> {
        if self.peek()? != b'"' {
            return Err(Unreadable::Syntax);
        }
        let start = self.at;
        let escaped = self.string()?;
        let raw = self.body.get(start + 1..self.at - 1).unwrap_or_default();
        if self.peek()? != b':' {
            return Err(Unreadable::Syntax);
        }
        self.at += 1;
        self.peek()?;
        Ok(Key { start, raw, escaped })
    }

    /// Steps over one value of any kind, checking all of it.
    pub(super) fn value(&mut self) -> Result<Span, Unreadable> {
        self.peek()?;
        let start = self.at;
        let outside = self.open;
        // One bit for each container opened here: 1 for an object. MAX_DEPTH keeps it from running over.
        let mut objects: u128 = 0;
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.enter()?;
                    objects = objects << 1 | u128::from(open == b'{');
                    let first = self.peek()?;
                    if first != if open == b'{' { b'}' } else { b']' } {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    self.leave();
                    objects >>= 1;
                }
                _ => self.scalar()?,
            }
            loop {
                if self.open == outside {
                    return Ok(Span { start, end: self.at });
                }
                let in_object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => self.leave(),
                    b']' if !in_object => self.leave(),
                    _ => return Err(Unreadable::Syntax),
                }
                objects >>= 1;
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Unreadable> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(Unreadable::Syntax),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Unreadable> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        if self.body.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.body.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.body.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.body.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.body.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while self.body.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start {
            return Ok(());
        }
        Err(if self.at >= self.body.len() { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    /// Steps over a string, standing at its opening quote. Whether it holds escapes.
    fn string(&mut self) -> Result<bool, Unreadable> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let Some(plain) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(Unreadable::Incomplete);
            };
            let (run, stop) = rest.split_at_checked(plain).unwrap_or_default();
            // Over the whole run rather than up to the first hit: this loop is compiled to vector instructions.
            if run.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
                return Err(Unreadable::Syntax);
            }
            self.at += plain + 1;
            if stop.first() == Some(&b'"') {
                return Ok(escaped);
            }
            escaped = true;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        match self.body.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.unit()? {
                0xDC00..=0xDFFF => return Err(Unreadable::Encoding),
                0xD800..=0xDBFF => {
                    let low = match self.body.get(self.at..self.at + 2) {
                        Some(b"\\u") => {
                            self.at += 1;
                            self.unit()?
                        }
                        Some(_) => return Err(Unreadable::Encoding),
                        None => return Err(Unreadable::Incomplete),
                    };
                    if !(0xDC00..=0xDFFF).contains(&low) {
                        return Err(Unreadable::Encoding);
                    }
                }
                _ => {}
            },
            Some(_) => return Err(Unreadable::Syntax),
            None => return Err(Unreadable::Incomplete),
        }
        Ok(())
    }

    /// The code unit of `uXXXX`, standing at the `u`.
    fn unit(&mut self) -> Result<u32, Unreadable> {
        let hex = self.body.get(self.at + 1..self.at + 5).ok_or(Unreadable::Incomplete)?;
        let unit = text::hex(hex).ok_or(Unreadable::Syntax)?;
        self.at += 5;
        Ok(unit)
    }
}
