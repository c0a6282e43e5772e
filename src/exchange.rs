//! One request's state from its first byte to its audit record.
//!
//! An [`Exchange`] is counted in flight from its making to its drop. Its intent is journaled before the first byte leaves;
//! whatever then happens to it (an answer, a refusal, a panic, a client that left), exactly one outcome follows.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::admission::turns::Turn;
use crate::admission::{Limited, Quota};
use crate::audit::{Intent, Log, Outcome, Part, Pending, Unwritable};
use crate::authn::Nonce;
use crate::canonical::Canonical;
use crate::enforcement::Asked;
use crate::metrics::Metrics;
use crate::model::{Action, Name, Principal, Reason, RequestId, TenantScope, Trace};
use crate::redact::plan::FieldChange;
use crate::redact::{Plan, Tally};

pub struct Exchange {
    pub id: RequestId,
    pub trace: Trace,
    /// The same instant for every rule of this exchange.
    pub now: Timestamp,
    started: Instant,
    log: Arc<Log>,
    metrics: Metrics,
    action: &'static str,
    intent: Intent,
    outcome: Outcome,
    /// Whether its intent was given to the log, which it is once: what comes of an attempt that was cut short or failed is
    /// the log's own affair.
    announced: bool,
    /// Set once the intent is written.
    pending: Option<Pending>,
    ended: bool,
    /// What is left for the caller, of the rate that leaves the least.
    quota: Option<Quota>,
    /// In how many seconds the upstream may be asked again.
    wait: Option<u64>,
    /// What the client's next proof should repeat.
    nonce: Option<Nonce>,
    /// What a client without good credentials is asked for (RFC 9110, section 11.6.1).
    challenge: &'static str,
    /// Goes to the next one when this exchange has ended.
    turn: Option<Turn>,
    /// Whether it has no end of its own, and is not counted in flight.
    live: bool,
    /// Whether its credentials were good.
    known: bool,
    /// Whether it has given up its place among those in flight.
    delivers: bool,
}

impl Exchange {
    /// `trace`: a `traceparent` header, if there was one.
    pub fn begin(now: Timestamp, client: IpAddr, trace: Option<&[u8]>, log: &Arc<Log>, metrics: &Metrics) -> Self {
        metrics.in_flight.inc();
        let id = RequestId::generate();
        let trace = Trace::of(trace);
        let intent = Intent {
            request_id: id.to_string(),
            trace_id: trace.id(),
            client: client.to_string(),
            ..Intent::default()
        };
        Self {
            id,
            trace,
            now,
            started: Instant::now(),
            log: Arc::clone(log),
            metrics: metrics.clone(),
            action: "none",
            intent,
            outcome: Outcome::default(),
            announced: false,
            pending: None,
            ended: false,
            quota: None,
            wait: None,
            nonce: None,
            challenge: "Bearer",
            turn: None,
            live: false,
            known: false,
            delivers: false,
        }
    }

    pub fn under(&mut self, policy_hash: &str, config_hash: &str) {
        self.intent.policy_hash = policy_hash.to_owned();
        self.intent.config_hash = config_hash.to_owned();
    }

    pub fn asks(&mut self, request: &Canonical) {
        self.intent.method = request.method.to_string();
        self.intent.path = request.path();
    }

    pub fn by(&mut self, principal: &Principal) {
        self.known = true;
        self.intent.principal = Some(principal.id.to_string());
        self.intent.issuer = Some(principal.issuer.to_string());
        self.intent.authenticated_by = Some(principal.method.name());
        self.intent.roles = principal.roles.iter().map(ToString::to_string).collect();
    }

    pub fn for_tenant(&mut self, tenant: &TenantScope) {
        self.intent.tenant = Some(tenant.to_string());
    }

    /// Notes what a rate has left, or that it has nothing.
    pub fn admitted(&mut self, quota: Result<Option<Quota>, Limited>) -> Result<(), Reason> {
        match quota {
            Ok(quota) => {
                if let Some(quota) = quota
                    && self.quota.as_ref().is_none_or(|known| quota.urgency() < known.urgency())
                {
                    self.quota = Some(quota);
                }
                Ok(())
            }
            Err(Limited { per, quota }) => {
                self.metrics.rate_limited.with_label_values(&[per.name()]).inc();
                self.detail(format_args!("per {}", per.name()));
                self.quota = Some(quota);
                Err(Reason::RateLimited)
            }
        }
    }

    pub fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    /// The upstream has had too much.
    pub fn waits(&mut self, seconds: u64) {
        self.wait = Some(seconds);
    }

    /// In how many seconds the upstream may be asked again, if it had too much.
    pub fn wait(&self) -> Option<u64> {
        self.wait
    }

    /// Whether its credentials were good.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The client is told what its next proof should repeat.
    pub fn tells(&mut self, nonce: Nonce) {
        self.nonce = Some(nonce);
    }

    pub fn nonce(&self) -> Option<Nonce> {
        self.nonce
    }

    /// Its credentials were not good: the client is told what is wanted in their place.
    pub fn challenges(&mut self, challenge: &'static str) {
        self.challenge = challenge;
    }

    pub fn challenge(&self) -> &'static str {
        self.challenge
    }

    /// It is this exchange's turn, until it ends.
    pub fn has_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// It lasts: its place among the exchanges in flight is somebody else's.
    pub fn lives(&mut self, turn: Turn) {
        self.turn = Some(turn);
        self.live = true;
        self.metrics.live.inc();
        self.metrics.in_flight.dec();
    }

    pub fn has_its_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Nothing is left but that the client takes a short answer, which may last for as long as the client likes: the turn and
    /// the place among those in flight are somebody else's now. One that has its turn keeps both where `most` are waited for
    /// like this already, so that what is held for clients is bounded. Whether there was room.
    pub fn gives_way(&mut self, most: usize) -> bool {
        let has_room = self.metrics.delivering.get() < i64::try_from(most).unwrap_or(i64::MAX);
        if (has_room || self.turn.is_none()) && !self.delivers {
            self.turn = None;
            if std::mem::take(&mut self.live) {
                self.metrics.in_flight.inc();
                self.metrics.live.dec();
            }
            self.delivers = true;
            self.metrics.delivering.inc();
        }
        has_room
    }

    pub fn about(&mut self, api: &str, table: &str, action: &Action, key: Option<&str>) {
        self.action = action.label();
        self.intent.api = Some(api.to_owned());
        self.intent.table = Some(table.to_owned());
        self.intent.action = Some(action.to_string());
        self.intent.key = key.map(str::to_owned);
    }

    pub fn about_opaque(&mut self, api: &str, route: &str) {
        self.action = "opaque";
        self.intent.api = Some(api.to_owned());
        self.intent.action = Some(format!("opaque:{route}"));
        self.outcome.opaque = true;
    }

    /// It is about several requests at once.
    pub fn about_batch(&mut self, api: &str, parts: Vec<Part>) {
        self.action = "batch";
        self.intent.api = Some(api.to_owned());
        self.intent.action = Some("batch".to_owned());
        self.intent.parts = parts;
    }

    /// A document about an API, made here.
    pub fn about_metadata(&mut self, api: &str, document: &str) {
        self.action = "metadata";
        self.intent.api = Some(api.to_owned());
        self.intent.action = Some(format!("metadata:{document}"));
    }

    /// Journals the intent, once; before any byte leaves.
    pub async fn announce(&mut self) -> Result<(), Reason> {
        if self.pending.is_none() {
            if std::mem::replace(&mut self.announced, true) {
                return Err(Reason::AuditUnavailable);
            }
            let intent = std::mem::take(&mut self.intent);
            match self.log.begin(intent).await {
                Ok(pending) => self.pending = Some(pending),
                Err(Unwritable) => return Err(Reason::AuditUnavailable),
            }
        }
        Ok(())
    }

    pub fn sent_upstream(&mut self) {
        self.outcome.upstream_requests += 1;
    }

    /// A walk through a list goes on where another one stopped, as it was told or as it is remembered.
    pub fn resumes(&mut self, by: &'static str) {
        self.outcome.resumed = Some(by);
    }

    pub fn granted_by(&mut self, rules: impl IntoIterator<Item = Name>) {
        self.outcome.rules_granted.extend(rules.into_iter().map(|rule| rule.to_string()));
    }

    pub fn denied_by(&mut self, rule: Option<Name>) {
        self.outcome.rules_denied.extend(rule.map(|rule| rule.to_string()));
    }

    /// For which field it is refused, if for one.
    pub fn blames(&mut self, field: Option<String>) {
        self.outcome.refused_for = field;
    }

    pub fn detail(&mut self, detail: impl ToString) {
        self.outcome.detail = Some(detail.to_string());
    }

    pub fn touched(&mut self, key: &str) {
        self.outcome.keys.push(key.as_bytes());
    }

    /// What redaction did to an answer to what was asked: a record that was not asked for is a fault of the upstream's, or
    /// of what the API description says of it.
    pub fn redacted(&mut self, tally: &Tally, plan: &Plan, asked: &Asked) {
        self.pushed(asked);
        let (outcome, metrics) = (&mut self.outcome, &self.metrics);
        outcome.rows_returned += tally.kept;
        outcome.rows_dropped += tally.dropped + tally.foreign;
        // A record that was changed and is in the answer too is one record.
        let again = outcome.keys.len() == 1 && outcome.keys.iter().eq(tally.keys.iter().take(1));
        let room = Tally::MAX_KEYS.saturating_sub(outcome.keys.len());
        outcome.keys.extend(&tally.keys, usize::from(again), room);
        if asked.tenant {
            outcome.tenant_violations += tally.foreign;
            metrics.tenant_violations.inc_by(tally.foreign);
        }
        if asked.exact {
            outcome.pushdown_leaks += tally.root_dropped();
            metrics.pushdown_leaks.inc_by(tally.root_dropped());
        }
        let (mut masked, mut removed, mut mismatched) = (0, 0, 0);
        for ((table, field), (change, count)) in &tally.fields {
            let table = plan.catalog.table(*table);
            let name = [&*table.name, ".", &*table.field(*field).name].concat();
            let (list, sum) = match change {
                FieldChange::Masked => (&mut outcome.fields_masked, &mut masked),
                FieldChange::Removed => (&mut outcome.fields_removed, &mut removed),
                FieldChange::Mismatched => (&mut outcome.fields_mismatched, &mut mismatched),
            };
            if !list.contains(&name) {
                list.push(name);
            }
            *sum += count;
        }
        for rule in &tally.granted {
            outcome.rules_granted.push(rule.to_string());
        }
        for rule in &tally.denied {
            outcome.rules_denied.push(rule.to_string());
        }
        let sums =
            [("masked", masked), ("removed", removed), ("mismatched", mismatched), ("undeclared", tally.undeclared)];
        for (how, sum) in sums {
            metrics.fields_redacted.with_label_values(&[how]).inc_by(sum);
        }
        metrics.rows_returned.inc_by(tally.kept);
        metrics.rows_dropped.inc_by(tally.dropped + tally.foreign);
        metrics.policy_errors.inc_by(tally.errors);
    }

    /// What many records come to was told, and none of them. `names`: what of which fields.
    pub fn aggregated(&mut self, names: &[String], groups: u64, asked: &Asked) {
        self.outcome.aggregated.extend_from_slice(names);
        self.outcome.groups += groups;
        self.pushed(asked);
    }

    fn pushed(&mut self, asked: &Asked) {
        for pushed in &*asked.pushed {
            if !self.outcome.pushed.contains(pushed) {
                self.outcome.pushed.push(pushed.clone());
            }
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The head of the answer leaves, or is about to.
    pub fn answers(&mut self, status: u16) {
        self.outcome.status = status;
    }

    /// Bytes of the answer's body have left.
    pub fn passes(&mut self, bytes: usize) {
        self.outcome.bytes_sent += bytes as u64;
    }

    /// Ends it short of a complete answer: what has left stays as it was put on record.
    pub async fn cut(mut self, reason: Reason) {
        let announced = self.announce().await;
        self.outcome.result = "aborted";
        self.finish(Some(reason), announced.is_ok());
    }

    /// Ends it with what was sent. A refusal that was never announced is announced first, so that both lines exist.
    pub async fn end(mut self, status: u16, reason: Option<Reason>) {
        let announced = self.announce().await;
        self.outcome.status = status;
        self.outcome.result = match reason {
            None => "allowed",
            // What a client asked for that there is not, is not a failure.
            Some(_) if status >= 500 && !matches!(status, 501 | 505) => "failed",
            Some(_) => "refused",
        };
        self.finish(reason, announced.is_ok());
    }

    fn finish(mut self, reason: Option<Reason>, announced: bool) {
        self.outcome.reason = reason.map(Reason::label);
        if let Some(reason) = reason {
            self.metrics.refusals.with_label_values(&[reason.label()]).inc();
        }
        if announced {
            self.close();
        }
        self.count();
    }

    fn count(&mut self) {
        self.ended = true;
        self.metrics.requests.with_label_values(&[self.action, self.outcome.result]).inc();
        self.metrics.phase_seconds.with_label_values(&["total"]).observe(self.started.elapsed().as_secs_f64());
    }

    fn close(&mut self) {
        if let Some(pending) = self.pending.take() {
            let mut outcome = std::mem::take(&mut self.outcome);
            outcome.duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            for list in [
                &mut outcome.rules_granted,
                &mut outcome.rules_denied,
                &mut outcome.fields_masked,
                &mut outcome.fields_removed,
                &mut outcome.fields_mismatched,
            ] {
                list.sort();
                list.dedup();
            }
            let result = outcome.result;
            pending.end(outcome);
            self.outcome.result = result;
        }
    }
}

/// An exchange that is cut short still leaves its outcome, with what is known of it.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.outcome.result = "aborted";
            self.outcome.reason = Some(if std::thread::panicking() { "panicked" } else { "dropped" });
            self.close();
            self.outcome.result = "aborted";
            self.count();
        }
        // Last: whoever waits for none to be in flight finds every outcome queued.
        if self.live {
            self.metrics.live.dec()
        } else {
            self.metrics.in_flight.dec()
        }
        if self.delivers {
            self.metrics.delivering.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{Audit, Fsync};

    #[tokio::test]
    async fn an_intent_that_was_cut_short_is_never_announced_without_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl");
        let config = Audit { file: file.clone(), fsync: Fsync::Always, serve_without: false };
        let log = Log::open(&config, Clock::system()).expect("a log");
        let mut cut = 0;
        for _ in 0..100 {
            let now = Clock::system().now();
            let mut exchange = Exchange::begin(now, Ipv4Addr::LOCALHOST.into(), None, &log, &Metrics::new());
            if tokio::time::timeout(Duration::ZERO, exchange.announce()).await.is_err() {
                cut += 1;
                assert_eq!(exchange.announce().await, Err(Reason::AuditUnavailable));
            }
            exchange.end(504, Some(Reason::UpstreamTimeout)).await;
        }
        log.flush().await;
        assert!(cut > 0);
        let text = std::fs::read_to_string(&file).expect("the log");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 200, "two lines for each exchange");
        assert!(lines.iter().all(|line| line["request_id"] != ""), "{text}");
    }
}
