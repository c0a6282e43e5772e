//! How many records there are and what they come to: asked for where only what may be listed is counted in, and told as
//! nothing but figures.

use serde_json::{Value, json};

use crate::support::odata::{TENANT, asked, count, list, spelled};
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, World};

pub(super) const API: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 3, max: 50, aggregates: true }
batch: true
metadata: { openapi: /svc/openapi.json }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, count, read, create]
    search: [name]
    fields:
      id: { type: int, push: exact }
      organization_id: string
      app_id: string
      owner_id: { type: string, push: exact }
      accountId: int
      region: string
      stage: { type: string, nullable: true, push: exact }
      name: { type: string, push: ordered }
      amount: { type: decimal, nullable: true, push: double }
      born: { type: date, nullable: true }
      active: { type: bool, push: exact }
      ssn: { type: string, tags: [secret], push: ordered }
      account: { table: accounts, by: accountId }
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields: { id: int, organization_id: string, app_id: string, name: string }
  stages:
    key: id
    tenant: shared
    routes: [list, count]
    fields: { id: int, name: string }
";
pub(super) const POLICY: &str = "\
table: contacts
grants:
  - name: reps-own
    roles: [rep]
    actions: [list, read, export]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, amount, stage, born, active, accountId, account] }
  - name: managers-by-region
    roles: [manager]
    actions: [list]
    rows: record.region == 'north'
    read: { clear: [id, name, amount, region] }
  - name: own-in-clear
    roles: [analyst]
    actions: [list]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, amount, stage] }
  - name: others-masked
    roles: [analyst]
    actions: [list]
    rows: all
    read: { clear: [id, stage], constant: { name: withheld } }
  - name: support-adds
    roles: [support]
    actions: [create]
    write: [name]
";
const OTHERS: &str = "\
table: accounts
grants:
  - { name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: [id, name] } }
";
const SHARED: &str = "\
table: stages
grants:
  - { name: all, roles: [rep], actions: [list], rows: all, read: { clear: all } }
";

pub(super) async fn world() -> World {
    with_policy(POLICY).await
}

/// With another policy for its contacts.
pub(super) async fn with_policy(contacts: &str) -> World {
    let setup = Setup { api: API.to_owned(), ..Setup::default() };
    setup.policy("contacts", contacts).policy("accounts", OTHERS).policy("stages", SHARED).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_alone_is_of_the_callers_own_records_and_told_as_a_number() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts/$count", [count("7")]);
    let client = world.role("rep");
    for (query, filter) in [
        ("", String::new()),
        ("?$filter=name eq 'x' or id gt 4", " and (name eq 'x' or id gt 4)".to_owned()),
        ("?$search=ada", " and (contains(tolower(name),tolower('ada')))".to_owned()),
        ("?$filter=account/name eq 'x'", String::new()),
    ] {
        let got = client.get(&format!("/svc/contacts/$count{}", spelled(query))).await;
        if query.contains('/') {
            // Its columns have no `push`, so where it shows can't be said.
            assert_eq!(got.status, 400, "{query}");
            continue;
        }
        assert_eq!((got.status, got.text()), (200, "7".to_owned()), "{query}");
        assert_eq!(got.headers.get("content-type").map(|value| value.as_bytes()), Some(&b"text/plain"[..]));
        let expected = format!("GET /svc/contacts/$count?$filter={TENANT}{filter} and owner_id in ('ann')");
        assert_eq!(asked(&world), expected, "{query}");
        let (intent, outcome) = world.last_audit().await;
        assert_eq!((&intent["table"], &intent["action"]), (&json!("contacts"), &json!("list")));
        assert_eq!((&outcome["aggregated"], &outcome["groups"]), (&json!(["count"]), &json!(1)));
        assert_eq!((&outcome["pushed"], outcome.get("keys")), (&json!(["owner_id eq"]), None));
    }
    assert_eq!(world.upstream.seen()[0].headers.get("accept").map(|value| value.as_bytes()), Some(&b"text/plain"[..]));
    // Whatever it accepts: what counts has one form.
    let got = client.header("accept", "application/xml").get("/svc/contacts/$count").await;
    assert_eq!((got.status, got.text()), (200, "7".to_owned()));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_cannot_be_exact_is_refused_as_a_query_for_what_does_not_exist() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts/$count", [count("7")]);
    let rep = world.role("rep");
    let nothing = rep.get(&spelled("/svc/contacts/$count?$filter=nothing eq 1")).await.told();
    assert_eq!(nothing.0, 400);
    let manager = world.role("manager");
    for query in ["", "?$filter=id gt 0", "?$filter=region eq 'north'", "?$filter=ssn eq 'x'"] {
        let got = manager.get(&format!("/svc/contacts/$count{}", spelled(query))).await;
        assert_eq!(got.told(), nothing, "{query}");
    }
    for query in [
        "$filter=ssn eq 'x'",
        "$filter=region eq 'north'",
        "$filter=account/organization_id eq 'acme'",
        "$search=a OR b",
        "$search=",
        "$top=1",
        "$skip=1",
        "$orderby=name",
        "$select=name",
        "$expand=account",
        "$count=true",
        "$apply=aggregate($count as n)",
        "$filter=id gt 0&$top=5",
        "x=1",
    ] {
        let got = rep.get(&format!("/svc/contacts/$count?{}", spelled(query))).await;
        assert_eq!(got.told(), nothing, "{query}");
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    // Whose table it isn't, and what nobody declared.
    let unknown = rep.get("/svc/nothing/$count").await.told();
    assert_eq!(unknown.0, 404);
    assert_eq!(rep.get("/svc/accounts/$count").await.told(), unknown, "no such route");
    assert_eq!(world.role("manager").get("/svc/stages/$count").await.told(), unknown, "no grant");
    assert_eq!(rep.get("/svc/contacts(1)/$count").await.told(), unknown);
    // Who may do something else with the table.
    let support = world.role("support");
    assert_eq!(support.get("/svc/contacts/$count").await.status, 403);
    assert_eq!(support.get("/svc/contacts/$count?$search=x").await.told(), nothing);
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_no_count() {
    let world = world().await;
    let client = world.role("rep");
    let answers = [
        count("7 SECRET"),
        count("-1"),
        count("07"),
        count("+7"),
        count("7\n"),
        count("7.0"),
        count("1e3"),
        count(""),
        count("\u{feff}7"),
        count("99999999999999999999"),
        Answer::json(200, "7"),
        Answer::json(206, "7").header("content-type", "text/plain"),
        Answer::json(500, "SECRET"),
        Answer::json(404, "SECRET"),
    ];
    for answer in answers {
        let told = format!("{answer:?}");
        world.upstream.on("GET /svc/contacts/$count", [answer]);
        let got = client.get("/svc/contacts/$count").await;
        assert_eq!(got.status, 502, "{told}: {}", got.text());
        assert!(!got.everything().contains("SECRET"), "{told}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_asked_for_within_the_callers_records_and_told_under_the_clients_names() {
    let world = world().await;
    let own = format!("{TENANT} and owner_id in ('ann')");
    let client = world.role("rep");
    let answer =
        json!([{ "figure0": 12.50, "figure1": 2, "stage": "won" }, { "figure0": null, "figure1": 1, "stage": null }]);
    world.upstream.on("GET /svc/contacts", [list(&answer)]);
    let query = spelled("$apply=groupby((stage), aggregate(amount with sum as ssn, $count as organization_id))");
    let got = client.get(&format!("/svc/contacts?{query}")).await;
    let expected = json!({ "value": [
        { "stage": "won", "ssn": 12.50, "organization_id": 2 },
        { "stage": null, "ssn": null, "organization_id": 1 },
    ] });
    assert_eq!((got.status, got.json()), (200, expected), "{}", got.text());
    assert_eq!(
        asked(&world),
        format!(
            "GET /svc/contacts?$apply=filter({own})/groupby((stage),aggregate(amount with sum as figure0,$count as figure1))"
        ),
        "names of the client's never leave"
    );
    let (intent, outcome) = world.last_audit().await;
    assert_eq!(intent["action"], "list");
    assert_eq!(
        (&outcome["aggregated"], &outcome["groups"], outcome.get("keys"), &outcome["rows_returned"]),
        (&json!(["sum amount", "count", "by stage"]), &json!(2), None, &json!(0))
    );

    let answer = json!([{ "figure0": "a", "figure1": 7.25, "figure2": 3, "figure3": 9 }]);
    world.upstream.on("GET /svc/contacts", [list(&answer)]);
    let query = spelled(
        "$apply=filter(stage eq 'won' or contains(name,')/aggregate($count as n)'))/aggregate(name with min as a,\
         amount with average as b,stage with countdistinct as c,id with max as d)&$format=json",
    );
    let got = client.get(&format!("/svc/contacts?{query}")).await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": [{ "a": "a", "b": 7.25, "c": 3, "d": 9 }] })));
    assert_eq!(
        asked(&world),
        format!(
            "GET /svc/contacts?$apply=filter({TENANT} and (stage eq 'won' or contains(name,')/aggregate($count as n)')) and \
             owner_id in ('ann'))/aggregate(name with min as figure0,amount with average as figure1,stage with countdistinct \
             as figure2,id with max as figure3)"
        )
    );
    // Of a table that is everybody's, and a group alone.
    world.upstream.on("GET /svc/stages", [list(&json!([{ "name": "won" }]))]);
    let got = client.get("/svc/stages?$apply=groupby((name))").await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": [{ "name": "won" }] })));
    assert_eq!(asked(&world), "GET /svc/stages?$apply=groupby((name))");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_what_is_not_clear_everywhere_are_refused_as_those_of_nothing() {
    let world = world().await;
    let rep = world.role("rep");
    let nothing = rep.get(&spelled("/svc/contacts?$filter=nothing eq 1")).await.told();
    for apply in [
        // Hidden, of no type that has it, and unknown.
        "aggregate(ssn with max as x)",
        "aggregate(ssn with countdistinct as x)",
        "aggregate(region with min as x)",
        "aggregate(nothing with sum as x)",
        "aggregate(name with sum as x)",
        "aggregate(active with max as x)",
        "aggregate(stage with max as x)",
        "aggregate(born with min as x)",
        "groupby((ssn),aggregate($count as n))",
        "groupby((region))",
        "groupby((stage,ssn))",
        "groupby((organization_id),aggregate($count as n))",
        "groupby((nothing))",
        // A list by another name, of which no keys are on record.
        "groupby((id))",
        "groupby((name,id),aggregate($count as n))",
        // By what is hidden.
        "filter(ssn eq 'x')/aggregate($count as n)",
        "filter(region eq 'north')/groupby((stage))",
        "filter(ssn eq 'x' or id gt 0)/aggregate($count as n)",
        // Through relations.
        "groupby((account/name),aggregate($count as n))",
        "groupby((account))",
        "aggregate(account/name with max as x)",
        "aggregate(accountId/id with max as x)",
        // What isn't judged.
        "aggregate(amount mul 2 with sum as x)",
        "aggregate(amount with sum as x from stage)",
        "aggregate(amount with sum)",
        "aggregate(amount)",
        "aggregate($count)",
        "aggregate(amount with stdev as x)",
        "aggregate(amount with SUM as x)",
        "aggregate()",
        "aggregate",
        "groupby(())",
        "groupby((rollup(stage,name)))",
        "groupby((stage),topcount(1,amount))",
        "filter(id gt 0)",
        "filter()/aggregate($count as n)",
        "identity",
        "search(x)/aggregate($count as n)",
        "topcount(1,amount)",
        "orderby(ssn)/aggregate($count as n)",
        "expand(account)",
        "compute(ssn as x)/aggregate($count as n)",
        "concat(aggregate($count as n),groupby((ssn)))",
        "join(account as a)",
        "aggregate($count as n)/filter(n gt 1)",
        "groupby((stage))/aggregate($count as n)",
        "filter(id gt 0)/filter(id gt 1)/aggregate($count as n)",
        // Names that collide, or are none.
        "aggregate($count as n,amount with sum as n)",
        "groupby((stage),aggregate($count as stage))",
        "groupby((stage,stage))",
        "aggregate($count as 1)",
        "aggregate($count as a b)",
        "aggregate($count as x@odata.type)",
        "aggregate($count as a/b)",
        "aggregate($count as \"x\")",
        "aggregate($count as n))",
        "aggregate($count as n) or true",
        "filter(id gt 0))/aggregate($count as n)",
        "filter(id gt 0) or (true)/aggregate($count as n)",
        "filter(name eq ')/aggregate($count as n)",
    ] {
        let got = rep.get(&format!("/svc/contacts?$apply={}", spelled(apply))).await;
        assert_eq!(got.told(), nothing, "{apply}");
    }
    let fine = "$apply=aggregate($count as n)";
    for more in [
        "$filter=id gt 0",
        "$select=n",
        "$orderby=n",
        "$orderby=ssn",
        "$top=1",
        "$skip=1",
        "$expand=account",
        "$search=ada",
        "$compute=ssn as x",
        "nothing=1",
    ] {
        let got = rep.get(&format!("/svc/contacts?{}", spelled(&format!("{fine}&{more}")))).await;
        assert_eq!(got.told(), nothing, "{more}");
    }
    for target in ["/svc/contacts(1)", "/svc/contacts/$count"] {
        assert_eq!(rep.get(&format!("{target}?{}", spelled(fine))).await.told(), nothing, "{target}");
    }
    for (role, apply) in [
        // Whose records can't be asked for exactly.
        ("manager", "aggregate($count as n)"),
        ("manager", "groupby((region))"),
        // Masked on some of the rows.
        ("analyst", "aggregate(name with max as x)"),
        ("analyst", "aggregate(name with countdistinct as x)"),
        ("analyst", "groupby((name),aggregate($count as n))"),
        ("analyst", "aggregate(amount with sum as x)"),
        ("support", "aggregate($count as n)"),
    ] {
        let got = world.role(role).get(&format!("/svc/contacts?$apply={}", spelled(apply))).await;
        assert_eq!(got.told(), nothing, "{apply} by {role}");
    }
    let csv = rep.header("accept", "text/csv").get(&format!("/svc/contacts?{}", spelled(fine))).await;
    assert_eq!(csv.told(), nothing, "a file is one of records");
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_goes_into_a_figure_only_where_it_is_clear() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts", [list(&json!([{ "figure0": 1 }]))]);
    world.upstream.on("GET /svc/contacts/$count", [count("1")]);
    let client = world.role("analyst");
    let guard = "owner_id in ('ann')";
    for (filter, sent) in [
        ("name ge 'm'", format!("name ge 'm' and {guard}")),
        ("not (name ge 'm')", format!("not (name ge 'm') and {guard}")),
        ("id gt 0 or name ge 'm'", format!("(id gt 0 or (name ge 'm' and {guard}))")),
        ("id gt 0", "id gt 0".to_owned()),
    ] {
        let got = client.get(&spelled(&format!("/svc/contacts?$apply=filter({filter})/aggregate($count as n)"))).await;
        assert_eq!((got.status, got.json()), (200, json!({ "value": [{ "n": 1 }] })), "{filter}");
        let expected = format!("GET /svc/contacts?$apply=filter({TENANT} and {sent})/aggregate($count as figure0)");
        assert_eq!(asked(&world), expected, "{filter}");
        let got = client.get(&spelled(&format!("/svc/contacts/$count?$filter={filter}"))).await;
        assert_eq!((got.status, got.text()), (200, "1".to_owned()), "{filter}");
        assert_eq!(asked(&world), format!("GET /svc/contacts/$count?$filter={TENANT} and {sent}"), "{filter}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_of_one_record_tells_nothing_that_the_record_does_not_show() {
    let world = world().await;
    let row = json!({
        "id": 1, "organization_id": "acme", "app_id": "shop", "owner_id": "ann", "accountId": 1, "region": "north",
        "stage": "won", "name": "n", "amount": 5, "born": null, "active": true, "ssn": "SECRET",
    });
    let program = move |seen: &Seen| {
        let grouped = seen.target.contains("%24count");
        Some(list(&if grouped { json!([{ "figure0": 5, "figure1": 1, "stage": "won" }]) } else { json!([row]) }))
    };
    world.upstream.answers(program);
    let client = world.role("rep");
    let listed = client.get(&spelled("/svc/contacts?$filter=id eq 1&$select=stage,amount")).await.json();
    let query =
        "/svc/contacts?$apply=filter(id eq 1)/groupby((stage),aggregate(amount with sum as amount,$count as n))";
    let summed = client.get(&spelled(query)).await.json();
    let mut shown = listed["value"][0].clone();
    shown["n"] = json!(1);
    assert_eq!(summed, json!({ "value": [shown] }), "what is in it is what the list shows of it, in clear");
    // Whoever can't list the value in clear can't sum it up either, be it of one record or of all.
    let got = world.role("analyst").get(&spelled(query)).await;
    assert_eq!(got.status, 400);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_anything_else_in_it_is_no_figure() {
    let world = world().await;
    let client = world.role("rep");
    let query = spelled("/svc/contacts?$apply=groupby((stage),aggregate($count as n))");
    for answer in [
        // A service that knows no `$apply` lists its records.
        list(&json!([{ "id": 1, "organization_id": "globex", "ssn": "SECRET" }])),
        list(&json!([{ "stage": "won", "figure0": 1, "ssn": "SECRET" }])),
        list(&json!([{ "stage": "won", "figure0": "SECRET" }])),
        list(&json!([{ "stage": { "a": "SECRET" }, "figure0": 1 }])),
        list(&json!([{ "stage": "SECRET" }])),
        list(&json!([{ "stage": "won", "n": 1, "x": "SECRET" }])),
        list(&json!({ "stage": "SECRET", "figure0": 1 })),
        Answer::json(200, "[]"),
        Answer::json(200, r#"{"value":[{"stage":"SECRET","figure0":1}"#),
        Answer::json(200, r#"{"value":[]}"#).header("content-type", "text/html"),
        Answer::json(206, r#"{"value":[]}"#),
        Answer::json(501, "SECRET"),
    ] {
        let told = format!("{answer:?}");
        world.upstream.on("GET /svc/contacts", [answer]);
        let got = client.get(&query).await;
        assert_eq!(got.status, 502, "{told}: {}", got.text());
        assert!(!got.everything().contains("SECRET"), "{told}");
        let (_, outcome) = world.last_audit().await;
        assert_eq!((outcome.get("aggregated"), outcome.get("groups")), (None, None));
    }
    // More than may be told at once is not cut.
    let many: Vec<Value> = (0..51).map(|n| json!({ "stage": format!("s{n}"), "figure0": 1 })).collect();
    let cut = json!({ "value": [{ "stage": "a", "figure0": 1 }], "@odata.nextLink": "contacts?$skiptoken=SECRET" });
    for answer in [list(&json!(many)), Answer::json(200, cut.to_string())] {
        world.upstream.on("GET /svc/contacts", [answer]);
        let got = client.get(&query).await;
        assert_eq!((got.status, got.json()["code"].clone()), (400, json!("list_too_long")));
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_promises_figures_only_to_whom_they_are_told() {
    let world = world().await;
    let names = |document: &Value, path: &str| {
        let all = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let rep = world.role("rep").get("/svc/openapi.json").await.json();
    assert_eq!(names(&rep, "/svc/contacts/$count"), ["$filter", "$search"]);
    assert!(names(&rep, "/svc/contacts").iter().any(|name| name == "$apply"));
    let manager = world.role("manager").get("/svc/openapi.json").await.json();
    assert_eq!(manager["paths"].get("/svc/contacts/$count"), None, "of rows that it may not see");
    assert!(!names(&manager, "/svc/contacts").iter().any(|name| name == "$apply"));
    assert!(names(&manager, "/svc/contacts").iter().any(|name| name == "$search"));
    let analyst = world.role("analyst").get("/svc/openapi.json").await.json();
    assert_eq!(names(&analyst, "/svc/contacts/$count"), ["$filter"], "a search would read what is masked");
    world.gateway.shutdown().await;
}

/// Where the upstream may take `ACME` for `acme`, its totals count both, and so would a page without rows or a related tenant.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_the_upstream_does_not_tell_apart_are_counted_nowhere() {
    let own = API.replacen("      organization_id: string", "      organization_id: { type: string, push: loose }", 1);
    let parents = "fields: { id: int, organization_id: { type: string, push: loose }, app_id: string, name: string }";
    let via = API
        .replacen("fields: { id: int, organization_id: string, app_id: string, name: string }", parents, 1)
        .replacen(
            "tenant: { organization_id: organization_id, app_id: app_id }\n    race",
            "tenant: { via: account }\n    race",
            1,
        );
    for api in [own, via] {
        assert!(api.contains("push: loose"));
        let setup = Setup { api, ..Setup::default() };
        let world = setup.policy("contacts", POLICY).policy("accounts", OTHERS).policy("stages", SHARED).start().await;
        world.upstream.answers(|seen| match seen.target.contains("$count") {
            true => Some(count("7")),
            false => Some(Answer::json(200, r#"{"@odata.count":7,"value":[]}"#)),
        });
        let rep = world.role("rep");
        for query in ["/$count", "?$apply=aggregate($count as n)"] {
            assert_eq!(rep.get(&spelled(&format!("/svc/contacts{query}"))).await.status, 400, "{query}");
        }
        for query in ["?$count=true", "?$count=true&$top=0", "?$count=true&$filter=name eq 'x'"] {
            let got = rep.get(&spelled(&format!("/svc/contacts{query}"))).await;
            assert_eq!((got.status, got.json()), (200, json!({ "value": [] })), "{query}");
        }
        world.gateway.shutdown().await;
    }
}
