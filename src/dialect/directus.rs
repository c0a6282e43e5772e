//! The `directus` dialect: filters as JSON or in brackets, pages by number or offset, related records in their column's place.
//!
//! The client's filter is read into a tree, understood, and printed anew beside the tenant's and the policies'. Columns are
//! always asked for one by one. A `search` becomes a part of the filter, for the server's own looks into every column. Filters
//! that follow more than one to-one relation, orders by other tables' columns, functions, `deep`, `alias`, `version` and
//! `export` are not judged, so they are refused; so are values that the server would read as something else, such as
//! `$CURRENT_USER`.

mod aggregate;
mod fields;
mod filter;
mod own;
mod print;
mod raw;
#[cfg(test)]
mod tests;
mod value;

use http::StatusCode;

use crate::api::{Directus, Field, FieldId, Operator, Parameters, Push, Shape, Table, Tenancy};
use crate::dialect::expand::MAX_LEVELS;
use crate::dialect::figures::{Columns, Figures};
use crate::dialect::pairs::number;
use crate::dialect::{
    Added, Comparison, Condition, Envelope, Language, PageSize, PagedBy, Paging, Query, Resumption, Scope, Selects,
    search, value as spelling,
};
use crate::model::filter::Sieve;
use crate::model::value::Type;
use crate::model::{Reason, TenantScope};
use raw::Node;

/// Pages and records that may be skipped.
const MAX_SKIP: u64 = 1_000_000_000;
/// Names of one list, such as `fields`.
const MAX_NAMES: usize = 200;
/// Bytes of a client's filter as it is sent.
const MAX_FILTER: usize = 6 * 1024;

impl Language for Directus {
    fn parse(&self, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
        self.query(table, pairs).ok_or(Reason::QueryNotAllowed)
    }

    fn add(&self, table: &Table, sieve: &Sieve, _client: &Query) -> Added {
        own::add(table, sieve)
    }

    fn takes(&self, table: &Table, filter: &Condition) -> bool {
        own::length(table, filter) <= MAX_FILTER
    }

    fn says(&self, of: &Type, key: &str) -> bool {
        value::is_sayable(of, key)
    }

    fn print(&self, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
        print::query(self, table, query, list.then_some(tenant))
    }

    fn columns(&self, table: &Table, figures: &Figures) -> Columns {
        aggregate::columns(table, figures)
    }

    /// Only where the database tells apart what differs: another would find other tenants' records, and count them.
    fn is_tenant_pushed(&self, table: &Table) -> bool {
        let tells_apart = |column: &Field| match (&column.shape, column.push) {
            (Shape::Plain(Type::Int), Some(_)) => true,
            (_, push) => matches!(push, Some(Push::Exact | Push::Ordered)),
        };
        let columns = table.tenant_columns();
        // A parent that lends no column says nothing of whose a record is.
        let is_said = matches!(table.tenant, Tenancy::Shared) || !columns.is_empty();
        is_said && columns.into_iter().all(|column| column.is_some_and(tells_apart))
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope { list: &self.list, record: &self.record, totals: &self.totals, keep: &[], echoes: &[] }
    }

    fn paging(&self) -> Paging {
        Paging { limit: Some(PageSize { default: self.page, max: self.max_page }), by: Some(PagedBy::Offset) }
    }

    fn expands(&self) -> usize {
        MAX_LEVELS
    }

    fn spells(&self, table: &Table, query: &Query) -> bool {
        print::aliases(table.reach(), query).is_some()
    }

    /// The names of `fields[0]` and `fields[]` are in brackets.
    fn chooses(&self, parameter: &str) -> bool {
        parameter.split('[').next() == Some("fields")
    }

    /// Its own clients count; whoever reads `Link` gets on behind a page that is cut.
    fn resumes(&self) -> Option<Resumption<'_>> {
        Some(Resumption { parameter: Parameters::CURSOR, in_place_of: [Some("offset"), Some("page")], in_head: true })
    }

    fn selects(&self) -> Selects {
        Selects::Read
    }

    fn scope(&self, table: &Table, filter: &Condition, tenant: &TenantScope) -> Option<Scope> {
        print::scope(table, filter, tenant).map(Scope::Body)
    }

    /// The server doesn't tell what isn't there from what its credential may not see.
    fn absence(&self) -> Option<StatusCode> {
        Some(StatusCode::FORBIDDEN)
    }
}

/// Where a client's filter stands. Two would be merged.
#[derive(Default)]
enum Written<'p> {
    #[default]
    Nowhere,
    Json(&'p str),
    Brackets(Vec<(&'p str, &'p str)>),
}

impl Directus {
    fn query(&self, table: &Table, pairs: &[(String, String)]) -> Option<Query> {
        let mut query = Query::default();
        let mut written = Written::default();
        let (mut fields, mut sort) = (List::default(), List::default());
        let mut aggregate = aggregate::Written::default();
        for (number_of, (name, text)) in pairs.iter().enumerate() {
            // Invariant of `Canonical`, held here too: the server makes a list of two of one name.
            if pairs.iter().take(number_of).any(|(earlier, _)| earlier == name) {
                return None;
            }
            let (name, brackets) = name.find('[').map_or(Some((name.as_str(), "")), |at| name.split_at_checked(at))?;
            match (name, brackets) {
                ("filter", "") => match written {
                    Written::Nowhere => written = Written::Json(text),
                    Written::Json(_) | Written::Brackets(_) => return None,
                },
                ("filter", brackets) => match &mut written {
                    Written::Nowhere => written = Written::Brackets(vec![(brackets, text)]),
                    Written::Brackets(all) => all.push((brackets, text)),
                    Written::Json(_) => return None,
                },
                ("fields", _) => fields.take(brackets, text)?,
                ("sort", _) => sort.take(brackets, text)?,
                ("limit", "") => query.limit = Some(number(text).filter(|n| (1..=self.max_page).contains(n))?),
                ("offset", "") => query.offset = Some(number(text).filter(|n| *n <= MAX_SKIP)?),
                ("page", "") => query.page = Some(number(text).filter(|n| (1..=MAX_SKIP).contains(n))?),
                ("meta", "") => query.count = counts(text)?,
                ("search", "") => looked_for(table, text, &mut query)?,
                ("aggregate", _) if self.aggregates => aggregate.take(brackets, text)?,
                ("groupBy", _) if self.aggregates => aggregate.groups.take(brackets, text)?,
                _ => return None,
            }
        }
        // Which of them the server takes is its own choice.
        if query.offset.is_some() && query.page.is_some() {
            return None;
        }
        let own = match written {
            Written::Nowhere => Condition::default(),
            // An empty parameter is none to the server.
            Written::Json("") => Condition::default(),
            Written::Json(text) => filter::condition(table, &Node::parse(text)?)?,
            Written::Brackets(pairs) => filter::condition(table, &Node::of_brackets(pairs)?)?,
        };
        query.filter = own.and(query.filter);
        if !self.takes(table, &query.filter) {
            return None;
        }
        query.figures = aggregate.figures(table, &sort)?;
        if let Some(figures) = &query.figures {
            // One row, or those of the groups: pages are of the latter, and nothing else is.
            let pages = query.limit.is_some() || query.offset.is_some() || query.page.is_some();
            let plain = fields.is_empty() && !query.count && !(pages && figures.groups.is_empty());
            return plain.then_some(query);
        }
        query.sort = sorted(table, &sort.names()?)?;
        if let Some((fields, expand)) = fields::chosen(table.reach(), &fields.names()?)? {
            (query.fields, query.expand) = (fields, expand);
        }
        Some(query)
    }
}

fn sorted(table: &Table, names: &[&str]) -> Option<Vec<(FieldId, bool)>> {
    let mut sort: Vec<(FieldId, bool)> = Vec::new();
    for name in names {
        let (name, descending) = name.strip_prefix('-').map_or((*name, false), |name| (name, true));
        let field = table.field_named(name).filter(|id| spelling::is_scalar(&table.field(*id).shape))?;
        if sort.iter().any(|(known, _)| *known == field) {
            return None;
        }
        sort.push((field, descending));
    }
    Some(sort)
}

/// Whether the matching records are to be counted. What counts all there are would count those of others, so it is left
/// out of a list and refused alone.
fn counts(text: &str) -> Option<bool> {
    match text {
        "*" | "filter_count" | "filter_count,total_count" | "total_count,filter_count" => Some(true),
        "" => Some(false),
        _ => None,
    }
}

/// What the server's own search would find in the columns that it is declared for. An empty text is none to it.
fn looked_for(table: &Table, text: &str, query: &mut Query) -> Option<()> {
    if table.search.is_empty() {
        return None;
    }
    if text.is_empty() {
        return Some(());
    }
    search::plain(text).filter(|text| value::is_literal(text))?;
    query.searched.clone_from(&table.search);
    let operator = Operator::ContainsAnyCase;
    let one =
        |field: &FieldId| Condition::Is(Comparison { through: None, field: *field, operator, value: text.to_owned() });
    query.filter = Condition::Or(table.search.iter().map(one).collect());
    Some(())
}

/// Names under one parameter: with commas, or in brackets numbered from 0 or not at all.
#[derive(Default)]
struct List<'p>(Vec<(&'p str, &'p str)>);

impl<'p> List<'p> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, brackets: &'p str, text: &'p str) -> Option<()> {
        self.0.push((brackets, text));
        (self.0.len() <= MAX_NAMES).then_some(())
    }

    fn names(&self) -> Option<Vec<&'p str>> {
        let split = |text: &'p str| text.split(',').map(|name| name.trim_matches(' ')).collect::<Vec<_>>();
        let names = match self.0.as_slice() {
            [] | [("", "")] => Vec::new(),
            [("" | "[]", text)] => split(text),
            numbered => {
                let at = |number: usize| numbered.iter().find(|(brackets, _)| *brackets == format!("[{number}]"));
                let parts = (0..numbered.len()).map(|number| at(number).map(|(_, text)| split(text)));
                parts.collect::<Option<Vec<_>>>()?.concat()
            }
        };
        (names.len() <= MAX_NAMES).then_some(names)
    }
}
