//! The upstream's side of an exchange: fetches, lists as the upstream pages them, and their answers.
//!
//! Every answer that reaches a client comes out of [`redact`](crate::redact) here. A record and what is put together from
//! several answers is held as a whole; a list that is longer than `limits.buffered_body` leaves while it still comes in.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::changes::written;
use super::conditions::{self, Conditions};
use super::export::Rows;
use super::flow::{Flow, reason_of};
use super::reply::{Content, Reply};
use crate::api::Route;
use crate::dialect;
use crate::enforcement::{Asked, Case, Fetch, Listing, Next, Opaque, Permit};
use crate::exchange::Exchange;
use crate::model::{Action, Name, Reason};
use crate::policy::Residual;
use crate::redact::{self, Frame, Limits, Plan, Redacted, Tally, Unreadable};
use crate::snapshot::Snapshot;
use crate::upstream::{Answer, Failure, Whole};

/// One permitted action on a table, ready to be done.
#[derive(Clone, Copy)]
pub(super) struct Step<'u, 'a> {
    pub snapshot: &'u Snapshot,
    pub case: &'a Case<'a>,
    pub route: &'a Route,
    pub variables: &'a [(Name, String)],
    pub residual: &'a Arc<Residual>,
    pub pairs: &'a [(String, String)],
    /// What the client says of the record that it is about.
    pub conditions: &'a Conditions,
    /// Whether its answer will be a part of another one, and is held as a whole.
    pub held: bool,
}

impl<'u> Step<'u, '_> {
    /// A list, or the same as an export: rows for a file.
    pub(super) async fn list(&self, action: &Action, exchange: &mut Exchange) -> Result<Reply<'u>, Reason> {
        let exports = *action == Action::Export;
        let residual = Arc::clone(self.residual);
        match self.case.list(action, self.route, self.variables, residual, self.pairs)? {
            Listing::Page(permit) => {
                let rows = exports.then(|| Rows::new(&permit.purpose().plan));
                self.page(&permit, rows, exchange).await
            }
            Listing::Aggregate(permit) => self.aggregate(&permit, exchange).await,
            Listing::Walk(walk) => self.walk(&walk, exports, exchange).await,
        }
    }

    /// One of the upstream's own pages.
    async fn page(
        &self,
        permit: &Permit<Fetch>,
        rows: Option<Rows>,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Reason> {
        let Fetch { plan, asked, next } = permit.purpose();
        let limits = &self.snapshot.config.limits;
        let timer = exchange.metrics().phase_seconds.with_label_values(&["upstream"]).start_timer();
        let Answer { status, headers, mut body } = self.send(permit, exchange).await?;
        check_list(status, &headers, body.is_framed(), plan)?;
        // Whether a page is full is known at its end alone.
        let most = if plan.streams() && next.is_none() && !self.held {
            body.streams();
            limits.buffered_body
        } else {
            limits.response_body
        };
        let held = body.hold(most).await.map_err(|failure| failed(failure, exchange))?;
        timer.observe_duration();
        let media_type = plan.frame.media_type();
        if !held.ended {
            let bounds = Limits { body: limits.streamed_body, record: limits.record };
            let flow = Flow::list(body, &held.bytes, permit.purpose(), bounds, rows);
            let flow = flow.map_err(|cut| cut.told(exchange))?;
            return Ok(Reply::flow(media_type, flow));
        }
        drop(body);
        let mut redacted = self.judge(plan, &held.bytes, exchange)?;
        exchange.redacted(&redacted.tally, plan, asked);
        if let Some(next) = next.as_ref().filter(|next| redacted.tally.scanned >= next.full) {
            link(&mut redacted.body, next);
        }
        let Some(rows) = rows else {
            return Ok(Reply::list(None, media_type, Content::Whole(redacted.body.into())));
        };
        let mut out = Vec::new();
        rows.header(&mut out);
        rows.rows(pieces(&redacted), &mut out).map_err(|e| broken(e, exchange))?;
        Ok(Reply::list(Some(&rows), media_type, Content::Whole(out.into())))
    }

    pub(super) async fn read(&self, key: &str, exchange: &mut Exchange) -> Result<Reply<'u>, Reason> {
        let permit = self.case.read(self.route, self.variables, Arc::clone(self.residual), self.pairs)?;
        let Redacted { body, tally, .. } = self.found(&permit, exchange).await?;
        exchange.redacted(&tally, &permit.purpose().plan, &Asked::default());
        is_shown(&tally, key)?;
        let tag = self.tag(&body)?;
        Ok(self.tagged(Reply::json(StatusCode::OK, body), tag))
    }

    /// The answer to a read of a record, redacted, without putting on record yet what was done.
    pub(super) async fn found(&self, permit: &Permit<Fetch>, exchange: &mut Exchange) -> Result<Redacted, Reason> {
        let answer = self.fetch(permit, exchange).await?;
        if is_absent(answer.status) {
            return Err(Reason::RecordHidden);
        }
        self.judge(&permit.purpose().plan, &ok_json(answer)?, exchange)
    }

    /// A reply under a tag, or the word that the client has it already.
    pub(super) fn tagged(&self, reply: Reply<'u>, tag: Option<String>) -> Reply<'u> {
        match tag.as_deref().map(|tag| self.conditions.known(tag)) {
            Some(Some(known)) => Reply::unchanged(known),
            _ => reply.tells(tag.map(|tag| ("etag", tag))),
        }
    }

    /// The tag of the record in an answer as it is shown.
    pub(super) fn tag(&self, shown: &[u8]) -> Result<Option<String>, Reason> {
        let table = self.case.catalog.table(self.residual.table());
        let place = dialect::of(self.case.catalog.api(table.api)).envelope().record;
        let record = redact::locate(shown, place, self.case.depth).map_err(|_| Reason::Internal)?;
        Ok(record.and_then(|record| conditions::tag(self.case, &table.name, record)))
    }

    /// Sends a permitted request and reads the head of its answer.
    async fn send<Purpose>(&self, permit: &Permit<Purpose>, exchange: &mut Exchange) -> Result<Answer<'u>, Reason> {
        exchange.sent_upstream();
        self.snapshot.upstreams.send(permit).await.map_err(|failure| failed(failure, exchange))
    }

    /// Sends a permitted request and reads its answer to the end.
    pub(super) async fn fetch<Purpose>(
        &self,
        permit: &Permit<Purpose>,
        exchange: &mut Exchange,
    ) -> Result<Whole, Reason> {
        let timer = exchange.metrics().phase_seconds.with_label_values(&["upstream"]).start_timer();
        let answer = self.send(permit, exchange).await?;
        let mut whole = answer.whole().await.map_err(|failure| failed(failure, exchange))?;
        timer.observe_duration();
        let table = self.case.catalog.table(self.residual.table());
        // A relation stays within its API.
        if dialect::of(self.case.catalog.api(table.api)).absence() == Some(whole.status) {
            whole.status = StatusCode::NOT_FOUND;
        }
        if permit.outgoing().one && whole.status == StatusCode::OK && is_json(&whole.headers) {
            self.only(&mut whole, exchange)?;
        }
        Ok(whole)
    }

    /// Makes of a list of one record the answer to a read of it, and of one of none that it isn't there.
    fn only(&self, whole: &mut Whole, exchange: &mut Exchange) -> Result<(), Reason> {
        let table = self.case.catalog.table(self.residual.table());
        let envelope = dialect::of(self.case.catalog.api(table.api)).envelope();
        let records = redact::records(&whole.body, envelope.list, self.case.depth);
        let records = records.map_err(|unreadable| broken(unreadable, exchange))?;
        match records[..] {
            [] => whole.status = StatusCode::NOT_FOUND,
            [record] => whole.body = redact::enclosed(envelope.record, record).into(),
            // Which of them was meant?
            _ => return Err(Reason::UpstreamBroken),
        }
        // It was the list's.
        whole.headers.remove(header::ETAG);
        Ok(())
    }

    /// Redacts an answer that goes to the client as it comes out, and records what was done.
    pub(super) fn redact(&self, plan: &Plan, body: &[u8], exchange: &mut Exchange) -> Result<(Vec<u8>, Tally), Reason> {
        let Redacted { body, tally, .. } = self.judge(plan, body, exchange)?;
        // A record that was named may be of any tenant.
        exchange.redacted(&tally, plan, &Asked::default());
        Ok((body, tally))
    }

    /// Redacts an answer without putting on record yet what was done.
    pub(super) fn judge(&self, plan: &Plan, body: &[u8], exchange: &mut Exchange) -> Result<Redacted, Reason> {
        let timer = exchange.metrics().phase_seconds.with_label_values(&["redact"]).start_timer();
        // It was held within its limits.
        let done = redact::answer(plan, body, body.len());
        timer.observe_duration();
        done.map_err(|unreadable| broken(unreadable, exchange))
    }
}

/// Whether an answer shows the record of a key. Errors: why it doesn't.
pub(super) fn is_shown(tally: &Tally, key: &str) -> Result<(), Reason> {
    match tally {
        // An upstream that takes `5abc` for 5 answers with another record than the one that was named.
        Tally { kept: 1.., keys, .. } if keys.iter().next() != Some(key) => Err(Reason::RecordHidden),
        Tally { kept: 1.., .. } => Ok(()),
        Tally { foreign: 1.., .. } => Err(Reason::RecordForeign),
        _ => Err(Reason::RecordHidden),
    }
}

/// Adds the link to the next page to an envelope, which has a member already: its records.
pub(super) fn link(envelope: &mut Vec<u8>, next: &Next) {
    while envelope.last().is_some_and(u8::is_ascii_whitespace) {
        envelope.pop();
    }
    if envelope.pop_if(|last| *last == b'}').is_some() {
        envelope.extend_from_slice(format!(",\"{}\":\"{}\"}}", next.member, next.link).as_bytes());
    }
}

/// The records of a redacted list.
pub(super) fn pieces(page: &Redacted) -> impl Iterator<Item = &[u8]> {
    page.records.iter().map(|range: &Range<usize>| page.body.get(range.clone()).unwrap_or_default())
}

/// An opaque route's answer: of a declared type, unread.
pub(super) async fn opaque<'u>(
    snapshot: &'u Snapshot,
    permit: &Permit<Opaque>,
    exchange: &mut Exchange,
) -> Result<Reply<'u>, Reason> {
    exchange.sent_upstream();
    let answer = snapshot.upstreams.send(permit).await.map_err(|failure| failed(failure, exchange))?;
    let Answer { status, headers, mut body } = answer;
    if let Err(reason) = passed(status, &headers, exchange) {
        if status.is_client_error() {
            body.discard().await;
        }
        return Err(reason);
    }
    body.streams();
    let held = body.hold(snapshot.config.limits.buffered_body).await.map_err(|failure| failed(failure, exchange))?;
    if held.ended && held.bytes.is_empty() {
        return Ok(Reply::bare(status));
    }
    // Nothing in it says whether it is whole.
    if !body.is_framed() {
        return Err(failed(Failure::Broken, exchange));
    }
    let content_type = headers.get(header::CONTENT_TYPE).ok_or(Reason::UpstreamMediaType)?;
    let essence = essence(content_type).ok_or(Reason::UpstreamMediaType)?;
    if !permit.purpose().media_types.iter().any(|declared| declared.eq_ignore_ascii_case(essence)) {
        return Err(Reason::UpstreamMediaType);
    }
    let content =
        if held.ended { Content::Whole(held.bytes) } else { Content::Flow(Box::new(Flow::opaque(body, held.bytes))) };
    Ok(Reply::of(status, content_type.clone(), content).called(disposition(&headers)))
}

/// Whether a service has done what it was asked for unread. What it says of such a request is about nothing that the gateway keeps
/// from the client, so it is told, as far as it isn't about the gateway itself; all else is as of a write. A part of something
/// (206) is not what was asked for, nor is what somebody in between has changed (203).
pub(super) fn passed(status: StatusCode, headers: &HeaderMap, exchange: &mut Exchange) -> Result<(), Reason> {
    match status {
        StatusCode::ACCEPTED => Ok(()),
        StatusCode::BAD_REQUEST => Err(Reason::UpstreamMisunderstood),
        StatusCode::CONFLICT => Err(Reason::UpstreamConflict),
        StatusCode::PAYLOAD_TOO_LARGE => Err(Reason::UpstreamRefusedSize),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Err(Reason::UpstreamRefusedType),
        StatusCode::TOO_MANY_REQUESTS => {
            exchange.waits(retry_after(headers));
            Err(Reason::UpstreamRateLimited)
        }
        // There was no condition.
        StatusCode::PRECONDITION_FAILED => Err(Reason::UpstreamFailed),
        status => written(status),
    }
}

/// In how many seconds to ask again, of one that says so in seconds.
fn retry_after(headers: &HeaderMap) -> u64 {
    let said = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    said.unwrap_or(1).clamp(1, MAX_RETRY_AFTER)
}

/// A day.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;

/// Of what a file is called.
const MAX_DISPOSITION: usize = 512;

/// What a file is called, and that it is to be kept and not shown. Where that can't be passed on as it is, a browser must not show
/// either what it was not to show.
fn disposition(headers: &HeaderMap) -> Option<HeaderValue> {
    let said = headers.get(header::CONTENT_DISPOSITION)?;
    let passes = said.len() <= MAX_DISPOSITION && said.to_str().is_ok();
    let is_one = headers.get_all(header::CONTENT_DISPOSITION).iter().nth(1).is_none();
    Some(if passes && is_one { said.clone() } else { HeaderValue::from_static("attachment") })
}

pub(super) fn failed(failure: Failure, exchange: &mut Exchange) -> Reason {
    exchange.detail(failure);
    failure.reason()
}

pub(super) fn broken(unreadable: Unreadable, exchange: &mut Exchange) -> Reason {
    exchange.detail(unreadable);
    reason_of(unreadable)
}

/// Not there and no longer there are one answer.
pub(super) fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

pub(super) fn essence(content_type: &HeaderValue) -> Option<&str> {
    content_type.to_str().ok()?.split(';').next().map(str::trim)
}

pub(super) fn is(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(essence).is_some_and(|found| found.eq_ignore_ascii_case(media_type))
}

/// JSON, or a format that is JSON with a meaning of its own (RFC 6839, section 3.1), but for what tells of a problem.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let of_its_own = |found: &str| {
        let ends = found.len().checked_sub("+json".len()).and_then(|at| found.get(at..));
        let begins = found.get(.."application/".len());
        ends.is_some_and(|ends| ends.eq_ignore_ascii_case("+json"))
            && begins.is_some_and(|begins| begins.eq_ignore_ascii_case("application/"))
            && !found.eq_ignore_ascii_case("application/problem+json")
    };
    is(headers, "application/json") || headers.get(header::CONTENT_TYPE).and_then(essence).is_some_and(of_its_own)
}

/// JSON, one record a line. There is no registered name, so there are several.
fn is_lines(headers: &HeaderMap) -> bool {
    let names = ["x-ndjson", "ndjson", "jsonl", "x-jsonlines"];
    names.iter().any(|name| is(headers, &format!("application/{name}")))
}

/// A complete answer to a list, of the declared kind. A part of one (206), none (204, 304) and errors are never passed on.
pub(super) fn check_list(status: StatusCode, headers: &HeaderMap, framed: bool, plan: &Plan) -> Result<(), Reason> {
    if status != StatusCode::OK {
        return Err(Reason::UpstreamFailed);
    }
    let is_of_kind = if plan.frame == Frame::Lines { is_lines(headers) } else { is_json(headers) };
    if !is_of_kind {
        return Err(Reason::UpstreamMediaType);
    }
    // Only the framing tells whether the last line was the last.
    if plan.frame == Frame::Lines && !framed { Err(Reason::UpstreamBroken) } else { Ok(()) }
}

/// A complete JSON answer to a read. A part of one (206) is none, and errors are never passed on.
pub(super) fn ok_json(answer: Whole) -> Result<Bytes, Reason> {
    if answer.status != StatusCode::OK {
        return Err(Reason::UpstreamFailed);
    }
    if !is_json(&answer.headers) {
        return Err(Reason::UpstreamMediaType);
    }
    Ok(answer.body)
}
