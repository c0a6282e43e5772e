//! Content codings of an upstream's answer, undone piece by piece.
//!
//! A piece is never longer than [`PIECE`], however far a few bytes expand, and no piece leaves once an answer has grown
//! beyond its share of what came in. A stream that is cut, goes on after its end or is anything else than it says fails.
//! Members of a gzip stream and frames of a zstd stream may follow each other; together they are one body.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

use super::Failure;
use crate::config::Coding;

/// The most that comes out at a time.
const PIECE: usize = 64 * 1024;
/// What may come out whatever the ratio: short answers of one repeated word are no attack.
const FREE: u64 = 64 * 1024;
/// RFC 9659 asks for no more than 8 MiB.
const ZSTD_WINDOW: u32 = 23;

/// The one coding that a head names. `Ok(None)`: it names none, or `identity`.
///
/// Errors: one that is not known, or several.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let name = line.to_str().map(str::trim).ok().filter(|_| lines.next().is_none());
    match name {
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(None),
        Some(name) => Coding::parse(name).map(Some).ok_or(Failure::UnknownCoding),
        None => Err(Failure::UnknownCoding),
    }
}

pub(super) struct Decoder {
    state: State,
    input: Bytes,
    /// The last piece was full: there may be more without further input.
    pending: bool,
    /// A member or frame has ended, and none has begun since.
    complete: bool,
    taken: u64,
    given: u64,
    /// How many bytes may come out for each that went in.
    ratio: u64,
}

enum State {
    Gzip(Decompress),
    Zstd(Zstd<'static>),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
}

/// What one step took, gave and found.
struct Step {
    taken: usize,
    ended: bool,
}

impl Decoder {
    /// Errors: no memory for it.
    pub(super) fn new(coding: Coding, ratio: u64) -> Result<Self, Failure> {
        let state = match coding {
            Coding::Gzip => State::Gzip(Decompress::new_gzip(15)),
            Coding::Zstd => {
                let mut decoder = Zstd::new().map_err(|_| Failure::Undecodable)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(|_| Failure::Undecodable)?;
                State::Zstd(decoder)
            }
            // Strict: a large window, which is no part of RFC 7932, would take a gigabyte.
            Coding::Brotli => State::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
        };
        Ok(Self { state, input: Bytes::new(), pending: false, complete: false, taken: 0, given: 0, ratio })
    }

    /// Takes the next bytes; those before must have been used up.
    pub(super) fn feed(&mut self, input: Bytes) {
        self.taken += input.len() as u64;
        self.input = input;
    }

    /// The next piece; `None` if there is none without further input.
    pub(super) fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while self.pending || !self.input.is_empty() {
            let mut out = Vec::with_capacity(PIECE);
            let step = self.step(&mut out)?;
            if step.taken == 0 && out.is_empty() && !self.input.is_empty() {
                return Err(Failure::Undecodable);
            }
            self.input.advance(step.taken);
            self.pending = out.len() == PIECE && !step.ended;
            self.complete = step.ended;
            self.given += out.len() as u64;
            if self.given > FREE + self.taken.saturating_mul(self.ratio) {
                return Err(Failure::Expanded);
            }
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        Ok(None)
    }

    /// There is no further input. Errors: it was cut short.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        // Some name a coding and have no body at all.
        if self.complete || self.taken == 0 { Ok(()) } else { Err(Failure::Undecodable) }
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<Step, Failure> {
        match &mut self.state {
            State::Gzip(decoder) => {
                if self.complete {
                    // Another member, or what is none and fails.
                    *decoder = Decompress::new_gzip(15);
                }
                let before = decoder.total_in();
                let status = decoder
                    .decompress_vec(&self.input, out, FlushDecompress::None)
                    .map_err(|_| Failure::Undecodable)?;
                let taken = usize::try_from(decoder.total_in() - before).map_err(|_| Failure::Undecodable)?;
                Ok(Step { taken, ended: status == Status::StreamEnd })
            }
            State::Zstd(decoder) => {
                let mut input = InBuffer::around(&self.input);
                let mut output = OutBuffer::around(out);
                let hint = decoder.run(&mut input, &mut output).map_err(|_| Failure::Undecodable)?;
                Ok(Step { taken: input.pos(), ended: hint == 0 })
            }
            State::Brotli(state) => {
                if self.complete {
                    return Err(Failure::Undecodable);
                }
                out.resize(PIECE, 0);
                let (mut left, mut taken, mut room, mut given, mut total) = (self.input.len(), 0, PIECE, 0, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut taken,
                    &self.input,
                    &mut room,
                    &mut given,
                    out,
                    &mut total,
                    state,
                );
                out.truncate(given);
                match result {
                    BrotliResult::ResultFailure => Err(Failure::Undecodable),
                    BrotliResult::ResultSuccess => Ok(Step { taken, ended: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(Step { taken, ended: false }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
