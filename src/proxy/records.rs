//! The upstream's side of an exchange: fetches, walks through lists, writes with their look before, and their answers.
//!
//! Every answer that reaches a client comes out of [`redact`](crate::redact) here, whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Reply;
use crate::api::{Dialect, Route, TableId};
use crate::dialect::rest;
use crate::enforcement::write::{Before, Permitted, Referenced, Refusal};
use crate::enforcement::{Case, Listing, Opaque, Permit};
use crate::exchange::Exchange;
use crate::model::{Action, Name, Reason};
use crate::policy::{Residual, Slot, Verdict};
use crate::redact::{self, Changes, Frame, Plan, Redacted, Tally};
use crate::snapshot::Snapshot;
use crate::upstream::Answer;

/// One permitted action on a table, ready to be done.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub snapshot: &'a Snapshot,
    pub case: &'a Case<'a>,
    pub route: &'a Route,
    pub variables: &'a [(Name, String)],
    pub residual: &'a Arc<Residual>,
    pub pairs: &'a [(String, String)],
}

impl Step<'_> {
    pub(super) async fn list(&self, exchange: &mut Exchange) -> Result<Reply, Reason> {
        match self.case.list(self.route, self.variables, Arc::clone(self.residual), self.pairs)? {
            Listing::Page(permit) => {
                let plan = Arc::clone(&permit.purpose().plan);
                let answer = self.send(&permit, exchange).await?;
                let body = ok_json(answer)?;
                let (out, _) = self.redact(&plan, &body, exchange)?;
                Ok(Reply::json(StatusCode::OK, out))
            }
            Listing::Walk(walk) => {
                let mut window = Window { skip: walk.skip, take: walk.take, shown: 0, records: Vec::new() };
                let mut scanned = 0;
                for page in 0.. {
                    let permit = self.case.page(&walk, page);
                    let plan = Arc::clone(&permit.purpose().plan);
                    let Frame::List { records: place, .. } = &plan.frame else { return Err(Reason::Internal) };
                    let body = ok_json(self.send(&permit, exchange).await?)?;
                    let mut page = self.judge(&plan, &body, exchange)?;
                    let seen = page.tally.scanned;
                    scanned += seen;
                    let full = window.add(&mut page);
                    exchange.redacted(&page.tally, &plan, self.pushes_tenant(plan.root.residual.table()));
                    let last = walk.step.is_none_or(|step| seen < step);
                    if full || last {
                        return Ok(Reply::json(StatusCode::OK, redact::envelope(place, &window.records)));
                    }
                    if scanned >= self.snapshot.config.limits.scanned_rows as u64 {
                        return Err(Reason::ListTooLong);
                    }
                }
                Err(Reason::ListTooLong)
            }
        }
    }

    pub(super) async fn read(&self, key: &str, exchange: &mut Exchange) -> Result<Reply, Reason> {
        let permit = self.case.read(self.route, self.variables, Arc::clone(self.residual), self.pairs)?;
        let plan = Arc::clone(&permit.purpose().plan);
        let answer = self.send(&permit, exchange).await?;
        if is_absent(answer.status) {
            return Err(Reason::RecordHidden);
        }
        let (out, tally) = self.redact(&plan, &ok_json(answer)?, exchange)?;
        match tally {
            // An upstream that takes `5abc` for 5 answers with another record than the one that was named.
            Tally { kept: 1.., ref keys, .. } if keys.first().is_none_or(|found| found != key) => {
                Err(Reason::RecordHidden)
            }
            Tally { kept: 1.., .. } => Ok(Reply::json(StatusCode::OK, out)),
            Tally { foreign: 1.., .. } => Err(Reason::RecordForeign),
            _ => Err(Reason::RecordHidden),
        }
    }

    pub(super) async fn create(&self, body: &[u8], exchange: &mut Exchange) -> Result<Reply, Refusal> {
        self.no_query()?;
        let changes = self.case.changes(self.residual, body)?;
        let referenced = self.referenced(&changes, exchange).await?;
        let permitted = self.case.create(self.route, self.variables, self.residual, &changes, &referenced)?;
        self.write(permitted, StatusCode::CREATED, exchange).await
    }

    pub(super) async fn change(
        &self,
        action: &Action,
        key: &str,
        body: &[u8],
        exchange: &mut Exchange,
    ) -> Result<Reply, Refusal> {
        self.no_query()?;
        let before = self.before(key, exchange).await?;
        exchange.touched(key);
        // Only an action of the API's own may come without a body.
        let bare = body.is_empty() && matches!(action, Action::Custom(_));
        let changes = if bare { None } else { Some(self.case.changes(self.residual, body)?) };
        let referenced = match &changes {
            Some(changes) => self.referenced(changes, exchange).await?,
            None => Vec::new(),
        };
        let permitted =
            self.case.change(self.route, self.variables, self.residual, &before, changes.as_ref(), &referenced)?;
        self.write(permitted, StatusCode::OK, exchange).await
    }

    pub(super) async fn remove(&self, key: &str, exchange: &mut Exchange) -> Result<Reply, Refusal> {
        self.no_query()?;
        let before = self.before(key, exchange).await?;
        exchange.touched(key);
        let permitted = self.case.remove(self.route, self.variables, self.residual, &before)?;
        exchange.granted_by(permitted.rules.iter().cloned());
        let answer = self.send(&permitted.permit, exchange).await?;
        written(&answer)?;
        Ok(Reply::empty())
    }

    /// A write's answer is judged as a read; where it may not be read, the write is all that is told.
    async fn write(&self, permitted: Permitted, status: StatusCode, exchange: &mut Exchange) -> Result<Reply, Refusal> {
        exchange.granted_by(permitted.rules.iter().cloned());
        let answer = self.send(&permitted.permit, exchange).await?;
        written(&answer)?;
        let Some(plan) = &permitted.permit.purpose().plan else { return Ok(Reply::empty()) };
        if answer.body.is_empty() || !is_json(&answer.headers) {
            return Ok(Reply::empty());
        }
        let (out, tally) = self.redact(plan, &answer.body, exchange)?;
        Ok(if tally.kept == 0 { Reply::empty() } else { Reply::json(status, out) })
    }

    /// The record as it stands, if the caller may see it or act on it; otherwise it is not there.
    async fn before(&self, key: &str, exchange: &mut Exchange) -> Result<Before, Reason> {
        let table = self.residual.table();
        let permit = self.case.probe(table, key)?;
        let answer = self.send(&permit, exchange).await?;
        if is_absent(answer.status) {
            return Err(Reason::RecordHidden);
        }
        let etag = answer.headers.get(header::ETAG).filter(|etag| is_strong(etag)).cloned();
        let record = self.record_of(ok_json(answer)?, table, key)?;
        let slots =
            redact::slots(&record, self.residual.layout(), self.case.depth).map_err(|_| Reason::UpstreamBroken)?;
        match self.residual.judge(&slots).verdict {
            Verdict::Foreign => return Err(Reason::RecordForeign),
            Verdict::Visible(_) => {}
            Verdict::Denied(_) | Verdict::Unmatched if self.case.may_read(table, &record)? => {}
            Verdict::Denied(_) | Verdict::Unmatched => return Err(Reason::RecordHidden),
        }
        Ok(Before { record, etag })
    }

    /// The records that changed foreign keys point to; each must be in scope and readable.
    async fn referenced(&self, changes: &Changes<'_>, exchange: &mut Exchange) -> Result<Vec<Referenced>, Reason> {
        let mut referenced = Vec::new();
        for reference in self.case.references(self.residual.table(), changes)? {
            let permit = self.case.probe(reference.table, &reference.key)?;
            let answer = self.send(&permit, exchange).await?;
            // Not there, no longer there and hidden are one answer.
            if is_absent(answer.status) {
                return Err(Reason::ReferenceNotReadable);
            }
            let record =
                self.record_of(ok_json(answer)?, reference.table, &reference.key).map_err(|reason| match reason {
                    Reason::RecordHidden => Reason::ReferenceNotReadable,
                    other => other,
                })?;
            if !self.case.may_read(reference.table, &record)? {
                return Err(Reason::ReferenceNotReadable);
            }
            referenced.push(Referenced { relation: reference.relation, record });
        }
        Ok(referenced)
    }

    /// The record in an upstream's answer, if it is the one that was named.
    fn record_of(&self, body: Bytes, table: TableId, key: &str) -> Result<Bytes, Reason> {
        let broken = |_| Reason::UpstreamBroken;
        let declared = self.snapshot.catalog.table(table);
        let Dialect::Rest(dialect) = &self.snapshot.catalog.api(declared.api).dialect;
        let depth = self.case.depth;
        let record = redact::locate(&body, &dialect.record, depth).map_err(broken)?.ok_or(Reason::RecordHidden)?;
        let layout = self.snapshot.policies.layout(table);
        let slots = redact::slots(record, layout, depth).map_err(broken)?;
        let slot = layout.find(std::slice::from_ref(&declared.field(declared.key).name));
        match slot.map(|slot| slots.get(slot)) {
            Some(Slot::Raw(raw)) if redact::request::text(raw).as_deref() == Some(key) => Ok(body.slice_ref(record)),
            _ => Err(Reason::RecordHidden),
        }
    }

    /// Writes take no query: nothing in it could be judged.
    fn no_query(&self) -> Result<(), Reason> {
        if self.pairs.is_empty() { Ok(()) } else { Err(Reason::QueryNotAllowed) }
    }

    async fn send<Purpose>(&self, permit: &Permit<Purpose>, exchange: &mut Exchange) -> Result<Answer, Reason> {
        exchange.sent_upstream();
        let timer = exchange.metrics().phase_seconds.with_label_values(&["upstream"]).start_timer();
        let answer = self.snapshot.upstreams.send(permit).await;
        timer.observe_duration();
        answer.map_err(|failure| {
            exchange.detail(failure);
            failure.reason()
        })
    }

    /// Redacts an answer that goes to the client as it comes out, and records what was done.
    fn redact(&self, plan: &Plan, body: &[u8], exchange: &mut Exchange) -> Result<(Vec<u8>, Tally), Reason> {
        let Redacted { body, tally, .. } = self.judge(plan, body, exchange)?;
        let pushed = matches!(plan.frame, Frame::List { .. }) && self.pushes_tenant(plan.root.residual.table());
        exchange.redacted(&tally, plan, pushed);
        Ok((body, tally))
    }

    /// Redacts an answer without putting on record yet what was done.
    fn judge(&self, plan: &Plan, body: &[u8], exchange: &mut Exchange) -> Result<Redacted, Reason> {
        let timer = exchange.metrics().phase_seconds.with_label_values(&["redact"]).start_timer();
        let done = redact::answer(plan, body, self.snapshot.config.limits.response_body);
        timer.observe_duration();
        done.map_err(|unreadable| {
            exchange.detail(unreadable);
            Reason::UpstreamBroken
        })
    }

    fn pushes_tenant(&self, table: TableId) -> bool {
        rest::is_tenant_pushed(self.snapshot.catalog.table(table))
    }
}

/// Visible records of a walk: those before the client's page are counted, those on it are kept.
struct Window {
    skip: u64,
    take: u64,
    shown: u64,
    /// Joined by commas.
    records: Vec<u8>,
}

impl Window {
    /// Takes the records of one redacted page, and leaves in its tally only those that will be shown. Whether the client's
    /// page is full.
    fn add(&mut self, page: &mut Redacted) -> bool {
        let visible = page.records.len();
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(visible);
        let room = usize::try_from(self.take.saturating_sub(self.shown)).unwrap_or(usize::MAX);
        let shown = room.min(visible - skipped);
        self.skip -= skipped as u64;
        self.shown += shown as u64;
        self.records.reserve(page.body.len());
        for record in page.records.drain(..).skip(skipped).take(shown) {
            if !self.records.is_empty() {
                self.records.push(b',');
            }
            self.records.extend_from_slice(page.body.get(record).unwrap_or_default());
        }
        let tally = &mut page.tally;
        tally.keys = std::mem::take(&mut tally.keys).into_iter().skip(skipped).take(shown).collect();
        tally.kept = shown as u64;
        self.shown >= self.take
    }
}

/// An opaque route's answer: of a declared type, unread.
pub(super) async fn opaque(
    snapshot: &Snapshot,
    permit: &Permit<Opaque>,
    exchange: &mut Exchange,
) -> Result<Reply, Reason> {
    exchange.sent_upstream();
    let answer = snapshot.upstreams.send(permit).await.map_err(|failure| {
        exchange.detail(failure);
        failure.reason()
    })?;
    if answer.status == StatusCode::NOT_FOUND {
        return Err(Reason::RecordHidden);
    }
    if !answer.status.is_success() || answer.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Reason::UpstreamFailed);
    }
    if answer.body.is_empty() {
        return Ok(Reply::empty());
    }
    let content_type = answer.headers.get(header::CONTENT_TYPE).ok_or(Reason::UpstreamMediaType)?;
    let essence = essence(content_type).ok_or(Reason::UpstreamMediaType)?;
    if !permit.purpose().media_types.iter().any(|declared| declared.eq_ignore_ascii_case(essence)) {
        return Err(Reason::UpstreamMediaType);
    }
    Ok(Reply { status: StatusCode::OK, content_type: content_type.clone(), body: answer.body.clone() })
}

/// Not there and no longer there are one answer.
fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

fn essence(content_type: &HeaderValue) -> Option<&str> {
    content_type.to_str().ok()?.split(';').next().map(str::trim)
}

fn is_json(headers: &HeaderMap) -> bool {
    let json = |essence: &str| essence.eq_ignore_ascii_case("application/json");
    headers.get(header::CONTENT_TYPE).and_then(essence).is_some_and(json)
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether an entity tag can guard a write (RFC 9110, 8.8.3 and 13.1.1): a weak one never matches, `*` matches always.
fn is_strong(etag: &HeaderValue) -> bool {
    let opaque = etag.as_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    opaque.is_some_and(|opaque| !opaque.contains(&b'"') && !opaque.contains(&b' '))
}

/// A complete JSON answer to a read. A part of one (206) is none, and errors are never passed on.
fn ok_json(answer: Answer) -> Result<Bytes, Reason> {
    if answer.status != StatusCode::OK {
        return Err(Reason::UpstreamFailed);
    }
    if !is_json(&answer.headers) {
        return Err(Reason::UpstreamMediaType);
    }
    Ok(answer.body)
}

fn written(answer: &Answer) -> Result<(), Reason> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
        StatusCode::PRECONDITION_FAILED => Err(Reason::PreconditionFailed),
        status if is_absent(status) => Err(Reason::RecordHidden),
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Reason::UpstreamRefused)
        }
        _ => Err(Reason::UpstreamFailed),
    }
}
