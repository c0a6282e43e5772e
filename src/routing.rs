//! From a canonical request to the table, action and record it means, through the API descriptions.
//!
//! What no description declares has no target and is refused exactly as a hidden table is. So is what two routes match:
//! the catalog refuses overlapping routes, and nothing here depends on their order. Pure.

use crate::api::{ApiId, Catalog, Document, Route, RouteKind, TableId};
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
    Table {
        table: TableId,
        action: Action,
        key: Option<String>,
    },
    Opaque,
    /// Several requests in one.
    Batch,
    Metadata(Document),
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
        .filter(|(_, _, route)| route.method == *request.judged_as())
        .filter_map(|(api, at, route)| Some((api, at, route, route.path.matches(&request.segments, tenant)?)));
    let (api, at, route, variables) = matching.next()?;
    if matching.next().is_some() {
        return None;
    }
    let kind = match &route.kind {
        RouteKind::Opaque { .. } => Kind::Opaque,
        RouteKind::Batch { .. } => Kind::Batch,
        RouteKind::Metadata(document) => Kind::Metadata(*document),
        // It is a list of which nothing but its length is told.
        RouteKind::Count { table } => Kind::Table { table: *table, action: Action::List, key: None },
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

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::api::{Form, Sent, Template};

    fn routes() -> Vec<Route> {
        let route = |method: Method, path: &str, action| Route {
            method,
            path: Template::parse(path).expect("a template"),
            upstream_path: Template::parse(path).expect("a template"),
            kind: RouteKind::Table { table: TableId(0), action },
            form: Form::Fields,
            sent: Sent::Alike,
        };
        let opaque = RouteKind::Opaque { name: "logo".into(), roles: Vec::new(), media_types: Vec::new(), live: None };
        vec![
            route(Method::GET, "/v1/contacts", Action::List),
            route(Method::GET, "/v1/contacts/{id}", Action::Read),
            route(Method::GET, "/{tenant.organization_id}/contacts/{id}", Action::Read),
            route(Method::GET, "/twice/{id}", Action::Read),
            route(Method::GET, "/twice/one", Action::List),
            Route { kind: opaque, ..route(Method::GET, "/logo/{size}", Action::Read) },
            Route { kind: RouteKind::Batch { most: 2 }, ..route(Method::POST, "/batch", Action::Create) },
        ]
    }

    fn resolve(method: Method, path: &[&str]) -> Option<(usize, Kind)> {
        let dimensions: [Name; 1] = ["organization_id".into()];
        let tenant = TenantScope::new(&dimensions, |_| Some("acme")).expect("a tenant");
        let segments = path.iter().map(|segment| (*segment).to_owned()).collect();
        let request =
            Canonical { method, host: "a".to_owned(), segments, query: Vec::new(), has_body: false, websocket: false };
        let routes = routes();
        let all = routes.iter().enumerate().map(|(at, route)| (ApiId(0), at, route));
        only(all, &request, &tenant).map(|target| (target.route, target.kind))
    }

    fn table(action: Action, key: Option<&str>) -> Kind {
        Kind::Table { table: TableId(0), action, key: key.map(str::to_owned) }
    }

    #[test]
    fn a_declared_route_names_its_table_action_and_key() {
        let cases = [
            (vec!["v1", "contacts"], 0, table(Action::List, None)),
            (vec!["v1", "contacts", "a b"], 1, table(Action::Read, Some("a b"))),
            (vec!["acme", "contacts", "7"], 2, table(Action::Read, Some("7"))),
            (vec!["logo", "big"], 5, Kind::Opaque),
        ];
        for (path, route, kind) in cases {
            assert_eq!(resolve(Method::GET, &path), Some((route, kind)), "{path:?}");
        }
    }

    #[test]
    fn a_batch_is_of_no_table() {
        assert_eq!(resolve(Method::POST, &["batch"]), Some((6, Kind::Batch)));
        assert_eq!(resolve(Method::GET, &["batch"]), None);
    }

    #[test]
    fn a_head_means_what_a_get_means() {
        for path in [&["v1", "contacts"][..], &["v1", "contacts", "7"], &["logo", "big"], &["nothing"]] {
            assert_eq!(resolve(Method::HEAD, path), resolve(Method::GET, path), "{path:?}");
        }
    }

    #[test]
    fn what_no_one_route_means_is_unknown() {
        let long = "a".repeat(257);
        let cases: [&[&str]; 7] = [
            &[],
            &["v1"],
            &["V1", "contacts"],
            &["v1", "contacts", "1", "x"],
            &["v1", "contacts", &long],
            &["globex", "contacts", "7"],
            &["twice", "one"],
        ];
        for path in cases {
            assert_eq!(resolve(Method::GET, path), None, "{path:?}");
        }
        assert_eq!(resolve(Method::DELETE, &["v1", "contacts"]), None, "another method");
    }
}
