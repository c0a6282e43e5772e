//! Fills the slots of records while they are scanned, along the layouts that their tables' rules share.
//!
//! It goes into nested objects, those of related records too, as far as a layout does and no further. A path that leads
//! through anything else stays missing. A member on a layout that occurs twice is an error, also where the rules only
//! pass through it. Several layouts may lead through one value: that of a related record, and those of the records around.

use std::ops::Range;

use super::Unreadable;
use super::scan::{Scan, Span};
use crate::policy::slots::NodeId;
use crate::policy::{Layout, Slots};

/// Where a layout stands at one value, and whose slots it fills.
#[derive(Clone, Copy)]
pub(super) struct Track<'l> {
    pub(super) layout: &'l Layout,
    pub(super) node: NodeId,
    /// Which of the fillings.
    pub(super) of: usize,
}

/// One record's slots on their way to being filled.
#[derive(Debug, Default)]
pub(super) struct Filling<'b> {
    pub(super) slots: Slots<'b>,
    /// Paths that rules only pass through: one that is met a second time makes the record say two things.
    passed: Vec<NodeId>,
}

impl<'b> Filling<'b> {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { slots: Slots::empty(layout), passed: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.passed.clear();
    }

    /// Memory for the records of another body.
    pub(super) fn recycle<'c>(mut self) -> Filling<'c> {
        self.passed.clear();
        Filling { slots: self.slots.recycle(), passed: self.passed }
    }

    /// Notes that a path leads to this value.
    #[inline]
    pub(super) fn note(&mut self, layout: &Layout, node: NodeId, raw: &'b [u8]) -> Result<(), Unreadable> {
        let fresh = match layout.slot(node) {
            Some(slot) => self.slots.fill(slot, raw),
            None if self.passed.contains(&node) => false,
            None => {
                self.passed.push(node);
                true
            }
        };
        if fresh { Ok(()) } else { Err(Unreadable::Duplicate) }
    }
}

/// The layouts that lead through the values which are open.
#[derive(Default)]
pub(super) struct Tracks<'l>(Vec<Track<'l>>);

impl<'l> Tracks<'l> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, track: Track<'l>) {
        self.0.push(track);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Adds those that go on into the member of this name; which they are.
    pub(super) fn follow(&mut self, from: Range<usize>, name: &[u8]) -> Range<usize> {
        let start = self.0.len();
        for number in from {
            let Some(track) = self.0.get(number).copied() else { continue };
            if let Some(node) = track.layout.member(track.node, name) {
                self.0.push(Track { node, ..track });
            }
        }
        start..self.0.len()
    }

    /// Whether one of them goes on into an object's members.
    pub(super) fn lead_on(&self, tracks: Range<usize>) -> bool {
        self.0.get(tracks).unwrap_or_default().iter().any(|track| track.layout.has_members(track.node))
    }

    /// Notes the value to which these lead.
    pub(super) fn note<'b>(
        &self,
        tracks: Range<usize>,
        raw: &'b [u8],
        fillings: &mut [Filling<'b>],
    ) -> Result<(), Unreadable> {
        for track in self.0.get(tracks).unwrap_or_default() {
            if let Some(filling) = fillings.get_mut(track.of) {
                filling.note(track.layout, track.node, raw)?;
            }
        }
        Ok(())
    }

    /// Steps over a value that begins with this byte, noting it and what lies in it. Recursion is bounded by the layouts
    /// and by the scanner.
    pub(super) fn value<'b>(
        &mut self,
        scan: &mut Scan<'b>,
        first: u8,
        tracks: Range<usize>,
        fillings: &mut [Filling<'b>],
    ) -> Result<Span, Unreadable> {
        let value = if first == b'{' && self.lead_on(tracks.clone()) {
            self.object(scan, tracks.clone(), fillings)?
        } else {
            scan.value_from(first)?
        };
        self.note(tracks, value.of(scan.body()), fillings)?;
        Ok(value)
    }

    /// Steps over an object, noting what lies in it.
    pub(super) fn object<'b>(
        &mut self,
        scan: &mut Scan<'b>,
        tracks: Range<usize>,
        fillings: &mut [Filling<'b>],
    ) -> Result<Span, Unreadable> {
        let start = scan.position();
        scan.enter()?;
        let (text, room) = (scan.text(), scan.room());
        let (mut at, mut byte) = text.look(scan.position())?;
        while byte != b'}' {
            if byte != b'"' {
                return Err(Unreadable::Syntax);
            }
            let (key, end) = text.key(at)?;
            let (value, first) = text.after_colon(end)?;
            let below = self.follow(tracks.clone(), &key.name());
            if below.is_empty() {
                at = text.value(value, first, room)?;
            } else {
                let start = below.start;
                scan.go(value);
                at = self.value(scan, first, below, fillings)?.end;
                self.truncate(start);
            }
            (at, byte) = text.look(at)?;
            if byte == b',' {
                (at, byte) = text.look(at + 1)?;
                if byte != b'"' {
                    return Err(Unreadable::Syntax);
                }
            } else if byte != b'}' {
                return Err(Unreadable::Syntax);
            }
        }
        scan.go(at);
        scan.leave();
        Ok(Span { start, end: at + 1 })
    }
}
