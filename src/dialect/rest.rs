//! The `rest` dialect: parameters are declared one by one in the API description.

use crate::api::{Rest, Table};
use crate::dialect::Query;
use crate::model::{Reason, TenantScope};

/// Reads a client's query pairs. Errors: `QueryNotAllowed` for anything that is not declared, does not resolve to a
/// field, or does not parse; the same for all of them, so that nothing is told about hidden fields.
pub fn parse(_rest: &Rest, _table: &Table, _pairs: &[(String, String)]) -> Result<Query, Reason> {
    todo!()
}

/// Prints a query with the tenant filter of the table, percent-encoded, without a leading `?`. A limit is always sent
/// where the dialect has one and `list` says it is a list.
pub fn print(_rest: &Rest, _table: &Table, _query: &Query, _tenant: &TenantScope, _list: bool) -> String {
    todo!()
}

/// Whether a list can be asked of the upstream for one tenant only: its filter covers every dimension.
pub fn is_tenant_pushed(_table: &Table) -> bool {
    todo!()
}
