//! What a client asks to see of a record that it writes: chosen as in a read of it, refused as in a read of it, and refused
//! before anything is looked at. That the clients of real servers ask so is held by `tests/e2e`.

use serde_json::{Value, json};

use super::unescaped;
use crate::support::client::Response;
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const ACCOUNTS: &str = "table: accounts
grants:
  - { name: north, roles: [rep], actions: [list, read], rows: record.region == 'north', read: { clear: all } }
";

/// A rep may read most of what they write, an analyst may write and read none, a manager the other way round.
const CONTACTS: &str = "table: contacts
grants:
  - { name: seen, roles: [rep, manager], actions: [list, read], rows: all, read: { clear: [id, name, accountId, account], last4: [phone] } }
  - { name: listed, roles: [analyst], actions: [list], rows: all, read: { clear: [id] } }
  - { name: kept, roles: [rep, analyst], actions: [update], rows: record.name != 'Zoe', write: [name, phone, accountId] }
  - { name: removed, roles: [rep], actions: [delete, archive], rows: all }
  - { name: made, roles: [rep, analyst], actions: [create], write: [name, accountId] }
";

/// One way to say it all.
struct Spoken {
    dialect: &'static str,
    /// Where contacts are, and the first of them.
    all: &'static str,
    one: &'static str,
    routes: [&'static str; 6],
    rest: &'static str,
    /// The name, and of the account what can be had of it; these alone, as they are told; and what the upstream was asked.
    chosen: &'static str,
    told: Value,
    asked: &'static str,
    /// The name alone.
    name: &'static str,
    /// What the upstream is asked where no relation is wanted.
    plain: &'static str,
    hidden: [&'static str; 3],
    other: [&'static str; 5],
}

fn account(region: &str) -> Value {
    json!({ "id": 3, "organization_id": "acme", "app_id": "shop", "region": region, "secret": "SECRET-A" })
}

fn spoken() -> [Spoken; 4] {
    let named = json!({ "id": "3", "organization_id": "acme", "app_id": "shop", "region": "north" });
    [
        Spoken {
            dialect: "rest",
            all: "/contacts",
            one: "/contacts/1",
            routes: [
                "list: GET /contacts",
                "read: \"GET /contacts/{id}\"",
                "create: { route: POST /contacts, many: 3 }",
                "update: \"PATCH /contacts/{id}\"",
                "delete: \"DELETE /contacts/{id}\"",
                "archive: \"POST /contacts/{id}/archive\"",
            ],
            rest: "rest:\n  list: \"$[*]\"\n  record: \"$\"\n  parameters:\n    limit: { name: limit, default: 5, max: 50 }\n    \
                   sort: { name: sort, separator: \",\", descending: \"-\" }\n    fields: { name: fields, separator: \",\" }\n    \
                   expand: { name: expand, separator: \",\" }\n    filter: { eq: \"{field}\" }\n",
            chosen: "fields=name,accountId",
            told: json!({ "name": "Ann", "accountId": 3 }),
            asked: "",
            name: "fields=name",
            plain: "",
            hidden: ["fields=ssn", "fields=name,nothing", "expand=nothing"],
            other: ["limit=1", "sort=name", "name=Ann", "unknown=1", "expand=account"],
        },
        Spoken {
            dialect: "odata",
            all: "/svc/contacts",
            one: "/svc/contacts(1)",
            routes: ["list", "read", "create", "update", "delete", ""],
            rest: "odata: { root: /svc, default: 5, max: 50 }\nbatch: true\n",
            chosen: "$select=name,accountId",
            told: json!({ "name": "Ann", "accountId": 3 }),
            asked: "",
            name: "$select=name",
            plain: "",
            hidden: ["$select=ssn", "$select=name,nothing", "$expand=nothing"],
            other: ["$top=1", "$orderby=name", "$filter=name%20eq%20'Ann'", "$count=false", "$expand=account"],
        },
        Spoken {
            dialect: "directus",
            all: "/items/contacts",
            one: "/items/contacts/1",
            routes: ["list", "read", "create", "update", "delete", ""],
            rest: "directus: { page: { default: 5, max: 50 }, texts: exact }\n",
            chosen: "fields=name,accountId.region",
            told: json!({ "data": { "name": "Ann", "accountId": { "region": "north" } } }),
            asked: "?fields=id,organization_id,app_id,name,phone,ssn,accountId,account.region,account.organization_id,account.app_id,\
                    account.id&alias={\"account\":\"accountId\"}",
            name: "fields=name",
            plain: "?fields=id,organization_id,app_id,name,phone,ssn,accountId",
            hidden: ["fields=ssn", "fields=name,nothing", "fields=accountId.secret"],
            other: ["limit=1", "sort=", "filter[name][_eq]=Ann", "filter={}", "meta="],
        },
        Spoken {
            dialect: "pocketbase",
            all: "/api/collections/contacts/records",
            one: "/api/collections/contacts/records/1",
            routes: [
                "list: GET /api/collections/contacts/records",
                "read: \"GET /api/collections/contacts/records/{id}\"",
                "create: POST /api/collections/contacts/records",
                "update: \"PATCH /api/collections/contacts/records/{id}\"",
                "delete: \"DELETE /api/collections/contacts/records/{id}\"",
                "",
            ],
            rest: "pocketbase: { page: { default: 5, max: 50 } }\nbatch: { most: 4 }\n",
            chosen: "fields=name,expand.accountId&expand=accountId",
            told: json!({ "name": "Ann", "expand": { "accountId": named } }),
            asked: "?fields=name,organization_id,app_id,id,accountId,expand.accountId.id,expand.accountId.organization_id,\
                    expand.accountId.app_id,expand.accountId.region&expand=accountId",
            name: "fields=name",
            plain: "?fields=name,organization_id,app_id,id",
            hidden: ["fields=ssn", "fields=name,nothing", "expand=nothing"],
            other: ["perPage=1", "sort=", "filter=name%3D'Ann'", "filter=", "skipTotal=0"],
        },
    ]
}

impl Spoken {
    async fn world(&self) -> World {
        let routes = |routes: &[&str]| {
            let named: Vec<&str> = routes.iter().copied().filter(|route| !route.is_empty()).collect();
            match named.iter().all(|route| !route.contains(' ')) {
                true => format!(" [{}]", named.join(", ")),
                false => named.iter().map(|route| format!("\n      {route}")).collect(),
            }
        };
        let of_accounts: Vec<String> =
            self.routes[..2].iter().map(|route| route.replace("contacts", "accounts")).collect();
        let of_accounts: Vec<&str> = of_accounts.iter().map(String::as_str).collect();
        let key = if self.dialect == "pocketbase" { "string" } else { "int" };
        let api = format!(
            "api: crm\nupstream: crm\ndialect: {}\n{}tables:\n  accounts:\n    key: id\n    tenant: {{ organization_id: organization_id, app_id: app_id }}\n    \
             routes:{}\n    fields: {{ id: {key}, organization_id: string, app_id: string, region: string, secret: {{ type: string, tags: [secret] }} }}\n  \
             contacts:\n    key: id\n    race: accept\n    tenant: {{ organization_id: organization_id, app_id: app_id }}\n    routes:{}\n    \
             fields:\n      id: {key}\n      organization_id: string\n      app_id: string\n      name: string\n      phone: {{ type: string, default: \"\" }}\n      \
             ssn: {{ type: string, default: \"\", tags: [secret] }}\n      accountId: {{ type: {key}, nullable: true, default: null }}\n      \
             account: {{ table: accounts, by: accountId }}\n",
            self.dialect,
            self.rest,
            routes(&of_accounts),
            routes(&self.routes),
        );
        let policy = if self.routes[5].is_empty() { CONTACTS.replace(", archive", "") } else { CONTACTS.to_owned() };
        let setup = Setup { api, ..Setup::default() }.policy("accounts", ACCOUNTS).policy("contacts", &policy);
        let world = setup.start().await;
        let (dialect, batch) = (self.dialect, self.batch());
        world.upstream.answers(move |seen| Some(answer(dialect, seen, batch)));
        world
    }

    fn batch(&self) -> &'static str {
        if self.dialect == "odata" { "/svc/$batch" } else { "/api/batch" }
    }

    /// The record in an answer, as this server wraps it.
    fn wrapped(&self, record: Value) -> Value {
        if self.dialect == "directus" { json!({ "data": record }) } else { record }
    }
}

/// A contact with whatever was asked for of it, and more.
fn contact(dialect: &str) -> Value {
    let key = |number: u32| if dialect == "pocketbase" { json!(number.to_string()) } else { json!(number) };
    let mut record = json!({
        "id": key(1), "organization_id": "acme", "app_id": "shop", "name": "Ann", "phone": "+15550001234", "ssn": "SECRET-S",
        "accountId": key(3), "odd": "SECRET-O",
    });
    let mut related = account("north");
    related["id"] = key(3);
    match dialect {
        "pocketbase" => record["expand"] = json!({ "accountId": related }),
        _ => record["account"] = related,
    }
    record
}

fn answer(dialect: &str, seen: &Seen, batch: &str) -> Answer {
    let body = if seen.target.contains("accounts") { account("north") } else { contact(dialect) };
    if seen.target == batch {
        let sent: Value = serde_json::from_slice(&seen.body).expect("JSON");
        let parts = sent["requests"].as_array().expect("parts");
        let told = |part: &Value| json!({ "id": part["id"], "status": 200, "body": body });
        let told: Vec<Value> = parts.iter().map(told).collect();
        let told = if dialect == "odata" { json!({ "responses": told }) } else { json!(told) };
        return Answer::json(200, told.to_string());
    }
    let many = seen.method == "POST" && seen.body.starts_with(b"[");
    let body = if many { json!([body, body]) } else { body };
    let status = if seen.method == "POST" { 201 } else { 200 };
    Answer::json(status, if dialect == "directus" { json!({ "data": body }) } else { body }.to_string())
}

/// The writes that reached the upstream, by their targets.
fn written(world: &World) -> Vec<String> {
    let seen = world.upstream.seen();
    seen.iter().filter(|seen| seen.method != "GET").map(|seen| unescaped(&seen.target)).collect()
}

async fn asks(world: &World, role: &str, method: &str, target: &str, body: Option<&str>) -> Response {
    world.upstream.forget();
    let got = world.person("ana", &json!({ "roles": [role] })).send(method, target, body).await;
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    got
}

const CHANGE: Option<&str> = Some(r#"{"name":"Ann"}"#);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_of_a_written_record_is_told_as_a_read_would_and_chosen_by_the_gateway_alone() {
    for spoken in spoken() {
        let world = spoken.world().await;
        for (method, path, status) in [("PATCH", spoken.one, 200), ("POST", spoken.all, 201)] {
            let told = format!("{} {method}", spoken.dialect);
            let got = asks(&world, "rep", method, &format!("{path}?{}", spoken.chosen), CHANGE).await;
            assert_eq!((got.status, got.json()), (status, spoken.told.clone()), "{told}");
            assert_eq!(written(&world), [format!("{path}{}", spoken.asked)], "{told}");
            let (_, outcome) = world.last_audit().await;
            assert_eq!(outcome["result"], "allowed", "{told}");

            let got = asks(&world, "rep", method, &format!("{path}?{}", spoken.name), CHANGE).await;
            assert_eq!((got.status, got.json()), (status, spoken.wrapped(json!({ "name": "Ann" }))), "{told}");
            assert_eq!(written(&world), [format!("{path}{}", spoken.plain)], "{told}");
            // A field that is masked is masked.
            let masked = spoken.name.replace("name", "phone");
            let got = asks(&world, "rep", method, &format!("{path}?{masked}"), CHANGE).await;
            assert_eq!(got.json(), spoken.wrapped(json!({ "phone": "***1234" })), "{told}");
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_refused_as_in_a_read_before_anything_is_looked_at() {
    for spoken in spoken() {
        let world = spoken.world().await;
        let mut texts = Vec::new();
        for query in spoken.hidden {
            texts.push(asks(&world, "rep", "GET", &format!("{}?{query}", spoken.one), None).await.told());
            for (method, path) in
                [("PATCH", spoken.one), ("POST", spoken.all), ("PATCH", &spoken.one.replace('1', "99"))]
            {
                let got = asks(&world, "rep", method, &format!("{path}?{query}"), CHANGE).await;
                let (_, outcome) = world.last_audit().await;
                assert_eq!(
                    (got.status, &outcome["reason"]),
                    (400, &json!("query_not_allowed")),
                    "{method} {path} {query}"
                );
                // The operator is told which.
                if query == spoken.hidden[0] {
                    assert_eq!(outcome["refused_for"], "ssn", "{method} {path} {query}");
                }
                assert!(world.upstream.lines().is_empty(), "{method} {path} {query}: {:?}", world.upstream.lines());
                texts.push(got.told());
            }
        }
        // What chooses nothing of one record, and anything at all of one that is to be gone.
        for (method, path, query, body) in spoken
            .other
            .iter()
            .flat_map(|query| [("PATCH", spoken.one, *query, CHANGE), ("POST", spoken.all, *query, CHANGE)])
            .chain([("DELETE", spoken.one, spoken.name, None), ("DELETE", spoken.one, spoken.chosen, None)])
        {
            let got = asks(&world, "rep", method, &format!("{path}?{query}"), body).await;
            assert!(world.upstream.lines().is_empty(), "{method} {path} {query}: {:?}", world.upstream.lines());
            texts.push(got.told());
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{}: {texts:?}", spoken.dialect);
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_chooses_nothing_and_who_may_not_write_is_told_so() {
    for spoken in spoken() {
        let world = spoken.world().await;
        let target = format!("{}?{}", spoken.one, spoken.name);
        // They write, but read no record: each name is as good as any other.
        let hidden = asks(&world, "analyst", "PATCH", &format!("{}?{}", spoken.one, spoken.hidden[0]), CHANGE).await;
        let known = asks(&world, "analyst", "PATCH", &target, CHANGE).await;
        assert_eq!((known.status, known.told()), (400, hidden.told()), "{}", spoken.dialect);
        assert!(world.upstream.lines().is_empty());
        assert_eq!(asks(&world, "analyst", "PATCH", spoken.one, CHANGE).await.status, 204, "{}", spoken.dialect);
        // They read, but write none: what they may read of it is no secret, what they may not is.
        let refused = asks(&world, "manager", "PATCH", spoken.one, CHANGE).await;
        let known = asks(&world, "manager", "PATCH", &target, CHANGE).await;
        assert_eq!((known.status, known.told()), (403, refused.told()), "{}", spoken.dialect);
        let got = asks(&world, "manager", "PATCH", &format!("{}?{}", spoken.one, spoken.hidden[0]), CHANGE).await;
        assert_eq!((got.status, got.text()), (400, hidden.text()), "{}", spoken.dialect);
        assert!(world.upstream.lines().is_empty());
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_batches_and_actions_of_the_apis_own_are_told_so_too() {
    for spoken in spoken().into_iter().filter(|spoken| spoken.dialect != "directus") {
        let world = spoken.world().await;
        if spoken.dialect == "rest" {
            let two = Some(r#"[{"name":"Ann"},{"name":"Ann"}]"#);
            let got = asks(&world, "rep", "POST", &format!("/contacts?{}", spoken.chosen), two).await;
            assert_eq!((got.status, got.json()), (201, json!([spoken.told, spoken.told])));
            assert_eq!(written(&world), ["/contacts"]);
            let got = asks(&world, "rep", "POST", "/contacts?fields=ssn", two).await;
            assert_eq!((got.status, world.upstream.lines().len()), (400, 0));
            let got = asks(&world, "rep", "POST", "/contacts/1/archive?fields=name", None).await;
            assert_eq!((got.status, got.json()), (200, json!({ "name": "Ann" })));
            assert_eq!(written(&world), ["/contacts/1/archive"]);
        } else {
            let one = if spoken.dialect == "odata" { "contacts(1)" } else { spoken.one };
            let part = |query: &str, number: u32| json!({ "id": number.to_string(), "atomicityGroup": "g", "method": "PATCH", "url": format!("{one}?{query}"), "body": { "name": "Ann" } });
            let plain = |mut part: Value| {
                if spoken.dialect == "pocketbase" {
                    let members = part.as_object_mut().expect("an object");
                    members.remove("id");
                    members.remove("atomicityGroup");
                }
                part
            };
            let batch =
                |parts: Vec<Value>| json!({ "requests": parts.into_iter().map(plain).collect::<Vec<_>>() }).to_string();
            let got = asks(&world, "rep", "POST", spoken.batch(), Some(&batch(vec![part(spoken.chosen, 1)]))).await;
            let told = got.json();
            let told = if spoken.dialect == "odata" { told["responses"][0].clone() } else { told[0].clone() };
            assert_eq!(
                (got.status, &told["status"], &told["body"]),
                (200, &json!(200), &spoken.told),
                "{}",
                spoken.dialect
            );
            let seen = world.upstream.seen();
            let sent: Value = serde_json::from_slice(&seen.last().expect("a batch").body).expect("JSON");
            let url = unescaped(sent["requests"][0]["url"].as_str().expect("a target"));
            assert_eq!(url, format!("{one}{}", spoken.asked));
            for query in [spoken.hidden[0], spoken.other[0]] {
                let got = asks(&world, "rep", "POST", spoken.batch(), Some(&batch(vec![part(query, 1)]))).await;
                let (_, outcome) = world.last_audit().await;
                assert_eq!(
                    (got.status, &outcome["reason"]),
                    (400, &json!("query_not_allowed")),
                    "{} {query}",
                    spoken.dialect
                );
                assert!(world.upstream.lines().is_empty(), "{:?}", world.upstream.lines());
            }
        }
        world.gateway.shutdown().await;
    }
}
