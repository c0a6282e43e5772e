//! Groups in an order, and some of them at a time: by what their answer shows and by nothing else, in the gateway's own words.

use serde_json::{Value, json};

use super::figures::world;
use crate::support::odata::{asked, list, sent, spelled};
use crate::support::upstream::Seen;
use crate::support::{Answer, World};

/// Names that the client gives collide with those of fields which it may not see.
const STAGES: &str = "$apply=groupby((stage),aggregate(amount with sum as ssn,$count as n))";

fn stage(name: &str, sum: u64) -> Value {
    json!({ "stage": name, "figure0": sum, "figure1": 1 })
}

fn shown(name: &str, sum: u64) -> Value {
    json!({ "stage": name, "ssn": sum, "n": 1 })
}

/// What the upstream was asked behind `$apply`.
fn behind(world: &World) -> String {
    asked(world).split_once("&").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_by_what_the_groups_show_and_ends_with_what_tells_them_apart() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts", [list(&json!([]))]);
    let client = world.role("rep");
    let both = "$apply=groupby((stage,name),aggregate($count as n))";
    for (apply, more, expected) in [
        (STAGES, "$orderby=ssn", "$orderby=figure0,stage"),
        (STAGES, "$orderby=ssn desc", "$orderby=figure0 desc,stage"),
        (STAGES, "$orderby= n  asc , ssn desc", "$orderby=figure1,figure0 desc,stage"),
        (STAGES, "$orderby=stage desc,n", "$orderby=stage desc,figure1"),
        (STAGES, "$orderby=n&$format=json", "$orderby=figure1,stage"),
        (both, "$orderby=name desc,n", "$orderby=name desc,figure0,stage"),
        (both, "$orderby=n desc", "$orderby=figure0 desc,stage,name"),
        // Pages without an order would differ between two requests.
        (STAGES, "$top=1", "$orderby=stage&$top=1"),
        (STAGES, "$skip=2", "$orderby=stage&$skip=2"),
        (STAGES, "$skip=0", "$orderby=stage"),
        (STAGES, "$top=0", "$orderby=stage&$top=0"),
        (both, "$skip=4&$top=2", "$orderby=stage,name&$top=2&$skip=4"),
        (STAGES, "$orderby=ssn desc&$top=2&$skip=1", "$orderby=figure0 desc,stage&$top=2&$skip=1"),
        (STAGES, "$count=false", ""),
    ] {
        let got = client.get(&spelled(&format!("/svc/contacts?{apply}&{more}"))).await;
        assert_eq!((got.status, got.json()), (200, json!({ "value": [] })), "{more}");
        assert_eq!(behind(&world), expected, "{apply}&{more}");
        // Whatever comes first.
        let got = client.get(&spelled(&format!("/svc/contacts?{more}&{apply}"))).await;
        assert_eq!((got.status, behind(&world)), (200, expected.to_owned()), "{more}");
    }
    // Figures that nothing comes to have no order to be in.
    let single = "$apply=groupby((stage))&$orderby=stage desc&$top=1";
    world.upstream.on("GET /svc/contacts", [list(&json!([{ "stage": "won" }]))]);
    let got = client.get(&spelled(&format!("/svc/contacts?{single}"))).await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": [{ "stage": "won" }] })));
    assert_eq!(behind(&world), "$orderby=stage desc&$top=1");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_what_no_group_shows_is_refused_as_one_by_nothing() {
    let world = world().await;
    let client = world.role("rep");
    let nothing = client.get(&spelled("/svc/contacts?$filter=nothing eq 1")).await.told();
    assert_eq!(nothing.0, 400);
    let named = "$apply=groupby((stage),aggregate(amount with sum as total,$count as n))";
    for more in [
        // Hidden, readable but not told, the tenant's, unknown.
        "$orderby=ssn",
        "$orderby=region",
        "$orderby=amount",
        "$orderby=name",
        "$orderby=id",
        "$orderby=organization_id",
        "$orderby=nothing",
        "$orderby=total,ssn desc",
        "$orderby=account/name",
        // Names of the gateway's own.
        "$orderby=figure0",
        "$orderby=figure1 desc",
        // What is no name, or one twice.
        "$orderby=$count",
        "$orderby=n eq 1",
        "$orderby=n desc asc",
        "$orderby=n DESC",
        "$orderby=N",
        "$orderby=n,n",
        "$orderby=n,n desc",
        "$orderby=stage,stage",
        "$orderby=tolower(stage)",
        "$orderby=total div 2",
        "$orderby=stage/n",
        "$orderby=@odata.id",
        "$orderby=n,",
        "$orderby=",
        "$orderby= ",
        "$orderby='n'",
        "$top=51",
        "$top=-1",
        "$top=x",
        "$top=",
        "$skip=-1",
        "$skip=1e3",
        "$count=yes",
        "$skiptoken=x",
        "$deltatoken=x",
        "$top=1&$skiptoken=x",
        "$orderby=n&$filter=n gt 1",
        "$orderby=n&$select=n",
        "$orderby=n&$search=ada",
        "$top=1&$expand=account",
        "$top=1&$compute=ssn as x",
    ] {
        let got = client.get(&spelled(&format!("/svc/contacts?{named}&{more}"))).await;
        let told = got.told();
        // Whatever a token says, it leads nowhere.
        assert_eq!(told, nothing, "{more}");
    }
    // What is one answer has no order and no pages.
    for more in ["$orderby=n", "$top=1", "$skip=0", "$skip=1", "$top=0"] {
        let got = client.get(&spelled(&format!("/svc/contacts?$apply=aggregate($count as n)&{more}"))).await;
        assert_eq!(got.told(), nothing, "{more}");
    }
    // Whoever can't ask for figures at all can't ask for the greatest either.
    for (role, apply) in [
        ("manager", "groupby((name),aggregate($count as n))"),
        ("analyst", "groupby((name),aggregate($count as n))"),
        ("analyst", "groupby((stage),aggregate(amount with max as n))"),
        ("support", "groupby((stage),aggregate($count as n))"),
    ] {
        for more in ["$orderby=n&$top=1", "$top=1", "$count=true&$top=0", "$count=true"] {
            let got = world.role(role).get(&spelled(&format!("/svc/contacts?$apply={apply}&{more}"))).await;
            assert_eq!(got.told(), nothing, "{role}: {apply}&{more}");
        }
    }
    let file = client.header("accept", "text/csv").get(&spelled(&format!("/svc/contacts?{named}&$top=1"))).await;
    assert_eq!(file.told(), nothing);
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

/// By the field that was refused, not by the order, which is understood.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_not_blamed_for_the_figures_beside_it() {
    let world = world().await;
    for (query, blamed) in [
        ("$orderby=n&$apply=groupby((ssn),aggregate($count as n))", Some("ssn")),
        ("$apply=groupby((stage),aggregate($count as n))&$orderby=ssn", Some("ssn")),
    ] {
        let got = world.role("rep").get(&spelled(&format!("/svc/contacts?{query}"))).await;
        assert_eq!(got.status, 400);
        let (_, outcome) = world.last_audit().await;
        assert_eq!(outcome["refused_for"].as_str(), blamed, "{query}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_more_than_a_page_is_no_page() {
    let world = world().await;
    let client = world.role("rep");
    let query = spelled(&format!("/svc/contacts?{STAGES}&$orderby=ssn desc&$top=2"));
    let two = json!([stage("won", 9), stage("lost", 7)]);
    world.upstream.on("GET /svc/contacts", [list(&two)]);
    let got = client.get(&query).await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": [shown("won", 9), shown("lost", 7)] })));
    let (_, outcome) = world.last_audit().await;
    assert_eq!((&outcome["groups"], outcome.get("keys")), (&json!(2), None));
    let link = json!({ "value": two, "@odata.nextLink": "contacts?$skiptoken=SECRET" });
    for (answer, status, code) in [
        // A service that ignores the number.
        (list(&json!([stage("a", 1), stage("b", 1), stage("c", 1)])), 502, "upstream_error"),
        // One that pages by itself, in whatever order.
        (Answer::json(200, link.to_string()), 400, "list_too_long"),
        // One that answers an order by showing it.
        (list(&json!([{ "stage": "won", "figure0": 1, "figure1": 1, "ssn": "SECRET" }])), 502, "upstream_error"),
        (list(&json!([{ "stage": "won", "ssn": 1, "n": 1 }])), 502, "upstream_error"),
    ] {
        world.upstream.on("GET /svc/contacts", [answer]);
        let got = client.get(&query).await;
        assert_eq!(got.status, status, "{code}: {}", got.text());
        if status == 400 {
            assert_eq!(got.json()["code"], code);
        }
        assert!(!got.everything().contains("SECRET"), "{}", got.text());
    }
    world.gateway.shutdown().await;
}

/// A service's own number of groups is nothing that could be checked: who has all of them counts them.
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_counted_by_the_gateway_which_has_all_of_them() {
    let world = world().await;
    let client = world.role("rep");
    let all: Vec<Value> = (0..5).map(|number| stage(&format!("s{number}"), number)).collect();
    let body = json!({ "@odata.count": 999, "value": all });
    world.upstream.on("GET /svc/contacts", [Answer::json(200, body.to_string())]);
    for (more, places) in [
        ("", 0..5),
        ("&$top=2", 0..2),
        ("&$top=2&$skip=3", 3..5),
        ("&$skip=4&$top=7", 4..5),
        ("&$skip=9", 5..5),
        ("&$top=0", 0..0),
    ] {
        let got = client.get(&spelled(&format!("/svc/contacts?{STAGES}&$orderby=n desc&$count=true{more}"))).await;
        let rows: Vec<Value> = places.clone().map(|number| shown(&format!("s{number}"), number)).collect();
        assert_eq!((got.status, got.json()), (200, json!({ "@odata.count": 5, "value": rows })), "{more}");
        assert_eq!(behind(&world), "$orderby=figure1 desc,stage", "neither cut nor counted there");
        let (_, outcome) = world.last_audit().await;
        assert_eq!(outcome["groups"].as_u64().unwrap_or(0), places.count() as u64, "{more}");
    }
    // Of one answer there is one.
    world.upstream.on("GET /svc/contacts", [list(&json!([{ "figure0": 7 }]))]);
    let got = client.get(&spelled("/svc/contacts?$apply=aggregate($count as n)&$count=true")).await;
    assert_eq!((got.status, got.json()), (200, json!({ "@odata.count": 1, "value": [{ "n": 7 }] })));
    assert_eq!(sent(&world, "$count"), None);
    // Who has not seen all of them has counted nothing.
    let many: Vec<Value> = (0..51).map(|number| stage(&format!("s{number}"), number)).collect();
    let cut = json!({ "value": all, "@odata.nextLink": "contacts?$skiptoken=SECRET" });
    for answer in [list(&json!(many)), Answer::json(200, cut.to_string())] {
        world.upstream.on("GET /svc/contacts", [answer]);
        let got = client.get(&spelled(&format!("/svc/contacts?{STAGES}&$count=true&$top=1"))).await;
        assert_eq!((got.status, got.json()["code"].clone()), (400, json!("list_too_long")));
    }
    world.gateway.shutdown().await;
}

/// Groups that are alike in all that they are ordered by, in whatever order a service holds them.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_shows_a_group_twice_or_leaves_one_out() {
    let world = world().await;
    let number = |seen: &Seen, name: &str| {
        let value = seen.target.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.parse::<usize>().expect("a number"))
    };
    let turns = std::sync::atomic::AtomicUsize::new(0);
    world.upstream.answers(move |seen| {
        let mut held: Vec<(usize, usize)> = (0..23).map(|name| (name, name % 3)).collect();
        held.rotate_left(turns.fetch_add(7, std::sync::atomic::Ordering::Relaxed) % 23);
        // By the sum alone, unless more is said; those that are alike stay as they lie.
        match seen.target.contains("$orderby=figure0%2Cstage") {
            true => held.sort_by_key(|(name, sum)| (*sum, *name)),
            false => held.sort_by_key(|(_, sum)| *sum),
        }
        let page = held.iter().skip(number(seen, "$skip").unwrap_or(0)).take(number(seen, "$top").unwrap_or(99));
        let page: Vec<Value> = page.map(|(name, sum)| stage(&format!("{name:02}"), *sum as u64)).collect();
        Some(list(&json!(page)))
    });
    let client = world.role("rep");
    for (size, counted) in [(1, ""), (4, ""), (10, ""), (5, "&$count=true")] {
        let mut found: Vec<String> = Vec::new();
        for page in 0.. {
            let more = format!("$orderby=ssn&$top={size}&$skip={}{counted}", page * size);
            let got = client.get(&spelled(&format!("/svc/contacts?{STAGES}&{more}"))).await.json();
            let groups = got["value"].as_array().cloned().unwrap_or_default();
            found.extend(groups.iter().filter_map(|group| group["stage"].as_str().map(str::to_owned)));
            if groups.len() < size {
                break;
            }
        }
        let mut once = found.clone();
        once.sort();
        once.dedup();
        assert_eq!((found.len(), once.len()), (23, 23), "{size}{counted}: {found:?}");
    }
    world.gateway.shutdown().await;
}
