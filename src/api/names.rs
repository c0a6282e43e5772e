//! The names of a table's fields, found by their bytes at the same cost however many there are.

use crate::model::Name;

#[derive(Debug, Default)]
pub(super) struct Names {
    known: Vec<Name>,
    /// Numbers of names, counted from 1, at their hash or after; 0 is free. At most half full, and a power of two long.
    places: Vec<u16>,
}

impl Names {
    /// Numbers are in the order of the names.
    pub(super) fn new(names: impl ExactSizeIterator<Item = Name>) -> Self {
        let room = (names.len() * 2).next_power_of_two();
        let mut all = Self { known: Vec::with_capacity(names.len()), places: vec![0; room] };
        for name in names {
            let mut at = hash(name.as_bytes());
            while all.places.get(at & (room - 1)).is_some_and(|place| *place != 0) {
                at = at.wrapping_add(1);
            }
            all.known.push(name);
            if let Some(place) = all.places.get_mut(at & (room - 1)) {
                *place = u16::try_from(all.known.len()).expect("a table's fields are bounded");
            }
        }
        all
    }

    /// The number of a name.
    pub(super) fn find(&self, name: &[u8]) -> Option<u16> {
        let mut at = hash(name);
        // Invariant: half of the places are free, so that the search ends.
        loop {
            let place = *self.places.get(at & self.places.len().wrapping_sub(1))?;
            let number = place.checked_sub(1)?;
            if self.known.get(usize::from(number))?.as_bytes() == name {
                return Some(number);
            }
            at = at.wrapping_add(1);
        }
    }
}

/// All bytes count. What is in a table is the operator's, so nobody else can make a search longer than those names do.
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

    #[test]
    fn names_are_found_however_many_and_however_alike_they_are() {
        for count in [0, 1, 8, 9, 300] {
            let words: Vec<Name> = (0..count).map(|n| format!("cf_{n:04}_of_a_longer_kind").into()).collect();
            let names = Names::new(words.iter().cloned());
            for (number, word) in (0..).zip(&words) {
                assert_eq!(names.find(word.as_bytes()), Some(number), "{word}");
            }
            for other in
                ["", "cf_", "cf_9999_of_a_longer_kind", "CF_0000_of_a_longer_kind", "cf_0000_of_a_longer_kind "]
            {
                assert_eq!(names.find(other.as_bytes()), None, "{count}: {other}");
            }
        }
    }
}
