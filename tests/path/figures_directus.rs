//! Directus' `aggregate` and `groupBy`: judged like the columns that go into them.

use serde_json::{Value, json};

use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = "\
api: crm
upstream: crm
dialect: directus
directus: { page: { default: 3, max: 50 }, texts: exact, aggregates: true }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    search: [name]
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      accountId: { type: int, nullable: true }
      name: string
      stage: { type: string, nullable: true }
      count: int
      amount: { type: decimal, nullable: true }
      seen_at: { type: timestamp, nullable: true }
      ssn: { type: string, tags: [secret] }
      region: string
      account: { table: accounts, by: accountId }
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields: { id: int, organization_id: string, app_id: string, name: string }
";
const POLICY: &str = "\
table: contacts
grants:
  - name: reps-own
    roles: [rep]
    actions: [list, read]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, amount, stage, count, seen_at, accountId] }
  - name: managers-by-start
    roles: [manager]
    actions: [list]
    rows: record.name.startsWith('A')
    read: { clear: [id, name, amount] }
  - name: own-in-clear
    roles: [analyst]
    actions: [list]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, amount] }
  - name: others-masked
    roles: [analyst]
    actions: [list]
    rows: all
    read: { clear: [id], constant: { name: withheld } }
";

async fn world(api: &str) -> World {
    Setup { api: api.to_owned(), ..Setup::default() }.policy("contacts", POLICY).start().await
}

fn data(groups: &Value) -> Answer {
    Answer::json(200, json!({ "data": groups }).to_string())
}

/// What the upstream was last asked, readable.
fn asked(world: &World) -> String {
    let line = world.upstream.lines().pop().unwrap_or_default();
    let escapes = [
        ("%2C", ","),
        ("%22", "\""),
        ("%3A", ":"),
        ("%7B", "{"),
        ("%7D", "}"),
        ("%5B", "["),
        ("%5D", "]"),
        ("%2A", "*"),
    ];
    escapes.iter().fold(line, |text, (escaped, plain)| text.replace(escaped, plain))
}

const OWN: &str = r#"{"organization_id":{"_eq":"acme"}},{"app_id":{"_eq":"shop"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_asked_for_beside_the_tenant_and_the_policies() {
    let world = world(API).await;
    let client = world.role("rep");
    world.upstream.on("GET /items/contacts", [data(&json!([{ "count": "7" }]))]);
    for query in
        ["aggregate[count]=*", "aggregate[count][]=*", "aggregate[count][0]=*", "aggregate=%7B%22count%22:%22*%22%7D"]
    {
        let got = client.get(&format!("/items/contacts?{query}")).await;
        assert_eq!((got.status, got.json()), (200, json!({ "data": [{ "count": "7" }] })), "{query}");
        assert_eq!(
            asked(&world),
            format!(
                r#"GET /items/contacts?filter={{"_and":[{OWN},{{"owner_id":{{"_eq":"ann"}}}}]}}&aggregate={{"count":["*"]}}"#
            )
        );
    }
    let (_, outcome) = world.last_audit().await;
    assert_eq!((&outcome["aggregated"], &outcome["groups"], outcome.get("keys")), (&json!(["count"]), &json!(1), None));

    let group = json!([{ "stage": "won", "sum": { "amount": 5.5, "id": 3 }, "countDistinct": { "name": 2 } }]);
    world.upstream.on("GET /items/contacts", [data(&group)]);
    let query = "groupBy[]=stage&aggregate[sum]=amount,id&aggregate[countDistinct]=name&filter[id][_gt]=4&sort=-stage&limit=9&page=2&search=ada";
    let got = client.get(&format!("/items/contacts?{query}")).await;
    assert_eq!((got.status, got.json()), (200, json!({ "data": group })), "{}", got.text());
    assert_eq!(
        asked(&world),
        format!(
            "GET /items/contacts?filter={{\"_and\":[{OWN},{{\"_and\":[{{\"id\":{{\"_gt\":4}}}},{{\"_or\":[{{\"name\":{{\"_icontains\":\"ada\"}}}}]}},\
             {{\"owner_id\":{{\"_eq\":\"ann\"}}}}]}}]}}&aggregate={{\"sum\":[\"amount\",\"id\"],\"countDistinct\":[\"name\"]}}\
             &groupBy=stage&sort=-stage&limit=9&page=2"
        )
        .replace(r#"{"_or":[{"name":{"_icontains":"ada"}}]}"#, r#"{"name":{"_icontains":"ada"}}"#)
    );
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["aggregated"], json!(["sum amount", "sum id", "count distinct name", "by stage"]));
    // Without a number of its own, as many groups as a page has, in an order.
    world.upstream.on("GET /items/contacts", [data(&json!([{ "stage": null, "name": "a" }]))]);
    assert_eq!(client.get("/items/contacts?groupBy=stage,name").await.status, 200);
    assert!(asked(&world).ends_with("&groupBy=stage,name&sort=stage,name&limit=3"), "{}", asked(&world));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_what_is_not_clear_everywhere_are_refused_as_those_of_nothing() {
    let world = world(API).await;
    let rep = world.role("rep");
    let nothing = rep.get("/items/contacts?filter[nothing][_eq]=1").await.told();
    assert_eq!(nothing.0, 400);
    for query in [
        "aggregate[max]=ssn",
        "aggregate[countDistinct]=ssn",
        "aggregate[count]=ssn",
        "aggregate[min]=region",
        "aggregate[sum]=nothing",
        "aggregate[sum]=name",
        "aggregate[max]=name",
        "aggregate[min]=seen_at",
        "aggregate[sum]=*",
        "aggregate[countDistinct]=*",
        "aggregate[max]=accountId.name",
        "aggregate[max]=account",
        "aggregate[max]=amount,ssn",
        "aggregate[nothing]=amount",
        "aggregate[]=amount",
        "aggregate[sum]=",
        "aggregate[sum]x=amount",
        "aggregate[sum][a]=amount",
        "aggregate[sum]=amount,amount",
        "aggregate=sum",
        "aggregate=%7B%7D",
        "aggregate=%7B%22sum%22:%7B%22a%22:%22amount%22%7D%7D",
        "aggregate=%7B%22count%22:%22*%22%7D&aggregate[max]=amount",
        "groupBy=ssn",
        "groupBy=region&aggregate[count]=*",
        "groupBy[]=stage,ssn",
        "groupBy=year(seen_at)",
        "groupBy=accountId.name",
        "groupBy=account",
        "groupBy=stage,stage",
        "groupBy=organization_id",
        "groupBy=*",
        // A list by another name, of which no keys are on record.
        "groupBy=id",
        "groupBy=id,name&aggregate[count]=*",
        // Two values of one name.
        "groupBy=count&aggregate[count]=*",
        "aggregate[count]=*,id",
        "groupBy=count&aggregate[count]=id",
        // Which records go in, by what is hidden.
        "aggregate[count]=*&filter[ssn][_eq]=x",
        "aggregate[count]=*&filter[_or][0][ssn][_nempty]=true&filter[_or][1][id][_gt]=0",
        // What speaks of records, or of pages of one row.
        "aggregate[count]=*&fields=id",
        "aggregate[count]=*&meta=filter_count",
        "aggregate[count]=*&limit=5",
        "aggregate[count]=*&offset=5",
        "aggregate[count]=*&sort=id",
        "groupBy=stage&sort=ssn",
        "groupBy=stage&sort=name",
        "groupBy=stage&sort=-count",
        "groupBy=stage&limit=-1",
        "groupBy=stage&limit=51",
        "groupBy=stage&deep[stage][_limit]=1",
        "groupBy=stage&alias[stage]=ssn",
        "groupBy=stage&having=1",
    ] {
        let got = rep.get(&format!("/items/contacts?{query}")).await;
        assert_eq!(got.told(), nothing, "{query}");
    }
    for (role, query) in [
        ("manager", "aggregate[count]=*"),
        ("analyst", "groupBy=name"),
        ("analyst", "aggregate[countDistinct]=name"),
        ("analyst", "aggregate[sum]=amount"),
    ] {
        let got = world.role(role).get(&format!("/items/contacts?{query}")).await;
        assert_eq!(got.told(), nothing, "{query} by {role}");
    }
    assert_eq!(rep.get("/items/contacts/1?aggregate[count]=*").await.status, 400);
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_where_the_database_may_take_other_tenants_for_the_same() {
    for api in [API.replace("texts: exact", "texts: loose"), API.replace(", aggregates: true", "")] {
        let world = world(&api).await;
        world.upstream.on("GET /items/contacts", [data(&json!([{ "count": 7 }]))]);
        let rep = world.role("rep");
        let nothing = rep.get("/items/contacts?filter[nothing][_eq]=1").await.told();
        for query in ["aggregate[count]=*", "groupBy=stage", "aggregate[sum]=amount"] {
            assert_eq!(rep.get(&format!("/items/contacts?{query}")).await.told(), nothing, "{query}");
        }
        assert_eq!((nothing.0, world.upstream.lines()), (400, Vec::new()));
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_anything_else_in_it_is_no_figure() {
    let world = world(API).await;
    let client = world.role("rep");
    for answer in [
        json!([{ "count": 1, "ssn": "SECRET" }]),
        json!([{ "id": 1, "ssn": "SECRET" }]),
        json!([{ "count": "SECRET" }]),
        json!([{ "count": { "id": "SECRET" } }]),
        json!([{ "count": 1 }, { "count": 2 }]),
        json!([]),
        json!({ "count": 1 }),
    ] {
        world.upstream.on("GET /items/contacts", [data(&answer)]);
        let got = client.get("/items/contacts?aggregate[count]=*").await;
        assert_eq!(got.status, 502, "{answer}: {}", got.text());
        assert!(!got.everything().contains("SECRET"), "{answer}");
    }
    let beside = json!({ "data": [{ "count": 1 }], "meta": { "total_count": 999 } });
    world.upstream.on("GET /items/contacts", [Answer::json(200, beside.to_string())]);
    assert_eq!(client.get("/items/contacts?aggregate[count]=*").await.status, 502);
    world.gateway.shutdown().await;
}
