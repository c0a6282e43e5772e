//! Tables whose tenant is their parent's: the upstream is asked for those of one tenant's parents alone, and what it answers
//! is judged all the same.

use serde_json::{Value, json};

use crate::support::world::Setup;
use crate::support::{Answer, World};

const TABLES: &str = "
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    ACCOUNTS
    fields: { id: string, organization_id: string, app_id: string, name: string }
  notes:
    key: id
    tenant: { via: account }
    NOTES
    fields:
      id: string
      account_id: { type: string, nullable: true }
      text: string
      account: { table: accounts, by: account_id }
";
const POLICY: &str = "table: notes
grants:
  - { name: all, roles: [rep], actions: [list], rows: all, read: { clear: [id, text] } }
";

const REST: &str = "rest
rest:
  list: $.data[*]
  record: $.data
  total: $.meta.total
  parameters:
    limit: { name: limit, default: 3, max: 50 }
    offset: offset
    fields: { name: fields, separator: \",\" }
    expand: { name: expand, separator: \",\" }
    filter: { eq: \"{field}\", in: \"{field}[in]\" }";
const FILTERED: &str = "tenant_filter: { account.organization_id: organization_id, account.app_id: app_id }";

/// One dialect's description, and where its notes are.
struct Service {
    api: String,
    list: &'static str,
    /// What also asks for the total, where it has to be asked for.
    counting: &'static str,
    /// What asks for acme's shop alone.
    filter: &'static str,
    expansion: &'static str,
    page: fn(&[Value]) -> Value,
    /// What stands in a column without a value.
    empty: fn() -> Value,
    /// How an expanded account comes, if there is one.
    expanded: fn(Option<Value>) -> (&'static str, Value),
}

fn services() -> [Service; 4] {
    let described = |dialect: &str, accounts: &str, notes: &str| {
        let head = format!("api: crm\nupstream: crm\ndialect: {dialect}");
        format!("{head}{}", TABLES.replace("ACCOUNTS", accounts).replace("NOTES", notes))
    };
    let routes = |table: &str| format!("routes: {{ list: GET /api/collections/{table}/records }}");
    [
        Service {
            api: described("odata\nodata: { root: /svc, default: 3, max: 50 }", "routes: [list]", "routes: [list]"),
            list: "/svc/notes",
            counting: "?$count=true",
            filter: "$filter=account%2Forganization_id%20eq%20%27acme%27%20and%20account%2Fapp_id%20eq%20%27shop%27",
            expansion: "$expand=account",
            page: |rows| json!({ "@odata.count": 7, "value": rows }),
            empty: || Value::Null,
            expanded: |account| ("account", json!(account)),
        },
        Service {
            api: described(
                "pocketbase\npocketbase: { page: { default: 3, max: 50 } }",
                &routes("accounts"),
                &routes("notes"),
            ),
            list: "/api/collections/notes/records",
            counting: "",
            filter: "filter=%28account_id.organization_id%3D%27acme%27%20%26%26%20account_id.app_id%3D%27shop%27%29",
            expansion: "expand=account_id",
            page: |rows| json!({ "page": 1, "perPage": 3, "totalItems": 7, "totalPages": 3, "items": rows }),
            empty: || json!(""),
            expanded: |account| {
                ("expand", account.map_or_else(|| json!({}), |account| json!({ "account_id": account })))
            },
        },
        Service {
            api: described(
                "directus\ndirectus: { page: { default: 3, max: 50 }, texts: exact }",
                "routes: [list]",
                "routes: [list]",
            ),
            list: "/items/notes",
            counting: "?meta=filter_count",
            filter: "filter=%7B%22_and%22%3A%5B%7B%22account_id%22%3A%7B%22organization_id%22%3A%7B%22_eq%22%3A%22acme%22%7D%7D%7D%2C\
                     %7B%22account_id%22%3A%7B%22app_id%22%3A%7B%22_eq%22%3A%22shop%22%7D%7D%7D%5D%7D&",
            expansion: "alias=%7B%22account%22%3A%22account_id%22%7D",
            page: |rows| json!({ "meta": { "filter_count": 7 }, "data": rows }),
            empty: || Value::Null,
            expanded: |account| ("account", json!(account)),
        },
        Service {
            api: described(
                REST,
                "routes: { list: GET /accounts }",
                &format!("{FILTERED}\n    routes: {{ list: GET /notes }}"),
            ),
            list: "/notes",
            counting: "",
            filter: "account.organization_id=acme&account.app_id=shop&",
            expansion: "expand=account",
            page: |rows| json!({ "meta": { "total": 7 }, "data": rows }),
            empty: || Value::Null,
            expanded: |account| ("account", json!(account)),
        },
    ]
}

/// A note of an organization's account; of none, it has no parent.
fn note(service: &Service, id: &str, organization: Option<&str>) -> Value {
    let account =
        organization.map(|of| json!({ "id": "a1", "organization_id": of, "app_id": "shop", "name": "SECRET" }));
    let column = account.as_ref().map_or_else(service.empty, |_| json!("a1"));
    let (member, expanded) = (service.expanded)(account);
    json!({ "id": id, "account_id": column, "text": "seen", member: expanded })
}

fn answers(world: &World, service: &Service, rows: &[Value]) {
    let body = (service.page)(rows).to_string();
    world.upstream.answers(move |_| Some(Answer::json(200, body.clone())));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_cut_to_the_tenant_of_the_parent_and_each_row_is_judged() {
    for service in services() {
        let world = Setup { api: service.api.clone(), ..Setup::default() }.policy("notes", POLICY).start().await;
        let client = world.person("ann", &json!({ "roles": ["rep"] }));
        let target = format!("{}{}", service.list, service.counting);
        let own: Vec<Value> = ["n1", "n2", "n3"].iter().map(|id| note(&service, id, Some("acme"))).collect();
        answers(&world, &service, &own);
        let got = client.get(&target).await;
        assert_eq!(got.status, 200, "{}", got.everything());
        assert!(!got.everything().contains("SECRET"), "{}", got.everything());
        let lines = world.upstream.lines();
        assert_eq!(lines.len(), 1, "nothing needs to be filled up: {lines:?}");
        assert!(lines[0].contains(service.filter) && lines[0].contains(service.expansion), "{lines:?}");
        let shown = |body: &Value| ["value", "items", "data"].iter().find_map(|name| body.get(name)).cloned();
        let seen = |ids: &[&str]| Some(ids.iter().map(|id| json!({ "id": id, "text": "seen" })).collect::<Value>());
        assert_eq!(shown(&got.json()), seen(&["n1", "n2", "n3"]));
        let total = |body: &Value| {
            let places = ["/@odata.count", "/totalItems", "/meta/filter_count", "/meta/total"];
            places.iter().find_map(|place| body.pointer(place)).cloned()
        };
        assert_eq!(total(&got.json()), Some(json!(7)), "what the server counts is the tenant's alone");
        assert_eq!(world.metric("scrim_tenant_violations_total").await, 0.0);
        // A server that does not filter shows nothing more.
        answers(
            &world,
            &service,
            &[note(&service, "n1", Some("acme")), note(&service, "n2", Some("globex")), note(&service, "n3", None)],
        );
        let got = client.get(&target).await;
        assert_eq!((got.status, shown(&got.json())), (200, seen(&["n1"])), "{}", got.everything());
        assert!(!got.everything().contains("SECRET") && total(&got.json()) != Some(json!(7)), "{}", got.everything());
        assert_eq!(world.metric("scrim_tenant_violations_total").await, 2.0);
        let (_, outcome) = world.last_audit().await;
        assert_eq!((&outcome["rows_returned"], &outcome["rows_dropped"]), (&json!(1), &json!(2)));
        world.gateway.shutdown().await;
    }
}

/// A parent's tenant that can't be asked for is judged row by row, and pages are filled from further ones.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_such_parameter_pages_are_filled_with_what_is_the_tenants() {
    let [.., service] = services();
    for declared in ["", "tenant_filter: { account.organization_id: organization_id }"] {
        let api = service.api.replace(FILTERED, declared);
        let world = Setup { api, ..Setup::default() }.policy("notes", POLICY).start().await;
        let client = world.person("ann", &json!({ "roles": ["rep"] }));
        let row = |id: &str, of| note(&service, id, of);
        let pages = [
            vec![row("n1", Some("globex")), row("n2", Some("acme")), row("n3", None)],
            vec![row("n4", Some("acme")), row("n5", Some("acme"))],
        ];
        world.upstream.answers(move |seen| {
            let page = if seen.target.contains("offset=50") { Vec::new() } else { pages.concat() };
            Some(Answer::json(200, json!({ "meta": { "total": 5 }, "data": page }).to_string()))
        });
        let got = client.get("/notes").await;
        let seen = |ids: &[&str]| ids.iter().map(|id| json!({ "id": id, "text": "seen" })).collect::<Value>();
        assert_eq!((got.status, got.json()), (200, json!({ "data": seen(&["n2", "n4", "n5"]) })), "{declared}");
        let lines = world.upstream.lines();
        assert_eq!(lines[0].contains("account.organization_id=acme"), !declared.is_empty(), "{lines:?}");
        assert_eq!(world.metric("scrim_tenant_violations_total").await, 0.0, "nobody promised otherwise");
        // Its own parameters are no client's, declared or not.
        world.upstream.forget();
        for name in ["account.organization_id", "account.organization_id[in]", "account", "organization_id"] {
            assert_eq!(client.get(&format!("/notes?{name}=globex")).await.status, 400, "{name}");
        }
        assert!(world.upstream.seen().is_empty());
        world.gateway.shutdown().await;
    }
}
