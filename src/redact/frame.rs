//! Finds where a value ends that a chunk has cut, without checking it: brackets are counted, strings stepped over.
//!
//! It goes on where the last chunk ended, so that no byte is looked at twice. What it frames is scanned afterwards, and
//! must then be one valid value to its last byte: on those, both agree.

use super::swar;

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
        while let Some(byte) = bytes.get(at) {
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
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
