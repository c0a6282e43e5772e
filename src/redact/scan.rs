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

/// Where the scanner stands.
#[derive(Clone, Debug)]
pub(super) struct Scan<'b> {
    text: Text<'b>,
    at: usize,
    open: usize,
    depth: usize,
}

impl<'b> Scan<'b> {
    /// At the start of a document that is there as a whole.
    pub(super) fn document(body: &'b [u8], depth: usize) -> Self {
        Self::part(body, 0, depth, true)
    }

    /// At a value with `open` containers around it, in bytes that may go on unless they are `whole`.
    pub(super) fn part(body: &'b [u8], open: usize, depth: usize, whole: bool) -> Self {
        Self { text: Text { body, whole }, at: 0, open, depth: depth.min(MAX_DEPTH) }
    }

    pub(super) fn body(&self) -> &'b [u8] {
        self.text.body
    }

    #[inline(always)]
    pub(super) fn text(&self) -> Text<'b> {
        self.text
    }

    /// Containers that may still be opened here.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.depth.saturating_sub(self.open)
    }

    #[inline(always)]
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes on from a place that its [`Text`] has told.
    #[inline(always)]
    pub(super) fn go(&mut self, at: usize) {
        self.at = at;
    }

    /// The next byte that is no white space; stays before it.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Unreadable> {
        let (at, byte) = self.text.look(self.at)?;
        self.at = at;
        Ok(byte)
    }

    /// Steps over the byte that [`peek`](Self::peek) has shown.
    #[inline]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Steps over the end of the line, before which nothing but white space may stand; `false` if it isn't there yet.
    pub(super) fn line_end(&mut self) -> Result<bool, Unreadable> {
        loop {
            let byte = self.text.body.get(self.at);
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
        self.next(first, b']')
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
        let (key, end) = self.text.key(self.at)?;
        self.at = end;
        Ok(key)
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
        self.at = self.text.value(start, first, self.room())?;
        Ok(Span { start, end: self.at })
    }
}

/// Bytes to be scanned. Its functions take a place and tell another one: where something ends, or what comes after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'b> {
    pub(super) body: &'b [u8],
    /// Whether their end is a value's end: otherwise a number that reaches it may go on.
    pub(super) whole: bool,
}

impl<'b> Text<'b> {
    /// The next byte that is no white space, and its place.
    #[inline(always)]
    pub(super) fn look(self, at: usize) -> Result<(usize, u8), Unreadable> {
        match self.body.get(at) {
            Some(byte @ 0x21..) => Ok((at, *byte)),
            _ => self.look_beyond_space(at),
        }
    }

    #[inline(never)]
    fn look_beyond_space(self, mut at: usize) -> Result<(usize, u8), Unreadable> {
        loop {
            match self.body.get(at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
                Some(byte) => return Ok((at, *byte)),
                None => return Err(Unreadable::Incomplete),
            }
        }
    }

    /// A name whose opening quote stands there, and where it ends.
    #[inline]
    pub(super) fn key(self, start: usize) -> Result<(Key<'b>, usize), Unreadable> {
        let end = self.string(start)?;
        let raw = self.body.get(start + 1..end.at - 1).unwrap_or_default();
        Ok((Key { start, raw, escaped: end.escaped }, end.at))
    }

    /// Where a value ends that begins there with this byte, and may open so many containers.
    #[inline(always)]
    pub(super) fn value(self, at: usize, first: u8, room: usize) -> Result<usize, Unreadable> {
        match first {
            b'{' | b'[' => self.container(at, first, room),
            _ => self.scalar(at, first),
        }
    }

    #[inline(never)]
    fn container(self, mut at: usize, first: u8, room: usize) -> Result<usize, Unreadable> {
        // One bit for each container opened here: 1 for an object. MAX_DEPTH keeps it from running over.
        let mut objects: u128 = 0;
        let mut open = 0;
        let mut byte = first;
        loop {
            // At a value.
            match byte {
                b'{' | b'[' => {
                    if open >= room {
                        return Err(Unreadable::Depth);
                    }
                    open += 1;
                    objects = objects << 1 | u128::from(byte == b'{');
                    let next;
                    (at, next) = self.look(at + 1)?;
                    // The closing byte is the opening one plus 2, in both kinds.
                    if next != byte + 2 {
                        let is_object = byte == b'{';
                        byte = next;
                        if is_object {
                            (at, byte) = self.after_name(at, next)?;
                        }
                        continue;
                    }
                    byte = next;
                }
                _ => (at, byte) = self.look(self.scalar(at, byte)?)?,
            }
            // After a value, or at the end of an empty container.
            loop {
                let in_object = objects & 1 == 1;
                if byte == b',' {
                    (at, byte) = self.look(at + 1)?;
                    if in_object {
                        (at, byte) = self.after_name(at, byte)?;
                    }
                    break;
                }
                if byte != if in_object { b'}' } else { b']' } {
                    return Err(Unreadable::Syntax);
                }
                objects >>= 1;
                open -= 1;
                if open == 0 {
                    return Ok(at + 1);
                }
                (at, byte) = self.look(at + 1)?;
            }
        }
    }

    /// The first byte of the value whose name begins there with this byte, and its place.
    #[inline(always)]
    fn after_name(self, at: usize, first: u8) -> Result<(usize, u8), Unreadable> {
        if first != b'"' {
            return Err(Unreadable::Syntax);
        }
        self.after_colon(self.string(at)?.at)
    }

    /// The first byte of the value whose name ends there, and its place.
    #[inline(always)]
    pub(super) fn after_colon(self, at: usize) -> Result<(usize, u8), Unreadable> {
        match self.look(at)? {
            (at, b':') => self.look(at + 1),
            _ => Err(Unreadable::Syntax),
        }
    }

    #[inline(always)]
    fn scalar(self, at: usize, first: u8) -> Result<usize, Unreadable> {
        match first {
            b'"' => self.string(at).map(|end| end.at),
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.word(at, b"true"),
            b'f' => self.word(at, b"false"),
            b'n' => self.word(at, b"null"),
            _ => Err(self.no_value(at)),
        }
    }

    /// What is wrong with a byte that begins no value.
    #[cold]
    fn no_value(self, at: usize) -> Unreadable {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let rest = self.body.get(at..).unwrap_or_default();
        let is_text = rest.utf8_chunks().next().is_some_and(|chunk| !chunk.valid().is_empty());
        if is_text && !rest.starts_with(MARK) { Unreadable::Syntax } else { Unreadable::Encoding }
    }

    #[inline(always)]
    fn word(self, at: usize, word: &[u8]) -> Result<usize, Unreadable> {
        let rest = self.body.get(at..).unwrap_or_default();
        if rest.starts_with(word) {
            return Ok(at + word.len());
        }
        Err(if word.starts_with(rest) { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    #[inline(always)]
    fn number(self, mut at: usize) -> Result<usize, Unreadable> {
        if self.part_of_number(at) == b'-' {
            at += 1;
        }
        match self.part_of_number(at) {
            b'0' => at += 1,
            _ => at = self.digits(at)?,
        }
        if self.part_of_number(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if self.part_of_number(at) | 0x20 == b'e' {
            at += 1;
            if matches!(self.part_of_number(at), b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        if at >= self.body.len() && !self.whole {
            return Err(Unreadable::Incomplete);
        }
        Ok(at)
    }

    /// The byte there, or one that is part of no number.
    #[inline(always)]
    fn part_of_number(self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or_default()
    }

    /// Where the digits end that begin there; there must be one.
    #[inline(always)]
    fn digits(self, start: usize) -> Result<usize, Unreadable> {
        let mut at = start;
        while let Some(word) = swar::word(self.body, at) {
            let count = swar::first(swar::no_digit(word));
            at += count;
            if count < 8 {
                return if at > start { Ok(at) } else { Err(Unreadable::Syntax) };
            }
        }
        self.last_digits(start, at)
    }

    /// The same near the end.
    #[inline(never)]
    fn last_digits(self, start: usize, mut at: usize) -> Result<usize, Unreadable> {
        while self.part_of_number(at).is_ascii_digit() {
            at += 1;
        }
        if at > start {
            return Ok(at);
        }
        Err(if at >= self.body.len() { Unreadable::Incomplete } else { Unreadable::Syntax })
    }

    /// Where a string ends whose opening quote stands there.
    #[inline(always)]
    fn string(self, quote: usize) -> Result<End, Unreadable> {
        let mut at = quote + 1;
        while let Some(vector) = swar::vector(self.body, at) {
            let odd = swar::odd(vector);
            if odd == 0 {
                at += swar::VECTOR;
                continue;
            }
            at += odd.trailing_zeros() as usize;
            if self.body.get(at) != Some(&b'"') {
                break;
            }
            return Ok(End { at: at + 1, escaped: false });
        }
        self.string_with_oddities(at)
    }

    /// The rest of a string from a byte on that is beyond ASCII, escaped, wrong, or near the body's end.
    #[inline(never)]
    fn string_with_oddities(self, mut at: usize) -> Result<End, Unreadable> {
        let mut escaped = false;
        loop {
            match self.byte(at)? {
                b'"' => return Ok(End { at: at + 1, escaped }),
                b'\\' => {
                    escaped = true;
                    at = match self.body.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                        _ => self.escape(at + 1)?,
                    };
                }
                ..0x20 => return Err(Unreadable::Syntax),
                0x20..0x80 => at += 1,
                _ => at = self.characters(at)?,
            }
            while let Some(vector) = swar::vector(self.body, at) {
                let odd = swar::odd(vector);
                at += swar::VECTOR.min(odd.trailing_zeros() as usize);
                if odd != 0 {
                    break;
                }
            }
        }
    }

    /// Where a run of characters beyond ASCII ends. The common ones are told by two or three bytes at a time.
    #[inline(always)]
    fn characters(self, mut at: usize) -> Result<usize, Unreadable> {
        const LATER: std::ops::RangeInclusive<u8> = 0x80..=0xBF;
        loop {
            at = match self.body.get(at..).unwrap_or_default() {
                [0xC2..=0xDF, second, ..] if LATER.contains(second) => at + 2,
                [0xE1..=0xEC | 0xEE..=0xEF, second, third, ..] if LATER.contains(second) && LATER.contains(third) => {
                    at + 3
                }
                [0x80..=0xFF, ..] => self.character(at)?,
                _ => return Ok(at),
            };
        }
    }

    fn byte(self, at: usize) -> Result<u8, Unreadable> {
        self.body.get(at).copied().ok_or(Unreadable::Incomplete)
    }

    /// Where a character beyond ASCII ends (Unicode, table 3-7).
    #[inline(never)]
    fn character(self, at: usize) -> Result<usize, Unreadable> {
        const LATER: std::ops::RangeInclusive<u8> = 0x80..=0xBF;
        let rest = self.body.get(at..).unwrap_or_default();
        let (first, second) = match rest {
            [first @ 0xC2..=0xF4, second, ..] => (*first, *second),
            [0xC2..=0xF4] => return Err(Unreadable::Incomplete),
            _ => return Err(Unreadable::Encoding),
        };
        let (length, seconds) = match first {
            ..=0xDF => (2, LATER),
            0xE0 => (3, 0xA0..=0xBF),
            0xED => (3, 0x80..=0x9F),
            0xE1..=0xEC | 0xEE..=0xEF => (3, LATER),
            0xF0 => (4, 0x90..=0xBF),
            0xF4 => (4, 0x80..=0x8F),
            _ => (4, LATER),
        };
        let later = rest.iter().take(length).skip(2);
        if !seconds.contains(&second) || !later.clone().all(|byte| LATER.contains(byte)) {
            return Err(Unreadable::Encoding);
        }
        if rest.len() < length { Err(Unreadable::Incomplete) } else { Ok(at + length) }
    }

    /// Where an escape ends whose backslash stands before `at`.
    fn escape(self, at: usize) -> Result<usize, Unreadable> {
        match self.byte(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
            b'u' => match self.unit(at + 1)? {
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
            _ => Err(Unreadable::Syntax),
        }
    }

    /// The code unit of four hex digits.
    fn unit(self, at: usize) -> Result<u32, Unreadable> {
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

/// Where a string ends, and whether it holds escapes.
#[derive(Clone, Copy)]
struct End {
    at: usize,
    escaped: bool,
}
