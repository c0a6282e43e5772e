//! What clients ask of many records taken together: how many there are, sums, means and extremes, by groups or of all.
//!
//! A dialect parses and prints it, and says under which names the answer's values come; what may be asked of which field is
//! the business of `enforcement`, what the values look like that of `redact`.

use crate::api::FieldId;
use crate::model::Name;

/// Fields that records have in common, and what is asked of those that do. Without groups, all records are one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub groups: Vec<FieldId>,
    pub measures: Vec<Measure>,
    /// Groups in the order of what is told of each: (by what, descending).
    pub sort: Vec<(By, bool)>,
}

/// What groups are put in order by: nothing but what their answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One of the fields that they have in common.
    Group(FieldId),
    /// One of the measures, by its place among them.
    Measure(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    pub function: Function,
    /// `None`: of the records themselves.
    pub of: Option<FieldId>,
    /// As the client calls it, where the dialect lets it choose.
    pub alias: Name,
}

impl Figures {
    /// The order that is asked for, and behind it by what else tells two groups apart: no two change their places between two
    /// requests.
    pub fn ordered(&self) -> impl Iterator<Item = (By, bool)> {
        let named = |field: &FieldId| self.sort.iter().any(|(by, _)| *by == By::Group(*field));
        let others = self.groups.iter().filter(move |field| !named(field)).map(|field| (By::Group(*field), false));
        self.sort.iter().copied().chain(others)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Records, or those with a value.
    Count,
    CountDistinct,
    Sum,
    SumDistinct,
    Average,
    AverageDistinct,
    Min,
    Max,
}

impl Function {
    /// As the audit log calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "count distinct",
            Self::Sum => "sum",
            Self::SumDistinct => "sum distinct",
            Self::Average => "average",
            Self::AverageDistinct => "average distinct",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// Member names of one value of a group: one, or two within each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the upstream names it.
    pub at: Vec<Name>,
    /// As the client finds it.
    pub told: Vec<Name>,
}

impl Column {
    /// Named alike on both sides.
    pub fn same(names: Vec<Name>) -> Self {
        Self { told: names.clone(), at: names }
    }
}

/// How the answer to [`Figures`] is read: the groups lie where the records of a list do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Of the groups' fields, then of the measures, in their order.
    pub all: Vec<Column>,
    /// Whether members whose name holds an `@` say something of others, and go.
    pub annotated: bool,
}
