//! How an upstream spells queries: the client's query is parsed into a [`Query`], checked by `enforcement`, and printed anew.
//!
//! Pure. Nothing of the client's text is forwarded; an unknown parameter is an error, never passed on. Each dialect is one
//! [`Language`]; who speaks it knows nothing of who asks, nor of what they may see.

#[cfg(test)]
mod described;
mod directus;
pub mod expand;
pub mod figures;
mod kind;
mod odata;
mod pairs;
pub mod pocketbase;
pub mod rest;
mod search;
mod sieve;
mod value;

pub use expand::{Expansion, Expansions};
pub use figures::Figures;
pub(crate) use value::{is_scalar, is_spelled};

use figures::Columns;
use http::StatusCode;
pub use kind::kind;

use crate::api::{Api, Dialect, Field, FieldId, Operator, Place, Records, Table};
use crate::model::filter::Sieve;
use crate::model::value::Type;
use crate::model::{Reason, TenantScope};

/// One upstream's way to ask and to answer.
pub trait Language {
    /// Reads the query pairs of a client's list. Errors: `QueryNotAllowed` for anything that can't be judged, does not
    /// resolve to a field, or does not parse; the same for all of them, so that nothing is told about hidden fields.
    fn parse(&self, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason>;

    /// A sieve in the words of the dialect, beside a client's query.
    fn add(&self, table: &Table, sieve: &Sieve, client: &Query) -> Added;

    /// Whether a filter is no longer than the upstream takes beside what is added to it.
    fn takes(&self, _table: &Table, _filter: &Condition) -> bool {
        true
    }

    /// Whether the upstream reads a record's key as itself where a field of this type is compared with it.
    fn says(&self, of: &Type, key: &str) -> bool {
        value::is_spelled(of, key)
    }

    /// Prints a query, percent-encoded, without a leading `?`: of a `list`, with the tenant of the table and a limit where
    /// the dialect has them; of one record, the fields and expansions alone.
    fn print(&self, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String;

    /// Prints a query for how many records there are, as [`print`](Self::print) one for a list. `None`: there is none.
    fn print_count(&self, _table: &Table, _query: &Query, _tenant: &TenantScope) -> Option<String> {
        None
    }

    /// Under which names the answer to a query for figures says them.
    fn columns(&self, _table: &Table, _figures: &Figures) -> Columns {
        Columns { all: Vec::new(), annotated: false }
    }

    /// Whether the upstream itself cuts every list of a table to one tenant.
    fn is_tenant_pushed(&self, table: &Table) -> bool;

    fn envelope(&self) -> Envelope<'_>;

    fn paging(&self) -> Paging;

    /// How many relations, one behind the other, can be asked for.
    fn expands(&self) -> usize;

    /// Whether the upstream can be asked for what a query expands.
    fn spells(&self, _table: &Table, _query: &Query) -> bool {
        true
    }

    /// Whether a parameter of a client's query chooses what the answer to a write tells of a record, and nothing else. What the
    /// upstream would have to tell besides is none where it may not do so.
    fn chooses(&self, parameter: &str) -> bool;

    /// What is always asked for by name, so that nothing moves that nobody will see.
    fn selects(&self) -> Selects {
        Selects::Nothing
    }

    /// Whether values of a type come as they are stored where fields are asked for by name.
    fn keeps(&self, _of: &Type) -> bool {
        true
    }

    /// How an answer says where the next page is, to clients that leave the size of pages to the server.
    fn continues(&self) -> Option<Continuation> {
        None
    }

    /// How a client names the place where a walk through a list goes on. `None`: it counts records or pages.
    fn resumes(&self) -> Option<Resumption<'_>> {
        None
    }

    /// What the upstream says of a record that isn't there, besides that it isn't found.
    fn absence(&self) -> Option<StatusCode> {
        None
    }

    /// How a write is said to be of those records of a table, and of the tenant's, that a filter lets through. `None`: no write
    /// is.
    fn scope(&self, _table: &Table, _filter: &Condition, _tenant: &TenantScope) -> Option<Scope> {
        None
    }

    /// How several requests are sent as one. `None`: they are not.
    fn batches(&self) -> Option<Batches> {
        None
    }

    /// Members that stand before the records in an answer that is put together from several.
    fn lead(&self, _query: &Query) -> Vec<(&'static str, i64)> {
        Vec::new()
    }
}

/// What a dialect asks for by name where a client names no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selects {
    /// Records come with all that they have.
    Nothing,
    /// The fields of the records of lists and reads, and of those that they lead to.
    Read,
    /// The same of what is looked at before a write, and of what a write answers.
    Everywhere,
}

/// Of which records a write is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Pairs of the query, percent-encoded; the body is what it would be for one record.
    Pairs(String),
    /// The member `query` of the body; what is written is the member `data`.
    Body(String),
}

/// How several requests and their answers are written as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// OData JSON Format 4.01, section 19: `{"requests":[{"id":…}]}`, `{"responses":[{"id":…}]}`.
    Odata,
    /// `{"requests":[…]}`, `[…]` in the same order; writes alone, all of them or none.
    Pocketbase,
}

/// The link to the next page, made of the client's own query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Of the envelope.
    pub member: &'static str,
    /// Whoever names this parameter pages by themselves.
    pub limit: &'static str,
    pub offset: &'static str,
}

/// The client's parameter for a place that the gateway told it. The upstream never sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption<'a> {
    pub parameter: &'a str,
    /// Parameters that say where a page begins, too.
    pub in_place_of: [Option<&'a str>; 2],
    /// Whether the head of an answer tells it (`Link`, RFC 8288); otherwise its [`Continuation`] does.
    pub in_head: bool,
}

/// Where records and what is said of them lie in an answer.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub list: &'a Records,
    /// The record in the answer to a read, a create or an update.
    pub record: &'a Place,
    /// What speaks of how many records there are in all.
    pub totals: &'a [Place],
    /// Members that may pass where no record was dropped.
    pub keep: &'a [Place],
    /// Members that repeat what was asked for. All others are removed.
    pub echoes: &'a [Place],
}

/// How more than one page of a list can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// `None`: the upstream answers all at once.
    pub limit: Option<PageSize>,
    pub by: Option<PagedBy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// Sent where the client names none.
    pub default: u64,
    pub max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagedBy {
    /// Records before the page.
    Offset,
    /// The page's number, from 1.
    Page,
}

/// The language that an API speaks.
pub fn of(api: &Api) -> &dyn Language {
    match &api.dialect {
        Dialect::Rest(rest) => &**rest,
        Dialect::Odata(odata) => odata,
        Dialect::Pocketbase(pocketbase) => pocketbase,
        Dialect::Directus(directus) => directus,
    }
}

/// As [`Language::parse`], for a request that is about one record: it may choose fields and expansions, nothing else.
pub fn parse_record(language: &dyn Language, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
    let query = language.parse(table, pairs)?;
    let nothing = language.parse(table, &[])?;
    let about_one = Query { fields: query.fields.clone(), expand: query.expand.clone(), ..nothing };
    if query == about_one { Ok(query) } else { Err(Reason::QueryNotAllowed) }
}

/// A list or read query, understood. Fields are resolved; names that do not resolve are an error of the parser.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub filter: Condition,
    /// (field, descending)
    pub sort: Vec<(FieldId, bool)>,
    /// Those whose records without a value stand at the other end than the upstream puts them.
    pub nulls: Vec<FieldId>,
    pub fields: Option<Vec<FieldId>>,
    /// Related records, and what of them.
    pub expand: Expansions,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
    /// From 1.
    pub page: Option<u64>,
    /// Whether the number of all records is asked for, where a dialect asks for it.
    pub count: bool,
    /// Fields that a search looks into, whether `filter` or `search` says it.
    pub searched: Vec<FieldId>,
    /// What the upstream's own search is to look for, where it is trusted with that.
    pub search: Option<String>,
    /// Asked for in the place of records.
    pub figures: Option<Figures>,
}

impl Query {
    /// Whether which records are found, or in which order, depends on what their fields hold.
    pub fn compares(&self) -> bool {
        !self.filter.is_empty() || !self.sort.is_empty() || !self.searched.is_empty() || self.figures.is_some()
    }
}

/// Which records, in an upstream's own sense of truth: what a negation makes of null is the upstream's business.
///
/// Parsers bound the depth of what they make; whoever walks one may recurse.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of them; of none, every record.
    And(Vec<Condition>),
    /// Any of them; of none, no record.
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Is(Comparison),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The to-one relation whose record's field it is. `None`: the table's own.
    pub through: Option<FieldId>,
    pub field: FieldId,
    pub operator: Operator,
    /// As a parameter says it: one value of the field's type, or `true` or `false` beside [`Operator::Null`]. Lists of
    /// [`Operator::In`] and [`Operator::NotIn`] are separated by commas.
    pub value: String,
}

impl Comparison {
    /// The field that it compares. `None`: it is of another table than it was made for.
    pub fn read<'t>(&self, table: &'t Table) -> Option<&'t Field> {
        table.reached(self.through, self.field)
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

/// All of them.
impl FromIterator<Comparison> for Condition {
    fn from_iter<I: IntoIterator<Item = Comparison>>(comparisons: I) -> Self {
        Self::And(comparisons.into_iter().map(Self::Is).collect())
    }
}

impl Condition {
    /// Whether it lets every record through for want of parts.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::And(parts) if parts.is_empty())
    }

    /// Both this one and another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, none) if none.is_empty() => one,
            (none, one) if none.is_empty() => one,
            (Self::And(mut parts), Self::And(others)) => {
                parts.extend(others);
                Self::And(parts)
            }
            (Self::And(mut parts), other) => {
                parts.push(other);
                Self::And(parts)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Every comparison in it, in order.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'c>(&'c self, found: &mut Vec<&'c Comparison>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect(found)),
            Self::Not(part) => part.collect(found),
            Self::Is(comparison) => found.push(comparison),
        }
    }
}

/// What is added to a client's query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    pub condition: Condition,
    /// Whether the upstream then answers with the records that were meant and no others.
    pub exact: bool,
}

impl Added {
    /// The fields that are compared and how, without what with.
    pub fn names(&self, table: &Table) -> Vec<String> {
        let name = |comparison: &Comparison| {
            let field = &comparison.read(table)?.name;
            let through = comparison.through.map(|relation| format!("{}.", table.field(relation).name));
            Some(format!("{}{field} {}", through.unwrap_or_default(), comparison.operator.word()))
        };
        let mut names: Vec<String> = self.condition.comparisons().into_iter().filter_map(name).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_that_say_nothing_leave_no_trace() {
        let is = |value: &str| {
            let (through, field, operator) = (None, FieldId(0), Operator::Equal);
            Condition::Is(Comparison { through, field, operator, value: value.to_owned() })
        };
        let either = Condition::Or(vec![is("a"), is("b")]);
        let nothing = Condition::default;
        assert!(nothing().and(nothing()).is_empty());
        assert_eq!(nothing().and(either.clone()), either);
        assert_eq!(either.clone().and(nothing()), either);
        assert_eq!(either.clone().and(is("c")), Condition::And(vec![either.clone(), is("c")]));
        let both = Condition::And(vec![is("c"), is("d")]);
        assert_eq!(both.clone().and(either.clone()), Condition::And(vec![is("c"), is("d"), either.clone()]));
        // An alternative is never torn out of its list.
        let not = Condition::Not(Box::new(either.clone())).and(both);
        let values: Vec<_> = not.comparisons().iter().map(|comparison| comparison.value.as_str()).collect();
        assert_eq!(values, ["a", "b", "c", "d"]);
        assert!(!Condition::Or(Vec::new()).is_empty(), "which lets nothing through");
    }
}
