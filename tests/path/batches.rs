//! Batches through a whole gateway: what leaves of them, what is refused whole, and what is told of their answers. That real
//! servers mean the same by them is held by `tests/e2e`.

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

const POCKETBASE: &str = r#"
api: crm
upstream: crm
dialect: pocketbase
batch: { most: 4 }
tables:
  contacts:
    key: id
    client_keys: true
    owner: owner
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes:
      list: GET /api/collections/contacts/records
      read: "GET /api/collections/contacts/records/{id}"
      create: POST /api/collections/contacts/records
      update: "PATCH /api/collections/contacts/records/{id}"
      upsert: PUT /api/collections/contacts/records
      delete: "DELETE /api/collections/contacts/records/{id}"
    fields: { id: string, organization_id: string, app_id: string, owner: string, name: string, ssn: { type: string, nullable: true, tags: [secret] } }
  vaults:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { read: "GET /api/collections/vaults/records/{id}", create: POST /api/collections/vaults/records }
    fields: { id: string, organization_id: string, app_id: string }
opaque:
  logo: { route: POST /api/logo, roles: [rep], media_types: [text/plain], tenant: shared }
"#;

pub(super) const ODATA: &str = "
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 3, max: 50 }
batch: true
tables:
  contacts:
    key: id
    client_keys: true
    owner: owner
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read, create, update, delete]
    fields: { id: int, organization_id: string, app_id: string, owner: { type: string, push: exact }, name: string, ssn: { type: string, nullable: true, tags: [secret] } }
";

const POLICY: &str = "table: contacts
grants:
  - name: own
    roles: [rep, manager]
    actions: [list, read, update, delete]
    rows: record.owner == principal.id
    read: { clear: [id, name] }
    write: [name]
    check: after.name != 'no'
  - { name: make, roles: [rep], actions: [create], presets: { owner: principal.id }, write: [id, name], check: after.name != 'no' }
  - { name: hand-over, roles: [manager], actions: [transfer], rows: record.owner == principal.id, write: [owner], check: after.owner == 'max' }
";

const RECORDS: &str = "/api/collections/contacts/records";

fn row(id: impl Into<Value>, organization: &str, owner: &str) -> Value {
    json!({ "id": id.into(), "organization_id": organization, "app_id": "shop", "owner": owner, "name": "Ann", "ssn": "SECRET" })
}

/// Contacts 1, 2 and 7 are ana's, 3 is max's, 4 is another tenant's; there are no others.
fn record(seen: &Seen) -> Option<Answer> {
    let path = seen.target.split('?').next().unwrap_or_default();
    let number = path.strip_prefix("/svc/contacts(").and_then(|rest| rest.strip_suffix(')'));
    let id = number.or_else(|| path.strip_prefix(RECORDS)?.strip_prefix('/')).filter(|_| seen.method == "GET")?;
    let key = number.and_then(|number| number.parse::<u64>().ok()).map_or(json!(id), |number| json!(number));
    let row = match id {
        "1" | "2" | "7" => row(key, "acme", "ana"),
        "3" => row(key, "acme", "max"),
        "4" => row(key, "globex", "ana"),
        _ => return None,
    };
    Some(Answer::json(200, row.to_string()))
}

/// Does what PocketBase does with a batch of writes that it likes.
fn pocketbase(seen: &Seen) -> Option<Answer> {
    if seen.target != "/api/batch" {
        return record(seen);
    }
    let body: Value = serde_json::from_slice(&seen.body).ok()?;
    let answer = |part: &Value| match part["method"].as_str() {
        Some("DELETE") => json!({ "status": 204, "body": null }),
        _ => {
            let path = part["url"].as_str().and_then(|url| url.split('?').next()).unwrap_or_default();
            json!({ "status": 200, "body": row(path.rsplit('/').next(), "acme", "ana") })
        }
    };
    let answers: Vec<Value> = body["requests"].as_array()?.iter().map(answer).collect();
    Some(Answer::json(200, json!(answers).to_string()))
}

fn odata(seen: &Seen) -> Option<Answer> {
    match seen.target.split('?').next() {
        Some("/svc/$batch") => {}
        Some("/svc/contacts") => {
            return Some(Answer::json(
                200,
                json!({ "value": [row(1, "acme", "ana"), row(3, "acme", "max")] }).to_string(),
            ));
        }
        _ => return record(seen),
    }
    let body: Value = serde_json::from_slice(&seen.body).ok()?;
    let answer = |part: &Value| match part["method"].as_str() {
        Some("DELETE") => json!({ "id": part["id"], "status": 204 }),
        Some("POST") => {
            json!({ "id": part["id"], "status": 201, "headers": { "etag": "SECRET" }, "body": row(9, "acme", "ana") })
        }
        _ => json!({ "id": part["id"], "status": 200, "body": row(1, "acme", "ana") }),
    };
    let answers: Vec<Value> = body["requests"].as_array()?.iter().rev().map(answer).collect();
    Some(Answer::json(200, json!({ "responses": answers }).to_string()))
}

pub(super) async fn world(api: &str) -> World {
    let world = Setup { api: api.to_owned(), ..Setup::default() }.policy("contacts", POLICY).start().await;
    if api == ODATA {
        world.upstream.answers(odata)
    } else {
        world.upstream.answers(pocketbase)
    }
    world
}

pub(super) fn person(world: &World, role: &str) -> Client {
    world.person("ana", &json!({ "roles": [role] }))
}

async fn batch(world: &World, role: &str, target: &str, requests: Value) -> Response {
    world.upstream.forget();
    let got = person(world, role).send("POST", target, Some(&json!({ "requests": requests }).to_string())).await;
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    got
}

/// What left as a batch, if anything did.
pub(super) fn sent(world: &World) -> Option<Value> {
    let seen = world.upstream.seen();
    let batch = seen.iter().find(|seen| seen.target.ends_with("batch"));
    batch.map(|seen| serde_json::from_slice(&seen.body).expect("JSON"))
}

/// A batch that was refused: with this status, and for this reason, and nothing was written.
pub(super) async fn refused(world: &World, got: &Response, status: u16, reason: &str) {
    let (_, outcome) = world.last_audit().await;
    assert_eq!((got.status, outcome["reason"].as_str()), (status, Some(reason)), "{}", got.text());
    assert_eq!(sent(world), None);
    assert!(world.upstream.seen().iter().all(|seen| seen.method == "GET"), "{:?}", world.upstream.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_anew_and_each_answer_is_judged_as_a_read() {
    let world = world(POCKETBASE).await;
    let got = batch(
        &world,
        "rep",
        "/api/batch",
        json!([
            { "method": "POST", "url": RECORDS, "body": { "name": "Zoe" } },
            { "method": "PATCH", "url": format!("{RECORDS}/1"), "headers": {}, "body": { "name": "Yva" } },
            { "method": "DELETE", "url": format!("{RECORDS}/2"), "body": {} },
            { "method": "PUT", "url": RECORDS, "body": { "id": "8", "name": "Xia" } },
        ]),
    )
    .await;
    assert_eq!(got.status, 200, "{}", got.text());
    let shown = |id: &str| json!({ "id": id, "name": "Ann" });
    assert_eq!(
        got.json(),
        json!([
            { "status": 201, "body": shown("records") }, { "status": 200, "body": shown("1") }, { "status": 204, "body": null },
            { "status": 201, "body": shown("records") },
        ])
    );
    let own = |mut body: Value| {
        body["owner"] = json!("ana");
        body["organization_id"] = json!("acme");
        body["app_id"] = json!("shop");
        body
    };
    // Of what it writes the server tells what may be seen and what the rules read.
    let told = |path: &str| format!("{path}?fields=id%2Cname%2Corganization_id%2Capp_id%2Cowner");
    assert_eq!(
        sent(&world),
        Some(json!({ "requests": [
            { "method": "POST", "url": told(RECORDS), "body": own(json!({ "name": "Zoe" })) },
            { "method": "PATCH", "url": told(&format!("{RECORDS}/1")), "body": { "name": "Yva" } },
            { "method": "DELETE", "url": format!("{RECORDS}/2") },
            { "method": "POST", "url": told(RECORDS), "body": own(json!({ "id": "8", "name": "Xia" })) },
        ]}))
    );
    let lines = world.upstream.lines();
    assert_eq!(lines.last().map(String::as_str), Some("POST /api/batch"), "{lines:?}");
    let (intent, outcome) = world.last_audit().await;
    assert_eq!(intent["action"], "batch");
    assert_eq!(
        intent["parts"],
        json!([
            { "table": "contacts", "action": "create" }, { "table": "contacts", "action": "update", "key": "1" },
            { "table": "contacts", "action": "delete", "key": "2" }, { "table": "contacts", "action": "update" },
        ])
    );
    assert_eq!((&outcome["result"], &outcome["rules_granted"]), (&json!("allowed"), &json!(["make", "own"])));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_part_refuses_all_and_nothing_is_written() {
    let world = world(POCKETBASE).await;
    let fine = json!({ "method": "POST", "url": RECORDS, "body": { "name": "Zoe" } });
    let change = |id: &str, body: Value| json!({ "method": "PATCH", "url": format!("{RECORDS}/{id}"), "body": body });
    let one = |id: &str| format!("{RECORDS}/{id}");
    let cases = [
        (change("3", json!({ "name": "a" })), 404, "record_hidden"),
        (change("4", json!({ "name": "a" })), 404, "record_foreign"),
        (change("99", json!({ "name": "a" })), 404, "record_hidden"),
        (change("1", json!({ "name": "no" })), 403, "check_failed"),
        (change("1", json!({ "ssn": "1" })), 403, "field_not_writable"),
        (change("1", json!({ "organization_id": "globex" })), 403, "tenant_not_writable"),
        (change("1", json!({ "owner": "max" })), 403, "owner_not_transferable"),
        (change("1", json!([{ "name": "a" }])), 400, "body_malformed"),
        (json!({ "method": "DELETE", "url": one("3") }), 404, "record_hidden"),
        (json!({ "method": "PUT", "url": RECORDS, "body": { "id": "8", "name": "no" } }), 403, "check_failed"),
        (json!({ "method": "POST", "url": "/api/collections/vaults/records", "body": {} }), 404, "table_hidden"),
        // What is no request of its own.
        (json!({ "method": "POST", "url": "/api/collections/unknown/records", "body": {} }), 404, "route_unknown"),
        (json!({ "method": "POST", "url": "/api/logo", "body": {} }), 404, "route_unknown"),
        (json!({ "method": "POST", "url": "/api/batch", "body": { "requests": [fine] } }), 404, "route_unknown"),
        (
            json!({ "method": "POST", "url": format!("{RECORDS}/../../vaults/records"), "body": {} }),
            400,
            "ambiguous_path",
        ),
        (json!({ "method": "POST", "url": "/api//collections/contacts/records", "body": {} }), 400, "ambiguous_path"),
        (json!({ "method": "DELETE", "url": one("1%2f..%2f2") }), 400, "ambiguous_path"),
        (json!({ "method": "DELETE", "url": one("1%252e") }), 400, "ambiguous_path"),
        (json!({ "method": "DELETE", "url": one("1;x") }), 400, "ambiguous_path"),
        (json!({ "method": "DELETE", "url": format!("http://other{RECORDS}/1") }), 400, "malformed_request"),
        (json!({ "method": "DELETE", "url": format!("//other{RECORDS}/1") }), 400, "ambiguous_path"),
        (json!({ "method": "DELETE", "url": format!("{RECORDS}/1#x") }), 400, "malformed_request"),
        (json!({ "method": "DELETE", "url": format!("{RECORDS}/1 ") }), 400, "malformed_request"),
        (json!({ "method": "DELETE", "url": one("1?_method=PATCH") }), 400, "method_not_supported"),
        (json!({ "method": "DELETE", "url": one("1?expand=owner") }), 400, "query_not_allowed"),
        (json!({ "method": "delete", "url": one("1") }), 400, "method_not_supported"),
        (json!({ "method": "PATCH ", "url": one("1"), "body": {} }), 400, "method_not_supported"),
        (json!({ "method": "OPTIONS", "url": one("1") }), 400, "method_not_supported"),
        (json!({ "method": "DELETE", "url": one("1"), "body": { "a": 1 } }), 400, "body_expected"),
        (json!({ "method": "DELETE", "url": one("1"), "headers": { "Authorization": "x" } }), 400, "body_malformed"),
        (
            json!({ "method": "DELETE", "url": one("1"), "headers": { "X-HTTP-Method-Override": "PATCH" } }),
            400,
            "body_malformed",
        ),
        (json!({ "method": "GET", "url": one("1") }), 400, "body_malformed"),
    ];
    for (part, status, reason) in cases {
        for requests in [json!([fine, part]), json!([part, fine])] {
            let got = batch(&world, "rep", "/api/batch", requests).await;
            refused(&world, &got, status, reason).await;
        }
    }
    // A record that is touched twice would be judged by what it no longer is.
    let twice = json!([change("1", json!({ "name": "a" })), { "method": "DELETE", "url": one("1") }]);
    refused(&world, &batch(&world, "rep", "/api/batch", twice).await, 400, "body_malformed").await;
    let made = json!({ "method": "PUT", "url": RECORDS, "body": { "id": "8", "name": "a" } });
    refused(&world, &batch(&world, "rep", "/api/batch", json!([made, made])).await, 400, "body_malformed").await;
    let many = vec![fine.clone(); 5];
    refused(&world, &batch(&world, "rep", "/api/batch", json!(many)).await, 413, "body_too_large").await;
    let deep = format!(
        "{{\"requests\":[{{\"method\":\"POST\",\"url\":\"{RECORDS}\",\"body\":{}1{}}}]}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    world.upstream.forget();
    refused(&world, &person(&world, "rep").send("POST", "/api/batch", Some(&deep)).await, 400, "body_malformed").await;
    let got = batch(&world, "rep", "/api/batch?a=b", json!([fine])).await;
    refused(&world, &got, 400, "query_not_allowed").await;
    // For whom there is nothing to put into one, there are none.
    let got = batch(&world, "analyst", "/api/batch", json!([fine])).await;
    refused(&world, &got, 404, "table_hidden").await;
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_handed_over_in_a_batch_by_whom_it_is_granted_to() {
    let world = world(POCKETBASE).await;
    let give = |to: &str| json!([{ "method": "PATCH", "url": format!("{RECORDS}/1"), "body": { "owner": to } }]);
    let got = batch(&world, "manager", "/api/batch", give("max")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["rules_granted"], json!(["hand-over", "own"]));
    refused(&world, &batch(&world, "manager", "/api/batch", give("eve")).await, 403, "check_failed").await;
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_brings_one_document_or_it_is_none() {
    let world = world(POCKETBASE).await;
    let client = person(&world, "rep").header("content-type", "multipart/form-data; boundary=b");
    let requests = json!({ "requests": [{ "method": "DELETE", "url": format!("{RECORDS}/1"), "body": {} }] });
    let field =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let form = format!("{}--b--\r\n", field("@jsonPayload", &requests.to_string()));
    let got = client.send("POST", "/api/batch", Some(&form)).await;
    assert_eq!((got.status, got.json()), (200, json!([{ "status": 204, "body": null }])));
    world.upstream.forget();
    for form in [
        format!("{}{}--b--\r\n", field("@jsonPayload", &requests.to_string()), field("requests.0.body", "x")),
        format!("{}--b--\r\n", field("other", &requests.to_string())),
        requests.to_string(),
    ] {
        let got = client.send("POST", "/api/batch", Some(&form)).await;
        refused(&world, &got, 400, "body_malformed").await;
    }
    let client = person(&world, "rep").header("content-type", "text/plain");
    let got = client.send("POST", "/api/batch", Some(&requests.to_string())).await;
    refused(&world, &got, 415, "media_type_unsupported").await;
    // Where a form means nothing, it is none.
    let client = person(&world, "rep").header("content-type", "multipart/form-data; boundary=b");
    let got = client.send("POST", RECORDS, Some(&form)).await;
    refused(&world, &got, 415, "media_type_unsupported").await;
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_says_of_a_batch_is_believed_only_as_a_whole() {
    let world = world(POCKETBASE).await;
    let requests = json!([
        { "method": "PATCH", "url": format!("{RECORDS}/1"), "body": { "name": "a" } },
        { "method": "DELETE", "url": format!("{RECORDS}/2") },
    ]);
    let shown = row("1", "acme", "ana");
    let cases = [
        (200, json!([{ "status": 200, "body": shown }]).to_string(), 502, "upstream_broken"),
        (
            200,
            json!([{ "status": 200, "body": shown }, { "status": 204 }, { "status": 200, "body": shown }]).to_string(),
            502,
            "upstream_broken",
        ),
        (200, json!([{ "status": 200, "body": [shown] }, { "status": 204 }]).to_string(), 502, "upstream_broken"),
        (200, "{\"secret\":\"SECRET\"}".to_owned(), 502, "upstream_broken"),
        (
            200,
            json!([{ "status": 409, "body": { "why": "SECRET" } }, { "status": 204 }]).to_string(),
            422,
            "upstream_refused",
        ),
        (400, json!({ "data": { "requests": { "0": "SECRET" } } }).to_string(), 422, "upstream_refused"),
        (404, "{}".to_owned(), 502, "upstream_failed"),
        (403, "{\"message\":\"SECRET\"}".to_owned(), 502, "upstream_failed"),
        // Another tenant's record in an answer is no answer.
        (
            200,
            json!([{ "status": 200, "body": row("1", "globex", "ana") }, { "status": 204, "body": null }]).to_string(),
            200,
            "",
        ),
    ];
    for (status, body, expected, reason) in cases {
        world.upstream.answers(move |seen| match seen.target.as_str() {
            "/api/batch" => Some(Answer::json(status, body.clone())),
            _ => record(seen),
        });
        let got = batch(&world, "rep", "/api/batch", requests.clone()).await;
        let (_, outcome) = world.last_audit().await;
        assert_eq!((got.status, outcome["reason"].as_str().unwrap_or_default()), (expected, reason), "{}", got.text());
        if expected == 200 {
            assert_eq!(got.json(), json!([{ "status": 204, "body": null }, { "status": 204, "body": null }]));
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_in_a_batch_are_reads_and_its_writes_are_one() {
    let world = world(ODATA).await;
    let write = |id: &str, method: &str, url: &str, body: Value| json!({ "id": id, "atomicityGroup": "g", "method": method, "url": url, "headers": { "Content-Type": "application/json" }, "body": body });
    let got = batch(
        &world,
        "rep",
        "/svc/$batch",
        json!([
            { "id": "before", "method": "GET", "url": "contacts?$select=id" },
            write("new", "POST", "contacts", json!({ "name": "Zoe" })),
            write("old", "PATCH", "/svc/contacts(1)", json!({ "name": "Yva" })),
            write("gone", "DELETE", "contacts(2)", json!({})),
            { "id": "after", "method": "GET", "url": "contacts(7)" },
            { "id": "hidden", "method": "GET", "url": "contacts(3)" },
        ]),
    )
    .await;
    assert_eq!(got.status, 200, "{}", got.text());
    let kind = json!({ "content-type": "application/json" });
    let responses = got.json()["responses"].clone();
    assert_eq!(
        responses[0],
        json!({ "id": "before", "status": 200, "headers": kind, "body": { "value": [{ "id": 1 }] } })
    );
    assert_eq!(
        responses[1],
        json!({ "id": "new", "atomicityGroup": "g", "status": 201, "headers": kind, "body": { "id": 9, "name": "Ann" } })
    );
    assert_eq!(
        responses[2],
        json!({ "id": "old", "atomicityGroup": "g", "status": 200, "headers": kind, "body": { "id": 1, "name": "Ann" } })
    );
    assert_eq!(responses[3], json!({ "id": "gone", "atomicityGroup": "g", "status": 204 }));
    assert_eq!(responses[4]["body"], json!({ "id": 7, "name": "Ann" }));
    assert_eq!((&responses[5]["status"], &responses[5]["body"]["code"]), (&json!(404), &json!("not_found")));
    let sent = sent(&world).expect("a batch");
    let parts = sent["requests"].as_array().expect("parts");
    assert_eq!(parts.len(), 3, "{sent}");
    assert!(parts.iter().all(|part| part["atomicityGroup"] == "all"), "{sent}");
    assert_eq!(parts[0]["url"].as_str().map(|url| url.split('?').next()), Some(Some("contacts")));
    // The record as it was when it was judged.
    assert_eq!(parts[1]["headers"]["if-match"], "\"v1\"");
    assert_eq!(parts[2]["headers"], json!({ "if-match": "\"v1\"" }));
    let methods: Vec<String> = world.upstream.seen().iter().map(|seen| seen.method.clone()).collect();
    // Two looks at records, a list, the batch, two reads.
    assert_eq!(methods, ["GET", "GET", "GET", "POST", "GET", "GET"]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_refused_is_refused_before_anything_is_written() {
    let world = world(ODATA).await;
    let write = json!({ "id": "w", "method": "POST", "url": "contacts", "body": { "name": "Zoe" } });
    let read = |url: &str| json!({ "id": "r", "method": "GET", "url": url });
    for (url, status, reason) in [
        ("contacts?$filter=ssn eq 'a'", 400, "malformed_request"),
        ("contacts?$filter=ssn%20eq%20'a'", 400, "query_not_allowed"),
        ("contacts?$expand=*", 400, "query_not_allowed"),
        ("contacts(1)/ssn", 404, "route_unknown"),
        ("contacts(1)/$value", 404, "route_unknown"),
        // Without a route for it there is none.
        ("contacts/$count", 404, "route_unknown"),
        ("$metadata", 404, "route_unknown"),
        ("$batch", 404, "route_unknown"),
        ("$w", 404, "route_unknown"),
        ("$w/name", 404, "route_unknown"),
        ("../contacts", 400, "ambiguous_path"),
        ("/contacts", 404, "route_unknown"),
        ("http://crm.test/svc/contacts", 400, "ambiguous_path"),
        ("", 400, "ambiguous_path"),
    ] {
        for requests in [json!([write, read(url)]), json!([read(url), write])] {
            refused(&world, &batch(&world, "rep", "/svc/$batch", requests).await, status, reason).await;
        }
    }
    // A record that may not be seen, before the write.
    let got = batch(&world, "rep", "/svc/$batch", json!([read("contacts(3)"), write])).await;
    refused(&world, &got, 404, "record_hidden").await;
    // One If-Match for each, or none is sent.
    world.upstream.answers(|seen| record(seen).map(|answer| answer.header("etag", "W/\"v1\"")));
    let change = json!({ "id": "c", "method": "PATCH", "url": "contacts(1)", "body": { "name": "a" } });
    refused(&world, &batch(&world, "rep", "/svc/$batch", json!([change])).await, 502, "upstream_cannot_guard").await;
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_as_the_requests_that_it_holds() {
    let api = POCKETBASE.to_owned();
    let more = "rates: [{ per: principal, requests: 5, period: 1m }]\n".to_owned();
    let world = Setup { api, more, ..Setup::default() }.policy("contacts", POLICY).start().await;
    world.upstream.answers(pocketbase);
    let fine = json!({ "method": "POST", "url": RECORDS, "body": { "name": "Zoe" } });
    let got = batch(&world, "rep", "/api/batch", json!(vec![fine.clone(); 4])).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let got = batch(&world, "rep", "/api/batch", json!(vec![fine.clone(); 4])).await;
    refused(&world, &got, 429, "rate_limited").await;
    world.gateway.shutdown().await;
}

/// What goes along with a record is looked at before anything is written, so a batch can't put another one there first.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_puts_nothing_where_it_would_be_deleted_along_with_a_record() {
    let api = POCKETBASE.replacen(
        "    race: accept\n",
        "    race: accept\n    absent: null\n    cascades: [contacts.boss]\n",
        1,
    );
    let api = api.replacen(
        "name: string,",
        "name: string, boss_id: { type: string, nullable: true }, boss: { table: contacts, by: boss_id },",
        1,
    );
    let policy = POLICY.replacen("write: [name]", "write: [name, boss_id]", 1);
    let world = Setup { api, ..Setup::default() }.policy("contacts", &policy).start().await;
    world.upstream.answers(|seen| match seen.target.split('?').next() {
        Some(RECORDS) if seen.method == "GET" => Some(Answer::json(200, json!({ "items": [] }).to_string())),
        _ => pocketbase(seen),
    });
    let delete = |id: &str| json!({ "method": "DELETE", "url": format!("{RECORDS}/{id}"), "body": {} });
    let got = batch(&world, "rep", "/api/batch", json!([delete("1"), delete("7")])).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let attach = json!({ "method": "PATCH", "url": format!("{RECORDS}/2"), "body": { "boss_id": "1" } });
    let make = json!({ "method": "POST", "url": RECORDS, "body": { "name": "a" } });
    for requests in [json!([attach, delete("1")]), json!([delete("1"), attach]), json!([make, delete("1")])] {
        let got = batch(&world, "rep", "/api/batch", requests).await;
        refused(&world, &got, 403, "cascade_not_granted").await;
    }
    world.gateway.shutdown().await;
}
