//! RecordKeys of records, for the audit: many short texts, in the memory of one.

/// RecordKeys in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordKeys {
    /// One behind the other, in UTF-8.
    text: Vec<u8>,
    /// Where each of them ends in it.
    ends: Vec<usize>,
}

impl RecordKeys {
    /// Adds one, of UTF-8.
    pub fn push(&mut self, key: &[u8]) {
        self.text.extend_from_slice(key);
        self.ends.push(self.text.len());
    }

    /// Adds some of others: so many, from the one of that number on.
    pub fn extend(&mut self, others: &Self, skip: usize, take: usize) {
        let ends = others.ends.iter().skip(skip).take(take);
        let start = skip.checked_sub(1).map_or(0, |last| others.ends.get(last).copied().unwrap_or_default());
        let end = ends.clone().next_back().copied().unwrap_or(start);
        let before = self.text.len();
        self.text.extend_from_slice(others.text.get(start..end).unwrap_or_default());
        self.ends.extend(ends.map(|end| before + end - start));
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // Looked at as a whole, it costs next to nothing.
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| text.get(*start..*end).unwrap_or_default())
    }
}

impl<'k> FromIterator<&'k str> for RecordKeys {
    fn from_iter<I: IntoIterator<Item = &'k str>>(keys: I) -> Self {
        let mut all = Self::default();
        keys.into_iter().for_each(|key| all.push(key.as_bytes()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_went_in() {
        for keys in [vec![], vec![""], vec!["a"], vec!["a", "", "é", "17"]] {
            let all: RecordKeys = keys.iter().copied().collect();
            assert_eq!(all.iter().collect::<Vec<_>>(), keys);
            assert_eq!((all.len(), all.is_empty()), (keys.len(), keys.is_empty()));
        }
    }

    #[test]
    fn some_of_others_are_added_as_they_would_be_one_by_one() {
        let others: RecordKeys = ["a", "", "é", "17", ""].into_iter().collect();
        for before in [&[][..], &["x"], &["x", ""]] {
            for skip in 0..7 {
                for take in (0..7).chain([usize::MAX]) {
                    let mut all: RecordKeys = before.iter().copied().collect();
                    all.extend(&others, skip, take);
                    let expected = before.iter().copied().chain(others.iter().skip(skip).take(take));
                    assert_eq!(all, expected.collect(), "{skip} {take}");
                }
            }
        }
    }
}
