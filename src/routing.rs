//! From a canonical request to the table, action and record it means, through the API descriptions.
//!
//! What no description declares has no target and is refused exactly as a hidden table is. So is what two routes match:
//! the catalog refuses overlapping routes, and nothing here depends on their order. Pure.

use crate::api::{ApiId, Catalog, Route, RouteKind, TableId};
use crate::canonical::Canonical;
use crate::model::{Action, Name, Reason, TenantScope};

/// Longer keys are no keys of any table.
const MAX_KEY: usize = 256;

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
pub fn resolve(catalog: &Catalog, request: &Canonical, tenant: &TenantScope) -> Result<Target, Reason> {
    let routes = catalog.apis().flat_map(|(id, api)| api.routes.iter().enumerate().map(move |(at, it)| (id, at, it)));
    only(routes, request, tenant).ok_or(Reason::RouteUnknown)
}

fn only<'a>(
    routes: impl Iterator<Item = (ApiId, usize, &'a Route)>,
    request: &Canonical,
    tenant: &TenantScope,
) -> Option<Target> {
    let mut matching = routes
        .filter(|(_, _, route)| route.method == request.method)
        .filter_map(|(api, at, route)| Some((api, at, route, route.path.matches(&request.segments, tenant)?)));
    let (api, at, route, variables) = matching.next()?;
    if matching.next().is_some() {
        return None;
    }
    let kind = match &route.kind {
        RouteKind::Opaque { .. } => Kind::Opaque,
        RouteKind::Table { table, action } => {
            let key = match variables.as_slice() {
                [] => None,
                [(_, key)] if !key.is_empty() && key.chars().count() <= MAX_KEY => Some(key.clone()),
                _ => return None,
            };
            Kind::Table { table: *table, action: action.clone(), key }
        }
    };
    Some(Target { api, route: at, variables, kind })
}
