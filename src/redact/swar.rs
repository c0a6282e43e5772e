//! Eight bytes at a time in one word, without a branch for each: what of a string needs a closer look.
//!
//! The first hit in a word is exact; hits behind it may be wrong, for a subtraction borrows upwards.

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(super) const HIGH: u64 = 0x8080_8080_8080_8080;

/// The eight bytes that begin there, the first in the lowest place; `None` near the end.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Marks quotes, backslashes, control characters and bytes beyond ASCII.
#[inline]
pub(super) fn odd(word: u64) -> u64 {
    (equal(word, b'"') | equal(word, b'\\') | word.wrapping_sub(ONES * 0x20) | word) & HIGH
}

/// Marks quotes, backslashes and control characters.
#[inline]
pub(super) fn stop(word: u64) -> u64 {
    (equal(word, b'"') | equal(word, b'\\') | word.wrapping_sub(ONES * 0x20) & !word) & HIGH
}

#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * byte as u64);
    zero.wrapping_sub(ONES) & !zero
}

/// The number of the first marked byte.
#[inline]
pub(super) fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// All bits before the first mark; all, if there is none.
#[inline]
pub(super) fn before(marks: u64) -> u64 {
    !marks & marks.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mark_is_exact_for_every_byte_at_every_place_beside_every_other() {
        let is_stop = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let bytes = [0, 1, 0x1F, 0x20, 0x21, b'"', 0x23, b'[', b'\\', b']', b'a', 0x7F, 0x80, 0xA2, 0xDC, 0xFF];
        for byte in 0..=u8::MAX {
            for beside in bytes {
                for place in 0..8 {
                    let mut chunk = [beside; 8];
                    chunk[place] = byte;
                    let first_of = |is: &dyn Fn(u8) -> bool| chunk.iter().position(|byte| is(*byte)).unwrap_or(8);
                    let word = word(&chunk, 0).expect("eight bytes");
                    assert_eq!(first(stop(word)), first_of(&is_stop), "{chunk:?}");
                    assert_eq!(first(odd(word)), first_of(&|byte| is_stop(byte) || byte >= 0x80), "{chunk:?}");
                }
            }
        }
        assert_eq!(word(&[0; 9], 2), None);
        assert_eq!(before(0), u64::MAX);
        assert_eq!(before(0x80_00), 0x7F_FF);
    }
}
