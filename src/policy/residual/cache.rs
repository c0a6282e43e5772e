//! Decisions that were made already: the same question to the same policies has the same answer.
//!
//! A decision depends on the policies, who asks, for which tenant, on what and what for; the policies' cache goes with them
//! when they are replaced. Some rules read more: a reader of `request.method` or `request.ip` is remembered for each of
//! these, one of a caller's reports for these reports, and one of `now` not at all. What a table's rules read is known when
//! they are loaded. A derived field asks the rules of other tables, so what these read counts as well.

use std::net::IpAddr;

use http::Method;
use moka::sync::Cache;

use super::super::caller::Fingerprint;
use super::super::compile::{Compiled, Rows, Rules};
use super::super::ir::{Expr, Fact};
use crate::api::TableId;
use crate::model::{self, Action, TenantScope};
use crate::policy::decision::Visibility;
use crate::policy::value::Value;
use crate::policy::{Decided, Decision, Question};

/// All that is remembered, by an estimate of its bytes.
pub(in crate::policy) const MAX_REMEMBERED: u64 = 64 << 20;
/// Field plans that a residual is counted with; most need one or two.
const COUNTED_PLANS: usize = 4;
/// What an entry costs by itself, and each part of its conditions.
const ENTRY: usize = 1024;
const PART: usize = 96;

/// The decisions of one set of policies.
pub(in crate::policy) struct Decisions {
    remembered: Cache<Key, Decision>,
    /// By table.
    reads: Vec<Reads>,
}

/// All that a decision depends on, for one set of policies.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    identity: Fingerprint,
    tenant: TenantScope,
    table: TableId,
    action: Action,
    reports: Option<Fingerprint>,
    method: Option<Method>,
    ip: Option<IpAddr>,
}

/// What the rules of a table read beside the caller and the tenant.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    reports: bool,
    method: bool,
    ip: bool,
    now: bool,
}

impl Decisions {
    pub(in crate::policy) fn new(compiled: &Compiled) -> Self {
        let own: Vec<Reads> = compiled.tables.iter().map(|rules| Reads::of(rules)).collect();
        let of = |table: TableId| own.get(usize::from(table.0)).copied().unwrap_or_default();
        let reads = compiled.tables.iter().map(|rules| {
            let fields = &compiled.catalog.table(rules.table).fields;
            let others = fields.iter().flat_map(|field| &field.derived_from);
            others.fold(of(rules.table), |reads, table| reads.and(of(*table)))
        });
        let reads = reads.collect();
        let remembered = Cache::builder().max_capacity(MAX_REMEMBERED).weigher(|_, decision| weight(decision)).build();
        Self { remembered, reads }
    }

    /// The decision on a question, which `decide` makes if it is not remembered.
    pub(in crate::policy) fn find(&self, question: &Question<'_>, decide: impl FnOnce() -> Decision) -> Decided {
        let Some(key) = self.key(question) else { return Decided { decision: decide(), remembered: false } };
        if let Some(decision) = self.remembered.get(&key) {
            return Decided { decision, remembered: true };
        }
        let decision = decide();
        self.remembered.insert(key, decision.clone());
        Decided { decision, remembered: false }
    }

    /// What is held now, by the same estimate.
    #[cfg(test)]
    pub(in crate::policy) fn held(&self) -> u64 {
        self.remembered.run_pending_tasks();
        self.remembered.weighted_size()
    }

    /// `None`: the answer is another at every instant, or there is no such table.
    fn key(&self, question: &Question<'_>) -> Option<Key> {
        let Question { principal, tenant, request, now: _, table, action } = *question;
        let reads = self.reads.get(usize::from(table.0)).filter(|reads| !reads.now)?;
        Some(Key {
            identity: principal.identity(),
            tenant: tenant.clone(),
            table,
            action: action.clone(),
            reports: reads.reports.then(|| principal.reports()),
            method: reads.method.then(|| request.method.clone()),
            ip: reads.ip.then_some(request.ip),
        })
    }
}

impl Reads {
    /// Whatever is asked of a table: any of its grants may be what makes it visible.
    fn of(rules: &Rules) -> Self {
        let mut reads = Self::default();
        for grant in &rules.grants {
            match &grant.rows {
                Rows::When(condition) => reads.add(condition),
                Rows::Shared => reads.reports |= rules.sharing.hierarchy,
                Rows::All | Rows::None => {}
            }
            grant.check.iter().for_each(|check| reads.add(check));
            grant.presets.iter().for_each(|(_, preset)| reads.add(preset));
        }
        rules.denials.iter().for_each(|denial| reads.add(&denial.rows));
        rules.requirements.iter().for_each(|requirement| reads.add(&requirement.must));
        reads
    }

    fn add(&mut self, expr: &Expr) {
        expr.any(&mut |part| {
            if let Expr::Fact(fact) = part {
                match fact {
                    Fact::Now => self.now = true,
                    Fact::RequestMethod => self.method = true,
                    Fact::RequestIp => self.ip = true,
                    Fact::Reports => self.reports = true,
                    // In every key.
                    Fact::Id
                    | Fact::Issuer
                    | Fact::Method
                    | Fact::Roles
                    | Fact::Groups
                    | Fact::Attribute(_)
                    | Fact::Tenant(_) => {}
                }
            }
            false
        });
    }

    fn and(self, other: Self) -> Self {
        Self {
            reports: self.reports || other.reports,
            method: self.method || other.method,
            ip: self.ip || other.ip,
            now: self.now || other.now,
        }
    }
}

/// An estimate of the bytes that a decision holds on to: most are lists of the caller's, and field plans.
fn weight(decision: &Decision) -> u32 {
    let held = match decision {
        Decision::Deny(..) => 0,
        Decision::Allow(residual) | Decision::Conditional(residual) => {
            let mut held = residual.inner.hidden.len() * size_of::<Visibility>() * COUNTED_PLANS;
            residual.inner.conditions().for_each(|expr| {
                expr.any(&mut |part| {
                    // A list is held as it is, as what is found in it, and in the filter.
                    held += match part {
                        Expr::Constant(Value::List(items)) => {
                            PART * (1 + items.len()) + size_of::<model::Value>() * items.len()
                        }
                        _ => PART,
                    };
                    false
                });
            });
            held
        }
    };
    u32::try_from(ENTRY + held).unwrap_or(u32::MAX)
}
