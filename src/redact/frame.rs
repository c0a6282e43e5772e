//! Finds where a value ends that a chunk has cut, without checking it: brackets are counted, strings stepped over.
//!
//! It goes on where the last chunk ended, so that no byte is looked at twice. What it frames is scanned afterwards, and
//! must then be one valid value to its last byte: on those, both agree. Inside of containers 64 bytes are taken in one
//! step, by the bits that mark quotes, backslashes and brackets in them.

use super::swar::{self, BLOCK};

/// A value that has begun and whose end wasn't seen yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framer {
    /// Containers that are open.
    open: usize,
    within: Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Container,
    String,
    /// Behind a backslash of a string.
    Escape,
    /// A number or a word: ends before a byte that can't be part of one.
    Scalar,
}

impl Framer {
    /// For a value that begins with this byte, which [`feed`](Self::feed) will see first.
    pub(super) fn new(first: u8) -> Self {
        let within = match first {
            b'{' | b'[' | b'"' => Within::Container,
            _ => Within::Scalar,
        };
        Self { open: 0, within }
    }

    /// Takes the next bytes; where the value ends in them, if it does.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            while self.open > 0
                && let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>())
            {
                if let Some(end) = self.block(block) {
                    return Some(at + end);
                }
                at += BLOCK;
            }
            let byte = bytes.get(at)?;
            match self.within {
                Within::Escape => self.within = Within::String,
                Within::String => {
                    while let Some(word) = swar::word(bytes, at) {
                        let marks = swar::quoting(word);
                        at += swar::first(marks);
                        if marks != 0 {
                            break;
                        }
                    }
                    match bytes.get(at)? {
                        b'\\' => self.within = Within::Escape,
                        b'"' if self.open == 0 => return Some(at + 1),
                        b'"' => self.within = Within::Container,
                        _ => {}
                    }
                }
                Within::Container => match byte {
                    b'"' => self.within = Within::String,
                    b'{' | b'[' => self.open += 1,
                    b'}' | b']' => {
                        self.open = self.open.saturating_sub(1);
                        if self.open == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                },
                Within::Scalar => {
                    if !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') {
                        return Some(at);
                    }
                }
            }
            at += 1;
        }
    }

    /// Takes a block inside of a container; where the outermost one ends in it, if it does.
    fn block(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        const ALL: u8 = 0xFF;
        let backslashes = swar::bits(block, ALL, b'\\');
        let (escaped, ends_in_escape) = escaped(backslashes, self.within == Within::Escape);
        let quotes = swar::bits(block, ALL, b'"') & !escaped;
        let outside = u64::from(self.within == Within::Container).wrapping_sub(1);
        let inside = behind_odd(quotes) ^ outside;
        // Braces differ from brackets in one bit, which no other byte does.
        const EITHER: u8 = !0x20;
        let mut brackets = (swar::bits(block, EITHER, b'[') | swar::bits(block, EITHER, b']')) & !inside;
        while brackets != 0 {
            let place = brackets.trailing_zeros() as usize;
            if matches!(block.get(place), Some(b'{' | b'[')) {
                self.open += 1;
            } else {
                self.open -= 1;
                if self.open == 0 {
                    return Some(place + 1);
                }
            }
            brackets &= brackets - 1;
        }
        self.within = match (inside >> 63 == 1, ends_in_escape) {
            (false, _) => Within::Container,
            (true, false) => Within::String,
            (true, true) => Within::Escape,
        };
        None
    }
}

/// Which bytes of a block stand behind a backslash that escapes them, and whether the first one after it does. `first`:
/// whether the first byte of the block does.
fn escaped(backslashes: u64, first: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let first = u64::from(first);
    let backslashes = backslashes & !first;
    let follows = backslashes << 1 | first;
    // The sum carries through a run of backslashes: behind one that begins at an odd place, it turns what is even.
    let odd_begins = backslashes & !EVEN & !follows;
    let (sum, ends_in_escape) = odd_begins.overflowing_add(backslashes);
    ((EVEN ^ sum << 1) & follows, ends_in_escape)
}

/// Sets each bit at or behind which, from the lowest on, an odd number of bits is set.
fn behind_odd(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_and_its_bytes_one_by_one_say_the_same() {
        // What matters to a framer, densely, and in the order of a fixed walk: what stands in strings, runs of backslashes
        // over the edges of blocks, and containers that end anywhere.
        let mut state = 0x9E37_79B9_u32;
        let mut roll = |sides: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % sides
        };
        for _ in 0..3_000 {
            let mut body = vec![b'{'];
            while body.len() < 400 {
                match roll(6) {
                    0 => body.push(b'['),
                    1 => body.push(b']'),
                    2 => body.extend((0..roll(70)).map(|_| b' ')),
                    _ => {
                        body.push(b'"');
                        for _ in 0..roll(9) {
                            match roll(4) {
                                0 => body.extend_from_slice(b"\\\\"),
                                1 => body.extend_from_slice(b"\\\""),
                                2 => body.extend_from_slice(b"}]{["),
                                _ => body.push(b'a'),
                            }
                        }
                        body.push(b'"');
                    }
                }
            }
            body.push(b'}');
            let mut whole = Framer::new(b'{');
            let end = whole.feed(&body);
            let mut single = Framer::new(b'{');
            let one_by_one = body.iter().position(|byte| single.feed(&[*byte]).is_some());
            assert_eq!(end, one_by_one.map(|place| place + 1), "{}", String::from_utf8_lossy(&body));
            if end.is_none() {
                assert_eq!((whole.open, whole.within), (single.open, single.within));
            }
        }
    }

    #[test]
    fn a_value_is_framed_alike_in_any_pieces() {
        for (value, behind) in [
            (r#"{"a":[1,{"b":"]}"}],"c":"\"}"}"#, ",1"),
            (r#"["\\",{}]"#, "]"),
            (r#""a\\\"b""#, ":"),
            (r#""""#, "\""),
            ("-12.5e+3", ","),
            ("true", " "),
            ("12", "}"),
            ("{}", "{}"),
        ] {
            let all = format!("{value}{behind}");
            for cut in 0..=all.len() {
                let mut framer = Framer::new(all.as_bytes()[0]);
                let (first, second) = all.as_bytes().split_at(cut);
                let end = framer.feed(first).or_else(|| framer.feed(second).map(|end| cut + end));
                assert_eq!(end, Some(value.len()), "{all} cut at {cut}");
            }
            if !matches!(all.as_bytes()[0], b'-' | b't' | b'1') {
                let mut framer = Framer::new(all.as_bytes()[0]);
                assert!(value.bytes().take(value.len() - 1).all(|byte| framer.feed(&[byte]).is_none()), "{value}");
                assert_eq!(framer.feed(&value.as_bytes()[value.len() - 1..]), Some(1), "{value}");
            }
        }
    }
}
