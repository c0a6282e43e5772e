//! Batches: several requests in one, taken apart, judged one by one, and done together or not at all.
//!
//! Each part goes the way of a request of its own: its target is canonicalised and routed, its action decided, its query or
//! its body judged. Nothing but what has to be looked at is sent until all of them are. Then what reads before the writes is
//! read, the writes leave as one batch that is written anew, and what reads after them is read. What is refused or fails
//! before the writes refuses the whole; what fails after them is told in its part. No part is a batch or an opaque route.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::changes::{Judged, written};
use super::conditions::Conditions;
use super::records::{Step, failed, is_json};
use super::reply::{Content, Reply};
use crate::api::{Api, ApiId, Route, RouteKind, TableId};
use crate::audit;
use crate::canonical::{self, Canonical};
use crate::dialect::{self, Batches};
use crate::enforcement::write::Refusal;
use crate::enforcement::write::batch::{self, Answers, Kind, Told, mixed};
use crate::enforcement::{Case, Permit};
use crate::exchange::Exchange;
use crate::model::{Action, Name, Reason, RequestFacts};
use crate::policy::{Decision, Residual};
use crate::rejection::Rejection;
use crate::routing;
use crate::snapshot::Snapshot;
use crate::upstream::Failure;

/// A batch that somebody has sent.
#[derive(Clone, Copy)]
pub(super) struct Outer<'u, 'a> {
    pub snapshot: &'u Snapshot,
    pub case: &'a Case<'a>,
    pub api: ApiId,
    pub route: &'a Route,
    pub request: &'a Canonical,
    pub client: IpAddr,
    /// What separates its parts, where it isn't JSON; then neither is the answer.
    pub mixed: Option<&'a str>,
}

/// One of its parts: a request that means one thing.
pub(super) struct Part<'b> {
    sent: batch::Part<'b>,
    request: Canonical,
    facts: RequestFacts,
    route: usize,
    variables: Vec<(Name, String)>,
    table: TableId,
    action: Action,
    key: Option<String>,
    /// Whether of a list only its length is asked for.
    counts: bool,
}

impl<'u, 'a> Outer<'u, 'a> {
    /// There are batches for those for whom there is something to put into one. Errors: `TableHidden`.
    pub(super) fn check(&self) -> Result<(), Reason> {
        let mut tables = self.snapshot.catalog.tables().filter(|table| table.api == self.api);
        let is_seen = |decision| !matches!(decision, Decision::Deny(Reason::TableHidden, _));
        if !tables.any(|table| is_seen(self.case.decide(table.id, &Action::List))) {
            return Err(Reason::TableHidden);
        }
        if self.request.query.is_empty() { Ok(()) } else { Err(Reason::QueryNotAllowed) }
    }

    fn api(&self) -> &'u Api {
        self.snapshot.catalog.api(self.api)
    }

    pub(super) fn batches(&self) -> Result<Batches, Reason> {
        dialect::of(self.api()).batches().ok_or(Reason::RouteUnknown)
    }

    /// What its parts are about. Errors: it is no batch, or one of its parts is no request of its own here; which one is put
    /// on record.
    pub(super) fn parts<'b>(&self, body: &'b [u8], exchange: &mut Exchange) -> Result<Vec<Part<'b>>, Reason> {
        let RouteKind::Batch { most } = self.route.kind else { return Err(Reason::RouteUnknown) };
        let batches = self.batches()?;
        let read = match self.mixed {
            Some(boundary) => mixed::read(body, boundary, &self.request.host, most)?,
            None => batch::read(batches, body, most, self.case.depth)?,
        };
        let mut parts = Vec::with_capacity(read.len());
        for (number, sent) in read.into_iter().enumerate() {
            let part = self.part(batches, sent);
            parts.push(part.inspect_err(|_| exchange.detail(format_args!("part {number}")))?);
        }
        let about = |part: &Part<'_>| audit::Part {
            table: self.snapshot.catalog.table(part.table).name.to_string(),
            action: part.action.to_string(),
            key: part.key.clone(),
        };
        exchange.about_batch(&self.api().name, parts.iter().map(about).collect());
        Ok(parts)
    }

    fn part<'b>(&self, batches: Batches, sent: batch::Part<'b>) -> Result<Part<'b>, Reason> {
        let is_relative = batches == Batches::Odata && !sent.url.starts_with('/');
        let target = if is_relative {
            let own = self.request.path();
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{}", sent.url)
        } else {
            sent.url.clone()
        };
        let limits = &self.snapshot.config.limits;
        let request = canonical::part(self.request, &sent.method, &target, !sent.body.is_empty(), limits)?;
        let found = routing::resolve(&self.snapshot.catalog, &request, self.case.tenant)?;
        let routing::Kind::Table { table, action, key } = found.kind else { return Err(Reason::RouteUnknown) };
        // Whoever batches asks for records.
        if found.api != self.api || found.property.is_some() {
            return Err(Reason::RouteUnknown);
        }
        let route = self.api().routes.get(found.route);
        let counts = route.is_some_and(|route| matches!(route.kind, RouteKind::Count { .. }));
        if sent.plain && !counts {
            return Err(Reason::BodyMalformed);
        }
        let facts = RequestFacts { method: request.method.clone(), ip: self.client };
        let (route, variables) = (found.route, found.variables);
        Ok(Part { sent, request, facts, route, variables, table, action, key, counts })
    }

    /// Judges all of it, then does it.
    pub(super) async fn serve(&self, parts: &[Part<'_>], exchange: &mut Exchange) -> Result<Reply<'u>, Refusal> {
        let cases: Vec<Case<'_>> = parts.iter().map(|part| Case { request: &part.facts, ..*self.case }).collect();
        let mut residuals = Vec::with_capacity(parts.len());
        for (number, (part, case)) in parts.iter().zip(&cases).enumerate() {
            let decided = decide(case, part);
            residuals.push(decided.inspect_err(|_| exchange.detail(format_args!("part {number}")))?);
        }
        let mut steps = Vec::with_capacity(parts.len());
        let conditions = Conditions::default();
        for ((part, case), residual) in parts.iter().zip(&cases).zip(&residuals) {
            let route = self.api().routes.get(part.route).ok_or(Reason::RouteUnknown)?;
            let (variables, pairs) = (part.variables.as_slice(), part.request.query.as_slice());
            let (snapshot, conditions) = (self.snapshot, &conditions);
            steps.push(Step { snapshot, case, route, variables, residual, pairs, conditions, held: true });
        }
        let mut writes = Vec::new();
        let mut touched = HashSet::new();
        for (number, (part, step)) in parts.iter().zip(&steps).enumerate() {
            let judged = judge(part, step, exchange).await;
            let judged = judged.inspect_err(|_| exchange.detail(format_args!("part {number}")))?;
            let Some(judged) = judged else { continue };
            // The second change of a record would be judged by what it no longer is.
            if judged.key.as_ref().is_some_and(|key| !touched.insert((part.table, key.clone()))) {
                return Err(Reason::BodyMalformed.into());
            }
            writes.push((number, judged));
        }
        // What goes along with a record was looked at before anything was written: none may be added on the way.
        for part in parts.iter().filter(|part| part.action == Action::Delete) {
            let along = self.case.cascades_to(part.table);
            let adds = |other: &Part<'_>| other.action.writes() && other.action != Action::Delete;
            if parts.iter().any(|other| adds(other) && along.contains(&other.table)) {
                return Err(Reason::CascadeNotGranted.into());
            }
        }
        let last = writes.last().map(|(number, _)| *number);
        let mut told: Vec<Option<Told>> = parts.iter().map(|_| None).collect();
        let mut held = 0;
        let mut writes = Some(writes);
        for (number, (part, step)) in parts.iter().zip(&steps).enumerate() {
            if part.action.writes() {
                // All at once, where the first of them stands.
                if let Some(writes) = writes.take() {
                    self.write(step, parts, writes, &mut told, exchange).await?;
                }
                continue;
            }
            let done = match (&part.action, &part.key) {
                (Action::Read, Some(key)) => step.read(key, exchange).await,
                _ if part.counts => step.count(exchange).await,
                (action, _) => step.list(action, exchange).await,
            };
            let (status, body, kind) = match done {
                Ok(reply) => {
                    let kind = if part.counts { Kind::Plain } else { Kind::Json };
                    (reply.status, whole(reply)?, kind)
                }
                // It is too late to refuse what was written.
                Err(reason) if last.is_some_and(|last| last < number) => {
                    exchange.detail(format_args!("part {number}: {}", reason.label()));
                    let rejection = Rejection::from(reason);
                    (rejection.status, rejection.body().into(), Kind::Json)
                }
                Err(reason) => {
                    exchange.detail(format_args!("part {number}"));
                    return Err(reason.into());
                }
            };
            held += body.len();
            if held > self.snapshot.config.limits.response_body {
                return Err(failed(Failure::TooLarge, exchange).into());
            }
            if let Some(place) = told.get_mut(number) {
                *place = Some(Told::of(&part.sent, status, body, kind));
            }
        }
        let told: Vec<Told> = told.into_iter().flatten().collect();
        if self.mixed.is_none() {
            return Ok(Reply::json(StatusCode::OK, batch::print(self.batches()?, &told)));
        }
        let boundary = format!("batch_{}", self.case.request_id);
        let content_type = format!("{}; boundary={boundary}", mixed::MEDIA_TYPE);
        let content_type = HeaderValue::try_from(content_type).map_err(|_| Reason::Internal)?;
        let reply = Reply::of(StatusCode::OK, content_type, Content::Whole(mixed::print(&told, &boundary).into()));
        Ok(reply.tells([("odata-version", "4.0".to_owned())]))
    }

    /// Sends the writes as one batch and tells what came of each.
    async fn write(
        &self,
        step: &Step<'u, '_>,
        parts: &[Part<'_>],
        writes: Vec<(usize, Judged)>,
        told: &mut [Option<Told>],
        exchange: &mut Exchange,
    ) -> Result<(), Refusal> {
        let mut granted = BTreeSet::new();
        let (mut permits, mut places) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
        for (number, judged) in writes {
            granted.extend(judged.permitted.rules);
            permits.push(judged.permitted.permit);
            places.push((number, judged.status));
        }
        exchange.granted_by(granted);
        let permit: Permit<batch::Batch> = self.case.batch(self.api(), self.route, permits)?;
        let answer = step.fetch(&permit, exchange).await?;
        match written(answer.status) {
            // There is such a route, or nothing of this is so.
            Err(Reason::RecordHidden) => return Err(Reason::UpstreamFailed.into()),
            done => done?,
        }
        if !is_json(&answer.headers) {
            return Err(Reason::UpstreamMediaType.into());
        }
        let bodies = match permit.purpose().answers(&answer.body, self.case.depth) {
            Ok(Answers::Done(bodies)) => bodies,
            Ok(Answers::Refused(status)) => {
                let refused = written(status).err().unwrap_or(Reason::UpstreamFailed);
                return Err(refused.into());
            }
            Err(unreadable) => {
                exchange.detail(unreadable);
                return Err(Reason::UpstreamBroken.into());
            }
        };
        for (((number, status), plan), body) in places.into_iter().zip(permit.purpose().plans()).zip(bodies) {
            let (status, body) = match plan {
                Some(plan) if !body.is_empty() => {
                    let (out, tally) = step.redact(plan, &body, exchange)?;
                    if tally.kept == 0 { (StatusCode::NO_CONTENT, Bytes::new()) } else { (status, out.into()) }
                }
                _ => (StatusCode::NO_CONTENT, Bytes::new()),
            };
            if let (Some(place), Some(part)) = (told.get_mut(number), parts.get(number)) {
                *place = Some(Told::of(&part.sent, status, body, Kind::Json));
            }
        }
        Ok(())
    }
}

fn decide(case: &Case<'_>, part: &Part<'_>) -> Result<Arc<Residual>, Refusal> {
    match case.decide(part.table, &part.action) {
        Decision::Allow(residual) | Decision::Conditional(residual) => Ok(residual),
        Decision::Deny(Reason::TableHidden, rule) => Err(Refusal { reason: Reason::TableHidden, rule }),
        Decision::Deny(reason, rule) => {
            case.check_refused_query(part.table, &part.action, &part.request.query)?;
            Err(Refusal { reason, rule })
        }
    }
}

/// Whether a part may be done; of a write, with what is to be sent.
async fn judge(part: &Part<'_>, step: &Step<'_, '_>, exchange: &mut Exchange) -> Result<Option<Judged>, Refusal> {
    let residual = Arc::clone(step.residual);
    match (&part.action, &part.key) {
        (Action::Read, Some(_)) => {
            step.case.read(step.route, step.variables, residual, step.pairs)?;
            Ok(None)
        }
        (Action::List, _) if part.counts => {
            step.case.count(step.route, step.variables, &residual, step.pairs)?;
            Ok(None)
        }
        (Action::List, _) => {
            step.case.list(&part.action, step.route, step.variables, residual, step.pairs)?;
            Ok(None)
        }
        (action, key) if action.writes() => {
            let answer = step.case.representation(part.table, action, step.pairs)?;
            step.judged(action, key.as_deref(), part.sent.body, &answer, exchange).await.map(Some)
        }
        _ => Err(Reason::RouteUnknown.into()),
    }
}

/// The body of a reply that was held.
fn whole(reply: Reply<'_>) -> Result<Bytes, Reason> {
    match reply.content {
        Content::Whole(body) => Ok(body),
        Content::Nothing => Ok(Bytes::new()),
        Content::Flow(_) | Content::Live(..) => Err(Reason::Internal),
    }
}
