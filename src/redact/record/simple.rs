//! Members whose values are stepped over as a whole, as most are: in a loop of their own that knows nothing else.
//!
//! It takes members as long as each is the expected one and stands near; whatever else comes is left to its caller. What
//! is told of a member is the same wherever it was met.

use super::{Entry, Inside, Reader, add};
use crate::policy::Slots;
use crate::redact::expect::{Expected, Known, Member, Place};
use crate::redact::kind::{self, Kinds};
use crate::redact::scan::{Span, Text};
use crate::redact::{Unreadable, swar};

/// Where what is known of a record goes.
struct Row<'r, 'b> {
    slots: &'r mut Slots<'b>,
    entries: &'r mut Vec<Entry>,
    body: &'b [u8],
    is_bare: bool,
}

impl<'b> Reader<'b> {
    /// Steps over simple members of a view's record. `room`: containers that may be opened in them.
    #[inline(never)]
    pub(super) fn near(
        &mut self,
        view: usize,
        expected: &Expected,
        text: Text<'b>,
        room: usize,
        place: &mut Place,
    ) -> Result<(), Unreadable> {
        let Some(mut row) = self.row(view, text) else { return Ok(()) };
        // A copy of its own, which needs no memory.
        let mut here = *place;
        while !here.is_closed
            && let Some(near) = swar::near(text.body, here.at)
        {
            let Some(step) = expected.meet(here.next, near) else {
                // Unless it is white space that it stands behind.
                let (at, _) = text.look(here.at)?;
                if at == here.at {
                    break;
                }
                here.at = at;
                continue;
            };
            if !here.see(step.bit) {
                break;
            }
            let (known, behind) = (step.known, step.length());
            let mut value = here.at + behind;
            let mut first = swar::one(near, behind);
            let mut kind = Kinds::of(first);
            let mut short = None;
            if kind == Kinds::STRING {
                short = swar::string(near, behind + 1);
            } else if kind == Kinds::NUMBER {
                short = swar::number(near, behind);
            } else if first <= b' ' {
                (value, first) = text.look(value)?;
                kind = Kinds::of(first);
            }
            let (end, is_kept) = match short {
                Some(end) => (here.at + end, false),
                None => whole(text, known, (value, first), room)?,
            };
            if !known.passes().has(kind) {
                row.tell(known, kind, is_kept, &here, (value, end))?;
            }
            (here.step, here.next) = (here.next, step.next);
            here.behind(text, end)?;
        }
        *place = here;
        Ok(())
    }

    /// Steps over one simple member that isn't near; where it ends.
    pub(super) fn far(
        &mut self,
        view: usize,
        member: &Member,
        text: Text<'b>,
        room: usize,
        place: &Place,
    ) -> Result<usize, Unreadable> {
        let Member { known, value, first, .. } = *member;
        let (end, is_kept) = whole(text, known, (value, first), room)?;
        let place = Place { at: member.name, ..*place };
        let Some(mut row) = self.row(view, text) else { return Err(Unreadable::Shape) };
        row.tell(known, Kinds::of(first), is_kept, &place, (value, end))?;
        Ok(end)
    }

    fn row(&mut self, view: usize, text: Text<'b>) -> Option<Row<'_, 'b>> {
        let slots = &mut self.fillings.get_mut(view)?.slots;
        Some(Row { slots, entries: &mut self.entries, body: text.body, is_bare: self.is_bare })
    }
}

impl Row<'_, '_> {
    /// Tells of a member what is to be known of it. `place`: where its name stands; `value`: from where to where it goes.
    #[inline(always)]
    fn tell(
        &mut self,
        known: Known,
        kind: Kinds,
        is_kept: bool,
        place: &Place,
        (value, end): (usize, usize),
    ) -> Result<(), Unreadable> {
        if let Some(slot) = known.slot()
            && !self.slots.fill(slot, Span { start: value, end }.of(self.body))
        {
            return Err(Unreadable::Duplicate);
        }
        if !self.is_bare && !is_kept && !known.keeps().has(kind) {
            let (span, before, field) = (Span { start: place.at, end }, place.before, known.field());
            let next = self.entries.len() + 1;
            add(self.entries, Entry { span, value, before, next, inside: Inside::Nothing, field, kind })?;
        }
        Ok(())
    }
}

/// Where a value ends that begins there with this byte, and whether it is a list that stays as it is for its elements.
/// Apart, so that the loop stays small.
#[inline(never)]
fn whole(text: Text<'_>, known: Known, (at, first): (usize, u8), room: usize) -> Result<(usize, bool), Unreadable> {
    if known.takes_list(first)
        && room > 0
        && let Some(end) = kind::list_of(known.elements(), text, at)
    {
        return Ok((end, true));
    }
    Ok((text.value(at, first, room)?, false))
}
