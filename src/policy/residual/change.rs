//! Writes: a record as it would be is judged like one that is, and every changed field needs a grant of its own.

use std::sync::Arc;

use super::super::decision::{Creation, WriteJudgement};
use super::super::ir::Failure;
use super::super::slots::{Slot, Slots};
use super::{Errors, Fence, Inner, Live, decode, first_denial};
use crate::api::FieldId;
use crate::model::{Action, Name, Reason};

type Refusal = (Reason, Option<Name>);

impl Inner {
    pub(in crate::policy) fn judge_creation(&self, creation: &Creation, after: &Slots<'_>) -> WriteJudgement {
        let mut errors = Errors::default();
        let outcome = self.creation(creation, after, &mut errors);
        errors.judgement(outcome)
    }

    fn creation(&self, creation: &Creation, after: &Slots<'_>, errors: &mut Errors) -> Result<Vec<Name>, Refusal> {
        if !self.stays_ours(after, true) {
            return Err((Reason::TenantNotWritable, None));
        }
        // There is no record before: a denial judges the one that would be.
        if let Some(name) = first_denial(&self.denials, after, errors) {
            return Err((Reason::Denied, Some(name)));
        }
        match &creation.check.0 {
            Some(check) if !errors.grants(check, None, Some(after)) => {
                Err((Reason::CheckFailed, Some(Arc::clone(&creation.rule))))
            }
            _ => Ok(vec![Arc::clone(&creation.rule)]),
        }
    }

    pub(in crate::policy) fn judge_change(
        &self,
        before: &Slots<'_>,
        after: &Slots<'_>,
        changed: &[FieldId],
    ) -> WriteJudgement {
        let mut errors = Errors::default();
        let outcome = self.change(before, after, changed, &mut errors);
        errors.judgement(outcome)
    }

    fn change(
        &self,
        before: &Slots<'_>,
        after: &Slots<'_>,
        changed: &[FieldId],
        errors: &mut Errors,
    ) -> Result<Vec<Name>, Refusal> {
        if !self.is_ours(before) {
            return Err((Reason::RecordForeign, None));
        }
        if let Some(name) = first_denial(&self.denials, before, errors) {
            return Err((Reason::Denied, Some(name)));
        }
        if !self.stays_ours(after, self.moves(changed)) {
            return Err((Reason::TenantNotWritable, None));
        }
        let owner = changed.iter().any(|field| self.is_owner(*field));
        if owner && self.action != Action::Transfer {
            if let Some(refusal) = &self.transfer_unmet {
                return Err(refusal.clone());
            }
            if let Some(name) = first_denial(&self.transfer_denials, before, errors) {
                return Err((Reason::Denied, Some(name)));
            }
        }
        let mut write = Write { inner: self, before, after, changed, grants: Vec::new(), errors };
        if changed.is_empty() {
            write.some_grant(&self.grants, None, Reason::ActionNotGranted)?;
        }
        for field in changed {
            if self.is_owner(*field) {
                write.some_grant(&self.transfers, Some(*field), Reason::OwnerNotTransferable)?;
            } else {
                write.some_grant(&self.grants, Some(*field), Reason::FieldNotWritable)?;
            }
        }
        write.grants.sort_unstable();
        write.grants.dedup();
        let grants = std::mem::take(&mut write.grants);
        Ok(grants.into_iter().filter_map(|index| self.grant(index)).map(|grant| Arc::clone(&grant.name)).collect())
    }

    /// Whether the column that names the parent is among what changes.
    fn moves(&self, changed: &[FieldId]) -> bool {
        matches!(&self.rules.fence, Fence::Columns { parent: Some((_, _, by)), .. } if changed.contains(by))
    }

    /// The tenant scope of a record that would be. Where its parent is another than before, the parent that is shown
    /// must be the one that is named: a stale or foreign one would vouch for the wrong tenant.
    fn stays_ours(&self, after: &Slots<'_>, moved: bool) -> bool {
        let named = match &self.rules.fence {
            Fence::Shared | Fence::Never => false,
            Fence::Columns { parent: Some((column, key, _)), .. } if moved => {
                match (after.get(*column), after.get(*key)) {
                    (Slot::Raw(column), Slot::Raw(key)) => decode::is_same_key(column, key),
                    _ => false,
                }
            }
            Fence::Columns { .. } => true,
        };
        named && self.is_ours(after)
    }
}

impl Errors {
    /// What was refused because a condition ran out of steps says so, unless a denial says more.
    fn judgement(self, outcome: Result<Vec<Name>, Refusal>) -> WriteJudgement {
        let outcome = outcome.map_err(|(reason, rule)| match reason {
            Reason::Denied => (reason, rule),
            _ if self.exhausted => (Reason::BudgetExceeded, rule),
            _ => (reason, rule),
        });
        WriteJudgement { outcome, errors: self.count }
    }
}

struct Write<'w, 's> {
    inner: &'w Inner,
    before: &'w Slots<'s>,
    after: &'w Slots<'s>,
    changed: &'w [FieldId],
    grants: Vec<usize>,
    errors: &'w mut Errors,
}

impl Write<'_, '_> {
    /// One grant that lists the field, whose rows hold before and which holds after. `otherwise`: no such rows.
    fn some_grant(&mut self, lives: &[Live], field: Option<FieldId>, otherwise: Reason) -> Result<(), Refusal> {
        let mut refusal = (otherwise, None);
        for live in lives {
            let Some(grant) = self.inner.grant(live.index) else { continue };
            if field.is_some_and(|field| !grant.write.contains(&field)) {
                continue;
            }
            if !self.errors.grants(&live.rows, Some(self.before), None) {
                continue;
            }
            if self.holds_after(live, field) {
                self.grants.push(live.index);
                return Ok(());
            }
            if refusal.1.is_none() {
                refusal = (Reason::CheckFailed, Some(Arc::clone(&grant.name)));
            }
        }
        Err(refusal)
    }

    fn holds_after(&mut self, live: &Live, field: Option<FieldId>) -> bool {
        if let Some(check) = &live.check {
            return self.errors.grants(check, Some(self.before), Some(self.after));
        }
        let hands_over = field.is_some_and(|field| self.inner.is_owner(field)) || self.inner.action == Action::Transfer;
        if hands_over || self.changed.is_empty() {
            return true;
        }
        // What was read through a relation is of the parent before; where its column changes, it proves nothing.
        if live.rows.expr().is_stale(self.changed) {
            return self.errors.count(Failure::Unknown, false);
        }
        self.errors.grants(&live.rows, Some(self.after), None)
    }
}
