//! Writes of a record that changes between the look at it and the write: with `race: accept` they are done all the same, with
//! `race: filter` only where what they were judged by still holds.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::record::{Record, merge, own, policy};
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest:
  list: "$.data[*]"
  record: "$.data"
  parameters:
    expand: { name: expand, separator: "," }
    filter: { eq: "{field}", lt: "{field}[lt]", not_in: "{field}[nin]", null: "{field}[null]" }
  pushdown: { nulls: dropped }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_filter: { org: organization_id, app: app_id }
    race: filter
    routes:
      read: "GET /contacts/{id}"
      update: { route: "PATCH /contacts/{id}", by_filter: /contacts }
      delete: { route: "DELETE /contacts/{id}", by_filter: /contacts }
    fields:
      id: { type: int, push: exact }
      organization_id: string
      app_id: string
      owner_id: { type: string, push: exact }
      name: string
      stage: { type: string, push: exact }
      amount: { type: int, nullable: true, push: exact }
      note: { type: string, nullable: true }
      ssn: { type: string, tags: [secret] }
"#;

const CHECK: &str = "check: after.amount == null || after.amount < 1000";
const DENIALS: &str = "denials:
  - { name: won-stays, actions: [update, delete, transfer], rows: record.stage == 'won' }
";

fn rules() -> String {
    let grants = [
        own("rep, manager", "update, delete", &format!("read: {{ clear: [id] }}, write: [name, amount, stage], {CHECK}")),
        own("rep", "transfer", "write: [owner_id], check: after.owner_id == 'max'").replace("own,", "hand-over,"),
        "name: open, roles: [rep, manager, support], actions: [read], rows: record.stage != 'hidden', \
         read: { clear: [id, name, stage, amount] }"
            .to_owned(),
        "name: noted, roles: [support], actions: [update], rows: record.note == 'mine', write: [name], check: after.name != ''"
            .to_owned(),
    ];
    policy("contacts", &grants) + DENIALS
}

fn row() -> Value {
    json!({
        "id": 7, "organization_id": "acme", "app_id": "shop", "owner_id": "ana", "name": "Ann", "stage": "open", "amount": 10,
        "note": "mine", "ssn": "SECRET-SSN",
    })
}

/// A service with one record, null once it is deleted. After it was looked at for the first time, `meanwhile` is done to it.
fn service(record: &Record, meanwhile: Value) -> impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static {
    let (record, meanwhile) = (record.clone(), Mutex::new(Some(meanwhile)));
    move |seen| {
        let before = record.now();
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let found = match path {
            "/contacts/7" => !before.is_null(),
            "/contacts" => !before.is_null() && query.split('&').all(|pair| passes(&before, pair)),
            _ => return None,
        };
        let scoped = path == "/contacts";
        match seen.method.as_str() {
            "GET" => {
                if let Some(changes) = meanwhile.lock().expect("no panic holds it").take() {
                    record.merge(changes);
                }
                return found.then(|| Answer::json(200, json!({ "data": before }).to_string()));
            }
            "DELETE" if found => record.merge(Value::Null),
            "PATCH" if found => record.change(seen),
            _ => {}
        }
        Some(match (seen.method.as_str(), scoped, found) {
            ("DELETE", ..) => Answer::json(204, ""),
            (_, true, true) => Answer::json(200, json!({ "data": [record.now()] }).to_string()),
            (_, true, false) => Answer::json(200, json!({ "data": [] }).to_string()),
            (_, false, true) => Answer::json(200, json!({ "data": record.now() }).to_string()),
            (_, false, false) => Answer::json(404, "{}"),
        })
    }
}

/// Whether a record passes one parameter of a filter. An unknown one passes nothing.
fn passes(record: &Value, pair: &str) -> bool {
    let (name, value) = pair.split_once('=').expect("a pair");
    let (name, value) = (name.replace("%5B", "[").replace("%5D", "]"), value.replace("%2C", ","));
    let (field, operator) = name.strip_suffix(']').and_then(|name| name.split_once('[')).unwrap_or((&name, "eq"));
    let field = match field {
        "org" => "organization_id",
        "app" => "app_id",
        field => field,
    };
    let held = match &record[field] {
        Value::String(text) => text.clone(),
        Value::Null => return operator == "null" && value == "true",
        other => other.to_string(),
    };
    match operator {
        "eq" => held == value,
        "nin" => value.split(',').all(|one| one != held),
        "null" => value == "false",
        "lt" => held.parse::<i64>().ok().zip(value.parse().ok()).is_some_and(|(held, value)| held < value),
        other => panic!("{other} is not declared"),
    }
}

async fn world(api: String) -> World {
    Setup { api, ..Setup::default() }.policy("contacts", &rules()).start().await
}

fn accepting() -> String {
    API.replace("race: filter", "race: accept").replace(", by_filter: /contacts", "")
}

fn person(world: &World, role: &str) -> Client {
    world.person("ana", &json!({ "roles": [role] }))
}

/// One write of a record to which something is done meanwhile: what the client got, and what the record is afterwards.
async fn write(world: &World, role: &str, method: &str, body: Option<Value>, meanwhile: Value) -> (Response, Value) {
    let record = Record::new(row());
    world.upstream.answers(service(&record, meanwhile));
    world.upstream.forget();
    let body = body.map(|body| body.to_string());
    let got = person(world, role).send(method, "/contacts/7", body.as_deref()).await;
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    (got, record.now())
}

async fn reason(world: &World) -> Value {
    world.last_audit().await.1["reason"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_race_is_lost_and_a_filter_is_not() {
    let handed = json!({ "owner_id": "max", "stage": "hidden" });
    let accepts = world(accepting()).await;
    let (got, left) = write(&accepts, "rep", "PATCH", Some(json!({ "name": "Eve" })), handed.clone()).await;
    assert_eq!(
        (got.status, &left["owner_id"], &left["name"]),
        (204, &json!("max"), &json!("Eve")),
        "the risk that was accepted"
    );
    let (got, left) = write(&accepts, "rep", "DELETE", None, handed.clone()).await;
    assert_eq!((got.status, left), (204, Value::Null));
    accepts.gateway.shutdown().await;

    let filters = world(API.to_owned()).await;
    let (got, left) = write(&filters, "rep", "PATCH", Some(json!({ "name": "Eve" })), handed.clone()).await;
    assert_eq!((got.status, &left["owner_id"], &left["name"]), (404, &json!("max"), &json!("Ann")), "{}", got.text());
    assert_eq!(reason(&filters).await, "record_hidden");
    let (got, left) = write(&filters, "rep", "DELETE", None, handed).await;
    assert_eq!((got.status, &left["owner_id"]), (404, &json!("max")), "{}", got.text());
    assert!(filters.upstream.lines().iter().all(|line| !line.starts_with("DELETE /contacts/7")));
    filters.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_done_only_where_what_it_was_judged_by_still_holds() {
    let world = world(API.to_owned()).await;
    let name = json!({ "name": "Eve" });
    let cases = [
        // What is done meanwhile, what is written, the status, the reason.
        (json!({}), name.clone(), 200, None),
        (json!({ "note": "other", "ssn": "SECRET-2" }), name.clone(), 200, None),
        (json!({ "owner_id": "max" }), name.clone(), 403, Some("field_not_writable")),
        (json!({ "stage": "won" }), name.clone(), 403, Some("denied")),
        (json!({ "organization_id": "globex" }), name.clone(), 404, Some("record_foreign")),
        (json!({ "app_id": "desk" }), name.clone(), 404, Some("record_foreign")),
        (json!({ "owner_id": "max", "stage": "hidden" }), name.clone(), 404, Some("record_hidden")),
        (Value::Null, name.clone(), 404, Some("record_hidden")),
        // The check reads what isn't written: it must be what it was.
        (json!({ "amount": 5000 }), name.clone(), 403, Some("check_failed")),
        (json!({ "amount": 11 }), name.clone(), 412, Some("precondition_failed")),
        (json!({ "amount": null }), name.clone(), 412, Some("precondition_failed")),
        // It reads what is written, and nothing else.
        (json!({ "amount": 5000 }), json!({ "amount": 5 }), 200, None),
        (json!({ "owner_id": "max" }), json!({ "amount": 5 }), 403, Some("field_not_writable")),
        (json!({ "owner_id": "eve" }), json!({ "owner_id": "max" }), 403, Some("owner_not_transferable")),
        (json!({ "name": "Zoe" }), json!({ "owner_id": "max" }), 200, None),
    ];
    for (meanwhile, body, status, why) in cases {
        let case = format!("{meanwhile} {body}");
        let (got, left) = write(&world, "rep", "PATCH", Some(body.clone()), meanwhile.clone()).await;
        assert_eq!((got.status, reason(&world).await.as_str()), (status, why), "{case}: {}", got.text());
        let mut expected = row();
        merge(&mut expected, meanwhile);
        if status == 200 {
            merge(&mut expected, body);
            assert_eq!(got.json()["data"]["id"], 7, "{case}");
        }
        assert_eq!(left, expected, "{case}");
        let writes: Vec<String> = world.upstream.lines().into_iter().filter(|line| !line.starts_with("GET")).collect();
        assert!(matches!(&writes[..], [one] if one.starts_with("PATCH /contacts?")), "{case}: {writes:?}");
    }
    for (meanwhile, status, why) in [
        (json!({}), 204, None),
        (json!({ "amount": 5000 }), 204, None),
        (json!({ "stage": "won" }), 403, Some("denied")),
        (json!({ "owner_id": "max" }), 403, Some("action_not_granted")),
        (json!({ "owner_id": "max", "stage": "hidden" }), 404, Some("record_hidden")),
        (json!({ "app_id": "desk" }), 404, Some("record_foreign")),
    ] {
        let (got, left) = write(&world, "rep", "DELETE", None, meanwhile.clone()).await;
        assert_eq!((got.status, reason(&world).await.as_str()), (status, why), "{meanwhile}: {}", got.text());
        assert_eq!(left.is_null(), status == 204, "{meanwhile}");
    }
    // Whoever was faster, it is gone.
    let (got, _) = write(&world, "rep", "DELETE", None, Value::Null).await;
    assert_eq!(got.status, 204);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_write_says_all_that_it_was_judged_by() {
    let world = world(API.to_owned()).await;
    let (got, _) = write(&world, "rep", "PATCH", Some(json!({ "name": "Eve" })), json!({})).await;
    assert_eq!(got.json(), json!({ "data": { "id": 7, "name": "Eve", "stage": "open", "amount": 10 } }));
    let seen = world.upstream.seen().pop().expect("the write");
    let (_, query) = seen.target.split_once('?').expect("a filter");
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    assert_eq!(pairs, ["amount=10", "app=shop", "id=7", "org=acme", "owner_id=ana", "stage%5Bnin%5D=won"]);
    assert_eq!(seen.headers["prefer"], "return=representation");
    assert_eq!(seen.body, r#"{"name":"Eve"}"#);
    let (_, outcome) = world.last_audit().await;
    assert_eq!((&outcome["rules_granted"], &outcome["keys"]), (&json!(["open", "own"]), &json!(["7"])));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_sent_again_keeps_its_name_whatever_its_filter_says() {
    let world = world(format!("{API}\nidempotency_key: true\n")).await;
    let sent = async |key: &str, amount: i64| {
        let record = Record::new(row());
        record.set("amount", amount);
        world.upstream.answers(service(&record, json!({})));
        let client = person(&world, "rep").header("idempotency-key", key);
        let got = client.send("PATCH", "/contacts/7", Some(r#"{"name":"Eve"}"#)).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let seen = world.upstream.seen().pop().expect("the write");
        assert!(seen.target.contains(&format!("amount={amount}")), "{}", seen.target);
        seen.headers["idempotency-key"].clone()
    };
    let first = sent("k1", 10).await;
    assert_eq!(sent("k1", 11).await, first);
    assert_ne!(sent("k2", 10).await, first);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_record_is_none() {
    let world = world(API.to_owned()).await;
    let other = json!({ "id": 8, "name": "SECRET", "stage": "open", "organization_id": "globex" });
    for (status, body) in [
        (200, json!({ "data": [other] })),
        (200, json!({ "data": [row(), other] })),
        (200, json!({ "data": [row(), row()] })),
        (200, json!({ "data": row() })),
        (200, json!({ "data": [[row()]] })),
        (200, json!([row()])),
        (204, Value::Null),
        (206, json!({ "data": [row()] })),
        (500, json!({ "data": [row()] })),
    ] {
        world.upstream.answers(move |seen| {
            Some(match seen.method.as_str() {
                "GET" => Answer::json(200, json!({ "data": row() }).to_string()),
                _ if status == 204 => Answer::json(204, ""),
                _ => Answer::json(status, body.to_string()),
            })
        });
        let got = person(&world, "rep").send("PATCH", "/contacts/7", Some(r#"{"name":"Eve"}"#)).await;
        assert_eq!(got.status, 502, "{status} {}", got.text());
        assert!(!got.everything().contains("SECRET"));
        assert_eq!(world.last_audit().await.1["result"], "failed");
    }
    world.gateway.shutdown().await;
}

/// Of a service that knows no such path, nothing can be told of the record: neither that somebody was faster, nor that it is
/// gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_the_upstream_does_not_have_is_no_lost_race() {
    let world = world(API.to_owned()).await;
    for (status, body) in [
        (404, "{}"),
        (404, r#"{"data":[]}"#),
        (404, r#"{"error":"SECRET"}"#),
        (405, ""),
        (405, r#"{"data":[]}"#),
        (410, "{}"),
        (501, "SECRET"),
    ] {
        for (method, written) in [("PATCH", Some(r#"{"name":"Eve"}"#)), ("DELETE", None)] {
            let case = format!("{method} {status} {body}");
            let mut told = Vec::new();
            // What is done meanwhile makes no difference, for nobody looks again.
            for meanwhile in [row(), Value::Null, json!({ "stage": "won", "owner_id": "max" })] {
                let looked = Mutex::new(false);
                world.upstream.forget();
                world.upstream.answers(move |seen| {
                    let mut looked = looked.lock().expect("no panic holds it");
                    let record = if std::mem::replace(&mut *looked, true) { &meanwhile } else { &row() };
                    Some(match (seen.method.as_str(), record.is_null()) {
                        ("GET", false) => Answer::json(200, json!({ "data": record }).to_string()),
                        ("GET", true) => Answer::json(404, "{}"),
                        _ => Answer::json(status, body),
                    })
                });
                let got = person(&world, "rep").send(method, "/contacts/7", written).await;
                assert_eq!((got.status, &got.json()["code"]), (502, &json!("upstream_failed")), "{case}");
                assert!(!got.everything().contains("SECRET"), "{}", got.everything());
                let (_, outcome) = world.last_audit().await;
                assert_eq!(
                    (&outcome["result"], &outcome["reason"]),
                    (&json!("failed"), &json!("upstream_cannot_filter")),
                    "{case}"
                );
                let lines = world.upstream.lines();
                assert!(matches!(&lines[..], [look, write] if look.starts_with("GET") && write.starts_with(method)));
                told.push(got.body);
            }
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{case}: {told:?}");
        }
    }
    // Of a record that is hidden, and of one that isn't there, nothing is asked.
    let mut told = Vec::new();
    for record in [json!({ "owner_id": "max", "stage": "hidden" }), json!({ "app_id": "desk" }), Value::Null] {
        let mut held = row();
        merge(&mut held, record);
        world.upstream.forget();
        world.upstream.answers(move |seen| {
            Some(match (seen.method.as_str(), held.is_null()) {
                ("GET", false) => Answer::json(200, json!({ "data": held }).to_string()),
                _ => Answer::json(404, "{}"),
            })
        });
        told.push(person(&world, "rep").send("DELETE", "/contacts/7", None).await);
        assert_eq!(world.upstream.lines().len(), 1);
    }
    assert!(told.iter().all(|got| got.status == 404 && got.body == told[0].body), "{:?}", told[0].text());
    // None that was found is a lost race all the same.
    let (got, _) = write(&world, "rep", "PATCH", Some(json!({ "name": "Eve" })), json!({ "amount": 11 })).await;
    assert_eq!((got.status, reason(&world).await), (412, json!("precondition_failed")));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_filter_says_is_guarded_as_declared_or_refused() {
    let body = || Some(json!({ "name": "Eve" }));
    // The upstream is not trusted to compare notes.
    let refusing = world(API.to_owned()).await;
    let (got, left) = write(&refusing, "support", "PATCH", body(), json!({})).await;
    assert_eq!((got.status, reason(&refusing).await), (502, json!("upstream_cannot_guard")));
    assert_eq!((left, refusing.upstream.lines().len()), (row(), 1));
    // Who may not write learns no more of it than elsewhere.
    let (got, _) = write(&refusing, "support", "PATCH", Some(json!({ "ssn": "x" })), json!({})).await;
    assert_eq!(got.status, 403);
    refusing.gateway.shutdown().await;

    for (race, if_match) in [("[filter, if_match]", true), ("[filter, accept]", false)] {
        let world = world(API.replace("race: filter", &format!("race: {race}"))).await;
        let (got, left) = write(&world, "support", "PATCH", body(), json!({})).await;
        assert_eq!((got.status, &left["name"]), (200, &json!("Eve")), "{race}");
        let seen = world.upstream.seen().pop().expect("the write");
        assert_eq!(seen.target, "/contacts/7");
        assert_eq!(seen.headers.get("if-match").is_some(), if_match, "{race}");
        // What can be said is said.
        write(&world, "rep", "PATCH", body(), json!({})).await;
        let seen = world.upstream.seen().pop().expect("the write");
        assert!(seen.target.starts_with("/contacts?") && !seen.headers.contains_key("if-match"), "{}", seen.target);
        world.gateway.shutdown().await;
    }
    // One whose column can be compared is said by what it held.
    let trusting = world(
        API.replace("note: { type: string, nullable: true }", "note: { type: string, nullable: true, push: exact }"),
    )
    .await;
    let (got, _) = write(&trusting, "support", "PATCH", body(), json!({ "note": "other" })).await;
    assert_eq!((got.status, reason(&trusting).await), (403, json!("field_not_writable")), "{}", got.text());
    trusting.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directus_is_sent_a_query_beside_the_data() {
    let api = r#"
api: crm
upstream: crm
dialect: directus
directus: { texts: exact }
tables:
  contacts:
    set: people
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: filter
    routes: [read, update, delete]
    fields: { id: int, organization_id: string, app_id: string, owner_id: string, name: string, stage: string, amount: { type: int, nullable: true }, note: { type: string, nullable: true }, ssn: { type: string, tags: [secret] } }
"#;
    let world = world(api.to_owned()).await;
    let one = |record: &Value| json!({ "data": record }).to_string();
    let answers = move |seen: &Seen| match (seen.method.as_str(), seen.target.split('?').next()) {
        ("GET", Some("/items/people/7")) => Some(Answer::json(200, one(&row()))),
        ("PATCH", Some("/items/people")) => Some(Answer::json(200, one(&json!([row()])))),
        ("DELETE", Some("/items/people")) => Some(Answer::json(204, "")),
        _ => None,
    };
    world.upstream.answers(answers);
    let client = person(&world, "manager");
    let got = client.send("PATCH", "/items/people/7", Some(r#"{"name":"Eve"}"#)).await;
    assert_eq!((got.status, got.json()["data"]["name"].clone()), (200, json!("Ann")), "{}", got.text());
    let filter = json!({ "_and": [
        { "organization_id": { "_eq": "acme" } }, { "app_id": { "_eq": "shop" } },
        { "id": { "_in": [7] } }, { "stage": { "_nin": ["won"] } }, { "owner_id": { "_in": ["ana"] } }, { "amount": { "_in": [10] } },
    ]});
    let seen = world.upstream.seen().pop().expect("the write");
    let sent: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(sent["data"], json!({ "name": "Eve" }));
    let said = sent["query"].to_string().replace("_eq", "_in");
    for part in filter["_and"].as_array().expect("parts") {
        let (column, _) = part.as_object().expect("one").iter().next().expect("one");
        assert!(said.contains(column.as_str()), "{column} is not in {said}");
    }
    assert!(said.contains("acme") && said.contains("shop") && said.contains("ana") && said.contains("won"), "{said}");
    // It is still there: it was not found, and is looked at once more.
    world.upstream.forget();
    let got = client.send("DELETE", "/items/people/7", None).await;
    assert_eq!((got.status, reason(&world).await), (412, json!("precondition_failed")), "{}", got.text());
    let sent = world.upstream.seen().into_iter().find(|seen| seen.method == "DELETE").expect("the write");
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert!(sent.get("data").is_none() && sent["query"]["filter"].is_object(), "{sent}");
    world.gateway.shutdown().await;
}
