//! The premises of a judgement: what was true of a record when it was judged, said so that an upstream can be asked to write
//! it only as long as it still is.
//!
//! A premise is a filter where it can be said as one. In any case it stays true while the columns that it reads stay as they
//! are; of the record that would be, those are the columns that are not written, for what is written is known.

use std::sync::Arc;

use super::super::decision::{Premise, Read};
use super::super::ir::{Expr, Subject};
use super::super::normal;
use super::super::program::Condition;
use super::{Inner, Live};
use crate::api::FieldId;
use crate::model::filter::Sieve;
use crate::model::{Action, Name};

impl Inner {
    /// Of a record that some of these grants let through.
    pub(in crate::policy) fn premises(&self, rules: &[Name]) -> Vec<Premise> {
        let granted: Vec<&Expr> = self.held(&self.grants, rules).map(|live| live.rows.expr()).collect();
        let reads = granted.iter().flat_map(|rows| reads(rows, None)).collect();
        let sieve = normal::sieve(std::iter::empty(), granted.into_iter());
        denied(&self.denials).chain([Premise { sieve, reads }]).collect()
    }

    /// Of a change that these grants allow. Each of them held; that more is asked than one change needs of each is no harm.
    pub(in crate::policy) fn premises_of_change(
        &self,
        rules: &[Name],
        changed: &[FieldId],
        is_written: &dyn Fn(&Read) -> bool,
    ) -> Vec<Premise> {
        let mut premises: Vec<Premise> = denied(&self.denials).collect();
        let hands_over = changed.iter().any(|field| self.is_owner(*field));
        if hands_over && self.action != Action::Transfer {
            premises.extend(denied(&self.transfer_denials));
        }
        // A grant may let fewer records be handed over than changed.
        let transfers = Some((&self.transfers, true)).filter(|_| hands_over);
        for (lives, hands_over) in [(&self.grants, self.action == Action::Transfer)].into_iter().chain(transfers) {
            for live in self.held(lives, rules) {
                let rows = live.rows.expr();
                premises.push(Premise::of(rows, true));
                match &live.check {
                    Some(check) => premises.push(Premise {
                        sieve: normal::sieve(std::iter::empty(), std::iter::once(check.expr())),
                        reads: reads(check.expr(), Some(is_written)),
                    }),
                    None if hands_over || changed.is_empty() => {}
                    // What nothing is written to is as it was.
                    None if !Premise::of(rows, true).reads.iter().any(is_written) => {}
                    None => {
                        let mut reads = Premise::of(rows, true).reads;
                        reads.retain(|read| !is_written(read));
                        premises.push(Premise { sieve: Sieve::WIDE, reads });
                    }
                }
            }
        }
        premises
    }

    fn held<'l>(&'l self, lives: &'l [Live], rules: &'l [Name]) -> impl Iterator<Item = &'l Live> {
        let is_named = |live: &&Live| self.grant(live.index).is_some_and(|grant| rules.contains(&grant.name));
        lives.iter().filter(is_named)
    }
}

impl Premise {
    fn of(condition: &Expr, truth: bool) -> Self {
        let one = || std::iter::once(condition);
        let sieve = match truth {
            true => normal::sieve(std::iter::empty(), one()),
            false => normal::sieve(one(), std::iter::once(&Expr::TRUE)),
        };
        Self { sieve, reads: reads(condition, None) }
    }
}

fn denied(denials: &[(Name, Condition)]) -> impl Iterator<Item = Premise> {
    denials.iter().map(|(_, rows)| Premise::of(rows.expr(), false))
}

/// What a condition reads of the record as it stands. `is_written`: of the record that would be, all else is that.
fn reads(condition: &Expr, is_written: Option<&dyn Fn(&Read) -> bool>) -> Vec<Read> {
    let mut found: Vec<Read> = Vec::new();
    condition.any(&mut |part| {
        if let Expr::Field(field) | Expr::HasField { field, .. } = part {
            let read = Read { path: Arc::clone(&field.path), by: field.by };
            let is_known = field.subject == Subject::After && is_written.is_some_and(|is_written| is_written(&read));
            if !is_known && !found.contains(&read) {
                found.push(read);
            }
        }
        false
    });
    found
}
