//! From a canonical request to the table, action and record it means, through the API descriptions.
//!
//! What no description declares has no target and is refused exactly as a hidden table is. So is what two routes match:
//! the catalog refuses overlapping routes, and nothing here depends on their order. Pure.

use crate::api::template::is_identifier;
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
    /// What of the record is meant, if not all.
    pub property: Option<Property>,
}

/// A property of a record, as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    /// Its value alone.
    pub raw: bool,
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
    routes: impl Iterator<Item = (ApiId, usize, &'a Route)> + Clone,
    request: &Canonical,
    tenant: &TenantScope,
) -> Option<Target> {
    let matching = |implied: bool| {
        let routes = routes.clone().filter(move |(_, _, route)| {
            route.method == *request.judged_as() && matches!(route.kind, RouteKind::Property { .. }) == implied
        });
        routes.filter_map(|(api, at, route)| Some((api, at, route, route.path.matches(&request.segments, tenant)?)))
    };
    let mut declared = matching(false);
    let (api, at, route, mut variables) = match declared.next() {
        Some(_) if declared.next().is_some() => return None,
        Some(found) => found,
        // What is declared for a path is never a property.
        None => {
            let mut implied = matching(true);
            implied.next().filter(|_| implied.next().is_none())?
        }
    };
    let property = match route.kind {
        RouteKind::Property { raw, .. } => {
            // `$count` and the like are other things (OData 4.01 CSDL, section 15.2).
            let (_, name) = variables.pop().filter(|(_, name)| is_identifier(name))?;
            Some(Property { name, raw })
        }
        _ => None,
    };
    let kind = match &route.kind {
        RouteKind::Opaque { .. } => Kind::Opaque,
        RouteKind::Batch { .. } => Kind::Batch,
        RouteKind::Metadata(document) => Kind::Metadata(*document),
        // It is a list of which nothing but its length is told.
        RouteKind::Count { table } => Kind::Table { table: *table, action: Action::List, key: None },
        RouteKind::Table { table, action } => {
            Kind::Table { table: *table, action: action.clone(), key: key(&variables)? }
        }
        RouteKind::Property { table, .. } => {
            Kind::Table { table: *table, action: Action::Read, key: Some(key(&variables)??) }
        }
    };
    Some(Target { api, route: at, variables, kind, property })
}

/// The key that a path names, if any. `None`: it can be no table's.
fn key(variables: &[(Name, String)]) -> Option<Option<String>> {
    match variables {
        [] => Some(None),
        [(_, key)] if !key.is_empty() && key.chars().count() <= MAX_KEY => Some(Some(key.clone())),
        _ => None,
    }
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
        let property = |path: &str, raw| {
            let kind = RouteKind::Property { table: TableId(0), raw };
            let path = path.replace("{$property}", "{property}");
            Route { kind, ..route(Method::GET, &path, Action::Read) }
        };
        let (name, request_headers) = ("logo".into(), Vec::new());
        let opaque =
            RouteKind::Opaque { name, roles: Vec::new(), media_types: Vec::new(), request_headers, live: None };
        vec![
            route(Method::GET, "/v1/contacts", Action::List),
            route(Method::GET, "/v1/contacts/{id}", Action::Read),
            route(Method::GET, "/{tenant.organization_id}/contacts/{id}", Action::Read),
            route(Method::GET, "/twice/{id}", Action::Read),
            route(Method::GET, "/twice/one", Action::List),
            Route { kind: opaque, ..route(Method::GET, "/logo/{size}", Action::Read) },
            Route { kind: RouteKind::Batch { most: 2 }, ..route(Method::POST, "/batch", Action::Create) },
            property("/v1/contacts/{id}/{$property}", false),
            property("/v1/contacts/{id}/{$property}/$value", true),
            route(Method::GET, "/v1/contacts/{id}/close", Action::Read),
            property("/odd/{id}/{$property}", false),
            property("/odd/{id}/{$property}", false),
        ]
    }

    fn resolve(method: Method, path: &[&str]) -> Option<(usize, Kind)> {
        target(method, path).map(|target| (target.route, target.kind))
    }

    fn target(method: Method, path: &[&str]) -> Option<Target> {
        let dimensions: [Name; 1] = ["organization_id".into()];
        let tenant = TenantScope::new(&dimensions, |_| Some("acme")).expect("a tenant");
        let segments = path.iter().map(|segment| (*segment).to_owned()).collect();
        let request =
            Canonical { method, host: "a".to_owned(), segments, query: Vec::new(), has_body: false, websocket: false };
        let routes = routes();
        let all = routes.iter().enumerate().map(|(at, route)| (ApiId(0), at, route));
        only(all, &request, &tenant)
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
    fn a_property_is_one_of_a_record_where_nothing_is_declared() {
        let found =
            |path: &[&str]| target(Method::GET, path).map(|target| (target.kind, target.variables, target.property));
        let of = |name: &str, raw| {
            let variables = vec![("id".into(), "7".to_owned())];
            Some((table(Action::Read, Some("7")), variables, Some(Property { name: name.to_owned(), raw })))
        };
        assert_eq!(found(&["v1", "contacts", "7", "name"]), of("name", false));
        assert_eq!(found(&["v1", "contacts", "7", "name", "$value"]), of("name", true));
        let declared = (table(Action::Read, Some("7")), vec![("id".into(), "7".to_owned())], None);
        assert_eq!(found(&["v1", "contacts", "7", "close"]), Some(declared));
        let long = "a".repeat(257);
        for path in [
            &["v1", "contacts", "7", "name", "x"][..],
            &["v1", "contacts", "7", "$value"],
            &["v1", "contacts", "7", "$count"],
            &["v1", "contacts", "7", "crm.name"],
            &["v1", "contacts", "7", "name(1)"],
            &["v1", "contacts", "7", "1", "$value"],
            &["v1", "contacts", &long, "name"],
            &["odd", "7", "name"],
        ] {
            assert_eq!(found(path), None, "{path:?}");
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            assert_eq!(target(method, &["v1", "contacts", "7", "name"]), None);
        }
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
            &["v1", "contacts", "1", "x", "y"],
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
