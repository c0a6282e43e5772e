//! One answer on its way through, in chunks that are split anywhere.
//!
//! What lasts from one chunk to the next are the containers around the records, what is still undecided of the bytes
//! between two of them, and the beginning of a value that a chunk has cut. Such a value is carried until a [`Framer`] has
//! seen its end, and is then scanned once, as a whole; where the two disagree, the answer fails. Memory is bounded by the
//! largest value that is allowed, and so is what can be found wrong before anything of it has left.

use std::ops::Range;
use std::sync::Arc;

use super::edit::Tape;
use super::envelope::{Envelope, Role};
use super::fill::Tracks;
use super::frame::Framer;
use super::learned::Kit;
use super::plan::{Plan, Tally};
use super::record::Reader;
use super::scan::{Scan, Span};
use super::view::View;
use super::write::Writer;
use super::{Limits, Unreadable};
use crate::api::Catalog;
use crate::policy::FieldPlan;

/// All that one answer needs.
pub(super) struct Job {
    pub(super) catalog: Arc<Catalog>,
    pub(super) envelope: Envelope,
    pub(super) kit: Kit,
    pub(super) depth: usize,
}

impl Job {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            catalog: Arc::clone(&plan.catalog),
            envelope: Envelope::new(&plan.frame),
            kit: Kit::of(plan),
            depth: plan.depth,
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The value of a member, or the whole answer; `None` is a member that goes.
    Value(Option<usize>),
    /// A member's name, or the closing brace where it may come.
    Name {
        first: bool,
    },
    Colon(Option<usize>),
    /// A record of a list, or the closing bracket where it may come.
    Record {
        first: bool,
    },
    /// A comma or the end of the innermost container.
    Comma,
    /// A record that stands on a line of its own, or the end.
    Line,
    /// The end of the line on which such a record stood.
    LineEnd {
        shown: bool,
    },
    /// Nothing more.
    End,
}

/// A container around the records that is open.
struct Open {
    node: usize,
    is_list: bool,
    /// Members of the envelope that were met.
    seen: Vec<bool>,
    /// Whether something in it was kept, and whether something came before.
    kept: bool,
    begun: bool,
}

/// Whether what is decided may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Open,
    /// Not before the only record was judged.
    Waiting,
    /// It was, and isn't shown.
    Hidden,
}

pub(super) struct Stream {
    envelope: Envelope,
    catalog: Arc<Catalog>,
    kit: Kit,
    depth: usize,
    limits: Limits,
    next: Next,
    open: Vec<Open>,
    sight: Sight,
    /// Something has been kept that may speak of all records.
    counted: bool,
    /// Bytes that were taken.
    taken: u64,
    failed: Option<Unreadable>,
    pub(super) records: Vec<Range<usize>>,
    /// Bytes between two values that are not decided.
    held: Vec<u8>,
    /// The beginning of a value.
    carry: Vec<u8>,
    framer: Framer,
    /// The framer has seen all of what is to be carried.
    is_framed: bool,
    /// Length of the last record.
    length: usize,
    /// Decided bytes that may not leave yet.
    waiting: Vec<u8>,
}

/// Some bytes on their way through.
struct Run<'b, 'o, 'v> {
    scan: Scan<'b>,
    tape: Tape<'b, 'o>,
    reader: Reader<'b>,
    root: &'v View,
    tracks: Tracks<'v>,
}

impl Stream {
    pub(super) fn new(job: Job, limits: Limits) -> Self {
        let (next, sight) = match job.envelope.carries() {
            Role::Lines => (Next::Line, Sight::Open),
            Role::Record => (Next::Value(Some(Envelope::ROOT)), Sight::Waiting),
            _ => (Next::Value(Some(Envelope::ROOT)), Sight::Open),
        };
        Self {
            envelope: job.envelope,
            catalog: job.catalog,
            kit: job.kit,
            depth: job.depth,
            limits,
            next,
            open: Vec::new(),
            sight,
            counted: false,
            taken: 0,
            failed: None,
            records: Vec::new(),
            held: Vec::new(),
            carry: Vec::new(),
            framer: Framer::new(0),
            is_framed: false,
            length: 0,
            waiting: Vec::new(),
        }
    }

    /// Takes the next chunk; appends what may leave to `out`. An error stays.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.records.clear();
        let taken = match self.failed {
            Some(failed) => Err(failed),
            None => self.take(chunk, out),
        };
        self.failed = taken.err();
        taken
    }

    /// Takes a whole answer.
    pub(super) fn whole(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.count(body)?;
        self.run(body, true, false, out).map(|_| ())
    }

    /// Nothing more comes: appends the rest and says what was done.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<Tally, Unreadable> {
        self.end(out)?;
        Ok(self.stop())
    }

    /// Nothing more comes. An error stays.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.records.clear();
        let ended = match self.failed {
            Some(failed) => Err(failed),
            None => self.rest(out),
        };
        self.failed = ended.err();
        ended
    }

    fn rest(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let carry = std::mem::take(&mut self.carry);
        if !carry.is_empty() {
            self.run(&carry, true, false, out)?;
        }
        match self.next {
            Next::End | Next::Line | Next::LineEnd { .. } => Ok(()),
            _ => Err(Unreadable::Incomplete),
        }
    }

    /// What was done so far.
    pub(super) fn stop(self) -> Tally {
        let (tally, kit) = self.settle();
        if let Some(kit) = kit {
            kit.keep();
        }
        tally
    }

    /// The same, with what has been learned unless the answer failed.
    pub(super) fn settle(mut self) -> (Tally, Option<Kit>) {
        let tally = self.kit.writer.finish(&self.kit.root);
        (tally, self.failed.is_none().then_some(self.kit))
    }

    fn count(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        self.taken = self.taken.saturating_add(chunk.len() as u64);
        if self.taken > self.limits.body { Err(Unreadable::TooLarge) } else { Ok(()) }
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.count(chunk)?;
        let mut rest = chunk;
        if !self.carry.is_empty() {
            let Some(end) = self.framer.feed(rest) else { return self.carry(rest) };
            let (value, behind) = rest.split_at_checked(end).unwrap_or_default();
            self.carry(value)?;
            let mut carry = std::mem::take(&mut self.carry);
            self.run(&carry, true, true, out)?;
            carry.clear();
            self.carry = carry;
            rest = behind;
        }
        let used = self.run(rest, false, false, out)?;
        let cut = rest.get(used..).unwrap_or_default();
        if let Some(first) = cut.first() {
            // Unless that was how it was found to be cut.
            if !std::mem::take(&mut self.is_framed) {
                self.framer = Framer::new(*first);
                if self.framer.feed(cut).is_some() {
                    return Err(Unreadable::Syntax);
                }
            }
            self.carry(cut)?;
        }
        Ok(())
    }

    fn carry(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if bytes.len() > self.limits.record.saturating_sub(self.carry.len()) {
            return Err(Unreadable::TooLarge);
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes as much of these bytes as is complete; how much. `whole`: a value ends where they do. `framed`: the first one.
    fn run(&mut self, bytes: &[u8], whole: bool, framed: bool, out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let direct = self.sight == Sight::Open;
        let root = Arc::clone(&self.kit.root);
        let mut run = Run {
            scan: Scan::part(bytes, self.open.len(), self.depth, whole),
            tape: Tape::new(bytes, std::mem::take(&mut self.held), if direct { out } else { &mut waiting }),
            reader: std::mem::take(&mut self.kit.reader).recycle(),
            root: &root,
            tracks: Tracks::default(),
        };
        let used = self.advance(&mut run, whole, framed)?;
        if self.open.is_empty() && !matches!(self.next, Next::Line | Next::LineEnd { .. }) {
            run.tape.keep(used);
        }
        self.held = run.tape.finish(used);
        self.kit.reader = run.reader.recycle();
        if self.held.len() > self.limits.record {
            return Err(Unreadable::TooLarge);
        }
        match self.sight {
            Sight::Open if direct => {}
            Sight::Open => {
                for record in &mut self.records {
                    *record = record.start + out.len()..record.end + out.len();
                }
                out.append(&mut waiting);
            }
            Sight::Waiting if waiting.len() > self.limits.record => return Err(Unreadable::TooLarge),
            Sight::Waiting => {}
            Sight::Hidden => waiting.clear(),
        }
        self.waiting = waiting;
        Ok(used)
    }

    fn advance(&mut self, run: &mut Run<'_, '_, '_>, whole: bool, mut framed: bool) -> Result<usize, Unreadable> {
        let length = run.scan.body().len();
        loop {
            if let Next::LineEnd { shown } = self.next {
                match run.scan.line_end()? {
                    true => self.end_line(run, shown),
                    false => return Ok(length),
                }
            }
            let byte = match run.scan.peek() {
                Err(Unreadable::Incomplete) => return Ok(length),
                byte => byte?,
            };
            let start = run.scan.position();
            match self.step(run, byte) {
                Err(Unreadable::Incomplete) if !whole => return Ok(start),
                stepped => stepped?,
            }
            if std::mem::take(&mut framed) && run.scan.position() != length {
                return Err(Unreadable::Syntax);
            }
        }
    }

    /// Takes the next thing, which begins with this byte. If it is cut, nothing was taken.
    fn step(&mut self, run: &mut Run<'_, '_, '_>, byte: u8) -> Result<(), Unreadable> {
        match self.next {
            Next::Value(None) => self.drop_value(run, byte),
            Next::Value(Some(node)) => self.value(run, byte, node),
            Next::Name { first: true } if byte == b'}' => self.close(run),
            Next::Name { .. } => self.name(run),
            Next::Colon(node) => {
                if byte != b':' {
                    return Err(Unreadable::Syntax);
                }
                run.scan.step();
                self.next = Next::Value(node);
                Ok(())
            }
            Next::Record { first: true } if byte == b']' => self.close(run),
            Next::Record { .. } => {
                self.begin(run)?;
                self.record(run, byte)?;
                self.next = Next::Comma;
                Ok(())
            }
            Next::Comma => self.comma(run, byte),
            Next::Line => {
                run.tape.cut(run.scan.position());
                let (record, shown) = self.record(run, byte)?;
                if memchr::memchr2(b'\n', b'\r', record.of(run.scan.body())).is_some() {
                    return Err(Unreadable::Syntax);
                }
                self.next = Next::LineEnd { shown };
                Ok(())
            }
            // It is dealt with where white space isn't passed over.
            Next::LineEnd { .. } | Next::End => Err(Unreadable::Trailing),
        }
    }

    /// After a value.
    fn after(&self) -> Next {
        if self.open.is_empty() { Next::End } else { Next::Comma }
    }

    /// A member or an element begins here: the comma before it goes with it, unless nothing was kept so far.
    fn begin(&mut self, run: &mut Run<'_, '_, '_>) -> Result<(), Unreadable> {
        let start = run.scan.position();
        if run.tape.undecided(start) > self.limits.record {
            return Err(Unreadable::TooLarge);
        }
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        match (open.kept, std::mem::replace(&mut open.begun, true)) {
            (true, _) => {}
            (false, true) => run.tape.cut(start),
            (false, false) => run.tape.keep(start),
        }
        Ok(())
    }

    /// What is undecided is kept, as part of the innermost container.
    fn keep(&mut self, run: &mut Run<'_, '_, '_>) {
        run.tape.keep(run.scan.position());
        if let Some(open) = self.open.last_mut() {
            open.kept = true;
        }
    }

    fn name(&mut self, run: &mut Run<'_, '_, '_>) -> Result<(), Unreadable> {
        self.begin(run)?;
        let key = run.scan.key()?;
        self.measured(Span { start: key.start, end: run.scan.position() })?;
        let Some(open) = self.open.last_mut() else { return Err(Unreadable::Syntax) };
        let member = self.envelope.find(open.node, &key.name());
        if let Some((number, _)) = member
            && open.seen.get_mut(number).is_none_or(|seen| std::mem::replace(seen, true))
        {
            return Err(Unreadable::Duplicate);
        }
        self.next = Next::Colon(member.map(|(_, node)| node));
        Ok(())
    }

    fn comma(&mut self, run: &mut Run<'_, '_, '_>, byte: u8) -> Result<(), Unreadable> {
        let is_list = self.open.last().is_some_and(|open| open.is_list);
        match byte {
            b',' => {
                run.scan.step();
                self.next = if is_list { Next::Record { first: false } } else { Next::Name { first: false } };
                Ok(())
            }
            b'}' if !is_list => self.close(run),
            b']' if is_list => self.close(run),
            _ => Err(Unreadable::Syntax),
        }
    }

    fn open(&mut self, run: &mut Run<'_, '_, '_>, node: usize, is_list: bool) -> Result<(), Unreadable> {
        run.scan.enter()?;
        self.keep(run);
        let seen = vec![false; self.envelope.len(node)];
        self.open.push(Open { node, is_list, seen, kept: false, begun: false });
        self.next = if is_list { Next::Record { first: true } } else { Next::Name { first: true } };
        Ok(())
    }

    fn close(&mut self, run: &mut Run<'_, '_, '_>) -> Result<(), Unreadable> {
        if let Some(open) = self.open.pop().filter(|open| !open.is_list) {
            self.envelope.is_complete(open.node, &open.seen)?;
        }
        run.scan.leave();
        run.tape.keep(run.scan.position());
        self.next = self.after();
        Ok(())
    }

    fn value(&mut self, run: &mut Run<'_, '_, '_>, byte: u8, node: usize) -> Result<(), Unreadable> {
        let role = self.envelope.role(node);
        match (role, byte) {
            (Role::List, b'[') => self.open(run, node, true),
            (Role::Inner, b'{') if self.envelope.opens(node) => self.open(run, node, false),
            (Role::Record, b'{') => {
                self.record(run, byte)?;
                self.next = self.after();
                Ok(())
            }
            (Role::Record, b'n') => {
                self.sight = Sight::Hidden;
                self.drop_value(run, byte)
            }
            _ if self.envelope.leads(node) => {
                // Whatever it is, it must be JSON first, or a cut answer would be told from a wrong one.
                run.scan.value_from(byte)?;
                Err(Unreadable::Shape)
            }
            (Role::Echo | Role::Scalar | Role::Number, _) => {
                let value = self.measured(run.scan.value_from(byte)?)?;
                let counts = role.counts();
                if role.passes(value.of(run.scan.body())) && (!counts || self.kit.writer.kept_all()) {
                    self.counted |= counts;
                    self.keep(run);
                } else {
                    run.tape.cut(value.end);
                }
                self.next = self.after();
                Ok(())
            }
            _ => self.drop_value(run, byte),
        }
    }

    fn drop_value(&mut self, run: &mut Run<'_, '_, '_>, byte: u8) -> Result<(), Unreadable> {
        let value = self.measured(run.scan.value_from(byte)?)?;
        run.tape.cut(value.end);
        self.next = self.after();
        Ok(())
    }

    /// A chunk may hold more than would be carried.
    fn measured(&self, value: Span) -> Result<Span, Unreadable> {
        if value.end - value.start > self.limits.record { Err(Unreadable::TooLarge) } else { Ok(value) }
    }

    /// Whether a record's end is not here: looked for first where less is left than the last one took, for what is found to
    /// be cut only by scanning it is scanned in vain.
    fn is_cut(&mut self, run: &Run<'_, '_, '_>, first: u8) -> bool {
        let rest = run.scan.body().get(run.scan.position()..).unwrap_or_default();
        if run.scan.text().whole || rest.len() >= self.length {
            return false;
        }
        self.framer = Framer::new(first);
        self.is_framed = self.framer.feed(rest).is_none();
        self.is_framed
    }

    /// A record, copied or left out; and whether it shows.
    fn record(&mut self, run: &mut Run<'_, '_, '_>, byte: u8) -> Result<(Span, bool), Unreadable> {
        if byte != b'{' {
            run.scan.value_from(byte)?;
            return Err(Unreadable::Shape);
        }
        if self.is_cut(run, byte) {
            return Err(Unreadable::Incomplete);
        }
        let catalog = &*self.catalog;
        let keep = |view: &View, field, plan: &FieldPlan| Writer::keeps(catalog, view, field, plan);
        let span = run.reader.root(&mut run.scan, catalog, run.root, &mut run.tracks, &keep)?;
        let span = self.measured(span)?;
        self.length = span.end - span.start;
        let Some(judged) = run.reader.judged.last() else { return Err(Unreadable::Shape) };
        self.kit.writer.root(judged);
        if judged.shown().is_none() {
            if self.counted {
                return Err(Unreadable::Count);
            }
            if self.sight == Sight::Waiting {
                self.sight = Sight::Hidden;
            }
            run.tape.cut(span.end);
            return Ok((span, false));
        }
        if self.sight == Sight::Waiting {
            self.sight = Sight::Open;
        }
        self.kit.writer.key(run.reader.key(run.root));
        run.tape.keep(span.start);
        let start = run.tape.place(span.start);
        self.kit.writer.record(&run.reader, run.root, 0..run.reader.entries.len(), judged, &mut run.tape);
        run.tape.keep(span.end);
        self.records.push(start..run.tape.place(span.end));
        if let Some(open) = self.open.last_mut() {
            open.kept = true;
        }
        Ok((span, true))
    }

    /// Stands behind the end of a line, of which nothing else remains.
    fn end_line(&mut self, run: &mut Run<'_, '_, '_>, shown: bool) {
        let end = run.scan.position();
        if shown {
            run.tape.cut(end - 1);
            run.tape.keep(end);
        } else {
            run.tape.cut(end);
        }
        self.next = Next::Line;
    }
}
