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
    routes: [list, read]
    fields:
      id: int
      organization_id: string
      app_id: string
      name: string
      born: date
      met: timestamp
      tags: list(string)
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
