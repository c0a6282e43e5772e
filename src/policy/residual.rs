//! What a decision leaves to ask of each record, and how it is asked: fence, denials, grants, fields, in this order.
//!
//! A residual knows the principal already; all that is open is the record. It judges a record as it stands (`judge`), a
//! record that would be (`creations`) and a change (`change`). A set of matching grants is one word, by which the field
//! plan is found again. Judging a record allocates nothing once the plans that it needs are made.

mod cache;
mod change;
mod decide;
pub(super) mod fold;
mod index;
mod plans;
mod premise;

pub(super) use cache::Decisions;
#[cfg(test)]
pub(super) use cache::MAX_REMEMBERED;
pub(super) use index::Index;

use std::sync::{Arc, OnceLock};

use super::compile::Rules;
use super::decision::{Creation, FieldPlan, Judgement, Mask, Verdict, Visibility};
use super::decode;
use super::ir::{Expr, Failure, Field};
use super::normal;
use super::program::{Condition, Word};
use super::slots::{Layout, Slot, SlotId, Slots};
use crate::api::{FieldId, TableId};
use crate::model::filter::Sieve;
use crate::model::{Action, Name, Reason};
use plans::{Grants, Plans};

/// Which columns say whose tenant a record belongs to.
#[derive(Clone, Debug)]
pub(super) enum Fence {
    /// Every tenant's.
    Shared,
    /// By dimension. `parent`: the slots of the column and of the key that it names, and the column, where the tenant
    /// is the parent's.
    Columns { columns: Vec<(Name, SlotId)>, parent: Option<(SlotId, SlotId, FieldId)> },
    /// Can't be told: no record is anybody's.
    Never,
}

/// The field that names a record's owner.
#[derive(Clone, Debug)]
pub(super) struct Owner(pub(super) Field);

#[derive(Debug)]
pub(super) struct Inner {
    rules: Arc<Rules>,
    action: Action,
    /// The tenant's value for each column; `None` lets nothing pass.
    fence: Option<Vec<(SlotId, Word)>>,
    denials: Vec<(Name, Condition)>,
    grants: Vec<Live>,
    /// Under which the owner may change, with the denials on that and the requirement that forbids it.
    transfers: Vec<Live>,
    transfer_denials: Vec<(Name, Condition)>,
    transfer_unmet: Option<(Reason, Option<Name>)>,
    creations: Vec<Creation>,
    /// Derived fields that this principal may not see, by field.
    hidden: Vec<bool>,
    plans: Plans,
    sieve: OnceLock<Sieve>,
    narrowed: OnceLock<Sieve>,
}

/// A grant whose facts are known; `index` counts the grants of the policy file.
#[derive(Debug)]
struct Live {
    index: usize,
    rows: Condition,
    check: Option<Condition>,
}

/// What must hold of a record that would be created.
#[derive(Debug)]
pub(super) struct Check(Option<Condition>);

/// Errors met on the way, counted.
#[derive(Default)]
struct Errors {
    count: u16,
    /// Whether one was that a condition ran out of steps.
    exhausted: bool,
}

impl Errors {
    /// A condition that grants: an error does not hold.
    fn grants(&mut self, condition: &Condition, record: Option<&Slots<'_>>, after: Option<&Slots<'_>>) -> bool {
        condition.holds(record, after).unwrap_or_else(|failure| self.count(failure, false))
    }

    /// A condition that denies: an error holds.
    fn denies(&mut self, condition: &Condition, record: &Slots<'_>) -> bool {
        condition.holds(Some(record), None).unwrap_or_else(|failure| self.count(failure, true))
    }

    #[cold]
    fn count(&mut self, failure: Failure, meaning: bool) -> bool {
        self.count = self.count.saturating_add(1);
        self.exhausted |= failure == Failure::Budget;
        meaning
    }
}

impl Inner {
    pub(super) fn table(&self) -> TableId {
        self.rules.table
    }

    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.rules.layout
    }

    pub(super) fn is_total(&self) -> bool {
        self.denials.is_empty() && self.grants.iter().any(|grant| grant.rows.expr().is(true))
    }

    pub(super) fn sieve(&self) -> &Sieve {
        self.sieve.get_or_init(|| {
            let denials = self.denials.iter().map(|(_, rows)| rows.expr());
            normal::sieve(denials, self.grants.iter().map(|live| live.rows.expr()))
        })
    }

    pub(super) fn narrowed(&self, narrow: impl FnOnce(&Sieve) -> Sieve) -> &Sieve {
        self.narrowed.get_or_init(|| narrow(self.sieve()))
    }

    pub(super) fn rules(&self) -> Vec<Name> {
        let transfers = self.transfers.iter().filter(|live| !self.grants.iter().any(|grant| grant.index == live.index));
        let mut indices: Vec<usize> = self.grants.iter().chain(transfers).map(|live| live.index).collect();
        indices.sort_unstable();
        let names = indices.into_iter().filter_map(|index| self.grant(index).map(|grant| Arc::clone(&grant.name)));
        names.chain(self.creations.iter().map(|creation| Arc::clone(&creation.rule))).collect()
    }

    pub(super) fn explain(&self) -> Vec<(Name, String)> {
        let denials = self.denials.iter().map(|(name, rows)| (Arc::clone(name), rows.expr().to_string()));
        let condition = |live: &Live| {
            let rows = live.rows.expr().to_string();
            let check = live.check.as_ref().map(Condition::expr);
            check.map_or(rows.clone(), |check| format!("{rows}, and after the write {check}"))
        };
        let grants = self.grants.iter().chain(&self.transfers);
        let grants = grants.filter_map(|live| Some((Arc::clone(&self.grant(live.index)?.name), condition(live))));
        let creations = self.creations.iter().map(|creation| {
            let check = creation.check.0.as_ref().map_or_else(|| "true".to_owned(), |check| check.expr().to_string());
            (Arc::clone(&creation.rule), check)
        });
        let mut all: Vec<_> = denials.chain(grants).chain(creations).collect();
        all.dedup();
        all
    }

    pub(super) fn judge(&self, record: &Slots<'_>) -> Judgement {
        let mut errors = Errors::default();
        let verdict = if !self.is_ours(record) {
            Verdict::Foreign
        } else if let Some(name) = first_denial(&self.denials, record, &mut errors) {
            Verdict::Denied(name)
        } else {
            let mut matching: Grants = 0;
            let mut bit: Grants = 1;
            for live in &self.grants {
                if errors.grants(&live.rows, Some(record), None) {
                    matching |= bit;
                }
                // Invariant: a table has at most as many grants as there are bits.
                bit <<= 1;
            }
            match matching {
                0 => Verdict::Unmatched,
                _ => Verdict::Visible(self.plans.find(matching, || self.made(matching))),
            }
        };
        Judgement { verdict, errors: errors.count }
    }

    pub(super) fn may_show(&self, field: FieldId) -> bool {
        !self.is_hidden(field) && self.grants.iter().any(|live| self.shows(live, field).is_some())
    }

    pub(super) fn forms(&self, field: FieldId) -> impl Iterator<Item = &Visibility> {
        let grants = if self.is_hidden(field) { &[][..] } else { self.grants.as_slice() };
        grants.iter().filter_map(move |live| self.shows(live, field))
    }

    pub(super) fn is_clear_everywhere(&self, field: FieldId) -> bool {
        let clear = |live: &Live| self.shows(live, field) == Some(&Visibility::Clear);
        let everywhere = self.grants.iter().any(|live| live.rows.expr().is(true) && clear(live));
        !self.is_hidden(field) && (everywhere || (!self.grants.is_empty() && self.grants.iter().all(clear)))
    }

    pub(super) fn clear_where(&self, field: FieldId) -> Option<Sieve> {
        let clear = |live: &&Live| self.shows(live, field) == Some(&Visibility::Clear);
        let mut clear = self.grants.iter().filter(clear).map(|live| live.rows.expr()).peekable();
        clear.peek().filter(|_| !self.is_hidden(field))?;
        Some(normal::sieve(self.denials.iter().map(|(_, rows)| rows.expr()), clear))
    }

    pub(super) fn may_write(&self, field: FieldId) -> bool {
        let lives = if self.is_owner(field) { &self.transfers } else { &self.grants };
        lives.iter().any(|live| self.grant(live.index).is_some_and(|grant| grant.write.contains(&field)))
            || self.creations.iter().any(|creation| {
                creation.writable.contains(&field) || creation.presets.iter().any(|(preset, _)| *preset == field)
            })
    }

    pub(super) fn creations(&self) -> &[Creation] {
        &self.creations
    }

    /// Every condition that is left to judge.
    fn conditions(&self) -> impl Iterator<Item = &Expr> {
        let denials = self.denials.iter().chain(&self.transfer_denials).map(|(_, rows)| rows);
        let lives = self.grants.iter().chain(&self.transfers);
        let lives = lives.flat_map(|live| std::iter::once(&live.rows).chain(&live.check));
        let creations = self.creations.iter().filter_map(|creation| creation.check.0.as_ref());
        denials.chain(lives).chain(creations).map(Condition::expr)
    }

    fn grant(&self, index: usize) -> Option<&super::compile::Grant> {
        self.rules.grants.get(index)
    }

    fn shows(&self, live: &Live, field: FieldId) -> Option<&Visibility> {
        self.grant(live.index)?.shows.get(usize::from(field.0))?.as_ref()
    }

    fn is_hidden(&self, field: FieldId) -> bool {
        self.hidden.get(usize::from(field.0)).copied().unwrap_or(true)
    }

    fn is_owner(&self, field: FieldId) -> bool {
        self.rules.owner_field == Some(field)
    }

    /// The tenant scope: every column holds the tenant's value. What is absent, null or of another kind is foreign.
    fn is_ours(&self, record: &Slots<'_>) -> bool {
        self.fence.as_ref().is_some_and(|columns| {
            columns.iter().all(|(slot, value)| match record.get(*slot) {
                Slot::Raw(raw) => value.is_said_by(raw),
                Slot::Missing => false,
            })
        })
    }

    fn made(&self, matching: Grants) -> FieldPlan {
        let lives = self.grants.iter().zip(bits()).filter(|(_, bit)| matching & bit != 0);
        let lives: Vec<&Live> = lives.map(|(live, _)| live).collect();
        let best = |(index, hidden): (usize, &bool)| {
            let shown = lives.iter().filter_map(|live| self.grant(live.index)?.shows.get(index)?.as_ref());
            match shown.min_by_key(|visibility| rank(visibility)) {
                Some(visibility) if !hidden => visibility.clone(),
                _ => Visibility::Removed,
            }
        };
        FieldPlan {
            fields: self.hidden.iter().enumerate().map(best).collect(),
            grants: lives.iter().filter_map(|live| self.grant(live.index)).map(|g| Arc::clone(&g.name)).collect(),
        }
    }
}

fn first_denial(denials: &[(Name, Condition)], record: &Slots<'_>, errors: &mut Errors) -> Option<Name> {
    denials.iter().find(|(_, rows)| errors.denies(rows, record)).map(|(name, _)| Arc::clone(name))
}

/// One for each grant of a residual. Invariant: a table has at most as many grants as there are.
fn bits() -> impl Iterator<Item = Grants> {
    (0..Grants::BITS).map(|bit| 1 << bit)
}

/// Best first.
fn rank(visibility: &Visibility) -> u8 {
    match visibility {
        Visibility::Clear => 0,
        Visibility::Masked(mask) => match mask {
            Mask::Partial => 1,
            Mask::Last4 => 2,
            Mask::Truncate(_) => 3,
            Mask::Tokenise => 4,
            Mask::Hash => 5,
            Mask::Constant(_) => 6,
            Mask::Null => 7,
        },
        Visibility::Removed => 8,
    }
}
