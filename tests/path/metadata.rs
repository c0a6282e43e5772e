//! Documents about the tables: each caller's own, and nothing in it of what is hidden from them.

use serde_json::{Value, json};

use super::{POLICY, setup};
use crate::support::client::Response;
use crate::support::world::Setup;
use crate::support::{Client, World};

const ODATA: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc }
metadata: { openapi: /svc/openapi.json, odata: true }
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, headline: string, revenue: decimal, hidden_margin: decimal }
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, read, create, update, delete]
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      account_id: int
      name: string
      visits: int
      born: date
      hidden_ssn: { type: string, tags: [secret] }
      account: { table: accounts, by: account_id }
      secrets: { table: hidden_notes, many: true }
  hidden_notes:
    key: id
    set: HiddenNotes
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields: { id: int, organization_id: string, app_id: string, contact_id: int, hidden_text: string }
";
const CONTACTS: &str = "\
table: contacts
grants:
  - name: reps
    roles: [rep]
    actions: [list, read]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, account_id, account], hash: [visits], truncate: { born: month } }
  - name: managers
    roles: [manager]
    actions: [list, read, update]
    rows: all
    read: { clear: all, except: [hidden_ssn] }
    write: [name]
";
const ACCOUNTS: &str = "\
table: accounts
grants:
  - name: managers
    roles: [manager]
    actions: [list, read]
    rows: all
    read: { clear: [id, headline, revenue] }
";

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn world() -> World {
    let setup = Setup { api: ODATA.to_owned(), ..Setup::default() };
    setup.policy("contacts", CONTACTS).policy("accounts", ACCOUNTS).start().await
}

fn person(world: &World, role: &str) -> Client {
    world.person("ann", &json!({ "roles": [role] }))
}

/// Words that no document of a rep may hold, though each is in the API description; and of nobody's.
const NEVER: [&str; 5] = ["idden", "organization_id", "app_id", "HiddenNotes", "secrets"];
const NOT_A_REPS: [&str; 4] = ["headline", "revenue", "owner_id", "accounts"];
const DOCUMENTS: [&str; 3] = ["/svc", "/svc/$metadata", "/svc/openapi.json"];

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_what_its_reader_may_see_and_no_word_more() {
    let world = world().await;
    for (path, accept) in [
        ("/svc", "*/*"),
        ("/svc/$metadata", "*/*"),
        ("/svc/$metadata", "application/json"),
        ("/svc/openapi.json", "*/*"),
    ] {
        let rep = person(&world, "rep").header("accept", accept).get(path).await;
        assert_eq!(rep.status, 200, "{path}: {}", rep.text());
        for word in NEVER.iter().chain(&NOT_A_REPS) {
            assert!(!rep.everything().contains(word), "{path} {accept}: {word} in {}", rep.everything());
        }
        assert!(rep.text().contains("contacts"), "{path}: {}", rep.text());
        let manager = person(&world, "manager").header("accept", accept).get(path).await;
        assert_eq!(manager.status, 200, "{path}");
        assert!(manager.text().contains("accounts"), "{path}: {}", manager.text());
        for word in ["idden", "HiddenNotes", "secrets"] {
            assert!(!manager.everything().contains(word), "{path} {accept}: {word} in {}", manager.everything());
        }
        let (intent, outcome) = world.last_audit().await;
        assert!(intent["action"].as_str().is_some_and(|action| action.starts_with("metadata:")), "{intent}");
        assert_eq!((&intent["api"], &intent["table"]), (&json!("crm"), &Value::Null));
        assert_eq!((&outcome["result"], &outcome["upstream_requests"]), (&json!("allowed"), &json!(0)));
        assert!(header(&manager, "cache-control").is_some_and(|value| value.contains("private")));
    }
    assert_eq!(world.upstream.lines(), Vec::<String>::new(), "no document is the upstream's");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_of_a_service_says_how_its_values_look() {
    let world = world().await;
    let rep = person(&world, "rep").get("/svc/$metadata").await;
    assert_eq!(header(&rep, "content-type").as_deref(), Some("application/xml"));
    assert_eq!(header(&rep, "odata-version").as_deref(), Some("4.0"));
    let expected = "<EntitySet Name=\"contacts\" EntityType=\"crm.contacts\"></EntitySet></EntityContainer>\
        <EntityType Name=\"contacts\"><Key><PropertyRef Name=\"id\"/></Key>\
        <Property Name=\"id\" Type=\"Edm.Int64\" Nullable=\"false\"/><Property Name=\"account_id\" Type=\"Edm.Int64\"/>\
        <Property Name=\"name\" Type=\"Edm.String\"/><Property Name=\"visits\" Type=\"Edm.String\"/>\
        <Property Name=\"born\" Type=\"Edm.Date\"/></EntityType>";
    assert!(rep.text().contains(expected), "{}", rep.text());
    let manager = person(&world, "manager").header("accept", "application/json").get("/svc/$metadata").await;
    let contacts = &manager.json()["crm"]["contacts"];
    assert_eq!(contacts["visits"], json!({ "$Type": "Edm.Int64", "$Nullable": true }));
    assert_eq!(contacts["account"]["$ReferentialConstraint"], json!({ "account_id": "id" }));
    assert_eq!(
        manager.json()["crm"]["Container"]["contacts"]["$NavigationPropertyBinding"],
        json!({ "account": "accounts" })
    );
    let service = person(&world, "rep").get("/svc").await;
    let set = json!([{ "name": "contacts", "kind": "EntitySet", "url": "contacts" }]);
    assert_eq!(service.json(), json!({ "@odata.context": "/svc/$metadata", "value": set }));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openapi_document_has_the_granted_operations_alone() {
    let world = world().await;
    let rep = person(&world, "rep").get("/svc/openapi.json").await.json();
    let methods = |document: &Value| -> Vec<String> {
        let paths = document["paths"].as_object().expect("paths");
        let all = paths.iter().flat_map(|(path, item)| {
            item.as_object().expect("an item").keys().map(move |method| format!("{method} {path}"))
        });
        all.collect()
    };
    let expected = [
        "get /svc/contacts",
        "get /svc/contacts({id})",
        "get /svc/contacts({id})/{$property}",
        "get /svc/contacts({id})/{$property}/$value",
    ];
    assert_eq!(methods(&rep), expected);
    let named =
        |document: &Value, path: &str| document["paths"][path]["get"]["parameters"][1]["schema"]["enum"].clone();
    for path in &expected[2..] {
        let path = path.trim_start_matches("get ");
        assert_eq!(named(&rep, path), json!(["id", "account_id", "name", "visits", "born"]), "{path}");
    }
    let properties = &rep["components"]["schemas"]["contacts"]["properties"];
    assert_eq!(properties["visits"], json!({ "type": ["string", "null"] }), "a hash is a text");
    assert_eq!(properties["name"], json!({ "type": ["string", "null"] }));
    assert_eq!(properties["id"], json!({ "type": ["integer", "null"], "format": "int64" }));
    assert_eq!(properties.get("account"), None, "no relation to what is hidden");
    let manager = person(&world, "manager").get("/svc/openapi.json").await.json();
    let expected = [
        "get /svc/accounts",
        "get /svc/accounts({id})",
        "get /svc/accounts({id})/{$property}",
        "get /svc/accounts({id})/{$property}/$value",
        "get /svc/contacts",
        "get /svc/contacts({id})",
        "patch /svc/contacts({id})",
        "get /svc/contacts({id})/account",
        "get /svc/contacts({id})/{$property}",
        "get /svc/contacts({id})/{$property}/$value",
    ];
    assert_eq!(methods(&manager), expected);
    let written = &manager["components"]["schemas"]["contacts.update"]["properties"];
    assert_eq!(written.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>()), Some(vec!["name".to_owned()]));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_no_table_sees_no_document_and_other_spellings_are_none() {
    let world = world().await;
    let nowhere = person(&world, "rep").get("/svc/nothing").await;
    assert_eq!(nowhere.status, 404);
    for path in DOCUMENTS {
        let stranger = person(&world, "analyst").get(path).await;
        assert_eq!((stranger.status, stranger.text()), (404, nowhere.text()), "{path}");
        assert_eq!(world.client().get(path).await.status, 401, "{path}");
        // Nothing of a query is understood, and nothing is told of it.
        for query in ["?$format=json", "?x=1", "?$select=hidden_ssn"] {
            let asked = person(&world, "rep").get(&format!("{path}{query}")).await;
            assert_eq!(asked.status, 400, "{path}{query}");
            assert!(asked.text().contains("query_not_allowed"));
            assert_eq!(person(&world, "analyst").get(&format!("{path}{query}")).await.status, 404, "{path}{query}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let other = person(&world, "manager").send(method, path, None).await;
            assert!([400, 404].contains(&other.status), "{method} {path}: {}", other.status);
        }
        let body = person(&world, "rep").send("GET", path, Some("{}")).await;
        assert!([400, 404, 415].contains(&body.status), "{path}: {}", body.status);
        let head = person(&world, "rep").send("HEAD", path, None).await;
        let whole = person(&world, "rep").get(path).await;
        assert_eq!((head.status, head.text().as_str()), (200, ""), "{path}");
        assert_eq!(header(&head, "content-length"), Some(whole.text().len().to_string()), "{path}");
        assert_eq!(header(&head, "etag"), header(&whole, "etag"), "{path}");
        let wanted = person(&world, "rep").header("accept", "text/html").get(path).await;
        assert_eq!(wanted.status, 406, "{path}");
    }
    for path in [
        "/svc/",
        "/svc/$metadata/",
        "/svc/$Metadata",
        "/SVC/$metadata",
        "/svc//$metadata",
        "/svc/./$metadata",
        "/svc/x/../$metadata",
        "/svc/$metadata;x",
        "/svc/$metadata%2f",
        "/svc/$metadata.json",
        "/svc/%2524metadata",
        "/svc/$metadata()",
        "/svc/openapi.JSON",
        "/svc/openapi.json/x",
        "/openapi.json",
        "/$metadata",
    ] {
        let status = person(&world, "manager").get(path).await.status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    // The same path, percent-encoded: the same document.
    let plain = person(&world, "rep").get("/svc/$metadata").await;
    let encoded = person(&world, "rep").get("/svc/%24metadata").await;
    assert!(encoded.status == 400 || encoded.text() == plain.text(), "{}", encoded.text());
    assert_eq!(world.upstream.lines(), Vec::<String>::new());
    world.gateway.shutdown().await;
}

/// A tag is of the bytes that this caller gets: with another's it is another document.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_its_reader_has_is_not_sent_again() {
    let world = world().await;
    for path in DOCUMENTS {
        let rep = person(&world, "rep");
        let tag = header(&rep.get(path).await, "etag").expect("a tag");
        let again = rep.header("if-none-match", &tag).get(path).await;
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{path}");
        assert_eq!(header(&again, "etag"), Some(tag.clone()));
        let others = person(&world, "manager").header("if-none-match", &tag).get(path).await;
        assert_eq!(others.status, 200, "{path}");
        assert_ne!(header(&others, "etag"), Some(tag.clone()));
        assert_eq!(person(&world, "analyst").header("if-none-match", &tag).get(path).await.status, 404);
    }
    world.gateway.shutdown().await;
}

/// For each dialect: what its server has beside records. `METHOD PATH`.
const DOORS: [(&str, &str, &[&str]); 4] = [
    (
        "odata",
        "dialect: odata\nodata: { root: /svc }\n",
        &[
            "GET /svc",
            "GET /svc/$metadata",
            "POST /svc/$batch",
            "GET /svc/$batch",
            "GET /svc/$all",
            "GET /svc/$crossjoin(t,t)",
            "GET /svc/$entity",
            "GET /svc/t/$count",
            "GET /svc/t(1)/name",
            "GET /svc/t(1)/name/$value",
            "GET /svc/t(1)/$ref",
            "GET /svc/t/$delta",
            "POST /svc/t/$query",
            "GET /svc/openapi.json",
            "POST /graphql",
            "GET /$metadata",
        ],
    ),
    (
        "pocketbase",
        "dialect: pocketbase\n",
        &[
            "GET /api/collections",
            "GET /api/collections/t",
            "POST /api/collections/import",
            "GET /api/realtime",
            "POST /api/realtime",
            "POST /api/batch",
            "GET /api/files/t/x/y.png",
            "POST /api/files/token",
            "GET /api/settings",
            "GET /api/logs",
            "GET /api/backups",
            "GET /api/crons",
            "GET /api/health",
            "GET /_/",
            "GET /_",
            "POST /api/collections/t/auth-with-password",
            "POST /api/collections/t/impersonate/x",
            "POST /api/sql",
        ],
    ),
    (
        "directus",
        "dialect: directus\n",
        &[
            "GET /items",
            "SEARCH /items/t",
            "PATCH /items/t",
            "DELETE /items/t",
            "GET /items/directus_users",
            "GET /items/t/1/revisions",
            "GET /revisions",
            "GET /revisions/1",
            "GET /activity",
            "POST /activity/comment",
            "GET /comments",
            "GET /shares",
            "POST /shares",
            "GET /shares/info/x",
            "POST /shares/auth",
            "GET /versions",
            "POST /versions/x/compare",
            "POST /utils/export/t",
            "POST /utils/import/t",
            "POST /utils/revert/1",
            "POST /utils/cache/clear",
            "GET /utils/random/string",
            "GET /assets/x",
            "GET /assets/x?key=system-large-cover",
            "GET /files",
            "POST /files",
            "POST /files/import",
            "GET /folders",
            "GET /graphql",
            "POST /graphql",
            "POST /graphql/system",
            "GET /websocket",
            "GET /server/specs/oas",
            "GET /server/specs/graphql",
            "GET /server/info",
            "GET /server/health",
            "GET /server/ping",
            "GET /schema/snapshot",
            "POST /schema/diff",
            "POST /schema/apply",
            "GET /collections",
            "GET /collections/t",
            "GET /fields/t",
            "GET /relations/t",
            "GET /users",
            "GET /users/me",
            "GET /roles",
            "GET /policies",
            "GET /permissions/me",
            "GET /access",
            "GET /settings",
            "GET /presets",
            "GET /flows",
            "POST /flows/trigger/x",
            "GET /flows/trigger/x",
            "GET /operations",
            "GET /panels",
            "GET /dashboards",
            "GET /notifications",
            "GET /translations",
            "GET /extensions",
            "GET /metrics",
            "GET /deployments",
            "POST /auth/login",
            "POST /auth/refresh",
            "GET /auth",
            "GET /admin",
            "GET /admin/login",
            "GET /",
        ],
    ),
    (
        "rest",
        "dialect: rest\nrest: { list: \"$[*]\" }\n",
        &[
            "GET /openapi.json",
            "GET /swagger.json",
            "GET /swagger",
            "GET /v3/api-docs",
            "POST /graphql",
            "GET /graphql",
            "GET /db",
            "GET /server/specs/oas",
            "GET /schema/snapshot",
            "GET /revisions",
            "GET /activity",
            "GET /export",
            "POST /utils/export/t",
            "POST /batch",
            "GET /t.csv",
            "GET /metrics",
            "GET /.well-known/openapi",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn side_doors_that_nobody_declared_are_not_there() {
    let routes = |dialect: &str| match dialect {
        "odata" | "directus" => "[list, read]",
        "pocketbase" => "{ list: GET /api/collections/t/records, read: \"GET /api/collections/t/records/{id}\" }",
        _ => "{ list: GET /t, read: \"GET /t/{id}\" }",
    };
    for (dialect, head, doors) in DOORS {
        let api = format!(
            "api: crm\nupstream: crm\n{head}tables:\n  t:\n    key: id\n    tenant: {{ organization_id: organization_id, app_id: app_id }}\n    \
             routes: {}\n    fields: {{ id: string, organization_id: string, app_id: string, name: string }}\n",
            routes(dialect)
        );
        let policy =
            "table: t\ngrants: [{ name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: all } }]\n";
        let world = Setup { api, ..Setup::default() }.policy("t", policy).start().await;
        let missing = person(&world, "rep").get("/no/such/thing").await;
        for door in doors {
            let (method, path) = door.split_once(' ').expect("a method and a path");
            let got = person(&world, "rep").send(method, path, None).await;
            // As a path that means nothing; one that could mean two things is refused before.
            assert!(
                matches!(got.status, 400 | 501) || got.text() == missing.text(),
                "{dialect}: {door}: {} {}",
                got.status,
                got.text()
            );
            let (_, outcome) = world.last_audit().await;
            assert_eq!(outcome["result"], json!("refused"), "{dialect}: {door}");
        }
        assert_eq!(world.upstream.lines(), Vec::<String>::new(), "{dialect}");
        world.gateway.shutdown().await;
    }
}

const DIRECTUS: &str = "\
api: crm
upstream: crm
dialect: directus
metadata: { openapi: /about.json }
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, headline: string }
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, read, update]
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      name: string
      account: { type: int, nullable: true }
      partner: { type: int, nullable: true }
      account_record: { table: accounts, by: account }
      partner_record: { table: accounts, by: partner }
      shady: int
      hidden_record: { table: accounts, by: shady }
";

/// A related record is where clients find it: in the place of its column, whose name alone they know.
#[tokio::test(flavor = "multi_thread")]
async fn an_openapi_document_of_directus_has_related_records_in_their_columns_place() {
    let contacts = "table: contacts
grants:
  - name: reps
    roles: [rep]
    actions: [list, read, update]
    rows: all
    read: { clear: [id, name, account, account_record, partner_record] }
    write: [account]
  - { name: analysts, roles: [analyst], actions: [list, read], rows: all, read: { clear: [id, account, account_record] } }
";
    let accounts = "table: accounts
grants: [{ name: reps, roles: [rep], actions: [list, read], rows: all, read: { clear: [id, headline] } }]
";
    let setup = Setup { api: DIRECTUS.to_owned(), ..Setup::default() };
    let world = setup.policy("contacts", contacts).policy("accounts", accounts).start().await;
    let rep = person(&world, "rep").get("/about.json").await;
    assert_eq!(rep.status, 200, "{}", rep.text());
    assert!(!rep.text().contains("_record") && !rep.text().contains("shady"), "{}", rep.text());
    let schemas = &rep.json()["components"]["schemas"];
    let properties = schemas["contacts"]["properties"].as_object().expect("properties");
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["account", "id", "name", "partner"]);
    let number = json!({ "type": ["integer", "null"], "format": "int64" });
    let record = json!({ "anyOf": [{ "$ref": "#/components/schemas/accounts" }, { "type": "null" }] });
    assert_eq!(properties["account"], json!({ "anyOf": [number, record] }));
    assert_eq!(properties["partner"], json!({ "anyOf": [record] }), "of the column alone nothing is told");
    assert_eq!(schemas["contacts.update"]["properties"], json!({ "account": number }), "what is written is a key");
    // Where the related table is hidden, the column is a column.
    let analyst = person(&world, "analyst").get("/about.json").await;
    assert_eq!(analyst.json()["components"]["schemas"]["contacts"]["properties"]["account"], number);
    assert!(!analyst.text().contains("_record") && !analyst.text().contains("headline"), "{}", analyst.text());
    assert_eq!(world.upstream.lines(), Vec::<String>::new());
    world.gateway.shutdown().await;
}

/// The API description that most tests use, with a document: a filter is told of only where it may be used.
#[tokio::test(flavor = "multi_thread")]
async fn an_openapi_document_of_rest_has_filters_on_fields_that_read_in_clear() {
    let setup = setup("").policy("contacts", POLICY);
    let api = setup.api.replacen("tables:\n", "metadata: { openapi: /about.json }\ntables:\n", 1);
    let world = Setup { api, ..setup }.start().await;
    let got = person(&world, "rep").get("/about.json").await;
    assert_eq!(got.status, 200, "{}", got.text());
    let document = got.json();
    let list = &document["paths"]["/contacts"]["get"];
    let names: Vec<&str> =
        list["parameters"].as_array().expect("parameters").iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"name") && names.contains(&"id"), "{names:?}");
    assert!(!got.text().contains("ssn"), "{}", got.text());
    assert!(!names.contains(&"email"), "it is only written: {names:?}");
    world.gateway.shutdown().await;
}
