//! What the records of an answer have taught about their members: in which order they come, and which of them stay as they
//! are under every plan that was met.

use std::sync::Arc;

use crate::api::{Catalog, FieldId};
use crate::policy::FieldPlan;
use crate::policy::slots::NodeId;
use crate::redact::Unreadable;
use crate::redact::expect::{At, Expected, Known, Member, Place};
use crate::redact::kind::Keep;
use crate::redact::scan::{Key, Text};
use crate::redact::view::{Content, View};

/// Where there are more plans, members of all kinds have entries.
pub(super) const MAX_PLANS: usize = 64;

/// What is known about the members of one view's records.
pub(super) struct Notes {
    pub(super) expected: Expected,
    /// A bit for each declared member of the record that is open, from the 64th on.
    pub(super) seen: Vec<u64>,
    pub(super) plans: Vec<Arc<FieldPlan>>,
    /// By field, what stays as it is under each of these.
    pub(super) keep: Vec<Keep>,
    /// There were too many plans: all members have entries.
    pub(super) gave_up: bool,
}

impl Notes {
    /// Of records with so many declared members.
    pub(super) fn new(members: usize) -> Self {
        Self {
            expected: Expected::new(members),
            seen: vec![0; members.div_ceil(64)],
            plans: Vec::new(),
            keep: vec![Keep::default(); members],
            gave_up: false,
        }
    }

    /// Notes a member that has no bit in a word of its own. Whether it may occur: others of the same name didn't.
    #[inline(never)]
    pub(super) fn see(&mut self, field: Option<FieldId>) -> bool {
        let Some(FieldId(number)) = field else { return true };
        let bit = 1 << (number % 64);
        match self.seen.get_mut(usize::from(number / 64)) {
            Some(seen) if *seen & bit == 0 => {
                *seen |= bit;
                true
            }
            _ => false,
        }
    }

    /// Whether members may be left out of the entries of a record that shows under this plan.
    pub(super) fn knows(&self, plan: &Arc<FieldPlan>) -> bool {
        self.plans.iter().any(|known| Arc::ptr_eq(known, plan))
    }

    pub(super) fn met(&mut self, plan: &Arc<FieldPlan>, keep: &dyn Fn(FieldId) -> Keep) {
        if self.knows(plan) || self.gave_up {
            return;
        }
        let first = self.plans.is_empty();
        self.gave_up = self.plans.len() >= MAX_PLANS;
        for (field, kept) in (0..).map(FieldId).zip(&mut self.keep) {
            *kept = match (first, self.gave_up) {
                (_, true) => Keep::default(),
                (true, _) => keep(field),
                (false, _) => kept.in_both(keep(field)),
            };
        }
        self.plans.push(Arc::clone(plan));
        let keep = &self.keep;
        self.expected.keep(&|field| keep.get(usize::from(field.0)).copied().unwrap_or_default());
    }
}

/// A member, wherever it stands and whichever it is. What wasn't expected is looked up, and expected from now on.
#[inline(never)]
pub(super) fn another_name(
    text: Text<'_>,
    catalog: &Catalog,
    view: &View,
    notes: &mut Notes,
    place: &Place,
) -> Result<Member, Unreadable> {
    let (name, byte) = text.look(place.at)?;
    if byte != b'"' {
        return Err(Unreadable::Syntax);
    }
    if let Some((step, met)) = notes.expected.meet_one(place.next, text.body, name) {
        let (value, first) = text.look(name + met.length())?;
        return Ok(Member { step, next: met.next, known: met.known, name, value, first });
    }
    let (key, end) = text.key(name)?;
    let (value, first) = text.after_colon(end)?;
    let (step, known) = strange_name(catalog, view, notes, place.step, &key);
    let next = notes.expected.next(step);
    Ok(Member { step, next, known, name, value, first })
}

fn strange_name(catalog: &Catalog, view: &View, notes: &mut Notes, step: At, key: &Key<'_>) -> (At, Known) {
    let name = key.name();
    let field = catalog.field_named(view.table, &name);
    let keep = &notes.keep;
    let known = || {
        let layout = view.judge.layout();
        let node = layout.member(NodeId::ROOT, &name);
        let table = catalog.table(view.table);
        let is_whole = match field.map(|field| view.content(table, field)) {
            Some(Content::One(Some(_)) | Content::Many(Some(_))) => false,
            Some(Content::Plain { .. } | Content::One(None) | Content::Many(None)) => true,
            None => table.container.as_ref().is_none_or(|container| container.as_bytes() != &*name),
        };
        let keep = field.and_then(|field| keep.get(usize::from(field.0))).copied().unwrap_or_default();
        let simple = is_whole && !node.is_some_and(|node| layout.has_members(node));
        Known::new(field, node.and_then(|node| layout.slot(node)), keep, simple)
    };
    notes.expected.learn(step, &name, field, &known)
}
