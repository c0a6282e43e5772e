//! One record, scanned once as a whole: its members found, its slots and those around it filled, the record judged.
//!
//! Related records inside it are judged by their own tables in the same pass. Nothing is written here: what may be shown
//! of a record is known at its end, and of one inside it when the outermost was judged. What was read is a list of
//! entries in the order of the body, with those of related records behind the member or the element that holds them.
//!
//! A member that stays as it is under every field plan that was met so far has no entry. A record that shows under a new
//! plan is therefore read once more when that is known; this happens once for a plan.

use std::mem;
use std::sync::Arc;

mod notes;
mod simple;

use self::notes::{MAX_PLANS, Notes, another_name};
use super::Unreadable;
use super::expect::{Member, Place, START};
use super::fill::{Filling, Track, Tracks};
use super::kind::{Keep, Kinds};
use super::scan::{Scan, Span};
use super::view::{Content, View};
use crate::api::{Catalog, FieldId};
use crate::policy::slots::NodeId;
use crate::policy::{FieldPlan, Slot, Verdict};

/// A member of a record, or a related record in an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// From the name's opening quote, or the element's first byte, to the value's end.
    pub(super) span: Span,
    /// Where the value begins.
    value: usize,
    /// Where the member before it ends, whether that has an entry or not; its own beginning, if it is the first one.
    pub(super) before: usize,
    /// The number of the next entry beside this one.
    pub(super) next: usize,
    pub(super) inside: Inside,
    /// `None` if it is not declared.
    pub(super) field: Option<FieldId>,
    pub(super) kind: Kinds,
}

/// What was read of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Nothing,
    /// It is a related record: its number among the judged ones.
    Record(u32),
    /// It is an array of related records.
    Records,
    /// It holds related records by the names of their columns.
    Container,
}

impl Entry {
    pub(super) fn value(&self) -> Span {
        Span { start: self.value, end: self.span.end }
    }

    pub(super) fn raw<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        self.value().of(body)
    }
}

/// What became of a record, with the number of conditions that failed with an error.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) errors: u16,
    /// Where its last member ends.
    pub(super) end: usize,
}

impl Judged {
    pub(super) fn shown(&self) -> Option<&Arc<FieldPlan>> {
        match &self.verdict {
            Verdict::Visible(plan) => Some(plan),
            Verdict::Foreign | Verdict::Denied(_) | Verdict::Unmatched => None,
        }
    }
}

/// Entries of one outermost record; one that has more is refused. Those of a list of related records can be so short that
/// they would take many times the memory that the body does.
pub(super) const MAX_ENTRIES: usize = 1 << 16;

/// Adds an entry.
#[inline(always)]
fn add(entries: &mut Vec<Entry>, entry: Entry) -> Result<(), Unreadable> {
    if entries.len() >= MAX_ENTRIES {
        return Err(Unreadable::TooLarge);
    }
    entries.push(entry);
    Ok(())
}

/// What was read of the outermost record, and what it takes to read the next one without asking for memory.
#[derive(Default)]
pub(super) struct Reader<'b> {
    pub(super) entries: Vec<Entry>,
    pub(super) judged: Vec<Judged>,
    /// By view.
    fillings: Vec<Filling<'b>>,
    notes: Vec<Option<Box<Notes>>>,
    /// Plans that no record before showed under, with their views.
    fresh: Vec<(usize, Arc<FieldPlan>)>,
    /// Whether members may have been left out of the entries that one of those changes.
    is_short: bool,
    /// Whether entries are left out, and all that matters is what is judged.
    is_bare: bool,
}

impl<'b> Reader<'b> {
    pub(super) fn new(root: &View) -> Self {
        let mut reader = Self::default();
        root.each(&mut |view| {
            reader.fillings.push(Filling::new(view.judge.layout()));
            reader.notes.push(Some(Box::new(Notes::new(view.fields))));
        });
        reader
    }

    /// The same memory for another body.
    pub(super) fn recycle<'c>(mut self) -> Reader<'c> {
        self.entries.clear();
        self.judged.clear();
        self.fresh.clear();
        Reader {
            entries: self.entries,
            judged: self.judged,
            fillings: self.fillings.into_iter().map(Filling::recycle).collect(),
            notes: self.notes,
            fresh: self.fresh,
            is_short: false,
            is_bare: false,
        }
    }

    /// Whether all of it is there, and it has not come to know more names or plans than it can make use of.
    pub(super) fn is_worth_keeping(&self) -> bool {
        let worth = |notes: &Notes| !notes.gave_up && !notes.expected.is_full();
        !self.notes.is_empty() && self.notes.iter().all(|notes| notes.as_deref().is_some_and(worth))
    }

    /// How many members and plans it knows.
    pub(super) fn size(&self) -> usize {
        let size = |notes: &Notes| notes.keep.len() + notes.plans.len() + notes.expected.len();
        self.notes.iter().flatten().map(|notes| size(notes)).sum()
    }

    /// Gives back memory that only a large record took.
    pub(super) fn shrink(&mut self) {
        const ENTRIES: usize = 256;
        self.entries.shrink_to(ENTRIES);
        self.judged.shrink_to(ENTRIES);
    }

    /// The record that an entry is.
    pub(super) fn judged_at(&self, entry: &Entry) -> Option<&Judged> {
        match entry.inside {
            Inside::Record(number) => self.judged.get(number as usize),
            Inside::Nothing | Inside::Records | Inside::Container => None,
        }
    }

    /// The key of the record that was read last of this view.
    pub(super) fn key(&self, view: &View) -> Option<&'b [u8]> {
        match self.fillings.get(view.id)?.slots.get(view.key?) {
            Slot::Raw(raw) => Some(raw),
            Slot::Missing => None,
        }
    }

    /// Reads an outermost record, before whose brace the scanner stands. Its judgement is the last one. `keep` says what of a
    /// field stays as it is under a plan.
    pub(super) fn root<'v>(
        &mut self,
        scan: &mut Scan<'b>,
        catalog: &Catalog,
        view: &'v View,
        tracks: &mut Tracks<'v>,
        keep: &dyn Fn(&View, FieldId, &FieldPlan) -> Keep,
    ) -> Result<Span, Unreadable> {
        let start = scan.clone();
        self.fresh.clear();
        self.is_short = false;
        let mut read = self.once(scan, catalog, view, tracks);
        if read == Err(Unreadable::TooLarge) {
            // Perhaps because it isn't known yet what stays as it is: that is found out first.
            *scan = start.clone();
            self.is_bare = true;
            let judged = self.once(scan, catalog, view, tracks);
            self.is_bare = false;
            judged?;
        }
        if self.fresh.is_empty() {
            return read;
        }
        let fresh = std::mem::take(&mut self.fresh);
        view.each(&mut |view| {
            for (_, plan) in fresh.iter().filter(|(of, _)| *of == view.id) {
                if let Some(Some(notes)) = self.notes.get_mut(view.id) {
                    notes.met(plan, &|field| keep(view, field, plan));
                }
            }
        });
        if self.is_short || read == Err(Unreadable::TooLarge) {
            *scan = start;
            read = self.once(scan, catalog, view, tracks);
        }
        read
    }

    fn once<'v>(
        &mut self,
        scan: &mut Scan<'b>,
        catalog: &Catalog,
        view: &'v View,
        tracks: &mut Tracks<'v>,
    ) -> Result<Span, Unreadable> {
        self.entries.clear();
        self.judged.clear();
        tracks.truncate(0);
        Reading { reader: self, scan, catalog, tracks }.record(view, 0)
    }
}

/// A record on its way.
struct Reading<'r, 'b, 'v> {
    reader: &'r mut Reader<'b>,
    scan: &'r mut Scan<'b>,
    catalog: &'r Catalog,
    /// The layouts that lead through what is open.
    tracks: &'r mut Tracks<'v>,
}

impl<'v> Reading<'_, '_, 'v> {
    /// Reads a record into which the tracks from a number on lead. Its judgement is the last one.
    fn record(&mut self, view: &'v View, around: usize) -> Result<Span, Unreadable> {
        let start = self.scan.position();
        self.scan.enter()?;
        if let Some(filling) = self.reader.fillings.get_mut(view.id) {
            filling.clear();
        }
        // Taken out while they are in use: records of a view never hold records of the same view.
        let notes = self.reader.notes.get_mut(view.id).and_then(Option::take);
        let Some(mut notes) = notes else { return Err(Unreadable::Shape) };
        let read = self.members(view, &mut notes, around);
        if let Some(place) = self.reader.notes.get_mut(view.id) {
            *place = Some(notes);
        }
        let (end_of_last, end) = read?;
        self.scan.go(end);
        self.scan.leave();
        self.judge(view, end_of_last)?;
        Ok(Span { start, end: end + 1 })
    }

    /// Reads all members; where the last one ends, and where the closing brace is.
    fn members(&mut self, view: &'v View, notes: &mut Notes, around: usize) -> Result<(usize, usize), Unreadable> {
        let (text, room) = (self.scan.text(), self.scan.room());
        let is_alone = around == self.tracks.len();
        notes.seen.fill(0);
        let (at, first) = text.look(self.scan.position())?;
        let next = notes.expected.first;
        let mut place = Place { at, before: at, step: START, next, seen: 0, is_closed: first == b'}' };
        let mut has_container = false;
        while !place.is_closed {
            if is_alone {
                self.reader.near(view.id, &notes.expected, text, room, &mut place)?;
                if place.is_closed {
                    break;
                }
            }
            let member = another_name(text, self.catalog, view, notes, &place)?;
            (place.step, place.next) = (member.step, member.next);
            let Member { known, name, value, first, .. } = member;
            if !place.see(known.bit()) || known.bit() == 0 && !notes.see(known.field()) {
                return Err(Unreadable::Duplicate);
            }
            let end;
            if known.is_simple() && is_alone {
                end = self.reader.far(view.id, &member, text, room, &place)?;
            } else {
                let kind = Kinds::of(first);
                let is_told = !known.keeps().has(kind);
                let (number, judged) = (self.reader.entries.len(), self.reader.judged.len());
                if is_told {
                    let entry = self.entry(Span { start: name, end: value }, value, place.before, kind);
                    add(&mut self.reader.entries, Entry { field: known.field(), ..entry })?;
                }
                self.scan.go(value);
                // Of what isn't declared, only a container is looked into.
                let holds = || self.catalog.table(view.table).container.is_some();
                end = match known.field() {
                    None if !known.is_simple() && holds() => {
                        if mem::replace(&mut has_container, true) {
                            return Err(Unreadable::Duplicate);
                        }
                        self.container(view, notes, &mut place.seen, first)?
                    }
                    field => self.value(view, field, first, around, name)?,
                };
                if is_told {
                    self.close(number, end);
                }
                self.forget(number, judged);
            }
            place.behind(text, end)?;
        }
        Ok((place.before, place.at))
    }

    /// An entry of nothing that is known yet.
    #[inline(always)]
    fn entry(&self, span: Span, value: usize, before: usize, kind: Kinds) -> Entry {
        let next = self.reader.entries.len() + 1;
        Entry { span, value, before, next, inside: Inside::Nothing, field: None, kind }
    }

    /// A value that more is to be known of than where it ends: a related record, or what rules read in it.
    fn value(
        &mut self,
        view: &'v View,
        field: Option<FieldId>,
        first: u8,
        around: usize,
        name_at: usize,
    ) -> Result<usize, Unreadable> {
        // The name is asked for rarely enough to be read again.
        self.scan.go(name_at);
        let key = self.scan.key()?;
        self.scan.colon()?;
        self.named(view, &key.name(), field, first, around)
    }

    /// As [`value`](Self::value), of a member of this name. Its entry is the last one, if it is a related record.
    fn named(
        &mut self,
        view: &'v View,
        name: &[u8],
        field: Option<FieldId>,
        first: u8,
        around: usize,
    ) -> Result<usize, Unreadable> {
        let below = self.tracks.len();
        self.tracks.follow(around..below, name);
        let layout = view.judge.layout();
        if let Some(node) = layout.member(NodeId::ROOT, name) {
            self.tracks.push(Track { layout, node, of: view.id });
        }
        let table = self.catalog.table(view.table);
        let content = field.map(|field| view.content(table, field));
        let value = match (content, first) {
            (Some(Content::One(Some(related))), b'{') => {
                let entry = self.reader.entries.len() - 1;
                let value = self.record(related, below)?;
                self.is_record(entry);
                value
            }
            (Some(Content::Many(Some(related))), b'[') => self.many(related)?,
            _ => {
                let tracks = below..self.tracks.len();
                let value = self.tracks.value(self.scan, first, tracks, &mut self.reader.fillings)?;
                self.tracks.truncate(below);
                return Ok(value.end);
            }
        };
        let raw = value.of(self.scan.body());
        self.tracks.note(below..self.tracks.len(), raw, &mut self.reader.fillings)?;
        self.tracks.truncate(below);
        Ok(value.end)
    }

    /// A record's container: to-one relations, each by the name of its column. They are members of the record itself.
    #[inline(never)]
    fn container(&mut self, view: &'v View, notes: &mut Notes, seen: &mut u64, first: u8) -> Result<usize, Unreadable> {
        if first != b'{' {
            return self.scan.value_from(first).map(|value| value.end);
        }
        let number = self.reader.entries.len() - 1;
        let catalog = self.catalog;
        let table = catalog.table(view.table);
        self.scan.enter()?;
        let (mut is_first, mut before) = (true, None);
        while let Some(key) = self.scan.member(&mut is_first)? {
            let (value, byte) = (self.scan.position(), self.scan.peek()?);
            let field = std::str::from_utf8(&key.name()).ok().and_then(|name| table.relation_by(name));
            let entry =
                self.entry(Span { start: key.start, end: value }, value, before.unwrap_or(key.start), Kinds::of(byte));
            let (child, judged) = (self.reader.entries.len(), self.reader.judged.len());
            add(&mut self.reader.entries, Entry { field, ..entry })?;
            let end = match field {
                None => self.scan.value_from(byte)?.end,
                Some(FieldId(of)) => {
                    let bit = if of < 64 { 1 << of } else { 0 };
                    if *seen & bit != 0 || bit == 0 && !notes.see(field) {
                        return Err(Unreadable::Duplicate);
                    }
                    *seen |= bit;
                    // Rules of records around this one read nothing in its container: what they would find there depends on
                    // what is asked for besides.
                    let alone = self.tracks.len();
                    self.named(view, table.field(FieldId(of)).name.as_bytes(), field, byte, alone)?
                }
            };
            self.close(child, end);
            self.forget(child, judged);
            before = Some(end);
        }
        if let Some(entry) = self.reader.entries.get_mut(number) {
            entry.inside = Inside::Container;
        }
        Ok(self.scan.position())
    }

    /// An array of related records. If anything else is in it, nothing is known of what is.
    fn many(&mut self, related: &'v View) -> Result<Span, Unreadable> {
        let (entries, judged_before) = (self.reader.entries.len(), self.reader.judged.len());
        let start = self.scan.position();
        self.scan.enter()?;
        let (mut first, mut records) = (true, true);
        while self.scan.next(&mut first, b']')? {
            let byte = self.scan.peek()?;
            if byte != b'{' || !records {
                // What was known of those before is given back: many such arrays must not add up.
                if records {
                    self.reader.entries.truncate(entries);
                    self.reader.judged.truncate(judged_before);
                }
                records = false;
                self.scan.value_from(byte)?;
                continue;
            }
            let (entry, judged) = (self.reader.entries.len(), self.reader.judged.len());
            let at = self.scan.position();
            let element = self.entry(Span { start: at, end: at }, at, at, Kinds::OBJECT);
            add(&mut self.reader.entries, element)?;
            let value = self.record(related, self.tracks.len())?;
            self.is_record(entry);
            self.close(entry, value.end);
            self.forget(entry, judged);
        }
        if let Some(entry) = self.reader.entries.get_mut(entries - 1).filter(|_| records) {
            entry.inside = Inside::Records;
        }
        Ok(Span { start, end: self.scan.position() })
    }

    /// An entry is the record that was judged last.
    fn is_record(&mut self, entry: usize) {
        let number = u32::try_from(self.reader.judged.len() - 1).map_or(Inside::Nothing, Inside::Record);
        if let Some(entry) = self.reader.entries.get_mut(entry) {
            entry.inside = number;
        }
    }

    /// An entry's value ends here, and what was read of it with it.
    #[inline]
    fn close(&mut self, entry: usize, end: usize) {
        let next = self.reader.entries.len();
        if let Some(entry) = self.reader.entries.get_mut(entry) {
            entry.span.end = end;
            entry.next = next;
        }
    }

    /// If nothing but what is judged matters: takes no memory for what ended here.
    #[inline]
    fn forget(&mut self, entries: usize, judged: usize) {
        if self.reader.is_bare {
            self.reader.entries.truncate(entries);
            self.reader.judged.truncate(judged);
        }
    }

    /// Judges the record that ends here; its last member ends there.
    fn judge(&mut self, view: &View, end: usize) -> Result<(), Unreadable> {
        let filling = self.reader.fillings.get(view.id).ok_or(Unreadable::Shape)?;
        let judgement = view.judge.judge(&filling.slots);
        if let (Verdict::Visible(plan), Some(Some(notes))) = (&judgement.verdict, self.reader.notes.get(view.id))
            && !notes.gave_up
            && !notes.knows(plan)
        {
            self.reader.is_short |= !notes.plans.is_empty();
            let of_view = || self.reader.fresh.iter().filter(|(of, _)| *of == view.id);
            // One more than can be made use of says that there are too many.
            if of_view().all(|(_, known)| !Arc::ptr_eq(known, plan)) && of_view().count() <= MAX_PLANS {
                self.reader.fresh.push((view.id, Arc::clone(plan)));
            }
        }
        if self.reader.judged.len() >= MAX_ENTRIES {
            return Err(Unreadable::TooLarge);
        }
        self.reader.judged.push(Judged { verdict: judgement.verdict, errors: judgement.errors, end });
        Ok(())
    }
}
