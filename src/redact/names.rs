//! The member names that an object may have, found by what a name means or by the bytes that stand in a body.
//!
//! Finding costs the same however many names there are. Where one name is expected, because it came next the last time,
//! comparing it in place with its quotes costs less than scanning it.

use super::swar;
use crate::model::Name;

#[derive(Debug, Default)]
pub(super) struct Names {
    known: Vec<Known>,
    /// Numbers of names, counted from 1, at their hash or after; 0 is free. At most half full, and a power of two long.
    places: Vec<u16>,
}

#[derive(Debug)]
struct Known {
    name: Name,
    /// Length with both quotes; 0 if the name can't stand in a body as it is.
    quoted: usize,
    /// The first and the last eight bytes of what stands behind the opening quote, the closing one included. Of less than
    /// eight, `mask` says how much of `head` counts.
    head: u64,
    mask: u64,
    tail: u64,
}

impl Names {
    /// Numbers are in the order of the names, of which no two are the same.
    pub(super) fn new(names: impl ExactSizeIterator<Item = Name>) -> Self {
        let room = (names.len() * 2).next_power_of_two();
        let mut all = Self { known: Vec::with_capacity(names.len()), places: vec![0; room] };
        for name in names {
            let mut at = hash(name.as_bytes());
            while all.places.get(at & (room - 1)).is_some_and(|place| *place != 0) {
                at = at.wrapping_add(1);
            }
            all.known.push(Known::new(name));
            if let Some(place) = all.places.get_mut(at & (room - 1)) {
                *place = u16::try_from(all.known.len()).expect("a table's fields are bounded");
            }
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn name(&self, number: usize) -> &[u8] {
        self.known.get(number).map_or(&[], |known| known.name.as_bytes())
    }

    /// The number of a name, by what it means.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut at = hash(name);
        // Invariant: half of the places are free, so that the search ends.
        loop {
            let place = *self.places.get(at & (self.places.len().wrapping_sub(1)))?;
            let number = usize::from(place).checked_sub(1)?;
            if self.known.get(number)?.name.as_bytes() == name {
                return Some(number);
            }
            at = at.wrapping_add(1);
        }
    }

    /// If the name stands at this place of a body, with its quotes and nothing escaped: its length with them.
    #[inline]
    pub(super) fn stands(&self, number: usize, body: &[u8], at: usize) -> Option<usize> {
        let known = self.known.get(number)?;
        if body.get(at) != Some(&b'"') {
            return None;
        }
        // What stands behind a short name is masked.
        let head = swar::word(body, at + 1)?;
        if (head ^ known.head) & known.mask != 0 {
            return None;
        }
        let inside = known.quoted.checked_sub(1)?;
        if inside > 8 {
            let end = at + known.quoted;
            if swar::word(body, end - 8)? != known.tail {
                return None;
            }
            if inside > 16 && body.get(at + 9..end - 8) != known.name.as_bytes().get(8..inside - 8) {
                return None;
            }
        }
        Some(known.quoted)
    }
}

impl Known {
    fn new(name: Name) -> Self {
        let plain = name.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        let mut inside = [name.as_bytes(), b"\""].concat();
        let quoted = if plain { inside.len() + 1 } else { 0 };
        let mask = if inside.len() < 8 { (1 << (inside.len() * 8)) - 1 } else { u64::MAX };
        let tail = inside.len().checked_sub(8).and_then(|at| swar::word(&inside, at)).unwrap_or_default();
        inside.resize(inside.len().max(8), 0);
        let head = swar::word(&inside, 0).unwrap_or_default();
        Self { name, quoted, head, mask, tail }
    }
}

/// All bytes count. What is in a table is the operator's, so nobody else can make a search longer than those names do.
#[inline]
fn hash(name: &[u8]) -> usize {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut mixed = name.len() as u64;
    let mut rest = name;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        mixed = (mixed.rotate_left(23) ^ u64::from_le_bytes(*chunk)).wrapping_mul(ODD);
        rest = after;
    }
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mixed = (mixed.rotate_left(23) ^ last).wrapping_mul(ODD);
    (mixed >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Names {
        Names::new(words.iter().map(|word| Name::from(*word)))
    }

    #[test]
    fn names_are_found_however_many_and_however_alike_they_are() {
        for count in [0, 1, 8, 9, 300] {
            let words: Vec<String> = (0..count).map(|n| format!("cf_{n:04}_of_a_longer_kind")).collect();
            let names = names(&words.iter().map(String::as_str).collect::<Vec<_>>());
            for (number, word) in words.iter().enumerate() {
                assert_eq!(names.find(word.as_bytes()), Some(number), "{word}");
            }
            for other in
                ["", "cf_", "cf_9999_of_a_longer_kind", "CF_0000_of_a_longer_kind", "cf_0000_of_a_longer_kind "]
            {
                assert_eq!(names.find(other.as_bytes()), None, "{count}: {other}");
            }
        }
    }

    #[test]
    fn a_name_stands_where_its_bytes_do_and_nowhere_else() {
        let words = [
            "",
            "a",
            "ab",
            "abcdef",
            "abcdefg",
            "abcdefgh",
            "abcdefgh_jklmno",
            "abcdefgh_jklmnop",
            "abcdefgh__jklmnopq",
        ];
        let all = names(&words);
        for (number, word) in words.iter().enumerate() {
            for (other, wrong) in words.iter().enumerate() {
                let body = format!("{{\"{wrong}\":1, \"padded\":12}}");
                let expected = (number == other).then_some(word.len() + 2);
                assert_eq!(all.stands(number, body.as_bytes(), 1), expected, "{word} in {body}");
            }
            for place in 0..word.len() + 2 {
                let mut body = format!("\"{word}\":\"padded\"").into_bytes();
                body[place] ^= 1;
                assert_eq!(all.stands(number, &body, 0), None, "{word} but for byte {place}");
            }
            let body = format!("\"{word}\"");
            assert_eq!(all.stands(number, &body.as_bytes()[..body.len() - 1], 0), None, "{word} without its end");
        }
        let odd = names(&["a\"b", "a\\b", "\n"]);
        for (number, body) in [r#""a"b":1234567"#, r#""a\b":1234567"#, "\"\n\":1234567"].iter().enumerate() {
            assert_eq!(odd.stands(number, body.as_bytes(), 0), None, "{body} is no name in JSON");
        }
        assert_eq!(all.stands(99, b"\"\":1234567", 0), None);
    }
}
