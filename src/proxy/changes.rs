//! Writes: the look at the record before, the records that are pointed to, the change, and what is told of it.
//!
//! A write's answer is judged as a read; where it may not be read, the write is all that is told.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::records::{Step, is_absent, is_json, ok_json};
use super::reply::Reply;
use crate::api::{Form, TableId};
use crate::dialect;
use crate::enforcement::write::{Before, Element, Permitted, Referenced, Refusal, Representation, Way};
use crate::enforcement::{Permit, Write};
use crate::exchange::Exchange;
use crate::model::{Action, Reason};
use crate::policy::{Decision, Residual, Slot, Verdict};
use crate::redact::{self, Changes, Tally, Unreadable, parts};
use crate::upstream::Whole;

/// Lists that are looked at before a record is deleted that takes others with it.
const MAX_CASCADES: usize = 100;

/// A write that was judged: nothing was sent yet but what had to be looked at.
pub(super) struct Judged {
    pub permitted: Permitted,
    /// Of its answer.
    pub status: StatusCode,
    /// The record that it names.
    pub key: Option<String>,
}

impl<'u> Step<'u, '_> {
    /// A write of one record, or of several in an array.
    pub(super) async fn write(
        &self,
        action: &Action,
        key: Option<&str>,
        body: &[u8],
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Refusal> {
        // Before anything is looked at: nothing is written whose answer may not be asked for so.
        let answer = self.case.representation(self.residual.table(), action, self.pairs)?;
        if let Form::Many(most) = self.route.form
            && (parts::is_array(body) || key.is_none() && *action == Action::Update)
        {
            return self.several(action, body, most, &answer, exchange).await;
        }
        let judged = self.judged(action, key, body, &answer, exchange).await?;
        if judged.permitted.permit.purpose().scoped {
            return self.scoped(action, key, body, &answer, judged, exchange).await;
        }
        let Judged { permitted: Permitted { permit, rules }, status, .. } = judged;
        exchange.granted_by(rules);
        let answer = self.fetch(&permit, exchange).await?;
        written(answer.status)?;
        let told = self.told(&permit, &answer, exchange)?;
        Ok(told.map_or_else(Reply::empty, |(out, tally)| shown(status, out, &tally)))
    }

    /// What may be read of a write's answer. `None`: the write is all that is told.
    fn told(
        &self,
        permit: &Permit<Write>,
        answer: &Whole,
        exchange: &mut Exchange,
    ) -> Result<Option<(Vec<u8>, Tally)>, Reason> {
        match &permit.purpose().plan {
            Some(plan) if !answer.body.is_empty() && is_json(&answer.headers) => {
                self.redact(plan, &answer.body, exchange).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Judges a write of one record.
    pub(super) async fn judged(
        &self,
        action: &Action,
        key: Option<&str>,
        body: &[u8],
        answer: &Representation,
        exchange: &mut Exchange,
    ) -> Result<Judged, Refusal> {
        let way = Way { route: self.route, variables: self.variables, answer };
        match (action, key, self.route.form) {
            (Action::Create, None, _) => {
                self.conditions.check_absent()?;
                self.create(self.residual, way, body, exchange).await
            }
            (Action::Update, key, Form::Upsert) => self.upsert(key, body, answer, exchange).await,
            (Action::Update, Some(key), Form::Whole) => {
                let before = self.before(key, exchange).await?;
                let body = self.case.keyless(self.residual.table(), key, body)?;
                let body = self.case.whole(self.residual, &body)?;
                let (route, variables) = self.case.route_of(self.residual.table(), action, key)?;
                let way = Way { route, variables: &variables, answer };
                self.changed(way, before, key, Some(&body), exchange).await
            }
            (Action::Delete, Some(key), _) => {
                let before = self.before(key, exchange).await?;
                exchange.touched(key);
                let permitted = self.case.remove(way, self.residual, &before)?;
                self.cascades(key, exchange).await?;
                Ok(Judged { permitted, status: StatusCode::NO_CONTENT, key: Some(key.to_owned()) })
            }
            (Action::Update | Action::Transfer | Action::Custom(_), Some(key), _) => {
                let before = self.before(key, exchange).await?;
                // Only an action of the API's own may come without a body.
                let bare = body.is_empty() && matches!(action, Action::Custom(_));
                let body = Some(body).filter(|_| !bare);
                self.changed(way, before, key, body, exchange).await
            }
            _ => Err(Reason::RouteUnknown.into()),
        }
    }

    async fn create(
        &self,
        residual: &Arc<Residual>,
        way: Way<'_>,
        body: &[u8],
        exchange: &mut Exchange,
    ) -> Result<Judged, Refusal> {
        let changes = self.case.changes(residual, body)?;
        let referenced = self.referenced(&changes, exchange).await?;
        let permitted = self.case.create(way, residual, &changes, &referenced)?;
        let table = self.snapshot.catalog.table(residual.table());
        let key = changes.fields.iter().find(|change| change.field == table.key);
        let key = key.and_then(|change| redact::request::text(change.raw));
        Ok(Judged { permitted, status: StatusCode::CREATED, key })
    }

    async fn changed(
        &self,
        way: Way<'_>,
        before: Before,
        key: &str,
        body: Option<&[u8]>,
        exchange: &mut Exchange,
    ) -> Result<Judged, Refusal> {
        exchange.touched(key);
        let changes = body.map(|body| self.case.changes(self.residual, body)).transpose()?;
        let referenced = match &changes {
            Some(changes) => self.referenced(changes, exchange).await?,
            None => Vec::new(),
        };
        let permitted = self.case.change(way, self.residual, &before, changes.as_ref(), &referenced)?;
        Ok(Judged { permitted, status: StatusCode::OK, key: Some(key.to_owned()) })
    }

    /// A change of the record where the caller knows one of that key, or else a new one. One that exists and is hidden is none
    /// to the caller: the service itself refuses a second record of its key, as it does whoever makes one.
    async fn upsert(
        &self,
        key: Option<&str>,
        body: &[u8],
        answer: &Representation,
        exchange: &mut Exchange,
    ) -> Result<Judged, Refusal> {
        let table = self.residual.table();
        // Both, before anything is looked at: which of them is missing would tell whether there is such a record.
        let creating = match self.case.decide(table, &Action::Create) {
            Decision::Allow(residual) | Decision::Conditional(residual) => residual,
            Decision::Deny(reason, rule) => return Err(Refusal { reason, rule }),
        };
        let (named, rest) = match key {
            Some(key) => (Some(key.to_owned()), self.case.keyless(table, key, body)?),
            None => {
                let (raw, rest) = self.case.keyed(table, body)?;
                (raw.and_then(|raw| redact::request::text(&raw)), rest)
            }
        };
        let Some(key) = named else {
            self.conditions.check_absent()?;
            let (route, variables) = self.case.route_of(table, &Action::Create, "")?;
            let way = Way { route, variables: &variables, answer };
            return self.create(&creating, way, &rest, exchange).await;
        };
        match self.before(&key, exchange).await {
            Ok(before) => {
                let (route, variables) = self.case.route_of(table, &Action::Update, &key)?;
                let way = Way { route, variables: &variables, answer };
                self.changed(way, before, &key, Some(&rest), exchange).await
            }
            Err(Reason::RecordHidden | Reason::RecordForeign) => {
                self.conditions.check_absent()?;
                let body = self.case.with_key(table, &key, &rest)?;
                let (route, variables) = self.case.route_of(table, &Action::Create, &key)?;
                let way = Way { route, variables: &variables, answer };
                self.create(&creating, way, &body, exchange).await
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Several records in one request. Each is judged by itself, and all are refused where one is.
    async fn several(
        &self,
        action: &Action,
        body: &[u8],
        most: usize,
        answer: &Representation,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Refusal> {
        // Of which of them would that be?
        self.conditions.check_absent()?;
        let table = self.residual.table();
        let bodies = parts::elements(body, most, self.case.depth).map_err(|unreadable| match unreadable {
            Unreadable::TooLarge => Reason::BodyTooLarge,
            _ => Reason::BodyMalformed,
        })?;
        if bodies.is_empty() {
            return Err(Reason::BodyMalformed.into());
        }
        let mut elements = Vec::with_capacity(bodies.len());
        let (mut granted, mut touched) = (BTreeSet::new(), HashSet::new());
        for (number, body) in bodies.iter().enumerate() {
            let judged = self.element(action, body, answer, exchange).await;
            let (raw, judged) = judged.inspect_err(|_| exchange.detail(format_args!("element {number}")))?;
            // The second change of a record would be judged by what it no longer is.
            if judged.key.is_some_and(|key| !touched.insert(key)) {
                return Err(Reason::BodyMalformed.into());
            }
            granted.extend(judged.permitted.rules);
            elements.push(Element { key: raw, permit: judged.permitted.permit });
        }
        let count = elements.len() as u64;
        let permit = self.case.together(table, elements, answer)?;
        exchange.granted_by(granted);
        let answer = self.fetch(&permit, exchange).await?;
        written(answer.status)?;
        let Some((out, tally)) = self.told(&permit, &answer, exchange)? else { return Ok(Reply::empty()) };
        if tally.scanned != count {
            return Err(Reason::UpstreamBroken.into());
        }
        let status = if *action == Action::Create { StatusCode::CREATED } else { StatusCode::OK };
        Ok(shown(status, out, &tally))
    }

    /// One record of several, and the raw key that names it where it is a change.
    async fn element(
        &self,
        action: &Action,
        body: &[u8],
        answer: &Representation,
        exchange: &mut Exchange,
    ) -> Result<(Option<Vec<u8>>, Judged), Refusal> {
        if *action == Action::Create {
            return Ok((None, self.judged(action, None, body, answer, exchange).await?));
        }
        let (raw, rest) = self.case.keyed(self.residual.table(), body)?;
        let raw = raw.ok_or(Reason::BodyMalformed)?;
        let key = redact::request::text(&raw).ok_or(Reason::BodyMalformed)?;
        Ok((Some(raw), self.judged(action, Some(&key), &rest, answer, exchange).await?))
    }

    /// Looks at all that the upstream would delete with a record.
    async fn cascades(&self, key: &str, exchange: &mut Exchange) -> Result<(), Refusal> {
        let mut open = vec![(self.residual.table(), key.to_owned())];
        let mut looks = 0;
        while let Some((table, key)) = open.pop() {
            for (table, by) in &self.snapshot.catalog.table(table).cascades {
                looks += 1;
                if looks > MAX_CASCADES {
                    return Err(Reason::CascadeNotGranted.into());
                }
                let permit = self.case.cascade(*table, *by, &key)?;
                let answer = self.fetch(&permit, exchange).await?;
                for key in self.case.cascading(*table, &ok_json(answer)?)? {
                    exchange.touched(&key);
                    open.push((*table, key));
                }
            }
        }
        Ok(())
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
        let body = ok_json(answer)?;
        let record = self.record_of(body.clone(), table, key)?;
        let slots =
            redact::slots(&record, self.residual.layout(), self.case.depth).map_err(|_| Reason::UpstreamBroken)?;
        match self.residual.judge(&slots).verdict {
            Verdict::Foreign => return Err(Reason::RecordForeign),
            Verdict::Visible(_) => {}
            Verdict::Denied(_) | Verdict::Unmatched if self.case.may_read(table, &record)? => {}
            Verdict::Denied(_) | Verdict::Unmatched => return Err(Reason::RecordHidden),
        }
        if !self.conditions.is_empty() {
            self.conditions.check(self.tag_now(&body, exchange)?.as_deref())?;
        }
        Ok(Before { record, etag })
    }

    /// The tag under which the caller would read this record now. `None`: they can't.
    fn tag_now(&self, body: &[u8], exchange: &mut Exchange) -> Result<Option<String>, Reason> {
        let Some(plan) = self.case.shown(self.residual.table())? else { return Ok(None) };
        let shown = self.judge(&plan, body, exchange)?;
        if shown.tally.kept == 0 { Ok(None) } else { self.tag(&shown.body) }
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
            referenced.extend(reference.relation.map(|relation| Referenced { relation, record }));
        }
        Ok(referenced)
    }

    /// The record in an upstream's answer, if it is the one that was named.
    pub(super) fn record_of(&self, body: Bytes, table: TableId, key: &str) -> Result<Bytes, Reason> {
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
}

/// The records of a write's answer, if any of them shows.
pub(super) fn shown<'u>(status: StatusCode, out: Vec<u8>, tally: &Tally) -> Reply<'u> {
    if tally.kept == 0 { Reply::empty() } else { Reply::json(status, out) }
}

/// Whether an entity tag can guard a write (RFC 9110, 8.8.3 and 13.1.1): a weak one never matches, `*` matches always.
fn is_strong(etag: &HeaderValue) -> bool {
    let opaque = etag.as_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    opaque.is_some_and(|opaque| !opaque.contains(&b'"') && !opaque.contains(&b' '))
}

/// Whether a write was done.
pub(super) fn written(status: StatusCode) -> Result<(), Reason> {
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
        StatusCode::PRECONDITION_FAILED => Err(Reason::PreconditionFailed),
        status if is_absent(status) => Err(Reason::RecordHidden),
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Reason::UpstreamRefused)
        }
        _ => Err(Reason::UpstreamFailed),
    }
}
