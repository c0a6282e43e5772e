//! An upstream's answer: its head, and its body as it comes.
//!
//! A body is read only as fast as its reader asks. Its connection goes back to the pool with the body's last byte; a body
//! that is dropped or fails before closes it, so that no rest of it is ever taken for another answer. What was compressed
//! is handed out as it was before. Whether an end that came is the end that was announced is known here alone: a body
//! that is cut short is an error in every framing that can tell.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use prometheus::HistogramTimer;

use super::decode::{self, Decoder};
use super::endpoints::Lease;
use super::trust::Pool;
use super::{Failure, Peer, Upstreams, failure_of, idle};
use crate::config::Coding;
use crate::metrics::Metrics;

/// What of an unwanted body is read to keep its connection, and how long that may take.
const DISCARDED: usize = 64 * 1024;
const DISCARD_TIME: Duration = Duration::from_millis(500);

/// An answer whose head was read.
pub struct Answer<'u> {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Box<Body<'u>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Empty unless the status is 200 or 201.
    pub body: Bytes,
    /// See [`Body::is_framed`].
    pub framed: bool,
}

/// What was read of a body that is held back.
#[derive(Debug)]
pub struct Held {
    pub bytes: Bytes,
    /// Whether this is all of it.
    pub ended: bool,
}

pub struct Body<'u> {
    session: InUse<'u>,
    peer: &'u Peer,
    /// The address counts as in use until the body has ended.
    lease: Lease,
    target: HttpPeer,
    upstreams: &'u Upstreams,
    form: Form,
    /// As announced, before it is decoded.
    length: Option<u64>,
    framed: bool,
    /// Its last byte was read.
    complete: bool,
    /// Bytes as they came, and bytes handed out.
    received: u64,
    given: u64,
    /// The most of either.
    limit: u64,
    timer: Option<HistogramTimer>,
}

/// How a body is compressed, as far as it is known.
enum Form {
    Plain,
    /// Otherwise than can be undone.
    Unknown,
    /// So, and nothing of it was read.
    Named(Coding),
    Decoded(Decoder),
}

impl<'u> Answer<'u> {
    /// Of a session whose response head was read. Errors: none was, or its framing can be read in two ways.
    pub(super) fn new(
        session: InUse<'u>,
        peer: &'u Peer,
        lease: Lease,
        target: HttpPeer,
        upstreams: &'u Upstreams,
        timer: HistogramTimer,
    ) -> Result<Self, Failure> {
        let open = session.session.as_ref().ok_or(Failure::Broken)?;
        let head = open.response_header().ok_or(Failure::Broken)?;
        let (status, headers) = (head.status, head.headers.clone());
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let chunked = codings.next();
        // What is compressed on top of being chunked would be handed out as it is.
        if chunked.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked")) || codings.next().is_some() {
            return Err(Failure::Broken);
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let framed = open.as_http2().is_some() || chunked.is_some() || length.is_some();
        let form = match decode::named(&headers) {
            Ok(None) => Form::Plain,
            Ok(Some(coding)) => Form::Named(coding),
            Err(_) => Form::Unknown,
        };
        let body = Box::new(Body {
            session,
            peer,
            lease,
            target,
            upstreams,
            form,
            length,
            framed,
            complete: false,
            received: 0,
            given: 0,
            limit: upstreams.limits.response_body as u64,
            timer: Some(timer),
        });
        Ok(Self { status, headers, body })
    }

    /// Reads it to its end. Errors: beyond `limits.response_body`, among others.
    pub async fn whole(self) -> Result<Whole, Failure> {
        let Self { status, headers, body } = self;
        let framed = body.framed;
        let body = if matches!(status, StatusCode::OK | StatusCode::CREATED) {
            body.whole().await?
        } else {
            body.discard().await;
            Bytes::new()
        };
        Ok(Whole { status, headers, body, framed })
    }
}

impl Body<'_> {
    /// It goes on as a stream, which is not held in memory: it may be as long as `limits.streamed_body`.
    pub fn streams(&mut self) {
        self.limit = self.upstreams.limits.streamed_body;
    }

    /// It goes on as a stream without an end of its own, and may be silent for so long.
    pub fn lives(&mut self, silent: Duration) {
        self.streams();
        if let Some(session) = &mut self.session.session {
            session.set_read_timeout(Some(silent));
        }
    }

    /// Its address has answered.
    pub(super) fn endpoint_answered(&self) {
        self.peer.link.endpoints.answered(&self.lease);
    }

    /// Its address has not, or not to the end.
    pub(super) fn endpoint_failed(&self) {
        self.peer.link.endpoints.failed(&self.lease);
    }

    /// Whether its end is told from a broken connection by more than what it holds.
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    /// How long it is, if that was announced and it is handed out as it comes.
    pub fn length(&self) -> Option<u64> {
        self.length.filter(|_| matches!(self.form, Form::Plain))
    }

    /// The next bytes, decoded; never none of them. `None`: it has ended as it should.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let found = self.next().await;
        match &found {
            Ok(Some(_)) => {}
            Ok(None) => self.settle("answered"),
            Err(failure) => {
                self.settle(failure.label());
                if matches!(failure, Failure::Broken | Failure::Timeout) {
                    self.endpoint_failed();
                }
                self.session.close().await;
            }
        }
        found
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.length.is_some_and(|length| length > self.limit) {
            return Err(Failure::TooLarge);
        }
        loop {
            let piece = match &mut self.form {
                Form::Unknown => return Err(Failure::UnknownCoding),
                Form::Named(coding) => {
                    let ratio = self.upstreams.limits.decoded_ratio as u64;
                    self.form = Form::Decoded(Decoder::new(*coding, ratio)?);
                    None
                }
                Form::Decoded(decoder) => decoder.piece()?,
                Form::Plain => None,
            };
            let piece = match piece {
                Some(piece) => piece,
                None => match (self.raw().await?, &mut self.form) {
                    (Some(raw), Form::Decoded(decoder)) => {
                        decoder.feed(raw);
                        continue;
                    }
                    (Some(raw), _) => raw,
                    (None, Form::Decoded(decoder)) => return decoder.finish().map(|()| None),
                    (None, _) => return Ok(None),
                },
            };
            self.given += piece.len() as u64;
            return if self.given > self.limit { Err(Failure::TooLarge) } else { Ok(Some(piece)) };
        }
    }

    /// The next bytes as they came; never none of them.
    async fn raw(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(session) = self.session.session.as_mut() else {
                return if self.complete { Ok(None) } else { Err(Failure::Broken) };
            };
            let chunk = session.read_response_body().await.map_err(|error| failure_of(&error, Failure::Broken))?;
            let received = chunk.as_ref().map_or(0, Bytes::len) as u64;
            self.received += received;
            if self.received > self.limit {
                return Err(Failure::TooLarge);
            }
            if chunk.is_none() || session.response_done() {
                self.complete = true;
                self.session.release(&self.target, self.upstreams.limits.idle_time).await;
            }
            if chunk.is_none() || received > 0 {
                return Ok(chunk);
            }
        }
    }

    /// Reads until more than `most` bytes are there or it has ended.
    pub async fn hold(&mut self, most: usize) -> Result<Held, Failure> {
        let mut first: Option<Bytes> = None;
        let mut joined = BytesMut::new();
        let mut ended = false;
        loop {
            let length = first.as_ref().map_or(0, Bytes::len) + joined.len();
            if length > most {
                break;
            }
            let Some(chunk) = self.chunk().await? else {
                ended = true;
                break;
            };
            if first.is_none() && joined.is_empty() {
                first = Some(chunk);
                continue;
            }
            if let Some(first) = first.take() {
                let expected = self.length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
                joined.reserve(expected.min(most).max(length + chunk.len()));
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&chunk);
        }
        Ok(Held { bytes: first.unwrap_or_else(|| joined.freeze()), ended })
    }

    /// All of it. Errors: beyond `limits.response_body`, among others.
    pub async fn whole(mut self: Box<Self>) -> Result<Bytes, Failure> {
        self.hold(self.upstreams.limits.response_body).await.map(|held| held.bytes)
    }

    /// Nobody wants it: the little that may be left is read, so that its connection can be used again.
    pub async fn discard(mut self: Box<Self>) {
        self.settle("answered");
        if self.length.is_none_or(|length| length <= DISCARDED as u64) {
            self.session.discard(&self.target, self.upstreams.limits.idle_time).await;
        }
    }

    /// Counts it, once.
    fn settle(&mut self, outcome: &str) {
        if let Some(timer) = self.timer.take() {
            timer.observe_duration();
            self.upstreams.metrics.upstream_requests.with_label_values(&[outcome]).inc();
        }
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.settle("abandoned");
    }
}

/// A session that counts as in use until it is given back or closed; a dropped one closes its connection.
pub(super) struct InUse<'u> {
    pub(super) session: Option<HttpSession>,
    /// What opened it.
    pool: Arc<Pool>,
    metrics: &'u Metrics,
}

impl<'u> InUse<'u> {
    pub(super) fn new(session: HttpSession, pool: Arc<Pool>, metrics: &'u Metrics) -> Self {
        metrics.upstream_in_use.inc();
        Self { session: Some(session), pool, metrics }
    }

    fn take(&mut self) -> Option<HttpSession> {
        let session = self.session.take();
        if session.is_some() {
            self.metrics.upstream_in_use.dec();
        }
        session
    }

    /// Reads what is left of an answer, if it is little, and gives the session back. Whatever goes wrong closes the connection,
    /// and is nobody's concern.
    pub(super) async fn discard(&mut self, target: &HttpPeer, idle_time: Duration) {
        let mut left = DISCARDED;
        let to_its_end = async {
            loop {
                let session = self.session.as_mut()?;
                let chunk = session.read_response_body().await.ok()?;
                left = left.checked_sub(chunk.as_ref().map_or(0, Bytes::len))?;
                if chunk.is_none() || session.response_done() {
                    return Some(());
                }
            }
        };
        if tokio::time::timeout(DISCARD_TIME, to_its_end).await.ok().flatten().is_some() {
            self.release(target, idle_time).await;
        } else {
            self.close().await;
        }
    }

    /// Gives it back, to be kept for so long.
    async fn release(&mut self, target: &HttpPeer, idle_time: Duration) {
        if let Some(mut session) = self.take() {
            let pool = &self.pool;
            if pool.is_in_force() {
                pool.connector.release_http_session(session, target, Some(idle_time)).await;
                if !pool.is_in_force() {
                    // It no longer was by then, and nobody comes to close it.
                    idle::close(pool, target).await;
                }
            } else {
                // It was trusted for what is no longer in force.
                session.shutdown().await;
            }
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(mut session) = self.take() {
            session.shutdown().await;
        }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.take();
    }
}
