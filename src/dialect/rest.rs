//! The `rest` dialect: parameters are declared one by one in the API description, or all at once as PostgREST's (`postgrest`).
//!
//! A client's pairs become a [`Query`] or are refused: a parameter, a field or a value that is not declared never
//! reaches the upstream, and neither does a filter that the gateway itself sets. What is sent is printed from the
//! [`Query`] alone, each name and value escaped as one.

mod filter;
mod postgrest;
#[cfg(test)]
mod tests;

pub use filter::add;

use std::collections::HashMap;

use crate::api::{
    Direction, FieldId, ListParameter, Operator, Parameters, Parent, Rest, Shape, Sort, Style, Table, Tenancy,
};
use crate::dialect::pairs::{Pairs, number};
use crate::dialect::{
    Added, Comparison, Condition, Envelope, Language, PageSize, PagedBy, Paging, Query, Resumption, Scope, Selects,
    search, value,
};
use crate::model::filter::Sieve;
use crate::model::{Name, Reason, TenantScope};

/// Records or pages that may be skipped.
const MAX_SKIP: u64 = 1_000_000_000;

impl Language for Rest {
    fn parse(&self, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
        parse(self, table, pairs)
    }

    fn add(&self, table: &Table, sieve: &Sieve, client: &Query) -> Added {
        match self.parameters.style {
            Style::Declared => add(self, table, sieve, client),
            Style::Postgrest => postgrest::add(self, table, sieve),
        }
    }

    fn takes(&self, table: &Table, filter: &Condition) -> bool {
        self.parameters.style == Style::Declared || postgrest::takes(table, filter)
    }

    fn selects(&self) -> Selects {
        if self.parameters.style == Style::Postgrest { Selects::Read } else { Selects::Nothing }
    }

    fn print(&self, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
        print(self, table, query, tenant, list)
    }

    /// Where the tenant is the parent's, too: a parameter may follow the relation.
    fn is_tenant_pushed(&self, table: &Table) -> bool {
        let is_filtered = |dimension: &Name| table.tenant_filter.iter().any(|(_, filtered)| filtered == dimension);
        match &table.tenant {
            Tenancy::Columns(columns) => columns.iter().all(|(dimension, _)| is_filtered(dimension)),
            Tenancy::Via(Parent { columns, .. }) => {
                !columns.is_empty() && columns.iter().all(|lent| is_filtered(&lent.dimension))
            }
            Tenancy::Shared => true,
        }
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            list: &self.list,
            record: &self.record,
            totals: self.total.as_slice(),
            keep: &self.keep,
            echoes: &[],
        }
    }

    fn paging(&self) -> Paging {
        let Parameters { limit, offset, page, .. } = &self.parameters;
        Paging {
            limit: limit.as_ref().map(|limit| PageSize { default: limit.default, max: limit.max }),
            by: match (offset, page) {
                (Some(_), _) => Some(PagedBy::Offset),
                (None, Some(_)) => Some(PagedBy::Page),
                (None, None) => None,
            },
        }
    }

    fn chooses(&self, parameter: &str) -> bool {
        match self.parameters.style {
            // Of a parameter that is declared it isn't known whether it expands anything in the answer to a write.
            Style::Declared => self.parameters.fields.as_ref().is_some_and(|list| *list.name == *parameter),
            Style::Postgrest => parameter == "select",
        }
    }

    /// What a parameter says is one level deep.
    fn expands(&self) -> usize {
        usize::from(self.parameters.expand.is_some())
    }

    fn scope(&self, table: &Table, filter: &Condition, tenant: &TenantScope) -> Option<Scope> {
        if self.parameters.style == Style::Postgrest {
            return postgrest::scope(table, filter, tenant);
        }
        let mut out = Pairs::default();
        filtered(&mut out, self, table, filter, tenant);
        // Without any, it would be of all records.
        (!filter.comparisons().is_empty()).then_some(Scope::Pairs(out.0))
    }

    /// Where nothing is paged, nothing goes on.
    fn resumes(&self) -> Option<Resumption<'_>> {
        let Parameters { offset, page, cursor, .. } = &self.parameters;
        let Paging { limit: Some(_), by: Some(_) } = self.paging() else { return None };
        Some(Resumption { parameter: cursor, in_place_of: [offset.as_deref(), page.as_deref()], in_head: true })
    }
}

/// Reads the query pairs of a client's list. Errors: `QueryNotAllowed` for anything that is not declared, does not
/// resolve to a field, or does not parse; the same for all of them, so that nothing is told about hidden fields.
pub fn parse(rest: &Rest, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
    let query = match rest.parameters.style {
        Style::Declared => Reading { rest, table }.query(pairs),
        Style::Postgrest => postgrest::parse(rest, table, pairs),
    };
    query.ok_or(Reason::QueryNotAllowed)
}

/// Prints a query with the tenant filter of the table, percent-encoded, without a leading `?`. A limit is always sent
/// where the dialect has one and `list` says it is a list.
///
/// Comparisons are added to a parsed query by [`add`] alone, or by whoever else sees to it that each can be spelled, and
/// that no two but those of [`Operator::Each`] are spelled alike: see [`spelling`].
pub fn print(rest: &Rest, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
    let parameters = &rest.parameters;
    if parameters.style == Style::Postgrest {
        return postgrest::query(rest, table, query, tenant, list);
    }
    let mut out = Pairs::default();
    if list {
        filtered(&mut out, rest, table, &query.filter, tenant);
        if let (Some(name), Some(text)) = (&parameters.search, &query.search) {
            out.pair(name, text);
        }
        if let (Some(sort), false) = (&parameters.sort, query.sort.is_empty()) {
            sorted(&mut out, sort, table, &query.sort);
        }
    }
    if let (Some(list), Some(fields)) = (&parameters.fields, &query.fields) {
        listed(&mut out, list, table, fields);
    }
    if let (Some(list), false) = (&parameters.expand, query.expand.named.is_empty()) {
        listed(&mut out, list, table, &query.expand.relations().collect::<Vec<_>>());
    }
    if list {
        if let Some(limit) = &parameters.limit {
            out.pair(&limit.name, &query.limit.unwrap_or(limit.default).min(limit.max).to_string());
        }
        for (name, value) in [(&parameters.offset, query.offset), (&parameters.page, query.page)] {
            if let (Some(name), Some(value)) = (name, value) {
                out.pair(name, &value.to_string());
            }
        }
    }
    out.0
}

/// One tenant's records that pass a filter.
fn filtered(out: &mut Pairs, rest: &Rest, table: &Table, filter: &Condition, tenant: &TenantScope) {
    for (name, dimension) in &table.tenant_filter {
        // A tenant without the dimension owns nothing, so it is given what matches nothing.
        out.pair(name, tenant.value(dimension).map_or("", |value| value));
    }
    // Invariant: conditions of this dialect are comparisons that must all hold, but for the alternatives of one list.
    for comparison in filter.comparisons() {
        if let Some(name) = spelling(rest, table, comparison.field, comparison.operator) {
            out.pair(&name, &comparison.value);
        }
    }
}

/// The parameter by which a field is filtered, if it can be. Names that mean something else are none.
pub fn spelling(rest: &Rest, table: &Table, field: FieldId, operator: Operator) -> Option<String> {
    let (_, pattern) = rest.parameters.filter.iter().find(|(known, _)| *known == operator)?;
    let field = table.fields.get(usize::from(field.0))?;
    value::is_scalar(&field.shape)
        .then(|| pattern.replace("{field}", &field.name))
        .filter(|name| !reserved(rest).any(|known| **known == **name || is_part(known, name) || is_part(name, known)))
}

/// Parameters that mean something else than a filter.
fn reserved(rest: &Rest) -> impl Iterator<Item = &Name> {
    let parameters = &rest.parameters;
    let lists = [parameters.fields.as_ref(), parameters.expand.as_ref(), parameters.sort.as_ref().map(|s| &s.list)];
    let order = parameters.sort.as_ref().and_then(|sort| match &sort.direction {
        Direction::Parameter(name) => Some(name),
        Direction::Prefix => None,
    });
    let singles = [parameters.limit.as_ref().map(|limit| &limit.name), parameters.offset.as_ref()];
    let singles = singles.into_iter().chain([parameters.page.as_ref(), order, parameters.search.as_ref()]).flatten();
    singles.chain(lists.into_iter().flatten().map(|list| &list.name))
}

struct Reading<'a> {
    rest: &'a Rest,
    table: &'a Table,
}

impl Reading<'_> {
    fn query(&self, pairs: &[(String, String)]) -> Option<Query> {
        let parameters = &self.rest.parameters;
        let named: HashMap<&str, &str> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // Invariant of `Canonical`, held here too: the first and the last of two are different queries.
        if named.len() != pairs.len() || pairs.iter().any(|(name, _)| is_tenants(self.table, name)) {
            return None;
        }
        let mut query = Query::default();
        if let Some((limit, text)) = parameters.limit.as_ref().and_then(|l| Some((l, named.get(&*l.name)?))) {
            query.limit = Some(number(text).filter(|n| (1..=limit.max).contains(n))?);
        }
        if let Some(text) = parameters.offset.as_ref().and_then(|name| named.get(&**name)) {
            query.offset = Some(number(text).filter(|n| *n <= MAX_SKIP)?);
        }
        if let Some(text) = parameters.page.as_ref().and_then(|name| named.get(&**name)) {
            query.page = Some(number(text).filter(|n| (1..=MAX_SKIP).contains(n))?);
        }
        if query.offset.is_some() && query.page.is_some() {
            return None;
        }
        if let Some((list, text)) = parameters.fields.as_ref().and_then(|l| Some((l, named.get(&*l.name)?))) {
            query.fields = Some(self.fields(list, text, |_| true)?);
        }
        if let Some((list, text)) = parameters.expand.as_ref().and_then(|l| Some((l, named.get(&*l.name)?))) {
            let relations = self.fields(list, text, |shape| !matches!(shape, Shape::Plain(_)))?;
            query.expand = relations.into_iter().collect();
        }
        if let Some(sort) = &parameters.sort {
            query.sort = self.sort(sort, &named)?;
        }
        if let Some(text) = parameters.search.as_ref().and_then(|name| named.get(&**name)) {
            // What it looks into is declared for each table.
            query.search = Some(search::harmless(text).filter(|_| !self.table.search.is_empty())?.to_owned());
            query.searched.clone_from(&self.table.search);
        }
        // Most lists are asked for without a filter.
        let mut spelled = None;
        let mut comparisons = Vec::new();
        let is_reserved = |name: &str| reserved(self.rest).any(|known| **known == *name);
        for (name, text) in pairs.iter().filter(|(name, _)| !is_reserved(name)) {
            let (field, operator) = (*spelled.get_or_insert_with(|| self.spellings()).get(name)?)?;
            // `stage` beside `stage[ne]` is a list to one parser, an object to another.
            if named.keys().any(|other| is_part(name, other)) {
                return None;
            }
            let Shape::Plain(kind) = &self.table.field(field).shape else { return None };
            value::fits(kind, operator, text)
                .then(|| comparisons.push(Comparison { through: None, field, operator, value: text.clone() }))?;
        }
        query.filter = comparisons.into_iter().collect();
        Some(query)
    }

    /// The filters that a client may use by their names; `None` for a name that could mean two.
    fn spellings(&self) -> HashMap<String, Option<(FieldId, Operator)>> {
        let mut spelled = HashMap::new();
        for field in self.table.field_ids().filter(|field| !self.is_tenant_column(*field)) {
            for (operator, _) in self.rest.parameters.filter.iter().filter(|(operator, _)| *operator != Operator::Each)
            {
                if let Some(name) = spelling(self.rest, self.table, field, *operator) {
                    spelled.entry(name).and_modify(|known| *known = None).or_insert(Some((field, *operator)));
                }
            }
        }
        spelled
    }

    /// A second filter on a tenant column could be merged with the gateway's own into a wider one.
    fn is_tenant_column(&self, field: FieldId) -> bool {
        let is_column = match &self.table.tenant {
            Tenancy::Columns(columns) => columns.iter().any(|(_, column)| *column == field),
            Tenancy::Via(_) | Tenancy::Shared => false,
        };
        let spelled = |operator: &Operator| spelling(self.rest, self.table, field, *operator);
        is_column
            || self
                .rest
                .parameters
                .filter
                .iter()
                .filter_map(|(operator, _)| spelled(operator))
                .any(|name| self.table.tenant_filter.iter().any(|(own, _)| **own == *name))
    }

    /// A list of distinct declared fields of a shape.
    fn fields(&self, list: &ListParameter, text: &str, of: impl Fn(&Shape) -> bool) -> Option<Vec<FieldId>> {
        let mut fields = Vec::new();
        for name in text.split(list.separator) {
            let field = self.table.field_named(name).filter(|field| of(&self.table.field(*field).shape))?;
            if fields.contains(&field) {
                return None;
            }
            fields.push(field);
        }
        Some(fields)
    }

    fn sort(&self, sort: &Sort, named: &HashMap<&str, &str>) -> Option<Vec<(FieldId, bool)>> {
        let text = named.get(&*sort.list.name);
        let orders = match &sort.direction {
            Direction::Prefix => None,
            Direction::Parameter(order) => named.get(&**order),
        };
        let Some(text) = text else { return orders.is_none().then(Vec::new) };
        let mut parsed: Vec<(FieldId, bool)> = Vec::new();
        let mut orders = orders.map(|orders| orders.split(sort.list.separator));
        for item in text.split(sort.list.separator) {
            let (name, descending) = match (&sort.direction, item.strip_prefix('-')) {
                (Direction::Prefix, Some(name)) => (name, true),
                _ => (item, false),
            };
            let descending = match orders.as_mut().map(Iterator::next) {
                None => descending,
                Some(Some("asc")) => false,
                Some(Some("desc")) => true,
                Some(_) => return None,
            };
            let field = self.table.field_named(name).filter(|id| value::is_scalar(&self.table.field(*id).shape))?;
            if parsed.iter().any(|(known, _)| *known == field) {
                return None;
            }
            parsed.push((field, descending));
        }
        orders.is_none_or(|mut rest| rest.next().is_none()).then_some(parsed)
    }
}

/// Whether a parameter cuts lists to a tenant, or could be taken for a part of one that does.
fn is_tenants(table: &Table, name: &str) -> bool {
    table.tenant_filter.iter().any(|(own, _)| **own == *name || is_part(own, name) || is_part(name, own))
}

/// Whether `inner` is `outer` with a bracket after it.
fn is_part(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('['))
}

fn listed(out: &mut Pairs, list: &ListParameter, table: &Table, fields: &[FieldId]) {
    let names: Vec<&str> = fields.iter().map(|field| &*table.field(*field).name).collect();
    out.pair(&list.name, &names.join(list.separator.encode_utf8(&mut [0; 4])));
}

fn sorted(out: &mut Pairs, sort: &Sort, table: &Table, by: &[(FieldId, bool)]) {
    let separator = sort.list.separator.to_string();
    let join = |part: &dyn Fn(&(FieldId, bool)) -> String| by.iter().map(part).collect::<Vec<_>>().join(&separator);
    let name = |field: FieldId| &*table.field(field).name;
    match &sort.direction {
        Direction::Prefix => {
            let spelled = join(&|(field, down)| format!("{}{}", if *down { "-" } else { "" }, name(*field)));
            out.pair(&sort.list.name, &spelled);
        }
        Direction::Parameter(order) => {
            out.pair(&sort.list.name, &join(&|(field, _)| name(*field).to_owned()));
            out.pair(order, &join(&|(_, down)| if *down { "desc" } else { "asc" }.to_owned()));
        }
    }
}
