//! The decision point: from who asks for what to what each record may show. Pure: no I/O, no clock, no logging.
//!
//! **Order of judgement**, for each record: tenant scope (AND; no policy can lift it), then denials (any of them hides or
//! forbids), then grants (OR), then fields. Requirements (AND) are judged once the table is known to be visible. The
//! default is to deny, and nothing depends on which other rules happen to exist.
//!
//! **Visibility.** A table is visible if the principal has at least one grant on it, for any action, whose residual is
//! not constantly false; otherwise it does not exist, and asking for it is [`Reason::TableHidden`].
//!
//! **Grants** are tuples of (row condition, actions, fields with masks). List and read are separate actions. On a record, a
//! field shows as the best that any matching grant gives: clear > partial > last4 > truncate > tokenise > hash >
//! constant > null > remove. `all` never includes fields tagged `secret`.
//!
//! **An error is never false.** A condition that fails (missing key, wrong type, budget) in a grant does not hold for
//! that record; in a denial it holds; in a requirement it refuses; in a mask it removes. Errors are counted.
//!
//! **Missing and null.** A declared field that is absent is an error unless its table says `absent: null`; null in a
//! field not declared nullable is an error. A nullable bool is no condition. Null or missing in a principal or tenant
//! attribute makes the comparison an error, at every depth, so `null == null` grants nothing. A field beside null is not
//! read, so that its type is not looked at.
//!
//! **Conditions** are CEL without messages and unsigned numbers, with its libraries, typed by the catalog when they are
//! loaded; what lies in `json` is typed when it is judged. A decision replaces what is known of the caller and the request
//! and folds the rest, which means the same of every record. Every judgement has a budget of steps; one beyond it is an
//! error. `record.key` is the record's key whatever its column is called, unless a column is called `key`.

pub mod caller;
mod claims;
mod compile;
pub mod decision;
mod decode;
mod evaluate;
mod functions;
mod ir;
mod lint;
mod normal;
mod parse;
mod program;
mod raw;
mod residual;
pub mod slots;
mod types;
mod value;

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{Catalog, TableId};
use crate::config::PrincipalSchema;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::model::value::Type;
use crate::model::{Action, Name, Reason, RequestFacts, TenantScope, Value};

pub use caller::Caller;
pub use claims::{ClaimExpression, Unmapped};
pub use decision::{
    Creation, FieldPlan, Judgement, Mask, Premise, Read, Residual, Verdict, Visibility, WriteJudgement,
};
use residual::Decisions;
pub use slots::{Layout, Slot, SlotId, Slots};

/// Every policy in force, checked against the catalog.
pub struct PolicySet {
    inner: compile::Compiled,
    decisions: Decisions,
}

/// A mask that removes the field unless the gateway has a masking key.
#[derive(Clone, Debug)]
pub struct KeyedMask {
    /// As the policy writes it.
    pub mask: &'static str,
    pub span: Span,
}

/// What is asked. `now` is the same instant for the whole exchange.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub principal: &'a Caller<'a>,
    pub tenant: &'a TenantScope,
    pub request: &'a RequestFacts,
    pub now: Timestamp,
    pub table: TableId,
    pub action: &'a Action,
}

/// `decide` cannot fail: every failure inside it is a `Deny` with its reason.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Every record of the tenant, with the fields that the residual says.
    Allow(Arc<Residual>),
    /// Those records for which the residual holds.
    Conditional(Arc<Residual>),
    /// `TableHidden`, `ActionNotGranted` or `RequirementUnmet`; the rule that refused, where there is one.
    Deny(Reason, Option<Name>),
}

/// A raw value of a record as one of its declared type. `None`: it is none.
pub fn read(raw: &[u8], of: &Type) -> Option<Value> {
    decode::value(raw, of).ok()?.into_model()
}

/// A decision, and whether it was made for an earlier question that was the same in all that it depends on.
#[derive(Clone, Debug)]
pub struct Decided {
    pub decision: Decision,
    pub remembered: bool,
}

impl PolicySet {
    /// Compiles the files of a policies folder.
    ///
    /// Errors: every mistake of every file, placed at the word that is wrong. Warnings come with the set. An empty set of
    /// files is valid and hides every table.
    pub fn compile(
        files: &[Arc<Source>],
        catalog: &Arc<Catalog>,
        principal: &PrincipalSchema,
        dimensions: &[Name],
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        Self::load(files, catalog, principal, dimensions, true)
    }

    /// `lints`: whether rules are looked at again for what they can't mean.
    fn load(
        files: &[Arc<Source>],
        catalog: &Arc<Catalog>,
        principal: &PrincipalSchema,
        dimensions: &[Name],
        lints: bool,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (inner, warnings) = compile::policies(files, catalog, principal, dimensions, lints)?;
        let decisions = Decisions::new(&inner);
        Ok((Self { inner, decisions }, warnings))
    }

    /// SHA-256 over the files in force, in hex.
    pub fn hash(&self) -> &str {
        self.inner.hash()
    }

    /// Where the policies use `hash` or `tokenise`.
    pub fn keyed_masks(&self) -> &[KeyedMask] {
        self.inner.keyed_masks()
    }

    /// Where the policies ask who manages whom by `sharing`.
    pub fn hierarchies(&self) -> &[Span] {
        self.inner.hierarchies()
    }

    /// Whether some grant is for a role.
    pub fn grants_to(&self, role: &str) -> bool {
        self.inner.grants_to(role)
    }

    /// What the caller may do. Needs no record: what depends on the record is in the residual.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        self.decided(question).decision
    }

    /// As [`decide`](Self::decide), and whether the decision was remembered.
    pub fn decided(&self, question: &Question<'_>) -> Decided {
        self.decisions.find(question, || self.inner.decide(question))
    }

    /// The fields of a table that any of its rules reads, with its key, owner and tenant columns.
    pub fn layout(&self, table: TableId) -> &Arc<Layout> {
        self.inner.layout(table)
    }
}

#[cfg(test)]
mod tests;
