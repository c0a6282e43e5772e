//! The `odata` dialect: OData V4's system query options, read by a parser and written by a printer of our own.
//!
//! Only what can be judged is understood: comparisons of the table's own properties with literals, `$expand` with `$select` and
//! `$expand` in it, paging by numbers, `$search` for words, and of `$apply` sums and the like. Longer property paths, lambdas,
//! arithmetic, other functions, `$compute` and parameter aliases are refused like anything unknown. Source: OData 4.01,
//! part 2, URL conventions.

mod add;
mod apply;
mod expand;
mod filter;
mod print;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;

use crate::api::{FieldId, Odata, Operator, Search, Table, Tenancy};
use crate::dialect::expand::MAX_LEVELS;
use crate::dialect::figures::{Columns, Figures};
use crate::dialect::pairs::number;
use crate::dialect::{
    Added, Batches, Comparison, Condition, Continuation, Envelope, Language, PageSize, PagedBy, Paging, Query,
    Resumption, Selects, search, value,
};
use crate::model::filter::Sieve;
use crate::model::value::Type;
use crate::model::{Reason, TenantScope};

/// Records that may be skipped.
const MAX_SKIP: u64 = 1_000_000_000;
/// Names of one list, such as `$select`.
const MAX_NAMES: usize = 200;

impl Language for Odata {
    fn parse(&self, table: &Table, pairs: &[(String, String)]) -> Result<Query, Reason> {
        self.query(table, pairs).ok_or(Reason::QueryNotAllowed)
    }

    fn add(&self, table: &Table, sieve: &Sieve, _: &Query) -> Added {
        add::add(table, sieve)
    }

    fn takes(&self, table: &Table, filter: &Condition) -> bool {
        print::condition(table, filter).len() <= token::MAX_TEXT
    }

    fn print(&self, table: &Table, query: &Query, tenant: &TenantScope, list: bool) -> String {
        print::query(table, query, list.then_some((self, tenant)))
    }

    fn print_count(&self, table: &Table, query: &Query, tenant: &TenantScope) -> Option<String> {
        Some(print::count(table, query, tenant))
    }

    fn columns(&self, table: &Table, figures: &Figures) -> Columns {
        apply::columns(table, figures)
    }

    /// Where the tenant is the parent's, its columns are reached through the navigation property.
    fn is_tenant_pushed(&self, table: &Table) -> bool {
        !matches!(&table.tenant, Tenancy::Via(parent) if parent.columns.is_empty())
    }

    fn envelope(&self) -> Envelope<'_> {
        // The context names what was selected, and links lead past the gateway: neither passes.
        let totals = std::slice::from_ref(&self.total);
        Envelope { list: &self.list, record: &self.record, totals, keep: &[], echoes: &[] }
    }

    fn paging(&self) -> Paging {
        let limit = PageSize { default: self.default, max: self.max };
        Paging { limit: Some(limit), by: Some(PagedBy::Offset) }
    }

    fn expands(&self) -> usize {
        MAX_LEVELS
    }

    /// Services are free to expand nothing in the answer to a write, and some do.
    fn chooses(&self, parameter: &str) -> bool {
        parameter == "$select"
    }

    fn selects(&self) -> Selects {
        Selects::Read
    }

    fn batches(&self) -> Option<Batches> {
        Some(Batches::Odata)
    }

    fn continues(&self) -> Option<Continuation> {
        Some(Continuation { member: "@odata.nextLink", limit: "$top", offset: "$skip" })
    }

    /// OData 4.01, part 1, section 11.2.6.7.
    fn resumes(&self) -> Option<Resumption<'_>> {
        Some(Resumption { parameter: "$skiptoken", in_place_of: [Some("$skip"), None], in_head: false })
    }
}

impl Odata {
    fn query(&self, table: &Table, pairs: &[(String, String)]) -> Option<Query> {
        let named: HashMap<&str, &str> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // Invariant of `Canonical`, held here too: services merge two of one name, or take either.
        if named.len() != pairs.len() {
            return None;
        }
        let mut query = Query::default();
        for (name, text) in &named {
            match *name {
                "$filter" => query.filter = filter::parse(table, text)?,
                // Of figures, it is by what they are called.
                "$orderby" if named.contains_key("$apply") => {}
                "$orderby" => query.sort = sort(table, text)?,
                "$select" => query.fields = expand::select(table.reach(), text)?,
                "$expand" => query.expand = expand::parse(table.reach(), text)?,
                "$top" => query.limit = Some(number(text).filter(|n| *n <= self.max)?),
                "$skip" => query.offset = Some(number(text).filter(|n| *n <= MAX_SKIP)?),
                "$count" => query.count = truth(text)?,
                "$search" => {}
                "$apply" if self.aggregates => {
                    let (filter, figures) = apply::parse(table, text)?;
                    query.filter = filter;
                    query.figures = Some(figures);
                }
                "$format" => matches!(*text, "json" | "application/json").then_some(())?,
                _ => return None,
            }
        }
        if let Some(text) = named.get("$search") {
            self.search(table, text, &mut query)?;
        }
        if let Some(figures) = &mut query.figures {
            // Of what is left of the records, other options than these would mean something else.
            let options = ["$apply", "$format", "$count", "$orderby", "$top", "$skip"];
            let pages = ["$orderby", "$top", "$skip"];
            let is_known = named.keys().all(|name| options.contains(name));
            // Without groups there is one answer: it has no order and no pages.
            let has_pages = !figures.groups.is_empty() || !pages.iter().any(|name| named.contains_key(name));
            (is_known && has_pages).then_some(())?;
            if let Some(text) = named.get("$orderby") {
                figures.sort = apply::sort(table, figures, text)?;
            }
        }
        Some(query)
    }

    /// Each word in one of the fields at least, in letters of either case.
    fn search(&self, table: &Table, text: &str, query: &mut Query) -> Option<()> {
        let words = search::words(text).filter(|_| !table.search.is_empty())?;
        query.searched.clone_from(&table.search);
        if self.search == Search::Service {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            query.search = Some(quoted.join(" "));
            return Some(());
        }
        let operator = Operator::ContainsAnyCase;
        let one = |field: &FieldId, word: &str| {
            Condition::Is(Comparison { through: None, field: *field, operator, value: word.to_owned() })
        };
        for word in &words {
            let any = table.search.iter().map(|field| one(field, word)).collect();
            query.filter = std::mem::take(&mut query.filter).and(Condition::Or(any));
        }
        self.takes(table, &query.filter).then_some(())
    }
}

fn sort(table: &Table, text: &str) -> Option<Vec<(FieldId, bool)>> {
    let mut sort: Vec<(FieldId, bool)> = Vec::new();
    for item in text.split(',') {
        let (name, descending) = directed(item)?;
        let field = table.field_named(name).filter(|id| value::is_scalar(&table.field(*id).shape))?;
        if sort.iter().any(|(known, _)| *known == field) || sort.len() == MAX_NAMES {
            return None;
        }
        sort.push((field, descending));
    }
    Some(sort)
}

/// A name of an order, and whether it is the other way round.
fn directed(item: &str) -> Option<(&str, bool)> {
    let mut words = item.split(' ').filter(|word| !word.is_empty());
    let name = words.next()?;
    match (words.next(), words.next()) {
        (None | Some("asc"), None) => Some((name, false)),
        (Some("desc"), None) => Some((name, true)),
        _ => None,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Zeros that a number may be written with.
const MAX_ZEROS: usize = 400;

/// A number without an exponent, which not every service reads; any other value as it is. `None`: it would be too long.
fn plain(kind: &Type, text: String) -> Option<String> {
    let Some((mantissa, power)) = text.split_once(['e', 'E']).filter(|_| matches!(kind, Type::Decimal | Type::Double))
    else {
        return Some(text);
    };
    let power = power.parse::<i64>().ok()?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = usize::try_from(power.unsigned_abs()).ok().filter(|zeros| *zeros <= MAX_ZEROS)?;
    let (whole, fraction) = if power < 0 {
        let digits = format!("{}{whole}", "0".repeat(zeros + 1));
        let (whole, moved) = digits.split_at_checked(digits.len() - zeros)?;
        (whole.to_owned(), format!("{moved}{fraction}"))
    } else {
        let digits = format!("{fraction}{}", "0".repeat(zeros));
        let (moved, fraction) = digits.split_at_checked(zeros)?;
        (format!("{whole}{moved}"), fraction.to_owned())
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}
