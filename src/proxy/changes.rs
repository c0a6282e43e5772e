//! Writes: the look at the record before, the records that are pointed to, the change, and what is told of it.
//!
//! A write's answer is judged as a read; where it may not be read, the write is all that is told.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::records::{Step, is_absent, is_json, ok_json};
use super::reply::Reply;
use crate::api::TableId;
use crate::dialect;
use crate::enforcement::write::{Before, Permitted, Referenced, Refusal};
use crate::exchange::Exchange;
use crate::model::{Action, Reason};
use crate::policy::{Slot, Verdict};
use crate::redact::{self, Changes};
use crate::upstream::Whole;

impl<'u> Step<'u, '_> {
    pub(super) async fn create(&self, body: &[u8], exchange: &mut Exchange) -> Result<Reply<'u>, Refusal> {
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
    ) -> Result<Reply<'u>, Refusal> {
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

    pub(super) async fn remove(&self, key: &str, exchange: &mut Exchange) -> Result<Reply<'u>, Refusal> {
        self.no_query()?;
        let before = self.before(key, exchange).await?;
        exchange.touched(key);
        let permitted = self.case.remove(self.route, self.variables, self.residual, &before)?;
        exchange.granted_by(permitted.rules.iter().cloned());
        let answer = self.fetch(&permitted.permit, exchange).await?;
        written(&answer)?;
        Ok(Reply::empty())
    }

    /// A write's answer is judged as a read; where it may not be read, the write is all that is told.
    async fn write(
        &self,
        permitted: Permitted,
        status: StatusCode,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Refusal> {
        exchange.granted_by(permitted.rules.iter().cloned());
        let answer = self.fetch(&permitted.permit, exchange).await?;
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
        let answer = self.fetch(&permit, exchange).await?;
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
            let answer = self.fetch(&permit, exchange).await?;
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
        let place = dialect::of(self.snapshot.catalog.api(declared.api)).envelope().record;
        let depth = self.case.depth;
        let record = redact::locate(&body, place, depth).map_err(broken)?.ok_or(Reason::RecordHidden)?;
        let record = match &declared.container {
            None => body.slice_ref(record),
            Some(_) => redact::request::lift(record, declared, depth).map_err(broken)?.into(),
        };
        let layout = self.snapshot.policies.layout(table);
        let slots = redact::slots(&record, layout, depth).map_err(broken)?;
        let slot = layout.find(std::slice::from_ref(&declared.field(declared.key).name));
        match slot.map(|slot| slots.get(slot)) {
            Some(Slot::Raw(raw)) if redact::request::text(raw).as_deref() == Some(key) => Ok(record.clone()),
            _ => Err(Reason::RecordHidden),
        }
    }

    /// Writes take no query: nothing in it could be judged.
    fn no_query(&self) -> Result<(), Reason> {
        if self.pairs.is_empty() { Ok(()) } else { Err(Reason::QueryNotAllowed) }
    }
}

/// Whether an entity tag can guard a write (RFC 9110, 8.8.3 and 13.1.1): a weak one never matches, `*` matches always.
fn is_strong(etag: &HeaderValue) -> bool {
    let opaque = etag.as_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    opaque.is_some_and(|opaque| !opaque.contains(&b'"') && !opaque.contains(&b' '))
}

fn written(answer: &Whole) -> Result<(), Reason> {
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
