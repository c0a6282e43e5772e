//! Answers and request bodies, scanned once: rows that fail are dropped, fields removed or masked, nothing else changed.
//!
//! A [`Redactor`] takes an answer in chunks and gives it back in chunks. It never builds a DOM: a record is scanned in
//! place, its slots are filled, the residual judges it, edits are collected and kept bytes are copied verbatim. It fails
//! closed on an unknown root shape, a non-object record, a duplicate of a field, invalid UTF-8, lone surrogates, a BOM,
//! trailing bytes and depth beyond the limit; an error fails the whole answer. Records of other tables inside a record are
//! judged by their own table's residual.

mod edit;
pub mod mask;
pub mod plan;
pub mod request;
mod scan;

pub use plan::{Frame, Lens, Plan, Relations, Tally};
pub use request::{Change, Changes};

use std::sync::Arc;

use crate::policy::{Layout, Slots};

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
}

/// Redacts one answer.
pub struct Redactor {
    plan: Arc<Plan>,
    body: Vec<u8>,
    limit: usize,
}

impl Redactor {
    /// `limit`: bytes of body after which it is refused.
    pub fn new(plan: Arc<Plan>, limit: usize) -> Self {
        Self { plan, body: Vec::new(), limit }
    }

    /// Takes the next chunk; appends what may leave already to `out`.
    pub fn push(&mut self, _chunk: &[u8], _out: &mut Vec<u8>) -> Result<(), Unreadable> {
        todo!()
    }

    /// The answer is complete: appends the rest to `out` and says what was done.
    pub fn finish(self, _out: &mut Vec<u8>) -> Result<Tally, Unreadable> {
        todo!()
    }
}

/// The raw bytes of the record that lies at `place` in a document, the whole of which is validated. `None` if it is null.
pub fn locate<'b>(
    _document: &'b [u8],
    _place: &crate::api::Place,
    _depth: usize,
) -> Result<Option<&'b [u8]>, Unreadable> {
    todo!()
}

/// Fills the slots of one record, validating all of it.
pub fn slots<'b>(_record: &'b [u8], _layout: &Layout, _depth: usize) -> Result<Slots<'b>, Unreadable> {
    todo!()
}

/// The raw bytes of each record in the array at `place` of a document, the whole of which is validated.
pub fn records<'b>(_document: &'b [u8], _place: &crate::api::Place, _depth: usize) -> Result<Vec<&'b [u8]>, Unreadable> {
    todo!()
}

/// A document with nothing but an array of these records at `place`.
pub fn envelope(_place: &crate::api::Place, _records: &[Vec<u8>]) -> Vec<u8> {
    todo!()
}
