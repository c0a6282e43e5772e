//! Parts of a batch that refer to others: what a new record's key will be, and what its service makes of it, is known to nobody
//! before it is there, so each such form is refused before anything is sent, however it is spelled.

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::odata::list;
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = "
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 3, max: 50, aggregates: true }
batch: true
tables:
  contacts:
    key: id
    client_keys: true
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, count, read, create, update, delete]
    fields: { id: int, organization_id: string, app_id: string, name: string }
  items:
    key: id
    tenant: { via: contact }
    routes: [list, read, create, update]
    fields: { id: int, contact_id: int, text: string, contact: { table: contacts, by: contact_id } }
  tags:
    key: id
    client_keys: true
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read, create, update, delete]
    fields: { id: string, organization_id: string, app_id: string, name: string }
";

fn policy(table: &str, fields: &str) -> String {
    let actions = "actions: [list, read, update, delete], rows: all, read: { clear: all }";
    let actions = if table == "items" { actions.replace(", delete", "") } else { actions.to_owned() };
    format!(
        "table: {table}\ngrants:\n  - {{ name: all, roles: [rep], {actions}, write: [{fields}] }}\n  \
         - {{ name: make, roles: [rep], actions: [create], write: [{}{fields}] }}\n",
        if table == "items" { "" } else { "id, " }
    )
}

async fn world() -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    let setup = setup.policy("contacts", &policy("contacts", "name")).policy("tags", &policy("tags", "name"));
    let world = setup.policy("items", &policy("items", "contact_id, text")).start().await;
    world.upstream.answers(answer);
    world
}

/// There is one contact, and there are tags whose keys look like references.
fn answer(seen: &Seen) -> Option<Answer> {
    let path = seen.target.split('?').next().unwrap_or_default().replace("%24", "$").replace("%27", "'");
    let row = |id: Value| json!({ "id": id, "organization_id": "acme", "app_id": "shop", "name": "Ann" });
    match (seen.method.as_str(), path.as_str()) {
        ("GET", "/svc/contacts(1)") => Some(Answer::json(200, row(json!(1)).to_string())),
        ("GET", "/svc/tags('$0')") => Some(Answer::json(200, row(json!("$0")).to_string())),
        ("GET", "/svc/tags('$new')") => Some(Answer::json(200, row(json!("$new")).to_string())),
        ("POST", "/svc/$batch") => {
            let body: Value = serde_json::from_slice(&seen.body).ok()?;
            let told = |part: &Value| match part["method"].as_str() {
                Some("DELETE") => json!({ "id": part["id"], "status": 204 }),
                _ => json!({ "id": part["id"], "status": 200, "body": row(json!(1)) }),
            };
            let answers: Vec<Value> = body["requests"].as_array()?.iter().map(told).collect();
            Some(Answer::json(200, json!({ "responses": answers }).to_string()))
        }
        ("GET", "/svc/contacts") => Some(list(&json!([row(json!(1))]))),
        _ => None,
    }
}

fn write(id: &str, method: &str, url: &str, body: Value) -> Value {
    let mut part = json!({ "id": id, "atomicityGroup": "g", "method": method, "url": url });
    if !body.is_null() {
        part["body"] = body;
    }
    part
}

/// The part that others would refer to.
fn first(id: &str) -> Value {
    write(id, "POST", "contacts", json!({ "id": 9, "name": "Zoe" }))
}

async fn batch(world: &World, requests: &Value) -> Response {
    world.upstream.forget();
    let body = json!({ "requests": requests }).to_string();
    world.role("rep").send("POST", "/svc/$batch", Some(&body)).await
}

/// The same in parts.
async fn mixed(world: &World, requests: &Value) -> Response {
    world.upstream.forget();
    let mut body = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n".to_owned();
    for part in requests.as_array().expect("parts") {
        let text = |name: &str| part[name].as_str().unwrap_or_default();
        let content = part.get("body").map(Value::to_string).unwrap_or_default();
        let kind = if content.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        body.push_str(&format!(
            "--c\r\nContent-Type: application/http\r\nContent-ID: {}\r\n\r\n{} {} HTTP/1.1\r\n{kind}\r\n{content}\r\n",
            text("id"),
            text("method"),
            text("url")
        ));
    }
    body.push_str("--c--\r\n--b--\r\n");
    world
        .role("rep")
        .header("content-type", "multipart/mixed; boundary=b")
        .send("POST", "/svc/$batch", Some(&body))
        .await
}

async fn refused(world: &World, got: &Response, status: u16, reason: &str, told: &str) {
    let (_, outcome) = world.last_audit().await;
    assert_eq!((got.status, outcome["reason"].as_str()), (status, Some(reason)), "{told}: {}", got.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_what_another_part_makes_is_none() {
    let world = world().await;
    let targets = [
        ("$1", 404, "route_unknown"),
        ("$1?$select=name", 404, "route_unknown"),
        ("/$1", 404, "route_unknown"),
        ("/svc/$1", 404, "route_unknown"),
        ("./$1", 400, "ambiguous_path"),
        ("%241", 404, "route_unknown"),
        ("%24%31", 404, "route_unknown"),
        ("/svc/%241", 404, "route_unknown"),
        ("%25241", 400, "ambiguous_path"),
        ("$1/items", 404, "route_unknown"),
        ("%241/items", 404, "route_unknown"),
        ("/svc/$1/items", 404, "route_unknown"),
        ("$1/items(1)", 404, "route_unknown"),
        ("$1/name", 404, "route_unknown"),
        ("$1/$ref", 404, "route_unknown"),
        ("$1/items/$ref", 404, "route_unknown"),
        ("$1()", 404, "route_unknown"),
        ("$1(1)", 404, "route_unknown"),
        ("contacts/$1", 404, "route_unknown"),
        ("contacts($1)", 404, "route_unknown"),
        ("contacts(id=$1)", 404, "route_unknown"),
        ("contacts(%241)", 404, "route_unknown"),
        ("contacts($1/id)", 404, "route_unknown"),
        ("contacts(@p)?@p=$1", 404, "route_unknown"),
        ("tags($1)", 404, "route_unknown"),
        ("tags($1/id)", 404, "route_unknown"),
        ("http://crm.test/svc/$1", 400, "ambiguous_path"),
        ("https://crm.test/svc/$1/items", 400, "ambiguous_path"),
        ("//crm.test/svc/$1", 400, "ambiguous_path"),
        ("$1;x", 400, "ambiguous_path"),
        ("$1/../contacts(1)", 400, "ambiguous_path"),
        ("$1#x", 400, "malformed_request"),
    ];
    for (number, (url, status, reason)) in targets.into_iter().enumerate() {
        let (method, body) =
            [("PATCH", json!({ "name": "a" })), ("POST", json!({ "text": "a" })), ("DELETE", Value::Null)][number % 3]
                .clone();
        let part = write("2", method, url, body);
        // Behind what it names and before it, by the name that it has and by another.
        for requests in [json!([first("1"), part]), json!([part, first("other")])] {
            for got in [batch(&world, &requests).await, mixed(&world, &requests).await] {
                refused(&world, &got, status, reason, url).await;
                assert_eq!(world.upstream.lines(), [""; 0], "{method} {url}");
            }
        }
        // What is read behind the writes.
        let read = json!({ "id": "2", "method": "GET", "url": url });
        let got = batch(&world, &json!([first("1"), read])).await;
        refused(&world, &got, status, reason, url).await;
        assert_eq!(world.upstream.lines(), [""; 0], "GET {url}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_names_what_another_part_makes_is_none() {
    let world = world().await;
    for url in [
        "contacts?$filter=id%20eq%20$1",
        "contacts?$filter=id%20eq%20$1/id",
        "contacts?$filter=id%20eq%20%241",
        "contacts?$filter=$1/id%20eq%20id",
        "contacts?$filter=name%20eq%20$1/name",
        "contacts/$count?$filter=id%20eq%20$1/id",
        "contacts?$apply=filter(id%20eq%20$1/id)/aggregate($count%20as%20n)",
        "contacts?$orderby=$1/name",
        "contacts?$top=$1",
        "contacts?$id=$1",
    ] {
        let read = json!({ "id": "2", "method": "GET", "url": url });
        let got = batch(&world, &json!([first("1"), read])).await;
        refused(&world, &got, 400, "query_not_allowed", url).await;
        assert_eq!(world.upstream.lines(), [""; 0], "{url}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_waits_for_another_is_none() {
    let world = world().await;
    let with = |name: &str, value: Value| {
        let mut part = write("2", "PATCH", "contacts(1)", json!({ "name": "a" }));
        part[name] = value;
        part
    };
    for part in [
        with("dependsOn", json!(["1"])),
        with("dependsOn", json!(["g"])),
        with("dependsOn", json!("1")),
        with("dependsOn", json!(["$1"])),
        with("dependsOn", json!({})),
        with("dependson", json!(["1"])),
        with("if", json!("1")),
        with("headers", json!({ "If-Match": "$1" })),
        with("headers", json!({ "If-None-Match": "$1" })),
        with("headers", json!({ "Content-ID": "1" })),
        with("id", json!("$1")),
        with("atomicityGroup", json!("$1")),
    ] {
        let got = batch(&world, &json!([first("1"), part])).await;
        refused(&world, &got, 400, "body_malformed", &part.to_string()).await;
        assert_eq!(world.upstream.lines(), [""; 0], "{part}");
    }
    // What depends on nothing is done.
    let got = batch(&world, &json!([first("1"), with("dependsOn", json!([]))])).await;
    assert_eq!(got.status, 200, "{}", got.text());
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_names_what_another_part_makes_is_refused_whole() {
    let world = world().await;
    for (method, url, body, status, reason) in [
        ("POST", "items", json!({ "text": "a", "contact@odata.bind": "$1" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact@odata.bind": "contacts(1)" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact@odata.bind": ["$1"] }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact@bind": "$1" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "@odata.bind": "$1" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact": { "@odata.id": "$1" } }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact": { "@id": "$1" } }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact": { "id": 1 } }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact": "$1" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact_id@odata.bind": "$1" }), 403, "field_not_writable"),
        ("POST", "items", json!({ "text": "a", "contact_id": "$1" }), 400, "body_malformed"),
        ("POST", "items", json!({ "text": "a", "contact_id": "$1/id" }), 400, "body_malformed"),
        ("POST", "contacts", json!({ "name": "a", "items@odata.bind": ["$1"] }), 403, "field_not_writable"),
        ("POST", "contacts", json!({ "name": "a", "items": [{ "text": "a" }] }), 403, "field_not_writable"),
        ("POST", "contacts", json!({ "name": "a", "id": "$1" }), 400, "body_malformed"),
    ] {
        let requests = json!([first("1"), write("2", method, url, body.clone())]);
        for got in [batch(&world, &requests).await, mixed(&world, &requests).await] {
            refused(&world, &got, status, reason, &body.to_string()).await;
            assert!(
                world.upstream.seen().iter().all(|seen| seen.method == "GET"),
                "{body}: {:?}",
                world.upstream.lines()
            );
        }
    }
    // The key of one that is made in the same batch is nobody's yet.
    let child = write("2", "POST", "items", json!({ "text": "a", "contact_id": 9 }));
    for requests in [json!([first("1"), child]), json!([child, first("1")])] {
        let got = batch(&world, &requests).await;
        assert!(matches!(got.status, 403 | 404), "{}", got.text());
        assert!(world.upstream.seen().iter().all(|seen| seen.method == "GET"), "{:?}", world.upstream.lines());
    }
    let change = write("2", "PATCH", "contacts(9)", json!({ "name": "a" }));
    let got = batch(&world, &json!([first("1"), change])).await;
    refused(&world, &got, 404, "record_hidden", "what is not there yet").await;
    world.gateway.shutdown().await;
}

/// To a service that looks for references wherever there is a `$`, a text that a client may write is none: no part that it gets
/// bears a name that somebody could know.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_looks_like_a_reference_is_a_text_and_refers_to_no_part() {
    let world = world().await;
    let requests = json!([
        write("new", "POST", "contacts", json!({ "name": "$1" })),
        write("1", "PATCH", "tags('$0')", json!({ "name": "$0/name $new $all" })),
        write("0", "DELETE", "tags('$new')", Value::Null),
    ]);
    let mut names: Vec<String> = Vec::new();
    for turn in 0..4 {
        let got = if turn % 2 == 0 { batch(&world, &requests).await } else { mixed(&world, &requests).await };
        assert_eq!(got.status, 200, "{}", got.text());
        let seen = world.upstream.seen();
        let sent: Value = serde_json::from_slice(&seen.last().expect("a batch").body).expect("JSON");
        let parts = sent["requests"].as_array().expect("parts");
        let bodies: Vec<&Value> = parts.iter().map(|part| &part["body"]["name"]).collect();
        assert_eq!(bodies, [&json!("$1"), &json!("$0/name $new $all"), &Value::Null], "as they were written");
        for part in parts {
            let id = part["id"].as_str().expect("a name").to_owned();
            assert!(id.len() > 30 && !sent.to_string().contains(&format!("${id}")), "{id}");
            assert!(!names.contains(&id), "{id} is used again");
            names.push(id);
        }
    }
    assert_eq!(names.len(), 12);
    world.gateway.shutdown().await;
}
