//! Masked values and what documents say of them: their type, what may be null, and what is no key.

use serde_json::{Value, json};

use crate::support::upstream::Answer;
use crate::support::world::Setup;
use crate::support::{Client, World};

const API: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc }
metadata: { openapi: /svc/openapi.json, odata: true }
tables:
  teams:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, title: string }
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, read, update]
    fields:
      id: int
      organization_id: string
      app_id: string
      name: string
      born: date
      met: timestamp
      tags: list(string)
      codes: list(int)
      days: list(date)
      number: int
      account: int
      team_id: int
      team: { table: teams, by: team_id }
";
const TEAMS: &str = "\
table: teams
grants:
  - { name: hashed, roles: [rep], actions: [list, read], rows: all, read: { clear: [title], hash: [id] } }
";

async fn world(contacts: &str) -> World {
    let grant = format!(
        "table: contacts\ngrants:\n  - {{ name: masks, roles: [rep], actions: [list, read], rows: all, read: {{ {contacts} }} }}\n"
    );
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    setup.policy("contacts", &grant).policy("teams", TEAMS).start().await
}

fn rep(world: &World) -> Client {
    world.person("ann", &json!({ "roles": ["rep"] }))
}

/// The record of a list that has this one alone.
async fn shown(world: &World, mut record: Value) -> Value {
    record["organization_id"] = json!("acme");
    record["app_id"] = json!("shop");
    world.upstream.on("GET /svc/contacts", [Answer::json(200, json!({ "value": [record] }).to_string())]);
    let got = rep(world).get("/svc/contacts").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    got.json()["value"][0].clone()
}

async fn schema(world: &World) -> Value {
    let document = rep(world).get("/svc/openapi.json").await.json();
    document["components"]["schemas"]["contacts"]["properties"].clone()
}

async fn metadata(world: &World) -> String {
    rep(world).get("/svc/$metadata").await.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_hold_for_masks_that_do_not_look_at_the_value() {
    let world =
        world("clear: [team_id, team], hash: [id], 'null': [name, tags], constant: { born: \"1970-01-01\", met: \"1970-01-01T00:00:00Z\" }")
            .await;
    let record =
        json!({ "id": 7, "name": "SECRET", "born": "1980-05-17", "met": null, "tags": ["SECRET"], "team_id": 1 });
    let shown = shown(&world, record).await;
    assert_eq!(shown["id"].as_str().map(str::len), Some(64), "{shown}");
    let expected = [json!(null), json!("1970-01-01"), json!("1970-01-01T00:00:00Z"), json!(null), json!(1)];
    assert_eq!(["name", "born", "met", "tags", "team_id"].map(|name| shown[name].clone()), expected, "{shown}");
    let schema = schema(&world).await;
    let text = json!({ "type": ["string", "null"] });
    assert_eq!(schema["name"], text);
    assert_eq!(schema["born"], json!({ "type": ["string", "null"], "format": "date" }));
    assert_eq!(schema["met"], json!({ "type": ["string", "null"], "format": "date-time" }));
    assert_eq!(schema["tags"], json!({ "type": ["array", "null"], "items": text }));
    // A masked key is none, and nothing leads to it; a collection is never null.
    let expected = "<EntityType Name=\"contacts\"><Property Name=\"id\" Type=\"Edm.String\"/>\
        <Property Name=\"name\" Type=\"Edm.String\"/><Property Name=\"born\" Type=\"Edm.Date\"/>\
        <Property Name=\"met\" Type=\"Edm.DateTimeOffset\"/><Property Name=\"tags\" Type=\"Edm.Untyped\"/>\
        <Property Name=\"team_id\" Type=\"Edm.Int64\"/>\
        <NavigationProperty Name=\"team\" Type=\"crm.teams\"></NavigationProperty></EntityType>";
    let metadata = metadata(&world).await;
    assert!(metadata.contains(expected), "{metadata}");
    assert!(!metadata.contains("<Key>"), "{metadata}");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_masked_by_their_elements_and_documents_say_so() {
    let record = json!({
        "id": 1, "name": "x", "tags": ["SECRET@example.com", null, "x"], "codes": [12345678, 7, 12345678],
        "days": ["1980-05-17"], "number": 12345678, "account": 12345678,
    });
    let texts = json!({ "type": ["array", "null"], "items": { "type": ["string", "null"] } });
    let day = json!({ "type": ["string", "null"], "format": "date" });
    for (masks, shown_tags) in [
        ("partial: [tags], last4: [codes, number]", json!(["S***@example.com", null, "***"])),
        ("last4: [tags, codes, number]", json!(["***.com", null, "***"])),
    ] {
        let world =
            world(&format!("clear: [id, name], truncate: {{ days: year }}, tokenise: [account], {masks}")).await;
        let shown = shown(&world, record.clone()).await;
        assert_eq!(shown["tags"], shown_tags, "{shown}");
        assert_eq!(shown["codes"], json!(["***5678", "***", "***5678"]), "{shown}");
        assert_eq!((&shown["days"], &shown["number"]), (&json!(["1980-01-01"]), &json!("***5678")), "{shown}");
        assert!(shown["account"].as_str().is_some_and(|token| token.starts_with("tok1_")), "{shown}");
        let schema = schema(&world).await;
        assert_eq!((&schema["tags"], &schema["codes"]), (&texts, &texts));
        assert_eq!(schema["days"], json!({ "type": ["array", "null"], "items": day }));
        assert_eq!((&schema["number"], &schema["account"]), (&texts["items"], &texts["items"]));
        let metadata = metadata(&world).await;
        for (name, of) in [
            ("tags", "Collection(Edm.String)"),
            ("codes", "Collection(Edm.String)"),
            ("days", "Collection(Edm.Date)"),
            ("number", "Edm.String"),
            ("account", "Edm.String"),
        ] {
            assert!(metadata.contains(&format!("<Property Name=\"{name}\" Type=\"{of}\"/>")), "{name}: {metadata}");
        }
        // None of them can be compared, ordered or reckoned with.
        for query in [
            "$filter=number%20eq%2012345678",
            "$filter=account%20gt%201",
            "$filter=not%20(number%20eq%201)",
            "$orderby=number",
            "$orderby=account%20desc",
            "$filter=tags/any(t:t%20eq%20%27x%27)",
            "$orderby=codes",
        ] {
            let got = rep(&world).get(&format!("/svc/contacts?{query}")).await;
            assert_eq!(got.status, 400, "{query}: {}", got.text());
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_that_do_not_fit_take_the_list_with_them() {
    let world = world("clear: [id], tokenise: [tags, account], hash: [codes], last4: [number]").await;
    for (tags, codes, number) in [
        (json!([["SECRET"]]), json!(["SECRET"]), json!("SECRET-4567")),
        (json!([{ "a": "SECRET" }]), json!([[1]]), json!(["SECRET"])),
        (json!("SECRET"), json!({ "a": "SECRET" }), json!({ "a": "SECRET" })),
        (json!(["x", 1]), json!([1, "x"]), json!(true)),
    ] {
        let record = json!({ "id": 1, "tags": tags, "codes": codes, "number": number, "account": number });
        assert_eq!(shown(&world, record.clone()).await, json!({ "id": 1 }), "{record}");
    }
    let nulls = json!({ "id": 1, "tags": null, "codes": [], "number": null, "account": null });
    assert_eq!(shown(&world, nulls.clone()).await, nulls);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_masked_is_written_as_declared() {
    let masked = "table: contacts\ngrants:\n  - { name: g, roles: [rep], actions: [list, read, update], rows: all, \
        read: { clear: [id], hash: [number] }, write: [number] }\n";
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let world = setup.policy("contacts", masked).policy("teams", TEAMS).start().await;
    let document = rep(&world).get("/svc/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let of = |schema: &str| schemas[schema]["properties"]["number"].clone();
    assert_eq!(of("contacts"), json!({ "type": ["string", "null"] }));
    assert_eq!(of("contacts.update"), json!({ "type": ["integer", "null"], "format": "int64" }));
    world.gateway.shutdown().await;
}
