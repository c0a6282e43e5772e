//! Fills the slots of one record while it is scanned, along the layout that its table's rules share.
//!
//! It goes into nested objects, those of related records too, as far as the layout does and no further. A path that leads
//! through anything else stays missing. A member on the layout that occurs twice is an error, also where the rules only
//! pass through it.

use super::Unreadable;
use super::scan::{Scan, Span};
use crate::policy::slots::NodeId;
use crate::policy::{Layout, Slots};

/// Slots on their way to being filled.
pub(super) struct Filling<'b, 'l> {
    layout: &'l Layout,
    pub(super) slots: Slots<'b>,
    /// A path that is met a second time makes the record say two things.
    visited: Vec<NodeId>,
}

impl<'b, 'l> Filling<'b, 'l> {
    pub(super) fn new(layout: &'l Layout) -> Self {
        Self { layout, slots: Slots::empty(layout), visited: Vec::new() }
    }

    /// Steps over a member's value, filling what lies in it. Recursion is bounded by the layout and by the scanner.
    pub(super) fn member(&mut self, scan: &mut Scan<'b>, node: Option<NodeId>) -> Result<Span, Unreadable> {
        let Some(node) = node else { return scan.value() };
        if self.visited.contains(&node) {
            return Err(Unreadable::Duplicate);
        }
        self.visited.push(node);
        let value = if self.layout.has_members(node) && scan.peek()? == b'{' {
            self.object(scan, node)?
        } else {
            scan.value()?
        };
        if let Some(slot) = self.layout.slot(node)
            && !self.slots.fill(slot, value.of(scan.body()))
        {
            return Err(Unreadable::Duplicate);
        }
        Ok(value)
    }

    pub(super) fn object(&mut self, scan: &mut Scan<'b>, node: NodeId) -> Result<Span, Unreadable> {
        scan.peek()?;
        let start = scan.position();
        scan.enter()?;
        let mut first = true;
        while let Some(key) = scan.member(&mut first)? {
            let next = self.layout.member(node, &key.name());
            self.member(scan, next)?;
        }
        Ok(Span { start, end: scan.position() })
    }
}
