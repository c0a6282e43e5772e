//! An upstream that filters and pages as it is asked, and whole lists through the gateway: every record that may be seen,
//! each once, however the list is paged; and what is told of an upstream that does not do what it was declared to.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::upstream::Seen;
use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

/// A contact's tenant, owner and region.
const TENANTS: [(&str, &str); 3] = [("acme", "shop"), ("globex", "shop"), ("acme", "desk")];
const OWNERS: [&str; 4] = ["ana", "bob", "cay", "dan"];
const REGIONS: [&str; 3] = ["north", "south", "NORTH"];

fn contact(id: usize) -> Value {
    let (organization, app) = TENANTS[id * 7 % 5 % 3];
    json!({
        "id": id, "organization_id": organization, "app_id": app, "owner_id": OWNERS[id * 5 % 4],
        "region": REGIONS[id * 11 % 7 % 3], "name": format!("SECRET-{id}"), "legal_hold": id % 6 == 1,
        "amount": if id.is_multiple_of(5) { Value::Null } else { json!(id * 3 % 17) },
    })
}

fn contacts() -> Vec<Value> {
    (0..90).map(contact).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Pairs of a query, as a server reads them.
fn pairs(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next().expect("two digits"), rest.next().expect("two digits")];
            u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hex")
        } else {
            byte
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Answers a list from the rows; parameters of `ignored` fields mean nothing to it. Several of one name are alternatives.
fn answer(rows: &[Value], seen: &Seen, ignored: &[&str]) -> Answer {
    let pairs = pairs(&seen.target);
    let first = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let passes = |row: &Value, name: &str| {
        let values: Vec<&str> =
            pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        let (field, operator) = name.split_once('[').unwrap_or((name, "eq]"));
        let Some(held) = row.get(field).filter(|_| !ignored.contains(&field)) else { return true };
        values.iter().any(|value| match operator {
            "eq]" => text(held) == *value,
            "ne]" => !held.is_null() && text(held) != *value,
            "gt]" => held.as_f64().is_some_and(|held| held > value.parse().expect("a number")),
            "in]" => value.split(',').any(|value| text(held) == value),
            other => panic!("{other}"),
        })
    };
    let mut found: Vec<&Value> = rows.iter().filter(|row| pairs.iter().all(|(name, _)| passes(row, name))).collect();
    if first("sort") == Some("-id") {
        found.reverse();
    }
    let number = |name: &str, otherwise| first(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let (limit, offset): (usize, usize) = (number("limit", 20), number("offset", 0));
    let page: Vec<&&Value> = found.iter().skip(offset).take(limit).collect();
    Answer::json(200, json!({ "data": page, "meta": { "total": found.len(), "limit": limit } }).to_string())
}

fn api(push: bool) -> String {
    let word = if push { "exact" } else { "loose" };
    API.replace("      owner_id: string\n", &format!("      owner_id: {{ type: string, push: {word} }}\n"))
        .replace("      region: string\n", "      region: { type: string, push: loose }\n")
        .replace(
            "legal_hold: { type: bool, default: false }",
            "legal_hold: { type: bool, default: false, push: exact }",
        )
        .replace("limit: { name: limit, default: 20, max: 50 }", "limit: { name: limit, default: 4, max: 7 }")
}

/// Who sees what: a role, its rows as a condition, and the same once more.
type Oracle = fn(&Value) -> bool;
const GRANTS: [(&str, &str, Oracle); 4] = [
    ("rep", "record.owner_id == principal.id || record.owner_id in principal.reports", |row| {
        ["ana", "cay"].contains(&row["owner_id"].as_str().expect("text"))
    }),
    ("manager", "record.region == 'north' && !record.legal_hold", |row| {
        row["region"] == "north" && row["legal_hold"] == false
    }),
    ("support", "record.owner_id == 'bob' || record.amount > 5", |row| {
        row["owner_id"] == "bob" || row["amount"].as_f64().is_some_and(|amount| amount > 5.0)
    }),
    ("analyst", "true", |_| true),
];

async fn world(push: bool, limits: &str, ignored: &'static [&'static str]) -> World {
    let grants: String = GRANTS
        .iter()
        .map(|(role, rows, _)| {
            let rows = if *rows == "true" { "all" } else { rows };
            format!("  - name: for-{role}\n    roles: [{role}]\n    actions: [list]\n    rows: \"{rows}\"\n    read: {{ clear: [id, owner_id, region] }}\n")
        })
        .collect();
    let setup = Setup { api: api(push), limits: limits.to_owned(), ..Setup::default() };
    let world = setup.policy("contacts", &format!("table: contacts\ngrants:\n{grants}")).start().await;
    let rows = Arc::new(contacts());
    world.upstream.answers(move |seen| seen.target.starts_with("/contacts?").then(|| answer(&rows, seen, ignored)));
    world
}

fn of_tenant(row: &Value) -> bool {
    row["organization_id"] == "acme" && row["app_id"] == "shop"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_list_has_every_visible_record_once_however_it_is_paged() {
    let (mut exact, mut walked) = (0, 0);
    for push in [true, false] {
        let world = world(push, "", &[]).await;
        for (role, _, may_see) in GRANTS {
            let client = world.person("ana", &json!({ "roles": [role], "reports": ["cay"] }));
            let filters: [(&str, Oracle); 5] = [
                ("", |_| true),
                ("&owner_id=ana", |row| row["owner_id"] == "ana"),
                ("&owner_id=bob", |row| row["owner_id"] == "bob"),
                ("&owner_id[in]=bob,cay", |row| row["owner_id"] == "bob" || row["owner_id"] == "cay"),
                ("&region[ne]=north", |row| row["region"] != "north"),
            ];
            for (filter, asked) in filters {
                for (limit, sort) in [(1, ""), (2, "&sort=-id"), (3, ""), (5, "&sort=id"), (7, "&sort=-id")] {
                    let mut expected: Vec<Value> = contacts();
                    expected.retain(|row| of_tenant(row) && may_see(row) && asked(row));
                    if sort == "&sort=-id" {
                        expected.reverse();
                    }
                    let expected: Vec<Value> = expected.iter().map(|row| row["id"].clone()).collect();
                    let (mut found, mut offset) = (Vec::new(), 0);
                    loop {
                        let got = client.get(&format!("/contacts?limit={limit}&offset={offset}{sort}{filter}")).await;
                        assert_eq!(got.status, 200, "{}", got.text());
                        assert!(!got.everything().contains("SECRET"));
                        let body: Value = serde_json::from_slice(&got.body).expect("JSON");
                        let page = body["data"].as_array().expect("a list").clone();
                        match body["meta"]["total"].as_u64() {
                            Some(total) => {
                                exact += 1;
                                assert_eq!(total as usize, expected.len(), "{role} {filter}");
                            }
                            None => walked += 1,
                        }
                        // Only the last page may be short.
                        assert_eq!(page.len(), limit.min(expected.len() - found.len()), "{role} {filter} {limit}");
                        found.extend(page.iter().map(|row| row["id"].clone()));
                        offset += limit;
                        if page.len() < limit {
                            break;
                        }
                    }
                    assert_eq!(found, expected, "{role} {filter} {limit} {sort}");
                }
            }
        }
        assert_eq!(world.metric("scrim_pushdown_leaks_total").await, 0.0);
        assert_eq!(world.metric("scrim_tenant_violations_total").await, 0.0);
        world.gateway.shutdown().await;
    }
    assert!(exact > 100 && walked > 100, "{exact} pages were the upstream's, {walked} the gateway's");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_filter_moves_only_what_is_shown() {
    let mut moved = Vec::new();
    for push in [true, false] {
        let world = world(push, "", &[]).await;
        let client = world.person("ana", &json!({ "roles": ["rep"], "reports": ["cay"] }));
        let got = client.get("/contacts?limit=7").await;
        assert_eq!(got.status, 200, "{}", got.text());
        let (_, outcome) = world.last_audit().await;
        assert_eq!(outcome["rows_dropped"], 0, "both ask for no more than the owners");
        moved.push(outcome["upstream_requests"].as_u64().expect("a number"));
        world.gateway.shutdown().await;
    }
    assert_eq!(moved, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_do_as_declared_is_counted_and_shows_nothing() {
    let world = world(true, "", &["owner_id", "organization_id"]).await;
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let got = client.get("/contacts?limit=7").await;
    assert_eq!(got.status, 200, "{}", got.text());
    let rows: Vec<Value> = contacts().into_iter().filter(|row| row["app_id"] == "shop").take(7).collect();
    let own = |row: &&Value| of_tenant(row) && row["owner_id"] == "ana";
    let shown: Vec<Value> = rows
        .iter()
        .filter(own)
        .map(|row| json!({ "id": row["id"], "owner_id": "ana", "region": row["region"] }))
        .collect();
    let body: Value = serde_json::from_slice(&got.body).expect("JSON");
    assert_eq!(body["data"], json!(shown));
    assert_eq!(body["meta"].get("total"), None, "it counts rows that may not be seen");
    assert_eq!(world.upstream.lines(), ["GET /contacts?organization_id=acme&app_id=shop&owner_id=ana&limit=7"]);
    let foreign = rows.iter().filter(|row| !of_tenant(row)).count();
    let dropped = rows.len() - shown.len();
    assert!(0 < foreign && foreign < dropped, "the case shows both: {foreign} of {dropped}");
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["pushdown_leaks"], dropped);
    assert_eq!(outcome["tenant_violations"], foreign);
    assert_eq!(outcome["pushed"], json!(["owner_id eq"]), "with what is not on record");
    assert_eq!(world.metric("scrim_pushdown_leaks_total").await, dropped as f64);
    assert_eq!(world.metric("scrim_tenant_violations_total").await, foreign as f64);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_limit_cut_says_so() {
    let world = world(false, "refill: 2", &[]).await;
    let client = world.person("ana", &json!({ "roles": ["support"] }));
    let visible = |row: &&Value| GRANTS[2].2(row);
    let own: Vec<Value> = contacts().into_iter().filter(of_tenant).collect();
    // Two of the upstream's pages of seven.
    let reached: Vec<Value> = own.iter().take(14).filter(visible).map(|row| row["id"].clone()).collect();
    let got = client.get("/contacts?limit=7&offset=3").await;
    let page: Value = serde_json::from_slice(&got.body).expect("JSON");
    let found: Vec<Value> = page["data"].as_array().expect("a list").iter().map(|row| row["id"].clone()).collect();
    let cut = reached.len() < 10;
    assert!(cut, "the case is about a page that is not full: {reached:?}");
    assert_eq!(found, reached[3..]);
    assert_eq!(got.headers.get("x-scrim-incomplete").map(|value| value.as_bytes()), Some(&b"refill"[..]));
    assert_eq!(world.upstream.lines().len(), 2);
    let full = client.get("/contacts?limit=2").await;
    assert_eq!(full.headers.get("x-scrim-incomplete"), None, "it is as long as was asked for");
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["result"], "allowed");
    world.gateway.shutdown().await;
}
