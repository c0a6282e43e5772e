//! Which parts of a client's query may be asked, and what the upstream must be asked besides.
//!
//! A field may be sorted by only if it is readable in clear on every row that the query may touch; otherwise the answer's
//! rows, their order or their number would tell its values. One that is clear on some rows may be filtered by on these:
//! [`guard`] sees to that. Hidden, unreadable and unknown fields are refused with one and the same answer.

mod expand;
pub(super) mod guard;
mod projection;

pub(super) use expand::{complete, every, lens, related};
pub(super) use projection::{before_write, read_by_rules};

use super::{Case, pushdown};
use crate::api::{FieldId, InexactPaging, Parent, Shape, Table, Tenancy};
use crate::dialect::expand::add;
use crate::dialect::{Added, Condition, Expansion, Language, PagedBy, Query};
use crate::model::Reason;
use crate::policy::Residual;

/// A client's query beside what is asked for so that it finds what the caller may see.
pub(super) struct Scoped {
    /// With a guard wherever its filter needs one.
    pub query: Query,
    /// What the policies add to its filter.
    pub added: Condition,
    /// The fields that are compared for the policies, and how.
    pub pushed: Vec<String>,
    /// Whether the upstream itself cuts it to one tenant.
    pub tenant: bool,
    /// Whether the upstream then finds the records that may be seen, and no others.
    pub exact: bool,
}

/// Errors: the filter can't be guarded.
pub(super) fn scoped(
    case: &Case<'_>,
    table: &Table,
    residual: &Residual,
    language: &dyn Language,
    query: Query,
) -> Result<Scoped, Reason> {
    let guarded = guard::guarded(case, table, residual, language, &query)?;
    let query = Query { filter: guarded.filter, ..query };
    let added = match guarded.is_visible {
        true => Added { condition: Condition::default(), exact: true },
        false => language.add(table, residual.narrowed(|sieve| pushdown::narrow(sieve, table)), &query),
    };
    let pushed = guarded.names.into_iter().chain(added.names(table)).collect();
    let tenant = language.is_tenant_pushed(table);
    let exact = added.exact && tenant && table.tells_tenants_apart();
    Ok(Scoped { query, added: added.condition, pushed, tenant, exact })
}

/// Checks all of a client's query but its filter, and what it asks of related records ([`lens`]), under a residual; under none, no field may be named. `whole`: the upstream's
/// pages hold no rows that will be dropped.
pub(super) fn check(query: &Query, table: &Table, residual: Option<&Residual>, whole: bool) -> Result<(), Reason> {
    let tells_order = query.compares();
    let shown = query.fields.iter().flatten().copied().chain(query.expand.relations());
    let allowed = match residual {
        None => !tells_order && shown.count() == 0,
        Some(residual) => {
            // A short page tells that a hidden row took a place; with a filter or an order it would tell its values too.
            let silent = whole || table.inexact_paging != InexactPaging::Short || !tells_order;
            silent
                && query.sort.iter().all(|(f, _)| residual.is_clear_everywhere(*f))
                && query.searched.iter().all(|f| residual.is_clear_everywhere(*f) && !table.field(*f).is_secret())
                && shown.into_iter().all(|f| residual.may_show(f))
        }
    };
    if allowed { Ok(()) } else { Err(Reason::QueryNotAllowed) }
}

/// A query for one page, from 0, of who is managed by whom. `None`: there is no way to ask for more than the first.
pub(super) fn people(language: &dyn Language, table: &Table, manager: FieldId, page: u64) -> Option<Query> {
    let mut query = Query::default();
    let mut wanted = vec![table.key, manager];
    match &table.tenant {
        Tenancy::Columns(columns) => wanted.extend(columns.iter().map(|(_, column)| *column)),
        Tenancy::Via(Parent { relation, .. }) => {
            query.expand.named.push(Expansion::of(*relation));
            wanted.push(*relation);
            if let Shape::One { by, .. } = table.field(*relation).shape {
                wanted.push(by);
            }
        }
        Tenancy::Shared => {}
    }
    let mut fields = Vec::new();
    add(&mut fields, wanted);
    query.fields = Some(fields);
    // Without an order, a row may change its page between two requests.
    query.sort.push((table.key, false));
    let paging = language.paging();
    let limit = paging.limit.map(|limit| limit.max);
    query.limit = limit;
    match (limit, paging.by) {
        (Some(limit), Some(PagedBy::Offset)) => query.offset = Some(page.checked_mul(limit)?),
        (Some(_), Some(PagedBy::Page)) => query.page = Some(page.checked_add(1)?),
        _ if page > 0 => return None,
        _ => {}
    }
    Some(query)
}
