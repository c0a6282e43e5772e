//! From a canonical request to the table, action and record it means, through the API descriptions.
//!
//! What no description declares has no target and is refused exactly as a hidden table is. Pure.

use crate::api::{ApiId, Catalog, TableId};
use crate::canonical::Canonical;
use crate::model::{Action, Name, Reason, TenantScope};

/// What a request is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub api: ApiId,
    /// Index into the API's routes.
    pub route: usize,
    /// Values of the path's variables.
    pub variables: Vec<(Name, String)>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Table { table: TableId, action: Action, key: Option<String> },
    Opaque,
}

/// Finds the one route that a request means. Errors: `RouteUnknown`.
pub fn resolve(_catalog: &Catalog, _request: &Canonical, _tenant: &TenantScope) -> Result<Target, Reason> {
    todo!()
}
