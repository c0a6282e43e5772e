//! An OData service behind the gateway: what it is asked, in which words, and what is told of its answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::odata::{TENANT, sent, spelled};
use crate::support::world::Setup;
use crate::support::{Answer, World};

const API: &str = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 3, max: 50 }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, read, create, update, delete]
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: { type: string, push: exact }
      region: string
      name: string
      ssn: { type: string, tags: [secret] }
";
const POLICY: &str = "\
table: contacts
grants:
  - name: reps-own
    roles: [rep]
    actions: [list, read, update]
    rows: record.owner_id == principal.id
    read: { clear: [id, name] }
    write: [name]
  - name: managers-by-region
    roles: [manager]
    actions: [list]
    rows: record.region == 'north'
    read: { clear: [id, name, region] }
";

async fn world() -> World {
    Setup { api: API.to_owned(), ..Setup::default() }.policy("contacts", POLICY).start().await
}

fn row(id: u64, organization: &str, owner: &str, region: &str) -> Value {
    json!({
        "@odata.etag": "W/\"SECRET\"", "id": id, "organization_id": organization, "app_id": "shop", "owner_id": owner,
        "region": region, "name": format!("n{id}"), "ssn": "SECRET",
    })
}

fn page(rows: &[Value], total: u64) -> Answer {
    let body = json!({
        "@odata.context": "$metadata#contacts(SECRET)", "@odata.count": total, "value": rows,
        "@odata.nextLink": "contacts?$skiptoken=SECRET",
    });
    Answer::json(200, body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_asked_for_in_the_services_words_and_told_without_them() {
    let world = world().await;
    let rows: Vec<Value> = (1..4).map(|id| row(id, "acme", "ann", "north")).collect();
    world.upstream.on("GET /svc/contacts", [page(&rows, 9)]);
    let got = world.role("rep").get("/svc/contacts?$filter=name%20eq%20%27n%27%20or%20id%20gt%200&$count=true").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    // Exact, so the total stands; full, so there is a link, made of what the client asked for.
    let expected = json!({
        "@odata.count": 9,
        "value": [{ "id": 1, "name": "n1" }, { "id": 2, "name": "n2" }, { "id": 3, "name": "n3" }],
        "@odata.nextLink": "contacts?$filter=name%20eq%20%27n%27%20or%20id%20gt%200&$count=true&$skip=3",
    });
    assert_eq!(got.json(), expected);
    let filter = format!("{TENANT} and (name eq 'n' or id gt 0) and owner_id in ('ann')");
    assert_eq!(sent(&world, "$filter"), Some(filter));
    let names = sent(&world, "$select").unwrap_or_default();
    let names: BTreeSet<&str> = names.split(',').collect();
    assert_eq!(names, BTreeSet::from(["id", "name", "owner_id", "region", "organization_id", "app_id"]));
    let others: Vec<String> = world.upstream.lines().iter().map(|line| line.split("&$top").skip(1).collect()).collect();
    assert_eq!(others, ["=3&$count=true"], "{:?}", world.upstream.lines());
    let (_, outcome) = world.last_audit().await;
    assert_eq!(outcome["pushed"], json!(["owner_id eq"]));
    assert_eq!((&outcome["rows_returned"], &outcome["rows_dropped"]), (&json!(3), &json!(0)));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_pushed_is_filled_and_tells_no_total() {
    let world = world().await;
    let rows: Vec<Value> =
        (1..9).map(|id| row(id, "acme", "bob", if id % 2 == 0 { "north" } else { "south" })).collect();
    world.upstream.on("GET /svc/contacts", [page(&rows, 8)]);
    let got = world.role("manager").get("/svc/contacts?$count=true&$select=id").await;
    assert_eq!((got.status, &got.json()["value"]), (200, &json!([{ "id": 2 }, { "id": 4 }, { "id": 6 }])));
    // Where it goes on is told sealed: how far the service was read tells of rows that may not be seen.
    let link = got.json()["@odata.nextLink"].as_str().map(str::to_owned).expect("a link");
    assert!(link.starts_with("contacts?$count=true&$select=id&$skiptoken="), "{link}");
    let next = world.role("manager").get(&format!("/svc/{link}")).await;
    assert_eq!((next.status, next.json()), (200, json!({ "value": [{ "id": 8 }] })));
    assert!(!world.upstream.lines().iter().any(|line| line.contains("skiptoken")), "{:?}", world.upstream.lines());
    assert!(!world.upstream.lines().iter().any(|line| line.contains("$count")), "of rows that may not be seen");
    // Whoever names the size of a page counts pages alone; a page that isn't full is the last.
    for (query, ids) in [("$top=2&$skip=1", &[4, 6][..]), ("$skip=3", &[8]), ("$top=0", &[])] {
        let got = world.role("manager").get(&format!("/svc/contacts?{query}&$select=id")).await;
        let rows: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        assert_eq!((got.status, got.json()), (200, json!({ "value": rows })), "{query}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ignores_its_filter_is_counted_and_shows_nothing() {
    let world = world().await;
    let rows = [row(1, "acme", "ann", "north"), row(2, "globex", "ann", "north"), row(3, "acme", "bob", "north")];
    world.upstream.on("GET /svc/contacts", [page(&rows, 3)]);
    let got = world.role("rep").get("/svc/contacts?$count=true&$top=10").await;
    assert_eq!((got.status, got.json()), (200, json!({ "value": [{ "id": 1, "name": "n1" }] })));
    assert_eq!(world.metric("scrim_tenant_violations_total").await, 1.0);
    assert_eq!(
        world.metric("scrim_pushdown_leaks_total").await,
        2.0,
        "a foreign row is none that was asked for either"
    );
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_fields_and_rows_are_refused_as_those_that_are_none() {
    let world = world().await;
    let client = world.role("rep");
    let nothing = client.get("/svc/contacts?$filter=nothing%20eq%20%27x%27").await.told();
    assert_eq!(nothing.0, 400);
    for query in [
        "$filter=ssn%20eq%20%27x%27",
        "$filter=region%20eq%20%27north%27",
        "$filter=not%20(id%20eq%201%20and%20ssn%20ne%20null)",
        "$filter=owner_id%20eq%20%27ann%27",
        "$filter=length(name)%20gt%201",
        "$orderby=ssn",
        "$orderby=nothing",
        "$select=ssn",
        "$select=nothing",
        "$expand=nothing",
        "$apply=groupby((ssn))",
        "$search=x",
    ] {
        assert_eq!(client.get(&format!("/svc/contacts?{query}")).await.told(), nothing, "{query}");
    }
    let unknown = client.get("/svc/nothing").await.told();
    assert_eq!(unknown.0, 404);
    for path in [
        "/svc",
        "/svc/$metadata",
        "/svc/$batch",
        "/svc/contacts/$count",
        "/svc/contacts/1",
        "/svc/contacts(1)/ssn",
        "/svc/contacts(1)/ssn/$value",
        "/svc/contacts('1')",
        "/svc/contacts(x)",
        "/svc/contacts(01)",
        "/svc/contacts(1,id=2)",
        "/svc/Contacts(1)",
        "/contacts(1)",
    ] {
        assert_eq!(client.get(path).await.told(), unknown, "{path}");
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.upstream.on("GET /svc/contacts(7)", [Answer::json(200, row(7, "acme", "bob", "north").to_string())]);
    world.upstream.on("GET /svc/contacts(8)", [Answer::json(404, "{\"error\":{\"message\":\"SECRET\"}}")]);
    for path in ["/svc/contacts(7)", "/svc/contacts(id=8)"] {
        assert_eq!(client.get(path).await.told(), unknown, "{path}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_addressed_by_its_key_and_changed_after_a_look_at_it() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts(7)", [Answer::json(200, row(7, "acme", "ann", "north").to_string())]);
    world.upstream.on("PATCH /svc/contacts(7)", [Answer::json(200, row(7, "acme", "ann", "north").to_string())]);
    let client = world.role("rep");
    let got = client.get("/svc/contacts(id=7)?$select=name").await;
    assert_eq!((got.status, got.json()), (200, json!({ "name": "n7" })));
    let got = client.send("PATCH", "/svc/contacts(7)", Some("{\"name\":\"n7\"}")).await;
    assert_eq!((got.status, got.json()), (200, json!({ "id": 7, "name": "n7" })));
    let sent: Vec<(String, String)> = world
        .upstream
        .seen()
        .iter()
        .map(|seen| (format!("{} {}", seen.method, seen.target), String::from_utf8_lossy(&seen.body).into_owned()))
        .collect();
    let methods: Vec<&str> = sent.iter().filter_map(|(line, _)| line.split('?').next()).collect();
    assert_eq!(methods, ["GET /svc/contacts(7)", "GET /svc/contacts(7)", "PATCH /svc/contacts(7)"]);
    assert_eq!(sent.last().map(|(_, body)| body.as_str()), Some("{\"name\":\"n7\"}"));
    for body in [
        "{\"ssn\":\"x\"}",
        "{\"owner@odata.bind\":\"users(1)\"}",
        "{\"@odata.id\":\"contacts(8)\"}",
        "{\"name\":\"x\",\"id\":8}",
    ] {
        let got = client.send("PATCH", "/svc/contacts(7)", Some(body)).await;
        assert_eq!(got.status, 403, "{body}");
    }
    assert!(!world.upstream.lines().iter().skip(3).any(|line| line.starts_with("PATCH")));
    world.gateway.shutdown().await;
}

const SHADES: &str = "\
table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [list]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, region] }
  - name: others
    roles: [rep]
    actions: [list]
    rows: all
    read: { clear: [id, owner_id], constant: { name: withheld } }
";

/// The `$filter` of the last request, without the tenant's.
fn filter_of(world: &World) -> String {
    let filter = sent(world, "$filter").unwrap_or_default();
    filter.strip_prefix(TENANT).map(|rest| rest.trim_start_matches(" and ").to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_is_compared_only_where_it_is_clear_however_it_is_asked_for() {
    let world = Setup { api: API.to_owned(), ..Setup::default() }.policy("contacts", SHADES).start().await;
    world
        .upstream
        .on("GET /svc/contacts", [page(&[row(1, "acme", "ann", "north"), row(2, "acme", "bob", "north")], 2)]);
    let client = world.role("rep");
    let guard = "owner_id in ('ann')";
    for (asked, sent) in [
        ("name ge 'm'", format!("name ge 'm' and {guard}")),
        ("not (name ge 'm')", format!("not (name ge 'm') and {guard}")),
        ("name ne 'm'", format!("name ne 'm' and {guard}")),
        ("name eq null", format!("name eq null and {guard}")),
        ("not (name eq null)", format!("not (name eq null) and {guard}")),
        ("name in ('m','n')", format!("name in ('m','n') and {guard}")),
        ("contains(name,'m') eq false", format!("not (contains(name,'m')) and {guard}")),
        // Beside what is always true, the value alone would tell the rest.
        ("id gt 0 or name ge 'm'", format!("(id gt 0 or (name ge 'm' and {guard}))")),
        ("id gt 0 and name ge 'm'", format!("id gt 0 and name ge 'm' and {guard}")),
        ("not (id gt 0 and name ge 'm')", format!("(not (id gt 0) or (not (name ge 'm') and {guard}))")),
        ("not (id gt 0 or name ge 'm')", format!("not (id gt 0) and not (name ge 'm') and {guard}")),
        (
            "not (not (not (name ge 'm' or name lt 'c')))",
            format!("not (name ge 'm') and not (name lt 'c') and {guard}"),
        ),
        ("name ge 'm' or region eq 'x'", format!("(name ge 'm' or region eq 'x') and {guard}")),
        // What is clear on every row stays as it is.
        ("not (owner_id eq 'ann' or id eq 1)", "not ((owner_id eq 'ann' or id eq 1))".to_owned()),
    ] {
        world.upstream.forget();
        let got = client.get(&format!("/svc/contacts?$count=true&$filter={}", spelled(asked))).await;
        assert_eq!((got.status, filter_of(&world)), (200, sent), "{asked}: {}", got.text());
    }
    let refused = client.get("/svc/contacts?$orderby=nothing").await;
    for query in [
        "$orderby=name",
        "$orderby=region%20desc&$filter=name%20ge%20%27m%27",
        "$filter=ssn%20eq%20null%20or%20name%20ge%20%27m%27",
    ] {
        let got = client.get(&format!("/svc/contacts?{query}")).await;
        assert_eq!((got.status, got.text()), (400, refused.text()), "{query}");
    }
    world.gateway.shutdown().await;
}
