//! Upstreams that are told in the body of a write whose the record is, elsewhere than in a column: the gateway alone says it,
//! in every body that leaves, and nobody reads it.

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::record::{make, policy};
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest: { list: "$.data[*]", record: "$.data", parameters: { expand: { name: expand } } }
tables:
  contacts:
    key: id
    client_keys: true
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_body: { workspace: organization_id, meta.of.app: app_id, meta.org: organization_id }
    race: accept
    routes:
      list: GET /contacts
      read: "GET /contacts/{id}"
      create: { route: POST /contacts, many: 5 }
      update: "PATCH /contacts/{id}"
      update_many: { route: PATCH /contacts, many: 5 }
      upsert: "PUT /contacts/{id}"
      delete: "DELETE /contacts/{id}"
      archive: "POST /contacts/{id}/archive"
    fields: { id: int, organization_id: string, app_id: string, owner_id: string, name: string, note: { type: string, nullable: true } }
  notes:
    key: id
    tenant: { via: contact }
    tenant_body: { workspace: organization_id }
    race: accept
    routes: { list: GET /notes, read: "GET /notes/{id}", create: POST /notes, update: "PATCH /notes/{id}" }
    fields: { id: int, contact_id: int, text: string, contact: { table: contacts, by: contact_id } }
"#;

const POCKETBASE: &str = r#"
api: crm
upstream: crm
dialect: pocketbase
batch: { most: 4 }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_body: { workspace: organization_id }
    race: accept
    routes:
      read: "GET /api/collections/contacts/records/{id}"
      create: POST /api/collections/contacts/records
      update: "PATCH /api/collections/contacts/records/{id}"
    fields: { id: string, organization_id: string, app_id: string, owner_id: string, name: string }
"#;

fn everybodys(actions: &str, fields: &str) -> String {
    format!("name: all, roles: [rep], actions: [{actions}], rows: all, read: {{ clear: all }}, write: [{fields}]")
}

fn contacts(actions: &str) -> String {
    policy("contacts", &[everybodys(actions, "name, note"), make("write: [id, name, note]")])
}

fn notes() -> String {
    policy("notes", &[everybodys("list, read, create, update", "contact_id, text")])
}

/// A contact as the upstream tells it, with what it calls the tenant beside its columns.
fn contact(id: impl Into<Value>) -> Value {
    json!({
        "id": id.into(), "organization_id": "acme", "app_id": "shop", "owner_id": "ann", "name": "Ann", "note": null,
        "workspace": "SECRET", "meta": { "org": "SECRET", "of": { "app": "SECRET" } },
    })
}

fn answer(seen: &Seen) -> Option<Answer> {
    let path = seen.target.split('?').next().unwrap_or_default();
    let id = path.split('/').nth(2).and_then(|id| id.parse::<u64>().ok());
    let written: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let note = json!({ "id": 1, "contact_id": 1, "text": "t", "contact": contact(1), "workspace": "SECRET" });
    let body = match (seen.method.as_str(), path, id) {
        ("GET", _, Some(9)) => return Some(Answer::json(404, "{}")),
        (_, path, _) if path.starts_with("/notes") => note,
        (_, _, Some(id)) => contact(id),
        ("GET", ..) => json!([contact(1)]),
        _ if written.is_array() => written.as_array()?.iter().map(|_| contact(1)).collect(),
        _ => contact(1),
    };
    Some(Answer::json(if seen.method == "POST" { 201 } else { 200 }, json!({ "data": body }).to_string()))
}

async fn world() -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let world = setup
        .policy("contacts", &contacts("list, read, update, delete, archive"))
        .policy("notes", &notes())
        .start()
        .await;
    world.upstream.answers(answer);
    world
}

fn rep(world: &World) -> Client {
    world.person("ann", &json!({ "roles": ["rep"] }))
}

async fn send(world: &World, method: &str, target: &str, body: &str) -> Response {
    world.upstream.forget();
    let got = rep(world).send(method, target, Some(body)).await;
    assert!(!got.everything().contains("SECRET") && !got.everything().contains("workspace"), "{}", got.everything());
    got
}

/// The body of the only write that left.
fn written(world: &World) -> Option<Value> {
    let seen = world.upstream.seen();
    let mut writes = seen.iter().filter(|seen| seen.method != "GET");
    let body = writes.next().map(|seen| serde_json::from_slice(&seen.body).unwrap_or(Value::Null));
    assert!(writes.next().is_none(), "{:?}", world.upstream.lines());
    body
}

/// With what the gateway says of the tenant, in place of its columns.
fn told(mut body: Value) -> Value {
    body["workspace"] = json!("acme");
    body["meta"] = json!({ "of": { "app": "shop" }, "org": "acme" });
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_that_is_written_says_whose_it_is() {
    let world = world().await;
    let change = json!({ "name": "Zoe" });
    let made = json!({ "name": "Zoe", "owner_id": "ann" });
    let with_id = |body: &Value, id: u64| {
        let mut body = body.clone();
        body["id"] = json!(id);
        body
    };
    for (method, target, body, status, expected) in [
        ("POST", "/contacts", change.clone(), 201, told(made.clone())),
        ("POST", "/contacts", json!([change, change]), 201, json!([told(made.clone()), told(made.clone())])),
        // One's own tenant may be said in its columns, as ever; it leaves where the upstream reads it.
        ("POST", "/contacts", json!({ "name": "Zoe", "organization_id": "acme" }), 201, told(made.clone())),
        ("PATCH", "/contacts/1", change.clone(), 200, told(change.clone())),
        ("PATCH", "/contacts/1", json!({ "name": "Zoe", "app_id": "shop" }), 200, told(change.clone())),
        (
            "PATCH",
            "/contacts",
            json!([with_id(&change, 1), with_id(&change, 2)]),
            200,
            json!([told(with_id(&change, 1)), told(with_id(&change, 2))]),
        ),
        ("PUT", "/contacts/1", change.clone(), 200, told(change.clone())),
        ("PUT", "/contacts/9", change.clone(), 201, told(json!({ "id": 9, "name": "Zoe", "owner_id": "ann" }))),
        ("POST", "/contacts/1/archive", change.clone(), 201, told(change.clone())),
        (
            "POST",
            "/notes",
            json!({ "contact_id": 1, "text": "t" }),
            201,
            json!({ "contact_id": 1, "text": "t", "workspace": "acme" }),
        ),
        ("PATCH", "/notes/1", json!({ "text": "u" }), 200, json!({ "text": "u", "workspace": "acme" })),
    ] {
        let got = send(&world, method, target, &body.to_string()).await;
        assert!(got.status == status || got.status == 200, "{method} {target}: {} {}", got.status, got.text());
        assert_eq!(written(&world), Some(expected), "{method} {target} {body}");
    }
    world.upstream.forget();
    let other = world.person("ann", &json!({ "roles": ["rep"], "org_id": "globex", "app_id": "desk" }));
    other.send("POST", "/contacts", Some("{\"name\":\"Zoe\"}")).await;
    let mine = json!({ "name": "Zoe", "owner_id": "ann", "workspace": "globex", "meta": { "of": { "app": "desk" }, "org": "globex" } });
    assert_eq!(written(&world), Some(mine));
    // What has no body says nothing in one.
    world.upstream.forget();
    assert_eq!(rep(&world).send("DELETE", "/contacts/1", None).await.status, 204);
    assert_eq!(world.upstream.seen().last().map(|seen| seen.body.len()), Some(0));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_never_says_it_however_it_is_spelled() {
    let world = world().await;
    let tenants = "tenant_not_writable";
    for (member, reason) in [
        (r#""workspace":"globex""#, tenants),
        (r#""workspace":"acme""#, tenants),
        (r#""workspace":null"#, tenants),
        (r#""work\u0073pace":"globex""#, tenants),
        (r#""meta":{"org":"globex"}"#, tenants),
        (r#""meta":{}"#, tenants),
        (r#""meta":null"#, tenants),
        (r#""organization_id":"globex""#, tenants),
        (r#""Workspace":"globex""#, "field_not_writable"),
        (r#""meta.org":"globex""#, "field_not_writable"),
        (r#""workspace.":"globex""#, "field_not_writable"),
        (r#""workspace\u0000":"globex""#, "field_not_writable"),
    ] {
        let body = format!("{{\"name\":\"Zoe\",{member}}}");
        let (one, two) = (body.replacen('{', "{\"id\":1,", 1), body.replacen('{', "{\"id\":2,", 1));
        for (method, target, body) in [
            ("POST", "/contacts", body.clone()),
            ("POST", "/contacts", format!("[{{\"name\":\"Zoe\"}},{body}]")),
            ("PATCH", "/contacts/1", body.clone()),
            ("PATCH", "/contacts", format!("[{one},{two}]")),
            ("PUT", "/contacts/1", body.clone()),
            ("PUT", "/contacts/9", body.clone()),
            ("POST", "/contacts/1/archive", body.clone()),
        ] {
            let got = send(&world, method, target, &body).await;
            assert_eq!((got.status, &got.json()["code"]), (403, &json!("forbidden")), "{method} {target} {body}");
            let (_, outcome) = world.last_audit().await;
            assert_eq!(outcome["reason"], json!(reason), "{method} {target} {body}");
            assert_eq!(written(&world), None, "{method} {target} {body}");
        }
    }
    let twice = send(&world, "POST", "/contacts", r#"{"name":"a","workspace":"acme","workspace":"globex"}"#).await;
    assert_eq!((twice.status, written(&world)), (400, None));
    // Nothing of it can be asked for, nor compared.
    for query in ["fields=workspace", "workspace=acme", "sort=workspace", "meta.org=acme", "meta[org]=acme"] {
        assert_eq!(rep(&world).get(&format!("/contacts?{query}")).await.status, 400, "{query}");
    }
    let got = rep(&world).get("/contacts/1").await;
    assert_eq!(got.status, 200);
    assert!(!got.text().contains("SECRET") && !got.text().contains("meta"), "{}", got.text());
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_batch_say_it_each() {
    const RECORDS: &str = "/api/collections/contacts/records";
    let setup = Setup { api: POCKETBASE.to_owned(), ..Setup::default() };
    let policy = policy("contacts", &[everybodys("read, update", "name"), make("write: [name]")]);
    let world = setup.policy("contacts", &policy).start().await;
    world.upstream.answers(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let parts = body["requests"]
            .as_array()
            .map(|parts| parts.iter().map(|_| json!({ "status": 200, "body": contact("1") })));
        Some(Answer::json(200, parts.map_or_else(|| contact("1"), |parts| parts.collect()).to_string()))
    });
    let part = |method: &str, url: String, body: Value| json!({ "method": method, "url": url, "body": body });
    let requests = |member: &str| {
        json!({ "requests": [
            part("POST", RECORDS.to_owned(), json!({ "name": "Zoe" })),
            part("PATCH", format!("{RECORDS}/1"), json!({ member: "Yva" })),
        ]})
    };
    let got = send(&world, "POST", "/api/batch", &requests("name").to_string()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let sent = written(&world).expect("a batch");
    assert_eq!(
        (&sent["requests"][0]["body"], &sent["requests"][1]["body"]),
        (
            &json!({ "name": "Zoe", "owner_id": "ann", "app_id": "shop", "workspace": "acme" }),
            &json!({ "name": "Yva", "workspace": "acme" }),
        ),
        "the other dimension is told by its column"
    );
    let got = send(&world, "POST", "/api/batch", &requests("workspace").to_string()).await;
    let (_, outcome) = world.last_audit().await;
    assert_eq!((got.status, &outcome["reason"], written(&world)), (403, &json!("tenant_not_writable"), None));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_goes_back_whole_says_it_in_place_of_what_it_said() {
    let others = ["upsert:", "update_many:", "archive:"];
    let kept = |line: &&str| !others.iter().any(|word| line.trim_start().starts_with(word));
    let one_by_one = API.lines().filter(kept).collect::<Vec<_>>().join("\n");
    let put = r#"update: { route: "PATCH /contacts/{id}", as: put }"#;
    let api = one_by_one.replace(r#"update: "PATCH /contacts/{id}""#, put);
    let setup = Setup { api, ..Setup::default() };
    let world =
        setup.policy("contacts", &contacts("list, read, update, delete")).policy("notes", &notes()).start().await;
    world.upstream.answers(answer);
    let got = send(&world, "PATCH", "/contacts/1", r#"{"name":"Zoe"}"#).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let mut whole = told(contact(1));
    whole["name"] = json!("Zoe");
    assert_eq!(written(&world), Some(whole));
    let got = send(&world, "PATCH", "/contacts/1", r#"{"name":"Zoe","meta":{"org":"globex"}}"#).await;
    assert_eq!((got.status, written(&world)), (403, None));
    world.gateway.shutdown().await;
}
