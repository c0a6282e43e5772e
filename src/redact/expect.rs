//! Which member comes next in a record: the one that did the last time, as a rule, for an answer's records are alike.
//!
//! Comparing an expected name in place, with its quotes and its colon, costs less than scanning it, and what is known about
//! the member needs no search. What differs is scanned, looked up and learned. A name that is met is the same bytes as one
//! that was scanned before, so nothing goes unchecked.

use super::kind::{Keep, Kinds};
use super::scan::Text;
use super::{Unreadable, swar};
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
    const SIMPLE: u64 = 1 << 32;
    const NEAR: u64 = 1 << 33;
    /// Where the kinds begin that stay as they are, those of elements that do, and those that pass.
    const KINDS: u32 = 40;
    const ELEMENTS: u32 = 48;
    const PASSES: u32 = 56;

    /// `keep`: what of it stays as it is under every plan that was met so far. `simple`: its value is stepped over as a
    /// whole, and only its own table's rules may read it, by its slot.
    pub(super) fn new(field: Option<FieldId>, slot: Option<SlotId>, keep: Keep, simple: bool) -> Self {
        let field = field.map_or(Self::NONE, |field| field.0);
        let slot = slot.map_or(Self::NONE, |slot| slot.0);
        let known = Self(u64::from(field) | u64::from(slot) << 16 | if simple { Self::SIMPLE } else { 0 });
        // What has no bit is noted elsewhere.
        let is_near = simple && (known.bit() != 0 || known.field().is_none());
        Self(known.0 | if is_near { Self::NEAR } else { 0 }).keeping(keep)
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

    /// Of these kinds it stays as it is.
    #[inline(always)]
    pub(super) fn keeps(self) -> Kinds {
        Kinds::from_bits((self.0 >> Self::KINDS) as u8)
    }

    /// Whether a value that begins so may stay as it is for its [elements](Self::elements).
    #[inline(always)]
    pub(super) fn takes_list(self, first: u8) -> bool {
        first == b'[' && self.elements() != Kinds::NONE
    }

    /// It stays as it is if it is an array whose elements are all of these kinds.
    #[inline(always)]
    pub(super) fn elements(self) -> Kinds {
        Kinds::from_bits((self.0 >> Self::ELEMENTS) as u8)
    }

    /// Of these kinds nothing is to be done but to step over its value.
    #[inline(always)]
    pub(super) fn passes(self) -> Kinds {
        Kinds::from_bits((self.0 >> Self::PASSES) as u8)
    }

    /// A bit of its own, for the first fields of a table.
    #[inline(always)]
    pub(super) fn bit(self) -> u64 {
        let field = self.0 as u16;
        if field < 64 { 1 << field } else { 0 }
    }

    fn keeping(self, keep: Keep) -> Self {
        let passes = if self.is_simple() && self.slot().is_none() { keep.kinds } else { Kinds::NONE };
        let at = |kinds: Kinds, place| u64::from(kinds.bits()) << place;
        let kept = at(keep.kinds, Self::KINDS) | at(keep.elements, Self::ELEMENTS) | at(passes, Self::PASSES);
        Self(self.0 & ((1 << Self::KINDS) - 1) | kept)
    }

    /// Whether nothing else is to be known of it than where it is and whether its bit was seen.
    #[inline(always)]
    pub(super) fn is_near(self) -> bool {
        self.0 & Self::NEAR != 0
    }

    /// Of a member that isn't known by what is near.
    fn far(self) -> Self {
        Self(self.0 & !Self::NEAR)
    }

    #[inline(always)]
    pub(super) fn is_simple(self) -> bool {
        self.0 & Self::SIMPLE != 0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The first bytes of the name with its quotes and the colon, and a bit for each that counts.
    head: [u8; HEAD],
    mask: u32,
    /// Of all of them.
    length: u32,
    /// Where they are in `text`.
    text: u32,
    /// What came after it.
    pub(super) next: At,
    pub(super) known: Known,
    /// Of what is known, for it is asked for each time.
    pub(super) bit: u64,
}

impl Step {
    /// Length of the name with its quotes and the colon.
    #[inline(always)]
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    fn bytes<'a>(&self, all: &'a [u8]) -> &'a [u8] {
        let text = self.text as usize;
        all.get(text..text + self.length()).unwrap_or_default()
    }
}

/// Longer names are long.
const HEAD: usize = 2 * swar::VECTOR;

/// Where the reader stands in a record: before a member, or at the end.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: usize,
    /// Where the member before ends, or the first one begins.
    pub(super) before: usize,
    /// The step that was taken last, and the one that is expected.
    pub(super) step: At,
    pub(super) next: At,
    /// Bits of members that were met.
    pub(super) seen: u64,
    /// The closing brace stands there.
    pub(super) is_closed: bool,
}

impl Place {
    /// Goes on behind a member that ends there.
    #[inline(always)]
    pub(super) fn behind(&mut self, text: Text<'_>, end: usize) -> Result<(), Unreadable> {
        self.before = end;
        if text.body.get(end) == Some(&b',') {
            self.at = end + 1;
            return Ok(());
        }
        let (at, byte) = text.look(end)?;
        self.is_closed = byte == b'}';
        self.at = if self.is_closed { at } else { at + 1 };
        if self.is_closed || byte == b',' { Ok(()) } else { Err(Unreadable::Syntax) }
    }

    /// Notes a member that has a bit. Whether it may occur: it was not met before.
    #[inline(always)]
    pub(super) fn see(&mut self, bit: u64) -> bool {
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

/// A member whose name was met or read.
pub(super) struct Member {
    pub(super) step: At,
    pub(super) next: At,
    pub(super) known: Known,
    /// Where its name begins.
    pub(super) name: usize,
    /// Where its value begins, and with which byte.
    pub(super) value: usize,
    pub(super) first: u8,
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

    /// The member of this step, if it is one that is known by its first bytes, and these begin with them.
    #[inline(always)]
    pub(super) fn meet(&self, expected: At, near: &[u8; swar::NEAR]) -> Option<&Step> {
        let step = self.steps.get(expected as usize)?;
        (swar::same(near, &step.head) & step.mask == step.mask && step.known.is_near()).then_some(step)
    }

    /// The member of this step or one of those after it, if its name stands there, wherever its value does.
    pub(super) fn meet_one(&self, expected: u32, body: &[u8], at: usize) -> Option<(At, &Step)> {
        let rest = body.get(at..)?;
        let mut number = expected;
        for _ in 0..TRIES {
            let step = self.steps.get(number as usize)?;
            if rest.starts_with(step.bytes(&self.text)) {
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

    /// What of declared members stays as it is under one more plan.
    pub(super) fn keep(&mut self, keep: &dyn Fn(FieldId) -> Keep) {
        for step in &mut self.steps {
            if let Some(field) = step.known.field() {
                step.known = step.known.keeping(keep(field));
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
        let mut head = [0; HEAD];
        head.iter_mut().zip(self.text.iter().skip(text)).for_each(|(head, byte)| *head = *byte);
        // A long name may begin as others do.
        let known = if length <= HEAD { known } else { known.far() };
        self.steps.push(Step {
            head,
            mask: if length < HEAD { (1 << length) - 1 } else { u32::MAX },
            length: bytes,
            text: place,
            next: number + 1,
            known,
            bit: known.bit(),
        });
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(field: Option<FieldId>) -> Known {
        Known::new(field, None, Keep::default(), true)
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
                for kinds in [Kinds::NONE, Kinds::ALL, Kinds::NULL.and(Kinds::STRING)] {
                    for elements in [Kinds::NONE, Kinds::ALL, Kinds::NUMBER] {
                        for simple in [false, true] {
                            let all = Keep { kinds: Kinds::ALL, elements: Kinds::ALL };
                            let known = Known::new(field, slot, all, simple).keeping(Keep { kinds, elements });
                            let told =
                                (known.field(), known.slot(), known.keeps(), known.elements(), known.is_simple());
                            assert_eq!(told, (field, slot, kinds, elements, simple));
                            let nothing_to_do = simple && slot.is_none();
                            assert_eq!(known.passes(), if nothing_to_do { kinds } else { Kinds::NONE });
                        }
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
            "abcdefgh_jklmn__pqrstuvwxyz_a",
            "abcdefgh_jklmn__pqrstuvwxyz_ab",
            "abcdefgh_jklmn__pqrstuvwxyz_ac",
        ];
        let behind = |name: &str| format!("\"{name}\":\"0123\",{}", " ".repeat(swar::NEAR)).into_bytes();
        for word in words {
            let one = expected(&[word]);
            for other in words {
                let body = behind(other);
                let whole = one.meet_one(0, &body, 0).map(|(_, step)| step.length());
                assert_eq!(whole, (word == other).then_some(word.len() + 3), "{word} in {other}");
                let near = swar::near(&body, 0).and_then(|near| one.meet(0, near)).map(Step::length);
                assert_eq!(near, whole.filter(|length| *length <= HEAD), "{word} in {other}");
            }
            for place in 0..word.len() + 3 {
                let mut body = behind(word);
                body[place] ^= 1;
                assert!(
                    swar::near(&body, 0).is_some_and(|near| one.meet(0, near).is_none()),
                    "{word} but for byte {place}"
                );
                assert!(one.meet_one(0, &body, 0).is_none(), "{word} but for byte {place}");
            }
            assert!(one.meet(0, &[0; swar::NEAR]).is_none(), "nothing is no name");
            let body = format!("\"{word}\":");
            assert!(one.meet_one(0, &body.as_bytes()[..body.len() - 1], 0).is_none(), "{word} without its end");
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
        assert_eq!(all.meet_one(all.next(0), b"\"email\":1", 0).map(|(step, _)| step), Some(2));
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
