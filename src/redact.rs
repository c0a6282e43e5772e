//! Answers and request bodies, scanned once: rows that fail are dropped, fields removed or masked, nothing else changed.
//!
//! A [`Redactor`] takes an answer in chunks and gives it back in chunks. It never builds a DOM: a record is scanned in
//! place, its slots are filled, the residual judges it, edits are collected and kept bytes are copied verbatim. It fails
//! closed on an unknown root shape, a non-object record, a duplicate of a field, invalid UTF-8, lone surrogates, a BOM,
//! trailing bytes and depth beyond the limit; an error fails the whole answer. Records of other tables inside a record are
//! judged by their own table's residual.
//!
//! For those who call it:
//!
//! - Whole bodies: [`answer`]. In chunks, split anywhere: [`Redactor::push`] for each, then [`Redactor::finish`]. Both give
//!   the same bytes.
//! - What `push` has appended to its buffer is final: it may be sent, and the buffer cleared. A record leaves in one piece,
//!   in the buffer of the push that completed it, and [`Redactor::records`] says where its kept records lie in there.
//! - An error at any time is final too: what was sent must not look complete. A caller that holds an answer back until
//!   `finish` has succeeded can still refuse it.
//! - [`Plan::streams`] says whether an answer may be sent before its end: a list may, a single record may not, for it
//!   may have to vanish, and its key is only known from the tally.
//! - What may speak of all records, as totals do, passes only if the plan calls the list exact. If some has passed before
//!   the records and then one of them is dropped, it was wrong: `push` fails ([`Unreadable::Count`]), while [`answer`]
//!   leaves it out.
//! - [`Frame::media_type`] is the content type of the answer; [`Frame::opening`], [`Frame::between`] and [`Frame::closing`]
//!   make a new answer of records from several ones.

mod edit;
mod envelope;
mod expect;
pub mod figures;
mod fill;
mod frame;
mod kind;
mod learned;
pub mod mask;
pub mod parts;
pub mod plan;
mod record;
pub mod request;
mod scan;
mod stream;
mod swar;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod write;

pub use plan::{Frame, Lens, Plan, Relations, Tally};
pub use request::{Change, Changes};

use std::ops::Range;
use std::sync::Arc;

use crate::api::{Place, Records};
use crate::model::{Name, Value};
use crate::policy::slots::NodeId;
use crate::policy::{Layout, Slots};
use fill::{Filling, Track, Tracks};
use scan::{Scan, Span};
use stream::{Job, Stream};

/// Why a body can't be read. Never says what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not valid JSON")]
    Syntax,
    #[error("ends too early")]
    Incomplete,
    #[error("invalid UTF-8, a lone surrogate or a byte order mark")]
    Encoding,
    #[error("nested too deeply")]
    Depth,
    #[error("a field occurs twice")]
    Duplicate,
    #[error("not of the declared shape")]
    Shape,
    #[error("bytes after the end of the document")]
    Trailing,
    #[error("larger than the limit")]
    TooLarge,
    #[error("what was sent may speak of records that were dropped")]
    Count,
}

/// What one answer may take. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole body as the upstream sends it.
    pub body: u64,
    /// One record, or one member of the envelope: what is held in memory at a time, whatever the body's size.
    pub record: usize,
}

/// A redacted answer.
#[derive(Debug)]
pub struct Redacted {
    /// Empty where a single record may not be seen; it is not kept in the tally either.
    pub body: Vec<u8>,
    pub tally: Tally,
    /// Where the kept root records lie in the body.
    pub records: Vec<Range<usize>>,
}

/// Redacts one answer that comes in chunks.
pub struct Redactor {
    stream: Stream,
}

impl Redactor {
    pub fn new(plan: Arc<Plan>, limits: Limits) -> Self {
        Self { stream: Stream::new(Job::new(&plan), limits) }
    }

    /// Takes the next chunk; appends what may leave already to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.stream.push(chunk, out)
    }

    /// Where the root records that the last [`push`](Self::push) has appended lie in the buffer that it was given.
    pub fn records(&self) -> &[Range<usize>] {
        &self.stream.records
    }

    /// The answer is complete: appends the rest to `out` and says what was done. A single record that may not be seen
    /// appends nothing, and is not kept in the tally.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Tally, Unreadable> {
        self.end(out)?;
        Ok(self.stop())
    }

    /// The answer is complete: appends the rest to `out`.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.stream.end(out)
    }

    /// What was done up to here, whether or not the answer is complete; of one that failed, some may not have left.
    pub fn stop(self) -> Tally {
        self.stream.stop()
    }
}

/// Redacts one answer that is there as a whole. `limit`: bytes of body after which it is refused.
pub fn answer(plan: &Plan, body: &[u8], limit: usize) -> Result<Redacted, Unreadable> {
    answer_to(&|| Job::new(plan), body, limit)
}

fn answer_to(job: &dyn Fn() -> Job, body: &[u8], limit: usize) -> Result<Redacted, Unreadable> {
    let limits = Limits { body: limit as u64, record: usize::MAX };
    let redacted = |job| {
        let mut stream = Stream::new(job, limits);
        let mut out = Vec::with_capacity(body.len().min(limit));
        stream.whole(body, &mut out)?;
        let records = std::mem::take(&mut stream.records);
        Ok(Redacted { tally: stream.finish(&mut out)?, body: out, records })
    };
    match redacted(job()) {
        // It may stand before the records, and is known to be wrong only now.
        Err(Unreadable::Count) => {
            let mut job = job();
            job.envelope.drop_totals();
            redacted(job)
        }
        done => done,
    }
}

/// The raw bytes of the record that lies at `place` in a document, the whole of which is validated. `None` if it is null.
///
/// Errors: no object lies there, or a member on the way occurs twice.
pub fn locate<'b>(document: &'b [u8], place: &Place, depth: usize) -> Result<Option<&'b [u8]>, Unreadable> {
    let mut scan = Scan::document(document, depth);
    let found = descend(&mut scan, &place.0);
    if let Err(Unreadable::Shape) = found {
        // What is of the wrong shape must still be JSON, to be called so.
        let mut whole = Scan::document(document, depth);
        whole.value()?;
        whole.end()?;
    }
    let raw = found?.of(document);
    scan.end()?;
    match raw {
        b"null" => Ok(None),
        [b'{', ..] => Ok(Some(raw)),
        _ => Err(Unreadable::Shape),
    }
}

/// Steps over a value and finds the one that lies below it. Recursion is bounded by the place.
fn descend(scan: &mut Scan<'_>, place: &[Name]) -> Result<Span, Unreadable> {
    let Some((name, below)) = place.split_first() else { return scan.value() };
    if scan.peek()? != b'{' {
        return Err(Unreadable::Shape);
    }
    scan.enter()?;
    let (mut first, mut found) = (true, None);
    while let Some(key) = scan.member(&mut first)? {
        if *key.name() != *name.as_bytes() {
            scan.value()?;
        } else if found.replace(descend(scan, below)?).is_some() {
            return Err(Unreadable::Duplicate);
        }
    }
    found.ok_or(Unreadable::Shape)
}

/// Fills the slots of one record, validating all of it.
///
/// Errors: it is no object, or a member that the layout reads occurs twice.
pub fn slots<'b>(record: &'b [u8], layout: &Layout, depth: usize) -> Result<Slots<'b>, Unreadable> {
    let mut scan = Scan::document(record, depth);
    let mut filling = Filling::new(layout);
    let byte = scan.peek()?;
    if byte == b'{' {
        let mut tracks = Tracks::default();
        tracks.push(Track { layout, node: NodeId::ROOT, of: 0 });
        tracks.object(&mut scan, 0..1, std::slice::from_mut(&mut filling))?;
    } else {
        scan.value_from(byte)?;
    }
    scan.end()?;
    if byte == b'{' { Ok(filling.slots) } else { Err(Unreadable::Shape) }
}

/// Whether these bytes are one JSON document, by the same scanner that redacts: every check, and nothing else.
pub fn scan(document: &[u8], depth: usize) -> Result<(), Unreadable> {
    let mut scan = Scan::document(document, depth);
    scan.value()?;
    scan.end()
}

/// The raw bytes of each record of a list, the whole of which is validated.
///
/// Errors: it isn't where the list should be, an element of it is no object, or a member on the way occurs twice.
pub fn records<'b>(document: &'b [u8], list: &Records, depth: usize) -> Result<Vec<&'b [u8]>, Unreadable> {
    let Records::Array(place) = list else { return lines(document, depth) };
    let mut scan = Scan::document(document, depth);
    let array = descend(&mut scan, &place.0)?.of(document);
    scan.end()?;
    let mut scan = Scan::document(array, depth);
    if scan.peek()? != b'[' {
        return Err(Unreadable::Shape);
    }
    scan.enter()?;
    let (mut first, mut records) = (true, Vec::new());
    while scan.element(&mut first)? {
        match scan.value()?.of(array) {
            record @ [b'{', ..] => records.push(record),
            _ => return Err(Unreadable::Shape),
        }
    }
    Ok(records)
}

/// Records that stand one a line; blank ones say nothing.
fn lines(document: &[u8], depth: usize) -> Result<Vec<&[u8]>, Unreadable> {
    let mut records = Vec::new();
    for line in document.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        let mut scan = Scan::document(line, depth);
        match scan.value()?.of(line) {
            record @ [b'{', ..] => records.push(record),
            _ => return Err(Unreadable::Shape),
        }
        scan.end()?;
    }
    Ok(records)
}

/// A document with nothing but this record, at `place`.
pub fn enclosed(place: &Place, record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + 64);
    opening(place, &mut out);
    out.extend_from_slice(record);
    out.extend(place.0.iter().map(|_| b'}'));
    out
}

/// All that stands before what lies at `place`.
fn opening(place: &Place, out: &mut Vec<u8>) {
    for name in &place.0 {
        out.push(b'{');
        out.extend_from_slice(&request::print(&Value::String(Name::clone(name))));
        out.push(b':');
    }
}

/// A document with nothing but an array of these records, which are joined by commas, at `place`.
pub fn envelope(place: &Place, records: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len() + 64);
    opening(place, &mut out);
    out.push(b'[');
    out.extend_from_slice(records);
    out.push(b']');
    out.extend(place.0.iter().map(|_| b'}'));
    out
}
