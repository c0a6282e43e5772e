//! Related records that are asked for beside a record, to any depth that is bounded: which relations, which of their fields,
//! and what of the records behind those.
//!
//! Each relation is named once for the records that it is asked for of, so that what is chosen of it is one thing. Names are
//! resolved by the parsers; whether a caller may see what they lead to is `enforcement`'s business.

use crate::api::FieldId;

/// Relations, one behind the other, that a client may name.
pub const MAX_DEPTH: usize = 4;
/// As many are asked of an upstream, with those that rules read: PocketBase has no more.
pub const MAX_LEVELS: usize = 6;
/// Relations that one query may expand.
pub const MAX_EXPANSIONS: usize = 32;

/// The related records of one table's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansions {
    pub named: Vec<Expansion>,
    /// For so many levels, all other relations besides that the caller may see, with all that they may see there. A parser
    /// doesn't know which these are; whoever prints a query sees none.
    pub every: usize,
}

/// A relation, and what is asked for of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    pub relation: FieldId,
    /// Fields that are no relations. `None`: all.
    pub fields: Option<Vec<FieldId>>,
    pub below: Expansions,
}

/// Adds those of some fields that are not there yet.
pub fn add(fields: &mut Vec<FieldId>, more: impl IntoIterator<Item = FieldId>) {
    for field in more {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
}

impl Expansion {
    /// All fields of the relation's records, and nothing behind them.
    pub fn of(relation: FieldId) -> Self {
        Self { relation, fields: None, below: Expansions::default() }
    }
}

/// Relations with all fields of their records.
impl FromIterator<FieldId> for Expansions {
    fn from_iter<I: IntoIterator<Item = FieldId>>(relations: I) -> Self {
        Self { named: relations.into_iter().map(Expansion::of).collect(), every: 0 }
    }
}

impl Expansions {
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.every == 0
    }

    /// The relations that are named on this level.
    pub fn relations(&self) -> impl Iterator<Item = FieldId> {
        self.named.iter().map(|one| one.relation)
    }

    pub fn find(&self, relation: FieldId) -> Option<&Expansion> {
        self.named.iter().find(|one| one.relation == relation)
    }

    /// What is asked for of a relation, to be changed; made by `new` if nothing is.
    pub(super) fn entry(&mut self, relation: FieldId, new: impl FnOnce() -> Expansion) -> Option<&mut Expansion> {
        if self.find(relation).is_none() {
            self.named.push(new());
        }
        self.named.iter_mut().find(|one| one.relation == relation)
    }

    /// Adds what another one asks for, and takes nothing away.
    pub fn merge(&mut self, other: Self) {
        self.every = self.every.max(other.every);
        for Expansion { relation, fields, below } in other.named {
            let Some(one) = self.named.iter_mut().find(|one| one.relation == relation) else {
                self.named.push(Expansion { relation, fields, below });
                continue;
            };
            match (&mut one.fields, fields) {
                (Some(own), Some(fields)) => add(own, fields),
                (own, _) => *own = None,
            }
            one.below.merge(below);
        }
    }

    /// The same relations with all fields of their records. Recursion is bounded by the parsers.
    #[must_use]
    pub fn whole(self) -> Self {
        let named = self.named.into_iter().map(|one| Expansion { fields: None, below: one.below.whole(), ..one });
        Self { named: named.collect(), every: self.every }
    }

    /// Levels of relations one behind the other. Recursion is bounded by the parsers.
    pub fn depth(&self) -> usize {
        let below = self.named.iter().map(|one| 1 + one.below.depth());
        below.max().unwrap_or_default().max(self.every)
    }

    /// How many relations are named, on all levels.
    pub fn count(&self) -> usize {
        self.named.iter().map(|one| 1 + one.below.count()).sum()
    }

    /// Whether it is no more than one query may ask for, as far as a client names it.
    pub fn fits(&self) -> bool {
        self.depth() <= MAX_DEPTH && self.count() <= MAX_EXPANSIONS
    }
}
