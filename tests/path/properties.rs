//! Properties of OData's records by paths of their own: made of what a read of the record would show, whatever the service
//! itself would answer to such a path.

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::odata::readable;
use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

const API: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 3, max: 50 }
batch: true
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, region: string, headline: string, contacts: { table: contacts, many: true }, secret: { type: string, tags: [secret] } }
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes:
      list: GET /svc/contacts
      read: \"GET /svc/contacts({id})\"
      update: \"PATCH /svc/contacts({id})\"
      delete: \"DELETE /svc/contacts({id})\"
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      name: { type: string, nullable: true }
      phone: string
      note: { type: string, nullable: true }
      amount: decimal
      active: bool
      tags: list(string)
      photo: string
      ssn: { type: string, tags: [secret] }
      account_id: { type: int, nullable: true }
      account: { table: accounts, by: account_id }
  people:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { read: \"GET /svc/people/{id}\" }
    fields: { id: string, organization_id: string, app_id: string, name: string, ssn: { type: string, tags: [secret] } }
  vaults:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, name: string }
opaque:
  photo: { route: \"GET /svc/contacts({id})/photo\", roles: [rep], media_types: [image/png], tenant: shared }
";
const CONTACTS: &str = "\
table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [list, read, update, delete]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, note, amount, active, tags, account_id, account], last4: [phone] }
    write: [name]
  - name: others
    roles: [rep]
    actions: [list, read]
    rows: record.owner_id == 'bob'
    read: { clear: [id, name], 'null': [note] }
  - { name: listed, roles: [support], actions: [list], rows: all, read: { clear: [id, name] } }
  - { name: alone, roles: [analyst], actions: [list, read], rows: all, read: { clear: [id, account] } }
";
const ACCOUNTS: &str = "\
table: accounts
grants:
  - { name: north, roles: [rep], actions: [list, read], rows: record.region == 'north', read: { clear: [id, headline, contacts] } }
";
const PEOPLE: &str = "\
table: people
grants:
  - { name: all, roles: [rep], actions: [read], rows: all, read: { clear: [id, name] } }
";

fn account(id: u64, organization: &str, region: &str) -> Value {
    json!({ "@odata.etag": "SECRET", "id": id, "organization_id": organization, "app_id": "shop", "region": region, "headline": "H", "secret": "SECRET-A" })
}

/// What the service has. Each is asked for with all that it leads to.
fn contact(id: u64, organization: &str, owner: &str, account: Value) -> Value {
    json!({
        "@odata.context": "$metadata#SECRET", "@odata.etag": "W/\"SECRET\"", "id": id, "organization_id": organization, "app_id": "shop",
        "owner_id": owner, "name": "O\u{e9} \"x\"\n", "phone": "+15550001234", "note": null, "amount": 1.50, "active": true, "tags": ["a"],
        "photo": "p", "ssn": "SECRET-S", "account_id": account["id"].clone(), "account": account,
    })
}

async fn world() -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let setup = setup.policy("contacts", CONTACTS).policy("accounts", ACCOUNTS).policy("people", PEOPLE);
    let world = setup.start().await;
    let records = [
        contact(1, "acme", "ann", account(1, "acme", "north")),
        contact(2, "acme", "ann", account(2, "acme", "south")),
        contact(3, "acme", "ann", account(3, "globex", "north")),
        contact(4, "acme", "ann", Value::Null),
        contact(5, "acme", "bob", account(1, "acme", "north")),
        contact(6, "acme", "zoe", account(1, "acme", "north")),
        contact(7, "globex", "ann", account(3, "globex", "north")),
    ];
    world.upstream.answers(move |seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        let of = |record: &&Value| path == format!("/svc/contacts({})", record["id"]);
        if let Some(record) = records.iter().find(of) {
            return Some(Answer::json(200, record.to_string()));
        }
        let person = json!({ "id": "p", "organization_id": "acme", "app_id": "shop", "name": "Pia", "ssn": "SECRET" });
        Some(match path {
            "/svc/people/p" => Answer::json(200, person.to_string()),
            "/svc/contacts(1)/photo" => Answer::json(200, "PNG").header("content-type", "image/png"),
            // What a service has to say itself to such paths.
            _ if path.contains("contacts(") && path.matches('/').count() > 2 => {
                Answer::json(200, "{\"value\":\"SECRET\"}")
            }
            _ => Answer::json(404, "{\"error\":{\"message\":\"SECRET\"}}"),
        })
    });
    world
}

async fn asks(world: &World, client: &Client, path: &str) -> Response {
    world.upstream.forget();
    let got = client.get(path).await;
    assert!(!got.everything().contains("SECRET"), "{path}: {}", got.everything());
    let below = |line: &String| {
        line.split('?').next().is_some_and(|path| path.matches('/').count() > 2 && !path.contains("people"))
    };
    assert!(
        !world.upstream.lines().iter().any(below),
        "the service is asked for records alone: {:?}",
        world.upstream.lines()
    );
    got
}

fn header(got: &Response, name: &str) -> String {
    got.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_is_told_as_json_or_as_its_value_alone() {
    let world = world().await;
    let rep = world.role("rep");
    for (property, value, raw) in [
        ("name", json!("O\u{e9} \"x\"\n"), Some("O\u{e9} \"x\"\n")),
        ("phone", json!("***1234"), Some("***1234")),
        ("amount", json!(1.5), Some("1.5")),
        ("active", json!(true), Some("true")),
        ("id", json!(1), Some("1")),
        ("tags", json!(["a"]), None),
    ] {
        let got = asks(&world, &rep, &format!("/svc/contacts(1)/{property}")).await;
        assert_eq!((got.status, got.json()), (200, json!({ "value": value })), "{property}");
        assert_eq!(header(&got, "content-type"), "application/json");
        let (intent, outcome) = world.last_audit().await;
        assert_eq!(
            (&intent["table"], &intent["action"], &intent["key"], &outcome["rows_returned"]),
            (&json!("contacts"), &json!("read"), &json!("1"), &json!(1)),
            "{property}"
        );
        let got = asks(&world, &rep, &format!("/svc/contacts(id=1)/{property}/$value")).await;
        match raw {
            Some(raw) => {
                assert_eq!((got.status, got.text().as_str()), (200, raw), "{property}");
                assert_eq!(header(&got, "content-type"), "text/plain; charset=utf-8");
            }
            None => assert_eq!(got.status, 404, "{property} has no value outside of JSON"),
        }
    }
    // Of the record no more is asked for than the property and what the rules read.
    asks(&world, &rep, "/svc/contacts(1)/amount").await;
    let mut names: Vec<String> = world
        .upstream
        .lines()
        .iter()
        .flat_map(|line| {
            let line = readable(line);
            let names = line.split_once("$select=").map(|(_, names)| names.to_owned()).unwrap_or_default();
            names.split(',').map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["amount", "app_id", "id", "organization_id", "owner_id"]);
    // Where there is no value, there is no content.
    for path in [
        "/svc/contacts(1)/note",
        "/svc/contacts(1)/note/$value",
        "/svc/contacts(5)/note",
        "/svc/contacts(5)/note/$value",
    ] {
        let got = asks(&world, &rep, path).await;
        assert_eq!(
            (got.status, got.text().as_str(), got.headers.contains_key("content-type")),
            (204, "", false),
            "{path}"
        );
    }
    // Whatever of the path is escaped, and by a key that is a segment where it is declared so.
    let plain = asks(&world, &rep, "/svc/contacts(1)/name").await.told();
    for path in ["/svc/contacts(1)/na%6De", "/svc/contacts%281%29/name", "/svc/%63ontacts(id%3D1)/name"] {
        assert_eq!(asks(&world, &rep, path).await.told(), plain, "{path}");
    }
    let got = asks(&world, &rep, "/svc/people/p/name").await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": "Pia" })));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_is_what_is_not_there() {
    let world = world().await;
    let rep = world.role("rep");
    let nothing = asks(&world, &rep, "/svc/nothing").await.told();
    assert_eq!(nothing.0, 404);
    for path in [
        // Hidden, of the wrong kind, and not there.
        "/svc/contacts(1)/ssn",
        "/svc/contacts(1)/ssn/$value",
        "/svc/contacts(1)/owner_id",
        "/svc/contacts(1)/organization_id/$value",
        "/svc/contacts(1)/nothing",
        "/svc/contacts(1)/nothing/$value",
        "/svc/contacts(1)/NAME",
        "/svc/contacts(1)/s%73n",
        "/svc/contacts(1)/tags/$value",
        "/svc/contacts(1)/account/$value",
        "/svc/people/p/ssn",
        // Masked away on this record, though not on others.
        "/svc/contacts(5)/phone",
        "/svc/contacts(5)/amount/$value",
        "/svc/contacts(5)/account",
        "/svc/contacts(5)/account_id",
        // Records that are hidden, of others, and not there.
        "/svc/contacts(6)/name",
        "/svc/contacts(6)/note",
        "/svc/contacts(6)/account",
        "/svc/contacts(7)/name/$value",
        "/svc/contacts(7)/account",
        "/svc/contacts(99)/name",
        "/svc/contacts(99)/account",
        "/svc/contacts(01)/name",
        "/svc/contacts('1')/name",
        "/svc/contacts(1,id=2)/name",
        "/svc/vaults(1)/name",
        "/svc/vaults(1)/name/$value",
        // Longer paths, and words of OData's own.
        "/svc/contacts(1)/account/headline",
        "/svc/contacts(1)/account/secret",
        "/svc/contacts(1)/account/contacts",
        "/svc/contacts(1)/account(1)",
        "/svc/contacts(1)/account/$ref",
        "/svc/contacts(1)/name/$value/x",
        "/svc/contacts(1)/name/$count",
        "/svc/contacts(1)/name/length",
        "/svc/contacts(1)/$value",
        "/svc/contacts(1)/$ref",
        "/svc/contacts(1)/$value/$value",
        "/svc/contacts(1)/crm.contacts",
        "/svc/contacts(1)/*",
        "/svc/contacts(1)/name,ssn",
        "/svc/contacts/name",
        "/svc/contacts/1/name",
        // A list of another table has filters and pages.
        "/svc/accounts(1)/contacts",
        "/svc/accounts(1)/contacts/$count",
        "/svc/accounts(1)/contacts(1)",
    ] {
        assert_eq!(asks(&world, &rep, path).await.told(), nothing, "{path}");
    }
    // Of a record that shows, but for this property, nobody was told anything.
    asks(&world, &rep, "/svc/contacts(5)/phone").await;
    let (_, outcome) = world.last_audit().await;
    assert_eq!((&outcome["rows_returned"], outcome.get("keys")), (&json!(0), None), "{outcome}");
    // Nothing is asked where there is no such property, whatever the record.
    for path in [
        "/svc/contacts(1)/ssn",
        "/svc/contacts(99)/nothing",
        "/svc/contacts(1)/account/$value",
        "/svc/accounts(1)/contacts",
    ] {
        asks(&world, &rep, path).await;
        assert!(world.upstream.lines().is_empty(), "{path}: {:?}", world.upstream.lines());
    }
    for path in [
        "/svc/contacts(1)/../contacts(2)/name",
        "/svc/contacts(1)/name/",
        "/svc/contacts(1)//name",
        "/svc/contacts(1)%2fname",
        "/svc/contacts(1);x/name",
    ] {
        let got = asks(&world, &rep, path).await;
        assert_eq!((got.status, world.upstream.lines().len()), (400, 0), "{path}");
    }
    // Whoever may list and not read is refused whatever the property is called.
    let support = world.role("support");
    let refused = asks(&world, &support, "/svc/contacts(1)/name").await.told();
    assert_eq!(refused.0, 403);
    for path in ["/svc/contacts(1)/ssn", "/svc/contacts(99)/nothing", "/svc/contacts(1)/account"] {
        assert_eq!(asks(&world, &support, path).await.told(), refused, "{path}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relation_leads_to_what_its_own_table_shows() {
    let world = world().await;
    let rep = world.role("rep");
    let got = asks(&world, &rep, "/svc/contacts(1)/account").await;
    assert_eq!((got.status, got.json()), (200, json!({ "id": 1, "headline": "H" })));
    let line = readable(&world.upstream.lines().pop().unwrap_or_default());
    assert!(line.contains("$expand=account") && !line.contains("ssn") && !line.contains("name"), "{line}");
    // Hidden, another tenant's and none at all.
    let none = asks(&world, &rep, "/svc/contacts(4)/account").await;
    assert_eq!((none.status, none.text().as_str()), (204, ""));
    for path in ["/svc/contacts(2)/account", "/svc/contacts(3)/account"] {
        let got = asks(&world, &rep, path).await;
        assert_eq!((got.status, got.text().as_str()), (204, ""), "{path}");
    }
    // Whom the relation shows to, but no account at all: then it is no property.
    let analyst = world.role("analyst");
    let nothing = asks(&world, &analyst, "/svc/contacts(1)/nothing").await.told();
    assert_eq!(asks(&world, &analyst, "/svc/contacts(1)/account").await.told(), nothing);
    assert!(world.upstream.lines().is_empty());
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_heads_and_forms_are_those_of_a_read() {
    let world = world().await;
    let rep = world.role("rep");
    for path in
        ["/svc/contacts(1)/name", "/svc/contacts(1)/name/$value", "/svc/contacts(1)/account", "/svc/contacts(1)/note"]
    {
        let got = asks(&world, &rep, path).await;
        let tag = header(&got, "etag");
        assert!(tag.starts_with('"'), "{path}: {tag}");
        let again = asks(&world, &rep.header("if-none-match", &tag), path).await;
        assert_eq!((again.status, again.text().as_str(), header(&again, "etag")), (304, "", tag), "{path}");
        let head = rep.send("HEAD", path, None).await;
        assert_eq!((head.status, head.text().as_str()), (got.status, ""), "{path}");
        let without = |got: &Response| {
            let (status, headers, _) = got.told();
            (status, headers)
        };
        assert_eq!(without(&head), without(&got), "{path}");
    }
    for path in ["/svc/contacts(1)/ssn", "/svc/contacts(1)/nothing", "/svc/contacts(6)/name", "/svc/contacts(99)/name"]
    {
        assert_eq!(rep.send("HEAD", path, None).await.status, 404, "{path}");
    }
    for (path, accept, status) in [
        ("/svc/contacts(1)/name", "text/csv", 406),
        ("/svc/contacts(1)/ssn", "text/csv", 406),
        ("/svc/contacts(1)/name", "text/plain", 406),
        ("/svc/contacts(1)/account", "application/atom+xml", 406),
        ("/svc/contacts(1)/name/$value", "application/json", 406),
        ("/svc/contacts(1)/nothing/$value", "application/json", 406),
        ("/svc/contacts(1)/name/$value", "text/csv", 406),
        ("/svc/contacts(1)/name/$value", "text/plain;charset=utf-16", 406),
        ("/svc/contacts(1)/name/$value", "text/html, text/*;q=0.1", 200),
        ("/svc/contacts(1)/name/$value", "text/plain;charset=UTF-8", 200),
        ("/svc/contacts(1)/name/$value", "*/*", 200),
        ("/svc/vaults(1)/name/$value", "application/json", 404),
    ] {
        assert_eq!(asks(&world, &rep.header("accept", accept), path).await.status, status, "{path} {accept}");
    }
    // Nothing can be asked of a property; of one that is not there even less.
    let bad = asks(&world, &rep, "/svc/contacts?$select=nothing").await.told();
    for query in [
        "$select=name",
        "$select=ssn",
        "$expand=account",
        "$filter=id%20eq%201",
        "$format=json",
        "$count=true",
        "$top=1",
        "x=1",
        "$skiptoken=1",
    ] {
        for path in ["name", "name/$value", "account", "note"] {
            assert_eq!(
                asks(&world, &rep, &format!("/svc/contacts(1)/{path}?{query}")).await.told(),
                bad,
                "{path} {query}"
            );
            assert!(world.upstream.lines().is_empty());
        }
        let nothing = asks(&world, &rep, &format!("/svc/contacts(1)/nothing?{query}")).await.told();
        assert_eq!(
            (nothing.0, asks(&world, &rep, &format!("/svc/contacts(1)/ssn?{query}")).await.told()),
            (404, nothing),
            "{query}"
        );
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_comes_first_and_properties_are_read_alone() {
    let world = world().await;
    let rep = world.role("rep");
    // An opaque route of the same path is what it was.
    let got = rep.get("/svc/contacts(1)/photo").await;
    assert_eq!((got.status, got.text().as_str(), header(&got, "content-type").as_str()), (200, "PNG", "image/png"));
    let (intent, _) = world.last_audit().await;
    assert_eq!(intent["action"], "opaque:photo");
    world.upstream.forget();
    let nothing = rep.send("PATCH", "/svc/nothing", Some("{}")).await;
    for method in ["PUT", "PATCH", "DELETE", "POST"] {
        for path in [
            "/svc/contacts(1)/name",
            "/svc/contacts(1)/name/$value",
            "/svc/contacts(1)/account",
            "/svc/contacts(1)/account/$ref",
        ] {
            let body = (method != "DELETE").then_some("{\"value\":\"x\"}");
            let got = rep.send(method, path, body).await;
            assert_eq!((got.status, got.text()), (404, nothing.text()), "{method} {path}");
        }
    }
    for url in ["contacts(1)/name", "contacts(1)/name/$value", "contacts(1)/ssn", "contacts(1)/account"] {
        let batch = json!({ "requests": [{ "id": "1", "method": "GET", "url": url }] });
        let got = rep.send("POST", "/svc/$batch", Some(&batch.to_string())).await;
        assert_eq!((got.status, got.text()), (404, nothing.text()), "{url}");
    }
    assert!(world.upstream.lines().is_empty(), "{:?}", world.upstream.lines());
    world.gateway.shutdown().await;
}
