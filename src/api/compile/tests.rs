//! API descriptions: what compiles, and what is a mistake and where.

use super::*;
use crate::api::{Dialect, Route, RouteKind, Sent, Style};

const POCKETBASE: &str = include_str!("../../../config/apis/pocketbase.yaml");
const DIRECTUS: &str = include_str!("../../../config/apis/directus.yaml");
const DEMO: &str = include_str!("../../../config/apis/demo-crm.yaml");

fn names(words: &[&str]) -> Vec<Name> {
    words.iter().map(|word| Name::from(*word)).collect()
}

fn compile(text: &str) -> Result<(Catalog, Vec<Diagnostic>), Vec<Diagnostic>> {
    catalog(&[Source::new("crm.yaml", text)], &["crm".into()], &names(&["organization_id", "app_id"]))
}

#[test]
fn the_demo_description_compiles_without_a_warning() {
    let (catalog, warnings) = compile(DEMO).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    assert_eq!(catalog.tables().count(), 6);
}

#[test]
fn postgrests_parameters_are_known_and_a_record_is_found_by_a_filter() {
    let description =
        include_str!("../../../config/apis/postgrest.yaml").replace("upstream: postgrest", "upstream: crm");
    let (catalog, warnings) =
        compile(&description).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    let (_, api) = catalog.apis().next().expect("one");
    let Dialect::Rest(rest) = &api.dialect else { panic!("rest") };
    assert_eq!((rest.parameters.style, rest.parameters.offset.as_deref()), (Style::Postgrest, Some("offset")));
    let by_filter = api
        .routes
        .iter()
        .filter(|route| matches!(&route.sent, Sent::Filtered(path) if path.to_string() == "/contacts"));
    assert_eq!(by_filter.map(|route| route.method.as_str()).collect::<Vec<_>>(), ["GET", "PATCH", "DELETE"]);
}

#[test]
fn the_routes_of_an_odata_service_are_known() {
    let description = include_str!("../../../config/apis/odata.yaml");
    let (catalog, warnings) =
        compile(description).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    let (_, api) = catalog.apis().next().expect("one");
    let (implied, declared): (Vec<&Route>, Vec<&Route>) =
        api.routes.iter().partition(|route| matches!(route.kind, RouteKind::Property { .. }));
    let spelled = |route: &&Route| format!("{} {}", route.method, route.path);
    assert_eq!(
        implied.iter().map(spelled).collect::<Vec<_>>(),
        [
            "GET /odata/v4/crm/People('{id}')/{$property}",
            "GET /odata/v4/crm/People('{id}')/{$property}/$value",
            "GET /odata/v4/crm/contacts({id})/{$property}",
            "GET /odata/v4/crm/contacts({id})/{$property}/$value",
        ]
    );
    // The record is what the upstream is asked for.
    assert!(implied.iter().all(|route| route.upstream_path.variables().count() == 1));
    assert_eq!(
        declared.iter().map(spelled).collect::<Vec<_>>(),
        [
            "GET /odata/v4/crm/People",
            "GET /odata/v4/crm/People('{id}')",
            "GET /odata/v4/crm/contacts",
            "GET /odata/v4/crm/contacts/$count",
            "GET /odata/v4/crm/contacts({id})",
            "POST /odata/v4/crm/contacts",
            "PATCH /odata/v4/crm/contacts({id})",
            "DELETE /odata/v4/crm/contacts({id})",
            "GET /odata/v4/crm/openapi.json",
            "GET /odata/v4/crm",
            "GET /odata/v4/crm/$metadata",
            "POST /odata/v4/crm/$batch",
        ]
    );
}

#[test]
fn an_opaque_route_reaches_no_path_of_a_table_by_any_method() {
    let with = |route: &str, upstream: &str| {
        format!(
            "{DEMO}\nopaque:\n  x: {{ route: \"{route}\", upstream_path: \"{upstream}\", roles: [a], \
             media_types: [application/json] }}\n"
        )
    };
    let codes = |text: &str| match compile(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.code).collect(),
    };
    for (route, upstream) in [
        ("GET /x/{key}", "/v1/contacts/{key}"),
        ("PUT /x/{key}", "/v1/contacts/{key}"),
        ("PUT /x", "/v1/contacts"),
        ("PUT /x/{key}/{any}", "/v1/{any}/{key}"),
    ] {
        assert!(codes(&with(route, upstream)).contains(&"overlapping-routes"), "{route} {upstream}");
    }
    for upstream in ["/v1/contacts/import", "/v2/contacts"] {
        assert_eq!(codes(&with("POST /x", upstream)), [""; 0], "a path of its own beside the records");
    }
}

#[test]
fn records_one_a_line_have_no_envelope() {
    let lines = DEMO.replace("list: \"$.data[*]\"", "list: lines");
    let errors = compile(&lines).expect_err("the demo's lists have a total");
    assert!(!errors.is_empty() && errors.iter().all(|error| error.code == "bad-place"), "{errors:?}");
    let bare: String = lines
        .lines()
        .filter(|line| !line.starts_with("  total:") && !line.starts_with("  keep:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let (catalog, _) = compile(&bare).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    let super::super::Dialect::Rest(rest) = &catalog.apis().next().expect("one").1.dialect else {
        panic!("not `rest`")
    };
    assert_eq!(rest.list, crate::api::Records::Lines);
}

#[test]
fn what_directus_cant_say_of_a_table_is_a_mistake() {
    use crate::api::Push;
    let described = DIRECTUS.replace("upstream: directus", "upstream: crm");
    let (catalog, warnings) =
        compile(&described).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    let contacts = catalog.table_named("contacts").expect("a table");
    assert!(contacts.in_place && contacts.container.is_none());
    let paths: Vec<String> =
        catalog.apis().next().expect("one").1.routes.iter().map(|route| route.path.to_string()).collect();
    assert!(
        paths.contains(&"/items/people/{id}".to_owned()) && paths.contains(&"/items/accounts".to_owned()),
        "{paths:?}"
    );
    let push = |catalog: &Catalog, name: &str| {
        let contacts = catalog.table_named("contacts").expect("a table");
        contacts.field(contacts.field_named(name).expect("a field")).push
    };
    for (name, expected) in [
        ("name", Some(Push::Exact)),
        ("id", Some(Push::Double)),
        ("last_seen", Some(Push::Milliseconds)),
        ("born", None),
        ("active", Some(Push::Exact)),
        ("account_record", None),
    ] {
        assert_eq!(push(&catalog, name), expected, "{name}");
    }
    let in_doubt = described.replacen("  texts: exact", "", 1);
    let errors = compile(&in_doubt).expect_err("a write would be of whatever the tenant's name is taken for");
    assert!(errors.iter().all(|error| error.code == "bad-race"), "{errors:?}");
    let (loose, _) = compile(&in_doubt.replacen("race: [filter, accept]", "race: accept", 1)).expect("a description");
    assert_eq!(push(&loose, "name"), Some(Push::Loose), "in doubt");
    for (from, to, code) in [
        ("      active: bool", "      _active: bool", "bad-name"),
        ("      active: bool", "      not-a-word: bool", "bad-name"),
        ("      active: bool", "      again: { table: accounts, by: account }", "bad-relation"),
        ("      active: bool", "      active: { type: bool, keys_of: accounts }", "bad-relation"),
        ("      active: bool", "      active: { type: string, keys_of: nobody }", "unknown-table"),
        ("      account_record:", "      revenue:", "bad-relation"),
        ("    race: [", "    tenant_filter: { o: organization_id }\n    race: [", "bad-tenant"),
        ("set: people", "set: people/1", "bad-name"),
        ("routes: [list, read]", "routes: [list, export]", "bad-route"),
        ("texts: exact", "texts: ordered", "unknown-word"),
        ("max: 1000", "max: 10", "bad-limit"),
        ("dialect: directus", "dialect: odata", "unknown-key"),
    ] {
        let errors = compile(&described.replacen(from, to, 1)).expect_err(to);
        assert!(errors.iter().any(|error| error.code == code), "{to}: {}", diagnostic::render(&errors, false));
    }
}

#[test]
fn what_pocketbase_cant_say_of_a_table_is_a_mistake() {
    let (catalog, warnings) = compile(&POCKETBASE.replace("upstream: pocketbase", "upstream: crm"))
        .unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    let contacts = catalog.table_named("contacts").expect("a table");
    assert_eq!((contacts.container.as_deref(), contacts.empty_is_null), (Some("expand"), true));
    let push = |name: &str| contacts.field(contacts.field_named(name).expect("a field")).push;
    use crate::api::Push;
    let known = [
        ("name", Some(Push::Ordered)),
        ("last_seen", Some(Push::Exact)),
        ("active", Some(Push::Exact)),
        ("account_record", None),
    ];
    for (name, expected) in known {
        assert_eq!(push(name), expected, "{name}");
    }
    for (from, to, code) in [
        ("      active: bool", "      not-a-word: bool", "bad-name"),
        ("      active: bool", "      expand: bool", "bad-name"),
        ("      active: bool", "      Null: bool", "bad-name"),
        ("      active: bool", "      again: { table: accounts, by: account }", "bad-relation"),
        ("      active: bool", "      notes: { table: accounts, many: true }", "bad-relation"),
        ("    race: accept", "    tenant_filter: { o: organization_id }\n    race: accept", "bad-tenant"),
        ("max: 1000", "max: 1001", "expected-number"),
        ("default: 30", "default: 1001", "expected-number"),
        ("max: 1000", "max: 10", "bad-limit"),
        ("dialect: pocketbase", "dialect: rest", "unknown-key"),
    ] {
        let wrong = POCKETBASE.replace("upstream: pocketbase", "upstream: crm").replacen(from, to, 1);
        let errors = compile(&wrong).expect_err(to);
        assert!(errors.iter().any(|error| error.code == code), "{to}: {}", diagnostic::render(&errors, false));
    }
}
