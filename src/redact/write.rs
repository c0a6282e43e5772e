//! Copies a record that shows, without what its field plan hides and with what it masks.
//!
//! Field plans are prepared once for an answer: what becomes of a member is then one look at its kind. A record that isn't
//! shown leaves no byte, and neither do its related ones.

use std::ops::Range;
use std::sync::Arc;

use super::edit::{Siblings, Tape};
use super::kind::{self, Keep, Kinds};
use super::mask::{Keys, Masked, Masking};
use super::plan::{FieldChange, Tally};
use super::record::{Entry, Inside, Judged, Reader};
use super::scan::Span;
use super::text;
use super::view::{Content, View};
use crate::api::{Catalog, FieldId, Shape, TableId};
use crate::policy::{FieldPlan, Verdict, Visibility};

/// Prepared plans kept for one view; where there are more, all are prepared anew.
const MAX_PLANS: usize = 64;

/// Writes records and tells what was done to them.
pub(super) struct Writer {
    catalog: Arc<Catalog>,
    keys: Keys,
    tally: Tally,
    /// What was prepared, by view.
    plans: Vec<Vec<Prepared>>,
    scratch: Vec<u8>,
}

/// A field plan made ready.
struct Prepared {
    plan: Arc<FieldPlan>,
    /// By field.
    actions: Vec<Action>,
    /// It has shown records of this answer.
    used: bool,
}

/// What becomes of a member.
struct Action {
    /// Of these kinds it stays as it is.
    keep: Kinds,
    or: Or,
    changed: Changed,
}

/// How often a member was changed, and the gravest of the changes.
#[derive(Default)]
struct Changed {
    gravest: Option<FieldChange>,
    times: u64,
}

impl Changed {
    #[inline]
    fn note(&mut self, change: FieldChange) {
        self.gravest = self.gravest.max(Some(change));
        self.times += 1;
    }
}

enum Or {
    /// Stays if it is of its declared type after all.
    Check,
    Mask(Box<Masking>),
    Remove,
    /// Was not asked for: goes without being counted.
    Drop,
    /// Related records stay, as far as they show.
    Related,
}

impl Writer {
    pub(super) fn new(catalog: Arc<Catalog>, keys: Keys, root: &View) -> Self {
        let mut plans = Vec::new();
        root.each(&mut |_| plans.push(Vec::new()));
        Self { catalog, keys, tally: Tally::default(), plans, scratch: Vec::new() }
    }

    /// Counts an outermost record.
    pub(super) fn root(&mut self, judged: &Judged) {
        self.tally.scanned += 1;
        self.tally.kept += u64::from(judged.shown().is_some());
        self.judged(judged);
    }

    pub(super) fn kept_all(&self) -> bool {
        self.tally.kept == self.tally.scanned
    }

    /// Notes the key of an outermost record that shows.
    pub(super) fn key(&mut self, raw: Option<&[u8]>) {
        let Some(raw) = raw.filter(|_| self.tally.keys.len() < Tally::MAX_KEYS) else { return };
        // A number is written as it stands.
        if let Some(plain) = text::plain(raw).or_else(|| kind::is_number(raw).then_some(raw)) {
            self.tally.keys.push(plain);
        } else if let Some(text) = super::request::text(raw) {
            self.tally.keys.push(text.as_bytes());
        }
    }

    /// Counts what became of a record.
    fn judged(&mut self, judged: &Judged) {
        self.tally.errors += u64::from(judged.errors);
        match &judged.verdict {
            Verdict::Visible(_) => {}
            Verdict::Foreign => self.tally.foreign += 1,
            Verdict::Unmatched => self.tally.dropped += 1,
            Verdict::Denied(rule) => {
                self.tally.dropped += 1;
                if !self.tally.denied.contains(rule) {
                    self.tally.denied.insert(Arc::clone(rule));
                }
            }
        }
    }

    /// All that was counted. What was prepared stays for another answer.
    pub(super) fn finish(&mut self, root: &View) -> Tally {
        let mut plans = self.plans.iter_mut();
        let mut tally = std::mem::take(&mut self.tally);
        root.each(&mut |view| {
            let prepared = plans.next().into_iter().flatten();
            prepared.for_each(|prepared| prepared.tell(view.table, &mut tally));
        });
        tally
    }

    /// How many members were prepared.
    pub(super) fn size(&self) -> usize {
        self.plans.iter().flatten().map(|prepared| prepared.actions.len()).sum()
    }

    /// Gives back memory that only a large value took.
    pub(super) fn shrink(&mut self) {
        self.scratch.clear();
        self.scratch.shrink_to(4096);
    }

    /// Copies the members of a record, whose entries are these; the tape is kept up to its beginning.
    pub(super) fn record(
        &mut self,
        reader: &Reader<'_>,
        view: &View,
        entries: Range<usize>,
        judged: &Judged,
        tape: &mut Tape<'_, '_>,
    ) {
        let Some(plan) = judged.shown() else { return };
        // Taken out while they are in use: records of a view never hold records of the same view.
        let (number, mut actions) = self.take_actions(view, plan);
        self.members(reader, view, entries, judged.end, &mut actions, tape);
        if let Some(prepared) = self.plans.get_mut(view.id).and_then(|plans| plans.get_mut(number)) {
            prepared.actions = actions;
        }
    }

    /// Copies members of a record, all of which end there.
    fn members(
        &mut self,
        reader: &Reader<'_>,
        view: &View,
        entries: Range<usize>,
        end_of_last: usize,
        actions: &mut [Action],
        tape: &mut Tape<'_, '_>,
    ) {
        let mut siblings = Siblings::default();
        let mut at = entries.start;
        let mut end = None;
        while let Some(entry) = reader.entries.get(at).filter(|_| at < entries.end) {
            let below = at + 1..entry.next;
            at = entry.next;
            if entry.before != end.unwrap_or(entry.span.start) {
                siblings.untold(entry.before, tape);
            }
            end = Some(entry.span.end);
            if entry.inside == Inside::Container {
                self.container(reader, view, entry, below, actions, &mut siblings, tape);
                continue;
            }
            let known = entry.field.and_then(|field| Some((field, actions.get_mut(usize::from(field.0))?)));
            let Some((field, action)) = known else {
                self.tally.undeclared += 1;
                siblings.drop(entry.span, tape);
                continue;
            };
            if action.keep.has(entry.kind) {
                siblings.keep(entry.span.start, tape);
                siblings.passed(entry.span.end);
                continue;
            }
            let outcome = match &mut action.or {
                Or::Drop => Outcome::Dropped,
                Or::Remove => Outcome::Removed,
                Or::Check => self.check(view, field, entry.raw(tape.bytes())),
                Or::Mask(masking) => self.mask(view, field, masking, entry.raw(tape.bytes())),
                Or::Related if entry.inside == Inside::Nothing && !self.is_no_record(view, field, entry) => {
                    Outcome::Mismatched
                }
                Or::Related => Outcome::Related,
            };
            match outcome {
                Outcome::Dropped => {}
                Outcome::Removed => action.changed.note(FieldChange::Removed),
                Outcome::Mismatched => action.changed.note(FieldChange::Mismatched),
                Outcome::Masked => action.changed.note(FieldChange::Masked),
                Outcome::Same | Outcome::Related => {}
            }
            match outcome {
                Outcome::Dropped | Outcome::Removed | Outcome::Mismatched => {
                    siblings.drop(entry.span, tape);
                    continue;
                }
                Outcome::Same | Outcome::Masked | Outcome::Related => siblings.keep(entry.span.start, tape),
            }
            match outcome {
                Outcome::Masked => tape.replace(entry.value(), &self.scratch),
                Outcome::Related => self.related(reader, view, field, entry, below, tape),
                Outcome::Same | Outcome::Dropped | Outcome::Removed | Outcome::Mismatched => {}
            }
            siblings.passed(entry.span.end);
        }
        if end.is_some_and(|end| end != end_of_last) {
            siblings.untold(end_of_last, tape);
        }
        siblings.close(tape);
    }

    /// A record's container, with the related records that show. One that doesn't leaves no trace, for neither does one
    /// that isn't there; a container that is left empty goes.
    #[expect(clippy::too_many_arguments, reason = "the state of one record")]
    fn container(
        &mut self,
        reader: &Reader<'_>,
        view: &View,
        container: &Entry,
        entries: Range<usize>,
        actions: &mut [Action],
        outside: &mut Siblings,
        tape: &mut Tape<'_, '_>,
    ) {
        let mut siblings = Siblings::default();
        let mut at = entries.start;
        let mut kept = false;
        while let Some(entry) = reader.entries.get(at).filter(|_| at < entries.end) {
            let below = at + 1..entry.next;
            at = entry.next;
            let related = entry.field.and_then(|field| Some((view.related(field)?, reader.judged_at(entry)?)));
            let shown = match (related, entry.field.and_then(|field| actions.get_mut(usize::from(field.0)))) {
                (Some((related, judged)), Some(Action { or: Or::Related, .. })) => {
                    self.judged(judged);
                    judged.shown().map(|_| (related, judged))
                }
                (_, Some(Action { or: Or::Drop, .. })) => None,
                (_, Some(action)) => {
                    action.changed.note(FieldChange::Removed);
                    None
                }
                (_, None) => {
                    self.tally.undeclared += 1;
                    None
                }
            };
            let Some((related, judged)) = shown else {
                siblings.drop(entry.span, tape);
                continue;
            };
            if !kept {
                outside.keep(container.span.start, tape);
                kept = true;
            }
            siblings.keep(entry.span.start, tape);
            self.record(reader, related, below, judged, tape);
            siblings.passed(entry.span.end);
        }
        if kept {
            siblings.close(tape);
            outside.passed(container.span.end);
        } else {
            outside.drop(container.span, tape);
        }
    }

    /// Whether a to-one relation leads nowhere.
    fn is_no_record(&self, view: &View, field: FieldId, entry: &Entry) -> bool {
        entry.kind == Kinds::NULL && matches!(self.catalog.table(view.table).field(field).shape, Shape::One { .. })
    }

    /// Gives a to-one relation the name that clients know it by.
    fn rename(&mut self, view: &View, field: FieldId, entry: &Entry, tape: &mut Tape<'_, '_>) {
        let table = self.catalog.table(view.table);
        if let Shape::One { by, .. } = table.field(field).shape
            && table.in_place
        {
            self.scratch.clear();
            text::escape(&table.field(by).name, &mut self.scratch);
            self.scratch.push(b':');
            tape.replace(Span { start: entry.span.start, end: entry.value().start }, &self.scratch);
        }
    }

    /// A relation's records, as far as they show.
    #[inline(never)]
    fn related(
        &mut self,
        reader: &Reader<'_>,
        view: &View,
        field: FieldId,
        entry: &Entry,
        below: Range<usize>,
        tape: &mut Tape<'_, '_>,
    ) {
        self.rename(view, field, entry, tape);
        match (entry.inside, view.related(field)) {
            (Inside::Records, Some(related)) => self.many(reader, related, below, tape),
            (_, Some(related)) => self.one(reader, related, entry, below, tape),
            (_, None) => {}
        }
    }

    /// A related record, or null in its place.
    fn one(
        &mut self,
        reader: &Reader<'_>,
        related: &View,
        entry: &Entry,
        below: Range<usize>,
        tape: &mut Tape<'_, '_>,
    ) {
        let Some(judged) = reader.judged_at(entry) else { return };
        self.judged(judged);
        if judged.shown().is_some() {
            self.record(reader, related, below, judged, tape);
        } else {
            tape.replace(entry.value(), b"null");
        }
    }

    /// The related records of an array, without those that don't show.
    fn many(&mut self, reader: &Reader<'_>, related: &View, elements: Range<usize>, tape: &mut Tape<'_, '_>) {
        let mut siblings = Siblings::default();
        let mut at = elements.start;
        while let Some(element) = reader.entries.get(at).filter(|_| at < elements.end) {
            let below = at + 1..element.next;
            at = element.next;
            let Some(judged) = reader.judged_at(element) else { continue };
            self.judged(judged);
            if judged.shown().is_some() {
                siblings.keep(element.span.start, tape);
                self.record(reader, related, below, judged, tape);
                siblings.passed(element.span.end);
            } else {
                siblings.drop(element.span, tape);
            }
        }
        siblings.close(tape);
    }

    fn check(&self, view: &View, field: FieldId, raw: &[u8]) -> Outcome {
        match &self.catalog.table(view.table).field(field).shape {
            Shape::Plain(of) if kind::shows(of, raw) => Outcome::Same,
            _ => Outcome::Mismatched,
        }
    }

    /// Leaves in `scratch` what stands for the value.
    fn mask(&mut self, view: &View, field: FieldId, masking: &mut Masking, raw: &[u8]) -> Outcome {
        let Shape::Plain(of) = &self.catalog.table(view.table).field(field).shape else {
            return Outcome::Removed;
        };
        self.scratch.clear();
        match masking.apply(of, raw, &mut self.scratch) {
            Masked::Same => Outcome::Same,
            Masked::Replaced => Outcome::Masked,
            Masked::Removed => Outcome::Removed,
        }
    }

    /// What a plan does to the members of a view, and where to put it back.
    fn take_actions(&mut self, view: &View, plan: &Arc<FieldPlan>) -> (usize, Vec<Action>) {
        let Some(plans) = self.plans.get_mut(view.id) else { return (0, Vec::new()) };
        if let Some(number) = plans.iter().position(|known| Arc::ptr_eq(&known.plan, plan)) {
            let prepared = plans.get_mut(number).map(|prepared| {
                prepared.used = true;
                std::mem::take(&mut prepared.actions)
            });
            return (number, prepared.unwrap_or_default());
        }
        if plans.len() >= MAX_PLANS {
            plans.iter_mut().for_each(|prepared| prepared.tell(view.table, &mut self.tally));
            plans.clear();
        }
        plans.push(Prepared { plan: Arc::clone(plan), actions: Vec::new(), used: true });
        let number = plans.len() - 1;
        let table = self.catalog.table(view.table);
        (number, table.field_ids().map(|field| self.action(view, field, plan)).collect())
    }

    /// What of a field stays as it is under a plan.
    pub(super) fn keeps(catalog: &Catalog, view: &View, field: FieldId, plan: &FieldPlan) -> Keep {
        let table = catalog.table(view.table);
        match (view.content(table, field), &table.field(field).shape, visibility(plan, field)) {
            (Content::Plain { asked: true }, Shape::Plain(of), Visibility::Clear) => Keep::showing(of),
            (Content::One(Some(_)), _, Visibility::Clear) if !table.in_place => {
                Keep { kinds: Kinds::NULL, elements: Kinds::NONE }
            }
            _ => Keep::default(),
        }
    }

    fn action(&self, view: &View, field: FieldId, plan: &FieldPlan) -> Action {
        let or = match (view.content(self.catalog.table(view.table), field), visibility(plan, field)) {
            (Content::Plain { asked: false } | Content::One(None) | Content::Many(None), _) => Or::Drop,
            (_, Visibility::Removed) => Or::Remove,
            (Content::Plain { .. }, Visibility::Clear) => Or::Check,
            (Content::Plain { .. }, Visibility::Masked(mask)) => {
                Or::Mask(Box::new(Masking::new(mask, &self.keys, view.table, field)))
            }
            (Content::One(Some(_)) | Content::Many(Some(_)), Visibility::Clear) => Or::Related,
            // No mask is made for records.
            (Content::One(Some(_)) | Content::Many(Some(_)), Visibility::Masked(_)) => Or::Remove,
        };
        let keep = Self::keeps(&self.catalog, view, field, plan).kinds;
        Action { keep, or, changed: Changed::default() }
    }
}

impl Prepared {
    /// Tells of the grants under which it has shown records, and what it did to them.
    fn tell(&mut self, table: TableId, tally: &mut Tally) {
        if !std::mem::take(&mut self.used) {
            return;
        }
        tally.granted.extend(self.plan.grants.iter().cloned());
        for (field, action) in (0..).map(FieldId).zip(&mut self.actions) {
            let Changed { gravest: Some(change), times } = std::mem::take(&mut action.changed) else { continue };
            let (gravest, all) = tally.fields.entry((table, field)).or_insert((change, 0));
            *gravest = (*gravest).max(change);
            *all += times;
        }
    }
}

fn visibility(plan: &FieldPlan, field: FieldId) -> &Visibility {
    plan.fields.get(usize::from(field.0)).unwrap_or(&Visibility::Removed)
}

/// What becomes of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Goes without being counted.
    Dropped,
    Removed,
    /// Would show, but is not of its declared type.
    Mismatched,
    Same,
    Masked,
    /// Its records are written one by one.
    Related,
}
