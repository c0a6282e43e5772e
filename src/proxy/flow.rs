//! An answer that leaves while it still comes in: read, redacted, written and compressed a piece at a time.
//!
//! Nothing is read before its reader asks, so a client that dawdles holds the upstream back. What one piece of the answer
//! gives is all that is held, besides the record that is not whole yet.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::encode::Encoder;
use super::export::Rows;
use crate::config::Coding;
use crate::enforcement::Fetch;
use crate::exchange::Exchange;
use crate::model::Reason;
use crate::redact::{Limits, Redactor, Unreadable};
use crate::upstream::{Body, Failure};

pub(super) struct Flow<'u> {
    body: Box<Body<'u>>,
    kind: Kind,
    encoder: Option<Encoder>,
    ready: Bytes,
    ended: bool,
}

enum Kind {
    /// Passed as it is.
    Opaque,
    Records(Box<Records>),
    /// It was accounted for, and passes nothing more.
    Settled,
}

/// How the records of an answer become what the client gets.
struct Records {
    fetch: Fetch,
    redactor: Redactor,
    rows: Option<Rows>,
    scratch: Vec<u8>,
    spent: Duration,
}

/// Why an answer can't be passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error(transparent)]
    Upstream(#[from] Failure),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("it can't be compressed: {0}")]
    Encoder(#[from] io::Error),
}

impl Cut {
    /// The reason of it, once the exchange knows the details.
    pub(super) fn told(&self, exchange: &mut Exchange) -> Reason {
        exchange.detail(self);
        match self {
            Self::Upstream(failure) => failure.reason(),
            Self::Unreadable(unreadable) => reason_of(*unreadable),
            Self::Encoder(_) => Reason::Internal,
        }
    }
}

/// Why an answer that can't be redacted is refused.
pub(super) fn reason_of(unreadable: Unreadable) -> Reason {
    match unreadable {
        Unreadable::TooLarge => Reason::UpstreamTooLarge,
        _ => Reason::UpstreamBroken,
    }
}

impl<'u> Flow<'u> {
    /// An answer that nobody reads. `held`: what of it was read already.
    pub(super) fn opaque(body: Box<Body<'u>>, held: Bytes) -> Self {
        Self { body, kind: Kind::Opaque, encoder: None, ready: held, ended: false }
    }

    /// A list. `rows`: it leaves as CSV. `held`: what of it was read already.
    ///
    /// Errors: this much can't be redacted; nothing has left.
    pub(super) fn list(
        body: Box<Body<'u>>,
        held: &[u8],
        fetch: &Fetch,
        limits: Limits,
        rows: Option<Rows>,
    ) -> Result<Self, Cut> {
        let mut first = Vec::new();
        if let Some(rows) = &rows {
            rows.header(&mut first);
        }
        let mut records = Records {
            fetch: fetch.clone(),
            redactor: Redactor::new(Arc::clone(&fetch.plan), limits),
            rows,
            scratch: Vec::new(),
            spent: Duration::ZERO,
        };
        records.take(Some(held), &mut first)?;
        Ok(Self { body, kind: Kind::Records(Box::new(records)), encoder: None, ready: first.into(), ended: false })
    }

    pub(super) fn rows(&self) -> Option<&Rows> {
        match &self.kind {
            Kind::Records(records) => records.rows.as_ref(),
            Kind::Opaque | Kind::Settled => None,
        }
    }

    /// How long it will be, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match (&self.kind, &self.encoder) {
            (Kind::Opaque, None) => self.body.length(),
            _ => None,
        }
    }

    /// From its first byte on, it leaves compressed.
    pub(super) fn compress(&mut self, coding: Coding) -> io::Result<()> {
        let mut encoder = Encoder::new(coding)?;
        self.ready = encoder.push(&self.ready)?.into();
        self.encoder = Some(encoder);
        Ok(())
    }

    /// The next bytes to send; never none of them. `None`: that was all, and it was as it should be.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        loop {
            if !self.ready.is_empty() {
                return Ok(Some(std::mem::take(&mut self.ready)));
            }
            if self.ended {
                return Ok(None);
            }
            let chunk = self.body.chunk().await?;
            self.ended = chunk.is_none();
            let passed = match &mut self.kind {
                Kind::Opaque => chunk.unwrap_or_default(),
                Kind::Records(records) => {
                    let mut out = Vec::with_capacity(chunk.as_ref().map_or(0, Bytes::len));
                    records.take(chunk.as_deref(), &mut out)?;
                    out.into()
                }
                Kind::Settled => return Err(Unreadable::Incomplete.into()),
            };
            self.ready = match (&mut self.encoder, self.ended) {
                (None, _) => passed,
                (Some(encoder), false) => encoder.push(&passed)?.into(),
                (Some(encoder), true) => {
                    let mut last = encoder.push(&passed)?;
                    if let Some(encoder) = self.encoder.take() {
                        last.append(&mut encoder.finish()?);
                    }
                    last.into()
                }
            };
        }
    }

    /// Records what was done so far; nothing more will be.
    pub(super) fn account(&mut self, exchange: &mut Exchange) {
        let Kind::Records(records) = std::mem::replace(&mut self.kind, Kind::Settled) else { return };
        exchange.metrics().phase_seconds.with_label_values(&["redact"]).observe(records.spent.as_secs_f64());
        exchange.redacted(&records.redactor.stop(), &records.fetch.plan, &records.fetch.asked);
    }
}

impl Records {
    /// Takes the next chunk, or `None` at the end.
    fn take(&mut self, chunk: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let started = Instant::now();
        let taken = match &self.rows {
            None => pass(&mut self.redactor, chunk, out),
            Some(rows) => {
                self.scratch.clear();
                pass(&mut self.redactor, chunk, &mut self.scratch).and_then(|()| {
                    let record = |range: &Range<usize>| self.scratch.get(range.clone()).unwrap_or_default();
                    rows.rows(self.redactor.records().iter().map(record), out)
                })
            }
        };
        self.spent += started.elapsed();
        taken
    }
}

fn pass(redactor: &mut Redactor, chunk: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    match chunk {
        Some(chunk) => redactor.push(chunk, out),
        None => redactor.end(out),
    }
}
