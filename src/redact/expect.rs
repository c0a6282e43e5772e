//! Which member comes next in a record: the one that did the last time, as a rule, for an answer's records are alike.
//!
//! Comparing an expected name in place, with its quotes and its colon, costs less than scanning it, and what is known about
//! the member needs no search. What differs is scanned, looked up and learned. A name that is met is the same bytes as one
//! that was scanned before, so nothing goes unchecked.

use super::kind::Kinds;
use super::swar;
use crate::api::FieldId;
use crate::policy::SlotId;

/// Members beyond this are looked up each time they come.
const MAX_STEPS: usize = 4096;
/// Members that are not declared: their names are the upstream's, so they are few and short.
const MAX_FOREIGN: usize = 64;
const MAX_FOREIGN_NAME: usize = 64;
/// Steps that are tried: members may be left out where they have no value.
const TRIES: usize = 3;

/// What is known about a member, in one word: it is passed on for each member of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known(u64);

impl Known {
    /// Stands for no field and no slot.
    const NONE: u16 = u16::MAX;
    const SIMPLE: u64 = 1 << 40;

    /// `keep`: of these kinds it stays as it is under every plan that was met so far. `simple`: its value is stepped over as
    /// a whole, and only its own table's rules may read it, by its slot.
    pub(super) fn new(field: Option<FieldId>, slot: Option<SlotId>, keep: Kinds, simple: bool) -> Self {
        let field = field.map_or(Self::NONE, |field| field.0);
        let slot = slot.map_or(Self::NONE, |slot| slot.0);
        let known = Self(u64::from(field) | u64::from(slot) << 16 | if simple { Self::SIMPLE } else { 0 });
        known.keeping(keep)
    }

    /// `None`: it is not declared.
    #[inline(always)]
    pub(super) fn field(self) -> Option<FieldId> {
        let field = self.0 as u16;
        (field != Self::NONE).then_some(FieldId(field))
    }

    #[inline(always)]
    pub(super) fn slot(self) -> Option<SlotId> {
        let slot = (self.0 >> 16) as u16;
        (slot != Self::NONE).then_some(SlotId(slot))
    }

    #[inline(always)]
    pub(super) fn keep(self) -> Kinds {
        Kinds::from_bits((self.0 >> 32) as u8)
    }

    /// Of these kinds nothing is to be done but to step over its value. What has no bit is noted beside that.
    fn passes(self) -> Kinds {
        let is_noted = self.bit() == 0 && self.field().is_some();
        if self.is_simple() && self.slot().is_none() && !is_noted { self.keep() } else { Kinds::NONE }
    }

    /// A bit of its own, for the first fields of a table.
    pub(super) fn bit(self) -> u64 {
        let field = self.0 as u16;
        if field < 64 { 1 << field } else { 0 }
    }

    fn keeping(self, keep: Kinds) -> Self {
        Self(self.0 & !(0xFF << 32) | u64::from(keep.bits()) << 32)
    }

    #[inline(always)]
    pub(super) fn is_simple(self) -> bool {
        self.0 & Self::SIMPLE != 0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The first bytes of the name with its quotes and the colon. Of less than sixteen, `mask` says how many count.
    head: u128,
    mask: u128,
    /// Of all of them.
    length: u32,
    /// Where they are in `text`.
    text: u32,
    pub(super) known: Known,
    /// Of what is known, for these are asked for each time.
    pub(super) bit: u64,
    pub(super) passes: Kinds,
    /// What came after it.
    pub(super) next: u32,
}

impl Step {
    /// Length of the name with its quotes and the colon.
    #[inline(always)]
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    #[inline(always)]
    fn stands(&self, all: &[u8], body: &[u8], at: usize) -> bool {
        let Some(head) = swar::two_words(body, at) else { return false };
        (head ^ self.head) & self.mask == 0 && (self.length <= 16 || self.stands_whole(all, body, at))
    }

    #[inline(never)]
    fn stands_whole(&self, all: &[u8], body: &[u8], at: usize) -> bool {
        body.get(at..at + self.length()) == Some(self.bytes(all))
    }

    fn bytes<'a>(&self, all: &'a [u8]) -> &'a [u8] {
        let text = self.text as usize;
        all.get(text..text + self.length()).unwrap_or_default()
    }
}

/// The members of one view's records, in the order in which they came.
#[derive(Debug)]
pub(super) struct Expected {
    steps: Vec<Step>,
    text: Vec<u8>,
    /// The steps of declared members, counted from 1, by number.
    declared: Vec<u32>,
    /// Those of others.
    foreign: Vec<u32>,
    /// What came first.
    pub(super) first: u32,
}

/// Where a record stands: the number of the step that was taken last, or [`START`].
pub(super) type At = u32;

pub(super) const START: At = u32::MAX;

impl Expected {
    /// `members`: how many are declared.
    pub(super) fn new(members: usize) -> Self {
        Self { steps: Vec::new(), text: Vec::new(), declared: vec![0; members], foreign: Vec::new(), first: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether names that are not declared are no longer learned.
    pub(super) fn is_full(&self) -> bool {
        self.foreign.len() >= MAX_FOREIGN || self.steps.len() >= MAX_STEPS
    }

    /// Whether the member of this step stands there, from its opening quote on.
    #[inline(always)]
    pub(super) fn meet(&self, expected: u32, body: &[u8], at: usize) -> Option<(At, &Step)> {
        let step = self.steps.get(expected as usize)?;
        step.stands(&self.text, body, at).then_some((expected, step))
    }

    /// Whether the member of this step, or one of those after it.
    #[inline(never)]
    pub(super) fn meet_one(&self, expected: u32, body: &[u8], at: usize) -> Option<(At, &Step)> {
        let mut number = expected;
        for _ in 0..TRIES {
            let step = self.steps.get(number as usize)?;
            if step.stands(&self.text, body, at) {
                return Some((number, step));
            }
            number = step.next;
        }
        None
    }

    /// What came after a step.
    pub(super) fn next(&self, at: At) -> u32 {
        self.steps.get(at as usize).map_or(self.first, |step| step.next)
    }

    /// Another member than those came: its step, from now on the next one. `known` says what is known about it, if it is
    /// met for the first time.
    pub(super) fn learn(
        &mut self,
        at: At,
        name: &[u8],
        field: Option<FieldId>,
        known: &dyn Fn() -> Known,
    ) -> (At, Known) {
        let found = self.find(name, field);
        let known = found.and_then(|step| self.steps.get(step as usize)).map_or_else(known, |step| step.known);
        let Some(number) = found.or_else(|| self.add(name, known)) else { return (at, known) };
        match self.steps.get_mut(at as usize) {
            Some(before) => before.next = number,
            None => self.first = number,
        }
        (number, known)
    }

    /// Of which kinds declared members stay as they are under one more plan.
    pub(super) fn keep(&mut self, keep: &dyn Fn(FieldId) -> Kinds) {
        for step in &mut self.steps {
            if let Some(field) = step.known.field() {
                step.known = step.known.keeping(keep(field));
                step.passes = step.known.passes();
            }
        }
    }

    fn find(&self, name: &[u8], field: Option<FieldId>) -> Option<u32> {
        if let Some(field) = field {
            return self.declared.get(usize::from(field.0))?.checked_sub(1);
        }
        let is = |number: &&u32| {
            let step = self.steps.get(**number as usize).filter(|step| step.length() == name.len() + 3);
            step.is_some_and(|step| step.bytes(&self.text).get(1..).is_some_and(|bytes| bytes.starts_with(name)))
        };
        self.foreign.iter().find(is).copied()
    }

    /// `None` if it can't stand in a body as it is, or there are too many.
    fn add(&mut self, name: &[u8], known: Known) -> Option<u32> {
        let plain = name.iter().all(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
        if !plain || self.steps.len() >= MAX_STEPS {
            return None;
        }
        let number = u32::try_from(self.steps.len()).ok()?;
        let (text, length) = (self.text.len(), name.len() + 3);
        let (place, bytes) = (u32::try_from(text).ok()?, u32::try_from(length).ok()?);
        match known.field() {
            Some(field) => *self.declared.get_mut(usize::from(field.0))? = number + 1,
            None if self.foreign.len() >= MAX_FOREIGN || name.len() > MAX_FOREIGN_NAME => return None,
            None => self.foreign.push(number),
        }
        self.text.push(b'"');
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b"\":");
        // So that there are sixteen bytes; what counts of them is known by their length.
        self.text.extend_from_slice(&[0; 16]);
        self.steps.push(Step {
            head: swar::two_words(&self.text, text).unwrap_or_default(),
            mask: if length < 16 { (1 << (length * 8)) - 1 } else { u128::MAX },
            length: bytes,
            text: place,
            known,
            bit: known.bit(),
            passes: known.passes(),
            next: number + 1,
        });
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(field: Option<FieldId>) -> Known {
        Known::new(field, None, Kinds::NONE, true)
    }

    /// Learns these names in order.
    fn expected(names: &[&str]) -> Expected {
        let mut expected = Expected::new(names.len());
        let mut at = START;
        for (number, name) in (0..).zip(names) {
            let field = Some(FieldId(number));
            (at, _) = expected.learn(at, name.as_bytes(), field, &|| known(field));
            assert_eq!(at, u32::from(number));
        }
        expected
    }

    #[test]
    fn what_is_known_fits_one_word() {
        for field in [None, Some(FieldId(0)), Some(FieldId(1999))] {
            for slot in [None, Some(SlotId(0)), Some(SlotId(65_000))] {
                for keep in [Kinds::NONE, Kinds::ALL, Kinds::NULL.and(Kinds::STRING)] {
                    for simple in [false, true] {
                        let known = Known::new(field, slot, Kinds::ALL, simple).keeping(keep);
                        let told = (known.field(), known.slot(), known.keep(), known.is_simple());
                        assert_eq!(told, (field, slot, keep, simple));
                        let is_noted = field == Some(FieldId(1999));
                        let nothing_to_do = simple && slot.is_none() && !is_noted;
                        assert_eq!(known.passes(), if nothing_to_do { keep } else { Kinds::NONE });
                    }
                }
            }
        }
    }

    #[test]
    fn a_name_stands_where_its_bytes_do_and_nowhere_else() {
        let words = [
            "",
            "a",
            "ab",
            "abcde",
            "abcdef",
            "abcdefg",
            "abcdefgh_jklmn",
            "abcdefgh_jklmno",
            "abcdefgh_jklmn__pqrst",
            "abcdefgh_jklmn__pqrstuvwxyz",
        ];
        for word in words {
            let one = expected(&[word]);
            for other in words {
                let body = format!("\"{other}\":1234567890123");
                let met = one.meet(0, body.as_bytes(), 0).map(|(_, step)| step.length());
                assert_eq!(met, (word == other).then_some(word.len() + 3), "{word} in {body}");
            }
            for place in 0..word.len() + 3 {
                let mut body = format!("\"{word}\":1234567890123").into_bytes();
                body[place] ^= 1;
                assert!(one.meet(0, &body, 0).is_none(), "{word} but for byte {place}");
            }
            let body = format!("\"{word}\":");
            assert!(one.meet(0, &body.as_bytes()[..body.len() - 1], 0).is_none(), "{word} without its end");
        }
    }

    #[test]
    fn members_are_met_in_their_order_and_where_some_are_left_out() {
        let all = expected(&["id", "name", "email", "phone", "address"]);
        let met = |at, name: &str| {
            let step = all.meet_one(all.next(at), format!("\"{name}\":1234567890123").as_bytes(), 0);
            step.map(|(step, _)| step)
        };
        assert_eq!((met(START, "id"), met(0, "name")), (Some(0), Some(1)));
        assert_eq!((met(START, "email"), met(1, "address")), (Some(2), Some(4)), "two were left out");
        assert_eq!((met(START, "phone"), met(2, "id"), met(4, "id")), (None, None, None));
    }

    #[test]
    fn another_order_is_learned_and_names_that_are_not_declared_are_few() {
        let mut all = expected(&["id", "name", "email"]);
        let email = Some(FieldId(2));
        assert_eq!(all.learn(0, b"email", email, &|| known(email)).0, 2);
        assert_eq!(all.meet(all.next(0), b"\"email\":1234567890123", 0).map(|(step, _)| step), Some(2));
        let mut at = 2;
        for number in 0..200 {
            let name = format!("x{number}");
            (at, _) = all.learn(at, name.as_bytes(), None, &|| known(None));
            let again = all.learn(at, name.as_bytes(), None, &|| known(None));
            assert_eq!(again.0, at, "known by now, if it can be");
        }
        assert_eq!((all.steps.len(), all.foreign.len()), (3 + MAX_FOREIGN, MAX_FOREIGN));
        let long = "x".repeat(MAX_FOREIGN_NAME + 1);
        for name in [long.as_bytes(), b"a\"b", b"a\\b", b"\n"] {
            let before = all.steps.len();
            assert_eq!(all.learn(START, name, None, &|| known(None)).0, START);
            assert_eq!(all.steps.len(), before);
        }
    }
}
