//! What a server that can be asked for single fields is asked for: what its reader may see and what the rules read, and no more
//! of any record. The server here answers with what it is asked for alone, so that whatever is missing would show.

use serde_json::{Map, Value, json};

use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: pocketbase
pocketbase: { page: { default: 5, max: 50 } }
batch: { most: 4 }
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /api/collections/accounts/records, read: "GET /api/collections/accounts/records/{id}" }
    fields: { id: string, organization_id: string, app_id: string, region: string, headline: string, secret: { type: string, tags: [secret] } }
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    cascades: [calls.who]
    routes:
      list: GET /api/collections/contacts/records
      read: "GET /api/collections/contacts/records/{id}"
      create: POST /api/collections/contacts/records
      update: "PATCH /api/collections/contacts/records/{id}"
      delete: "DELETE /api/collections/contacts/records/{id}"
    fields:
      id: string
      organization_id: string
      app_id: string
      name: string
      stage: string
      phone: { type: string, default: "" }
      ssn: { type: string, default: "", tags: [secret] }
      account: { type: string, nullable: true, default: null }
      parent: { table: accounts, by: account }
  calls:
    key: id
    tenant: { via: who }
    race: accept
    routes:
      list: GET /api/collections/calls/records
      delete: "DELETE /api/collections/calls/records/{id}"
    fields: { id: string, contact: { type: string }, body: string, who: { table: contacts, by: contact } }
  files:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /api/collections/files/records, read: "GET /api/collections/files/records/{id}" }
    fields: { id: string, organization_id: string, app_id: string, name: string, content: json, sizes: list(int), tags: list(string) }
"#;

const ACCOUNTS: &str = "table: accounts
grants:
  - { name: all, roles: [rep, manager], actions: [list, read], rows: all, read: { clear: [id, headline] } }
";
const CONTACTS: &str = "table: contacts
grants:
  - { name: seen, roles: [rep], actions: [list, read], rows: record.stage != 'lost', read: { clear: [id, name, parent], last4: [phone] } }
  - { name: northern, roles: [manager], actions: [list, read], rows: record.parent.region == 'north', read: { clear: [id, name] } }
  - { name: kept, roles: [rep, analyst], actions: [update], rows: all, write: [name, account], check: after.name != '' }
  - { name: made, roles: [analyst], actions: [create], write: [name, stage] }
  - { name: gone, roles: [rep], actions: [delete], rows: all }
";
const CALLS: &str = "table: calls
grants:
  - { name: gone, roles: [rep], actions: [delete], rows: record.body == '' }
";
const FILES: &str = "table: files
grants:
  - { name: names, roles: [rep], actions: [list, read], rows: all, read: { clear: [id, name, tags] } }
  - { name: all, roles: [manager], actions: [list, read], rows: all, read: { clear: [id, name, content] } }
  - { name: sizes, roles: [support], actions: [list, read], rows: all, read: { clear: [id, sizes] } }
";

async fn world() -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let setup = setup.policy("accounts", ACCOUNTS).policy("contacts", CONTACTS);
    let world = setup.policy("calls", CALLS).policy("files", FILES).start().await;
    world.upstream.answers(move |seen| Some(answer(seen)));
    world
}

/// A record as it is stored, with all that it leads to.
fn stored(table: &str, key: &str) -> Value {
    let whole = |mut record: Value| {
        record["collectionId"] = json!("c0");
        record["collectionName"] = json!(table);
        record
    };
    let account = json!({ "id": "a1", "organization_id": "acme", "app_id": "shop", "region": "north", "headline": "H", "secret": "SECRET-A", "odd": "SECRET-X" });
    let contact = json!({
        "id": "c1", "organization_id": "acme", "app_id": "shop", "name": "Ann", "stage": "won", "phone": "+15550001234", "ssn": "SECRET-S",
        "account": "a1", "odd": "SECRET-O", "expand": { "account": account },
    });
    whole(match (table, key) {
        ("accounts", _) => account,
        ("contacts", _) => contact,
        ("calls", _) => {
            json!({ "id": "k1", "contact": "c1", "body": "", "odd": "SECRET-K", "expand": { "contact": contact } })
        }
        _ => {
            json!({ "id": "f1", "organization_id": "acme", "app_id": "shop", "name": "F", "content": { "n": 1 }, "sizes": [1], "tags": ["a"], "odd": "SECRET-F" })
        }
    })
}

/// What a PocketBase picks of a record for the parameter `fields`.
fn picked(record: &Value, fields: &[&str]) -> Value {
    let Value::Object(members) = record else { return record.clone() };
    let mut out = Map::new();
    for (name, value) in members {
        let below: Vec<&str> = fields.iter().filter_map(|field| field.strip_prefix(&format!("{name}."))).collect();
        if fields.contains(&name.as_str()) {
            out.insert(name.clone(), value.clone());
        } else if !below.is_empty() {
            out.insert(name.clone(), picked(value, &below));
        }
    }
    Value::Object(out)
}

fn told(target: &str) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = path.split('/').skip(3);
    let (table, key) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    let mut record = stored(table, key);
    if parameter(query, "expand").is_none() {
        record.as_object_mut().expect("an object").remove("expand");
    }
    match parameter(query, "fields") {
        Some(fields) => picked(&record, &fields.split(',').collect::<Vec<_>>()),
        None => record,
    }
}

fn answer(seen: &Seen) -> Answer {
    if seen.target == "/api/batch" {
        let sent: Value = serde_json::from_slice(&seen.body).expect("JSON");
        let parts = sent["requests"].as_array().expect("parts");
        let told =
            parts.iter().map(|part| json!({ "status": 200, "body": told(part["url"].as_str().expect("a URL")) }));
        return Answer::json(200, Value::Array(told.collect()).to_string());
    }
    let path = seen.target.split('?').next().unwrap_or_default();
    if seen.method == "GET" && path.ends_with("/records") {
        let body = json!({ "items": [told(&seen.target)], "page": 1, "perPage": 5, "totalItems": 1, "totalPages": 1 });
        return Answer::json(200, body.to_string());
    }
    if seen.method == "DELETE" {
        return Answer::json(204, "");
    }
    Answer::json(200, told(&seen.target).to_string())
}

/// A parameter of a query, unescaped.
fn parameter(query: &str, name: &str) -> Option<String> {
    let text = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?.1;
    Some([("%2C", ","), ("%2c", ",")].iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// What was asked for of each record, request by request: method, table, and the fields in their order.
fn asked(world: &World) -> Vec<(String, String, Option<Vec<String>>)> {
    let seen = world.upstream.seen();
    let one = |seen: &Seen| {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let fields = parameter(query, "fields").map(|fields| {
            let mut fields: Vec<String> = fields.split(',').map(str::to_owned).collect();
            fields.sort();
            fields
        });
        (seen.method.clone(), path.split('/').nth(3).unwrap_or_default().to_owned(), fields)
    };
    seen.iter().map(one).collect()
}

fn fields(names: &[&str]) -> Option<Vec<String>> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    Some(names)
}

/// What the rules of contacts read of any: whose it is, and by what it is judged.
const RULES: [&str; 4] = ["id", "organization_id", "app_id", "stage"];

fn of_contacts(more: &[&str]) -> Option<Vec<String>> {
    fields(&[&RULES[..], &["account"], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_reads_ask_for_what_is_seen_and_what_the_rules_read() {
    let world = world().await;
    let (list, one) = ("/api/collections/contacts/records", "/api/collections/contacts/records/c1");
    // The region is read through the relation by other grants of the table.
    let parent = ["expand.account.id", "expand.account.region"];
    let shown =
        [parent[0], parent[1], "expand.account.organization_id", "expand.account.app_id", "expand.account.headline"];
    for (role, query, told, sent) in [
        (
            "rep",
            "",
            json!({ "id": "c1", "name": "Ann", "phone": "***1234" }),
            [&parent[..], &["name", "phone"]].concat(),
        ),
        ("manager", "", json!({ "id": "c1", "name": "Ann" }), [&parent[..], &["name"]].concat()),
        ("rep", "?fields=name", json!({ "name": "Ann" }), [&parent[..], &["name"]].concat()),
        (
            "rep",
            "?expand=account",
            json!({ "id": "c1", "name": "Ann", "phone": "***1234", "expand": { "account": { "id": "a1", "headline": "H" } } }),
            [&shown[..], &["name", "phone"]].concat(),
        ),
    ] {
        for path in [list, one] {
            world.upstream.forget();
            let got = world.person("ana", &json!({ "roles": [role] })).get(&format!("{path}{query}")).await;
            let record = if path == list { got.json()["items"][0].clone() } else { got.json() };
            assert_eq!((got.status, record), (200, told.clone()), "{role} {path}{query}: {}", got.text());
            assert_eq!(
                asked(&world),
                [("GET".to_owned(), "contacts".to_owned(), of_contacts(&sent))],
                "{role} {query}"
            );
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_looks_at_what_judges_it_and_is_told_what_its_writer_may_see() {
    let world = world().await;
    let one = "/api/collections/contacts/records/c1";
    let parent = ["expand.account.id", "expand.account.region"];
    let rep = world.person("ana", &json!({ "roles": ["rep"] }));
    let tag = rep.get(one).await.headers["etag"].to_str().expect("a tag").to_owned();
    let get = |table: &str, fields| ("GET".to_owned(), table.to_owned(), fields);
    let shown = [&parent[..], &["name", "phone"]].concat();
    let before = get("contacts", fields(&[&RULES[..], &shown[..]].concat()));
    for (body, also) in [
        (json!({ "name": "Bea" }), None),
        // Of what it is to lead to, what its own table's rules read.
        (json!({ "account": "a1" }), Some(get("accounts", fields(&["id", "organization_id", "app_id", "headline"])))),
    ] {
        world.upstream.forget();
        // The tag is one of what a read shows: what is looked at must be enough to know it.
        let got = rep.header("if-match", &tag).send("PATCH", one, Some(&body.to_string())).await;
        assert_eq!(
            (got.status, got.json()),
            (200, json!({ "id": "c1", "name": "Ann", "phone": "***1234" })),
            "{body}: {}",
            got.text()
        );
        let patch = ("PATCH".to_owned(), "contacts".to_owned(), of_contacts(&shown));
        let sent: Vec<_> = [Some(before.clone()), also, Some(patch)].into_iter().flatten().collect();
        assert_eq!(asked(&world), sent, "{body}");
    }
    let chosen = "fields=name,expand.account&expand=account";
    world.upstream.forget();
    let got = rep.send("PATCH", &format!("{one}?{chosen}"), Some("{\"name\":\"Bea\"}")).await;
    assert_eq!(got.json(), json!({ "name": "Ann", "expand": { "account": { "id": "a1", "headline": "H" } } }));
    let shown = [
        parent[0],
        parent[1],
        "expand.account.organization_id",
        "expand.account.app_id",
        "expand.account.headline",
        "name",
    ];
    assert_eq!(asked(&world).pop().and_then(|(.., fields)| fields), of_contacts(&shown));

    // Whoever may read no record is told of none, and neither is the gateway.
    let analyst = world.person("lou", &json!({ "roles": ["analyst"] }));
    world.upstream.forget();
    let made =
        analyst.send("POST", "/api/collections/contacts/records", Some("{\"name\":\"Bea\",\"stage\":\"new\"}")).await;
    assert_eq!((made.status, asked(&world)), (204, vec![("POST".to_owned(), "contacts".to_owned(), fields(&["id"]))]));

    // In batches as anywhere.
    let part = json!({ "requests": [{ "method": "PATCH", "url": one, "body": { "name": "Bea" } }] });
    let got = rep.send("POST", "/api/batch", Some(&part.to_string())).await;
    assert_eq!(got.json()[0]["body"], json!({ "id": "c1", "name": "Ann", "phone": "***1234" }), "{}", got.text());
    let seen = world.upstream.seen();
    let sent: Value = serde_json::from_slice(&seen.last().expect("a batch").body).expect("JSON");
    assert!(sent["requests"][0]["url"].as_str().is_some_and(|url| url.contains("fields=")), "{sent}");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_a_record_is_judged_by_what_is_asked_for_of_it() {
    let world = world().await;
    let rep = world.person("ana", &json!({ "roles": ["rep"] }));
    let got = rep.send("DELETE", "/api/collections/contacts/records/c1", None).await;
    assert_eq!(got.status, 204, "{}", got.text());
    let calls = asked(&world).into_iter().find(|(_, table, _)| table == "calls");
    let parent = ["expand.contact.id", "expand.contact.organization_id", "expand.contact.app_id"];
    assert_eq!(calls.and_then(|(.., fields)| fields), fields(&[&parent[..], &["id", "contact", "body"]].concat()));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_would_be_rounded_when_asked_for_by_name_are_not() {
    let world = world().await;
    for (role, told, sent) in [
        (
            "rep",
            json!({ "id": "f1", "name": "F", "tags": ["a"] }),
            fields(&["id", "organization_id", "app_id", "name", "tags"]),
        ),
        ("manager", json!({ "id": "f1", "name": "F", "content": { "n": 1 } }), None),
        ("support", json!({ "id": "f1", "sizes": [1] }), None),
    ] {
        world.upstream.forget();
        let client = world.person("ana", &json!({ "roles": [role] }));
        let got = client.get("/api/collections/files/records/f1").await;
        assert_eq!((got.status, got.json()), (200, told), "{role}");
        assert_eq!(asked(&world), [("GET".to_owned(), "files".to_owned(), sent)], "{role}");
    }
    world.gateway.shutdown().await;
}

/// Where rules read what comes changed once fields are named, a client can't have it so by naming others.
#[tokio::test(flavor = "multi_thread")]
async fn what_rules_read_comes_as_it_is_stored_whatever_a_client_names() {
    let files = FILES.replacen("rows: all", "rows: '!(7 in record.sizes)'", 1);
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let world = setup.policy("files", &files).start().await;
    world.upstream.answers(move |seen| Some(answer(seen)));
    let rep = world.person("ana", &json!({ "roles": ["rep"] }));
    for path in ["/api/collections/files/records", "/api/collections/files/records/f1"] {
        for (query, told) in [
            ("", json!({ "id": "f1", "name": "F", "tags": ["a"] })),
            ("?fields=name", json!({ "name": "F" })),
            ("?fields=id,name", json!({ "id": "f1", "name": "F" })),
        ] {
            world.upstream.forget();
            let got = rep.get(&format!("{path}{query}")).await;
            let record = if path.ends_with("f1") { got.json() } else { got.json()["items"][0].clone() };
            assert_eq!((got.status, record), (200, told), "{path}{query}: {}", got.text());
            let sent = world.upstream.lines();
            assert!(sent.len() == 1 && !sent[0].contains("fields="), "{path}{query}: {sent:?}");
        }
    }
    world.gateway.shutdown().await;
}
