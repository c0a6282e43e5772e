//! The `pocketbase` dialect: filters in one text, pages by number, expansions by the name of the column that points to them.
//!
//! The client's filter is read by [`grammar`] and printed anew, beside the tenant's and the policies', each in parentheses of
//! its own. The server compares texts byte by byte (but folds ASCII letters for `~`), holds numbers as 64-bit floats and
//! instants as texts in whole milliseconds, and has no null: what is empty is the empty text. One step
//! along a to-one relation is understood in a filter; in a sort it is refused, as modifiers and macros are everywhere.

mod expand;
pub mod grammar;
mod own;
#[cfg(test)]
mod tests;
mod value;

use crate::api::{FieldId, Lent, Operator, Parameters, Parent, Pocketbase, Shape, Table, Tenancy};
use crate::dialect::expand::MAX_LEVELS;
use crate::dialect::pairs::{self, Pairs};
use crate::dialect::{
    Added, Batches, Comparison, Condition, Envelope, Language, PageSize, PagedBy, Paging, Query, Resumption, Selects,
};
use crate::model::filter::Sieve;
use crate::model::value::Type;
use crate::model::{Name, Reason, TenantScope};
use grammar::{Expression, Literal, Sign};

/// Pages that may be skipped.
const MAX_PAGE: u64 = 1_000_000_000;
/// The server takes eight, one of which the gateway adds.
const MAX_SORT: usize = 7;
/// Bytes of a query that names fields: with its path, what servers in between take in one line. A longer one names none.
const MAX_SELECTING: usize = 7_000;

impl Language for Pocketbase {
    fn parse(&self, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
        Reading { table, most: self.max_page }.query(pairs).ok_or(Reason::QueryNotAllowed)
    }

    fn add(&self, table: &Table, sieve: &Sieve, _client: &Query) -> Added {
        own::add(table, sieve)
    }

    fn takes(&self, table: &Table, filter: &Condition) -> bool {
        let fits = |text: String| text.len() <= grammar::MAX_FILTER;
        let printed = expression(table, filter).map(|filter| grammar::print(&filter).is_some_and(fits));
        printed.unwrap_or(true) && filter.comparisons().len() <= grammar::MAX_COMPARISONS
    }

    fn says(&self, of: &Type, key: &str) -> bool {
        super::is_spelled(of, key) && grammar::is_quotable(key)
    }

    fn print(&self, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
        let mut out = Pairs::default();
        if list {
            let parts = [tenants(table, tenant), expression(table, &query.filter)];
            let parts: Vec<Expression> = parts.into_iter().flatten().collect();
            if let Some(filter) = grammar::conjunction(parts) {
                // What can't be quoted was never understood; nothing is found then.
                out.pair("filter", &grammar::print(&filter).unwrap_or_else(|| nothing(table)));
            }
            sorted(&mut out, table, &query.sort);
            out.pair("perPage", &query.limit.unwrap_or(self.page).min(self.max_page).to_string());
            if let Some(page) = query.page {
                out.pair("page", &page.to_string());
            }
            if !query.count {
                out.pair("skipTotal", "1");
            }
        }
        if let Some(names) = expand::chosen(table.reach(), query.fields.as_deref(), &query.expand) {
            let before = out.0.len();
            out.pair("fields", &names.join(","));
            if out.0.len() > MAX_SELECTING {
                out.0.truncate(before);
            }
        }
        let expanded = expand::paths(table.reach(), &query.expand);
        if !expanded.is_empty() {
            out.pair("expand", &expanded.join(","));
        }
        out.0
    }

    fn is_tenant_pushed(&self, table: &Table) -> bool {
        !matches!(&table.tenant, Tenancy::Via(parent) if parent.columns.is_empty())
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope { list: &self.list, record: &self.record, totals: &self.totals, keep: &[], echoes: &self.echoes }
    }

    fn paging(&self) -> Paging {
        Paging { limit: Some(PageSize { default: self.page, max: self.max_page }), by: Some(PagedBy::Page) }
    }

    fn expands(&self) -> usize {
        MAX_LEVELS
    }

    fn chooses(&self, parameter: &str) -> bool {
        matches!(parameter, "fields" | "expand")
    }

    fn selects(&self) -> Selects {
        Selects::Everywhere
    }

    /// The server makes 64-bit floats of the numbers inside a column of JSON that it is asked for by name.
    fn keeps(&self, of: &Type) -> bool {
        match of {
            Type::Json => false,
            Type::List(of) | Type::Map(of) => !matches!(**of, Type::Int | Type::Decimal) && self.keeps(of),
            _ => true,
        }
    }

    /// Its own clients count; whoever reads `Link` gets on behind a page that is cut.
    fn resumes(&self) -> Option<Resumption<'_>> {
        Some(Resumption { parameter: Parameters::CURSOR, in_place_of: [Some("page"), None], in_head: true })
    }

    fn batches(&self) -> Option<Batches> {
        Some(Batches::Pocketbase)
    }

    /// What the server itself says where it wasn't asked to count. Its client reads on as long as pages are full.
    fn lead(&self, query: &Query) -> Vec<(&'static str, i64)> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (page, size) = (query.page.unwrap_or(1), query.limit.unwrap_or(self.page).min(self.max_page));
        vec![("page", number(page)), ("perPage", number(size)), ("totalItems", -1), ("totalPages", -1)]
    }
}

/// By which name a to-one relation is asked for: that of its column.
fn expansion(table: &Table, relation: FieldId) -> Option<&str> {
    table.reach().column_of(relation)
}

/// A filter that no record passes: none is without a key.
fn nothing(table: &Table) -> String {
    format!("{}=''", table.field(table.key).name)
}

/// One tenant's records.
fn tenants(table: &Table, tenant: &TenantScope) -> Option<Expression> {
    let columns = match &table.tenant {
        Tenancy::Columns(columns) => columns,
        Tenancy::Via(parent) => return parents(table, parent, tenant),
        Tenancy::Shared => return None,
    };
    let part = |(dimension, column): &(Name, FieldId)| {
        // A tenant without the dimension owns nothing, so it is given what matches nothing.
        let value = tenant.value(dimension).map_or_else(String::new, |value| value.to_string());
        let field = table.field(*column);
        Expression::Comparison(grammar::Comparison {
            path: field.name.to_string(),
            sign: Sign::Equal,
            literal: value::literal(&field.shape, &value),
        })
    };
    grammar::conjunction(columns.iter().map(part).collect())
}

/// Those whose parents are one tenant's. What has no parent has nothing but empty texts there, and no tenant is called so.
fn parents(table: &Table, parent: &Parent, tenant: &TenantScope) -> Option<Expression> {
    let Some(through) = expansion(table, parent.relation) else { return Some(key_is_empty(table)) };
    let part = |lent: &Lent| match tenant.value(&lent.dimension) {
        Some(value) => Expression::Comparison(grammar::Comparison {
            path: format!("{through}.{}", lent.column),
            sign: Sign::Equal,
            literal: value::literal(&Shape::Plain(lent.of.clone()), value),
        }),
        None => key_is_empty(table),
    };
    grammar::conjunction(parent.columns.iter().map(part).collect())
}

/// A condition in the server's words. `None`: it lets everything through.
fn expression(table: &Table, condition: &Condition) -> Option<Expression> {
    match condition {
        Condition::And(parts) => {
            grammar::conjunction(parts.iter().filter_map(|part| expression(table, part)).collect())
        }
        Condition::Or(parts) => {
            let parts: Vec<Expression> = parts.iter().filter_map(|part| expression(table, part)).collect();
            grammar::disjunction(parts).or_else(|| Some(key_is_empty(table)))
        }
        // A test that is turned around is one of its own.
        Condition::Not(part) => match &**part {
            Condition::Is(comparison) if comparison.operator == Operator::Contains => {
                Some(compared(table, comparison, Sign::NotLike))
            }
            _ => Some(key_is_empty(table)),
        },
        Condition::Is(comparison) => {
            let sign = match comparison.operator {
                Operator::Equal => Sign::Equal,
                Operator::NotEqual => Sign::NotEqual,
                Operator::Less => Sign::Less,
                Operator::LessOrEqual => Sign::LessOrEqual,
                Operator::Greater => Sign::Greater,
                Operator::GreaterOrEqual => Sign::GreaterOrEqual,
                Operator::Contains => Sign::Like,
                Operator::Null if comparison.value == "true" => Sign::Equal,
                Operator::Null => Sign::NotEqual,
                Operator::In
                | Operator::NotIn
                | Operator::StartsWith
                | Operator::EndsWith
                | Operator::StartsWithAnyCase
                | Operator::EndsWithAnyCase
                | Operator::ContainsAnyCase
                | Operator::Each => {
                    return Some(key_is_empty(table));
                }
            };
            Some(compared(table, comparison, sign))
        }
    }
}

/// Stands where there are no words: it finds nothing.
fn key_is_empty(table: &Table) -> Expression {
    let path = table.field(table.key).name.to_string();
    Expression::Comparison(grammar::Comparison { path, sign: Sign::Equal, literal: Literal::Text(String::new()) })
}

fn compared(table: &Table, comparison: &Comparison, sign: Sign) -> Expression {
    let Some(field) = comparison.read(table) else { return key_is_empty(table) };
    let literal = match comparison.operator {
        Operator::Null => Literal::Null,
        _ => value::literal(&field.shape, &comparison.value),
    };
    let path = match comparison.through {
        None => field.name.to_string(),
        Some(relation) => match expansion(table, relation) {
            Some(column) => format!("{column}.{}", field.name),
            None => return key_is_empty(table),
        },
    };
    Expression::Comparison(grammar::Comparison { path, sign, literal })
}

struct Reading<'a> {
    table: &'a Table,
    /// Records of one page.
    most: u64,
}

impl Reading<'_> {
    fn query(&self, pairs: &[(String, String)]) -> Option<Query> {
        let mut query = Query { count: true, ..Query::default() };
        let mut chosen = None;
        for (number, (name, text)) in pairs.iter().enumerate() {
            // Invariant of `Canonical`, held here too: the server takes the first of two.
            if pairs.iter().take(number).any(|(earlier, _)| earlier == name) {
                return None;
            }
            match name.as_str() {
                // An empty parameter is none to the server.
                "filter" | "sort" | "expand" | "fields" if text.is_empty() => {}
                "filter" => query.filter = self.filter(text)?,
                "sort" => query.sort = self.sort(text)?,
                "expand" => query.expand = expand::parse(self.table.reach(), text)?,
                "fields" => chosen = Some(text),
                "page" => query.page = Some(pairs::number(text).filter(|page| (1..=MAX_PAGE).contains(page))?),
                "perPage" => query.limit = Some(pairs::number(text).filter(|size| (1..=self.most).contains(size))?),
                "skipTotal" => {
                    query.count = match text.as_str() {
                        "1" | "true" => false,
                        "0" | "false" => true,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        if let Some(text) = chosen {
            query.fields = expand::choose(self.table.reach(), text, &mut query.expand)?;
        }
        Some(query)
    }

    fn filter(&self, text: &str) -> Option<Condition> {
        let expression = grammar::parse(text).ok()?;
        // Printed anew it must fit, too.
        grammar::print(&expression).filter(|printed| printed.len() <= grammar::MAX_FILTER)?;
        self.condition(&expression)
    }

    /// Recursion is bounded by the parser.
    fn condition(&self, expression: &Expression) -> Option<Condition> {
        let of = |parts: &[Expression]| parts.iter().map(|part| self.condition(part)).collect::<Option<Vec<_>>>();
        match expression {
            Expression::All(parts) => of(parts).map(Condition::And),
            Expression::Any(parts) => of(parts).map(Condition::Or),
            Expression::Comparison(comparison) => self.comparison(comparison),
        }
    }

    fn comparison(&self, comparison: &grammar::Comparison) -> Option<Condition> {
        let (through, field) = self.column(&comparison.path)?;
        let Shape::Plain(kind) = &self.table.reached(through, field)?.shape else { return None };
        let is = |operator, value: String| Condition::Is(Comparison { through, field, operator, value });
        let value = match &comparison.literal {
            Literal::Null => {
                let null = match comparison.sign {
                    Sign::Equal => "true",
                    Sign::NotEqual => "false",
                    _ => return None,
                };
                return value::is_scalar(kind).then(|| is(Operator::Null, null.to_owned()));
            }
            literal => value::of(kind, literal)?,
        };
        Some(match comparison.sign {
            Sign::Equal => is(Operator::Equal, value),
            Sign::NotEqual => is(Operator::NotEqual, value),
            Sign::Less => is(Operator::Less, value),
            Sign::LessOrEqual => is(Operator::LessOrEqual, value),
            Sign::Greater => is(Operator::Greater, value),
            Sign::GreaterOrEqual => is(Operator::GreaterOrEqual, value),
            Sign::Like if value::is_text(kind) => is(Operator::Contains, value),
            Sign::NotLike if value::is_text(kind) => Condition::Not(Box::new(is(Operator::Contains, value))),
            Sign::Like | Sign::NotLike => return None,
        })
    }

    /// A field by its name or, behind the name of a relation's column and a dot, one of the related record.
    fn column(&self, path: &str) -> Option<(Option<FieldId>, FieldId)> {
        let Some((column, name)) = path.split_once('.') else { return Some((None, self.table.field_named(path)?)) };
        let relation = &self.table.field(self.table.relation_by(column)?).name;
        self.table.column(&[Name::clone(relation), name.into()])
    }

    fn sort(&self, text: &str) -> Option<Vec<(FieldId, bool)>> {
        let mut sort: Vec<(FieldId, bool)> = Vec::new();
        for item in text.split(',').map(|item| item.trim_matches(' ')) {
            let (name, descending) = match item.strip_prefix('-') {
                Some(name) => (name, true),
                None => (item.strip_prefix('+').unwrap_or(item), false),
            };
            let field = self.table.field_named(name)?;
            let Shape::Plain(kind) = &self.table.field(field).shape else { return None };
            if !value::is_scalar(kind) || sort.iter().any(|(known, _)| *known == field) || sort.len() == MAX_SORT {
                return None;
            }
            sort.push((field, descending));
        }
        Some(sort)
    }
}

/// With the key at the end: rows that are alike would change their pages between two requests. Where no order is asked
/// for, the server's would be that of whichever index it takes.
fn sorted(out: &mut Pairs, table: &Table, sort: &[(FieldId, bool)]) {
    if sort.is_empty() {
        return out.pair("sort", "@rowid");
    }
    let key = (!sort.iter().any(|(field, _)| *field == table.key)).then_some((table.key, false));
    let name =
        |(field, down): &(FieldId, bool)| format!("{}{}", if *down { "-" } else { "" }, table.field(*field).name);
    let names: Vec<String> = sort.iter().chain(&key).map(name).collect();
    out.pair("sort", &names.join(","));
}
