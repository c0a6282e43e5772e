//! Cursors: how a client is told where a list that was walked goes on, that it tells nobody anything, and that it is good for
//! its own caller, tenant, query and policies alone.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::pages::{Chance, ids, number};
use crate::support::client::Response;
use crate::support::identities::NOW;
use crate::support::world::{API, Setup};
use crate::support::{Answer, Client, World};

const POLICY: &str = "table: contacts
grants:
  - name: own
    roles: [rep, manager]
    actions: [list, read]
    rows: \"record.owner_id.contains('ana')\"
    read: { clear: [id, owner_id] }
";
const ODATA: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 4, max: 9 }
tables:
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    fields: { id: int, organization_id: string, app_id: string, owner_id: string }
";
/// Characters of every cursor.
pub(super) const LENGTH: usize = 104;

type Rows = Arc<Mutex<Vec<(u64, bool)>>>;

fn rest() -> String {
    API.replace("limit: { name: limit, default: 20, max: 50 }", "limit: { name: limit, default: 4, max: 9 }")
}

/// A service with these rows, each in a tenant of its caller's.
async fn world(setup: Setup, rows: Vec<(u64, bool)>) -> (World, Rows) {
    let world = setup.policy("contacts", POLICY).start().await;
    let rows: Rows = Arc::new(Mutex::new(rows));
    let held = Arc::clone(&rows);
    world.upstream.answers(move |seen| {
        let odata = seen.target.starts_with("/svc");
        let (limit, offset) = if odata { ("$top", "$skip") } else { ("limit", "offset") };
        let records = if odata { "value" } else { "data" };
        let organization = if seen.target.contains("globex") { "globex" } else { "acme" };
        let record = |(id, own): &(u64, bool)| json!({ "id": id, "organization_id": organization, "app_id": "shop", "owner_id": if *own { "ana" } else { "SECRET" } });
        let rows = held.lock().expect("unpoisoned");
        let page = rows.iter().skip(number(seen, offset).unwrap_or(0)).take(number(seen, limit).unwrap_or(1));
        Some(Answer::json(200, json!({ records: page.map(record).collect::<Vec<_>>() }).to_string()))
    });
    (world, rows)
}

fn rows(count: u64, own: u64) -> Vec<(u64, bool)> {
    (0..count).map(|id| (id, id % own == 0)).collect()
}

fn person(world: &World) -> Client {
    world.person("ana", &json!({ "roles": ["rep"] }))
}

/// Where a page says that the next one is: its query.
pub(super) fn next(got: &Response) -> Option<String> {
    let link = got.headers.get("link").map(|link| link.to_str().expect("text").to_owned());
    let query = link.map(|link| {
        let rest = link.strip_prefix("<?").expect("relative to the list").to_owned();
        rest.strip_suffix(">; rel=\"next\"").expect("the next page").to_owned()
    });
    let member = || Some(got.json()["@odata.nextLink"].as_str()?.split_once('?')?.1.to_owned());
    query.or_else(member)
}

pub(super) fn cursor(query: &str) -> String {
    let value =
        query.split('&').find_map(|pair| pair.strip_prefix("scrim_cursor=").or(pair.strip_prefix("$skiptoken=")));
    value.expect("a cursor").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_walked_by_cursors_once_whatever_rows_come_and_go_unseen() {
    for (api, path, records) in [(rest(), "/contacts", "data"), (ODATA.to_owned(), "/svc/contacts", "value")] {
        let setup = Setup { api, more: "paging: { remembered: 0 }\n".to_owned(), ..Setup::default() };
        let (world, held) = world(setup, Vec::new()).await;
        let client = person(&world);
        let mut chance = Chance(31);
        let mut fresh = 1000;
        for listing in 0..16 {
            let all = rows(chance.below(120), 1 + chance.below(6));
            let own: Vec<u64> = all.iter().filter(|(_, own)| *own).map(|(id, _)| *id).collect();
            let stirs = listing % 2 == 1;
            *held.lock().expect("unpoisoned") = all.clone();
            world.upstream.forget();
            let (mut found, mut query, mut pages) = (Vec::new(), Some(String::new()), 0);
            while let Some(now) = query {
                let got = client.get(format!("{path}?{now}").trim_end_matches('?')).await;
                assert_eq!(got.status, 200, "{now}: {}", got.text());
                assert!(!got.everything().contains("SECRET"), "{}", got.everything());
                found.extend(ids(&got.json()[records]));
                query = next(&got);
                pages += 1;
                if let Some(query) = &query {
                    assert_eq!(cursor(query).len(), LENGTH, "wherever it is");
                }
                if stirs {
                    let mut rows = held.lock().expect("unpoisoned");
                    for _ in 0..chance.below(12) {
                        let at = chance.below(rows.len() as u64 + 1) as usize;
                        match rows.get(at) {
                            Some((_, false)) if chance.below(2) == 0 => drop(rows.remove(at)),
                            _ => {
                                fresh += 1;
                                rows.insert(at, (fresh, false));
                            }
                        }
                    }
                }
            }
            assert_eq!(found, own, "{path}: listing {listing}");
            let asked = world.upstream.lines();
            assert!(!asked.iter().any(|line| line.contains("cursor") || line.contains("skiptoken")), "{asked:?}");
            if !stirs {
                assert!(asked.len() <= all.len() / 9 + 1 + pages, "{} requests for {pages} pages", asked.len());
            }
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_caller_tenant_query_and_policies_alone() {
    let (world, _) = world(Setup { api: rest(), ..Setup::default() }, rows(200, 3)).await;
    let client = person(&world);
    let first = client.get("/contacts?id[gt]=0&sort=id").await;
    let query = next(&first).expect("there is more");
    let cursor = cursor(&query);
    assert_eq!(query, format!("id%5Bgt%5D=0&sort=id&scrim_cursor={cursor}"), "the client's own query");
    let target = format!("/contacts?{query}");
    let good = client.get(&target).await;
    assert_eq!(ids(&good.json()["data"]), [12, 15, 18, 21]);
    let (intent, outcome) = world.last_audit().await;
    assert_eq!((&outcome["resumed"], &outcome["rows_returned"]), (&json!("cursor"), &json!(4)));
    let lines = world.audit().await;
    assert!(!lines.iter().any(|line| line.to_string().contains(&cursor)), "where it is, is not on record: {intent}");

    let expired = client.get(&format!("/contacts?scrim_cursor={}", "A".repeat(LENGTH))).await;
    assert_eq!((expired.status, &expired.json()["code"]), (400, &json!("cursor_expired")));
    let nothing = expired.told();
    let requests = world.upstream.seen().len();
    let refuse = async |who: &Client, target: &str, why: &str| {
        let got = who.get(target).await;
        assert_eq!(got.told(), nothing, "{why}: {target}");
    };
    let of = |id: &str, claims: Value| world.person(id, &claims);
    refuse(&of("bob", json!({ "roles": ["rep"] })), &target, "another principal").await;
    refuse(&of("ana", json!({ "roles": ["rep"], "org_id": "globex" })), &target, "another tenant").await;
    refuse(&of("ana", json!({ "roles": ["rep"], "app_id": "desk" })), &target, "another tenant").await;
    refuse(&of("ana", json!({ "roles": ["manager"] })), &target, "another role").await;
    refuse(&of("ana", json!({ "roles": ["rep"], "regions": ["x"] })), &target, "another attribute").await;
    refuse(&of("ana", json!({ "roles": ["rep"], "reports": ["x"] })), &target, "other reports").await;
    for other in ["", "id[gt]=1&sort=id&", "id[gt]=0&sort=-id&", "id[gt]=0&", "sort=id&", "id[gt]=0&sort=id&fields=id&"]
    {
        refuse(&client, &format!("/contacts?{other}scrim_cursor={cursor}"), "another query").await;
    }
    for length in [0, 1, LENGTH - 1] {
        refuse(&client, &format!("/contacts?id[gt]=0&sort=id&scrim_cursor={}", &cursor[..length]), "cut").await;
    }
    refuse(&client, &format!("{target}A"), "longer").await;
    refuse(&client, &format!("{target}{}", "A".repeat(6000)), "huge").await;
    refuse(&client, &format!("{target}%3D"), "padded").await;
    for at in 0..LENGTH {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
        refuse(&client, &format!("/contacts?id[gt]=0&sort=id&scrim_cursor={changed}"), "changed").await;
    }
    assert_eq!(world.upstream.seen().len(), requests, "nothing was asked for any of them");
    assert_eq!(world.last_audit().await.1["reason"], "cursor_expired");

    // In another order it is the same query; pages may have another size.
    let same = client.get(&format!("/contacts?scrim_cursor={cursor}&sort=id&id[gt]=0&limit=2")).await;
    assert_eq!(ids(&same.json()["data"]), [12, 15]);
    // It can be used until it ends.
    world.clock.set(NOW + 3599);
    let later = of("ana", json!({ "roles": ["rep"], "exp": NOW + 9000 }));
    assert_eq!(later.get(&target).await.body, good.body);
    world.clock.set(NOW + 3600);
    refuse(&later, &target, "too late").await;
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_places_or_a_place_where_there_is_none_are_bad_queries() {
    for (api, path, parameter, skip) in
        [(rest(), "/contacts", "scrim_cursor", "offset"), (ODATA.to_owned(), "/svc/contacts", "$skiptoken", "$skip")]
    {
        let (world, _) = world(Setup { api, ..Setup::default() }, rows(100, 3)).await;
        let client = person(&world);
        let token = cursor(&next(&client.get(path).await).expect("more"));
        world.upstream.forget();
        let record = if path == "/contacts" { "/contacts/1" } else { "/svc/contacts(1)" };
        for (target, code) in [
            (format!("{path}?{parameter}={token}&{skip}=4"), "query_not_allowed"),
            (format!("{path}?{parameter}={token}&{skip}=0"), "query_not_allowed"),
            (format!("{path}?{parameter}={token}&{parameter}={token}"), "ambiguous_query"),
            (format!("{path}?{parameter}={token}&{}={token}", parameter.to_uppercase()), "ambiguous_query"),
            (format!("{path}?{}={token}", parameter.to_uppercase()), "query_not_allowed"),
            (format!("{path}?{parameter}[0]={token}"), "query_not_allowed"),
            (format!("{record}?{parameter}={token}"), "query_not_allowed"),
        ] {
            let got = client.get(&target).await;
            assert_eq!((got.status, &got.json()["code"]), (400, &json!(code)), "{target}");
        }
        assert_eq!(world.upstream.lines(), [""; 0]);
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_outlives_a_reload_but_not_other_policies_or_descriptions() {
    let (world, _) = world(Setup { api: rest(), ..Setup::default() }, rows(200, 3)).await;
    let client = person(&world);
    let target = format!("/contacts?{}", next(&client.get("/contacts").await).expect("more"));
    let good = client.get(&target).await;
    world.gateway.reload().await.expect("nothing has changed");
    assert_eq!(client.get(&target).await.body, good.body);
    let code = async || client.get(&target).await.json()["code"].clone();
    world.policy("contacts", &POLICY.replace("'ana'", "'an'"));
    world.gateway.reload().await.expect("reloaded");
    assert_eq!(code().await, "cursor_expired");
    world.policy("contacts", POLICY);
    world.gateway.reload().await.expect("reloaded");
    assert_eq!(client.get(&target).await.body, good.body, "these are the same policies again");
    let description = world.folder.path().join("api.yaml");
    std::fs::write(&description, rest().replace("max: 9", "max: 8")).expect("written");
    world.gateway.reload().await.expect("reloaded");
    assert_eq!(code().await, "cursor_expired", "pages were of another size");
    std::fs::write(
        &description,
        rest().replace("      owner_id: string\n", "      owner_id: { type: string, push: exact }\n"),
    )
    .expect("written");
    world.policy("contacts", &POLICY.replace("record.owner_id.contains('ana')", "record.owner_id == 'ana'"));
    world.gateway.reload().await.expect("reloaded");
    assert_eq!(code().await, "cursor_expired", "of a list that is the upstream's own there is none");
    world.remove_policy("contacts");
    world.gateway.reload().await.expect("reloaded");
    assert_eq!(code().await, "not_found");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_with_one_key_go_on_where_another_one_stopped() {
    let setup = |key: &str| {
        let mut setup =
            Setup { api: rest(), more: "paging: { cursor_key: { secret: masking } }\n".to_owned(), ..Setup::default() };
        setup.files.insert("masking".to_owned(), key.to_owned());
        setup
    };
    let (shared, other) = ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdeF");
    let (one, _) = world(setup(shared), rows(200, 3)).await;
    let target = format!("/contacts?{}", next(&person(&one).get("/contacts").await).expect("more"));
    let expected = person(&one).get(&target).await;
    assert_eq!(ids(&expected.json()["data"]), [12, 15, 18, 21]);
    for (key, status) in [(shared, 200), (other, 400)] {
        let (world, _) = world(setup(key), rows(200, 3)).await;
        let got = person(&world).get(&target).await;
        assert_eq!(got.status, status, "{}", got.text());
        if status == 200 {
            assert_eq!(got.body, expected.body);
        }
        world.gateway.shutdown().await;
    }
    one.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_limit_cut_says_where_it_goes_on() {
    for (api, path, records) in [(rest(), "/contacts", "data"), (ODATA.to_owned(), "/svc/contacts", "value")] {
        let setup = Setup { api, limits: "refill: 2".to_owned(), ..Setup::default() };
        let all: Vec<(u64, bool)> = (0..200).map(|id| (id, id < 2 || id % 50 == 30)).collect();
        let own: Vec<u64> = all.iter().filter(|(_, own)| *own).map(|(id, _)| *id).collect();
        let (world, _) = world(setup, all).await;
        let client = person(&world);
        let (mut found, mut query, mut cut, mut pages) = (Vec::new(), Some(String::new()), 0, 0);
        while let Some(now) = query {
            let got = client.get(format!("{path}?{now}").trim_end_matches('?')).await;
            assert_eq!(got.status, 200, "{}", got.text());
            found.extend(ids(&got.json()[records]));
            pages += 1;
            cut += u64::from(got.headers.contains_key("x-scrim-incomplete"));
            query = next(&got);
            assert!(query.as_ref().is_none_or(|query| cursor(query).len() == LENGTH));
        }
        assert_eq!(found, own, "{path}");
        assert!(cut > 5, "{path}: {cut} were cut");
        assert!(world.upstream.seen().len() <= 200 / 9 + 1 + pages, "{}", world.upstream.seen().len());
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_parameter_is_called_as_the_description_says() {
    let api = rest().replace("    offset: offset\n", "    offset: offset\n    cursor: from\n");
    let (world, _) = world(Setup { api, ..Setup::default() }, rows(100, 3)).await;
    let client = person(&world);
    let link = next(&client.get("/contacts?limit=3&offset=2").await).expect("more");
    let token = link.strip_prefix("limit=3&from=").expect("in place of the offset").to_owned();
    assert_eq!(ids(&client.get(&format!("/contacts?{link}")).await.json()["data"]), [15, 18, 21]);
    let unknown = client.get(&format!("/contacts?scrim_cursor={token}")).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (400, &json!("query_not_allowed")));
    assert!(!world.upstream.lines().iter().any(|line| line.contains("from")), "{:?}", world.upstream.lines());
    world.gateway.shutdown().await;
}

/// A rule that knows the time asks the upstream something else each second.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_outlives_the_second_that_a_rule_was_judged_in() {
    let api = ODATA.replacen("owner_id: string", "owner_id: string, seen_at: { type: timestamp, push: exact }", 1);
    let policy = POLICY.replacen("contains('ana')", "contains('ana') && record.seen_at < now", 1);
    let world = Setup { api, ..Setup::default() }.policy("contacts", &policy).start().await;
    world.upstream.answers(|seen| {
        let row = |id: usize| {
            let seen_at = "2020-01-01T00:00:00Z";
            json!({ "id": id, "organization_id": "acme", "app_id": "shop", "owner_id": "ana", "seen_at": seen_at })
        };
        let from = number(seen, "$skip").unwrap_or(0);
        let page = (from..30).take(number(seen, "$top").unwrap_or(1)).map(row);
        Some(Answer::json(200, json!({ "value": page.collect::<Vec<_>>() }).to_string()))
    });
    let client = person(&world);
    let (mut found, mut query) = (Vec::new(), Some(String::new()));
    for second in 1.. {
        let Some(now) = query else { break };
        let got = client.get(format!("/svc/contacts?{now}").trim_end_matches('?')).await;
        assert_eq!(got.status, 200, "{}", got.text());
        found.extend(ids(&got.json()["value"]));
        query = next(&got);
        world.clock.set(NOW + second);
    }
    let filters: Vec<String> = world.upstream.lines();
    assert!(filters.iter().all(|line| line.contains("seen_at")), "{filters:?}");
    assert_eq!(found, (0..30).collect::<Vec<u64>>());
    world.gateway.shutdown().await;
}
