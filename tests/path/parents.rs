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

/// One dialect's description, and where its notes are.
struct Service {
    api: String,
    list: &'static str,
    /// What asks for acme's shop alone.
    filter: &'static str,
    expansion: &'static str,
    page: fn(&[Value]) -> Value,
    /// What stands in a column without a value.
    empty: fn() -> Value,
    /// How an expanded account comes, if there is one.
    expanded: fn(Option<Value>) -> (&'static str, Value),
}

fn services() -> [Service; 2] {
    let described = |dialect: &str, accounts: &str, notes: &str| {
        let head = format!("api: crm\nupstream: crm\ndialect: {dialect}");
        format!("{head}{}", TABLES.replace("ACCOUNTS", accounts).replace("NOTES", notes))
    };
    let routes = |table: &str| format!("routes: {{ list: GET /api/collections/{table}/records }}");
    [
        Service {
            api: described("odata\nodata: { root: /svc, default: 3, max: 50 }", "routes: [list]", "routes: [list]"),
            list: "/svc/notes",
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
            filter: "filter=%28account_id.organization_id%3D%27acme%27%20%26%26%20account_id.app_id%3D%27shop%27%29",
            expansion: "expand=account_id",
            page: |rows| json!({ "page": 1, "perPage": 3, "totalItems": 7, "totalPages": 3, "items": rows }),
            empty: || json!(""),
            expanded: |account| {
                ("expand", account.map_or_else(|| json!({}), |account| json!({ "account_id": account })))
            },
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
        let target = if service.list.starts_with("/svc") {
            format!("{}?$count=true", service.list)
        } else {
            service.list.to_owned()
        };
        let own: Vec<Value> = ["n1", "n2", "n3"].iter().map(|id| note(&service, id, Some("acme"))).collect();
        answers(&world, &service, &own);
        let got = client.get(&target).await;
        assert_eq!(got.status, 200, "{}", got.everything());
        assert!(!got.everything().contains("SECRET"), "{}", got.everything());
        let lines = world.upstream.lines();
        assert_eq!(lines.len(), 1, "nothing needs to be filled up: {lines:?}");
        assert!(lines[0].contains(service.filter) && lines[0].contains(service.expansion), "{lines:?}");
        let shown = |body: &Value| body.get("value").or_else(|| body.get("items")).cloned();
        let seen = |ids: &[&str]| Some(ids.iter().map(|id| json!({ "id": id, "text": "seen" })).collect::<Value>());
        assert_eq!(shown(&got.json()), seen(&["n1", "n2", "n3"]));
        let total = |body: &Value| body.get("@odata.count").or_else(|| body.get("totalItems")).cloned();
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
