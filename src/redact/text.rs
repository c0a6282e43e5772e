//! JSON strings: what they mean, and how a text is written as one.
//!
//! The input was checked by the scanner; on other bytes these functions answer something, and never panic.

use std::borrow::Cow;

use wide::u8x16;

use super::swar;

/// The four hex digits of a `\u` escape.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    const WRONG: u32 = 1 << 31;
    let value = |digit: u8| match digit {
        b'0'..=b'9' => u32::from(digit - b'0'),
        b'a'..=b'f' => u32::from(digit - b'a') + 10,
        b'A'..=b'F' => u32::from(digit - b'A') + 10,
        _ => WRONG,
    };
    let (unit, wrong) = digits.iter().fold((0, 0), |(unit, wrong), digit| {
        let value = value(*digit);
        (unit << 4 | value & 15, wrong | value)
    });
    (wrong & WRONG == 0).then_some(unit)
}

/// The text of a raw JSON string, quotes included; `None` if it is no string.
pub(super) fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match unescape(inner) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// What stands between the quotes of a string, where it is of ASCII and without escapes: each byte is a character then, and
/// written as it stands.
pub(super) fn plain(raw: &[u8]) -> Option<&[u8]> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let (vectors, rest) = inner.as_chunks();
    let is_plain = vectors.iter().all(|vector| swar::odd(u8x16::new(*vector)) == 0)
        && rest.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
    is_plain.then_some(inner)
}

/// What stands between the quotes of a string, with escapes resolved.
pub(super) fn unescape(inner: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', inner) else {
        return Cow::Borrowed(inner);
    };
    let (plain, mut rest) = inner.split_at_checked(first).unwrap_or_default();
    let mut text = Vec::with_capacity(inner.len());
    text.extend_from_slice(plain);
    loop {
        rest = match rest {
            [] => return Cow::Owned(text),
            [b'\\', b'u', tail @ ..] => unescape_unit(tail, &mut text),
            [b'\\', escape, tail @ ..] => {
                text.push(match escape {
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

/// Resolves `XXXX`, with the second half of a surrogate pair where there is one; the rest after it.
fn unescape_unit<'b>(tail: &'b [u8], text: &mut Vec<u8>) -> &'b [u8] {
    let (digits, mut rest) = tail.split_at_checked(4).unwrap_or((tail, &[]));
    let mut code = hex(digits).unwrap_or(u32::from(char::REPLACEMENT_CHARACTER));
    if let (0xD800..=0xDBFF, Some((low, after))) =
        (code, rest.strip_prefix(b"\\u").and_then(|pair| pair.split_at_checked(4)))
        && let Some(low @ 0xDC00..=0xDFFF) = hex(low)
    {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        rest = after;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// Writes a text as a JSON string with its quotes.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    text.chars().for_each(|character| escape_char(character, out));
    out.push(b'"');
}

/// Writes a character as it stands in a JSON string.
pub(super) fn escape_char(character: char, out: &mut Vec<u8>) {
    match character {
        '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
        '\0'..' ' => {
            let byte = character as u8;
            let low = byte & 15;
            let digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_they_say_and_read_back() {
        for (raw, meaning) in [
            (r#""s\u0073n""#, "ssn"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""""#, ""),
        ] {
            assert_eq!(string(raw.as_bytes()).as_deref(), Some(meaning), "{raw}");
            let mut again = Vec::new();
            escape(meaning, &mut again);
            assert_eq!(string(&again).as_deref(), Some(meaning), "{raw}");
        }
        assert_eq!(string(b"12"), None);
        assert_eq!(string(b"\""), None);
    }

    #[test]
    fn broken_escapes_never_panic() {
        for inner in [&b"\\"[..], b"\\u", b"\\u12", b"\\ud800", b"\\ud800\\u", b"\\ud800\\u0041", b"\\uzzzz"] {
            unescape(inner);
        }
    }
}
