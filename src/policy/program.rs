//! A condition made ready to be judged for record after record, straight from raw JSON.
//!
//! What is left of a rule once a decision knows all but the record is mostly a field compared with something known. For
//! these a [`Test`] knows the answer from the raw bytes of one slot, without decoding or allocating. A test answers only
//! where it is certain: whatever is of another shape (an error, an escape, a long number) is asked of the interpreter of
//! `evaluate`, which every condition could be asked of. So the two never differ, but that a program needs fewer steps.
//!
//! `&&` and `||` are flattened; false decides the one and true the other from any place, even after an error, unless that
//! was that the steps ran out.

mod instant;
mod lower;
mod number;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use super::decode;
use super::evaluate::{self, MAX_STEPS};
use super::ir::{Expr, Failure, Subject};
use super::slots::{Slot, SlotId, Slots};
use crate::model::Name;
use number::{Comparison, Number};
use text::{Content, Text, Texts};

/// What is left of a rule, as an expression and as a program.
#[derive(Debug)]
pub(super) struct Condition {
    expr: Expr,
    root: Node,
}

/// A part of a condition that is true, false or an error.
#[derive(Debug)]
enum Node {
    Known(Result<bool, Failure>),
    Leaf(Leaf),
    /// Whether a member is there, by its slot and its parent's.
    Has {
        subject: Subject,
        member: SlotId,
        parent: SlotId,
        expected: bool,
    },
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Choice(Box<[Node; 3]>),
    /// Anything else: left to the interpreter.
    Tree(Box<Expr>),
}

/// A test of one slot.
#[derive(Debug)]
struct Leaf {
    subject: Subject,
    slot: SlotId,
    /// What the test must say for the leaf to be true.
    expected: bool,
    /// What the leaf is for null and where nothing is there. `None`: an error, or not known.
    null: Option<bool>,
    absent: Option<bool>,
    test: Test,
    /// The same as an expression, for values that the test doesn't know.
    otherwise: Box<Expr>,
}

/// A question about one raw value. Every test says nothing where it is not certain.
#[derive(Debug)]
enum Test {
    Equals(Content, Text),
    OneOf(Content, Texts),
    StartsWith(Text),
    EndsWith(Text),
    Contains(Box<memchr::memmem::Finder<'static>>),
    Matches(Arc<regex::Regex>),
    True,
    Null,
    Number(number::Kind, Comparison, Number),
    OneOfNumbers(Box<[i64]>),
    Moment(instant::Format, Comparison, Box<instant::Known>),
}

/// The records that are judged, and the steps that are left.
struct Run<'s> {
    record: Option<&'s Slots<'s>>,
    after: Option<&'s Slots<'s>>,
    steps: u32,
}

/// A known text that a record may hold as a string or an integer: how tenants are told apart.
#[derive(Debug)]
pub(super) struct Word {
    text: Option<Text>,
    value: Name,
}

impl Word {
    pub(super) fn new(value: &Name) -> Self {
        Self { text: Text::new(value), value: Name::clone(value) }
    }

    pub(super) fn is_said_by(&self, raw: &[u8]) -> bool {
        let certain = self.text.as_ref().and_then(|text| text.equals(raw));
        certain.unwrap_or_else(|| decode::is_text(raw, &self.value))
    }
}

impl Condition {
    pub(super) fn new(expr: Expr) -> Self {
        let root = lower::node(&expr);
        Self { expr, root }
    }

    pub(super) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether it is exactly true or exactly false.
    pub(super) fn holds(&self, record: Option<&Slots<'_>>, after: Option<&Slots<'_>>) -> Result<bool, Failure> {
        Run { record, after, steps: MAX_STEPS }.part(&self.root)
    }
}

impl<'s> Run<'s> {
    /// As [`node`](Self::node): most are leaves.
    #[inline]
    fn part(&mut self, node: &Node) -> Result<bool, Failure> {
        match node {
            Node::Leaf(leaf) => self.leaf(leaf),
            node => self.node(node),
        }
    }

    fn node(&mut self, node: &Node) -> Result<bool, Failure> {
        match node {
            Node::Known(outcome) => *outcome,
            Node::Leaf(leaf) => self.leaf(leaf),
            Node::Has { subject, member, parent, expected } => self.has(*subject, *member, *parent, *expected),
            Node::All(parts) => self.parts(parts, false),
            Node::Any(parts) => self.parts(parts, true),
            Node::Not(part) => self.node(part).map(|truth| !truth),
            Node::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                if self.node(condition)? { self.node(yes) } else { self.node(no) }
            }
            Node::Tree(expr) => evaluate::holds(expr, self.record, self.after, &mut self.steps),
        }
    }

    /// `decisive` from any part decides; otherwise the first error is the outcome. Too many steps stay too many.
    fn parts(&mut self, parts: &[Node], decisive: bool) -> Result<bool, Failure> {
        let mut outcome = Ok(!decisive);
        for part in parts {
            match self.part(part) {
                Ok(truth) if truth == decisive => return Ok(decisive),
                Err(Failure::Budget) => return Err(Failure::Budget),
                Ok(_) => {}
                failed => outcome = outcome.and(failed),
            }
        }
        outcome
    }

    fn slots(&self, subject: Subject) -> Option<&'s Slots<'s>> {
        match subject {
            Subject::Record => self.record,
            Subject::After => self.after,
        }
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<bool, Failure> {
        let Some(slots) = self.slots(leaf.subject) else { return Err(Failure::Unknown) };
        let slot = slots.get(leaf.slot);
        match slot {
            Slot::Raw(raw) if raw.len() < LONG => match leaf.test.passes(raw) {
                Some(passes) => Ok(passes == leaf.expected),
                None => self.uncommon(leaf, slot),
            },
            _ => self.uncommon(leaf, slot),
        }
    }

    /// What is long, null or not there, or what the test doesn't know.
    #[inline(never)]
    fn uncommon(&mut self, leaf: &Leaf, slot: Slot<'_>) -> Result<bool, Failure> {
        let known = match slot {
            Slot::Missing => leaf.absent,
            Slot::Raw(b"null") => leaf.null,
            Slot::Raw(raw) if raw.len() < LONG => None,
            Slot::Raw(raw) => {
                let left = u32::try_from(raw.len() / LONG).ok().and_then(|steps| self.steps.checked_sub(steps));
                self.steps = left.unwrap_or(0);
                left.ok_or(Failure::Budget)?;
                leaf.test.passes(raw).map(|passes| passes == leaf.expected)
            }
        };
        match known {
            Some(truth) => Ok(truth),
            None => evaluate::holds(&leaf.otherwise, self.record, self.after, &mut self.steps),
        }
    }

    fn has(&self, subject: Subject, member: SlotId, parent: SlotId, expected: bool) -> Result<bool, Failure> {
        let slots = self.slots(subject).ok_or(Failure::Unknown)?;
        match (slots.get(member), slots.get(parent)) {
            (Slot::Raw(_), _) => Ok(expected),
            (Slot::Missing, Slot::Raw([b'{', ..])) => Ok(!expected),
            (Slot::Missing, Slot::Raw(_)) => Err(Failure::Type),
            (Slot::Missing, Slot::Missing) => Err(Failure::Missing),
        }
    }
}

/// Bytes of a value that cost a step, as they do in the interpreter.
const LONG: usize = 256;

impl Test {
    /// `None`: not certain.
    fn passes(&self, raw: &[u8]) -> Option<bool> {
        match self {
            Self::Equals(Content::Quoted, text) => text.equals(raw),
            Self::Equals(Content::Digits, text) => Some(text.bytes() == Content::Digits.of(raw)?),
            Self::OneOf(content, texts) => texts.hold(*content, raw),
            Self::StartsWith(text) => text.starts(raw),
            Self::EndsWith(text) => text.ends(raw),
            Self::Contains(finder) => Some(finder.find(Content::Quoted.of(raw)?).is_some()),
            Self::Matches(pattern) => {
                std::str::from_utf8(Content::Quoted.of(raw)?).ok().map(|text| pattern.is_match(text))
            }
            Self::True => match raw {
                b"true" => Some(true),
                b"false" => Some(false),
                _ => None,
            },
            Self::Null => Some(raw == b"null"),
            Self::Number(kind, comparison, number) => Some(comparison.accepts(kind.compare(raw, number)?)),
            Self::OneOfNumbers(numbers) => Some(numbers.binary_search(&number::whole(raw)?).is_ok()),
            Self::Moment(format, comparison, known) => Some(comparison.accepts(format.compare(raw, known)?)),
        }
    }
}
