//! What goes with a record that is deleted: each record of it is one that the caller might delete by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{Permit, Probe, list_route, query};
use super::{Case, Refusal, request};
use crate::api::{FieldId, Operator, Shape, TableId};
use crate::dialect::{self, Comparison, Condition};
use crate::model::{Action, Reason};
use crate::policy::{Slot, Verdict};
use crate::redact::{self, parts};

impl Case<'_> {
    /// The tables of which records may be deleted along with one of this table.
    pub fn cascades_to(&self, table: TableId) -> BTreeSet<TableId> {
        let mut found = BTreeSet::new();
        let mut left = vec![table];
        while let Some(table) = left.pop() {
            let along = self.catalog.table(table).cascades.iter().map(|(along, _)| *along);
            left.extend(along.filter(|along| found.insert(*along)));
        }
        found
    }

    /// To look at the records of a table that point to one by a column. Errors: `UpstreamCannotGuard` if there is no list, or
    /// the upstream would look for another key.
    pub fn cascade(&self, table: TableId, by: FieldId, key: &str) -> Result<Permit<Probe>, Reason> {
        let table = self.catalog.table(table);
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        let route = list_route(api, table).ok_or(Reason::UpstreamCannotGuard)?;
        let is_said = matches!(&table.field(by).shape, Shape::Plain(of) if language.says(of, key));
        if !is_said {
            return Err(Reason::UpstreamCannotGuard);
        }
        let mut query = query::read_by_rules(self, table, language);
        query.filter =
            Condition::Is(Comparison { through: None, field: by, operator: Operator::Equal, value: key.to_owned() });
        query.limit = language.paging().limit.map(|limit| limit.max);
        let printed = language.print(table, &query, self.tenant, true);
        let outgoing = self.outgoing(api, route, &[], &printed).ok_or(Reason::UpstreamCannotGuard)?;
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Probe })
    }

    /// The keys of the records in the answer to that. Errors: `CascadeNotGranted` if the caller can't delete one of them, or
    /// there may be more than were shown.
    pub fn cascading(&self, table: TableId, body: &[u8]) -> Result<Vec<String>, Refusal> {
        let broken = |_| Reason::UpstreamBroken;
        let table = self.catalog.table(table);
        let language = dialect::of(self.catalog.api(table.api));
        let records = redact::records(body, language.envelope().list, self.depth).map_err(broken)?;
        // What the service keeps for a next page was not looked at.
        let members = parts::members(body, self.depth).unwrap_or_default();
        let is_next = |name: &[u8]| language.continues().is_some_and(|next| name == next.member.as_bytes());
        if members.iter().any(|(name, _)| is_next(name)) {
            return Err(Reason::CascadeNotGranted.into());
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if language.paging().limit.is_some_and(|limit| records.len() as u64 >= limit.max) {
            return Err(Reason::CascadeNotGranted.into());
        }
        let residual = self.residual(table.id, &Action::Delete).ok_or(Reason::CascadeNotGranted)?;
        let layout = residual.layout();
        let slot = layout.find(std::slice::from_ref(&table.field(table.key).name)).ok_or(Reason::UpstreamBroken)?;
        let mut keys = Vec::with_capacity(records.len());
        for record in records {
            let lifted = match &table.container {
                None => record.to_vec(),
                Some(_) => request::lift(record, table, self.depth).map_err(broken)?,
            };
            let slots = redact::slots(&lifted, layout, self.depth).map_err(broken)?;
            match residual.judge(&slots).verdict {
                Verdict::Visible(_) => {}
                Verdict::Denied(rule) => return Err(Refusal { reason: Reason::CascadeNotGranted, rule: Some(rule) }),
                Verdict::Unmatched | Verdict::Foreign => return Err(Reason::CascadeNotGranted.into()),
            }
            let Slot::Raw(raw) = slots.get(slot) else { return Err(Reason::UpstreamBroken.into()) };
            keys.push(request::text(raw).filter(|key| super::is_key(key)).ok_or(Reason::UpstreamBroken)?);
        }
        Ok(keys)
    }
}
