//! The Directus dialect through a whole gateway: what the server is asked, and what of its related records, counts and
//! columns reaches a client. That a real server means the same is held by `tests/e2e/directus`.

use serde_json::{Value, json};

use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: directus
directus: { page: { default: 5, max: 50 }, texts: exact }
tables:
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields:
      id: int
      organization_id: string
      app_id: string
      region: string
      secret: { type: string, tags: [secret] }
      contacts: { table: contacts, many: true }
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
      accountId: { type: int, nullable: true }
      account: { table: accounts, by: accountId }
"#;

const ACCOUNTS: &str = "table: accounts
grants:
  - { name: north, roles: [rep], actions: [list, read], rows: record.region == 'north', read: { clear: all } }
";

const CONTACTS: &str = "table: contacts
grants:
  - { name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: all } }
  - { name: named, roles: [analyst], actions: [list, read], rows: record.name == 'Ann', read: { clear: [id, name] } }
  - name: northern
    roles: [manager]
    actions: [list, read, update]
    rows: record.account.region == 'north'
    read: { clear: [id, name, accountId] }
    write: [name, accountId]
    check: after.name != 'nobody'
";

async fn world(api: String) -> World {
    let setup = Setup { api, ..Setup::default() };
    setup.policy("accounts", ACCOUNTS).policy("contacts", CONTACTS).start().await
}

fn account(id: u32, organization: &str, region: &str) -> Value {
    json!({ "id": id, "organization_id": organization, "app_id": "shop", "region": region, "secret": "SECRET-A", "odd": "SECRET-O" })
}

/// A contact as the server answers where the account is asked for beside its column.
fn contact(id: u32, parent: Option<&Value>) -> Value {
    json!({
        "id": id, "organization_id": "acme", "app_id": "shop", "name": "Ann", "odd": "SECRET-O",
        "accountId": parent.map_or(Value::Null, |parent| parent["id"].clone()), "account": parent.cloned(),
    })
}

fn page(data: &[Value]) -> Answer {
    Answer::json(200, json!({ "meta": { "total_count": 999, "filter_count": data.len() }, "data": data }).to_string())
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

const OWN: &str = r#"{"_and":[{"organization_id":{"_eq":"acme"}},{"app_id":{"_eq":"shop"}}]}"#;
const COLUMNS: &str = "id,organization_id,app_id,name,accountId";

#[tokio::test(flavor = "multi_thread")]
async fn a_related_record_takes_its_columns_place_as_its_own_policy_shows_it() {
    let world = world(API.to_owned()).await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let (north, south, foreign) =
        (account(1, "acme", "north"), account(2, "acme", "south"), account(3, "globex", "north"));
    let rows = [Some(&north), Some(&south), Some(&foreign), None];
    let rows: Vec<Value> = (1..).zip(rows).map(|(id, parent)| contact(id, parent)).collect();
    world.upstream.answers(move |_| Some(page(&rows)));

    let got = client.get("/items/contacts?fields=*,accountId.*&meta=*").await;
    assert_eq!(got.status, 200, "{}", got.text());
    let own = |id: u32, account: Value| json!({ "id": id, "organization_id": "acme", "app_id": "shop", "name": "Ann", "accountId": account });
    let shown = json!({ "id": 1, "organization_id": "acme", "app_id": "shop", "region": "north" });
    let data = [own(1, shown), own(2, Value::Null), own(3, Value::Null), own(4, Value::Null)];
    assert_eq!(
        got.json(),
        json!({ "meta": { "filter_count": 4 }, "data": data }),
        "of all records there are it tells nothing"
    );
    let seen = world.upstream.seen();
    let asked = |name| parameter(&seen[0], name);
    assert_eq!(asked("filter").as_deref(), Some(OWN));
    let related = "account.id,account.organization_id,account.app_id,account.region";
    assert_eq!(asked("fields"), Some(format!("{COLUMNS},{related}")));
    assert_eq!(asked("alias").as_deref(), Some(r#"{"account":"accountId"}"#));
    assert_eq!((asked("limit").as_deref(), asked("meta").as_deref()), (Some("5"), Some("filter_count")));
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["result"], "allowed");

    let got = client.get("/items/contacts?fields=name,accountId.region").await;
    let named = |account: Value| json!({ "name": "Ann", "accountId": account });
    let data = [named(json!({ "region": "north" })), named(Value::Null), named(Value::Null), named(Value::Null)];
    assert_eq!(got.json()["data"], json!(data), "what was chosen of it");

    // Where nothing is asked for, the column holds its key.
    let got = client.get("/items/contacts?fields=accountId").await;
    assert_eq!(
        got.json()["data"],
        json!([{ "accountId": 1 }, { "accountId": 2 }, { "accountId": 3 }, { "accountId": null }])
    );
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_read_of_related_records_leaves_no_trace() {
    let world = world(API.to_owned()).await;
    let (north, south) = (account(1, "acme", "north"), account(2, "acme", "south"));
    let rows = [contact(1, Some(&north)), contact(2, Some(&south)), contact(3, None)];
    world.upstream.answers(move |_| Some(page(&rows)));
    let manager = world.person("mia", &json!({ "roles": ["manager"] }));
    let got = manager.get("/items/contacts?meta=filter_count").await;
    let expected = json!({ "meta": {}, "data": [{ "id": 1, "name": "Ann", "accountId": 1 }] });
    assert_eq!(got.json(), expected, "rows came that were not asked for, so nothing is counted");
    let seen = world.upstream.seen();
    assert_eq!(parameter(&seen[0], "alias").as_deref(), Some(r#"{"account":"accountId"}"#));
    let filter = parameter(&seen[0], "filter").expect("a filter");
    assert!(filter.ends_with(r#",{"accountId":{"region":{"_eq":"north"}}}]}"#), "{filter}");
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 2.0);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_many_lists_are_asked_for_whole_and_lose_what_may_not_be_seen() {
    let world = world(API.to_owned()).await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let mut foreign = contact(8, None);
    foreign["organization_id"] = json!("globex");
    let mut north = account(1, "acme", "north");
    north["contacts"] = json!([contact(7, None), foreign, contact(9, None)]);
    world.upstream.answers(move |_| Some(page(&[north.clone()])));
    let got = client.get("/items/accounts?fields=id,contacts.id").await;
    assert_eq!(got.json()["data"], json!([{ "id": 1, "contacts": [{ "id": 7 }, { "id": 9 }] }]), "{}", got.text());
    let seen = world.upstream.seen();
    assert_eq!(
        parameter(&seen[0], "deep").as_deref(),
        Some(r#"{"contacts":{"_limit":-1,"_alias":{"account":"accountId"}}}"#)
    );
    for keys in ["[7,8,9]", "[7,{\"id\":8}]", "8", "{\"id\":8}", "null"] {
        let answer = format!(
            r#"{{"data":[{{"id":1,"organization_id":"acme","app_id":"shop","region":"north","contacts":{keys}}}]}}"#
        );
        world.upstream.answers(move |_| Some(Answer::json(200, answer.clone())));
        let got = client.get("/items/accounts?fields=id,contacts.id").await;
        assert_eq!(got.json()["data"], json!([{ "id": 1 }]), "{keys}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_in_the_place_of_a_related_record_show_nothing() {
    let world = world(API.to_owned()).await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let north = account(1, "acme", "north");
    let own = r#""id":1,"organization_id":"acme","app_id":"shop","name":"Ann","accountId":1"#;
    for (odd, status) in [
        (r#","account":1"#.to_owned(), 200),
        (r#","account":"SECRET""#.to_owned(), 200),
        (r#","account":["SECRET"]"#.to_owned(), 200),
        (String::new(), 200),
        (format!(r#","account":{north},"account":{north}"#), 502),
        (format!(r#","account":{north},"accountId":1"#), 502),
        (format!(r#","account":{north},"acc\u006funt":null"#), 502),
    ] {
        let answer = format!(r#"{{"data":{{{own}{odd}}}}}"#);
        world.upstream.answers(move |_| Some(Answer::json(200, answer.clone())));
        let got = client.get("/items/contacts/1?fields=id,accountId.*").await;
        assert_eq!(got.status, status, "{odd}: {}", got.text());
        if status == 200 {
            assert_eq!(got.json(), json!({ "data": { "id": 1 } }), "{odd}");
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_judged_never_reaches_the_server() {
    let world = world(API.to_owned()).await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let refused = client.get("/items/contacts?sort=nothing").await;
    for query in [
        "filter=%7B%22accountId%22:%7B%22secret%22:%7B%22_eq%22:%22x%22%7D%7D%7D",
        "filter[accountId][secret][_starts_with]=S",
        "filter[name][_eq]=$CURRENT_USER",
        "filter[name][_eq]=a&filter=%7B%7D",
        "filter[account][_null]=true",
        "fields=accountId.secret",
        "fields=accountId.contacts.nothing",
        "fields=accountId.contacts.accountId.secret",
        "fields=*.secret",
        "fields=*.*,secret",
        "alias[name]=odd",
        "deep[accountId][_filter][secret][_eq]=x",
        "aggregate[count]=*",
        "groupBy=name",
        "search=SECRET",
        "export=csv",
        "version=draft",
        "limit=-1",
        "meta=total_count",
        "access_token=x",
    ] {
        let got = client.get(&format!("/items/contacts?{query}")).await;
        let bodies = [&got, &refused]
            .map(|answer| (answer.status, answer.json()["code"].clone(), answer.json()["detail"].clone()));
        assert_eq!(bodies[0], bodies[1], "{query}");
        assert_eq!(got.status, 400, "{query}");
    }
    for (method, path) in [
        ("GET", "/graphql"),
        ("GET", "/items/directus_users"),
        ("POST", "/utils/export/contacts"),
        ("PATCH", "/items/contacts"),
        ("GET", "/fields/contacts"),
    ] {
        assert_eq!(client.send(method, path, None).await.status, 404, "{method} {path}");
    }
    assert!(world.upstream.seen().is_empty());
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_holds_no_records_and_is_judged_by_those_it_points_to() {
    let world = world(API.to_owned()).await;
    let manager = world.person("mia", &json!({ "roles": ["manager", "rep"] }));
    let (north, south) = (account(1, "acme", "north"), account(2, "acme", "south"));
    let answer = move |seen: &Seen| {
        let path = seen.target.split('?').next().expect("a path");
        let data = match path {
            "/items/contacts/1" => contact(1, Some(&north)),
            "/items/contacts/2" => contact(2, Some(&south)),
            "/items/accounts/1" => north.clone(),
            "/items/accounts/2" => south.clone(),
            _ => return None,
        };
        Some(Answer::json(200, json!({ "data": data }).to_string()))
    };
    world.upstream.answers(answer);
    for (key, body, status) in [
        (1, json!({ "name": "Bea" }), 200),
        (1, json!({ "accountId": 1 }), 200),
        (1, json!({ "accountId": null }), 200),
        (1, json!({ "accountId": 2 }), 403),
        (1, json!({ "accountId": 9 }), 403),
        (2, json!({ "name": "Bea" }), 403),
        (1, json!({ "accountId": { "id": 1, "region": "south" } }), 400),
        (1, json!({ "accountId": [1] }), 400),
        (1, json!({ "account": { "region": "south" } }), 403),
        (1, json!([{ "name": "Bea" }]), 400),
    ] {
        world.upstream.forget();
        let got = manager.send("PATCH", &format!("/items/contacts/{key}"), Some(&body.to_string())).await;
        let (_, outcome) = world.last_audit().await;
        assert_eq!(got.status, status, "{key} {body}: {outcome}");
        let written: Vec<Seen> = world.upstream.seen().into_iter().filter(|seen| seen.method == "PATCH").collect();
        assert_eq!(written.len(), usize::from(status == 200), "{key} {body}");
        if let [write] = &*written {
            assert_eq!(serde_json::from_slice::<Value>(&write.body).expect("JSON"), body);
            assert!(parameter(write, "fields").expect("columns").starts_with(COLUMNS), "never all there are");
            assert!(!got.text().contains("SECRET") && !got.text().contains("account\""), "{}", got.text());
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_server_forbids_is_one_that_is_not_there() {
    let world = world(API.to_owned()).await;
    let manager = world.person("mia", &json!({ "roles": ["manager", "rep"] }));
    let mut foreign = contact(3, None);
    foreign["organization_id"] = json!("globex");
    let own = contact(1, Some(&account(1, "acme", "north")));
    world.upstream.answers(move |seen| {
        let forbidden = json!({ "errors": [{ "extensions": { "code": "FORBIDDEN" } }] });
        Some(match seen.target.split('?').next() {
            Some("/items/contacts/1") => Answer::json(200, json!({ "data": own }).to_string()),
            Some("/items/contacts/3") => Answer::json(200, json!({ "data": foreign }).to_string()),
            _ => Answer::json(403, forbidden.to_string()),
        })
    });
    for (method, body) in [("GET", None), ("PATCH", Some(r#"{"name":"Bea"}"#))] {
        let (hidden, nobody) = (
            manager.send(method, "/items/contacts/3", body).await,
            manager.send(method, "/items/contacts/99", body).await,
        );
        assert_eq!((hidden.status, hidden.text()), (404, nobody.text()), "{method}");
        assert_eq!(nobody.status, 404, "{method}");
    }
    let got = manager.send("PATCH", "/items/contacts/1", Some(r#"{"accountId":99}"#)).await;
    assert_eq!(got.status, 403, "a reference that isn't there is one that may not be read: {}", got.text());
    assert_eq!(manager.get("/items/contacts").await.status, 502, "of a list it is a failure");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_filter_shows_nothing_and_is_counted() {
    let world = world(API.to_owned()).await;
    let mut foreign = contact(2, None);
    foreign["organization_id"] = json!("globex");
    foreign["name"] = json!("SECRET");
    let mut other = contact(3, None);
    other["name"] = json!("Bob");
    world.upstream.answers(move |_| Some(page(&[contact(1, None), foreign.clone(), other.clone()])));
    let client = world.person("lou", &json!({ "roles": ["analyst"] }));
    let got = client.get("/items/contacts?meta=*").await;
    let expected = json!({ "meta": {}, "data": [{ "id": 1, "name": "Ann" }] });
    assert_eq!(got.json(), expected, "and no count of what was dropped");
    assert_eq!(world.metric("scrim_tenant_violations_total").await, 1.0);
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 2.0);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_folds_letters_is_trusted_with_neither_tenants_nor_counts() {
    let world = world(API.replace(", texts: exact", "")).await;
    let mut upper = contact(2, None);
    upper["organization_id"] = json!("ACME");
    let mut odd = contact(3, None);
    odd["name"] = json!("ANN");
    world.upstream.answers(move |_| Some(page(&[contact(1, None), upper.clone(), odd.clone()])));
    let client = world.person("lou", &json!({ "roles": ["analyst"] }));
    let got = client.get("/items/contacts?meta=*").await;
    assert_eq!(got.json(), json!({ "data": [{ "id": 1, "name": "Ann" }] }));
    let seen = world.upstream.seen();
    assert_eq!((parameter(&seen[0], "meta"), parameter(&seen[0], "limit").as_deref()), (None, Some("50")));
    assert!(
        parameter(&seen[0], "filter").expect("a filter").contains(r#"{"name":{"_eq":"Ann"}}"#),
        "more is asked for than is meant"
    );
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 0.0, "nobody promised anything");
    world.gateway.shutdown().await;
}
