//! What a decision leaves to ask of each record, and the answers.

use std::sync::Arc;

use crate::api::{FieldId, TableId};
use crate::model::filter::Sieve;
use crate::model::{Name, Reason, Value};
use crate::policy::slots::{Layout, Slots};

/// A decision with everything known but the record: tenant scope, denials, grants and fields of one table and action.
#[derive(Debug)]
pub struct Residual {
    pub(super) inner: super::residual::Inner,
}

/// The answer for one record, with the number of conditions that failed with an error on the way.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    pub errors: u16,
}

#[derive(Clone, Debug)]
pub enum Verdict {
    /// Of another tenant, or its tenant can't be told.
    Foreign,
    /// A denial holds; its name.
    Denied(Name),
    /// No grant holds.
    Unmatched,
    /// At least one grant holds; what it shows.
    Visible(Arc<FieldPlan>),
}

/// How each field of a table shows, for one set of matching grants.
#[derive(Debug, PartialEq)]
pub struct FieldPlan {
    /// Indexed by [`FieldId`].
    pub fields: Vec<Visibility>,
    /// The matching grants, in the order of the policy file.
    pub grants: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Visibility {
    Clear,
    Masked(Mask),
    Removed,
}

/// Best first: where grants differ, the first of these shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Mask {
    /// `a***@example.com`, `M*** S***`.
    Partial,
    /// `***1234`; shows nothing of a value shorter than 8 characters.
    Last4,
    /// A date to its month or year, a number to a multiple.
    Truncate(Truncation),
    /// The same for the same value within tenant and field; of the same kind as the value's text.
    Tokenise,
    /// HMAC-SHA-256 keyed by tenant and field, in hex.
    Hash,
    Constant(Value),
    Null,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Truncation {
    Month,
    Year,
    /// To the next lower multiple.
    Bucket(u64),
}

/// One grant under which a record can be created. A creation is judged by one grant as a whole.
#[derive(Debug)]
pub struct Creation {
    pub rule: Name,
    /// Values that the gateway sets; a client that sends another value is refused.
    pub presets: Vec<(FieldId, Value)>,
    /// Fields that the client may set, presets aside.
    pub writable: Vec<FieldId>,
    pub(super) check: super::residual::Check,
}

/// What was true of a record when it was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Premise {
    /// The records of which it is true.
    pub sieve: Sieve,
    /// While these stay as they are, it stays true.
    pub reads: Vec<Read>,
}

/// A field that a condition reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Member names from the record on.
    pub path: Arc<[Name]>,
    /// The column of the relation through which it is read.
    pub by: Option<FieldId>,
}

/// The answer for one write.
#[derive(Clone, Debug)]
pub struct WriteJudgement {
    /// Empty grants and a reason if it is refused.
    pub outcome: Result<Vec<Name>, (Reason, Option<Name>)>,
    pub errors: u16,
}

impl Residual {
    pub fn table(&self) -> TableId {
        self.inner.table()
    }

    /// The layout by which a record's slots must be filled.
    pub fn layout(&self) -> &Arc<Layout> {
        self.inner.layout()
    }

    /// Whether every record of the tenant passes, whatever it holds: then upstream totals and pages stand.
    pub fn is_total(&self) -> bool {
        self.inner.is_total()
    }

    /// Which records pass its denials and grants, as a filter; the tenant is no part of it.
    pub fn sieve(&self) -> &Sieve {
        self.inner.sieve()
    }

    /// What of its sieve the upstream of its table can be trusted with: `narrow` is asked once, for it depends on nothing else.
    pub fn narrowed(&self, narrow: impl FnOnce(&Sieve) -> Sieve) -> &Sieve {
        self.inner.narrowed(narrow)
    }

    /// The grants that may hold, in the order of the policy file; for the audit log.
    pub fn rules(&self) -> Vec<Name> {
        self.inner.rules()
    }

    /// Each rule with the condition that is left of it, as CEL; for people.
    pub fn explain(&self) -> Vec<(Name, String)> {
        self.inner.explain()
    }

    /// Judges a record as it stands, for any action.
    pub fn judge(&self, record: &Slots<'_>) -> Judgement {
        self.inner.judge(record)
    }

    /// Whether some grant may show the field in any form. What is false here does not exist for the caller.
    pub fn may_show(&self, field: FieldId) -> bool {
        self.inner.may_show(field)
    }

    /// How the field may show, by the grants that may hold; nothing where it doesn't.
    pub fn forms(&self, field: FieldId) -> impl Iterator<Item = &Visibility> {
        self.inner.forms(field)
    }

    /// Whether the field is readable in clear on every row that a query may touch, so that filtering and sorting by it
    /// tell nothing that reading does not.
    pub fn is_clear_everywhere(&self, field: FieldId) -> bool {
        self.inner.is_clear_everywhere(field)
    }

    /// The records that show the field in clear; the tenant is no part of it. `None`: none does.
    pub fn clear_where(&self, field: FieldId) -> Option<Sieve> {
        self.inner.clear_where(field)
    }

    /// Whether some grant may let the caller write the field.
    pub fn may_write(&self, field: FieldId) -> bool {
        self.inner.may_write(field)
    }

    /// The grants under which a record may be created, in the order of the policy file.
    pub fn creations(&self) -> &[Creation] {
        self.inner.creations()
    }

    /// Judges a creation by one grant: its `check` and the tenant scope, on the record as it would be.
    pub fn judge_creation(&self, creation: &Creation, after: &Slots<'_>) -> WriteJudgement {
        self.inner.judge_creation(creation, after)
    }

    /// Judges an update, a transfer or a custom action: each changed field needs one grant that lists it in `write`,
    /// whose `rows` hold before and whose `check` holds after (where a grant has no `check`, its `rows` must hold after
    /// as well, except for a transfer). Denials are judged before, the tenant scope before and after.
    pub fn judge_change(&self, before: &Slots<'_>, after: &Slots<'_>, changed: &[FieldId]) -> WriteJudgement {
        self.inner.judge_change(before, after, changed)
    }
    /// What must stay true of a record that these grants let through, for them to let it through.
    pub fn premises(&self, rules: &[Name]) -> Vec<Premise> {
        self.inner.premises(rules)
    }

    /// The same for a change that [`judge_change`](Self::judge_change) allows by these grants. `is_written`: what is known of
    /// the record as it would be, because the change says it.
    pub fn premises_of_change(
        &self,
        rules: &[Name],
        changed: &[FieldId],
        is_written: &dyn Fn(&Read) -> bool,
    ) -> Vec<Premise> {
        self.inner.premises_of_change(rules, changed, is_written)
    }
}
