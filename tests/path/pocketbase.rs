//! The PocketBase dialect through a whole gateway: what the server is asked, and what of its containers, totals and dates
//! reaches a client. That a real server means the same is held by `tests/e2e/pocketbase`.

use serde_json::{Value, json};

use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: pocketbase
pocketbase: { page: { default: 5, max: 50 } }
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /api/collections/accounts/records, read: "GET /api/collections/accounts/records/{id}" }
    fields: { id: string, organization_id: string, app_id: string, region: string, secret: { type: string, tags: [secret] } }
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes:
      list: GET /api/collections/contacts/records
      read: "GET /api/collections/contacts/records/{id}"
      update: "PATCH /api/collections/contacts/records/{id}"
    fields:
      id: string
      organization_id: string
      app_id: string
      name: string
      seen_at: { type: timestamp, nullable: true }
      account: { type: string, nullable: true }
      parent: { table: accounts, by: account }
"#;

const ACCOUNTS: &str = "table: accounts
grants:
  - { name: north, roles: [rep], actions: [list, read], rows: record.region == 'north', read: { clear: all } }
";

const CONTACTS: &str = "table: contacts
grants:
  - { name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: all } }
  - { name: unseen, roles: [support], actions: [list, read], rows: record.seen_at == null, read: { clear: [id, name] } }
  - { name: named, roles: [analyst], actions: [list, read], rows: 'record.name.contains(\"a\")', read: { clear: [id, name] } }
  - name: northern
    roles: [manager]
    actions: [list, read, update]
    rows: record.parent.region == 'north'
    read: { clear: [id, name] }
    write: [name, account]
    check: after.name != 'nobody'
";

async fn world() -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    setup.policy("accounts", ACCOUNTS).policy("contacts", CONTACTS).start().await
}

fn account(id: &str, organization: &str, region: &str) -> Value {
    json!({ "collectionId": "c1", "id": id, "organization_id": organization, "app_id": "shop", "region": region, "secret": "SECRET-A" })
}

fn contact(id: &str, parent: Option<Value>) -> Value {
    let mut record = json!({
        "collectionId": "c2", "collectionName": "contacts", "id": id, "organization_id": "acme", "app_id": "shop", "name": "Ann",
        "seen_at": "", "account": parent.as_ref().map_or(json!(""), |parent| parent["id"].clone()),
    });
    if let (Some(parent), Some(record)) = (parent, record.as_object_mut()) {
        record.insert("expand".to_owned(), json!({ "account": parent, "other": { "secret": "SECRET-O" } }));
    }
    record
}

fn page(items: &[Value]) -> Answer {
    let body = json!({ "items": items, "page": 1, "perPage": 5, "totalItems": items.len(), "totalPages": 1 });
    Answer::json(200, body.to_string())
}

/// A parameter of a request, unescaped.
fn parameter(seen: &Seen, name: &str) -> Option<String> {
    let (_, query) = seen.target.split_once('?')?;
    let (_, text) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?;
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).expect("a digit") as u8;
        bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
    }
    String::from_utf8(bytes).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_holds_what_the_other_tables_policy_shows_and_leaves_no_trace_of_the_rest() {
    let world = world().await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let shown = [
        contact("c1", Some(account("a1", "acme", "north"))),
        contact("c2", Some(account("a2", "acme", "south"))),
        contact("c3", Some(account("a3", "globex", "north"))),
        contact("c4", None),
    ];
    world.upstream.answers(move |_| Some(page(&shown)));
    let got = client.get("/api/collections/contacts/records?expand=account").await;
    assert_eq!(got.status, 200, "{}", got.text());
    let own = |id: &str, account: &str| json!({ "id": id, "organization_id": "acme", "app_id": "shop", "name": "Ann", "seen_at": "", "account": account });
    let mut first = own("c1", "a1");
    first["expand"] =
        json!({ "account": { "id": "a1", "organization_id": "acme", "app_id": "shop", "region": "north" } });
    let items = [first, own("c2", "a2"), own("c3", "a3"), own("c4", "")];
    assert_eq!(got.json(), json!({ "items": items, "page": 1, "perPage": 5, "totalItems": 4, "totalPages": 1 }));
    let seen = world.upstream.seen();
    let asked = |name| parameter(&seen[0], name);
    assert_eq!(asked("filter").as_deref(), Some("(organization_id='acme' && app_id='shop')"));
    assert_eq!((asked("expand").as_deref(), asked("perPage").as_deref()), (Some("account"), Some("5")));
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["result"], "allowed");

    // Nothing was asked for, so there is no container at all.
    let got = client.get("/api/collections/contacts/records?fields=id").await;
    let ids: Vec<Value> = ["c1", "c2", "c3", "c4"].map(|id| json!({ "id": id })).into();
    assert_eq!(got.json()["items"], json!(ids));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_or_a_relation_that_comes_twice_fails_the_answer() {
    let world = world().await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let north = account("a1", "acme", "north");
    let own = r#""id":"c1","organization_id":"acme","app_id":"shop","name":"Ann","seen_at":"","account":"a1""#;
    for doubled in [
        format!(r#"{{{own},"expand":{{"account":{north}}},"expand":{{"account":{north}}}}}"#),
        format!(r#"{{{own},"expand":{{"account":{north},"account":{north}}}}}"#),
        format!(r#"{{{own},"expand":{{"account":{north}}},"parent":{north}}}"#),
        format!(r#"{{{own},"expand":{{"account":{north}}},"expand":{{"other":{north}}}}}"#),
        format!(r#"{{{own},"expand":{{}},"expand":null}}"#),
        format!(r#"{{{own},"expand":{{"account":{north}}},"\u0065xpand":{{"acc\u006funt":{north}}}}}"#),
    ] {
        let answer = Answer::json(200, doubled.clone());
        world.upstream.answers(move |_| Some(answer.clone()));
        let got = client.get("/api/collections/contacts/records/c1?expand=account").await;
        assert_eq!(got.status, 502, "{doubled}: {}", got.text());
    }
    for (odd, status) in
        [("[]", 200), ("\"x\"", 200), ("null", 200), ("{\"account\":[1]}", 200), ("{\"account\":}", 502)]
    {
        let answer = Answer::json(200, format!(r#"{{{own},"expand":{odd}}}"#));
        world.upstream.answers(move |_| Some(answer.clone()));
        let got = client.get("/api/collections/contacts/records/c1?expand=account").await;
        assert_eq!(got.status, status, "{odd}: {}", got.text());
        assert!(!got.text().contains("expand"), "{odd}: {}", got.text());
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_read_dates_that_are_empty_and_records_that_are_in_the_container() {
    let world = world().await;
    let never = contact("c1", None);
    let mut seen_once = contact("c2", None);
    seen_once["seen_at"] = json!("2025-03-01 00:00:00.000Z");
    world.upstream.answers(move |_| Some(page(&[never.clone(), seen_once.clone()])));
    let support = world.person("sue", &json!({ "roles": ["support"] }));
    let got = support.get("/api/collections/contacts/records").await;
    assert_eq!(got.json()["items"], json!([{ "id": "c1", "name": "Ann" }]));
    let filter = parameter(&world.upstream.seen()[0], "filter");
    assert_eq!(filter.as_deref(), Some("((organization_id='acme' && app_id='shop') && seen_at=null)"));
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 1.0, "the second was not asked for");

    // What only the gateway asked for leaves no trace.
    let manager = world.person("mia", &json!({ "roles": ["manager"] }));
    let rows =
        [contact("c1", Some(account("a1", "acme", "north"))), contact("c2", Some(account("a2", "acme", "south")))];
    world.upstream.answers(move |_| Some(page(&rows)));
    world.upstream.forget();
    let got = manager.get("/api/collections/contacts/records?page=1&perPage=5").await;
    assert_eq!(got.json()["items"], json!([{ "id": "c1", "name": "Ann" }]));
    let seen = world.upstream.seen();
    let filter = parameter(&seen[0], "filter");
    let tenant = "(organization_id='acme' && app_id='shop')";
    let expected = format!("({tenant} && (account.id!=null && account.region='north'))");
    assert_eq!(filter, Some(expected), "the server can say what the rule says");
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 2.0, "and doesn't do it here");
    assert_eq!(parameter(&seen[0], "expand").as_deref(), Some("account"));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_judged_by_the_records_that_it_points_to() {
    let world = world().await;
    let manager = world.person("mia", &json!({ "roles": ["manager", "rep"] }));
    let (north, south) = (account("a1", "acme", "north"), account("a2", "acme", "south"));
    let answer = move |seen: &Seen| {
        let path = seen.target.split('?').next().expect("a path");
        Some(Answer::json(
            200,
            match path.rsplit('/').next().expect("a key") {
                "c1" => contact("c1", Some(north.clone())).to_string(),
                "c2" => contact("c2", Some(south.clone())).to_string(),
                "a1" => north.to_string(),
                "a2" => south.to_string(),
                _ => return None,
            },
        ))
    };
    world.upstream.answers(answer);
    for (key, body, status) in [
        ("c1", json!({ "name": "Bea" }), 200),
        ("c1", json!({ "account": "a1" }), 200),
        ("c1", json!({ "account": "" }), 200),
        ("c1", json!({ "account": null }), 200),
        ("c1", json!({ "account": "a2" }), 403),
        ("c1", json!({ "account": "a9" }), 403),
        ("c2", json!({ "name": "Bea" }), 403),
        ("c1", json!({ "seen_at": "" }), 403),
        ("c1", json!({ "expand": {} }), 403),
        ("c1", json!({ "name+": "x" }), 403),
    ] {
        world.upstream.forget();
        let got =
            manager.send("PATCH", &format!("/api/collections/contacts/records/{key}"), Some(&body.to_string())).await;
        let (_, outcome) = world.last_audit().await;
        assert_eq!(got.status, status, "{key} {body}: {outcome}");
        let written: Vec<Seen> = world.upstream.seen().into_iter().filter(|seen| seen.method == "PATCH").collect();
        assert_eq!(written.len(), usize::from(status == 200), "{key} {body}");
        if let [write] = &*written {
            assert_eq!(serde_json::from_slice::<Value>(&write.body).expect("JSON"), body);
            assert!(!got.text().contains("SECRET"), "{}", got.text());
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_a_list_is_one_that_its_writer_may_read() {
    let parent = "      parent: { table: accounts, by: account }\n";
    let columns = "      others: { type: list(string), nullable: true, keys_of: accounts }\n      \
                   chief: { type: string, nullable: true, keys_of: accounts }\n";
    let api = API.replace(parent, &format!("{parent}{columns}"));
    let policy = CONTACTS.replace("write: [name, account]", "write: [name, account, others, chief]");
    let setup = Setup { api, ..Setup::default() };
    let world = setup.policy("accounts", ACCOUNTS).policy("contacts", &policy).start().await;
    let manager = world.person("mia", &json!({ "roles": ["manager", "rep"] }));
    let mut foreign = account("a3", "globex", "north");
    foreign["organization_id"] = json!("globex");
    let known =
        [account("a1", "acme", "north"), account("a2", "acme", "south"), foreign, account("a4", "acme", "north")];
    let first = known[0].clone();
    world.upstream.answers(move |seen| {
        let key = seen.target.split('?').next()?.rsplit('/').next()?;
        let found = known.iter().find(|account| account["id"] == key).cloned();
        let found = found.or_else(|| (key == "c1").then(|| contact("c1", Some(first.clone()))))?;
        Some(Answer::json(200, found.to_string()))
    });
    let many: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
    let mut refusals = std::collections::BTreeSet::new();
    for (body, status) in [
        (json!({ "others": ["a1", "a4"] }), 200),
        (json!({ "others": [] }), 200),
        (json!({ "others": null }), 200),
        (json!({ "chief": "a4" }), 200),
        (json!({ "others": ["a1", "a2"] }), 403),
        (json!({ "others": ["a3"] }), 403),
        (json!({ "others": ["a9"] }), 403),
        (json!({ "chief": "a2" }), 403),
        (json!({ "chief": "a3" }), 403),
        (json!({ "chief": "a9" }), 403),
        (json!({ "others": ["../users/u1"] }), 400),
        (json!({ "others": many }), 413),
    ] {
        world.upstream.forget();
        let got = manager.send("PATCH", "/api/collections/contacts/records/c1", Some(&body.to_string())).await;
        let (_, outcome) = world.last_audit().await;
        assert_eq!(got.status, status, "{body}: {outcome}");
        let written = world.upstream.seen().iter().filter(|seen| seen.method == "PATCH").count();
        assert_eq!(written, usize::from(status == 200), "{body}");
        if status == 403 {
            refusals.insert(got.text());
        }
    }
    assert_eq!(refusals.len(), 1, "hidden, foreign and none are one answer");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_filter_shows_nothing_and_is_counted() {
    let world = world().await;
    let mut foreign = contact("c2", None);
    foreign["organization_id"] = json!("globex");
    foreign["name"] = json!("SECRET");
    world.upstream.answers(move |_| Some(page(&[contact("c1", None), foreign.clone()])));
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let got = client.get("/api/collections/contacts/records").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(!got.text().contains("SECRET") && got.text().contains("c1"), "{}", got.text());
    assert!(!got.text().contains("total"), "a total that counts what was dropped: {}", got.text());
    assert_eq!(world.metric("scrim_tenant_violations_total").await, 1.0);
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 1.0);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_not_folded_by_a_rule_that_the_server_folds_for() {
    let world = world().await;
    let mut upper = contact("c2", None);
    upper["name"] = json!("ANN");
    let mut lower = contact("c1", None);
    lower["name"] = json!("anna");
    world.upstream.answers(move |_| Some(page(&[lower.clone(), upper.clone()])));
    let analyst = world.person("lou", &json!({ "roles": ["analyst"] }));
    let got = analyst.get("/api/collections/contacts/records").await;
    assert_eq!(got.json()["items"], json!([{ "id": "c1", "name": "anna" }]));
    let filter = parameter(&world.upstream.seen()[0], "filter");
    assert_eq!(filter.as_deref(), Some("((organization_id='acme' && app_id='shop') && name~'a')"));
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 0.0, "more was asked for than was meant");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_related_field_is_compared_where_the_related_record_shows_it() {
    let world = world().await;
    world.upstream.answers(move |_| Some(page(&[contact("c1", Some(account("a1", "acme", "north")))])));
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let tenant = "(organization_id='acme' && app_id='shop')";
    let there = "account.id!=null && account.app_id='shop' && account.region='north' && account.organization_id='acme'";
    for (asked, sent) in [
        ("account.region='north'", "account.region='north'"),
        ("account.region!='north'", "account.region!='north'"),
        ("account.region!~'n'", "account.region!~'n'"),
        ("account.region=null", "account.region=null"),
    ] {
        world.upstream.forget();
        let asked = asked.replace('=', "%3D").replace('!', "%21").replace('\'', "%27");
        let got = client.get(&format!("/api/collections/contacts/records?filter={asked}")).await;
        let filter = parameter(&world.upstream.seen()[0], "filter");
        assert_eq!(got.status, 200, "{asked}: {}", got.text());
        assert_eq!(filter, Some(format!("({tenant} && ({sent} && {there}))")), "{asked}");
    }
    world.upstream.forget();
    let either = "/api/collections/contacts/records?filter=name%3D%27x%27%7C%7Caccount.region%3D%27north%27";
    assert_eq!(client.get(either).await.status, 200);
    let filter = parameter(&world.upstream.seen()[0], "filter");
    assert_eq!(filter, Some(format!("({tenant} && (name='x' || (account.region='north' && {there})))")));
    world.upstream.forget();
    let refused = client.get("/api/collections/contacts/records?filter=nothing%3D1").await;
    for (role, query) in [
        ("rep", "filter=account.secret%3D%27x%27"),
        ("rep", "filter=account.nothing%3D%27x%27"),
        ("rep", "filter=parent.region%3D%27north%27"),
        ("rep", "filter=account.region.id%3D%27north%27"),
        ("rep", "sort=account.region"),
        // Whom the relation is not shown to, or the other table not at all.
        ("support", "filter=account.region%3D%27north%27"),
        ("analyst", "filter=account.region%3D%27north%27"),
    ] {
        let client = world.person("ana", &json!({ "roles": [role] }));
        let got = client.get(&format!("/api/collections/contacts/records?{query}")).await;
        assert_eq!((got.status, got.text()), (400, refused.text()), "{role}: {query}");
    }
    assert!(world.upstream.seen().is_empty());
    world.gateway.shutdown().await;
}
