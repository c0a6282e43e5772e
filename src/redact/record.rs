//! One record, scanned once as a whole: its members found, its slots and those around it filled, the record judged.
//!
//! Related records inside it are judged by their own tables in the same pass. Nothing is written here: what may be shown
//! of a record is known at its end, and of one inside it when the outermost was judged. What was read is a list of
//! entries in the order of the body, with those of related records behind the member or the element that holds them.

use std::borrow::Cow;
use std::sync::Arc;

use super::Unreadable;
use super::fill::{Filling, Track, Tracks};
use super::kind::Kinds;
use super::scan::{Scan, Span};
use super::view::{Content, Member, View};
use crate::policy::slots::NodeId;
use crate::policy::{FieldPlan, Verdict};

/// A member of a record, or a related record in an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// From the name's opening quote, or the element's first byte, to the value's end.
    pub(super) span: Span,
    /// Where the value begins.
    pub(super) value: usize,
    /// Number of the member; `None` if it is not declared.
    pub(super) member: Option<u16>,
    pub(super) kind: Kinds,
    pub(super) inside: Inside,
    /// The number of the next entry beside this one.
    pub(super) next: usize,
}

/// What was read of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Nothing,
    /// It is a related record: its number among the judged ones.
    Record(usize),
    /// It is an array of related records.
    Records,
}

impl Entry {
    fn new(at: usize, value: usize, byte: u8, number: usize) -> Self {
        Self {
            span: Span { start: at, end: at },
            value,
            member: None,
            kind: Kinds::of(byte),
            inside: Inside::Nothing,
            next: number + 1,
        }
    }

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
}

impl Judged {
    pub(super) fn shown(&self) -> Option<&Arc<FieldPlan>> {
        match &self.verdict {
            Verdict::Visible(plan) => Some(plan),
            Verdict::Foreign | Verdict::Denied(_) | Verdict::Unmatched => None,
        }
    }
}

/// What was read of the outermost record, and what it takes to read the next one without asking for memory.
#[derive(Default)]
pub(super) struct Reader<'b> {
    pub(super) entries: Vec<Entry>,
    pub(super) judged: Vec<Judged>,
    /// By view.
    fillings: Vec<Filling<'b>>,
    notes: Vec<Notes>,
}

/// What is known about the members of one view's records.
#[derive(Default)]
struct Notes {
    /// A bit for each member of the record that is open.
    seen: Vec<u64>,
    /// Which member came after each the last time, and before all others which came first: records of one answer are
    /// rarely ordered differently.
    after: Vec<u16>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(root: &View) -> Self {
        let mut reader = Self::default();
        root.each(&mut |view| {
            reader.fillings.push(Filling::new(view.judge.layout()));
            let members = view.names.len();
            reader.notes.push(Notes { seen: vec![0; members.div_ceil(64)], after: vec![0; members + 1] });
        });
        reader
    }

    /// The same memory for another body.
    pub(super) fn recycle<'c>(mut self) -> Reader<'c> {
        self.entries.clear();
        self.judged.clear();
        Reader {
            entries: self.entries,
            judged: self.judged,
            fillings: self.fillings.into_iter().map(Filling::recycle).collect(),
            notes: self.notes,
        }
    }

    /// The record that an entry is.
    pub(super) fn judged_at(&self, entry: &Entry) -> Option<&Judged> {
        match entry.inside {
            Inside::Record(number) => self.judged.get(number),
            Inside::Nothing | Inside::Records => None,
        }
    }

    /// The value of the outermost record's key.
    pub(super) fn key(&self, view: &View) -> Option<Span> {
        let mut at = 0;
        while let Some(entry) = self.entries.get(at) {
            if entry.member == Some(view.key.0) {
                return Some(entry.value());
            }
            at = entry.next;
        }
        None
    }

    /// Reads an outermost record, before whose brace the scanner stands. Its judgement is the last one.
    pub(super) fn root(&mut self, scan: &mut Scan<'b>, view: &View) -> Result<Span, Unreadable> {
        self.entries.clear();
        self.judged.clear();
        self.record(scan, view, &mut Tracks::default(), 0)
    }

    /// Reads a record into which the tracks from a number on lead. Its judgement is the last one.
    fn record<'l>(
        &mut self,
        scan: &mut Scan<'b>,
        view: &'l View,
        tracks: &mut Tracks<'l>,
        around: usize,
    ) -> Result<Span, Unreadable> {
        let start = scan.position();
        scan.enter()?;
        if let (Some(filling), Some(notes)) = (self.fillings.get_mut(view.id), self.notes.get_mut(view.id)) {
            filling.clear();
            notes.seen.fill(0);
        }
        let around = around..tracks.len();
        let layout = view.judge.layout();
        let (mut first, mut before) = (true, 0);
        while scan.next(&mut first, b'}')? {
            let name_at = scan.position();
            let (number, key) = self.name(scan, view, before)?;
            let byte = scan.colon()?;
            let entry = self.entries.len();
            self.entries.push(Entry { member: number, ..Entry::new(name_at, scan.position(), byte, entry) });
            let value = match number.and_then(|number| view.member(usize::from(number))) {
                Some(member) => {
                    before = usize::from(member.field.0) + 1;
                    // Most fields are plain, and none but their own table's rules read them.
                    if around.is_empty() && matches!(member.content, Content::Plain { .. }) {
                        self.plain(scan, byte, view, member)?
                    } else {
                        let name = view.names.name(usize::from(member.field.0));
                        let below = tracks.follow(around.clone(), name);
                        if let Some(node) = member.node {
                            tracks.push(Track { layout, node, of: view.id });
                        }
                        let value = self.member(scan, byte, member, tracks, below.start)?;
                        tracks.truncate(below.start);
                        value
                    }
                }
                None => {
                    let name = key.unwrap_or_default();
                    let below = tracks.follow(around.clone(), &name);
                    if let Some(node) = layout.member(NodeId::ROOT, &name) {
                        tracks.push(Track { layout, node, of: view.id });
                    }
                    let value = tracks.value(scan, byte, below.start..tracks.len(), &mut self.fillings)?;
                    tracks.truncate(below.start);
                    value
                }
            };
            self.close(entry, value.end);
        }
        let judgement = self.fillings.get(view.id).map(|filling| view.judge.judge(&filling.slots));
        let judgement = judgement.ok_or(Unreadable::Shape)?;
        self.judged.push(Judged { verdict: judgement.verdict, errors: judgement.errors });
        Ok(Span { start, end: scan.position() })
    }

    /// A member's name, standing after it: its number, or the name itself if it isn't declared.
    #[inline]
    fn name(
        &mut self,
        scan: &mut Scan<'b>,
        view: &View,
        before: usize,
    ) -> Result<(Option<u16>, Option<Cow<'b, [u8]>>), Unreadable> {
        let Some(notes) = self.notes.get_mut(view.id) else { return Err(Unreadable::Shape) };
        let expected = notes.after.get(before).copied().unwrap_or_default();
        let number = match view.names.stands(usize::from(expected), scan.body(), scan.position()) {
            Some(quoted) => {
                scan.skip_known(quoted);
                expected
            }
            None => {
                let key = scan.key()?;
                let name = key.name();
                let Some(number) = view.names.find(&name).and_then(|number| u16::try_from(number).ok()) else {
                    return Ok((None, Some(name)));
                };
                if let Some(after) = notes.after.get_mut(before) {
                    *after = number;
                }
                number
            }
        };
        let bit = 1 << (number % 64);
        match notes.seen.get_mut(usize::from(number / 64)) {
            Some(seen) if *seen & bit == 0 => *seen |= bit,
            _ => return Err(Unreadable::Duplicate),
        }
        Ok((Some(number), None))
    }

    /// The value of a plain field that no rules of records around read.
    #[inline]
    fn plain(&mut self, scan: &mut Scan<'b>, byte: u8, view: &View, member: &Member) -> Result<Span, Unreadable> {
        let Some(node) = member.node else { return scan.value_from(byte) };
        let layout = view.judge.layout();
        if byte == b'{' && layout.has_members(node) {
            let mut tracks = Tracks::default();
            tracks.push(Track { layout, node, of: view.id });
            return tracks.value(scan, byte, 0..1, &mut self.fillings);
        }
        let value = scan.value_from(byte)?;
        if let Some(filling) = self.fillings.get_mut(view.id) {
            filling.note(layout, node, value.of(scan.body()))?;
        }
        Ok(value)
    }

    /// The value of any field; the tracks from a number on lead to it.
    fn member<'l>(
        &mut self,
        scan: &mut Scan<'b>,
        byte: u8,
        member: &'l Member,
        tracks: &mut Tracks<'l>,
        below: usize,
    ) -> Result<Span, Unreadable> {
        let entry = self.entries.len() - 1;
        let value = match (&member.content, byte) {
            (Content::One(Some(related)), b'{') => {
                let value = self.record(scan, related, tracks, below)?;
                self.is(entry, Inside::Record(self.judged.len() - 1));
                value
            }
            (Content::Many(Some(related)), b'[') => {
                let (value, records) = self.many(scan, related)?;
                if records {
                    self.is(entry, Inside::Records);
                } else {
                    self.entries.truncate(entry + 1);
                }
                value
            }
            _ => return tracks.value(scan, byte, below..tracks.len(), &mut self.fillings),
        };
        tracks.note(below..tracks.len(), value.of(scan.body()), &mut self.fillings)?;
        Ok(value)
    }

    /// The elements of an array, and whether each of them is a record.
    fn many(&mut self, scan: &mut Scan<'b>, related: &View) -> Result<(Span, bool), Unreadable> {
        let start = scan.position();
        scan.enter()?;
        let (mut first, mut records) = (true, true);
        while scan.next(&mut first, b']')? {
            let byte = scan.peek()?;
            if byte != b'{' || !records {
                records = false;
                scan.value_from(byte)?;
                continue;
            }
            let entry = self.entries.len();
            self.entries.push(Entry::new(scan.position(), scan.position(), byte, entry));
            let value = self.record(scan, related, &mut Tracks::default(), 0)?;
            self.is(entry, Inside::Record(self.judged.len() - 1));
            self.close(entry, value.end);
        }
        Ok((Span { start, end: scan.position() }, records))
    }

    fn is(&mut self, entry: usize, inside: Inside) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.inside = inside;
        }
    }

    /// The entry's value ends here, and what was read of it with it.
    #[inline]
    fn close(&mut self, entry: usize, end: usize) {
        let next = self.entries.len();
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.span.end = end;
            entry.next = next;
        }
    }
}
