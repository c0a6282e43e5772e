//! Several bytes at a time, without a branch for each: what of a string needs a closer look, and where containers end.
//!
//! Of eight bytes in one word, the first hit is exact; hits behind it may be wrong, for what is carried or borrowed goes
//! upwards. Of a vector of sixteen and of a block, which is four of them, all hits are exact.

use wide::u8x16;

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The eight bytes that begin there, the first in the lowest place; `None` near the end.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Bytes of a vector.
pub(super) const VECTOR: usize = 16;

/// The vector that begins there; `None` near the end.
#[inline(always)]
pub(super) fn vector(bytes: &[u8], at: usize) -> Option<u8x16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u8x16::new(*chunk))
}

/// A bit for each byte of a vector, the first in the lowest place: set for quotes, backslashes, control characters and bytes
/// beyond ASCII.
#[inline(always)]
pub(super) fn odd(vector: u8x16) -> u32 {
    let is = |byte: u8| vector.simd_eq(u8x16::splat(byte));
    let control = vector.min(u8x16::splat(0x1F)).simd_eq(vector);
    // Bytes beyond ASCII have the bit that is taken of each.
    (is(b'"') | is(b'\\') | control | vector).to_bitmask()
}

/// Bytes that are looked at together, from a member's name on: as many as most members have.
pub(super) const NEAR: usize = 112;

/// As many bytes from there on; `None` near the end.
#[inline(always)]
pub(super) fn near(bytes: &[u8], at: usize) -> Option<&[u8; NEAR]> {
    bytes.get(at..)?.first_chunk()
}

/// Places in it where a value may begin: none lies beyond.
const FIRST: usize = 63;

/// One of its first bytes.
#[inline(always)]
pub(super) fn one(near: &[u8; NEAR], at: usize) -> u8 {
    near.get(at & FIRST).copied().unwrap_or_default()
}

/// A bit for each of these bytes, the first in the lowest place: set where `near` begins with the same.
#[inline(always)]
pub(super) fn same(near: &[u8; NEAR], head: &[u8; 2 * VECTOR]) -> u32 {
    let (parts, _) = near.as_chunks::<VECTOR>();
    let (heads, _) = head.as_chunks::<VECTOR>();
    let bits = parts.iter().zip(heads).map(|(one, other)| u8x16::new(*one).simd_eq(u8x16::new(*other)).to_bitmask());
    bits.rev().fold(0, |all, part| all << VECTOR | part)
}

/// Where a string ends of which the first byte behind its quote is there, if it is plain and of less than two vectors.
#[inline(always)]
pub(super) fn string(near: &[u8; NEAR], at: usize) -> Option<usize> {
    let mut at = at & FIRST;
    let mut marks = odd(vector(near, at)?);
    if marks == 0 {
        at += VECTOR;
        marks = odd(vector(near, at)?);
        if marks == 0 {
            return None;
        }
    }
    at += marks.trailing_zeros() as usize;
    (near.get(at) == Some(&b'"')).then_some(at + 1)
}

/// Where a number ends that begins there, if it is short and without an exponent (RFC 8259, section 6).
#[inline(always)]
pub(super) fn number(near: &[u8; NEAR], at: usize) -> Option<usize> {
    let start = (at & FIRST) + usize::from(one(near, at) == b'-');
    let whole = digits(near, start)?;
    if whole > 1 && near.get(start) == Some(&b'0') {
        return None;
    }
    let mut end = start + whole;
    if near.get(end) == Some(&b'.') {
        end += 1 + digits(near, end + 1)?;
    }
    near.get(end).is_some_and(|next| next | 0x20 != b'e').then_some(end)
}

/// How many digits stand there, if they are some and less than eight.
#[inline(always)]
fn digits(near: &[u8; NEAR], at: usize) -> Option<usize> {
    let count = first(no_digit(word(near, at)?));
    (1..8).contains(&count).then_some(count)
}

/// A bit for each byte of a block that is this one under a mask, the first in the lowest place.
#[inline(always)]
pub(super) fn bits(block: &[u8; BLOCK], mask: u8, is: u8) -> u64 {
    let (mask, is) = (u8x16::splat(mask), u8x16::splat(is));
    let (parts, _) = block.as_chunks::<16>();
    let bits = |part: &[u8; 16]| u64::from((u8x16::new(*part) & mask).simd_eq(is).to_bitmask());
    parts.iter().rev().fold(0, |all, part| all << 16 | bits(part))
}

/// Marks quotes and backslashes.
#[inline(always)]
pub(super) fn quoting(word: u64) -> u64 {
    let equal = |byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero
    };
    (equal(b'"') | equal(b'\\')) & HIGH
}

/// Marks all bytes that are no decimal digits.
#[inline(always)]
pub(super) fn no_digit(word: u64) -> u64 {
    let value = word ^ (ONES * b'0' as u64);
    (value.wrapping_add(ONES * (0x80 - 10)) | value) & HIGH
}

/// The number of the first marked byte; 8 if none is.
#[inline(always)]
pub(super) fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mark_is_exact_for_every_byte_at_every_place_beside_every_other() {
        let bytes = [
            0, 1, 0x1F, 0x20, 0x21, b'"', 0x23, b'[', b'\\', b']', b'/', b'0', b'9', b':', b'a', 0x7F, 0x80, 0xA2,
            0xDC, 0xFF,
        ];
        for byte in 0..=u8::MAX {
            for beside in bytes {
                for place in 0..8 {
                    let mut chunk = [beside; 8];
                    chunk[place] = byte;
                    let word = word(&chunk, 0).expect("eight bytes");
                    let expected = chunk.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(8);
                    assert_eq!(first(quoting(word)), expected, "{chunk:?}");
                    let expected = chunk.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(8);
                    assert_eq!(first(no_digit(word)), expected, "{chunk:?}");
                }
            }
        }
        assert_eq!(word(&[0; 9], 2), None);
    }

    #[test]
    fn all_bits_of_a_vector_are_exact() {
        let is_odd = |byte: u8| !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\';
        for byte in 0..=u8::MAX {
            for beside in 0..=u8::MAX {
                for place in [0, 7, 15] {
                    let mut bytes = [beside; VECTOR];
                    bytes[place] = byte;
                    let expected = bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(is_odd(*byte)));
                    assert_eq!(vector(&bytes, 0).map(odd), Some(expected), "{bytes:?}");
                }
            }
        }
        assert!(vector(&[0; 17], 1).is_some() && vector(&[0; 17], 2).is_none());
    }

    #[test]
    fn a_short_string_ends_at_its_quote_and_nowhere_else() {
        for before in [0, 1, 31, 33] {
            for length in 0..NEAR - 34 {
                let mut near = [b'x'; NEAR];
                near[before + length] = b'"';
                let expected = (length < 2 * VECTOR).then_some(before + length + 1);
                assert_eq!(string(&near, before), expected, "{before} {length}");
                for odd in [b'\\', 0x1F, 0x80, 0xC3] {
                    for place in 0..length {
                        near[before + place] = odd;
                        assert_eq!(string(&near, before), None, "{odd:x} at {place} of {length}");
                        near[before + place] = b'x';
                    }
                }
            }
        }
        assert_eq!((near(&[0; NEAR], 0).is_some(), near(&[0; NEAR], 1)), (true, None));
    }

    #[test]
    fn a_short_number_is_one_by_the_grammar_and_ends_where_it_does() {
        let ends = |text: &str| {
            let mut near = [b','; NEAR];
            near[3..3 + text.len()].copy_from_slice(text.as_bytes());
            number(&near, 3).map(|end| end - 3)
        };
        for whole in ["0", "7", "10", "1234567"] {
            for sign in ["", "-"] {
                for fraction in ["", ".0", ".0000000", ".1234567"] {
                    let number = format!("{sign}{whole}{fraction}");
                    assert_eq!(ends(&number), Some(number.len()), "{number}");
                    for behind in ["}", "]", " ", "-", "x", "\u{1}"] {
                        assert_eq!(ends(&format!("{number}{behind}")), Some(number.len()), "{number}{behind}");
                    }
                    for longer in ["e5", "E5", "e", "E+1"] {
                        assert_eq!(ends(&format!("{number}{longer}")), None, "{number}{longer}");
                    }
                }
            }
        }
        for other in ["", "-", "00", "01", "-01", "1.", "1.e5", ".5", "+1", "-.5", "--1", "12345678", "1.12345678"] {
            assert_eq!(ends(other), None, "{other}");
        }
        // What is behind it is for whoever goes on: it is no comma.
        assert_eq!((ends("1.5.6"), ends("1-2")), (Some(3), Some(1)));
    }

    #[test]
    fn heads_are_compared_byte_by_byte() {
        let head: [u8; 2 * VECTOR] = std::array::from_fn(|place| place as u8);
        let mut near = [0xFF; NEAR];
        near[..2 * VECTOR].copy_from_slice(&head);
        assert_eq!(same(&near, &head), u32::MAX);
        for place in 0..2 * VECTOR {
            near[place] ^= 0x80;
            assert_eq!(same(&near, &head), !(1 << place));
            near[place] ^= 0x80;
        }
    }

    #[test]
    fn all_bits_of_a_block_are_exact() {
        const ALL: u8 = 0xFF;
        for byte in 0..=u8::MAX {
            let mut block = [byte; BLOCK];
            assert_eq!(bits(&block, ALL, byte), u64::MAX);
            assert_eq!(bits(&block, 0xDF, byte & 0xDF), u64::MAX);
            for place in 0..BLOCK {
                block[place] = !byte;
                assert_eq!(bits(&block, ALL, !byte), 1 << place);
                assert_eq!(bits(&block, ALL, byte), !(1 << place));
                block[place] = byte ^ 0x20;
                assert_eq!(bits(&block, 0xDF, byte & 0xDF), u64::MAX);
                assert_eq!(bits(&block, 0xDF, byte | 0x20), 0);
                block[place] = byte;
            }
        }
    }
}
