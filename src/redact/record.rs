//! One answer on its way through: each record is scanned, its slots filled, judged, and then copied with its edits.
//!
//! A record is read once as a whole before any of it is copied, so a decision never rests on a prefix. Related records
//! are read again by their own table's view, once their parent is known to show them. A record that isn't shown leaves
//! no byte, and neither do its nested ones.

use std::ops::Range;
use std::sync::Arc;

use super::edit::{Copier, Siblings};
use super::fill::Filling;
use super::frame::{Envelope, Role};
use super::mask::{self, Keys, Masked};
use super::plan::{FieldChange, Plan, Tally};
use super::scan::{Scan, Span};
use super::view::{Content, Member, View};
use super::{Redacted, Unreadable, kind, request};
use crate::model::value::Type;
use crate::policy::slots::NodeId;
use crate::policy::{FieldPlan, Verdict, Visibility};

/// All that one answer needs.
pub(super) struct Job {
    pub(super) envelope: Envelope,
    pub(super) root: View,
    pub(super) keys: Keys,
    pub(super) depth: usize,
}

impl Job {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            envelope: Envelope::new(&plan.frame),
            root: View::new(&plan.catalog, &plan.root),
            keys: Keys::new(Arc::clone(&plan.catalog), plan.tenant.clone(), plan.masking_key.clone()),
            depth: plan.depth,
        }
    }

    /// The answer as the caller may see it; empty where a single record isn't shown.
    pub(super) fn run(&self, body: &[u8]) -> Result<Redacted, Unreadable> {
        let redacted = self.pass(body, &self.envelope)?;
        // A total that counts what was dropped is known to be wrong only now, and may stand before the records.
        let dropped = redacted.tally.kept < redacted.tally.scanned;
        match dropped.then(|| self.envelope.without_total()).flatten() {
            Some(envelope) => self.pass(body, &envelope),
            None => Ok(redacted),
        }
    }

    fn pass(&self, body: &[u8], envelope: &Envelope) -> Result<Redacted, Unreadable> {
        let mut pass = Pass {
            job: self,
            copier: Copier::new(body),
            tally: Tally::default(),
            records: Vec::new(),
            last: None,
            hidden: false,
            scratch: Vec::new(),
        };
        let mut scan = Scan::document(body, self.depth)?;
        pass.envelope(&mut scan, envelope)?;
        scan.end()?;
        let body = if pass.hidden { Vec::new() } else { pass.copier.finish() };
        Ok(Redacted { body, tally: pass.tally, records: pass.records })
    }
}

struct Pass<'b, 'j> {
    job: &'j Job,
    copier: Copier<'b>,
    tally: Tally,
    /// Where the copies of a list's records lie.
    records: Vec<Range<usize>>,
    /// The field plan whose grants were noted last: pages rarely have more than two.
    last: Option<Arc<FieldPlan>>,
    /// A single record isn't shown.
    hidden: bool,
    scratch: Vec<u8>,
}

/// A record that was read and judged, not yet copied.
struct Read {
    span: Span,
    entries: Vec<Entry>,
    /// What it shows, if it shows.
    plan: Option<Arc<FieldPlan>>,
}

struct Entry {
    /// From the name's opening quote to the value's end.
    span: Span,
    value: Span,
    member: Option<usize>,
}

impl<'b> Pass<'b, '_> {
    fn envelope(&mut self, scan: &mut Scan<'b>, at: &Envelope) -> Result<(), Unreadable> {
        match at.role {
            Role::List => return self.list(scan),
            Role::Record => return self.single(scan),
            // Not until there is a scanner that knows where lines end.
            Role::Lines => return Err(Unreadable::Shape),
            Role::Inner | Role::Scalar | Role::Number | Role::Nothing => {}
        }
        if scan.peek()? != b'{' {
            // Whatever it is, it must be JSON first, or a cut answer would be told from a wrong one.
            scan.value()?;
            return Err(Unreadable::Shape);
        }
        scan.enter()?;
        let (mut first, mut siblings) = (true, Siblings::default());
        let mut seen = vec![false; at.len()];
        while let Some(key) = scan.member(&mut first)? {
            let known = at.find(&key.name());
            if let Some((number, _)) = known
                && seen.get_mut(number).is_none_or(|seen| std::mem::replace(seen, true))
            {
                return Err(Unreadable::Duplicate);
            }
            match known {
                Some((_, member)) if member.leads || member.opens() && scan.peek()? == b'{' => {
                    siblings.keep(key.start, &mut self.copier);
                    self.envelope(scan, member)?;
                    siblings.passed(scan.position());
                }
                _ => {
                    let value = scan.value()?;
                    if known.is_some_and(|(_, member)| member.passes(value.of(scan.body()))) {
                        siblings.keep(key.start, &mut self.copier);
                        siblings.passed(value.end);
                    } else {
                        siblings.drop(Span { start: key.start, end: value.end }, &mut self.copier);
                    }
                }
            }
        }
        at.is_complete(&seen)?;
        siblings.close(&mut self.copier);
        Ok(())
    }

    fn list(&mut self, scan: &mut Scan<'b>) -> Result<(), Unreadable> {
        let view = &self.job.root;
        if scan.peek()? != b'[' {
            scan.value()?;
            return Err(Unreadable::Shape);
        }
        scan.enter()?;
        let (mut first, mut siblings) = (true, Siblings::default());
        while scan.element(&mut first)? {
            let read = self.read(scan, view)?;
            self.root_read(scan, view, &read);
            let copied = self.element(scan, view, read, &mut siblings)?;
            self.records.extend(copied);
        }
        siblings.close(&mut self.copier);
        Ok(())
    }

    fn single(&mut self, scan: &mut Scan<'b>) -> Result<(), Unreadable> {
        if scan.peek()? == b'n' {
            scan.value()?;
            self.hidden = true;
            return Ok(());
        }
        let view = &self.job.root;
        let read = self.read(scan, view)?;
        self.root_read(scan, view, &read);
        match &read.plan {
            Some(plan) => self.write(scan.body(), view, &read.entries, plan),
            None => {
                self.hidden = true;
                Ok(())
            }
        }
    }

    /// Copies or drops a record that is an element of an array; says where its copy lies.
    fn element(
        &mut self,
        scan: &Scan<'b>,
        view: &View,
        read: Read,
        siblings: &mut Siblings,
    ) -> Result<Option<Range<usize>>, Unreadable> {
        let Some(plan) = &read.plan else {
            siblings.drop(read.span, &mut self.copier);
            return Ok(None);
        };
        siblings.keep(read.span.start, &mut self.copier);
        let start = self.copier.place(read.span.start);
        self.write(scan.body(), view, &read.entries, plan)?;
        siblings.passed(read.span.end);
        Ok(Some(start..self.copier.place(read.span.end)))
    }

    /// Notes the key of a root record that shows.
    fn root_read(&mut self, scan: &Scan<'b>, view: &View, read: &Read) {
        self.tally.scanned += 1;
        if read.plan.is_none() {
            return;
        }
        self.tally.kept += 1;
        if self.tally.keys.len() >= Tally::MAX_KEYS {
            return;
        }
        let is_key = |entry: &&Entry| entry.member.and_then(|n| view.member(n)).is_some_and(|m| m.field == view.key);
        let Some(raw) = read.entries.iter().find(is_key).map(|entry| entry.value.of(scan.body())) else { return };
        self.tally.keys.extend(request::text(raw));
    }

    /// Scans a record and has it judged. Copies nothing.
    fn read(&mut self, scan: &mut Scan<'b>, view: &View) -> Result<Read, Unreadable> {
        if scan.peek()? != b'{' {
            scan.value()?;
            return Err(Unreadable::Shape);
        }
        let start = scan.position();
        scan.enter()?;
        let layout = view.judge.layout();
        let mut filling = Filling::new(layout);
        let mut entries = Vec::with_capacity(view.len());
        let mut seen = vec![false; view.len()];
        let mut first = true;
        while let Some(key) = scan.member(&mut first)? {
            let name = key.name();
            let member = view.find(&name);
            if let Some(number) = member
                && seen.get_mut(number).is_none_or(|seen| std::mem::replace(seen, true))
            {
                return Err(Unreadable::Duplicate);
            }
            let node = match member.and_then(|number| view.member(number)) {
                Some(member) => member.node,
                None => layout.member(NodeId::ROOT, &name),
            };
            let value = filling.member(scan, node)?;
            entries.push(Entry { span: Span { start: key.start, end: value.end }, value, member });
        }
        let judgement = view.judge.judge(&filling.slots);
        self.tally.errors += u64::from(judgement.errors);
        let plan = match judgement.verdict {
            Verdict::Visible(plan) => {
                self.shown_by(&plan);
                Some(plan)
            }
            Verdict::Foreign => {
                self.tally.foreign += 1;
                None
            }
            Verdict::Denied(rule) => {
                self.tally.dropped += 1;
                self.tally.denied.insert(rule);
                None
            }
            Verdict::Unmatched => {
                self.tally.dropped += 1;
                None
            }
        };
        Ok(Read { span: Span { start, end: scan.position() }, entries, plan })
    }

    fn shown_by(&mut self, plan: &Arc<FieldPlan>) {
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, plan)) {
            return;
        }
        self.tally.granted.extend(plan.grants.iter().cloned());
        self.last = Some(Arc::clone(plan));
    }

    /// Copies a record that shows, member by member.
    fn write(&mut self, body: &'b [u8], view: &View, entries: &[Entry], plan: &FieldPlan) -> Result<(), Unreadable> {
        let mut siblings = Siblings::default();
        for entry in entries {
            let Some(member) = entry.member.and_then(|number| view.member(number)) else {
                self.tally.undeclared += 1;
                siblings.drop(entry.span, &mut self.copier);
                continue;
            };
            let visibility = plan.fields.get(usize::from(member.field.0)).unwrap_or(&Visibility::Removed);
            let keep = match &member.content {
                Content::Plain { asked: false, .. } | Content::One(None) | Content::Many(None) => Keep::Unasked,
                Content::Plain { kind, asked: true } => {
                    self.plain(kind, member, view, visibility, entry.value.of(body))
                }
                Content::One(Some(_)) | Content::Many(Some(_)) if *visibility != Visibility::Clear => Keep::Removed,
                Content::One(Some(related)) => match entry.value.of(body) {
                    b"null" => Keep::Whole,
                    [b'{', ..] => {
                        siblings.keep(entry.span.start, &mut self.copier);
                        self.one(body, entry.value, related)?;
                        Keep::Written
                    }
                    _ => Keep::Mismatched,
                },
                Content::Many(Some(related)) => match objects(body, entry.value, self.job.depth)? {
                    Some(elements) => {
                        siblings.keep(entry.span.start, &mut self.copier);
                        self.many(body, &elements, related)?;
                        Keep::Written
                    }
                    None => Keep::Mismatched,
                },
            };
            match keep {
                Keep::Unasked => siblings.drop(entry.span, &mut self.copier),
                Keep::Removed | Keep::Mismatched => {
                    let mismatched = matches!(keep, Keep::Mismatched);
                    self.changed(view, member, if mismatched { FieldChange::Mismatched } else { FieldChange::Removed });
                    siblings.drop(entry.span, &mut self.copier);
                }
                Keep::Whole => {
                    siblings.keep(entry.span.start, &mut self.copier);
                    siblings.passed(entry.span.end);
                }
                Keep::Masked => {
                    self.changed(view, member, FieldChange::Masked);
                    siblings.keep(entry.span.start, &mut self.copier);
                    self.copier.replace(entry.value, &self.scratch);
                    siblings.passed(entry.span.end);
                }
                Keep::Written => siblings.passed(entry.span.end),
            }
        }
        siblings.close(&mut self.copier);
        Ok(())
    }

    /// A plain field; a masked value is left in `scratch`.
    fn plain(&mut self, kind: &Type, member: &Member, view: &View, visibility: &Visibility, raw: &[u8]) -> Keep {
        match visibility {
            Visibility::Removed => Keep::Removed,
            Visibility::Clear if raw == b"null" || kind::shows(kind, raw) => Keep::Whole,
            Visibility::Clear => Keep::Mismatched,
            Visibility::Masked(mask) => {
                self.scratch.clear();
                let key = |purpose| member.key(purpose, &self.job.keys, view.table);
                match mask::apply(mask, kind, raw, &key, &mut self.scratch) {
                    Masked::Same => Keep::Whole,
                    Masked::Replaced => Keep::Masked,
                    Masked::Removed => Keep::Removed,
                }
            }
        }
    }

    fn one(&mut self, body: &'b [u8], value: Span, related: &View) -> Result<(), Unreadable> {
        let read = self.read(&mut Scan::at(body, value.start, self.job.depth), related)?;
        match &read.plan {
            Some(plan) => self.write(body, related, &read.entries, plan),
            None => {
                self.copier.replace(read.span, b"null");
                Ok(())
            }
        }
    }

    fn many(&mut self, body: &'b [u8], elements: &[Span], related: &View) -> Result<(), Unreadable> {
        let mut siblings = Siblings::default();
        for element in elements {
            let mut scan = Scan::at(body, element.start, self.job.depth);
            let read = self.read(&mut scan, related)?;
            self.element(&scan, related, read, &mut siblings)?;
        }
        siblings.close(&mut self.copier);
        Ok(())
    }

    fn changed(&mut self, view: &View, member: &Member, change: FieldChange) {
        let (worst, times) = self.tally.fields.entry((view.table, member.field)).or_insert((change, 0));
        *worst = (*worst).max(change);
        *times += 1;
    }
}

/// What becomes of a declared member.
enum Keep {
    /// Not asked for: goes without being counted.
    Unasked,
    Removed,
    /// Would show, but is not of its declared type.
    Mismatched,
    Whole,
    Masked,
    /// Its records have been copied already.
    Written,
}

/// The elements of an array of objects; `None` if it is anything else.
fn objects(body: &[u8], value: Span, depth: usize) -> Result<Option<Vec<Span>>, Unreadable> {
    let mut scan = Scan::at(body, value.start, depth);
    if scan.peek()? != b'[' {
        return Ok(None);
    }
    scan.enter()?;
    let mut elements = Vec::new();
    let mut first = true;
    while scan.element(&mut first)? {
        if scan.peek()? != b'{' {
            return Ok(None);
        }
        elements.push(scan.value()?);
    }
    Ok(Some(elements))
}
